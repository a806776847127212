"""Rows from another program, checked and turned into an encoder's columns: texts, mappings, or a table."""

import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from datetime import time as clock
from decimal import Decimal
from functools import partial
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeAlias

from retrain import schema
from retrain.data.column_names import lacks, renamed, similar
from retrain.data.reading.file_format import BASIC, ISO, JOINED, SPREAD, WITH_OFFSET, ZONE, Format, date_pattern
from retrain.data.repairs import json_text, spellings, tidy_texts
from retrain.data.report_csv import LARGEST
from retrain.errors import RetrainError

import numpy as np

if TYPE_CHECKING:
    from retrain.data.encoders import Encoder

    import pandas as pd
    import pyarrow as pa

__all__ = ["RawRows", "are_texts", "columns_of", "gaps", "is_missing", "spelt", "unknown", "without_units", "zones"]


RawRows: TypeAlias = (
    "Sequence[str] | Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any]] | pd.DataFrame | pa.Table"
)
"""Texts; rows by column names; columns by name; or a table."""

ROWS = "rows"
MISSING = object()
FRACTION = re.compile(r"-?\d+\.(\d\d?|\d{4,})", re.ASCII)
"""A number with a decimal point; 1.000 could be a thousand."""
POINTED = re.compile(r"\d\.\d")
SURROGATE = re.compile("[\ud800-\udfff]")
POINT = "has a decimal point, but texts of this model have a decimal comma, as in its training file; write it as 2,5, or as a number in JSON or Python"
FIRST_DAY = date(1900, 1, 1)
"""The day of a time of day, as strptime reads it."""


class WrongValueError(ValueError):
    """A value is not what its column holds. The text is a fact and a hint, with a semicolon between them."""


def columns_of(rows: RawRows, encoder: "Encoder", repairs: Sequence[str], written: Format) -> dict[str, Any]:
    """The columns that an encoder takes, in its order.

    Messages name row and column, but never repeat a value: a server sends them to its clients.

    Args:
        rows: the rows. Columns that the encoder does not take are ignored.
        encoder: of the model.
        repairs: what was repaired in texts before training.
        written: how the training file spelt its values: `prepare.format`.

    Raises:
        RetrainError: a column is missing, or a value is not what its column holds.
    """
    table, incomplete, known = listed(rows, encoder), encoder.holds == "anything", encoder.known
    columns: dict[str, Any] = {}
    for name, kind in zip(encoder.columns, encoder.kinds, strict=True):
        values = table[name] if kind == "text" else without_markers(list(map(composed, table[name])), name, written)
        if kind == "text":
            several = incomplete or len(encoder.columns) > 1  # a row without any text has no answer
            columns[name] = tidy_texts(texts_of(name, values, "" if several else None), repairs)
        elif kind == "category":
            columns[name] = converted(name, values, partial(category, known=known.get(name, frozenset())), math.nan)
        elif kind == "date":
            times = converted(name, values, partial(time, name=name, written=written), np.datetime64("NaT"))
            columns[name] = np.array(times, dtype="datetime64[s]")
        else:
            to_number = partial(number, name=name, written=written)
            columns[name] = converted(name, values, to_number, math.nan if incomplete else None)
    return columns


def listed(rows: RawRows, encoder: "Encoder") -> Mapping[str, Sequence[Any]]:
    """The encoder's columns as lists of the same length, whose values are not checked yet."""
    names = encoder.columns
    if isinstance(rows, str | bytes):
        raise RetrainError(ROWS, "must be a list", "for one text, give a list with this text")
    if hasattr(rows, "columns") or isinstance(rows, Mapping):  # a table, or columns by name
        table: Any = of_arrow(rows) if hasattr(rows, "column_names") else rows
        own = places_of(names, {*(table.columns if hasattr(table, "columns") else table)}, ROWS)
        parts = {name: table[own[name]] for name in names}
        if twice := [name for name, part in parts.items() if hasattr(rows, "columns") and getattr(part, "ndim", 1) > 1]:
            raise RetrainError(ROWS, f"has the column '{twice[0]}' twice", "rename or drop one of them")
        if any(
            getattr(part, "ndim", 1) != 1 or not hasattr(part, "__iter__") or isinstance(part, str | bytes | Mapping)
            for part in parts.values()
        ):
            hint = "check the names of the columns; for one row, give a list with this row"
            raise RetrainError(ROWS, "must have one list of values for each column", hint)
        lists: dict[str, list[Any]] = {
            name: part.tolist() if hasattr(part, "tolist") else list(part) for name, part in parts.items()
        }
        if len({*map(len, lists.values())}) > 1:
            raise RetrainError(ROWS, "has columns of different lengths", "give each column a value for each row")
        return lists
    several: list[Any] = list(rows)
    if are_texts(several):
        return of_texts(several, encoder) if several else {name: [] for name in names}
    found = [of_row(row, names, f"row {place}") for place, row in enumerate(several, start=1)]
    return {name: [row[name] for row in found] for name in names}


def are_texts(rows: RawRows) -> bool:
    """Whether rows are bare texts, which fill one column."""
    is_table = hasattr(rows, "columns") or isinstance(rows, Mapping)
    return not is_table and all(isinstance(row, str) for row in rows)


def of_arrow(table: "pa.Table") -> "pd.DataFrame":
    """A table of pyarrow as one of pandas, with the same values. What pandas noted in it could make an index of a column."""
    import pandas as pd

    rows: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype, ignore_metadata=True)
    return rows


def without_units(rows: RawRows, encoder: "Encoder", written: Format) -> Iterator[tuple[str, list[str]]]:
    """The numbers that lack the unit of their column, as `Table.without_unit` finds them in a file; the rows are as `columns_of` takes them."""
    units = {name: unit for name, unit in written.units_in.items() if name in encoder.columns}
    table = listed(rows, encoder) if units else {}
    for name, unit in units.items():
        values = [value for value in without_markers(table[name], name, written) if not is_missing(value)]
        texts = [value for value in values if isinstance(value, str) and unit not in value]
        numbers = [value for value in values if not isinstance(value, str)]
        shares = numbers if unit == "%" and all(abs(value) <= 1 for value in numbers) else []
        yield name, [text for text in map(str, texts + shares) if re.search("[1-9]", text)]


def zones(rows: RawRows, encoder: "Encoder", written: Format, names: Collection[str]) -> dict[str, tuple[int, int]]:
    """How many times of some columns have an offset, and how many have none, as `Table.offsets` counts them; the rows are as `columns_of` takes them."""
    found = {}
    for name, values in listed(rows, encoder).items() if names else ():
        if name in names:
            given = [value for value in without_markers(values, name, written) if not is_missing(value)]
            count = sum(map(has_offset, given))
            found[name] = count, len(given) - count
    return found


def has_offset(value: Any) -> bool:
    """Whether a time has an offset from UTC."""
    if isinstance(value, str):
        return re.search(WITH_OFFSET, value, re.ASCII) is not None
    return isinstance(value, datetime) and value.utcoffset() is not None


def of_row(row: Any, names: Sequence[str], where: str) -> Mapping[Any, Any]:
    """A row by column names; raises RetrainError if it is something else, or lacks one of the names."""
    if not isinstance(row, Mapping):
        raise RetrainError(
            where, "is not what the model takes", "give texts or rows by column names, all of the same kind"
        )
    own = places_of(names, row, where)
    return {name: row[own[name]] for name in names}


def places_of(names: Sequence[str], there: Collection[Any], where: str) -> Mapping[str, Any]:
    """How the rows spell each name of a column; raises RetrainError if one is not there."""
    if all(name in there for name in names):
        return {name: name for name in names}
    own = {schema.column_name(str(name)): name for name in there}
    found = {name: name if name in there else own.get(schema.column_name(name), MISSING) for name in names}
    if missing := [name for name, place in found.items() if place is MISSING]:
        near = similar(missing, (name for name in own if name not in found))
        rest = "the others" if near else "it" if len(missing) == 1 else "them"
        hints = [renamed(near)] * bool(near) + [f"give {rest}; a missing value is null"] * (len(near) < len(missing))
        raise RetrainError(where, lacks(missing), ", and ".join(hints))
    return found


def of_texts(texts: Sequence[str], encoder: "Encoder") -> Mapping[str, Sequence[Any]]:
    """The columns of bare texts; raises RetrainError if the model needs more than one text."""
    try:
        return encoder.rows_of_texts(texts)
    except RetrainError as error:
        raise RetrainError(ROWS, error.fact, "give rows by column names") from None


def converted(column: str, values: Sequence[Any], convert: Callable[[Any], Any], missing: Any) -> list[Any]:
    """Each value of a column converted; a missing one becomes `missing`, or is an error if that is None.

    Raises:
        RetrainError: a value is missing, or `convert` raises WrongValueError.
    """
    found = []
    for place, value in enumerate(values, start=1):
        try:
            found.append(required(missing) if is_missing(value) else convert(value))
        except WrongValueError as error:
            fact, _, hint = str(error).partition("; ")
            raise RetrainError(f"row {place}, column '{column}'", fact, hint) from None
    return found


def texts_of(column: str, values: Sequence[Any], missing: Any) -> Sequence[str]:
    """Each value of a column as a text; see `converted`. Mostly, all are texts, which one look shows."""
    if {*map(type, values)} == {str} and "".join(values).isascii():
        return values
    return converted(column, values, text, missing)


def composed(value: Any) -> Any:
    """A value whose text is as files are read: see `schema.composed`."""
    return schema.composed(value) if isinstance(value, str) else value


def without_markers(values: Sequence[Any], name: str, written: Format) -> Sequence[Any]:
    """The values of a column of another kind than text, where an empty text, and what the training file wrote for it, is missing."""
    texts, numbers = {*spellings(["", *written.markers_of(name)])}, written.missing_numbers(name)

    def is_marker(value: Any) -> bool:
        if isinstance(value, str):
            return value.strip() in texts
        return isinstance(value, Real) and not isinstance(value, bool) and value in numbers

    return [None if is_marker(value) else value for value in values]


def required(missing: Any) -> Any:
    """What stands for a missing value; raises WrongValueError if nothing does."""
    if missing is None:
        raise WrongValueError("is missing; give a value")
    return missing


def is_missing(value: Any) -> bool:
    """Whether a value is None, NaN, or the missing value of pandas or numpy."""
    try:
        return value is None or bool(value != value)  # noqa: PLR0124 (only what is missing differs from itself)
    except TypeError:
        return True  # pandas' NA: neither true nor false
    except ValueError:
        return False  # an array of several values


def text(value: Any) -> str:
    """A text; raises WrongValueError for anything else. A list or an object is its JSON text, as in a file of JSON lines."""
    if isinstance(value, list | dict | np.ndarray):  # pandas reads lists of Parquet as arrays, also inside of others
        with suppress(TypeError, ValueError, RecursionError):
            value = json_text(value)
    if not isinstance(value, str):
        raise WrongValueError("is not a text; put quotation marks around it")
    if not value.isascii() and SURROGATE.search(value):
        raise WrongValueError("is half of a character; send valid Unicode")
    return value


def category(value: Any, known: frozenset[str]) -> str:
    """A category as the training file spelt it. A list or an object is its JSON text, as in a file of JSON lines."""
    if isinstance(value, str | list | dict | np.ndarray):
        return spelt(text(value).strip(), known)
    if not isinstance(value, Real | Decimal | np.bool_):
        raise WrongValueError("is not a category; give a text or a number")
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # pandas makes floats of whole numbers where a value is missing
    return spelt(str(value).lower(), known)


def spelt(value: str, known: frozenset[str]) -> str:
    """A category as the training file spelt it, also with a decimal comma; as it is if that has no spelling of it."""
    if value in known:
        return value
    with_comma = [value.replace(".", ",")] if FRACTION.fullmatch(value) else []
    return next((own for own in (*spellings([value]), *with_comma) if own in known), value)


def unknown(columns: "Mapping[str, Iterable[Any]] | pd.DataFrame", encoder: "Encoder") -> dict[str, list[str]]:
    """The values of each column of categories that the training did not know, row by row; none where all are known."""
    found = {
        name: [value for value in columns[name] if value not in known and not is_missing(value)]
        for name, known in encoder.known.items()
    }
    return {name: values for name, values in found.items() if values}


def are_empty(values: Iterable[Any], kind: str) -> np.ndarray:
    """Whether each value of an encoder's column is missing, or a blank text."""
    if kind in ("number", "date"):
        found: np.ndarray = np.isnat(np.asarray(values)) if kind == "date" else np.isnan(np.asarray(values, np.float64))
        return found
    return np.array([not isinstance(value, str) or not value.strip() for value in values], bool)


def gaps(columns: "Mapping[str, Iterable[Any]] | pd.DataFrame", encoder: "Encoder") -> tuple[dict[str, int], int]:
    """The number of rows in which each column is empty and another one is not, and of those without any value."""
    kinds = zip(encoder.columns, encoder.kinds, strict=True)
    empty = {name: are_empty(columns[name], kind) for name, kind in kinds}
    blank = np.logical_and.reduce([*empty.values()])
    return {name: int((found & ~blank).sum()) for name, found in empty.items()}, int(blank.sum())


def number(value: Any, name: str, written: Format) -> float:
    """A finite number, also as a text that is written as in the training file, or a duration in seconds; raises WrongValueError for anything else."""
    if is_text := isinstance(value, str):
        text, value = value.strip(), written.number_of(value.strip(), name)
        if value is None and written.decimal == "," and POINTED.search(text):
            raise WrongValueError(POINT)
    if isinstance(value, timedelta | np.timedelta64):  # numpy's counts as a whole number, of its own unit
        value = value.total_seconds() if isinstance(value, timedelta) else value / np.timedelta64(1, "s")
    if isinstance(value, bool) or not isinstance(value, Real | Decimal):
        example = "2,5" if is_text and written.decimal == "," else "2.5"
        raise WrongValueError(f"is not a number; write it as 3 or {example}")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not abs(found) <= LARGEST:
        raise WrongValueError(f"is larger than {LARGEST:g}; correct the value")
    return found


def time(value: Any, name: str, written: Format) -> np.datetime64:
    """A date, in UTC where it has an offset, or a time of day on the first day of 1900; raises WrongValueError for anything else."""
    has_clocks = written.has_clocks(name)
    found = value if isinstance(value, np.datetime64) else None
    with suppress(ValueError, OverflowError):  # an offset may lead before the year 1
        if isinstance(value, str):
            value = moment(value.strip(), written.dates_of(name))
        elif hasattr(value, "to_timestamp"):  # a period of pandas
            value = value.to_timestamp()
        elif has_clocks and isinstance(value, clock) and value.tzinfo is None:
            value = datetime.combine(FIRST_DAY, value)
        if isinstance(value, datetime) and (offset := value.utcoffset()) is not None:
            value = value.replace(tzinfo=None) - offset
        if isinstance(value, date):
            found = np.datetime64(value, "s")
    if found is None or (has_clocks and found.astype("datetime64[D]") != np.datetime64(FIRST_DAY)):
        kind = "time of day" if has_clocks else "date"
        raise WrongValueError(f"is not a {kind}; write it as {written.date_example(name)}")
    in_seconds: np.datetime64 = found.astype("datetime64[s]")
    return in_seconds


def moment(value: str, dates: Sequence[str]) -> datetime:
    """A written date, as `Table.date` reads it; raises ValueError for anything else."""
    for written in dates:
        if re.fullmatch(date_pattern(written), value):
            with suppress(ValueError):
                return datetime.strptime(value, written)  # noqa: DTZ007 (an offset is part of the format if there is one)
    joined = re.sub(ZONE, JOINED, re.sub(BASIC, SPREAD, value)).replace(",", ".")
    if (found := re.match(ISO, joined, re.ASCII)) is None:
        raise ValueError
    *parts, fraction, offset = found.groups("")
    year, month, day, hour, minute, second = (part.zfill(2) for part in parts)
    is_end = hour == "24" and not float(f"{minute}{second}{fraction}")  # 24:00 is midnight at the end of the day
    clock = f"{'00' if is_end else hour}:{minute}:{second}{fraction[:7]}{offset}"
    return datetime.fromisoformat(f"{year}-{month}-{day}T{clock}") + timedelta(days=is_end)
