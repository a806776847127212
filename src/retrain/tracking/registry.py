"""Models in MLflow: logged models, tied to their runs, and versions of registered models with aliases.

A version is found by its content: its tag `result_sha256` is the digest of the result, as for runs.
"""

import atexit
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from retrain import environment, schema
from retrain.errors import RetrainError
from retrain.models import description
from retrain.models.result import Content, Result
from retrain.tracking import runs, store
from retrain.tracking.recording import now
from retrain.tracking.store import experiment_id, one_at_a_time, reachable, writing

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion

__all__ = [
    "CHALLENGER",
    "CHAMPION",
    "aliases_of",
    "client_of_store",
    "folder_of",
    "point",
    "register",
    "tag",
    "version_of",
]


SCHEME = "models:/"
CHALLENGER, CHAMPION = "challenger", "champion"
"""The aliases of the model that was proposed last, and of the one that is in use."""
RESULT = "result_sha256"


def register(client: "MlflowClient", result: Result, run_id: str) -> "ModelVersion":
    """The version of the dataset's registered model that holds a result; it is made if there is none.

    Args:
        client: of the store.
        result: the files of the result, evaluated.
        run_id: its run.

    Raises:
        RetrainError: a file of the result is missing or damaged.
        StoreError: the store fails.
    """
    content = result.read()
    with one_at_a_time():
        if found := version_of(client, result.dataset, content.sha256):
            return found
        logged = log(client, result, content, run_id)
        known = {RESULT: content.sha256, "model_sha256": runs.model_sha256(content)}
        with reachable():
            names = [registered.name for registered in client.search_registered_models(f"name = '{result.dataset}'")]
        with writing(client):
            if result.dataset not in names:
                client.create_registered_model(result.dataset)
            return client.create_model_version(
                result.dataset, logged.model_uri, run_id, tags=known, model_id=logged.model_id
            )


def log(client: "MlflowClient", result: Result, content: Content, run_id: str) -> "LoggedModel":
    """A logged model with its files, tied to the run, to the metrics of the test split and to that split."""
    from retrain.tracking import packaging  # it imports torch, which must wait for its settings

    from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Metric

    experiment = experiment_id(client, result.dataset)
    with writing(client):
        logged = client.create_logged_model(experiment, result.dataset, run_id, tags={RESULT: content.sha256})
    with tempfile.TemporaryDirectory() as folder, reachable():
        saved = Path(folder) / "model"
        packaging.save(saved, result, run_id=run_id, model_id=logged.model_id)
        client.log_model_artifacts(logged.model_id, str(saved))
    facts, at = content.description.splits["test"], now()
    metrics = [
        Metric(name, value, at, 0, logged.model_id, f"{result.dataset} test", facts.md5, run_id)
        for name, value in content.metrics.items()
        if name.startswith("test/")
    ]
    with writing(client):
        client.log_batch(run_id, metrics)
        client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
        return client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)


def version_of(client: "MlflowClient", dataset: str, result_sha256: str) -> "ModelVersion | None":
    """The version that holds a result; None if there is none, or if its files are gone."""
    with reachable():
        found = client.search_model_versions(f"name = '{dataset}' AND tags.{RESULT} = '{result_sha256}'")
        return next((version for version in found if has_files(client, version)), None)


def has_files(client: "MlflowClient", version: "ModelVersion") -> bool:
    """Whether a version's folder exists; a store on another machine is trusted."""
    parts = urlsplit(client.get_model_version_download_uri(version.name, version.version))
    return parts.scheme not in ("", "file") or Path(unquote(parts.path)).is_dir()


def point(client: "MlflowClient", dataset: str, aliases: Mapping[str, "ModelVersion | None"]) -> None:
    """Let aliases name versions; one that names none goes."""
    known = aliases_of(client, dataset)
    for alias, version in aliases.items():
        with writing(client):
            if version is not None:
                client.set_registered_model_alias(dataset, alias, version.version)
            elif alias in known:
                client.delete_registered_model_alias(dataset, alias)


def tag(client: "MlflowClient", version: "ModelVersion", text: str, tags: Mapping[str, str]) -> None:
    """Give a version a description, in Markdown, and tags."""
    with writing(client):
        client.update_model_version(version.name, version.version, text)
        for name, value in tags.items():
            client.set_model_version_tag(version.name, version.version, name, value)


def folder_of(uri: str) -> Path:
    """The folder of a registered model's own files: `models:/reviews@champion` or `models:/reviews/3`.

    A store's files on this disk are used where they are; others are downloaded into a temporary folder.

    Raises:
        RetrainError: there is no such version, or it is not a model of this program.
        StoreError: the store fails.
    """
    name, at, alias = uri.removeprefix(SCHEME).partition("@")
    if not at:
        name, _, alias = name.partition("/")
    server = os.environ.get("MLFLOW_TRACKING_URI")
    if not server and not (environment.root() / "mlflow.db").exists():
        is_project = (environment.root() / "params.yaml").exists()
        hint = f"run: retrain promote {name}" if is_project else "run this in the project's folder"
        raise RetrainError(uri, "is not here: there is no mlflow.db", hint)
    client = client_of_store()
    possible = re.fullmatch(schema.NAME, name)
    number = number_of(client, name, alias, is_alias=bool(at)) if possible else None
    if number is None:
        known = [f"{SCHEME}{name}@{alias}" for alias in aliases_of(client, name)] if possible else []
        hint = f"there are: {', '.join(known)}" if known else f"run: retrain promote {name}"
        raise RetrainError(uri, f"is not in MLflow ({client.tracking_uri})", hint)
    folder = files_of(client, name, number)
    found = next(iter(sorted(folder.glob(f"artifacts/*/{description.FILE}"))), None)
    if not folder.is_dir():
        raise RetrainError(uri, f"has lost its files ({folder})", f"register it again: retrain promote {name}")
    if found is None:
        raise RetrainError(uri, "is not a model of Retrain", "name one that retrain promote registered")
    return found.parent


def client_of_store() -> "MlflowClient":
    """A client of the store that is in use, which is connected to once: a server asks it every second."""
    return connected(environment.root(), os.environ.get("MLFLOW_TRACKING_URI"))


@cache
def connected(root: Path, uri: str | None) -> "MlflowClient":
    """A client of the store that these settings name."""
    return store.connect()


def number_of(client: "MlflowClient", name: str, alias: str, *, is_alias: bool) -> str | None:
    """The version of a registered model that an alias, or its own number, names; None if there is none."""
    from mlflow.exceptions import MlflowException

    with reachable():
        try:
            ask = client.get_model_version_by_alias if is_alias else client.get_model_version
            return str(ask(name, alias).version)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise


def aliases_of(client: "MlflowClient", name: str) -> dict[str, str]:
    """The version that each alias of a registered model names; none if there is no such model."""
    with reachable():
        models = client.search_registered_models(f"name = '{name}'")
        return {alias: str(number) for model in models for alias, number in model.aliases.items()}


@cache
def files_of(client: "MlflowClient", name: str, number: str) -> Path:
    """The folder of a version, which never changes; it is downloaded once."""
    with reachable():
        return local(client.get_model_version_download_uri(name, number))


def local(location: str) -> Path:
    """A folder of artifacts on this disk."""
    from mlflow.artifacts import download_artifacts

    parts = urlsplit(location)
    if parts.scheme in ("", "file"):
        return Path(unquote(parts.path))
    folder = tempfile.mkdtemp(prefix="retrain-model-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(download_artifacts(artifact_uri=location, dst_path=folder))
