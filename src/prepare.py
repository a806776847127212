"""Prepare: read rows from their source and write one clean, tidy table.

Reads `datasets.<name>.prepare` and writes `data/<name>/prepared/`: `rows.parquet`, `test.parquet` if the data has an
official test file, and `prepared.json` (counts, parameters and the digests of the tables).
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from retrain import cli, environment, files, params, schema
from retrain.data import sources
from retrain.data.prepared_file import FILE
from retrain.data.sources import SourceContext, SourceRows
from retrain.errors import RetrainError

import click

if TYPE_CHECKING:
    from retrain.data.cleaning import Cleaned

    import pandas as pd


def prepare(source: SourceRows, repairs: tuple[str, ...], where: str) -> "tuple[Cleaned, pd.DataFrame | None]":
    """Clean the rows. The rows of the official test file are cleaned too, but none of them is dropped.

    Args:
        source: the rows as the source gives them.
        repairs: the names of the text repairs.
        where: the section's path, for errors.

    Raises:
        RetrainError: no row is left, the test file has a missing number or a class of its own, or the classes can't be
            learned.
    """
    from retrain.data.cleaning import categorise, class_names, clean, tidy

    cleaned = clean(source.rows, repairs, keep_missing=source.keep_missing)
    test = None if source.official_test is None else tidy(source.official_test, repairs)
    if cleaned.rows.empty:
        dropped = f"{cleaned.empty:,} empty, {cleaned.duplicates:,} duplicates"
        fact = f"cleaning dropped all {len(source.rows):,} rows ({dropped})"
        raise RetrainError(where, fact, "check the columns of the inputs and the target")
    complete = cleaned.rows.columns[-1:] if source.keep_missing else cleaned.rows.columns
    gaps = [] if test is None else [name for name in complete if test[name].isna().any()]
    if gaps:
        raise RetrainError(f"{where}.test", f"column '{gaps[0]}' has missing values", "fill them in the test file")
    if cleaned.rows.iloc[:, -1].dtype == "float64":
        return cleaned, test
    names = class_names(cleaned.rows, source.classes, where)
    unknown = [] if test is None else sorted(set(test.iloc[:, -1]) - set(names))
    if unknown:
        hint = "add rows of this class to the training file, or correct the test file"
        raise RetrainError(where, f"class '{unknown[0]}' is only in the test file", hint)
    test = None if test is None else categorise(test, names)
    return replace(cleaned, rows=categorise(cleaned.rows, names)), test


@cli.stage
def main(dataset: str) -> None:
    """Read and clean a dataset's rows, and write them to data/NAME/prepared/."""
    from retrain.data import tables

    workspace = environment.workspace()
    where = params.section_path(dataset, "prepare")
    params.check_choices(workspace, dataset)
    block = params.dataset_block(workspace, dataset)["prepare"]
    source = sources.load(block, dataset)
    parameters = schema.check(block, source.parameters, where)
    read = source.read(parameters, SourceContext(dataset, workspace, environment.root()))
    cleaned, test = prepare(read, parameters.repairs, where)
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
        section = parameters.model_dump(mode="json", exclude_none=True, exclude_unset=True)
        files.write_json(draft / FILE, {"counts": counts, "prepare": section, "tables": files.digests_in(draft)})
    dropped = ", ".join([f"{cleaned.empty:,} empty", f"{cleaned.duplicates:,} duplicates", *read.notes])
    official = "" if test is None else f" and {len(test):,} of the official test file"
    click.echo(f"prepare {dataset}: read {counts['read']:,} rows; dropped {dropped}; kept {counts['kept']:,}{official}")


if __name__ == "__main__":
    main()
