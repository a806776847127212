"""The training loop: a generator of reports. It knows tensors, and nothing of datasets, files or MLflow."""

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from retrain.examples import Batch, Examples, ordered_batches, shuffled_batches
from retrain.optimizers import clip

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader

Function = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Rules:
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
class Sums:
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
    def means(self) -> "Means":
        """Loss and measure per example."""
        return Means(self.loss / self.examples, self.measure / self.examples)


@dataclass(frozen=True)
class Means:
    """Loss and measure per example."""

    loss: float
    measure: float


@dataclass
class State:
    """All that changes while training."""

    network: nn.Module
    optimizer: Optimizer
    scheduler: LRScheduler
    epoch: int = 0
    """Epochs that are complete."""
    sums: Sums = field(default_factory=Sums)


@dataclass(frozen=True)
class Report:
    """Where the training stands after a batch. Only the last report of an epoch has figures of the validation split."""

    epoch: int
    batch: int
    batches: int
    learning_rate: float
    train: Means
    validation: Means | None


class NotFiniteError(ArithmeticError):
    """The loss is infinite or not a number: the training has diverged."""


def train_epochs(state: State, train: Examples, validation: Examples, rules: Rules) -> Iterator[Report]:
    """Train, epoch by epoch, and report after every batch.

    Each epoch draws from its own generator, seeded from `(seed, epoch)`, so the order of the batches is a function of
    the seed and an epoch does not depend on how the one before it was reached.

    Raises:
        NotFiniteError: the loss of a batch is not finite.
    """
    generator = torch.Generator()
    batches = shuffled_batches(train, rules.batch_size, generator)
    while state.epoch < rules.epochs:
        generator.manual_seed(epoch_seed(rules.seed, state.epoch))
        torch.manual_seed(epoch_seed(rules.seed, state.epoch))  # dropout
        state.sums = Sums()
        learning_rate = state.optimizer.param_groups[0]["lr"]
        state.network.train()
        for number, batch in enumerate(batches, start=1):
            inputs, targets = on_device(batch, rules.device)
            outputs = state.network(*inputs)
            loss = rules.loss(outputs, targets)
            if not math.isfinite(loss.item()):
                raise NotFiniteError(f"the loss is {loss.item()} in epoch {state.epoch + 1}, batch {number}")
            state.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            clip(state.network.parameters(), rules.clip_norm)
            state.optimizer.step()
            state.scheduler.step()
            state.sums.add(loss.detach(), rules.measure(outputs.detach(), targets))
            if number < len(batches):
                yield Report(state.epoch + 1, number, len(batches), learning_rate, state.sums.means, None)
        state.epoch += 1
        measured = evaluate(state.network, ordered_batches(validation, rules.batch_size), rules)
        yield Report(state.epoch, len(batches), len(batches), learning_rate, state.sums.means, measured)


def evaluate(network: nn.Module, batches: DataLoader[Batch], rules: Rules) -> Means:
    """Loss and measure of a network on a split, in eval mode and without gradients."""
    sums = Sums()
    network.eval()
    with torch.no_grad():
        for batch in batches:
            inputs, targets = on_device(batch, rules.device)
            outputs = network(*inputs)
            sums.add(rules.loss(outputs, targets), rules.measure(outputs, targets))
    if not math.isfinite(sums.loss):
        raise NotFiniteError(f"the loss on the validation split is {sums.loss}")
    return sums.means


def on_device(batch: Batch, device: torch.device) -> Batch:
    """A batch with its tensors on a device."""
    inputs, targets = batch
    return tuple(tensor.to(device) for tensor in inputs), targets.to(device)


def epoch_seed(seed: int, epoch: int) -> int:
    """A seed per epoch, of 32 bits: torch's CPU generator ignores all higher ones."""
    return int.from_bytes(hashlib.blake2b(f"{seed} {epoch}".encode(), digest_size=4).digest())
