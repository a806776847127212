"""Building a training: data that the split stage wrote is verified by its digests, and the choices must fit together."""

import shutil
from contextlib import chdir
from pathlib import Path
from typing import Any

import prepare
import split
from retrain import schema
from retrain.errors import RetrainError
from retrain.training import setup

import pytest
from click.testing import CliRunner
from support.project import MLP, Project, tiny_datasets, write_tiny_tables


@pytest.fixture(scope="module")
def split_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the output of the split stage of `tiny_sign`."""
    folder = tmp_path_factory.mktemp("setup")
    (folder / ".git").mkdir()
    write_tiny_tables(folder)
    Project(folder).write_params({"datasets": tiny_datasets()})
    with chdir(folder):
        for stage in (prepare, split):
            assert CliRunner().invoke(stage.main, ["--dataset", "tiny_sign"]).exit_code == 0
    return folder / "data" / "tiny_sign" / "examples"


@pytest.fixture
def examples(split_data: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(split_data, tmp_path / "tiny_sign" / "examples"))


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def add_a_file(path: Path) -> None:
    path.with_name("more.npy").touch()


@pytest.mark.parametrize("damage", [flip_a_bit, Path.unlink, add_a_file])
@pytest.mark.parametrize("name", ["train/targets.npy", "validation/values.npy"])
def test_changed_array_is_reported(examples, name, damage):
    damage(examples / name)
    with pytest.raises(RetrainError) as error:
        setup.read_data(examples)
    assert str(error.value) == f"{examples} does not match its encoding.json; run: dvc repro split@tiny_sign"


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"network": {**MLP, "name": "mpl"}}, "network.name: unknown 'mpl'; did you mean 'mlp'?"),
        ({"network": {"name": "ngram_bag", "scale": 16.0, "sparse": True}},
         "network.name: 'ngram_bag' takes ngrams, but the encoder 'numbers' of this dataset gives numbers; choose one that takes numbers: mlp"),
        ({"loss": {"name": "huber"}},
         "loss.name: 'huber' is a loss for regression, but split.task is classification; choose one for classification:"),
        ({"loop": {**tiny_datasets()["tiny_sign"]["train"]["loop"], "batch_size": 500}},
         "loop.batch_size: the train split has 84 rows, fewer than one batch of 500; set it to 84 or less"),
    ],
    ids=["unknown", "network", "loss", "batch_size"],
)  # fmt: skip
def test_unfitting_choice_is_reported(split_data, section: dict[str, Any], expected):
    parameters = schema.check({**tiny_datasets()["tiny_sign"]["train"], **section}, setup.Train, "train")
    with pytest.raises(RetrainError) as error:
        setup.build(parameters, setup.read_data(split_data), "train")
    assert str(error.value).startswith(f"train.{expected}")
