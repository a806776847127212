"""Prepare: rows from their source become one clean, tidy table.

Reads `datasets.<name>.prepare` and writes `data/<name>/prepared/`: `rows.parquet`, `test.parquet` where the data has
an official test file, and `prepared.json` (columns, counts, knobs).
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from retrain import cli, environment, files, params, sources
from retrain.errors import RetrainError
from retrain.sources import Place, SourceRows

import click

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Cleaned:
    """A table after cleaning, with what was dropped from it."""

    rows: "pd.DataFrame"
    empty: int
    duplicates: int


def clean(table: "pd.DataFrame", repairs: tuple[str, ...]) -> Cleaned:
    """Repair texts, then drop rows without inputs or target, then exact duplicates but for the first."""
    from retrain.cleaning import tidy

    inputs, target = list(table.columns[:-1]), table.columns[-1]
    tidied = tidy(table, repairs)
    blank = tidied[inputs].isin([""]).all(axis=1) | tidied[target].isin([""]) | tidied.isna().any(axis=1)
    kept = tidied[~blank]
    repeated = kept.duplicated()
    return Cleaned(kept[~repeated].reset_index(drop=True), int(blank.sum()), int(repeated.sum()))


def class_names(rows: "pd.DataFrame", ordered: tuple[str, ...], place: str) -> list[str]:
    """The classes of a text target: those with an order of their own first, the others alphabetically.

    Raises:
        RetrainError: there is only one class, or a class has a single row, so that it can't be learned and tested.
    """
    counts = rows.iloc[:, -1].value_counts()
    names = [name for name in ordered if name in counts.index] + sorted(set(counts.index) - set(ordered))
    if len(names) == 1:
        raise RetrainError(place, f"'{names[0]}' is the only class", "give it rows of at least two classes")
    for name in names:
        if counts[name] == 1:
            raise RetrainError(place, f"class '{name}' has a single row", "give it more rows, or take it out")
    return names


def categorise(table: "pd.DataFrame", names: list[str]) -> "pd.DataFrame":
    """A table whose target, the last column, is one of these classes."""
    import pandas as pd

    target = table.columns[-1]
    return table.assign(**{target: table[target].astype(pd.CategoricalDtype(names, ordered=False))})


def prepare(source: SourceRows, repairs: tuple[str, ...], place: str) -> tuple[Cleaned, "pd.DataFrame | None"]:
    """Clean the rows, and those of the official test file, of which none is left out.

    Raises:
        RetrainError: nothing is left, a number is missing in the test file, or the classes can't be learned.
    """
    from retrain.cleaning import tidy

    cleaned = clean(source.rows, repairs)
    test = None if source.official_test is None else tidy(source.official_test, repairs)
    if cleaned.rows.empty:
        raise RetrainError(place, "no row is left after cleaning", "check the columns and the file")
    gaps = [] if test is None else [name for name in test.columns if test[name].isna().any()]
    if gaps:
        raise RetrainError(f"{place}.test", f"column '{gaps[0]}' has an empty number", "correct the test file")
    if cleaned.rows.iloc[:, -1].dtype == "float64":
        return cleaned, test
    names = class_names(cleaned.rows, source.classes, place)
    unknown = [] if test is None else sorted(set(test.iloc[:, -1]) - set(names))
    if unknown:
        raise RetrainError(place, f"class '{unknown[0]}' is only in the test file", "correct one of the files")
    test = None if test is None else categorise(test, names)
    return replace(cleaned, rows=categorise(cleaned.rows, names)), test


@cli.stage
def main(dataset: str) -> None:
    """Get a dataset's rows, clean them, and write a tidy table to data/NAME/prepared/."""
    from retrain import tables

    workspace = environment.workspace()
    place = params.place(dataset, "prepare")
    block = params.dataset_block(workspace, dataset)["prepare"]
    source = sources.load(block, dataset)
    knobs = params.check(block, source.knobs, place)
    read = source.read(knobs, Place(dataset, workspace, environment.root()))
    cleaned, test = prepare(read, knobs.repairs, place)
    counts = {
        "read": len(read.rows),
        "empty": cleaned.empty,
        "duplicates": cleaned.duplicates,
        "kept": len(cleaned.rows),
        "official_test": 0 if test is None else len(test),
    }
    with files.replacing(Path("data", dataset, "prepared")) as (draft,):
        draft.mkdir()
        tables.write_parquet(draft / "rows.parquet", cleaned.rows)
        if test is not None:
            tables.write_parquet(draft / "test.parquet", test)
        section = knobs.model_dump(mode="json", exclude_none=True)
        files.write_json(draft / "prepared.json", {"counts": counts, "prepare": section})
    dropped = ", ".join([f"{cleaned.empty:,} empty", f"{cleaned.duplicates:,} duplicates", *read.notes])
    official = "" if test is None else f" and {len(test):,} of the official test file"
    click.echo(f"prepare {dataset}: read {counts['read']:,} rows; dropped {dropped}; kept {counts['kept']:,}{official}")


if __name__ == "__main__":
    main()
