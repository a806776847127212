"""Classification: the target is one of several classes."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from retrain.data.report_csv import DIGITS, Columns, significant
from retrain.errors import RetrainError
from retrain.schema import Count, Names, Section

import numpy as np
from pydantic import model_validator

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

__all__ = ["Task"]


POWERS_OF_TEN = np.array([float(10**power) for power in range(23)])
"""Those that a float64 holds exactly."""
FEW = 16
"""Numbers that are rounded faster one by one."""
TINY = 1e-14
"""The power for smaller numbers is not exact."""
TIE = 1e-6
"""More than what rounding the product of a number and a power of ten can change."""


class Learned(Section):
    """The value of `Task.to_json`: one count per class."""

    classes: Names
    counts: tuple[Count, ...]

    @model_validator(mode="after")
    def check_lengths(self) -> "Learned":
        """Check that there are as many counts as classes."""
        if len(self.classes) != len(self.counts):
            raise ValueError("classes and counts differ in number")
        if not any(self.counts):
            raise ValueError("no class has a row")
        return self


@dataclass(frozen=True)
class Task:
    """The classes in order, and their counts in the train split. Output `i` of the network is for `classes[i]`."""

    classes: tuple[str, ...]
    counts: tuple[int, ...]
    metrics: ClassVar[dict[str, int]] = {"accuracy": 1, "macro_f1": 1}

    @classmethod
    def fit(cls, targets: "pd.Series[Any]", where: str) -> "Task":
        """Take the classes in the order that `prepare` gave them.

        Raises:
            RetrainError: the target holds numbers.
        """
        if str(targets.dtype) != "category":
            raise RetrainError(
                where,
                f"column '{targets.name}' holds numbers, but classification needs text",
                "set split.task: regression",
            )
        counts = targets.value_counts(sort=False)
        return cls(tuple(map(str, counts.index)), tuple(map(int, counts)))

    @classmethod
    def from_json(cls, learned: Any) -> "Task":
        """Rebuild a task from the value of `to_json`; raises ValueError for any other value."""
        return cls(**dict(Learned.model_validate(learned)))

    def to_json(self) -> dict[str, Any]:
        """The classes in order, and their counts."""
        return {"classes": list(self.classes), "counts": list(self.counts)}

    @property
    def outputs(self) -> int:
        """One output per class."""
        return len(self.classes)

    @property
    def baseline(self) -> tuple[float, ...]:
        """The logarithm of each class's share: the majority-class baseline. A class of the test file only has half a row."""
        return tuple(math.log((count or 0.5) / sum(self.counts)) for count in self.counts)

    def describe(self) -> str:
        """The number of classes, in words."""
        return f"{len(self.classes)} classes"

    def encode(self, targets: Any) -> np.ndarray:
        """The number of each row's class: int64, (rows,)."""
        numbers = {name: number for number, name in enumerate(self.classes)}
        return np.array([numbers[name] for name in targets], dtype=np.int64)

    def totals(self, outputs: "Tensor", targets: "Tensor") -> "Tensor":
        """The number of correct predictions, of all predictions and of targets, for each class: float64, (3, classes)."""
        predicted, count = outputs.argmax(dim=1), self.outputs
        correct = targets[predicted == targets]
        counts = [part.bincount(minlength=count).tolist() for part in (correct, predicted, targets)]
        return outputs.new_tensor(counts).double()

    def metrics_of(self, totals: "Tensor", examples: int) -> dict[str, float]:
        """`accuracy`, the share of correct predictions, and `macro_f1`, the mean F1 of the classes that occur or are predicted."""
        correct, predicted, actual = totals.tolist()
        f1 = [2 * hits / sum(counts) for hits, *counts in zip(correct, predicted, actual, strict=True) if any(counts)]
        return {"accuracy": sum(correct) / examples, "macro_f1": sum(f1) / len(f1)}

    def predictions(self, outputs: "Tensor") -> Columns:
        """`predicted`, and one column of probabilities per class (softmax, nine significant digits)."""
        probabilities = probabilities_of(outputs)
        columns = {f"probability_{name}": probabilities[:, number] for number, name in enumerate(self.classes)}
        return {"predicted": self.labels_of(outputs), **columns}

    def answers(self, outputs: "Tensor") -> list[dict[str, Any]]:
        """`label`, and `probabilities` by class."""
        rows = zip(self.labels_of(outputs), probabilities_of(outputs).tolist(), strict=True)
        return [{"label": label, "probabilities": dict(zip(self.classes, row, strict=True))} for label, row in rows]

    def labels_of(self, outputs: "Tensor") -> list[str]:
        """The class of each row's largest output."""
        return [self.classes[number] for number in outputs.numpy().argmax(axis=1).tolist()]


def probabilities_of(outputs: "Tensor") -> np.ndarray:
    """The softmax of each row, with nine significant digits (see `significant`): float64, (rows, classes)."""
    return all_significant(outputs.double().softmax(dim=1).numpy())


def all_significant(numbers: np.ndarray) -> np.ndarray:
    """`significant` of finite numbers, in a few steps for all of them: float64.

    Nine digits are a whole number. Divided by a power of ten that is exact, it is the float nearest to the decimal number.
    Where the ninth digit is close to a tie, and where the power is not exact, `significant` decides.
    """
    if numbers.size < FEW:
        return np.array(list(map(significant, numbers.ravel().tolist()))).reshape(numbers.shape)
    sizes = np.abs(numbers)
    places = DIGITS - 1 - np.floor(np.log10(np.maximum(sizes, TINY))).astype(int)
    powers = POWERS_OF_TEN.take(places, mode="clip")
    scaled = sizes * powers
    digits = np.rint(scaled)
    sure = (scaled >= 10 ** (DIGITS - 1)) & (scaled <= 10**DIGITS) & (np.abs(scaled - digits) < 0.5 - TIE)
    found: np.ndarray = np.copysign(digits / powers, numbers)
    if not sure.all():
        found[~sure] = list(map(significant, numbers[~sure].tolist()))
    return found
