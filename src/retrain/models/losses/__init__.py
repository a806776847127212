"""Losses: one file each, chosen by `train.loss.name`.

Each file has a `Loss` class: its fields are the loss's parameters, and calling it computes the loss.
`tests/models/test_contracts.py` checks every file in this folder. A file whose parameters are required may name some for the
tests: `EXAMPLE = {"scale": 1.0}`.
"""

from typing import Any, ClassVar, Self, cast

from retrain import params
from retrain.data.tasks import Task
from retrain.schema import Section

import torch
from torch import Tensor

__all__ = ["Loss", "load", "names"]


class Loss(Section):
    """A loss with its parameters."""

    name: str
    task: ClassVar[str]
    """The task that the loss is for: `classification` or `regression`."""

    def fitted(self, task: Task) -> Self:
        """The loss for a task: it may depend on the classes, for example. Most losses don't."""
        return self

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of a batch, as used in training.

        Args:
            outputs: the network's outputs, (batch, outputs).
            targets: the encoded targets: int64, (batch,) for classes; float32, (batch, 1) for numbers.
        """
        raise NotImplementedError

    def weights_of(self, targets: Tensor) -> Tensor:
        """How much each row counts: float64, (rows,). All count the same, unless the classes have weights."""
        return torch.ones(len(targets), dtype=torch.float64)

    def plain(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of the test split, without options for training such as label smoothing."""
        return self(outputs, targets)


def names() -> list[str]:
    """The names of all losses."""
    return params.choices("retrain.models.losses")


def load(name: Any, where: str) -> type[Loss]:
    """The loss with a name; raises RetrainError if there is none. `where` is the path of the parameter, for the error."""
    return cast("type[Loss]", params.choose("retrain.models.losses", name, where).Loss)
