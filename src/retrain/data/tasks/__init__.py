"""Tasks: what is predicted. One file each, chosen by `split.task`.

Each file has a `Task` class; `tests/models/test_contracts.py` checks every file in this folder. The files use the methods
of tensors and never import torch.
"""

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, cast

from retrain import params
from retrain.data.report_csv import Columns

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from torch import Tensor

__all__ = ["Task", "load"]


class Task(Protocol):
    """Turns targets into arrays and a network's outputs into predictions, and measures them."""

    metrics: ClassVar[dict[str, int]]
    """The metrics of each epoch, in addition to the loss: 1 where more is better, -1 where less is. The first has a plot."""

    @classmethod
    def fit(cls, targets: "pd.Series[Any]", where: str) -> Self:
        """Learn from the targets of the train split alone; raises RetrainError if they do not fit the task."""

    @classmethod
    def from_json(cls, learned: Any) -> Self:
        """Rebuild a task from the value of `to_json`; raises ValueError for any other value."""

    def to_json(self) -> dict[str, Any]:
        """What was learned, as JSON values."""

    @property
    def outputs(self) -> int:
        """The number of the network's outputs."""

    @property
    def baseline(self) -> tuple[float, ...]:
        """The outputs of the best network that ignores its inputs. A useful model is better."""

    def describe(self) -> str:
        """A description for the stage's message, such as "4 classes"."""

    def encode(self, targets: Any) -> "np.ndarray":
        """The targets as the loss takes them: int64, (rows,), or float32, (rows, 1)."""

    def totals(self, outputs: "Tensor", targets: "Tensor") -> "Tensor":
        """Sums over a batch, float64. Those of all batches are added up and given to `metrics_of`."""

    def metrics_of(self, totals: "Tensor", examples: int) -> dict[str, float]:
        """The metrics, from the sums over all examples."""

    def predictions(self, outputs: "Tensor") -> Columns:
        """One row per example, from the network's outputs, (examples, outputs): the prediction, and probabilities."""

    def answers(self, outputs: "Tensor") -> list[dict[str, Any]]:
        """The predictions as the JSON objects that `retrain predict` prints."""


def load(name: Any, where: str) -> type[Task]:
    """The class of a task; raises RetrainError, naming `where`, if there is no such task."""
    return cast("type[Task]", params.choose("retrain.data.tasks", name, where).Task)
