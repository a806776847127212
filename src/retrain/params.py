"""params.yaml: the datasets and the sections of their stages."""

import importlib.util
import json
import pkgutil
import re
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from retrain import schema
from retrain.errors import RetrainError
from retrain.schema import LONGEST_NAME, NAME, AnySection, Problem, check, nearest, shown
from retrain.yaml_files import load_yaml

__all__ = [
    "CHOICES",
    "DEFAULTS",
    "FILE",
    "GATE",
    "STAGES",
    "check_choices",
    "check_name",
    "choices",
    "choose",
    "content_of",
    "dataset_block",
    "datasets",
    "flat",
    "gate_section",
    "read",
    "section_path",
    "unchecked_block",
    "value_at",
    "with_defaults",
]


STAGES = ("prepare", "split", "train", "evaluate", "plot")
GATE = "gate"
"""The section that no stage reads: a change of it runs nothing again."""
FILE = "params.yaml"
CHOICES = {
    "prepare.source": "retrain.data.sources",
    "split.encoder.name": "retrain.data.encoders",
    "split.task": "retrain.data.tasks",
    "train.network.name": "retrain.models.networks",
    "train.loss.name": "retrain.models.losses",
}
"""The parameters that name a module, and the package of their choices."""
PARTS = {"encoder": "split", "network": "train", "optimizer": "train", "schedule": "train", "loss": "train"}
"""Parts of a section with a `name`, whose parameters `defaults` can give for each name, and the stage that they belong to."""
DEFAULTS = "defaults"
"""The section of params.yaml that holds for all datasets."""
DEVICE = r"con|prn|aux|nul|com[0-9]|lpt[0-9]"
"""Names that Windows reserves."""
KEY = rf"(?=.{{1,{LONGEST_NAME}}}$)\w[\w .:-]*(/\w[\w .:-]*)*"
"""A part of a parameter's name in MLflow, which allows no other characters, and slashes only as in a path."""


def datasets(folder: Path) -> Mapping[str, Any]:
    """The blocks of all datasets in a folder's params.yaml. Only their names are checked.

    Raises:
        RetrainError: the file does not exist, is not valid YAML or has no dataset; or a name is not one that DVC and all
            file systems take, or differs from another one only in case.
    """
    return blocks_in(content_of(folder))


def content_of(folder: Path) -> Any:
    """What a folder's params.yaml holds; raises RetrainError if it does not exist or is not valid YAML."""
    return load_yaml(folder / FILE, FILE, "run this inside the repository")


def blocks_in(content: Any) -> Mapping[str, Any]:
    """The blocks of all datasets in the content of params.yaml; see `datasets`."""
    blocks = content.get("datasets") if isinstance(content, Mapping) else None
    if not isinstance(blocks, Mapping) or not blocks:
        raise RetrainError(FILE, "has no dataset", "add one: retrain add NAME FILE --target COLUMN")
    for name in blocks:
        check_name(name)
    folded = {name.casefold(): name for name in blocks}
    for name in blocks:
        if (other := folded[name.casefold()]) != name:
            fact = f"'{name}' and '{other}' differ only in case, and would share their folders on many disks"
            raise RetrainError(f"{FILE}: datasets", fact, "rename one of them")
    return blocks


def check_name(name: Any) -> None:
    """Raise RetrainError if a dataset can't have this name."""
    if not isinstance(name, str) or not re.fullmatch(NAME, name):
        fact = f"{shown(name)} can't be the name of a dataset, because 'dvc exp run -S' would not take it"
        hint = f"use a letter, then up to {LONGEST_NAME - 1} letters, digits, '_' and '-'"
        raise RetrainError(f"{FILE}: datasets", fact, hint)
    if re.fullmatch(DEVICE, name.casefold()):
        raise RetrainError(f"{FILE}: datasets", f"'{name}' can't be the name of a folder on Windows", "rename it")


def dataset_block(folder: Path, dataset: str) -> Mapping[str, Any]:
    """One dataset's block with the defaults filled in: a mapping with exactly the five stages as keys, without the gate.

    Raises:
        RetrainError: there is no such dataset, or sections are missing or unknown. It names all of them.
    """
    content = content_of(folder)
    return with_defaults(block_in(content, dataset), defaults_in(content))


def block_in(content: Any, dataset: str) -> Mapping[str, Any]:
    """A dataset's block without the defaults; for errors, see `dataset_block`."""
    block, where = unchecked_in(content, dataset), f"{FILE}: datasets.{dataset}"
    if not isinstance(block, Mapping):
        raise RetrainError(where, "is not a mapping", f"give it the sections {', '.join(STAGES)}")
    known = (*STAGES, GATE)
    unknown = [str(name) for name in block if name not in known]
    meant = {schema.nearest_name(name, known) for name in unknown}
    problems = [schema.unknown_name("section", "", name, known) for name in unknown]
    problems += [schema.missing_parameter(stage) for stage in STAGES if stage not in block and stage not in meant]
    if problems:
        raise schema.combined(problems, where)
    return block


def gate_section(folder: Path, dataset: str) -> Any:
    """What params.yaml says of a dataset's gate, with the defaults filled in; None if it says nothing.

    Raises:
        RetrainError: see `dataset_block`.
    """
    content = content_of(folder)
    own, shared = block_in(content, dataset).get(GATE), defaults_in(content).get(GATE)
    return shared if own is None else merged(shared, own)


def defaults_in(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """The section `defaults` of params.yaml; empty if there is none. Only the names in it are checked.

    Raises:
        RetrainError: it is not a mapping, or a name in it is unknown.
    """
    shared = content.get(DEFAULTS) or {}
    known, where = (*STAGES, GATE, *PARTS), f"{FILE}: {DEFAULTS}"
    if not isinstance(shared, Mapping):
        raise RetrainError(where, "is not a mapping", "write a section as in the block of a dataset, such as train: {}")
    if unknown := [str(name) for name in shared if name not in known]:
        raise schema.combined([schema.unknown_name("section", "", name, known) for name in unknown], where)
    return shared


def with_defaults(block: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    """A block with what it does not say itself. A choice, such as an encoder, takes the parameters below its name."""
    sections = {stage: merged(shared.get(stage, {}), block.get(stage, {})) for stage in STAGES}
    for part, stage in PARTS.items():
        own = sections[stage].get(part) if isinstance(sections[stage], Mapping) else None
        name = own.get("name") if isinstance(own, Mapping) else None
        given = value_at(shared, f"{part}.{name}") if isinstance(name, str) else None
        if isinstance(own, Mapping) and isinstance(given, Mapping):
            sections[stage] = {**sections[stage], part: merged(given, own)}
    return sections


def merged(shared: Any, own: Any) -> Any:
    """A section with the defaults that it does not set, in the order of the defaults."""
    if not isinstance(shared, Mapping) or not isinstance(own, Mapping):
        return own
    both = {name: merged(value, own[name]) if name in own else value for name, value in shared.items()}
    return both | {name: value for name, value in own.items() if name not in both}


def unchecked_block(folder: Path, dataset: str) -> Any:
    """What is at one dataset's name; raises RetrainError if there is nothing."""
    return unchecked_in(content_of(folder), dataset)


def unchecked_in(content: Any, dataset: str) -> Any:
    """What is at a dataset's name in the content of params.yaml; raises RetrainError if there is nothing."""
    blocks = blocks_in(content)
    if dataset in blocks:
        return blocks[dataset]
    if dataset in content:
        raise RetrainError(f"dataset '{dataset}'", f"is at the top level of {FILE}", "indent it below 'datasets:'")
    raise RetrainError(f"{FILE}: datasets", f"unknown dataset {shown(dataset)}", nearest(dataset, blocks))


def flat(value: Any, prefix: str = "") -> dict[str, str]:
    """Nested parameters as `train.loop.learning_rate` -> text. A mapping with keys that MLflow rejects is one text."""
    if isinstance(value, Mapping) and all(re.fullmatch(KEY, str(name)) for name in value):
        return {k: v for name, child in value.items() for k, v in flat(child, f"{prefix}{name}.").items()}
    if isinstance(value, list | tuple | Mapping):
        return {prefix[:-1]: json.dumps(value, ensure_ascii=False, sort_keys=True)}
    return {prefix[:-1]: str(value)}


def read(folder: Path, dataset: str, stage: str, model: type[AnySection]) -> AnySection:
    """One stage's section of one dataset.

    Raises:
        RetrainError: see `dataset_block` and `check`.
    """
    return check(dataset_block(folder, dataset)[stage], model, section_path(dataset, stage))


def section_path(dataset: str, stage: str) -> str:
    """How errors name a section: `params.yaml: datasets.diabetes.train`."""
    return f"{FILE}: datasets.{dataset}.{stage}"


def choices(package: str) -> list[str]:
    """The modules of a package that a parameter can name. Those with a leading underscore hold helpers."""
    spec = importlib.util.find_spec(package)  # without importing the package, which may need torch
    folders = spec.submodule_search_locations if spec else None
    return [module.name for module in pkgutil.iter_modules(folders or []) if not module.name.startswith("_")]


def choose(package: str, name: Any, where: str) -> ModuleType:
    """The module that a parameter names: `choose("retrain.data.encoders", "text", ...)`. A new choice is a new file.

    Args:
        package: the package whose modules are the choices.
        name: the parameter's value.
        where: the parameter's path, for the error.

    Raises:
        RetrainError: the parameter is missing, or there is no such module.
    """
    if problem := choice_problem(package, name, ""):
        raise schema.combined([problem], where)
    return importlib.import_module(f"{package}.{name}")


def choice_problem(package: str, name: Any, path: str) -> Problem | None:
    """What is wrong with the name of a module of a package, if anything is."""
    if name is None:
        return schema.missing_parameter(path)
    known = choices(package)
    return None if name in known else schema.unknown_value(path, name, known)


def check_choices(folder: Path, dataset: str) -> None:
    """Check all names of `CHOICES` in a dataset's block.

    `dvc.yaml` uses them in paths. The first stage calls this, because DVC itself only says that a file is missing.

    Raises:
        RetrainError: names are missing, renamed or unknown. It names all of them.
    """
    block = dataset_block(folder, dataset)
    old_names = {f"split.{new}": old for old, new in schema.RENAMED.items() if old.startswith("split.")}
    problems: list[Problem] = []
    for path, package in CHOICES.items():
        name, old = value_at(block, path), old_names.get(path, "")
        if name is None and (value := value_at(block, old)) is not None:
            problems.append(schema.renaming(old, path.removeprefix("split."), value))
        elif name is None and (key := misspelt(block, path)):
            problems.append(schema.unknown_name("parameter", path.rpartition(".")[0], key, [path.rpartition(".")[2]]))
        elif problem := choice_problem(package, name, path):
            problems.append(problem)
    if problems:
        raise schema.combined(problems, f"{FILE}: datasets.{dataset}")


def misspelt(block: Any, path: str) -> str | None:
    """The key next to a missing parameter that is similar to its name, if there is one."""
    section, _, name = path.rpartition(".")
    siblings = value_at(block, section)
    return schema.nearest_name(name, map(str, siblings)) if isinstance(siblings, Mapping) else None


def value_at(block: Any, path: str) -> Any:
    """The value at a path such as `split.encoder.name`, or None if there is none."""
    for name in path.split("."):
        block = block.get(name) if isinstance(block, Mapping) else None
    return block
