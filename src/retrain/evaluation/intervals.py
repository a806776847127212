"""Metrics of judged rows, and how far they may be from those of all rows that there could be.

The intervals are for 95 %. Accuracy and coverage are shares of rows, whose interval is known: Wilson's. All other metrics
have a bootstrap interval over the test rows: percentiles, widened for few rows. Where rows come in groups, such as the
visits of a patient, the bootstrap draws groups, because rows of a group tell less than as many rows of their own.
`benchmarks/coverage.py` measures how often the intervals contain the true value, and compares them with others.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from retrain.data.report_csv import Columns, significant

if TYPE_CHECKING:
    import numpy as np

__all__ = ["CHUNK", "MOST_ROWS", "SHARES", "Judged", "interval", "intervals", "resamples", "t_quantile"]


Z = 1.959964
"""95 % of a normal distribution are within this many standard deviations."""
SEED = 1
MOST_SAMPLES, FEWEST_SAMPLES, DRAWS = 1000, 200, 10_000_000
"""Resamples, and how many rows they may have together."""
MOST_ROWS = 100_000
"""Rows that are resampled. The interval of more rows is that of some of them, narrowed by the square root of their share."""
CHUNK = 2_000_000
"""Weights in memory at once."""
SMALLEST = 1e-15
"""The probability of a target that is taken for an impossible one."""
ROUNDING = 1e-12
"""A variance below this part of the mean square is that of equal numbers."""
SHARES = ("accuracy", "coverage")
"""Metrics that are a share of the rows."""

Interval = dict[str, float]


@dataclass(frozen=True)
class Judged:
    """Test rows with what was predicted.

    Attributes:
        targets: float64 numbers, or int64 numbers of classes, (rows,).
        predicted: the same for the predictions.
        probabilities: of each class, float64, (rows, classes); None for numbers.
        low, high: the intervals of predicted numbers, float64, (rows,), or None.
        groups: the number of each row's group, int64, (rows,); None if rows are independent of each other.
    """

    targets: "np.ndarray"
    predicted: "np.ndarray"
    probabilities: "np.ndarray | None" = None
    low: "np.ndarray | None" = None
    high: "np.ndarray | None" = None
    groups: "np.ndarray | None" = None

    @classmethod
    def of_predictions(cls, targets: Sequence[Any], predictions: Columns, classes: Sequence[str] | None) -> "Judged":
        """The rows of a table of predictions, whose columns are as in `predictions.csv`.

        The probability of a class that the model does not know is 0.
        """
        import numpy as np

        if not classes:
            known = [name for name in ("predicted", "low", "high") if name in predictions]
            numbers = {name: np.asarray(predictions[name], dtype=np.float64) for name in known}
            return cls(np.asarray(targets, dtype=np.float64), **numbers)
        places = {name: place for place, name in enumerate(classes)}
        actual, predicted = (
            np.array([places[name] for name in names], dtype=np.int64) for names in (targets, predictions["predicted"])
        )
        zeros = np.zeros(len(actual))
        columns = [np.asarray(predictions.get(f"probability_{name}", zeros), dtype=np.float64) for name in classes]
        return cls(actual, predicted, np.stack(columns, axis=1))

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def inside(self) -> "np.ndarray":
        """Whether each target is within the interval of its prediction: (rows,)."""
        import numpy as np

        return np.asarray((self.low <= self.targets) & (self.targets <= self.high))

    @property
    def units(self) -> int:
        """The number of groups; that of rows if they are independent of each other."""
        return len(self) if self.groups is None else len(set(self.groups.tolist()))

    def in_groups(self, groups: Sequence[Any] | None) -> "Judged":
        """The same rows with the number of each row's group; None if they are independent of each other."""
        import numpy as np

        return replace(self, groups=None if groups is None else np.asarray(groups, dtype=np.int64))

    def some(self, most: int) -> "Judged":
        """Evenly spaced rows, not more than `most`."""
        every = math.ceil(len(self) / most)
        if every == 1:
            return self
        return self.rows(slice(None, None, every))

    def without(self, rows: Sequence[int]) -> "Judged":
        """All rows but these."""
        import numpy as np

        return self.rows(np.delete(np.arange(len(self)), rows))

    def rows(self, chosen: "slice | np.ndarray") -> "Judged":
        """Some rows."""
        parts: dict[str, Any] = {name: None if part is None else part[chosen] for name, part in vars(self).items()}
        return Judged(**parts)

    def values(self) -> dict[str, float]:
        """The metrics, where each row counts once."""
        import numpy as np

        return {name: values.item() for name, values in self.metrics(np.ones((1, len(self)))).items()}

    def metrics(self, weights: "np.ndarray") -> "dict[str, np.ndarray]":
        """The metrics where each row counts as often as its weight says.

        Args:
            weights: whole numbers as float64, (samples, rows).

        Returns:
            Each metric by its name: (samples,).
        """
        return self.of_classes(weights) if self.probabilities is not None else self.of_numbers(weights)

    def of_classes(self, weights: "np.ndarray") -> "dict[str, np.ndarray]":
        """`accuracy`, `macro_f1`, `log_loss` and `brier` (the squared error of all probabilities of a row, 0 to 2).

        Macro F1 is the mean of the classes that occur or are predicted.
        """
        import numpy as np

        probabilities = np.asarray(self.probabilities)
        count, rows = probabilities.shape[1], np.arange(len(self))
        chances = probabilities[rows, self.targets]
        brier = np.square(probabilities).sum(axis=1) - 2 * chances + 1
        correct = self.targets == self.predicted
        means = np.stack([correct, -np.log(chances.clip(min=SMALLEST)), brier], axis=1)
        accuracy, log_loss, squared = (weights @ means / weights.sum(axis=1, keepdims=True)).T
        macro = []
        for weight in weights:
            hits = np.bincount(self.targets, weight * correct, count)
            both = np.bincount(self.targets, weight, count) + np.bincount(self.predicted, weight, count)
            macro.append((2 * hits / both.clip(min=1))[both > 0].mean())
        return {"accuracy": accuracy, "macro_f1": np.array(macro), "log_loss": log_loss, "brier": squared}

    def of_numbers(self, weights: "np.ndarray") -> "dict[str, np.ndarray]":
        """`rmse`, `mae`, `r2`, and `coverage` where there are intervals: the share of targets within them."""
        import numpy as np

        errors, centre = self.predicted - self.targets, self.targets.mean()
        # Squares of tiny numbers would be zero.
        unit = max(np.abs(errors).max(), np.abs(self.targets - centre).max()) or 1.0
        scaled, distances = errors / unit, (self.targets - centre) / unit
        columns = [np.square(scaled), np.abs(scaled), distances, np.square(distances)]
        if self.low is not None:
            columns.append(self.inside)
        means = weights @ np.stack(columns, axis=1) / weights.sum(axis=1, keepdims=True)
        squares, sizes, middle, spread, *inside = means.T
        variance = spread - np.square(middle)
        variance = np.where(variance > ROUNDING * spread, variance, 0.0)
        explained = np.where(variance > 0, 1 - squares / np.where(variance > 0, variance, 1), squares == 0)
        metrics = {"rmse": unit * np.sqrt(squares), "mae": unit * sizes, "r2": explained}
        return metrics | ({"coverage": inside[0]} if inside else {})


def resamples(judged: Judged, seed: int = SEED) -> "Iterator[np.ndarray]":
    """How often each row is in each resample: float64, (samples, rows), in chunks.

    A resample draws as many rows as there are, with replacement; or as many groups, each with all of its rows.
    """
    import numpy as np

    generator, rows, units = np.random.default_rng(seed), len(judged), judged.units
    group_of = None if judged.groups is None else np.unique(judged.groups, return_inverse=True)[1]
    left = min(MOST_SAMPLES, max(FEWEST_SAMPLES, DRAWS // rows))
    while left:
        samples = min(left, max(CHUNK // rows, 1))
        drawn = generator.integers(0, units, (samples, units)) + np.arange(samples)[:, None] * units
        counts = np.bincount(drawn.ravel(), minlength=samples * units).reshape(samples, units).astype(np.float64)
        yield counts if group_of is None else counts[:, group_of]
        left -= samples


def intervals(judged: Judged) -> dict[str, Interval]:
    """The interval of each metric of some rows; none if they are a single group of several rows."""
    import numpy as np

    rows, units, some = len(judged), judged.units, judged.some(MOST_ROWS)
    if units < min(rows, 2):
        return {}
    values, centres = judged.values(), some.values()
    parts = [some.metrics(weights) for weights in resamples(some)]
    narrowed = math.sqrt(len(some) / rows)
    found = {}
    for name, value in values.items():
        samples = np.concatenate([part[name] for part in parts])
        if name in SHARES:
            spread = samples.std().item() * narrowed
            found[name] = wilson(value, rows if judged.groups is None else effective_rows(value, spread, rows, units))
        else:
            found[name] = interval(value + (samples - centres[name]) * narrowed, units)
    return found


def effective_rows(share: float, spread: float, rows: int, groups: int) -> float:
    """How many independent rows tell as much about a share as rows in groups, with allowance for few groups.

    E. L. Korn, B. I. Graubard, "Confidence intervals for proportions with small expected number of positive counts estimated
    from survey data", Survey Methodology 24 (1998). If all rows are alike, their spread is unknown, and groups count once.

    Args:
        share: of the rows.
        spread: the standard deviation of the share in resamples of groups.
        rows: their number.
        groups: the number of groups.
    """
    alike = share * (1 - share) / spread**2 if spread > 0 else groups
    return max(1.0, min(alike * (Z / t_quantile(groups - 1)) ** 2, rows))


def interval(samples: "np.ndarray", rows: int) -> Interval:
    """The percentiles of a metric of resamples that are its 95 % interval.

    They are those of a t distribution, times sqrt(n / (n - 1)): plain percentiles are too narrow for few rows (T. Hesterberg,
    "What teachers should know about the bootstrap", The American Statistician 69, 2015, section 5.2).
    """
    import numpy as np

    tail = normal_tail(t_quantile(max(rows - 1, 1)) * math.sqrt(rows / max(rows - 1, 1)))
    low, high = np.quantile(samples, [tail, 1 - tail]).tolist()
    return {"low": significant(low), "high": significant(high)}


def normal_tail(deviations: float) -> float:
    """The share of a normal distribution above this number of standard deviations."""
    return math.erfc(deviations / math.sqrt(2)) / 2


def t_quantile(freedom: int, z: float = Z) -> float:
    """A quantile of a t distribution.

    It is exact for 1 and 2 degrees of freedom, then to 1 % (the 99.9 % quantile from 5 on): the series of Abramowitz and
    Stegun (1964), 26.7.5.

    Args:
        freedom: the degrees of freedom.
        z: the same quantile of a normal distribution, above 0.
    """
    inside = 1 - 2 * normal_tail(z)
    if freedom == 1:
        return math.tan(math.pi * inside / 2)
    if freedom == 2:
        return inside * math.sqrt(2 / (1 - inside**2))
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return math.fsum([z, *(term / freedom**power for power, term in enumerate(terms, start=1))])


def wilson(share: float, rows: float) -> Interval:
    """Wilson's score interval of a share, which also holds near 0 and 1.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927), pages 209-212.
    """
    scale = 1 + Z**2 / rows
    middle = (share + Z**2 / (2 * rows)) / scale
    margin = Z * math.sqrt(share * (1 - share) / rows + (Z / (2 * rows)) ** 2) / scale
    return {"low": significant(max(middle - margin, 0.0)), "high": significant(min(middle + margin, 1.0))}
