"""Tables on disk: Parquet between stages, CSV for people. The home of pandas' readers and writers.

A CSV is opened in a spreadsheet, where a text that begins with `=` is a formula and runs, and `dvc plots` writes it
into a page, where `</script>` ends its script. Names of classes come from data, so in a CSV an apostrophe stands before
what would have such a meaning (OWASP, "CSV Injection"); `read_csv` takes it away again. All other texts stay as they are.
"""

import csv
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from retrain import files
from retrain.errors import RetrainError

import pandas as pd

LARGEST = 1e150
"""Beyond it the square of a number is infinite, and with it a column's deviation."""
BEGIN = r"""(?:^|[;\t\r\n])["']*"""
"""Where a cell begins, in spreadsheets of all languages, and quotation marks and apostrophes that stand there."""
# Spreadsheets take the wide forms of the signs as well.
FORMULA = r"(?=[=+\-@\uff1d\uff0b\uff0d\uff20\t\r\n])"
MARKUP = r"(?=[/!])"
HARMFUL = re.compile(f"{BEGIN}{FORMULA}|<'*{MARKUP}")
DISARMED = re.compile(f"({BEGIN})'{FORMULA}|(<'*)'{MARKUP}")
NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
"""Classes may be called -1 and +1; a spreadsheet makes no formula of a number."""


def read_parquet(path: Path, way_out: str) -> pd.DataFrame:
    """Read a table that a stage wrote.

    Raises:
        RetrainError: it is missing or damaged; `way_out` says what to do then.
    """
    files.must_not_be_endless(path, way_out)
    try:
        return pd.read_parquet(path, engine="pyarrow")
    except FileNotFoundError:
        raise RetrainError(str(path), "is missing", way_out) from None
    except Exception as error:  # noqa: BLE001 (whatever a forged file makes pandas raise)
        raise RetrainError(str(path), f"is not a readable Parquet table ({error})", way_out) from None


def write_parquet(path: Path, table: pd.DataFrame) -> None:
    """Write a table: same rows, same bytes."""
    with files.writing(path):
        table.to_parquet(path, engine="pyarrow", compression="zstd", index=False)


def read_csv(path: Path, way_out: str, text: Sequence[str] = ()) -> pd.DataFrame:
    """Read a CSV that a stage wrote; raises RetrainError like `read_parquet`.

    Args:
        path: the file.
        way_out: what to do when it is not there, or not such a table.
        text: columns that must be there and hold text, also where it looks like numbers.
    """
    files.must_not_be_endless(path, way_out)
    try:
        table = pd.read_csv(path, dtype=dict.fromkeys(text, "str"), keep_default_na=False)
    except FileNotFoundError:
        raise RetrainError(str(path), "is missing", way_out) from None
    except (OSError, ValueError) as error:
        raise RetrainError(str(path), f"is not a readable CSV table ({error})", way_out) from None
    if not isinstance(table.index, pd.RangeIndex):
        raise RetrainError(str(path), "has more values than columns", way_out)
    return with_columns(translated(table, armed), text, path, way_out)


def read_figures(path: Path, way_out: str, names: Sequence[str]) -> pd.DataFrame:
    """Read a CSV of finite numbers and nothing else, such as a history; raises RetrainError like `read_csv`.

    Args:
        path: the file.
        way_out: what to do when it is not there, or not such a table.
        names: columns that must be there; there may be others.
    """
    table = with_columns(read_csv(path, way_out), names, path, way_out)
    if table.empty:
        raise RetrainError(str(path), "has no rows", way_out)
    for name in table.columns:
        if table[name].dtype.kind not in "if" or not table[name].abs().le(LARGEST).all():
            raise RetrainError(str(path), f"column '{name}' holds something else than numbers", way_out)
    return table


def with_columns(table: pd.DataFrame, names: Sequence[str], path: Path, way_out: str) -> pd.DataFrame:
    """The table; raises RetrainError where it has no column of one of the names."""
    for name in names:
        if name not in table.columns:
            raise RetrainError(str(path), f"column '{name}' is missing", way_out)
    return table


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table with a header, UTF-8, one line feed per row; its texts start no formula and end no script."""
    safe = translated(table, disarmed)
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


def disarmed(text: str) -> str:
    """A text with an apostrophe before whatever would be more than text."""
    return text if NUMBER.fullmatch(text) else HARMFUL.sub(r"\g<0>'", text)


def armed(text: str) -> str:
    """The text that `disarmed` was given."""
    return DISARMED.sub(r"\1\2", text)
