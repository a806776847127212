"""Plots of the training history and of the predictions."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from retrain.data import report_csv
from retrain.errors import RetrainError
from retrain.models.description import Description
from retrain.tracking.result import Result

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

RUN_EVALUATE = "run the evaluate stage first"


TRAIN, VALIDATION, CHOSEN = "#0072b2", "#d55e00", "#555555"  # told apart without colour vision, and in grey


LONGEST_LABEL = 40
"""Characters of a class's name in a picture."""


@dataclass(frozen=True)
class PlotData:
    """What there is to be plotted."""

    dataset: str
    history: dict[str, list[float]]
    results: "np.ndarray"
    """See `confusion_counts` and `predicted_numbers`."""
    description: Description


def plot_label(text: str) -> str:
    """A text of the data as it may stand in a picture: printable, and not endless."""
    printable = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    return printable if len(printable) <= LONGEST_LABEL else f"{printable[: LONGEST_LABEL - 1]}…"


def loss(axes: "Axes", data: PlotData) -> None:
    """Loss over the epochs."""
    name = plot_label(data.description.train.loss["name"].replace("_", " "))
    of = " of the standardised target" if data.description.task.name == "regression" else ""
    curves(axes, data, "loss", f"Loss ({name}{of})")


def accuracy(axes: "Axes", data: PlotData) -> None:
    """Accuracy over the epochs."""
    from matplotlib.ticker import PercentFormatter

    curves(axes, data, "accuracy", "Accuracy")
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1.0))


def rmse(axes: "Axes", data: PlotData) -> None:
    """Root mean squared error over the epochs."""
    curves(axes, data, "rmse", f"Root mean squared error (units of {plot_label(data.description.task.column)})")


def curves(axes: "Axes", data: PlotData, figure: str, label: str) -> None:
    """A figure of the train and validation splits over the epochs, the chosen epoch marked."""
    from matplotlib.ticker import MaxNLocator

    epochs, best = data.history["epoch"], data.description.best_epoch
    few = len(epochs) <= 30
    axes.plot(epochs, data.history[f"train_{figure}"], color=TRAIN, marker="o" if few else "", label="train")
    axes.plot(
        epochs, data.history[f"validation_{figure}"],
        color=VALIDATION, linestyle="--", marker="s" if few else "", label="validation",
    )  # fmt: skip
    axes.axvline(best, color=CHOSEN, linestyle=":", label=f"chosen: epoch {best}")
    axes.set(
        title=f"{data.dataset}: {label.split(' (', maxsplit=1)[0].lower()} over epochs", xlabel="Epoch", ylabel=label
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()


def confusion(axes: "Axes", data: PlotData) -> None:
    """The confusion matrix: rows counted in each cell, coloured by the share of the target's row."""
    matrix = data.results
    names = data.description.task.learned["classes"]
    shares = matrix / matrix.sum(axis=1, keepdims=True).clip(min=1)
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    axes.figure.colorbar(image, ax=axes, label="Share of the target's rows", format="{x:.0%}")
    for i in range(len(names)):
        for j in range(len(names)):
            colour = "white" if shares[i, j] > 0.5 else "black"
            axes.text(j, i, f"{matrix[i, j]:,}\n{shares[i, j]:.1%}", ha="center", va="center", color=colour)
    ticks = range(len(names))
    labels = list(map(plot_label, names))
    axes.set_xticks(ticks, labels, rotation=30, ha="right")
    axes.set_yticks(ticks, labels)
    title = f"{data.dataset}: confusion matrix, {matrix.sum():,} test rows"
    axes.set(title=title, xlabel="Predicted", ylabel="Target")


def predicted(axes: "Axes", data: PlotData) -> None:
    """Predicted against target, with the line on which a perfect prediction lies."""
    (targets, predictions), column = data.results, plot_label(data.description.task.column)
    ends = [data.results.min(), data.results.max()]
    axes.plot(ends, ends, color=CHOSEN, linestyle=":", label="perfect prediction")
    axes.scatter(targets, predictions, color=TRAIN, alpha=0.7, edgecolor="white", label="test row")
    axes.set(
        title=f"{data.dataset}: predicted against target, {len(targets):,} test rows",
        xlabel=f"Target ({column})", ylabel=f"Predicted ({column})", aspect="equal",
    )  # fmt: skip
    axes.grid(alpha=0.3)
    axes.legend()


def use_default_style() -> None:
    """Take matplotlib's own style, since a person's would change the bytes; a class called `$x^$` is no formula."""
    import matplotlib as mpl

    mpl.rcdefaults()
    mpl.rcParams["text.parse_math"] = False


FIGURES = {"classification": (loss, accuracy, confusion), "regression": (loss, rmse, predicted)}
CURVES = {"classification": ("loss", "accuracy"), "regression": ("loss", "rmse")}
"""The figures of an epoch that are drawn, for train and validation."""


def confusion_counts(reports: Path, description: Description) -> "np.ndarray":
    """How many test rows each pair of classes has: int64, (classes, classes), targets down, predictions across.

    Raises:
        RetrainError: the file is missing or damaged.
    """
    import numpy as np

    path = reports / "confusion.csv"
    counts = report_csv.read_numbers(path, RUN_EVALUATE, ("rows",))["rows"]
    classes = len(description.task.learned["classes"])
    if len(counts) != classes**2:
        raise RetrainError(str(path), "does not have a row for each pair of the model's classes", RUN_EVALUATE)
    return np.array(counts, dtype=np.int64).reshape(classes, classes)


def predicted_numbers(reports: Path, _description: Description) -> "np.ndarray":
    """The target and the prediction of each test row: float64, (2, rows)."""
    import numpy as np

    return np.array(
        list(report_csv.read_numbers(reports / "predictions.csv", RUN_EVALUATE, ("target", "predicted")).values())
    )


RESULTS = {"classification": confusion_counts, "regression": predicted_numbers}


def read(result: Result) -> PlotData:
    """Everything that is plotted; raises RetrainError if a file is missing or damaged."""
    described = result.description()
    task = described.task.name
    if task not in FIGURES:
        raise RetrainError(str(result.model), f"has the task '{task}', which has no plots", "add them to FIGURES")
    columns = ("epoch", *(f"{split}_{curve}" for curve in CURVES[task] for split in ("train", "validation")))
    history = report_csv.read_numbers(result.history, "run the train stage first", columns)
    return PlotData(result.dataset, history, RESULTS[task](result.reports, described), described)
