"""Losses: training-only options, such as label smoothing, play no role in evaluation."""

from retrain import schema
from retrain.data.tasks.classification import Task
from retrain.errors import RetrainError
from retrain.models import losses

import pytest
import torch
from torch.nn import functional

OUTPUTS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 3.0, -2.0], [1.0, 1.0, 1.0], [-4.0, 0.0, 4.0]], dtype=torch.float64)
CLASSES = torch.tensor([0, 1, 2, 0])
NUMBERS = torch.tensor([[0.5], [-3.0], [0.0], [2.0]], dtype=torch.float64)


def chosen(**loss: object) -> losses.Loss:
    """The loss that parameters name."""
    return schema.check(loss, losses.load(loss.get("name"), "train.loss.name"), "train.loss")


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.75])
def test_label_smoothing(smoothing):
    logarithms = OUTPUTS - OUTPUTS.exp().sum(dim=1, keepdim=True).log()
    targets = (1 - smoothing) * torch.eye(3, dtype=torch.float64)[CLASSES] + smoothing / 3
    expected = -(targets * logarithms).sum(dim=1).mean()
    found = chosen(name="cross_entropy", label_smoothing=smoothing, class_weights="none")(OUTPUTS, CLASSES)
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)


def test_evaluation_ignores_label_smoothing():
    logarithms = OUTPUTS - OUTPUTS.exp().sum(dim=1, keepdim=True).log()
    smooth, sharp = (chosen(name="cross_entropy", label_smoothing=share, class_weights="none") for share in (0.1, 0.0))
    evaluated = smooth.plain(OUTPUTS, CLASSES)
    assert evaluated.item() == pytest.approx(-logarithms[range(4), CLASSES].mean().item(), rel=1e-12)
    assert smooth(OUTPUTS, CLASSES) != evaluated
    assert sharp(OUTPUTS, CLASSES) == evaluated


def test_balanced_weights_give_classes_equal_weight():
    task = Task(("a", "b", "c"), (2, 1, 1))
    loss = chosen(name="cross_entropy", label_smoothing=0.0, class_weights="balanced").fitted(task)
    rows = functional.cross_entropy(OUTPUTS, CLASSES, reduction="none")
    by_class = [rows[number == CLASSES].mean().item() for number in range(3)]
    assert loss(OUTPUTS, CLASSES).item() == pytest.approx(sum(by_class) / 3, rel=1e-6)
    assert loss.plain(OUTPUTS, CLASSES) == functional.cross_entropy(OUTPUTS, CLASSES)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mean_squared_error", functional.mse_loss),
        ("mean_absolute_error", functional.l1_loss),
        ("huber", functional.huber_loss),
    ],
)
def test_regression_losses(name, expected):
    loss, outputs = chosen(name=name), OUTPUTS[:, :1]
    assert loss(outputs, NUMBERS) == loss.plain(outputs, NUMBERS) == expected(outputs, NUMBERS)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ({"name": "huber", "label_smoothing": 0.1}, "train.loss: unknown parameter 'label_smoothing'; known are: name"),
        ({"name": "cross_entropy", "label_smoothin": 0.1, "class_weights": "none"},
         "train.loss: unknown parameter 'label_smoothin'; did you mean 'label_smoothing'?"),
        ({"name": "cross_entropy", "label_smoothing": 0.1, "class_weights": "none", "delta": 1.0},
         "train.loss: unknown parameter 'delta'; known are: class_weights, label_smoothing, name"),
        ({"name": "cross_entropy", "class_weights": "none"}, "train.loss.label_smoothing is missing; add it: neither the block nor 'defaults' has it"),
        ({"label_smoothing": 0.1}, "train.loss.name is missing; add it: neither the block nor 'defaults' has it"),
        ({"name": "cross_entropie", "label_smoothing": 0.1},
         "train.loss.name: unknown 'cross_entropie'; did you mean 'cross_entropy'?"),
        ({"name": "cross_entropy", "label_smoothing": 1.0, "class_weights": "none"}, "train.loss.label_smoothing is 1.0, but must be"),
        ({"name": "cross_entropy", "label_smoothing": -0.1, "class_weights": "none"}, "train.loss.label_smoothing is -0.1, but must be"),
        ({"name": "cross_entropy", "label_smoothing": None, "class_weights": "none"}, "train.loss.label_smoothing is empty, but must be"),
    ],
    ids=str,
)  # fmt: skip
def test_wrong_parameter_is_refused(loss, expected):
    with pytest.raises(RetrainError) as error:
        chosen(**loss)
    assert str(error.value).startswith(expected)
