"""Before DVC starts, wrong choices of a dataset are an error that names them; other datasets run."""

import copy

from retrain.errors import RetrainError
from retrain.pipeline import availability

import pytest
from support.project import Project, tiny_datasets, write_tiny_tables


def test_old_names_are_errors(tmp_path):
    blocks = copy.deepcopy(tiny_datasets())
    blocks["tiny_news"]["split"] = {"inputs": "text", "target": "label", "encoder": {}}
    Project(tmp_path).write_params({"datasets": blocks})
    with pytest.raises(RetrainError) as caught:
        availability.named_or_available(tmp_path, "tiny_news")
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


def test_renamed_datasets_need_their_folder(tmp_path):
    project = Project(tmp_path)
    assert project.run("git", "init", "-q").returncode == 0
    project.write_params({"datasets": {"renamed": tiny_datasets()["tiny_sign"]}})
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    assert project.retrain_here("repro", "renamed").stderr == (
        "Error: data/raw/renamed does not exist; make it, with a README.md about the data; "
        "after a renaming: git mv data/raw/OLD data/raw/renamed\n"
    )


def test_a_dataset_without_its_file_stops_no_other(tmp_path, capsys):
    write_tiny_tables(tmp_path)
    blocks = copy.deepcopy(tiny_datasets())
    blocks["tiny_news"]["prepare"]["train"]["location"] = "data/raw/tiny_news/gone.csv"
    blocks["tiny_length"]["prepare"]["train"]["sha256"] = "0" * 64
    blocks["tracked"] = blocks["tiny_sign"]
    Project(tmp_path).write_params({"datasets": blocks})
    (tmp_path / "data/raw/tiny_sign/rows.csv").rename(tmp_path / "data/raw/tiny_sign/rows.csv.dvc")
    (tmp_path / "data/raw/tracked.dvc").touch()
    assert availability.available_and_broken(tmp_path) == (["tiny_numbers"], ["tiny_length"])
    said = dict(line.split(" is left out: ") for line in capsys.readouterr().err.splitlines())
    gone = "put the file there, or change its location in datasets.tiny_news.prepare"
    wrong = said.pop("tiny_length")
    assert said == {
        "tiny_news": f"data/raw/tiny_news/gone.csv does not exist; {gone}",
        "tiny_sign": "data/raw/tiny_sign/rows.csv does not exist; run: dvc pull data/raw/tiny_sign/rows.csv.dvc",
        "tracked": "data/raw/tracked does not exist; run: dvc pull data/raw/tracked.dvc",
    }
    assert "has the SHA-256" in wrong
    with pytest.raises(RetrainError) as caught:
        availability.named_or_available(tmp_path, "tiny_news")
    assert str(caught.value) == f"data/raw/tiny_news/gone.csv does not exist; {gone}"


def test_a_link_into_the_cache_of_dvc_is_inside(tmp_path):
    write_tiny_tables(tmp_path)
    Project(tmp_path).write_params({"datasets": tiny_datasets()})
    rows, cached = tmp_path / "data/raw/tiny_sign/rows.csv", tmp_path / "cache/files/md5/ab" / ("0" * 30)
    cached.parent.mkdir(parents=True)
    rows.rename(cached)
    rows.symlink_to(cached)
    availability.ensure_available(tmp_path, "tiny_sign")
    rows.unlink()
    rows.symlink_to(cached.rename(tmp_path / "elsewhere.csv"))
    with pytest.raises(RetrainError, match=r"has no SHA-256; set sha256: "):
        availability.ensure_available(tmp_path, "tiny_sign")


@pytest.mark.slow
def test_broken_blocks_stop_no_other_dataset(pair, capfd):
    blocks = pair.params()["datasets"]
    blocks = blocks | {"half": {"prepare": {"source": "files"}}}
    pair.write_params({"datasets": blocks})
    pair.set("tiny_numbers.split.encoder.name", "txt")
    ended = pair.retrain_with_children(capfd, "repro")
    assert ended.returncode == 1
    first, second = (line for line in ended.stderr.splitlines() if " is left out: " in line)
    assert first.startswith("half is left out: params.yaml: datasets.half: split, train, evaluate and plot are missing")
    assert second.startswith(
        "tiny_numbers is left out: params.yaml: datasets.tiny_numbers.split.encoder.name: unknown 'txt'"
    )
    assert ended.stderr.splitlines()[-1] == (
        "Error: params.yaml: 2 of 3 datasets did not run (half, tiny_numbers); correct what the lines above name"
    )
    assert "tiny_sign" in ended.stdout
    ended = pair.retrain_with_children(capfd, "repro", "tiny_sign")
    assert (ended.returncode, "left out" in ended.said) == (0, False), ended.said
    status = pair.retrain_here("status", "tiny_sign")
    assert (status.exit_code, "left out" in status.output) == (0, False), status.output
