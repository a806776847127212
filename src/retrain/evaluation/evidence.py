"""All that the evaluate stage finds out about a model: the content of `metrics.json`, `predictions.csv` and `tables/`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retrain.data.encoding_file import GROUP
from retrain.data.report_csv import Columns, in_short, significant
from retrain.evaluation.intervals import Judged, intervals
from retrain.evaluation.metrics import Evaluation, calibration_table, evaluate_outputs, tables_of
from retrain.evaluation.paired import differences
from retrain.evaluation.parameters import Evaluate

if TYPE_CHECKING:
    from retrain.models.predictor import Predictor

    from torch import Tensor

__all__ = ["SplitTables", "evidence_of"]


CHANGED_BY_CALIBRATION = ("log_loss", "brier", "calibration_error")


@dataclass(frozen=True)
class SplitTables:
    """The rows that a model was trained with, and those that it is judged by.

    Attributes:
        tables: of `test`, `train` and, unless there are folds, `validation`.
        groups: the number of each test row's group; None if rows are independent of each other.
        every: 1, or 10 if the table of `train` has the first of every ten rows, and so on.
    """

    tables: Mapping[str, Columns]
    groups: Sequence[int] | None
    every: int


@dataclass(frozen=True)
class Evidence:
    """What evaluate writes.

    Attributes:
        metrics: by the parts of `metrics.json`: `test`, `baseline` and so on.
        predictions: the columns of `predictions.csv` that the model adds, and the groups of the rows.
        tables: tables by their file names.
        found: what the tables about rows have, in words.
    """

    metrics: dict[str, dict[str, Any]]
    predictions: Columns
    tables: dict[str, Columns]
    found: str

    @property
    def summary(self) -> str:
        """The metrics with their intervals, those of baseline and reference, and what was found, in words."""
        values = []
        for name, ends in self.metrics["intervals"].items():
            others = {other: self.metrics.get(other, {}).get(name) for other in ("baseline", "reference")}
            known = ", ".join(f"{other} {in_short(value)}" for other, value in others.items() if value is not None)
            interval = f"[{in_short(ends['low'])} to {in_short(ends['high'])}]"
            found = f"{name} {in_short(self.metrics['test'][name])} {interval}"
            values.append(f"{found} ({known})" if known else found)
        return "; ".join(filter(None, (", ".join(values), self.found)))


def evidence_of(model: "Predictor", outputs: "Tensor", splits: SplitTables, parameters: Evaluate) -> Evidence:
    """Judge a model by its outputs for the test rows.

    Args:
        model: the model.
        outputs: its outputs before calibration, (rows, outputs).
        splits: the rows of the splits.
        parameters: the evaluate section.

    Raises:
        RetrainError: a metric is not finite.
    """
    from retrain.evaluation import findings

    bins, classes = parameters.calibration_bins, model.description.task.classes
    targets = splits.tables["test"][model.description.task.column]
    test = evaluate_outputs(model, outputs, targets, bins)
    judged = test.judged.in_groups(splits.groups)
    baseline = evaluate_outputs(model, model.baseline(len(targets)), targets, bins, calibrated=False)
    metrics: dict[str, dict[str, Any]] = {
        "test": test.metrics,
        "baseline": baseline.metrics,
        "intervals": {**intervals(judged)},
    }
    if parameters.reference == "linear":
        fitted = findings.reference_outputs(model, splits.tables)
        reference = evaluate_outputs(model, fitted, targets, bins, calibrated=False)
        metrics["reference"] = reference.metrics
        metrics["reference_difference"] = {
            name: {"low": one.low, "high": one.high}
            for name, one in differences(reference.judged.in_groups(splits.groups), judged).items()
        }
    found = findings.findings_of(model, test.judged, splits.tables, parameters.batch_size, splits.every)
    metrics["near_duplicates"] = without_repeats(test.judged, found.repeated)
    tables = tables_of(test.judged, classes) | found.tables
    if classes:
        before = evaluate_outputs(model, outputs, targets, bins, calibrated=False)
        metrics["uncalibrated"] = {name: before.metrics[name] for name in CHANGED_BY_CALIBRATION}
        tables["calibration.csv"] = before_and_after(before, test, bins)
    own = {} if splits.groups is None else {GROUP: splits.groups}
    return Evidence(metrics, test.predictions | own, tables, found.summary)


def before_and_after(before: Evaluation, after: Evaluation, bins: int) -> Columns:
    """The calibration table, with columns of the probabilities before calibration at its end."""
    earlier, table = calibration_table(before.judged, bins), calibration_table(after.judged, bins)
    return table | {f"{name}_before": earlier[name] for name in ("rows", "confidence", "accuracy")}


def without_repeats(judged: Judged, rows: Sequence[int]) -> dict[str, float]:
    """How many test rows almost repeat a train row, and the metrics without them, if there are any rows left."""
    others = len(judged) - len(rows)
    if not rows or not others:
        return {"rows": len(rows)}
    left = judged.without(rows).values()
    return {"rows": len(rows), **{f"{name}_without": significant(value) for name, value in left.items()}}
