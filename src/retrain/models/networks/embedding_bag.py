"""The mean of a text's word vectors, and one linear layer: the course's text classification model."""

from typing import ClassVar

from retrain.models import networks
from retrain.models.networks import NetworkParameters
from retrain.schema import AtLeastOne, PositiveNumber, Share

from torch import Tensor, nn


class Parameters(NetworkParameters):
    """Parameters of `name: embedding_bag`."""

    embedding_dim: AtLeastOne
    embedding_init: PositiveNumber
    """Weights start uniform between minus this and this, biases at zero."""
    dropout: Share
    """The share of the mean vector's numbers that a training step leaves out (Srivastava et al. 2014)."""
    sparse: bool
    """Gradients only for the words of the batch: much faster, for optimizers that can take them."""


class Network(networks.Network):
    """Embedding bag (mean) and linear layer."""

    takes: ClassVar[str] = "text"

    def __init__(self, size: int, outputs: int, parameters: Parameters) -> None:
        nn.Module.__init__(self)
        self.embedding = nn.EmbeddingBag(size, parameters.embedding_dim, mode="mean", sparse=parameters.sparse)
        self.dropout = nn.Dropout(parameters.dropout)
        self.linear = nn.Linear(parameters.embedding_dim, outputs)
        nn.init.uniform_(self.embedding.weight, -parameters.embedding_init, parameters.embedding_init)
        nn.init.uniform_(self.linear.weight, -parameters.embedding_init, parameters.embedding_init)
        nn.init.zeros_(self.linear.bias)

    def forward(self, tokens: Tensor, offsets: Tensor) -> Tensor:
        """`tokens`: int64, the batch's ids end to end; `offsets`: int64, (batch,). Returns (batch, outputs)."""
        outputs: Tensor = self.linear(self.dropout(self.embedding(tokens, offsets)))
        return outputs
