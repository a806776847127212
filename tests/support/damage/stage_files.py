"""Files that one stage leaves for the next, for a later training, or for DVC: what is damaged, not what is forged."""

import json
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from retrain.pipeline import dvc_cache
from support.damage.cases import (
    EITHER,
    NO_FILES,
    READ,
    REFUSED,
    Case,
    Damage,
    broken_bytes,
    changed,
    cut,
    draw_for,
    flip,
    no_file,
    take_out,
    without,
    written,
)
from support.damage.models import broken_texts
from support.damage.parameters import foreign_params
from support.project import write_yaml

DIGESTED = {
    "data/{}/prepared/rows.parquet": "split",
    "data/{}/examples/train/targets.npy": "train",
    "data/{}/examples/validation/targets.npy": "train",
    "data/{}/splits/test.parquet": "evaluate",
}
"""Files whose SHA-256 another file knows, and the stage that reads them."""
DIGESTS = {"data/{}/prepared/prepared.json": "split", "data/{}/examples/encoding.json": "train"}
"""The files that hold these digests."""


def between_stages() -> Iterator[Case]:
    """Tables, arrays and JSON files between stages: a file that its digest does not fit is rejected, whatever it holds."""
    for dataset in ("tiny_news", "tiny_numbers", "tiny_pairs"):
        for path, stage in DIGESTED.items():
            name, command = path.format(dataset), (stage, "--dataset", dataset)
            yield from no_file(name, command)
            yield from broken_bytes(name, command, 3, REFUSED)
        for path, stage in DIGESTS.items():
            name, command = path.format(dataset), (stage, "--dataset", dataset)
            folder = Path(name).parent
            yield from no_file(name, command)
            yield from broken_bytes(name, command, 6)
            for what, change in broken_texts().items():
                yield Case(f"{name}: {what}", changed(name, change), command, REFUSED)
            yield Case(f"{folder}: one file more", written(f"{folder}/more", b""), command, REFUSED)
        arrays = f"data/{dataset}/examples/train"
        train = ("train", "--dataset", dataset)
        yield Case(f"{arrays}: missing", partial(without_folder, arrays), train, REFUSED)
        yield Case(f"{arrays}: those of validation", partial(other_arrays, arrays), train, REFUSED)


def without_folder(name: str, folder: Path) -> None:
    """Take a folder away."""
    without(folder / name)


def other_arrays(name: str, folder: Path) -> None:
    """Whole arrays, of another split."""
    shutil.copytree(folder / name.replace("train", "validation"), folder / name, dirs_exist_ok=True)


def reports() -> Iterator[Case]:
    """History, predictions and confusion matrix, to plot and to draw; metrics are only shown."""
    plot_news, plot_numbers = ("plot", "--dataset", "tiny_news"), ("plot", "--dataset", "tiny_numbers")
    for name, command in {
        "reports/tiny_news/history.csv": plot_news,
        "reports/tiny_news/tables/confusion.csv": plot_news,
        "reports/tiny_numbers/predictions.csv": plot_numbers,
    }.items():
        yield from no_file(name, command)
        yield from broken_bytes(name, command, 4)
        for what, change in foreign_reports().items():
            yield Case(f"{name}: {what}", changed(name, change), command, REFUSED)
    history = "reports/tiny_news/history.csv"
    for what, change in foreign_reports().items():
        yield Case(f"{history}: {what}, drawn", changed(history, change), ("retrain", "curves"), REFUSED)
    for case in no_file(history, ("evaluate", "--dataset", "tiny_news"), EITHER):  # only the recorder reads it
        yield replace(case, says=r"Warning: .*history\.csv")
    for what, content in {
        "a class less": b"target,predicted,rows\nfarm,farm,1\n",
        "counts below nothing": b"target,predicted,rows\n" + b"".join(
            b"%s,%s,-1\n" % (one, other) for one in (b"city", b"farm", b"sea") for other in (b"city", b"farm", b"sea")
        ),
        "other classes": b"target,predicted,rows\na,a,1\na,b,1\nb,a,1\nb,b,1\n",
        "fractions": b"target,predicted,rows\n" + b"farm,farm,1.5\n" * 9,
        "counts beyond integers": b"target,predicted,rows\n" + b"farm,farm,1e100\n" * 9,
        "huge counts": b"target,predicted,rows\nfarm,farm,1e400\n",
    }.items():  # fmt: skip
        yield Case(
            f"confusion.csv: {what}", written("reports/tiny_news/tables/confusion.csv", content), plot_news, REFUSED
        )


def foreign_reports() -> dict[str, Callable[[bytes], bytes]]:
    """Tables that no stage leaves."""
    return {
        "a header alone": lambda content: content.splitlines(keepends=True)[0],
        "no header": lambda content: b"".join(content.splitlines(keepends=True)[1:]),
        "text for numbers": lambda content: with_values(content, b"high"),
        "numbers without end": lambda content: with_values(content, b"inf"),
        "numbers that are missing": lambda content: with_values(content, b""),
        "huge numbers": lambda content: with_values(content, b"1e999"),
        "digits without end": lambda content: with_values(content, b"9" * 5000),
        "columns of other names": lambda content: (
            content.replace(b"epoch", b"time").replace(b"target", b"goal").replace(b"rows", b"counts")
        ),
        "a value more": lambda content: content.replace(b"\n", b",1,1\n").replace(b",1,1\n", b"\n", 1),
        "a quote that is open": lambda content: content + b'"',
        "UTF-16": lambda content: content.decode().encode("utf-16"),
        "NUL": lambda content: content.replace(b",", b",\x00"),
    }


def with_values(content: bytes, value: bytes) -> bytes:
    """A CSV with another value in all columns but the first: a stage need not read all of them."""
    header, *rows = content.splitlines()
    width = header.count(b",")
    return b"\n".join([header, *(row.partition(b",")[0] + width * (b"," + value) for row in rows)]) + b"\n"


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
    """Checkpoints that are damaged or of other trainings, and the files next to them."""
    for dataset in ("tiny_news", "tiny_numbers"):
        command = ("train", "--dataset", dataset)
        says = "continuing after epoch 3 of 3"
        yield Case(f"{dataset}'s checkpoint: whole", unfinished(dataset, Path.touch), command, READ, says=says)
        for what, change in broken_checkpoints(dataset).items():
            yield Case(f"{dataset}'s checkpoint: {what}", unfinished(dataset, change), command, READ, says=ANEW)
        for what, change in {**other_checkpoints(dataset), **next_to_checkpoints()}.items():
            yield Case(f"{dataset}'s checkpoint: {what}", unfinished(dataset, change), command, READ)
        says = "an unfinished training with different parameters .* is not continued"
        damage = unfinished(dataset, of_other_parameters)
        yield Case(f"{dataset}'s checkpoint: with different parameters", damage, command, READ, says=says)
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


def broken_checkpoints(dataset: str) -> dict[str, Change]:
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


def as_other(path: Path) -> Path:
    """A checkpoint under the name of another training of the dataset."""
    return path.rename(path.with_name(f"{path.stem.rpartition('-')[0]}-0123456789abcdef.checkpoint"))


def of_other_parameters(path: Path) -> None:
    """The checkpoint of a training with other parameters."""
    header, _, rest = path.read_bytes().partition(b"\n")
    fingerprint = json.loads(header)
    fingerprint["parameters"]["loop"]["epochs"] = 99
    path.write_bytes(json.dumps(fingerprint).encode() + b"\n" + rest)
    as_other(path)


HEADERS = (
    b"", b"null", b"5", b"[]", b"{}", b"{", b"\xff", b"NaN", b"9" * 5000, b"[" * 100_000, b'{"a":' * 100_000, b'"\\ud800"',
    b'{"parameters": [], "data": {}}',
)  # fmt: skip
"""What is not the fingerprint of a training: of another training, it is read without its digest."""


def with_header(header: bytes, content: bytes) -> bytes:
    """A checkpoint with another header."""
    return header + content[content.index(b"\n") :]


def other_checkpoints(dataset: str) -> dict[str, Change]:
    """Files that are left of trainings with different parameters: their content does not matter."""
    changes = broken_checkpoints(dataset)
    changes |= {f"a header {header[:12]!r}": rewritten(partial(with_header, header)) for header in HEADERS}
    starts = (
        "a header",
        "a pipe",
        "a folder",
        "a link",
        "an endless",
        "a socket",
        "empty",
        "cut 0",
        "zeros",
        "forbidden",
    )
    return {
        f"another's, {name}": lambda path, change=change: change(as_other(path))
        for name, change in changes.items()
        if name.startswith(starts)
    }


def next_to_checkpoints() -> dict[str, Change]:
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


def lock(change: Callable[[dict], object]) -> Damage:
    """A dvc.lock of one dataset's result, and changed."""

    def damage(folder: Path) -> None:
        content = {"schema": "2.0", "stages": {"train@tiny_news": recorded_stage(folder)}}
        change(content)
        (folder / ".dvc").mkdir()
        (folder / ".dvc" / "config").touch()
        write_yaml(folder / "dvc.lock", content)

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
        for place, where in PLACES.items():
            for what, value in values.items():
                yield Case(f"dvc.lock: {place} is {what}, {about}", lock(placed(where, value)), command, EITHER)
        yield from no_file("dvc.lock", command, EITHER)
        yield from broken_bytes("dvc.lock", command, 2)
        for what, content in foreign_params().items():
            yield Case(f"dvc.lock: {what}, {about}", written("dvc.lock", content), command, EITHER)
