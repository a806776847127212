"""`retrain repro` says what a training's metrics mean."""

from retrain.pipeline.verdict import uncertainty, verdict

import pytest

FALLING = [1.0, 0.5, 0.4, 0.41]


@pytest.mark.parametrize(
    "case",  # metric, value, baseline, test rows, validation losses, and the start and end of the sentence
    [
        ("accuracy", 0.50, 0.50, 1000, FALLING, "no better than the baseline ("),
        ("accuracy", 0.40, 0.50, 1000, FALLING, "no better than the baseline ("),
        ("rmse", 80.0, 78.0, 1000, FALLING, "no better than the baseline ("),
        ("accuracy", 0.60, 0.50, 30, FALLING, "too few test rows to tell (accuracy 0.6 ± 0.18 on 30 test rows, baseline 0.5)"),
        ("rmse", 70.0, 78.0, 98, FALLING, "too few test rows to tell (rmse 70 ± 9.8 on 98 test rows, baseline 78)"),
        ("rmse", 57.4, 78.6, 98, FALLING, "better than the baseline (rmse 57.4 ± 8 on 98 test rows, baseline 78.6)"),
        ("accuracy", 0.90, 0.50, 1000, [1.0, 0.5, 0.4], "better than the baseline (", "baseline 0.5); still improving in the last epoch: train longer (raise train.loop.epochs)"),
        ("accuracy", 0.90, 0.50, 1000, [1.0, 0.5, 0.499], "better than the baseline (", "baseline 0.5)"),
        ("accuracy", 0.90, 0.50, 1000, [0.4, 0.5, 0.6], "better than the baseline (", "baseline 0.5); best in the first epoch: lower train.loop.learning_rate"),
        ("accuracy", 0.90, 0.50, 1000, [0.4], "better than the baseline ("),
        ("accuracy", 1.00, 0.50, 10, FALLING, "better than the baseline ("),
    ],
)  # fmt: skip
def test_verdict_of_training(case):
    arguments, start, end = case[:5], case[5], case[-1]
    assert verdict(*arguments).startswith(start)
    assert verdict(*arguments).endswith(end if len(case) > 6 else ")")


def test_uncertainty_shrinks_with_rows():
    assert uncertainty("accuracy", 0.93, 7600) == pytest.approx(0.0057, abs=1e-4)
    assert uncertainty("rmse", 57.4, 98) == pytest.approx(2 * uncertainty("rmse", 57.4, 392))
