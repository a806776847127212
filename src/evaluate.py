"""Evaluate: the saved model on the test split alone, beside the trivial baseline.

Reads `datasets.<name>.evaluate` and writes `reports/<name>/`: `metrics.json`, `predictions.csv` (a row per test row),
`classes.csv` and `confusion.csv` (only their header lines where the target is a number).
"""

from pathlib import Path

from retrain import cli, environment, files, params
from retrain.errors import RetrainError
from retrain.evaluation.metrics import evaluation
from retrain.schema import AtLeastOne, Section
from retrain.tracking import recording
from retrain.tracking.result import Result

import click


class Evaluate(Section):
    """Parameters of the stage."""

    batch_size: AtLeastOne


@cli.stage
def main(dataset: str) -> None:
    """Evaluate a dataset's saved model on the test split and write the figures to reports/NAME/."""
    parameters = params.read(environment.workspace(), dataset, "evaluate", Evaluate)
    result = Result(dataset, Path(), ("train", "evaluate"))
    recording.start()
    environment.pin_cpu(result.description().train.threads)
    from retrain import devices
    from retrain.data import tables
    from retrain.models import predictor

    import torch

    model = predictor.load(result.model)
    devices.ready("cpu", model.description.train.threads, params.section_path(dataset, "evaluate"))
    split = Path("data", dataset, "splits", "test.parquet")
    test = tables.read_parquet(split, f"run: dvc repro split@{dataset}")
    if model.description.splits["test"].sha256 != files.sha256(split):
        raise RetrainError(str(result.model), "was trained on a different split", f"run: dvc repro train@{dataset}")
    targets = test[model.description.task.column]
    outputs = model.outputs(test[list(model.encoder.columns)], parameters.batch_size)
    baseline = torch.tensor([model.task.baseline]).expand(len(test), -1)
    measured, predictions = evaluation(model, outputs, targets)
    trivial, _ = evaluation(model, baseline, targets)

    names = ("metrics.json", "predictions.csv", "classes.csv", "confusion.csv")
    with files.replacing(*(result.reports / name for name in names)) as (metrics, predicted, classes, confusion):
        files.write_json(metrics, {"test": measured.metrics, "baseline": trivial.metrics})
        tables.write_csv(predicted, predictions)
        tables.write_csv(classes, measured.classes)
        tables.write_csv(confusion, measured.confusion)
    recording.finish(result, "evaluate")
    shown = ", ".join(
        f"{name} {value:.4f} (baseline {trivial.metrics[name]:.4f})" for name, value in measured.metrics.items()
    )
    click.echo(f"evaluate {dataset}: {len(test):,} test rows; {shown}")


if __name__ == "__main__":
    main()
