"""Text as bags of words, word pairs and runs of characters, each weighted by how much it tells of the target.

The features are found by hashing whole arrays of bytes: there is no Python object per word, so this is faster than any
dictionary of strings. Sources: hashed features, Weinberger et al. 2009; weights by naive-Bayes log-count ratios, Wang
and Manning 2012 (NB-SVM).
"""

import base64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Annotated, Any

from retrain.data.encoders import Arrays, EncoderParameters, Rows
from retrain.data.encoders._ragged import places_of
from retrain.data.encoders._text import OfText
from retrain.errors import RetrainError
from retrain.schema import AtLeastOne, Names, Section

import numpy as np
from pydantic import Field, NonNegativeFloat, model_validator

if TYPE_CHECKING:
    import pandas as pd

SPACE, WORD, MARK = 0, 1, 2
"""Kinds of bytes: what parts words, what words are made of (all of non-ASCII counts as that), what stands alone."""

KINDS = np.full(256, MARK, dtype=np.uint8)
KINDS[[ord(character) for character in " \t\v\f\r"]] = SPACE
KINDS[[*map(ord, "0123456789_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"), *range(128, 256)]] = WORD

PUNCTUATION = (0xE2, 0x80)
"""The first two of the three bytes of dashes and typographic quotation marks: U+2000 to U+203F."""

FIRST, LAST = "\x02", "\x03"
"""Marks around each column: what begins or ends a headline is told from what stands in it."""

BASE = np.uint64(0x100000001B3)
"""The polynomial's base; it is odd, so it has an inverse modulo 2**64."""
PAIR, TITLE, SPREAD = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93), np.uint64(0xC2B2AE3D27D4EB4F)
"""Odd multipliers: of a pair's first word, of a title's words, and of what becomes a bucket."""
RUN = np.uint64(0x165667B19E3779F9)
"""What tells a run of characters from the word with the same ones."""

Chunk = tuple[np.ndarray, np.ndarray]
"""The buckets of some rows, end to end, and how many of each group each row has: (rows, groups)."""

PLACE = "split.encoder"
ROWS_AT_ONCE = 1024
NONE = -1
Bits = Annotated[int, Field(ge=8, le=26)]
RunLength = Annotated[int, Field(ge=0, le=8)]
"""In bytes of UTF-8; 0 where runs of characters are no features."""


class Parameters(EncoderParameters):
    """Parameters of `name: ngrams`."""

    minimum_count: AtLeastOne
    """Features that the train split has less often are left out."""
    min_log_ratio: NonNegativeFloat
    """So are those whose largest naive-Bayes log-count ratio is smaller: they tell little of any class."""
    hash_bits: Bits
    """Features are told apart by a hash of so many bits."""
    char_ngrams: RunLength
    """So many neighbouring bytes of UTF-8 are a feature too, spaces included; 0 where only words and pairs are."""


class Learned(Section):
    """What `Encoder.to_json` gives."""

    columns: Names
    hash_bits: Bits
    char_ngrams: RunLength
    buckets: str
    importance: str

    @model_validator(mode="after")
    def check_lengths(self) -> "Learned":
        """Every bucket that is told apart has its importance."""
        buckets = np.frombuffer(decoded(self.buckets), "<i4")
        importance = np.frombuffer(decoded(self.importance), "<f2")
        if not len(buckets) == len(importance) > 0:
            raise ValueError("buckets and importance differ in number")
        if buckets[0] < 0 or buckets[-1] >= 1 << self.hash_bits or (buckets[1:] <= buckets[:-1]).any():
            raise ValueError("buckets are not in order")
        if not (np.isfinite(importance) & (importance > 0)).all():
            raise ValueError("importance is not positive")
        return self


@dataclass(frozen=True)
class Encoder(OfText):
    """The buckets of the hash that are features, in ascending order (int32), and the importance of each (float16)."""

    columns: tuple[str, ...]
    hash_bits: int
    char_ngrams: int
    buckets: bytes = field(repr=False)
    importance: bytes = field(repr=False)

    @classmethod
    def fit_encode(cls, rows: "pd.DataFrame", targets: np.ndarray, parameters: Parameters) -> "tuple[Encoder, Arrays]":
        """Learn which features there are and how much each tells, and encode the rows.

        A numeric target counts as two classes: above the mean, or not.

        Raises:
            RetrainError: no feature is left.
        """
        columns = tuple(rows.columns)
        chunks = list(chunks_of(rows, columns, parameters.hash_bits, parameters.char_ngrams))
        encoder = cls.of_chunks(columns, chunks, targets, parameters)
        return encoder, encoder.arrays_of(chunks)

    @classmethod
    def of_chunks(
        cls, columns: tuple[str, ...], chunks: Sequence[Chunk], targets: np.ndarray, parameters: Parameters
    ) -> "Encoder":
        """See `fit_encode`; `chunks` as `chunks_of` gives them."""
        classes = targets if targets.dtype.kind == "i" else targets > targets.mean()
        found = np.concatenate([buckets for buckets, _ in chunks])
        labels = np.repeat(classes.astype(np.int32), np.concatenate([lengths.sum(axis=1) for _, lengths in chunks]))
        frequent = np.flatnonzero(np.bincount(found, minlength=1 << parameters.hash_bits) >= parameters.minimum_count)
        if not len(frequent):
            raise RetrainError(
                PLACE, f"no word occurs {parameters.minimum_count:,} times in the train split", "lower minimum_count"
            )
        features = looked_up(table_of(frequent, parameters.hash_bits), found)
        known = features != NONE
        shape = (len(frequent), int(classes.max()) + 1)
        cells = np.compress(known, features) * np.int64(shape[1]) + np.compress(known, labels)
        counts = np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)
        ratios = largest_ratios(counts)
        importance = (ratios * inverse_frequencies(counts, len(targets))).astype("<f2")
        telling = (ratios >= parameters.min_log_ratio) & (importance > 0)
        if not telling.any():
            raise RetrainError(
                PLACE, f"no word reaches min_log_ratio = {parameters.min_log_ratio:g}", "lower min_log_ratio"
            )
        buckets, importance = frequent[telling].astype("<i4"), importance[telling]
        return cls(columns, parameters.hash_bits, parameters.char_ngrams, buckets.tobytes(), importance.tobytes())

    @classmethod
    def from_json(cls, learned: Any) -> "Encoder":
        """Rebuild an encoder from what `to_json` gave; raises ValueError where it is something else."""
        read = Learned.model_validate(learned)
        return cls(read.columns, read.hash_bits, read.char_ngrams, decoded(read.buckets), decoded(read.importance))

    def to_json(self) -> dict[str, Any]:
        """Columns, bits, what length runs of characters have, and the two arrays as base64 of their little-endian bytes."""
        arrays = {"buckets": self.buckets, "importance": self.importance}
        encoded = {name: base64.b64encode(array).decode() for name, array in arrays.items()}
        return {"columns": list(self.columns), "hash_bits": self.hash_bits, "char_ngrams": self.char_ngrams, **encoded}

    @property
    def groups(self) -> int:
        """Groups of features: words and pairs, and, where there are any, runs of characters."""
        return 2 if self.char_ngrams else 1

    @property
    def size(self) -> int:
        """How many features there are."""
        return len(self.buckets) // 4

    def describe(self) -> str:
        """How many features were learned."""
        kinds = f"words, pairs and runs of {self.char_ngrams} bytes" if self.char_ngrams else "words and pairs"
        return f"{self.size:,} {kinds}"

    @cached_property
    def table(self) -> np.ndarray:
        """The feature of each bucket, or NONE."""
        return table_of(np.frombuffer(self.buckets, "<i4"), self.hash_bits)

    @cached_property
    def weights(self) -> np.ndarray:
        """The importance of each feature: float32, (features,)."""
        return np.frombuffer(self.importance, "<f2").astype(np.float32)

    def encode(self, rows: Rows) -> Arrays:
        """See `arrays_of`."""
        return self.arrays_of(chunks_of(rows, self.columns, self.hash_bits, self.char_ngrams))

    def arrays_of(self, chunks: Iterable[Chunk]) -> Arrays:
        """Features of all rows end to end, those of a group together, and what scales them.

        Returns:
            `features`: int32, (features of all rows,); `offsets`, where those of each row and group begin, and where the
            last ones end: int64, (rows x groups + 1,); `scales`, by which the groups that a row has are of one length, and
            the row of unit length: float32, (rows, groups); `importance`: float32, (features that there are,).
        """
        features, lengths = [np.empty(0, np.int32)], [np.empty(0, np.int64)]
        for buckets, counts in chunks:
            found = looked_up(self.table, buckets)
            known = found != NONE
            features.append(np.compress(known, found))
            lengths.append(sums_of(known, counts.ravel()))
        every, counts = np.concatenate(features), np.concatenate(lengths)
        squares = sums_of(np.square(self.weights[every]), counts).reshape(-1, self.groups)
        norms = np.sqrt(squares * (squares > 0.0).sum(axis=1, keepdims=True))
        return {
            "features": every,
            "offsets": np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            "scales": (1.0 / np.where(norms == 0.0, 1.0, norms)).astype(np.float32),
            "importance": self.weights,
        }

    @staticmethod
    def gather(arrays: Arrays, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """The batch's features end to end (int64), their weights (float32), and where each row's begin (int64, (batch,))."""
        scales = arrays["scales"][rows]
        groups = np.arange(scales.shape[1])
        places, lengths, begins = places_of(arrays["offsets"], (rows[:, None] * len(groups) + groups).ravel())
        features = arrays["features"][places].astype(np.int64)
        weights = arrays["importance"][features] * np.repeat(scales.ravel(), lengths)
        return features, weights, begins[:: len(groups)]


def decoded(text: str) -> bytes:
    """The bytes that a text in base64 stands for; raises ValueError where it is none."""
    return base64.b64decode(text, validate=True)


def table_of(buckets: np.ndarray, bits: int) -> np.ndarray:
    """The place of each bucket among some of them, NONE for the others: int32, (2**bits,)."""
    table = np.full(1 << bits, NONE, dtype=np.int32)
    table[buckets] = np.arange(len(buckets), dtype=np.int32)
    return table


def looked_up(table: np.ndarray, buckets: np.ndarray) -> np.ndarray:
    """What a table has for each bucket; no bucket lies outside of it, so "clip" changes none and is the fastest."""
    found: np.ndarray = table.take(buckets, mode="clip")
    return found


def sums_of(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The sums of consecutive parts of these lengths, in 64 bits; a part that is empty has 0."""
    total = np.float64 if values.dtype.kind == "f" else np.int64
    sums = np.zeros(len(lengths), dtype=total)
    some = lengths > 0
    if some.any():
        sums[some] = np.add.reduceat(values, (np.cumsum(lengths) - lengths)[some], dtype=total)
    return sums


def largest_ratios(counts: np.ndarray) -> np.ndarray:
    """The largest absolute log-count ratio of each feature, one class against all others, smoothed by half a count.

    Args:
        counts: how often each class has each feature, (features, classes).
    """
    smoothing = 0.5
    inside, outside = counts + smoothing, counts.sum(axis=1, keepdims=True) - counts + smoothing
    ratios = np.log(inside) - np.log(outside) - np.log(inside.sum(axis=0)) + np.log(outside.sum(axis=0))
    largest: np.ndarray = np.abs(ratios).max(axis=1)
    return largest


def inverse_frequencies(counts: np.ndarray, rows: int) -> np.ndarray:
    """1 + the logarithm of how rare each feature is among the rows."""
    frequencies: np.ndarray = 1.0 + np.log((1.0 + rows) / (1.0 + counts.sum(axis=1).clip(max=rows)))
    return frequencies


def chunks_of(rows: Rows, columns: tuple[str, ...], bits: int, characters: int) -> Iterator[Chunk]:
    """The buckets of some rows at a time, end to end: int32, and how many each of these rows has.

    A word has a bucket of its own, one for the pair with the next word of its row, and one as a title's word where it
    stands in a column that is not the row's last one with text. So has every run of so many characters, where it is not 0.
    """
    columns_of_rows = list(zip(*(np.asarray(rows[name], dtype=object) for name in columns), strict=True))
    for begin in range(0, len(columns_of_rows), ROWS_AT_ONCE):
        some = columns_of_rows[begin : begin + ROWS_AT_ONCE]
        marked = ("".join([f"{FIRST}{part}{LAST}" for part in row if part]) for row in some)
        encoded = [row.lower().encode() for row in marked]
        texts = Texts.of(np.frombuffer(b"".join(encoded), np.uint8), np.cumsum([0, *map(len, encoded)]))
        words = buckets_of(texts, bits, titles=len(columns) > 1)
        yield side_by_side(words, runs_of(texts, bits, characters)) if characters else words


def side_by_side(one: Chunk, other: Chunk) -> Chunk:
    """The buckets of the same rows from both, a group each."""
    lengths = np.concatenate([one[1], other[1]], axis=1)
    every = np.empty(len(one[0]) + len(other[0]), dtype=np.int32)
    first = np.repeat(np.tile([True, False], len(lengths)), lengths.ravel())
    every[first], every[~first] = one[0], other[0]
    return every, lengths


@dataclass(frozen=True)
class Texts:
    """Some rows, in which the hash of any part is a difference of two sums: a polynomial of its bytes, modulo 2**64.

    The hash of the bytes from `begin` to `end` is `(sums[end] - sums[begin]) * inverses[begin]`.
    """

    content: np.ndarray
    """The UTF-8 of all rows end to end: uint8, (bytes,)."""
    begins: np.ndarray
    """Where each row begins, and where the last one ends: int64, (rows + 1,)."""
    sums: np.ndarray
    """The sum of all bytes before each place, a byte times the base to the power of its place: uint64, (bytes + 1,)."""
    inverses: np.ndarray
    """The inverse of the base to the power of each place: uint64, (bytes or more,)."""

    @classmethod
    def of(cls, content: np.ndarray, begins: np.ndarray) -> "Texts":
        """Add up the sums of some rows, given as the attributes of these names."""
        powers, inverses = powers_of(1 << max(len(content) - 1, 0).bit_length())
        sums = np.zeros(len(content) + 1, np.uint64)
        np.cumsum(content * powers[: len(content)], out=sums[1:])
        return cls(content, begins, sums, inverses)


def runs_of(texts: Texts, bits: int, length: int) -> Chunk:
    """The buckets of all runs of so many bytes, marks around columns and spaces included, that lie within a row."""
    every = max(len(texts.content) - length + 1, 0)
    hashes = (texts.sums[length : length + every] - texts.sums[:every]) * texts.inverses[:every]
    within = np.ones(len(texts.content), dtype=bool)
    beyond = (texts.begins[1:, None] - np.arange(1, length)).ravel()  # these begin in a row and end behind it
    within[beyond[beyond >= 0]] = False
    found = np.compress(within[:every], hashes)
    counts = np.maximum(np.diff(texts.begins) - length + 1, 0)
    return ((found ^ RUN) * SPREAD >> np.uint64(64 - bits)).astype(np.int32), counts[:, None]


def buckets_of(texts: Texts, bits: int, *, titles: bool) -> Chunk:
    """The buckets of words, of pairs and of titles' words."""
    hashes, places = words_of(texts)
    lengths = np.diff(places)
    buckets = np.full((len(hashes), 3 if titles else 2), NONE, dtype=np.int32)
    shift = np.uint64(64 - bits)
    buckets[:, 0] = hashes * SPREAD >> shift
    buckets[:-1, 1] = (hashes[:-1] * PAIR + hashes[1:]) * SPREAD >> shift
    ending = places[1:][lengths > 0] - 1
    buckets[ending, 1] = NONE
    if titles:
        closed = np.cumsum(hashes == ord(LAST))
        title = np.repeat(closed[ending], lengths[lengths > 0]) - closed >= 2
        buckets[title, 2] = (hashes[title] ^ TITLE) * SPREAD >> shift
    known = buckets.ravel() != NONE
    return np.compress(known, buckets), sums_of(known, lengths * buckets.shape[1])[:, None]


def words_of(texts: Texts) -> tuple[np.ndarray, np.ndarray]:
    """A hash of 64 bits for every word, and the place of each row's first word, and of the end.

    A word is a run of letters, digits, underscores and non-ASCII characters; punctuation marks and line breaks stand
    alone, and so does the second of several spaces: in news it tells the feed.
    """
    content = texts.content
    kinds = KINDS[content]
    word, begins = kinds == WORD, kinds == MARK
    begins[1:] |= (content[1:] == ord(" ")) & (content[:-1] == ord(" "))
    begins[2:] &= ~((content[2:] == ord(" ")) & (content[:-2] == ord(" ")) & (content[1:-1] == ord(" ")))
    ends = begins.copy()
    of_three = np.flatnonzero((content[:-2] == PUNCTUATION[0]) & (content[1:-1] == PUNCTUATION[1]))
    word[of_three[:, None] + np.arange(3)] = False
    begins[of_three], ends[of_three + 2] = True, True
    begins[:1] |= word[:1]
    begins[1:] |= word[1:] & ~word[:-1]
    ends[-1:] |= word[-1:]
    ends[:-1] |= word[:-1] & ~word[1:]
    first, last = np.flatnonzero(begins), np.flatnonzero(ends)
    hashes = (texts.sums[last + 1] - texts.sums[first]) * texts.inverses[first]
    return hashes, np.searchsorted(first, texts.begins)


@lru_cache(maxsize=32)
def powers_of(count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first powers of the hash's base, and their inverses, modulo 2**64."""
    inverse = np.uint64(pow(int(BASE), -1, 1 << 64))
    return np.cumprod(np.full(count, BASE)), np.cumprod(np.full(count, inverse))
