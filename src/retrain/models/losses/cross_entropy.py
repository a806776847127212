"""Cross entropy: the negative logarithm of the target class's probability."""

from typing import ClassVar, Literal

from retrain.data.tasks import Task
from retrain.models import losses
from retrain.schema import Share

import torch
from pydantic import PrivateAttr
from torch import Tensor
from torch.nn import functional

__all__ = ["Loss"]


class Loss(losses.Loss):
    """Parameters of `name: cross_entropy`."""

    task: ClassVar[str] = "classification"
    label_smoothing: Share
    """The share of each target that is spread evenly over all classes (Szegedy et al. 2016)."""
    class_weights: Literal["none", "balanced"]
    """`balanced` gives all classes the same total weight: a row counts in inverse proportion to the size of its class.
    Probabilities are then those of equally frequent classes."""
    _weights: tuple[float, ...] = PrivateAttr(())

    def fitted(self, task: Task) -> "Loss":
        """The loss with the weights of the task's classes."""
        if self.class_weights == "none":
            return self
        counts = task.to_json()["counts"]
        return self.model_copy(
            update={"_weights": tuple(sum(counts) / (len(counts) * max(count, 1)) for count in counts)}
        )

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean cross entropy, with label smoothing and class weights."""
        if not self._weights:
            return functional.cross_entropy(outputs, targets, label_smoothing=self.label_smoothing)
        losses = functional.cross_entropy(outputs, targets, label_smoothing=self.label_smoothing, reduction="none")
        return (losses * outputs.new_tensor(self._weights)[targets]).mean()

    def weights_of(self, targets: Tensor) -> Tensor:
        """The weights of the rows' classes."""
        return (
            torch.tensor(self._weights, dtype=torch.float64)[targets] if self._weights else super().weights_of(targets)
        )

    def plain(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean cross entropy, without label smoothing."""
        return functional.cross_entropy(outputs, targets)
