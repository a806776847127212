"""The tables of the split stage, read without pandas: importing it would take longer than the evaluation of a small model."""

from pathlib import Path

from retrain import files
from retrain.data.encoding_file import GROUP, GROUPS
from retrain.data.report_csv import Columns
from retrain.errors import RetrainError

__all__ = ["read_groups", "read_split"]


def read_split(path: Path, hint: str, every: int = 1) -> Columns:
    """Read a table of the split stage: numbers as float64 arrays, dates as datetime64 arrays, texts and classes as lists.

    Args:
        path: the file.
        hint: what to do about a bad file.
        every: 1 for all rows; 10 for the first of every ten rows, and so on.

    Raises:
        RetrainError: the file is missing or damaged; `hint` says what to do.
    """
    import numpy as np
    from pyarrow import types
    from pyarrow.parquet import ParquetFile  # its `read_table`, and a column's `to_numpy`, would import pandas

    with files.reading(path, "Parquet table", hint, Exception):
        table = ParquetFile(path).read()
        if every > 1:
            table = table.take(list(range(0, len(table), every)))  # of many rows: it imports pandas
    columns: Columns = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        columns[name] = column.to_pylist()
        if types.is_floating(column.type):
            columns[name] = np.array(columns[name], "float64")
        elif types.is_timestamp(column.type):
            columns[name] = np.array(columns[name], "datetime64[s]")
    return columns


def read_groups(folder: Path, rows: int) -> list[int] | None:
    """The number of each test row's group; None if rows are independent of each other, or all are of one group.

    Args:
        folder: the output of the split stage.
        rows: the number of test rows.

    Raises:
        RetrainError: the file is damaged, or has another number of rows.
    """
    path, hint = folder / GROUPS, f"run: dvc repro split@{folder.parent.name}"
    if not path.exists():
        return None
    columns = read_split(path, hint)
    groups: list[int] = columns.get(GROUP, [])
    if len(groups) != rows:
        raise RetrainError(str(path), "does not fit the test split", hint)
    return groups if len({*groups}) > 1 else None
