"""dvc.lock, what changed since it was written, and where earlier files are."""

from retrain import requirements
from retrain.errors import RetrainError
from retrain.pipeline import causes, dvc_cache, dvc_lock
from retrain.pipeline.dvc_cache import OutputFinder
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


def test_committed_results_need_no_network():
    lock = dvc_lock.read(REPOSITORY)
    assert {"diabetes", "docstrings"} <= set(lock.datasets())
    stages = lock.of(["diabetes"]).stages
    assert list(stages) == [f"{stage}@diabetes" for stage in ("prepare", "split", "train", "evaluate", "plot")]
    assert len(lock.of(["diabetes"]).outputs()) == 11


def test_missing_dvc_lock_is_empty(tmp_path):
    assert dvc_lock.read(tmp_path).outputs() == {}


@pytest.mark.parametrize("content", ["stages: [\n", "stages: 5\n", "stages: {a@b: {outs: [{path: x}]}}\n"])
def test_damaged_dvc_lock_is_one_line(tmp_path, content):
    (tmp_path / "dvc.lock").write_text(content)
    with pytest.raises(RetrainError, match=r"^dvc\.lock[^\n]*; restore it: git checkout dvc.lock$"):
        dvc_lock.read(tmp_path)


def test_differences_are_sentences(lock):
    then = lock({"split@tiny": SPLIT, "train@tiny": STAGE})
    edited = {
        **STAGE,
        "deps": [{**dep, "md5": f"{dep['md5']}x"} for dep in STAGE["deps"]],
        "cmd": "python3 src/train.py",
    }
    edited["params"] = {"params.yaml": {"datasets.tiny.train": {"threads": 2, "loop": {"epochs": 4, "seed": [1, 2]}}}}
    now = lock({"split@tiny": SPLIT, "train@tiny": edited})
    assert list(dvc_lock.stage_differences(then.stages["train@tiny"], now.stages["train@tiny"])) == [
        ("command", "its command changed"),
        ("parameters", "params.yaml: datasets.tiny.train.loop.epochs is 4, was 3"),
        ("parameters", "params.yaml: datasets.tiny.train.loop.seed is [1, 2], was 1"),
        ("parameters", "params.yaml: datasets.tiny.train.threads is 2, was 1"),
        ("inputs", "data/tiny/examples changed"),
        ("inputs", "requirements.lock changed"),
        ("inputs", "src/train.py changed"),
    ]
    inputs = [sentence for kind, sentence in causes.possible_causes(then, now, {}) if kind == "inputs"]
    assert inputs == ["requirements.lock changed", "src/train.py changed"]
    assert causes.possible_causes(then, then, {}) == []


def test_new_and_removed_entries_are_named(lock):
    then = lock({"train@tiny": STAGE}).stages["train@tiny"]
    now = lock({"train@tiny": {"cmd": STAGE["cmd"], "outs": [{"path": "more", "md5": "1"}]}}).stages["train@tiny"]
    found = [sentence for _, sentence in dvc_lock.stage_differences(then, now)]
    assert "params.yaml: datasets.tiny.train.threads is gone" in found
    assert "src/train.py is no longer among its dependencies" in found
    assert "more is new among its outputs" in found
    assert "params.yaml: datasets.tiny.train.threads is new" in [
        text for _, text in dvc_lock.stage_differences(now, then)
    ]


def test_installed_libraries_are_compared(lock):
    then = lock({"train@tiny": STAGE})
    (click,) = [line for line in (REPOSITORY / "requirements.lock").read_text().splitlines() if line[:7] == "click=="]
    older = "click==0.1 # via x\nnone-of-that==1\nnot-here==2 ; sys_platform == 'win32'\n"
    installed = click.split()[0].removeprefix("click==")
    assert causes.possible_causes(then, then, {"r1": older}) == [
        ("libraries", f"click was pinned to 0.1, {installed} is installed"),
        ("libraries", "none-of-that was pinned to 1, none is installed"),
    ]
    assert causes.possible_causes(then, then, {"r2": older}) == []


def test_installed_libraries_are_pinned():
    text = (REPOSITORY / "requirements.lock").read_text()
    pins = [line for line in text.splitlines() if "==" in line]
    assert len(requirements.PIN.findall(text)) == len(pins) > 100
    assert list(causes.other_libraries(text)) == []


def test_conflicts_of_a_merge_are_told(tmp_path):
    lines = ["schema: '2.0'", "<<<<<<< HEAD", "stages: {}", "=======", "stages: {a: {cmd: x}}", ">>>>>>> other"]
    (tmp_path / "dvc.lock").write_text("\n".join(lines) + "\n")
    with pytest.raises(RetrainError) as caught:
        dvc_lock.read(tmp_path)
    assert str(caught.value) == (
        "dvc.lock, line 2 has a merge conflict; "
        "docs/how-to/share.md has the commands that keep what both sides added, or one side"
    )


def test_machine_facts(lock, monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    training = {
        "params.yaml": {"datasets.tiny.train": {"threads": 2}, "defaults.train": {"device": "cpu", "threads": 1}}
    }
    found = causes.machine(lock({"train@tiny": {**STAGE, "params": training}}))
    assert ("training", "tiny: device cpu, threads 2") in found
    assert ("variables", "OPENBLAS_NUM_THREADS=3") in found
    assert {"python", "processor"} <= {subject for subject, _ in found}
    assert "gpu" not in {subject for subject, _ in found}


@pytest.mark.slow
def test_recorded_file_is_found_by_content(finished_project, tmp_path):
    folder = finished_project.folder
    out = dvc_lock.read(folder).outputs()
    cached, here = (
        OutputFinder(folder / ".dvc" / "cache" / "files" / "md5", ()),
        OutputFinder(tmp_path, (tmp_path / "elsewhere", folder)),
    )
    for path, digest in out.items():
        if digest.endswith(dvc_cache.FOLDER):
            files = dvc_cache.listing(folder / path)
            assert dvc_cache.folder_digest(files) == digest
            assert cached.listing(path, digest) == here.listing(path, digest) == files
            assert OutputFinder(tmp_path, ()).listing(path, digest) is None
        else:
            assert here.file(path, digest) == folder / path
            assert here.file(path, "0" * 32) is None
    digest = out["reports/tiny_sign/history.csv"]
    found = cached.file("reports/tiny_sign/history.csv", digest)
    assert found.read_bytes() == (folder / "reports/tiny_sign/history.csv").read_bytes()
