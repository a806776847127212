"""`make repro` as a newcomer meets it: what it runs, leaves out and says."""

import socket

import pytest
from support.project import files_section

pytestmark = pytest.mark.slow


@pytest.fixture
def closed_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def add_remote_dataset(project, port: int) -> None:
    params = project.params()
    prepare = files_section("remote", {"text": "text", "topic": "text"}, "topic")
    prepare["train"] = {"location": f"http://127.0.0.1:{port}/rows.csv", "sha256": "0" * 64}
    params["datasets"]["remote"] = params["datasets"]["tiny_news"] | {"prepare": prepare}
    project.write_params(params)
    (project.folder / "data" / "raw" / "remote").mkdir()
    (project.folder / "data" / "raw" / "remote" / "README.md").write_text("# remote\n")


def test_what_cannot_be_had_is_left_out_with_a_reason_and_the_rest_is_shown(finished, closed_port):
    add_remote_dataset(finished, closed_port)
    ended = finished.run("retrain", "repro")
    assert ended.returncode == 0, ended.said
    left_out = [line for line in ended.stderr.splitlines() if "left out" in line]
    assert len(left_out) == 1
    assert left_out[0].startswith("remote is left out: http://127.0.0.1")
    assert "Running stage" not in ended.stdout
    table = [line.split() for line in ended.stdout.splitlines() if line.startswith("tiny_")]
    assert {(row[0], row[1]) for row in table} >= {
        ("tiny_news", "accuracy"), ("tiny_sign", "macro_f1"), ("tiny_numbers", "r2"), ("tiny_length", "rmse"),
    }  # fmt: skip
    assert "reports/tiny_news/" in ended.stdout
    assert "make ui" in ended.stdout


def test_where_nothing_can_be_had_nothing_is_run(project, closed_port):
    add_remote_dataset(project, closed_port)
    project.write_params({"datasets": {"remote": project.params()["datasets"]["remote"]}})
    ended = project.run("retrain", "repro")
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == "Error: repro: no dataset can be had; see above"
    assert ended.stdout == ""


def test_a_dataset_that_is_named_must_be_had(finished, closed_port):
    add_remote_dataset(finished, closed_port)
    ended = finished.run("retrain", "repro", "remote")
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"Error: http://127.0.0.1:{closed_port}/rows.csv: can't be downloaded")
    assert finished.run("retrain", "repro", "tiny_sign").returncode == 0


def test_a_failing_stage_fails_the_command(finished):
    (finished.folder / "data" / "raw" / "tiny_sign" / "rows.csv").write_text("a,b,c,sign\n1,2,x,plus\n")
    ended = finished.run("retrain", "repro", "tiny_sign")
    assert ended.returncode == 1
    assert "Error: data/raw/tiny_sign/rows.csv, line 2, column 'c': 'x' is not a finite number" in ended.stderr
    assert "(DVC deleted the previous outputs; restore them with: dvc checkout prepare@tiny_sign)" in ended.stderr
    assert finished.run("dvc", "checkout", "prepare@tiny_sign").returncode == 0
    assert (finished.folder / "data" / "tiny_sign" / "prepared" / "rows.parquet").exists()


def test_a_script_finds_the_environment_of_the_project_when_another_python_runs_it(finished, tmp_path):
    (finished.folder / ".venv").symlink_to(sys_prefix())
    bare = finished.environment | {"PATH": "/usr/bin:/bin"}
    finished.environment.clear()
    finished.environment.update(bare)
    ended = finished.run("/usr/bin/env", "python3", "src/plot.py", "--dataset", "tiny_sign")
    assert ended.returncode == 0, ended.said


def sys_prefix() -> str:
    """The environment that runs the tests."""
    import sys

    return sys.prefix
