"""Damaged files of DVC's, met by DVC: it says what is wrong, and what a stage made can be had again."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.damage import Damage, changed, parameter_changed, written
from support.damage.outputs import good
from support.project import Project

TARGET = "plot@tiny_news"


def replaced(name: str, old: str, new: str) -> Damage:
    """A file with a text in it replaced, which must be there."""

    def change(content: bytes) -> bytes:
        assert old.encode() in content
        return content.replace(old.encode(), new.encode())

    return changed(name, change)


SPLIT = ("tiny_news", "split", "encoder", "name")
DAMAGES: dict[str, Damage] = {
    "dvc.yaml: empty": written("dvc.yaml", b""),
    "dvc.yaml: cut off": changed("dvc.yaml", lambda content: content[: len(content) // 2]),
    "dvc.yaml: a tab": replaced("dvc.yaml", "  prepare:", "\tprepare:"),
    "dvc.yaml: Latin-1": changed("dvc.yaml", lambda content: content + b"# caf\xe9\n"),
    "dvc.yaml: NUL": changed("dvc.yaml", lambda content: content + b"\x00"),
    "dvc.yaml: random": written("dvc.yaml", bytes(range(256))),
    "dvc.yaml: brackets": written("dvc.yaml", b"[" * 500),
    "dvc.yaml: a list": written("dvc.yaml", b"- stages\n"),
    "dvc.yaml: a stage that is text": written("dvc.yaml", b"stages: {prepare: text}\n"),
    "dvc.yaml: no command": replaced("dvc.yaml", "      cmd: python3 src/prepare.py --dataset ${key}\n", ""),
    "dvc.yaml: another key": replaced("dvc.yaml", "      deps:", "      dependencies:"),
    "dvc.yaml: a parameter that there is not": replaced("dvc.yaml", "${item.split.encoder.name}", "${item.split.encoder.nam}"),
    "dvc.yaml: datasets that there are not": replaced("dvc.yaml", "foreach: ${datasets}", "foreach: ${dataset}"),
    "dvc.yaml: a file that there is not": replaced("dvc.yaml", "src/retrain/data/tables.py", "src/retrain/table.py"),
    "dvc.yaml: an output twice": replaced("dvc.yaml", "data/${key}/splits\n        - data", "data/${key}/prepared\n        - data"),
    "dvc.yaml: an output outside": replaced("dvc.yaml", "data/${key}/prepared\n\n", "../prepared\n\n"),
    "params.yaml: no datasets": written("params.yaml", b"datasets: {}\n"),
    "params.yaml: a path as encoder": parameter_changed(SPLIT, "../../x"),
    "params.yaml: nothing as encoder": parameter_changed(SPLIT, None),
    "params.yaml: a list as encoder": parameter_changed(SPLIT, ["text"]),
    "params.yaml: a number as network": parameter_changed(("tiny_news", "train", "network", "name"), 10**30),
    "params.yaml: no network": parameter_changed(("tiny_news", "train", "network"), {}),
    "params.yaml: no section": parameter_changed(("tiny_news", "split"), None),
    "dvc.lock: cut off": changed("dvc.lock", lambda content: content[: len(content) // 3]),
    "dvc.lock: a list": written("dvc.lock", b"- 1\n"),
    "dvc.lock: another schema": replaced("dvc.lock", "schema: '2.0'", "schema: '99.0'"),
    "dvc.lock: random": written("dvc.lock", bytes(range(256))),
}  # fmt: skip
"""What DVC refuses, or, where only dvc.lock is damaged, makes good."""
RECOVERED: dict[str, Callable[[Path], None]] = {
    "a table": changed("data/tiny_news/prepared/rows.parquet", lambda content: content[:100]),
    "an array": changed("data/tiny_news/examples/train/tokens.npy", lambda content: content[:-4] + b"\xff" * 4),
    "a model": changed("models/tiny_news/model.safetensors", lambda content: content[:-1] + b"\x00"),
    "a description": written("models/tiny_news/model.json", b"{}"),
    "a report": written("reports/tiny_news/predictions.csv", b"target\n"),
    "a picture": written("reports/tiny_news/plots/loss.png", b""),
}
"""Damaged outputs, which `dvc repro` makes again."""


@pytest.mark.campaign
@pytest.mark.timeout(7200)
def test_checkout_undoes_damage(finished_project: Project, tmp_path):
    """DVC removes the outputs of a stage that it is about to run, and may only then see that it can't."""
    refused, failures = 0, []
    for what, damage in DAMAGES.items():
        project = finished_project.copy(tmp_path / "project")
        before = good(project.folder)
        damage(project.folder)
        ended = project.run("dvc", "repro", TARGET)
        refused += ended.returncode != 0
        assert project.run("git", "checkout", "--", ".").returncode == 0
        project.dvc("checkout")
        if "Traceback" in ended.said or good(project.folder) != before:
            failures.append(f"{what}: {ended.returncode} {ended.said[-500:]}")
        shutil.rmtree(project.folder)
    print(f"damaged files of DVC's: inputs tried {len(DAMAGES)} (refused {refused}), failures {len(failures)}")
    assert not failures, "\n".join(failures)


@pytest.mark.campaign
@pytest.mark.timeout(7200)
def test_damaged_output_is_made_again(finished_project: Project, tmp_path):
    failures = []
    for what, damage in RECOVERED.items():
        project = finished_project.copy(tmp_path / "project")
        before = good(project.folder)
        damage(project.folder)
        ended = project.run("dvc", "repro", TARGET)
        if ended.returncode or good(project.folder) != before:
            failures.append(f"{what}: {ended.returncode} {ended.said[-500:]}")
        shutil.rmtree(project.folder)
    print(f"damaged outputs that dvc repro makes again: inputs tried {len(RECOVERED)}, failures {len(failures)}")
    assert not failures, "\n".join(failures)
