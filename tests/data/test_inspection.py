"""What `retrain add` makes of values as people write them, on small files."""

import json
import random
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from retrain.data.inspection.column import Column
from retrain.data.inspection.columns import columns_of
from retrain.data.inspection.dialect import Guess, Wishes, guessed_table
from retrain.data.inspection.oddities import oddities
from retrain.data.reading.file_format import Format
from retrain.data.reading.sql_table import Table
from retrain.data.reading.table_files import open_table
from retrain.errors import RetrainError

import pandas as pd
import pytest

DRAW = random.Random(1)
X = [DRAW.uniform(1, 40) for _ in range(200)]


OPEN = ExitStack()
"""The tables that a test has opened."""


@pytest.fixture(autouse=True)
def _closed():
    with OPEN:
        yield


@dataclass
class Numbers:
    """The numbers of each column of a table."""

    table: Table

    def __getitem__(self, name: str) -> list[float | None]:
        return [n for (n,) in self.table.select(self.table.number(name), "order by rowid")]


def looked_at(
    folder: Path,
    header: str,
    rows: list[str],
    *,
    name: str = "rows.csv",
    kinds: dict[str, str] | None = None,
    form: Format | None = None,
    text: str = "",
) -> tuple[dict[str, Column], Guess, list[str], Numbers]:
    """The columns of a file whose last column is the target, how it is written, what is odd, and its numbers."""
    path, target = folder / name, header.replace(";", ",").replace("\t", ",").split(",")[-1]
    path.write_text(text or "\n".join([header, *rows]) + "\n", encoding="utf-8")
    wishes = Wishes(format=form or Format(), kinds=kinds or {})
    table, guess = OPEN.enter_context(guessed_table(path, name, wishes, target))
    columns = columns_of(table, target, wishes)
    return {one.name: one for one in columns}, guess, list(oddities(table, columns)), Numbers(table)


def side_by_side(
    folder: Path, cells: dict[str, list[str]], **known
) -> tuple[dict[str, Column], dict[str, list[str]], Numbers]:
    """Columns that do not influence each other in one file, what is odd about each, and their numbers. Looking at one takes as long as looking at all."""
    rows = [",".join(f'"{cell}"' for cell in [*row, x]) for *row, x in zip(*cells.values(), X * 2, strict=False)]
    columns, _, odd, numbers = looked_at(folder, ",".join([*cells, "y"]), rows, **known)
    return columns, {name: [line for line in odd if f"'{name}'" in line] for name in cells}, numbers


def numbered(cells: Iterable[list[str]]) -> dict[str, list[str]]:
    """Columns with names of their own."""
    return {f"a{place}": own for place, own in enumerate(cells)}


def test_groups_of_three_follow_the_separator(tmp_path):
    people = [194 + 331 * number for number in range(40)]
    rows = [f"town{n % 7};{n:,};{3 * n:,}".replace(",", ".") for n in people]
    _, guess, _, numbers = looked_at(tmp_path, "town;people;cars", rows)
    assert numbers["people"] == people
    assert guess.doubts[0].startswith("1.281 is read as 1281, because semicolons separate the values: ")
    prices = [f"shop{n % 7};{1.5 + n / 1000:.3f}".replace(".", ",") for n in range(40)]
    _, guess, _, numbers = looked_at(tmp_path, "shop;price", prices)
    assert numbers["price"][:2] == [1.5, 1.501]
    assert guess.doubts[0].startswith("1,281 is read as 1.281, ")
    rows = [f"town{n % 7}\t{n:,}" for n in people]
    _, guess, _, numbers = looked_at(tmp_path, "town\tpeople", rows)
    assert (numbers["people"], guess.doubts) == (people, ())


def test_missing_words_hide_no_decimal_commas(tmp_path):
    rows = [f"{'n/a' if n % 5 == 0 else f'{n},5'};{'nichts' if n % 4 == 0 else n};{n % 2}" for n in range(60)]
    columns, guess, _, numbers = looked_at(tmp_path, "a;b;y", rows)
    assert (guess.format.decimal, columns["a"].kind, numbers["a"][:3]) == (",", "numbers", [None, 1.5, 2.5])
    rows = [row.replace("n/a", "nichts") for row in rows]
    columns, _, _, numbers = looked_at(tmp_path, "a;b;y", rows, form=Format(missing=("nichts",)))
    assert ({own.kind for own in columns.values()}, numbers["a"][1]) == ({"numbers", "target"}, 1.5)
    rows = [f"{n},5E{n % 3:+03};{n % 2}" for n in range(60)]
    assert looked_at(tmp_path, "a;y", rows)[3]["a"][:3] == [0.5, 15, 250]


def test_zero_is_no_thousand(tmp_path):
    rows = [f"{n},25;0.{100 + n};{n % 2}" for n in range(60)]
    columns, guess, odd, numbers = looked_at(tmp_path, "price;share;y", rows)
    assert (guess.format.decimal, guess.format.thousands) == (",", None)
    assert (columns["share"].kind, set(numbers["share"])) == ("leave_out", {None})
    told = "values in 'share' such as 0.100 are not read as numbers, because other columns have decimal commas: "
    assert f"{told}if they are numbers, write commas" in odd
    _, guess, _, numbers = looked_at(tmp_path, "share;y", [f"0.{100 + n};{n % 2}" for n in range(60)])
    assert (guess.doubts, numbers["share"][0]) == ((), 0.1)
    rows = [f"{n},25;{50 + n % 3}.{100 + n};{n % 2}" for n in range(60)]
    _, guess, _, numbers = looked_at(tmp_path, "price;north;y", rows)
    assert numbers["north"][0] == 50100
    assert guess.doubts[0].startswith("50.100 in 'north' is read as 50100, because other columns have decimal commas: ")


def test_answers_with_commas_are_no_decimals(tmp_path):
    choices = ['"1,3"', "2", '"2,4"', "3"]
    rows = [f"{choices[i % 4]},{150 + x:.1f},{'mf'[x > 20]}" for i, x in enumerate(X)]
    columns, guess, _, numbers = looked_at(tmp_path, "which,height,sex", rows)
    assert guess.format.decimal == "."
    assert (columns["which"].kind, columns["height"].kind) == ("categories", "numbers")
    assert numbers["height"][0] == round(150 + X[0], 1)


@pytest.mark.parametrize(
    ("write", "separator"),
    [
        (lambda n: f"{n:,.2f}".replace(",", "'"), ","),
        (lambda n: f"{n:,.2f}".replace(",", "\N{RIGHT SINGLE QUOTATION MARK}"), ","),
        (lambda n: f"{n:,.2f}".replace(",", "\N{NARROW NO-BREAK SPACE}").replace(".", ","), ";"),
        (lambda n: f"{n:,.2f}".replace(",", " ").replace(".", ","), ";"),
        (lambda n: f"${n:,.2f}" if n > 0 else f"-${-n:,.2f}", '","'),
    ],
)
def test_numbers_as_people_write_them(tmp_path, write, separator):
    wanted = [round((x - 10) * 90) for x in X]
    quote = '"' if separator == '","' else ""
    rows = [f"{quote}{write(n)}{separator}{i % 3}{quote}" for i, n in enumerate(wanted)]
    header = "weight,label" if separator != ";" else "weight;label"
    columns, _, _, numbers = looked_at(tmp_path, header, rows)
    assert columns["weight"].kind == "numbers", columns["weight"]
    assert numbers["weight"] == wanted


def test_units_and_signs_of_numbers(tmp_path):
    wanted = [round((x - 10) * 90) for x in X]
    cells = {
        "minus": [f"{n:.2f}".replace("-", "\N{MINUS SIGN}") for n in wanted],
        "weight": [f"{n:.2f} kg" for n in wanted],
        "heat": [f"{n:.1f}°C".replace(".0°", ".00°") for n in wanted],
        "sign": [f"{'-' * (n < 0)}€ {abs(n):.2f}" for n in wanted],
        "word": [f"{'-' * (n < 0)}EUR\u00a0{abs(n):.2f}" for n in wanted],
    }
    columns, _, numbers = side_by_side(tmp_path, cells)
    for name in cells:
        assert columns[name].kind == "numbers", columns[name]
        assert numbers[name] == wanted, name


def test_money_with_gaps(tmp_path):
    amounts = ["N/A" if i % 50 == 0 else f'"${100 * x:,.2f}"' for i, x in enumerate(X)]
    rows = [f"{amount},{x:.1f}" for amount, x in zip(amounts, X, strict=True)]
    columns, _, _, numbers = looked_at(tmp_path, "amount,y", rows)
    assert (columns["amount"].kind, columns["amount"].markers) == ("numbers", ("N/A",))
    assert numbers["amount"][0] is None
    assert numbers["amount"][1] == round(100 * X[1], 2)


def test_codes_and_few_numbers_with_words_stay_words(tmp_path):
    rows = [f"Q{i % 40},{i % 5} stars,{i % 30:03d},{x:.1f}" for i, x in enumerate(X)]
    columns, _, _, _ = looked_at(tmp_path, "code,rating,zip,y", rows)
    assert {columns[name].kind for name in ("code", "rating", "zip")} == {"categories"}


def test_three_digits_behind_a_comma_are_told(tmp_path):
    doubt = "1,281 is read as 1281: if the comma is the decimal mark, use --decimal ,"
    rows = [f'"{1000 + 97 * i:,}",{i % 3}' for i in range(60)]
    _, guess, _, numbers = looked_at(tmp_path, "mass,y", rows)
    assert (numbers["mass"][:2], guess.doubts) == ([1000, 1097], (doubt,))
    _, guess, _, _ = looked_at(tmp_path, "mass,y", [*rows, '"1,000,000",1'])
    assert guess.doubts == ()
    _, guess, _, _ = looked_at(tmp_path, "mass,y", [f'"{1000 + 97 * i:,}",{i / 8:.4f}' for i in range(60)])
    assert guess.doubts == ()


def test_texts_in_parentheses_stay_texts(tmp_path):
    columns, guess, _, _ = looked_at(tmp_path, "who,y", [f"({'abc'[i % 3]}),{x:.1f}" for i, x in enumerate(X)])
    assert (columns["who"].kind, guess.format.units_in) == ("categories", {})


def test_francs_with_an_apostrophe(tmp_path):
    rows = [f"CHF {100 * x:,.2f};{i % 3}".replace(",", "\N{RIGHT SINGLE QUOTATION MARK}") for i, x in enumerate(X)]
    _, guess, _, numbers = looked_at(tmp_path, "price;y", rows)
    assert guess.format.units_in == {"price": "CHF"}
    assert numbers["price"] == [round(100 * x, 2) for x in X]


def test_each_column_has_its_own_unit(tmp_path):
    rows = [f"{x:.1f} km,{x / 2:.2f} m,{f'{x:.1f} km' if i % 2 else f'{20 * x:.0f} m'},{x}" for i, x in enumerate(X)]
    columns, guess, odd, numbers = looked_at(tmp_path, "way,height,metro,y", rows)
    assert guess.format.units_in == {"way": "km", "height": "m"}
    assert (columns["metro"].kind, {*numbers["metro"]}) == ("texts", {None})
    assert odd[0] == "values in 'metro' with 'km' and 'm' are not read as numbers: write all of them in one unit"
    rows = [f"{x:.1f}K,{f'{x:.1f}K' if i % 3 else f'{20 * x:.0f}'},{i % 2}" for i, x in enumerate(X)]
    columns, _, odd, _ = looked_at(tmp_path, "sent,read,y", rows)
    assert (columns["sent"].kind, columns["read"].kind) == ("numbers", "categories")
    assert odd[0].startswith("values in 'read' with 'K' and no unit are not read as numbers: write all of them in one ")
    assert odd[0].endswith(" unit, or add --units K if these mean the same")
    _, _, odd, numbers = looked_at(tmp_path, "sent,read,y", rows, form=Format(units=("K",)))
    assert numbers["read"][:2] == [round(20 * X[0]), round(X[1], 1)]
    assert odd[0] == "values in 'read' with 'K' and no unit are read alike: write all of them in one unit"


SIDES = [("DR", "CR"), ("Dr.", "Cr."), ("S", "H"), ("D", "C")]


def hint_of_sides(paid: str, received: str) -> str:
    hint = f"{paid} and {received} are signs, so write - in front of the number for {paid}, and nothing for {received}"
    return hint.replace(".", "")


def test_sides_of_an_account_are_signs(tmp_path):
    cells = numbered([f"{100 * x:.2f} {pair[i % 2]}" for i, x in enumerate(X)] for pair in SIDES)
    cells["time"] = [f"{x:.2f} {'sh'[i % 2]}" for i, x in enumerate(X)]
    odd = side_by_side(tmp_path, cells)[1]
    for name, pair in zip(cells, SIDES, strict=False):
        assert odd[name][0].startswith(f"values in '{name}' with "), pair
        assert odd[name][0].endswith(f" are not read as numbers: {hint_of_sides(*pair)}"), pair
    assert odd["time"][0].endswith(": write all of them in one unit")


@pytest.mark.parametrize(("paid", "received"), SIDES)
def test_sides_of_an_account_are_no_target(tmp_path, paid, received):
    amounts = [f"{100 * x:.2f} {[paid, received][i % 2]}" for i, x in enumerate(X)]
    with pytest.raises(RetrainError) as raised:
        looked_at(tmp_path, "a,amount", [f"{i % 3},{amount}" for i, amount in enumerate(amounts)])
    assert raised.value.hint == f"{hint_of_sides(paid, received)}, or choose another target"


def test_currencies(tmp_path):
    ways: list[Callable[[float], str]] = [
        lambda x: f"Rs. {100 * x:.2f}",
        lambda x: f"Rs.{100 * x:.2f}",
        lambda x: f"HK${100 * x:.2f}",
        lambda x: f"{100 * x:.2f} lei.",
        lambda x: f"\\{100 * x:.2f}",
        lambda x: f"{100 * x:.2f}kr." if x > 3 else "0",
    ]
    numbers = side_by_side(tmp_path, numbered([write(x) for x in X] for write in ways))[2]
    for place, write in enumerate(ways):
        wanted = [round(100 * x, 2) if x > 3 or "kr" not in write(9) else 0 for x in X]
        assert numbers[f"a{place}"] == wanted, write(9)


def test_kilograms_are_not_thousands_of_grams(tmp_path):
    rows = [f"{x:.2f} kg,{x:.1f} g,{i % 3}" for i, x in enumerate(X)]
    for form in (Format(), Format(units=("g", "kg"))):
        _, _, _, numbers = looked_at(tmp_path, "weight,sugar,y", rows, form=form)
        assert (numbers["weight"][0], numbers["sugar"][0]) == (round(X[0], 2), round(X[0], 1))


@pytest.mark.parametrize("code", [lambda n: f"51 {824 + n} 753 {100 + n}", lambda n: f"+34 {600 + n} 824 {100 + n}"])
def test_phone_and_company_numbers_are_codes(tmp_path, code):
    rows = [f'{code(i)},"{150 * x:,.2f}",{i % 3}' for i, x in enumerate(X)]
    columns, guess, _, numbers = looked_at(tmp_path, "code,amount,y", rows)
    assert (columns["code"].kind, columns["amount"].kind, guess.format.thousands) == ("texts", "numbers", ",")
    assert numbers["amount"] == [round(150 * x, 2) for x in X]


def test_blanks_separate_thousands(tmp_path):
    _, _, _, numbers = looked_at(
        tmp_path, "people,y", [f"{8_000_000 + 331 * n:_},{n % 3}".replace("_", " ") for n in range(60)]
    )
    assert numbers["people"][0] == 8_000_000


def test_lakhs(tmp_path):
    salaries = [int(100_000 * x) for x in X]
    rows = [f'"{n // 100_000},{n // 1000 % 100:02},{n % 1000:03}",{i % 3}' for i, n in enumerate(salaries)]
    _, guess, _, numbers = looked_at(tmp_path, "salary,y", rows)
    assert (guess.format.thousands, numbers["salary"]) == (",", salaries)


def test_targets_that_are_nearly_numbers_name_a_value(tmp_path):
    rows = [f"{i % 3},{x:.3f}" if i % 2 else f"{i % 3},${100 * x:.0f}K" for i, x in enumerate(X)]
    fact = r"^rows.csv, line 2, column 'y' holds '\$\d+K', which is not a number \(100 rows\), and the column has "
    with pytest.raises(RetrainError, match=fact) as raised:
        looked_at(tmp_path, "a,y", rows)
    assert raised.value.hint.startswith("say how numbers are written (--decimal, --thousands, --units), ")
    with pytest.raises(RetrainError) as raised:
        looked_at(tmp_path, "a,y", [f"{i % 3},${x:.3f}M" for i, x in enumerate(X)])
    assert raised.value.hint == "add --units '$' --units M, or choose another target"
    with pytest.raises(RetrainError, match=r"^column 'y' has 200 different values in 200 rows, too many for a label;"):
        looked_at(tmp_path, "a,y", [f"{i % 3},Number {i} of {x} boats" for i, x in enumerate(X)])


def test_versions_and_codes_are_told(tmp_path):
    rows = [f"3.{8 + i % 4},{['1000', '1E3', '200'][i % 3]},{x:.2f}" for i, x in enumerate(X)]
    _, _, odd, _ = looked_at(tmp_path, "python,sku,y", [*rows, f"3.1,200,{X[0]:.2f}"])
    hint = "are read as one number: if they are versions or codes, add --categories"
    assert odd[:2] == [f"3.1 and 3.10 in 'python' {hint} python", f"1000 and 1E3 in 'sku' {hint} sku"]
    rows = [f"{['1', '1.0', '1.00', '2.5'][i % 4]},{round(x, 1)},{x:.2f}" for i, x in enumerate(X)]
    _, _, odd, _ = looked_at(tmp_path, "a,b,y", rows)
    assert not any("versions" in line for line in odd)


def test_values_of_single_rows_are_told(tmp_path):
    rows = [f"{24 + i // 60}:{i % 60:02}:07,{100 + i}.{i}.{i % 7},{'ab'[i % 2]},{x:.2f}" for i, x in enumerate(X)]
    _, _, odd, _ = looked_at(tmp_path, "time,version,kind,y", [*rows, rows[0]])
    assert odd[0] == (
        "nearly every row has its own value in 'time', 'version', from which little can be learned: "
        "write numbers instead, or use --leave-out"
    )
    columns, _, odd, _ = looked_at(
        tmp_path, "time,code,y", [f"{24 + i // 60}:{i % 60:02},AB-{i},{x:.2f}" for i, x in enumerate(X)]
    )
    assert [columns[name].kind for name in ("time", "code")] == ["leave_out", "leave_out"]
    assert odd[0].startswith("values in 'time' such as '24:00' look like amounts or times, but are not read as numbers")
    assert not any("nearly every row" in line for line in odd)


def test_times_of_logs_are_told(tmp_path):
    rows = [f"{day:%d/%b/%y} {1 + i % 9}:0{i % 7} PM GMT+1,{x}" for i, (day, x) in enumerate(zip(DAYS, X, strict=True))]
    _, _, odd, _ = looked_at(tmp_path, "when,y", rows)
    assert odd[0].startswith("values in 'when' such as '01/Aug/21 8:03 PM GMT+1' look like dates, but are not read as ")


def test_rows_without_a_target_are_not_tested(tmp_path):
    rows = [f"{i % 11},{'n/a' if i % 4 else f'{x:.1f}'}" for i, x in enumerate(X)]
    _, _, odd, _ = looked_at(tmp_path, "a,y", rows)
    assert odd[-2] == "150 rows (75.0%) have no target and are left out"
    assert odd[-1].startswith("the test split will have about 10 rows")
    rows = [*(f"{i % 11},{x:.1f}" for i, x in enumerate(X)), *[","] * 300]
    _, _, odd, _ = looked_at(tmp_path, "a,y", rows)
    assert not any("have no value" in line for line in odd)


def test_counts_are_labels_by_guess_alone(tmp_path):
    columns, _, _, _ = looked_at(tmp_path, "a,visits", [f"{x:.2f},{i % 4}" for i, x in enumerate(X)])
    assert columns["visits"].why.endswith("; if they are counts, add --predict number")


def test_labels_between_commas_are_told(tmp_path):
    told = "seems to be several labels"
    genres = ['"drama, war"', '"comedy, drama"', '"war, comedy"', "drama"]
    _, _, odd, _ = looked_at(tmp_path, "a,genre", [f"{x:.2f},{genres[i % 4]}" for i, x in enumerate(X)])
    assert any(told in line for line in odd)
    towns = ['"Austin, TX, USA"', '"Dallas, TX, USA"', '"Houston, TX, USA"']
    _, _, odd, _ = looked_at(tmp_path, "a,town", [f"{x:.2f},{towns[i % 3]}" for i, x in enumerate(X)])
    assert not any(told in line for line in odd)


def test_spellings_of_categories_are_told(tmp_path):
    answers, towns = ["yes", "Y", "TRUE", "no", "0"], ["Ulm", "ulm", "Bonn", "New York", "New  York"]
    rows = [f"{answers[i % 5]},{towns[i % 5]},{'ab'[i % 2]},{x:.2f}" for i, x in enumerate(X)]
    columns, _, odd, _ = looked_at(tmp_path, "paid,town,kind,y", rows)
    assert [columns[name].spellings for name in ("town", "kind")] == [("New  York", "New York"), ()]
    assert odd[0] == (
        "spellings of one value count as different ones: write it in one way "
        "('TRUE', 'Y' and 'yes' in 'paid'; 'New  York' and 'New York' in 'town')"
    )


def test_amounts_are_not_lost_silently(tmp_path):
    rows = [f"{'>1000' if i % 4 == 0 else i},{'<0.5' if i % 50 == 0 else f'{x:.2f}'}" for i, x in enumerate(X)]
    columns, _, odd, _ = looked_at(tmp_path, "views,y", rows)
    assert columns["y"].markers == ("<0.5",)
    assert odd[:2] == [
        "'<0.5' in 'y' is not a number, so it counts as missing: write numbers instead",
        "75% of 'views' are numbers, but '>1000' (50 rows) is not: write them as numbers too, unless they are codes",
    ]


def test_few_words_among_target_numbers(tmp_path):
    for words, fact in (
        (("5 years", "about 5"), "'5 years' (10 rows), 'about 5' (10 rows) are not: write them as numbers too, unless they are classes"),
        (("retired", "retired"), "'retired' (20 rows) is not: if that means a missing value, add it with --missing"),
    ):  # fmt: skip
        rows = [f"{x:.2f},{words[i // 10 % 2] if i % 10 == 0 else i % 23}" for i, x in enumerate(X)]
        columns, _, odd, _ = looked_at(tmp_path, "a,worked", rows)
        assert columns["worked"].predict == "label"
        assert odd[0] == f"90% of 'worked' are numbers, but {fact}"


def test_several_choices_in_a_cell(tmp_path):
    tools = ["Excel", "Python", "R", "Tableau"]
    some = [[own for own in tools if DRAW.random() < 0.5] for _ in X]
    several = [
        [";".join(own) for own in some],
        [", ".join(own) for own in some],
        ["|".join(str(tools.index(one)) for one in own) for own in some],
    ]
    single = [
        ["|".join(DRAW.choice("01") for _ in range(2)) for _ in X],
        [("less meetings; more time", "nothing", "better pay")[i % 3] for i in range(len(X))],
        [("Bern, CH", "Lyon, FR", "Nice, FR")[i % 3] for i in range(len(X))],
    ]
    cells = numbered(several + single)
    odd = side_by_side(tmp_path, cells)[1]
    for place, (name, own) in enumerate(cells.items()):
        told = any("seem to be several choices" in line and f"add --text {name}" in line for line in odd[name])
        assert told == (place < len(several)), (own[:3], odd[name])


def test_dates_and_several_labels_as_target(tmp_path):
    _, _, odd, _ = looked_at(tmp_path, "a,when", [f"{x:.2f},2024-0{1 + i % 9}-01" for i, x in enumerate(X)])
    assert odd[0].startswith("the target 'when' holds dates, and each is a class: to predict a time, ")
    labels, told = ["bug", "bug;ui", "perf"], "'bug;ui' seems to be several labels, but counts as one class: "
    _, _, odd, _ = looked_at(tmp_path, "a,label", [f"{x:.2f},{labels[i % 3]}" for i, x in enumerate(X)])
    assert any(line.startswith(told) for line in odd)
    _, _, odd, _ = looked_at(tmp_path, "a,label", [f"{x:.2f},{['a|b', 'c;d'][i % 2]}" for i, x in enumerate(X)])
    assert not any("several labels" in line for line in odd)


def test_repeated_headers_and_totals_are_named(tmp_path):
    rows = [f"{x:.2f},{'uv'[i % 2]},{x + 1:.2f}" for i, x in enumerate(X)]
    rows = [*rows[:50], "a,kind,y", *rows[50:90], "a,kind,y", *rows[90:], "Total,,4000.5"]
    _, _, odd, _ = looked_at(tmp_path, "a,kind,y", rows)
    assert odd[:2] == [
        "rows.csv, line 52 repeats the header, the first of 2 rows that do: remove them from the file",
        "rows.csv, line 204 looks like the total of other rows: remove it from the file",
    ]
    _, _, odd, _ = looked_at(
        tmp_path, "a,kind,y", [f"{x:.2f},{['total', 'part'][i % 2]},{x:.1f}" for i, x in enumerate(X)]
    )
    assert not any("the total" in line for line in odd)


@pytest.mark.parametrize(
    ("row", "is_told"), [("b,a,Y", True), ("# paused,by us,", True), ("n.m.,n.m.,n.m.", False), ("off,?,7", False)]
)
def test_headers_inside_a_file_are_named(tmp_path, row, is_told):
    rows = [f"{x:.2f},{i % 9},{x + 1:.2f}" for i, x in enumerate(X)]
    odd = looked_at(tmp_path, "a,b,y", [*rows[:50], row, *rows[50:]])[2]
    told = "rows.csv, line 52 has words in columns of numbers, as another header has: remove it from the file, and check that the rows below it have the same columns"
    assert (told in odd) == is_told


def test_words_among_numbers_are_no_header(tmp_path):
    rows = [f"{x:.2f},{'calm' if i % 30 == 7 else i % 9},{'T' if i % 45 == 7 else i % 8}" for i, x in enumerate(X)]
    assert not any("another header" in line for line in looked_at(tmp_path, "y,wind,rain", rows)[2])


def test_columns_of_counts_are_told(tmp_path):
    cells = [f"{a},{b},{c},{{}},{y}" for a in "pqrs" for b in "uvw" for c in "kl" for y in ("yes", "no")]
    rows = [cell.format(7 * i % 50) for i, cell in enumerate(cells)]
    told = "'Freq' seems to count the rows that have the other values: repeat each row as often"
    assert any(line.startswith(told) for line in looked_at(tmp_path, "a,b,c,Freq,y", rows)[2])
    assert not any("to count" in line for line in looked_at(tmp_path, "a,b,c,Freq,y", rows * 2)[2])
    assert not any("to count" in line for line in looked_at(tmp_path, "a,b,c,Freq,y", [*rows[::4], *rows[3::4]])[2])


def test_a_second_table_of_influxdb_is_named(tmp_path):
    path, comments = tmp_path / "rows.csv", "#group,false,true\n#datatype,double,string\n"
    tables = [f",a,y\n{''.join(f',{x:.2f},u{n % 2}' + chr(10) for n, x in enumerate(X[:12]))}" for _ in range(2)]
    path.write_text(comments + f"\n{comments}".join(tables))
    with guessed_table(path, "rows.csv", Wishes(), "y") as (table, guess):
        odd = list(oddities(table, columns_of(table, "y", Wishes())))
    assert guess.format.skip == 2
    assert (
        odd[0]
        == "rows.csv, line 19 repeats the header: remove it from the file, and the lines that begin with # above it"
    )


def test_padded_decimals_are_numbers(tmp_path):
    columns, _, _, _ = looked_at(tmp_path, "t,y", [f"{x:05.2f},{x:.1f}" for x in X])
    assert columns["t"].kind == "numbers"


def test_what_counts_as_missing_is_said(tmp_path):
    rows = [f"{i % 7},{'n.a.' if i % 40 == 3 else f'{x:.2f}'}" for i, x in enumerate(X)]
    columns, _, _, _ = looked_at(tmp_path, "a,y", rows)
    assert columns["y"].why.endswith("; 'n.a.' (5 rows) counts as missing")
    rows = [f"{'low' if i % 10 < 4 else f'{x:.2f}'},{i % 7}" for i, x in enumerate(X)]
    columns, _, _, _ = looked_at(tmp_path, "a,y", rows, kinds={"a": "numbers"})
    assert columns["a"].why == "as you asked; 'low' (80 rows) counts as missing"
    _, _, odd, _ = looked_at(tmp_path, "a,y", rows)
    assert (
        "60% of 'a' are numbers, but 'low' (80 rows) is not: if that means a missing value, add it with --missing"
        in odd
    )


def test_missing_labels_are_no_class(tmp_path):
    rows = [f"{x:.2f},{'NA' if i % 20 == 0 else i % 2}" for i, x in enumerate(X)]
    columns, _, _, _ = looked_at(tmp_path, "a,y", rows)
    assert (columns["y"].predict, columns["y"].markers) == ("label", ("NA",))
    assert "'NA' (10 rows) counts as missing" in columns["y"].why
    rows = [f"{x:.2f},{'maybe' if i % 40 == 0 else i % 2}" for i, x in enumerate(X)]
    columns, _, _, _ = looked_at(tmp_path, "a,y", rows)
    assert (columns["y"].predict, columns["y"].markers, columns["y"].distinct) == ("label", (), 3)
    rows = [f"{x:.2f},{-99 if i % 20 == 0 else i % 2}" for i, x in enumerate(X)]
    columns, _, odd, _ = looked_at(tmp_path, "a,y", rows)
    assert (columns["y"].predict, columns["y"].sentinels) == ("label", ("-99",))
    assert odd[0].startswith("the target -99 counts as missing, and its rows are left out")
    rows = [f"{x:.2f},{99 if i % 20 == 0 else 1 + i % 4}" for i, x in enumerate(X)]
    columns, _, _, _ = looked_at(tmp_path, "a,class", rows)
    assert (columns["class"].predict, columns["class"].sentinels) == ("label", ())


def test_nan_of_parquet_is_missing(tmp_path):
    path = tmp_path / "rows.parquet"
    pd.DataFrame({"a": X, "y": [float("nan") if i % 20 == 0 else float(i % 2) for i in range(200)]}).to_parquet(path)
    with guessed_table(path, "rows.parquet", Wishes(), "y") as (table, _):
        columns = columns_of(table, "y", Wishes())
        assert (columns[0].missing, columns[0].distinct) == (10, 2)


def test_leaks_of_a_single_column_and_of_rare_classes(tmp_path):
    leak = "alone tells the target almost always"
    _, _, odd, _ = looked_at(tmp_path, "name,label", [f"{['joy', 'anger', 'fear'][i % 3]},{i % 3}" for i in range(200)])
    assert any(leak in line for line in odd)
    fraud = [(i, x, "yes" if i % 20 == 7 else "no") for i, x in enumerate(X)]
    rows = [f"{x:.2f},{'filed' if target == 'yes' else 'none'},{target}" for _, x, target in fraud]
    _, _, odd, _ = looked_at(tmp_path, "amount,outcome,fraud", rows)
    assert any(line.startswith(f"'outcome' {leak}") for line in odd)
    few = [f"{x:.2f},{x > 20}" for x in X[:40]]  # a tree has too few rows for this
    for rows, told in ((few, True), ([*few[1:], "39.9,False"], False)):
        assert any(line.startswith(f"'amount' {leak}") for line in looked_at(tmp_path, "amount,large", rows)[2]) == told
    half = [f"2024-{1 + i // 20:02}-{1 + i % 20:02},{x:.2f},{'ab'[i >= 100]}" for i, x in enumerate(X)]
    _, _, odd, _ = looked_at(tmp_path, "day,amount,label", half)
    assert any(line.startswith(f"'day' {leak}") for line in odd)
    _, _, odd, _ = looked_at(tmp_path, "amount,fraud", [f"{x:.2f},{target}" for _, x, target in fraud])
    assert not any(leak in line for line in odd)


DAYS = pd.date_range("2021-01-05", periods=200, freq="4D")


def test_dates_of_many_orders(tmp_path):
    ways = ["%y/%m/%d", "%y-%m-%d", "%d-%m-%y", "%d.%m.%y", "%m-%d-%y", "%d-%b-%y", "%d %b %y", "%B %d, %y", "%d.%m.%Y %H:%M", "%Y.%m.%d", "%d/%b/%y %I:%M %p"]  # fmt: skip
    columns, odd, _ = side_by_side(tmp_path, numbered([day.strftime(written) for day in DAYS] for written in ways))
    for (name, lines), written in zip(odd.items(), ways, strict=True):
        assert columns[name].date_format == written
        assert not any("is not clear" in line for line in lines), written  # in other orders they end in the future


def test_orders_that_fit_are_told(tmp_path):
    rows = [f"{day:%d.%m.%y},{x}" for day, x in zip(DAYS, X, strict=True) if day.day <= 20]
    columns, _, odd, _ = looked_at(tmp_path, "when,y", rows)
    assert columns["when"].date_format == "%d.%m.%y"
    assert any(
        line.startswith("the order of day, month and year in 'when' is not clear")
        and line.endswith("--date-format '%y.%m.%d'")
        for line in odd
    )


def test_whole_numbers_with_signs_are_labels(tmp_path):
    rows = [f"({i % 3}),{1 + i % 4}-,{18 + 10 * (i % 3)}-,{x:.2f}" for i, x in enumerate(X)]
    columns, _, _, _ = looked_at(tmp_path, "code,mark,age,y", rows)
    assert {columns[name].kind for name in ("code", "mark", "age")} == {"categories"}


def test_a_given_order_is_no_doubt(tmp_path):
    path, wishes = tmp_path / "rows.csv", Wishes(format=Format(dates=("%d-%m-%y",)))
    path.write_text("\n".join(["when,y", *(f"{day:%y-%m-%d},{x}" for day, x in zip(DAYS, X, strict=True))]))
    with guessed_table(path, "rows.csv", wishes, "y") as (table, _):
        when = columns_of(table, "y", wishes)[1]
    assert (when.date_format, when.doubts) == ("%d-%m-%y", ())


def test_births_in_the_future_are_told(tmp_path):
    births = pd.date_range("1950-01-05", periods=200, freq="100D")
    _, _, odd, _ = looked_at(tmp_path, "born,y", [f"{day:%d/%m/%y},{x}" for day, x in zip(births, X, strict=True)])
    assert any(line.startswith("'born' is read as 1969 to 2068, because") for line in odd)


def test_days_without_a_date_are_missing(tmp_path):
    rows = [
        f"{'9999-12-31' if i % 4 == 0 else f'{day:%Y-%m-%d}'},{day:%m/%d/%Y},{x}"
        for i, (day, x) in enumerate(zip(DAYS, X, strict=True))
    ]
    columns, _, _, _ = looked_at(tmp_path, "end,start,y", rows)
    assert columns["end"].sentinels == ("9999-12-31",)
    assert columns["end"].why.endswith(
        "(ISO 8601); 9999-12-31 (50 rows) is far from all others, so it counts as missing"
    )
    assert columns["start"].why == "dates from 2021-01-05 to 2023-03-12 (%m/%d/%Y)"
    decades = [f"{1900 + i % 100}-01-01,{x}" for i, x in enumerate(X)]
    assert looked_at(tmp_path, "born,y", decades)[0]["born"].sentinels == ()


def test_values_without_a_column_name(tmp_path):
    answers = [f"{i},{['Phone', ''][i % 2]},{['Email', ''][i % 3 > 0]},{['Chat', ''][i % 3 < 2]}" for i in range(200)]
    rows = [f"{answer},{i % 7},{'ab'[i % 2]},{'x' * (i == 1)}" for i, answer in enumerate(answers)]
    path, told = tmp_path / "rows.csv", "columns without a name hold values such as 'Email', 'Chat', but are left out: "
    # The first column counts the rows, and the last one has a single value, as behind a stray comma.
    for header, is_told in ((",How?,,,a,y,", True), (",How?,email,chat,a,y,", False)):
        path.write_text("\n".join([header, *rows]), encoding="utf-8")
        with guessed_table(path, "rows.csv", Wishes(), "y") as (table, _):
            odd = list(oddities(table, columns_of(table, "y", Wishes())))
        assert [line for line in odd if "without a name" in line] == [f"{told}name them in the header"] * is_told


def test_rejected_labels(tmp_path):
    verdicts = ["accept", "accept", "reject", "ignore"]
    rows = [f"{x:.2f},{verdicts[i % 4]},{'ab'[i % 3 > 0]}" for i, x in enumerate(X)]
    told = (
        "the target may be wrong where 'answer' is 'ignore' or 'reject' (100 rows): remove these rows, as in pandas: "
        "frame = frame[frame['answer'] == 'accept']"
    )
    for kinds in ({}, {"answer": "categories"}):
        columns, _, odd, _ = looked_at(tmp_path, "a,answer,label", rows, kinds=kinds)
        assert (odd[0], columns["answer"].kind) == (told, kinds.get("answer", "leave_out"))
    for header in ("a,reply,label", "a,label,answer"):
        assert not any("may be wrong" in line for line in looked_at(tmp_path, header, rows)[2])
    rows = [row.replace("ignore", "later") for row in rows]
    assert not any("may be wrong" in line for line in looked_at(tmp_path, "a,answer,label", rows)[2])


@pytest.mark.parametrize(
    ("town", "is_told"),
    [("K\u00c3\u00b6ln", True), ("K\ufffdln", True), ("\u00c3\u0153", True), ("S\u00c3O", False), ("\u00abAMANH\u00c3\u00bb", False)],
)  # fmt: skip
def test_damaged_letters_are_told(tmp_path, town, is_told):
    rows = [f"{['Bern', town][i % 2]},{x:.2f},{x + i % 5:.2f}" for i, x in enumerate(X)]
    odd = looked_at(tmp_path, "town,a,y", rows)[2]
    assert (f"letters of '{town}' in 'town' seem to be damaged: export the file again as UTF-8" in odd) == is_told


@pytest.mark.parametrize(("write", "told"), [(lambda i: i % 5 == 0, True), (lambda i: i * i % 7 == 0, False)])
def test_merged_cells_are_told(tmp_path, write, told):
    rows = [f"{f'team {i // 5}' if write(i + 5) else ''},{i % 3},{x:.2f}" for i, x in enumerate(X)]
    odd = looked_at(tmp_path, "team,a,y", rows)[2]
    assert (
        any(line.startswith("'team' has a value in 40 rows, and is empty in the rows below each: ") for line in odd)
        == told
    )


@pytest.mark.parametrize(
    ("first", "other", "kind"),
    [("Train", "test", "leave_out"), ("Train", "bus", "categories"), ("dev", "test", "categories")],
)
def test_a_column_of_splits_is_left_out(tmp_path, first, other, kind):
    rows = [f"{x:.2f},{other if i % 5 else first},{x:.1f}" for i, x in enumerate(X)]
    columns, _, odd, _ = looked_at(tmp_path, "a,part,y", rows)
    assert columns["part"].kind == kind
    told = "'part' divides the rows into 'Train' and 'test', so it is left out (--categories part keeps it): "
    assert any(line.startswith(told) for line in odd) == (kind == "leave_out")


def test_an_index_of_pandas_is_left_out(tmp_path):
    columns, _, _, _ = looked_at(tmp_path, "Unnamed: 0,a,y", [f"{3 * i},{x:.1f},{x:.2f}" for i, x in enumerate(X)])
    assert columns["Unnamed: 0"].kind == "leave_out"


@pytest.mark.parametrize("separator", [";", "\t"])
def test_titles_come_before_the_header(tmp_path, separator):
    rows = [separator.join((f"{i % 9}", f"{i % 2}")) for i in range(200)]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(["Report", "", f"x{separator}label", *rows]), encoding="utf-8")
    with guessed_table(path, "rows.csv", Wishes(), "label") as (table, guess):
        assert (table.names, guess.format.skip, len(table)) == (("x", "label"), 2, 200)


def test_a_column_may_be_called_rowid(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("rowid,y\n" + "".join(f"{7919 * i % 211},{i}\n" for i in range(50)), encoding="utf-8")
    with guessed_table(path, "rows.csv", Wishes(), "y") as (table, _):
        rows = table.frame(texts=["rowid"], numbers=["y"])
    assert rows["y"].tolist() == list(range(50))


def test_second_headers_are_named(tmp_path):
    rows = ["s,°C,m", *(f"{i},{x:.2f},{x + 1:.2f}" for i, x in enumerate(X))]
    _, _, odd, _ = looked_at(tmp_path, "time,heat,y", rows)
    assert odd[0] == "rows.csv, line 2 looks like a second header, but counts as a row: remove it from the file"
    units = ["s,m,m", ",Avg,Avg", *(f"{i},{x:.2f},{x + 1:.2f}" for i, x in enumerate(X))]
    _, _, odd, _ = looked_at(tmp_path, "time,heat,y", units)
    assert not any("summary" in line for line in odd)
    rows = [
        '"How old?","Happy?"',
        '"{""ImportId"":""Q1""}","{""ImportId"":""Q2""}"',
        *(f"{20 + i % 50},{'yn'[i % 2]}" for i in range(200)),
    ]
    _, _, odd, _ = looked_at(tmp_path, "Q1,Q2", rows)
    assert odd[0].startswith("rows.csv, line 3 looks like a second header, but counts as a row: ")
    assert not any("write numbers instead" in line and "ImportId" in line for line in odd)
    for first in ("NA,NA,3", "under 5,<1,3"):
        rows = [f"{i % 9},{x:.2f},{x + 1:.2f}" for i, x in enumerate(X)]
        _, _, odd, _ = looked_at(tmp_path, "time,heat,y", [first, *rows, first, first])
        assert not any("header" in line for line in odd)
    for first, told in ((",,Response", True), (",,yes", False), ("7,,Response", False)):
        rows = [first, *(f"{1000 + 7 * i},{1 + i % 28}/1/2024,{['yes', 'no'][i % 2]}" for i in range(200))]
        _, _, odd, _ = looked_at(tmp_path, "Respondent ID,When,Happy", rows)
        assert odd[0].startswith("rows.csv, line 2 looks like a second header") == told
    rows = [
        ",Open-Ended Response,Response",
        *(f"{1000 + 7 * i},{20 + i % 50},{['yes', 'no'][i % 2]}" for i in range(200)),
    ]
    assert "second header" in looked_at(tmp_path, "Respondent ID,How old,Happy", rows)[2][0]
    changes = [f"{now - before:.2f},{now:.3f}" for before, now in pairwise(X)]
    assert not any("header" in line for line in looked_at(tmp_path, "change,y", [f",{X[0]:.3f}", *changes])[2])


def dates(folder: Path, written: list[str], **known) -> tuple[Column, list[str]]:
    """What a column of dates is taken for, and what is odd about it."""
    rows = [f'"{day}",{x}' for day, x in zip(written, X, strict=True)]
    columns, _, odd, _ = looked_at(folder, "when,y", rows, **known)
    return columns["when"], odd


def test_a_wrong_date_is_missing_and_named(tmp_path):
    ways = [("%Y-%m-%d", "2022-02-30"), ("%Y-%m-%d", "20222-05-01"), ("%d/%m/%Y", "31/02/2022")]
    cells = numbered(
        [wrong if i in (50, 60) else day.strftime(written) for i, day in enumerate(DAYS)] for written, wrong in ways
    )
    columns, odd, _ = side_by_side(tmp_path, cells)
    for name, (_, wrong) in zip(cells, ways, strict=True):
        assert (columns[name].kind, columns[name].markers) == ("dates", (wrong,))
        assert columns[name].why.endswith(f"; '{wrong}' (2 rows) counts as missing")
        fact = f"column '{name}' holds '{wrong}', which is not a date, so it counts as missing: correct it"
        assert odd[name][0] == f"rows.csv, line 52, {fact}"


@pytest.mark.parametrize("is_iso", [lambda i, _: i % 25 == 0, lambda _, day: day.day <= 12])
def test_iso_8601_is_a_date_in_any_column(tmp_path, is_iso):
    days = [f"{day:%Y-%m-%d}" if is_iso(i, day) else f"{day:%d/%m/%Y}" for i, day in enumerate(DAYS)]
    column, odd = dates(tmp_path, days)
    assert (column.kind, column.markers, column.date_format) == ("dates", (), "%d/%m/%Y")
    some, first = sum("-" in day for day in days), min(day for day in days if "-" in day)
    ways = f"'when' has dates as %d/%m/%Y, but '{first}' ({some} rows) as year, month and day; both are read: "
    assert [line for line in odd if "date" in line] == [f"{ways}check that no program has swapped day and month"]


@pytest.mark.parametrize("every", [25, 4])
def test_words_among_dates(tmp_path, every):
    column, odd = dates(tmp_path, ["ongoing" if i % every == 0 else f"{day:%Y-%m-%d}" for i, day in enumerate(DAYS)])
    if every == 25:
        assert (column.kind, column.markers) == ("dates", ("ongoing",))
        assert column.why.endswith("'ongoing' (8 rows) counts as missing")
    else:
        assert column.kind == "categories"
        fact = "75% of 'when' are dates as 2024-12-31, but 'ongoing' (50 rows) is not: "
        assert any(line == f"{fact}if that means a missing value, add it with --missing" for line in odd)


def test_dates_that_are_not_read_are_told(tmp_path):
    year, month = "\N{CJK UNIFIED IDEOGRAPH-5E74}", "\N{CJK UNIFIED IDEOGRAPH-6708}"
    ways: list[tuple[Callable[[pd.Timestamp], str], str]] = [
        (lambda day: f"{day:%Y.%d}" if day.day <= 12 else f"{day:%d/%m/%Y}", "write all dates in one way, such as"),
        (lambda day: f"{day.day}. {['Jänner', 'Feber', 'März'][day.month % 3]} {day.year}", "write them as 2024-12-31"),
        (lambda day: f"{day.day}th {day:%b %Y}", "write them as 2024-12-31 23:59, or say how they are written, with "),
        (lambda day: f"{day.year}{year}{day.month}{month}{day.day}", "write"),
        (lambda day: f"{day:%Y-%m}", "add --dates a4"),
        (lambda day: f"{day:%Y-%m-%d %H:%M} Europe/Paris", "write them as 2024-12-31 23:59"),
    ]
    columns, odd, _ = side_by_side(tmp_path, numbered([write(day) for day in DAYS] for write, _ in ways))
    for (name, lines), (_, hint) in zip(odd.items(), ways, strict=True):
        assert columns[name].kind != "dates", hint
        assert any(f"'{name}'" in line.split(": ")[0] and line.split(": ")[1].startswith(hint) for line in lines), (
            hint,
            lines,
        )


def test_times_of_programs_are_dates(tmp_path):
    ways = {
        "%a, %d %b %Y %H:%M:%S +0200": "%a, %d %b %Y %H:%M:%S %z",
        "%Y%m%dT%H%M%SZ": "",
        "%Y-%m-%d %H:%M:%S -0500": "",
        "%Y-%m-%d %I:%M %p": "%Y-%m-%d %I:%M %p",
        "%-d. %-m. %Y": "%d. %m. %Y",
    }
    cells = numbered([(day + pd.Timedelta(hours=13)).strftime(written) for day in DAYS] for written in ways)
    columns = side_by_side(tmp_path, cells)[0]
    for name, (written, known_as) in zip(cells, ways.items(), strict=True):
        assert (columns[name].kind, columns[name].date_format) == ("dates", known_as), written


def test_some_offsets_are_told(tmp_path):
    facts = {
        1: "1 time in '{}' has an offset from UTC, and 199 have none, so these count as UTC: write all with one",
        40: "40 times in '{}' have an offset from UTC, and 160 have none, so these count as UTC: write all with one",
        199: "199 times in '{}' have an offset from UTC, and 1 has none, so it counts as UTC: write all with one",
    }
    ways = [
        ("%Y-%m-%d %H:%M:%S -0500", "%Y-%m-%d %H:%M:%S"), ("%Y%m%dT%H%M%SZ", "%Y-%m-%d"), ("%Y-%m-%dT%H:%M+02", "%Y-%m-%d %H:%M"),
    ]  # fmt: skip
    cases = [(*way, count) for way in ways for count in (0, 1, 40, 199, 200)]
    cells = numbered(
        [day.strftime(zoned if i < count else local) for i, day in enumerate(DAYS)] for zoned, local, count in cases
    )
    columns, odd, _ = side_by_side(tmp_path, cells)
    for name, (zoned, _, count) in zip(cells, cases, strict=True):
        assert columns[name].kind == "dates", (zoned, count)
        told = [line.startswith(facts[count].format(name)) for line in odd[name] if "offset" in line]
        assert told == [True] * (count in facts), (zoned, count)


@pytest.mark.parametrize("written", ["%Y", "%Y-%m", "%b-%y"])
def test_years_and_months_are_dates_if_asked(tmp_path, written):
    days = [f"{pd.Timestamp(2010 + i % 10, 1 + i % 9, 1):{written}}" for i in range(200)]
    assert dates(tmp_path, days)[0].kind != "dates"
    assert dates(tmp_path, days, kinds={"when": "dates"})[0].date_format == written


def test_numbers_that_are_nearly_dates_are_told(tmp_path):
    _, odd = dates(tmp_path, ["20210230", *(f"{day:%Y%m%d}" for day in DAYS[1:])])
    assert odd[0].startswith("nearly all numbers in 'when' can be read as dates, such as 20210109: ")


def test_amounts_among_categories_are_told(tmp_path):
    cases: list[tuple[Callable[[float, int], str], bool]] = [
        (lambda x, _: f"{4 * x:.0f}m2", True),
        (lambda x, _: f"{4 * x // 60:.0f}:{4 * x % 60:02.0f}", True),
        (lambda x, _: f"{x // 2 * 10:.0f}-{x // 2 * 10 + 9:.0f}", True),
        (lambda x, _: f"${x / 10:.1f}M" if x > 10 else f"${x * 100:.0f}k", True),
        (lambda x, _: f"{x // 1:.0f}h {x % 1 * 60:.0f}m" if x > 2 else "1h 23m", True),
        (lambda x, _: f"{x // 1:.0f}d {x % 1 * 24:.0f}h", True),
        (lambda x, _: f"{x // 1:.0f} years {x % 1 * 12:.0f} mos.", True),
        (lambda x, _: f"30x{x:.0f}x10 cm", True),
        (lambda x, i: f"{x:.0f}MX{100 + i % 6}", False),
        (lambda x, i: f"{x:.0f}{'ABCDEF'[i % 6]}{i % 7}{'GHIJK'[i % 5]}", False),
        (lambda x, _: f"0x{int(4 * x):x}", True),
        (lambda x, i: f"{x:.0f}{'ABCDEF'[i % 6]}", False),
        (lambda x, _: f"555-{1000 + 4 * int(x)}", False),
        (lambda x, _: ["1-5", "6-10", "11-20"][int(x) % 3], False),
    ]
    columns, odd, _ = side_by_side(tmp_path, numbered([write(x, i) for i, x in enumerate(X)] * 2 for write, _ in cases))
    for (name, lines), (write, told) in zip(odd.items(), cases, strict=True):
        assert columns[name].kind != "numbers", write(9, 9)
        found = any(f"'{name}' such as" in line and "look like amounts or times" in line for line in lines)
        assert found == told, (write(9, 9), lines)


def test_codes_with_an_e_are_no_numbers(tmp_path):
    columns, _, _, _ = looked_at(tmp_path, "a,b,y", [f"{i % 40}e{i % 3},{x:.0e},{x}" for i, x in enumerate(X)])
    assert (columns["a"].kind, columns["b"].kind) == ("categories", "numbers")
    rows = [f"{f'{i % 40}e2' if i % 10 == 0 else 4711 + i},{x}" for i, x in enumerate(X)]
    assert looked_at(tmp_path, "a,y", rows)[2][0] == "0e2 in 'a' is read as 0: if it is a code, add --categories a"


@pytest.mark.parametrize(("different", "kind"), [(200, "leave_out"), (50, "categories")])
def test_long_numbers_are_told_apart(tmp_path, different, kind):
    rows = [f"{1234567890123456000 + 3 * (i % different)},{1.7e18 + i * 1e12:.0f},{x}" for i, x in enumerate(X)]
    columns, _, _, _ = looked_at(tmp_path, "account,nanoseconds,y", rows)
    assert (columns["account"].kind, columns["nanoseconds"].kind) == (kind, "numbers")


def test_means_and_subtotals_are_named(tmp_path):
    rows = [f"{x:.2f},{'uv'[i % 2]},{'st'[i % 2]},{x + 1:.2f}" for i, x in enumerate(X)]
    rows = [*rows[:50], "900,Subtotal,,950", *rows[50:90], "800,Subtotal,,840", *rows[90:], "20.1,Mean,,21.1"]
    _, _, odd, _ = looked_at(tmp_path, "a,kind,other,y", rows)
    assert odd[:2] == [
        "rows.csv, line 204 looks like the mean of other rows: remove it from the file",
        "rows.csv, line 52 looks like a summary of other rows, the first of 2 rows that do: remove them from the file",
    ]
    regions = [f"{'North' if i < 60 else 'South'},{x:.2f},{x + 1:.2f}" for i, x in enumerate(X)]
    totals = [*regions[:60], "North Total,900,950", *regions[60:], "South Total,800,840"]
    _, _, odd, _ = looked_at(tmp_path, "region,a,y", totals)
    summary = "line 62 looks like a summary of other rows, the first of 2 rows that do: remove them from the file"
    assert odd[0] == f"rows.csv, {summary}"
    for word, told in (("Zwischensumme", True), ("Total", False)):
        sums = [*regions[:60], f"{word},900,950", *regions[60:], f"{word},800,840", *regions[:9]]
        odd = looked_at(tmp_path, "region,a,y", sums)[2]
        assert any("line 62 looks like a summary" in line for line in odd) == told
    odd = looked_at(tmp_path, "region,a,y", [*regions, "Gesamtergebnis,1700,1790"])[2]
    assert odd[0] == "rows.csv, line 202 looks like the total of other rows: remove it from the file"
    assert (
        looked_at(tmp_path, "region,a,y", [*regions, "Somme,17,19"])[2]
        == looked_at(tmp_path, "region,a,y", [*regions, "Oise,17,19"])[2]
    )
    odd = looked_at(tmp_path, "region,a,y", ["Total,1700,1790", *regions])[2]
    assert odd[0] == "rows.csv, line 2 looks like the total of other rows: remove it from the file"
    brands = [f"{['Colgate', 'Colgate Total', 'Oral'][i % 3]},{x:.2f},{x + 1:.2f}" for i, x in enumerate(X)]
    assert not any("summary" in line for line in looked_at(tmp_path, "brand,a,y", brands)[2])
    monthly = [f"{['North', 'South'][i % 2]}{' Total' * (i % 6 > 3)},{x:.2f},{x + 1:.2f}" for i, x in enumerate(X)]
    assert any("summary" in line for line in looked_at(tmp_path, "region,a,y", monthly)[2])
    blank = [*brands, "Colgate,2,", "Oral Total,,1"]
    assert not any("summary" in line for line in looked_at(tmp_path, "brand,a,y", blank)[2])


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["yes", "Y", "no", "N"], "the classes 'Y', 'yes' may be one"),
        (["1", "1.0", "TRUE", "0"], "the classes '1', '1.0', 'TRUE' may be one"),
        (["18-25", "18\u201325", "26+"], "the classes '18-25', '18\u201325' may be one"),
        (["don't", "don\u2019t", "do"], "may be one"),
        (["A", "\uff21", "B"], "may be one"),
        (["low", "Low", "high"], "the classes 'Low', 'low' differ only in case or spaces; "),
        (
            ["no risk", "No-risk", "NoRisk", "no_risk.", "risk"],
            "the classes 'No-risk', 'NoRisk', 'no risk', 'no_risk.' may be one",
        ),
        (["Y", "N", "T", "F"], ""),
        (["C", "C++", "C#", "-1", "1"], ""),
        (["A-", "A", "x y", "xy", "v.", "v", "1-2", "12"], ""),
        (["naïve", "naive", "18-25", "1825"], ""),
    ],
)
def test_labels_in_several_spellings_are_told(tmp_path, labels, said):
    rows = [f"{x:.3f},{labels[i % len(labels)]}" for i, x in enumerate(X)]
    odd = [line for line in looked_at(tmp_path, "x,y", rows)[2] if line.startswith("the classes ")]
    assert len(odd) == bool(said) + (labels[0] == "yes")
    assert not said or any(said in line for line in odd)


@pytest.mark.parametrize(
    ("labels", "are_several"),
    [
        (['["b","a"]', '["b"]', '["a","c"]', "[]"], True),
        (["['b', 'a']", "['b']", "['a', 'c']"], True),
        (["<python><sql>", "<sql>", "<r>"], True),
        (["b,a", "a", "b", "a,c,b"], True),
        (["b/a", "a/b", "b"], True),
        (["1, 2", "2, 1", "3", "2, 3, 1"], True),
        (["b & a", "a & c", "c & b"], True),
        (["b#a", "a#b", "a"], True),
        (["b;a", "a", "b"], True),
        (["World", "Sports", "Sci/Tech"], False),
        (["Bern, CH", "Lyon, FR", "Nice, FR"], False),
        (["food & drink", "home & garden", "toys"], False),
        (["1/2", "2/1", "3/1", "2/3"], False),
        (['["a"]', '["b"]', '["c"]'], False),
        (["a", "b", '{"choices":["a","b"]}'], True),
        (["a", "b", "c", '["a", "b"]'], True),
        (["a", "b", "c", '{"choices":["a"],"other":"b"}', "[1, 2]", "{a, b}"], False),
    ],
)
def test_several_labels_in_a_cell_are_told(tmp_path, labels, are_several):
    rows = ['{:.3f};"{}"'.format(x, labels[i % len(labels)].replace('"', '""')) for i, x in enumerate(X)]
    form = Format(separator=";")
    odd = looked_at(tmp_path, "x;y", rows, form=form)[2]
    assert any("seems to be several labels" in line for line in odd) == are_several


def test_a_missing_label_is_no_class(tmp_path):
    rows = [f"{x:.3f},{['[]', 'a', 'b'][i % 3]}" for i, x in enumerate(X)]
    assert any(line.startswith("the class '[]' may mean that the label is missing") for line in looked_at(tmp_path, "x,y", rows)[2])  # fmt: skip
    rows = [f"{x:.3f},{'NaN' if i % 4 == 0 else i % 2}" for i, x in enumerate(X)]
    columns, _, odd, _ = looked_at(tmp_path, "x,y", rows)
    assert columns["y"].why == "a label, because its values are 0, 1; 'NaN' (50 rows) counts as missing"
    assert [line for line in odd if "NaN" in line or "label is missing" in line] == []
    assert "50 rows (25.0%) have no target and are left out" in odd


def test_rows_without_inputs_do_not_contradict_each_other(tmp_path):
    rows = [f"{'' if i % 4 else f'a text of four {i}'},{'ab'[i % 3 == 0]}" for i, x in enumerate(X)]
    odd = looked_at(tmp_path, "text,y", rows)[2]
    assert "150 rows have no input and are left out" in odd
    assert [line for line in odd if "another label" in line or "repeat" in line] == []


def test_summaries_are_found_beside_mixed_values(tmp_path):
    """A column of JSON with numbers and texts has a further column in the database."""
    rows = [
        json.dumps({"town": "ab"[i % 2], "mix": str(i % 9) if i % 2 else i % 9, "y": "uv"[i % 3 > 1]})
        for i in range(90)
    ]
    rows.append('{"town": "Total", "mix": 4, "y": "u"}')
    odd = looked_at(tmp_path, "y", [], name="rows.jsonl", text="\n".join(rows))[2]
    assert "line 91 looks like the total of other rows: remove it from the file" in [
        line.partition(", ")[2] for line in odd
    ]


def rows_of_customers(write, *, own_target: bool) -> list[str]:
    """Rows of 60 customers, whose target is always the same, or their own in every row."""
    draw = random.Random(3)
    customers = [(write(k), draw.randint(18, 90), draw.randint(1000, 9000), draw.choice("ab")) for k in range(60)]
    chosen = [draw.choice(customers) for _ in range(900)]
    return [
        f"{name},{age},{income},{draw.random():.4f},{draw.choice('ab') if own_target else target}"
        for name, age, income, target in chosen
    ]


@pytest.mark.parametrize(
    "write", [lambda k: 1000 + 7 * k, lambda k: f"u{k}@example.org", lambda k: f"Ann no {k} Smith"]
)
def test_rows_of_one_customer_are_told(tmp_path, write):
    header = "customer_id,age,income,x,y"
    odd = looked_at(tmp_path, header, rows_of_customers(write, own_target=False))[2]
    fact = "rows with the same 'customer_id' (60 values, 15 rows each) have nearly the same target, and share 'age', 'income'"
    assert odd[0] == f"{fact}: if new rows have other values, the test looks too good: add --group customer_id"
    assert not any(
        "--group" in line for line in looked_at(tmp_path, header, rows_of_customers(write, own_target=True))[2]
    )


def test_repeated_measures_are_told(tmp_path):
    draw = random.Random(4)
    people = [(k, draw.gauss(0, 1), draw.randint(18, 90), draw.randint(150, 199)) for k in range(100)]
    rows = [f"p{k},{age},{size},{draw.random():.3f},{own + draw.gauss(0, 1):.3f}" for k, own, age, size in people * 4]
    odd = looked_at(tmp_path, "person,age,size,x,y", rows)[2]
    fact = "rows with the same 'person' (100 values, 4 rows each) have a similar target, and share 'age', 'size': "
    assert odd[0].startswith(fact)


@pytest.mark.parametrize(
    "write",
    [
        lambda i, x: f"{i % 15},{int(9 * x) % 7},{i % 15 // 8}",  # a category with few values
        lambda i, x: f"{int(10 * x)},{i % 7},{int(x > 20)}",  # a number that decides by its size
        lambda i, x: f"{int(10 * x)},{i % 7},{3 * int(10 * x)}",
        lambda i, x: f"{i % 90},{int(9 * x) % 7},{int(i % 500 == 0)}",  # a target that is almost constant
        lambda i, x: f"c{i % 90},1,{int(9 * (X * 7)[i % 90]) % 2}",  # copies
    ],
)
def test_other_repeated_values_are_no_groups(tmp_path, write):
    rows = [write(i, x) for i, x in enumerate([DRAW.uniform(1, 40) for _ in range(1500)])]
    assert not any("--group" in line for line in looked_at(tmp_path, "a,b,y", rows)[2])


def test_two_signs_for_missing_are_found(tmp_path):
    signs = {0: "-9999", 1: "999999", 2: "-998", 3: "-999"}
    rows = [
        f"{signs.get(i % 20, f'{3000 + 9 * x:.0f}')},{signs.get(i % 20 + 2, f'{x:.0f}')},{x}" for i, x in enumerate(X)
    ]
    columns = looked_at(tmp_path, "income,age,y", rows)[0]
    assert {*columns["income"].sentinels} == {"-9999", "-998", "-999", "999999"}
    assert {*columns["age"].sentinels} == {"-998", "-999"}
    rows = [f"{99.9 if i % 20 == 0 else x / 3:.1f},{-99.99 if i % 20 == 0 else x:.2f},{x}" for i, x in enumerate(X)]
    columns_with_points = looked_at(tmp_path, "wind,rain,y", rows)[0]
    assert [columns_with_points[name].sentinels for name in ("wind", "rain")] == [("99.9",), ("-99.99",)]
    fills = [("1.00000e+20", 20), ("9.96921e+36", 200), ("2147483647", 20), ("-9999", 200)]
    cells = numbered([fill if i % every == 0 else str(x) for i, x in enumerate(X)] for fill, every in fills)
    for usual, real in (("{:.0f}.99", "999.99"), ("{:.0f}e9", "3.2e+15")):
        cells[f"a{len(cells)}"] = [real if i % 20 == 0 else usual.format(x) for i, x in enumerate(X)]
    with_fills = side_by_side(tmp_path, cells)[0]
    assert [with_fills[name].sentinels for name in cells] == [*((fill,) for fill, _ in fills), (), ()]
    assert columns["age"].why.endswith(
        "; -999 (10 rows) and -998 (10 rows) are far from all others, so they count as missing"
    )
    days = [
        "1900-01-01" if i % 9 == 0 else "9999-12-31" if i % 9 == 1 else f"{day:%Y-%m-%d}" for i, day in enumerate(DAYS)
    ]
    column, _ = dates(tmp_path, days)
    assert column.sentinels == ("1900-01-01", "9999-12-31")
    assert column.why.startswith("dates from 2021-01-")


def test_balances_are_no_signs_for_missing(tmp_path):
    rows = [f"{[-100, -50, 0, 10, 20][i % 5]},{[-2, -1, 0, 1, 2][i % 5]},{x}" for i, x in enumerate(X)]
    columns = looked_at(tmp_path, "a,b,y", rows)[0]
    assert (columns["a"].sentinels, columns["b"].sentinels) == ((), ())


def test_whole_numbers_in_parentheses_are_negative(tmp_path):
    wanted = [round((x - 20) * 40) for x in X]
    for write in (lambda n: f"{abs(n)}", lambda n: f'"{abs(n):,}"', lambda n: f"${abs(n)}"):
        cells = [write(n) if n >= 0 else re.sub(r"^(\"?)(.*?)(\"?)$", r"\1(\2)\3", write(n)) for n in wanted]
        columns, _, _, numbers = looked_at(
            tmp_path, "x,change", [f"{x},{cell}" for x, cell in zip(X, cells, strict=True)]
        )
        assert (columns["change"].predict, numbers["change"]) == ("number", wanted)


def test_labels_in_parentheses_stay_words(tmp_path):
    rows = [f"({2000 + i % 30}),{['(1)', '2', '(3)'][i % 3]},{x}" for i, x in enumerate(X)]
    columns, _, odd, numbers = looked_at(tmp_path, "year,code,y", rows)
    assert {columns[name].kind for name in ("year", "code")} == {"categories"}
    assert odd[1] == "'(1)' in 'code' is read as a word: if it is a negative number, add --numbers code"
    columns, _, _, numbers = looked_at(tmp_path, "year,code,y", rows, kinds={"code": "numbers"})
    assert (columns["code"].kind, numbers["code"][:3]) == ("numbers", [-1, 2, -3])


def test_times_of_day_are_dates(tmp_path):
    clocks = [f"{i * 7 % 24:02}:{i * 11 % 60:02}" for i in range(200)]
    columns, _, _, _ = looked_at(tmp_path, "at,y", [f"{at},{x}" for at, x in zip(clocks, X, strict=True)])
    assert (columns["at"].kind, columns["at"].why) == ("dates", "times of day from 00:00 to 23:55 (%H:%M)")
    shifts = [f"{['06:00', '14:00', '22:00'][i % 3]},{x}" for i, x in enumerate(X)]
    assert looked_at(tmp_path, "at,y", shifts)[0]["at"].kind == "categories"
    late = [f"{at.lstrip('0') or '0'},{x}" for at, x in zip(clocks, X, strict=True)]
    columns, _, odd, _ = looked_at(tmp_path, "at,y", late)
    assert columns["at"].kind == "categories"
    assert any("add --dates at if they are times of day, or write numbers instead" in line for line in odd)


def test_unix_times_are_told(tmp_path):
    cells = numbered([str((1_700_000_000 + 1000 * i) * parts) for i in range(200)] for parts in (1, 1000, 10**9))
    cells["phone"] = [str(2_000_000_000 + i * 10**7) for i in range(200)]
    odd = side_by_side(tmp_path, cells)[1]
    for name, lines in odd.items():
        told = [line for line in lines if "may be times since 1970, such as 2023-11-14: if so, write dates" in line]
        assert [line.split(" may")[0] for line in told] == [f"numbers in '{name}'"] * (name != "phone"), name


@pytest.mark.parametrize("units", [(" km", " mi"), ("\N{PER MILLE SIGN}",)])
def test_targets_that_look_like_amounts_are_told(tmp_path, units):
    rows = [f"{i},{i % 70 / 10}{units[i % len(units)]}" for i in range(400)]
    columns, _, odd, _ = looked_at(tmp_path, "x,rate", rows)
    assert columns["rate"].predict == "label"
    assert any(line.startswith("values in 'rate' ") and "not read as numbers: write" in line for line in odd)
    odd = looked_at(tmp_path, "x,grade", [f"{i},{i % 4} stars" for i in range(400)])[2]
    assert not any("'grade'" in line for line in odd)


def test_times_in_one_number_are_told(tmp_path):
    start = datetime(2024, 3, 1, 22, tzinfo=UTC)
    times = [start + timedelta(hours=7 * i) for i in range(80)]
    rows = [f"{at:%Y%m%d%H},{at:%Y%m%d%H%M%S},{45000.5 + i},{45000 + 2 * i},{i % 2}" for i, at in enumerate(times)]
    odd = looked_at(tmp_path, "at,{sent},Order Date,price,y", rows)[2]
    command = "frame['Order Date'] = pandas.to_datetime(frame['Order Date'], unit='D', origin='1899-12-30')"
    assert odd[:3] == [
        "all numbers in 'at' can be read as times, such as 2024030122: if so, add --dates at --date-format %Y%m%d%H",
        "all numbers in '{sent}' can be read as times, such as 20240301220000: if so, add --dates '{sent}' --date-format %Y%m%d%H%M%S",
        f"numbers in 'Order Date' may be days of a spreadsheet, such as 2023-03-15: if so, write dates, as in pandas: {command}",
    ]
    assert not any("price" in line for line in odd)
    odd = looked_at(tmp_path, "Date/Time,y", [f"{45000 + i / 4},{i % 2}" for i in range(80)])[2]
    assert odd[0].startswith("numbers in 'Date/Time' may be days of a spreadsheet, such as 2023-03-15: ")


def test_objects_and_lists_are_told(tmp_path):
    words = ["red", "blue", "green", "big", "small", "old"]
    made = [
        {"user": {"age": i % 90, "plan": "ab"[i % 2]}, "tags": DRAW.sample(words, 3), "place": [x, i], "y": "ab"[i % 2]}
        for i, x in enumerate(X)
    ]
    odd = looked_at(tmp_path, "user,tags,place,y", [], name="rows.jsonl", text="\n".join(map(json.dumps, made)))[2]
    assert odd[0].startswith(
        "each object in 'user' is read as one value: make a column of each key: python -X utf8 -c "
    )
    assert odd[1] == "each list in 'tags' is read as one value: to learn from the words in it, add --text tags"
    assert odd[2].startswith("each list of numbers in 'place' is read as one value: make a column of each number, ")
    command = shlex.quote(sys.executable) + odd[0].partition("key: python")[2]
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
    first = json.loads((tmp_path / "rows-new.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert first["user.age"] == 0


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (
            lambda i, x: f"{x:.2f}".replace(".", "," if i % 10 else "."),
            "have two decimal marks: write all numbers with",
        ),
        (lambda i, x: f"{x:.3f}".replace(".", "," if i % 2 else "."), "are read as "),
        (lambda i, x: f"{1000 * x:,.2f}".translate({44: 46, 46: 44}) if i % 2 else "12,5", ""),
        (lambda i, x: f"{100 * x:,.0f}".replace(",", ".") if i % 2 else f"{x:.2f}".replace(".", ","), ""),
    ],
)
def test_two_decimal_marks_are_told(tmp_path, write, told):
    odd = looked_at(tmp_path, "a;b;y", [f"{write(i, x)};{x:.0f};{i % 2}" for i, x in enumerate(X)])[2]
    assert any("in 'a' " in line and told in line for line in odd) == bool(told), odd


def test_months_must_be_english(tmp_path):
    written = [f"{day.day}. {['März', 'April'][day.day % 2]} {day.year}" for day in DAYS]
    with pytest.raises(RetrainError) as raised:
        dates(tmp_path, written, kinds={"when": "dates"}, form=Format(dates=("%d. %B %Y",)))
    assert "needs the names of months and days in English; write these" in str(raised.value)


def test_row_names_are_left_out(tmp_path):
    mixed = DRAW.sample(range(200), 200)
    rows = [f"{i},{199 - i},{7 + i * i},{3 * i},{i * 5},{mixed[i]},{x:.2f}" for i, x in enumerate(X)]
    columns, _, _, _ = looked_at(tmp_path, "step,back,rownames,ID,S.No,rank,y", rows)
    left = {name: own.why for name, own in columns.items() if own.kind == "leave_out"}
    counts, names = "row numbers", "a different number in every row"
    assert left == {"step": counts, "back": counts, "rownames": names, "ID": names, "S.No": names}


def test_counts_alone_are_numbers(tmp_path):
    columns, _, _, _ = looked_at(tmp_path, "rownames,step,y", [f"{i},{i + 1},{x:.2f}" for i, x in enumerate(X)])
    assert {name: own.kind for name, own in columns.items() if name != "y"} == {
        "rownames": "leave_out",
        "step": "numbers",
    }


def test_years_in_order_are_told(tmp_path):
    line = "the rows are in the order of 'year': to test on the newest ones, add --time year"
    rows = [f"{1820 + i},{x:.2f},{10 * i + x / 40:.2f}" for i, x in enumerate(X)]
    columns, _, odd, _ = looked_at(tmp_path, "year,oil,y", rows)
    assert (columns["year"].kind, columns["year"].why) == ("numbers", "numbers from 1820 to 2019")
    assert odd[0] == line
    assert not any("alone tell" in one for one in odd)
    _, _, odd, _ = looked_at(tmp_path, "year,oil,y", DRAW.sample(rows, 200))
    assert line not in odd


@pytest.mark.parametrize("written", ["%d%m%Y", "%m%d%Y", "%y%m%d", "%d%m%y"])
def test_numbers_of_a_day_are_told(tmp_path, written):
    days = [pd.Timestamp(2023, 1, 3) + timedelta(days=2 * i) for i in range(200)]
    rows = [
        f"{day.strftime(written)},{i * 5471 % 310000},{x:.2f}" for i, (day, x) in enumerate(zip(days, X, strict=True))
    ]
    told = [line for line in looked_at(tmp_path, "when,a,y", rows)[2] if "can be read as dates" in line]
    assert len(told) == 1
    assert told[0].endswith(f": if so, add --dates when --date-format {written}")


def test_numbers_of_rows_are_no_target(tmp_path):
    for name, told in (("order_id", True), ("orders", False)):
        odd = looked_at(tmp_path, f"a,{name}", [f"{x:.2f},{7 * i + 10000}" for i, x in enumerate(X)])[2]
        fact = (
            "the target 'order_id' seems to name the rows (a different number in every row): if so, choose another one"
        )
        assert (fact in odd) == told


def test_numbers_that_are_months_are_told(tmp_path):
    for first in (1980, 2001):  # 200101 could also be a day of 2020
        rows = [f"{first + i // 12 % 12}{i % 12 + 1:02},{198001 + i},{x:.2f}" for i, x in enumerate(X)]
        _, _, odd, _ = looked_at(tmp_path, "month,price,y", rows)
        (line,) = (line for line in odd if "can be read as" in line)
        assert line.endswith(f"as months, such as {first}01: if so, add --dates month --date-format %Y%m")


@pytest.mark.parametrize("name", ["model_year", "birthYear", "Baujahr", "time"])
def test_names_of_years(tmp_path, name):
    _, _, odd, _ = looked_at(tmp_path, f"{name},y", [f"{1820 + i},{x:.2f}" for i, x in enumerate(X)])
    assert any(line.startswith(f"the rows are in the order of '{name}'") for line in odd)


def test_sorted_weights_are_no_years(tmp_path):
    rows = [f"{1500 + 3 * i},{DRAW.choice('ab')},{(1500 + 3 * i) / 28.35:.2f}" for i in range(200)]
    _, _, odd, _ = looked_at(tmp_path, "weight_g,color,weight_oz", rows)
    assert any(line.startswith("'weight_g' alone tells the target") for line in odd)
    assert not any("in the order of" in line for line in odd)


def test_mixed_numbers_of_rows_are_left_out(tmp_path):
    names = ["EmployeeNumber", "employee_no", "ticket number", "patientid", "itemNr", "_task_hash"]
    cells = {name: [str(i + 1) for i in DRAW.sample(range(200), 200)] for name in names}
    columns = side_by_side(tmp_path, {**cells, "a": [f"{DRAW.random():.3f}" for _ in X]})[0]
    for name in names:
        assert columns[name].why == "a different number in every row", name


@pytest.mark.parametrize(("low", "is_told"), [(1, True), (1820, False)])
def test_numbers_without_gaps_are_told(tmp_path, low, is_told):
    columns, _, odd, _ = looked_at(tmp_path, "our customer,a,y", mixed_rows(low))
    assert columns["our customer"].kind == "numbers"
    line = "'our customer' has each number from 1 to 200 once: if it names the rows, add --leave-out 'our customer'"
    assert (line in odd) == is_told == any("--leave-out" in one for one in odd)


def mixed_rows(low: int) -> list[str]:
    """Rows with all whole numbers from one on, in another order, and with two amounts."""
    return [f"{i + low},{DRAW.random():.3f},{x:.2f}" for i, x in zip(DRAW.sample(range(200), 200), X, strict=True)]


@pytest.mark.parametrize(("yes", "no"), [("1", "0"), ("True", "False")])
def test_classes_in_several_columns_are_told(tmp_path, yes, no):
    rows = [
        f"{x:.2f},{i % 2},{','.join(yes if i * 7 % 10 % 3 == k else no for k in range(3))}" for i, x in enumerate(X)
    ]
    told = "'joy', 'fear' and the target seem to be the classes of one label: leave them out, or "
    assert any(line.startswith(told) for line in looked_at(tmp_path, "x,b,joy,fear,rage", rows)[2])
    rows = [f"{rows[0][: -len(no)]}{yes}", *rows[1:]]
    assert not any("of one label" in line for line in looked_at(tmp_path, "x,b,joy,fear,rage", rows)[2])


@pytest.mark.parametrize("many", [24, 200])
def test_copies_of_the_target_are_told(tmp_path, many):
    told, some = "alone tells the target almost always", list(enumerate(X[:many]))
    for copy in (lambda x: x**0.5, lambda x: -(x**3)):
        rows = [f"{i % 7},{copy(x)},{x}" for i, x in some]
        _, _, odd, _ = looked_at(tmp_path, "a,copy,y", rows)
        assert any(line.startswith(f"'copy' {told}") for line in odd)
        assert not any("--group" in line for line in odd)
    rows = [f"{'uvw'[i % 3]},{i % 5},{'abc'[i % 3]}" for i, _ in some]
    _, _, odd, _ = looked_at(tmp_path, "code,a,y", rows)
    assert any(line.startswith(f"'code' {told}") for line in odd)


def test_two_columns_that_make_the_target(tmp_path):
    start = datetime(2024, 1, 1, tzinfo=UTC)
    opened = [start + timedelta(hours=7 * i) for i in range(len(X))]
    times = [
        f"{at:%Y-%m-%d %H:%M},{at + timedelta(hours=x):%Y-%m-%d %H:%M},{x:.1f}" for at, x in zip(opened, X, strict=True)
    ]
    others = [10 * DRAW.random() for _ in X]
    sums = [f"{x:.2f},{y:.2f},{round(x, 2) + round(y, 2):.2f}" for x, y in zip(X, others, strict=True)]
    nets = [f"{x:.2f},{y:.2f},{round(y, 2) - round(x, 2):.2f}" for x, y in zip(X, others, strict=True)]
    more = [f"{x:.2f},{y:.2f},{x + y + DRAW.random():.2f}" for x, y in zip(X, others, strict=True)]
    few = [f"{int(i == 7)},{int(i == 9)},{int(i in (7, 9)) + 0.5 * (i == 11)}" for i in range(len(X))]
    far = [*sums[1:], "1,2,999999999"]
    hint = "tells the target almost always: leave out what is not known when you predict (--leave-out)"
    made = ((times, "difference"), (sums, "sum"), (far, "sum"), (nets, "difference"), (more, ""), (few, ""))
    for rows, what in made:
        odd = looked_at(tmp_path, "a,b,y", rows, kinds={"a": "dates", "b": "dates"} if rows is times else {})[2]
        told = [line for line in odd if " of 'a' and 'b'" in line]
        assert told == ([f"the {what} of 'a' and 'b' {hint}"] if what else [])


def test_chance_makes_no_copy(tmp_path):
    rows = [f"{x:.2f},{int(i == 7)},{'ab'[i == 7]}" for i, x in enumerate(X[:24])]
    _, _, odd, _ = looked_at(tmp_path, "a,flag,y", rows)
    assert not any("alone tell" in line for line in odd)


def test_huge_numbers_may_tell_the_target(tmp_path):
    _, _, odd, _ = looked_at(tmp_path, "x,y", [f"{x:.4f}e99,{'high' if x > 20 else 'low'}" for x in X])
    assert any(line.startswith("'x' alone tells the target") for line in odd)


def test_one_line_about_a_column(tmp_path):
    rows = [f"{i % 25},{x:.2f},{(i % 25) ** 2 + i % 25 / 7:.3f}" for i, x in enumerate(X)]
    _, _, odd, _ = looked_at(tmp_path, "level,a,y", rows)
    assert sum("'level'" in line for line in odd) == 1
    assert any(line.startswith("'level' alone tells") for line in odd)
    rows = [f"cow {i % 25},{x:.2f},{'abc'[i % 25 % 3]}" for i, x in enumerate(X * 2)]
    _, _, odd, _ = looked_at(tmp_path, "cow,a,y", rows)
    (line,) = (line for line in odd if "'cow'" in line)
    assert line.endswith("add --group cow; and if the value is not known when you predict, --leave-out cow")


def test_months_are_dates(tmp_path):
    ways = {
        "%b %d %Y": "%b %d %Y", "%b-%d-%Y": "%b-%d-%Y", "%b %Y": "%b %Y", "%Y %b": "%Y %b", "%YM%m": "%YM%m",
        "%b-%y": "if 'Apr-02' is a month and a year, add --dates a5", "%Y:%m": "add --dates a6", "%Y-%m": "add --dates a7",
    }  # fmt: skip
    months = pd.date_range("2002-01-01", periods=60, freq="MS")
    cells = numbered([day.strftime(written) for day in months] for written in ways)
    columns, odd, _ = side_by_side(tmp_path, cells)
    asked = side_by_side(tmp_path, cells, kinds=dict.fromkeys(("a5", "a6", "a7"), "dates"))[0]
    for name, (written, read) in zip(cells, ways.items(), strict=True):
        if "%" in read:
            assert columns[name].date_format == read
        else:
            assert odd[name][0].endswith(f" look like dates, but are not read as dates: {read}")
            assert asked[name].why == f"as you asked, dates from 2002-01-01 to 2006-12-01 ({written})"


def test_quarters_and_weeks_are_told(tmp_path):
    ways = ["{0} Q{1}", "{0}Q{1}", "Q{1} {0}", "{0}-W0{1}", "{0}W{1}", "KW 1{1}/{0}"]
    cells = numbered([written.format(2000 + i // 4, 1 + i % 4) for i in range(60)] for written in ways)
    odd = side_by_side(tmp_path, cells)[1]
    hint = "look like quarters or weeks, but are not read as dates: write the first day of each, such as 2024-01-01"
    for lines, written in zip(odd.values(), ways, strict=True):
        assert lines[0].endswith(hint), written


def test_dates_of_sas_and_browsers_are_read(tmp_path):
    ways = ["%d%b%Y", "%d%b%Y:%H:%M:%S", "%d%b%y:%H:%M:%S", "%a %b %d %Y"]
    columns = side_by_side(tmp_path, numbered([day.strftime(written).upper() for day in DAYS] for written in ways))[0]
    for place, written in enumerate(ways):
        assert (columns[f"a{place}"].kind, columns[f"a{place}"].date_format) == ("dates", written)


@pytest.mark.parametrize(
    ("added", "text"),
    [
        ({"annotation_id": 7, "annotator": 1, "created_at": "T10:00:00Z", "lead_time": 2.5}, True),
        ({"_input_hash": 7, "_task_hash": 8, "_timestamp": 1_700_000_000}, True),
        ({"created_at": "T10:00:00Z", "lead_time": 2.5}, False),
    ],
)
def test_what_annotation_programs_add_is_left_out(tmp_path, added, text):
    """Neither when a label was given nor how long that took is known of new rows."""
    own = [
        {
            name: f"{day:%Y-%m-%d}{value}" if isinstance(value, str) else value + i * i % 97
            for name, value in added.items()
        }
        for i, day in enumerate(DAYS)
    ]
    rows = [
        json.dumps({"words": f"it is a {x:.1f} of them", **one, "y": "ab"[i % 2]})
        for i, (x, one) in enumerate(zip(X, own, strict=True))
    ]
    columns, _, _, _ = looked_at(tmp_path, "y", rows, name="rows.jsonl", text="\n".join(rows))
    used = {name for name, column in columns.items() if column.kind not in ("leave_out", "target")}
    assert used == {"words"} | (set() if text else {*added})


def test_codes_among_numbers_are_told(tmp_path):
    cases: list[tuple[Callable[[int], int], list[str]]] = [
        (lambda i: -1 if i % 3 else i, ["-1"]),
        (lambda i: -8 if i % 5 == 0 else -9 if i % 11 == 0 else 700 + i, ["-9", "-8"]),
        (lambda i: i % 29 - 1, []),
        (lambda i: -42 if i % 3 else i, []),
        (lambda i: i % 3 - 1, []),
        (lambda i: 1 + i % 5 if i % 3 else 9 - i % 2, ["8", "9"]),
        (lambda i: 9 if i % 70 == 0 else 1 + i % 5, []),
        (lambda i: (1, 2, 4, 6, 8)[i % 5], []),
        (lambda i: 8 if i % 9 == 0 else i % 5, []),
    ]
    cells = numbered([str(value(i)) for i in range(200)] for value, _ in cases)
    columns, odd, _ = side_by_side(tmp_path, cells)
    for name, (_, told) in zip(cells, cases, strict=True):
        assert [*columns[name].no_answers] == told, name
        assert any(line.startswith("unlike the other values: ") for line in odd[name]) == bool(told), name


def test_a_class_for_rows_without_a_label_is_told(tmp_path):
    for classes, told in ((4, True), (3, False)):
        rows = [f"{x:.2f},{i % classes - 1}" for i, x in enumerate(X)]
        columns, _, odd, _ = looked_at(tmp_path, "x,label", rows)
        assert columns["label"].predict == "label"
        assert any(line.startswith("-1 is taken as a class: ") for line in odd) == told


def test_codes_that_a_spreadsheet_has_rounded_are_told(tmp_path):
    rows = [f"{4 + i % 5}.0{i % 7}646E+12,{1 + i % 9}.2E+{11 + i % 3},{x:.2f}" for i, x in enumerate(X)]
    _, _, odd, _ = looked_at(tmp_path, "ean,gdp,y", rows)
    assert [line for line in odd if "in a spreadsheet" in line] == [
        "'4.00646E+12' in 'ean' may have lost its last digits in a spreadsheet: if it is a code, export it again as a text"
    ]


def test_given_units_leave_others_to_be_found(tmp_path):
    rows = [f"CHF {x:.2f} p.a.,{4 * x:.0f} m²,{x:.1f} kg" for x in X]
    form = Format(units=("CHF", "p.a.", "kg"))
    columns, guess, _, _ = looked_at(tmp_path, "rent,area,y", rows, form=form)
    assert [column.kind for column in columns.values()] == ["target", "numbers", "numbers"]
    assert guess.format.units_in == {"area": "m²"}


def test_missing_dates_are_counted(tmp_path):
    markers = ["0000-00-00", "NaT"]
    cells = numbered([marker if i % 5 == 0 else f"{day:%Y-%m-%d}" for i, day in enumerate(DAYS)] for marker in markers)
    columns = side_by_side(tmp_path, cells)[0]
    for name, marker in zip(cells, markers, strict=True):
        why = f"dates from 2021-01-09 to 2023-03-12 (ISO 8601); '{marker}' (40 rows) counts as missing"
        assert columns[name].why == why


def test_odd_digits_are_told(tmp_path):
    ways: list[Callable[[int], str]] = [
        lambda i: f"'{i}",
        lambda i: f"{i / 8:.3E}".replace("E", "D"),
        lambda i: f"{i}".translate({48 + digit: 0xFF10 + digit for digit in range(10)}),
        lambda i: f"{i}".translate({48 + digit: 0x660 + digit for digit in range(10)}),
        lambda i: f"{i}".translate({48 + digit: 0xE50 + digit for digit in range(10)}),
    ]
    cases = [(write, different) for write in ways for different in (200, 50)]
    cells = numbered([write(10 + i % different) for i in range(200)] for write, different in cases)
    odd = side_by_side(tmp_path, cells)[1]
    for lines, (write, different) in zip(odd.values(), cases, strict=True):
        hint = "but are not read as numbers: write numbers instead, unless they are codes"
        assert lines[0].endswith(hint), (write(10), different)


def test_large_numbers_have_all_digits(tmp_path):
    rows = [f"{3695390 + i},{11744200000000.5 + 9 * i:.1f},{i % 7}" for i in range(200)]
    columns, _, _, _ = looked_at(tmp_path, "a,b,y", rows)
    assert columns["a"].why == "numbers from 3695390 to 3695589"
    assert columns["b"].why == "numbers from 11744200000000 to 11744200001792"


def test_states_with_one_target_are_groups(tmp_path):
    weights = [round(1000 * DRAW.random(), 2) for _ in range(25)]
    _, _, odd, _ = looked_at(tmp_path, "state,a,y", [f"{i % 25},{x:.2f},{weights[i % 25]}" for i, x in enumerate(X)])
    (line,) = (line for line in odd if "'state'" in line)
    assert line.endswith("add --group state; and if the value is not known when you predict, --leave-out state")


def test_columns_of_wide_tables_are_looked_at_alike(tmp_path):
    kinds: list[Callable[[int], object]] = [
        lambda n: f"{X[n]:.3f}",
        lambda n: n % 9,
        lambda n: f"{n * 7 % 90} kg",
        lambda n: "" if n % 3 else f"{X[n]:.1f}%",
        lambda n: ["NA", -999, "<5", n][n % 4 if n < 9 else 3],
        lambda n: f"{n % 12 + 1:02}/{n % 28 + 1:02}/2024",
        lambda n: f"{n:05}",
        lambda n: ["red", "green", "Green"][n % 3],
        lambda n: f"{X[n]:.3e}9{n % 9}",
        lambda n: f"a few words {n} in every row",
        lambda n: ["3.1", "3.10"][n % 2],
    ]
    names = [f"{place}" for place in range(len(kinds))]

    def table(times: int) -> tuple[dict[str, Column], Numbers]:
        header = ",".join([*(f"{name}x{time}" for time in range(times) for name in names), "y"])
        rows = [",".join(map(str, [*(kind(n) for kind in kinds)] * times + ["uv"[n % 2]])) for n in range(200)]
        columns, _, _, numbers = looked_at(tmp_path, header, rows)
        return columns, numbers

    (few, few_numbers), (many, many_numbers) = table(1), table(5)
    for name, column in many.items():
        first, same = re.sub("x.*", "x0", name), {"name": "", "doubts": ()}
        assert replace(column, **same) == replace(few[first], **same)
        assert [line.replace(name, first) for line in column.doubts] == [*few[first].doubts]
        if name.endswith(("x0", "x4")):
            assert many_numbers[name] == few_numbers[first]


def test_many_columns_of_numbers_are_read_as_few_are(tmp_path):
    names = [f"x{place}" for place in range(60)]
    rows = [
        ",".join("" if n == place else f"{n + place / 8}{' kg' * (place % 3 == 0)}" for place in range(60))
        for n in range(9)
    ]
    (tmp_path / "rows.csv").write_text("\n".join([",".join(names), *rows]), encoding="utf-8")
    form = Format(units_in=dict.fromkeys(names[::3], "kg"))
    with open_table(tmp_path / "rows.csv", "rows.csv", form) as table:
        wide, single = table.frame(numbers=names), [table.frame(numbers=[name]) for name in names]
        pd.testing.assert_frame_equal(wide[names], pd.concat(single, axis=1))
        with pytest.raises(RetrainError, match=r"line 2, column 'x3' holds '0\.375 kg'"):
            replace(table, format=Format()).frame(numbers=names)
