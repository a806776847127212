"""Runs in MLflow: one per result, made while it is trained or from its files. The only file that imports mlflow.

Runs are found by content: the tag `result_sha256` is a digest of the model's files and its history. No run id ever
stands in a file that DVC or git tracks. Once a stage has begun, no fault of a server can harm it: its files are
written, the fault is said in a line, and `retrain sync` completes the run from the files.
"""

import json
import logging
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from retrain import description, environment, files, params, store
from retrain.description import Description
from retrain.errors import RetrainError
from retrain.results import Result

import click

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as StoredRun

LIBRARIES = ("torch", "mlflow", "pandas", "numpy", "safetensors")
STAGES = ("prepare", "split", "train")
NAMED = 6
"""Changed knobs that stand in a run's name; a recipe changes more."""
LONGEST_VALUE = 36
"""Characters of a value in a run's name."""
LARGEST_BATCH = 1000
"""Metrics that MLflow takes in one call."""
PARTING_SECONDS = 0.8
"""What an interrupted training gives a server to take its last words."""
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}  # the UI opens on the runs, not on chats


class StoreError(RetrainError):
    """The store does not take part."""


class UnreachableError(StoreError):
    """A tracking server does not answer, now; nothing is wrong with what the user has set."""


@dataclass(frozen=True)
class Run:
    """A run in a store. Its methods raise StoreError where the store does not take part."""

    client: "MlflowClient"
    run_id: str

    def stored(self) -> "StoredRun":
        """What the store has of it."""
        with reachable():
            return self.client.get_run(self.run_id)

    def epochs(self, rows: Mapping[int, Mapping[str, float]]) -> None:
        """Record the figures of epochs that it does not have yet."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        with writing(self.client):
            recorded = {metric.step for metric in self.client.get_metric_history(self.run_id, "train_loss")}
            metrics = [
                Metric(name, value, now, step)
                for step, row in rows.items()
                if step not in recorded
                for name, value in row.items()
            ]
            for begin in range(0, len(metrics), LARGEST_BATCH):
                self.client.log_batch(self.run_id, metrics[begin : begin + LARGEST_BATCH])

    def end(self, status: str) -> None:
        """Give it its last status: FINISHED, FAILED or KILLED."""
        with writing(self.client):
            self.client.set_terminated(self.run_id, status)

    def begin(self, described: Description, tags: Mapping[str, str]) -> None:
        """Record what is known before training: parameters, the splits as dataset inputs, tags."""
        from mlflow.entities import Dataset, DatasetInput, InputTag, Param, RunTag

        stored = self.stored()
        sections = described.model_dump(mode="json", include=set(STAGES))
        knobs = {name: value for name, value in params.flat(sections).items() if name not in stored.data.params}
        wanted = {**result_tags(described), **tags}
        new = [RunTag(name, value) for name, value in wanted.items() if stored.data.tags.get(name) != value]
        splits = [
            DatasetInput(
                Dataset(
                    name=f"{described.dataset} {split}",
                    digest=facts.sha256[:36],
                    source_type="local",
                    source=json.dumps({"uri": f"data/{described.dataset}/splits/{split}.parquet"}),
                    profile=json.dumps({"num_rows": facts.rows}),
                ),
                [InputTag("mlflow.data.context", split)],
            )
            for split, facts in described.splits.items()
        ]
        with writing(self.client):
            if knobs:  # last of all: as long as some are missing, the others may be
                self.client.log_inputs(self.run_id, [] if stored.inputs and stored.inputs.dataset_inputs else splits)
                self.client.log_dict(self.run_id, sections, "params.json")
            if knobs or new:
                parameters = [Param(name, value) for name, value in knobs.items()]
                self.client.log_batch(self.run_id, params=parameters, tags=new)

    def fill(self, result: Result) -> None:
        """Bring it up to what the result's files say. What stands there already is not written again."""
        from mlflow.entities import Metric, RunTag

        self.begin(result.description(), {})
        self.epochs(result.epochs())
        data, now, artifacts = self.stored().data, int(time.time() * 1000), result.artifacts()
        kept = json.loads(data.tags.get("artifacts_sha256", "{}"))
        digests = {name: files.sha256(path)[:16] for name, path in artifacts.items()}
        with reachable():
            for name, path in artifacts.items():
                if kept.get(name) != digests[name]:
                    self.client.log_artifact(self.run_id, str(path), name.rpartition("/")[0] or None)
        tags = {
            "artifacts_sha256": json.dumps(kept | digests, sort_keys=True),
            "model_sha256": files.sha256(result.model / description.WEIGHTS),
            "result_sha256": result.sha256,
        }
        new = [RunTag(name, value) for name, value in tags.items() if data.tags.get(name) != value]
        metrics = [
            Metric(name, value, now, 0) for name, value in result.metrics().items() if data.metrics.get(name) != value
        ]
        with writing(self.client):
            if metrics or new:
                self.client.log_batch(self.run_id, metrics, tags=new)
        if self.stored().info.status != "FINISHED":
            self.end("FINISHED")


@dataclass
class Recording:
    """What a training tells its run, in a thread of its own: the training never waits for a server."""

    run: Run | None
    """None where the server did not answer in the beginning."""
    unsent: dict[int, dict[str, float]] = field(default_factory=dict)
    faults: list[StoreError] = field(default_factory=list)
    calls: "SimpleQueue[Callable[[], None] | None]" = field(default_factory=SimpleQueue)

    def __post_init__(self) -> None:
        self.thread = Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self) -> None:
        """Make the calls, one after the other."""
        for call in iter(self.calls.get, None):
            try:
                call()
            except StoreError as error:
                self.faults.append(error)
                if len(self.faults) == 1:
                    later(error)

    def epoch(self, row: dict[str, float]) -> None:
        """Record a row of the history; where that fails, it goes with the next one."""
        figures = dict(row)
        self.unsent[int(figures.pop("epoch"))] = figures
        if self.run:
            self.calls.put(self.send)

    def send(self) -> None:
        """Hand over all epochs that were not taken yet, unless a later call is waiting to do that."""
        if self.calls.empty():
            self.send_all()

    def send_all(self) -> None:
        """Hand over all epochs that were not taken yet."""
        rows = dict(self.unsent)
        if self.run and rows:
            self.run.epochs(rows)
            for step in rows:
                del self.unsent[step]

    def end(self, status: str, seconds: float | None) -> None:
        """End the run, in so many seconds or, with None, in as many as it takes."""
        if self.run:
            self.calls.put(self.send_all)
            self.calls.put(partial(self.run.end, status))
        self.calls.put(None)
        self.thread.join(seconds)

    def result(self, result: Result) -> None:
        """Complete the run from the files that the training has written; if it can't be now, note which run it was."""
        self.calls.put(None)
        self.thread.join()
        if not self.run:
            return
        note = note_of(result)
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(self.run.run_id, encoding="utf-8")
        try:
            self.run.fill(result)
        except StoreError as error:
            if not self.faults:  # else it has been said
                later(error)
        else:
            note.unlink()


def later(error: StoreError) -> None:
    """Say that MLflow does not take part, and that this does no harm."""
    click.echo(
        f"{error.place}: {error.fact}; nothing is lost: once it answers, `retrain sync` completes the run", err=True
    )


def note_of(result: Result) -> Path:
    """Where the run of a result is noted that could not be completed; it may carry no tag of the result yet."""
    return environment.root() / ".retrain" / "runs" / result.sha256


@contextmanager
def training(described: Description, identity: str) -> Iterator[Recording]:
    """The run of a training: the one that an interrupted or unfinished training of the same identity has, else a new one.

    It ends FAILED on an error and KILLED when interrupted; `Recording.result` ends it FINISHED.

    Args:
        described: what `model.json` will say of sections, data and device.
        identity: the digest of all that the training depends on.

    Raises:
        RetrainError: there can be no store as it is set.
    """
    client = connect()
    recording = Recording(None if client is None else started(client, described, identity))
    try:
        yield recording
    except BaseException as error:
        recording.end("FAILED" if isinstance(error, Exception) else "KILLED", PARTING_SECONDS)
        raise
    if recording.thread.is_alive():
        recording.end("FINISHED", None)


def started(client: "MlflowClient", described: Description, identity: str) -> Run | None:
    """The run that a training tells its epochs; None where the server stopped answering."""
    here = files.combined_sha256({platform.node(): identity, str(environment.root()): identity})
    try:
        with reachable():
            found = client.search_runs(
                [experiment_id(client, described.dataset)],
                f"tags.training_sha256 = '{here}'",
                max_results=1,
                order_by=["attributes.start_time DESC"],
            )
        if found and "best_epoch" not in found[0].data.metrics:  # not evaluated: nobody took its result
            run = Run(client, found[0].info.run_id)
        else:
            run = new_run(client, described)
        with killed_where_interrupted(run):
            run.begin(described, {**environment_tags(), "training_sha256": here})
            with writing(client):
                client.update_run(run.run_id, status="RUNNING")
    except StoreError as error:
        later(error)
        return None
    return run


@contextmanager
def killed_where_interrupted(run: Run) -> Iterator[None]:
    """End a run as KILLED where a signal ends the block."""
    try:
        yield
    except SystemExit:
        run.end("KILLED")
        raise


def ready_for(result: Result) -> "MlflowClient | None":
    """What `record` needs.

    Raises:
        RetrainError: no run can be made of the result, or there can be no store as it is set.
    """
    result.epochs()
    return connect()


def record(client: "MlflowClient | None", result: Result) -> str:
    """Bring the run of a result up to what its files say, and make it where there is none.

    Args:
        client: what `ready_for` gave.
        result: the files; done twice with the same, nothing changes.

    Returns:
        The run's id; nothing where the server does not answer, which is said.
    """
    if client is None:
        return ""
    try:
        run = run_of(client, result)
        if run is None:
            run = new_run(client, result.description())
            run.begin(result.description(), {"recreated": "true"})
        run.fill(result)
    except StoreError as error:
        later(error)
        return ""
    note_of(result).unlink(missing_ok=True)
    return run.run_id


def run_of(client: "MlflowClient", result: Result) -> Run | None:
    """The newest run of a result, or the one that was noted; None where there is none."""
    from mlflow.exceptions import MlflowException

    with reachable():
        found = client.search_runs(
            [experiment_id(client, result.dataset)],
            f"tags.result_sha256 = '{result.sha256}'",
            max_results=1,
            order_by=["attributes.start_time DESC"],
        )
        if found:
            return Run(client, found[0].info.run_id)
        with suppress(OSError, MlflowException):  # another store does not know it
            noted = client.get_run(note_of(result).read_text(encoding="utf-8")).info
            return Run(client, noted.run_id) if noted.lifecycle_stage == "active" else None
    return None


def new_run(client: "MlflowClient", described: Description) -> Run:
    """An empty run, named after the knobs that were changed."""
    name = run_name(described.dataset, params.flat(described.model_dump(mode="json", include=set(STAGES))))
    experiment = experiment_id(client, described.dataset)
    with writing(client):
        return Run(client, client.create_run(experiment, run_name=name).info.run_id)


def run_name(dataset: str, knobs: Mapping[str, str]) -> str:
    """The dataset and the knobs that differ from the committed ones, the first few: `diabetes learning_rate=0.1`."""
    committed = committed_knobs(dataset)
    changed = {name: value for name, value in knobs.items() if committed and committed.get(name) != value}
    plain = {name: value.replace('"', "").replace(", ", ",") for name, value in changed.items()}
    named = [f"{short(name, knobs)}={shortened(value)}" for name, value in plain.items()]
    more = [f"and {len(named) - NAMED} more"] if len(named) > NAMED else []
    return " ".join([dataset, *named[:NAMED], *more])


def shortened(value: str) -> str:
    """A value, or the beginning of one that is too long for a name."""
    return value if len(value) <= LONGEST_VALUE else f"{value[: LONGEST_VALUE - 1]}…"


def short(knob: str, knobs: Iterable[str]) -> str:
    """The end of a knob's path, as far as no other knob ends like it: `learning_rate`, but `split.seed`."""
    parts = knob.split(".")
    ends = (".".join(parts[-length:]) for length in range(1, len(parts)))
    alone = (end for end in ends if sum(f".{other}".endswith(f".{end}") for other in knobs) == 1)
    return next(alone, knob)


def committed_knobs(dataset: str) -> dict[str, str]:
    """The knobs of the commit that the workspace, or the DVC experiment, started from; none outside of git."""
    from ruamel.yaml import YAML

    committed = f"{os.environ.get('DVC_EXP_BASELINE_REV', 'HEAD')}:{params.FILE}"
    try:
        content = params.parsed(git("show", committed).encode(), committed, YAML(typ="safe"))
        block = content["datasets"][dataset]
        return params.flat({stage: block[stage] for stage in STAGES})
    except (RetrainError, KeyError, TypeError):
        return {}


def result_tags(described: Description) -> dict[str, str]:
    """What the result's own files say of it."""
    return {
        "data_sha256": described.data_sha256,
        "threads": str(described.train.threads),
        "device": described.train.device,
        "mlflow.source.name": "src/train.py",
    }


def environment_tags() -> dict[str, str]:
    """Where a training ran: true of it, and not of a result that was found later."""
    from importlib.metadata import version

    commit = git("rev-parse", "HEAD").strip() or "none"
    tags = {
        "git_commit": commit,
        "git_dirty": str(bool(git("status", "--porcelain", "--untracked-files=no").strip())).lower(),
        "mlflow.source.git.commit": commit,
        **{f"version.{library}": version(library) for library in LIBRARIES},
    }
    if "DVC_EXP_NAME" in os.environ:
        tags["dvc_experiment"] = os.environ["DVC_EXP_NAME"]
    return tags


def git(*arguments: str) -> str:
    """What git says; nothing where there is no git or no repository."""
    try:
        answer = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout


def connect() -> "MlflowClient | None":
    """A client of the store that is meant: `MLFLOW_TRACKING_URI`, else the root's own SQLite file.

    Returns:
        None where a server does not answer, which is said.

    Raises:
        StoreError: there can be no store of that name, or the server turns us down.
    """
    settle()
    from mlflow import MlflowClient

    root = environment.root()
    named = os.environ.get("MLFLOW_TRACKING_URI", "")
    if named.startswith("sqlite:"):
        initialise(named, root)
    uri = named or own_store(root)
    try:
        with reachable():
            client = MlflowClient(tracking_uri=uri)
            client.search_experiments(max_results=1)
    except UnreachableError as error:
        later(error)
        return None
    return client


def settle() -> None:
    """Keep MLflow quiet, and short of patience with a server that does not answer; what the user set stays."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "8")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # else errors come with a traceback, too


def own_store(root: Path) -> str:
    """The tracking URI of a root's own store, which is made, or adapted to where it lies now."""
    settle()
    uri = store.uri(root)
    with store.lock(root):
        store.relocate(root)
    initialise(uri, root)
    return uri


def initialise(uri: str, root: Path) -> None:
    """Let one process at a time make a fresh SQLite store; several at once break it for good."""
    from mlflow import MlflowClient

    with reachable(), store.lock(root):
        MlflowClient(tracking_uri=uri).search_experiments(max_results=1)


def experiment_id(client: "MlflowClient", dataset: str) -> str:
    """The dataset's experiment, made where there is none yet."""
    experiment = client.get_experiment_by_name(dataset)
    if experiment is not None:
        return str(experiment.experiment_id)
    root = environment.root()
    with store.lock(root):
        experiment = client.get_experiment_by_name(dataset)
        if experiment is not None:
            return str(experiment.experiment_id)
        ours = client.tracking_uri.startswith("sqlite:")
        location = (root / "mlruns" / dataset).as_uri() if ours else None
        return str(client.create_experiment(dataset, location, tags=EXPERIMENT_TAGS))


@contextmanager
def writing(client: "MlflowClient") -> Iterator[None]:
    """One process at a time writes to a SQLite store, which turns down a second writer at once in some of its states."""
    with reachable():
        if not client.tracking_uri.startswith("sqlite:"):
            yield
            return
        with store.lock(environment.root()):
            yield


@contextmanager
def reachable() -> Iterator[None]:
    """Say in one line that the store does not take part: it does not answer, or there can be none of that name."""
    import sqlite3

    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error, RequestException, ImportError, ValueError) as error:
        uri = os.environ.get("MLFLOW_TRACKING_URI") or "mlflow.db"
        fact = f"does not take part ({params.shortened(' '.join(str(error).split()), 200)})"
        way_out = "start the server, correct MLFLOW_TRACKING_URI, or unset it to use mlflow.db"
        if "disk I/O error" in fact or "disk is full" in fact:
            way_out = "make room on the disk"
        refused = isinstance(error, MlflowException) and 400 <= error.get_http_status_code() < 500  # type: ignore[no-untyped-call]
        unanswered = uri.startswith(("http:", "https:")) and not refused and not isinstance(error, ValueError)
        kind = UnreachableError if unanswered else StoreError
        raise kind(f"MLflow ({uri})", fact, way_out) from None
