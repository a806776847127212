"""Files of rows as tables: CSV, JSON lines and Parquet, read by DuckDB. Errors name the line, as an editor counts it."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from retrain.data.reading.csv_files import csv_table
from retrain.data.reading.database import SMALL, database, first_line, lacks_room, small_database
from retrain.data.reading.encodings import first_bytes, is_binary
from retrain.data.reading.file_format import Expected, Format
from retrain.data.reading.json_files import json_table, unreadable
from retrain.data.reading.other_files import check_is_rows
from retrain.data.reading.parquet_files import parquet_table
from retrain.data.reading.sql_table import Table
from retrain.data.reading.text_files import Text, plain_text, reading, source_of
from retrain.errors import RetrainError

__all__ = ["kind_of", "open_table"]


KINDS = {".parquet": "parquet", ".jsonl": "json", ".ndjson": "json", ".json": "json"}
"""Kinds of files by suffix. All others are CSV, unless their first bytes say otherwise."""
LONGEST_START = 1 << 13
"""Bytes that tell what a file is, some of which may be comments."""
MEMORY = "512MB"
"""What DuckDB may use for rows that are kept on the disk."""


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


def kind_of(name: Path, start: bytes) -> str:
    """The kind of a file by its name or its first bytes."""
    suffix = name.with_suffix("").suffix if name.suffix.lower() in (".gz", ".zst", ".zstd") else name.suffix
    if start.startswith(b"PAR1"):
        return "parquet"
    is_json = re.match(rb"(\xef\xbb\xbf)?\s*(\{|\[)\s*[\{\"]", start) is not None
    return KINDS.get(suffix.lower(), "json" if is_json else "csv")
