"""The files that `retrain add` takes: on this machine, and as the block of a dataset names them."""

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from retrain import environment, files
from retrain.errors import RetrainError

__all__ = ["Fetched", "check_copies", "fetched", "optional"]


LARGEST_COPY = 20_000_000
"""Bytes of a file that is copied into the project. A larger one stays where it is, and is pinned by its SHA-256."""


@dataclass(frozen=True)
class Fetched:
    """A file of rows on this machine, and how the block will name it."""

    title: str
    path: Path
    location: str
    sha256: str
    copy_to: Path | None
    """Where in the project it will be copied to, if it is."""
    is_only_copy: bool = False
    """Whether the copy is the only one, because the rows came from standard input."""

    @property
    def shown(self) -> str:
        """How errors name the file. The end of the name tells its kind."""
        return self.title.partition("?")[0].rpartition("/")[2] or self.title if "://" in self.title else self.title


def check_copies(workspace: Path, sources: Sequence[Fetched]) -> None:
    """Raise RetrainError if a copy would replace another file."""
    targets = [file.location for file in sources]
    for file in sources:
        if targets.count(file.location) > 1:
            raise RetrainError("--test-file", "has the same name as the other file", "rename one of them")
        existing = None if file.copy_to is None else workspace / file.copy_to
        if existing is not None and existing.exists() and files.sha256(existing) != files.sha256(file.path):
            raise RetrainError(file.location, "exists, with another content", "move it away, or rename your file")


def optional(workspace: Path, name: str, source: str | None) -> AbstractContextManager[Fetched | None]:
    """The rows of a source, if there is one."""
    return nullcontext(None) if source is None else fetched(workspace, name, source)


@contextmanager
def fetched(workspace: Path, name: str, source: str) -> Iterator[Fetched]:
    """The rows of a path, a URL or standard input.

    Raises:
        RetrainError: there is no such file, or it can't be downloaded.
    """
    raw = Path("data", "raw", name)
    if "://" in source:
        from retrain.data.downloads import pinned_download

        path, sha256 = pinned_download(source, environment.root())
        yield Fetched(source, path, source, sha256, None)
        return
    with tempfile.TemporaryDirectory() as folder:
        if source == "-":
            path, title = Path(folder, "rows.csv"), "standard input"
            with path.open("wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
            if not path.stat().st_size:
                raise RetrainError("standard input", "is empty", "pipe rows into it, or give a path")
        else:
            path, title = Path(source).expanduser(), Path(source).name
            files.require_regular_file(
                path, f"give the path of a file, or pipe the rows: COMMAND | retrain add {name} -"
            )
            if not path.exists():
                raise RetrainError(source, "does not exist", "check the path")
        inside = path.resolve()
        if inside.is_relative_to((workspace / raw).resolve()):
            location = str(raw / inside.relative_to((workspace / raw).resolve()))
            yield Fetched(title, path, location, "unpinned", None)
        elif source == "-" or path.stat().st_size <= LARGEST_COPY:
            copy = raw / plain_name(path.name)
            yield Fetched(title, path, str(copy), "unpinned", copy, source == "-")
        else:
            yield Fetched(title, path, str(inside), files.sha256(path), None)


def plain_name(name: str) -> str:
    """The name of a file without signs that shells and DVC give a meaning."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-") or "rows.csv"
