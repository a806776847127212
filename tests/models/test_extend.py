"""An own network, encoder or loss is one file: the worked examples of docs/how-to/extend.md, in a copy of the repository."""

import json
import shutil
from contextlib import chdir

import pytest
from dvc.repo import Repo
from support.project import (
    REPOSITORY,
    Project,
    block,
    files_section,
    news_rows,
    tiny_datasets,
    train_section,
    write_csv,
)

PROGRAM = """
import sys
from pathlib import Path
from retrain.environment import pin_cpu
from support.project import Project
import pytest
pin_cpu(threads=1)
project = Project(Path.cwd())
project.run_stages_here("mine", "prepare", "split", "train", "evaluate", "plot", RETRAIN_TRACKING="off")
answer = project.retrain_here("predict", "mine", "the ship near the harbour")
print(answer.output, end="")
print("contracts:", flush=True)
sys.exit(pytest.main(["tests/models/test_contracts.py", "-v", "-n0", "-k", " or ".join(sys.argv[1:])]))
"""
"""Runs all stages, asks the model, and tests the contracts of some names, in one process with the code of the copy."""
EXAMPLES = {
    "linear": "src/retrain/models/networks",
    "word_counts": "src/retrain/data/encoders",
    "log_cosh": "src/retrain/models/losses",
}


def extend(project: Project) -> None:
    """Add the three files, and a dataset that uses them. Of the other datasets one stays, because DVC looks at each."""
    for name, folder in EXAMPLES.items():
        shutil.copy(REPOSITORY / "docs/examples" / f"{name}.py", project.folder / folder)
    rows = [[text, len(text)] for text, _ in news_rows(150, seed=5)]
    write_csv(project.folder / "data/raw/mine/rows.csv", ["text", "length"], rows)
    mine = block(
        files_section("mine", {"text": "text", "length": "number"}, "length"), "word_counts", "regression",
        train_section({"name": "linear"}, "log_cosh", 0.1),
    )  # fmt: skip
    mine["split"]["encoder"] = {"name": "word_counts", "words": 30}
    mine["train"]["loss"] = {"name": "log_cosh", "scale": 0.5}
    project.write_params({"datasets": {"tiny_length": tiny_datasets()["tiny_length"], "mine": mine}})


def outdated(project: Project) -> set[str]:
    """The datasets that have a stage which is out of date."""
    with chdir(project.folder), Repo() as repo:
        return {stage.partition("@")[2] for stage in repo.status()}


@pytest.mark.slow
def test_own_files_run_and_others_stay(finished):
    extend(finished)
    assert outdated(finished) == {"mine"}
    shutil.copytree(REPOSITORY / "tests", finished.folder / "tests")
    ended = finished.run("python3", "-c", PROGRAM, *EXAMPLES, PYTHONPATH="src:tests")
    assert ended.returncode == 0, ended.said
    answer, contracts = ended.stdout.split("contracts:\n")
    assert "skipped" not in contracts
    for name in EXAMPLES:
        assert f"[{name}" in contracts or f"-{name}]" in contracts
    shutil.rmtree(finished.folder / "tests")
    assert outdated(finished) == set()
    described = json.loads((finished.folder / "models/mine/model.json").read_text())
    assert described["encoder"]["name"] == "word_counts"
    assert described["train"]["network"]["name"] == "linear"
    assert described["train"]["loss"] == {"name": "log_cosh", "scale": 0.5}
    metrics = json.loads((finished.folder / "reports/mine/metrics.json").read_text())
    assert metrics["test"]["rmse"] < metrics["baseline"]["rmse"]
    assert json.loads(answer.splitlines()[-1])["number"] > 0
