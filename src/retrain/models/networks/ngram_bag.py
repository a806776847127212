"""The weighted sum of the feature vectors of a text, and one linear layer: the model of fastText, with weights."""

from typing import ClassVar

from retrain.models import networks
from retrain.models.networks import NetworkParameters
from retrain.schema import AtLeastOne, PositiveNumber

from torch import Tensor, nn

__all__ = ["Network", "Parameters"]


class Parameters(NetworkParameters):
    """Parameters of `name: ngram_bag`."""

    embedding_dim: AtLeastOne
    embedding_init: PositiveNumber
    """Initial feature vectors are uniform between minus this value and this value."""
    output_init: PositiveNumber
    """The same for the weights of the linear layer; its biases are zero."""
    sparse: bool
    """Compute gradients for the features of a batch only: much faster, but not every optimizer supports it.

    With `rowwise_adagrad`, a feature that a batch has twice counts twice in the sum of squared gradients of its row.
    """


class Network(networks.Network):
    """Embedding bag (weighted sum) and linear layer."""

    takes: ClassVar[str] = "ngrams"

    def __init__(self, size: int, outputs: int, parameters: Parameters) -> None:
        super().__init__()
        self.embedding = nn.EmbeddingBag(size, parameters.embedding_dim, mode="sum", sparse=parameters.sparse)
        self.linear = nn.Linear(parameters.embedding_dim, outputs)
        nn.init.uniform_(self.embedding.weight, -parameters.embedding_init, parameters.embedding_init)
        nn.init.uniform_(self.linear.weight, -parameters.output_init, parameters.output_init)
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Tensor, weights: Tensor, offsets: Tensor) -> Tensor:
        """`features`: int64, those of all rows, concatenated; `weights`: float32, one per feature.

        `offsets`: int64, (batch,), the start of each row. Returns (batch, outputs).
        """
        outputs: Tensor = self.linear(self.embedding(features, offsets, per_sample_weights=weights))
        return outputs
