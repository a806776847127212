"""Columns that rows should have: what to say if some are missing."""

from collections.abc import Iterable, Mapping, Sequence

from retrain import schema

__all__ = ["lacks", "renamed", "similar", "some_names"]


MOST_SHOWN = 30
"""Names that an error has."""
MOST_COMPARED = 1_000
"""Pairs of names that are compared."""


def lacks(missing: Sequence[str]) -> str:
    """The fact that columns are missing: `has no columns 'a', 'b'`."""
    names = some_names([f"'{name}'" for name in missing])
    return f"has no columns {names}" if len(missing) > 1 else f"has no column {names}"


def similar(missing: Sequence[str], others: Iterable[str]) -> dict[str, str]:
    """For missing names the most similar one of some others, each of which is taken once; a name without a similar one is left out."""
    left, found = list(dict.fromkeys(others))[: MOST_COMPARED // len(missing)], {}
    for name in missing if left else ():
        if near := schema.nearest_name(name, left):
            found[name] = near
            left.remove(near)
    return found


def renamed(near: Mapping[str, str]) -> str:
    """The hint to rename columns, such as `rename 'Laenge' to 'Länge'`; the argument is a value of `similar`."""
    pairs = ", ".join(f"'{other}' to '{name}'" for name, other in near.items())
    return f"rename {pairs}"


def some_names(names: Sequence[str]) -> str:
    """Names in one line, which ends with the number of further ones if they are many."""
    more = f" and {len(names) - MOST_SHOWN:,} more" if len(names) > MOST_SHOWN else ""
    return ", ".join(names[:MOST_SHOWN]) + more
