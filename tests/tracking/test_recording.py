"""The run of a training, recorded while it is trained."""

import json
import os
import time
from contextlib import chdir, redirect_stderr, suppress
from pathlib import Path

from retrain.tracking.recording import PAUSE_SECONDS, Recording
from retrain.tracking.result import Result
from retrain.tracking.runs import Run

import pytest
from mlflow import MlflowClient


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run in an MLflow store of its own."""
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.create_experiment("recording", (tmp_path / "mlruns").as_uri())
    return Run(client, client.create_run(experiment).info.run_id)


def test_quick_epochs_are_all_recorded(run):
    recording = Recording("7" * 64, lambda: run, lambda _: None)

    def recorded() -> list[int]:
        return [metric.step for metric in run.client.get_metric_history(run.run_id, "train_loss")]

    recording.epoch({"epoch": 1, "train_loss": 0.5})
    while not recorded():
        time.sleep(0.01)
    for number in (2, 3):
        recording.epoch({"epoch": number, "train_loss": 0.5})
    deadline = time.monotonic() + 60
    while len(recorded()) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert recorded() == [1, 2, 3]
    recording.end("FINISHED", None)
    assert recorded() == [1, 2, 3]


def test_waiting_epochs_are_recorded_once(finished, run):
    with chdir(finished.folder):
        result = Result("tiny_numbers", Path.cwd(), ("train",))
        recording = Recording("7" * 64, lambda: run, lambda _: None)
        for epoch, figures in result.epochs().items():
            recording.epoch({"epoch": epoch, **figures})
            while not run.client.get_metric_history(run.run_id, "train_loss"):
                time.sleep(0.01)
        recording.result(result)
        time.sleep(1.5 * PAUSE_SECONDS)  # as long as a slow store may take
        recording.close(None)
    steps = [metric.step for metric in run.client.get_metric_history(run.run_id, "train_loss")]
    assert steps == list(result.epochs())
    assert len(steps) > 1


def test_closed_stderr_stops_no_training(finished):
    reader, writer = os.pipe()
    os.close(reader)
    nobody = os.fdopen(writer, "w")
    with chdir(finished.folder), suppress(BrokenPipeError), nobody, redirect_stderr(nobody):
        recording = Recording("7" * 64, lambda: {}["no run"], lambda _: None)
        recording.result(Result("tiny_numbers", Path.cwd(), ("train",)))
        recording.close(None)
    assert recording.failed
    (note,) = (finished.folder / ".retrain" / "runs").iterdir()
    assert json.loads(note.read_text())["training_sha256"] == "7" * 64
