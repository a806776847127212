"""What dvc.lock promises: the outputs of every stage by their digests, and the inputs that they were made from."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrain import params
from retrain.errors import RetrainError
from retrain.params import Section

from pydantic import ConfigDict, Field, field_validator

FILE = "dvc.lock"
FOLDER = ".dir"
"""How DVC ends the digest of a folder, which is the digest of the list of its files."""


class Entry(Section):
    """A file or folder, by its digest; nothing where DVC knows it by something else, as what lies behind a URL."""

    model_config = ConfigDict(extra="ignore")

    path: str
    md5: str = ""


class Output(Entry):
    """What a stage made, below the repository's folder: elsewhere, others may have made what lies there."""

    md5: str

    @field_validator("path")
    @classmethod
    def lies_inside(cls, path: str) -> str:
        """Refuse what is not below the repository's folder."""
        if Path(path).is_absolute() or ".." in Path(path).parts or not Path(path).parts or "\0" in path:
            raise ValueError(f"{params.shown(path)} is not below the repository")
        return path


class Stage(Section):
    """What a stage was run with, and what it made."""

    model_config = ConfigDict(extra="ignore")

    cmd: Any = None
    deps: tuple[Entry, ...] = ()
    params: dict[str, dict[str, Any]] = Field(default_factory=dict)
    outs: tuple[Output, ...] = ()

    def knobs(self) -> dict[str, Any]:
        """Its sections of params.yaml, by their paths: `datasets.diabetes.train`."""
        return self.params.get(params.FILE, {})


class Lock(Section):
    """A dvc.lock."""

    model_config = ConfigDict(extra="ignore")

    stages: dict[str, Stage] = Field(default_factory=dict)

    def datasets(self) -> list[str]:
        """The datasets that it has results of."""
        names = dict.fromkeys(name.partition("@")[2] for name in self.stages)
        return [name for name in names if re.fullmatch(params.NAME, name)]

    def of(self, datasets: list[str]) -> "Lock":
        """What it says of some datasets, the stages of each in the order in which they run."""
        names = [f"{stage}@{dataset}" for dataset in datasets for stage in params.STAGES]
        return Lock(stages={name: self.stages[name] for name in names if name in self.stages})

    def outputs(self) -> dict[str, str]:
        """The digest of every output."""
        return {out.path: out.md5 for stage in self.stages.values() for out in stage.outs}


def read(folder: Path) -> Lock:
    """The dvc.lock of a folder; where there is none, nothing was promised.

    Raises:
        RetrainError: it is no dvc.lock.
    """
    if not (folder / FILE).exists():
        return Lock()
    way_out = "restore it from an earlier commit"
    try:
        return params.check(params.load_yaml(folder / FILE, FILE, way_out) or {}, Lock, FILE)
    except RetrainError as error:
        raise RetrainError(error.place, error.fact, way_out) from None


def changed_files(then: Lock, now: Lock) -> list[str]:
    """Code and data that a stage depends on and that are others now, but for what stages make."""
    made = {**then.outputs(), **now.outputs()}
    changed: set[str] = set()
    for before, after in common(then, now):
        old, new = ({(entry.path, entry.md5) for entry in stage.deps} for stage in (before, after))
        changed |= {path for path, _ in old ^ new}
    return sorted(changed - made.keys())


def changed_knobs(then: Lock, now: Lock) -> list[str]:
    """Knobs that are others now, with both values."""
    return [change for before, after in common(then, now) for change in changes(before.knobs(), after.knobs(), "")]


def common(then: Lock, now: Lock) -> list[tuple[Stage, Stage]]:
    """The stages that both have."""
    return [(stage, now.stages[name]) for name, stage in then.stages.items() if name in now.stages]


def changes(then: Any, now: Any, path: str) -> Iterator[str]:
    """How nested values differ: `train.loop.epochs: 40 → 41`."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for name in [*then, *(name for name in now if name not in then)]:
            yield from changes(then.get(name), now.get(name), f"{path}.{name}" if path else str(name))
    elif then != now:
        yield f"{path}: {params.shown(then)} → {params.shown(now)}"


@dataclass(frozen=True)
class Kept:
    """Where a file or folder that was promised may still lie: in DVC's cache by its digest, in folders by its path."""

    cache: Path
    folders: tuple[Path, ...]

    def file(self, path: str, digest: str) -> Path | None:
        """A file with that content, or None where there is none."""
        places = [self.in_cache(digest), *(folder / path for folder in self.folders)]
        return next((place for place in places if place.is_file() and md5(place) == digest), None)

    def listing(self, path: str, digest: str) -> dict[str, str] | None:
        """The digests of a folder's files by their paths in it, or None where they can't be known."""
        cached = self.in_cache(digest)
        if cached.is_file() and f"{md5(cached)}{FOLDER}" == digest:
            return {entry["relpath"]: entry["md5"] for entry in json.loads(cached.read_text(encoding="utf-8"))}
        listings = (listing(folder / path) for folder in self.folders)
        return next((found for found in listings if folder_digest(found) == digest), None)

    def in_cache(self, digest: str) -> Path:
        """Where DVC's cache keeps what has that digest."""
        return self.cache / "files" / "md5" / digest[:2] / digest[2:]


def listing(folder: Path) -> dict[str, str]:
    """The digests of a folder's files by their paths in it."""
    return {path.relative_to(folder).as_posix(): md5(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def folder_digest(files: Mapping[str, str]) -> str:
    """The digest that DVC gives a folder with these files."""
    entries = [{"md5": digest, "relpath": name} for name, digest in sorted(files.items())]
    return digest(json.dumps(entries, sort_keys=True).encode()) + FOLDER


def digest(content: bytes) -> str:
    """The MD5 of some bytes, by which DVC names a file."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def md5(path: Path) -> str:
    """The MD5 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
