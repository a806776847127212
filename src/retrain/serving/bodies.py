"""The rows in the body of a request, in the formats of MLflow's scoring protocol: JSON and CSV."""

import csv
import io
import re
from typing import Any, cast

from retrain.data.raw_rows import RawRows
from retrain.serving.limits import RefusedError

import orjson

__all__ = ["count_of", "rows_of"]


JSON, CSV = "application/json", "text/csv"
FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
NO_JSON = re.compile(rb'"(?:[^"\\]|\\.)*+"?|NaN|Infinity', re.DOTALL)
"""A string, or what Python's json writes for a missing value and for infinity; a string without an end is read once, so long bodies take no longer."""


def rows_of(body: bytes, content_type: str) -> RawRows:
    """The rows of a body; their columns and values are not checked yet.

    Raises:
        RefusedError: the server does not read this content type, or the body is not in its format.
    """
    media, *parameters = [part.strip() for part in content_type.split(";")]
    if media.lower() not in (JSON, CSV):
        likely, file = (JSON, "rows.json") if body.lstrip()[:1] in (b"{", b"[") else (CSV, "rows.csv")
        example = f"curl URL --data-binary @{file} --header 'Content-Type: {likely}'"
        raise RefusedError(415, f"the content type must be {JSON} or {CSV}, as in: {example}")
    for parameter in filter(None, parameters):
        name, _, value = parameter.partition("=")
        if name.strip().lower() != "charset" or value.strip().strip('"').lower() not in {"utf-8", "utf8"}:
            raise RefusedError(415, "the content type has a parameter that is not supported; use charset=utf-8 or none")
    return of_json(body) if media.lower() == JSON else of_csv(body)


def count_of(rows: Any) -> int:
    """How many rows there are; a mapping has its columns by name."""
    return len(next(iter(rows.values()), ())) if isinstance(rows, dict) else len(rows)


def of_json(body: bytes) -> RawRows:
    """The rows of one of the four forms that MLflow's clients send; other keys, such as `params`, are ignored."""
    content = parsed(body)
    given = [form for form in FORMS if form in content] if isinstance(content, dict) else []
    if len(given) != 1:
        raise RefusedError(400, f"the body must be a JSON object with exactly one of the keys {', '.join(FORMS)}")
    (form,) = given
    rows = content[form]
    if form == "dataframe_split":
        return of_split(rows)
    if form == "dataframe_records":
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise RefusedError(400, "dataframe_records must be a list of objects, one per row")
        return cast("list[dict[str, Any]]", rows)
    if isinstance(rows, list):
        return rows
    if not isinstance(rows, dict) or not rows:
        raise RefusedError(400, f"{form} must be a list of rows, or an object with the values of each column")
    lists = sum(isinstance(values, list) for values in rows.values())
    if lists not in {0, len(rows)}:
        raise RefusedError(400, f"{form} must have a list for each column, or a single value for each")
    return rows if lists else {name: [value] for name, value in rows.items()}


def parsed(body: bytes) -> Any:
    """The content of a JSON body; NaN, which MLflow's client sends for a missing value of a DataFrame, is null."""
    if b"NaN" in body:
        body = NO_JSON.sub(lambda found: b"null" if found[0] == b"NaN" else found[0], body)
    try:
        content = orjson.loads(body)
        again = orjson.dumps(content)
    except orjson.JSONDecodeError as error:
        if b"Infinity" in body and any(found[0] == b"Infinity" for found in NO_JSON.finditer(body)):
            fact = "the body has the value Infinity, which is not a number that a model can use"
            raise RefusedError(400, f"{fact}; send null for a missing value") from None
        raise RefusedError(400, f"the body is not JSON: {error}") from None
    except orjson.JSONEncodeError:
        raise RefusedError(400, "the body is nested too deeply") from None
    if body.count(b":") > again.count(b":"):  # of two values with the same key, orjson keeps the last
        raise RefusedError(400, "an object in the body has the same key twice")
    return content


def of_split(split: Any) -> dict[str, list[Any]]:
    """The columns of `{"columns": [...], "data": [[...], ...]}`."""
    names, data = (split.get("columns"), split.get("data")) if isinstance(split, dict) else (None, None)
    if not isinstance(names, list) or not isinstance(data, list):
        raise RefusedError(400, "dataframe_split must be an object with columns and data, both lists")
    check_names(names, "dataframe_split")
    for place, row in enumerate(data, start=1):
        if not isinstance(row, list) or len(row) != len(names):
            raise RefusedError(400, f"dataframe_split: row {place} must be a list of {len(names)} values")
    return {name: [row[place] for row in data] for place, name in enumerate(names)}


def of_csv(body: bytes) -> dict[str, list[Any]]:
    """The columns of a table with a header, comma-separated as in RFC 4180. An empty value is missing."""
    try:
        lines = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        names, *rows = [row for row in lines if row] or [[]]
    except UnicodeDecodeError:
        raise RefusedError(400, "the body is not UTF-8") from None
    except csv.Error as error:
        raise RefusedError(400, f"the body is not CSV: line {lines.line_num}: {error}") from None
    check_names(names, "the header")
    if len(names) == 1 and (sign := next((sign for sign in ";\t|" if sign in names[0]), None)):
        raise RefusedError(400, f"the header has {sign!r} between its names; separate values with commas, or send JSON")
    for place, row in enumerate(rows, start=1):
        if len(row) != len(names):
            raise RefusedError(400, f"row {place} has {len(row)} values, but the header has {len(names)}")
    return {name: [row[place] or None for row in rows] for place, name in enumerate(names)}


def check_names(names: list[Any], where: str) -> None:
    """Raise RefusedError if these are not different names."""
    if not names or not all(isinstance(name, str) for name in names) or len({*names}) < len(names):
        raise RefusedError(400, f"{where} must have a different name for each column")
