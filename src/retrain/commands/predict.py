"""`retrain predict`: reads raw rows and prints a line of JSON for each."""

import json
import re
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from retrain import cli, environment, files, params, schema
from retrain.errors import RetrainError
from retrain.models import description

import click

if TYPE_CHECKING:
    from retrain.models.predictor import Predictor

    import pandas as pd

__all__ = ["command"]


ROWS_AT_ONCE = 1024
LONGEST_LINE = 1 << 20
"""Bytes of a text; a file without line ends, such as /dev/zero, would fill the memory."""


@click.command(
    epilog=cli.examples(
        'retrain predict docstrings "Compute the eigenvalues of a matrix."',
        "retrain predict docstrings --file texts.txt",
        "retrain predict diabetes --file rows.csv",
        "cat texts.txt | retrain predict docstrings",
    )
)
@click.argument("dataset")
@click.argument("texts", nargs=-1)
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    help="A .txt file with one text per line, or a .csv file with named columns.",
)
@cli.one_line_errors
def command(dataset: str, texts: tuple[str, ...], file: Path | None) -> None:
    """Predict with a trained model.

    Reads TEXTS, a file, or standard input (one text per line), and uses the model in models/DATASET/.
    Prints a line of JSON per row, in order: `label` and `probabilities`, or `number`.
    """
    if texts and file is not None:
        raise click.UsageError("give texts or --file, not both")
    from retrain.data.cleaning import tidy_texts

    predictor = load(environment.workspace(), dataset)
    repairs = predictor.description.prepare.repairs
    for raw in batches(predictor, texts, file):
        kinds = predictor.encoder.kinds
        rows = {
            name: tidy_texts(raw[name], repairs) if kind == "text" else raw[name]
            for name, kind in zip(predictor.encoder.columns, kinds, strict=True)
        }
        for answer in predictor.task.answers(predictor.outputs(rows, ROWS_AT_ONCE)):
            click.echo(line_of(answer))


def line_of(answer: dict[str, Any]) -> str:
    """An answer as JSON; characters that a terminal would execute, or can't print, are escaped."""
    text = json.dumps(answer, ensure_ascii=False, allow_nan=False)
    return "".join(letter if letter.isprintable() else json.dumps(letter)[1:-1] for letter in text)


def load(workspace: Path, dataset: str) -> "Predictor":
    """The dataset's model, on as many threads as it was trained with, so that it computes the same bits.

    Raises:
        RetrainError: there is none, or it is damaged.
    """
    models = workspace / "models"
    if not re.fullmatch(schema.NAME, dataset) or not (models / dataset).is_dir():
        raise no_model(workspace, dataset)
    environment.pin_cpu(description.read(models / dataset).train.threads)
    from retrain.models import predictor

    return predictor.load(models / dataset)


def no_model(workspace: Path, dataset: str) -> RetrainError:
    """The error for a dataset without a model: its name is wrong, or it was never trained."""
    datasets = list(map(str, params.datasets(workspace))) if (workspace / params.FILE).exists() else []
    if dataset in datasets:
        return RetrainError(f"dataset '{dataset}'", "has no trained model yet", f"run: make repro DATASET={dataset}")
    trained = [folder.name for folder in (workspace / "models").glob("*") if folder.is_dir()]
    if not datasets and not trained:
        return RetrainError(str(workspace), "has no params.yaml and no models", "run this in the project's folder")
    where = params.FILE if datasets else str(workspace / "models")
    fact = f"has no {'dataset' if datasets else 'model'} '{dataset}'"
    return RetrainError(where, fact, schema.nearest(dataset, {*datasets, *trained}))


def batches(predictor: "Predictor", texts: tuple[str, ...], file: Path | None) -> Iterator[dict[str, list[Any]]]:
    """The rows to predict, as named columns, some at a time."""
    if file is not None and file.suffix.lower() == ".csv":
        rows = table(predictor, file)
        for start in range(0, len(rows), ROWS_AT_ONCE):
            yield {name: listed(rows[name][start : start + ROWS_AT_ONCE]) for name in predictor.encoder.columns}
        return
    if not texts and file is None and sys.stdin.isatty():
        click.echo("reading texts, one per line; Ctrl-D ends", err=True)
    lines = iter(
        map(checked, texts)
        if texts
        else (lines_of(file) if file is not None else decoded(sys.stdin.buffer, "standard input"))
    )
    while some := list(islice(lines, ROWS_AT_ONCE)):
        yield predictor.encoder.rows_of_texts(some)


def listed(column: "pd.Series[Any]") -> Any:
    """A column as a list; dates as an array."""
    return column.to_numpy() if column.dtype.kind == "M" else column.tolist()


def table(predictor: "Predictor", file: Path) -> "pd.DataFrame":
    """The model's input columns of a CSV file.

    Raises:
        RetrainError: a column is missing, or a value is not what the column holds.
    """
    from retrain.data.csv_rows import read_csv, select_columns, with_kinds

    columns, holds = predictor.encoder.columns, predictor.encoder.holds
    of_kind = {
        kind: [name for name, own in zip(columns, predictor.encoder.kinds, strict=True) if own == kind]
        for kind in ("number", "category", "date")
    }
    rows = select_columns(read_csv(file, str(file), None), columns, of_kind["number"], str(file))
    rows = with_kinds(rows, of_kind["category"], of_kind["date"], str(file))
    for name in rows.columns if holds != "anything" else ():
        empty = rows.index[rows[name].isna()]
        if len(empty):
            raise RetrainError(
                f"{file}, line {empty[0]}, column '{name}'", "is empty", "enter a number, or remove the row"
            )
    return rows


def checked(text: str) -> str:
    """A text of the command line; raises RetrainError if it is not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RetrainError("TEXTS", f"{text!r} is not UTF-8", "save it in a UTF-8 file and use --file") from None
    return text


def lines_of(file: Path) -> Iterator[str]:
    """The lines of a text file.

    Raises:
        RetrainError: it is neither .txt nor .csv, it can't be read, or it is not UTF-8.
    """
    if file.suffix.lower() != ".txt":
        raise RetrainError(
            str(file), "is neither a .txt nor a .csv file", "convert it, or give its texts on standard input"
        )
    with files.reading(file, "text file", "check the path"), file.open("rb") as stream:
        yield from decoded(stream, str(file))


def decoded(stream: IO[bytes], shown: str) -> Iterator[str]:
    """Lines of UTF-8 without their ends and without a byte order mark; raises RetrainError, which names the line."""
    for number, line in enumerate(iter(lambda: stream.readline(LONGEST_LINE + 1), b""), start=1):
        if len(line) > LONGEST_LINE:
            raise RetrainError(f"{shown}, line {number}", f"is longer than {LONGEST_LINE:,} bytes", "shorten it")
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise RetrainError(f"{shown}, line {number}", "is not UTF-8", "save it as UTF-8") from None
