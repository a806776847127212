"""Compares two files by their content: numbers within a tolerance, everything else exactly.

Two numbers are equal within a tolerance t where |now - then| <= t * size + t * |then|. The size of weights is 1, as in
`numpy.isclose` with both of its tolerances set to t. The size of numbers in a CSV or JSON file is the largest of their
column or name, at most 1: they may have a unit that makes all of them tiny. Whole numbers are counts and must be the same. Two images are equal if no pixel differs by more than one step of 255.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain import files, schema

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

__all__ = ["Finding", "Status", "compare"]


LONGEST = 40
"""Characters of a text that is shown."""
IMAGE_STEPS = 1
"""Steps by which a pixel may differ: points that differ by rounding can be drawn in different pixels."""
WITH_UNITS = {".csv", ".json"}
"""Files whose numbers may have a unit."""
HINT = "run: retrain verify"


class Status(IntEnum):
    """How two files compare; of several, the largest counts."""

    IDENTICAL = 0
    EQUAL = 1
    DIFFERENT = 2


@dataclass(frozen=True)
class Finding:
    """How two files with different bytes compare, and the largest difference in words."""

    status: Status
    detail: str


def compare(then: Path, now: Path, tolerance: float) -> Finding:
    """Compare two files of different bytes by their values.

    Args:
        then: the recorded file; its suffix decides how both are read.
        now: the new file.
        tolerance: see the module.
    """
    if now.suffix == ".png":
        return compare_images(pixels(then), pixels(now))
    read = READERS.get(now.suffix)
    if read is None:
        return Finding(Status.DIFFERENT, "different bytes")
    before = read(then)
    return compare_values(before, read(now), tolerance, sizes_of(before) if now.suffix in WITH_UNITS else {})


def compare_values(
    then: "Mapping[str, np.ndarray]", now: "Mapping[str, np.ndarray]", tolerance: float, sizes: Mapping[str, float]
) -> Finding:
    """Compare named arrays: the same names in the same order, the same shapes, and values within the tolerance."""
    if list(then) != list(now):
        return Finding(Status.DIFFERENT, names_in_words(list(then), list(now)))
    for name, array in then.items():
        if array.shape != now[name].shape:
            return Finding(Status.DIFFERENT, f"{name}: {shape(array)} → {shape(now[name])} values")
    apart = size = 0
    largest, where = 0.0, ""
    for name, array in then.items():
        excess = excesses(array, now[name], tolerance, sizes.get(last_of(name), 1.0))
        apart, size = apart + int((excess > 0).sum()), size + excess.size
        if excess.max(initial=0.0) > largest:
            largest, where = float(excess.max()), difference(name, array, now[name], int(excess.argmax()))
    if not apart:
        return Finding(Status.EQUAL, "the same values; only bytes, or digests of other files, differ")
    status = Status.EQUAL if largest <= 1 else Status.DIFFERENT
    return Finding(status, f"{where}; {apart:,} of {size:,} values differ")


def sizes_of(arrays: "Mapping[str, np.ndarray]") -> dict[str, float]:
    """The largest size of the numbers with the same last name, such as `test.rmse` and `baseline.rmse`; at most 1."""
    import numpy as np

    sizes: dict[str, float] = defaultdict(float)
    for name, array in arrays.items():
        if array.dtype.kind == "f":
            largest = np.abs(array[np.isfinite(array)]).max(initial=0.0)
            sizes[last_of(name)] = min(max(sizes[last_of(name)], float(largest)), 1.0)
    return sizes


def last_of(name: str) -> str:
    """The last part of a path: `rmse` of `test.rmse`."""
    return name.rpartition(".")[2]


def compare_images(then: "np.ndarray", now: "np.ndarray") -> Finding:
    """Compare the pixels of two images."""
    import numpy as np

    if then.shape != now.shape:
        return Finding(Status.DIFFERENT, f"{shape(then)} → {shape(now)} values")
    steps = np.abs(now - then).max(axis=-1)
    apart, most = int((steps > 0).sum()), int(steps.max())
    status = Status.EQUAL if most <= IMAGE_STEPS else Status.DIFFERENT
    return Finding(status, f"{apart:,} of {steps.size:,} pixels differ, by at most {most} of 255")


def difference(name: str, then: "np.ndarray", now: "np.ndarray", place: int) -> str:
    """The position of two values in their arrays, which `place` counts row by row, and how they differ."""
    import numpy as np

    index = ", ".join(map(str, np.unravel_index(place, then.shape)))
    return f"{f'{name}[{index}]' if index else name}: {change(then.item(place), now.item(place))}"


def excesses(then: "np.ndarray", now: "np.ndarray", tolerance: float, size: float) -> "np.ndarray":
    """The difference of every pair of values, in tolerances; infinite where values must be the same and are not."""
    import numpy as np

    kinds = {then.dtype.kind, now.dtype.kind}
    if "f" not in kinds or not kinds <= set("iuf"):
        return np.where(then.astype(object) != now.astype(object), np.inf, 0.0)
    before, after = then.astype(np.float64), now.astype(np.float64)
    same = (before == after) | (np.isnan(before) & np.isnan(after))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        excess = np.abs(after - before) / (tolerance * (size + np.abs(before)))
    return np.where(same, 0.0, np.nan_to_num(excess, nan=np.inf, posinf=np.inf))


def change(then: Any, now: Any) -> str:
    """Two values, and for numbers their difference."""
    if not isinstance(then, float) or not isinstance(now, float):
        return f"{short_repr(then)} → {short_repr(now)}"
    distance = abs(now - then)
    relative = distance / max(abs(then), abs(now))
    return f"{then:.10g} → {now:.10g}, difference {distance:.1e}, relative {relative:.1e}"


def short_repr(value: Any) -> str:
    """A value, shortened if it is too long."""
    return schema.shortened(repr(value), LONGEST)


def names_in_words(then: list[str], now: list[str]) -> str:
    """How two lists of names differ."""
    lost, new = [name for name in then if name not in now], [name for name in now if name not in then]
    if not lost and not new:
        return "the same names in another order"
    words = [f"without {', '.join(lost)}"] if lost else []
    return schema.shortened(", ".join([*words, *([f"with new {', '.join(new)}"] if new else [])]), 3 * LONGEST)


def shape(array: "np.ndarray") -> str:
    """An array's shape: `3 x 4`."""
    return " x ".join(map(str, array.shape)) or "1"


def pixels(path: Path) -> "np.ndarray":
    """An image as rows x columns x (red, green, blue, opacity), each from 0 to 255."""
    import numpy as np
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image.convert("RGBA"), dtype=np.int16)


def of_safetensors(path: Path) -> "dict[str, np.ndarray]":
    """The tensors of a file in double precision, which represents all types of weights exactly."""
    import torch
    from safetensors import safe_open

    with safe_open(path, framework="pt") as stored:
        names = sorted(stored.keys())
        return {name: stored.get_tensor(name).to(torch.float64).numpy() for name in names}


def of_npy(path: Path) -> "dict[str, np.ndarray]":
    """The array of a file."""
    import numpy as np

    return {"": np.load(path, allow_pickle=False)}


def of_parquet(path: Path) -> "dict[str, np.ndarray]":
    """The columns of a table."""
    from retrain.data import tables

    return columns(tables.read_parquet(path, HINT))


def of_csv(path: Path) -> "dict[str, np.ndarray]":
    """The columns of a table."""
    from retrain.data import tables

    return columns(tables.read_csv(path, HINT))


def columns(table: "pd.DataFrame") -> "dict[str, np.ndarray]":
    """The columns of a table as arrays: numbers unchanged, everything else as objects."""
    return {
        str(name): column.to_numpy() if column.dtype.kind in "iuf" else column.to_numpy(dtype=object)
        for name, column in table.items()
    }


def of_json(path: Path) -> "dict[str, np.ndarray]":
    """The values of a file by their paths, without digests of other files, which are compared themselves."""
    return dict(sorted(leaves(files.read_json(path, HINT), "")))


def leaves(value: Any, path: str) -> "Iterator[tuple[str, np.ndarray]]":
    """The values in nested lists and mappings by their paths, such as `test.rmse`; a list of numbers is one array."""
    import numpy as np

    if isinstance(value, Mapping) and value:
        for name, child in value.items():
            if not name.endswith("sha256"):
                yield from leaves(child, f"{path}.{name}" if path else name)
    elif isinstance(value, float) or (isinstance(value, list) and value and all(isinstance(x, float) for x in value)):
        yield path, np.array(value)
    elif isinstance(value, list) and any(isinstance(child, list | Mapping | float) for child in value):
        for number, child in enumerate(value):
            yield from leaves(child, f"{path}[{number}]")
    else:
        single = np.empty((), dtype=object)
        single[()] = value
        yield path, single


READERS: "dict[str, Callable[[Path], dict[str, np.ndarray]]]" = {
    ".safetensors": of_safetensors,
    ".npy": of_npy,
    ".parquet": of_parquet,
    ".csv": of_csv,
    ".json": of_json,
}
"""Readers by suffix; other files are compared by their bytes only."""
