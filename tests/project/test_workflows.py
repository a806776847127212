"""CI as its files describe it: pinned, with few rights, bounded in time, and without a second way to run a check."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from support.project import REPOSITORY, copy_of_repository

WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
CI_RUN = REPOSITORY / ".ci" / "run"
PINNED = re.compile(r"uses: [\w-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
INTO_SUMMARY = '>> "$GITHUB_STEP_SUMMARY"'
MAKE = re.compile(r"make (?P<target>[a-z-]+)(?: DATASET=(?P<dataset>\w+))?(?: " + re.escape(INTO_SUMMARY) + ")?")
OTHERS = [
    re.compile(r"git add --intent-to-add \."),
    re.compile(r"git diff --exit-code"),
    re.compile(r"sudo apt-get (update|install --yes strace)"),
    re.compile(r"echo '[^']*' " + re.escape(INTO_SUMMARY)),
]

each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


def content(path: Path) -> dict:
    return YAML(typ="safe").load(path.read_text())


def steps(workflow: dict) -> Iterator[dict]:
    for job in workflow["jobs"].values():
        yield from job["steps"]


def commands(workflow: dict) -> list[str]:
    return [line for step in steps(workflow) for line in step.get("run", "").splitlines()]


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):.*##", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))


def test_there_is_a_workflow_for_changes_and_one_for_the_calendar():
    changes, calendar = (content(REPOSITORY / ".github" / "workflows" / name) for name in ("ci.yml", "retrain.yml"))
    assert set(changes["on"]) == {"push", "pull_request"}
    assert set(calendar["on"]) == {"schedule", "workflow_dispatch"}
    assert calendar["on"]["workflow_dispatch"]["inputs"]["dataset"]["default"] == "all"


@each_workflow
def test_every_action_is_pinned_by_its_commit_with_the_version_beside_it(path):
    lines = [line for line in path.read_text().splitlines() if re.search(r"\buses\b", line)]
    assert len(lines) == sum("uses" in step for step in steps(content(path)))
    assert [line for line in lines if not PINNED.search(line)] == []


def test_an_action_has_one_version_everywhere():
    used = {step["uses"] for path in WORKFLOWS for step in steps(content(path)) if "uses" in step}
    assert len({action.partition("@")[0] for action in used}) == len(used)


@each_workflow
def test_a_workflow_may_read_the_repository_and_nothing_more(path):
    workflow = content(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert [name for name, job in workflow["jobs"].items() if "permissions" in job] == []
    checkouts = [step for step in steps(workflow) if step.get("uses", "").startswith("actions/checkout@")]
    assert len(checkouts) == len(workflow["jobs"])
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@each_workflow
def test_a_workflow_needs_no_secret_so_that_it_works_in_forks(path):
    assert not re.search(r"\bsecrets\b|github\.token|GITHUB_TOKEN|repository_owner", path.read_text())


@each_workflow
def test_every_job_has_a_time_limit_and_no_workflow_runs_twice_at_once(path):
    workflow = content(path)
    assert workflow["concurrency"]["group"]
    for name, job in workflow["jobs"].items():
        assert 0 < job["timeout-minutes"] <= 360, name


@each_workflow
def test_no_expression_stands_inside_a_shell_script(path):
    assert [step["run"] for step in steps(content(path)) if "${{" in step.get("run", "")] == []


@each_workflow
def test_a_failure_in_a_pipe_fails_the_step(path):
    workflow = content(path)
    assert workflow["defaults"]["run"]["shell"] == "bash"  # which GitHub runs with -e and pipefail
    assert [step for step in steps(workflow) if "shell" in step or "continue-on-error" in step] == []


@each_workflow
def test_workflows_run_targets_of_the_makefile_and_hardly_anything_else(path):
    datasets = content(REPOSITORY / "params.yaml")["datasets"]
    found = commands(content(path))
    assert found
    for command in found:
        make = MAKE.fullmatch(command)
        if make:
            assert make["target"] in targets(), command
            assert make["dataset"] is None or make["dataset"] in datasets, command
        else:
            assert any(other.fullmatch(command) for other in OTHERS), command


def test_pushes_are_checked_tested_audited_and_compared_with_the_committed_results():
    jobs = content(REPOSITORY / ".github" / "workflows" / "ci.yml")["jobs"]
    lines = {name: commands({"jobs": {name: job}}) for name, job in jobs.items()}
    assert "make check" in lines["check"]
    assert "make test" in lines["test"]
    committed = {f"make repro DATASET={name.partition('@')[2]}" for name in content(REPOSITORY / "dvc.lock")["stages"]}
    reproduced = {line for line in lines["pipeline"] if line.startswith("make repro")}
    assert reproduced
    assert reproduced <= committed
    assert lines["pipeline"][-1] == "git diff --exit-code"
    assert "make stale" in lines["check"]
    assert {line.replace("make repro", "make audit") for line in reproduced} <= set(lines["pipeline"])
    assert any(system.startswith("macos") for system in jobs["pipeline"]["strategy"]["matrix"]["os"])


def test_the_weekly_run_is_skipped_in_forks_and_fails_when_the_pipeline_does():
    job = content(REPOSITORY / ".github" / "workflows" / "retrain.yml")["jobs"]["retrain"]
    assert job["if"] == "github.event_name != 'schedule' || !github.event.repository.fork"
    every, one = [step for step in job["steps"] if step.get("run", "").startswith("make repro")]
    assert (every["run"], every["if"]) == ("make repro-all", "inputs.dataset == '' || inputs.dataset == 'all'")
    assert (one["run"], one["if"]) == ("make repro", "inputs.dataset != '' && inputs.dataset != 'all'")
    assert one["env"] == {"DATASET": "${{ inputs.dataset }}"}
    assert not any("continue-on-error" in step for step in (every, one))


def test_the_weekly_run_verifies_the_committed_results_also_when_the_pipeline_fails():
    job = content(REPOSITORY / ".github" / "workflows" / "retrain.yml")["jobs"]["retrain"]
    (verified,) = [step for step in job["steps"] if step.get("run") == "make verify"]
    assert verified["if"].startswith("always()")
    assert "env" not in verified  # every dataset that has results


def test_the_weekly_run_keeps_its_reports_and_runs_also_when_it_fails():
    workflow = content(REPOSITORY / ".github" / "workflows" / "retrain.yml")
    uploads = [step for step in steps(workflow) if step.get("uses", "").startswith("actions/upload-artifact@")]
    kept = {path for step in uploads for path in step["with"]["path"].split()}
    assert kept == {"reports", "mlflow.db", "mlruns"}
    for step in uploads:
        assert step["if"].startswith("always()"), step["name"]
        assert 1 <= step["with"]["retention-days"] <= 90, step["name"]


def test_the_weekly_run_searches_long_for_failures_whether_or_not_the_pipeline_works():
    job = content(REPOSITORY / ".github" / "workflows" / "retrain.yml")["jobs"]["campaigns"]
    *prepared, campaigns, fuzz = commands({"jobs": {"campaigns": job}})
    assert prepared == ["sudo apt-get update", "sudo apt-get install --yes strace"]
    assert (campaigns, fuzz) == ("make campaigns", "make fuzz")
    assert "needs" not in job


def test_the_weekly_run_looks_for_known_vulnerabilities_whether_or_not_the_pipeline_works():
    job = content(REPOSITORY / ".github" / "workflows" / "retrain.yml")["jobs"]["packages"]
    assert commands({"jobs": {"packages": job}}) == ["make check-packages"]
    assert "needs" not in job


@pytest.mark.parametrize(
    ("said", "status", "shown"),
    [
        ("WARNING:hash them\nNo known vulnerabilities found", 0, "No known vulnerabilities found\n"),
        ("WARNING:hash them\nFound 1 known vulnerability in 1 package", 1, "Found 1 known vulnerability in 1 package\n"),
        ("ERROR:pip_audit._cli:torch: Dependency not found on PyPI", 1, "ERROR:pip_audit._cli:torch: Dependency not found"),
        ("WARNING:hash them\nTraceback (most recent call last):\n  File x\nProxyError: no way", 1,
         "Error: packages: PyPI does not answer (ProxyError: no way); check the network and try again\n"),
    ],
)  # fmt: skip
def test_every_pinned_package_must_be_known_to_be_harmless(tmp_path, said, status, shown):
    """With a program in the place of pip-audit that says what it was asked, since nobody answers in a test."""
    makefile = (REPOSITORY / "Makefile").read_text()
    version = re.search(r"^PIP_AUDIT := ([\d.]+)$", makefile, re.MULTILINE)[1]
    (tmp_path / "Makefile").write_text(makefile)
    (tmp_path / ".audit/bin").mkdir(parents=True)
    (tmp_path / f".audit/pip-audit-{version}").touch()
    program = tmp_path / ".audit/bin/pip-audit"
    program.write_text(f'#!/bin/sh\necho "$@"\ncat {tmp_path}/says >&2\nexit {status}\n')
    program.chmod(0o755)
    (tmp_path / "says").write_text(f"{said}\n")
    ended = subprocess.run(
        ["make", "--silent", "check-packages"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (ended.returncode == 0) == (status == 0)
    assert ended.stdout.split() == [
        "--strict", "--no-deps", "--disable-pip", "--progress-spinner", "off",
        "--requirement", "requirements.lock", "--requirement", "requirements-dev.lock",
    ]  # fmt: skip
    assert ended.stderr.startswith(shown)


def test_the_summary_names_the_artifact_that_holds_the_runs():
    workflow = content(REPOSITORY / ".github" / "workflows" / "retrain.yml")
    uploads = [step for step in steps(workflow) if step.get("uses", "").startswith("actions/upload-artifact")]
    (store,) = [step for step in uploads if "mlflow.db" in step["with"]["path"]]
    said = " ".join(commands(workflow))
    assert f"artifact `{store['with']['name']}`" in said
    assert "`.venv/bin/retrain ui --store FOLDER`" in said


def test_make_summary_shows_changed_vanished_and_no_metrics_alike(tmp_path):
    project = copy_of_repository(tmp_path / "project")
    (project.folder / ".venv").symlink_to(sys.prefix)
    make = ("make", "--silent", "--old-file=.venv/installed", "summary")
    changed, vanished = (project.folder / "reports" / name / "metrics.json" for name in ("diabetes", "docstrings"))
    changed.write_text(re.sub(r'"rmse": [\d.]+', '"rmse": 12.5', changed.read_text()))
    vanished.unlink()
    ended = project.run(*make)
    assert ended.returncode == 0, ended.said
    assert re.search(
        r"^\| reports/diabetes/metrics.json +\| test.rmse +\| [\d.]+ +\| 12.5 ", ended.stdout, re.MULTILINE
    )
    assert re.search(
        r"^\| reports/docstrings/metrics.json +\| test.accuracy +\| [\d.]+ +\| - ", ended.stdout, re.MULTILINE
    )
    changed.unlink()
    project.commit()
    ended = project.run(*make)
    assert ended.returncode == 0, ended.said
    assert "make ui" in ended.stdout


def test_ci_run_is_an_executable_script_that_bash_understands():
    assert os.access(CI_RUN, os.X_OK)
    subprocess.run(["bash", "-n", CI_RUN], check=True)


@pytest.fixture
def clone(tmp_path):
    """A folder with .ci/run and a Makefile that says what it was asked."""
    folder = tmp_path / "a clone"
    (folder / ".ci").mkdir(parents=True)
    (folder / ".ci" / "run").write_bytes(CI_RUN.read_bytes())
    (folder / "Makefile").write_text(
        ".PHONY: check test\n"
        'check:\n\t@echo "check with $(PYTHON), rows in $$AG_NEWS_DIR"; exit $${CHECK_FAILS:-0}\n'
        'test:\n\t@echo "test with $(PYTHON), rows in $$AG_NEWS_DIR"\n'
    )
    return folder


def ci_run(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    outer = ("AG_NEWS_DIR", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS", "PYTHON")  # of `make test` itself
    inherited = {name: value for name, value in os.environ.items() if name not in outer}
    return subprocess.run(
        ["bash", "-c", 'exec bash "$0" <&-', folder / ".ci" / "run"],  # standard input is closed
        env=inherited | environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_ci_run_checks_and_then_tests(clone):
    ended = ci_run(clone)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == ["check with python3, rows in ", "test with python3, rows in "]


def test_ci_run_stops_where_the_checks_fail(clone):
    ended = ci_run(clone, CHECK_FAILS="1")
    assert ended.returncode != 0
    assert "test with" not in ended.stdout


def test_ci_run_tells_the_tests_where_genuine_rows_lie_beside_the_clone(clone):
    rows = clone.parent / "shared" / "ag_news"
    rows.mkdir(parents=True)
    ended = ci_run(clone)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == f"test with python3, rows in {rows}"


def test_ci_run_takes_a_newer_python_where_python3_is_too_old(clone, tmp_path):
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("python3", "python3.13"):
        (programs / name).write_text("#!/bin/sh\nexit 1\n")  # what the question for the version gets from an old one
        (programs / name).chmod(0o755)
    (programs / "python3.12").symlink_to(sys.executable)
    ended = ci_run(clone, PATH=f"{programs}:{os.environ['PATH']}")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("check with python3.12,")


def test_nothing_but_ci_run_knows_of_the_folder_beside_the_clone():
    listed = subprocess.run(
        ["git", "grep", "--untracked", "-lF", "../" + "shared"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert listed.stdout.split() == [".ci/run"]
