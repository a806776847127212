"""What one column of a table holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from retrain import schema

__all__ = ["Column", "number_text", "shown"]


@dataclass(frozen=True)
class Column:
    """What a column holds, and why it is taken for that."""

    name: str
    kind: str
    """`numbers`, `categories`, `dates`, `texts`, `target` or `leave_out`."""
    why: str
    missing: int
    """Rows in which it is empty."""
    distinct: int
    option: str = ""
    """Of a column that is left out: the option of `retrain add` that uses it."""
    markers: tuple[str, ...] = ()
    """Values that stand for a missing one."""
    date_format: str = ""
    sentinels: tuple[str, ...] = ()
    """Numbers that stand for a missing one, such as -999."""
    predict: str = ""
    """Of the target: `label` or `number`."""
    rename: Mapping[str, str] = field(default_factory=dict)
    """Of a label: values that are the same number in another spelling, and their common name."""
    doubts: tuple[str, ...] = ()
    """What may be meant in another way."""
    no_answers: tuple[str, ...] = ()
    """Values that may stand for a missing one, such as 98 and 99 among small whole numbers, or -1 among many positive ones."""
    spellings: tuple[str, ...] = ()
    """Of categories: some that seem to mean the same."""
    scattered: bool = False
    """Of words: whether nearly every row has its own, so that more could be learned from numbers."""
    has_parts: bool = False
    """Whether its values are objects or lists."""
    unspaced: bool = False
    """Of a text: whether most values are in a script that writes words without spaces."""


def shown(value: Any) -> str:
    """A value as a message shows it."""
    return f"'{schema.shortened(' '.join(str(value).split()), 30)}'"


def number_text(number: float) -> str:
    """A number as a message shows it: a large one with all its digits, as a file has them, and any other with six that count."""
    return f"{number:.0f}" if 1e5 <= abs(number) < 1e15 else f"{number:.6g}"
