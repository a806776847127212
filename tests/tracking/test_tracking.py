"""What a person finds in MLflow."""

import copy
import hashlib
import json
import re
import signal
import subprocess
from contextlib import chdir
from pathlib import Path

from retrain import params, processes
from retrain.models.model import sha256_of
from retrain.tracking import naming

import pytest
from dvc.repo import Repo
from mlflow import MlflowClient
from support.project import TOPICS, Project

pytestmark = pytest.mark.slow
ASKED = """
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
sys.argv[0] = "src/train.py"
sys.path.insert(0, "src")
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Trains, and can be asked to leave by Ctrl-C, wherever it was started."""


@pytest.fixture(autouse=True)
def recorded(monkeypatch):
    """The stages of all projects record to MLflow."""
    monkeypatch.setattr(Project, "records", True)


def client_of(project: Project) -> MlflowClient:
    """A client of the project's own store."""
    return MlflowClient(tracking_uri=f"sqlite:///{project.folder / 'mlflow.db'}")


def test_run_has_everything_about_its_model(finished_project):
    (run,) = finished_project.runs("tiny_news")
    reports = finished_project.folder / "reports" / "tiny_news"
    assert (run["name"], run["status"]) == ("as committed", "FINISHED")
    assert run["params"]["train.loop.learning_rate"] == "2.0"
    assert run["params"]["prepare.source"] == "files"
    assert run["params"]["split.encoder.minimum_count"] == "1"
    assert run["epochs"] == [1, 2, 3]
    history = (reports / "history.csv").read_text().splitlines()
    names = [f"{split}_{metric}" for metric in ("loss", "accuracy", "macro_f1") for split in ("train", "validation")]
    assert history[0].split(",") == ["epoch", "learning_rate", *names]
    assert run["metrics"]["validation_macro_f1"] == float(history[-1].split(",")[-1])
    metrics = json.loads((reports / "metrics.json").read_text())
    for name, value in metrics["test"].items():
        assert run["metrics"][f"test/{name}"] == value
    assert set(run["inputs"]) == {"train", "validation", "test"}
    assert len(set(run["inputs"].values())) == 3
    assert set(run["artifacts"]) == {
        "model", "params.json", "history.csv", "metrics.json", "predictions.csv", "tables", "plots",
        "report.html", "MODEL_CARD.md",
    }  # fmt: skip
    tags = run["tags"]
    assert len(tags["result_sha256"]) == len(tags["model_sha256"]) == len(tags["data_sha256"]) == 64
    assert len(tags["git_commit"]) == 40
    assert (tags["git_dirty"], tags["threads"], tags["device"]) == ("false", "1", "cpu")
    assert {"version.torch", "version.mlflow"} <= set(tags)
    assert min(run["metrics"]) == "test/accuracy"  # MLflow shows the metrics in this order
    assert {name.split("/")[0] for name in run["metrics"] if "/" in name} == {"test", "test_baseline", "test_reference"}
    assert tags["model_sha256"] == sha256_of(finished_project.folder / "models/tiny_news")
    assert {name for name in tags if name.startswith("sha256.")} == {"sha256.train", "sha256.evaluate", "sha256.plot"}


def test_description_links_files_and_repeats_the_run(finished_project):
    (run,) = finished_project.runs("tiny_numbers")
    verdict, links, command = run["tags"]["mlflow.note.content"].split("\n\n")
    assert re.match(r"\*\*tiny_numbers: .*rmse [0-9.]+ \[[0-9.]+ to [0-9.]+\]", verdict)
    experiment = client_of(finished_project).get_run(run["id"]).info.experiment_id
    for name in ("report.html", "MODEL_CARD.md", "model/model.json"):
        assert f"[{name}](#/experiments/{experiment}/runs/{run['id']}/artifacts/{name})" in links
    commit = run["tags"]["git_commit"][:12]
    assert command == f"To repeat it: `git checkout {commit}`, then `dvc repro plot@tiny_numbers`."


def test_list_of_runs_has_columns(finished_project):
    experiment = client_of(finished_project).get_experiment_by_name("tiny_numbers")
    state = json.loads(experiment.tags["mlflow.sharedViewState.metrics"])
    metrics = json.loads((finished_project.folder / "reports/tiny_numbers/metrics.json").read_text())
    shown = [*(f"test/{name}" for name in metrics["test"]), "test_baseline/rmse", "train_best_epoch"]
    assert state["selectedColumns"] == [*(f"metrics.`{name}`" for name in shown), "attributes.`Duration`"]
    (run,) = finished_project.runs("tiny_numbers")
    charts = {name for name in run["metrics"] if re.search(state["chartsSearchFilter"], name)}
    assert {"test/rmse", "train_loss", "validation_loss"} <= charts
    assert not [name for name in charts if "baseline" in name]


def test_dataset_inputs_name_the_split_by_its_md5(finished_project):
    (run,) = finished_project.runs("tiny_news")
    for split, digest in run["inputs"].items():
        table = finished_project.folder / "data/tiny_news/splits" / f"{split}.parquet"
        assert digest == hashlib.md5(table.read_bytes(), usedforsecurity=False).hexdigest()


def test_no_tracked_file_names_a_run_or_machine(finished_project):
    folder = finished_project.folder
    secrets = [str(folder)] + [
        run["id"] for name in ("tiny_news", "tiny_numbers") for run in finished_project.runs(name)
    ]
    tracked = [path for name in ("data", "models", "reports") for path in (folder / name).rglob("*") if path.is_file()]
    assert len(tracked) > 60
    for path in [*tracked, folder / "dvc.lock"]:
        content = path.read_bytes()
        assert not [secret for secret in secrets if secret.encode() in content], path


def test_second_training_adds_a_run_and_changes_no_bytes(pair):
    pair.stages("train evaluate plot", "tiny_numbers", RETRAIN_TRACKING="here")
    with chdir(pair.folder), Repo() as repo:
        assert repo.status() == {}  # the outputs are those of dvc.lock
    assert pair.run("git", "status", "--porcelain").stdout == ""
    new, old = pair.runs("tiny_numbers")
    assert new["tags"]["result_sha256"] == old["tags"]["result_sha256"]
    assert new["metrics"] == old["metrics"]
    assert new["artifacts"] == old["artifacts"]


def test_result_from_elsewhere_gets_a_run(finished_project, forgotten):
    (original,) = finished_project.runs("tiny_numbers")
    assert forgotten.stage_here("evaluate", "tiny_numbers").exit_code == 0
    assert forgotten.stage_here("plot", "tiny_numbers").exit_code == 0
    (run,) = forgotten.runs("tiny_numbers")
    for same in ("name", "status", "params", "metrics", "inputs", "artifacts", "epochs"):
        assert run[same] == original[same], same
    assert run["tags"]["recreated"] == "true"
    assert run["tags"]["result_sha256"] == original["tags"]["result_sha256"]


def test_evaluating_twice_writes_metrics_once(forgotten):
    for _ in range(2):
        assert forgotten.stage_here("evaluate", "tiny_sign").exit_code == 0
    client = client_of(forgotten)
    (run,) = forgotten.runs("tiny_sign")
    assert len(client.get_metric_history(run["id"], "test/accuracy")) == 1


MANY = {f"class {number}": f"c{number}" for number in range(150)}
"""More than MLflow takes in one call."""


@pytest.mark.parametrize(
    ("names", "param", "value"),
    [
        (["C++", "C#", "/"], "prepare.rename", '{"/": "city", "C#": "sea", "C++": "farm"}'),
        (["x" * 300, "a//b", ".."], "prepare.rename", None),
        (["Sci/Tech", "World: news", "1.5"], "prepare.rename.Sci/Tech", "farm"),
    ],
)
def test_classes_may_have_any_name(forgotten, names, param, value):
    table = forgotten.folder / "data/raw/tiny_news/rows.csv"
    rename = dict(zip(names, TOPICS, strict=True))
    text = table.read_text()
    for name, topic in rename.items():
        text = text.replace(f",{topic}\n", f",{name}\n")
    table.write_text(text)
    forgotten.set("tiny_news.prepare.rename", rename | (MANY if param != "prepare.rename" else {}))
    for stage in ("prepare", "split", "train", "evaluate"):
        ended = forgotten.stage_here(stage, "tiny_news")
        assert (ended.exit_code, "Warning" in ended.stderr) == (0, False), ended.output
    (run,) = forgotten.runs("tiny_news")
    assert (run["status"], run["epochs"]) == ("FINISHED", [1, 2, 3])
    assert {"test/accuracy", "train_best_epoch"} <= set(run["metrics"])
    assert run["params"][param] == (value or json.dumps(rename, sort_keys=True))
    assert ("prepare.rename.class 149" in run["params"]) == (param != "prepare.rename")


def test_deleted_experiment_is_restored(forgotten):
    assert forgotten.stage_here("evaluate", "tiny_sign").exit_code == 0
    (before,) = forgotten.runs("tiny_sign")
    client = client_of(forgotten)
    client.delete_experiment(client.get_experiment_by_name("tiny_sign").experiment_id)
    ended = forgotten.stage_here("plot", "tiny_sign")
    assert (ended.exit_code, "Warning" in ended.stderr) == (0, False), ended.output
    (run,) = forgotten.runs("tiny_sign")
    assert (run["id"], "plots" in run["artifacts"]) == (before["id"], True)


def test_other_files_of_a_model_are_not_recorded(forgotten, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("a key")
    (forgotten.folder / "models/tiny_sign/notes").symlink_to(secret)
    assert forgotten.stage_here("plot", "tiny_sign").exit_code == 0
    (run,) = forgotten.runs("tiny_sign")
    kept = {Path(file.path).name for file in client_of(forgotten).list_artifacts(run["id"], "model")}
    assert kept == {"model.json", "model.safetensors"}


def test_diverged_training_ends_as_failed(forgotten):
    forgotten.set("tiny_numbers.train.loop.learning_rate", 1e30)
    forgotten.set("tiny_numbers.train.loop.clip_norm", 1e30)
    assert forgotten.stage_here("train", "tiny_numbers").exit_code == 1
    (run,) = forgotten.runs("tiny_numbers")
    assert run["status"] == "FAILED"
    assert run["name"] == "learning rate 1e+30, clip norm 1e+30"


def test_interrupted_training_ends_as_killed(forgotten):
    before = (forgotten.folder / "models/tiny_numbers/model.safetensors").read_bytes()
    forgotten.set("tiny_numbers.train.loop.epochs", 1_000_000)
    forgotten.set("tiny_numbers.train.loop.patience", 1_000_000)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs, and their children, ignore it
    training = subprocess.Popen(
        ["python3", "src/train.py", "--dataset", "tiny_numbers"],
        cwd=forgotten.folder, env=forgotten.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    for line in training.stdout:
        if line.startswith("epoch   2/"):
            break
    training.send_signal(signal.SIGINT)
    training.stdout.read()  # to its end: it may print a line before it sees the signal, and a closed pipe would end it
    training.stdout.close()
    assert training.wait(timeout=60) == 128 + signal.SIGINT
    (run,) = forgotten.runs("tiny_numbers")
    assert run["status"] == "KILLED"
    assert (forgotten.folder / "models/tiny_numbers/model.safetensors").read_bytes() == before
    assert not list(forgotten.folder.rglob("*.draft"))


def test_named_store_gets_the_run(forgotten, tmp_path):
    store = tmp_path / "other.db"
    ended = forgotten.stage_here("evaluate", "tiny_sign", MLFLOW_TRACKING_URI=f"sqlite:///{store}")
    assert ended.exit_code == 0, ended.output
    assert store.exists()
    assert forgotten.runs("tiny_sign") == []


def test_moved_store_finds_its_artifacts(finished_project, tmp_path):
    moved = finished_project.copy(tmp_path / "moved here")
    ended = moved.stage_here("plot", "tiny_sign")
    assert ended.exit_code == 0
    assert ended.stderr.count("was made under another root") == 1
    (run,) = moved.runs("tiny_sign")
    assert "model" in run["artifacts"]
    assert (moved.folder / "mlruns" / "tiny_sign" / run["id"] / "artifacts" / "plots" / "loss.png").exists()
    assert "another root" not in moved.stage_here("plot", "tiny_sign").stderr


def test_unreachable_server_does_not_stop_a_stage(forgotten):
    made = {path: path.read_bytes() for name in ("models", "reports") for path in (forgotten.folder / name).rglob("*.*")
            if path.is_file()}  # fmt: skip
    nowhere = {"MLFLOW_TRACKING_URI": "http://user:s3cret@127.0.0.1:9"}
    here = [forgotten.stage_here(stage, "tiny_sign", **nowhere) for stage in ("train", "evaluate", "plot")]
    trained = forgotten.stage("train", "tiny_sign", **nowhere)  # with a recorder
    assert [trained.returncode, *(ended.exit_code for ended in here)] == [0] * 4
    for stdout, stderr in [(trained.stdout, trained.stderr), *((ended.stdout, ended.stderr) for ended in here)]:
        (line,) = [line for line in stderr.splitlines() if line.startswith("Warning: ")]
        assert line.startswith("Warning: MLflow (http://127.0.0.1:9)")
        assert line.endswith("; the results are not affected; once MLflow works, `retrain sync` records them")
        assert "s3cret" not in stdout + stderr
    assert {path: path.read_bytes() for path in made} == made


@pytest.mark.parametrize("uri", ["http://[bad", "./mlruns", "nonsense://host"])
def test_impossible_tracking_uri_is_an_error(forgotten, uri):
    ended = forgotten.stage_here("plot", "tiny_sign", MLFLOW_TRACKING_URI=uri)
    assert ended.exit_code == 1
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith("Error: MLFLOW_TRACKING_URI")
    assert f"is '{uri}', which is not " in ended.stderr


def test_missing_database_driver_is_a_warning(forgotten):
    ended = forgotten.stage_here("plot", "tiny_sign", MLFLOW_TRACKING_URI="mysql://127.0.0.1/runs")
    assert ended.exit_code == 0, ended.output
    assert "Warning: MLflow (mysql://127.0.0.1/runs)" in ended.stderr


def test_terminated_repro_leaves_no_training_behind(forgotten):
    before = (forgotten.folder / "models/tiny_numbers/model.safetensors").read_bytes()
    forgotten.keep("tiny_numbers")
    forgotten.set("tiny_numbers.train.loop.epochs", 1_000_000)
    forgotten.set("tiny_numbers.train.loop.patience", 1_000_000)
    repro = subprocess.Popen(
        ["retrain", "repro", "tiny_numbers"],
        cwd=forgotten.folder, env=forgotten.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    for line in repro.stdout:
        if line.startswith("epoch   2/"):
            break
    repro.send_signal(signal.SIGTERM)
    repro.stdout.read()  # ends when the last process that can write to it has ended
    repro.stdout.close()
    assert repro.wait(timeout=60) == 128 + signal.SIGTERM
    (run,) = forgotten.runs("tiny_numbers")
    assert run["status"] == "KILLED"
    assert (forgotten.folder / "models/tiny_numbers/model.safetensors").read_bytes() == before
    assert not list(forgotten.folder.rglob("*.draft"))


def test_training_interrupted_before_its_run_exists(forgotten):
    forgotten.set("tiny_numbers.train.loop.epochs", 2000)
    forgotten.set("tiny_numbers.train.loop.patience", 2000)
    program = ["python3", "-c", ASKED, "--dataset", "tiny_numbers"]
    with processes.lock(forgotten.folder, "runs"):  # as another training may hold it
        training = subprocess.Popen(
            program, cwd=forgotten.folder, env=forgotten.environment, stdout=subprocess.PIPE, text=True
        )
        for line in training.stdout:
            if line.startswith("epoch   2/"):
                break
        training.send_signal(signal.SIGTERM)
        training.stdout.read()
        training.stdout.close()
        assert training.wait(timeout=60) == 128 + signal.SIGTERM
    forgotten.set("tiny_numbers.train.loop.epochs", 3)
    assert forgotten.stage_here("train", "tiny_numbers").exit_code == 0
    runs = {run["params"]["train.loop.epochs"]: run["status"] for run in forgotten.runs("tiny_numbers")}
    assert runs == {"3": "FINISHED", "2000": "KILLED"}


def test_interrupted_wait_does_not_change_how_a_run_ends(forgotten):
    with processes.lock(forgotten.folder, "runs"):  # so that MLflow keeps the training waiting
        training = subprocess.Popen(
            ["python3", "-c", ASKED, "--dataset", "tiny_numbers"], cwd=forgotten.folder,
            env=forgotten.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        with training.stderr as printed:
            next(line for line in printed if line.startswith("waiting for MLflow"))
            training.send_signal(signal.SIGINT)
            assert printed.read() == ""
        assert training.wait(timeout=60) == 128 + signal.SIGINT
    (run,) = forgotten.runs("tiny_numbers")
    assert run["status"] == "FINISHED"


def test_run_name_starts_with_what_changed(finished, monkeypatch):
    monkeypatch.chdir(finished.folder)
    block = finished.params()["datasets"]["tiny_news"]
    assert naming.run_name("tiny_news", block) == "as committed"
    changed = copy.deepcopy(block)
    changed["train"]["loop"]["epochs"] = 5
    changed["train"]["network"]["embedding_dim"] = 5
    assert naming.run_name("tiny_news", changed) == "epochs 5, embedding dim 5"
    changed["prepare"]["repairs"] = ["entities", "spaces"]
    assert naming.run_name("tiny_news", changed).startswith("repairs entities, spaces, ")
    changed["prepare"]["train"]["sha256"] = "a" * 64
    assert "train file changed" in naming.run_name("tiny_news", changed)


def test_run_name_knows_defaults(finished, monkeypatch):
    monkeypatch.chdir(finished.folder)
    content = finished.params()
    del content["datasets"]["tiny_news"]["train"]["loop"]["seed"]
    finished.write_params(content)
    finished.commit()
    block = params.dataset_block(finished.folder, "tiny_news")
    assert block["train"]["loop"]["seed"] == 1
    assert naming.run_name("tiny_news", block) == "as committed"
    block["train"]["loop"]["seed"] = 2
    assert naming.run_name("tiny_news", block) == "loop seed 2"


def test_command_sets_what_changed(finished, monkeypatch):
    monkeypatch.chdir(finished.folder)
    block = finished.params()["datasets"]["tiny_news"]
    block["train"]["loop"].update(epochs=5, clip_norm=None)
    sets = "-S ++datasets.tiny_news.train.loop.clip_norm=null -S ++datasets.tiny_news.train.loop.epochs=5"
    command = naming.command("tiny_news", block, "HEAD")
    assert command == f"`git checkout HEAD`, then `dvc exp run {sets} plot@tiny_news`"
    block["prepare"]["repairs"] = ["entities", "spaces"]  # brackets mean something to a shell
    for commit in ("HEAD", "f" * 40):
        command = naming.command("tiny_news", block, commit)
        assert command.endswith("set the parameters of this run in `params.yaml`, and run `dvc repro plot@tiny_news`")
    assert naming.command("tiny_news", block, None) == "`dvc repro plot@tiny_news`"


def test_run_name_counts_further_changes(finished, monkeypatch):
    monkeypatch.chdir(finished.folder)
    block = finished.params()["datasets"]["tiny_news"]
    for number, section in enumerate((block["split"], block["train"]["loop"], block["train"]["network"])):
        section.update({name: number + 100 for name, value in section.items() if isinstance(value, int | float)})
    name = naming.run_name("tiny_news", block)
    assert name.endswith(" more")
    assert name.count(", ") == 6


def test_run_name_without_git_is_the_dataset(finished, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    assert naming.run_name("tiny_news", finished.params()["datasets"]["tiny_news"]) == "tiny_news"
