"""Evaluate: the saved model is evaluated on the test split, and compared with a trivial baseline.

Reads `datasets.<name>.evaluate`. Writes `reports/<name>/`: `metrics.json`, `predictions.csv` (one row per test row), and
`tables/` (`classes.csv` and `confusion.csv` for a classification, `errors.csv` for a regression).
"""

from pathlib import Path

from retrain import cli, environment, files, params
from retrain.data.report_csv import write_columns
from retrain.data.split_table import read_split
from retrain.errors import RetrainError
from retrain.evaluation.metrics import evaluate_outputs, prediction_table
from retrain.schema import AtLeastOne, Section
from retrain.tracking import recording
from retrain.tracking.result import Result

import click


class Evaluate(Section):
    """Parameters of the stage."""

    batch_size: AtLeastOne


@cli.stage
def main(dataset: str) -> None:
    """Evaluate the saved model of a dataset on its test split, and write metrics and predictions to reports/NAME/."""
    parameters = params.read(environment.workspace(), dataset, "evaluate", Evaluate)
    result = Result(dataset, Path(), ("train", "evaluate"))
    recording.start()
    environment.pin_cpu(result.description().train.threads)  # before torch is imported
    from retrain import devices
    from retrain.models import predictor

    import torch

    model = predictor.load(result.model)
    devices.ready("cpu", model.description.train.threads, params.section_path(dataset, "evaluate"))
    split = Path("data", dataset, "splits", "test.parquet")
    test = read_split(split, f"run: dvc repro split@{dataset}")
    described = model.description.splits.get("test")
    if described is None or described.sha256 != files.sha256(split):
        raise RetrainError(str(result.model), "was trained on a different split", f"run: dvc repro train@{dataset}")

    inputs, targets = {name: test[name] for name in model.encoder.columns}, test[model.description.task.column]
    evaluated, predictions = evaluate_outputs(model, model.outputs(inputs, parameters.batch_size), targets)
    baseline, _ = evaluate_outputs(model, torch.tensor([model.task.baseline]).expand(len(targets), -1), targets)

    names = ("metrics.json", "predictions.csv", "tables")
    with files.replacing(*(result.reports / name for name in names)) as (metrics, predicted, folder):
        files.write_json(metrics, {"test": evaluated.metrics, "baseline": baseline.metrics})
        write_columns(predicted, prediction_table(inputs, targets, predictions))
        folder.mkdir()
        for name, table in evaluated.tables.items():
            write_columns(folder / name, table)
    recording.finish(result, "evaluate")
    values = [
        f"{name} {value:.4f} (baseline {baseline.metrics[name]:.4f})" for name, value in evaluated.metrics.items()
    ]
    click.echo(f"evaluate {dataset}: {len(targets):,} test rows; {', '.join(values)}")


if __name__ == "__main__":
    main()
