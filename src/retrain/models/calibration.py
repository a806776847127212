"""What a model learns from validation rows at the end of its training: honest probabilities, a threshold, an interval.

A network is trained to be right, not to know how sure it is. So its outputs are corrected on rows that it did not learn
from, and the correction is kept in `model.json`: evaluation measures what is deployed.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import product
from typing import TYPE_CHECKING, Annotated, Any, Literal

from retrain.data.report_csv import DIGITS, LARGEST, Columns, significant
from retrain.schema import Count, Section

from pydantic import Field

if TYPE_CHECKING:
    from retrain.data.tasks import Task

    from torch import Tensor

__all__ = ["Calibration", "CalibrationOptions", "fit"]


KEPT_DIGITS = 4
"""Significant digits of what is fitted. Further ones say nothing, and may differ between processors."""
LARGEST_LOGARITHM = 13.0
SMALLEST_STEP = 1e-3
MOST_OUTPUTS = 200_000

Probability = Annotated[float, Field(gt=0, lt=1)]


class CalibrationOptions(Section):
    """Parameters of the calibration; `train.calibration`."""

    probabilities: bool
    """Correct the probabilities of classes."""
    threshold: Literal["half", "f1", "precision", "recall"]
    """For two classes: when the second one is predicted. `half`: from a probability of a half. `f1`: from the threshold with the
    best F1 of the second class. `precision`: from the lowest threshold whose precision is at least `at_least`. `recall`: from
    the highest threshold whose recall is."""
    at_least: Probability
    """The precision or recall that `threshold` asks for."""
    level: Probability
    """The share of targets that the interval of a predicted number shall contain."""


class Interval(Section):
    """How far a target may be from the predicted number, in the target's unit: split conformal prediction."""

    level: Probability
    margin: Annotated[float, Field(ge=0, le=LARGEST)]
    rows: Count
    """The validation rows that it comes from."""


class Calibration(Section):
    """What was learned from validation rows. Without any, the outputs are used as they are."""

    temperature: Annotated[float, Field(ge=1e-7, le=1e7)] = 1.0
    """Outputs are divided by it."""
    curvature: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    """How much large outputs are pulled in. At 0, not at all."""
    threshold: Probability | None = None
    """The probability from which the second of two classes is predicted. None: the larger probability decides."""
    interval: Interval | None = None

    def check(self, classes: Sequence[str] | None) -> None:
        """Raise ValueError if this is not the calibration of a model with these classes, or of numbers (None)."""
        fits_numbers = self.temperature == 1.0 and not self.curvature and self.threshold is None
        if classes is None and not fits_numbers:
            raise ValueError("the calibration is that of classes")
        if classes is not None and (self.interval is not None or (self.threshold is not None and len(classes) != 2)):
            raise ValueError("the calibration is not that of these classes")

    def apply(self, outputs: "Tensor") -> "Tensor":
        """The outputs whose softmax are the calibrated probabilities: (rows, classes). Their order within a row stays.

        `asinh(k c / t) / k`, where `c` is an output minus the mean of its row, `t` the temperature and `k` the curvature.
        Without a curvature this is temperature scaling (Guo et al., "On calibration of modern neural networks", 2017). The
        curvature keeps rows that the network is very sure of from claiming more than the labels bear out.
        """
        if self.temperature == 1.0 and not self.curvature:
            return outputs
        scaled = (outputs - outputs.mean(dim=1, keepdim=True)) / self.temperature
        return (scaled * self.curvature).asinh() / self.curvature if self.curvature else scaled

    def unmet(self, options: CalibrationOptions, classes: Sequence[str] | None) -> str:
        """What was asked for and is not there, in words; empty if nothing is missing."""
        if classes is None:
            few = f"too few validation rows for an interval of level {options.level:g}, so predictions have none"
            return "" if self.interval else few
        if options.threshold == "half" or self.threshold is not None:
            return ""
        if len(classes) != 2:
            return f"threshold: {options.threshold} is for two classes; the largest probability decides"
        goal = "" if options.threshold == "f1" else f" of at least {options.at_least:g}"
        return (
            f"no threshold reaches a {options.threshold}{goal} of '{classes[1]}' on the validation rows, so 0.5 stays"
        )

    @property
    def decides(self) -> bool:
        """Whether there is a threshold or an interval."""
        return self.threshold is not None or self.interval is not None

    def decided(self, predictions: Columns) -> Columns:
        """Predictions of a task with the threshold or the interval: other classes in `predicted`, or the columns `low`, `high`."""
        if self.threshold is not None:
            (first, _), (second, probabilities) = list(predictions.items())[1:]
            names = [name.removeprefix("probability_") for name in (first, second)]
            return {**predictions, "predicted": [names[int(chance >= self.threshold)] for chance in probabilities]}
        if self.interval is not None:
            low, high = ends_of(predictions["predicted"], self.interval.margin)
            return {**predictions, "low": low, "high": high}
        return predictions

    def answered(self, predictions: Columns, answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The answers of a task with the threshold or the interval that `decided` applied to its predictions."""
        if self.interval is not None:
            ends = zip(answers, predictions["low"], predictions["high"], strict=True)
            return [{**answer, "low": low, "high": high} for answer, low, high in ends]
        if self.threshold is not None:
            labels = zip(answers, predictions["predicted"], strict=True)
            return [{**answer, "label": label} for answer, label in labels]
        return answers


def ends_of(numbers: Iterable[float], margin: float) -> Iterator[list[float]]:
    """The lower and the upper end of the interval of each predicted number, with nine digits of the margin."""
    places = DIGITS - 1 - Decimal(margin).adjusted() if margin else None
    for sign in (-1, 1):
        yield [number if places is None else round(number + sign * margin, places) for number in map(float, numbers)]


def fit(
    outputs: "Tensor", targets: "Tensor", task: "Task", options: CalibrationOptions, *, by_members: bool = False
) -> Calibration:
    """What validation rows say.

    Args:
        outputs: the network's outputs for them, (rows, outputs).
        targets: their targets as the task encodes them: int64, (rows,), or float32, (rows, 1).
        task: the task, which has `classes` or not.
        options: what is asked for.
        by_members: whether each row's output is that of some members of an ensemble, and a new row has that of all. Their
            average is less sure than a member, so a correction that makes members less sure does not carry over.
    """
    classes = task.to_json().get("classes")
    if classes is None:
        predicted, actual = (task.predictions(numbers)["predicted"] for numbers in (outputs, targets))
        distances = [abs(float(number) - float(target)) for number, target in zip(predicted, actual, strict=True)]
        return Calibration(interval=conformal(distances, options.level))
    calibration = Calibration()
    if options.probabilities:
        calibration = corrected(outputs.double(), targets, curved=not by_members)
        if by_members and calibration.temperature > 1:
            calibration = Calibration()
    if len(classes) != 2 or options.threshold == "half":
        return calibration
    chances = calibration.apply(outputs.double()).softmax(dim=1)[:, 1]
    return calibration.model_copy(update={"threshold": threshold_of(chances, targets == 1, options)})


def corrected(outputs: "Tensor", targets: "Tensor", *, curved: bool = True) -> Calibration:
    """The temperature and curvature with the lowest log loss. A parameter that hardly lowers it stays out.

    "Hardly" is by Akaike's criterion (1974): a parameter must lower the log loss of all rows together by more than 1.
    One more row, with all classes alike, keeps few rows that are all right from making the network certain (compare Platt,
    "Probabilistic outputs for support vector machines", 1999). Of many rows and classes, evenly spaced rows are used.
    """
    every = math.ceil(outputs.numel() / MOST_OUTPUTS)
    outputs, targets = outputs[::every], targets[::every]

    def cost(calibration: Calibration) -> float:
        """The negative logarithm of all targets' probabilities together, and the number of parameters."""
        parameters = (calibration.temperature != 1.0) + (calibration.curvature != 0.0)
        return log_loss(calibration.apply(outputs), targets) + parameters

    straight = searched(cost, lambda logarithms: Calibration(temperature=kept(logarithms[0])), [0.0])
    if not curved:
        return min((Calibration(), straight), key=cost)
    bent = searched(
        cost,
        lambda logarithms: Calibration(temperature=kept(logarithms[0]), curvature=kept(logarithms[1])),
        [math.log(straight.temperature), 0.0],
    )
    return min((Calibration(), straight, bent), key=cost)


def searched(
    cost: Callable[[Calibration], float], made: Callable[[list[float]], Calibration], start: list[float]
) -> Calibration:
    """The calibration of the lowest cost, by a pattern search (Hooke and Jeeves 1961) over the logarithms of its parameters.

    It needs no derivatives. There are two parameters at most.
    """
    point, step = start, 1.0
    best = cost(made(point))
    while step > SMALLEST_STEP:
        moves = [move for move in product((-1, 0, 1), repeat=len(point)) if any(move)]
        tried = [[value + step * sign for value, sign in zip(point, move, strict=True)] for move in moves]
        costs = [cost(made(place)) for place in tried]
        least = min(costs)
        if least < best and max(map(abs, tried[costs.index(least)])) < LARGEST_LOGARITHM:
            point, best = tried[costs.index(least)], least
        else:
            step /= 2
    return made(point)


def log_loss(outputs: "Tensor", targets: "Tensor") -> float:
    """The negative logarithm of all targets' probabilities together, with one more row that has all classes alike."""
    from torch.nn import functional

    smoothing = 1 / (len(outputs) + 1)
    return functional.cross_entropy(outputs, targets, reduction="sum", label_smoothing=smoothing).item()


def kept(logarithm: float) -> float:
    """A parameter from its logarithm, with as many digits as a calibration keeps."""
    return float(f"{math.exp(logarithm):.{KEPT_DIGITS}g}")


def conformal(distances: Sequence[float], level: float) -> Interval | None:
    """The margin that a new row's distance stays within with the probability `level`, for every distribution.

    It is the smallest distance that is as large as `ceil((rows + 1) level)` of them (Vovk, Gammerman and Shafer,
    "Algorithmic Learning in a Random World", 2005). None where there are too few rows for such a level.
    """
    rank = math.ceil((len(distances) + 1) * level)
    if rank > len(distances):
        return None
    return Interval(level=level, margin=significant(sorted(distances)[rank - 1]), rows=len(distances))


def threshold_of(chances: "Tensor", is_second: "Tensor", options: CalibrationOptions) -> float | None:
    """The threshold that the options ask for; None where no threshold fulfils them.

    Args:
        chances: the probability of the second class, (rows,).
        is_second: whether the row has it, (rows,).
        options: `threshold` and `at_least`.
    """
    ordered, order = chances.sort(descending=True)
    hits = is_second[order].double().cumsum(dim=0)
    answers = ordered.new_ones(len(ordered)).cumsum(dim=0)
    last = ordered != ordered.roll(-1)  # rows with the same probability are predicted alike
    last[-1] = True
    if not hits[-1]:
        return None
    precision, recall, f1 = hits / answers, hits / hits[-1], 2 * hits / (answers + hits[-1])
    if options.threshold == "f1":
        place = int(f1.where(last, f1.new_zeros(())).argmax())
    else:
        enough = ((precision if options.threshold == "precision" else recall) >= options.at_least) & last
        places = enough.nonzero().flatten().tolist()
        if not places:
            return None
        place = places[-1] if options.threshold == "precision" else places[0]
    following = float(ordered[place + 1]) if place + 1 < len(ordered) else 0.0
    between = (float(ordered[place]) + following) / 2
    return min(max(significant(between), 1e-9), 1 - 1e-9)
