"""A look at a table before anything is learned: how it is written, what its columns hold, and what is odd about it.

Every guess says why it was made, and every one of them has an option of `retrain add`.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from retrain import schema
from retrain.data.table_files import (
    ISO,
    MINUS,
    SAME_SIGNS,
    Expected,
    Format,
    Table,
    likely_encoding,
    lines_before_header,
    literal,
    open_table,
)
from retrain.errors import RetrainError

__all__ = ["LOOKED_AT", "MARKERS", "Column", "Guess", "Wishes", "columns_of", "guessed_table", "shown"]


MARKERS = (
    "",
    "?",
    "-",
    "--",
    ".",
    "na",
    "n/a",
    "#n/a",
    "nan",
    "null",
    "none",
    "nil",
    "missing",
    "unknown",
    "\\n",
    "inf",
    "-inf",
    "n.a.",
    "k.a.",
    "n.d.",
    "n. a.",
    "k. a.",
    "<na>",
    "#div/0!",
    "#value!",
    "#ref!",
    "#name?",
    "#num!",
    "#null!",
)
"""What people write for a missing number, in lower case."""
DATES = (
    "%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m/%d/%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y%m%d", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y",
    "%d-%b-%Y",
)  # fmt: skip
TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
WORDS = 3.0
"""Words in an average value from which a column holds texts."""
UNSPACED = r"[\x{0e00}-\x{0eff}\x{1000}-\x{109f}\x{1780}-\x{17ff}\x{3040}-\x{30ff}\x{3400}-\x{9fff}]"
"""Letters of scripts that write words without spaces: Thai, Lao, Burmese, Khmer, Japanese and Chinese."""
LONG = 40.0
"""Characters in an average value from which it is a text, even if it is one word."""
FIRST = 2_000
LOOKED_AT = 20_000
"""Rows that are looked at first, and those that are looked at closely. Counts are those of the whole file."""
LABEL = re.compile(r"(^|[_ .])(class|code|label|category|type|kind|group|topic)$", re.IGNORECASE)
"""Names of targets whose whole numbers stand for classes."""
INDEX = re.compile(r"Unnamed: 0|__index_level_\d+__")
"""Names that pandas gives to an index that it has written."""
IDENTIFIER = re.compile(r"(^|[_ .])id$|^id([_ .]|$)|(?<=[a-z])I[dD]$|^index$")
GROUPED = r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?"
GROUPED_OR_PLAIN = rf"{GROUPED}|[+-]?\d*\.\d+|[+-]?\d{{1,3}}"
COMMA_DECIMALS = rf"[+-]?(\d+|\d+,\d*|\d{{1,3}}(\.\d{{3}})+(,\d*)?|\d{{1,3}}({SAME_SIGNS[' ']}\d{{3}})+(,\d*)?)"
DOTTED = r"[+-]?\d{1,3}(\.\d{3})+(,\d*)?"
"""Ways to write numbers: 1,234.5; the same or below a thousand; 1.234,5; and the same with at least one dot."""
PLAIN_POINT = r"[+-]?\d*\.(\d{1,2}|\d{4,})"
"""A number whose point can only be the decimal mark."""
APART = rf"[+-]?\d{{1,3}}({SAME_SIGNS[' ']}\d{{3}})+([.,]\d*)?"
FITS_APART = rf"{APART}|[+-]?\d{{1,3}}([.,]\d*)?"
QUOTED = rf"[+-]?\d{{1,3}}({SAME_SIGNS[chr(39)]}\d{{3}})+(\.\d*)?"
FITS_QUOTED = rf"{QUOTED}|[+-]?\d{{1,3}}(\.\d*)?"
"""1 234,5 and 1'234.5, and the same or below a thousand."""
FEW_CLASSES = 20
ODD_SHARE = 0.05
"""The largest share of values that are not numbers in a column of numbers."""
UNITS = {"€", "$", "£", "¥", "₹", "%", "EUR", "USD", "GBP", "CHF", "US$", "kr", "zł"}
UNIT = r"[^\W\d_°µ%/²³]{1,6}|°[CF]?|[°µ]?[^\W\d_]{1,4}[²³]?(/[^\W\d_]{1,4}[²³]?)?|%"
"""A unit behind a number, such as kg, °C, m² or km/h."""
FAR = 2.0
"""A frequent extreme value stands for a missing one if its distance to the others is this many times their range."""
WORDS_ALONE = "(words)"
NO_DATES = ("0000-00-00", "00.00.0000", "00/00/0000")
MOSTLY = 0.5
"""The share of numbers from which a column of words is worth a look."""
FEW_ODD = 5
"""Different values that are not numbers in a column of numbers."""


@dataclass(frozen=True)
class Wishes:
    """What the user decides instead of leaving it to a guess."""

    format: Format = field(default_factory=Format)
    header: bool | None = None
    predict: str | None = None
    """`label` or `number`."""
    kinds: dict[str, str] = field(default_factory=dict)
    """The kind of some columns: `numbers`, `categories`, `dates`, `texts` or `leave_out`."""


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
    almost_numbers: str = ""
    """Of words: what most values have in common, if that is being numbers."""
    ambiguous: bool = False
    """Of dates: whether day and month could be swapped."""
    unspaced: bool = False
    """Of a text: whether most values are in a script that writes words without spaces."""


@dataclass(frozen=True)
class Guess:
    """How a file is written."""

    format: Format
    has_header: bool
    names: tuple[str, ...]
    """The names of the columns; without a header, column1, column2 and so on."""
    notes: tuple[str, ...]
    doubts: tuple[str, ...] = ()
    """What may be meant in another way."""


@contextmanager
def guessed_table(path: Path, shown: str, wishes: Wishes, target: str = "") -> Iterator[tuple[Table, Guess]]:
    """Open a file in the format that it is likely to have.

    Args:
        path: the file.
        shown: how errors name it.
        wishes: what is not left to a guess.
        target: a column that the header has, if it has one. It tells the separator.

    Yields:
        The table, and how it is written: what the user wished, or what was found.

    Raises:
        RetrainError: see `open_table`.
    """
    given, notes = wishes.format, []
    if given.encoding is None and not shown.lower().endswith(".parquet"):
        encoding = likely_encoding(path)
        if encoding != "utf-8":
            given = given.model_copy(update={"encoding": encoding})
            notes.append(f"it is not UTF-8, but probably {encoding}")
    if target and wishes.header is not False and (skip := lines_before_header(path, shown, given, target)):
        given = given.model_copy(update={"skip": skip})
        lines = "line before the header is" if skip == 1 else f"{skip} lines before the header are"
        notes.append(f"the {lines} left out")
    expected = Expected(wanted=[target] if target else [])
    with ExitStack() as stack:
        try:
            table = stack.enter_context(open_table(path, shown, given, expected))
        except RetrainError as error:
            if given.quote is not None:
                raise
            given = given.model_copy(update={"quote": ""})
            table = without_quotes(open_table(path, shown, given, expected), stack, error)
            notes.append("quotes have no meaning in it")
        known = target in table.names or table.kind != "csv"
        has_header = known or looks_like_header(table) if wishes.header is None else wishes.header
        if not has_header:
            names = tuple(f"column{place}" for place in range(1, len(table.names) + 1))
            table = stack.enter_context(open_table(path, shown, given, Expected(names)))
            notes.append("its first line does not look like a header")
        if table.kind == "csv":
            separator, quote = table.reading
            given = given.model_copy(update={"separator": separator, "quote": quote if quote != '"' else given.quote})
        given, note = numbers_written(table, given)
        doubts = (note,) if note else ()
        yield replace(table, format=given), Guess(given, has_header, table.names, tuple(notes), doubts)


def without_quotes(opened: AbstractContextManager[Table], stack: ExitStack, error: RetrainError) -> Table:
    """A table whose quotes have no meaning; raises the error of reading it with quotes if they do have one."""
    try:
        table = stack.enter_context(opened)
    except RetrainError:
        raise error from None
    quoted = " or ".join(f"regexp_full_match(c{place}, '\".*\"')" for place in range(len(table.names)))
    (share,) = table.ask(f"avg(({quoted})::int)", f"(select * from rows limit {LOOKED_AT})")
    if share > ODD_SHARE:
        raise error
    return table


def looks_like_header(table: Table) -> bool:
    """Whether the first line names columns: with words that are short, and that no row has in the same column."""
    named = [(place, name) for place, name in enumerate(table.names) if name]
    numbers = [name for _, name in named if as_number(name)]
    if not named or len(numbers) > len(named) / 2 or any(len(name) > schema.LONGEST_NAME for _, name in named):
        return False
    if numbers and not has_numbers_below_words(table):
        return False
    again = " or ".join(f"c{place} = {literal(name)}" for place, name in named)
    return not table.ask("count(*)", f"rows where {again}")[0]


def has_numbers_below_words(table: Table) -> bool:
    """Whether some column has a word in the first line and numbers below it, as only a header has."""
    words = [place for place, name in enumerate(table.names) if name and not as_number(name)]
    counts = ", ".join(f"count(try_cast(c{place} as double))" for place in words)
    return any(
        count > FIRST / 4 or count > len(table) / 2
        for count in table.ask(counts, f"(select * from rows limit {FIRST})")
    )


def as_number(text: str) -> bool:
    """Whether a text is a number."""
    return re.fullmatch(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?", text.strip()) is not None


def units_of(table: Table) -> tuple[str, ...]:
    """Signs around numbers that all values of a column have: a currency or a percent sign, or a unit such as kg behind them.

    A word in front of digits may be part of a code, and so may one behind few different numbers.
    """
    found = set()
    for place in range(len(table.names)):
        rest = f"trim(regexp_replace(c{place}, '[\\d.,+\\s\u00a0\u202f{MINUS}-]+', ' ', 'g'))"
        marked = ", ".join(map(literal, MARKERS))
        source = f"(select {rest} as sign, c{place} as v from rows where lower(c{place}) not in ({marked}) limit {LOOKED_AT})"
        signs, digits, behind, different = table.ask(
            "list(distinct sign), avg(regexp_matches(v, '\\d')::int), avg(regexp_matches(v, '^[^a-zA-Z]*\\d\\s*[^\\d\\s]+$')::int), "
            "count(distinct v)",
            source,
        )
        if digits == 1 and len(signs) == 1 and signs[0]:
            is_unit = re.fullmatch(UNIT, signs[0]) and behind == 1 and different > FEW_CLASSES
            if signs[0] in UNITS or is_unit:
                found.add(signs[0])
    return tuple(sorted(found))


def numbers_written(table: Table, given: Format) -> tuple[Format, str]:
    """The format with the units, the decimal mark and the signs between thousands that the numbers of the table have.

    Also a note if 1.281 or 1,281 can be read in two ways: where semicolons separate the values, a comma is the decimal mark.

    Returns:
        The format, and the note; empty if there is nothing to say.
    """
    if table.kind != "csv":
        return given, ""
    units = given.units or units_of(table)
    patterns = {
        "commas": r"[^,]*,\d+", "groups": GROUPED, "fits_groups": GROUPED_OR_PLAIN, "fits_commas": COMMA_DECIMALS,
        "dots": DOTTED, "points": PLAIN_POINT, "both": r"[+-]?\d{1,3}(,\d{3})+\.\d+", "apart": APART, "fits_apart": FITS_APART,
        "quoted": QUOTED, "fits_quoted": FITS_QUOTED,
    }  # fmt: skip
    columns = [shares_of(table, place, units, patterns) for place in range(len(table.names))]
    fits = 1 - ODD_SHARE
    by_semicolon = table.reading[0] == ";"
    pointed = any(one["points"] >= fits / 2 for one in columns)
    grouped = [one for one in columns if one["groups"] and one["fits_groups"] >= fits]
    dotted = [one for one in columns if one["dots"] and one["fits_commas"] >= fits]
    by_comma = any(one["commas"] and one["fits_commas"] >= fits and one["fits_groups"] < fits for one in columns)
    by_comma = by_comma and (by_semicolon or not pointed)
    note = ""
    if (
        by_semicolon
        and not by_comma
        and not pointed
        and not any(one["both"] for one in columns)
        and (grouped or dotted)
    ):
        by_comma = True
        read = "1,281 is read as 1.281" if grouped else "1.281 is read as 1281"
        note = f"{read}, because semicolons separate the values: if that is wrong, use --decimal . --thousands ,"
    found: dict[str, Any] = {"units": units} if units else {}
    if by_comma or given.decimal == ",":
        found |= {"decimal": ",", **({"thousands": "."} if dotted else {})}
    elif grouped and "decimal" not in given.model_fields_set:
        found |= {"thousands": ","}
    for sign, some, all_fit in ((" ", "apart", "fits_apart"), ("'", "quoted", "fits_quoted")):
        if any(one[some] and one[all_fit] >= fits for one in columns):
            found["thousands"] = sign
    known = {name: value for name, value in found.items() if name not in given.model_fields_set}
    return given.model_copy(update=known), note if "decimal" in known else ""


def shares_of(table: Table, place: int, units: Sequence[str], patterns: Mapping[str, str]) -> dict[str, float]:
    """The shares of a column's values that match patterns without their units, in the first rows."""
    value = f"replace(c{place}, '{MINUS}', '-')"
    for unit in units:
        value = f"trim(replace({value}, {literal(unit)}, ''))"
    counts = ", ".join(
        f"count(*) filter (regexp_full_match({value}, {literal(pattern)}))" for pattern in patterns.values()
    )
    filled, *found = table.ask(f"count(*) filter ({value} <> ''), {counts}", f"(select * from rows limit {LOOKED_AT})")
    return {name: count / max(1, filled) for name, count in zip(patterns, found, strict=True)}


def columns_of(table: Table, target: str, wishes: Wishes) -> list[Column]:
    """What the columns of a table hold. The target comes first, the others follow in the order of the file.

    Raises:
        RetrainError: there is no target of that name, or a wish names a column that is not there.
    """
    for name in (target, *wishes.kinds):
        table.column(name)
    found = [target_column(look(table, target), wishes.predict)]
    for name in table.names:
        if not name or table.names.count(name) > 1:
            why = "it has no name" if not name else "several columns have this name"
            found.append(Column(name, "leave_out", why, 0, 0))
        elif name != target:
            found.append(column_of(look(table, name), wishes.kinds.get(name)))
    return found


@dataclass(frozen=True)
class Look:
    """One column, and what was counted in it."""

    table: Table
    name: str
    missing: int
    """Rows in which it is empty."""
    filled: int
    """The other rows."""
    distinct: int
    odd: dict[str, int]
    """Values that are not numbers, by how often they occur; the most frequent ones."""

    @property
    def value(self) -> str:
        """The expression of its values; empty where they are missing."""
        return f"coalesce({self.table.value(self.name)}, '')"

    @property
    def number(self) -> str:
        """The expression of its values as numbers."""
        return self.table.number(self.name)

    @property
    def sample(self) -> str:
        """The query of the first values that are not missing, by the format or by what people write for it."""
        marked = f"lower({self.value}) in ({', '.join(map(literal, (*MARKERS, *NO_DATES)))})"
        return f"(select {self.value} as v from rows where not {marked} limit {LOOKED_AT})"

    @property
    def markers(self) -> tuple[str, ...]:
        """The values that people write for a missing one."""
        marked = ", ".join(map(literal, (*MARKERS[1:], *NO_DATES)))
        rows = self.table.select(f"distinct {self.value}", f"where lower({self.value}) in ({marked}) order by 1")
        return tuple(text for (text,) in rows)

    @property
    def strangers(self) -> list[str]:
        """Values that are neither numbers nor signs of a missing one."""
        return [text for text in self.odd if text.lower() not in MARKERS]

    @property
    def almost_numbers(self) -> str:
        """That most values of a column of words are numbers, and the words; empty if they are not."""
        strange = {text: self.odd[text] for text in self.strangers}
        share = 1 - sum(strange.values()) / max(1, self.filled)
        if WORDS_ALONE in strange or not strange or share < MOSTLY:
            return ""
        words = ", ".join(f"{shown(text)} ({count:,} rows)" for text, count in list(strange.items())[:3])
        return f"{share:.0%} of {shown(self.name)} are numbers, but {words} {'is' if len(strange) == 1 else 'are'} not"

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
        strange = sum(self.odd[text] for text in self.strangers)
        numbers = self.filled - sum(self.odd.values())
        return numbers > 0 and strange <= ODD_SHARE * self.filled and len(self.strangers) <= FEW_ODD

    def ask(self, what: str, tail: str = "") -> tuple[Any, ...]:
        """The only row of a query on the table."""
        return self.table.ask(what, f"rows {tail}")

    def column(self, kind: str, why: str, **more: Any) -> Column:
        """What was found out."""
        return Column(self.name, kind, why, self.missing, self.distinct, **more)


def look(table: Table, name: str) -> Look:
    """Count what is in a column."""
    value, number = f"coalesce({table.value(name)}, '')", table.number(name)
    missing, filled, distinct = table.ask(
        f"count(*) filter ({value} = ''), count(*) filter ({value} <> ''), count(distinct hash({value})) filter ({value} <> '')"
    )
    (numeric,) = table.ask(
        f"avg(({number} is not null)::int)", f"(select * from rows where {value} <> '' limit {FIRST})"
    )
    where = f"where {value} <> '' and {number} is null group by 1 order by 2 desc, 1 limit 50"
    odd = dict(table.select(f"{value}, count(*)", where)) if numeric and numeric > 0.1 else {WORDS_ALONE: filled}
    return Look(table, name, missing, filled, distinct, odd)


def column_of(column: Look, wish: str | None) -> Column:
    """What an input column holds."""
    if wish is not None:
        return as_wished(column, wish)
    if not column.filled or INDEX.fullmatch(column.name):
        why = "it is an index that pandas has written" if column.filled else "it is empty"
        return column.column("leave_out", why)
    if column.distinct == 1 and not column.missing:
        return column.column(
            "leave_out", f"all its values are {shown(column.ask('any_value(' + column.value + ')')[0])}"
        )
    if column.is_numeric:
        return number_column(column)
    if (found := date_format(column)) is not None:
        why = f"its values are dates ({found or 'ISO 8601'})"
        if other := other_order(column, found):
            why += f"; {other} would fit too, so check the order of day and month (--date-format)"
        return column.column("dates", why, date_format=found, markers=column.markers, ambiguous=bool(other))
    return word_column(column)


def as_wished(column: Look, wish: str) -> Column:
    """A column of the kind that the user gave; raises RetrainError if its values are of another kind."""
    written, markers, absent = "", column.markers if wish == "dates" else (), ""
    if wish == "numbers":
        markers, absent = numbers_of(column), column.absent
    elif wish == "dates":
        found = date_format(column)
        if found is None:
            raise RetrainError(
                f"column '{column.name}'", "does not hold dates", "say how they are written: --date-format"
            )
        written = found
    return column.column(wish, "as you asked" + absent, date_format=written, markers=markers)


def numbers_of(column: Look) -> tuple[str, ...]:
    """The values of a column of numbers that are words; raises RetrainError if they are too many."""
    if WORDS_ALONE in column.odd or sum(column.odd.values()) > column.filled / 2:
        raise RetrainError(f"column '{column.name}'", "holds few numbers", "take it as a label, or as categories")
    return tuple(column.odd)


def number_column(column: Look) -> Column:
    """A column whose values are numbers, or codes that look like numbers."""
    number = column.number
    low, high, distinct, found, whole, zeros = column.ask(
        f"min({number}), max({number}), count(distinct {number}), count({number}), "
        f"count(*) filter ({number} = floor({number})), count(*) filter (regexp_matches({column.value}, '^0\\d+$'))"
    )
    if zeros:
        return column.column("categories", f"{zeros:,} of its numbers begin with 0, so they are codes")
    unique = whole == found == distinct > FEW_CLASSES
    if unique and high - low == found - 1:
        return column.column("leave_out", "it numbers the rows")
    if unique and IDENTIFIER.search(column.name):
        return column.column("leave_out", "it has a different number in every row")
    sentinels, note = sentinels_of(column)
    why = f"numbers from {low:.6g} to {high:.6g}{note}"
    return column.column("numbers", why + column.absent, markers=tuple(column.odd), sentinels=sentinels)


def sentinels_of(column: Look) -> tuple[tuple[str, ...], str]:
    """The ways in which a number that stands for a missing one is written, and what to say about it.

    It is frequent, negative or made of one repeated digit, such as 999, and farther from the others than they are from each
    other.
    """
    number = column.number
    for extreme in column.ask(f"min({number}), max({number})"):
        if extreme is None or not re.fullmatch(r"-\d+|([789])\1+", f"{extreme:.12g}"):
            continue
        same, other = f"{number} = {extreme!r}", f"{number} <> {extreme!r}"
        count, low, high = column.ask(
            f"count(*) filter ({same}), min({number}) filter ({other}), max({number}) filter ({other})"
        )
        if low is None or high == low or count < max(5, column.filled // 200):
            continue
        if max(low - extreme, extreme - high) > FAR * (high - low):
            written = column.table.select(f"distinct {column.value}", f"where {same} order by 1")
            note = f"; {extreme:g} ({count:,} rows) is far from all others, so it counts as missing"
            return tuple(text for (text,) in written), note
    return (), ""


def date_format(column: Look) -> str | None:
    """How the dates of a column are written: empty for ISO 8601, None if there are none."""
    return next(formats_of(column), None)


def other_order(column: Look, written: str) -> str:
    """Another way to read the same dates, with day and month in the other order; empty if only one fits."""
    own = written.replace("%d", "%M").replace("%m", "%d").replace("%M", "%m")
    return own if own != written and written.startswith(("%d", "%m")) and own in formats_of(column) else ""


def formats_of(column: Look) -> Iterator[str]:
    """The ways in which all dates of a column can be read. What the user gave comes first."""

    def all_are(condition: str) -> bool:
        return bool(column.table.ask(f"bool_and({condition})", column.sample)[0])

    if not all_are("regexp_matches(v, '\\d') and length(v) between 6 and 40"):
        return
    if all_are(f"regexp_matches(v, {literal(ISO)}) and try_cast(v as timestamp) is not null"):
        yield ""
        return
    formats = (*column.table.format.dates, *(day + time for day in DATES for time in TIMES))
    yield from (written for written in formats if all_are(f"try_strptime(v, {literal(written)}) is not null"))


def word_column(column: Look) -> Column:
    """A column of words: a text, a category, or an identifier."""
    words, letters = column.table.ask("avg(length(v) - length(replace(v, ' ', '')) + 1), avg(length(v))", column.sample)
    many = column.distinct > FEW_CLASSES and column.distinct > 0.1 * column.filled
    (unspaced,) = column.table.ask(f"avg(regexp_matches(v, {literal(UNSPACED)})::int)", column.sample)
    if many and (words >= WORDS or letters > LONG or (unspaced > 0.5 and letters > WORDS)):
        per_value = f"{words:.0f} words" if words >= WORDS else f"{letters:.0f} characters"
        return column.column("texts", f"{per_value} on average", unspaced=unspaced > 0.5)
    if column.distinct == column.filled > FEW_CLASSES and words < 1.5:
        return column.column("leave_out", "it has a different value in every row", almost_numbers=column.almost_numbers)
    if many and words >= 1.5 and column.distinct > 0.3 * column.filled:
        return column.column("texts", f"{column.distinct:,} different values of {words:.1f} words")
    return column.column("categories", f"{column.distinct:,} different values", almost_numbers=column.almost_numbers)


def target_column(column: Look, predict: str | None) -> Column:
    """The column to predict: a label or a number."""
    number = column.number
    (zeros,) = column.ask(f"count(*) filter (regexp_matches({column.value}, '^0\\d+$'))")
    if predict == "label" or (predict is None and (zeros or not column.is_numeric)):
        if column.distinct > max(FEW_CLASSES, column.filled / 2):
            fact = f"has {column.distinct:,} different values in {column.filled:,} rows, too many for a label"
            raise RetrainError(f"column '{column.name}'", fact, "choose another target, or write its values as numbers")
        why = "as you asked" if predict else "codes that begin with 0" if zeros else "not numbers"
        return column.column("target", f"a label with {column.distinct:,} different values ({why})", predict="label")
    some = column.table.select(f"distinct {number}", f"where {number} is not null order by 1 limit {FEW_CLASSES + 1}")
    values = [value for (value,) in some]
    whole = len(values) <= FEW_CLASSES and all(value == round(value) for value in values)
    counted = whole and (values == list(range(len(values))) or LABEL.search(column.name))
    if predict is None and (len(values) <= 2 or counted):
        listed = ", ".join(f"{value:g}" for value in values[:3])
        why = f"a label, because its values are {listed}{' ...' if len(values) > 3 else ''}"
        spelt = column.table.select(f"distinct {column.value}, {number}", f"where {number} is not null order by 1")
        rename = {text: f"{value:g}" for text, value in spelt} if len(spelt) > len(values) else {}
        markers = tuple(text for text in column.odd if text not in column.strangers)  # another word is a class
        return column.column(
            "target", why + column.missing_if(markers), predict="label", rename=rename, markers=markers
        )
    markers = numbers_of(column)
    low, high = column.ask(f"min({number}), max({number})")
    sentinels, note = sentinels_of(column)
    why = f"a number from {low:.6g} to {high:.6g}{note}{column.absent}"
    return column.column("target", why, predict="number", markers=markers, sentinels=sentinels)


def shown(value: Any) -> str:
    """A value as a message shows it."""
    return f"'{schema.shortened(' '.join(str(value).split()), 30)}'"
