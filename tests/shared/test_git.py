"""What errors of git advise, and what git does to files."""

import subprocess
from pathlib import Path

from retrain import git
from retrain.errors import RetrainError

import pytest
from support.project import REPOSITORY


def test_repository_of_another_user_is_named_as_git_does():
    message = "fatal: detected dubious ownership in repository at '/a/.git'\nTo add an exception for this directory, call:\n\n"
    message += "\tgit config --global --add safe.directory /a/.git\nfatal: Could not read from remote repository.\n"
    error = git.failure("git clone", Path("/a"), message)
    assert error.hint == "run: git config --global --add safe.directory /a/.git"


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        ("rev-parse HEAD", "make a commit first: git add --all && git commit"),
        ("ls-tree HEAD", "make a commit first: git add --all && git commit"),
        ("clone nowhere here", "correct that, then try again"),
    ],
)
def test_advice_fits_the_error(tmp_path, command, hint):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    with pytest.raises(RetrainError) as raised:
        git.run(tmp_path, *command.split())
    assert raised.value.hint == hint


@pytest.mark.parametrize("setting", ["true", "input", "false"])
def test_line_ends_are_those_of_the_commit_everywhere(tmp_path, setting):
    files = {".gitattributes": (REPOSITORY / ".gitattributes").read_bytes()}
    files |= {"params.yaml": b"a: 1\nb: 2\n", "data/raw/homes/homes.csv": b"price,rooms\r\n1,2\r\n"}
    own = ["-c", f"core.autocrlf={setting}", "-c", "user.name=A", "-c", "user.email=a@example.org"]
    git.run(tmp_path, "init", "-q", "first")
    for name, content in files.items():
        (tmp_path / "first" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "first" / name).write_bytes(content)
    for command in (["add", "--all"], ["commit", "-qm", "first"]):
        subprocess.run(["git", *own, *command], cwd=tmp_path / "first", check=True)
    subprocess.run(["git", *own, "clone", "-q", "first", "second"], cwd=tmp_path, check=True)
    assert {name: (tmp_path / "second" / name).read_bytes() for name in files} == files
