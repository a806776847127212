"""DVC re-runs a stage when something changed that can change its result, and only then."""

from pathlib import Path

from retrain import cli, params
from retrain.pipeline.dependencies import CANNOT_CHANGE_RESULTS, READ_BY_NO_CODE

import pytest
from dvc.repo import Repo
from ruamel.yaml import YAML
from support.imports import SRC, modules, own
from support.project import REPOSITORY, SHIPPED

DATASETS = sorted(params.datasets(REPOSITORY))


@pytest.fixture(scope="module")
def dvc_stages() -> dict[str, set[str]]:
    """The declared dependencies of each stage, with the files of a package instead of its folder."""

    def files(path: str) -> set[str]:
        folder = REPOSITORY / path
        if not path.startswith("src/") or not folder.is_dir():
            return {path}
        return {str(file.relative_to(REPOSITORY)) for file in folder.glob("*.py") if file.stat().st_size}

    with Repo(str(REPOSITORY)) as repo:
        return {
            stage.addressing: set().union(*(files(dependency.def_path) for dependency in stage.deps))
            for stage in repo.index.stages
        }


def needed(stage: str, dataset: str) -> set[str]:
    """The files that a stage imports for a dataset and that can change its result; an empty one can't."""
    block = params.datasets(REPOSITORY)[dataset]
    chosen = {package: f"{package}.{params.value_at(block, path)}" for path, package in params.CHOICES.items()}
    found: dict[str, Path] = {}
    waiting = [stage]
    while waiting:
        module = waiting.pop()
        if module in found or module in CANNOT_CHANGE_RESULTS:
            continue
        found[module] = modules()[module]
        waiting += [*own(found[module]), *([chosen[module]] if module in chosen else [])]
    return {str(path.relative_to(SRC.parent)) for path in found.values() if path.stat().st_size}


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("stage", params.STAGES)
def test_stage_declares_what_it_imports(dvc_stages, stage, dataset):
    missing = sorted(needed(stage, dataset) - dvc_stages[f"{stage}@{dataset}"])
    lines = "\n".join(f"        - {path}" for path in missing)
    assert not missing, f"add these lines to the deps of '{stage}' in dvc.yaml (with ${{...}} where chosen):\n{lines}"


@pytest.mark.parametrize("stage", params.STAGES)
def test_stage_imports_what_it_declares(dvc_stages, stage):
    listed = {path for name in DATASETS for path in dvc_stages[f"{stage}@{name}"] if path.endswith(".py")}
    unused = sorted(listed - set().union(*(needed(stage, name) for name in DATASETS)))
    assert not unused, f"remove from the deps of '{stage}' in dvc.yaml: {unused}"


@pytest.mark.parametrize("dataset", DATASETS)
def test_stage_depends_on_requirements_lock(dvc_stages, dataset):
    for stage in params.STAGES:
        paths = dvc_stages[f"{stage}@{dataset}"]
        assert "requirements.lock" in paths
        assert "requirements-dev.lock" not in paths


@pytest.mark.parametrize("stage", params.STAGES)
def test_stage_notices_changes_of_all_data_that_it_declares(dvc_stages, stage):
    declared = {path for path in dvc_stages[f"{stage}@diabetes"] if path.startswith(("data/", "models/", "reports/"))}
    assert declared == {path.format("diabetes") for path in cli.READS[stage]}


def test_modules_that_cannot_change_results_exist():
    assert set(CANNOT_CHANGE_RESULTS) <= set(modules())


def test_what_no_code_reads_is_declared():
    stages = YAML(typ="safe").load((REPOSITORY / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    for stage, line in READ_BY_NO_CODE:
        assert line in stages[stage]["do"]["deps"]


@pytest.mark.parametrize("dataset", SHIPPED)
def test_dataset_has_plots_and_artifact(dataset):
    content = YAML(typ="safe").load((REPOSITORY / "dvc.yaml").read_text(encoding="utf-8"))
    plotted = {file for entry in content["plots"] for plot in entry.values() for file in plot["y"]}
    for file in ("history.csv", "predictions.csv"):
        lines = f"""
  - {dataset} loss:
      x: epoch
      y:
        reports/{dataset}/history.csv: [train_loss, validation_loss]
  - {dataset} predicted:
      template: confusion_normalized
      x: predicted
      y:
        reports/{dataset}/predictions.csv: target"""
        assert f"reports/{dataset}/{file}" in plotted, f"add these lines to 'plots' in dvc.yaml:{lines}"
    artifacts = {artifact["path"]: artifact for artifact in content["artifacts"].values()}
    name = dataset.replace("_", "-")
    lines = f"\n  {name}:\n    path: models/{dataset}\n    type: model\n    desc: What goes in -> what comes out."
    assert f"models/{dataset}" in artifacts, f"add these lines to 'artifacts' in dvc.yaml:{lines}"
    assert artifacts[f"models/{dataset}"]["desc"]


@pytest.mark.parametrize("dataset", SHIPPED)
def test_dataset_has_data_card(dataset):
    card = (REPOSITORY / "data" / "raw" / dataset / "README.md").read_text(encoding="utf-8")
    for word in ("Origin", "Licence", "Columns"):
        assert word in card, f"data/raw/{dataset}/README.md says nothing of its {word.lower()}"
