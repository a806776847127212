"""A commit in a temporary clone, where its pipeline runs again from nothing."""

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from retrain import environment, git, processes
from retrain.errors import RetrainError, UnavailableError
from retrain.pipeline import availability, dvc_lock


@dataclass(frozen=True)
class Clone:
    """A temporary clone of a commit, beside the workspace that it was made from."""

    workspace: Path
    folder: Path
    committed: Path
    """Outputs that git keeps, as the commit has them; running the pipeline replaces those in `folder`."""
    commit: str


@contextmanager
def cloned(workspace: Path) -> Iterator[Clone]:
    """A clone of a repository's commit in a temporary folder, which goes away whatever happens."""
    with TemporaryDirectory(prefix="retrain-verify-") as name:
        folder, committed = Path(name, "repository"), Path(name, "committed")
        options = ["--quiet", "--template=", "--config=core.autocrlf=false"]
        git.run(workspace, "clone", *options, str(workspace), str(folder), seconds=None)
        for path in dvc_lock.read(folder).outputs():
            if (folder / path).is_file():
                (committed / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / path, committed / path)
        yield Clone(workspace, folder, committed, git.text(folder, "rev-parse", "--short", "HEAD").strip())


@functools.cache
def cache_folder(workspace: Path) -> Path:
    """Where a repository's DVC keeps its cache, which its configuration may have moved."""
    asked = [sys.executable, "-m", "dvc", "cache", "dir"]
    ended = subprocess.run(asked, cwd=workspace, env=git.own_variables(), capture_output=True, text=True, check=False)
    return Path(ended.stdout.strip() or workspace / ".dvc" / "cache")


def run(clone: Clone, datasets: list[str], stages: list[str]) -> None:
    """Run stages in the clone, whatever has run before, and put nothing into a cache.

    Raises:
        RetrainError: rows can't be had now, or a stage fails.
    """
    for name in datasets:
        fetch(clone, name)
    downloads = environment.root() / ".retrain" / "downloads"
    if downloads.exists():  # named by their SHA-256, which is checked at every use: what comes from them is no result
        (clone.folder / ".retrain").mkdir()
        (clone.folder / ".retrain" / "downloads").symlink_to(downloads.resolve())
    # A cache of its own, also where the repository's DVC shares one; and no advice to commit what goes away.
    settings = "[cache]\n    dir = cache\n[core]\n    autostage = true\n"
    (clone.folder / ".dvc" / "config.local").write_text(settings, encoding="utf-8")
    leftovers = clone.folder.parent / "leftovers"
    leftovers.mkdir()
    variables = git.own_variables() | {
        # The clone has no .venv/: its `python3` is the interpreter that runs this.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        # What libraries write elsewhere goes away with the clone.
        "DVC_SITE_CACHE_DIR": str(leftovers),
        "TMPDIR": str(leftovers),
    }
    repro = [sys.executable, "-m", "dvc", "repro", "--force", "--no-commit", *stages]
    if processes.run_to_completion(repro, clone.folder, variables, sys.stderr.fileno()):
        raise RetrainError("verify", f"a stage of commit {clone.commit} failed", "see above")


def fetch(clone: Clone, dataset: str) -> None:
    """Find out before anything runs that rows can't be had; other errors are left to the stage, as the commit has it."""
    try:
        availability.fetch(clone.folder, dataset)
    except UnavailableError:
        raise
    except RetrainError:
        return
