"""The mean of the word vectors of a text, and one linear layer."""

from typing import ClassVar

from retrain.models import networks
from retrain.models.networks import NetworkParameters
from retrain.schema import AtLeastOne, PositiveNumber, Share

from torch import Tensor, nn

__all__ = ["Network", "Parameters"]


class Parameters(NetworkParameters):
    """Parameters of `name: embedding_bag`."""

    embedding_dim: AtLeastOne
    embedding_init: PositiveNumber
    """Initial weights are uniform between minus this value and this value; biases are zero."""
    dropout: Share
    """The share of the numbers in the mean vector that a training step sets to zero (Srivastava et al. 2014)."""
    sparse: bool
    """Compute gradients for the words of a batch only: much faster, but not every optimizer supports it.

    With `rowwise_adagrad`, a word that a batch has twice counts twice in the sum of squared gradients of its row.
    """


class Network(networks.Network):
    """Embedding bag (mean) and linear layer."""

    takes: ClassVar[str] = "text"

    def __init__(self, size: int, outputs: int, parameters: Parameters) -> None:
        super().__init__()
        self.embedding = nn.EmbeddingBag(size, parameters.embedding_dim, mode="mean", sparse=parameters.sparse)
        self.dropout = nn.Dropout(parameters.dropout)
        self.linear = nn.Linear(parameters.embedding_dim, outputs)
        nn.init.uniform_(self.embedding.weight, -parameters.embedding_init, parameters.embedding_init)
        nn.init.uniform_(self.linear.weight, -parameters.embedding_init, parameters.embedding_init)
        nn.init.zeros_(self.linear.bias)

    def forward(self, tokens: Tensor, offsets: Tensor) -> Tensor:
        """`tokens`: int64, the ids of all rows, concatenated; `offsets`: int64, (batch,), the start of each row. Returns (batch, outputs)."""
        outputs: Tensor = self.linear(self.dropout(self.embedding(tokens, offsets)))
        return outputs
