"""The figures of the evaluate stage, held to scikit-learn's."""

import random

from retrain.evaluation.metrics import of_labels, of_numbers

import pandas as pd
import pytest
from sklearn import metrics

NAMES = ["World", "Sports", "Business", "Sci/Tech"]


@pytest.mark.parametrize(("rows", "known", "answered"), [(500, 4, 4), (40, 3, 4), (40, 4, 2), (5, 2, 1), (1, 1, 1)])
def test_figures_of_labels_are_those_of_scikit_learn(rows, known, answered):
    draw = random.Random(rows)
    targets = pd.Series(draw.choices(NAMES[:known], k=rows))
    predicted = pd.Series(draw.choices(NAMES[4 - answered :], k=rows))
    measured = of_labels(targets, predicted, NAMES)
    per_class = metrics.precision_recall_fscore_support(targets, predicted, labels=NAMES, zero_division=0.0)
    assert measured.metrics["accuracy"] == metrics.accuracy_score(targets, predicted)
    assert measured.metrics["macro_f1"] == pytest.approx(per_class[2].mean(), abs=1e-12)
    for name, expected in zip(("precision", "recall", "f1", "support"), per_class, strict=True):
        assert measured.classes[name].to_list() == pytest.approx(expected, abs=1e-6)
    matrix = measured.confusion.pivot_table(index="target", columns="predicted", values="rows", sort=False)
    assert (matrix.to_numpy() == metrics.confusion_matrix(targets, predicted, labels=NAMES)).all()


@pytest.mark.parametrize("numbers", [[3.0, -1.0, 2.5, 7.0], [2.0, 2.0, 2.0, 2.0], [1e6, 1e6 + 1, 1e6 + 2, 1e6 + 4]])
@pytest.mark.parametrize("shift", [0.0, 0.25])
def test_figures_of_numbers_are_those_of_scikit_learn(numbers, shift):
    targets, predicted = pd.Series(numbers), pd.Series([value + shift * where for where, value in enumerate(numbers)])
    assert of_numbers(targets, predicted, []).metrics == pytest.approx({
        "rmse": metrics.root_mean_squared_error(targets, predicted),
        "mae": metrics.mean_absolute_error(targets, predicted),
        "r2": metrics.r2_score(targets, predicted),
    })  # fmt: skip
