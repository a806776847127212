"""`model.json`: everything but the weights that is needed to rebuild a model and to encode raw rows."""

from pathlib import Path
from typing import Any, Literal

from retrain import files, schema
from retrain.data.encoding_file import DataFacts
from retrain.errors import RetrainError
from retrain.schema import Count, DatasetName, Section, Threads

from pydantic import ConfigDict

FILE = "model.json"

WEIGHTS = "model.safetensors"
WAY_OUT = "train the model first, or restore it with dvc checkout"


class TrainParameters(Section):
    """The train section. Only what other stages need is checked; the rest is kept as it is."""

    model_config = ConfigDict(extra="allow")

    network: dict[str, Any]
    loss: dict[str, Any]
    device: str
    threads: Threads


class Description(DataFacts):
    """A trained model."""

    format: Literal[1]
    dataset: DatasetName
    train: TrainParameters
    data_sha256: str
    best_epoch: Count


def read(folder: Path) -> Description:
    """What a model's `model.json` says; the folder may be from elsewhere.

    Raises:
        RetrainError: it is missing, damaged, or of another format, or a file of the model is none.
    """
    path = folder / FILE
    for name in (FILE, WEIGHTS):
        files.check_inside(folder, name)
    try:
        return schema.check(files.read_json(path, WAY_OUT), Description, str(path))
    except RetrainError as error:
        raise RetrainError(error.where, error.fact, WAY_OUT) from None
