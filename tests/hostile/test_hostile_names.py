"""A table whose texts, classes and columns are attacks on whatever shows them goes through the whole pipeline."""

import csv
import json
from contextlib import chdir
from pathlib import Path

from retrain.commands import curves, predict
from retrain.data.report_csv import read_columns

import pytest
from click.testing import CliRunner
from support.project import REPOSITORY, Project, copy_of_repository, tiny_datasets

pytestmark = pytest.mark.slow
CLASSES = [
    '=HYPERLINK("http://evil.example","x")', "</script><script>alert(1)</script>", "](javascript:alert(1))", "$x^$",
    "\x1b[2Jgone", "-1", "a\nb", "<img src=x onerror=alert(1)>", "../../evil", "| a | b |", "%s{0}{x}", "`rm`$(rm)",
]  # fmt: skip
COLUMNS = ["<script>alert(1)</script>", "=cmd|' /C calc'!A0 $x^$"]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project in which that table was learned. Shared: look, don't touch."""
    project = copy_of_repository(tmp_path_factory.mktemp("hostile") / "project")
    raw = project.folder / "data" / "raw" / "mine"
    raw.mkdir()
    rows = [[f"{name} {number % 7} {number}", name] for number in range(20) for name in CLASSES]
    with (raw / "rows.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    block = tiny_datasets()["tiny_news"]
    block["prepare"] |= {"columns": COLUMNS, "inputs": COLUMNS[:1], "target": COLUMNS[1]}
    block["prepare"]["train"] = {"location": "data/raw/mine/rows.csv", "sha256": "unpinned"}
    block["split"] |= {"seed": 3}
    project.write_params({"datasets": {"mine": block}})
    for stage in ("prepare", "split", "train", "evaluate", "plot"):
        ended = project.stage_here(stage, "mine")
        assert ended.exit_code == 0, ended.stderr
        assert all(line.isprintable() for line in ended.output.splitlines()), stage
    return project


def test_reports_escape_class_names(hostile):
    reports = hostile.folder / "reports" / "mine"
    confusion = read_columns(reports / "tables/confusion.csv", "hint", ("target",))
    classes = read_columns(reports / "tables/classes.csv", "hint", ("class",))
    assert sorted(classes["class"]) == sorted({*confusion["target"]}) == sorted(CLASSES)
    for path in (*reports.glob("*.csv"), *reports.glob("*.json")):
        content = path.read_text(encoding="utf-8")
        assert "</" not in content
        assert "\n=" not in content
        assert ",=" not in content


def test_output_is_printable(hostile):
    with chdir(hostile.folder):
        ended = CliRunner().invoke(predict.command, ["mine", "gone", "javascript"], catch_exceptions=False)
        chart = CliRunner().invoke(curves.command, [], catch_exceptions=False)
    assert all(line.isprintable() for line in (ended.output + chart.output).splitlines())
    assert set(json.loads(ended.stdout.splitlines()[0])["probabilities"]) == set(CLASSES)
    assert not [name for name in (*CLASSES, *COLUMNS) if name != "-1" and name in chart.output]


def test_no_foreign_folders_are_made(hostile):
    made = {path.name for name in ("models", "reports", "mlruns") for path in Path(hostile.folder, name).iterdir()}
    assert made == {"mine", *(path.name for path in (REPOSITORY / "reports").iterdir() if path.is_dir())}
    assert not list(hostile.folder.parent.glob("evil*"))
