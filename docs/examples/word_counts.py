"""Text as word counts: one column per frequent word, for networks that take numbers."""

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from retrain.data.encoders import Arrays, EncoderParameters, Rows
from retrain.data.encoders._text import OfText, joined
from retrain.schema import AtLeastOne, Names, Section

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Encoder", "Parameters"]


EXAMPLE = {"words": 20}
"""Parameters for the tests in `tests/models/test_contracts.py`."""
WORD = re.compile(r"\w+")


class Parameters(EncoderParameters):
    """Parameters of `name: word_counts`."""

    words: AtLeastOne
    """The number of words that are counted: the most frequent ones of the train split."""


class Learned(Section):
    """The result of `Encoder.to_json`."""

    columns: Names
    words: Names


@dataclass(frozen=True)
class Encoder(OfText):
    """The words that are counted, the most frequent one first."""

    gives: ClassVar[str] = "numbers"
    columns: tuple[str, ...]
    words: tuple[str, ...]

    @classmethod
    def fit_encode(cls, rows: "pd.DataFrame", targets: np.ndarray, parameters: Parameters) -> "tuple[Encoder, Arrays]":
        """Choose the most frequent words, equally frequent ones in alphabetical order, and encode the rows."""
        columns = tuple(rows.columns)
        counts = Counter(word for text in joined(rows, columns) for word in words_of(text))
        words = sorted(counts, key=lambda word: (-counts[word], word))
        encoder = cls(columns, tuple(words[: parameters.words]))
        return encoder, encoder.encode(rows)

    @classmethod
    def from_json(cls, learned: Any) -> "Encoder":
        """Rebuild an encoder from the result of `to_json`; raises ValueError if it is something else."""
        return cls(**dict(Learned.model_validate(learned)))

    def to_json(self) -> dict[str, Any]:
        """The columns and the words."""
        return {"columns": list(self.columns), "words": list(self.words)}

    @property
    def size(self) -> int:
        """The number of columns that the network gets."""
        return len(self.words)

    def describe(self) -> str:
        """The number of words."""
        return f"{self.size:,} counted words"

    def encode(self, rows: Rows) -> Arrays:
        """`values`: float32, (rows, words), the square root of each word's count in each row."""
        texts, places = joined(rows, self.columns), {word: place for place, word in enumerate(self.words)}
        values = np.zeros((len(texts), len(self.words)), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in words_of(text):
                if word in places:
                    values[row, places[word]] += 1
        return {"values": np.sqrt(values)}

    @staticmethod
    def gather(arrays: Arrays, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """The rows of a batch: float32, (batch, words)."""
        return (arrays["values"][rows],)


def words_of(text: str) -> list[str]:
    """The words of a text in lower case."""
    return WORD.findall(text.lower())
