"""What the README and the docs say is so."""

import re
import shlex

from retrain import params
from retrain.commands import main

import pytest
from conftest import REPOSITORY
from ruamel.yaml import YAML

PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):.*##", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def commands() -> list[str]:
    """Every line of the README's shell blocks, comments aside."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    return [line.partition(" #")[0].strip() for block in blocks for line in block.splitlines()]


@pytest.mark.parametrize("command", [line for line in commands() if line.startswith("make ")])
def test_make_targets_in_the_readme_exist(command):
    assert command.split()[1] in TARGETS


@pytest.mark.parametrize("command", [line for line in commands() if "retrain " in line])
def test_subcommands_in_the_readme_exist(command):
    words = shlex.split(command.partition("|")[2] or command)
    assert words[0] == "retrain"
    assert words[1] in main.list_commands(None)
    for word in words[2:]:
        if word.startswith("--"):
            assert any(word in option.opts for option in main.get_command(None, words[1]).params)


@pytest.mark.parametrize("command", [line for line in commands() if line.startswith("dvc ")])
def test_knobs_and_stages_in_the_readme_exist(command):
    for knob in re.findall(r"(datasets\.[\w.]+)=", command):
        value = YAML(typ="safe").load((REPOSITORY / "params.yaml").read_text(encoding="utf-8"))
        for name in knob.split("."):
            value = value[name]
    for stage, dataset in re.findall(r"\b(\w+)@(\w+)", command):
        assert stage in params.STAGES
        assert dataset in params.datasets(REPOSITORY)


def test_every_make_target_has_a_line_of_help_and_is_no_file():
    text = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    phony = set(re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE).group(1).split())
    assert phony == TARGETS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_exist(page):
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`((?:src|tests|docs|data/raw)/[\w./]+\.(?:py|md|csv))`", text)
    linked = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    for name in named:
        assert (REPOSITORY / name).exists(), name
    for link in linked:
        assert (page.parent / link).exists(), link


def test_the_tree_in_the_readme_is_the_top_level():
    block = next(block for block in re.findall(r"```text\n(.*?)```", README, re.DOTALL) if block.startswith("dvc.yaml"))
    for line in block.splitlines():
        assert (REPOSITORY / line.split()[0]).exists() or line.split()[0] == "models/", line


def test_functions_that_the_lessons_table_names_exist():
    rows = re.findall(r"`(\w+)`(?: and `(\w+)`)? in `(src/[\w/]+\.py)`", README)
    assert len(rows) >= 6
    for first, second, path in rows:
        text = (REPOSITORY / path).read_text(encoding="utf-8")
        for name in filter(None, (first, second)):
            assert re.search(rf"^(def|class) {name}\b", text, re.MULTILINE), f"{path} has no {name}"


@pytest.mark.parametrize("name", main.list_commands(None))
def test_every_command_and_option_has_help(name):
    command = main.get_command(None, name)
    assert command.help
    for parameter in command.params:
        if parameter.param_type_name == "option":
            assert parameter.help, parameter.name
