"""Texts as bags of hashed n-grams: what the encoders `ngrams` and `mixed` share.

A character n-gram is a sequence of `char_ngrams` bytes of UTF-8. The features are hashed into buckets (Weinberger et al. 2009)
by operations on whole arrays of bytes. No Python object is made per word, so this is faster than a dictionary of strings.
"""

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Annotated, Any, ClassVar, Self

from retrain.data.encoders import Arrays, Rows
from retrain.data.encoders._ragged import places_of
from retrain.data.encoders._text import OfText
from retrain.schema import Names, Section

import numpy as np
from pydantic import Field, model_validator

__all__ = ["NONE", "Bags", "Bits", "Chunk", "NgramLength", "chunks_of", "inverse_frequencies", "looked_up", "table_of"]


SPACE, WORD, MARK = 0, 1, 2
"""Kinds of bytes: those that separate words, those in words (including all non-ASCII), and those that are words."""

KINDS = np.full(256, MARK, dtype=np.uint8)
KINDS[[ord(character) for character in " \t\v\f\r"]] = SPACE
KINDS[[*map(ord, "0123456789_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"), *range(128, 256)]] = WORD

PUNCTUATION = (0xE2, 0x80)
"""The first two of the three bytes of U+2000 to U+203F: dashes and typographic quotation marks."""

FIRST, LAST = "\x02", "\x03"
"""Marks at the start and the end of each column. With them, the first word of a headline is a feature of its own."""

BASE = np.uint64(0x100000001B3)
"""The base of the polynomial hash. It is odd, so it has an inverse modulo 2**64."""
PAIR, TITLE, SPREAD = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93), np.uint64(0xC2B2AE3D27D4EB4F)
"""Odd constants for the first word of a pair, for the words of a title, and for the bucket of any hash."""
CHAR_NGRAM = np.uint64(0x165667B19E3779F9)
"""Separates a character n-gram from the word with the same bytes."""

Chunk = tuple[np.ndarray, np.ndarray]
"""The buckets of some rows in one array, int32, and their number in each row and group: int64, (rows, groups)."""

ROWS_AT_ONCE = 1024
NONE = -1
Bits = Annotated[int, Field(ge=8, le=26)]
NgramLength = Annotated[int, Field(ge=0, le=8)]
"""Bytes of a character n-gram; 0 for none."""


class Learned(Section):
    """The value of `Bags.to_json`."""

    columns: Names
    hash_bits: Bits
    char_ngrams: NgramLength
    buckets: str
    feature_weights: str

    @model_validator(mode="after")
    def check_lengths(self) -> "Learned":
        """Check that the buckets ascend, and that each has a positive weight."""
        buckets = np.frombuffer(decoded(self.buckets), "<i4")
        feature_weights = np.frombuffer(decoded(self.feature_weights), "<f2")
        if not len(buckets) == len(feature_weights) > 0:
            raise ValueError("buckets and feature_weights differ in number")
        if buckets[0] < 0 or buckets[-1] >= 1 << self.hash_bits or (buckets[1:] <= buckets[:-1]).any():
            raise ValueError("buckets are not in order")
        if not (np.isfinite(feature_weights) & (feature_weights > 0)).all():
            raise ValueError("feature_weights are not all positive")
        return self


@dataclass(frozen=True)
class Bags(OfText):
    """The buckets that are features, in ascending order (int32), and the weight of each (float16)."""

    gives: ClassVar[str] = "ngrams"
    columns: tuple[str, ...]
    hash_bits: int
    char_ngrams: int
    buckets: bytes = field(repr=False)
    feature_weights: bytes = field(repr=False)

    @classmethod
    def from_json(cls, learned: Any) -> Self:
        """Rebuild an encoder from the value of `to_json`; raises ValueError for any other value."""
        read = Learned.model_validate(learned)
        return cls(read.columns, read.hash_bits, read.char_ngrams, decoded(read.buckets), decoded(read.feature_weights))

    def to_json(self) -> dict[str, Any]:
        """Columns, `hash_bits`, `char_ngrams`, and the two arrays as base64 of their little-endian bytes."""
        arrays = {"buckets": self.buckets, "feature_weights": self.feature_weights}
        encoded = {name: base64.b64encode(array).decode() for name, array in arrays.items()}
        return {"columns": list(self.columns), "hash_bits": self.hash_bits, "char_ngrams": self.char_ngrams, **encoded}

    @property
    def groups(self) -> int:
        """The number of groups of features: words and pairs are one, character n-grams another."""
        return 2 if self.char_ngrams else 1

    @property
    def size(self) -> int:
        """The number of features."""
        return len(self.buckets) // 4

    def describe(self) -> str:
        """The number and the kinds of features."""
        kinds = f"words, pairs and byte {self.char_ngrams}-grams" if self.char_ngrams else "words and pairs"
        return f"{self.size:,} {kinds}"

    @cached_property
    def table(self) -> np.ndarray:
        """The feature of each bucket, or NONE: int32, (2**hash_bits,)."""
        return table_of(np.frombuffer(self.buckets, "<i4"), self.hash_bits)

    @cached_property
    def weights(self) -> np.ndarray:
        """The weight of each feature: float32, (features,)."""
        return np.frombuffer(self.feature_weights, "<f2").astype(np.float32)

    def encode(self, rows: Rows) -> Arrays:
        """The features of the rows, and what scales them; see `arrays_of`."""
        return self.arrays_of(chunks_of(rows, self.columns, self.hash_bits, self.char_ngrams))

    def arrays_of(self, chunks: Iterable[Chunk]) -> Arrays:
        """The features of all rows, with those of a group together, and their scales.

        Returns:
            `features`, those of all rows in one array: int32, (features of all rows,); `offsets`, the start of each row
            and group in it, and the end of the last one: int64, (rows x groups + 1,); `scales`, factors that give all
            non-empty groups of a row the same length, and the row unit length: float32, (rows, groups);
            `feature_weights`: float32, (features,).
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
            "feature_weights": self.weights,
        }

    @staticmethod
    def gather(arrays: Arrays, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """The batch's features (int64), their scaled weights (float32), and the start of each row (int64, (batch,))."""
        scales = arrays["scales"][rows]
        groups = np.arange(scales.shape[1])
        places, lengths, begins = places_of(arrays["offsets"], (rows[:, None] * len(groups) + groups).ravel())
        features = arrays["features"][places].astype(np.int64)
        weights = arrays["feature_weights"][features] * np.repeat(scales.ravel(), lengths)
        return features, weights, begins[:: len(groups)]


def decoded(text: str) -> bytes:
    """The bytes of a text in base64; raises ValueError if it is not base64."""
    return base64.b64decode(text, validate=True)


def table_of(buckets: np.ndarray, bits: int) -> np.ndarray:
    """The position of each bucket in `buckets`, or NONE: int32, (2**bits,)."""
    table = np.full(1 << bits, NONE, dtype=np.int32)
    table[buckets] = np.arange(len(buckets), dtype=np.int32)
    return table


def looked_up(table: np.ndarray, buckets: np.ndarray) -> np.ndarray:
    """The table's value for each bucket. All buckets are in the table, so mode "clip" is exact, and it is the fastest."""
    found: np.ndarray = table.take(buckets, mode="clip")
    return found


def sums_of(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The sums of consecutive parts of these lengths, in 64 bits. The sum of an empty part is 0."""
    total = np.float64 if values.dtype.kind == "f" else np.int64
    sums = np.zeros(len(lengths), dtype=total)
    some = lengths > 0
    if some.any():
        sums[some] = np.add.reduceat(values, (np.cumsum(lengths) - lengths)[some], dtype=total)
    return sums


def inverse_frequencies(counts: np.ndarray, rows: int) -> np.ndarray:
    """1 + the logarithm of the inverse frequency of each feature among the rows: float64, (features,)."""
    frequencies: np.ndarray = 1.0 + np.log((1.0 + rows) / (1.0 + counts.sum(axis=1).clip(max=rows)))
    return frequencies


def chunks_of(rows: Rows, columns: tuple[str, ...], bits: int, char_ngrams: int) -> Iterator[Chunk]:
    """The buckets of the rows, `ROWS_AT_ONCE` rows at a time.

    Each word has a bucket, one for the pair with the next word of the row, and one as the word of a title if a later
    column of the row has text. Each n-gram of `char_ngrams` bytes has one too, if `char_ngrams` is not 0.
    """
    columns_of_rows = list(zip(*(np.asarray(rows[name], dtype=object) for name in columns), strict=True))
    for begin in range(0, len(columns_of_rows), ROWS_AT_ONCE):
        some = columns_of_rows[begin : begin + ROWS_AT_ONCE]
        marked = ("".join([f"{FIRST}{part}{LAST}" for part in row if part]) for row in some)
        encoded = [row.lower().encode() for row in marked]
        texts = Texts.of(np.frombuffer(b"".join(encoded), np.uint8), np.cumsum([0, *map(len, encoded)]))
        words = buckets_of(texts, bits, titles=len(columns) > 1)
        yield side_by_side(words, char_ngrams_of(texts, bits, char_ngrams)) if char_ngrams else words


def side_by_side(one: Chunk, other: Chunk) -> Chunk:
    """The buckets of the same rows from two chunks, as two groups."""
    lengths = np.concatenate([one[1], other[1]], axis=1)
    every = np.empty(len(one[0]) + len(other[0]), dtype=np.int32)
    first = np.repeat(np.tile([True, False], len(lengths)), lengths.ravel())
    every[first], every[~first] = one[0], other[0]
    return every, lengths


@dataclass(frozen=True)
class Texts:
    """Rows, and the sums that give the hash of any part of them: a polynomial of its bytes, modulo 2**64.

    The hash of the bytes from `begin` to `end` is `(sums[end] - sums[begin]) * inverses[begin]`.
    """

    content: np.ndarray
    """The UTF-8 of all rows in one array: uint8, (bytes,)."""
    begins: np.ndarray
    """The start of each row, and the end of the last one: int64, (rows + 1,)."""
    sums: np.ndarray
    """The sums of the bytes before each place, each byte times the base to the power of its place: uint64, (bytes + 1,)."""
    inverses: np.ndarray
    """The inverse of the base to the power of each place: uint64, (bytes or more,)."""

    @classmethod
    def of(cls, content: np.ndarray, begins: np.ndarray) -> "Texts":
        """Compute the sums of rows; for `content` and `begins`, see the attributes."""
        powers, inverses = powers_of(1 << max(len(content) - 1, 0).bit_length())
        sums = np.zeros(len(content) + 1, np.uint64)
        np.cumsum(content * powers[: len(content)], out=sums[1:])
        return cls(content, begins, sums, inverses)


def char_ngrams_of(texts: Texts, bits: int, length: int) -> Chunk:
    """The buckets of all sequences of `length` bytes within a row, including spaces and the marks around columns."""
    every = max(len(texts.content) - length + 1, 0)
    hashes = (texts.sums[length : length + every] - texts.sums[:every]) * texts.inverses[:every]
    within = np.ones(len(texts.content), dtype=bool)
    beyond = (texts.begins[1:, None] - np.arange(1, length)).ravel()  # these start in a row and end after it
    within[beyond[beyond >= 0]] = False
    found = np.compress(within[:every], hashes)
    counts = np.maximum(np.diff(texts.begins) - length + 1, 0)
    return ((found ^ CHAR_NGRAM) * SPREAD >> np.uint64(64 - bits)).astype(np.int32), counts[:, None]


def buckets_of(texts: Texts, bits: int, *, titles: bool) -> Chunk:
    """The buckets of words, of pairs and of the words of titles."""
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
    """The 64-bit hash of each word, and the number of the first word of each row, and of all words.

    A word is a sequence of letters, digits, underscores and non-ASCII characters. A punctuation mark or a line break is a
    word, and so is the second of several spaces: it shows the news feed that a text came from.
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
    """The first `count` powers of the hash's base, and their inverses, modulo 2**64: uint64, (count,)."""
    inverse = np.uint64(pow(int(BASE), -1, 1 << 64))
    return np.cumprod(np.full(count, BASE)), np.cumprod(np.full(count, inverse))
