"""What a user should know about a table before training: repeats, contradictions, leaks, rare classes, heavy tails."""

import json
import math
import re
import shlex
import warnings
from collections.abc import Collection, Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

from retrain import schema
from retrain.data.inspection.column import Column, number_text, shown
from retrain.data.inspection.dialect import LOOKED_AT, MOSTLY, is_number
from retrain.data.inspection.groups import order_of_time, rows_of_one
from retrain.data.inspection.look import rows_of
from retrain.data.inspection.several_values import joined
from retrain.data.inspection.word_columns import ACCEPT, NO, YES, alike, verdicts
from retrain.data.reading.expressions import literal, moment
from retrain.data.reading.file_format import MARKERS, ODD_SHARE, is_clock
from retrain.data.reading.sql_table import Table

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

__all__ = ["classes_of", "label_of", "oddities", "rows_with", "without_target"]


FEW_ROWS = 200
"""Rows of a test split below which a metric says little."""
RARE = 10
UNBALANCED = 0.8
"""The share of the largest class above which accuracy says little."""
LEAK = 0.99
"""The share of the target that a single column explains, from which it probably reveals it."""
FEWEST_LEAKED = 4
"""Rows of a rare class, in a half of those looked at, from which a column that tells it is more than chance."""
FEWEST_COPIED, FEWEST_SPLIT = 20, 50
"""Rows with a value from which a column may be a copy of the target; and rows of which a half tells about the other one."""
SAME_ORDER, FEW_VALUES = 0.9995, 10
"""The rank correlation with the target from which a column of numbers has the same order, if both have more values than these."""
CHANCE = 1e-6
"""How likely it may be that a column is one to one with the target by chance."""
MOST_PAIRED, EXACTLY = 40, 1e-6
"""Columns of which each two are tried; and the difference to the target, as a share of it or of the median one, that is rounding."""
NAMED = 6
"""Columns and classes that a message names."""
HEADERS = 3
"""First rows that may be further lines of a header."""
TOTAL = (
    r"((grand|sub)[ -]?)?(totals?|sum)|(zwischen|gesamt)?summe|gesamt|insgesamt|(gesamt|teil)ergebnis"
    r"|(sous-)?total(e| general| g[ée]n[ée]ral)?|suma|итого|всего|合計|小計|合计|小计|总计"
)
SUMMARIES, SUMMARY = 3, rf"(?i)(({TOTAL})|(mean|average|avg|mittelwert|durchschnitt|moyenne)):?"
"""Last rows that may hold the totals or the means of others, and what they are called."""
PART = re.compile(r"(?i)(sub|grand)[ -]?total|zwischensumme|(gesamt|teil)ergebnis|sous-total|小計|小计").match
"""What no category is called."""
OF_GROUP = r"(?i)[ :_-]+(total|sum|summe|gesamt|ergebnis|mean|average|mittelwert)$"
"""The end of what spreadsheets call the total or the mean of a group, such as North Total."""
COUNTED = re.compile(r"freq(uency)?|counts?|n|anzahl|h(ä|ae)ufigkeit|effectif|frecuencia", re.IGNORECASE)
"""What a column is called that counts rows."""
MOST_GROUPS = 0.75
"""A table of counts has fewer different inputs than this share of its rows: most inputs have a row for each class."""
LIST, LIST_SIGNS = re.compile(r"\[.*\]|\{.*\}|(<[^<>]+>)+"), re.compile(r"[\[\]{}<>'\", ]+")
"""Several labels as JSON, Python and Stack Overflow write them, and the signs around them."""

DAMAGED = r"\x{fffd}|[\x{c2}\x{c3}][\x{80}-\x{9f}\x{a1}-\x{ba}\x{bc}-\x{bf}\x{153}\x{160}\x{178}\x{17e}\x{192}\x{2030}]|\x{e2}\x{20ac}"
"""The sign of a lost letter, and letters of UTF-8 that were read as cp1252, as in K\xc3\xb6ln for K\xf6ln."""
NO_VALUES = ("[]", "{}")
"""Lists and objects without a value, as annotation programs write them for a row without a label."""


def oddities(
    table: Table, columns: Sequence[Column], test_share: float = 0.2, *, is_divided: bool = False
) -> Iterator[str]:
    """Sentences about what is odd, the most important ones first.

    Args:
        table: the rows.
        columns: what the columns hold, the target first.
        test_share: the share of rows in the test split.
        is_divided: whether the user has said how rows are divided into splits.
    """
    target, inputs = columns[0], [column for column in columns[1:] if column.kind != "leave_out"]
    yield from second_headers(table, columns)
    yield from rows_about_rows(table, columns)
    yield from without_names(table)
    yield from filled_once(table, target)
    yield from counted(table, target, inputs)
    yield from unaccepted(table, target)
    yield from unused_markers(table)
    yield from unused_dates(table, columns)
    for column in columns:
        yield from column.doubts
    yield from about_columns(table, columns)
    if target.sentinels:
        many = "count" if target.sentinels[1:] else "counts"
        yield f"the target {schema.enumerated(target.sentinels)} {many} as missing, and its rows are left out (--missing, --predict)"
    time = order_of_time(table, inputs)
    copies, telling = leaks(table, target, [own for own in inputs if own is not time or target.predict == "label"])
    if not is_divided:
        if time is not None:
            option = f"--time {shlex.quote(time.name)}"
            yield f"the rows are in the order of {shown(time.name)}: to test on the newest ones, add {option}"
        expression = label_of(table, target) if target.predict == "label" else table.number(target.name)
        for own, line in rows_of_one(table, columns, expression, copies, telling):
            telling = [other for other in telling if other is not own]
            yield line
    if found := [own for own in inputs if own in copies or own in telling]:
        yield f"{named(found)} alone {'tell' if found[1:] else 'tells'} the target almost always: leave out what is not known when you predict (--leave-out)"
    several = one_of_several if target.predict == "label" else made_of_two
    yield from several(table, target, [own for own in inputs if own not in copies])
    yield from repeats(table, target, inputs)
    yield from about_label(table, target) if target.predict == "label" else about_number(table, target)
    cells = ", ".join(f"c{place}" for place in range(len(table.names)))
    (blank,) = table.ask(f"count(*) filter (greatest({cells}, '') = '')")  # as spreadsheets have at the end
    gaps = [column for column in inputs if column.missing - blank > 0.5 * (len(table) - blank)]
    if gaps:
        yield f"more than half of the rows have no value in {named(gaps)}"
    without = len(table) - rows_with(table, target)
    yield from without_target(len(table), without)
    tested = test_share * (len(table) - without)
    if test_share and tested < FEW_ROWS:
        yield f"the test split will have about {tested:.0f} rows, so its metrics are rough: compare several values of split.seed"


def rows_with(table: Table, target: Column) -> int:
    """The number of rows that have a target."""
    return int(table.ask(f"count({label_of(table, target)})")[0])


def without_target(rows: int, without: int, file: str = "") -> Iterator[str]:
    """What to say about the rows of a file that have no target, if there are any."""
    if without:
        which = ("1 row" if without == 1 else f"{without:,} rows") + (f" of {file}" if file else "")
        verbs = ("has", "is") if without == 1 else ("have", "are")
        yield f"{which} ({without / rows:.1%}) {verbs[0]} no target and {verbs[1]} left out"


def label_of(table: Table, target: Column) -> str:
    """The expression of a row's target under its name; NULL where it is missing."""
    value, markers = table.value(target.name), ", ".join(map(literal, ("", *target.markers, *target.sentinels)))
    names = "".join(f" when {literal(text)} then {literal(name)}" for text, name in target.rename.items())
    named = f"case {value}{names} else {value} end" if names else value
    return f"(case when {value} not in ({markers}) then {named} end)"


def unused_markers(table: Table) -> Iterator[str]:
    """Values given as missing that no column has."""
    cells = ", ".join(f"c{place}" for place in range(len(table.names)))
    for text in table.format.missing:
        if not table.select("1", f"where {literal(text)} in ({cells}) limit 1"):
            parts = text.split(",")
            hint = f": repeat it for each value, as in --missing {' --missing '.join(parts)}" if parts[1:] else ""
            yield f"no value is {shown(text)}, which --missing gives{hint}"


def unused_dates(table: Table, columns: Sequence[Column]) -> Iterator[str]:
    """The format given for dates, if no column has it."""
    if (given := table.format.dates) and not any(column.date_format in given for column in columns):
        hint = "" if "%" in given[0] else ": write it with %, as in --date-format '%d/%m/%Y'"
        yield f"no column has dates written as {shown(given[0])}, which --date-format gives{hint}"


def about_columns(table: Table, columns: Sequence[Column]) -> Iterator[str]:
    """Columns that may hold something else than they seem to hold."""
    yield from damaged(table, columns)
    if unanswered := [column for column in columns if column.no_answers]:
        values = "; ".join(f"{schema.enumerated(own.no_answers)} in {shown(own.name)}" for own in unanswered[:NAMED])
        first = json.dumps({unanswered[0].name: unanswered[0].no_answers}, ensure_ascii=False)
        hint = f"if that means a missing answer, set prepare.format.missing_in for each column, such as {first}"
        yield f"unlike the other values: {values}: {hint}"
    yield from about_scattered([column for column in columns if column.scattered and not column.doubts])
    if spelt := [column for column in columns if column.spellings]:
        values = "; ".join(f"{schema.some_of(column.spellings)} in {shown(column.name)}" for column in spelt[:NAMED])
        yield f"spellings of one value count as different ones: write it in one way ({values})"


def damaged(table: Table, columns: Sequence[Column]) -> Iterator[str]:
    """Categories and labels whose letters a program has lost or changed, before the file was written."""
    for own in columns:
        if own.kind == "categories" or own.predict == "label":
            place = place_of(table, own)
            odd = f"where regexp_matches({place}, {literal(DAMAGED)}) group by 1 order by count(*) desc, 1 limit 2"
            if values := [value for (value,) in table.select(place, odd)]:
                yield f"letters of {schema.some_of(values)} in {shown(own.name)} seem to be damaged: export the file again as UTF-8"


def about_scattered(columns: Sequence[Column]) -> Iterator[str]:
    """Columns of words of which nearly every row has its own: what more could be learned from."""
    if columns:
        hint = "write numbers instead, or use --leave-out"
        yield f"nearly every row has its own value in {named(columns)}, from which little can be learned: {hint}"


def second_headers(table: Table, columns: Sequence[Column]) -> Iterator[str]:
    """First rows that look like further lines of a header: units, or questions and IDs as survey programs write them."""
    numbers = [own.name for own in columns if own.kind == "numbers" or own.predict == "number"]
    found, most = [], max(2, len(numbers) / 2)
    for row, cells in enumerate(table.cells(f"where rowid < {HEADERS} order by rowid")):
        likely = [name for name in numbers if may_be_word(cells[table.names.index(name)])]
        survey = any("ImportId" in cell for cell in cells) or (row == 0 and has_no_answers(table, columns, cells))
        if survey or (len(likely) >= most and words_alone(table, likely, row, cells) >= most):
            found.append(row)
    if found:
        between = ", and what is between it and the header" if found[-1] else ""
        yield f"{table.place(found[-1])} looks like a second header, but counts as a row: remove it from the file{between}"


def has_no_answers(table: Table, columns: Sequence[Column], cells: Sequence[str]) -> bool:
    """Whether a row has none of the dates and numbers that all other rows have, but words of its own, such as SurveyMonkey's Response."""
    answers = {own.name: cells[table.names.index(own.name)] for own in columns if own.name}
    known = [
        own for own in columns if own.kind in ("numbers", "dates") or own.predict == "number" or own.option == "numbers"
    ]
    words = [own for own in columns if (own.kind == "categories" or own.predict == "label") and answers[own.name]]
    lacks = any(own.missing == 1 for own in known) and all(answers[own.name] in ("", *own.markers) for own in known)
    return lacks and any(is_single(table, table.names.index(own.name), answers[own.name]) for own in words)


def rows_about_rows(table: Table, columns: Sequence[Column]) -> Iterator[str]:
    """Rows inside a file that repeat its header, and those that have the total or the mean of others."""
    if rows := table.repeated_headers():
        above = table.select("1", f"where c0 like '#%' and rowid = {rows[0][0] - 1}")  # the annotations of InfluxDB
        comments = f", and the lines that begin with # above {'them' if rows[1:] else 'it'}" if above else ""
        yield to_remove(table, rows, "repeats the header") + comments
    last = max(0, len(table) - SUMMARIES)
    numbers = [own for own in columns if own.kind == "numbers" or own.predict == "number"]
    ends = f"where rowid < {HEADERS} or rowid >= {last} order by rowid"
    for (row,), cells in zip(table.select("rowid", ends), table.cells(ends), strict=True):
        if row < min(HEADERS, last) and not any(
            re.search(r"\d", cells[table.names.index(own.name)]) for own in numbers
        ):
            continue  # further lines of a header may say so, too
        names = (
            name
            for place, cell in enumerate(cells)
            if (name := re.fullmatch(SUMMARY, cell)) and is_single(table, place, cell)
        )
        if name := next(names, None):
            what = "total" if name[2] else "mean"
            yield to_remove(table, [(row,)], f"looks like the {what} of other rows")
    for own in columns:
        if own.kind == "categories" or any(re.fullmatch(SUMMARY, marker) for marker in own.markers):
            inside = f"where rowid between {HEADERS} and {last - 1} and regexp_full_match({place_of(table, own)}, {literal(SUMMARY)}) order by rowid"
            rows = table.select("rowid", inside)
            are_sums = all("" in cells or any(map(PART, cells)) for cells in table.cells(inside))
            if rows and len(rows) <= ODD_SHARE * len(table) and are_sums:
                yield to_remove(table, rows, "looks like a summary of other rows")
        if own.kind in ("categories", "texts"):
            place = place_of(table, own)
            group = f"(case when regexp_matches({place}, {literal(OF_GROUP)}) then regexp_replace({place}, {literal(OF_GROUP)}, '') end)"
            inside = f"where {group} in (select {place} from rows where {place} <> '') order by rowid"
            rows = table.select(f"rowid, {group}", inside)
            groups = {str(name) for _, name in rows}
            members = len(table.select("1", f"where {place} in ({', '.join(map(literal, groups))})")) if rows else 0
            are_few = 0 < 2 * len(rows) <= members  # a kind such as total protein has as many rows as protein
            if are_few and (len(groups) > 1 or all("" in cells for cells in table.cells(inside))):
                yield to_remove(table, rows, "looks like a summary of other rows")

    yield from headers_inside(table, columns)


def headers_inside(table: Table, columns: Sequence[Column]) -> Iterator[str]:
    """Rows that have different words in most columns of numbers, as the header of a second table and a comment have."""
    numbers = [own for own in columns if own.kind == "numbers" or own.predict == "number"]
    markers = {table.names.index(own.name): own.markers for own in numbers}
    words = {place: {word for word in found if word.lower() not in MARKERS} for place, found in markers.items()}
    held = [f"(c{place} in ({', '.join(map(literal, found))}))::int" for place, found in words.items() if found]
    if len(held) < (most := max(2, len(numbers) / 2)):
        return
    inside = f"where rowid >= {HEADERS} and {' + '.join(held)} >= {most} order by rowid"
    rows = table.select("rowid", inside)
    for (row,), cells in zip(rows, table.cells(inside), strict=True):
        own = {place: cells[place] for place, found in words.items() if cells[place] in found}
        again = " or ".join(f"c{place} = {literal(word)}" for place, word in own.items())  # such as calm, for no wind
        is_value = table.ask(f"count(*) filter ({again})")[0] > len(rows)
        if len({*own.values()}) == len(own) and tuple(cells) != table.names and not is_value:
            line = to_remove(table, [(row,)], "has words in columns of numbers, as another header has")
            yield f"{line}, and check that the rows below it have the same columns"
            return


def counted(table: Table, target: Column, inputs: Sequence[Column]) -> Iterator[str]:
    """A column that says how many rows have the values of the others, as in the contingency tables of R."""
    numbers = [own for own in inputs if own.kind == "numbers" and COUNTED.fullmatch(own.name)]
    others = [own for own in inputs if own.kind == "categories"]
    if len(numbers) == 1 == len(inputs) - len(others) and others and target.predict == "label":
        places = ", ".join(place_of(table, own) for own in others)
        classes, groups, rows = table.ask(
            f"count(distinct hash({places}, {place_of(table, target)})), count(distinct hash({places})), count(*)"
        )
        if classes == rows and groups < MOST_GROUPS * rows:
            name = numbers[0].name
            hint = f"frame.loc[frame.index.repeat(frame[{name!r}])].drop(columns={name!r})"
            yield f"{shown(name)} seems to count the rows that have the other values: repeat each row as often, as in pandas: {hint}"


def without_names(table: Table) -> Iterator[str]:
    """Columns that have values, but no name. The first one may have the names of rows, as pandas and R write them."""
    found = []
    for place in [place for place, name in enumerate(table.names) if not name]:
        cell = f"c{place}"
        are_names = f"count(distinct {cell}) = count(*) or bool_and(try_cast({cell} as bigint) is not null)"
        share, first, may_name = table.ask(f"avg(({cell} <> '')::int), min({cell}) filter ({cell} <> ''), {are_names}")
        if share > ODD_SHARE and (place or not may_name):
            found.append(first)
    if found:
        subject = "columns without a name hold" if found[1:] else "a column without a name holds"
        are = "are" if found[1:] else "is"
        yield f"{subject} values such as {listed(found)}, but {are} left out: name {'them' if found[1:] else 'it'} in the header"


def filled_once(table: Table, target: Column) -> Iterator[str]:
    """A first column with a value only in the first row of each group, as spreadsheets save merged cells. A target is labelled in part."""
    first = table.names[0]
    if not first or first == target.name or table.names.count(first) > 1:
        return
    cells = "(select rowid as row, c0 <> '' as here, lag(c0 <> '') over (order by rowid) as above from rows)"
    filled, adjacent, at_top = table.ask(
        "count(*) filter (here), count(*) filter (here and above), bool_or(here and row = 0)", cells
    )
    by_chance = filled * filled / len(table)
    if at_top and 2 * filled <= len(table) and 3 * max(1, adjacent) <= by_chance:
        hint = f"frame[{first!r}] = frame[{first!r}].ffill()"
        yield f"{shown(first)} has a value in {filled:,} rows, and is empty in the rows below each: if these have the same value, as in merged cells, fill it, as in pandas: {hint}"


def unaccepted(table: Table, target: Column) -> Iterator[str]:
    """Rows whose label an annotator has rejected or skipped, as Prodigy exports them."""
    for name in table.names:
        if name != target.name and (counts := verdicts(table, name)):
            others = [value for value in counts if value != ACCEPT]
            rows = rows_of(sum(map(counts.__getitem__, others)))
            values = " or ".join(map(shown, others))
            command = f"frame = frame[frame[{name!r}] == {ACCEPT!r}]"
            yield f"the target may be wrong where {shown(name)} is {values} ({rows}): remove these rows, as in pandas: {command}"


def to_remove(table: Table, rows: Sequence[tuple[Any, ...]], what: str) -> str:
    """The message about rows that should not be in the file. Each row begins with its number."""
    more = f", the first of {len(rows):,} rows that do" if rows[1:] else ""
    return f"{table.place(rows[0][0])} {what}{more}: remove {'them' if more else 'it'} from the file"


def is_single(table: Table, place: int, cell: str) -> bool:
    """Whether a column has a value only once."""
    return bool(table.ask("count(*) = 1", f"rows where c{place} = {literal(cell)}")[0])


def may_be_word(cell: str) -> bool:
    """Whether a cell in a column of numbers may be a word: it is not a plain number, nor a sign of a missing one."""
    return not is_number(cell) and cell.lower() not in MARKERS


def words_alone(table: Table, names: Sequence[str], row: int, cells: Sequence[str]) -> int:
    """The number of columns in which a row has no number, and a value that no other row has."""
    single = [name for name in names if is_single(table, table.names.index(name), cells[table.names.index(name)])]
    asked = [table.each(own, f"({number} is null)::int") for own, number in table.alike(single)]
    return int(sum(table.ask(f"list_sum({each})", f"rows where rowid = {row}")[0] for each in asked))


def repeats(table: Table, target: Column, inputs: Sequence[Column]) -> Iterator[str]:
    """Repeated rows, contradicting targets, and texts that differ in case or punctuation alone."""
    if not inputs:
        return
    values = ", ".join(place_of(table, column) for column in inputs)
    own = label_of(table, target)
    filled = f"greatest('', {values}) <> ''"
    rows = f"(select hash({values}) as inputs, hash({own}) as target from rows where {own} is not null and ({filled}))"
    groups = f"(select count(*) as n, count(distinct target) as targets from {rows} group by inputs)"
    (blank,) = table.ask(f"count(*) filter ({own} is not null and not ({filled}))")
    if blank:
        which = "1 row has no input and is" if blank == 1 else f"{blank:,} rows have no input and are"
        yield f"{which} left out"
    repeated, contradicting = table.ask("coalesce(sum(n - 1), 0), coalesce(sum(n) filter (targets > 1), 0)", groups)
    if repeated:
        rows = "1 row repeats" if repeated == 1 else f"{int(repeated):,} rows repeat"
        yield f"{rows} the inputs of an earlier row; copies always share a split (prepare.repeats keeps, thins or merges them)"
    if contradicting and target.predict == "label":
        yield f"{int(contradicting):,} rows have the same inputs as a row with another label: no model can get all of them right"
    texts = [place_of(table, column) for column in inputs if column.kind == "texts"]
    if texts:
        exact = " || ' ' || ".join(texts)
        some = f"(select {exact} as text from rows limit {LOOKED_AT})"
        plain_texts = (
            f"(select trim(regexp_replace(lower(text), '[^\\p{{L}}\\p{{N}}]+', ' ', 'g')) as words, text from {some})"
        )
        long = f"(select count(distinct text) as n from {plain_texts} where length(words) > 20 group by words)"
        (near,) = table.ask("coalesce(sum(n), 0)", f"{long} where n > 1")
        if near:
            first = f" of the first {LOOKED_AT:,}" if len(table) > LOOKED_AT else ""
            yield f"{int(near):,}{first} texts differ from another one only in case or punctuation, and may be in another split"


def about_label(table: Table, target: Column) -> Iterator[str]:
    """Rare, unbalanced and similar classes."""
    counts = classes_of(table, target)
    rare = [name for name, count in counts.items() if count < RARE]
    if rare:
        yield f"{len(rare):,} of {len(counts):,} classes {'have' if rare[1:] else 'has'} fewer than {RARE} rows: {listed(rare)}"
    absent = [name for name in counts if name.lower() in MARKERS or name in NO_VALUES]
    if absent:
        yield f"the class {listed(absent)} may mean that the label is missing: if so, add it with --missing"
    if len(counts) > 3 and {*counts} == {*map(str, range(-1, len(counts) - 1))}:
        yield "-1 is taken as a class: if it marks rows without a label, add --missing -1"
    for names in alike(counts)[:NAMED]:
        same = len({" ".join(name.casefold().split()) for name in names}) == 1
        differ = "differ only in case or spaces" if same else "may be one that is written in several ways"
        yield f"the classes {listed(names)} {differ}; prepare.rename can join them"
    if several := several_labels(counts):
        yield f"{shown(several)} seems to be several labels, but counts as one class: a target has one label in each row"
    share = max(counts.values()) / sum(counts.values())
    if share > UNBALANCED and len(counts) > 1:
        largest = shown(max(counts, key=lambda name: counts[name]))
        helps = "train.loss.class_weights: balanced helps rare classes"
        yield f"{min(share, 0.999):.1%} of the rows have the class {largest}: judge by macro_f1 ({helps})"


def several_labels(names: Collection[str]) -> str:
    """A class that seems to be several labels, such as 'a, b', ["a","b"] or <a><b>; nothing if there is none."""
    lists = {name: [part for part in LIST_SIGNS.split(name) if part] for name in names if LIST.fullmatch(name)}
    several = [name for name, parts in lists.items() if len(parts) > 1]
    if several and len(lists) > len(names) / 2:
        return several[0]
    if found := next(filter(has_labels, several), ""):
        return found
    parted = [part.strip() for name in names for part in re.split("[;|]", name)]
    if len(parted) > len(names) and len({*parted}) < len(parted):
        return next(name for name in names if re.search("[;|]", name))
    return next(filter(None, (joined(names, sign) for sign in (", ", *",/&#+"))), "")


def has_labels(name: str) -> bool:
    """Whether a class is a JSON list of several texts, or an object with one, as {"choices":["a","b"]} of Label Studio."""
    try:
        found = json.loads(name)
    except ValueError:
        return False
    lists = found.values() if isinstance(found, dict) else [found]
    return any(isinstance(own, list) and len(own) > 1 and all(isinstance(one, str) for one in own) for own in lists)


def about_number(table: Table, target: Column) -> Iterator[str]:
    """Targets with few different numbers, or with one that is far from all others."""
    numbers = f"(select {table.number(target.name)} as x from rows)"
    distinct, *extremes = table.ask("count(distinct x), min(x), max(x)", numbers)
    if distinct <= 10:
        yield f"the target has only {distinct} different {'number' if distinct == 1 else 'numbers'}; if they are names of classes, add it with --predict label"
    for extreme in extremes:
        is_other = f"filter (x <> {extreme!r})"
        count, low, high = table.ask(
            f"count(*) filter (x = {extreme!r}), min(x) {is_other}, max(x) {is_other}", numbers
        )
        if low is not None and count <= 2 and max(low - extreme, extreme - high) > 3 * (high - low) > 0:
            yield f"the target {number_text(extreme)} is far from all others: check its row, or try train.loss.name: huber"


def classes_of(table: Table, target: Column) -> dict[str, int]:
    """The rows of each class, the largest class first."""
    label = label_of(table, target)
    return dict(table.select(f"{label}, count(*)", f"where {label} is not null group by 1 order by 2 desc, 1"))


def leaks(table: Table, target: Column, inputs: Sequence[Column]) -> tuple[list[Column], list[Column]]:
    """Columns that alone tell the target: copies of it, and others, which may be what has one target, such as a state.

    A copy has the numbers of the target in their order, or is one to one with a label. Others are one to one with a number, or
    tell the target almost always, on rows that a small tree has not seen.
    """
    import numpy as np

    label = target.predict == "label"
    kinds = ("numbers", "categories", "dates") if label else ("numbers", "categories")  # numbers may change slowly
    candidates = [column for column in inputs if column.kind in kinds]
    rows = sample(table, target, candidates, label=label)
    same = [own for own in candidates if is_one_to_one(rows[own.name], rows[target.name])]
    ordered = [own for own in candidates if is_in_order(rows[own.name], rows[target.name])]
    copies, others = (same, []) if label else (ordered, [own for own in same if own not in ordered])
    wanted = rows[target.name].factorize()[0] if label else rows[target.name].to_numpy()
    others += [own for own in candidates if label and own not in copies and is_cut(rows[own.name], wanted)]
    if len(rows) < FEWEST_SPLIT or not candidates:
        return copies, others
    half = np.arange(len(rows)) % 2 == 0
    counts = np.bincount(wanted[~half]) if label else np.zeros(1)
    # Where almost every guess is right, each class counts the same.
    rare = label and counts.max() > 0.9 * counts.sum()
    if rare and sorted(counts)[-2] < FEWEST_LEAKED:
        return copies, others
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of scikit-learn, where there are many classes
        tree = [own for own in candidates if tells(rows[own.name], wanted, half, label=label, rare=rare)]
    return copies, [own for own in candidates if own in others or (own in tree and own not in copies)]


def one_of_several(table: Table, target: Column, inputs: Sequence[Column]) -> Iterator[str]:
    """Columns of yes and no of which one is yes in each row where the target is no, as programs write the classes of one label."""
    tried = [own for own in inputs if own.distinct == 2 == target.distinct and own.kind in ("numbers", "categories")]
    if not 2 <= len(tried) <= MOST_PAIRED:
        return
    yes, answers = (f"in ({', '.join(map(literal, words))})" for words in (YES, YES + NO))
    label = f"lower({label_of(table, target)})"
    rows = f"rows where {label} is not null"
    cells = {own.name: f"lower({place_of(table, own)})" for own in tried}
    fits = (
        f"bool_and({cell} {answers} and {label} {answers} and not ({cell} {yes} and {label} {yes}))"
        for cell in cells.values()
    )
    others = [name for name, fit in zip(cells, table.ask(", ".join(fits), rows), strict=True) if fit]
    count = " + ".join(f"({cell} {yes})::int" for cell in (label, *map(cells.__getitem__, others)))
    if len(others) > 1 and table.ask(f"bool_and({count} = 1)", rows)[0]:
        hint = (
            f"leave them out, or make one column of all, as in pandas: frame[{[target.name, *others]}].idxmax(axis=1)"
        )
        yield f"{listed(others)} and the target seem to be the classes of one label: {hint}"


def made_of_two(table: Table, target: Column, inputs: Sequence[Column]) -> Iterator[str]:
    """Two columns whose sum or difference is the target, if there are any: numbers, or two dates in any unit of time."""
    import numpy as np

    for kind, exactly in (("dates", False), ("numbers", True)):
        tried = [own for own in inputs if own.kind == kind and not is_clock(own.date_format)]
        if not 2 <= len(tried) <= MOST_PAIRED:
            continue
        rows = sample(table, target, tried, label=False)
        wanted = rows[target.name].to_numpy()
        columns = {own.name: rows[own.name].to_numpy(dtype=np.float64) for own in tried}
        alone = [name for name, numbers in columns.items() if is_made(numbers, wanted, exactly=exactly)]
        for first, second in combinations([name for name in columns if name not in alone], 2):
            made = {"difference": columns[first] - columns[second]}
            made |= {"sum": columns[first] + columns[second]} if exactly else {}
            for what, numbers in made.items():
                if is_made(numbers, wanted, exactly=exactly):
                    pair = f"the {what} of {shown(first)} and {shown(second)}"
                    yield f"{pair} tells the target almost always: leave out what is not known when you predict (--leave-out)"
                    return


def is_made(numbers: "np.ndarray[Any, Any]", target: "np.ndarray[Any, Any]", *, exactly: bool) -> bool:
    """Whether numbers are the target but for their sign, or if not exactly, but for their unit, too. Rows where both are zero tell nothing."""
    import numpy as np

    there = np.isfinite(numbers) & ((numbers != 0) | (target != 0))
    numbers, target = numbers[there], target[there]
    if len(target) < max(FEWEST_COPIED, MOSTLY * len(there)) or not np.ptp(numbers) or not np.ptp(target):
        return False
    if not exactly:
        return bool(abs(np.corrcoef(numbers, target)[0, 1]) >= LEAK)
    sizes = np.abs(target)
    near = np.abs(np.abs(numbers) - sizes) <= EXACTLY * np.maximum(sizes, np.median(sizes[sizes > 0]))
    return bool(near.mean() >= LEAK)


def is_in_order(column: "pd.Series[Any]", target: "pd.Series[Any]") -> bool:
    """Whether most rows have numbers in the order of the target, or in the opposite one."""
    there = column.notna()
    if column.dtype.kind != "f" or target.dtype.kind != "f" or there.sum() < max(FEWEST_COPIED, MOSTLY * len(there)):
        return False
    column, target = column[there], target[there]
    are_many = min(column.nunique(), target.nunique()) > FEW_VALUES
    return bool(are_many and abs(column.rank().corr(target.rank())) >= SAME_ORDER)


def is_one_to_one(column: "pd.Series[Any]", target: "pd.Series[Any]") -> bool:
    """Whether each value of a column has its own value of the target in most rows, and not by chance."""
    import numpy as np

    there = column.notna() & (column != "")
    if there.sum() < max(FEWEST_COPIED, MOSTLY * len(there)):
        return False
    own, others = column[there].factorize()[0], target[there].factorize()[0]
    counts = np.bincount(own)
    if others.max() + 1 != len(counts) or len(np.unique(own * len(counts) + others)) != len(counts):
        return False
    # As likely as a random order of the target's values in which each value of the column has one of them.
    return orders(counts) - math.lgamma(len(own) + 1) < math.log(CHANCE)


def orders(counts: "np.ndarray[Any, Any]") -> float:
    """The logarithm of the number of orders of some rows in which those of each kind are next to each other."""
    return math.lgamma(len(counts) + 1) + sum(math.lgamma(count + 1) for count in counts.tolist())


def is_cut(column: "pd.Series[Any]", wanted: "np.ndarray") -> bool:
    """Whether the numbers of each class lie between those of others, in all rows, and not by chance. A tree misses rows at a cut."""
    import numpy as np

    if column.dtype.kind != "f" or column.isna().any() or len(column) < FEWEST_COPIED:
        return False
    numbers = column.to_numpy()
    order = np.argsort(numbers)
    numbers, classes, counts = numbers[order], wanted[order], np.bincount(wanted)
    cuts = np.flatnonzero(np.diff(classes))
    if not 0 < len(cuts) == len(counts) - 1 or (numbers[cuts] == numbers[cuts + 1]).any():
        return False
    return orders(counts) - math.lgamma(len(numbers) + 1) < math.log(CHANCE)


def tells(column: "pd.Series[Any]", wanted: "np.ndarray", half: "np.ndarray", *, label: bool, rare: bool) -> bool:
    """Whether a small tree, grown on a half of the rows, gets the other half right with a single column."""
    import numpy as np
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    values = codes(column)
    if column.dtype.kind != "f" and len(np.unique(values)) > len(values) / 2:
        return False
    if np.abs(values).max() > np.finfo(np.float32).max:
        values = np.unique(values, return_inverse=True)[1]  # their order is enough
    values = values.astype(np.float32)[:, None]
    tree = (DecisionTreeClassifier if label else DecisionTreeRegressor)(max_leaf_nodes=64, random_state=0)
    tree.fit(values[half], wanted[half], check_input=False)
    found, others = tree.predict(values[~half], check_input=False), wanted[~half]
    if not label:
        return bool(((others - found) ** 2).sum() <= (1 - LEAK) * ((others - others.mean()) ** 2).sum())
    right = found == others
    if rare:
        right = (np.bincount(others, right) / np.maximum(1, np.bincount(others)))[np.unique(others)]
    return bool(right.mean() >= LEAK)


def sample(table: Table, target: Column, columns: Sequence[Column], *, label: bool) -> "pd.DataFrame":
    """Some rows with a target, as numbers and codes."""
    numbers = [own.name for own in columns if own.kind == "numbers"] + [target.name] * (not label)
    expressions = {target.name: label_of(table, target)} if label else {}
    for column in columns:
        if column.kind == "dates":
            expressions[column.name] = f"epoch({moment(table.value(column.name), column.date_format)})"
        elif column.kind != "numbers":
            expressions[column.name] = place_of(table, column)
    chosen = f"(select rowid as id from rows order by hash(rowid) limit {LOOKED_AT // 4})"
    rows = table.to_pandas(expressions, f"join {chosen} on rows.rowid = id order by hash(id)", numbers)
    return rows[rows[target.name].notna()].reset_index(drop=True)


def codes(values: "pd.Series[Any]") -> "np.ndarray[Any, Any]":
    """A column as numbers: itself, or the number of each category."""
    import numpy as np

    if values.dtype.kind == "f":
        return np.nan_to_num(np.asarray(values, dtype=np.float64), nan=-1e30)
    return np.asarray(values.factorize()[0], dtype=np.float64)


def place_of(table: Table, column: Column) -> str:
    """The database's name of a column."""
    return f"c{table.names.index(column.name)}"


def named(columns: Sequence[Column]) -> str:
    """The names of columns in a message, shortened."""
    return listed([column.name for column in columns])


def listed(names: Sequence[str]) -> str:
    """Names in a message, shortened."""
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(map(shown, names[:NAMED])) + more
