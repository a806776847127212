"""Blend a trained network with linear models, one for each fold.

On few rows a linear model is often better than a network, and their average better than both. All choices are made by the loss
on rows that neither has learned from. Networks that can be blended have a method `blend`, and say so by `train.network.blend`.
"""

import math
from collections.abc import Iterator
from operator import itemgetter
from typing import TYPE_CHECKING, cast

from retrain.models.linear import Inputs, loss_for, minimum
from retrain.training.history import copied_weights
from retrain.training.loop import outputs_for
from retrain.training.setup import Training

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from retrain.data.encoders.mixed import Encoder
    from retrain.models.losses import Loss
    from retrain.models.networks.mixed import Network

__all__ = ["blend"]


SCALES = (0.1, 0.3)
"""What the columns of a piecewise-linear code are multiplied by: the smaller, the closer to a line is the effect of a number."""
STRENGTHS = (30.0, 10.0, 3.0, 1.0, 0.3, 0.1)
"""The factors of the squared weights."""
SHARES = [tenths / 10 for tenths in range(11)]
"""The shares of the linear models."""


def blend(training: Training) -> float:
    """Blend the weights of the best epoch with the best linear models, and return the share of these."""
    network, best, config = cast("Network", training.state.evaluated), training.history.best, training.config
    linear = best_linear(training)

    def blended(share: float) -> float:
        network.load_state_dict(best.weights)
        network.blend(linear, share)
        return config.loss(*outputs_for(network, training.data.validation, config)).item()

    share = min(SHARES, key=blended)
    blended(share)
    best.weights = copied_weights(network)
    return share


def best_linear(training: Training) -> Tensor:
    """The weights of the linear models with the smallest loss on their own folds: float64, (folds, 1 + columns, outputs)."""
    targets = torch.from_numpy(np.array(training.data.train.arrays["targets"]))
    found: list[tuple[float, Tensor]] = []
    for scale in SCALES:
        previous = math.inf
        for weights, outputs in linear_models(training, scale):
            loss = training.config.loss(outputs.float(), targets).item()
            found.append((loss, weights))
            if loss > previous:
                break  # smaller penalties would only be worse, and take longer
            previous = loss
    return min(found, key=itemgetter(0))[1]


def linear_models(training: Training, scale: float) -> Iterator[tuple[Tensor, Tensor]]:
    """The weights of the linear models, and their outputs for the rows of their own folds, from strong penalties to weak ones."""
    encoder, arrays = cast("Encoder", training.data.encoder), training.data.train.arrays
    count = training.data.task.outputs
    targets, fold_of = np.array(arrays["targets"]), torch.from_numpy(np.array(arrays["folds"]))
    values, codes = encoder.gather(arrays, np.arange(len(targets)))[:2]
    numbers = codes + np.cumsum([0, *encoder.size.codes])[:-1]
    rows, columns = np.repeat(np.arange(len(codes)), codes.shape[1]), sum(encoder.size.codes)
    scales = np.where(encoder.steps, scale, 1.0)
    dense = [np.ones(len(targets)), *(values * scales).T]
    inputs = Inputs.of(dense, (rows, numbers.ravel(), np.ones(numbers.size)), columns)
    factors = torch.from_numpy(np.concatenate([[1.0], scales, np.ones(columns)]))[:, None]
    row_weights = cast("Loss", training.config.loss).weights_of(torch.from_numpy(targets))[:, None]
    near: dict[int, Tensor] = {}
    for strength in STRENGTHS:
        outputs = torch.zeros(len(targets), count, dtype=torch.float64)
        for fold in range(int(fold_of.max()) + 1):
            used = (fold_of != fold).double()[:, None]
            near[fold] = minimum(inputs, loss_for(targets, count, used * row_weights), count, strength, near.get(fold))
            outputs += inputs.times(near[fold]) * (1.0 - used)
        yield torch.stack([weights * factors for weights in near.values()]), outputs
