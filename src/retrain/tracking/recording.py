"""What the stages tell MLflow, as messages on disk that a process of its own delivers.

Importing MLflow takes longer than most of a stage's work, and a tracking server may be slow or down. So no stage imports
MLflow or waits for a store: it writes a message into `.retrain/recorder/` and makes sure that `retrain.tracking.recorder`
runs, which records what the messages say. Only `plot`, the last stage, and a stage that runs without DVC wait until
everything is recorded.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from retrain import environment, files
from retrain.errors import RetrainError
from retrain.models.description import Description
from retrain.models.result import Result
from retrain.tracking import naming, store

import click
import psutil
from filelock import FileLock, Timeout

__all__ = ["Outbox", "Recording", "check_store", "finish", "is_on", "note_path", "now", "start", "sweep", "training"]


SWITCH = "RETRAIN_TRACKING"
"""This environment variable, set to `off`, turns recording off; with `here`, a stage does the work of the recorder itself."""
PATIENCE_SECONDS = 5.0
"""A stage that waits longer than this says so."""
POLL_SECONDS = 0.05
FORMAT = 2
"""Of the messages: a recorder reads those of its own format only."""
LAUNCH_SECONDS = 20.0
"""A recorder that does not hold its lock after this time has failed to start."""
BUFFER_SECONDS = 0.2
"""Epochs that end within this time go into one message."""
RESTARTS = 2
"""How often a recorder that ended early is started again before a stage stops waiting for it."""
NUMBERS = count()


@dataclass(frozen=True)
class Outbox:
    """The messages that wait for the recorder: one JSON file each, named by their time.

    Each combination of MLflow settings and Python environment has an outbox and a recorder of its own. So the recorder
    always has the settings of the stage that sent a message, and no password is written to a file.
    """

    root: Path
    """The folder with `.retrain/`."""
    name: str

    @classmethod
    def of_environment(cls) -> "Outbox":
        """The outbox for this environment."""
        settings = sorted((name, value) for name, value in os.environ.items() if name.startswith("MLFLOW_"))
        digest = hashlib.sha256(repr([FORMAT, settings, sys.prefix, code_of(environment.root())]).encode()).hexdigest()
        return cls(environment.root(), digest[:16])

    @property
    def folder(self) -> Path:
        """Where the messages are."""
        return self.root / ".retrain" / "recorder" / self.name

    def send(self, kind: str, dataset: str, content: Mapping[str, Any]) -> bool:
        """Write a message, and start the recorder unless it runs. A message appears when it is complete.

        Returns:
            Whether it was written; if not, a warning was printed.
        """
        name = f"{time.time_ns():020d}-{os.getpid()}-{next(NUMBERS)}-{kind}.json"
        draft, written = self.folder / f".{name}", False
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            message = {
                "kind": kind,
                "dataset": dataset,
                "process": [os.getpid(), psutil.Process().create_time()],
                **content,
            }
            draft.write_text(json.dumps(message), encoding="utf-8")
            draft.replace(self.folder / name)
            written = True
            self.start()
        except OSError as error:  # a full disk; the stage's own files decide whether that stops it
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            tell(f"Warning: MLflow: {error.strerror}; `retrain sync` records results later")
        return written

    def messages(self) -> list[Path]:
        """All messages that wait, the oldest first."""
        return sorted(path for path in self.folder.glob("*.json") if not path.name.startswith("."))

    @property
    def lock(self) -> FileLock:
        """Held by the recorder while it runs."""
        return FileLock(self.folder / "lock")

    @property
    def launched(self) -> Path:
        """Holds the number of a recorder's process from its launch until it holds the lock."""
        return self.folder / "launched"

    def has_recorder(self) -> bool:
        """Whether a recorder runs, or was started a moment ago."""
        with suppress(FileNotFoundError, ValueError, psutil.Error):
            launched = psutil.Process(int(self.launched.read_text(encoding="utf-8")))
            if launched.status() != psutil.STATUS_ZOMBIE and time.time() - launched.create_time() < LAUNCH_SECONDS:
                return True
        lock = self.lock
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return True
        lock.release()
        return False

    def start(self) -> None:
        """Start a recorder unless one runs. It outlives this process."""
        if records_here() or self.has_recorder():
            return
        paths = [str(code_of(self.root)), os.environ.get("PYTHONPATH")]
        variables = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "OMP_", "MKL_"))}
        variables |= {"DVC_ROOT": str(self.root), "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            recorder = subprocess.Popen(
                [sys.executable, "-m", "retrain.tracking.recorder", str(self.root), self.folder.name],
                cwd=self.root, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.launched.write_text(str(recorder.pid), encoding="utf-8")

    def warn(self, dataset: str, text: str) -> None:
        """Leave a warning for the next stage of a dataset to print."""
        folder = self.folder / "warnings"
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{dataset}-{time.time_ns():020d}").write_text(text, encoding="utf-8")

    def print_warnings(self, dataset: str) -> None:
        """Print the warnings that were left for a dataset, each once."""
        for path in sorted((self.folder / "warnings").glob(f"{dataset}-{'[0-9]' * 20}")):
            with suppress(OSError):  # another stage printed it
                text = path.read_text(encoding="utf-8")
                path.unlink()
                tell(text)


def code_of(root: Path) -> Path:
    """The code that a recorder runs: that of the project, even where a stage runs in a temporary copy of it.

    DVC deletes the copy of an experiment. A recorder of its own would lose its code, and nobody would deliver the messages
    that it leaves when it is killed.
    """
    own = root / "src"
    return own if (own / "retrain").is_dir() else environment.SCRIPTS


def tell(text: str) -> None:
    """Print a line to standard error. If nobody reads it any more, that stops no stage."""
    try:
        click.echo(text, err=True)
    except OSError:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 (or Python ends with exit code 120)


def now() -> int:
    """The time as MLflow has it: milliseconds since 1970."""
    return int(time.time() * 1000)


def is_on() -> bool:
    """Whether results are recorded at all."""
    return os.environ.get(SWITCH) != "off"


def records_here() -> bool:
    """Whether a stage delivers its messages itself, instead of waiting for a recorder."""
    return os.environ.get(SWITCH) == "here"


def start() -> None:
    """Start the recorder unless it runs already: it imports MLflow while the stage does its own work.

    Raises:
        RetrainError: `MLFLOW_TRACKING_URI`, or the folder of the project, can't be the address of a store.
    """
    if is_on():
        check_store()
        with suppress(OSError):  # the first message reports it
            Outbox.of_environment().start()


def check_store() -> None:
    """Raise RetrainError if `MLFLOW_TRACKING_URI`, or the folder of the project, can't be the address of a store."""
    store.check_uri(os.environ.get("MLFLOW_TRACKING_URI") or store.own_uri(environment.root()))


def finish(result: Result, stage: str, training: str = "") -> None:
    """Record a result at the end of a stage. The last stage, and one that runs without DVC, wait until it is done.

    Args:
        result: the files, up to those of this stage.
        stage: its name.
        training: the SHA-256 by which the run is found; empty if it is found by the result.
    """
    if not is_on():
        return
    outbox = Outbox.of_environment()
    folder = outbox.folder.resolve() / "results" / f"{time.time_ns():020d}-{os.getpid()}"
    message = {"folder": str(folder), "stages": result.stages, "training": training}
    try:
        result.kept_in(folder)
    except (OSError, RetrainError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        why = error.strerror if isinstance(error, OSError) else error
        tell(f"Warning: MLflow: {why}; run later: retrain sync {result.dataset}")
        return
    if not outbox.send("result", result.dataset, message):
        shutil.rmtree(folder, ignore_errors=True)
    if stage == "plot" or "DVC_STAGE" not in os.environ:
        deliver(outbox, result.dataset)
    outbox.print_warnings(result.dataset)


def deliver(outbox: Outbox, dataset: str) -> None:
    """Wait until the messages that are there now are delivered. Start the recorder again if it ended early."""
    if records_here():
        from retrain.tracking.recorder import Recorder

        with outbox.lock:
            Recorder(outbox).deliver()
    waiting, started, restarts, told = outbox.messages(), time.monotonic(), 0, False
    while waiting := [path for path in waiting if path.exists()]:
        if not outbox.has_recorder():
            if restarts == RESTARTS:
                log = outbox.folder / "log"
                outbox.warn(dataset, f"Warning: MLflow: the recorder ended early (see {log}); run: retrain sync")
                return
            restarts += 1
            outbox.start()
        if not told and time.monotonic() - started > PATIENCE_SECONDS:
            told = True
            tell("waiting for MLflow (Ctrl-C is safe: `retrain sync` completes the run later)")
        time.sleep(POLL_SECONDS)


def sweep(own: Outbox) -> None:
    """Remove the outboxes of other settings that have no messages and no recorder, and print their warnings."""
    for folder in (own.root / ".retrain" / "recorder").glob("*"):
        outbox = Outbox(own.root, folder.name)
        if outbox != own and not outbox.messages() and not outbox.has_recorder():
            for path in sorted((folder / "warnings").glob("*")):
                tell(path.read_text(encoding="utf-8"))
            files.remove(folder)


@dataclass
class Recording:
    """The run of a training in MLflow, as far as the training can see it."""

    dataset: str
    training_sha256: str
    """The SHA-256 by which the training's run is found."""
    outbox: Outbox | None
    """None if recording is off."""
    times: list[int] = field(default_factory=list)
    """When each epoch ended, in milliseconds since 1970."""
    unsent: list[dict[str, Any]] = field(default_factory=list)
    sent: float = 0.0
    finished: bool = False
    """Whether the training has written its result; what interrupts it now does not change how its run ends."""

    def epoch(self, row: dict[str, float]) -> None:
        """Record a row of the history."""
        values, at = dict(row), now()
        self.times.append(at)
        self.unsent.append({"step": int(values.pop("epoch")), "values": values, "at": at})
        if time.monotonic() - self.sent >= BUFFER_SECONDS:
            self.send_epochs()

    def send_epochs(self) -> None:
        """Send the epochs that were not sent yet."""
        if self.outbox and self.unsent:
            self.outbox.send("epochs", self.dataset, {"training": self.training_sha256, "epochs": self.unsent})
            self.outbox.print_warnings(self.dataset)
            self.unsent, self.sent = [], time.monotonic()

    def result(self, result: Result) -> None:
        """Record the files that the training has written."""
        if self.outbox:
            self.send_epochs()
            note = note_path(result.sha256())
            with suppress(OSError, RetrainError):  # without the note, `retrain sync` makes a new run
                note.parent.mkdir(parents=True, exist_ok=True)
                files.write_json(note, {"training_sha256": self.training_sha256, "times": self.times})
            self.finished = True
            finish(result, "train", self.training_sha256)

    def end(self, status: str) -> None:
        """End the run without a result: FAILED or KILLED."""
        if self.outbox and not self.finished:
            self.send_epochs()
            self.outbox.send("end", self.dataset, {"training": self.training_sha256, "status": status})
            if records_here():
                deliver(self.outbox, self.dataset)


def note_path(result_sha256: str) -> Path:
    """Where a note says which training a result is from, and when its epochs ended, until its run has the result's tag."""
    return environment.root() / ".retrain" / "runs" / result_sha256


@contextmanager
def training(description: Description, fingerprint: str) -> Iterator[Recording]:
    """The run of a training: the one of the same training if it was interrupted, else a new one.

    It ends FAILED on an error and KILLED when interrupted; `Recording.result` ends it FINISHED.

    Args:
        description: what `model.json` will say about parameters, data and device.
        fingerprint: the SHA-256 of everything that the training depends on.
    """
    outbox = Outbox.of_environment() if is_on() else None
    own = hashlib.sha256(f"{store.root_id(environment.root())} {fingerprint}".encode()).hexdigest()
    recording = Recording(description.dataset, own, outbox)
    if outbox:
        facts = description.model_dump(mode="json", exclude={"encoder", "task"})
        content = {
            "training": own,
            "facts": facts,
            "name": naming.run_name(description.dataset, facts),
            "tags": naming.environment_tags(),
        }
        outbox.send("training", description.dataset, content)
    try:
        yield recording
    except BaseException as error:
        recording.end("FAILED" if isinstance(error, Exception) else "KILLED")
        raise
