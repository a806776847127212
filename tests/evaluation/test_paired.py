"""The difference between two models on the same rows."""

from retrain.evaluation.intervals import Judged, intervals
from retrain.evaluation.paired import differences

import numpy as np
import pytest


def numbers(targets: np.ndarray, errors: np.ndarray) -> Judged:
    return Judged(targets, targets + errors)


def classes(targets: np.ndarray, chances: np.ndarray) -> Judged:
    """Two classes, with the probability of the right one."""
    probabilities = np.stack([1 - chances, chances], axis=1)
    probabilities[targets == 0] = probabilities[targets == 0][:, ::-1]
    return Judged(targets, probabilities.argmax(axis=1), probabilities)


def test_better_worse_and_the_same():
    draw = np.random.default_rng(1)
    targets, hard = draw.normal(size=200), draw.normal(size=200)
    good, bad = numbers(targets, hard), numbers(targets, 1.2 * hard)
    assert {name: one.verdict for name, one in differences(good, bad).items()} == dict.fromkeys(
        ("rmse", "mae", "r2"), "worse"
    )
    assert {one.verdict for one in differences(bad, good).values()} == {"better"}
    assert {one.verdict for one in differences(good, good).values()} == {"the same"}
    other = numbers(targets, draw.normal(size=200))
    assert differences(good, other)["rmse"].verdict == "no difference can be told"
    assert differences(good, other) == differences(good, other)


def test_pairs_tell_more_than_two_intervals():
    draw = np.random.default_rng(1)
    targets, chances = draw.integers(0, 2, 300), draw.uniform(0.3, 1, 300)
    first, second = classes(targets, chances), classes(targets, (chances + 0.03).clip(max=1))
    found, (then, now) = differences(first, second), [intervals(one)["log_loss"] for one in (first, second)]
    assert now["low"] < then["low"] < now["high"] < then["high"]
    assert found["log_loss"].verdict == "better"
    assert found["accuracy"].verdict == "better"
    assert found["accuracy"].value == pytest.approx(second.values()["accuracy"] - first.values()["accuracy"])


def test_interval_contains_true_difference():
    draw = np.random.default_rng(1)
    hits, trials = 0, 200
    for _ in range(trials):
        targets, shared = draw.normal(size=60), draw.normal(size=60)
        first, second = (numbers(targets, size * shared + draw.normal(size=60)) for size in (1.0, 1.5))
        found = differences(first, second)["rmse"]
        hits += found.low <= np.sqrt(1 + 1.5**2) - np.sqrt(2) <= found.high
    assert 0.9 <= hits / trials <= 0.99
