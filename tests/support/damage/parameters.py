"""params.yaml and recipes."""

import math
import random
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from support.damage.cases import (
    EITHER,
    REFUSED,
    Case,
    Damage,
    both,
    broken_bytes,
    draw_for,
    no_file,
    paths_of,
    replace_at,
    written,
)
from support.project import corpus_datasets, write_yaml

from ruamel.yaml import YAML

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
        write_yaml(folder / "params.yaml", params)

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


def downloads() -> Iterator[Case]:
    """Locations that lead nowhere, without a network."""
    for location in (
        "http://", "http:///", "http://[", "http://[::1", "http://127.0.0.1:99999/x", "http://127.0.0.1:x/", "http://127.0.0.1:1/x",
        "https://127.0.0.1:1/x", "http://\x00/", "http://a b/", f"http://{'a' * 300}.invalid/", "http://../x", "http://é\u0301..x/",
        "HTTP://127.0.0.1:1/", "ftp://127.0.0.1/x", "file:///etc/passwd", "s3://x", "://", "~", "~nobody-of-this-name/x", "a\x00b",
        "x" * 5000, "/dev/zero", "/dev/stdin", "/proc/self/mem", "/", ".", "..", "data/raw/tiny_news/../../../params.yaml/x",
    ):  # fmt: skip
        damage = parameter_changed(("tiny_news", "prepare", "train"), {"location": location, "sha256": "0" * 64})
        yield Case(f"location: {location[:30]!r}", damage, ("prepare", "--dataset", "tiny_news"), REFUSED)


YAML_TOKENS = (
    "&a ", "*a", "<<: *a", "? ", "- ", ": ", "{", "}", "[", "]", "|\n", ">\n", "!!int ", "!!float ", "!!binary ", "!!timestamp ",
    "!!set ", "!!omap ", "!!bool ", "!!null ", "!!merge ", "!other ", "2001-99-99", "1:60:60", "0x", "0o9", "0b", ".nan", ".inf", "-.inf",
    "~", "null", "true", "1_0", "1e999", "9" * 5000, "---\n", "...\n", "%YAML 1.1\n", "#", "\t", "\x00", "\u2028", "\ufeff", '"\\ud800"', "'", '"',
    "\n", "    ", "datasets:", "diabetes:", "train:", "=",
)  # fmt: skip


def bad_token(draw: random.Random, content: bytes) -> bytes:
    """YAML with a token where it does not belong."""
    where = draw.randrange(len(content) + 1)
    return content[:where] + draw.choice(YAML_TOKENS).encode("utf-8", "surrogatepass") + content[where:]


def moved_line(draw: random.Random, content: bytes) -> bytes:
    """YAML with a line copied to another place, in another depth."""
    lines = content.split(b"\n")
    line = b" " * draw.randrange(9) + draw.choice(lines).strip()
    where = draw.randrange(len(lines) + 1)
    return b"\n".join([*lines[:where], line, *lines[where:]])
