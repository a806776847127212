"""A model's files: model.json, and the weights."""

import json
import math
import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from support.damage.cases import (
    EITHER,
    REFUSED,
    Case,
    Damage,
    broken_bytes,
    changed,
    draw_for,
    flip,
    no_file,
    paths_of,
    replace_at,
)

import torch
from safetensors.torch import load_file, save_file

MODEL = "models/{}/model.json"


WEIGHTS = "models/{}/model.safetensors"


PREDICT_NEWS = ("retrain", "predict", "tiny_news", "the ship near the old harbour")


BAD_JSON = (
    "null", "true", "-1", "0", "0.5", '""', '"other"', "[]", "{}", "[null]", '{"other": 1}', "1e999", "NaN", "-Infinity",
    f"1{'0' * 30}", "9223372036854775807", f"1{'0' * 5000}", "1e308", "1e-320", '"\\ud800"', '"\\u0000"', '"\\u001b[2J"',
    f'"{"x" * 100_000}"', "[" * 900 + "]" * 900, '[["a", "b"]]', '{"": {"": {"": null}}}',
)  # fmt: skip


HOLE = "\ue000"


def descriptions() -> Iterator[Case]:
    """model.json: any part of it replaced by any bad value, and the text itself damaged."""
    datasets = ("tiny_news", "tiny_pairs", "tiny_numbers")
    for name, command in {MODEL.format(dataset): ("evaluate", "--dataset", dataset) for dataset in datasets}.items():
        yield from no_file(name, command)
        yield from broken_bytes(name, command, 6)
        for what, change in broken_texts().items():
            yield Case(f"{name}: {what}", changed(name, change), command, REFUSED)
        yield from bad_values(name, command, 80)
    yield from bad_values(MODEL.format("tiny_news"), PREDICT_NEWS, 80)
    yield from bad_values(MODEL.format("tiny_numbers"), ("plot", "--dataset", "tiny_numbers"), 30)


def bad_values(name: str, command: tuple[str, ...], count: int) -> Iterator[Case]:
    """A JSON file in which a bad value replaces a part."""
    for number in range(count):
        draw = draw_for(name, command, number)
        value = draw.choice(BAD_JSON)
        damage = changed(name, partial(with_bad_value, draw, value))
        yield Case(f"{name}: {value[:20]} somewhere ({number})", damage, command, EITHER)


def broken_texts() -> dict[str, Callable[[bytes], bytes]]:
    """JSON that is none."""
    return {
        "brackets without end": lambda _content: b"[" * 100_000,
        "mappings without end": lambda _content: b'{"a":' * 100_000,
        "a byte order mark": lambda content: b"\xef\xbb\xbf" + content,
        "UTF-16": lambda content: content.decode().encode("utf-16"),
        "Latin-1": lambda content: content.replace(b"{", b'{"caf\xe9": 1, ', 1),
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


def bad_part(draw: random.Random, content: bytes) -> bytes:
    """JSON with a bad value somewhere."""
    try:
        return with_bad_value(draw, draw.choice(BAD_JSON), content)
    except (ValueError, RecursionError, IndexError):
        return flip(draw, content)


def bad_header(draw: random.Random, content: bytes) -> bytes:
    """Weights whose header lies, or holds a bad value somewhere."""
    lies = foreign_headers()
    try:
        if draw.random() < 0.5:
            return lies[draw.choice(sorted(lies))](content)
        length = int.from_bytes(content[:8], "little")
        header = bad_part(draw, content[8 : 8 + length])
        return len(header).to_bytes(8, "little") + header + content[8 + length :]
    except (ValueError, RecursionError, AttributeError, TypeError, IndexError, OverflowError):
        return flip(draw, content)
