"""The spread of metrics over seeds: `seeds.json`, which `retrain seeds` writes."""

import hashlib
import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from retrain import files, schema
from retrain.data.report_csv import significant
from retrain.errors import RetrainError
from retrain.evaluation.intervals import t_quantile
from retrain.models.description import Description
from retrain.schema import Count, Section, Seed
from retrain.text_tables import in_common

from pydantic import Field

__all__ = ["FILE", "Seeds", "Share", "Spread", "Trained", "made_with", "read", "remark", "sizes", "spread_of"]


FILE = "seeds.json"


class MadeWith(Section):
    """What the trainings have in common: digests of their parameters without the seed, and of the encoded data."""

    parameters: str
    data: str


class Trained(Section):
    """A training with one seed, and its metrics on the test split."""

    seed: Seed
    best_epoch: Count
    metrics: dict[str, float]


class Spread(Section):
    """A metric over the seeds; the standard deviation is that of a sample, with n - 1."""

    mean: float
    deviation: float
    least: float
    largest: float


class Share(Section):
    """Trainings with the same train rows."""

    share: Annotated[float, Field(gt=0, le=1)]
    """The share of the train split that they learned from."""
    rows: Count
    spread: dict[str, Spread]
    runs: tuple[Trained, ...]


class Seeds(Section):
    """The content of `seeds.json`."""

    made_with: MadeWith
    shares: Annotated[tuple[Share, ...], Field(min_length=1)]
    """From the smallest to the largest, which is the whole train split."""

    @property
    def whole(self) -> Share:
        """The trainings with all train rows."""
        return self.shares[-1]


def made_with(description: Description) -> MadeWith:
    """What a model was made with, apart from the seed."""
    train = description.train.model_dump(mode="json")
    shared = {**train, "loop": {name: value for name, value in train["loop"].items() if name != "seed"}}
    digest = hashlib.sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()
    return MadeWith(parameters=digest, data=description.data_sha256)


def spread_of(runs: Sequence[Trained]) -> dict[str, Spread]:
    """The spread of each metric over two or more runs."""
    columns = {name: [run.metrics[name] for run in runs] for name in runs[0].metrics}
    return {
        name: Spread(
            mean=significant(statistics.fmean(values)),
            deviation=significant(statistics.stdev(values)),
            least=min(values),
            largest=max(values),
        )
        for name, values in columns.items()
    }


def read(path: Path) -> Seeds | None:
    """The content of a `seeds.json`; None if there is no such file.

    Raises:
        RetrainError: it is damaged.
    """
    if not path.exists():
        return None
    hint = f"run: retrain seeds {path.parent.name}"
    return schema.check(files.read_json(path, hint), Seeds, str(path), hint)


def remark(path: Path, description: Description, metric: str, difference: float, what: str) -> str:
    """What the spread over seeds says about a difference, or nothing.

    Args:
        path: the dataset's `seeds.json`, which need not exist.
        description: the model.
        metric: the name of the metric.
        difference: between two values of it.
        what: how the sentence names the difference: `the difference to the baseline`.
    """
    command = f"run: retrain seeds {description.dataset}"
    try:
        seeds = read(path)
    except RetrainError as error:
        return f"the spread over seeds is not known ({error})"
    if seeds is None or metric not in seeds.whole.spread:
        return ""
    if seeds.made_with != made_with(description):
        return f"{FILE} is out of date, because parameters or data have changed; {command}"
    return f"{what} is {sizes(seeds, metric, difference)}" if is_noise(seeds, metric, difference) else ""


def chance(seeds: Seeds, metric: str) -> float:
    """How far two trainings with different seeds differ at most, in 95 % of all pairs: t s √2, for a sample's deviation s."""
    return t_quantile(len(seeds.whole.runs) - 1) * seeds.whole.spread[metric].deviation * math.sqrt(2)


def is_noise(seeds: Seeds, metric: str, difference: float) -> bool:
    """Whether a difference is one that another seed can make."""
    return abs(difference) < chance(seeds, metric)


def sizes(seeds: Seeds, metric: str, difference: float) -> str:
    """How a difference compares with the spread: `smaller than the spread over seeds (rmse 55.5 to 58.4 over 5 seeds; ...)`."""
    spread = seeds.whole.spread[metric]
    least, largest, most = in_common([spread.least, spread.largest, chance(seeds, metric)])
    found = f"{metric} {least} to {largest} over {len(seeds.whole.runs)} seeds"
    pairs = f"95 % of pairs differ by less than {most}"
    return f"{'smaller' if is_noise(seeds, metric, difference) else 'larger'} than the spread over seeds ({found}; {pairs})"
