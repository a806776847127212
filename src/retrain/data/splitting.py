"""Which split a row belongs to: decided by a hash of its content."""

import hashlib
from typing import TYPE_CHECKING, Annotated

from retrain.errors import RetrainError
from retrain.schema import Chosen, Section, Seed

from pydantic import Field

if TYPE_CHECKING:
    import pandas as pd

Fraction = Annotated[float, Field(gt=0, lt=1)]


class Split(Section):
    """Parameters of the stage."""

    validation: Fraction
    test: Fraction | None = None
    """Absent where prepare has an official test file."""
    seed: Seed
    task: str
    """What is predicted: `classification` or `regression`."""
    encoder: Chosen
    """How inputs become arrays, chosen by name."""


def assign_split(content: bytes, seed: int, test: float, validation: float) -> str:
    """The split that a content belongs to: decided by its hash, so that equal contents share it and new rows move none."""
    digest = hashlib.blake2b(content, digest_size=8, key=seed.to_bytes(8)).digest()
    draw = int.from_bytes(digest) / 2**64
    if draw < test:
        return "test"
    return "validation" if draw < test + validation else "train"


def split(
    rows: "pd.DataFrame", contents: list[bytes], official: tuple["pd.DataFrame", list[bytes]] | None, parameters: Split
) -> dict[str, "pd.DataFrame"]:
    """The three splits, in the order of the rows.

    Args:
        rows: the tidy table.
        contents: the normalised content of each of its rows.
        official: the official test rows and their contents; what they contain leaves train and validation.
        parameters: the stage's section.
    """
    sides = [
        assign_split(content, parameters.seed, parameters.test or 0.0, parameters.validation) for content in contents
    ]
    if official is None:
        return {name: rows[[own == name for own in sides]] for name in ("train", "validation", "test")}
    test, tested = official[0], set(official[1])
    free = [content not in tested for content in contents]
    parts = {
        name: rows[[own == name and keep for own, keep in zip(sides, free, strict=True)]]
        for name in ("train", "validation")
    }
    return {**parts, "test": test}


def check(parameters: Split, where: str, *, official: bool) -> None:
    """Say which fractions do not fit each other, or the data.

    Raises:
        RetrainError: both or neither of `split.test` and an official test file, or nothing left to train on.
    """
    if official and parameters.test is not None:
        raise RetrainError(f"{where}.test", "there is an official test file already", "remove the parameter")
    if not official and parameters.test is None:
        raise RetrainError(f"{where}.test", "is missing", "add it: there is no official test file")
    if parameters.validation + (parameters.test or 0.0) >= 1:
        raise RetrainError(where, "validation and test leave nothing to train on", "make their sum less than 1")


def not_empty(splits: dict[str, "pd.DataFrame"], where: str) -> None:
    """Raise RetrainError where a split has no row."""
    for name, rows in splits.items():
        if rows.empty:
            raise RetrainError(where, f"the {name} split has no row", "give it more rows or a larger fraction")
