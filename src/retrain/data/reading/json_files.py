"""Files of JSON lines, or with a JSON array, as tables."""

import codecs
import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from retrain import schema
from retrain.data.reading.database import fill, first_line
from retrain.data.reading.encodings import first_bytes, opened
from retrain.data.reading.expressions import identifier, literal
from retrain.data.reading.file_format import Expected
from retrain.data.reading.sql_table import Table
from retrain.data.reading.text_files import (
    Text,
    source_of,
    with_command,
)
from retrain.errors import RetrainError

if TYPE_CHECKING:
    import duckdb

__all__ = ["json_table", "unreadable"]


LARGEST_LIST = 1 << 24
"""Bytes of a list of JSON objects in which a mistake is looked for."""
COMMAS = "sed 's/,[[:space:]]*$//'"
"""The program of sed that takes away the commas at the ends of lines."""
OBJECT = '{"x": 1, "y": "a"}'
"""A row of JSON lines."""
NUMBERS = ("BIGINT", "UBIGINT", "HUGEINT", "UHUGEINT", "DOUBLE")
"""The types of columns of JSON files with numbers, and of the numbers next to texts."""


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
