"""A user's mistake gives a one-line error with the place, the fact and a hint, and all outputs stay."""

import hashlib
import itertools
import json
import pickle
import re
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, chdir
from pathlib import Path
from typing import Any

import evaluate
import plot
import prepare
import split
import train
from retrain.commands import predict

import click
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file
from support.project import NOT_RUN, Project, copy_of_repository, made_once, tiny_datasets, write_tiny_tables
from support.servers import closed_port, redirect, sending, serving

STAGES = {"prepare": prepare, "split": split, "train": train, "evaluate": evaluate, "plot": plot}
REMOVED = object()
OUTPUTS = ("data", "models", "reports", ".retrain/downloads")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with all datasets split and `tiny_news` trained. Shared: look, don't touch."""

    def make(folder: Path) -> None:
        project = copy_of_repository(folder, NOT_RUN)
        write_tiny_tables(project.folder)
        project.write_params({"datasets": tiny_datasets()})
        project.commit()
        project.pack()
        project.stages("prepare split", *tiny_datasets())
        project.stages("train", "tiny_news")

    return made_once(tmp_path_factory, "errors", make)


@pytest.fixture
def project(trained: Project, tmp_path: Path) -> Project:
    """A copy of it that a test may change, except for the code, which is most of its files."""
    copy = Project(shutil.copytree(trained.folder, tmp_path / "project", ignore=shutil.ignore_patterns("src")))
    (copy.folder / "src").symlink_to(trained.folder / "src")
    return copy


def outputs(project: Project) -> dict[Path, bytes]:
    """Every file that a stage could have written or harmed."""
    files = (path for name in OUTPUTS for path in (project.folder / name).rglob("*") if path.is_file())
    return {path: path.read_bytes() for path in files}


def the_line(stderr: str) -> str:
    """What stderr says after `Error: `, on its only line."""
    found = re.fullmatch(r"Error: (.+ .+; .+)\n", stderr)
    assert found, stderr
    return found[1]


def error_of(project: Project, command: click.Command, *arguments: str) -> str:
    """The error of a command that must fail, run in this process (where a traceback would be an exception)."""
    before = outputs(project)
    with chdir(project.folder):
        ended = CliRunner().invoke(command, arguments)
    assert isinstance(ended.exception, SystemExit), repr(ended.exception)
    assert ended.exit_code == 1
    assert outputs(project) == before
    return the_line(ended.stderr)


def stage_error(project: Project, stage: str, dataset: str) -> str:
    """The error of a stage that must fail."""
    return error_of(project, STAGES[stage].main, "--dataset", dataset)


def change(project: Project, parameter: str, value: object) -> None:
    """Set a parameter, or take it out."""
    if value is REMOVED:
        project.remove(parameter)
    else:
        project.set(parameter, value)


# Parameters: what is below `datasets.`, its new value, and the error below `params.yaml: datasets.`
PARAMETERS = [
    # unknown, with the nearest known name
    ("tiny_news.prepare.heade", True, "tiny_news.prepare: unknown parameter 'heade'; did you mean 'header'?"),
    ("tiny_news.prepare.train.sha265", "x", "tiny_news.prepare.train: unknown parameter 'sha265'; did you mean 'sha256'?"),
    ("tiny_news.split.sed", 1, "tiny_news.split: unknown parameter 'sed'; did you mean 'seed'?"),
    ("tiny_news.split.encoder.minimum_cont", 1,
     "tiny_news.split.encoder: unknown parameter 'minimum_cont'; did you mean 'minimum_count'?"),
    ("tiny_news.train.devise", "cpu", "tiny_news.train: unknown parameter 'devise'; did you mean 'device'?"),
    ("tiny_news.train.loop.epoch", 3, "tiny_news.train.loop: unknown parameter 'epoch'; did you mean 'epochs'?"),
    ("tiny_news.train.optimizer.momentun", 0.0,
     "tiny_news.train.optimizer: unknown parameter 'momentun'; did you mean 'momentum'?"),
    ("tiny_news.train.network.sparce", True, "tiny_news.train.network: unknown parameter 'sparce'; did you mean 'sparse'?"),
    # renamed
    ("tiny_news.train.network.width", 8,
     "tiny_news.train.network: 'width' is now called 'embedding_dim'; write embedding_dim: 8"),
    ("tiny_news.split.target", "label", "tiny_news.split: 'target' is now called 'task'; write task: classification"),
    ("tiny_news.evaluate.batchsize", 8, "tiny_news.evaluate: unknown parameter 'batchsize'; did you mean 'batch_size'?"),
    ("tiny_news.plot.dots", 8, "tiny_news.plot: unknown parameter 'dots'; known are: dots_per_inch"),
    ("tiny_news.train.zzz", 1, "tiny_news.train: unknown parameter 'zzz'; known are: calibration, device, loop, loss, network,"),
    # unknown choices
    ("tiny_news.prepare.source", "filez", "tiny_news.prepare.source: unknown 'filez'; did you mean 'files'?"),
    ("tiny_news.prepare.repairs", ["entitys"], "tiny_news.prepare.repairs.0: unknown 'entitys'; did you mean 'entities'?"),
    ("tiny_news.split.encoder.name", "txt", "tiny_news.split.encoder.name: unknown 'txt'; did you mean 'text'?"),
    ("tiny_news.split.task", "labels", "tiny_news.split.task: unknown 'labels'; known are: classification, regression"),
    ("tiny_news.train.loss.name", "cross_entropie",
     "tiny_news.train.loss.name: unknown 'cross_entropie'; did you mean 'cross_entropy'?"),
    ("tiny_news.train.loss.name", "huber",
     "tiny_news.train.loss: unknown parameter 'class_weights' (known are: name), and unknown parameter 'label_smoothing'"),
    ("tiny_news.train.optimizer.name", "adam", "tiny_news.train.optimizer.name: unknown 'adam'; did you mean 'adamw'?"),
    ("tiny_news.train.schedule.name", "cosin", "tiny_news.train.schedule.name: unknown 'cosin'; did you mean 'cosine'?"),
    ("tiny_news.train.network.name", "embeding_bag",
     "tiny_news.train.network.name: unknown 'embeding_bag'; did you mean 'embedding_bag'?"),
    ("tiny_news.train.device", "gpu", "tiny_news.train.device: device 'gpu' is not supported; set it to cpu, cuda or cuda:1"),
    # missing
    ("tiny_news.prepare.source", REMOVED, "tiny_news.prepare.source is missing; add it"),
    ("tiny_news.prepare.train.sha256", REMOVED, "tiny_news.prepare.train.sha256 is missing; add it"),
    ("tiny_news.split.encoder.minimum_count", REMOVED, "tiny_news.split.encoder.minimum_count is missing; add it"),
    ("tiny_news.train.loop.patience", REMOVED, "tiny_news.train.loop.patience is missing; add it"),
    ("tiny_news.train.optimizer.name", REMOVED, "tiny_news.train.optimizer.name is missing; add it"),
    ("tiny_news.train.network.name", REMOVED, "tiny_news.train.network.name is missing; add it"),
    ("tiny_news.train.network.sparse", REMOVED, "tiny_news.train.network.sparse is missing; add it"),
    # mistyped
    ("tiny_news.prepare.header", 1, "tiny_news.prepare.header is 1, but must be true or false"),
    ("tiny_news.prepare.columns", "text", "tiny_news.prepare.columns is the text 'text', but must be a list; write [text]"),
    ("tiny_news.prepare.target", "subject", "tiny_news.prepare: target names 'subject', which is not in columns; add it to columns"),
    ("tiny_news.split.seed", -1, "tiny_news.split.seed is -1, but must be greater than or equal to 0"),
    ("tiny_news.split.seed", 2**64, "tiny_news.split.seed is 18446744073709551616, but must be less than"),
    ("tiny_news.train.loop.epochs", "3", "tiny_news.train.loop.epochs is the text '3', but must be a whole number"),
    ("tiny_news.train.loop.epochs", 0, "tiny_news.train.loop.epochs is 0, but must be greater than 0"),
    ("tiny_news.train.loop.seed", 2**64, "tiny_news.train.loop.seed is 18446744073709551616, but must be less"),
    ("tiny_news.train.loop.learning_rate", True, "tiny_news.train.loop.learning_rate is true, but must be a"),
    ("tiny_news.train.loop", 3, "tiny_news.train.loop is 3, but must be a mapping"),
    ("tiny_news.train.network", "mlp", "tiny_news.train.network is the text 'mlp', but must be a mapping"),
    ("tiny_news.train.network.sparse", "yes", "tiny_news.train.network.sparse is the text 'yes', but must be true or false"),
    ("tiny_news.plot.dots_per_inch", 1.5, "tiny_news.plot.dots_per_inch is 1.5, but must be a whole number"),
    # fractions
    ("tiny_news.split.test", 0, "tiny_news.split.test is 0, but must be greater than 0"),
    ("tiny_news.split.validation", 0.0, "tiny_news.split.validation is 0.0, but must be greater than 0"),
    ("tiny_news.split.validation", 1.5, "tiny_news.split.validation is 1.5, but must be less than 1"),
    ("tiny_news.split.validation", 0.8, "tiny_news.split: validation and test add up to 1, so no rows are left to train on; lower them"),
    ("tiny_news.split.validation", 1e-9, "tiny_news.split has an empty validation split (0 of 150 rows at validation = 1e-09); raise validation, or"),
    ("tiny_news.split.test", REMOVED, "tiny_news.split.test is missing; add it: the data has no official test file"),
    # parameters that do not fit each other, the data, or this machine
    ("tiny_news.split.encoder.name", "numbers", "tiny_news.split.encoder: unknown parameter 'minimum_count'"),
    ("tiny_sign.split.task", "regression",
     "tiny_sign.split: column 'sign' holds text, but regression needs numbers; set split.task: classification"),
    ("tiny_length.split.task", "classification",
     "tiny_length.split: column 'length' holds numbers, but classification needs text; set split.task: regression"),
    ("tiny_numbers.train.network", {"name": "embedding_bag", "embedding_dim": 8, "embedding_init": 0.5, "dropout": 0.0, "sparse": True},
     "tiny_numbers.train.network.name: 'embedding_bag' takes text, but the encoder 'numbers' of this dataset gives numbers; choose one that takes numbers: mlp"),
    ("tiny_news.train.network", {"name": "mlp", "hidden": 5, "dropout": 0.0},
     "tiny_news.train.network.name: 'mlp' takes numbers, but the encoder 'text' of this dataset gives text; choose one that takes text: embedding_bag"),
    ("tiny_news.train.loop.batch_size", 4096, "tiny_news.train.loop.batch_size: the train split has 86 rows, fewer than one batch of 4,096; set it to 86 or less"),
    ("tiny_news.train.optimizer", {"name": "adamw", "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.0},
     "tiny_news.train.network.sparse: 'adamw' with these parameters can't take sparse gradients; set it to false"),
    ("tiny_news.train.optimizer.momentum", 0.9, "tiny_news.train.network.sparse: 'sgd' with these parameters can't take"),
    ("tiny_news.train.optimizer.weight_decay", 0.1, "tiny_news.train.network.sparse: 'sgd' with these parameters can't"),
    ("tiny_news.train.optimizer", {"name": "adagrad", "weight_decay": 0.1},
     "tiny_news.train.network.sparse: 'adagrad' with these parameters can't take sparse gradients"),
    ("tiny_news.train.device", "cuda:99", "tiny_news.train.device: device 'cuda:99' can't be used"),
    ("tiny_news.train.device", "meta", "tiny_news.train.device: device 'meta' is not supported"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("parameter", "value", "expected"),
    PARAMETERS,
    ids=[f"{k}={'REMOVED' if v is REMOVED else v}" for k, v, _ in PARAMETERS],
)
def test_wrong_parameters_are_named(project, parameter, value, expected):
    change(project, parameter, value)
    dataset, stage, *_ = parameter.split(".")
    assert stage_error(project, stage, dataset).startswith(f"params.yaml: datasets.{expected}")


def test_columns_must_fit_the_encoder(project):
    project.set("tiny_news.split.encoder", {"name": "numbers"})
    assert stage_error(project, "split", "tiny_news") == (
        "params.yaml: datasets.tiny_news.split.encoder.name: encoder 'numbers' needs numbers, but column 'text' holds text; "
        "set encoder.name to one for text: ngrams or text"
    )


@pytest.mark.parametrize("stage", STAGES)
def test_an_unknown_dataset_is_named(project, stage):
    expected = "params.yaml: datasets: unknown dataset 'tiny_new'; did you mean 'tiny_news'?"
    assert stage_error(project, stage, "tiny_new") == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "{folder}/params.yaml does not exist; run this inside the repository"),
        ("", "params.yaml has no dataset; add one: retrain add NAME FILE --target COLUMN"),
        ("datasets: [a]", "params.yaml has no dataset"),
        ("datasets: {a: 1\n", "params.yaml, line 2, column 1 is not valid YAML ("),
        ("a: 1\na: 2\n", "params.yaml, line 2, column 1 is not valid YAML ("),
        ("datasets: {tiny_news: 1}", "params.yaml: datasets.tiny_news is not a mapping; give it the sections prepare,"),
        ("datasets: {tiny_news: {prepare: {}}}", "params.yaml: datasets.tiny_news: split, train, evaluate and plot are missing; add them"),
        ("datasets: {tiny_news: {trian: {}}}",
         "params.yaml: datasets.tiny_news: unknown section 'trian' (did you mean 'train'?), and prepare, split, evaluate and plot are missing; "),
    ],
)  # fmt: skip
def test_an_invalid_params_file_is_named(project, content, expected):
    path = project.folder / "params.yaml"
    path.unlink()
    if content is not None:
        path.write_text(content)
    assert stage_error(project, "prepare", "tiny_news").startswith(expected.replace("{folder}", str(project.folder)))


FILE = "data/raw/tiny_news/rows.csv"
HEADER = b"text,topic\n"
NUMBERS = "data/raw/tiny_numbers/rows.csv"
FOLDER = object()


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        (FILE, b"", f"{FILE} is empty; add rows"),
        (FILE, HEADER, f"{FILE} has a header, but no rows; add rows"),
        (FILE, HEADER + b'the cow,farm\n"the shi', f"{FILE}, line 3 has a quote that does not end, or text after a closing quote; write a"),
        (FILE, HEADER + b'"the" cow,farm\n', f"{FILE}, line 2 has a quote that does not end, or text after a closing quote; write a"),
        (FILE, HEADER + b"caf\xe9,city\n", f"{FILE}, line 2 is not UTF-8 (byte 0xe9); set datasets.tiny_news.prepare.format.encoding: cp1252"),
        (FILE, HEADER + b"a,farm\nb,sea,x\n", f"{FILE}, line 3 has 3 values for 2 columns; put quotes around values"),
        (FILE, HEADER + b"a,farm\nb\n", f"{FILE}, line 3 has 1 value for 2 columns; add the missing values, or remove the line"),
        (FILE, b"text,text\na,b\n", f"{FILE}, line 1 names column 'text' twice; rename one of them"),
        (FILE, b"text,subject\na,b\n", f"{FILE} has no column 'topic'; the file has: text, subject"),
        (FILE, HEADER + b",farm\na,\n",
         "params.yaml: datasets.tiny_news.prepare: cleaning dropped all 2 rows (1 without a target, 1 without any input); check the columns"),
        (FILE, HEADER + b"a,sea\nb,sea\n",
         "params.yaml: datasets.tiny_news.prepare: all rows have the class 'sea'; add rows of another class"),
        (FILE, None, f"{FILE} does not exist; put the file there, or change its location in datasets.tiny_news.prepare"),
        (FILE, FOLDER, f"{FILE} is a directory; put the file there, or change its location in datasets.tiny_news.prepare"),
        (NUMBERS, b"a,b,c,y\n1,2,3,4\n1,two,3,4\n",
         (f"{NUMBERS}, line 3, column 'b' holds 'two', which is not a finite number; correct the value, add it to "
         "datasets.tiny_numbers.prepare.format.missing if it means a missing value, or take 'b' out of datasets.tiny_numbers.prepare.numbers")),
        (NUMBERS, b"a,b,c,y\n1,2,3,inf\n", f"{NUMBERS}, line 2, column 'y' holds 'inf', which is not a finite number; "),
        (NUMBERS, b"a,b,c,y\n1,nan,3,4\n", f"{NUMBERS}, line 2, column 'b' holds 'nan', which is not a finite number; "),
        (NUMBERS, b"a,b,c,y\n1,2,1e308,4\n", f"{NUMBERS}, line 2, column 'c' holds '1e308', which is larger than 1e+150; "),
    ],
)  # fmt: skip
def test_errors_of_a_table_name_the_line(project, file, content, expected):
    (project.folder / file).unlink()
    if content is FOLDER:
        (project.folder / file).mkdir()
    elif content is not None:
        (project.folder / file).write_bytes(content)
    assert stage_error(project, "prepare", Path(file).parent.name).startswith(expected)


@pytest.mark.parametrize(
    ("location", "sha256", "expected"),
    [
        ("rows.csv", "0" * 64, "rows.csv has the SHA-256 {sha256}, not 000000000"),
        ("rows.csv", "unpinned", "rows.csv has no SHA-256; set sha256: {sha256}, or move the file to data/raw/tiny_news/"),
        ("rows.csv", "0" * 63, "params.yaml: datasets.tiny_news.prepare.train.sha256 is the text '000"),
        ("none.csv", "0" * 64,
         "none.csv does not exist; put the file there, or change its location in datasets.tiny_news.prepare"),
        ("s3://bucket/rows.csv", "0" * 64, "s3://bucket/rows.csv has the unknown scheme 's3'; give a path, or an http(s) URL"),
        ("http://127.0.0.1/rows.csv", "unpinned", "http://127.0.0.1/rows.csv has no SHA-256; set sha256 to the digest"),
        ("http://[::1/rows.csv", "0" * 64, "http://[::1/rows.csv is or redirects to an invalid URL ("),
        ("{server}/rows.csv", "0" * 64, "{server}/rows.csv has the SHA-256 {sha256}, not 00000000"),
        ("{server}/absent.csv", "0" * 64, "{server}/absent.csv is not on the server (status 404); correct the location"),
        ("{server}/to_ftp", "0" * 64, "{server}/to_ftp redirects to another scheme (No connection"),
        ("{server}/in_circles", "0" * 64, "{server}/in_circles can't be downloaded (TooManyRedirects); check the"),
        ("{server}/broken_off", "0" * 64, "{server}/broken_off can't be downloaded (ProtocolError); check"),
        ("http://127.0.0.1:{closed_port}/rows.csv", "0" * 64,
         "http://127.0.0.1:{closed_port}/rows.csv can't be downloaded (ConnectionError); check the network and try again"),
    ],
)  # fmt: skip
def test_an_unavailable_file_is_named(project, location, sha256, expected):
    content = (project.folder / FILE).read_bytes()
    (project.folder / "rows.csv").write_bytes(content)
    with download_server(content) as (server, _), closed_port() as port:
        facts = {"server": server, "closed_port": port, "sha256": hashlib.sha256(content).hexdigest()}
        project.set("tiny_news.prepare.train", {"location": location.format(**facts), "sha256": sha256})
        assert stage_error(project, "prepare", "tiny_news").startswith(expected.format(**facts))


def download_server(content: bytes) -> AbstractContextManager[tuple[str, list[str]]]:
    """A server with one good file and several ways to disappoint."""
    answers = {
        "/to_ftp": redirect("ftp://127.0.0.1/rows.csv"),
        "/in_circles": redirect("/in_circles"),
        "/rows.csv": sending(content),
        "/broken_off": sending(content, missing=10),
    }
    return serving(lambda handler: handler.send_error(404), answers)


def with_official_test(project: Project, content: str) -> None:
    """Give `tiny_numbers` an official test file."""
    (project.folder / "data/raw/tiny_numbers/test.csv").write_text(content)
    location = {"location": "data/raw/tiny_numbers/test.csv", "sha256": "unpinned"}
    project.set("tiny_numbers.prepare.test", location)


def test_two_test_splits_are_rejected(project):
    with_official_test(project, "a,b,c,y\n1,2,3,4\n")
    assert project.stage_here("prepare", "tiny_numbers").exit_code == 0
    expected = "params.yaml: datasets.tiny_numbers.split.test is set, but the data has an official test file; remove the parameter"
    assert stage_error(project, "split", "tiny_numbers") == expected


def test_gaps_in_the_test_file_are_rejected(project):
    with_official_test(project, "a,b,c,y\n1,2,3,4\n1,,3,4\n")
    project.set("tiny_numbers.prepare.incomplete", "drop")
    expected = (
        "params.yaml: datasets.tiny_numbers.prepare.test: column 'b' has missing values; fill them in the test file"
    )
    assert stage_error(project, "prepare", "tiny_numbers") == expected


@pytest.mark.parametrize(
    ("stage", "path", "where", "content"),
    [
        (stage, path, where, content)
        for stage, path, where in (
            ("split", "data/tiny_news/prepared/rows.parquet", "data/tiny_news/prepared"),
            ("train", "data/tiny_news/examples/encoding.json", "data/tiny_news/examples/encoding.json"),
            ("train", "data/tiny_news/examples/train/targets.npy", "data/tiny_news/examples"),
            ("evaluate", "data/tiny_news/splits/test.parquet", "data/tiny_news/splits/test.parquet"),
            ("plot", "reports/tiny_news/history.csv", "reports/tiny_news/history.csv"),
        )
        for content in (None, b"", b"\xff\xfe foreign")
    ],
)
def test_damaged_inputs_of_a_stage_are_rejected(project, stage, path, where, content):
    (project.folder / path).unlink()
    if content is not None:
        (project.folder / path).write_bytes(content)
    line = stage_error(project, stage, "tiny_news")
    assert re.fullmatch(rf"{where} (does not exist|is not a readable|does not match).*; run.+", line)


def test_a_damaged_history_makes_no_run(project):
    (project.folder / "reports/tiny_news/history.csv").write_text("epoch,train_loss\n1,high\n")
    ended = project.stage_here("evaluate", "tiny_news")
    assert ended.exit_code == 0, ended.output
    assert "reports/tiny_news/history.csv has no column 'validation_loss'; " in ended.stderr
    assert not (project.folder / "mlflow.db").exists() or project.runs("tiny_news") == []


def without(path: Path) -> None:
    path.unlink()


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def flipped(path: Path) -> None:
    path.write_bytes(path.read_bytes()[::-1])


def pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps({"weights": [1, 2, 3]}))


def of_another_network(path: Path) -> None:
    save_file({"hidden.weight": torch.zeros(3, 2)}, path)


def of_another_size(path: Path) -> None:
    save_file({name: tensor[:-1].contiguous() for name, tensor in load_file(path).items()}, path)


def of_another_type(path: Path) -> None:
    save_file({name: tensor.double() for name, tensor in load_file(path).items()}, path)


def not_finite(path: Path) -> None:
    save_file({name: tensor * torch.nan for name, tensor in load_file(path).items()}, path)


def of_a_later_format(path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2}))


def a_list(path: Path) -> None:
    path.write_text("[1]")


def nested_too_deep(path: Path) -> None:
    path.write_text("[" * 100_000)


DAMAGES: list[tuple[str, Callable[[Path], None], str]] = [
    (
        "model.safetensors",
        without,
        "does not exist; restore it: dvc checkout models/tiny_news, or train it again: dvc repro train@tiny_news",
    ),
    ("model.safetensors", emptied, "is not a readable safetensors file ("),
    ("model.safetensors", truncated, "is not a readable safetensors file ("),
    ("model.safetensors", flipped, "is not a readable safetensors file ("),
    ("model.safetensors", pickled, "is not a readable safetensors file ("),
    (
        "model.safetensors",
        of_another_network,
        "holds the weights of another network; restore it: dvc checkout models/tiny_news",
    ),
    (
        "model.safetensors",
        of_another_size,
        "holds the weights of another network; restore it: dvc checkout models/tiny_news",
    ),
    (
        "model.safetensors",
        of_another_type,
        "has the dtype float64; it must be float32, float16, bfloat16; restore it: dvc checkout models/tiny_news",
    ),
    (
        "model.json",
        without,
        "does not exist; restore it: dvc checkout models/tiny_news, or train it again: dvc repro train@tiny_news",
    ),
    ("model.json", emptied, "is not a readable JSON file ("),
    ("model.json", truncated, "is not a readable JSON file ("),
    ("model.json", nested_too_deep, "is not a readable JSON file ("),
    (
        "model.json",
        a_list,
        "is the list [1], but must be a mapping; ",
    ),
    (
        "model.json",
        of_a_later_format,
        "unknown '2'; restore it: dvc checkout models/tiny_news, or train it again: dvc repro train@tiny_news",
    ),
]


@pytest.mark.parametrize(
    ("file", "damage", "expected"), DAMAGES, ids=[f"{file} {damage.__name__}" for file, damage, _ in DAMAGES]
)
def test_a_damaged_model_is_rejected(project, file, damage, expected):
    damage(project.folder / "models/tiny_news" / file)
    evaluated = stage_error(project, "evaluate", "tiny_news")
    assert evaluated.startswith(f"models/tiny_news/{file}")
    assert expected in evaluated
    predicted = error_of(project, predict.command, "tiny_news", "a ship")
    assert predicted.removeprefix(f"{project.folder}/") == evaluated


def test_infinite_outputs_are_rejected(project):
    not_finite(project.folder / "models/tiny_news/model.safetensors")
    expected = "the model of tiny_news gives outputs that are not finite; restore it: dvc checkout models/tiny_news, or train it again: dvc repro train@tiny_news"
    assert stage_error(project, "evaluate", "tiny_news") == expected
    assert error_of(project, predict.command, "tiny_news", "a ship") == expected


def test_a_model_of_another_dataset_is_rejected(project):
    (project.folder / "models/tiny_news").rename(project.folder / "models/tiny_length")
    expected = "models/tiny_length was trained on a different split; run: dvc repro train@tiny_length"
    assert stage_error(project, "evaluate", "tiny_length").startswith(expected)


@pytest.mark.parametrize("change", ["columns", "classes"])
def test_a_model_that_does_not_fit_the_test_split_is_rejected(project, change):
    path = project.folder / "models/tiny_news/model.json"
    described = json.loads(path.read_text())
    if change == "columns":
        described["encoder"]["learned"]["columns"] = ["other"]
    else:
        described["task"]["learned"]["classes"][0] = "other"
    path.write_text(json.dumps(described))
    assert stage_error(project, "evaluate", "tiny_news").startswith(
        "models/tiny_news does not fit the test split; restore it: "
    )


def test_a_damaged_encoding_is_rejected(project):
    path = project.folder / "data/tiny_sign/examples/encoding.json"
    described = json.loads(path.read_text())
    described["encoder"]["learned"]["means"].pop()
    path.write_text(json.dumps(described))
    expected = "data/tiny_sign/examples/encoding.json is damaged; run: dvc repro split@tiny_sign"
    assert stage_error(project, "train", "tiny_sign") == expected


def test_a_model_without_a_test_split_is_rejected(project):
    path = project.folder / "models/tiny_news/model.json"
    described = json.loads(path.read_text())
    del described["splits"]["test"]
    path.write_text(json.dumps(described))
    expected = "models/tiny_news was trained on a different split; run: dvc repro train@tiny_news"
    assert stage_error(project, "evaluate", "tiny_news") == expected


@pytest.mark.parametrize("every", [24, pytest.param(1, marks=pytest.mark.campaign)])
def test_any_damaged_description_is_an_error(project, every):
    path = project.folder / "models/tiny_news/model.json"
    described = json.loads(path.read_text())
    tried = 0
    with chdir(project.folder):
        for damaged in itertools.islice(damaged_versions(described), 0, None, every):
            path.write_text(json.dumps(damaged))
            ended = CliRunner().invoke(predict.command, ["tiny_news", "the ship near the old harbour"])
            assert ended.exception is None or isinstance(ended.exception, SystemExit), (damaged, ended.exception)
            tried += 1
            if ended.exit_code:
                the_line(ended.stderr)
    assert tried > 300 / every


def damaged_versions(value: Any) -> Iterator[Any]:
    """The value with each part of it (of lists the first) taken out, and replaced by values of all types."""
    yield from (None, [], {}, "other", -1, 0.5, True, [None], {"other": 1})
    if isinstance(value, dict):
        for name, part in value.items():
            yield {other: value[other] for other in value if other != name}
            yield from ({**value, name: damaged} for damaged in damaged_versions(part))
    elif isinstance(value, list) and value:
        yield value[1:]
        yield from ([damaged, *value[1:]] for damaged in damaged_versions(value[0]))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["tiny_new", "a ship"], "params.yaml has no dataset 'tiny_new'; did you mean 'tiny_news'?"),
        (["tiny_news", "--file", "none.txt"], "none.txt does not exist; check the path"),
        (
            ["tiny_news", "--file", "none.csv"],
            "none.csv does not exist; give the path of a CSV, JSON lines or Parquet file",
        ),
        (
            ["tiny_news", "--file", "rows.pdf"],
            "rows.pdf does not exist; give the path of a CSV, JSON lines or Parquet file",
        ),
        (
            ["tiny_news", "--file", "mixed.txt"],
            "mixed.txt, line 3 is not UTF-8, but other lines are; make all UTF-8, if the others are cp1252: python",
        ),
        (
            ["tiny_news", "--file", "mixed.txt", "--encoding", "ascii"],
            "mixed.txt, line 2 is not ASCII; save it as UTF-8, or name its encoding, as in --encoding cp1252",
        ),
        (
            ["tiny_news", "--file", "mixed.csv", "--encoding", "ascii"],
            "mixed.csv, line 2 is not ascii (byte 0xc3); use --encoding cp1252",
        ),
        (
            ["tiny_news", "--file", "mixed.txt", "--encoding", "klingon"],
            "mixed.txt can't be read as 'klingon', which is not an encoding; name one such as utf-8 or cp1252",
        ),
        (["tiny_news", "--file", "other.csv"], "other.csv has no column 'text'; the file has: subject"),
    ],
)
def test_rows_to_predict_are_checked(project, arguments, expected):
    for name in ("mixed.txt", "mixed.csv"):
        (project.folder / name).write_bytes(b"text\ncaf\xc3\xa9\ncaf\xe9\n")
    (project.folder / "other.csv").write_text("subject\na ship\n")
    assert error_of(project, predict.command, *arguments).startswith(expected)


def process_error(project: Project, stage: str) -> str:
    """The error of a stage that must fail, in a process of its own, as a user sees it."""
    before = outputs(project)
    ended = project.run(sys.executable, f"src/{stage}.py", "--dataset", "tiny_news", timeout=60)
    assert ended.returncode == 1, ended.said
    assert outputs(project) == before
    assert "Traceback" not in ended.said
    return the_line(ended.stderr)


@pytest.mark.parametrize("stage", ["prepare", "split", "train", "evaluate", "plot"])
def test_errors_are_one_line(project, stage):
    project.set(f"tiny_news.{stage}.colour", "red")
    assert process_error(project, stage).startswith(
        f"params.yaml: datasets.tiny_news.{stage}: unknown parameter 'colour'"
    )


def test_a_diverging_training_keeps_the_model(project):
    project.set("tiny_news.train.loop.learning_rate", 1e30)
    project.set("tiny_news.train.loop.clip_norm", 1e30)
    before = outputs(project)
    ended = project.stage_here("train", "tiny_news", RETRAIN_TRACKING="off")
    assert (ended.exit_code, outputs(project)) == (1, before)
    line = the_line(ended.stderr)
    expected = (
        r"params.yaml: datasets.tiny_news.train.loop: training diverged: the loss is (nan|inf) in epoch 1, batch \d+; "
    )
    assert re.fullmatch(expected + r"lower learning_rate \(now 1e\+30\), or set or lower clip_norm", line), line


def test_a_silent_server_stops_no_training(project):
    project.records = True
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        ended = project.stage("train", "tiny_news", MLFLOW_TRACKING_URI=uri, MLFLOW_HTTP_REQUEST_TIMEOUT="1")
    assert ended.returncode == 0
    (line,) = [line for line in ended.stderr.splitlines() if uri in line]
    assert "retrain sync" in line
