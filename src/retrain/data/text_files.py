"""The text of a file of rows: decompressed, decoded, and without what comes before its header."""

import codecs
import csv
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BufferedReader, StringIO
from itertools import islice, takewhile
from pathlib import Path
from typing import IO, Any

from retrain import files, schema
from retrain.data.file_format import Format
from retrain.errors import RetrainError

__all__ = [
    "CHUNK",
    "LONGEST_LINE",
    "SEPARATORS",
    "Text",
    "apart",
    "decoder_of",
    "encoding_of",
    "first_bytes",
    "first_lines",
    "foreign_words",
    "has_row_names",
    "header_line",
    "is_apart",
    "is_binary",
    "is_wide",
    "likely_encoding",
    "lines_before_header",
    "names_in",
    "opened",
    "plain_text",
    "rare_separators",
    "reading",
    "records",
    "source_of",
    "two_encodings",
    "with_command",
]


SEPARATORS = (",", ";", "\t", "|")
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
BLANK = re.compile(r"(?:[ \t]*\n)+")
SEP = re.compile(r'"?sep=(.)"?\n', re.IGNORECASE)
"""The first line that Excel writes to tell itself the separator."""
VALUE_IN_QUOTES = re.compile(r'"(?:[^"\n]|"")*"')
VALUE = re.compile(rf"{VALUE_IN_QUOTES.pattern}|\S+")
"""A value of a line whose values have blanks between them."""
APART = re.compile(r"\d {2,}[\d.+-]")
"""Numbers with several blanks between them, as no other separator needs."""
RARE = re.compile(r"[^\w\s\"'.-]")
"""A sign that may separate values."""
COMMENT, MARKED = re.compile(r"(#|//|%)\s"), re.compile(r"^#\s+(?=\S)")
SEARCHED = 30
"""The first lines of a CSV file, among which the header is looked for."""
LONGEST_LINE = 1 << 25
"""Bytes in a row of a CSV file."""
LARGEST_FILE = 1 << 34
"""Bytes of a file after decompression."""
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


def records(
    file: Iterable[str], separator: str, quote: str, *, single: bool, strict: bool = False
) -> Iterator[tuple[int, list[str]]]:
    """The records of a CSV file with the lines on which they start. Blank lines count only in a table of one column.

    Raises:
        csv.Error: a record is not valid. Its argument is the line on which the record starts.
    """
    csv.field_size_limit(LONGEST_LINE)
    style: Any = {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE, "quotechar": None}
    style |= {"delimiter": separator[0], "skipinitialspace": separator != " "}
    reader, last = csv.reader(file, strict=strict, **style), 0
    try:
        for record in reader:
            if record or single:
                yield last + 1, record
            last = reader.line_num
    except csv.Error:
        raise csv.Error(last + 1) from None


@dataclass(frozen=True)
class Text:
    """A file as UTF-8 with line feeds."""

    path: Path
    original: Path
    shown: str
    format: Format
    """With the separator that a `sep=` line names."""
    skipped: int
    """Lines of the original that it lacks at its start."""
    section: str
    """The section of params.yaml that describes it."""
    source: str = ""
    """The path of the original for a command; see `source_of`."""


def source_of(path: Path, shown: str) -> str:
    """The path of a file that a shell can read as it is; empty for standard input, a download and a compressed file."""
    with path.open("rb") as raw:
        is_compressed = raw.read(4).startswith(tuple(COMPRESSED))
    return "" if is_compressed or "://" in shown or path.name != Path(shown).name else str(path)


def with_command(advice: str, program: str, source: str, suffix: str = ".csv") -> str:
    """What to do about a file, and the command for it if a shell can read the file.

    Args:
        advice: what to do.
        program: a command that reads a file, its last argument, and writes to standard output.
        source: the path of the file, or empty; see `source_of`.
        suffix: that of the new file, whose name is never that of the old one.
    """
    new = shlex.quote(f"{Path(source).stem}-new{suffix}")
    return f"{advice}: {program} {shlex.quote(source)} > {new}" if source else advice


@contextmanager
def reading(path: Path, shown: str, *damage: type[Exception]) -> Iterator[None]:
    """Turn what goes wrong while a file is read into an error that names the file as the user knows it; see `files.reading`."""
    try:
        with files.reading(path, "table", "give the path of a CSV, JSON lines or Parquet file", *damage):
            yield
    except RetrainError as error:
        where = shown if error.where == str(path) else error.where
        raise RetrainError(where, error.fact.replace(str(path), shown), error.hint) from None


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


def plain_text(path: Path, known: Text) -> Text:
    """A file without compression, byte order mark and `sep=` line.

    Args:
        path: the file.
        known: what is known about it, with the folder for the text as its path.

    Raises:
        RetrainError: the file is not in its encoding, or too large.
    """
    shown, given = known.shown, known.format
    target, skipped, separator, read, first = known.path / "rows", 0, None, 0, True
    encoding = encoding_of(path, given.encoding or "utf-8")
    decoder = decoder_of(encoding, shown)
    if encoding == "utf-8" and not given.skip and is_plain(path):
        with files.writing(target):
            target.symlink_to(path.resolve())
        return replace(known, path=target)
    with opened(path) as stream, files.writing(target), target.open("wb") as file:
        head = stream.read(CHUNK)
        lone = b"\n" not in head and b"\r" in head  # the line ends of old Macs
        held, chunk = "", head
        while True:
            try:
                text = held + decoder.decode(chunk, final=not chunk)
            except UnicodeError as error:
                raise wrong_encoding(path, known, encoding, error) from None
            held = "\r" if text.endswith("\r") and chunk else ""
            text = text.removesuffix("\r") if held else text
            if "\r" in text:
                text = with_line_feeds(text, lone=lone)
            if first and given.skip:
                lines = text.split("\n", given.skip)
                text, skipped = lines[-1] if len(lines) > given.skip else "", given.skip
            if first and (found := SEP.match(text)):
                separator, text, skipped = found[1], text[found.end() :], skipped + 1
            if first and (blank := BLANK.match(text)):
                text, skipped = text[blank.end() :], skipped + blank[0].count("\n")
            first = False
            file.write(text.encode())
            read += len(chunk)
            if read > LARGEST_FILE:
                raise RetrainError(shown, f"is larger than {LARGEST_FILE:,} bytes", "divide it")
            if not chunk:
                own = given if separator is None else given.model_copy(update={"separator": separator})
                return replace(known, path=target, format=own, skipped=skipped)
            chunk = stream.read(CHUNK)


def is_plain(path: Path) -> bool:
    """Whether a file is UTF-8 with line feeds, and `plain_text` would copy it as it is."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        chunk = file.read(CHUNK)
        start = chunk.decode(errors="ignore")
        is_large = path.stat().st_size > LARGEST_FILE
        if is_large or chunk.startswith(tuple(COMPRESSED)) or SEP.match(start) or BLANK.match(start):
            return False
        try:
            while chunk and b"\r" not in chunk:
                decoder.decode(chunk)
                chunk = file.read(CHUNK)
            decoder.decode(chunk, final=True)
        except UnicodeDecodeError:
            return False
    return not chunk


def lines_before_header(path: Path, shown: str, given: Format, target: str) -> int | None:
    """The number of lines before the line that names the target: comments and titles; see `are_titles`.

    It is None if no line is sure to be the header, and 0 if there are only blank lines or `sep=`, which need no care.
    """
    decoder_of(given.encoding or "utf-8", shown)
    with reading(path, shown), opened(path) as stream:
        encoding, head = encoding_of(path, given.encoding or "utf-8"), stream.read(CHUNK)
    lone = b"\n" not in head  # the line ends of old Macs
    text = with_line_feeds(head.decode(encoding, errors="replace").removeprefix("\ufeff"), lone=lone)
    lines, target = text.split("\n"), schema.column_name(target)
    quote = '"' if given.quote is None else given.quote
    found = []
    apart = "\n".join(map(header_line, lines[:SEARCHED]))
    for separator in [given.separator] if given.separator else [*SEPARATORS, " "]:
        # Records rather than lines: a name in quotes may have a line break.
        own = StringIO(apart if separator == " " else text, newline="")
        first = islice(records(own, separator, quote, single=True), SEARCHED)
        found.append((separator, [(start, lines[start - 1], names_in(record)) for start, record in first]))
    headers = [names for _, named in found for _, line, names in named if target in names and not COMMENT.match(line)]
    for separator, named in found:
        naming = (place for place, (_, _, names) in enumerate(named) if target in names)
        place = next((place for place in naming if not is_repeated(named[place][1], named[place][2], headers)), None)
        is_table = separator != " " or len({len(names) for _, _, names in named[place:]}) == 1  # no prose
        if place is not None and is_table and are_titles(named, place):
            start = named[place][0]
            before = "".join(lines[: start - 1])
            return 0 if not before.strip() or (start == 2 and SEP.match(text)) else start - 1
    return None


def is_repeated(line: str, names: Sequence[str], headers: Sequence[Sequence[str]]) -> bool:
    """Whether a line is a comment with most names of the header, which comes later, perhaps with another separator."""
    own = {COMMENT.sub("", name) for name in names}
    return COMMENT.match(line) is not None and any(2 * len(own & {*header}) > len(header) for header in headers)


def are_titles(named: Sequence[tuple[int, str, Sequence[str]]], place: int) -> bool:
    """Whether all records before that of the header are comments, have at most half as many values, or can't be rows of its table.

    Several lines with a # in front are comments, as the annotations of InfluxDB; one may be a header.
    The records after the header must have none, up to a blank line: another table may follow it.

    They can't if they have another number of values than the header, and all records after it have as many as it, but no
    name of it in the same place. Then those with as many values can't either, below a first line with another number, such as
    those that LabVIEW writes about each channel: the header has a word in each place.

    Args:
        named: the line number, the line and the values of each of the first records.
        place: that of the header.
    """
    header, rows = named[place][2], [values for _, _, values in named[place + 1 :] if any(values)]
    filled, width = len([*filter(None, header)]), len(header)
    after = [line.startswith("#") for _, line, _ in takewhile(lambda own: own[2], named[place + 1 :])]
    if place > 1 and all(line.startswith("#") for _, line, _ in named[:place]) and after and not any(after):
        return True
    has_names = any(value and value == name for values in rows for name, value in zip(header, values, strict=False))
    is_table = {*map(len, rows)} == {width} and not has_names
    is_lower = is_table and len(named[0][2]) != width and all(re.match(r"[^\W\d]", name) for name in header)
    return is_lower or all(
        COMMENT.match(line) or 2 * len([*filter(None, values)]) <= filled or (is_table and len(values) != width)
        for _, line, values in named[:place]
    )


def with_line_feeds(text: str, *, lone: bool) -> str:
    """A text whose line ends are line feeds. A carriage return alone is a line end in a file without others."""
    return text.replace("\r\n", "\n").replace("\r", "\n" if lone else " ")


def single_blanks(line: str) -> str:
    """A line whose values have single blanks between them."""
    return " ".join(VALUE.findall(line))


def header_line(line: str) -> str:
    """The same for a header, whose first name may be marked as a comment: `# x y`, as numpy writes it, has the names #x and y."""
    return single_blanks(MARKED.sub("#", line))


def apart(text: Text) -> Text:
    """A text whose values have single blanks between them."""
    path = text.path.with_name("apart")
    with files.writing(path), text.path.open(encoding="utf-8") as lines, path.open("wb") as file:
        file.write(f"{header_line(next(lines))}\n".encode())
        file.writelines(f"{single_blanks(line)}\n".encode() for line in lines)
    return replace(text, path=path)


def first_lines(text: Path) -> list[str]:
    """The first lines of a text that are not blank."""
    with text.open(encoding="utf-8") as file:
        return [line for line in islice(file, SEARCHED) if line.strip()]


def has_row_names(lines: Sequence[str], separator: str, quote: str) -> bool:
    """Whether each row begins with its own name, in quotes, for which the header has no name, as R writes tables."""
    split = map(single_blanks, lines) if separator == " " else lines
    header, *rows = [record for _, record in records(split, separator, quote, single=True)] or [[]]
    in_quotes = len(rows) == len(lines) - 1 and all(line.startswith('"') for line in lines)
    return in_quotes and {*map(len, rows)} == {len(header) + 1} and len({row[0] for row in rows}) == len(rows)


def rare_separators(text: Path) -> list[str]:
    """Signs, other than the usual separators, that each of the first lines has equally often, such as ~ and the Ctrl-A of Hive."""
    bare = [VALUE_IN_QUOTES.sub("", line) for line in first_lines(text)]
    signs = dict.fromkeys(RARE.findall(bare[0]))
    return [sign for sign in signs if 2 * sign not in bare[0] and len({line.count(sign) for line in bare}) == 1]


def is_apart(text: Path) -> bool:
    """Whether blanks separate the values of a file: each of its first lines has as many of them, and no other sign as often."""
    lines = first_lines(text)
    lines[:1] = (MARKED.sub("#", line) for line in lines[:1])
    rows = lines[1:] if has_row_names(lines, " ", '"') else lines
    widths = {len(VALUE.findall(line)) for line in rows}
    bare = [VALUE_IN_QUOTES.sub("", line) for line in rows]
    counts = [{line.count(sign) for line in bare} for sign in SEPARATORS]
    by_other = any(len(count) == 1 and count != {0} for count in counts)
    return len(widths) == 1 and widths != {1} and (not by_other or all(map(APART.search, lines)))


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


def wrong_encoding(path: Path, known: Text, encoding: str, error: UnicodeError) -> RetrainError:
    """The error of a file that is not in its encoding, with the encoding that is likely."""
    place, line = known.shown, b""
    with opened(path) as stream:
        for number, line in enumerate([] if is_wide(encoding) else stream, start=1):
            try:
                line.decode(encoding)
            except UnicodeError as found:
                place, error = f"{known.shown}, line {number}", found
                break
    byte = f" (byte {error.object[error.start]:#04x})" if isinstance(error, UnicodeDecodeError) else ""
    name = "UTF-8" if encoding in ("utf-8", "utf-8-sig") else encoding
    likely = likely_encoding(path)  # by the first part with such bytes, which may be another one
    likely = latin_encoding(line) if likely == encoding else likely
    likely = "latin-1" if likely == encoding else likely  # it takes all bytes
    option = f"set {known.section}.format.encoding: {likely}" if known.section else f"use --encoding {likely}"
    hint = "save it as UTF-8" if likely == "utf-8" else option
    return RetrainError(place, f"is not {name}{byte}", hint)


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


def names_in(record: Sequence[str]) -> list[str]:
    """The values of a record as names of columns."""
    return [*map(schema.column_name, record)]
