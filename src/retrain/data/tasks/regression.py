"""Regression: the target is a number, in units of the train split's standard deviation for the network."""

import math
from dataclasses import dataclass
from decimal import Decimal
from statistics import fmean, pstdev
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from retrain.data.report_csv import DIGITS, LARGEST, Columns
from retrain.errors import RetrainError
from retrain.schema import Section

import numpy as np
from pydantic import Field

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

__all__ = ["Task"]


class Learned(Section):
    """The value of `Task.to_json`. Within these bounds, no float32 output is infinite in the target's units."""

    mean: Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
    deviation: Annotated[float, Field(gt=0, le=LARGEST)]


@dataclass(frozen=True)
class Task:
    """Mean and standard deviation of the target on the train split."""

    mean: float
    deviation: float
    metrics: ClassVar[dict[str, int]] = {"rmse": -1, "mae": -1}

    @classmethod
    def fit(cls, targets: "pd.Series[Any]", where: str) -> "Task":
        """Learn mean and deviation, exactly rounded, so that all CPUs give the same bytes.

        Raises:
            RetrainError: the target holds text, or the same number in every row.
        """
        if targets.dtype != "float64":
            raise RetrainError(
                where,
                f"column '{targets.name}' holds text, but regression needs numbers",
                "set split.task: classification",
            )
        mean, deviation = fmean(targets), pstdev(targets)
        if deviation == 0:
            fact = f"column '{targets.name}' has the same value in every row of the train split"
            raise RetrainError(where, fact, "add rows")
        return cls(mean, deviation)

    @classmethod
    def from_json(cls, learned: Any) -> "Task":
        """Rebuild a task from the value of `to_json`; raises ValueError for any other value."""
        return cls(**dict(Learned.model_validate(learned)))

    def to_json(self) -> dict[str, Any]:
        """Mean and deviation."""
        return {"mean": self.mean, "deviation": self.deviation}

    @property
    def outputs(self) -> int:
        """One output: the number."""
        return 1

    @property
    def baseline(self) -> tuple[float, ...]:
        """The mean, in standardised units."""
        return (0.0,)

    def describe(self) -> str:
        """The target's mean and deviation."""
        return f"a number of {self.mean:.4g} ± {self.deviation:.4g}"

    def encode(self, targets: Any) -> np.ndarray:
        """The standardised target: float32, (rows, 1)."""
        return ((np.asarray(targets, dtype="float64") - self.mean) / self.deviation).astype(np.float32)[:, None]

    def totals(self, outputs: "Tensor", targets: "Tensor") -> "Tensor":
        """The sums of squared and of absolute errors, in standard deviations: float64, (2,)."""
        errors = (outputs - targets).double()
        return errors.new_tensor([errors.square().sum().item(), errors.abs().sum().item()])

    def metrics_of(self, totals: "Tensor", examples: int) -> dict[str, float]:
        """`rmse` and `mae`, the root mean squared and the mean absolute error, in the target's own units."""
        squares, sizes = totals.tolist()
        return {"rmse": self.deviation * math.sqrt(squares / examples), "mae": self.deviation * sizes / examples}

    def predictions(self, outputs: "Tensor") -> Columns:
        """`predicted`, in the target's own units."""
        return {"predicted": self.numbers_of(outputs)}

    def answers(self, outputs: "Tensor") -> list[dict[str, Any]]:
        """The predicted `number`."""
        return [{"number": number} for number in self.numbers_of(outputs).tolist()]

    def numbers_of(self, outputs: "Tensor") -> np.ndarray:
        """The outputs in the target's own units, with nine digits of the deviation: float64, (rows,).

        So the mean may be far larger than the deviation, and the deviation as small as the unit demands.
        """
        places = DIGITS - 1 - Decimal(self.deviation).adjusted()
        numbers = outputs.double()[:, 0] * self.deviation + self.mean
        return np.array([round(number, places) for number in numbers.tolist()])
