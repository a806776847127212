"""The weighted sum of a text's feature vectors, and one linear layer: fastText's model, over weighted features."""

from typing import ClassVar

from retrain import networks
from retrain.networks import NetworkKnobs
from retrain.params import AtLeastOne, PositiveNumber

from torch import Tensor, nn


class Knobs(NetworkKnobs):
    """Knobs of `name: ngram_bag`."""

    width: AtLeastOne
    initial_range: PositiveNumber
    """Feature vectors start uniform between minus this and this."""
    output_range: PositiveNumber
    """So do the weights of the linear layer; its biases start at zero."""
    sparse: bool
    """Gradients only for the features of the batch: much faster, for optimizers that can take them."""


class Network(networks.Network):
    """Embedding bag (weighted sum) and linear layer."""

    takes: ClassVar[str] = "ngrams"

    def __init__(self, size: int, outputs: int, knobs: Knobs) -> None:
        nn.Module.__init__(self)
        self.embedding = nn.EmbeddingBag(size, knobs.width, mode="sum", sparse=knobs.sparse)
        self.linear = nn.Linear(knobs.width, outputs)
        nn.init.uniform_(self.embedding.weight, -knobs.initial_range, knobs.initial_range)
        nn.init.uniform_(self.linear.weight, -knobs.output_range, knobs.output_range)
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Tensor, weights: Tensor, offsets: Tensor) -> Tensor:
        """`features`: int64, the batch's end to end; `weights`: float32, of each; `offsets`: int64, (batch,).

        Returns (batch, outputs).
        """
        outputs: Tensor = self.linear(self.embedding(features, offsets, per_sample_weights=weights))
        return outputs
