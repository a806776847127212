"""The checkpoint of an unfinished training: everything that is needed to continue as if it had never stopped.

All checkpoints are in one folder. Each is named after the digest of everything that its training depends on. A training
process holds the lock of its checkpoint, so a second process notices a training that outlived the command that started
it. A checkpoint file has three parts: a line of JSON (the fingerprint), the output of `torch.save` (the state), and the
SHA-256 of both. Loading one can't run code.
"""

import hashlib
import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from retrain import environment, files, params, processes, schema
from retrain.errors import RetrainError, hint_of, lack_of_memory
from retrain.processes import Ancestors

import torch
from filelock import FileLock, Timeout

__all__ = ["Checkpoint", "DamagedError", "Fingerprint", "Say", "open_checkpoint"]


Fingerprint = dict[str, Any]
"""Everything that a training depends on. Its keys are the kinds of differences: parameters, data, code, libraries, hardware."""
Say = Callable[[str], None]

KEPT = 3
"""The number of unfinished trainings of a dataset whose checkpoints stay, since a user may go back to their parameters."""
POLL_SECONDS = 0.2
LONGEST_HEADER = 1 << 20
"""In bytes; a fingerprint takes a few thousand."""
DIGEST_LENGTH = 64


class DamagedError(ValueError):
    """A checkpoint that has changed since it was written."""


class Hashed:
    """A file that computes the SHA-256 of everything that is written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.sha256 = file, hashlib.sha256()

    def write(self, content: bytes) -> int:
        """Write bytes."""
        self.sha256.update(content)
        return self.file.write(content)

    def flush(self) -> None:
        """Write the buffer to the file."""
        self.file.flush()


@dataclass
class Checkpoint:
    """The checkpoint of one training."""

    path: Path
    fingerprint: Fingerprint
    started_by: Ancestors
    """What `processes.parent_processes` returned at the start of this training."""
    is_finished: bool = False
    """Whether the result is written."""

    @property
    def digest(self) -> str:
        """The SHA-256 of the fingerprint."""
        return digest(self.fingerprint)

    @property
    def command(self) -> str:
        """The command that continues the training."""
        return environment.stage_command("train", self.path.stem.rpartition("-")[0])

    @property
    def draft(self) -> Path:
        """Where the next state is written before it replaces the checkpoint."""
        return self.path.with_suffix(".draft")

    def save(self, state: dict[str, Any]) -> None:
        """Replace the checkpoint. The new one is on the disk before the earlier one is removed, in case of a power loss.

        Raises:
            RetrainError: the new one can't be written; the earlier one stays.
        """
        try:
            files.remove(self.draft)  # opening a pipe that was left there would never return
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
        except (OSError, RuntimeError) as error:  # torch raises RuntimeError if its writer fails
            with suppress(OSError):
                self.draft.unlink(missing_ok=True)
            if lack_of_memory(error):
                raise
            cause = error.__context__ or error
            fact = f"can't be written ({getattr(cause, 'strerror', None) or repr(cause)})"
            hint = f"{hint_of(cause, str(self.path))}; then run: {self.command}"
            raise RetrainError(str(self.path), fact, hint) from None

    def load(self) -> dict[str, Any] | None:
        """The last saved state, or None if there is none; its tensors are on the CPU.

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
            raise DamagedError("belongs to a different training")
        try:
            state: dict[str, Any] = torch.load(state_bytes, weights_only=True, map_location="cpu")
        except Exception as error:
            if lack_of_memory(error):
                raise
            # a forged checkpoint can make torch raise anything
            raise DamagedError(f"is damaged ({type(error).__name__})") from None
        if not isinstance(state, dict):
            raise DamagedError("is damaged")
        return state

    def content(self) -> tuple[bytes, BytesIO]:
        """The fingerprint as JSON, and the state; raises DamagedError if their digest is wrong."""
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
        """Delete the checkpoint."""
        self.path.unlink(missing_ok=True)

    def finish(self, say: Say) -> None:
        """Delete the checkpoint, now that the result is written.

        It stays if DVC started the training and was killed: then nothing records the result in `dvc.lock`. The next
        identical training finds the checkpoint, and only has to write the result again.
        """
        self.is_finished = True
        if processes.parent_processes() == self.started_by:
            self.remove()
        else:
            say(f"the dvc command that started this training has ended; to record its result, run: {self.command}")


def digest(fingerprint: Fingerprint) -> str:
    """The SHA-256 of a fingerprint."""
    return hashlib.sha256(json.dumps(fingerprint, sort_keys=True).encode()).hexdigest()


@contextmanager
def open_checkpoint(
    root: Path, dataset: str, fingerprint: Fingerprint, started_by: Ancestors, say: Say
) -> Iterator[Checkpoint]:
    """Lock the checkpoint of a training. While another process runs the same training, wait for its end.

    Locks are taken and removed under one lock of the whole folder, so that no lock is removed while it is being taken.
    On Ctrl-C or SIGTERM, print how to continue from the checkpoint.

    Args:
        root: the folder that owns `.retrain/`.
        dataset: the dataset's name.
        fingerprint: everything that the training depends on.
        started_by: the processes that started it.
        say: prints a line.
    """
    folder = root / ".retrain" / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = Checkpoint(folder / f"{dataset}-{digest(fingerprint)[:16]}.checkpoint", fingerprint, started_by)
    lock, owner = FileLock(checkpoint.path.with_suffix(".lock")), checkpoint.path.with_suffix(".owner")
    waiting = False
    while not taken(folder, lock):
        if not waiting:
            waiting = True
            say(f"{owner_of(owner)} runs the same training; waiting for its end")
        time.sleep(POLL_SECONDS)
    try:
        with files.writing(owner):
            files.remove(owner)  # as in `save`
            owner.write_text(f"process {os.getpid()}, since {time.strftime('%H:%M:%S')},", encoding="utf-8")
        tidy(folder, dataset, checkpoint, say)
        yield checkpoint
    except (KeyboardInterrupt, SystemExit) as interruption:
        if checkpoint.path.exists():
            say(f"interrupted; the state is saved. To continue, run: {checkpoint.command}")
        elif not checkpoint.is_finished:
            say(f"interrupted; nothing was saved yet. To start again, run: {checkpoint.command}")
        raise SystemExit(getattr(interruption, "code", 128 + signal.SIGINT)) from None
    finally:
        with FileLock(folder / "lock"):
            files.remove(owner)
            files.remove(checkpoint.draft)
            files.remove(checkpoint.path.with_suffix(".told"))
            Path(lock.lock_file).unlink(missing_ok=True)
            lock.release()


def taken(folder: Path, lock: FileLock) -> bool:
    """Whether a lock in the folder was free; it is taken now."""
    with FileLock(folder / "lock"):
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return False
    return True


def owner_of(path: Path) -> str:
    """The process that holds a lock, if it is known."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return "another process"


def tidy(folder: Path, dataset: str, own: Checkpoint, say: Say) -> None:
    """Remove what dead processes left for a dataset, except for the newest checkpoints; say once why the newest is not used."""
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
        told = path.with_suffix(".told")
        if number == 0 and difference and not own.path.exists() and not told.exists():
            say(f"an unfinished training {difference} is not continued")
            told.touch()
        gone = [".owner", ".draft", ".lock"] + ([".checkpoint", ".told"] if number >= KEPT or not difference else [])
        with FileLock(folder / "lock"):
            for suffix in gone:
                files.remove(path.with_suffix(suffix))
            lock.release()


def written(path: Path) -> float:
    """When a checkpoint was written; 0 if there is none."""
    return path.stat().st_mtime if path.exists() else 0.0


def why_not(path: Path, own: Fingerprint) -> str:
    """How the training of a checkpoint differs: `with different parameters (loop.epochs)`; empty if it is not a checkpoint."""
    try:
        files.require_regular_file(path, "remove it")
        with path.open("rb") as file:
            other = params.flat(json.loads(file.readline(LONGEST_HEADER)))
    except (RetrainError, OSError, ValueError, RecursionError):
        return ""
    mine = params.flat(own)
    differing = [tuple(name.split(".", 1)) for name in mine | other if mine.get(name) != other.get(name)]
    kind = next((kind for kind in own if any(parts[0] == kind for parts in differing)), "format")
    names = schema.shortened(", ".join(parts[1] for parts in differing if parts[0] == kind and len(parts) > 1), 80)
    return f"with different {kind} ({names})" if names else f"with different {kind}"
