"""Models that nobody trained, made in a moment: for tests of what a model's files may and may not do."""

import json
from pathlib import Path
from typing import Any

from retrain.data import encoders, tasks
from retrain.models import networks
from support.homes import ENCODER, FOLDS, NETWORK
from support.project import BAG, MLP

import pandas as pd
from safetensors.torch import save_file


class Trap:
    """Unpickling one makes a file."""

    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self) -> tuple:
        return Path.touch, (self.sprung,)


TEXTS = ["the ship and the harbour", "a cow near the barn", "the tram over the bridge", "an anchor of a ship"]
TOPICS = ["sea", "farm", "city", "sea"]
SPLIT = {"seed": 1, "folds": FOLDS}
PARAMETERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "text": ({"minimum_count": 1}, BAG),
    "ngrams": (
        {"minimum_count": 1, "min_log_ratio": 0.1, "hash_bits": 12, "char_ngrams": 3},
        {"name": "ngram_bag", "scale": 16.0, "sparse": False},
    ),
    "numbers": ({}, MLP),
    "mixed": ({**ENCODER, "minimum_count": 1}, NETWORK),
}
"""Of each encoder: its parameters, and a network that takes its inputs."""


def write_model(folder: Path, encoder_name: str, task_name: str) -> Path:
    """Write a model with this encoder and task into a folder, and return the folder."""
    encoder_parameters, network_parameters = PARAMETERS[encoder_name]
    texts = pd.DataFrame({"title": TEXTS, "text": TEXTS[::-1]}, dtype="str")
    numbers = pd.DataFrame({"a": [1.0, 2.0, 3.0, 5.0], "b": [0.5, -1.0, 2.0, 0.0]})
    mixed = pd.DataFrame({"a": [1.0, 2.0, 3.0, 5.0], "level": pd.Categorical(["3.0", "4.0", "True", '["new"]'])})
    labels = pd.Series(TOPICS, name="y").astype(pd.CategoricalDtype(sorted(set(TOPICS))))
    targets = labels if task_name == "classification" else pd.Series([1.0, 2.0, 4.0, 8.0], name="y")
    encoder_file, network_file = encoders.load(encoder_name, "test"), networks.load(network_parameters["name"], "test")
    task = tasks.load(task_name, "test").fit(targets, "test")
    encoder, _ = encoder_file.Encoder.fit_encode(
        {"numbers": numbers, "mixed": mixed}.get(encoder_name, texts),
        task.encode(targets),
        encoder_file.Parameters(**{"name": encoder_name, **encoder_parameters}),
    )
    network = networks.build(
        network_file, encoder.size, task.outputs, network_file.Parameters(**network_parameters), SPLIT
    )
    classes = task_name == "classification"
    loss = {"name": "cross_entropy", "label_smoothing": 0.0, "class_weights": "none"} if classes else {"name": "huber"}
    described = {
        "encoder": {"name": encoder_name, "learned": encoder.to_json()},
        "task": {"name": task_name, "column": "y", "learned": task.to_json()},
        "splits": {"train": {"rows": 4, "sha256": "0" * 64, "md5": "0" * 32}},
        "prepare": {"source": "files", "repairs": []},
        "split": SPLIT,
        "format": 1,
        "dataset": folder.name,
        "train": {"network": network_parameters, "loss": loss, "device": "cpu", "threads": 1},
        "data_sha256": "0" * 64,
        "best_epoch": 1,
    }
    folder.mkdir(parents=True)
    (folder / "model.json").write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    save_file(network.state_dict(), folder / "model.safetensors")
    return folder


def change(folder: Path, *path: str, to: Any) -> None:
    """Set a value of a model's description: `change(folder, "train", "threads", to=2)`."""
    file = folder / "model.json"
    described = json.loads(file.read_text(encoding="utf-8"))
    where = described
    for name in path[:-1]:
        where = where[name]
    where[path[-1]] = to
    file.write_text(json.dumps(described), encoding="utf-8")
