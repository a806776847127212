"""Metrics of a model's predictions on the test split, and tables that say more."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain.data.encoding_file import GROUP
from retrain.data.report_csv import Columns, significant
from retrain.errors import RetrainError
from retrain.evaluation.intervals import Judged
from retrain.models.description import restore_hint

if TYPE_CHECKING:
    from retrain.models.predictor import Predictor

    import numpy as np
    from torch import Tensor

__all__ = [
    "Evaluation",
    "bins_of",
    "calibration_table",
    "confidences",
    "evaluate_outputs",
    "prediction_table",
    "renamed",
    "tables_of",
]


ERROR_GROUPS = 5


@dataclass(frozen=True)
class Evaluation:
    """Predictions of some rows, and their metrics.

    Attributes:
        judged: the rows as numbers.
        predictions: the columns of `predictions.csv` that a model adds.
        metrics: each metric by its name.
    """

    judged: Judged
    predictions: Columns
    metrics: dict[str, float]


def evaluate_outputs(
    predictor: "Predictor", outputs: "Tensor", targets: Sequence[Any], bins: int, *, calibrated: bool = True
) -> Evaluation:
    """The predictions from a network's outputs, and their metrics.

    Args:
        predictor: the model.
        outputs: (rows, outputs).
        targets: the targets of the rows.
        bins: the number of bins of the calibration error.
        calibrated: whether the model's calibration is applied.

    Raises:
        RetrainError: a metric is not finite, or there is only one test row of numbers.
    """
    import torch

    description, task = predictor.description, predictor.task
    classes = description.task.classes
    if not classes and len(targets) < 2:
        raise RetrainError("the test split", "has a single row", "add data, or raise split.test")
    used = predictor.calibrated(outputs) if calibrated else outputs.double()
    predictions = predictor.predictions(outputs) if calibrated else task.predictions(used)
    judged = Judged.of_predictions(targets, predictions, classes)
    values = judged.values()
    if classes:
        values["calibration_error"] = calibration_error(judged, bins)
    values["loss"] = predictor.loss.plain(used.float(), torch.from_numpy(task.encode(targets))).item()
    metrics = {name: significant(value) for name, value in values.items()}
    infinite = [name for name, value in metrics.items() if not math.isfinite(value)]
    if infinite:
        where, hint = f"the model of {description.dataset}", restore_hint(Path(description.dataset))
        raise RetrainError(where, f"has a {infinite[0]} that is not finite", hint)
    return Evaluation(judged, predictions, metrics)


def tables_of(judged: Judged, classes: Sequence[str] | None) -> dict[str, Columns]:
    """Tables about the rows, by their file names: of the classes, or of the errors of a regression."""
    return tables_of_classes(judged, classes) if classes else {"errors.csv": errors_by_target(judged)}


def tables_of_classes(judged: Judged, names: Sequence[str]) -> dict[str, Columns]:
    """A table of the classes, and the confusion matrix with one row per pair of classes.

    The precision of a class that was never predicted is 0. So is the recall of a class without test rows.
    F1 is 0 where precision and recall are.
    """
    import numpy as np

    count = len(names)
    pairs = judged.targets * count + judged.predicted
    matrix = np.bincount(pairs, minlength=count**2).reshape(count, count)
    hits, support, answers = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    precision, recall, f1 = hits / answers.clip(1), hits / support.clip(1), 2 * hits / (support + answers).clip(1)
    rates = {"precision": precision, "recall": recall, "f1": f1}
    shortened = {name: list(map(significant, rate.tolist())) for name, rate in rates.items()}
    confusion: Columns = {
        "target": [name for name in names for _ in names],
        "predicted": [name for _ in names for name in names],
        "rows": matrix.ravel(),
    }
    return {"classes.csv": {"class": names, **shortened, "support": support}, "confusion.csv": confusion}


def errors_by_target(judged: Judged) -> Columns:
    """The errors of five groups of test rows, from the smallest targets to the largest; sizes differ by one at most.

    A mean error above 0 says that the predictions are too high.
    """
    import numpy as np

    targets, errors = judged.targets, judged.predicted - judged.targets
    groups = np.array_split(np.argsort(targets, kind="stable"), min(ERROR_GROUPS, len(targets)))
    return {
        "from": [targets[group[0]] for group in groups],
        "to": [targets[group[-1]] for group in groups],
        "rows": [len(group) for group in groups],
        "mean_error": [significant(errors[group].mean()) for group in groups],
        "mean_absolute_error": [significant(np.abs(errors[group]).mean()) for group in groups],
    }


def calibration_table(judged: Judged, bins: int) -> Columns:
    """Rows by the probability of their predicted class, in bins of equal width: mean probability and accuracy.

    Bins without rows are there, without values.
    """
    import numpy as np

    confidence, correct = confidences(judged)
    places = bins_of(confidence, bins)
    counts = np.bincount(places, minlength=bins)
    return {
        "from": [significant(place / bins) for place in range(bins)],
        "to": [significant((place + 1) / bins) for place in range(bins)],
        "rows": counts,
        "confidence": binned(confidence, places, counts),
        "accuracy": binned(correct, places, counts),
    }


def binned(values: "np.ndarray", places: "np.ndarray", counts: "np.ndarray") -> list[float]:
    """The mean value of each bin; not a number where a bin has no rows."""
    import numpy as np

    sums = np.bincount(places, values, len(counts)).tolist()
    return [
        significant(total / count) if count else math.nan for total, count in zip(sums, counts.tolist(), strict=True)
    ]


def confidences(judged: Judged) -> "tuple[np.ndarray, np.ndarray]":
    """The probability of each predicted class, and whether it is right: (rows,) each."""
    import numpy as np

    confidence = np.asarray(judged.probabilities)[np.arange(len(judged)), judged.predicted]
    return confidence, judged.targets == judged.predicted


def bins_of(confidence: "np.ndarray", bins: int) -> "np.ndarray":
    """The bin of each probability; all bins are equally wide: int64, (rows,)."""
    return (confidence * bins).astype(int).clip(max=bins - 1)


def calibration_error(judged: Judged, bins: int) -> float:
    """The expected calibration error: how far mean probability and accuracy of a bin are apart, by rows.

    M. P. Naeini, G. F. Cooper, M. Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015.
    Few rows in a bin make it too large, so a perfect model does not reach 0.
    """
    import numpy as np

    confidence, correct = confidences(judged)
    return float(np.abs(np.bincount(bins_of(confidence, bins), confidence - correct, bins)).sum() / len(judged))


def prediction_table(inputs: Columns, targets: Sequence[Any], predictions: Columns) -> Columns:
    """One row per test row: its position in the test split, its inputs, the target and the prediction.

    An input column whose name has another meaning here gets the prefix `input_`.
    """
    shown = renamed(inputs, {"row", "target", GROUP, *predictions})
    return {"row": range(len(targets)), **shown, "target": targets, **predictions}


def renamed(columns: Columns, reserved: set[str]) -> Columns:
    """Columns with the prefix `input_` where a name has another meaning."""
    shown: Columns = {}
    for name, values in columns.items():
        unique = name
        while unique in reserved or unique in shown or (unique != name and unique in columns):
            unique = f"input_{unique}"
        shown[unique] = values
    return shown
