"""Evaluate: the saved model is evaluated on the test split, and compared with a trivial baseline and a linear reference.

Reads `datasets.<name>.evaluate`. Writes `reports/<name>/`: `metrics.json`, `predictions.csv` (one row per test row), and
`tables/`: `slices.csv`, `mistakes.csv` and `near_duplicates.csv`; `classes.csv`, `confusion.csv`, `calibration.csv` and
`label_errors.csv` for a classification, `errors.csv` for a regression.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from retrain import cli, environment, files, params
from retrain.data.report_csv import Columns, write_columns
from retrain.data.split_table import read_groups, read_split
from retrain.errors import RetrainError
from retrain.evaluation.evidence import SplitTables, evidence_of
from retrain.evaluation.metrics import prediction_table
from retrain.evaluation.parameters import Evaluate
from retrain.evaluation.verdict import narrow_intervals
from retrain.models.description import restore_hint
from retrain.models.result import Result
from retrain.tracking import recording

import click

if TYPE_CHECKING:
    from retrain.models.predictor import Predictor


def read_splits(model: "Predictor", dataset: str, folder: Path, every: int) -> dict[str, Columns]:
    """The tables of all splits that a model was trained with, checked; of the train split, the first of `every` rows.

    Raises:
        RetrainError: a model was trained on other splits, or does not know the columns or classes of these.
    """
    task, hint, splits = model.description.task, f"run: dvc repro split@{dataset}", {}
    known, classes = {*model.encoder.columns, task.column}, task.classes
    for name in ("test", "train", "validation"):
        facts, path = model.description.splits.get(name), Path("data", dataset, "splits", f"{name}.parquet")
        if facts is None and name == "validation":  # there are folds
            continue
        splits[name] = read_split(path, hint, every if name == "train" else 1)
        if facts is None or facts.sha256 != files.sha256(path):
            raise RetrainError(str(folder), "was trained on a different split", f"run: dvc repro train@{dataset}")
        if not known <= splits[name].keys() or (classes and not set(splits[name][task.column]) <= set(classes)):
            raise RetrainError(str(folder), f"does not fit the {name} split", restore_hint(folder))
    return splits


@cli.stage
def main(dataset: str) -> None:
    """Evaluate the saved model of a dataset on its test split, and write metrics and predictions to reports/NAME/."""
    parameters = params.read(environment.workspace(), dataset, "evaluate", Evaluate)
    result = Result(dataset, Path(), ("train", "evaluate"))
    recording.start()
    environment.pin_cpu(result.description().train.threads)  # before torch is imported
    from retrain import devices
    from retrain.evaluation import findings
    from retrain.models import predictor

    model = predictor.load(result.model)
    devices.ready("cpu", model.description.train.threads, params.section_path(dataset, "evaluate"))
    every = findings.train_step(model) if parameters.reference == "none" else 1
    tables = read_splits(model, dataset, result.model, every)
    inputs = {name: tables["test"][name] for name in model.encoder.columns}
    targets = tables["test"][model.description.task.column]
    groups = read_groups(Path("data", dataset, "splits"), len(targets))
    splits = SplitTables(tables, groups, every)
    found = evidence_of(model, model.outputs(inputs, parameters.batch_size), splits, parameters)

    names = ("metrics.json", "predictions.csv", "tables")
    with files.replacing(*(result.reports / name for name in names)) as (metrics, predicted, folder):
        files.write_json(metrics, found.metrics)
        write_columns(predicted, prediction_table(inputs, targets, found.predictions))
        folder.mkdir()
        for name, table in found.tables.items():
            write_columns(folder / name, table)
    recording.finish(result, "evaluate")
    if narrow := narrow_intervals(found.metrics, model.description):
        cli.warn(f"{dataset}: {narrow}")
    click.echo(f"evaluate {dataset}: {len(targets):,} test rows; {found.summary}")


if __name__ == "__main__":
    cli.run(main)
