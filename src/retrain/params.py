"""params.yaml: the datasets and the sections of their stages."""

import importlib.util
import json
import pkgutil
import re
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from retrain.errors import RetrainError
from retrain.schema import LONGEST_NAME, NAME, AnySection, check, nearest, shown
from retrain.yaml_files import load_yaml

STAGES = ("prepare", "split", "train", "evaluate", "plot")
FILE = "params.yaml"
CHOICES = {
    "prepare.source": "retrain.data.sources",
    "split.encoder.name": "retrain.data.encoders",
    "split.task": "retrain.data.tasks",
    "train.network.name": "retrain.models.networks",
    "train.loss.name": "retrain.models.losses",
}
"""Parameters that name a module, and the package whose modules they choose from."""
KEY = rf"(?=.{{1,{LONGEST_NAME}}}$)\w[\w .:-]*(/\w[\w .:-]*)*"
"""A part of a parameter's name in MLflow, which takes no other signs, and slashes as a normal path has them."""


def datasets(folder: Path) -> Mapping[str, Any]:
    """All dataset blocks of a folder's params.yaml, unchecked below their names.

    Raises:
        RetrainError: the file is missing, no YAML, or holds no dataset.
    """
    content = load_yaml(folder / FILE, FILE, f"it is not in {folder}: run this inside the repository")
    blocks = content.get("datasets") if isinstance(content, Mapping) else None
    if not isinstance(blocks, Mapping) or not blocks:
        raise RetrainError(FILE, "has no dataset", "add one below 'datasets:'")
    return blocks


def dataset_block(folder: Path, dataset: str) -> Mapping[str, Any]:
    """One dataset's block: a mapping with exactly the five stages as keys.

    Raises:
        RetrainError: no such dataset, or a stage's section is missing or misspelt.
    """
    blocks = datasets(folder)
    if dataset not in blocks:
        raise RetrainError(f"{FILE}: datasets", f"unknown dataset '{dataset}'", nearest(dataset, map(str, blocks)))
    if not re.fullmatch(NAME, dataset):
        hint = "use up to 100 letters, digits, '_', '-' and '.', and begin with none of the last two"
        raise RetrainError(f"{FILE}: datasets", f"{shown(dataset)} will not do as a name", hint)
    block = blocks[dataset]
    where = f"{FILE}: datasets.{dataset}"
    if not isinstance(block, Mapping):
        raise RetrainError(where, "is not a mapping", f"give it the sections {', '.join(STAGES)}")
    for name in block:
        if name not in STAGES:
            raise RetrainError(where, f"unknown section '{name}'", nearest(str(name), STAGES))
    for stage in STAGES:
        if stage not in block:
            raise RetrainError(where, f"section '{stage}' is missing", "add it")
    return block


def flat(value: Any, prefix: str = "") -> dict[str, str]:
    """Nested parameters as `train.loop.learning_rate` -> text; a mapping whose keys will not do as names is one text."""
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
    check_choice(package, name, where)
    return importlib.import_module(f"{package}.{name}")


def check_choice(package: str, name: Any, where: str) -> None:
    """Raise RetrainError unless a package has a module of this name; see `choose`."""
    if name is None:
        raise RetrainError(where, "is missing", "add it: parameters have no defaults")
    known = choices(package)
    if name not in known:
        unknown = shown(name).strip("'")
        raise RetrainError(where, f"unknown '{unknown}'", nearest(unknown, known))


def check_choices(folder: Path, dataset: str) -> None:
    """Check all names of `CHOICES` in a dataset's block.

    `dvc.yaml` uses them in paths. The first stage calls this, because DVC itself only says that a file is missing.

    Raises:
        RetrainError: a name is missing or unknown.
    """
    block = dataset_block(folder, dataset)
    for path, package in CHOICES.items():
        check_choice(package, value_at(block, path), f"{FILE}: datasets.{dataset}.{path}")


def value_at(block: Any, path: str) -> Any:
    """The value at a path such as `split.encoder.name`, or None if there is none."""
    for name in path.split("."):
        block = block.get(name) if isinstance(block, Mapping) else None
    return block
