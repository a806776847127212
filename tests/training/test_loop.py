"""The loop: every example once per epoch, in an order that the seed decides, and the best epoch's weights."""

import math
from contextlib import chdir
from copy import deepcopy
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import prepare
import split
import train
from retrain import schema
from retrain.data.loader import Examples, ordered_batches, shuffled_batches
from retrain.errors import RetrainError
from retrain.models import weights
from retrain.models.networks import mlp
from retrain.training import loop, optimizers, setup
from retrain.training.checkpoint import Checkpoint
from retrain.training.history import History, copied_weights, history_row
from retrain.training.loop import LoopConfig, State
from retrain.training.setup import Training

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from support.project import Project, tiny_datasets, write_tiny_tables
from torch import nn
from torch.nn import functional

unhurried = settings(deadline=None, max_examples=50)


def numbered(count: int) -> Examples:
    """Examples whose input and target are their number."""
    values = np.arange(count)
    return Examples({"targets": values}, lambda arrays, rows: (arrays["targets"][rows],))


def order(count: int, batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """The examples of each batch of an epoch."""
    batches = shuffled_batches(numbered(count), batch_size, loop.derived_seed(seed, epoch), 0)
    return [targets.tolist() for _, targets in batches]


SEED = st.integers(0, 2**32 - 1)


@unhurried
@given(st.integers(1, 60), st.integers(1, 20), SEED, st.integers(0, 1000))
def test_epoch_has_every_example_once(count, batch_size, seed, epoch):
    batches = order(count, batch_size, seed, epoch)
    assert sorted(number for batch in batches for number in batch) == list(range(count))
    assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
    assert order(count, batch_size, seed, epoch) == batches


@unhurried
@given(SEED, SEED)
def test_seed_and_epoch_decide_order(seed, other):
    assert order(50, 50, seed, 0) != order(50, 50, seed, 1)
    assert (order(50, 50, seed, 0) == order(50, 50, other, 0)) == (seed == other)


@unhurried
@given(SEED, st.integers(0, 2**31 - 1))
def test_derived_seed_has_32_bits(seed, epoch):
    assert 0 <= loop.derived_seed(seed, epoch) < 2**32


@unhurried
@given(st.integers(1, 60), st.integers(1, 20), SEED, st.integers(0, 60))
def test_batches_from_a_later_start(count, batch_size, seed, start):
    rest = shuffled_batches(numbered(count), batch_size, loop.derived_seed(seed, 0), start)
    assert [targets.tolist() for _, targets in rest] == order(count, batch_size, seed, 0)[start:]


def test_validation_keeps_row_order():
    assert [targets.tolist() for _, targets in ordered_batches(numbered(5), 2)] == [[0, 1], [2, 3], [4]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny datasets, split."""
    folder = tmp_path_factory.mktemp("loop")
    (folder / ".git").mkdir()
    write_tiny_tables(folder)
    Project(folder).write_params({"datasets": tiny_datasets()})
    with chdir(folder):
        for dataset in tiny_datasets():
            for stage in (prepare, split):
                assert CliRunner().invoke(stage.main, ["--dataset", dataset]).exit_code == 0
    return folder


class Rows:
    """Takes the epochs of a training, as its run in MLflow does."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def epoch(self, row: dict[str, float]) -> None:
        """One more epoch."""
        self.rows.append(row)


def ready(folder: Path, dataset: str, *, section: dict[str, Any] | None = None, **changed: Any) -> Training:
    """A training of a tiny dataset with some parameters of the section, or of the loop, changed."""
    committed = tiny_datasets()[dataset]["train"]
    parameters = {**committed, **(section or {}), "loop": {**committed["loop"], **changed}}
    data = setup.read_data(folder / "data" / dataset / "examples")
    return setup.build(schema.check(parameters, setup.Train, "train"), data, "train")


def trained(training: Training, folder: Path, run: Rows) -> History:
    """The history of a finished training whose checkpoint is in a folder."""
    train.run_epochs(training, run, Checkpoint(folder / "checkpoint", {}, ()), 60, "train")
    return training.history


def results(training: Training) -> list[loop.EpochResult]:
    """The epochs of a training."""
    data = training.data
    return list(filter(None, loop.train_epochs(training.state, data.train, data.validation, training.config)))


def values(training: Training) -> list[list[float]]:
    """Train loss, validation loss and validation metric of each epoch, to four digits."""
    task = training.data.task
    rows = (history_row(epoch, task) for epoch in results(training))
    names = ("train_loss", "validation_loss", f"validation_{next(iter(task.metrics))}")
    return [[round(row[name], 4) for name in names] for row in rows]


GOLDEN = {
    "tiny_news": [[1.1363, 1.084, 0.3714], [1.0098, 1.0016, 0.3714], [0.933, 0.9204, 0.9714]],
    "tiny_length": [[0.4352, 0.5215, 4.0547], [0.4248, 0.5077, 4.007], [0.4181, 0.5069, 4.0019]],
    "tiny_numbers": [[1.2383, 1.0748, 7.2042], [0.5358, 0.5871, 5.3248], [0.3174, 0.4532, 4.678]],
    "tiny_sign": [[0.7339, 0.3698, 0.8824], [0.2843, 0.323, 0.8824], [0.2334, 0.3109, 0.8824]],
}


@pytest.mark.parametrize("dataset", GOLDEN)
def test_training_gives_known_values(folder, dataset):
    assert values(ready(folder, dataset)) == [pytest.approx(row, abs=1.01e-4) for row in GOLDEN[dataset]]


@pytest.mark.parametrize("dataset", ["tiny_news", "tiny_numbers"])
def test_training_twice_gives_same_bytes(folder, dataset, tmp_path):
    written = []
    for name in ("one", "two"):
        history = trained(ready(folder, dataset), tmp_path, Rows())
        weights.save_weights(tmp_path / name, history.best.weights, "float32", "train")
        written.append(((tmp_path / name).read_bytes(), history.rows))
    assert written[0] == written[1]


def test_seed_changes_history(folder):
    assert values(ready(folder, "tiny_news", seed=1)) != values(ready(folder, "tiny_news", seed=2))


def test_diabetes_network_has_601_parameters():
    network = mlp.Network(10, 1, mlp.Parameters(name="mlp", hidden=50, dropout=0.0))
    assert sum(parameter.numel() for parameter in network.parameters()) == 601


def test_one_yield_per_batch_and_epoch(folder):
    training = ready(folder, "tiny_news")  # 86 rows and 35 for validation in batches of 8, three epochs
    data, state = training.data, training.state
    steps = loop.train_epochs(state, data.train, data.validation, training.config)
    seen = [(state.batch, step and step.epoch) for step in steps]
    batches = [*range(1, 12), *[11] * math.ceil(len(data.validation) / 8)]
    expected = [[*((batch, None) for batch in batches), (0, epoch)] for epoch in (1, 2, 3)]
    assert seen == [*chain.from_iterable(expected)]


class ObservedNetwork(nn.Module):
    """A linear layer that remembers each call: its mode, and the number of examples."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 1)
        self.calls: list[tuple[bool, bool, int]] = []

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Values times a weight."""
        self.calls.append((self.training, torch.is_grad_enabled(), len(values)))
        return self.linear(values)


def line(count: int) -> Examples:
    """Examples on a straight line."""
    values = np.linspace(-1, 1, count, dtype=np.float32)[:, None]
    return Examples({"values": values, "targets": 3 * values}, lambda arrays, rows: (arrays["values"][rows],))


def watched(epochs: int, learning_rate: float) -> tuple[State, LoopConfig]:
    """A state and a configuration with an observed network."""
    torch.manual_seed(0)
    network = ObservedNetwork()
    optimizer = torch.optim.SGD(network.parameters(), lr=learning_rate)
    scheduler = optimizers.scheduler(optimizer, optimizers.Constant(name="constant"), 1)
    config = LoopConfig(
        loss=functional.mse_loss,
        totals=lambda outputs, targets: (outputs - targets).double().square().sum(),
        batch_size=4, epochs=epochs, clip_norm=1.0, ema_decay=None, seed=0, device=torch.device("cpu"),
    )  # fmt: skip
    return State(network, optimizer, scheduler), config


def test_train_and_eval_mode():
    state, config = watched(epochs=2, learning_rate=0.1)
    list(loop.train_epochs(state, line(6), line(3), config))
    assert state.network.calls == [(True, True, 4), (True, True, 2), (False, False, 3)] * 2
    assert state.epoch == 2


def test_validation_changes_nothing():
    state, config = watched(epochs=1, learning_rate=0.1)
    before = {name: tensor.clone() for name, tensor in state.network.state_dict().items()}
    assert len([*loop.evaluate(state.network, ordered_batches(line(9), 4), config)]) == 3
    assert all(torch.equal(tensor, before[name]) for name, tensor in state.network.state_dict().items())
    assert all(parameter.grad is None for parameter in state.network.parameters())


def test_smaller_last_batch_counts_less():
    state, config = watched(epochs=1, learning_rate=0.0)  # the weights stay, so the order does not matter
    examples = line(9)  # 4, 4 and 1
    *_, last = loop.train_epochs(state, examples, examples, config)
    with torch.no_grad():
        errors = state.network(torch.from_numpy(examples.arrays["values"])) - torch.from_numpy(
            examples.arrays["targets"]
        )
    for sums in (last.train, last.validation):
        assert sums.loss / sums.examples == pytest.approx(errors.square().mean().item())
        assert sums.totals.item() == pytest.approx(sums.loss)


def test_training_continues_from_state():
    state, config = watched(epochs=4, learning_rate=0.1)
    list(loop.train_epochs(state, line(9), line(3), config))
    halved, half = watched(epochs=2, learning_rate=0.1)
    list(loop.train_epochs(halved, line(9), line(3), half))
    steps = loop.train_epochs(halved, line(9), line(3), config)
    assert [step and step.epoch for step in steps] == [*[None] * 4, 3, *[None] * 4, 4]
    assert torch.equal(halved.network.linear.weight, state.network.linear.weight)


@pytest.mark.parametrize("learning_rate", [1e38, math.inf])
def test_infinite_loss_ends_training(learning_rate):
    state, config = watched(epochs=9, learning_rate=learning_rate)
    with pytest.raises(loop.NotFiniteError, match=r"^the loss (on the validation split )?is (inf|nan)"):
        list(loop.train_epochs(state, line(9), line(3), config))


def test_training_stops_after_patience(folder, tmp_path):
    still = {"schedule": {"name": "constant"}}
    training = ready(folder, "tiny_news", section=still, learning_rate=1e-30, epochs=9, patience=2)
    history = trained(training, tmp_path, Rows())
    assert history.best.epoch == 1
    assert [row["epoch"] for row in history.rows] == [1, 2, 3]
    assert len({row["validation_accuracy"] for row in history.rows}) == 1


@pytest.mark.parametrize(
    ("dataset", "best_by", "rate"), [("tiny_news", ("accuracy", 1), 400.0), ("tiny_numbers", ("loss", -1), 3.0)]
)
def test_best_weights_are_kept(folder, tmp_path, dataset, best_by, rate):
    metric, sign = best_by
    unsteady = {"schedule": {"name": "constant"}}
    changed = {"learning_rate": rate, "clip_norm": 9.0, "epochs": 8, "patience": 8}
    history = trained(ready(folder, dataset, section=unsteady, **changed), tmp_path, Rows())
    scores = [(sign * row[f"validation_{metric}"], -row["validation_loss"]) for row in history.rows]
    best = history.best
    assert best.epoch == scores.index(max(scores)) + 1 < len(history.rows)
    again = ready(folder, dataset, section=unsteady, **{**changed, "epochs": best.epoch})
    results(again)
    weights = copied_weights(again.state.network)
    assert all(torch.equal(weights[name], tensor) for name, tensor in best.weights.items())


def test_tied_epochs_are_decided_by_loss(folder, tmp_path):
    history = trained(ready(folder, "tiny_sign", epochs=6, patience=6), tmp_path, Rows())
    most = max(row["validation_accuracy"] for row in history.rows)
    tied = [row for row in history.rows if row["validation_accuracy"] == most]
    assert len(tied) > 1
    assert history.best.epoch == min(tied, key=lambda row: row["validation_loss"])["epoch"]


@pytest.mark.parametrize(("metric", "better"), [("loss", min), ("accuracy", max), ("macro_f1", max)])
def test_metric_chooses_the_best_epoch(folder, tmp_path, metric, better):
    unsteady = {"schedule": {"name": "constant"}}
    training = ready(folder, "tiny_news", section=unsteady, epochs=5, patience=5, best_by=metric, learning_rate=3.0)
    history = trained(training, tmp_path, Rows())
    found = [row[f"validation_{metric}"] for row in history.rows]
    assert found[history.best.epoch - 1] == better(found)


def test_unknown_metric_is_refused(folder):
    with pytest.raises(RetrainError, match=r"^train.loop.best_by: unknown 'acuracy'; did you mean 'accuracy'\?$"):
        ready(folder, "tiny_news", best_by="acuracy")


def test_averaged_weights_are_evaluated(folder):
    training = ready(folder, "tiny_sign", ema_decay=0.9, epochs=1)
    weights = []
    for _ in loop.train_epochs(training.state, training.data.train, training.data.validation, training.config):
        weights.append(training.state.network.output.bias.detach().clone())
        if len(weights) == 3:
            break
    average = torch.zeros(training.data.task.outputs)  # the bias starts at zero
    for step, weight in enumerate(weights, start=1):
        average += (1 - min(0.9, step / (step + 4))) * (weight - average)
    torch.testing.assert_close(training.state.evaluated.output.bias.detach(), average)
    assert not torch.equal(training.state.evaluated.output.bias, training.state.network.output.bias)


def test_buffers_are_part_of_the_averaged_network():
    network = nn.BatchNorm1d(1)
    state = State(network, None, SimpleNamespace(last_epoch=1), averaged=deepcopy(network))
    network(torch.tensor([[1.0], [3.0]]))
    state.average(0.9)
    assert torch.equal(state.evaluated.running_mean, network.running_mean)
    assert network.running_mean.item() != 0


def test_history_and_run_agree(folder, tmp_path):
    run = Rows()
    rows = trained(ready(folder, "tiny_numbers"), tmp_path, run).rows
    names = ["epoch", "learning_rate", "train_loss", "validation_loss", "train_rmse", "validation_rmse"]
    names += ["train_mae", "validation_mae"]
    assert list(rows[0]) == names
    assert run.rows == rows


def gradients(*values: list[float], sparse: bool) -> list[nn.Parameter]:
    """Parameters with these gradients: the first dense, the others dense or sparse."""
    parameters = []
    for number, value in enumerate(values):
        parameter = nn.Parameter(torch.zeros(len(value), 1))
        dense = torch.tensor(value)[:, None]
        parameter.grad = dense.to_sparse(1) if sparse and number else dense
        parameters.append(parameter)
    return parameters


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(
    ("maximum", "clipped"),
    [(10.0, [3.0, 0.0, 4.0]), (5.0, [3.0, 0.0, 4.0]), (1.0, [0.6, 0.0, 0.8]), (0.5, [0.3, 0.0, 0.4])],
)
def test_gradients_are_clipped_together(sparse, maximum, clipped):
    parameters = gradients([3.0], [0.0, 4.0], sparse=sparse)
    optimizers.clip(parameters, maximum)
    found = [value for parameter in parameters for value in parameter.grad.to_dense().flatten().tolist()]
    assert found == pytest.approx(clipped, abs=1e-6)


def test_repeated_row_is_clipped_by_sum():
    parameter = nn.Parameter(torch.zeros(3, 1))
    parameter.grad = torch.sparse_coo_tensor(
        torch.tensor([[2, 2]]), torch.tensor([[3.0], [1.0]]), (3, 1), check_invariants=True
    )
    optimizers.clip([parameter], 1.0)
    assert parameter.grad.to_dense().flatten().tolist() == pytest.approx([0.0, 0.0, 1.0])


def test_clip_skips_missing_gradient():
    parameters = [nn.Parameter(torch.ones(2)), *gradients([3.0, 4.0], sparse=False)]
    optimizers.clip(parameters, 1.0)
    assert parameters[0].grad is None


def test_sparse_and_dense_train_alike(folder):
    bag = tiny_datasets()["tiny_news"]["train"]["network"]
    dense = values(ready(folder, "tiny_news", section={"network": {**bag, "sparse": False}}))
    sparse = values(ready(folder, "tiny_news", section={"network": {**bag, "sparse": True}}))
    assert sparse == [pytest.approx(row, abs=1e-3) for row in dense]


@pytest.mark.parametrize(
    "optimizer",
    [
        {"name": "sgd", "momentum": 0.9, "weight_decay": 0.001},
        {"name": "adamw", "beta1": 0.9, "beta2": 0.999, "weight_decay": 0.01},
        {"name": "adagrad", "weight_decay": 0.0},
        {"name": "rowwise_adagrad"},
    ],
)
def test_every_optimizer_learns(folder, optimizer):
    rows = values(ready(folder, "tiny_numbers", section={"optimizer": optimizer}, learning_rate=0.02))
    assert rows[-1][0] < 0.8 * rows[0][0]


def test_adagrad_takes_sparse_gradients(folder):
    adagrad = {"optimizer": {"name": "adagrad", "weight_decay": 0.0}}
    rows = values(ready(folder, "tiny_news", section=adagrad, learning_rate=0.3))
    assert rows[-1][0] < rows[0][0]


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        (optimizers.Constant(name="constant"), [1, 1, 1, 1, 1]),
        (optimizers.Linear(name="linear"), [1, 0.75, 0.5, 0.25, 0]),
        (optimizers.Cosine(name="cosine"), [1, 0.5 + 0.125**0.5, 0.5, 0.5 - 0.125**0.5, 0]),
        (optimizers.Steps(name="steps", count=2, gamma=0.1), [1, 1, 0.1, 0.1, 0.1]),
        (optimizers.Steps(name="steps", count=4, gamma=0.5), [1, 0.5, 0.25, 0.125, 0.125]),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_schedule_scales_each_batch(schedule, factors):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2.0)
    scheduler = optimizers.scheduler(optimizer, schedule, steps=4)
    rates = []
    for _ in range(5):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates == pytest.approx([2.0 * factor for factor in factors])


def test_epoch_reports_first_learning_rate(folder):
    rates = [epoch.learning_rate for epoch in results(ready(folder, "tiny_news"))]
    assert rates == pytest.approx([2.0, 2.0 * 2 / 3, 2.0 / 3])
