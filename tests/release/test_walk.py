"""The script of docs/how-to/release.md: from `make repro` to an answer over HTTP."""

import json
import os
import platform
import re
import shutil
import sys
from pathlib import Path

from retrain.release import ledger

import pytest
from support.environments import NEWER, many_at_once, umask
from support.project import copy_of_repository
from support.servers import free_port

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed, and pip has no package of it"),
]

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "release.md"


def test_walk_answers_as_its_page_says(tmp_path):
    """The results of its first line are the committed ones, where almost everything else is different."""
    page = PAGE.read_text(encoding="utf-8")
    script = re.search(r"```sh\n(.*?)```", page, re.DOTALL)[1].replace("5005", str(free_port()))
    promised = re.search(r"The last answer is `(.*)`\.", page)[1]
    project = copy_of_repository(tmp_path / "données à moi, 数据")
    (project.folder / ".venv").symlink_to(sys.prefix)
    for name in ("requirements.lock", "pyproject.toml"):
        os.utime(project.folder / name, (0, 0))  # make installs again if they are newer
    first, others = script.split("\n", maxsplit=1)
    comparable = platform.machine() == "x86_64"  # other processors give other last bits
    ended = project.run(*umask("077"), "bash", "-ec", first, **(many_at_once(tmp_path) if comparable else {}))
    assert ended.returncode == 0, ended.said
    assert ended.stdout.count("Running stage '") == 5
    if comparable:
        assert project.run("git", "status", "--porcelain").stdout == "", NEWER
    ended = project.run("bash", "-ec", f"set -m\n{others}")
    assert ended.returncode == 0, ended.said
    assert json.loads(ended.stdout.splitlines()[-1]) == json.loads(promised)
    assert [entry["event"] for entry in ledger.read(project.folder, "diabetes")] == ["gate", "promoted"]
    assert project.run("git", "status", "--porcelain").stdout == ""
