"""Files: replaced as a whole or not at all, read with checks, identified by their digests."""

import glob
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from retrain.errors import RetrainError, hint_of

import psutil
from pydantic_core import from_json

__all__ = [
    "check_inside",
    "combined_sha256",
    "digests_in",
    "draft_of",
    "flush",
    "is_cached",
    "md5",
    "named",
    "read_json",
    "reading",
    "remove",
    "remove_abandoned",
    "replacing",
    "require_regular_file",
    "sha256",
    "write_json",
    "writing",
]


LARGEST_JSON = 1 << 30
"""Bytes; an encoder that learned all of 2**26 buckets takes half of it."""
CACHED = re.compile(r"/[0-9a-f]{2}/[0-9a-f]{30}$")
"""The end of a path in DVC's cache, which names files by their digest."""


def remove(path: Path) -> None:
    """Delete a file or a folder, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def replacing(*outputs: Path) -> Iterator[tuple[Path, ...]]:
    """Write several outputs, files or folders, so that either all are new or all are as before.

    Yields a temporary path for each output, which the block writes. At the end of the block they replace the outputs.
    If the block raises, or an output can't be replaced, they are removed and all outputs stay as they were.
    Then folders that were made for them are removed too.
    If the process is killed during the replacement, an output may be missing or older than another one.
    The next call removes the temporary files of killed processes.
    """
    drafts = tuple(draft_of(output, "") for output in outputs)
    new = {folder for output in outputs for folder in output.parents if not folder.exists()}
    for output in outputs:
        output.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(output)
    try:
        yield drafts
        exchange(drafts, outputs)
    finally:
        for draft in drafts:
            remove(draft)
        for folder in sorted(new, reverse=True):  # what is in a folder comes before it
            with suppress(OSError):  # it is not empty
                folder.rmdir()


def draft_of(output: Path, earlier: str) -> Path:
    """Where this process writes an output, or, with `.earlier`, keeps the previous one."""
    return output.with_name(f".{output.name}.{os.getpid()}{earlier}.draft")


def remove_abandoned(output: Path) -> None:
    """Remove the temporary files of killed processes; if the output itself is gone, restore the previous one."""
    for path in output.parent.glob(f".{glob.escape(output.name)}.*.draft"):
        process = re.fullmatch(r"(\d+)(\.earlier)?\.draft", path.name.removeprefix(f".{output.name}."))
        if not process or (int(process[1]) != os.getpid() and psutil.pid_exists(int(process[1]))):
            continue
        if process[2] and not os.path.lexists(output):
            path.replace(output)
        else:
            remove(path)


def exchange(drafts: Sequence[Path], outputs: Sequence[Path]) -> None:
    """Replace outputs by their drafts: all of them, or none if one fails or a signal arrives."""
    earlier = [draft_of(output, ".earlier") for output in outputs]
    try:
        for draft, output, before in zip(drafts, outputs, earlier, strict=True):
            set_aside(output, before)
            draft.replace(output)
    except BaseException:
        for draft, output, before in zip(drafts, outputs, earlier, strict=True):
            if os.path.lexists(before) or not os.path.lexists(draft):
                remove(output)
            if os.path.lexists(before):
                before.replace(output)
        raise
    for before in earlier:
        remove(before)


def set_aside(output: Path, before: Path) -> None:
    """Keep an output under another name: a file is linked, so it is never missing; where that fails, it is moved, like a folder."""
    if output.is_dir() and not output.is_symlink():
        output.replace(before)
    elif os.path.lexists(output):
        try:
            os.link(output, before, follow_symlinks=False)
        except (OSError, NotImplementedError):  # not every file system has links
            output.replace(before)


def flush(*paths: Path) -> None:
    """Write files and folders from memory to the disk, so that they survive a power loss."""
    for path in paths:
        parts = [path, *path.rglob("*")] if path.is_dir() else [path]
        for part in (*parts, path.parent):
            opened = os.open(part, os.O_RDONLY)
            try:
                os.fsync(opened)
            finally:
                os.close(opened)


@contextmanager
def reading(path: Path, kind: str, hint: str, *damage: type[Exception]) -> Iterator[None]:
    """Turn what goes wrong while a file is read into a sentence.

    Pipes and devices are rejected, because reading them may never end.

    Args:
        path: the file that the block reads.
        kind: what it should be: `CSV table`.
        hint: what to do where it is missing or damaged.
        damage: what reading a damaged file raises, in addition to ValueError.

    Raises:
        RetrainError: the file is missing, unreadable or damaged, or it is not a regular file.
    """
    try:
        require_regular_file(path, hint)
        yield
    except FileNotFoundError:
        raise RetrainError(str(path), "does not exist", hint) from None
    except OSError as error:
        if error.errno is None:  # pyarrow's, for a damaged file
            raise RetrainError(str(path), f"is not a readable {kind} ({error})", hint) from None
        denied = isinstance(error, PermissionError)
        fact = f"can't be read ({error.strerror})"
        raise RetrainError(str(path), fact, f"check its permissions: ls -l {path}" if denied else hint) from None
    except Exception as error:
        if not isinstance(error, (ValueError, *damage)):
            raise
        raise RetrainError(str(path), f"is not a readable {kind} ({error})", hint) from None


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name the file in errors of the block that writes it: the system's own errors don't.

    Raises:
        RetrainError: the file can't be written.
    """
    try:
        yield
    except OSError as error:
        where, fact = named(path), f"can't be written ({error.strerror or error})"
        raise RetrainError(where, fact, f"{hint_of(error, where)}; what was there before has not changed") from None


def named(path: Path | str) -> str:
    """A path as errors show it: a draft under the name of the output that it was to become."""
    return re.sub(r"(^|/)\.([^/]+?)\.\d+(\.earlier)?\.draft(?=/|$)", r"\1\2", str(path))


def require_regular_file(path: Path, hint: str) -> None:
    """Raise RetrainError for a folder, a pipe, a device and a link to nothing; a missing file passes."""
    if os.path.lexists(path) and not path.is_file():
        raise RetrainError(str(path), "is a folder, not a file" if path.is_dir() else "is not a regular file", hint)


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON: same value, same bytes."""
    with writing(path):
        path.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path, hint: str) -> Any:
    """Read a JSON file, which may be from a stranger: it is rejected if it holds NaN or is nested more than 200 deep.

    Raises:
        RetrainError: it is missing, unreadable or not JSON; `hint` says what to do then.
    """
    with reading(path, "JSON file", hint):
        if path.stat().st_size > LARGEST_JSON:
            raise ValueError(f"it is larger than {LARGEST_JSON:,} bytes")
        return from_json(path.read_bytes(), allow_inf_nan=False)


def check_inside(folder: Path, name: str) -> None:
    """Reject a file of a folder from elsewhere that is not a regular file, or is a link that leads out of the folder.

    A link into DVC's cache passes, because DVC can be configured to link its outputs; so does a missing file.

    Raises:
        RetrainError: the file is one of these.
    """
    path = folder / name
    if not path.exists():
        return
    target = path.resolve()
    if not target.is_file():
        raise RetrainError(str(path), "is not a file", "put the file itself there")
    if target.parent != folder.resolve() and not is_cached(target):
        raise RetrainError(str(path), "is a link that leads out of its folder", "put the file itself there")


def is_cached(path: Path) -> bool:
    """Whether a path leads into DVC's cache."""
    return CACHED.search(str(path.resolve())) is not None


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal; of a folder, over the names and digests of all files in it."""
    if not path.is_dir():
        require_regular_file(path, "put the file itself there")
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    return combined_sha256(digests_in(path))


def digests_in(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file in a folder, by its path in it."""
    return {str(path.relative_to(folder)): sha256(path) for path in folder.rglob("*") if path.is_file()}


def md5(path: Path) -> str:
    """The MD5 of a file, in hexadecimal: the digest by which DVC names it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def combined_sha256(digests: dict[str, str]) -> str:
    """One SHA-256 over named digests; their order does not matter."""
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
