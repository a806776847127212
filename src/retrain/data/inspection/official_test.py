"""What does not fit together in the rows to learn from and those of an official test file."""

import shlex
from collections.abc import Iterator, Mapping, Sequence

from retrain import schema
from retrain.data.inspection.column import Column, number_text, shown
from retrain.data.inspection.oddities import classes_of
from retrain.data.sql_table import Table
from retrain.errors import RetrainError

__all__ = ["oddities_of_test"]


SCALE = 2.0
"""Typical numbers of two files that differ by this factor may have different units."""


def oddities_of_test(
    train: Table, test: Table, columns: Sequence[Column], classes: Mapping[str, int], name: str
) -> Iterator[str]:
    """Sentences about what is odd in an official test file, compared with the file to learn from.

    Args:
        train: the rows to learn from.
        test: those of the official test file, in the same format.
        columns: the target, then the inputs.
        classes: the classes of the target; empty if it is a number.
        name: the name of the dataset, for advice.

    Raises:
        RetrainError: the test file lacks a column, has a value that is not what its column holds, or no answer that is known.
    """
    target = columns[0]
    if schema.column_name(target.name) not in map(schema.column_name, test.names):
        fact = f"has no column '{target.name}', but a test file needs the answers"
        predict = f"use it after the training: retrain predict {name} --file {test.shown}"
        raise RetrainError(test.shown, fact, f"add them, or {predict}")
    for own in columns:
        test.column(own.name)
    numbers = [own.name for own in columns if own.kind == "numbers" or own.predict == "number"]
    check_values(train, test, numbers, [own.name for own in columns if own.kind == "dates"])
    if target.predict == "label":
        yield from unknown_classes(train, test, target, classes)
    for number in numbers:
        yield from other_scale(train, test, number)
    for own in columns:
        if own.kind == "categories" and own.distinct < len(train) / 2:
            yield from no_known_category(train, test, own.name)


def check_values(train: Table, test: Table, numbers: Sequence[str], dates: Sequence[str]) -> None:
    """Raise RetrainError if a number or a date of the test file can't be read as those of the train file."""
    kinds = {
        **{name: ("number", test.number(name)) for name in numbers},
        **{name: ("date", test.date(name)) for name in dates},
    }
    for name, (kind, converted) in kinds.items():
        for row, value in test.wrong(name, converted)[:1]:
            comma = ", with a decimal comma" if kind == "number" and train.decimal(name) == "," else ""
            hint = f"write each {kind} in one way in both files{comma}"
            if not any(sign.isdigit() for sign in value):
                hint = f"if it means a missing value, add --missing {shlex.quote(value)}"
            fact = f"holds {shown(value)}, which is not a {kind} as in {train.shown}"
            raise RetrainError(test.place(row, name), fact, hint)


def unknown_classes(train: Table, test: Table, target: Column, classes: Mapping[str, int]) -> Iterator[str]:
    """Classes that only the test file has; raises RetrainError if it has no other."""
    counts = classes_of(test, target)
    unknown = [name for name in counts if name not in classes]
    both = f"{train.shown} has {schema.some_of(list(classes))}"
    if not counts:
        raise RetrainError(test.shown, f"has no value in '{target.name}'", "enter the answers")
    if len(unknown) == len(counts):
        fact = f"has {schema.some_of(unknown)} in '{target.name}', which no row of {train.shown} has"
        raise RetrainError(test.shown, fact, f"write the classes of both files in one way: {both}")
    if unknown:
        rows = sum(counts[name] for name in unknown)
        fact = f"{rows:,} rows of {test.shown} have a class that no row of {train.shown} has"
        yield f"{fact}, such as {shown(unknown[0])}: write the classes of both files in one way ({both})"


def other_scale(train: Table, test: Table, name: str) -> Iterator[str]:
    """Numbers of the test file that are mostly outside those of the train file, as with another unit."""
    number = train.number(name)
    low, high, usual = train.ask(f"quantile_cont({number}, 0.01), quantile_cont({number}, 0.99), median(abs({number}))")
    number = test.number(name)
    if low is None:
        return
    is_far = f"({number} < {low!r} or {number} > {high!r})"
    count, far, own, first = test.ask(
        f"count({number}), count(*) filter ({is_far}), median(abs({number})), arg_min({number}, rowid) filter ({is_far})"
    )
    if far > count / 2 and not usual / SCALE < own < usual * SCALE:
        values = f"{far:,} of {count:,} values of {shown(name)} in {test.shown}, such as {number_text(first)}"
        yield f"{values}, are outside most of those in {train.shown} ({low:.4g} to {high:.4g}): check the unit and the decimal mark"


def no_known_category(train: Table, test: Table, name: str) -> Iterator[str]:
    """A column of categories of which the test file has none that the train file has."""
    known, own = (
        {value for (value,) in table.select(f"distinct {table.value(name)}") if value is not None}
        for table in (train, test)
    )
    if own and known.isdisjoint(own):
        some = f"such as {shown(min(own))} and {shown(min(known))}"
        yield f"{test.shown} and {train.shown} have no value of {shown(name)} in common, {some}: check the spelling"
