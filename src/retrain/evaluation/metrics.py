"""Metrics of a model's predictions on the test split."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain.data.report_csv import Columns, significant
from retrain.errors import RetrainError
from retrain.models.description import restore_hint

if TYPE_CHECKING:
    from retrain.models.predictor import Predictor

    import numpy as np
    from torch import Tensor

__all__ = ["evaluate_outputs", "prediction_table"]


ERROR_GROUPS = 5


@dataclass(frozen=True)
class Evaluation:
    """Metrics over all test rows, and more detailed tables by their file names."""

    metrics: dict[str, float]
    tables: dict[str, Columns]


def of_classes(targets: Sequence[str], predicted: Sequence[str], names: Sequence[str]) -> Evaluation:
    """Accuracy and macro F1; a table of the classes, and the confusion matrix with one row per pair of classes.

    The precision of a class that was never predicted is 0. So is the recall of a class without test rows.
    F1 is 0 where precision and recall are. Macro F1 is the mean of the classes that have test rows or were predicted.
    """
    import numpy as np

    numbers = {name: number for number, name in enumerate(names)}
    matrix = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(matrix, ([numbers[name] for name in targets], [numbers[name] for name in predicted]), 1)
    hits, support, answers = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    precision, recall, f1 = hits / answers.clip(1), hits / support.clip(1), 2 * hits / (support + answers).clip(1)
    rates = {"precision": precision, "recall": recall, "f1": f1}
    shortened = {name: list(map(significant, rate.tolist())) for name, rate in rates.items()}
    classes: Columns = {"class": names, **shortened, "support": support}
    confusion: Columns = {
        "target": [name for name in names for _ in names],
        "predicted": [name for _ in names for name in names],
        "rows": matrix.ravel(),
    }
    metrics = {"accuracy": float(hits.sum() / matrix.sum()), "macro_f1": float(f1[support + answers > 0].mean())}
    return Evaluation(metrics, {"classes.csv": classes, "confusion.csv": confusion})


def of_numbers(targets: "np.ndarray", predicted: "np.ndarray") -> Evaluation:
    """Root mean squared error and mean absolute error, in units of the target, and the coefficient of determination.

    Raises:
        RetrainError: there is only one test row.
    """
    import numpy as np

    if len(targets) < 2:
        raise RetrainError("the test split", "has a single row", "add data, or raise split.test")
    errors, distances = predicted - targets, targets - targets.mean()
    unit = max(np.abs(errors).max(), np.abs(distances).max()) or 1.0  # squares of tiny numbers would be zero
    variance = float(np.square(distances / unit).mean())
    mean_square = float(np.square(errors / unit).mean())
    metrics = {
        "rmse": float(unit * math.sqrt(mean_square)),
        "mae": float(np.abs(errors).mean()),
        "r2": 1.0 - mean_square / variance if variance else float(mean_square == 0),
    }
    return Evaluation(metrics, {"errors.csv": errors_by_target(targets, errors)})


def errors_by_target(targets: "np.ndarray", errors: "np.ndarray") -> Columns:
    """The errors of five groups of test rows, from the smallest targets to the largest; sizes differ by one at most.

    A mean error above 0 says that the predictions are too high.
    """
    import numpy as np

    groups = np.array_split(np.argsort(targets, kind="stable"), min(ERROR_GROUPS, len(targets)))
    return {
        "from": [targets[group[0]] for group in groups],
        "to": [targets[group[-1]] for group in groups],
        "rows": [len(group) for group in groups],
        "mean_error": [significant(errors[group].mean()) for group in groups],
        "mean_absolute_error": [significant(np.abs(errors[group]).mean()) for group in groups],
    }


def evaluate_outputs(predictor: "Predictor", outputs: "Tensor", targets: Sequence[Any]) -> tuple[Evaluation, Columns]:
    """The metrics of a network's outputs, and its predictions.

    Raises:
        RetrainError: a metric is not finite.
    """
    import numpy as np
    import torch

    description, task = predictor.description, predictor.task
    predictions = task.predictions(outputs)
    predicted = predictions["predicted"]
    classes = description.task.learned.get("classes")
    evaluated = (
        of_classes(targets, predicted, classes) if classes else of_numbers(np.asarray(targets), np.asarray(predicted))
    )
    loss = predictor.loss.plain(outputs, torch.from_numpy(task.encode(targets))).item()
    metrics = {name: significant(value) for name, value in {**evaluated.metrics, "loss": loss}.items()}
    infinite = [name for name, value in metrics.items() if not math.isfinite(value)]
    if infinite:
        where, hint = f"the model of {description.dataset}", restore_hint(Path(description.dataset))
        raise RetrainError(where, f"has a {infinite[0]} that is not finite", hint)
    return Evaluation(metrics, evaluated.tables), predictions


def prediction_table(inputs: Columns, targets: Sequence[Any], predictions: Columns) -> Columns:
    """One row per test row: its position in the test split, its inputs, the target and the prediction.

    An input column whose name has another meaning here gets the prefix `input_`.
    """
    reserved = {"row", "target", *predictions}
    shown: Columns = {}
    for name, values in inputs.items():
        unique = name
        while unique in reserved or unique in shown or (unique != name and unique in inputs):
            unique = f"input_{unique}"
        shown[unique] = values
    return {"row": range(len(targets)), **shown, "target": targets, **predictions}
