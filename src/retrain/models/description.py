"""`model.json`: everything except the weights that is needed to rebuild a model and to encode raw rows."""

from pathlib import Path
from typing import Annotated, Any, Literal

from retrain import files, schema
from retrain.data.encoding_file import DataFacts
from retrain.models.calibration import Calibration
from retrain.schema import Count, DatasetName, Section, Threads

from pydantic import ConfigDict, Field

__all__ = ["FILE", "WEIGHTS", "Description", "TrainParameters", "read", "restore_hint"]


FILE = "model.json"
WEIGHTS = "model.safetensors"


class TrainParameters(Section):
    """The train section. Only the parameters that other stages need are checked; the others are kept unchanged."""

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
    calibration: Calibration = Calibration()
    """Models of earlier versions have none."""
    linear_share: Annotated[float, Field(ge=0, le=1)] | None = Field(None, exclude_if=lambda share: share is None)
    """The share of linear models in the outputs; only models with `train.network.blend` have it."""


def read(folder: Path) -> Description:
    """Read the `model.json` of a model's folder, which may come from a stranger.

    Raises:
        RetrainError: it is missing, damaged or of another format, or a file of the model is not a regular file.
    """
    path, hint = folder / FILE, restore_hint(folder)
    for name in (FILE, WEIGHTS):
        files.check_inside(folder, name)
    return schema.check(files.read_json(path, hint), Description, str(path), hint)


def restore_hint(folder: Path) -> str:
    """What to do about a model that is missing or damaged."""
    return f"restore it: dvc checkout models/{folder.name}, or train it again: dvc repro train@{folder.name}"
