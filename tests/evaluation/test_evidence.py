"""The stage evaluate writes the tables about rows and the metrics of the reference, and records them."""

import csv
import json
from pathlib import Path

from retrain.models.result import Result

import pytest

pytestmark = pytest.mark.slow
CLASSES = ("tiny_news", "tiny_sign")


def read(path: Path) -> dict[str, list[str]]:
    """The columns of a table, which may have no rows."""
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    return {name: [row[place] for row in rows] for place, name in enumerate(header)}


@pytest.mark.parametrize("dataset", ["tiny_news", "tiny_sign", "tiny_numbers", "tiny_length"])
def test_tables_and_metrics(finished_project, dataset):
    reports = finished_project.folder / "reports" / dataset
    tables = {path.name: read(path) for path in (reports / "tables").iterdir()}
    shown = read(reports / "predictions.csv")
    inputs = ["text"] if dataset in ("tiny_news", "tiny_length") else ["a", "b", "c"]
    is_label = dataset in CLASSES
    measure = "error_rate" if is_label else "mean_absolute_error"
    assert list(tables["slices.csv"]) == ["slice", "rows", measure, "others", "p_value"]
    assert all(0 < float(value) <= 1 for value in tables["slices.csv"]["p_value"])
    mistakes = tables["mistakes.csv"]
    assert list(mistakes) == ["row", *inputs, "target", "predicted", "probability" if is_label else "error"]
    for name in (*inputs, "target", "predicted"):
        assert mistakes[name] == [shown[name][int(row)] for row in mistakes["row"]]
    pairs = [f"{split}_{name}" for name in (*inputs, "target") for split in ("test", "train")]
    assert list(tables["near_duplicates.csv"]) == ["test_row", "train_row", "similarity", *pairs]
    assert ("label_errors.csv" in tables) is is_label
    if is_label:
        columns = ["split", "row", *inputs, "label", "suggested", "probability"]
        assert list(tables["label_errors.csv"]) == columns
    metrics = json.loads((reports / "metrics.json").read_text())
    assert metrics["reference"].keys() >= ({"accuracy", "log_loss"} if is_label else {"rmse", "mae", "r2"})
    assert metrics["reference"]["loss"] < metrics["baseline"]["loss"]


def test_the_reference_is_recorded(finished_project):
    result = Result("tiny_numbers", finished_project.folder, ("train", "evaluate"))
    recorded = result.metrics(result.description())
    metrics = json.loads((result.reports / "metrics.json").read_text())
    assert recorded["test_reference/rmse"] == metrics["reference"]["rmse"]


def test_none_leaves_the_reference_out(finished):
    finished.set("tiny_sign.evaluate.reference", "none")
    ended = finished.stage_here("evaluate", "tiny_sign")
    assert ended.exit_code == 0, ended.output
    assert "reference" not in ended.stdout
    assert "reference" not in json.loads((finished.folder / "reports/tiny_sign/metrics.json").read_text())
