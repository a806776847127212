"""Runs in MLflow: one per result, made while it is trained or from its files. The only file that imports mlflow.

Runs are found by content: the tag `result_sha256` is a digest of the model's files and its history. No run id ever
stands in a file that DVC or git tracks. Once a stage has begun, no fault of a server can harm it: its files are
written, the fault is said in a line, and `retrain sync` completes the run from the files.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from retrain import environment, files, params, schema
from retrain.errors import RetrainError
from retrain.models import description
from retrain.models.description import Description
from retrain.schema import Section
from retrain.tracking import naming
from retrain.tracking.result import Content, Result
from retrain.tracking.store import StoreError, connect, experiment_id, one_at_a_time, reachable, warn_deferred, writing

from pydantic import StringConstraints

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as StoredRun

LARGEST_BATCH = 1000
"""Metrics that MLflow takes in one call."""
MOST_PARAMS = 100
"""Parameters that it takes in one call."""


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
        sections = described.model_dump(mode="json", include=set(naming.STAGES))
        parameters = {name: value for name, value in params.flat(sections).items() if name not in stored.data.params}
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
            if parameters:  # last of all: as long as some are missing, the others may be
                self.client.log_inputs(self.run_id, [] if stored.inputs and stored.inputs.dataset_inputs else splits)
                self.client.log_dict(self.run_id, sections, "params.json")
            values = [Param(name, value) for name, value in parameters.items()]
            for begin in range(0, len(values), MOST_PARAMS):
                self.client.log_batch(self.run_id, params=values[begin : begin + MOST_PARAMS])
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


def note_path(result_sha256: str) -> Path:
    """Where a result's note lies as long as its run is not complete."""
    return environment.root() / ".retrain" / "runs" / result_sha256


def note_of(result_sha256: str) -> Note | None:
    """A result's note; None where there is none that can be read."""
    path = note_path(result_sha256)
    try:
        return schema.check(files.read_json(path, "remove it"), Note, str(path))
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
        warn_deferred(error)
        return ""
    note_path(content.sha256).unlink(missing_ok=True)
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
    """An empty run, named after the parameters that were changed. It is found by its tags from the first moment on."""
    sections = described.model_dump(mode="json", include=set(naming.STAGES))
    name = naming.run_name(described.dataset, params.flat(sections))
    experiment = experiment_id(client, described.dataset)
    with writing(client):
        return Run(client, client.create_run(experiment, run_name=name, tags=tags).info.run_id)


def result_tags(described: Description) -> dict[str, str]:
    """What the result's own files say of it."""
    return {
        "data_sha256": described.data_sha256,
        "threads": str(described.train.threads),
        "device": described.train.device,
        "mlflow.source.name": "src/train.py",
    }
