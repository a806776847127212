"""This repository's own MLflow store: `mlflow.db`, with the artifacts in `mlruns/` next to it."""

import logging
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from retrain import environment, files, schema
from retrain.errors import RetrainError
from retrain.processes import lock

import click

if TYPE_CHECKING:
    import sqlite3

    from mlflow import MlflowClient
    from sqlalchemy.engine import URL

__all__ = [
    "StoreError",
    "check_file",
    "check_uri",
    "connect",
    "experiment_id",
    "one_at_a_time",
    "own_store",
    "own_uri",
    "reachable",
    "root_id",
    "writing",
]


PATHS = (
    ("experiments", "artifact_location"), ("runs", "artifact_uri"), ("logged_models", "artifact_location"), ("model_versions", "storage_location"),
)  # fmt: skip
"""The tables and columns of a store that hold paths of artifacts."""
LONGEST = 200
"""Characters of a message of MLflow in an error."""
NO_FILE = "remove it, or what leads there"
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}  # the UI opens on the runs, not on chats
SCHEMES = {"sqlite", "http", "https", "postgresql", "mysql", "mssql", "databricks", "databricks-uc", "uc"}


class StoreError(RetrainError):
    """The store fails: it is unreachable, full, or rejects a request."""


def own_uri(root: Path) -> str:
    """The tracking URI of a root's own store.

    Raises:
        RetrainError: the path holds what a URI would read as something else.
    """
    path = str(root / "mlflow.db")
    if "?" in path or unquote(path) != path:
        fact = "MLflow can't keep a store below a name with '?' or an escape such as '%20'"
        raise RetrainError(str(root), fact, "rename the folder, or set MLFLOW_TRACKING_URI")
    return f"sqlite:///{path}"


def root_id(root: Path) -> str:
    """Tells this root from all others, even if its host gets another name, as containers do."""
    path = root / ".retrain" / "id"
    with lock(root, "id"):
        if not path.exists():
            with files.writing(path):
                path.write_text(secrets.token_hex(16), encoding="utf-8")
        return f"{path.read_text(encoding='utf-8')} {root}"


def relocate(root: Path) -> None:
    """Adapt the paths of a store that was made under another root, so that its artifacts are found, and print a line.

    MLflow stores where artifacts lie as absolute paths: in a repository that was moved, and in a store that came from
    another machine, they point nowhere.
    """
    import sqlite3

    # Connect even if there is no file yet: if it can't be opened, this fails at once, MLflow only after a hundred seconds.
    with sqlite3.connect(root / "mlflow.db") as connection:
        now = (root / "mlruns").as_uri()
        for before in sorted(artifact_roots(connection) - {now}):
            for table, column in PATHS:
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",  # noqa: S608 (our names)
                    (now, len(before) + 1, len(before), before),
                )
            click.echo(f"mlflow.db was made under another root; artifacts are now looked for in {now}", err=True)
    connection.close()


def artifact_roots(connection: "sqlite3.Connection") -> set[str]:
    """The folders `mlruns` that experiments keep their artifacts in."""
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'experiments'").fetchone()
    rows = connection.execute("SELECT name, artifact_location FROM experiments").fetchall() if known else []
    ends = [(location, f"/{quote(name)}") for name, location in rows]
    return {location.removesuffix(end) for location, end in ends if location.endswith(f"/mlruns{end}")}


def check_uri(uri: str) -> None:
    """Raise RetrainError if a tracking URI can't be the address of a store. Does not import MLflow."""
    hint = "use http(s)://HOST:PORT or sqlite:////PATH/TO/mlflow.db, or unset it to use mlflow.db"
    scheme = uri.partition(":")[0].partition("+")[0]
    if scheme not in SCHEMES:
        raise RetrainError("MLFLOW_TRACKING_URI", f"is '{uri}', which is not the address of a tracking store", hint)
    try:
        urlsplit(uri)
    except ValueError as error:
        raise RetrainError("MLFLOW_TRACKING_URI", f"is '{uri}', which is not a valid URL ({error})", hint) from None


def one_at_a_time() -> AbstractContextManager[None]:
    """Held while a run is looked up and created, so that two processes don't create it twice."""
    return lock(environment.root(), "runs")


def connect() -> "MlflowClient":
    """A client of the store at `MLFLOW_TRACKING_URI`, or of the root's own SQLite file.

    Raises:
        StoreError: the store fails.
    """
    configure_mlflow()
    from mlflow import MlflowClient

    root = environment.root()
    named = os.environ.get("MLFLOW_TRACKING_URI", "")
    if named.startswith("sqlite:"):
        initialise(named, root)
    uri = named or own_store(root)
    with reachable():
        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)
    return client


def configure_mlflow() -> None:
    """Keep MLflow quiet, and short of patience with a server that does not answer; what the user set stays."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "8")
    # No retry: a slow server may have created the run without answering.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    for name in ("mlflow.store.db.utils", "mlflow.utils.databricks_utils"):  # each error would be printed twice
        logging.getLogger(name).setLevel(logging.CRITICAL)


def own_store(root: Path) -> str:
    """The tracking URI of a root's own store, which is made, or adapted to where it lies now."""
    configure_mlflow()
    uri = own_uri(root)
    if (root / "mlflow.db").exists():  # A dangling link passes: the store is created at its target.
        files.require_regular_file(root / "mlflow.db", NO_FILE)
    with reachable(uri), lock(root, "mlflow"):
        relocate(root)
    initialise(uri, root)
    return uri


def initialise(uri: str, root: Path) -> None:
    """Let one process at a time make a fresh SQLite store: several at once break it for good."""
    from mlflow import MlflowClient
    from sqlalchemy.engine import make_url

    with reachable(uri), lock(root, "mlflow"):
        url = make_url(uri)
        if url.database and not url.database.startswith((":memory:", "file:")):
            create_store(url, Path(url.database).resolve())
        MlflowClient(tracking_uri=uri).search_experiments(max_results=1)


def create_store(url: "URL", path: Path) -> None:
    """Create the store in a draft: a SQLite file whose creation was interrupted can't be opened.

    Raises:
        RetrainError: a device or a pipe is there, which may not be replaced.
    """
    from mlflow import MlflowClient

    files.require_regular_file(path, NO_FILE)
    files.remove_abandoned(path)
    if has_content(path):
        return
    folder = files.draft_of(path, "")  # a folder: SQLite writes further files next to its own
    try:
        folder.mkdir(parents=True)
        draft = url.set(database=str(folder / path.name)).render_as_string(hide_password=False)
        MlflowClient(tracking_uri=draft).search_experiments(max_results=1)
        if not has_content(path):  # another root that names the same store may have been faster
            (folder / path.name).replace(path)
    finally:
        files.remove(folder)


def has_content(path: Path) -> bool:
    """Whether something exists at a path and is not empty."""
    return path.exists() and path.stat().st_size > 0


def experiment_id(client: "MlflowClient", dataset: str) -> str:
    """The dataset's experiment, made where there is none yet; one that was deleted comes back, with all of its runs."""
    root = environment.root()
    with reachable(), lock(root, "mlflow"):
        experiment = client.get_experiment_by_name(dataset)
        if experiment is None:
            ours = client.tracking_uri.startswith("sqlite:")
            location = (root / "mlruns" / dataset).as_uri() if ours else None
            return str(client.create_experiment(dataset, location, tags=EXPERIMENT_TAGS))
        if experiment.lifecycle_stage != "active":
            client.restore_experiment(experiment.experiment_id)
        return str(experiment.experiment_id)


@contextmanager
def writing(client: "MlflowClient") -> Iterator[None]:
    """One process at a time writes to a SQLite store, which rejects a second writer immediately in some of its states."""
    ours = client.tracking_uri.startswith("sqlite:")
    with reachable(), lock(environment.root(), "mlflow") if ours else nullcontext():
        yield


@contextmanager
def reachable(uri: str = "") -> Iterator[None]:
    """Turn every error of a store into a StoreError; the store is the one that is in use unless `uri` names another."""
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
        raise failure(error, uri) from None


def failure(error: Exception, uri: str = "") -> StoreError:
    """The StoreError for an error of a store; see `reachable`."""
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI", "")
    uri = "mlflow.db" if uri in ("", f"sqlite:///{environment.root() / 'mlflow.db'}") else uri
    said = schema.shortened(" ".join(str(error).split()), LONGEST)
    if len(said) == LONGEST and ". " in said:  # cut off: its whole sentences say more
        said = said.rpartition(". ")[0]
    where, hint = f"MLflow ({uri})", hint_for(said, uri)
    if models := os.environ.get("MLFLOW_REGISTRY_URI"):  # the error does not say which of the two it is
        where, hint = f"MLflow ({uri}, models in {models})", f"unset MLFLOW_REGISTRY_URI or correct it, or {hint}"
    return StoreError(where, f"does not work ({said})", hint)


def check_file(path: Path) -> None:
    """Raise RetrainError if a SQLite store can't be read. Changes nothing, and does not import MLflow."""
    import sqlite3

    files.require_regular_file(path, NO_FILE)
    if not has_content(path):
        return
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            artifact_roots(connection)
    except sqlite3.Error as error:
        raise failure(error) from None


def hint_for(message: str, uri: str) -> str:
    """What to do about an error of the store."""
    is_file, path = uri == "mlflow.db" or uri.startswith("sqlite:"), uri.removeprefix("sqlite:///")
    later = f"a later MLflow has written it: move it away, for example mv {path} {path.removesuffix('.db')}-later.db"
    for words, hint in (
        (r"disk I/O error|disk is full|No space left|File too large", "make room on the disk"),
        (r"out-of-date database schema|Can't locate revision", later),
        (r"database is locked", "close other programs that use it, then try again"),
        (r"Read-only file system", "make the project's folder writable, or work in a copy of it"),
    ):
        if re.search(words, message):
            return hint
    if is_file:
        if re.search(r"Permission denied|unable to open database|readonly database", message):
            return f"check who may write there: ls -ld {path} .retrain"
        damaged = re.search(r"not a database|malformed", message)
        return f"move {path} away; the next run makes a new one" if damaged else "see: retrain doctor"
    if uri.startswith(("databricks", "uc")):
        return "set DATABRICKS_HOST and DATABRICKS_TOKEN, or run: databricks auth login"
    if re.search(r"error code 40[13]\b", message):
        return "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, for this server"
    return "start the server, correct MLFLOW_TRACKING_URI, or unset it to use mlflow.db"
