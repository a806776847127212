"""Split: divide a tidy table into train, validation and test, and encode it for training.

Reads `datasets.<name>.split` and writes `data/<name>/splits/` (one table per split) and `data/<name>/examples/` (encoded
arrays that training memory-maps, and `encoding.json`: what encoder and task learned from the train split alone).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain import cli, environment, files, params, schema
from retrain.data import encoders, encoding_file, splitting, tasks
from retrain.data.encoders import Arrays, Encoder
from retrain.data.encoding_file import GROUPS, Encoding, LearnedEncoder, LearnedTask, SplitFacts
from retrain.data.prepared_file import read_prepared
from retrain.data.splitting import Split
from retrain.data.tasks import Task
from retrain.errors import RetrainError
from retrain.schema import Section

import click

if TYPE_CHECKING:
    import pandas as pd


MIXED = "set encoder.name: mixed, network.name: mixed and split.folds: 4"


def check_columns(rows: "pd.DataFrame", encoder: str, holds: str, where: str) -> None:
    """Raise RetrainError if an input column does not hold what the encoder takes: text, numbers, or anything."""
    found = {str(name): kind_of(rows[name]) for name in rows.columns}
    wrong = next((name for name, kind in found.items() if kind != holds), None)
    if wrong is None or holds == "anything":
        return
    fitting = encoders.names_for(found[wrong]) if len({*found.values()}) == 1 else []
    hint = f"set encoder.name to one for {found[wrong]}: {' or '.join(fitting)}" if fitting else MIXED
    if found[wrong] == "missing values":
        hint += ", or set prepare.incomplete: drop"
    fact = f"encoder '{encoder}' needs {holds}, but column '{wrong}' holds {found[wrong]}"
    raise RetrainError(f"{where}.encoder.name", fact, hint)


def kind_of(column: "pd.Series[Any]") -> str:
    """What a column holds, as errors say it."""
    if column.isna().any():
        return "missing values"
    kinds = {"category": "categories", "float64": "numbers"}
    return "dates" if column.dtype.kind == "M" else kinds.get(str(column.dtype), "text")


def write_tables(
    folder: Path, splits: dict[str, "pd.DataFrame"], groups: "pd.DataFrame | None"
) -> dict[str, SplitFacts]:
    """Write one table per split and the groups of the test rows; return the sizes and digests of the splits."""
    from retrain.data import tables

    folder.mkdir()
    if groups is not None:
        tables.write_parquet(folder / GROUPS, groups)
    facts = {}
    for name, part in splits.items():
        path = folder / f"{name}.parquet"
        tables.write_parquet(path, part.reset_index(drop=True))
        facts[name] = SplitFacts(rows=len(part), sha256=files.sha256(path), md5=files.md5(path))
    return facts


def write_arrays(folder: Path, arrays: Arrays) -> None:
    """Write a split's encoded inputs and targets, one file per array."""
    import numpy as np

    folder.mkdir(parents=True)
    for name, array in arrays.items():
        with files.writing(folder / f"{name}.npy"):
            np.save(folder / f"{name}.npy", array, allow_pickle=False)


def encode(
    splits: "dict[str, pd.DataFrame]", encoder_class: type[Encoder], task: Task, parameters: Section
) -> tuple[Encoder, dict[str, Arrays]]:
    """An encoder that learned from the train split, and the arrays of all splits but test, which evaluation encodes itself."""
    *inputs, target = splits["train"].columns
    learned = [name for name in splits if name != "test"]
    targets = {name: task.encode(splits[name][target]) for name in learned}
    encoder, train = encoder_class.fit_encode(splits["train"][inputs], targets["train"], parameters)
    encoded = {name: train if name == "train" else encoder.encode(splits[name][inputs]) for name in learned}
    return encoder, {name: {**encoded[name], "targets": targets[name]} for name in learned}


@cli.stage
def main(dataset: str) -> None:
    """Divide a dataset into train, validation and test, and encode it to data/NAME/examples/."""
    where = params.section_path(dataset, "split")
    parameters = params.read(environment.workspace(), dataset, "split", Split)
    encoder_file = encoders.load(parameters.encoder.get("name"), f"{where}.encoder.name")
    encoder_parameters = schema.check(parameters.encoder, encoder_file.Parameters, f"{where}.encoder")
    task_class = tasks.load(parameters.task, f"{where}.task")

    prepared = read_prepared(Path("data", dataset, "prepared"))
    rows, test, keys, groups_of_rows = prepared.rows, prepared.test, prepared.keys, prepared.groups
    splitting.check(parameters, where, official=test is not None)
    *inputs, target = rows.columns
    for table in (rows, test):
        if table is not None:
            check_columns(table[inputs], encoder_parameters.name, encoder_file.Encoder.holds, where)
    contents_of = encoder_file.Encoder.contents
    contents = contents_of(rows[inputs])
    official = None if test is None else (test, contents_of(test[inputs]))
    splits = splitting.split(rows, contents, official, parameters, keys)
    splitting.not_empty(splits, parameters, where, keys)
    groups = None if groups_of_rows is None or official else splitting.numbered(groups_of_rows[splits["test"].index])
    for message in splitting.warnings(rows, splits, groups):
        cli.warn(f"{dataset}: {message}")

    task = task_class.fit(splits["train"][target], where)
    encoder, arrays = encode(splits, encoder_file.Encoder, task, encoder_parameters)
    if parameters.folds is not None:
        fold_by = contents if groups_of_rows is None else splitting.contents_of_groups(groups_of_rows)
        arrays["train"]["folds"] = splitting.folds([fold_by[row] for row in splits["train"].index], parameters, where)
    with files.replacing(Path("data", dataset, "splits"), Path("data", dataset, "examples")) as (tidy, encoded):
        facts = write_tables(tidy, splits, groups)
        for name in arrays:
            write_arrays(encoded / name, arrays[name])
        encoding = Encoding(
            encoder=LearnedEncoder(name=encoder_parameters.name, learned=encoder.to_json()),
            task=LearnedTask(name=parameters.task, column=target, learned=task.to_json()),
            splits=facts,
            prepare=prepared.parameters,
            split=parameters.model_dump(mode="json", exclude_none=True),
            offsets=prepared.offsets,
            gaps=prepared.gaps,
            arrays=dict(sorted(files.digests_in(encoded).items())),
        )
        files.write_json(encoded / encoding_file.ENCODING, encoding.model_dump(mode="json"))
    left = len(rows) + (0 if test is None else len(test)) - sum(map(len, splits.values()))
    sizes = ", ".join(f"{name} {len(part):,}" for name, part in splits.items())
    cut = f" in {parameters.folds} folds" if parameters.folds else ""
    reasons = ["that are also in the test file"] if test is not None else []
    reasons += [] if parameters.train_share is None else ["by train_share"]
    without = f"; left out {left:,} rows {' or '.join(reasons)}" if left else ""
    click.echo(f"split {dataset}: {sizes} rows{cut}{without}; {encoder.describe()}, {task.describe()}")


if __name__ == "__main__":
    cli.run(main)
