"""What a training tells its run in MLflow, in a thread of its own: it never waits for a store, and no store can harm it."""

import hashlib
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING

from retrain import environment, files
from retrain.models.description import Description
from retrain.tracking import naming, runs, store
from retrain.tracking.result import Result
from retrain.tracking.runs import Epoch, Note, Run
from retrain.tracking.store import StoreError

if TYPE_CHECKING:
    from mlflow import MlflowClient

PAUSE_SECONDS = 1.0
"""Between two calls with epochs: those that take a few milliseconds would cost a training as much again."""
PARTING_SECONDS = 0.7
"""What an interrupted training gives a store to take its last words."""


@dataclass
class Recording:
    """Calls of a run, made one after the other by a thread; the first ones find or make the run.

    Attributes:
        training: the digest by which the training's run is found.
        claim: gives the run, or None where the store does not take part.
        begin: what is recorded of the run before any epoch.
    """

    training: str
    claim: Callable[[], Run | None]
    begin: Callable[[Run], None]
    run: Run | None = None
    unsent: dict[int, Epoch] = field(default_factory=dict)
    """Epochs that no store is known to have taken; sent again, each has the time that it had, and is the same to the store."""
    times: list[int] = field(default_factory=list)
    """When each epoch came, from the first on."""
    recorded: set[int] | None = None
    """The epochs that the store has; None where that is not known. Asking takes longer, the more there are."""
    failed: bool = False
    """Whether a call did, which is said once."""
    sent: float = -math.inf
    """When handing over epochs was begun last."""
    completed: bool = False
    calls: "SimpleQueue[Callable[[], None] | None]" = field(default_factory=SimpleQueue)

    def __post_init__(self) -> None:
        self.calls.put(self.start)
        self.calls.put(self.describe)
        self.thread = Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self) -> None:
        """Make the calls. What one of them raises is said, once, and costs the training nothing."""
        for call in iter(self.next_call, None):
            try:
                call()
            except Exception as error:  # noqa: BLE001 (a fault of MLflow's, or of ours, must not end a training)
                if not self.failed:
                    with suppress(OSError):  # nobody may be there to hear it
                        store.warn_deferred(fault(error))
                self.failed = True

    def next_call(self) -> Callable[[], None] | None:
        """The next one, or `send_all` where epochs have waited for their pause to be over."""
        pause = max(0.0, self.sent + PAUSE_SECONDS - time.monotonic())
        try:
            return self.calls.get(timeout=pause if self.run and self.unsent else None)
        except Empty:
            return self.send_all

    def start(self) -> None:
        """Find or make the run."""
        self.run = self.claim()

    def describe(self) -> None:
        """Record what is known before any epoch."""
        if self.run:
            self.begin(self.run)

    def epoch(self, row: dict[str, float]) -> None:
        """Record a row of the history; where that fails, it goes with the next one."""
        figures = dict(row)
        epoch = self.unsent[int(figures.pop("epoch"))] = Epoch(figures)
        self.times.append(epoch.at)
        self.calls.put(self.send)

    def send(self) -> None:
        """Hand over all epochs that were not taken yet, unless a later call is waiting, or the pause is not over."""
        if self.calls.empty() and time.monotonic() - self.sent >= PAUSE_SECONDS:
            self.send_all()

    def send_all(self) -> None:
        """Hand over all epochs that were not taken yet."""
        rows = dict(self.unsent)
        if self.run and rows:
            self.sent = time.monotonic()
            known, self.recorded = self.recorded, None  # a call that fails may have come through
            self.recorded = self.run.epochs(rows, known)
            for step in rows:
                del self.unsent[step]

    def terminate(self, status: str) -> None:
        """Give the run its last status."""
        if self.run:
            self.run.end(status)

    def end(self, status: str, seconds: float | None) -> None:
        """End the run, in so many seconds or, with None, in as many as it takes."""
        self.calls.put(self.send_all)
        self.calls.put(partial(self.terminate, status))
        self.close(seconds)

    def close(self, seconds: float | None) -> None:
        """After its end or result: wait for the calls that are waiting, so long or, with None, to their end."""
        self.calls.put(None)
        self.thread.join(seconds)

    def result(self, result: Result) -> None:
        """Complete the run from the files that the training has written; if it can't be now, note whose result they are."""
        done = Event()

        def complete() -> None:
            try:
                self.complete(result)
            finally:
                done.set()

        self.calls.put(complete)
        done.wait()
        self.completed = True

    def complete(self, result: Result) -> None:
        """See `result`."""
        content = result.read()
        where = runs.note_path(content.sha256)
        note = Note(training_sha256=self.training, times=tuple(self.times))
        where.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(where, note.model_dump())
        if self.run:
            self.send_all()  # epochs that wait would be sent again after the result's
            self.run.fill(content, note.times)
            where.unlink()


def fault(error: Exception) -> StoreError:
    """Whatever went wrong, as a line."""
    if isinstance(error, StoreError):
        return error
    return StoreError("MLflow", f"fails ({type(error).__name__}: {error})", "run retrain sync")


@contextmanager
def training(described: Description, identity: str) -> Iterator[Recording]:
    """The run of a training: the one that an interrupted or unfinished training of the same identity has, else a new one.

    It ends FAILED on an error and KILLED when interrupted; `Recording.result` ends it FINISHED.

    Args:
        described: what `model.json` will say of sections, data and device.
        identity: the digest of all that the training depends on.

    Raises:
        RetrainError: there can be no store as it is set.
    """
    client, where = store.connect(), store.identity(environment.root())
    own = hashlib.sha256(f"{where} {identity}".encode()).hexdigest()
    recording = Recording(
        own,
        partial(claimed, client, described, own),
        lambda run: run.begin(described, naming.environment_tags()),
    )
    try:
        yield recording
    except BaseException as error:
        recording.end("FAILED" if isinstance(error, Exception) else "KILLED", PARTING_SECONDS)
        raise
    if recording.completed:
        recording.close(None)
    else:
        recording.end("FINISHED", None)


def claimed(client: "MlflowClient | None", described: Description, own: str) -> Run | None:
    """The run of a training that goes on, or a new one; None where there is no store that takes part."""
    if client is None:
        return None
    with store.one_at_a_time():
        found = runs.newest(client, described.dataset, "training_sha256", own)
        if not found or "best_epoch" in found.data.metrics:  # evaluated: its result was taken
            return runs.new_run(client, described, {"training_sha256": own})
        run = Run(client, found.info.run_id)
        run.resume()
        return run
