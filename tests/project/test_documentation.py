"""What the README and the docs say is so."""

import importlib.util
import json
import re
import shlex
import statistics
import subprocess
from typing import get_args

from retrain import params
from retrain.commands import main
from retrain.data import cleaning
from retrain.models.losses import LOSSES
from retrain.training import optimizers

import pytest
from ruamel.yaml import YAML
from support.project import REPOSITORY, write_csv

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
    for parameter in re.findall(r"(datasets\.[\w.]+)=", command):
        value = YAML(typ="safe").load((REPOSITORY / "params.yaml").read_text(encoding="utf-8"))
        for name in parameter.split("."):
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


def test_no_page_has_a_placeholder():
    for page in PAGES:
        assert not re.search(r"^[A-Z]{4,}$", page.read_text(encoding="utf-8"), re.MULTILINE), page


def test_every_top_level_file_that_a_user_meets_is_in_the_tree():
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=REPOSITORY, capture_output=True, check=True
    )
    top = {name.partition("/")[0] + ("/" if "/" in name else "") for name in listed.stdout.decode().splitlines()}
    block = next(block for block in re.findall(r"```text\n(.*?)```", README, re.DOTALL) if block.startswith("dvc.yaml"))
    shown = {line.split()[0] for line in block.splitlines()}
    known = {
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "Makefile",
        "dvc.lock",
        "pyproject.toml",
        "requirements-dev.lock",
    }
    assert {name for name in top if not name.startswith(".")} - known <= shown


def test_the_choices_in_the_readme_are_the_ones_of_the_code():
    rows = dict(re.findall(r"^\| `([a-z.]+)` \| (.*) \|$", README, re.MULTILINE))
    modules = {
        "prepare.source": "sources", "split.encoder.name": "encoders", "split.task": "tasks", "train.network.name": "networks",
    }  # fmt: skip
    for parameter, folder in modules.items():
        files = {path.stem for path in (REPOSITORY / "src/retrain" / folder).glob("*.py")} - {"__init__"}
        assert set(re.findall(r"`(\w+)`", rows[parameter])) == files
    names = {"train.optimizer.name": optimizers.AnyOptimizer, "train.schedule.name": optimizers.AnySchedule}
    for parameter, union in names.items():
        members = get_args(get_args(union)[0])
        known = {get_args(member.model_fields["name"].annotation)[0] for member in members}
        assert set(re.findall(r"`(\w+)`", rows[parameter])) == known
    assert set(re.findall(r"`(\w+)`", rows["train.loss.name"])) == set(LOSSES)
    assert set(re.findall(r"`(\w+)`", rows["prepare.repairs"])) == set(cleaning.REPAIRS)


@pytest.mark.slow
def test_the_block_in_the_readme_runs(project):
    block = YAML(typ="safe").load(re.search(r"```yaml\n(.*?)```", README, re.DOTALL).group(1))
    project.write_params({"datasets": block})
    texts = [f"{'good ' * (number % 5)}{['book', 'film', 'song'][number % 3]} {number}" for number in range(200)]
    write_csv(
        project.folder / "data/raw/reviews/rows.csv", ["text", "stars"], [[t, t.count("good") + 1] for t in texts]
    )
    project.stages("prepare split train evaluate", "reviews")
    assert '"rmse"' in (project.folder / "reports/reviews/metrics.json").read_text()


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


def test_the_readme_shows_what_the_benchmarks_found():
    specification = importlib.util.spec_from_file_location("report", REPOSITORY / "benchmarks" / "report.py")
    report = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(report)
    results = json.loads((REPOSITORY / "benchmarks" / "results.json").read_text(encoding="utf-8"))
    assert report.block(results) in README
    for name, turns in results["ratio_by_turns"].items():
        assert results["ratio"][name] == turns["median"] == statistics.median(turns["values"])
        assert len(turns["values"]) == len(results["accuracy"]["ours"]["values"])
