"""What a run is called, and where its training ran: parameters, commit and libraries."""

import os
import subprocess
from collections.abc import Iterable, Mapping

from retrain import params, yaml_files
from retrain.errors import RetrainError

LIBRARIES = ("torch", "mlflow", "pandas", "numpy", "safetensors")
STAGES = ("prepare", "split", "train")
"""Those whose parameters a result depends on."""
NAMED = 6
"""Changed parameters that stand in a run's name; a recipe changes more."""
LONGEST_VALUE = 36
"""Characters of a value in a run's name."""


def run_name(dataset: str, parameters: Mapping[str, str]) -> str:
    """The dataset and the parameters that differ from the committed ones, the first few: `diabetes learning_rate=0.1`."""
    committed = committed_parameters(dataset)
    changed = {name: value for name, value in parameters.items() if committed and committed.get(name) != value}
    plain = {name: value.replace('"', "").replace(", ", ",") for name, value in changed.items()}
    named = [f"{short(name, parameters)}={shortened(value)}" for name, value in plain.items()]
    more = [f"and {len(named) - NAMED} more"] if len(named) > NAMED else []
    return " ".join([dataset, *named[:NAMED], *more])


def shortened(value: str) -> str:
    """A value, or the beginning of one that is too long for a name."""
    return value if len(value) <= LONGEST_VALUE else f"{value[: LONGEST_VALUE - 1]}…"


def short(parameter: str, parameters: Iterable[str]) -> str:
    """The end of a parameter's path, as far as no other parameter ends like it: `learning_rate`, but `split.seed`."""
    parts = parameter.split(".")
    ends = (".".join(parts[-length:]) for length in range(1, len(parts)))
    alone = (end for end in ends if sum(f".{other}".endswith(f".{end}") for other in parameters) == 1)
    return next(alone, parameter)


def committed_parameters(dataset: str) -> dict[str, str]:
    """The parameters of the commit that the workspace, or the DVC experiment, started from; none outside of git."""
    from ruamel.yaml import YAML

    committed = f"{os.environ.get('DVC_EXP_BASELINE_REV', 'HEAD')}:{params.FILE}"
    try:
        content = yaml_files.parsed(git("show", committed).encode(), committed, YAML(typ="safe"))
        block = content["datasets"][dataset]
        return params.flat({stage: block[stage] for stage in STAGES})
    except (RetrainError, KeyError, TypeError):
        return {}


def environment_tags() -> dict[str, str]:
    """Where a training ran: true of it, and not of a result that was found later."""
    from importlib.metadata import version

    commit = git("rev-parse", "HEAD").strip() or "none"
    tags = {
        "git_commit": commit,
        "git_dirty": str(bool(git("status", "--porcelain", "--untracked-files=no").strip())).lower(),
        "mlflow.source.git.commit": commit,
        **{f"version.{library}": version(library) for library in LIBRARIES},
    }
    if "DVC_EXP_NAME" in os.environ:
        tags["dvc_experiment"] = os.environ["DVC_EXP_NAME"]
    return tags


def git(*arguments: str) -> str:
    """What git says; nothing where there is no git or no repository."""
    try:
        answer = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout
