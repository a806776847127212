"""`retrain promote` and `retrain demote`: the ledger in git says which model is in use, and MLflow follows."""

import json
import shutil
from contextlib import chdir

import retrain
from retrain.release import finding, ledger

import pytest
from mlflow import MlflowClient
from support.errors import error_line
from support.project import Project

pytestmark = pytest.mark.slow

DATASET = "tiny_numbers"
GATE = {"confidence": 0.95, "uses": 10, "floors": {}, "drops": {"rmse": 0.5}, "slices": {}}


@pytest.fixture
def approved(finished: Project) -> Project:
    """A project whose gate asks for little, with a well-trained champion."""
    finished.set(f"{DATASET}.gate", GATE)
    train(finished, 30)
    finished.commit()
    ended = finished.retrain_here("promote", DATASET)
    assert ended.exit_code == 0, ended.output
    return finished


def train(project: Project, epochs: int) -> None:
    """Train for some epochs, and make the report."""
    project.set(f"{DATASET}.train.loop.epochs", epochs)
    project.run_stages_here(DATASET, "train", "evaluate", "plot")


def aliases(project: Project) -> dict[str, int]:
    """The versions that MLflow's aliases name."""
    client = MlflowClient(tracking_uri=f"sqlite:///{project.folder / 'mlflow.db'}")
    return {alias: int(number) for alias, number in client.get_registered_model(DATASET).aliases.items()}


def events(project: Project) -> list[str]:
    """What happened, in order, without the questions to the gate."""
    return [entry["event"] for entry in ledger.read(project.folder, DATASET) if entry["event"] != "gate"]


def test_better_model_becomes_champion(approved):
    assert (events(approved), aliases(approved)) == (["promoted"], {"champion": 1})
    train(approved, 31)
    approved.commit()
    ended = approved.retrain_here("promote", DATASET)
    assert ended.exit_code == 0, ended.output
    verdict, promoted, git = ended.stdout.splitlines()
    assert verdict.startswith(f"{DATASET}: pass: rmse ")
    assert promoted == f"promoted: models:/{DATASET}@champion is version 2"
    assert git == f"to keep this in git: git add releases/{DATASET}.jsonl && git commit -m 'Release of {DATASET}'"
    assert aliases(approved) == {"champion": 2}
    *_, entry = ledger.read(approved.folder, DATASET)
    assert entry["gate"]["answer"] == "pass"
    assert entry["commit"] == approved.run("git", "rev-parse", "HEAD").stdout.strip()
    again = approved.retrain_here("promote", DATASET)
    assert again.stdout == f"{DATASET}: this model is the champion already, version 2\n"
    assert events(approved) == ["promoted", "promoted"]


def test_worse_model_stays_challenger(approved):
    train(approved, 1)
    approved.commit()
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


def test_demote_restores_the_previous_champion(approved):
    before = (approved.folder / "models" / DATASET / "model.json").read_bytes()
    train(approved, 31)
    approved.commit()
    assert approved.retrain_here("promote", DATASET).exit_code == 0
    ended = approved.retrain_here("demote", DATASET, "--reason", "wrong on Mondays")
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.startswith(f"demoted: models:/{DATASET}@champion is version 1\n")
    assert ledger.read(approved.folder, DATASET)[-1]["reason"] == "wrong on Mondays"
    with chdir(approved.folder):
        folder = finding.folder_of(approved.folder, f"models:/{DATASET}@champion")
        assert (folder / "model.json").read_bytes() == before
        assert retrain.load(folder).predict([{"a": 1, "b": 2, "c": 3}])
    assert approved.retrain_here("demote", DATASET, "--reason", "all").stdout.startswith(
        f"demoted: {DATASET} has no champion now\n"
    )
    assert aliases(approved) == {}
    lacking = approved.retrain_here("demote", DATASET, "--reason", "once more")
    assert lacking.exit_code == 1
    assert (
        error_line(lacking.stderr) == f"dataset '{DATASET}' has no champion; promote a model: retrain promote {DATASET}"
    )


def test_another_store_follows_the_ledger(approved):
    train(approved, 31)
    approved.commit()
    assert approved.retrain_here("promote", DATASET).exit_code == 0
    (approved.folder / "mlflow.db").unlink()
    shutil.rmtree(approved.folder / "mlruns")
    ended = approved.retrain_here("demote", DATASET, "--reason", "wrong on Mondays")
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.startswith(f"demoted: models:/{DATASET}@champion is version 1\n")
    with chdir(approved.folder):
        folder = finding.folder_of(approved.folder, f"models:/{DATASET}@champion")
    assert json.loads((folder / "model.json").read_text())["train"]["loop"]["epochs"] == 30


def test_only_committed_results_are_promoted(approved):
    train(approved, 31)
    ended = approved.retrain_here("promote", DATASET)
    assert ended.exit_code == 1
    assert error_line(ended.stderr).startswith(
        f"the result of '{DATASET}' is not that of the last commit; commit it: git add"
    )
    assert events(approved) == ["promoted"]
