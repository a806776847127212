"""CSV files in reports/, read and written without pandas: importing it would take longer than the work.

A spreadsheet runs a text that begins with `=` as a formula, and `dvc plots` writes texts into a page, where `</script>`
ends its script. Class names and texts come from data, so such a cell gets an apostrophe in front (OWASP, "CSV
Injection"). Reading takes the apostrophe away again. All other texts stay as they are.
"""

import csv
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from retrain import files
from retrain.errors import RetrainError

LARGEST = 1e150
"""The square of a larger number is infinite, and so is a column's deviation."""
START = r"""(?:^|[;\t\r\n])["']*"""
"""Where a cell starts, in spreadsheets of all languages, with the quotation marks and apostrophes there."""
# Spreadsheets take the wide forms of the signs as well.
FORMULA = r"(?=[=+\-@\uff1d\uff0b\uff0d\uff20\t\r\n])"
MARKUP = r"(?=[/!])"
HARMFUL = re.compile(f"{START}{FORMULA}|<'*{MARKUP}")
ESCAPED = re.compile(f"({START})'{FORMULA}|(<'*)'{MARKUP}")
NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
"""Classes may be called -1 and +1; a spreadsheet makes no formula of a number."""


def escape_cell(text: str) -> str:
    """A text with an apostrophe before whatever would be more than text."""
    return text if NUMBER.fullmatch(text) else HARMFUL.sub(r"\g<0>'", text)


def unescape_cell(text: str) -> str:
    """The text that `escape_cell` was given."""
    return ESCAPED.sub(r"\1\2", text)


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of numbers and texts with a header, in UTF-8; floats have as many digits as they need."""
    names = list(rows[0])
    with files.writing(path), path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(map(escape_cell, names))
        writer.writerows([as_cell(row[name]) for name in names] for row in rows)


def as_cell(value: Any) -> Any:
    """A value as it is written: a text escaped, a number as it is."""
    return escape_cell(value) if isinstance(value, str) else value


def read_columns(path: Path, hint: str, names: Iterable[str]) -> dict[str, list[str]]:
    """Read a CSV that a stage wrote, as columns of texts.

    Args:
        path: the file.
        hint: what to do if it is missing or not such a table.
        names: columns that must be there; there may be others.

    Raises:
        RetrainError: it is missing or damaged, or a column is missing.
    """
    files.require_regular_file(path, hint)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file, strict=True)
        columns = dict(zip(map(unescape_cell, header), map(list, zip(*rows, strict=True)), strict=True))
    except FileNotFoundError:
        raise RetrainError(str(path), "is missing", hint) from None
    except (OSError, ValueError, csv.Error) as error:
        raise RetrainError(str(path), f"is not a readable CSV table ({error})", hint) from None
    for name in names:
        if name not in columns:
            raise RetrainError(str(path), f"column '{name}' is missing", hint)
    return {name: list(map(unescape_cell, cells)) for name, cells in columns.items()}


def read_numbers(path: Path, hint: str, names: Iterable[str]) -> dict[str, list[float]]:
    """Read columns of finite numbers; see `read_columns`. Other columns of the file are left out.

    Raises:
        RetrainError: see `read_columns`; also where a value is not a number or its size is above `LARGEST`.
    """
    names = list(names)
    columns = read_columns(path, hint, names)
    return {name: numbers_of(columns[name], path, name, hint) for name in names}


def numbers_of(cells: Sequence[str], path: Path, name: str, hint: str) -> list[float]:
    """The numbers in a column."""
    try:
        numbers = list(map(float, cells))
    except ValueError:
        numbers = [math.nan]
    if not all(abs(number) <= LARGEST for number in numbers):
        raise RetrainError(str(path), f"column '{name}' holds something else than numbers", hint)
    return numbers
