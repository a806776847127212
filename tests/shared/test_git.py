"""What errors of git advise."""

import subprocess

from retrain import git
from retrain.errors import RetrainError

import pytest


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
