"""The bytes of a file, decompressed, and the encoding that they are in or are likely to be in."""

import codecs
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import IO

from retrain.errors import RetrainError

__all__ = [
    "CHUNK",
    "COMPRESSED",
    "decoder_of",
    "encoding_of",
    "first_bytes",
    "foreign_words",
    "is_binary",
    "is_wide",
    "latin_encoding",
    "likely_encoding",
    "opened",
    "two_encodings",
]


COMPRESSED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # it starts with the mark of UTF-16
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""The encodings that byte order marks tell."""
MOSTLY_ZERO = 0.8
"""The share of zeros among every other byte from which they are those of UTF-16 without a mark."""
ENCODINGS = (
    "cp1251", "koi8_r", "cp866", "cp1253", "cp1255", "cp1256", "euc_jp", "gb18030", "big5", "cp949",
)  # fmt: skip
"""Encodings of other scripts than Latin that are tried on a file that is not UTF-8."""
THAI = "cp874"
"""Few words of Chinese could be Thai too, so it is tried only on what can't be Chinese."""
JAPANESE, PRIVATE = "cp932", re.compile("[\ue000-\uf8ff]")
"""Shift-JIS with the signs of Windows, such as \u3231. It takes many bytes for signs of a user, which a text seldom has."""
WESTERN = (
    "äöüßé", "åäöæøéèòóôü", "àâæçèéêëîïôœùûüÿ", "áéíñóúü¿¡", "àáâãçéêíóôõú", "àèéìîòù", "áèéêëíïóöúü", "áæðéíóöúýþ",
    "äöõüšž", "àçèéíïòóúü",
)  # fmt: skip
CENTRAL = ("ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "ăâîşţ", "čćđšž")
LATIN = {
    "cp1252": WESTERN,
    "cp1250": CENTRAL,
    "cp1254": ("çğıİöşüâîû",),
    "cp1257": ("ąčęėįšųūž", "āčēģīķļņšūž", "äöõüšž"),
    "mac_roman": WESTERN,
    "cp850": WESTERN,
    "iso8859_2": CENTRAL,
    "cp852": CENTRAL,
}
"""Encodings of Latin letters, the likeliest first, with the letters outside ASCII of some of their languages."""
ANYWHERE, TYPOGRAPHIC = "\u2019\u00b5", "\u2018\u201c\u201d\u2026\u2013\u2014"
"""Signs that words have besides letters: anywhere, and only at their ends."""
MOST, HALF = 0.95, 0.6
"""The share of letters outside ASCII that a language has, if a text is in it; and the least one, if there are many foreign names."""
FOREIGN = re.compile(r"[^\W\d_]{0,30}[^\x00-\x7f\s][^\W\d_]{0,30}")
"""A word, or the part of a long one, with a sign outside ASCII."""
APART_IN_ALL = re.compile(rb'[\s",;]+')
"""What separates words in all encodings: none has it inside a letter of several bytes."""
BEYOND, DIGIT = re.compile(rb"[\x80-\xff]"), re.compile(rb"\d")
"""A byte outside ASCII."""
LETTER, SIDE_BY_SIDE = re.compile(rb"[\x80-\xaf\xb4\xb6-\xb8\xba\xbb\xbf-\xff]"), re.compile(rb"[\x80-\xff]{2}")
"""Such a byte, but for \u00b0, \u00b2, \u00b5 and other signs that Latin encodings have next to digits; and two bytes of one letter, or of two."""
NEAR_LETTER = re.compile(rb".[\x80-\xff][A-Za-z\x80-\xff]|[A-Za-z\x80-\xff][\x80-\x9f\xc0-\xff].", re.DOTALL)
"""A byte next to a letter; at the end of a word, those of signs such as \u00b2 and \u00b0 tell nothing."""
NAMED = 3
"""Words that a message names."""
FEWEST, FEW = 30, 0.01
"""The number and the share of bytes outside ASCII below which the guess of a script is worth little."""
CHANCE, CHANCE_WORDS = 0.3, 10
"""The share of lines, and the different words in them, that may be UTF-8 by chance in another script, such as short ones of Chinese."""
WORD = re.compile(rb"[A-Za-z]*[\x80-\xff][A-Za-z\x80-\xff]*")
"""A word with a byte outside ASCII."""
CHUNK = 1 << 20


def first_bytes(path: Path, count: int = 256) -> bytes:
    """The first bytes of a file, decompressed."""
    with opened(path) as stream:
        return stream.read(count)


def is_binary(start: bytes) -> bool:
    """Whether a file starts with zero bytes as no text has them. UTF-16 has them at every other place, UTF-32 has a mark."""
    places = {place % 2 for place, byte in enumerate(start) if byte == 0}
    return len(places) > 1 and not start.startswith(tuple(MARKS))


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, decompressed."""
    with path.open("rb") as raw:
        mark = raw.read(4)
    compression = next((name for start, name in COMPRESSED.items() if mark.startswith(start)), None)
    if compression is None:
        with path.open("rb") as stream:
            yield stream
    else:
        import pyarrow as pa

        # The stream of pyarrow itself can't be read line by line.
        with BufferedReader(pa.input_stream(str(path), compression=compression)) as stream:
            try:
                yield stream
            except OSError as error:
                if error.errno is not None:
                    raise
                fact = f"is cut off, or damaged in another way ({error})"
                raise RetrainError(str(path), fact, "download or write it again") from None


def encoding_of(path: Path, given: str) -> str:
    """The encoding in which a file is read: that of its mark, or UTF-8 if its letters outside ASCII are, or else the given one.

    So a new file may have another one than the training file. UTF-16 without a mark has zero bytes, if it has signs of ASCII.
    """
    if (marked := marked_encoding(first_bytes(path))) is not None or given == "utf-8":
        return marked or given
    part, is_utf8 = telling_part(path)
    if is_wide(given):
        return given if b"\0" in part else "utf-8"
    return "utf-8" if is_utf8 and not part.isascii() else given


def marked_encoding(start: bytes) -> str | None:
    """The encoding that the first bytes of a file tell, if they do: by a byte order mark, or by the zeros of UTF-16."""
    if (marked := next((name for mark, name in MARKS.items() if start.startswith(mark)), None)) is not None:
        return marked
    shares = [start[first::2].count(0) / max(1, len(start) // 2) for first in (0, 1)]
    zeros = [share > MOSTLY_ZERO for share in shares]
    return None if 0.0 not in shares or not any(zeros) else "utf-16-be" if zeros[0] else "utf-16-le"


def is_wide(encoding: str) -> bool:
    """Whether an encoding has several bytes for each sign of ASCII, so that a line feed is not one byte."""
    return re.match("utf.?(16|32)", encoding, re.IGNORECASE) is not None


def telling_part(path: Path) -> tuple[bytes, bool]:
    """The first part of a file that has a byte outside ASCII, or else its end, and whether it is UTF-8."""
    decoder, before = codecs.getincrementaldecoder("utf-8")(), b""
    with opened(path) as stream:
        while True:
            part = stream.read(CHUNK)
            try:
                text = decoder.decode(part, final=not part)
            except UnicodeDecodeError:
                return part or before, False
            if not part or not text.isascii():
                return part or before, True
            before = part


def is_in(content: bytes, encoding: str) -> bool:
    """Whether the start of a file is in an encoding; its last letter may be cut off."""
    try:
        codecs.getincrementaldecoder(encoding)().decode(content)
    except UnicodeDecodeError:
        return False
    return True


def decoder_of(encoding: str, shown: str) -> codecs.IncrementalDecoder:
    """The decoder of an encoding; raises RetrainError if Python does not know it."""
    try:
        return codecs.getincrementaldecoder(encoding)()
    except LookupError:
        raise RetrainError(
            shown,
            f"can't be read as '{encoding}', which is not an encoding",
            "name one such as utf-8 or cp1252",
        ) from None


def two_encodings(path: Path, encoding: str) -> int | None:
    """The first line of a file that is not UTF-8, although other lines are; None if all are, or if few are, perhaps by chance.

    Args:
        path: the file.
        encoding: the one that it is likely to be in.
    """
    content, is_utf8 = telling_part(path)
    if is_utf8 or marked_encoding(first_bytes(path)) is not None:
        return None
    foreign = [line for line in content.split(b"\n")[:-1] if not line.isascii()]
    wrong = [line for line in foreign if not is_in(line + b"\n", "utf-8")]
    if not wrong or len(foreign) - len(wrong) <= (FEW if encoding in LATIN else CHANCE) * len(foreign):
        return None
    if encoding not in LATIN and is_in(content, encoding):
        right = b"\n".join({*foreign}.difference(wrong))
        if len({*WORD.findall(right)}) <= CHANCE_WORDS:  # such as the column of one category
            return None
    with opened(path) as stream:
        return next(number for number, line in enumerate(stream, start=1) if line.rstrip(b"\n") == wrong[0])


def is_foreign(word: bytes) -> bool:
    """Whether a word with digits may be a date or an amount of another script than Latin, unlike 40\u00ba25\u00b4N."""
    return len(LETTER.findall(word)) > 3 and SIDE_BY_SIDE.search(word) is not None


def likely_encoding(path: Path) -> str:
    """The encoding that the bytes of a file are likely to be in. Windows' own covers Latin-1."""
    from charset_normalizer import from_bytes

    content, is_utf8 = telling_part(path)
    if (marked := marked_encoding(first_bytes(path))) is not None and not (is_utf8 and marked == "utf-8-sig"):
        return marked
    if is_utf8:
        return "utf-8"
    parts = [word for word in APART_IN_ALL.split(content) if not DIGIT.search(word) or is_foreign(word)]
    foreign = len(BEYOND.findall(b"".join(parts)))
    words = [word for word in parts if len(BEYOND.findall(word)) > 1]
    # In other scripts than Latin, most letters are outside ASCII.
    if len(BEYOND.findall(b"".join(words))) <= max(FEWEST, FEW * len(content), foreign / 2):
        return latin_encoding(content)
    tried = [*LATIN, *ENCODINGS, *([] if is_in(content, "gb18030") else [THAI])]
    tried += [] if PRIVATE.search(content.decode(JAPANESE, errors="ignore")) else [JAPANESE]
    best = from_bytes(b" ".join(words), cp_isolation=tried).best()
    return latin_encoding(content) if best is None or best.encoding in LATIN else best.encoding


def latin_encoding(content: bytes) -> str:
    """The encoding of Latin letters in which the signs next to letters are letters of one language: cp1252 unless almost all are.

    Of another encoding, a smaller share is enough if it is twice that of cp1252.
    """
    padded = b" " + content + b" "
    parts = Counter(padded[found.start() - 1 : found.start() + 2] for found in BEYOND.finditer(padded))
    signs = {part: count for part, count in parts.items() if NEAR_LETTER.fullmatch(part)}
    fitting = {}
    for encoding, alphabets in LATIN.items():
        texts = [(part.decode(encoding, errors="replace"), count) for part, count in signs.items()]
        fitting[encoding] = max(sum(count for text, count in texts if fits(text, own)) for own in alphabets)
    usual, total = fitting["cp1252"], sum(signs.values())
    best = max(fitting, key=lambda encoding: fitting[encoding])
    enough = min(MOST * total, max(2 * usual, HALF * total))
    return best if fitting[best] > max(usual, enough) else "cp1252"


def fits(part: str, alphabet: str) -> bool:
    """Whether a sign outside ASCII fits between its two neighbours: a letter of an alphabet, or an apostrophe, dash or quote."""
    before, sign, after = list(part)
    if sign in TYPOGRAPHIC:
        return not (before.isalpha() and after.isalpha())
    is_letter = sign in alphabet or sign.lower() in alphabet
    return sign in ANYWHERE or (is_letter and not (sign.isupper() and before.islower()))


def foreign_words(path: Path, encoding: str, other: str = "ascii") -> list[str]:
    """The first words of a file that another encoding would spell in another way."""
    text = telling_part(path)[0].decode(encoding, errors="replace")
    words = dict.fromkeys(FOREIGN.findall(text))
    differ = (word for word in words if word.encode(encoding, errors="replace").decode(other, errors="replace") != word)
    return list(islice(differ, NAMED))
