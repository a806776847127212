"""Train: encoded examples become a model, the best epoch's on the validation split.

Reads `datasets.<name>.train` and writes `models/<name>/` (`model.safetensors`, `model.json`) and
`reports/<name>/history.csv`. Until these are written, a journal in `.retrain/journals/` has all that is needed to go on: after
every epoch, inside a long one by time, and when the training is interrupted.
"""

import math
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from retrain import cli, description, environment, files, params, processes, recording
from retrain.description import Description, Encoding, TrainKnobs
from retrain.errors import RetrainError, lack_of_memory
from retrain.params import AtLeastOne, Chosen, PositiveNumber, Section, Seed, Threads
from retrain.recording import Recording
from retrain.results import Result

import click

if TYPE_CHECKING:
    from retrain.encoders import Encoder
    from retrain.examples import Examples
    from retrain.journal import Identity, Journal, Say
    from retrain.loop import Means, Report, Rules, State
    from retrain.losses import AnyLoss
    from retrain.networks import NetworkFile, NetworkKnobs
    from retrain.objectives import Objective
    from retrain.optimizers import Knobs

    from torch import Tensor, nn
    from tqdm import tqdm


SPLIT_AGAIN = "run the split stage again"


class Loop(Section):
    """Knobs of the loop."""

    epochs: AtLeastOne
    batch_size: AtLeastOne
    learning_rate: PositiveNumber
    clip_norm: PositiveNumber | None
    """None where gradients are used as they are."""
    patience: AtLeastOne
    seed: Seed


class Train(Section):
    """Knobs of the stage; network, optimizer, loss and schedule are chosen by name."""

    network: Chosen
    optimizer: Chosen
    schedule: Chosen
    loss: Chosen
    loop: Loop
    device: str
    threads: Threads
    saved_dtype: Literal["float32", "float16", "bfloat16"]
    """What the best epoch's weights are rounded to when they are saved."""


@dataclass
class Best:
    """The best epoch so far, by its score on the validation split."""

    score: float
    epoch: int
    weights: "dict[str, Tensor]"


@dataclass
class Record:
    """What a training has to show so far: a row per epoch, and the best one."""

    history: list[dict[str, float]] = field(default_factory=list)
    best: Best = field(default_factory=lambda: Best(score=-math.inf, epoch=0, weights={}))

    def state_dict(self) -> dict[str, Any]:
        """Everything, as nested dicts of tensors and numbers. The history is one tensor: lists of numbers are saved slowly."""
        import torch

        figures = torch.tensor([list(row.values()) for row in self.history], dtype=torch.float64)
        return {"figures": figures, "best": vars(self.best)}

    def load_state_dict(self, saved: dict[str, Any], epochs: int, columns: tuple[str, ...]) -> None:
        """Go back to what `state_dict` gave after so many epochs; raises ValueError where it is of others."""
        import torch

        figures = saved["figures"]
        if figures.dtype != torch.float64 or figures.shape != ((epochs, len(columns)) if epochs else (0,)):
            raise ValueError("no history of so many epochs")
        rows = [dict(zip(columns, row, strict=True)) for row in figures.tolist()]
        if [row["epoch"] for row in rows] != list(range(1, epochs + 1)):
            raise ValueError("a history of other epochs")
        self.history = [{**row, "epoch": number} for number, row in enumerate(rows, start=1)]
        self.best = Best(**saved["best"])


@dataclass(frozen=True)
class Task:
    """What is to be learned: from which examples, with which kind of inputs."""

    inputs: str
    encoder: "Encoder"
    objective: "Objective"
    train: "Examples"
    validation: "Examples"


@dataclass(frozen=True)
class Training:
    """A training that is ready to start."""

    state: "State"
    rules: "Rules"
    train: "Examples"
    validation: "Examples"
    objective: "Objective"
    patience: int
    record: Record

    @property
    def is_over(self) -> bool:
        """Whether the last epoch was reached, or `patience` epochs brought nothing better."""
        stalled = self.state.epoch - self.record.best.epoch
        return self.state.epoch == self.rules.epochs or stalled >= self.patience

    def state_dict(self) -> dict[str, Any]:
        """All that changes."""
        return {"state": self.state.state_dict(), "record": self.record.state_dict()}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go back to what `state_dict` gave; raises ValueError where it is of no such training."""
        self.state.load_state_dict(saved["state"])
        if not self.has_possible_position:
            raise ValueError("a position that no training comes to")
        self.record.load_state_dict(saved["record"], self.state.epoch, columns(self.objective))
        if not self.has_possible_best:
            raise ValueError("a best epoch that no training comes to")

    @property
    def has_possible_position(self) -> bool:
        """Whether epoch, batch, sums and learning rate are such as this training comes to."""
        state, rows = self.state, len(self.train)
        return (
            type(state.epoch) is type(state.batch) is type(state.sums.examples) is int
            and all(type(value) in (int, float) for value in (state.sums.loss, state.sums.measure, state.learning_rate))
            and 0 <= state.epoch <= self.rules.epochs
            and 0 <= state.batch <= math.ceil(rows / self.rules.batch_size)
            and state.sums.examples == (min(state.batch * self.rules.batch_size, rows) or rows * bool(state.epoch))
        )

    @property
    def has_possible_best(self) -> bool:
        """Whether the best epoch is one of those that there were, with weights of this network."""
        best, epochs = self.record.best, self.state.epoch
        return (
            type(best.epoch) is int
            and type(best.score) in (int, float)
            and best.epoch in range(min(1, epochs), epochs + 1)
            and (not best.epoch or shapes(best.weights) == shapes(self.state.network.state_dict()))
        )


def chosen_network(knobs: Train, kind: str, place: str) -> "tuple[NetworkFile, NetworkKnobs]":
    """The network that the knobs name; raises RetrainError where it does not fit the kind of inputs."""
    from retrain import networks

    file = networks.load(knobs.network.get("name"), f"{place}.network.name")
    checked = params.check(knobs.network, file.Knobs, f"{place}.network")
    if file.Network.takes != kind:
        fact = f"'{checked.name}' takes {file.Network.takes}, the examples hold {kind}"
        raise RetrainError(f"{place}.network.name", fact, "choose another network")
    return file, checked


def chosen_steps(knobs: Train, place: str) -> "Knobs":
    """Optimizer and schedule that the knobs name; raises RetrainError where they do not fit the network."""
    from retrain.optimizers import Knobs

    chosen = params.check({"optimizer": knobs.optimizer, "schedule": knobs.schedule}, Knobs, place)
    if knobs.network.get("sparse", False) and not chosen.optimizer.takes_sparse_gradients:
        fact = f"'{chosen.optimizer.name}' with these knobs can't take sparse gradients"
        raise RetrainError(f"{place}.network.sparse", fact, "set it to false, or choose sgd without momentum and decay")
    return chosen


def chosen_loss(knobs: Train, objective: "Objective", place: str) -> "AnyLoss":
    """The loss that the knobs name; raises RetrainError where it does not fit the objective."""
    from retrain.losses import Knobs

    name = str(knobs.loss.get("name"))
    if name not in objective.losses:
        raise RetrainError(f"{place}.loss.name", f"unknown '{name}'", params.nearest(name, objective.losses))
    return params.check({"loss": knobs.loss}, Knobs, place).loss


def task_in(folder: Path, encoding: Encoding) -> Task:
    """What the split stage wrote, its arrays memory-mapped; raises RetrainError where they are missing or damaged."""
    from retrain import encoders, objectives

    place = str(folder / description.ENCODING)
    try:
        encoder = encoders.load(encoding.inputs.kind, place).Encoder.from_json(encoding.inputs.learned)
        objective = objectives.load(encoding.target.kind, place).from_json(encoding.target.learned)
    except (TypeError, ValueError) as error:
        raise RetrainError(place, f"does not describe examples ({error})", SPLIT_AGAIN) from None
    train, validation = (examples_in(folder / name, encoder, objective) for name in ("train", "validation"))
    return Task(encoding.inputs.kind, encoder, objective, train, validation)


def examples_in(folder: Path, encoder: "Encoder", objective: "Objective") -> "Examples":
    """The examples of one split; raises RetrainError where a row, a word or a class is not what there can be."""
    from retrain import examples

    arrays = examples.read(folder)
    inputs = {name: array for name, array in arrays.items() if name != examples.TARGETS}
    rows = arrays[examples.TARGETS].shape[:1]
    if not (rows > (0,) and objective.fits(arrays[examples.TARGETS], *rows) and encoder.fits(inputs, *rows)):
        raise RetrainError(str(folder), "holds other examples than the encoding describes", SPLIT_AGAIN)
    return examples.Examples(arrays, encoder.gather)


def ready(knobs: Train, task: Task, place: str) -> Training:
    """Build everything that a training needs: network with its initial weights, optimizer, schedule.

    Raises:
        RetrainError: a knob does not fit another one, the data, or this machine.
    """
    from retrain import devices
    from retrain.loop import Rules, State
    from retrain.optimizers import scheduler

    import torch

    loop, objective, train = knobs.loop, task.objective, task.train
    network_file, network_knobs = chosen_network(knobs, task.inputs, place)
    chosen = chosen_steps(knobs, place)
    loss = chosen_loss(knobs, objective, place)
    if len(train) < loop.batch_size:
        fact = f"the train split's {len(train):,} rows are fewer than a batch of {loop.batch_size:,}"
        raise RetrainError(f"{place}.loop.batch_size", fact, "lower it")

    device = devices.ready(knobs.device, knobs.threads, place)
    torch.manual_seed(loop.seed)
    network = network_file.Network(task.encoder.size, objective.outputs, network_knobs).to(device)
    optimizer = chosen.optimizer.build(network.parameters(), loop.learning_rate)
    steps = loop.epochs * math.ceil(len(train) / loop.batch_size)
    state = State(network, optimizer, scheduler(optimizer, chosen.schedule, steps))
    rules = Rules(loss.build(), objective.measure, loop.batch_size, loop.epochs, loop.clip_norm, loop.seed, device)
    return Training(state, rules, train, task.validation, objective, loop.patience, Record())


def columns(objective: "Objective") -> tuple[str, ...]:
    """What the history has of each epoch."""
    figures = (f"{split}_{figure}" for figure in ("loss", objective.metric) for split in ("train", "validation"))
    return ("epoch", "learning_rate", *figures)


def history_row(report: "Report", validation: "Means", objective: "Objective") -> dict[str, float]:
    """An epoch's figures, as history.csv and MLflow have them."""
    losses = (report.train.loss, validation.loss)
    metrics = (objective.metric_of(report.train.measure), objective.metric_of(validation.measure))
    return dict(zip(columns(objective), (report.epoch, report.learning_rate, *losses, *metrics), strict=True))


def copied_weights(network: "nn.Module") -> "dict[str, Tensor]":
    """The network's weights as they are now, on the CPU."""
    return {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}


def shapes(weights: "dict[str, Tensor]") -> dict[str, Any]:
    """Name, type and shape of each."""
    return {name: (tensor.dtype, tensor.shape) for name, tensor in weights.items()}


def train(training: Training, run: Recording, keeper: "Keeper", place: str) -> None:
    """Train until the training is over; its record and state are those of then.

    Raises:
        RetrainError: the loss is not finite any more, or the journal can't be written.
        SystemExit: interrupted by a signal; the journal has all that was done.
    """
    from retrain.loop import NotFiniteError, train_epochs

    for row in training.record.history:
        run.epoch(row)
    reports = train_epochs(training.state, training.train, training.validation, training.rules)
    try:
        with progress(training) as bar, cli.patient_signals() as interruption:
            while not training.is_over:
                report = next(reports)
                bar.update()
                if report.validation is not None:
                    run.epoch(recorded(training, report, report.validation))
                    bar.write(line(training))
                if report.validation is not None or interruption.number or keeper.is_due:
                    keeper.save(training)
                if interruption.number:
                    break
            if interruption.number:
                cli.leave(interruption.number, None)
            if training.state.epoch < training.rules.epochs:
                bar.write(f"stopped: no better epoch than {training.record.best.epoch} in {training.patience}")
    except NotFiniteError as error:
        keeper.journal.remove()  # it would end like this again
        raise RetrainError(f"{place}.loop.learning_rate", str(error), "lower it, or set or lower clip_norm") from None


def recorded(training: Training, report: "Report", validation: "Means") -> dict[str, float]:
    """Enter an epoch into the record, and as its best where it is (of equals the earliest is); return its row."""
    record, objective = training.record, training.objective
    row = history_row(report, validation, objective)
    score = objective.score(validation.loss, row[f"validation_{objective.metric}"])
    if score > record.best.score:
        record.best = Best(score, report.epoch, copied_weights(training.state.network))
    record.history.append(row)
    return row


@dataclass
class Keeper:
    """Keeps the journal of a training."""

    journal: "Journal"
    seconds: float
    """Inside an epoch, the state is saved when this much time has passed since it last was."""
    saved: float = field(default_factory=time.monotonic)

    @property
    def is_due(self) -> bool:
        """Whether so much time has passed."""
        return time.monotonic() - self.saved >= self.seconds

    def save(self, training: Training) -> None:
        """Save all that changes."""
        self.journal.save(training.state_dict())
        self.saved = time.monotonic()


def continued(journal: "Journal", knobs: Train, task: Task, place: str, say: "Say") -> Training:
    """A training as its journal has it, and from its beginning where there is none, or none that can be used."""
    from retrain.journal import DamagedError

    training = ready(knobs, task, place)
    try:
        saved = journal.load()
        if saved is None:
            return training
        training.load_state_dict(saved)
    except (DamagedError, KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        if lack_of_memory(error):
            raise
        reason = error if isinstance(error, DamagedError) else "is damaged"
        say(f"the journal of an unfinished training {reason}: starting from the beginning")
        return ready(knobs, task, place)
    state = training.state
    batch = f" and {state.batch} batches" if state.batch else ""
    say(f"continuing after epoch {state.epoch} of {training.rules.epochs}{batch}")
    return training


@contextmanager
def progress(training: Training) -> "Iterator[tqdm[Any]]":
    """A bar over all batches where a person watches; elsewhere only the lines."""
    from tqdm import tqdm

    size, state = training.rules.batch_size, training.state
    train, validation = (math.ceil(len(examples) / size) for examples in (training.train, training.validation))
    done, total = state.epoch * (train + validation) + state.batch, training.rules.epochs * (train + validation)
    with tqdm(initial=done, total=total, unit="batch", disable=None, leave=False) as bar:
        yield bar


def line(training: Training) -> str:
    """The last epoch's figures on one line."""
    row, metric = training.record.history[-1], training.objective.metric
    return (
        f"epoch {row['epoch']:3d}/{training.rules.epochs}"
        f"  train loss {row['train_loss']:.4f} {metric} {row[f'train_{metric}']:.4f}"
        f"  validation loss {row['validation_loss']:.4f} {metric} {row[f'validation_{metric}']:.4f}"
        f"{'  best' if training.record.best.epoch == row['epoch'] else ''}"
    )


def identity(described: Description) -> "Identity":
    """All that the course of a training depends on."""
    from retrain import devices

    return {
        "knobs": described.train.model_dump(mode="json"),
        "data": described.data_sha256,
        "code": environment.loaded_code(),
        "libraries": environment.versions("torch", "numpy"),
        "machine": {"processor": platform.machine(), "device": devices.name(described.train.device)},
    }


@cli.stage
@click.option(
    "--save-seconds", type=click.FloatRange(min=0), default=60.0, show_default=True, envvar="RETRAIN_SAVE_SECONDS",
    show_envvar=True, help="Inside an epoch, save the state for resuming when so much time has passed since it last was.",
)  # fmt: skip
def main(dataset: str, save_seconds: float) -> None:
    """Train a dataset's model, the best epoch's, and write it to models/NAME/; an interrupted training is continued."""
    started_by = processes.above()
    if math.isnan(save_seconds):
        raise click.BadParameter("nan is no time", param_hint="--save-seconds")
    place = params.place(dataset, "train")
    knobs = params.read(environment.workspace(), dataset, "train", Train)
    environment.pin_cpu(knobs.threads)
    from retrain import checkpoint, journal, tables

    import pandas as pd

    folder = Path("data", dataset, "examples")
    encoding = description.read_encoding(folder)
    task = task_in(folder, encoding)
    ready(knobs, task, place)  # what does not fit is said before anything else is done
    described = Description(
        **dict(encoding),
        format=1,
        dataset=dataset,
        train=TrainKnobs(**knobs.model_dump(mode="json")),
        data_sha256=files.sha256(folder),
        best_epoch=0,
    )
    own = identity(described)

    def say(what: str) -> None:
        click.echo(f"train {dataset}: {what}", err=True)

    result = Result(dataset, Path(), ("train",))
    with (
        journal.opened(environment.root() / ".retrain" / "journals", dataset, own, started_by, say) as book,
        recording.training(described, journal.digest(own)) as run,
    ):
        training = continued(book, knobs, task, place, say)
        train(training, run, Keeper(book, save_seconds), place)
        best, history = training.record.best, training.record.history
        with files.replacing(result.model, result.history) as (model, history_csv):
            model.mkdir()
            checkpoint.save_weights(model / description.WEIGHTS, best.weights, knobs.saved_dtype)
            trained = described.model_copy(update={"best_epoch": best.epoch})
            files.write_json(model / description.FILE, trained.model_dump(mode="json"))
            tables.write_csv(history_csv, pd.DataFrame(history))
        files.flush(result.model, result.history)  # the journal goes only when they would survive a loss of power
        run.result(result)
        book.finish(say)
    parameters = sum(tensor.numel() for tensor in best.weights.values())
    click.echo(f"train {dataset}: {parameters:,} parameters; best epoch {best.epoch} of {len(history)}")


if __name__ == "__main__":
    main()
