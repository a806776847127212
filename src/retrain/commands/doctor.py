"""`retrain doctor`: what this project runs with, for a look at problems and for bug reports."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from retrain import cli, environment, git, params, requirements
from retrain.errors import RetrainError, one_line
from retrain.pipeline import causes, dvc_program

import click

__all__ = ["command"]


GIGABYTE = 1e9
LIBRARIES = ("torch", "numpy", "pandas", "mlflow", "dvc")


@click.command(epilog=cli.examples("retrain doctor"))
@cli.one_line_errors
def command() -> None:
    """Print what the project runs with.

    Versions, device, disk, commit, store, remote and data, in ten lines for a bug report. Changes nothing.
    """
    workspace = environment.workspace()
    for subject, line in lines(workspace):
        click.echo(f"{subject:<10}  {line}")


def lines(workspace: Path) -> Iterator[tuple[str, str]]:
    """The lines, as a subject and what there is to say."""
    yield "retrain", f"{metadata.version('retrain')} in {workspace}"
    yield "python", f"{platform.python_version()} ({sys.executable}) on {platform.system()} {platform.machine()}"
    versions = ", ".join(f"{name} {requirements.installed_version(name) or 'missing'}" for name in LIBRARIES)
    yield "libraries", f"{versions}; {pins(workspace)}"
    yield "processor", f"{os.cpu_count()} cores; {causes.processor()}"
    yield "gpu", ", ".join(causes.gpus()) or "none that torch can use"
    yield "disk", f"{shutil.disk_usage(workspace).free / GIGABYTE:.1f} GB free"
    yield "git", repository(workspace)
    yield "mlflow", runs()
    yield "dvc", remote(workspace)
    yield "data", data(workspace)


def pins(workspace: Path) -> str:
    """Whether the installed libraries are those of requirements.lock."""
    path = workspace / requirements.FILE
    if not path.exists():
        return f"there is no {requirements.FILE}"
    other = list(causes.other_libraries(path.read_text(encoding="utf-8")))
    if other:
        return f"{'; '.join(other)} (to install the pinned ones: make setup)"
    return f"all are as in {requirements.FILE}"


def repository(workspace: Path) -> str:
    """The commit and how many files differ from it."""
    try:
        commit = git.text(workspace, "rev-parse", "--short", "HEAD").strip()
        changed = git.text(workspace, "status", "--porcelain", "--untracked-files=no").splitlines()
    except RetrainError as error:
        return str(error)
    return f"commit {commit}, {len(changed)} changed files"


def runs() -> str:
    """Where runs are recorded."""
    from retrain.tracking import store

    uri, path = os.environ.get("MLFLOW_TRACKING_URI"), environment.root() / "mlflow.db"
    try:
        store.check_uri(uri) if uri else store.check_file(path)
    except RetrainError as error:
        return str(error)
    if uri:
        return f"{one_line(uri)} (MLFLOW_TRACKING_URI)"
    size = f"{path.stat().st_size / 1e6:.1f} MB" if path.exists() else "will be created by the first run"
    return f"{path} ({size})"


def remote(workspace: Path) -> str:
    """DVC's remotes."""
    try:
        listed = dvc_program.output(workspace, "remote", "list")
    except RetrainError as error:
        return one_line(str(error))
    remotes = ", ".join(" ".join(line.split()) for line in listed.splitlines())
    return one_line(remotes) if remotes else "no remote (to add one: dvc remote add --default NAME URL)"


def data(workspace: Path) -> str:
    """Which datasets are prepared, and which need a download first."""
    try:
        blocks = params.datasets(workspace)
    except RetrainError as error:
        return one_line(str(error))
    return ", ".join(f"{name} {state(workspace, str(name), block)}" for name, block in blocks.items())


def state(workspace: Path, dataset: str, block: Any) -> str:
    """How far a dataset's data is available, without a network."""
    from retrain.data.downloads import local_path

    parts = [params.value_at(block, f"prepare.{part}") for part in ("train", "test")]
    needed = {str(part.get("location")): str(part.get("sha256")) for part in parts if isinstance(part, Mapping)}
    for location in needed:
        if "://" not in location and not local_path(location, workspace).exists():
            return f"lacks {location}"
    if (workspace / "data" / dataset / "prepared").exists():
        return "is prepared"
    downloads = environment.root() / ".retrain" / "downloads"
    if all((downloads / sha256).exists() for location, sha256 in needed.items() if "://" in location):
        return "is available"
    return "needs a download"
