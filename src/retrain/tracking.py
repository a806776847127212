"""Runs in MLflow: one per trained model, from train through plot. The only file that imports mlflow.

Runs are found by content: the tag `result_sha256` is a digest of the model's files and its history. No run id ever
stands in a file that DVC or git tracks.
"""

import json
import logging
import os
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from retrain import description, environment, files, params
from retrain.description import Description
from retrain.errors import RetrainError

import click

if TYPE_CHECKING:
    import sqlite3

    from mlflow import MlflowClient

LIBRARIES = ("torch", "mlflow", "pandas", "numpy", "safetensors")
STAGES = ("prepare", "split", "train")
NAMED = 6
"""Changed knobs that stand in a run's name; a recipe changes more."""
LONGEST_VALUE = 36
"""Characters of a value in a run's name."""
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}  # the UI opens on the runs, not on chats


@dataclass(frozen=True)
class Result:
    """What a training left behind: enough to find its run, or to make it again."""

    dataset: str
    model: Path
    history: Path

    @classmethod
    def of(cls, dataset: str) -> "Result":
        """The result in the current workspace."""
        return cls(dataset, Path("models", dataset), Path("reports", dataset, "history.csv"))

    @property
    def sha256(self) -> str:
        """The digest that names this result."""
        parts = [*(self.model / name for name in (description.WEIGHTS, description.FILE)), self.history]
        return files.combined_sha256({path.name: files.sha256(path) for path in parts})

    def description(self) -> Description:
        """What `model.json` says; raises RetrainError where there is no model."""
        return description.read(self.model)


@dataclass(frozen=True)
class Run:
    """An open run."""

    client: "MlflowClient"
    run_id: str

    def epoch(self, row: Mapping[str, float], step: int) -> None:
        """Record all figures of an epoch, in one call."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        with writing(self.client):
            self.client.log_batch(self.run_id, [Metric(name, value, now, step) for name, value in row.items()])

    def final(self, metrics: Mapping[str, float]) -> None:
        """Record final figures; one that stands there already is not written twice."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        with writing(self.client):
            recorded = self.client.get_run(self.run_id).data.metrics
            new = [Metric(name, value, now, 0) for name, value in metrics.items() if recorded.get(name) != value]
            self.client.log_batch(self.run_id, new)

    def tag(self, tags: Mapping[str, str]) -> None:
        """Set tags."""
        from mlflow.entities import RunTag

        with writing(self.client):
            self.client.log_batch(self.run_id, tags=[RunTag(name, value) for name, value in tags.items()])

    def artifacts(self, *paths: Path, folder: str | None = None) -> None:
        """Keep files, or a folder's files below `folder`."""
        with reachable():
            for path in paths:
                if path.is_dir():
                    self.client.log_artifacts(self.run_id, str(path), folder)
                else:
                    self.client.log_artifact(self.run_id, str(path), folder)

    def result(self, result: Result) -> None:
        """Link the run with its result, by content, and keep its files."""
        self.tag({
            "result_sha256": result.sha256,
            "model_sha256": files.sha256(result.model / description.WEIGHTS),
        })  # fmt: skip
        self.artifacts(result.history)
        self.artifacts(result.model, folder="model")


@contextmanager
def training(described: Description) -> Iterator[Run]:
    """A new run for a training; it ends FINISHED, FAILED on an error, KILLED when interrupted.

    Args:
        described: what `model.json` will say of sections, data and device.

    Raises:
        RetrainError: the tracking server does not answer.
    """
    with reachable():
        client = connect()
        run = new_run(client, described, environment_tags())
    with ending(run):
        yield run


@contextmanager
def continued(result: Result) -> Iterator[Run]:
    """The newest run of a result, opened again; made from the result's files where there is none."""
    with reachable():
        client = connect()
        found = client.search_runs(
            [experiment_id(client, result.dataset)],
            f"tags.result_sha256 = '{result.sha256}'",
            max_results=1,
            order_by=["attributes.start_time DESC"],
        )
        run = Run(client, found[0].info.run_id) if found else recreated(client, result)
    with writing(client):
        client.update_run(run.run_id, status="RUNNING")
    with ending(run):
        yield run


@contextmanager
def ending(run: Run) -> Iterator[None]:
    """Give the run its last status, whatever happens."""
    try:
        yield
    except BaseException as error:
        status = "FAILED" if isinstance(error, Exception) else "KILLED"
        with suppress(RetrainError), writing(run.client):  # what went wrong first is what the user has to know
            run.client.set_terminated(run.run_id, status)
        raise
    with writing(run.client):
        run.client.set_terminated(run.run_id, "FINISHED")


def new_run(client: "MlflowClient", described: Description, tags: Mapping[str, str]) -> Run:
    """Start a run: name, tags, parameters, and the splits as dataset inputs."""
    from mlflow.entities import Dataset, DatasetInput, InputTag, Param

    dataset = described.dataset
    sections = described.model_dump(mode="json", include=set(STAGES))
    knobs = flat(sections)
    name, tags = run_name(dataset, knobs), {**result_tags(described), **tags}
    splits = [
        DatasetInput(
            Dataset(
                name=f"{dataset} {split}",
                digest=facts.sha256[:36],
                source_type="local",
                source=json.dumps({"uri": f"data/{dataset}/splits/{split}.parquet"}),
                profile=json.dumps({"num_rows": facts.rows}),
            ),
            [InputTag("mlflow.data.context", split)],
        )
        for split, facts in described.splits.items()
    ]
    experiment = experiment_id(client, dataset)
    with writing(client):
        run = Run(client, client.create_run(experiment, run_name=name, tags=tags).info.run_id)
        client.log_batch(run.run_id, params=[Param(knob, value) for knob, value in knobs.items()])
        client.log_inputs(run.run_id, splits)
        client.log_dict(run.run_id, sections, "params.json")
    return run


def recreated(client: "MlflowClient", result: Result) -> Run:
    """A run made from a result's files: restored from a cache, or trained on another machine."""
    from retrain import tables

    restore = "restore it with dvc checkout"
    history = tables.read_csv(result.history, restore)
    try:
        epochs = [int(epoch) for epoch in history.pop("epoch")]
        rows = history.astype(float).to_dict("records")
    except (KeyError, ValueError) as error:
        raise RetrainError(str(result.history), f"is no history of a training ({error})", restore) from None
    run = new_run(client, result.description(), {"recreated": "true"})
    for epoch, row in zip(epochs, rows, strict=True):
        run.epoch({str(name): value for name, value in row.items()}, epoch)
    run.result(result)
    return run


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
    from ruamel.yaml.error import YAMLError

    revision = os.environ.get("DVC_EXP_BASELINE_REV", "HEAD")
    try:
        content = YAML(typ="safe").load(git("show", f"{revision}:{params.FILE}"))
        block = content["datasets"][dataset]
        return flat({stage: block[stage] for stage in STAGES})
    except (YAMLError, KeyError, TypeError):
        return {}


def flat(value: Any, prefix: str = "") -> dict[str, str]:
    """Nested knobs as `train.loop.learning_rate` -> text."""
    if isinstance(value, Mapping):
        return {k: v for name, child in value.items() for k, v in flat(child, f"{prefix}{name}.").items()}
    if isinstance(value, list | tuple):
        return {prefix[:-1]: json.dumps(value, ensure_ascii=False)}
    return {prefix[:-1]: str(value)}


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


def connect() -> "MlflowClient":
    """A client of the store that is meant: `MLFLOW_TRACKING_URI`, else the root's own SQLite file."""
    settle()
    from mlflow import MlflowClient

    root = environment.root()
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        return MlflowClient(tracking_uri=own_store(root))
    if uri.startswith("sqlite:"):
        initialise(uri, root)
    return MlflowClient(tracking_uri=uri)


def settle() -> None:
    """Keep MLflow quiet, and short of patience with a server that does not answer; what the user set stays."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "8")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
    for name in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.WARNING)


def own_store(root: Path) -> str:
    """The tracking URI of a root's own store, which is made, or adapted to where it lies now."""
    settle()
    uri = own_uri(root)
    with store_lock(root):
        relocate(root)
    initialise(uri, root)
    return uri


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


def initialise(uri: str, root: Path) -> None:
    """Let one process at a time make a fresh SQLite store; several at once break it for good."""
    from mlflow import MlflowClient

    with store_lock(root):
        MlflowClient(tracking_uri=uri).search_experiments(max_results=1)


@contextmanager
def store_lock(root: Path) -> Iterator[None]:
    """One process at a time, for what must not happen twice in a store."""
    from filelock import FileLock

    path = root / ".retrain" / "mlflow.lock"
    path.parent.mkdir(exist_ok=True)
    with FileLock(path):
        yield


def experiment_id(client: "MlflowClient", dataset: str) -> str:
    """The dataset's experiment, made where there is none yet."""
    experiment = client.get_experiment_by_name(dataset)
    if experiment is not None:
        return str(experiment.experiment_id)
    root = environment.root()
    with store_lock(root):
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
        with store_lock(environment.root()):
            yield


@contextmanager
def reachable() -> Iterator[None]:
    """Say in one line that the store does not answer, or that there can be none of that name."""
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
        raise RetrainError(f"MLflow ({uri})", fact, way_out) from None


def relocate(root: Path) -> None:
    """Mend the paths of a store that was made under another root, so that its artifacts are found, and say so.

    MLflow stores where artifacts lie as absolute paths: in a repository that was moved, and in a store that came from
    another machine, they point nowhere.
    """
    import sqlite3

    database = root / "mlflow.db"
    if not database.exists():
        return
    with sqlite3.connect(database) as connection:
        for before, now in moved_folders(connection, root):
            for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",  # noqa: S608 (our names)
                    (now, len(before) + 1, len(before), before),
                )
            click.echo(f"mlflow.db was made under another root; artifacts are now looked for in {now}", err=True)
    connection.close()


def moved_folders(connection: "sqlite3.Connection", root: Path) -> list[tuple[str, str]]:
    """Artifact roots of experiments that are not this root's, each with the one that it should be."""
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'experiments'").fetchone()
    rows = connection.execute("SELECT name, artifact_location FROM experiments").fetchall() if known else []
    now = (root / "mlruns").as_uri()
    ends = [(location, f"/{quote(name)}") for name, location in rows]
    roots = {location.removesuffix(end) for location, end in ends if location.endswith(f"/mlruns{end}")}
    return [(before, now) for before in sorted(roots) if before != now]
