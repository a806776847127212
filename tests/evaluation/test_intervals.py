"""The intervals of metrics: reproducible, as wide as they should be, and right for rows that are all right."""

from retrain.evaluation.intervals import Judged, interval, intervals, resamples, wilson

import numpy as np
import pytest


def numbers(rows, seed=0):
    generator = np.random.default_rng(seed)
    signal = generator.normal(size=rows)
    return Judged(signal + generator.normal(size=rows), signal, None, signal - 1, signal + 1)


def classes(rows, seed=0):
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet([2.0, 1.0, 0.5], rows)
    targets = (probabilities.cumsum(axis=1) < generator.random(rows)[:, None]).sum(axis=1).clip(max=2)
    return Judged(targets, probabilities.argmax(axis=1), probabilities)


@pytest.mark.parametrize("draw", [numbers, classes])
def test_intervals_contain_the_value_and_are_reproducible(draw):
    judged = draw(300)
    found = intervals(judged)
    assert found == intervals(judged)
    assert found.keys() == judged.values().keys()
    for name, value in judged.values().items():
        assert found[name]["low"] < value < found[name]["high"]


@pytest.mark.parametrize("draw", [numbers, classes])
def test_intervals_narrow_with_rows(draw):
    few, many = intervals(draw(200)), intervals(draw(3200))
    for name in few:
        ratio = (few[name]["high"] - few[name]["low"]) / (many[name]["high"] - many[name]["low"])
        assert 3 < ratio < 5.5  # the square root of 16, and chance


def test_intervals_of_many_rows_come_from_some():
    all_rows, some = intervals(numbers(150_000)), intervals(numbers(75_000))
    for name in all_rows:
        ratio = (some[name]["high"] - some[name]["low"]) / (all_rows[name]["high"] - all_rows[name]["low"])
        assert ratio == pytest.approx(2**0.5, rel=0.25)


def test_bootstrap_contains_the_truth():
    """In 95 % of all test splits; of 200, between 90 % and 99 % is within four standard errors."""
    inside = []
    for seed in range(200):
        judged = numbers(100, seed)
        weights = next(resamples(judged, seed))[:400]
        found = interval(judged.metrics(weights)["mae"], 100)
        inside.append(found["low"] <= (2 / np.pi) ** 0.5 <= found["high"])
    assert 0.89 <= np.mean(inside) <= 0.99


def test_resamples_have_as_many_rows():
    chunks = list(resamples(numbers(70)))
    assert sum(map(len, chunks)) == 1000
    assert {total for chunk in chunks for total in chunk.sum(axis=1)} == {70}


@pytest.mark.parametrize("draw", [numbers, classes])
def test_copies_in_a_group_tell_nothing_new(draw):
    single, copied = draw(200), draw(200).rows(np.repeat(np.arange(200), 4))
    alone, together, apart = map(intervals, (single, copied.in_groups(np.repeat(np.arange(200), 4)), copied))
    for name, ends in alone.items():
        width = ends["high"] - ends["low"]
        assert together[name]["high"] - together[name]["low"] == pytest.approx(width, rel=0.1)
        assert apart[name]["high"] - apart[name]["low"] == pytest.approx(width / 2, rel=0.1)


def test_rows_that_are_all_right_count_as_groups():
    judged = Judged(np.zeros(60, np.int64), np.zeros(60, np.int64), np.tile([0.9, 0.1], (60, 1)))
    alone, together = intervals(judged.rows(slice(12))), intervals(judged.in_groups(np.repeat(np.arange(12), 5)))
    assert together["accuracy"]["low"] < alone["accuracy"]["low"]  # and few groups make it wider
    assert together["accuracy"]["high"] == 1
    assert intervals(judged.in_groups(np.zeros(60))) == {}


def test_few_rows_widen():
    samples = np.random.default_rng(1).normal(size=2000)
    few, many = interval(samples, 8), interval(samples, 10_000)
    assert few["high"] - few["low"] > 1.15 * (many["high"] - many["low"])


@pytest.mark.parametrize(
    ("share", "rows", "low", "high"),  # scipy.stats.binomtest(k, n).proportion_ci(method="wilson")
    [(1.0, 79, 0.953627, 1.0), (0.6, 30, 0.423204, 0.754087), (0.93, 7600, 0.924044, 0.935523)],
)
def test_wilson(share, rows, low, high):
    found = wilson(share, rows)
    assert (found["low"], found["high"]) == (pytest.approx(low, abs=2e-5), pytest.approx(high, abs=2e-5))


@pytest.mark.parametrize("rows", [3, 31])
def test_resamples_of_equal_targets_have_a_plain_r2(rows):
    targets = np.array([*[0.1] * (rows - 1), 7.3])
    found = intervals(Judged(targets, targets + np.linspace(-0.2, 0.2, rows)))
    assert -1e6 < found["r2"]["low"] <= found["r2"]["high"] <= 1
