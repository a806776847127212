"""Values that a model does not know: numbers as in another unit, dates of other times, categories in another spelling, and none at all."""

import math
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from retrain import schema
from retrain.data.repairs import plain

import numpy as np

if TYPE_CHECKING:
    from retrain.data.encoders import Encoder

    import pandas as pd

__all__ = ["CLEARLY", "Unfamiliar", "are_strange_gaps", "clearly_more", "percent"]


SHOWN = 3
"""The number of unknown categories that are named."""
BEYOND = 0.1
"""How far outside the dates of the training a date may be, as a share of their time."""


OFTEN, CLEARLY, BY_CHANCE = 0.1, 3, 0.01
"""Gaps are strange in more than a tenth of the rows, and more than three times the usual number; fewer spoil few answers, or may be
chance. The usual number counts as 1 if it is between 0.01 and 1, because a small file may have one gap by chance."""


@dataclass
class Unfamiliar:
    """Counts values that the model does not know: numbers as in another unit, dates of other times, categories as in another spelling, and none at all."""

    encoder: "Encoder"
    rows: int = 0
    numbers: dict[str, tuple[int, float]] = field(default_factory=dict)
    """Of each column, the number of strange values, and the first one."""
    dates: dict[str, tuple[int, Any]] = field(default_factory=dict)
    """The same of dates."""
    distant: dict[str, tuple[int, float]] = field(default_factory=dict)
    """The same of values outside the inner half of the usual range: strange if most rows have one, as in another unit."""
    categories: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    """Of each column, the number of unknown values, and the first different ones."""
    misspelt: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    """The same of those that a known value is similar to, such as 1067 to 01067."""
    empty: Counter[str] = field(default_factory=Counter)
    """Of each column, the number of rows without a value, but with another one."""
    blank: int = 0
    """The rows without any value."""
    units: Mapping[str, str] = field(default_factory=dict)
    """The units that all numbers of some columns had in the training file: `prepare.format.units_in`."""
    bare: dict[str, tuple[int, Any]] = field(default_factory=dict)
    """Of each of these columns, the number of values without the unit, and the first one."""

    offsets: Mapping[str, bool] = field(default_factory=dict)
    """Whether the times of each column of dates had an offset in the training file: `Description.offsets`."""
    zones: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Of each of these columns, the number of values with and without an offset."""
    gaps: Mapping[str, float] = field(default_factory=dict)
    """Of each column, the share of the training rows without a value, if that is known: `Description.gaps`."""

    def add(self, columns: "Mapping[str, Any] | pd.DataFrame") -> None:
        """Count those of some rows: a table, or the values of each column."""
        from retrain.data.raw_rows import gaps, unknown

        empty, blank = gaps(columns, self.encoder)
        self.empty.update(empty)
        self.blank += blank
        self.rows += len(columns[self.encoder.columns[0]])
        for name, (low, high) in self.encoder.ranges.items():
            values = np.asarray(columns[name])
            if values.dtype.kind == "M":
                days = values.astype("datetime64[D]").astype("int64")
                margin = BEYOND * (high - low)
                outside = (days < math.floor(low - margin)) | (days > high + margin)
                count(self.dates, name, values[outside & ~np.isnat(values)])
                continue
            values = values.astype(np.float64)
            inner_low, inner_high = inner_half(low, high)
            distant = values[(values < inner_low) | (values > inner_high)]
            count(self.distant, name, distant)
            count(self.numbers, name, distant[(distant < low) | (distant > high)])
        for name, others in unknown(columns, self.encoder).items():
            similar = {bare(value) for value in self.encoder.known[name]}
            alike = [value for value in others if bare(value) in similar]
            for found, some in ((self.categories, others), (self.misspelt, alike)):
                before, first = found.get(name, (0, []))
                found[name] = before + len(some), list(dict.fromkeys(first + some))[:SHOWN]

    def warnings(self) -> Iterator[str]:
        """What to say about each column with strange values, and about empty rows."""
        yield from self.of_numbers()
        yield from self.of_times()
        yield from self.of_categories()
        yield from self.of_gaps()

    def of_numbers(self) -> Iterator[str]:
        """What to say about numbers that may have another unit."""
        most = {name: found for name, found in self.distant.items() if found[0] > self.rows / 2}
        ends = {one.column: one.ends for one in getattr(self.encoder, "numbers", ()) if one.part is None and one.edges}
        for name, (some, first) in (self.numbers | most).items():
            known = ends.get(name) or outwards(*inner_half(*self.encoder.ranges[name]))
            usual = f"{'' if name in ends else 'about '}{known[0]:g} to {known[1]:g}"
            far = f"such as {first:g}, are far outside what the model was trained on"
            yield f"column '{name}': {some:,} of {self.rows:,} rows, {far} ({usual}); check the unit"
        for name, (some, value) in self.bare.items():
            unit = self.units[name]
            if unicodedata.category(unit[0]) != "Sc":  # an amount of money is in the usual currency
                counts = f"such as {value}, lack the '{unit}' of the training file; {value} counts as {value} {unit}"
                yield f"column '{name}': {some:,} of {self.rows:,} rows, {counts}"

    def of_times(self) -> Iterator[str]:
        """What to say about dates of other times, and times with other offsets."""
        for name, (some, first) in self.dates.items():
            begin, end = (np.datetime64(math.floor(day), "D") for day in self.encoder.ranges[name])
            outside = (
                f"such as {str(first).partition('T')[0]}, are outside the dates of the training ({begin} to {end})"
            )
            advice = "check the year, and expect larger errors than in the report"
            yield f"column '{name}': {some:,} of {self.rows:,} rows, {outside}; {advice}"
        for name, (some, others) in self.zones.items():
            if others and self.offsets[name]:
                fact = "have no offset from UTC, but those of the training file usually have one; they count as UTC"
                yield f"column '{name}': the times of {others:,} of {self.rows:,} rows {fact}: add it, such as +02:00"
            if some and not self.offsets[name]:
                fact = "have an offset, but those of the training file usually have none; they are converted to UTC"
                yield f"column '{name}': the times of {some:,} of {self.rows:,} rows {fact}: write local times as there"

    def of_categories(self) -> Iterator[str]:
        """What to say about unknown categories. Rare ones are unknown too, so some are usual."""
        mostly = {name: found for name, found in self.categories.items() if found[0] > self.rows / 2}
        for name, (some, values) in (self.misspelt | mostly).items():
            if some:
                shown = ", ".join(map(schema.shown, values))
                fact = f"the model does not know the values of {some:,} of {self.rows:,} rows, such as {shown}"
                known = {bare(value): value for value in sorted(self.encoder.known[name])}
                alike = [schema.shown(known[bare(value)]) for value in values if bare(value) in known]
                meant = f": did you mean {', '.join(dict.fromkeys(alike))}?" if alike else ""
                yield f"column '{name}': {fact}; they may be new, rare or misspelt{meant}"

    def of_gaps(self) -> Iterator[str]:
        """What to say about values that are missing."""
        for name, share in self.gaps.items():
            some = self.empty[name]
            if are_strange_gaps(some, share, self.rows):
                others = f"only {percent(share)}" if share else "none"
                fact = f"{some:,} of {self.rows:,} rows lack a value, but {others} of the training rows did"
                yield f"column '{name}': {fact}; fill it, or expect larger errors than in the report"
        if self.blank:
            fact = f"all inputs of {self.blank:,} of {self.rows:,} rows are empty, so their answers mean nothing"
            yield f"{fact}; leave out these rows"


def clearly_more(some: int, usual: float) -> bool:
    """Whether some rows are more than chance explains, where so many are usual."""
    return some > CLEARLY * max(usual, float(usual > BY_CHANCE))


def are_strange_gaps(some: int, share: float, rows: int) -> bool:
    """Whether some of the rows lack a value clearly more often than the share that is usual."""
    return some > OFTEN * rows and clearly_more(some, share * rows)


def percent(share: float) -> str:
    """A share with two digits, such as 0.025 %."""
    return f"{np.format_float_positional(100 * share, 2, fractional=False, trim='-')} %"


def bare(category: str) -> str:
    """What is left of a category without its spelling, all spaces and leading zeros."""
    return plain(category).replace(" ", "").lstrip("0")


def inner_half(low: float, high: float) -> tuple[float, float]:
    """The ends of the inner half of a range."""
    quarter = (high - low) / 4
    return low + quarter, high - quarter


def outwards(low: float, high: float) -> tuple[float, float]:
    """The ends of a range, rounded to a hundredth to a tenth of it, so that the range becomes larger."""
    step = 10.0 ** (math.floor(math.log10(high - low or 1.0)) - 1)
    return math.floor(low / step) * step, math.ceil(high / step) * step


def count(found: dict[str, tuple[int, Any]], name: str, values: np.ndarray) -> None:
    """Add the number of some values of a column; the first one stays."""
    if len(values):
        before, first = found.get(name, (0, values[0]))
        found[name] = before + len(values), first
