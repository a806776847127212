"""One run per result, whatever happened to the store, the server or the machine."""

import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Event, Semaphore

from retrain.commands import sync

import pytest
import requests
from mlflow import MlflowClient
from psutil import NoSuchProcess, Process
from ruamel.yaml import YAML
from support.project import Project
from support.servers import listening, mlflow_server, wait

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def recorded(monkeypatch):
    """The stages of all projects record to MLflow."""
    monkeypatch.setattr(Project, "records", True)


def content(path: Path) -> dict[str, list[tuple]]:
    """All that a store holds."""
    connection = sqlite3.connect(path)
    tables = ("runs", "metrics", "params", "tags", "inputs", "experiments", "experiment_tags", "latest_metrics")
    try:
        return {table: sorted(connection.execute(f"SELECT * FROM {table}"), key=str) for table in tables}  # noqa: S608 (our names)
    finally:
        connection.close()


def test_sync_recreates_all_runs_once(finished_project, forgotten):
    forgotten.keep("tiny_news", "tiny_numbers")
    (forgotten.folder / "mlflow.db").unlink()
    ended = forgotten.retrain_here("sync")
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.splitlines()[-1] == "2 results are recorded"
    for dataset in ("tiny_news", "tiny_numbers"):
        (original,), (run,) = finished_project.runs(dataset), forgotten.runs(dataset)
        for same in ("name", "status", "params", "metrics", "inputs", "artifacts", "epochs"):
            assert run[same] == original[same], same
        assert run["tags"]["recreated"] == "true"
        for same in (
            "result_sha256",
            "model_sha256",
            "data_sha256",
            "threads",
            "device",
            "sha256.train",
            "sha256.evaluate",
            "sha256.plot",
        ):
            assert run["tags"][same] == original["tags"][same], same
    before = content(forgotten.folder / "mlflow.db")
    assert forgotten.retrain_here("sync").exit_code == 0
    assert content(forgotten.folder / "mlflow.db") == before


def test_sync_writes_lost_artifacts_again(forgotten):
    assert forgotten.retrain_here("sync", "tiny_sign").exit_code == 0
    store, before = forgotten.folder / "mlruns", forgotten.runs("tiny_sign")
    files = {path.relative_to(store) for path in store.rglob("*") if path.is_file()}
    shutil.rmtree(store)
    assert forgotten.retrain_here("sync", "tiny_sign").exit_code == 0
    assert {path.relative_to(store) for path in store.rglob("*") if path.is_file()} == files
    assert forgotten.runs("tiny_sign") == before


def test_sync_of_all_commits_reads_the_cache(forgotten):
    forgotten.set("tiny_sign.train.loop.learning_rate", 0.1)
    forgotten.run_stages_here(
        "tiny_sign", "train", RETRAIN_TRACKING="off"
    )  # evaluate and plot have not seen this model
    forgotten.commit()
    ended = forgotten.retrain_here("sync", "--all-commits", "tiny_sign")
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.splitlines()[-1] == "2 results are recorded"
    earlier, newest = forgotten.runs("tiny_sign")
    assert (newest["params"]["train.loop.learning_rate"], "train_best_epoch" in newest["metrics"]) == ("0.1", False)
    assert (earlier["params"]["train.loop.learning_rate"], "train_best_epoch" in earlier["metrics"]) == ("0.2", True)
    assert "plots" in earlier["artifacts"]
    assert "plots" not in newest["artifacts"]
    shutil.rmtree(forgotten.folder / ".dvc" / "cache")
    lock, newer = forgotten.folder / "dvc.lock", (forgotten.folder / "dvc.lock").read_text()
    for content in (forgotten.run("git", "show", "HEAD~1:dvc.lock").stdout, newer):  # a second commit of each result
        lock.write_text(content)
        forgotten.commit()
    ended = forgotten.retrain_here("sync", "--all-commits", "tiny_sign")
    assert ended.exit_code == 0, ended.output
    assert ended.stderr.count("models/tiny_sign of commit ") == 1
    assert (
        ended.stdout.splitlines()[-1] == "1 result is recorded; 1 is not in DVC's cache (run: dvc fetch --all-commits)"
    )
    shutil.rmtree(forgotten.folder / "models")
    ended = forgotten.retrain_here("sync", "tiny_sign")
    assert ended.stderr == (
        "sync tiny_sign: models/tiny_sign of the working tree is not in DVC's cache; "
        "run: dvc pull --with-deps plot@tiny_sign; if no remote has it: make repro DATASET=tiny_sign\n"
    )
    assert ended.stdout == "0 results are recorded; 1 is not in DVC's cache\n"


def test_training_only_commit_hides_no_evaluation(forgotten):
    lock = forgotten.folder / "dvc.lock"
    content = YAML(typ="safe").load(lock.read_text())
    for stage in ("evaluate", "plot"):
        del content["stages"][f"{stage}@tiny_sign"]
    with lock.open("w") as file:
        YAML(typ="safe").dump(content, file)
    forgotten.commit()
    assert forgotten.retrain_here("sync", "--all-commits", "tiny_sign").exit_code == 0
    (run,) = forgotten.runs("tiny_sign")
    assert ("train_best_epoch" in run["metrics"], "plots" in run["artifacts"]) == (True, True)


def test_unreadable_result_makes_no_run(forgotten):
    (forgotten.folder / "reports/tiny_sign/metrics.json").write_text("{}")
    forgotten.note("evaluate@tiny_sign")
    ended = forgotten.retrain_here("sync", "tiny_sign")
    assert ended.exit_code == 1
    assert ended.stderr.startswith(
        "sync tiny_sign: the result of the working tree can't be read (reports/tiny_sign/metrics.json: test and baseline are missing; "
    )
    assert ended.stdout == "0 results are recorded; 1 can't be read\n"
    assert forgotten.runs("tiny_sign") == []
    lock = forgotten.run("git", "show", "HEAD:dvc.lock").stdout
    forgotten.commit()
    (forgotten.folder / "dvc.lock").write_text(lock)
    forgotten.commit()
    ended = forgotten.retrain_here("sync", "--all-commits", "tiny_sign")
    assert (ended.exit_code, ended.stdout.splitlines()[-1]) == (0, "1 result is recorded")


TWICE = """
import multiprocessing
import mlflow.store.tracking.sqlalchemy_store
from retrain import commands

fork = multiprocessing.get_context("fork")
both = [fork.Process(target=commands.main, args=(["sync", "tiny_sign"],)) for _ in range(2)]
for process in both:
    process.start()
for process in both:
    process.join()
print([process.exitcode for process in both])
"""
"""Two commands at once, in copies of a process that has loaded what they need."""


@pytest.mark.campaign
def test_two_syncs_at_once_make_one_run(forgotten):
    ended = forgotten.run("python3", "-c", TWICE, PYTHONPATH="src")
    assert ended.stdout.splitlines()[-1:] == ["[0, 0]"], ended.said
    assert [run["epochs"] for run in forgotten.runs("tiny_sign")] == [[1, 2, 3]]


LOCK = """schema: '2.0'
stages:
  train@mine:
    cmd: python3 src/train.py --dataset mine
    outs:
    - {path: models/mine, hash: md5, md5: 0000000000000000000000000000000%d.dir, size: 1, nfiles: 1}
"""


def test_merged_branches_are_found_and_odd_commits_reported(tmp_path, capsys):
    project = Project(tmp_path)

    def commit(content: str) -> None:
        (tmp_path / "dvc.lock").write_text(content)
        project.commit()

    project.run("git", "init", "-q", "-b", "main")
    commit(LOCK % 1)
    project.run("git", "switch", "-qc", "side")
    commit(LOCK % 2)
    commit("stages: [1]\n")
    project.run("git", "switch", "-q", "main")
    commit(LOCK % 3)
    assert project.run("git", "merge", "-q", "--no-edit", "-s", "ours", "side").returncode == 0
    found = list(sync.recorded_results(tmp_path, "mine", sync.revisions(tmp_path)))
    assert {result.trained[0].md5[31] for result in found} == {"1", "2", "3"}
    assert "; left out\n" in capsys.readouterr().err


def test_sync_without_result_or_server_is_an_error(forgotten):
    ended = forgotten.retrain_here("sync", "nothing")
    assert (ended.exit_code, ended.stderr) == (
        1,
        "Error: dvc.lock has no results for nothing; run: make repro DATASET=nothing\n",
    )
    ended = forgotten.retrain_here("sync", MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert ended.exit_code == 1
    assert ended.stderr.startswith("Error: MLflow (http://127.0.0.1:9) does not work (")


def epochs_in(client: MlflowClient, dataset: str) -> list[list[int]]:
    """The epochs that each run of a dataset has."""
    experiment = client.get_experiment_by_name(dataset)
    runs = client.search_runs([experiment.experiment_id]) if experiment else []
    return [[metric.step for metric in client.get_metric_history(run.info.run_id, "train_loss")] for run in runs]


@dataclass
class Slow:
    """What stands between a training and its server, and takes its time with some calls."""

    server: str
    call: str
    """The end of what is called."""
    late: str
    """Whether the call comes late to the server, or the answer to the one who called; or `never`, if no answer does."""
    times: int
    released: Event = field(default_factory=Event)
    """When they need not be late any more."""
    done: Semaphore = field(default_factory=lambda: Semaphore(0))
    """Counts the calls that were late and are answered."""

    def handler(self) -> type[BaseHTTPRequestHandler]:
        """Passes all calls on."""
        slow = self

        class Handler(BaseHTTPRequestHandler):
            def pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                waits = self.path.endswith(slow.call) and slow.times > 0
                slow.times -= waits
                if waits and slow.late == "call":
                    slow.released.wait(120)
                kind = {"Content-Type": self.headers.get("Content-Type", "application/json")}
                answer = requests.request(self.command, slow.server + self.path, data=body, headers=kind, timeout=60)
                if waits and slow.late == "answer":
                    slow.released.wait(120)
                if waits and slow.late == "never":
                    slow.done.release()
                    return
                with suppress(ConnectionError):
                    self.send_response(answer.status_code)
                    self.send_header("Content-Length", str(len(answer.content)))
                    self.end_headers()
                    self.wfile.write(answer.content)
                if waits:
                    slow.done.release()

            do_GET = do_POST = do_PUT = do_PATCH = pass_on  # noqa: N815 (http.server's names)

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        return Handler


TIMEOUT = 2
"""Seconds that a training waits for an answer."""


@pytest.fixture(scope="module")
def address(untouched_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where an MLflow server listens; its store is there, which saves it seconds."""
    folder = tmp_path_factory.mktemp("served")
    shutil.copy(untouched_project.folder / "mlflow.db", folder / "server.db")
    with mlflow_server(folder, Project(folder).environment) as address:
        yield address


@pytest.mark.parametrize(
    ("dataset", "epochs", "what"),
    [
        ("tiny_sign", 20, ("runs/create", "answer", 1)),
        pytest.param("tiny_numbers", 50, ("runs/log-batch", "call", 1000), marks=pytest.mark.campaign),
    ],
)
def test_slow_server_gets_each_epoch_once(forgotten, address, dataset, epochs, what):
    for parameter in ("epochs", "patience"):
        forgotten.set(f"{dataset}.train.loop.{parameter}", epochs)
    slow, (_, late, times) = Slow(address, *what), what
    with listening(slow.handler()) as between:
        settings = {"MLFLOW_TRACKING_URI": between, "MLFLOW_HTTP_REQUEST_TIMEOUT": str(TIMEOUT)}
        ended = forgotten.run("dvc", "repro", f"train@{dataset}", **settings)
        assert ended.returncode == 0, ended.said
        forgotten.wait_for_recorder()
        late_ones = times - slow.times
        assert late_ones >= min(times, 2)
        if late == "call":
            assert forgotten.retrain_here("sync", dataset, MLFLOW_TRACKING_URI=address).exit_code == 0
        slow.released.set()
        for _ in range(late_ones):
            assert slow.done.acquire(timeout=60)
    if late == "answer":
        assert forgotten.retrain_here("sync", dataset, MLFLOW_TRACKING_URI=address).exit_code == 0
    assert epochs_in(MlflowClient(tracking_uri=address), dataset) == [list(range(1, epochs + 1))]


@pytest.mark.campaign
def test_server_that_dies_midway_is_completed_by_sync(forgotten, address):
    dataset, client = "tiny_length", MlflowClient(tracking_uri=address)
    for parameter in ("epochs", "patience"):
        forgotten.set(f"{dataset}.train.loop.{parameter}", 60)
    forgotten.set(f"{dataset}.train.loop.batch_size", 1)  # MLflow takes fewer epochs a second than it trains otherwise
    forgotten.set(f"{dataset}.train.schedule", {"name": "constant"})
    dying = Slow(address, "runs/log-batch", "never", 0)
    with listening(dying.handler()) as between:
        training = subprocess.Popen(
            ["dvc", "repro", f"plot@{dataset}"], cwd=forgotten.folder, text=True,
            env=forgotten.environment | {"MLFLOW_TRACKING_URI": between}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        wait(lambda: any(epochs_in(client, dataset)))
        dying.times = 1  # what it still writes down, it can not tell any more
        assert dying.done.acquire(timeout=60)
    said = training.communicate(timeout=240)[1]
    assert training.returncode == 0, said
    assert "once MLflow works, `retrain sync` records them" in said
    assert forgotten.retrain_here("sync", dataset, MLFLOW_TRACKING_URI=address).exit_code == 0
    (epochs,) = epochs_in(client, dataset)
    (run,) = client.search_runs([client.get_experiment_by_name(dataset).experiment_id])
    kept = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
    rows = (forgotten.folder / "reports" / dataset / "history.csv").read_text().splitlines()[1:]
    assert run.info.status == "FINISHED"
    assert epochs == list(range(1, len(rows) + 1))
    assert {"test/r2", "train_best_epoch"} <= set(run.data.metrics)
    assert {"model", "history.csv", "metrics.json", "plots"} <= kept
    assert "recreated" not in run.data.tags


def is_training(process: Process) -> bool:
    """Whether a process is the training itself, and not a shell around it or a program that it runs."""
    try:
        return process.name().startswith("python") and "src/train.py" in process.cmdline()
    except NoSuchProcess:
        return False


@pytest.mark.campaign
@pytest.mark.parametrize("stays", [False, True], ids=["shell replaced by its command", "shell that stays"])
def test_training_that_outlived_dvc_is_reused(forgotten, tmp_path, stays):
    dataset = "tiny_sign"
    if stays:
        shell = tmp_path / "sh"
        shell.write_text('#!/bin/sh\n/bin/sh "$@"\nexit $?\n')
        shell.chmod(0o755)
        forgotten.environment["SHELL"] = str(shell)
    for parameter in ("epochs", "patience"):
        forgotten.set(f"{dataset}.train.loop.{parameter}", 50)
    forgotten.set(f"{dataset}.train.loop.batch_size", 1)  # so that it is not over before it is suspended
    command, log, said = ["dvc", "repro", f"train@{dataset}"], tmp_path / "log", tmp_path / "said"
    started = partial(subprocess.Popen, command, cwd=forgotten.folder, env=forgotten.environment)
    with log.open("w") as output:
        first = started(stdout=output, stderr=subprocess.DEVNULL)
    wait(lambda: "epoch   2/" in log.read_text(), seconds=0.01)
    (training,) = (child for child in Process(first.pid).children(recursive=True) if is_training(child))
    training.suspend()  # until someone waits for it
    first.send_signal(signal.SIGKILL)  # dvc alone
    first.wait()
    with said.open("w") as output:
        second = started(stdout=subprocess.DEVNULL, stderr=output)
    wait(lambda: "runs the same training; waiting for its end" in said.read_text())
    training.resume()
    assert second.wait(timeout=240) == 0, said.read_text()
    assert "continuing after epoch 50 of 50" in said.read_text()
    assert [run["status"] for run in forgotten.runs(dataset)] == ["FINISHED"]
    assert not list((forgotten.folder / ".retrain" / "checkpoints").glob("*.checkpoint"))
