"""A training is killed again and again, with or without its recorder, and its outputs are compared byte by byte.

Each round has its own copy of a project with different earlier outputs and without an MLflow store, so runs are also
created under kills. Another copy has the outputs of a training that nothing interrupts.
"""

import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain, count, cycle, islice
from pathlib import Path
from typing import Any

from retrain.errors import RetrainError
from retrain.pipeline import dvc_lock

import click
import pytest
from support.project import REPOSITORY, Project, copy_of_repository, tiny_datasets

KILLED = REPOSITORY / "tests/support/killed.py"
ROWS = os.environ.get("AG_NEWS_DIR")
SEED = 20261122
LEAVE_SECONDS = 2.0
LOADED_LEAVE_SECONDS = 10.0
"""Where others work on the machine."""
STRACE_KILLS = 20
CALLS = "?open,openat,?creat,write,?pwrite64,?ftruncate,fsync,?fdatasync,close,?rename,?renameat,?renameat2,?mkdir,?mkdirat,?rmdir,?unlink,unlinkat"
"""System calls that change a file system, and those between which they stand; with a `?`, where a processor has them."""
TRAINS = re.compile(r"continuing after epoch |^epoch +\d+/", re.MULTILINE)
"""A line that a training says once its batches have begun."""
SAID = {
    "done": re.compile(r" parameters; best epoch "),
    "writing": re.compile(r"epoch +(\d+)/\1 |^stopped: |continuing after epoch (\d+) of \2\b(?! and)", re.MULTILINE),
    "training": TRAINS,
    "loading": re.compile(""),
}
"""What a training has said by the time that it is there; the last things first."""
MOMENTS = ("training", "loading", "training", "writing")
"""Where the next signals come, in turn; half of them inside the training, which takes a second of five."""
WAYS = ("checkpoint", "result", "kill", "kill", "terminate", "interrupt")
SIGNALS = {"kill": signal.SIGKILL, "terminate": signal.SIGTERM, "interrupt": signal.SIGINT}


@dataclass(frozen=True)
class Whole:
    """A training that nothing stopped: what it left and how long it took."""

    files: dict[str, bytes]
    seconds: dict[str, float] = field(default_factory=dict)
    """Of `loading`, up to the line after the first epoch; of `training`, up to the one after the last; and of `writing`."""

    @property
    def epochs(self) -> list[int]:
        """Of its history."""
        return [int(row.split(b",")[0]) for row in self.files["history.csv"].split()[1:]]


@dataclass
class Kills:
    """What was tried, and what came of it."""

    dataset: str
    seconds: str
    """Time between two saves inside an epoch."""
    draw: random.Random = field(default_factory=lambda: random.Random(SEED))
    moments: Iterator[str] = field(default_factory=lambda: cycle(MOMENTS))
    kills: Counter[str] = field(default_factory=Counter)
    """By where they hit: `loading`, `training`, `writing` (after it), `checkpoint` (while it was saved) and `result`."""
    late: int = 0
    """Signals that came when all was done."""
    continued: int = 0
    inside: int = 0
    """Trainings that continued inside an epoch."""
    differences: int = 0
    left: list[str] = field(default_factory=list)
    """Drafts, checkpoints and messages that were still there after a training that ended well."""
    other_runs: list[str] = field(default_factory=list)
    """What stood in MLflow's store, other than one run that ended as it should, with each epoch once."""
    rounds: int = 0
    slowest_leave: float = 0.0
    recorders: int = 0
    """Recorders that were killed, together with a training or before it was asked to leave."""
    waiting: int = 0
    """Those that had messages to deliver."""

    def round_in(self, folder: Path) -> Path:
        """The folder of the next round: of its own, since MLflow's client keeps a store open that is gone."""
        self.rounds += 1
        return folder / f"round {self.rounds}"

    @property
    def total(self) -> int:
        """Of all kills."""
        return self.kills.total()

    @property
    def training(self) -> tuple[str, ...]:
        """The stage by itself."""
        return ("python3", "src/train.py", "--dataset", self.dataset)

    def start(self, project: Project, *command: str) -> subprocess.Popen[str]:
        """A command in a process group of its own."""
        return subprocess.Popen(
            command, cwd=project.folder, env=project.environment | {"RETRAIN_SAVE_SECONDS": self.seconds},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

    def count(self, said: str) -> None:
        """Count in what a training said of where it continues."""
        self.continued += "continuing after epoch" in said
        self.inside += re.search(r"continuing after epoch \d+ of \d+ and \d+ batches", said) is not None

    def finished(self, project: Project, *command: str) -> str:
        """Run a command to its end, which must be a good one; what it said."""
        with self.start(project, *command) as process:
            said = process.communicate(timeout=280)[0]
        assert process.returncode == 0, said
        self.count(said)
        return said

    def whole(self, project: Project, *command: str) -> Whole:
        """A training that nothing stops."""
        said, seconds, began = "", {}, time.monotonic()
        with self.start(project, *command) as process:
            for part, after in (("loading", "training"), ("training", "writing"), ("writing", "done")):
                said += said_until(process, SAID[after])
                seconds[part] = time.monotonic() - began - sum(seconds.values())
            said += process.stdout.read()
        assert process.returncode == 0, said
        return Whole(files_of(project, self.dataset), seconds)

    def calls(self, project: Project, what: str) -> int:
        """How many calls into C the saves of the checkpoint, or of the result, make."""
        said = self.finished(project, sys.executable, str(KILLED), what, "0", *self.training[1:])
        return int(said.rpartition("calls: ")[2])

    def killed_in_a_save(self, project: Project, what: str, calls: int) -> None:
        """A training that is killed at one of its calls while it saves; none of so many where it goes on from a checkpoint."""
        number = str(self.draw.randint(1, calls))
        with self.start(project, sys.executable, str(KILLED), what, number, *self.training[1:]) as process:
            said = process.communicate(timeout=280)[0]
        assert process.returncode in (0, -signal.SIGKILL), said
        self.count(said)
        if process.returncode:
            self.kills[what] += 1
        else:
            self.late += 1

    def killed_at_a_time(self, project: Project, whole: Whole, number: signal.Signals, *command: str) -> None:
        """A command whose process group gets a signal at some moment of its loading, training or writing."""
        with self.start(project, *command) as process:
            moment = next(self.moments)
            said = said_until(process, SAID[moment]) if moment != "loading" else ""
            time.sleep(self.draw.uniform(0, whole.seconds[moment]))
            alone = self.draw.random() < 0.5 or not self.killed_recorder(project)
            sent = time.monotonic()
            subprocess.run(["kill", f"-{number.value}", "--", f"-{process.pid}"], check=False, capture_output=True)
            said += process.stdout.read()
            code = process.wait(timeout=60)
        self.count(said)
        where = next(where for where, line in SAID.items() if line.search(said))
        assert code in left_with(number, where), (code, number, said)
        if code == 0 or where == "done":
            self.late += 1
            return
        self.kills[where] += 1
        if where != "loading" and number is not signal.SIGKILL:
            self.slowest_leave = max(self.slowest_leave, time.monotonic() - sent)
            if alone and where == "training":
                self.compare_runs(statuses_of(project, self.dataset), ["KILLED"])

    def killed_recorder(self, project: Project) -> bool:
        """Kill the recorder of a project, if there is one."""
        processes = project.recorders()
        for process in processes:
            self.waiting += bool(project.messages())
            process.kill()
            process.wait()
        self.recorders += len(processes)
        return bool(processes)

    def compare(self, project: Project, whole: Whole) -> None:
        """Count what is not as it would have been, and what else is left."""
        found = files_of(project, self.dataset)
        self.differences += sum(found.get(name) != whole.files.get(name) for name in found | whole.files)
        self.compare_runs(runs_of(project, self.dataset), [("FINISHED", whole.epochs)])
        paths = [
            *project.messages(),
            *(path for path in project.folder.rglob("*") if path.suffix in (".checkpoint", ".draft")),
        ]
        self.left += [f"round {self.rounds}: {path.relative_to(project.folder)}" for path in paths]

    def remove(self, project: Project) -> None:
        """Remove the project of a round, and its recorder, which would have nothing more to do."""
        for process in project.recorders():
            process.kill()
            process.wait()
        shutil.rmtree(project.folder)

    def compare_runs(self, found: list[Any], wanted: list[Any]) -> None:
        """Note runs that are not as they should be."""
        if found != wanted:
            self.other_runs.append(f"{found} and not {wanted}")

    def promise(self, least: dict[str, int]) -> None:
        """What the figures must be."""
        click.echo(f"\n{self}")
        assert (self.differences, self.left, self.other_runs) == (0, [], [])
        figures = {"kills": self.total, **self.kills}
        assert {where for where, number in least.items() if figures.get(where, 0) < number} == set(), self
        assert self.continued > 0
        assert self.inside > 0
        assert self.slowest_leave < (LOADED_LEAVE_SECONDS if is_loaded() else LEAVE_SECONDS)

    def __str__(self) -> str:
        where = ", ".join(f"{number} {name}" for name, number in sorted(self.kills.items()))
        return (
            f"{self.dataset}: {self.total} kills ({where}; {self.late} signals more came too late), "
            f"{self.continued} continued trainings ({self.inside} inside an epoch), {self.differences} differences, "
            f"{len(self.left)} drafts, checkpoints and messages left, {len(self.other_runs)} stores with other runs; "
            f"{self.recorders} recorders killed as well ({self.waiting} with messages); "
            f"slowest leave {self.slowest_leave:.1f} s{' on a loaded machine' if is_loaded() else ''}"
        )


def files_of(project: Project, dataset: str) -> dict[str, bytes]:
    """What a training leaves."""
    paths = [*(project.folder / "models" / dataset).iterdir(), project.folder / "reports" / dataset / "history.csv"]
    return {path.name: path.read_bytes() for path in paths}


def runs_of(project: Project, dataset: str) -> list[tuple[str, list[int]]]:
    """The statuses and epochs of all runs."""
    return [(run["status"], run["epochs"]) for run in project.runs(dataset)]


def statuses_of(project: Project, dataset: str) -> list[str]:
    """The statuses of all runs."""
    project.wait_for_recorder()
    store = project.folder / "mlflow.db"
    return [status for status, _ in runs_of(project, dataset)] if store.exists() and store.stat().st_size else []


def said_until(process: subprocess.Popen[str], wanted: re.Pattern[str]) -> str:
    """What a process says up to a line, or to its end."""
    said = ""
    for line in process.stdout:
        said += line
        if wanted.search(line):
            break
    return said


def left_with(number: signal.Signals, where: str) -> tuple[int, ...]:
    """The exit codes after a signal. While Python starts and ends it knows none of ours: the system ends it then."""
    if number is signal.SIGKILL:
        return (0, -number)
    return (0, 128 + number, -number) if where in ("loading", "done") else (0, 128 + number)


def is_loaded() -> bool:
    """Whether others work on this machine."""
    return os.getloadavg()[0] > os.cpu_count()


def with_other_outputs(project: Project, dataset: str) -> None:
    """Earlier outputs, to be replaced."""
    for name in (f"models/{dataset}/model.json", f"models/{dataset}/earlier", f"reports/{dataset}/history.csv"):
        (project.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (project.folder / name).write_text("earlier")


def longer(epochs: int) -> Callable[[Project], None]:
    """Many epochs for a tiny dataset, with dropout."""

    def change(project: Project) -> None:
        project.write_params({"datasets": {"tiny_numbers": tiny_datasets()["tiny_numbers"]}})
        for parameter, value in {"loop.epochs": epochs, "loop.patience": epochs, "network.dropout": 0.2}.items():
            project.set(f"tiny_numbers.train.{parameter}", value)
        project.commit()

    return change


@pytest.mark.slow
def test_killed_training_ends_in_same_bytes(new_project, tmp_path):
    project = new_project()
    longer(10)(project)
    project.stages("prepare split", "tiny_numbers")
    kills = Kills("tiny_numbers", seconds="60")  # saves after epochs alone: there are as many in every training
    reference = project.copy(tmp_path / "reference")
    calls = kills.calls(reference, "checkpoint")
    whole = Whole(files_of(reference, "tiny_numbers"))
    kills.killed_in_a_save(project, "checkpoint", calls)
    kills.killed_recorder(project)  # while it imports MLflow
    with kills.start(project, *kills.training) as process:
        said_until(process, TRAINS)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == 128 + signal.SIGTERM
    kills.compare_runs(statuses_of(project, "tiny_numbers"), ["KILLED"])
    kills.finished(project, *kills.training)
    kills.compare(project, whole)
    assert (kills.total, kills.continued, kills.differences, kills.left, kills.other_runs) == (1, 1, 0, [], [])
    assert (kills.recorders, kills.waiting) == (1, 1)


def rows_at_hand(project: Project) -> None:
    """Let ag_news take its rows from a folder of this machine."""
    for name in ("train", "test"):
        table = Path(ROWS, f"{name}.csv").resolve()
        project.set(f"ag_news.prepare.{name}.location", str(table))
        project.set(f"ag_news.prepare.{name}.sha256", hashlib.sha256(table.read_bytes()).hexdigest())


NEEDS_ROWS = pytest.mark.skipif(not ROWS, reason="set AG_NEWS_DIR to a folder with AG News' train.csv and test.csv")


@pytest.mark.campaign
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(
    ("dataset", "seconds", "least"),
    [
        ("diabetes", "0.005", {"kills": 50, "loading": 5, "training": 10, "checkpoint": 4, "result": 4}),
        ("docstrings", "0.02", {"kills": 16, "training": 2, "checkpoint": 1}),
        pytest.param("ag_news", "2", {"kills": 3}, marks=NEEDS_ROWS),
    ],
)
def test_many_kills_of_a_training(tmp_path, capsys, dataset, seconds, least):
    prepared = copy_of_repository(tmp_path / "prepared")
    if dataset == "ag_news":
        rows_at_hand(prepared)
    prepared.stages("prepare split", dataset)
    kills = Kills(dataset, seconds)
    reference = prepared.copy(tmp_path / "reference")
    whole = kills.whole(reference, *kills.training)
    calls = {what: kills.calls(reference, what) for what in ("checkpoint", "result")}
    with_other_outputs(prepared, dataset)
    ways = chain.from_iterable(kills.draw.sample(WAYS, k=len(WAYS)) for _ in count())  # each in two rounds
    while kills.total < least["kills"]:
        project = prepared.copy(kills.round_in(tmp_path))
        for way in islice(ways, 3):
            if way in SIGNALS:
                kills.killed_at_a_time(project, whole, SIGNALS[way], *kills.training)
            else:
                kills.killed_in_a_save(project, way, calls[way])
        kills.finished(project, *kills.training)
        kills.compare(project, whole)
        kills.remove(project)
    with capsys.disabled():
        kills.promise(least)


@pytest.mark.campaign
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("way", [("repro",), ("exp", "run"), ("exp", "run", "--temp")], ids=" ".join)
def test_kills_of_dvc_and_its_processes(tmp_path, capsys, way):
    prepared = copy_of_repository(tmp_path / "prepared")
    kills = Kills("diabetes", seconds="0.005")
    kills.finished(prepared, "dvc", "repro", "split@diabetes")
    command = ("dvc", *way, "--force", "train@diabetes")
    reference = prepared.copy(tmp_path / "reference")
    kills.finished(reference, "dvc", "repro", "train@diabetes")
    whole = kills.whole(reference, *command)
    lock = lock_of(reference, way)
    while kills.total < 12:
        project = prepared.copy(kills.round_in(tmp_path))
        for _ in range(2):
            kills.killed_at_a_time(project, whole, signal.SIGKILL, *command)
            restore_cut_lock(project)
        kills.finished(project, *command)
        kills.differences += lock_of(project, way) != lock
        kills.compare_runs(runs_of(project, "diabetes"), [("FINISHED", whole.epochs)])
        kills.remove(project)
    with capsys.disabled():
        click.echo(f"\ndvc {' '.join(way)}:")
        kills.promise({"kills": 12, "training": 3})


def restore_cut_lock(project: Project) -> None:
    """Do what errors advise where DVC was killed while it wrote dvc.lock, which it writes in place."""
    try:
        dvc_lock.read(project.folder)
    except RetrainError:
        assert project.run("git", "checkout", "dvc.lock").returncode == 0
        click.echo("a dvc.lock was cut off")


def lock_of(project: Project, way: tuple[str, ...]) -> bytes:
    """The dvc.lock that a command left: in the workspace, or in the newest experiment."""
    if "--temp" not in way:
        return (project.folder / "dvc.lock").read_bytes()
    newest = project.run("dvc", "exp", "list", "--sha-only").stdout.split()[0]
    return project.run("git", "show", f"{newest}:dvc.lock").stdout.encode()


@dataclass(frozen=True)
class Call:
    """A system call: its name, and which one of this name it is in its thread."""

    name: str
    number: int
    line: str


def calls_in(trace: Path) -> list[Call]:
    """All calls that strace wrote down."""
    counted: Counter[str] = Counter()
    calls = []
    for line in trace.read_text(errors="replace").splitlines():
        if name := re.match(r"\w+(?=\()", line):
            counted[name[0]] += 1
            calls.append(Call(name[0], counted[name[0]], line))
    return calls


def calls_of_saves(calls: list[Call]) -> dict[str, list[Call]]:
    """The calls of saves of the checkpoint and of the result: on drafts and what they replace, and on their folders."""
    own = {
        "checkpoint": re.compile(r"\.retrain/checkpoints(>|\"|/\S*\.(draft|checkpoint))"),
        "result": re.compile(r"(models|reports)/(tiny_numbers|\.tiny_numbers\.\d+\.draft)\b"),
    }
    return {what: [call for call in calls if pattern.search(call.line)] for what, pattern in own.items()}


@pytest.mark.campaign
@pytest.mark.timeout(7200)
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_kills_between_system_calls(new_project, tmp_path, capsys):
    prepared = new_project()
    longer(4)(prepared)
    prepared.stages("prepare split", "tiny_numbers")
    kills, trace = Kills("tiny_numbers", seconds="0"), tmp_path / "trace"
    with_other_outputs(prepared, "tiny_numbers")
    reference = prepared.copy(tmp_path / "reference")
    traced = ("strace", "-qq", "-y", "-s", "0", "-e", f"trace={CALLS}", "-o", str(trace))
    kills.finished(reference, *traced, *kills.training)
    whole = Whole(files_of(reference, "tiny_numbers"))
    saves = calls_of_saves(calls_in(trace))
    for number in range(STRACE_KILLS):
        project = prepared.copy(kills.round_in(tmp_path))
        call = kills.draw.choice(saves["checkpoint" if number % 2 else "result"])
        inject = ("-e", f"inject={call.name}:signal=KILL:when={call.number}")
        with kills.start(project, *traced, *inject, *kills.training) as process:
            said = process.communicate(timeout=280)[0]
        assert process.returncode == -signal.SIGKILL, said
        last = calls_of_saves(calls_in(trace)[-1:])
        kills.kills.update([next((what for what, found in last.items() if found), "elsewhere")])
        kills.finished(project, *kills.training)
        kills.compare(project, whole)
        kills.remove(project)
    with capsys.disabled():
        counts = ", ".join(f"{len(calls)} of the {what}" for what, calls in saves.items())
        click.echo(f"\nsystem calls of saves: {counts}")
        kills.promise({"kills": STRACE_KILLS, "checkpoint": STRACE_KILLS // 4, "result": STRACE_KILLS // 4})
