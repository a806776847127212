"""CSV files as tables. Errors name the line, as an editor counts it."""

import csv
import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from retrain.data.reading.database import fill, first_line, lacks_room
from retrain.data.reading.encodings import CHUNK
from retrain.data.reading.expressions import literal
from retrain.data.reading.file_format import Expected
from retrain.data.reading.sql_table import Table
from retrain.data.reading.text_files import (
    LONGEST_LINE,
    SEPARATORS,
    Text,
    apart,
    first_lines,
    has_row_names,
    header_line,
    is_apart,
    lines_before_header,
    names_in,
    rare_separators,
    records,
    with_command,
)
from retrain.errors import RetrainError

if TYPE_CHECKING:
    import duckdb

__all__ = ["csv_table"]


RULER = re.compile(r"[-+=|: ]*---[-+=|: ]*")
"""A line between the rows of a listing, as MySQL, psql, SAP and Markdown have them."""
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")
"""A sign that no text has, so it separates values."""
GAP = re.compile(r"\S {2,}\S")
"""Several blanks between names, as in columns of a fixed width."""
BACKSLASH = '\\"'
LIMITS = f"max_line_size={LONGEST_LINE}, buffer_size={4 * LONGEST_LINE}"
"""What DuckDB may read of a CSV file at once."""


def csv_table(connection: "duckdb.DuckDBPyConnection", text: Text, expected: Expected) -> Table:
    """The rows of a CSV file. DuckDB finds out the separator and the quote if they are not given."""
    import duckdb

    with text.path.open(encoding="utf-8") as file:
        if not file.read(CHUNK).strip():
            raise RetrainError(text.shown, "is empty", "add rows")
    separator, quote = style_of(connection, text, expected)
    if separator == " ":
        text = apart(text)
    names, header = expected.names, first_record(text.path, separator, quote)
    if names is None and has_row_names(first_lines(text.path), separator, quote):
        header = ["", *header]
    check_skip(text, expected, header)
    width = len(header)
    if names is not None and len(names) != width:
        fact = f"has {width} column{'s' if width > 1 else ''}, but prepare.columns names {len(names)}"
        raise RetrainError(f"{text.shown}, line {1 + text.skipped}", fact, "name each column of the file once")
    own = tuple(header if names is None else names)
    table = Table(
        connection,
        own,
        text.format,
        text.shown,
        text.path,
        names is None,
        text.skipped,
        (separator, quote),
        text.section,
        source=text.source,
    )
    if width == 1 and not expected.is_header(own) and GAP.search(own[0]):
        program = "python -X utf8 -c 'import pandas, sys; print(end=pandas.read_fwf(sys.argv[1]).to_csv(index=False))'"
        hint = with_command("make it CSV", program, text.source)
        raise RetrainError(text.shown, "has columns of a fixed width", hint)
    columns = ", ".join(f"'c{place}': 'VARCHAR'" for place in range(width))
    style = f"delim={literal(separator)}, quote={literal(quote)}, escape={literal(quote)}"
    options = f"auto_detect=false, header={str(names is None).lower()}, {style}, columns={{{columns}}}, {LIMITS}"
    try:
        fill(connection, f"read_csv({literal(str(text.path))}, {options})", width)
    except duckdb.Error as error:
        if lacks_room(error):
            raise
        raise malformed(table, text.path, error) from None
    if not len(table):
        raise RetrainError(text.shown, "has a header, but no rows", "add rows")
    if separator == "|" and is_listing(table, text.path):
        raise listing(table)
    return table


def check_skip(text: Text, expected: Expected, names: Sequence[str]) -> None:
    """Raise RetrainError if the names lack wanted columns, which are sure to be in another line than the first that is not skipped."""
    if expected.names is not None or not expected.section or expected.is_header(names):
        return
    given = text.format
    before = lines_before_header(text.original, text.shown, given, expected.wanted[0])
    if before is not None and before != given.skip:
        lines = f"{before or 'no'} line{'s' if before > 1 else ''}"
        name = f"{expected.section}.format.skip"
        fact = f"has {lines} before its header, but {name} is {given.skip}"
        raise RetrainError(text.shown, fact, f"set {name}: {before}{', or remove them' if before > given.skip else ''}")


def is_listing(table: Table, text: Path) -> bool:
    """Whether a file has lines of - between rows with | between their values. Lines inside a value don't count."""
    separator, quote = table.reading
    rows = [separator.join(record) for _, record in records(first_lines(text), separator, quote, single=False)]
    others = [row for row in rows if not RULER.fullmatch(row)]
    return len(others) < len(rows) and 2 * sum("|" in row for row in others) > len(others)


def listing(table: Table) -> RetrainError:
    """The error of a file that is not CSV, but a table for people."""
    hint = "remove them, and what is around the table"
    hint = with_command(hint, "awk '/[|]/ && !/^[-+=|: ]*$/'", table.source, ".txt")
    return RetrainError(table.shown, "has lines of - between its rows", hint)


def first_record(text: Path, separator: str, quote: str) -> list[str]:
    """The names of columns, if the first record of a CSV file that is not a blank line has them."""
    with text.open(encoding="utf-8", newline="") as file:
        lines = map(header_line, file) if separator == " " else file
        return names_in(next(record for _, record in records(lines, separator, quote, single=False)))


def style_of(connection: "duckdb.DuckDBPyConnection", text: Text, expected: Expected) -> tuple[str, str]:
    """The separator and the quote of a CSV file: given, or else such that the header has the wanted columns."""
    import duckdb

    options = "".join(
        f", {name}={literal(value)}"
        for name, value in {"delim": text.format.separator, "quote": text.format.quote}.items()
        if value is not None
    )
    source = f"sniff_csv({literal(str(text.path))}, header=false, all_varchar=true, {LIMITS}{options})"
    try:
        ((separator, quote),) = connection.execute(f"select Delimiter, Quote from {source}").fetchall()
    except duckdb.Error:  # a row does not fit the others; reading names it
        separator, quote = ",", '"'
    quote = text.format.quote if text.format.quote is not None else quote if len(quote) == 1 else '"'
    if text.format.separator is not None:
        return text.format.separator, quote
    likely = [*([" "] if is_apart(text.path) else []), separator, *(own for own in SEPARATORS if own != separator)]
    if len(first_record(text.path, likely[0], quote)) == 1:
        likely += rare_separators(text.path)
        if not expected.wanted and CONTROL.match(likely[-1]):
            return likely[-1], quote
    tried = [expected.separator or likely[0], *likely] if expected.wanted else []
    with_wanted = (own for own in tried if expected.is_header(first_record(text.path, own, quote)))
    return next(with_wanted, likely[0]), quote


def malformed(table: Table, text: Path, error: Exception) -> RetrainError:
    """The error of a row that does not fit the others. The standard library finds it, because DuckDB counts rows, not lines."""
    separator, quote = table.reading
    width = len(table.names)
    quotes = f'set {table.section}.format.quote: ""' if table.section else "save the file again"
    bad_quote = (
        "has a quote that does not end, or text after a closing quote",
        f'write a quote inside a field as "", or {quotes} if quotes have no meaning in this file',
    )
    by_backslash = (
        f"has a quote after a backslash ({BACKSLASH})",
        with_command('write a quote inside a field as ""', 'sed \'s/\\\\"/""/g\'', table.source),
    )
    with text.open(encoding="utf-8", newline="") as file:
        try:
            for row, (start, record) in enumerate(records(file, separator, quote, single=width == 1, strict=True)):
                if len(record) != width and (row or not table.has_header):
                    if is_listing(table, text):
                        raise listing(table)
                    values = f"{len(record)} value{'s' if len(record) != 1 else ''}"
                    fact = f"has {values} for {width} column{'s' if width > 1 else ''}"
                    first, is_first = 1 + table.skipped, row == table.has_header
                    odd = f"line {first} if the header is below it" if is_first else "the line"
                    hint = f"add the missing values, or remove {odd}"
                    if len(record) > width:
                        hint = f"put quotes around values that contain {separator!r}"
                        hint += f", or name each column in line {first}" if is_first else ""
                    return RetrainError(f"{table.shown}, line {start + table.skipped}", fact, hint)
        except csv.Error as found:
            file.seek(0)
            line = next(itertools.islice(file, found.args[0] - 1, None), "")
            place = f"{table.shown}, line {found.args[0] + table.skipped}"
            return RetrainError(place, *(by_backslash if BACKSLASH in line else bad_quote))
    if "unterminated quote" in str(error):
        number = re.search(r"CSV Error on Line: (\d+)", str(error))
        where = table.place(int(number[1]) - 1 - table.has_header) if number else table.shown
        return RetrainError(where, *bad_quote)
    return RetrainError(table.shown, f"can't be read ({first_line(error)})", "check the file, and prepare.format")
