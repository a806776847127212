"""`retrain predict`: raw rows in, a line of JSON per row out."""

import json
import sys
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from retrain import cli, environment, files, schema
from retrain.errors import RetrainError
from retrain.models import description

import click

if TYPE_CHECKING:
    from retrain.models.predictor import Predictor

    import pandas as pd

ROWS_AT_ONCE = 1024
LONGEST = 1 << 24
"""Bytes of a line; a device may give one without end."""


@click.command()
@click.argument("dataset")
@click.argument("texts", nargs=-1)
@click.option(
    "--file", "file", type=click.Path(path_type=Path), help="A .txt (a row a line) or a .csv (columns by name)."
)
@cli.one_line_errors
def command(dataset: str, texts: tuple[str, ...], file: Path | None) -> None:
    """Predict with the model in models/DATASET/: of TEXTS, of a file, or of standard input, a row a line.

    Prints a line of JSON per row, in order: `label` and `probabilities`, or `number`.
    """
    if texts and file is not None:
        raise click.UsageError("give texts or --file, not both")
    from retrain.data.cleaning import tidy_texts

    predictor = load(environment.workspace() / "models", dataset)
    repairs = predictor.description.prepare.repairs
    for raw in batches(predictor, texts, file):
        is_text = predictor.encoder.holds == "text"
        rows = {name: tidy_texts(column, repairs) for name, column in raw.items()} if is_text else raw
        for answer in predictor.task.answers(predictor.outputs(rows, ROWS_AT_ONCE)):
            click.echo(line_of(answer))


def line_of(answer: dict[str, Any]) -> str:
    """An answer as JSON; what a terminal could take for a command, or can't write, is escaped in class names."""
    text = json.dumps(answer, ensure_ascii=False, allow_nan=False)
    return "".join(letter if letter.isprintable() else json.dumps(letter)[1:-1] for letter in text)


def load(models: Path, dataset: str) -> "Predictor":
    """The dataset's model, on as many threads as it was trained with, so that it gives the same bits.

    Raises:
        RetrainError: there is none, or it is damaged.
    """
    trained = [folder.name for folder in models.glob("*") if folder.is_dir()]
    if dataset not in trained:
        hint = schema.nearest(dataset, trained) if trained else f"train it: make repro DATASET={dataset}"
        raise RetrainError(str(models), f"there is no model '{dataset}'", hint)
    environment.pin_cpu(description.read(models / dataset).train.threads)
    from retrain.models import predictor

    return predictor.load(models / dataset)


def batches(predictor: "Predictor", texts: tuple[str, ...], file: Path | None) -> Iterator[dict[str, list[Any]]]:
    """The rows to be predicted, as columns by name, some at a time."""
    if file is not None and file.suffix.lower() == ".csv":
        rows = table(predictor, file)
        for begin in range(0, len(rows), ROWS_AT_ONCE):
            yield {name: rows[name][begin : begin + ROWS_AT_ONCE].tolist() for name in predictor.encoder.columns}
        return
    lines = iter(
        map(checked, texts)
        if texts
        else (lines_of(file) if file is not None else decoded(sys.stdin.buffer, "standard input"))
    )
    while some := list(islice(lines, ROWS_AT_ONCE)):
        yield predictor.encoder.rows_of_texts(some)


def table(predictor: "Predictor", file: Path) -> "pd.DataFrame":
    """The model's input columns of a CSV file.

    Raises:
        RetrainError: a column is missing, or a value is not what the column holds.
    """
    from retrain.data.csv_rows import read_csv, select

    columns = predictor.encoder.columns
    numeric = columns if predictor.description.encoder.name == "numbers" else ()
    rows = select(read_csv(file, str(file), None), columns, numeric, str(file))
    for name in rows.columns:
        empty = rows.index[rows[name].isna()]
        if len(empty):
            raise RetrainError(f"{file}, line {empty[0]}, column '{name}'", "is empty", "give it a number")
    return rows


def checked(text: str) -> str:
    """A text of the command line; raises RetrainError where its bytes were not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RetrainError("TEXTS", f"{text!r} is not UTF-8", "give it by --file, saved as UTF-8") from None
    return text


def lines_of(file: Path) -> Iterator[str]:
    """The lines of a text file.

    Raises:
        RetrainError: it is neither .txt nor .csv, missing, or not UTF-8.
    """
    if file.suffix.lower() != ".txt":
        raise RetrainError(str(file), f"'{file.suffix}' files are not supported", "give a .txt or a .csv")
    files.require_regular_file(file, "give its text by standard input")
    try:
        with file.open("rb") as stream:
            yield from decoded(stream, str(file))
    except FileNotFoundError:
        raise RetrainError(str(file), "is missing", "correct the path") from None
    except IsADirectoryError:
        raise RetrainError(str(file), "is a folder", "give a file") from None


def decoded(stream: IO[bytes], shown: str) -> Iterator[str]:
    """Lines of UTF-8, without their ends and without a byte order mark; raises RetrainError, naming the line."""
    for number, line in enumerate(iter(partial(stream.readline, LONGEST + 1), b""), start=1):
        if len(line) > LONGEST:
            raise RetrainError(f"{shown}, line {number}", f"is longer than {LONGEST:,} bytes", "give it a row a line")
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise RetrainError(f"{shown}, line {number}", "is not UTF-8", "save it as UTF-8") from None
