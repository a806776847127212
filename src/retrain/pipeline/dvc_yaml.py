"""dvc.yaml as DVC reads it: what each stage declares."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain import params, processes
from retrain.errors import RetrainError

if TYPE_CHECKING:
    from dvc.dependency import Dependency, ParamsDependency
    from dvc.output import Output
    from dvc.repo.index import Index
    from dvc.stage import PipelineStage

__all__ = [
    "EVERYTHING",
    "FILE",
    "Pipeline",
    "Stage",
    "check",
    "check_repository",
    "dataset_of",
    "editing",
    "in_order",
    "leave_out_broken_blocks",
    "local_path",
    "overlap",
    "read",
]


FILE = "dvc.yaml"
EVERYTHING = ""
"""The key of a params.yaml that is declared as a whole."""


@dataclass(frozen=True)
class Stage:
    """What dvc.yaml declares for a stage, with its templates filled in. Paths are relative to the repository."""

    name: str
    """With its dataset: `train@diabetes`."""
    command: Any
    """A shell command, or a list of them."""
    dependencies: tuple[str, ...]
    sections: tuple[str, ...]
    """Keys of params.yaml."""
    params: Mapping[str, Mapping[str, Any]]
    """The values of the declared keys, by file and key."""
    outputs: tuple[str, ...]
    in_git: tuple[str, ...]
    """The outputs that git stores instead of DVC's cache."""

    @property
    def script(self) -> str:
        """The stage's name in dvc.yaml: `train`."""
        return self.name.partition("@")[0]

    @property
    def dataset(self) -> str:
        """The dataset that it runs for; empty for a stage without datasets."""
        return dataset_of(self.name)


@dataclass(frozen=True)
class Pipeline:
    """All stages, and the digests of the files that git stores."""

    stages: tuple[Stage, ...]
    digests: Mapping[str, str]
    """Of the files and folders that every clone has; a missing one has none."""
    added: Mapping[str, str]
    """The digests of the files and folders of `dvc add` and `dvc import-url`, of which git has the `.dvc` files only."""
    not_compared: frozenset[str]
    """Dependencies that contain data, so that their digest is unknown in a clone without data."""

    def of(self, dataset: str) -> list[Stage]:
        """The stages of a dataset."""
        return [stage for stage in self.stages if stage.dataset == dataset]


def editing(folder: Path) -> AbstractContextManager[None]:
    """One process at a time edits params.yaml, dvc.yaml or dvc.lock, from reading a file until it is replaced as a whole."""
    return processes.lock(folder, "yaml")


def dataset_of(stage: str) -> str:
    """The dataset in a stage's name; empty if there is none."""
    return stage.partition("@")[2]


def read(folder: Path, dataset: str | None = None) -> Pipeline:
    """The pipeline of a folder as it is now.

    Args:
        folder: the project.
        dataset: the only dataset that matters; a broken block of another one leaves out its stages.

    Raises:
        RetrainError: dvc.yaml, dvc.lock or params.yaml can't be read, or see `check`.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    check(folder, dataset)
    leave_out_broken_blocks()
    try:
        with closing(Repo(str(folder))) as repo:
            return pipeline_of(repo.index)
    except DvcException as error:
        fact, hint = f"can't be read by DVC ({error})", "fix the line that it names, or restore the file: git checkout"
        raise RetrainError(FILE, fact, f"{hint} {FILE}") from None


def leave_out_broken_blocks() -> None:
    """Make DVC in this process leave out the stages of a dataset whose block lacks a name that dvc.yaml uses in a path.

    By itself it refuses every command, also one for another dataset.
    """
    from dvc.parsing import EntryNotFound, ForeachDefinition, ResolveError

    def is_complete(definition: ForeachDefinition, key: str) -> bool:
        try:
            definition.resolve_one(key)
        except (ResolveError, EntryNotFound):
            return False
        return True

    def names(definition: ForeachDefinition) -> list[str]:
        complete = [key for key in definition.normalized_iterable if is_complete(definition, key)]
        return [f"{definition.name}@{key}" for key in complete]

    ForeachDefinition.get_generated_names, ForeachDefinition.has_member = names, is_complete


def check(folder: Path, only: str | None = None) -> None:
    """Find out before DVC starts what DVC would report without a hint.

    Args:
        folder: the project.
        only: the dataset whose block is checked; all if it is None.

    Raises:
        RetrainError: the folder is not in git, or a name in params.yaml that `dvc.yaml` uses in a path is unknown.
    """
    check_repository(folder)
    for dataset in map(str, params.datasets(folder)) if only is None else [only]:
        block = params.dataset_block(folder, dataset)
        chosen = [
            f"{package.replace('.', '/')}/{params.value_at(block, path)}.py" for path, package in params.CHOICES.items()
        ]
        if not all((folder / "src" / module).is_file() for module in chosen):
            params.check_choices(folder, dataset)


def check_repository(folder: Path) -> None:
    """Raise RetrainError if a folder is not a project, or not in git, although DVC needs that."""
    if not (folder / FILE).exists():
        raise RetrainError(str(folder), f"has no {FILE}", "run this in the project's folder")
    configured = [path.read_text(encoding="utf-8") for path in (folder / ".dvc").glob("config*")]
    if not any((parent / ".git").exists() for parent in (folder, *folder.parents)) and "no_scm" not in str(configured):
        hint = "run: git init && git add --all && git commit --message Start; or get the project by git clone"
        raise RetrainError(str(folder), "is not a git repository, which DVC needs", hint)


def pipeline_of(index: "Index") -> Pipeline:
    """The stages of dvc.yaml, with the digests of the files that git stores.

    Files of `dvc add` are data too; their digests are in `.dvc` files.
    """
    stages = [stage for stage in index.stages if stage.path_in_repo == FILE]
    made = {local_path(out) for out in index.outs}
    added = {local_path(out): str(out.hash_info.value) for out in index.outs if out.stage.path_in_repo != FILE}
    dependencies = {local_path(item): item for stage in stages for item in files_of(stage)}
    partial = {path for path in dependencies if is_partly_data(path, made)}
    in_git = {local_path(out): out for stage in stages for out in stage.outs if not out.use_cache}
    plain = {path: item for path, item in dependencies.items() if path not in made | partial}
    here = {path: item for path, item in {**plain, **in_git}.items() if item.exists}
    return Pipeline(
        stages=tuple(map(declared, stages, values_of(stages))),
        digests={**{path: item.get_hash().value for path, item in here.items()}, **added},
        added=added,
        not_compared=frozenset(partial),
    )


def in_order(stages: Iterable[Stage]) -> list[Stage]:
    """Stages in an order in which they can run."""
    known, order = {stage.name: stage for stage in stages}, TopologicalSorter[str]()
    for stage in known.values():
        order.add(stage.name)
        for other in known.values():
            if any(overlap(path, out) for path in stage.dependencies for out in other.outputs):
                order.add(stage.name, other.name)
    return [known[name] for name in order.static_order()]


def values_of(stages: "Sequence[PipelineStage]") -> list[dict[str, dict[str, Any]]]:
    """The values of the parameters that each stage declares, by file and key. A file is read once, for all stages."""
    from dvc.dependency import ParamsDependency

    keys: dict[str, set[str]] = {}
    for item in (item for stage in stages for item in params_of(stage)):
        keys.setdefault(item.fs_path, set()).update(item.params)
    values = {path: ParamsDependency(stages[0], path, sorted(names)).read_params() for path, names in keys.items()}
    return [
        {
            local_path(item): {key: values[item.fs_path][key] for key in item.params if key in values[item.fs_path]}
            if item.params
            else item.read_params()
            for item in params_of(stage)
        }
        for stage in stages
    ]


def params_of(stage: "PipelineStage") -> "list[ParamsDependency]":
    """The files of parameters that a stage depends on."""
    from dvc.dependency import ParamsDependency

    return [item for item in stage.deps if isinstance(item, ParamsDependency)]


def declared(stage: "PipelineStage", values: Mapping[str, Mapping[str, Any]]) -> Stage:
    """A stage as dvc.yaml declares it, with the values of its parameters by file and key."""
    main = [item for item in params_of(stage) if local_path(item) == params.FILE]
    return Stage(
        name=stage.name,
        command=stage.cmd,
        dependencies=tuple(local_path(item) for item in files_of(stage)),
        sections=tuple(key for item in main for key in item.params or [EVERYTHING]),
        params=values,
        outputs=tuple(local_path(out) for out in stage.outs),
        in_git=tuple(local_path(out) for out in stage.outs if not out.use_cache),
    )


def files_of(stage: "PipelineStage") -> "list[Dependency]":
    """The files and folders that a stage depends on, without params.yaml."""
    parameters = params_of(stage)
    return [item for item in stage.deps if item not in parameters]


def local_path(item: "Output") -> str:
    """A path relative to the repository; absolute if it is outside."""
    path, root = Path(item.fs_path), Path(item.repo.root_dir)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def is_partly_data(path: str, made: Iterable[str]) -> bool:
    """Whether a path is outside the repository, inside an output, or contains one, and so exists only with the data."""
    return Path(path).is_absolute() or any(path != out and overlap(path, out) for out in made)


def overlap(path: str, other: str) -> bool:
    """Whether two paths are the same, or one is inside the other."""
    first, second = (f"{name}/".removeprefix("./") for name in (path, other))
    return first.startswith(second) or second.startswith(first)
