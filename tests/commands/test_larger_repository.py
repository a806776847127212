"""The project as a folder of a larger repository, and without git."""

import shutil
from contextlib import chdir

from retrain.commands import doctor, predict, status

import pytest
from click.testing import CliRunner
from support.project import Project


@pytest.fixture
def folder_of_larger(project) -> Project:
    """The project in `team/model/` of a repository that has other files too."""
    larger = Project(project.folder.parent / "larger")
    folder = larger.folder / "team" / "model"
    shutil.rmtree(project.folder / ".git")
    shutil.move(project.folder, folder)
    (larger.folder / "README.md").write_text("A larger repository.\n")
    assert larger.run("git", "init", "-q").returncode == 0
    larger.commit()
    return Project(folder)


def test_stages_and_predict_in_a_larger_repository(folder_of_larger):
    folder_of_larger.stages("prepare split train", "tiny_numbers")
    rows = folder_of_larger.folder / "new.csv"
    rows.write_text("a,b,c\n1,2,3\n")
    for below in (".", "src", "data/raw"):
        with chdir(folder_of_larger.folder / below):
            ended = CliRunner().invoke(predict.command, ["tiny_numbers", "--file", str(rows)])
        assert ended.output.startswith('{"number": '), ended.output


def test_doctor_and_status_in_a_larger_repository(folder_of_larger):
    with chdir(folder_of_larger.folder / "src"):
        said = CliRunner().invoke(doctor.command).output
        checked = CliRunner().invoke(status.command).output
    assert f" in {folder_of_larger.folder}\n" in said
    assert ", 0 changed files\n" in said
    assert "dvc.lock" in checked
    assert "is missing" not in checked


def test_without_git_the_message_says_what_to_do(project):
    shutil.rmtree(project.folder / ".git")
    with chdir(project.folder):
        ended = CliRunner().invoke(status.command)
    hint = "run: git init && git add --all && git commit --message Start; or get the project by git clone"
    assert ended.output == f"Error: {project.folder} is not a git repository, which DVC needs; {hint}\n"


def test_stages_run_without_git(project):
    shutil.rmtree(project.folder / ".git")
    project.stages("prepare split train evaluate plot", "tiny_numbers")
