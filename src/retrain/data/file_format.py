"""How a file of rows spells its values: the section `prepare.format`."""

import re
from functools import cache
from typing import Annotated, Literal

from retrain.schema import Section, in_order

from pydantic import AfterValidator, Field, StringConstraints

__all__ = ["AMOUNT", "JOINED", "MARKERS", "MINUS", "MINUS_FIRST", "NEGATIVE", "SAME_SIGNS", "ZONE", "Format", "grouped"]


MARKERS = (
    "", "?", "-", "--", ".", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "missing", "unknown", "\\n", "inf", "-inf",
    "n.a.", "k.a.", "n.d.", "n. a.", "k. a.", "<na>", "#div/0!", "#value!", "#ref!", "#name?", "#num!", "#null!",
)  # fmt: skip
"""What people write for a missing number, in lower case."""
MINUS = "\N{MINUS SIGN}"
SAME_SIGNS = {" ": "[ \u00a0\u202f\u2009]", "'": "['\u2019]"}
"""Signs between thousands that look alike, as a regular expression."""
AMOUNT = "[.,]\\d|\\d['\u2019\u00a0\u202f ]\\d"
"""What a number with a decimal mark or a sign between thousands has. Others in parentheses, such as (5), may be labels."""
NEGATIVE, MINUS_FIRST = r"^\(\s*(.*?)\s*\)$|^([\d.].*)-$", r"-\1\2"
"""A negative number as accountants write it, (5.00), and SAP, 5.00-; and what it becomes."""
ZONE, JOINED = r"(:\d\d(?:[.,]\d+)?) ?(Z|[+-]\d\d(?::?\d\d)?)?(?: ?UTC)?$", r"\1\2"
"""The offset of a time as git and Go write it, 10:00:00 -0500 and 10:00:00 +0000 UTC; and what it becomes."""
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
    """UTF-8 if absent. A file with a byte order mark, or with letters in UTF-8, is read in its own encoding."""
    decimal: Literal[".", ","] = "."
    """The decimal mark in numbers, also if they are texts of JSON lines or Parquet. Other numbers of these have a point."""
    thousands: Literal[",", ".", " ", "'", "_"] | None = None
    """The sign between groups of three digits, such as the comma in 1,234.5."""
    dates: tuple[str, ...] = ()
    """How dates are written, for strptime, such as %d/%m/%Y; %y is a year of two digits, from 1969 to 2068. ISO 8601 is always understood."""
    dates_in: Annotated[dict[str, str], AfterValidator(in_order)] = Field(default_factory=dict)
    """How the dates of a single column are written."""
    missing: tuple[str, ...] = ()
    """Values that stand for a missing one, such as `?` or `NA`, except in texts. An empty value is always missing."""
    missing_in: Annotated[dict[str, list[str]], AfterValidator(in_order)] = Field(default_factory=dict)
    """Values that stand for a missing one in a single column, such as `{days: ["999"]}`."""
    units: tuple[str, ...] = ()
    """Signs around numbers that are left out in all columns, such as `$` or `%`."""
    units_in: Annotated[dict[str, str], AfterValidator(in_order)] = Field(default_factory=dict)
    """The sign around the numbers of a single column, such as `{height: cm}`. In this column, a value with another sign is not a number."""

    def units_of(self, name: str) -> tuple[str, ...]:
        """The signs that are left out of the numbers of a column."""
        return (self.units_in[name],) if name in self.units_in else self.units

    def of_other_file(self, *, has_header: bool) -> "Format":
        """The format of a further file with the same columns. Its separator may differ, and is found out by the header."""
        return self.model_copy(update={"separator": None}) if has_header else self


@cache
def grouped(thousands: str, decimal: str) -> tuple[str, str]:
    """Regular expressions of a number with these signs between its thousands, and of the signs."""
    signs = SAME_SIGNS.get(thousands, re.escape(thousands))
    lakhs = r"|\d{1,2}(,\d\d)+,\d{3}" if thousands == "," else ""
    return rf"^[+-]?\(?(\d{{1,3}}({signs}\d{{3}})+{lakhs})({re.escape(decimal)}\d*)?( ?\)|-)?$", signs
