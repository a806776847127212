"""`retrain predict`: reads raw rows and prints a line of JSON for each."""

import json
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from io import TextIOWrapper
from itertools import count, islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from retrain import cli, environment, files, schema
from retrain.errors import RetrainError
from retrain.models.answer_files import Write, echo, with_kept, writing
from retrain.models.row_files import RowFile, open_rows, row_file
from retrain.models.unfamiliar import Unfamiliar
from retrain.release import finding

import click

if TYPE_CHECKING:
    from retrain.models.model import Model

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
        "retrain predict diabetes --file rows.jsonl --skip",
        "retrain predict diabetes --file rows.csv --keep patient --output answers.csv",
        "cat texts.txt | retrain predict docstrings",
        "cat rows.csv | retrain predict diabetes --file -",
        "retrain predict models:/reviews@champion --file rows.parquet --output answers.csv",
    )
)
@click.argument("name", metavar="MODEL")
@click.argument("texts", nargs=-1)
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    help="A .txt file with one text per line, or a table with named columns (CSV, JSON lines, Parquet); - is a table on standard input.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Write the answers into a file instead: .jsonl, .csv or .parquet. It appears when it is complete.",
)
@click.option(
    "--keep",
    multiple=True,
    metavar="COLUMN",
    help="A column of the table whose value comes first in each answer, such as an ID. Repeatable.",
)
@click.option("--encoding", help="The encoding of the rows, such as cp1252, if they are not UTF-8.")
@click.option(
    "--skip",
    is_flag=True,
    help="Answer the other rows of a table if some can't be read, and list those. Each answer has the number of its `row`, from 1.",
)
@cli.one_line_errors
def command(name: str, texts: tuple[str, ...], file: Path | None, output: Path | None, **options: Any) -> None:
    """Predict with a trained model.

    MODEL is a dataset, the folder of a model, or a registered model such as models:/reviews@champion. Reads TEXTS, a file,
    or standard input (one text per line, or a table for a model of columns). Gives an answer per row, in order: `label` and
    `probabilities`, or `number` with the interval from `low` to `high`. Columns that the model does not use are ignored.
    """
    if texts and file is not None:
        raise click.UsageError("give texts or --file, not both")
    if file is not None and output is not None and file.resolve() == output.resolve():
        raise RetrainError(str(output), "holds the rows", "give --output another name")
    keep = tuple(dict.fromkeys(map(schema.column_name, options["keep"])))
    model = finding.load(environment.workspace(), name)
    if file is None and not texts and model.encoder.holds != "text":
        file = Path("-")
    with ExitStack() as stack:
        write = stack.enter_context(writing(output, len(keep))) if output else echo
        if file is None:
            require_no_columns(keep)
            lines = given(texts) if texts else of_input(options["encoding"])
        else:
            rows, doubt = row_file(model, *stack.enter_context(on_disk(file)), options["encoding"])
            if doubt:
                cli.warn(doubt)
            if is_table(rows, model):
                answer_table(model, rows, write, keep, skip=options["skip"])
                return
            require_no_columns(keep)
            for _ in lines_of(rows):  # so that an error comes before the first answer
                pass
            lines = lines_of(rows)
        answer_texts(model, lines, write, "" if texts else str(file or "standard input"))


def answer_texts(model: "Model", lines: Iterator[str], write: Write, source: str) -> None:
    """Answer texts, some at a time.

    Args:
        model: the model.
        lines: the texts.
        write: takes the answers.
        source: where they come from; empty for the command line.
    """
    unfamiliar = Unfamiliar(model.encoder)
    for number, some in enumerate(iter(lambda: list(islice(lines, ROWS_AT_ONCE)), [])):
        if number == 0 and source and looks_like_header(some[0], model):
            fact = "looks like a header, but is answered like a text; a table needs --file rows.csv, or --file -"
            cli.warn(f"{source}, line 1: {fact}")
        if number == 0 and is_object(some[0], model):
            fact = "looks like a row in JSON, but is answered like a text; rows need --file rows.jsonl, or --file -"
            cli.warn(f"{f'{source}, line 1' if source else 'the first text'}: {fact}")
        columns = model.encoder.rows_of_texts(some)
        write(answers(model, columns))
        unfamiliar.add(columns)
    for warning in unfamiliar.warnings():
        cli.warn(warning)


def require_no_columns(keep: Sequence[str]) -> None:
    """Raise RetrainError if there are columns to keep, but the rows are texts."""
    if keep:
        hint = "give a table: --file rows.csv, or --file - for standard input"
        raise RetrainError("--keep", f"names the column '{keep[0]}', but the rows are texts without columns", hint)


def is_table(rows: RowFile, model: "Model") -> bool:
    """Whether a file is a table, and not one text per line: a .txt file is one if its first line is the header of one."""
    if rows.path.suffix.lower() != ".txt" or model.encoder.holds != "text":
        return True
    return is_header(next(lines_of(rows), ""), model)


def looks_like_header(line: str, model: "Model") -> bool:
    """Whether a text is the name of a column of the model, or the header of a table."""
    return schema.column_name(line) in model.encoder.columns or is_header(line, model)


def is_object(line: str, model: "Model") -> bool:
    """Whether a text is a row in JSON with a column of the model."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and not {*map(schema.column_name, row)}.isdisjoint(model.encoder.columns)


def is_header(line: str, model: "Model") -> bool:
    """Whether a line is the header of a table with all columns of a model, and others."""
    signs = [sign for sign in (",", ";", "\t", "|") if sign in line]
    own, line = {*map(schema.column_name, model.encoder.columns)}, schema.column_name(line)
    return any(own <= {*map(str.strip, line.split(sign))} for sign in signs)


def answers(model: "Model", raw: "pd.DataFrame | Mapping[str, Any]") -> list[dict[str, Any]]:
    """The answers to some rows, whose columns are checked already."""
    from retrain.data.repairs import tidy_texts

    kinds = dict(zip(model.encoder.columns, model.encoder.kinds, strict=True))
    return model.answers(
        {name: tidy_texts(raw[name], model.repairs) if kind == "text" else raw[name] for name, kind in kinds.items()}
    )


def answer_table(model: "Model", source: RowFile, write: Write, keep: Sequence[str], *, skip: bool) -> None:
    """Answer all rows of a table, some at a time; what is wrong with them comes before the first answer.

    Args:
        model: the model.
        source: the file.
        write: takes the answers.
        keep: columns of the file whose values come before each answer.
        skip: leave out rows that can't be read, and list them, instead of an error; each answer tells the number of its row.

    Raises:
        RetrainError: a column is missing, or a value is not what the column holds.
    """
    from tqdm import tqdm

    with open_rows(source, model, keep) as rows:
        if rows.unreadable and not skip:
            raise rows.unreadable[min(rows.unreadable)]
        for row in sorted(rows.unreadable):
            click.echo(f"skipped: {rows.unreadable[row]}", err=True)
        rows.check_numbers()
        unfamiliar = rows.unfamiliar()
        with tqdm(total=len(rows), unit=" rows", unit_scale=True, disable=None, leave=False) as bar:
            numbers = rows.numbers()
            for inputs, kept in zip(rows.inputs(), rows.kept(), strict=False):
                found = answers(model, {name: listed(inputs[name]) for name in model.encoder.columns})
                if skip:
                    found = [{"row": row} | answer for answer, row in zip(found, numbers, strict=False)]
                write(with_kept(found, kept))
                unfamiliar.add(inputs)
                bar.update(len(inputs))
        if doubt := rows.doubt():
            cli.warn(doubt)
    for warning in unfamiliar.warnings():  # after the answers: where there are none, the error is the only line
        cli.warn(f"{source.shown}, {warning}")


def listed(column: "pd.Series[Any]") -> Any:
    """A column as a list; dates as an array."""
    return column.to_numpy() if column.dtype.kind == "M" else column.tolist()


def given(texts: Sequence[str]) -> Iterator[str]:
    """The texts of the command line; warns of names of files."""
    for text in texts:
        if os.path.isfile(text):  # noqa: PTH113 (Path.is_file raises for a long text)
            hint = f"to answer its rows: {shlex.join(['--file', text])}"
            cli.warn(f"{text} is a file, but its name is taken as a text; {hint}")
        yield checked(text)


def of_input(encoding: str | None) -> Iterator[str]:
    """The lines of standard input."""
    if sys.stdin.isatty():
        click.echo("reading texts, one per line; Ctrl-D ends", err=True)
    return decoded(sys.stdin.buffer, "standard input", encoding or "utf-8")


@contextmanager
def on_disk(file: Path) -> Iterator[tuple[Path, str]]:
    """A file and how errors name it; standard input is copied into a file."""
    if str(file) != "-":
        pipe = "COMMAND | retrain predict MODEL --file -"
        files.require_regular_file(file, f"give the path of a table, or pipe the rows: {pipe}")
        yield file, str(file)
        return
    if sys.stdin.isatty():
        click.echo("reading a table with a header; Ctrl-D ends", err=True)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "rows")
        with copy.open("wb") as target:
            shutil.copyfileobj(sys.stdin.buffer, target)
        yield copy, "standard input"


def checked(text: str) -> str:
    """A text of the command line; raises RetrainError if it is not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RetrainError("TEXTS", f"{text!r} is not UTF-8", "save it in a UTF-8 file and use --file") from None
    return text


def lines_of(rows: RowFile) -> Iterator[str]:
    """The lines of a text file.

    Raises:
        RetrainError: it can't be read, or it is not in its encoding.
    """
    from retrain.data.reading.encodings import encoding_of

    path = rows.path
    with files.reading(path, "text file", "check the path"), path.open("rb") as stream:
        yield from decoded(stream, rows.shown, encoding_of(path, rows.written.encoding or "utf-8"))


def decoded(stream: IO[bytes], shown: str, encoding: str) -> Iterator[str]:
    """Lines without their ends and without a byte order mark; raises RetrainError, which names the line."""
    from retrain.data.reading.encodings import decoder_of, is_wide

    decoder_of(encoding, shown)
    with ExitStack() as stack:
        lines: IO[Any] = stream
        if is_wide(encoding):
            lines = TextIOWrapper(stream, encoding, newline="\n")
            stack.callback(lines.detach)  # who opened the stream closes it
        for number in count(1):
            try:
                line = lines.readline(LONGEST_LINE + 1)
                text = line if isinstance(line, str) else line.decode("utf-8" if encoding == "utf-8-sig" else encoding)
            except UnicodeDecodeError:
                hint = "save it as UTF-8, or name its encoding, as in --encoding cp1252"
                raise RetrainError(f"{shown}, line {number}", f"is not {encoding.upper()}", hint) from None
            if len(line) > LONGEST_LINE:
                raise RetrainError(f"{shown}, line {number}", f"is longer than {LONGEST_LINE:,} bytes", "shorten it")
            if not line:
                return
            yield (text.removeprefix("\ufeff") if number == 1 else text).rstrip("\r\n")
