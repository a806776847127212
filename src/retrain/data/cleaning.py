"""Text cleaning, the same before training and before predicting, and the rows that are dropped."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from retrain import schema
from retrain.data.reading.database import hashes
from retrain.data.repairs import tidy_texts
from retrain.errors import RetrainError

import pandas as pd

__all__ = ["Cleaned", "case_twins", "categorise", "changed", "class_names", "clean", "tidy", "without_target"]


def tidy(table: pd.DataFrame, repairs: Sequence[str]) -> pd.DataFrame:
    """A table with cleaned texts, and names of classes, which are the last column; see `tidy_texts`.

    Number columns are not changed.

    Raises:
        RetrainError: a name in `repairs` is unknown.
    """
    texts = [name for name in table.columns if pd.api.types.is_string_dtype(table[name].dtype)]
    return table.assign(**{name: tidy_column(table[name], repairs) for name in texts})


def tidy_column(column: "pd.Series[str]", repairs: Sequence[str]) -> "pd.Series[str]":
    """A column of texts as `tidy_texts` cleans them; without repairs, by operations on the whole column."""
    if not repairs:
        texts = column.astype("str")
        foreign = ~texts.str.isascii()
        if foreign.any():
            texts = texts.where(~foreign, texts[foreign].map(schema.composed, na_action="ignore"))
        return texts.str.strip()
    return pd.Series(tidy_texts(column.tolist(), repairs), column.index, dtype="str")


def changed(column: "pd.Series[str]", change: Callable[[str], str]) -> "pd.Series[str]":
    """A column of few different texts, such as classes, with a change that is made once for each of them."""
    codes, values = pd.factorize(column)
    return pd.Series(list(map(change, values)), dtype="str").take(codes).set_axis(column.index)


@dataclass(frozen=True)
class Cleaned:
    """A table after cleaning, and what happened to its rows."""

    rows: pd.DataFrame
    """The rows that are left. Their index is the row numbers before cleaning."""
    dropped: dict[str, int]
    """The numbers of rows that were left out, by reason."""
    repeated: int
    """Rows whose inputs and target an earlier row has too."""
    contradicting: int
    """Rows whose inputs another row has with another class; 0 for numbers."""
    gaps: dict[str, float]
    """See `encoding_file.Gaps`."""


def clean(table: pd.DataFrame, repairs: tuple[str, ...], *, incomplete: str, repeats: str) -> Cleaned:
    """Clean texts, then drop rows without a target or without any input, and rows that `incomplete` and `repeats` exclude.

    Args:
        table: the inputs, then the target.
        repairs: the names of the text repairs.
        incomplete: `keep` or `drop`: rows in which a number, a category or a date is missing.
        repeats: `keep`, `once` or `majority`; see `SourceParameters`.
    """
    inputs, target = list(table.columns[:-1]), table.columns[-1]
    tidied = tidy(table, repairs)
    missing = tidied.isna()
    unlabelled = without_target(tidied)
    empty = (missing | tidied.isin([""]))[inputs]
    blank = empty.all(axis=1) & ~unlabelled
    gaps = missing.any(axis=1) & ~unlabelled & ~blank & (incomplete == "drop")
    gone = unlabelled | blank | gaps
    kept = tidied[~gone] if gone.any() else tidied
    repeated, contradicting = twins(kept, inputs, target)
    rows = kept if repeats == "keep" else kept[~repeated] if repeats == "once" else majority(kept, inputs, target)
    reasons = {"without a target": unlabelled, "without any input": blank, "with a missing input": gaps}
    dropped = {reason: int(where.sum()) for reason, where in reasons.items()}
    shares = {str(name): float(empty.loc[rows.index, name].mean()) for name in inputs if len(inputs) > 1}
    return Cleaned(rows, {**dropped, "repeated": len(kept) - len(rows)}, int(repeated.sum()), contradicting, shares)


def without_target(tidied: pd.DataFrame) -> "pd.Series[bool]":
    """Whether a row of a tidy table has no target: no row can be learned from, or judged, without it."""
    target = tidied.iloc[:, -1]
    return target.isin([""]) | target.isna()


def twins(table: pd.DataFrame, inputs: list[str], target: str) -> "tuple[pd.Series[bool], int]":
    """Whether an earlier row is the same, and how many rows have the inputs of a row with another class; 0 for numbers."""
    some = table[may_repeat(table, inputs)]
    # Numbers compare faster than texts.
    codes = pd.DataFrame({name: pd.factorize(some[name])[0] for name in some.columns}, index=some.index)
    repeated = codes.duplicated().reindex(table.index, fill_value=False)
    labels = not pd.api.types.is_numeric_dtype(table[target].dtype)
    return repeated, int(contradictions(codes, inputs, target).sum()) if labels else 0


def may_repeat(table: pd.DataFrame, inputs: list[str]) -> "pd.Series[bool]":
    """Whether the texts of another row have the same hash, so that the inputs may be the same."""
    texts = [name for name in inputs if pd.api.types.is_string_dtype(table[name].dtype)]
    if not texts:
        return pd.Series(data=True, index=table.index)
    return pd.Series(hashes(table[texts]), table.index).duplicated(keep=False)


def contradictions(table: pd.DataFrame, inputs: list[str], target: str) -> "pd.Series[bool]":
    """Whether another row has the same inputs and another target."""
    twins = table[table.duplicated(inputs, keep=False)]
    if twins.empty:
        return pd.Series(data=False, index=table.index)
    targets = twins.groupby(inputs, dropna=False, sort=False, observed=True)[target].transform("nunique")
    return (targets > 1).reindex(table.index, fill_value=False)


def majority(table: pd.DataFrame, inputs: list[str], target: str) -> pd.DataFrame:
    """One row for each content of the inputs, the first one with the commonest target, or with the median of numbers."""
    twins = table[table.duplicated(inputs, keep=False)]
    groups = twins.groupby(inputs, dropna=False, sort=False, observed=True)[target]
    if pd.api.types.is_numeric_dtype(table[target].dtype):
        common = groups.transform(lambda values: values.sort_values().iloc[(len(values) - 1) // 2])
    else:
        common = groups.transform(lambda values: values.mode().iloc[0])
    chosen = twins[twins[target] == common]
    left = twins.index.difference(chosen[~chosen.duplicated(inputs)].index)
    return table.drop(index=left)


def class_names(rows: pd.DataFrame, ordered: tuple[str, ...], where: str) -> list[str]:
    """The classes of a text target: first those in `ordered`, then the others alphabetically.

    Args:
        rows: the table, with the target as its last column.
        ordered: classes whose order the source gives.
        where: the section's path, for the error.

    Raises:
        RetrainError: there is only one class.
    """
    found = set(rows.iloc[:, -1].unique())
    names = [name for name in ordered if name in found] + sorted(found - set(ordered))
    if len(names) == 1:
        raise RetrainError(where, f"all rows have the class '{names[0]}'", "add rows of another class")
    return names


def case_twins(names: Iterable[str]) -> list[str]:
    """What to tell the user about classes that differ only in case."""
    folded = {name: name.casefold() for name in names}
    groups = [[f"'{name}'" for name in folded if folded[name] == twin] for twin in repeated(folded)]
    return [
        f"classes {schema.enumerated(group)} differ only in case; to make them one, use prepare.rename"
        for group in groups
    ]


def repeated(forms: dict[str, str]) -> list[str]:
    """The forms that several texts have."""
    return [form for form, count in Counter(forms.values()).items() if count > 1]


def categorise(table: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """A table whose target, the last column, is categorical with these classes."""
    target = table.columns[-1]
    return table.assign(**{target: table[target].astype(pd.CategoricalDtype(names, ordered=False))})
