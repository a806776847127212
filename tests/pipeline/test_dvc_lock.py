"""What dvc.lock promises, what has changed since, and where earlier files still lie."""

from retrain.errors import RetrainError
from retrain.pipeline import causes, dvc_cache, dvc_lock
from retrain.pipeline.dvc_cache import Kept
from retrain.pipeline.dvc_lock import Lock

import pytest
from ruamel.yaml import YAML
from support.project import REPOSITORY

STAGE = {
    "cmd": "python3 src/train.py --dataset tiny",
    "deps": [
        {"path": "requirements.lock", "hash": "md5", "md5": "r1", "size": 1},
        {"path": "src/train.py", "hash": "md5", "md5": "t1", "size": 1},
        {"path": "data/tiny/examples", "hash": "md5", "md5": "e1.dir", "size": 1, "nfiles": 2},
    ],
    "params": {"params.yaml": {"datasets.tiny.train": {"threads": 1, "loop": {"epochs": 3, "seed": 1}}}},
    "outs": [{"path": "models/tiny", "hash": "md5", "md5": "m1.dir", "size": 1, "nfiles": 2}],
}
SPLIT = {"cmd": "x", "outs": [{"path": "data/tiny/examples", "hash": "md5", "md5": "e1.dir"}]}


@pytest.fixture
def lock(tmp_path):
    """Reads a dvc.lock of these stages."""

    def read(stages: dict) -> Lock:
        with (tmp_path / "dvc.lock").open("w") as file:
            YAML(typ="safe").dump({"schema": "2.0", "stages": stages}, file)
        return dvc_lock.read(tmp_path)

    return read


def test_the_committed_results_are_of_the_datasets_that_need_no_network():
    lock = dvc_lock.read(REPOSITORY)
    assert sorted(lock.datasets()) == ["diabetes", "docstrings"]
    stages = lock.of(["diabetes"]).stages
    assert list(stages) == [f"{stage}@diabetes" for stage in ("prepare", "split", "train", "evaluate", "plot")]
    assert len(lock.of(["diabetes"]).outputs()) == 10


def test_without_a_dvc_lock_nothing_is_promised(tmp_path):
    assert dvc_lock.read(tmp_path).outputs() == {}


@pytest.mark.parametrize("content", ["<<<<<<< HEAD\n", "stages: 5\n", "stages: {a@b: {outs: [{path: x}]}}\n"])
def test_a_damaged_dvc_lock_is_one_line(tmp_path, content):
    (tmp_path / "dvc.lock").write_text(content)
    with pytest.raises(RetrainError, match=r"^dvc\.lock[^\n]*; restore it from an earlier commit$"):
        dvc_lock.read(tmp_path)


def test_what_has_changed_is_named_but_not_what_a_stage_made(lock):
    then = lock({"split@tiny": SPLIT, "train@tiny": STAGE})
    edited = {**STAGE, "deps": [{**dep, "md5": f"{dep['md5']}x"} for dep in STAGE["deps"]]}
    edited["params"] = {"params.yaml": {"datasets.tiny.train": {"threads": 2, "loop": {"epochs": 4, "seed": 1}}}}
    now = lock({"split@tiny": SPLIT, "train@tiny": edited})
    assert dvc_lock.changed_files(then, now) == ["requirements.lock", "src/train.py"]
    assert dvc_lock.changed_parameters(then, now) == [
        "datasets.tiny.train.loop.epochs: 3 → 4",
        "datasets.tiny.train.threads: 1 → 2",
    ]
    assert dvc_lock.changed_files(then, then) == dvc_lock.changed_parameters(then, then) == []


def test_libraries_are_compared_with_those_that_the_results_were_made_with(lock):
    then = lock({"train@tiny": STAGE})
    (click,) = [line for line in (REPOSITORY / "requirements.lock").read_text().splitlines() if line[:7] == "click=="]
    older = "click==0.1 # via x\nnone-of-that==1\nnot-here==2 ; sys_platform == 'win32'\n"
    installed = click.split()[0].removeprefix("click==")
    assert causes.differences(then, then, {"r1": older}) == [
        ("libraries", f"click was pinned to 0.1, {installed} is installed"),
        ("libraries", "none-of-that was pinned to 1, none is installed"),
    ]
    assert causes.differences(then, then, {"r2": older}) == []


def test_the_pinned_libraries_are_the_installed_ones():
    text = (REPOSITORY / "requirements.lock").read_text()
    pins = [line for line in text.splitlines() if "==" in line]
    assert len(causes.PIN.findall(text)) == len(pins) > 100
    assert list(causes.other_libraries(text)) == []


def test_the_circumstances_tell_of_processor_threads_device_and_variables(lock, monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    training = {"params.yaml": {"datasets.tiny.train": {"device": "cpu", "threads": 2}}}
    found = causes.circumstances(lock({"train@tiny": {**STAGE, "params": training}}))
    assert ("training", "tiny: device cpu, threads 2") in found
    assert ("variables", "OPENBLAS_NUM_THREADS=3") in found
    assert {"python", "processor"} <= {subject for subject, _ in found}
    assert "gpu" not in {subject for subject, _ in found}


@pytest.mark.slow
def test_an_earlier_file_is_found_by_its_content_in_the_cache_and_in_the_workspace(finished_project, tmp_path):
    folder = finished_project.folder
    out = dvc_lock.read(folder).outputs()
    cached, here = Kept(folder / ".dvc" / "cache", ()), Kept(tmp_path, (tmp_path / "elsewhere", folder))
    for path, digest in out.items():
        if digest.endswith(dvc_cache.FOLDER):
            files = dvc_cache.listing(folder / path)
            assert dvc_cache.folder_digest(files) == digest
            assert cached.listing(path, digest) == here.listing(path, digest) == files
            assert Kept(tmp_path, ()).listing(path, digest) is None
        else:
            assert here.file(path, digest) == folder / path
            assert here.file(path, "0" * 32) is None
    digest = out["reports/tiny_sign/history.csv"]
    found = cached.file("reports/tiny_sign/history.csv", digest)
    assert found.read_bytes() == (folder / "reports/tiny_sign/history.csv").read_bytes()
