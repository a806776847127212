"""CI: pinned actions, read-only rights, time limits, and the same make targets that developers run."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from support.project import REPOSITORY, Project, copy_of_repository, made_once

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
    re.compile(r"docker (build|run) .* retrain-serve( \.)?"),
    re.compile(r"\.venv/bin/retrain export .*"),
    re.compile(r"curl .* http://127\.0\.0\.1:\d+/\w+"),
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


@each_workflow
def test_actions_are_pinned_by_commit(path):
    lines = [line for line in path.read_text().splitlines() if re.search(r"\buses\b", line)]
    assert len(lines) == sum("uses" in step for step in steps(content(path)))
    assert [line for line in lines if not PINNED.search(line)] == []


def test_each_action_has_one_version():
    used = {step["uses"] for path in WORKFLOWS for step in steps(content(path)) if "uses" in step}
    assert len({action.partition("@")[0] for action in used}) == len(used)


@each_workflow
def test_workflows_only_read_the_repository(path):
    workflow = content(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert [name for name, job in workflow["jobs"].items() if "permissions" in job] == []
    checkouts = [step for step in steps(workflow) if step.get("uses", "").startswith("actions/checkout@")]
    assert len(checkouts) == len(workflow["jobs"])
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@each_workflow
def test_workflows_need_no_secret(path):
    assert not re.search(r"\bsecrets\b|github\.token|GITHUB_TOKEN|repository_owner", path.read_text())


@each_workflow
def test_jobs_end_and_can_fail(path):
    workflow = content(path)
    assert workflow["concurrency"]["group"]
    assert workflow["defaults"]["run"]["shell"] == "bash"  # which GitHub runs with -e and pipefail
    assert all(0 < job["timeout-minutes"] <= 360 for job in workflow["jobs"].values())
    for step in steps(workflow):
        assert "shell" not in step
        assert "continue-on-error" not in step
        assert "${{" not in step.get("run", "")  # a value could otherwise be a command


@each_workflow
def test_workflows_run_make_targets(path):
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


def test_pushes_compare_with_committed_results():
    jobs = content(REPOSITORY / ".github" / "workflows" / "ci.yml")["jobs"]
    lines = {name: commands({"jobs": {name: job}}) for name, job in jobs.items()}
    assert {"make check", "make status"} <= set(lines["check"])
    assert "make test" in lines["test"]
    committed = {name.partition("@")[2] for name in content(REPOSITORY / "dvc.lock")["stages"]}
    reproduced = {line.partition("=")[2] for line in lines["pipeline"] if line.startswith("make repro")}
    assert reproduced
    assert reproduced <= committed
    assert {f"make audit DATASET={name}" for name in reproduced} <= set(lines["pipeline"])
    assert lines["pipeline"][-1] == "git diff --exit-code"


def test_weekly_jobs_report_also_after_a_failure():
    workflow = content(REPOSITORY / ".github" / "workflows" / "retrain.yml")
    uploads = [step for step in steps(workflow) if step.get("uses", "").startswith("actions/upload-artifact@")]
    assert {path for step in uploads for path in step["with"]["path"].split()} == {"reports", "mlflow.db", "mlruns"}
    (verify,) = [step for step in steps(workflow) if step.get("run") == "make verify"]
    assert all(step["if"].startswith("always()") for step in [*uploads, verify])
    assert not any("needs" in job for job in workflow["jobs"].values())


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
def test_check_packages_reports_vulnerabilities(tmp_path, said, status, shown):
    """A script in the place of pip-audit prints its arguments: tests have no network."""
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


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the repository that has an environment. Shared: look, don't touch."""

    def make(folder: Path) -> None:
        copy_of_repository(folder)
        (folder / ".venv").symlink_to(sys.prefix)

    return made_once(tmp_path_factory, "workflows", make)


@pytest.fixture
def project(repository: Project, tmp_path: Path) -> Project:
    """A copy of it that a test may change."""
    return repository.copy(tmp_path / "project")


def test_summary_shows_changed_metrics(project):
    make = ("make", "--silent", "--old-file=.venv/installed", "summary")
    assert "| reports/" not in project.run(*make).stdout
    changed, vanished = (project.folder / "reports" / name / "metrics.json" for name in ("diabetes", "docstrings"))
    changed.write_text(re.sub(r'"rmse": [\d.]+', '"rmse": 12.5', changed.read_text()))
    vanished.unlink()
    ended = project.run(*make)
    assert ended.returncode == 0, ended.said
    assert re.search(
        r"^\| reports/diabetes/metrics.json +\| test.rmse +\| [\d.]+ +\| 12.5 ", ended.stdout, re.MULTILINE
    )
    assert "| test.r2 " not in ended.stdout
    assert re.search(
        r"^\| reports/docstrings/metrics.json +\| test.accuracy +\| [\d.]+ +\| - ", ended.stdout, re.MULTILINE
    )
    changed.unlink()
    project.commit()
    ended = project.run(*make)
    assert ended.returncode == 0, ended.said
    assert "make ui" in ended.stdout


@pytest.mark.parametrize("shared", [False, True])
def test_compare_shows_test_metrics_alone(project, shared):
    """DVC names the file of a metric too where two datasets share the metric."""
    metrics, other = (project.folder / "reports" / name / "metrics.json" for name in ("diabetes", "docstrings"))
    if shared:
        other.write_text(metrics.read_text())
        project.commit()
    content = json.loads(metrics.read_text())
    for part in content.values():
        if "rmse" in part:
            part["rmse"] = {"low": 1.0, "high": 2.0} if isinstance(part["rmse"], dict) else 12.5
    metrics.write_text(json.dumps(content))
    ended = project.run("make", "--silent", "--old-file=.venv/installed", "compare")
    assert ended.returncode == 0, ended.said
    (header,) = (line for line in ended.stdout.splitlines() if "Experiment" in line)
    assert header.split() == ["Experiment", "reports/diabetes/metrics.json:test.rmse" if shared else "test.rmse"]


def test_ci_run_is_a_script():
    assert os.access(CI_RUN, os.X_OK)
    subprocess.run(["bash", "-n", CI_RUN], check=True)


@pytest.fixture
def clone(tmp_path):
    """A folder with .ci/run and a Makefile that prints what it is called with."""
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


def test_ci_run_checks_then_tests(clone):
    ended = ci_run(clone)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == ["check with python3, rows in ", "test with python3, rows in "]


def test_ci_run_stops_after_failed_checks(clone):
    ended = ci_run(clone, CHECK_FAILS="1")
    assert ended.returncode != 0
    assert "test with" not in ended.stdout


def test_ci_run_passes_on_genuine_rows(clone):
    rows = clone.parent / "shared" / "ag_news"
    rows.mkdir(parents=True)
    ended = ci_run(clone)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == f"test with python3, rows in {rows}"


def test_ci_run_finds_a_newer_python(clone, tmp_path):
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("python3", "python3.13"):
        (programs / name).write_text("#!/bin/sh\nexit 1\n")  # what the question for the version gets from an old one
        (programs / name).chmod(0o755)
    (programs / "python3.12").symlink_to(sys.executable)
    ended = ci_run(clone, PATH=f"{programs}:{os.environ['PATH']}")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("check with python3.12,")


def test_only_ci_run_reads_outside_the_clone():
    listed = subprocess.run(
        ["git", "grep", "--untracked", "-lF", "../" + "shared"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert listed.stdout.split() == [".ci/run"]
