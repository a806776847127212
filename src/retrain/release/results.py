"""A dataset's result as dvc.lock or the ledger records it; its files come from git and DVC's cache."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain import files, git, params, schema, yaml_files
from retrain.data import report_csv
from retrain.data.encoding_file import GROUP
from retrain.errors import RetrainError
from retrain.evaluation.intervals import Judged
from retrain.models import description
from retrain.models.description import Description
from retrain.models.result import Result
from retrain.pipeline import dvc_lock, dvc_yaml, revisions, staleness
from retrain.pipeline.dvc_cache import OutputFinder
from retrain.pipeline.dvc_lock import Lock
from retrain.pipeline.revisions import Revision
from retrain.release import ledger

if TYPE_CHECKING:
    from retrain.data.report_csv import Columns

__all__ = ["METRICS", "RecordedResult", "champion", "check_current", "uncommitted"]


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
    finder: OutputFinder
    folder: Path

    @property
    def result(self) -> Result:
        """The files of the result, as far as they were copied."""
        return Result(self.dataset, self.folder, ("train", "evaluate", "plot"))

    def copied(self, path: str) -> Path | None:
        """A copy of a file that dvc.lock records, or None if it is neither in git nor in DVC's cache."""
        digest = self.lock.outputs().get(path)
        if digest is None:  # a file of a folder
            folder, _, name = path.rpartition("/")
            listing = self.finder.listing(folder, self.lock.outputs().get(folder, "")) or {}
            digest = listing.get(name)
        content = revisions.content_of(path, digest, self.revision, self.finder) if digest else None
        return None if content is None else self.kept(path, content)

    def collected(self) -> str:
        """Copy all files of the model, its reports and its test split; returns the path of one that is missing, or nothing."""
        wanted = (f"models/{self.dataset}", f"reports/{self.dataset}", f"data/{self.dataset}/splits")
        outputs = [(path, digest) for path, digest in self.lock.outputs().items() if path.startswith(wanted)]
        return revisions.collect(outputs, self.revision, self.finder, self.folder)

    def kept(self, path: str, content: bytes) -> Path:
        """A file in the folder."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        return target

    @cached_property
    def metrics(self) -> dict[str, float]:
        """The metrics on the test split; raises RetrainError if they are not those that dvc.lock records."""
        path = self.copied(METRICS.format(self.dataset))
        if path is None:
            where = f"{METRICS.format(self.dataset)} of {self.revision.name}"
            raise RetrainError(where, "is not the one that dvc.lock records", f"run: dvc repro plot@{self.dataset}")
        metrics: dict[str, float] = files.read_json(path, "")["test"]
        return metrics

    @cached_property
    def description(self) -> Description | None:
        """What `model.json` says, if that is available."""
        return description.read(self.result.model) if self.copied(f"models/{self.dataset}/model.json") else None

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
    def is_old(self) -> bool:
        """Whether the working tree's params.yaml has changed since its result was made."""
        here = self.revision.folder
        if self.revision.commit or self.dataset not in params.datasets(here):
            return False
        return params.flat(params.dataset_block(here, self.dataset)) != self.parameters

    @property
    def code(self) -> dict[str, str]:
        """The digests of the modules and of the list of packages that the result was made with."""
        entries = {entry.path: entry.md5 for stage in self.lock.stages.values() for entry in stage.deps}
        return {path: md5 for path, md5 in entries.items() if path.startswith(("src/", "requirements"))}

    @cached_property
    def predictions(self) -> "Columns | str":
        """The columns of `predictions.csv` as texts; or why there are none, in words."""
        path = self.copied(f"reports/{self.dataset}/predictions.csv")
        if self.description is None or path is None:
            return self.lacking("model.json" if self.description is None else "predictions.csv")
        columns = report_csv.read_columns(path, self.to_get_files, ("target", "predicted"))
        if not all(f"probability_{name}" in columns for name in self.description.task.classes):
            return f"an earlier version of Retrain wrote the predictions of {self.revision.name}, without probabilities"
        if self.description.calibration.interval is None:  # these are inputs with such names
            columns = {name: cells for name, cells in columns.items() if name not in ("low", "high")}
        return columns

    def judged(self) -> Judged | str:
        """The rows of the predictions; or why there are none, in words."""
        if isinstance(self.predictions, str) or self.description is None:
            return str(self.predictions)
        classes = self.description.task.classes
        return Judged.of_predictions(self.predictions["target"], self.predictions, classes).in_groups(self.groups)

    @property
    def groups(self) -> list[str] | None:
        """The number of each test row's group; None if rows are independent of each other, or unknown."""
        if isinstance(self.predictions, str) or self.description is None:
            return None
        has_groups = self.description.prepare.model_dump().get("group") is not None
        return self.predictions.get(GROUP) if has_groups else None

    def unavailable(self, why: str) -> RetrainError:
        """The error for files that are not available; `why` is a sentence of `lacking` or `predictions`."""
        fact, _, hint = why.partition("; ")
        return RetrainError(self.dataset, fact, hint)

    def lacking(self, name: str) -> str:
        """A sentence about a file that is not available, with the command that gets it."""
        return f"{name} of {self.revision.name} is not in DVC's cache; run: {self.to_get_files}"

    @property
    def to_get_files(self) -> str:
        """The command that gets files that are not in DVC's cache."""
        if self.revision.experiment:
            return f"dvc exp pull origin {self.revision.experiment}"
        return "dvc fetch --all-commits" if self.revision.commit else f"dvc repro plot@{self.dataset}"


def champion(
    folder: Path, dataset: str, entry: Mapping[str, Any], finder: OutputFinder, copies: Path
) -> RecordedResult:
    """The result of a model that the ledger says is in use. Its commit may be gone: the files are in DVC's cache.

    Args:
        folder: the project's folder.
        dataset: its name.
        entry: the entry of the ledger.
        finder: finds the files.
        copies: where they are copied to.
    """
    outs = [{"path": path, "md5": digest} for path, digest in entry["outputs"].items()]
    lock = schema.check({"stages": {f"evaluate@{dataset}": {"outs": outs}}}, Lock, ledger.path_of(dataset))
    return RecordedResult(Revision(folder, str(entry["commit"])), "champion", dataset, lock, finder, copies)


def uncommitted(folder: Path, dataset: str) -> list[str]:
    """The files in git that a dataset's result depends on and that differ from the last commit; params.yaml by the dataset's part."""
    pipeline = dvc_yaml.read(folder, dataset)
    own = [stage for stage in pipeline.stages if stage.dataset == dataset]
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


def check_current(folder: Path, dataset: str) -> None:
    """Raise RetrainError if the working tree has no result of a dataset, or if a stage of it is out of date."""
    lock, run = dvc_lock.read(folder), f"run: make repro DATASET={dataset}"
    if f"evaluate@{dataset}" not in lock.stages:
        raise RetrainError(f"dataset '{dataset}'", "has no result yet", run)
    reasons = staleness.verdict(dvc_yaml.read(folder, dataset), lock).reasons
    for stage in EVALUATED:
        if why := reasons.get(f"{stage}@{dataset}"):
            raise RetrainError(f"the result of '{dataset}'", f"is out of date ({stage}: {'; '.join(why)})", run)
