"""Columns with one value in the train split have no influence; they are named once."""

import json

from retrain.data.encoders import mixed, numbers
from retrain.errors import RetrainError

import numpy as np
import pandas as pd
import pytest
from support.project import Project, number_rows, write_csv

WIDTH = 150


def wide_table(project: Project, encoder: dict, **changed: object) -> None:
    """The dataset tiny_sign with 150 more columns, all zero, of which one has another number in a single row."""
    names = [f"pixel{number}" for number in range(WIDTH)]
    rows = [[a, b, c, *[0] * WIDTH, "plus" if a > b else "minus"] for a, b, c, _ in number_rows(120, seed=2)]
    rows[0][-2] = 5e7
    write_csv(project.folder / "data/raw/tiny_sign/rows.csv", ["a", "b", "c", *names, "sign"], rows)
    params = project.params()
    section = params["datasets"]["tiny_sign"]
    section["prepare"]["columns"] = ["a", "b", "c", *names, "sign"]
    section["prepare"]["numbers"] = section["prepare"]["inputs"] = ["a", "b", "c", *names]
    section["split"] = {**section["split"], "encoder": encoder, **changed}
    project.write_params(params)


@pytest.mark.parametrize("seed", [1, 2])
def test_constant_columns_are_named_once(project, seed):
    wide_table(project, {"name": "numbers"}, seed=seed)
    assert project.stage_here("prepare", "tiny_sign").exit_code == 0
    ended = project.stage_here("split", "tiny_sign")
    train = pd.read_parquet(project.folder / "data/tiny_sign/splits/train.parquet")
    count = sum(len(set(train[name])) == 1 for name in train.columns[:-1])
    assert count >= WIDTH - 1
    start = (
        f"Warning: tiny_sign: {count} columns have the same value in every row of the train split, and no influence: "
    )
    assert ended.exit_code == 0, ended.output
    assert ended.stderr.startswith(start)
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.endswith(f"'pixel9' and {count - 10} more\n")
    assert f"; {WIDTH + 3 - count} columns, 2 classes" in ended.stdout


@pytest.mark.parametrize(
    ("file", "own"), [(numbers, {}), (mixed, {"bins": 2, "minimum_count": 1, "hash_bits": 8, "char_ngrams": 0})]
)
def test_constant_columns_have_no_influence(file, own):
    rows = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "same": [0.1] * 4})
    parameters = file.Parameters(name=file.__name__.rpartition(".")[2], **own)
    encoder, arrays = file.Encoder.fit_encode(rows, np.zeros(4, np.int64), parameters)
    alone, expected = file.Encoder.fit_encode(rows[["a"]], np.zeros(4, np.int64), parameters)
    assert np.array_equal(arrays["values"], expected["values"])
    other = encoder.encode({"a": [2.5], "same": [5e7]})["values"]
    assert np.array_equal(other, alone.encode({"a": [2.5]})["values"])


def test_nothing_varies():
    with pytest.raises(
        RetrainError, match=r"^the train split has no input with two different values; check the inputs$"
    ):
        numbers.Encoder.fit_encode(
            pd.DataFrame({"a": [0.1] * 3}), np.zeros(3, np.int64), numbers.Parameters(name="numbers")
        )


def test_wide_tables_run_to_the_end(project):
    wide_table(project, {"name": "numbers"})
    for stage in ("prepare", "split", "train", "evaluate", "plot"):
        ended = project.stage_here(stage, "tiny_sign")
        assert ended.exit_code == 0, ended.output
        assert "truncated" not in ended.output
    described = json.loads((project.folder / "models/tiny_sign/model.json").read_text())
    assert {"a", "b", "c"} <= set(described["encoder"]["learned"]["columns"])
    (run,) = project.runs("tiny_sign")
    assert run["status"] == "FINISHED"
    assert max(map(len, run["params"].values())) <= 6000
