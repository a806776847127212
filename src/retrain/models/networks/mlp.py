"""A multilayer perceptron with one hidden layer and ReLU."""

from typing import ClassVar

from retrain.models import networks
from retrain.models.networks import NetworkParameters
from retrain.schema import AtLeastOne, Share

from torch import Tensor, nn

__all__ = ["Network", "Parameters"]


class Parameters(NetworkParameters):
    """Parameters of `name: mlp`."""

    hidden: AtLeastOne
    dropout: Share
    """The share of hidden units that a training step sets to zero (Srivastava et al. 2014)."""


class Network(networks.Network):
    """Linear layer, ReLU, linear layer. 10 inputs, 50 hidden units and 1 output are 601 parameters."""

    takes: ClassVar[str] = "numbers"

    def __init__(self, size: int, outputs: int, parameters: Parameters) -> None:
        super().__init__()
        self.hidden = nn.Linear(size, parameters.hidden)
        self.dropout = nn.Dropout(parameters.dropout)
        self.output = nn.Linear(parameters.hidden, outputs)
        nn.init.kaiming_uniform_(self.hidden.weight, nonlinearity="relu")  # He et al. 2015
        nn.init.xavier_uniform_(self.output.weight)  # Glorot and Bengio 2010
        nn.init.zeros_(self.hidden.bias)
        nn.init.zeros_(self.output.bias)

    def forward(self, values: Tensor) -> Tensor:
        """`values`: float32, (batch, inputs). Returns (batch, outputs)."""
        outputs: Tensor = self.output(self.dropout(self.hidden(values).relu()))
        return outputs
