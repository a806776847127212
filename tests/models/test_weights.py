"""Weights are saved in the type that was chosen, and come back in the network's own."""

import os
from pathlib import Path

from retrain.errors import RetrainError
from retrain.models.weights import DTYPES, load_weights, save_weights

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn


def layer() -> nn.Linear:
    """A layer on the meta device, as models are rebuilt."""
    with torch.device("meta"):
        return nn.Linear(3, 40)


@pytest.fixture
def weights() -> dict[str, torch.Tensor]:
    """Weights of the layer."""
    torch.manual_seed(0)
    return nn.Linear(3, 40).state_dict()


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_weights_are_rounded_to_dtype(dtype, weights, tmp_path):
    path, network = tmp_path / "model.safetensors", layer()
    save_weights(path, weights, dtype)
    load_weights(path, network, "hint")
    for name, tensor in network.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, weights[name].to(DTYPES[dtype]).float())


def test_float16_halves_the_file(weights, tmp_path):
    sizes = {}
    for dtype in ("float32", "float16"):
        save_weights(tmp_path / dtype, weights, dtype)
        sizes[dtype] = (tmp_path / dtype).stat().st_size
    assert sizes["float32"] - sizes["float16"] == 2 * sum(tensor.numel() for tensor in weights.values())


def test_too_large_weight_is_refused(weights, tmp_path):
    weights["bias"][0] = 1e5
    with pytest.raises(
        RetrainError, match=r"^train.saved_dtype: a weight is too large for float16; set it to float32$"
    ):
        save_weights(tmp_path / "model.safetensors", weights, "float16")
    assert not list(tmp_path.iterdir())


def test_weights_have_permissions_of_umask(weights, tmp_path):
    for mask, expected in ((0o022, 0o644), (0o077, 0o600), (0o002, 0o664)):
        before = os.umask(mask)
        try:
            save_weights(tmp_path / str(mask), weights, "float32")
        finally:
            os.umask(before)
        assert (tmp_path / str(mask)).stat().st_mode & 0o777 == expected


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (Path.unlink, "does not exist; hint"),
        (lambda path: path.write_bytes(path.read_bytes()[:-20]), "is not a readable safetensors file ("),
        (lambda path: save_file({"weight": torch.zeros(3, 2)}, path), "holds the weights of another network; hint"),
        (
            lambda path: save_file({name: tensor.double() for name, tensor in load_file(path).items()}, path),
            "has the dtype float64; it must be float32, float16, bfloat16; hint",
        ),
    ],
    ids=["missing", "cut", "network", "dtype"],
)
def test_unusable_weights_are_reported(damage, expected, weights, tmp_path):
    path = tmp_path / "model.safetensors"
    save_weights(path, weights, "float32")
    damage(path)
    with pytest.raises(RetrainError) as error:
        load_weights(path, layer(), "hint")
    assert str(error.value).startswith(f"{path} {expected}")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_unreadable_weights_are_not_missing(weights, tmp_path):
    """Another user, who may not read the file, loads it."""
    save_weights(tmp_path / "model.safetensors", weights, "float32")
    (tmp_path / "model.safetensors").chmod(0o600)
    fork = os.fork()
    if not fork:
        code = 1
        try:
            os.setuid(54321)
            load_weights(tmp_path / "model.safetensors", layer(), "hint")
        except RetrainError as error:
            code = 0 if "model.safetensors can't be read (Permission denied); " in str(error) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1]) == 0
