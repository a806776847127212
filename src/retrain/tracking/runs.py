"""Runs in MLflow, one per result.

A run is found by its content: the tag `result_sha256` is a digest of the model's files and its history. No run ID is in
any file that DVC or git tracks.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Self

from retrain import files, params, schema
from retrain.data.encoding_file import SplitFacts
from retrain.errors import RetrainError
from retrain.evaluation.verdict import verdict
from retrain.models.description import FILE, WEIGHTS, Description
from retrain.models.result import Content, Result
from retrain.schema import Section
from retrain.tracking import naming
from retrain.tracking.recording import note_path, now
from retrain.tracking.store import experiment_id, one_at_a_time, reachable, writing

from pydantic import ConfigDict, StringConstraints

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as StoredRun

__all__ = ["Epoch", "Run", "RunFacts", "claim", "create", "model_sha256", "newest", "pages", "record"]


LARGEST_BATCH = 1000
"""Metrics that MLflow takes in one call."""
MOST_PARAMS = 100
"""Parameters that MLflow takes in one call."""
LONGEST_PARAM = 6000
"""Characters of a parameter that MLflow takes. The artifact `params.json` has all of them."""
PARAMETERS = "params.json"
MADE_BY = {"model": "train", "history.csv": "train", "plots": "plot", "report.html": "plot", "MODEL_CARD.md": "plot"}
"""The stage of artifacts, by their first folder or name; all others are from evaluate."""
SHOWN_AS = {"learning_rate": "train_learning_rate"}
"""MLflow shows metrics in the order of their names; those that people compare, `test/...`, come first."""
EVALUATED = "train_best_epoch"
"""A metric that a run has once its model was evaluated."""
VIEW = "metrics"
"""The name of the view of an experiment, in the address of the list of its runs."""
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
CHARTS = "^(test/|train_|validation_)"
"""The metrics with a chart in that view: MLflow puts the curves last, below the bars of baseline and reference."""
NAME_WIDTH = 280
"""Pixels of the column of names in that view; MLflow's own 190 cut off the second changed parameter."""


class RunFacts(Section):
    """What a run says about a training: its parameters, its splits, and the digest of its data."""

    model_config = ConfigDict(extra="ignore")

    dataset: str
    data_sha256: str
    splits: dict[str, SplitFacts]
    prepare: dict[str, Any]
    split: dict[str, Any]
    train: dict[str, Any]

    @classmethod
    def of(cls, description: Description) -> Self:
        """The facts in a `model.json`."""
        return cls.model_validate(description.model_dump(mode="json"))

    @property
    def sections(self) -> dict[str, Any]:
        """The sections of params.yaml that a result depends on."""
        return {stage: getattr(self, stage) for stage in naming.STAGES}

    @property
    def tags(self) -> dict[str, str]:
        """Tags that follow from the result's own files."""
        return {
            "data_sha256": self.data_sha256,
            "threads": str(self.train["threads"]),
            "device": self.train["device"],
            "mlflow.source.name": "src/train.py",
        }


@dataclass(frozen=True)
class Epoch:
    """The metrics of an epoch, and when it ended, in milliseconds since 1970."""

    metrics: Mapping[str, float]
    at: int


class Note(Section):
    """Links a result to its training while the run is not complete and does not have the result's tag yet."""

    training_sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    times: tuple[int, ...]
    """When each epoch ended. A repeated call with the same time changes nothing in MLflow."""


@dataclass(frozen=True)
class Run:
    """A run in a store. Its methods raise StoreError if the store fails."""

    client: "MlflowClient"
    run_id: str

    def stored(self) -> "StoredRun":
        """What the store has about it."""
        with reachable():
            return self.client.get_run(self.run_id)

    def epochs(self, rows: Mapping[int, Epoch], recorded: set[int] | None) -> set[int]:
        """Record the metrics of epochs that it does not have yet.

        Args:
            rows: the epochs by their numbers.
            recorded: the epochs that it has; None if that is not known and must be asked for.

        Returns:
            The epochs that it has now.
        """
        from mlflow.entities import Metric

        with writing(self.client):
            if recorded is None:
                recorded = {metric.step for metric in self.client.get_metric_history(self.run_id, "train_loss")}
            metrics = [
                Metric(SHOWN_AS.get(name, name), value, row.at, step)
                for step, row in rows.items()
                if step not in recorded
                for name, value in row.metrics.items()
            ]
            for start in range(0, len(metrics), LARGEST_BATCH):
                self.client.log_batch(self.run_id, metrics[start : start + LARGEST_BATCH])
        return recorded | set(rows)

    def end(self, status: str) -> None:
        """Set its final status: FINISHED, FAILED or KILLED."""
        with writing(self.client):
            self.client.set_terminated(self.run_id, status)

    def describe(self, facts: RunFacts, tags: Mapping[str, str]) -> None:
        """Record what is known before training: parameters, the splits as dataset inputs, tags."""
        from mlflow.entities import Param, RunTag

        stored = self.stored()
        parameters = {k: v for k, v in params.flat(facts.sections).items() if k not in stored.data.params}
        new = [RunTag(k, v) for k, v in {**facts.tags, **tags}.items() if stored.data.tags.get(k) != v]
        has_inputs = bool(stored.inputs and stored.inputs.dataset_inputs)
        with writing(self.client):
            if parameters:  # they are written last: as long as some are missing, the rest may be missing too
                self.client.log_inputs(self.run_id, [] if has_inputs else dataset_inputs(facts))
                self.client.log_dict(self.run_id, facts.sections, PARAMETERS)
            values = [Param(name, schema.shortened(value, LONGEST_PARAM)) for name, value in parameters.items()]
            for start in range(0, len(values), MOST_PARAMS):
                self.client.log_batch(self.run_id, params=values[start : start + MOST_PARAMS])
            if new:
                self.client.log_batch(self.run_id, tags=new)

    def fill(self, content: Content, times: Sequence[int], known_by: str = "result_sha256") -> None:
        """Bring it up to what a result's files say. Nothing that it has already is written again.

        Args:
            content: what the files say.
            times: when the epochs ended, from the first one on, as far as that is known.
            known_by: the tag with the digest of the result; another one keeps the run from being taken for the project's own.
        """
        from mlflow.entities import Metric, RunTag

        self.describe(RunFacts.of(content.description), {})
        known, at = dict(enumerate(times, start=1)), now()
        self.epochs({number: Epoch(metrics, known.get(number, at)) for number, metrics in content.epochs.items()}, None)
        stored = self.stored()
        data, experiment = stored.data, stored.info.experiment_id
        digests = stage_digests(content)
        same = {name for name in content.artifacts if data.tags.get(tag := stage_tag(name)) == digests[tag]}
        with reachable():
            folders = {name.rpartition("/")[0] for name in same}
            found = {
                file.path for folder in folders for file in self.client.list_artifacts(self.run_id, folder or None)
            }
            for name, artifact in content.artifacts.items():
                if name not in same & found:
                    self.client.log_artifact(self.run_id, str(artifact.path), name.rpartition("/")[0] or None)
            if "" in folders and PARAMETERS not in found:
                self.client.log_dict(self.run_id, RunFacts.of(content.description).sections, PARAMETERS)
        tags = {
            **digests,
            "model_sha256": model_sha256(content),
            known_by: content.sha256,
            "mlflow.note.content": note(
                content, f"#/experiments/{experiment}/runs/{self.run_id}", data.tags.get("git_commit")
            ),
        }
        new = [RunTag(name, value) for name, value in tags.items() if data.tags.get(name) != value]
        metrics = [Metric(k, v, at, 0) for k, v in content.metrics.items() if data.metrics.get(k) != v]
        with writing(self.client):
            if metrics or new:
                self.client.log_batch(self.run_id, metrics, tags=new)
        if content.judged:
            show(self.client, experiment, view(content))
        if self.stored().info.status != "FINISHED":
            self.end("FINISHED")


def model_sha256(content: Content) -> str:
    """The digest of a model's files: what `retrain serve` calls the model, and the ledger."""
    return files.combined_sha256({name: content.artifacts[f"model/{name}"].sha256 for name in (FILE, WEIGHTS)})


def stage_tag(artifact: str) -> str:
    """The tag with the digest of all artifacts of the stage that made one."""
    return f"sha256.{MADE_BY.get(artifact.partition('/')[0], 'evaluate')}"


def stage_digests(content: Content) -> dict[str, str]:
    """The digest of the artifacts of each stage, by its tag."""
    parts: dict[str, dict[str, str]] = {}
    for name, artifact in content.artifacts.items():
        parts.setdefault(stage_tag(name), {})[name] = artifact.sha256
    return {tag: files.combined_sha256(digests) for tag, digests in parts.items()}


def view(content: Content) -> str:
    """The state of MLflow's page that shows the metrics of a result as columns, in their order in `metrics.json`.

    Its charts are those of the test metrics and of the epochs.
    """
    first = next(iter(content.judged["test"]))
    metrics = [*(f"test/{name}" for name in content.judged["test"]), f"test_baseline/{first}", EVALUATED]
    columns = [*(f"metrics.`{name}`" for name in metrics), "attributes.`Duration`"]
    name = "attributes.`Run Name`"
    state = {"selectedColumns": columns, "columnOrder": [name, *columns], "columnWidths": {name: NAME_WIDTH}}
    return json.dumps({**state, "chartsSearchFilter": CHARTS})


def show(client: "MlflowClient", experiment: str, state: str) -> None:
    """Store an experiment's view, as the button "Share view" of MLflow's page does."""
    with reachable():
        known = client.get_experiment(experiment).tags.get(VIEW_TAG)
    if known != state:
        with writing(client):
            client.set_experiment_tag(experiment, VIEW_TAG, state)


def pages(uri: str) -> dict[str, str]:
    """The pages that show the views of experiments, by their names, without the address of the server."""
    from mlflow import MlflowClient

    with reachable(uri):
        experiments = MlflowClient(tracking_uri=uri).search_experiments(order_by=["name"])
    return {
        found.name: f"#/experiments/{found.experiment_id}/runs?workflowType=machine_learning&viewStateShareKey={VIEW}"
        for found in experiments
        if VIEW_TAG in found.tags
    }


def note(content: Content, page: str, commit: str | None) -> str:
    """The description of a run, in Markdown: the verdict, where the report is, and how to repeat the result.

    Args:
        content: what the result's files say.
        page: the address of the run in MLflow.
        commit: the commit of the training, if it is known.
    """
    dataset, lines = content.description.dataset, []
    if content.judged.get("intervals"):  # evaluations of earlier versions have none
        losses = [metrics["validation_loss"] for metrics in content.epochs.values()]
        sentence = verdict(content.judged, content.description, losses)
        lines.append(f"**{dataset}: {sentence}.**")
    files = [name for name in ("report.html", "MODEL_CARD.md", f"model/{FILE}") if name in content.artifacts]
    lines.append("Open " + ", ".join(f"[{name}]({page}/artifacts/{name})" for name in files) + ".")
    repeat = naming.command(dataset, RunFacts.of(content.description).sections, commit)
    lines.append(f"To repeat it: {repeat}.")
    return "\n\n".join(lines)


def dataset_inputs(facts: RunFacts) -> list[Any]:
    """The splits as MLflow's dataset inputs."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    return [
        DatasetInput(
            Dataset(
                name=f"{facts.dataset} {split}",
                digest=split_facts.md5,
                source_type="local",
                source=f'{{"uri": "data/{facts.dataset}/splits/{split}.parquet"}}',
                profile=f'{{"num_rows": {split_facts.rows}}}',
            ),
            [InputTag("mlflow.data.context", split)],
        )
        for split, split_facts in facts.splits.items()
    ]


def note_of(result_sha256: str) -> Note | None:
    """A result's note, or None if there is none that can be read."""
    path = note_path(result_sha256)
    with suppress(RetrainError):
        return schema.check(files.read_json(path, "remove it"), Note, str(path))
    return None


def record(client: "MlflowClient", result: Result, run: Run | None = None) -> str:
    """Bring the run of a result up to what its files say, and create it if there is none. Safe to repeat.

    Args:
        client: of the store.
        result: the files.
        run: its run, if that is known.

    Returns:
        The run's ID.

    Raises:
        RetrainError: the files are not a result; no run is created then.
        StoreError: the store fails.
    """
    content = result.read()
    note = note_of(content.sha256)
    with one_at_a_time():
        run = run or run_of(client, result.dataset, content.sha256, note)
        if run is None:
            facts = RunFacts.of(content.description)
            name = naming.run_name(facts.dataset, facts.sections)
            run = create(client, facts.dataset, name, {"result_sha256": content.sha256, "recreated": "true"})
    run.fill(content, note.times if note else ())
    note_path(content.sha256).unlink(missing_ok=True)
    return run.run_id


def claim(client: "MlflowClient", dataset: str, training: str, name: str) -> Run:
    """The run of a training that continues, or a new one.

    Args:
        client: of the store.
        dataset: the experiment's name.
        training: the SHA-256 by which the training is known.
        name: what a new run is called.
    """
    with one_at_a_time():
        found = newest(client, dataset, "training_sha256", training)
        if not found or EVALUATED in found.data.metrics:  # its result is complete: this is the same training once more
            return create(client, dataset, name, {"training_sha256": training})
        with writing(client):
            client.update_run(found.info.run_id, status="RUNNING")
        return Run(client, found.info.run_id)


def run_of(client: "MlflowClient", dataset: str, result_sha256: str, note: Note | None) -> Run | None:
    """The newest run of a result, or of the training that its note names; None if there is none."""
    found = newest(client, dataset, "result_sha256", result_sha256)
    if found is None and note:
        found = newest(client, dataset, "training_sha256", note.training_sha256)
    return Run(client, found.info.run_id) if found else None


def newest(client: "MlflowClient", dataset: str, tag: str, value: str) -> "StoredRun | None":
    """The dataset's newest run whose tag has this value."""
    with reachable():
        order = ["attributes.start_time DESC"]
        experiments = [experiment_id(client, dataset)]
        found = client.search_runs(experiments, f"tags.{tag} = '{value}'", max_results=1, order_by=order)
    return found[0] if found else None


def create(client: "MlflowClient", dataset: str, name: str, tags: dict[str, str]) -> Run:
    """An empty run. It has the tags by which it is found from the first moment on."""
    experiment = experiment_id(client, dataset)
    with writing(client):
        return Run(client, client.create_run(experiment, run_name=name, tags=tags).info.run_id)
