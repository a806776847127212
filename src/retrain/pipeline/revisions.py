"""Commits, DVC experiments and the working tree, as places that results are read from."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from retrain import git
from retrain.errors import RetrainError
from retrain.pipeline import dvc_cache, dvc_lock
from retrain.pipeline.dvc_cache import OutputFinder
from retrain.pipeline.dvc_lock import Lock

__all__ = ["WORKSPACE", "Revision", "collect", "content_of", "named"]


WORKSPACE = "workspace"
"""What DVC calls the working tree, too."""
EXPERIMENT = re.compile(r"refs/exps/([0-9a-f]{2}/[0-9a-f]{38})/(.+)")
"""Where DVC keeps an experiment: the commit that it started from, and its name."""


@dataclass(frozen=True)
class Revision:
    """A commit, or the working tree."""

    folder: Path
    commit: str
    """Empty for the working tree."""
    experiment: str = ""
    """The name of the DVC experiment whose commit it is, if it was asked for by that."""

    @property
    def name(self) -> str:
        """Its name in messages."""
        if self.experiment:
            return f"experiment {self.experiment}"
        return f"commit {self.commit[:7]}" if self.commit else "the working tree"

    def read(self, path: str) -> bytes | None:
        """The content of a file that git stores, or None if there is none."""
        if not self.commit:
            return (self.folder / path).read_bytes() if (self.folder / path).is_file() else None
        return git.content(self.folder, self.commit, path)

    def lock(self) -> Lock:
        """Its dvc.lock; raises RetrainError if it is damaged."""
        return dvc_lock.of_commit(self.folder, self.commit) if self.commit else dvc_lock.read(self.folder)

    def stored(self, lock: Lock) -> dict[str, str]:
        """The digests of those outputs of a dvc.lock that git stores, as they are in this commit."""
        paths = lock.outputs()
        names = git.text(self.folder, "ls-tree", "-r", "--name-only", "-z", self.commit, "--", *paths).split("\0")
        found = {path: self.read(path) for path in names if path in paths}
        return {path: dvc_cache.digest(content) for path, content in found.items() if content is not None}

    def another(self, path: str, dataset: str) -> RetrainError:
        """The error for an output in git that is not the one that dvc.lock records."""
        hint = f"run: dvc repro plot@{dataset}{f'; then commit {path}' if self.commit else ''}"
        return RetrainError(f"{path} of {self.name}", "is not the one that dvc.lock records", hint)


def named(folder: Path, text: str) -> Revision:
    """What a user means by `HEAD~1`, `main`, `1a2b3c4`, the name of a DVC experiment, or `workspace`.

    Raises:
        RetrainError: there is no such commit or experiment, or several experiments have that name; or there is no repository.
    """
    if text == WORKSPACE:
        return Revision(folder, "")
    git.run(folder, "rev-parse", "--git-dir")
    try:
        commit = git.text(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{text}^{{commit}}")
        return Revision(folder, commit.strip())
    except RetrainError:
        return experiment(folder, text)


def experiment(folder: Path, name: str) -> Revision:
    """The DVC experiment with a name: that of the last commit if there is one, else the only one."""
    head = git.text(folder, "rev-parse", "HEAD").strip()
    found: dict[str, str] = {}
    for line in git.text(folder, "for-each-ref", "--format=%(objectname) %(refname)", "refs/exps").splitlines():
        commit, _, ref = line.partition(" ")
        match = EXPERIMENT.fullmatch(ref)
        if match and match[2] == name:
            found[match[1].replace("/", "")] = commit
    if not found:
        where, fact = f"revision '{name}'", "is neither a commit nor a DVC experiment"
        if git.text(folder, "rev-parse", "--is-shallow-repository").strip() == "true":
            hint = "run: git fetch --unshallow; in a workflow of GitHub, give actions/checkout fetch-depth: 0"
            raise RetrainError(where, f"{fact} of this clone, which is shallow: it lacks earlier commits", hint)
        raise RetrainError(where, fact, "to list them: git log --oneline; dvc exp list --all-commits")
    if head not in found and len(found) > 1:
        commits = ", ".join(sorted(commit[:7] for commit in found.values()))
        raise RetrainError(f"'{name}'", "is the name of several experiments", f"name a commit: {commits}")
    return Revision(folder, found.get(head, next(iter(found.values()))), name)


def content_of(path: str, digest: str, revision: Revision, finder: OutputFinder) -> bytes | None:
    """A file's content from DVC's cache or the workspace, else from git; None if it is in neither."""
    where = finder.file(path, digest)
    if where:
        return where.read_bytes()
    content = revision.read(path)
    return content if content is not None and dvc_cache.digest(content) == digest else None


def collect(outputs: Iterable[tuple[str, str]], revision: Revision, finder: OutputFinder, folder: Path) -> str:
    """Copy outputs into a folder; returns the path of a file that is missing, or nothing.

    Args:
        outputs: the path and DVC's digest of each.
        revision: where to look besides DVC's cache.
        finder: finds files by digest.
        folder: where to write. A path that leads out of it counts as missing: listings may come from a stranger.
    """
    for output, digest in outputs:
        contents = finder.contents(output, digest)
        if contents is None:
            return output
        for path, own in contents.items():
            target, content = folder / path, content_of(path, own, revision, finder)
            if content is None or not target.resolve().is_relative_to(folder.resolve()):
                return path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    return ""
