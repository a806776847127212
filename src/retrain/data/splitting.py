"""The split of each row: by a hash of its content, by its group, or by its time."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

from retrain.data.encoders._text import normalised, signs_of
from retrain.data.encoding_file import GROUP
from retrain.errors import RetrainError
from retrain.schema import Chosen, Section, Seed, some_of

from pydantic import Field

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

__all__ = ["Split", "by_time", "check", "contents_of_groups", "folds", "not_empty", "numbered", "split", "warnings"]


Fraction = Annotated[float, Field(gt=0, lt=1)]
Folds = Annotated[int, Field(ge=2, le=16)]
NAMES = "U10"
"""The type of arrays of names of splits, of which `validation` is the longest."""


class Split(Section):
    """Parameters of the split stage."""

    validation: Fraction | None = None
    """Absent if `folds` is set."""
    folds: Folds | None = None
    """Instead of a validation split: every row that is not a test row validates one member of the network, which learns from
    the other folds."""
    test: Fraction | None = None
    """Absent if the data has an official test file."""
    train_share: Fraction | None = None
    """The share of the train rows to learn from; the others are left out. Absent for all of them."""
    seed: Seed
    task: str
    """What is predicted: `classification` or `regression`."""
    encoder: Chosen
    """The encoder of the inputs: its name and its own parameters."""


def by_content(contents: Iterable[bytes], parameters: Split) -> "np.ndarray":
    """The split of each row, decided by the hash of its content.

    Rows of equal content are in the same split, and new rows do not move others.
    """
    import numpy as np

    draws, test = draws_of(contents, parameters.seed), parameters.test or 0.0
    is_validation = draws < test + (parameters.validation or 0.0)
    return np.where(draws < test, "test", np.where(is_validation, "validation", "train")).astype(NAMES)


def draws_of(contents: Iterable[bytes], seed: int) -> "np.ndarray":
    """Numbers from 0 to 1 that depend on the contents and the seed alone: float64, (rows,)."""
    import numpy as np

    keyed = hashlib.blake2b(digest_size=8, key=seed.to_bytes(8))
    digests = bytearray()
    for content in contents:
        own = keyed.copy()
        own.update(content)
        digests += own.digest()
    return np.frombuffer(digests, ">u8") / 2**64


def kept_draws(units: Iterable[bytes], seed: int) -> "np.ndarray":
    """Numbers from 0 to 1 that decide which train rows are kept, independent of those for the splits and the folds.

    The rows of a smaller share are among those of a larger one.
    """
    return draws_of((b"train_share " + unit for unit in units), seed)


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
    draws = draws_of(contents, parameters.seed)
    numbers = ((draws - test) / (1.0 - test) * count).astype(np.int64).clip(0, count - 1)
    if len(np.unique(numbers)) < count:  # few rows or groups: the same number of them for each fold
        ranks = np.unique(draws, return_inverse=True)[1].reshape(-1)
        numbers = ranks * count // (ranks.max() + 1)
    if len(np.unique(numbers)) < count:
        fact = f"the train split has {len(np.unique(draws)):,} different rows or groups for {count} folds"
        raise RetrainError(f"{where}.folds", fact, "add rows, or lower folds")
    return numbers


def by_group(groups: list[bytes], parameters: Split) -> "np.ndarray":
    """The split of each row by its group: a share of the groups, in the order of their hashes, so that few groups fill each split."""
    import numpy as np

    order = by_draw({*groups}, parameters.seed)
    shares = {"test": parameters.test or 0.0, "validation": parameters.validation or 0.0}
    split_of: dict[bytes, str] = {}
    for name, share in shares.items():
        count = max(1, round(share * len(order))) if share else 0
        split_of |= dict.fromkeys(order[len(split_of) : len(split_of) + count], name)
    return np.array([split_of.get(group, "train") for group in groups], NAMES)


def by_draw(units: Iterable[bytes], seed: int) -> list[bytes]:
    """Contents or groups in the order of their hashes."""
    listed = list(units)
    return [listed[place] for place in draws_of(listed, seed).argsort(kind="stable")]


def by_time(times: "pd.Series[Any]", test: float, validation: float) -> "np.ndarray":
    """The split of each row by its time: the newest rows are test, the newest of the others validation.

    Equal times stay together, so where there are few of them, the shares are the nearest to these that leave a time to train on.
    """
    import numpy as np

    moments = times.to_numpy()
    ordered, starts = np.unique(np.sort(moments), return_index=True)
    assigned, end, first = np.full(len(moments), "train", NAMES), len(ordered), 1.0
    shares = [(name, share) for name, share in (("test", test), ("validation", validation)) if share]
    for earlier, (name, share) in zip(range(len(shares), 0, -1), shares, strict=True):
        first -= share
        if end > earlier:  # each of the earlier splits needs a time
            begin = earlier + int(np.abs(starts[earlier:end] - int(first * len(moments))).argmin())
            assigned[(ordered[begin] <= moments) & (assigned == "train")] = name
            end = begin
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
        assigned = by_time(times, parameters.test or 0.0, parameters.validation or 0.0)
    elif keys is not None:
        assigned = by_group(units, parameters)
    else:
        assigned = by_content(units, parameters)
    if official is not None:
        assigned[copies(rows, contents, *official)] = ""
    if times is None and (moved := needed_to_train(rows.iloc[:, -1], units, assigned, parameters.seed)):
        assigned[[bool(own) and unit in moved for own, unit in zip(assigned, units, strict=True)]] = "train"
    if parameters.train_share is not None:
        assigned[(assigned == "train") & (kept_draws(units, parameters.seed) >= parameters.train_share)] = ""
    parts = {name: chosen(rows, assigned == name) for name in names}
    return parts if official is None else {**parts, "test": official[0]}


def chosen(rows: "pd.DataFrame", which: "np.ndarray") -> "pd.DataFrame":
    """Some of the rows. Arrow copies texts faster than pandas, and to one chunk: chunks change the bytes of a Parquet file."""
    import pyarrow as pa

    table = pa.Table.from_pandas(rows, preserve_index=False).filter(pa.array(which)).combine_chunks()
    found: pd.DataFrame = table.to_pandas().set_axis(rows.index[which])
    return found


def needed_to_train(targets: "pd.Series[Any]", units: list[bytes], assigned: "np.ndarray", seed: int) -> set[bytes]:
    """One content or group of each class that the hash gave no train row: the one that is closest to the train split.

    Args:
        targets: the classes; for numbers, nothing is needed.
        units: what the hash was of: the content of each row, or its group.
        assigned: the split of each row, or nothing where it is left out.
        seed: the key of the hash.
    """
    if str(targets.dtype) != "category":
        return set()
    learned = targets[assigned == "train"].unique()
    of_class: dict[str, set[bytes]] = defaultdict(set)
    for row in ((assigned != "") & ~targets.isin(learned)).to_numpy().nonzero()[0]:
        of_class[targets.iloc[row]].add(units[row])
    return {by_draw(found, seed)[-1] for found in of_class.values()}


def warnings(rows: "pd.DataFrame", splits: dict[str, "pd.DataFrame"], groups: "pd.DataFrame | None") -> Iterator[str]:
    """What to tell the user about the splits.

    Args:
        rows: all rows but those of an official test file.
        splits: the rows of each split.
        groups: the number of each test row's group, if there are groups.
    """
    yield from rare_classes(rows, splits)
    yield from constant_columns(splits["train"])
    if groups is not None and (groups[GROUP] == 0).all():
        yield "all test rows are of one group, so the metrics do not tell how the model does on others; add groups"


def rare_classes(rows: "pd.DataFrame", splits: dict[str, "pd.DataFrame"]) -> list[str]:
    """What to tell the user about classes that have a single row, or none to learn from; nothing for numbers."""
    target = rows.columns[-1]
    if str(rows[target].dtype) != "category":
        return []
    counts, learned = rows[target].value_counts(), set(splits["train"][target].unique())
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


def numbered(groups: "pd.Series[Any]") -> "pd.DataFrame":
    """The number of each row's group, in the order of their first rows: the column `group`, int64."""
    import pandas as pd

    return pd.DataFrame({GROUP: pd.factorize(groups)[0]})


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
    if parameters.validation is None and parameters.folds is None:
        hint = "add validation: 0.15, or folds: 4 for the network 'mixed'"
        raise RetrainError(where, "needs either validation or folds", hint)
    if parameters.validation is not None and parameters.folds is not None:
        raise RetrainError(where, "sets both validation and folds", "remove one of them")
    total = (parameters.validation or 0.0) + (parameters.test or 0.0)
    if total >= 1:
        raise RetrainError(
            where, f"validation and test add up to {total:g}, so no rows are left to train on", "lower them"
        )


def not_empty(
    splits: dict[str, "pd.DataFrame"], parameters: Split, where: str, keys: "pd.Series[Any] | None" = None
) -> None:
    """Raise RetrainError if a split is empty. See `split` for the arguments."""
    total, train = sum(map(len, splits.values())), splits["train"]
    official = parameters.test is None
    if official and total == len(splits["test"]):
        fact = "has no row to learn from: all rows are also in the official test file"
        raise RetrainError(where, fact, "give another test file, or remove prepare.test and set split.test: 0.2")
    needed = len(splits) - official
    if keys is not None and (different := keys.nunique()) < needed:
        kind = "time" if keys.dtype.kind == "M" else "group"
        fact = f"needs {needed} different {kind}s to fill {needed} splits, but the rows have {different}"
        raise RetrainError(where, fact, f"add rows of other {kind}s, or remove prepare.{kind}")
    target = train[train.columns[-1]]
    classes = target.nunique() if str(target.dtype) == "category" else 0
    for name, rows in splits.items():
        if rows.empty:
            parameter = "train_share" if name == "train" else name
            fraction = getattr(parameters, parameter)
            fractions = "" if fraction is None else f" at {parameter} = {fraction:g}"
            hint = "lower validation or test" if fraction is None else f"raise {parameter}"
            if name != "train" and len(train.drop_duplicates()) < 2 * classes:
                hint = f"each of the {classes:,} classes needs different rows, for train and for {name}"
            fact = f"has an empty {name} split (0 of {total:,} rows{fractions})"
            raise RetrainError(where, fact, f"{hint}, or add rows")
