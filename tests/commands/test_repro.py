"""`retrain repro`: what it runs, leaves out and prints."""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import version

from retrain import params, yaml_files
from retrain.pipeline.dvc_program import FailedStage, write_lock_faster

import pytest
from support import servers
from support.errors import error_line
from support.project import REPOSITORY, files_section, write_yaml

pytestmark = pytest.mark.slow


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port on which nothing listens."""
    with servers.closed_port() as port:
        yield port


def add_remote_dataset(project, port: int) -> None:
    params = project.params()
    prepare = files_section("remote", {"a": "number", "sign": "text"}, "sign")
    prepare["train"] = {"location": f"http://127.0.0.1:{port}/rows.csv", "sha256": "0" * 64}
    params["datasets"]["remote"] = params["datasets"]["tiny_sign"] | {"prepare": prepare}
    project.write_params(params)
    (project.folder / "data" / "raw" / "remote").mkdir()
    (project.folder / "data" / "raw" / "remote" / "README.md").write_text("# remote\n")


def test_unavailable_dataset_is_left_out_and_a_removed_one_leaves_dvc_lock(pair, closed_port, capfd):
    lock = yaml_files.parsed((pair.folder / "dvc.lock").read_bytes(), "dvc.lock")
    earlier = {f"{stage}@removed": lock["stages"][f"{stage}@tiny_sign"] for stage in params.STAGES}
    write_yaml(pair.folder / "dvc.lock", {**lock, "stages": lock["stages"] | earlier})
    said = pair.retrain_here("status")
    assert said.exit_code == 1
    assert said.stdout == "removed is in dvc.lock, but not in params.yaml: `make repro` removes its stages\n"
    add_remote_dataset(pair, closed_port)
    ended = pair.retrain_with_children(capfd, "repro")
    assert ended.returncode == 0, ended.said
    assert "dvc.lock: removed the stages of removed, which is not in params.yaml\n" in ended.stderr
    left_out = [line for line in ended.stderr.splitlines() if "left out" in line]
    assert len(left_out) == 1
    assert left_out[0].startswith("remote is left out: http://127.0.0.1")
    assert "Running stage" not in ended.stdout
    table = [line.split() for line in ended.stdout.splitlines() if line.startswith("tiny_")]
    assert {(row[0], row[1]) for row in table} >= {
        ("tiny_sign", "accuracy"), ("tiny_sign", "macro_f1"), ("tiny_numbers", "r2"), ("tiny_numbers", "rmse"),
    }  # fmt: skip
    assert "reports/tiny_sign/" in ended.stdout
    assert "make ui" in ended.stdout
    assert "tiny_sign: the results are identical to the committed ones." in ended.stdout
    assert re.search(r"^tiny_sign: .* on \d+ test rows, baseline ", ended.stdout, re.MULTILINE)
    assert "remote" not in ended.stdout
    pair.remove("remote")
    assert pair.retrain_here("status").exit_code == 0


def test_nothing_available_runs_nothing(project, closed_port):
    add_remote_dataset(project, closed_port)
    project.write_params({"datasets": {"remote": project.params()["datasets"]["remote"]}})
    ended = project.retrain_here("repro")
    assert ended.exit_code == 1
    assert (
        ended.stderr.splitlines()[-1]
        == "Error: params.yaml has no dataset whose data is available; the lines above say what each one needs"
    )
    assert ended.stdout == ""


def test_named_dataset_must_be_available(pair, closed_port):
    add_remote_dataset(pair, closed_port)
    ended = pair.retrain_here("repro", "remote")
    assert ended.exit_code == 1
    assert ended.stderr.startswith(f"Error: http://127.0.0.1:{closed_port}/rows.csv can't be downloaded")


def test_decimal_in_place_of_a_whole_number(pair, capfd):
    """DVC takes 5.0 for the 5 of dvc.lock, and would run nothing."""
    pair.set("tiny_sign.train.network.hidden", 5.0)
    wrong = "params.yaml: datasets.tiny_sign.train.network.hidden is 5.0, but must be a whole number; correct the value"
    ended = pair.retrain_here("repro", "tiny_sign")
    assert (ended.exit_code, ended.stderr) == (1, f"Error: {wrong}\n")
    ended = pair.retrain_with_children(capfd, "repro")
    assert ended.returncode == 1
    assert f"tiny_sign is left out: {wrong}\n" in ended.stderr
    assert "tiny_numbers: the results are identical to the committed ones." in ended.stdout


def test_project_of_another_user(pair):
    as_others = ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []  # root may write everywhere
    pair.folder.chmod(0o555)
    try:
        ended = pair.run(*as_others, "retrain", "repro", "tiny_sign")
    finally:
        pair.folder.chmod(0o755)
    assert ended.returncode == 1
    assert error_line(ended.stderr).startswith(f"{pair.folder} can't be written (permission denied); ")


def test_changed_result_is_compared_without_tracking(pair, capfd):
    """The stages that have no part in it have run before, and are `true` when DVC runs them."""
    before = pair.runs("tiny_sign")
    pair.set("tiny_sign.train.loop.epochs", 1)
    with (pair.folder / "data/raw/tiny_sign/rows.csv").open("a") as file:
        file.writelines(f"{100 + number},0.{number},0.5,positive\n" for number in range(1, 9))
    pair.stages("prepare split train evaluate plot", "tiny_sign")
    pipeline = pair.folder / "dvc.yaml"
    pipeline.write_text(re.sub(r"python3 src/(split|evaluate|plot)\.py .*", "'true'", pipeline.read_text()))
    ended = pair.retrain_with_children(capfd, "repro", "tiny_sign")
    assert ended.returncode == 0, ended.said
    assert [line.split("'")[1] for line in ended.stdout.splitlines() if line.startswith("Running stage '")] == [
        "prepare@tiny_sign", "split@tiny_sign", "train@tiny_sign", "evaluate@tiny_sign", "plot@tiny_sign",
    ]  # fmt: skip
    odd = [
        "column 'a': 8 of 8 new rows, such as 101, are far from the earlier rows",
        "column 'sign': 8 of 8 new rows have 'positive', which no earlier row has",
    ]
    compared = pair.retrain_here("compare", "HEAD", "--dataset", "tiny_sign").stdout
    for said, start in (
        (ended.stderr, "Warning: tiny_sign: "),
        (ended.stdout, "tiny_sign: ! "),
        (compared, "! workspace: "),
    ):
        lines = [line.removeprefix(start) for line in said.splitlines() if line.startswith(f"{start}column ")]
        assert [line[: len(fact)] for line, fact in zip(lines, odd, strict=True)] == odd
    again = pair.retrain_with_children(capfd, "repro", "tiny_sign")  # as after an interruption
    assert again.returncode == 0, again.said
    assert [line for line in again.stderr.splitlines() if odd[1] in line]
    assert not pair.recorders()
    assert pair.runs("tiny_sign") == before
    assert "tiny_sign: the results differ from the committed ones in data/tiny_sign/prepared, " in ended.stdout
    assert "To track the changes with git" not in ended.stdout
    assert "dvc push" not in ended.stdout


def test_push_is_advised_with_remote_and_unreadable_locks_are_removed(pair, tmp_path, closed_port, capfd):
    """A stage whose command is another one has to run; `true` takes no time."""
    add_remote_dataset(pair, closed_port)  # that another one is not available is no matter
    with (pair.folder / ".dvc/config").open("a") as config:
        config.write(f"['remote \"mine\"']\n    url = {tmp_path / 'remote'}\n")
    (pair.folder / ".dvc/tmp/rwlock").write_text('{"wri')
    pipeline = pair.folder / "dvc.yaml"
    pipeline.write_text(re.sub(r"python3 src/plot\.py .*", "'true'", pipeline.read_text()))
    ended = pair.retrain_with_children(capfd, "repro", "tiny_sign")
    assert ended.returncode == 0, ended.said
    assert "removed .dvc/tmp/rwlock, which can't be read" in ended.stderr
    assert "Use `dvc push`" in ended.stdout


def test_project_without_git(pair):
    shutil.rmtree(pair.folder / ".git")
    ended = pair.retrain_here("repro", "tiny_sign")
    assert ended.exit_code == 1
    assert re.fullmatch(r"Error: /.* is not a git repository, which DVC needs; run: git init .*\n", ended.stderr)


def test_dvc_lock_is_written_as_dvc_writes_it():
    from dvc.utils.serialize import _yaml

    write_lock_faster()
    lock, commented, empty = (
        (REPOSITORY / "dvc.lock").read_text(),
        "stages: {}  # none\n",
        "schema: '2.0'\nstages: {}\n",
    )
    for path, text in (("dvc.lock", lock), ("dvc.lock", empty), ("dvc.yaml", commented)):
        assert _yaml.dumps_yaml(_yaml.parse_yaml_for_update(text, path)) == text
    for was, now in (
        ("nfiles: 1\n", "nfiles: 2\n"),
        ("train@diabetes", "train@renamed"),
    ):  # lines of stages are known by now
        lock = lock.replace(was, now)
        assert _yaml.dumps_yaml(_yaml.parse_yaml_for_update(lock, "dvc.lock")) == lock


def test_error_of_dvc_is_shown(pair, capfd):
    content = (pair.folder / "dvc.yaml").read_text()
    (pair.folder / "dvc.yaml").write_text(
        content.replace("        - src/plot.py", "        - src/plot.py\n        - nowhere")
    )
    ended = pair.retrain_with_children(capfd, "repro", "tiny_sign")
    assert ended.returncode == 1
    assert "nowhere" in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("Error: dvc repro failed with exit code ")


def test_missing_packages_and_early_interruptions_are_one_line(pair):
    ended = pair.run(sys.executable, "-S", "src/train.py", "--dataset", "tiny_sign", PYTHONPATH="")
    assert ended.returncode == 1
    assert re.fullmatch(
        r"Error: the project's packages are not installed for this Python \(.* has no \w+\); run: make setup\n",
        ended.stderr,
    )
    interrupted = "import sys; sys.argv[0] = 'retrain'; import retrain; raise KeyboardInterrupt"
    ended = pair.run(sys.executable, "-c", interrupted)
    assert ended.stderr == "retrain: interrupted before its start\n"
    assert ended.returncode != 0


def test_failed_stage_is_named(pair, capfd):
    prepared = pair.folder / "data" / "tiny_sign" / "prepared" / "rows.parquet"
    before = prepared.read_bytes()
    (pair.folder / "data" / "raw" / "tiny_sign" / "rows.csv").write_text("a,b,c,sign\n1,2,x,plus\n")
    ended = pair.retrain_with_children(capfd, "repro", "tiny_sign")
    assert ended.returncode == 1
    assert (
        "Error: data/raw/tiny_sign/rows.csv, line 2, column 'c' holds 'x', which is not a finite number" in ended.stderr
    )
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("stage prepare@tiny_sign failed; its message is above")
    assert ended.stderr.count("Error: ") == 1
    assert "ERROR" not in ended.stderr
    assert prepared.read_bytes() == before


def test_killed_stage_is_told(pair, capfd):
    path = pair.folder / "dvc.yaml"
    command = "python3 src/plot.py --dataset ${key}"
    path.write_text(path.read_text().replace(command, "kill -9 $$"))
    ended = pair.retrain_with_children(capfd, "repro", "tiny_sign")
    assert ended.returncode == 1
    how = "was killed (signal 9), perhaps for lack of memory"
    assert ended.stderr.splitlines()[-1] == f"stage plot@tiny_sign {how}; the same command continues it"
    assert "ERROR" not in ended.stderr


@pytest.mark.parametrize(
    ("status", "how"),
    [
        (1, "failed; its message is above; to try it alone, run: dvc repro plot@x"),
        (139, "failed; its message is above; to try it alone, run: dvc repro plot@x"),
        (137, "was killed (signal 9), perhaps for lack of memory; the same command continues it"),
        (-9, "was killed (signal 9), perhaps for lack of memory; the same command continues it"),
        (-11, "was killed (signal 11); the same command continues it"),
    ],
)
def test_end_of_a_stage_is_told(status, how):
    failed = FailedStage()
    failed.name, failed.status = "plot@x", status
    assert str(failed) == f"stage plot@x {how}"


def test_other_libraries_are_told(pair):
    (pair.folder / "requirements.lock").write_text("torch==0.1  # via retrain\n")
    told = f"torch is {version('torch')} (requirements.lock says 0.1); run: make setup\n"
    ended = pair.stage_here("split", "tiny_sign", RETRAIN_TRACKING="off")
    assert (ended.exit_code, ended.stderr) == (0, f"Warning: split tiny_sign: {told}")
    assert pair.retrain_here("status", "tiny_sign").stderr.startswith(f"Warning: {told}")


def test_script_finds_project_environment(pair, tmp_path):
    (pair.folder / ".venv").symlink_to(sys_prefix())
    bare = pair.environment | {"PATH": "/usr/bin:/bin"}
    pair.environment.clear()
    pair.environment.update(bare)
    ended = pair.run("/usr/bin/env", "python3", "src/split.py", "--dataset", "tiny_sign")
    assert ended.returncode == 0, ended.said


def sys_prefix() -> str:
    """The environment that runs the tests."""
    return sys.prefix
