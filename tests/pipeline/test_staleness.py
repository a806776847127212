"""`retrain audit --stale` says whether dvc.lock is stale, from a clone without data, without runs and without a cache."""

import re
import shutil
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

from retrain.commands import audit
from retrain.pipeline import dvc_yaml, staleness

import pytest
from click.testing import CliRunner, Result
from ruamel.yaml import YAML
from support.project import Project
from test_dvc import ALL, EDITS

pytestmark = pytest.mark.slow
DATASETS = {name.partition("@")[2] for name in ALL}


@pytest.fixture(scope="module")
def clone(finished_project, tmp_path_factory) -> Project:
    """What git keeps of the finished project. A test that changes it takes the change back."""
    folder = tmp_path_factory.mktemp("clone") / "project"
    assert finished_project.run("git", "clone", "-q", ".", str(folder)).returncode == 0
    return Project(folder)


@pytest.fixture
def edited(clone):
    """The clone, which is as before after the test."""
    yield clone
    assert clone.run("git", "checkout", "-q", ".").returncode == 0
    assert clone.run("git", "clean", "-qfd").returncode == 0


def reasons(folder: Path) -> dict[str, tuple[str, ...]]:
    """Why which stages are stale."""
    verdict = staleness.verdict(dvc_yaml.read(folder), dvc_yaml.recorded(folder))
    return {name: why for name, why in verdict.reasons.items() if why}


def audit_stale(folder: Path, *arguments: str) -> Result:
    """`retrain audit --stale`, run in a folder."""
    with chdir(folder):
        return CliRunner().invoke(audit.command, [*arguments, "--stale"])


def of_stage(stage: str) -> set[str]:
    return {f"{stage}@{dataset}" for dataset in DATASETS}


def replace(file: str, pattern: str, replacement: str) -> Callable[[Path], None]:
    """An edit of a file."""

    def edit(folder: Path) -> None:
        text, count = re.subn(pattern, replacement, (folder / file).read_text(), flags=re.MULTILINE)
        assert count
        (folder / file).write_text(text)

    return edit


def in_lock(change: Callable[[dict], object]) -> Callable[[Path], None]:
    """An edit of the stages in dvc.lock."""

    def edit(folder: Path) -> None:
        content = YAML(typ="safe").load((folder / "dvc.lock").read_text())
        change(content["stages"])
        with (folder / "dvc.lock").open("w") as file:
            YAML(typ="safe").dump(content, file)

    return edit


def other_output(stages: dict) -> None:
    stages["split@tiny_sign"]["outs"][0]["md5"] = "0" * 32 + ".dir"


METRICS = "reports/tiny_sign/metrics.json"
CHANGES = {
    "a command": (replace("dvc.yaml", r"src/plot.py --dataset", "src/plot.py  --dataset"), of_stage("plot"), "its command changed"),
    "a dependency more": (
        replace("dvc.yaml", r"^( +)- src/plot.py$", r"\1- src/plot.py\n\1- README.md"), of_stage("plot"),
        "README.md is new among its dependencies",
    ),
    "a dependency less": (
        replace("dvc.yaml", r"^ +- src/retrain/training/loop.py\n", ""), of_stage("train"),
        "src/retrain/training/loop.py is no longer among its dependencies",
    ),
    "an output more": (
        replace("dvc.yaml", r"^( +)- reports/\$\{key\}/plots$", r"\1- reports/${key}/plots\n\1- reports/${key}/more"),
        of_stage("plot"), "reports/tiny_sign/more is new among its outputs",
    ),
    "an output less": (
        replace("dvc.yaml", r"^ +- reports/\$\{key\}/classes.csv\n(?=.*\n +metrics:)", ""), of_stage("evaluate") | of_stage("plot"),
        "reports/tiny_sign/classes.csv is no longer among its outputs",
    ),
    "a section more": (
        replace("dvc.yaml", r"^( +)- datasets\.\$\{key\}\.plot$", r"\1- datasets.${key}.plot\n\1- datasets.${key}.evaluate"),
        of_stage("plot"), "params.yaml: datasets.tiny_sign.evaluate.batch_size is new",
    ),
    "a section less": (
        replace("dvc.yaml", r"^ +params:\n +- datasets\.\$\{key\}\.plot$", ""), of_stage("plot"),
        "params.yaml: datasets.tiny_sign.plot.dots_per_inch is gone",
    ),
    "a parameter that is gone": (
        lambda folder: Project(folder).remove("tiny_sign.train.loop.patience"), {"train@tiny_sign"},
        "params.yaml: datasets.tiny_sign.train.loop.patience is gone",
    ),
    "a source file that is gone": (
        lambda folder: (folder / "src/retrain/training/loop.py").unlink(), of_stage("train"), "src/retrain/training/loop.py is missing",
    ),
    "a raw table that is gone": (
        lambda folder: shutil.rmtree(folder / "data/raw/tiny_sign"), {"prepare@tiny_sign"}, "data/raw/tiny_sign is missing",
    ),
    "metrics that nobody measured": (
        lambda folder: (folder / METRICS).write_text("{}"), {"evaluate@tiny_sign"}, f"{METRICS} changed",
    ),
    "metrics that are gone": (
        lambda folder: (folder / METRICS).unlink(), {"evaluate@tiny_sign"}, f"{METRICS} is missing",
    ),
    "a stage that is not recorded": (
        in_lock(lambda stages: stages.pop("evaluate@tiny_sign")), {"evaluate@tiny_sign", "plot@tiny_sign"}, "it is not recorded",
    ),
    "a stage that dvc.yaml does not have": (
        in_lock(lambda stages: stages.update({"deploy@tiny_sign": stages["plot@tiny_sign"]})), {"deploy@tiny_sign"},
        "dvc.yaml has no such stage",
    ),
    "an output that is not what the next stage read": (
        in_lock(other_output), {"train@tiny_sign"}, "is not what dvc.lock says was made",
    ),
    "results of a dataset that is not recorded": (
        in_lock(lambda stages: [stages.pop(name) for name in list(stages) if name.endswith("@tiny_sign")]),
        {name for name in ALL if name.endswith("@tiny_sign")}, "it is not recorded",
    ),
}  # fmt: skip


def test_a_clone_without_data_is_up_to_date(clone):
    assert not (clone.folder / "models").exists()
    ended = clone.run("retrain", "audit", "--stale")
    assert ended.returncode == 0, ended.said
    assert ended.stdout == "dvc.lock is up to date: 20 stages are as they ran\n"


def test_each_stage_that_is_stale_is_a_line_with_the_reason(edited):
    edited.set("tiny_sign.train.loop.learning_rate", 0.125)
    (edited.folder / METRICS).unlink()
    ended = edited.run("retrain", "audit", "--stale")
    assert ended.returncode == 1
    assert ended.stdout.splitlines() == [
        "train@tiny_sign is stale: params.yaml: datasets.tiny_sign.train.loop.learning_rate is 0.125, was 0.2",
        f"evaluate@tiny_sign is stale: {METRICS} is missing",
    ]
    hint = "run make repro, and commit dvc.lock and the metrics"
    assert ended.stderr == f"Error: dvc.lock: 2 of 20 stages are stale; {hint}\n"


def test_one_dataset_can_be_asked_for_from_any_folder_of_the_repository(edited):
    edited.set("tiny_sign.train.loop.learning_rate", 0.125)
    assert audit_stale(edited.folder / "src" / "retrain", "tiny_news").exit_code == 0
    assert audit_stale(edited.folder / "src" / "retrain", "tiny_sign").exit_code == 1


@pytest.mark.parametrize("what", EDITS)
def test_without_data_the_same_stages_are_stale_as_dvc_says_with_data(edited, what):
    edit, name, expected = EDITS[what]
    edit(edited, name)
    assert set(reasons(edited.folder)) == expected


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_makes_stale_what_it_touches(edited, what):
    change, stages, reason = CHANGES[what]
    change(edited.folder)
    found = reasons(edited.folder)
    assert set(found) == stages
    assert reason in "; ".join(line for why in found.values() for line in why)


def test_data_that_is_there_changes_nothing(finished):
    assert reasons(finished.folder) == {}
    for path in (finished.folder / "data/tiny_sign").rglob("*.parquet"):
        path.write_bytes(b"other bytes")
    shutil.rmtree(finished.folder / "models/tiny_sign")
    shutil.rmtree(finished.folder / ".dvc/cache")
    assert reasons(finished.folder) == {}


def test_a_dataset_that_was_never_run_is_said_and_is_not_stale(edited):
    params = edited.params()
    params["datasets"]["mine"] = params["datasets"]["tiny_sign"]
    edited.write_params(params)
    ended = audit_stale(edited.folder)
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.splitlines()[0] == "mine was never run: dvc.lock has nothing of it"


def test_a_raw_table_that_dvc_keeps_is_not_compared_and_that_is_said(finished):
    assert finished.run("git", "rm", "-q", "--cached", "data/raw/tiny_sign/rows.csv").returncode == 0
    finished.dvc("add", "data/raw/tiny_sign/rows.csv")
    (finished.folder / "data/raw/tiny_sign/rows.csv").unlink()
    ended = audit_stale(finished.folder)
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.splitlines()[0] == "data/raw/tiny_sign is not compared: it is data, or holds some"


@pytest.mark.parametrize("file", ["dvc.yaml", "dvc.lock", "params.yaml"])
def test_a_file_that_is_no_yaml_is_an_error_in_one_line(edited, file):
    (edited.folder / file).write_text("stages: [")
    ended = audit_stale(edited.folder)
    assert ended.exit_code == 1
    assert re.fullmatch(rf"Error: .*{file}.*; .*\n", ended.stderr), ended.stderr
    assert ended.stdout == ""
