"""How a file of rows is written: its separator, quotes, header, decimal mark, units. Each guess has an option of `retrain add`."""

import math
import re
import shlex
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from retrain import schema
from retrain.data.reading.encodings import first_bytes, foreign_words, is_wide, likely_encoding, two_encodings
from retrain.data.reading.expressions import literal, plain, signed
from retrain.data.reading.file_format import MARKERS, MINUS, ODD_SHARE, SAME_SIGNS, Expected, Format
from retrain.data.reading.sql_table import WIDE, Table
from retrain.data.reading.table_files import kind_of, open_table
from retrain.data.reading.text_files import (
    SEPARATORS,
    first_lines,
    has_row_names,
    lines_before_header,
    reading,
    source_of,
    with_command,
)
from retrain.errors import RetrainError

__all__ = [
    "FIRST",
    "HAS_DIGIT",
    "HAS_SIGN",
    "LOOKED_AT",
    "MOSTLY",
    "SIGNS",
    "Guess",
    "Wishes",
    "guessed_encoding",
    "guessed_table",
    "is_number",
    "one_sign",
    "signs_of",
    "swallowed_rows",
]


HEAD, FIRST, LOOKED_AT = 100, 2_000, 20_000
"""Rows that tell which columns are worth a look, those that are looked at first, and those that are looked at closely."""
MOSTLY = 0.5
"""The share of numbers from which a column of words is worth a look."""
FEW_DIFFERENT = 20
"""Different values below which numbers with a unit may be codes."""
SPACES, APOSTROPHES = SAME_SIGNS[" "], SAME_SIGNS["'"]
GROUPED = r"[+-]?[1-9](\d{0,2}(,\d{3})+|\d?(,\d\d)+,\d{3})(\.\d+)?"
APART, QUOTED = rf"[+-]?\d{{1,3}}({SPACES}\d{{3}})+([.,]\d*)?", rf"[+-]?\d{{1,3}}({APOSTROPHES}\d{{3}})+(\.\d*)?"
EXPONENT = r"[eE][+-]?\d+"
PATTERNS = {
    "commas": rf"[^,]*,\d+({EXPONENT})?",
    "fits_commas": rf"[+-]?(\d+|\d+,\d*({EXPONENT})?|[1-9]\d{{0,2}}(\.\d{{3}})+(,\d*)?|\d{{1,3}}({SPACES}\d{{3}})+(,\d*)?)",
    "dots": r"[+-]?[1-9]\d{0,2}(\.\d{3})+(,\d*)?",
    "dots_once": r"[+-]?[1-9]\d{0,2}\.\d{3}",
    "points": r"[+-]?(0*\.\d+|\d+\.(\d{1,2}|\d{4,}))",
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
MOST_REPEATED = 100
"""Separators that are counted in a line."""
MOST_UNITS = 4
"""Different units in a column; if there are more, they are rather parts of codes."""
CODE = r"\+.*|[^.,]{11,}"
"""What phone and company numbers in groups of three are like, if all have the same length."""
UNIT = r"[^\W\d_°µ%/²³]{1,6}|°[CF]?|[°µ]?[^\W\d_]{1,4}[²³]?(/[^\W\d_]{1,4}[²³]?)?|%"
"""A unit behind a number, such as kg, °C, m² or km/h."""
REST = f"trim(regexp_replace(v, '[\\d.,+()\\x27\u2019\\s\u00a0\u202f{MINUS}-]+', ' ', 'g'))"
HAS_DIGIT = "regexp_matches(v, '\\d')"
IN_FRONT = "not regexp_matches(v, '^[^a-zA-Z]*\\d\\s*[^\\d\\s]+$')"
SIGNS = (
    f"list(distinct {REST} order by {REST}) filter ({HAS_DIGIT}), list(distinct {REST}) filter ({HAS_DIGIT} and {IN_FRONT}), "
    f"avg({HAS_DIGIT}::int), count(distinct v)"
)
"""What is around the digits of values `v`, and in front of them; the share of values with digits; and how many differ."""
HAS_SIGN = f"not (lower(v) in ({', '.join(map(literal, MARKERS))}) or regexp_full_match(v, '[0.,]+'))"
"""Which values count for them."""


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
    given, notes, doubts = guessed_encoding(path, shown, wishes.format)
    may_have_title = target and wishes.header is not False and not is_parquet(path, shown)
    if may_have_title and (skip := lines_before_header(path, shown, given, target)):
        given = given.model_copy(update={"skip": skip})
        lines = "line before the header is" if skip == 1 else f"{skip} lines before the header are"
        notes.append(f"the {lines} left out")
    expected = Expected(wanted=[target] if target else [])
    with ExitStack() as stack:
        table, doubt = with_quotes(path, shown, given, expected, stack)
        doubts += [doubt] if doubt else []
        if table.format.quote != given.quote:
            given = given.model_copy(update={"quote": table.format.quote})
            notes.append("quotes have no meaning in it")
        check_whole_lines(table, target)
        known = target in table.names or table.kind != "csv"
        likely = looks_like_header(table)
        has_header = (known or likely) if wishes.header is None else wishes.header
        may_be_place = re.fullmatch(r"-?\d+", target) and abs(int(target)) <= len(table.names)
        if wishes.header is None and has_header and may_be_place and not likely:
            doubts.append(f"the first line is the header, because it has '{target}': if it is a row, use --no-header")
        if not has_header:
            names = tuple(f"column{place}" for place in range(1, len(table.names) + 1))
            table = stack.enter_context(open_table(path, shown, given, Expected(names)))
            notes.append("its first line does not look like a header")
        if table.kind == "csv":
            separator, quote = table.reading
            notes += ["its first column has the names of rows"] if names_rows(table) else []
            given = given.model_copy(update={"separator": separator, "quote": quote if quote != '"' else given.quote})
        given, note = numbers_written(table, given)
        doubts += [note] if note else []
        yield replace(table, format=given), Guess(given, has_header, table.names, tuple(notes), tuple(doubts))


def guessed_encoding(path: Path, shown: str, given: Format) -> tuple[Format, list[str], list[str]]:
    """The format of a text file with the encoding that it is likely to have, if the format gives none and it is not UTF-8.

    Also the note about it, or the doubt if it may be another one.
    """
    with reading(path, shown):
        encoding = "utf-8" if given.encoding or is_parquet(path, shown) else likely_encoding(path)
        if encoding == "utf-8":
            return given, [], []
        if (line := two_encodings(path, encoding)) is not None:
            raise mixed_encodings(path, shown, line)
    doubts = doubts_of_encoding(path, encoding)
    words = [] if doubts else foreign_words(path, encoding)
    note = f"encoding {encoding}" + (f", as in {schema.some_of(words)}" if words else "")
    return given.model_copy(update={"encoding": encoding}), [note], doubts


def is_parquet(path: Path, shown: str) -> bool:
    """Whether a file is Parquet, and not text."""
    return kind_of(Path(shown), first_bytes(path)) == "parquet"


def mixed_encodings(path: Path, shown: str, line: int) -> RetrainError:
    """The error of a file with lines in UTF-8 and others in another encoding, with a command that decodes each byte as it can."""
    old = 'codecs.register_error("old", lambda e: (e.object[e.start:e.end].decode("cp1252", "replace"), e.end))'
    program = f"""python -X utf8 -c 'import codecs, sys; {old}; print(end=open(sys.argv[1], "rb").read().decode(errors="old"))'"""
    suffix = Path(shown).suffix
    hint = with_command("make all UTF-8, if the others are cp1252", program, source_of(path, shown), suffix)
    return RetrainError(f"{shown}, line {line}", "is not UTF-8, but other lines are", hint)


def doubts_of_encoding(path: Path, encoding: str) -> list[str]:
    """Words that may be spelt wrongly, if the encoding of a file is a guess."""
    other = "cp1250" if encoding == "cp1252" else "cp1252"
    words = [] if is_wide(encoding) else foreign_words(path, encoding, other)
    listed = schema.enumerated([f"'{word}'" for word in words])
    fact = f"the file is not UTF-8, and is read as {encoding}, with words such as {listed}"
    return [f"{fact}: if they are misspelt, use another one, as in --encoding {other}"] if words else []


def with_quotes(path: Path, shown: str, given: Format, expected: Expected, stack: ExitStack) -> tuple[Table, str]:
    """A table, whose quotes have no meaning if it can only be read in this way, and a doubt about its quotes."""
    table: Table | None
    try:
        table = stack.enter_context(open_table(path, shown, given, expected))
        if (swallowed := swallowed_rows(table)) is None:
            return table, ""
        error = swallowed
    except RetrainError as found:
        table, error = None, found
    if given.quote is None:
        separator = given.separator if table is None else table.reading[0]
        unquoted = given.model_copy(update={"quote": "", "separator": separator})
        try:
            return without_quotes(open_table(path, shown, unquoted, expected), stack, error), ""
        except RetrainError:
            pass
    if table is None:
        raise error
    return table, str(error)


def names_rows(table: Table) -> bool:
    """Whether the first column of a CSV file has names of rows, for which the header has no name."""
    return table.text is not None and table.has_header and has_row_names(first_lines(table.text), *table.reading)


def check_whole_lines(table: Table, target: str) -> None:
    """Raise RetrainError if the only column holds whole lines: in quotes, or with a separator of several signs."""
    if table.kind != "csv" or table.text is None or len(table.names) > 1 or target in ("", *table.names):
        return
    (line,), lines = table.names, first_lines(table.text)
    in_quotes = all(line[0] == line.rstrip()[-1] == '"' for line in lines)
    for sign in (*SEPARATORS, *re.findall(r"[^\w\s\"']{2,}", line)):
        if target in map(str.strip, line.split(sign)) and len(sign) > 1:
            raise RetrainError(
                table.shown, f"has {schema.shown(sign)} between its values", one_sign(sign, table.source)
            )
        if target in map(str.strip, line.split(sign)) and in_quotes:
            hint = with_command("take them away", 'sed \'s/^"//; s/"$//; s/""/"/g\'', table.source)
            raise RetrainError(table.shown, "has quotes around whole lines", hint)
    names = line.split()
    if target in names and {len(row.split()) for row in lines[1:]} == {len(names) + 1}:
        fact = f"has {len(names)} names for {len(names) + 1} columns with blanks between them"
        raise RetrainError(
            f"{table.shown}, line {1 + table.skipped}", fact, "name each column, such as the names of rows"
        )


def one_sign(separator: str, source: str) -> str:
    """What to do about a file with several signs between its values, with a command if it has a source."""
    signs = "".join(f"[{sign}]" if sign != "^" else "\\\\^" for sign in separator)
    program = f"awk -v OFS='\\t' -F {shlex.quote(signs)} '{{$1=$1}} 1'"
    return with_command("put tabs between them", program, source, ".tsv")


def swallowed_rows(table: Table) -> RetrainError | None:
    """The error of the first value that has other rows in it, as after a quote that ends lines later; None if there is none.

    They show by the separators around the line breaks, and by a value that fits the first or the last column.
    """
    last = len(table.names) - 1
    if table.kind != "csv" or not last:
        return None
    several = ", ".join(f"coalesce(bool_or(contains(c{place}, '\n')), false)" for place in range(last + 1))
    sign = re.escape(table.reading[0])
    rows = []
    for place in [place for place, found in enumerate(table.ask(several)) if found]:
        behind = f"^(?:[^\n]*{sign}){{{min(last - place, MOST_REPEATED)}}}([^\n]*)\n"
        before = f"\n([^\n]*?)(?:{sign}[^\n]*){{{min(place, MOST_REPEATED)}}}$"
        parts = [(last, behind)] * (place < last) + [(0, before)] * (place > 0)
        shaped = " and ".join(f"regexp_matches(c{place}, {literal(part)})" for _, part in parts)
        fits = " or ".join(
            is_in_column(column, f"trim(regexp_extract(c{place}, {literal(part)}, 1))") for column, part in parts
        )
        rows += table.select(f"rowid, c{place}", f"where {shaped} and ({fits}) order by rowid limit 1")
    if not rows:
        return None
    row, value = min(rows)
    fact = f"has a value of {value.count(chr(10)) + 1:,} lines, which look like rows"
    return RetrainError(table.place(row), fact, 'close its quote, or write a quote inside a value as ""')


def is_in_column(place: int, cell: str) -> str:
    """The expression whether a text is among the values of a column, or a number as most of these are."""
    mostly = f"(select 2 * count(try_cast(c{place} as double)) > count(*) from rows)"
    return f"({cell} <> '' and {cell} in (select c{place} from rows)) or (try_cast({cell} as double) is not null and {mostly})"


def without_quotes(opened: AbstractContextManager[Table], stack: ExitStack, error: RetrainError) -> Table:
    """A table whose quotes have no meaning; raises the error of reading it with quotes if they do have one."""
    try:
        table = stack.enter_context(opened)
    except RetrainError:
        raise error from None
    quoted = " or ".join(f"regexp_full_match(c{place}, '\".*\"')" for place in range(len(table.names)))
    (share,) = table.ask(f"avg(({quoted})::int)", f"(select * from {some_rows(table)})")
    if share > ODD_SHARE:
        raise error
    return table


def some_rows(table: Table) -> str:
    """The rows that are looked at closely: of a long table some of all parts, because the last ones may be written in another way."""
    return f"rows where hash(rowid) % {math.ceil(len(table) / LOOKED_AT)} = 0" if len(table) else "rows"


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
    head = table.cells(f"limit {HEAD}")
    places = {}
    for place, name in enumerate(table.names):
        plain = any(is_number(row[place]) and row[place].strip("0.,") for row in head)
        if name and table.names.count(name) == 1 and not plain:
            places[place] = name
    found = {place: signs_of(counts) for place, *counts in some_values(table, [*places], SIGNS, HAS_SIGN)}
    return {name: found[place][0] for place, name in places.items() if len(found.get(place, ())) == 1}


def some_values(table: Table, places: Sequence[int], what: str, where: str, value: str = "v") -> list[tuple[Any, ...]]:
    """The place of each of some columns, and the answers about its values `v` in some rows; nothing if it has no such values.

    Args:
        table: the rows.
        places: the columns.
        what: the questions.
        where: which values count.
        value: the expression of `value`, which the questions may be about too.
    """
    rows = []
    for begin in range(0, len(places), WIDE):
        part = places[begin : begin + WIDE]
        values = (
            f"(select c, v, {value} as value from {table.stacked([f'c{place}' for place in part], some_rows(table))})"
        )
        found = table.connection.execute(f"select c, {what} from {values} where {where} group by c").fetchall()
        rows += [(part[c], *counts) for c, *counts in found]
    return rows


def signs_of(answers: Sequence[Any], known: Collection[str] = ()) -> list[str]:
    """The signs around numbers: a currency or a percent sign, or a unit such as kg behind them; empty for plain numbers.

    A word in front of digits may be part of a code, and so may one behind few different numbers. Zero needs no unit.

    Args:
        answers: the answers to `SIGNS` about the values of a column of which `HAS_SIGN` is true.
        known: what is a unit in any case.

    Returns:
        The signs; an empty list if most values have no digits, if one with digits has something else around them, or if
        there are too many signs.
    """
    signs, fronts, digits, different = answers
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
    units = {name: sign for name, sign in units_of(table).items() if sign not in given.units}
    given = given.model_copy(update={"units_in": units})
    texts = [(place, name) for place, name in enumerate(table.names) if schema.column_name(name) not in table.pointed]
    shares_in = shares_of(table, [place for place, _ in texts], given)
    all_columns = [(name, shares_in[place]) for place, name in texts if place in shares_in]
    columns = [shares for _, shares in all_columns]
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
    elif by_comma and (open_ := [name for name, shares in all_columns if shares["dots_once"] >= fits]):
        column = table.column(open_[0])
        (first,) = table.ask(f"min({column}) filter (regexp_full_match({column}, {literal(PATTERNS['dots_once'])}))")
        where = f"{first or '1.281'} in {schema.some_of(open_)}"
        read = f"{where} is read as {(first or '1.281').replace('.', '')}, because other columns have decimal commas"
        note = f"{read}: if that is wrong, write commas there, too"
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


def shares_of(table: Table, places: Sequence[int], given: Format) -> dict[int, dict[str, float]]:
    """The shares of each column's values that match `PATTERNS` without their units, in some rows, if a value has a sign.

    What stands for a missing value does not count.
    """
    alike: dict[tuple[str, str], list[int]] = {}
    for place, has_sign in some_values(table, places, f"bool_or(regexp_matches(v, {literal(ANY_SIGN)}))", "true"):
        if has_sign:
            name = table.names[place]
            absent = ", ".join(map(literal, (*MARKERS, *(marker.lower() for marker in given.markers_of(name)))))
            alike.setdefault((signed(plain("v", given.units_of(name))), absent), []).append(place)
    matching = ", ".join(f"count(*) filter (regexp_full_match(value, {literal(like)}))" for like in PATTERNS.values())
    is_code, is_apart = (f"regexp_full_match(value, {literal(like)})" for like in (CODE, APART))
    codes = f"bool_and({is_code}) filter ({is_apart}) and count(distinct length(value)) filter ({is_apart}) = 1"
    shares = {}
    for (value, absent), own in alike.items():
        what = f"count(*) filter (lower(v) not in ({absent})), coalesce({codes}, false), {matching}"
        for place, filled, has_codes, *found in some_values(table, own, what, "true", value):
            of_each = {name: count / max(1, filled) for name, count in zip(PATTERNS, found, strict=True)}
            shares[place] = {**of_each, "codes": float(has_codes)}
    return shares
