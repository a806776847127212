"""The parameters of the stages evaluate and plot."""

from typing import Annotated, Literal

from retrain.schema import AtLeastOne, Section

from pydantic import Field

__all__ = ["Evaluate", "Plot"]


class Evaluate(Section):
    """Parameters of the evaluate stage."""

    batch_size: AtLeastOne
    calibration_bins: Annotated[int, Field(ge=2, le=1000)]
    """The number of bins of the calibration error and of its table."""
    reference: Literal["none", "linear"]
    """`linear` also fits logistic or ridge regression on the train split, and evaluates it on the test split."""


class Plot(Section):
    """Parameters of the plot stage."""

    dots_per_inch: Annotated[int, Field(gt=0, le=2400)]
    """The resolution; drawing a plot at the highest takes a gigabyte."""
