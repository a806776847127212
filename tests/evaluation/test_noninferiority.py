"""Whether a model is worse than another one by more than a limit: error rates, bounds and rules."""

from retrain.evaluation import noninferiority
from retrain.evaluation.intervals import Judged
from retrain.evaluation.noninferiority import CANNOT_DECIDE, FAIL, METRICS, PASS, Drop, Errors, answer, bound, drops

import numpy as np
import pytest

PAIRS, ROWS, ERRORS = 200, 500, Errors(0.05, 0.05)
MOST_WRONG = 20
"""Of 200 pairs at an error rate of 5 %; a binomial variable exceeds it with a probability of 0.2 %."""


def of_classes(draw: np.random.Generator, drop: float = 0.0) -> tuple[Judged, Judged]:
    """Two models of two classes that are right on 90 % of the rows; the second one loses a share of all rows."""
    targets = draw.integers(0, 2, ROWS)
    right = [draw.random(ROWS) < 0.9] * 2
    swapped = draw.random(ROWS) < 0.05
    right[1] = np.where(swapped, draw.random(ROWS) < 0.9 - drop / 0.05, right[0])
    sure = draw.uniform(0.5, 1, (2, ROWS))
    models = []
    for own, chance in zip(right, sure, strict=True):
        predicted = np.where(own, targets, 1 - targets)
        probabilities = np.where(np.eye(2)[predicted] == 1, chance[:, None], 1 - chance[:, None])
        models.append(Judged(targets, predicted, probabilities))
    return models[0], models[1]


def of_numbers(draw: np.random.Generator, drop: float = 0.0) -> tuple[Judged, Judged]:
    """Two models of numbers with correlated errors; those of the second one are larger by a part. Half of the targets are inside."""
    targets, shared, own = draw.normal(size=(3, ROWS))
    errors = shared, (1 + drop) * (0.9 * shared + np.sqrt(0.19) * own)
    first, second = (Judged(targets, targets + one, None, targets + one - 0.67, targets + one + 0.67) for one in errors)
    return first, second


@pytest.mark.parametrize(
    ("metric", "make", "limit"),
    [("accuracy", of_classes, 0.03), ("rmse", of_numbers, 0.05), ("mae", of_numbers, 0.05)],
)
def test_error_rates_at_the_limit(metric, make, limit):
    draw = np.random.default_rng(1)
    passed = failed = 0
    for _ in range(PAIRS):
        passed += answer(drops(*make(draw, limit), [metric], 15, ERRORS)[metric], limit) == PASS
        found = drops(*make(draw), [metric], 15, ERRORS)[metric]
        failed += answer(found, max(limit, found.decidable)) == FAIL
    assert passed <= MOST_WRONG
    assert failed <= MOST_WRONG
    assert passed + failed >= 3, "the bounds are far too wide"


@pytest.mark.parametrize("task", METRICS)
def test_bounds_of_equal_models(task):
    draw, make = np.random.default_rng(1), of_classes if task == "classification" else of_numbers
    outside = dict.fromkeys(METRICS[task], 0)
    for _ in range(PAIRS):
        for metric, found in drops(*make(draw), METRICS[task], 15, ERRORS).items():
            assert found.low <= found.drop <= found.high
            outside[metric] += not found.low <= 0 <= found.high
    assert max(outside.values()) <= 2 * MOST_WRONG


def test_bounds_are_tango_intervals():
    # T. Tango (1998); the constrained maximum of the likelihood and its score, solved numerically
    assert bound(40, 20, 160, 1.959964) == pytest.approx(0.218064, abs=1e-6)
    assert -bound(20, 40, 160, 1.959964) == pytest.approx(0.030865, abs=1e-6)
    assert bound(0, 0, 98, 1.644854) == pytest.approx(1.644854**2 / (98 + 1.644854**2))
    assert bound(10, 0, 10, 1.644854) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("drop", "limit", "expected"),
    [
        (Drop(0.0, -0.01, 0.01, 0.02), 0.02, PASS),
        (Drop(0.05, 0.03, 0.07, 0.04), 0.02, FAIL),
        (Drop(0.015, 0.005, 0.025, 0.02), 0.02, FAIL),
        (Drop(0.015, -0.005, 0.035, 0.04), 0.02, CANNOT_DECIDE),
        (Drop(-0.05, -0.07, -0.03, 0.04), 0.0, PASS),
    ],
)
def test_answer_to_a_drop(drop, limit, expected):
    assert answer(drop, limit) == expected


def test_few_rows_decide_nothing():
    first, second = (one.rows(slice(0, 29)) for one in of_classes(np.random.default_rng(1)))
    assert drops(first, second, METRICS["classification"], 15, ERRORS) == {}


def test_metrics_of_one_model_are_left_out():
    first, second = of_numbers(np.random.default_rng(1))
    without = Judged(second.targets, second.predicted)
    assert drops(first, without, METRICS["regression"], 15, ERRORS).keys() == {"rmse", "mae", "r2"}


def test_perfect_models():
    targets = np.arange(100.0)
    perfect, other = Judged(targets, targets), Judged(targets, targets + 1)
    assert drops(perfect, perfect, ["rmse"], 15, ERRORS)["rmse"] == Drop(0.0, 0.0, 0.0, 0.0)
    assert answer(drops(other, perfect, ["rmse"], 15, ERRORS)["rmse"], 0.0) == PASS
    assert answer(drops(perfect, other, ["rmse"], 15, ERRORS)["rmse"], 0.05) == FAIL


def test_many_rows(monkeypatch):
    first, second = of_numbers(np.random.default_rng(1))
    whole = drops(first, second, ["rmse"], 15, ERRORS)["rmse"]
    monkeypatch.setattr(noninferiority, "MOST_ROWS", ROWS // 2)  # as if these were more rows than are looked at
    some = drops(first, second, ["rmse"], 15, ERRORS)["rmse"]
    assert some.drop == whole.drop
    assert some.decidable == pytest.approx(whole.decidable, rel=0.25)


@pytest.mark.parametrize(("task", "metric"), [("classification", "accuracy"), ("regression", "rmse")])
def test_copies_in_a_group_decide_nothing_more(task, metric):
    make = of_classes if task == "classification" else of_numbers
    alone, copies = make(np.random.default_rng(1), 0.02), np.repeat(np.arange(ROWS), 3)
    groups = np.arange(ROWS)[copies]
    together = [one.rows(copies).in_groups(groups) for one in alone]
    first, second = (drops(*models, [metric], 15, ERRORS)[metric] for models in (alone, together))
    assert second.drop == pytest.approx(first.drop)
    assert second.decidable == pytest.approx(first.decidable, rel=0.15)
    few = [one.rows(copies[: 3 * 29]).in_groups(groups[: 3 * 29]) for one in alone]
    assert drops(*few, [metric], 15, ERRORS) == {}
