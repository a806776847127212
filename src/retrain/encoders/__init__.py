"""How input columns become arrays: one file per kind of input, chosen by `split.inputs`.

Each file has a `Knobs` section and an `Encoder` class, as `EncoderClass` says; `tests/test_contracts.py` holds every
file in this folder to it.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeAlias, cast

from retrain import params
from retrain.params import Section

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Arrays: TypeAlias = "dict[str, np.ndarray]"
"""Encoded examples: named arrays, each written to a file of its own that training memory-maps."""


class Encoder(Protocol):
    """Turns rows into arrays and batches of them into what a network takes. Whatever it learned, it can write down."""

    holds: ClassVar[str]
    """What its columns hold: text or numbers."""

    @classmethod
    def fit(cls, rows: "pd.DataFrame", targets: "np.ndarray", knobs: Any) -> Self:
        """Learn from the train split alone: its input columns, and its targets as the objective encodes them."""

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

    def rows_of_texts(self, texts: Sequence[str]) -> "pd.DataFrame":
        """Rows made from bare texts, for prediction; raises RetrainError where rows are not texts."""

    def encode(self, rows: "pd.DataFrame") -> Arrays:
        """The input columns as arrays."""

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
        normalised = (unicodedata.normalize("NFKC", text).casefold() for text in joined(rows))
        return [" ".join(word.findall(text)).encode() for text in normalised]

    def rows_of_texts(self, texts: Sequence[str]) -> "pd.DataFrame":
        """Bare texts as the last input column, which is the one that is never a title; the others stay empty."""
        import pandas as pd

        rows = {name: [""] * len(texts) for name in self.columns}
        return pd.DataFrame({**rows, self.columns[-1]: list(texts)}, dtype="str")


def joined(rows: "pd.DataFrame") -> list[str]:
    """The input columns of each row as one text."""
    return [" ".join(part for part in row if part) for row in zip(*(rows[name] for name in rows.columns), strict=True)]


class EncoderFile(Protocol):
    """What a file in this folder offers."""

    Knobs: type[Section]
    Encoder: type[Encoder]


def load(name: str, place: str) -> EncoderFile:
    """The encoder of a name; raises RetrainError, naming `place`, where there is none."""
    return cast("EncoderFile", params.choose("retrain.encoders", name, place))
