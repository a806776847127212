"""Models in MLflow's registry: tied to their runs, and ready to answer raw rows anywhere."""

import json
import subprocess
import sys
from pathlib import Path

import retrain
from retrain.errors import RetrainError
from retrain.models.result import Result
from retrain.tracking import registry, runs, store

import pandas as pd
import pytest
from support.project import Project

DATASETS = ("tiny_news", "tiny_numbers")
ELSEWHERE = """
import json, os, re, sys
from importlib.metadata import distribution, packages_distributions
from pathlib import Path
from packaging.requirements import Requirement

def needed(lines, found):
    for line in lines:
        one = Requirement(line)
        name = one.name.lower().replace("_", "-")
        if name not in found and (one.marker is None or one.marker.evaluate({"extra": ""})):
            try:
                requires = distribution(name).requires or []
            except ModuleNotFoundError:
                continue  # not for this system
            found.add(name)
            needed(requires, found)
    return found

asked = json.loads(sys.argv[1])
allowed = needed([line for folder in asked for line in Path(folder, "requirements.txt").read_text().split()], set())
hidden = {
    module for module, names in packages_distributions().items()
    if not {name.lower().replace("_", "-") for name in names} & allowed
}

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in str(finder).lower()]
assert {"dvc", "duckdb"} <= hidden
hidden.discard("retrain")
import mlflow, pandas as pd
for folder, rows in asked.items():
    answers = mlflow.pyfunc.load_model(folder).predict(pd.DataFrame(rows))
    import retrain
    print(json.dumps({"answers": answers.to_dict("records"), "code": retrain.__file__}))
"""
"""Loads models as another program does: without this repository, and without a package that they do not ask for."""


@pytest.fixture(scope="module")
def registered(finished_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose models are in the registry, as champions."""
    project = finished_project.copy(tmp_path_factory.mktemp("registry") / "finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.folder)
        patch.delenv("DVC_ROOT", raising=False)
        client = store.connect()
        for dataset in DATASETS:
            result = Result(dataset, project.folder, ("train", "evaluate", "plot"))
            version = registry.register(client, result, runs.record(client, result))
            registry.point(client, dataset, {"challenger": version, "champion": version})
    return project


@pytest.fixture
def client(registered, monkeypatch):
    monkeypatch.chdir(registered.folder)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return store.connect()


def logged_model(client, dataset: str):
    """The logged model of a dataset's only version."""
    return client.get_logged_model(client.get_model_version(dataset, "1").source.removeprefix("models:/"))


def rows_of(project: Project, dataset: str) -> list[dict]:
    """Rows of the test split."""
    table = pd.read_parquet(project.folder / "data" / dataset / "splits" / "test.parquet")
    return json.loads(table.drop(columns=["topic", "y"], errors="ignore").head(5).to_json(orient="records"))


@pytest.mark.parametrize("dataset", DATASETS)
def test_version_is_tied_to_its_run(client, registered, dataset):
    (version,) = client.search_model_versions(f"name = '{dataset}'")
    logged = logged_model(client, dataset)
    (run,) = registered.runs(dataset)
    assert (version.run_id, logged.source_run_id, logged.status.value) == (run["id"], run["id"], "READY")
    assert version.tags["result_sha256"] == run["tags"]["result_sha256"]
    metrics = json.loads((registered.folder / "reports" / dataset / "metrics.json").read_text())["test"]
    found = {metric.key: metric for metric in logged.metrics}
    assert {name: found[f"test/{name}"].value for name in metrics} == metrics
    facts = json.loads((registered.folder / "models" / dataset / "model.json").read_text())["splits"]["test"]
    assert {(metric.dataset_name, metric.dataset_digest) for metric in found.values()} == {
        (f"{dataset} test", facts["md5"])
    }
    assert [output.model_id for output in client.get_run(run["id"]).outputs.model_outputs] == [logged.model_id]


def test_models_answer_without_this_repository(client, registered, tmp_path):
    """One process for both, because it takes most of its time to import MLflow."""
    folders = [str(registry.local(logged_model(client, dataset).artifact_location)) for dataset in DATASETS]
    rows = [rows_of(registered, dataset) for dataset in DATASETS]
    ended = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, json.dumps(dict(zip(folders, rows, strict=True)))],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    found = [json.loads(line) for line in ended.stdout.splitlines()]
    expected = [
        retrain.load(registered.folder / "models" / name).predict(rows[place]) for place, name in enumerate(DATASETS)
    ]
    assert [one["answers"] for one in found] == expected
    assert Path(found[0]["code"]).is_relative_to(Path(folders[0], "code"))


@pytest.mark.parametrize("dataset", DATASETS)
def test_files_of_a_version(client, dataset):
    folder = registry.local(logged_model(client, dataset).artifact_location)
    assert not list(folder.rglob("*.pkl"))
    names = {path.name for path in (folder / "artifacts").iterdir()}
    assert names == {"report.html", "MODEL_CARD.md", dataset}
    requirements = (folder / "requirements.txt").read_text().split()
    assert any(line.startswith("torch==") for line in requirements)
    assert not any("+" in line for line in requirements)
    assert (folder / "input_example.json").exists()


def test_alias_and_number_name_a_model(client, registered):
    champion = registry.folder_of("models:/tiny_news@champion")
    assert champion == registry.folder_of("models:/tiny_news/1")
    assert champion.is_relative_to(registered.folder / "mlruns")
    assert (champion / "model.json").read_bytes() == (registered.folder / "models/tiny_news/model.json").read_bytes()


@pytest.mark.parametrize(
    "uri",
    ["models:/tiny_news@other", "models:/tiny_news/7", "models:/nothing@champion", "models:/tiny_news", "models:/'@x"],
)
def test_unknown_names_are_told(client, uri):
    hint = "there are: models:/tiny_news@.*champion" if uri.startswith("models:/tiny_news") else "retrain promote"
    with pytest.raises(RetrainError, match=hint):
        registry.folder_of(uri)


def test_same_result_is_registered_once(client, registered):
    result = Result("tiny_news", registered.folder, ("train", "evaluate", "plot"))
    again = registry.register(client, result, runs.record(client, result))
    assert str(again.version) == "1"
    assert len(client.search_model_versions("name = 'tiny_news'")) == 1


def test_moved_store_finds_its_models(registered, tmp_path, monkeypatch, capsys):
    moved = registered.copy(tmp_path / "moved here")
    monkeypatch.chdir(moved.folder)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    assert registry.folder_of("models:/tiny_numbers@champion").is_relative_to(moved.folder / "mlruns")
    assert "was made under another root" in capsys.readouterr().err
