"""The plot stage."""

import warnings
from itertools import pairwise
from pathlib import Path

from retrain.evaluation import plots
from retrain.models import description

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from support.model_folders import change, write_model


def confusion_of(names: list[str], tmp_path: Path) -> Axes:
    """The confusion matrix of a perfect model, drawn without warnings."""
    folder = write_model(tmp_path / "mine", "text", "classification")
    change(folder, "task", "learned", to={"classes": names, "counts": [1] * len(names)})
    data = plots.PlotData("mine", "accuracy", {}, np.eye(len(names), dtype=np.int64), description.read(folder))
    plots.use_default_style()
    figure = Figure(figsize=plots.size_of("confusion", data), layout="constrained")
    axes = figure.subplots()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plots.confusion(axes, data)
        figure.savefig(tmp_path / "confusion.png", dpi=50)
    return axes


@pytest.mark.parametrize(("classes", "labels", "cells"), [(4, 4, 16), (12, 12, 144), (60, 60, 0), (300, 60, 0)])
def test_many_classes_stay_readable(classes, labels, cells, tmp_path):
    axes = confusion_of([f"topic {number}" for number in range(classes)], tmp_path)
    shown = [label for label in axes.get_yticklabels() if label.get_text()]
    assert (len(shown), len(axes.texts)) == (labels, cells)
    boxes = [label.get_window_extent() for label in shown]
    assert all(above.y0 >= below.y1 for above, below in pairwise(boxes))


def test_long_names_stay_different(tmp_path):
    names = [f"{'a department of the company ' * 3}number {number}" for number in range(8)]
    axes = confusion_of(names, tmp_path)
    assert len({label.get_text() for label in axes.get_xticklabels()}) == 8
    width, height = axes.get_window_extent().size / axes.figure.get_size_inches() / axes.figure.dpi
    assert min(width, height) > 0.5


def test_names_without_glyphs_have_numbers(tmp_path):
    axes = confusion_of(["\u4f53\u80b2", "ham", "\u0928\u092e", "\U0001f44d"], tmp_path)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["class 1", "ham", "class 3", "class 4"]


@pytest.mark.slow
def test_plot_ignores_backend_of_notebook(pair):
    plots = pair.folder / "reports/tiny_numbers/plots"
    before = {path.name: path.read_bytes() for path in plots.iterdir()}
    ended = pair.stage("plot", "tiny_numbers", MPLBACKEND="module://matplotlib_inline.backend_inline")
    assert ended.returncode == 0, ended.said
    assert {path.name: path.read_bytes() for path in plots.iterdir()} == before
