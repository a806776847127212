"""YAML files, read as DVC reads them and written with their comments."""

import copy
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from retrain import files
from retrain.errors import RetrainError

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, ScalarEvent
from ruamel.yaml.parser import ParserError
from ruamel.yaml.representer import RoundTripRepresenter
from ruamel.yaml.resolver import VersionedResolver
from ruamel.yaml.scanner import ScannerError

__all__ = ["ConflictError", "load_yaml", "parsed", "replace", "round_trip", "safe", "with_item", "without_item"]


DEEPEST = 64
"""Levels of nested lists and mappings in a YAML file; params.yaml has six."""
LONGEST = 1 << 22
"""Bytes of a YAML file; dvc.lock takes twelve thousand for a dataset."""
MOST = 400_000
"""Values in a YAML file; those that aliases repeat count each time."""
CONFLICT = re.compile(r"^<<<<<<< ", re.MULTILINE)
NO_YAML = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""Exceptions besides YAMLError that ruamel.yaml raises on invalid input (dates, numbers, keys)."""


class ConflictError(RetrainError):
    """The file has the marks of a merge that git could not finish."""


class Resolver(VersionedResolver):
    """Tells numbers, dates and texts apart by the rules of YAML 1.2; ruamel.yaml asks for the version at every value."""

    processing_version = (1, 2)


def safe() -> YAML:
    """A reader of YAML that gives plain values; a third faster than ruamel's own."""
    yaml = YAML(typ="safe")
    yaml.Resolver = Resolver
    return yaml


def load_yaml(path: Path, where: str, hint: str, yaml: YAML | None = None) -> Any:
    """Read a YAML file.

    Args:
        path: the file.
        where: how errors name it.
        hint: what to do if it does not exist.
        yaml: the reader, if it is not the safe one.

    Raises:
        RetrainError: the file does not exist, or see `parsed`.
    """
    with files.reading(path, "YAML file", hint), path.open("rb") as file:
        content = file.read(LONGEST + 1)
    return parsed(content, where, yaml)


def parsed(content: bytes, where: str, yaml: YAML | None = None) -> Any:
    """Parse the content of a YAML file, with the safe reader if no other one is given.

    Raises:
        RetrainError: it is not valid YAML, or is larger or deeper than files of parameters are.
    """
    if len(content) > LONGEST:
        raise RetrainError(where, f"is larger than {LONGEST:,} bytes", "remove what is not needed")
    try:
        text = content.decode()
        if conflict := CONFLICT.search(text):
            line = text.count("\n", 0, conflict.start()) + 1
            hint = "docs/how-to/share.md has the commands that keep what both sides added, or one side"
            raise ConflictError(f"{where}, line {line}", "has a merge conflict", hint)
        if yaml is None:
            return copy.deepcopy(plain(text, where))
        check_events(text, where)
        return yaml.load(text)
    except MarkedYAMLError as error:
        raise invalid(error, where) from None
    except (YAMLError, *NO_YAML) as error:
        fact = " ".join(str(error).split())
        raise RetrainError(where, f"is not valid YAML ({fact})", "correct the file") from None


@lru_cache(maxsize=8)
def plain(text: str, where: str) -> Any:
    """The plain values of YAML text. A command reads params.yaml again and again, so it keeps them; a caller copies them."""
    check_events(text, where)
    return safe().load(text)


def check_events(text: str, where: str) -> None:
    """Reject what the loader must not see: too deep nesting, and aliases that stand for too many values.

    The C loader crashes on deep nesting, because it calls itself for each level. A few lines with aliases of aliases can
    stand for billions of values.
    """
    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = [(None, 0)]
    for event in YAML(typ="safe").parse(text):
        if isinstance(event, CollectionStartEvent):
            open_nodes.append((event.anchor, 1))
        elif isinstance(event, CollectionEndEvent | ScalarEvent | AliasEvent):
            anchor, size = open_nodes.pop() if isinstance(event, CollectionEndEvent) else (event.anchor, 1)
            size = sizes.get(str(anchor), MOST + 1) if isinstance(event, AliasEvent) else size
            sizes |= {anchor: size} if anchor else {}
            open_nodes[-1] = (open_nodes[-1][0], open_nodes[-1][1] + size)
            if open_nodes[-1][1] > MOST:
                fact = f"has more than {MOST:,} values, counting those that aliases repeat"
                raise RetrainError(at(where, event.start_mark), fact, "write the values there")
        if len(open_nodes) > DEEPEST + 1:
            fact = f"has more than {DEEPEST} lists and mappings inside each other"
            raise RetrainError(at(where, event.start_mark), fact, "remove some of them")


def at(where: str, mark: Any) -> str:
    """A place in a file: `params.yaml, line 23, column 4`."""
    return f"{where}, line {mark.line + 1}, column {mark.column + 1}"


def invalid(error: MarkedYAMLError, where: str) -> RetrainError:
    """The error of text that is not valid YAML, with its place."""
    mark, start = error.problem_mark or error.context_mark, error.context_mark
    earlier = f", {error.context} that starts in line {start.line + 1}" if start and start.line < mark.line else ""
    syntax = isinstance(error, ParserError | ScannerError)
    hint = "check the indentation (spaces, no tabs), quotes and brackets there" if syntax else "correct the line"
    return RetrainError(at(where, mark) if mark else where, f"is not valid YAML ({error.problem}{earlier})", hint)


class Representer(RoundTripRepresenter):
    """Writes null as a word. A class of its own, because ruamel.yaml keeps what is added to one for all writers, such as DVC's."""


Representer.add_representer(type(None), lambda writer, _: writer.represent_scalar("tag:yaml.org,2002:null", "null"))


def round_trip() -> YAML:
    """A reader and writer of YAML that keeps comments, order and line breaks."""
    yaml = YAML()
    yaml.width = 4096
    yaml.preserve_quotes = True
    yaml.Representer = Representer
    return yaml


def replace(path: Path, content: Any, expected: Any, hint: str) -> None:
    """Replace a file by the content of a round trip; raises RetrainError if it would not hold what is expected then."""
    with files.replacing(path) as (draft,), files.writing(draft):
        with draft.open("w", encoding="utf-8") as stream:
            round_trip().dump(content, stream)
        if load_yaml(draft, path.name, hint) != expected:
            raise RetrainError(path.name, "can't be edited in this layout", hint)


def with_item(text: str, section: str, lines: list[str]) -> str:
    """The text of a YAML file with an item at the end of a top-level section.

    Args:
        text: the file.
        section: the key of the section: a mapping or a list in block style. It is added if it is not there.
        lines: the item, with the indentation of the section's items.
    """
    rows = text.rstrip("\n").split("\n")  # splitlines would also split at other signs than line feeds
    start, end = span(rows, rf"{re.escape(section)}:\s*(#.*)?", 0)
    if start is None:
        return "\n".join([*rows, "", f"{section}:", *lines, ""])
    return "\n".join([*rows[:end], *lines, *rows[end:], ""])


def without_item(text: str, section: str, pattern: str) -> str:
    """The text of a YAML file without the items of a top-level section whose first line matches, and without their comments.

    Args:
        text: the file.
        section: the key of the section.
        pattern: a regular expression for a whole line, without its indentation.
    """
    rows = text.rstrip("\n").split("\n")  # splitlines would also split at other signs than line feeds
    start, end = span(rows, rf"{re.escape(section)}:\s*(#.*)?", 0)
    while start is not None:
        first, last = span(rows, rf"\s+{pattern}", start + 1, end)
        if first is None:
            break
        while rows[first - 1].lstrip().startswith("#") and indentation(rows[first - 1]) == indentation(rows[first]):
            first -= 1
        while first > start + 1 and not rows[first - 1].strip() and (last == len(rows) or not rows[last].strip()):
            first -= 1
        rows[first:last] = []
        end -= last - first
    return "\n".join([*rows, ""])


def span(rows: list[str], pattern: str, first: int, end: int | None = None) -> tuple[int | None, int]:
    """The lines of the item whose first line matches: up to the next line that is indented no more and is not a comment."""
    end = len(rows) if end is None else end
    start = next((place for place in range(first, end) if re.fullmatch(pattern, rows[place])), None)
    if start is None:
        return None, end
    last = start + 1
    for place in range(start + 1, end):
        row = rows[place]
        if not row.strip() or row.lstrip().startswith("#"):
            continue
        if indentation(row) < indentation(rows[start]) or (
            indentation(row) == indentation(rows[start])
            and not (row.startswith("-") and not rows[start].lstrip().startswith("-"))
        ):
            break
        last = place + 1
    return start, last


def indentation(row: str) -> int:
    """The spaces at the start of a line."""
    return len(row) - len(row.lstrip(" "))
