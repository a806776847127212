"""What does not fit together in the rows to learn from and those of an official test file."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

from retrain import schema
from retrain.data.inspection.column import Column, number_text, shown
from retrain.data.inspection.number_columns import is_year_name
from retrain.data.inspection.oddities import classes_of, label_of, rows_with, without_target
from retrain.data.reading.file_format import MARKERS
from retrain.data.reading.sql_table import Table
from retrain.data.repairs import one_spelling
from retrain.errors import RetrainError

import numpy as np

__all__ = ["check_names", "classes_of_both", "oddities_of_order", "oddities_of_test"]


SCALE = 2.0
"""Typical numbers of two files that differ by this factor may have different units."""
UNANSWERED = (
    "if the answers are not known, leave out --test-file, and give the file to retrain predict after the training"
)
"""What to do about a test file with one answer for all rows, as those of competitions have."""
CODE = re.compile(r"0\d+|-?\d{16,}")
"""Digits that are a name and not a number."""


def check_names(train: Table, test: Table, columns: Sequence[Column], dataset: str) -> None:
    """Raise RetrainError if the test file lacks the target or an input.

    Args:
        train: the rows to learn from.
        test: those of the official test file.
        columns: the target, then the inputs.
        dataset: the name of the dataset, for advice.
    """
    target, known = columns[0].name, {*map(schema.column_name, train.names)}
    own = {*map(schema.column_name, test.names)}
    if schema.column_name(target) not in own:
        fact = f"has no column '{target}', but a test file needs the answers"
        hint = f"add them, or use it after the training: retrain predict {dataset} --file {test.shown}"
        if near := schema.nearest_name(target, own - known):
            fact, hint = f"has no column '{target}'", f"did you mean '{near}'? Write it as in {train.shown}"
        elif test.kind == "csv" and not own & known:
            fact, header = f"has no column of {train.shown}", test.reading[0].join(train.names)
            hint = f"if its first line is a row, write the names above it: {schema.shortened(header, 60)}"
        raise RetrainError(test.shown, fact, hint)
    if not any(schema.column_name(column.name) in own for column in columns[1:]):
        fact = f"has answers, but no column of {train.shown} to predict them from"
        raise RetrainError(test.shown, fact, "give one file with both; a sample of a submission has no real answers")
    for column in columns:
        test.column(column.name)


def classes_of_both(train: Table, test: Table, target: Column) -> Mapping[str, str]:
    """What to call the values of a label: also the numbers that only the test file spells in another way, such as 1.0 for 1."""

    def numbers_of(table: Table) -> dict[str, float | None]:
        label = label_of(table, target)
        number = table.number(target.name)
        return dict(table.select(f"distinct {label}, {number}", f"where {label} is not null order by 2, 1"))

    values = numbers_of(train)
    by_value = {value: name for name, value in values.items()}
    if None in by_value or len(by_value) < len(values) or any(map(CODE.fullmatch, values)):
        return target.rename
    others = {
        name: value for name, value in numbers_of(test).items() if name not in values and not CODE.fullmatch(name)
    }
    found = {name: by_value[value] for name, value in others.items() if value in by_value}
    return {**{name: name for name in values}, **target.rename, **found} if found else target.rename


def oddities_of_test(
    train: Table, test: Table, columns: Sequence[Column], classes: Mapping[str, int], *, is_by_time: bool = False
) -> Iterator[str]:
    """Sentences about what is odd in an official test file, compared with the file to learn from.

    Args:
        train: the rows to learn from.
        test: those of the official test file, in the same format.
        columns: the target, then the inputs.
        classes: the classes of the target; empty if it is a number.
        is_by_time: whether the user has said that the newest rows are for the test.

    Raises:
        RetrainError: the test file has a value that is not what its column holds, no answer that is known, or all rows of
            the other file.
    """
    target = columns[0]
    numbers = [own.name for own in columns if own.kind == "numbers" or own.predict == "number"]
    check_values(train, test, numbers, [own.name for own in columns if own.kind == "dates"])
    answered = rows_with(test, target)
    if not answered:
        raise RetrainError(test.shown, f"has no value in '{target.name}'", "enter the answers")
    if target.predict == "label":
        yield from unknown_classes(train, test, target, classes)
    answer = label_of(test, target) if target.predict == "label" else test.number(target.name)
    first, different = test.ask(f"min({answer}), count(distinct {answer})")
    if different == 1 and answered > 1:
        same = shown(first) if target.predict == "label" else number_text(first)
        yield f"all {answered:,} rows of {test.shown} have the answer {same}: {UNANSWERED}"
    yield from without_target(len(test), len(test) - answered, test.shown)
    yield from rows_of_both(train, test, columns)
    may_grow = is_by_time or is_later(train, test, columns)
    for number in numbers:
        yield from other_scale(train, test, number, may_grow=may_grow)
    for own in columns:
        if own.kind == "dates":
            yield from other_offsets(train, test, own.name)
        if own.kind == "categories" and own.distinct < len(train) / 2:
            yield from no_known_category(train, test, own.name)


def oddities_of_order(train: Table, test: Table, group: str | None, time: str | None) -> Iterator[str]:
    """What is odd about groups and times in the two files, if the test file has them."""
    names = [schema.column_name(name) for name in test.names]
    if group is not None and names.count(group) == 1:
        first, second = (
            [value for (value,) in table.select(f"distinct {table.column(group)}") if value] for table in (train, test)
        )
        same = one_spelling([*first, *second])
        groups = {same[value] for value in second}
        if shared := sorted(groups.intersection(map(same.__getitem__, first))):
            fact = f"{len(shared):,} of {len(groups):,} values of {shown(group)} in {test.shown}, such as {shown(shared[0])}"
            yield f"{fact}, are also in {train.shown}: if new rows have other values, the test looks too good"
    if time is not None and names.count(time) == 1:
        (newest,), own = train.ask(f"max({train.date(time)})"), test.date(time)
        count, older = test.ask(f"count({own}), count(*) filter ({own} < timestamp '{newest}')")
        if older:
            rows = f"{older:,} of {count:,} rows of {test.shown}"
            yield f"{rows} are older than the newest row of {train.shown}: a test on the past says little about the future"


def rows_of_both(train: Table, test: Table, columns: Sequence[Column]) -> Iterator[str]:
    """Rows to learn from whose inputs the test file has too; raises RetrainError if all are."""
    first, second = (
        table.to_pandas(
            {"inputs": f"hash({', '.join(table.column(own.name) for own in columns[1:])})"},
            f"where {label_of(table, columns[0])} is not null",
        )["inputs"]
        for table in (train, test)
    )
    shared = int(np.isin(first, second).sum())
    if shared == len(first):
        fact = f"has the inputs of all {shared:,} rows of {train.shown}, so none is left to learn from"
        raise RetrainError(
            test.shown, fact, f"give another test file, or leave out --test-file to test on a part of {train.shown}"
        )
    if shared:
        fact = f"{shared:,} of {len(first):,} rows of {train.shown} have the inputs of a row of {test.shown}"
        yield f"{fact}: the model does not learn from them"


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
    if len(unknown) == len(counts):
        fact = f"has {schema.some_of(unknown)} in '{target.name}', which no row of {train.shown} has"
        hint = f"write the classes of both files in one way: {both}"
        raise RetrainError(test.shown, fact, hint if unknown[1:] else f"{hint}; {UNANSWERED}")
    if unknown:
        rows = sum(counts[name] for name in unknown)
        which = f"1 row of {test.shown} has" if rows == 1 else f"{rows:,} rows of {test.shown} have"
        fact = f"{which} a class that no row of {train.shown} has, such as {shown(unknown[0])}"
        hint = f"write the classes of both files in one way ({both})"
        if absent := [name for name in unknown if name.lower() in MARKERS]:
            hint = (
                f"if {shown(absent[0])} means that it is missing, add --missing {shlex.quote(absent[0])}; else {hint}"
            )
        yield f"{fact}: {hint}"


def is_later(train: Table, test: Table, columns: Sequence[Column]) -> bool:
    """Whether all dates, or all years, of the test file are behind those of the train file."""
    for own in columns:
        if own.kind == "dates" or (own.kind == "numbers" and is_year_name(own.name)):
            first, second = (
                table.date(own.name) if own.kind == "dates" else table.number(own.name) for table in (train, test)
            )
            (last,), (start,) = train.ask(f"max({first})"), test.ask(f"min({second})")
            if last is not None and start is not None and start > last:
                return True
    return False


def other_scale(train: Table, test: Table, name: str, *, may_grow: bool) -> Iterator[str]:
    """Numbers of the test file that are mostly outside those of the train file, as with another unit, or later."""
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
        hint = "check the unit and the decimal mark" + ("; or it may grow with time" if may_grow else "")
        most = f"{number_text(low)} to {number_text(high)}"
        yield f"{values}, are outside most of those in {train.shown} ({most}): {hint}"


def other_offsets(train: Table, test: Table, name: str) -> Iterator[str]:
    """That times have an offset from UTC in one of the files, and none in the other."""
    found = {table.shown: table.has_offsets(name) for table in (train, test)}
    if {*found.values()} == {True, False}:
        first, second = sorted(found, key=lambda table: not found[table])
        fact = f"times in {shown(name)} have an offset from UTC in {first} and none in {second}, so these count as UTC"
        yield f"{fact}: write the times of both files in one way"


def no_known_category(train: Table, test: Table, name: str) -> Iterator[str]:
    """A column of categories of which the test file has none that the train file has."""
    known, own = (
        {value for (value,) in table.select(f"distinct {table.value(name)}") if value is not None}
        for table in (train, test)
    )
    if own and known.isdisjoint(own):
        some = f"such as {shown(min(own))} and {shown(min(known))}"
        yield f"{test.shown} and {train.shown} have no value of {shown(name)} in common, {some}: check the spelling"
