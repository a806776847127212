"""The loop: every example once per epoch in an order that the seed decides, and the best epoch's weights."""

import json
import math
import os
import shutil
import time
from contextlib import chdir, redirect_stderr, suppress
from pathlib import Path
from typing import Any

import prepare
import split
import train
from retrain import schema
from retrain.data import encoding_file
from retrain.data.loader import Examples, ordered_batches, shuffled_batches
from retrain.models import weights
from retrain.models.networks import mlp
from retrain.tracking.recording import PAUSE_SECONDS, Recording
from retrain.tracking.result import Result
from retrain.tracking.runs import Run
from retrain.training import history, loop, optimizers, resume, setup
from retrain.training.checkpoint import Checkpoint
from retrain.training.loop import LoopConfig, State

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient
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
def test_every_example_is_seen_exactly_once_per_epoch_in_full_batches_but_the_last(count, batch_size, seed, epoch):
    batches = order(count, batch_size, seed, epoch)
    assert sorted(number for batch in batches for number in batch) == list(range(count))
    assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
    assert order(count, batch_size, seed, epoch) == batches


@unhurried
@given(SEED, SEED)
def test_another_seed_or_another_epoch_gives_another_order(seed, other):
    assert order(50, 50, seed, 0) != order(50, 50, seed, 1)
    assert (order(50, 50, seed, 0) == order(50, 50, other, 0)) == (seed == other)


@unhurried
@given(SEED, st.integers(0, 2**31 - 1))
def test_a_derived_seed_has_no_bits_that_torch_ignores(seed, epoch):
    assert 0 <= loop.derived_seed(seed, epoch) < 2**32


@unhurried
@given(st.integers(1, 60), st.integers(1, 20), SEED, st.integers(0, 60))
def test_the_batches_from_some_number_on_are_those_that_would_have_come(count, batch_size, seed, start):
    rest = shuffled_batches(numbered(count), batch_size, loop.derived_seed(seed, 0), start)
    assert [targets.tolist() for _, targets in rest] == order(count, batch_size, seed, 0)[start:]


def test_validation_keeps_the_order_of_the_rows():
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


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run in an MLflow store of its own."""
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.create_experiment("loop", (tmp_path / "mlruns").as_uri())
    return Run(client, client.create_run(experiment).info.run_id)


def ready(folder: Path, dataset: str, *, section: dict[str, Any] | None = None, **changed: Any) -> history.Training:
    """A training of a tiny dataset with some parameters of the section, or of the loop, changed."""
    committed = tiny_datasets()[dataset]["train"]
    parameters = {**committed, **(section or {}), "loop": {**committed["loop"], **changed}}
    examples = folder / "data" / dataset / "examples"
    task = setup.task_in(examples, encoding_file.read_encoding(examples))
    return setup.ready(schema.check(parameters, setup.Train, "train"), task, "train")


def trained(training: history.Training, folder: Path, run: Run | None) -> history.Record:
    """What a training comes to, its checkpoint being in a folder."""
    recording = Recording("7" * 64, lambda: run, lambda _: None)
    train.train(
        training, recording, resume.CheckpointSaver(Checkpoint(folder / "checkpoint", {}, ()), seconds=60), "place"
    )
    recording.end("FINISHED", None)
    return training.record


def reports(training: history.Training) -> list[loop.StepResult]:
    """All reports of a training."""
    return list(loop.train_epochs(training.state, training.train, training.validation, training.config))


def history(training: history.Training) -> list[list[float]]:
    """Train loss, validation loss and validation metric of each epoch, to four digits."""
    rows = (
        history.history_row(step, step.validation, training.task)
        for step in reports(training)
        if step.validation is not None
    )
    metric = f"validation_{training.task.metric}"
    return [[round(row[name], 4) for name in ("train_loss", "validation_loss", metric)] for row in rows]


GOLDEN = {
    "tiny_news": [[1.1363, 1.084, 0.3714], [1.0098, 1.0016, 0.3714], [0.933, 0.9204, 0.9714]],
    "tiny_length": [[0.4352, 0.5215, 4.0547], [0.4248, 0.5077, 4.007], [0.4181, 0.5069, 4.0019]],
    "tiny_numbers": [[1.2383, 1.0748, 7.2042], [0.5358, 0.5871, 5.3248], [0.3174, 0.4532, 4.678]],
    "tiny_sign": [[0.7339, 0.3698, 0.8824], [0.2843, 0.323, 0.8824], [0.2334, 0.3109, 0.8824]],
}


@pytest.mark.parametrize("dataset", GOLDEN)
def test_a_training_gives_the_figures_that_it_always_gave(folder, dataset):
    assert history(ready(folder, dataset)) == [pytest.approx(row, abs=1.01e-4) for row in GOLDEN[dataset]]


@pytest.mark.parametrize("dataset", ["tiny_news", "tiny_numbers"])
def test_training_twice_gives_equal_bytes(folder, dataset, tmp_path):
    written = []
    for name in ("one", "two"):
        record = trained(ready(folder, dataset), tmp_path, None)
        weights.save_weights(tmp_path / name, record.best.weights, "float32")
        written.append(((tmp_path / name).read_bytes(), record.history))
    assert written[0] == written[1]


def test_another_seed_gives_other_weights_and_another_history(folder):
    assert history(ready(folder, "tiny_news", seed=1)) != history(ready(folder, "tiny_news", seed=2))


def test_ten_inputs_fifty_hidden_units_and_one_output_are_601_parameters():
    network = mlp.Network(10, 1, mlp.Parameters(name="mlp", hidden=50, dropout=0.0))
    assert sum(parameter.numel() for parameter in network.parameters()) == 601


def test_there_is_a_report_per_batch_and_only_the_last_of_an_epoch_has_validation_figures(folder):
    training = ready(folder, "tiny_news")  # 86 rows and 35 for validation in batches of 8, three epochs
    seen = reports(training)
    batches = [*range(1, 12), *[11] * math.ceil(len(training.validation) / 8)]
    assert [(step.epoch, step.batch) for step in seen] == [(e, b) for e in (1, 2, 3) for b in batches]
    assert {step.batches for step in seen} == {11}
    assert [n for n, step in enumerate(seen, 1) if step.validation is not None] == [
        epochs * len(batches) for epochs in (1, 2, 3)
    ]


class ObservedRun(nn.Module):
    """A linear layer that remembers in which mode it was called, and on how many examples."""

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
    """A state and rules with a watched network."""
    torch.manual_seed(0)
    network = ObservedRun()
    optimizer = torch.optim.SGD(network.parameters(), lr=learning_rate)
    scheduler = optimizers.scheduler(optimizer, optimizers.Constant(name="constant"), 1)
    config = LoopConfig(
        loss=functional.mse_loss,
        measure=lambda outputs, targets: (outputs - targets).double().square().squeeze(dim=1),
        batch_size=4, epochs=epochs, clip_norm=1.0, seed=0, device=torch.device("cpu"),
    )  # fmt: skip
    return State(network, optimizer, scheduler), config


def test_training_is_in_train_mode_with_gradients_and_validation_in_eval_mode_without():
    state, config = watched(epochs=2, learning_rate=0.1)
    list(loop.train_epochs(state, line(6), line(3), config))
    assert state.network.calls == [(True, True, 4), (True, True, 2), (False, False, 3)] * 2
    assert state.epoch == 2


def test_validation_changes_nothing():
    state, config = watched(epochs=1, learning_rate=0.1)
    before = {name: tensor.clone() for name, tensor in state.network.state_dict().items()}
    assert [totals.examples for totals in loop.evaluate(state.network, ordered_batches(line(9), 4), config)] == [
        4,
        8,
        9,
    ]
    assert all(torch.equal(tensor, before[name]) for name, tensor in state.network.state_dict().items())
    assert all(parameter.grad is None for parameter in state.network.parameters())


def test_a_smaller_last_batch_counts_by_its_examples():
    state, config = watched(epochs=1, learning_rate=0.0)  # the weights stay, so the order does not matter
    examples = line(9)  # 4, 4 and 1
    *_, last = loop.train_epochs(state, examples, examples, config)
    with torch.no_grad():
        errors = state.network(torch.from_numpy(examples.arrays["values"])) - torch.from_numpy(
            examples.arrays["targets"]
        )
    for averages in (last.train, last.validation):
        assert averages.loss == pytest.approx(errors.square().mean().item())
        assert averages.measure == pytest.approx(averages.loss)


def test_a_training_goes_on_from_the_epoch_that_its_state_has_reached():
    state, config = watched(epochs=4, learning_rate=0.1)
    list(loop.train_epochs(state, line(9), line(3), config))
    halved, half = watched(epochs=2, learning_rate=0.1)
    list(loop.train_epochs(halved, line(9), line(3), half))
    assert [step.epoch for step in loop.train_epochs(halved, line(9), line(3), config)] == [3] * 4 + [4] * 4
    assert torch.equal(halved.network.linear.weight, state.network.linear.weight)


@pytest.mark.parametrize("learning_rate", [1e38, math.inf])
def test_a_loss_that_is_not_finite_ends_the_training(learning_rate):
    state, config = watched(epochs=9, learning_rate=learning_rate)
    with pytest.raises(loop.NotFiniteError, match=r"^the loss (on the validation split )?is (inf|nan)"):
        list(loop.train_epochs(state, line(9), line(3), config))


def test_without_progress_training_stops_after_patience_and_the_earliest_of_equal_epochs_is_best(folder, tmp_path):
    still = {"schedule": {"name": "constant"}}
    training = ready(folder, "tiny_news", section=still, learning_rate=1e-30, epochs=9, patience=2)
    record = trained(training, tmp_path, None)
    assert record.best.epoch == 1
    assert [row["epoch"] for row in record.history] == [1, 2, 3]
    assert len({row["validation_accuracy"] for row in record.history}) == 1


@pytest.mark.parametrize(
    ("dataset", "figure", "sign"), [("tiny_news", "validation_accuracy", 1), ("tiny_numbers", "validation_loss", -1)]
)
def test_the_best_epochs_weights_are_kept_not_the_last_ones(folder, tmp_path, dataset, figure, sign):
    unsteady = {"schedule": {"name": "constant"}}
    changed = {"learning_rate": 3.0, "clip_norm": 9.0, "epochs": 8, "patience": 8}
    record = trained(ready(folder, dataset, section=unsteady, **changed), tmp_path, None)
    scores, best = [sign * row[figure] for row in record.history], record.best
    assert best.epoch == scores.index(max(scores)) + 1 < len(record.history)
    again = ready(folder, dataset, section=unsteady, **{**changed, "epochs": best.epoch})
    reports(again)
    weights = history.copied_weights(again.state.network)
    assert all(torch.equal(weights[name], tensor) for name, tensor in best.weights.items())


def test_the_history_names_what_people_read_in_it_and_the_run_gets_the_same_figures(folder, tmp_path, run):
    rows = trained(ready(folder, "tiny_numbers"), tmp_path, run).history
    names = ["epoch", "learning_rate", "train_loss", "validation_loss", "train_rmse", "validation_rmse"]
    assert list(rows[0]) == names
    recorded = run.client.get_metric_history(run.run_id, "validation_rmse")
    assert {row["epoch"]: row["validation_rmse"] for row in rows} == {metric.step: metric.value for metric in recorded}


def test_epochs_that_come_soon_after_each_other_are_all_recorded_and_none_waits_for_the_next(run):
    recording = Recording("7" * 64, lambda: run, lambda _: None)

    def recorded() -> list[int]:
        return [metric.step for metric in run.client.get_metric_history(run.run_id, "train_loss")]

    recording.epoch({"epoch": 1, "train_loss": 0.5})
    while not recorded():
        time.sleep(0.01)
    for number in (2, 3):
        recording.epoch({"epoch": number, "train_loss": 0.5})
    deadline = time.monotonic() + 60
    while len(recorded()) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert recorded() == [1, 2, 3]
    recording.end("FINISHED", None)
    assert recorded() == [1, 2, 3]


def test_epochs_that_wait_when_the_result_is_recorded_are_not_recorded_again_after_it(folder, tmp_path, run):
    shutil.copytree(folder, tmp_path / "project")
    with chdir(tmp_path / "project"):
        assert CliRunner().invoke(train.main, ["--dataset", "tiny_numbers"]).exit_code == 0
        result = Result("tiny_numbers", Path.cwd(), ("train",))
        recording = Recording("7" * 64, lambda: run, lambda _: None)
        for epoch, figures in result.epochs().items():
            recording.epoch({"epoch": epoch, **figures})
            while not run.client.get_metric_history(run.run_id, "train_loss"):
                time.sleep(0.01)
        recording.result(result)
        time.sleep(1.5 * PAUSE_SECONDS)  # as long as a slow store may take
        recording.close(None)
    steps = [metric.step for metric in run.client.get_metric_history(run.run_id, "train_loss")]
    assert steps == list(result.epochs())
    assert len(steps) > 1


def test_a_fault_that_nobody_can_be_told_of_holds_no_training_up(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "project")
    heard, spoken = os.pipe()
    os.close(heard)
    with chdir(tmp_path / "project"):
        assert CliRunner().invoke(train.main, ["--dataset", "tiny_numbers"]).exit_code == 0
        with suppress(BrokenPipeError), os.fdopen(spoken, "w") as nobody, redirect_stderr(nobody):
            recording = Recording("7" * 64, lambda: {}["no run"], lambda _: None)
            recording.result(Result("tiny_numbers", Path.cwd(), ("train",)))
            recording.close(None)
    assert recording.failed
    (note,) = (tmp_path / "project" / ".retrain" / "runs").iterdir()
    assert json.loads(note.read_text())["training_sha256"] == "7" * 64


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
def test_gradients_are_clipped_together_sparse_ones_too(sparse, maximum, clipped):
    parameters = gradients([3.0], [0.0, 4.0], sparse=sparse)
    optimizers.clip(parameters, maximum)
    found = [value for parameter in parameters for value in parameter.grad.to_dense().flatten().tolist()]
    assert found == pytest.approx(clipped, abs=1e-6)


def test_a_place_that_a_sparse_gradient_names_twice_is_clipped_by_its_sum():
    parameter = nn.Parameter(torch.zeros(3, 1))
    parameter.grad = torch.sparse_coo_tensor(
        torch.tensor([[2, 2]]), torch.tensor([[3.0], [1.0]]), (3, 1), check_invariants=True
    )
    optimizers.clip([parameter], 1.0)
    assert parameter.grad.to_dense().flatten().tolist() == pytest.approx([0.0, 0.0, 1.0])


def test_a_parameter_without_a_gradient_is_left_alone():
    parameters = [nn.Parameter(torch.ones(2)), *gradients([3.0, 4.0], sparse=False)]
    optimizers.clip(parameters, 1.0)
    assert parameters[0].grad is None


def test_sparse_and_dense_gradients_train_the_same_network(folder):
    bag = tiny_datasets()["tiny_news"]["train"]["network"]
    dense = history(ready(folder, "tiny_news", section={"network": {**bag, "sparse": False}}))
    sparse = history(ready(folder, "tiny_news", section={"network": {**bag, "sparse": True}}))
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
    rows = history(ready(folder, "tiny_numbers", section={"optimizer": optimizer}, learning_rate=0.02))
    assert rows[-1][0] < 0.8 * rows[0][0]


def test_adagrad_takes_sparse_gradients(folder):
    adagrad = {"optimizer": {"name": "adagrad", "weight_decay": 0.0}}
    rows = history(ready(folder, "tiny_news", section=adagrad, learning_rate=0.3))
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
def test_a_schedule_multiplies_the_learning_rate_batch_by_batch(schedule, factors):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2.0)
    scheduler = optimizers.scheduler(optimizer, schedule, steps=4)
    rates = []
    for _ in range(5):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates == pytest.approx([2.0 * factor for factor in factors])


def test_each_epochs_learning_rate_is_that_of_its_first_batch(folder):
    rates = [step.learning_rate for step in reports(ready(folder, "tiny_news")) if step.validation is not None]
    assert rates == pytest.approx([2.0, 2.0 * 2 / 3, 2.0 / 3])
