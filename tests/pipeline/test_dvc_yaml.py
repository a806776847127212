"""The whole pipeline, as a user sees it."""

import json

import pytest

pytestmark = pytest.mark.slow


def test_every_combination_learns(finished_project):
    for dataset, metric in (("tiny_news", "accuracy"), ("tiny_sign", "accuracy"), ("tiny_numbers", "r2")):
        metrics = json.loads((finished_project.folder / "reports" / dataset / "metrics.json").read_text())
        assert metrics["test"][metric] > metrics["baseline"][metric] + 0.1, dataset
    length = json.loads((finished_project.folder / "reports" / "tiny_length" / "metrics.json").read_text())
    assert length["test"]["rmse"] < length["baseline"]["rmse"]
