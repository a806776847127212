"""A model is named by its dataset, or by its folder."""

import json

from retrain.errors import RetrainError
from retrain.pipeline import dvc_cache
from retrain.release import finding

import pytest
from support.model_folders import write_model


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workspace")
    write_model(folder / "models" / "news", "ngrams", "classification")
    write_model(folder / "elsewhere" / "sizes", "numbers", "regression")
    return folder


def test_dataset_or_folder(workspace):
    assert finding.folder_of(workspace, "news") == workspace / "models" / "news"
    sizes = str(workspace / "elsewhere" / "sizes")
    assert finding.load(workspace, sizes).predict([{"a": 1, "b": 2}])


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("new", "/models has no model 'new'; did you mean 'news'?"),
        (
            "elsewhere/size",
            "elsewhere/size is not a folder with model.json; name a dataset, a model's folder, or models:/NAME@champion",
        ),
    ],
)
def test_other_names_are_told(workspace, name, error):
    with pytest.raises(RetrainError) as raised:
        finding.folder_of(workspace, name)
    assert str(raised.value).endswith(error)


def test_models_of_another_commit_are_told(workspace, capsys):
    own = dvc_cache.folder_digest(dvc_cache.listing(workspace / "models" / "news"))
    for digest, warning in (
        (own, ""),
        (
            f"{'0' * 32}.dir",
            "Warning: models/news is not the model that dvc.lock records; to get that one, run: dvc checkout models/news\n",
        ),
    ):
        stage = {"cmd": "x", "outs": [{"path": "models/news", "hash": "md5", "md5": digest}]}
        (workspace / "dvc.lock").write_text(json.dumps({"stages": {"train@news": stage}}))
        finding.load(workspace, "news")
        assert capsys.readouterr().err == warning
