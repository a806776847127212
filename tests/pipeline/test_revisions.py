"""Files of a result come from DVC's cache, and stay in the folder that they are copied into."""

import hashlib
import json

from retrain.pipeline.dvc_cache import OutputFinder
from retrain.pipeline.revisions import Revision, collect

import pytest


def cached(cache, content: bytes, ending: str = "") -> str:
    """Put a file into a cache, and return its digest; the listing of a folder has the ending `.dir`."""
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest() + ending
    path = cache / "files" / "md5" / digest[:2] / digest[2:]
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
