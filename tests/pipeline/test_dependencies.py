"""DVC re-runs a stage when, and only when, something changed that can change its result."""

from retrain import params
from retrain.pipeline.dependencies import CANNOT_CHANGE_RESULTS, CHOSEN_BY, READ_BY_NO_CODE

import pytest
from dvc.repo import Repo
from ruamel.yaml import YAML
from support.imports import SRC, modules, own
from support.project import REPOSITORY

DATASETS = sorted(params.datasets(REPOSITORY))


@pytest.fixture(scope="module")
def dvc_stages():
    with Repo(str(REPOSITORY)) as repo:
        return {stage.addressing: [dependency.def_path for dependency in stage.deps] for stage in repo.index.stages}


def closure(stage: str, dataset: str) -> set[str]:
    """The modules that a stage imports for a dataset and that can change its result."""
    block = params.datasets(REPOSITORY)[dataset]
    found: set[str] = set()
    waiting = [stage]
    while waiting:
        module = waiting.pop()
        if module in found or module in CANNOT_CHANGE_RESULTS:
            continue
        found.add(module)
        waiting.extend(own(modules()[module]))
        if module in CHOSEN_BY:
            value = block
            for parameter in CHOSEN_BY[module]:
                value = value[parameter]
            waiting.append(f"{module}.{value}")
    return found


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("stage", params.STAGES)
def test_a_stage_depends_on_every_module_that_can_change_its_result_and_on_no_other(dvc_stages, stage, dataset):
    needed = {str(modules()[module].relative_to(SRC.parent)) for module in closure(stage, dataset)}
    listed = {path for path in dvc_stages[f"{stage}@{dataset}"] if path.startswith("src/")}
    missing = "\n".join(f"        - {path}" for path in sorted(needed - listed))
    assert needed <= listed, (
        f"add these lines to the deps of '{stage}' in dvc.yaml (with ${{...}} where chosen):\n{missing}"
    )
    assert listed <= needed, f"{stage} does not import {sorted(listed - needed)}: take them out of its deps in dvc.yaml"


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_stage_depends_on_the_locked_environment_and_not_on_the_tools(dvc_stages, dataset):
    for stage in params.STAGES:
        paths = dvc_stages[f"{stage}@{dataset}"]
        assert "requirements.lock" in paths
        assert "requirements-dev.lock" not in paths


def test_what_cannot_change_results_is_short_and_exists():
    assert set(CANNOT_CHANGE_RESULTS) <= set(modules())
    assert len(CANNOT_CHANGE_RESULTS) == 8


def test_what_no_code_reads_is_short_and_declared():
    stages = YAML(typ="safe").load((REPOSITORY / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    for stage, line in READ_BY_NO_CODE:
        assert line in stages[stage]["do"]["deps"]
    assert len(READ_BY_NO_CODE) == 6


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_dataset_has_its_plots_and_its_artifact(dataset):
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


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_dataset_has_a_data_card(dataset):
    card = (REPOSITORY / "data" / "raw" / dataset / "README.md").read_text(encoding="utf-8")
    for word in ("Origin", "Licence", "Columns"):
        assert word in card, f"data/raw/{dataset}/README.md says nothing of its {word.lower()}"
