"""dvc.lock: the digests of what each stage read and wrote, and how two runs of a stage differ."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from retrain import git, params, schema, yaml_files
from retrain.errors import RetrainError
from retrain.schema import Section

from pydantic import ConfigDict, Field, field_validator

__all__ = ["FILE", "MISSING", "Entry", "Lock", "LockedStage", "of_commit", "read", "stage_differences"]


FILE = "dvc.lock"
MISSING = "missing"
"""Takes the place of a digest where a file does not exist."""


class Entry(Section):
    """A file or folder and its digest, which is empty where DVC uses something else, as for a URL."""

    model_config = ConfigDict(extra="ignore")

    path: str
    md5: str = ""


class Output(Entry):
    """An output of a stage, inside the repository."""

    md5: str

    @field_validator("path")
    @classmethod
    def is_inside(cls, path: str) -> str:
        """Reject a path that leads out of the repository."""
        if Path(path).is_absolute() or ".." in Path(path).parts or not Path(path).parts or "\0" in path:
            raise ValueError(f"{schema.shown(path)} is not inside the repository")
        return path


class LockedStage(Section):
    """What a stage was run with, and what it wrote."""

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

    stages: dict[str, LockedStage] = Field(default_factory=dict)

    def datasets(self) -> list[str]:
        """The datasets that have results in it."""
        names = dict.fromkeys(name.partition("@")[2] for name in self.stages)
        return [name for name in names if re.fullmatch(schema.NAME, name)]

    def of(self, datasets: list[str]) -> "Lock":
        """The part for some datasets, with the stages of each in the order in which they run."""
        names = [f"{stage}@{dataset}" for dataset in datasets for stage in params.STAGES]
        return Lock(stages={name: self.stages[name] for name in names if name in self.stages})

    def outputs(self) -> dict[str, str]:
        """The digest of every output."""
        return {out.path: out.md5 for stage in self.stages.values() for out in stage.outs}


def read(folder: Path) -> Lock:
    """The dvc.lock of a folder; an empty one if there is none.

    Raises:
        RetrainError: it is damaged.
    """
    if not (folder / FILE).exists():
        return Lock()
    hint = f"restore it: git checkout {FILE}"
    try:
        return schema.check(yaml_files.load_yaml(folder / FILE, FILE, hint) or {}, Lock, FILE)
    except yaml_files.ConflictError:
        raise
    except RetrainError as error:
        raise RetrainError(error.where, error.fact, hint) from None


def of_commit(folder: Path, commit: str) -> Lock:
    """The dvc.lock of a commit; an empty one if it has none.

    Raises:
        RetrainError: it is damaged.
    """
    content = git.content(folder, commit, FILE)
    if content is None:
        return Lock()
    where = f"{FILE} of commit {commit[:7]}"
    return schema.check(yaml_files.parsed(content, where) or {}, Lock, where)


def stage_differences(then: LockedStage, now: LockedStage) -> Iterator[tuple[str, str]]:
    """How two runs of a stage differ, as a kind (`command`, `parameters`, `inputs`, `outputs`) and a sentence."""
    if then.cmd != now.cmd:
        yield "command", "its command changed"
    for parameter, value, was in changes(values_by_path(then.params), values_by_path(now.params)):
        if was is None or value is None:
            yield "parameters", f"{parameter} {'is gone' if value is None else 'is new'}"
        else:
            yield "parameters", f"{parameter} is {schema.shown(value[0])}, was {schema.shown(was[0])}"
    for kind, name, before, after in (
        ("inputs", "dependencies", then.deps, now.deps),
        ("outputs", "outputs", then.outs, now.outs),
    ):
        digests = ({entry.path: (entry.md5,) for entry in entries} for entries in (before, after))
        for path, digest, was in changes(*digests):
            if was is None or digest is None:
                yield kind, f"{path} is {'new' if was is None else 'no longer'} among its {name}"
            else:
                yield kind, f"{path} {'changed' if digest != (MISSING,) else 'is missing'}"


def changes(
    then: Mapping[str, tuple[Any]], now: Mapping[str, tuple[Any]]
) -> Iterator[tuple[str, tuple[Any] | None, tuple[Any] | None]]:
    """The names whose values differ, with the value now and the value then; None where there is none."""
    for name in sorted({*then, *now}):
        if then.get(name) != now.get(name):
            yield name, now.get(name), then.get(name)


def values_by_path(params_by_file: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[Any]]:
    """Parameters by file and path: `params.yaml: datasets.diabetes.train.loop.epochs`."""
    waiting = [(f"{file}: {key}", value) for file, values in params_by_file.items() for key, value in values.items()]
    found: dict[str, tuple[Any]] = {}
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, Mapping) and value:
            waiting += [(f"{path}.{name}", child) for name, child in value.items()]
        else:
            found[path] = (value,)
    return found
