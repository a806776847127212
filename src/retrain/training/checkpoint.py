"""The checkpoint of an unfinished training: all that is needed to go on as if it had never stopped.

Checkpoints lie in one folder, each under the digest of everything that its training depends on. Whoever trains holds the
lock of its checkpoint, so a training that outlived the command that started it is noticed. A checkpoint is a line of JSON
(what the training depends on), what `torch.save` makes of its state, and the SHA-256 of both. Loading one can't run code.
"""

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from retrain import files, params, processes, schema
from retrain.errors import RetrainError, lack_of_memory
from retrain.processes import Ancestors

import torch
from filelock import FileLock, Timeout

Fingerprint = dict[str, Any]
"""All that a training depends on; its first keys say of what kind a difference is: parameters, data, code, libraries."""
Say = Callable[[str], None]

KEPT = 3
"""Unfinished trainings of a dataset whose checkpoints stay: other parameters that may come back."""
POLL_SECONDS = 0.2
LONGEST_HEADER = 1 << 20
"""Bytes; what a training depends on takes a few thousand."""
DIGEST_LENGTH = 64


class DamagedError(ValueError):
    """A checkpoint that is not what was once written."""


class Hashed:
    """A file that remembers the SHA-256 of what was written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.sha256 = file, hashlib.sha256()

    def write(self, content: bytes) -> int:
        """Write bytes."""
        self.sha256.update(content)
        return self.file.write(content)

    def flush(self) -> None:
        """Hand on what is buffered."""
        self.file.flush()


@dataclass(frozen=True)
class Checkpoint:
    """The checkpoint of one training."""

    path: Path
    fingerprint: Fingerprint
    started_by: Ancestors
    """Who asked for this training; nobody where that is not known."""

    @property
    def digest(self) -> str:
        """The SHA-256 of the fingerprint."""
        return digest(self.fingerprint)

    @property
    def draft(self) -> Path:
        """Where the next state is written before it takes the checkpoint's place."""
        return self.path.with_suffix(".draft")

    def save(self, state: dict[str, Any]) -> None:
        """Replace the checkpoint. It is on the disk before the earlier one goes: a power loss leaves one of the two.

        Raises:
            RetrainError: it can't be written; the earlier one stays.
        """
        try:
            files.remove(self.draft)  # opening a pipe that was left there would wait for ever
            with self.draft.open("wb") as file:
                hashed = Hashed(file)
                hashed.write(json.dumps(self.fingerprint).encode() + b"\n")
                torch.save(state, hashed)  # type: ignore[arg-type]  # it needs `write` and `flush`
                file.write(hashed.sha256.hexdigest().encode())
            files.flush(self.draft)
            if self.path.is_dir():
                files.remove(self.path)
            self.draft.replace(self.path)
            files.flush(self.path)
        except (OSError, RuntimeError) as error:  # torch says RuntimeError where its writer can't write
            with suppress(OSError):
                self.draft.unlink(missing_ok=True)
            if isinstance(error.__context__, SystemExit):  # a signal's, whose way torch's writer stands in
                raise error.__context__ from None
            fact = f"can't be written ({getattr(error, 'strerror', None) or str(error).splitlines()[0]})"
            raise RetrainError(str(self.path), fact, "make room, then run it again: it goes on from there") from None

    def load(self) -> dict[str, Any] | None:
        """The state that was saved last, or None where nothing was; tensors are on the CPU.

        Raises:
            DamagedError: the checkpoint is truncated or altered.
        """
        try:
            header, state_bytes = self.content()
        except FileNotFoundError:
            return None
        except RetrainError as error:
            raise DamagedError(error.fact) from None
        except OSError as error:
            raise DamagedError(f"can't be read: {error.strerror}") from None
        if json.loads(header) != self.fingerprint:
            raise DamagedError("is of another training")
        try:
            state: dict[str, Any] = torch.load(state_bytes, weights_only=True, map_location="cpu")
        except Exception as error:
            if lack_of_memory(error):
                raise
            # whatever a forged one makes torch raise
            raise DamagedError(f"is damaged ({type(error).__name__})") from None
        if not isinstance(state, dict):
            raise DamagedError("is damaged")
        return state

    def content(self) -> tuple[bytes, BytesIO]:
        """What a training depends on, and its state, whose digest is right."""
        files.require_regular_file(self.path, "remove it")
        with self.path.open("rb") as file:
            header = file.readline(LONGEST_HEADER)
            size = os.fstat(file.fileno()).st_size - len(header) - DIGEST_LENGTH
            state = file.read(max(0, size))
            written_digest = file.read()
        hashed = hashlib.sha256(header)
        hashed.update(state)
        if hashed.hexdigest().encode() != written_digest:
            raise DamagedError("is damaged")
        return header, BytesIO(state)

    def remove(self) -> None:
        """Forget the training."""
        self.path.unlink(missing_ok=True)

    def finish(self, say: Say) -> None:
        """Forget the training, now that its result is written: unless the one who asked for it is gone, as a killed DVC is.

        Nobody takes the result then. The next training of the same finds the checkpoint, and has nothing left to do.
        """
        if self.started_by and processes.parent_processes() == self.started_by:
            self.remove()
        else:
            say("what started this training has ended; the next one of the same will take its result over")


def digest(fingerprint: Fingerprint) -> str:
    """The SHA-256 that stands for everything that a training depends on."""
    return hashlib.sha256(json.dumps(fingerprint, sort_keys=True).encode()).hexdigest()


@contextmanager
def open_checkpoint(
    root: Path, dataset: str, fingerprint: Fingerprint, started_by: Ancestors, say: Say
) -> Iterator[Checkpoint]:
    """A training's checkpoint, locked; while another process trains the same, wait for its end, and say so.

    Locks are taken and removed under one lock of the whole folder, so that none is removed while somebody takes it.
    """
    folder = root / ".retrain" / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = Checkpoint(folder / f"{dataset}-{digest(fingerprint)[:16]}.checkpoint", fingerprint, started_by)
    lock, owner = FileLock(checkpoint.path.with_suffix(".lock")), checkpoint.path.with_suffix(".owner")
    waiting = False
    while not taken(folder, lock):
        if not waiting:
            waiting = True
            say(f"{owner_of(owner)} trains the same; waiting for its end")
        time.sleep(POLL_SECONDS)
    try:
        with files.writing(owner):
            files.remove(owner)  # as before a draft
            owner.write_text(f"process {os.getpid()}, since {time.strftime('%H:%M:%S')},", encoding="utf-8")
        tidy(folder, dataset, checkpoint, say)
        yield checkpoint
    finally:
        with FileLock(folder / "lock"):
            files.remove(owner)
            files.remove(checkpoint.draft)
            Path(lock.lock_file).unlink(missing_ok=True)
            lock.release()


def taken(folder: Path, lock: FileLock) -> bool:
    """Take a lock of the folder, if it is free."""
    with FileLock(folder / "lock"):
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return False
    return True


def owner_of(path: Path) -> str:
    """Who holds a lock, as far as it has been said."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return "another process"


def tidy(folder: Path, dataset: str, own: Checkpoint, say: Say) -> None:
    """Remove what dead processes left of this dataset, but for the newest checkpoints; say why the newest is no use here."""
    name = re.compile(re.escape(dataset) + r"-[0-9a-f]{16}")
    others = {path.stem for path in folder.iterdir() if name.fullmatch(path.stem)} - {own.path.stem}
    abandoned = []
    for stem in others:
        lock = FileLock(folder / f"{stem}.lock")
        if taken(folder, lock):
            abandoned.append((folder / f"{stem}.checkpoint", lock))
    abandoned.sort(key=lambda entry: written(entry[0]), reverse=True)
    for number, (path, lock) in enumerate(abandoned):
        difference = why_not(path, own.fingerprint)
        if number == 0 and difference and not own.path.exists():
            say(f"an unfinished training {difference} is not continued")
        gone = [".owner", ".draft", ".lock"] + ([".checkpoint"] if number >= KEPT or not difference else [])
        with FileLock(folder / "lock"):
            for suffix in gone:
                files.remove(path.with_suffix(suffix))
            lock.release()


def written(path: Path) -> float:
    """When a checkpoint was written; long ago where there is none."""
    return path.stat().st_mtime if path.exists() else 0.0


def why_not(path: Path, own: Fingerprint) -> str:
    """What distinguishes a checkpoint's training: `of other parameters (loop.epochs)`; nothing where it is no checkpoint."""
    try:
        files.require_regular_file(path, "remove it")
        with path.open("rb") as file:
            other = params.flat(json.loads(file.readline(LONGEST_HEADER)))
    except (RetrainError, OSError, ValueError, RecursionError):
        return ""
    mine = params.flat(own)
    differing = [tuple(name.split(".", 1)) for name in mine | other if mine.get(name) != other.get(name)]
    kind = next((kind for kind in own if any(parts[0] == kind for parts in differing)), "make")
    names = schema.shortened(", ".join(parts[1] for parts in differing if parts[0] == kind and len(parts) > 1), 80)
    return f"of other {kind} ({names})" if names else f"of other {kind}"
