"""What the damages are made of: a case, and ways to damage a file."""

import os
import random
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

SEED = 1


Change = Callable[[random.Random, bytes], bytes]
"""Changes a content as a generator decides."""
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


def both(first: Damage, second: Damage) -> Damage:
    """Two damages, one after the other."""

    def damage(folder: Path) -> None:
        first(folder)
        second(folder)

    return damage


def loop_of_links(path: Path) -> None:
    """A link to itself."""
    path.symlink_to(path.name)


def socket_file(path: Path) -> None:
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
    "a socket": socket_file,
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
    damaged = content[:begin] + foreign + content[begin + length :]
    return damaged if damaged != content else flip(draw, content)


def take_out(draw: random.Random, content: bytes) -> bytes:
    """Some bytes are missing."""
    begin = draw.randrange(len(content))
    return content[:begin] + content[begin + draw.choice([1, 4, 100]) :]


def half(content: bytes) -> bytes:
    """The first half."""
    return content[: len(content) // 2]
