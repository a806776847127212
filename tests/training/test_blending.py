"""A blend of a network and linear models: every row is judged by models that did not learn from it."""

from contextlib import chdir
from pathlib import Path

import prepare
import split
from retrain import schema
from retrain.training import blending, setup
from retrain.training.history import copied_weights
from retrain.training.loop import outputs_for

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from sklearn.linear_model import LogisticRegression, Ridge
from support.homes import mixed_block, write_homes
from support.project import Project


def untrained(folder: Path, task: str) -> setup.Training:
    """A training of `homes` at its start, whose first weights count as the best ones."""
    dataset, block = f"homes_{task}", mixed_block(task)
    (folder / ".git").mkdir()
    write_homes(folder, task)
    Project(folder).write_params({"datasets": {dataset: block}})
    with chdir(folder):
        for stage in (prepare, split):
            assert CliRunner().invoke(stage.main, ["--dataset", dataset]).exit_code == 0
        data = setup.read_data(Path("data", dataset, "examples"))
    training = setup.build(schema.check(block["train"], setup.Train, "train"), data, "train")
    training.history.best.weights = copied_weights(training.state.evaluated)
    return training


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_untrained_network_becomes_linear(tmp_path, task):
    training = untrained(tmp_path, task)
    assert blending.blend(training) == 1.0
    weights = training.history.best.weights
    assert not weights["output_weight"].any()
    assert not weights["text_constants.weight"].any()
    network = training.state.evaluated
    outputs, targets = outputs_for(network, training.data.validation, training.config)
    torch.testing.assert_close(network.state_dict(), weights)
    for scale in blending.SCALES:
        for _, own in blending.linear_models(training, scale):
            assert training.config.loss(outputs, targets) < training.config.loss(own.float(), targets) + 1e-4


def inputs_of(training: setup.Training) -> np.ndarray:
    """All columns of the linear models, with scale 0.1."""
    encoder, arrays = training.data.encoder, training.data.train.arrays
    values = arrays["values"] * np.where(encoder.steps, 0.1, 1.0)
    return np.column_stack(
        [values, *(np.eye(size)[codes] for size, codes in zip(encoder.size.codes, arrays["codes"].T, strict=True))]
    )


def test_linear_models_are_those_of_scikit_learn(tmp_path):
    training = untrained(tmp_path, "regression")
    inputs, arrays = inputs_of(training), training.data.train.arrays
    others = arrays["folds"] != 1
    ridge = Ridge(blending.STRENGTHS[0]).fit(inputs[others], arrays["targets"][others, 0])
    _, outputs = next(blending.linear_models(training, 0.1))
    assert outputs[~others, 0].numpy() == pytest.approx(ridge.predict(inputs[~others]), abs=0.01)


def test_linear_models_have_class_weights(tmp_path):
    training = untrained(tmp_path, "classification")
    inputs, arrays = inputs_of(training), training.data.train.arrays
    targets = np.array(arrays["targets"])
    weights = len(targets) / (2 * np.bincount(targets))
    others = arrays["folds"] != 1
    model = LogisticRegression(
        C=2 / blending.STRENGTHS[0], class_weight=dict(enumerate(weights)), tol=1e-6, max_iter=1000
    )
    expected = model.fit(inputs[others], targets[others]).predict_proba(inputs[~others])
    _, outputs = next(blending.linear_models(training, 0.1))
    assert outputs[~others].softmax(dim=1).numpy() == pytest.approx(expected, abs=2e-3)


def test_no_linear_model_learns_from_its_fold(tmp_path):
    training = untrained(tmp_path, "regression")
    before, _ = next(blending.linear_models(training, 0.1))
    arrays = training.data.train.arrays
    arrays["targets"] = np.where(arrays["folds"][:, None] == 2, np.float32(1000.0), arrays["targets"])
    after, _ = next(blending.linear_models(training, 0.1))
    assert [torch.equal(*pair) for pair in zip(before, after, strict=True)] == [False, False, True, False]
