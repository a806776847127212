"""Files as values: replaced whole or not at all, read with checks, named by their content."""

import glob
import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from retrain.errors import RetrainError

import psutil

DEEPEST = 64
"""Lists and mappings inside each other in a JSON or YAML file; ours have six."""
LARGEST_JSON = 1 << 30
"""Bytes; an encoder that learned all of 2**26 buckets takes half of it."""
CACHED = re.compile(r"/[0-9a-f]{2}/[0-9a-f]{30}$")
"""The end of a path in DVC's cache, which names files by their digest."""


def remove(path: Path) -> None:
    """Delete a file or a folder, or nothing where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def replacing(*outputs: Path) -> Iterator[tuple[Path, ...]]:
    """Write several outputs, files or folders, so that either all are new or all are as before.

    Yields one path beside each output, to be written in the block. When the block ends well they take the outputs'
    places; when it raises, or an output can't be replaced, they are removed and all outputs are as they were. Where the
    process is killed while they are being replaced, one may be missing or earlier than another; what the killed process
    left beside them goes the next time.
    """
    drafts = tuple(draft_of(output, "") for output in outputs)
    for output in outputs:
        output.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(output)
    try:
        yield drafts
        exchange(drafts, outputs)
    finally:
        for draft in drafts:
            remove(draft)


def draft_of(output: Path, earlier: str) -> Path:
    """Where this process writes an output, or, with `.earlier`, keeps the one before it."""
    return output.with_name(f".{output.name}.{os.getpid()}{earlier}.draft")


def remove_abandoned(output: Path) -> None:
    """Tidy up what processes that were killed left beside an output; where the output itself is gone, bring it back."""
    for path in output.parent.glob(f".{glob.escape(output.name)}.*.draft"):
        process = re.fullmatch(r"(\d+)(\.earlier)?\.draft", path.name.removeprefix(f".{output.name}."))
        if not process or (int(process[1]) != os.getpid() and psutil.pid_exists(int(process[1]))):
            continue
        if process[2] and not os.path.lexists(output):
            path.replace(output)
        else:
            remove(path)


def exchange(drafts: Sequence[Path], outputs: Sequence[Path]) -> None:
    """Let drafts take the places of outputs; where one can't, or a signal unwinds this, none does."""
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
    """Keep an output under another name: a folder goes there, a file stays as well until another takes its place."""
    if output.is_dir() and not output.is_symlink():
        output.replace(before)
    elif os.path.lexists(output):
        try:
            os.link(output, before, follow_symlinks=False)
        except (OSError, NotImplementedError):  # not every file system has links
            shutil.copy2(output, before, follow_symlinks=False)


def flush(*paths: Path) -> None:
    """Have files, and folders with all that is in them, on the disk: they survive a loss of power."""
    for path in paths:
        parts = [path, *path.rglob("*")] if path.is_dir() else [path]
        for part in (*parts, path.parent):
            opened = os.open(part, os.O_RDONLY)
            try:
                os.fsync(opened)
            finally:
                os.close(opened)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name the file where writing it fails: that a disk is full is said without saying of which file.

    Raises:
        RetrainError: what is written in the block can't be.
    """
    try:
        yield
    except OSError as error:
        fact = f"can't be written ({error.strerror or error})"
        raise RetrainError(named(path), fact, "make room for it; what was there before has not changed") from None


def named(path: Path | str) -> str:
    """A path as errors show it: a draft under the name of the output that it was to become."""
    return re.sub(r"(^|/)\.([^/]+?)\.\d+(\.earlier)?\.draft(?=/|$)", r"\1\2", str(path))


def require_regular_file(path: Path, hint: str) -> None:
    """Raise RetrainError where a path leads to a pipe or a device, which may never end, or, as a link, to nothing.

    What is missing, or is a folder, is left to the reader.
    """
    if os.path.lexists(path) and not path.is_file() and not path.is_dir():
        raise RetrainError(str(path), "is no file", hint)


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON: same value, same bytes."""
    with writing(path):
        path.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path, hint: str) -> Any:
    """Read a JSON file as `strict_json` does.

    Raises:
        RetrainError: it is missing, unreadable or not JSON; `hint` says what to do then.
    """
    require_regular_file(path, hint)
    try:
        return strict_json(path)
    except FileNotFoundError:
        raise RetrainError(str(path), "is missing", hint) from None
    except (OSError, ValueError, RecursionError) as error:
        raise RetrainError(str(path), f"is not readable JSON ({error})", hint) from None


def strict_json(path: Path) -> Any:
    """What a JSON file holds: every name once, finite numbers, and neither nested nor long beyond all that we write.

    Raises:
        ValueError: it holds something else.
    """
    if path.stat().st_size > LARGEST_JSON:
        raise ValueError(f"it is larger than {LARGEST_JSON:,} bytes")
    text = path.read_text(encoding="utf-8")
    value = json.loads(text, object_pairs_hook=unique, parse_constant=finite, parse_float=finite)
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode()  # half a character can be spelled, and not be written
    if nesting(value) > DEEPEST:
        raise ValueError(f"it is nested more than {DEEPEST} deep")
    return value


def unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; raises ValueError where a name stands in it twice: two readers could take two values for it."""
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a name stands twice in an object")
    return value


def finite(word: str) -> float:
    """A number of JSON; raises ValueError for the NaN and Infinity that Python takes, and for one that is too large."""
    number = float(word)
    if not math.isfinite(number):
        raise ValueError(f"{word} is no number of JSON")
    return number


def nesting(value: Any) -> int:
    """How many lists and mappings stand inside each other."""
    depth, level = 0, [value]
    while level := [child for child in level if isinstance(child, dict | list)]:
        depth += 1
        level = [part for child in level for part in (child.values() if isinstance(child, dict) else child)]
    return depth


def check_inside(folder: Path, name: str) -> None:
    """Refuse a file of a folder from elsewhere that is a device, a pipe or a folder, or a link that leads out of it.

    A link into DVC's cache may stay, because that is how DVC can be told to keep its outputs; so may a missing file.

    Raises:
        RetrainError: the file is one of these.
    """
    path = folder / name
    if not path.exists():
        return
    target = path.resolve()
    if not target.is_file():
        raise RetrainError(str(path), "is not a file", "put the file itself there")
    if target.parent != folder.resolve() and not CACHED.search(str(target)):
        raise RetrainError(str(path), "is a link that leads out of its folder", "put the file itself there")


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


def combined_sha256(digests: dict[str, str]) -> str:
    """One SHA-256 over named digests, whatever their order."""
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
