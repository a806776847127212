"""Plot: the history and the predictions become pictures.

Reads `datasets.<name>.plot` and writes `reports/<name>/plots/`: loss and metric over the epochs, and the confusion
matrix (labels) or predicted against target (numbers).
"""

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from retrain import cli, environment, files, params, tracking
from retrain.description import Description
from retrain.errors import RetrainError
from retrain.params import Section
from retrain.results import Result

import click
from pydantic import Field

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

WAY_OUT = "run the evaluate stage first"
TRAIN, VALIDATION, CHOSEN = "#0072b2", "#d55e00", "#555555"  # told apart without colour vision, and in grey
LONGEST_LABEL = 40
"""Characters of a class's name in a picture."""


class Plot(Section):
    """Knobs of the stage."""

    dots_per_inch: Annotated[int, Field(gt=0, le=2400)]
    """No printer has more, and a picture of so many takes a gigabyte while it is drawn."""


@dataclass(frozen=True)
class Report:
    """What there is to be plotted."""

    dataset: str
    history: "pd.DataFrame"
    results: "pd.DataFrame"
    """Of a label the counts of each pair of classes; of a number the target and what was predicted, row by row."""
    description: Description


def drawn(text: str) -> str:
    """A text of the data as it may stand in a picture: printable, and not endless."""
    printable = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    return printable if len(printable) <= LONGEST_LABEL else f"{printable[: LONGEST_LABEL - 1]}…"


def loss(axes: "Axes", report: Report) -> None:
    """Loss over the epochs."""
    name = drawn(report.description.train.loss.name.replace("_", " "))
    of = " of the standardised target" if report.description.target.kind == "number" else ""
    curves(axes, report, "loss", f"Loss ({name}{of})")


def accuracy(axes: "Axes", report: Report) -> None:
    """Accuracy over the epochs."""
    from matplotlib.ticker import PercentFormatter

    curves(axes, report, "accuracy", "Accuracy")
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1.0))


def rmse(axes: "Axes", report: Report) -> None:
    """Root mean squared error over the epochs."""
    curves(axes, report, "rmse", f"Root mean squared error (units of {drawn(report.description.target.column)})")


def curves(axes: "Axes", report: Report, figure: str, label: str) -> None:
    """A figure of the train and validation splits over the epochs, the chosen epoch marked."""
    from matplotlib.ticker import MaxNLocator

    epochs, best = report.history["epoch"], report.description.best_epoch
    few = len(epochs) <= 30
    axes.plot(epochs, report.history[f"train_{figure}"], color=TRAIN, marker="o" if few else "", label="train")
    axes.plot(
        epochs, report.history[f"validation_{figure}"],
        color=VALIDATION, linestyle="--", marker="s" if few else "", label="validation",
    )  # fmt: skip
    axes.axvline(best, color=CHOSEN, linestyle=":", label=f"chosen: epoch {best}")
    axes.set(
        title=f"{report.dataset}: {label.split(' (', maxsplit=1)[0].lower()} over epochs", xlabel="Epoch", ylabel=label
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()


def confusion(axes: "Axes", report: Report) -> None:
    """The confusion matrix: rows counted in each cell, coloured by the share of the target's row."""
    names = list(dict.fromkeys(report.results["target"]))
    matrix = report.results["rows"].to_numpy().reshape(len(names), len(names))
    shares = matrix / matrix.sum(axis=1, keepdims=True).clip(min=1)
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    axes.figure.colorbar(image, ax=axes, label="Share of the target's rows", format="{x:.0%}")
    for i in range(len(names)):
        for j in range(len(names)):
            colour = "white" if shares[i, j] > 0.5 else "black"
            axes.text(j, i, f"{matrix[i, j]:,}\n{shares[i, j]:.1%}", ha="center", va="center", color=colour)
    ticks = range(len(names))
    labels = list(map(drawn, names))
    axes.set_xticks(ticks, labels, rotation=30, ha="right")
    axes.set_yticks(ticks, labels)
    title = f"{report.dataset}: confusion matrix, {matrix.sum():,} test rows"
    axes.set(title=title, xlabel="Predicted", ylabel="Target")


def predicted(axes: "Axes", report: Report) -> None:
    """Predicted against target, with the line on which a perfect prediction lies."""
    values, column = report.results, drawn(report.description.target.column)
    ends = [values[["target", "predicted"]].min().min(), values[["target", "predicted"]].max().max()]
    axes.plot(ends, ends, color=CHOSEN, linestyle=":", label="perfect prediction")
    axes.scatter(values["target"], values["predicted"], color=TRAIN, alpha=0.7, edgecolor="white", label="test row")
    axes.set(
        title=f"{report.dataset}: predicted against target, {len(values):,} test rows",
        xlabel=f"Target ({column})", ylabel=f"Predicted ({column})", aspect="equal",
    )  # fmt: skip
    axes.grid(alpha=0.3)
    axes.legend()


def settle_style() -> None:
    """Take matplotlib's own style, since a person's would change the bytes; a class called `$x^$` is no formula."""
    import matplotlib as mpl

    mpl.rcdefaults()
    mpl.rcParams["text.parse_math"] = False


FIGURES = {"label": (loss, accuracy, confusion), "number": (loss, rmse, predicted)}
CURVES = {"label": ("loss", "accuracy"), "number": ("loss", "rmse")}
"""The figures of an epoch that are drawn, for train and validation."""


def counted(reports: Path, description: Description) -> "pd.DataFrame":
    """How many rows each pair of classes has; raises RetrainError where they are not the model's classes."""
    from retrain import tables

    path = reports / "confusion.csv"
    counts = tables.read_csv(path, WAY_OUT, text=("target", "predicted"))
    names = list(dict.fromkeys(counts["target"]))
    pairs = list(zip(counts["target"], counts["predicted"], strict=True))
    rows = counts.get("rows", counts["target"])
    whole = pairs == list(product(names, repeat=2)) and rows.dtype == "int64" and (rows >= 0).all()
    if not whole or names != description.target.learned.get("classes"):
        raise RetrainError(str(path), "does not count the rows of each pair of the model's classes", WAY_OUT)
    return counts


def measured(reports: Path, _description: Description) -> "pd.DataFrame":
    """The target and what was predicted, of each row; raises RetrainError where they are no numbers."""
    from retrain import tables

    return tables.read_figures(reports / "predictions.csv", WAY_OUT, ("target", "predicted"))


RESULTS = {"label": counted, "number": measured}


def read(result: Result) -> Report:
    """What there is to be plotted; raises RetrainError where it is missing or damaged."""
    from retrain import tables

    described = result.description()
    kind = described.target.kind
    if kind not in FIGURES:
        raise RetrainError(str(result.model), f"predicts a '{kind}', for which there are no figures", "train it again")
    columns = ("epoch", *(f"{split}_{curve}" for curve in CURVES[kind] for split in ("train", "validation")))
    history = tables.read_figures(result.history, "run the train stage first", columns)
    return Report(result.dataset, history, RESULTS[kind](result.reports, described), described)


@cli.stage
def main(dataset: str) -> None:
    """Plot a dataset's training and its predictions to reports/NAME/plots/."""
    knobs = params.read(environment.workspace(), dataset, "plot", Plot)
    from matplotlib.figure import Figure

    settle_style()
    result = Result(dataset, Path(), ("train", "evaluate", "plot"))
    report = read(result)
    figures = FIGURES[report.description.target.kind]
    client = tracking.ready_for(result)  # first: where there can be no run, earlier outputs stay
    with files.replacing(result.reports / "plots") as (plots,):
        plots.mkdir()
        for draw in figures:
            figure = Figure(figsize=(6.4, 4.8), layout="constrained")
            draw(figure.subplots(), report)
            with files.writing(plots / f"{draw.__name__}.png"):
                figure.savefig(plots / f"{draw.__name__}.png", dpi=knobs.dots_per_inch)
    tracking.record(client, result)
    click.echo(f"plot {dataset}: {len(figures)} pictures in {result.reports / 'plots'}/")


if __name__ == "__main__":
    main()
