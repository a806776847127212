"""`retrain repro`: the pipeline of every dataset whose rows can be had. `make repro` calls it."""

import os
import sys
from pathlib import Path

from retrain import cli, environment, files, processes
from retrain.errors import RetrainError
from retrain.pipeline import availability

import click


@click.command()
@click.argument("dataset", required=False)
@cli.one_line_errors
def command(dataset: str | None) -> None:
    """Run prepare, split, train, evaluate and plot of DATASET, or of every dataset whose rows can be had.

    Then say what was measured, where the reports are and how the runs can be compared.
    """
    workspace = environment.workspace()
    ready = availability.chosen(workspace, dataset, "repro")  # a bare `dvc repro` would run them all
    stages = [f"plot@{name}" for name in ready]
    repro = [sys.executable, "-m", "dvc", "repro", *stages]
    if processes.run_to_completion(repro, workspace, os.environ, sys.stdout.fileno()):
        raise RetrainError("repro", "a stage failed", "see above")
    click.echo()
    for line in summary(workspace, ready):
        click.echo(line)


def summary(workspace: Path, datasets: list[str]) -> list[str]:
    """A table of the test metrics, and where to look next."""
    rows = [("dataset", "metric", "test", "baseline")]
    for dataset in datasets:
        metrics = files.read_json(workspace / "reports" / dataset / "metrics.json", f"run dvc repro plot@{dataset}")
        for name, value in metrics["test"].items():
            rows.append((dataset, name, f"{value:.4f}", f"{metrics['baseline'][name]:.4f}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = [
        f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]:>{widths[3]}}" for row in rows
    ]
    return [
        *table,
        "",
        f"reports: {', '.join(f'reports/{name}/' for name in datasets)} (pictures in plots/)",
        "runs:    make ui, and open the address that it prints",
    ]
