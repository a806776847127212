"""Before DVC starts, wrong choices of any dataset are an error that names them."""

import copy

from retrain.errors import RetrainError
from retrain.pipeline import availability

import pytest
from support.project import Project, tiny_datasets


def test_old_names_of_other_datasets_are_errors(tmp_path):
    blocks = copy.deepcopy(tiny_datasets())
    blocks["tiny_news"]["split"] = {"inputs": "text", "target": "label", "encoder": {}}
    Project(tmp_path).write_params({"datasets": blocks})
    with pytest.raises(RetrainError) as caught:
        availability.available_datasets(tmp_path, "tiny_sign")
    assert str(caught.value) == (
        "params.yaml: datasets.tiny_news: split: 'inputs' is now called 'encoder.name' (write encoder.name: text), "
        "and split: 'target' is now called 'task' (write task: classification); correct each of them"
    )


@pytest.mark.slow
def test_dvc_prints_all_misspelt_choices(project):
    for parameter, name in (
        ("prepare.source", "file"), ("split.encoder.name", "txt"), ("split.task", "labels"),
        ("train.network.name", "embeding_bag"), ("train.loss.name", "cross_entropie"),
    ):  # fmt: skip
        project.set(f"tiny_news.{parameter}", name)
    ended = project.run("dvc", "repro", "plot@tiny_news")
    assert ended.returncode == 255
    (error,) = [line for line in ended.stderr.splitlines() if line.startswith("Error: ")]
    assert error.startswith(
        "Error: params.yaml: datasets.tiny_news: prepare.source: unknown 'file' (did you mean 'files'?), "
        "and split.encoder.name: unknown 'txt' (did you mean 'text'?), "
        "and split.task: unknown 'labels' (known are: classification, regression), "
        "and train.network.name: unknown 'embeding_bag' (did you mean 'embedding_bag'?), "
        "and train.loss.name: unknown 'cross_entropie' (did you mean 'cross_entropy'?); correct each of them"
    )
