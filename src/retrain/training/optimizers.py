"""Optimizers and learning-rate schedules, with their parameters."""

import inspect
import math
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from retrain.schema import AtLeastOne, Number, PositiveNumber, Section, Share

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn, optim
from torch.nn import Parameter
from torch.nn.utils import get_total_norm, parameters_to_vector, vector_to_parameters
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

__all__ = ["Parameters", "clip", "scheduler"]


INITIAL_SUM = 1e-6
"""The start value of the sums of `RowwiseAdagradOptimizer`; it limits a row's first step."""
SMALL_INITIAL_SUM = 1e-10
"""That of `AdamWRowwiseOptimizer`: gradients of an n-gram in a long text are small, but its steps are not."""


class SGD(Section):
    """Stochastic gradient descent."""

    name: Literal["sgd"]
    momentum: Share
    weight_decay: Number

    @property
    def takes_sparse_gradients(self) -> bool:
        """Whether these parameters allow a network with sparse gradients."""
        return self.momentum == 0 and self.weight_decay == 0

    def build(self, network: nn.Module, learning_rate: float) -> Optimizer:
        """The optimizer for the weights of a network."""
        return EagerSGD(network.parameters(), lr=learning_rate, momentum=self.momentum, weight_decay=self.weight_decay)


class AdamW(Section):
    """Adam with decoupled weight decay; without decay it is Adam."""

    name: Literal["adamw"]
    beta1: Share
    beta2: Share
    weight_decay: Number

    @property
    def takes_sparse_gradients(self) -> bool:
        return False

    def build(self, network: nn.Module, learning_rate: float) -> Optimizer:
        betas = (self.beta1, self.beta2)
        return EagerAdamW(network.parameters(), lr=learning_rate, betas=betas, weight_decay=self.weight_decay)


class Adagrad(Section):
    """Adagrad: a learning rate of its own for each weight, which falls with the sum of squared gradients."""

    name: Literal["adagrad"]
    weight_decay: Number

    @property
    def takes_sparse_gradients(self) -> bool:
        return self.weight_decay == 0

    def build(self, network: nn.Module, learning_rate: float) -> Optimizer:
        return EagerAdagrad(network.parameters(), lr=learning_rate, weight_decay=self.weight_decay)


class RowwiseAdagrad(Section):
    """Adagrad with one learning rate per row of a weight matrix, such as a word vector; fast for sparse gradients."""

    name: Literal["rowwise_adagrad"]

    @property
    def takes_sparse_gradients(self) -> bool:
        return True

    def build(self, network: nn.Module, learning_rate: float) -> Optimizer:
        return RowwiseAdagradOptimizer(network.parameters(), learning_rate)


class AdamWRowwise(Section):
    """AdamW for most weights, row-wise Adagrad for those with sparse gradients, such as the vectors of n-grams.

    Adam would give a rare n-gram steps as large as those of a frequent one. Only weights whose names end in `weight` decay,
    so scales and biases do not.
    """

    name: Literal["adamw_rowwise"]
    beta1: Share
    beta2: Share
    weight_decay: Number
    sparse_learning_rate: PositiveNumber
    """The learning rate of weights with sparse gradients."""

    @property
    def takes_sparse_gradients(self) -> bool:
        return True

    def build(self, network: nn.Module, learning_rate: float) -> Optimizer:
        sparse = {id(module.weight) for module in network.modules() if getattr(module, "sparse", False)}
        groups: dict[str, list[Parameter]] = {"sparse": [], "decayed": [], "free": []}
        for name, parameter in network.named_parameters():
            kind = "sparse" if id(parameter) in sparse else "decayed" if name.endswith("weight") else "free"
            groups[kind].append(parameter)
        decays = {"decayed": self.weight_decay, "free": 0.0}
        dense = [{"params": groups[kind], "weight_decay": decay} for kind, decay in decays.items() if groups[kind]]
        rowwise = [{"params": groups["sparse"], "lr": self.sparse_learning_rate}] if groups["sparse"] else []
        return AdamWRowwiseOptimizer(dense, rowwise, learning_rate, (self.beta1, self.beta2))


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
    """`torch.optim.SGD`, which is faster for sparse gradients whose indices are distinct."""

    step_of_torch = inspect.unwrap(optim.SGD.step)

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Update all parameters that have a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None and parameter.grad.is_sparse:
                    rows, values = parameter.grad._indices()[0], parameter.grad._values()  # noqa: SLF001
                    if (rows[1:] > rows[:-1]).all():  # so they are distinct; autograd drops the gradient's own flag
                        move_rows(parameter, rows, values.mul_(-group["lr"]))
                        parameter.grad = None
        self.step_of_torch()


def move_rows(parameter: Tensor, rows: Tensor, steps: Tensor) -> None:
    """Add the steps to distinct rows of a matrix.

    On the CPU numpy moves a row at once, as one item of all its bytes, which takes a tenth of the time of `index_add_`.
    """
    if parameter.device.type != "cpu" or parameter.dim() != 2 or not parameter.is_contiguous():
        parameter.index_add_(0, rows, steps)
        return
    table, places = parameter.detach().numpy(), rows.numpy()
    items = table.view(np.dtype((np.void, table.itemsize * table.shape[1]))).ravel()
    moved = items.take(places, mode="clip")
    moved.view(table.dtype).reshape(steps.shape)[:] += steps.numpy()
    items[places] = moved


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
                move(parameter, parameter.grad, self.state[parameter], group["lr"], INITIAL_SUM)


def move(parameter: Tensor, gradient: Tensor, state: dict[str, Any], learning_rate: float, initial_sum: float) -> None:
    """One step of `RowwiseAdagradOptimizer` for one parameter; `sum` in its state has one number per row.

    A sparse gradient is overwritten, which saves a copy of it.
    """
    if not state:
        state["sum"] = parameter.new_full((len(parameter),), initial_sum)
    sums = state["sum"]
    if gradient.is_sparse:
        rows, values = gradient._indices()[0], gradient._values()  # noqa: SLF001 (the public methods need sorted indices)
        sums.index_add_(0, rows, values.square().reshape(len(values), math.prod(values.shape[1:])).mean(dim=1))
        rates = sums[rows].rsqrt_().mul_(-learning_rate)
        parameter.index_add_(0, rows, values.mul_(rates.reshape(-1, *[1] * (values.dim() - 1))))
    else:
        sums += gradient.square().reshape(len(sums), -1).mean(dim=1)
        rates = sums.rsqrt().mul_(-learning_rate)
        parameter += gradient * rates.reshape(-1, *[1] * (gradient.dim() - 1))


class AdamWRowwiseOptimizer(EagerOptimizer):
    """`AdamW` and `RowwiseAdagradOptimizer` side by side, with one list of groups and one state.

    The parameters of a group for AdamW become views of one vector, so that a step is a few operations on it instead of a few for
    each of them. Their state is that of the first. A parameter without a gradient counts as one whose gradient is zero.

    Args:
        dense: the groups for AdamW, with their `weight_decay`.
        rowwise: the groups for row-wise Adagrad, with their learning rate `lr`.
        lr: the learning rate of AdamW.
        betas: the decay of AdamW's moving averages of gradients and of squared gradients.
    """

    def __init__(
        self, dense: list[dict[str, Any]], rowwise: list[dict[str, Any]], lr: float, betas: tuple[float, float]
    ) -> None:
        super().__init__([*dense, *rowwise], {"lr": lr, "betas": betas, "eps": 1e-8, "weight_decay": 0.0})
        self.vectors = [parameters_to_vector(group["params"]).detach() for group in dense]
        for group, vector in zip(dense, self.vectors, strict=True):
            vector_to_parameters(vector, group["params"])

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Update all parameters."""
        dense, rowwise = self.param_groups[: len(self.vectors)], self.param_groups[len(self.vectors) :]
        for group, vector in zip(dense, self.vectors, strict=True):
            parts = [torch.zeros_like(one) if one.grad is None else one.grad for one in group["params"]]
            adamw(vector, parameters_to_vector(parts), self.state[group["params"][0]], group)
        for group in rowwise:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    move(parameter, parameter.grad, self.state[parameter], group["lr"], SMALL_INITIAL_SUM)


def adamw(weights: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    """One step of AdamW (Loshchilov and Hutter 2019) for a vector of weights."""
    if not state:
        state |= {"powers": [1.0, 1.0], "mean": torch.zeros_like(weights), "square": torch.zeros_like(weights)}
    beta1, beta2 = group["betas"]
    powers = [power * beta for power, beta in zip(state["powers"], (beta1, beta2), strict=True)]  # exact everywhere
    state["powers"] = powers
    state["mean"].lerp_(gradient, 1.0 - beta1)
    state["square"].mul_(beta2).addcmul_(gradient, gradient, value=1.0 - beta2)
    weights.mul_(1.0 - group["lr"] * group["weight_decay"])
    spread = (state["square"] / (1.0 - powers[1])).sqrt_().add_(group["eps"])
    weights.addcdiv_(state["mean"], spread, value=-group["lr"] / (1.0 - powers[0]))


AnyOptimizer = Annotated[SGD | AdamW | Adagrad | RowwiseAdagrad | AdamWRowwise, Field(discriminator="name")]


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


class WarmCosine(Section):
    """The learning rate rises during the first `warmup` of the training, and falls along half a cosine."""

    name: Literal["warm_cosine"]
    warmup: Annotated[float, Field(gt=0, lt=1)]

    def factor(self, progress: float) -> float:
        """See `Constant.factor`."""
        rise = min(1.0, (progress + 1e-3) / self.warmup)  # the first step is not zero
        return round(rise * 0.5 * (1.0 + math.cos(math.pi * progress)), 12)


class Steps(Section):
    """The learning rate is multiplied by `gamma` after each of `count` equal parts of the training."""

    name: Literal["steps"]
    count: AtLeastOne
    gamma: Annotated[float, Field(gt=0, lt=1)]

    def factor(self, progress: float) -> float:
        """See `Constant.factor`."""
        passed = min(int(progress * self.count), self.count - 1)
        return math.prod([self.gamma] * passed)  # the same bits on every machine; a power is not


AnySchedule = Annotated[Constant | Linear | Cosine | WarmCosine | Steps, Field(discriminator="name")]


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
