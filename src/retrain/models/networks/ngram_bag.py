"""The weighted sum of a text's feature vectors, and one linear layer: fastText's model, over weighted features."""

from typing import ClassVar

from retrain.models import networks
from retrain.models.networks import NetworkParameters
from retrain.schema import AtLeastOne, PositiveNumber

from torch import Tensor, nn


class Parameters(NetworkParameters):
    """Parameters of `name: ngram_bag`."""

    embedding_dim: AtLeastOne
    embedding_init: PositiveNumber
    """Feature vectors start uniform between minus this and this."""
    output_init: PositiveNumber
    """So do the weights of the linear layer; its biases start at zero."""
    sparse: bool
    """Gradients only for the features of the batch: much faster, for optimizers that can take them."""


class Network(networks.Network):
    """Embedding bag (weighted sum) and linear layer."""

    takes: ClassVar[str] = "ngrams"

    def __init__(self, size: int, outputs: int, parameters: Parameters) -> None:
        nn.Module.__init__(self)
        self.embedding = nn.EmbeddingBag(size, parameters.embedding_dim, mode="sum", sparse=parameters.sparse)
        self.linear = nn.Linear(parameters.embedding_dim, outputs)
        nn.init.uniform_(self.embedding.weight, -parameters.embedding_init, parameters.embedding_init)
        nn.init.uniform_(self.linear.weight, -parameters.output_init, parameters.output_init)
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Tensor, weights: Tensor, offsets: Tensor) -> Tensor:
        """`features`: int64, the batch's end to end; `weights`: float32, of each; `offsets`: int64, (batch,).

        Returns (batch, outputs).
        """
        outputs: Tensor = self.linear(self.embedding(features, offsets, per_sample_weights=weights))
        return outputs
