"""Two files compared by what they hold: what counts as equal, and what is said of the largest difference."""

import json

from retrain.data import tables
from retrain.pipeline.comparison import Finding, Status, compare

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

TOLERANCE = 1e-5


@pytest.fixture
def pair(tmp_path):
    """Two paths of the same name, in two folders."""

    def make(name: str) -> tuple:
        for folder in ("then", "now"):
            (tmp_path / folder).mkdir()
        return tmp_path / "then" / name, tmp_path / "now" / name

    return make


@pytest.fixture
def jsons(pair):
    def found(then: object, now: object) -> Finding:
        paths = pair("x.json")
        for path, value in zip(paths, (then, now), strict=True):
            path.write_text(json.dumps(value))
        return compare(*paths, TOLERANCE)

    return found


@pytest.fixture
def csvs(pair):
    def found(then: str, now: str) -> Finding:
        paths = pair("x.csv")
        for path, text in zip(paths, (then, now), strict=True):
            path.write_text(text)
        return compare(*paths, TOLERANCE)

    return found


def test_ninth_digit_is_equal(jsons):
    found = jsons({"test": {"rmse": 57.3721001, "r2": 0.44}}, {"test": {"rmse": 57.3721002, "r2": 0.44}})
    assert found.status is Status.EQUAL
    assert (
        found.detail == "test.rmse: 57.3721001 → 57.3721002, difference 1.0e-07, relative 1.7e-09; 1 of 2 values differ"
    )


@pytest.mark.parametrize(
    ("then", "now", "status"),
    [
        (0.5, 0.50001, Status.EQUAL), (0.5, 0.50002, Status.DIFFERENT),  # the size of the number, and once more
        (1e6, 1e6 + 10.0, Status.EQUAL), (1e6, 1e6 + 11.0, Status.DIFFERENT),  # the size is at most 1
        (1000001, 1000002, Status.DIFFERENT), (3, 3.000001, Status.DIFFERENT),  # whole numbers count something
        ("sgd", "sgx", Status.DIFFERENT), (None, 0.0, Status.DIFFERENT), (0.0, None, Status.DIFFERENT), (0.0, "0", Status.DIFFERENT), (True, False, Status.DIFFERENT),
        ([1.0, 2.0], [1.0, 2.000001], Status.EQUAL), ([1.0, 2.0], [1.0], Status.DIFFERENT), ([], {}, Status.DIFFERENT),
        ([{"a": 1.0}], [{"a": 1.000001}], Status.EQUAL), ([{"a": 1.0}], [{"b": 1.0}], Status.DIFFERENT),
    ],
)  # fmt: skip
def test_json_values_within_tolerance(jsons, then, now, status):
    assert jsons({"value": then}, {"value": now}).status is status


def test_digests_are_ignored(jsons):
    same = {"data_sha256": "a" * 64, "splits": {"test": {"rows": 5, "sha256": "b" * 64}}}
    other = {"data_sha256": "c" * 64, "splits": {"test": {"rows": 5, "sha256": "d" * 64}}}
    assert jsons(same, other).status is Status.EQUAL


def test_long_texts_are_shortened(jsons):
    found = jsons({"buckets": "a" * 5000}, {"buckets": "b" * 5000})
    assert found.detail == f"buckets: '{'a' * 36}... → '{'b' * 36}...; 1 of 1 values differ"


def test_missing_and_new_values_are_named(jsons):
    found = jsons({"rmse": 1.0, "mae": 1.0}, {"rmse": 1.0, "r2": 1.0})
    assert found == Finding(Status.DIFFERENT, "without mae, with new r2")


def test_largest_difference_is_shown(csvs):
    found = csvs("target,score\na,0.25\nb,0.5\nc,0.75\n", "target,score\na,0.250001\nb,0.500003\nc,0.75\n")
    assert found.status is Status.EQUAL
    assert found.detail == "score[1]: 0.5 → 0.500003, difference 3.0e-06, relative 6.0e-06; 2 of 6 values differ"


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ("target,score\na,0.25\nc,0.5\n", "target[1]: 'b' → 'c'; 1 of 4 values differ"),
        ("target,score\na,0.25\nb,0.75\n", "score[1]: 0.5 → 0.75, difference 2.5e-01, relative 3.3e-01; 1 of 4 values differ"),
        ("target,score\na,0.25\n", "target: 2 → 1 values"),
        ("score,target\n0.25,a\n0.5,b\n", "the same names in another order"),
        ("target\na\nb\n", "without score"),
    ],
)  # fmt: skip
def test_other_changes_of_a_table_are_different(csvs, now, said):
    assert csvs("target,score\na,0.25\nb,0.5\n", now) == Finding(Status.DIFFERENT, said)


def test_empty_tables_can_be_compared(csvs):
    assert csvs("class,f1\n", "class,f1\n\n").status is Status.EQUAL


def test_same_rows_in_different_parquet_bytes(pair):
    then, now = pair("x.parquet")
    table = pd.DataFrame({"text": ["a", "b"], "number": [0.5, np.nan], "target": pd.Categorical(["x", "y"])})
    tables.write_parquet(then, table)
    table.to_parquet(now, compression="gzip", index=False)
    assert then.read_bytes() != now.read_bytes()
    found = compare(then, now, TOLERANCE)
    assert found == Finding(Status.EQUAL, "the same values; only bytes, or digests of other files, differ")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_last_bit_of_every_dtype(pair, dtype):
    then, now = pair("model.safetensors")
    weights = torch.tensor([[0.5, 0.25], [0.125, 1.0]]).to(dtype)
    moved = weights.clone()
    moved[1, 0] += moved[1, 0] * torch.finfo(dtype).eps
    save_file({"output.bias": torch.zeros(2), "output.weight": weights}, then)
    save_file({"output.bias": torch.zeros(2), "output.weight": moved}, now)
    found = compare(then, now, 0.01)
    assert found.status is Status.EQUAL
    assert found.detail.startswith("output.weight[1, 0]: 0.125 → 0.125")
    assert found.detail.endswith("; 1 of 6 values differ")
    assert compare(then, now, 1e-9).status is Status.DIFFERENT


@pytest.mark.parametrize(
    ("then", "now", "status"),
    [
        (np.array([1.0, np.nan]), np.array([1.0, np.nan]), Status.EQUAL),
        (np.array([1.0, np.nan]), np.array([1.0, 2.0]), Status.DIFFERENT),
        (np.array([1.0, np.inf]), np.array([1.0, np.inf]), Status.EQUAL),
        (np.array([1.0, np.inf]), np.array([1.0, 1e300]), Status.DIFFERENT),
        (np.array([7, 8]), np.array([7, 9]), Status.DIFFERENT),
        (np.zeros((2, 3)), np.zeros((3, 2)), Status.DIFFERENT),
        (np.zeros(0, dtype=np.float32), np.zeros(0, dtype=np.float64), Status.EQUAL),
    ],
)
def test_arrays_have_shape_and_values(pair, then, now, status):
    paths = pair("x.npy")
    for path, array in zip(paths, (then, now), strict=True):
        np.save(path, array)
    assert compare(*paths, TOLERANCE).status is status


@pytest.mark.parametrize(("step", "status"), [(1, Status.EQUAL), (2, Status.DIFFERENT)])
def test_image_may_be_one_step_lighter(pair, step, status):
    paths = pair("loss.png")
    pixels = np.full((4, 5, 3), 100, dtype=np.uint8)
    for path, lighter in zip(paths, (0, step), strict=True):
        pixels[2, 3, 1] += lighter
        Image.fromarray(pixels).save(path)
    assert compare(*paths, TOLERANCE) == Finding(status, f"1 of 20 pixels differ, by at most {step} of 255")


def test_other_sizes_and_suffixes_are_different(pair):
    paths = pair("loss.png")
    for path, width in zip(paths, (5, 6), strict=True):
        Image.new("RGB", (width, 4)).save(path)
    assert compare(*paths, TOLERANCE) == Finding(Status.DIFFERENT, "4 x 5 x 4 → 4 x 6 x 4 values")
    then, now = (path.with_suffix(".txt") for path in paths)
    then.write_text("0.5")
    now.write_text("0.50000001")
    assert compare(then, now, TOLERANCE) == Finding(Status.DIFFERENT, "different bytes")
