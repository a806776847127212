"""The statements of the README and the documents that can be checked."""

import importlib.util
import json
import re
import shlex
import statistics
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from retrain import params
from retrain.commands import main

import pytest
from ruamel.yaml import YAML
from support.project import REPOSITORY, write_csv

DOCS = REPOSITORY / "docs"
PAGES = sorted(
    [*DOCS.rglob("*.md"), *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"))]
)  # fmt: skip
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
DESIGN = (DOCS / "explanation/design.md").read_text(encoding="utf-8")
OWN_TABLE = (DOCS / "how-to/own-table.md").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):.*##", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
PLACEHOLDER = "tickets"
"""The user's own dataset in examples."""

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))


def loaded(path: Path) -> ModuleType:
    """A Python file outside of src/ as a module."""
    specification = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands(start: str) -> list[str]:
    """All different commands in the pages' shell blocks that start like this, comments aside."""
    lines = (
        line
        for page in PAGES
        for block in blocks(page.read_text(encoding="utf-8"), "sh")
        for line in block.splitlines()
    )
    found = (re.sub(r"^([A-Z_]+=\S+ )+", "", line.partition(" #")[0].strip()) for line in lines)
    return sorted({line for line in found if re.search(rf"(^|\| ){start} ", line)})


@pytest.mark.parametrize("command", commands("make"))
def test_make_targets_exist(command):
    assert command.split()[1] in TARGETS


@pytest.mark.parametrize("command", commands("retrain"))
def test_subcommands_exist(command):
    words = shlex.split(command.partition(" | ")[2] or command)
    assert words[0] == "retrain"
    assert words[1] in main.list_commands(None)
    for word in words[2:]:
        if word.startswith("--"):
            assert any(word in option.opts for option in main.get_command(None, words[1]).params)


@pytest.mark.parametrize("command", commands("dvc"))
def test_parameters_and_stages_exist(command):
    for parameter in re.findall(r"(?<!\+)(datasets\.[\w.]+)=", command):
        value = YAML(typ="safe").load((REPOSITORY / "params.yaml").read_text(encoding="utf-8"))
        for name in parameter.split("."):
            value = value[name]
    for stage, dataset in re.findall(r"\b(\w+)@(\w+)", command):
        assert stage in params.STAGES
        assert dataset in {*params.datasets(REPOSITORY), PLACEHOLDER}


def test_make_targets_have_help():
    text = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    phony = set(re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE).group(1).split())
    aliases = set(re.findall(r"^([a-z-]+): [a-z-]+$", text, re.MULTILINE))
    assert phony == TARGETS | aliases


@each_page
def test_named_files_exist(page):
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:src|tests|docs|data/raw|benchmarks)/[\w./-]+\.(?:py|md|csv|yaml))`", text):
        assert (REPOSITORY / name).exists() or re.search("tickets|reviews|flowers|homes", name), name  # examples
    for link in re.findall(r"\]\(([^)]+)\)", text):
        target, _, anchor = link.partition("#")
        if "://" in link or "actions/workflows" in link:
            continue
        other = (page.parent / target) if target else page
        assert other.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", other.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}, link


def test_every_page_is_in_the_index():
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in re.findall(r"\]\(([^)]+)\)", index)}
    assert {page for page in DOCS.rglob("*.md") if page.name != "index.md"} <= linked


@each_page
def test_no_page_is_wrapped_or_unfinished(page):
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"^[A-Z]{4,}$|@@|TODO", text, re.MULTILINE)
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    wrapped = re.search(r"^(?![#|*\-<\d ]).*[a-z,]\n(?=[a-z])", prose, re.MULTILINE)
    assert not wrapped, f"one sentence or paragraph per line: {wrapped.group()}"


def test_readme_is_short():
    assert len(README.splitlines()) <= 150


def test_readme_tree_is_the_top_level():
    block = next(block for block in blocks(README, "text") if block.startswith("dvc.yaml"))
    shown = {line.split()[0] for line in block.splitlines()}
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=REPOSITORY, capture_output=True, check=True
    )
    top = {name.partition("/")[0] + ("/" if "/" in name else "") for name in listed.stdout.decode().splitlines()}
    known = {name for name in top if name.startswith(".") or name.isupper() or name.endswith((".md", ".cff", ".toml"))}
    known |= {"Makefile", "dvc.lock", "requirements-dev.lock"}
    assert top - known <= shown
    assert shown <= top | {"models/", "releases/"}


def test_map_matches_the_packages():
    shown, choices = set(), {}
    folders = {0: ""}
    for line in next(block for block in blocks(DESIGN, "text") if block.startswith("src/retrain/")).splitlines()[1:]:
        name, meaning = line.split(maxsplit=1)
        depth = (len(line) - len(line.lstrip())) // 2
        path = folders[depth - 1] + name
        if meaning.startswith("choices: "):
            choices[path] = set(meaning.removeprefix("choices: ").split(", "))
        elif name.endswith("/"):
            folders[depth] = path
        else:
            shown.add(path)
    package = REPOSITORY / "src/retrain"
    for name, listed in choices.items():
        assert listed <= {path.stem for path in (package / name).glob("[!_]*.py")}
    files = {str(path.relative_to(package)) for path in package.rglob("*.py") if path.name != "__init__.py"}
    assert shown == {name for name in files if not name.startswith(tuple(choices))}


def test_map_matches_the_tests():
    block = next(block for block in blocks(DESIGN, "text") if block.startswith("tests/"))
    shown = {line.split()[0].strip("/") for line in block.splitlines()[1:]}
    folders = {path.parent.name for path in (REPOSITORY / "tests").glob("*/*.py")}
    assert shown == folders


def test_parameter_reference_is_current():
    """A network, encoder or loss that the page does not list yet, such as your own, is not required to be there."""
    page = (DOCS / "reference/params.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^### \w+ `(\w+)`$", page, re.MULTILINE))
    assert page == loaded(DOCS / "generate.py").params_page(listed), "run: make docs"


def test_command_reference_is_current():
    page = (DOCS / "reference/cli.md").read_text(encoding="utf-8")
    # In a process of its own: Click remembers the help option of a command from its first call.
    program = "import runpy, sys; print(runpy.run_path(sys.argv[1])['cli_page'](), end='')"
    ended = subprocess.run(
        [sys.executable, "-c", program, DOCS / "generate.py"], capture_output=True, text=True, check=True
    )
    assert page == ended.stdout, "run: make docs"


def test_every_parameter_has_a_meaning():
    page = (DOCS / "reference/params.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w.]+)` \| (.*?) \| (.*?) \| (.*?) \|$", page, re.MULTILINE)
    assert len(rows) > len(params.STAGES)
    assert [name for name, kind, meaning, stages in rows if not (kind and meaning and stages)] == []


def test_environment_variables_are_listed():
    listed = set(loaded(DOCS / "generate.py").ENVIRONMENT)
    code = "\n".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "src").rglob("*.py"))
    read = set(re.findall(r"environ(?:\.get\(|\[)\"((?:RETRAIN|DVC)_\w+)\"", code))
    assert read - {"DVC_EXP_BASELINE_REV"} <= listed


EXAMPLES = {
    "tickets": (["text", "team"], "accuracy"),
    "reviews": (["text", "stars"], "rmse"),
    "flowers": (["length", "width", "weight", "species"], "accuracy"),
    "homes": (["area", "zip", "town", "sold", "remarks", "price"], "rmse"),
}
"""The columns of the examples in how-to/own-table.md, and a metric of their task."""


def example_rows(dataset: str) -> list[list]:
    """Rows from which the example's model can learn something."""
    if dataset == "flowers":
        return [[n % 7 + n % 3, n % 5 - n % 3, n % 11, ["iris", "rose", "tulip"][n % 3]] for n in range(150)]
    if dataset == "homes":
        towns = ["Ely", "Hay", "Rye", ""]
        return [
            [
                n % 13 or "",
                f"0{n % 9}",
                towns[n % 4],
                f"5/{n % 12 + 1}/2024",
                f"{'sunny' if n % 5 else 'dark'} {n}",
                n % 13 + 3 * (n % 4),
            ]
            for n in range(200)
        ]
    texts = [f"{'good ' * (n % 5)}{['book', 'film', 'song'][n % 3]} number {n}" for n in range(200)]
    if dataset == "reviews":
        return [[text, text.count("good") + 1] for text in texts]
    return [[text, text.split(" number")[0].split()[-1]] for text in texts]


def test_examples_are_the_ones_of_the_page():
    found = [name for block in blocks(OWN_TABLE, "yaml") for name in YAML(typ="safe").load(block)]
    assert {name for name in found if name in EXAMPLES} == {*EXAMPLES}


@pytest.mark.slow
@pytest.mark.parametrize("dataset", EXAMPLES)
def test_examples_of_own_tables_run(project, dataset):
    examples = [YAML(typ="safe").load(block) for block in blocks(OWN_TABLE, "yaml")]
    block = next(example for example in examples if dataset in example)
    columns, metric = EXAMPLES[dataset]
    project.write_params({"datasets": block})
    location = project.folder / block[dataset]["prepare"]["train"]["location"]
    write_csv(location, columns, example_rows(dataset))
    project.stages("prepare split train evaluate", dataset)
    metrics = json.loads((project.folder / "reports" / dataset / "metrics.json").read_text())
    assert metric in metrics["test"]
    assert metrics["test"]["loss"] < metrics["baseline"]["loss"]


def test_functions_of_the_course_map_exist():
    page = (DOCS / "explanation/course-map.md").read_text(encoding="utf-8")
    rows = re.findall(r"`(\w+)`(?: and `(\w+)`)? in `(src/[\w/]+\.py)`", page)
    assert rows
    for first, second, path in rows:
        text = (REPOSITORY / path).read_text(encoding="utf-8")
        for name in filter(None, (first, second)):
            assert re.search(rf"^(def|class) {name}\b", text, re.MULTILINE), f"{path} has no {name}"


def test_troubleshooting_quotes_real_messages():
    page = (DOCS / "how-to/troubleshooting.md").read_text(encoding="utf-8")
    ours = page.partition("## DVC and MLflow")[0]
    paths = [*(REPOSITORY / "src").rglob("*.py"), REPOSITORY / "Makefile"]
    code = "\n".join(path.read_text(encoding="utf-8") for path in paths)
    quoted = [cell for row in re.findall(r"^\| (.*?) \|", ours, re.MULTILINE) for cell in re.findall("`(.*?)`", row)]
    assert [text for text in quoted if text not in code and text != "params.yaml"] == []


@pytest.mark.parametrize("name", main.list_commands(None))
def test_commands_and_options_have_help(name):
    command = main.get_command(None, name)
    assert command.help
    for parameter in command.params:
        if parameter.param_type_name == "option":
            assert parameter.help, parameter.name


def test_benchmarks_page_shows_the_results():
    report = loaded(REPOSITORY / "benchmarks/report.py")
    results = json.loads((REPOSITORY / "benchmarks/results.json").read_text(encoding="utf-8"))
    assert report.block(results) in (DOCS / "evidence/benchmarks.md").read_text(encoding="utf-8")
    for name, turns in results["ratio_by_turns"].items():
        assert results["ratio"][name] == turns["median"] == statistics.median(turns["values"])
        assert len(turns["values"]) == len(results["accuracy"]["ours"]["values"])
