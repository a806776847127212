"""Log-cosh loss: squared for small errors and absolute for large ones, like the Huber loss, but smooth everywhere."""

import math
from typing import ClassVar

from retrain.models import losses
from retrain.schema import PositiveNumber

from torch import Tensor
from torch.nn import functional

__all__ = ["Loss"]


EXAMPLE = {"scale": 1.0}
"""Parameters for the tests in `tests/models/test_contracts.py`."""


class Loss(losses.Loss):
    """Parameters of `name: log_cosh`."""

    task: ClassVar[str] = "regression"
    scale: PositiveNumber
    """The error, in standard deviations of the target, at which the loss turns from squared to absolute."""

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean of `log(cosh(error / scale))`, written so that no large error overflows."""
        errors = ((outputs - targets) / self.scale).abs()
        return (errors + functional.softplus(-2 * errors) - math.log(2)).mean()
