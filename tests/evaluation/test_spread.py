"""What the spread over seeds says about a difference."""

import json
from pathlib import Path

from retrain.evaluation import seeds
from retrain.evaluation.seeds import Seeds, Share, Trained
from retrain.models import description
from retrain.models.description import Description

import pytest
from support.model_folders import change, write_model


@pytest.fixture
def described(tmp_path) -> Description:
    folder = write_model(tmp_path / "tiny_news", "text", "classification")
    change(folder, "train", "loop", to={"epochs": 3, "seed": 1})
    return description.read(folder)


def written(folder: Path, described: Description, *accuracies: float) -> Path:
    """A `seeds.json` of these accuracies."""
    runs = tuple(Trained(seed=n, best_epoch=1, metrics={"accuracy": value}) for n, value in enumerate(accuracies))
    share = Share(share=1.0, rows=90, spread=seeds.spread_of(runs), runs=runs)
    found = Seeds(made_with=seeds.made_with(described), shares=(share,))
    path = folder / "seeds.json"
    path.write_text(json.dumps(found.model_dump(mode="json")))
    return path


def test_spread_decides(tmp_path, described):
    path = written(tmp_path, described, 0.80, 0.82, 0.84)  # t = 4.303 for three seeds, s = 0.02
    small = seeds.remark(path, described, "accuracy", -0.03, "the difference")
    assert small == (
        "the difference is smaller than the spread over seeds (accuracy 0.8000 to 0.8400 over 3 seeds; 95 % of pairs differ by less than 0.1217)"
    )
    assert seeds.remark(path, described, "accuracy", 0.12, "x").startswith("x is smaller")
    assert seeds.remark(path, described, "accuracy", 0.13, "the difference") == ""
    assert seeds.remark(path, described, "rmse", 0.0, "the difference") == ""
    assert seeds.remark(tmp_path / "none.json", described, "accuracy", 0.0, "the difference") == ""


def test_spread_of_other_parameters_is_not_used(tmp_path, described):
    path = written(tmp_path, described, 0.80, 0.84)
    loop = described.train.model_dump()["loop"]

    def changed(**changes: float) -> Description:
        train = described.train.model_copy(update={"loop": loop | changes})
        return described.model_copy(update={"train": train})

    assert seeds.remark(path, changed(seed=7), "accuracy", 0.0, "x").startswith("x is smaller")
    for other in (changed(epochs=9), described.model_copy(update={"data_sha256": "1" * 64})):
        assert seeds.remark(path, other, "accuracy", 0.0, "x") == (
            "seeds.json is out of date, because parameters or data have changed; run: retrain seeds tiny_news"
        )
    path.write_text("{}")
    assert seeds.remark(path, described, "accuracy", 0.0, "x").startswith("the spread over seeds is not known (")
