"""Ctrl-C while a model is trained, or a change of what it is trained by."""

import signal
import subprocess
import time

import pytest


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "command"),
    [
        ({}, "python3 src/train.py --dataset tiny_numbers"),
        ({"DVC_STAGE": "train@tiny_numbers"}, "dvc repro plot@tiny_numbers"),
    ],
    ids=["script", "dvc"],
)
def test_interrupt_says_how_to_continue(pair, environment, command):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs, and their children, ignore it
    pair.set("tiny_numbers.train.loop.epochs", 10**6)
    pair.set("tiny_numbers.train.loop.patience", 10**6)
    weights = (pair.folder / "models/tiny_numbers/model.safetensors").read_bytes()
    training = subprocess.Popen(
        ["python3", "src/train.py", "--dataset", "tiny_numbers"],
        cwd=pair.folder, env={**pair.environment, **environment, "RETRAIN_TRACKING": "off"},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    checkpoints = pair.folder / ".retrain" / "checkpoints"
    while training.poll() is None and not list(checkpoints.glob("tiny_numbers-*.checkpoint")):
        time.sleep(0.05)
    training.send_signal(signal.SIGINT)
    _, printed = training.communicate(timeout=120)
    assert training.returncode == 130, printed
    line = f"train tiny_numbers: interrupted; the state is saved. To continue, run: {command}"
    assert printed.splitlines()[-1] == line
    assert (pair.folder / "models/tiny_numbers/model.safetensors").read_bytes() == weights


@pytest.mark.slow
def test_changes_while_a_stage_runs_are_errors(pair):
    pair.set("tiny_numbers.train.loop.epochs", 100)
    pair.set("tiny_numbers.train.loop.patience", 100)
    weights = pair.folder / "models/tiny_numbers/model.safetensors"
    before = [(pair.folder / "dvc.lock").read_bytes(), weights.read_bytes()]
    code = pair.folder / "src/retrain/training/loop.py"
    text, hidden = code.read_text(), pair.params()["datasets"]["tiny_numbers"]["train"]["network"]["hidden"]
    with subprocess.Popen(
        ["dvc", "repro", "train@tiny_numbers"], cwd=pair.folder,
        env={**pair.environment, "RETRAIN_TRACKING": "off"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as repro:  # fmt: skip
        printed = ""
        while "epoch" not in printed:
            printed += repro.stdout.readline()
            assert repro.poll() is None, printed
        pair.set("tiny_numbers.train.network.hidden", hidden + 1)
        code.write_text(text + "# changed\n")
        (pair.folder / "data/tiny_numbers/examples/encoding.json").touch()
        printed += repro.stdout.read()
    assert repro.returncode != 0
    (error,) = [line for line in printed.splitlines() if line.startswith("Error: ")]
    assert error == (
        "Error: the stage train has used an earlier version of src/retrain/training/loop.py and "
        "data/tiny_numbers/examples and params.yaml: datasets.tiny_numbers.train; run it again: dvc repro plot@tiny_numbers"
    )
    assert [(pair.folder / "dvc.lock").read_bytes(), weights.read_bytes()] == before
    pair.set("tiny_numbers.train.network.hidden", hidden)
    code.write_text(text)
    again = pair.stage("train", "tiny_numbers")
    assert again.returncode == 0, again.said
    assert "1/100" not in again.stdout  # everything was trained already
    assert weights.read_bytes() != before[1]
