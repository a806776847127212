"""Rows in a database in memory. Values are text; numbers, categories and dates are converted column by column.

So an error can name the value and what to do.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain import schema
from retrain.data.column_names import lacks, renamed, similar, some_names
from retrain.data.reading.encodings import CHUNK
from retrain.data.reading.expressions import identifier, literal, plain, signed, time_of
from retrain.data.reading.file_format import (
    AMOUNT,
    MARKERS,
    ODD_SHARE,
    WITH_OFFSET,
    Format,
    grouped,
)
from retrain.data.reading.text_files import SEPARATORS, records
from retrain.data.report_csv import LARGEST
from retrain.errors import RetrainError

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

__all__ = ["WIDE", "Table"]


NEEDED = "enter a number, or remove the row"
"""What to do about a missing number where none may be missing."""
COMMA, POINT = re.compile(r"[+-]?\d+,\d+"), re.compile(r"[+-]?\d+\.\d+")
WIDE = 50
"""Columns of a wide table, for which DuckDB needs more time to plan a query than to run it."""


@dataclass(frozen=True)
class Table:
    """The rows of a file, as text, in a database of their own in memory."""

    connection: "duckdb.DuckDBPyConnection"
    """Holds the table `rows` with the columns c0, c1 ..., all text as `schema.composed` spells it, without white space around it."""
    names: tuple[str, ...]
    """The names of the columns, as `schema.column_name` spells them. They may repeat, and be empty."""
    format: Format
    shown: str
    """How errors name the file."""
    text: Path | None
    """The file as plain text, to find a line; None for Parquet."""
    has_header: bool
    skipped: int
    """Lines of the original before the text."""
    reading: tuple[str, str] = (",", '"')
    """The separator and the quote of a CSV file."""
    section: str = ""
    """The section of params.yaml that describes the file; empty for rows to predict."""
    pointed: Mapping[str, str] = field(default_factory=dict)
    """Columns of JSON and Parquet with numbers instead of texts, whose decimal mark is a point; and the expression of which values are."""
    unread: Mapping[str, str] = field(default_factory=dict)
    """Columns of Parquet that can't be read, and why. They are empty."""
    source: str = ""
    """The path of the file for a command; see `text_files.source_of`."""

    def __len__(self) -> int:
        """The number of rows."""
        return self.count

    @cached_property
    def count(self) -> int:
        """The number of rows, which never changes."""
        return int(self.select("count(*)")[0][0])

    @cached_property
    def places(self) -> Mapping[str, Sequence[int]]:
        """The places of the columns of each name, in one spelling."""
        found: dict[str, list[int]] = {}
        for place, name in enumerate(self.names):
            found.setdefault(schema.column_name(name), []).append(place)
        return found

    def select(self, what: str, tail: str = "") -> list[tuple[Any, ...]]:
        """The rows of a query on the table."""
        return self.connection.execute(f"select {what} from rows {tail}").fetchall()

    def cells(self, tail: str = "") -> list[tuple[str, ...]]:
        """The values of all columns in the rows of a query."""
        return self.select(", ".join(f"c{place}" for place in range(len(self.names))), tail)

    def ask(self, what: str, source: str = "rows") -> tuple[Any, ...]:
        """The only row of a query on the table, or on a part of it."""
        ((*found,),) = self.connection.execute(f"select {what} from {source}").fetchall()
        return tuple(found)

    def stacked(self, expressions: Sequence[str], source: str = "rows", others: Iterable[str] = ()) -> str:
        """The query of several expressions below each other, as `v`, with the place `c` of each and the number of its row.

        Other columns stay next to them. DuckDB plans a question on `v` once for all of them.
        """
        both = f"unnest({[*range(len(expressions))]}) as c, unnest([{', '.join(expressions)}]) as v"
        first = both if expressions[1:] else f"0 as c, {expressions[0]} as v"  # a long column is faster like this
        return f"(select {', '.join([first, 'rowid as row', *others])} from {source})"

    def to_pandas(self, expressions: Mapping[str, str], tail: str, numbers: Sequence[str] = ()) -> "pd.DataFrame":
        """Expressions as the columns of these names, of the rows of a query; then some columns of numbers."""
        import pandas as pd

        if len(numbers) <= WIDE:
            expressions, numbers = {**expressions, **{name: self.number(name) for name in numbers}}, ()
        parts = [self.connection.sql(query).to_arrow_table().to_pandas() for query in self.queries(expressions, tail)]
        for names, number in self.alike(numbers):
            found = self.connection.sql(f"select {self.each(names, number)} as x from rows {tail}").to_arrow_table()
            values = found["x"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
            parts.append(pd.DataFrame(values.reshape(-1, len(names)), columns=names))
        rows: pd.DataFrame = pd.concat(parts, axis=1)
        return rows

    def alike(self, names: Sequence[str]) -> Iterator[tuple[list[str], str]]:
        """Some columns of numbers after the other that have the same expression of `v` as a number, and that expression.

        DuckDB plans it once for all of them.
        """
        found: dict[str, list[str]] = {}
        for name in names:
            found.setdefault(self.number_in(self.value_in("v", name), name), []).append(name)
        for number, own in found.items():
            yield from ((own[begin : begin + WIDE], number) for begin in range(0, len(own), WIDE))

    def each(self, names: Sequence[str], expression: str) -> str:
        """The expression of the list of what an expression of `v` is in some columns."""
        return f"list_transform([{', '.join(map(self.column, names))}], lambda v: {expression})"

    def queries(self, expressions: Mapping[str, str], tail: str) -> list[str]:
        """Queries for some of the expressions each: the time for planning one grows with the square of their number."""
        named = [f"{expression} as {identifier(name)}" for name, expression in expressions.items()]
        parts = [named[begin : begin + WIDE] for begin in range(0, len(named), WIDE)]
        return [f"select {', '.join(part)} from rows {tail}" for part in parts]

    def column(self, name: str) -> str:
        """The database's name of a column; raises RetrainError if there is none, or more than one."""
        found = self.places.get(schema.column_name(name), ())
        if len(found) == 1 and (why := self.unread.get(self.names[found[0]])) is not None:
            raise RetrainError(
                f"{self.shown}, column '{name}'", f"can't be read, because it is {why}", "write it as text or numbers"
            )
        if len(found) == 1:
            return f"c{found[0]}"
        if found:
            raise RetrainError(
                f"{self.shown}, line {1 + self.skipped}",
                f"names column '{name}' twice",
                "rename one of them",
            )
        raise self.lacking([name])

    def require(self, names: Iterable[str], *, of_model: bool = False) -> None:
        """Raise RetrainError if columns are missing, all of which it names, or if one is there twice or can't be read.

        Args:
            names: the columns.
            of_model: whether a model needs these very names, so that others must be renamed.
        """
        wanted = {schema.column_name(name): name for name in names}
        for name in filter(self.places.__contains__, wanted):
            self.column(name)
        if missing := [name for own, name in wanted.items() if own not in self.places]:
            raise self.lacking(missing, used=wanted, of_model=of_model)

    def lacking(self, missing: Sequence[str], used: Iterable[str] = (), *, of_model: bool = False) -> RetrainError:
        """The error of columns that are missing; those that are used have names of their own. See `require`."""
        fact, names = lacks(missing), [*filter(None, self.places)]
        if self.kind == "csv" and len(self.names) == 1 and any(sign in self.names[0] for sign in SEPARATORS):
            fact += f", but the single column {schema.shown(self.names[0])}"
            hint = f"set {self.section or 'prepare'}.format.separator to the sign between its values"
            return RetrainError(self.shown, fact, hint)
        near, there = (
            similar(missing, [name for name in names if name not in used]),
            f"the file has: {some_names(names)}",
        )
        meant = ", ".join(f"'{other}'" for other in near.values())
        hint = renamed(near) if of_model else f"did you mean {meant}?"
        return RetrainError(self.shown, fact, f"{hint} ({there})" if near else there)

    @property
    def kind(self) -> str:
        """`csv`, `json` or `parquet`."""
        return "parquet" if self.text is None else "json" if not self.reading[0] else "csv"

    def value(self, name: str) -> str:
        """The expression of a column's value that is not text: NULL where it is missing."""
        return self.value_in(self.column(name), name)

    def value_in(self, column: str, name: str) -> str:
        """The same of the expression of what a column has."""
        is_missing = f"{column} in ({', '.join(map(literal, ('', *self.format.markers_of(name))))})"
        if self.is_pointed(name) != "false" and (numbers := self.format.missing_numbers(name)):
            equal = f"try_cast({column} as double) in ({', '.join(map(repr, sorted(numbers)))})"
            is_missing += f" or ({self.is_pointed(name)} and coalesce({equal}, false))"
        return f"(case when {is_missing} then null else {column} end)"

    def number(self, name: str) -> str:
        """The expression of a column as a number; NULL where it is missing or not a finite number."""
        return self.number_in(self.value(name), name)

    def number_in(self, value: str, name: str) -> str:
        """The expression of a value of a column as a number; NULL where it is not a finite number. (5.00), (5) and 5.00- are -5; 5- is a word."""
        given, is_pointed = value, self.is_pointed(name)
        value = written = plain(value, self.format.units_of(name))
        if self.format.thousands is not None:
            number, signs = map(literal, grouped(self.format.thousands, self.format.decimal))
            together = f"regexp_replace({value}, {signs}, '', 'g')"
            value = f"(case when regexp_matches({value}, {number}) then {together} else {value} end)"
        if self.format.decimal != ".":
            value = f"(case when not contains({value}, '.') then replace({value}, ',', '.') end)"
            value = f"(case when {is_pointed} then {given} else {value} end)"
        negative = (
            f"case when regexp_matches({written}, {literal(AMOUNT)}) then try_cast({signed(value)} as double) end"
        )
        number = f"coalesce(try_cast({value} as double), {negative})"
        return f"(case when abs({number}) <= {LARGEST} and not contains({value}, '_') then {number} end)"

    def without_unit(self, name: str, without: Collection[int] = ()) -> tuple[int, str | None]:
        """How many numbers of a column lack its unit, although it is in `prepare.format.units_in`; and the first. Some rows don't count.

        Zero needs none. Numbers of JSON and Parquet need none either, unless all may be shares, such as 0.1 for 10 %.
        """
        value, unit, is_number = self.value(name), self.format.units_in[name], self.is_pointed(name)
        lacking = (
            f"{others_than(without)} and not contains({value}, {literal(unit)}) and regexp_matches({value}, '[1-9]')"
        )
        shares = f"(select bool_and(abs(try_cast({value} as double)) <= 1) from rows where {is_number})"
        told = f"(not {is_number} or {shares if unit == '%' else 'false'})"
        return self.select(f"count(*), first({value} order by rowid)", f"{lacking} and {told}")[0]

    def is_pointed(self, name: str) -> str:
        """The expression of whether a value of a column is a number of JSON or Parquet, and not a text."""
        return self.pointed.get(schema.column_name(name), "false")

    def plain_type(self, name: str) -> type[int | float | str]:
        """Python's type of the values of a column as they are: a number in JSON and Parquet if each row has one, else text."""
        if self.is_pointed(name) != "true":
            return str
        value = self.column(name)
        whole, number = (f"regexp_full_match({value}, '-?\\d{{1,18}}')", f"isfinite(try_cast({value} as double))")
        long = f"regexp_full_match({value}, '-?\\d{{16,}}')"  # a float would lose digits
        is_whole, is_number = self.ask(f"bool_and({whole}), bool_and(coalesce({number}, false) and not {long})")
        return int if is_whole else float if is_number else str

    def decimal(self, name: str) -> str:
        """The decimal mark of the texts of a column, and of its numbers if it has no texts."""
        return "." if self.is_pointed(name) == "true" else self.format.decimal

    def date(self, name: str) -> str:
        """The expression of a column as a time, in UTC where it has an offset; NULL where it is missing or not a date."""
        value = self.value(name)
        return time_of(value, self.format.dates_of(name), is_clock=self.format.has_clocks(name))

    def offsets(self, name: str, without: Collection[int] = ()) -> tuple[int, int]:
        """How many values of a column of dates have an offset from UTC, and how many have none. Some rows don't count."""
        value = self.value(name)
        has_offset = f"regexp_matches({value}, {literal(WITH_OFFSET)})"
        counts = f"count(*) filter ({has_offset}), count(*) filter (not {has_offset})"
        return self.select(counts, others_than(without))[0]

    def has_offsets(self, name: str) -> bool | None:
        """Whether the values of a column of dates have an offset from UTC, apart from a few odd ones; None if more differ, or there are none."""
        has, lacks = self.offsets(name)
        return has > lacks if has + lacks > 0 and min(has, lacks) <= ODD_SHARE * (has + lacks) else None

    def wrong(self, name: str, converted: str) -> list[tuple[int, str]]:
        """The values of a column that can't be converted, with their row numbers from 0."""
        value = self.value(name)
        return self.select(f"rowid, {value}", f"where {value} is not null and {converted} is null order by rowid")

    def with_wrong(self, numbers: Sequence[str]) -> list[str]:
        """Columns of numbers that may have values that are not numbers: of many columns, only those next to one that has some."""
        if len(numbers) <= WIDE:
            return [*numbers]
        found: set[str] = set()
        for names, number in self.alike(numbers):
            wrong = f"{self.value_in('v', names[0])} is not null and {number} is null"
            if self.ask(f"bool_or(list_contains({self.each(names, wrong)}, true))")[0]:
                found |= {*names}
        return [name for name in numbers if name in found]

    def repeated_headers(self) -> list[tuple[int, ...]]:
        """The numbers, from 0, of the rows that repeat the header, as in files that were joined.

        Where each name is also a value of other rows, as below the header `0,1`, such a row has values.
        """
        same = [f"c{place} = {literal(name)}" for place, name in enumerate(self.names)]
        rows = self.select("rowid", f"where {' and '.join(same)} order by rowid") if self.has_header else []
        counts = self.ask(", ".join(f"count(*) filter ({name})" for name in same)) if rows else ()
        return rows if len(rows) in counts else []

    def unreadable(
        self, numbers: Sequence[str], dates: Sequence[str], complete: Sequence[str] = ()
    ) -> dict[int, RetrainError]:
        """The rows with a value that is not what its column holds, and why.

        Args:
            numbers: columns of numbers.
            dates: columns of dates.
            complete: columns in which no value may be missing.

        Returns:
            The first error of each row, by its number from 0.
        """
        found: dict[int, RetrainError] = {}
        for name in self.with_wrong(numbers):
            wrong = self.wrong(name, self.number(name))
            found = {
                row: self.no_number(name, row, value, wrong, is_needed=name in complete) for row, value in wrong
            } | found
        for name in dates:
            wrong = self.wrong(name, self.date(name))
            found = {row: self.no_date(name, row, value) for row, value in wrong} | found
        for name in complete:
            for (row,) in self.select("rowid", f"where {self.value(name)} is null order by rowid"):
                found.setdefault(row, RetrainError(self.place(row, name), "is empty", NEEDED))
        return found

    def frame(
        self,
        *,
        texts: Sequence[str] = (),
        categories: Sequence[str] = (),
        numbers: Sequence[str] = (),
        dates: Sequence[str] = (),
    ) -> "pd.DataFrame":
        """Some columns: texts and categories as strings, numbers as float64, dates as datetime64[s]; NaN where a value is missing.

        Args:
            texts: columns of texts, which are empty rather than missing.
            categories: columns with one of a set of values.
            numbers: columns of numbers.
            dates: columns of dates.

        Raises:
            RetrainError: there is no such column, or a value is not what the column holds; it names the line and the column.
        """
        if found := self.unreadable(numbers, dates):
            raise found[min(found)]
        expressions = self.expressions(texts=texts, categories=categories, numbers=(), dates=dates)
        rows = self.to_pandas(expressions, "order by rows.rowid", numbers)  # a column may be called rowid
        return typed(rows, categories, dates)

    def frames(
        self,
        rows: int,
        without: Collection[int],
        categories: Sequence[str],
        dates: Sequence[str],
        **others: Sequence[str],
    ) -> "Iterator[pd.DataFrame]":
        """The rows of `frame` in parts of at most `rows` rows, in their order, without those that `unreadable` has found."""
        import pandas as pd

        kept = others_than(without)
        # Without `order by`, which would sort all rows: DuckDB keeps the order in which they were inserted.
        queries = self.queries(self.expressions(**others, categories=categories, dates=dates), kept)
        readers = [self.beside().sql(query).to_arrow_reader(rows) for query in queries]
        for batches in zip(*readers, strict=True):
            yield typed(pd.concat([batch.to_pandas() for batch in batches], axis=1), categories, dates)

    def beside(self) -> "duckdb.DuckDBPyConnection":
        """Another connection to the table, which can be read at the same time."""
        ((database,),) = self.connection.execute("select current_database()").fetchall()
        other = self.connection.cursor()
        other.execute(f"use {database}")
        return other

    def expressions(
        self, *, texts: Sequence[str], categories: Sequence[str], numbers: Sequence[str], dates: Sequence[str]
    ) -> dict[str, str]:
        """The expressions of the columns of `frame`; raises RetrainError if there is no such column."""
        return {
            **{name: self.column(name) for name in texts},
            **{name: self.value(name) for name in categories},
            **{name: self.number(name) for name in numbers},
            **{name: self.date(name) for name in dates},
        }

    def no_date(self, name: str, row: int, value: str) -> RetrainError:
        """The error of a value that is not a date."""
        hint, year = f"write it as {self.format.date_example(name)}", "%Y" if re.search(r"\d{4}", value) else "%y"
        kind = "time of day" if self.format.has_clocks(name) else "date"
        if self.section and kind == "date":
            hint += f', or set {self.section}.format.dates, as in ["%d/%m/{year}"]'
        return RetrainError(self.place(row, name), f"holds {quoted(value)}, which is not a {kind}", hint)

    def no_number(
        self, name: str, row: int, value: str, all_wrong: list[tuple[int, str]], *, is_needed: bool
    ) -> RetrainError:
        """The error of a value that is not a number."""
        decimal = self.decimal(name)
        plain = value.replace(decimal, ".")
        is_number = re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", plain) and abs(float(plain)) > LARGEST
        fact = f"holds {quoted(value)}, which is {f'larger than {LARGEST:g}' if is_number else 'not a finite number'}"
        hint = f"write it in {self.format.units_in[name]}" if name in self.format.units_in else "correct the value"
        if self.section and self.format.decimal == "." and all(COMMA.fullmatch(other) for _, other in all_wrong):
            decimal, thousands = (f'set {self.section}.format.{name}: ","' for name in ("decimal", "thousands"))
            hint = f"{decimal} if the comma is the decimal mark, or {thousands} if it separates thousands"
        elif self.section:
            means_missing = f"add it to {self.section}.format.missing if it means a missing value"
            hint += f", {means_missing}, or take '{name}' out of {self.section}.numbers"
        elif decimal == "," and POINT.fullmatch(value):
            fact = f"holds {quoted(value)}, but this model expects a decimal comma, as in its training file"
            as_number = "" if self.kind == "csv" else ", or a number instead of a text"
            hint = f"write {rewritten(value, '.', ',')}{as_number or ', or give numbers in JSON lines or Parquet'}"
        elif decimal == "." and COMMA.fullmatch(value):
            fact = f"holds {quoted(value)}, but this model expects a decimal point"
            hint = f"write {rewritten(value, ',', '.')}"
        elif value.lower() in MARKERS:
            hint = NEEDED if is_needed else "leave it empty if it is missing"
        return RetrainError(self.place(row, name), fact, hint)

    def place(self, row: int, name: str = "") -> str:
        """A row of the file for an error: `rows.csv, line 7, column 'age'`."""
        line = self.line(row)
        return self.shown + (f", line {line}" if line else f", row {row + 1}") + (f", column '{name}'" if name else "")

    def line(self, row: int) -> int | None:
        """The line on which a row starts, as an editor counts it; None for Parquet and a JSON array.

        Args:
            row: the number of the row, from 0.
        """
        return self.lines[row] if row < len(self.lines) else None

    @cached_property
    def is_array(self) -> bool:
        """Whether the file is a JSON array."""
        if self.kind != "json" or self.text is None:
            return False
        with self.text.open(encoding="utf-8") as file:
            return file.read(CHUNK).lstrip().startswith("[")

    @cached_property
    def lines(self) -> list[int]:
        """The line on which each row starts. Only errors need it, so the file is read again for it."""
        if self.text is None:
            return []
        with self.text.open(encoding="utf-8", newline="") as file:
            if self.kind == "json":
                return [] if self.is_array else [number for number, line in enumerate(file, start=1) if line.strip()]
            found = records(file, *self.reading, single=len(self.names) == 1)
            return [start + self.skipped for start, _ in found][self.has_header :]


def others_than(rows: Collection[int]) -> str:
    """The condition of all rows but some."""
    return f"where rows.rowid not in ({', '.join(map(str, rows))})" if rows else "where true"


def typed(table: "pd.DataFrame", categories: Sequence[str], dates: Sequence[str]) -> "pd.DataFrame":
    """A table from the database with the types that `Table.frame` promises."""
    return table.assign(
        **{name: table[name].astype("str").where(table[name].notna()) for name in categories},
        **{name: table[name].astype("datetime64[s]") for name in dates},
    )


def rewritten(value: str, sign: str, decimal: str) -> str:
    """How to write a number with another decimal mark: in two ways if its sign may also separate thousands."""
    pointed, together = value.replace(sign, decimal), value.replace(sign, "")
    both = value.count(sign) == 1 and re.fullmatch(grouped(sign, decimal)[0], value)
    return f"{together} if '{sign}' separates thousands, or {pointed} if it is the decimal mark" if both else pointed


def quoted(value: str) -> str:
    """A value as an error shows it."""
    return f"'{schema.shortened(' '.join(value.split()), 60)}'"
