"""Rows that belong together, such as those of one customer, and rows in order of time.

A model that knows the customer looks better than it is.
"""

import shlex
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from retrain.data.inspection.column import Column, shown
from retrain.data.inspection.dialect import LOOKED_AT
from retrain.data.inspection.look import FEW_CLASSES
from retrain.data.inspection.number_columns import IDENTIFIER, YEARS, is_year_name
from retrain.data.reading.expressions import moment
from retrain.data.reading.file_format import is_clock
from retrain.data.reading.sql_table import Table

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["order_of_time", "rows_of_one"]


EACH = 1.5
"""Rows that each value of a column of groups has on average, at least."""
FEW_EACH = 10
"""Rows that each value has at most, if a similar target is enough: streets and agents have more."""
FEWEST, FEWEST_DIFFERENT = 50, 20.0
"""Further rows of a value, at least; and how many of them would differ by chance."""
SAME, ALIKE, CONSTANT = 0.1, 0.7, 0.02
"""How much rows of one value differ, compared with any rows: if they have nearly the same target, a similar one, and the same
input."""
SHARED = 2
"""Inputs that rows of one value share, from which the value names somebody or something."""
NAMED = 3
"""Inputs that the message names."""
TRIED = 6
"""Columns that are compared with all others."""
ROUGH = 0.5
"""How much neighbouring numbers differ in the target, compared with any numbers, if they are names."""


def order_of_time(table: Table, inputs: Sequence[Column]) -> Column | None:
    """The first column of dates or years that grows, or falls, from each row to the next one; None if there is none."""
    for own in inputs:
        if own.distinct != len(table) or own.kind not in ("dates", "numbers") or is_clock(own.date_format):
            continue
        is_number = own.kind == "numbers"
        if is_number and not is_year_name(own.name):
            continue
        time = table.number(own.name) if is_number else moment(table.value(own.name), own.date_format)
        are_years = f"bool_and(t = floor(t) and t between {YEARS[0]} and {YEARS[1]})" if is_number else "true"
        steps = f"(select {time} as t, lag({time}) over (order by rowid) as before from rows)"
        if all(table.ask(f"count(t) = count(*), {are_years}, bool_and(t > before) or bool_and(t < before)", steps)):
            return own
    return None


def rows_of_one(
    table: Table, columns: Sequence[Column], target: str, copies: Collection[Column], telling: Collection[Column]
) -> Iterator[tuple[Column, str]]:
    """A column whose rows of one value have nearly the same target, if there is one, and what to say about it.

    A similar target is enough for an ID, and for few rows.

    Args:
        table: the rows.
        columns: what the columns hold, the target first.
        target: the expression of the target.
        copies: columns that are copies of the target.
        telling: other columns that alone tell the target.
    """
    known = [own for own in columns[1:] if table.names.count(own.name) == 1 and own.name not in table.unread]
    fitting = [own for own in known if FEW_CLASSES < own.distinct <= len(table) / EACH and not own.has_parts]
    candidates = [own for own in fitting if own not in copies]
    used = [table.column(own.name) for own in known if own.kind != "leave_out"]
    if not candidates or not used:
        return
    rows, is_label = Rows(table, target, used), columns[0].predict == "label"
    targets = rows.codes([target])[0] if is_label else rows.values([target])[0].rank().to_numpy()
    measured = zip(candidates, rows.codes([table.column(own.name) for own in candidates]), strict=True)
    found = [(own, codes, share) for own, codes in measured if (share := within(codes, targets)) <= ALIKE]
    found = sorted(found, key=lambda one: (not is_named(one[0]), one[0].kind == "numbers", one[2]))[:TRIED]
    inputs = rows.codes([table.column(own.name) for own in known]) if found else []
    likely = []
    for own, codes, share in found:
        others = [(one.name, values) for one, values in zip(known, inputs, strict=True) if one is not own]
        shared = [name for name, values in others if within(codes, values) <= CONSTANT]
        # An amount that tells the target tells the other inputs, too, but names nobody.
        is_id, is_same, is_one = is_named(own), share <= SAME, len(shared) >= SHARED and own not in telling
        is_few = len(table) <= FEW_EACH * own.distinct
        is_word = own.kind != "numbers"
        if (
            is_id
            or (is_one and (is_same or is_few))
            or (is_same and (is_word or are_names(rows.numbers(own), targets)))
        ):
            likely.append(((is_id, is_word, is_one, is_same, len(shared)), own, shared))
    if likely:
        (*_, is_same, _), own, shared = max(likely, key=lambda one: one[0])
        same = "nearly the same" if is_same else "a similar"
        also = f", and share {', '.join(map(shown, shared[:NAMED]))}" if len(shared) >= SHARED else ""
        each = f"{own.distinct:,} values, {len(table) / own.distinct:.0f} rows each"
        name = shlex.quote(own.name)
        is_time = own.kind == "dates" and not is_clock(own.date_format)
        options = f"--time {name}, or --group {name}" if is_time else f"--group {name}"
        hint = f"if new rows have other values, the test looks too good: add {options}"
        if own in telling and not is_named(own):
            hint += f"; and if the value is not known when you predict, --leave-out {name}"
        yield own, f"rows with the same {shown(own.name)} ({each}) have {same} target{also}: {hint}"


def is_named(column: Column) -> bool:
    """Whether a column is called an ID."""
    return IDENTIFIER.search(column.name) is not None


class Rows:
    """Some rows with a target, each with other inputs: copies share a split."""

    def __init__(self, table: Table, target: str, used: Sequence[str]) -> None:
        """Choose the rows, by their number, of the first of those with the same inputs."""
        self.table = table
        some = f"(select rowid as id from rows where {target} is not null order by hash(rowid) limit {LOOKED_AT})"
        chosen = f"select min(id) as id from rows join {some} on rows.rowid = id group by hash({', '.join(used)})"
        table.connection.execute(f"create or replace temp table chosen as {chosen}")

    def values(self, expressions: Sequence[str]) -> "list[pd.Series[Any]]":
        """The values of some expressions, row by row."""
        named = {f"v{place}": expression for place, expression in enumerate(expressions)}
        rows = self.table.to_pandas(named, "join chosen on rows.rowid = chosen.id order by chosen.id")
        return [rows[name] for name in named]

    def numbers(self, column: Column) -> "np.ndarray[Any, Any]":
        """The numbers of a column, row by row; NaN where one is missing."""
        return self.values([self.table.number(column.name)])[0].to_numpy(dtype=np.float64)

    def codes(self, expressions: Sequence[str]) -> "list[np.ndarray[Any, Any]]":
        """The number of each different value of some expressions, row by row; -1 where it is empty."""
        (empty,) = self.table.ask("hash('')", "(select 1)")
        hashed = self.values([f"hash({own})" for own in expressions])
        return [np.where(values == empty, -1, values.factorize()[0]) for values in hashed]


def within(groups: "np.ndarray[Any, Any]", values: "np.ndarray[Any, Any]") -> float:
    """How much rows of one group differ in a value, compared with any rows: from 0 to about 1; 1 if there are too few rows.

    Args:
        groups: the number of the group of each row; -1 if it has none.
        values: codes of values as integers, or numbers as floats.
    """
    there = groups >= 0
    groups, values = groups[there], values[there]
    sizes = np.bincount(groups)
    rows, further = len(groups), len(groups) - np.count_nonzero(sizes)
    if further < FEWEST:
        return 1.0
    if values.dtype.kind == "f":
        values = values - values.mean()
        squares = values @ values
        total, inside = squares, squares - (np.bincount(groups, values)[sizes > 0] ** 2 / sizes[sizes > 0]).sum()
    else:
        values = values - values.min()
        pairs, counts = np.unique(groups.astype(np.int64) * (values.max() + 1) + values, return_counts=True)
        total = rows - (np.bincount(values).astype(np.float64) ** 2).sum() / rows
        inside = rows - (counts.astype(np.float64) ** 2 / sizes[pairs // (values.max() + 1)]).sum()
        if total / rows * further < FEWEST_DIFFERENT:
            return 1.0
    return float((inside / further) / (total / (rows - 1))) if total else 1.0


def are_names(numbers: "np.ndarray[Any, Any]", targets: "np.ndarray[Any, Any]") -> bool:
    """Whether whole numbers are names, such as 4711: then neighbouring ones differ in the target as any two do.

    Args:
        numbers: the number of each row, NaN where it is missing.
        targets: codes of targets as integers, or ranks as floats.
    """
    there = np.isfinite(numbers)
    numbers, targets = numbers[there], targets[there]
    if (numbers != np.floor(numbers)).any():
        return False
    order = np.lexsort((targets, numbers))
    firsts = np.unique(numbers[order], return_index=True)[1]
    middles = targets[order][(firsts + np.append(firsts[1:], len(order)) - 1) // 2]
    mixed = np.random.default_rng(0).permutation(middles)

    def differ(some: "np.ndarray[Any, Any]") -> float:
        return float(np.abs(np.diff(some)).mean() if some.dtype.kind == "f" else (np.diff(some) != 0).mean())

    return differ(middles) > ROUGH * differ(mixed)
