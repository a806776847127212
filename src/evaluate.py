"""Evaluate: the saved model is evaluated on the test split, and compared with a trivial baseline.

Reads `datasets.<name>.evaluate`. Writes `reports/<name>/`: `metrics.json`, `predictions.csv` (one row per test row), and
`tables/` (`classes.csv`, `confusion.csv` and `calibration.csv` for a classification, `errors.csv` for a regression).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from retrain import cli, environment, files, params
from retrain.data.report_csv import Columns, write_columns
from retrain.data.split_table import read_split
from retrain.errors import RetrainError
from retrain.evaluation.evidence import evidence_of
from retrain.evaluation.metrics import prediction_table
from retrain.evaluation.parameters import Evaluate
from retrain.models.description import restore_hint
from retrain.models.result import Result
from retrain.tracking import recording

import click

if TYPE_CHECKING:
    from retrain.models.predictor import Predictor


def check_fit(model: "Predictor", test: Columns, sha256: str, folder: Path) -> None:
    """Raise RetrainError if a model was trained on other splits, or does not know the columns or classes of this one."""
    facts, task = model.description.splits.get("test"), model.description.task
    if facts is None or facts.sha256 != sha256:
        raise RetrainError(str(folder), "was trained on a different split", f"run: dvc repro train@{folder.name}")
    known = {*model.encoder.columns, task.column} <= test.keys()
    classes = task.learned.get("classes")
    if not known or (classes and not set(test[task.column]) <= set(classes)):
        raise RetrainError(str(folder), "does not fit the test split", restore_hint(folder))


@cli.stage
def main(dataset: str) -> None:
    """Evaluate the saved model of a dataset on its test split, and write metrics and predictions to reports/NAME/."""
    parameters = params.read(environment.workspace(), dataset, "evaluate", Evaluate)
    result = Result(dataset, Path(), ("train", "evaluate"))
    recording.start()
    environment.pin_cpu(result.description().train.threads)  # before torch is imported
    from retrain import devices
    from retrain.models import predictor

    model = predictor.load(result.model)
    devices.ready("cpu", model.description.train.threads, params.section_path(dataset, "evaluate"))
    split = Path("data", dataset, "splits", "test.parquet")
    test = read_split(split, f"run: dvc repro split@{dataset}")
    check_fit(model, test, files.sha256(split), result.model)
    target = model.description.task.column
    inputs, targets = {name: test[name] for name in model.encoder.columns}, test[target]
    found = evidence_of(model, model.outputs(inputs, parameters.batch_size), targets, parameters)

    names = ("metrics.json", "predictions.csv", "tables")
    with files.replacing(*(result.reports / name for name in names)) as (metrics, predicted, folder):
        files.write_json(metrics, found.metrics)
        write_columns(predicted, prediction_table(inputs, targets, found.predictions))
        folder.mkdir()
        for name, table in found.tables.items():
            write_columns(folder / name, table)
    recording.finish(result, "evaluate")
    click.echo(f"evaluate {dataset}: {len(targets):,} test rows; {found.summary}")


if __name__ == "__main__":
    main()
