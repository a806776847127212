"""Tables that people bring: to prepare, and to predict from."""

import csv
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from support.damage.cases import (
    EITHER,
    READ,
    REFUSED,
    Case,
    Damage,
    both,
    broken_bytes,
    changed,
    no_file,
    written,
)
from support.damage.parameters import parameter_changed

NEWS, NUMBERS = "data/raw/tiny_news/rows.csv", "data/raw/tiny_numbers/rows.csv"


PREPARE_NEWS, PREPARE_NUMBERS = ("prepare", "--dataset", "tiny_news"), ("prepare", "--dataset", "tiny_numbers")


PREDICT = ("retrain", "predict", "tiny_news", "--file")


SPELLINGS = (
    "1e999", "-1e999", "nan", "NaN", "-nan", "inf", "-Infinity", "1e151", "0x10", "0b1", "0o7", "1_000", "1,5", "1.000,5",
    "1 000", "1\u00a0000", "1.0.0", "--1", "1e", "e1", "+", "-", ".", "½", "²", "1f", "1L", "1j", "(1)", "$1", "1%", "True", "None",
    "null", "NA", "N/A", "#REF!", "=1+1", "'1", "1\x00", "\x1b[31m1", "\u066b", "1" * 400, "1" * 5000, "9" * 1_000_000, "x" * 1_000_000,
)  # fmt: skip


SAME_NUMBERS: dict[str, Callable[[str], str]] = {
    "an exponent": lambda number: f"{number}e0",
    "spaces": lambda number: f" {number}\t",
    "zeros behind": lambda number: f"{number}0000000000000000000000000",
    "zeros before": lambda number: number if number.startswith("-") else f"000{number}",
    "a plus": lambda number: number if number.startswith("-") else f"+{number}",
    "quotes": lambda number: f'"{number}"',
    "a factor of ten": lambda number: f"{float(number) * 1000:.0f}e-3",
}
"""The same numbers, spelt otherwise."""


def tables() -> Iterator[Case]:
    """CSV files that people bring, to prepare and to predict from."""
    for name, command in ((NEWS, PREPARE_NEWS), ("rows.csv", (*PREDICT, "rows.csv"))):
        first = rows_beside(name)
        for what, content in refused_tables().items():
            codes = EITHER if what in READABLE else REFUSED
            yield Case(f"{name}: {what}", both(first, written(name, content)), command, codes)
        for case in (*no_file(name, command), *broken_bytes(name, command, 6)):
            yield Case(case.name, both(first, case.damage), command, case.codes)
    for what, change in SAME_ROWS.items():
        yield Case(f"{NEWS}: {what}", changed(NEWS, change), PREPARE_NEWS, READ)
    for what, content in strange_tables().items():
        yield Case(f"{NEWS}: {what}", written(NEWS, content), PREPARE_NEWS, EITHER)
    for spelling in SPELLINGS:
        yield Case(f"{NUMBERS}: {spelling[:20]!r}", written(NUMBERS, number_table(spelling)), PREPARE_NUMBERS, REFUSED)
    for what, spell in SAME_NUMBERS.items():
        yield Case(f"{NUMBERS}: numbers with {what}", changed(NUMBERS, partial(respelt, spell)), PREPARE_NUMBERS, READ)


def rows_beside(name: str) -> Damage:
    """A good file of the name, to be damaged."""

    def damage(folder: Path) -> None:
        if not (folder / name).exists():
            (folder / name).write_bytes((folder / NEWS).read_bytes())

    return damage


def refused_tables() -> dict[str, bytes]:
    """CSV files that are none, or not these; see `READABLE`."""
    header, row = b"text,topic\n", b"the cow,farm\nthe ship,sea\nan old cow,farm\na ship,sea\n"
    return {
        "nothing": b"",
        "a byte order mark alone": b"\xef\xbb\xbf",
        "line ends alone": b"\n\r\n\n",
        "a header alone": header,
        "cut off in a quote": header + row + b'"the sh',
        "cut off in a quote of 100 MB": header + row + b'"' + b"x" * 100_000_000,
        "a quote in the middle": header + row + b'"the" ship,sea\n',
        "a million quotes": header + row + b'"' * 1_000_001 + b",sea\n",
        "Latin-1": header + row + b"caf\xe9,farm\n",
        "UTF-16": (header + row).decode().encode("utf-16"),
        "UTF-16 without a mark": (header + row).decode().encode("utf-16-le"),
        "UTF-32": (header + row).decode().encode("utf-32"),
        "half a character": header + row + b"caf\xc3,farm\n",
        "a surrogate": header + row + b"\xed\xa0\x80,farm\n",
        "an overlong character": header + row + b"\xc0\xaf,farm\n",
        "a row too long": header + row + b"a,farm,b\n",
        "a row too short": header + row + b"a\n",
        "a million values in a row": header + row + b"a," * 1_000_000 + b"\n",
        "a million columns": b",".join(b"c%d" % number for number in range(1_000_000)) + b"\n" + row,
        "half a million columns of one name": b"text," * 500_000 + b"\n" + row,
        "a column twice": b"text,topic,topic\n" + row,
        "a column with a line break": b'"te\nxt",topic\n' + row,
        "no column of the name": b"subject,topic\n" + row,
        "other delimiters": (header + row).replace(b",", b";"),
        "tabs": (header + row).replace(b",", b"\t"),
        "NUL in the header": b"te\x00xt,topic\n" + row,
        "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00" + bytes(range(256)),
        "Parquet": b"PAR1" + bytes(range(256)) + b"PAR1",
        "a spreadsheet": b"PK\x03\x04" + bytes(range(256)),
        "JSON": json.dumps([{"text": "the cow", "topic": "farm"}] * 9).encode(),
        "HTML": b"<!doctype html>\n<title>404</title>\n<p>Not found, sorry.</p>\n",
        "a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0000\nsize 12345\n",
    }


READABLE = ("UTF-16", "other delimiters", "tabs", "JSON")
"""Of them, those that hold the rows all the same, and that a file of its own may be written in."""


SAME_ROWS: dict[str, Callable[[bytes], bytes]] = {
    "a byte order mark": lambda content: b"\xef\xbb\xbf" + content,
    "line ends of Windows": lambda content: content.replace(b"\n", b"\r\n"),
    "line ends of old Macs": lambda content: content.replace(b"\n", b"\r"),
    "mixed line ends": lambda content: content.replace(b"\n", b"\r\n", 9).replace(b"\n", b"\n\n", 5),
    "no line end at the end": lambda content: content.rstrip(b"\n"),
    "blank lines": lambda content: content.replace(b"\n", b"\n\r\n") + b"\n\n",
    "everything quoted": lambda content: b"".join(
        b'"' + line.replace(b",", b'","') + b'"\n' for line in content.splitlines()
    ),
}
"""CSV files that hold the same rows."""


def strange_tables() -> dict[str, bytes]:
    """CSV files that hold rows, if not what one would expect."""
    rows = b"".join(b"word%d cow,farm\nword%d ship,sea\n" % (number, number) for number in range(50))
    many = b"".join(b"a%d,class%d\nb%d,class%d\n" % ((number,) * 4) for number in range(20_000))
    return {
        "NUL": b"text,topic\n" + rows + b"a\x00b,sea\n",
        "control characters": b"text,topic\n" + rows + bytes(range(1, 9)) + b"\x1b[2J\x02\x03,sea\n",
        "a field of 100 MB": b"text,topic\n" + rows + b"x" * 100_000_000 + b",sea\n",
        "a text of ten million words": b"text,topic\n" + rows + b"a " * 10_000_000 + b",sea\n",
        "a class with markup": b"text,topic\n" + rows.replace(b"sea", b"<script>](javascript:\x1b[31m"),
        "a class of 10 MB": b"text,topic\n" + rows.replace(b"sea", b"s" * 100_000),
        "40,000 rows of 20,000 classes": b"text,topic\n" + many,
        "entities without end": b"text,topic\n" + rows + b"&amp;" * 1_000_000 + b",sea\n",
        "marks alone": b"text,topic\n" + b"".join(b"%s,sea\n%s,farm\n" % (b"!" * n, b"?" * n) for n in range(1, 60)),
        "every row the same": b"text,topic\n" + b"a,sea\na,farm\n" * 100,
    }


def number_table(spelling: str) -> bytes:
    """A table of numbers, one of them spelt so."""
    quoted = '"' + spelling.replace('"', '""') + '"'
    return f"a,b,c,y\n1,2,3,4\n2,{quoted},4,5\n3,4,5,7\n".encode()


def respelt(spell: Callable[[str], str], content: bytes) -> bytes:
    """A table of numbers, each spelt in another way."""
    header, *rows = content.decode().splitlines()
    return "\n".join([header, *(",".join(map(spell, row.split(","))) for row in rows), ""]).encode()


STRANGE = (
    "$\\frac{", "$x$", "<script>", "](javascript:", "=1+1", "a\nb", "a\rb", "\x1b[2J", "😀", "e\u0301", "\u202e", "nan", "None", "1", "-1",
    " ", "a,b", '"', "x" * 5000, "\x00", "%s", "{0}", "C:\\", "../x", "#", "- a", "null", "true", "_", "target", "predicted", "rows",
)  # fmt: skip


def strange_names() -> Iterator[tuple[str, Damage]]:
    """Classes and columns of every name."""
    for name in STRANGE:
        yield f"a class called {name[:20]!r}", partial(with_class, name)
        yield f"columns called {name[:20]!r}", partial(with_columns, name)


def with_class(name: str, folder: Path) -> None:
    """A table in which one of the classes has another name."""
    with (folder / NEWS).open(newline="") as file:
        header, *rows = csv.reader(file)
    renamed = [[text, name if topic == "sea" else topic] for text, topic in rows]
    with (folder / NEWS).open("w", newline="") as file:
        csv.writer(file).writerows([header, *renamed])


def with_columns(name: str, folder: Path) -> None:
    """A table without a header, whose columns have other names."""
    rows = (folder / NEWS).read_bytes().partition(b"\n")[2]
    (folder / NEWS).write_bytes(rows)
    names = {"header": False, "columns": [name, f"{name}2"], "inputs": [name], "target": f"{name}2"}
    for parameter, value in names.items():
        parameter_changed(("tiny_news", "prepare", parameter), value)(folder)
