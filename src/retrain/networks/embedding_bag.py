"""The mean of a text's word vectors, and one linear layer: the course's text classification model."""

from typing import ClassVar

from retrain import networks
from retrain.networks import NetworkKnobs
from retrain.params import AtLeastOne, PositiveNumber, Share

from torch import Tensor, nn


class Knobs(NetworkKnobs):
    """Knobs of `name: embedding_bag`."""

    width: AtLeastOne
    initial_range: PositiveNumber
    """Weights start uniform between minus this and this, biases at zero."""
    dropout: Share
    """The share of the mean vector's numbers that a training step leaves out (Srivastava et al. 2014)."""
    sparse: bool
    """Gradients only for the words of the batch: much faster, for optimizers that can take them."""


class Network(networks.Network):
    """Embedding bag (mean) and linear layer."""

    takes: ClassVar[str] = "text"

    def __init__(self, size: int, outputs: int, knobs: Knobs) -> None:
        nn.Module.__init__(self)
        self.embedding = nn.EmbeddingBag(size, knobs.width, mode="mean", sparse=knobs.sparse)
        self.dropout = nn.Dropout(knobs.dropout)
        self.linear = nn.Linear(knobs.width, outputs)
        nn.init.uniform_(self.embedding.weight, -knobs.initial_range, knobs.initial_range)
        nn.init.uniform_(self.linear.weight, -knobs.initial_range, knobs.initial_range)
        nn.init.zeros_(self.linear.bias)

    def forward(self, tokens: Tensor, offsets: Tensor) -> Tensor:
        """`tokens`: int64, the batch's ids end to end; `offsets`: int64, (batch,). Returns (batch, outputs)."""
        outputs: Tensor = self.linear(self.dropout(self.embedding(tokens, offsets)))
        return outputs
