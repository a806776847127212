"""Text as bags of words: token ids from a vocabulary that was learned from the train split."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

from retrain.data.encoders import Arrays, EncoderParameters, Rows
from retrain.data.encoders._ragged import places_of
from retrain.data.encoders._text import OfText, joined, normalised
from retrain.errors import RetrainError
from retrain.schema import AtLeastOne, Names, Section

import numpy as np
from unicode_segmentation_rs import split_word_bounds

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Encoder", "Parameters"]


UNKNOWN = "<unknown>"


class Parameters(EncoderParameters):
    """Parameters of `name: text`."""

    minimum_count: AtLeastOne
    """Words and signs that occur less often in the train split count as unknown."""


class Learned(Section):
    """The value of `Encoder.to_json`."""

    columns: Names
    tokens: Names


def tokenize(text: str) -> list[str]:
    """The words and signs of a text, by the word boundaries of Unicode (UAX #29), without case.

    A combining mark belongs to its letter and an emoji is one sign, of however many code points. A script without spaces
    gives one word per character.
    """
    return [word for part in split_word_bounds(normalised(text)) if (word := part.strip())]


@dataclass(frozen=True)
class Encoder(OfText):
    """A vocabulary: `tokens[i]` has the id `i`. Id 0 stands for all unknown words."""

    gives: ClassVar[str] = "text"
    columns: tuple[str, ...]
    tokens: tuple[str, ...]
    ids: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", {token: number for number, token in enumerate(self.tokens)})

    @classmethod
    def fit_encode(cls, rows: "pd.DataFrame", targets: np.ndarray, parameters: Parameters) -> "tuple[Encoder, Arrays]":
        """Learn the vocabulary, sorted by falling frequency and then alphabetically, and encode the rows.

        Raises:
            RetrainError: no word is frequent enough.
        """
        counts = Counter(chain.from_iterable(map(tokenize, joined(rows, list(rows.columns)))))
        kept = [token for token, count in counts.items() if count >= parameters.minimum_count]
        if not kept:
            fact = f"no word occurs {parameters.minimum_count:,} times in the train split"
            raise RetrainError("split.encoder", fact, "lower minimum_count")
        encoder = cls(tuple(rows.columns), (UNKNOWN, *sorted(kept, key=lambda token: (-counts[token], token))))
        return encoder, encoder.encode(rows)

    @classmethod
    def from_json(cls, learned: Any) -> "Encoder":
        """Rebuild an encoder from the value of `to_json`; raises ValueError for any other value."""
        return cls(**dict(Learned.model_validate(learned)))

    def to_json(self) -> dict[str, Any]:
        """The columns, and the vocabulary in the order of the ids."""
        return {"columns": list(self.columns), "tokens": list(self.tokens)}

    @property
    def size(self) -> int:
        """The number of tokens, including the one for unknown words."""
        return len(self.tokens)

    def describe(self) -> str:
        """The number of learned words."""
        return f"{self.size - 1:,} words"

    def encode(self, rows: Rows) -> Arrays:
        """The token ids of all rows.

        Returns:
            `tokens`, the ids of all rows in one array: int32, (tokens of all rows,); `offsets`, the start of each row in
            it, and the end of the last one: int64, (rows + 1,).
        """
        ids = [[self.ids.get(token, 0) for token in tokenize(text)] for text in joined(rows, self.columns)]
        return {
            "tokens": np.fromiter(chain.from_iterable(ids), dtype=np.int32),
            "offsets": np.cumsum([0, *map(len, ids)], dtype=np.int64),
        }

    @staticmethod
    def gather(arrays: Arrays, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """The token ids of the batch (int64, (tokens,)), and the start of each row in them (int64, (batch,))."""
        places, _, offsets = places_of(arrays["offsets"], rows)
        return arrays["tokens"][places].astype(np.int64), offsets
