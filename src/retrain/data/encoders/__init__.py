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

__all__ = ["Arrays", "Encoder", "EncoderParameters", "Rows", "load", "names_for"]


Arrays: TypeAlias = "dict[str, np.ndarray]"
"""Encoded examples: arrays by name. Each is written to its own file, which training memory-maps."""

Rows: TypeAlias = "pd.DataFrame | Mapping[str, Sequence[Any]]"
"""Columns by name: a table, or lists, which are faster for a few rows."""


class Encoder(Protocol):
    """Turns rows into arrays, and batches of arrays into a network's inputs. What it learned can be saved as JSON."""

    holds: ClassVar[str]
    """What its columns hold: `text`, `numbers` or `anything`."""
    gives: ClassVar[str]
    """The kind of arrays that `gather` returns. Networks whose `takes` is the same word fit."""

    @classmethod
    def fit_encode(cls, rows: "pd.DataFrame", targets: "np.ndarray", parameters: Any) -> tuple[Self, Arrays]:
        """Learn from the train split alone, and encode it. There may be more arrays than those of `encode`, for `Network.start_from`.

        Args:
            rows: the input columns of the train split.
            targets: its targets as the task encodes them: int64, (rows,), or float32, (rows, 1).
            parameters: the `Parameters` of the encoder's file.

        Raises:
            RetrainError: nothing can be learned from these rows.
        """

    @classmethod
    def from_json(cls, learned: Any) -> Self:
        """Rebuild an encoder from the value of `to_json`; raises ValueError for any other value."""

    def to_json(self) -> dict[str, Any]:
        """What was learned, as JSON values."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The input columns, in order."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """What each column holds: `number`, `category`, `text` or `date`."""

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """For each column of numbers, the range outside of which a number is far from all that was learned from. The same for dates, in days since 1970."""

    @property
    def centers(self) -> dict[str, float]:
        """For each column of numbers, the mean or the median of all that was learned from."""

    @property
    def known(self) -> dict[str, frozenset[str]]:
        """For each column of categories, the values that were learned from."""

    @property
    def size(self) -> Any:
        """The size that the network needs: the number of tokens or features, or of columns."""

    def describe(self) -> str:
        """A description for the stage's message, such as "21,000 words"."""

    @staticmethod
    def contents(rows: "pd.DataFrame") -> list[bytes]:
        """Each row's normalised content. Rows with equal bytes go to the same split."""

    def rows_of_texts(self, texts: Sequence[str]) -> dict[str, list[str]]:
        """Rows made from bare texts, for prediction; raises RetrainError if the columns hold numbers."""

    def encode(self, rows: Rows) -> Arrays:
        """The input columns as arrays."""

    @staticmethod
    def gather(arrays: Arrays, rows: "np.ndarray") -> "tuple[np.ndarray, ...]":
        """The network's inputs for a batch of rows, whose numbers are `rows`: int64, (batch,)."""


class EncoderParameters(Section):
    """The parameters that all encoders have."""

    name: str


class EncoderFile(Protocol):
    """What a file in this folder defines."""

    Parameters: type[EncoderParameters]
    Encoder: type[Encoder]


def names_for(holds: str) -> list[str]:
    """The names of the encoders whose columns hold `text` or `numbers`."""
    names = params.choices("retrain.data.encoders")
    return [name for name in names if load(name, "").Encoder.holds == holds]


def load(name: Any, where: str) -> EncoderFile:
    """The file of an encoder; raises RetrainError, naming `where`, if there is no such encoder."""
    return cast("EncoderFile", params.choose("retrain.data.encoders", name, where))
