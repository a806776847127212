"""YAML files, read as DVC reads them and written with their comments."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retrain import files
from retrain.errors import RetrainError

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent

DEEPEST = 64
"""Levels of nested lists and mappings in a YAML file; params.yaml has six."""
LONGEST = 1 << 22
"""Bytes of a YAML file; dvc.lock takes twelve thousand for a dataset."""
MOST = 400_000
"""Values in it, those that its aliases repeat counted each time."""
NO_YAML = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What ruamel.yaml lets through of what is no YAML, or no date, number or key, beside its own errors."""


def load_yaml(path: Path, where: str, hint: str, yaml: YAML | None = None) -> Any:
    """What a YAML file holds; `yaml`, if given, reads it.

    Raises:
        RetrainError: it is missing (`hint` says what to do then), unreadable, or not what `parsed` takes.
    """
    with files.reading(path, "YAML file", hint), path.open("rb") as file:
        content = file.read(LONGEST + 1)
    return parsed(content, where, yaml or YAML(typ="safe"))


def parsed(content: bytes, where: str, yaml: YAML) -> Any:
    """The value that YAML spells.

    Raises:
        RetrainError: it is no YAML, or more of it than parameters are.
    """
    if len(content) > LONGEST:
        raise RetrainError(where, f"is larger than {LONGEST:,} bytes", "take out what is not needed")
    try:
        text = content.decode()
        must_be_shallow(text)
        value = yaml.load(text)
        must_be_small(value)
    except (YAMLError, *NO_YAML) as error:
        fact = " ".join(str(error).split())
        raise RetrainError(where, f"is not valid YAML ({fact})", "mend the line that it names") from None
    return value


def must_be_shallow(text: str) -> None:
    """Raise ValueError where YAML is nested too deep: the loader in C calls itself for each level, and would crash."""
    depth = 0
    for event in YAML(typ="safe").parse(text):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError(f"it holds more than {DEEPEST} lists and mappings inside each other")


def must_be_small(value: Any) -> None:
    """Raise ValueError where a value holds more parts than any params do, or itself.

    A few lines can hold billions of values: their aliases are followed by whoever walks them.
    """
    waiting: list[tuple[Any, int]] = [([value], 0)]
    count = 0
    while waiting:
        part, depth = waiting.pop()
        count += len(part)
        if depth > DEEPEST or count > MOST:
            raise ValueError(f"with its aliases it holds more than {MOST:,} values, or itself")
        children = part.values() if isinstance(part, Mapping) else part
        waiting.extend((child, depth + 1) for child in children if isinstance(child, list | tuple | set | Mapping))


def round_trip() -> YAML:
    """A reader and writer of YAML that keeps comments, order and line breaks."""
    yaml = YAML()
    yaml.width = 4096
    yaml.preserve_quotes = True
    null = "tag:yaml.org,2002:null"
    yaml.representer.add_representer(type(None), lambda writer, _: writer.represent_scalar(null, "null"))
    return yaml
