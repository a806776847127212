"""Random changes of what comes from outside, a model's files and params.yaml: each is read, or rejected in one line.

It all happens in this process, so many more can be tried than there are cases in `support.damage`. `make fuzz` tries them
for a minute each.
"""

import json
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from retrain import params, schema
from retrain.data import encoders, sources, splitting
from retrain.errors import RetrainError
from retrain.evaluation.parameters import Evaluate, Plot
from retrain.models import description, networks, predictor
from retrain.training import setup

import pytest
from support.damage.cases import SEED, Change, cut, draw_for, flip, overwrite, take_out
from support.damage.models import bad_header, bad_part
from support.damage.parameters import bad_token, foreign_params, moved_line
from support.model_folders import write_model
from support.project import REPOSITORY, corpus_datasets, write_yaml

FEW = 40
SECONDS = float(os.environ.get("FUZZ_SECONDS", "30")) / 3
"""Of each target. There are three of each file."""
TASKS = {"text": "classification", "ngrams": "classification", "numbers": "regression"}
"""The encoders of the models, and their tasks."""


@dataclass(frozen=True)
class Target:
    """What is fuzzed: a file, ways to change it, and what reads it."""

    path: Path
    seeds: tuple[bytes, ...]
    changes: tuple[Change, ...]
    read: Callable[[], None]

    def is_read(self, draw: random.Random) -> bool:
        """Whether a seed that was changed once or a few times is read; whatever else than RetrainError it raises is a bug."""
        content = draw.choice(self.seeds)
        for _ in range(draw.choice([1, 1, 1, 2, 3, 8])):
            content = draw.choice(self.changes)(draw, content or draw.choice(self.seeds))
        self.path.write_bytes(content)
        try:
            self.read()
        except RetrainError as error:
            assert "; " in str(error)  # noqa: PT017 (whether it is raised depends on the input)
            return False
        return True


def model_file(name: str, *changes: Change) -> Callable[[Path, str], Target]:
    """A file of a model with some encoder; the other one is whole."""

    def target(folder: Path, encoder: str) -> Target:
        model = write_model(folder / encoder, encoder, TASKS[encoder])
        path = model / name
        return Target(path, (path.read_bytes(),), (cut, flip, overwrite, take_out, *changes), lambda: answer(model))

    return target


def answer(folder: Path) -> None:
    """Predict with a model."""
    model = predictor.load(folder)
    values = [0.5, 1.0] if model.encoder.holds == "numbers" else ["a ship", ""]
    answers = model.task.answers(model.outputs(dict.fromkeys(model.encoder.columns, values), batch_size=1))
    json.dumps(answers, ensure_ascii=False).encode()


def params_file(folder: Path, which: str) -> Target:
    """params.yaml: as committed, with the tiny datasets, or one of the files that are none."""
    path = folder / params.FILE
    write_yaml(path, {"datasets": corpus_datasets()})
    seeds = {
        "committed": ((REPOSITORY / params.FILE).read_bytes(),),
        "tiny": (path.read_bytes(),),
        "foreign": tuple(content for content in foreign_params().values() if len(content) < 10_000),
    }
    return Target(
        path, seeds[which], (cut, flip, overwrite, take_out, bad_token, bad_token, moved_line), lambda: check(folder)
    )


def check(folder: Path) -> None:
    """Check all sections of the first datasets, each as its stage does."""
    for dataset in map(str, list(params.datasets(folder))[:5]):
        block = params.dataset_block(folder, dataset)
        schema.check(block["prepare"], sources.load(block["prepare"], dataset).parameters, "prepare")
        split = params.read(folder, dataset, "split", splitting.Split)
        encoder = split.encoder.get("name")
        schema.check(split.encoder, encoders.load(encoder, "split.encoder.name").Parameters, "split.encoder")
        train = params.read(folder, dataset, "train", setup.Train)
        network = networks.load(train.network.get("name"), "train.network.name")
        schema.check(train.network, network.Parameters, "train.network")
        setup.chosen_steps(train, "train")
        setup.chosen_loss(train, split.task, "train")
        params.read(folder, dataset, "evaluate", Evaluate)
        params.read(folder, dataset, "plot", Plot)


TARGETS = [
    *(pytest.param(model_file(description.FILE, bad_part, bad_part, bad_part), name, id=f"model.json of {name}") for name in TASKS),
    *(pytest.param(model_file(description.WEIGHTS, bad_header), name, id=f"weights of {name}") for name in TASKS),
    *(pytest.param(params_file, name, id=f"{name} params.yaml") for name in ("committed", "tiny", "foreign")),
]  # fmt: skip


@pytest.mark.parametrize(("make", "name"), TARGETS)
def test_few_random_changes(tmp_path, make, name, request):
    target, draw = make(tmp_path, name), draw_for("few", request.node.callspec.id)
    assert sum(target.is_read(draw) for _ in range(FEW)) < FEW


@pytest.mark.campaign
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(("make", "name"), TARGETS)
def test_many_random_changes(tmp_path, make, name, request):
    target, draw, started = make(tmp_path, name), draw_for("many", request.node.callspec.id), time.monotonic()
    tried = read = 0
    while time.monotonic() - started < SECONDS:
        read += target.is_read(draw)
        tried += 1
    what = request.node.callspec.id
    print(
        f"fuzz {what}: {tried:,} inputs in {SECONDS:g} s (seed {SEED}; read {read:,}, rejected {tried - read:,}), crashes 0"
    )
