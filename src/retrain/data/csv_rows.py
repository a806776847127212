"""CSV files as tables of text and numbers; errors name the line."""

import csv
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from retrain import files
from retrain.data.report_csv import LARGEST
from retrain.errors import RetrainError

import pandas as pd

LONGEST = 1 << 30
"""Characters in a field of a CSV file; the standard library's limit is too low for texts."""


def read_csv(path: Path, shown: str, columns: Sequence[str] | None) -> pd.DataFrame:
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
    csv.field_size_limit(LONGEST)
    files.require_regular_file(path, "give a CSV file")
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
        fact = f"is not UTF-8 (byte {error.object[error.start]:#04x})"
        raise RetrainError(f"{shown}, line {foreign_line(path)}", fact, "save it as UTF-8") from None
    except FileNotFoundError:
        raise RetrainError(shown, "is missing", "put the file there, or correct its location") from None
    except OSError as error:
        raise RetrainError(shown, f"can't be read ({error.strerror})", "check the file and its permissions") from None


def foreign_line(path: Path) -> int:
    """The first line of a file that is not UTF-8."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 0


def unique_columns(header: list[str], shown: str) -> list[str]:
    """A header line, checked: every name is there once."""
    columns = [name.strip() for name in header]
    repeated = next((name for name, count in Counter(columns).items() if count > 1), None)
    if repeated is not None:
        raise RetrainError(f"{shown}, line 1", f"names column '{repeated}' twice", "rename one of them")
    return columns


def select(rows: pd.DataFrame, names: Sequence[str], numeric: Sequence[str], shown: str) -> pd.DataFrame:
    """The named columns, in that order.

    Args:
        rows: strings, indexed by line, from `read_csv`.
        names: the columns that are wanted.
        numeric: those that hold numbers; the others hold text.
        shown: how errors name the file.

    Raises:
        RetrainError: a column is missing, or a value is no number, or too large, where it should be one.
    """
    for name in names:
        if name not in rows.columns:
            raise RetrainError(shown, f"column '{name}' is missing", f"it has: {', '.join(rows.columns)}")
    return pd.DataFrame({name: numbers(rows[name], shown) if name in numeric else rows[name] for name in names})


def numbers(values: "pd.Series[str]", shown: str) -> "pd.Series[float]":
    """A column of text as finite float64 that can be squared; an empty field becomes NaN, which `prepare` drops and counts."""
    parsed = [math.nan if not value.strip() else as_float(value) for value in values]
    for line, value, number in zip(values.index, values, parsed, strict=True):
        if value.strip() and (number is None or not abs(number) <= LARGEST):
            where = f"{shown}, line {line}, column '{values.name}'"
            fact = f"'{value}' is not a finite number of at most {LARGEST:g}"
            raise RetrainError(where, fact, "correct the value, or take the column out of 'numbers'")
    return pd.Series(parsed, index=values.index, name=values.name, dtype="float64")


def as_float(value: str) -> float | None:
    """The number that a text spells as other programs spell it too, or None: Python also takes 1_000."""
    try:
        return None if "_" in value else float(value)
    except ValueError:
        return None
