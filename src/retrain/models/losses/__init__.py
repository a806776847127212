"""Losses: one file each, chosen by `train.loss.name`.

Each file has a `Loss` class: its fields are the loss's parameters, and calling it computes the loss.
`tests/models/test_contracts.py` checks every file in this folder.
"""

from typing import Any, ClassVar, cast

from retrain import params
from retrain.schema import Section

from torch import Tensor


class Loss(Section):
    """A loss with its parameters."""

    name: str
    task: ClassVar[str]
    """The task that it fits: `classification` or `regression`."""

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of a batch, as training uses it.

        Args:
            outputs: the network's outputs, (batch, outputs).
            targets: as the task encodes them: int64, (batch,) for classes; float32, (batch, 1) for numbers.
        """
        raise NotImplementedError

    def plain(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss for evaluation, without training-only options such as label smoothing."""
        return self(outputs, targets)


def names() -> list[str]:
    """The names of all losses."""
    return params.choices("retrain.models.losses")


def load(name: Any, where: str) -> type[Loss]:
    """The loss of a name; raises RetrainError, naming `where`, if there is none."""
    return cast("type[Loss]", params.choose("retrain.models.losses", name, where).Loss)
