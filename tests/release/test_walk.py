"""The script of docs/how-to/release.md: from `make repro` to an answer over HTTP."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

from retrain.release import ledger

import pytest
from support.project import copy_of_repository
from support.servers import free_port

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed, and pip has no package of it"),
]

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "release.md"


def test_walk_answers_as_its_page_says(tmp_path):
    page = PAGE.read_text(encoding="utf-8")
    script = re.search(r"```sh\n(.*?)```", page, re.DOTALL)[1].replace("5005", str(free_port()))
    promised = re.search(r"The last answer is `(.*)`\.", page)[1]
    project = copy_of_repository(tmp_path / "walk")
    (project.folder / ".venv").symlink_to(sys.prefix)
    for name in ("requirements.lock", "pyproject.toml"):
        os.utime(project.folder / name, (0, 0))  # make installs again if they are newer
    ended = project.run("bash", "-ec", f"set -m\n{script}")
    assert ended.returncode == 0, ended.said
    assert json.loads(ended.stdout.splitlines()[-1]) == json.loads(promised)
    assert [entry["event"] for entry in ledger.read(project.folder, "diabetes")] == ["gate", "promoted"]
    assert project.run("git", "status", "--porcelain").stdout == ""
