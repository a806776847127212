"""What errors of git advise."""

import subprocess
from pathlib import Path

from retrain import git
from retrain.errors import RetrainError

import pytest


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
