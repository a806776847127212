"""Cross entropy: the negative logarithm of the target class's probability."""

from typing import ClassVar

from retrain.models import losses
from retrain.schema import Share

from torch import Tensor
from torch.nn import functional

__all__ = ["Loss"]


class Loss(losses.Loss):
    """Parameters of `name: cross_entropy`."""

    task: ClassVar[str] = "classification"
    label_smoothing: Share
    """The share of each target that is spread evenly over all classes (Szegedy et al. 2016)."""

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean cross entropy, with label smoothing."""
        return functional.cross_entropy(outputs, targets, label_smoothing=self.label_smoothing)

    def plain(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean cross entropy, without label smoothing."""
        return functional.cross_entropy(outputs, targets)
