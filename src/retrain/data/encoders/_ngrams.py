"""Texts as bags of hashed n-grams: what the encoders `ngrams` and `mixed` share.

A character n-gram is a sequence of `char_ngrams` bytes of UTF-8. The features are hashed into buckets (Weinberger et al. 2009)
by operations on whole arrays of bytes. No Python object is made per word, so this is faster than a dictionary of strings.
"""

import base64
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import accumulate, pairwise
from typing import Annotated, Any, ClassVar, NamedTuple, Self

from retrain import threads
from retrain.data.encoders import Arrays, Rows
from retrain.data.encoders._ragged import places_of
from retrain.data.encoders._text import OfText
from retrain.schema import Names, Section

import numpy as np
from pydantic import Field, model_validator

__all__ = [
    "NONE",
    "THREADS",
    "Bags",
    "Bits",
    "Chunk",
    "NgramLength",
    "Parts",
    "Texts",
    "bags_of",
    "chunks_of",
    "counted",
    "inverse_frequencies",
    "order_of",
    "starts_of",
]


SPACE, WORD, MARK = 0, 1, 2
"""Kinds of bytes: those that separate words, those in words (including all non-ASCII), and those that are words."""

SPACES, LETTERS = b" \t\v\f\r", b"0123456789_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
KINDS = bytes(SPACE if byte in SPACES else WORD if byte in LETTERS or byte >= 128 else MARK for byte in range(256))

PUNCTUATION = b"\xe2\x80"
"""The first two of the three bytes of U+2000 to U+203F: dashes and typographic quotation marks."""

FIRST, LAST = "\x02", "\x03"
"""Marks at the start and the end of each column. With them, the first word of a headline is a feature of its own."""

BASE = np.uint64(0x100000001B3)
"""The base of the polynomial hash. It is odd, so it has an inverse modulo 2**64."""
PAIR, TITLE, SPREAD = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93), np.uint64(0xC2B2AE3D27D4EB4F)
"""Odd constants for the first word of a pair, for the words of a title, and for the bucket of any hash."""
CHAR_NGRAM = np.uint64(0x165667B19E3779F9)
"""Separates a character n-gram from the word with the same bytes."""

Group = tuple[np.ndarray, np.ndarray]
"""The buckets of some rows in one array, int32, and their number in each row: int64, (rows,)."""
Chunk = tuple[Group, ...]
"""The groups of some rows: words and pairs are one, character n-grams another."""

ROWS_AT_ONCE = 4096
FEW_ROWS = 256
"""As many rows are encoded with the fewest calls to numpy, which take most of their time; more with the fewest bytes moved."""
THREADS = min(4, threads.cores())
"""More do not help: Python's own part of the work, a fifth, is done by one thread at a time."""
KEYS_OF_PART = 1 << 16
"""About so many keys are sorted and counted at once: they fit into the caches, and threads share the parts."""
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
        """The feature of each bucket, or NONE, also of the bucket NONE, which is the last one: int32, (2**hash_bits + 1,)."""
        return table_of(np.frombuffer(self.buckets, "<i4"), self.hash_bits)

    @cached_property
    def weights(self) -> np.ndarray:
        """The weight of each feature: float32, (features,)."""
        return np.frombuffer(self.feature_weights, "<f2").astype(np.float32)

    @cached_property
    def squares(self) -> np.ndarray:
        """The square of each feature's weight: float32, (features,)."""
        squares: np.ndarray = np.square(self.weights)
        return squares

    def encode(self, rows: Rows) -> Arrays:
        """The features of the rows, and what scales them; see `arrays_of`."""
        texts = texts_of(rows, self.columns)
        if 0 < len(texts[0]) <= FEW_ROWS:
            return self.arrays_of_few(texts)
        return self.arrays_of(chunks_of(rows, self.columns, self.hash_bits, self.char_ngrams))

    def arrays_of(self, chunks: Iterable[Chunk]) -> Arrays:
        """The features of all rows, and their scales. Those of the first group come first, row by row, then those of the second.

        Returns:
            `features`: int32, (features of all rows,); `offsets`, the start of each group and row in it, and the end of
            the last one: int64, (groups x rows + 1,); `scales`, factors that give all non-empty groups of a row the same
            length, and the row unit length: float32, (rows, groups); `feature_weights`: float32, (features,).
        """
        found = threads.ahead(lambda chunk: [self.features_of(group) for group in chunk], chunks, THREADS)
        none = [(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0))] * self.groups
        groups = list(zip(none, *found, strict=True))
        squares = np.stack([np.concatenate([part[2] for part in parts]) for parts in groups], axis=1)
        lengths = [part[1] for parts in groups for part in parts]
        return {
            "features": np.concatenate([part[0] for parts in groups for part in parts]),
            "offsets": np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64),
            "scales": scales_of(squares),
            "feature_weights": self.weights,
        }

    def arrays_of_few(self, texts: Sequence[Sequence[str | None]]) -> Arrays:
        """The same as `arrays_of`, bit for bit, from the columns of a few rows."""
        parts = Parts.of(texts, self.hash_bits, self.char_ngrams)
        found = self.table.take(parts.buckets, mode="wrap")
        (known,) = (found != NONE).nonzero()
        features = found.take(known)
        offsets = known.searchsorted(parts.bags)
        weights = self.squares.take(features)
        if len(texts[0]) == 1:
            scales = self.scales_of_row(offsets.tolist(), weights)
        else:
            scales = scales_of(sums_of(weights, np.diff(offsets)).reshape(self.groups, -1).T)
        return {"features": features, "offsets": offsets, "scales": scales, "feature_weights": self.weights}

    @staticmethod
    def scales_of_row(offsets: list[int], weights: np.ndarray) -> np.ndarray:
        """The scales of a single row from its squared weights, in plain Python: see `scales_of`."""
        filled = [begin for begin, end in pairwise(offsets) if begin < end]
        sums = iter(np.add.reduceat(weights, filled, dtype=np.float64).tolist() if filled else [])
        squares = [next(sums) if begin < end else 0.0 for begin, end in pairwise(offsets)]
        scales = [1.0 / (math.sqrt(square * len(filled)) or 1.0) for square in squares]
        return np.array([scales], dtype=np.float32)

    def features_of(self, group: Group) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The features of some rows, int32, their number in each row, int64, (rows,), and the sum of their squared weights."""
        buckets, lengths = group
        found = self.table.take(buckets, mode="clip")  # every bucket is in the table, and this mode is the fastest
        known = found != NONE
        features, lengths = np.compress(known, found), sums_of(known, lengths)
        return features, lengths, sums_of(self.squares.take(features, mode="clip"), lengths)

    @staticmethod
    def gather(arrays: Arrays, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """The batch's features (int64), their scaled weights (float32), and the start of each row (int64, (batch,))."""
        features, lengths, begins = bags_of(arrays, rows)
        weights = arrays["feature_weights"][features] * np.repeat(arrays["scales"][rows].ravel(), lengths)
        return features.astype(np.int64), weights, begins[:: arrays["scales"].shape[1]]


def bags_of(arrays: Arrays, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The features of a batch in one array, int32; the number of features of each row and group, and their start: int64."""
    count, groups = arrays["scales"].shape
    places, lengths, begins = places_of(arrays["offsets"], (rows[:, None] + np.arange(groups) * count).ravel())
    return arrays["features"][places], lengths, begins


def decoded(text: str) -> bytes:
    """The bytes of a text in base64; raises ValueError if it is not base64."""
    return base64.b64decode(text, validate=True)


def table_of(buckets: np.ndarray, bits: int) -> np.ndarray:
    """The position of each bucket in `buckets`, or NONE; the last one is that of the bucket NONE: int32, (2**bits + 1,)."""
    table = np.full((1 << bits) + 1, NONE, dtype=np.int32)
    table[buckets] = np.arange(len(buckets), dtype=np.int32)
    return table


def sums_of(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The sums of consecutive parts of these lengths, in 64 bits. The sum of an empty part is 0."""
    total = np.float64 if values.dtype.kind == "f" else np.int64
    sums = np.zeros(len(lengths), dtype=total)
    some = lengths > 0
    if some.any():
        sums[some] = np.add.reduceat(values, (np.cumsum(lengths) - lengths)[some], dtype=total)
    return sums


def scales_of(squares: np.ndarray) -> np.ndarray:
    """What gives all non-empty groups of a row the same length, from their squared lengths: float32, (rows, groups)."""
    norms = np.sqrt(squares * (squares > 0.0).sum(axis=1, keepdims=True))
    norms[norms == 0.0] = 1.0
    scales: np.ndarray = (1.0 / norms).astype(np.float32, order="C")
    return scales


def inverse_frequencies(counts: np.ndarray, rows: int) -> np.ndarray:
    """1 + the logarithm of the inverse frequency of each feature among the rows: float64, (features,)."""
    frequencies: np.ndarray = 1.0 + np.log((1.0 + rows) / (1.0 + counts.sum(axis=1).clip(max=rows)))
    return frequencies


def counted(
    chunks: Sequence[Chunk], labels: np.ndarray, bits: int, minimum_count: int
) -> tuple[np.ndarray, np.ndarray]:
    """The frequent buckets, and how often each class has them.

    It sorts what it counts, because a table of all buckets and classes would make the processor wait for the memory at
    every step. First it divides the keys by their first bits, because many short sorts are faster than a long one.

    Args:
        chunks: the buckets of all rows, as `chunks_of` gives them.
        labels: the class of each row, from 0 on: int64, (rows,).
        bits: the bits of a bucket.
        minimum_count: buckets that occur less often are left out.

    Returns:
        The buckets in ascending order: int32, (buckets,); and their counts: int32, (buckets, classes).
    """
    classes = int(labels.max()) + 1
    shift = (classes - 1).bit_length()
    key = np.uint32 if bits + shift <= 32 else np.uint64
    of_rows = np.split(labels.astype(key), np.cumsum([len(chunk[0][1]) for chunk in chunks])[:-1])
    total = sum(len(buckets) for chunk in chunks for buckets, _ in chunk)
    part_bits = min(8, (total // KEYS_OF_PART).bit_length())

    def divided(number: int) -> list[np.ndarray]:
        """The keys of a chunk, those of each part in an array. A key is a bucket and, in its last `shift` bits, a class."""
        keys: np.ndarray = np.concatenate([buckets.view(np.uint32) for buckets, _ in chunks[number]], dtype=key)
        keys <<= key(shift)
        keys |= np.concatenate([np.repeat(of_rows[number], lengths) for _, lengths in chunks[number]])
        parts = (keys >> key(bits + shift - part_bits)).astype(np.uint8)
        ends = np.bincount(parts, minlength=1 << part_bits).cumsum()
        return np.split(keys.take(parts.argsort(kind="stable")), ends[:-1])

    def counts_of_part(pieces: tuple[np.ndarray, ...]) -> tuple[np.ndarray, np.ndarray]:
        keys = np.concatenate(pieces)
        keys.sort()
        return counts_of(keys, shift, classes, minimum_count)

    pieces = zip(*threads.ahead(divided, range(len(chunks)), THREADS), strict=True)
    found = threads.ahead(counts_of_part, pieces, THREADS)
    buckets, counts = zip(*found, strict=True)
    return np.concatenate(buckets), np.concatenate(counts)


def counts_of(keys: np.ndarray, shift: int, classes: int, minimum_count: int) -> tuple[np.ndarray, np.ndarray]:
    """The frequent buckets of sorted keys, and their counts; see `counted`."""
    cells, counts = runs_of(keys)
    buckets, cells_of = runs_of(cells >> keys.dtype.type(shift))
    begins = np.cumsum(cells_of) - cells_of
    frequent = np.add.reduceat(counts, begins) >= minimum_count if len(counts) else np.zeros(0, dtype=bool)
    kept = np.repeat(frequent, cells_of)
    table = np.zeros((int(frequent.sum()), classes), np.int32)
    labels = cells[kept] & keys.dtype.type((1 << shift) - 1)
    table[np.repeat(np.arange(len(table)), cells_of[frequent]), labels] = counts[kept]
    return buckets[frequent].astype(np.int32), table


def runs_of(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct values of a sorted array, and how often each occurs: int64."""
    starts = starts_of(values)
    return values[starts], np.diff(starts, append=len(values))


def order_of(values: np.ndarray) -> np.ndarray:
    """The order that sorts unsigned integers below 2**32; equal ones keep theirs: int64.

    Numpy sorts 16 bits by their digits, which takes half the time of comparing 32.
    """
    order = values.astype(np.uint16).argsort(kind="stable")
    return order.take((values >> 16).astype(np.uint16).take(order).argsort(kind="stable"))


def starts_of(values: np.ndarray) -> np.ndarray:
    """Where each distinct value of a sorted array begins: int64."""
    differs = np.ones(len(values), dtype=bool)
    np.not_equal(values[1:], values[:-1], out=differs[1:])
    return np.flatnonzero(differs)


def chunks_of(rows: Rows, columns: tuple[str, ...], bits: int, char_ngrams: int) -> Iterator[Chunk]:
    """The buckets of the rows, `ROWS_AT_ONCE` rows at a time.

    Each word has a bucket, one for the pair with the next word of the row, and one as the word of a title if a later
    column of the row has text. Each n-gram of `char_ngrams` bytes has one too, if `char_ngrams` is not 0.
    """
    texts = texts_of(rows, columns)

    def chunk_from(begin: int) -> Chunk:
        some = [np.asarray(column[begin : begin + ROWS_AT_ONCE], dtype=object).tolist() for column in texts]
        parts = Texts.of(*contents_of(some))
        words = buckets_of(parts, bits, titles=len(columns) > 1)
        return (words, char_ngrams_of(parts, bits, char_ngrams)) if char_ngrams else (words,)

    return threads.ahead(chunk_from, range(0, len(texts[0]), ROWS_AT_ONCE), THREADS)


def texts_of(rows: Rows, columns: tuple[str, ...]) -> list[Any]:
    """The columns, each as a sequence of texts."""
    return [getattr(rows[name], "array", rows[name]) for name in columns]


class Texts(NamedTuple):
    """Rows, and the sums that give the hash of any part of them: a polynomial of its bytes, modulo 2**64.

    The hash of the bytes from `begin` to `end` is `(sums[end] - sums[begin]) * inverses[begin]`.
    """

    content: bytes
    """The UTF-8 of all rows."""
    begins: np.ndarray
    """The start of each row, and the end of the last one: int64, (rows + 1,)."""
    sums: np.ndarray
    """The sums of the bytes before each place, each byte times the base to the power of its place: uint64, (bytes + 1,)."""
    inverses: np.ndarray
    """The inverse of the base to the power of each place: uint64, (bytes or more,)."""

    @classmethod
    def of(cls, content: bytes, begins: np.ndarray) -> "Texts":
        """Compute the sums of rows; for `content` and `begins`, see the attributes."""
        powers, inverses = powers_of(1 << max(len(content) - 1, 0).bit_length())
        sums = np.zeros(len(content) + 1, np.uint64)
        (np.frombuffer(content, np.uint8) * powers[: len(content)]).cumsum(out=sums[1:])
        return cls(content, begins, sums, inverses)


class Parts(NamedTuple):
    """The buckets of a few rows, with their places."""

    content: bytes
    """The UTF-8 of all rows."""
    spans: tuple[np.ndarray, np.ndarray]
    """Where each word begins and ends in `content`: int64, (words,)."""
    words: np.ndarray
    """The buckets of each word, of its pair with the next one and, with titles, of the word as one of a title, or NONE: int64, (words, 2 or 3)."""
    char_ngrams: np.ndarray
    """The bucket of the n-gram that begins at each byte, or NONE if it ends in another row: int64, (n-grams,)."""
    buckets: np.ndarray
    """`words`, then `char_ngrams`."""
    bags: np.ndarray
    """Where the words of each row begin in `buckets`, then where its n-grams do, and the end: int64, (groups x rows + 1,)."""

    @classmethod
    def of(cls, columns: Sequence[Sequence[str | None]], bits: int, length: int) -> "Parts":
        """Find the same buckets as `chunks_of`, in the same order."""
        texts = Texts.of(*contents_of(columns))
        content, begins, sums, inverses = texts
        hashes, places, spans = words_of(texts)
        width = 3 if len(columns) > 1 else 2
        size, every = width * len(hashes), max(len(content) - length + 1, 0) if length else 0
        parts = np.empty(size + every, np.uint64)
        of_words, of_bytes = parts[:size].reshape(-1, width), parts[size:]
        of_words[:, 0] = hashes
        of_words[:-1, 1] = hashes[:-1] * PAIR + hashes[1:]
        if width == 3:
            of_words[:, 2] = hashes ^ TITLE
        np.subtract(sums[length : length + every], sums[:every], out=of_bytes)
        of_bytes *= inverses[:every]
        of_bytes ^= CHAR_NGRAM
        parts *= SPREAD
        parts >>= np.uint64(64 - bits)
        buckets = parts.view(np.int64)
        words, char_ngrams = buckets[:size].reshape(-1, width), buckets[size:]
        words[-1:, 1] = NONE
        if width == 3:
            words[~titles_of(hashes, places), 2] = NONE
        if len(begins) == 2:
            bags = np.array([0, size, len(parts)][: 3 if length else 2])
            return cls(content, spans, words, char_ngrams, buckets, bags)
        if size:
            words[places[1:] - 1, 1] = NONE  # of an empty row, the last word of another one
            beyond = (begins[1:-1, None] - np.arange(1, length)).ravel()  # these begin in a row and end after it
            char_ngrams[beyond[(beyond >= 0) & (beyond < every)]] = NONE
        bags = np.concatenate([width * places, size + np.minimum(begins[1:], every)]) if length else width * places
        return cls(content, spans, words, char_ngrams, buckets, bags)


def contents_of(columns: Iterable[Sequence[str | None]]) -> tuple[bytes, np.ndarray]:
    """The columns of each row in one text, in UTF-8; the start of each row, and the end of the last one: int64, (rows + 1,)."""
    marked = [[f"{FIRST}{part}{LAST}" if part else "" for part in column] for column in columns]
    rows = list(map("".join, zip(*marked, strict=True)))
    content = "".join(rows)
    if content.isascii():
        return content.lower().encode(), np.array([0, *accumulate(map(len, rows))])
    encoded = [row.lower().encode() for row in rows]
    return b"".join(encoded), np.array([0, *accumulate(map(len, encoded))])


def titles_of(hashes: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Which words are in a column that is followed by another one with text: bool, (words,)."""
    closed = np.cumsum(hashes == ord(LAST))
    lengths = np.diff(places)
    return np.repeat(closed[places[1:] - 1], lengths) - closed >= 2 if len(hashes) else closed.astype(bool)


def char_ngrams_of(texts: Texts, bits: int, length: int) -> Group:
    """The buckets of all sequences of `length` bytes within a row, including spaces and the marks around columns."""
    every = max(len(texts.content) - length + 1, 0)
    hashes = (texts.sums[length : length + every] - texts.sums[:every]) * texts.inverses[:every]
    within = np.ones(len(texts.content), dtype=bool)
    beyond = (texts.begins[1:, None] - np.arange(1, length)).ravel()  # these start in a row and end after it
    within[beyond[beyond >= 0]] = False
    buckets = ((hashes ^ CHAR_NGRAM) * SPREAD >> np.uint64(64 - bits)).astype(np.int32)
    return np.compress(within[:every], buckets), np.maximum(np.diff(texts.begins) - length + 1, 0)


def buckets_of(texts: Texts, bits: int, *, titles: bool) -> Group:
    """The buckets of words, of pairs and of the words of titles."""
    hashes, places, _ = words_of(texts)
    lengths = np.diff(places)
    buckets = np.full((len(hashes), 3 if titles else 2), NONE, dtype=np.int32)
    shift = np.uint64(64 - bits)
    buckets[:, 0] = hashes * SPREAD >> shift
    buckets[:-1, 1] = (hashes[:-1] * PAIR + hashes[1:]) * SPREAD >> shift
    if len(hashes):
        buckets[places[1:] - 1, 1] = NONE  # of an empty row, the last word of another one
    if titles:
        title = titles_of(hashes, places)
        buckets[title, 2] = (hashes[title] ^ TITLE) * SPREAD >> shift
    known = buckets.ravel() != NONE
    return np.compress(known, buckets), sums_of(known, lengths * buckets.shape[1])


def words_of(texts: Texts) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """The 64-bit hash of each word; the number of the first word of each row, and of all words; and what `spans_of` returns."""
    first, last = spans_of(texts.content)
    hashes = (texts.sums.take(last) - texts.sums.take(first)) * texts.inverses.take(first)
    return hashes, first.searchsorted(texts.begins), (first, last)


def spans_of(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Where each word begins and ends in some rows: int64, (words,).

    A word is a sequence of letters, digits, underscores and non-ASCII characters. A punctuation mark or a line break is a
    word, and so is the second of several spaces: it shows the news feed that a text came from.
    """
    kinds, of_three = np.frombuffer(b"\0%b\0" % content.translate(KINDS), np.uint8), None
    if b"  " in content or PUNCTUATION in content:
        codes, kinds = np.frombuffer(content, np.uint8), kinds.copy()
        spaces = codes == ord(" ")
        twice = spaces[1:] & spaces[:-1]
        twice[1:] &= ~spaces[:-2]
        kinds[2:-1][twice] = MARK
        of_three = np.flatnonzero((codes[:-2] == PUNCTUATION[0]) & (codes[1:-1] == PUNCTUATION[1]))
        kinds[of_three[:, None] + (1, 2, 3)] = SPACE
    own, in_word = kinds[1:-1], kinds & WORD
    begins, ends = own > in_word[:-2], own > in_word[2:]  # a mark is larger, a word only after or before no other one
    if of_three is not None:
        begins[of_three] = ends[of_three + 2] = True
    return begins.nonzero()[0], ends.nonzero()[0] + 1


@lru_cache(maxsize=32)
def powers_of(count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first `count` powers of the hash's base, and their inverses, modulo 2**64: uint64, (count,)."""
    inverse = np.uint64(pow(int(BASE), -1, 1 << 64))
    return np.cumprod(np.full(count, BASE)), np.cumprod(np.full(count, inverse))
