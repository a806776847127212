"""Text as bags of words, word pairs and character n-grams, with a weight for each feature.

The weights are naive-Bayes log-count ratios (Wang and Manning 2012, NB-SVM) times inverse frequencies.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from retrain import threads
from retrain.data.encoders import Arrays, EncoderParameters
from retrain.data.encoders._ngrams import (
    THREADS,
    Bags,
    Bits,
    Chunk,
    NgramLength,
    bags_of,
    chunks_of,
    counted,
    inverse_frequencies,
    order_of,
    starts_of,
)
from retrain.errors import RetrainError
from retrain.schema import AtLeastOne

import numpy as np
from pydantic import NonNegativeFloat

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Encoder", "Parameters"]


WHERE = "split.encoder"
FEATURES_AT_ONCE = 1 << 16


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

        A numeric target counts as two classes: above the mean, or not. If there are real classes, the arrays have the
        `log_ratios` that the network may start from: float16, (features, classes).

        Raises:
            RetrainError: no feature is frequent enough, or none reaches `min_log_ratio`.
        """
        columns = tuple(rows.columns)
        chunks = list(chunks_of(rows, columns, parameters.hash_bits, parameters.char_ngrams))
        encoder, log_ratios = cls.of_chunks(columns, chunks, targets, parameters)
        start = {"log_ratios": log_ratios} if targets.dtype.kind == "i" else {}
        return encoder, {**encoder.arrays_of(chunks), **start}

    @classmethod
    def of_chunks(
        cls, columns: tuple[str, ...], chunks: Sequence[Chunk], targets: np.ndarray, parameters: Parameters
    ) -> tuple[Self, np.ndarray]:
        """Learn from the `chunks` of `chunks_of`; see `fit_encode`. Also returns the log-count ratios of the features."""
        classes = targets if targets.dtype.kind == "i" else (targets > targets.mean()).ravel().astype(np.int64)
        frequent, counts = counted(chunks, classes, parameters.hash_bits, parameters.minimum_count)
        if not len(frequent):
            raise RetrainError(
                WHERE, f"no feature occurs {parameters.minimum_count:,} times in the train split", "lower minimum_count"
            )
        log_ratios, largest = log_ratios_of(counts)
        feature_weights = (largest * inverse_frequencies(counts, len(targets))).astype("<f2")
        telling = (largest >= parameters.min_log_ratio) & (feature_weights > 0)
        if not telling.any():
            raise RetrainError(
                WHERE, f"no feature reaches min_log_ratio = {parameters.min_log_ratio:g}", "lower min_log_ratio"
            )
        buckets, feature_weights = frequent[telling].astype("<i4"), feature_weights[telling]
        learned = buckets.tobytes(), feature_weights.tobytes()
        return cls(columns, parameters.hash_bits, parameters.char_ngrams, *learned), log_ratios[telling]

    @staticmethod
    def gather(arrays: Arrays, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """A batch as a sparse matrix, by rows for the outputs of a network and by features for its gradients.

        A row has a bag of features for each group, so there are batch x groups bags.

        Returns:
            `features`: int32, (features of all bags,), and `offsets`, the start of each bag in them: int32, (bags,);
            `distinct`, the features of the batch in ascending order, and `squares`, their squared weights: int32 and
            float32, (distinct,); `bags`, the bags that have the first distinct feature, then those that have the second,
            and so on: int32, like `features`, and `starts`, the start of each distinct feature in them: int32,
            (distinct,); `scales`, of each bag: float32, (batch, groups).
        """
        features, lengths, offsets = bags_of(arrays, rows)
        order = order_of(features.view(np.uint32))
        in_order = features.take(order)
        starts = starts_of(in_order)
        distinct = in_order.take(starts)
        squares = np.square(arrays["feature_weights"].take(distinct, mode="clip"))
        bags = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths).take(order)
        return (
            features,
            offsets.astype(np.int32),
            distinct,
            squares,
            bags,
            starts.astype(np.int32),
            arrays["scales"][rows],
        )

    @staticmethod
    def gather_to_predict(arrays: Arrays, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """The `features`, `offsets` and `scales` of `gather`: outputs need no more, and the rest takes most of the time."""
        if len(arrays["scales"]) == len(rows) == 1:  # the only row's are as they must be
            return arrays["features"], arrays["offsets"][:-1].astype(np.int32), arrays["scales"]
        features, _, offsets = bags_of(arrays, rows)
        return features, offsets.astype(np.int32), arrays["scales"][rows]


def log_ratios_of(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The log-count ratios of each feature, of one class against all others, and the largest absolute one.

    Half a count is added to all counts, so that none is zero.

    Args:
        counts: the count of each feature in each class: int64, (features, classes).

    Returns:
        float16, (features, classes), and float64, (features,).
    """
    smoothing = 0.5
    totals = counts.sum(axis=1, keepdims=True)
    logs = np.log(np.arange(totals.max() + 1) + smoothing)  # the same few counts occur again and again
    of_classes, added = counts.sum(axis=0), smoothing * len(counts)
    inside, outside = np.log(of_classes + added), np.log(of_classes.sum() - of_classes + added)

    def of_some(begin: int) -> tuple[np.ndarray, np.ndarray]:
        some, rest = counts[begin : begin + FEATURES_AT_ONCE], totals[begin : begin + FEATURES_AT_ONCE]
        ratios = logs.take(some) - logs.take(rest - some) - inside + outside
        return ratios.astype("<f2"), np.abs(ratios).max(axis=1)

    ratios, largest = zip(*threads.ahead(of_some, range(0, len(counts), FEATURES_AT_ONCE), THREADS), strict=True)
    return np.concatenate(ratios), np.concatenate(largest)
