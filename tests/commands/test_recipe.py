"""`retrain recipe`: parameters are written into params.yaml, and nothing else there changes."""

import re
import shutil
import sys
from contextlib import chdir
from pathlib import Path

from retrain import params, schema
from retrain.commands import recipe
from retrain.data import encoders, sources, splitting
from retrain.evaluation.parameters import Evaluate, Plot
from retrain.models import networks
from retrain.training import optimizers, setup

import pytest
from click.testing import CliRunner, Result
from ruamel.yaml import YAML
from support.project import REPOSITORY, Project, tiny_datasets

COURSE = REPOSITORY / "docs" / "recipes" / "ag_news_course.yaml"
RECIPES = sorted((REPOSITORY / "docs" / "recipes").glob("*.yaml"))
OF_AG_NEWS = pytest.mark.parametrize(
    "recipe_file", [file for file in RECIPES if file.stem.startswith("ag_news_")], ids=lambda file: file.stem
)
COMMITTED = (REPOSITORY / params.FILE).read_text(encoding="utf-8")

COMMENTED = """\
# the head
datasets:
  # about tiny
  tiny:
    prepare: {source: files, repairs: []}  # beside prepare

    split:
      seed: 1                   # beside seed
      validation: 1e-1
      encoder: {minimum_count: 2, bits: 8}
    train:
      # above network
      network: {name: mlp, hidden: 5, dropout: 0.0}
      clip_norm: null           # beside null
      title: "a 'quoted' one"
      loop:
        epochs: 3               # beside epochs
        seed: 0x10
      device: cpu
    evaluate:
      batch_size: 32
    plot:
      dots_per_inch: 50         # beside dots

  # about other
  other: {prepare: {}, split: {}, train: {clip_norm: null}, evaluate: {}, plot: {}}
# the foot
"""


def follow(folder: Path, dataset: str, text: str | bytes | None) -> Result:
    """What the command says of a recipe with this text, or of none, in a folder."""
    if text is not None:
        (folder / "recipe.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with chdir(folder):
        return CliRunner().invoke(recipe.command, [dataset, "recipe.yaml"])


def followed(folder: Path, dataset: str, text: str) -> str:
    """params.yaml after the command."""
    ended = follow(folder, dataset, text)
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.startswith(f"params.yaml has the parameters of recipe.yaml for {dataset}; run: ")
    assert sorted(path.name for path in folder.iterdir() if "params" in path.name) == [params.FILE]
    return (folder / params.FILE).read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a params.yaml that is full of comments."""
    (tmp_path / ".git").mkdir()
    (tmp_path / params.FILE).write_text(COMMENTED)
    return tmp_path


def content(text: str) -> dict:
    """What a YAML text holds."""
    return YAML(typ="safe").load(text)


def comments(text: str) -> set[str]:
    """The comments of a YAML text."""
    return set(re.findall(r"# .*", text))


def test_recipe_replaces_its_parameters(project: Project):
    before = tiny_datasets()
    text = "split: {seed: 7, encoder: {minimum_count: 3}}\ntrain: {threads: 2, loop: {epochs: 9}}\n"
    followed(project.folder, "tiny_news", text)
    after = project.params()["datasets"]
    changed = before["tiny_news"]
    changed["split"].update(seed=7, encoder={"minimum_count": 3})
    changed["train"].update(threads=2, loop={"epochs": 9})
    assert after == before


def test_recipe_in_a_subfolder(project: Project):
    (project.folder / "src" / "mine.yaml").write_text("plot: {dots_per_inch: 60}\n")
    below = Project(project.folder / "src")
    ended = below.run("retrain", "recipe", "tiny_news", "mine.yaml")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == (
        "params.yaml has the parameters of mine.yaml for tiny_news; run: dvc exp run --name mine plot@tiny_news\n"
    )
    assert project.params()["datasets"]["tiny_news"]["plot"] == {"dots_per_inch": 60}
    assert not (below.folder / params.FILE).exists()


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        ("plot: {dots_per_inch: 60}", "dots_per_inch: 50 ", "dots_per_inch: 60 "),
        ("split: {seed: 2}", "seed: 1 ", "seed: 2 "),
        ("train: {device: cuda}", "device: cpu", "device: cuda"),
        ("train: {network: {name: mlp, hidden: 9, dropout: 0.0}}", "hidden: 5, ", "hidden: 9, "),
        ("train: {clip_norm: 1.0}", "clip_norm: null           #", "clip_norm: 1.0            #"),
        ("train:\n  loop:\n    epochs: 4\n", "        epochs: 3               # beside epochs\n        seed: 0x10\n",
         "        epochs: 4\n"),
        ("{}", "", ""),
        ("train: {}", "", ""),
    ],
    ids=str,
)  # fmt: skip
def test_other_characters_stay(folder, text, old, new):
    assert old in COMMENTED
    assert followed(folder, "tiny", text) == COMMENTED.replace(old, new, 1)


def test_new_parameter_is_added(folder):
    after = content(followed(folder, "tiny", "evaluate: {colour: red, null_one: null}"))
    before = content(COMMENTED)
    before["datasets"]["tiny"]["evaluate"].update(colour="red", null_one=None)
    assert after == before


@pytest.mark.parametrize(
    "laid_out",
    [
        "prepare:\n      repairs:     # why\n      - entities\n      - spaces\n      train: x\n",
        "prepare:\n      repairs:\n      # why\n      - entities   # this\n      - spaces\n      train: x\n",
        "prepare:\n      train: x\n      repairs: [entities,   # this\n        spaces]   # that\n",
        "prepare:   # all\n      repairs:   # why\n        name: x   # that\n        size: 3\n      train: x\n",
    ],
)
def test_values_on_several_lines_are_replaced(project: Project, laid_out):
    text = f"datasets:\n  one:\n    {laid_out}    split: {{seed: 1}}\n    train: {{}}\n    evaluate: {{}}\n    plot: {{}}\n"
    (project.folder / params.FILE).write_text(text)
    after = content(followed(project.folder, "one", "prepare: {repairs: [backslashes], train: {name: y}}\n"))
    before = content(text)
    before["datasets"]["one"]["prepare"].update(repairs=["backslashes"], train={"name": "y"})
    assert after == before


def test_recipe_after_experiment(project: Project):
    shutil.copy(REPOSITORY / params.FILE, project.folder / params.FILE)
    command = "from dvc.utils.serialize import modify_yaml\nwith modify_yaml('params.yaml') as parameters: parameters['changed'] = 1"
    ended = project.run(sys.executable, "-c", command)  # as `dvc exp run -S` does: it lays the whole file out anew
    assert ended.returncode == 0, ended.said
    before = content((project.folder / params.FILE).read_text(encoding="utf-8"))
    recipe = COURSE.read_text(encoding="utf-8")
    for stage, parameters in content(recipe).items():
        before["datasets"]["ag_news"][stage].update(parameters)
    assert content(followed(project.folder, "ag_news", recipe)) == before


def test_recipe_twice_changes_nothing(folder):
    text = COURSE.read_text(encoding="utf-8")
    assert followed(folder, "tiny", text) == followed(folder, "tiny", text)


RECIPE = "recipe.yaml is not a recipe; write sections with parameters: prepare, split, train, evaluate, plot"


@pytest.mark.parametrize(
    ("dataset", "text", "expected"),
    [
        (
            "tiny_new",
            "split: {seed: 2}",
            "params.yaml: datasets: unknown dataset 'tiny_new'; did you mean 'tiny_news'?",
        ),
        ("tiny_news", None, "recipe.yaml does not exist; check the path"),
        ("tiny_news", "split: {seed: 2", "recipe.yaml, line 2, column 1 is not valid YAML ("),
        ("tiny_news", "split: {seed: 2}\nsplit: {seed: 3}\n", "recipe.yaml, line 2, column 1 is not valid YAML ("),
        ("tiny_news", b"split: {seed: \xff}", "recipe.yaml is not valid YAML ("),
        ("tiny_news", "splt: {seed: 2}", "recipe.yaml: unknown section 'splt'; did you mean 'split'?"),
        (
            "tiny_news",
            "split: {seed: 2}\n1: {seed: 2}\n",
            "recipe.yaml: unknown section '1'; known are: evaluate, plot,",
        ),
        ("tiny_news", "split: 2", RECIPE),
        ("tiny_news", "train: {threads: 2}\nsplit: [seed]\n", RECIPE),
        ("tiny_news", "split:\n", RECIPE),
        ("tiny_news", "[split]", RECIPE),
        ("tiny_news", "split", RECIPE),
        ("tiny_news", "", RECIPE),
    ],
)
def test_wrong_recipe_is_one_line(project: Project, dataset, text, expected):
    before = (project.folder / params.FILE).read_bytes()
    ended = follow(project.folder, dataset, text)
    assert isinstance(ended.exception, SystemExit), repr(ended.exception)
    assert ended.exit_code == 1
    assert re.fullmatch(r"Error: .+ .+; .+\n", ended.stderr)
    assert ended.stderr.startswith(f"Error: {expected}")
    assert ended.stdout == ""
    assert (project.folder / params.FILE).read_bytes() == before


@pytest.mark.parametrize("section", [None, 3, ["seed"]])
def test_wrong_section_is_one_line(project: Project, section):
    project.set("tiny_news.split", section)
    before = (project.folder / params.FILE).read_bytes()
    ended = follow(project.folder, "tiny_news", "split: {seed: 2}")
    assert isinstance(ended.exception, SystemExit), repr(ended.exception)
    assert ended.exit_code == 1
    assert re.fullmatch(r"Error: params.yaml: datasets\.tiny_news\.split .+; .+\n", ended.stderr)
    assert (project.folder / params.FILE).read_bytes() == before


def committed_after(file: Path, folder: Path) -> str:
    """The committed params.yaml once a recipe for AG News is followed."""
    (folder / "dvc.yaml").touch()
    (folder / params.FILE).write_text(COMMITTED, encoding="utf-8")
    return followed(folder, "ag_news", file.read_text(encoding="utf-8"))


@OF_AG_NEWS
def test_committed_recipe_changes_only_its_parameters(tmp_path, recipe_file):
    changed = committed_after(recipe_file, tmp_path)
    expected = content(COMMITTED)
    for stage, parameters in content(recipe_file.read_text(encoding="utf-8")).items():
        expected["datasets"]["ag_news"][stage].update(parameters)
    assert content(changed) == expected
    assert expected != content(COMMITTED)
    begin, end = (COMMITTED.index(f"\n  {name}:\n") for name in ("ag_news", "docstrings"))
    assert changed.startswith(COMMITTED[:begin])
    assert changed.endswith(COMMITTED[end:])
    assert comments(COMMITTED) <= comments(changed)


@OF_AG_NEWS
def test_committed_recipe_is_valid(tmp_path, recipe_file):
    parameters = content(committed_after(recipe_file, tmp_path))
    block = params.with_defaults(parameters["datasets"]["ag_news"], parameters["defaults"])
    assert schema.check(block["prepare"], sources.load(block["prepare"], "ag_news").parameters, "prepare")
    parameters = schema.check(block["split"], splitting.Split, "split")
    assert schema.check(
        parameters.encoder,
        encoders.load(parameters.encoder.get("name"), "split.encoder.name").Parameters,
        "split.encoder",
    )
    section = schema.check(block["train"], setup.Train, "train")
    network = networks.load(section.network["name"], "network")
    assert network.Network.takes == parameters.encoder["name"]
    assert schema.check(section.network, network.Parameters, "network").sparse
    chosen = {"optimizer": section.optimizer, "schedule": section.schedule}
    assert schema.check(chosen, optimizers.Parameters, "train").optimizer.takes_sparse_gradients
    assert setup.chosen_loss(section, parameters.task, "train").name == "cross_entropy"
    assert schema.check(block["evaluate"], Evaluate, "evaluate")
    assert schema.check(block["plot"], Plot, "plot")


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_committed_recipe_names_its_command(file):
    name = re.search(rf"`retrain recipe (\w+) docs/recipes/{file.name}`", file.read_text(encoding="utf-8"))[1]
    assert name in content(COMMITTED)["datasets"]
