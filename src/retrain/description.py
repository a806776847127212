"""`model.json`: all that is needed, beside the weights, to rebuild a model, to encode raw rows and to name its run."""

from pathlib import Path
from typing import Any, Literal

from retrain import files, params
from retrain.errors import RetrainError
from retrain.params import Count, DatasetName, Section, Threads

from pydantic import ConfigDict

FILE = "model.json"
ENCODING = "encoding.json"
WEIGHTS = "model.safetensors"
WAY_OUT = "train the model first, or restore it with dvc checkout"


class Inputs(Section):
    """Which encoder, and what it learned."""

    kind: str
    learned: dict[str, Any]


class Target(Section):
    """Which objective, the column that it predicts, and what it learned."""

    kind: str
    column: str
    learned: dict[str, Any]


class SplitFacts(Section):
    """A split, by size and content."""

    rows: Count
    sha256: str


class PrepareKnobs(Section):
    """The prepare section, as far as others need it; the rest is kept as it is."""

    model_config = ConfigDict(extra="allow")

    repairs: tuple[str, ...]


class Encoding(Section):
    """What the split stage learned and from what; `encoding.json`."""

    inputs: Inputs
    target: Target
    splits: dict[str, SplitFacts]
    prepare: PrepareKnobs
    split: dict[str, Any]


class LossKnobs(Section):
    """Which loss; its other knobs are kept as they are."""

    model_config = ConfigDict(extra="allow")

    name: str


class TrainKnobs(Section):
    """The train section, as far as others need it; the rest is kept as it is."""

    model_config = ConfigDict(extra="allow")

    network: dict[str, Any]
    loss: LossKnobs
    device: str
    threads: Threads


class Description(Encoding):
    """A trained model."""

    format: Literal[1]
    dataset: DatasetName
    train: TrainKnobs
    data_sha256: str
    best_epoch: Count


def read_encoding(folder: Path) -> Encoding:
    """What the split stage wrote.

    Raises:
        RetrainError: it is missing or damaged.
    """
    path = folder / ENCODING
    return params.check(files.read_json(path, "run the split stage first"), Encoding, str(path))


def read(folder: Path) -> Description:
    """What a model's `model.json` says; the folder may be from elsewhere.

    Raises:
        RetrainError: it is missing, damaged, or of another format, or a file of the model is none.
    """
    path = folder / FILE
    for name in (FILE, WEIGHTS):
        files.check_inside(folder, name)
    try:
        return params.check(files.read_json(path, WAY_OUT), Description, str(path))
    except RetrainError as error:
        raise RetrainError(error.place, error.fact, WAY_OUT) from None
