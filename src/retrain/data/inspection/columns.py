"""What the columns of a table hold. Every guess says why it was made, and has an option of `retrain add`."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import replace

from retrain.data.inspection.column import Column, shown
from retrain.data.inspection.date_columns import almost_dates, clock_column, date_column, formats_of, no_dates
from retrain.data.inspection.dialect import MOSTLY, Wishes
from retrain.data.inspection.look import FEW_CLASSES, Look, looked_at, looks
from retrain.data.inspection.number_columns import (
    ROW_NUMBERS,
    is_row_name,
    no_numbers,
    number_column,
    numbers_of,
    of_numbers,
    other_mark,
    plain_numbers,
    sentinels_of,
    two_marks,
)
from retrain.data.inspection.several_values import several_choices, several_values
from retrain.data.inspection.word_columns import amounts, recorded, word_column
from retrain.data.reading.expressions import literal
from retrain.data.reading.file_format import LETTERS
from retrain.data.reading.sql_table import Table
from retrain.errors import RetrainError

__all__ = ["column_of", "columns_of"]


LABEL = re.compile(r"(^|[_ .])(class|code|label|category|type|kind|group|topic)$", re.IGNORECASE)
"""Names of targets whose whole numbers stand for classes."""
INDEX = re.compile(r"Unnamed: 0(\.\d+)*|__index_level_\d+__")
"""Names that pandas gives to an index that it has written."""
NEARLY = rf"(\D{{0,5}}[^\d{LETTERS}])?\d[\d.,\x27\x{{2019}}\x{{a0}}\x{{202f}} ]*\D{{0,6}}"
"""A number, perhaps with something in front or behind. A letter directly in front may be part of a code."""
PREDICT_DAYS = "to predict a time, write it as a number, such as days"


def columns_of(table: Table, target: str, wishes: Wishes) -> list[Column]:
    """What the columns of a table hold. The target comes first, the others follow in the order of the file.

    Raises:
        RetrainError: there is no target of that name, or a wish names a column that is not there.
    """
    for name in (target, *wishes.kinds):
        if name not in table.unread or wishes.kinds.get(name) != "leave_out":
            table.column(name)
    inputs = [name for name in table.names if name and table.names.count(name) == 1 and name not in table.unread]
    looked = looks(table, [target, *(name for name in inputs if name != target)])
    found = [target_column(next(looked), wishes.predict)]
    inside = {column.name: column_of(column, wishes.kinds.get(column.name)) for column in looked}
    for name in table.names:
        if not name or table.names.count(name) > 1:
            why = "no name" if not name else "several columns have this name"
            is_first = name and name not in {own.name for own in found}
            doubts = (
                (f"several columns are called {shown(name)}, so they are left out: rename them",) if is_first else ()
            )
            found.append(Column(name, "leave_out", why, 0, 0, doubts=doubts))
        elif name in table.unread:
            found.append(Column(name, "leave_out", table.unread[name], 0, 0))
        elif name != target:
            found.append(inside[name])
    return found if any(own.kind not in ("target", "leave_out") for own in found) else with_counts(table, found)


def with_counts(table: Table, columns: Sequence[Column]) -> list[Column]:
    """The columns of a table without inputs. Numbers that count the rows may be steps or times, if they are not called an ID."""
    found = []
    for own in columns:
        if own.why == ROW_NUMBERS and not is_row_name(own.name):
            with looked_at(table, own.name) as column:
                found.append(plain_numbers(column))
        else:
            found.append(own)
    return found


def uselessness(column: Look) -> str:
    """Why a model can't learn from a column of any kind; empty if it may."""
    if column.name in recorded(column.table):
        return "how the label was given, which new rows don't have"
    if not column.filled:
        return "empty"
    if INDEX.fullmatch(column.name):
        return "an index that pandas has written"
    return f"always {shown(column.fact('min(v)')[0])}" if column.distinct == 1 and not column.missing else ""


def column_of(column: Look, wish: str | None) -> Column:
    """What an input column holds."""
    if wish is not None:
        return as_wished(column, wish)
    if why := uselessness(column):
        return column.column("leave_out", why)
    if column.is_numeric:
        return number_column(column)
    found = date_column(column) or clock_column(column) or word_column(column)
    if found.kind == "dates":
        return found
    parts = several_values(column)
    told = (
        parts
        or two_marks(column)
        or other_mark(column)
        or may_be_labels(column, f"--numbers {shlex.quote(column.name)}")
        or found.doubts
        or (found.kind == "categories" and several_choices(column))
        or almost_dates(column)
        or column.mixed(are_numbers=False)
        or amounts(column, found)
    )
    return replace(found, doubts=told, scattered=found.scattered and not told, has_parts=bool(parts))


def as_wished(column: Look, wish: str) -> Column:
    """A column of the kind that the user gave; raises RetrainError if its values are of another kind."""
    why = "as you asked"
    if wish == "numbers":
        return column.column(
            wish,
            why + column.absent,
            markers=numbers_of(column),
            doubts=(*column.lost, *column.mixed(are_numbers=True)),
        )
    if wish != "dates":
        return column.column(wish, why)
    found = date_column(column, asked=True)
    if found is None:
        raise no_dates(column)
    return replace(found, why=f"{why}, {found.why}")


def target_column(column: Look, predict: str | None) -> Column:
    """The column to predict: a label or a number."""
    (zeros,) = column.ask("count(*) filter (regexp_matches(v, '^0\\d+$'))")
    if predict == "label" or (predict is None and (zeros or not column.is_numeric)):
        if column.distinct > max(FEW_CLASSES, column.filled / 2):
            fact = f"has {column.distinct:,} different values in {column.filled:,} rows, too many for a label"
            (nearly,) = column.ask(f"avg(regexp_full_match(v, {literal(NEARLY)})::int)", column.sample)
            if predict is None and (nearly or 0) > MOSTLY and not formats_of(column):
                raise no_numbers(column, f", and the column {fact}", "choose another target")
            raise RetrainError(f"column '{column.name}'", fact, "choose another target, or write its values as numbers")
        why = "as you asked" if predict else "codes that begin with 0" if zeros else "not numbers"
        why = f"a label with {column.distinct:,} different values ({why})"
        dates = f"the target {shown(column.name)} holds dates, and each is a class: {PREDICT_DAYS}"
        label = column.column("target", why, predict="label")
        doubts = (dates,) if formats_of(column) else may_be_labels(column, "--predict number")
        if predict is None and not doubts and not zeros:
            doubts = column.almost_numbers("classes")
        if predict is None and not doubts and column.distinct > FEW_CLASSES:
            doubts = column.mixed(are_numbers=False) or amounts(column, label, "classes")
        return replace(label, doubts=doubts)
    numbers_of(column)
    some = column.select("distinct x", f"where x is not null order by 1 limit {FEW_CLASSES + 1}")
    spelt = (
        dict(column.select("distinct v, x", "where x is not null order by 2, 1")) if len(some) <= FEW_CLASSES else {}
    )
    may_be_class = predict == "label" or (LABEL.search(column.name) and column.ends[0] >= 0)  # 99, among codes
    sentinels, far = sentinels_of(column) if spelt and not may_be_class else ((), "")
    spelt = {text: x for text, x in spelt.items() if text not in sentinels}
    values = [*dict.fromkeys(spelt.values())] or [value for (value,) in some]
    whole = len(values) <= FEW_CLASSES and all(value == round(value) for value in values)
    counted = whole and (values == list(range(len(values))) or LABEL.search(column.name))
    # Longer numbers are codes: as numbers, some would be the same.
    long = any(re.fullmatch(r"-?\d{16,}", text) for text in spelt)
    names = {text: text if long else number_name(value) for text, value in spelt.items()}
    classes = list(dict.fromkeys(names.values()))
    if predict is None and (0 < len(classes) <= 2 or counted or (long and len(classes) <= FEW_CLASSES)):
        why = f"a label, because its values are {', '.join(classes[:3])}{' ...' if len(classes) > 3 else ''}"
        if len(classes) > 2 and not (long or LABEL.search(column.name)):
            why += "; if they are counts, add --predict number"
        markers = tuple(text for text in column.odd if text not in column.strangers)  # another word is a class
        return column.column(
            "target",
            why + far + column.missing_if({text: column.odd[text] for text in markers}),
            predict="label",
            rename=names if len(names) > len(classes) else {},
            markers=markers,
            sentinels=sentinels,
        )
    found = of_numbers(column, "target", "a number", "--predict label", lambda _: PREDICT_DAYS, predict="number")
    as_input = number_column(column)
    named = f"the target {shown(column.name)} seems to name the rows ({as_input.why}): if so, choose another one"
    return replace(found, doubts=(*found.doubts, *([named] if as_input.kind == "leave_out" else ())))


def may_be_labels(column: Look, option: str) -> tuple[str, ...]:
    """What to say about whole numbers in parentheses that are read as words."""
    first = column.in_parentheses
    fact = f"{shown(first)} in {shown(column.name)} is read as a word"
    return (f"{fact}: if it is a negative number, add {option}",) if first else ()


def number_name(value: float) -> str:
    """The name of a class that is a number, with all its digits."""
    return f"{value + 0.0:.0f}" if value == round(value) else repr(value)
