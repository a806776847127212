"""A model is named by its dataset, or by its folder."""

from retrain.errors import RetrainError
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
