"""What a run is called, and where its training ran: the changed parameters, the commit, the libraries."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from retrain import git, params, yaml_files
from retrain.errors import RetrainError

import click

__all__ = ["STAGES", "command", "environment_tags", "run_name"]


LIBRARIES = ("torch", "mlflow", "pandas", "numpy", "safetensors")
STAGES = ("prepare", "split", "train")
"""The stages whose parameters a result depends on."""
NAMED = 6
"""Changed parameters in a run's name; a recipe changes more."""
LONGEST_VALUE = 36
"""Characters of a value in a run's name."""
YAML = {"None": "null", "True": "true", "False": "false"}
"""What `params.flat` writes otherwise than YAML."""
PLAIN = r"[\w.+-]+"
"""Values that neither a shell nor DVC reads as something else."""


def run_name(dataset: str, facts: Mapping[str, Any]) -> str:
    """The parameters that differ from the committed ones, in words: `learning rate 0.1, hidden 20`.

    MLflow's column shows about 25 characters, and the experiment has the name of the dataset: so the changes come first.

    Args:
        dataset: its name.
        facts: the sections prepare, split and train; anything else in it is left out.
    """
    changed = changes(dataset, facts, os.environ.get("DVC_EXP_BASELINE_REV", "HEAD"))
    if changed is None:
        return dataset
    parameters = params.flat({stage: facts[stage] for stage in STAGES})
    named = [in_words(name, short(name, parameters), value) for name, value in changed.items()]
    more = [f"and {len(named) - NAMED} more"] if len(named) > NAMED else []
    return ", ".join([*named[:NAMED], *more]) or "as committed"


def in_words(parameter: str, name: str, value: str) -> str:
    """A changed parameter: its short name and its value, or the start of a long value."""
    if parameter.endswith(".sha256"):  # a digest says nothing to a person
        return f"{parameter.split('.')[-2]} file changed"
    words = name.replace(".", " ").replace("_", " ")
    plain = value.translate(str.maketrans("", "", '"[]{}'))
    return f"{words} {plain if len(plain) <= LONGEST_VALUE else f'{plain[: LONGEST_VALUE - 1]}…'}"


def short(parameter: str, parameters: Iterable[str]) -> str:
    """The end of a parameter's path that no other parameter shares: `learning_rate`, but `split.seed`."""
    parts = parameter.split(".")
    ends = (".".join(parts[-length:]) for length in range(1, len(parts)))
    alone = (end for end in ends if sum(f".{other}".endswith(f".{end}") for other in parameters) == 1)
    return next(alone, parameter)


def changes(dataset: str, facts: Mapping[str, Any], revision: str) -> dict[str, str] | None:
    """The parameters that differ from those of a commit, such as `train.loop.epochs`, with their values as text.

    Args:
        dataset: its name.
        facts: the sections prepare, split and train; anything else in it is left out.
        revision: the commit.

    Returns:
        None if the commit or its parameters can't be read.
    """
    file = f"{revision}:./{params.FILE}"
    try:
        content = yaml_files.parsed(git.run(Path(), "show", file), file)
        block = params.with_defaults(content["datasets"][dataset], content.get(params.DEFAULTS) or {})
        committed = params.flat({stage: block[stage] for stage in STAGES})
    except (RetrainError, KeyError, TypeError, AttributeError):
        return None
    parameters = params.flat({stage: facts[stage] for stage in STAGES})
    return {name: value for name, value in parameters.items() if committed.get(name) != value}


def command(dataset: str, facts: Mapping[str, Any], commit: str | None) -> str:
    """How to repeat a training, in Markdown.

    Args:
        dataset: its name.
        facts: the sections prepare, split and train; anything else in it is left out.
        commit: the commit of the training, if it is known.
    """
    if commit is None:
        return f"`dvc repro plot@{dataset}`"
    there, changed = f"`git checkout {commit[:12]}`", changes(dataset, facts, commit)
    values = {name: YAML.get(value, value) for name, value in (changed or {}).items()}
    if changed is None or not all(re.fullmatch(PLAIN, value) for value in values.values()):
        return f"{there}, set the parameters of this run in `params.yaml`, and run `dvc repro plot@{dataset}`"
    sets = "".join(f" -S ++datasets.{dataset}.{name}={value}" for name, value in values.items())
    return f"{there}, then `dvc {f'exp run{sets}' if sets else 'repro'} plot@{dataset}`"


def environment_tags() -> dict[str, str]:
    """Where a training ran: the commit, the DVC experiment, and the versions of libraries.

    If git can't tell the commit, a warning is printed, and the tags do not name it.
    """
    from importlib.metadata import version

    tags = {f"version.{library}": version(library) for library in LIBRARIES}
    try:
        commit = git.text(Path(), "rev-parse", "HEAD").strip()
        tags |= {
            "git_commit": commit,
            "git_dirty": str(bool(git.text(Path(), "status", "--porcelain", "--untracked-files=no").strip())).lower(),
            "mlflow.source.git.commit": commit,
        }
    except RetrainError as error:
        if "not a git repository" not in error.fact:
            click.echo(f"Warning: the run will not name its commit: {error}", err=True)
    if "DVC_EXP_NAME" in os.environ:
        tags["dvc_experiment"] = os.environ["DVC_EXP_NAME"]
    return tags
