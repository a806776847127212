"""Metrics of a model's predictions on the test split."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retrain.errors import RetrainError

if TYPE_CHECKING:
    from retrain.models.predictor import Predictor

    import pandas as pd
    from torch import Tensor

DIGITS = 6
CLASSES = ["class", "precision", "recall", "f1", "support"]
CONFUSION = ["target", "predicted", "rows"]


@dataclass(frozen=True)
class Evaluation:
    """Figures over all rows, per class, and per pair of classes."""

    metrics: dict[str, float]
    classes: "pd.DataFrame"
    confusion: "pd.DataFrame"


def of_labels(targets: "pd.Series[str]", predicted: "pd.Series[str]", names: list[str]) -> Evaluation:
    """Accuracy, macro F1, per-class precision, recall, F1 and support, and the confusion matrix in long form.

    A class that nothing was predicted as has precision 0, one without test rows recall 0, and F1 0 where both are.
    """
    import numpy as np
    import pandas as pd

    matrix = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(matrix, (pd.Categorical(targets, names).codes, pd.Categorical(predicted, names).codes), 1)
    hits, support, answers = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    precision, recall, f1 = hits / answers.clip(1), hits / support.clip(1), 2 * hits / (support + answers).clip(1)
    classes = pd.DataFrame(dict(zip(CLASSES, [names, precision, recall, f1, support], strict=True))).round(DIGITS)
    pairs = [(target, other, int(matrix[i, j])) for i, target in enumerate(names) for j, other in enumerate(names)]
    metrics = {"accuracy": float(hits.sum() / matrix.sum()), "macro_f1": float(f1.mean())}
    return Evaluation(metrics, classes, pd.DataFrame(pairs, columns=CONFUSION))


def of_numbers(targets: "pd.Series[float]", predicted: "pd.Series[float]", _names: list[str]) -> Evaluation:
    """Root mean squared error and mean absolute error, in the target's units, and the coefficient of determination."""
    import numpy as np
    import pandas as pd

    if len(targets) < 2:
        raise RetrainError("evaluate", "the test split has a single row", "give it more rows or a larger fraction")

    errors = targets.to_numpy("float64") - predicted.to_numpy("float64")
    variance = float(targets.var(ddof=0))
    mean_square = float(np.square(errors).mean())
    metrics = {
        "rmse": math.sqrt(mean_square),
        "mae": float(np.abs(errors).mean()),
        "r2": 1.0 - mean_square / variance if variance else float(mean_square == 0),
    }
    return Evaluation(metrics, pd.DataFrame(columns=CLASSES), pd.DataFrame(columns=CONFUSION))


EVALUATIONS: dict[str, "Callable[[pd.Series[Any], pd.Series[Any], list[str]], Evaluation]"] = {
    "classification": of_labels,
    "regression": of_numbers,
}


def evaluation(
    predictor: "Predictor", outputs: "Tensor", targets: "pd.Series[Any]"
) -> "tuple[Evaluation, pd.DataFrame]":
    """All figures of a network's outputs, and its predictions beside the targets."""
    import torch

    description = predictor.description
    encoded = torch.from_numpy(predictor.task.encode(targets))
    loss = predictor.loss.plain(outputs, encoded).item()
    predictions = predictor.task.predictions(outputs)
    names = description.task.learned.get("classes", [])
    figures = EVALUATIONS[description.task.name](targets, predictions["predicted"], names)
    metrics = {name: round(value, DIGITS) for name, value in {**figures.metrics, "loss": loss}.items()}
    if not all(map(math.isfinite, metrics.values())):
        fact = "gives figures that are not finite"
        raise RetrainError(f"model of {description.dataset}", fact, "train it again, or restore it with dvc checkout")
    predictions.insert(0, "target", targets.to_numpy())
    return Evaluation(metrics, figures.classes, figures.confusion), predictions
