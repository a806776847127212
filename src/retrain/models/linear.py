"""Linear models: the weights with the smallest loss and squared weights.

Minima of these losses are the ones that scikit-learn finds (a test compares them). Importing scikit-learn would take longer
than the fit of a small table, so this is a Newton method of a few lines: Lin, Weng and Keerthi, "Trust Region Newton Method
for Large-Scale Logistic Regression", JMLR 9 (2008), with halved steps instead of a trust region.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

__all__ = ["Inputs", "Sparse", "loss_for", "minimum"]


STEPS, SOLVER_STEPS, HALVINGS = 20, 50, 10
ACCURACY = 0.1
"""The part of its norm to which a step reduces the residual of Newton's linear system."""
TOLERANCE = 1e-3
"""The part of its first norm to which the gradient is reduced."""


Sparse = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Rows, columns and values of the entries of a sparse matrix: int64, int64, float64, (entries,)."""


@dataclass(frozen=True)
class Inputs:
    """The inputs of some rows: dense columns, of which the first is 1, and then sparse ones."""

    dense: Tensor
    """float64, (rows, dense columns)."""
    sparse: Tensor | None
    """float64, (rows, sparse columns), or None if there are none."""
    transposed: Tensor | None

    @classmethod
    def of(cls, dense: list[np.ndarray], sparse: Sparse, columns: int) -> "Inputs":
        """Arrange the columns; `columns` is the number of the sparse ones."""
        rows = len(dense[0])
        own = torch.from_numpy(np.stack(dense, axis=1))
        if not columns:
            return cls(own, None, None)
        places, numbers, values = sparse
        return cls(
            own, matrix(places, numbers, values, (rows, columns)), matrix(numbers, places, values, (columns, rows))
        )

    @property
    def columns(self) -> int:
        """The number of all columns."""
        return self.dense.shape[1] + (0 if self.sparse is None else self.sparse.shape[1])

    def times(self, weights: Tensor) -> Tensor:
        """The product with weights, (columns, outputs): (rows, outputs)."""
        width = self.dense.shape[1]
        products = self.dense @ weights[:width]
        return products if self.sparse is None else products + self.sparse @ weights[width:]

    def back(self, residuals: Tensor) -> Tensor:
        """The product of the transposed columns with residuals, (rows, outputs): (columns, outputs)."""
        products = self.dense.T @ residuals
        return products if self.transposed is None else torch.cat([products, self.transposed @ residuals])


def matrix(rows: np.ndarray, columns: np.ndarray, values: np.ndarray, shape: tuple[int, int]) -> Tensor:
    """A sparse matrix by rows (CSR)."""
    order = np.argsort(rows, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=shape[0]))])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch calls its sparse matrices a beta version
        starts, places, found = map(torch.from_numpy, (offsets, columns[order], values[order]))
        return torch.sparse_csr_tensor(starts, places, found, shape, check_invariants=False)


Loss = Callable[[Tensor], tuple[float, Tensor, Callable[[Tensor], Tensor]]]
"""From outputs to the sum of losses, its gradient, and the function that multiplies by its second derivatives."""


def loss_for(targets: np.ndarray, outputs: int, counts: Tensor) -> Loss:
    """Half the squared errors for numbers, (rows, 1), and cross entropies of the softmax for classes, (rows,).

    `counts` says how much each row counts, 0 for not at all: float64, (rows, 1).
    """
    if targets.dtype.kind == "f":
        return squared_errors(torch.from_numpy(targets).double(), counts)
    return cross_entropies(torch.nn.functional.one_hot(torch.from_numpy(targets), outputs) * counts, counts)


def squared_errors(targets: Tensor, counts: Tensor) -> Loss:
    """See `loss_for`."""

    def loss(outputs: Tensor) -> tuple[float, Tensor, Callable[[Tensor], Tensor]]:
        errors = outputs - targets
        slope = errors * counts
        return float((errors * slope).sum()) / 2, slope, lambda change: change * counts

    return loss


def cross_entropies(targets: Tensor, counts: Tensor) -> Loss:
    """See `loss_for`; targets are one-hot, times `counts`."""

    def loss(outputs: Tensor) -> tuple[float, Tensor, Callable[[Tensor], Tensor]]:
        logarithms = outputs.log_softmax(dim=1)
        shares = logarithms.exp()

        def curvature(change: Tensor) -> Tensor:
            weighted = shares * change * counts
            return weighted - shares * weighted.sum(dim=1, keepdim=True)

        return -float((targets * logarithms).sum()), shares * counts - targets, curvature

    return loss


def minimum(inputs: Inputs, loss: Loss, outputs: int, strength: float = 1.0, start: Tensor | None = None) -> Tensor:
    """The weights with the smallest sum of losses and half the squared weights, but for that of the constant column.

    Args:
        inputs: the columns.
        loss: what `loss_for` gives.
        outputs: the number of classes, or 1.
        strength: the factor of the squared weights.
        start: weights that are near, so that fewer steps are needed.
    """
    penalty = torch.full((inputs.columns, 1), strength, dtype=torch.float64)
    penalty[0] = 0.0
    weights = torch.zeros(inputs.columns, outputs, dtype=torch.float64) if start is None else start
    predicted = inputs.times(weights)
    total, slope, curvature = loss(predicted)
    total += penalised(weights, penalty)
    first = 0.0
    for _ in range(STEPS):
        gradient = inputs.back(slope) + penalty * weights
        norm = float(gradient.norm())
        first = first or norm
        if norm <= TOLERANCE * first:
            break
        step = solved(partial(curved, inputs, curvature, penalty), gradient)
        moved, expected = inputs.times(step), float((gradient * step).sum())
        for halving in range(HALVINGS):
            factor = 0.5**halving
            tried = weights - factor * step
            new, slope, curvature = loss(predicted - factor * moved)
            objective = new + penalised(tried, penalty)
            if objective <= total - 1e-4 * factor * expected:
                break
        weights, predicted, total = tried, predicted - factor * moved, objective
    return weights


def penalised(weights: Tensor, penalty: Tensor) -> float:
    """Half the penalised squares of the weights."""
    return float((penalty * weights.square()).sum()) / 2


def curved(inputs: Inputs, curvature: Callable[[Tensor], Tensor], penalty: Tensor, change: Tensor) -> Tensor:
    """The product of the second derivatives with a change of the weights."""
    return inputs.back(curvature(inputs.times(change))) + penalty * change


def solved(times: Callable[[Tensor], Tensor], wanted: Tensor) -> Tensor:
    """About the solution of a linear system, by conjugate gradients; `times` multiplies by its matrix."""
    solution, residual, direction = torch.zeros_like(wanted), wanted.clone(), wanted.clone()
    size = start = float(residual.square().sum())
    for _ in range(SOLVER_STEPS):
        product = times(direction)
        length = size / max(float((direction * product).sum()), 1e-300)
        solution += length * direction
        residual -= length * product
        previous, size = size, float(residual.square().sum())
        if size <= ACCURACY**2 * start:
            break
        direction = residual + size / previous * direction
    return solution
