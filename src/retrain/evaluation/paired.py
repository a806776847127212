"""The difference between two models on the same test rows, with its interval."""

import math
from dataclasses import dataclass
from typing import Any

from retrain.evaluation.intervals import MOST_ROWS, Judged, interval, resamples
from retrain.evaluation.verdict import HIGHER_IS_BETTER

__all__ = ["Difference", "differences"]


NEITHER = ("coverage",)
"""Metrics that are good at a value in the middle."""


@dataclass(frozen=True)
class Difference:
    """How much larger a metric of the second model is, and the 95 % interval of that."""

    metric: str
    value: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """Whether the second model is better, in words."""
        if self.low == self.high == 0:
            return "the same"
        if self.low <= 0 <= self.high:
            return "no difference can be told"
        if self.metric in NEITHER:
            return "higher" if self.value > 0 else "lower"
        return "better" if (self.value > 0) == (self.metric in HIGHER_IS_BETTER) else "worse"


def differences(first: Judged, second: Judged) -> dict[str, Difference]:
    """The difference in each metric that both have, from resamples: each has the same rows for both models.

    What makes a row hard for both models cancels out, so the interval is narrower than those of the two metrics suggest.
    B. Efron, R. J. Tibshirani, "An introduction to the bootstrap" (1993), chapter 8 for pairs.

    Args:
        first: the predictions of a model.
        second: those of another one, of the same rows in the same order.
    """
    import numpy as np

    rows, units, some = len(first), first.units, (first.some(MOST_ROWS), second.some(MOST_ROWS))
    values, centres = (difference(*(one.values() for one in pair)) for pair in ((first, second), some))
    parts = [difference(*(one.metrics(weights) for one in some)) for weights in resamples(some[0])]
    narrowed = math.sqrt(len(some[0]) / rows)
    found = {}
    for name, value in values.items():
        samples = np.concatenate([part[name] for part in parts])
        ends = interval(value + (samples - centres[name]) * narrowed, units)
        found[name] = Difference(name, value, ends["low"], ends["high"])
    return found


def difference(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """The second value less the first one, for each metric of both; or arrays of values."""
    return {name: second[name] - value for name, value in first.items() if name in second}
