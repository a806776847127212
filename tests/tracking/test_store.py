"""MLflow's store outlives the folder and the process that made it: kept by CI, moved, opened again, made by many at once."""

import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from retrain.tracking import store

import psutil
import pytest
import requests
from support.project import Project, tiny_datasets
from support.servers import free_port, running

DATASET = "tiny_numbers"
PROCESSES = 4
OWN = "http://127.0.0.1"
TRAININGS = """
import multiprocessing, os, sys
from pathlib import Path
import mlflow.store.tracking.sqlalchemy_store
from retrain.models import description
from retrain.tracking import recording

described, processes = description.read(Path(sys.argv[1])), int(sys.argv[2])
fork = multiprocessing.get_context("fork")
ready = fork.Barrier(processes)

def train(number):
    os.environ["MLFLOW_NUMBER"] = str(number)  # an outbox of its own
    ready.wait()
    with recording.training(described, str(number)) as run:
        run.epoch({"epoch": 1, "train_loss": 0.5})
        run.end("FINISHED")

children = [fork.Process(target=train, args=(number,)) for number in range(processes)]
for child in children:
    child.start()
for child in children:
    child.join()
print([child.exitcode for child in children])
"""
"""Processes that train at once, each with a copy of what one of them has loaded."""


@dataclass(frozen=True)
class Trained:
    """What a training left behind, in an unrelated folder."""

    store: Path
    model: Path
    history: bytes


@pytest.fixture(scope="module")
def trained(finished_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A store that was made in a project, copied to an unrelated folder."""
    kept = tmp_path_factory.mktemp("elsewhere") / "kept by Zoë"
    kept.mkdir()
    shutil.copy(finished_project.folder / "mlflow.db", kept)
    shutil.copytree(finished_project.folder / "mlruns", kept / "mlruns")
    shutil.copytree(finished_project.folder / "models" / DATASET, kept.parent / "model")
    history = (finished_project.folder / "reports" / DATASET / "history.csv").read_bytes()
    return Trained(kept, kept.parent / "model", history)


@pytest.fixture
def anywhere(tmp_path) -> Project:
    """A folder that is no repository, where commands run as a user runs them."""
    return Project(tmp_path)


@dataclass(frozen=True)
class Server:
    """A running `retrain ui`."""

    process: psutil.Process
    port: int

    def post(self, path: str, **body: object) -> dict:
        answer = requests.post(f"http://127.0.0.1:{self.port}/api/2.0/mlflow/{path}", json=body, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def experiments(self) -> dict[str, dict]:
        return {found["name"]: found for found in self.post("experiments/search", max_results=100)["experiments"]}

    def runs(self, experiment: str) -> list[dict]:
        identity = self.experiments()[experiment]["experiment_id"]
        return self.post("runs/search", experiment_ids=[identity], max_results=100)["runs"]

    def artifact(self, run_id: str, path: str) -> bytes:
        address = f"http://127.0.0.1:{self.port}/get-artifact"
        answer = requests.get(address, params={"path": path, "run_uuid": run_id}, timeout=30)
        answer.raise_for_status()
        return answer.content

    def status(self, host: str, origin: str) -> int:
        """How it answers a page of another origin, or a browser that was led here under another name."""
        address = f"http://127.0.0.1:{self.port}/api/2.0/mlflow/experiments/search"
        headers = {"Host": host, "Origin": origin}
        return requests.post(address, json={"max_results": 1}, headers=headers, timeout=30).status_code

    def listens_on(self) -> set[tuple[str, int]]:
        """Addresses and ports, of all processes that belong to the server."""
        found = []
        for process in (self.process, *self.process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                found += process.net_connections(kind="inet")
        return {tuple(connection.laddr) for connection in found if connection.status == psutil.CONN_LISTEN}


@contextmanager
def served(anywhere: Project, store: Path) -> Iterator[Server]:
    """`retrain ui` over a store, until the block ends; what it says goes to `said.txt`."""
    port = free_port()
    command = ["retrain", "ui", "--store", str(store), "--port", str(port)]
    with running(command, port, anywhere.folder, anywhere.environment) as process:
        yield Server(psutil.Process(process.pid), port)


@pytest.mark.slow
def test_moved_store_opens_on_this_machine_only(trained, anywhere):
    with served(anywhere, trained.store) as server:
        (run,) = server.runs(DATASET)
        assert run["info"]["status"] == "FINISHED"
        assert run["info"]["artifact_uri"].startswith(f"{(trained.store / 'mlruns').as_uri()}/")
        assert server.artifact(run["info"]["run_id"], "history.csv") == trained.history
        model = server.artifact(run["info"]["run_id"], "model/model.json")
        assert model == (trained.model / "model.json").read_bytes()
        assert server.listens_on() == {("127.0.0.1", server.port)}
        for name in ("127.0.0.1", "localhost"):
            assert server.status(f"{name}:{server.port}", OWN) == 200, name
        for name in ("evil.example", "10.evil.example", "192.168.evil.example", "127.0.0.1.evil.example"):
            assert server.status(f"{name}:{server.port}", OWN) == 403, name
        assert server.status(f"127.0.0.1:{server.port}", "https://evil.example") == 403
    said = (anywhere.folder / "said.txt").read_text()
    assert said.startswith("mlflow.db was made under another root")
    assert f"  {DATASET}: http://127.0.0.1:{server.port}/#/experiments/" in said
    assert "Starlette" not in said
    assert "Registry store" not in said


@pytest.mark.slow
def test_moved_store_is_adapted_once(trained, tmp_path, capfd):
    folder = tmp_path / "store"
    shutil.copytree(trained.store, folder)
    store.own_store(folder)
    assert (folder / "mlruns").as_uri() in capfd.readouterr().err
    store.own_store(folder)
    assert capfd.readouterr() == ("", "")


def test_port_in_use_is_an_error(anywhere):
    (anywhere.folder / "mlflow.db").touch()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        ended = anywhere.retrain_here("ui", "--store", ".", "--port", str(port))
    assert ended.exit_code == 1
    assert ended.stdout == ""
    expected = rf"Error: port {port} can't be used \(Address already in use\); use another one above 1023, such as: make ui PORT=5001\n"
    assert re.fullmatch(expected, ended.stderr)


@pytest.mark.parametrize("name", ["empty", "missing"])
def test_folder_without_store_is_an_error(anywhere, name):
    (anywhere.folder / "empty").mkdir()
    store = anywhere.folder / name
    ended = anywhere.retrain_here("ui", "--store", str(store))
    assert ended.exit_code == 1
    assert ended.stdout == ""
    assert ended.stderr == f"Error: {store} has no runs yet (there is no mlflow.db); run: make repro\n"
    assert [path.name for path in anywhere.folder.rglob("*")] == ["empty"]


@pytest.mark.parametrize("name", ["what?", "a%20b"])
def test_path_that_mlflow_misreads_is_an_error(anywhere, name):
    store = anywhere.folder / name
    store.mkdir()
    (store / "mlflow.db").touch()
    ended = anywhere.retrain_here("ui", "--store", str(store), "--port", str(free_port()))
    assert ended.exit_code == 1
    assert ended.stderr.startswith(f"Error: {store}: MLflow can't keep a store below")
    assert ended.stderr.count("\n") == 1
    assert [path.name for path in anywhere.folder.iterdir()] == [name]


MAKING = """
import multiprocessing, sys
from pathlib import Path
import mlflow.store.tracking.sqlalchemy_store
from retrain.tracking import store

for folder in sys.argv[1:]:
    child = multiprocessing.get_context("fork").Process(target=store.own_store, args=(Path(folder),))
    child.start()
    print(child.pid, flush=True)
    child.join()
    print(child.exitcode, flush=True)
"""
"""Makes stores, one after the other, each in a process that has loaded what it needs."""
SIZES = (150_000, 750_000)
"""Of drafts; a whole one has 954,368 bytes."""


@pytest.mark.campaign
def test_killed_creation_is_repeated(anywhere):
    folders = {anywhere.folder / str(size): size for size in SIZES}
    for folder in folders:
        folder.mkdir()
    command = ["python3", "-c", MAKING, *folders]
    with subprocess.Popen(
        command, cwd=anywhere.folder, env=anywhere.environment, stdout=subprocess.PIPE, text=True
    ) as making:
        for folder, size in folders.items():
            child = psutil.Process(int(making.stdout.readline()))
            draft = folder / f".mlflow.db.{child.pid}.draft" / "mlflow.db"
            while not draft.exists() or draft.stat().st_size < size:
                assert making.poll() is None
                time.sleep(0.001)
            child.kill()
            assert int(making.stdout.readline()) == -signal.SIGKILL
    for folder in folders:
        assert not (folder / "mlflow.db").stat().st_size
        store.own_store(folder)
        assert [path.name for path in folder.iterdir() if path.name != ".retrain"] == ["mlflow.db"]


def test_store_errors_say_what_to_do(tmp_path, monkeypatch):
    path = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE experiments (name, artifact_location)")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(store.StoreError, match=r"database is locked.*; close other programs that use it"):
            store.own_store(tmp_path)
    path.write_text("not a store" * 100)
    with pytest.raises(store.StoreError, match=rf"; move {path} away; the next run makes a new one"):
        store.own_store(tmp_path)
    with pytest.raises(store.StoreError, match="; check who may write there: ls -ld"), store.reachable():
        raise PermissionError(13, "Permission denied")
    with pytest.raises(store.StoreError, match="; make the project's folder writable"), store.reachable():
        raise OSError(30, "Read-only file system")
    long = "The key is wrong. " + "To get one, ask. " * 20
    said = r"The key is wrong.*ask\); set DATABRICKS_HOST and DATABRICKS_TOKEN"
    with pytest.raises(store.StoreError, match=said), store.reachable("databricks"):
        raise ConnectionError(long)
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "http://me:secret@elsewhere")
    said = r"^MLflow \(mlflow.db, models in http://elsewhere\) does not work \(no answer\); unset MLFLOW_REGISTRY_URI"
    with pytest.raises(store.StoreError, match=said), store.reachable():
        raise ConnectionError("no answer")


def test_other_errors_are_not_blamed_on_the_store():
    with pytest.raises(ValueError, match="a bug"), store.one_at_a_time():
        raise ValueError("a bug")


@pytest.mark.slow
def test_store_behind_a_link(anywhere, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("another disk") / "runs.db"
    (anywhere.folder / "mlflow.db").symlink_to(elsewhere)
    store.own_store(anywhere.folder)
    assert (anywhere.folder / "mlflow.db").is_symlink()
    assert elsewhere.stat().st_size > 0


@pytest.mark.slow
def test_pipe_is_not_replaced_by_a_store(anywhere, tmp_path_factory):
    pipe = tmp_path_factory.mktemp("elsewhere") / "pipe"
    os.mkfifo(pipe)
    anywhere.write_params({"datasets": tiny_datasets()})
    (anywhere.folder / "mlflow.db").symlink_to(pipe)
    for where, named in {"mlflow.db": {}, str(pipe): {"MLFLOW_TRACKING_URI": f"sqlite:///{pipe}"}}.items():
        ended = anywhere.retrain_here("sync", **named)
        assert ended.exit_code == 1
        assert re.fullmatch(
            rf"Error: (/.*)?{where}:? is not a (regular )?file; remove it, or what leads there\n", ended.stderr
        )
    assert pipe.is_fifo()
    assert [path.name for path in pipe.parent.iterdir()] == ["pipe"]


@pytest.mark.slow
def test_fresh_store_survives_several_processes(trained, anywhere):
    """Every process has loaded what it needs before the first one touches the store."""
    anywhere.records = True
    ended = anywhere.run("python3", "-c", TRAININGS, str(trained.model), str(PROCESSES), RETRAIN_TRACKING="here")
    assert ended.stdout.splitlines()[-1:] == [str([0] * PROCESSES)], ended.said
    store = sqlite3.connect(anywhere.folder / "mlflow.db")
    try:
        assert store.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert store.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)
        assert store.execute("SELECT count(*) FROM experiments WHERE name = ?", (DATASET,)).fetchone() == (1,)
        runs = store.execute("SELECT status, artifact_uri FROM runs").fetchall()
        losses = store.execute("SELECT value FROM metrics WHERE key = 'train_loss'").fetchall()
    finally:
        store.close()
    here = (anywhere.folder / "mlruns" / DATASET).as_uri()
    assert [status for status, _ in runs] == ["FINISHED"] * PROCESSES
    assert all(uri.startswith(f"{here}/") for _, uri in runs)
    assert losses == [(0.5,)] * PROCESSES
