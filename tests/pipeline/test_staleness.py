"""`retrain status` says whether dvc.lock is up to date, in a clone without data, runs and cache."""

import re
import shutil
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

from retrain.commands import audit, status
from retrain.pipeline import dvc_lock, dvc_yaml, staleness

import pytest
from click.testing import CliRunner, Result
from ruamel.yaml import YAML
from support.project import Project, write_yaml
from test_dvc import ALL, EDITS, EXPECTED, made_stale

pytestmark = pytest.mark.slow
DATASETS = {"tiny_numbers", "tiny_sign"}


def cloned(project: Project, folder: Path) -> Project:
    """What git keeps of a project."""
    assert project.run("git", "clone", "-q", ".", str(folder)).returncode == 0
    return Project(folder)


@pytest.fixture(scope="module")
def clone(finished_project, tmp_path_factory) -> Project:
    """What git keeps of two datasets of the finished project. A test that changes it takes the change back."""
    clone = cloned(finished_project, tmp_path_factory.mktemp("clone") / "project")
    params = clone.params()
    clone.write_params({"datasets": {name: params["datasets"][name] for name in DATASETS}})
    in_lock(lambda stages: [stages.pop(name) for name in ALL if name.partition("@")[2] not in DATASETS])(clone.folder)
    clone.commit()
    return clone


@pytest.fixture
def edited(clone):
    """The clone, which is as before after the test."""
    yield clone
    assert clone.run("git", "checkout", "-q", ".").returncode == 0
    assert clone.run("git", "clean", "-qfd").returncode == 0


def reasons(folder: Path) -> dict[str, tuple[str, ...]]:
    """Why which stages are stale."""
    verdict = staleness.verdict(dvc_yaml.read(folder), dvc_lock.read(folder))
    return {name: why for name, why in verdict.reasons.items() if why}


def status_in(folder: Path, *arguments: str) -> Result:
    """`retrain status`, run in a folder."""
    with chdir(folder):
        return CliRunner().invoke(status.command, arguments)


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
        write_yaml(folder / "dvc.lock", content)

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
        replace("dvc.yaml", r"^ +- src/retrain/models/weights.py\n(?=(.*\n)*  evaluate:)", ""), of_stage("train"),
        "src/retrain/models/weights.py is no longer among its dependencies",
    ),
    "an output more": (
        replace("dvc.yaml", r"^( +)- reports/\$\{key\}/plots:$", r"\1- reports/${key}/more\n\1- reports/${key}/plots:"),
        of_stage("plot"), "reports/tiny_sign/more is new among its outputs",
    ),
    "an output less": (
        replace("dvc.yaml", r"^ +- reports/\$\{key\}/tables:\n +persist: true\n", ""), of_stage("evaluate") | of_stage("plot"),
        "reports/tiny_sign/tables is no longer among its outputs",
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
        lambda folder: (folder / "src/retrain/models/weights.py").unlink(), of_stage("train") | of_stage("evaluate"), "src/retrain/models/weights.py is missing",
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
        in_lock(lambda stages: stages.pop("evaluate@tiny_sign")), {"evaluate@tiny_sign", "plot@tiny_sign"}, "it was never run",
    ),
    "a stage that dvc.yaml does not have": (
        in_lock(lambda stages: stages.update({"deploy@tiny_sign": stages["plot@tiny_sign"]})), {"deploy@tiny_sign"},
        "dvc.yaml has no such stage",
    ),
    "an output that is not what the next stage read": (
        in_lock(other_output), {"train@tiny_sign"}, "data/tiny_sign/examples changed",
    ),
    "results of a dataset that is not recorded": (
        in_lock(lambda stages: [stages.pop(name) for name in list(stages) if name.endswith("@tiny_sign")]),
        {name for name in ALL if name.endswith("@tiny_sign")}, "it was never run",
    ),
}  # fmt: skip


def test_clone_without_data_is_up_to_date(clone):
    assert not (clone.folder / "models").exists()
    ended = clone.run("retrain", "status")
    assert ended.returncode == 0, ended.said
    assert ended.stdout == "dvc.lock is up to date (10 stages)\n"


def test_stale_stages_are_listed_with_reasons(edited):
    edited.set("tiny_sign.train.loop.learning_rate", 0.125)
    (edited.folder / METRICS).unlink()
    ended = status_in(edited.folder)
    assert ended.exit_code == 1
    assert ended.stdout.splitlines() == [
        "train@tiny_sign is out of date: params.yaml: datasets.tiny_sign.train.loop.learning_rate is 0.125, was 0.2",
        f"evaluate@tiny_sign is out of date: {METRICS} is missing",
    ]
    hint = "run: make repro; then commit dvc.lock and the metrics"
    assert ended.stderr == f"Error: dvc.lock: 2 of 10 stages are out of date; {hint}\n"


def test_status_of_one_dataset_in_subfolder(edited):
    edited.set("tiny_sign.train.loop.learning_rate", 0.125)
    assert status_in(edited.folder / "src" / "retrain", "tiny_numbers").exit_code == 0
    assert status_in(edited.folder / "src" / "retrain", "tiny_sign").exit_code == 1


def test_status_agrees_with_dvc(finished_project, tmp_path):
    clone = cloned(finished_project, tmp_path / "clone")
    for edit, name, _ in EDITS.values():
        edit(clone, name)
    found = {
        stage: {reason.removeprefix("params.yaml: datasets.").split()[0] for reason in why}
        for stage, why in reasons(clone.folder).items()
    }
    assert made_stale(found) == EXPECTED


@pytest.mark.parametrize("what", CHANGES)
def test_change_makes_its_stages_stale(edited, what):
    change, stages, reason = CHANGES[what]
    change(edited.folder)
    found = reasons(edited.folder)
    assert set(found) == stages
    assert reason in "; ".join(line for why in found.values() for line in why)


def test_data_is_not_compared(finished):
    assert reasons(finished.folder) == {}
    for path in (finished.folder / "data/tiny_sign").rglob("*.parquet"):
        path.write_bytes(b"other bytes")
    shutil.rmtree(finished.folder / "models/tiny_sign")
    shutil.rmtree(finished.folder / ".dvc/cache")
    assert reasons(finished.folder) == {}


def test_dataset_never_run_is_not_stale(edited):
    params = edited.params()
    params["datasets"]["mine"] = params["datasets"]["tiny_sign"]
    edited.write_params(params)
    ended = status_in(edited.folder)
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.splitlines()[0] == "mine was never run: dvc.lock has no results for it"
    ended = status_in(edited.folder, "mine")
    assert ended.exit_code == 1
    assert ended.stderr == "Error: dvc.lock has no results for mine; run: make repro DATASET=mine\n"


def test_raw_table_of_dvc_is_not_compared(finished):
    assert finished.run("git", "rm", "-q", "--cached", "data/raw/tiny_sign/rows.csv").returncode == 0
    finished.dvc("add", "data/raw/tiny_sign/rows.csv")
    (finished.folder / "data/raw/tiny_sign/rows.csv").unlink()
    ended = status_in(finished.folder)
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.splitlines()[0] == "data/raw/tiny_sign is not compared, because it contains data"


@pytest.mark.parametrize("file", ["dvc.yaml", "dvc.lock", "params.yaml"])
def test_invalid_yaml_is_one_line(edited, file):
    (edited.folder / file).write_text("stages: [")
    ended = status_in(edited.folder)
    assert ended.exit_code == 1
    assert re.fullmatch(rf"Error: .*{file}.*; .*\n", ended.stderr), ended.stderr
    assert ended.stdout == ""


def test_former_name_of_status(clone):
    with chdir(clone.folder):
        ended = CliRunner().invoke(audit.command, ["--stale"])
    assert ended.stdout == "dvc.lock is up to date (10 stages)\n"


@pytest.mark.parametrize(
    ("parameter", "value", "error"),
    [
        ("split.encoder.name", "txt", "unknown 'txt'; did you mean 'text'?"),
        ("train.network.name", "../mlp", "unknown '../mlp'; did you mean 'mlp'?"),
        ("train.loss", None, ""),
        ("prepare.source", ["files"], "unknown '['files']'"),
    ],
)
def test_wrong_name_is_found_before_dvc_reads_it(edited, parameter, value, error):
    edited.set(f"tiny_sign.{parameter}", value)
    ended = status_in(edited.folder)
    assert ended.exit_code == 1
    assert ended.stderr.startswith(f"Error: params.yaml: datasets.tiny_sign.{parameter}")
    assert error in ended.stderr
    assert status_in(edited.folder, "tiny_numbers").exit_code == 0  # its own block is right
