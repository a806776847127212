"""`retrain curves`: the loss of every dataset over its epochs, as Markdown that GitHub draws."""

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from retrain import cli, environment
from retrain.errors import RetrainError

import click

if TYPE_CHECKING:
    import pandas as pd


@click.command()
@cli.one_line_errors
def command() -> None:
    """Print the loss of every dataset over its epochs as Markdown with Mermaid charts, for a CI job's summary."""
    from retrain import tables

    for path in sorted((environment.workspace() / "reports").glob("*/history.csv")):
        click.echo(chart(path, tables.read_csv(path, "run the train stage first")))


def chart(path: Path, history: "pd.DataFrame") -> str:
    """One dataset's chart: the train split's line comes first, the validation split's second.

    Raises:
        RetrainError: the history holds something else than numbers, which could end the chart and begin other Markdown.
    """
    try:
        lines = [line(history[name]) for name in ("train_loss", "validation_loss")]
    except (KeyError, TypeError, ValueError) as error:
        raise RetrainError(str(path), f"is no history of a training ({error})", "run the train stage again") from None
    dataset = re.sub(r"[^\w.-]", "_", path.parent.name)
    title = f"{dataset}: loss over epochs (train, then validation)"
    axis = f'  x-axis "epoch" 1 --> {max(len(history), 2)}'
    return "\n".join(["```mermaid", "xychart-beta", f'  title "{title}"', axis, '  y-axis "loss"', *lines, "```", ""])


def line(losses: Iterable[float]) -> str:
    """A line of the chart; raises ValueError where a loss is no finite number, or there is none."""
    numbers = [float(loss) for loss in losses]
    if not numbers or not all(map(math.isfinite, numbers)):
        raise ValueError("a loss is missing, or is not finite")
    return f"  line [{', '.join(f'{number:.4f}' for number in numbers)}]"
