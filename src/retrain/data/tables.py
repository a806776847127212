"""Tables on disk: Parquet between stages, CSV for people. The home of pandas' readers and writers."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from retrain import files
from retrain.data.report_csv import escape_cell, unescape_cell
from retrain.errors import RetrainError

import pandas as pd


def read_parquet(path: Path, hint: str) -> pd.DataFrame:
    """Read a table that a stage wrote.

    Raises:
        RetrainError: it is missing or damaged; `hint` says what to do then.
    """
    files.require_regular_file(path, hint)
    try:
        return pd.read_parquet(path, engine="pyarrow")
    except FileNotFoundError:
        raise RetrainError(str(path), "is missing", hint) from None
    except Exception as error:  # noqa: BLE001 (whatever a forged file makes pandas raise)
        raise RetrainError(str(path), f"is not a readable Parquet table ({error})", hint) from None


def write_parquet(path: Path, table: pd.DataFrame) -> None:
    """Write a table: same rows, same bytes."""
    with files.writing(path):
        table.to_parquet(path, engine="pyarrow", compression="zstd", index=False)


def read_csv(path: Path, hint: str, text: Sequence[str] = ()) -> pd.DataFrame:
    """Read a CSV that a stage wrote; raises RetrainError like `read_parquet`.

    Args:
        path: the file.
        hint: what to do when it is not there, or not such a table.
        text: columns that must be there and hold text, also where it looks like numbers.
    """
    files.require_regular_file(path, hint)
    try:
        table = pd.read_csv(path, dtype=dict.fromkeys(text, "str"), keep_default_na=False)
    except FileNotFoundError:
        raise RetrainError(str(path), "is missing", hint) from None
    except (OSError, ValueError) as error:
        raise RetrainError(str(path), f"is not a readable CSV table ({error})", hint) from None
    if not isinstance(table.index, pd.RangeIndex):
        raise RetrainError(str(path), "has more values than columns", hint)
    return with_columns(translated(table, unescape_cell), text, path, hint)


def with_columns(table: pd.DataFrame, names: Sequence[str], path: Path, hint: str) -> pd.DataFrame:
    """The table; raises RetrainError where it has no column of one of the names."""
    for name in names:
        if name not in table.columns:
            raise RetrainError(str(path), f"column '{name}' is missing", hint)
    return table


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table with a header, UTF-8, one line feed per row; its texts start no formula and end no script."""
    safe = translated(table, escape_cell)
    texts = [*safe.columns, *(text for name in texts_of(safe) for text in safe[name])]
    returns = any("\r" in str(text) for text in texts)
    quoting: Literal[0, 2] = (
        csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL
    )  # which would leave a bare \r, the end of a line
    with files.writing(path):
        safe.to_csv(path, index=False, lineterminator="\n", quoting=quoting)


def texts_of(table: pd.DataFrame) -> list[str]:
    """The names of the columns that hold no numbers."""
    return [name for name in table.columns if not pd.api.types.is_numeric_dtype(table[name])]


def translated(table: pd.DataFrame, translate: Callable[[str], str]) -> pd.DataFrame:
    """A table with its texts, and the names of its columns, translated; numbers stay as they are."""
    columns = {name: table[name].map(translate, na_action="ignore") for name in texts_of(table)}
    return table.assign(**columns).rename(columns=translate)
