"""Numbers are right in any unit: pascals, farads or dollars."""

import json

from retrain.commands.curves import plain
from retrain.data.encoders import load as load_encoder
from retrain.data.report_csv import in_short, read_numbers, significant, write_columns
from retrain.data.tasks.classification import Task as Classification
from retrain.data.tasks.classification import all_significant
from retrain.data.tasks.regression import Task as Regression
from retrain.evaluation.intervals import Judged
from retrain.pipeline.comparison import Status, compare
from retrain.text_tables import in_common

import numpy as np
import pandas as pd
import pytest
import torch

UNITS = [(1e-200, 0.0), (1e-13, 0.0), (1e12, 0.0), (1e140, 0.0), (1e-3, 1e9)]
"""What a number is multiplied by, and what is added to it."""
DRAW = np.random.default_rng(3)
NUMBERS, OUTPUTS = DRAW.normal(2.0, 0.5, 50), DRAW.normal(0.0, 1.0, (50, 1)).astype("float32")


def evaluated(numbers: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
    """Predictions of a network that always gives `OUTPUTS`, and their metrics."""
    task = Regression.fit(pd.Series(numbers), "here")
    predicted = task.predictions(torch.from_numpy(OUTPUTS))["predicted"]
    return predicted, Judged(numbers, predicted).values()


@pytest.mark.parametrize(("unit", "offset"), UNITS)
def test_predictions_in_any_unit(unit, offset):
    expected, metrics = evaluated(NUMBERS)
    predicted, scaled = evaluated(NUMBERS * unit + offset)
    close = 1e-9 if offset == 0 else 1e-3  # float64 has sixteen digits, of which the offset takes twelve
    assert (predicted - offset) / unit == pytest.approx(expected, rel=close)
    assert scaled["r2"] == pytest.approx(metrics["r2"], rel=close)
    assert scaled["rmse"] / unit == pytest.approx(metrics["rmse"], rel=close)
    assert scaled["mae"] / unit == pytest.approx(metrics["mae"], rel=close)


@pytest.mark.parametrize(("unit", "offset"), UNITS)
def test_targets_and_epochs_in_any_unit(unit, offset):
    task, scaled = (Regression.fit(pd.Series(numbers), "here") for numbers in (NUMBERS, NUMBERS * unit + offset))
    targets, outputs = scaled.encode(NUMBERS * unit + offset), torch.from_numpy(OUTPUTS)
    assert targets == pytest.approx(task.encode(NUMBERS), abs=1e-3 if offset else 1e-6)
    metrics = scaled.metrics_of(scaled.totals(outputs, torch.from_numpy(targets)), 50)
    expected = task.metrics_of(task.totals(outputs, torch.from_numpy(task.encode(NUMBERS))), 50)
    assert metrics["rmse"] / unit == pytest.approx(expected["rmse"], rel=1e-3)


@pytest.mark.parametrize("name", ["numbers", "mixed"])
@pytest.mark.parametrize(("unit", "offset"), UNITS)
def test_inputs_in_any_unit(name, unit, offset):
    file = load_encoder(name, "here")
    own = {"bins": 4, "minimum_count": 1, "hash_bits": 8, "char_ngrams": 0} if name == "mixed" else {}
    given = file.Parameters.model_validate({"name": name, **own})

    def values(numbers: np.ndarray) -> np.ndarray:
        return file.Encoder.fit_encode(pd.DataFrame({"a": numbers}), numbers[:, None], given)[1]["values"]

    assert values(NUMBERS * unit + offset) == pytest.approx(values(NUMBERS), abs=1e-3 if offset else 1e-5)


def test_small_probabilities_stay():
    task = Classification(("often", "rare"), (99, 1))
    answer = task.answers(torch.tensor([[0.0, -30.0]]))[0]["probabilities"]
    assert answer == {"often": 1.0, "rare": pytest.approx(np.exp(-30.0), rel=1e-8)}
    assert json.dumps(answer["rare"]) == "9.35762297e-14"


def test_written_numbers_keep_digits(tmp_path):
    numbers = [5.1997e-13, 1.0, 123456789012.0, -2.5e-300]
    write_columns(tmp_path / "x.csv", {"a": numbers})
    assert read_numbers(tmp_path / "x.csv", "hint", ["a"]) == {"a": numbers}


@pytest.mark.parametrize(
    ("number", "kept", "shown", "drawn"),
    [
        (2.98765432198e-14, 2.98765432e-14, "2.98765e-14", "0.00000000000002988"),
        (0.1234567890123, 0.123456789, "0.1235", "0.1235"),
        (57.372111111111, 57.3721111, "57.3721", "57.37"),
        (1234567890123.0, 1234567890000.0, "1.23457e+12", "1235000000000"),
        (0.0, 0.0, "0", "0"),
    ],
)
def test_digits_are_significant(number, kept, shown, drawn):
    assert (significant(number), in_short(number), plain(number)) == (kept, shown, drawn)


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [
        ([0.9498, None, 2.8e-5, 0.0], ["0.9498", "", "2.8e-05", "0.0000"]),
        ([0.0217, 0.00398033], ["0.02170", "0.00398"]),
        ([57.37211, 0.00004], ["57.3721", "4e-05"]),
        ([150000.3, 12.7], ["150000.30", "12.70"]),
        ([150000.3, 2100.4], ["150000", "2100"]),
        ([0.9501, 120000.0], ["0.9501", "120000.0000"]),
        ([3e-8, 0.0], ["3e-08", "0"]),
    ],
)
def test_compared_numbers_have_the_same_decimals(numbers, shown):
    assert in_common(numbers) == shown
    assert in_common(numbers, "+") == [number and f"+{number}" for number in shown]


def test_all_digits_are_significant():
    generator = np.random.default_rng(1)
    numbers = generator.normal(size=3000) * 10.0 ** generator.integers(-320, 300, 3000)
    near = (generator.integers(10**8, 10**9, 3000) + 0.5) / 10.0 ** generator.integers(0, 22, 3000)  # ties, and almost
    decades = 10.0 ** np.arange(-30, 30)
    several = np.concatenate(
        [numbers, near, *(np.nextafter(some, side) for some in (near, decades) for side in (0, 1e99))]
    )
    several = np.concatenate([several, decades, [0.0, -0.0, 1.0, 0.1 + 0.2]])
    assert list(map(repr, all_significant(several).tolist())) == list(map(repr, map(significant, several.tolist())))
    assert all_significant(several[:0]).tolist() == []


@pytest.mark.parametrize(("now", "status"), [(2.00001e-13, Status.EQUAL), (9e-13, Status.DIFFERENT)])
@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_small_differences_are_seen(now, status, suffix, tmp_path):
    for folder, number in (("then", 2e-13), ("now", now)):
        (tmp_path / folder).mkdir()
        metrics = json.dumps({"test": {"rmse": number, "r2": 0.5}, "baseline": {"rmse": 3e-13, "r2": 0.0}})
        text = metrics if suffix == ".json" else f"a,b\n{number},1.0\n1e-13,2.0\n"
        (tmp_path / folder / f"x{suffix}").write_text(text)
    assert compare(tmp_path / "then" / f"x{suffix}", tmp_path / "now" / f"x{suffix}", 1e-5).status is status
