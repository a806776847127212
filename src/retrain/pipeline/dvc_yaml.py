"""dvc.yaml and dvc.lock as DVC reads them: what each stage declares, and what is recorded of it. The home of dvc."""

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain import params
from retrain.errors import RetrainError
from retrain.pipeline import dvc_lock

if TYPE_CHECKING:
    from dvc.dependency import Dependency
    from dvc.output import Output
    from dvc.repo.index import Index
    from dvc.stage import PipelineStage

FILE = "dvc.yaml"
LOCK = dvc_lock.FILE
EVERYTHING = ""
"""The key of a params.yaml that is declared whole."""


@dataclass(frozen=True)
class Stage:
    """What dvc.yaml declares of a stage, templates filled in. Paths are relative to the repository, with slashes."""

    name: str
    """With its dataset: `train@diabetes`."""
    command: Any
    """A line for the shell, or a list of them."""
    dependencies: tuple[str, ...]
    sections: tuple[str, ...]
    """Keys of params.yaml."""
    values: Mapping[str, Any]
    """What the declared keys hold now, by file and key: `params.yaml: datasets.diabetes.train`."""
    outputs: tuple[str, ...]
    in_git: tuple[str, ...]
    """The outputs that git keeps, and not DVC's cache."""

    @property
    def script(self) -> str:
        """The stage as dvc.yaml writes it: `train`."""
        return self.name.partition("@")[0]

    @property
    def dataset(self) -> str:
        """The dataset that it runs for; nothing where it stands in dvc.yaml by itself."""
        return dataset_of(self.name)


@dataclass(frozen=True)
class Recorded:
    """What dvc.lock says of a stage's last run."""

    command: Any
    values: Mapping[str, Any]
    dependencies: Mapping[str, str]
    """A digest per path."""
    outputs: Mapping[str, str]


@dataclass(frozen=True)
class Pipeline:
    """All stages, and what git keeps of their inputs and outputs."""

    stages: tuple[Stage, ...]
    digests: Mapping[str, str]
    """Of the files and folders that are there in every clone; one that is missing has none."""
    not_compared: frozenset[str]
    """Dependencies of which a part is data, so that a clone without data can't tell their digest."""


def dataset_of(stage: str) -> str:
    """The part of a stage's name that says for which dataset it runs; nothing where it has none."""
    return stage.partition("@")[2]


def read(folder: Path) -> Pipeline:
    """The pipeline of a folder as it is now.

    Raises:
        RetrainError: dvc.yaml, dvc.lock or params.yaml can't be read.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with closing(Repo(str(folder))) as repo:
            return pipeline_of(repo.index)
    except DvcException as error:
        fact = f"DVC can't read the pipeline ({' '.join(str(error).split())})"
        raise RetrainError(FILE, fact, "mend what it names") from None


def pipeline_of(index: "Index") -> Pipeline:
    """The stages of dvc.yaml, with the digests of what stands in git.

    What `dvc add` keeps is data as well; its digest stands in a `.dvc` file.
    """
    stages = [stage for stage in index.stages if stage.path_in_repo == FILE]
    made = {local_path(out) for out in index.outs}
    added = {local_path(out): out.hash_info.value for out in index.outs if out.stage.path_in_repo != FILE}
    dependencies = {local_path(item): item for stage in stages for item in files_of(stage)}
    partial = {path for path in dependencies if is_partly_data(path, made)}
    in_git = {local_path(out): out for stage in stages for out in stage.outs if not out.use_cache}
    plain = {path: item for path, item in dependencies.items() if path not in made | partial}
    here = {path: item for path, item in {**plain, **in_git}.items() if item.exists}
    return Pipeline(
        stages=tuple(declared(stage) for stage in stages),
        digests={**{path: item.get_hash().value for path, item in here.items()}, **added},
        not_compared=frozenset(partial),
    )


def in_order(stages: Iterable[Stage]) -> list[Stage]:
    """Stages, those that make something before those that depend on it."""
    known = {stage.name: stage for stage in stages}
    needs = {
        stage.name: [
            other.name
            for other in known.values()
            if any(overlap(path, out) for path in stage.dependencies for out in other.outputs)
        ]
        for stage in known.values()
    }
    return [known[name] for name in TopologicalSorter(needs).static_order()]


def declared(stage: "PipelineStage") -> Stage:
    """A stage as dvc.yaml declares it."""
    from dvc.dependency import ParamsDependency

    read_params = [item for item in stage.deps if isinstance(item, ParamsDependency)]
    main = [item for item in read_params if local_path(item) == params.FILE]
    return Stage(
        name=stage.name,
        command=stage.cmd,
        dependencies=tuple(local_path(item) for item in files_of(stage)),
        sections=tuple(key for item in main for key in item.params or [EVERYTHING]),
        values={
            f"{local_path(item)}: {key}": value for item in read_params for key, value in item.read_params().items()
        },
        outputs=tuple(local_path(out) for out in stage.outs),
        in_git=tuple(local_path(out) for out in stage.outs if not out.use_cache),
    )


def files_of(stage: "PipelineStage") -> "list[Dependency]":
    """The files and folders that a stage depends on; params.yaml is known by its keys."""
    from dvc.dependency import ParamsDependency

    return [item for item in stage.deps if not isinstance(item, ParamsDependency)]


def local_path(item: "Output") -> str:
    """A path relative to the repository; absolute where it lies outside."""
    path, root = Path(item.fs_path), Path(item.repo.root_dir)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def is_partly_data(path: str, made: Iterable[str]) -> bool:
    """Whether a path lies outside, or in an output, or an output in it: it is there only where the data is."""
    return Path(path).is_absolute() or any(path != out and overlap(path, out) for out in made)


def overlap(path: str, other: str) -> bool:
    """Whether two paths are the same, or one lies in the other."""
    return Path(path).is_relative_to(other) or Path(other).is_relative_to(path)


def recorded(folder: Path) -> dict[str, Recorded]:
    """What a folder's dvc.lock says, by stage; nothing where there is none.

    Raises:
        RetrainError: it is no dvc.lock.
    """
    return {
        name: Recorded(
            command=list(stage.cmd) if isinstance(stage.cmd, tuple) else stage.cmd,
            values={f"{file}: {key}": value for file, values in stage.params.items() for key, value in values.items()},
            dependencies={entry.path: entry.md5 for entry in stage.deps},
            outputs={entry.path: entry.md5 for entry in stage.outs},
        )
        for name, stage in dvc_lock.read(folder).stages.items()
    }
