"""Outputs are replaced whole or not at all, and what a killed process left beside them does not stay."""

import os
import subprocess
import sys
from pathlib import Path

from retrain import files

import pytest


@pytest.fixture
def outputs(tmp_path: Path) -> tuple[Path, Path]:
    """A folder and a file, as they were."""
    model, history = tmp_path / "models" / "mine", tmp_path / "history[1].csv"
    model.mkdir(parents=True)
    (model / "weights").write_text("old")
    history.write_text("old")
    return model, history


def content(folder: Path) -> dict[str, str]:
    """All files below a folder."""
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def write(model: Path, history: Path) -> None:
    model.mkdir()
    (model / "weights").write_text("new")
    history.write_text("new")


def test_outputs_take_their_places_together(outputs, tmp_path):
    with files.replacing(*outputs) as drafts:
        write(*drafts)
        assert set(content(tmp_path).values()) == {"old", "new"}
    assert content(tmp_path) == {"models/mine/weights": "new", "history[1].csv": "new"}


@pytest.mark.parametrize("gone", [0, 1])
def test_where_one_can_not_take_its_place_all_are_as_they_were(outputs, tmp_path, gone):
    def attempt() -> None:
        with files.replacing(*outputs) as drafts:
            write(*drafts)
            files.remove(drafts[gone])

    with pytest.raises(FileNotFoundError):
        attempt()
    assert content(tmp_path) == {"models/mine/weights": "old", "history[1].csv": "old"}
    for output in outputs:
        files.remove(output)
    with pytest.raises(FileNotFoundError):
        attempt()
    assert content(tmp_path) == {}


def test_what_a_killed_process_left_goes_and_what_it_had_set_aside_comes_back(outputs, tmp_path):
    model, history = outputs
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        pass
    living = tmp_path / f".{history.name}.{os.getppid()}.draft"
    living.write_text("of another process")
    (tmp_path / f".{history.name}.{dead.pid}.draft").write_text("half")
    model.rename(model.with_name(f".mine.{dead.pid}.earlier.draft"))
    draft = model.with_name(f".mine.{dead.pid}.draft")
    draft.mkdir()
    with pytest.raises(ZeroDivisionError), files.replacing(*outputs):
        raise ZeroDivisionError
    assert content(tmp_path) == {
        "models/mine/weights": "old",
        "history[1].csv": "old",
        living.name: "of another process",
    }
    assert not draft.exists()
