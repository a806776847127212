"""Split: a tidy table becomes train, validation and test, tokenized and indexed for training.

Reads `datasets.<name>.split` and writes `data/<name>/splits/` (a table per split) and `data/<name>/examples/` (encoded
arrays that training memory-maps, and `encoding.json`: all that was learned, from the train split alone).
"""

import hashlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from retrain import cli, description, encoders, environment, files, objectives, params
from retrain.description import Encoding, Inputs, PrepareKnobs, SplitFacts, Target
from retrain.encoders import Arrays, Encoder
from retrain.errors import RetrainError
from retrain.objectives import Objective
from retrain.params import Chosen, Section, Seed

import click
from pydantic import Field

if TYPE_CHECKING:
    import pandas as pd

Fraction = Annotated[float, Field(gt=0, lt=1)]
ENCODED = ("train", "validation")
"""Evaluation starts from the raw rows of test."""
WAY_OUT = "run the prepare stage first"


class Split(Section):
    """Knobs of the stage."""

    validation: Fraction
    test: Fraction | None = None
    """Absent where prepare has an official test file."""
    seed: Seed
    inputs: str
    target: str
    encoder: Chosen


class Prepared(Section):
    """What the prepare stage says of its rows; `prepared.json`."""

    counts: dict[str, int]
    prepare: PrepareKnobs


def side(content: bytes, seed: int, test: float, validation: float) -> str:
    """The split that a content belongs to: decided by its hash, so that equal contents share it and new rows move none."""
    digest = hashlib.blake2b(content, digest_size=8, key=seed.to_bytes(8)).digest()
    draw = int.from_bytes(digest) / 2**64
    if draw < test:
        return "test"
    return "validation" if draw < test + validation else "train"


def split(
    rows: "pd.DataFrame", contents: list[bytes], official: tuple["pd.DataFrame", list[bytes]] | None, knobs: Split
) -> dict[str, "pd.DataFrame"]:
    """The three splits, in the order of the rows.

    Args:
        rows: the tidy table.
        contents: the normalised content of each of its rows.
        official: the official test rows and their contents; what they contain leaves train and validation.
        knobs: the stage's section.
    """
    sides = [side(content, knobs.seed, knobs.test or 0.0, knobs.validation) for content in contents]
    if official is None:
        return {name: rows[[own == name for own in sides]] for name in ("train", "validation", "test")}
    test, tested = official[0], set(official[1])
    free = [content not in tested for content in contents]
    parts = {
        name: rows[[own == name and keep for own, keep in zip(sides, free, strict=True)]]
        for name in ("train", "validation")
    }
    return {**parts, "test": test}


def check(knobs: Split, place: str, *, official: bool) -> None:
    """Say which fractions do not fit each other, or the data.

    Raises:
        RetrainError: both or neither of `split.test` and an official test file, or nothing left to train on.
    """
    if official and knobs.test is not None:
        raise RetrainError(f"{place}.test", "there is an official test file already", "remove the knob")
    if not official and knobs.test is None:
        raise RetrainError(f"{place}.test", "is missing", "add it: there is no official test file")
    if knobs.validation + (knobs.test or 0.0) >= 1:
        raise RetrainError(place, "validation and test leave nothing to train on", "make their sum less than 1")


def not_empty(splits: dict[str, "pd.DataFrame"], place: str) -> None:
    """Raise RetrainError where a split has no row."""
    for name, rows in splits.items():
        if rows.empty:
            raise RetrainError(place, f"the {name} split has no row", "give it more rows or a larger fraction")


def read_tidy(path: Path) -> "pd.DataFrame":
    """A table of the prepare stage.

    Raises:
        RetrainError: it is missing or damaged, or no such table: it has no rows or no inputs, or a column that holds
            something else than text, numbers or, as the target, classes.
    """
    from retrain import tables

    table = tables.read_parquet(path, WAY_OUT)
    *inputs, target = [held(table.iloc[:, number]) for number in range(table.shape[1])] or [""]
    known = set(inputs) <= {"text", "numbers"} and target in ("classes", "numbers")
    if not (len(table) and inputs and known and table.columns.is_unique):
        raise RetrainError(str(path), "is no table of the prepare stage", WAY_OUT)
    return table


def held(column: "pd.Series[Any]") -> str:
    """What a column holds in every row: text, numbers or classes; nothing where it is none of them."""
    if column.isna().any():
        return ""
    if column.dtype == "float64":
        return "numbers" if column.abs().max() < math.inf else ""
    if column.dtype == "category":
        return "classes" if column.cat.categories.dtype == "str" else ""
    return "text" if column.dtype == "str" else ""


def fits_inputs(rows: "pd.DataFrame", holds: str, place: str) -> None:
    """Raise RetrainError where an input column holds something else than the encoder takes."""
    for name in rows.columns:
        held = "numbers" if rows[name].dtype == "float64" else "text"
        if held != holds:
            fact = f"column '{name}' holds {held}, not {holds}"
            raise RetrainError(f"{place}.inputs", fact, f"set it to {held}, or correct prepare.columns")


def write_tables(folder: Path, splits: dict[str, "pd.DataFrame"]) -> dict[str, SplitFacts]:
    """Write a table per split, and return their sizes and digests."""
    from retrain import tables

    folder.mkdir()
    for name, part in splits.items():
        tables.write_parquet(folder / f"{name}.parquet", part.reset_index(drop=True))
    return {
        name: SplitFacts(rows=len(part), sha256=files.sha256(folder / f"{name}.parquet"))
        for name, part in splits.items()
    }


def write_arrays(folder: Path, arrays: Arrays) -> None:
    """Write a split's encoded inputs and targets, an array a file."""
    import numpy as np

    folder.mkdir(parents=True)
    for name, array in arrays.items():
        with files.writing(folder / f"{name}.npy"):
            np.save(folder / f"{name}.npy", array, allow_pickle=False)


def encode(
    splits: "dict[str, pd.DataFrame]", encoder_class: type[Encoder], objective: Objective, knobs: Section
) -> tuple[Encoder, dict[str, Arrays]]:
    """An encoder learned from the train split, and the arrays of the splits that training needs."""
    *inputs, target = splits["train"].columns
    targets = {name: objective.encode(splits[name][target]) for name in ENCODED}
    encoder, train = encoder_class.fit_encode(splits["train"][inputs], targets["train"], knobs)
    encoded = {"train": train, "validation": encoder.encode(splits["validation"][inputs])}
    return encoder, {name: {**encoded[name], "targets": targets[name]} for name in ENCODED}


@cli.stage
def main(dataset: str) -> None:
    """Split a dataset into train, validation and test, and encode it to data/NAME/examples/."""
    place = params.place(dataset, "split")
    knobs = params.read(environment.workspace(), dataset, "split", Split)
    encoder_file = encoders.load(knobs.inputs, f"{place}.inputs")
    encoder_knobs = params.check(knobs.encoder, encoder_file.Knobs, f"{place}.encoder")
    objective_class = objectives.load(knobs.target, f"{place}.target")

    prepared = Path("data", dataset, "prepared")
    about = prepared / "prepared.json"
    prepare = params.check(files.read_json(about, WAY_OUT), Prepared, str(about)).prepare
    rows = read_tidy(prepared / "rows.parquet")
    has_test = (prepared / "test.parquet").exists()
    test = read_tidy(prepared / "test.parquet") if has_test else None
    if test is not None and not test.dtypes.equals(rows.dtypes):
        raise RetrainError(str(prepared / "test.parquet"), "has other columns than rows.parquet", WAY_OUT)
    check(knobs, place, official=has_test)
    *inputs, target = rows.columns
    fits_inputs(rows[inputs], encoder_file.Encoder.holds, place)
    contents = encoder_file.Encoder.contents
    splits = split(rows, contents(rows[inputs]), None if test is None else (test, contents(test[inputs])), knobs)
    not_empty(splits, place)

    train = splits["train"]
    objective = objective_class.fit(train[target], place)
    encoder, arrays = encode(splits, encoder_file.Encoder, objective, encoder_knobs)
    with files.replacing(Path("data", dataset, "splits"), Path("data", dataset, "examples")) as (tidy, encoded):
        facts = write_tables(tidy, splits)
        for name in ENCODED:
            write_arrays(encoded / name, arrays[name])
        encoding = Encoding(
            inputs=Inputs(kind=knobs.inputs, learned=encoder.to_json()),
            target=Target(kind=knobs.target, column=target, learned=objective.to_json()),
            splits=facts,
            prepare=prepare,
            split=knobs.model_dump(mode="json", exclude_none=True),
        )
        files.write_json(encoded / description.ENCODING, encoding.model_dump(mode="json"))
    left = len(rows) + (0 if test is None else len(test)) - sum(map(len, splits.values()))
    sizes = ", ".join(f"{name} {len(part):,}" for name, part in splits.items())
    leaked = f"; left out {left:,} rows that the test file has" if left else ""
    click.echo(f"split {dataset}: {sizes} rows{leaked}; {encoder.describe()}, {objective.describe()}")


if __name__ == "__main__":
    main()
