"""The reference: a strong simple model, fitted on the train split, that shows what a network adds.

It is logistic regression for classes and ridge regression for numbers, on words and pairs of words weighted by TF-IDF,
categories one-hot, and standardised numbers and dates. A missing number is the median, and has an indicator. How strongly it
uses texts next to other columns is chosen by cross-validation.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from retrain.data.encoders._ngrams import Bags, chunks_of, counted, inverse_frequencies
from retrain.data.report_csv import Columns
from retrain.evaluation.slices import as_numbers, rows_of
from retrain.models.linear import Inputs, Sparse, loss_for, minimum

import numpy as np
import torch
from torch import Tensor

__all__ = ["linear"]


HASH_BITS = 22
MINIMUM_COUNT = 2
"""Values of a category, words and pairs that occur less often in the train split are left out."""
MOST_VALUES = 1000
"""The most frequent values of a category that have an input."""
FARTHEST = 10.0
"""A number further from the mean, in standard deviations, counts as this far, so that a prediction is never extreme."""
TEXT_SCALES = (math.sqrt(10.0), 1.0, 0.0)
"""The length of a row's TF-IDF, with which texts are regularised like C = 10 in scikit-learn, and other inputs like C = 1.

Next to other columns, texts may be names, which only distract, so the best of these is chosen; 0 leaves texts out."""
FOLDS, ENOUGH, MOST_TRIED = 5, 2_000, 10_000
"""The choice predicts each of these parts of the train rows from the others, until it has predicted enough rows; of more rows than the
last number, it looks at evenly spaced ones."""


def linear(train: Columns, test: Columns, kinds: Mapping[str, str], targets: np.ndarray, outputs: int) -> Tensor:
    """The outputs of the reference for the test rows, as a network would give them: float64, (test rows, outputs).

    Args:
        train: the input columns of the train split.
        test: those of the test split.
        kinds: what each column holds: `number`, `category`, `text` or `date`.
        targets: the targets of the train split as the task encodes them.
        outputs: the number of classes, or 1.
    """
    scale = TEXT_SCALES[0]
    if {*kinds.values()} > {"text"}:
        rows = np.arange(0, len(targets), math.ceil(len(targets) / MOST_TRIED))
        scale = best_scale({name: rows_of(train[name], rows) for name in kinds}, kinds, targets[rows], outputs)
    return fitted(inputs_of(train, test, kinds, scale), targets, outputs)


def best_scale(train: Columns, kinds: Mapping[str, str], targets: np.ndarray, outputs: int) -> float:
    """The scale of texts with which rows of the train split are predicted best from others."""
    folds = np.arange(len(targets)) % FOLDS
    losses = dict.fromkeys(TEXT_SCALES, 0.0)
    for fold in range(min(FOLDS, math.ceil(FOLDS * ENOUGH / len(targets)))):
        parts = [np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)]
        own, others = ({name: rows_of(train[name], rows) for name in kinds} for rows in parts)
        loss = loss_for(targets[parts[1]], outputs, every(len(parts[1])))
        for scale in TEXT_SCALES:
            found = fitted(inputs_of(own, others, kinds, scale), targets[parts[0]], outputs)
            losses[scale] += loss(found)[0]
    return min(TEXT_SCALES, key=lambda scale: losses[scale])


def fitted(inputs: tuple[Inputs, Inputs], targets: np.ndarray, outputs: int) -> Tensor:
    """The outputs for the second inputs, of a model that is fitted on the first ones."""
    return inputs[1].times(minimum(inputs[0], loss_for(targets, outputs, every(len(targets))), outputs))


def every(rows: int) -> Tensor:
    """That all rows count: see `loss_for`."""
    return torch.ones(rows, 1, dtype=torch.float64)


def inputs_of(train: Columns, test: Columns, kinds: Mapping[str, str], scale: float) -> tuple[Inputs, Inputs]:
    """The inputs of both splits, by what the train split has."""
    splits = (train, test)
    sizes = [len(next(iter(split.values()))) for split in splits]
    dense = [[np.ones(size)] for size in sizes]
    sparse: list[list[Sparse]] = [[], []]
    columns = 0
    for name, kind in kinds.items():
        if kind in ("number", "date"):
            for columns_of, added in zip(
                dense, standardised(*(as_numbers(split[name]) for split in splits)), strict=True
            ):
                columns_of.extend(added)
        elif kind == "category":
            codes = {value: columns + number for number, value in enumerate(frequent(train[name]))}
            columns += len(codes)
            for parts, split in zip(sparse, splits, strict=True):
                known = [(row, codes[value]) for row, value in enumerate(split[name]) if value in codes]
                rows, numbers = np.array(known, np.int64).reshape(-1, 2).T
                parts.append((rows, numbers, np.ones(len(rows))))
    names = tuple(name for name, kind in kinds.items() if kind == "text" and scale)
    texts = [{name: [value or "" for value in split[name]] for name in names} for split in splits]
    if names and (bags := bags_of(texts[0], names)):
        for parts, split in zip(sparse, texts, strict=True):
            rows, numbers, values = entries(bags, split)
            parts.append((rows, columns + numbers, scale * values))
        columns += bags.size
    own, others = (Inputs.of(own, together(parts), columns) for own, parts in zip(dense, sparse, strict=True))
    return own, others


def together(parts: list[Sparse]) -> Sparse:
    """The entries of all parts."""
    empty = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    rows, columns, values = (np.concatenate(arrays) for arrays in zip(empty, *parts, strict=True))
    return rows, columns, values


def standardised(train: np.ndarray, test: np.ndarray) -> list[list[np.ndarray]]:
    """The columns of a number in both splits: itself, unless it is constant, and an indicator if it is ever missing."""
    missing = np.isnan(train)
    if missing.all():
        return [[], []]
    unit = np.abs(train[~missing]).max() or 1.0  # squares of tiny numbers would be zero
    train, test = train / unit, test / unit
    median = np.median(train[~missing])
    filled = np.where(missing, median, train)
    mean, deviation = filled.mean(), filled.std()
    columns: list[list[np.ndarray]] = [[], []]
    for own, values in zip(columns, (train, test), strict=True):
        if deviation > 0:
            own.append(((np.where(np.isnan(values), median, values) - mean) / deviation).clip(-FARTHEST, FARTHEST))
        if missing.any():
            own.append(np.isnan(values).astype(np.float64))
    return columns


def frequent(values: Sequence[str | None]) -> list[str | None]:
    """The frequent values of a category, in order; a missing one is a value."""
    counts = Counter(values)
    chosen = [value for value, count in counts.items() if count >= MINIMUM_COUNT]
    return sorted(chosen, key=lambda value: (-counts[value], value or ""))[:MOST_VALUES]


def bags_of(texts: Columns, names: tuple[str, ...]) -> Bags | None:
    """The frequent words and pairs of words, weighted by inverse frequency; None if there are none."""
    rows = len(texts[names[0]])
    chunks = list(chunks_of(texts, names, HASH_BITS, 0))
    buckets, counts = counted(chunks, np.zeros(rows, np.int64), HASH_BITS, MINIMUM_COUNT)
    if not len(buckets):
        return None
    weights = inverse_frequencies(counts, rows).astype("<f2")
    return Bags(names, HASH_BITS, 0, buckets.tobytes(), weights.tobytes())


def entries(bags: Bags, texts: Columns) -> Sparse:
    """The TF-IDF of texts, where each row has the length 1."""
    arrays = bags.encode(texts)
    features, lengths = arrays["features"], np.diff(arrays["offsets"])
    values = arrays["feature_weights"][features] * np.repeat(arrays["scales"][:, 0], lengths)
    return (
        np.repeat(np.arange(len(lengths)), lengths),
        features.astype(np.int64),
        values.astype(np.float64),
    )
