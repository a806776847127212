"""Weights are saved in the type that was chosen, and come back in the network's own."""

from retrain.errors import RetrainError
from retrain.models.weights import DTYPES, load_weights, save_weights

import pytest
import torch
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
    load_weights(path, network)
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
