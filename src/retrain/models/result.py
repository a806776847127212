"""A trained model with its reports: the files from which a run in MLflow can be made, at any time and place."""

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from retrain import files, schema
from retrain.data import report_csv
from retrain.errors import RetrainError
from retrain.models import description
from retrain.models.description import Description
from retrain.schema import Section

from pydantic import Field

__all__ = ["Content", "Metrics", "Result"]


RESTORE = "restore it with dvc checkout"
NAMING = (f"model/{description.WEIGHTS}", f"model/{description.FILE}", "history.csv")
"""The artifacts whose digest names a result."""


class Metrics(Section):
    """The metrics of the model and of the trivial baseline on the test split; `metrics.json`."""

    test: dict[str, float]
    baseline: dict[str, float]
    reference_difference: dict[str, dict[str, float]] = Field(default_factory=dict)
    """The 95 % interval of how much larger each metric of the model is, on the same rows: `low` and `high`."""
    uncalibrated: dict[str, float] = Field(default_factory=dict)
    """Those of the model's probabilities before calibration."""
    reference: dict[str, float] = Field(default_factory=dict)
    """Those of a linear model that was fitted on the train split."""
    near_duplicates: dict[str, float] = Field(default_factory=dict)
    """The test rows that almost repeat a train row (`rows`), and the model's metrics without them (`accuracy_without`)."""
    intervals: dict[str, dict[str, float]] = Field(default_factory=dict)
    """The 95 % interval of each metric of the model: `low` and `high`."""


@dataclass(frozen=True)
class Artifact:
    """A file of a result, by its content."""

    path: Path
    sha256: str


@dataclass(frozen=True)
class Content:
    """All that a run says of a result, read before a store is asked for anything.

    Attributes:
        sha256: the digest that names the result: of weights, `model.json` and history.
        description: what `model.json` says.
        epochs: the figures of each epoch.
        judged: the content of `metrics.json`; empty before evaluation.
        artifacts: the files, by the names that a run keeps them under.
    """

    sha256: str
    description: Description
    epochs: dict[int, dict[str, float]]
    judged: dict[str, Any]
    artifacts: dict[str, Artifact]

    @property
    def metrics(self) -> dict[str, float]:
        """The final metrics: `test/accuracy`, `test_baseline/accuracy`, `train_best_epoch` and so on; none before evaluation.

        MLflow shows them in the order of their names: what people compare comes first. Intervals and what calibration
        changed are left out: each would be a chart with one bar.
        """
        if not self.judged:
            return {}
        parts = {"test": "test", "baseline": "test_baseline", "reference": "test_reference"}
        figures = {
            f"{shown}/{name}": value for part, shown in parts.items() for name, value in self.judged[part].items()
        }
        return {"train_best_epoch": self.description.best_epoch, **figures}


@dataclass(frozen=True)
class Result:
    """The files that the stages wrote for a dataset.

    Attributes:
        dataset: its name.
        folder: what holds `models/` and `reports/`.
        stages: those whose outputs belong together: another stage's may be left from an earlier model.
    """

    dataset: str
    folder: Path
    stages: tuple[str, ...]

    @property
    def model(self) -> Path:
        """The model's folder."""
        return self.folder / "models" / self.dataset

    @property
    def reports(self) -> Path:
        """The reports' folder."""
        return self.folder / "reports" / self.dataset

    @property
    def history(self) -> Path:
        """The table of epochs."""
        return self.reports / "history.csv"

    def read(self) -> Content:
        """All of it; raises RetrainError where a file is missing or damaged."""
        artifacts = self.artifacts()
        return Content(digest_of(artifacts), self.description(), self.epochs(), self.judged(), artifacts)

    def kept_in(self, folder: Path) -> "Result":
        """The same result in another folder, where the next training does not replace its files.

        They are linked there where the file system has links: outputs are replaced and never changed in place.

        Raises:
            RetrainError: a file is missing, or it is not a regular file: a copy of a device may have no end.
            OSError: the disk is full.
        """
        for path in self.paths().values():
            with files.reading(path, "file", RESTORE):
                path.stat()
            target = folder / path.relative_to(self.folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(path.resolve(), target)
            except OSError:
                shutil.copyfile(path, target)
        return Result(self.dataset, folder.resolve(), self.stages)

    def sha256(self) -> str:
        """The digest that names the result; raises RetrainError if a file is missing."""
        return digest_of(replace(self, stages=("train",)).artifacts())

    def description(self) -> Description:
        """What `model.json` says; raises RetrainError where there is no model."""
        return description.read(self.model)

    def epochs(self) -> dict[int, dict[str, float]]:
        """The figures of each epoch.

        Raises:
            RetrainError: the history is missing or damaged.
        """
        required = ("epoch", "train_loss", "validation_loss")
        columns = report_csv.read_columns(self.history, RESTORE, required)
        numbers = {name: report_csv.numbers_of(cells, self.history, name, RESTORE) for name, cells in columns.items()}
        epochs = map(int, numbers.pop("epoch"))
        rows = zip(*numbers.values(), strict=True)
        return {epoch: dict(zip(numbers, row, strict=True)) for epoch, row in zip(epochs, rows, strict=True)}

    def judged(self) -> dict[str, Any]:
        """The content of `metrics.json`; empty before evaluation. Raises RetrainError if the file is missing or damaged."""
        if "evaluate" not in self.stages:
            return {}
        path = self.reports / "metrics.json"
        return schema.check(files.read_json(path, RESTORE), Metrics, str(path)).model_dump()

    def artifacts(self) -> dict[str, Artifact]:
        """The files with their digests; raises RetrainError where one is missing."""
        try:
            return {name: Artifact(path, files.sha256(path)) for name, path in self.paths().items()}
        except OSError as error:
            where, fact = str(error.filename or self.folder), f"can't be read ({error.strerror})"
            raise RetrainError(where, fact, RESTORE) from None

    def paths(self) -> dict[str, Path]:
        """The files of the result by the names that a run keeps them under."""
        reports = {"train": ["history.csv"], "evaluate": ["metrics.json", "predictions.csv"]}
        folders = {"evaluate": "tables", "plot": "plots"}
        found = {f"model/{name}": self.model / name for name in (description.FILE, description.WEIGHTS)}
        found |= {name: self.reports / name for stage in self.stages for name in reports.get(stage, [])}
        pages = [self.reports / name for name in ("report.html", "MODEL_CARD.md") if "plot" in self.stages]
        found |= {path.name: path for path in pages if path.exists()}  # earlier versions wrote none
        kept = [self.reports / name for stage, name in folders.items() if stage in self.stages]
        return found | {f"{folder.name}/{path.name}": path for folder in kept for path in sorted(folder.iterdir())}


def digest_of(artifacts: dict[str, Artifact]) -> str:
    """The digest that names a result."""
    return files.combined_sha256({name.rpartition("/")[2]: artifacts[name].sha256 for name in NAMING})
