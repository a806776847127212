"""The process that writes runs to MLflow while the stages work."""

import hashlib
import resource
import signal
import subprocess
from contextlib import chdir
from pathlib import Path

from retrain import files
from retrain.models import description
from retrain.models.result import Result
from retrain.tracking import recording
from retrain.tracking.recorder import Recorder
from retrain.tracking.recording import Outbox

import psutil
import pytest
from support.project import Project
from support.servers import wait

DATASET = "tiny_numbers"

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def recorded(monkeypatch):
    """The stages of all projects record to MLflow."""
    monkeypatch.setattr(Project, "records", True)


@pytest.fixture
def project(finished: Project) -> Project:
    """A finished project with a training that takes minutes."""
    for parameter in ("epochs", "patience"):
        finished.set(f"{DATASET}.train.loop.{parameter}", 100_000)
    finished.set(f"{DATASET}.train.loop.batch_size", 1)  # MLflow takes fewer epochs a second than it trains otherwise
    return finished


def kill_recorders(project: Project) -> None:
    """Kill the recorders of a project; each holds its lock until it is gone."""
    killed = project.recorders()
    for process in killed:
        process.kill()
    psutil.wait_procs(killed)


def train(project: Project) -> subprocess.Popen:
    """A training that has finished two epochs."""
    training = subprocess.Popen(
        ["python3", "src/train.py", "--dataset", DATASET],
        cwd=project.folder, env=project.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    for line in training.stdout:
        if line.startswith("epoch   2/"):
            break
    return training


def newest(project: Project) -> dict:
    """The newest run, as the store has it now."""
    return project.runs(DATASET, wait=False)[0]


@pytest.mark.campaign
def test_recorder_lives_as_long_as_a_training(project):
    training = train(project)
    try:
        wait(lambda: newest(project)["status"] == "RUNNING" and len(newest(project)["epochs"]) > 1)
        kill_recorders(project)
        recorded = len(newest(project)["epochs"])
        wait(lambda: len(newest(project)["epochs"]) > recorded)  # by the next recorder
    finally:
        training.kill()
        training.communicate()
    wait(lambda: newest(project)["status"] == "KILLED")  # the recorder sees that the process is gone
    wait(lambda: not project.recorders())  # and ends, since no more messages come


@pytest.mark.campaign  # tests/hostile/test_kills.py kills one earlier, and later tests here leave messages behind
def test_killed_recorder_loses_nothing(project):
    training = train(project)
    try:
        wait(lambda: newest(project)["status"] == "RUNNING")
        kill_recorders(project)
        training.send_signal(signal.SIGTERM)
    finally:
        training.communicate()
    project.wait_for_recorder()
    run = newest(project)
    assert run["status"] == "KILLED"
    assert run["epochs"] == list(range(1, len(run["epochs"]) + 1))
    project.set(f"{DATASET}.train.loop.epochs", 3)
    assert project.stage_here("train", DATASET).exit_code == 0
    assert (newest(project)["status"], newest(project)["epochs"]) == ("FINISHED", [1, 2, 3])


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")  # it outlives its stage
def test_recorder_killed_at_its_start_is_missed(tmp_path):
    outbox = Outbox(tmp_path, "outbox")
    outbox.start()
    assert outbox.has_recorder()
    psutil.Process(int(outbox.launched.read_text())).kill()
    wait(lambda: not outbox.has_recorder(), seconds=0.01)


def test_messages_without_a_recorder_are_delivered_later(finished, monkeypatch):
    monkeypatch.setenv(recording.SWITCH, "here")
    described = description.read(finished.folder / "models" / DATASET)
    with chdir(finished.folder), recording.training(described, "another") as run:
        run.epoch({"epoch": 1, "train_loss": 0.5})
        run.send_epochs()
        assert len(run.outbox.messages()) == 2
        Recorder(run.outbox).deliver()
        Recorder(run.outbox).deliver()
        assert run.outbox.messages() == []
        run.end("FINISHED")
    new, _ = finished.runs(DATASET)
    assert (new["epochs"], new["status"]) == ([1], "FINISHED")


def test_message_delivered_twice_changes_nothing(finished, monkeypatch):
    monkeypatch.setenv(recording.SWITCH, "here")
    described = description.read(finished.folder / "models" / DATASET)
    with chdir(finished.folder), recording.training(described, "another") as run:
        run.epoch({"epoch": 1, "train_loss": 0.5})
        run.send_epochs()
        copies = {path: path.read_bytes() for path in run.outbox.messages()}
        Recorder(run.outbox).deliver()
        for path, content in copies.items():  # as after a recorder that was killed before it removed them
            path.write_bytes(content)
        Recorder(run.outbox).deliver()
        run.end("FINISHED")
    new, _ = finished.runs(DATASET)
    assert new["epochs"] == [1]


def test_closed_stderr_does_not_stop_a_training(finished):
    training = subprocess.Popen(
        ["python3", "src/train.py", "--dataset", DATASET], cwd=finished.folder, stdout=subprocess.DEVNULL,
        env=finished.environment | {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}, stderr=subprocess.PIPE,
    )  # fmt: skip
    training.stderr.close()
    assert training.wait(timeout=240) == 0


def test_result_is_recorded_as_it_was_sent(finished, monkeypatch):
    monkeypatch.setenv(recording.SWITCH, "here")
    monkeypatch.setenv("DVC_STAGE", f"train@{DATASET}")  # so that nobody waits
    described = description.read(finished.folder / "models" / DATASET)
    history = finished.folder / "reports" / DATASET / "history.csv"
    digest = hashlib.sha256(history.read_bytes()).hexdigest()
    with chdir(finished.folder):
        with recording.training(described, "another") as run:
            run.result(Result(DATASET, Path(), ("train",)))
        history.unlink()
        history.write_text("epoch,train_loss\n")  # the next training replaces the file
        Recorder(run.outbox).deliver()
        assert not list(run.outbox.folder.glob("results/*"))
    new, _ = finished.runs(DATASET)
    model = {f"model/{path.name}": files.sha256(path) for path in (finished.folder / "models" / DATASET).iterdir()}
    expected = files.combined_sha256({**model, "history.csv": digest})
    assert (new["status"], new["tags"]["sha256.train"]) == ("FINISHED", expected)


def test_note_that_cannot_be_written_stops_nothing(finished, monkeypatch):
    monkeypatch.setenv(recording.SWITCH, "here")
    described = description.read(finished.folder / "models" / DATASET)
    with chdir(finished.folder):
        result = Result(DATASET, Path(), ("train",))
        note = recording.note_path(result.sha256())
        note.parent.mkdir(exist_ok=True)
        note.symlink_to("nowhere/note")
        with recording.training(described, "another") as run:
            run.result(result)
    assert finished.runs(DATASET)[0]["status"] == "FINISHED"


def test_run_whose_result_failed_is_not_ended_as_killed(finished, monkeypatch):
    monkeypatch.setenv(recording.SWITCH, "here")
    monkeypatch.setenv("DVC_STAGE", f"train@{DATASET}")  # so that nobody waits
    described = description.read(finished.folder / "models" / DATASET)
    with chdir(finished.folder):
        with recording.training(described, "another") as run:
            run.result(Result(DATASET, Path(), ("train",)))
        for history in run.outbox.folder.glob("results/*/reports/*/history.csv"):
            history.unlink()  # so that the result can't be recorded
        recorder = Recorder(run.outbox)
        recorder.deliver()
        for known in recorder.trainings.values():
            known.process = (0, 0.0)  # it has ended
        recorder.close_dead()
    assert finished.runs(DATASET)[0]["status"] == "RUNNING"


def test_result_that_cannot_be_sent_is_not_kept(finished, monkeypatch, capsys):
    monkeypatch.setenv(recording.SWITCH, "here")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with chdir(finished.folder):
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))  # links to the result need no room
            recording.finish(Result(DATASET, Path(), ("train",)), "train")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert not list(Outbox.of_environment().folder.glob("results/*"))
    assert capsys.readouterr().err == "Warning: MLflow: File too large; `retrain sync` records results later\n"


def test_damaged_message_is_set_aside(finished, monkeypatch):
    monkeypatch.setenv(recording.SWITCH, "here")
    described = description.read(finished.folder / "models" / DATASET)
    with chdir(finished.folder), recording.training(described, "another") as run:
        (damaged := run.outbox.folder / f"{0:020d}-1-0-end.json").write_text("")
        run.epoch({"epoch": 1, "train_loss": 0.5})
        run.end("FINISHED")
    assert not damaged.exists()
    assert finished.runs(DATASET)[0]["status"] == "FINISHED"


def test_sync_removes_outboxes_without_messages(finished):
    with chdir(finished.folder):
        own = Outbox.of_environment().folder
    empty, unsent = own.with_name("0123456789abcdef"), own.with_name("fedcba9876543210")
    for folder in (empty, unsent, own):
        (folder / "warnings").mkdir(parents=True, exist_ok=True)
        (folder / "warnings" / f"{DATASET}-{0:020d}").write_text(f"Warning: nobody printed this of {folder.name}")
    (unsent / "1-epochs.json").write_text("{}")
    ended = finished.retrain_here("sync", DATASET)
    assert (ended.exit_code, empty.exists(), unsent.exists(), own.exists()) == (0, False, True, True), ended.output
    assert [line for line in ended.stderr.splitlines() if "Warning" in line] == [
        f"Warning: nobody printed this of {empty.name}"
    ]
