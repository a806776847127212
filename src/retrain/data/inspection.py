"""What the columns of a table hold. Every guess says why it was made, and has an option of `retrain add`."""

import re
import shlex
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from retrain import schema
from retrain.data.dialect import FIRST, LOOKED_AT, MARKERS, MOSTLY, ODD_SHARE, Wishes, signs_of
from retrain.data.sql_table import ISO, Table, literal, moment
from retrain.errors import RetrainError

__all__ = ["Column", "columns_of", "moment_in", "shown"]


ORDERS = ("%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d")
LONG_YEARS = (
    *(order.replace("/", sign) for sign in "/.-" for order in ORDERS),
    *("%Y%m%d", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y"),
)
DATES = (*LONG_YEARS, *(day.replace("%Y", "%y") for day in LONG_YEARS))
TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
WORDS = 3.0
"""Words in an average value from which a column holds texts."""
UNSPACED = r"[\x{0e00}-\x{0eff}\x{1000}-\x{109f}\x{1780}-\x{17ff}\x{3040}-\x{30ff}\x{3400}-\x{9fff}]"
"""Letters of scripts that write words without spaces: Thai, Lao, Burmese, Khmer, Japanese and Chinese."""
LONG = 40.0
"""Characters in an average value from which it is a text, even if it is one word."""
LABEL = re.compile(r"(^|[_ .])(class|code|label|category|type|kind|group|topic)$", re.IGNORECASE)
"""Names of targets whose whole numbers stand for classes."""
INDEX = re.compile(r"Unnamed: 0|__index_level_\d+__")
"""Names that pandas gives to an index that it has written."""
IDENTIFIER = re.compile(r"(^|[_ .])id$|^id([_ .]|$)|(?<=[a-z])I[dD]$|^index$")
FEW_CLASSES = 20
FAR_YEARS = 10
"""Years from now on that a column of dates reaches rarely."""
FAR = 2.0
"""A frequent extreme value stands for a missing one if its distance to the others is this many times their range."""
WORDS_ALONE = "(words)"
NO_DATES = ("0000-00-00", "00.00.0000", "00/00/0000")
FEW_ODD = 5
"""Different values that are not numbers in a column of numbers."""
NEARLY = r"(\D{0,5}[^\d\p{L}])?\d[\d.,\x27\x{2019}\x{a0}\x{202f} ]*\D{0,6}"
"""A number, perhaps with something in front or behind. A letter directly in front may be part of a code."""
SCATTERED = 0.8
"""The share of different values from which little can be learned from categories."""
PARTED = r"\d\s?[.,:/'\x{2019}HhMm]\s?\d"
"""What times, amounts and dates have, but few codes: digits, a sign between them, and digits."""
CLOCK = r"\d.*[/. -].*\d:\d\d"
"""What a date with a time of day has, but no duration such as 1:02:03."""
YES, NO = ("yes", "y", "true", "t", "1", "1.0"), ("no", "n", "false", "f", "0", "0.0")
SHORTER, LONGER = r"\d+|\d+\.\d*[1-9]", r"\d+[eE]\d+|\d+\.\d*[1-9]0+"
"""Spellings of one number that versions and codes have side by side: 1000 and 1E3, 3.1 and 3.10."""
DAYS = (19000101, 21001231)
"""The first and the last date that is looked for among numbers."""
NO_DAY = re.compile(r"(0001|1753|1900|1970)-01-01|1899-12-3[01]|(2[1-9]|[3-9]\d)\d\d-\d\d-\d\d")
"""Days that stand for no date: the first ones of calendars and programs, and those of a far future."""
PREDICT_DAYS = "to predict a time, write it as a number, such as days"
ANSWERS, NO_ANSWER = 20, re.compile(r"-?(77+|88+|9+[6-9])")
"""The largest answer on a scale, and the numbers by which survey programs write that there is none."""


@dataclass(frozen=True)
class Column:
    """What a column holds, and why it is taken for that."""

    name: str
    kind: str
    """`numbers`, `categories`, `dates`, `texts`, `target` or `leave_out`."""
    why: str
    missing: int
    """Rows in which it is empty."""
    distinct: int
    markers: tuple[str, ...] = ()
    """Values that stand for a missing one."""
    date_format: str = ""
    sentinels: tuple[str, ...] = ()
    """Numbers that stand for a missing one, such as -999."""
    predict: str = ""
    """Of the target: `label` or `number`."""
    rename: Mapping[str, str] = field(default_factory=dict)
    """Of a label: values that are the same number in another spelling, and their common name."""
    doubts: tuple[str, ...] = ()
    """What may be meant in another way."""
    no_answers: tuple[str, ...] = ()
    """Of small whole numbers: those that may stand for a missing answer, such as 98 and 99."""
    spellings: tuple[str, ...] = ()
    """Of categories: some that seem to mean the same."""
    scattered: bool = False
    """Of words: whether nearly every row has its own, so that more could be learned from numbers."""
    is_timed: bool = False
    """Of words: whether most values have a time of day, such as 3:04."""
    unspaced: bool = False
    """Of a text: whether most values are in a script that writes words without spaces."""


def columns_of(table: Table, target: str, wishes: Wishes) -> list[Column]:
    """What the columns of a table hold. The target comes first, the others follow in the order of the file.

    Raises:
        RetrainError: there is no target of that name, or a wish names a column that is not there.
    """
    for name in (target, *wishes.kinds):
        table.column(name)
    with looked_at(table, target) as column:
        found = [target_column(column, wishes.predict)]
    for name in table.names:
        if not name or table.names.count(name) > 1:
            why = "it has no name" if not name else "several columns have this name"
            found.append(Column(name, "leave_out", why, 0, 0))
        elif name != target:
            with looked_at(table, name) as column:
                found.append(column_of(column, wishes.kinds.get(name)))
    return found


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
    odd: dict[str, int]
    """Values that are not numbers, by how often they occur; the most frequent ones."""

    @property
    def sample(self) -> str:
        """The query of the first values that are not missing, by the format or by what people write for it."""
        marked = f"lower(v) in ({', '.join(map(literal, (*MARKERS, *NO_DATES)))})"
        return f"(select v from looked where not {marked} limit {LOOKED_AT})"

    @property
    def markers(self) -> tuple[str, ...]:
        """The values that people write for a missing one."""
        marked = ", ".join(map(literal, (*MARKERS[1:], *NO_DATES)))
        return tuple(text for (text,) in self.select("distinct v", f"where lower(v) in ({marked}) order by 1"))

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
        """Strangers that have digits, such as <0.5 and 5.2k."""
        return [text for text in self.strangers if re.search(r"\d", text)]

    @property
    def almost_numbers(self) -> tuple[str, ...]:
        """What to say about a column of words if most of them are numbers."""
        share, strangers = 1 - self.strange / max(1, self.filled), self.strangers
        if WORDS_ALONE in strangers or not strangers or share < MOSTLY:
            return ()
        words = ", ".join(f"{shown(text)} ({self.odd[text]:,} rows)" for text in strangers[:3])
        fact = f"{share:.0%} of {shown(self.name)} are numbers, but {words} {'are' if strangers[1:] else 'is'} not"
        hint = "if that means a missing value, add it with --missing"
        return (f"{fact}: {'write them as numbers too, unless they are codes' if self.amounts else hint}",)

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
        hint = "write all of them in one unit"
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

    def missing_if(self, values: Collection[str]) -> str:
        """What to say about values that count as missing; empty if there are none."""
        rows = sum(self.odd[text] for text in values)
        return f"; {', '.join(map(shown, list(values)[:3]))} ({rows:,} rows) counts as missing" if values else ""

    @property
    def is_numeric(self) -> bool:
        """Whether it holds numbers, apart from a few values."""
        return self.numbers > 0 and self.strange <= ODD_SHARE * self.filled and len(self.strangers) <= FEW_ODD

    def ask(self, what: str, source: str = "looked") -> tuple[Any, ...]:
        """The only row of a query on the column, or on a part of it."""
        return self.table.ask(what, source)

    def select(self, what: str, tail: str) -> list[tuple[Any, ...]]:
        """The rows of a query on the column."""
        return self.table.connection.execute(f"select {what} from looked {tail}").fetchall()

    def column(self, kind: str, why: str, **more: Any) -> Column:
        """What was found out."""
        return Column(self.name, kind, why, self.missing, self.distinct, **more)


@contextmanager
def looked_at(table: Table, name: str) -> Iterator[Look]:
    """Count what is in a column.

    It becomes a table of its own: of a wide table, each question would take longer. Numbers are converted once.
    """
    database = table.connection
    database.execute(f"create or replace temp table looked as select coalesce({table.value(name)}, '') as v from rows")
    missing, filled, distinct = table.ask(
        "count(*) filter (v = ''), count(*) filter (v <> ''), count(distinct hash(v)) filter (v <> '')", "looked"
    )
    number = table.number_in("v", name)
    (numeric,) = table.ask(f"avg(({number} is not null)::int)", f"(select v from looked where v <> '' limit {FIRST})")
    numbers, odd = 0, {WORDS_ALONE: filled}
    if numeric and numeric > 0.1:
        database.execute(f"create or replace temp table looked as select v, {number} as x from looked")
        words = "select v, count(*) from looked where v <> '' and x is null group by 1 order by 2 desc, 1 limit 50"
        odd = dict(database.execute(words).fetchall())
        (numbers,) = table.ask("count(x)", "looked")
    yield Look(table, name, missing, filled, distinct, numbers, odd)
    database.execute("drop table looked")


def column_of(column: Look, wish: str | None) -> Column:
    """What an input column holds."""
    if wish is not None:
        return as_wished(column, wish)
    if not column.filled or INDEX.fullmatch(column.name):
        why = "it is an index that pandas has written" if column.filled else "it is empty"
        return column.column("leave_out", why)
    if column.distinct == 1 and not column.missing:
        return column.column("leave_out", f"all its values are {shown(column.ask('any_value(v)')[0])}")
    if column.is_numeric:
        return number_column(column)
    found = date_column(column) or word_column(column)
    if found.kind != "dates" and (mixed := column.mixed(are_numbers=False)):
        return replace(found, doubts=found.doubts or mixed, scattered=False)
    return found


def as_wished(column: Look, wish: str) -> Column:
    """A column of the kind that the user gave; raises RetrainError if its values are of another kind."""
    why = "as you asked"
    if wish == "numbers":
        return column.column(
            wish,
            why + column.absent,
            markers=numbers_of(column),
            doubts=(*column.lost, *column.mixed(are_numbers=True)),
        )
    if wish != "dates":
        return column.column(wish, why)
    found = date_column(column)
    if found is None:
        raise no_dates(column)
    return replace(found, why=f"{why}, {found.why}")


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
    low, high, distinct, found, whole, zeros = column.ask(
        "min(x), max(x), count(distinct x), count(x), count(*) filter (x = floor(x)), "
        "count(*) filter (regexp_matches(v, '^0\\d+$'))"
    )
    if zeros:
        return column.column("categories", f"{zeros:,} of its numbers begin with 0, so they are codes")
    unique = whole == found == distinct > FEW_CLASSES
    if unique and high - low < found + len(column.table.format.missing):
        return column.column("leave_out", "it numbers the rows")
    if unique and IDENTIFIER.search(column.name):
        return column.column("leave_out", "it has a different number in every row")
    name = shlex.quote(column.name)
    hints = f"--categories {name}", f"if so, add --dates {name} --date-format %Y%m%d"
    return of_numbers(column, "numbers", "numbers", *hints)


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
    """What to say about numbers that may be versions or codes, because one of them is written in two ways."""
    if column.is_varied:
        return
    shorter, longer = (f"any_value(v) filter (regexp_full_match(v, {literal(like)}))" for like in (SHORTER, LONGER))
    found = column.select(
        f"{shorter} as a, {longer} as b", "group by x having a is not null and b is not null order by x"
    )
    for short, long in found[:1]:
        yield f"{short} and {long} in {shown(column.name)} are read as one number: if they are versions or codes, add {option}"


def days(column: Look, hint: str) -> Iterator[str]:
    """What to say about whole numbers that are dates, such as 20240115."""
    low, high = column.ask("min(x), max(x)")
    if low < DAYS[0] or high > DAYS[1]:
        return
    if column.ask("bool_and(try_strptime(v, '%Y%m%d') is not null)", "(select v from looked where x is not null)")[0]:
        yield f"all numbers in {shown(column.name)} can be read as dates, such as {low:.0f}: {hint}"


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


def word_column(column: Look) -> Column:
    """A column of words: a text, a category, or an identifier."""
    words, letters = column.ask("avg(length(v) - length(replace(v, ' ', '')) + 1), avg(length(v))", column.sample)
    shares = ", ".join(f"avg(regexp_matches(v, {literal(like)})::int)" for like in (UNSPACED, PARTED, CLOCK))
    unspaced, amounts, clocks = column.ask(shares, column.sample)
    is_timed = clocks > MOSTLY
    many, doubts = column.is_varied, column.almost_numbers
    scattered = many and column.distinct > SCATTERED * column.filled
    few_words = scattered and amounts > 1 - ODD_SHARE and letters < LONG
    if many and (words >= WORDS or letters > LONG or (unspaced > 0.5 and letters > WORDS)):
        why = f"{words:.0f} words on average" if words >= WORDS else f"{letters:.0f} characters on average"
        return column.column("texts", why, unspaced=unspaced > 0.5, scattered=few_words, is_timed=is_timed)
    if column.distinct == column.filled > FEW_CLASSES and words < 1.5:
        why = "it has a different value in every row"
        return column.column("leave_out", why, doubts=doubts, scattered=few_words, is_timed=is_timed)
    why = "1 value" if column.distinct == 1 else f"{column.distinct:,} different values"
    if many and words >= 1.5 and column.distinct > 0.3 * column.filled:
        return column.column("texts", f"{why} of {words:.1f} words", scattered=few_words, is_timed=is_timed)
    return column.column(
        "categories", why, doubts=doubts, scattered=scattered, is_timed=is_timed, spellings=spellings(column)
    )


def spellings(column: Look) -> tuple[str, ...]:
    """Categories that differ only in case or spaces, or words that all mean yes, or no. Letters alone may be codes."""
    yes, both = (", ".join(map(literal, words)) for words in (YES, (*YES, *NO)))
    same = "lower(regexp_replace(v, '\\s+', ' ', 'g'))"
    words = "bool_or(lower(v) in ('yes', 'true')) and bool_or(lower(v) in ('no', 'false'))"
    if column.ask(f"bool_and(lower(v) in ({both})) and {words}", "(select v from looked where v <> '')")[0]:
        same = f"lower(v) in ({yes})"
    several = f"where v <> '' group by {same} having len(names) > 1 order by len(names) desc, names limit 1"
    return next((tuple(names) for (names,) in column.select("list(distinct v order by v) as names", several)), ())


def target_column(column: Look, predict: str | None) -> Column:
    """The column to predict: a label or a number."""
    (zeros,) = column.ask("count(*) filter (regexp_matches(v, '^0\\d+$'))")
    if predict == "label" or (predict is None and (zeros or not column.is_numeric)):
        if column.distinct > max(FEW_CLASSES, column.filled / 2):
            fact = f"has {column.distinct:,} different values in {column.filled:,} rows, too many for a label"
            (amounts,) = column.ask(f"avg(regexp_full_match(v, {literal(NEARLY)})::int)", column.sample)
            if predict is None and (amounts or 0) > MOSTLY and not formats_of(column):
                raise no_numbers(column, f", and the column {fact}", "choose another target")
            raise RetrainError(f"column '{column.name}'", fact, "choose another target, or write its values as numbers")
        why = "as you asked" if predict else "codes that begin with 0" if zeros else "not numbers"
        why = f"a label with {column.distinct:,} different values ({why})"
        dates = f"the target {shown(column.name)} holds dates, and each is a class: {PREDICT_DAYS}"
        doubts = (dates,) if formats_of(column) else ()
        return column.column("target", why, predict="label", doubts=doubts)
    numbers_of(column)
    some = column.select("distinct x", f"where x is not null order by 1 limit {FEW_CLASSES + 1}")
    values = [value for (value,) in some]
    whole = len(values) <= FEW_CLASSES and all(value == round(value) for value in values)
    counted = whole and (values == list(range(len(values))) or LABEL.search(column.name))
    if predict is None and (len(values) <= 2 or counted):
        listed = ", ".join(f"{value:g}" for value in values[:3])
        why = f"a label, because its values are {listed}{' ...' if len(values) > 3 else ''}"
        if predict is None and len(values) > 2 and not LABEL.search(column.name):
            why += "; if they are counts, add --predict number"
        spelt = column.select("distinct v, x", "where x is not null order by 1")
        rename = {text: f"{value:g}" for text, value in spelt} if len(spelt) > len(values) else {}
        markers = tuple(text for text in column.odd if text not in column.strangers)  # another word is a class
        return column.column(
            "target", why + column.missing_if(markers), predict="label", rename=rename, markers=markers
        )
    return of_numbers(column, "target", "a number", "--predict label", PREDICT_DAYS, predict="number")


def shown(value: Any) -> str:
    """A value as a message shows it."""
    return f"'{schema.shortened(' '.join(str(value).split()), 30)}'"
