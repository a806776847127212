"""The parts of the report that show how good a model is: curves, predictions, calibration, slices and mistakes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain.data import report_csv
from retrain.evaluation import svg
from retrain.evaluation.page import (
    MOST_ROWS,
    NOTHING,
    PERCENT,
    Figure,
    Table,
    csv_table,
    in_words,
    short,
    shortened,
    shown,
    thinned,
)
from retrain.evaluation.plots import PlotData
from retrain.evaluation.svg import Axis, Chart
from retrain.models.result import Result

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "Reader",
    "class_results",
    "columns_of",
    "coverage",
    "curve",
    "mistakes",
    "number_results",
    "reliability",
    "slices",
]


MOST_WORST = 3
"""Slices."""
SIGNIFICANT = 0.05
"""A slice with a larger p-value is not shown: chance may explain it."""
CLASSES = {"target", "predicted", "label", "suggested", "test_target", "train_target"}
"""The columns of tables of rows that hold classes."""
INPUTS = {"mistakes": (1, 1), "label_errors": (2, 1), "near_duplicates": (3, 2)}
"""Of each table of rows: the columns before the inputs, and the columns of each input."""
WRONG_ANSWER = "The probability is that of the wrong answer."
DIFFERENCE = "The error is the prediction less the target."
UNLIKELY = (
    "The model finds these labels unlikely. The label is wrong, the model is, or the row fits both. "
    "The probability is that of the label."
)
MOST_SINGLE = 10
"""Single rows in a table of the page."""
FEWEST_IN_BIN = 10
"""Rows of a point of the reliability diagram: the share of right answers among fewer says little."""
MOST_POINTS = 2000
"""Points of a chart."""
FEW_CLASSES, MOST_CELLS, MOST_CLASSES = 4, 12, 100
"""Classes of a matrix that needs no list of its largest numbers; of one with numbers in its cells; of any matrix."""
GROUPS = 5
"""Groups of predictions whose intervals are compared."""


@dataclass(frozen=True)
class Reader:
    """Reads the tables of a result."""

    result: Result
    hint: str

    def path(self, name: str) -> Path:
        """The file of a table of evaluate."""
        return self.result.reports / "tables" / f"{name}.csv"

    def table(self, name: str, *columns: str) -> dict[str, list[str]]:
        """A table of evaluate, which must have these columns."""
        return report_csv.read_columns(self.path(name), self.hint, columns, empty=True)

    def numbers(self, name: str, *columns: str, filled: bool = False) -> list[list[float]]:
        """Columns of numbers of a table; with `filled`, without the rows where one is empty."""
        table, found = self.table(name, *columns), []
        rows = [row for row in zip(*(table[column] for column in columns), strict=True) if all(row) or not filled]
        for place, column in enumerate(columns):
            cells = [row[place] for row in rows]
            found.append(report_csv.numbers_of(cells, self.path(name), column, self.hint))
        return found


def columns_of(data: PlotData) -> list[tuple[str, str]]:
    """The input columns with what they hold, as far as the encoder recorded it."""
    encoder = data.description.encoder
    known = {"numbers": "number", "text": "text", "ngrams": "text"}.get(encoder.name, "not recorded")
    columns, kinds = (encoder.learned.get(name) or [] for name in ("columns", "kinds"))
    if len(kinds) != len(columns):
        kinds = [known] * len(columns)
    return list(zip(map(str, columns), map(str, kinds), strict=True))


def curve(data: PlotData, metric: str) -> Figure:
    """A metric by epoch."""
    epochs, best = data.history["epoch"], data.description.best_epoch
    train, validation = (data.history[f"{split}_{metric}"] for split in ("train", "validation"))
    axis = Axis.over(in_words(metric), [*train, *validation], percent=metric in PERCENT)
    chart = Chart(Axis.over("epoch", [*epochs, best], whole=True), axis)
    chart.vertical(best)
    said = []
    for split, values, kind in (("train", train, "s1"), ("validation", validation, "s2")):
        points = thinned(list(zip(epochs, values, strict=True)), MOST_POINTS // 4)
        chart.line(points, kind)
        if len(points) <= 30:
            chart.dots(points, kind)
        said.append(f"{split} from {shown(metric, values[0])} to {shown(metric, values[-1])}")
    title = f"{in_words(metric)} by epoch"
    name = f"curve-{metric if metric == 'loss' else 'metric'}"
    image = chart.render(name, title, f"{'; '.join(said)}; best epoch {best}")
    legend = [("s1", "train"), ("s2", "validation"), ("mark", f"best epoch: {best}")]
    return Figure(image, f"{title[0].upper()}{title[1:]}.", legend)


def class_results(data: PlotData, reader: Reader) -> dict[str, Any]:
    """The confusion matrix, the classes, and which are confused most often."""
    matrix, names = data.results, list(data.description.task.classes)
    found: dict[str, Any] = {"tables": [], "figure": None, "matrix": None}
    if len(names) <= MOST_CELLS:
        found["matrix"] = matrix_table(matrix, names)
    else:
        wrong = matrix.sum(axis=0) + matrix.sum(axis=1) - 2 * matrix.diagonal()
        kept = sorted(sorted(range(len(names)), key=lambda place: (-wrong[place], place))[:MOST_CLASSES])
        rest = "" if len(kept) == len(names) else f", the {len(kept)} of {len(names)} classes with most mistakes"
        title = f"Confusion matrix{rest}"
        image = svg.heat_map(
            "confusion", title, "The table of frequent confusions holds the largest numbers.",
            [[int(matrix[i, j]) for j in kept] for i in kept], [names[place] for place in kept],
        )  # fmt: skip
        found["figure"] = Figure(image, f"{title}. Dark: a large share of the target's rows.", wide=True)
    pairs = [(-int(matrix[i, j]), i, j) for i, j in zip(*matrix.nonzero(), strict=True) if i != j]
    worst = sorted(pairs)[:10]
    rows = [[names[i], names[j], f"{-count:,}", svg.percent(-count / matrix[i].sum())] for count, i, j in worst]
    if rows and len(names) > FEW_CLASSES:
        columns = ["target", "predicted", "rows", "share of the target"]
        found["tables"].append(Table("Frequent confusions", columns, rows, frozenset({2, 3}), len(pairs) - len(rows)))
    (scores,) = reader.numbers("classes", "f1")
    order = sorted(range(len(scores)), key=lambda place: (scores[place], place))
    weakest = {name: [cells[place] for place in order] for name, cells in reader.table("classes").items()}
    found["tables"].append(csv_table("Classes, the weakest first", weakest, MOST_ROWS, classes={"class"}))
    return found


def matrix_table(matrix: "np.ndarray", names: Sequence[str]) -> Table:
    """A confusion matrix with numbers in its cells."""
    shares = matrix / matrix.sum(axis=1, keepdims=True).clip(min=1)
    rows = [
        [name, *(f"{count:,}\n{svg.percent(share)}" for count, share in zip(counts, part, strict=True))]
        for name, counts, part in zip(names, matrix, shares, strict=True)
    ]
    levels = [[svg.level_of(share) for share in part] for part in shares.tolist()]
    numeric = frozenset(range(1, len(names) + 1))
    return Table("Confusion matrix: targets down, predictions across", ["target", *names], rows, numeric, levels=levels)


def number_results(data: PlotData, reader: Reader) -> dict[str, Any]:
    """Predicted against target values, with the band of the intervals; and the errors by range of the target."""
    rows, column = data.results.T.tolist(), data.description.task.column
    interval = data.description.calibration.interval
    margin = math.inf if interval is None else interval.margin
    axis = Axis.over("", [value for row in rows for value in row])
    low, high = axis.low, axis.high
    chart = Chart(Axis(f"target ({column})", low, high), Axis(f"predicted ({column})", low, high), square=True)
    legend = [("s1 dots", "test row"), ("mark", "perfect prediction")]
    if interval is not None:
        chart.band([(low, low - margin), (high, high - margin), (high, high + margin), (low, low + margin)])
        band = ("band", f"{svg.percent(interval.level, 0)} interval")
        legend = [("s1 dots", "inside its interval"), ("s2 dots", "outside"), band, legend[-1]]
    chart.line([(low, low), (high, high)], "mark")
    points = thinned(rows, MOST_POINTS)
    for kind, is_inside in (("s1", True), ("s2", False)):
        chart.dots([(x, y) for x, y in points if (abs(x - y) <= margin) == is_inside], kind)
    count = f"{len(points):,} of {len(rows):,}" if len(points) < len(rows) else f"{len(rows):,}"
    said = f"Predicted against target, {count} test rows"
    image = chart.render("predicted", said, "A point on the diagonal is a perfect prediction.")
    errors = csv_table("Errors by range of the target", reader.table("errors"), MOST_ROWS)
    return {"figure": Figure(image, f"{said}.", legend), "matrix": None, "tables": [errors]}


def reliability(figures: Mapping[str, Any], data: PlotData, reader: Reader) -> dict[str, Any]:
    """Confidence against the share of right answers, and the measures of calibration before and after."""
    test, before = figures["test"], figures["uncalibrated"]
    rows = [
        [in_words(name), shown(name, before[name]) if name in before else NOTHING, shown(name, test[name])]
        for name in ("log_loss", "brier", "calibration_error")
        if name in test
    ]
    return {
        "table": Table("Calibration on the test split", ["measure", "before", "after"], rows, frozenset({1, 2})),
        "bins": len(reader.table("calibration", "rows")["rows"]),
        "figure": reliability_diagram(reader),
        "fitted": data.description.calibration,
        "second": data.description.task.classes[-1],
    }  # fmt: skip


def reliability_diagram(reader: Reader) -> Figure | None:
    """The share of right answers by confidence, before and after calibration; nothing if there are few rows."""
    x, y = (Axis(name, -0.03, 1.03, percent=True) for name in ("confidence", "share of right answers"))
    chart = Chart(x, y, square=True)
    chart.line([(0.0, 0.0), (1.0, 1.0)], "mark")
    legend = []
    for kind, end, name in (("s2", "_before", "before calibration"), ("s1", "", "after calibration")):
        columns = reader.numbers("calibration", f"rows{end}", f"confidence{end}", f"accuracy{end}", filled=True)
        points = [(x, y) for rows, x, y in zip(*columns, strict=True) if rows >= FEWEST_IN_BIN]
        if points:
            chart.line(points, kind)
            chart.dots(points, kind, 4.0)
            legend.append((kind, name))
    said = "A point on the diagonal: of the rows with this confidence, exactly this share is right. "
    said += f"Groups of fewer than {FEWEST_IN_BIN} rows are left out."
    image = chart.render("reliability", "Reliability diagram", said)
    return Figure(image, f"Reliability diagram. {said}", [*legend, ("mark", "perfect calibration")]) if legend else None


def coverage(figures: Mapping[str, Any], data: PlotData) -> dict[str, Any] | None:
    """How many targets are within the intervals of their predictions, overall and by size of the prediction."""
    interval = data.description.calibration.interval
    if interval is None or "coverage" not in figures["test"]:
        return None
    ordered = sorted((predicted, target) for target, predicted in data.results.T.tolist())
    size = math.ceil(len(ordered) / GROUPS)
    rows = []
    for start in range(0, len(ordered), size):
        group = ordered[start : start + size]
        inside = sum(abs(predicted - target) <= interval.margin for predicted, target in group)
        ends = f"{short(group[0][0])} to {short(group[-1][0])}"
        rows.append([ends, f"{len(group):,}", svg.percent(inside / len(group))])
    ends = figures["intervals"].get("coverage", {})
    return {
        "table": Table("Coverage by size of the prediction", ["prediction", "rows", "inside"], rows, frozenset({1, 2})),
        "margin": short(interval.margin),
        "level": svg.percent(interval.level, 0),
        "rows": interval.rows,
        "inside": shown("coverage", figures["test"]["coverage"]),
        "ends": [shown("coverage", end) for end in ends.values()],
        "luck": bool(ends) and ends["low"] <= interval.level <= ends["high"],
    }


def slices(data: PlotData, reader: Reader) -> dict[str, Any]:
    """The groups of rows on which the model is worse than chance explains, with a sentence for each."""
    measure = "error_rate" if data.description.task.classes else "mean_absolute_error"
    names = reader.table("slices", "slice")["slice"]
    numbers = reader.numbers("slices", "rows", measure, "others", "p_value")
    sentences = []
    for text, rows, worse, others, p_value in zip(names, *numbers, strict=True):
        if p_value > SIGNIFICANT:
            continue
        compared = f"{shown(measure, worse)} on {rows:,.0f} rows, {shown(measure, others)} on the other rows"
        chance = f"adjusted p-value {shown('p_value', p_value)}"
        sentences.append((shortened(text), f"{in_words(measure)} {compared} ({chance})."))
    chosen = sentences[:MOST_WORST]
    return {"sentences": chosen, "unknown": any("unknown words" in name for name, _ in chosen)}


def mistakes(data: PlotData, reader: Reader, figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The tables of single rows, each with what it means."""
    classes = CLASSES if data.description.task.classes else ()
    said = {"mistakes": ("Largest mistakes", WRONG_ANSWER if classes else DIFFERENCE)}
    if classes:
        said["label_errors"] = ("Labels to check", UNLIKELY)
    said["near_duplicates"] = ("Test rows that are nearly in the train split", repeated(data, figures))
    found = []
    for name, (title, note) in said.items():
        columns, (before, each) = reader.table(name), INPUTS[name]
        kinds = [kind for _, kind in columns_of(data) for _ in range(each)]
        inputs = dict(zip([*columns][before:], kinds, strict=False))
        answers = {name: cells for name, cells in columns.items() if name not in inputs}  # first, where all see them
        table = csv_table(title, answers | columns, MOST_SINGLE, inputs, classes)
        first = replace(table, caption=f"{title}: the first {len(table.rows)}", left_out=0) if table.rows else None
        found.append({"title": title, "note": note, "table": first, "file": name if table.left_out else ""})
    return found


def repeated(data: PlotData, figures: Mapping[str, Any]) -> str:
    """How many test rows nearly repeat a train row, and the metric without them; empty if there are none."""
    found, test_rows = figures["near_duplicates"], data.description.splits["test"].rows
    if not found.get("rows"):
        return ""
    alike = "" if data.description.encoder.name == "numbers" else " Similar texts have common words, in any order."
    text = (
        f"{found['rows']:,.0f} of {test_rows:,} test rows ({svg.percent(found['rows'] / test_rows)}) nearly repeat a train "
        f"row.{alike} The model may have memorised their answers, and then the metrics are too good."
    )
    metric = next(iter(figures["test"]))
    if f"{metric}_without" not in found:
        return text
    without, whole = shown(metric, found[f"{metric}_without"]), shown(metric, figures["test"][metric])
    change = f"is still {whole}" if without == whole else f"is {without} instead of {whole}"
    return f"{text} Without these rows, the {in_words(metric)} {change}."
