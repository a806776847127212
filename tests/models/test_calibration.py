"""What a model learns from validation rows: honest probabilities, a threshold, an interval."""

from retrain.data.tasks.classification import Task as Classification
from retrain.data.tasks.regression import Task as Regression
from retrain.models.calibration import Calibration, CalibrationOptions, Interval, fit

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, precision_score, recall_score

OPTIONS = {"probabilities": True, "threshold": "half", "at_least": 0.9, "level": 0.9}


def options(**changed):
    return CalibrationOptions(**{**OPTIONS, **changed})


def of_classes(count):
    return Classification(tuple("abcdefgh"[:count]), (10,) * count)


def drawn(rows, classes, factor, seed=0):
    """Outputs that are `factor` times those of honest probabilities, and labels drawn from these."""
    generator = torch.Generator().manual_seed(seed)
    outputs = 2 * torch.randn(rows, classes, generator=generator, dtype=torch.float64)
    return factor * outputs, outputs.softmax(dim=1).multinomial(1, generator=generator)[:, 0]


def log_loss(outputs, targets):
    return torch.nn.functional.cross_entropy(outputs, targets).item()


@pytest.mark.parametrize(("factor", "classes"), [(0.4, 2), (1.7, 5)])
def test_temperature_restores_honest_probabilities(factor, classes):
    found = fit(*drawn(5000, classes, factor), of_classes(classes), options())
    new, targets = drawn(5000, classes, factor, seed=1)
    assert found.temperature / (1 + found.curvature / 50) == pytest.approx(factor, rel=0.1)
    assert log_loss(found.apply(new), targets) == pytest.approx(log_loss(new / factor, targets), abs=0.002)
    assert (found.apply(new).argsort(dim=1) == new.argsort(dim=1)).all()


def test_curvature_where_large_outputs_are_too_sure():
    outputs, targets = drawn(20_000, 4, 1.0)
    bent = outputs.sinh()  # the larger, the more exaggerated
    found = fit(bent, targets, of_classes(4), options())
    straight = fit(bent, targets, of_classes(4), options()).model_copy(update={"curvature": 0.0})
    assert found.curvature > 0
    assert log_loss(found.apply(bent), targets) < min(log_loss(bent, targets), log_loss(straight.apply(bent), targets))
    assert (found.apply(bent).argmax(dim=1) == bent.argmax(dim=1)).all()


def test_calibrated_outputs_stay():
    assert fit(*drawn(300, 3, 1.0, seed=4), of_classes(3), options()) == Calibration()
    outputs, targets = drawn(300, 3, 0.3)
    assert fit(outputs, targets, of_classes(3), options(probabilities=False)) == Calibration()


def test_few_rows_that_are_all_right_make_no_certainty():
    outputs = torch.eye(3, dtype=torch.float64).repeat(4, 1)
    found = fit(outputs, outputs.argmax(dim=1), of_classes(3), options())
    assert 0.9 < found.apply(outputs).softmax(dim=1).max().item() < 0.999


@pytest.mark.parametrize("seed", range(3))
def test_threshold(seed):
    outputs, targets = drawn(60, 2, 1.0, seed)
    outputs[:, 0] += 1.0  # the second class is rarer than it should be
    chances = outputs.softmax(dim=1)[:, 1].numpy()
    task, labels = of_classes(2), targets.numpy()

    def at(score, threshold):
        return score(labels, chances >= threshold, zero_division=0)

    def found(**asked):
        return fit(outputs, targets, task, options(probabilities=False, **asked)).threshold

    tried = np.unique(chances)
    best = found(threshold="f1")
    assert at(f1_score, best) == pytest.approx(max(at(f1_score, threshold) for threshold in tried))
    exact = found(threshold="precision", at_least=0.8)
    assert at(precision_score, exact) >= 0.8
    assert all(at(precision_score, lower) < 0.8 for lower in tried[tried < exact])
    complete = found(threshold="recall", at_least=0.95)
    assert at(recall_score, complete) >= 0.95
    assert all(at(recall_score, higher) < 0.95 for higher in tried[tried > complete][1:])
    assert found(threshold="half") is None


def test_threshold_decides_the_label():
    calibration, task = Calibration(threshold=0.3), of_classes(2)
    outputs = torch.tensor([[0.0, -0.5], [0.0, -1.5]])
    predictions = calibration.decided(task.predictions(outputs))
    assert predictions["predicted"] == ["b", "a"]  # 0.38 and 0.18
    labels = [answer["label"] for answer in calibration.answered(predictions, task.answers(outputs))]
    assert labels == ["b", "a"]


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_interval_contains_as_many_new_targets_as_asked(level):
    task, shares = Regression(100.0, 5.0), []
    for seed in range(200):
        generator = torch.Generator().manual_seed(seed)
        known, new = torch.randn(50, 1, generator=generator), 5 * torch.randn(1000, generator=generator)
        found = fit(torch.zeros(50, 1), known, task, options(level=level))
        shares.append((new.abs() <= found.interval.margin).double().mean().item())
    assert np.mean(shares) == pytest.approx(level, abs=0.02)


def test_too_few_rows_for_an_interval():
    outputs, targets = torch.zeros(8, 1), torch.arange(8.0)[:, None]
    assert fit(outputs, targets, Regression(0.0, 1.0), options()).interval is None
    found = fit(outputs, targets, Regression(0.0, 2.0), options(level=0.5)).interval
    assert (found.margin, found.rows) == (8.0, 8)  # the fifth distance, in units of the target


@pytest.mark.parametrize(("mean", "margin"), [(1e-13, 2.5e-15), (1e12, 0.125), (0.0, 0.0)])
def test_interval_at_any_scale(mean, margin):
    calibration = Calibration(interval=Interval(level=0.9, margin=margin, rows=50))
    found = calibration.decided({"predicted": np.array([mean])})
    assert (found["low"], found["high"]) == (
        pytest.approx([mean - margin], rel=1e-12),
        pytest.approx([mean + margin], rel=1e-12),
    )


def test_members_are_not_made_less_sure():
    too_sure, too_modest = drawn(2000, 3, 3.0), drawn(2000, 3, 0.4)
    assert fit(*too_sure, of_classes(3), options()).temperature > 1
    assert fit(*too_sure, of_classes(3), options(), by_members=True) == Calibration()
    found = fit(*too_modest, of_classes(3), options(), by_members=True)
    assert (found.temperature, found.curvature) == (pytest.approx(0.4, rel=0.1), 0.0)


@pytest.mark.parametrize("threshold", ["f1", "precision", "recall"])
def test_no_threshold_without_rows_of_the_second_class(threshold):
    outputs, asked = drawn(50, 2, 1.0)[0], options(threshold=threshold)
    found = fit(outputs, torch.zeros(50, dtype=torch.int64), of_classes(2), asked)
    assert found.threshold is None
    assert f"no threshold reaches a {threshold}" in found.unmet(asked, ("a", "b"))


def test_wishes_that_are_not_met_are_named():
    assert Calibration().unmet(options(), ("a", "b")) == ""
    assert Calibration(threshold=0.3).unmet(options(threshold="f1"), ("a", "b")) == ""
    assert "is for two classes" in Calibration().unmet(options(threshold="f1"), ("a", "b", "c"))
    assert "too few validation rows for an interval of level 0.9" in Calibration().unmet(options(), None)


@pytest.mark.parametrize("temperature", [0.0, 1e-320, 1e8, float("nan")])
def test_impossible_temperatures_are_errors(temperature):
    with pytest.raises(ValueError, match="temperature"):
        Calibration(temperature=temperature)
