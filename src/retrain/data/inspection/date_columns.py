"""Columns of dates: how they are written, and which of them stand for no date."""

import re
import shlex
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from retrain.data.dialect import MARKERS, ODD_SHARE
from retrain.data.inspection.column import Column, shown
from retrain.data.inspection.look import NO_DATES, Look
from retrain.data.sql_table import ISO, literal, moment
from retrain.errors import RetrainError

__all__ = ["date_column", "formats_of", "moment_in", "no_dates"]


ORDERS = ("%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d")
LONG_YEARS = (
    *(order.replace("/", sign) for sign in "/.-" for order in ORDERS),
    *("%Y%m%d", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y"),
)
DATES = (*LONG_YEARS, *(day.replace("%Y", "%y") for day in LONG_YEARS))
TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
FAR_YEARS = 10
"""Years from now on that a column of dates reaches rarely."""
NO_DAY = re.compile(r"(0001|1753|1900|1970)-01-01|1899-12-3[01]|(2[1-9]|[3-9]\d)\d\d-\d\d-\d\d")
"""Days that stand for no date: the first ones of calendars and programs, and those of a far future."""


def date_column(column: Look) -> Column | None:
    """A column of dates; None if it holds others. If several orders fit, the likeliest does not end in the future, and has few years."""
    fits = formats_of(column)
    if not fits:
        return None
    given = [own for own in column.table.format.dates if own in fits]
    past = {own: years for own, years in fits.items() if years[1] <= datetime.now(tz=UTC).year + 1}
    likely = past or fits
    written = min(given or likely, key=lambda own: fits[own][1] - fits[own][0])
    sentinels, why = days_of(column, written)
    orders = () if given or not written else other_orders(column, written, likely)
    doubts = (*orders, *late_years(column, written, *fits[written]))
    found = {"date_format": written, "markers": column.markers, "sentinels": sentinels}
    return column.column("dates", why, **found, doubts=doubts)


def days_of(column: Look, written: str) -> tuple[tuple[str, ...], str]:
    """The ways in which a day that stands for no date is written, and from when to when the dates are.

    It is one that people write for that, such as 9999-12-31, frequent, and years from all others.
    """
    dated = f"(select v, cast({moment_in('v', written)} as date) as day from looked)"
    first, last = column.ask("min(day)::text, max(day)::text", dated)
    for extreme in (first, last):
        if not NO_DAY.fullmatch(extreme):
            continue
        same, other = f"day = {literal(extreme)}", f"day <> {literal(extreme)}"
        ends = f"min(day) filter ({other})::text, max(day) filter ({other})::text"
        years = f"min(abs(date_diff('year', day, date {literal(extreme)}))) filter ({other})"
        facts = f"count(*) filter ({same}), list(distinct v order by v) filter ({same})"
        low, high, gap, count, values = column.ask(f"{ends}, {years}, {facts}", dated)
        if low is not None and gap >= FAR_YEARS and count >= max(5, column.filled // 200):
            note = f"; {extreme} ({count:,} rows) is far from all others, so it counts as missing"
            return tuple(values), f"dates from {low} to {high} ({written or 'ISO 8601'}){note}"
    return (), f"dates from {first} to {last} ({written or 'ISO 8601'})"


def moment_in(value: str, written: str) -> str:
    """The expression of a text as a time in a format of strptime, or in ISO 8601 if that is empty; NULL if it does not fit."""
    iso = f"(case when regexp_matches({value}, {literal(ISO)}) then try_cast({value} as timestamp) end)"
    return moment(value, written) if written else iso


def no_dates(column: Look) -> RetrainError:
    """The error of a column that should hold dates. It names the first value that is not written as the others are."""
    table, given = column.table, column.table.format.dates
    some = [text for (text,) in table.connection.execute(f"select v from {column.sample} limit 20").fetchall()]
    some = [text for text in some if not text.isdigit() or len(text) == len("20241231")]  # not those of spreadsheets
    known = [day + time for day in DATES for time in TIMES if any(is_date(text, day + time) for text in some)]
    counts = {own: column.ask(f"count({moment_in('v', own)})", column.sample)[0] for own in ("", *given, *known)}
    written = max(counts, key=lambda own: counts[own])
    wrong = table.wrong(column.name, moment_in(table.value(column.name), written))
    row, text = next(((row, text) for row, text in wrong if text.lower() not in (*MARKERS, *NO_DATES)), (0, ""))
    if counts[written]:
        fact = f"holds {shown(text)}, but other dates are written as {written or '2024-12-31'}"
        few = len(wrong) <= ODD_SHARE * column.filled
        hint = f"correct it, or add --missing {shlex.quote(text)} if there is none" if few else "write all in one way"
        return RetrainError(table.place(row, column.name), fact, hint)
    fact = f"does not hold dates that can be read, such as {shown(text)}" if text else "does not hold dates"
    start = "choose another one than" if given else "say how they are written, as in"
    hint = f"{start} --date-format '{(*given, '%d %b %Y')[0]}', or write them as 2024-12-31"
    return RetrainError(f"column '{column.name}'", fact, hint)


def other_orders(column: Look, written: str, fits: Mapping[str, tuple[int, int]]) -> Iterator[str]:
    """That the values of a column can also be read as other dates."""
    own = moment("v", written)
    others = [other for other in fits if column.ask(f"bool_or({moment('v', other)} <> {own})", column.sample)[0]]
    if others:
        parts = "day, month and year" if "%y" in written else "day and month"
        years = {one: f"{one} ({' to '.join(map(str, sorted({*ends})))})" for one, ends in fits.items()}
        fit = f"{' and '.join(years[other] for other in others)} would fit too"
        choose = f"choose with --date-format '{others[0]}'"
        yield f"the order of {parts} in {shown(column.name)} is not clear: it is read as {years[written]}, but {fit}: {choose}"


def late_years(column: Look, written: str, first: int, last: int) -> Iterator[str]:
    """That years of two digits are read as years that are still far away."""
    if "%y" in written and last > datetime.now(tz=UTC).year + FAR_YEARS:
        read = f"is read as {first} to {last}, because years of two digits are from 1969 to 2068"
        yield f"{shown(column.name)} {read}: if that is wrong, write the years with four digits"


def formats_of(column: Look) -> dict[str, tuple[int, int]]:
    """The ways in which all dates of a column can be read, with the first and the last year; ISO 8601 is empty, and then the only one."""

    def fitting(formats: Mapping[str, str]) -> dict[str, tuple[int, int]]:
        facts = {
            own: f"bool_and({time} is not null), min(year({time})), max(year({time}))" for own, time in formats.items()
        }
        found = {own: column.ask(fact, column.sample) for own, fact in facts.items()}
        return {own: (first, last) for own, (fits, first, last) in found.items() if fits}

    given = column.table.format.dates
    facts = "bool_and(regexp_matches(v, '\\d') and length(v) <= 40), bool_and(length(v) >= 6)"
    dated, is_long = column.ask(facts, column.sample)
    if not dated or not (is_long or given):
        return {}
    ((first,),) = column.table.connection.execute(f"select v from {column.sample} limit 1").fetchall()
    known = (day + time for day in DATES for time in TIMES if is_long)
    written = (*given, *(own for own in known if is_date(first, own)))
    return fitting({"": moment_in("v", "")}) or fitting({own: moment("v", own) for own in written})


def is_date(text: str, written: str) -> bool:
    """Whether a text is a date in a format of strptime."""
    try:
        datetime.strptime(text, written)  # noqa: DTZ007 (it is not used)
    except ValueError:
        return False
    return True
