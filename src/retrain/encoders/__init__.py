"""How input columns become arrays: one file per kind of input, chosen by `split.inputs`.

Each file has a `Knobs` section and an `Encoder` class, as `EncoderClass` says; `tests/test_contracts.py` holds every
file in this folder to it.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeAlias, cast

from retrain import params
from retrain.params import Section

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Arrays: TypeAlias = "dict[str, np.ndarray]"
"""Encoded examples: named arrays, each written to a file of its own that training memory-maps."""

Rows: TypeAlias = "pd.DataFrame | Mapping[str, Sequence[Any]]"
"""Columns by name: a table, or lists, which are faster for a few rows."""


class Encoder(Protocol):
    """Turns rows into arrays and batches of them into what a network takes. Whatever it learned, it can write down."""

    holds: ClassVar[str]
    """What its columns hold: text or numbers."""

    @classmethod
    def fit(cls, rows: "pd.DataFrame", targets: "np.ndarray", knobs: Any) -> Self:
        """Learn from the train split alone: its input columns, and its targets as the objective encodes them."""

    @classmethod
    def fit_encode(cls, rows: "pd.DataFrame", targets: "np.ndarray", knobs: Any) -> tuple[Self, Arrays]:
        """What `fit` gives, and the same rows encoded: where both need the same work, it is done once."""

    @classmethod
    def from_json(cls, learned: Any) -> Self:
        """Rebuild an encoder from what `to_json` gave."""

    def to_json(self) -> dict[str, Any]:
        """What was learned, as JSON values."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The input columns, in order."""

    @property
    def size(self) -> int:
        """What the network must know: how many tokens there are, or how many columns."""

    def describe(self) -> str:
        """A few words for the stage's line: "21,000 words"."""

    @staticmethod
    def contents(rows: "pd.DataFrame") -> list[bytes]:
        """Each row's normalised content: rows that must not straddle two splits give equal bytes."""

    def rows_of_texts(self, texts: Sequence[str]) -> dict[str, list[str]]:
        """Rows made from bare texts, for prediction; raises RetrainError where rows are not texts."""

    def encode(self, rows: Rows) -> Arrays:
        """The input columns as arrays."""

    def fits(self, arrays: Arrays, rows: int) -> bool:
        """Whether arrays are such as `encode` gives for so many rows: whatever is looked up is there."""

    @staticmethod
    def gather(arrays: Arrays, rows: "np.ndarray") -> "tuple[np.ndarray, ...]":
        """The network's inputs for a batch of rows, in that order. `rows`: int64, (batch,)."""


class OfText:
    """What all encoders of text share; `columns` are their own."""

    holds: ClassVar[str] = "text"
    columns: tuple[str, ...]

    @staticmethod
    def contents(rows: "pd.DataFrame") -> list[bytes]:
        """The words of each row without case, accents' spelling, punctuation and spacing."""
        word = re.compile(r"\w+")
        normalised = (unicodedata.normalize("NFKC", text).casefold() for text in joined(rows, list(rows.columns)))
        return [" ".join(word.findall(text)).encode() for text in normalised]

    def rows_of_texts(self, texts: Sequence[str]) -> dict[str, list[str]]:
        """Bare texts as the last input column, which is the one that is never a title; the others stay empty."""
        return {**{name: [""] * len(texts) for name in self.columns}, self.columns[-1]: list(texts)}


def joined(rows: Rows, columns: Sequence[str]) -> list[str]:
    """Some columns of each row as one text."""
    return [" ".join(part for part in row if part) for row in zip(*(rows[name] for name in columns), strict=True)]


def places_of(offsets: "np.ndarray", rows: "np.ndarray") -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
    """Where the parts of some rows stand in arrays that hold all rows end to end.

    Args:
        offsets: where each row's parts begin, and where the last one's end: int64, (all rows + 1,).
        rows: the rows of a batch: int64, (batch,).

    Returns:
        The places: int64, (parts of the batch,); how many each row has, and where its own begin in the batch: int64,
        (batch,).
    """
    import numpy as np

    begins = offsets[rows]
    lengths = offsets[rows + 1] - begins
    ends = np.cumsum(lengths)
    shift = begins - ends + lengths
    return np.arange(ends[-1]) + np.repeat(shift, lengths), lengths, ends - lengths


def is_array(array: "np.ndarray", kind: str, *shape: int) -> bool:
    """Whether an array has a type, such as `<i4`, and a shape."""
    return array.dtype.str == kind and array.shape == shape


def are_offsets(offsets: "np.ndarray", rows: int, parts: int) -> bool:
    """Whether rows that begin there take up exactly so many parts, each behind the one before it."""
    return bool(
        is_array(offsets, "<i8", rows + 1)
        and offsets[0] == 0
        and offsets[-1] == parts
        and (offsets[1:] >= offsets[:-1]).all()
    )


def are_numbers_below(numbers: "np.ndarray", size: int) -> bool:
    """Whether an array numbers things of which there are so many: int32, (any,)."""
    if not is_array(numbers, "<i4", numbers.size):
        return False
    return not numbers.size or bool(numbers.min() >= 0 and numbers.max() < size)


class EncoderFile(Protocol):
    """What a file in this folder offers."""

    Knobs: type[Section]
    Encoder: type[Encoder]


def load(name: str, place: str) -> EncoderFile:
    """The encoder of a name; raises RetrainError, naming `place`, where there is none."""
    return cast("EncoderFile", params.choose("retrain.encoders", name, place))
