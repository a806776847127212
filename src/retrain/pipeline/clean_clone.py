"""A commit in a temporary clone, where its pipeline runs again without any cache."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from retrain import environment, git
from retrain.errors import RetrainError, UnavailableError
from retrain.pipeline import availability, dvc_lock, dvc_program, dvc_yaml
from retrain.pipeline.dvc_cache import OutputFinder

__all__ = ["Clone", "cloned", "run"]


@dataclass(frozen=True)
class Clone:
    """A temporary clone of a commit."""

    workspace: Path
    """The project that was cloned."""
    temporary: Path
    """The folder that holds everything below, and is deleted at the end."""
    folder: Path
    """The project in the clone; the repository may contain more than the project."""
    committed: Path
    """Copies of the outputs that git stores; running the pipeline replaces those in `folder`."""
    commit: str


@contextmanager
def cloned(workspace: Path) -> Iterator[Clone]:
    """Clone the last commit of a project's repository into a temporary folder, which is deleted at the end."""
    with TemporaryDirectory(prefix="retrain-verify-") as name:
        top, below = (
            git.text(workspace, "rev-parse", f"--show-{what}").rstrip("\n") for what in ("toplevel", "prefix")
        )
        repository, committed = Path(name, "repository"), Path(name, "committed")
        folder = repository / below
        options = {"core.autocrlf": "false", "protocol.file.allow": "always"}  # hardened machines allow no local clone
        settings = [f"--config={name}={value}" for name, value in options.items()]
        git.run(workspace, "clone", "--quiet", "--template=", *settings, top, str(repository), seconds=None)
        for path in dvc_lock.read(folder).outputs():
            if (folder / path).is_file():
                (committed / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / path, committed / path)
        yield Clone(workspace, Path(name), folder, committed, git.text(folder, "rev-parse", "--short", "HEAD").strip())


def run(clone: Clone, datasets: list[str], stages: list[str]) -> None:
    """Run stages in the clone without using or filling a cache.

    Raises:
        RetrainError: data is unavailable now, or DVC fails.
        SystemExit: a stage fails; what it printed says why.
    """
    dvc_yaml.check(clone.folder)
    bring_added_data(clone, datasets)
    for name in datasets:
        require_data(clone, name)
    downloads = environment.root() / ".retrain" / "downloads"
    if downloads.exists():  # their SHA-256 is checked at every use
        (clone.folder / ".retrain").mkdir()
        (clone.folder / ".retrain" / "downloads").symlink_to(downloads.resolve())
    settings = "[cache]\n    dir = cache\n"  # its own cache, even if the project shares one
    (clone.folder / ".dvc" / "config.local").write_text(settings, encoding="utf-8")
    leftovers = clone.temporary / "leftovers"
    leftovers.mkdir()
    variables = git.own_variables() | {
        # The clone has no .venv/: its `python3` is the interpreter that runs this.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "RETRAIN_TRACKING": "off",
        # Files that libraries write elsewhere are deleted with the clone.
        "DVC_SITE_CACHE_DIR": str(leftovers),
        "TMPDIR": str(leftovers),
    }
    dvc_program.repro(clone.folder, variables, sys.stderr.fileno(), "--force", "--no-commit", *stages)


def bring_added_data(clone: Clone, datasets: list[str]) -> None:
    """Copy the files of datasets that are in the commit as `.dvc` files only; they are in DVC's cache or in the working tree.

    Raises:
        UnavailableError: one is in neither.
    """
    if not any((clone.folder / "data").rglob("*.dvc")):  # so that DVC is not loaded for nothing
        return
    pipeline = dvc_yaml.read(clone.folder)
    needed = [path for stage in pipeline.stages if stage.dataset in datasets for path in stage.dependencies]
    finder = OutputFinder.of(clone.workspace)
    for path, digest in pipeline.added.items():
        if any(dvc_yaml.overlap(path, other) for other in needed):
            contents = finder.contents(path, digest) or {}
            found = {place: source for place, own in contents.items() if (source := finder.file(place, own))}
            if not found or len(found) < len(contents):
                raise UnavailableError(path, "is not in DVC's cache", f"run: dvc pull {path}.dvc")
            for place, source in found.items():
                (clone.folder / place).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, clone.folder / place)


def require_data(clone: Clone, dataset: str) -> None:
    """Raise UnavailableError before anything runs; other errors are left to the commit's own code."""
    try:
        availability.ensure_available(clone.folder, dataset)
    except UnavailableError as error:
        if not (clone.workspace / error.where).is_file():
            raise
        hint = f"run: git add --force {error.where}, or: dvc add {error.where}; then commit"
        raise UnavailableError(f"commit {clone.commit}", f"does not have {error.where}", hint) from None
    except RetrainError:
        return
