"""A model's folder from a stranger: it can't run code, reach out of its folder, or take more memory than it holds."""

import json
import os
import pickle
import resource
import struct
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

from retrain.commands import predict

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file
from support.errors import error_line
from support.model_folders import TEXTS, Trap, change, write_model
from support.project import BAG, MLP

HUGE = 1 << 60
ROOM = 1 << 29
"""Bytes that reading a model of a few kilobytes may take: an encoder's table of 2**26 buckets takes half of it."""

pytestmark = pytest.mark.timeout(60)  # the end of what would never end


@contextmanager
def little_memory() -> Iterator[None]:
    """Let this process grow by no more than `ROOM`, where the system can hold it to that."""
    statistics = Path("/proc/self/statm")
    if not statistics.exists():
        yield
        return
    now = int(statistics.read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + ROOM, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def everything(folder: Path) -> dict[str, tuple[int, int, int]]:
    """All that lies below a folder, and what would tell that it was replaced or written to."""
    facts = {str(path): path.lstat() for path in sorted(folder.rglob("*"))}
    return {path: (fact.st_ino, fact.st_size, fact.st_mtime_ns) for path, fact in facts.items()}


def refusal(folder: Path, *arguments: str) -> str:
    """The one line with which a model in `folder/models/` is refused; nothing else is printed, made or changed."""
    before = everything(folder)
    with chdir(folder), little_memory():
        ended = CliRunner().invoke(predict.command, ["mine", *(arguments or ["a ship"])])
    assert isinstance(ended.exception, SystemExit), repr(ended.exception)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert everything(folder) == before
    line = error_line(ended.stderr)
    assert len(line) < 3100
    return line.removeprefix(f"{folder}/models/mine/")


KINDS = {"text": "classification", "ngrams": "classification", "numbers": "regression"}
"""The encoders of the models, and their tasks."""


@pytest.fixture
def model(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a model with an encoder to `models/mine/`, and returns its folder."""
    return lambda encoder: write_model(tmp_path / "models" / "mine", encoder, KINDS[encoder])


@pytest.mark.parametrize("kind", KINDS)
def test_honest_models_fit_the_memory_limit(model, tmp_path, kind):
    model(kind)
    (tmp_path / "rows.csv").write_text("a,b,title,text\n1,2,a ship,a harbour\n")
    with chdir(tmp_path), little_memory():
        ended = CliRunner().invoke(predict.command, ["mine", "--file", "rows.csv"], catch_exceptions=False)
    assert ended.exit_code == 0, ended.stderr
    assert set(json.loads(ended.stdout)) in ({"label", "probabilities"}, {"number"})


LABELS = ["task", "learned"]
NETWORK = ["train", "network"]
OTHER = "model.safetensors holds the weights of another network; "
CLAIMS: list[tuple[str, list[str], Any, str]] = [
    # sizes that the files do not hold
    ("text", [*NETWORK, "embedding_dim"], 2**31 - 1, OTHER),
    ("text", [*NETWORK, "embedding_dim"], HUGE, "model.json: train.network.embedding_dim is "),
    ("text", [*NETWORK, "embedding_dim"], 10**30, "model.json: train.network.embedding_dim is "),
    ("ngrams", ["encoder", "learned", "columns"], [], "model.json does not describe a model ("),
    ("numbers", [*NETWORK, "hidden"], 2**31 - 1, OTHER),
    ("numbers", [*NETWORK, "hidden"], 10**30, "model.json: train.network.hidden is "),
    ("numbers", [*NETWORK, "hidden"], 10**4000, "model.json: train.network.hidden is "),
    ("ngrams", ["encoder", "learned", "hash_bits"], 60, "model.json does not describe a model ("),
    ("ngrams", ["encoder", "learned", "hash_bits"], 26.0, "model.json does not describe a model ("),
    ("ngrams", ["encoder", "learned", "buckets"], "AAAA" * 4000, "model.json does not describe a model ("),
    ("ngrams", ["encoder", "learned", "buckets"], "////" * 4, "model.json does not describe a model ("),
    ("text", ["encoder", "learned", "tokens"], ["a"] * 50_000, "model.json does not describe a model ("),
    ("text", ["encoder", "learned", "tokens"], [str(number) for number in range(50_000)], OTHER),
    ("text", [*LABELS, "classes"], ["sea", "sea", "city"], "model.json does not describe a model ("),
    ("text", [*LABELS, "counts"], [1, 2, 10**400], "model.json does not describe a model ("),
    ("numbers", [*LABELS, "deviation"], 1e300, "model.json does not describe a model ("),
    ("numbers", [*LABELS, "mean"], 10**400, "model.json does not describe a model ("),
    ("text", ["train", "threads"], 10**12, "model.json.train.threads is 1000000000000, but must "),
    ("text", ["train", "threads"], 10**4000, "model.json.train.threads is a number of 13,288 bits, but must "),
    ("text", ["best_epoch"], 10**4000, "model.json.best_epoch is a number of 13,288 bits, but must "),
    ("text", ["splits", "train", "rows"], 10**30, "model.json.splits.train.rows is "),
    # names that lead elsewhere
    ("text", ["encoder", "name"], "../../evil", "model.json: unknown '../../evil'; known are: "),
    ("text", ["encoder", "name"], "os", "model.json: unknown 'os'; known are: "),
    ("text", ["encoder", "name"], "__init__", "model.json: unknown '__init__'; known are: "),
    ("text", ["encoder", "name"], "text.evil", "model.json: unknown 'text.evil'; did you mean 'text'?"),
    ("text", ["encoder", "name"], "x" * 10**7, "model.json: unknown 'xxxxx"),
    ("text", ["task", "name"], "../encoders/text", "model.json: unknown '../encoders/text'; known are: "),
    ("text", [*NETWORK, "name"], "../../evil", "model.json: unknown '../../evil'; known are: "),
    ("text", [*NETWORK, "name"], "/etc/passwd", "model.json: unknown '/etc/passwd'; known are: "),
    ("text", [*NETWORK, "name"], ["embedding_bag"], "model.json: unknown '['embedding_bag']'; did you"),
    ("text", ["train", "loss", "name"], "../../evil", "model.json: unknown '../../evil'; known are: "),
    ("text", NETWORK, MLP, "model.json names an encoder, network, task and loss that do not fit together; "),
    ("ngrams", NETWORK, BAG, "model.json names an encoder, network, task and loss that do not fit together; "),
    ("text", ["train", "loss"], {"name": "huber"}, "model.json names an encoder, network, task and loss that do not"),
    ("text", ["prepare", "repairs"], ["../../evil"], "repairs: unknown '../../evil'; known are: "),
    ("text", ["dataset"], "../../evil", "model.json.dataset is the text '../../evil', but must "),
    ("text", ["dataset"], "..", "model.json.dataset is the text '..', but must "),
    ("text", ["dataset"], "/etc", "model.json.dataset is the text '/etc', but must "),
    ("text", ["dataset"], "a\n", r"model.json.dataset is the text 'a\n', but must "),
    # what Python could not follow
    ("text", ["prepare", "more"], json.loads("[" * 900 + "]" * 900), "model.json is not a readable JSON file ("),
    ("text", ["split"], json.loads('{"a":' * 300 + "1" + "}" * 300), "model.json is not a readable JSON file ("),
    ("numbers", [*LABELS, "mean"], float("nan"), "model.json is not a readable JSON file ("),
    ("numbers", [*LABELS, "mean"], float("-inf"), "model.json is not a readable JSON file ("),
]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: f"{'.'.join(claim[1])}={str(claim[2])[:20]}")
def test_false_claims_are_rejected(model, tmp_path, claim):
    kind, path, value, expected = claim
    change(model(kind), *path, to=value)
    arguments = ["--file", "rows.csv"] if kind == "numbers" else []
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    assert refusal(tmp_path, *arguments).startswith(expected)


def test_texts_without_end_are_rejected(model, tmp_path):
    path = model("numbers") / "model.json"
    described = path.read_text()
    for before, after in (
        ('"best_epoch": 1', '"best_epoch": 1' + "0" * 1_000_000),
        ("{", "\0" * 1_000_000 + "{"),
    ):
        path.write_text(described.replace(before, after, 1))
        assert refusal(tmp_path).startswith("model.json is not a readable JSON file ("), before


def test_infinite_outputs_are_rejected(model, tmp_path):
    weights = model("numbers") / "model.safetensors"
    save_file({name: torch.full_like(tensor, 3e38) for name, tensor in load_file(weights).items()}, weights)
    (tmp_path / "rows.csv").write_text("a,b\n9,9\n")
    line = refusal(tmp_path, "--file", "rows.csv")
    assert line.startswith("the model of mine gives outputs that are not finite; ")


def header(path: Path, described: bytes, claimed: int, data: bytes) -> None:
    """Write a safetensors file: the claimed length of its header, the header, and the data."""
    path.write_bytes(struct.pack("<Q", claimed) + described + data)


def tensor(shape: list[int], end: int, dtype: str) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [0, end]}


def of_header(content: object) -> Callable[[Path], None]:
    """Writes a file with this header, and 64 bytes of data."""
    described = content if isinstance(content, bytes) else json.dumps(content).encode()
    return lambda path: header(path, described, len(described), bytes(64))


def a_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(Trap(path.parents[2] / "sprung")))


def a_checkpoint_of_torch(path: Path) -> None:
    torch.save({"trap": Trap(path.parents[2] / "sprung")}, path)


def a_sparse_file(path: Path) -> None:
    os.truncate(path, 1 << 40)


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_link(target: str) -> Callable[[Path], None]:
    """Replaces the file with a link; `{folder}` is that of the model, `{outside}` the one above all models."""

    def link(path: Path) -> None:
        path.unlink()
        path.symlink_to(target.format(folder=path.parent, outside=path.parents[2]))

    return link


DAMAGED = "model.safetensors is not a readable safetensors file ("
OUT = "is a link that leads out of its folder; "
FILES: list[tuple[str, str, Callable[[Path], None], str | tuple[str, ...]]] = [
    ("model.safetensors", "a pickle", a_pickle, DAMAGED),
    ("model.safetensors", "a checkpoint of torch", a_checkpoint_of_torch, DAMAGED),
    ("model.safetensors", "ten GB of header", lambda path: header(path, b"{}", 10**10, b""), DAMAGED),
    ("model.safetensors", "no end of header", lambda path: header(path, b"{}", 2**64 - 1, b""), DAMAGED),
    ("model.safetensors", "many weights", of_header({"w": tensor([HUGE], 4 * HUGE, "F32")}), DAMAGED),
    ("model.safetensors", "more than can be counted", of_header({"w": tensor([1 << 40] * 4, 64, "F32")}), DAMAGED),
    ("model.safetensors", "more than the file holds", of_header({"w": tensor([10**6], 4 * 10**6, "F32")}), DAMAGED),
    ("model.safetensors", "less than nothing", of_header({"w": tensor([-1], 64, "F32")}), DAMAGED),
    ("model.safetensors", "weights on top of each other",
     of_header({"a": tensor([16], 64, "F32"), "b": tensor([16], 64, "F32")}), DAMAGED),
    ("model.safetensors", "numbers of no type", of_header({"w": tensor([16], 64, "OBJECT")}), DAMAGED),
    ("model.safetensors", "no end of nesting", of_header(b'{"__metadata__":' + b"[" * 100_000), DAMAGED),
    ("model.safetensors", "a name that is a path", of_header({"../../evil": tensor([16], 64, "F32")}), OTHER),
    ("model.safetensors", "a terabyte of nothing", a_sparse_file,
     ("model.safetensors does not fit into memory; ", DAMAGED)),
    ("model.safetensors", "a pipe", a_pipe, "model.safetensors is not a file; "),
    ("model.safetensors", "a folder", a_folder, "model.safetensors is not a file; "),
    ("model.safetensors", "a device", a_link("/dev/zero"), "model.safetensors is not a file; "),
    ("model.safetensors", "a link out", a_link("{outside}/kept.safetensors"), f"model.safetensors {OUT}"),
    ("model.safetensors", "a link to itself", a_link("{folder}/model.safetensors"), "model.safetensors is not a regular file; "),
    ("model.json", "a terabyte of nothing", a_sparse_file, "model.json is not a readable JSON file (it is larger than"),
    ("model.json", "a pickle", a_pickle, "model.json is not a readable JSON file ("),
    ("model.json", "a pipe", a_pipe, "model.json is not a file; "),
    ("model.json", "a device", a_link("/dev/zero"), "model.json is not a file; "),
    ("model.json", "a link out", a_link("../../kept.json"), f"model.json {OUT}"),
    ("model.json", "a link to itself", a_link("model.json"), "model.json is not a regular file; "),
]  # fmt: skip


@pytest.mark.parametrize(("name", "damage", "expected"), [(name, damage, line) for name, _, damage, line in FILES],
                         ids=[f"{name} is {what}" for name, what, _, _ in FILES])  # fmt: skip
def test_foreign_files_are_rejected(model, tmp_path, name, damage, expected):
    folder = model("text")
    for kept in folder.iterdir():
        (tmp_path / "kept").with_suffix(kept.suffix).write_bytes(kept.read_bytes())
    damage(folder / name)
    assert refusal(tmp_path).startswith(expected)


def test_links_into_folder_and_cache_work(model, tmp_path):
    """`dvc config cache.type symlink` keeps outputs as links into the cache."""
    folder = model("text")
    cached = tmp_path / ".dvc/cache/files/md5/0f" / ("a" * 30)
    cached.parent.mkdir(parents=True)
    (folder / "model.safetensors").rename(cached)
    (folder / "model.safetensors").symlink_to(cached)
    (folder / "model.json").rename(folder / "other.json")
    (folder / "model.json").symlink_to("other.json")
    with chdir(tmp_path):
        ended = CliRunner().invoke(predict.command, ["mine", TEXTS[0]], catch_exceptions=False)
    assert ended.exit_code == 0, ended.stderr


@pytest.mark.parametrize("name", ["../models/mine", "mine/../mine", "/etc", "..", ".", ""])
def test_other_paths_are_not_models(model, tmp_path, name):
    model("text")
    with chdir(tmp_path):
        ended = CliRunner().invoke(predict.command, [name, "a ship"])
    assert ended.exit_code == 1
    assert f"{name or 'MODEL'} is not a folder with model.json; name a dataset, a model's folder, or " in ended.stderr


def test_unpickling_springs_the_trap(tmp_path):
    pickle.loads(pickle.dumps(Trap(tmp_path / "sprung")))  # noqa: S301 (our own)
    assert (tmp_path / "sprung").exists()
