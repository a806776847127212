"""Assignment of rows to splits by a hash of their content."""

import hashlib
from typing import TYPE_CHECKING, Annotated

from retrain.errors import RetrainError
from retrain.schema import Chosen, Section, Seed

from pydantic import Field

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Split", "check", "not_empty", "split"]


Fraction = Annotated[float, Field(gt=0, lt=1)]


class Split(Section):
    """Parameters of the split stage."""

    validation: Fraction
    test: Fraction | None = None
    """Absent if the data has an official test file."""
    seed: Seed
    task: str
    """What is predicted: `classification` or `regression`."""
    encoder: Chosen
    """The encoder of the inputs: its name and its own parameters."""


def assign_split(content: bytes, seed: int, test: float, validation: float) -> str:
    """The split of a row, decided by the hash of its content.

    Rows of equal content are in the same split, and new rows do not move others.

    Args:
        content: the normalised content of the row.
        seed: the key of the hash.
        test: the fraction of the test split.
        validation: the fraction of the validation split.
    """
    digest = hashlib.blake2b(content, digest_size=8, key=seed.to_bytes(8)).digest()
    draw = int.from_bytes(digest) / 2**64
    if draw < test:
        return "test"
    return "validation" if draw < test + validation else "train"


def split(
    rows: "pd.DataFrame", contents: list[bytes], official: tuple["pd.DataFrame", list[bytes]] | None, parameters: Split
) -> dict[str, "pd.DataFrame"]:
    """The three splits. Each keeps the order of the rows.

    Args:
        rows: the tidy table.
        contents: the normalised content of each row.
        official: the official test rows and their contents. Rows of the same content are left out of train and validation.
        parameters: the stage's section.
    """
    assigned = [
        assign_split(content, parameters.seed, parameters.test or 0.0, parameters.validation) for content in contents
    ]
    if official is None:
        return {name: rows[[own == name for own in assigned]] for name in ("train", "validation", "test")}
    test, tested = official[0], set(official[1])
    free = [content not in tested for content in contents]
    parts = {
        name: rows[[own == name and keep for own, keep in zip(assigned, free, strict=True)]]
        for name in ("train", "validation")
    }
    return {**parts, "test": test}


def check(parameters: Split, where: str, *, official: bool) -> None:
    """Check that the fractions fit each other and the data.

    Raises:
        RetrainError: there are both a fraction `test` and an official test file, or neither; or no rows are left to train on.
    """
    if official and parameters.test is not None:
        raise RetrainError(f"{where}.test", "is set, but the data has an official test file", "remove the parameter")
    if not official and parameters.test is None:
        raise RetrainError(f"{where}.test", "is missing", "add it: the data has no official test file")
    total = parameters.validation + (parameters.test or 0.0)
    if total >= 1:
        raise RetrainError(
            where, f"validation and test add up to {total:g}, so no rows are left to train on", "lower them"
        )


def not_empty(splits: dict[str, "pd.DataFrame"], parameters: Split, where: str) -> None:
    """Raise RetrainError if a split is empty."""
    total = sum(map(len, splits.values()))
    for name, rows in splits.items():
        fraction = {"validation": parameters.validation, "test": parameters.test}.get(name)
        if rows.empty:
            fractions = "" if fraction is None else f" at {name} = {fraction:g}"
            hint = "lower validation or test" if fraction is None else f"raise {name}"
            fact = f"has an empty {name} split (0 of {total:,} rows{fractions})"
            raise RetrainError(where, fact, f"{hint}, or add rows")
