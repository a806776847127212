"""`retrain curves`: the loss of every dataset over its epochs, as Markdown that GitHub draws."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from retrain import cli, environment

import click

if TYPE_CHECKING:
    import pandas as pd

LOSSES = ("train_loss", "validation_loss")


@click.command()
@cli.one_line_errors
def command() -> None:
    """Print the loss of every dataset over its epochs as Markdown with Mermaid charts, for a CI job's summary."""
    from retrain import tables

    for path in sorted((environment.workspace() / "reports").glob("*/history.csv")):
        click.echo(chart(path, tables.read_figures(path, "run the train stage again", ("epoch", *LOSSES))))


def chart(path: Path, history: "pd.DataFrame") -> str:
    """One dataset's chart: the train split's line comes first, the validation split's second."""
    lines = [f"  line [{', '.join(f'{loss:.4f}' for loss in history[name])}]" for name in LOSSES]
    dataset = re.sub(r"[^\w.-]", "_", path.parent.name)
    title = f"{dataset}: loss over epochs (train, then validation)"
    axis = f'  x-axis "epoch" 1 --> {max(len(history), 2)}'
    return "\n".join(["```mermaid", "xychart-beta", f'  title "{title}"', axis, '  y-axis "loss"', *lines, "```", ""])
