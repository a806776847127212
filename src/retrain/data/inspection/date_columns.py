"""Columns of dates: how they are written, and which of them stand for no date."""

import re
import shlex
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from retrain import schema
from retrain.data.inspection.column import Column, shown
from retrain.data.inspection.dialect import MOSTLY
from retrain.data.inspection.look import FEW_CLASSES, NO_DATES, Look, far_away, rows_of
from retrain.data.reading.expressions import literal, moment, time_of
from retrain.data.reading.file_format import CLOCKS, LETTERS, MARKERS, ODD_SHARE, WITH_OFFSET, is_clock
from retrain.errors import RetrainError

__all__ = ["almost_dates", "clock_column", "date_column", "formats_of", "no_dates"]


ORDERS = ("%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d")
LONG_YEARS = (
    *(order.replace("/", sign) for sign in "/.-" for order in ORDERS),
    *("%Y%m%d", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y", "%d. %m. %Y"),
    *("%b %d %Y", "%B %d %Y", "%b-%d-%Y", "%d%b%Y", "%d/%b/%Y"),
    *("%A, %B %d, %Y", "%A, %d %B %Y", "%A %d %B %Y", "%a %b %d %Y", "%a %d %b %Y"),
)
DATES = (*LONG_YEARS, *(day.replace("%Y", "%y") for day in LONG_YEARS))
TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
ZONED = (
    *("%a, %d %b %Y %H:%M:%S %z", "%a, %d %b %Y %H:%M:%S GMT", "%a %b %d %H:%M:%S %z %Y"),
    *("%d/%b/%Y:%H:%M:%S %z", "%Y/%m/%d %H:%M:%S %z", "%d%b%Y:%H:%M:%S", "%d%b%y:%H:%M:%S"),
)
"""Times as mails, servers, Twitter and SAS write them, most of them with an offset."""
MONTHS = ("%b %Y", "%B %Y", "%b-%Y", "%Y %b", "%Y %B", "%Y-%b", "%YM%m")
KNOWN = (*(day + time for day in DATES for time in TIMES), *ZONED, *MONTHS)
SHORT = ("%Y", "%Y-%m", "%Y/%m", "%m/%Y", "%m-%Y", "%Y:%m", "%b-%y")
"""Years and months. They may be something else, so they are dates only if the user says so."""
CLOCK = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?"
"""A time of day. It may be a duration, so few or unusual ones are dates only if the user says so."""
FIRST_VALUES = 20
"""Values of which one tells whether a column may be written in a format."""
NAMED = re.compile("%[aAbBp]")
"""What stands for a word in a format."""
SHORTEST, LONGEST = 6, 40
"""Characters of a date."""
FAR_YEARS = 10
"""Years from now on that a column of dates reaches rarely."""
NO_DAY = re.compile(r"(0001|1753|1900|1970)-01-01|1899-12-3[01]|(2[1-9]|[3-9]\d)\d\d-\d\d-\d\d")
"""Days that stand for no date: the first ones of calendars and programs, and those of a far future."""
YEAR, DAY = r"(^|\D)(19|20)\d\d(\D|$)", r"(^|\D)\d{1,2}(\D|$)"
DAY_AND_MONTH = r"(^|\D)\d{1,2}\D{1,3}\d{1,2}(\D|$)"
ALIKE = (
    rf"regexp_matches(v, '{YEAR}') and regexp_matches(v, '{DAY_AND_MONTH}')",  # 2024年1月5日
    rf"regexp_matches(v, '{YEAR}') and regexp_matches(v, '{DAY}') and regexp_matches(v, '[{LETTERS}]{{3}}')",  # 5. März 2024
    r"regexp_matches(v, '\d.*[/. -].*\d:\d\d')",  # with a time of day; but no duration such as 1:02:03
)
"""What values are like that people read as dates."""
WEEK = r"([CK]?W|[CK]W )([0-4]?\d|5[0-3])"
QUARTER, FEW_QUARTERS = rf"(?i)(19|20)\d\d[ :-]?(Q[1-4]|{WEEK})|(Q[1-4]|{WEEK})[ /-](19|20)\d\d", 10
"""A quarter or a week of a year; and how many different ones can be learned as categories."""
CODE, MOST_WORDS = rf"^[{LETTERS}]+[-_/]?\d", 100
"""Such as INV-2024-01-15; and the different words around dates, such as months and days of the week."""
UNIX = re.compile(r"\d{9,19}(\.\d+)?")
"""Seconds since 1970, or their parts."""


def date_column(column: Look, *, asked: bool = False) -> Column | None:
    """A column of dates; None if it holds others. If several orders fit, the likeliest does not end in the future, and has few years.

    A few values may be no dates: they count as missing.

    Args:
        column: the column.
        asked: whether the user says that it holds dates, so that it may hold years or months.
    """
    fits = formats_of(column, asked=asked)
    if not fits:
        return None
    given = [own for own in column.table.format.dates if own in fits]
    past = {own: years for own, years in fits.items() if years[1] <= datetime.now(tz=UTC).year + 1}
    likely = past or fits
    written = min(given or likely, key=lambda own: fits[own][1] - fits[own][0])
    odd = others(column, read("v", written))
    if len(odd) > FEW_CLASSES or sum(odd.values()) > ODD_SHARE * column.filled:
        return None
    sentinels, why = days_of(column, written)
    orders = () if given or not written else other_orders(column, written, likely)
    doubts = (
        *lost(column, written, odd),
        *two_ways(column, written),
        *some_offsets(column, written, sentinels),
        *orders,
        *late_years(column, written, *fits[written]),
    )
    absent = {**column.markers, **odd}
    found = {"date_format": written, "markers": tuple(absent), "sentinels": sentinels}
    return column.column("dates", why + column.missing_if(absent), **found, doubts=doubts)


def clock_column(column: Look) -> Column | None:
    """A column of many different times of day, all written like 13:05 or 13:05:30; None if it holds others."""
    are_clocks = f"bool_and(regexp_full_match(v, '{CLOCK}'))"
    if column.distinct <= FEW_CLASSES or not column.fact(are_clocks, column.sample)[0]:
        return None
    found = date_column(column, asked=True)
    return found if found is not None and found.date_format in CLOCKS and not found.doubts else None


def others(column: Look, time: str) -> dict[str, int]:
    """Values that are neither dates nor signs of a missing one, by how often they occur; the most frequent ones.

    Args:
        column: the column.
        time: the expression of a value as a date.
    """
    marked = f"lower(v) in ({', '.join(map(literal, (*MARKERS, *NO_DATES)))})"
    tail = f"where not {marked} and {time} is null group by 1 order by 2 desc, 1 limit {FEW_CLASSES + 1}"
    return dict(column.select("v, count(*)", tail))


def read(value: str, written: str) -> str:
    """The expression of a text as a time, as `prepare` will read it: see `Table.date`."""
    return time_of(value, filter(None, [written]), is_clock=is_clock(written))


def lost(column: Look, written: str, odd: Mapping[str, int]) -> Iterator[str]:
    """What to say about values with digits that are not dates."""
    if wrong := [text for text in odd if re.search(r"\d", text)]:
        all_wrong = column.table.wrong(column.name, read(column.table.value(column.name), written))
        row, first = next((row, text) for row, text in all_wrong if text in wrong)
        more = (
            f" (and {'1 other' if len(wrong) == 2 else f'{len(wrong) - 1} others'} in this column)" if wrong[1:] else ""
        )
        fact = f"holds {shown(first)}{more}, which is not a date"
        yield f"{column.table.place(row, column.name)} {fact}, so it counts as missing: correct it"


def two_ways(column: Look, written: str) -> Iterator[str]:
    """That some dates are in ISO 8601 and the others not: a spreadsheet writes the days so that it takes for months."""
    if written and not is_clock(written):
        other = f"{moment('v', written)} is null and {moment('v', '')} is not null"
        some, first = column.ask(f"count(*) filter ({other}), min(v) filter ({other})")
        if some:
            ways = f"as {written}, but {shown(first)} ({rows_of(some)}) as year, month and day"
            yield f"{shown(column.name)} has dates {ways}; both are read: check that no program has swapped day and month"


def some_offsets(column: Look, written: str, sentinels: tuple[str, ...]) -> Iterator[str]:
    """That only some times have an offset from UTC."""
    has_offset = f"regexp_matches(v, {literal(WITH_OFFSET)})"
    times = f"(select v from looked where v not in ({', '.join(map(literal, ('', *sentinels)))}) and {read('v', written)} is not null)"
    has, lacks = column.ask(f"count(*) filter ({has_offset}), count(*) filter (not {has_offset})", times)
    if has and lacks:
        which = "1 time" if has == 1 else f"{has:,} times"
        verbs = ["has" if count == 1 else "have" for count in (has, lacks)]
        rest = "so it counts" if lacks == 1 else "so these count"
        fact = f"{which} in {shown(column.name)} {verbs[0]} an offset from UTC, and {lacks:,} {verbs[1]} none"
        yield f"{fact}, {rest} as UTC: write all with one, such as 2024-12-31T23:59+02:00, or all as local times"


def example(written: str) -> str:
    """How a message names a way to write dates."""
    return written or "2024-12-31"


def almost_dates(column: Look) -> tuple[str, ...]:
    """What to say about a column of words if most of them are dates, or look like some."""
    counts, looked = ways(column, asked=False)
    times = ", ".join(moment("v", own) for own in counts)
    if counts and column.ask(f"count(coalesce({times}))", column.sample)[0] > MOSTLY * looked:
        written = max(counts, key=lambda own: counts[own][0])
        odd = list(others(column, read("v", written)).items())[:3]
        words = ", ".join(f"{shown(text)} ({rows_of(count)})" for text, count in odd)
        fact = f"{min(counts[written][0] / looked, 0.99):.0%} of {shown(column.name)} are dates as {example(written)}"
        hint = "if that means a missing value, add it with --missing"
        if any(re.search(r"\d", text) for text, _ in odd):
            hint = "write all dates in one way, such as 2024-12-31"
        return (f"{fact}, but {words} {'are' if odd[1:] else 'is'} not: {hint}",)
    if not looked:
        return ()
    rest = f"regexp_replace(v, '[^{LETTERS}]+', ' ', 'g')"
    whole = f"({' or '.join(f'({one})' for one in ALIKE)}) and not regexp_matches(v, '{CODE}')"
    short = " or ".join(f"{moment('v', own)} is not null" for own in SHORT[1:])
    alike, quarter = f"({whole} or {short}) and length(v) <= {LONGEST}", f"regexp_full_match(v, '{QUARTER}')"
    share, words, first, quarters, quarter = column.ask(
        f"avg(({alike})::int), count(distinct {rest}), min(v) filter ({alike}), avg({quarter}::int), min(v) filter ({quarter})",
        column.sample,
    )
    if quarters > MOSTLY and column.distinct > FEW_QUARTERS:
        fact = f"values in {shown(column.name)} such as {shown(quarter)} look like quarters or weeks, but are not read as dates"
        return (f"{fact}: write the first day of each, such as 2024-01-01",)
    if share <= MOSTLY or words > MOST_WORDS or column.distinct <= FEW_CLASSES:
        return ()
    option = f"--dates {shlex.quote(column.name)}"
    fits = formats_of(column, asked=True)
    hint = f"if {shown(first)} is a month and a year, add {option}" if "%b-%y" in fits else f"add {option}"
    if not fits:
        hint = f"write them as 2024-12-31 23:59, or say how they are written, with {option} --date-format FORMAT"
        hint += " (names of months must be English)" if re.search(r"[^\W\d_]{3}", first) else ""
    return (
        f"values in {shown(column.name)} such as {shown(first)} look like dates, but are not read as dates: {hint}",
    )


def days_of(column: Look, written: str) -> tuple[tuple[str, ...], str]:
    """The ways in which days that stand for no date are written, and from when to when the dates are.

    Each is one that people write for that, such as 9999-12-31, frequent, and years before or after all others.
    """
    dated = f"(select v, {read('v', written)} as time, cast(time as date) as day from looked)"
    if is_clock(written):
        first, last = column.ask(
            f"strftime(min(time), {literal(written)}), strftime(max(time), {literal(written)})", dated
        )
        return (), f"times of day from {first} to {last} ({written})"
    first, last = column.ask("min(day)::text, max(day)::text", dated)
    found: list[tuple[str, int, list[str]]] = []
    if any(map(NO_DAY.fullmatch, (first, last))):
        days = f"(select day, count(*) as rows, list(distinct v order by v) as written from {dated} where day is not null group by 1)"
        likely = f"rows >= {max(5, column.filled // 200)} and regexp_full_match(day::text, {literal(NO_DAY.pattern)})"
        (some,) = column.ask(f"list((day::text, rows, written) order by day) filter ({likely})", days)
        low, high = column.ask("min(day)::text, max(day)::text", f"(select day from {days} where not ({likely}))")
        found = [one for one in some or () if low is not None and is_away(one[0], low, high)]
        first, last = (low, high) if found else (first, last)
    named = schema.enumerated([f"{day} ({rows_of(count)})" for day, count, _ in found])
    why = f"dates from {first} to {last} ({written or 'ISO 8601'}){far_away(named, len(found))}"
    return tuple(text for _, _, values in found for text in values), why


def is_away(day: str, low: str, high: str) -> bool:
    """Whether a day is many years before or after all others; all of them in ISO 8601."""
    year, first, last = (int(text.split("-")[0]) for text in (day, low, high))
    return first - year >= FAR_YEARS or year - last >= FAR_YEARS


def no_dates(column: Look) -> RetrainError:
    """The error of a column that should hold dates. It names the first value that is not written as the others are."""
    table, name = column.table, column.name
    counts, _ = ways(column, asked=True)
    written = max(counts, key=lambda own: counts[own][0], default="")
    wrong = table.wrong(name, read(table.value(name), written))
    row, text = next(((row, text) for row, text in wrong if text.lower() not in (*MARKERS, *NO_DATES)), (0, ""))
    if counts:
        fact = f"holds {shown(text)}, but other dates are written as {example(written)}"
        few = len(wrong) <= ODD_SHARE * column.filled
        hint = f"correct it, or add --missing {shlex.quote(text)} if there is none" if few else "write all in one way"
        if not few and NAMED.search(written):
            fact = f"holds {shown(text)}, but {written} needs the names of months and days in English"
            hint = "write these, or write the dates as 2024-12-31"
        return RetrainError(table.place(row, name), fact, hint)
    fact = f"does not hold dates that can be read, such as {shown(text)}" if text else "does not hold dates"
    given = table.format.dates
    start = "choose another one than" if given else "say how they are written, as in"
    hint = f"{start} --date-format '{(*given, '%d %b %Y')[0]}', or write them as 2024-12-31"
    if UNIX.fullmatch(text):
        unit = "ns" if len(text) > 16 else "us" if len(text) > 14 else "ms" if len(text) > 11 else "s"
        hint = (
            f"write them as dates, as in pandas: frame[{name!r}] = pandas.to_datetime(frame[{name!r}], unit='{unit}')"
        )
    elif text.isdigit():
        hint = f"{start} --date-format %Y%m, or write them as 2024-12-31"
    return RetrainError(f"column '{name}'", fact, hint)


def other_orders(column: Look, written: str, fits: Mapping[str, tuple[int, int]]) -> Iterator[str]:
    """That the values of a column can also be read as other dates."""
    own = moment("v", written)
    found = [other for other in fits if column.ask(f"bool_or({moment('v', other)} <> {own})", column.sample)[0]]
    if found:
        parts = "day, month and year" if "%y" in written else "day and month"
        years = {one: f"{one} ({' to '.join(map(str, sorted({*ends})))})" for one, ends in fits.items()}
        fit = f"{' and '.join(years[other] for other in found)} would fit too"
        choose = f"choose with --date-format '{found[0]}'"
        yield f"the order of {parts} in {shown(column.name)} is not clear: it is read as {years[written]}, but {fit}: {choose}"


def late_years(column: Look, written: str, first: int, last: int) -> Iterator[str]:
    """That years of two digits are read as years that are still far away."""
    if "%y" in written and last > datetime.now(tz=UTC).year + FAR_YEARS:
        read = f"is read as {first} to {last}, because years of two digits are from 1969 to 2068"
        yield f"{shown(column.name)} {read}: if that is wrong, write the years with four digits"


def formats_of(column: Look, *, asked: bool = False) -> dict[str, tuple[int, int]]:
    """The ways in which nearly all dates of a column can be read, with the first and the last year; ISO 8601 is empty, and then the only one."""
    counts, looked = ways(column, asked=asked)
    most = max((count for count, _, _ in counts.values()), default=0)
    if most < (1 - ODD_SHARE) * looked:
        return {}
    fits = {own: (first, last) for own, (count, first, last) in counts.items() if count == most}
    return {"": fits[""]} if "" in fits else fits


def ways(column: Look, *, asked: bool) -> tuple[dict[str, tuple[int, int, int]], int]:
    """The ways to write dates that some values have. Others may be in ISO 8601, which `prepare` always reads.

    Returns:
        Of each way, the number of values, their first and their last year; and how many values were looked at, of which most
        may be dates: 0 if they may not.
    """
    shortest = 0 if asked or column.table.format.dates else SHORTEST
    dated = f"regexp_matches(v, '\\d') and length(v) between {shortest} and {LONGEST}"
    looked, share, some = column.fact(
        f"count(*), avg(({dated})::int), (list(v order by row))[:{FIRST_VALUES}]", column.sample
    )
    if not looked or (share <= MOSTLY and not asked):
        return {}, 0
    signs = {*map(signs_in, some)}
    likely = (own for own in (*KNOWN, *((*SHORT, *CLOCKS) if asked else ())) if "%z" in own or signs_in(own) in signs)
    known = (own for own in likely if any(is_date(text, own) for text in some))
    written = list(dict.fromkeys(("", *column.table.format.dates, *known)))
    times = ", ".join(f"{read('v', own)} as t{place}" for place, own in enumerate(written))
    what = ", ".join(f"count(t{place}), min(year(t{place})), max(year(t{place}))" for place in range(len(written)))
    facts = column.ask(what, f"(select {times} from {column.sample})")
    counts = {own: facts[3 * place : 3 * place + 3] for place, own in enumerate(written)}
    return {own: (count, first, last) for own, (count, first, last) in counts.items() if count}, looked


def signs_in(text: str) -> str:
    """The signs of a text, or of a format of strptime: a date without an offset has those of its format."""
    return re.sub(r"%\w|[\w\s]", "", text)


def is_date(text: str, written: str) -> bool:
    """Whether a text is a date in a format of strptime."""
    try:
        datetime.strptime(text, written)  # noqa: DTZ007 (it is not used)
    except ValueError:
        return False
    return True
