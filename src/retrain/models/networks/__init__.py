"""Networks: one file each, chosen by `train.network.name`.

Each file has a `Parameters` section and a `Network` class. `tests/models/test_contracts.py` checks every file in this folder.
A file whose parameters are required may name some for the tests: `EXAMPLE = {"hidden": 3}`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

from retrain import params
from retrain.schema import Section

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Network", "NetworkFile", "NetworkParameters", "build", "load", "names"]


class NetworkParameters(Section):
    """Base of the parameters of all networks: the name, which is that of the file."""

    name: str


class Network(nn.Module):
    """A network. Its initial weights come from torch's global random generator.

    Subclasses define `__init__(self, size, outputs, parameters)`, which calls `super().__init__()` and builds the layers:

    - `size` is that of the encoder, such as the number of tokens or columns.
    - `outputs` is the number of outputs that the task needs.
    - `parameters` has the type `Parameters` of the file.

    Tensors must be parameters or persistent buffers: a saved model has no others.
    """

    takes: ClassVar[str]
    """The kind of arrays that `forward` takes: the word that an encoder has in `gives`."""
    rowwise: ClassVar[bool] = False
    """Whether the outputs of a row are exactly the same for any number of rows: there is no matrix product. Others
    predict 32 rows at once, always as many."""
    uses_folds: ClassVar[bool] = False
    """Whether there is a member for each fold (`split.folds`). `__init__` then gets `folds`, their number, and `forward` the
    fold of each row, (batch,), as its last argument, except for predictions."""

    def __init__(self, *_arguments: Any) -> None:
        super().__init__()

    def start_from(self, arrays: Mapping[str, Any]) -> None:
        """Set initial weights that depend on the encoded train split, before a training. By default there are none.

        Args:
            arrays: what the encoder's `fit_encode` returned.
        """

    def predict(self, *arrays: "np.ndarray") -> Tensor:
        """The outputs for a batch, from the arrays of `gather`; the same as `forward`, bit for bit. There are no gradients."""
        with torch.inference_mode():
            outputs: Tensor = self(*map(torch.from_numpy, arrays))
            return outputs


class NetworkFile(Protocol):
    """A file in this folder."""

    Parameters: type[NetworkParameters]
    Network: type[Network]


def build(
    file: NetworkFile, size: Any, outputs: int, parameters: NetworkParameters, split: Mapping[str, Any]
) -> Network:
    """A network with its initial weights; `split` is the section of params.yaml, which may have `folds`."""
    if file.Network.uses_folds:
        return file.Network(size, outputs, parameters, int(split["folds"]))
    return file.Network(size, outputs, parameters)


def names() -> list[str]:
    """The names of all networks."""
    return params.choices("retrain.models.networks")


def load(name: Any, where: str) -> NetworkFile:
    """The network with a name; raises RetrainError if there is none. `where` is the path of the parameter, for the error."""
    return cast("NetworkFile", params.choose("retrain.models.networks", name, where))
