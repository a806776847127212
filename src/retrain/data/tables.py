"""Tables on disk, read and written by pandas: Parquet between stages, CSV for people."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from retrain import files
from retrain.data.report_csv import escape_cell, unescape_cell
from retrain.errors import RetrainError

import pandas as pd

__all__ = ["read_csv", "read_parquet", "write_csv", "write_parquet"]


def read_parquet(path: Path, hint: str) -> pd.DataFrame:
    """Read a table that a stage wrote.

    Raises:
        RetrainError: the file is missing or damaged; `hint` says what to do.
    """
    with files.reading(path, "Parquet table", hint, Exception):
        return pd.read_parquet(path, engine="pyarrow")


def write_parquet(path: Path, table: pd.DataFrame) -> None:
    """Write a table. The same rows give the same bytes."""
    with files.writing(path):
        table.to_parquet(path, engine="pyarrow", compression="zstd", index=False)


def read_csv(path: Path, hint: str, text: Sequence[str] = ()) -> pd.DataFrame:
    """Read a CSV that a stage wrote; raises RetrainError like `read_parquet`.

    Args:
        path: the file.
        hint: what to do if it is missing or not such a table.
        text: columns that must be there. They hold text, even if it looks like numbers.
    """
    with files.reading(path, "CSV table", hint):
        table = pd.read_csv(path, dtype=dict.fromkeys(text, "str"), keep_default_na=False)
    if not isinstance(table.index, pd.RangeIndex):
        raise RetrainError(str(path), "has more values than columns", hint)
    return with_columns(translated(table, unescape_cell), text, path, hint)


def with_columns(table: pd.DataFrame, names: Sequence[str], path: Path, hint: str) -> pd.DataFrame:
    """The table; raises RetrainError if it lacks one of the named columns."""
    for name in names:
        if name not in table.columns:
            raise RetrainError(str(path), f"has no column '{name}'", hint)
    return table


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table with a header, in UTF-8, with one line feed per row. Texts are escaped; see `report_csv`."""
    safe = translated(table, escape_cell)
    texts = [*safe.columns, *(text for name in texts_of(safe) for text in safe[name])]
    returns = any("\r" in str(text) for text in texts)
    # QUOTE_MINIMAL does not quote a \r, which ends a line.
    quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL
    with files.writing(path):
        safe.to_csv(path, index=False, lineterminator="\n", quoting=quoting)


def texts_of(table: pd.DataFrame) -> list[str]:
    """The names of the columns that do not hold numbers."""
    return [name for name in table.columns if not pd.api.types.is_numeric_dtype(table[name])]


def translated(table: pd.DataFrame, translate: Callable[[str], str]) -> pd.DataFrame:
    """A table with its texts and the names of its columns translated. Numbers are not changed."""
    columns = {name: table[name].map(translate, na_action="ignore") for name in texts_of(table)}
    return table.assign(**columns).rename(columns=translate)
