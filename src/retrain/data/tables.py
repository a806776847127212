"""Tables on disk, read and written by pandas: Parquet between stages, and CSV that is compared."""

from pathlib import Path

from retrain import files
from retrain.data.report_csv import unescape_cell
from retrain.errors import RetrainError

import pandas as pd

__all__ = ["read_csv", "read_parquet", "write_parquet"]


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


def read_csv(path: Path, hint: str) -> pd.DataFrame:
    """Read a CSV that a stage wrote; raises RetrainError like `read_parquet`."""
    with files.reading(path, "CSV table", hint):
        table = pd.read_csv(path, keep_default_na=False)
    if not isinstance(table.index, pd.RangeIndex):
        raise RetrainError(str(path), "has more values than columns", hint)
    texts = [name for name in table.columns if not pd.api.types.is_numeric_dtype(table[name])]
    unescaped = {name: table[name].map(unescape_cell, na_action="ignore") for name in texts}
    return table.assign(**unescaped).rename(columns=unescape_cell)
