"""What a training's metrics and history mean, in one sentence for people who see them for the first time."""

import math
from collections.abc import Sequence

__all__ = ["HIGHER_IS_BETTER", "verdict"]


HIGHER_IS_BETTER = ("accuracy", "macro_f1", "r2")
Z = 1.96
"""95 % of a normal distribution are within this many standard deviations."""
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
    low, high = interval(metric, value, test_rows)
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


def interval(metric: str, value: float, test_rows: int) -> tuple[float, float]:
    """The 95 % confidence interval of a metric: of a proportion, or of a root mean square of normal errors.

    That of a proportion is Wilson's score interval, which also holds near 0 and 1: E. B. Wilson, "Probable inference, the
    law of succession, and statistical inference", JASA 22 (1927), pages 209-212.
    """
    if metric != "accuracy":
        margin = Z * value / math.sqrt(2 * test_rows)
        return value - margin, value + margin
    scale = 1 + Z**2 / test_rows
    middle = (value + Z**2 / (2 * test_rows)) / scale
    margin = Z * math.sqrt(value * (1 - value) / test_rows + (Z / (2 * test_rows)) ** 2) / scale
    return max(middle - margin, 0.0), min(middle + margin, 1.0)
