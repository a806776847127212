"""Mean absolute error: the mean of the absolute differences. Outliers have less influence than on squared ones."""

from typing import ClassVar

from retrain.models import losses

from torch import Tensor
from torch.nn import functional

__all__ = ["Loss"]


class Loss(losses.Loss):
    """Parameters of `name: mean_absolute_error`: none."""

    task: ClassVar[str] = "regression"

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss, in units of the standard deviation of the target."""
        return functional.l1_loss(outputs, targets)
