"""A database in memory for the rows of a file, whose values are all text."""

import itertools
import json
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from retrain import schema
from retrain.data.reading.expressions import literal
from retrain.data.reading.sql_table import WIDE
from retrain.data.repairs import json_text

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    import pandas as pd

__all__ = ["SMALL", "database", "fill", "first_line", "hashes", "is_date_format", "lacks_room", "small_database"]


SPACE = " \t\r\n\v\f\u00a0\ufeff"
"""White space around a value, which does not count."""
SMALL = 1 << 20
"""Bytes of a file that DuckDB reads faster than it starts."""
SERIAL, ONE_AT_A_TIME = itertools.count(), threading.Lock()
"""The numbers of the databases of small files; and the lock of what opens and closes them."""
NO_ROOM = ("Could not write file", "failed to offload")
"""What DuckDB says if the disk of the temporary folder is full, or a file may not become larger."""


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


def lacks_room(error: Exception) -> bool:
    """Whether an error of DuckDB is about the disk of the temporary folder, and not about the file."""
    return any(words in str(error) for words in NO_ROOM)


def first_line(error: Exception) -> str:
    """The first line of a message of DuckDB, without the name of the kind of error."""
    return re.sub(r' ?(in file )?"/[^"]*"', "", str(error).splitlines()[0].partition(": ")[2])


def sorted_json(text: str) -> str:
    """An object or a list of them as JSON with sorted keys; any other text as it is."""
    try:
        found = json.loads(text)
        return json_text(found) if isinstance(found, dict | list) else text
    except (ValueError, RecursionError):
        return text


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
