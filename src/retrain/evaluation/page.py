"""Tables, charts and numbers as the report shows them."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from retrain.evaluation import svg

__all__ = [
    "MEANINGS",
    "MOST_ROWS",
    "NOTHING",
    "PERCENT",
    "Figure",
    "Table",
    "csv_table",
    "in_words",
    "short",
    "shortened",
    "shown",
    "thinned",
]


MEANINGS = {
    "accuracy": "share of rows with the right class",
    "macro_f1": "F1 score, averaged over the classes: a rare class counts as much as a frequent one",
    "log_loss": "how surprised the probabilities are by the right class; 0 is best",
    "brier": "squared error of all probabilities of a row, averaged; 0 is best, 2 is worst",
    "calibration_error": "mean distance between the confidence and the share of right answers; 0 is best, but a model that knows nothing can have it, too",
    "rmse": "root mean squared error, in units of the target; large errors count more",
    "mae": "mean absolute error, in units of the target",
    "r2": "share of the target's variance that the model explains; 1 is best, below 0 is worse than the mean",
    "coverage": "share of rows whose target is within the interval of its prediction",
}
PERCENT = {
    "accuracy", "macro_f1", "coverage", "probability", "error_rate", "precision", "recall", "f1", "share",
    "similarity",
}  # fmt: skip
"""Numbers that are shares."""
WORDS = {
    "r2": "R²", "rmse": "RMSE", "mae": "MAE", "macro_f1": "macro F1", "f1": "F1", "support": "test rows", "brier": "Brier score",
    "p_value": "p-value",
}  # fmt: skip
"""Names that are not words."""
NOTHING = "—"
"""A cell of a table without a value."""
MOST_ROWS, LONGEST_TEXT = 50, 120
"""Rows of a table, and characters of a text."""
DIGITS, MOST_DECIMALS, LARGEST = 5, 6, 1e9
"""Digits of the largest number of a column; the most decimals; and the size from which numbers have an exponent."""
TEXTS = {"category", "text", "date"}
"""What a column holds whose cells are shown as they are, also where all look like numbers."""
MIDNIGHT = " 00:00:00"
"""The end of a date without a time."""
NO_INPUTS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Table:
    """A table of the page: texts only.

    Attributes:
        caption: what it shows, which no other table of the page says.
        columns: the header.
        rows: the cells; the first one of a row names it.
        numeric: the columns that hold numbers.
        left_out: the number of rows that are not shown.
        dates: the columns that hold dates, which stay on one line.
        levels: the colours of the cells of each row, without its first, if there are any.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: frozenset[int] = frozenset()
    left_out: int = 0
    dates: frozenset[int] = frozenset()
    levels: Sequence[Sequence[int]] = ()


@dataclass(frozen=True)
class Figure:
    """A chart of the page with its caption and legend.

    Attributes:
        image: the chart as SVG.
        caption: a sentence.
        legend: kinds of lines or marks with their names.
        wide: whether it keeps its size and scrolls in its box.
    """

    image: str
    caption: str
    legend: Sequence[tuple[str, str]] = ()
    wide: bool = False


def shown(name: str, value: float) -> str:
    """A number for people, by the name of its metric or column."""
    if name == "p_value":
        return "less than 0.001" if value < 0.001 else f"{value:.3f}"
    return svg.percent(value) if name in PERCENT else short(value)


def short(value: float) -> str:
    """A number with three digits, or four from 1 on, or more where it is large and whole digits say how large."""
    if 1_000 <= abs(value) < 1e9:
        return f"{value:,.0f}"
    return f"{value:#.{4 if abs(value) >= 1 else 3}g}"


def in_words(name: str) -> str:
    """The name of a metric or column as words."""
    return WORDS.get(name, name.replace("_", " "))


def thinned(values: Sequence[Any], most: int) -> list[Any]:
    """Values in equal distances, of which there are at most this many."""
    return list(values[:: max(math.ceil(len(values) / most), 1)])


def csv_table(
    caption: str,
    columns: Mapping[str, Sequence[str]],
    most: int,
    inputs: Mapping[str, str] = NO_INPUTS,
    classes: Collection[str] = (),
) -> Table:
    """A table of evaluate as the page shows it: short texts, and numbers for people.

    Args:
        caption: what it shows.
        columns: the cells of each column.
        most: the most rows that are shown.
        inputs: the columns that are inputs, with what they hold, as far as that is recorded. An input called `share` need
            not be one.
        classes: the columns that hold classes, which may look like numbers.
    """
    texts = {*classes, *(name for name, kind in inputs.items() if kind in TEXTS)}
    numeric = frozenset(
        place
        for place, (name, cells) in enumerate(columns.items())
        if name not in texts and any(cells) and all(map(is_number, filter(None, cells)))
    )
    shown_columns = []
    for place, (name, cells) in enumerate(columns.items()):
        if place in numeric:
            shown_columns.append(number_cells(name, cells[:most], is_input=name in inputs))
        else:
            whole = inputs.get(name) == "date" and all(cell.endswith(MIDNIGHT) for cell in filter(None, cells))
            shown_columns.append([shortened(cell.removesuffix(MIDNIGHT) if whole else cell) for cell in cells[:most]])
    count = len(next(iter(columns.values())))
    rows = [list(row) for row in zip(*shown_columns, strict=True)]
    names = [shortened(name) if name in inputs else in_words(name) for name in columns]
    dates = frozenset(place for place, name in enumerate(columns) if inputs.get(name) == "date")
    return Table(caption, names, rows, numeric, count - len(rows), dates)


def is_number(cell: str) -> bool:
    """Whether a cell holds a finite number."""
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def number_cells(name: str, cells: Sequence[str], *, is_input: bool = False) -> list[str]:
    """The numbers of a column for people, all with the same decimals: as they are if the largest then has five digits at most, else four digits of it.

    Args:
        name: the name of the column.
        cells: the numbers; empty where there is none.
        is_input: whether they are inputs, whose name has no meaning here. Whole numbers of four digits may be years.
    """
    values = [float(cell) for cell in cells if cell]
    if not is_input and (name in PERCENT or name == "p_value"):
        return [shown(name, float(cell)) if cell else NOTHING for cell in cells]
    largest = max(map(abs, values), default=0.0)
    most = DIGITS - 1 - math.floor(math.log10(largest)) if largest else 0
    exact = (few for few in range(most + 1) if all(round(value, few) == value for value in values))
    decimals = next(exact, min(max(most - 1, 0), MOST_DECIMALS))
    is_plain = name.endswith("row") or (is_input and not decimals and largest < 10_000)
    written = f"{'' if is_plain else ','}.{decimals}f"

    def text(value: float) -> str:
        is_rounded_away = value and not round(value, decimals)
        return f"{value:.3g}" if is_rounded_away or abs(value) >= LARGEST else f"{value:{written}}"

    return [text(float(cell)) if cell else NOTHING for cell in cells]


def shortened(text: str) -> str:
    """The beginning of a text on one line."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_TEXT else f"{line[: LONGEST_TEXT - 1]}…"
