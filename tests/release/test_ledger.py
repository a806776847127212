"""The ledger of releases: entries in git, damage, two writers, two branches."""

import json
import subprocess
import sys
from pathlib import Path

from retrain.errors import RetrainError
from retrain.release import ledger

import pytest
from support.project import REPOSITORY

WRITER = """
import sys
from pathlib import Path
from retrain.release import ledger
for number in range(20):
    ledger.append(Path(sys.argv[1]), "homes", "gate", {"writer": sys.argv[2], "number": number})
"""


def lines(folder: Path) -> list[str]:
    return (folder / "releases" / "homes.jsonl").read_text(encoding="utf-8").splitlines()


def test_entries_come_back(tmp_path):
    assert ledger.read(tmp_path, "homes") == []
    first = ledger.append(tmp_path, "homes", "gate", {"answer": "pass", "name": "Zoë"})
    second = ledger.append(tmp_path, "homes", "promoted", {"model_sha256": "ab"})
    assert ledger.read(tmp_path, "homes") == [first, second]
    assert json.loads(lines(tmp_path)[0]) == first
    assert [path.name for path in (tmp_path / "releases").iterdir()] == ["homes.jsonl"]


def test_champion_is_last_promoted():
    promoted = [{"event": "promoted", "model_sha256": name} for name in "ab"]
    assert ledger.champion([]) is None
    assert ledger.champion([*promoted, {"event": "gate"}]) == promoted[1]
    demoted = {"event": "demoted", "model_sha256": "a"}
    assert ledger.champion([*promoted, demoted]) == demoted
    assert ledger.champion([*promoted, {"event": "demoted", "model_sha256": None}]) is None


def test_merged_lines_are_sorted(tmp_path):
    (tmp_path / "releases").mkdir()
    times = ["2026-02-01T00:00:00Z", "2026-01-01T00:00:00Z"]
    text = "\n".join(json.dumps({"event": "gate", "at": at}) for at in times)  # without an end of line
    (tmp_path / "releases" / "homes.jsonl").write_text(text)
    ledger.append(tmp_path, "homes", "gate", {})
    assert [entry["at"] for entry in ledger.read(tmp_path, "homes")][:2] == times[::-1]
    assert len(lines(tmp_path)) == 3


@pytest.mark.parametrize(
    ("line", "fact"),
    [
        ('{"event": "gate", "at": "2026-01-01T00:', "is not JSON"),
        ("<<<<<<< HEAD", "is not JSON"),
        ('{"event": "gate"}', "at is missing"),
        ('{"event": "gat", "at": "2026-01-01T00:00:00Z"}', "unknown 'gat'"),
        ('{"event": "gate", "at": "yesterday"}', "at is the text 'yesterday'"),
        ("[]", "is the list []"),
    ],
)
def test_damaged_line_is_named(tmp_path, line, fact):
    ledger.append(tmp_path, "homes", "gate", {})
    path = tmp_path / "releases" / "homes.jsonl"
    path.write_text(path.read_text() + line + "\n")
    for attempt in (lambda: ledger.read(tmp_path, "homes"), lambda: ledger.append(tmp_path, "homes", "gate", {})):
        with pytest.raises(RetrainError) as caught:
            attempt()
        said = str(caught.value).replace(", line 2: ", ", line 2 ")
        assert said.startswith("releases/homes.jsonl, line 2")
        assert fact in said
        assert "git checkout releases/homes.jsonl" in said


def test_two_writers(tmp_path):
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, tmp_path, name]) for name in "ab"]
    assert [writer.wait() for writer in writers] == [0, 0]
    entries = ledger.read(tmp_path, "homes")
    assert sorted((entry["writer"], entry["number"]) for entry in entries) == [
        (name, number) for name in "ab" for number in range(20)
    ]


def test_git_joins_two_branches(tmp_path):
    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    (tmp_path / ".gitattributes").write_bytes((REPOSITORY / ".gitattributes").read_bytes())
    ledger.append(tmp_path, "homes", "gate", {"branch": "main"})
    git("add", ".gitattributes", "releases")
    git("commit", "-qm", "first")
    for branch in ("one", "two"):
        git("checkout", "-q", "-b", branch, "main")
        ledger.append(tmp_path, "homes", "gate", {"branch": branch})
        git("commit", "-qam", branch)
    git("merge", "-q", "one", "-m", "both")
    assert {entry["branch"] for entry in ledger.read(tmp_path, "homes")} == {"main", "one", "two"}


@pytest.mark.parametrize("dataset", ["../news", "a/b", ""])
def test_names_are_not_paths(tmp_path, dataset):
    for use in (ledger.read, lambda *where: ledger.append(*where, "gate", {})):
        with pytest.raises(RetrainError, match="can't be the name of a dataset"):
            use(tmp_path, dataset)
    assert list(tmp_path.iterdir()) == []
