"""Tasks: what is predicted. One file each, chosen by `split.task`.

Each file has a `Task` class; `tests/models/test_contracts.py` checks every file in this folder. Tensors are only passed through here: the files use their methods and never import torch.
"""

from typing import TYPE_CHECKING, Any, Protocol, Self, cast

from retrain import params

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from torch import Tensor


class Task(Protocol):
    """Turns targets into arrays, a network's outputs into predictions, and says which epoch is best."""

    metric: str
    """The figure recorded beside the loss in each epoch, and by whose name: `validation_<metric>`."""

    @classmethod
    def fit(cls, targets: "pd.Series[Any]", where: str) -> Self:
        """Learn from the targets of the train split alone; raises RetrainError where they do not fit."""

    @classmethod
    def from_json(cls, learned: Any) -> Self:
        """Rebuild an task from what `to_json` gave."""

    def to_json(self) -> dict[str, Any]:
        """What was learned, as JSON values."""

    @property
    def outputs(self) -> int:
        """How many outputs the network has."""

    @property
    def baseline(self) -> tuple[float, ...]:
        """The outputs of the best network that ignores its inputs: what any model has to beat."""

    def describe(self) -> str:
        """A few words for the stage's line: "4 classes"."""

    def encode(self, targets: "pd.Series[Any]") -> "np.ndarray":
        """The targets as the loss takes them."""

    def measure(self, outputs: "Tensor", targets: "Tensor") -> "Tensor":
        """A measure per example, (batch,), whose mean `metric_of` turns into the metric."""

    def metric_of(self, mean: float) -> float:
        """The metric, from the mean of `measure` over all examples."""

    def score(self, loss: float, metric: float) -> float:
        """How good an epoch is on the validation split: the highest score is best."""

    def predictions(self, outputs: "Tensor") -> "pd.DataFrame":
        """A row per example from the network's outputs, (examples, outputs): what is predicted, and how surely."""

    def answers(self, outputs: "Tensor") -> list[dict[str, Any]]:
        """The same as `predictions`, as the JSON objects that `retrain predict` prints."""


def load(name: Any, where: str) -> type[Task]:
    """The task of a name; raises RetrainError, naming `where`, if there is none."""
    return cast("type[Task]", params.choose("retrain.data.tasks", name, where).Task)
