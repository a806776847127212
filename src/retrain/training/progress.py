"""What a training prints to the terminal."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from retrain.data.report_csv import in_short
from retrain.training.setup import Training

import click

if TYPE_CHECKING:
    from tqdm import tqdm

__all__ = ["epoch_line", "progress", "write"]


@contextmanager
def progress(training: Training) -> "Iterator[tqdm[Any]]":
    """A progress bar over all batches in a terminal; elsewhere, lines only."""
    from tqdm import tqdm

    data, state, config = training.data, training.state, training.config
    batches = sum(math.ceil(len(examples) / config.batch_size) for examples in (data.train, data.validation))
    done, total = state.epoch * batches + state.batch, config.epochs * batches
    with tqdm(initial=done, total=total, unit="batch", disable=None, leave=False) as bar:
        yield bar


def write(bar: "tqdm[Any]", line: str) -> None:
    """Print a line above a progress bar at once, so that a log shows it while the training runs."""
    with bar.external_write_mode():
        click.echo(line)


def epoch_line(training: Training) -> str:
    """The metrics of the last epoch on one line."""
    row, metric = training.history.rows[-1], next(iter(training.data.task.metrics))
    return (
        f"epoch {row['epoch']:3d}/{training.config.epochs}"
        f"  train loss {in_short(row['train_loss'])} {metric} {in_short(row[f'train_{metric}'])}"
        f"  validation loss {in_short(row['validation_loss'])} {metric} {in_short(row[f'validation_{metric}'])}"
        f"{'  best' if training.history.best.epoch == row['epoch'] else ''}"
    )
