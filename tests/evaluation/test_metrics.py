"""The metrics of the evaluate stage are those of scikit-learn, and its tables can be read on their own."""

import random

from retrain.data.report_csv import read_columns, read_numbers, write_columns
from retrain.evaluation.intervals import Judged
from retrain.evaluation.metrics import calibration_error, calibration_table, prediction_table, tables_of

import numpy as np
import pandas as pd
import pytest

NAMES = ["World", "Sports", "Business", "Sci/Tech"]


def of_classes(targets, predicted):
    """Judged rows whose probabilities are even, so that the labels alone count."""
    even = {f"probability_{name}": np.full(len(targets), 0.25) for name in NAMES}
    return Judged.of_predictions(targets, {"predicted": predicted, **even}, NAMES)


def drawn(rows, seed=1):
    """Judged rows of three classes whose labels are drawn from the probabilities."""
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet([0.5, 0.5, 0.5], rows)
    targets = (probabilities.cumsum(axis=1) < generator.random(rows)[:, None]).sum(axis=1).clip(max=2)
    return Judged(targets, probabilities.argmax(axis=1), probabilities)


@pytest.mark.parametrize(("rows", "known", "answered"), [(500, 4, 4), (40, 3, 4), (40, 4, 2), (5, 2, 1), (1, 1, 1)])
def test_class_metrics_match_sklearn(rows, known, answered):
    from sklearn import metrics  # a second and a half, in one process of the tests

    draw = random.Random(rows)
    targets = pd.Series(draw.choices(NAMES[:known], k=rows))
    predicted = pd.Series(draw.choices(NAMES[4 - answered :], k=rows))
    judged = of_classes(targets, predicted)
    classes, confusion = map(pd.DataFrame, tables_of(judged, NAMES).values())
    per_class = metrics.precision_recall_fscore_support(targets, predicted, labels=NAMES, zero_division=0.0)
    assert judged.values()["accuracy"] == pytest.approx(metrics.accuracy_score(targets, predicted), abs=1e-12)
    macro = metrics.f1_score(targets, predicted, average="macro", zero_division=0.0)
    assert judged.values()["macro_f1"] == pytest.approx(macro, abs=1e-12)
    for name, expected in zip(("precision", "recall", "f1", "support"), per_class, strict=True):
        assert classes[name].to_list() == pytest.approx(expected, abs=1e-6)
    matrix = confusion.pivot_table(index="target", columns="predicted", values="rows", sort=False)
    assert (matrix.to_numpy() == metrics.confusion_matrix(targets, predicted, labels=NAMES)).all()


def test_probability_metrics_match_sklearn():
    from sklearn import metrics

    judged = drawn(300)
    values, wanted = judged.values(), np.eye(3)[judged.targets]
    assert values["log_loss"] == pytest.approx(metrics.log_loss(judged.targets, judged.probabilities))
    assert values["brier"] == pytest.approx(np.square(judged.probabilities - wanted).sum(axis=1).mean())


def test_calibration_of_honest_and_of_too_sure_probabilities():
    honest = drawn(20_000)
    bold = honest.probabilities**3 / (honest.probabilities**3).sum(axis=1, keepdims=True)
    too_sure = Judged(honest.targets, honest.predicted, bold)
    assert calibration_error(honest, 15) < 0.02
    assert calibration_error(too_sure, 15) > 0.1
    table = calibration_table(too_sure, 4)
    assert (table["from"], table["to"]) == ([0.0, 0.25, 0.5, 0.75], [0.25, 0.5, 0.75, 1.0])
    assert table["rows"].sum() == 20_000
    assert table["rows"][0] == 0  # the largest of three probabilities is above a third
    assert np.isnan(table["accuracy"][0])
    assert table["confidence"][3] > table["accuracy"][3] + 0.05
    gaps = [rows * abs(sure - right) for _, _, rows, sure, right in zip(*table.values(), strict=True) if rows]
    assert sum(gaps) / 20_000 == pytest.approx(calibration_error(too_sure, 4), abs=1e-6)


@pytest.mark.parametrize("numbers", [[3.0, -1.0, 2.5, 7.0], [2.0, 2.0, 2.0, 2.0], [1e6, 1e6 + 1, 1e6 + 2, 1e6 + 4]])
@pytest.mark.parametrize("shift", [0.0, 0.25])
def test_number_metrics_match_sklearn(numbers, shift):
    from sklearn import metrics

    targets, predicted = pd.Series(numbers), pd.Series([value + shift * place for place, value in enumerate(numbers)])
    assert Judged(targets.to_numpy(), predicted.to_numpy()).values() == pytest.approx({
        "rmse": metrics.root_mean_squared_error(targets, predicted),
        "mae": metrics.mean_absolute_error(targets, predicted),
        "r2": metrics.r2_score(targets, predicted),
    })  # fmt: skip


def test_errors_by_target():
    targets = pd.Series([5.0, 1.0, 2.0, 4.0, 3.0, 10.0, 9.0, 8.0, 7.0, 6.0, 11.0])
    predicted = targets + [1 if target <= 5 else -2 for target in targets]
    table = tables_of(Judged(targets.to_numpy(), predicted.to_numpy()), None)["errors.csv"]
    assert table == {
        "from": [1.0, 4.0, 6.0, 8.0, 10.0],
        "to": [3.0, 5.0, 7.0, 9.0, 11.0],
        "rows": [3, 2, 2, 2, 2],
        "mean_error": [1.0, 1.0, -2.0, -2.0, -2.0],
        "mean_absolute_error": [1.0, 1.0, 2.0, 2.0, 2.0],
    }


def test_few_rows_make_few_groups():
    table = tables_of(Judged(np.array([2.0, 1.0]), np.array([2.5, 1.0])), None)["errors.csv"]
    assert (table["from"], table["rows"], table["mean_error"]) == ([1.0, 2.0], [1, 1], [0.0, 0.5])


def test_predictions_show_the_rows(tmp_path):
    texts = ["=1+1", 'a,\r\n"b"', "long " * 50_000]
    inputs = {"text": texts, "target": np.array([1.5, 2.5, 3.5]), "input_target": [1.0, 2.0, 3.0]}
    predictions = {"predicted": ["x", "y", "x"], "probability_x": np.array([0.75, 0.25, 1.0])}
    write_columns(tmp_path / "predictions.csv", prediction_table(inputs, ["x", "x", "y"], predictions))
    read = read_columns(tmp_path / "predictions.csv", "hint", ["target"])
    names = ["row", "text", "input_input_target", "input_target", "target", "predicted", "probability_x"]
    assert list(read) == names
    assert (read["row"], read["text"], read["target"]) == (["0", "1", "2"], texts, ["x", "x", "y"])
    assert read_numbers(tmp_path / "predictions.csv", "hint", ["input_input_target"]) == {
        "input_input_target": [1.5, 2.5, 3.5]
    }
    assert "'=1+1" in (tmp_path / "predictions.csv").read_text()
