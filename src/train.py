"""Train: encoded examples become a model, the best epoch's on the validation split.

Reads `datasets.<name>.train` and writes `models/<name>/` (`model.safetensors`, `model.json`) and
`reports/<name>/history.csv`.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from retrain import cli, description, environment, files, params, tracking
from retrain.description import Description, Encoding, TrainKnobs
from retrain.errors import RetrainError
from retrain.params import Section, Seed, Threads

import click
from pydantic import PositiveFloat, PositiveInt

if TYPE_CHECKING:
    from retrain.encoders import Encoder
    from retrain.examples import Examples
    from retrain.loop import Means, Report, Rules, State
    from retrain.losses import AnyLoss
    from retrain.networks import NetworkFile, NetworkKnobs
    from retrain.objectives import Objective
    from retrain.optimizers import Knobs

    from torch import Tensor, nn
    from tqdm import tqdm


class Loop(Section):
    """Knobs of the loop."""

    epochs: PositiveInt
    batch_size: PositiveInt
    learning_rate: PositiveFloat
    clip_norm: PositiveFloat | None
    """None where gradients are used as they are."""
    patience: PositiveInt
    seed: Seed


class Train(Section):
    """Knobs of the stage; network, optimizer, loss and schedule are chosen by name."""

    network: dict[str, Any]
    optimizer: dict[str, Any]
    schedule: dict[str, Any]
    loss: dict[str, Any]
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
    from retrain import encoders, examples, objectives

    encoder_class = encoders.load(encoding.inputs.kind, str(folder)).Encoder
    encoder = encoder_class.from_json(encoding.inputs.learned)
    objective = objectives.load(encoding.target.kind, str(folder)).from_json(encoding.target.learned)
    train, validation = (
        examples.Examples(examples.read(folder / name), encoder_class.gather) for name in ("train", "validation")
    )
    return Task(encoding.inputs.kind, encoder, objective, train, validation)


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
    return Training(state, rules, train, task.validation, objective, loop.patience)


def history_row(report: "Report", validation: "Means", objective: "Objective") -> dict[str, float]:
    """An epoch's figures, as history.csv and MLflow have them."""
    return {
        "learning_rate": report.learning_rate,
        "train_loss": report.train.loss,
        "validation_loss": validation.loss,
        f"train_{objective.metric}": objective.metric_of(report.train.measure),
        f"validation_{objective.metric}": objective.metric_of(validation.measure),
    }


def copied_weights(network: "nn.Module") -> "dict[str, Tensor]":
    """The network's weights as they are now, on the CPU."""
    return {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}


def train(training: Training, run: tracking.Run, place: str) -> tuple[Best, list[dict[str, float]]]:
    """Train until the last epoch, or until `patience` epochs brought nothing better.

    Returns:
        The best epoch (of equals the earliest), and a row per epoch.

    Raises:
        RetrainError: the loss is not finite any more.
    """
    from retrain.loop import NotFiniteError, train_epochs

    state, objective = training.state, training.objective
    best = Best(score=-math.inf, epoch=0, weights={})
    history: list[dict[str, float]] = []
    try:
        with progress(training) as bar:
            for report in train_epochs(state, training.train, training.validation, training.rules):
                bar.update()
                if report.validation is None:
                    continue
                row = history_row(report, report.validation, objective)
                score = objective.score(report.validation.loss, row[f"validation_{objective.metric}"])
                if score > best.score:
                    best = Best(score, report.epoch, copied_weights(state.network))
                history.append({"epoch": report.epoch, **row})
                run.epoch(row, report.epoch)
                bar.write(line(report.epoch, training, row, is_best=best.epoch == report.epoch))
                if report.epoch - best.epoch >= training.patience:
                    bar.write(f"stopped: no better epoch than {best.epoch} in {training.patience}")
                    break
    except NotFiniteError as error:
        raise RetrainError(f"{place}.loop.learning_rate", str(error), "lower it, or lower clip_norm") from None
    return best, history


@contextmanager
def progress(training: Training) -> "Iterator[tqdm[Any]]":
    """A bar over all batches where a person watches; elsewhere only the lines."""
    from tqdm import tqdm

    batches = math.ceil(len(training.train) / training.rules.batch_size)
    with tqdm(total=training.rules.epochs * batches, unit="batch", disable=None, leave=False) as bar:
        yield bar


def line(epoch: int, training: Training, row: dict[str, float], *, is_best: bool) -> str:
    """An epoch's figures on one line."""
    metric = training.objective.metric
    return (
        f"epoch {epoch:3d}/{training.rules.epochs}"
        f"  train loss {row['train_loss']:.4f} {metric} {row[f'train_{metric}']:.4f}"
        f"  validation loss {row['validation_loss']:.4f} {metric} {row[f'validation_{metric}']:.4f}"
        f"{'  best' if is_best else ''}"
    )


@cli.stage
def main(dataset: str) -> None:
    """Train a dataset's model, the best epoch's, and write it to models/NAME/."""
    place = params.place(dataset, "train")
    knobs = params.read(environment.workspace(), dataset, "train", Train)
    environment.pin_cpu(knobs.threads)
    from retrain import checkpoint, tables

    import pandas as pd

    folder = Path("data", dataset, "examples")
    encoding = description.read_encoding(folder)
    training = ready(knobs, task_in(folder, encoding), place)
    described = Description(
        **dict(encoding),
        format=1,
        dataset=dataset,
        train=TrainKnobs(**knobs.model_dump(mode="json")),
        data_sha256=files.sha256(folder),
        best_epoch=0,
    )
    result = tracking.Result.of(dataset)
    with tracking.training(described) as run:
        best, history = train(training, run, place)
        with files.replacing(result.model, result.history) as (model, history_csv):
            model.mkdir()
            checkpoint.save_weights(model / description.WEIGHTS, best.weights, knobs.saved_dtype)
            trained = described.model_copy(update={"best_epoch": best.epoch})
            files.write_json(model / description.FILE, trained.model_dump(mode="json"))
            tables.write_csv(history_csv, pd.DataFrame(history))
        run.result(result)
    parameters = sum(tensor.numel() for tensor in best.weights.values())
    click.echo(f"train {dataset}: {parameters:,} parameters; best epoch {best.epoch} of {len(history)}")


if __name__ == "__main__":
    main()
