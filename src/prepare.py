"""Prepare: read rows from their source and write one clean, tidy table.

Reads `datasets.<name>.prepare` and writes `data/<name>/prepared/`: `rows.parquet`, `test.parquet` if the data has an
official test file, `keys.parquet` if splits go by a group or a time, and `prepared.json` (counts, parameters and the digests
of the tables).
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain import cli, environment, files, params, schema
from retrain.data import sources
from retrain.data.prepared_file import FILE
from retrain.data.sources import SourceContext, SourceParameters, SourceRows
from retrain.errors import RetrainError

import click

if TYPE_CHECKING:
    from retrain.data.cleaning import Cleaned

    import pandas as pd


MANY = 0.01
"""The share of rows that are left out above which prepare warns."""


def prepare(source: SourceRows, parameters: SourceParameters, where: str) -> "tuple[Cleaned, pd.DataFrame | None]":
    """Clean the rows. The rows of the official test file are cleaned too; only those without a target are dropped.

    Args:
        source: the rows as the source gives them.
        parameters: what to repair, and which rows to keep.
        where: the section's path, for errors.

    Raises:
        RetrainError: no row is left, the test file has a missing number, or there is only one class.
    """
    from retrain.data.cleaning import categorise, class_names, clean

    cleaned = clean(source.rows, parameters.repairs, incomplete=parameters.incomplete, repeats=parameters.repeats)
    if cleaned.rows.empty:
        fact = f"cleaning dropped all {len(source.rows):,} rows ({', '.join(reasons(cleaned))})"
        raise RetrainError(where, fact, "check the columns of the inputs and the target")
    test = None if source.official_test is None else answered(source.official_test, parameters, f"{where}.test")
    if cleaned.rows.iloc[:, -1].dtype == "float64":
        return cleaned, test
    names = class_names(cleaned.rows, source.classes, where)
    names += [] if test is None else sorted(set(test.iloc[:, -1]) - set(names))  # the split stage warns of these
    test = None if test is None else categorise(test, names)
    return replace(cleaned, rows=categorise(cleaned.rows, names)), test


def answered(rows: "pd.DataFrame", parameters: SourceParameters, where: str) -> "pd.DataFrame":
    """The clean rows of the official test file that have a target; raises RetrainError if there is none, or a number is missing."""
    from retrain.data.cleaning import tidy, without_target

    tidied = tidy(rows, parameters.repairs)
    kept = tidied[~without_target(tidied)]
    if kept.empty:
        raise RetrainError(where, f"has no value in '{rows.columns[-1]}'", "enter the answers in the file")
    gaps = [name for name in kept.columns if kept[name].isna().any()]
    if gaps and parameters.incomplete == "drop":
        raise RetrainError(where, f"column '{gaps[0]}' has missing values", "fill them in the test file")
    return kept


def reasons(cleaned: "Cleaned") -> list[str]:
    """How many rows were left out, for each reason."""
    return [f"{count:,} {reason}" for reason, count in cleaned.dropped.items() if count]


def summary(cleaned: "Cleaned", read: int, official: int, notes: tuple[str, ...]) -> str:
    """What happened to the rows, in a line."""
    dropped = [*reasons(cleaned), *notes]
    left_out = f"; left out {', '.join(dropped)}" if dropped else ""
    are = "is" if cleaned.repeated == 1 else "are"
    repeats = f"; {cleaned.repeated:,} {are} repeated" if cleaned.repeated and not cleaned.dropped["repeated"] else ""
    test = f" and {official:,} of the official test file" if official else ""
    return f"read {read:,} rows{left_out}; kept {len(cleaned.rows):,}{test}{repeats}"


def warnings(cleaned: "Cleaned", read: int, official: int, unanswered: int) -> Iterator[str]:
    """What may be wrong with the rows.

    Args:
        cleaned: the rows after cleaning.
        read: the number of rows before it.
        official: the rows of the official test file that are kept.
        unanswered: those that are left out, because they have no target.
    """
    gone = read - len(cleaned.rows) - cleaned.dropped["repeated"]
    if gone > MANY * read:
        yield f"{gone:,} of {read:,} rows ({gone / read:.1%}) are left out"
    if unanswered:
        rows = official + unanswered
        fact = f"{unanswered:,} of {rows:,} rows of the official test file ({unanswered / rows:.1%})"
        yield f"{fact} have no target and are left out"
    if cleaned.contradicting:
        yield f"{cleaned.contradicting:,} rows have the same inputs as a row with another target"


def tell_of_classes(dataset: str, targets: "pd.Series[Any]") -> None:
    """Warn of classes that differ only in case."""
    from retrain.data.cleaning import case_twins

    if str(targets.dtype) == "category":
        for message in case_twins(targets.cat.categories):
            cli.warn(f"{dataset}: {message}")


@cli.stage
def main(dataset: str) -> None:
    """Read and clean a dataset's rows, and write them to data/NAME/prepared/."""
    from retrain.data import tables

    workspace = environment.workspace()
    where = params.section_path(dataset, "prepare")
    params.check_choices(workspace, dataset)
    block = params.dataset_block(workspace, dataset)
    source = sources.load(block["prepare"], dataset)
    parameters = schema.check(block["prepare"], source.parameters, where)
    read = source.read(parameters, SourceContext(dataset, workspace, environment.root(), block["split"]["task"]))
    cleaned, test = prepare(read, parameters, where)
    tell_of_classes(dataset, cleaned.rows.iloc[:, -1])
    official = 0 if test is None else len(test)
    unanswered = 0 if read.official_test is None else len(read.official_test) - official
    counts = {
        "read": len(read.rows),
        **{reason.replace(" ", "_"): count for reason, count in cleaned.dropped.items()},
        "contradicting": cleaned.contradicting,
        "kept": len(cleaned.rows),
        "official_test": official,
        **({"official_test_without_a_target": unanswered} if unanswered else {}),
    }
    with files.replacing(Path("data", dataset, "prepared")) as (draft,):
        draft.mkdir()
        tables.write_parquet(draft / "rows.parquet", cleaned.rows)
        if test is not None:
            tables.write_parquet(draft / "test.parquet", test)
        if read.keys is not None:
            tables.write_parquet(draft / "keys.parquet", read.keys.loc[cleaned.rows.index].to_frame("key"))
        section = parameters.model_dump(mode="json", exclude_none=True, exclude_unset=True)
        facts = {"counts": counts, "prepare": section, "tables": files.digests_in(draft)}
        known = {"offsets": dict(read.offsets), "gaps": cleaned.gaps}
        files.write_json(draft / FILE, facts | {name: found for name, found in known.items() if found})
    click.echo(f"prepare {dataset}: {summary(cleaned, len(read.rows), official, read.notes)}")
    for warning in warnings(cleaned, len(read.rows), official, unanswered):
        cli.warn(f"{dataset}: {warning}")


if __name__ == "__main__":
    cli.run(main)
