"""Tables of numbers, categories, texts and dates: the encoder, the folds, and the network."""

import json
import math
import re

from retrain import schema
from retrain.data.encoders import mixed
from retrain.data.sources import files
from retrain.data.splitting import Split, folds, split
from retrain.errors import RetrainError
from retrain.models import networks
from retrain.models.networks.mixed import Network, Parameters, average

import numpy as np
import pandas as pd
import pytest
import torch
from support.homes import ENCODER, FOLDS, NETWORK, mixed_block, write_homes
from support.project import Project


def fitted(rows: pd.DataFrame, **changed: object) -> tuple[mixed.Encoder, dict[str, np.ndarray]]:
    """An encoder that learned from rows, and their arrays."""
    parameters = schema.check({**ENCODER, **changed}, mixed.Parameters, "encoder")
    return mixed.Encoder.fit_encode(rows, np.zeros(len(rows)), parameters)


def test_number_has_a_value_an_indicator_and_bins():
    rows = pd.DataFrame({"a": [0.0, 1.5, 2.0, 3.0, 4.0, math.nan]})
    encoder, arrays = fitted(rows)
    (learned,) = encoder.numbers
    assert (learned.center, learned.edges, learned.missing) == (2.0, (0.0, 2.0, 4.0), True)
    assert learned.scale == pytest.approx(1.5 / 1.349)
    last, middle, missing = arrays["values"][[4, 2, 5]]
    distance = 2.0 / learned.scale
    assert last == pytest.approx([distance / math.sqrt(1 + (distance / 3) ** 2), 0, 1, 1])
    assert middle.tolist() == [0, 0, 1, 0]
    assert missing.tolist() == [0, 1, 0, 0]
    far = encoder.encode({"a": [1e300]})["values"][0]
    assert far == pytest.approx([3, 0, 1, 1])


def test_numbers_can_be_codes():
    shops = np.arange(107.0, 380.0, 7.0)
    _, arrays = fitted(pd.DataFrame({"shop": np.tile(shops, 3)}), bins=10)
    values = np.column_stack([arrays["values"], np.ones(len(arrays["values"]))])
    assert np.linalg.matrix_rank(values) == len(shops)  # so a linear model can give each of them any output


def test_value_that_was_never_missing_is_replaced_by_the_median():
    encoder, _ = fitted(pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0, 5.0]}))
    median, missing = encoder.encode({"a": [3.0, math.nan]})["values"]
    assert median.tolist() == missing.tolist()


def test_close_values_have_a_scale():
    encoder, _ = fitted(pd.DataFrame({"a": [0.0, 5e-324, 0.0, 0.0, 0.0]}))
    assert encoder.numbers[0].scale > 0


def test_dates_with_gaps_have_one_indicator():
    days = pd.Series(pd.to_datetime(["2024-01-01", None, "2025-06-03", "2023-12-05"]))
    encoder, _ = fitted(pd.DataFrame({"day": days}))
    assert [one.part for one in encoder.numbers if one.missing] == ["days"]


def test_constant_number_is_ignored():
    encoder, _ = fitted(pd.DataFrame({"a": [7.0] * 4, "b": [1.0, 2.0, 3.0, 4.0]}))
    assert [one.column for one in encoder.numbers] == ["b"]
    assert encoder.columns == ("a", "b")


def test_unknown_and_rare_categories_share_a_code():
    rows = pd.DataFrame({"town": pd.Categorical(["Ely", "Ely", "Hay", "Hay", "Rye", None, None])})
    encoder, arrays = fitted(rows)
    assert encoder.categories[0].known == (None, "Ely", "Hay")
    assert arrays["values"].argmax(axis=1).tolist() == [2, 2, 3, 3, 0, 1, 1]
    assert encoder.encode({"town": ["Mars", None]})["values"].argmax(axis=1).tolist() == [0, 1]


def test_dates_become_their_parts():
    dates = pd.Series(pd.to_datetime(["2024-02-29 13:59", "1969-12-31 00:00", None, "2000-01-01 00:00"]))
    parts = dict(mixed.parts_of(dates, "date"))
    found = [[parts[name][row] for name in ("year", "month", "day", "weekday", "hour")] for row in (0, 1, 3)]
    assert found == [[2024, 2, 29, 3, 13], [1969, 12, 31, 2, 0], [2000, 1, 1, 5, 0]]
    assert parts["days"][1] == -1
    assert all(np.isnan(values[2]) for values in parts.values())


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"categories": ["a"]}, "numbers, categories, dates and texts name 'a' twice; remove one of them"),
        ({"categories": [], "dates": ["b"]}, "target 'b' is in dates; a date can't be predicted"),
        ({"group": "b", "time": "c"}, "group and time are both set, but only one can decide the splits"),
    ],
)
def test_wrong_kinds_are_named(changed, expected):
    given = {
        "source": "files", "repairs": [], "header": True, "columns": ["a", "b"], "numbers": ["a"], "inputs": ["a"],
        "target": "b", "rename": {}, "train": {"location": "rows.csv", "sha256": "unpinned"},
    }  # fmt: skip
    with pytest.raises(RetrainError, match=re.escape(expected)):
        schema.check({**given, **changed}, files.Parameters, "prepare")


def test_different_texts_are_never_equal():
    texts = ["C", "C++", "C#", ":)", ":(", "...", "\N{ANGRY FACE}", "\N{GRINNING FACE}", "caf\u00e9", "cafe"]
    rows = pd.DataFrame({"text": pd.Series(texts, dtype="str")})
    assert len(set(mixed.Encoder.contents(rows))) == len(texts)
    same = pd.DataFrame({"text": pd.Series(["caf\u00e9", " cafe\u0301 "], dtype="str")})
    assert len(set(mixed.Encoder.contents(same))) == 1


def test_folds_keep_equal_rows_together_and_test_rows():
    contents = [f"row {number % 300}".encode() for number in range(600)]
    rows = pd.DataFrame({"a": np.arange(600.0)})
    common = {"seed": 3, "test": 0.2, "task": "regression", "encoder": {"name": "mixed"}}
    cut = schema.check({**common, "folds": FOLDS}, Split, "split")
    whole = schema.check({**common, "validation": 0.1}, Split, "split")
    with_folds, without = split(rows, contents, None, cut), split(rows, contents, None, whole)
    assert list(with_folds) == ["train", "test"]
    assert with_folds["test"].equals(without["test"])
    train = with_folds["train"].index
    numbers = folds([contents[row] for row in train], cut, "split")
    by_content = dict(zip([contents[row] for row in train], numbers, strict=True))
    assert all(by_content[contents[row]] == number for row, number in zip(train, numbers, strict=True))
    shares = np.bincount(numbers) / len(numbers)
    assert len(shares) == FOLDS
    assert shares.min() > 0.15


@pytest.fixture
def network() -> Network:
    """A network for two values, one category and texts."""
    torch.manual_seed(0)
    parameters = schema.check(NETWORK, Parameters, "network")
    size = mixed.Size(2, (20,), 30)
    return networks.build(networks.load("mixed", ""), size, 3, parameters, {"folds": FOLDS})


def batch(count: int) -> tuple[torch.Tensor, ...]:
    """Random inputs."""
    generator = torch.Generator().manual_seed(1)
    codes, features = (
        torch.randint(20, (count, 1), generator=generator),
        torch.randint(30, (count * 2,), generator=generator),
    )
    return torch.randn(count, 2, generator=generator), codes, features, torch.ones(count * 2), torch.arange(count) * 2


def test_no_member_learns_from_its_fold(network):
    network.train()
    own = 1
    outputs = network(*batch(8), torch.full((8,), own))
    assert outputs.shape == (8 * (FOLDS - 1) * NETWORK["heads"], 3)
    outputs.square().sum().backward()
    for name, parameter in network.named_parameters():
        gradient = parameter.grad.to_dense() if parameter.grad.is_sparse else parameter.grad
        by_fold = gradient if len(gradient) == FOLDS else gradient.view(len(gradient), FOLDS, -1).transpose(0, 1)
        assert by_fold[own].abs().sum() == 0, name
        assert all(by_fold[fold].abs().sum() > 0 for fold in range(FOLDS) if fold != own), name


def test_rows_are_validated_by_the_member_of_their_fold(network):
    network.eval()
    inputs, numbers = batch(8), torch.arange(8) % 3
    before = network(*inputs, numbers)
    with torch.no_grad():
        network.output_bias[1, :, :, 0] += 1
    after = network(*inputs, numbers)
    assert torch.equal(after[numbers != 1], before[numbers != 1])
    assert (after[numbers == 1, 0] > before[numbers == 1, 0]).all()


def test_prediction_averages_all_members(network):
    network.eval()
    members = [network(*batch(8), torch.full((8,), fold)).softmax(dim=1) for fold in range(FOLDS)]
    torch.testing.assert_close(network(*batch(8)).softmax(dim=1), torch.stack(members).mean(dim=0))


def test_blend_averages_outputs(network):
    network.eval()
    values, codes, *texts = batch(8)
    before = network(values, codes, *texts, torch.zeros(8, dtype=torch.int64)).softmax(dim=1)
    linear = torch.randn(FOLDS, 1 + 2 + 20, 3, generator=torch.Generator().manual_seed(2)).double()
    network.blend(linear, 0.0)
    assert torch.equal(network(values, codes, *texts, torch.zeros(8, dtype=torch.int64)).softmax(dim=1), before)
    network.blend(linear, 1.0)
    inputs = torch.cat([torch.ones(8, 1), values, torch.eye(20)[codes[:, 0]]], dim=1)
    for fold in range(FOLDS):
        answers = network(values, codes, *texts, torch.full((8,), fold)).softmax(dim=1)
        torch.testing.assert_close(answers, (inputs @ linear[fold].float()).softmax(dim=1))


def test_heads_of_numbers_are_averaged():
    outputs = torch.tensor([[[1.0], [2.0], [6.0]]])
    assert average(outputs).tolist() == [[3.0]]


@pytest.mark.slow
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_mixed_table_from_file_to_prediction(tmp_path, task):
    dataset = f"homes_{task}"
    project = Project(tmp_path)
    assert project.run("git", "init", "-q").returncode == 0
    write_homes(tmp_path, task)
    project.write_params({"datasets": {dataset: mixed_block(task)}})
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    project.commit()
    project.stages("prepare split train evaluate", dataset)
    metrics = json.loads((tmp_path / "reports" / dataset / "metrics.json").read_text())
    assert 0 <= json.loads((tmp_path / "models" / dataset / "model.json").read_text())["linear_share"] <= 1
    better = metrics["test"]["loss"] / metrics["baseline"]["loss"]
    assert better < 0.6
    assert metrics["reference"]["loss"] < 0.6 * metrics["baseline"]["loss"]
    assert (tmp_path / "reports" / dataset / "tables" / "slices.csv").read_text().startswith("slice,rows,")
    (tmp_path / "new.csv").write_text(
        "a,town,street,day,note,more\n2,Ely,s1,2024-05-05,good,1\n,Mars,,,poor,2\n-2,Ware,s2,2024-01-01,poor,3\n"
    )
    ended = project.retrain_here("predict", dataset, "--file", "new.csv")
    answers = [json.loads(line) for line in ended.stdout.splitlines()]
    assert len(answers) == 3
    first, last = (answers[row].get("label") or answers[row]["number"] for row in (0, 2))
    assert (first, last) == ("high", "low") or first > 2 > -2 > last
