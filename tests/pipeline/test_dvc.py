"""What DVC re-runs and restores."""

import os
import shutil
import signal
import subprocess
from contextlib import chdir

from retrain import processes
from retrain.pipeline import dvc_cache

import pytest
from dvc.repo import Repo
from support.project import Project, block, files_section

pytestmark = pytest.mark.slow
ALL = {
    f"{stage}@{dataset}"
    for stage in ("prepare", "split", "train", "evaluate", "plot")
    for dataset in ("tiny_news", "tiny_length", "tiny_numbers", "tiny_sign")
}


@pytest.fixture(autouse=True)
def recorded(monkeypatch):
    """The stages of all projects record to MLflow."""
    monkeypatch.setattr(Project, "records", True)


@pytest.fixture(scope="module")
def editable(finished_project, tmp_path_factory) -> Project:
    return finished_project.copy(tmp_path_factory.mktemp("editable") / "project")


def stale(project: Project) -> set[str]:
    """The stages whose own inputs have changed, as `dvc status` finds them."""
    with chdir(project.folder), Repo() as repo:
        return set(repo.status())


def ran(said: str) -> set[str]:
    """The stages that a `dvc repro` ran, and did not skip or restore."""
    return {line.split("'")[1] for line in said.splitlines() if line.startswith("Running stage '")}


def append(line: str):
    """An edit that adds a line to a file."""

    def edit(project: Project, name: str) -> None:
        path = project.folder / name
        path.write_text(path.read_text() + line)

    return edit


def set_parameter(value):
    """An edit that sets a parameter."""
    return lambda project, parameter: project.set(parameter, value)


NUMBERS = {"tiny_numbers", "tiny_sign"}
EDITS = {
    "a parameter of the loop": (set_parameter(0.25), "tiny_news.train.loop.learning_rate", {"train@tiny_news"}),
    "a parameter of splitting": (set_parameter(2), "tiny_sign.split.seed", {"split@tiny_sign"}),
    "a parameter of plots": (set_parameter(60), "tiny_numbers.plot.dots_per_inch", {"plot@tiny_numbers"}),
    "a parameter of evaluation": (set_parameter(16), "tiny_length.evaluate.batch_size", {"evaluate@tiny_length"}),
    "the code of plots": (append("# edited\n"), "src/plot.py", {name for name in ALL if name.startswith("plot")}),
    "the number encoder": (
        append("# edited\n"),
        "src/retrain/data/encoders/numbers.py",
        {f"{stage}@{dataset}" for stage in ("split", "train", "evaluate") for dataset in NUMBERS},
    ),
    "one network": (
        append("# edited\n"),
        "src/retrain/models/networks/mlp.py",
        {f"{stage}@{dataset}" for stage in ("train", "evaluate") for dataset in NUMBERS},
    ),
    "the loop": (append("# edited\n"), "src/retrain/training/loop.py", {name for name in ALL if name.startswith("train")}),
    "tags of MLflow": (append("# edited\n"), "src/retrain/tracking/runs.py", set()),
    "words of errors": (append("# edited\n"), "src/retrain/errors.py", set()),
    "a raw table": (append("new words here,sea\n"), "data/raw/tiny_news/rows.csv", {"prepare@tiny_news"}),
    "a data card": (lambda project, name: (project.folder / name).write_text("Origin"), "data/raw/tiny_sign/README.md",
                    {"prepare@tiny_sign"}),
    "the locked environment": (append("# edited\n"), "requirements.lock", ALL),
    "the locked tools": (append("# edited\n"), "requirements-dev.lock", set()),
    "the documentation": (append("edited\n"), "README.md", set()),
}  # fmt: skip


EXPECTED = {what: stages for what, (_, _, stages) in EDITS.items()}


def made_stale(changed: dict[str, set[str]]) -> dict[str, set[str]]:
    """The stages that each edit makes stale where all are made at once: those with a changed file or parameter of its name.

    A change that no edit made is there by its own name.
    """
    found: dict[str, set[str]] = {what: set() for what in EDITS}
    for stage, names in changed.items():
        for name in names:
            what = next((what for what, (_, edited, _) in EDITS.items() if edited.startswith(name)), name)
            found.setdefault(what, set()).add(stage)
    return found


def changed_for(project: Project) -> dict[str, set[str]]:
    """The changed files and parameters of each stage, as `dvc status` finds them."""
    with chdir(project.folder), Repo() as repo:
        found = {stage: entry["changed deps"] for stage, (entry,) in repo.status().items()}
    for names in found.values():
        names |= {name.removeprefix("datasets."): "modified" for name in names.pop("params.yaml", ())}
    return {stage: set(names) for stage, names in found.items()}


def test_edits_make_their_dependents_stale(editable):
    for edit, name, _ in EDITS.values():
        edit(editable, name)
    try:
        assert made_stale(changed_for(editable)) == EXPECTED
    finally:
        assert editable.run("git", "checkout", "-q", ".").returncode == 0
        assert editable.run("git", "clean", "-qfd").returncode == 0


def test_new_dataset_leaves_others_alone(editable):
    params = editable.params()
    columns = {"text": "text", "topic": "text"}
    params["datasets"]["mine"] = block(
        files_section("mine", columns, "topic"), "text", "classification", params["datasets"]["tiny_news"]["train"]
    )
    editable.write_params(params)
    shutil.copytree(editable.folder / "data/raw/tiny_news", editable.folder / "data/raw/mine")
    try:
        assert {name.partition("@")[2] for name in stale(editable)} == {"mine"}
    finally:
        assert editable.run("git", "checkout", "-q", ".").returncode == 0
        assert editable.run("git", "clean", "-qfd").returncode == 0


def test_checkout_restores_every_output(finished):
    outputs = [
        path
        for name in ("data", "models", "reports")
        for path in (finished.folder / name).rglob("*")
        if path.is_file() and "raw" not in path.parts and path.name != "metrics.json"
    ]
    before = {path: path.read_bytes() for path in outputs}
    assert len(before) > 60
    for path in outputs:
        path.unlink()
    with chdir(finished.folder), Repo() as repo:
        repo.checkout()
    assert {path: path.read_bytes() for path in outputs} == before
    assert stale(finished) == set()


SLOW_RATE = ("-n", "slow-rate", "-S", "datasets.tiny_numbers.train.loop.learning_rate=0.02", "evaluate@tiny_numbers")
"""Options of `dvc exp run`."""


def try_slow_rate(project: Project, *options: str) -> str:
    """Run an experiment, see that it arrives in DVC and in the real store, and return what DVC says of it."""
    said = project.dvc("exp", "run", *options, *SLOW_RATE).said
    with chdir(project.folder), Repo() as repo:
        shown = [branch.dumpd() for branch in repo.experiments.show()]  # as `dvc exp show --json`
    experiments = [entry for branch in shown for entry in (branch["experiments"] or [])]
    (done,) = (entry for entry in experiments if not entry["executor"])  # DVC takes one that was killed for running
    metrics = done["revs"][0]["data"]["metrics"]["reports/tiny_numbers/metrics.json"]["data"]
    runs = project.runs("tiny_numbers")
    assert runs[0]["name"] == "learning rate 0.02"
    assert runs[0]["tags"]["dvc_experiment"] == "slow-rate"
    assert runs[0]["metrics"]["test/rmse"] == metrics["test"]["rmse"]
    assert {"metrics.json", "history.csv", "predictions.csv", "params.json"} <= set(runs[0]["artifacts"])
    assert len(runs) == 2
    return said


@pytest.mark.campaign
def test_killed_temporary_experiment_resumes(finished, tmp_path):
    before, reference = stale(finished), finished.copy(tmp_path / "reference")
    with (
        processes.lock(finished.folder, "runs"),  # a training waits for its run, at its end
        subprocess.Popen(
            ["dvc", "exp", "run", "--temp", *SLOW_RATE], cwd=finished.folder, text=True,
            env=finished.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        ) as killed,
    ):  # fmt: skip
        assert any(line.startswith("epoch   2/3 ") for line in killed.stdout)
        os.killpg(killed.pid, signal.SIGKILL)
    assert len(list((finished.folder / ".retrain" / "checkpoints").glob("*.checkpoint"))) == 1
    assert "continuing after epoch " in try_slow_rate(finished, "--temp")
    assert not list((finished.folder / ".retrain" / "checkpoints").glob("*.checkpoint"))
    assert stale(finished) == before == set()
    reference.set("tiny_numbers.train.loop.learning_rate", 0.02)
    assert reference.stage_here("train", "tiny_numbers").exit_code == 0
    made = dvc_cache.listing(reference.folder / "models" / "tiny_numbers")
    refs = finished.run("git", "for-each-ref", "--format=%(refname)", "refs/exps").stdout.split()
    (experiment,) = (ref for ref in refs if ref.endswith("/slow-rate"))
    assert dvc_cache.folder_digest(made) in finished.run("git", "show", f"{experiment}:dvc.lock").stdout


def test_experiment_and_back(pair):
    pair.keep("tiny_numbers")  # DVC looks at every dataset, several times
    before = {path: path.read_bytes() for path in (pair.folder / "models").rglob("*.*")}
    lock = (pair.folder / "dvc.lock").read_bytes()
    assert ran(try_slow_rate(pair)) == {"train@tiny_numbers", "evaluate@tiny_numbers"}
    assert {path: path.read_bytes() for path in before} != before
    pair.set("tiny_numbers.train.loop.learning_rate", 0.05)
    assert stale(pair) == {"train@tiny_numbers", "plot@tiny_numbers"}
    pair.run_stages_here("tiny_numbers", "train", "evaluate", RETRAIN_TRACKING="off")
    assert {path: path.read_bytes() for path in before} == before
    assert (pair.folder / "dvc.lock").read_bytes() == lock


def test_dvc_shows_metrics_and_plots(pair):
    assert "tiny_sign" in pair.dvc("metrics", "show").stdout
    content = (pair.folder / "dvc.yaml").read_text().replace("reports/docstrings/", "reports/tiny_sign/")
    (pair.folder / "dvc.yaml").write_text(content)
    pair.dvc("plots", "show", "docstrings loss", "docstrings confusion", "-o", "page")
    page = (pair.folder / "page" / "index.html").read_text()
    for word in ("validation_loss", "train_loss", "plus", "minus"):
        assert word in page
