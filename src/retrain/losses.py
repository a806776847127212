"""Losses by name, with the knobs that each has. Each gives the batch's mean."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Literal

from retrain.params import Section, Share

from pydantic import Field
from torch import Tensor
from torch.nn import functional

Loss = Callable[[Tensor, Tensor], Tensor]
"""Takes a network's outputs, (batch, outputs), and the targets."""

LOSSES: dict[str, Loss] = {
    "cross_entropy": functional.cross_entropy,
    "mean_squared_error": functional.mse_loss,
    "mean_absolute_error": functional.l1_loss,
    "huber": functional.huber_loss,
}
"""The losses as models are evaluated with: without what only training is helped by."""


class CrossEntropy(Section):
    """The negative logarithm of the target class's probability."""

    name: Literal["cross_entropy"]
    label_smoothing: Share
    """The share of each target that goes to all classes alike (Szegedy et al. 2016)."""

    def build(self) -> Loss:
        """The loss to train with."""
        return partial(functional.cross_entropy, label_smoothing=self.label_smoothing)


class OfNumbers(Section):
    """The losses of numbers."""

    name: Literal["mean_squared_error", "mean_absolute_error", "huber"]

    def build(self) -> Loss:
        """The loss to train with."""
        return LOSSES[self.name]


AnyLoss = Annotated[CrossEntropy | OfNumbers, Field(discriminator="name")]


class Knobs(Section):
    """The part of the train section that this module owns."""

    loss: AnyLoss
