"""Columns of numbers: codes, dates and missing values among them."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

from retrain.data.dialect import ODD_SHARE
from retrain.data.file_format import MARKERS
from retrain.data.inspection.column import Column, shown
from retrain.data.inspection.look import FEW_CLASSES, FEW_ODD, Look
from retrain.data.sql_table import literal
from retrain.errors import RetrainError

__all__ = ["no_numbers", "number_column", "numbers_of", "of_numbers"]


IDENTIFIER = re.compile(r"(^|[_ .])id$|^id([_ .]|$)|(?<=[a-z])I[dD]$|^index$")
FAR = 2.0
"""A frequent extreme value stands for a missing one if its distance to the others is this many times their range."""
SHORTER, LONGER = r"\d+|\d+\.\d*[1-9]", r"\d+[eE]\d+|\d+\.\d*[1-9]0+"
"""Spellings of one number that versions and codes have side by side: 1000 and 1E3, 3.1 and 3.10."""
EXPONENT, USUAL = r"\d+[eE]\d+", r".*([eE][+-]|\..*[eE]).*"
"""A number such as 12e3, which may be a code, and how programs write powers of ten: 1e+06 and 1.2E4."""
LONG_NUMBER = r"[+-]?\d{16,}"
"""A whole number with so many digits that it may be read as its neighbour."""
DAYS = (19000101, 21001231)
"""The first and the last date that is looked for among numbers."""
ANSWERS, NO_ANSWER = 20, re.compile(r"-?(77+|88+|9+[6-9])")
"""The largest answer on a scale, and the numbers by which survey programs write that there is none."""


def numbers_of(column: Look) -> tuple[str, ...]:
    """The values of a column of numbers that are words; raises RetrainError if they are too many."""
    if not column.filled:
        raise RetrainError(f"column '{column.name}'", "is empty", "choose another one")
    if column.numbers and len(column.strangers) <= FEW_ODD and column.strange <= column.filled / 2:
        return tuple(column.odd)
    raise no_numbers(column, "", "take it as a label or as categories")


def no_numbers(column: Look, more: str, otherwise: str) -> RetrainError:
    """The error of a column that has too many values that are not numbers, with one of them."""
    table = column.table
    wrong = table.wrong(column.name, table.number(column.name))
    row, text = min(wrong, key=lambda one: one[1].lower() in MARKERS, default=(0, ""))
    fact = f"holds {shown(text)}, which is not a number ({len(wrong):,} rows){more}"
    written = "say how numbers are written (--decimal, --thousands, --units), or which values are missing (--missing)"
    return RetrainError(table.place(row, column.name), fact, f"{written}, or {otherwise}")


def number_column(column: Look) -> Column:
    """A column whose values are numbers, or codes that look like numbers."""
    if code := code_column(column):
        return code
    low, high, distinct, found, whole = column.ask(
        "min(x), max(x), count(distinct x), count(x), count(*) filter (x = floor(x))"
    )
    unique = whole == found == distinct > FEW_CLASSES
    if unique and high - low < found + len(column.table.format.missing):
        return column.column("leave_out", "it numbers the rows")
    if unique and IDENTIFIER.search(column.name):
        return column.column("leave_out", "it has a different number in every row")
    name = shlex.quote(column.name)
    hints = f"--categories {name}", f"if so, add --dates {name} --date-format %Y%m%d"
    return of_numbers(column, "numbers", "numbers", *hints)


def code_column(column: Look) -> Column | None:
    """A column whose numbers are codes, because of how they are written; None if they may be numbers."""
    written, long = f"regexp_full_match(v, {literal(EXPONENT)})", f"regexp_full_match(v, {literal(LONG_NUMBER)})"
    zeros, exponents, texts, numbers = column.ask(
        f"count(*) filter (regexp_matches(v, '^0\\d+$')), count(*) filter ({written}), "
        f"count(distinct v) filter ({long}), count(distinct x) filter ({long})"
    )
    if zeros:
        return column.column("categories", f"{zeros:,} of its numbers begin with 0, so they are codes")
    if exponents == column.numbers:
        return column.column("categories", "all its numbers are written like 12e3, so they are codes")
    if texts > numbers and column.distinct == column.filled > FEW_CLASSES:
        return column.column("leave_out", "it has a different number in every row")
    if texts > numbers:
        return column.column("categories", "some of its numbers differ only behind 15 digits, so they are codes")
    return None


def of_numbers(column: Look, kind: str, what: str, as_codes: str, as_dates: str, **more: Any) -> Column:
    """A column of numbers, with what to add if they are codes, or dates."""
    low, high = column.ask("min(x), max(x)")
    sentinels, note = sentinels_of(column)
    return column.column(
        kind,
        f"{what} from {low:.6g} to {high:.6g}{note}{column.absent}",
        markers=tuple(column.odd),
        sentinels=sentinels,
        doubts=(*column.lost, *column.mixed(are_numbers=True), *codes(column, as_codes), *days(column, as_dates)),
        no_answers=() if sentinels else no_answers(column),
        **more,
    )


def codes(column: Look, option: str) -> Iterator[str]:
    """What to say about numbers that may be versions or codes, because one of them is written in two ways, or like 12e3."""
    shorter, longer, code, usual = (
        f"filter (regexp_full_match(v, {literal(like)}))" for like in (SHORTER, LONGER, EXPONENT, USUAL)
    )
    pairs = f"any_value(v) {shorter} as a, any_value(v) {longer} as b"
    tail = "group by x having a is not null and b is not null order by x limit 1"
    for short, long in [] if column.is_varied else column.select(pairs, tail):
        yield f"{short} and {long} in {shown(column.name)} are read as one number: if they are versions or codes, add {option}"
        return
    first, others = column.ask(f"min(v) {code}, count(*) {usual}")
    if first and not others:
        yield f"{first} in {shown(column.name)} is read as {float(first):g}: if it is a code, add {option}"


def days(column: Look, hint: str) -> Iterator[str]:
    """What to say about whole numbers that are dates, such as 20240115."""
    dated = f"x between {DAYS[0]} and {DAYS[1]} and try_strptime(v, '%Y%m%d') is not null"
    share, first = column.ask(
        f"avg(({dated})::int), min(x) filter ({dated})", "(select * from looked where x is not null)"
    )
    if share >= 1 - ODD_SHARE:
        some = "all" if share == 1 else "nearly all"
        yield f"{some} numbers in {shown(column.name)} can be read as dates, such as {first:.0f}: {hint}"


def no_answers(column: Look) -> tuple[str, ...]:
    """The numbers that may stand for a missing answer, such as 98 and 99 in a column of answers from 1 to 7."""
    if column.distinct > FEW_CLASSES:
        return ()
    spelt = dict(column.select("distinct v, x", "where x is not null order by 2, 1"))
    answers = {x for x in spelt.values() if 0 <= x <= ANSWERS}
    others = {text: x for text, x in spelt.items() if x not in answers}
    fits = all(x == round(x) for x in answers) and all(NO_ANSWER.fullmatch(f"{x:g}") for x in others.values())
    return tuple(others) if fits and len(answers) > 2 else ()


def sentinels_of(column: Look) -> tuple[tuple[str, ...], str]:
    """The ways in which a number that stands for a missing one is written, and what to say about it.

    It is frequent, negative or made of one repeated digit, such as 999, and farther from the others than they are from each
    other.
    """
    for extreme in column.ask("min(x), max(x)"):
        if extreme is None or not re.fullmatch(r"-\d+|([789])\1+", f"{extreme:.12g}"):
            continue
        same, other = f"x = {extreme!r}", f"x <> {extreme!r}"
        count, low, high = column.ask(f"count(*) filter ({same}), min(x) filter ({other}), max(x) filter ({other})")
        if low is None or high == low or count < max(5, column.filled // 200):
            continue
        if max(low - extreme, extreme - high) > FAR * (high - low):
            written = column.select("distinct v", f"where {same} order by 1")
            note = f"; {extreme:g} ({count:,} rows) is far from all others, so it counts as missing"
            return tuple(text for (text,) in written), note
    return (), ""
