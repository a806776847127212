"""Files of a result come from DVC's cache, and stay in the folder that they are copied into."""

import hashlib
import json
import subprocess
from pathlib import Path

from retrain.errors import RetrainError
from retrain.pipeline import clean_clone, revisions
from retrain.pipeline.dvc_cache import OutputFinder
from retrain.pipeline.revisions import Revision, collect

import pytest


def cached(cache, content: bytes, ending: str = "") -> str:
    """Put a file into a cache, and return its digest; the listing of a folder has the ending `.dir`."""
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest() + ending
    path = cache / digest[:2] / digest[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return digest


@pytest.mark.parametrize(("name", "missing"), [("model.json", ""), ("../../../evil", "models/a/../../../evil")])
def test_listings_stay_in_their_folder(tmp_path, name, missing):
    cache, folder = tmp_path / "cache", tmp_path / "some" / "copies"
    listing = json.dumps([{"md5": cached(cache, b"{}"), "relpath": name}]).encode()
    outputs = [("models/a", cached(cache, listing, ".dir"))]
    finder = OutputFinder(cache, ())
    assert collect(outputs, Revision(tmp_path, ""), finder, folder) == missing
    copies = [path.relative_to(tmp_path).as_posix() for path in (tmp_path / "some").rglob("*") if path.is_file()]
    assert copies == ([] if missing else ["some/copies/models/a/model.json"])
    assert not (tmp_path / "evil").exists()


def test_missing_files_are_named(tmp_path):
    assert (
        collect([("models/a", f"{'0' * 32}.dir")], Revision(tmp_path, ""), OutputFinder(tmp_path, ()), tmp_path)
        == "models/a"
    )


@pytest.fixture
def repository(tmp_path) -> Path:
    """A git repository with two commits."""
    folder = tmp_path / "repository"
    subprocess.run(["git", "init", "-q", folder], check=True)
    commit = ["git", "-c", "user.name=A", "-c", "user.email=a", "commit", "-q", "--allow-empty", "-m"]
    for text in ("one", "two"):
        subprocess.run([*commit, text], cwd=folder, check=True)
    return folder


def test_shallow_clone_is_named(repository, tmp_path):
    command = ["git", "clone", "-q", "--depth", "1", repository.as_uri(), "shallow"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert revisions.named(repository, "HEAD~1").commit
    with pytest.raises(RetrainError, match=r"shallow: it lacks earlier commits; run: git fetch --unshallow"):
        revisions.named(tmp_path / "shallow", "HEAD~1")


def test_hardened_git_clones(repository, tmp_path, monkeypatch):
    (tmp_path / "gitconfig").write_text('[protocol "file"]\nallow = never\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    with clean_clone.cloned(repository) as clone:
        assert clone.folder.is_dir()
