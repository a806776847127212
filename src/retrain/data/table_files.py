"""Files of rows as tables: CSV, JSON lines and Parquet, read by DuckDB. Errors name the line, as an editor counts it."""

import codecs
import csv
import itertools
import json
import re
import shlex
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain import schema
from retrain.data.file_format import Format
from retrain.data.repairs import json_text
from retrain.data.sql_table import WIDE, Table, identifier, literal
from retrain.data.text_files import (
    CHUNK,
    LONGEST_LINE,
    SEPARATORS,
    Text,
    apart,
    first_bytes,
    first_lines,
    has_row_names,
    header_line,
    is_apart,
    is_binary,
    lines_before_header,
    names_in,
    opened,
    plain_text,
    rare_separators,
    reading,
    records,
    source_of,
    with_command,
)
from retrain.errors import RetrainError

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    import pandas as pd
    import pyarrow as pa

__all__ = ["Expected", "hashes", "is_date_format", "kind_of", "open_table"]


SPACE = " \t\r\n\v\f\u00a0\ufeff"
"""White space around a value, which does not count."""
ARFF = """'{k=tolower($1)} d&&NF&&!/^%/; k=="@attribute"{n=n s $2; s=","} k~/^@data/{print n; d=1}'"""
"""The program of awk that makes a CSV file of an ARFF file."""
EUROSTAT = """-F '\\t' -v OFS=, '{for (i = 2; i <= NF; i++) gsub(/[ :a-z]/, "", $i); $1 = $1} 1'"""
"""The program of awk that makes a CSV file of one of Eurostat: without the letters behind numbers, and : for missing ones."""
FASTTEXT = """'BEGIN{print "label,text"} {l=""; while(sub(/^__label__/,"")) {l=l (l==""?"":";") $1; sub(/^[^ \\t]+[ \\t]*/,"")} gsub(/"/,"\\"\\""); print "\\"" l "\\",\\"" $0 "\\""}'"""
"""The program of awk that makes a CSV file of the labels and texts of fastText."""
SVMLIGHT = """-c 'import pandas, sys; from sklearn.datasets import load_svmlight_file as load; x, y = load(sys.argv[1], zero_based=True); print(end=pandas.DataFrame(x.toarray()).add_prefix("x").assign(y=y).to_csv(index=False))'"""
"""The program of Python that makes a CSV file of a sparse one, whose pair 3:1.5 is a 1.5 in the column x3."""
CONVERTED = (
    (rb"(%.*\n|\s)*@relation\s", "is an ARFF file", f"awk {ARFF}"),
    (rb"[\w,]+\\time[_a-z]* *\t", "is a file of Eurostat", f"awk {EUROSTAT}"),
    (rb"__label__", "is a file of fastText", f"awk {FASTTEXT}"),
    (
        rb"[-+]?[\d.,]+( qid:\d+)?( +\d+:[-+.\deE]+)* +\d+:(?![0-5]\d\s)[-+.\deE]+( +\d+:[-+.\deE]+)* *(#.*)?(\r?\n|\S*\Z)",
        "is a file of LIBSVM (SVMlight)",
        f"python {SVMLIGHT}",
    ),
)
"""How files of rows that are not CSV start, what they are, and the program that makes CSV of them. 10:30 is a time."""
OTHER_FILES = (
    (
        rb"PK\x03\x04|\xd0\xcf\x11\xe0|BZh\d1AY|\xfd7zXZ|7z\xbc\xaf|Rar!|(?s:.{257}ustar)",
        "is a spreadsheet or an archive",
        "save the sheet as CSV, or unpack the file",
    ),
    (rb"%PDF-|\{\\rtf|SQLite format 3", "is a document or a database", "save the table as CSV"),
    (
        rb"(\xef\xbb\xbf)?\s*<(!doctype|!--|html|head|body|table|\?xml)",
        "is a web page or XML",
        "download the file itself, or save the table as CSV",
    ),
    (
        rb"(\xef\xbb\xbf|\s|--.*\n|/\*.*\n)*(CREATE|DROP) (TABLE|DATABASE)|(\s|--.*\n)*(INSERT INTO|PRAGMA [a-z_]+ ?=|BEGIN TRANSACTION)|-- (MySQL|MariaDB|phpMyAdmin) |--\s*-- PostgreSQL",
        "is an SQL dump",
        "load it into its database, and save the table as CSV",
    ),
    (rb"version https://git-lfs", "is a pointer of Git LFS instead of the file", "get the file: git lfs pull"),
    (rb"outs:\r?\n- (md5|hash|size|path|etag): ", "is a pointer of DVC instead of the file", "get the file: dvc pull"),
)
"""How files that are not tables start, what they are, and what to do."""
RULER = re.compile(r"[-+=|: ]*---[-+=|: ]*")
"""A line between the rows of a listing, as MySQL, psql, SAP and Markdown have them."""
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")
"""A sign that no text has, so it separates values."""
GAP = re.compile(r"\S {2,}\S")
"""Several blanks between names, as in columns of a fixed width."""
KINDS = {".parquet": "parquet", ".jsonl": "json", ".ndjson": "json", ".json": "json"}
"""Kinds of files by suffix. All others are CSV, unless their first bytes say otherwise."""
LARGEST_LIST = 1 << 24
"""Bytes of a list of JSON objects in which a mistake is looked for."""
LONGEST_START = 1 << 13
"""Bytes that tell what a file is, some of which may be comments."""
COMMAS = "sed 's/,[[:space:]]*$//'"
"""The program of sed that takes away the commas at the ends of lines."""
OBJECT = '{"x": 1, "y": "a"}'
"""A row of JSON lines."""
NUMBERS = ("BIGINT", "UBIGINT", "HUGEINT", "UHUGEINT", "DOUBLE")
"""The types of columns of JSON files with numbers, and of the numbers next to texts."""
BACKSLASH = '\\"'
SMALL = 1 << 20
"""Bytes of a file that DuckDB reads faster than it starts."""
SERIAL, ONE_AT_A_TIME = itertools.count(), threading.Lock()
"""The numbers of the databases of small files; and the lock of what opens and closes them."""
MEMORY = "512MB"
"""What DuckDB may use for rows that are kept on the disk."""
NO_ROOM = ("Could not write file", "failed to offload")
"""What DuckDB says if the disk of the temporary folder is full, or a file may not become larger."""
LIMITS = f"max_line_size={LONGEST_LINE}, buffer_size={4 * LONGEST_LINE}"
"""What DuckDB may read of a CSV file at once."""
PARQUET_ROWS = 1 << 16
"""Rows of a Parquet file that are read at once."""


@dataclass(frozen=True)
class Expected:
    """What is known about the columns of a file."""

    names: Sequence[str] | None = None
    """All columns in order if the file is CSV without a header; None if its first line names them."""
    wanted: Sequence[str] = ()
    """Columns that the header must have. They tell the separator if the format does not."""
    separator: str | None = None
    """That of the file for which the columns are known, which this one is likely to have."""
    section: str = ""
    """The section of params.yaml that describes the file, if errors may advise to change it."""

    def is_header(self, names: Sequence[str]) -> bool:
        """Whether the names of a file have all wanted columns."""
        return {*map(schema.column_name, self.wanted)} <= {*names}


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
            many or too few values; or there is no room for the rows.
    """
    import duckdb

    expected = expected or Expected()
    with reading(path, shown):
        start, source = first_bytes(path), source_of(path, shown)
        check_is_rows(shown, first_bytes(path, LONGEST_START), source)
        kind = kind_of(Path(shown), start)
        is_small = path.stat().st_size < SMALL and not on_disk
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        place = str(Path(folder, "rows.duckdb")) if on_disk else ":memory:"
        # With two threads, DuckDB may put the last line of JSON before the others if no line break ends it.
        settings: dict[str, Any] = {"threads": 1 if kind == "json" else 2}
        limits = {"memory_limit": MEMORY, "temp_directory": folder} if on_disk else {}
        if kind != "parquet" and is_binary(start):
            raise RetrainError(shown, "is a binary file", "save the table as CSV, JSON lines or Parquet")
        try:
            connection = stack.enter_context(small_database() if is_small else database(place, **settings | limits))
            connection.execute("set enable_progress_bar = false")
            if kind == "parquet":
                table = parquet_table(connection, path, shown, given, expected.section)
                yield replace(table, source=source)
            else:
                with reading(path, shown):
                    text = plain_text(path, Text(Path(folder), path, shown, given, 0, expected.section, source))
                make = json_table if kind == "json" else csv_table
                yield make(connection, text, expected)
        except duckdb.Error as error:
            if lacks_room(error):
                where, fact = str(Path(folder).parent), f"can't hold the rows ({first_line(error)})"
                limited = "raise the limit on files: ulimit -f unlimited"
                hint = limited if "too large" in fact else "make room, or set TMPDIR to a folder on another disk"
                raise RetrainError(where, fact, hint) from None
            raise unreadable(path, shown, error) from None


def database(place: str, **settings: Any) -> "duckdb.DuckDBPyConnection":
    """A database with our own functions, which loads no extensions."""
    import duckdb

    config = {"autoinstall_known_extensions": False, "autoload_known_extensions": False, **settings}
    connection = duckdb.connect(place, config=config)
    for name, change in (("composed", composed), ("sorted_json", sorted_json)):
        connection.create_function(name, change, ["VARCHAR"], "VARCHAR")
    return connection


@cache
def of_small_files() -> "duckdb.DuckDBPyConnection":
    """The database in which this process has the tables of small files. Its queries start no threads, which a fork would lack."""
    return database(":memory:", threads=1, async_threads=0)


@contextmanager
def small_database() -> "Iterator[duckdb.DuckDBPyConnection]":
    """A database for the table of a small file, next to others."""
    with ONE_AT_A_TIME:
        name = f"small{next(SERIAL)}"
        connection = of_small_files().cursor()
        of_small_files().execute(f"attach ':memory:' as {name}")
    try:
        with connection:
            connection.execute(f"use {name}")
            yield connection
    finally:
        with ONE_AT_A_TIME:
            of_small_files().execute(f"detach {name}")


def check_is_rows(shown: str, start: bytes, source: str) -> None:
    """Raise RetrainError if a file with this start has no rows, or has them in a form that a program can make CSV."""
    for pattern, fact, hint in OTHER_FILES:
        if re.match(pattern, start, re.IGNORECASE):
            raise RetrainError(shown, fact, hint)
    for pattern, fact, program in CONVERTED:
        if re.match(pattern, start, re.IGNORECASE) or (program.endswith(ARFF) and shown.lower().endswith(".arff")):
            raise RetrainError(shown, fact, with_command("make it CSV", program, source))


def lacks_room(error: Exception) -> bool:
    """Whether an error of DuckDB is about the disk of the temporary folder, and not about the file."""
    return any(words in str(error) for words in NO_ROOM)


def unreadable(path: Path, shown: str, error: Exception) -> RetrainError:
    """The error of a file that DuckDB can't read. Of JSON lines it names the line."""
    start = first_bytes(path).removeprefix(codecs.BOM_UTF8).lstrip()
    if shown.endswith(".json") and not start.startswith((b"[", b"{")):
        fact, name = "does not hold JSON objects, as its name says", shlex.quote(f"{Path(shown).stem}.csv")
        return RetrainError(shown, fact, f"if it is CSV, rename it: mv {shlex.quote(shown)} {name}")
    if "non-record JSON" in str(error):
        return RetrainError(shown, "has values or lists instead of JSON objects", f"write each row as in {OBJECT}")
    is_list = start.startswith(b"[") and path.stat().st_size < LARGEST_LIST
    if "JSON" in str(error) and (is_list or not shown.endswith(".json")):
        with opened(path) as stream:
            parts = [stream.read(LARGEST_LIST)] if is_list else stream
            for number, line in enumerate(parts):
                try:
                    json.loads(line.strip() or "{}")
                except ValueError as found:
                    place = f"{shown}, line {number + getattr(found, 'lineno', 1)}"
                    hint = with_command("take away the commas", COMMAS, source_of(path, shown), ".jsonl")
                    hint = hint if line.rstrip().endswith((b"},", b"],")) else "correct the line"
                    return RetrainError(place, f"is not a JSON object ({found})", hint)
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


def parquet_table(
    connection: "duckdb.DuckDBPyConnection", path: Path, shown: str, given: Format, section: str
) -> Table:
    """The rows of a Parquet file, with numbers and dates as text. Bytes are UTF-8, as older programs write text.

    Durations are seconds. Lists and objects are their JSON text, as in a file of JSON lines.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with reading(path, shown, Exception), pq.ParquetFile(path) as content:
        fields = list(content.schema_arrow)
        known = {own: readable_type(connection, own) for own in {field.type for field in fields}}
        readable = [known[field.type] for field in fields]
        kept = pa.schema([(f"c{place}", own or pa.null()) for place, own in enumerate(readable)])
        unread = {place: f"of the type {field.type}" for place, field in enumerate(fields) if readable[place] is None}

        def converted(place: int, column: "pa.Array[Any]") -> "pa.Array[Any]":
            own = kept.types[place]
            try:
                return pa.nulls(len(column), own) if place in unread else without_nan(plain_values(column, own))
            except pa.ArrowInvalid:
                unread[place] = "not in UTF-8"
                return pa.nulls(len(column), own)

        batches = (
            pa.RecordBatch.from_arrays([converted(*column) for column in enumerate(batch.columns)], schema=kept)
            for batch in content.iter_batches(PARQUET_ROWS)
        )
        connection.register("source", pa.RecordBatchReader.from_batches(kept, batches))
        fill(connection, "source", len(fields))
    for place in unread:  # batches before the first one that is not UTF-8
        connection.execute(f"update rows set c{place} = ''")
    names = tuple(schema.column_name(field.name) for field in fields)
    table = Table(connection, names, given, shown, None, False, 0, section=section)
    pointed = {name: "true" for name, own in zip(names, readable, strict=True) if not is_text(own)}
    return replace(table, pointed=pointed, unread={names[place]: why for place, why in unread.items()})


def readable_type(connection: "duckdb.DuckDBPyConnection", own: "pa.DataType") -> "pa.DataType | None":
    """The type as which a column of a Parquet file is read, such as text for bytes; None if DuckDB knows none."""
    import duckdb
    import pyarrow as pa
    from pyarrow import types

    if types.is_float16(own):
        return pa.float32()
    if types.is_duration(own):
        return pa.float64()
    if types.is_nested(own) and fits_json(own):
        return pa.string()
    inner = own.value_type if types.is_dictionary(own) else own
    if types.is_fixed_size_binary(inner) or inner in (pa.binary(), pa.large_binary(), pa.binary_view()):
        return pa.string()
    try:
        connection.from_arrow(pa.schema([("c", own)]).empty_table()).fetchall()
    except duckdb.Error:
        return None
    return own


def fits_json(own: "pa.DataType") -> bool:
    """Whether all values inside a type of Parquet are texts, numbers, or true and false."""
    import pyarrow as pa
    from pyarrow import types

    if types.is_nested(own):
        return all(fits_json(own.field(place).type) for place in range(own.num_fields))
    return is_text(own) or types.is_integer(own) or own in (pa.float32(), pa.float64(), pa.bool_())


def plain_values(column: "pa.Array[Any]", own: "pa.DataType") -> "pa.Array[Any]":
    """A column of a Parquet file as a type that can be read."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import types

    if types.is_duration(column.type):
        parts = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}[column.type.unit]
        return pc.divide(column.cast(pa.int64()).cast(own, safe=False), parts)
    if types.is_nested(column.type) and own == pa.string():
        return pa.array([None if value is None else json_text(value) for value in column.to_pylist()], own)
    return column.cast(own)


def is_text(own: "pa.DataType | None") -> bool:
    """Whether a column of a Parquet file holds text."""
    import pyarrow as pa
    from pyarrow import types

    inner = own.value_type if own is not None and types.is_dictionary(own) else own
    return inner in (pa.string(), pa.large_string(), pa.string_view())


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
    options = (
        "records='true', sample_size=-1, maximum_depth=2, map_inference_threshold=-1"  # many keys are many columns
    )
    described = f"describe select * from read_json({name}, {options})"
    types = {column: own for column, own, *_ in connection.execute(described).fetchall()}
    names = tuple(types)
    without_case = {name_.lower(): name_ for name_ in names}
    for name_ in names:
        twin = without_case.get(re.sub(r"_\d+$", "", name_.lower()), name_)
        if twin != name_ and not has_key(text.path, name_):
            raise RetrainError(text.shown, f"has keys that differ only in case ('{twin}')", "rename one of them")
    mixed = {place: column for place, column in enumerate(names) if types[column] == "JSON"}
    columns = ", ".join(f"{literal(column)}: '{'JSON' if column in mixed.values() else 'VARCHAR'}'" for column in names)
    text_of = {place: f"{identifier(column)} ->> '$'" for place, column in mixed.items()}
    texts = [f"{text_of.get(place, identifier(column))} as c{place}" for place, column in enumerate(names)]
    are_numbers = [f"json_type({identifier(column)}) in {NUMBERS} as n{place}" for place, column in mixed.items()]
    expressions = ", ".join([*texts, *are_numbers])
    source = f"(select {expressions} from read_json({name}, records='true', columns={{{columns}}}))"
    fill(connection, source, len(names), [f"n{place}" for place in mixed])
    sort_keys(connection, name, names)
    own = tuple(map(schema.column_name, names))
    table = Table(
        connection, own, text.format, text.shown, text.path, False, 0, ("", ""), text.section, source=text.source
    )
    numbers = {known: "true" for known, column in zip(own, names, strict=True) if types[column] in NUMBERS}
    table = replace(table, pointed=numbers | {own[place]: f"n{place}" for place in mixed})
    is_known = expected.is_header(own)
    if not is_known and own.count("annotations") == 1:
        check_annotations(table)
    if len(table) == 1:
        check_rows_apart(table, known=is_known)
    return table


def sort_keys(connection: "duckdb.DuckDBPyConnection", file: str, names: Sequence[str]) -> None:
    """Sort the keys of objects inside the rows of a JSON file, whose order means nothing, as `json_text` does."""
    cells = [f"c{place}" for place in range(len(names))]
    like = ", ".join(f"bool_or({cell}[1] = '{{' or {cell}[1] = '[' and contains({cell}, '{{'))" for cell in cells)
    ((*found,),) = connection.execute(f"select {like} from rows").fetchall()
    for cell, name in [(cell, name) for cell, name, some in zip(cells, names, found, strict=True) if some]:
        one = f"read_json({file}, records='true', columns={{{literal(name)}: 'JSON'}})"
        (kinds,) = connection.execute(f"select list(distinct json_type({identifier(name)})) from {one}").fetchall()[0]
        if {"OBJECT", "ARRAY"} & {*kinds}:  # not texts that look like them
            connection.execute(f"update rows set {cell} = sorted_json({cell}) where contains({cell}, '{{')")


def sorted_json(text: str) -> str:
    """An object or a list of them as JSON with sorted keys; any other text as it is."""
    try:
        found = json.loads(text)
        return json_text(found) if isinstance(found, dict | list) else text
    except (ValueError, RecursionError):
        return text


def check_rows_apart(table: Table, *, known: bool) -> None:
    """Raise RetrainError if a single JSON object holds all rows: in one of its lists, or in a list for each column.

    Args:
        table: the object as a row.
        known: whether it has the columns that are wanted.
    """
    cells = dict(zip(table.names, *table.cells(), strict=True))
    for name in [] if known else [name for name, value in cells.items() if re.match(r"\[\s*\{", value)]:
        program = f"jq -c {shlex.quote(f'.[{json.dumps(name)}][]')}"
        hint = with_command("take them out", program, table.source, ".jsonl")
        raise RetrainError(table.shown, f"is one object, whose rows are in '{name}'", hint)
    if all(map(has_several, cells.values())):
        orient = "split" if {"columns", "data"} <= cells.keys() else "columns" if known else "index"
        lines = f'read_json(sys.argv[1], orient="{orient}", dtype=False).to_json(orient="records", lines=True, force_ascii=False)'
        program = f"python -X utf8 -c 'import pandas, sys; print(end=pandas.{lines})'"
        hint = with_command("write one for each row", program, table.source, ".jsonl")
        raise RetrainError(table.shown, "is one object for all rows", hint)


def check_annotations(table: Table) -> None:
    """Raise RetrainError if the labels are in lists of annotations, as Label Studio keeps them."""
    results = literal(r'\[\s*\{.*"result":\s*\[.*')
    if table.ask(f"bool_or(regexp_full_match({table.column('annotations')}, {results}, 's'))")[0]:
        fact = "has its labels in lists of annotations, as Label Studio keeps them"
        raise RetrainError(table.shown, fact, "export them from Label Studio as JSON-MIN or CSV")


def has_several(value: str) -> bool:
    """Whether a value is a JSON list or object with several values."""
    try:
        found = json.loads(value)
    except ValueError:
        return False
    return isinstance(found, list | dict) and len(found) > 1


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


def fill(connection: "duckdb.DuckDBPyConnection", source: str, width: int, others: Sequence[str] = ()) -> None:
    """Fill the table `rows` with all values as text, without white space around them; empty where there is none. Other columns stay.

    Values that are not ASCII are in Unicode's NFC form, without invisible signs; see `schema.composed`.
    """
    trimmed = trimmed_fast if width <= WIDE else trimmed_short
    cells = {f"c{place}": f"cast(c{place} as varchar)" for place in range(width)}
    value = "case when strlen({0}) > length({0}) then composed({0}) else {1} end"
    texts = (f"coalesce({value.format(cell, trimmed(cell))}, '') as {name}" for name, cell in cells.items())
    columns = ", ".join([*texts, *others])
    connection.execute(f"create table rows as select {columns} from {source}")


def composed(value: str) -> str:
    """A value that is not ASCII, as it is compared, without white space around it."""
    return schema.composed(value).strip(SPACE)


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


def hashes(rows: "pd.DataFrame") -> "np.ndarray":
    """A hash of each row: uint64, (rows,). Equal rows have equal ones."""
    import duckdb
    import pyarrow as pa

    with duckdb.connect(config={"threads": 1}) as connection:
        connection.register("rows", pa.Table.from_pandas(rows, preserve_index=False))
        found: np.ndarray = connection.sql("select hash(rows) as hash from rows").fetchnumpy()["hash"]
    return found


def is_date_format(text: str) -> bool:
    """Whether DuckDB knows all codes of a date format, such as `%d.%m.%Y`."""
    import duckdb

    try:
        duckdb.execute(f"select try_strptime('', {literal(text)})")
    except duckdb.Error:
        return False
    return True
