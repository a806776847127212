"""Huber loss: squared for small errors, absolute for large ones (Huber 1964)."""

from typing import ClassVar

from retrain.models import losses

from torch import Tensor
from torch.nn import functional

__all__ = ["Loss"]


class Loss(losses.Loss):
    """Parameters of `name: huber`: none."""

    task: ClassVar[str] = "regression"

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss, in units of the squared standard deviation of the target."""
        return functional.huber_loss(outputs, targets)
