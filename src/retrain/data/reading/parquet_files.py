"""Parquet files as tables."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain import schema
from retrain.data.reading.database import fill
from retrain.data.reading.file_format import Format
from retrain.data.reading.sql_table import Table
from retrain.data.reading.text_files import reading
from retrain.data.repairs import json_text

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

__all__ = ["parquet_table"]


PARQUET_ROWS = 1 << 16
"""Rows of a Parquet file that are read at once."""


def parquet_table(
    connection: "duckdb.DuckDBPyConnection", path: Path, shown: str, given: Format, section: str
) -> Table:
    """The rows of a Parquet file, with numbers and dates as text. Bytes are UTF-8, as older programs write text.

    Durations are seconds. Lists and objects are their JSON text, as in a file of JSON lines.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with reading(path, shown, Exception), pq.ParquetFile(path) as content:
        fields = list(content.schema_arrow)
        known = {own: readable_type(connection, own) for own in {field.type for field in fields}}
        readable = [known[field.type] for field in fields]
        kept = pa.schema([(f"c{place}", own or pa.null()) for place, own in enumerate(readable)])
        unread = {place: f"of the type {field.type}" for place, field in enumerate(fields) if readable[place] is None}

        def converted(place: int, column: "pa.Array[Any]") -> "pa.Array[Any]":
            own = kept.types[place]
            try:
                return pa.nulls(len(column), own) if place in unread else without_nan(plain_values(column, own))
            except pa.ArrowInvalid:
                unread[place] = "not in UTF-8"
                return pa.nulls(len(column), own)

        batches = (
            pa.RecordBatch.from_arrays([converted(*column) for column in enumerate(batch.columns)], schema=kept)
            for batch in content.iter_batches(PARQUET_ROWS)
        )
        connection.register("source", pa.RecordBatchReader.from_batches(kept, batches))
        fill(connection, "source", len(fields))
    for place in unread:  # batches before the first one that is not UTF-8
        connection.execute(f"update rows set c{place} = ''")
    names = tuple(schema.column_name(field.name) for field in fields)
    table = Table(connection, names, given, shown, None, False, 0, section=section)
    pointed = {name: "true" for name, own in zip(names, readable, strict=True) if not is_text(own)}
    return replace(table, pointed=pointed, unread={names[place]: why for place, why in unread.items()})


def readable_type(connection: "duckdb.DuckDBPyConnection", own: "pa.DataType") -> "pa.DataType | None":
    """The type as which a column of a Parquet file is read, such as text for bytes; None if DuckDB knows none."""
    import duckdb
    import pyarrow as pa
    from pyarrow import types

    if types.is_float16(own):
        return pa.float32()
    if types.is_duration(own):
        return pa.float64()
    if types.is_nested(own) and fits_json(own):
        return pa.string()
    inner = own.value_type if types.is_dictionary(own) else own
    if types.is_fixed_size_binary(inner) or inner in (pa.binary(), pa.large_binary(), pa.binary_view()):
        return pa.string()
    try:
        connection.from_arrow(pa.schema([("c", own)]).empty_table()).fetchall()
    except duckdb.Error:
        return None
    return own


def fits_json(own: "pa.DataType") -> bool:
    """Whether all values inside a type of Parquet are texts, numbers, or true and false."""
    import pyarrow as pa
    from pyarrow import types

    if types.is_nested(own):
        return all(fits_json(own.field(place).type) for place in range(own.num_fields))
    return is_text(own) or types.is_integer(own) or own in (pa.float32(), pa.float64(), pa.bool_())


def plain_values(column: "pa.Array[Any]", own: "pa.DataType") -> "pa.Array[Any]":
    """A column of a Parquet file as a type that can be read."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import types

    if types.is_duration(column.type):
        parts = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}[column.type.unit]
        return pc.divide(column.cast(pa.int64()).cast(own, safe=False), parts)
    if types.is_nested(column.type) and own == pa.string():
        return pa.array([None if value is None else json_text(value) for value in column.to_pylist()], own)
    return column.cast(own)


def is_text(own: "pa.DataType | None") -> bool:
    """Whether a column of a Parquet file holds text."""
    import pyarrow as pa
    from pyarrow import types

    inner = own.value_type if own is not None and types.is_dictionary(own) else own
    return inner in (pa.string(), pa.large_string(), pa.string_view())


def without_nan(column: "pa.Array[Any]") -> "pa.Array[Any]":
    """A column of a Parquet file, where a number that is NaN is missing."""
    import pyarrow.compute as pc
    from pyarrow import types

    return pc.if_else(pc.is_nan(column), None, column) if types.is_floating(column.type) else column
