"""Networks: one file each, chosen by `train.network.name`.

Each file has a `Parameters` section and a `Network` class; `tests/test_contracts.py` holds every file in this folder to it.
"""

from typing import Any, ClassVar, Protocol, cast

from retrain import params
from retrain.schema import Section

from torch import nn


class NetworkParameters(Section):
    """What every network's parameters have: its name, which is its file's."""

    name: str


class Network(nn.Module):
    """A network. Its weights are initialised from torch's global generator."""

    takes: ClassVar[str]
    """The kind of arrays that `forward` takes: the word that an encoder has in `gives`."""

    def __init__(self, size: int, outputs: int, parameters: Any) -> None:
        """Build the layers.

        Args:
            size: what the encoder says of itself: how many tokens, or how many columns.
            outputs: how many outputs the task wants.
            parameters: the file's own `Parameters`.
        """
        raise NotImplementedError


class NetworkFile(Protocol):
    """What a file in this folder offers."""

    Parameters: type[NetworkParameters]
    Network: type[Network]


def names() -> list[str]:
    """The names of all networks."""
    return params.choices("retrain.models.networks")


def load(name: Any, where: str) -> NetworkFile:
    """The network of a name; raises RetrainError, naming `where`, if there is none."""
    return cast("NetworkFile", params.choose("retrain.models.networks", name, where))
