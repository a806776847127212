"""Plots of the training history and of the predictions."""

import logging
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from retrain.data import report_csv, tasks
from retrain.errors import RetrainError
from retrain.models.description import FILE, Description, restore_hint
from retrain.models.result import Result

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

__all__ = ["PlotData", "plots_of", "read_plot_data", "size_of", "use_default_style"]


TRAIN, VALIDATION, CHOSEN = "#0072b2", "#d55e00", "#555555"  # distinct in grey and for colour-blind readers
LONGEST_LABEL = 28
"""The length of a class name in a plot, in characters."""
MOST_ROWS = 2**53
"""Floats below this hold whole numbers exactly."""
MOST_CELLS, MOST_LABELS = 12, 60
"""Up to this many classes, a confusion matrix has numbers in its cells; up to this many, a label for each class."""


@dataclass(frozen=True)
class PlotData:
    """The content of all plots of a dataset."""

    dataset: str
    metric: str
    """The metric of the task: a column of the history, after `train_` or `validation_`."""
    history: dict[str, list[float]]
    results: "np.ndarray"
    """Returned by `confusion_counts` or `predicted_numbers`."""
    description: Description


def size_of(name: str, data: PlotData) -> tuple[float, float]:
    """Width and height of a plot in inches. Square axes leave narrower margins; many or long class names need more room."""
    if name == "predicted":
        return 5.0, 4.8
    if name != "confusion":
        return 6.4, 4.8
    names = data.description.task.classes
    count, longest = len(names), max(map(len, class_labels(names)))
    cells = 0.55 * (count - 5) if count <= MOST_CELLS else 0.13 * min(count, MOST_LABELS)
    more = max(cells, 0.0) + 0.08 * max(longest - 16, 0)
    return 6.4 + more, 4.8 + more


@lru_cache(maxsize=1)
def drawn_characters() -> frozenset[int]:
    """The characters that the font of the plots has."""
    from matplotlib import font_manager

    return frozenset(font_manager.get_font(font_manager.findfont("DejaVu Sans")).get_charmap())


def plot_label(text: str) -> str:
    """A text of the data as a label: printable, and without its middle if it is long.

    A character that the font lacks has a substitute.
    """
    printable = "".join(
        letter if letter.isprintable() and ord(letter) in drawn_characters() else "\N{REPLACEMENT CHARACTER}"
        for letter in text
    )
    half = LONGEST_LABEL // 2
    return printable if len(printable) <= LONGEST_LABEL else f"{printable[: half - 1]}…{printable[-half:]}"


def class_labels(names: Sequence[str]) -> list[str]:
    """The labels of classes. One whose name is not written in the font's characters is called `class 3`, by its position."""
    drawn = drawn_characters()
    return [
        plot_label(name) if all(ord(letter) in drawn for letter in name) else f"class {number}"
        for number, name in enumerate(names, start=1)
    ]


def loss(axes: "Axes", data: PlotData) -> None:
    """Loss by epoch."""
    name = plot_label(data.description.train.loss["name"].replace("_", " "))
    of = " of the standardised target" if not data.description.task.classes else ""
    curves(axes, data, "loss", f"Loss ({name}{of})")


def metric(axes: "Axes", data: PlotData) -> None:
    """The metric of the task by epoch."""
    from matplotlib.ticker import PercentFormatter

    rmse = f"Root mean squared error (units of {plot_label(data.description.task.column)})"
    curves(axes, data, data.metric, {"accuracy": "Accuracy", "rmse": rmse}.get(data.metric, data.metric))
    if data.metric == "accuracy":
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1.0))


def curves(axes: "Axes", data: PlotData, metric: str, label: str) -> None:
    """A metric on the train and validation splits by epoch; a line marks the best epoch."""
    from matplotlib.ticker import MaxNLocator

    epochs, best = data.history["epoch"], data.description.best_epoch
    few = len(epochs) <= 30
    axes.plot(epochs, data.history[f"train_{metric}"], color=TRAIN, marker="o" if few else "", label="train")
    axes.plot(
        epochs, data.history[f"validation_{metric}"],
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
    """The confusion matrix: the number of test rows in each cell, and their share of the target's rows as its colour."""
    import numpy as np

    matrix = data.results
    names = data.description.task.classes
    shares = matrix / matrix.sum(axis=1, keepdims=True).clip(min=1)
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    axes.figure.colorbar(image, ax=axes, label="Share of the target's rows", format="{x:.0%}")
    for i, j in np.ndindex(*matrix.shape) if len(names) <= MOST_CELLS else ():
        colour = "white" if shares[i, j] > 0.5 else "black"
        axes.text(j, i, f"{matrix[i, j]:,}\n{shares[i, j]:.1%}", ha="center", va="center", color=colour)
    ticks = range(0, len(names), math.ceil(len(names) / MOST_LABELS))
    labels = class_labels(names)[:: ticks.step]
    axes.set_xticks(ticks, labels, rotation=30, ha="right")
    axes.set_yticks(ticks, labels)
    if len(names) > MOST_CELLS:
        axes.tick_params(labelsize=6)
        axes.tick_params(axis="x", labelrotation=90)
        for label in axes.get_xticklabels():
            label.set_horizontalalignment("center")
    title = f"{data.dataset}: confusion matrix, {matrix.sum():,} test rows"
    axes.set(title=title, xlabel="Predicted", ylabel="Target")


def predicted(axes: "Axes", data: PlotData) -> None:
    """Predicted against target values, and the line of perfect predictions."""
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
    """Set matplotlib's own style: a user's would change the bytes. A class called `$x^$` is not a formula.

    This comes before the first import of matplotlib. A notebook sets `MPLBACKEND` to a backend that may not be
    installed here, and plots written to files need none.
    """
    os.environ.pop("MPLBACKEND", None)
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # without a home, it would tell where it keeps its fonts
    import matplotlib as mpl

    mpl.rcdefaults()
    mpl.rcParams["text.parse_math"] = False


def plots_of(data: PlotData) -> "dict[str, Callable[[Axes, PlotData], None]]":
    """The functions that draw the plots of a dataset, by their file names without `.png`."""
    results = {"confusion": confusion} if data.description.task.classes else {"predicted": predicted}
    return {"loss": loss, data.metric: metric, **results}


def confusion_counts(result: Result, description: Description) -> "np.ndarray":
    """The number of test rows of each pair of classes: int64, (classes, classes), targets down, predictions across.

    Raises:
        RetrainError: the file is missing or damaged.
    """
    import numpy as np

    path, hint = result.reports / "tables" / "confusion.csv", run_evaluate(result)
    counts = report_csv.read_numbers(path, hint, ("rows",))["rows"]
    classes = len(description.task.classes)
    if len(counts) != classes**2:
        raise RetrainError(str(path), "does not have one row for each pair of classes of the model", hint)
    if not all(0 <= count < MOST_ROWS and count.is_integer() for count in counts):
        raise RetrainError(str(path), "column 'rows' does not hold counts only", hint)
    return np.array(counts, dtype=np.int64).reshape(classes, classes)


def predicted_numbers(result: Result) -> "np.ndarray":
    """The target and the prediction of each test row: float64, (2, rows)."""
    import numpy as np

    columns = report_csv.read_numbers(result.reports / "predictions.csv", run_evaluate(result), ("target", "predicted"))
    return np.array([columns["target"], columns["predicted"]])


def run_evaluate(result: Result) -> str:
    """The hint for a missing or damaged report."""
    return f"run: dvc repro evaluate@{result.dataset}"


def read_plot_data(result: Result) -> PlotData:
    """Read everything that is plotted; raises RetrainError if a file is missing or damaged."""
    described = result.description()
    task = tasks.load(described.task.name, str(result.model / FILE))
    try:
        task.from_json(described.task.learned)
    except ValueError:
        hint = restore_hint(result.model)
        raise RetrainError(str(result.model / FILE), "does not say what the task learned", hint) from None
    metric = next(iter(task.metrics))
    columns = ("epoch", *(f"{split}_{name}" for name in ("loss", metric) for split in ("train", "validation")))
    history = report_csv.read_numbers(result.history, f"run: dvc repro train@{result.dataset}", columns)
    results = confusion_counts(result, described) if described.task.classes else predicted_numbers(result)
    return PlotData(result.dataset, metric, history, results, described)
