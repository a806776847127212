"""`retrain verify`: a result is run again from nothing and compared with what was promised."""

import json
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from retrain.commands import verify
from retrain.data import tables
from retrain.pipeline import clean_clone, dvc_cache, dvc_lock
from retrain.pipeline.comparison import Status

import numpy as np
import pytest
from ruamel.yaml import YAML
from safetensors.numpy import load_file, save_file
from support.project import Finished, Project

pytestmark = pytest.mark.slow


@pytest.fixture
def colleague(pair_project, tmp_path) -> Project:
    """A clone of a finished project: the repository, and no output but what git keeps."""
    folder = tmp_path / "a clone"
    subprocess.run(["git", "clone", "-q", pair_project.folder, folder], check=True)
    return Project(folder)


@pytest.fixture
def room(tmp_path, monkeypatch) -> Path:
    """Where temporary clones are made; nothing may be left in it."""
    folder = tmp_path / "temporary files"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def promise(folder: Path, stages: list[str], digests: dict[str, str]) -> None:
    """Write a dvc.lock that has these stages alone, with other digests for some outputs."""
    path = folder / "dvc.lock"
    lock = YAML(typ="safe").load(path.read_text())
    lock["stages"] = {name: lock["stages"][name] for name in stages}
    for out in (out for stage in lock["stages"].values() for out in stage["outs"]):
        out["md5"] = digests.get(out["path"], out["md5"])
    with path.open("w") as file:
        YAML(typ="safe").dump(lock, file)


def results(ended: Finished) -> dict[str, str]:
    """The result of every output, by its path, from the lines of the table."""
    rows = [line.split(maxsplit=2) for line in ended.stdout.splitlines() if "@" in line.split(" ")[0]]
    return {path: result for _, path, result in rows}


def test_colleague_gets_same_bytes(colleague, tmp_path, room):
    nowhere = str(tmp_path / "nowhere")
    ended = colleague.run(
        f"{Path(sys.executable).parent}/retrain", "verify", "tiny_numbers", PATH="/usr/bin:/bin", TMPDIR=str(room),
        MLFLOW_TRACKING_URI=f"sqlite:///{nowhere}.db", DVC_STAGE="train@x", GIT_DIR=nowhere, PYTHONSAFEPATH="1",
    )  # fmt: skip
    assert ended.returncode == 0, ended.said
    assert len(results(ended)) == 11
    assert set(results(ended).values()) == {"identical"}
    commit = colleague.run("git", "rev-parse", "--short", "HEAD").stdout.strip()
    assert ended.stdout.splitlines()[-1] == f"Verified (commit {commit}). Outputs: 11 identical."
    assert "Changed since" not in ended.stdout
    assert colleague.run("git", "status", "--porcelain", "--ignored").stdout == ""
    assert list(room.iterdir()) == []
    assert not Path(f"{nowhere}.db").exists()


def test_last_bit_is_noted(pair, room, capfd):
    rows = pair.folder / "data" / "tiny_numbers" / "prepared" / "rows.parquet"
    table = tables.read_parquet(rows, "")
    table.loc[7, "y"] = np.nextafter(table.loc[7, "y"], np.inf)
    tables.write_parquet(rows, table)
    moved = dvc_cache.folder_digest(dvc_cache.listing(rows.parent))
    promise(pair.folder, ["prepare@tiny_numbers"], {"data/tiny_numbers/prepared": moved})
    pair.commit()
    (pair.folder / "notes.txt").touch()
    ended = pair.retrain_with_children(capfd, "verify")
    assert ended.returncode == 0, ended.said
    assert "uncommitted changes" not in ended.stderr
    assert "dvc push" not in ended.said
    assert "To track the changes with git" not in ended.said
    assert results(ended) == {"data/tiny_numbers/prepared": "equal within 1e-05"}
    assert "    rows.parquet: y[7]: " in ended.stdout
    assert "; 1 of 480 values differ" in ended.stdout
    assert "    nothing  libraries, inputs and parameters are the same" in ended.stdout
    assert ended.stdout.splitlines()[-1].endswith("). Outputs: 1 equal within 1e-05.")
    assert list(room.iterdir()) == []


def test_difference_fails_with_causes(pair, room, capfd):
    """DVC has the rows, which are in its cache alone."""
    raw = pair.folder / "data" / "raw" / "tiny_numbers" / "rows.csv"
    lines = raw.read_text().splitlines()
    raw.write_text("\n".join([lines[0], "0.5,0.5,0.5,77.5", *lines[2:]]) + "\n")
    promise(pair.folder, ["prepare@tiny_numbers"], {})
    assert pair.run("git", "rm", "-q", "--cached", str(raw)).returncode == 0
    pair.track(str(raw))
    pair.commit()
    raw.unlink()
    (pair.folder / "src" / "prepare.py").write_text("raise SystemExit('this is not committed')")
    (pair.folder / "src" / "retrain" / "models" / "losses" / "mine.py").touch()
    ended = pair.retrain_with_children(capfd, "verify", "tiny_numbers")
    assert ended.returncode == 1
    assert results(ended) == {"data/tiny_numbers/prepared": "different"}
    assert "    rows.parquet: y[0]: " in ended.stdout
    assert "    inputs  data/raw/tiny_numbers changed" in ended.stdout
    assert "    training" not in ended.stdout  # no stage that trains is promised
    assert "    processor  " in ended.stdout
    assert "verify: src/prepare.py, src/retrain/models/losses/mine.py are not committed\n" in ended.stderr
    assert "verify: uncommitted changes are ignored (to list them: git status)" in ended.stderr
    assert ended.stdout.splitlines()[-1].startswith("Not verified (commit ")
    assert ended.stdout.splitlines()[-1].endswith("). Outputs: 1 different.")
    assert list(room.iterdir()) == []
    shutil.rmtree(pair.folder / ".dvc/cache")
    said = pair.retrain_here("verify").stderr.splitlines()[-1]
    rows = "data/raw/tiny_numbers/rows.csv"
    assert said == f"Error: {rows} is not in DVC's cache; run: dvc pull {rows}.dvc"
    assert list(room.iterdir()) == []


def test_recorded_files_are_found(pair):
    earlier, name = pair.folder / "models" / "tiny_numbers", "models/tiny_numbers"
    metrics, history = "reports/tiny_numbers/metrics.json", "reports/tiny_numbers/history.csv"
    with clean_clone.cloned(pair.folder) as clone:
        then = dvc_lock.read(clone.folder).of(["tiny_numbers"])
        shutil.copytree(earlier, clone.folder / name)
        weights = load_file(earlier / "model.safetensors")
        weights["output.bias"] = np.nextafter(weights["output.bias"], np.float32(np.inf))
        save_file(weights, clone.folder / name / "model.safetensors")
        figures = json.loads((clone.folder / metrics).read_text())
        figures["test"]["rmse"] += 1e-9
        (clone.folder / metrics).write_text(json.dumps(figures))
        promise(clone.folder, list(then.stages), dict.fromkeys([name, metrics, history], "0" * 32))
        now = dvc_lock.read(clone.folder).of(["tiny_numbers"])
        for path in (earlier, pair.folder / "reports"):
            shutil.rmtree(path)
        outcomes = {outcome.path: outcome for outcome in verify.compared(clone, then, now, tolerance=1e-5)}
    assert {path: outcome.status for path, outcome in outcomes.items() if outcome.status is not Status.IDENTICAL} == {
        name: Status.EQUAL, metrics: Status.EQUAL, history: Status.DIFFERENT,
    }  # fmt: skip
    assert outcomes[name].findings[0].detail.startswith("model.safetensors: output.bias[0]: ")
    assert outcomes[metrics].findings[0].detail.startswith("test.rmse: ")
    assert outcomes[history].findings[0].detail == "was not written"


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.campaign)])
def test_interrupted_verify_leaves_nothing(colleague, room, number):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs, and their children, ignore it
    process = subprocess.Popen(
        ["retrain", "verify", "tiny_numbers"], cwd=colleague.folder, env=colleague.environment | {"TMPDIR": str(room)},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for line in process.stderr:
        if line.startswith("> python3 src/prepare.py"):
            break
    assert list(room.iterdir()) != []
    process.send_signal(number)
    process.stderr.read()  # ends when the last process that can write to it has ended
    process.stderr.close()
    assert process.wait(timeout=60) == 128 + number
    assert list(room.iterdir()) == []


def test_verify_errors_are_one_line(colleague, room, tmp_path):
    promise(colleague.folder, ["prepare@tiny_numbers"], {})
    colleague.commit()
    params = colleague.params()
    params["datasets"]["tickets"] = params["datasets"]["tiny_sign"]
    colleague.write_params(params)
    elsewhere = Project(tmp_path)
    for project, arguments, error in (
        (colleague, ["tiny_numbrs"], "Error: params.yaml: datasets: unknown dataset 'tiny_numbrs'; did you mean 'tiny_numbers'?"),
        (colleague, ["tickets"], "Error: the params.yaml of the last commit has no dataset 'tickets'; commit it first"),
        (colleague, ["tiny_sign"], "dvc.lock has no results for tiny_sign in commit "),
        (elsewhere, [], "; run this in the project's folder"),
    ):  # fmt: skip
        ended = project.retrain_here("verify", *arguments)
        assert ended.exit_code == 1
        assert ended.stdout == ""
        assert error in ended.stderr
        assert ended.stderr.startswith("Error: ")
        assert ended.stderr.count("\n") == 1
    assert list(room.iterdir()) == []


def test_false_metrics_are_not_verified(pair, room, capfd):
    path = "reports/tiny_sign/metrics.json"
    true = (pair.folder / path).read_text()
    (pair.folder / path).write_text(true + "\n")  # as some programs that format files do
    pair.commit()
    ended = pair.retrain_here("verify", "tiny_sign")
    (error,) = [line for line in ended.stderr.splitlines() if line.startswith("Error: ")]
    assert f": {path} of commit " in error
    assert error.endswith(f" is not the one that dvc.lock records; run: dvc repro plot@tiny_sign; then commit {path}")
    assert "Running stage" not in ended.output
    (pair.folder / path).write_text(true)
    ended = pair.retrain_with_children(capfd, "repro", "tiny_sign")
    assert f"tiny_sign: the results are those of the committed dvc.lock, but {path} was not committed" in ended.stdout
    assert list(room.iterdir()) == []


def test_missing_data_is_found_first(colleague, room):
    for parameter, value in (("location", "http://127.0.0.1:9/rows.csv"), ("sha256", "0" * 64)):
        colleague.set(f"tiny_numbers.prepare.train.{parameter}", value)
    promise(colleague.folder, ["prepare@tiny_numbers"], {})
    colleague.commit()
    ended = colleague.retrain_here("verify")
    assert ended.exit_code == 1
    assert ended.stderr.splitlines()[-1].startswith("Error: http://127.0.0.1:9/rows.csv can't be downloaded (")
    assert "Running stage" not in ended.output


def test_data_that_is_not_committed_is_named(colleague, room):
    promise(colleague.folder, ["prepare@tiny_numbers"], {})
    assert colleague.run("git", "rm", "-q", "--cached", "data/raw/tiny_numbers/rows.csv").returncode == 0
    assert colleague.run("git", "commit", "-qam", "without data").returncode == 0
    ended = colleague.retrain_here("verify")
    assert ended.stderr.splitlines()[-1].endswith(
        " does not have data/raw/tiny_numbers/rows.csv; run: git add --force data/raw/tiny_numbers/rows.csv, "
        "or: dvc add data/raw/tiny_numbers/rows.csv; then commit"
    )


def test_failed_stage_is_named_last(colleague, room, capfd):
    promise(colleague.folder, ["prepare@tiny_numbers"], {})
    (colleague.folder / "data/raw/tiny_numbers/rows.csv").write_text("a,b,c,y\n1,2,x,3\n")
    colleague.commit()
    ended = colleague.retrain_with_children(capfd, "verify")
    assert ended.returncode == 1
    (cause,) = [line for line in ended.stderr.splitlines() if line.startswith("Error: ")]
    assert "rows.csv, line 2, column 'c' holds 'x'" in cause
    assert ended.stderr.splitlines()[-1].startswith("stage prepare@tiny_numbers failed; its message is above")


@pytest.mark.campaign
@pytest.mark.skipif(platform.machine() != "x86_64", reason="other processors than x86-64 have other code paths")
def test_other_processor_is_within_tolerance(finished, room):
    environment = finished.folder / "src" / "retrain" / "environment.py"
    pinned = environment.read_text()
    environment.write_text(pinned.replace('"avx2"', '"default"').replace('"COMPATIBLE"', '"AUTO"'))
    assert environment.read_text() != pinned
    finished.commit()
    ended = finished.run("retrain", "verify", TMPDIR=str(room), timeout=500)
    print(ended.stdout)
    assert ended.returncode == 0, ended.said
    assert len(results(ended)) == 36
    assert "equal within 1e-05" in results(ended).values()
    assert "    inputs  src/retrain/environment.py changed" in ended.stdout
