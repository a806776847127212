"""Damaged inputs, made by a seed: what each damages, and the command that meets it.

A new kind of damage is a function below that yields cases, and an entry in `KINDS`. `tests/test_damage.py` runs them.
"""

import csv
import hashlib
import io
import json
import math
import os
import random
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from retrain.pipeline import dvc_cache
from support.project import MLP, block, tiny_datasets, train_section

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from ruamel.yaml import YAML
from safetensors.torch import load_file, save_file

SEED = 1
Damage = Callable[[Path], None]
"""Harms a project, given its folder."""

REFUSED, READ, EITHER, USAGE = (1,), (0,), (0, 1), (2,)
"""Exit codes that will do. What is READ gives the same outputs as before: a documented recovery. EITHER is for damage
that may leave something valid, such as another number."""


@dataclass(frozen=True)
class Case:
    """A damage, the command that meets it, and the exit codes that will do."""

    name: str
    damage: Damage
    command: tuple[str, ...]
    codes: tuple[int, ...]
    stdin: str = os.devnull
    """A path below the project's folder, or an absolute one."""
    says: str = ""
    """A regular expression of what it must say."""


def draw_for(*about: object) -> random.Random:
    """A generator of its own for each damage, so that a new one changes no other."""
    return random.Random(" ".join(map(str, (SEED, *about))))


def corpus_datasets() -> dict:
    """The tiny datasets, and two more for what they leave out: ngrams of docstrings, and one of scikit-learn's tables."""
    pairs = {"name": "ngram_bag", "embedding_dim": 4, "embedding_init": 0.05, "output_init": 0.5, "sparse": True}
    words = {"source": "docstrings", "repairs": ["spaces"], "packages": ["click", "filelock"], "minimum_words": 3}
    ngrams = block(words, "ngrams", "classification", train_section(pairs, "cross_entropy", 0.1))
    ngrams["split"]["encoder"] = {
        "name": "ngrams",
        "minimum_count": 1,
        "min_log_ratio": 0.1,
        "hash_bits": 12,
        "char_ngrams": 3,
    }
    ngrams["train"]["optimizer"] = {"name": "rowwise_adagrad"}
    iris = {"source": "scikit_learn", "repairs": [], "table": "iris"}
    table = block(iris, "numbers", "classification", train_section(MLP, "cross_entropy", 0.05))
    table["train"]["optimizer"] = {"name": "adamw", "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.01}
    table["train"]["schedule"] = {"name": "steps", "count": 2, "gamma": 0.5}
    return {**tiny_datasets(), "tiny_pairs": ngrams, "tiny_table": table}


# How to damage a file


def written(name: str, content: bytes) -> Damage:
    """A file with this content."""

    def damage(folder: Path) -> None:
        without(folder / name)
        (folder / name).write_bytes(content)

    return damage


def changed(name: str, change: Callable[[bytes], bytes]) -> Damage:
    """A file with its content changed."""

    def damage(folder: Path) -> None:
        (folder / name).write_bytes(change((folder / name).read_bytes()))

    return damage


def without(path: Path) -> None:
    """Take a file or a folder away."""
    if path.is_dir():
        path.rename(path.with_name(f"{path.name}-taken-away"))
    else:
        path.unlink(missing_ok=True)


def something_else(name: str, make: Callable[[Path], object]) -> Damage:
    """Something that is no file, where a file should be."""

    def damage(folder: Path) -> None:
        without(folder / name)
        make(folder / name)

    return damage


def forbidden(name: str) -> Damage:
    """A file that may not be read."""

    def damage(folder: Path) -> None:
        (folder / name).touch()
        (folder / name).chmod(0)

    return damage


def loop_of_links(path: Path) -> None:
    """A link to itself."""
    path.symlink_to(path.name)


def listening(path: Path) -> None:
    """A socket of the file system. Its path may have 100 characters, so it is made from its folder."""
    with socket.socket(socket.AF_UNIX) as server:
        here = os.open(".", os.O_RDONLY)
        os.chdir(path.parent)
        server.bind(path.name)
        os.fchdir(here)
        os.close(here)


NO_FILES: dict[str, Callable[[Path], object]] = {
    "missing": lambda _path: None,
    "a folder": Path.mkdir,
    "a pipe": os.mkfifo,
    "a link to itself": loop_of_links,
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "an endless device": lambda path: path.symlink_to("/dev/zero"),
    "a full device": lambda path: path.symlink_to("/dev/full"),
    "a terminal": lambda path: path.symlink_to("/dev/tty"),
    "a socket": listening,
}  # fmt: skip


def no_file(name: str, command: tuple[str, ...], codes: tuple[int, ...] = REFUSED) -> Iterator[Case]:
    """Everything that may stand in a file's place, and a file that may not be read."""
    for what, make in NO_FILES.items():
        yield Case(f"{name} is {what}", something_else(name, make), command, codes)
    yield Case(f"{name} is forbidden", forbidden(name), command, (*codes, *USAGE))


def broken_bytes(name: str, command: tuple[str, ...], count: int, codes: tuple[int, ...] = EITHER) -> Iterator[Case]:
    """A file cut off, with flipped bits, with foreign bytes in it, zeroed, doubled and empty."""
    for number in range(count):
        draw = draw_for(name, number)
        for change in (cut, flip, overwrite, take_out):
            yield Case(f"{name}: {change.__name__} {number}", changed(name, partial(change, draw)), command, codes)
    whole = {
        "empty": lambda _content: b"",
        "zeros": lambda content: bytes(len(content)),
        "random": lambda content: draw_for(name).randbytes(len(content)),
        "backwards": lambda content: content[::-1],
        "twice": lambda content: content * 2,
        "one byte short": lambda content: content[:-1],
        "text": lambda _content: b"This is something else.\n",
    }
    for what, change in whole.items():
        yield Case(f"{name}: {what}", changed(name, change), command, codes)


def cut(draw: random.Random, content: bytes) -> bytes:
    """The beginning."""
    return content[: draw.randrange(len(content))]


def flip(draw: random.Random, content: bytes) -> bytes:
    """One to eight bits flipped."""
    damaged = bytearray(content)
    for _ in range(draw.randint(1, 8)):
        damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
    return bytes(damaged)


def overwrite(draw: random.Random, content: bytes) -> bytes:
    """Some bytes become others, often extreme ones."""
    begin, length = draw.randrange(len(content)), draw.choice([1, 2, 4, 8, 64])
    foreign = draw.choice([b"\xff" * length, bytes(length), draw.randbytes(length), b"\x7f" * length])
    return content[:begin] + foreign + content[begin + length :]


def take_out(draw: random.Random, content: bytes) -> bytes:
    """Some bytes are missing."""
    begin = draw.randrange(len(content))
    return content[:begin] + content[begin + draw.choice([1, 4, 100]) :]


# Tables that people bring


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
            yield Case(f"{name}: {what}", both(first, written(name, content)), command, REFUSED)
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


def both(first: Damage, second: Damage) -> Damage:
    """Two damages, one after the other."""

    def damage(folder: Path) -> None:
        first(folder)
        second(folder)

    return damage


def refused_tables() -> dict[str, bytes]:
    """CSV files that are none, or not these."""
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
        "a million columns of one name": b"text," * 1_000_000 + b"\n" + row,
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


# What one stage leaves for the next


SPLIT = ("split", "--dataset")
PREPARED = "data/{}/prepared/rows.parquet"


def parquet() -> Iterator[Case]:
    """The tables between stages."""
    for dataset in ("tiny_news", "tiny_numbers", "tiny_pairs"):
        name, command = PREPARED.format(dataset), (*SPLIT, dataset)
        yield from broken_bytes(name, command, 12)
        for what, table in foreign_tables().items():
            yield Case(f"{name}: {what}", parquet_of(name, table), command, REFUSED)
    name, command = PREPARED.format("tiny_news"), (*SPLIT, "tiny_news")
    yield from no_file(name, command)
    for what, content in {
        "the magic alone": b"PAR1PAR1",
        "a footer of 4 GB": b"PAR1" + bytes(64) + b"\xff\xff\xff\xffPAR1",
        "an encrypted footer": b"PARE" + bytes(64) + b"\x10\x00\x00\x00PARE",
    }.items():
        yield Case(f"{name}: {what}", written(name, content), command, REFUSED)
    yield Case(f"{name}: rows without end", changed(name, more_rows), command, REFUSED)
    official = "data/tiny_news/prepared/test.parquet"
    yield Case(f"{official}: foreign", written(official, b"PAR1"), command, REFUSED)
    yield Case(f"{official}: other columns", parquet_of(official, pa.table({"a": ["b"]})), command, REFUSED)
    test = "data/tiny_news/splits/test.parquet"
    yield from broken_bytes(test, ("evaluate", "--dataset", "tiny_news"), 6, REFUSED)
    yield from no_file(test, ("evaluate", "--dataset", "tiny_news"))


def parquet_of(name: str, table: pa.Table) -> Damage:
    """A file that holds another table."""
    return lambda folder: pq.write_table(table, folder / name)


def foreign_tables() -> dict[str, pa.Table]:
    """Tables that `prepare` never writes."""
    texts, labels = [f"text {number}" for number in range(40)], pa.array(["a", "b"] * 20).dictionary_encode()
    numbers = [float(number % 7) for number in range(40)]
    return {
        "no column": pa.table({}),
        "no row": pa.table({"text": pa.array([], pa.string()), "topic": pa.array([], pa.string()).dictionary_encode()}),
        "one column": pa.table({"text": texts}),
        "a text that is missing": pa.table({"text": [*texts[1:], None], "topic": labels}),
        "a number that is missing": pa.table({"a": [*numbers[1:], None], "b": numbers}),
        "a number that is none": pa.table({"a": [*numbers[1:], math.nan], "b": numbers}),
        "a number without end": pa.table({"a": [*numbers[1:], math.inf], "b": numbers}),
        "a class that is missing": pa.table({"text": texts, "topic": pa.array(["a", None] * 20).dictionary_encode()}),
        "every class missing": pa.table({"text": texts, "topic": pa.nulls(40, pa.string()).dictionary_encode()}),
        "whole numbers": pa.table({"a": list(range(40)), "b": list(range(40))}),
        "small numbers": pa.table({"a": pa.array(numbers, pa.float32()), "b": numbers}),
        "truth values": pa.table({"a": [True, False] * 20, "b": numbers}),
        "dates": pa.table({"a": [date(2001, 1, 1)] * 40, "b": numbers}),
        "bytes": pa.table({"text": [text.encode() for text in texts], "topic": labels}),
        "lists": pa.table({"text": [[text] for text in texts], "topic": labels}),
        "mappings": pa.table({"text": [{"a": text} for text in texts], "topic": labels}),
        "nothing but nulls": pa.table({"text": pa.nulls(40), "topic": pa.nulls(40)}),
        "classes that are numbers": pa.table({"text": texts, "topic": pa.array([1, 2] * 20).dictionary_encode()}),
        "text classes as text": pa.table({"text": texts, "topic": ["a", "b"] * 20}),
        "a column twice": pa.Table.from_arrays([pa.array(texts), pa.array(texts), labels], ["text", "text", "topic"]),
        "foreign metadata": pa.table({"text": texts, "topic": labels}).replace_schema_metadata({"pandas": "{"}),
        "metadata of other columns": pa.table({"text": texts, "topic": labels}).replace_schema_metadata(
            {"pandas": json.dumps({"index_columns": ["absent"], "columns": [], "column_indexes": [None]})}
        ),
    }


def more_rows(content: bytes) -> bytes:
    """A Parquet file that claims to have far more rows than it holds: its footer's counts, as varints, made huge."""
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    count = varint(2 * pq.read_metadata(io.BytesIO(content)).num_rows)
    damaged = content[footer:-8].replace(b"\x16" + count, b"\x16" + varint(2 * (1 << 60)))
    return content[:footer] + damaged + len(damaged).to_bytes(4, "little") + b"PAR1"


def varint(number: int) -> bytes:
    """A number as Thrift writes it."""
    parts = []
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


def arrays() -> Iterator[Case]:
    """The encoded examples."""
    for dataset, names in {
        "tiny_news": ("tokens", "offsets", "targets"),
        "tiny_pairs": ("features", "offsets", "scales", "importance", "targets"),
        "tiny_numbers": ("values", "targets"),
    }.items():
        command = ("train", "--dataset", dataset)
        for name in names:
            path = f"data/{dataset}/examples/train/{name}.npy"
            for what, change in foreign_arrays().items():
                yield Case(f"{path}: {what}", array_changed(path, change), command, REFUSED)
            yield from broken_bytes(path, command, 2)
            yield Case(f"{path}: a pickle", array_pickled(path), command, REFUSED)
        whole = f"data/{dataset}/examples/validation/{names[0]}.npy"
        yield Case(
            f"{whole}: cut in half", array_changed(whole, lambda array: array[: len(array) // 2]), command, REFUSED
        )
        yield from no_file(whole, command)
    yield from targets_out_of_range()
    yield from indices_out_of_range()
    folder = "data/tiny_news/examples/train"
    train = ("train", "--dataset", "tiny_news")
    yield Case(f"{folder}: missing", lambda project: without(project / folder), train, REFUSED)
    yield Case(f"{folder}: one file more", written(f"{folder}/more.npy", b""), train, REFUSED)


def array_changed(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Damage:
    """An array file with another array."""

    def damage(folder: Path) -> None:
        array = change(np.load(folder / name))
        np.save(folder / name, array, allow_pickle=False)

    return damage


def array_pickled(name: str) -> Damage:
    """An array file with Python objects."""
    return lambda folder: np.save(folder / name, np.array([{"a": 1}, None], dtype=object), allow_pickle=True)


def foreign_arrays() -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Arrays that the split stage never writes."""
    other = {"i": "<f8", "f": "<i8"}
    return {
        "no element": lambda array: array[:0],
        "one element less": lambda array: array[:-1],
        "one element more": lambda array: np.concatenate([array, array[-1:]]),
        "another type": lambda array: array.astype(other[array.dtype.kind]),
        "a wider type": lambda array: array.astype(np.complex128),
        "texts": lambda array: array.astype("U20"),
        "dates": lambda array: np.full(array.shape, np.datetime64("2001-01-01")),
        "records": lambda array: np.zeros(array.shape, dtype=[("a", "<i4"), ("b", "<f4")]),
        "big-endian": lambda array: array.astype(array.dtype.newbyteorder(">")),
        "one dimension more": lambda array: array[None],
        "transposed": lambda array: np.asfortranarray(np.stack([array, array])),
        "a single value": lambda array: np.array(array.flat[0]),
    }


def targets_out_of_range() -> Iterator[Case]:
    """Classes that there are not, and numbers that are none."""
    for dataset, values in {"tiny_news": (3, -1, -100, 2**62, -(2**63)), "tiny_numbers": (math.nan, math.inf)}.items():
        for assign_split in ("train", "validation"):
            path = f"data/{dataset}/examples/{assign_split}/targets.npy"
            for value in values:
                damage = array_changed(path, partial(with_value, value))
                yield Case(f"{path}: {value} among them", damage, ("train", "--dataset", dataset), REFUSED)


def indices_out_of_range() -> Iterator[Case]:
    """Numbers of words that there are not, and rows that begin where nothing is."""
    for dataset, name, values in (
        ("tiny_news", "tokens", (123, 10**6, 2**31 - 1, -1, -(2**31))),
        ("tiny_news", "offsets", (1, -1, 2**40, -(2**63), 2**63 - 1)),
        ("tiny_pairs", "features", (10**6, 2**31 - 1, -1, -(2**31))),
        ("tiny_pairs", "offsets", (-1, 2**40, -(2**63), 2**63 - 1)),
        ("tiny_pairs", "scales", (math.nan, math.inf)),
        ("tiny_pairs", "importance", (math.nan, -math.inf)),
        ("tiny_numbers", "values", (math.nan, math.inf)),
    ):
        for assign_split in ("train", "validation"):
            path = f"data/{dataset}/examples/{assign_split}/{name}.npy"
            for value in values:
                damage = array_changed(path, partial(with_value, value))
                yield Case(f"{path}: {value} among them", damage, ("train", "--dataset", dataset), REFUSED)


def with_value(value: float, array: np.ndarray) -> np.ndarray:
    """An array with a value in the middle and at the end."""
    array.reshape(-1)[[array.size // 2, -1]] = value
    return array


# JSON files


MODEL = "models/{}/model.json"
ENCODING = "data/{}/examples/encoding.json"
ABOUT = "data/{}/prepared/prepared.json"
PREDICT_NEWS = ("retrain", "predict", "tiny_news", "the ship near the old harbour")
BAD_JSON = (
    "null", "true", "-1", "0", "0.5", '""', '"other"', "[]", "{}", "[null]", '{"other": 1}', "1e999", "NaN", "-Infinity",
    f"1{'0' * 30}", "9223372036854775807", f"1{'0' * 5000}", "1e308", "1e-320", '"\\ud800"', '"\\u0000"', '"\\u001b[2J"',
    f'"{"x" * 100_000}"', "[" * 900 + "]" * 900, '[["a", "b"]]', '{"": {"": {"": null}}}',
)  # fmt: skip
HOLE = "\ue000"


def documents() -> Iterator[Case]:
    """The JSON files: every part of each replaced by every bad value, and the text itself damaged."""
    readers = {
        **{MODEL.format(dataset): ("evaluate", "--dataset", dataset) for dataset in ("tiny_news", "tiny_pairs", "tiny_numbers")},
        **{ENCODING.format(dataset): ("train", "--dataset", dataset) for dataset in ("tiny_news", "tiny_pairs", "tiny_numbers")},
        ABOUT.format("tiny_news"): (*SPLIT, "tiny_news"),
    }  # fmt: skip
    for name, command in readers.items():
        yield from no_file(name, command)
        yield from broken_bytes(name, command, 6)
        for what, change in broken_texts().items():
            yield Case(f"{name}: {what}", changed(name, change), command, REFUSED)
        for number in range(80):
            draw = draw_for(name, "value", number)
            value = draw.choice(BAD_JSON)
            damage = changed(name, partial(with_bad_value, draw, value))
            yield Case(f"{name}: {value[:20]} somewhere ({number})", damage, command, EITHER)
    for number in range(80):
        draw = draw_for("predict", number)
        damage = changed(MODEL.format("tiny_news"), partial(with_bad_value, draw, draw.choice(BAD_JSON)))
        yield Case(f"a model to predict with, damaged ({number})", damage, PREDICT_NEWS, EITHER)
    for number in range(30):
        draw = draw_for("plot", number)
        damage = changed(MODEL.format("tiny_numbers"), partial(with_bad_value, draw, draw.choice(BAD_JSON)))
        yield Case(f"a model to plot, damaged ({number})", damage, ("plot", "--dataset", "tiny_numbers"), EITHER)


def broken_texts() -> dict[str, Callable[[bytes], bytes]]:
    """JSON that is none."""
    return {
        "brackets without end": lambda _content: b"[" * 100_000,
        "mappings without end": lambda _content: b'{"a":' * 100_000,
        "a byte order mark": lambda content: b"\xef\xbb\xbf" + content,
        "UTF-16": lambda content: content.decode().encode("utf-16"),
        "Latin-1": lambda content: content.replace(b'"kind"', b'"k\xe9nd"').replace(b'"counts"', b'"c\xe9unts"'),
        "a comment": lambda content: b"// a comment\n" + content,
        "single quotes": lambda content: content.replace(b'"', b"'"),
        "half of it": lambda content: content[: len(content) // 2],
        "something behind it": lambda content: content + b"}",
        "a list": lambda content: b"[" + content + b"]",
        "a number": lambda _content: b"9" * 100_000,
        "another format": lambda content: content.replace(b'"format": 1', b'"format": 2').replace(b'"kind"', b'"sort"')
        .replace(b'"prepare"', b'"prepared"'),
    }  # fmt: skip


def with_bad_value(draw: random.Random, value: str, content: bytes) -> bytes:
    """A document with one of its parts, at any depth, replaced by a value that JSON's writers would not write."""
    document = json.loads(content)
    paths = list(paths_of(document))
    replace_at(document, draw.choice(paths), HOLE)
    return json.dumps(document, ensure_ascii=False).replace(f'"{HOLE}"', value).encode("utf-8", "surrogatepass")


def paths_of(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the parts of a document are; of lists the first three."""
    children = document.items() if isinstance(document, dict) else ()
    children = list(enumerate(document))[:3] if isinstance(document, list) else children
    for name, child in children:
        yield (*path, name)
        yield from paths_of(child, (*path, name))


def replace_at(document: Any, path: tuple[Any, ...], value: Any) -> None:
    """Put a value into a document."""
    *parents, last = path
    for name in parents:
        document = document[name]
    document[last] = value


# Weights


WEIGHTS = "models/{}/model.safetensors"


def weights() -> Iterator[Case]:
    """The weights, to evaluate and to predict."""
    for dataset in ("tiny_news", "tiny_numbers"):
        name, command = WEIGHTS.format(dataset), ("evaluate", "--dataset", dataset)
        yield from no_file(name, command)
        yield from broken_bytes(name, command, 12)
        for what, change in foreign_weights().items():
            yield Case(f"{name}: {what}", tensors_changed(name, change), command, REFUSED)
        for what, change in foreign_headers().items():
            yield Case(f"{name}: {what}", changed(name, change), command, REFUSED)
    yield from broken_bytes(WEIGHTS.format("tiny_news"), PREDICT_NEWS, 6)


def tensors_changed(name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Damage:
    """A weights file with other tensors."""

    def damage(folder: Path) -> None:
        stored = {key: change(tensor) for key, tensor in load_file(folder / name).items()}
        save_file(stored, folder / name)

    return damage


def foreign_weights() -> dict[str, Callable[[torch.Tensor], torch.Tensor]]:
    """Tensors that no training leaves."""
    return {
        "not a number": lambda tensor: tensor * math.nan,
        "infinite": lambda tensor: tensor / 0,
        "float64": lambda tensor: tensor.double(),
        "whole numbers": lambda tensor: tensor.long(),
        "truth values": lambda tensor: tensor > 0,
        "complex": lambda tensor: tensor.to(torch.complex64),
        "a row less": lambda tensor: tensor[:-1].contiguous(),
        "a dimension more": lambda tensor: tensor[None].contiguous(),
        "transposed": lambda tensor: tensor[..., None].transpose(0, -1).contiguous(),
        "no element": lambda tensor: tensor[:0],
    }


def foreign_headers() -> dict[str, Callable[[bytes], bytes]]:
    """Headers of safetensors that lie."""

    def header(change: Callable[[dict[str, Any]], object]) -> Callable[[bytes], bytes]:
        def damage(content: bytes) -> bytes:
            length = int.from_bytes(content[:8], "little")
            described = json.loads(content[8 : 8 + length])
            change(described)
            encoded = json.dumps(described).encode()
            return len(encoded).to_bytes(8, "little") + encoded + content[8 + length :]

        return damage

    def each(part: str, value: Any) -> Callable[[dict[str, Any]], object]:
        return lambda described: [entry.update({part: value}) for name, entry in described.items() if name[0] != "_"]

    return {
        "a header without end": lambda content: b"\xff" * 8 + content[8:],
        "a header of 1 GB": lambda content: (1 << 30).to_bytes(8, "little") + content[8:],
        "a header of nothing": lambda content: bytes(8) + content[8:],
        "nested brackets as header": lambda _content: (100_000).to_bytes(8, "little") + b"[" * 100_000,
        "offsets before the beginning": header(each("data_offsets", [-8, 0])),
        "offsets behind the end": header(each("data_offsets", [0, 1 << 40])),
        "offsets that cross": header(each("data_offsets", [8, 0])),
        "shapes without end": header(each("shape", [1 << 40, 1 << 40])),
        "no shape": header(each("shape", [])),
        "types that there are not": header(each("dtype", "F128")),
        "one tensor more": header(lambda described: described.update(more={"dtype": "F32", "shape": [0], "data_offsets": [0, 0]})),
        "one tensor less": header(lambda described: described.pop(min(described))),
        "no tensor": header(lambda described: described.clear()),
    }  # fmt: skip


# Reports


def reports() -> Iterator[Case]:
    """History, predictions and confusion matrix, to plot and to draw; metrics are only shown."""
    plot_news, plot_numbers = ("plot", "--dataset", "tiny_news"), ("plot", "--dataset", "tiny_numbers")
    for name, command in {
        "reports/tiny_news/history.csv": plot_news,
        "reports/tiny_news/confusion.csv": plot_news,
        "reports/tiny_numbers/predictions.csv": plot_numbers,
    }.items():
        yield from no_file(name, command)
        yield from broken_bytes(name, command, 4)
        for what, change in foreign_reports().items():
            yield Case(f"{name}: {what}", changed(name, change), command, REFUSED)
    history = "reports/tiny_news/history.csv"
    for what, change in foreign_reports().items():
        yield Case(
            f"{history}: {what}, evaluated", changed(history, change), ("evaluate", "--dataset", "tiny_news"), REFUSED
        )
        yield Case(f"{history}: {what}, drawn", changed(history, change), ("retrain", "curves"), REFUSED)
    yield from no_file(history, ("evaluate", "--dataset", "tiny_news"))
    for what, content in {
        "a class less": b"target,predicted,rows\nfarm,farm,1\n",
        "counts below nothing": b"target,predicted,rows\n" + b"".join(
            b"%s,%s,-1\n" % (one, other) for one in (b"city", b"farm", b"sea") for other in (b"city", b"farm", b"sea")
        ),
        "other classes": b"target,predicted,rows\na,a,1\na,b,1\nb,a,1\nb,b,1\n",
        "huge counts": b"target,predicted,rows\nfarm,farm,1e400\n",
    }.items():  # fmt: skip
        yield Case(f"confusion.csv: {what}", written("reports/tiny_news/confusion.csv", content), plot_news, REFUSED)


def foreign_reports() -> dict[str, Callable[[bytes], bytes]]:
    """Tables that no stage leaves."""
    return {
        "a header alone": lambda content: content.splitlines(keepends=True)[0],
        "no header": lambda content: b"".join(content.splitlines(keepends=True)[1:]),
        "text for numbers": lambda content: with_last_values(content, b"high"),
        "numbers without end": lambda content: with_last_values(content, b"inf"),
        "numbers that are missing": lambda content: with_last_values(content, b""),
        "huge numbers": lambda content: with_last_values(content, b"1e999"),
        "digits without end": lambda content: with_last_values(content, b"9" * 5000),
        "columns of other names": lambda content: content.replace(b"epoch", b"time").replace(b"target", b"goal"),
        "a value more": lambda content: content.replace(b"\n", b",1,1\n").replace(b",1,1\n", b"\n", 1),
        "a quote that is open": lambda content: content + b'"',
        "UTF-16": lambda content: content.decode().encode("utf-16"),
        "NUL": lambda content: content.replace(b",", b"\x00,"),
    }


def with_last_values(content: bytes, value: bytes) -> bytes:
    """A CSV with another value in the last column of every row."""
    header, *rows = content.splitlines()
    return b"\n".join([header, *(row.rpartition(b",")[0] + b"," + value for row in rows)]) + b"\n"


# params.yaml


BAD_VALUES = (
    10**30, 10**400, -1, 0, 1.5, -0.5, 1e300, 2**31, "", "1e-3", "x" * 100_000, "../../etc/passwd", "\x1b[2J", "~nobody-of-this-name/x",
    None, True, [], [1, "a"], {}, {"a": 1}, math.nan, math.inf, -math.inf, date(2001, 1, 1), b"\xff\xfe",
)  # fmt: skip


def parameters() -> Iterator[Case]:
    """Every parameter replaced by every bad value. Some are none, for some parameters: they are taken."""
    seen = set()
    for dataset, sections in corpus_datasets().items():
        for path in paths_of(sections):
            parameter = shape_of(sections, path)
            if parameter in seen or len(path) < 2:
                continue
            seen.add(parameter)
            for value in BAD_VALUES:
                damage = parameter_changed((dataset, *path), value)
                name = f"{dataset}.{'.'.join(map(str, path))} = {str(value)[:20]!r}"
                yield Case(name, damage, (path[0], "--dataset", dataset), EITHER)


def shape_of(sections: dict, path: tuple[Any, ...]) -> tuple[Any, ...]:
    """A parameter's path with the name of what was chosen above it: the same parameter, whatever the dataset."""
    chosen = sections[path[0]]
    for part in path[1:-1]:
        chosen = chosen[part]
    return (*path, str(chosen.get("name", "")) if isinstance(chosen, dict) else "")


def parameter_changed(path: tuple[Any, ...], value: Any) -> Damage:
    """params.yaml with another value for a parameter."""

    def damage(folder: Path) -> None:
        yaml = YAML(typ="safe")
        params = yaml.load((folder / "params.yaml").read_text())
        replace_at(params["datasets"], path, value)
        with (folder / "params.yaml").open("w") as file:
            yaml.dump(params, file)

    return damage


PARAMS = "params.yaml"


def params_files() -> Iterator[Case]:
    """params.yaml as a file, read by a stage and by the commands that look for datasets."""
    commands = {
        "stage": ("evaluate", "--dataset", "tiny_news"),
        "repro": ("retrain", "repro", "tiny_news"),
        "recipe": ("retrain", "recipe", "tiny_news", "recipe.yaml"),
    }
    recipe = written("recipe.yaml", b"train: {threads: 1}\n")
    for reader, command in commands.items():
        for case in no_file(PARAMS, command):
            yield Case(f"{case.name}, {reader}", both(recipe, case.damage), command, REFUSED)
        for what, content in foreign_params().items():
            yield Case(f"{PARAMS}: {what}, {reader}", both(recipe, written(PARAMS, content)), command, REFUSED)
    yield from broken_bytes(PARAMS, commands["stage"], 25)


def foreign_params() -> dict[str, bytes]:
    """Files that are no params.yaml."""
    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
    )
    stages = "prepare: {}, split: {}, train: {}, plot: {}"
    inside = {
        "a billion laughs": f"{laughs}datasets: {{tiny_news: {{{stages}, evaluate: *a11}}}}\n",
        "a billion laughs as the dataset": f"{laughs}datasets: {{tiny_news: *a11}}\n",
        "a billion laughs as a parameter": f"{laughs}datasets: {{tiny_news: {{{stages}, evaluate: {{batch_size: *a11}}}}}}\n",
        "a mapping that holds itself": f"datasets: {{tiny_news: &a {{{stages}, evaluate: *a}}}}\n",
        "a parameter that holds itself": f"datasets: {{tiny_news: {{{stages}, evaluate: &a {{batch_size: *a}}}}}}\n",
        "datasets that hold themselves": "datasets: &a {tiny_news: *a}\n",
        "merges of itself": "datasets: &a {<<: *a, tiny_news: 1}\n",
        "merges of a text": "datasets: {<<: text, tiny_news: {}}\n",
        "a tag of Python": "datasets: !!python/object/apply:os.system ['touch harmed']\n",
        "a tag that there is not": "datasets: !other {tiny_news: {}}\n",
        "an anchor that there is not": "datasets: *nothing\n",
        "a date that there is not": "datasets: {tiny_news: 2001-99-99}\n",
        "a time that there is not": "datasets: {tiny_news: 2001-01-01 99:99:99}\n",
        "a number that is none": "datasets: {tiny_news: !!int x}\n",
        "an empty number": "datasets: {tiny_news: !!int ''}\n",
        "a float that is none": "datasets: {tiny_news: !!float x}\n",
        "bytes that are none": "datasets: {tiny_news: !!binary x}\n",
        "an omap that is none": "datasets: !!omap {a: 1}\n",
        "digits without end": f"datasets: {{tiny_news: {'9' * 5000}}}\n",
        "a key that is a list": "datasets: {[1, 2]: 3}\n",
        "a key that is a mapping": "datasets: {{a: 1}: 3}\n",
        "a key that is nothing": "datasets: {null: {}}\n",
        "a name that is a number": "datasets: {1: {}}\n",
        "a name without end": f"datasets: {{{'x' * 1_000_000}: 1}}\n",
        "keys that are the same": "datasets: {a: 1}\ndatasets: {a: 2}\n",
        "tabs": "datasets:\n\ttiny_news: 1\n",
        "indentation that jumps": "datasets:\n   a: 1\n b: 2\n",
        "brackets without end": "datasets: " + "[" * 100_000,
        "brackets of one depth": "datasets: {tiny_news: " + "[" * 900 + "]" * 900 + "}\n",
        "mappings of one depth": "datasets: " + "{a: " * 900 + "1" + "}" * 900 + "\n",
        "lines of one depth": "datasets:\n" + "".join(f"{' ' * (n + 1)}a:\n" for n in range(2_000)),
        "dashes without end": "datasets:\n" + "- " * 100_000,
        "questions without end": "? " * 100_000,
        "two documents": "datasets: {a: 1}\n---\ndatasets: {a: 2}\n",
        "a directive that there is not": "%YAML 9.9\n---\ndatasets: {a: 1}\n",
        "a quote that is open": 'datasets: "tiny_news\n',
        "an escape that there is not": 'datasets: "\\q"\n',
        "half a surrogate": 'datasets: {tiny_news: "\\ud800"}\n',
        "a list": "- datasets\n",
        "a number": "1\n",
        "nothing": "",
        "comments": "# datasets:\n",
        "another name": "dataset: {tiny_news: {}}\n",
        "datasets that are text": "datasets: tiny_news\n",
        "datasets that are nothing": "datasets:\n",
        "JSON that is cut off": '{"datasets": {"tiny_news": ',
    }
    encoded = {
        "Latin-1": "datasets: {café: 1}\n".encode("latin-1"),
        "UTF-16": "datasets: {a: 1}\n".encode("utf-16"),
        "NUL": b"datasets:\x00 {a: 1}\n",
        "NUL in a text": b'datasets: {tiny_news: "a\x00b"}\n',
        "control characters": b"datasets: {tiny_news: \x01\x02\x1b[2J}\n",
        "a surrogate": b"datasets: {tiny_news: \xed\xa0\x80}\n",
        "random": draw_for("params").randbytes(4096),
        "100 MB of nothing": b"\n" * 100_000_000,
    }
    return {**{what: text.encode("utf-8", "surrogatepass") for what, text in inside.items()}, **encoded}


# Command lines, recipes and rows to predict


def nothing(_folder: Path) -> None:
    """No damage: the command line is."""


NAMES = (
    "", "-", ".", "..", "../tiny_news", "/etc/passwd", "tiny_new", "TINY_NEWS", "tiny_news/", "tiny_news\n", "tiny news", "\x1b[2J",
    "a\nb\nc", "x" * 100_000, "é", "\ud83d", "\udcff\udcfe", "😀", "*", "$(touch harmed)", "; touch harmed", "%s%s%n", "{0}", "None",
)  # fmt: skip
STAGES = ("prepare", "split", "train", "evaluate", "plot")


def command_lines() -> Iterator[Case]:
    """Command lines that will not do."""
    yield from names_of_datasets()
    yield from wrong_usage()
    for store in ("", "nothing", "/dev/null", "params.yaml", "x" * 5000, "\udcff", "é\n"):
        yield Case(f"retrain ui --store {store[:20]!r}", no_store, ("retrain", "ui", "--store", store), REFUSED)
    for text in ("\udcff", "a\udcfeb", "\ud800"):
        yield Case(f"predict {text!r}", nothing, ("retrain", "predict", "tiny_news", text), REFUSED)
    for text in (
        "",
        " ",
        "\x01\x02\x03",
        "\x1b[2J",
        "!" * 100_000,
        "<script>",
        "e\u0301" * 1000,
        "\u202e",
        "a" * 120_000,
        "\ufeff",
        "😀",
    ):
        for dataset in ("tiny_news", "tiny_length", "tiny_pairs"):
            yield Case(f"predict {dataset} {text[:10]!r}", nothing, ("retrain", "predict", dataset, text), READ)
    yield Case("predict numbers from a text", nothing, ("retrain", "predict", "tiny_numbers", "a"), REFUSED)


def names_of_datasets() -> Iterator[Case]:
    """Names that are of no dataset."""
    for name in NAMES:
        for stage in STAGES[:: 2 if len(name) > 3 else 1]:
            yield Case(f"{stage} --dataset {name[:20]!r}", nothing, (stage, "--dataset", name), REFUSED)
        for command, more in (("predict", ("a ship",)), ("recipe", ("recipe.yaml",)), ("repro", ())):
            yield Case(f"retrain {command} {name[:20]!r}", nothing, ("retrain", command, name, *more), REFUSED)


def wrong_usage() -> Iterator[Case]:
    """Options and arguments that there are not, too many or too few."""
    for stage in STAGES:
        for arguments in (
            (),
            ("--dataset",),
            ("tiny_news",),
            ("--data", "tiny_news"),
            ("--dataset", "tiny_news", "more"),
            ("-x",),
        ):
            yield Case(f"{stage} {' '.join(arguments)}", nothing, (stage, *arguments), USAGE)
    for arguments in (
        ("other",), ("--other",), ("predict",), ("predict", "tiny_news", "a", "--file", "b.txt"), ("predict", "tiny_news", "--file"),
        ("recipe",), ("recipe", "tiny_news"), ("recipe", "a", "b", "c"), ("repro", "a", "b"), ("curves", "a"), ("ui", "a"),
        *(("ui", "--port", port) for port in ("0", "-1", "65536", "x", "", "1e3", "9" * 500, "80 80", "0x50")),
    ):  # fmt: skip
        yield Case(f"retrain {' '.join(arguments)[:60]}", nothing, ("retrain", *arguments), USAGE)


def no_store(folder: Path) -> None:
    """The project without its MLflow store."""
    without(folder / "mlflow.db")


def rows_to_predict() -> Iterator[Case]:
    """Files and standard input with rows to predict."""
    for name in (
        "rows.txt",
        "rows.CSV",
        "rows.pdf",
        "rows",
        ".csv",
        "rows.csv.gz",
        "a\nb.csv",
        "x" * 300 + ".csv",
        "..",
        "/",
        "-",
    ):
        yield Case(f"predict --file {name[:20]!r}, missing", nothing, (*PREDICT, name), REFUSED)
    lines = b"a ship\na cow\n"
    for what, content, codes in (
        ("Latin-1", lines + b"caf\xe9\n", REFUSED),
        ("UTF-16", lines.decode().encode("utf-16"), REFUSED),
        ("binary", draw_for("binary").randbytes(10_000), REFUSED),
        ("a line of 100 MB", lines + b"x" * 100_000_000, EITHER),
        ("nothing", b"", READ),
        ("blank lines", b"\n\r\n \n", READ),
        ("NUL", lines + b"\x00\x00\n", READ),
        ("control characters", bytes(range(1, 32)) + b"\n", READ),
        ("no line end", lines + b"a", READ),
    ):
        yield Case(f"predict --file rows.txt: {what}", written("rows.txt", content), (*PREDICT, "rows.txt"), codes)
        command = ("retrain", "predict", "tiny_news")
        yield Case(f"predict from standard input: {what}", written("rows.txt", content), command, codes, "rows.txt")
    yield from no_file("rows.txt", (*PREDICT, "rows.txt"))
    endless = ("retrain", "predict", "tiny_news")
    yield Case("predict from standard input: an endless device", nothing, endless, REFUSED, "/dev/zero")
    numbers = ("retrain", "predict", "tiny_numbers", "--file", "rows.csv")
    for value in (*SPELLINGS, "", " ", "1e9", "1e149"):
        damage = written("rows.csv", f'a,b,c\n1,2,3\n4,"{value}",6\n'.encode())
        yield Case(f"predict --file rows.csv: {value[:20]!r}", damage, numbers, REFUSED)


def recipes() -> Iterator[Case]:
    """Recipe files, and the params.yaml that they are written into."""
    command = ("retrain", "recipe", "tiny_news", "recipe.yaml")
    yield from no_file("recipe.yaml", command)
    for what, content in foreign_params().items():
        yield Case(f"recipe.yaml: {what}", written("recipe.yaml", content), command, REFUSED)
    for what, content in {
        "sections that there are not": "training: {threads: 1}\n",
        "a section that is text": "train: text\n",
        "a section that is a list": "train: [threads]\n",
        "a billion laughs as a parameter": "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
            f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
        ) + "train: {threads: *a11}\n",
    }.items():  # fmt: skip
        yield Case(f"recipe.yaml: {what}", written("recipe.yaml", content.encode()), command, REFUSED)
    for value in (
        "",
        "1",
        "null",
        "{}",
        "[]",
        "2001-99-99",
        ".nan",
        "!!binary x",
        '"\\ud800"',
        "9" * 5000,
        "&a [*a]",
        "!x y",
    ):
        damage = written("recipe.yaml", f"train: {{threads: {value}}}\n".encode())
        yield Case(f"recipe.yaml: threads: {value[:20]}", damage, command, EITHER)


# MLflow's store


def stores() -> Iterator[Case]:
    """MLflow's store, met by the stages that write to it and by the command that shows it."""
    for command in (("evaluate", "--dataset", "tiny_news"), ("train", "--dataset", "tiny_news")):
        for what, content in {
            "text": b"text",
            "zeros": bytes(8192),
            "random": draw_for("store").randbytes(8192),
        }.items():
            yield Case(f"mlflow.db: {what}, {command[0]}", written("mlflow.db", content), command, REFUSED)
        yield Case(f"mlflow.db: half of it, {command[0]}", changed("mlflow.db", half), command, REFUSED)
        for what in ("a folder", "a pipe", "a link to itself", "an endless device", "a socket"):
            yield Case(
                f"mlflow.db is {what}, {command[0]}", something_else("mlflow.db", NO_FILES[what]), command, REFUSED
            )
        yield Case(f"mlflow.db is forbidden, {command[0]}", forbidden("mlflow.db"), command, REFUSED)
        yield Case(f"mlflow.db is empty, {command[0]}", written("mlflow.db", b""), command, EITHER)
        yield Case(f".retrain is a file, {command[0]}", something_else(".retrain", Path.touch), command, REFUSED)
        for number in range(8):
            draw = draw_for("store", number)
            yield Case(
                f"mlflow.db: flip {number}, {command[0]}", changed("mlflow.db", partial(flip, draw)), command, EITHER
            )
    for content in (b"text", bytes(8192)):
        yield Case(
            f"mlflow.db: {content[:4]!r}, ui", written("mlflow.db", content), ("retrain", "ui", "--port", "1"), REFUSED
        )


def half(content: bytes) -> bytes:
    """The first half."""
    return content[: len(content) // 2]


# The checkpoint of an interrupted training


CHECKPOINTS = "checkpoints"
"""The folder beside the project that has a checkpoint of each dataset's training, made by interrupting it."""
ANEW = r"the checkpoint of an unfinished training .+: starting from the beginning"
Change = Callable[[Path], object]
"""Harms a checkpoint, given its path."""


def unfinished(dataset: str, change: Change) -> Damage:
    """The checkpoint of an interrupted training in its place, and changed."""

    def damage(folder: Path) -> None:
        where = folder / ".retrain" / "checkpoints"
        where.mkdir(parents=True, exist_ok=True)
        made = next(folder.with_name(CHECKPOINTS).glob(f"{dataset}-*.checkpoint"))
        change(Path(shutil.copy(made, where)))

    return damage


def checkpoints() -> Iterator[Case]:
    """Checkpoints that are damaged, forged or of other trainings, and what lies beside them."""
    for dataset in ("tiny_news", "tiny_numbers"):
        command = ("train", "--dataset", dataset)
        says = "continuing after epoch 3 of 3"
        yield Case(f"{dataset}'s checkpoint: whole", unfinished(dataset, Path.touch), command, READ, says=says)
        for what, change in {**broken_journals(dataset), **forged_journals()}.items():
            yield Case(f"{dataset}'s checkpoint: {what}", unfinished(dataset, change), command, READ, says=ANEW)
        for what, change in {**other_journals(dataset), **beside_journals()}.items():
            yield Case(f"{dataset}'s checkpoint: {what}", unfinished(dataset, change), command, READ)
        says = "an unfinished training of other parameters .* is not continued"
        damage = unfinished(dataset, of_other_knobs)
        yield Case(f"{dataset}'s checkpoint: of other parameters", damage, command, READ, says=says)
        for suffix in (".lock", ".owner", ".draft"):
            for what, make in NO_FILES.items():
                damage = unfinished(dataset, partial(alone_with, suffix, make))
                yield Case(f"{dataset}'s {suffix} is {what}", damage, command, EITHER)


def rewritten(change: Callable[[bytes], bytes]) -> Change:
    """A checkpoint with another content."""
    return lambda path: path.write_bytes(change(path.read_bytes()))


def replaced(make: Change) -> Change:
    """Something else in a checkpoint's place."""

    def change(path: Path) -> None:
        path.unlink()
        make(path)

    return change


def broken_journals(dataset: str) -> dict[str, Change]:
    """Checkpoints that are not what was written."""
    drawn_changes = {
        f"{change.__name__} {number}": partial(change, draw_for("checkpoint", dataset, change.__name__, number))
        for number in range(6)
        for change in (cut, flip, take_out)
    }
    whole = {
        "empty": lambda _content: b"",
        "a digest alone": lambda content: content[-64:],
        "no digest": lambda content: content[:-64],
        "zeros": lambda content: bytes(len(content)),
        "backwards": lambda content: content[::-1],
        "twice": lambda content: content * 2,
        "text": lambda _content: b"This is something else.\n",
    }
    changes = {what: rewritten(change) for what, change in {**drawn_changes, **whole}.items()}
    silent = ("missing", "a link to nothing")  # there is no checkpoint then
    no_files = {what: replaced(make) for what, make in NO_FILES.items() if what not in silent}
    return {**changes, **no_files, "forbidden": lambda path: path.chmod(0)}


def sealed(header: bytes, state: bytes) -> bytes:
    """A checkpoint whose digest is right."""
    body = header + b"\n" + state
    return body + hashlib.sha256(body).hexdigest().encode()


def forged_journals() -> dict[str, Change]:
    """Checkpoints whose digest is right, and nothing else."""
    states = {f"a state that is {what}": rewritten(partial(with_state, state)) for what, state in STATES.items()}
    parts = {
        f"{'.'.join(path)} {value!r}"[:60]: rewritten(partial(with_part, path, value)) for path, value in STATE_PARTS
    }
    bytes_ = {
        f"bytes {content[:12]!r} as state": rewritten(partial(with_bytes, content))
        for content in (b"", b"text", b"PK\x03\x04", b"cos\nsystem\n(S'touch harmed'\ntR.", bytes(4096))
    }
    headers = {
        f"a header {header[:12]!r}": rewritten(partial(with_header, header))
        for header in (
            b"", b"null", b"5", b"[]", b"{}", b"{", b"\xff", b"NaN", b"9" * 5000, b"[" * 100_000, b'{"a":' * 100_000, b'"\\ud800"',
            b'{"parameters": [], "data": {}}',
        )
    }  # fmt: skip
    return {**states, **parts, **bytes_, **headers}


STATES: dict[str, Any] = {
    "nothing": None,
    "a number": 5,
    "text": "state",
    "a list": [1, 2],
    "empty": {},
    "a tensor": torch.zeros(3),
    "parts without content": {"state": {}, "record": {}},
    "parts that are lists": {"state": [], "record": []},
}
FIGURES = (
    torch.tensor(1.0), torch.zeros(3), torch.zeros(3, 0), torch.zeros(3, 6), torch.zeros(3, 6, dtype=torch.float64),
    torch.full((3, 6), math.nan, dtype=torch.float64), torch.full((3, 6), math.inf, dtype=torch.float64),
    torch.ones(3, 6, dtype=torch.complex128), torch.ones(3, 6, dtype=torch.bool),
    torch.tensor([[1.5] * 6, [2.5] * 6, [3.5] * 6], dtype=torch.float64),
    torch.arange(1, 5, dtype=torch.float64)[:, None].expand(4, 6), torch.ones(1, 1, dtype=torch.float64).expand(10**9, 6),
)  # fmt: skip
"""In place of three epochs' figures."""
STATE_PARTS: list[tuple[tuple[str, ...], Any]] = [
    *((("state", "epoch"), value) for value in (-1, 10**9, 1.5, math.nan, "1", None, [1], torch.tensor([1, 2]))),
    *((("state", "batch"), value) for value in (-1, 10**9, 1.5, "1", None)),
    *((("state", "sums"), value) for value in (None, {}, {"loss": "x", "measure": 0.0, "examples": 1})),
    *((("state", "network"), value) for value in (None, {}, {"weight": torch.zeros(1)})),
    *((("state", "optimizer"), value) for value in (None, {}, {"state": {}, "param_groups": []})),
    *((("state", "scheduler"), value) for value in (None, {}, {"last_epoch": "x"})),
    *((("record", "figures"), value) for value in (None, [], [[1.0] * 6] * 3, "x", *FIGURES)),
    *((("record", "best"), value) for value in (None, {}, {"score": 1.0}, {"score": "x", "epoch": 1, "weights": {}})),
    (("record", "best", "weights"), {}),
    (("record", "best", "weights"), {"a": torch.zeros(1)}),
    (("record", "best", "epoch"), 99),
]
"""What a state never holds, and where."""


def with_state(state: Any, content: bytes) -> bytes:
    """A checkpoint with another state."""
    file = io.BytesIO()
    torch.save(state, file)
    return with_bytes(file.getvalue(), content)


def with_bytes(state: bytes, content: bytes) -> bytes:
    """A checkpoint with other bytes for its state."""
    return sealed(content.partition(b"\n")[0], state)


def with_header(header: bytes, content: bytes) -> bytes:
    """A checkpoint with another header."""
    return sealed(header, content.partition(b"\n")[2][:-64])


def with_part(path: tuple[str, ...], value: Any, content: bytes) -> bytes:
    """A checkpoint with a part of its state changed."""
    state = torch.load(io.BytesIO(content.partition(b"\n")[2][:-64]), weights_only=True)
    part = state
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value
    return with_state(state, content)


def as_other(path: Path) -> Path:
    """A checkpoint under the name of another training of the dataset."""
    return path.rename(path.with_name(f"{path.stem.rpartition('-')[0]}-0123456789abcdef.checkpoint"))


def of_other_knobs(path: Path) -> None:
    """The checkpoint of a training with other parameters."""
    header = json.loads(path.read_bytes().partition(b"\n")[0])
    header["parameters"]["loop"]["epochs"] = 99
    path.write_bytes(with_header(json.dumps(header).encode(), path.read_bytes()))
    as_other(path)


def other_journals(dataset: str) -> dict[str, Change]:
    """What is left of trainings of other parameters: it does not matter what it is."""
    changes = {**broken_journals(dataset), **forged_journals()}
    names = [
        name
        for name in changes
        if name.startswith(("a header", "a pipe", "a folder", "a link", "an endless", "a socket"))
    ]
    others: dict[str, Change] = {}
    for name in ("empty", "cut 0", "zeros", "forbidden", *names):
        others[f"another's, {name}"] = lambda path, change=changes[name]: change(as_other(path))
    return others


def beside_journals() -> dict[str, Change]:
    """What lies beside a checkpoint of a training that was killed, in any state."""
    contents = {"empty": b"", "text": b"process 1, since 12:00:00,", "zeros": bytes(4096), "not UTF-8": b"\xff" * 99}
    return {
        f"{suffix} {what}": partial(alone_with, suffix, partial(Path.write_bytes, data=content))
        for suffix in (".lock", ".owner", ".draft")
        for what, content in contents.items()
    }


def alone_with(suffix: str, make: Change, path: Path) -> None:
    """No checkpoint, and something beside where it would be."""
    path.unlink()
    make(path.with_suffix(suffix))


# Downloads


def downloads() -> Iterator[Case]:
    """Locations that lead nowhere, without a network."""
    for location in (
        "http://", "http:///", "http://[", "http://[::1", "http://127.0.0.1:99999/x", "http://127.0.0.1:x/", "http://127.0.0.1:1/x",
        "https://127.0.0.1:1/x", "http://\x00/", "http://a b/", f"http://{'a' * 300}.invalid/", "http://../x", "http://é\u0301..x/",
        "HTTP://127.0.0.1:1/", "ftp://127.0.0.1/x", "file:///etc/passwd", "s3://x", "://", "~", "~nobody-of-this-name/x", "a\x00b",
        "x" * 5000, "/dev/zero", "/dev/stdin", "/proc/self/mem", "/", ".", "..", "data/raw/tiny_news/../../../params.yaml/x",
    ):  # fmt: skip
        damage = parameter_changed(("tiny_news", "prepare", "train"), {"location": location, "sha256": "0" * 64})
        yield Case(f"location: {location[:30]!r}", damage, PREPARE_NEWS, REFUSED)


# Names


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


# What DVC recorded


def lock(change: Callable[[dict], object]) -> Damage:
    """A dvc.lock of one dataset's result, and changed."""

    def damage(folder: Path) -> None:
        content = {"schema": "2.0", "stages": {"train@tiny_news": recorded_stage(folder)}}
        change(content)
        (folder / ".dvc").mkdir()
        (folder / ".dvc" / "config").touch()
        with (folder / "dvc.lock").open("w") as file:
            YAML(typ="safe").dump(content, file)

    return damage


def recorded_stage(folder: Path) -> dict:
    """What dvc.lock says of a stage that has run."""
    model, history = "models/tiny_news", "reports/tiny_news/history.csv"
    outs = {model: dvc_cache.folder_digest(dvc_cache.listing(folder / model)), history: dvc_cache.md5(folder / history)}
    return {
        "cmd": "python3 src/train.py --dataset tiny_news",
        "deps": [{"path": "src/train.py", "hash": "md5", "md5": "0" * 32, "size": 1}],
        "params": {"params.yaml": {"datasets.tiny_news.train": {"threads": 1}}},
        "outs": [{"path": path, "hash": "md5", "md5": digest, "size": 1} for path, digest in outs.items()],
    }


PLACES = {
    "schema": ["schema"], "stages": ["stages"], "a stage": ["stages", "train@tiny_news"],
    **{name: ["stages", "train@tiny_news", name] for name in ("cmd", "deps", "params", "outs")},
    "a file of params": ["stages", "train@tiny_news", "params", "params.yaml"],
    **{f"a dependency's {name}": ["stages", "train@tiny_news", "deps", 0, name] for name in ("path", "md5")},
    "an output": ["stages", "train@tiny_news", "outs", 0],
    **{f"an output's {name}": ["stages", "train@tiny_news", "outs", 0, name] for name in ("path", "md5", "hash")},
}  # fmt: skip
"""Where something stands in dvc.lock."""


def placed(where: list[Any], value: object) -> Callable[[dict], None]:
    """Another value there; none takes it out."""

    def change(content: Any) -> None:
        for name in where[:-1]:
            content = content[name]
        if value is MISSING:
            del content[where[-1]]
        else:
            content[where[-1]] = value

    return change


MISSING = object()


def locks() -> Iterator[Case]:
    """dvc.lock, met by the commands that read it."""
    values = {
        "missing": MISSING, "nothing": None, "1": 1, "text": "text", "[1]": [1], "{}": {}, "{a: 1}": {"a": 1}, "empty": "",
        "the root": "/", "elsewhere": "../../..", "here": ".", "a folder's": "0.dir", "long": "9" * 5000, "nan": math.nan,
        "a date": date(2001, 1, 1), "bytes": b"\xff", "signs": "\x1b[31m\u202e",
    }  # fmt: skip
    for command in (("retrain", "sync"), ("retrain", "audit", "--stale")):
        stale = command[1] == "audit"  # there are no stages in the corpus' dvc.yaml
        about = " ".join(command[1:])
        yield Case(f"dvc.lock: whole, {about}", lock(lambda _content: None), command, REFUSED if stale else READ)
        for where, where in PLACES.items():
            for what, value in values.items():
                yield Case(f"dvc.lock: {where} is {what}, {about}", lock(placed(where, value)), command, EITHER)
        yield from no_file("dvc.lock", command, EITHER)
        yield from broken_bytes("dvc.lock", command, 2)
        for what, content in foreign_params().items():
            yield Case(f"dvc.lock: {what}, {about}", written("dvc.lock", content), command, EITHER)


KINDS: dict[str, Callable[[], Iterator[Case]]] = {
    "tables": tables,
    "parquet": parquet,
    "arrays": arrays,
    "documents": documents,
    "weights": weights,
    "reports": reports,
    "parameters": parameters,
    "params_files": params_files,
    "command_lines": command_lines,
    "rows_to_predict": rows_to_predict,
    "recipes": recipes,
    "stores": stores,
    "checkpoints": checkpoints,
    "locks": locks,
    "downloads": downloads,
}
