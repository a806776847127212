"""The server changes to a new model: no request is lost, and each answer is that of one model."""

import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import retrain

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


def test_a_broken_model_changes_nothing_and_a_new_kind_of_model_answers(folder, tmp_path):
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
        other = model_that_answers(tmp_path / "other", "numbers", "regression")
        for name in ("model.json", "model.safetensors"):
            shutil.copy(other / name, folder / name)
        new_kind, rows = retrain.load(other), [{"a": 1.0, "b": 2.0}]
        wait(lambda: new_kind.sha256.startswith(shown(service)), 0.05)
        assert service.post(json.dumps({"inputs": rows}).encode()).json()["predictions"] == new_kind.predict(rows)
