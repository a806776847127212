"""The words of texts as hashes, so that whole arrays of them can be compared."""

from collections.abc import Sequence
from dataclasses import dataclass

from retrain.data.encoders._ngrams import Texts
from retrain.data.encoders._text import encoded_content

import numpy as np

__all__ = ["Words", "unknown_shares", "words_of"]


ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class Words:
    """The words of some rows, without case and punctuation."""

    hashes: np.ndarray
    """The hash of each word, row by row: uint64, (words of all rows,)."""
    offsets: np.ndarray
    """The start of each row in it, and the end of the last one: int64, (rows + 1,)."""

    @property
    def counts(self) -> np.ndarray:
        """The number of words of each row: int64, (rows,)."""
        return np.diff(self.offsets)

    def of(self, row: int) -> np.ndarray:
        """The distinct words of a row, in ascending order."""
        return np.unique(self.hashes[self.offsets[row] : self.offsets[row + 1]])


def words_of(texts: Sequence[str]) -> Words:
    """The words of texts. Those of a script without spaces are whole phrases."""
    hashes, lengths = [np.empty(0, np.uint64)], [np.zeros(1, np.int64)]
    for begin in range(0, len(texts), ROWS_AT_ONCE):
        contents = [encoded_content(text) + b" " for text in texts[begin : begin + ROWS_AT_ONCE]]
        places = np.cumsum([0, *map(len, contents)])
        joined = Texts.of(b"".join(contents), places)
        space = np.frombuffer(joined.content, np.uint8) == ord(" ")
        ends = np.flatnonzero(space[1:] & ~space[:-1]) + 1
        begins = np.flatnonzero(~space & np.concatenate([[True], space[:-1]]))
        hashes.append((joined.sums[ends] - joined.sums[begins]) * joined.inverses[begins])
        lengths.append(np.diff(np.searchsorted(begins, places)))
    return Words(np.concatenate(hashes), np.cumsum(np.concatenate(lengths)))


def unknown_shares(words: Words, known: Words) -> np.ndarray:
    """The share of each row's words that no other rows have: float64, (rows,); NaN where a row has no words."""
    distinct = np.append(np.unique(known.hashes), np.uint64(0))
    unknown = distinct[np.searchsorted(distinct[:-1], words.hashes)] != words.hashes
    rows = np.repeat(np.arange(len(words.counts)), words.counts)
    counts = np.where(words.counts > 0, words.counts, np.nan)
    shares: np.ndarray = np.bincount(rows, weights=unknown, minlength=len(counts)) / counts
    return shares
