"""`prepared.json`: what the prepare stage did, and the digests of the tables that it wrote."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain import files, schema
from retrain.data.encoding_file import Gaps, Offsets, PrepareParameters
from retrain.errors import RetrainError
from retrain.schema import Section

from pydantic import Field

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
    offsets: Offsets = Field(default_factory=dict)
    gaps: Gaps = Field(default_factory=dict)


@dataclass(frozen=True)
class PreparedRows:
    """The tables of the prepare stage."""

    rows: "pd.DataFrame"
    test: "pd.DataFrame | None"
    """The rows of the official test file, if there is one."""
    keys: "pd.Series[Any] | None"
    """The group or the time of each row, if splits go by one."""
    parameters: PrepareParameters
    offsets: Offsets
    gaps: Gaps

    @property
    def groups(self) -> "pd.Series[Any] | None":
        """The group of each row, if splits go by it."""
        return None if self.keys is None or self.keys.dtype.kind == "M" else self.keys


def read_prepared(folder: Path) -> PreparedRows:
    """The output of the prepare stage.

    Raises:
        RetrainError: a file is missing or has changed since the prepare stage wrote it.
    """
    from retrain.data import tables

    hint = f"run: dvc repro prepare@{folder.parent.name}"
    prepared = schema.check(files.read_json(folder / FILE, hint), Prepared, str(folder / FILE), hint)
    if {name: digest for name, digest in files.digests_in(folder).items() if name != FILE} != prepared.tables:
        raise RetrainError(str(folder), f"does not match its {FILE}", hint)
    found = {name: tables.read_parquet(folder / name, hint) for name in prepared.tables}
    keys = found.get("keys.parquet")
    own = None if keys is None else keys["key"]
    test = found.get("test.parquet")
    return PreparedRows(found["rows.parquet"], test, own, prepared.prepare, prepared.offsets, prepared.gaps)
