"""CSV files as tables of text and numbers. Errors name the line."""

import csv
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from retrain import files, schema
from retrain.data.report_csv import LARGEST
from retrain.errors import RetrainError

import pandas as pd

__all__ = ["read_csv", "select_columns", "with_kinds"]


LONGEST = 1 << 30
"""Characters in a field of a CSV file; the standard library's limit is too low for texts."""
SEPARATORS = {";": "';'", "\t": "a tab", "|": "'|'"}


def read_csv(path: Path, shown: str, columns: Sequence[str] | None) -> pd.DataFrame:
    """All rows of a CSV file as text. Blank lines are skipped.

    Args:
        path: the file; UTF-8, comma separated, quotes doubled.
        shown: how errors name the file.
        columns: the columns in order if the file has no header; None if its first line names them.

    Returns:
        A table of strings. Its index is the number of the line on which each row ends.

    Raises:
        RetrainError: the file does not exist, is empty or not UTF-8, or a row is not valid CSV or has too many or too few
            values; the error names the line.
    """
    has_header = columns is None
    lines: list[int] = []
    rows: list[list[str]] = []
    for line, row in numbered_rows(path, shown, has_header=has_header):
        if columns is None:
            columns = unique_columns(row, shown)
            continue
        if len(row) != len(columns):
            if has_header and (error := other_separator(path, shown)):
                raise error
            values = f"{len(row)} value{'s' if len(row) > 1 else ''} for {len(columns)} columns"
            hint = "put quotes around values with commas" if len(row) > len(columns) else "add the missing values"
            raise RetrainError(f"{shown}, line {line}", f"has {values}", hint)
        lines.append(line)
        rows.append(row)
    if not rows:
        fact = "has a header, but no rows" if has_header and columns else "is empty"
        raise RetrainError(shown, fact, "add rows")
    return pd.DataFrame(rows, columns=list(columns or ()), index=pd.Index(lines, name="line"), dtype="str")


def numbered_rows(path: Path, shown: str, *, has_header: bool) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not a blank line, with the number of the line on which it ends."""
    csv.field_size_limit(LONGEST)
    hint = "give the path of a CSV file"
    with files.reading(path, "CSV file", hint), path.open(encoding="utf-8-sig", newline="") as file:
        reader, last = csv.reader(file, strict=True), 0
        try:
            for row in reader:
                last = reader.line_num
                if row:
                    yield last, row
        except csv.Error as error:
            separator = other_separator(path, shown) if has_header else None
            raise separator or invalid(error, shown, last + 1, reader.line_num) from None
        except UnicodeDecodeError as error:
            fact = f"is not UTF-8 (byte {error.object[error.start]:#04x})"
            raise RetrainError(f"{shown}, line {foreign_line(path)}", fact, "save the file as UTF-8") from None


def invalid(error: csv.Error, shown: str, first: int, last: int) -> RetrainError:
    """The error of a row, from its first to its last line, that is not valid CSV."""
    if "unexpected end of data" in str(error):
        fact = "starts a quoted field that does not end in the file"
        return RetrainError(f"{shown}, line {first}", fact, 'close the quote, or write a quote inside a field as ""')
    if "expected after" in str(error):
        fact = "has text after the closing quote of a field"
        if first < last:
            fact += f", or a quote was opened in an earlier line (the row starts in line {first})"
        return RetrainError(f"{shown}, line {last}", fact, 'write a quote inside a field as ""')
    return RetrainError(f"{shown}, line {last}", f"is not valid CSV ({error})", "correct the line")


def other_separator(path: Path, shown: str) -> RetrainError | None:
    """The error of a file that is not valid CSV and has no comma in its header, but another separator."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        header = next((line.strip("\n") for line in file if line.strip()), "")
    if "," in header or not any(sign in header for sign in SEPARATORS):
        return None
    return RetrainError(shown, f"has the single column '{header}'", by_commas(header))


def by_commas(header: str) -> str:
    """The hint for a header with another separator."""
    return f"separate the values by commas, not by {next(SEPARATORS[sign] for sign in SEPARATORS if sign in header)}"


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
    """The names in a header line; raises RetrainError if a name is repeated."""
    columns = [name.strip() for name in header]
    repeated = next((name for name, count in Counter(columns).items() if count > 1), None)
    if repeated is not None:
        raise RetrainError(f"{shown}, line 1", f"names column '{repeated}' twice", "rename one of them")
    return columns


def select_columns(
    rows: pd.DataFrame, names: Sequence[str], numeric: Sequence[str], shown: str, section: str = ""
) -> pd.DataFrame:
    """The named columns, in that order.

    Args:
        rows: strings, indexed by line, from `read_csv`.
        names: the columns that are wanted.
        numeric: those that hold numbers; the others hold text.
        shown: how errors name the file.
        section: the section of params.yaml that names the columns, if one does.

    Returns:
        Text columns as they are, and numeric ones as float64.

    Raises:
        RetrainError: a column is missing, or a value of a numeric column is not a number that can be squared.
    """
    for name in names:
        if name not in rows.columns:
            raise no_column(name, list(rows.columns), shown)
    columns = {name: numbers(rows[name], shown, section) if name in numeric else rows[name] for name in names}
    return pd.DataFrame(columns)


def no_column(name: str, columns: Sequence[str], shown: str) -> RetrainError:
    """The error of a column that a file does not have, perhaps because commas do not separate its values."""
    if len(columns) == 1 and any(sign in columns[0] for sign in SEPARATORS):
        fact = f"has no column '{name}', but the single column '{columns[0]}'"
        return RetrainError(shown, fact, by_commas(columns[0]))
    return RetrainError(shown, f"has no column '{name}'", schema.nearest(name, columns))


def numbers(values: "pd.Series[str]", shown: str, section: str) -> "pd.Series[float]":
    """A column of text as finite float64 that can be squared. An empty field becomes NaN, which `prepare` drops."""
    parsed = [math.nan if not value.strip() else as_float(value) for value in values]
    for line, value, number in zip(values.index, values, parsed, strict=True):
        if value.strip() and (number is None or not abs(number) <= LARGEST):
            large = number is not None and math.isfinite(number)
            fact = f"holds '{value}', which is {f'larger than {LARGEST:g}' if large else 'not a finite number'}"
            as_text = f", or remove '{values.name}' from {section}.numbers to read it as text" if section else ""
            raise RetrainError(f"{shown}, line {line}, column '{values.name}'", fact, f"correct the value{as_text}")
    return pd.Series(parsed, index=values.index, name=values.name, dtype="float64")


def with_kinds(rows: pd.DataFrame, categories: Sequence[str], dates: Sequence[str], shown: str) -> pd.DataFrame:
    """The table with categorical columns and dates; an empty field is a missing value. Times with an offset become UTC.

    Raises:
        RetrainError: a value of a date column is not a date in ISO 8601.
    """
    converted: dict[str, Any] = {}
    for name in (name for name in categories if name in rows):
        values = rows[name].str.strip()
        converted[name] = values.where(values != "").astype("category")
    for name in (name for name in dates if name in rows):
        values = rows[name].str.strip()
        spelt = values.where(values.str.match(r"\d"))  # pandas would also read `now`
        parsed = pd.to_datetime(spelt, format="ISO8601", errors="coerce", utc=True).dt.tz_localize(None)
        wrong = rows.index[parsed.isna() & (values != "")]
        if len(wrong):
            where = f"{shown}, line {wrong[0]}, column '{name}'"
            raise RetrainError(
                where, f"holds '{values[wrong[0]]}', which is not a date", "write it as 2024-12-31 or 2024-12-31 23:59"
            )
        converted[name] = parsed.astype("datetime64[s]")
    return rows.assign(**converted)


def as_float(value: str) -> float | None:
    """The number that a text spells, or None. `1_000`, which only Python reads as a number, is text."""
    try:
        return None if "_" in value else float(value)
    except ValueError:
        return None
