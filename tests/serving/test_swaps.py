"""The server changes to a new model: no request is lost, and each answer is that of one model."""

import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import retrain
from retrain.models.result import Result
from retrain.serving.watching import example_of
from retrain.tracking import registry, runs, store

import pytest
import requests
from safetensors.torch import load_file, save
from support.servers import wait
from support.service import model_that_answers, reweigh, serve

TEXTS = ["the ship and the harbour", "a cow near the barn", "the tram over the bridge"]


@pytest.fixture
def folder(tmp_path):
    return model_that_answers(tmp_path / "boats")


def shown(service) -> str:
    return requests.get(f"{service.url}/health", timeout=9).json()["sha256"]


def test_no_request_is_lost(folder, tmp_path):
    expected = {retrain.load(folder).sha256[:12]: retrain.load(folder).predict(TEXTS)}
    answers: list[tuple[str, list]] = []
    done = threading.Event()

    def ask(number: int) -> None:
        with requests.Session() as session:
            while not done.is_set():
                rows = TEXTS * (100 if number == 0 else 1)
                answer = session.post(f"{service.url}/invocations", json={"inputs": rows}, timeout=60)
                assert answer.status_code == 200, answer.text
                answers.append((answer.headers["model-sha256"], answer.json()["predictions"]))

    def all_have_answered() -> bool:
        return {sha256 for sha256, _ in list(answers)} == {*expected}

    with serve(tmp_path / "log", str(folder)) as service, ThreadPoolExecutor(6) as pool:
        asking = [pool.submit(ask, number) for number in range(6)]
        try:
            wait(all_have_answered, 0.05)
            for seed in (2, 3, 4):
                reweigh(folder, seed)
                model = retrain.load(folder)
                expected[model.sha256[:12]] = model.predict(TEXTS)
                wait(all_have_answered, 0.05)
        finally:
            done.set()
        for one in asking:
            one.result()
    assert len(answers) > 100
    assert all(expected[sha256] * (len(given) // 3) == given for sha256, given in answers)
    assert service.log().count("changed from model") == 3


def test_a_broken_model_changes_nothing(folder, tmp_path):
    model, weights = retrain.load(folder), folder / "model.safetensors"
    whole = weights.read_bytes()
    endless = {name: tensor * float("nan") for name, tensor in load_file(weights).items()}
    with serve(tmp_path / "log", str(folder)) as service:
        for count, content in enumerate([whole[:-8], save(endless)], start=1):
            weights.write_bytes(content)
            wait(lambda count=count: service.log().count("is not used") == count, 0.05)
            failed = f'changes_total{{result="failed"}} {count}\n'
            assert failed in requests.get(f"{service.url}/metrics", timeout=9).text
        weights.unlink()
        assert service.post(json.dumps({"inputs": TEXTS}).encode()).json()["predictions"] == model.predict(TEXTS)
        weights.write_bytes(whole)
        reweigh(folder, 5)
        new = retrain.load(folder).sha256
        wait(lambda: new.startswith(shown(service)), 0.05)


def test_a_new_kind_of_model(folder, tmp_path):
    with serve(tmp_path / "log", str(folder)) as service:
        other = model_that_answers(tmp_path / "other", "numbers", "regression")
        for name in ("model.json", "model.safetensors"):
            shutil.copy(other / name, folder / name)
        new = retrain.load(other)
        wait(lambda: new.sha256.startswith(shown(service)), 0.05)
        rows = [{"a": 1.0, "b": 2.0}]
        assert service.post(json.dumps({"inputs": rows}).encode()).json()["predictions"] == new.predict(rows)


@pytest.mark.slow  # it needs the finished project
def test_another_champion(finished_project, tmp_path, monkeypatch):
    project = finished_project.copy(tmp_path / "finished")
    monkeypatch.chdir(project.folder)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    client, models, versions = store.connect(), [], []
    folder = project.folder / "models" / "tiny_numbers"
    for seed in (1, 2):
        reweigh(folder, seed)
        models.append(retrain.load(folder))
        result = Result("tiny_numbers", project.folder, ("train", "evaluate", "plot"))
        versions.append(registry.register(client, result, runs.record(client, result)))
    registry.point(client, "tiny_numbers", {"champion": versions[0]})
    with serve(project.folder / "serve.log", "models:/tiny_numbers@champion") as service:
        assert models[0].sha256.startswith(shown(service))
        registry.point(client, "tiny_numbers", {"champion": versions[1]})
        wait(lambda: models[1].sha256.startswith(shown(service)), 0.05)
        row = example_of(models[1])
        answer = service.post(json.dumps({"inputs": [row]}).encode()).json()
        assert answer == {"predictions": models[1].predict([row])}
