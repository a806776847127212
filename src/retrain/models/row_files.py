"""Files of rows to answer: tables that are read as the model's training file was."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain import schema
from retrain.data.raw_rows import spelt
from retrain.data.reading.file_format import Format
from retrain.errors import RetrainError
from retrain.models.unfamiliar import Unfamiliar

if TYPE_CHECKING:
    from retrain.data.reading.sql_table import Table
    from retrain.models.model import Model

    import pandas as pd

__all__ = ["RowFile", "open_rows", "row_file"]


ROWS_AT_ONCE = 1024
KINDS = {"numbers": "number", "categories": "category", "dates": "date", "texts": "text"}
"""The arguments of `Table.frame`, and the words of encoders for the same kinds."""


@dataclass(frozen=True)
class RowFile:
    """A file of rows to answer."""

    path: Path
    shown: str
    """How errors name it."""
    written: Format


@dataclass(frozen=True)
class OpenRows:
    """An open table of rows to answer."""

    model: "Model"
    table: "Table"
    written: Format
    """How the table spells its values."""
    keep: Sequence[str]
    """Columns whose values come before each answer."""
    unreadable: dict[int, RetrainError]
    """The rows that can't be read, by their place from 0, and why. They are left out."""

    def __len__(self) -> int:
        """The number of rows to answer."""
        return len(self.table) - len(self.unreadable)

    def numbers(self) -> Iterator[int]:
        """The numbers of these rows in the table, from 1."""
        return (row + 1 for row in range(len(self.table)) if row not in self.unreadable)

    def inputs(self) -> "Iterator[pd.DataFrame]":
        """The columns of the model, some rows at a time, with categories as the training file spelt them."""
        for rows in self.table.frames(ROWS_AT_ONCE, **by_kind(self.model), without=list(self.unreadable)):
            yield rows.assign(
                **{
                    name: rows[name].map(partial(spelt, known=values), na_action="ignore")
                    for name, values in self.model.encoder.known.items()
                }
            )

    def kept(self) -> Iterator[dict[str, list[Any]]]:
        """The columns to keep, of the same rows."""
        if not self.keep:
            return repeat({})
        types = {name: self.table.plain_type(name) for name in self.keep}
        others = self.table.frames(
            ROWS_AT_ONCE, list(self.unreadable), categories=(), dates=(), texts=self.keep, numbers=()
        )
        return ({name: [*map(own, rows[name])] for name, own in types.items()} for rows in others)

    def check_numbers(self) -> None:
        """Raise RetrainError, which names the row, if the model can't encode a number because it is too far from those of the training."""
        encoder = self.model.encoder
        for place, rows in enumerate(self.inputs() if encoder.holds == "numbers" else ()):
            try:
                encoder.encode(rows)
            except RetrainError:
                import pandas as pd

                encoder.encode(pd.concat(islice(self.inputs(), place + 1)))  # names the row as the file counts it
                raise

    def unfamiliar(self) -> Unfamiliar:
        """What only the whole file shows of values that the model does not know; `add` counts the others."""
        model, table = self.model, self.table
        names = [name for name in self.written.units_in if name in model.encoder.columns]
        bare = {name: found for name in names if (found := table.without_unit(name, self.unreadable))[0]}
        zones = {name: table.offsets(name, self.unreadable) for name in model.encoder.columns if name in model.offsets}
        return Unfamiliar(
            model.encoder, units=self.written.units_in, bare=bare, offsets=model.offsets, zones=zones, gaps=model.gaps
        )

    def doubt(self) -> str:
        """A warning about a quote that may have swallowed rows; empty if there is none."""
        from retrain.data.inspection.dialect import swallowed_rows

        return str(swallowed_rows(self.table) or "")


def by_kind(model: "Model") -> dict[str, list[str]]:
    """The columns of a model, as arguments of `Table.frames`."""
    pairs = list(zip(model.encoder.columns, model.encoder.kinds, strict=True))
    return {kind: [name for name, its in pairs if its == own] for kind, own in KINDS.items()}


def row_file(model: "Model", path: Path, shown: str, encoding: str | None) -> tuple[RowFile, str]:
    """A file that is written as the training file was, but perhaps in another encoding; and a warning if that is guessed."""
    from retrain.data.inspection.dialect import guessed_encoding
    from retrain.data.reading.encodings import encoding_of, is_wide
    from retrain.data.reading.text_files import reading

    written = model.written.model_copy(update={"encoding": encoding or model.written.encoding})
    if encoding is not None or not path.is_file():  # a missing one is the error of what reads it
        return RowFile(path, shown, written), ""
    with reading(path, shown):
        if encoding_of(path, written.encoding or "utf-8") != "utf-8":
            return RowFile(path, shown, written), ""
    found, notes, doubts = guessed_encoding(path, shown, written.model_copy(update={"encoding": None}))
    is_certain = found.encoding is None or is_wide(found.encoding)
    return RowFile(path, shown, found), "" if is_certain else f"{shown}: {', '.join(doubts or notes)}"


@contextmanager
def open_rows(source: RowFile, model: "Model", keep: Sequence[str]) -> Iterator[OpenRows]:
    """Open a table of rows.

    Args:
        source: the file.
        model: the model.
        keep: further columns to read.

    Raises:
        RetrainError: it can't be read, or a column is missing.
    """
    from retrain.data.reading.file_format import Expected
    from retrain.data.reading.table_files import open_table
    from retrain.data.reading.text_files import lines_before_header
    from retrain.data.repairs import spellings

    names, prepare = model.encoder.columns, model.description.prepare.model_dump()
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
    has_header = prepare.get("header", True)
    skipped = lines_before_header(path, shown, given, names[0]) if has_header else 0
    given = given.model_copy(update={"skip": skipped or 0})
    all_names = None if has_header else names_of(path, shown, prepare.get("columns", ()), given)
    with open_table(path, shown, given, Expected(all_names, names, written.separator), on_disk=True) as table:
        table.require(names, of_model=True)
        table.require(keep)
        columns = by_kind(model)
        complete = () if model.encoder.holds == "anything" else columns["numbers"]
        unreadable = table.unreadable(columns["numbers"], columns["dates"], complete)
        yield OpenRows(model, table, given, keep, unreadable)


def names_of(path: Path, shown: str, columns: Sequence[str], given: Format) -> Sequence[str] | None:
    """The columns of a file that has no header, as its training file had none; None if its first line names them."""
    from retrain.data.reading.table_files import open_table

    with open_table(path, shown, given) as opened:
        has_header = bool({*opened.names} & {*map(schema.column_name, columns)})
        return None if has_header or len(opened.names) != len(columns) else columns
