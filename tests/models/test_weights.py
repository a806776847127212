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
    save_weights(path, weights, dtype, "train")
    load_weights(path, network, "hint")
    for name, tensor in network.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, weights[name].to(DTYPES[dtype]).float())


def test_float16_halves_the_file(weights, tmp_path):
    sizes = {}
    for dtype in ("float32", "float16"):
        save_weights(tmp_path / dtype, weights, dtype, "train")
        sizes[dtype] = (tmp_path / dtype).stat().st_size
    assert sizes["float32"] - sizes["float16"] == 2 * sum(tensor.numel() for tensor in weights.values())


@pytest.mark.parametrize(
    ("weight", "dtype", "expected"),
    [
        (1e5, "float16", "x.train.saved_dtype: a weight of 'bias' is too large for float16; set it to float32"),
        (float("inf"), "float16", "x.train.loop: training diverged: 'bias' is not finite; lower learning_rate"),
        (float("nan"), "float32", "x.train.loop: training diverged: 'bias' is not finite; lower learning_rate"),
    ],
)
def test_unsaveable_weight_is_rejected(weight, dtype, expected, weights, tmp_path):
    weights["bias"][0] = weight
    with pytest.raises(RetrainError) as error:
        save_weights(tmp_path / "model.safetensors", weights, dtype, "x.train")
    assert str(error.value) == expected
    assert not list(tmp_path.iterdir())


class Counting(nn.Module):
    """A network with buffers that are not floating-point numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.register_buffer("used", torch.tensor([True, False]))


def test_other_tensors_keep_their_type(tmp_path):
    path, network = tmp_path / "model.safetensors", Counting()
    network.norm.num_batches_tracked += 2**40 + 1
    save_weights(path, network.state_dict(), "float16", "train")
    with torch.device("meta"):
        loaded = Counting()
    load_weights(path, loaded, "hint")
    assert load_file(path)["norm.weight"].dtype == torch.float16
    assert loaded.norm.num_batches_tracked.item() == 2**40 + 1
    assert loaded.used.tolist() == [True, False]
    save_file({**load_file(path), "used": torch.ones(2)}, path)
    with pytest.raises(RetrainError, match="has the dtype float32; it must be bool; hint"):
        load_weights(path, loaded, "hint")


def test_weights_have_permissions_of_umask(weights, tmp_path):
    for mask, expected in ((0o022, 0o644), (0o077, 0o600), (0o002, 0o664)):
        before = os.umask(mask)
        try:
            save_weights(tmp_path / str(mask), weights, "float32", "train")
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
    save_weights(path, weights, "float32", "train")
    damage(path)
    with pytest.raises(RetrainError) as error:
        load_weights(path, layer(), "hint")
    assert str(error.value).startswith(f"{path} {expected}")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_unreadable_weights_are_not_missing(weights, tmp_path):
    """Another user, who may not read the file, loads it."""
    save_weights(tmp_path / "model.safetensors", weights, "float32", "train")
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
