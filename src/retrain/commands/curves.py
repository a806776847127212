"""`retrain curves`: the loss curves as Markdown that GitHub draws."""

import re
from decimal import Decimal
from pathlib import Path

from retrain import cli, environment, params
from retrain.data import report_csv

import click

__all__ = ["command"]


LOSSES = ("train_loss", "validation_loss")


@click.command()
@cli.one_line_errors
def command() -> None:
    """Print the loss curves as Markdown.

    One Mermaid chart per dataset, for the summary of a CI job.
    """
    workspace = environment.workspace()
    histories = sorted((workspace / "reports").glob("*/history.csv"))
    if not histories:
        params.datasets(workspace)  # fails outside of a project
    for path in histories:
        hint = f"run: dvc repro train@{path.parent.name}"
        click.echo(chart(path, report_csv.read_numbers(path, hint, ("epoch", *LOSSES))))


def plain(number: float) -> str:
    """A number with four significant digits, without an exponent, which Mermaid can't read."""
    return f"{Decimal(f'{number:.4g}'):f}"


def chart(path: Path, history: dict[str, list[float]]) -> str:
    """A dataset's chart: the first line is the train split, the second one the validation split."""
    lines = [f"  line [{', '.join(map(plain, history[name]))}]" for name in LOSSES]
    dataset = re.sub(r"[^\w.-]", "_", path.parent.name)
    title = f"{dataset}: loss over epochs (train, then validation)"
    axis = f'  x-axis "epoch" 1 --> {max(len(history["epoch"]), 2)}'
    return "\n".join(["```mermaid", "xychart-beta", f'  title "{title}"', axis, '  y-axis "loss"', *lines, "```", ""])
