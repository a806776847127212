"""CSV files in reports/, read and written without pandas, whose import takes longer than the work.

A spreadsheet executes a text that starts with `=` as a formula. `dvc plots` writes texts into a page, where `</script>`
ends the script. Class names and texts come from data, so writing puts an apostrophe into such texts (OWASP, "CSV
Injection"), and reading removes it. Other texts are not changed.
"""

import csv
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from retrain import files
from retrain.errors import RetrainError

__all__ = [
    "DIGITS",
    "LARGEST",
    "Columns",
    "escape_cell",
    "in_short",
    "numbers_of",
    "read_columns",
    "read_numbers",
    "significant",
    "unescape_cell",
    "write_columns",
    "write_rows",
]


csv.field_size_limit(2**31 - 1)  # a text of the data may be longer than the csv module's own limit
Columns = dict[str, Any]
"""A table as columns by name: lists or numpy arrays of the same length."""
LARGEST = 1e150
"""The largest size of a number. The square of a much larger one would be infinite."""
START = r"""(?:^|[;\t\r\n])["']*"""
"""The start of a cell in spreadsheets of all languages, with quotation marks and apostrophes."""
# Spreadsheets also accept the wide forms of these characters.
FORMULA = r"(?=[=+\-@\uff1d\uff0b\uff0d\uff20\t\r\n])"
MARKUP = r"(?=[/!])"
HARMFUL = re.compile(f"{START}{FORMULA}|<'*{MARKUP}")
ESCAPED = re.compile(f"({START})'{FORMULA}|(<'*)'{MARKUP}")
DIGITS = 9
"""Significant digits of a number that is computed. A float32 has no more."""
NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
"""Classes may be called -1 and +1. Spreadsheets do not execute numbers."""


def significant(number: float) -> float:
    """A number rounded to nine significant digits, so that small ones are as exact as large ones."""
    return float(f"{number:.{DIGITS}g}")


def in_short(number: float) -> str:
    """A number for people: four decimals, or six significant digits where decimals would be too few or too many."""
    return f"{number:.4f}" if 0.01 <= abs(number) < 100_000 else f"{number:.6g}"


def escape_cell(text: str) -> str:
    """A text with an apostrophe before each part that a spreadsheet or a page would execute."""
    return text if NUMBER.fullmatch(text) else HARMFUL.sub(r"\g<0>'", text)


def unescape_cell(text: str) -> str:
    """The original of a text that `escape_cell` returned."""
    return ESCAPED.sub(r"\1\2", text)


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows with the same names; see `write_columns`."""
    write_columns(path, {name: [row[name] for row in rows] for name in rows[0]})


def write_columns(path: Path, columns: Columns) -> None:
    """Write columns of texts and of numbers, with a header, in UTF-8, one line feed per row.

    Texts are escaped, and floats have as many digits as they need.

    Args:
        path: the file.
        columns: lists or numpy arrays of the same length.
    """
    names = list(map(escape_cell, columns))
    cells = [list(map(as_cell, values)) for values in columns.values()]
    texts = [*names, *(cell for values in cells for cell in values if isinstance(cell, str))]
    # QUOTE_MINIMAL does not quote a \r, which ends a line.
    quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if any("\r" in text for text in texts) else csv.QUOTE_MINIMAL
    with files.writing(path), path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n", quoting=quoting)
        writer.writerow(names)
        writer.writerows(zip(*cells, strict=True))


def as_cell(value: Any) -> Any:
    """A value as it is written: an escaped text, a number of Python's own, or nothing for a missing value."""
    if isinstance(value, str):
        return escape_cell(value)
    own = value if value is None or type(value) in (int, float) else value.item()
    if own is None or (isinstance(own, float) and math.isnan(own)):
        return ""
    return own if isinstance(own, int | float) else str(own)


def read_columns(path: Path, hint: str, names: Iterable[str], *, empty: bool = False) -> dict[str, list[str]]:
    """Read a CSV that a stage wrote, as columns of texts.

    Args:
        path: the file.
        hint: what to do if it is missing or not such a table.
        names: columns that must be there. Other columns are allowed.
        empty: whether it may have no rows.

    Raises:
        RetrainError: it is missing or damaged, or a column is missing.
    """
    with files.reading(path, "CSV table", hint, csv.Error), path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file, strict=True)
        cells = [[] for _ in header] if empty and not rows else map(list, zip(*rows, strict=True))
        columns = dict(zip(map(unescape_cell, header), cells, strict=True))
    for name in names:
        if name not in columns:
            raise RetrainError(str(path), f"has no column '{name}'", hint)
    return {name: list(map(unescape_cell, cells)) for name, cells in columns.items()}


def read_numbers(path: Path, hint: str, names: Iterable[str]) -> dict[str, list[float]]:
    """Read columns of finite numbers; see `read_columns`. Other columns of the file are ignored.

    Raises:
        RetrainError: see `read_columns`; or a value is not a number, or its size is above `LARGEST`.
    """
    names = list(names)
    columns = read_columns(path, hint, names)
    return {name: numbers_of(columns[name], path, name, hint) for name in names}


def numbers_of(cells: Sequence[str], path: Path, name: str, hint: str) -> list[float]:
    """The numbers in a column; raises RetrainError for any other value."""
    try:
        numbers = list(map(float, cells))
    except ValueError:
        numbers = [math.nan]
    if not all(abs(number) <= LARGEST for number in numbers):
        raise RetrainError(str(path), f"column '{name}' does not hold finite numbers only", hint)
    return numbers
