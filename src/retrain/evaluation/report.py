"""The report of a result as one page, and its model card: what they say, from the files that the stages left.

`report.html.jinja` and `model_card.md.jinja` say how. Neither shows a time or a path of this machine, so that equal results
give equal bytes. All texts of the data are escaped.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain import files, params, schema
from retrain.data import report_csv
from retrain.errors import RetrainError
from retrain.evaluation import svg
from retrain.evaluation.plots import PlotData, has_classes
from retrain.evaluation.svg import Axis, Chart
from retrain.evaluation.verdict import HIGHER_IS_BETTER, verdict
from retrain.models.description import FILE, WEIGHTS
from retrain.models.result import Metrics, Result

if TYPE_CHECKING:
    import numpy as np
    from jinja2 import Environment

__all__ = ["CARD", "REPORT", "read_report"]


REPORT, CARD = "report.html", "MODEL_CARD.md"
MEANINGS = {
    "accuracy": "share of rows with the right class",
    "macro_f1": "F1 score, averaged over the classes: a rare class counts as much as a frequent one",
    "log_loss": "how surprised the probabilities are by the right class; 0 is best",
    "brier": "mean squared error of the probabilities; 0 is best",
    "calibration_error": "mean distance between the confidence and the share of right answers; 0 is best",
    "rmse": "root mean squared error, in units of the target; large errors count more",
    "mae": "mean absolute error, in units of the target",
    "r2": "share of the target's variance that the model explains; 1 is best",
    "coverage": "share of rows whose target is within the interval of its prediction",
    "loss": "what the training minimises, without label smoothing",
}
PERCENT = {
    "accuracy",
    "macro_f1",
    "coverage",
    "probability",
    "error_rate",
    "others_rate",
    "precision",
    "recall",
    "f1",
    "share",
    "similarity",
}
"""Numbers that are shares."""
NOTHING = "—"
"""A cell of a table without a value."""
SIGNIFICANT = 0.05
"""A p-value below this is taken as a finding."""
MOST_ROWS, MOST_WORST, LONGEST_TEXT = 50, 3, 240
"""Rows of a table, slices, and characters of a text."""
MOST_POINTS = 2000
"""Points of a chart."""
FEW_CLASSES, MOST_CELLS, MOST_CLASSES = 4, 12, 100
"""Classes of a matrix that needs no list of its largest numbers; of one with numbers in its cells; of any matrix."""
GROUPS = 5
"""Groups of predictions whose intervals are compared."""
LARGEST_HEADER = 1 << 24
"""Bytes of the header of a safetensors file, which names each tensor."""


@dataclass(frozen=True)
class Table:
    """A table of the page: texts only.

    Attributes:
        caption: what it shows, which no other table of the page says.
        columns: the header.
        rows: the cells; the first one of a row names it.
        numeric: the columns that hold numbers.
        left_out: the number of rows that are not shown.
        levels: the colours of the cells of each row, without its first, if there are any.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: frozenset[int] = frozenset()
    left_out: int = 0
    levels: Sequence[Sequence[int]] = ()


@dataclass(frozen=True)
class Figure:
    """A chart of the page with its caption and legend.

    Attributes:
        image: the chart as SVG.
        caption: a sentence.
        legend: kinds of lines or marks with their names.
        wide: whether it keeps its size and scrolls in its box.
    """

    image: str
    caption: str
    legend: Sequence[tuple[str, str]] = ()
    wide: bool = False


@dataclass(frozen=True)
class Report:
    """All that the page and the card say, by the names that the templates use."""

    content: Mapping[str, Any]

    def page(self) -> str:
        """The report as HTML."""
        return environment().get_template(f"{REPORT}.jinja").render(self.content)

    def card(self) -> str:
        """The model card as Markdown with a block of YAML, as the Hugging Face Hub reads it."""
        text = StringIO()
        from ruamel.yaml import YAML

        yaml = YAML()
        yaml.default_flow_style, yaml.allow_unicode, yaml.width = False, True, 10_000
        yaml.dump(self.content["card"], text)
        return environment().get_template("model_card.md.jinja").render(self.content, metadata=text.getvalue())


def environment() -> "Environment":
    """Templates that escape what they show: in HTML everything, in Markdown what passes through `md`."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    found = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True,
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
        finalize=lambda value: svg.clean(value) if type(value) is str else value,
    )  # fmt: skip
    found.filters["md"] = markdown
    return found


def markdown(text: str) -> str:
    """A text on one line of Markdown, without a meaning there."""
    line = " ".join(svg.clean(text).split())
    marked = re.sub(r"([\\`*_\[\]#|~$])", r"\\\1", line)
    return marked.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def read_report(result: Result, data: PlotData) -> Report:
    """Read all that the report shows.

    Args:
        result: the files that the stages left.
        data: the content of its plots.

    Raises:
        RetrainError: a file is missing or damaged. Tables that only newer evaluations write may be missing.
    """
    path, hint = result.reports / "metrics.json", f"run: dvc repro evaluate@{result.dataset}"
    figures = schema.check(files.read_json(path, hint), Metrics, str(path), hint).model_dump()
    described, classes = data.description, has_classes(data.description)
    if "test" not in described.splits:
        where, hint = str(result.model / FILE), f"run: dvc repro train@{result.dataset}"
        raise RetrainError(where, "does not say how many rows the test split has", hint)
    reader = Reader(result, hint)
    metric = next(iter(figures["test"]))
    digests = {name: files.sha256(result.model / name) for name in (WEIGHTS, FILE)}
    content: dict[str, Any] = {
        "dataset": result.dataset,
        "classes": classes,
        "target": described.task.column,
        "test_rows": described.splits["test"].rows,
        "metric": metric,
        "verdict": sentence(metric, figures, data),
        "headline": headline(metric, figures),
        "interval": shown_interval(metric, figures),
        "figures": figures_table(figures),
        "curves": [curve(data, "loss"), curve(data, data.metric)],
        "results": class_results(data, reader) if classes else number_results(data, reader),
        "calibration": reliability(figures, data, reader) if classes else coverage(figures, data, reader),
        "slices": slices(reader),
        "mistakes": mistakes(reader),
        "data": data_tables(data, reader),
        "training": training(data, weights_in(result.model / WEIGHTS)),
        "parameters": parameters_table(data),
        "digests": digests_table(data, digests),
        "split_rows": {name: facts.rows for name, facts in described.splits.items()},
    }
    return Report({**content, "card": card_metadata(content, figures, data)})


@dataclass(frozen=True)
class Reader:
    """Reads the tables of a result."""

    result: Result
    hint: str

    def table(self, name: str) -> dict[str, list[str]]:
        """The columns of a table of evaluate; empty if there is no such file."""
        path = self.result.reports / "tables" / f"{name}.csv"
        return report_csv.read_columns(path, self.hint, (), empty=True) if path.exists() else {}

    def numbers(self, name: str, columns: Iterable[str]) -> dict[str, list[float]]:
        """Columns of numbers of a table; empty if there is no such file or no such columns."""
        path, table = self.result.reports / "tables" / f"{name}.csv", self.table(name)
        columns = list(columns)
        if not set(columns) <= table.keys():
            return {}
        return {column: report_csv.numbers_of(table[column], path, column, self.hint) for column in columns}

    def predictions(self, *names: str) -> dict[str, list[float]]:
        """Columns of numbers of the predictions; empty if one is missing."""
        path = self.result.reports / "predictions.csv"
        columns = report_csv.read_columns(path, self.hint, ())
        if not set(names) <= columns.keys():
            return {}
        return {name: report_csv.numbers_of(columns[name], path, name, self.hint) for name in names}


def shown(name: str, value: float) -> str:
    """A number for people, by the name of its metric or column."""
    if name == "p_value":
        return "less than 0.001" if value < 0.001 else f"{value:.3f}"
    return svg.percent(value) if name in PERCENT else short(value)


def short(value: float) -> str:
    """A number with four digits, or more where it is large and whole digits say how large."""
    return f"{value:,.0f}" if 10_000 <= abs(value) < 1e9 else f"{value:.4g}"


def in_words(name: str) -> str:
    """The name of a metric or column as words."""
    known = {
        "r2": "R²",
        "rmse": "RMSE",
        "mae": "MAE",
        "macro_f1": "macro F1",
        "f1": "F1",
        "support": "test rows",
        "brier": "Brier score",
        "p_value": "p-value",
    }
    return known.get(name, name.replace("_", " "))


def sentence(metric: str, figures: Mapping[str, Any], data: PlotData) -> str:
    """The most important thing to know."""
    rows, losses = data.description.splits["test"].rows, data.history["validation_loss"]
    return verdict(metric, figures["test"][metric], figures["baseline"][metric], rows, losses)


def shown_interval(name: str, figures: Mapping[str, Any]) -> str:
    """The 95 % interval of a metric in words; empty if it was not measured."""
    found = (figures.get("intervals") or {}).get(name)
    return f"{shown(name, found['low'])} to {shown(name, found['high'])}" if found else ""


def headline(metric: str, figures: Mapping[str, Any]) -> Figure:
    """The first metric of the model, the reference and the baseline."""
    found = (figures.get("intervals") or {}).get(metric)
    rows: list[tuple[str, str, float, tuple[float, float] | None]] = [
        ("model", "s1", figures["test"][metric], (found["low"], found["high"]) if found else None)
    ]
    others = {"reference": "s2", "baseline": "s3"}
    rows += [
        (name, kind, figures[name][metric], None)
        for name, kind in others.items()
        if metric in (figures.get(name) or {})
    ]
    values = [value for _, _, value, interval in rows for value in (value, *(interval or ()))]
    axis = Axis.over(in_words(metric), values, percent=metric in PERCENT)
    said = ", ".join(f"{text} {shown(metric, value)}" for text, _, value, _ in rows)
    interval = shown_interval(metric, figures)
    said += f"; 95 % interval of the model: {interval}" if interval else ""
    image = svg.ranges("headline", f"{in_words(metric)} on the test split", said, axis, rows)
    more = "higher is better" if metric in HIGHER_IS_BETTER else "lower is better"
    return Figure(
        image,
        f"{in_words(metric)} on the test split ({more})" + (", with the model's 95 % interval." if interval else "."),
    )


def figures_table(figures: Mapping[str, Any]) -> Table:
    """All metrics of the test split."""
    test, others = figures["test"], [name for name in ("reference", "baseline") if figures.get(name)]
    intervals = bool(figures.get("intervals"))
    columns = ["metric", "model", *(["95 % interval"] if intervals else []), *others, "meaning"]
    rows = []
    for name, value in test.items():
        cells = [in_words(name), shown(name, value), *([shown_interval(name, figures) or NOTHING] if intervals else [])]
        cells += [shown(name, figures[other][name]) if name in figures[other] else NOTHING for other in others]
        rows.append([*cells, MEANINGS.get(name, "")])
    return Table("Metrics on the test split", columns, rows, frozenset(range(1, len(columns) - 1)))


def curve(data: PlotData, metric: str) -> Figure:
    """A metric by epoch."""
    epochs, best = data.history["epoch"], data.description.best_epoch
    series = {
        split: data.history[f"{split}_{metric}"]
        for split in ("train", "validation")
        if f"{split}_{metric}" in data.history
    }
    axis = Axis.over(
        in_words(metric), [value for values in series.values() for value in values], percent=metric in PERCENT
    )
    chart = Chart(Axis.over("epoch", [*epochs, best], whole=True), axis)
    chart.vertical(best)
    said = []
    for (split, values), kind in zip(series.items(), ("s1", "s2"), strict=False):
        points = thinned(list(zip(epochs, values, strict=True)), MOST_POINTS // 4)
        chart.line(points, kind)
        if len(points) <= 30:
            chart.dots(points, kind)
        said.append(f"{split} from {shown(metric, values[0])} to {shown(metric, values[-1])}")
    title = f"{in_words(metric)} by epoch"
    image = chart.render(
        f"curve-{metric if metric == 'loss' else 'metric'}", title, f"{'; '.join(said)}; best epoch {best}"
    )
    legend = [*zip(("s1", "s2"), series, strict=False), ("mark", f"best epoch: {best}")]
    return Figure(image, f"{title[0].upper()}{title[1:]}.", legend)


def thinned(values: Sequence[Any], most: int) -> list[Any]:
    """Values in equal distances, of which there are at most this many."""
    return list(values[:: max(math.ceil(len(values) / most), 1)])


def class_results(data: PlotData, reader: Reader) -> dict[str, Any]:
    """The confusion matrix, the classes, and which are confused most often."""
    matrix, names = data.results, list(data.description.task.learned["classes"])
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
    classes = reader.table("classes")
    if classes:
        order = sorted(range(len(classes["class"])), key=lambda place: (float(classes["f1"][place]), place))
        weakest = {name: [cells[place] for place in order] for name, cells in classes.items()}
        found["tables"].append(csv_table("Classes, the weakest first", weakest, MOST_ROWS))
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
    targets, predicted = data.results.tolist()
    margin = margin_of(data)
    column = data.description.task.column
    axis = Axis.over("", [*targets, *predicted])
    chart = Chart(
        Axis(f"target ({column})", axis.low, axis.high), Axis(f"predicted ({column})", axis.low, axis.high), square=True
    )
    ends = (axis.low, axis.high)
    if margin is not None:
        chart.band(
            [
                (ends[0], ends[0] - margin),
                (ends[1], ends[1] - margin),
                (ends[1], ends[1] + margin),
                (ends[0], ends[0] + margin),
            ]
        )
    chart.line([(end, end) for end in ends], "mark")
    points = thinned(list(zip(targets, predicted, strict=True)), MOST_POINTS)
    inside = [point for point in points if margin is None or abs(point[0] - point[1]) <= margin]
    outside = [point for point in points if margin is not None and abs(point[0] - point[1]) > margin]
    chart.dots(inside, "s1")
    legend = [("s1 dots", "test row"), ("mark", "perfect prediction")]
    if margin is not None:
        chart.dots(outside, "s2")
        level = described_level(data)
        legend = [
            ("s1 dots", "inside its interval"),
            ("s2 dots", "outside"),
            ("band", f"{level} interval"),
            ("mark", "perfect prediction"),
        ]
    count = f"{len(points):,} of {len(targets):,}" if len(points) < len(targets) else f"{len(targets):,}"
    image = chart.render(
        "predicted", "Predicted against target", f"{count} test rows; a point on the diagonal is a perfect prediction"
    )
    errors = reader.table("errors")
    tables = [csv_table("Errors by range of the target", errors, MOST_ROWS)] if errors else []
    figure = Figure(image, f"Predicted against target, {count} test rows.", legend)
    return {"figure": figure, "matrix": None, "tables": tables}


def calibration_of(data: PlotData) -> Mapping[str, Any]:
    """What train calibrated; empty for a model of an earlier version."""
    found = getattr(data.description, "calibration", None)
    if found is None:
        return {}
    content: Mapping[str, Any] = found if isinstance(found, Mapping) else found.model_dump()
    return content


def margin_of(data: PlotData) -> float | None:
    """Half the width of an interval in units of the target, if there is one."""
    interval = calibration_of(data).get("interval")
    return float(interval["margin"]) if interval else None


def described_level(data: PlotData) -> str:
    """The share of rows that intervals should hold."""
    return svg.percent(calibration_of(data)["interval"]["level"], 0)


def reliability(figures: Mapping[str, Any], data: PlotData, reader: Reader) -> dict[str, Any] | None:
    """Confidence against the share of right answers, and the measures of calibration before and after."""
    names = [name for name in ("log_loss", "brier", "calibration_error") if name in figures["test"]]
    if not names:
        return None
    before, calibrated = figures.get("uncalibrated") or {}, calibration_of(data)
    bins = reader.numbers("calibration", ("rows", "confidence", "accuracy"))
    earlier = reader.numbers("calibration", ("rows_before", "confidence_before", "accuracy_before"))
    rows = [
        [
            in_words(name),
            shown(name, before[name]) if name in before else NOTHING,
            shown(name, figures["test"][name]),
            MEANINGS[name],
        ]
        for name in names
    ]
    table = Table("Calibration on the test split", ["measure", "before", "after", "meaning"], rows, frozenset({1, 2}))
    found: dict[str, Any] = {"table": table, "bins": len(bins.get("rows", ())), "figure": None, "more": None}
    found |= {"temperature": calibrated.get("temperature"), "threshold": calibrated.get("threshold")}
    found["second"] = data.description.task.learned["classes"][-1]
    if bins:
        chart = Chart(
            Axis("confidence", -0.03, 1.03, percent=True),
            Axis("share of right answers", -0.03, 1.03, percent=True),
            square=True,
        )
        chart.line([(0.0, 0.0), (1.0, 1.0)], "mark")
        legend = [("s1", "after calibration")]
        for kind, columns in (("s2", earlier), ("s1", bins)):
            points = [(confidence, share) for count, confidence, share in zip(*columns.values(), strict=True) if count]
            if points:
                chart.line(points, kind)
                chart.dots(points, kind, 4.0)
        if earlier:
            legend.append(("s2", "before calibration"))
        said = "A point on the diagonal: of the rows with this confidence, exactly this share is right."
        image = chart.render("reliability", "Reliability diagram", said)
        found["figure"] = Figure(image, f"Reliability diagram. {said}", [*legend, ("mark", "perfect calibration")])
    return found


def coverage(figures: Mapping[str, Any], data: PlotData, reader: Reader) -> dict[str, Any] | None:
    """How many targets are within the intervals of their predictions, overall and by size of the prediction."""
    margin = margin_of(data)
    if margin is None:
        return None
    columns = reader.predictions("target", "predicted", "low", "high")
    if not columns:
        return None
    ordered = sorted(zip(columns["predicted"], *(columns[name] for name in ("target", "low", "high")), strict=True))
    size = math.ceil(len(ordered) / GROUPS)
    rows = []
    for start in range(0, len(ordered), size):
        group = ordered[start : start + size]
        hits = sum(low <= target <= high for _, target, low, high in group)
        ends = f"{short(group[0][0])} to {short(group[-1][0])}"
        rows.append([ends, f"{len(group):,}", svg.percent(hits / len(group))])
    inside = sum(low <= target <= high for _, target, low, high in ordered) / len(ordered)
    table = Table("Coverage by size of the prediction", ["prediction", "rows", "inside"], rows, frozenset({1, 2}))
    fitted = calibration_of(data)["interval"]
    return {
        "table": table, "figure": None, "margin": short(margin), "level": described_level(data),
        "rows": fitted["rows"], "inside": svg.percent(inside),
    }  # fmt: skip


def slices(reader: Reader) -> dict[str, Any] | None:
    """The groups of rows on which the model is worst, with a sentence for each; nothing if they were not looked for."""
    columns = reader.table("slices")
    if not columns:
        return None
    measure = next((name for name in ("error_rate", "mean_absolute_error") if name in columns), "")
    names = ("rows", measure, "others", "p_value")
    numbers = reader.numbers("slices", names)
    sentences = []
    for place, text in enumerate(columns["slice"][: MOST_WORST if numbers else 0]):
        rows, worse, others, p_value = (numbers[name][place] for name in names)
        unit = "share" if measure == "error_rate" else measure
        compared = (
            f"{in_words(measure)} {shown(unit, worse)} on {rows:,.0f} rows, {shown(unit, others)} on the other rows"
        )
        meaning = "Chance hardly explains this" if p_value < SIGNIFICANT else "This may be chance"
        sentences.append((shortened(text), f"{compared}. {meaning} (adjusted p-value {shown('p_value', p_value)})."))
    return {"sentences": sentences}


MISTAKES = {
    "mistakes": ("Largest mistakes", "Test rows on which the model was most wrong."),
    "label_errors": (
        "Likely wrong labels",
        "Rows whose label the model finds so unlikely that a person should look at them; the model may be wrong too.",
    ),
    "near_duplicates": (
        "Test rows that are nearly in the train split",
        "The model may have memorised these: they make the metrics look better than they are on new rows.",
    ),
}


def mistakes(reader: Reader) -> list[dict[str, Any]]:
    """The tables of single rows."""
    found = []
    for name, (title, note) in MISTAKES.items():
        columns = reader.table(name)
        if columns:
            some = any(columns.values())
            found.append(
                {
                    "title": title,
                    "note": note,
                    "table": csv_table(f"{title}, one row per line", columns, MOST_ROWS // 2) if some else None,
                }
            )
    return found


def csv_table(caption: str, columns: Mapping[str, Sequence[str]], most: int) -> Table:
    """A table of evaluate as the page shows it: short texts, and numbers for people."""
    numeric = frozenset(place for place, cells in enumerate(columns.values()) if all(map(is_number, cells)))
    shown_columns = [
        [number_cell(name, cell) if place in numeric else shortened(cell) for cell in cells[:most]]
        for place, (name, cells) in enumerate(columns.items())
    ]
    count = len(next(iter(columns.values())))
    rows = [list(row) for row in zip(*shown_columns, strict=True)]
    return Table(caption, [in_words(shortened(name)) for name in columns], rows, numeric, count - len(rows))


def is_number(cell: str) -> bool:
    """Whether a cell holds a finite number."""
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def number_cell(name: str, cell: str) -> str:
    """A number of a table for people; whole ones as they are."""
    value = float(cell)
    if name in PERCENT or name == "p_value":
        return shown(name, value)
    return f"{int(value):,}" if cell.lstrip("-").isdigit() and name != "row" else f"{value:.5g}"


def shortened(text: str) -> str:
    """The beginning of a text on one line."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_TEXT else f"{line[: LONGEST_TEXT - 1]}…"


def data_tables(data: PlotData, reader: Reader) -> dict[str, Any]:
    """The rows of each split, the columns with their kinds, and the classes."""
    described = data.description
    total = sum(facts.rows for facts in described.splits.values())
    splits = [
        [name, f"{facts.rows:,}", svg.percent(facts.rows / max(total, 1))] for name, facts in described.splits.items()
    ]
    tables = [Table("Rows of each split", ["split", "rows", "share"], splits, frozenset({1, 2}))]
    columns = columns_of(data)
    rows = [[shortened(name), kind, "input"] for name, kind in columns[:MOST_ROWS]]
    target = [shortened(described.task.column), "class" if has_classes(described) else "number", "target"]
    tables.append(
        Table("Columns", ["column", "kind", "use"], [*rows, target], left_out=max(len(columns) - MOST_ROWS, 0))
    )
    learned, found = described.task.learned, {"tables": tables, "classes": 0, "balance": "", "columns": len(columns)}
    if has_classes(described):
        names, counts = learned["classes"], learned["counts"]
        support = reader.table("classes").get("support", [])
        tests = dict(zip(reader.table("classes").get("class", []), support, strict=False))
        order = sorted(range(len(names)), key=lambda place: (-counts[place], place))
        rows = [
            [
                shortened(names[place]),
                f"{counts[place]:,}",
                svg.percent(counts[place] / sum(counts)),
                number_cell("rows", tests.get(names[place], "0")),
            ]
            for place in order[:MOST_ROWS]
        ]
        header = ["class", "train rows", "share", "test rows"]
        tables.append(
            Table("Classes, the most frequent first", header, rows, frozenset({1, 2, 3}), len(names) - len(rows))
        )
        found["classes"] = len(names)
        found["balance"] = f"{max(counts) / max(min(counts), 1):,.1f}"
    else:
        found["mean"], found["deviation"] = short(learned.get("mean", 0.0)), short(learned.get("deviation", 0.0))
    prepare = described.prepare.model_dump()
    found["source"] = str(prepare.get("source", "unknown"))
    found["repairs"] = list(prepare["repairs"])
    found["repeats"] = prepare.get("repeats")
    return found


def columns_of(data: PlotData) -> list[tuple[str, str]]:
    """The input columns with what they hold, as far as the encoder recorded it."""
    encoder = data.description.encoder
    learned = encoder.learned
    known = {"numbers": "number", "text": "text", "ngrams": "text"}.get(encoder.name, "not recorded")
    columns = [str(name) for name in learned.get("columns", ())]
    kinds = [str(kind) for kind in learned.get("kinds", ())]
    return list(zip(columns, kinds if len(kinds) == len(columns) else [known] * len(columns), strict=True))


def weights_in(path: Path) -> int:
    """The number of weights in a safetensors file, whose first bytes are the size of a header that names each tensor."""
    hint = f"restore it: dvc checkout models/{path.parent.name}"
    with files.reading(path, "safetensors file", hint, KeyError, TypeError, AttributeError), path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > LARGEST_HEADER:
            raise ValueError("its header is too large")
        tensors = json.loads(file.read(size))
        return sum(math.prod(tensor["shape"]) for name, tensor in tensors.items() if name != "__metadata__")


def training(data: PlotData, weights: int) -> Table:
    """How the model was trained."""
    train = data.description.train.model_dump()
    loop = train.get("loop", {})
    facts = {
        "network": named(train["network"]),
        "weights": f"{weights:,}",
        "encoder": data.description.encoder.name,
        "optimizer": named(train.get("optimizer", {})),
        "learning rate": f"{loop.get('learning_rate', NOTHING)}, schedule {named(train.get('schedule', {}))}",
        "loss": named(train["loss"]),
        "batch size": str(loop.get("batch_size", NOTHING)),
        "epochs": f"{len(data.history['epoch'])} of at most {loop.get('epochs', NOTHING)}",
        "best epoch": f"{data.description.best_epoch}, by {in_words(str(loop.get('best_by', 'loss')))} on the validation split",
        "seed": str(loop.get("seed", NOTHING)),
        "device": f"{train['device']}, {train['threads']} thread{'s' if train['threads'] > 1 else ''}",
    }
    return Table("Facts of the training", ["fact", "value"], [list(fact) for fact in facts.items()])


def named(choice: Mapping[str, Any]) -> str:
    """A choice with its parameters: `mlp (hidden 50)`."""
    rest = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in choice.items() if name != "name")
    return f"{choice.get('name', NOTHING)}{f' ({rest})' if rest else ''}"


def parameters_table(data: PlotData) -> Table:
    """Every parameter."""
    described = data.description
    sections = {
        "prepare": described.prepare.model_dump(),
        "split": described.split,
        "train": described.train.model_dump(),
    }
    rows = [[name, shortened(value)] for name, value in params.flat(sections).items()]
    return Table("All parameters", ["parameter", "value"], rows)


def digests_table(data: PlotData, digests: Mapping[str, str]) -> Table:
    """The SHA-256 of data and weights."""
    splits = {f"{name} split": facts.sha256 for name, facts in data.description.splits.items()}
    rows = {"encoded data": data.description.data_sha256, **splits, **digests}
    return Table("SHA-256", ["of", "digest"], [list(row) for row in rows.items()])


HUB_METRICS = {"macro_f1": "f1", "brier": "brier_score", "r2": "r_squared"}
"""The Hub's names of metrics, where they are different."""


def card_metadata(content: Mapping[str, Any], figures: Mapping[str, Any], data: PlotData) -> dict[str, Any]:
    """The block of YAML of the model card: https://huggingface.co/docs/hub/model-cards#model-card-metadata."""
    texts = {kind for _, kind in columns_of(data)} == {"text"}
    kind = "text-classification" if texts else "tabular-classification" if content["classes"] else "tabular-regression"
    names = [name for name in figures["test"] if name != "loss"]
    metrics = [
        {"type": HUB_METRICS.get(name, name), "value": figures["test"][name], "name": in_words(name)} for name in names
    ]
    dataset = {"name": content["dataset"], "type": content["dataset"], "split": "test"}
    result = {"task": {"type": kind}, "dataset": dataset, "metrics": metrics}
    return {
        "library_name": "pytorch",
        "pipeline_tag": kind,
        "tags": ["retrain", content["dataset"], data.description.task.name],
        "metrics": [metric["type"] for metric in metrics],
        "model-index": [{"name": content["dataset"], "results": [result]}],
    }
