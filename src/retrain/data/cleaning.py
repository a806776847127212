"""Texts as people wrote them: repaired the same way before training and before predicting."""

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from retrain import schema
from retrain.errors import RetrainError

import pandas as pd

NAMES = "quot|amp|lt|gt|nbsp|apos|hellip|mdash|ndash|lsquo|rsquo|ldquo|rdquo|pound|euro|copy|reg|trade|eacute"
"""Entities whose names are no words of their own: `cup;` and `sum;` are entities as well, and stay."""

LOST = re.compile(rf"(?: |(?<![&\w]))(#\d{{2,4}}|{NAMES});")
"""An entity whose ampersand became a space, or went missing."""
QUOTES = (
    (re.compile(r"(?<![^\s(\[])&(?:#39|apos);(?=[^\W\d])"), "‘"),
    (re.compile("&(?:#39|apos);"), "’"),
    (re.compile(r"(?<![^\s(\[])&(?:#34|quot);(?=\S)"), "“"),
    (re.compile(r"&(?:#34|quot);(?=\w)"), " “"),  # the space before it was not its ampersand
    (re.compile("&(?:#34|quot);"), "”"),
)
"""Apostrophes and quotation marks, opening ones first, and what they become."""
ESCAPED = re.compile(r"\\(?=\$)")
BREAK = re.compile(r"\\+")
SPACES = re.compile(r"\s+")


def tidy(table: pd.DataFrame, repairs: Sequence[str]) -> pd.DataFrame:
    """A table with its texts repaired; numbers stay as they are.

    Raises:
        RetrainError: there is no such repair.
    """
    texts = [name for name in table.columns if table[name].dtype != "float64"]
    tidied = {name: pd.Series(tidy_texts(table[name], repairs), table.index, dtype="str") for name in texts}
    return table.assign(**tidied)


def tidy_texts(texts: Iterable[str], repairs: Sequence[str]) -> list[str]:
    """Texts repaired, and without white space around them; raises RetrainError where there is no such repair."""
    for name in repairs:
        if name not in REPAIRS:
            raise RetrainError("repairs", f"unknown '{name}'", schema.nearest(name, REPAIRS))
        texts = map(REPAIRS[name], texts)
    return [text.strip() for text in texts]


def repair_entities(text: str) -> str:
    """Turn entities into their characters, also those whose ampersand became a space: `Bush #39;s` -> `Bush’s`.

    Apostrophes and quotation marks become typographic ones. So they stay apart from those that were typed, which a
    model may want to know: they tell the feed that a text is from.
    """
    if ";" not in text:
        return text
    text = LOST.sub(r"&\1;", text)
    for quote, character in QUOTES:
        text = quote.sub(character, text)
    return html.unescape(text)


def repair_backslashes(text: str) -> str:
    r"""Turn the backslashes that stand for line breaks into line breaks, and `\$` into a dollar sign."""
    return BREAK.sub("\n", ESCAPED.sub("", text)) if "\\" in text else text


def repair_spaces(text: str) -> str:
    """Make every run of white space one space."""
    return SPACES.sub(" ", text)


REPAIRS = {"entities": repair_entities, "backslashes": repair_backslashes, "spaces": repair_spaces}


@dataclass(frozen=True)
class Cleaned:
    """A table after cleaning, with what was dropped from it."""

    rows: pd.DataFrame
    empty: int
    duplicates: int


def clean(table: pd.DataFrame, repairs: tuple[str, ...]) -> Cleaned:
    """Repair texts, then drop rows without inputs or target, then exact duplicates but for the first."""
    inputs, target = list(table.columns[:-1]), table.columns[-1]
    tidied = tidy(table, repairs)
    blank = tidied[inputs].isin([""]).all(axis=1) | tidied[target].isin([""]) | tidied.isna().any(axis=1)
    kept = tidied[~blank]
    repeated = kept.duplicated()
    return Cleaned(kept[~repeated].reset_index(drop=True), int(blank.sum()), int(repeated.sum()))


def class_names(rows: pd.DataFrame, ordered: tuple[str, ...], where: str) -> list[str]:
    """The classes of a text target: those with an order of their own first, the others alphabetically.

    Raises:
        RetrainError: there is only one class, or a class has a single row, so that it can't be learned and tested.
    """
    counts = rows.iloc[:, -1].value_counts()
    names = [name for name in ordered if name in counts.index] + sorted(set(counts.index) - set(ordered))
    if len(names) == 1:
        raise RetrainError(where, f"'{names[0]}' is the only class", "give it rows of at least two classes")
    for name in names:
        if counts[name] == 1:
            raise RetrainError(where, f"class '{name}' has a single row", "give it more rows, or take it out")
    return names


def categorise(table: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """A table whose target, the last column, is one of these classes."""
    target = table.columns[-1]
    return table.assign(**{target: table[target].astype(pd.CategoricalDtype(names, ordered=False))})
