"""Tiny tables, temporary copies of the repository, and commands run as a user runs them."""

import importlib
import os
import random
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

from retrain import commands
from retrain.pipeline import dvc_program
from retrain.tracking import recording, store
from support.warm import Warm

import click
import psutil
import pytest
from click.testing import CliRunner, Result
from filelock import FileLock
from ruamel.yaml import YAML

RECORDER_SECONDS = 500
"""It has a low priority, and may get little of a loaded machine."""
REPOSITORY = Path(__file__).resolve().parents[2]
DEFAULTS = YAML(typ="safe").load((REPOSITORY / "params.yaml").read_text(encoding="utf-8"))["defaults"]
SHIPPED = ("ag_news", "docstrings", "diabetes")
"""The datasets of the repository; its user may have added others."""


TOPICS = {
    "farm": "cow barn field tractor harvest wheat pig meadow",
    "sea": "ship wave harbour sail anchor tide gull reef",
    "city": "street tram bridge market tower crowd lamp square",
}


COMMON = ["the", "a", "of", "and", "in", "with", "near", "old", "new", "big", "small", "two"]


class Finished(subprocess.CompletedProcess[str]):
    """A command that has ended; `said` is all that it printed."""

    @property
    def said(self) -> str:
        return self.stdout + self.stderr


class Project:
    """A copy of the repository with tables of its own, where commands run as a user runs them."""

    records = False
    """Whether stages in processes of their own record to MLflow; each would start a recorder, which takes seconds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("DVC_", "MLFLOW_", "GIT_", "AG_NEWS_", "OMP_", "MKL_", "ATEN_", "ONEDNN_", "RETRAIN_", "MAKE", "MFLAGS"))
        } | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org",
            "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.org",
            "GIT_CONFIG_GLOBAL": "/dev/null",
        }  # fmt: skip

    def run(self, *command: str, stdin: str = "", timeout: float = 540, **environment: str) -> Finished:
        """Run a command in the project's folder."""
        switch = {} if self.records else {recording.SWITCH: "off"}
        ended = subprocess.run(
            command, cwd=self.folder, env=self.environment | switch | environment,
            input=stdin, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip
        return Finished(ended.args, ended.returncode, ended.stdout, ended.stderr)

    def stage(self, stage: str, dataset: str, **environment: str) -> Finished:
        """Run a stage's script directly."""
        return self.run("python3", f"src/{stage}.py", "--dataset", dataset, **environment)

    def stage_here(self, stage: str, dataset: str, **environment: str) -> Result:
        """Run a stage in this process, for what does not need a start of its own."""
        return self.invoke(importlib.import_module(stage).main, "--dataset", dataset, **environment)

    def retrain_here(self, *arguments: str, **environment: str) -> Result:
        """Run `retrain` in this process, for what does not need a start of its own."""
        return self.invoke(commands.main, *arguments, **environment)

    def retrain_with_children(self, capfd: pytest.CaptureFixture[str], *arguments: str, **environment: str) -> Finished:
        """Run `retrain` in this process, as `retrain_here`, where what it says goes where the programs that it starts print."""
        capfd.readouterr()
        with chdir(self.folder), pytest.MonkeyPatch.context() as patch:
            patch.delenv("MLFLOW_TRACKING_URI", raising=False)
            for name, value in ({"PATH": self.environment["PATH"], recording.SWITCH: "off"} | environment).items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                commands.main(arguments, prog_name="retrain")
        return Finished(arguments, ended.value.code or 0, *capfd.readouterr())

    def invoke(self, command: click.Command, *arguments: str, **environment: str) -> Result:
        """Run a command in this process, which records its result itself, in the project's own store unless another one is named."""
        variables = {"MLFLOW_TRACKING_URI": None, recording.SWITCH: "here"} | environment
        with chdir(self.folder):
            return CliRunner(env=variables).invoke(command, arguments)

    def stages(self, stages: str, *datasets: str, **environment: str) -> None:
        """Run some stages of some datasets one after the other in this process, without a record; they must succeed."""
        for dataset in datasets:
            for stage in stages.split():
                ended = self.stage_here(stage, dataset, **{recording.SWITCH: "off"} | environment)
                assert ended.exit_code == 0, ended.output

    def dvc(self, *arguments: str, **environment: str) -> Finished:
        """Run DVC, which must succeed."""
        ended = self.run("dvc", *arguments, **environment)
        assert ended.returncode == 0, ended.said
        return ended

    def run_stages_here(self, dataset: str, *stages: str, **environment: str) -> None:
        """Run stages of a dataset in this process, and note their results in dvc.lock, as `dvc repro` does it."""
        self.stages(" ".join(stages), dataset, **{recording.SWITCH: "here"} | environment)
        self.note(*(f"{stage}@{dataset}" for stage in stages))

    def note(self, *names: str) -> None:
        """Note the results of stages that have run in dvc.lock. DVC reads its files once for all of them, and writes it once."""
        from dvc.dvcfile import load_file
        from dvc.repo import Repo

        dvc_program.write_lock_faster()
        with chdir(self.folder), Repo() as repo, repo.lock:
            stages = load_file(repo, "dvc.yaml").stages
            done = [stages[name] for name in names]
            for one in done:
                one.save()
                one.commit()
            done[0].dvcfile.dump_stages(done, update_pipeline=False)

    def track(self, path: str) -> None:
        """What `dvc add` does, in this process."""
        from dvc.repo import Repo

        with chdir(self.folder), Repo() as repo, warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            repo.add(path)

    def params(self) -> dict:
        """What params.yaml holds."""
        return YAML(typ="safe").load((self.folder / "params.yaml").read_text())

    def set(self, parameter: str, value: object) -> None:
        """Set a parameter below `datasets`, such as `tiny_news.train.loop.epochs`."""
        params = self.params()
        *path, last = parameter.split(".")
        section = params["datasets"]
        for name in path:
            section = section[name]
        section[last] = value
        self.write_params(params)

    def remove(self, parameter: str) -> None:
        """Take a parameter below `datasets` out."""
        params = self.params()
        *path, last = parameter.split(".")
        section = params["datasets"]
        for name in path:
            section = section[name]
        del section[last]
        self.write_params(params)

    def keep(self, *datasets: str) -> None:
        """Leave these datasets alone in params.yaml and dvc.lock: DVC reads less, and so do the commands."""
        from dvc.utils.serialize import dumps_yaml

        params, lock = self.params(), YAML(typ="safe").load((self.folder / "dvc.lock").read_text())
        self.write_params({**params, "datasets": {name: params["datasets"][name] for name in datasets}})
        lock["stages"] = {name: stage for name, stage in lock["stages"].items() if name.partition("@")[2] in datasets}
        (self.folder / "dvc.lock").write_text(dumps_yaml(lock))
        self.commit()

    def write_params(self, params: dict) -> None:
        """Write params.yaml, with the committed defaults if there are no others."""
        write_yaml(self.folder / "params.yaml", {"defaults": DEFAULTS, **params})

    def commit(self) -> None:
        """Commit everything that git does not ignore."""
        for command in (("git", "add", "-A"), ("git", "commit", "-qm", "state")):
            ended = self.run(*command)
            assert ended.returncode == 0, ended.said

    def pack(self) -> None:
        """Put git's objects into one file: a project that is copied for each test has hundreds of them."""
        assert self.run("git", "gc", "--quiet").returncode == 0

    def runs(self, dataset: str, *, wait: bool = True) -> list[dict]:
        """The dataset's runs in the project's own MLflow store, the newest first, once everything is recorded."""
        from mlflow import MlflowClient

        if wait:
            self.wait_for_recorder()
        client = MlflowClient(tracking_uri=f"sqlite:///{self.folder / 'mlflow.db'}")
        experiment = client.get_experiment_by_name(dataset)
        experiments = [experiment.experiment_id] if experiment else []
        found = client.search_runs(experiments, order_by=["attributes.start_time DESC"]) if experiments else []
        return [
            {
                "id": run.info.run_id,
                "name": run.info.run_name,
                "status": run.info.status,
                "tags": run.data.tags,
                "params": run.data.params,
                "metrics": run.data.metrics,
                "inputs": {entry.tags[0].value: entry.dataset.digest for entry in run.inputs.dataset_inputs},
                "artifacts": [artifact.path for artifact in client.list_artifacts(run.info.run_id)],
                "epochs": [metric.step for metric in client.get_metric_history(run.info.run_id, "train_loss")],
            }
            for run in found
        ]

    def wait_for_recorder(self) -> None:
        """Wait until the recorder has delivered all messages of the project's stages."""
        started = time.monotonic()
        while self.messages():
            assert time.monotonic() - started < RECORDER_SECONDS, self.messages()
            time.sleep(0.1)

    def messages(self) -> list[Path]:
        """The messages to the recorder that wait, and those that were never completed."""
        return list(self.folder.glob(".retrain/recorder/*/*.json"))

    def recorders(self) -> list[psutil.Process]:
        """The processes that record the project's runs."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            command = process.info["cmdline"] or []
            if "retrain.tracking.recorder" in command and str(self.folder) in command:
                found.append(process)
        return found

    def copy(self, folder: Path) -> "Project":
        """The project as it is now, with data, models, cache and runs, in another folder."""
        self.wait_for_recorder()
        subprocess.run(["cp", "-a", self.folder, folder], check=True)  # takes half as long as shutil.copytree
        return Project(folder)


NOT_RUN = ("benchmarks/", "docs/", "tests/")
"""What a project that is copied for each of many tests does not need."""


def copy_of_repository(folder: Path, without: tuple[str, ...] = ()) -> Project:
    """What git tracks or would track, as it is in the working tree, committed in a repository of its own."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=REPOSITORY, capture_output=True, check=True
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        source, target = REPOSITORY / name, folder / name
        if source.is_file() and not name.startswith(without):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    for compiled in REPOSITORY.glob("src/**/__pycache__"):  # so that the copy's processes need not compile it
        shutil.copytree(compiled, folder / compiled.relative_to(REPOSITORY))
    project = Project(folder)
    assert project.run("git", "init", "-q", "-b", "main").returncode == 0
    project.commit()
    return project


def news_rows(count: int, seed: int) -> list[list[str]]:
    """Distinct texts with words of their topic, and the topic."""
    draw = random.Random(seed)
    rows = []
    for number in range(count):
        topic = list(TOPICS)[number % len(TOPICS)]
        words = draw.choices(TOPICS[topic].split(), k=4) + draw.choices(COMMON, k=6)
        draw.shuffle(words)
        rows.append([" ".join(words) + f" {number}", topic])
    return rows


def number_rows(count: int, seed: int) -> list[list[float]]:
    """Three columns, and a number that depends on them."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        a, b, c = (round(draw.gauss(0, 2), 3) for _ in range(3))
        rows.append([a, b, c, round(3 * a - 2 * b + 0.5 * c * c + draw.gauss(0, 0.3) + 10, 3)])
    return rows


def write_yaml(path: Path, content: dict) -> None:
    """A YAML file without aliases."""
    yaml = YAML(typ="safe")
    yaml.representer.ignore_aliases = lambda _value: True
    with path.open("w") as file:
        yaml.dump(content, file)


def write_csv(path: Path, header: list[str], rows: list[list]) -> None:
    """A CSV without anything that needs quotes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(",".join(map(str, row)) for row in [header, *rows]) + "\n", encoding="utf-8")


def files_section(dataset: str, columns: dict[str, str], target: str) -> dict:
    """A prepare section for a CSV in the dataset's raw folder."""
    return {
        "source": "files", "repairs": [], "header": True, "columns": list(columns), "rename": {},
        "numbers": [name for name, kind in columns.items() if kind == "number"],
        "train": {"location": f"data/raw/{dataset}/rows.csv", "sha256": "unpinned"},
        "inputs": [name for name in columns if name != target], "target": target,
    }  # fmt: skip


def train_section(network: dict, loss: str, learning_rate: float) -> dict:
    """A train section of three quick epochs."""
    smoothing = {"label_smoothing": 0.0, "class_weights": "none"} if loss == "cross_entropy" else {}
    return {
        "network": network, "loss": {"name": loss, **smoothing}, "calibration": {"probabilities": True, "threshold": "half", "at_least": 0.9, "level": 0.9}, "device": "cpu", "threads": 1, "saved_dtype": "float32",
        "optimizer": {"name": "sgd", "momentum": 0.0, "weight_decay": 0.0}, "schedule": {"name": "linear"},
        "loop": {"epochs": 3, "batch_size": 8, "learning_rate": learning_rate, "clip_norm": 1.0,
            "ema_decay": None, "best_by": "accuracy" if loss == "cross_entropy" else "loss", "patience": 3, "seed": 1,
        },
    }  # fmt: skip


BAG = {"name": "embedding_bag", "embedding_dim": 8, "embedding_init": 0.5, "dropout": 0.0, "sparse": True}


MLP = {"name": "mlp", "hidden": 5, "dropout": 0.0}


def block(prepare: dict, encoder: str, task: str, train: dict) -> dict:
    """A dataset's block of params.yaml."""
    learned = {"minimum_count": 1} if encoder == "text" else {}
    return {
        "prepare": prepare,
        "split": {"validation": 0.2, "test": 0.2, "seed": 1, "task": task, "encoder": {"name": encoder, **learned}},
        "train": train,
        "evaluate": {"batch_size": 32, "calibration_bins": 10, "reference": "linear"},
        "plot": {"dots_per_inch": 50},
    }


def tiny_datasets() -> dict:
    """The four tasks, one block each: `tiny_news` (text -> class), `tiny_length` (text -> number), `tiny_numbers`
    (numbers -> number) and `tiny_sign` (numbers -> label)."""
    text, numbers = {"text": "text"}, {"a": "number", "b": "number", "c": "number"}
    return {
        "tiny_news": block(
            files_section("tiny_news", {**text, "topic": "text"}, "topic"), "text", "classification",
            train_section(BAG, "cross_entropy", 2.0),
        ),
        "tiny_length": block(
            files_section("tiny_length", {**text, "length": "number"}, "length"), "text", "regression",
            train_section(BAG, "huber", 0.5),
        ),
        "tiny_numbers": block(
            files_section("tiny_numbers", {**numbers, "y": "number"}, "y"), "numbers", "regression",
            train_section(MLP, "mean_squared_error", 0.05),
        ),
        "tiny_sign": block(
            files_section("tiny_sign", {**numbers, "sign": "text"}, "sign"), "numbers", "classification",
            train_section(MLP, "cross_entropy", 0.2),
        ),
    }  # fmt: skip


def corpus_datasets() -> dict:
    """The tiny datasets, and two more for what they leave out: ngrams of docstrings, and one of scikit-learn's tables."""
    pairs = {"name": "ngram_bag", "scale": 16.0, "sparse": True}
    words = {"source": "docstrings", "repairs": ["spaces"], "packages": ["click", "filelock"], "minimum_words": 3}
    encoder = {"name": "ngrams", "minimum_count": 1, "min_log_ratio": 0.1, "hash_bits": 12, "char_ngrams": 3}
    ngrams = block(words, "ngrams", "classification", train_section(pairs, "cross_entropy", 0.1))
    ngrams["split"]["encoder"] = encoder
    ngrams["train"]["optimizer"] = {"name": "rowwise_adagrad"}
    iris = {"source": "scikit_learn", "repairs": [], "table": "iris"}
    table = block(iris, "numbers", "classification", train_section(MLP, "cross_entropy", 0.05))
    table["train"]["optimizer"] = {"name": "adamw", "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.01}
    table["train"]["schedule"] = {"name": "steps", "count": 2, "gamma": 0.5}
    return {**tiny_datasets(), "tiny_pairs": ngrams, "tiny_table": table}


def write_tiny_tables(folder: Path) -> None:
    """The raw files of `tiny_datasets`."""
    raw = folder / "data" / "raw"
    news, numbers = news_rows(150, seed=1), number_rows(120, seed=2)
    write_csv(raw / "tiny_news" / "rows.csv", ["text", "topic"], news)
    write_csv(raw / "tiny_length" / "rows.csv", ["text", "length"], [[text, len(text)] for text, _ in news])
    write_csv(raw / "tiny_numbers" / "rows.csv", ["a", "b", "c", "y"], numbers)
    signs = [[a, b, c, "plus" if a > b else "minus"] for a, b, c, _ in numbers]
    write_csv(raw / "tiny_sign" / "rows.csv", ["a", "b", "c", "sign"], signs)


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Project:
    """A project that all processes of a test run share: the first one that needs it makes it in the folder of its name."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent  # one folder per test run, with one below it per worker
    folder, done = shared / name, shared / f"{name}.done"
    with FileLock(shared / f"{name}.lock"):
        if not done.exists():
            make(folder)
            done.touch()
    return Project(folder)


def make_untouched_project(folder: Path) -> None:
    """Copy the repository with the tiny datasets alone, of which nothing has run, and commit it.

    It has an empty MLflow store, as after `retrain ui`: making one takes MLflow more than a second.
    """
    project = copy_of_repository(folder, NOT_RUN)
    store.own_store(folder)
    write_tiny_tables(folder)
    project.write_params({"datasets": tiny_datasets()})
    (folder / "dvc.lock").unlink(missing_ok=True)
    project.commit()
    project.pack()


def make_finished_project(folder: Path) -> None:
    """Run the pipeline of all tiny datasets in a copy of the repository, and commit what it made.

    In this process, and DVC is told afterwards: most of what `dvc repro` takes for twenty stages is starting them.
    Many tests wait for it, so it waits for no recorder, which has a low priority.
    """
    make_untouched_project(folder)
    project = Project(folder)
    stages = ("prepare", "split", "train", "evaluate", "plot")
    project.stages(" ".join(stages), *tiny_datasets(), **{recording.SWITCH: "here"})
    project.note(*(f"{stage}@{dataset}" for stage in stages for dataset in tiny_datasets()))
    project.commit()
    project.pack()


def run_stages(folder: Path, datasets: dict, warm: Warm) -> Path:
    """Run every stage of some datasets in a folder, without DVC, and move the project beside it.

    It is shared: look, don't touch. A copy of it belongs where it was made, in `project`: MLflow's store knows its place.
    """
    folder.mkdir()
    project = Project(folder)
    assert project.run("git", "init", "-q", "-b", "main", "--template=").returncode == 0
    project.write_params({"datasets": datasets})
    write_tiny_tables(folder)
    (folder / "dvc.yaml").write_text("stages: {}\n")
    (folder / "dvc.lock").write_text("schema: '2.0'\n")
    project.commit()
    for dataset in datasets:
        for stage in ("prepare", "split", "train", "evaluate", "plot"):
            ended = warm.run(folder, stage, "--dataset", dataset)
            assert ended.code == 0, ended.said
    return folder.rename(folder.with_name("whole"))
