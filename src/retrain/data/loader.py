"""Encoded examples on disk, and the batches that a DataLoader makes of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from retrain import files
from retrain.errors import RetrainError

import numpy as np
import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, Sampler

Arrays = dict[str, np.ndarray]
Gather = Callable[[Arrays, np.ndarray], tuple[np.ndarray, ...]]
Batch = tuple[tuple[torch.Tensor, ...], torch.Tensor]
"""The network's inputs, in the order that it takes them, and the targets."""

TARGETS = "targets"


def read(folder: Path) -> Arrays:
    """The arrays of one split, memory-mapped: what is not looked at stays on disk. An object can't be mapped, nor run.

    Raises:
        RetrainError: they are missing or damaged.
    """
    paths = sorted(folder.glob("*.npy"))
    for path in paths:
        files.require_regular_file(path, "run the split stage again")
    try:
        with np.errstate(over="ignore"):  # a forged shape, which ends in an error
            arrays: Arrays = {path.stem: np.lib.format.open_memmap(path, mode="r") for path in paths}
    except Exception as error:  # noqa: BLE001 (whatever a forged header makes numpy raise)
        raise RetrainError(str(folder), f"holds a damaged array ({error})", "run the split stage again") from None
    if TARGETS not in arrays:
        raise RetrainError(str(folder), "holds no encoded examples", "run the split stage first")
    return arrays


@dataclass(frozen=True)
class Examples(Dataset[Batch]):
    """Encoded examples. The DataLoader asks for a whole batch at once, which numpy gathers in one go."""

    arrays: Arrays
    gather: Gather

    def __len__(self) -> int:
        return len(self.arrays[TARGETS])

    def __getitems__(self, indices: list[int]) -> Batch:
        """The batch of these examples."""
        rows = np.asarray(indices, dtype=np.int64)
        inputs = tuple(torch.from_numpy(array) for array in self.gather(self.arrays, rows))
        return inputs, torch.from_numpy(self.arrays[TARGETS][rows])


def whole(batch: Any) -> Any:
    """`collate_fn` of a dataset that gives whole batches already."""
    return batch


class Remaining(Sampler[list[int]]):
    """Another sampler's batches without the first ones."""

    def __init__(self, batches: Sampler[list[int]], start: int) -> None:
        super().__init__()
        self.batches, self.start = batches, start

    def __iter__(self) -> Iterator[list[int]]:
        return islice(self.batches, self.start, None)


def shuffled_batches(examples: Examples, batch_size: int, seed: int, start: int) -> DataLoader[Batch]:
    """Batches in an order that the seed decides, from the one of number `start` on; the last one may be smaller."""
    generator = torch.Generator().manual_seed(seed)
    batches = BatchSampler(RandomSampler(examples, generator=generator), batch_size, drop_last=False)
    return DataLoader(examples, batch_sampler=Remaining(batches, start), generator=generator, collate_fn=whole)


def ordered_batches(examples: Examples, batch_size: int) -> DataLoader[Batch]:
    """Batches in the order of the rows."""
    return DataLoader(examples, batch_size, shuffle=False, collate_fn=whole)
