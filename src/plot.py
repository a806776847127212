"""Plot: the history and the predictions become pictures.

Reads `datasets.<name>.plot` and writes `reports/<name>/plots/`: loss and metric over the epochs, and the confusion
matrix (labels) or predicted against target (numbers).
"""

from pathlib import Path
from typing import Annotated

from retrain import cli, environment, files, params
from retrain.evaluation.plots import FIGURES, read, use_default_style
from retrain.schema import Section
from retrain.tracking import recording
from retrain.tracking.result import Result

import click
from pydantic import Field


class Plot(Section):
    """Parameters of the stage."""

    dots_per_inch: Annotated[int, Field(gt=0, le=2400)]
    """No printer has more, and a picture of so many takes a gigabyte while it is drawn."""


@cli.stage
def main(dataset: str) -> None:
    """Plot a dataset's training and its predictions to reports/NAME/plots/."""
    parameters = params.read(environment.workspace(), dataset, "plot", Plot)
    recording.start()
    from matplotlib.figure import Figure

    use_default_style()
    result = Result(dataset, Path(), ("train", "evaluate", "plot"))
    data = read(result)
    figures = FIGURES[data.description.task.name]
    with files.replacing(result.reports / "plots") as (plots,):
        plots.mkdir()
        for draw in figures:
            figure = Figure(figsize=(6.4, 4.8), layout="constrained")
            draw(figure.subplots(), data)
            with files.writing(plots / f"{draw.__name__}.png"):
                figure.savefig(plots / f"{draw.__name__}.png", dpi=parameters.dots_per_inch)
    recording.finish(result, "plot")
    click.echo(f"plot {dataset}: {len(figures)} pictures in {result.reports / 'plots'}/")


if __name__ == "__main__":
    main()
