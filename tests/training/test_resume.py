"""An interrupted training continues, and ends with the same bytes."""

import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir
from io import BytesIO
from itertools import count, cycle, islice
from pathlib import Path
from typing import Any

import prepare
import split
import train
from retrain import processes, schema
from retrain.errors import RetrainError
from retrain.models import weights
from retrain.tracking import recording
from retrain.training import checkpoint, loop, resume, setup
from retrain.training.checkpoint import Checkpoint, DamagedError
from retrain.training.setup import Training

import psutil
import pytest
import torch
from click.testing import CliRunner, Result
from support.project import BAG, MLP, REPOSITORY, Project, tiny_datasets, write_tiny_tables

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {"momentum": 0.9, "weight_decay": 0.01},
    "adamw": {"beta1": 0.9, "beta2": 0.999, "weight_decay": 0.01},
    "adagrad": {"weight_decay": 0.0},
    "rowwise_adagrad": {},
    "adamw_rowwise": {"beta1": 0.9, "beta2": 0.99, "weight_decay": 0.01, "sparse_learning_rate": 0.1},
}
SCHEDULES: dict[str, dict[str, Any]] = {"constant": {}, "linear": {}, "cosine": {}, "steps": {"count": 3, "gamma": 0.5}}
NGRAMS = {"name": "ngram_bag", "scale": 16.0, "sparse": True}
NETWORKS: dict[str, dict[str, Any]] = {
    "tiny_news": {**BAG, "sparse": False, "dropout": 0.3},
    "tiny_numbers": {**MLP, "dropout": 0.3},
    "tiny_ngrams": NGRAMS,
}
SPARSE = {
    "sgd": {"momentum": 0.0, "weight_decay": 0.0},
    **{name: OPTIMIZERS[name] for name in ("adagrad", "rowwise_adagrad", "adamw_rowwise")},
}
"""Optimizers with parameters that take the sparse gradients of `ngram_bag`."""
COMBINATIONS = [
    (dataset, {"name": optimizer, **parameters}, {"name": schedule, **SCHEDULES[schedule]})
    for dataset in NETWORKS
    for optimizer, parameters in (SPARSE if dataset == "tiny_ngrams" else OPTIMIZERS).items()
    for schedule in SCHEDULES
]
IDENTITY = {
    "parameters": {"loop": {"epochs": 3}},
    "data": "0" * 64,
    "code": {"train.py": "1"},
    "libraries": {"torch": "2"},
}


def datasets() -> dict[str, Any]:
    """The tiny datasets, and the news once more as ngrams: with sparse gradients, as text is committed in params.yaml."""
    news = tiny_datasets()["tiny_news"]
    prepare_section = {**news["prepare"], "train": {"location": "data/raw/tiny_ngrams/rows.csv", "sha256": "unpinned"}}
    split = {
        **news["split"],
        "encoder": {"name": "ngrams", "minimum_count": 1, "min_log_ratio": 0.1, "hash_bits": 12, "char_ngrams": 3},
    }
    return {**tiny_datasets(), "tiny_ngrams": {**news, "prepare": prepare_section, "split": split}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny datasets, split."""
    folder = tmp_path_factory.mktemp("resume")
    (folder / ".git").mkdir()
    write_tiny_tables(folder)
    shutil.copytree(folder / "data" / "raw" / "tiny_news", folder / "data" / "raw" / "tiny_ngrams")
    Project(folder).write_params({"datasets": datasets()})
    with chdir(folder):
        for dataset in NETWORKS:
            for stage in (prepare, split):
                assert CliRunner().invoke(stage.main, ["--dataset", dataset]).exit_code == 0
    return folder


def ready(folder: Path, dataset: str, **section: Any) -> Training:
    """A training of a tiny dataset at its start."""
    parameters = {**datasets()[dataset]["train"], "network": NETWORKS[dataset], **section}
    data = setup.read_data(folder / "data" / dataset / "examples")
    return setup.build(schema.check(parameters, setup.Train, "train"), data, "train")


def advance(training: Training, batches: int) -> None:
    """Train until the loop has yielded some times, or until the training is over."""
    data = training.data
    steps = loop.train_epochs(training.state, data.train, data.validation, training.config)
    for epoch in islice(steps, batches):
        if epoch:
            train.finish_epoch(training, epoch)
        if training.is_over:
            return


def bytes_of(training: Training, folder: Path) -> tuple[bytes, list[dict[str, float]]]:
    """The weights and the history of a finished training."""
    weights.save_weights(folder / "weights", training.history.best.weights, "float32", "train")
    return (folder / "weights").read_bytes(), training.history.rows


def carried_over(state: dict[str, Any]) -> dict[str, Any]:
    """A state as another process gets it."""
    file = BytesIO()
    torch.save(state, file)
    return torch.load(BytesIO(file.getvalue()), weights_only=True)


def loop_of(**parameters: Any) -> dict[str, Any]:
    """A section of the loop's parameters, four epochs unless others are given."""
    loop = tiny_datasets()["tiny_numbers"]["train"]["loop"]
    return {**loop, "learning_rate": 0.05, "patience": 2, "epochs": 4, **parameters}


def whole_training(folder: Path, dataset: str, **section: Any) -> Training:
    """A training that nothing stops."""
    training = ready(folder, dataset, **section)
    advance(training, 10**6)
    return training


def stopped_training(folder: Path, dataset: str, strides: Iterator[int], **section: Any) -> Training:
    """A training that stops again and again, after the given numbers of batches, and continues from its state alone."""
    training = ready(folder, dataset, **section)
    first = training.state.optimizer.param_groups[0]["lr"]
    while not training.is_over:
        advance(training, next(strides))
        state = carried_over(training.state_dict())
        training = ready(folder, dataset, **section)
        assert training.state.optimizer.param_groups[0]["lr"] == first
        training.load_state_dict(state)
    return training


def strides_of(*about: str) -> Iterator[int]:
    """Numbers of batches, from one to more than an epoch has, others for each combination."""
    draw = random.Random(" ".join(about))
    return (draw.randint(1, 20) for _ in count())


@pytest.mark.parametrize(
    ("dataset", "optimizer", "schedule"),
    COMBINATIONS,
    ids=lambda part: part if isinstance(part, str) else part["name"],
)
def test_resume_gives_same_bytes(folder, tmp_path, dataset, optimizer, schedule):
    section = {"optimizer": optimizer, "schedule": schedule, "loop": loop_of(epochs=2)}
    whole = whole_training(folder, dataset, **section)
    strides = strides_of(dataset, optimizer["name"], schedule["name"])
    stopped = stopped_training(folder, dataset, strides, **section)
    assert bytes_of(stopped, tmp_path) == bytes_of(whole, tmp_path)
    assert len(whole.history.rows) > 1


@pytest.mark.parametrize("dataset", ["tiny_numbers", "tiny_ngrams"])
def test_resume_after_every_batch(folder, tmp_path, dataset):
    section = {"optimizer": {"name": "rowwise_adagrad"}, "loop": loop_of(epochs=2)}
    whole = whole_training(folder, dataset, **section)
    # A validation is begun anew: it has up to five batches, and no stop would let it end.
    strides = cycle([*[1] * 15, 6])
    stopped = stopped_training(folder, dataset, strides, **section)
    assert bytes_of(stopped, tmp_path) == bytes_of(whole, tmp_path)


@pytest.mark.parametrize("dataset", NETWORKS)
def test_resume_keeps_patience(folder, tmp_path, dataset):
    section = {"optimizer": {"name": "rowwise_adagrad"}, "loop": loop_of(epochs=20, learning_rate=2.0)}
    if dataset == "tiny_ngrams":  # without smoothing, the loss of a linear model falls until the end
        section["loss"] = {"name": "cross_entropy", "label_smoothing": 0.2, "class_weights": "none"}
    whole = whole_training(folder, dataset, **section)
    stopped = stopped_training(folder, dataset, strides_of(dataset), **section)
    assert bytes_of(stopped, tmp_path) == bytes_of(whole, tmp_path)
    assert len(stopped.history.rows) == whole.history.best.epoch + 2 < 20


def test_dropout_changes_history(folder):
    """Else the test above would show nothing of it."""
    rows = []
    for share in (0.0, 0.3):
        training = whole_training(folder, "tiny_numbers", network={**MLP, "dropout": share})
        rows.append(training.history.rows)
    assert rows[0] != rows[1]


def test_checkpoint_loads_last_save(tmp_path):
    kept = Checkpoint(tmp_path / "a.checkpoint", IDENTITY, ())
    assert kept.load() is None
    for epoch in (1, 2):
        kept.save({"epoch": epoch, "weights": torch.arange(3) * epoch, "scores": [float("-inf"), 0.1]})
    state = kept.load()
    assert (state["epoch"], state["weights"].tolist(), state["scores"]) == (2, [0, 2, 4], [float("-inf"), 0.1])
    assert [path.name for path in tmp_path.iterdir()] == ["a.checkpoint"]


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir, os.mkfifo])
def test_draft_replaces_leftovers(tmp_path, make):
    kept = Checkpoint(tmp_path / "a.checkpoint", IDENTITY, ())
    make(kept.draft)
    kept.save({"epoch": 1})
    assert kept.load() == {"epoch": 1}
    assert list(tmp_path.iterdir()) == [kept.path]


@pytest.mark.parametrize("where", [0, 0.001, 0.3, 0.6, 0.999])
@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_damaged_checkpoint_is_refused(tmp_path, where, damage):
    kept = Checkpoint(tmp_path / "a.checkpoint", IDENTITY, ())
    kept.save({"weights": torch.zeros(1000)})
    content = bytearray(kept.path.read_bytes())
    position = int(where * len(content))
    content = content[:position] if damage == "cut" else content[:position] + b"?" + content[position + 1 :]
    kept.path.write_bytes(content)
    with pytest.raises(DamagedError, match=r"^is damaged$"):
        kept.load()


def test_foreign_checkpoint_is_refused(tmp_path):
    Checkpoint(tmp_path / "a.checkpoint", {**IDENTITY, "data": "2"}, ()).save({"epoch": 1})
    with pytest.raises(DamagedError, match="belongs to a different training"):
        Checkpoint(tmp_path / "a.checkpoint", IDENTITY, ()).load()


def left(folder: Path, identity: dict[str, Any]) -> Checkpoint:
    """A checkpoint that a killed process left."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = Checkpoint(folder / f"tiny-{checkpoint.digest(identity)[:16]}.checkpoint", identity, ())
    kept.save({"epoch": 1})
    for suffix in (".lock", ".owner", ".draft"):
        kept.path.with_suffix(suffix).touch()
    return kept


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"parameters": {"loop": {"epochs": 4}}}, "with different parameters (loop.epochs)"),
        ({"data": "1" * 64}, "with different data"),
        ({"code": {"train.py": "2", "loop.py": "1"}}, "with different code (train.py, loop.py)"),
        ({"libraries": {"torch": "3"}}, "with different libraries (torch)"),
    ],
)
def test_different_training_is_reported(tmp_path, other, reason):
    folder = tmp_path / ".retrain" / "checkpoints"
    abandoned = left(folder, {**IDENTITY, **other})
    printed: list[str] = []
    with checkpoint.open_checkpoint(tmp_path, "tiny", IDENTITY, processes.parent_processes(), printed.append) as kept:
        assert kept.load() is None
    assert printed == [f"an unfinished training {reason} is not continued"]
    assert {path.name for path in folder.iterdir()} == {"lock", abandoned.path.name, f"{abandoned.path.stem}.told"}
    with checkpoint.open_checkpoint(tmp_path, "tiny", IDENTITY, processes.parent_processes(), printed.append):
        assert len(printed) == 1  # a second start does not repeat it


def test_interrupt_before_the_first_save(tmp_path):
    printed: list[str] = []
    with (
        pytest.raises(SystemExit) as ended,
        checkpoint.open_checkpoint(tmp_path, "tiny", IDENTITY, processes.parent_processes(), printed.append),
    ):
        raise KeyboardInterrupt
    assert ended.value.code == 130
    assert printed == ["interrupted; nothing was saved yet. To start again, run: python3 src/train.py --dataset tiny"]


NUMPY = "Metadata-Version: 2.1\nName: numpy\nVersion: 0.0.1\n"


TRAININGS = """
import os, sys
sys.path.insert(0, "src")
from retrain import environment
environment.pin_cpu(1)
import train
from retrain.training import loop, setup

for line in sys.stdin:
    if not (child := os.fork()):
        os.dup2(1, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.path[:0] = line.split()
        train.main(["--dataset", "tiny_numbers"])
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Trains once for each line, which names folders with other libraries, in a copy of a process that has loaded what it needs."""


@pytest.mark.slow
def test_different_training_starts_anew(pair, tmp_path):
    reports, loop_file = (pair.folder / name for name in ("reports/tiny_numbers", "src/retrain/training/loop.py"))
    (tmp_path / "numpy-0.0.1.dist-info").mkdir()
    (tmp_path / "numpy-0.0.1.dist-info" / "METADATA").write_text(NUMPY)
    shutil.rmtree(reports)
    reports.touch()  # nothing can be written there: the checkpoint stays

    def trained(folder: str) -> tuple[str, list[str]]:
        """How a training ended, and what it said on stderr."""
        process.stdin.write(f"{folder}\n")
        process.stdin.flush()
        said: list[str] = []
        while not (line := process.stdout.readline()).strip().isdigit():
            assert line, said
            said.append(line)
        return line.strip(), said

    with subprocess.Popen(
        [sys.executable, "-c", TRAININGS], cwd=pair.folder, env=pair.environment | {recording.SWITCH: "off"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert trained("")[0] == "1"
        reports.unlink()
        line = "train tiny_numbers: an unfinished training with different {} is not continued\n"
        code = loop_file.read_text()
        loop_file.write_text(code + "# as before\n")
        assert trained("") == ("0", [line.format("code (retrain/training/loop.py)")])
        loop_file.write_text(code)
        for told in (pair.folder / ".retrain" / "checkpoints").glob("*.told"):
            told.unlink()
        status, (warning, said) = trained(str(tmp_path))
        assert (status, said) == ("0", line.format("libraries (numpy)"))
        assert warning.startswith("Warning: train tiny_numbers: numpy is 0.0.1 (requirements.lock says ")
        process.stdin.close()


@pytest.mark.slow
def test_training_of_other_data_starts_anew(project):
    dataset, off = "tiny_numbers", {recording.SWITCH: "off"}
    reports = project.folder / "reports" / dataset

    def split_and_train(seed: int) -> Result:
        project.set(f"{dataset}.split.seed", seed)
        assert project.stage_here("split", dataset).exit_code == 0
        return project.stage_here("train", dataset, **off)

    assert project.stage_here("prepare", dataset).exit_code == 0
    reports.parent.mkdir(exist_ok=True)
    reports.touch()  # nothing can be written there: the checkpoint stays
    assert split_and_train(1).exit_code == 1
    reports.unlink()
    ended = split_and_train(2)
    line = f"train {dataset}: an unfinished training with different data is not continued\n"
    assert (ended.exit_code, ended.stderr) == (0, line)
    ended = split_and_train(1)
    assert (ended.exit_code, ended.stderr) == (0, f"train {dataset}: continuing after epoch 3 of 3\n")


def test_newest_checkpoints_stay(tmp_path):
    folder = tmp_path / ".retrain" / "checkpoints"
    abandoned = [left(folder, {**IDENTITY, "data": str(number)}) for number in range(checkpoint.KEPT + 3)]
    other_dataset = folder / "tiny_news-0123456789abcdef.checkpoint"
    other_dataset.touch()
    printed: list[str] = []
    with checkpoint.open_checkpoint(tmp_path, "tiny", IDENTITY, processes.parent_processes(), printed.append):
        pass
    stay = {kept.path for kept in abandoned[-checkpoint.KEPT :]} | {other_dataset, folder / "lock"}
    stay |= {abandoned[-1].path.with_suffix(".told")}
    assert set(folder.iterdir()) == stay
    assert len(printed) == 1


PARENTS = "from retrain.processes import parent_processes; print(len(parent_processes()))"


@pytest.mark.parametrize(
    ("program", "stage", "expected"),
    [("dvc", "train@x", 2), ("dvc", "", 0), ("dvc-course", "train@x", 0)],
    ids=["dvc", "no stage", "other program"],
)
def test_parents_end_with_dvc(program, stage, expected, tmp_path):
    (tmp_path / "stage.py").write_text(PARENTS)
    commands = ["/bin/sh", "-c", f"{shlex.quote(sys.executable)} stage.py; exit"]
    (tmp_path / program).write_text(f"import subprocess; subprocess.run({commands})")
    variables = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    variables.pop("DVC_STAGE", None)
    if stage:
        variables["DVC_STAGE"] = stage
    command = ["/bin/sh", "-c", f"{shlex.quote(sys.executable)} {tmp_path / program}; exit"]
    ended = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=True)
    assert ended.stdout == f"{expected}\n"


@pytest.mark.parametrize("ended", [False, True])
def test_checkpoint_stays_if_dvc_ended(ended, tmp_path, monkeypatch):
    monkeypatch.delenv("DVC_STAGE", raising=False)
    kept = Checkpoint(tmp_path / "tiny-0.checkpoint", IDENTITY, (psutil.Process(),) if ended else ())
    kept.save({"epoch": 1})
    printed: list[str] = []
    kept.finish(printed.append)
    assert kept.path.exists() == bool(printed) == ended


def test_unfitting_state_starts_anew(folder, tmp_path):
    network = tiny_datasets()["tiny_numbers"]["train"]["network"]
    kept = Checkpoint(tmp_path / "a.checkpoint", IDENTITY, ())
    kept.save(ready(folder, "tiny_numbers", network={**MLP, "hidden": 6}).state_dict())
    printed: list[str] = []
    start = ready(folder, "tiny_numbers", network=network)
    training = resume.restored(kept, start, lambda: ready(folder, "tiny_numbers", network=network), printed.append)
    assert printed == ["the checkpoint of an unfinished training is damaged: starting from the beginning"]
    advance(training, 10**6)
    whole = whole_training(folder, "tiny_numbers", network=network)
    assert bytes_of(training, tmp_path) == bytes_of(whole, tmp_path)


HURRIED = """
import train
from retrain import cli
cli.GRACE_SECONDS = 0.001
train.main()
"""
"""Trains, and waits for a thousandth of a second after a signal."""


def test_interruption_waits_for_the_save(folder):
    project = Project(folder)
    project.set("tiny_numbers.train.network.hidden", 200_000)  # so that a save takes longer
    for parameter in ("epochs", "patience"):
        project.set(f"tiny_numbers.train.loop.{parameter}", 10**6)
    training = subprocess.Popen(
        [sys.executable, "-c", HURRIED, "--dataset", "tiny_numbers"], cwd=folder, stdout=subprocess.PIPE, text=True,
        env=project.environment | {"PYTHONPATH": str(REPOSITORY / "src"), "RETRAIN_TRACKING": "off"},
    )  # fmt: skip
    with training.stdout as printed:
        next(line for line in printed if line.startswith("epoch   2/"))  # now it saves
        training.send_signal(signal.SIGTERM)
        later = len(printed.readlines())
    assert training.wait(timeout=60) == 128 + signal.SIGTERM
    (path,) = folder.glob(".retrain/checkpoints/*.checkpoint")
    with path.open("rb") as file:
        saved = Checkpoint(path, json.loads(file.readline()), ()).load()
    assert len(saved["history"]["rows"]) == 2 + later


class Unsaveable:
    """What torch can't save."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __reduce__(self) -> str:
        raise self.error


def test_failed_save_says_what_to_do(tmp_path):
    with pytest.raises(
        RetrainError, match=r"can't be written \(No such file or directory\); check the path; then run: "
    ):
        Checkpoint(tmp_path / "gone" / "a.checkpoint", IDENTITY, ()).save({"epoch": 1})
    kept = Checkpoint(tmp_path / "a.checkpoint", IDENTITY, ())
    kept.save({"epoch": 1})
    with pytest.raises(RetrainError, match=r"can't be written \(OSError\(\)\); check the path, "):
        kept.save({"epoch": Unsaveable(OSError())})
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        kept.save({"epoch": Unsaveable(RuntimeError("DefaultCPUAllocator: can't allocate memory"))})
    assert kept.load() == {"epoch": 1}
    assert list(tmp_path.iterdir()) == [kept.path]


LARGE = """
import gc, resource, sys
from pathlib import Path
import torch
from retrain.errors import lack_of_memory
from retrain.training.checkpoint import Checkpoint
kept = Checkpoint(Path(sys.argv[1]), {"data": "1"}, ())
kept.save({"weights": torch.zeros(1 << 25)})
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
for megabytes in (16, 200):
    resource.setrlimit(resource.RLIMIT_AS, (taken + (megabytes << 20), resource.RLIM_INFINITY))
    try:
        kept.load()
    except Exception as error:
        print(megabytes, "memory" if lack_of_memory(error) else repr(error))
    gc.collect()
"""
"""Saves a checkpoint of 128 MB and loads it under limits on memory: of less than the file, and of less than twice as much."""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of this kind are Linux'")
def test_too_little_memory_is_not_damage(tmp_path):
    ended = Project(tmp_path).run(
        sys.executable, "-c", LARGE, str(tmp_path / "a.checkpoint"), PYTHONPATH=str(REPOSITORY / "src")
    )
    assert ended.stdout == "16 memory\n200 memory\n", ended.said
