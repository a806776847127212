"""Git, run as a program: the only module that calls it."""

import os
import re
import subprocess
from pathlib import Path

from retrain.errors import RetrainError

__all__ = ["content", "own_variables", "run", "text"]


FOREIGN = (
    "DVC_", "GIT_ALTERNATE_OBJECT", "GIT_COMMON_DIR", "GIT_DIR", "GIT_INDEX_FILE", "GIT_NAMESPACE", "GIT_OBJECT",
    "GIT_PREFIX", "GIT_WORK_TREE", "MLFLOW_", "PYTHONSAFEPATH",
)  # fmt: skip
"""Prefixes of environment variables that would lead to another repository, store, cache or code."""
SECONDS = 30
"""How long git may take for what is asked here, except for a clone."""
TRUST = re.compile(r"git config --global --add safe\.directory .*")
"""What git advises for a repository of another user: for a clone, it names the folder `.git` in it."""
NO_COMMIT = re.compile(r"\bHEAD\b|single revision")
"""What git says of a repository without a commit."""


def own_variables() -> dict[str, str]:
    """The environment without the variables that lead elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}


def run(folder: Path, *arguments: str, seconds: float | None = SECONDS) -> bytes:
    """Run git in a folder and return its output.

    Raises:
        RetrainError: git is not installed or fails; the error holds the last line of its message.
    """
    where = f"git {arguments[0]}"
    try:
        ended = subprocess.run(
            ["git", *arguments], cwd=folder, env=own_variables(), capture_output=True, check=False, timeout=seconds
        )
    except FileNotFoundError:
        raise RetrainError("git", "is not installed", "install git, then try again") from None
    except subprocess.TimeoutExpired:
        raise RetrainError(where, f"takes longer than {seconds} seconds", "check the disk, then try again") from None
    if ended.returncode:
        raise failure(where, folder, ended.stderr.decode(errors="replace"))
    return ended.stdout


def content(folder: Path, commit: str, path: str) -> bytes | None:
    """What a file has in a commit; None if the commit has no such file. Raises RetrainError like `run`."""
    if not run(folder, "ls-tree", "--name-only", commit, path):
        return None
    return run(folder, "show", f"{commit}:./{path}")


def text(folder: Path, *arguments: str) -> str:
    """The output of `run` as text."""
    return run(folder, *arguments).decode(errors="replace")


def failure(where: str, folder: Path, message: str) -> RetrainError:
    """The error for a message of git, with the command that solves the usual problems."""
    lines = message.strip().splitlines() or ["no message"]
    fact = f"fails ({next((line for line in lines if line.startswith(('fatal:', 'error:'))), lines[-1])})"
    if advised := TRUST.search(message):
        return RetrainError(where, fact, f"run: {advised[0]}")
    if "not a git repository" in message:
        make = "run this in a git repository; to make one: git init && git add --all && git commit"
        is_project = (folder / "dvc.yaml").exists()
        return RetrainError(where, fact, make if is_project else "run this in the project's folder")
    if NO_COMMIT.search(message):
        return RetrainError(where, fact, "make a commit first: git add --all && git commit")
    return RetrainError(where, fact, "correct that, then try again")
