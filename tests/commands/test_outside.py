"""Commands in a folder that is no project: one line, and nothing is written."""

from contextlib import chdir

import retrain
from retrain.errors import RetrainError

import pytest
from support.errors import error_line
from support.project import Project


@pytest.mark.parametrize("command", ["curves", "sync"])
def test_commands_need_a_project(tmp_path, command):
    ended = Project(tmp_path).retrain_here(command)
    assert ended.exit_code == 1
    assert error_line(ended.stderr) == f"{tmp_path}/params.yaml does not exist; run this inside the repository"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["status", "repro", "compare HEAD"])
def test_commands_of_dvc_need_a_project(tmp_path, command):
    ended = Project(tmp_path).retrain_here(*command.split())
    assert ended.exit_code == 1
    assert error_line(ended.stderr) == f"{tmp_path} has no dvc.yaml; run this in the project's folder"
    assert list(tmp_path.iterdir()) == []


def test_load_says_that_the_folder_is_wrong(tmp_path):
    with chdir(tmp_path), pytest.raises(RetrainError) as caught:
        retrain.load("other/homes")
    hint = "run this in the project's folder, or give the whole path"
    assert str(caught.value) == f"{tmp_path}/other/homes does not exist; {hint}"


def test_registered_models_need_a_store(tmp_path):
    ended = Project(tmp_path).retrain_here("predict", "models:/news@champion", "a text")
    assert error_line(ended.stderr) == (
        "models:/news@champion is not here: there is no mlflow.db; run this in the project's folder"
    )
    assert list(tmp_path.iterdir()) == []


def test_unknown_commands_are_compared_with_the_known_ones(tmp_path):
    ended = Project(tmp_path).retrain_here("predcit", "reviews")
    assert ended.exit_code == 2
    assert "Error: unknown command 'predcit'; did you mean 'predict'?" in ended.stderr


def test_help_has_whole_sentences(tmp_path):
    assert "..." not in Project(tmp_path).retrain_here("--help").stdout.split("Commands:")[1]
