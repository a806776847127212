"""Answers as lines of JSON, and as CSV and Parquet files."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any, TypeAlias

from retrain import files
from retrain.data.report_csv import escape_cell
from retrain.errors import RetrainError

import click

__all__ = ["Write", "echo", "with_kept", "writing"]


Write: TypeAlias = "Callable[[list[dict[str, Any]]], None]"
"""Takes answers, some at a time."""


def echo(found: list[dict[str, Any]]) -> None:
    """Print answers."""
    click.echo("".join(f"{line_of(answer)}\n" for answer in found), nl=False)


def line_of(answer: dict[str, Any]) -> str:
    """An answer as JSON; characters that a terminal would execute, or can't print, are escaped."""
    text = json.dumps(answer, ensure_ascii=False, allow_nan=False)
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else json.dumps(letter)[1:-1] for letter in text)


@contextmanager
def writing(output: Path, kept: int) -> Iterator[Write]:
    """Takes answers for a file, which appears at the end; raises RetrainError if its ending is unknown.

    Args:
        output: the file.
        kept: how many values at the start of each answer are from the rows, and stay as they are.
    """
    formats: dict[str, Callable[[Path], AbstractContextManager[Write]]]
    formats = {".jsonl": json_lines, ".csv": partial(csv_rows, kept=kept), ".parquet": parquet_rows}
    if output.suffix.lower() not in formats:
        raise RetrainError(str(output), "has an unknown ending", f"use one of {', '.join(formats)}")
    target = output if files.is_cached(output) else output.resolve()  # a link stays, and its file is replaced
    with files.replacing(target) as (draft,), files.writing(draft), formats[output.suffix.lower()](draft) as write:
        yield write


@contextmanager
def json_lines(path: Path) -> Iterator[Write]:
    """Writes a line of JSON per answer."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        yield lambda found: file.writelines(f"{line_of(answer)}\n" for answer in found)


@contextmanager
def csv_rows(path: Path, kept: int) -> Iterator[Write]:
    """Writes a row per answer, with a column for the probability of each class; see `writing`."""
    with path.open("w", encoding="utf-8", newline="") as file:
        # QUOTE_MINIMAL does not quote a \r, which ends a line.
        writer, quoting = (
            csv.writer(file, lineterminator="\n", quoting=own) for own in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL)
        )

        def write_row(cells: list[Any]) -> None:
            own = cells[:kept] + [escape_cell(cell) if isinstance(cell, str) else cell for cell in cells[kept:]]
            (quoting if any(isinstance(cell, str) and "\r" in cell for cell in own) else writer).writerow(own)

        def write(found: list[dict[str, Any]]) -> None:
            rows = list(map(flat, found))
            if rows and not file.tell():
                write_row([*rows[0]])
            for row in rows:
                write_row([*row.values()])

        yield write


@contextmanager
def parquet_rows(path: Path) -> Iterator[Write]:
    """Writes a row per answer, with a column for the probability of each class."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with ExitStack() as stack:
        writers: list[Any] = []

        def write(found: list[dict[str, Any]]) -> None:
            if found:
                rows = pa.Table.from_pylist(list(map(flat, found)))
                if not writers:
                    writers.append(stack.enter_context(pq.ParquetWriter(path, rows.schema)))
                writers[0].write_table(rows)

        yield write
        if not writers:
            pq.write_table(pa.table({}), path)


def with_kept(found: list[dict[str, Any]], columns: Mapping[str, Iterable[Any]]) -> list[dict[str, Any]]:
    """Answers with the values of some columns of their rows before them; raises RetrainError if an answer has such a name itself."""
    if shared := [name for name in columns for answer in found[:1] if name in answer | flat(answer)]:
        raise RetrainError("--keep", f"names '{shared[0]}', which each answer has, too", "rename it in the file")
    rows = zip(*columns.values(), strict=True) if columns else repeat(())
    return [dict(zip(columns, values, strict=True)) | answer for values, answer in zip(rows, found, strict=False)]


def flat(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer with a column for the probability of each class."""
    probabilities = answer.get("probabilities", {})
    own = {name: value for name, value in answer.items() if name != "probabilities"}
    return own | {f"probability_{name}": value for name, value in probabilities.items()}
