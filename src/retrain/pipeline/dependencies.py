"""What `retrain audit` finds: where dvc.yaml and what a stage reads disagree, with the lines to change."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import PurePosixPath
from typing import Any

from retrain import params, yaml_files
from retrain.pipeline.dvc_yaml import EVERYTHING, FILE, Stage

__all__ = ["Disagreement", "load", "sections", "undeclared_files", "undeclared_outputs", "unused_files", "with_hidden"]


CANNOT_CHANGE_RESULTS = {
    "retrain": "finds the interpreter",
    "retrain.cli": "prints, and turns errors into exit codes",
    "retrain.errors": "formats errors",
    "retrain.git": "runs git",
    "retrain.processes": "starts programs and checks whether DVC is still running",
    "retrain.requirements": "warns of installed libraries that are not the pinned ones",
    "retrain.tracking.naming": "names runs, and records where they ran",
    "retrain.tracking.recording": "sends what happens to the process that writes to MLflow",
    "retrain.tracking.store": "opens the MLflow store",
}
"""Modules that a stage may import without declaring them, and why."""

READ_BY_NO_CODE = {
    **{(stage, "requirements.lock"): "the installed libraries influence every result" for stage in params.STAGES},
    ("evaluate", "reports/${key}/history.csv"): "the recorder reads it",
    ("plot", "reports/${key}/predictions.csv"): "the recorder reads it; a regression is plotted from it",
    ("prepare", "data/raw/${key}"): "contains the data card, even if the data comes from elsewhere",
}
"""What a stage may declare without reading it, and why."""

USED_BY_SOME_CHOICES = (
    "src/retrain/data/downloads.py",
    "src/retrain/data/encoders/_ngrams.py",
    "src/retrain/data/encoders/_ragged.py",
    "src/retrain/data/encoders/_text.py",
    "src/retrain/data/report_csv.py",
    "src/retrain/data/reading",
    "src/retrain/data/sources",
    "src/retrain/evaluation/reference.py",
    "src/retrain/models/linear.py",
    "src/retrain/threads.py",
)
"""Modules that a stage declares for every dataset, although only some choices import them."""
HIDDEN = "hidden by retrain audit"
"""Replaces parameters that a stage must not need; no parameter has this value."""


@dataclass(frozen=True)
class Disagreement:
    """A disagreement between dvc.yaml and a stage."""

    stage: Stage
    fact: str
    hint: str
    lines: tuple[str, ...]
    """List items to add to dvc.yaml or to remove."""

    def __str__(self) -> str:
        """A sentence, followed by the lines."""
        items = "".join(f"\n        - {line}" for line in self.lines)
        return f"{self.stage.name} {self.fact}; {self.hint}{items}"


def undeclared_files(stage: Stage, read: frozenset[str], made: Iterable[str], block: Any) -> list[Disagreement]:
    """What a stage reads and does not declare.

    Args:
        stage: the stage as declared.
        read: the files and folders that it was seen to read.
        made: the outputs of all stages; a file inside an output is declared by that output.
        block: the dataset's parameters.
    """
    # These folders are searched for leftovers of killed processes.
    tidied = {PurePosixPath(output).parent.as_posix() for output in stage.outputs}
    modules = [path for path in read if path.endswith(".py")]
    packages = [f"{package_folder(package)}/name.py" for package in params.CHOICES.values()]  # listed to check a name
    harmless = {params.FILE, *map(module_path, CANNOT_CHANGE_RESULTS), *parents([*modules, *packages]), *tidied}
    missing = {path for path in read - harmless if not within(path, (*stage.dependencies, *stage.outputs))}
    named = {next((out for out in made if within(path, [out])), path) for path in missing}
    hint = f"add to the deps of '{stage.script}' in {FILE}:"
    return [
        Disagreement(stage, f"reads {path} and does not declare it", hint, (templated(path, stage, block),))
        for path in sorted(named)
    ]


def unused_files(stage: Stage, read: frozenset[str], block: Any) -> list[Disagreement]:
    """What a stage declares and does not read."""
    lines = {path: templated(path, stage, block) for path in stage.dependencies}
    hint = f"remove from the deps of '{stage.script}' in {FILE}:"
    return [
        Disagreement(stage, f"declares {path} and does not read it", hint, (line,))
        for path, line in lines.items()
        if (stage.script, line) not in READ_BY_NO_CODE
        and not within(path, USED_BY_SOME_CHOICES)
        and not any(within(other, [path]) for other in read)
    ]


def undeclared_outputs(stage: Stage, wrote: frozenset[str], block: Any) -> list[Disagreement]:
    """What a stage writes in addition to its outputs."""
    hint = f"add to the outs of '{stage.script}' in {FILE}:"
    return [
        Disagreement(stage, f"writes {path} and does not declare it", hint, (templated(path, stage, block),))
        for path in sorted(wrote)
        if not within(path, stage.outputs)
    ]


def sections(
    stage: Stage, parameters: Mapping[str, Any], gives_the_same: Callable[[Sequence[str]], bool]
) -> list[Disagreement]:
    """Wrongly declared parameters, found by hiding the others from the stage.

    Args:
        stage: the stage as declared.
        parameters: the content of params.yaml.
        gives_the_same: whether the stage writes the same bytes with only the files that it was seen to read, and with
            these keys of params.yaml hidden.
    """
    rest = list(undeclared_keys(parameters, stage.sections))
    # Defaults are not asked for: a block may set all of them itself.
    own = [key for key in stage.sections if not key.startswith(f"{params.DEFAULTS}.")]
    unused = [unused_section(stage, key) for key in own if gives_the_same([key])]
    if gives_the_same(rest):
        return unused
    if not gives_the_same([]):
        fact = "writes different bytes when only the files that it was seen to read exist"
        return [
            *unused,
            Disagreement(stage, fact, "make it deterministic, and let it not depend on whether a file exists", ()),
        ]
    alone = that_matter(rest, gives_the_same)
    return [*unused, *(undeclared_section(stage, key) for key in alone or rest)]


def that_matter(keys: Sequence[str], gives_the_same: Callable[[Sequence[str]], bool]) -> list[str]:
    """Those of some keys that alone make a difference when they are hidden. All of them together make one.

    Where all keys of a half make none, none of them does: a stage need not run for each.
    """
    if len(keys) == 1:
        return list(keys)
    middle = len(keys) // 2
    halves = [half for half in (keys[:middle], keys[middle:]) if not gives_the_same(half)]
    return [key for half in halves for key in that_matter(half, gives_the_same)]


def undeclared_section(stage: Stage, key: str) -> Disagreement:
    """A section of params.yaml that a stage reads and does not declare."""
    hint = f"add to the params of '{stage.script}' in {FILE}:"
    fact = f"reads {key} of {params.FILE} and does not declare it"
    return Disagreement(stage, fact, hint, (templated_key(key, stage),))


def unused_section(stage: Stage, key: str) -> Disagreement:
    """A section of params.yaml that a stage declares and does not need."""
    hint = f"remove from the params of '{stage.script}' in {FILE}:"
    fact = f"declares {key or 'all'} of {params.FILE} and does not read it"
    return Disagreement(stage, fact, hint, (templated_key(key, stage) or params.FILE,))


def within(path: str, paths: Iterable[str]) -> bool:
    """Whether a path is one of these paths or inside one of them."""
    return any(PurePosixPath(path).is_relative_to(where) for where in paths)


def module_path(name: str) -> str:
    """The file of one of our modules."""
    path = f"src/{name.replace('.', '/')}"
    return f"{path}/__init__.py" if name == "retrain" else f"{path}.py"


def parents(modules: Iterable[str]) -> set[str]:
    """The folders that Python lists to find modules."""
    return {str(folder) for module in modules for folder in PurePosixPath(module).parents}


def templated(path: str, stage: Stage, block: Any) -> str:
    """A path with dvc.yaml's templates: `${key}` for the dataset, and the parameter that chooses a module."""
    if not stage.dataset:
        return path
    for parameter, package in params.CHOICES.items():
        folder = package_folder(package)
        if path == f"{folder}/{params.value_at(block, parameter)}.py":
            return f"{folder}/${{item.{parameter}}}.py"
    return "/".join("${key}" if part == stage.dataset else part for part in path.split("/"))


def package_folder(package: str) -> str:
    """The folder of a package."""
    return f"src/{package.replace('.', '/')}"


def templated_key(key: str, stage: Stage) -> str:
    """A key of params.yaml with dvc.yaml's template for the dataset."""
    return re.sub(rf"^datasets\.{re.escape(stage.dataset)}(?=\.|$)", "datasets.${key}", key) if stage.dataset else key


def undeclared_keys(parameters: Mapping[str, Any], declared: Iterable[str], prefix: str = "") -> Iterator[str]:
    """The keys of params.yaml that contain no declared key; their children are not listed."""
    for name, value in parameters.items():
        key = f"{prefix}{name}"
        if key in declared or EVERYTHING in declared:
            continue
        if any(other.startswith(f"{key}.") for other in declared) and isinstance(value, Mapping):
            yield from undeclared_keys(value, declared, f"{key}.")
        else:
            yield key


def with_hidden(params_yaml: str, keys: Sequence[str]) -> str:
    """A params.yaml with some keys hidden; unchanged without keys."""
    if not keys:
        return params_yaml
    text = StringIO()
    yaml_files.round_trip().dump(hiding(load(params_yaml), keys), text)
    return text.getvalue()


def load(params_yaml: str) -> dict[str, Any]:
    """The content of a params.yaml."""
    parameters: dict[str, Any] = yaml_files.safe().load(params_yaml)
    return parameters


def hiding(parameters: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """Parameters with some of them hidden."""
    hidden = dict(parameters)
    if EVERYTHING in keys:
        return dict.fromkeys(hidden, HIDDEN)
    for key in keys:
        name, _, rest = key.partition(".")
        hidden[name] = hiding(hidden[name], [rest]) if rest else HIDDEN
    return hidden
