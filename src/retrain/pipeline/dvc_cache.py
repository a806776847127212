"""DVC's cache, which stores files and folders under their MD5."""

import functools
import hashlib
import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from retrain.errors import RetrainError
from retrain.files import md5
from retrain.pipeline import dvc_yaml

__all__ = ["FOLDER", "OutputFinder", "digest", "folder_digest", "listing", "put_back"]


FOLDER = ".dir"
"""Suffix of a folder's digest, which is the digest of the list of its files."""


@dataclass(frozen=True)
class OutputFinder:
    """Finds recorded outputs: in DVC's cache by their digest, in folders by their path."""

    cache: Path
    folders: tuple[Path, ...]

    @classmethod
    def of(cls, workspace: Path, *others: Path) -> "OutputFinder":
        """A finder that looks in a project's cache, in other folders, and in the project."""
        return cls(cache_folder(workspace), (*others, workspace))

    def contents(self, path: str, digest: str) -> dict[str, str] | None:
        """The digests of the files of an output by their paths: of the output itself, or of those in a folder; None if that is not found."""
        if not digest.endswith(FOLDER):
            return {path: digest}
        found = self.listing(path, digest)
        return None if found is None else {f"{path}/{name}": own for name, own in found.items()}

    def file(self, path: str, digest: str) -> Path | None:
        """A file with that digest, or None."""
        paths = [self.in_cache(digest), *(folder / path for folder in self.folders)]
        return next((found for found in paths if found.is_file() and md5(found) == digest), None)

    def listing(self, path: str, digest: str) -> dict[str, str] | None:
        """The digests of a folder's files by their paths in it, or None if the folder is not found."""
        cached = self.in_cache(digest)
        if cached.is_file() and f"{md5(cached)}{FOLDER}" == digest:
            return {entry["relpath"]: entry["md5"] for entry in json.loads(cached.read_text(encoding="utf-8"))}
        listings = (listing(folder / path) for folder in self.folders)
        return next((found for found in listings if folder_digest(found) == digest), None)

    def lacks(self, path: str, digest: str) -> bool:
        """Whether an output, or a file of it, is not found."""
        contents = self.contents(path, digest)
        return contents is None or not all(self.file(place, own) for place, own in contents.items())

    def in_cache(self, digest: str) -> Path:
        """The path in DVC's cache for a digest."""
        return self.cache / digest[:2] / digest[2:]


@functools.cache
def cache_folder(workspace: Path) -> Path:
    """The folder of DVC's cache in which files are named by their MD5. The configuration may have moved it.

    Raises:
        RetrainError: the configuration can't be read.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with closing(Repo(str(workspace))) as repo:
            return Path(repo.cache.local.path)
    except DvcException as error:
        fact = f"can't be found ({' '.join(str(error).split())})"
        raise RetrainError("DVC's cache", fact, "correct .dvc/config, then run: dvc cache dir") from None


def put_back(workspace: Path, outputs: Mapping[str, str]) -> list[str]:
    """Copy outputs that DVC's cache has lost into it again, where they are as dvc.lock records them; returns their paths.

    Args:
        workspace: the project's folder.
        outputs: the paths and digests of some of the outputs in its dvc.lock.
    """
    cache, everywhere = OutputFinder(cache_folder(workspace), ()), OutputFinder.of(workspace)
    lost = {path: digest for path, digest in outputs.items() if cache.lacks(path, digest)}
    here = {path for path, digest in lost.items() if not everywhere.lacks(path, digest)}
    if not here:
        return []
    from dvc.repo import Repo

    done = []
    with closing(Repo(str(workspace))) as repo, repo.lock:
        for out in repo.index.outs:
            path = dvc_yaml.local_path(out)
            if path in here and out.use_cache and out.hash_info.value == outputs[path]:
                out.commit(relink=False)
                done.append(path)
    return done


def listing(folder: Path) -> dict[str, str]:
    """The digests of a folder's files by their paths in it."""
    return {path.relative_to(folder).as_posix(): md5(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def folder_digest(files: Mapping[str, str]) -> str:
    """The digest that DVC gives a folder with these files."""
    entries = [{"md5": digest, "relpath": name} for name, digest in sorted(files.items())]
    return digest(json.dumps(entries, sort_keys=True).encode()) + FOLDER


def digest(content: bytes) -> str:
    """The MD5 of some bytes, under which DVC stores a file."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
