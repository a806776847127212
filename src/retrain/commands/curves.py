"""`retrain curves`: the loss of every dataset over its epochs, as Markdown that GitHub draws."""

import re
from pathlib import Path

from retrain import cli, environment
from retrain.data import report_csv

import click

LOSSES = ("train_loss", "validation_loss")


@click.command()
@cli.one_line_errors
def command() -> None:
    """Print the loss of every dataset over its epochs as Markdown with Mermaid charts, for a CI job's summary."""
    for path in sorted((environment.workspace() / "reports").glob("*/history.csv")):
        click.echo(chart(path, report_csv.read_numbers(path, "run the train stage again", ("epoch", *LOSSES))))


def chart(path: Path, history: dict[str, list[float]]) -> str:
    """One dataset's chart: the train split's line comes first, the validation split's second."""
    lines = [f"  line [{', '.join(f'{loss:.4f}' for loss in history[name])}]" for name in LOSSES]
    dataset = re.sub(r"[^\w.-]", "_", path.parent.name)
    title = f"{dataset}: loss over epochs (train, then validation)"
    axis = f'  x-axis "epoch" 1 --> {max(len(history["epoch"]), 2)}'
    return "\n".join(["```mermaid", "xychart-beta", f'  title "{title}"', axis, '  y-axis "loss"', *lines, "```", ""])
