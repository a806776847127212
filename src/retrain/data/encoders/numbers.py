"""Number columns, standardised by the mean and standard deviation of the train split."""

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

__all__ = ["Encoder", "Parameters"]


FAR = 10.0
"""Standard deviations from the mean that are far."""
FARTHEST = 1e6
"""The largest distance from the mean, in standard deviations, that float32 represents precisely enough."""


class Parameters(EncoderParameters):
    """Parameters of `name: numbers`: none but the name."""


class Learned(Section):
    """The value of `Encoder.to_json`: a name, a mean and a standard deviation per column."""

    columns: Names
    means: tuple[float, ...]
    deviations: tuple[PositiveFloat, ...]

    @model_validator(mode="after")
    def check_lengths(self) -> "Learned":
        """Check that there are as many means and deviations as columns."""
        if not len(self.columns) == len(self.means) == len(self.deviations):
            raise ValueError("columns, means and deviations differ in number")
        return self


@dataclass(frozen=True)
class Encoder:
    """Each column's name, mean and standard deviation."""

    holds: ClassVar[str] = "numbers"
    gives: ClassVar[str] = "numbers"
    columns: tuple[str, ...]
    means: tuple[float, ...]
    deviations: tuple[float, ...]

    @classmethod
    def fit_encode(cls, rows: "pd.DataFrame", targets: np.ndarray, parameters: Parameters) -> "tuple[Encoder, Arrays]":
        """Learn the mean and standard deviation of each column, and encode the rows.

        A column with the same number in every row is left out: a network can't learn what another number means.

        Raises:
            RetrainError: no column has two different numbers.
        """
        moments = {str(name): moments_of(rows[name]) for name in rows.columns}
        varied = {name: (mean, deviation) for name, (mean, deviation) in moments.items() if deviation > 0}
        if not varied:
            raise RetrainError("the train split", "has no input with two different values", "check the inputs")
        means, deviations = zip(*varied.values(), strict=True)
        encoder = cls(tuple(varied), means, deviations)
        return encoder, encoder.encode(rows)

    @classmethod
    def from_json(cls, learned: Any) -> "Encoder":
        """Rebuild an encoder from the value of `to_json`; raises ValueError for any other value."""
        return cls(**dict(Learned.model_validate(learned)))

    def to_json(self) -> dict[str, Any]:
        """Columns, means and deviations."""
        return {"columns": list(self.columns), "means": list(self.means), "deviations": list(self.deviations)}

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kind of each column: a number."""
        return ("number",) * len(self.columns)

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Ten standard deviations around the mean."""
        moments = zip(self.columns, self.means, self.deviations, strict=True)
        return {name: (mean - FAR * deviation, mean + FAR * deviation) for name, mean, deviation in moments}

    @property
    def centers(self) -> dict[str, float]:
        """The means."""
        return dict(zip(self.columns, self.means, strict=True))

    @property
    def known(self) -> dict[str, frozenset[str]]:
        """No column holds categories."""
        return {}

    @property
    def size(self) -> int:
        """The number of columns."""
        return len(self.columns)

    def describe(self) -> str:
        """The number of columns, in words."""
        return f"{self.size:,} columns"

    @staticmethod
    def contents(rows: "pd.DataFrame") -> list[bytes]:
        """The bytes of each row's numbers. Minus zero counts as zero."""
        return [row.tobytes() for row in rows.to_numpy("<f8") + 0.0]

    def rows_of_texts(self, texts: Sequence[str]) -> dict[str, list[str]]:
        """Raise RetrainError, because the columns hold numbers."""
        fact = f"this model takes numbers ({', '.join(self.columns)}), not texts"
        raise RetrainError("predict", fact, "give a table: --file rows.csv")

    def encode(self, rows: Rows) -> Arrays:
        """The standardised columns, with mean 0 and deviation 1 on the train split.

        Returns:
            `values`: float32, (rows, columns).

        Raises:
            RetrainError: a number is more than `FARTHEST` standard deviations from the mean.
        """
        raw = np.column_stack([np.asarray(rows[name], dtype="float64") for name in self.columns])
        with np.errstate(over="ignore"):  # an infinite value is too far as well
            values = (raw - np.array(self.means)) / np.array(self.deviations)
        far = np.argwhere(~(np.abs(values) <= FARTHEST))
        if len(far):
            row, column = far[0]
            where = f"row {row + 1}, column '{self.columns[column]}'"
            fact = f"is more than {FARTHEST:g} standard deviations from the mean of the train split"
            raise RetrainError(where, fact, "correct the value")
        return {"values": values.astype(np.float32)}

    @staticmethod
    def gather(arrays: Arrays, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """The rows of the batch: float32, (batch, columns)."""
        return (arrays["values"][rows],)


def moments_of(column: "pd.Series[Any]") -> tuple[float, float]:
    """Mean and standard deviation of a column, exactly rounded, so that all CPUs give the same bytes."""
    return fmean(column), pstdev(column)
