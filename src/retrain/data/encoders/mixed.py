"""Numbers, categories, texts and dates in one table.

A number is given twice: standardised by median and interquartile range, with a soft limit for far values, and as a
piecewise-linear code (Gorishniy et al. 2022), which lets a network treat each range of values differently. A missing number
has an indicator of its own. A date becomes several numbers: its parts, and the days since 1970. A category has a code; all
rare and unknown ones share another. Texts are bags of n-grams, weighted by inverse frequency.
"""

import math
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import pstdev
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

from retrain.data.encoders import Arrays, EncoderParameters, Rows
from retrain.data.encoders._ngrams import Bags, Bits, NgramLength, chunks_of, counted, inverse_frequencies
from retrain.errors import RetrainError
from retrain.schema import AtLeastOne, Names, Section

import numpy as np
from pydantic import Field, PositiveFloat, model_validator

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Encoder", "Parameters", "Size"]


NUMBER, CATEGORY, TEXT, DATE = KINDS = ("number", "category", "text", "date")
PARTS = ("year", "month", "day", "weekday", "hour", "days")
"""The numbers that a date becomes. `days` is the time since 1970."""
LARGEST_ONE_HOT = 16
"""Categories with more codes than this get embeddings instead of one input per code."""
FAR = 3.0
"""The soft limit of a standardised number, in units of its scale."""
FARTHEST = 1e9
"""A larger distance makes no difference, but its square could be infinite."""
NORMAL_IQR = 1.349
"""The interquartile range of a normal distribution with deviation 1."""
EACH = 6
"""Whole numbers with up to so many times more values than bins may be codes: then every value is an edge."""
STRANGE = 10.0
"""How many times its scale a number lies outside of its bins, at least, if it is strange."""


class Parameters(EncoderParameters):
    """Parameters of `name: mixed`."""

    bins: AtLeastOne
    """Bins of the piecewise-linear code. The same number of bins again splits the distinct values, for columns with a
    frequent value. Whole numbers with up to six times as many values have an edge for each of them: they may be codes."""
    minimum_count: AtLeastOne
    """Categories and n-grams that occur less often in the train split count as unknown."""
    hash_bits: Bits
    """Bits of an n-gram's hash: there are 2**hash_bits buckets."""
    char_ngrams: NgramLength
    """Length of the character n-grams in bytes of UTF-8, spaces included; 0 for words and pairs only."""


class NumberColumn(Section):
    """What was learned of a number, or of one part of a date."""

    column: str
    part: str | None
    """One of `PARTS`, or null for a number."""
    center: float
    scale: PositiveFloat
    missing: bool
    """Whether a value was missing, so that there is an indicator."""
    edges: tuple[float, ...]
    """The edges of the bins, in ascending order. If there would be a single bin, `days` has the first and the last one, and all others have none."""

    @model_validator(mode="after")
    def check_edges(self) -> "NumberColumn":
        """Check that the edges ascend, and that the part exists."""
        if any(right <= left for left, right in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError("edges do not ascend")
        if self.part is not None and self.part not in PARTS:
            raise ValueError("unknown part of a date")
        return self

    @property
    def width(self) -> int:
        """The number of inputs of the network."""
        return 1 + self.missing + (len(self.edges) - 1 if self.has_bins else 0)

    @property
    def has_bins(self) -> bool:
        """Whether there is more than one bin."""
        return len(self.edges) > 2

    @property
    def ends(self) -> tuple[float, float]:
        """The first and the last edge, which are the smallest and the largest number; the median if there are none."""
        return min((self.center, *self.edges)), max((self.center, *self.edges))

    @property
    def range(self) -> tuple[float, float]:
        """The bins, with ten times the scale on both sides, or with their width if that is more: the inner half has all bins."""
        low, high = self.ends
        margin = max(STRANGE * self.scale, high - low)
        return low - margin, high + margin


class CategoryColumn(Section):
    """The known values of a category, of which null is a missing one. Code 0 is for all others."""

    column: str
    known: tuple[str | None, ...]

    @property
    def codes(self) -> int:
        """The number of codes."""
        return len(self.known) + 1


class Learned(Section):
    """The value of `Encoder.to_json`."""

    columns: Names
    kinds: Annotated[tuple[str, ...], Field(min_length=1)]
    numbers: tuple[NumberColumn, ...]
    categories: tuple[CategoryColumn, ...]
    texts: dict[str, Any] | None

    @model_validator(mode="after")
    def check_columns(self) -> "Learned":
        """Check that everything belongs to a column of its kind."""
        if len(self.columns) != len(self.kinds) or not set(self.kinds) <= set(KINDS):
            raise ValueError("columns and kinds differ")
        kinds = dict(zip(self.columns, self.kinds, strict=True))
        if any(kinds.get(one.column) != (NUMBER if one.part is None else DATE) for one in self.numbers):
            raise ValueError("numbers do not fit the columns")
        if any(kinds.get(one.column) != CATEGORY for one in self.categories):
            raise ValueError("categories do not fit the columns")
        if self.texts and any(kinds.get(name) != TEXT for name in self.texts.get("columns", ())):
            raise ValueError("texts do not fit the columns")
        return self


class Size(NamedTuple):
    """The sizes that the network needs."""

    values: int
    """Columns of `values`."""
    codes: tuple[int, ...]
    """The number of codes of each column of `codes`."""
    terms: int
    """The number of n-grams."""


@dataclass(frozen=True)
class Encoder:
    """What was learned of each column, in the order of the columns."""

    holds: ClassVar[str] = "anything"
    gives: ClassVar[str] = "mixed"
    columns: tuple[str, ...]
    kinds: tuple[str, ...]
    numbers: tuple[NumberColumn, ...]
    categories: tuple[CategoryColumn, ...]
    texts: Bags | None

    @classmethod
    def fit_encode(cls, rows: "pd.DataFrame", targets: np.ndarray, parameters: Parameters) -> "tuple[Encoder, Arrays]":
        """Learn from the columns, and encode them. Targets are not used, so that rows of all folds can be encoded at once.

        Raises:
            RetrainError: no column has two different values.
        """
        kinds = {str(name): kind_of(rows[name]) for name in rows.columns}
        numbers = [
            learned
            for name, kind in kinds.items()
            if kind in (NUMBER, DATE)
            for part, values in parts_of(rows[name], kind)
            if (learned := number_column(name, part, values, parameters.bins))
        ]
        counted = [
            category_column(name, texts_of(rows[name]), parameters.minimum_count)
            for name, kind in kinds.items()
            if kind == CATEGORY
        ]
        categories = [learned for learned in counted if learned.known]
        texts = text_encoder(rows, tuple(name for name, kind in kinds.items() if kind == TEXT), parameters)
        if not (numbers or categories or texts):
            raise RetrainError("the train split", "has no input with two different values", "check the inputs")
        encoder = cls(tuple(kinds), tuple(kinds.values()), tuple(numbers), tuple(categories), texts)
        return encoder, encoder.encode(rows)

    @classmethod
    def from_json(cls, learned: Any) -> "Encoder":
        """Rebuild an encoder from the value of `to_json`; raises ValueError for any other value."""
        read = Learned.model_validate(learned)
        texts = None if read.texts is None else Bags.from_json(read.texts)
        return cls(read.columns, read.kinds, read.numbers, read.categories, texts)

    def to_json(self) -> dict[str, Any]:
        """Columns and kinds, and what was learned of the numbers, categories and texts."""
        return {
            "columns": list(self.columns),
            "kinds": list(self.kinds),
            "numbers": [one.model_dump(mode="json") for one in self.numbers],
            "categories": [one.model_dump(mode="json") for one in self.categories],
            "texts": None if self.texts is None else self.texts.to_json(),
        }

    @property
    def one_hot(self) -> tuple[CategoryColumn, ...]:
        """The categories with few codes."""
        return tuple(one for one in self.categories if one.codes <= LARGEST_ONE_HOT)

    @property
    def embedded(self) -> tuple[CategoryColumn, ...]:
        """The categories with many codes."""
        return tuple(one for one in self.categories if one.codes > LARGEST_ONE_HOT)

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Of each number, see `NumberColumn.range`; of each date, the first and the last one in days since 1970, if they are known."""
        return {
            one.column: one.ends if one.part else one.range
            for one in self.numbers
            if one.part is None or (one.part == "days" and one.edges)
        }

    @property
    def centers(self) -> dict[str, float]:
        """The medians."""
        return {one.column: one.center for one in self.numbers if one.part is None}

    @cached_property
    def known(self) -> dict[str, frozenset[str]]:
        """The values of each category that are frequent enough to have a code."""
        return {one.column: frozenset(value for value in one.known if value is not None) for one in self.categories}

    @property
    def size(self) -> Size:
        """The sizes of the arrays."""
        values = sum(one.width for one in self.numbers) + sum(one.codes for one in self.one_hot)
        return Size(values, tuple(one.codes for one in self.embedded), 0 if self.texts is None else self.texts.size)

    @property
    def steps(self) -> np.ndarray:
        """Which columns of `values` belong to a piecewise-linear code: bool, (values,)."""
        of_numbers = [place > one.missing for one in self.numbers for place in range(one.width)]
        return np.array([*of_numbers, *[False] * sum(one.codes for one in self.one_hot)], dtype=bool)

    def describe(self) -> str:
        """The number of columns of each kind."""
        plural = {NUMBER: "numbers", CATEGORY: "categories", TEXT: "texts", DATE: "dates"}
        counts = {kind: self.kinds.count(kind) for kind in KINDS if kind in self.kinds}
        return ", ".join(f"{count:,} {kind if count == 1 else plural[kind]}" for kind, count in counts.items())

    @staticmethod
    def contents(rows: "pd.DataFrame") -> list[bytes]:
        """The values of each row. Texts are in Unicode's NFC form, with single spaces between words."""
        parts = [list(map(content_of, rows[name].tolist())) for name in rows.columns]
        return ["\0".join(row).encode() for row in zip(*parts, strict=True)]

    def rows_of_texts(self, texts: Sequence[str]) -> dict[str, list[Any]]:
        """Rows with the texts, if the only column is one of texts; raises RetrainError otherwise."""
        if self.kinds != (TEXT,):
            fact = f"this model takes the columns {', '.join(self.columns)}, not single texts"
            raise RetrainError("predict", fact, "give a table: --file rows.csv")
        return {self.columns[0]: list(texts)}

    def encode(self, rows: Rows) -> Arrays:
        """The columns as arrays. Those of a kind that no column has are left out.

        Returns:
            `values`: float32, (rows, values): standardised numbers with their indicators and codes, and the categories
            with few values, one-hot; `codes`: int32, (rows, categories with many values); for texts see `_ngrams.Bags.arrays_of`.
        """
        arrays: Arrays = {}
        if values := [*self.number_values(rows), *self.one_hot_values(rows)]:
            arrays["values"] = np.concatenate(values, axis=1)
        if self.embedded:
            arrays["codes"] = np.stack([codes_of(one, rows) for one in self.embedded], axis=1)
        if self.texts is not None:
            arrays |= self.texts.encode({name: texts_of(rows[name], "") for name in self.texts.columns})
        return arrays

    def number_values(self, rows: Rows) -> Iterator[np.ndarray]:
        """Each number's inputs: float32, (rows, width)."""
        kinds = dict(zip(self.columns, self.kinds, strict=True))
        raw = {
            (name, part): values
            for name in dict.fromkeys(one.column for one in self.numbers)
            for part, values in parts_of(rows[name], kinds[name])
        }
        for one in self.numbers:
            yield inputs_of(one, raw[one.column, one.part])

    def one_hot_values(self, rows: Rows) -> Iterator[np.ndarray]:
        """The inputs of each category with few codes: float32, (rows, codes)."""
        for one in self.one_hot:
            yield np.eye(one.codes, dtype=np.float32)[codes_of(one, rows)]

    @staticmethod
    def gather(arrays: Arrays, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """The batch's values, codes (int64, (batch, categories)), and n-grams with weights and offsets, as `Bags.gather` gives them.

        What the columns do not have is empty.
        """
        values = arrays["values"][rows] if "values" in arrays else np.zeros((len(rows), 0), np.float32)
        codes = arrays["codes"][rows].astype(np.int64) if "codes" in arrays else np.zeros((len(rows), 0), np.int64)
        if "features" in arrays:
            return values, codes, *Bags.gather(arrays, rows)
        return values, codes, np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(len(rows), np.int64)


def kind_of(column: "pd.Series[Any]") -> str:
    """The kind of a tidy column, by its dtype."""
    dtype = column.dtype
    if dtype == "float64":
        return NUMBER
    if str(dtype) == "category":
        return CATEGORY
    return DATE if dtype.kind == "M" else TEXT


def content_of(value: Any) -> str:
    """A value as a text by which rows are compared."""
    if isinstance(value, str):
        return " ".join(unicodedata.normalize("NFC", value).split())
    if isinstance(value, float) and math.isfinite(value):
        return repr(value + 0.0)  # minus zero counts as zero
    return "" if value is None or isinstance(value, float) else str(value)


def texts_of(column: Any, missing: str | None = None) -> list[str | None]:
    """A column's texts; any other value counts as missing."""
    values = column.tolist() if hasattr(column, "tolist") else column
    return [value if isinstance(value, str) else missing for value in values]


def parts_of(column: Any, kind: str) -> Iterator[tuple[str | None, np.ndarray]]:
    """A number column itself, or the parts of a date: float64, (rows,), with NaN where a value is missing."""
    if kind == NUMBER:
        yield None, np.asarray(column, dtype="float64")
        return
    listed = column if hasattr(column, "dtype") else [None if str(date) == "NaT" else date for date in column]
    dates = np.asarray(listed, dtype="datetime64[s]")
    days = dates.astype("datetime64[D]")
    months, years = dates.astype("datetime64[M]"), dates.astype("datetime64[Y]")
    weekday = (days.astype(np.int64) + 3) % 7
    parts = {
        "year": years.astype(np.int64) + 1970,
        "month": (months - years).astype(np.int64) + 1,
        "day": (days - months).astype(np.int64) + 1,
        "weekday": weekday,
        "hour": (dates - days).astype(np.int64) // 3600,
        "days": dates.astype(np.int64) / 86400,
    }
    missing = np.isnat(dates)
    for part in PARTS:
        yield part, np.where(missing, np.nan, parts[part])


def number_column(column: str, part: str | None, values: np.ndarray, bins: int) -> NumberColumn | None:
    """Learn the scale and the bins of a number; None if it is the same in every row."""
    there = np.isfinite(values)
    known = values[there]
    missing = not there.all() and part in (None, "days")  # one indicator is enough for all parts of a date
    distinct = np.unique(known)
    if len(distinct) < 2:
        if not missing or not len(distinct):
            return None
        edges = distinct if part == "days" else ()
        return NumberColumn(
            column=column, part=part, center=float(distinct[0]), scale=1.0, missing=True, edges=tuple(edges)
        )
    low, center, high = np.quantile(known, [0.25, 0.5, 0.75])
    scale = (high - low) / NORMAL_IQR or pstdev(known.tolist()) or 1.0
    if len(distinct) <= EACH * bins and (distinct == np.round(distinct)).all():
        edges = distinct
    else:
        places = np.linspace(0, 1, bins + 1)
        edges = np.unique([*np.quantile(known, places), *np.quantile(distinct, places)])
    return NumberColumn(
        column=column, part=part, center=float(center), scale=float(scale), missing=missing,
        edges=tuple(edges.tolist()) if len(edges) > 2 or part == "days" else (),
    )  # fmt: skip


def inputs_of(learned: NumberColumn, values: np.ndarray) -> np.ndarray:
    """A number's inputs: its standardised value, the indicator of a missing one, and the piecewise-linear code.

    All but the indicator are 0 where the value is missing. If none was missing in training, the median takes its place.
    float32, (rows, width).
    """
    there = np.isfinite(values)
    known = np.where(there, values, learned.center)
    there |= not learned.missing
    distance = ((known - learned.center) / learned.scale).clip(-FARTHEST, FARTHEST)
    inputs = [distance / np.sqrt(1.0 + np.square(distance / FAR))]
    if learned.missing:
        inputs.append(~there)
    if learned.has_bins:
        edges = np.array(learned.edges)
        code = ((known[:, None] - edges[:-1]) / np.diff(edges)).clip(0.0, 1.0)
        inputs.extend((code * there[:, None]).T)
    return np.stack(inputs, axis=1).astype(np.float32)


def category_column(column: str, values: list[str | None], minimum_count: int) -> CategoryColumn:
    """Learn the frequent values of a category; none if a single one is left and nothing else occurs."""
    counts = Counter(values)
    frequent = [value for value, count in counts.items() if count >= minimum_count]
    known = sorted(frequent, key=lambda value: (value is not None, value))
    return CategoryColumn(column=column, known=tuple(known) if len(counts) > 1 else ())


def codes_of(learned: CategoryColumn, rows: Rows) -> np.ndarray:
    """The code of each row's category: int32, (rows,)."""
    codes = {value: code for code, value in enumerate(learned.known, start=1)}
    return np.array([codes.get(value, 0) for value in texts_of(rows[learned.column])], dtype=np.int32)


def text_encoder(rows: "pd.DataFrame", columns: tuple[str, ...], parameters: Parameters) -> Bags | None:
    """The n-grams of the text columns, weighted by inverse frequency; None if no n-gram is frequent enough."""
    if not columns:
        return None
    texts = {name: texts_of(rows[name], "") for name in columns}
    bits, char_ngrams = parameters.hash_bits, parameters.char_ngrams
    chunks = list(chunks_of(texts, columns, bits, char_ngrams))
    buckets, counts = counted(chunks, np.zeros(len(rows), np.int64), bits, parameters.minimum_count)
    if not len(buckets):
        return None
    weights = inverse_frequencies(counts, len(rows)).astype("<f2")
    return Bags(columns, bits, char_ngrams, buckets.tobytes(), weights.tobytes())
