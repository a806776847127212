"""What a training's metrics and history mean, in one sentence for people who see them for the first time."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from retrain.models.description import Description

__all__ = ["HIGHER_IS_BETTER", "narrow_intervals", "verdict"]


HIGHER_IS_BETTER = ("accuracy", "macro_f1", "r2")
IMPROVEMENT = 0.01
"""Part of the validation loss by which the last epoch must improve it to count as "still improving"."""
DECLINE = 0.05
"""Part of the validation loss by which the first epoch must be better than all others to count as "best in the first epoch".
In small tables that are learned in one epoch, chance decides on less, and a lower learning rate often makes them worse."""


def in_digits(metric: str, value: float) -> str:
    """A value of a metric with four digits."""
    return f"{value:.4g}"


def verdict(
    metrics: Mapping[str, Mapping[str, Any]],
    described: "Description",
    validation_loss: Sequence[float],
    shown: Callable[[str, float], str] = in_digits,
    named: Callable[[str], str] = str,
) -> str:
    """The most important thing to know about a training.

    Args:
        metrics: the content of `metrics.json`; its first metric counts.
        described: what `model.json` says.
        validation_loss: the loss on the validation split after each epoch.
        shown: how a value of a metric is written.
        named: how a metric is called.
    """
    metric, value = next(iter(metrics["test"].items()))
    baseline, (low, high) = metrics["baseline"][metric], metrics["intervals"][metric].values()
    reference = metrics.get("reference", {}).get(metric)
    others = f"baseline {shown(metric, baseline)}" + (
        "" if reference is None else f", reference {shown(metric, reference)}"
    )
    interval = f"[{shown(metric, low)} to {shown(metric, high)}]"
    rows = f"{described.splits['test'].rows:,} test rows"
    numbers = f"({named(metric)} {shown(metric, value)} {interval} on {rows}, {others})"
    if narrow := narrow_intervals(metrics, described):
        numbers += f"; {narrow}"
    if not is_better(metric, value, baseline):
        return f"no better than the baseline {numbers}"
    if low <= baseline <= high:
        return f"too few test rows to tell {numbers}"
    *earlier, last = validation_loss
    advice = ""
    if earlier and last < (1 - IMPROVEMENT) * min(earlier):
        advice = "; still improving in the last epoch: train longer (raise train.loop.epochs)"
    elif earlier and validation_loss[0] < (1 - DECLINE) * min(validation_loss[1:]):
        advice = "; best in the first epoch: lower train.loop.learning_rate"
    difference = metrics.get("reference_difference", {}).get(metric)
    linear = compared(metric, difference["low"], difference["high"]) if difference else ""
    return f"better than the baseline{linear} {numbers}{advice}"


def narrow_intervals(metrics: Mapping[str, Mapping[str, Any]], described: "Description") -> str:
    """What to know about intervals of predictions that contain fewer test targets than promised, beyond chance; empty if they do not."""
    ends, interval = metrics["intervals"].get("coverage"), described.calibration.interval
    if interval is None or not ends or ends["high"] >= interval.level:
        return ""
    share, level = (f"{100 * share:.4g} %" for share in (metrics["test"]["coverage"], interval.level))
    return f"only {share} of the test targets are between low and high, not {level}: the intervals are too narrow for rows like these"


def is_better(metric: str, value: float, other: float) -> bool:
    """Whether a value of a metric is better than another one."""
    return value > other if metric in HIGHER_IS_BETTER else value < other


def compared(metric: str, low: float, high: float) -> str:
    """How a metric compares with that of the linear reference, in words; the ends are those of the difference."""
    if low <= 0 <= high:
        return ", but not clearly different from the linear reference"
    return " and the linear reference" if is_better(metric, low, 0) else ", but worse than the linear reference"
