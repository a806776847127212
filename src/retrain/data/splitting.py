"""Assignment of rows to splits by a hash of their content."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

from retrain.data.encoders._text import normalised, signs_of
from retrain.errors import RetrainError
from retrain.schema import Chosen, Section, Seed, some_of

from pydantic import Field

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

__all__ = ["Split", "check", "constant_columns", "contents_of_groups", "folds", "not_empty", "rare_classes", "split"]


Fraction = Annotated[float, Field(gt=0, lt=1)]
Folds = Annotated[int, Field(ge=2, le=16)]


class Split(Section):
    """Parameters of the split stage."""

    validation: Fraction | None = None
    """Absent if `folds` is set."""
    folds: Folds | None = None
    """Instead of a validation split: every row that is not a test row validates one member of the network, which learns from
    the other folds."""
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
    draw = draw_of(content, seed)
    if draw < test:
        return "test"
    return "validation" if draw < test + validation else "train"


def draw_of(content: bytes, seed: int) -> float:
    """A number from 0 to 1 that depends on a row's content and the seed alone."""
    digest = hashlib.blake2b(content, digest_size=8, key=seed.to_bytes(8)).digest()
    return int.from_bytes(digest) / 2**64


def contents_of_groups(groups: Iterable[str]) -> list[bytes]:
    """The groups of rows as the hash takes them."""
    return [group.encode() for group in groups]


def folds(contents: Iterable[bytes], parameters: Split, where: str) -> "np.ndarray":
    """The fold of each row of the train split, decided by the same hash as the splits: int64, (rows,).

    Raises:
        RetrainError: a fold is empty.
    """
    import numpy as np

    count, test = parameters.folds or 1, parameters.test or 0.0
    draws = np.array([draw_of(content, parameters.seed) for content in contents])
    numbers = ((draws - test) / (1.0 - test) * count).astype(np.int64).clip(0, count - 1)
    if len(np.unique(numbers)) < count:  # few rows or groups: the same number of them for each fold
        ranks = np.unique(draws, return_inverse=True)[1].reshape(-1)
        numbers = ranks * count // (ranks.max() + 1)
    if len(np.unique(numbers)) < count:
        fact = f"the train split has {len(np.unique(draws)):,} different rows or groups for {count} folds"
        raise RetrainError(f"{where}.folds", fact, "add rows, or lower folds")
    return numbers


def by_group(groups: list[bytes], parameters: Split) -> list[str]:
    """The split of each row by its group: a share of the groups, in the order of their hashes, so that few groups fill each split."""
    order = sorted({*groups}, key=lambda group: draw_of(group, parameters.seed))
    shares = {"test": parameters.test or 0.0, "validation": parameters.validation or 0.0}
    split_of: dict[bytes, str] = {}
    for name, share in shares.items():
        count = max(1, round(share * len(order))) if share else 0
        split_of |= dict.fromkeys(order[len(split_of) : len(split_of) + count], name)
    return [split_of.get(group, "train") for group in groups]


def by_time(times: "pd.Series[Any]", parameters: Split) -> list[str]:
    """The split of each row by its time: the newest rows are test, the newest of the others validation. Equal times stay together."""
    ordered = times.sort_values(ignore_index=True)
    first = {"test": 1.0 - (parameters.test or 0.0)}
    first["validation"] = first["test"] - (parameters.validation or 0.0)
    assigned = ["train"] * len(times)
    for name in ("validation", "test"):
        place = int(first[name] * len(ordered))
        if place < len(ordered):
            assigned = [name if late else own for late, own in zip(times >= ordered[place], assigned, strict=True)]
    return assigned


def split(
    rows: "pd.DataFrame",
    contents: list[bytes],
    official: tuple["pd.DataFrame", list[bytes]] | None,
    parameters: Split,
    keys: "pd.Series[Any] | None" = None,
) -> dict[str, "pd.DataFrame"]:
    """The splits: train, validation unless there are folds, and test. Each keeps the order of the rows.

    Args:
        rows: the tidy table.
        contents: the normalised content of each row.
        official: the official test rows and their contents. Rows of the same content, and with the same signs, are left
            out of train and validation.
        parameters: the stage's section.
        keys: what decides instead of the content, if anything: the group of each row, or its time. By time, no row moves
            to the train split for the sake of its class: it would be newer than the others.
    """
    names = ("train", "test") if parameters.folds else ("train", "validation", "test")
    times = keys if keys is not None and keys.dtype.kind == "M" else None
    units = contents if keys is None or times is not None else contents_of_groups(keys)
    if times is not None:
        assigned = by_time(times, parameters)
    elif keys is not None:
        assigned = by_group(units, parameters)
    else:
        fractions = parameters.test or 0.0, parameters.validation or 0.0
        assigned = [assign_split(unit, parameters.seed, *fractions) for unit in units]
    if official is not None:
        assigned = ["" if out else own for own, out in zip(assigned, copies(rows, contents, *official), strict=True)]
    if times is None:
        moved = needed_to_train(rows.iloc[:, -1], units, assigned, parameters.seed)
        assigned = ["train" if own and unit in moved else own for own, unit in zip(assigned, units, strict=True)]
    parts = {name: rows[[own == name for own in assigned]] for name in names}
    return parts if official is None else {**parts, "test": official[0]}


def needed_to_train(targets: "pd.Series[Any]", units: list[bytes], assigned: list[str], seed: int) -> set[bytes]:
    """One content or group of each class that the hash gave no train row: the one that is closest to the train split.

    Args:
        targets: the classes; for numbers, nothing is needed.
        units: what the hash was of: the content of each row, or its group.
        assigned: the split of each row, or nothing where it is left out.
        seed: the key of the hash.
    """
    if str(targets.dtype) != "category":
        return set()
    of_class: dict[str, set[bytes]] = defaultdict(set)
    for name, unit, own in zip(targets, units, assigned, strict=True):
        if own:
            of_class[name].add(unit)
    learned = {name for name, own in zip(targets, assigned, strict=True) if own == "train"}
    missed = (found for name, found in of_class.items() if name not in learned)
    return {max(found, key=lambda unit: draw_of(unit, seed)) for found in missed}


def rare_classes(rows: "pd.DataFrame", splits: dict[str, "pd.DataFrame"]) -> list[str]:
    """What to tell the user about classes that have a single row, or none to learn from; nothing for numbers."""
    target = rows.columns[-1]
    if str(rows[target].dtype) != "category":
        return []
    counts, learned = Counter(rows[target]), set(splits["train"][target])
    single = [name for name in rows[target].cat.categories if counts[name] == 1 and name in learned]
    unknown = [name for name in rows[target].cat.categories if name not in learned]
    told = []
    if single:
        told.append(f"{classes(single)} a single row, which is for training: {some_of(single)}")
    if unknown:
        wrong = int(splits["test"][target].isin(unknown).sum())
        told.append(
            f"{classes(unknown)} no row to learn from, so {wrong:,} test rows count as wrong: {some_of(unknown)}"
        )
    return told


def constant_columns(train: "pd.DataFrame") -> list[str]:
    """What to tell the user about inputs with the same number, category or date in every row; the target is left out."""
    inputs = [train[name] for name in train.columns[:-1] if not is_text(train[name])]
    same = [str(column.name) for column in inputs if len(column.unique()) == 1]
    if not same:
        return []
    start = "1 column has" if len(same) == 1 else f"{len(same):,} columns have"
    return [f"{start} the same value in every row of the train split, and no influence: {some_of(same)}"]


def is_text(column: "pd.Series[Any]") -> bool:
    """Whether a tidy column holds texts."""
    return column.dtype.kind != "M" and str(column.dtype) not in ("float64", "category")


def classes(names: list[str]) -> str:
    """How a sentence about some classes starts."""
    return "1 class has" if len(names) == 1 else f"{len(names):,} classes have"


def copies(
    rows: "pd.DataFrame", contents: list[bytes], others: "pd.DataFrame", other_contents: list[bytes]
) -> list[bool]:
    """Whether each row is also among some other rows: with the same content, and with the same signs in its texts."""
    known = {(content, signs_in(others, row)) for row, content in enumerate(other_contents)}
    maybe = {content for content, _ in known}
    return [content in maybe and (content, signs_in(rows, row)) in known for row, content in enumerate(contents)]


def signs_in(rows: "pd.DataFrame", row: int) -> str:
    """The signs in the texts of a row's inputs, which its content may leave out."""
    return signs_of(normalised(" ".join(value for value in rows.iloc[row, :-1] if isinstance(value, str))))


def check(parameters: Split, where: str, *, official: bool) -> None:
    """Check that the fractions fit each other and the data.

    Raises:
        RetrainError: there are both a fraction `test` and an official test file, or neither; the same for `validation` and `folds`; or no
            rows are left to train on.
    """
    if official and parameters.test is not None:
        raise RetrainError(f"{where}.test", "is set, but the data has an official test file", "remove the parameter")
    if not official and parameters.test is None:
        raise RetrainError(f"{where}.test", "is missing", "add it: the data has no official test file")
    if (parameters.validation is None) == (parameters.folds is None):
        fact = "needs either validation or folds" if parameters.folds is None else "sets both validation and folds"
        hint = (
            "add validation: 0.15, or folds: 4 for the network 'mixed'"
            if parameters.folds is None
            else "remove one of them"
        )
        raise RetrainError(where, fact, hint)
    total = (parameters.validation or 0.0) + (parameters.test or 0.0)
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
