"""One column of a table, and what is counted in it."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from retrain import schema
from retrain.data.dialect import FIRST, LOOKED_AT, MOSTLY, signs_of
from retrain.data.file_format import MARKERS, ODD_SHARE
from retrain.data.inspection.column import Column, shown
from retrain.data.sql_table import Table, literal

__all__ = ["FEW_CLASSES", "FEW_ODD", "LONG", "NO_DATES", "PARTED", "Look", "far_away", "looked_at", "rows_of", "sides"]


LONG = 40.0
"""Characters in an average value from which it is a text, even if it is one word."""
FEW_CLASSES = 20
WORDS_ALONE = "(words)"
NO_DATES = ("0000-00-00", "0000-00-00 00:00:00", "00.00.0000", "00/00/0000", "nat")
"""What databases and pandas write for a missing date, in lower case."""
FEW_ODD = 5
"""Different values that are not numbers in a column of numbers."""
SIDES = (("DR", "CR"), ("S", "H"), ("D", "C"), ("DB", "CR"), ("SOLL", "HABEN"), ("DEBIT", "CREDIT"))
"""What banks write behind amounts that are paid, and behind those that are received."""
PARTED = r"\d\s?[.,:/'\x{2019}HhMm]\s?\d"
"""What times, amounts and dates have, but few codes: digits, a sign between them, and digits."""


@dataclass(frozen=True)
class Look:
    """One column, and what was counted in it.

    Its values are `v` in the database's table `looked`: empty where they are missing. If some of them are numbers, that table
    also has the numbers as `x`: NULL for other values.
    """

    table: Table
    name: str
    missing: int
    """Rows in which it is empty."""
    filled: int
    """The other rows."""
    distinct: int
    numbers: int
    """Rows in which it is a number."""
    bracketed: int
    """Of these, rows with a number in parentheses."""
    odd: dict[str, int]
    """Values that are not numbers, by how often they occur; the most frequent ones."""

    @property
    def sample(self) -> str:
        """The query of the first values that are not missing, by the format or by what people write for it."""
        marked = f"lower(v) in ({', '.join(map(literal, (*MARKERS, *NO_DATES)))})"
        return f"(select v from looked where not {marked} limit {LOOKED_AT})"

    @property
    def markers(self) -> dict[str, int]:
        """The values that people write for a missing one, by how often they occur."""
        marked = ", ".join(map(literal, (*MARKERS[1:], *NO_DATES)))
        return dict(self.select("v, count(*)", f"where lower(v) in ({marked}) group by 1 order by 1"))

    @property
    def strangers(self) -> list[str]:
        """Values that are neither numbers nor signs of a missing one."""
        return [text for text in self.odd if text.lower() not in MARKERS]

    @property
    def strange(self) -> int:
        """Rows with a stranger."""
        return self.filled - self.numbers - sum(self.odd[text] for text in self.odd if text.lower() in MARKERS)

    @property
    def is_varied(self) -> bool:
        """Whether it has many different values."""
        return self.distinct > FEW_CLASSES and self.distinct > 0.1 * self.filled

    @property
    def amounts(self) -> list[str]:
        """Strangers that have digits, such as <0.5 and 5.2k, and are not objects."""
        return [text for text in self.strangers if re.search(r"^[^{]*\d", text)]

    def almost_numbers(self, otherwise: str = "codes") -> tuple[str, ...]:
        """What to say about a column of words if most of them are numbers; if they are not, they are what `otherwise` says."""
        share, strangers = 1 - self.strange / max(1, self.filled), self.strangers
        if WORDS_ALONE in strangers or not strangers or share < MOSTLY:
            return ()
        words = ", ".join(f"{shown(text)} ({rows_of(self.odd[text])})" for text in strangers[:3])
        fact = f"{share:.0%} of {shown(self.name)} are numbers, but {words} {'are' if strangers[1:] else 'is'} not"
        hint = "if that means a missing value, add it with --missing"
        return (f"{fact}: {f'write them as numbers too, unless they are {otherwise}' if self.amounts else hint}",)

    def mixed(self, *, are_numbers: bool) -> tuple[str, ...]:
        """What to say about values with different units, or with and without one."""
        known = self.table.format.units_of(self.name)
        values = "(select v from looked where x is not null)" if are_numbers else self.sample
        (letters,) = self.ask("coalesce(avg(length(v)), 0)", values) if known or not are_numbers else (LONG,)
        signs = signs_of(self.table, values, known) if letters < LONG else []
        if not signs[1:] or not (known or self.ask(f"bool_or(regexp_matches(v, {literal(PARTED)}))", values)[0]):
            return ()
        units = [sign for sign in signs if sign]
        named = schema.enumerated([*map(shown, units), *(() if all(signs) else ("no unit",))])
        read = "are read alike" if are_numbers else "are not read as numbers"
        hint = sides(units) or "write all of them in one unit"
        if len(units) == 1 and not are_numbers:
            hint += f", or add --units {shlex.quote(units[0])} if these mean the same"
        return (f"values in {shown(self.name)} with {named} {read}: {hint}",)

    @property
    def lost(self) -> tuple[str, ...]:
        """What to say about a column of numbers in which amounts count as missing."""
        fact = f"{', '.join(map(shown, self.amounts))} in {shown(self.name)} "
        many = "are not numbers, so they count" if self.amounts[1:] else "is not a number, so it counts"
        return (f"{fact}{many} as missing: write numbers instead",) if self.amounts else ()

    @property
    def absent(self) -> str:
        """What to say about the values of a column of numbers that are not numbers."""
        return self.missing_if(self.odd)

    @staticmethod
    def missing_if(odd: Mapping[str, int]) -> str:
        """What to say about values that count as missing, by how often they occur; empty if there are none."""
        rows = rows_of(sum(odd.values()))
        return f"; {', '.join(map(shown, list(odd)[:3]))} ({rows}) counts as missing" if odd else ""

    @cached_property
    def in_parentheses(self) -> str:
        """A whole number in parentheses that may be a label, such as (1): there are few different values, or no others; else nothing."""
        if not self.bracketed or (self.distinct > FEW_CLASSES and self.bracketed < self.numbers):
            return ""
        what = f"min(v) filter (starts_with(v, '(')), bool_or(regexp_matches(v, {literal(PARTED)}))"
        first, is_amount = self.ask(what, "looked where x is not null")
        return "" if is_amount else first

    @cached_property
    def ends(self) -> tuple[float, float]:
        """The smallest and the largest number."""
        low, high = self.ask("min(x), max(x)")
        return low, high

    @property
    def is_numeric(self) -> bool:
        """Whether it holds numbers, apart from a few values."""
        fits = self.strange <= ODD_SHARE * self.filled and len(self.strangers) <= FEW_ODD
        return self.numbers > 0 and fits and not self.in_parentheses

    def ask(self, what: str, source: str = "looked") -> tuple[Any, ...]:
        """The only row of a query on the column, or on a part of it."""
        return self.table.ask(what, source)

    def select(self, what: str, tail: str) -> list[tuple[Any, ...]]:
        """The rows of a query on the column."""
        return self.table.connection.execute(f"select {what} from looked {tail}").fetchall()

    def column(self, kind: str, why: str, **more: Any) -> Column:
        """What was found out."""
        return Column(self.name, kind, why, self.missing, self.distinct, **more)


def sides(signs: Sequence[str]) -> str:
    """What to do about amounts with CR and DR, or S and H, behind them; nothing for other signs."""
    by_side = {sign.upper() if len(sign) > 1 else sign: sign for sign in signs}
    for pair in SIDES:
        if by_side.keys() == {*pair}:
            paid, received = map(by_side.__getitem__, pair)
            return f"{paid} and {received} are signs, so write - in front of the number for {paid}, and nothing for {received}"
    return ""


def far_away(named: str, count: int) -> str:
    """What to say about values that count as missing because they are far from the others; empty if there are none."""
    many = "are far from all others, so they count" if count > 1 else "is far from all others, so it counts"
    return f"; {named} {many} as missing" if count else ""


def rows_of(count: int) -> str:
    """A number of rows in words."""
    return "1 row" if count == 1 else f"{count:,} rows"


@contextmanager
def looked_at(table: Table, name: str) -> Iterator[Look]:
    """Count what is in a column.

    It becomes a table of its own: of a wide table, each question would take longer. Numbers are converted once.
    """
    database = table.connection
    values = f"coalesce({table.value(name)}, '') as v, {table.is_pointed(name)}"
    database.execute(f"create or replace temp table looked as select {values} from rows")
    missing, filled, distinct = table.ask(
        "count(*) filter (v = ''), count(*) filter (v <> ''), count(distinct hash(v)) filter (v <> '')", "looked"
    )
    number = table.number_in("v", name)
    (numeric,) = table.ask(f"avg(({number} is not null)::int)", f"(select * from looked where v <> '' limit {FIRST})")
    numbers, bracketed, odd = 0, 0, {WORDS_ALONE: filled}
    if numeric and numeric > 0.1:
        database.execute(f"create or replace temp table looked as select v, {number} as x from looked")
        words = "select v, count(*) from looked where v <> '' and x is null group by 1 order by 2 desc, 1 limit 50"
        odd = dict(database.execute(words).fetchall())
        numbers, bracketed = table.ask("count(x), count(x) filter (starts_with(v, '('))", "looked")
    yield Look(table, name, missing, filled, distinct, numbers, bracketed, odd)
    database.execute("drop table looked")
