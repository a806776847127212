"""`retrain predict`: reads raw rows and prints a line of JSON for each."""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from retrain import cli, environment, files, schema
from retrain.errors import RetrainError
from retrain.release import finding

import click

if TYPE_CHECKING:
    from retrain.data.table_files import Format
    from retrain.models.predictor import Predictor

    import pandas as pd

__all__ = ["command"]


ROWS_AT_ONCE = 1024
LONGEST_LINE = 1 << 20
"""Bytes of a text; a file without line ends, such as /dev/zero, would fill the memory."""
KINDS = {"numbers": "number", "categories": "category", "dates": "date", "texts": "text"}
"""The arguments of `Table.frame`, and the words of encoders for the same kinds."""


@click.command(
    epilog=cli.examples(
        'retrain predict docstrings "Compute the eigenvalues of a matrix."',
        "retrain predict docstrings --file texts.txt",
        "retrain predict diabetes --file rows.csv",
        "retrain predict diabetes --file rows.jsonl --skip",
        "cat texts.txt | retrain predict docstrings",
        "cat rows.csv | retrain predict diabetes --file -",
    )
)
@click.argument("dataset")
@click.argument("texts", nargs=-1)
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    help="A .txt file with one text per line, or a table with named columns (CSV, JSON lines, Parquet); - is a table on standard input.",
)
@click.option("--skip", is_flag=True, help="Answer the other rows of a table if some can't be read, and list those.")
@cli.one_line_errors
def command(dataset: str, texts: tuple[str, ...], file: Path | None, *, skip: bool) -> None:
    """Predict with a trained model.

    Reads TEXTS, a file, or standard input (one text per line, or a table for a model of columns), and uses the model in
    models/DATASET/. Prints a line of JSON per row, in order: `label` and `probabilities`, or `number` with the interval
    from `low` to `high`. Columns that the model does not use are ignored.
    """
    if texts and file is not None:
        raise click.UsageError("give texts or --file, not both")
    from retrain.data.cleaning import tidy_texts
    from retrain.models.model import BLOCK

    predictor = finding.load(environment.workspace(), dataset).predictor
    if file is None and not texts and predictor.encoder.holds != "text":
        file = Path("-")
    repairs = predictor.description.prepare.repairs
    for raw in batches(predictor, texts, file, skip=skip):
        kinds = predictor.encoder.kinds
        rows = {
            name: tidy_texts(raw[name], repairs) if kind == "text" else raw[name]
            for name, kind in zip(predictor.encoder.columns, kinds, strict=True)
        }
        for answer in predictor.answers(predictor.outputs(rows, BLOCK, full=True)):
            click.echo(line_of(answer))


def line_of(answer: dict[str, Any]) -> str:
    """An answer as JSON; characters that a terminal would execute, or can't print, are escaped."""
    text = json.dumps(answer, ensure_ascii=False, allow_nan=False)
    return "".join(letter if letter.isprintable() else json.dumps(letter)[1:-1] for letter in text)


def batches(
    predictor: "Predictor", texts: tuple[str, ...], file: Path | None, *, skip: bool
) -> Iterator[dict[str, list[Any]]]:
    """The rows to predict, as named columns, some at a time."""
    if file is not None and file.suffix.lower() != ".txt":
        with on_disk(file) as (path, shown):
            rows = table(predictor, path, shown, skip=skip)
        if len(rows):  # as a whole, so that an error comes before the first answer
            yield {name: listed(rows[name]) for name in predictor.encoder.columns}
        # After the answers: where there are none, the error is the only line.
        warn_of_strange_numbers(predictor, rows, shown)
        warn_of_strange_values(predictor, rows, shown)
        return
    if not texts and file is None and sys.stdin.isatty():
        click.echo("reading texts, one per line; Ctrl-D ends", err=True)
    lines = iter(
        map(checked, texts)
        if texts
        else (list(lines_of(file)) if file is not None else decoded(sys.stdin.buffer, "standard input"))
    )
    while some := list(islice(lines, ROWS_AT_ONCE)):
        yield predictor.encoder.rows_of_texts(some)


@contextmanager
def on_disk(file: Path) -> Iterator[tuple[Path, str]]:
    """A file and how errors name it; standard input is copied into a file."""
    if str(file) != "-":
        yield file, str(file)
        return
    if sys.stdin.isatty():
        click.echo("reading a table with a header; Ctrl-D ends", err=True)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "rows")
        with copy.open("wb") as target:
            shutil.copyfileobj(sys.stdin.buffer, target)
        yield copy, "standard input"


def listed(column: "pd.Series[Any]") -> Any:
    """A column as a list; dates as an array."""
    return column.to_numpy() if column.dtype.kind == "M" else column.tolist()


def table(predictor: "Predictor", path: Path, shown: str, *, skip: bool) -> "pd.DataFrame":
    """The model's input columns of a file, read as the training file was.

    Args:
        predictor: the model.
        path: the file.
        shown: how errors name it.
        skip: leave out rows that can't be read, and list them, instead of an error.

    Raises:
        RetrainError: a column is missing, or a value is not what the column holds.
    """
    from retrain.data.table_files import Expected, Format, lines_before_header, open_table

    names = predictor.encoder.columns
    kinds = dict(zip(names, predictor.encoder.kinds, strict=True))
    prepare = predictor.description.prepare.model_dump()
    written = schema.check(prepare.get("format", {}), Format, f"the model of {predictor.description.dataset}")
    # The separator of a new file is found out, because another program may have written it.
    given = written.model_copy(update={"separator": None, "quote": "" if written.quote == "" else None})
    skipped = lines_before_header(path, shown, given, names[0]) if prepare.get("header", True) else 0
    given = given.model_copy(update={"skip": skipped})
    without_header = None if prepare.get("header", True) else header_of(path, shown, prepare.get("columns", ()), given)
    with open_table(path, shown, given, Expected(without_header, names)) as opened:
        by_kind = {kind: [name for name in names if kinds[name] == own] for kind, own in KINDS.items()}
        incomplete = () if predictor.encoder.holds == "anything" else by_kind["numbers"]
        bad = opened.unreadable(by_kind["numbers"], by_kind["dates"], incomplete)
        if bad and not skip:
            raise bad[min(bad)]
        for row in sorted(bad):
            click.echo(f"skipped: {bad[row]}", err=True)
        rows = opened.frame(**by_kind, without=list(bad))
    return rows.assign(**{name: rows[name].astype("category") for name in by_kind["categories"]})


def header_of(path: Path, shown: str, columns: Sequence[str], given: "Format") -> Sequence[str] | None:
    """The columns of a file that has no header, as its training file had none; None if its first line names them."""
    from retrain.data.table_files import open_table

    with open_table(path, shown, given) as opened:
        return None if {*opened.names} & {*columns} or len(opened.names) != len(columns) else columns


def warn_of_strange_numbers(predictor: "Predictor", rows: "pd.DataFrame", shown: str) -> None:
    """Warn of columns whose numbers are far from those of the training, as in another unit."""
    for name, (low, high) in predictor.encoder.ranges.items():
        far = rows[name][(rows[name] < low) | (rows[name] > high)]
        if len(far):
            usual = f"the model knows numbers from about {low:.4g} to {high:.4g}"
            cli.warn(
                f"{shown}, column '{name}': {len(far):,} of {len(rows):,} rows, such as {far.iloc[0]:g}, are far "
                f"outside what the model was trained on ({usual}); check the unit"
            )


def warn_of_strange_values(predictor: "Predictor", rows: "pd.DataFrame", shown: str) -> None:
    """Warn of categories that the model does not know, if most rows have one: as in another encoding or spelling."""
    for name, known in predictor.encoder.known.items():
        strange = rows[name].dropna()[~rows[name].dropna().isin(known)]
        if len(strange) > len(rows) / 2:
            cli.warn(
                f"{shown}, column '{name}': the model does not know the values of {len(strange):,} of {len(rows):,} rows, "
                f"such as {schema.shown(strange.iloc[0])}; check their spelling"
            )


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
        RetrainError: it can't be read, or it is not UTF-8.
    """
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
