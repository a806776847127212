"""Optimizers: torch's own give the same bits as in torch, and row-wise Adagrad follows its formula."""

import io
import math
from collections.abc import Callable
from copy import deepcopy

from retrain import schema
from retrain.errors import RetrainError
from retrain.training import optimizers
from retrain.training.optimizers import RowwiseAdagradOptimizer

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn, optim

unhurried = settings(deadline=None, max_examples=100)
INITIAL = 1e-6
SHAPES = [(6,), (6, 3), (6, 2, 3)]
shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)


def normal(shape: tuple[int, ...], count: int, seed: int = 0) -> list[Tensor]:
    """Some tensors of normal numbers."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) for _ in range(count)]


def sparse(rows: list[int], values: Tensor, size: int) -> Tensor:
    """A gradient that holds only these rows, as often as they are named."""
    shape = (size, *values.shape[1:])
    return torch.sparse_coo_tensor(torch.tensor([rows]), values.clone(), shape, check_invariants=True)


def stepped(parameter: nn.Parameter, gradients: list[Tensor], optimizer: RowwiseAdagradOptimizer) -> nn.Parameter:
    """The parameter after a step for each gradient."""
    for gradient in gradients:
        parameter.grad = gradient.clone()
        optimizer.step()
    return parameter


def moved(start: Tensor, gradients: list[Tensor], learning_rates: list[float]) -> np.ndarray:
    """Where the docstring's formula leads, row by row and number by number."""
    rows = start.double().reshape(len(start), -1).tolist()
    sums = [INITIAL] * len(rows)
    for gradient, learning_rate in zip(gradients, learning_rates, strict=True):
        for number, row in enumerate(gradient.double().reshape(len(start), -1).tolist()):
            sums[number] += sum(value * value for value in row) / len(row)
            rate = learning_rate / math.sqrt(sums[number])
            rows[number] = [old - rate * value for old, value in zip(rows[number], row, strict=True)]
    return np.array(rows).reshape(start.shape)


@pytest.mark.parametrize(
    ("section", "original"),
    [
        ({"name": "sgd", "momentum": 0.9, "weight_decay": 0.1}, lambda parameters: optim.SGD(parameters, 0.3, 0.9, 0, 0.1)),
        ({"name": "adamw", "beta1": 0.8, "beta2": 0.9, "weight_decay": 0.1},
         lambda parameters: optim.AdamW(parameters, 0.3, (0.8, 0.9), weight_decay=0.1)),
        ({"name": "adagrad", "weight_decay": 0.1}, lambda parameters: optim.Adagrad(parameters, 0.3, weight_decay=0.1)),
    ],
    ids=lambda value: value["name"] if isinstance(value, dict) else "",
)  # fmt: skip
def test_same_bits_as_torch(section, original):
    start, *gradients = normal((6, 3), 9)
    chosen = schema.check({"optimizer": section, "schedule": {"name": "constant"}}, optimizers.Parameters, "train")
    found = []
    for build in (lambda parameters: chosen.optimizer.build(nn.ParameterList(parameters), 0.3), original):
        parameter = nn.Parameter(start.clone())
        optimizer = build([parameter])
        for gradient in gradients:
            optimizer.zero_grad()
            assert parameter.grad is None
            parameter.grad = gradient.clone()
            optimizer.step()
        found.append((parameter, optimizer.state_dict()))
    (ours, state), (theirs, expected) = found
    assert torch.equal(ours, theirs)
    assert state["param_groups"] == expected["param_groups"]
    assert all(torch.equal(value, expected["state"][0][name]) for name, value in state["state"][0].items())


@shapes
@pytest.mark.parametrize("rows", [[0, 2, 5], [5, 2, 0], [2, 2, 5]], ids=["ascending", "descending", "repeated"])
def test_sgd_steps_are_the_same_for_sparse_gradients(shape, rows):
    start, values = normal((6, *shape[1:]), 2)
    section = {"name": "sgd", "momentum": 0.0, "weight_decay": 0.0}
    chosen = schema.check({"optimizer": section, "schedule": {"name": "constant"}}, optimizers.Parameters, "train")
    thin, full = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    optimizer = chosen.optimizer.build(nn.ParameterList([thin, full]), 0.3)
    thin.grad = sparse(rows, values[:3], 6)
    full.grad = thin.grad.to_dense()
    optimizer.step()
    torch.testing.assert_close(thin, full, rtol=0, atol=1e-6)
    assert not torch.equal(thin, start)


def test_adamw_rowwise_is_adamw_and_rowwise_adagrad():
    section = {"name": "adamw_rowwise", "beta1": 0.8, "beta2": 0.9, "weight_decay": 0.1, "sparse_learning_rate": 0.7}
    chosen = schema.check({"optimizer": section, "schedule": {"name": "constant"}}, optimizers.Parameters, "train")
    assert chosen.optimizer.takes_sparse_gradients
    torch.manual_seed(0)
    network = nn.ModuleDict({"bag": nn.EmbeddingBag(9, 3, mode="sum", sparse=True), "linear": nn.Linear(3, 2)})
    twin = deepcopy(network)
    references = (
        optim.AdamW([twin["linear"].weight], 0.3, (0.8, 0.9), weight_decay=0.1),
        optim.AdamW([twin["linear"].bias], 0.3, (0.8, 0.9), weight_decay=0.0),
        RowwiseAdagradOptimizer([twin["bag"].weight], 0.7),
    )
    tokens = torch.tensor([[0, 5, 5], [8, 1, 0]])
    for parts, steps in ((network, [chosen.optimizer.build(network, 0.3)]), (twin, references)):
        for _ in range(5):
            parts["linear"](parts["bag"](tokens)).square().sum().backward()
            for optimizer in steps:
                optimizer.step()
            parts.zero_grad()
    for name, weight in twin.state_dict().items():
        torch.testing.assert_close(network.state_dict()[name], weight, rtol=1e-5, atol=1e-6)


@shapes
def test_dense_step_follows_formula(shape):
    start, *gradients = normal(shape, 6)
    parameter = nn.Parameter(start.clone())
    stepped(parameter, gradients, RowwiseAdagradOptimizer([parameter], 0.3))
    np.testing.assert_allclose(parameter.detach(), moved(start, gradients, [0.3] * 5), rtol=1e-5, atol=1e-6)


def test_initial_sum_limits_first_step():
    parameter = nn.Parameter(torch.zeros(1, 2))
    stepped(parameter, [torch.tensor([[3e-4, 4e-4]])], RowwiseAdagradOptimizer([parameter], 1.0))
    length = math.sqrt(INITIAL + 12.5e-8)
    assert parameter.flatten().tolist() == pytest.approx([-3e-4 / length, -4e-4 / length])


@shapes
def test_sparse_step_equals_dense(shape):
    start, *values = normal(shape, 5)
    named = [[2, 0, 5], [1, 2, 3, 4, 5, 0], [4], [5, 2]]
    gradients = [sparse(rows, value[: len(rows)], 6) for rows, value in zip(named, values, strict=True)]
    thin, full = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    optimizer = RowwiseAdagradOptimizer([thin, full], 0.3)
    for gradient in gradients:
        thin.grad, full.grad = gradient.clone(), gradient.to_dense()
        optimizer.step()
    assert torch.equal(thin, full)
    assert torch.equal(optimizer.state[thin]["sum"], optimizer.state[full]["sum"])
    assert not torch.equal(thin, start)


def test_each_matrix_has_its_rate():
    start, values = normal((3, 3, 2), 2)
    parameter = nn.Parameter(start.clone())
    stepped(parameter, [sparse([0, 1, 2], values, 3)], RowwiseAdagradOptimizer([parameter], 0.3))
    np.testing.assert_allclose(parameter.detach(), moved(start, [values], [0.3]), rtol=1e-5, atol=1e-6)


@unhurried
@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=9), min_size=1, max_size=4))
def test_repeated_row_counts_twice(batches):
    parameter = nn.Parameter(torch.zeros(4, 2))
    optimizer = RowwiseAdagradOptimizer([parameter], 0.3)
    sums, places = [INITIAL] * 4, np.zeros((4, 2))
    for number, rows in enumerate(batches):
        (values,) = normal((len(rows), 2), 1, seed=number)
        stepped(parameter, [sparse(rows, values, 4)], optimizer)
        entries = list(zip(rows, values.double().numpy(), strict=True))
        for row, value in entries:
            sums[row] += np.square(value).mean()
        for row, value in entries:
            places[row] -= 0.3 * value / math.sqrt(sums[row])
    assert optimizer.state[parameter]["sum"].tolist() == pytest.approx(sums, rel=1e-5)
    np.testing.assert_allclose(parameter.detach(), places, rtol=1e-4, atol=1e-5)


@unhurried
@given(st.lists(st.integers(0, 5), max_size=9), st.booleans())
def test_other_rows_stay(rows, as_dense):
    start, values = normal((6, 3), 1)[0], normal((len(rows), 3), 1, seed=1)[0]
    gradient = sparse(rows, values, 6)
    parameter = nn.Parameter(start.clone())
    optimizer = RowwiseAdagradOptimizer([parameter], 0.3)
    stepped(parameter, [gradient.to_dense() if as_dense else gradient] * 2, optimizer)
    still = [row not in rows for row in range(6)]
    assert (parameter == start).all(dim=1).tolist() == still
    assert (optimizer.state[parameter]["sum"] == np.float32(INITIAL)).tolist() == still


def test_missing_gradient_makes_no_state():
    with_one, without = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2, 2))
    optimizer = RowwiseAdagradOptimizer([with_one, without], 0.3)
    stepped(with_one, [torch.ones(2, 2)], optimizer)
    assert torch.equal(without, torch.ones(2, 2))
    assert list(optimizer.state) == [with_one]


def test_groups_have_own_learning_rate():
    start, *gradients = normal((6, 3), 4)
    slow, fast = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    optimizer = RowwiseAdagradOptimizer([{"params": [slow], "lr": 0.01}, {"params": [fast]}], 0.3)
    for gradient in gradients:
        slow.grad = fast.grad = gradient
        optimizer.step()
    np.testing.assert_allclose(slow.detach(), moved(start, gradients, [0.01] * 3), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(fast.detach(), moved(start, gradients, [0.3] * 3), rtol=1e-5, atol=1e-6)


def through_a_file(optimizer: RowwiseAdagradOptimizer) -> dict:
    """An optimizer's state, saved and loaded."""
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("as_rows", [torch.clone, lambda gradient: gradient.to_sparse(1)], ids=["dense", "sparse"])
def test_loaded_state_gives_same_bits(as_rows: Callable[[Tensor], Tensor]):
    start, *values = normal((6, 3), 7)
    gradients = [as_rows(value) for value in values]
    through = nn.Parameter(start.clone())
    stepped(through, gradients, RowwiseAdagradOptimizer([through], 0.3))
    half = nn.Parameter(start.clone())
    optimizer = RowwiseAdagradOptimizer([half], 0.3)
    stepped(half, gradients[:3], optimizer)
    again, forgetful = nn.Parameter(half.detach().clone()), nn.Parameter(half.detach().clone())
    loaded = RowwiseAdagradOptimizer([again], 9.0)
    loaded.load_state_dict(through_a_file(optimizer))
    assert torch.equal(stepped(again, gradients[3:], loaded), through)
    stepped(forgetful, gradients[3:], RowwiseAdagradOptimizer([forgetful], 0.3))
    assert not torch.equal(forgetful, through)


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        (optimizers.Linear(name="linear"), [0.4, 0.3, 0.2, 0.1, 0.0]),
        (optimizers.Steps(name="steps", count=2, gamma=0.1), [0.4, 0.4, 0.04, 0.04, 0.04]),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_schedule_scales_the_steps(schedule, rates):
    start, *gradients = normal((6, 3), 6)
    parameter = nn.Parameter(start.clone())
    optimizer = RowwiseAdagradOptimizer([parameter], 0.4)
    scheduler = optimizers.scheduler(optimizer, schedule, steps=4)
    for gradient in gradients:
        stepped(parameter, [gradient], optimizer)
        scheduler.step()
    np.testing.assert_allclose(parameter.detach(), moved(start, gradients, rates), rtol=1e-5, atol=1e-6)


def test_rowwise_adagrad_has_no_parameters():
    constant = {"name": "constant"}
    chosen = schema.check(
        {"optimizer": {"name": "rowwise_adagrad"}, "schedule": constant}, optimizers.Parameters, "train"
    )
    assert chosen.optimizer.takes_sparse_gradients
    built = chosen.optimizer.build(nn.ParameterList([nn.Parameter(torch.zeros(2))]), 0.7)
    assert (type(built), built.param_groups[0]["lr"]) == (RowwiseAdagradOptimizer, 0.7)
    parameters = {"optimizer": {"name": "rowwise_adagrad", "momentum": 0.0}, "schedule": constant}
    with pytest.raises(RetrainError, match=r"^train.optimizer: unknown parameter 'momentum'; known are: name$"):
        schema.check(parameters, optimizers.Parameters, "train")


def test_no_norm_leaves_gradients():
    dense, thin, none = (nn.Parameter(torch.zeros(6, 3)) for _ in range(3))
    (values,) = normal((4, 3), 1)
    dense.grad, thin.grad = torch.full((6, 3), 1e6), sparse([5, 1, 5, 0], values, 6)
    before = dense.grad, thin.grad
    optimizers.clip([dense, thin, none], None)
    assert (dense.grad, thin.grad, none.grad) == (*before, None)
    assert torch.equal(dense.grad, torch.full((6, 3), 1e6))
    assert not thin.grad.is_coalesced()
    assert thin.grad._indices().tolist() == [[5, 1, 5, 0]]
    assert torch.equal(thin.grad._values(), values)
