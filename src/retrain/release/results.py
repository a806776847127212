"""A dataset's result as dvc.lock or the ledger records it; its files come from git and DVC's cache."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain import files, git, params, schema, yaml_files
from retrain.data import report_csv
from retrain.data.encoding_file import GROUP
from retrain.errors import RetrainError, UnavailableError
from retrain.evaluation.intervals import Judged
from retrain.models import description
from retrain.models.description import Description
from retrain.models.result import Result
from retrain.pipeline import dvc_lock, dvc_yaml, revisions, staleness
from retrain.pipeline.dvc_cache import OutputFinder
from retrain.pipeline.dvc_lock import Lock
from retrain.pipeline.dvc_yaml import Pipeline
from retrain.pipeline.revisions import Revision
from retrain.release import ledger

if TYPE_CHECKING:
    from retrain.data.report_csv import Columns

    import pandas as pd

__all__ = ["METRICS", "RecordedResult", "champion", "pipeline_of_current", "uncommitted"]


METRICS = "reports/{}/metrics.json"
EVALUATED = ("prepare", "split", "train", "evaluate")
"""The stages that make a result."""


@dataclass(frozen=True)
class RecordedResult:
    """A dataset's result; its files are copied into a folder of its own when they are asked for."""

    revision: Revision
    shown: str
    """What the user calls the revision."""
    dataset: str
    lock: Lock
    """The dataset's part of dvc.lock, or its outputs that the ledger has."""
    folder: Path

    @property
    def finder(self) -> OutputFinder:
        """Finds the files in DVC's cache and in the working tree."""
        return OutputFinder.of(self.revision.folder)

    @property
    def result(self) -> Result:
        """The files of the result, as far as they were copied."""
        return Result(self.dataset, self.folder, ("train", "evaluate", "plot"))

    def copied(self, path: str) -> Path:
        """A copy of a file that dvc.lock records; raises UnavailableError if it is neither in git nor in DVC's cache."""
        outputs, (folder, _, name) = self.lock.outputs(), path.rpartition("/")
        in_folder = {} if path in outputs else self.finder.listing(folder, outputs.get(folder, "")) or {}
        digest = outputs.get(path) or in_folder.get(name)
        content = revisions.content_of(path, digest, self.revision, self.finder) if digest else None
        if content is None:
            raise self.lacking(name)
        return self.kept(path, content)

    def collected(self) -> Result:
        """The result with all of its files and the test split; raises UnavailableError if one is not available."""
        wanted = (f"models/{self.dataset}", f"reports/{self.dataset}", f"data/{self.dataset}/splits")
        outputs = [(path, digest) for path, digest in self.lock.outputs().items() if path.startswith(wanted)]
        if missing := revisions.collect(outputs, self.revision, self.finder, self.folder):
            raise self.lacking(missing)
        return self.result

    def kept(self, path: str, content: bytes) -> Path:
        """A file in the folder."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        return target

    @cached_property
    def metrics(self) -> dict[str, float]:
        """The metrics on the test split; raises RetrainError if they are not those that dvc.lock records."""
        try:
            path = self.copied(METRICS.format(self.dataset))
        except UnavailableError:
            raise self.revision.another(METRICS.format(self.dataset), self.dataset) from None
        metrics: dict[str, float] = files.read_json(path, "")["test"]
        return metrics

    @cached_property
    def description(self) -> Description:
        """What `model.json` says; raises UnavailableError if it is not available."""
        return description.read(self.copied(f"models/{self.dataset}/{description.FILE}").parent)

    @property
    def prepared(self) -> "pd.DataFrame":
        """The table of the prepare stage; raises UnavailableError if it is not available."""
        from retrain.data import tables

        return tables.read_parquet(self.copied(f"{self.prepared_folder}/rows.parquet"), self.to_get_files)

    @property
    def prepared_folder(self) -> str:
        """The output of the prepare stage."""
        return f"data/{self.dataset}/prepared"

    def new_rows(self, earlier: "RecordedResult") -> list[str]:
        """What to know about the rows that an earlier result does not have, or why they can't be compared."""
        digests = {result.lock.outputs().get(self.prepared_folder) for result in (self, earlier)}
        if len(digests) == 1 or None in digests:
            return []
        from retrain.evaluation import new_rows

        try:
            return list(new_rows.changes(earlier.prepared, self.prepared))
        except UnavailableError as error:
            return [f"the new rows can't be compared with the earlier ones: {error}"]

    @property
    def model_digest(self) -> str:
        """DVC's digest of the model's folder."""
        return self.lock.outputs()[f"models/{self.dataset}"]

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters that the result was made with, flat, with the defaults filled in."""
        recorded = {name: value for stage in self.lock.stages.values() for name, value in stage.parameters().items()}
        block = {stage: recorded.get(f"datasets.{self.dataset}.{stage}") or {} for stage in params.STAGES}
        start = f"{params.DEFAULTS}."
        shared = {name.removeprefix(start): value for name, value in recorded.items() if name.startswith(start)}
        return params.flat(params.with_defaults(block, shared))

    @property
    def code(self) -> dict[str, str]:
        """The digests of the modules and of the list of packages that the result was made with."""
        entries = {entry.path: entry.md5 for stage in self.lock.stages.values() for entry in stage.deps}
        return {path: md5 for path, md5 in entries.items() if path.startswith(("src/", "requirements"))}

    @cached_property
    def predictions(self) -> "Columns":
        """The columns of `predictions.csv` as texts; raises UnavailableError if it is not available, or has no probabilities."""
        described, path = self.description, self.copied(f"reports/{self.dataset}/predictions.csv")
        columns = report_csv.read_columns(path, self.to_get_files, ("target", "predicted"))
        if not all(f"probability_{name}" in columns for name in described.task.classes):
            fact = "has no probabilities: an earlier version of Retrain wrote it"
            raise UnavailableError(f"predictions.csv of {self.revision.name}", fact, "evaluate the model again")
        if described.calibration.interval is None:  # these are inputs with such names
            columns = {name: cells for name, cells in columns.items() if name not in ("low", "high")}
        return columns

    @property
    def judged(self) -> Judged:
        """The rows of the predictions; see `predictions` for errors."""
        classes = self.description.task.classes
        return Judged.of_predictions(self.predictions["target"], self.predictions, classes).in_groups(self.groups)

    @property
    def groups(self) -> list[str] | None:
        """The number of each test row's group; None if rows are independent of each other."""
        has_groups = self.description.prepare.model_dump().get("group") is not None
        return self.predictions.get(GROUP) if has_groups else None

    def lacking(self, name: str) -> UnavailableError:
        """The error for a file that is not available, with the command that gets it."""
        get = self.to_get_files
        if not self.revision.commit:
            get = f"dvc pull --with-deps plot@{self.dataset}; if no remote has it: make repro DATASET={self.dataset}"
        return UnavailableError(f"{name} of {self.revision.name}", "is not in DVC's cache", f"run: {get}")

    @property
    def to_get_files(self) -> str:
        """The command that gets files that are not in DVC's cache."""
        if self.revision.experiment:
            return f"dvc exp pull origin {self.revision.experiment}"
        return "dvc fetch --all-commits" if self.revision.commit else f"dvc repro plot@{self.dataset}"


def champion(folder: Path, dataset: str, entry: Mapping[str, Any], copies: Path) -> RecordedResult:
    """The result of a model that the ledger says is in use. Its commit may be gone: the files are in DVC's cache.

    Args:
        folder: the project's folder.
        dataset: its name.
        entry: the entry of the ledger.
        copies: where they are copied to.
    """
    outs = [{"path": path, "md5": digest} for path, digest in entry["outputs"].items()]
    lock = schema.check({"stages": {f"evaluate@{dataset}": {"outs": outs}}}, Lock, ledger.path_of(dataset))
    return RecordedResult(Revision(folder, str(entry["commit"])), "champion", dataset, lock, copies)


def uncommitted(folder: Path, dataset: str, pipeline: Pipeline) -> list[str]:
    """The files in git that a dataset's result depends on and that differ from the last commit; params.yaml by the dataset's part."""
    own = pipeline.of(dataset)
    made = {path for stage in own for path in stage.outputs}
    paths = {dvc_yaml.FILE, *(path for stage in own for path in stage.dependencies)} - made - pipeline.not_compared
    edited = git.text(folder, "diff", "--name-only", "--relative", "-z", "HEAD", "--", *sorted(paths))
    new = git.text(folder, "ls-files", "--others", "--exclude-standard", "-z", "--", *sorted(paths))
    now, then = (
        yaml_files.parsed(content or b"{}", params.FILE)
        for content in ((folder / params.FILE).read_bytes(), git.content(folder, "HEAD", params.FILE))
    )
    keys = (f"datasets.{dataset}", params.DEFAULTS)
    same = all(params.value_at(now, key) == params.value_at(then, key) for key in keys)
    return [*filter(None, (edited + new).split("\0")), *([] if same else [params.FILE])]


def pipeline_of_current(folder: Path, dataset: str) -> Pipeline:
    """The pipeline, if the working tree has a result of a dataset that is up to date.

    Raises:
        RetrainError: there is no result, or a stage is out of date.
    """
    lock, run = dvc_lock.read(folder), f"run: make repro DATASET={dataset}"
    if f"evaluate@{dataset}" not in lock.stages:
        raise RetrainError(f"dataset '{dataset}'", "has no result yet", run)
    pipeline = dvc_yaml.read(folder, dataset)
    reasons = staleness.verdict(pipeline, lock).reasons
    for stage in EVALUATED:
        if why := reasons.get(f"{stage}@{dataset}"):
            raise RetrainError(f"the result of '{dataset}'", f"is out of date ({stage}: {'; '.join(why)})", run)
    return pipeline
