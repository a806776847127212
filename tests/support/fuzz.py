"""Fuzz what is read from outside: a model's two files, and params.yaml. Whatever they hold, it is read or refused.

    python tests/fuzz.py --seconds 60 --seed 1        every target, by mutations that the seed decides
    python tests/fuzz.py params --seconds 60          one of them
    python tests/fuzz.py params --atheris             guided by coverage, where atheris is installed, until Ctrl-C

It prints how many inputs were tried, read and refused, and keeps those that crash.
"""

import faulthandler
import hashlib
import json
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FunctionType

import evaluate
import plot
from retrain import params, schema
from retrain.data import encoders, sources, splitting
from retrain.errors import RetrainError
from retrain.models import description
from retrain.training import setup
from support.damage import (
    BAD_JSON,
    corpus_datasets,
    cut,
    flip,
    foreign_headers,
    foreign_params,
    overwrite,
    take_out,
    with_bad_value,
)
from support.model_folders import write_model
from support.project import REPOSITORY

import click
from ruamel.yaml import YAML

KINDS = {"text": "classification", "ngrams": "classification", "numbers": "regression"}
"""The encoders of the models, and their tasks."""
SECONDS_FOR_ONE = 60
MEMORY = 2 << 30
YAML_TOKENS = (
    "&a ", "*a", "<<: *a", "? ", "- ", ": ", "{", "}", "[", "]", "|\n", ">\n", "!!int ", "!!float ", "!!binary ", "!!timestamp ",
    "!!set ", "!!omap ", "!!bool ", "!!null ", "!!merge ", "!other ", "2001-99-99", "1:60:60", "0x", "0o9", "0b", ".nan", ".inf", "-.inf",
    "~", "null", "true", "1_0", "1e999", "9" * 5000, "---\n", "...\n", "%YAML 1.1\n", "#", "\t", "\x00", "\u2028", "\ufeff", '"\\ud800"', "'", '"',
    "\n", "    ", "datasets:", "diabetes:", "train:", "=",
)  # fmt: skip
Change = Callable[[random.Random, bytes], bytes]


@dataclass(frozen=True)
class Target:
    """What is fuzzed: inputs to start from, ways to change them, and what reads them."""

    seeds: tuple[bytes, ...]
    changes: tuple[Change, ...]
    read: Callable[[bytes], None]
    """Raises RetrainError where it refuses; whatever else it raises is a crash."""


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


def token(draw: random.Random, content: bytes) -> bytes:
    """YAML with a token where it does not belong."""
    where = draw.randrange(len(content) + 1)
    return content[:where] + draw.choice(YAML_TOKENS).encode("utf-8", "surrogatepass") + content[where:]


def line_moved(draw: random.Random, content: bytes) -> bytes:
    """YAML with a line copied to another place, in another depth."""
    lines = content.split(b"\n")
    line = b" " * draw.randrange(9) + draw.choice(lines).strip()
    where = draw.randrange(len(lines) + 1)
    return b"\n".join([*lines[:where], line, *lines[where:]])


BYTES: tuple[Change, ...] = (cut, flip, overwrite, take_out)


def model_target(folder: Path, name: str, changes: tuple[Change, ...]) -> Target:
    """One of a model's files; the other one is whole. The first byte says of which kind the model is."""
    from retrain.models import predictor

    models = [write_model(folder / encoder, encoder, task) for encoder, task in KINDS.items()]
    contents = [(model / name).read_bytes() for model in models]

    def read(data: bytes) -> None:
        number = data[0] % len(models)
        (models[number] / name).write_bytes(data[1:])
        try:
            model = predictor.load(models[number])
            rows = {
                column: [0.5, 1.0] if model.encoder.holds == "numbers" else ["a ship", ""]
                for column in model.encoder.columns
            }
            answers = model.task.answers(model.outputs(rows, batch_size=1))
            json.dumps(answers, ensure_ascii=False).encode()
        finally:
            (models[number] / name).write_bytes(contents[number])

    seeds = tuple(bytes([number]) + content for number, content in enumerate(contents))
    return Target(seeds, tuple(partial(behind_the_first, change) for change in changes), read)


def behind_the_first(change: Change, draw: random.Random, content: bytes) -> bytes:
    """Change all but the first byte."""
    return content[:1] + change(draw, content[1:]) if len(content) > 1 else content


def params_target(folder: Path) -> Target:
    """params.yaml, each section of which is checked as its stage does."""
    tiny = folder / "tiny.yaml"
    with tiny.open("w") as file:
        YAML(typ="safe").dump({"datasets": corpus_datasets()}, file)
    small = [content for content in foreign_params().values() if len(content) < 10_000]
    seeds = ((REPOSITORY / "params.yaml").read_bytes(), tiny.read_bytes(), *small)

    def read(data: bytes) -> None:
        (folder / "params.yaml").write_bytes(data)
        for dataset in list(params.datasets(folder))[:5]:
            check_sections(folder, str(dataset))

    return Target(seeds, (*BYTES, token, token, line_moved), read)


def check_sections(folder: Path, dataset: str) -> None:
    """Check all sections of a dataset, each as its stage does."""
    block = params.dataset_block(folder, dataset)
    schema.check(block["prepare"], sources.load(block["prepare"], dataset).parameters, "prepare")
    parameters = params.read(folder, dataset, "split", splitting.Split)
    schema.check(
        parameters.encoder,
        encoders.load(parameters.encoder.get("name"), "split.encoder.name").Parameters,
        "split.encoder",
    )
    section = params.read(folder, dataset, "train", setup.Train)
    setup.chosen_network(section, parameters.encoder.get("name"), "train")
    setup.chosen_steps(section, "train")
    setup.chosen_loss(section, parameters.task, "train")
    params.read(folder, dataset, "evaluate", evaluate.Evaluate)
    params.read(folder, dataset, "plot", plot.Plot)


def targets(folder: Path) -> dict[str, Callable[[], Target]]:
    """All targets, by name, each made when it is wanted."""
    return {
        "description": lambda: model_target(folder / "d", description.FILE, (*BYTES, bad_part, bad_part, bad_part)),
        "weights": lambda: model_target(folder / "w", description.WEIGHTS, (*BYTES, bad_header)),
        "params": lambda: params_target(folder),
    }


@dataclass
class Tried:
    """What came of the inputs."""

    read: int = 0
    refused: int = 0
    crashes: int = 0


def try_out(target: Target, data: bytes, tried: Tried, kept: Path) -> None:
    """Try an input, and keep it where it crashes."""
    faulthandler.dump_traceback_later(SECONDS_FOR_ONE, exit=True)
    (kept / "current").write_bytes(data)  # what is there when the process itself dies
    try:
        target.read(data)
        tried.read += 1
    except RetrainError:
        tried.refused += 1
    except Exception:  # noqa: BLE001 (whatever it is, it is what we look for)
        tried.crashes += 1
        where = kept / f"crash-{hashlib.sha256(data).hexdigest()[:12]}"
        where.write_bytes(data)
        click.echo(f"crash, kept in {where}:\n{traceback.format_exc()}", err=True)
    finally:
        faulthandler.cancel_dump_traceback_later()


def mutated(target: Target, draw: random.Random) -> bytes:
    """A seed, changed once or a few times."""
    data = draw.choice(target.seeds)
    for _ in range(draw.choice([1, 1, 1, 2, 3, 8])):
        data = draw.choice(target.changes)(draw, data) if data else draw.choice(target.seeds)
    return data or b"\x00"


def fuzz(target: Target, seconds: float, seed: int, kept: Path) -> Tried:
    """Try the seeds, then mutations of them, for so long."""
    tried, draw, started = Tried(), random.Random(seed), time.monotonic()
    for data in target.seeds:
        try_out(target, data, tried, kept)
    while time.monotonic() - started < seconds:
        try_out(target, mutated(target, draw), tried, kept)
    return tried


def guided(target: Target, kept: Path) -> None:
    """Let atheris choose the inputs, guided by the branches that they reach; it never returns."""
    import atheris

    corpus = kept / "corpus"
    corpus.mkdir(exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed{number}").write_bytes(seed)

    def one(data: bytes) -> None:
        try:
            target.read(data or b"\x00")
        except RetrainError:
            return

    for function in our_functions():
        atheris.instrument_func(function)
    atheris.Setup([sys.argv[0], str(corpus), f"-artifact_prefix={kept}/", "-rss_limit_mb=4096", "-timeout=60"], one)
    atheris.Fuzz()


def our_functions() -> Iterator[FunctionType]:
    """The functions and methods whose branches guide the search: ours and those of the YAML reader."""
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] in ("retrain", "ruamel")]
    for module in modules:
        for value in list(vars(module).values()):
            found = [value, *vars(value).values()] if isinstance(value, type) else [value]
            yield from (function for function in found if isinstance(function, FunctionType))


@click.command()
@click.argument("names", nargs=-1)
@click.option("--seconds", default=60.0, help="How long for each target.")
@click.option("--seed", default=1, help="What decides the mutations.")
@click.option("--atheris", "by_coverage", is_flag=True, help="Let atheris choose the inputs, until Ctrl-C.")
@click.option("--kept", type=click.Path(path_type=Path), default=Path("fuzz.draft"), help="Where inputs that crash go.")
def main(names: tuple[str, ...], seconds: float, seed: int, by_coverage: bool, kept: Path) -> None:  # noqa: FBT001
    """Fuzz the targets of these NAMES, or all: description, weights, params."""
    kept.mkdir(exist_ok=True)
    if sys.platform == "linux":
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY,) * 2)
    folder, crashes = Path(tempfile.mkdtemp()), 0
    for name in names or tuple(targets(folder)):
        target = targets(folder)[name]()
        if by_coverage:
            guided(target, kept)
        tried = fuzz(target, seconds, seed, kept)
        crashes += tried.crashes
        total = tried.read + tried.refused + tried.crashes
        click.echo(
            f"fuzz {name}: executions {total:,} in {seconds:g} s (seed {seed}; read {tried.read:,}, "
            f"refused {tried.refused:,}), crashes {tried.crashes}"
        )
    shutil.rmtree(folder)
    if not crashes:
        shutil.rmtree(kept)
    sys.exit(bool(crashes))


if __name__ == "__main__":
    main()
