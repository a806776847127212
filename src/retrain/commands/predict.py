"""`retrain predict`: reads raw rows and prints a line of JSON for each."""

import shutil
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from io import TextIOWrapper
from itertools import count, islice, repeat
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

from retrain import cli, environment, files, schema
from retrain.errors import RetrainError
from retrain.models.answer_files import Write, echo, with_kept, writing
from retrain.models.unfamiliar import Unfamiliar
from retrain.release import finding

import click

if TYPE_CHECKING:
    from retrain.data.file_format import Format
    from retrain.models.model import Model

    import pandas as pd

__all__ = ["command"]


Parts: TypeAlias = "Callable[[], Iterator[pd.DataFrame]]"
"""Gives the rows of a table, some at a time; it can be asked again."""
Kept: TypeAlias = "Callable[[], Iterator[dict[str, list[Any]]]]"
"""Gives the columns to keep of the same rows."""
ROWS_AT_ONCE = 1024
LONGEST_LINE = 1 << 20
"""Bytes of a text; a file without line ends, such as /dev/zero, would fill the memory."""
KINDS = {"numbers": "number", "categories": "category", "dates": "date", "texts": "text"}
"""The arguments of `Table.frame`, and the words of encoders for the same kinds."""


@dataclass(frozen=True)
class Rows:
    """A file of rows to answer."""

    path: Path
    shown: str
    """How errors name it."""
    written: "Format"


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
            lines = map(checked, texts) if texts else of_input(options["encoding"])
        else:
            rows = rows_in(model, *stack.enter_context(on_disk(file)), options["encoding"])
            if is_table(rows, model):
                answer_table(model, rows, write, keep, skip=options["skip"])
                return
            require_no_columns(keep)
            for _ in lines_of(rows):  # so that an error comes before the first answer
                pass
            lines = lines_of(rows)
        unfamiliar = Unfamiliar(model.encoder)
        for number, some in enumerate(iter(lambda: list(islice(lines, ROWS_AT_ONCE)), [])):
            if number == 0 and not texts and looks_like_header(some[0], model):
                fact = "looks like a header, but is answered like a text; a table needs --file rows.csv, or --file -"
                cli.warn(f"{file or 'standard input'}, line 1: {fact}")
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


def rows_in(model: "Model", path: Path, shown: str, encoding: str | None) -> Rows:
    """A file of rows, which is written as the training file was, but perhaps in another encoding."""
    from retrain.data.dialect import guessed_encoding
    from retrain.data.text_files import encoding_of, is_wide, reading

    written = model.written.model_copy(update={"encoding": encoding or model.written.encoding})
    if encoding is not None or not path.is_file():  # a missing one is the error of what reads it
        return Rows(path, shown, written)
    with reading(path, shown):
        if encoding_of(path, written.encoding or "utf-8") != "utf-8":
            return Rows(path, shown, written)
    found, notes, doubts = guessed_encoding(path, shown, written.model_copy(update={"encoding": None}))
    if found.encoding is not None and not is_wide(found.encoding):
        cli.warn(f"{shown}: {', '.join(doubts or notes)}")
    return Rows(path, shown, found)


def is_table(rows: Rows, model: "Model") -> bool:
    """Whether a file is a table, and not one text per line: a .txt file is one if its first line is the header of one."""
    if rows.path.suffix.lower() != ".txt" or model.encoder.holds != "text":
        return True
    return is_header(next(lines_of(rows), ""), model)


def looks_like_header(line: str, model: "Model") -> bool:
    """Whether a text is the name of a column of the model, or the header of a table."""
    return schema.column_name(line) in model.encoder.columns or is_header(line, model)


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


def answer_table(model: "Model", source: Rows, write: Write, keep: Sequence[str], *, skip: bool) -> None:
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

    with table(model, source, keep, skip=skip) as (total, left_out, parts, kept, unfamiliar):
        if model.encoder.holds == "numbers":
            check_numbers(model, parts)
        numbers = (row + 1 for row in range(total) if row not in left_out)
        with tqdm(total=total - len(left_out), unit=" rows", unit_scale=True, disable=None, leave=False) as bar:
            for rows, columns in zip(parts(), kept(), strict=False):
                found = answers(model, {name: listed(rows[name]) for name in model.encoder.columns})
                if skip:
                    found = [{"row": row} | answer for answer, row in zip(found, numbers, strict=False)]
                write(with_kept(found, columns))
                unfamiliar.add(rows)
                bar.update(len(rows))
    for warning in unfamiliar.warnings():  # after the answers: where there are none, the error is the only line
        cli.warn(f"{source.shown}, {warning}")


def check_numbers(model: "Model", parts: Parts) -> None:
    """Raise RetrainError, which names the row, if a number is too far from those of the training."""
    import pandas as pd

    for place, rows in enumerate(parts()):
        try:
            model.encoder.encode(rows)
        except RetrainError:
            model.encoder.encode(pd.concat(islice(parts(), place + 1)))  # names the row as the file counts it
            raise


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


def listed(column: "pd.Series[Any]") -> Any:
    """A column as a list; dates as an array."""
    return column.to_numpy() if column.dtype.kind == "M" else column.tolist()


@contextmanager
def table(
    model: "Model", source: Rows, keep: Sequence[str], *, skip: bool
) -> "Iterator[tuple[int, Collection[int], Parts, Kept, Unfamiliar]]":
    """The number of rows of a file, those to skip, the model's input columns, some rows at a time, read as the training file was, the columns to keep, and what only the whole file shows of strange values.

    For the arguments and errors see `answer_table`.
    """
    from retrain.data.dialect import swallowed_rows
    from retrain.data.repairs import spellings
    from retrain.data.table_files import Expected, open_table
    from retrain.data.text_files import lines_before_header

    names = model.encoder.columns
    kinds = dict(zip(names, model.encoder.kinds, strict=True))
    prepare = model.description.prepare.model_dump()
    path, shown, written = source.path, source.shown, source.written
    # Another program may have written a new file: its separator is found out, and a missing value of -999 may be -999.0.
    given = written.model_copy(
        update={
            "separator": None,
            "quote": "" if written.quote == "" else None,
            "missing": spellings(written.missing),
            "missing_in": {name: spellings(markers) for name, markers in written.missing_in.items()},
        }
    )
    skipped = lines_before_header(path, shown, given, names[0]) if prepare.get("header", True) else 0
    given = given.model_copy(update={"skip": skipped or 0})
    without_header = None if prepare.get("header", True) else header_of(path, shown, prepare.get("columns", ()), given)
    with open_table(path, shown, given, Expected(without_header, names, written.separator), on_disk=True) as opened:
        opened.require(names, of_model=True)
        opened.require(keep)
        types = {name: opened.plain_type(name) for name in keep}
        by_kind = {kind: [name for name in names if kinds[name] == own] for kind, own in KINDS.items()}
        incomplete = () if model.encoder.holds == "anything" else by_kind["numbers"]
        bad = opened.unreadable(by_kind["numbers"], by_kind["dates"], incomplete)
        if bad and not skip:
            raise bad[min(bad)]
        for row in sorted(bad):
            click.echo(f"skipped: {bad[row]}", err=True)
        frames = partial(opened.frames, ROWS_AT_ONCE, **by_kind, without=list(bad))
        bare = {name: found for name in given.units_in if name in names and (found := opened.without_unit(name))[0]}
        zones = {name: opened.offsets(name) for name in names if name in model.offsets}
        unfamiliar = Unfamiliar(
            model.encoder, units=written.units_in, bare=bare, offsets=model.offsets, zones=zones, gaps=model.gaps
        )

        def kept() -> "Iterator[dict[str, list[Any]]]":
            if not keep:
                return repeat({})
            others = opened.frames(ROWS_AT_ONCE, list(bad), categories=(), dates=(), texts=keep, numbers=())
            return ({name: [*map(own, rows[name])] for name, own in types.items()} for rows in others)

        yield len(opened), bad, lambda: map(partial(as_known, known=model.encoder.known), frames()), kept, unfamiliar
        if (swallowed := swallowed_rows(opened)) is not None:
            cli.warn(str(swallowed))


def as_known(rows: "pd.DataFrame", known: Mapping[str, frozenset[str]]) -> "pd.DataFrame":
    """Rows with categories as the training file spelt them."""
    from retrain.data.raw_rows import spelt

    own = {name: rows[name].map(partial(spelt, known=values), na_action="ignore") for name, values in known.items()}
    return rows.assign(**own)


def header_of(path: Path, shown: str, columns: Sequence[str], given: "Format") -> Sequence[str] | None:
    """The columns of a file that has no header, as its training file had none; None if its first line names them."""
    from retrain.data.table_files import open_table

    with open_table(path, shown, given) as opened:
        has_header = bool({*opened.names} & {*map(schema.column_name, columns)})
        return None if has_header or len(opened.names) != len(columns) else columns


def checked(text: str) -> str:
    """A text of the command line; raises RetrainError if it is not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RetrainError("TEXTS", f"{text!r} is not UTF-8", "save it in a UTF-8 file and use --file") from None
    return text


def lines_of(rows: Rows) -> Iterator[str]:
    """The lines of a text file.

    Raises:
        RetrainError: it can't be read, or it is not in its encoding.
    """
    from retrain.data.text_files import encoding_of

    path = rows.path
    with files.reading(path, "text file", "check the path"), path.open("rb") as stream:
        yield from decoded(stream, rows.shown, encoding_of(path, rows.written.encoding or "utf-8"))


def decoded(stream: IO[bytes], shown: str, encoding: str) -> Iterator[str]:
    """Lines without their ends and without a byte order mark; raises RetrainError, which names the line."""
    from retrain.data.text_files import decoder_of, is_wide

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
