"""An ensemble of small networks for tables of numbers, categories, texts and dates, in one module.

There is one member per fold: it learns from the rows of all other folds, so every row is a validation row of one member. A
member has several heads that share its large weights (BatchEnsemble, Wen et al. 2020; TabM, Gorishniy et al. 2025), and a
linear part (Wide & Deep, Cheng et al. 2016). Weights of all members have the fold as their first dimension.
"""

import math
from typing import TYPE_CHECKING, ClassVar, Literal

from retrain.models import networks
from retrain.models.networks import NetworkParameters
from retrain.schema import AtLeastOne, Share

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from retrain.data.encoders.mixed import Size

__all__ = ["Network", "Parameters"]


SMALLEST = 1e-9
"""The smallest probability that an average is taken for."""


class Parameters(NetworkParameters):
    """Parameters of `name: mixed`."""

    hidden: AtLeastOne
    """Units of each of the two hidden layers of a member."""
    heads: AtLeastOne
    """Heads of each member."""
    category_dim: AtLeastOne
    """Numbers in the vector of a category with many values."""
    text_dim: AtLeastOne
    """Numbers in the vector of an n-gram."""
    dropout: Share
    """The share of hidden units that a training step sets to zero (Srivastava et al. 2014)."""
    blend: Literal["linear"] | None = None
    """`linear`: after training, outputs are averaged with those of a linear model of the same numbers, categories and dates. Rows
    that neither has learned from decide its share. It helps on small tables; on large ones it takes long."""


def uniform(*shape: int, fan_in: int) -> nn.Parameter:
    """Weights between plus and minus 1 / sqrt(fan_in).

    They are computed in place: on the meta device, where saved models are built, any other arithmetic imports torch's compiler.
    """
    return nn.Parameter(nn.init.uniform_(torch.empty(*shape), -1, 1).div_(math.sqrt(max(fan_in, 1))))


class Bag(nn.EmbeddingBag):
    """Sums of the vectors of n-grams, one vector per member, with sparse gradients."""

    def __init__(self, terms: int, folds: int, dim: int, limit: float) -> None:
        super().__init__(terms, folds * dim, mode="sum", sparse=True)
        self.folds = folds
        nn.init.uniform_(self.weight, -limit, limit)

    def forward(self, features: Tensor, weights: Tensor, offsets: Tensor) -> Tensor:  # type: ignore[override]
        """The sums, by member: (folds, batch, dim)."""
        sums: Tensor = super().forward(features, offsets, per_sample_weights=weights)
        return sums.view(offsets.shape[0], self.folds, -1).transpose(0, 1)


class Network(networks.Network):
    """Two hidden layers with ReLU and a linear part, for each member.

    See `forward` for what it returns in training and in evaluation.
    """

    takes: ClassVar[str] = "mixed"
    uses_folds: ClassVar[bool] = True

    def __init__(self, size: "Size", outputs: int, parameters: Parameters, folds: int) -> None:
        super().__init__()
        heads, hidden = parameters.heads, parameters.hidden
        self.folds, self.heads, self.outputs = folds, heads, outputs
        self.dropout = nn.Dropout(parameters.dropout)
        self.linear_weight = nn.Parameter(torch.zeros(folds, size.values, outputs))
        self.register_buffer(
            "first_codes", torch.tensor([sum(size.codes[:n]) for n in range(len(size.codes))], dtype=torch.int64)
        )
        self.has_codes, self.has_texts = bool(size.codes), bool(size.terms)
        if size.codes:
            self.vectors = nn.Embedding(sum(size.codes), folds * parameters.category_dim)
            self.constants = nn.Embedding(sum(size.codes), folds * outputs)
            nn.init.normal_(self.vectors.weight, std=0.3)
            nn.init.zeros_(self.constants.weight)
        if size.terms:
            self.texts = Bag(size.terms, folds, parameters.text_dim, 0.05)
            self.text_constants = Bag(size.terms, folds, outputs, 0.0)
        dims = parameters.category_dim * len(size.codes) + (parameters.text_dim if size.terms else 0)
        width = size.values + dims
        self.first_weight = uniform(folds, size.values, hidden, fan_in=width)
        if dims:
            self.first_vectors_weight = uniform(folds, dims, hidden, fan_in=width)
        self.first_scale = nn.Parameter(
            torch.randint(2, (folds, heads, 1, hidden), dtype=torch.float32).mul_(2).sub_(1)
        )
        self.first_bias = uniform(folds, heads, 1, hidden, fan_in=width)
        self.second_weight = uniform(folds, hidden, hidden, fan_in=hidden)
        self.second_scale = nn.Parameter(torch.ones(folds, heads, 1, hidden))
        self.second_bias = uniform(folds, heads, 1, hidden, fan_in=hidden)
        self.output_weight = uniform(folds, heads, hidden, outputs, fan_in=hidden)
        self.output_bias = nn.Parameter(torch.zeros(folds, heads, 1, outputs))

    def forward(  # noqa: PLR0913, PLR0917 (one argument per array of the encoder)
        self,
        values: Tensor,
        codes: Tensor,
        features: Tensor,
        weights: Tensor,
        offsets: Tensor,
        folds: Tensor | None = None,
    ) -> Tensor:
        """The outputs for a batch of rows.

        Args:
            values: float32, (batch, values).
            codes: int64, (batch, categories).
            features: the n-grams of all rows: int64, concatenated.
            weights: float32, one per n-gram.
            offsets: the start of each row's n-grams: int64, (batch,).
            folds: the fold of each row: int64, (batch,). Without it, all heads are averaged.

        Returns:
            In training, the outputs of each head that may learn from a row: (batch x heads, outputs), those of a row
            together. Otherwise an average, (batch, outputs): of the heads that did not learn from the row, or of all heads
            where the folds are unknown.
        """
        linear, vectors = self.linear_part(codes, (features, weights, offsets) if self.has_texts else None)
        if folds is None:
            deep = self.heads_of(values.expand(self.folds, -1, -1), vectors)
            return average((deep + linear).transpose(0, 1).flatten(1, 2).contiguous())  # the layout decides last digits
        members = torch.arange(self.folds, device=values.device)[:, None]
        used = members != folds if self.training else members == folds
        # A member computes its rows only. The longest list of rows decides; the shorter ones end with rows that are not used.
        rows = used.byte().argsort(dim=1, descending=True, stable=True)[:, : int(used.sum(dim=1).max())]
        outputs = values.new_zeros(self.folds, len(values), self.heads, self.outputs)
        deep = self.heads_of(values[rows], None if vectors is None else vectors[members, rows])
        outputs = outputs.index_put((members, rows), deep) + linear
        chosen = outputs.transpose(0, 1)[used.T]
        if self.training:
            return chosen.flatten(0, 1)
        return average(chosen.view(len(values), -1, self.outputs))

    def linear_part(
        self, codes: Tensor, texts: tuple[Tensor, Tensor, Tensor] | None
    ) -> tuple[Tensor | float, Tensor | None]:
        """What categories and texts add to the outputs, (folds, batch, 1, outputs), and their vectors, (folds, batch, dims)."""
        linear: Tensor | float = 0.0
        vectors = []
        if texts is not None:
            vectors.append(self.texts(*texts))
            linear = linear + self.text_constants(*texts)[:, :, None]
        if self.has_codes:
            numbers = codes + self.get_buffer("first_codes")
            vectors.append(self.by_fold(self.vectors(numbers)).flatten(2))
            linear = linear + self.by_fold(self.constants(numbers)).sum(dim=2, keepdim=True)
        return linear, torch.cat(vectors, dim=2) if vectors else None

    def heads_of(self, values: Tensor, vectors: Tensor | None) -> Tensor:
        """The outputs of the heads from (folds, rows, values) and (folds, rows, dims): (folds, rows, heads, outputs)."""
        shared = values @ self.first_weight
        if vectors is not None:
            shared = shared + vectors @ self.first_vectors_weight
        hidden = self.thinned(torch.addcmul(self.first_bias, shared[:, None], self.first_scale).relu())
        second = (hidden.flatten(1, 2) @ self.second_weight).view_as(hidden)
        hidden = self.thinned(torch.addcmul(self.second_bias, second, self.second_scale).relu())
        outputs: Tensor = hidden @ self.output_weight + self.output_bias + (values @ self.linear_weight)[:, None]
        return outputs.transpose(1, 2)

    @torch.no_grad()
    def blend(self, linear: Tensor, share: float) -> None:
        """Replace a share of the outputs by those of linear models.

        Args:
            linear: their weights, (folds, 1 + values + codes, outputs): first the constant.
            share: between 0 and 1.
        """
        values = self.linear_weight.shape[1]
        constant, of_values, of_codes = linear.to(self.linear_weight).tensor_split([1, 1 + values], dim=1)
        self.output_weight.mul_(1.0 - share)
        self.output_bias.lerp_(constant[:, None].expand_as(self.output_bias), share)
        self.linear_weight.lerp_(of_values, share)
        if self.has_codes:
            self.constants.weight.lerp_(of_codes.transpose(0, 1).flatten(1), share)
        if self.has_texts:
            self.text_constants.weight.mul_(1.0 - share)

    def by_fold(self, vectors: Tensor) -> Tensor:
        """Vectors of all members, (batch, categories, folds x dim), by member: (folds, batch, categories, dim)."""
        return vectors.view(*vectors.shape[:2], self.folds, -1).permute(2, 0, 1, 3)

    def thinned(self, hidden: Tensor) -> Tensor:
        """Hidden units with dropout. The heads of a member share the mask, which is slow to draw."""
        if not self.training:
            return hidden
        mask: Tensor = self.dropout(torch.ones_like(hidden[:, :1]))
        return hidden * mask


def average(outputs: Tensor) -> Tensor:
    """The mean number of some heads, or the logarithm of their mean probabilities: (batch, heads, outputs) to (batch, outputs)."""
    if outputs.shape[-1] == 1:
        return outputs.mean(dim=1)
    return functional.softmax(outputs, dim=-1).mean(dim=1).clamp_min(SMALLEST).log()
