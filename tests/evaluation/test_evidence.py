"""The stage evaluate writes the tables about rows and the metrics of the reference, and records them."""

import csv
import json
import random
from pathlib import Path

from retrain.evaluation.intervals import Judged, intervals
from retrain.models.result import Result

import pytest
from support.errors import error_line
from support.project import write_csv

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
    recorded = result.read().metrics
    metrics = json.loads((result.reports / "metrics.json").read_text())
    assert recorded["test_reference/rmse"] == metrics["reference"]["rmse"]


def test_none_leaves_the_reference_out(pair):
    pair.set("tiny_sign.evaluate.reference", "none")
    ended = pair.stage_here("evaluate", "tiny_sign")
    assert ended.exit_code == 0, ended.output
    assert "reference" not in ended.stdout
    assert "reference" not in json.loads((pair.folder / "reports/tiny_sign/metrics.json").read_text())


def test_intervals_know_groups(pair):
    draw = random.Random(1)
    rows = [[draw.gauss(0, 1), owner, round(5 * owner + draw.gauss(0, 1), 6)] for owner in range(60) for _ in range(8)]
    write_csv(pair.folder / "data/raw/tiny_numbers/rows.csv", ["group", "owner", "y"], rows)
    prepare = {"columns": ["group", "owner", "y"], "numbers": ["group", "y"], "inputs": ["group"], "group": "owner"}
    for name, value in prepare.items():
        pair.set(f"tiny_numbers.prepare.{name}", value)
    pair.run_stages_here("tiny_numbers", "prepare", "split", "train", "evaluate", RETRAIN_TRACKING="off")
    pair.commit()
    gated = pair.retrain_here("gate", "tiny_numbers", "--against", "HEAD")
    assert (gated.exit_code, "fewer than 30 groups of test rows" in gated.stdout) == (2, True), gated.output
    reports, owners = pair.folder / "reports/tiny_numbers", {repr(y): owner for _, owner, y in rows}
    shown = read(reports / "predictions.csv")
    assert list(shown) == ["row", "input_group", "target", "predicted", "low", "high", "group"]
    pairs = {(group, owners[repr(float(y))]) for group, y in zip(shown["group"], shown["target"], strict=True)}
    assert len(pairs) == len({group for group, _ in pairs}) == len({owner for _, owner in pairs}) > 5
    judged = Judged.of_predictions(shown["target"], shown, None).in_groups(shown["group"])
    found, apart = json.loads((reports / "metrics.json").read_text())["intervals"], intervals(judged.in_groups(None))
    for name, ends in intervals(judged).items():
        assert (found[name]["low"], found[name]["high"]) == (
            pytest.approx(ends["low"], rel=1e-4, abs=1e-4),
            pytest.approx(ends["high"], rel=1e-4, abs=1e-4),
        )
        assert ends["high"] - ends["low"] > 1.5 * (apart[name]["high"] - apart[name]["low"])
    (pair.folder / "data/tiny_numbers/splits/test_groups.parquet").write_bytes(b"")
    ended = pair.stage_here("evaluate", "tiny_numbers")
    assert "run: dvc repro split@tiny_numbers" in error_line(ended.stderr)
    pair.set("tiny_numbers.split.test", 0.01)
    ended = pair.stage_here("split", "tiny_numbers")
    assert "Warning: tiny_numbers: all test rows are of one group" in ended.stderr
