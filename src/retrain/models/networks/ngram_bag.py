"""One weight for each feature of a text and each output, and a bias: linear, as in NB-SVM (Wang and Manning 2012)."""

from collections.abc import Mapping
from typing import Any, ClassVar

from retrain.models import networks
from retrain.models.networks import NetworkParameters
from retrain.schema import PositiveNumber

import numpy as np
import torch
from pydantic import NonNegativeFloat
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional

__all__ = ["Network", "Parameters"]


class Parameters(NetworkParameters):
    """Parameters of `name: ngram_bag`."""

    scale: PositiveNumber
    """The factor of the sums of weights. Rows have unit length, so without it their weights would need a learning rate of
    hundreds, but the biases one of about 1."""
    sparse: bool
    """Compute gradients for the features of a batch only: much faster, but not every optimizer supports it."""
    naive_bayes: NonNegativeFloat = 0.0
    """Start from the weights of naive Bayes, times this number; 0 starts at zero. It has no effect on numeric targets."""


class WeightedSums(Function):
    """The sum of the weights of each row's features, where every group of features has its scale.

    A weight is kept as the product of the feature's own weight and what is learned. So the output is a plain sum, and a
    step of gradient descent for what is learned is a step for the product, times the square of the feature's weight.
    That step is what the backward pass gives. It adds up the features of the batch in their order, by sorted lists that
    `gather` prepares; torch would look up every feature of every row twice.
    """

    @staticmethod
    def forward(ctx: Any, weight: Tensor, sparse: bool, *batch: Tensor) -> Tensor:  # noqa: FBT001 (`apply` has no names)
        """The outputs, (batch, outputs), from `weight`, (features, outputs), and what `Encoder.gather` returns."""
        features, offsets, *transposed, scales = batch
        ctx.save_for_backward(weight, *transposed, scales)
        ctx.sparse = sparse
        return sums_of(weight, features, offsets, scales)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of `weight`: (features, outputs), sparse if the network is."""
        weight, distinct, squares, bags, starts, scales = ctx.saved_tensors
        of_bags = (gradients[0].unsqueeze(1) * scales.unsqueeze(2)).flatten(0, 1)
        of_features = functional.embedding_bag(bags, of_bags, starts, mode="sum").mul_(squares.unsqueeze(1))
        gradient = torch.sparse_coo_tensor(
            distinct.long().unsqueeze(0), of_features, weight.shape, is_coalesced=True, check_invariants=False
        )
        return gradient if ctx.sparse else gradient.to_dense(), *[None] * 8


class Network(networks.Network):
    """The weighted sum of the features, times `scale`, and a bias.

    The loss is convex in them, but a few epochs do not reach its minimum, which would overfit. They stay near their start.
    So a start at the weights of naive Bayes makes better predictions in fewer epochs than a start at zero.
    """

    takes: ClassVar[str] = "ngrams"
    rowwise: ClassVar[bool] = True
    """The outputs of a row do not depend on the number of rows: there is no product of matrices."""

    def __init__(self, size: int, outputs: int, parameters: Parameters) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(size, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale, self.sparse, self.naive_bayes = parameters.scale, parameters.sparse, parameters.naive_bayes

    def start_from(self, arrays: Mapping[str, Any]) -> None:
        """Set the weights to the log-count ratios of the classes, times the features' own weights and `naive_bayes / scale`."""
        if self.naive_bayes and "log_ratios" in arrays:
            factors = arrays["feature_weights"][:, None] * np.float32(self.naive_bayes / self.scale)
            with torch.no_grad():
                self.weight.copy_(torch.from_numpy(arrays["log_ratios"] * factors))

    def predict(self, *arrays: np.ndarray) -> Tensor:
        """The outputs for a batch. A single row is left to numpy, whose calls take less time than those of torch."""
        features, offsets, scales = arrays
        if len(scales) > 1 or self.bias.shape[0] == 1:  # numpy adds up a single column in another order
            return super().predict(*arrays)
        weight, bias = self.weight.detach().numpy(), self.bias.detach().numpy()
        sums = np.zeros_like(bias)
        ends = [*offsets[1:].tolist(), len(features)]
        for begin, end, scale in zip(offsets.tolist(), ends, scales[0], strict=True):
            sums += np.add.reduce(weight.take(features[begin:end], axis=0), axis=0) * scale
        return torch.from_numpy(self.scale * sums + bias)[None]

    def forward(self, *batch: Tensor) -> Tensor:
        """`batch`: what `gather` of the encoder `ngrams` returns, or `gather_to_predict`. Returns (batch, outputs)."""
        if len(batch) == len(("features", "offsets", "scales")):
            return self.scale * sums_of(self.weight, *batch) + self.bias
        sums: Tensor = WeightedSums.apply(self.weight, self.sparse, *batch)  # type: ignore[no-untyped-call]
        return self.scale * sums + self.bias


def sums_of(weight: Tensor, features: Tensor, offsets: Tensor, scales: Tensor) -> Tensor:
    """The sum of the weights of each row's features, where every group of features has its scale: (batch, outputs)."""
    sums = functional.embedding_bag(features, weight, offsets, mode="sum")
    return (sums.view(*scales.shape, -1) * scales.unsqueeze(2)).sum(dim=1)
