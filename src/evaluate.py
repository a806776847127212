"""Evaluate: the saved model on the test split alone, beside the trivial baseline.

Reads `datasets.<name>.evaluate` and writes `reports/<name>/`: `metrics.json`, `predictions.csv` (a row per test row),
`classes.csv` and `confusion.csv` (only their header lines where the target is a number).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain import cli, environment, files, params, tracking
from retrain.errors import RetrainError
from retrain.params import AtLeastOne, Section
from retrain.results import Result

import click

if TYPE_CHECKING:
    from retrain.predictor import Predictor

    import pandas as pd
    from torch import Tensor

DIGITS = 6
CLASSES = ["class", "precision", "recall", "f1", "support"]
CONFUSION = ["target", "predicted", "rows"]


class Evaluate(Section):
    """Knobs of the stage."""

    batch_size: AtLeastOne


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


TARGETS = {"label": "category", "number": "float64"}
"""The type of a table's column of targets."""

EVALUATIONS: dict[str, "Callable[[pd.Series[Any], pd.Series[Any], list[str]], Evaluation]"] = {
    "label": of_labels,
    "number": of_numbers,
}


def evaluation(
    predictor: "Predictor", outputs: "Tensor", targets: "pd.Series[Any]"
) -> "tuple[Evaluation, pd.DataFrame]":
    """All figures of a network's outputs, and its predictions beside the targets."""
    from retrain.losses import LOSSES

    import torch

    description = predictor.description
    encoded = torch.from_numpy(predictor.objective.encode(targets))
    loss = LOSSES[description.train.loss.name](outputs, encoded).item()
    predictions = predictor.objective.predictions(outputs)
    names = description.target.learned.get("classes", [])
    figures = EVALUATIONS[description.target.kind](targets, predictions["predicted"], names)
    metrics = {name: round(value, DIGITS) for name, value in {**figures.metrics, "loss": loss}.items()}
    if not all(map(math.isfinite, metrics.values())):
        fact = "gives figures that are not finite"
        raise RetrainError(f"model of {description.dataset}", fact, "train it again, or restore it with dvc checkout")
    predictions.insert(0, "target", targets.to_numpy())
    return Evaluation(metrics, figures.classes, figures.confusion), predictions


def fits(test: "pd.DataFrame", model: "Predictor") -> bool:
    """Whether a test split has the columns that a model takes and predicts, and no class that it does not know."""
    target, inputs = model.description.target, model.encoder.columns
    if [*inputs, target.column] != list(test.columns):
        return False
    held = "numbers" if (test[list(inputs)].dtypes == "float64").all() else "text"
    known = target.learned.get("classes", test[target.column])
    return (
        held == model.encoder.holds
        and test[target.column].dtype == TARGETS[target.kind]
        and set(test[target.column]) <= set(known)
    )


@cli.stage
def main(dataset: str) -> None:
    """Evaluate a dataset's saved model on the test split and write the figures to reports/NAME/."""
    knobs = params.read(environment.workspace(), dataset, "evaluate", Evaluate)
    result = Result(dataset, Path(), ("train", "evaluate"))
    environment.pin_cpu(result.description().train.threads)
    from retrain import devices, predictor, tables

    import torch

    model = predictor.load(result.model)
    devices.ready("cpu", model.description.train.threads, params.place(dataset, "evaluate"))
    split = Path("data", dataset, "splits", "test.parquet")
    test = tables.read_parquet(split, "run the split stage first")
    facts = model.description.splits.get("test")
    if facts is None or facts.sha256 != files.sha256(split) or not fits(test, model):
        raise RetrainError(str(split), f"is not the test split of {result.model}", "run the train stage again")
    targets = test[model.description.target.column]
    outputs = model.outputs(test[list(model.encoder.columns)], knobs.batch_size)
    baseline = torch.tensor([model.objective.baseline]).expand(len(test), -1)
    measured, predictions = evaluation(model, outputs, targets)
    trivial, _ = evaluation(model, baseline, targets)

    names = ("metrics.json", "predictions.csv", "classes.csv", "confusion.csv")
    client = tracking.ready_for(result)  # first: where there can be no run, earlier outputs stay
    with files.replacing(*(result.reports / name for name in names)) as (metrics, predicted, classes, confusion):
        files.write_json(metrics, {"test": measured.metrics, "baseline": trivial.metrics})
        tables.write_csv(predicted, predictions)
        tables.write_csv(classes, measured.classes)
        tables.write_csv(confusion, measured.confusion)
    tracking.record(client, result)
    shown = ", ".join(
        f"{name} {value:.4f} (baseline {trivial.metrics[name]:.4f})" for name, value in measured.metrics.items()
    )
    click.echo(f"evaluate {dataset}: {len(test):,} test rows; {shown}")


if __name__ == "__main__":
    main()
