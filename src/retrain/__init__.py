"""Retrain: a PyTorch training workflow whose results anyone can reproduce."""

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from retrain.environment import enter_project_environment, explain_missing_packages, pin_unless_loaded, workspace

if TYPE_CHECKING:
    from retrain.models.model import Model

__all__ = ["load"]


os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # looking for plugins takes time, and none is installed
explain_missing_packages()
enter_project_environment()


def load(folder: str | Path) -> "Model":
    """The model in a folder, of a dataset, or a registered one, ready to predict: `retrain.load("reviews").predict(rows)`.

    If torch is not imported yet, it will compute as in the training, so that predictions are the same to the last digit.

    Raises:
        RetrainError: a file is missing or damaged, or it does not describe a model of this program.
    """
    name, folder = str(folder), Path(folder)
    if name.startswith("models:") or not (folder.name and folder.is_dir()):  # "" would be the working folder
        finding = import_module("retrain.release.finding")
        folder = cast("Path", finding.folder_of(workspace(), name))
        finding.warn_of_other_model(workspace(), name, folder)
    pin_unless_loaded(import_module("retrain.models.description").read(folder).train.threads)
    return cast("Model", import_module("retrain.models.model").load(folder))
