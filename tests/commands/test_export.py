"""`retrain export`: an ONNX file answers like `retrain predict`, in a process without torch."""

import json
import random
import subprocess
import sys
from contextlib import chdir
from dataclasses import replace
from pathlib import Path

import retrain
from retrain.commands import main
from retrain.errors import RetrainError
from retrain.models import onnx_export, predictor
from retrain.models.onnx_export import TOLERANCE, SumsOfBags

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from support.errors import error_line
from support.homes import mixed_block, write_homes
from support.model_folders import change, write_model
from support.project import REPOSITORY, Project, corpus_datasets, news_rows, number_rows, write_tiny_tables
from torch import nn
from torch.nn import functional

ROWS = 1000
WITHOUT = ("torch", "mlflow", "dvc", "duckdb", "pyarrow", "safetensors", "sklearn", "click")
"""What the example does not need: it runs where none of these can be imported."""
EXAMPLE = """
import io, runpy, sys
sys.modules.update(dict.fromkeys(sys.argv[1].split()))
counts, sys.argv, rows = sys.argv[2].split(), sys.argv[3:], sys.stdin.readlines()
for count in counts:
    sys.stdin = io.StringIO("".join(rows[: int(count)]))
    runpy.run_path(sys.argv[0])
"""
"""Runs the example for some numbers of rows."""
TEXTS = [{"text": text} for text, _ in news_rows(ROWS - 3, seed=9)]
STRANGE_TEXTS = [{"text": text} for text in ("", "xyzzy qwfp", "the " * 5000)]
NUMBERS = [dict(zip("abc", row, strict=False)) for row in number_rows(ROWS, seed=9)]


def homes() -> list[dict]:
    """Rows of `write_homes` without their targets; the first has nothing, the second only unknown values."""
    draw = random.Random(5)

    def row() -> dict:
        return {
            "a": draw.choice([None, draw.gauss(0, 2)]),
            "town": draw.choice([None, "Ely", "Ware", "Hay"]),
            "street": f"s{draw.randrange(40)}",
            "day": draw.choice([None, f"2024-{draw.randrange(1, 13):02d}-11"]),
            "note": draw.choice([None, "good", "poor", "good and poor"]),
        }

    unknown = {"a": 1e12, "town": "Mars", "street": "", "day": "1901-01-01", "note": "xyzzy"}
    return [dict.fromkeys(unknown), unknown, *(row() for _ in range(ROWS - 2))]


CASES = {
    "tiny_news": [*STRANGE_TEXTS, *TEXTS],  # embedding_bag
    "tiny_pairs": [{"docstring": row["text"]} for row in (*STRANGE_TEXTS, *TEXTS)],  # ngram_bag
    "tiny_numbers": NUMBERS,  # mlp
    "homes_classification": homes(),  # mixed
}


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a trained model of each network; one has a threshold."""
    project = Project(tmp_path_factory.mktemp("export"))
    assert project.run("git", "init", "-q").returncode == 0
    mixed = {"homes_classification": mixed_block("classification")}
    datasets = {name: block for name, block in {**corpus_datasets(), **mixed}.items() if name in CASES}
    datasets["homes_classification"]["train"]["calibration"]["threshold"] = "f1"
    project.write_params({"datasets": datasets})
    write_tiny_tables(project.folder)
    write_homes(project.folder, "classification")
    (project.folder / "dvc.yaml").write_text("stages: {}\n")
    project.commit()
    project.stages("prepare split train", *datasets)
    return project


def example(folder: Path, rows: list[dict], *counts: int) -> list[dict]:
    """The answers of docs/examples/onnx_predict.py, to the first rows alone, for each of the counts."""
    program = REPOSITORY / "docs/examples/onnx_predict.py"
    given = "".join(f"{json.dumps(row)}\n" for row in rows)
    command = [sys.executable, "-c", EXAMPLE, " ".join(WITHOUT), " ".join(map(str, counts)), str(program), str(folder)]
    ended = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return list(map(json.loads, ended.stdout.splitlines()))


@pytest.mark.slow
@pytest.mark.parametrize("dataset", CASES)
def test_example_answers_like_predict(networks, dataset):
    rows, folder = CASES[dataset], networks.folder / "exports" / dataset
    exported = networks.retrain_here("export", dataset, "--to", "onnx")
    assert exported.exit_code == 0, exported.output
    assert exported.stdout.startswith(f"wrote {folder}/model.onnx (")
    assert sorted(path.name for path in folder.iterdir()) == ["model.json", "model.onnx"]
    assert str(REPOSITORY).encode() not in (folder / "model.onnx").read_bytes()
    (networks.folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    predicted = networks.retrain_here("predict", dataset, "--file", "rows.jsonl")
    expected = list(map(json.loads, predicted.stdout.splitlines()))
    learned = json.loads((folder / "model.json").read_text())["task"]["learned"]
    assert len(expected) == len(rows) == ROWS
    counts = (ROWS, 2, 1)
    answers = (answer for count in counts for answer in expected[:count])
    for ours, theirs in zip(example(folder, rows, *counts), answers, strict=True):
        assert list(ours) == list(theirs)
        assert ours.get("label") == theirs.get("label")
        if "classes" in learned:
            assert ours["probabilities"] == pytest.approx(theirs["probabilities"], rel=0, abs=TOLERANCE)
        else:
            assert ours == pytest.approx(theirs, rel=0, abs=TOLERANCE * learned["deviation"])


def test_example_is_short():
    assert len((REPOSITORY / "docs/examples/onnx_predict.py").read_text().splitlines()) <= 40


@pytest.mark.parametrize(
    "calibration", [{}, {"temperature": 0.05, "curvature": 0.0}, {"temperature": 0.1, "curvature": 2.5}]
)
def test_calibration_is_in_the_file(tmp_path, calibration):
    folder = write_model(tmp_path / "ships", "numbers", "classification")
    change(folder, "calibration", to=calibration)
    rows = {"a": [1.0, 9.0, -4.0], "b": [0.5, 100.0, 0.0]}
    assert onnx_export.write(predictor.load(folder), rows, tmp_path / "model.onnx") < TOLERANCE


@pytest.mark.parametrize("mode", ["sum", "mean"])
@pytest.mark.parametrize("kind", [torch.int32, torch.int64])
def test_sums_of_bags_are_equal(mode, kind):
    weight = torch.randn(30, 4, generator=torch.Generator().manual_seed(1))
    tokens = torch.arange(50).remainder(30).to(kind)
    for starts in ([0], [0, 0, 7, 7, 50], [50], list(range(50))):
        offsets = torch.tensor([0, *starts[1:]], dtype=kind)
        weights = torch.linspace(0, 2, 50) if mode == "sum" else None
        given = {"offsets": offsets, "mode": mode, "per_sample_weights": weights}
        with SumsOfBags():
            found = functional.embedding_bag(tokens, weight, **given)
        torch.testing.assert_close(found, functional.embedding_bag(tokens, weight, **given))


class Branching(nn.Module):
    """A network whose operators depend on the values: torch can't export it."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values[:, :1] if values.sum() > 0 else values[:, 1:]


class OfOtherAnswers(nn.Module):
    """A network that torch exports with the numbers of the example, because it leaves torch."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values[:, :1] + len(str(values.shape))  # longer for three digits of rows


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (Branching(), r"^the network 'mlp' can't be exported \(Could not guard on data-dependent .*see docs/how-to/export.md$"),
        (OfOtherAnswers(), r"^the network 'mlp' gives other answers in onnxruntime \(up to 2 away\); see docs"),
    ],
)  # fmt: skip
def test_unfit_networks_are_refused(tmp_path, network, expected):
    model = replace(predictor.load(write_model(tmp_path / "own", "numbers", "regression")), network=network)
    rows = {"a": np.linspace(0, 3, 150), "b": np.linspace(-1, 1, 150)}
    with pytest.raises(RetrainError, match=expected):
        onnx_export.write(model, rows, tmp_path / "model.onnx")


def export(folder: Path, *arguments: str) -> str:
    """The error of `retrain export ships`."""
    with chdir(folder):
        ended = CliRunner().invoke(main, ["export", "ships", *arguments], catch_exceptions=False)
    assert ended.exit_code == 1
    assert not list(folder.glob("exports/ships/*"))
    return error_line(ended.stderr)


def test_missing_packages_are_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    write_model(tmp_path / "models/ships", "text", "classification")
    line = export(tmp_path, "--to", "onnx")
    assert line == (
        "retrain export needs onnx and onnxscript; run: .venv/bin/python -m pip install --editable '.[onnx]'"
    )


def test_missing_test_rows_are_named(tmp_path):
    write_model(tmp_path / "models/ships", "text", "classification")
    line = export(tmp_path, "--to", "onnx")
    assert line == f"{tmp_path}/data/ships/splits/test.parquet does not exist; run: dvc repro split@ships"


def test_other_format_is_refused(tmp_path):
    with chdir(tmp_path):
        ended = CliRunner().invoke(main, ["export", "ships", "--to", "pickle"])
    assert ended.exit_code == 2
    assert "'pickle' is not one of 'onnx', 'folder'" in ended.stderr


def test_folder_is_the_model_s_files(tmp_path):
    project = Project(tmp_path)
    source = write_model(tmp_path / "models" / "numbers", "numbers", "regression")
    ended = project.retrain_here("export", "numbers", "--to", "folder", "--output", "copy")
    assert ended.exit_code == 0, ended.output
    assert {path.name: path.read_bytes() for path in (tmp_path / "copy").iterdir()} == {
        path.name: path.read_bytes() for path in source.iterdir()
    }
    rows = [{"a": 1.0, "b": 2.0}]
    assert retrain.load(tmp_path / "copy").predict(rows) == retrain.load(source).predict(rows)
