"""Networks: one file each, chosen by `train.network.name`.

Each file has a `Knobs` section and a `Network` class; `tests/test_contracts.py` holds every file in this folder to it.
"""

from typing import Any, ClassVar, Protocol, cast

from retrain import params
from retrain.params import Section

from torch import nn


class NetworkKnobs(Section):
    """What every network's knobs have: its name, which is its file's."""

    name: str


class Network(nn.Module):
    """A network. Its weights are initialised from torch's global generator."""

    takes: ClassVar[str]
    """The kind of inputs that its `forward` takes: the name of the encoder."""

    def __init__(self, size: int, outputs: int, knobs: Any) -> None:
        """Build the layers.

        Args:
            size: what the encoder says of itself: how many tokens, or how many columns.
            outputs: how many outputs the objective wants.
            knobs: the file's own `Knobs`.
        """
        raise NotImplementedError


class NetworkFile(Protocol):
    """What a file in this folder offers."""

    Knobs: type[NetworkKnobs]
    Network: type[Network]


def load(name: Any, place: str) -> NetworkFile:
    """The network of a name; raises RetrainError, naming `place`, where there is none."""
    return cast("NetworkFile", params.choose("retrain.networks", name, place))
