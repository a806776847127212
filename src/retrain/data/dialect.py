"""How a file of rows is written: its separator, quotes, header, decimal mark, units. Each guess has an option of `retrain add`."""

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from retrain import schema
from retrain.data.file_format import MINUS, SAME_SIGNS, Format
from retrain.data.sql_table import Table, literal, plain, signed
from retrain.data.table_files import Expected, open_table
from retrain.data.text_files import foreign_words, likely_encoding, lines_before_header
from retrain.errors import RetrainError

__all__ = [
    "FIRST",
    "LOOKED_AT",
    "MARKERS",
    "MOSTLY",
    "ODD_SHARE",
    "Guess",
    "Wishes",
    "guessed_table",
    "is_number",
    "signs_of",
]


MARKERS = (
    "", "?", "-", "--", ".", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "missing", "unknown", "\\n", "inf", "-inf",
    "n.a.", "k.a.", "n.d.", "n. a.", "k. a.", "<na>", "#div/0!", "#value!", "#ref!", "#name?", "#num!", "#null!",
)  # fmt: skip
"""What people write for a missing number, in lower case."""
HEAD, FIRST, LOOKED_AT = 100, 2_000, 20_000
"""Rows that tell which columns are worth a look, those that are looked at first, and those that are looked at closely."""
ODD_SHARE = 0.05
"""The largest share of values that are not numbers in a column of numbers."""
MOSTLY = 0.5
"""The share of numbers from which a column of words is worth a look."""
FEW_DIFFERENT = 20
"""Different values below which numbers with a unit may be codes."""
SPACES, APOSTROPHES = SAME_SIGNS[" "], SAME_SIGNS["'"]
GROUPED = r"[+-]?[1-9](\d{0,2}(,\d{3})+|\d?(,\d\d)+,\d{3})(\.\d+)?"
APART, QUOTED = rf"[+-]?\d{{1,3}}({SPACES}\d{{3}})+([.,]\d*)?", rf"[+-]?\d{{1,3}}({APOSTROPHES}\d{{3}})+(\.\d*)?"
PATTERNS = {
    "commas": r"[^,]*,\d+",
    "fits_commas": rf"[+-]?(\d+|\d+,\d*|\d{{1,3}}(\.\d{{3}})+(,\d*)?|\d{{1,3}}({SPACES}\d{{3}})+(,\d*)?)",
    "dots": r"[+-]?\d{1,3}(\.\d{3})+(,\d*)?",
    "points": r"[+-]?\d*\.(\d{1,2}|\d{4,})",
    "groups": GROUPED,
    "fits_groups": rf"{GROUPED}|[+-]?\d*\.\d+|[+-]?\d{{1,3}}",
    "once": r"[+-]?[1-9]\d{0,2},\d{3}",
    "both": r"[+-]?\d{1,3}(,\d{3})+\.\d+",
    "apart": APART,
    "fits_apart": rf"{APART}|[+-]?\d{{1,3}}([.,]\d*)?",
    "cents_apart": rf"[+-]?\d{{1,3}}({SPACES}\d{{3}})+[.,]\d+",
    "quoted": QUOTED,
    "fits_quoted": rf"{QUOTED}|[+-]?\d{{1,3}}(\.\d*)?",
}
"""Ways to write numbers: with a decimal comma; 1.234,5; with a point that can only be the decimal mark; 1,234.5 or 12,34,567;
1,234; 1 234,5; and 1'234.5. Those of `fits_...` may also be plain or below a thousand."""
ANY_SIGN = f"[,.{SPACES[1:-1]}{APOSTROPHES[1:-1]}]"
"""A sign that all these numbers have, but for plain ones."""
UNITS = re.compile(
    r"%|[A-Z]{0,3}[$€£¥￥₹₽₺₩₪₫฿₴₦]|\\|kr|zł|Rs|Rp|RM|EUR|USD|GBP|CHF|AUD|CAD|INR|JPY|BRL|SEK|NOK|DKK|PLN|CZK"
)
"""A percent sign or a currency, also in front of numbers. Shift-JIS has \\ for ¥."""
MOST_UNITS = 4
"""Different units in a column; if there are more, they are rather parts of codes."""
CODE = r"\+.*|[^.,]{11,}"
"""What phone and company numbers in groups of three are like, if all have the same length."""
UNIT = r"[^\W\d_°µ%/²³]{1,6}|°[CF]?|[°µ]?[^\W\d_]{1,4}[²³]?(/[^\W\d_]{1,4}[²³]?)?|%"
"""A unit behind a number, such as kg, °C, m² or km/h."""


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
    given, notes, doubts = wishes.format, [], []
    if given.encoding is None and not shown.lower().endswith(".parquet"):
        encoding = likely_encoding(path)
        if encoding != "utf-8":
            given = given.model_copy(update={"encoding": encoding})
            doubts += doubts_of_encoding(path, encoding)
            words = [] if doubts else foreign_words(path, encoding)
            notes.append(f"encoding {encoding}" + (f", as in {schema.some_of(words)}" if words else ""))
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
        likely = looks_like_header(table)
        has_header = (known or likely) if wishes.header is None else wishes.header
        if wishes.header is None and has_header and is_number(target) and not likely:
            doubts.append(f"the first line is the header, because it has '{target}': if it is a row, use --no-header")
        if not has_header:
            names = tuple(f"column{place}" for place in range(1, len(table.names) + 1))
            table = stack.enter_context(open_table(path, shown, given, Expected(names)))
            notes.append("its first line does not look like a header")
        if table.kind == "csv":
            separator, quote = table.reading
            given = given.model_copy(update={"separator": separator, "quote": quote if quote != '"' else given.quote})
        given, note = numbers_written(table, given)
        doubts += [note] if note else []
        yield replace(table, format=given), Guess(given, has_header, table.names, tuple(notes), tuple(doubts))


def doubts_of_encoding(path: Path, encoding: str) -> list[str]:
    """Words that may be spelt wrongly, if the encoding of a file is a guess."""
    other = "cp1250" if encoding == "cp1252" else "cp1252"
    words = [] if encoding == "utf-16" else foreign_words(path, encoding, other)
    listed = schema.enumerated([f"'{word}'" for word in words])
    fact = f"the file is not UTF-8, and is read as {encoding}, with words such as {listed}"
    return [f"{fact}: if they are misspelt, use another one, as in --encoding {other}"] if words else []


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
    numbers = [name for _, name in named if is_number(name)]
    if not named or len(numbers) > len(named) / 2 or any(len(name) > schema.LONGEST_NAME for _, name in named):
        return False
    if numbers and not has_numbers_below_words(table):
        return False
    again = " or ".join(f"c{place} = {literal(name)}" for place, name in named)
    return not table.ask("count(*)", f"rows where {again}")[0]


def has_numbers_below_words(table: Table) -> bool:
    """Whether some column has a word in the first line and numbers below it, as only a header has."""
    words = [place for place, name in enumerate(table.names) if name and not is_number(name)]
    counts = ", ".join(f"count(try_cast(c{place} as double))" for place in words)
    return any(
        count > FIRST / 4 or count > len(table) / 2
        for count in table.ask(counts, f"(select * from rows limit {FIRST})")
    )


def is_number(text: str) -> bool:
    """Whether a text is a number."""
    return re.fullmatch(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?", text.strip()) is not None


def units_of(table: Table) -> dict[str, str]:
    """The sign around the numbers of each column whose values all have the same one."""
    found = {}
    head = table.select("*", f"limit {HEAD}")
    for place, name in enumerate(table.names):
        plain = any(is_number(row[place]) and row[place].strip("0.,") for row in head)
        if name and table.names.count(name) == 1 and not plain:
            signs = signs_of(table, f"(select c{place} as v from rows limit {LOOKED_AT})")
            if len(signs) == 1:
                found[name] = signs[0]
    return found


def signs_of(table: Table, values: str, known: Collection[str] = ()) -> list[str]:
    """The signs around numbers: a currency or a percent sign, or a unit such as kg behind them; empty for plain numbers.

    A word in front of digits may be part of a code, and so may one behind few different numbers. Zero needs no unit.

    Args:
        table: the rows.
        values: the query of the values `v` of a column.
        known: what is a unit in any case.

    Returns:
        The signs; an empty list if most values have no digits, if one with digits has something else around them, or if
        there are too many signs.
    """
    rest = f"trim(regexp_replace(v, '[\\d.,+()\\x27\u2019\\s\u00a0\u202f{MINUS}-]+', ' ', 'g'))"
    in_front = "not regexp_matches(v, '^[^a-zA-Z]*\\d\\s*[^\\d\\s]+$')"
    has_digit = "regexp_matches(v, '\\d')"
    plain = f"lower(v) in ({', '.join(map(literal, MARKERS))}) or regexp_full_match(v, '[0.,]+')"
    signs, fronts, digits, different = table.ask(
        f"list(distinct {rest} order by {rest}) filter ({has_digit}), list(distinct {rest}) filter ({has_digit} and {in_front}), "
        f"avg({has_digit}::int), count(distinct v)",
        f"(select v from {values} where not ({plain}))",
    )
    if (digits or 0) < MOSTLY or len(signs) > MOST_UNITS:
        return []

    def is_unit(sign: str) -> bool:
        is_behind = different > FEW_DIFFERENT and sign not in (fronts or ())
        return sign in known or bool(UNITS.fullmatch(sign) or (is_behind and re.fullmatch(UNIT, sign)))

    return signs if any(signs) and all(is_unit(sign) for sign in signs if sign) else []


def numbers_written(table: Table, given: Format) -> tuple[Format, str]:
    """The format with the units, the decimal mark and the signs between thousands that the numbers of the table have.

    Also a note if 1.281 or 1,281 can be read in two ways: the comma is the decimal mark if semicolons separate the values.

    Returns:
        The format, and the note; empty if there is nothing to say.
    """
    if table.kind != "csv":
        return given, ""
    units = {} if given.units else units_of(table)
    given = given.model_copy(update={"units_in": units})
    all_columns = (shares_of(table, place, given.units_of(name)) for place, name in enumerate(table.names))
    columns = [shares for shares in all_columns if shares]
    fits = 1 - ODD_SHARE

    def fitting(some: str, all_fit: str) -> list[dict[str, float]]:
        return [one for one in columns if one[some] and one[all_fit] >= fits]

    grouped, dotted = fitting("groups", "fits_groups"), fitting("dots", "fits_commas")
    by_semicolon = table.reading[0] == ";"
    pointed = any(one["points"] >= fits / 2 for one in columns)
    by_comma = any(one["fits_groups"] < fits for one in fitting("commas", "fits_commas"))
    by_comma = by_comma and (by_semicolon or not pointed)
    is_open = not by_comma and not pointed and not any(one["both"] for one in columns)
    note = ""
    if by_semicolon and is_open and (grouped or dotted):
        by_comma = True
        read = "1,281 is read as 1.281" if grouped else "1.281 is read as 1281"
        note = f"{read}, because semicolons separate the values: if that is wrong, use --decimal . --thousands ,"
    found: dict[str, Any] = {}
    if by_comma or given.decimal == ",":
        found = {"decimal": ",", **({"thousands": "."} if dotted else {})}
    elif grouped and "decimal" not in given.model_fields_set:
        found = {"thousands": ","}
        if not pointed and all(one["once"] == one["groups"] >= fits for one in grouped):
            note = "1,281 is read as 1281: if the comma is the decimal mark, use --decimal ,"
    apart = [one for one in fitting("apart", "fits_apart") if not one["codes"]]
    if apart and ("thousands" not in found or any(one["cents_apart"] for one in apart)):
        found["thousands"] = " "
    found |= {"thousands": "'"} if fitting("quoted", "fits_quoted") else {}
    known = {name: value for name, value in found.items() if name not in given.model_fields_set}
    return given.model_copy(update=known), note if "decimal" in known or known.get("thousands") == "," else ""


def shares_of(table: Table, place: int, units: Sequence[str]) -> dict[str, float]:
    """The shares of a column's values that match `PATTERNS` without their units, in the first rows; empty if no value has a sign."""
    # Of a wide table, `select *` would take more time than the rest of the query.
    rows = f"(select c{place} as v from rows limit {LOOKED_AT})"
    if not table.ask(f"bool_or(regexp_matches(v, {literal(ANY_SIGN)}))", rows)[0]:
        return {}
    matching = (f"count(*) filter (regexp_full_match(value, {literal(pattern)}))" for pattern in PATTERNS.values())
    is_code, is_apart = (f"regexp_full_match(value, {literal(like)})" for like in (CODE, APART))
    codes = f"bool_and({is_code}) filter ({is_apart}) and count(distinct length(value)) filter ({is_apart}) = 1"
    what = f"count(*) filter (value <> ''), coalesce({codes}, false), {', '.join(matching)}"
    filled, is_code, *found = table.ask(what, f"(select {signed(plain('v', units))} as value from {rows})")
    shares = {name: count / max(1, filled) for name, count in zip(PATTERNS, found, strict=True)}
    return {**shares, "codes": float(is_code)}
