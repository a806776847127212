"""Minima of rows with weights, and from weights that are near."""

from retrain.models.linear import Inputs, Loss, loss_for, minimum

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge

DRAW = np.random.default_rng(1)
COLUMNS = DRAW.normal(size=(300, 4))
SCORES = COLUMNS @ [1.0, -2.0, 0.5, 0.0] + DRAW.normal(size=300)
COUNTS = DRAW.choice([0.0, 0.5, 3.0], 300)
NOTHING = np.zeros(0, np.int64)


def inputs() -> Inputs:
    return Inputs.of([np.ones(300), *COLUMNS.T], (NOTHING, NOTHING, np.zeros(0)), 0)


def loss(outputs: int, counts: np.ndarray) -> Loss:
    targets = SCORES[:, None] if outputs == 1 else (SCORES > 1).astype(np.int64)
    return loss_for(targets, outputs, torch.from_numpy(counts)[:, None])


def test_rows_of_numbers_have_weights():
    found = minimum(inputs(), loss(1, COUNTS), 1)
    expected = Ridge(1.0).fit(COLUMNS, SCORES, sample_weight=COUNTS)
    assert found[:, 0].numpy() == pytest.approx([expected.intercept_, *expected.coef_], abs=2e-3)


def test_rows_of_classes_have_weights():
    found = minimum(inputs(), loss(2, COUNTS), 2)
    expected = LogisticRegression(C=2.0, tol=1e-8).fit(COLUMNS, SCORES > 1, sample_weight=COUNTS)
    assert (found[:, 1] - found[:, 0]).numpy() == pytest.approx([*expected.intercept_, *expected.coef_[0]], abs=1e-2)


@pytest.mark.parametrize("outputs", [1, 2])
def test_near_start_needs_fewer_steps(outputs):
    calls = []

    def counted(predicted: torch.Tensor) -> tuple:
        calls.append(1)
        return loss(outputs, np.ones(300))(predicted)

    near = minimum(inputs(), loss(outputs, np.ones(300)), outputs, 30.0)
    minimum(inputs(), counted, outputs, 10.0)
    cold = len(calls)
    minimum(inputs(), counted, outputs, 10.0, near)
    assert len(calls) - cold <= cold
