"""Rows of different lengths, concatenated in one array."""

import numpy as np

__all__ = ["places_of"]


def places_of(offsets: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the parts of the given rows are, in arrays that concatenate the parts of all rows.

    Args:
        offsets: the start of each row's parts, and the end of the last row's: int64, (all rows + 1,).
        rows: the rows of a batch: int64, (batch,).

    Returns:
        The places: int64, (parts of the batch,); the number of parts of each row, and their start in the batch: int64,
        (batch,).
    """
    begins = offsets[rows]
    lengths = offsets[rows + 1] - begins
    ends = np.cumsum(lengths)
    places = np.repeat(begins - ends + lengths, lengths)
    places += np.arange(len(places))
    return places, lengths, ends - lengths
