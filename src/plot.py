"""Plot: the history of a training and its predictions, and the report and the model card.

Reads `datasets.<name>.plot`. Writes `reports/<name>/plots/`: loss and metric by epoch, and either the confusion matrix
(classification) or predicted against target values (regression). Writes `reports/<name>/report.html`, which says all that
is known about the model on one page, and `reports/<name>/MODEL_CARD.md`.
"""

from pathlib import Path

from retrain import cli, environment, files, params
from retrain.evaluation.parameters import Plot
from retrain.evaluation.plots import plots_of, read_plot_data, size_of, use_default_style
from retrain.evaluation.report import CARD, REPORT, read_report
from retrain.models.result import Result
from retrain.tracking import recording

import click


@cli.stage
def main(dataset: str) -> None:
    """Plot the training and the predictions of a dataset to reports/NAME/, and write its report and model card."""
    parameters = params.read(environment.workspace(), dataset, "plot", Plot)
    recording.start()
    use_default_style()
    from matplotlib.figure import Figure

    result = Result(dataset, Path(), ("train", "evaluate", "plot"))
    data = read_plot_data(result)
    plots, report = plots_of(data), read_report(result, data)
    with files.replacing(*(result.reports / name for name in ("plots", REPORT, CARD))) as (folder, page, card):
        folder.mkdir()
        for name, draw in plots.items():
            figure = Figure(figsize=size_of(name, data), layout="constrained")
            draw(figure.subplots(), data)
            path = folder / f"{name}.png"
            with files.writing(path):
                figure.savefig(path, dpi=parameters.dots_per_inch)
        for path, text in ((page, report.page()), (card, report.card())):
            with files.writing(path):
                path.write_text(text, encoding="utf-8", newline="\n")
    recording.finish(result, "plot")
    click.echo(
        f"plot {dataset}: {len(plots)} plots in {result.reports / 'plots'}/, all results in {result.reports / REPORT}"
    )


if __name__ == "__main__":
    cli.run(main)
