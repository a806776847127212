"""Outputs are replaced as a whole or not at all; reading errors are sentences."""

import os
import subprocess
import sys
from pathlib import Path

from retrain import files
from retrain.errors import RetrainError

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


def test_outputs_are_replaced_together(outputs, tmp_path):
    with files.replacing(*outputs) as drafts:
        write(*drafts)
        assert set(content(tmp_path).values()) == {"old", "new"}
    assert content(tmp_path) == {"models/mine/weights": "new", "history[1].csv": "new"}


@pytest.mark.parametrize("gone", [0, 1])
def test_failed_replacement_changes_nothing(outputs, tmp_path, gone):
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


def test_failed_replacement_leaves_no_new_folders(tmp_path):
    (tmp_path / "exports").mkdir()
    outputs = [tmp_path / "exports" / "mine" / "deep" / name for name in ("a", "b")]
    with pytest.raises(FileNotFoundError), files.replacing(*outputs) as (first, _):
        first.write_text("new")
    assert [path.name for path in tmp_path.rglob("*")] == ["exports"]


REPLACING = """
import resource, sys
from pathlib import Path
from retrain import files
output = Path(sys.argv[1])
with files.replacing(output) as (draft,):
    draft.write_text("new")
    files.draft_of(output, ".earlier").touch()  # so that the link fails, as where the file system has none
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
"""


def test_full_disk_without_links_damages_nothing(tmp_path):
    output = tmp_path / "large"
    output.write_text("old" * 100)
    subprocess.run([sys.executable, "-c", REPLACING, str(output)], check=False)
    assert content(tmp_path) == {"large": "new"}


def test_leftovers_of_killed_process(outputs, tmp_path):
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


def make_nothing(path: Path) -> None:
    """Leave the path free."""


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


def make_link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def make_damaged(path: Path) -> None:
    path.write_bytes(b"\xff")


def make_deep(path: Path) -> None:
    path.write_text("[" * 100_000)


@pytest.mark.parametrize(
    ("make", "fact"),
    [
        (make_nothing, "does not exist; hint"),
        (Path.mkdir, "is a folder, not a file; hint"),
        (make_pipe, "is not a regular file; hint"),
        (make_dangling_link, "is not a regular file; hint"),
        (make_link_to_itself, "is not a regular file; hint"),
        (make_damaged, "is not a readable JSON file (expected value at line 1 column 1); hint"),
        (make_deep, "is not a readable JSON file (recursion limit exceeded at line 1 column 202); hint"),
    ],
)
def test_reading_errors_are_sentences(tmp_path, make, fact):
    path = tmp_path / "value.json"
    make(path)
    with pytest.raises(RetrainError) as error:
        files.read_json(path, "hint")
    assert str(error.value) == f"{path} {fact}"


@pytest.mark.parametrize("text", ["NaN", "-Infinity", '"\\ud800"', "1" + "0" * 1_000_000, "{} {}", "\0{}", "[1,]"])
def test_json_is_strict(tmp_path, text):
    (tmp_path / "value.json").write_text(text)
    with pytest.raises(RetrainError, match="is not a readable JSON file"):
        files.read_json(tmp_path / "value.json", "hint")


def test_failed_write_says_what_to_do(tmp_path):
    path = tmp_path / "gone" / "value.json"
    with pytest.raises(RetrainError) as error:
        files.write_json(path, 1)
    expected = "can't be written (No such file or directory); check the path; what was there before has not changed"
    assert str(error.value) == f"{path} {expected}"


def test_no_permission_is_named(tmp_path):
    def read() -> None:
        with files.reading(tmp_path / "a", "text", "hint"):
            raise PermissionError(13, "Permission denied")

    with pytest.raises(RetrainError) as error:
        read()
    assert (
        str(error.value) == f"{tmp_path}/a can't be read (Permission denied); check its permissions: ls -l {tmp_path}/a"
    )


def test_other_errors_pass(tmp_path):
    with pytest.raises(KeyError), files.reading(tmp_path / "a", "text", "hint"):
        raise KeyError
    with (
        pytest.raises(RetrainError, match="is not a readable text"),
        files.reading(tmp_path / "a", "text", "hint", KeyError),
    ):
        raise KeyError
