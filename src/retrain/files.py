"""Files as values: replaced whole or not at all, read with checks, named by their content."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from retrain.errors import RetrainError


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
    places; when it raises they are removed and the outputs stay untouched.
    """
    drafts = tuple(output.with_name(f".{output.name}.{os.getpid()}.draft") for output in outputs)
    for output in outputs:
        output.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield drafts
        for draft, output in zip(drafts, outputs, strict=True):
            if output.is_dir():
                remove(output)
            draft.replace(output)
    finally:
        for draft in drafts:
            remove(draft)


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON: same value, same bytes."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path, way_out: str) -> Any:
    """Read a JSON file.

    Raises:
        RetrainError: it is missing, unreadable or not JSON; `way_out` says what to do then.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RetrainError(str(path), "is missing", way_out) from None
    except (OSError, ValueError, RecursionError) as error:
        raise RetrainError(str(path), f"is not readable JSON ({error})", way_out) from None


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal; of a folder, over the names and digests of all files in it."""
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    return combined_sha256({str(f.relative_to(path)): sha256(f) for f in path.rglob("*") if f.is_file()})


def combined_sha256(digests: dict[str, str]) -> str:
    """One SHA-256 over named digests, whatever their order."""
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
