"""Mean squared error: the mean of the squared differences."""

from typing import ClassVar

from retrain.models import losses

from torch import Tensor
from torch.nn import functional

__all__ = ["Loss"]


class Loss(losses.Loss):
    """Parameters of `name: mean_squared_error`: none."""

    task: ClassVar[str] = "regression"

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss, in units of the squared standard deviation of the target."""
        return functional.mse_loss(outputs, targets)
