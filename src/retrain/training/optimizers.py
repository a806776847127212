"""Optimizers and learning-rate schedules, with their parameters."""

import inspect
import math
from collections.abc import Iterable
from typing import Annotated, Literal

from retrain.schema import AtLeastOne, Number, Section, Share

import torch
from pydantic import Field
from torch import Tensor, optim
from torch.nn import Parameter
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

__all__ = ["Parameters", "clip", "scheduler"]


INITIAL_SUM = 1e-6
"""The start value of the sums of `RowwiseAdagradOptimizer`; it limits a row's first step."""


class OptimizerSection(Section):
    """Base of the parameters of an optimizer."""

    @property
    def takes_sparse_gradients(self) -> bool:
        """Whether these parameters allow a network with sparse gradients."""
        raise NotImplementedError

    def build(self, parameters: Iterable[Parameter], learning_rate: float) -> Optimizer:
        """Build the optimizer for the weights of a network."""
        raise NotImplementedError


class SGD(OptimizerSection):
    """Stochastic gradient descent."""

    name: Literal["sgd"]
    momentum: Share
    weight_decay: Number

    @property
    def takes_sparse_gradients(self) -> bool:
        return self.momentum == 0 and self.weight_decay == 0

    def build(self, parameters: Iterable[Parameter], learning_rate: float) -> Optimizer:
        return EagerSGD(parameters, lr=learning_rate, momentum=self.momentum, weight_decay=self.weight_decay)


class AdamW(OptimizerSection):
    """Adam with decoupled weight decay; without decay it is Adam."""

    name: Literal["adamw"]
    beta1: Share
    beta2: Share
    weight_decay: Number

    @property
    def takes_sparse_gradients(self) -> bool:
        return False

    def build(self, parameters: Iterable[Parameter], learning_rate: float) -> Optimizer:
        betas = (self.beta1, self.beta2)
        return EagerAdamW(parameters, lr=learning_rate, betas=betas, weight_decay=self.weight_decay)


class Adagrad(OptimizerSection):
    """Adagrad: a learning rate of its own for each weight, which falls with the sum of squared gradients."""

    name: Literal["adagrad"]
    weight_decay: Number

    @property
    def takes_sparse_gradients(self) -> bool:
        return self.weight_decay == 0

    def build(self, parameters: Iterable[Parameter], learning_rate: float) -> Optimizer:
        return EagerAdagrad(parameters, lr=learning_rate, weight_decay=self.weight_decay)


class RowwiseAdagrad(OptimizerSection):
    """Adagrad with one learning rate per row of a weight matrix, such as a word vector; fast for sparse gradients."""

    name: Literal["rowwise_adagrad"]

    @property
    def takes_sparse_gradients(self) -> bool:
        return True

    def build(self, parameters: Iterable[Parameter], learning_rate: float) -> Optimizer:
        return RowwiseAdagradOptimizer(parameters, learning_rate)


class EagerOptimizer(Optimizer):
    """Base of the optimizers in this module: the same arithmetic as torch's own, without importing its compiler.

    Torch decorates these methods for `torch.compile`, and each decorator imports `torch._dynamo` at its first call.
    That takes two seconds, which is longer than many trainings.
    """

    add_param_group = inspect.unwrap(Optimizer.add_param_group)
    zero_grad = inspect.unwrap(Optimizer.zero_grad)
    state_dict = inspect.unwrap(Optimizer.state_dict)
    load_state_dict = inspect.unwrap(Optimizer.load_state_dict)


class EagerSGD(EagerOptimizer, optim.SGD):
    """`torch.optim.SGD`."""

    step = torch.no_grad()(inspect.unwrap(optim.SGD.step))


class EagerAdamW(EagerOptimizer, optim.AdamW):
    """`torch.optim.AdamW`."""

    step = torch.no_grad()(inspect.unwrap(optim.AdamW.step))


class EagerAdagrad(EagerOptimizer, optim.Adagrad):
    """`torch.optim.Adagrad`."""

    step = torch.no_grad()(inspect.unwrap(optim.Adagrad.step))


class RowwiseAdagradOptimizer(EagerOptimizer):
    """Adagrad (Duchi et al. 2011) whose accumulator has one number per row (Gupta et al. 2014).

    A row is everything under one index of a parameter's first dimension. It moves by `lr * gradient / sqrt(sum)`, where
    the sum is over the mean squares of all its gradients so far. Entries of a sparse gradient are used one by one and
    not added up first: if a batch has an index twice, its sum grows by both squares. This avoids sorting all indices
    in every step, which takes most of the time of other sparse optimizers.
    """

    def __init__(self, params: Iterable[Parameter], lr: float) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Update all parameters that have a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["sum"] = parameter.new_full((len(parameter),), INITIAL_SUM)
                move(parameter, parameter.grad, state["sum"], group["lr"])


def move(parameter: Tensor, gradient: Tensor, sums: Tensor, learning_rate: float) -> None:
    """One step of `RowwiseAdagradOptimizer` for one parameter; `sums` has one number per row."""
    if gradient.is_sparse:
        rows, values = gradient._indices()[0], gradient._values()  # noqa: SLF001 (the public methods need sorted indices)
        sums.index_add_(0, rows, values.square().reshape(len(values), math.prod(values.shape[1:])).mean(dim=1))
        rates = sums[rows].rsqrt_().mul_(-learning_rate)
        parameter.index_add_(0, rows, values * rates.reshape(-1, *[1] * (values.dim() - 1)))
    else:
        sums += gradient.square().reshape(len(sums), -1).mean(dim=1)
        rates = sums.rsqrt().mul_(-learning_rate)
        parameter += gradient * rates.reshape(-1, *[1] * (gradient.dim() - 1))


AnyOptimizer = Annotated[SGD | AdamW | Adagrad | RowwiseAdagrad, Field(discriminator="name")]


class Constant(Section):
    """A constant learning rate."""

    name: Literal["constant"]

    def factor(self, progress: float) -> float:
        """The factor of the learning rate; `progress` rises from 0 to 1 during the training."""
        return 1.0


class Linear(Section):
    """The learning rate falls linearly to zero."""

    name: Literal["linear"]

    def factor(self, progress: float) -> float:
        """See `Constant.factor`."""
        return 1.0 - progress


class Cosine(Section):
    """The learning rate falls along half a cosine (Loshchilov and Hutter 2017, without restarts)."""

    name: Literal["cosine"]

    def factor(self, progress: float) -> float:
        """See `Constant.factor`."""
        return round(0.5 * (1.0 + math.cos(math.pi * progress)), 12)  # C libraries round a cosine differently


class Steps(Section):
    """The learning rate is multiplied by `gamma` after each of `count` equal parts of the training."""

    name: Literal["steps"]
    count: AtLeastOne
    gamma: Annotated[float, Field(gt=0, lt=1)]

    def factor(self, progress: float) -> float:
        """See `Constant.factor`."""
        passed = min(int(progress * self.count), self.count - 1)
        return math.prod([self.gamma] * passed)  # the same bits on every machine; a power is not


AnySchedule = Annotated[Constant | Linear | Cosine | Steps, Field(discriminator="name")]


def scheduler(optimizer: Optimizer, schedule: AnySchedule, steps: int) -> LambdaLR:
    """A scheduler that is stepped once per batch and ends after `steps` batches."""
    return LambdaLR(optimizer, lambda step: schedule.factor(min(step / steps, 1.0)))


def clip(parameters: Iterable[Parameter], maximum_norm: float | None) -> None:
    """Scale all gradients by one factor so that their joint Euclidean norm is at most `maximum_norm`."""
    if maximum_norm is None:
        return
    stored = (stored_gradient(parameter) for parameter in parameters)
    gradients = [gradient for gradient in stored if gradient is not None]
    factor = (maximum_norm / (get_total_norm(gradients) + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(factor)


def stored_gradient(parameter: Parameter) -> Tensor | None:
    """A view of the numbers of a gradient; of a sparse gradient, those that are stored, after equal indices were added up."""
    if parameter.grad is None or not parameter.grad.is_sparse:
        return parameter.grad
    parameter.grad = parameter.grad.coalesce()
    return parameter.grad.values()


class Parameters(Section):
    """The parts of the train section that this module defines."""

    optimizer: AnyOptimizer
    schedule: AnySchedule
