"""Two models' predictions of the same test rows: those that are recorded, or new ones where the split has changed."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from retrain import environment
from retrain.data import encoders
from retrain.errors import RetrainError
from retrain.evaluation.intervals import Judged
from retrain.models.description import FILE, WEIGHTS, Description
from retrain.release.results import RecordedResult

if TYPE_CHECKING:
    from retrain.data.report_csv import Columns

    import pandas as pd

__all__ = ["paired"]


ROWS_AT_ONCE = 1024
FAR = 1.5
"""A model whose error is so many times that of the mean predicts something else than the target of today."""


def paired(candidate: RecordedResult, other: RecordedResult) -> tuple[Judged, Judged] | str:
    """The predictions of the other model and of the candidate; or why they can't be compared, in words."""
    now, then = candidate.description, other.description
    if now is None or then is None:
        return (other if then is None else candidate).lacking(FILE)
    if (then.task.name, then.task.column) != (now.task.name, now.task.column):
        return f"the model of {other.revision.name} predicts {then.task.column} ({then.task.name})"
    same = then.splits["test"] == now.splits["test"]
    before, after = other.predictions if same else predicted_again(candidate, other, now, then), candidate.predictions
    if isinstance(before, str):
        return before
    if isinstance(after, str):
        return after
    if changed := other_meaning(before, now, then, f"the model of {other.revision.name}"):
        return f"{changed}; if that is on purpose, run: retrain promote {candidate.dataset} --override REASON"
    names, groups = list(dict.fromkeys([*now.task.classes, *then.task.classes])), candidate.groups
    first, second = (Judged.of_predictions(one["target"], one, names).in_groups(groups) for one in (before, after))
    return first, second


def other_meaning(before: "Columns", now: Description, then: Description, other: str) -> str:
    """Why the other model's errors don't say how good it is, in words: the target means something else now. Empty if not.

    Args:
        before: what the other model predicts for today's test rows.
        now: the candidate.
        then: the other model.
        other: what the words call it.
    """
    if now.task.classes:
        if unknown := [name for name in before["target"] if name not in then.task.classes]:
            return f"{other} never learned the class '{unknown[0]}', which {len(unknown):,} of today's test rows have"
        if gone := [name for name in before["predicted"] if name not in now.task.classes]:
            return f"{other} answers '{gone[0]}' for {len(gone):,} of today's test rows, a class that is gone"
        return ""
    import numpy as np

    targets, answers = (np.asarray(before[name], dtype=np.float64) for name in ("target", "predicted"))
    error, spread = math.sqrt(np.square(targets - answers).mean()), float(targets.std())
    if spread and error > FAR * spread:
        figures = f"rmse {error:.4g}, and the mean alone has {spread:.4g}"
        return f"{other} is far worse on today's test rows than their mean ({figures}): has the target another unit?"
    return ""


def predicted_again(
    candidate: RecordedResult, other: RecordedResult, now: Description, then: Description
) -> "Columns | str":
    """What the other model predicts for the candidate's test rows; or why it must not or can't, in words."""
    rows = candidate.copied(table_of(candidate, "test"))
    if rows is None:
        return candidate.lacking(table_of(candidate, "test"))
    if problem := learned_from(rows, candidate, other, now, then):
        return problem
    for name in (FILE, WEIGHTS):
        if other.copied(f"models/{other.dataset}/{name}") is None:
            return other.lacking(name)
    environment.pin_cpu(then.train.threads)
    from retrain.data.split_table import read_split
    from retrain.models import predictor

    try:
        model, table = predictor.load(other.result.model), read_split(rows, "")
        inputs = {name: table[name] for name in model.encoder.columns}
        return {**model.predictions(model.outputs(inputs, ROWS_AT_ONCE)), "target": table[now.task.column]}
    except (RetrainError, KeyError, TypeError, ValueError) as error:
        return f"the model of {other.revision.name} can't predict today's test rows ({type(error).__name__}: {error})"


def table_of(result: RecordedResult, split: str) -> str:
    """The file of a split."""
    return f"data/{result.dataset}/splits/{split}.parquet"


def learned_from(
    rows: Path, candidate: RecordedResult, other: RecordedResult, now: Description, then: Description
) -> str:
    """Why the other model may have learned from some test rows, with the remedy; empty if it has not.

    Rows are compared by their content, as `split` does it, in the columns that both models know.
    """
    from retrain.data import tables

    test = tables.read_parquet(rows, "")
    contents_of = encoders.load(now.encoder.name, "").Encoder.contents
    columns, learned = list(map(str, test.columns[:-1])), []
    for split in then.splits.keys() - {"test"}:
        path = other.copied(table_of(other, split))
        if path is None:
            return other.lacking(table_of(other, split))
        learned.append(tables.read_parquet(path, ""))
        columns = [name for name in columns if is_same_kind(name, test, learned[-1])]
    if not columns:
        return f"the model of {other.revision.name} was trained on different columns, so its rows can't be compared"
    known = {content for table in learned for content in contents_of(table[columns])}
    found = sum(content in known for content in contents_of(test[columns]))
    if not found:
        return ""
    fact = f"the model of {other.revision.name} learned from {found:,} of today's {len(test):,} test rows"
    return f"{fact}; {remedy(candidate.dataset, now, then)}"


def is_same_kind(name: str, first: "pd.DataFrame", second: "pd.DataFrame") -> bool:
    """Whether two tables have an input column of the same kind."""
    return name in second.columns[:-1] and str(first[name].dtype) == str(second[name].dtype)


def remedy(dataset: str, now: Description, then: Description) -> str:
    """What to do where a model has learned from the test rows."""
    changed = [
        f"-S ++datasets.{dataset}.split.{name}={value}"
        for name, value in then.split.items()
        if name in now.split and now.split[name] != value and isinstance(value, int | float | str)
    ]
    if changed:
        return f"to return to its split, run: dvc exp run {' '.join(changed)} plot@{dataset}"
    return "add new rows as test rows (prepare.test), or return to its data"
