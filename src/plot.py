"""Plot: the history of a training and its predictions.

Reads `datasets.<name>.plot`. Writes `reports/<name>/plots/`: loss and metric by epoch, and either the confusion matrix
(classification) or predicted against target values (regression).
"""

from pathlib import Path

from retrain import cli, environment, files, params
from retrain.evaluation.parameters import Plot
from retrain.evaluation.plots import plots_of, read_plot_data, size_of, use_default_style
from retrain.models.result import Result
from retrain.tracking import recording

import click


@cli.stage
def main(dataset: str) -> None:
    """Plot the training and the predictions of a dataset to reports/NAME/plots/."""
    parameters = params.read(environment.workspace(), dataset, "plot", Plot)
    recording.start()
    use_default_style()
    from matplotlib.figure import Figure

    result = Result(dataset, Path(), ("train", "evaluate", "plot"))
    data = read_plot_data(result)
    plots = plots_of(data)
    with files.replacing(result.reports / "plots") as (folder,):
        folder.mkdir()
        for name, draw in plots.items():
            figure = Figure(figsize=size_of(name, data), layout="constrained")
            draw(figure.subplots(), data)
            path = folder / f"{name}.png"
            with files.writing(path):
                figure.savefig(path, dpi=parameters.dots_per_inch)
    recording.finish(result, "plot")
    click.echo(f"plot {dataset}: {len(plots)} plots in {result.reports / 'plots'}/")


if __name__ == "__main__":
    main()
