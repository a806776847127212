"""A linear network: one weight per input and output."""

from typing import ClassVar

from retrain.models import networks
from retrain.models.networks import NetworkParameters

from torch import Tensor, nn

__all__ = ["Network", "Parameters"]


class Parameters(NetworkParameters):
    """Parameters of `name: linear`: none."""


class Network(networks.Network):
    """A linear layer. Its weights start at small random numbers, its biases at zero."""

    takes: ClassVar[str] = "numbers"

    def __init__(self, size: int, outputs: int, parameters: Parameters) -> None:
        super().__init__()
        self.linear = nn.Linear(size, outputs)
        nn.init.normal_(self.linear.weight, std=0.01)
        nn.init.zeros_(self.linear.bias)

    def forward(self, values: Tensor) -> Tensor:
        """`values`: float32, (batch, inputs). Returns (batch, outputs)."""
        outputs: Tensor = self.linear(values)
        return outputs
