"""`prepared.json`: what the prepare stage did, and the digests of the tables that it wrote."""

from pathlib import Path
from typing import TYPE_CHECKING

from retrain import files, schema
from retrain.data.encoding_file import PrepareParameters
from retrain.errors import RetrainError
from retrain.schema import Section

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FILE", "read_prepared"]


FILE = "prepared.json"


class Prepared(Section):
    """The content of `prepared.json`."""

    counts: dict[str, int]
    prepare: PrepareParameters
    tables: dict[str, str]
    """The SHA-256 of each table, by its file name."""


def read_prepared(folder: Path) -> "tuple[pd.DataFrame, pd.DataFrame | None, PrepareParameters]":
    """The output of the prepare stage: its rows, the official test rows if there are any, and its parameters.

    Raises:
        RetrainError: a file is missing or has changed since the prepare stage wrote it.
    """
    from retrain.data import tables

    hint = f"run: dvc repro prepare@{folder.parent.name}"
    prepared = schema.check(files.read_json(folder / FILE, hint), Prepared, str(folder / FILE), hint)
    if {name: digest for name, digest in files.digests_in(folder).items() if name != FILE} != prepared.tables:
        raise RetrainError(str(folder), f"does not match its {FILE}", hint)
    rows = tables.read_parquet(folder / "rows.parquet", hint)
    test = tables.read_parquet(folder / "test.parquet", hint) if "test.parquet" in prepared.tables else None
    return rows, test, prepared.prepare
