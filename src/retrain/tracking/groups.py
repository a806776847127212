"""Several results as child runs of one run in MLflow."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from retrain import files
from retrain.models.result import Result
from retrain.tracking import naming, runs
from retrain.tracking.runs import Run
from retrain.tracking.store import StoreError, reachable, writing

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["Group", "record"]


PARENT = "mlflow.parentRunId"
"""The tag by which MLflow's UI shows a run below another one."""


@dataclass(frozen=True)
class Group:
    """What the run of several results says itself."""

    dataset: str
    name: str
    metrics: Mapping[str, float]
    note: str
    """Its description, in Markdown."""
    file: Path
    """Its artifact, by whose content the run is found."""


def record(client: "MlflowClient", group: Group, children: Mapping[str, Result]) -> str:
    """Record results below a run of their own. Safe to repeat.

    The children lack the tag `result_sha256`, so none is taken for the run of the project's own result.

    Args:
        client: of the store.
        group: the run.
        children: the results by the names of their runs.

    Returns:
        The run's ID.

    Raises:
        StoreError: the store fails; the run ends FAILED, if the store can still be told.
    """
    digest = files.sha256(group.file)
    known = runs.newest(client, group.dataset, "group_sha256", digest)
    if known and known.info.status == "FINISHED":
        return str(known.info.run_id)
    tags = {"group_sha256": digest, "mlflow.note.content": group.note, **naming.environment_tags()}
    parent = runs.create(client, group.dataset, group.name, tags)
    with ending(parent):
        for name, result in children.items():
            child = runs.create(client, group.dataset, name, {PARENT: parent.run_id})
            with ending(child):
                child.fill(result.read(), (), known_by="group_result_sha256")
                with writing(client):
                    client.set_tag(child.run_id, "mlflow.note.content", f"{name}, by `retrain seeds {group.dataset}`")
        with writing(client):
            for metric, value in group.metrics.items():
                client.log_metric(parent.run_id, metric, value)
        with reachable():
            client.log_artifact(parent.run_id, str(group.file))
    return parent.run_id


@contextmanager
def ending(run: Run) -> Iterator[None]:
    """End a run with the block: FINISHED, FAILED on an error, KILLED when interrupted."""
    try:
        yield
    except BaseException as error:
        with suppress(StoreError):
            run.end("FAILED" if isinstance(error, Exception) else "KILLED")
        raise
    run.end("FINISHED")
