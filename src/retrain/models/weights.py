"""The weights of a network in a safetensors file. Loading one can't run code."""

from pathlib import Path

from retrain import files
from retrain.errors import RetrainError

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

__all__ = ["load_weights", "save_weights"]


DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def save_weights(path: Path, weights: dict[str, Tensor], dtype: str, where: str) -> None:
    """Write weights: the same weights give the same bytes.

    Args:
        path: the safetensors file.
        weights: the tensors of a network, by name.
        dtype: one of `DTYPES`; floating-point tensors are rounded to it, others keep their type.
        where: the path of the train section, for the error.

    Raises:
        RetrainError: a weight is not finite, or too large for the dtype.
    """
    floating = {name: tensor for name, tensor in weights.items() if tensor.is_floating_point()}
    rounded = {name: tensor.to(DTYPES[dtype]) for name, tensor in floating.items()}
    for name, tensor in floating.items():
        if not tensor.float().isfinite().all():
            raise RetrainError(f"{where}.loop", f"training diverged: '{name}' is not finite", "lower learning_rate")
        if not rounded[name].isfinite().all():
            fact = f"a weight of '{name}' is too large for {dtype}"
            raise RetrainError(f"{where}.saved_dtype", fact, "set it to float32")
    saved = {name: tensor.contiguous() for name, tensor in {**weights, **rounded}.items()}
    with files.writing(path):
        path.touch()
        permissions = path.stat().st_mode  # those of the umask; safetensors makes a file for its owner alone
        try:
            save_file(saved, path)
        except SafetensorError as error:
            raise OSError(str(error)) from None
        path.chmod(permissions)


def load_weights(path: Path, network: nn.Module, hint: str) -> None:
    """Load weights into a network that was built on the meta device; they get the dtypes that it has there.

    Names and shapes are compared before any weight is read, so a foreign file can't make us allocate more than it has.

    Args:
        path: the safetensors file.
        network: the network.
        hint: what to do if the file is missing, damaged, or has the weights of a different network.

    Raises:
        RetrainError: it is one of these.
    """
    expected = network.state_dict()
    try:
        with files.reading(path, "safetensors file", hint, SafetensorError):
            path.open("rb").close()  # safetensors reports a file without permission as missing
            with safe_open(path, framework="pt") as stored:
                shapes = {name: stored.get_slice(name).get_shape() for name in stored.keys()}  # noqa: SIM118 (not a dict)
                if shapes != {name: list(tensor.shape) for name, tensor in expected.items()}:
                    raise RetrainError(str(path), "holds the weights of another network", hint)
                weights = {name: stored.get_tensor(name) for name in shapes}
    except MemoryError:
        raise RetrainError(str(path), "does not fit into memory", hint) from None
    for name, tensor in expected.items():
        fitting = list(DTYPES.values()) if tensor.is_floating_point() else [tensor.dtype]
        if weights[name].dtype not in fitting:
            fact, *types = (str(dtype).removeprefix("torch.") for dtype in (weights[name].dtype, *fitting))
            raise RetrainError(str(path), f"has the dtype {fact}; it must be {', '.join(types)}", hint)
    network.load_state_dict({name: weights[name].to(tensor.dtype) for name, tensor in expected.items()}, assign=True)
