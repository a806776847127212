"""Which installed libraries are not those of requirements.lock."""

import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

__all__ = ["FILE", "installed_version", "others", "warning"]


FILE = "requirements.lock"
PIN = re.compile(r"^([\w.-]+)==([^\s;#]+)[ ]*(;?)", re.MULTILINE)
"""A line of requirements.lock: the library, its version, and whether it is for some platforms only."""
METADATA = re.compile(r"^(.+)-([^-]+)\.dist-info$")
"""The name of the folder that pip makes for a library."""
NAMED = 3
"""How many libraries a warning names."""


class Other(NamedTuple):
    """A library whose installed version is not the pinned one."""

    name: str
    pinned: str
    installed: str
    """Empty if it is not installed."""


def others(text: str) -> Iterator[Other]:
    """The libraries that differ from a text of requirements.lock; a build such as `2.13.0+cpu` counts as 2.13.0.

    The names of folders say enough of nearly all libraries, in a hundredth of the time that `importlib.metadata` takes.
    """
    found = installed()
    for name, version, marker in PIN.findall(text):
        folder = found.get(plain(name))
        if folder == version or (marker and not folder):
            continue
        now = installed_version(name)
        if now.partition("+")[0] != version:
            yield Other(name, version, now)


def installed() -> dict[str, str]:
    """The versions of libraries by the names of their folders, without builds; of two, the one that Python finds first."""
    found: dict[str, str] = {}
    for place in sys.path:
        with suppress(OSError):
            matches = [METADATA.match(path.name) for path in Path(place).iterdir()]
            own = {plain(match[1]): match[2].partition("+")[0] for match in matches if match}
            found = {**own, **found}
    return found


def plain(name: str) -> str:
    """A library's name as all spellings of it have it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed_version(library: str) -> str:
    """The installed version, or nothing if there is none."""
    from importlib import metadata

    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return ""


def warning(workspace: Path) -> str:
    """What to say of libraries that are not those of the project's requirements.lock; nothing if they are."""
    path = workspace / FILE
    differing = list(others(path.read_text(encoding="utf-8"))) if path.exists() else []
    if not differing:
        return ""
    named = [f"{one.name} is {one.installed or 'missing'} ({FILE} says {one.pinned})" for one in differing[:NAMED]]
    more = [f"{len(differing) - NAMED} more differ"] if len(differing) > NAMED else []
    return f"{', '.join([*named, *more])}; run: make setup"
