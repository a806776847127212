"""A training is killed, again and again, and what it leaves in the end is compared byte by byte."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import click
import pytest
from conftest import REPOSITORY, Project, copy_of_repository, tiny_datasets

KILLED = Path(__file__).with_name("killed.py")
SEED = 20261122


@dataclass
class Kills:
    """What was tried, and what came of it."""

    project: Project
    dataset: str
    seconds: str
    """Time between two saves inside an epoch."""
    draw: random.Random = field(default_factory=lambda: random.Random(SEED))
    kills: int = 0
    continued: int = 0
    differences: int = 0
    slowest_leave: float = 0.0

    def files(self) -> dict[str, bytes]:
        """What a training leaves."""
        folder = self.project.folder
        paths = [*(folder / "models" / self.dataset).iterdir(), folder / "reports" / self.dataset / "history.csv"]
        return {path.name: path.read_bytes() for path in paths}

    def start(self, *command: str) -> subprocess.Popen[str]:
        """A command in a process group of its own."""
        return subprocess.Popen(
            command, cwd=self.project.folder, env=self.project.environment | {"RETRAIN_SAVE_SECONDS": self.seconds},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

    def finished(self, *command: str) -> str:
        """Run a command to its end, which must be a good one; what it said."""
        with self.start(*command) as process:
            said = process.communicate(timeout=280)[0]
        assert process.returncode == 0, said
        self.continued += "continuing after epoch" in said
        return said

    def killed_in_a_save(self, calls: int) -> None:
        """A training that is killed at one of its calls while it saves; later ones where it goes on from a journal."""
        number = self.draw.randint(1, calls)
        with self.start(sys.executable, str(KILLED), str(number), *self.training) as process:
            said = process.communicate(timeout=280)[0]
        assert process.returncode in (0, -signal.SIGKILL), said
        self.kills += process.returncode != 0

    def killed_at_a_time(self, whole: float, number: signal.Signals, *command: str) -> None:
        """A command whose process group gets a signal at some moment of the time that it takes."""
        with self.start(*command) as process:
            time.sleep(self.draw.uniform(0, whole))
            if process.poll() is None:
                sent = time.monotonic()
                subprocess.run(["kill", f"-{number.value}", "--", f"-{process.pid}"], check=False, capture_output=True)
                said = process.communicate(timeout=60)[0]
                self.kills += process.returncode != 0
                if number is not signal.SIGKILL and "epoch" in said:
                    self.slowest_leave = max(self.slowest_leave, time.monotonic() - sent)

    @property
    def training(self) -> tuple[str, ...]:
        """The stage by itself."""
        return ("src/train.py", "--dataset", self.dataset)

    def compare(self, wanted: dict[str, bytes]) -> None:
        """Count what is not as it would have been."""
        found = self.files()
        self.differences += sum(found.get(name) != content for name, content in wanted.items())
        assert not list(self.project.folder.rglob("*.journal"))

    def report(self) -> str:
        """One line of figures."""
        return (
            f"{self.dataset}: {self.kills} kills, {self.continued} continued trainings, {self.differences} differences;"
            f" slowest leave {self.slowest_leave:.1f} s"
        )


def epochs_of(project: Project, dataset: str) -> list[list[int]]:
    """The epochs that each run of a dataset has."""
    return [run["epochs"] for run in project.runs(dataset)]


def longer(epochs: int) -> Callable[[Project], None]:
    """Many epochs for a tiny dataset, with dropout."""

    def change(project: Project) -> None:
        project.write_params({"datasets": {"tiny_numbers": tiny_datasets()["tiny_numbers"]}})
        for knob, value in {"loop.epochs": epochs, "loop.patience": epochs, "network.dropout": 0.2}.items():
            project.set(f"tiny_numbers.train.{knob}", value)
        project.commit()

    return change


@pytest.mark.slow
def test_a_training_that_is_killed_in_a_save_and_asked_to_leave_ends_in_the_same_bytes(new_project):
    project = new_project()
    longer(10)(project)
    for stage in ("prepare", "split"):
        assert project.stage(stage, "tiny_numbers").returncode == 0
    kills = Kills(project, "tiny_numbers", seconds="0.05")
    said = kills.finished(sys.executable, str(KILLED), "0", *kills.training)
    wanted, calls = kills.files(), int(said.rpartition("calls: ")[2])
    kills.killed_in_a_save(calls)
    with kills.start("python3", *kills.training) as process:
        for line in process.stdout:
            if "epoch  " in line:
                break
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == 128 + signal.SIGTERM
    assert project.runs("tiny_numbers")[0]["status"] == "KILLED"
    kills.finished("python3", *kills.training)
    kills.compare(wanted)
    click.echo(kills.report())
    assert (kills.differences, kills.continued) == (0, 1)
    assert epochs_of(project, "tiny_numbers") == [list(range(1, 11))]
    assert project.runs("tiny_numbers")[0]["status"] == "FINISHED"


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_fifty_kills_of_a_training_leave_no_difference(tmp_path, capsys):
    project = copy_of_repository(tmp_path / "project")
    for stage in ("prepare", "split"):
        assert project.stage(stage, "diabetes").returncode == 0
    kills = Kills(project, "diabetes", seconds="0.02")
    began = time.monotonic()
    said = kills.finished(sys.executable, str(KILLED), "0", *kills.training)
    wanted, calls, whole = kills.files(), int(said.rpartition("calls: ")[2]), time.monotonic() - began
    while kills.kills < 50:
        for way in kills.draw.sample(("save", "kill", "terminate", "interrupt"), k=3):
            if way == "save":
                kills.killed_in_a_save(calls)
            else:
                number = {"kill": signal.SIGKILL, "terminate": signal.SIGTERM, "interrupt": signal.SIGINT}[way]
                kills.killed_at_a_time(whole, number, "python3", *kills.training)
        kills.finished("python3", *kills.training)
        kills.compare(wanted)
    with capsys.disabled():
        click.echo(f"\n{kills.report()}")
    assert kills.differences == 0
    assert epochs_of(project, "diabetes") == [[int(row.split(b",")[0]) for row in wanted["history.csv"].split()[1:]]]


@pytest.mark.campaign
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("way", [("repro",), ("exp", "run"), ("exp", "run", "--temp")], ids=" ".join)
def test_kills_of_dvc_and_all_that_it_runs_leave_no_difference(tmp_path, capsys, way):
    project = copy_of_repository(tmp_path / "project")
    kills = Kills(project, "diabetes", seconds="0.02")
    kills.finished("dvc", "repro", "split@diabetes")
    began = time.monotonic()
    kills.finished("dvc", *way, "--force", "--single-item" if way == ("repro",) else "--quiet", "train@diabetes")
    whole = time.monotonic() - began
    lock = (REPOSITORY / "dvc.lock").read_bytes()
    while kills.kills < 12:
        for _ in range(2):
            kills.killed_at_a_time(whole, signal.SIGKILL, "dvc", *way, "--force", "train@diabetes")
        kills.finished("dvc", *way, "--force", "train@diabetes")
        if way == ("exp", "run", "--temp"):
            name = project.run("dvc", "exp", "list", "--name-only").stdout.split()[0]
            found = project.run(
                "git", "show", f"{project.run('dvc', 'exp', 'list', '--sha-only').stdout.split()[0]}:dvc.lock"
            )
            kills.differences += found.stdout.encode() != lock
            assert name
        else:
            kills.differences += (project.folder / "dvc.lock").read_bytes() != lock
    with capsys.disabled():
        click.echo(f"\ndvc {' '.join(way)}: {kills.report()}")
    assert kills.differences == 0
    history = (project.folder / "reports" / "diabetes" / "history.csv").read_text().split()[1:]
    assert epochs_of(project, "diabetes") == [[int(row.split(",")[0]) for row in history]]
