"""Metrics of a model's predictions on the test split."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain.errors import RetrainError
from retrain.models.description import restore_hint

if TYPE_CHECKING:
    from retrain.models.predictor import Predictor

    import numpy as np
    import pandas as pd
    from torch import Tensor

__all__ = ["evaluate_outputs", "prediction_table"]


DIGITS = 6
ERROR_GROUPS = 5


@dataclass(frozen=True)
class Evaluation:
    """Metrics over all test rows, and more detailed tables by their file names."""

    metrics: dict[str, float]
    tables: "dict[str, pd.DataFrame]"


def of_classes(targets: "pd.Series[str]", predicted: "pd.Series[str]", names: list[str]) -> Evaluation:
    """Accuracy and macro F1; a table of the classes, and the confusion matrix with one row per pair of classes.

    The precision of a class that was never predicted is 0. So is the recall of a class without test rows.
    F1 is 0 where precision and recall are.
    """
    import numpy as np
    import pandas as pd

    matrix = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(matrix, (pd.Categorical(targets, names).codes, pd.Categorical(predicted, names).codes), 1)
    hits, support, answers = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    precision, recall, f1 = hits / answers.clip(1), hits / support.clip(1), 2 * hits / (support + answers).clip(1)
    classes = {"class": names, "precision": precision, "recall": recall, "f1": f1, "support": support}
    pairs = [(target, other, int(matrix[i, j])) for i, target in enumerate(names) for j, other in enumerate(names)]
    tables = {
        "classes.csv": pd.DataFrame(classes).round(DIGITS),
        "confusion.csv": pd.DataFrame(pairs, columns=["target", "predicted", "rows"]),
    }
    return Evaluation({"accuracy": float(hits.sum() / matrix.sum()), "macro_f1": float(f1.mean())}, tables)


def of_numbers(targets: "pd.Series[float]", predicted: "pd.Series[float]") -> Evaluation:
    """Root mean squared error and mean absolute error, in units of the target, and the coefficient of determination.

    Raises:
        RetrainError: there is only one test row.
    """
    import numpy as np

    if len(targets) < 2:
        raise RetrainError("the test split", "has a single row", "add data, or raise split.test")
    errors = predicted.to_numpy("float64") - targets.to_numpy("float64")
    variance = float(targets.var(ddof=0))
    mean_square = float(np.square(errors).mean())
    metrics = {
        "rmse": math.sqrt(mean_square),
        "mae": float(np.abs(errors).mean()),
        "r2": 1.0 - mean_square / variance if variance else float(mean_square == 0),
    }
    return Evaluation(metrics, {"errors.csv": errors_by_target(targets.to_numpy("float64"), errors)})


def errors_by_target(targets: "np.ndarray", errors: "np.ndarray") -> "pd.DataFrame":
    """The errors of five groups of test rows, from the smallest targets to the largest; sizes differ by one at most.

    A mean error above 0 says that the predictions are too high.
    """
    import numpy as np
    import pandas as pd

    groups = np.array_split(np.argsort(targets, kind="stable"), min(ERROR_GROUPS, len(targets)))
    rows = [
        {
            "from": targets[group[0]],
            "to": targets[group[-1]],
            "rows": len(group),
            "mean_error": errors[group].mean(),
            "mean_absolute_error": np.abs(errors[group]).mean(),
        }
        for group in groups
    ]
    return pd.DataFrame(rows).round(DIGITS)


def evaluate_outputs(
    predictor: "Predictor", outputs: "Tensor", targets: "pd.Series[Any]"
) -> "tuple[Evaluation, pd.DataFrame]":
    """The metrics of a network's outputs, and its predictions.

    Raises:
        RetrainError: a metric is not finite.
    """
    import torch

    description, task = predictor.description, predictor.task
    predictions = task.predictions(outputs)
    predicted = predictions["predicted"]
    classes = description.task.learned.get("classes")
    evaluated = of_classes(targets, predicted, classes) if classes else of_numbers(targets, predicted)
    loss = predictor.loss.plain(outputs, torch.from_numpy(task.encode(targets))).item()
    metrics = {name: round(value, DIGITS) for name, value in {**evaluated.metrics, "loss": loss}.items()}
    infinite = [name for name, value in metrics.items() if not math.isfinite(value)]
    if infinite:
        where, hint = f"the model of {description.dataset}", restore_hint(Path(description.dataset))
        raise RetrainError(where, f"has a {infinite[0]} that is not finite", hint)
    return Evaluation(metrics, evaluated.tables), predictions


def prediction_table(inputs: "pd.DataFrame", targets: "pd.Series[Any]", predictions: "pd.DataFrame") -> "pd.DataFrame":
    """One row per test row: its position in the test split, its inputs, the target and the prediction.

    An input column whose name has another meaning here gets the prefix `input_`.
    """
    import pandas as pd

    table = pd.DataFrame({"row": range(len(targets)), "target": targets.to_numpy(), **predictions})
    for position, name in enumerate(inputs.columns, start=1):
        shown = name
        while shown in table.columns or shown in inputs.columns.drop(name):
            shown = f"input_{shown}"
        table.insert(position, shown, inputs[name].to_numpy())
    return table
