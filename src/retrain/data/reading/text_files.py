"""The text of a file of rows: decompressed, decoded, and without what comes before its header."""

import codecs
import csv
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import StringIO
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

from retrain import files, schema
from retrain.data.reading.encodings import (
    CHUNK,
    COMPRESSED,
    decoder_of,
    encoding_of,
    is_wide,
    latin_encoding,
    likely_encoding,
    opened,
)
from retrain.data.reading.file_format import Format
from retrain.errors import RetrainError

__all__ = [
    "LONGEST_LINE",
    "SEPARATORS",
    "Text",
    "apart",
    "first_lines",
    "has_row_names",
    "header_line",
    "is_apart",
    "lines_before_header",
    "names_in",
    "plain_text",
    "rare_separators",
    "reading",
    "records",
    "source_of",
    "with_command",
]


SEPARATORS = (",", ";", "\t", "|")
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


def names_in(record: Sequence[str]) -> list[str]:
    """The values of a record as names of columns."""
    return [*map(schema.column_name, record)]
