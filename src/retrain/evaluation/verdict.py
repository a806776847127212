"""What a training's metrics and history mean, in one sentence for people who see them for the first time."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["HIGHER_IS_BETTER", "verdict"]


HIGHER_IS_BETTER = ("accuracy", "macro_f1", "r2")
IMPROVEMENT = 0.01
"""Part of the validation loss by which the last epoch must improve it to count as "still improving"."""


def verdict(metrics: Mapping[str, Mapping[str, Any]], test_rows: int, validation_loss: Sequence[float]) -> str:
    """The most important thing to know about a training.

    Args:
        metrics: the content of `metrics.json`; its first metric counts.
        test_rows: the number of rows in the test split.
        validation_loss: the loss on the validation split after each epoch.
    """
    metric, value = next(iter(metrics["test"].items()))
    baseline, (low, high) = metrics["baseline"][metric], metrics["intervals"][metric].values()
    numbers = f"{metric} {value:.4g} [{low:.4g} to {high:.4g}] on {test_rows:,} test rows, baseline {baseline:.4g}"
    better = value > baseline if metric in HIGHER_IS_BETTER else value < baseline
    if not better:
        return f"no better than the baseline ({numbers})"
    if low <= baseline <= high:
        return f"too few test rows to tell ({numbers})"
    *earlier, last = validation_loss
    advice = ""
    if earlier and last < (1 - IMPROVEMENT) * min(earlier):
        advice = "; still improving in the last epoch: train longer (raise train.loop.epochs)"
    elif earlier and min(validation_loss) == validation_loss[0]:
        advice = "; best in the first epoch: lower train.loop.learning_rate"
    return f"better than the baseline ({numbers}){advice}"
