"""Runs in MLflow: one per result, made while it is trained or from its files. The only file that imports mlflow.

Runs are found by content: the tag `result_sha256` is a digest of the model's files and its history. No run id ever
stands in a file that DVC or git tracks. Once a stage has begun, no fault of a server can harm it: its files are
written, the fault is said in a line, and `retrain sync` completes the run from the files.
"""

import json
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from retrain import description, environment, files, params, provenance, store
from retrain.description import Description
from retrain.errors import RetrainError
from retrain.params import Section
from retrain.results import Content, Result

import click
from pydantic import StringConstraints

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as StoredRun
    from sqlalchemy.engine import URL

LARGEST_BATCH = 1000
"""Metrics that MLflow takes in one call."""
MOST_PARAMS = 100
"""Parameters that it takes in one call."""
NO_FILE = "remove it, or what leads there"
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}  # the UI opens on the runs, not on chats


class StoreError(RetrainError):
    """The store does not take part."""


class UnreachableError(StoreError):
    """A tracking server does not answer, now; nothing is wrong with what the user has set."""


def now() -> int:
    """The time as MLflow has it: milliseconds since 1970."""
    return int(time.time() * 1000)


@dataclass(frozen=True)
class Epoch:
    """The figures of an epoch, and when they came."""

    figures: Mapping[str, float]
    at: int = field(default_factory=now)


class Note(Section):
    """Of which training a result is whose run could not be completed: it may carry no tag of the result yet."""

    training_sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    times: tuple[int, ...]
    """When each epoch came: a call that nobody waited for may bring it again, which then changes nothing."""


@dataclass(frozen=True)
class Run:
    """A run in a store. Its methods raise StoreError where the store does not take part."""

    client: "MlflowClient"
    run_id: str

    def stored(self) -> "StoredRun":
        """What the store has of it."""
        with reachable():
            return self.client.get_run(self.run_id)

    def epochs(self, rows: Mapping[int, Epoch], recorded: set[int] | None) -> set[int]:
        """Record the figures of epochs that it does not have yet.

        Args:
            rows: the epochs by their numbers.
            recorded: the epochs that it has; None where that is not known, and must be asked for.

        Returns:
            The epochs that it has now.
        """
        from mlflow.entities import Metric

        with writing(self.client):
            if recorded is None:
                recorded = {metric.step for metric in self.client.get_metric_history(self.run_id, "train_loss")}
            metrics = [
                Metric(name, value, row.at, step)
                for step, row in rows.items()
                if step not in recorded
                for name, value in row.figures.items()
            ]
            for begin in range(0, len(metrics), LARGEST_BATCH):
                self.client.log_batch(self.run_id, metrics[begin : begin + LARGEST_BATCH])
        return recorded | set(rows)

    def end(self, status: str) -> None:
        """Give it its last status: FINISHED, FAILED or KILLED."""
        with writing(self.client):
            self.client.set_terminated(self.run_id, status)

    def resume(self) -> None:
        """Let it go on, as a training that was interrupted does."""
        with writing(self.client):
            self.client.update_run(self.run_id, status="RUNNING")

    def begin(self, described: Description, tags: Mapping[str, str]) -> None:
        """Record what is known before training: parameters, the splits as dataset inputs, tags."""
        from mlflow.entities import Dataset, DatasetInput, InputTag, Param, RunTag

        stored = self.stored()
        sections = described.model_dump(mode="json", include=set(provenance.STAGES))
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
            parameters = [Param(name, value) for name, value in knobs.items()]
            for begin in range(0, len(parameters), MOST_PARAMS):
                self.client.log_batch(self.run_id, params=parameters[begin : begin + MOST_PARAMS])
            if new:
                self.client.log_batch(self.run_id, tags=new)

    def fill(self, content: Content, times: Sequence[int]) -> None:
        """Bring it up to what a result's files say. What stands there already is not written again.

        Args:
            content: what they say.
            times: when its epochs came, as far as that is known, from the first on.
        """
        from mlflow.entities import Metric, RunTag

        self.begin(content.description, {})
        came, at = dict(enumerate(times, start=1)), now()
        self.epochs({number: Epoch(figures, came.get(number, at)) for number, figures in content.epochs.items()}, None)
        data = self.stored().data
        kept = json.loads(data.tags.get("artifacts_sha256", "{}"))
        digests = {name: artifact.sha256[:16] for name, artifact in content.artifacts.items()}
        with reachable():
            for name, artifact in content.artifacts.items():
                if kept.get(name) != digests[name]:
                    self.client.log_artifact(self.run_id, str(artifact.path), name.rpartition("/")[0] or None)
        tags = {
            "artifacts_sha256": json.dumps(kept | digests, sort_keys=True),
            "model_sha256": content.artifacts[f"model/{description.WEIGHTS}"].sha256,
            "result_sha256": content.sha256,
        }
        new = [RunTag(name, value) for name, value in tags.items() if data.tags.get(name) != value]
        metrics = [
            Metric(name, value, at, 0) for name, value in content.metrics.items() if data.metrics.get(name) != value
        ]
        with writing(self.client):
            if metrics or new:
                self.client.log_batch(self.run_id, metrics, tags=new)
        if self.stored().info.status != "FINISHED":
            self.end("FINISHED")


def later(error: StoreError) -> None:
    """Say that MLflow does not take part, and that this does no harm."""
    click.echo(
        f"{error.place}: {error.fact}; nothing is lost: once it answers, `retrain sync` completes the run", err=True
    )


def place_of_note(result_sha256: str) -> Path:
    """Where a result's note lies as long as its run is not complete."""
    return environment.root() / ".retrain" / "runs" / result_sha256


def note_of(result_sha256: str) -> Note | None:
    """A result's note; None where there is none that can be read."""
    path = place_of_note(result_sha256)
    try:
        return params.check(files.read_json(path, "remove it"), Note, str(path))
    except RetrainError:
        return None


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

    Raises:
        RetrainError: the files are no result; no run is made then.
    """
    if client is None:
        return ""
    content = result.read()
    note = note_of(content.sha256)
    try:
        with one_at_a_time():
            run = run_of(client, result.dataset, content.sha256, note)
            if run is None:
                run = new_run(client, content.description, {"result_sha256": content.sha256, "recreated": "true"})
        run.fill(content, note.times if note else ())
    except StoreError as error:
        later(error)
        return ""
    place_of_note(content.sha256).unlink(missing_ok=True)
    return run.run_id


def run_of(client: "MlflowClient", dataset: str, result_sha256: str, note: Note | None) -> Run | None:
    """The newest run of a result, or of the training that it was noted to be of; None where there is none."""
    found = newest(client, dataset, "result_sha256", result_sha256)
    if found is None and note:
        found = newest(client, dataset, "training_sha256", note.training_sha256)
    return Run(client, found.info.run_id) if found else None


def newest(client: "MlflowClient", dataset: str, tag: str, value: str) -> "StoredRun | None":
    """The dataset's newest run that has a tag of this value."""
    with reachable():
        order = ["attributes.start_time DESC"]
        experiments = [experiment_id(client, dataset)]
        found = client.search_runs(experiments, f"tags.{tag} = '{value}'", max_results=1, order_by=order)
    return found[0] if found else None


def new_run(client: "MlflowClient", described: Description, tags: dict[str, str]) -> Run:
    """An empty run, named after the knobs that were changed. It is found by its tags from the first moment on."""
    sections = described.model_dump(mode="json", include=set(provenance.STAGES))
    name = provenance.run_name(described.dataset, params.flat(sections))
    experiment = experiment_id(client, described.dataset)
    with writing(client):
        return Run(client, client.create_run(experiment, run_name=name, tags=tags).info.run_id)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """For looking whether there is a run and making it: two processes that do it at once would make two."""
    with reachable(), store.lock(environment.root(), "runs"):
        yield


def result_tags(described: Description) -> dict[str, str]:
    """What the result's own files say of it."""
    return {
        "data_sha256": described.data_sha256,
        "threads": str(described.train.threads),
        "device": described.train.device,
        "mlflow.source.name": "src/train.py",
    }


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
    # No second attempt: what a slow server did not answer, it may have done. Making a run twice would make two.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # else errors come with a traceback, too


def own_store(root: Path) -> str:
    """The tracking URI of a root's own store, which is made, or adapted to where it lies now."""
    settle()
    uri = store.uri(root)
    if (root / "mlflow.db").exists():  # a link to nothing is one to where the store is to be
        files.must_not_be_endless(root / "mlflow.db", NO_FILE)
    with reachable(), store.lock(root, "mlflow"):
        store.relocate(root)
    initialise(uri, root)
    return uri


def initialise(uri: str, root: Path) -> None:
    """Let one process at a time make a fresh SQLite store: several at once break it for good."""
    from mlflow import MlflowClient
    from sqlalchemy.engine import make_url

    with reachable(), store.lock(root, "mlflow"):
        url = make_url(uri)
        if url.database and not url.database.startswith((":memory:", "file:")):
            make_whole(url, Path(url.database).resolve())
        MlflowClient(tracking_uri=uri).search_experiments(max_results=1)


def make_whole(url: "URL", path: Path) -> None:
    """Make a SQLite store, where there is none, in a draft: one that is killed among its tables can't be opened again.

    Raises:
        RetrainError: a device or a pipe is there, which may not be replaced.
    """
    from mlflow import MlflowClient

    files.must_not_be_endless(path, NO_FILE)
    files.remove_abandoned(path)
    if has_content(path):
        return
    folder = files.draft_of(path, "")  # a folder: SQLite keeps a journal beside its file
    try:
        folder.mkdir(parents=True)
        draft = url.set(database=str(folder / path.name)).render_as_string(hide_password=False)
        MlflowClient(tracking_uri=draft).search_experiments(max_results=1)
        if not has_content(path):  # another root that names the same store may have been faster
            (folder / path.name).replace(path)
    finally:
        files.remove(folder)


def has_content(path: Path) -> bool:
    """Whether there is a file, or whatever else, that is not empty."""
    return path.exists() and path.stat().st_size > 0


def experiment_id(client: "MlflowClient", dataset: str) -> str:
    """The dataset's experiment, made where there is none yet; one that was deleted comes back, with all of its runs."""
    with reachable():
        experiment = client.get_experiment_by_name(dataset)
        if experiment is not None and experiment.lifecycle_stage == "active":
            return str(experiment.experiment_id)
    root = environment.root()
    with reachable(), store.lock(root, "mlflow"):
        experiment = client.get_experiment_by_name(dataset)
        if experiment is not None:
            if experiment.lifecycle_stage != "active":
                client.restore_experiment(experiment.experiment_id)
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
        with store.lock(environment.root(), "mlflow"):
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
    except (
        MlflowException,
        SQLAlchemyError,
        sqlite3.Error,
        RequestException,
        OSError,
        ImportError,
        ValueError,
    ) as error:
        uri = os.environ.get("MLFLOW_TRACKING_URI") or "mlflow.db"
        fact = f"does not take part ({params.shortened(' '.join(str(error).split()), 200)})"
        way_out = "start the server, correct MLFLOW_TRACKING_URI, or unset it to use mlflow.db"
        if "disk I/O error" in fact or "disk is full" in fact or "No space left" in fact or "File too large" in fact:
            way_out = "make room on the disk"
        refused = isinstance(error, MlflowException) and 400 <= error.get_http_status_code() < 500  # type: ignore[no-untyped-call]
        unanswered = uri.startswith(("http:", "https:")) and not refused and not isinstance(error, ValueError)
        kind = UnreachableError if unanswered else StoreError
        raise kind(f"MLflow ({uri})", fact, way_out) from None
