"""The training loop: a generator of reports. It knows tensors, and nothing of datasets, files or MLflow."""

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from retrain import devices
from retrain.data.loader import Batch, Examples, ordered_batches, shuffled_batches
from retrain.training.optimizers import clip

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader

Function = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class LoopConfig:
    """What stays the same while training.

    `loss` gives a batch's mean; `measure` a figure per example, whose mean is reported beside the loss.
    """

    loss: Function
    measure: Function
    batch_size: int
    epochs: int
    clip_norm: float | None
    seed: int
    device: torch.device


@dataclass
class RunningTotals:
    """Loss and measure, accumulated over the examples seen so far (float64)."""

    loss: float = 0.0
    measure: float = 0.0
    examples: int = 0

    def add(self, loss: Tensor, measures: Tensor) -> None:
        """Count a batch in: its mean loss, and a measure per example."""
        self.loss += loss.item() * len(measures)
        self.measure += measures.sum().item()
        self.examples += len(measures)

    @property
    def averages(self) -> "Averages":
        """Loss and measure per example."""
        return Averages(self.loss / self.examples, self.measure / self.examples)


@dataclass(frozen=True)
class Averages:
    """Loss and measure per example."""

    loss: float
    measure: float


@dataclass
class State:
    """All that changes while training. As with torch's own, `state_dict` and `load_state_dict` save and restore it."""

    network: nn.Module
    optimizer: Optimizer
    scheduler: LRScheduler
    epoch: int = 0
    """Epochs that are complete."""
    batch: int = 0
    """Batches of the present epoch that are complete."""
    learning_rate: float = 0.0
    """The present epoch's first."""
    totals: RunningTotals = field(default_factory=RunningTotals)
    """Of the present epoch."""

    def state_dict(self) -> dict[str, Any]:
        """Everything, as nested dicts of tensors and numbers; the tensors are those in use, not copies."""
        parts = {name: getattr(self, name).state_dict() for name in ("network", "optimizer", "scheduler")}
        figures = {name: getattr(self, name) for name in ("epoch", "batch", "learning_rate")}
        return {**parts, **figures, "sums": asdict(self.totals)}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go back to a state that `state_dict` gave."""
        for name in ("network", "optimizer", "scheduler"):
            getattr(self, name).load_state_dict(saved[name])
        for name in ("epoch", "batch", "learning_rate"):
            setattr(self, name, saved[name])
        self.totals = RunningTotals(**saved["sums"])


@dataclass(frozen=True)
class StepResult:
    """Where the training stands after a batch, of train or validation. Only an epoch's last has figures of validation."""

    epoch: int
    batch: int
    """Batches of the train split that this epoch has had."""
    batches: int
    learning_rate: float
    train: Averages
    validation: Averages | None


class NotFiniteError(ArithmeticError):
    """The loss is infinite or not a number: the training has diverged."""


def train_epochs(state: State, train: Examples, validation: Examples, config: LoopConfig) -> Iterator[StepResult]:
    """Train, epoch by epoch, and report after every batch: between two reports the state is whole and may be saved.

    The order of an epoch's batches is a function of `(seed, epoch)`, and what is drawn at random in a batch (dropout) of
    `(seed, epoch, batch)`. So it does not matter how a batch was reached, and a restored state goes on with the same bits.

    Raises:
        NotFiniteError: the loss of a batch is not finite.
    """
    count = math.ceil(len(train) / config.batch_size)
    while state.epoch < config.epochs:
        if state.batch == 0:
            state.totals, state.learning_rate = RunningTotals(), state.optimizer.param_groups[0]["lr"]
        state.network.train()
        for batch in shuffled_batches(train, config.batch_size, derived_seed(config.seed, state.epoch), state.batch):
            devices.seed(config.device, derived_seed(config.seed, state.epoch, state.batch))
            inputs, targets = on_device(batch, config.device)
            outputs = state.network(*inputs)
            loss = config.loss(outputs, targets)
            if not math.isfinite(loss.item()):
                raise NotFiniteError(f"the loss is {loss.item()} in epoch {state.epoch + 1}, batch {state.batch + 1}")
            state.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            clip(state.network.parameters(), config.clip_norm)
            state.optimizer.step()
            state.scheduler.step()
            state.totals.add(loss.detach(), config.measure(outputs.detach(), targets))
            state.batch += 1
            yield StepResult(state.epoch + 1, state.batch, count, state.learning_rate, state.totals.averages, None)
        for totals in evaluate(state.network, ordered_batches(validation, config.batch_size), config):
            if totals.examples < len(validation):
                yield StepResult(state.epoch + 1, state.batch, count, state.learning_rate, state.totals.averages, None)
        state.epoch, state.batch = state.epoch + 1, 0
        yield StepResult(state.epoch, count, count, state.learning_rate, state.totals.averages, totals.averages)


def evaluate(network: nn.Module, batches: DataLoader[Batch], config: LoopConfig) -> Iterator[RunningTotals]:
    """Loss and measure of a network on a split, in eval mode and without gradients: the sums so far after every batch.

    Raises:
        NotFiniteError: the loss is not finite.
    """
    totals = RunningTotals()
    network.eval()
    for batch in batches:
        with torch.no_grad():
            inputs, targets = on_device(batch, config.device)
            outputs = network(*inputs)
            totals.add(config.loss(outputs, targets), config.measure(outputs, targets))
        if not math.isfinite(totals.loss):
            raise NotFiniteError(f"the loss on the validation split is {totals.loss}")
        yield totals


def on_device(batch: Batch, device: torch.device) -> Batch:
    """A batch with its tensors on a device."""
    inputs, targets = batch
    return tuple(tensor.to(device) for tensor in inputs), targets.to(device)


def derived_seed(*numbers: int) -> int:
    """A seed of 32 bits that depends on all numbers: torch's CPU generator ignores all higher bits."""
    text = " ".join(map(str, numbers))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest())
