"""The common base of the encoders of text."""

import re
import unicodedata
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, ClassVar

from retrain.data.encoders import Rows
from retrain.schema import INVISIBLE

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["OfText", "encoded_content", "joined", "normalised", "signs_of"]


WORD = re.compile(r"\w+")
LETTERS = bytes(ord(sign.lower()) if WORD.match(sign) else ord(" ") for sign in map(chr, range(128))) + b" " * 128
"""For each byte: the lower-case letter, digit or underscore of ASCII, or a space."""
PLAIN = re.compile("[\0-\x7f‘’“”\u2013\u2014…£€]*")
"""Texts of ASCII and of frequent signs that, like the question mark that can replace them, only separate words."""
ROWS_AT_ONCE = 1000
"""Rows whose bytes fit the cache of a processor."""
FEW = 3
"""Where a text has fewer words, signs are part of its content: `C`, `C++` and `A-` have little else."""
EMOTICON = r"[:;=]['^-]*(?:[()\[\]{}|/\\*]|[a-z0-9]\b)|[()]['^-]*[:;=]"
MINUS = r"(?<!\w)-(?=\w)|(?<=\w)-(?!\w)"
SIGN = re.compile(rf"{EMOTICON}|{MINUS}|[^\w\s.,;:!?\"'()\[\]{{}}-]")
MEANINGFUL = frozenset("#%&*-/@\\")
"""Punctuation, for Unicode, that is not the punctuation of sentences."""


class OfText:
    """The methods that all encoders of text share."""

    holds: ClassVar[str] = "text"
    columns: tuple[str, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kind of each column: text."""
        return ("text",) * len(self.columns)

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """No column holds numbers."""
        return {}

    @property
    def centers(self) -> dict[str, float]:
        """No column holds numbers."""
        return {}

    @property
    def known(self) -> dict[str, frozenset[str]]:
        """No column holds categories."""
        return {}

    @staticmethod
    def contents(rows: "pd.DataFrame") -> list[bytes]:
        """The words of each row, without case, punctuation and spacing; see `content_of` for texts of few words."""
        import pyarrow as pa

        schema = pa.schema([(name, pa.large_string()) for name in rows.columns])
        batches = pa.Table.from_pandas(rows, schema, preserve_index=False).to_batches(ROWS_AT_ONCE)
        return list(chain.from_iterable(map(contents_at_once, batches)))

    def rows_of_texts(self, texts: Sequence[str]) -> dict[str, list[str]]:
        """Rows with the texts in the last input column. The other columns, such as a title, are empty."""
        return {**{name: [""] * len(texts) for name in self.columns}, self.columns[-1]: list(texts)}


def joined(rows: Rows, columns: Sequence[str]) -> list[str]:
    """Some columns of each row as one text, separated by spaces."""
    parts = (rows[name] for name in columns)
    listed = (part.tolist() if hasattr(part, "tolist") else part for part in parts)  # iterating over a column is slower
    return [" ".join(filter(None, row)) for row in zip(*listed, strict=True)]


def contents_at_once(rows: "pa.RecordBatch") -> list[bytes]:
    """The content of each row, as `encoded_content` finds it: that of all rows of ASCII by operations on all their bytes."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    ending, blank = (pa.scalar(text, pa.large_string()) for text in ("", " "))
    texts = pc.binary_join_element_wise(*rows.columns, ending, blank)  # a space ends each row
    _, offsets, signs = texts.buffers()
    letters = np.frombuffer(bytearray(signs).translate(LETTERS), np.uint8)
    letters[np.frombuffer(offsets, np.int64)[1 : len(texts) + 1] - 1] = ord("\n")
    kept = np.ones(len(letters), bool)
    kept[1:] = (letters[:-1] > ord(" ")) | (letters[1:] != ord(" "))  # no space after a space or a line break
    found = [words.strip() for words in letters[kept].tobytes().split(b"\n")[:-1]]
    few = np.array([len(words.split(None, FEW - 1)) < FEW for words in found])  # faster than to count spaces
    others = np.flatnonzero(few | ~pc.string_is_ascii(texts).to_numpy(zero_copy_only=False))
    for place, text in zip(others, joined(rows.take(others).to_pydict(), rows.schema.names), strict=True):
        found[place] = encoded_content(text)
    return found


def normalised(text: str) -> str:
    """A text in Unicode's NFKC form, without case and without characters that only concern its layout."""
    text = unicodedata.normalize("NFKC", text).casefold()
    return text if text.isascii() else INVISIBLE.sub("", text)


def encoded_content(text: str) -> bytes:
    """The content of a text in UTF-8. Most texts are plain, and their bytes give the words faster than `normalised` and `WORD`."""
    if text.isascii() or PLAIN.fullmatch(text):
        words = text.encode("ascii", "replace").translate(LETTERS).split()
        if len(words) >= FEW:
            return b" ".join(words)
    return content_of(normalised(text)).encode()


def content_of(text: str) -> str:
    """The words of a normalised text; all of it but repeated spaces if it has no words, or few words and signs."""
    words = WORD.findall(text)
    signs = signs_of(text) if len(words) < FEW else ""
    return " ".join(words if words and not signs else text.split())


def signs_of(text: str) -> str:
    """The signs that tell normalised texts of the same words apart: symbols, emoji, emoticons, accents and vowel signs.

    They leave out the punctuation of sentences, so that two prints of the same news are equal.
    """
    return "".join(sign for sign in SIGN.findall(text) if is_meaningful(sign))


def is_meaningful(sign: str) -> bool:
    """Whether a match of `SIGN` is more than a punctuation mark that ASCII does not have."""
    return len(sign) > 1 or sign in MEANINGFUL or not unicodedata.category(sign).startswith("P")
