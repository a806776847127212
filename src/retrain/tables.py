"""Tables on disk: Parquet between stages, CSV for people. The home of pandas' readers and writers."""

from collections.abc import Sequence
from pathlib import Path

from retrain.errors import RetrainError

import pandas as pd


def read_parquet(path: Path, way_out: str) -> pd.DataFrame:
    """Read a table that a stage wrote.

    Raises:
        RetrainError: it is missing or damaged; `way_out` says what to do then.
    """
    try:
        return pd.read_parquet(path, engine="pyarrow")
    except FileNotFoundError:
        raise RetrainError(str(path), "is missing", way_out) from None
    except (OSError, ValueError) as error:
        raise RetrainError(str(path), f"is not a readable Parquet table ({error})", way_out) from None


def write_parquet(path: Path, table: pd.DataFrame) -> None:
    """Write a table: same rows, same bytes."""
    table.to_parquet(path, engine="pyarrow", compression="zstd", index=False)


def read_csv(path: Path, way_out: str, text: Sequence[str] = ()) -> pd.DataFrame:
    """Read a CSV that a stage wrote; raises RetrainError like `read_parquet`.

    Args:
        path: the file.
        way_out: what to do when it is not there.
        text: columns that hold text, also where it looks like numbers.
    """
    try:
        return pd.read_csv(path, dtype=dict.fromkeys(text, "str"), keep_default_na=False)
    except FileNotFoundError:
        raise RetrainError(str(path), "is missing", way_out) from None
    except (OSError, ValueError) as error:
        raise RetrainError(str(path), f"is not a readable CSV table ({error})", way_out) from None


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table with a header, UTF-8, one line feed per row."""
    table.to_csv(path, index=False, lineterminator="\n")
