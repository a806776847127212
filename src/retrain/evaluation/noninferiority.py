"""Whether a model may be worse than another one by more than a limit, from their predictions of the same test rows.

Accuracy and coverage are shares of rows: their bounds are those of Tango's score test for paired shares. All other metrics
have a delete-group jackknife with a t distribution. So have all metrics of rows that come in groups, such as the visits of a
patient, because the jackknife leaves out whole groups. `benchmarks/gate.py` measures how often each is wrong, and compares
them with a paired bootstrap and a permutation test.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Final, Literal

from retrain.evaluation.intervals import CHUNK, MOST_ROWS, SHARES, Judged, t_quantile
from retrain.evaluation.metrics import bins_of, confidences
from retrain.evaluation.verdict import HIGHER_IS_BETTER

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "CANNOT_DECIDE",
    "FAIL",
    "FEWEST",
    "HIGHER",
    "METRICS",
    "PASS",
    "RELATIVE",
    "Answer",
    "Drop",
    "Errors",
    "answer",
    "drops",
    "metrics_of",
]


Answer = Literal["pass", "fail", "cannot decide"]
PASS: Final = "pass"  # noqa: S105 (not a password)
FAIL: Final = "fail"
CANNOT_DECIDE: Final = "cannot decide"
METRICS = {
    "classification": ("accuracy", "macro_f1", "log_loss", "brier", "calibration_error"),
    "regression": ("rmse", "mae", "r2", "coverage"),
}
HIGHER = (*HIGHER_IS_BETTER, "coverage")
"""Metrics that drop when they fall; the others drop when they rise."""
RELATIVE = ("rmse", "mae")
"""Metrics in the unit of the target: their drop is a part of the other model's value, 0.05 for 5 %."""
PARTS = 200
"""Parts of the rows that the jackknife leaves out, one at a time; single rows, or groups of rows, if there are fewer."""
FEWEST = 30
"""Rows, or groups of rows, below which nothing is decided: neither method holds its error rates there."""
SEED = 1


@dataclass(frozen=True)
class Errors:
    """How often an answer may be wrong: a model that drops by the limit passes, or one that is as good as the other fails."""

    passing: float
    failing: float


@dataclass(frozen=True)
class Drop:
    """How much worse the second model is, in a metric's own direction: below 0 if it is better.

    Attributes:
        drop: the drop on these rows.
        low: the true drop is below it with the probability `Errors.failing` at most.
        high: the true drop is above it with the probability `Errors.passing` at most.
        decidable: the smallest limit under which a model that is as good as the other one fails to pass with the
            probability `Errors.failing`.
    """

    drop: float
    low: float
    high: float
    decidable: float


def answer(drop: Drop, limit: float) -> Answer:
    """Whether the second model passes: its drop is surely not above the limit.

    It fails if its drop is surely above, or if an equally good model would have passed. In all other cases the rows
    cannot decide.
    """
    if drop.high <= limit:
        return PASS
    return FAIL if drop.low > limit or drop.decidable <= limit else CANNOT_DECIDE


def drops(first: Judged, second: Judged, names: Iterable[str], bins: int, errors: Errors) -> dict[str, Drop]:
    """The drops of some metrics; those that one of the models does not have are left out.

    Args:
        first: the predictions of the other model.
        second: those of the model that is asked about, of the same rows in the same order.
        names: the metrics.
        bins: the number of bins of the calibration error.
        errors: the error rates.
    """
    if first.units < FEWEST:
        return {}
    exact = SHARES if first.groups is None else ()
    found = {
        name: of_shares(first, second, name, errors) for name in names if name in exact and has(name, first, second)
    }
    others = [name for name in names if name not in exact]
    return found | (jackknifed(first, second, others, bins, errors) if others else {})


def has(name: str, *models: Judged) -> bool:
    """Whether all models have a metric that is a share of the rows."""
    return all(one.low is not None if name == "coverage" else one.probabilities is not None for one in models)


def of_shares(first: Judged, second: Judged, name: str, errors: Errors) -> Drop:
    """The drop in a share of the rows: those whose class is right, or whose target is within the interval.

    An equally good model would have as many rows that only it gets right as the other one: so the smallest limit that can
    be decided is a bound for these, and the deviation that such a model may have by chance.
    """
    import numpy as np

    then, now = (one.inside if name == "coverage" else one.targets == one.predicted for one in (first, second))
    lost, gained, rows = int(np.sum(then & ~now)), int(np.sum(now & ~then)), len(first)
    z_pass, z_fail = quantile(errors.passing), quantile(errors.failing)
    half = (lost + gained) / 2
    deviation = math.sqrt(lost + gained) / rows
    return Drop(
        drop=(lost - gained) / rows,
        low=-bound(gained, lost, rows, z_fail),
        high=bound(lost, gained, rows, z_pass),
        decidable=bound(half, half, rows, z_pass) + z_fail * deviation,
    )


def bound(lost: float, gained: float, rows: int, z: float) -> float:
    """The upper bound of the difference of two paired shares: the largest one that the score test does not reject.

    T. Tango, "Equivalence test and confidence interval for the difference in proportions for the paired-sample design",
    Statistics in Medicine 17 (1998), pages 891-908.

    Args:
        lost: rows that only the first model gets right.
        gained: rows that only the second one does.
        rows: all rows.
        z: the quantile of a normal distribution.
    """
    low, high = (lost - gained) / rows, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if score(lost, gained, rows, middle) > -z else (low, middle)
    return high


def score(lost: float, gained: float, rows: int, difference: float) -> float:
    """How many standard deviations two paired shares are apart, if the true difference is this one."""
    linear = (2 * rows - lost + gained) * difference - lost - gained
    constant = -gained * difference * (1 - difference)
    share = (math.sqrt(max(linear**2 - 8 * rows * constant, 0.0)) - linear) / (4 * rows)
    variance = rows * (2 * share + difference * (1 - difference))
    distance = lost - gained - rows * difference
    return distance / math.sqrt(variance) if variance > 0 else 0.0


def quantile(error: float) -> float:
    """What a normal distribution exceeds with this probability."""
    return NormalDist().inv_cdf(1 - error)


def jackknifed(first: Judged, second: Judged, names: Iterable[str], bins: int, errors: Errors) -> dict[str, Drop]:
    """The drops of any metrics, with the standard errors of a jackknife that leaves out parts of almost equal size.

    A part is some of the rows, or some of their groups.
    F. M. T. A. Busing, E. Meijer, R. van der Leeden, "Delete-m jackknife for unequal m", Statistics and Computing 9 (1999).
    The drop of a relative metric is a ratio, and its logarithm is what has the standard error.
    """
    import numpy as np

    all_rows, narrowed = len(first), math.sqrt(min(1.0, len(first.some(MOST_ROWS)) / len(first)))
    values = changes(first, second, np.ones((1, all_rows)), names, bins)
    first, second = first.some(MOST_ROWS), second.some(MOST_ROWS)
    rows, units = len(first), first.units
    count = min(PARTS, units)
    member = np.random.default_rng(SEED).permutation(units) % count
    if first.groups is not None:
        member = member[np.unique(first.groups, return_inverse=True)[1]]
    parts = []
    for chunk in np.array_split(np.arange(count), math.ceil(count * rows / CHUNK)):
        weights = (member != chunk[:, None]).astype(np.float64)
        parts.append(changes(first, second, weights, names, bins))
    wholes = changes(first, second, np.ones((1, rows)), names, bins)
    shares = rows / np.bincount(member)
    t_pass, t_fail = (t_quantile(count - 1, quantile(error)) for error in (errors.passing, errors.failing))
    found = {}
    for name, value in values.items():
        without = np.concatenate([part[name] for part in parts])
        pseudo = shares * wholes[name] - (shares - 1) * without
        centre = (pseudo / shares).sum()
        error = math.sqrt(np.mean(np.square(pseudo - centre) / (shares - 1))) * narrowed
        ends = (value.item(), value.item() - t_fail * error, value.item() + t_pass * error, (t_pass + t_fail) * error)
        found[name] = Drop(*(math.expm1(min(end, 700.0)) if name in RELATIVE else end for end in ends))
    return found


def changes(
    first: Judged, second: Judged, weights: "np.ndarray", names: Iterable[str], bins: int
) -> "dict[str, np.ndarray]":
    """How much worse the second model is where rows have weights, (samples, rows): differences, or logarithms of ratios."""
    import numpy as np

    then, now = (metrics_of(one, weights, bins) for one in (first, second))
    smallest = np.finfo(np.float64).tiny
    found = {}
    for name in names:
        if name in RELATIVE:
            found[name] = np.log(np.maximum(now[name], smallest) / np.maximum(then[name], smallest))
        elif name in then and name in now:
            found[name] = then[name] - now[name] if name in HIGHER else now[name] - then[name]
    return found


def metrics_of(judged: Judged, weights: "np.ndarray", bins: int) -> "dict[str, np.ndarray]":
    """All metrics where each row counts as often as its weight says: (samples,) each, from weights (samples, rows)."""
    import numpy as np

    metrics = judged.metrics(weights)
    if judged.probabilities is None:
        return metrics
    confidence, correct = confidences(judged)
    apart = np.zeros((len(judged), bins))
    apart[np.arange(len(judged)), bins_of(confidence, bins)] = confidence - correct
    return metrics | {"calibration_error": np.abs(weights @ apart).sum(axis=1) / weights.sum(axis=1)}
