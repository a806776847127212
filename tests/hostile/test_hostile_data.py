"""Data, parameters and recipes from a stranger: nothing in them runs, whatever their files pretend to be."""

import json
import pickle
import re
import shutil
from collections.abc import Callable
from contextlib import chdir
from io import BytesIO
from pathlib import Path

import evaluate
import plot
import prepare
import split
import train
from retrain import files
from retrain.commands import recipe
from retrain.data import tables
from retrain.errors import RetrainError

import click
import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner
from pyarrow import parquet
from support.errors import error_line
from support.model_folders import Trap
from support.project import tiny_datasets, write_tiny_tables, write_yaml

pytestmark = pytest.mark.timeout(60)  # the end of what would never end
STAGES = {"prepare": prepare, "split": split, "train": train, "evaluate": evaluate, "plot": plot}
PATH = Path("data/tiny_sign")


@pytest.fixture(scope="module")
def split_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `tiny_sign` is prepared and split. Shared: look, don't touch."""
    folder = tmp_path_factory.mktemp("hostile") / "project"
    (folder / ".git").mkdir(parents=True)
    write_tiny_tables(folder)
    write_yaml(folder / "params.yaml", {"datasets": {"tiny_sign": tiny_datasets()["tiny_sign"]}})
    with chdir(folder):
        for stage in (prepare, split):
            assert CliRunner().invoke(stage.main, ["--dataset", "tiny_sign"]).exit_code == 0
    return folder


@pytest.fixture
def folder(split_folder: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may harm."""
    shutil.copytree(split_folder, tmp_path / "project")
    return tmp_path / "project"


@pytest.fixture
def trap(tmp_path: Path) -> Trap:
    """What makes `sprung`, beside the folder, when its pickle is loaded: this is shown first."""
    trap = Trap(tmp_path / "sprung")
    pickle.loads(pickle.dumps(trap))  # noqa: S301 (our own)
    trap.sprung.unlink()
    return trap


def refusal(folder: Path, command: click.Command, *arguments: str) -> str:
    """The one line with which a command fails; no trap has sprung."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with chdir(folder):
        ended = CliRunner().invoke(command, arguments)
    assert isinstance(ended.exception, SystemExit), repr(ended.exception)
    assert ended.exit_code == 1
    assert not (folder.parent / "sprung").exists()
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    return error_line(ended.stderr)


def header_of(description: str) -> bytes:
    """A .npy file with this header and 64 bytes of data."""
    header = description.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x02\x00" + len(header).to_bytes(4, "little") + header + bytes(64)


def array_of_objects(trap: Trap) -> bytes:
    content = BytesIO()
    np.save(content, np.array([trap], dtype=object), allow_pickle=True)
    return content.getvalue()


def archive_of_objects(trap: Trap) -> bytes:
    content = BytesIO()
    np.savez(content, targets=np.array([trap], dtype=object), allow_pickle=True)
    return content.getvalue()


ARRAYS: list[tuple[str, bytes | Callable[[Trap], bytes]]] = [
    ("objects", array_of_objects),
    ("an archive of objects", archive_of_objects),
    ("a pickle", pickle.dumps),
    ("objects by its header", header_of("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }")),
    ("structured objects", header_of("{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1,), }")),
    ("a program", header_of("__import__('os').system('touch ../sprung')")),
]  # fmt: skip


@pytest.mark.parametrize("content", [content for _, content in ARRAYS], ids=[what for what, _ in ARRAYS])
def test_arrays_run_no_code(folder, trap, content):
    """Not even where the digest of the array is right."""
    examples = folder / PATH / "examples"
    (examples / "train/targets.npy").write_bytes(content if isinstance(content, bytes) else content(trap))
    assert refusal(folder, train.main, "--dataset", "tiny_sign").startswith(f"{PATH}/examples does not match ")
    encoding = json.loads((examples / "encoding.json").read_text())
    encoding["arrays"]["train/targets.npy"] = files.sha256(examples / "train/targets.npy")
    (examples / "encoding.json").write_text(json.dumps(encoding))
    line = refusal(folder, train.main, "--dataset", "tiny_sign")
    assert line.startswith(f"{PATH}/examples/train/targets.npy is not a readable array (")


def table_with(metadata: dict[bytes, bytes]) -> pa.Table:
    """A table like `tiny_sign`'s, with metadata of its first column."""
    table = pa.table({"a": pa.array([1.0, 2.0]), "b": [1.0, 2.0], "c": [3.0, 4.0], "sign": ["plus", "minus"]})
    return table.cast(table.schema.set(0, table.schema.field("a").with_metadata(metadata)))


def extension(name: str, content: bytes) -> dict[bytes, bytes]:
    return {b"ARROW:extension:name": name.encode(), b"ARROW:extension:metadata": content}


def test_pickled_parquet_types_stay_pickled(folder, trap):
    """Versions of pyarrow before 14.0.1 unpickled it (CVE-2023-47248); now the column is what it is stored as."""
    path = folder / PATH / "prepared/rows.parquet"
    for name in ("arrow.py_extension_type", "mine"):
        parquet.write_table(table_with(extension(name, pickle.dumps(trap))), path)
        assert tables.read_parquet(path, "hint")["a"].tolist() == [1.0, 2.0]
    assert not trap.sprung.exists()


@pytest.mark.parametrize("name", ["pandas.period", "pandas.interval"])
def test_pickled_pandas_types_are_rejected(folder, trap, name):
    path = folder / PATH / "prepared/rows.parquet"
    parquet.write_table(table_with(extension(name, pickle.dumps(trap))), path)
    assert refusal(folder, split.main, "--dataset", "tiny_sign").startswith(f"{PATH}/prepared does not match ")
    with pytest.raises(RetrainError, match="is not a readable Parquet table"):
        tables.read_parquet(path, "hint")
    assert not trap.sprung.exists()


TAGS = [
    '!!python/object/apply:os.system ["touch ../sprung"]',
    '!!python/object/new:subprocess.Popen [["touch", "../sprung"]]',
    "!!python/name:os.system",
    "!!python/module:os",
    "!!python/object/apply:builtins.eval [\"open('../sprung', 'w')\"]",
    "!mine {a: 1}",
]


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("stage", STAGES)
def test_python_tags_in_params_are_rejected(folder, stage, tag):
    path = folder / "params.yaml"
    path.write_text(path.read_text().replace("seed: 1", f"seed: {tag}", 1))
    line = refusal(folder, STAGES[stage].main, "--dataset", "tiny_sign")
    assert re.search(
        r"params.yaml, line \d+, column \d+ is not valid YAML \(could not determine a constructor for the tag ", line
    )


@pytest.mark.parametrize("tag", TAGS)
def test_python_tags_in_recipes_are_rejected(folder, tag):
    (folder / "recipe.yaml").write_text(f"train:\n  device: {tag}\n")
    line = refusal(folder, recipe.command, "tiny_sign", "recipe.yaml")
    assert line.startswith("recipe.yaml, line 2, column 11 is not valid YAML (")


BOMB = "&a [x, x]\n" + "".join(
    f"    more{number}: &{chr(98 + number)} [*{chr(97 + number)}, *{chr(97 + number)}]\n" for number in range(25)
)
LOOP = "&a [*a]\n"


@pytest.mark.parametrize("value", [BOMB, LOOP], ids=["that doubles itself", "that holds itself"])
@pytest.mark.parametrize("stage", STAGES)
def test_endless_parameters_are_rejected(folder, stage, value):
    block = "".join(
        f"    {name}:\n      parameter: {value}" if name == stage else f"    {name}: {{}}\n" for name in STAGES
    )
    (folder / "params.yaml").write_text(f"datasets:\n  tiny_sign:\n{block}")
    line = refusal(folder, STAGES[stage].main, "--dataset", "tiny_sign")
    assert "params.yaml, line " in line
    assert "has more than 400,000 values" in line


def test_paths_are_not_encoder_names(folder):
    path = folder / PATH / "examples/encoding.json"
    encoding = json.loads(path.read_text())
    for part in ("encoder", "task"):
        for name in ("../../evil", "os", "/etc/passwd", "__init__", "text/../numbers"):
            path.write_text(json.dumps(encoding | {part: encoding[part] | {"name": name}}))
            line = refusal(folder, train.main, "--dataset", "tiny_sign")
            assert line.startswith(f"{PATH}/examples/encoding.json: unknown '{name}'; ")


@pytest.mark.parametrize("name", ["../mine", "/mine", "..", "a/b", "-rf", ".git", "a;touch sprung", "a b", "a" * 101])
def test_paths_are_not_dataset_names(folder, name):
    write_yaml(folder / "params.yaml", {"datasets": {name: tiny_datasets()["tiny_sign"]}})
    line = refusal(folder, prepare.main, f"--dataset={name}")
    assert line.startswith("params.yaml: datasets: ")
    assert "can't be the name of a dataset" in line
