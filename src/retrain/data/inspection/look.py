"""One column of a table, and what is counted in it."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from retrain import schema
from retrain.data.inspection.column import Column, shown
from retrain.data.inspection.dialect import FIRST, HAS_DIGIT, HAS_SIGN, LOOKED_AT, MOSTLY, SIGNS, signs_of
from retrain.data.reading.expressions import literal
from retrain.data.reading.file_format import MARKERS, ODD_SHARE
from retrain.data.reading.sql_table import WIDE, Table

__all__ = [
    "FEW_CLASSES",
    "FEW_ODD",
    "LONG",
    "NO_DATES",
    "PARTED",
    "Look",
    "far_away",
    "looked_at",
    "looks",
    "rows_of",
    "sides",
]


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
class Alike:
    """Some columns that are looked at together, and the answers about them."""

    table: Table
    places: Sequence[int]
    known: dict[tuple[str, str], list[tuple[Any, ...]]] = field(default_factory=dict)
    """The rows of each query so far, by what it selects and its part of the table."""

    def select(self, what: str, source: str) -> list[tuple[Any, ...]]:
        """The rows of a query on the table `looked` of these columns."""
        if (what, source) not in self.known:
            looked = f"select * from together where c in ({', '.join(map(str, self.places))})"
            query = f"with looked as not materialized ({looked}) select {what} from {source}"
            self.known[what, source] = self.table.connection.execute(query).fetchall()
        return self.known[what, source]

    def facts(self, what: str, source: str) -> dict[int, tuple[Any, ...]]:
        """The answer about each column that has values in a part of the table."""
        return {place: tuple(found) for place, *found in self.select(f"c, {what}", f"{source} group by c")}


@dataclass(frozen=True)
class Look:
    """One column, and what was counted in it.

    To questions, its values are `v` in the table `looked`: empty where they are missing. If some of them are numbers, `x` are the
    numbers: NULL for other values. And `row` is the number of the row.
    """

    table: Table
    name: str
    place: int
    """The place `c` of the column among those that are looked at together."""
    alike: Alike
    """Those of them that hold numbers too, or hold none either."""
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

    @cached_property
    def alone(self) -> Alike:
        """The column, for questions that others do not have."""
        return Alike(self.table, [self.place])

    @property
    def sample(self) -> str:
        """The query of the first values that are not missing, by the format or by what people write for it."""
        marked = f"lower(v) in ({', '.join(map(literal, (*MARKERS, *NO_DATES)))})"
        return first_of(self.table, f"not {marked}", LOOKED_AT)

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
        values = "(select * from looked where x is not null)" if are_numbers else self.sample
        if are_numbers and not known:
            return ()
        lengths = f"coalesce(avg(length(v)), 0), coalesce(avg({HAS_DIGIT}::int) filter ({HAS_SIGN}), 0)"
        letters, digits = self.fact(lengths, values)
        may_have = letters < LONG and digits >= MOSTLY
        signs = signs_of(self.ask(SIGNS, f"{values} where {HAS_SIGN}"), known) if may_have else []
        if not signs[1:] or not (known or self.fact(f"bool_or(regexp_matches(v, {literal(PARTED)}))", values)[0]):
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
        low, high = self.fact("min(x), max(x)")
        return low, high

    @property
    def is_numeric(self) -> bool:
        """Whether it holds numbers, apart from a few values."""
        fits = self.strange <= ODD_SHARE * self.filled and len(self.strangers) <= FEW_ODD
        return self.numbers > 0 and fits and not self.in_parentheses

    def ask(self, what: str, source: str = "looked") -> tuple[Any, ...]:
        """The only row of a query on the column, or on a part of it."""
        ((*found,),) = self.select(what, source=source)
        return tuple(found)

    def fact(self, what: str, source: str = "looked") -> tuple[Any, ...]:
        """The same, for a question that other columns have too: it is asked once for all that are alike."""
        return self.alike.facts(what, source).get(self.place) or self.ask(what, source)  # none if it has no such values

    def select(self, what: str, tail: str = "", source: str = "looked") -> list[tuple[Any, ...]]:
        """The rows of a query on the column, or on a part of it."""
        return self.alone.select(what, f"{source} {tail}")

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


def are_few(table: Table) -> bool:
    """Whether a table has so few rows that several columns are looked at together."""
    return len(table) <= LOOKED_AT


@contextmanager
def looked_at(table: Table, name: str) -> Iterator[Look]:
    """Count what is in a column."""
    yield from looks(table, [name])


def looks(table: Table, names: Sequence[str]) -> Iterator[Look]:
    """Count what is in each of some columns. Each can be asked until the next one comes.

    They become a table of their own, several at once: of a wide table, each question would take longer. Numbers are converted once.
    """
    many = WIDE if are_few(table) else 1
    for begin in range(0, len(names), many):
        yield from looks_together(table, names[begin : begin + many])
        table.connection.execute("drop table together")


def looks_together(table: Table, names: Sequence[str]) -> Iterator[Look]:
    """The same for columns that become a table together."""
    mixed = {table.is_pointed(name) for name in names} - {"true", "false"}
    values = table.stacked([f"coalesce({table.value(name)}, '')" for name in names], others=sorted(mixed))
    table.connection.execute(f"create or replace temp table together as from {values}")
    columns = Alike(table, range(len(names)))
    counts = columns.facts(
        "count(*) filter (v = ''), count(*) filter (v <> ''), count(distinct hash(v)) filter (v <> '')", "looked"
    )
    number = number_of_each(table, names)
    shares = columns.facts(f"avg(({number} is not null)::int)", first_of(table, "v <> ''", FIRST))
    numeric = [place for place, (share,) in shares.items() if share > 0.1]
    x = f"case when c in ({', '.join(map(str, numeric))}) then {number} end" if numeric else "null::double"
    table.connection.execute(f"create or replace temp table together as select c, v, {x} as x, row from together")
    alike = {
        True: Alike(table, numeric),
        False: Alike(table, [place for place in columns.places if place not in numeric]),
    }
    for place, name in enumerate(names):
        is_numeric = place in numeric
        missing, filled, distinct = counts[place]
        column = Look(table, name, place, alike[is_numeric], missing, filled, distinct, 0, 0, {WORDS_ALONE: filled})
        if is_numeric:
            numbers, bracketed = column.fact("count(x), count(x) filter (starts_with(v, '('))")
            words = "where v <> '' and x is null group by 1 order by 2 desc, 1 limit 50"
            odd = dict(column.select("v, count(*)", words)) if numbers < filled else {}
            column = replace(column, numbers=numbers, bracketed=bracketed, odd=odd)
        yield column


def first_of(table: Table, which: str, count: int) -> str:
    """The query of the first rows of each column that a condition is true of."""
    of_each = f"qualify row_number() over (partition by c order by row) <= {count}"
    limit = "" if len(table) <= count else of_each if are_few(table) else f"limit {count}"
    return f"(select * from looked where {which} {limit})"


def number_of_each(table: Table, names: Sequence[str]) -> str:
    """The expression of `v` as a number, in the column at each place `c`."""
    found: dict[str, list[str]] = {}
    for place, name in enumerate(names):
        found.setdefault(table.number_in("v", name), []).append(str(place))
    cases = [f"when c in ({', '.join(places)}) then {number}" for number, places in found.items()]
    return f"(case {' '.join(cases)} end)" if cases[1:] else next(iter(found))
