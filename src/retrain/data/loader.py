"""Encoded examples on disk, and batches of them."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from retrain import files
from retrain.data.encoders import Arrays
from retrain.errors import RetrainError

import numpy as np
import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler

__all__ = ["Batch", "Examples", "ordered_batches", "read", "shuffled_batches"]


Gather = Callable[[Arrays, np.ndarray], tuple[np.ndarray, ...]]
Batch = tuple[tuple[torch.Tensor, ...], torch.Tensor]
"""The network's inputs in order, and the targets."""

TARGETS, FOLDS = "targets", "folds"


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

    def __getitems__(self, indices: list[int]) -> Batch:
        """The batch of the examples with these numbers."""
        rows = np.asarray(indices, dtype=np.int64)
        gathered = [*self.gather(self.arrays, rows), *([self.arrays[FOLDS][rows]] if FOLDS in self.arrays else [])]
        inputs = tuple(map(torch.from_numpy, gathered))
        return inputs, torch.from_numpy(self.arrays[TARGETS][rows])


def whole(batch: Any) -> Any:
    """The `collate_fn` of a dataset that returns whole batches."""
    return batch


def shuffled_batches(examples: Examples, batch_size: int, seed: int, start: int) -> DataLoader[Batch]:
    """Batches, to be read once, in an order that the seed decides, from number `start` on. The last may be smaller."""
    generator = torch.Generator().manual_seed(seed)
    batches = BatchSampler(RandomSampler(examples, generator=generator), batch_size, drop_last=False)
    remaining = islice(batches, start, None)
    return DataLoader(examples, batch_sampler=remaining, generator=generator, collate_fn=whole)


def ordered_batches(examples: Examples, batch_size: int) -> DataLoader[Batch]:
    """Batches in the order of the rows."""
    return DataLoader(examples, batch_size, shuffle=False, collate_fn=whole)
