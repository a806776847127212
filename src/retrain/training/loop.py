"""The training loop: a generator that yields after every batch. It knows tensors, but no files and no MLflow."""

import hashlib
import math
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

from retrain import devices
from retrain.data.loader import Batch, Examples, ordered_batches, shuffled_batches
from retrain.training.optimizers import clip

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

__all__ = ["EpochResult", "LoopConfig", "NotFiniteError", "State", "outputs_for", "train_epochs"]


Function = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class LoopConfig:
    """Everything that does not change during a training.

    `loss` returns the mean of a batch. `totals` returns the sums from which the task computes its metrics.
    """

    loss: Function
    totals: Function
    batch_size: int
    epochs: int
    clip_norm: float | None
    ema_decay: float | None
    seed: int
    device: torch.device


@dataclass
class RunningTotals:
    """The sums over the examples so far, in float64."""

    loss: float = 0.0
    totals: Tensor | float = 0.0
    """What the task sums up for its metrics."""
    examples: int = 0

    def add(self, loss: float, totals: Tensor, examples: int) -> None:
        """Add a batch: its mean loss, its totals and its size."""
        self.loss += loss * examples
        self.totals = self.totals + totals
        self.examples += examples


@dataclass
class State:
    """Everything that changes during a training. `state_dict` and `load_state_dict` work like those of torch."""

    network: nn.Module
    optimizer: Optimizer
    scheduler: LRScheduler
    epoch: int = 0
    """Epochs that are complete."""
    batch: int = 0
    """Batches of the current epoch that are complete."""
    learning_rate: float = 0.0
    """The learning rate of the first batch of the current epoch."""
    totals: RunningTotals = field(default_factory=RunningTotals)
    """The sums of the current epoch."""
    averaged: nn.Module | None = None
    """The network with the moving averages of its weights, if there is an `ema_decay`."""

    @property
    def evaluated(self) -> nn.Module:
        """The network that is evaluated and saved."""
        return self.network if self.averaged is None else self.averaged

    def average(self, decay: float) -> None:
        """Update the moving averages. They follow faster at the beginning, so that the first weights are soon forgotten."""
        if self.averaged is None:
            return
        step = self.scheduler.last_epoch
        share = 1.0 - min(decay, step / (step + 4.0))
        with torch.no_grad():
            for average, weight in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
                average.lerp_(weight, share)
            for kept, buffer in zip(self.averaged.buffers(), self.network.buffers(), strict=True):
                kept.copy_(buffer)

    def state_dict(self) -> dict[str, Any]:
        """Everything, as nested dicts of tensors and numbers. The tensors are not copies."""
        parts = {name: getattr(self, name).state_dict() for name in self.parts}
        values = {name: getattr(self, name) for name in ("epoch", "batch", "learning_rate")}
        return {**parts, **values, "totals": dict(vars(self.totals))}

    @property
    def parts(self) -> tuple[str, ...]:
        """The attributes with a state of their own."""
        return ("network", "optimizer", "scheduler", *(["averaged"] if self.averaged is not None else []))

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        for name in self.parts:
            getattr(self, name).load_state_dict(saved[name])
        for name in ("epoch", "batch", "learning_rate"):
            setattr(self, name, saved[name])
        self.totals = RunningTotals(**saved["totals"])


@dataclass(frozen=True)
class EpochResult:
    """The metrics of an epoch."""

    epoch: int
    learning_rate: float
    train: RunningTotals
    validation: RunningTotals


class NotFiniteError(ArithmeticError):
    """The loss is infinite or not a number: the training has diverged."""


def train_epochs(
    state: State, train: Examples, validation: Examples, config: LoopConfig
) -> Iterator[EpochResult | None]:
    """Train, and yield None after every batch and a result after every epoch. At each of them the state may be saved.

    The order of the batches depends on `(seed, epoch)` only, and random numbers within a batch (dropout) depend on
    `(seed, epoch, batch)` only. So a restored state continues with the same bits.

    Raises:
        NotFiniteError: the loss of a batch is not finite.
    """
    while state.epoch < config.epochs:
        if state.batch == 0:
            state.totals, state.learning_rate = RunningTotals(), state.optimizer.param_groups[0]["lr"]
        state.network.train()
        for batch in shuffled_batches(train, config.batch_size, derived_seed(config.seed, state.epoch), state.batch):
            devices.seed(config.device, derived_seed(config.seed, state.epoch, state.batch))
            inputs, targets = on_device(batch, config.device)
            outputs = state.network(*inputs)
            targets = for_each_head(targets, len(outputs))
            loss = config.loss(outputs, targets)
            value = loss.item()
            if not math.isfinite(value):
                raise NotFiniteError(f"the loss is {value} in epoch {state.epoch + 1}, batch {state.batch + 1}")
            state.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            clip(state.network.parameters(), config.clip_norm)
            state.optimizer.step()
            state.scheduler.step()
            if config.ema_decay is not None:
                state.average(config.ema_decay)
            state.totals.add(value, config.totals(outputs.detach(), targets), len(targets))
            state.batch += 1
            yield None
        validated = yield from evaluate(state.evaluated, ordered_batches(validation, config.batch_size), config)
        state.epoch, state.batch = state.epoch + 1, 0
        yield EpochResult(state.epoch, state.learning_rate, state.totals, validated)


def evaluate(network: nn.Module, batches: Iterator[Batch], config: LoopConfig) -> Generator[None, None, RunningTotals]:
    """Return the sums of a network on a split, in eval mode without gradients; yield after each batch.

    Raises:
        NotFiniteError: the loss is not finite.
    """
    totals = RunningTotals()
    network.eval()
    for batch in batches:
        with torch.no_grad():
            inputs, targets = on_device(batch, config.device)
            outputs = network(*inputs)
            totals.add(config.loss(outputs, targets).item(), config.totals(outputs, targets), len(targets))
        if not math.isfinite(totals.loss):
            raise NotFiniteError(f"the loss on the validation split is {totals.loss}")
        yield
    return totals


def outputs_for(network: nn.Module, examples: Examples, config: LoopConfig) -> tuple[Tensor, Tensor]:
    """The outputs of a network for examples in their order, (rows, outputs), and their targets, on the CPU."""
    network.eval()
    outputs, targets = [], []
    with torch.no_grad():
        for batch in ordered_batches(examples, config.batch_size):
            inputs, wanted = on_device(batch, config.device)
            outputs.append(network(*inputs).cpu())
            targets.append(wanted.cpu())
    return torch.cat(outputs), torch.cat(targets)


def for_each_head(targets: Tensor, outputs: int) -> Tensor:
    """The target of each output. A network with several heads has several outputs per row in training, next to each other."""
    return targets if len(targets) == outputs else targets.repeat_interleave(outputs // len(targets), dim=0)


def on_device(batch: Batch, device: torch.device) -> Batch:
    """A batch with its tensors on a device."""
    inputs, targets = batch
    return tuple(tensor.to(device) for tensor in inputs), targets.to(device)


def derived_seed(*numbers: int) -> int:
    """A seed that depends on all numbers. It has 32 bits, because the CPU generator of torch ignores higher ones."""
    text = " ".join(map(str, numbers))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest())
