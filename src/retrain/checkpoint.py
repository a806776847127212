"""A model's two files: `model.safetensors` (weights) and `model.json` (all else). Loading them can't run code."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from retrain import files
from retrain.errors import RetrainError

WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"
FORMAT = 1


def save(folder: Path, weights: dict[str, Tensor], description: dict[str, Any]) -> None:
    """Write both files into a folder that is made here."""
    folder.mkdir(parents=True)
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, folder / WEIGHTS)
    files.write_json(folder / DESCRIPTION, {"format": FORMAT, **description})


def read_description(folder: Path) -> dict[str, Any]:
    """What `model.json` says.

    Raises:
        RetrainError: it is missing, damaged, or of another format.
    """
    path = folder / DESCRIPTION
    description = files.read_json(path, "train the model first, or restore it with dvc checkout")
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise RetrainError(str(path), f"is no model of format {FORMAT}", "train it again with this version")
    return description


def load_weights(folder: Path, network: nn.Module) -> None:
    """Fill a network that was built on the meta device.

    Names, shapes and types are compared first, so a foreign file can't make us allocate more than the file holds.

    Raises:
        RetrainError: the weights are missing, damaged, or those of another network.
    """
    path = folder / WEIGHTS
    way_out = "train the model again, or restore it with dvc checkout"
    expected = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in network.state_dict().items()}
    try:
        with safe_open(path, framework="pt") as stored:
            shapes = {name: tuple(stored.get_slice(name).get_shape()) for name in stored.keys()}  # noqa: SIM118 (it is no dict)
            if shapes != {name: shape for name, (shape, _) in expected.items()}:
                raise RetrainError(str(path), "holds the weights of another network", way_out)
            weights = {name: stored.get_tensor(name) for name in shapes}
    except FileNotFoundError:
        raise RetrainError(str(path), "is missing", way_out) from None
    except (SafetensorError, OSError) as error:
        raise RetrainError(str(path), f"is damaged ({error})", way_out) from None
    if any(weights[name].dtype != dtype for name, (_, dtype) in expected.items()):
        raise RetrainError(str(path), "holds numbers of another type", way_out)
    if not all(torch.isfinite(tensor).all() for tensor in weights.values()):
        raise RetrainError(str(path), "holds numbers that are not finite", way_out)
    network.load_state_dict(weights, assign=True)
