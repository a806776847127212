"""`retrain promote` and `retrain demote`: the ledger in git says which model is in use, and MLflow follows."""

import json
import re
import shutil
import sys
import warnings
from contextlib import chdir
from pathlib import Path

import retrain
from retrain.errors import RetrainError
from retrain.release import finding, ledger

import pytest
import requests
from dvc.repo import Repo
from mlflow import MlflowClient
from support.errors import error_line
from support.project import Project, made_once, number_rows, write_csv
from support.servers import wait
from support.service import serve

pytestmark = pytest.mark.slow

DATASET = "tiny_numbers"
GATE = {"confidence": 0.95, "uses": 10, "floors": {}, "drops": {"rmse": 0.2}, "slices": {}}


@pytest.fixture(scope="module")
def trained(pair_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One dataset of the finished project with 100 test rows, and a tag for each of three results. Shared: look, don't touch."""

    def make(folder: Path) -> None:
        project = pair_project.copy(folder)
        project.keep(DATASET)
        write_csv(folder / f"data/raw/{DATASET}/rows.csv", ["a", "b", "c", "y"], number_rows(500, seed=3))
        project.set(f"{DATASET}.gate", GATE)
        for tag, epochs in (("good", 10), ("worse", 1), ("as-good", 11)):
            first = ("prepare", "split") if tag == "good" else ()
            project.set(f"{DATASET}.train.loop.epochs", epochs)
            project.run_stages_here(DATASET, *first, "train", "evaluate", "plot")
            project.commit()
            assert project.run("git", "tag", tag).returncode == 0

    return made_once(tmp_path_factory, "champions", make)


@pytest.fixture(scope="module")
def promoted(trained: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same with a champion. Shared: look, don't touch."""

    def make(folder: Path) -> None:
        project = trained.copy(folder)
        use(project, "good")
        ended = project.retrain_here("promote", DATASET)
        assert ended.exit_code == 0, ended.output

    return made_once(tmp_path_factory, "champion", make)


@pytest.fixture(scope="module")
def promoted_twice(promoted: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same after another champion, which is version 2. Shared: look, don't touch."""

    def make(folder: Path) -> None:
        project = promoted.copy(folder)
        use(project, "as-good")
        ended = project.retrain_here("promote", DATASET)
        assert ended.exit_code == 0, ended.output

    return made_once(tmp_path_factory, "second-champion", make)


@pytest.fixture
def second(promoted_twice: Project, tmp_path: Path) -> Project:
    """A copy of it that a test may change."""
    return promoted_twice.copy(tmp_path / "second")


@pytest.fixture
def approved(promoted: Project, tmp_path: Path) -> Project:
    """A copy of it that a test may change."""
    return promoted.copy(tmp_path / "approved")


@pytest.fixture
def other(untouched_project: Project, tmp_path: Path) -> str:
    """Another store, without a run."""
    shutil.copy(untouched_project.folder / "mlflow.db", tmp_path / "other.db")
    return f"sqlite:///{tmp_path / 'other.db'}"


def use(project: Project, tag: str) -> None:
    """Go to the commit of a result; its files are in DVC's cache."""
    assert project.run("git", "checkout", "-q", tag).returncode == 0


def aliases(project: Project) -> dict[str, int]:
    """The versions that MLflow's aliases name."""
    client = MlflowClient(tracking_uri=f"sqlite:///{project.folder / 'mlflow.db'}")
    return {alias: int(number) for alias, number in client.get_registered_model(DATASET).aliases.items()}


def events(project: Project) -> list[str]:
    """What happened, in order, without the questions to the gate."""
    return [entry["event"] for entry in ledger.read(project.folder, DATASET) if entry["event"] != "gate"]


def test_better_model_becomes_champion(approved):
    assert (events(approved), aliases(approved)) == (["promoted"], {"champion": 1})
    use(approved, "as-good")
    ended = approved.retrain_here("promote", DATASET)
    assert ended.exit_code == 0, ended.output
    verdict, promoted, git = ended.stdout.splitlines()
    assert verdict.startswith(f"{DATASET}: pass: rmse ")
    assert promoted == f"promoted: models:/{DATASET}@champion is version 2"
    assert git == f"to keep this in git: git add releases/{DATASET}.jsonl && git commit -m 'Promote {DATASET}'"
    assert aliases(approved) == {"champion": 2}
    *_, entry = ledger.read(approved.folder, DATASET)
    assert entry["gate"]["answer"] == "pass"
    assert entry["commit"] == approved.run("git", "rev-parse", "HEAD").stdout.strip()
    again = approved.retrain_here("promote", DATASET)
    assert again.stdout == f"{DATASET}: this model is the champion already, version 2\n"
    assert events(approved) == ["promoted", "promoted"]


def test_promoted_outputs_are_in_the_cache(trained, tmp_path):
    project = trained.copy(tmp_path / "project")
    shutil.rmtree(project.folder / ".dvc/cache")
    ended = project.retrain_here("promote", DATASET)
    assert ended.exit_code == 0, ended.output
    shutil.rmtree(project.folder / "models" / DATASET)
    with chdir(project.folder), Repo() as repo, warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        repo.checkout([f"models/{DATASET}"])
    (promoted,) = (entry for entry in ledger.read(project.folder, DATASET) if entry["event"] == "promoted")
    with chdir(project.folder):
        assert retrain.load(DATASET).sha256 == promoted["model_sha256"]


def test_entry_of_an_earlier_version(approved):
    """It has the digest of the weights alone."""
    path = approved.folder / ledger.path_of(DATASET)
    (promoted,) = (entry for entry in ledger.read(approved.folder, DATASET) if entry["event"] == "promoted")
    path.write_text(path.read_text().replace(promoted["model_sha256"], "0" * 64))
    ended = approved.retrain_here("promote", DATASET)
    assert ended.stdout == f"{DATASET}: this model is the champion already, version 1\n"


def test_worse_model_stays_challenger(approved):
    use(approved, "worse")
    for _ in range(2):  # the same refusal is written once
        ended = approved.retrain_here("promote", DATASET)
        assert ended.exit_code == 1
        assert ended.stdout.startswith(f"{DATASET}: fail: rmse drops by ")
        assert f"not promoted: the model stays models:/{DATASET}@challenger" in ended.stdout
    assert (events(approved), aliases(approved)) == (["promoted", "refused"], {"champion": 1, "challenger": 2})
    overruled = approved.retrain_here("promote", DATASET, "--override", "asked for by Zoë")
    assert overruled.exit_code == 0
    assert f"promoted by override (asked for by Zoë): models:/{DATASET}@champion is version 2" in overruled.stdout
    assert ledger.read(approved.folder, DATASET)[-1]["override"] == "asked for by Zoë"
    assert aliases(approved) == {"champion": 2}


def test_demote_restores_the_previous_champion(second):
    ended = second.retrain_here("demote", DATASET, "--reason", "wrong on Mondays")
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.startswith(f"demoted: models:/{DATASET}@champion is version 1\n")
    assert ledger.read(second.folder, DATASET)[-1]["reason"] == "wrong on Mondays"
    with chdir(second.folder):
        folder = finding.folder_of(second.folder, f"models:/{DATASET}@champion")
        assert json.loads((folder / "model.json").read_text())["train"]["loop"]["epochs"] == 10
        assert retrain.load(folder).predict([{"a": 1, "b": 2, "c": 3}])
    assert second.retrain_here("demote", DATASET, "--reason", "all").stdout.startswith(
        f"demoted: {DATASET} has no champion now\n"
    )
    assert aliases(second) == {}
    answered = second.retrain_here("predict", f"models:/{DATASET}@champion")
    assert re.fullmatch(
        rf"models:/{DATASET}@champion was demoted on [\d-]{{10}} \(all\), and no model is in use; promote a new one: "
        rf"retrain promote {DATASET}",
        error_line(answered.stderr),
    )
    lacking = second.retrain_here("demote", DATASET, "--reason", "once more")
    assert lacking.exit_code == 1
    assert (
        error_line(lacking.stderr) == f"dataset '{DATASET}' has no champion; promote a model: retrain promote {DATASET}"
    )


def test_withdrawn_models_need_a_reason(second):
    assert second.retrain_here("demote", DATASET, "--reason", "wrong on Mondays").exit_code == 0
    ended = second.retrain_here("promote", DATASET)
    assert ended.exit_code == 1
    assert re.search(r"^but this model was demoted on [\d-]+: wrong on Mondays$", ended.stdout, re.MULTILINE)
    assert aliases(second) == {"champion": 1, "challenger": 2}
    assert second.retrain_here("promote", DATASET, "--override", "fixed upstream").exit_code == 0
    assert aliases(second) == {"champion": 2}
    client = MlflowClient(tracking_uri=f"sqlite:///{second.folder / 'mlflow.db'}")
    version = client.get_model_version(DATASET, "2")
    assert version.description.startswith("Gate: pass. Promoted by override: fixed upstream.")
    assert (version.tags["gate"], version.tags["demoted"]) == ("pass", "wrong on Mondays")


def test_only_champion_is_demoted_without_its_store(approved, other):
    ended = approved.retrain_here("demote", DATASET, "--reason", "wrong on Mondays", MLFLOW_TRACKING_URI=other)
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"demoted: {DATASET} has no champion now\n")
    assert events(approved) == ["promoted", "demoted"]


def test_server_follows_the_champion(second):
    def shown() -> str:
        return requests.get(f"{service.url}/health", timeout=9).json()["sha256"]

    rows = {"dataframe_records": [{"a": 1, "b": 2, "c": 3}]}
    with chdir(second.folder):
        models = [retrain.load(finding.folder_of(second.folder, f"models:/{DATASET}/{number}")) for number in (1, 2)]
    with serve(second.folder / "log", f"models:/{DATASET}@champion") as service:
        for model in reversed(models):
            wait(lambda sha256=model.sha256: sha256.startswith(shown()), 0.1)
            answer = requests.post(f"{service.url}/invocations", json=rows, timeout=9).json()["predictions"]
            assert answer == model.predict(rows["dataframe_records"])
            if model is models[1]:
                assert second.retrain_here("demote", DATASET, "--reason", "wrong on Mondays").exit_code == 0


def test_another_store_follows_the_ledger_as_far_as_the_cache_has_the_model(second, other, tmp_path, monkeypatch):
    files = second.folder / ".dvc/cache/files"
    files.rename(tmp_path / "files")
    ended = second.retrain_here("demote", DATASET, "--reason", "wrong on Mondays", MLFLOW_TRACKING_URI=other)
    assert ended.exit_code == 1
    assert "is not in DVC's cache" in error_line(ended.stderr)
    assert events(second) == ["promoted", "promoted"]
    (tmp_path / "files").rename(files)
    ended = second.retrain_here("demote", DATASET, "--reason", "wrong on Mondays", MLFLOW_TRACKING_URI=other)
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.startswith(f"demoted: models:/{DATASET}@champion is version 1\n")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", other)
    with chdir(second.folder):
        folder = finding.folder_of(second.folder, f"models:/{DATASET}@champion")
    assert json.loads((folder / "model.json").read_text())["train"]["loop"]["epochs"] == 10


def test_pulled_demotion_reaches_the_store(second):
    lines = (second.folder / ledger.path_of(DATASET)).read_text()
    assert second.retrain_here("demote", DATASET, "--reason", "wrong on Mondays").exit_code == 0
    demoted = (second.folder / ledger.path_of(DATASET)).read_text()
    for content, epochs in ((lines, 11), (demoted, 10)):  # as git pull or git checkout leave it
        (second.folder / ledger.path_of(DATASET)).write_text(content)
        with chdir(second.folder):
            folder = finding.folder_of(second.folder, f"models:/{DATASET}@champion")
        assert json.loads((folder / "model.json").read_text())["train"]["loop"]["epochs"] == epochs


def test_shared_store_ahead_of_the_clone_is_told(approved, monkeypatch, capsys):
    lines = (approved.folder / ledger.path_of(DATASET)).read_text()
    use(approved, "as-good")
    assert approved.retrain_here("promote", DATASET).exit_code == 0
    (approved.folder / ledger.path_of(DATASET)).write_text(lines)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{approved.folder / 'mlflow.db'}")
    with chdir(approved.folder):
        finding.load(approved.folder, f"models:/{DATASET}@champion")
    assert aliases(approved) == {"champion": 2}
    assert capsys.readouterr().err == (
        f"Warning: models:/{DATASET}@champion is not the champion that releases/{DATASET}.jsonl names; "
        f"run git pull; if that changes nothing: retrain promote {DATASET}\n"
    )


def test_one_model_promoted_twice_is_one_champion(approved):
    path = approved.folder / ledger.path_of(DATASET)
    path.write_text(path.read_text() + path.read_text().splitlines()[-1] + "\n")  # as two branches leave it
    ended = approved.retrain_here("demote", DATASET, "--reason", "wrong on Mondays")
    assert ended.stdout.startswith(f"demoted: {DATASET} has no champion now\n")


LOADS = f"""
import os, sys
import mlflow.store.tracking.sqlalchemy_store
import retrain
from pathlib import Path
from retrain.release import finding

for uri in sys.argv[1:]:
    if os.fork():
        assert os.wait()[1] == 0
        continue
    if uri:
        os.environ["MLFLOW_TRACKING_URI"] = uri
    finding.folder_of(Path.cwd(), "models:/{DATASET}@champion")
    print("torch" in sys.modules)
    model = retrain.load("models:/{DATASET}@champion")
    answers = model.predict([{{"a": 1, "b": 2, "c": 3}}])
    print(os.environ["MKL_CBWR"], sys.modules["torch"].get_num_threads(), model.sha256, len(answers), flush=True)
    os._exit(0)
"""
"""Loads a champion from several stores, the own one without a name, each in a copy of a process that has imported MLflow but not torch."""


def test_every_store_gives_the_champion_which_computes_as_the_training(approved, other):
    """One that has it only asks for its folder, and one that has not asks it for the example that MLflow wants."""
    ended = approved.run(sys.executable, "-c", LOADS, "", other)
    *_, promoted = ledger.read(approved.folder, DATASET)
    settings = f"COMPATIBLE 1 {promoted['model_sha256']} 1"
    assert ended.stdout.splitlines() == ["False", settings, "True", settings], ended.said
    assert events(approved) == ["promoted"]


def test_lost_files_are_registered_again(approved):
    shutil.rmtree(approved.folder / "mlruns")
    with chdir(approved.folder):
        with pytest.raises(RetrainError, match=r"has lost its files .*: retrain promote"):
            finding.folder_of(approved.folder, f"models:/{DATASET}/1")
        assert finding.folder_of(approved.folder, f"models:/{DATASET}@champion").is_dir()
    assert aliases(approved) == {"champion": 2}


def test_parameters_are_committed_too(approved):
    assert approved.run("git", "checkout", "-q", "as-good", "--", "params.yaml", "dvc.lock", "reports").returncode == 0
    assert approved.run("git", "commit", "-qm", "no parameters", "--", "dvc.lock", "reports").returncode == 0
    ended = approved.retrain_here("promote", DATASET)
    assert ended.exit_code == 1
    assert error_line(ended.stderr) == (
        f"the result of '{DATASET}' depends on what is not committed (params.yaml); "
        f"commit it: git add params.yaml dvc.lock reports && git commit -m '{DATASET}'"
    )


def test_only_committed_results_are_promoted(approved):
    assert approved.run("git", "checkout", "-q", "as-good", "--", "params.yaml", "dvc.lock", "reports").returncode == 0
    ended = approved.retrain_here("promote", DATASET)
    assert ended.exit_code == 1
    assert error_line(ended.stderr).startswith(
        f"the result of '{DATASET}' is not that of the last commit; commit it: git add"
    )
    assert events(approved) == ["promoted"]
