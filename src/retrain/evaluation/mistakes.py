"""Rows worth reading: mistakes, labels that are probably wrong, and test rows that almost repeat a train row."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from retrain.data.report_csv import Columns, significant
from retrain.evaluation.metrics import prediction_table, renamed
from retrain.evaluation.slices import as_numbers
from retrain.evaluation.words import Words

import numpy as np

__all__ = [
    "FEWEST_WORDS",
    "Split",
    "label_errors",
    "largest_errors",
    "near_duplicates",
    "repeated_rows",
    "repeated_texts",
]


MISTAKES, LABELS, DUPLICATES = 20, 50, 50
"""The most rows of each table."""
SIMILAR = 0.8
"""The share of common words, of all words of two texts, from which they are near-duplicates."""
FEWEST_WORDS = 8
"""Texts of fewer words may be equal by chance."""
BANDS, HASHES = 10, 3
"""With these, texts that share 60 % of their pairs of words are compared with a probability of 91 %, of 80 %: 99.9 %."""
PARTNERS = 20
"""The most train rows with which a row is compared, in each band or direction."""
COMPARED = 3
"""Of these, the rows in the most bands are compared word by word."""
WORDS_AT_ONCE = 1 << 20
TOLERANCE = 0.01
"""The largest difference of nearly equal numbers, in standard deviations of the column."""
DIRECTIONS = 3
BY_CHANCE = 0.01
"""A table tells no near-duplicates if a test row has more than this number of them by chance."""
PAIRS = 10_000
"""Pairs of rows from which that number is estimated."""


class Split(NamedTuple):
    """Rows that the model did not learn from, with its answers."""

    inputs: Columns
    labels: np.ndarray
    """The number of each row's class: int64, (rows,)."""
    probabilities: np.ndarray
    """float64, (rows, classes)."""


def largest_errors(inputs: Columns, targets: Sequence[Any], predictions: Columns) -> Columns:
    """The most confident mistakes, or the largest errors: at most 20 rows of the test split, the worst first.

    Args:
        inputs: the input columns of the test split.
        targets: its targets.
        predictions: `predicted`, and for classes `probability`, that of the predicted class.

    Returns:
        `row`, the inputs, `target`, `predicted`, and `probability` or `error`, which is the prediction less the target.
    """
    predicted = predictions["predicted"]
    if "probability" in predictions:
        shown = np.asarray(predictions["probability"])
        wrong = [row for row, (target, answer) in enumerate(zip(targets, predicted, strict=True)) if target != answer]
        rows = sorted(wrong, key=lambda row: -shown[row])[:MISTAKES]
        name = "probability"
    else:
        shown, name = np.asarray(predicted) - np.asarray(targets), "error"
        rows = [row for row in np.argsort(-np.abs(shown), kind="stable")[:MISTAKES].tolist() if shown[row]]
    last = {"predicted": taken(predicted, rows), name: [significant(shown[row]) for row in rows]}
    table = prediction_table({key: taken(values, rows) for key, values in inputs.items()}, taken(targets, rows), last)
    return {**table, "row": rows}


def label_errors(splits: Mapping[str, Split], classes: Sequence[str]) -> tuple[Columns, int]:
    """Rows whose label is probably wrong, by confident learning.

    A class is a candidate for a row if the row's probability of it is at least the mean over the rows with that label. A row
    is suspicious if the likeliest candidate is not its label. The method is the confident joint of Northcutt, Jiang and
    Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70 (2021), whose off-diagonal rows these
    are. The first rows have the largest difference between the probabilities of the candidate and of the label.

    Returns:
        `split`, `row`, the inputs, `label`, `suggested` and `probability`, that of the label, for at most 50 rows; and the
        number of all suspicious rows.
    """
    labels = np.concatenate([split.labels for split in splits.values()])
    probabilities = np.concatenate([split.probabilities for split in splits.values()])
    known = np.bincount(labels, minlength=len(classes)) > 0
    thresholds = np.array([
        probabilities[labels == number, number].mean() if known[number] else np.inf for number in range(len(classes))
    ])  # fmt: skip
    candidates = np.where(probabilities >= thresholds, probabilities, -1.0)
    suggested = candidates.argmax(axis=1)
    every = np.arange(len(labels))
    margins = candidates[every, suggested] - probabilities[every, labels]
    suspicious = (candidates.max(axis=1) >= 0) & (suggested != labels) & (margins > 0)
    rows = np.flatnonzero(suspicious)
    rows = rows[np.argsort(-margins[rows], kind="stable")][:LABELS]

    places = [(name, row) for name, split in splits.items() for row in range(len(split.labels))]
    chosen = [places[row] for row in rows]
    names = next(iter(splits.values())).inputs
    inputs = {name: [splits[split].inputs[name][row] for split, row in chosen] for name in names}
    table: Columns = {"split": [split for split, _ in chosen], "row": [row for _, row in chosen]}
    last = {
        "label": [classes[number] for number in labels[rows]],
        "suggested": [classes[number] for number in suggested[rows]],
        "probability": list(map(significant, probabilities[rows, labels[rows]].tolist())),
    }
    return {**table, **renamed(inputs, {*table, *last}), **last}, int(suspicious.sum())


def near_duplicates(
    pairs: Sequence[tuple[int, int, float]], test: Columns, train: Columns, columns: Sequence[str], target: str
) -> Columns:
    """A table of pairs of a test row, a train row and their similarity: at most 50, the most similar first.

    Args:
        pairs: from `repeated_texts` or `repeated_rows`.
        test: the test split.
        train: the train split.
        columns: the names of the inputs.
        target: the name of the target's column.

    Returns:
        `test_row`, `train_row`, `similarity`, and for each input and the target a column of each split, such as
        `test_age` and `train_age`, `test_target` and `train_target`.
    """
    chosen = sorted(pairs, key=lambda pair: (-pair[2], pair))[:DUPLICATES]
    table: Columns = {
        "test_row": [pair[0] for pair in chosen],
        "train_row": [pair[1] for pair in chosen],
        "similarity": [significant(pair[2]) for pair in chosen],
    }
    inputs = renamed({name: name for name in columns}, {"row", "target"})
    for shown, name in {**inputs, "target": target}.items():
        table[f"test_{shown}"] = taken(test[name], table["test_row"])
        table[f"train_{shown}"] = taken(train[name], table["train_row"])
    return table


def taken(values: Any, rows: Sequence[int]) -> list[Any]:
    """Some values of a column."""
    return [values[row] for row in rows]


def repeated_texts(test: Words, train: Words) -> list[tuple[int, int, float]]:
    """Test rows of which a train row has almost the same words, each with the most similar one that was found.

    Similarity is the share of common words among all different words of both rows (Jaccard), at least 0.8. Only rows with
    equal minima of hashes are candidates (MinHash: Broder, "On the resemblance and containment of documents", 1997), at most
    20 in each of ten bands. The three in the most bands are compared, so the time grows with the number of rows only.
    """
    rows, others = (np.flatnonzero(words.counts >= FEWEST_WORDS) for words in (test, train))
    if not len(rows) or not len(others):
        return []
    found = [
        pairs_of_equal(own, other) for own, other in zip(bands_of(test, rows), bands_of(train, others), strict=True)
    ]
    pairs = np.concatenate(found)
    keys, bands = np.unique(pairs[:, 0] * len(others) + pairs[:, 1], return_counts=True)
    places = keys // len(others)
    order = np.lexsort([-bands, places])  # for each row, the likeliest first
    keys, starts = keys[order], np.searchsorted(places, np.arange(len(rows) + 1))
    alike = []
    for row, begin, end in zip(rows.tolist(), starts, starts[1:], strict=False):
        candidates = others[keys[begin : min(end, begin + COMPARED)] % len(others)].tolist()
        compared = [(similarity(test.of(row), train.of(other)), -other) for other in candidates]
        if compared and max(compared)[0] >= SIMILAR:
            alike.append((row, -max(compared)[1], max(compared)[0]))
    return alike


def similarity(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The share of common values in all values of two arrays without repeated ones."""
    common = len(np.intersect1d(ours, theirs, assume_unique=True))
    return common / (len(ours) + len(theirs) - common)


def bands_of(words: Words, rows: np.ndarray) -> np.ndarray:
    """For each band a hash of the minima of three hashes over the pairs of neighbouring words: uint64, (bands, rows)."""
    generator = np.random.default_rng(2)
    factors = generator.integers(1, 1 << 63, (BANDS, HASHES), dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    bands = np.zeros((BANDS, len(rows)), np.uint64)
    ends = np.cumsum(words.counts[rows] - 1)
    cuts = np.searchsorted(ends, np.arange(WORDS_AT_ONCE, ends[-1], WORDS_AT_ONCE))
    for part in np.split(np.arange(len(rows)), np.unique(cuts)):
        if not len(part):
            continue
        lengths = words.counts[rows[part]] - 1
        begins = np.cumsum(lengths) - lengths
        places = np.arange(lengths.sum()) + np.repeat(words.offsets[rows[part]] - begins, lengths)
        pairs = mixed(mixed(words.hashes[places]) + words.hashes[places + 1])
        for band, hashes in zip(bands, factors, strict=True):
            for factor in hashes:
                minima = np.minimum.reduceat(pairs * factor, begins)
                band[part] = mixed(band[part] ^ minima)
    return bands


def mixed(values: np.ndarray) -> np.ndarray:
    """A hash of 64-bit numbers: the finalizer of SplitMix64."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: np.ndarray = values ^ (values >> np.uint64(31))
    return result


def pairs_of_equal(own: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The places of equal values in two arrays, at most 20 for each value of the first: int64, (pairs, 2)."""
    order = np.argsort(others, kind="stable")
    begins = np.searchsorted(others[order], own, side="left")
    counts = np.minimum(np.searchsorted(others[order], own, side="right") - begins, PARTNERS)
    rows = np.repeat(np.arange(len(own)), counts)
    places = np.arange(counts.sum()) + np.repeat(begins - np.cumsum(counts) + counts, counts)
    return np.stack([rows, order[places]], axis=1)


def repeated_rows(test: Columns, train: Columns, kinds: Mapping[str, str]) -> list[tuple[int, int, float]]:
    """Test rows of which a train row is equal or nearly equal in all inputs, each with the nearest one that was found.

    Categories and texts must be equal except for case and spaces; numbers and dates may differ by a hundredth of the
    column's standard deviation. Similarity is 1 less the largest such difference, in standard deviations. A row is compared
    with its neighbours in three random directions, so the time grows with the number of rows only.

    Where so few columns tell rows apart that near-duplicates are expected by chance, none are returned.
    """
    own, others = matrices(test, train, kinds)
    if not len(own) or not len(others) or not own.shape[1]:
        return []
    generator = np.random.default_rng(3)
    pairs = generator.integers(len(own), size=PAIRS), generator.integers(len(others), size=PAIRS)
    alike = np.mean(np.abs(own[pairs[0]] - others[pairs[1]]) <= TOLERANCE, axis=0)
    if len(others) * np.prod(alike.clip(1 / PAIRS)) > BY_CHANCE:
        return []
    best, nearest = np.full(len(own), np.inf), np.zeros(len(own), np.int64)
    for direction in generator.normal(size=(DIRECTIONS, own.shape[1])):
        along = others @ direction
        order = np.argsort(along, kind="stable")
        middle = np.searchsorted(along[order], own @ direction)
        for step in range(-PARTNERS // 2, PARTNERS // 2):
            candidates = order[(middle + step).clip(0, len(order) - 1)]
            distances = np.abs(own - others[candidates]).max(axis=1)
            closer = distances < best
            best[closer], nearest[closer] = distances[closer], candidates[closer]
    return [(row, int(nearest[row]), 1.0 - float(best[row])) for row in np.flatnonzero(best <= TOLERANCE).tolist()]


def matrices(test: Columns, train: Columns, kinds: Mapping[str, str]) -> tuple[np.ndarray, np.ndarray]:
    """Both splits as numbers, in standard deviations of the train split: float64, (rows, columns).

    Different categories differ by 1000 at least, and so do a missing number and any other.
    """
    columns = []
    for name, kind in kinds.items():
        if kind in ("number", "date"):
            pair = [as_numbers(table[name]) for table in (test, train)]
            there = pair[1][~np.isnan(pair[1])]
            low, scale = (there.min(), there.std()) if len(there) else (0.0, 0.0)
            columns.append([np.nan_to_num((part - low) / (scale or 1.0), nan=-1e6) for part in pair])
        else:
            codes: dict[str, int] = {}
            pair = []
            for table in (test, train):
                values = [" ".join((value or "").casefold().split()) for value in table[name]]
                pair.append(np.array([1e3 * codes.setdefault(value, len(codes)) for value in values]))
            columns.append(pair)
    own, others = zip(*columns, strict=True)
    return np.stack(own, axis=1), np.stack(others, axis=1)
