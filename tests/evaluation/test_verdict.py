"""`retrain repro` says what a training's metrics mean."""

from typing import Any

from retrain.data.encoding_file import SplitFacts
from retrain.evaluation.verdict import narrow_intervals, verdict
from retrain.models.calibration import Calibration, Interval
from retrain.models.description import Description

import pytest

DESCRIBED = Description.model_construct(
    splits={"test": SplitFacts(rows=1000, sha256="", md5="")},
    calibration=Calibration(interval=Interval(level=0.9, margin=2.0, rows=66)),
)
FALLING = [1.0, 0.5, 0.4, 0.41]


def metrics_of(metric: str, value: float, baseline: float, interval: tuple[float, float]) -> dict[str, dict[str, Any]]:
    ends = {"low": interval[0], "high": interval[1]}
    return {"test": {metric: value}, "baseline": {metric: baseline}, "intervals": {metric: ends}}


@pytest.mark.parametrize(
    "case",  # metric, value, baseline, interval, validation losses, and the start and end of the sentence
    [
        ("accuracy", 0.50, 0.50, (0.47, 0.53), FALLING, "no better than the baseline ("),
        ("accuracy", 0.40, 0.50, (0.37, 0.43), FALLING, "no better than the baseline ("),
        ("rmse", 80.0, 78.0, (75.0, 85.0), FALLING, "no better than the baseline ("),
        ("accuracy", 0.60, 0.50, (0.4232, 0.7541), FALLING, "too few test rows to tell (accuracy 0.6 [0.4232 to 0.7541] on 1,000 test rows, baseline 0.5)"),
        ("rmse", 70.0, 78.0, (60.2, 79.8), FALLING, "too few test rows to tell ("),
        ("rmse", 57.4, 78.6, (49.36, 65.44), FALLING, "better than the baseline (rmse 57.4 [49.36 to 65.44] on 1,000 test rows, baseline 78.6)"),
        ("accuracy", 0.90, 0.50, (0.88, 0.92), [1.0, 0.5, 0.4], "better than the baseline (", "baseline 0.5); still improving in the last epoch: train longer (raise train.loop.epochs)"),
        ("accuracy", 0.90, 0.50, (0.88, 0.92), [1.0, 0.5, 0.499], "better than the baseline (", "baseline 0.5)"),
        ("accuracy", 0.90, 0.50, (0.88, 0.92), [0.4, 0.5, 0.6], "better than the baseline (", "baseline 0.5); best in the first epoch: lower train.loop.learning_rate"),
        ("accuracy", 0.90, 0.50, (0.88, 0.92), [0.4, 0.41, 0.43], "better than the baseline (", "baseline 0.5)"),
        ("accuracy", 0.90, 0.50, (0.88, 0.92), [0.4], "better than the baseline ("),
    ],
)  # fmt: skip
def test_verdict_of_training(case):
    metrics, losses, start, end = metrics_of(*case[:4]), case[4], case[5], case[-1]
    assert verdict(metrics, DESCRIBED, losses).startswith(start)
    assert verdict(metrics, DESCRIBED, losses).endswith(end if len(case) > 6 else ")")


@pytest.mark.parametrize(
    ("metric", "difference", "start"),
    [
        ("accuracy", (0.01, 0.03), "better than the baseline and the linear reference (accuracy 0.9 [0.88 to 0.92] on 1,000 test rows, baseline 0.5, reference 0.89)"),
        ("accuracy", (-0.01, 0.03), "better than the baseline, but not clearly different from the linear reference ("),
        ("accuracy", (-0.03, -0.01), "better than the baseline, but worse than the linear reference ("),
        ("log_loss", (-0.03, -0.01), "better than the baseline and the linear reference ("),
    ],
)  # fmt: skip
def test_verdict_names_the_reference(metric, difference, start):
    metrics = metrics_of(metric, 0.9, 0.5 if metric == "accuracy" else 1.4, (0.88, 0.92))
    ends = dict(zip(("low", "high"), difference, strict=True))
    metrics |= {"reference": {metric: 0.89}, "reference_difference": {metric: ends}}
    assert verdict(metrics, DESCRIBED, FALLING).startswith(start)


def test_too_narrow_intervals_are_told():
    for high, expected in ((0.89, True), (0.9, False)):
        metrics = metrics_of("rmse", 57.4, 78.6, (49.36, 65.44))
        metrics["test"]["coverage"], metrics["intervals"]["coverage"] = 0.1523, {"low": 0.1, "high": high}
        told = narrow_intervals(metrics, DESCRIBED)
        assert told.startswith("only 15.23 % of the test targets are between low and high, not 90 %") == expected
        assert verdict(metrics, DESCRIBED, FALLING).endswith(f"; {told}" if expected else "baseline 78.6)")
        assert narrow_intervals(metrics, DESCRIBED.model_copy(update={"calibration": Calibration()})) == ""
