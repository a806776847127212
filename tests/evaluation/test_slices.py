"""Slices on which a model is worse are found, and chance alone finds none."""

from retrain.evaluation.slices import SMALLEST, groupings, rows_looked_at, worst_slices

import numpy as np
import pytest

ROWS = 2_000
KINDS = {"age": "number", "city": "category", "note": "text", "day": "date"}


def table(seed: int, rows: int = ROWS) -> dict:
    draw = np.random.default_rng(seed)
    return {
        "age": np.where(draw.random(rows) < 0.1, np.nan, draw.normal(40.0, 10.0, rows)),
        "city": draw.choice(["Berne", "Lyon", "Oslo", "Porto"], rows, p=[0.5, 0.3, 0.15, 0.05]).tolist(),
        "note": ["word " * length for length in draw.integers(0, 40, rows)],
        "day": np.datetime64("2020-01-01T00:00:00", "s") + draw.integers(0, 10**8, rows).astype("timedelta64[s]"),
    }


def found(inputs: dict, losses: np.ndarray, seed: int = 1) -> dict:
    targets = np.random.default_rng(seed).choice(["no", "yes"], len(losses)).tolist()
    return worst_slices(groupings(inputs, KINDS, ("answer", targets)), losses.astype(float), "error_rate")


@pytest.mark.parametrize(
    ("planted", "name"),
    [
        (lambda rows: np.isnan(rows["age"]), "age is missing"),
        (lambda rows: rows["age"] > 49, "age from 4"),
        (lambda rows: np.array(rows["city"]) == "Porto", "city: Porto"),
        (lambda rows: np.array([len(note) > 160 for note in rows["note"]]), "length of note from 1"),
        (lambda rows: rows["day"] > np.datetime64("2022-08-01"), "day from 2022-0"),
    ],
)
def test_planted(planted, name):
    inputs = table(5)
    losses = np.random.default_rng(6).random(ROWS) < np.where(planted(inputs), 0.4, 0.1)
    worst = found(inputs, losses)
    assert worst["slice"][0].startswith(name)
    assert worst["p_value"][0] < 0.01
    assert worst["error_rate"][0] > 0.3
    assert worst["others"][0] < 0.2


def test_chance_finds_nothing():
    """Of 40 tables whose losses are random, about two have a slice with a p-value of at most 0.05."""
    smallest = [
        min(found(table(seed, 300), np.random.default_rng(seed + 100).random(300) < 0.1, seed + 200)["p_value"])
        for seed in range(40)
    ]
    assert np.mean(np.array(smallest) <= 0.05) <= 0.125  # more has a probability of 1 %
    assert np.median(smallest) == pytest.approx(0.5, abs=0.2)


def test_many_rows_are_sampled():
    inputs = table(5, 30_000)
    losses = np.random.default_rng(6).random(30_000) < np.where(np.array(inputs["city"]) == "Porto", 0.15, 0.1)
    worst = found(inputs, losses)
    assert (worst["slice"][0], worst["p_value"][0] < 0.01, worst["p_value"][1] > 0.05) == ("city: Porto", True, True)
    assert rows_looked_at(1_000_000, 300).tolist() == list(range(0, 1_000_000, 3334))


def test_numbers_and_their_target():
    target = np.random.default_rng(1).normal(size=500)
    worst = worst_slices(groupings({}, {}, ("price", target)), np.abs(target) ** 3, "mean_absolute_error")
    assert {name[:17] for name in worst["slice"]} == {"target price from"}
    assert worst["p_value"] == [pytest.approx(1 / 1001)] * 2


def test_unknown_words():
    shares = np.linspace(0, 1, 200)
    worst = worst_slices(groupings({}, {}, ("a", ["x"] * 200), shares), (shares > 0.9).astype(float), "error_rate")
    assert worst["slice"] == ["share of unknown words from 0.804 to 1"]
    assert (worst["rows"], worst["error_rate"], worst["others"]) == ([40], [0.5], [0.0])


def test_few_or_equal_rows_make_no_slice():
    equal = {"age": np.full(100, 3.0), "city": ["Oslo"] * 100}
    kinds = {"age": "number", "city": "category"}
    assert groupings(equal, kinds, ("a", ["x"] * 100)) == []
    assert groupings(table(1, SMALLEST - 1), KINDS, ("a", np.arange(SMALLEST - 1.0))) == []
    none = worst_slices([], np.ones(5), "error_rate")
    assert none == {"slice": [], "rows": [], "error_rate": [], "others": [], "p_value": []}
    same = worst_slices(groupings(table(1), KINDS, ("a", ["x"] * ROWS)), np.ones(ROWS), "error_rate")
    assert same["slice"] == []


def test_equal_slices_are_listed_once():
    losses = np.arange(100) < 20
    codes = ["a" if loss else "b" for loss in losses]
    inputs = {"first": codes, "second": codes}
    groups = groupings(inputs, dict.fromkeys(inputs, "category"), ("t", ["x"] * 100))
    assert worst_slices(groups, losses.astype(float), "error_rate")["slice"] == ["first: a"]
