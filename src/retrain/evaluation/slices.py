"""Slices: groups of test rows on which a model does worse, found among all groups that its inputs and targets define.

Who looks at many slices finds some that are worse by chance. So a p-value here is adjusted: it is the probability that,
if the inputs had nothing to do with the losses, any of the slices would be as conspicuous. This is the single-step max-T
procedure of Westfall and Young, "Resampling-Based Multiple Testing" (1993): losses are shuffled among the rows, and the
largest statistic of all slices is noted each time. It allows for slices that overlap.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from retrain.data.report_csv import Columns, significant

import numpy as np

__all__ = ["as_numbers", "groupings", "rows_looked_at", "rows_of", "worst_slices"]


MOST_ROWS = 100_000
"""Of more test rows, evenly spaced ones are looked at."""
SMALLEST, SMALLEST_SHARE = 20, 0.01
"""The fewest rows of a slice, and its smallest share of all rows."""
QUANTILES = 5
"""The number of groups of a number, if they are large enough."""
MOST_VALUES = 50
"""The most frequent values of a category that are looked at."""
SHUFFLES = 1_000
SHUFFLED_ROWS, SHUFFLED_CELLS = 10_000, 10_000_000
"""The most rows among which losses are shuffled, and the most rows times slices."""
SLICES_AT_ONCE = 256
LISTED = 10


@dataclass(frozen=True)
class Grouping:
    """Slices of which a row is in one at most, such as the values of a category."""

    names: Sequence[str]
    codes: np.ndarray
    """The slice of each row, or -1: int64, (rows,)."""


def rows_looked_at(rows: int, most: int = MOST_ROWS) -> np.ndarray:
    """The numbers of all rows, or of evenly spaced ones if there are more than `most`: int64."""
    return np.arange(0, rows, max(1, -(-rows // most)))


def worst_slices(groups: Sequence[Grouping], losses: np.ndarray, measure: str) -> Columns:
    """The slices whose mean loss is above that of the other rows, those with the strongest evidence first.

    The statistic of a slice is its mean loss, standardised by what shuffled losses would give. Shuffling is seeded. Of many
    rows, it uses evenly spaced ones, whose largest statistic has about the same distribution.

    Args:
        groups: from `groupings`.
        losses: the loss of each row, such as 1 for an error and 0 otherwise: float64, (rows,).
        measure: the name of the mean loss, such as `error_rate`.

    Returns:
        `slice`, `rows`, the measure, `others`, its value for all other rows, and `p_value`; at most ten rows. Of slices that
        are the same rows, the first is there.
    """
    names = [name for group in groups for name in group.names]
    scaled = losses / (losses.max() or 1.0)  # squares of tiny numbers would be zero
    counts, sums = (over_slices(groups, weights) for weights in (np.ones(len(losses)), losses))
    scores = standardised(counts, over_slices(groups, scaled), scaled)
    places = over_slices(groups, np.random.default_rng(0).random(len(losses)))  # equal for equal rows alone
    worse = [number for number in np.argsort(-scores, kind="stable").tolist() if scores[number] > 0]
    listed: dict[tuple[float, float], int] = {}
    for number in worse:
        listed.setdefault((counts[number], places[number]), number)
    chosen = list(listed.values())[:LISTED]
    largest = largest_of_shuffled(groups, scaled) if chosen else np.zeros(0)
    others = [(losses.sum() - sums[number]) / (len(losses) - counts[number]) for number in chosen]
    return {
        "slice": [names[number] for number in chosen],
        "rows": [int(counts[number]) for number in chosen],
        measure: [significant(sums[number] / counts[number]) for number in chosen],
        "others": list(map(significant, others)),
        "p_value": [
            significant((1 + int((largest >= scores[number] - 1e-9).sum())) / (1 + SHUFFLES)) for number in chosen
        ],
    }


def over_slices(groups: Sequence[Grouping], weights: np.ndarray) -> np.ndarray:
    """The sum of a weight over the rows of each slice: float64, (slices,)."""
    sums = [np.bincount(group.codes + 1, weights=weights, minlength=len(group.names) + 1)[1:] for group in groups]
    return np.concatenate([np.zeros(0), *sums])


def standardised(counts: np.ndarray, sums: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Sums of losses in standard deviations of the sums of as many rows drawn without replacement; 0 where that is 0.

    Shapes: counts (slices,), sums (slices,) or (slices, shuffles).
    """
    rows = len(losses)
    variances = losses.var() * counts * (rows - counts) / max(rows - 1, 1)
    shape = (-1,) + (1,) * (sums.ndim - 1)
    usual = np.sqrt(variances).reshape(shape)
    scores: np.ndarray = np.divide(
        sums - (counts * losses.mean()).reshape(shape), usual, out=np.zeros_like(sums), where=usual > 0
    )
    return scores


def largest_of_shuffled(groups: Sequence[Grouping], losses: np.ndarray) -> np.ndarray:
    """The largest statistic of all slices for each of `SHUFFLES` shuffles: float64, (shuffles,)."""
    slices = sum(len(group.names) for group in groups)
    some = rows_looked_at(len(losses), max(1_000, min(SHUFFLED_ROWS, SHUFFLED_CELLS // slices)))
    generator, own = np.random.default_rng(1), losses[some]
    shuffled = np.stack([generator.permutation(own) for _ in range(SHUFFLES)], axis=1)
    largest = np.full(SHUFFLES, -np.inf)
    for part in batches(groups):
        members = np.concatenate([group.codes[some] == np.arange(len(group.names))[:, None] for group in part])
        scores = standardised(members.sum(axis=1), members.astype(np.float64) @ shuffled, own)
        np.maximum(largest, scores.max(axis=0), out=largest)
    return largest


def batches(groups: Sequence[Grouping]) -> Iterator[list[Grouping]]:
    """Groupings of about `SLICES_AT_ONCE` slices together."""
    waiting: list[Grouping] = []
    for group in groups:
        waiting.append(group)
        if sum(len(one.names) for one in waiting) >= SLICES_AT_ONCE:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def groupings(
    inputs: Columns, kinds: Mapping[str, str], target: tuple[str, Any], unknown: np.ndarray | None = None
) -> list[Grouping]:
    """All slices of at least 20 rows and 1 % of the rows.

    They are rows where an input is missing; quantile groups of numbers, of dates, of the lengths of texts and of the share
    of unknown words; each frequent value of a category; and each class, or quantile groups of the target.

    Args:
        inputs: the input columns.
        kinds: what each holds: `number`, `category`, `text` or `date`.
        target: the name of the target and its values: a float64 array, or a list of classes.
        unknown: the share of each row's words that the train split does not have: float64, (rows,); NaN without words.
    """
    found = []
    for name, kind in kinds.items():
        values = inputs[name]
        missing = missing_in(values, kind)
        found.append(Grouping([f"{name} is missing"], np.where(missing, 0, -1)))
        if kind == "category":
            found.append(by_value(name, values))
        elif kind == "text":
            lengths = np.array(
                [np.nan if gone else len(text) for text, gone in zip(values, missing, strict=True)], np.float64
            )
            found.append(by_quantile(f"length of {name}", lengths, " characters"))
        else:
            found.append(by_quantile(name, np.asarray(values, "datetime64[s]" if kind == "date" else np.float64)))
    if unknown is not None:
        found.append(by_quantile("share of unknown words", unknown))
    name, values = target
    own = by_quantile(name, values) if isinstance(values, np.ndarray) else by_value(name, values)
    found.append(Grouping([f"target {one}" for one in own.names], own.codes))
    return [kept for group in found if (kept := large_enough(group)).names]


def missing_in(values: Any, kind: str) -> np.ndarray:
    """Whether each value of a column is missing: bool, (rows,)."""
    if kind in ("number", "date"):
        missing: np.ndarray = np.isnan(as_numbers(values))
        return missing
    return np.array([not value for value in values], bool)


def rows_of(values: Any, rows: np.ndarray) -> Any:
    """Some values of a column, or the column itself if they are all of them."""
    if len(rows) == len(values):
        return values
    return values[rows] if isinstance(values, np.ndarray) else [values[row] for row in rows.tolist()]


def as_numbers(values: Any) -> np.ndarray:
    """Numbers, or dates in seconds: float64, (rows,), NaN where a value is missing."""
    numbers = np.asarray(values)
    if numbers.dtype.kind != "M":
        return numbers.astype(np.float64)
    seconds: np.ndarray = np.where(np.isnat(numbers), np.nan, numbers.astype(np.int64).astype(np.float64))
    return seconds


def by_value(name: str, values: Sequence[str | None]) -> Grouping:
    """The frequent values of a category, or the classes, the most frequent first."""
    counts = Counter(value for value in values if value)
    frequent = [value for value, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_VALUES]]
    codes = {value: code for code, value in enumerate(frequent)}
    return Grouping(
        [f"{name}: {value}" for value in frequent], np.array([codes.get(value or "", -1) for value in values])
    )


def by_quantile(name: str, values: np.ndarray, unit: str = "") -> Grouping:
    """Groups of about equally many rows, from the smallest values to the largest. Equal values are in the same group."""
    there = np.flatnonzero(values == values)  # noqa: PLR0124 (neither NaN nor NaT)
    ordered = np.sort(values[there])
    groups = min(QUANTILES, int(len(ordered) // smallest(len(values))))
    starts = np.unique(ordered[[len(ordered) * number // groups for number in range(groups)]])
    codes = np.full(len(values), -1)
    if len(starts) < 2:
        return Grouping([], codes)
    codes[there] = np.searchsorted(starts, values[there], side="right") - 1
    lasts = ordered[np.append(np.searchsorted(ordered, starts[1:]) - 1, -1)]
    names = [f"{name} {between(low, high)}{unit}" for low, high in zip(starts, lasts, strict=True)]
    return Grouping(names, codes)


def between(low: Any, high: Any) -> str:
    """A range in words."""
    first, last = (
        f"{value:.4g}" if value.dtype.kind == "f" else str(value.astype("datetime64[D]")) for value in (low, high)
    )
    return first if first == last else f"from {first} to {last}"


def smallest(rows: int) -> float:
    """The smallest number of rows that a slice may have."""
    return max(SMALLEST, SMALLEST_SHARE * rows)


def large_enough(group: Grouping) -> Grouping:
    """The slices that have enough rows, and not all of them."""
    rows = len(group.codes)
    counts = np.bincount(group.codes + 1, minlength=len(group.names) + 1)[1:]
    kept = np.flatnonzero((counts >= smallest(rows)) & (counts < rows))
    codes = np.full(len(group.names) + 1, -1)
    codes[kept] = np.arange(len(kept))
    return Grouping([group.names[number] for number in kept.tolist()], codes[group.codes])
