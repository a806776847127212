"""The parameters of the gate."""

from pathlib import Path
from typing import Annotated

from retrain import params, schema
from retrain.errors import RetrainError
from retrain.evaluation.noninferiority import METRICS
from retrain.schema import AtLeastOne, Number, Section

from pydantic import AfterValidator, Field

__all__ = ["Gate", "Limits", "read"]


EXAMPLE = "gate: {confidence: 0.95, uses: 52, floors: {}, drops: {accuracy: 0.02, rmse: 0.05}, slices: {}}"


def known_metrics(limits: dict[str, float | None]) -> dict[str, float | None]:
    """The limits; raises ValueError if one is for an unknown metric."""
    known = [name for names in METRICS.values() for name in names]
    for name in limits:
        if name not in known:
            raise ValueError(f"unknown metric '{name}'; {schema.nearest(name, known)}")
    return limits


class Limits(Section):
    """What a model must keep to. A metric without a limit, or with `null`, is not checked."""

    floors: Annotated[dict[str, float | None], AfterValidator(known_metrics)] = Field(default_factory=dict)
    """The worst value of each metric that passes: the least accuracy, or the largest `rmse`."""
    drops: Annotated[dict[str, Number | None], AfterValidator(known_metrics)] = Field(default_factory=dict)
    """How much worse than the other model each metric may be: `accuracy: 0.02` is two points. For `rmse` and `mae`, it is a part
    of the other model's value: `rmse: 0.05` is 5 %."""


class Gate(Limits):
    """Parameters of the gate. No stage reads them."""

    confidence: Annotated[float, Field(ge=0.5, lt=1)]
    """1 less the error rate of all planned uses together."""
    uses: AtLeastOne
    """How many times the same test rows may answer. Each use gets an equal part of the error rate."""
    slices: dict[str, dict[str, Limits]]
    """Limits for some rows: a column of `predictions.csv`, a value in it, and `floors` and `drops`:
    `{target: {World: {drops: {accuracy: 0.05}}}}`."""


def read(folder: Path, dataset: str) -> Gate:
    """The gate's parameters of a dataset.

    Raises:
        RetrainError: there are none, or they are not valid.
    """
    section, where = params.gate_section(folder, dataset), params.section_path(dataset, params.GATE)
    if section is None:
        raise RetrainError(where, "is missing", f"add it below 'defaults:' of {params.FILE}: {EXAMPLE}")
    return schema.check(section, Gate, where)
