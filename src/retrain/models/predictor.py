"""A saved model, ready to predict: raw rows in, predictions out. It needs the model's folder only."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrain import schema
from retrain.data import encoders, tasks
from retrain.data.encoders import Encoder, Rows
from retrain.data.report_csv import Columns
from retrain.data.tasks import Task
from retrain.errors import RetrainError
from retrain.models import description, losses, networks, weights
from retrain.models.calibration import Calibration
from retrain.models.description import Description
from retrain.models.losses import Loss

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

__all__ = ["Predictor", "load"]


@dataclass(frozen=True)
class Predictor:
    """A network with the encoder of its inputs, and the task of its outputs."""

    network: networks.Network
    encoder: Encoder
    task: Task
    loss: Loss
    description: Description

    @property
    def calibration(self) -> Calibration:
        """What was learned from validation rows."""
        return self.description.calibration

    def baseline(self, rows: int) -> Tensor:
        """The outputs of the best network that ignores its inputs: (rows, outputs)."""
        return torch.tensor([self.task.baseline]).expand(rows, -1)

    def predictions(self, outputs: Tensor) -> Columns:
        """The predictions from the network's outputs, calibrated: see `Task.predictions` and `Calibration.decided`."""
        return self.calibration.decided(self.task.predictions(self.calibrated(outputs)))

    def answers(self, outputs: Tensor) -> list[dict[str, Any]]:
        """The same predictions as the JSON objects that `retrain predict` prints."""
        answers = self.task.answers(self.calibrated(outputs))
        return self.calibration.answered(self.predictions(outputs), answers) if self.calibration.decides else answers

    def calibrated(self, outputs: Tensor) -> Tensor:
        """Outputs of the network whose softmax are calibrated probabilities; those of a regression are left as they are."""
        return self.calibration.apply(outputs.double())

    def outputs(self, rows: Rows, batch_size: int, *, full: bool = False) -> Tensor:
        """The outputs of the network for raw rows, in the order of the rows: (rows, outputs).

        Args:
            rows: the encoder's columns.
            batch_size: the rows that the network computes at once.
            full: fill up the last batch with copies of its rows. Matrix products of other sizes round differently, so
                otherwise the last digits of an output depend on how many rows there are.

        Raises:
            RetrainError: an output is not finite.
        """
        arrays = self.encoder.encode(rows)
        gather = getattr(self.encoder, "gather_to_predict", self.encoder.gather)
        count = len(rows[self.encoder.columns[0]])
        parts = []
        for begin in range(0, max(count, 1), batch_size):
            batch = np.arange(begin, min(begin + batch_size, count))
            filled = np.resize(batch, batch_size) if full else batch
            parts.append(self.network.predict(*gather(arrays, filled))[: len(batch)])
        outputs = torch.cat(parts) if len(parts) > 1 else parts[0]
        if not np.isfinite(outputs.numpy()).all():
            dataset = self.description.dataset
            hint = description.restore_hint(Path(dataset))
            raise RetrainError(f"the model of {dataset}", "gives outputs that are not finite", hint)
        return outputs


class SkipInit(TorchFunctionMode):
    """Skips `nn.init`: loaded weights replace the initial ones."""

    # Without it, EmbeddingBag's own init on the meta device imports torch's compiler, which takes two seconds.

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call a function, unless it is one of `nn.init`."""
        kwargs = kwargs or {}
        return kwargs["tensor"] if getattr(func, "__module__", None) == nn.init.__name__ else func(*args, **kwargs)


def load(folder: Path) -> Predictor:
    """Rebuild a model from its folder, on the CPU, in eval mode.

    Raises:
        RetrainError: a file is missing or damaged, or it does not describe a model of this program.
    """
    described = description.read(folder)
    where, hint = str(folder / description.FILE), description.restore_hint(folder)
    try:
        encoder_class = encoders.load(described.encoder.name, where).Encoder
        encoder = encoder_class.from_json(described.encoder.learned)
        task = tasks.load(described.task.name, where).from_json(described.task.learned)
        described.calibration.check(task.to_json().get("classes"))
        loss_class = losses.load(described.train.loss.get("name"), where)
        loss = schema.check(described.train.loss, loss_class, f"{where}: train.loss")
        file = networks.load(described.train.network.get("name"), where)
        parameters = schema.check(described.train.network, file.Parameters, f"{where}: train.network")
        if (file.Network.takes, loss.task) != (encoder.gives, described.task.name):
            raise RetrainError(where, "names an encoder, network, task and loss that do not fit together", hint)
        with torch.device("meta"), SkipInit():
            network = networks.build(file, encoder.size, task.outputs, parameters, described.split)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, OverflowError) as error:
        raise RetrainError(where, f"does not describe a model ({type(error).__name__}: {error})", hint) from None
    weights.load_weights(folder / description.WEIGHTS, network, hint)
    return Predictor(network.eval(), encoder, task, loss, described)
