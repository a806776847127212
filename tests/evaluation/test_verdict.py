"""`retrain repro` says what a training's metrics mean."""

from retrain.evaluation.verdict import interval, verdict

import pytest

FALLING = [1.0, 0.5, 0.4, 0.41]


@pytest.mark.parametrize(
    "case",  # metric, value, baseline, test rows, validation losses, and the start and end of the sentence
    [
        ("accuracy", 0.50, 0.50, 1000, FALLING, "no better than the baseline ("),
        ("accuracy", 0.40, 0.50, 1000, FALLING, "no better than the baseline ("),
        ("rmse", 80.0, 78.0, 1000, FALLING, "no better than the baseline ("),
        ("accuracy", 0.60, 0.50, 30, FALLING, "too few test rows to tell (accuracy 0.6 [0.4232 to 0.7541] on 30 test rows, baseline 0.5)"),
        ("rmse", 70.0, 78.0, 98, FALLING, "too few test rows to tell (rmse 70 [60.2 to 79.8] on 98 test rows, baseline 78)"),
        ("rmse", 57.4, 78.6, 98, FALLING, "better than the baseline (rmse 57.4 [49.36 to 65.44] on 98 test rows, baseline 78.6)"),
        ("accuracy", 0.90, 0.50, 1000, [1.0, 0.5, 0.4], "better than the baseline (", "baseline 0.5); still improving in the last epoch: train longer (raise train.loop.epochs)"),
        ("accuracy", 0.90, 0.50, 1000, [1.0, 0.5, 0.499], "better than the baseline (", "baseline 0.5)"),
        ("accuracy", 0.90, 0.50, 1000, [0.4, 0.5, 0.6], "better than the baseline (", "baseline 0.5); best in the first epoch: lower train.loop.learning_rate"),
        ("accuracy", 0.90, 0.50, 1000, [0.4], "better than the baseline ("),
        ("accuracy", 1.00, 0.25, 79, FALLING, "better than the baseline (accuracy 1 [0.9536 to 1] on 79 test rows, baseline 0.25)"),
    ],
)  # fmt: skip
def test_verdict_of_training(case):
    arguments, start, end = case[:5], case[5], case[-1]
    assert verdict(*arguments).startswith(start)
    assert verdict(*arguments).endswith(end if len(case) > 6 else ")")


def width(metric: str, value: float, test_rows: int) -> float:
    low, high = interval(metric, value, test_rows)
    return high - low


def test_interval_shrinks_with_rows():
    assert width("accuracy", 0.93, 7600) == pytest.approx(2 * 0.0057, abs=1e-4)
    assert width("rmse", 57.4, 98) == pytest.approx(2 * width("rmse", 57.4, 392))
