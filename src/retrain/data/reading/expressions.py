"""Expressions of SQL: of a text as a number or a time, and of names and texts."""

from collections.abc import Collection, Iterable

from retrain.data.reading.file_format import (
    BASIC,
    ISO,
    JOINED,
    MINUS,
    MINUS_FIRST,
    NEGATIVE,
    SIGN,
    SIGN_APART,
    SPREAD,
    ZONE,
    date_pattern,
    unit_pattern,
)

__all__ = ["identifier", "literal", "moment", "plain", "signed", "time_of"]


OFFSET = r":\d\d(\.\d+)?(Z|[+-]\d\d(:?\d\d)?)$"
PLAIN = r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?)?"
"""What most dates in ISO 8601 look like; this way is the fastest."""


def plain(value: str, units: Collection[str]) -> str:
    """The expression of a value with the usual minus sign and without units; see `Format.units_of`."""
    value = f"replace({value}, '{MINUS}', '-')"
    for unit in units:
        value = f"trim(regexp_replace({value}, {literal(unit_pattern(unit))}, '', 'g'))"
    return f"regexp_replace({value}, '{SIGN_APART}', '{SIGN}')" if units else value


def signed(value: str) -> str:
    """The expression of a value with its minus in front; see `NEGATIVE`."""
    return f"regexp_replace({value}, '{NEGATIVE}', '{MINUS_FIRST}')"


def time_of(value: str, dates: Iterable[str], *, is_clock: bool) -> str:
    """The expression of a text as a time in one of some formats, or in ISO 8601; a time of day has no day but the first one of 1900."""
    times = [*(moment(value, own) for own in dates), iso(value)]
    if is_clock:
        times[-1] = f"(case when starts_with({value}, '1900-01-01') then {times[-1]} end)"
    return f"coalesce({', '.join(times)})"


def moment(value: str, written: str) -> str:
    """The expression of a text as a time, in UTC where it has an offset; NULL if it does not fit. DuckDB would also take 21 for %Y.

    Args:
        value: the expression of the text.
        written: a format of strptime; empty for ISO 8601.
    """
    if not written:
        return iso(value)
    fits = f"regexp_full_match({value}, {literal(date_pattern(written))})"
    time = f"try_strptime({value}, {literal(written)})"
    return f"(case when {fits} then {f'make_timestamp(epoch_us({time}))' if '%z' in written else time} end)"


def iso(value: str) -> str:
    """The expression of a text as a time in ISO 8601, in UTC where it has an offset; NULL if it does not fit."""
    spread = f"regexp_replace({value}, '{BASIC}', '{SPREAD}')"
    joined = f"replace(regexp_replace({spread}, '{ZONE}', '{JOINED}'), ',', '.')"
    zoned, local = f"make_timestamp(epoch_us(try_cast({joined} as timestamptz)))", f"try_cast({joined} as timestamp)"
    fits, has_offset = (f"regexp_matches({joined}, '{like}')" for like in (ISO, OFFSET))
    plain = f"regexp_full_match({value}, '{PLAIN}') then try_cast({value} as timestamp)"
    return f"(case when {plain} when not {fits} then null when {has_offset} then {zoned} else {local} end)"


def literal(text: str) -> str:
    """A text as SQL."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A name as SQL."""
    return '"' + name.replace('"', '""') + '"'
