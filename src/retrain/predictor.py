"""A saved model, ready to predict: raw rows in, predictions out. Needs nothing but the model's folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrain import checkpoint, description, encoders, networks, objectives, params
from retrain.description import Description
from retrain.encoders import Encoder, Rows
from retrain.errors import RetrainError
from retrain.networks import NetworkFile
from retrain.objectives import Objective

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

WAY_OUT = "train it again, or restore it with dvc checkout"


@dataclass(frozen=True)
class Predictor:
    """A network with the encoder of its inputs and the objective of its outputs."""

    network: nn.Module
    encoder: Encoder
    objective: Objective
    description: Description

    def outputs(self, rows: Rows, batch_size: int) -> Tensor:
        """The network's outputs for raw rows, in their order: (rows, outputs).

        Raises:
            RetrainError: an output is not finite.
        """
        arrays = self.encoder.encode(rows)
        count = len(rows[self.encoder.columns[0]])
        batches = np.split(np.arange(count), range(batch_size, count, batch_size))
        with torch.no_grad():
            gathered = (self.encoder.gather(arrays, batch) for batch in batches)
            outputs = torch.cat([self.network(*map(torch.from_numpy, inputs)) for inputs in gathered])
        if not outputs.isfinite().all():
            fact = "its weights give numbers that are not finite"
            raise RetrainError(f"model of {self.description.dataset}", fact, WAY_OUT)
        return outputs


class Unfilled(TorchFunctionMode):
    """Leaves initial weights out: they are overwritten, and making them on the meta device loads torch's compiler."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call everything but what `nn.init` has."""
        kwargs = kwargs or {}
        return kwargs["tensor"] if getattr(func, "__module__", None) == nn.init.__name__ else func(*args, **kwargs)


def check_fit(described: Description, objective: Objective, file: NetworkFile, place: str) -> None:
    """Raise RetrainError where a description's parts do not belong together."""
    if file.Network.takes != described.inputs.kind:
        fact = f"its network takes {file.Network.takes}, and its encoder gives {described.inputs.kind}"
        raise RetrainError(place, fact, WAY_OUT)
    if described.train.loss.name not in objective.losses:
        raise RetrainError(place, f"unknown loss {params.shown(described.train.loss.name)}", WAY_OUT)


def load(folder: Path) -> Predictor:
    """Rebuild a model from its folder, on the CPU, in eval mode.

    Raises:
        RetrainError: a file is missing, damaged, or not of this program.
    """
    described = description.read(folder)
    place = str(folder / description.FILE)
    try:
        encoder = encoders.load(described.inputs.kind, place).Encoder.from_json(described.inputs.learned)
        objective = objectives.load(described.target.kind, place).from_json(described.target.learned)
        file = networks.load(described.train.network.get("name"), place)
        check_fit(described, objective, file, place)
        knobs = params.check(described.train.network, file.Knobs, f"{place}: train.network")
        with torch.device("meta"), Unfilled():
            network = file.Network(encoder.size, objective.outputs, knobs)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, OverflowError) as error:
        fact = f"does not describe a model ({type(error).__name__}: {error})"
        raise RetrainError(place, fact, WAY_OUT) from None
    checkpoint.load_weights(folder / description.WEIGHTS, network)
    return Predictor(network.eval(), encoder, objective, described)
