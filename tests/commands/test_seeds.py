"""`retrain seeds`: several trainings beside the project's own result."""

import json
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from retrain.commands import repro

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def room(tmp_path) -> Path:
    """Where the trainings run; nothing may be left in it."""
    folder = tmp_path / "temporary files"
    folder.mkdir()
    return folder


def test_seeds_and_shares(pair, room, monkeypatch, capfd):
    monkeypatch.setattr(tempfile, "tempdir", str(room))
    before = pair.runs("tiny_numbers")
    arguments = ("seeds", "tiny_numbers", "-n", "2", "--fractions", "0.5")
    ended = pair.retrain_here(*arguments)
    assert ended.exit_code == 0, ended.output
    reports = pair.folder / "reports" / "tiny_numbers"
    found = json.loads((reports / "seeds.json").read_text())
    half, whole = found["shares"]
    assert [run["seed"] for run in whole["runs"]] == [1, 2]
    assert whole["runs"][0]["metrics"] == json.loads((reports / "metrics.json").read_text())["test"]
    assert whole["runs"][0]["metrics"] != whole["runs"][1]["metrics"]
    rmse, spread = [run["metrics"]["rmse"] for run in whole["runs"]], whole["spread"]["rmse"]
    assert (spread["least"], spread["largest"]) == (min(rmse), max(rmse))
    assert spread["mean"] == pytest.approx(sum(rmse) / 2)
    assert spread["deviation"] == pytest.approx(abs(rmse[0] - rmse[1]) / 2**0.5)
    assert 0.3 < half["rows"] / whole["rows"] < 0.7
    assert [re.split("  +", line)[0] for line in ended.stdout.splitlines() if line] == [
        "seed", "1", "2", "mean", "standard deviation", "least", "largest",
        "Learning curve: mean ± standard deviation", "share", "50 %", "100 %", "wrote reports/tiny_numbers/seeds.json",
    ]  # fmt: skip
    assert capfd.readouterr().err.splitlines()[:4] == [
        "seeds tiny_numbers: seed 1, 50 % of the train rows (1 of 4)",
        "seeds tiny_numbers: seed 2, 50 % of the train rows (2 of 4)",
        "seeds tiny_numbers: seed 1 (3 of 4)",
        "seeds tiny_numbers: seed 2 (4 of 4)",
    ]
    changed = pair.run("git", "status", "--porcelain", "--untracked-files=all").stdout
    assert changed == "?? reports/tiny_numbers/seeds.json\n"
    assert list(room.iterdir()) == []

    *children, parent = pair.runs("tiny_numbers")[: -len(before)]
    assert pair.runs("tiny_numbers")[-len(before) :] == before
    assert {run["status"] for run in (*children, parent)} == {"FINISHED"}
    assert parent["name"] == "seeds 1 to 2, 2 shares of the rows"
    assert parent["artifacts"] == ["seeds.json"]
    assert parent["metrics"]["test/rmse"] == spread["mean"]
    assert "result_sha256" not in children[0]["tags"]
    assert {run["name"]: run["metrics"]["test/rmse"] for run in children} == {
        "seed 1, 50 % of the train rows": half["runs"][0]["metrics"]["rmse"],
        "seed 2, 50 % of the train rows": half["runs"][1]["metrics"]["rmse"],
        "seed 1": rmse[0],
        "seed 2": rmse[1],
    }
    assert {run["tags"]["mlflow.parentRunId"] for run in children} == {parent["id"]}


def test_summary_of_repro_reads_the_spread(pair):
    path = pair.folder / "reports" / "tiny_sign" / "seeds.json"
    ended = pair.retrain_here("seeds", "tiny_sign", "-n", "2", RETRAIN_TRACKING="off")
    assert ended.exit_code == 0, ended.output
    assert len(pair.runs("tiny_sign")) == 1  # recording is off
    content = json.loads(path.read_text())
    content["shares"][0]["spread"]["accuracy"] |= {"deviation": 1.0}
    path.write_text(json.dumps(content))
    (found,) = [line for line in repro.summary(pair.folder, ["tiny_sign"], {}) if "seeds" in line]
    assert found.startswith(
        "tiny_sign: the difference to the reference is smaller than the spread over seeds (accuracy"
    )


def test_seeds_failure_leaves_nothing(pair, room):
    pair.set("tiny_numbers.train.optimizer", {"name": "sgd", "momentum": 0.0, "weight_decay": 0.0})
    pair.set("tiny_numbers.train.loop.learning_rate", 1e30)
    pair.set("tiny_numbers.train.loop.clip_norm", None)
    ended = pair.run("retrain", "seeds", "tiny_numbers", TMPDIR=str(room))
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("Error: params.yaml: datasets.tiny_numbers.train.loop: training ")
    pair.set("tiny_numbers.split.seed", 2)
    changed = pair.retrain_here("seeds", "tiny_numbers")
    assert changed.stderr == (
        "Error: data/tiny_numbers/examples were made with other parameters of split; run: dvc repro split@tiny_numbers\n"
    )
    assert "unknown dataset 'tiny_number'" in pair.retrain_here("seeds", "tiny_number").stderr
    assert pair.retrain_here("seeds", "tiny_sign", "--fractions", "0.1,2").exit_code == 2
    assert not (pair.folder / "reports" / "tiny_numbers" / "seeds.json").exists()
    assert list(room.iterdir()) == []


def test_seeds_interrupted_leave_nothing(pair, room):
    pair.set("tiny_sign.train.loop.epochs", 1_000_000)
    pair.set("tiny_sign.train.loop.patience", 1_000_000)
    process = subprocess.Popen(
        ["retrain", "seeds", "tiny_sign"], cwd=pair.folder, env=pair.environment | {"TMPDIR": str(room)},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr.readline() == "seeds tiny_sign: seed 1 (1 of 5)\n"
    while process.poll() is None and not list(room.rglob("*.checkpoint")):
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    printed = process.stderr.read()  # ends when the last process that can write to it has ended
    assert printed.endswith("To continue, run: retrain seeds tiny_sign\n")
    process.stderr.close()
    assert process.wait(timeout=60) == 128 + signal.SIGTERM
    assert not (pair.folder / "reports" / "tiny_sign" / "seeds.json").exists()
    assert list(room.iterdir()) == []
