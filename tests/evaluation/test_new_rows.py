"""Warnings about rows that an earlier table does not have."""

from retrain.evaluation.new_rows import changes

import pandas as pd
import pytest


def rows(first: int, count: int, **changed: object) -> pd.DataFrame:
    """Rows of which no two are equal."""
    numbers = range(first, first + count)
    columns = {
        "flag": ["yes" if number % 3 else "no" for number in numbers],
        "name": [f"name {number}" for number in numbers],
        "price": [700.0 + number * 37 % 5600 for number in numbers],
        "year": [2000.0 + number // 20 for number in numbers],
        "rooms": [float(number % 4) for number in numbers],
        "day": pd.Timestamp("2024-01-01") + pd.to_timedelta([number * 7 % 365 for number in numbers], unit="D"),
        "text": [f"text {number}" for number in numbers],
        "label": ["a" if number % 2 else "b" for number in numbers],
    }
    table = pd.DataFrame({name: changed.get(name, values) for name, values in columns.items()})
    return table.astype({"flag": "category", "name": "category", "label": "category"})


def warnings(new: pd.DataFrame) -> list[str]:
    """The warnings about new rows that follow 400 earlier ones."""
    then = rows(0, 400)
    now = pd.concat([then, new], ignore_index=True).astype({name: then[name].dtype.name for name in then})
    return list(changes(then, now))


def test_usual_rows_cause_no_warning():
    assert warnings(rows(400, 100)) == []
    assert warnings(rows(0, 0)) == []
    assert list(changes(rows(0, 400), rows(300, 100)[["flag", "label"]])) == []


@pytest.mark.parametrize(
    ("changed", "fact"),
    [
        ({"flag": ["ja"] * 40 + ["no"] * 60}, "'flag': 40 of 100 new rows have 'ja', which no earlier row has"),
        ({"flag": ["ja"] + ["no"] * 99}, ""),
        ({"price": [6260.0] * 49 + [800.0] * 50 + [70_000.5]}, ""),
        (
            {"price": [number * 4e3 for number in range(20, 120)]},
            "'price': 100 of 100 new rows, such as 80,000, are far from the earlier rows (700 to 6,287)",
        ),
        (
            {"price": [5.5] * 100},
            "'price': 100 of 100 new rows, such as 5.5, are far from the earlier rows (700 to 6,287)",
        ),
        (
            {"price": [-1.0] * 10 + [800.0] * 90},
            "'price': 10 of 100 new rows, such as -1, are far from the earlier rows (700 to 6,287)",
        ),
        ({"price": [0.0] * 2 + [800.0] * 98}, ""),
        (
            {"price": [1_234_567.8] * 100},
            "'price': 100 of 100 new rows, such as 1,234,568, are far from the earlier rows (700 to 6,287)",
        ),
        ({"price": [800.0, None] * 50}, "'price': 50 of 100 new rows have no value, but none of the earlier rows"),
        (
            {"price": [100.0 + number * 9 for number in range(100)]},
            "'price': 72 of 100 new rows, such as 100, are outside the usual range of the earlier rows (747.89 to 6,213.24)",
        ),
        ({"rooms": [9.0] * 10 + [1.0] * 90}, "'rooms': 10 of 100 new rows have '9', which no earlier row has"),
        (
            {"day": pd.to_datetime(["2202-01-01"] * 100)},
            "'day': 100 of 100 new rows, such as 2202-01-01, are far from the earlier rows (2024-01-01 to 2024-12-30)",
        ),
        ({"text": [""] * 20 + ["x"] * 80}, "'text': 20 of 100 new rows have no value, but none of the earlier rows"),
        ({"label": ["c"] + ["a"] * 99}, "'label': 1 of 100 new rows have 'c', which no earlier row has"),
    ],
)
def test_unusual_rows_cause_a_warning(changed, fact):
    assert warnings(rows(400, 100, **changed)) == ([f"column {fact}"] if fact else [])
