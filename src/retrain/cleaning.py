"""Texts as people wrote them: repaired the same way before training and before predicting."""

import html
from collections.abc import Sequence

from retrain import params
from retrain.errors import RetrainError

import pandas as pd

ENTITIES = "quot|amp|lt|gt|nbsp|apos|hellip|mdash|ndash|lsquo|rsquo|ldquo|rdquo|pound|euro|copy|reg|trade|eacute"
"""Names that are no words of their own: `cup;` and `sum;` are entities as well, and stay."""


def tidy(table: pd.DataFrame, repairs: Sequence[str]) -> pd.DataFrame:
    """A table with its texts repaired; numbers stay as they are.

    Raises:
        RetrainError: there is no such repair.
    """
    for name in repairs:
        if name not in REPAIRS:
            raise RetrainError("repairs", f"unknown '{name}'", params.nearest(name, REPAIRS))
    texts = [name for name in table.columns if table[name].dtype != "float64"]
    return table.assign(**{name: tidy_text(table[name], repairs) for name in texts})


def tidy_text(column: "pd.Series[str]", repairs: Sequence[str]) -> "pd.Series[str]":
    """One column of text: repaired, and without white space around it."""
    for name in repairs:
        column = REPAIRS[name](column)
    return column.str.strip()


def repair_entities(column: "pd.Series[str]") -> "pd.Series[str]":
    """Turn entities into their characters, also those whose ampersand became a space: `Bush #39;s` -> `Bush's`."""
    lost = rf"(?<![&\w])(#\d{{2,4}}|{ENTITIES});"
    inside_a_word = r"(?<=\w) (?=&#39;(?:s|t|d|m|ll|re|ve)\b|&amp;\w)"
    with_ampersand = column.str.replace(lost, r"&\1;", regex=True)
    return with_ampersand.str.replace(inside_a_word, "", regex=True).map(html.unescape)


def repair_backslashes(column: "pd.Series[str]") -> "pd.Series[str]":
    """Turn the backslashes that stand for line breaks into spaces."""
    return column.str.replace("\\", " ", regex=False)


def repair_spaces(column: "pd.Series[str]") -> "pd.Series[str]":
    """Make every run of white space one space."""
    return column.str.replace(r"\s+", " ", regex=True)


REPAIRS = {"entities": repair_entities, "backslashes": repair_backslashes, "spaces": repair_spaces}
