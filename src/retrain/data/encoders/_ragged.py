"""Rows of different lengths, end to end in one array."""

import numpy as np


def places_of(offsets: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the parts of some rows stand in arrays that hold all rows end to end.

    Args:
        offsets: where each row's parts begin, and where the last one's end: int64, (all rows + 1,).
        rows: the rows of a batch: int64, (batch,).

    Returns:
        The places: int64, (parts of the batch,); how many each row has, and where its own begin in the batch: int64,
        (batch,).
    """
    begins = offsets[rows]
    lengths = offsets[rows + 1] - begins
    ends = np.cumsum(lengths)
    shift = begins - ends + lengths
    return np.arange(ends[-1]) + np.repeat(shift, lengths), lengths, ends - lengths
