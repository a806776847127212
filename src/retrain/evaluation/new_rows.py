"""Warnings about new rows of a dataset: values that the rows of an earlier result do not have."""

from collections.abc import Iterator
from typing import Any

from retrain import schema
from retrain.models.unfamiliar import are_strange_gaps, clearly_more, percent

import numpy as np
import pandas as pd

__all__ = ["changes"]


FEW = 10
"""Up to so many different numbers are codes, such as 0 and 1."""
LARGE, MOST = 1e5, 1e15
"""Between these, numbers are shown without decimals."""
USUAL = (0.01, 0.99)
"""The usual range of numbers is between these quantiles. A number is far away if it is outside by more than the width of the range."""
FEWEST = 2
"""If most new rows, and more than so many, are outside the usual range, none of them needs to be far away."""


def changes(then: pd.DataFrame, now: pd.DataFrame) -> Iterator[str]:
    """The warnings about rows that the earlier table does not have: their values are new, far from all others, or missing.

    Args:
        then: the earlier table of the prepare stage, with the target as its last column.
        now: the present one. Columns that only one of them has, or that hold something else now, are not compared.
    """
    kinds = {name: kind_of(then[name]) for name in then.columns if name in now.columns}
    names = [name for name, kind in kinds.items() if kind_of(now[name]) == kind]
    known, found = (pd.util.hash_pandas_object(table[names], index=False) for table in (then, now))
    new = now[~found.isin(known).to_numpy()]
    for name in names if len(new) and len(then) else ():
        before, after = (table[name][table[name].notna() & (table[name] != "")] for table in (then, new))
        facts = [gaps(1 - len(before) / len(then), len(new) - len(after), len(new))]
        if before.nunique() and kinds[name] != "text":
            is_code = kinds[name] == "category" or (kinds[name] == "number" and before.nunique() <= FEW)
            find = far_values if not is_code else new_classes if name == then.columns[-1] else new_values
            facts.append(find(before, after, len(new)))
        yield from (f"column '{name}': {fact}" for fact in facts if fact)


def kind_of(column: "pd.Series[Any]") -> str:
    """What a column holds."""
    named = {"f": "number", "M": "date"}
    return "category" if isinstance(column.dtype, pd.CategoricalDtype) else named.get(column.dtype.kind, "text")


def gaps(share: float, some: int, rows: int) -> str:
    """The warning about new rows without a value; empty if there are few.

    Args:
        share: that of the earlier rows without one.
        some: the new rows without one.
        rows: all new rows.
    """
    if not are_strange_gaps(some, share, rows):
        return ""
    others = f"only {percent(share)}" if share else "none"
    return f"{some:,} of {rows:,} new rows have no value, but {others} of the earlier rows"


def new_values(before: "pd.Series[Any]", after: "pd.Series[Any]", rows: int) -> str:
    """The warning about values that no earlier row has; empty if they may be chance.

    A new row has a new value about as often as an earlier row has a value of its own (I. J. Good, "The population frequencies
    of species and the estimation of population parameters", Biometrika 40, 1953).
    """
    single = int((before.value_counts() == 1).sum())
    some = int((~after.isin(before.unique())).sum())
    return new_classes(before, after, rows) if clearly_more(some, expected(single, len(before), rows)) else ""


def new_classes(before: "pd.Series[Any]", after: "pd.Series[Any]", rows: int) -> str:
    """The warning about values that no earlier row has; empty if there are none."""
    found = after[~after.isin(before.unique())]
    if found.empty:
        return ""
    values = [f"{value:g}" if isinstance(value, float) else str(value) for value in sorted(found.unique())]
    return f"{len(found):,} of {rows:,} new rows have {schema.some_of(values)}, which no earlier row has"


def far_values(before: "pd.Series[Any]", after: "pd.Series[Any]", rows: int) -> str:
    """The warning about numbers or dates unlike the earlier ones, as in another unit; empty if they may be chance."""
    odd, others = (after[far(after, before)], before[far(before, before)])
    fact, low, high = "are far from the earlier rows", before.min(), before.max()
    if not clearly_more(len(odd), expected(len(others), len(before), rows)):
        fact, (low, high) = "are outside the usual range of the earlier rows", before.quantile(USUAL)
        odd = after[~after.between(low, high)]
        # New rows often have later dates, and larger years and counts.
        grows = before.dtype.kind == "M" or before.is_monotonic_increasing
        if grows or len(odd) <= max(rows / 2, FEWEST):
            return ""
    first, low, high = map(shown, (odd.iloc[0], low, high))
    return f"{len(odd):,} of {rows:,} new rows, such as {first}, {fact} ({low} to {high})"


def shown(value: Any) -> str:
    """A date, or a number without an exponent if it is large."""
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d}"
    return f"{value:,.0f}" if LARGE <= abs(value) < MOST else f"{value:,.6g}"


def expected(some: int, of: int, rows: int) -> float:
    """How many of the new rows to expect with a property that some of the earlier ones have, by Laplace's rule of succession."""
    return (some + 1) / (of + 1) * rows


def far(values: "pd.Series[Any]", usual: "pd.Series[Any]") -> np.ndarray:
    """Which values are outside the usual range by more than its width: their logarithms, too, if all are positive, so 7.1 is far from 7,100, and 0 from all."""
    own, known = (column.to_numpy().astype("float64") for column in (values, usual))
    found = outside(own, known)
    if (known > 0).all():
        positive = own > 0
        found[positive] |= outside(np.log(own[positive]), np.log(known))
        found |= ~positive
    return found


def outside(values: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """Which values are outside the usual range by more than its width."""
    with np.errstate(over="ignore"):
        low, high = np.quantile(usual, USUAL)
        found: np.ndarray = (values < low - (high - low)) | (values > high + (high - low))
    return found
