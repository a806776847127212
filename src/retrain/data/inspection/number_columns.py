"""Columns of numbers: codes, dates and missing values among them."""

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import product, starmap, takewhile
from typing import Any

from retrain import schema
from retrain.data.inspection.column import Column, number_text, shown
from retrain.data.inspection.dialect import HAS_SIGN, LOOKED_AT, SIGNS, signs_of
from retrain.data.inspection.look import FEW_CLASSES, FEW_ODD, Look, far_away, rows_of, sides
from retrain.data.reading.expressions import literal
from retrain.data.reading.file_format import MARKERS, ODD_SHARE
from retrain.errors import RetrainError

__all__ = [
    "IDENTIFIER",
    "ROW_NUMBERS",
    "YEARS",
    "is_row_name",
    "is_year_name",
    "no_numbers",
    "number_column",
    "numbers_of",
    "of_numbers",
    "other_mark",
    "plain_numbers",
    "sentinels_of",
    "two_marks",
]


OWNERS = "account|case|client|customer|employee|item|member|order|patient|person|product|student|subject|ticket|user"
NUMBERS = "mrn|ssn|ean|gtin|upc|isbn|issn|barcode"
IDENTIFIER = re.compile(
    rf"(?i:(^|[_ .-]|^({OWNERS}))id$|^id([_ .-]|$)|^index$|(^|[_ .-])hash$|^({NUMBERS})$)|(?<=[a-z])(I[dD]|Hash)$"
)
NUMBERED = re.compile(r"(?<=[a-z])(No|Nr|Num|Number)$|(?i:[_ .-](no|nr|num|number)\.?$)")
"""What a column is called that may number the rows."""
ROW_NAME = re.compile(
    r"(row|obs|case|record|serial|s|sl|sr)[_ .]*(names?|id|idx|index|n|no|nr|num|number)\.?|rows?|obs|uid|#|nr",
    re.IGNORECASE,
)
"""What a column is called that names the rows."""
ROW_NUMBERS = "row numbers"
YEARS = (1500, 2100)
"""The first and the last whole number that may be a year."""
YEAR_NAME = re.compile(r"\w*year|\w*jahr|years|yrs?|ann[eé]e|a[nñ]o|anno|season|saison|time|date|period", re.IGNORECASE)
FILL = r"-?[\d.]+e\+\d+|32767|65535|2147483647|4294967295"
"""The numbers that programs write for no value, such as 1e+20, and the largest whole numbers of two and four bytes."""
SENTINEL, NINES = re.compile(rf"-\d+|-?([789])\1+(\.\1+)?|{FILL}"), re.compile(r"-99+(\.9+)?")
"""What numbers look like that stand for a missing one; and those for which it is enough that all others are positive."""
EVEN_ONCE, OFTEN = re.compile(rf"-999+(\.9+)?|{FILL}"), 5
"""Those of which a single row is enough; and the rows with any other."""
MISSING_CODE = re.compile(r"-(\d|99?\d?|[678]{2})")
"""The negative numbers that stand for a missing one among numbers from 0."""
MOST_SENTINELS = 3
"""Numbers at an end of a column of which each may stand for a missing one."""
PHONE = re.compile(r"phone|mobile|(^|[_ .])(tel|fax)([_ .]|$)", re.IGNORECASE)
FAR = 2.0
"""A frequent extreme value stands for a missing one if its distance to the others is this many times their range."""
HUGE, FAR_OF_HUGE = 1e12, 1e9
"""From which number on its distance must be so many times larger still: measured numbers may have many powers of ten."""
SAME_DECIMALS = 0.3
"""The share of numbers with the decimals of 99.99 from which it is a number, too, as among prices."""
SHORTER, LONGER = r"\d+|\d+\.\d*[1-9]", r"\d+[eE]\d+|\d+\.\d*[1-9]0+"
"""Spellings of one number that versions and codes have side by side: 1000 and 1E3, 3.1 and 3.10."""
EXPONENT, USUAL = r"\d+[eE]\d+", r".*([eE][+-]|\..*[eE]).*"
"""A number such as 12e3, which may be a code, and how programs write powers of ten: 1e+06 and 1.2E4."""
ROUNDED = r"\d(\.\d{1,5})?E\+1[1-9]"
"""A number of at least twelve digits as Excel saves it when its cell shows only the first ones, such as 4.00646E+12."""
LONG_NUMBER = r"[+-]?\d{16,}"
"""A whole number with so many digits that it may be read as its neighbour."""
TIMES, UNITS_OF_TIME = (946684800, 2145916800), {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
"""The seconds since 1970 from 2000 to 2037, and how many parts of a second other programs write."""
SERIALS, SPREADSHEET = (20_000, 60_000), datetime(1899, 12, 30, tzinfo=UTC)
"""The days of spreadsheets from 1954 to 2064, and the day before their first one."""
DATE_NAME = re.compile(r"(?i:(^|[\W_])(date(time)?|datum|fecha|dato|day)([\W_]|$))|[a-z]Date$")
"""What a column of dates is called."""
DAYS = (1900, 2100)
"""The first and the last year of dates that are looked for among numbers."""
TOGETHER = {
    6: ("%y%m%d", "%d%m%y", "%m%d%y"),
    8: ("%Y%m%d", "%d%m%Y", "%m%d%Y"),
    10: ("%Y%m%d%H",),
    12: ("%Y%m%d%H%M",),
    14: ("%Y%m%d%H%M%S",),
}
"""How dates and times are written as whole numbers of so many digits."""
SHORT_DAYS = (10100, 311299)
"""The first and the last date of six digits."""
MONTHS, MONTHS_OF_CHANCE = (190001, 210012), 24
"""The first and the last month that is looked for among numbers; and how many different ones may be chance."""
ANSWERS, NO_ANSWER, LAST_DIGITS = 20, re.compile(r"-?(77+|88+|9+[6-9]|[89])"), (8, 9)
"""The largest answer on a scale, and the numbers by which survey programs write that there is none: 8 and 9 on a short one."""


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
    answers = column.ask(SIGNS, f"{column.sample} where {HAS_SIGN}")
    if len(answers[0] or ()) == 1 and len(around := answers[0][0].split()) == 2:  # such as $ and M in $1.5M
        written = f"add {' '.join(f'--units {shlex.quote(sign)}' for sign in around)}"
    written = sides(signs_of(answers)) or written
    return RetrainError(table.place(row, column.name), fact, f"{written}, or {otherwise}")


def number_column(column: Look) -> Column:
    """A column whose values are numbers, or codes that look like numbers."""
    if code := code_column(column):
        return code
    distinct, found, whole, low, high, is_count = column.fact(
        "count(distinct x), count(x), count(*) filter (x = floor(x)), min(x), max(x), "
        "min(x - row) = max(x - row) or min(x + row) = max(x + row)"
    )
    if whole == found == distinct > FEW_CLASSES:
        gaps = column.missing + column.filled - found
        is_name = is_row_name(column.name) or NUMBERED.search(column.name)
        if is_count and (is_name or low in (0, 1)) and gaps <= len(column.table.format.missing):
            return column.column("leave_out", ROW_NUMBERS, option="numbers")
        if is_name:
            return column.column("leave_out", "a different number in every row", option="numbers")
        if high - low + 1 == distinct and not YEARS[0] <= low <= high <= YEARS[1]:
            fact = f"{shown(column.name)} has each number from {number_text(low)} to {number_text(high)} once"
            told = f"{fact}: if it names the rows, add --leave-out {shlex.quote(column.name)}"
            numbers = plain_numbers(column)
            return replace(numbers, doubts=(*numbers.doubts, told))
    numbers = plain_numbers(column)
    return replace(numbers, doubts=(*numbers.doubts, *months(column)))


def is_year_name(name: str) -> bool:
    """Whether a column is called a year or a time, as in `year`, `model_year` or `birthYear`."""
    return any(map(YEAR_NAME.fullmatch, re.split(r"[\W\d_]+|(?<=[a-z])(?=[A-Z])", name)))


def is_row_name(name: str) -> bool:
    """Whether a column is called an ID, or the name of a row."""
    return bool(IDENTIFIER.search(name) or ROW_NAME.fullmatch(name))


def plain_numbers(column: Look) -> Column:
    """A column of numbers that are not codes."""
    return of_numbers(column, "numbers", "numbers", f"--categories {shlex.quote(column.name)}", as_dates(column))


def as_dates(column: Look) -> Callable[[str], str]:
    """What to do about numbers that are dates, by their format."""
    return f"if so, add --dates {shlex.quote(column.name)} --date-format ".__add__


def code_column(column: Look) -> Column | None:
    """A column whose numbers are codes, because of how they are written; None if they may be numbers."""
    written, long = f"regexp_full_match(v, {literal(EXPONENT)})", f"regexp_full_match(v, {literal(LONG_NUMBER)})"
    zeros, exponents, texts, numbers = column.fact(
        f"count(*) filter (regexp_matches(v, '^0\\d+$')), count(*) filter ({written}), "
        f"count(distinct v) filter ({long}), count(distinct x) filter ({long})"
    )
    if zeros:
        why = f"{zeros:,} of its numbers begin with 0, so they are codes"
        return column.column("categories", why, doubts=tuple(days(column, as_dates(column))))
    if exponents == column.numbers:
        return column.column("categories", "all its numbers are written like 12e3, so they are codes")
    if texts > numbers and column.distinct == column.filled > FEW_CLASSES:
        return column.column("leave_out", "a different number in every row", option="numbers")
    if texts > numbers:
        return column.column("categories", "some of its numbers differ only behind 15 digits, so they are codes")
    return None


def of_numbers(
    column: Look, kind: str, what: str, as_codes: str, dates_hint: Callable[[str], str], **more: Any
) -> Column:
    """A column of numbers, with what to add if they are codes, or dates in a format."""
    low, high = column.ends
    sentinels, note = sentinels_of(column)
    return column.column(
        kind,
        f"{what} from {number_text(low)} to {number_text(high)}{note}{column.absent}",
        markers=tuple(column.odd),
        sentinels=sentinels,
        doubts=(
            *column.lost,
            *column.mixed(are_numbers=True),
            *two_marks(column),
            *codes(column, as_codes),
            *(dated := tuple(days(column, dates_hint)) if high > SHORT_DAYS[1] or low >= SHORT_DAYS[0] else ()),
            *(seconds(column) if high > TIMES[0] and not dated else ()),
            *(serials(column) if SERIALS[0] <= low and high <= SERIALS[1] else ()),
        ),
        no_answers=() if sentinels else no_answers(column) or alone(column),
        **more,
    )


def codes(column: Look, option: str) -> Iterator[str]:
    """What to say about numbers that may be versions or codes, because one of them is written in two ways, or like 12e3."""
    shorter, longer, code, usual = (
        f"filter (regexp_full_match(v, {literal(like)}))" for like in (SHORTER, LONGER, EXPONENT, USUAL)
    )
    lengths = f"count(distinct right(v, 2)) filter (regexp_full_match(v, {literal(ROUNDED)}))"
    has_longer, first, others, exponents = column.fact(f"count(*) {longer}, min(v) {code}, count(*) {usual}, {lengths}")
    pairs = f"any_value(v) {shorter} as a, any_value(v) {longer} as b"
    tail = "group by x having a is not null and b is not null order by x limit 1"
    for short, long in column.select(pairs, tail) if has_longer and not column.is_varied else []:
        yield f"{short} and {long} in {shown(column.name)} are read as one number: if they are versions or codes, add {option}"
        return
    if exponents in (1, 2) and others == column.numbers:
        fact = (
            f"{shown(column.fact('min(v)')[0])} in {shown(column.name)} may have lost its last digits in a spreadsheet"
        )
        yield f"{fact}: if it is a code, export it again as a text"
    if first and not others:
        yield f"{first} in {shown(column.name)} is read as {number_text(float(first))}: if it is a code, add {option}"


def days(column: Look, hint: Callable[[str], str]) -> Iterator[str]:
    """What to say about whole numbers that are dates, such as 20240115, or times, such as 2024011523.

    Args:
        column: the numbers.
        hint: what to do about dates in a format.
    """
    (digits,) = column.ask("mode(length(v))", "(select * from looked where x is not null)")
    if digits < 8 and (column.distinct <= MONTHS_OF_CHANCE or are_months(column)):
        return
    found = []
    for written in TOGETHER.get(digits, ()):
        year = f"case when length(v) = {digits} then year(try_strptime(v, {literal(written)})) end"
        years = (
            f"(select v, {year} as year, year between {DAYS[0]} and {DAYS[1]} as fits from looked where x is not null)"
        )
        facts = (
            "max(year) filter (fits) - min(year) filter (fits), avg(coalesce(fits, false)::int), min(v) filter (fits)"
        )
        scattered, share, first = column.ask(facts, years)
        found += [(scattered, written, share, first)] if share >= 1 - ODD_SHARE else []
    fits = [one for one in found if one[0] == min(found)[0]]  # the years of another order are scattered
    for _, _, share, first in fits[:1]:
        some, what = "all" if share == 1 else "nearly all", "dates" if digits <= 8 else "times"
        either = " or ".join(written for _, written, _, _ in fits)
        yield f"{some} numbers in {shown(column.name)} can be read as {what}, such as {first}: {hint(either)}"


def months(column: Look) -> Iterator[str]:
    """What to say about whole numbers that are months, such as 202401."""
    if column.distinct > MONTHS_OF_CHANCE and are_months(column):
        hint = f"if so, add --dates {shlex.quote(column.name)} --date-format %Y%m"
        yield f"all numbers in {shown(column.name)} can be read as months, such as {column.ends[0]:.0f}: {hint}"


def are_months(column: Look) -> bool:
    """Whether all numbers can be months. 200112, the December of 2001, could also be a day of January 2020."""
    first, last = column.ends
    written = "bool_and(try_strptime(v, '%Y%m') is not null)"
    is_near = MONTHS[0] <= first <= last <= MONTHS[1]
    return is_near and bool(column.ask(written, "(select * from looked where x is not null)")[0])


def seconds(column: Look) -> Iterator[str]:
    """What to say about whole numbers that may be seconds since 1970, or their parts."""
    if IDENTIFIER.search(column.name) or PHONE.search(column.name):
        return
    some = f"(select x from looked where x is not null limit {LOOKED_AT})"
    low, high = column.ask("quantile_disc(x, 0.02), quantile_disc(x, 0.98)", some)
    for unit, parts in UNITS_OF_TIME.items():
        if column.distinct > FEW_CLASSES and TIMES[0] * parts <= low and high <= TIMES[1] * parts:
            day = datetime.fromtimestamp(low / parts, tz=UTC).date()
            command = f"frame[{column.name!r}] = pandas.to_datetime(frame[{column.name!r}], unit={unit!r})"
            yield f"numbers in {shown(column.name)} may be times since 1970, such as {day}: if so, write dates, as in pandas: {command}"


def serials(column: Look) -> Iterator[str]:
    """What to say about numbers of a column of dates that may be the days by which spreadsheets count."""
    if DATE_NAME.search(column.name) and column.distinct > FEW_CLASSES:
        day = (SPREADSHEET + timedelta(days=column.ends[0])).date()
        command = f"frame[{column.name!r}] = pandas.to_datetime(frame[{column.name!r}], unit='D', origin='{SPREADSHEET:%Y-%m-%d}')"
        yield f"numbers in {shown(column.name)} may be days of a spreadsheet, such as {day}: if so, write dates, as in pandas: {command}"


def two_marks(column: Look) -> tuple[str, ...]:
    """What to say about numbers with two decimal marks, such as 12,50 and 12.50; or with one of them between thousands, perhaps.

    1.234,50 tells which is which, and so do 12,50 and 12.345.
    """
    table, signs = column.table, {column.table.format.decimal, column.table.format.thousands}
    if table.is_pointed(column.name) != "false" or (column.is_numeric and "," not in signs):
        return ()
    if not all(column.fact("bool_or(contains(v, ',')), bool_or(contains(v, '.'))", column.sample)):
        return ()
    short, long, both = r"[+-]?\d*{}(\d{{1,2}}|\d{{4,}})", r"[+-]?[1-9]\d{{0,2}}{}\d{{3}}", r"[^,]*\d[.,]\d+[.,]\d.*"
    likes = [like.format(re.escape(sign)) for like in (short, long) for sign in ",."]
    counts = ", ".join(f"min(v) filter (regexp_full_match(v, {literal(like)}))" for like in likes)
    *found, mixed = column.ask(f"{counts}, bool_or(regexp_full_match(v, {literal(both)}))", column.sample)
    either = literal(r"[+-]?\d*([.,]\d+)?")
    (share,) = column.ask(f"avg(regexp_full_match(v, {either})::int)", column.sample)
    pairs = [pair for pair in (found[:2], found[2:]) if all(pair)]
    if mixed or not pairs or share < 1 - ODD_SHARE or (pairs[0] != found[:2] and not column.numbers):
        return ()
    fact = f"{' and '.join(pairs[0])} in {shown(column.name)} "
    if pairs[0] == found[:2]:
        return (f"{fact}have two decimal marks: write all numbers with one of them",)
    read = [column.ask("min(x)", f"looked where v = {literal(text)}")[0] for text in pairs[0]]
    numbers = " and ".join(f"{number:.12g}" for number in read if number is not None)
    return (f"{fact}are read as {numbers}: if both signs are decimal marks, write one of them",) if all(read) else ()


def other_mark(column: Look) -> tuple[str, ...]:
    """What to say about a column of numbers with a point in a file whose decimal mark is the comma."""
    if column.table.format.decimal != ",":
        return ()
    like = literal(r"[+-]?\d*(\.\d+)?")
    what = f"min(v) filter (contains(v, '.')), avg(regexp_full_match(v, {like})::int)"
    first, share = column.ask(what, column.sample)
    if not first or share < 1 - ODD_SHARE:
        return ()
    fact = f"values in {shown(column.name)} such as {first} are not read as numbers, because other columns have decimal commas"
    return (f"{fact}: if they are numbers, write commas",)


def no_answers(column: Look) -> tuple[str, ...]:
    """The numbers that may stand for a missing answer: 98 and 99 in a column of answers from 1 to 7, or frequent 9 from 1 to 5."""
    if column.distinct > FEW_CLASSES:
        return ()
    rows = column.select("x, count(*), list(distinct v order by v)", "where x is not null group by 1 order by 1")
    answers = [(x, count) for x, count, _ in rows if 0 <= x <= ANSWERS]
    scale = [(x, count) for place, (x, count) in enumerate(answers) if x == answers[0][0] + place]
    if scale and scale[0][0] == 1 and scale[-1][0] < LAST_DIGITS[0] - 1:  # counts begin at 0
        often = max(OFTEN, scale[-1][1])
        answers = scale if all(x in LAST_DIGITS and count >= often for x, count in answers[len(scale) :]) else answers
    known = [x for x, _ in answers]
    others = {x: texts for x, _, texts in rows if x not in known}
    fits = all(x == round(x) for x in known) and all(NO_ANSWER.fullmatch(f"{x:g}") for x in others)
    return tuple(text for texts in others.values() for text in texts) if fits and len(known) > 2 else ()


def alone(column: Look) -> tuple[str, ...]:
    """The only negative numbers, such as -1, of a column of many others, if none of these is as frequent: they may mean a missing one."""
    if column.distinct <= FEW_CLASSES or column.ends[0] >= 0:
        return ()
    rows = column.select("x, count(*), any_value(v)", f"where x < 0 group by 1 order by 1 limit {MOST_SENTINELS + 1}")
    if len(rows) > MOST_SENTINELS or not all(MISSING_CODE.fullmatch(f"{x:.12g}") for x, _, _ in rows):
        return ()
    (most,) = column.ask("max(n)", "(select count(*) as n from looked where x >= 0 group by x)")
    often = max(OFTEN, most or 0)
    return tuple(text for _, _, text in rows) if max(count for _, count, _ in rows) > often else ()


def sentinels_of(column: Look) -> tuple[tuple[str, ...], str]:
    """The ways in which numbers that stand for a missing one are written, and what to say about them.

    Each is frequent, negative or made of one repeated digit, such as 999, and farther from the others than they are from each
    other. There may be some at both ends, and several at one end, such as -998 and -999. Of -999, one row is enough.
    """
    ends = list(starmap(partial(at_the_end, column), zip(column.ends, ("asc", "desc"), strict=True)))
    pairs = sorted(product(*map(prefixes, ends)), key=lambda pair: -len(pair[0]) - len(pair[1]))
    found = next(([*lows, *highs] for lows, highs in pairs if lows + highs and are_far(column, lows, highs)), [])
    values = ", ".join(map(repr, found))
    rows = (
        column.select("x, count(*), list(distinct v order by v)", f"where x in ({values}) group by 1") if found else []
    )
    counts = {x: (count, written) for x, count, written in rows}
    named = schema.enumerated([f"{number_text(x)} ({rows_of(counts[x][0])})" for x in found])
    return tuple(text for x in found for text in counts[x][1]), far_away(named, len(found))


def at_the_end(column: Look, extreme: float | None, order: str) -> list[float]:
    """The smallest or the largest numbers that may stand for a missing one, from the end of the column on."""
    if extreme is None or not SENTINEL.fullmatch(f"{extreme:.12g}"):
        return []
    if extreme > 0 and extreme % 1:
        same = f"avg((round(x - floor(x), 6) = {round(extreme % 1, 6)})::int)"
        if (column.ask(same, f"(select x from looked where x <> {extreme!r})")[0] or 0) > SAME_DECIMALS:
            return []
    some = column.select("x, count(*)", f"where x is not null group by 1 order by 1 {order} limit {MOST_SENTINELS}")
    often = max(OFTEN, column.filled // 200)
    return [x for x, _ in takewhile(lambda one: one[1] >= often or EVEN_ONCE.fullmatch(f"{one[0]:.12g}"), some)]


def prefixes(end: Sequence[float]) -> list[list[float]]:
    """Which numbers at one end may all stand for a missing value: none, the outermost one, or several.

    Several only if programs write such numbers for no value, such as -998 and -999; 98 and 99 may be answers.
    """
    several = list(takewhile(lambda x: abs(x) >= 100 and NO_ANSWER.fullmatch(f"{x:.12g}"), end))
    one = [list(end[:1])] if end else []
    return [[], *one, *(several[:many] for many in range(2, len(several) + 1))]


def are_far(column: Look, lows: Sequence[float], highs: Sequence[float]) -> bool:
    """Whether some of the smallest and of the largest numbers are far from all others, or the only negative ones, such as -99."""
    low, high = column.ask(
        "min(x), max(x)", f"(select x from looked where x not in ({', '.join(map(repr, [*lows, *highs]))}))"
    )
    if low is None or high == low:
        return False
    below = low >= 0 and all(NINES.fullmatch(f"{x:.12g}") for x in lows)

    def is_far(x: float, end: float) -> bool:
        return bool(abs(x - end) > FAR * (high - low) * (FAR_OF_HUGE if abs(x) >= HUGE else 1))

    return (below or all(is_far(x, low) for x in lows)) and all(is_far(x, high) for x in highs)
