"""Any table and any value of a parameter is read correctly, or rejected with an error."""

import copy
import csv
import json
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import evaluate
import plot
import prepare
import split
from retrain import schema
from retrain.data import encoders, sources, splitting
from retrain.data.reading import table_files
from retrain.data.reading.file_format import Expected, Format
from retrain.errors import RetrainError
from retrain.training import setup

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from support.damage import paths_of, replace_at
from support.errors import error_line
from support.project import BAG, block, corpus_datasets, files_section, train_section, write_yaml

ENCODED = {
    "text": {"name": "text", "minimum_count": 1},
    "ngrams": {"name": "ngrams", "minimum_count": 1, "min_log_ratio": 0.0, "hash_bits": 10, "char_ngrams": 2},
    "numbers": {"name": "numbers"},
}


def few_and_many(few: int, many: int) -> pytest.MarkDecorator:
    """The number of examples: few in `make test`, many in the stress tests."""
    campaign = pytest.param(many, marks=[pytest.mark.campaign, pytest.mark.timeout(7200)])
    return pytest.mark.parametrize("examples", [few, campaign])


def told(what: str, examples: int) -> None:
    """Print the number of examples of a search."""
    print(f"{what}: examples tried {examples}, failures 0")


# Tables

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.text(
    "ab !é\u0301\t\n\"',;&#39\\\x00\x02\x03", max_size=12
)
LABELS = st.sampled_from(["sea", "farm", "$\\frac", "<script>", "=1+1", "a,b", '"', "é", "](javascript:", "😀", "nan"])
NUMBERS = st.floats(-1e6, 1e6).map(repr) | st.integers(-9, 9).map(str)
ODD_NUMBERS = st.text("0123456789.e-+ _x", max_size=6)


@st.composite
def tables(draw: st.DrawFn) -> tuple[str, list[tuple[str, ...]]]:
    """An encoder, and rows: valid ones, mixed with any others. Most tables are valid as a whole."""
    inputs = draw(st.sampled_from(["text", "ngrams", "numbers"]))
    if inputs == "numbers":
        good = [(f"{n * 0.5}", f"{n % 7}", f"{n % 11 - 0.25}") for n in range(45)]
        values = NUMBERS | ODD_NUMBERS if draw(st.integers(0, 2)) == 0 else NUMBERS
        rows = st.tuples(values, values, NUMBERS)
    else:
        labels = draw(st.lists(LABELS, min_size=2, max_size=3, unique=True))
        good = [(f"word{n % 5} text{n}", "", labels[n % len(labels)]) for n in range(45)]
        rows = st.tuples(TEXT, TEXT, TEXT if draw(st.integers(0, 2)) == 0 else st.sampled_from(labels))
    return inputs, draw(st.permutations([*good, *draw(st.lists(rows, max_size=20))]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is taken for a repository."""
    folder = tmp_path_factory.mktemp("properties")
    (folder / ".git").mkdir()
    return folder


def write_dataset(folder: Path, inputs: str, rows: list[tuple[str, ...]]) -> None:
    """A dataset of two input columns and a target."""
    kind = "number" if inputs == "numbers" else "text"
    section = files_section("d", {"one": kind, "two": kind, "target": kind}, "target")
    task = "regression" if inputs == "numbers" else "classification"
    parameters = block(section, inputs, task, train_section(BAG, "cross_entropy", 0.1))
    parameters["split"]["encoder"] = ENCODED[inputs]
    write_yaml(folder / "params.yaml", {"datasets": {"d": parameters}})
    path = folder / "data/raw/d/rows.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("one", "two", "target"), *rows])


def taken(folder: Path) -> bool:
    """Whether prepare and split take the table. A stage that does not gives one line of error and changes no file."""
    for stage in (prepare, split):
        before = outputs_of(folder)
        with chdir(folder):
            ended = CliRunner().invoke(stage.main, ["--dataset", "d"])
        assert ended.exception is None or isinstance(ended.exception, SystemExit), repr(ended.exception)
        if ended.exit_code:
            error_line(ended.stderr)
            assert outputs_of(folder) == before
            return False
    return True


def outputs_of(folder: Path) -> dict[str, bytes]:
    """The outputs of prepare and split."""
    paths = (path for path in (folder / "data/d").rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def check_splits(folder: Path, inputs: str, count: int) -> None:
    """Check that no row is lost or invented, and that no content is in two splits."""
    counts = json.loads((folder / "data/d/prepared/prepared.json").read_text())["counts"]
    assert (
        counts["read"]
        == count
        == counts["kept"]
        + sum(counts[name] for name in ("without_a_target", "without_any_input", "with_a_missing_input"))
    )
    parts = {
        name: pd.read_parquet(folder / f"data/d/splits/{name}.parquet") for name in ("train", "validation", "test")
    }
    assert sum(map(len, parts.values())) == counts["kept"]
    contents = encoders.load(inputs, "inputs").Encoder.contents
    sides = [set(contents(part[["one", "two"]])) for part in parts.values()]
    assert sum(map(len, sides)) == len(set().union(*sides))
    for name in ("train", "validation"):
        assert len(np.load(folder / f"data/d/examples/{name}/targets.npy")) == len(parts[name])


@few_and_many(5, 4_000)
def test_any_table_is_split_or_rejected(folder, examples):
    @settings(max_examples=examples)
    @given(tables())
    def search(table: tuple[str, list[tuple[str, ...]]]) -> None:
        inputs, rows = table
        write_dataset(folder, inputs, rows)
        if taken(folder):
            check_splits(folder, inputs, len(rows))
            first = outputs_of(folder)
            assert taken(folder)
            assert outputs_of(folder) == first

    search()
    told("tables", examples)


BYTES = st.lists(
    st.sampled_from([b",", b'"', b'""', b"\n", b"\r\n", b"\r", b"a", b"b", b"1", b" ", b"\xc3\xa9", b"\xe9", b"\x00", b"\xef\xbb\xbf", b"\xff\xfe"])
    | st.binary(max_size=4),
    max_size=40,
).map(b"".join)  # fmt: skip


@few_and_many(60, 50_000)
def test_any_bytes_are_rows_or_an_error(tmp_path, examples):
    path = tmp_path / "rows.csv"

    @settings(max_examples=examples)
    @given(BYTES, st.sampled_from([None, ("a", "b")]))
    def search(content: bytes, columns: tuple[str, ...] | None) -> None:
        path.write_bytes(content)
        try:
            with table_files.open_table(path, "rows.csv", Format(), Expected(columns)) as table:
                unique = [name for name in table.names if table.names.count(name) == 1]
                rows = table.frame(texts=unique) if unique else pd.DataFrame()
        except RetrainError as error:
            assert error.where.startswith("rows.csv")  # noqa: PT017 (whether it is raised depends on the bytes)
            return
        assert all(isinstance(value, str) for value in rows.to_numpy().ravel())

    search()
    told("bytes of CSV files", examples)


# Params

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(-(10**40), 10**40) | st.floats() | st.text(max_size=8) | st.dates()
    | st.sampled_from([0, 1, 0.5, "sgd", "text", "numbers", "label", "cpu", "linear", "huber", "files", 2**31, 1e300]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | st.sampled_from(["name", "location"]), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def sections() -> Iterator[tuple[str, type[schema.Section], dict[str, Any]]]:
    """Every section, and every part of one that is checked by itself: its place, its model and parameters that are good."""
    from retrain.models import losses, networks
    from retrain.training import optimizers

    for dataset, parameters in corpus_datasets().items():
        yield f"{dataset}.prepare", sources.load(parameters["prepare"], dataset).parameters, parameters["prepare"]
        yield f"{dataset}.split", splitting.Split, parameters["split"]
        yield (
            f"{dataset}.split.encoder",
            encoders.load(parameters["split"]["encoder"]["name"], "").Parameters,
            parameters["split"]["encoder"],
        )
        section = parameters["train"]
        yield f"{dataset}.train", setup.Train, section
        yield f"{dataset}.train.network", networks.load(section["network"]["name"], "").Parameters, section["network"]
        yield f"{dataset}.train", optimizers.Parameters, {name: section[name] for name in ("optimizer", "schedule")}
        yield f"{dataset}.train.loss", losses.load(section["loss"]["name"], ""), section["loss"]
        yield f"{dataset}.evaluate", evaluate.Evaluate, parameters["evaluate"]
        yield f"{dataset}.plot", plot.Plot, parameters["plot"]


@few_and_many(100, 30_000)
def test_any_value_is_valid_or_named(examples):
    every = [(*section, path) for section in sections() for path in paths_of(section[2])]

    @settings(max_examples=examples)
    @given(st.sampled_from(every), VALUES)
    def search(chosen: tuple[str, type[schema.Section], dict[str, Any], tuple[Any, ...]], value: Any) -> None:
        where, model, parameters, path = chosen
        written = copy.deepcopy(parameters)
        replace_at(written, path, value)
        parameter = ".".join([where, *map(str, path)])
        try:
            schema.check(written, model, where)
            where = parameter
        except RetrainError as error:
            where = error.where
        assert parameter.startswith(where) or where.startswith(parameter)

    search()
    told("values of parameters", examples)
