"""A model as an ONNX file, which gives the answers of `retrain predict` without torch."""

import inspect
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from retrain import schema
from retrain.data.encoders import Rows
from retrain.data.report_csv import Columns
from retrain.errors import RetrainError
from retrain.models.predictor import Predictor

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

__all__ = ["write"]


TOLERANCE = 1e-5
"""The largest difference between two probabilities, or between two numbers in standard deviations of the target."""
LARGEST = 1536 << 20
"""Bytes of weights; torch writes more of them into a second file."""
GUIDE = "see docs/how-to/export.md"


def write(model: Predictor, rows: Rows, path: Path) -> float:
    """Write a model as an ONNX file, and compare its answers to some rows with those of the model.

    The inputs are the arrays of the encoder's `gather_to_predict`, else `gather`, for any number of rows. The outputs are
    `label`, the number of the class, int64, (rows,), and `probabilities`, float32, (rows, classes); or `number`, and `low` and
    `high` if there is an interval: float64, (rows,).

    Returns:
        The largest difference; see `TOLERANCE`.

    Raises:
        RetrainError: torch can't export the network, or the answers differ.
    """
    arrays, count = model.encoder.encode(rows), len(rows[model.encoder.columns[0]])
    gather = getattr(model.encoder, "gather_to_predict", model.encoder.gather)
    export(model, gather(arrays, np.resize(np.arange(count), max(count, 2))), path)
    parts = (gather(arrays, part) for part in np.split(np.arange(count), [1]) if len(part))
    try:
        return max(differences(model, onnxruntime.InferenceSession(path), parts))
    except RetrainError:
        raise
    except Exception as error:  # noqa: BLE001 (the errors of onnxruntime have no other base class)
        raise RetrainError(name_of(model), f"does not run in onnxruntime ({error})", GUIDE) from None


def export(model: Predictor, batch: Sequence[np.ndarray], path: Path) -> None:
    """Write a model as an ONNX file; `batch` is an example of its inputs. Raises RetrainError if torch can't export it."""
    answers = Answers(model).eval()
    if sum(tensor.nbytes for tensor in answers.state_dict().values()) > LARGEST:
        raise RetrainError(name_of(model), f"has more than {LARGEST:,} bytes of weights", GUIDE)
    # torch takes a size of 0 or 1 for one that never changes.
    example = [array if len(array) > 1 else np.zeros((2, *array.shape[1:]), array.dtype) for array in batch]
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with torch.no_grad(), warnings.catch_warnings(action="ignore"):
            program: Any = torch.onnx.export(
                answers,
                tuple(map(torch.from_numpy, example)),
                input_names=[f"input_{number}" for number in range(len(example))],
                output_names=answers.names,
                dynamic_shapes=(tuple({0: torch.export.Dim.DYNAMIC} for _ in example),),
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        reason = schema.shortened(" ".join(str(error.__cause__ or error).split()), 300)
        raise RetrainError(name_of(model), f"can't be exported ({reason})", GUIDE) from None
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # the lines of code that each operator comes from, with the folders of this machine
    program.save(path)


class Answers(nn.Module):
    """A network with its calibration and task: the outputs are answers."""

    def __init__(self, model: Predictor) -> None:
        super().__init__()
        self.network, self.calibration = model.network, model.calibration
        learned = model.task.to_json()
        self.classes, self.mean, self.deviation = (learned.get(name) for name in ("classes", "mean", "deviation"))
        if not (self.classes or self.deviation):
            fact = "can't be exported: it has neither classes nor a mean and a deviation"
            raise RetrainError(f"the task '{model.description.task.name}'", fact, GUIDE)

    @property
    def names(self) -> list[str]:
        """The names of the outputs."""
        if self.classes:
            return ["label", "probabilities"]
        return ["number", "low", "high"] if self.calibration.interval else ["number"]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The answers; see `write`."""
        with SumsOfBags():
            outputs = self.network(*inputs)
        if not self.classes:
            number = outputs[:, 0].double() * self.deviation + self.mean
            margin = self.calibration.interval.margin if self.calibration.interval else 0.0
            return (number, number - margin, number + margin)[: len(self.names)]
        probabilities = self.calibration.apply(outputs).softmax(dim=1)
        if self.calibration.threshold is None:
            return outputs.argmax(dim=1), probabilities
        return (probabilities[:, 1] >= self.calibration.threshold).long(), probabilities


class SumsOfBags(TorchFunctionMode):
    """Computes the sums and means of `embedding_bag` by operators that ONNX has."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call a function, or `sums_of_bags` in place of `embedding_bag`."""
        call = func if func is not functional.embedding_bag else sums_of_bags
        return call(*args, **(kwargs or {}))


def sums_of_bags(*args: Any, **kwargs: Any) -> Tensor:
    """The sums or means of `embedding_bag`: (bags, dim). Other kinds of bags are left to torch.

    The sum of a bag is the difference of two cumulative sums, in float64. Adding to the bags by `ScatterND` would be wrong
    on several threads: see https://github.com/microsoft/onnxruntime/issues/18048.
    """
    call = inspect.signature(functional.embedding_bag).bind(*args, **kwargs)
    call.apply_defaults()
    given = call.arguments
    tokens, offsets, mode = given["input"], given["offsets"], given["mode"]
    others = given["max_norm"], given["padding_idx"], given["include_last_offset"] or None
    if offsets is None or mode == "max" or any(other is not None for other in others):
        return functional.embedding_bag(*args, **kwargs)
    vectors = functional.embedding(tokens, given["weight"])
    if given["per_sample_weights"] is not None:
        vectors = vectors * given["per_sample_weights"].unsqueeze(1)
    begins = offsets.long()
    ends = torch.cat([begins[1:], begins.new_full((1,), tokens.shape[0])])
    sums = functional.pad(vectors.double().cumsum(dim=0), (0, 0, 1, 0))
    found = (sums.index_select(0, ends) - sums.index_select(0, begins)).to(vectors.dtype)
    return found / (ends - begins).clamp_min(1).unsqueeze(1) if mode == "mean" else found


def differences(model: Predictor, session: Any, batches: Iterator[tuple[np.ndarray, ...]]) -> Iterator[float]:
    """The largest difference between the answers in onnxruntime and those of the model, for each batch.

    Raises:
        RetrainError: it is more than `TOLERANCE`, or a label differs.
    """
    learned, names = model.task.to_json(), [given.name for given in session.get_inputs()]
    for batch in batches:
        found = columns_of(session.run(None, dict(zip(names, batch, strict=True))), learned.get("classes"))
        with torch.no_grad():
            expected = model.predictions(model.network(*map(torch.from_numpy, batch)))
        numbers = [name for name in expected if name != "predicted" or "classes" not in learned]
        distances = [np.abs(found[name] - np.asarray(expected[name])).max() for name in numbers]
        largest = float(max(distances)) / learned.get("deviation", 1.0)
        if not largest <= TOLERANCE or ("classes" in learned and found["predicted"] != list(expected["predicted"])):
            fact = f"gives other answers in onnxruntime (up to {largest:.1g} away)"
            raise RetrainError(name_of(model), fact, GUIDE)
        yield largest


def columns_of(outputs: Sequence[np.ndarray], classes: Sequence[str] | None) -> Columns:
    """The outputs of the file as the columns of `Predictor.predictions`."""
    if classes is None:
        return dict(zip(("predicted", "low", "high"), outputs, strict=False))
    labels, probabilities = outputs
    columns = {f"probability_{name}": probabilities[:, number] for number, name in enumerate(classes)}
    return {"predicted": [classes[number] for number in labels], **columns}


def name_of(model: Predictor) -> str:
    """The network, for errors."""
    return f"the network '{model.description.train.network['name']}'"
