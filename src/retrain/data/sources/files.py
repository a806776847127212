"""Rows from files (CSV, JSON lines, Parquet): in the dataset's raw folder, elsewhere on disk, or behind a URL, pinned by SHA-256."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from retrain.data.downloads import File, local_copy
from retrain.data.reading.file_format import Expected, Format
from retrain.data.reading.sql_table import Table
from retrain.data.reading.table_files import open_table
from retrain.data.repairs import one_spelling
from retrain.data.sources import Source, SourceContext, SourceParameters, SourceRows
from retrain.errors import RetrainError
from retrain.schema import column_name, composed, in_order

from pydantic import AfterValidator, Field, model_validator

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SOURCE", "Parameters"]


KINDS = ("numbers", "categories", "dates", "texts")
Columns = tuple[str, ...] | Literal["others"]
"""Names of columns, or `others`: all columns that the section does not name elsewhere."""


class Parameters(SourceParameters):
    """Parameters of `source: files`. `test` is optional: the data may have an official test file."""

    train: File
    test: File | None = None
    format: Format = Format()
    header: bool = True
    """Whether the first line of a CSV file names the columns."""
    columns: tuple[str, ...] = ()
    """The names of all columns, in order, if a CSV file has no header. Otherwise columns that must be there."""
    numbers: Columns = ()
    """The columns that hold numbers."""
    categories: Columns = ()
    """Columns with one of a set of values, for the encoder `mixed`."""
    dates: Columns = ()
    """Columns with dates or times, for the encoder `mixed`. Times with an offset are converted to UTC; others stay as they are, so next to these they count as UTC."""
    texts: Columns = ()
    """The columns that hold texts. An input that is in no other list is a text too."""
    leave_out: tuple[str, ...] = ()
    """Columns that `others` does not stand for."""
    inputs: tuple[str, ...] = ()
    """The columns that the model learns from, in order. If absent: all of numbers, categories, dates and texts, but not the target."""
    target: str
    rename: Annotated[dict[str, str], AfterValidator(in_order)] = Field(default_factory=dict)
    """Values of the target and what to call them."""
    group: str | None = None
    """A column: rows with the same value of it go to the same split. Not together with `time`."""
    time: str | None = None
    """A column with dates: the newest rows are the test split, and the newest of the others the validation split."""

    @model_validator(mode="after")
    def columns_fit(self) -> "Parameters":
        """Check that no column has two roles, and that something is left to learn from."""
        others = [kind for kind in KINDS if getattr(self, kind) == "others"]
        if len(others) > 1:
            raise ValueError(f"{' and '.join(others)} are both 'others'; name the columns of one of them")
        named = [name for names in self.lists().values() for name in names]
        for name in named:
            if named.count(name) > 1:
                raise ValueError(f"numbers, categories, dates and texts name '{name}' twice; remove one of them")
        for name in self.inputs:
            if self.inputs.count(name) > 1 or name == self.target:
                raise ValueError(f"inputs and target name '{name}' twice; remove one of them")
        if self.target in self.lists().get("dates", ()):
            raise ValueError(f"target '{self.target}' is in dates; a date can't be predicted")
        if self.group is not None and self.time is not None:
            raise ValueError("group and time are both set, but only one can decide the splits; remove one of them")
        if not others and not self.inputs and not set(named) - {self.target}:
            raise ValueError("no column is an input; name columns in numbers, categories, dates or texts")
        return self

    @model_validator(mode="after")
    def columns_exist(self) -> "Parameters":
        """Check that all names are among the columns, if there is a list of columns."""
        if not self.header and not self.columns:
            raise ValueError("columns is missing, but header is false; name all columns of the file, in order")
        used = {"inputs": self.inputs, "target": (self.target,), **self.lists()}
        for parameter, names in used.items() if self.columns else ():
            for name in names:
                if name not in self.columns:
                    hint = f"add it to columns, or change {parameter}"
                    raise ValueError(f"{parameter} names '{name}', which is not in columns; {hint}")
        return self

    def lists(self) -> dict[str, tuple[str, ...]]:
        """The lists of columns by kind, without the one that says `others`."""
        return {kind: names for kind in KINDS if (names := getattr(self, kind)) != "others"}

    def wanted(self) -> list[str]:
        """The columns that a header must have."""
        named = [name for names in self.lists().values() for name in names]
        extra = [name for name in (self.group, self.time) if name is not None]
        return list(dict.fromkeys([*self.columns, *named, *self.inputs, self.target, *extra]))

    def kinds_of(self, names: tuple[str, ...]) -> dict[str, str]:
        """The kind of each input of a file with these columns, in order: `numbers`, `categories`, `dates` or `texts`."""
        kinds = {name: kind for kind, own in self.lists().items() for name in own}
        for kind in KINDS:
            if getattr(self, kind) == "others":
                extra = [name for name in (self.group, self.time) if name is not None]
                named = {"", *map(column_name, (*kinds, *self.leave_out, self.target, *extra))}
                kinds |= {name: kind for name in names if column_name(name) not in named and names.count(name) == 1}
        return {name: kinds.get(name, "texts") for name in self.inputs or (own for own in kinds if own != self.target)}


def read(parameters: Parameters, context: SourceContext) -> SourceRows:
    """Read the training file and, if there is one, the official test file."""
    rows, keys, offsets = read_file(parameters, parameters.train, context)
    others = tuple(rows.columns)
    return SourceRows(
        rows=rows,
        official_test=None if parameters.test is None else read_file(parameters, parameters.test, context, others)[0],
        classes=tuple(dict.fromkeys(name for _, name in sorted(parameters.rename.items()))),
        notes=(),
        keys=keys,
        offsets=offsets,
    )


def read_file(
    parameters: Parameters, file: File, context: SourceContext, columns: tuple[str, ...] | None = None
) -> "tuple[pd.DataFrame, pd.Series[Any] | None, dict[str, bool]]":
    """One file's rows: the inputs, then the target, with the values that `rename` lists renamed; what splits go by; and `SourceRows.offsets`.

    Args:
        parameters: the section.
        file: the file.
        context: where its copy may be.
        columns: those that `others` can mean; None for all of the file.

    Raises:
        RetrainError: see `local_copy`, `open_table` and `Table.frame`.
    """
    from retrain.data.cleaning import changed

    path = local_copy(file, context)
    names = None if parameters.header else parameters.columns
    is_train = file is parameters.train
    wanted = [name for name in parameters.wanted() if is_train or name not in (parameters.group, parameters.time)]
    section = f"datasets.{context.dataset}.prepare"
    given = parameters.format if is_train else parameters.format.of_other_file(has_header=parameters.header)
    with open_table(path, file.location, given, Expected(names, wanted, section=section)) as table:
        table.require(wanted)
        if repeated := table.repeated_headers():
            raise RetrainError(table.place(repeated[0][0]), "repeats the header", "remove each such line from the file")
        kinds = parameters.kinds_of(columns or table.names)
        number = context.task == "regression" or parameters.target in parameters.numbers
        kinds[parameters.target] = "numbers" if number else "categories"
        by_kind = {kind: [name for name, own in kinds.items() if own == kind] for kind in KINDS}
        rows = table.frame(**by_kind)[[*kinds]]
        keys = keys_of(table, parameters) if is_train else None
        offsets = {name: found for name in by_kind["dates"] if (found := table.has_offsets(name)) is not None}
    target = parameters.target
    if not number:
        classes = rows[target].fillna("").astype("str")
        names_of_classes = {composed(value): name for value, name in parameters.rename.items()}
        rows[target] = changed(classes, lambda value: names_of_classes.get(value, value))
    inputs = {name: rows[name].astype("category") for name in by_kind["categories"] if name != target}
    return rows.assign(**inputs), keys, offsets


def keys_of(table: Table, parameters: Parameters) -> "pd.Series[Any] | None":
    """What splits go by instead of the content: the group of each row, or its time."""
    from retrain.data.cleaning import changed

    import pandas as pd

    if parameters.time is not None:
        times = table.frame(dates=[parameters.time])[parameters.time]
        if times.isna().any():
            place = table.place(int(times.isna().to_numpy().argmax()), parameters.time)
            raise RetrainError(place, "is empty", "enter the time, or remove prepare.time")
        return times
    if parameters.group is None:
        return None
    groups = table.frame(texts=[parameters.group])[parameters.group]
    groups = changed(groups, one_spelling(groups.unique()).__getitem__)
    own = pd.Series([f"row {number}" for number in range(len(groups))], index=groups.index, dtype="str")
    return groups.where(groups != "", own)  # rows without a group stay alone


def fetch(parameters: Parameters, context: SourceContext) -> None:
    """Download or find every file and check its digest; see `local_copy` for errors."""
    for file in (parameters.train, parameters.test):
        if file is not None:
            local_copy(file, context)


SOURCE = Source(parameters=Parameters, read=read, fetch=fetch)
