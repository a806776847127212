"""Stages run in several folders, one after the other in a single process: `python -m retrain.pipeline.stage_runs`.

So the libraries are imported once. The folders are projects of their own, so nothing of the workspace changes.
"""

import importlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrain import environment, git, params, processes, yaml_files
from retrain.pipeline import dvc_yaml

import click

__all__ = ["Work", "make_project", "run"]


@dataclass(frozen=True)
class Work:
    """Stages to run in a folder."""

    folder: Path
    stages: tuple[str, ...]
    title: str
    """What a line says before they run; empty for no line."""


def make_project(folder: Path, dataset: str, block: dict[str, Any], inputs: Sequence[Path]) -> None:
    """Make a folder in which stages of one dataset can run.

    Args:
        folder: the new folder.
        dataset: its name.
        block: its complete block of params.yaml.
        inputs: folders of `data/<dataset>/`, which are linked and not copied.
    """
    data = folder / "data" / dataset
    data.mkdir(parents=True)
    for path in inputs:
        (data / path.name).symlink_to(path.resolve())
    with (folder / params.FILE).open("w", encoding="utf-8") as stream:
        yaml_files.round_trip().dump({"datasets": {dataset: block}}, stream)
    (folder / dvc_yaml.FILE).write_text("stages: {}\n", encoding="utf-8")


def run(dataset: str, works: Sequence[Work]) -> None:
    """Run all works without recording to MLflow; lines and errors go to standard error, what stages print nowhere.

    Raises:
        SystemExit: a stage fails; what it printed says why.
    """
    listed = json.dumps([[str(work.folder), work.stages, work.title] for work in works])
    paths = [str(environment.SCRIPTS), os.environ.get("PYTHONPATH")]
    variables = git.own_variables() | {
        "RETRAIN_TRACKING": "off",
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }
    command = [sys.executable, "-m", "retrain.pipeline.stage_runs", dataset, listed]
    with Path(os.devnull).open("wb") as nowhere:
        code = processes.run_to_completion(command, works[0].folder, variables, nowhere.fileno())
    if code:
        sys.exit(code)


def main(dataset: str, works: str) -> None:
    """Run the works that `run` lists; their stages are the scripts in `src/`."""
    for folder, stages, title in json.loads(works):
        os.chdir(folder)
        if title:
            click.echo(title, err=True)
        for stage in stages:
            importlib.import_module(stage).main(["--dataset", dataset], standalone_mode=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
