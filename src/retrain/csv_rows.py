"""CSV as it comes from elsewhere: read strictly, with the line in every error."""

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from retrain.errors import RetrainError

csv.field_size_limit(1 << 30)


def read_rows(path: Path, shown: str, columns: Sequence[str] | None) -> pd.DataFrame:
    """All rows of a CSV file as text.

    Args:
        path: the file; UTF-8, comma separated, quotes doubled.
        shown: how errors name the file.
        columns: the columns in order where the file has no header; None where its first line names them.

    Returns:
        A table of strings, with the line on which each row ends as its index.

    Raises:
        RetrainError: empty, truncated, ragged or not UTF-8; the error names the line.
    """
    lines: list[int] = []
    rows: list[list[str]] = []
    for line, row in numbered_rows(path, shown):
        if columns is None:
            columns = unique_columns(row, shown)
            continue
        if len(row) != len(columns):
            fact = f"has {len(row)} values where {len(columns)} columns are expected"
            raise RetrainError(f"{shown}, line {line}", fact, "mend the line, or the list of columns")
        lines.append(line)
        rows.append(row)
    if not rows:
        raise RetrainError(shown, "has no rows", "give it at least one")
    return pd.DataFrame(rows, columns=list(columns or ()), index=pd.Index(lines, name="line"), dtype="str")


def numbered_rows(path: Path, shown: str) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not a blank line, with the number of the line on which it ends."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for row in reader:
                if row:
                    yield reader.line_num, row
    except csv.Error as error:
        fact = f"is not valid CSV ({error})"
        raise RetrainError(f"{shown}, line {reader.line_num}", fact, "mend the line, or fetch the file again") from None
    except UnicodeDecodeError as error:
        fact = f"is not UTF-8 (byte {error.object[error.start]:#04x} after line {reader.line_num})"
        raise RetrainError(shown, fact, "save it as UTF-8") from None
    except FileNotFoundError:
        raise RetrainError(shown, "is missing", "put the file there, or correct its location") from None
    except OSError as error:
        raise RetrainError(shown, f"can't be read ({error.strerror})", "check the file and its permissions") from None


def unique_columns(header: list[str], shown: str) -> list[str]:
    """A header line, checked: every name is there once."""
    columns = [name.strip() for name in header]
    repeated = [name for name in columns if columns.count(name) > 1]
    if repeated:
        raise RetrainError(f"{shown}, line 1", f"names column '{repeated[0]}' twice", "rename one of them")
    return columns


def select(rows: pd.DataFrame, kinds: Mapping[str, str], shown: str) -> pd.DataFrame:
    """The named columns, each as what it is said to hold.

    Args:
        rows: strings, indexed by line, from `read_rows`.
        kinds: column name -> "text" or "number".
        shown: how errors name the file.

    Raises:
        RetrainError: a column is missing, or a value is no finite number where it should be one.
    """
    for name in kinds:
        if name not in rows.columns:
            raise RetrainError(shown, f"column '{name}' is missing", f"it has: {', '.join(rows.columns)}")
    return pd.DataFrame(
        {name: numbers(rows[name], shown) if kind == "number" else rows[name] for name, kind in kinds.items()}
    )


def numbers(values: "pd.Series[str]", shown: str) -> "pd.Series[float]":
    """A column of text as finite float64; an empty field becomes NaN, which `prepare` drops and counts."""
    parsed = [math.nan if not value.strip() else as_float(value) for value in values]
    for line, value, number in zip(values.index, values, parsed, strict=True):
        if value.strip() and (number is None or not math.isfinite(number)):
            place = f"{shown}, line {line}, column '{values.name}'"
            raise RetrainError(place, f"'{value}' is not a finite number", "correct the value, or call the column text")
    return pd.Series(parsed, index=values.index, name=values.name, dtype="float64")


def as_float(value: str) -> float | None:
    """The number that a text spells, or None."""
    try:
        return float(value)
    except ValueError:
        return None
