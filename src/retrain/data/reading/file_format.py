"""How a file of rows spells its values: the section `prepare.format`."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Literal

from retrain import schema
from retrain.schema import Section, composed, in_order

from pydantic import AfterValidator, Field, StringConstraints

__all__ = [
    "AMOUNT",
    "BASIC",
    "CLOCKS",
    "ISO",
    "JOINED",
    "LETTERS",
    "MARKERS",
    "MINUS",
    "MINUS_FIRST",
    "NEGATIVE",
    "ODD_SHARE",
    "SAME_SIGNS",
    "SIGN",
    "SIGN_APART",
    "SPREAD",
    "WITH_OFFSET",
    "ZONE",
    "Expected",
    "Format",
    "date_pattern",
    "grouped",
    "is_clock",
    "unit_pattern",
]


MARKERS = (
    "", "?", "-", "--", ".", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "missing", "unknown", "\\n", "inf", "-inf",
    "n.a.", "k.a.", "n.d.", "n. a.", "k. a.", "<na>", "#div/0!", "#value!", "#ref!", "#name?", "#num!", "#null!",
)  # fmt: skip
"""What people write for a missing number, in lower case."""
ODD_SHARE = 0.05
"""The largest share of values in a column that may differ in kind from the others: words among numbers, times without an offset."""
MINUS = "\N{MINUS SIGN}"
SAME_SIGNS = {" ": "[ \u00a0\u202f\u2009]", "'": "['\u2019]"}
"""Signs between thousands that look alike, as a regular expression."""
AMOUNT = "[.,]\\d|\\d['\u2019\u00a0\u202f ]\\d|^\\("
"""What a number has that may be negative by parentheses or a minus behind it: (75) is -75, but 1950- may be a year."""
NEGATIVE, MINUS_FIRST = r"^\(\s*(.*?)\s*\)$|^([\d.].*)-$", r"-\1\2"
"""A negative number as accountants write it, (5.00), and SAP, 5.00-; and what it becomes."""
SIGN_APART, SIGN = "^([+-])[\\s\u00a0\u202f]+", r"\1"
"""The minus of a number without its unit, as of -€ 5.00; and what it becomes."""
ZONE, JOINED = r"(:\d\d(?:[.,]\d+)?) ?(Z|[+-]\d\d(?::?\d\d)?)?(?: ?UTC)?$", r"\1\2"
"""The offset of a time as git and Go write it, 10:00:00 -0500 and 10:00:00 +0000 UTC; and what it becomes."""
WITH_OFFSET = r"(:\d\d|T\d{6})([.,]\d+)? ?(Z|GMT|UTC|[+-]\d\d(:?\d\d)?)\b"
"""A time with an offset from UTC, in any of the ways that are read."""
BASIC, SPREAD = r"^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)", r"\1-\2-\3T\4:\5:\6"
"""ISO 8601 without signs, 20240105T101500Z; and what it becomes."""
ISO = r"^(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ](\d{1,2}):(\d\d)(?::(\d\d)(\.\d+)?)?(Z|[+-]\d\d(?::?\d\d)?)?)?$"
"""A date or a time in ISO 8601, with the seven parts of a time and its offset. DuckDB would also take 10:00 PM, as 10:00."""
EXAMPLE, ISO_EXAMPLE = datetime(2024, 12, 31, 23, 59, tzinfo=UTC), "2024-12-31 or 2024-12-31T23:59"
CLOCKS = ("%H:%M", "%H:%M:%S")
"""Times of day, as most files and Python write them."""
DIGITS = {"%Y": r"\d{4}", "%y": r"\d{2}"}
"""The digits of years, as in Python."""
ALONE = re.compile("(%[YymdHMS])+")
"""A format without signs between its parts, each of which needs all its digits: 2019 is no %y%m%d."""
LETTERS = (
    r"A-Za-z\x{aa}\x{b5}\x{ba}\x{c0}-\x{d6}\x{d8}-\x{f6}\x{f8}-\x{e3e}\x{e40}-\x{1fff}"
    r"\x{2c00}-\x{2dff}\x{3040}-\x{d7ff}\x{f900}-\x{fdfb}\x{fe70}-\x{fefc}\x{ff21}-\x{ff3a}\x{ff41}-\x{ffdc}"
)
"""Most letters, and the marks and digits of their scripts, for a class of DuckDB's regular expressions. DuckDB needs 3 ms for each `\\p{L}`."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
Character = Annotated[str, StringConstraints(min_length=1, max_length=1)]


class Format(Section):
    """How a file spells its values. What is absent is found out from the file, or is the usual."""

    skip: Annotated[int, Field(ge=0, le=100)] = 0
    """Lines of a CSV file that come before its header, such as a title or comments."""
    separator: Character | None = None
    """Between the values of a CSV file; a space stands for any number of blanks. Found out from the file if absent."""
    quote: Annotated[str, StringConstraints(max_length=1)] | None = None
    """Around values of a CSV file, doubled inside them; empty if quotes have no meaning. Found out if absent."""
    encoding: str | None = None
    """UTF-8 if absent. UTF-16, and a file with a byte order mark or with letters in UTF-8, is read in its own encoding."""
    decimal: Literal[".", ","] = "."
    """The decimal mark in numbers, also if they are texts of JSON lines or Parquet. Other numbers of these have a point."""
    thousands: Literal[",", ".", " ", "'", "_"] | None = None
    """The sign between groups of three digits, such as the comma in 1,234.5."""
    dates: tuple[str, ...] = ()
    """How dates are written, for strptime, such as %d/%m/%Y; %y is a year of two digits, from 1969 to 2068. ISO 8601 is always understood."""
    dates_in: Annotated[dict[str, str], AfterValidator(in_order)] = Field(default_factory=dict)
    """How the dates of a single column are written. With a time of day such as %H:%M, the column holds these alone, without days."""
    missing: tuple[str, ...] = ()
    """Values that stand for a missing one, such as `?` or `NA`, except in texts. An empty value is always missing."""
    missing_in: Annotated[dict[str, list[str]], AfterValidator(in_order)] = Field(default_factory=dict)
    """Values that stand for a missing one in a single column, such as `{days: ["999"]}`."""
    units: tuple[str, ...] = ()
    """Signs around numbers that are left out in all columns, such as `$` or `%`."""
    units_in: Annotated[dict[str, str], AfterValidator(in_order)] = Field(default_factory=dict)
    """The sign around the numbers of a single column, such as `{height: cm}`. In this column, a value with another sign is not a number."""

    def markers_of(self, name: str) -> tuple[str, ...]:
        """What stands for a missing value of a column, in Unicode's NFC form."""
        return tuple(map(composed, (*self.missing, *self.missing_in.get(name, ()))))

    def missing_numbers(self, name: str) -> frozenset[float]:
        """The same as numbers, for values of JSON, Parquet and programs that are numbers and not texts."""
        found = (self.number_of(marker, name) for marker in self.markers_of(name))
        return frozenset(number for number in found if number is not None and math.isfinite(number))

    def dates_of(self, name: str) -> tuple[str, ...]:
        """How the dates of a column are written. Times of day may have seconds or not."""
        own = (self.dates_in[name],) if name in self.dates_in else self.dates
        return (*own, *CLOCKS) if self.has_clocks(name) else own

    def has_clocks(self, name: str) -> bool:
        """Whether the dates of a column are times of day; `dates` alone may be about other columns."""
        return is_clock(self.dates_in.get(name, ""))

    def date_example(self, name: str) -> str:
        """How to write a date of a column: as in the training file."""
        day = EXAMPLE.replace(hour=13, minute=5) if self.has_clocks(name) else EXAMPLE
        return next((day.strftime(written) for written in self.dates_of(name) if written), ISO_EXAMPLE)

    def number_of(self, text: str, name: str) -> float | None:
        """The number that a text of a column stands for, as `Table.number` reads it; None for any other text."""
        text = text.replace(MINUS, "-")
        for unit in self.units_of(name):
            text = re.sub(SIGN_APART, SIGN, re.sub(unit_pattern(unit), "", text).strip())
        is_amount = re.search(AMOUNT, text)
        if self.thousands is not None:
            pattern, signs = grouped(self.thousands, self.decimal)
            text = re.sub(signs, "", text) if re.match(pattern, text) else text
        if self.decimal != ".":
            text = text.replace(".", "?").replace(self.decimal, ".")
        text = re.sub(NEGATIVE, MINUS_FIRST, text) if is_amount else text
        return float(text) if NUMBER.fullmatch(text) else None

    def units_of(self, name: str) -> tuple[str, ...]:
        """The signs that are left out of the numbers of a column, the longest one first, so that g leaves kg alone."""
        own = (self.units_in[name],) if name in self.units_in else self.units
        return tuple(sorted(own, key=len, reverse=True))

    def of_other_file(self, *, has_header: bool) -> "Format":
        """The format of a further file with the same columns. Its separator may differ, and is found out by the header."""
        return self.model_copy(update={"separator": None}) if has_header else self


def is_clock(written: str) -> bool:
    """Whether a format of strptime has an hour and no day. Its times are on the first day of 1900."""
    parts = {*re.findall("%-?([a-zA-Z])", written)}
    return bool(parts & {*"HI"}) and parts <= {*"HIMSfp"}


@cache
def date_pattern(written: str) -> str:
    """The regular expression of a date in a format of strptime, which alone would also take 21 for %Y."""
    others = r"\d{2}" if ALONE.fullmatch(written) else ".+"
    return re.sub(r"%\\?-?[a-zA-Z%]", lambda part: DIGITS.get(part[0], others), re.escape(written))


def unit_pattern(unit: str) -> str:
    """The regular expression of a unit, which takes its point with it."""
    return re.escape(unit) + (r"\.?" if unit[-1:].isalpha() else "")


@cache
def grouped(thousands: str, decimal: str) -> tuple[str, str]:
    """Regular expressions of a number with these signs between its thousands, and of the signs. 0.477 is not one of them."""
    signs = SAME_SIGNS.get(thousands, re.escape(thousands))
    lakhs = r"|\d{1,2}(,\d\d)+,\d{3}" if thousands == "," else ""
    return rf"^[+-]?\(?([1-9]\d{{0,2}}({signs}\d{{3}})+{lakhs})({re.escape(decimal)}\d*)?( ?\)|-)?$", signs


@dataclass(frozen=True)
class Expected:
    """What is known about the columns of a file."""

    names: Sequence[str] | None = None
    """All columns in order if the file is CSV without a header; None if its first line names them."""
    wanted: Sequence[str] = ()
    """Columns that the header must have. They tell the separator if the format does not."""
    separator: str | None = None
    """That of the file for which the columns are known, which this one is likely to have."""
    section: str = ""
    """The section of params.yaml that describes the file, if errors may advise to change it."""

    def is_header(self, names: Sequence[str]) -> bool:
        """Whether the names of a file have all wanted columns."""
        return {*map(schema.column_name, self.wanted)} <= {*names}
