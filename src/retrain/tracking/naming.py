"""What a run is called, and where its training ran: the changed parameters, the commit, the libraries."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from retrain import git, params, yaml_files
from retrain.errors import RetrainError

import click

__all__ = ["STAGES", "environment_tags", "run_name"]


LIBRARIES = ("torch", "mlflow", "pandas", "numpy", "safetensors")
STAGES = ("prepare", "split", "train")
"""The stages whose parameters a result depends on."""
NAMED = 6
"""Changed parameters in a run's name; a recipe changes more."""
LONGEST_VALUE = 36
"""Characters of a value in a run's name."""


def run_name(dataset: str, facts: Mapping[str, Any]) -> str:
    """The parameters that differ from the committed ones, in words: `learning rate 0.1, hidden 20`.

    MLflow's column shows about 25 characters, and the experiment has the name of the dataset: so the changes come first.

    Args:
        dataset: its name.
        facts: the sections prepare, split and train; anything else in it is left out.
    """
    parameters = params.flat({stage: facts[stage] for stage in STAGES})
    committed = committed_parameters(dataset)
    if not committed:
        return dataset
    changed = [name for name in parameters if committed.get(name) != parameters[name]]
    named = [in_words(name, short(name, parameters), parameters[name]) for name in changed]
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


def committed_parameters(dataset: str) -> dict[str, str]:
    """The parameters in the commit that the workspace, or the DVC experiment, started from; empty outside of git.

    They are flat, such as `train.loop.epochs`.
    """
    committed = f"{os.environ.get('DVC_EXP_BASELINE_REV', 'HEAD')}:./{params.FILE}"
    try:
        content = yaml_files.parsed(git.run(Path(), "show", committed), committed)
        block = content["datasets"][dataset]
        return params.flat({stage: block[stage] for stage in STAGES})
    except (RetrainError, KeyError, TypeError):
        return {}


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
