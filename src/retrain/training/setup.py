"""Build everything that a training needs from its parameters and data."""

import math
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from retrain import files, schema
from retrain.data import encoding_file
from retrain.data.encoding_file import DataFacts, Encoding
from retrain.errors import RetrainError
from retrain.models.calibration import CalibrationOptions
from retrain.models.description import Description, TrainParameters
from retrain.schema import AtLeastOne, Chosen, PositiveNumber, Section, Seed, Share, Threads
from retrain.training.history import History, history_columns

if TYPE_CHECKING:
    from retrain.data.encoders import Encoder
    from retrain.data.loader import Examples
    from retrain.data.tasks import Task
    from retrain.models.losses import Loss
    from retrain.models.networks import NetworkFile, NetworkParameters
    from retrain.training.loop import LoopConfig, State
    from retrain.training.optimizers import Parameters as StepParameters

__all__ = ["Train", "Training", "build", "choices_that_fit", "describe", "read_data"]


class Loop(Section):
    """Parameters of the loop."""

    epochs: AtLeastOne
    batch_size: AtLeastOne
    learning_rate: PositiveNumber
    clip_norm: PositiveNumber | None
    """The largest joint norm of all gradients. `null`: no limit.

    Switching to any number also changes results of `rowwise_adagrad` with `sparse: true` slightly, even when the limit is
    never reached.
    """
    ema_decay: Share | None
    """The decay of moving averages of all weights, per step; the averages are evaluated and saved. null for none."""
    best_by: str
    """What decides which epoch is best, on the validation split: `loss` or a metric of the task (`accuracy`, `macro_f1`; `rmse`,
    `mae`). The lower loss decides ties."""
    patience: AtLeastOne
    """Training stops after this many epochs in a row without a better one; `best_by` says what is better."""
    seed: Seed


class Train(Section):
    """Parameters of the train stage. Network, optimizer, schedule and loss are chosen by name."""

    network: Chosen
    optimizer: Chosen
    schedule: Chosen
    loss: Chosen
    loop: Loop
    calibration: CalibrationOptions
    device: str
    """`cpu`, `cuda`, or `cuda:1` and so on. Results are reproducible to the byte on `cpu` only."""
    threads: Threads
    saved_dtype: Literal["float32", "float16", "bfloat16"]
    """The type that weights are rounded to when they are saved."""


@dataclass(frozen=True)
class TrainingData:
    """The encoded train and validation splits, and the encoder and the task that the split stage fitted."""

    encoding: Encoding
    sha256: str
    """The digest of all files of the split stage."""
    encoder: "Encoder"
    task: "Task"
    train: "Examples"
    validation: "Examples"


@dataclass(frozen=True)
class Training:
    """A training that is ready to start or to continue."""

    state: "State"
    config: "LoopConfig"
    data: TrainingData
    best_by: str
    patience: int
    history: History

    @property
    def is_over(self) -> bool:
        """Whether the last epoch is done, or `patience` epochs brought no better one."""
        stalled = self.state.epoch - self.history.best.epoch
        return self.state.epoch == self.config.epochs or stalled >= self.patience

    def score(self, row: dict[str, float]) -> tuple[float, float]:
        """The score of an epoch; the highest is best."""
        sign = self.data.task.metrics.get(self.best_by, -1)
        return sign * row[f"validation_{self.best_by}"], -row["validation_loss"]

    @property
    def summary(self) -> str:
        """The number of parameters and the best epoch, in words."""
        best, done = self.history.best, len(self.history.rows)
        parameters = sum(tensor.numel() for tensor in best.weights.values())
        stopped = f"; stopped after {self.patience} epochs without a better one" if done < self.config.epochs else ""
        return f"{parameters:,} parameters; best epoch {best.epoch} of {done}{stopped}"

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes during a training."""
        return {"state": self.state.state_dict(), "history": self.history.state_dict()}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.state.load_state_dict(saved["state"])
        self.history.load_state_dict(saved["history"])


def read_data(folder: Path) -> TrainingData:
    """Read the output of the split stage; its arrays are memory-mapped.

    Raises:
        RetrainError: a file is missing or has changed since the split stage wrote it.
    """
    from retrain.data import encoders, loader, tasks

    encoding = encoding_file.read_encoding(folder)
    path, hint = folder / encoding_file.ENCODING, f"run: dvc repro split@{folder.parent.name}"
    digests = files.digests_in(folder)
    if {name: digest for name, digest in digests.items() if name != path.name} != encoding.arrays:
        raise RetrainError(str(folder), "does not match its encoding.json", hint)
    try:
        encoder = encoders.load(encoding.encoder.name, str(path)).Encoder.from_json(encoding.encoder.learned)
        task = tasks.load(encoding.task.name, str(path)).from_json(encoding.task.learned)
    except ValueError:
        raise RetrainError(str(path), "is damaged", hint) from None
    splits = [name for name in encoding.splits if name != "test"]
    # Without a validation split, the rows of each fold validate the members of the network that did not learn from them.
    train, *validation = (loader.Examples(loader.read(folder / name), encoder.gather) for name in splits)
    return TrainingData(
        encoding, files.combined_sha256(digests), encoder, task, train, validation[0] if validation else train
    )


def chosen_network(
    parameters: Train, split: Mapping[str, Any], gives: str, where: str
) -> "tuple[NetworkFile, NetworkParameters]":
    """The network that the parameters name; raises RetrainError if it does not fit the encoder, which gives such arrays."""
    from retrain.models import networks

    file = networks.load(parameters.network.get("name"), f"{where}.network.name")
    checked = schema.check(parameters.network, file.Parameters, f"{where}.network")
    if file.Network.takes != gives:
        encoder = split["encoder"]["name"]
        fact = f"'{checked.name}' takes {file.Network.takes}, but the encoder '{encoder}' of this dataset gives {gives}"
        fitting = [name for name in networks.names() if networks.load(name, where).Network.takes == gives]
        raise RetrainError(f"{where}.network.name", fact, f"choose one that takes {gives}: {', '.join(fitting)}")
    cut = "folds" in split
    if file.Network.uses_folds != cut:
        fact = f"'{checked.name}' {'learns from folds' if file.Network.uses_folds else 'needs a validation split'}"
        hint = "replace split.folds by validation: 0.15" if cut else "replace split.validation by folds: 4"
        raise RetrainError(f"{where}.network.name", fact, hint)
    return file, checked


def chosen_steps(parameters: Train, where: str) -> "StepParameters":
    """The optimizer and schedule that the parameters name; raises RetrainError if they do not fit the network."""
    from retrain.training.optimizers import Parameters as StepParameters

    names = {"optimizer": parameters.optimizer, "schedule": parameters.schedule}
    chosen = schema.check(names, StepParameters, where)
    if parameters.network.get("sparse", False) and not chosen.optimizer.takes_sparse_gradients:
        fact = f"'{chosen.optimizer.name}' with these parameters can't take sparse gradients"
        raise RetrainError(f"{where}.network.sparse", fact, "set it to false, or choose rowwise_adagrad")
    return chosen


def chosen_loss(parameters: Train, task: str, where: str) -> "Loss":
    """The loss that the parameters name; raises RetrainError if it does not fit the task."""
    from retrain.models import losses

    loss_class = losses.load(parameters.loss.get("name"), f"{where}.loss.name")
    loss = schema.check(parameters.loss, loss_class, f"{where}.loss")
    if loss.task != task:
        fact = f"'{loss.name}' is a loss for {loss.task}, but split.task is {task}"
        fitting = [name for name in losses.names() if losses.load(name, where).task == task]
        raise RetrainError(f"{where}.loss.name", fact, f"choose one for {task}: {', '.join(fitting)}")
    return loss


def choices_that_fit(
    parameters: Train, split: Mapping[str, Any], gives: str, task: "type[Task]", where: str
) -> "tuple[NetworkFile, NetworkParameters, StepParameters, Loss]":
    """The choices that the parameters name; raises RetrainError if they do not fit each other or the split section.

    Args:
        parameters: the train section.
        split: the split section.
        gives: the kind of arrays that the encoder gives.
        task: the class of the task.
        where: the section's path, for errors.
    """
    network, network_parameters = chosen_network(parameters, split, gives, where)
    steps, loss = chosen_steps(parameters, where), chosen_loss(parameters, split["task"], where)
    best_by, known = parameters.loop.best_by, ("loss", *task.metrics)
    if best_by not in known:
        raise RetrainError(f"{where}.loop.best_by", f"unknown '{best_by}'", schema.nearest(best_by, known))
    return network, network_parameters, steps, loss


def build(parameters: Train, data: TrainingData, where: str) -> Training:
    """Build the network with its initial weights, the loss, the optimizer and the schedule.

    Raises:
        RetrainError: a parameter does not fit another one, the data, or this machine.
    """
    from retrain import devices
    from retrain.models import networks
    from retrain.training.loop import LoopConfig, State
    from retrain.training.optimizers import scheduler

    import torch

    loop, task, rows = parameters.loop, data.task, len(data.train)
    split, gives = data.encoding.split, data.encoder.gives
    network_file, network_parameters, steps, loss = choices_that_fit(parameters, split, gives, type(task), where)
    loss = loss.fitted(task)
    if rows < loop.batch_size:
        fact = f"the train split has {rows:,} rows, fewer than one batch of {loop.batch_size:,}"
        raise RetrainError(f"{where}.loop.batch_size", fact, f"set it to {rows} or less")

    device = devices.ready(parameters.device, parameters.threads, where)
    torch.manual_seed(loop.seed)
    network = networks.build(network_file, data.encoder.size, task.outputs, network_parameters, data.encoding.split)
    network.start_from(data.train.arrays)
    if not steps.optimizer.takes_sparse_gradients and any(getattr(part, "sparse", False) for part in network.modules()):
        fact = f"'{steps.optimizer.name}' can't take the sparse gradients of '{network_parameters.name}'"
        raise RetrainError(f"{where}.optimizer.name", fact, "choose adamw_rowwise or rowwise_adagrad")
    network = network.to(device)
    optimizer = steps.optimizer.build(network, loop.learning_rate)
    schedule = scheduler(optimizer, steps.schedule, loop.epochs * math.ceil(rows / loop.batch_size))
    config = LoopConfig(
        loss, task.totals, loop.batch_size, loop.epochs, loop.clip_norm, loop.ema_decay, loop.seed, device
    )
    state = State(network, optimizer, schedule, averaged=None if loop.ema_decay is None else deepcopy(network))
    return Training(state, config, data, loop.best_by, loop.patience, History(history_columns(task)))


def describe(dataset: str, parameters: Train, data: TrainingData) -> Description:
    """What `model.json` will say, except for the best epoch, which is not known yet."""
    return Description(
        **{name: getattr(data.encoding, name) for name in DataFacts.model_fields},
        format=1,
        dataset=dataset,
        train=TrainParameters(**parameters.model_dump(mode="json")),
        data_sha256=data.sha256,
        best_epoch=0,
    )
