"""Text as bags of words, word pairs and character n-grams, with a weight for each feature.

The weights are naive-Bayes log-count ratios (Wang and Manning 2012, NB-SVM) times inverse frequencies.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from retrain.data.encoders import Arrays, EncoderParameters
from retrain.data.encoders._ngrams import (
    NONE,
    Bags,
    Bits,
    Chunk,
    NgramLength,
    chunks_of,
    inverse_frequencies,
    looked_up,
    table_of,
)
from retrain.errors import RetrainError
from retrain.schema import AtLeastOne

import numpy as np
from pydantic import NonNegativeFloat

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Encoder", "Parameters"]


WHERE = "split.encoder"


class Parameters(EncoderParameters):
    """Parameters of `name: ngrams`."""

    minimum_count: AtLeastOne
    """Features that occur less often in the train split are left out."""
    min_log_ratio: NonNegativeFloat
    """Features whose largest log-count ratio is smaller are left out, because they tell the classes apart badly."""
    hash_bits: Bits
    """Bits of a feature's hash: there are 2**hash_bits buckets."""
    char_ngrams: NgramLength
    """Length of the character n-grams in bytes of UTF-8, spaces included; 0 for words and pairs only."""


class Encoder(Bags):
    """Buckets and weights that tell the classes apart."""

    @classmethod
    def fit_encode(cls, rows: "pd.DataFrame", targets: np.ndarray, parameters: Parameters) -> tuple[Self, Arrays]:
        """Learn the features and their weights, and encode the rows.

        A numeric target counts as two classes: above the mean, or not.

        Raises:
            RetrainError: no feature is frequent enough, or none reaches `min_log_ratio`.
        """
        columns = tuple(rows.columns)
        chunks = list(chunks_of(rows, columns, parameters.hash_bits, parameters.char_ngrams))
        encoder = cls.of_chunks(columns, chunks, targets, parameters)
        return encoder, encoder.arrays_of(chunks)

    @classmethod
    def of_chunks(
        cls, columns: tuple[str, ...], chunks: Sequence[Chunk], targets: np.ndarray, parameters: Parameters
    ) -> Self:
        """Learn from the `chunks` of `chunks_of`; see `fit_encode`."""
        classes = targets if targets.dtype.kind == "i" else targets > targets.mean()
        found = np.concatenate([buckets for buckets, _ in chunks])
        labels = np.repeat(classes.astype(np.int32), np.concatenate([lengths.sum(axis=1) for _, lengths in chunks]))
        frequent = np.flatnonzero(np.bincount(found, minlength=1 << parameters.hash_bits) >= parameters.minimum_count)
        if not len(frequent):
            raise RetrainError(
                WHERE, f"no feature occurs {parameters.minimum_count:,} times in the train split", "lower minimum_count"
            )
        features = looked_up(table_of(frequent, parameters.hash_bits), found)
        known = features != NONE
        shape = (len(frequent), int(classes.max()) + 1)
        cells = np.compress(known, features) * np.int64(shape[1]) + np.compress(known, labels)
        counts = np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)
        log_ratios = largest_log_ratios(counts)
        feature_weights = (log_ratios * inverse_frequencies(counts, len(targets))).astype("<f2")
        telling = (log_ratios >= parameters.min_log_ratio) & (feature_weights > 0)
        if not telling.any():
            raise RetrainError(
                WHERE, f"no feature reaches min_log_ratio = {parameters.min_log_ratio:g}", "lower min_log_ratio"
            )
        buckets, feature_weights = frequent[telling].astype("<i4"), feature_weights[telling]
        return cls(columns, parameters.hash_bits, parameters.char_ngrams, buckets.tobytes(), feature_weights.tobytes())


def largest_log_ratios(counts: np.ndarray) -> np.ndarray:
    """The largest absolute log-count ratio of each feature, of one class against all others.

    Half a count is added to all counts, so that none is zero.

    Args:
        counts: the count of each feature in each class: int64, (features, classes).

    Returns:
        float64, (features,).
    """
    smoothing = 0.5
    inside, outside = counts + smoothing, counts.sum(axis=1, keepdims=True) - counts + smoothing
    ratios = np.log(inside) - np.log(outside) - np.log(inside.sum(axis=0)) + np.log(outside.sum(axis=0))
    largest: np.ndarray = np.abs(ratios).max(axis=1)
    return largest
