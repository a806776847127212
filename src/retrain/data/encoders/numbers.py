"""Number columns, standardised with the mean and deviation of the train split."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import TYPE_CHECKING, Any, ClassVar

from retrain.data.encoders import Arrays, EncoderParameters, Rows
from retrain.errors import RetrainError
from retrain.schema import Names, Section

import numpy as np
from pydantic import PositiveFloat, model_validator

if TYPE_CHECKING:
    import pandas as pd

FARTHEST = 1e6
"""Standard deviations from the mean; float32 is exact enough up to there."""


class Parameters(EncoderParameters):
    """Parameters of `name: numbers`: none."""


class Learned(Section):
    """What `Encoder.to_json` gives: three values per column."""

    columns: Names
    means: tuple[float, ...]
    deviations: tuple[PositiveFloat, ...]

    @model_validator(mode="after")
    def check_lengths(self) -> "Learned":
        """Every column has its mean and its deviation."""
        if not len(self.columns) == len(self.means) == len(self.deviations):
            raise ValueError("columns, means and deviations differ in number")
        return self


@dataclass(frozen=True)
class Encoder:
    """Each column's name, mean and standard deviation."""

    holds: ClassVar[str] = "numbers"
    columns: tuple[str, ...]
    means: tuple[float, ...]
    deviations: tuple[float, ...]

    @classmethod
    def fit_encode(cls, rows: "pd.DataFrame", targets: np.ndarray, parameters: Parameters) -> "tuple[Encoder, Arrays]":
        """Learn the mean and standard deviation of each column, and encode the rows.

        Raises:
            RetrainError: a column holds text, or the same number in every row.
        """
        moments = [moments_of(rows[name]) for name in rows.columns]
        encoder = cls(tuple(rows.columns), tuple(m for m, _ in moments), tuple(d for _, d in moments))
        return encoder, encoder.encode(rows)

    @classmethod
    def from_json(cls, learned: Any) -> "Encoder":
        """Rebuild an encoder from what `to_json` gave; raises ValueError where it is something else."""
        return cls(**dict(Learned.model_validate(learned)))

    def to_json(self) -> dict[str, Any]:
        """Columns, means and deviations."""
        return {"columns": list(self.columns), "means": list(self.means), "deviations": list(self.deviations)}

    @property
    def size(self) -> int:
        """How many columns there are."""
        return len(self.columns)

    def describe(self) -> str:
        """How many columns there are."""
        return f"{self.size:,} columns"

    @staticmethod
    def contents(rows: "pd.DataFrame") -> list[bytes]:
        """The bytes of each row's numbers, minus zero taken as zero."""
        return [row.tobytes() for row in rows.to_numpy("<f8") + 0.0]

    def rows_of_texts(self, texts: Sequence[str]) -> dict[str, list[str]]:
        """Bare texts are no rows of numbers."""
        fact = f"this model takes numbers ({', '.join(self.columns)}), not texts"
        raise RetrainError("predict", fact, "give it a table: --file rows.csv")

    def encode(self, rows: Rows) -> Arrays:
        """`values`: float32, (rows, columns), each column with mean 0 and deviation 1 on the train split."""
        raw = np.column_stack([np.asarray(rows[name], dtype="float64") for name in self.columns])
        with np.errstate(over="ignore"):  # what becomes infinite is too far as well
            values = (raw - np.array(self.means)) / np.array(self.deviations)
        far = np.argwhere(~(np.abs(values) <= FARTHEST))
        if len(far):
            row, column = far[0]
            fact = f"row {row + 1} has {raw[row, column]:g}, which is far from all that was learned"
            raise RetrainError(f"column '{self.columns[column]}'", fact, "correct the value")
        return {"values": values.astype(np.float32)}

    @staticmethod
    def gather(arrays: Arrays, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """The batch's rows: float32, (batch, columns)."""
        return (arrays["values"][rows],)


def moments_of(column: "pd.Series[Any]") -> tuple[float, float]:
    """Mean and standard deviation of a column, exactly rounded, so that no CPU gives other bits."""
    if column.dtype != "float64":
        raise RetrainError(f"column '{column.name}'", "holds text, inputs 'numbers' need numbers", "call it a number")
    mean = fmean(column)
    deviation = pstdev(column, mean)
    if deviation == 0:
        raise RetrainError(
            f"column '{column.name}'", "has one value in the whole train split", "take it out of 'inputs'"
        )
    return mean, deviation
