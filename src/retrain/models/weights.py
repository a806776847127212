"""A network's weights in a safetensors file. Loading one can't run code."""

from pathlib import Path

from retrain import files
from retrain.errors import RetrainError

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

WAY_OUT = "train the model again, or restore it with dvc checkout"
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def save_weights(path: Path, weights: dict[str, Tensor], dtype: str) -> None:
    """Write a network's weights, rounded to a type of `DTYPES`: same numbers, same bytes.

    Raises:
        RetrainError: a weight is too large for the type.
    """
    rounded = {name: tensor.to(DTYPES[dtype]).contiguous() for name, tensor in weights.items()}
    if not all(tensor.isfinite().all() for tensor in rounded.values()):
        raise RetrainError("train.saved_dtype", f"a weight is too large for {dtype}", "set it to float32")
    with files.writing(path):
        try:
            save_file(rounded, path)
        except SafetensorError as error:
            raise OSError(str(error)) from None


def load_weights(path: Path, network: nn.Module) -> None:
    """Fill a network that was built on the meta device, in the type that it has there.

    Names and shapes are compared before anything is read, so a foreign file can't make us allocate more than it holds.

    Raises:
        RetrainError: the weights are missing, damaged, or those of another network.
    """
    expected = network.state_dict()
    files.require_regular_file(path, WAY_OUT)
    try:
        with safe_open(path, framework="pt") as stored:
            shapes = {name: stored.get_slice(name).get_shape() for name in stored.keys()}  # noqa: SIM118 (it is no dict)
            if shapes != {name: list(tensor.shape) for name, tensor in expected.items()}:
                raise RetrainError(str(path), "holds the weights of another network", WAY_OUT)
            weights = {name: stored.get_tensor(name) for name in shapes}
    except FileNotFoundError:
        raise RetrainError(str(path), "is missing", WAY_OUT) from None
    except (SafetensorError, OSError) as error:
        raise RetrainError(str(path), f"is damaged ({error})", WAY_OUT) from None
    except MemoryError:
        raise RetrainError(str(path), "does not fit into memory", WAY_OUT) from None
    if any(tensor.dtype not in DTYPES.values() for tensor in weights.values()):
        raise RetrainError(str(path), "holds numbers of another type", WAY_OUT)
    if not all(torch.isfinite(tensor).all() for tensor in weights.values()):
        raise RetrainError(str(path), "holds numbers that are not finite", WAY_OUT)
    network.load_state_dict({name: weights[name].to(tensor.dtype) for name, tensor in expected.items()}, assign=True)
