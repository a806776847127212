"""Files of rows as tables: CSV, JSON lines and Parquet, read by DuckDB. Errors name the line, as an editor counts it.

DuckDB gives every value as text. Numbers, categories and dates are converted here, column by column, so that an error can
name the value and what to do.
"""

import codecs
import csv
import json
import re
import shlex
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Literal

from retrain import files, schema
from retrain.data.report_csv import LARGEST
from retrain.errors import RetrainError
from retrain.schema import Section, in_order

from pydantic import AfterValidator, Field, StringConstraints

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import pyarrow as pa

__all__ = [
    "ISO",
    "MINUS",
    "SAME_SIGNS",
    "Expected",
    "Format",
    "Table",
    "foreign_words",
    "likely_encoding",
    "lines_before_header",
    "literal",
    "moment",
    "open_table",
    "signed",
]


Character = Annotated[str, StringConstraints(min_length=1, max_length=1)]
SPACE = " \t\r\n\v\f\u00a0\ufeff"
"""White space around a value, which does not count."""
SEPARATORS = (",", ";", "\t", "|")
COMPRESSED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
"""The encodings that the first bytes of a file tell."""
ARFF = """'{k=tolower($1)} d&&NF&&!/^%/; k=="@attribute"{n=n s $2; s=","} k~/^@data/{print n; d=1}'"""
"""The program of awk that makes a CSV file of an ARFF file."""
BLANK = re.compile(r"(?:[ \t]*\n)+")
SEP = re.compile(r'"?sep=(.)"?\n', re.IGNORECASE)
"""The first line that Excel writes to tell itself the separator."""
VALUE_IN_QUOTES = re.compile(r'"(?:[^"\n]|"")*"')
VALUE = re.compile(rf"{VALUE_IN_QUOTES.pattern}|\S+")
"""A value of a line whose values have blanks between them."""
APART = re.compile(r"\d {2,}[\d.+-]")
"""Numbers with several blanks between them, as no other separator needs."""
GAP = re.compile(r"\S {2,}\S")
COMMENT = re.compile(r"(#|//|%)\s")
SEARCHED = 30
"""The first lines of a CSV file, among which the header is looked for."""
LONGEST_LINE = 1 << 25
"""Bytes in a row of a CSV file."""
LARGEST_FILE = 1 << 34
"""Bytes of a file after decompression."""
ENCODINGS = ("cp1252", "cp1250", "cp1251", "koi8_r", "shift_jis", "gb18030", "big5", "euc_kr", "utf_16")
"""Encodings that are tried on a file that is not UTF-8."""
ALPHABETS = {
    "cp1252": (
        "äöüßé",
        "åäöæøéèòóôü",
        "àâæçèéêëîïôœùûüÿ",
        "áéíñóúü¿¡",
        "àáâãçéêíóôõú",
        "àèéìîòù",
        "áèéêëíïóöúü",
        "áæðéíóöúýþ",
        "äöõüšž",
        "àçèéíïòóúü",
    ),
    "cp1250": ("ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "ăâîşţ", "čćđšž"),
}
"""Letters outside ASCII of languages of Western and of Central Europe."""
MOST = 0.95
FOREIGN = re.compile(r"[^\W\d_]{0,30}[^\x00-\x7f\s][^\W\d_]{0,30}")
NAMED = 3
ASCII, FEWEST, FEW = 127, 30, 0.01
"""The largest byte of ASCII; the number and the share of bytes outside it below which the guess of an encoding is worth little."""
CHUNK = 1 << 20
KINDS = {".parquet": "parquet", ".jsonl": "json", ".ndjson": "json", ".json": "json"}
"""Kinds of files by suffix. All others are CSV, unless their first bytes say otherwise."""
BACKSLASH = '\\"'
OFFSET = r":\d\d(\.\d+)? ?(Z|[+-]\d\d(:?\d\d)?)$"
COMMA, POINT = re.compile(r"[+-]?\d+,\d+"), re.compile(r"[+-]?\d+\.\d+")
MINUS = "\N{MINUS SIGN}"
SAME_SIGNS = {" ": "[ \u00a0\u202f\u2009]", "'": "['\u2019]"}
"""Signs between thousands that look alike, as a regular expression."""
MEMORY = "512MB"
"""What DuckDB may use for rows that are kept on the disk."""
WIDE = 50
"""Columns of a wide table, for which DuckDB needs more time to plan a query than to run it."""
PARQUET_ROWS = 1 << 16
"""Rows of a Parquet file that are read at once."""
DIGITS = {"%Y": r"\d{4}", "%y": r"\d{2}"}
"""The digits of years, as in Python."""
ISO = r"^\d{4}-\d{1,2}-\d{1,2}([T ]\d{1,2}:\d{2}.*)?$"


class Format(Section):
    """How a file spells its values. What is absent is found out from the file, or is the usual."""

    skip: Annotated[int, Field(ge=0, le=100)] = 0
    """Lines of a CSV file that come before its header, such as a title or comments."""
    separator: Character | None = None
    """Between the values of a CSV file; a space stands for any number of blanks. Found out from the file if absent."""
    quote: Annotated[str, StringConstraints(max_length=1)] | None = None
    """Around values of a CSV file, doubled inside them; empty if quotes have no meaning. Found out if absent."""
    encoding: str | None = None
    """UTF-8 if absent; UTF-16 is recognised by its byte order mark."""
    decimal: Literal[".", ","] = "."
    """The decimal mark in numbers."""
    thousands: Literal[",", ".", " ", "'", "_"] | None = None
    """The sign between groups of three digits, such as the comma in 1,234.5."""
    dates: tuple[str, ...] = ()
    """How dates are written, for strptime, such as %d/%m/%Y; %y is a year of two digits, from 1969 to 2068. ISO 8601 is always understood."""
    dates_in: Annotated[dict[str, str], AfterValidator(in_order)] = Field(default_factory=dict)
    """How the dates of a single column are written."""
    missing: tuple[str, ...] = ()
    """Values that stand for a missing one, such as `?` or `NA`, except in texts. An empty value is always missing."""
    missing_in: Annotated[dict[str, list[str]], AfterValidator(in_order)] = Field(default_factory=dict)
    """Values that stand for a missing one in a single column, such as `{days: ["999"]}`."""
    units: tuple[str, ...] = ()
    """Signs around numbers that are left out, such as `$` or `%`."""


@dataclass(frozen=True)
class Table:
    """The rows of a file, as text, in a database of their own in memory."""

    connection: "duckdb.DuckDBPyConnection"
    """Holds the table `rows` with the columns c0, c1 ..., all text without white space around it."""
    names: tuple[str, ...]
    """The names of the columns, as the file has them. They may repeat, and be empty."""
    format: Format
    shown: str
    """How errors name the file."""
    text: Path | None
    """The file as plain text, to find a line; None for Parquet."""
    has_header: bool
    skipped: int
    """Lines of the original before the text."""
    reading: tuple[str, str] = (",", '"')
    """The separator and the quote of a CSV file."""
    section: str = ""
    """The section of params.yaml that describes the file; empty for rows to predict."""

    def __len__(self) -> int:
        """The number of rows."""
        return int(self.select("count(*)")[0][0])

    def select(self, what: str, tail: str = "") -> list[tuple[Any, ...]]:
        """The rows of a query on the table."""
        return self.connection.execute(f"select {what} from rows {tail}").fetchall()

    def ask(self, what: str, source: str = "rows") -> tuple[Any, ...]:
        """The only row of a query on the table, or on a part of it."""
        ((*found,),) = self.connection.execute(f"select {what} from {source}").fetchall()
        return tuple(found)

    def to_pandas(self, expressions: Mapping[str, str], tail: str) -> "pd.DataFrame":
        """Expressions as the columns of these names, of the rows of a query."""
        import pandas as pd

        queries = self.queries(expressions, tail)
        rows: pd.DataFrame = pd.concat(
            [self.connection.sql(query).to_arrow_table().to_pandas() for query in queries], axis=1
        )
        return rows

    def queries(self, expressions: Mapping[str, str], tail: str) -> list[str]:
        """Queries for some of the expressions each: the time for planning one grows with the square of their number."""
        named = [f"{expression} as {identifier(name)}" for name, expression in expressions.items()]
        parts = [named[begin : begin + WIDE] for begin in range(0, len(named), WIDE)]
        return [f"select {', '.join(part)} from rows {tail}" for part in parts]

    def column(self, name: str) -> str:
        """The database's name of a column; raises RetrainError if there is none, or more than one."""
        same = schema.column_name(name)
        found = [place for place, own in enumerate(self.names) if schema.column_name(own) == same]
        if len(found) == 1:
            return f"c{found[0]}"
        if found:
            raise RetrainError(
                f"{self.shown}, line {1 + self.skipped}",
                f"names column '{name}' twice",
                "rename one of them",
            )
        if self.kind == "csv" and len(self.names) == 1 and any(sign in self.names[0] for sign in SEPARATORS):
            fact = f"has no column '{name}', but the single column {schema.shown(self.names[0])}"
            raise RetrainError(
                self.shown, fact, f"set {self.section or 'prepare'}.format.separator to the sign between its values"
            )
        raise RetrainError(self.shown, f"has no column '{name}'", schema.nearest(name, list(filter(None, self.names))))

    @property
    def kind(self) -> str:
        """`csv`, `json` or `parquet`."""
        return "parquet" if self.text is None else "json" if not self.reading[0] else "csv"

    def value(self, name: str) -> str:
        """The expression of a column's value that is not text: NULL where it is missing."""
        column = self.column(name)
        missing = ", ".join(map(literal, ("", *self.format.missing, *self.format.missing_in.get(name, ()))))
        return f"(case when {column} in ({missing}) then null else {column} end)"

    def number(self, name: str) -> str:
        """The expression of a column as a number; NULL where it is missing or not a finite number."""
        return self.number_in(self.value(name))

    def number_in(self, value: str) -> str:
        """The expression of a value as a number; NULL where it is not a finite number. (5) and 5- are -5."""
        decimal, thousands = self.decimal, self.format.thousands if self.kind == "csv" else None
        value = f"replace({value}, '{MINUS}', '-')"
        for unit in self.format.units:
            value = f"trim(replace({value}, {literal(unit)}, ''))"
        if thousands is not None:
            signs = SAME_SIGNS.get(thousands, re.escape(thousands))
            grouped = rf"^[+-]?\(?\d{{1,3}}({signs}\d{{3}})+({re.escape(decimal)}\d*)?( ?\)|-)?$"
            together = f"regexp_replace({value}, {literal(signs)}, '', 'g')"
            value = f"(case when regexp_matches({value}, {literal(grouped)}) then {together} else {value} end)"
        if decimal != ".":
            value = f"(case when contains({value}, '.') then null else replace({value}, {literal(decimal)}, '.') end)"
        number = f"coalesce(try_cast({value} as double), try_cast({signed(value)} as double))"
        return f"(case when abs({number}) <= {LARGEST} and not contains({value}, '_') then {number} end)"

    @property
    def decimal(self) -> str:
        """The decimal mark; that of JSON and Parquet is always a point."""
        return self.format.decimal if self.kind == "csv" else "."

    def date(self, name: str) -> str:
        """The expression of a column as a time, in UTC where it has an offset; NULL where it is missing or not a date."""
        value = self.value(name)
        written = (self.format.dates_in[name],) if name in self.format.dates_in else self.format.dates
        zoned = f"make_timestamp(epoch_us(try_cast({value} as timestamptz)))"
        local = f"try_cast({value} as timestamp)"
        iso = f"(case when not regexp_matches({value}, {literal(ISO)}) then null when regexp_matches({value}, {literal(OFFSET)}) then {zoned} else {local} end)"
        return f"coalesce({', '.join([*(moment(value, own) for own in written), iso])})"

    def wrong(self, name: str, converted: str) -> list[tuple[int, str]]:
        """The values of a column that can't be converted, with their row numbers from 0."""
        value = self.value(name)
        return self.select(f"rowid, {value}", f"where {value} is not null and {converted} is null order by rowid")

    def unreadable(
        self, numbers: Sequence[str], dates: Sequence[str], complete: Sequence[str] = ()
    ) -> dict[int, RetrainError]:
        """The rows with a value that is not what its column holds, and why.

        Args:
            numbers: columns of numbers.
            dates: columns of dates.
            complete: columns in which no value may be missing.

        Returns:
            The first error of each row, by its number from 0.
        """
        found: dict[int, RetrainError] = {}
        for name in numbers:
            wrong = self.wrong(name, self.number(name))
            found = {row: self.no_number(name, row, value, wrong) for row, value in wrong} | found
        for name in dates:
            wrong = self.wrong(name, self.date(name))
            found = {row: self.no_date(name, row, value) for row, value in wrong} | found
        for name in complete:
            for (row,) in self.select("rowid", f"where {self.value(name)} is null order by rowid"):
                hint = "enter a number, or remove the row"
                found.setdefault(row, RetrainError(self.place(row, name), "is empty", hint))
        return found

    def frame(
        self,
        *,
        texts: Sequence[str] = (),
        categories: Sequence[str] = (),
        numbers: Sequence[str] = (),
        dates: Sequence[str] = (),
        without: Sequence[int] = (),
    ) -> "pd.DataFrame":
        """Some columns: texts and categories as strings, numbers as float64, dates as datetime64[s]; NaN where a value is missing.

        Args:
            texts: columns of texts, which are empty rather than missing.
            categories: columns with one of a set of values.
            numbers: columns of numbers.
            dates: columns of dates.
            without: the numbers of rows to leave out.

        Raises:
            RetrainError: there is no such column, or a value is not what the column holds; it names the line and the column.
        """
        if not without and (found := self.unreadable(numbers, dates)):
            raise found[min(found)]
        expressions = self.expressions(texts=texts, categories=categories, numbers=numbers, dates=dates)
        rows = self.to_pandas(
            expressions, f"{rows_without(without)} order by rows.rowid"
        )  # a column may be called rowid
        return typed(rows, categories, dates)

    def frames(
        self,
        rows: int,
        without: Sequence[int],
        categories: Sequence[str],
        dates: Sequence[str],
        **others: Sequence[str],
    ) -> "Iterator[pd.DataFrame]":
        """The rows of `frame` in parts of at most `rows` rows, in their order; `unreadable` must have found nothing else."""
        import pandas as pd

        # Without `order by`, which would sort all rows: DuckDB keeps the order in which they were inserted.
        queries = self.queries(self.expressions(**others, categories=categories, dates=dates), rows_without(without))
        readers = [self.connection.cursor().sql(query).to_arrow_reader(rows) for query in queries]
        for batches in zip(*readers, strict=True):
            yield typed(pd.concat([batch.to_pandas() for batch in batches], axis=1), categories, dates)

    def expressions(
        self, *, texts: Sequence[str], categories: Sequence[str], numbers: Sequence[str], dates: Sequence[str]
    ) -> dict[str, str]:
        """The expressions of the columns of `frame`; raises RetrainError if there is no such column."""
        return {
            **{name: self.column(name) for name in texts},
            **{name: self.value(name) for name in categories},
            **{name: self.number(name) for name in numbers},
            **{name: self.date(name) for name in dates},
        }

    def no_date(self, name: str, row: int, value: str) -> RetrainError:
        """The error of a value that is not a date."""
        hint, year = "write it as 2024-12-31 or 2024-12-31 23:59", "%Y" if re.search(r"\d{4}", value) else "%y"
        if self.section:
            hint += f', or set {self.section}.format.dates, as in ["%d/%m/{year}"]'
        return RetrainError(self.place(row, name), f"holds {quoted(value)}, which is not a date", hint)

    def no_number(self, name: str, row: int, value: str, all_wrong: list[tuple[int, str]]) -> RetrainError:
        """The error of a value that is not a number."""
        plain = value.replace(self.decimal, ".")
        is_number = re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", plain) and abs(float(plain)) > LARGEST
        fact = f"holds {quoted(value)}, which is {f'larger than {LARGEST:g}' if is_number else 'not a finite number'}"
        hint = "correct the value"
        if self.section and self.format.decimal == "." and all(COMMA.fullmatch(other) for _, other in all_wrong):
            decimal, thousands = (f'set {self.section}.format.{name}: ","' for name in ("decimal", "thousands"))
            hint = f"{decimal} if the comma is the decimal mark, or {thousands} if it separates thousands"
        elif self.section:
            means_missing = f"add it to {self.section}.format.missing if it means a missing value"
            hint += f", {means_missing}, or take '{name}' out of {self.section}.numbers"
        elif self.decimal == "," and POINT.fullmatch(value):
            fact = f"holds {quoted(value)}, but this model expects a decimal comma, as in its training file"
            hint = f"write {value.replace('.', ',')}, or give the rows as JSON lines or Parquet"
        elif self.decimal == "." and COMMA.fullmatch(value):
            fact = f"holds {quoted(value)}, but this model expects a decimal point"
            hint = f"write {value.replace(',', '.')}"
        return RetrainError(self.place(row, name), fact, hint)

    def place(self, row: int, name: str = "") -> str:
        """A row of the file for an error: `rows.csv, line 7, column 'age'`."""
        line = self.line(row)
        return self.shown + (f", line {line}" if line else f", row {row + 1}") + (f", column '{name}'" if name else "")

    def line(self, row: int) -> int | None:
        """The line on which a row starts, as an editor counts it; None for Parquet and a JSON array.

        Args:
            row: the number of the row, from 0.
        """
        return self.lines[row] if row < len(self.lines) else None

    @cached_property
    def lines(self) -> list[int]:
        """The line on which each row starts. Only errors need it, so the file is read again for it."""
        if self.text is None:
            return []
        with self.text.open(encoding="utf-8", newline="") as file:
            if self.kind == "json":
                array = file.read(CHUNK).lstrip().startswith("[")
                file.seek(0)
                return [] if array else [number for number, line in enumerate(file, start=1) if line.strip()]
            found = records(file, *self.reading, single=len(self.names) == 1)
            return [start + self.skipped for start, _ in found][self.has_header :]


def records(
    file: IO[str], separator: str, quote: str, *, single: bool, strict: bool = False
) -> Iterator[tuple[int, list[str]]]:
    """The records of a CSV file with the lines on which they start. Blank lines count only in a table of one column.

    Raises:
        csv.Error: a record is not valid. Its argument is the line on which the record starts.
    """
    csv.field_size_limit(LONGEST_LINE)
    style: Any = {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE, "quotechar": None}
    style |= {"delimiter": separator[0], "skipinitialspace": separator != " "}
    reader, last = csv.reader(file, strict=strict, **style), 0
    try:
        for record in reader:
            if record or single:
                yield last + 1, record
            last = reader.line_num
    except csv.Error:
        raise csv.Error(last + 1) from None


def rows_without(numbers: Sequence[int]) -> str:
    """The end of a query for all rows but those with these numbers."""
    return f"where rows.rowid not in ({', '.join(map(str, numbers))})" if numbers else ""


def typed(table: "pd.DataFrame", categories: Sequence[str], dates: Sequence[str]) -> "pd.DataFrame":
    """A table from the database with the types that `Table.frame` promises."""
    return table.assign(
        **{name: table[name].astype("str").where(table[name].notna()) for name in categories},
        **{name: table[name].astype("datetime64[s]") for name in dates},
    )


def signed(value: str) -> str:
    """The expression of a value with its minus in front, also where accountants write (5), and SAP 5-."""
    return rf"regexp_replace({value}, '^\(\s*(.*?)\s*\)$|^(\d.*)-$', '-\1\2')"


def moment(value: str, written: str) -> str:
    """The expression of a text as a time in a format of strptime; NULL if it does not fit. DuckDB would also take 21 for %Y."""
    pattern = re.sub(r"%\\?-?[a-zA-Z%]", lambda part: DIGITS.get(part[0], ".+"), re.escape(written))
    fits = f"regexp_full_match({value}, {literal(pattern)})"
    return f"(case when {fits} then try_strptime({value}, {literal(written)}) end)"


def literal(text: str) -> str:
    """A text as SQL."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def quoted(value: str) -> str:
    """A value as an error shows it."""
    return f"'{schema.shortened(' '.join(value.split()), 60)}'"


@dataclass(frozen=True)
class Text:
    """A file as UTF-8 with line feeds."""

    path: Path
    shown: str
    format: Format
    """With the separator that a `sep=` line names."""
    skipped: int
    """Lines of the original that it lacks at its start."""
    section: str
    """The section of params.yaml that describes it."""


@dataclass(frozen=True)
class Expected:
    """What is known about the columns of a file."""

    names: Sequence[str] | None = None
    """All columns in order if the file is CSV without a header; None if its first line names them."""
    wanted: Sequence[str] = ()
    """Columns that the header must have. They tell the separator if the format does not."""
    section: str = ""
    """The section of params.yaml that describes the file, if errors may advise to change it."""


@contextmanager
def open_table(
    path: Path, shown: str, given: Format, expected: "Expected | None" = None, *, on_disk: bool = False
) -> Iterator[Table]:
    """The rows of a CSV, JSON lines or Parquet file, which may be compressed by gzip or zstd.

    Args:
        path: the file.
        shown: how errors name it.
        given: what is known about its format.
        expected: what is known about its columns.
        on_disk: keep the rows in a temporary file, for files that are larger than the memory.

    Yields:
        The table. It can be used until the context ends.

    Raises:
        RetrainError: the file does not exist, is empty, is not what its name says, is not in its encoding, or a row has too
            many or too few values.
    """
    import duckdb

    expected = expected or Expected()
    with reading(path, shown):
        start = first_bytes(path)
    if start.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise RetrainError(shown, "is a spreadsheet or an archive", "save the sheet as CSV, or unpack the file")
    if shown.lower().endswith(".arff"):
        raise RetrainError(shown, "is an ARFF file", f"make it CSV: awk {ARFF} {shlex.quote(shown)} > rows.csv")
    settings: dict[str, Any] = {"autoinstall_known_extensions": False, "autoload_known_extensions": False, "threads": 2}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        place = str(Path(folder, "rows.duckdb")) if on_disk else ":memory:"
        limits = {"memory_limit": MEMORY, "temp_directory": folder} if on_disk else {}
        connection = stack.enter_context(duckdb.connect(place, config=settings | limits))
        connection.execute("set enable_progress_bar = false")
        kind = kind_of(Path(shown), start)
        try:
            if kind == "parquet":
                yield parquet_table(connection, path, shown, given, expected.section)
            else:
                with reading(path, shown):
                    text = plain_text(path, Text(Path(folder), shown, given, 0, expected.section))
                make = json_table if kind == "json" else csv_table
                yield make(connection, text, expected)
        except duckdb.Error as error:
            raise unreadable(path, shown, error) from None


@contextmanager
def reading(path: Path, shown: str, *damage: type[Exception]) -> Iterator[None]:
    """Turn what goes wrong while a file is read into an error that names the file as the user knows it; see `files.reading`."""
    try:
        with files.reading(path, "table", "give the path of a CSV, JSON lines or Parquet file", *damage):
            yield
    except RetrainError as error:
        where = shown if error.where == str(path) else error.where
        raise RetrainError(where, error.fact.replace(str(path), shown), error.hint) from None


def unreadable(path: Path, shown: str, error: Exception) -> RetrainError:
    """The error of a file that DuckDB can't read. Of JSON lines it names the line."""
    if "JSON" in str(error) and not shown.endswith(".json"):
        with opened(path) as stream:
            for number, line in enumerate(stream, start=1):
                try:
                    json.loads(line.strip() or "{}")
                except ValueError as found:
                    return RetrainError(
                        f"{shown}, line {number}", f"is not a JSON object ({found})", "correct the line"
                    )
    return RetrainError(shown, f"can't be read ({first_line(error)})", "check the file, and prepare.format")


def first_line(error: Exception) -> str:
    """The first line of a message of DuckDB, without the name of the kind of error."""
    return re.sub(r' ?(in file )?"/[^"]*"', "", str(error).splitlines()[0].partition(": ")[2])


def kind_of(name: Path, start: bytes) -> str:
    """The kind of a file by its name or its first bytes."""
    suffix = name.with_suffix("").suffix if name.suffix.lower() in (".gz", ".zst", ".zstd") else name.suffix
    if start.startswith(b"PAR1"):
        return "parquet"
    is_json = re.match(rb"(\xef\xbb\xbf)?\s*(\{|\[)\s*[\{\"]", start) is not None
    return KINDS.get(suffix.lower(), "json" if is_json else "csv")


def first_bytes(path: Path) -> bytes:
    """The first bytes of a file, decompressed."""
    with opened(path) as stream:
        return stream.read(64)


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, decompressed."""
    with path.open("rb") as raw:
        mark = raw.read(4)
    compression = next((name for start, name in COMPRESSED.items() if mark.startswith(start)), None)
    if compression is None:
        with path.open("rb") as stream:
            yield stream
    else:
        import pyarrow as pa

        with pa.input_stream(str(path), compression=compression) as stream:
            yield stream


def plain_text(path: Path, known: Text) -> Text:
    """A file without compression, byte order mark and `sep=` line.

    Args:
        path: the file.
        known: what is known about it, with the folder for the text as its path.

    Raises:
        RetrainError: the file is not in its encoding, or too large.
    """
    shown, given = known.shown, known.format
    target, skipped, separator, read, first = known.path / "rows", 0, None, 0, True
    with opened(path) as stream, files.writing(target), target.open("wb") as file:
        head = stream.read(CHUNK)
        given_one = "utf-8" if given.encoding is None or is_foreign_utf8(head) else given.encoding
        encoding = next((name for mark, name in MARKS.items() if head.startswith(mark)), given_one)
        decoder = decoder_of(encoding, shown)
        lone = b"\n" not in head and b"\r" in head  # the line ends of old Macs
        held, chunk = "", head
        while True:
            try:
                text = held + decoder.decode(chunk, final=not chunk)
            except UnicodeError as error:
                raise wrong_encoding(path, known, encoding, error) from None
            held = "\r" if text.endswith("\r") and chunk else ""
            text = text.removesuffix("\r") if held else text
            if "\r" in text:
                text = with_line_feeds(text, lone=lone)
            if first and given.skip:
                lines = text.split("\n", given.skip)
                text, skipped = lines[-1] if len(lines) > given.skip else "", given.skip
            if first and (found := SEP.match(text)):
                separator, text, skipped = found[1], text[found.end() :], skipped + 1
            if first and (blank := BLANK.match(text)):
                text, skipped = text[blank.end() :], skipped + blank[0].count("\n")
            first = False
            file.write(text.encode())
            read += len(chunk)
            if read > LARGEST_FILE:
                raise RetrainError(shown, f"is larger than {LARGEST_FILE:,} bytes", "divide it")
            if not chunk:
                own = given if separator is None else given.model_copy(update={"separator": separator})
                return replace(known, path=target, format=own, skipped=skipped)
            chunk = stream.read(CHUNK)


def lines_before_header(path: Path, shown: str, given: Format, target: str) -> int:
    """The number of lines before the line that names the target: comments, and titles with at most half as many values.

    It is 0 if a line before could be a row or the header itself, and if there are only blank lines or `sep=`, which need no care.
    """
    encoding = given.encoding or "utf-8"
    decoder_of(encoding, shown)
    with reading(path, shown), opened(path) as stream:
        head = stream.read(CHUNK)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return 0
    lone = b"\n" not in head  # the line ends of old Macs
    text = with_line_feeds(head.decode(encoding, errors="replace").removeprefix("\ufeff"), lone=lone)
    if given.separator == " ":
        text = "\n".join(map(single_blanks, text.split("\n")))
    lines, target = text.split("\n"), schema.column_name(target)
    quote = '"' if given.quote is None else given.quote
    for separator in [given.separator] if given.separator else SEPARATORS:
        # Records rather than lines: a name in quotes may have a line break.
        first = islice(records(StringIO(text, newline=""), separator, quote, single=True), SEARCHED)
        named = [(start, list(filter(None, names_in(record)))) for start, record in first]
        start, names = next((found for found in named if target in found[1]), (0, []))
        before = [(lines[line - 1], others) for line, others in named if line < start]
        if start and all(COMMENT.match(line) or 2 * len(others) <= len(names) for line, others in before):
            only_blank = not any(line.strip() for line, _ in before) or (start == 2 and SEP.match(text))
            return 0 if only_blank else start - 1
    return 0


def with_line_feeds(text: str, *, lone: bool) -> str:
    """A text whose line ends are line feeds. A carriage return alone is a line end in a file without others."""
    return text.replace("\r\n", "\n").replace("\r", "\n" if lone else " ")


def single_blanks(line: str) -> str:
    """A line whose values have single blanks between them."""
    return " ".join(VALUE.findall(line))


def apart(text: Text) -> Text:
    """A text whose values have single blanks between them."""
    path = text.path.with_name("apart")
    with files.writing(path), text.path.open(encoding="utf-8") as lines, path.open("wb") as file:
        file.writelines(f"{single_blanks(line)}\n".encode() for line in lines)
    return replace(text, path=path)


def is_apart(text: Path) -> bool:
    """Whether blanks separate the values of a file: each of its first lines has as many of them, and no other sign as often."""
    with text.open(encoding="utf-8") as file:
        lines = [line for line in islice(file, SEARCHED) if line.strip()]
    widths = {len(VALUE.findall(line)) for line in lines}
    bare = [VALUE_IN_QUOTES.sub("", line) for line in lines]
    counts = [{line.count(sign) for line in bare} for sign in SEPARATORS]
    by_other = any(len(count) == 1 and count != {0} for count in counts)
    return len(widths) == 1 and widths != {1} and (not by_other or all(map(APART.search, lines)))


def is_foreign_utf8(content: bytes) -> bool:
    """Whether the start of a file has letters outside ASCII and is UTF-8, which no other encoding looks like."""
    return not content.isascii() and is_utf8(content)


def is_utf8(content: bytes) -> bool:
    """Whether the start of a file is UTF-8; its last letter may be cut off."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(content)
    except UnicodeDecodeError:
        return False
    return True


def decoder_of(encoding: str, shown: str) -> codecs.IncrementalDecoder:
    """The decoder of an encoding; raises RetrainError if Python does not know it."""
    try:
        return codecs.getincrementaldecoder(encoding)()
    except LookupError:
        raise RetrainError(
            shown,
            f"can't be read as '{encoding}', which is not an encoding",
            "set format.encoding to utf-8, cp1252 ...",
        ) from None


def wrong_encoding(path: Path, known: Text, encoding: str, error: UnicodeError) -> RetrainError:
    """The error of a file that is not in its encoding, with the encoding that is likely."""
    place = known.shown
    with opened(path) as stream:
        for number, line in enumerate(stream, start=1):
            try:
                line.decode(encoding)
            except UnicodeError as found:
                place, error = f"{known.shown}, line {number}", found
                break
    byte = f" (byte {error.object[error.start]:#04x})" if isinstance(error, UnicodeDecodeError) else ""
    name = "UTF-8" if encoding in ("utf-8", "utf-8-sig") else encoding
    encoding_hint = (
        f"set {known.section}.format.encoding: {likely_encoding(path)}" if known.section else "save it as UTF-8"
    )
    return RetrainError(place, f"is not {name}{byte}", encoding_hint)


def likely_encoding(path: Path) -> str:
    """The encoding that the bytes of a file are likely to be in. Windows' own covers Latin-1."""
    from charset_normalizer import from_bytes

    with opened(path) as stream:
        content = stream.read(CHUNK)
    if is_utf8(content):
        return "utf-8"
    if (marked := next((name for mark, name in MARKS.items() if content.startswith(mark)), None)) is not None:
        return marked
    foreign = sum(byte > ASCII for byte in content)
    if foreign <= max(FEWEST, FEW * len(content)):
        return latin_encoding(content)
    best = from_bytes(content, cp_isolation=list(ENCODINGS)).best()
    return latin_encoding(content) if best is None or best.encoding not in ENCODINGS[2:] else best.encoding


def latin_encoding(content: bytes) -> str:
    """cp1252, or cp1250 if one of its languages has almost all letters outside ASCII, and no language of cp1252 has as many."""
    western, central = (content.decode(encoding, errors="replace") for encoding in ALPHABETS)
    if "\ufffd" in western:
        return "cp1250"
    letters = Counter(
        (own.lower(), other.lower())
        for own, other, after in zip(western, central, western[1:], strict=False)
        if own > "\x7f" and other.isalpha() and (after.isalpha() or (own.isalpha() and own not in "ªº"))
    )
    in_west, in_centre = (
        max(sum(count for pair, count in letters.items() if pair[place] in alphabet) for alphabet in alphabets)
        for place, alphabets in enumerate(ALPHABETS.values())
    )
    return "cp1250" if in_centre > max(MOST * letters.total(), in_west) else "cp1252"


def foreign_words(path: Path, encoding: str) -> list[str]:
    """The first words of a file with a sign outside ASCII."""
    with opened(path) as stream:
        text = stream.read(CHUNK).decode(encoding, errors="replace")
    return list(dict.fromkeys(FOREIGN.findall(text)))[:NAMED]


def parquet_table(
    connection: "duckdb.DuckDBPyConnection", path: Path, shown: str, given: Format, section: str
) -> Table:
    """The rows of a Parquet file, with numbers and dates as text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with reading(path, shown, Exception), pq.ParquetFile(path) as content:
        names = tuple(content.schema_arrow.names)
        schema = pa.schema([field.with_name(f"c{place}") for place, field in enumerate(content.schema_arrow)])
        batches = (
            pa.RecordBatch.from_arrays(list(map(without_nan, batch.columns)), schema=schema)
            for batch in content.iter_batches(PARQUET_ROWS)
        )
        connection.register("source", pa.RecordBatchReader.from_batches(schema, batches))
        fill(connection, "source", len(names))
    return Table(connection, names, given, shown, None, has_header=False, skipped=0, section=section)


def without_nan(column: "pa.Array[Any]") -> "pa.Array[Any]":
    """A column of a Parquet file, where a number that is NaN is missing."""
    import pyarrow.compute as pc
    from pyarrow import types

    return pc.if_else(pc.is_nan(column), None, column) if types.is_floating(column.type) else column


def json_table(connection: "duckdb.DuckDBPyConnection", text: Text, expected: Expected) -> Table:
    """The rows of a file of JSON lines, or of a JSON array. Numbers are the text that the file has."""
    if not text.path.stat().st_size:
        raise RetrainError(text.shown, "is empty", "add rows")
    name = literal(str(text.path))
    described = f"describe select * from read_json({name}, records='true', sample_size=-1, maximum_depth=1)"
    names = tuple(row[0] for row in connection.execute(described).fetchall())
    for name_ in names:
        twins = [
            other
            for other in names
            if other != name_ and re.fullmatch(rf"{re.escape(other)}_\d+", name_, re.IGNORECASE)
        ]
        if twins and not has_key(text.path, name_):
            raise RetrainError(text.shown, f"has keys that differ only in case ('{twins[0]}')", "rename one of them")
    columns = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in names)
    expressions = ", ".join(f"{identifier(column)} as c{place}" for place, column in enumerate(names))
    fill(
        connection, f"(select {expressions} from read_json({name}, records='true', columns={{{columns}}}))", len(names)
    )
    table = Table(connection, names, text.format, text.shown, text.path, False, 0, ("", ""), text.section)
    if not {*expected.wanted} <= {*names} and len(table) == 1:
        check_nested(table)
    return table


def check_nested(table: Table) -> None:
    """Raise RetrainError if a single JSON object holds the rows in one of its lists."""
    for name, value in zip(table.names, *table.select("*"), strict=True):
        if re.match(r"\[\s*\{", value):
            command = f"jq -c {shlex.quote(f'.[{json.dumps(name)}][]')} {shlex.quote(table.shown)} > rows.jsonl"
            raise RetrainError(table.shown, f"is one object, whose rows are in '{name}'", f"take them out: {command}")


def has_key(text: Path, name: str) -> bool:
    """Whether a JSON file has a key in its text."""
    with text.open(encoding="utf-8") as file:
        return any(json.dumps(name) in line or f'"{name}"' in line for line in file)


def csv_table(connection: "duckdb.DuckDBPyConnection", text: Text, expected: Expected) -> Table:
    """The rows of a CSV file. DuckDB finds out the separator and the quote if they are not given."""
    import duckdb

    with text.path.open(encoding="utf-8") as file:
        if not file.read(CHUNK).strip():
            raise RetrainError(text.shown, "is empty", "add rows")
    separator, quote = style_of(connection, text, expected.wanted)
    if separator == " ":
        text = apart(text)
    names, header = expected.names, first_record(text.path, separator, quote)
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
    )
    if width == 1 and not {*map(schema.column_name, expected.wanted)} <= {*own} and GAP.search(own[0]):
        name = Path(text.shown).name
        command = f"""python -c "import pandas; pandas.read_fwf({name!r}).to_csv('rows.csv', index=False)\""""
        raise RetrainError(text.shown, "has columns of a fixed width", f"make it CSV: {command}")
    columns = ", ".join(f"'c{place}': 'VARCHAR'" for place in range(width))
    style = f"delim={literal(separator)}, quote={literal(quote)}, escape={literal(quote)}"
    limits = f"max_line_size={LONGEST_LINE}, buffer_size={4 * LONGEST_LINE}"
    options = f"auto_detect=false, header={str(names is None).lower()}, {style}, columns={{{columns}}}, {limits}"
    try:
        fill(connection, f"read_csv({literal(str(text.path))}, {options})", width)
    except duckdb.Error as error:
        raise malformed(table, text.path, error) from None
    if not len(table):
        raise RetrainError(text.shown, "has a header, but no rows", "add rows")
    return table


def fill(connection: "duckdb.DuckDBPyConnection", source: str, width: int) -> None:
    """Fill the table `rows` with all values as text, without white space around them; empty where there is none."""
    trimmed = trimmed_fast if width <= WIDE else trimmed_short
    columns = ", ".join(f"coalesce({trimmed(f'cast(c{place} as varchar)')}, '') as c{place}" for place in range(width))
    connection.execute(f"create table rows as select {columns} from {source}")


def trimmed_fast(value: str) -> str:
    """The expression of a text without white space around it.

    DuckDB's `trim` is slow, so values that start and end with a visible character of ASCII, as most do, go without.
    """
    visible = " and ".join(f"{value}[{place}] between '!' and '~'" for place in (1, -1))
    return f"case when {visible} then {value} else {trimmed_short(value)} end"


def trimmed_short(value: str) -> str:
    """The same, for many columns: planning hundreds of longer expressions takes seconds."""
    return f"trim({value}, {literal(SPACE)})"


def first_record(text: Path, separator: str, quote: str) -> list[str]:
    """The names of columns, if the first record of a CSV file that is not a blank line has them."""
    with text.open(encoding="utf-8", newline="") as file:
        return names_in(next(record for _, record in records(file, separator, quote, single=False)))


def names_in(record: Sequence[str]) -> list[str]:
    """The values of a record as names of columns."""
    return [schema.column_name(value.strip()) for value in record]


def style_of(connection: "duckdb.DuckDBPyConnection", text: Text, wanted: Sequence[str]) -> tuple[str, str]:
    """The separator and the quote of a CSV file: given, or else such that the header has the wanted columns."""
    import duckdb

    options = "".join(
        f", {name}={literal(value)}"
        for name, value in {"delim": text.format.separator, "quote": text.format.quote}.items()
        if value is not None
    )
    source = (
        f"sniff_csv({literal(str(text.path))}, header=false, all_varchar=true, max_line_size={LONGEST_LINE}{options})"
    )
    try:
        ((separator, quote),) = connection.execute(f"select Delimiter, Quote from {source}").fetchall()
    except duckdb.Error:  # a row does not fit the others; reading names it
        separator, quote = ",", '"'
    quote = text.format.quote if text.format.quote is not None else quote if len(quote) == 1 else '"'
    if text.format.separator is not None:
        return text.format.separator, quote
    likely = [separator, *(own for own in SEPARATORS if own != separator)]
    names = {*map(schema.column_name, wanted)}
    with_wanted = (own for own in likely if names and names <= {*first_record(text.path, own, quote)})
    return next(with_wanted, " " if is_apart(text.path) else separator), quote


def malformed(table: Table, text: Path, error: Exception) -> RetrainError:
    """The error of a row that does not fit the others. The standard library finds it, because DuckDB counts rows, not lines."""
    separator, quote = table.reading
    width = len(table.names)
    quotes = f'set {table.section}.format.quote: ""' if table.section else "save the file again"
    bad_quote = (
        "has a quote that does not end, or text after a closing quote",
        f'write a quote inside a field as "", or {quotes} if quotes have no meaning in this file',
    )
    double = 'sed \'s/\\\\"/""/g\' rows.csv > new.csv'
    by_backslash = (
        f"has a quote after a backslash ({BACKSLASH})",
        f'write a quote inside a field as "", as in: {double}',
    )
    with text.open(encoding="utf-8", newline="") as file:
        try:
            for row, (start, record) in enumerate(records(file, separator, quote, single=width == 1, strict=True)):
                if len(record) != width:
                    values = f"{len(record)} value{'s' if len(record) != 1 else ''}"
                    fact = f"has {values} for {width} column{'s' if width > 1 else ''}"
                    hint = "add the missing values, or remove the line"
                    if len(record) > width:
                        hint = f"put quotes around values that contain {separator!r}"
                        hint += f", or name each column in line {1 + table.skipped}" if row == table.has_header else ""
                    return RetrainError(f"{table.shown}, line {start + table.skipped}", fact, hint)
        except csv.Error as found:
            file.seek(0)
            line = next(islice(file, found.args[0] - 1, None), "")
            place = f"{table.shown}, line {found.args[0] + table.skipped}"
            return RetrainError(place, *(by_backslash if BACKSLASH in line else bad_quote))
    if "unterminated quote" in str(error):
        number = re.search(r"CSV Error on Line: (\d+)", str(error))
        where = table.place(int(number[1]) - 1 - table.has_header) if number else table.shown
        return RetrainError(where, *bad_quote)
    return RetrainError(table.shown, f"can't be read ({first_line(error)})", "check the file, and prepare.format")
