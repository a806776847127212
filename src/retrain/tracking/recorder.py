"""The process that writes runs to MLflow while the stages work: `python -m retrain.tracking.recorder ROOT OUTBOX`.

It takes the messages of one outbox (see `recording`) in their order and ends when no more come. The recorder removes a
message after its delivery. If it is killed, the next recorder with the same settings delivers the message again; a second
delivery changes nothing. If the store fails, the recorder removes the message with a warning; `retrain sync` records results later.
"""

import json
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain import cli, files
from retrain.errors import RetrainError
from retrain.models.result import Result
from retrain.tracking import runs, store
from retrain.tracking.recording import Outbox
from retrain.tracking.runs import Epoch, Run, RunFacts
from retrain.tracking.store import StoreError

import psutil
from filelock import Timeout

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["Recorder"]


IDLE_SECONDS = 10.0
"""A recorder without a message and without a running training ends after this time."""
REST_SECONDS = 30.0
"""How long a store that failed is left alone by the epochs of a training."""
PAUSE_SECONDS = 1.0
"""Between two deliveries of a training's epochs: each takes as long as a few epochs of a small network."""
POLL_SECONDS = 0.05
LATER = "the results are not affected; once MLflow works, `retrain sync` records them"

Message = dict[str, Any]


@dataclass
class OpenRun:
    """A training that was announced and has not ended."""

    dataset: str
    process: tuple[int, float]
    """The number of the training's process, and when it was started."""
    run: Run | None
    """None if the store failed when the run was to be created."""
    recorded: set[int] | None = None
    """The epochs that the store has; None if that is not known."""
    rests_until: float = 0.0
    """After a failure, epochs are not sent before this time; they are recorded with the result."""

    @property
    def is_alive(self) -> bool:
        """Whether the training's process runs."""
        number, started = self.process
        try:
            return psutil.Process(number).create_time() == started
        except psutil.Error:
            return False


@dataclass
class Recorder:
    """Delivers the messages of an outbox."""

    outbox: Outbox
    trainings: dict[str, OpenRun] = field(default_factory=dict)
    warned: set[str] = field(default_factory=set)
    """Datasets whose stages were warned already."""
    client: "MlflowClient | None" = None

    def connected(self) -> "MlflowClient":
        """A client of the store; raises StoreError if there is none."""
        if self.client is None:
            self.client = store.connect()
        return self.client

    def deliver(self) -> None:
        """Deliver all messages that wait now."""
        for path in self.outbox.messages():
            message = read(path)
            if message is None:
                continue
            try:
                self.handle(message)
            except Exception as error:  # noqa: BLE001 (it must not keep the other messages from being delivered)
                self.warn(message["dataset"], error)
            path.unlink(missing_ok=True)
            if message["kind"] == "result" and Path(message["folder"]).is_relative_to(self.outbox.folder.resolve()):
                files.remove(Path(message["folder"]))

    def handle(self, message: Message) -> None:
        """Deliver a message."""
        handlers = {"training": self.open, "epochs": self.add_epochs, "end": self.close, "result": self.fill}
        handlers[message["kind"]](message)

    def open(self, message: Message) -> None:
        """Find or create the run of a training, and describe it."""
        training, dataset = message["training"], message["dataset"]
        self.warned.discard(dataset)
        known = self.trainings[training] = OpenRun(dataset, tuple(message["process"]), None)
        facts = RunFacts.model_validate(message["facts"])
        known.run = runs.claim(self.connected(), dataset, training, message["name"])
        known.run.describe(facts, message["tags"])

    def add_epochs(self, message: Message) -> None:
        """Record epochs. Those that the store does not take now are recorded together with the result."""
        known = self.trainings[message["training"]] = self.known(message)
        if known.run is None or time.monotonic() < known.rests_until:
            return
        rows = {epoch["step"]: Epoch(epoch["values"], epoch["at"]) for epoch in message["epochs"]}
        recorded, known.recorded = known.recorded, None  # a call that fails may have reached the store
        try:
            known.recorded = known.run.epochs(rows, recorded)
        except StoreError:
            known.rests_until = time.monotonic() + REST_SECONDS
            raise

    def fill(self, message: Message) -> None:
        """Bring the run of a result up to its files.

        Where the run of its training could not be created, nothing is done: a slow server may create it later, and a
        second one would be left. The result's note remembers the training for `retrain sync`.
        """
        result = Result(message["dataset"], Path(message["folder"]), tuple(message["stages"]))
        known = self.known(message) if message["training"] else None
        self.trainings.pop(message["training"], None)  # first: if the store fails, `close_dead` must not end the run
        if known is None or known.run is not None:
            runs.record(self.connected(), result, known.run if known else None)

    def close(self, message: Message) -> None:
        """End the run of a training that failed or was interrupted."""
        known = self.known(message)
        self.trainings.pop(message["training"], None)
        if known.run is not None:
            known.run.end(message["status"])

    def known(self, message: Message) -> OpenRun:
        """The training of a message; an earlier recorder may have opened it."""
        training, dataset = message["training"], message["dataset"]
        if training in self.trainings:
            return self.trainings[training]
        stored = runs.newest(self.connected(), dataset, "training_sha256", training)
        return OpenRun(
            dataset, tuple(message["process"]), Run(self.connected(), stored.info.run_id) if stored else None
        )

    def close_dead(self) -> None:
        """End the runs of trainings whose process is gone without a word, as after `kill -9`."""
        for training, known in list(self.trainings.items()):
            if not known.is_alive:
                try:
                    del self.trainings[training]
                    if known.run is not None and known.run.stored().info.status == "RUNNING":
                        known.run.end("KILLED")
                except RetrainError as error:
                    self.warn(known.dataset, error)

    def warn(self, dataset: str, error: Exception) -> None:
        """Leave a warning for the dataset's stages, the first time that something fails."""
        self.client = None  # the next message tries again from the start
        if dataset not in self.warned:
            self.warned.add(dataset)
            text = str(error) if isinstance(error, RetrainError) else f"MLflow failed ({type(error).__name__}: {error})"
            self.outbox.warn(dataset, f"Warning: {text}; {LATER}")


def read(path: Path) -> Message | None:
    """A message; None for one that is gone, or that a loss of power cut off: it is set aside."""
    try:
        message: Message = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        path.replace(path.with_suffix(".damaged"))
        return None
    return message


def run_until_idle(outbox: Outbox) -> None:
    """Deliver messages until none has come for a while and no training runs."""
    recorder, delivered = Recorder(outbox), time.monotonic()
    while outbox.folder.is_dir():
        waiting, since = outbox.messages(), time.monotonic() - delivered
        if any(not path.stem.endswith("epochs") for path in waiting) or (waiting and since > PAUSE_SECONDS):
            recorder.deliver()
            delivered = time.monotonic()
        elif not waiting:
            recorder.close_dead()
            if not recorder.trainings and since > IDLE_SECONDS:
                return
        time.sleep(POLL_SECONDS)


def main(root: str, name: str) -> None:
    """Run until idle, unless another recorder does."""
    os.nice(10)  # training comes first
    outbox = Outbox(Path(root), name)
    while outbox.folder.is_dir():
        try:
            with outbox.lock.acquire(timeout=1):  # others hold it for a moment to see whether somebody does
                outbox.launched.unlink(missing_ok=True)
                run_until_idle(outbox)
        except Timeout:
            return
        if not outbox.messages():  # a message that came while the lock was still held started no recorder
            return


if __name__ == "__main__":
    cli.run(lambda: main(*sys.argv[1:]))
