"""Encoded examples on disk, and batches of them."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrain import files, threads
from retrain.data.encoders import Arrays
from retrain.errors import RetrainError

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

__all__ = ["Batch", "Examples", "ordered_batches", "read", "shuffled_batches"]


Gather = Callable[[Arrays, np.ndarray], tuple[np.ndarray, ...]]
Batch = tuple[tuple[torch.Tensor, ...], torch.Tensor]
"""The network's inputs in order, and the targets."""

TARGETS, FOLDS = "targets", "folds"
WORTH_A_THREAD = 1 << 17
"""Bytes of a batch above which a thread gathers the next one meanwhile. Handing a smaller one over takes longer than gathering it."""


def read(folder: Path) -> Arrays:
    """The arrays of one split, memory-mapped. Arrays of Python objects are rejected, because they could execute code.

    Raises:
        RetrainError: an array is missing or damaged.
    """
    hint = f"run: dvc repro split@{folder.parent.parent.name}"
    arrays: Arrays = {}
    for path in sorted(folder.glob("*.npy")):
        # numpy raises many types for a damaged header, and warns of a shape that overflows before it raises.
        with files.reading(path, "array", hint, Exception), np.errstate(over="ignore"):
            arrays[path.stem] = np.lib.format.open_memmap(path, mode="r")
    if TARGETS not in arrays:
        raise RetrainError(str(folder), "has no encoded examples", hint)
    return arrays


@dataclass(frozen=True)
class Examples(Dataset[Batch]):
    """Encoded examples. The DataLoader asks for whole batches, which numpy gathers at once."""

    arrays: Arrays
    gather: Gather

    def __len__(self) -> int:
        return len(self.arrays[TARGETS])

    def __getitems__(self, indices: Sequence[int] | np.ndarray) -> Batch:
        """The batch of the examples with these numbers."""
        rows = np.asarray(indices, dtype=np.int64)
        gathered = [*self.gather(self.arrays, rows), *([self.arrays[FOLDS][rows]] if FOLDS in self.arrays else [])]
        inputs = tuple(map(torch.from_numpy, gathered))
        return inputs, torch.from_numpy(self.arrays[TARGETS][rows])


def whole(batch: Any) -> Any:
    """The `collate_fn` of a dataset that returns whole batches."""
    return batch


def shuffled_batches(examples: Examples, batch_size: int, seed: int, start: int) -> Iterator[Batch]:
    """Batches, to be read once, in an order that the seed decides, from number `start` on. The last may be smaller."""
    generator = torch.Generator().manual_seed(seed)

    def batches() -> Iterator[Any]:
        order = torch.randperm(len(examples), generator=generator).numpy()
        yield from (order[begin : begin + batch_size] for begin in range(start * batch_size, len(order), batch_size))

    loader = DataLoader(examples, batch_sampler=batches(), generator=generator, collate_fn=whole)
    return ahead(loader, examples, batch_size, start)


def ordered_batches(examples: Examples, batch_size: int) -> Iterator[Batch]:
    """Batches in the order of the rows."""
    return ahead(DataLoader(examples, batch_size, collate_fn=whole), examples, batch_size)


def ahead(loader: DataLoader[Batch], examples: Examples, batch_size: int, start: int = 0) -> Iterator[Batch]:
    """The batches of a loader. A thread gathers them ahead of their use if they are large enough for it to save time."""
    batches = iter(loader)
    size = sum(array.nbytes for array in examples.arrays.values()) / len(examples) * batch_size
    if size < WORTH_A_THREAD:
        return batches
    return threads.ahead(lambda _: next(batches), range(start, math.ceil(len(examples) / batch_size)), threads=1)
