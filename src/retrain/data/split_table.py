"""The table of a split, read without pandas: importing it would take longer than the evaluation of a small model."""

from pathlib import Path

from retrain import files
from retrain.data.report_csv import Columns

__all__ = ["read_split"]


def read_split(path: Path, hint: str) -> Columns:
    """Read a table of the split stage: numbers as float64 arrays, texts and classes as lists.

    Raises:
        RetrainError: the file is missing or damaged; `hint` says what to do.
    """
    from pyarrow import parquet, types

    with files.reading(path, "Parquet table", hint, Exception):
        table = parquet.read_table(path)
    return {
        name: column.to_numpy() if types.is_floating(column.type) else column.to_pylist()
        for name, column in zip(table.column_names, table.columns, strict=True)
    }
