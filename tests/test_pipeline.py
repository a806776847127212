"""The whole pipeline, as a user sees it."""

import json
import platform

import pytest
from conftest import copy_of_repository

pytestmark = pytest.mark.slow


def test_every_combination_of_inputs_and_targets_learns_something(finished_project):
    for dataset, metric in (("tiny_news", "accuracy"), ("tiny_sign", "accuracy"), ("tiny_numbers", "r2")):
        metrics = json.loads((finished_project.folder / "reports" / dataset / "metrics.json").read_text())
        assert metrics["test"][metric] > metrics["baseline"][metric] + 0.1, dataset
    length = json.loads((finished_project.folder / "reports" / "tiny_length" / "metrics.json").read_text())
    assert length["test"]["rmse"] < length["baseline"]["rmse"]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="other processors than x86-64 give other last bits")
def test_the_committed_results_are_what_everyone_gets(tmp_path):
    project = copy_of_repository(tmp_path / "project")
    ended = project.run("retrain", "repro", "diabetes")
    assert ended.returncode == 0, ended.said
    ended = project.run("retrain", "repro", "docstrings")
    assert ended.returncode == 0, ended.said
    changed = project.run("git", "status", "--porcelain").stdout
    assert changed == "", "the code or a knob is newer than the results: run make repro, and commit what it changes"
    for options in ([], ["--with-deps"]):
        said = project.dvc("status", *options, "plot@docstrings", "plot@diabetes").stdout
        assert said == "Data and pipelines are up to date.\n"
