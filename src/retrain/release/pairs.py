"""Two models' predictions of the same test rows: those that are recorded, or new ones where the split has changed."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from retrain import environment, schema
from retrain.data import encoders
from retrain.errors import RetrainError
from retrain.evaluation.intervals import Judged
from retrain.models.description import FILE, WEIGHTS, Description
from retrain.release.results import RecordedResult

if TYPE_CHECKING:
    from retrain.data.report_csv import Columns

    import pandas as pd

__all__ = ["NotComparableError", "paired"]


ROWS_AT_ONCE = 1024
FAR = 1.5
"""A model whose error is so many times that of the mean predicts something else than the target of today."""


class NotComparableError(Exception):
    """Two models can't be compared on the same test rows; the text says why."""


def paired(candidate: RecordedResult, other: RecordedResult) -> tuple[Judged, Judged]:
    """The predictions of the other model and of the candidate.

    Raises:
        NotComparableError: the target means something else, or the other model learned from test rows or can't predict them.
        UnavailableError: a file is not available.
    """
    now, then, name = candidate.description, other.description, f"the model of {other.revision.name}"
    if (then.task.name, then.task.column) != (now.task.name, now.task.column):
        raise NotComparableError(f"{name} predicts {then.task.column} ({then.task.name})")
    same = then.splits["test"] == now.splits["test"]
    before = other.predictions if same else predicted_again(candidate, other)
    if changed := other_meaning(before, now, then, name):
        remedy = f"if that is on purpose, run: retrain promote {candidate.dataset} --override REASON"
        raise NotComparableError(f"{changed}; {remedy}")
    names, groups = list(dict.fromkeys([*now.task.classes, *then.task.classes])), candidate.groups
    first, second = (
        Judged.of_predictions(one["target"], one, names).in_groups(groups) for one in (before, candidate.predictions)
    )
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
            names = sorted({*unknown})
            start = f"{other} never learned the class{'es' if names[1:] else ''} {schema.some_of(names)}"
            return f"{start}, which {len(unknown):,} of today's test rows have"
        if gone := [name for name in before["predicted"] if name not in now.task.classes]:
            names = sorted({*gone})
            end = "classes that are gone" if names[1:] else "a class that is gone"
            return f"{other} answers {schema.some_of(names)} for {len(gone):,} of today's test rows, {end}"
        return ""
    import numpy as np

    targets, answers = (np.asarray(before[name], dtype=np.float64) for name in ("target", "predicted"))
    error, spread = math.sqrt(np.square(targets - answers).mean()), float(targets.std())
    if spread and error > FAR * spread:
        figures = f"rmse {error:.4g}, and the mean alone has {spread:.4g}"
        return f"{other} is far worse on today's test rows than their mean ({figures}): has the target another unit?"
    return ""


def predicted_again(candidate: RecordedResult, other: RecordedResult) -> "Columns":
    """What the other model predicts for the candidate's test rows; see `paired` for errors."""
    rows = candidate.copied(table_of(candidate, "test"))
    require_new_rows(rows, candidate, other)
    for name in (FILE, WEIGHTS):
        other.copied(f"models/{other.dataset}/{name}")
    environment.pin_cpu(other.description.train.threads)
    from retrain.data.split_table import read_split
    from retrain.models import predictor

    try:
        model, table = predictor.load(other.result.model), read_split(rows, "")
        inputs = {name: table[name] for name in model.encoder.columns}
        return {
            **model.predictions(model.outputs(inputs, ROWS_AT_ONCE)),
            "target": table[model.description.task.column],
        }
    except (RetrainError, KeyError, TypeError, ValueError) as error:
        fact = f"can't predict today's test rows ({type(error).__name__}: {error})"
        raise NotComparableError(f"the model of {other.revision.name} {fact}") from None


def table_of(result: RecordedResult, split: str) -> str:
    """The file of a split."""
    return f"data/{result.dataset}/splits/{split}.parquet"


def require_new_rows(rows: Path, candidate: RecordedResult, other: RecordedResult) -> None:
    """Raise NotComparableError if the other model learned from some test rows, or if that is unknown.

    Rows are compared by their content, as `split` does it, in the columns that both models know.
    """
    from retrain.data import tables

    test, now, then = tables.read_parquet(rows, ""), candidate.description, other.description
    contents_of = encoders.load(now.encoder.name, "").Encoder.contents
    columns, learned = list(map(str, test.columns[:-1])), []
    for split in then.splits.keys() - {"test"}:
        learned.append(tables.read_parquet(other.copied(table_of(other, split)), ""))
        columns = [name for name in columns if is_same_kind(name, test, learned[-1])]
    name = f"the model of {other.revision.name}"
    if not columns:
        raise NotComparableError(f"{name} was trained on different columns, so its rows can't be compared")
    known = {content for table in learned for content in contents_of(table[columns])}
    found = sum(content in known for content in contents_of(test[columns]))
    if found:
        fact = f"{name} learned from {found:,} of today's {len(test):,} test rows"
        raise NotComparableError(f"{fact}; {remedy(candidate.dataset, now, then)}")


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
