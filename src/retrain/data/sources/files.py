"""Rows from CSV files: in the dataset's raw folder, elsewhere on disk, or behind a URL, pinned by SHA-256."""

from typing import Annotated, Literal

from retrain.data.csv_rows import read_csv, select_columns, with_kinds
from retrain.data.downloads import File, local_copy
from retrain.data.sources import Source, SourceContext, SourceParameters, SourceRows
from retrain.schema import in_order

import pandas as pd
from pydantic import AfterValidator, model_validator

__all__ = ["SOURCE", "Parameters"]


class Parameters(SourceParameters):
    """Parameters of `source: files`. `test` is optional: the data may have an official test file."""

    train: File
    test: File | None = None
    header: bool
    columns: tuple[str, ...]
    """The columns that are used; all of them, in order, if the file has no header."""
    numbers: tuple[str, ...]
    """The columns that hold numbers. Columns that are in none of `numbers`, `categories` and `dates` hold text."""
    categories: tuple[str, ...] = ()
    """Columns with one of a set of values, for the encoder `mixed`."""
    dates: tuple[str, ...] = ()
    """Columns with dates or times in ISO 8601, such as 2024-12-31 23:59, for the encoder `mixed`. Offsets are converted to UTC."""
    missing: Literal["drop", "keep"] = "drop"
    """What happens to rows in which an input is missing; `drop` if not set. The encoder `mixed` can learn from them."""
    inputs: tuple[str, ...]
    target: str
    rename: Annotated[dict[str, str], AfterValidator(in_order)]

    @model_validator(mode="after")
    def columns_exist(self) -> "Parameters":
        """Check that all names are among the columns, and that inputs and target are different columns."""
        used = [*self.inputs, self.target]
        for parameter, names in (
            ("inputs", self.inputs),
            ("target", (self.target,)),
            ("numbers", self.numbers),
            ("categories", self.categories),
            ("dates", self.dates),
        ):
            for name in names:
                if name not in self.columns:
                    hint = f"add it to columns, or change {parameter}"
                    raise ValueError(f"{parameter} names '{name}', which is not in columns; {hint}")
        kinds = [*self.numbers, *self.categories, *self.dates]
        for name in kinds:
            if kinds.count(name) > 1:
                raise ValueError(f"numbers, categories and dates name '{name}' twice; remove one of them")
        if self.target in self.dates:
            raise ValueError(f"target '{self.target}' is in dates; a date can't be predicted")
        for name in used:
            if used.count(name) > 1:
                raise ValueError(f"inputs and target name '{name}' twice; remove one of them")
        if not self.inputs:
            raise ValueError("inputs names no column; name at least one column")
        return self


def read(parameters: Parameters, context: SourceContext) -> SourceRows:
    """Read the training file and, if there is one, the official test file."""
    return SourceRows(
        rows=read_file(parameters, parameters.train, context),
        official_test=None if parameters.test is None else read_file(parameters, parameters.test, context),
        classes=tuple(dict.fromkeys(name for _, name in sorted(parameters.rename.items()))),
        notes=(),
        keep_missing=parameters.missing == "keep",
    )


def read_file(parameters: Parameters, file: File, context: SourceContext) -> pd.DataFrame:
    """One file's rows: the inputs, then the target, with the values that `rename` lists renamed.

    Raises:
        RetrainError: see `local_copy`, `read_csv` and `select_columns`.
    """
    path = local_copy(file, context)
    rows = read_csv(path, file.location, None if parameters.header else parameters.columns)
    section = f"datasets.{context.dataset}.prepare"
    table = select_columns(rows, parameters.columns, parameters.numbers, file.location, section)
    table = table[[*parameters.inputs, parameters.target]]
    table = with_kinds(table, parameters.categories, parameters.dates, file.location)
    if parameters.rename:
        values = rows[parameters.target].str.strip()
        table[parameters.target] = values.map(lambda value: parameters.rename.get(value, value)).astype("str")
    return table.reset_index(drop=True)


def fetch(parameters: Parameters, context: SourceContext) -> None:
    """Download or find every file and check its digest; see `local_copy` for errors."""
    for file in (parameters.train, parameters.test):
        if file is not None:
            local_copy(file, context)


SOURCE = Source(parameters=Parameters, read=read, fetch=fetch)
