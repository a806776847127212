"""What dvc.lock promises: the outputs of every stage by their digests, and the inputs that they were made from."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from retrain import params, schema, yaml_files
from retrain.errors import RetrainError
from retrain.schema import Section

from pydantic import ConfigDict, Field, field_validator

FILE = "dvc.lock"


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
            raise ValueError(f"{schema.shown(path)} is not below the repository")
        return path


class Stage(Section):
    """What a stage was run with, and what it made."""

    model_config = ConfigDict(extra="ignore")

    cmd: Any = None
    deps: tuple[Entry, ...] = ()
    params: dict[str, dict[str, Any]] = Field(default_factory=dict)
    outs: tuple[Output, ...] = ()

    def parameters(self) -> dict[str, Any]:
        """Its sections of params.yaml, by their paths: `datasets.diabetes.train`."""
        return self.params.get(params.FILE, {})


class Lock(Section):
    """A dvc.lock."""

    model_config = ConfigDict(extra="ignore")

    stages: dict[str, Stage] = Field(default_factory=dict)

    def datasets(self) -> list[str]:
        """The datasets that it has results of."""
        names = dict.fromkeys(name.partition("@")[2] for name in self.stages)
        return [name for name in names if re.fullmatch(schema.NAME, name)]

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
    hint = "restore it from an earlier commit"
    try:
        return schema.check(yaml_files.load_yaml(folder / FILE, FILE, hint) or {}, Lock, FILE)
    except RetrainError as error:
        raise RetrainError(error.where, error.fact, hint) from None


def changed_files(then: Lock, now: Lock) -> list[str]:
    """Code and data that a stage depends on and that are others now, but for what stages make."""
    made = {**then.outputs(), **now.outputs()}
    changed: set[str] = set()
    for before, after in common(then, now):
        old, new = ({(entry.path, entry.md5) for entry in stage.deps} for stage in (before, after))
        changed |= {path for path, _ in old ^ new}
    return sorted(changed - made.keys())


def changed_parameters(then: Lock, now: Lock) -> list[str]:
    """Parameters that are others now, with both values."""
    return [
        change for before, after in common(then, now) for change in changes(before.parameters(), after.parameters(), "")
    ]


def common(then: Lock, now: Lock) -> list[tuple[Stage, Stage]]:
    """The stages that both have."""
    return [(stage, now.stages[name]) for name, stage in then.stages.items() if name in now.stages]


def changes(then: Any, now: Any, path: str) -> Iterator[str]:
    """How nested values differ: `train.loop.epochs: 40 → 41`."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for name in [*then, *(name for name in now if name not in then)]:
            yield from changes(then.get(name), now.get(name), f"{path}.{name}" if path else str(name))
    elif then != now:
        yield f"{path}: {schema.shown(then)} → {schema.shown(now)}"
