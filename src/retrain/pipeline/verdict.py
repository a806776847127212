"""What a training's metrics and history mean, in one sentence for people who see them for the first time."""

import math
from collections.abc import Sequence

__all__ = ["verdict"]


HIGHER_IS_BETTER = ("accuracy", "macro_f1", "r2")
IMPROVEMENT = 0.01
"""Part of the validation loss by which the last epoch must improve it to count as "still improving"."""


def verdict(metric: str, value: float, baseline: float, test_rows: int, validation_loss: Sequence[float]) -> str:
    """The most important thing to know about a training.

    Args:
        metric: the name of the first metric: `accuracy` or `rmse`.
        value: its value on the test split.
        baseline: its value for the trivial baseline.
        test_rows: the number of rows in the test split.
        validation_loss: the loss on the validation split after each epoch.
    """
    margin = uncertainty(metric, value, test_rows)
    numbers = f"{metric} {value:.4g} ± {margin:.2g} on {test_rows:,} test rows, baseline {baseline:.4g}"
    better = value > baseline if metric in HIGHER_IS_BETTER else value < baseline
    if not better:
        return f"no better than the baseline ({numbers})"
    if abs(value - baseline) <= margin:
        return f"too few test rows to tell ({numbers})"
    *earlier, last = validation_loss
    advice = ""
    if earlier and last < (1 - IMPROVEMENT) * min(earlier):
        advice = "; still improving in the last epoch: train longer (raise train.loop.epochs)"
    elif earlier and min(validation_loss) == validation_loss[0]:
        advice = "; best in the first epoch: lower train.loop.learning_rate"
    return f"better than the baseline ({numbers}){advice}"


def uncertainty(metric: str, value: float, test_rows: int) -> float:
    """Half of a metric's 95 % confidence interval: of a proportion, or of a root mean square of normal errors."""
    error = (
        math.sqrt(max(value * (1 - value), 0) / test_rows) if metric == "accuracy" else value / math.sqrt(2 * test_rows)
    )
    return 1.96 * error
