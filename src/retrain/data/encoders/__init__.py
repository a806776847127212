"""Encoders turn input columns into arrays: one file each, chosen by `split.encoder.name`.

Each file has a `Parameters` section and an `Encoder` class; `tests/models/test_contracts.py` checks every file in this
folder. Files with a leading underscore hold what several encoders share.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeAlias, cast

from retrain import params
from retrain.schema import Section

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
    def fit_encode(cls, rows: "pd.DataFrame", targets: "np.ndarray", parameters: Any) -> tuple[Self, Arrays]:
        """Learn from the train split alone, and encode it.

        Args:
            rows: the input columns of the train split.
            targets: its targets, as the task encodes them.
            parameters: the file's own `Parameters`.
        """

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

    @staticmethod
    def gather(arrays: Arrays, rows: "np.ndarray") -> "tuple[np.ndarray, ...]":
        """The network's inputs for a batch of rows, in that order. `rows`: int64, (batch,)."""


class EncoderParameters(Section):
    """What every encoder's parameters have: its name, which is its file's."""

    name: str


class EncoderFile(Protocol):
    """What a file in this folder offers."""

    Parameters: type[EncoderParameters]
    Encoder: type[Encoder]


def load(name: Any, where: str) -> EncoderFile:
    """The encoder of a name; raises RetrainError, naming `where`, if there is none."""
    return cast("EncoderFile", params.choose("retrain.data.encoders", name, where))
