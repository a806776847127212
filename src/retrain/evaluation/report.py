"""The report of a result as one page, and its model card: what they say, from the files that the stages left.

`report.html.jinja` and `model_card.md.jinja` say how. Neither shows a time or a path of this machine, so that equal results
give equal bytes. All texts of the data are escaped.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain import files, params, schema
from retrain.errors import RetrainError
from retrain.evaluation import svg
from retrain.evaluation.page import (
    MEANINGS,
    MOST_ROWS,
    NOTHING,
    PERCENT,
    Figure,
    Table,
    in_words,
    short,
    shortened,
    shown,
)
from retrain.evaluation.plots import PlotData
from retrain.evaluation.results import (
    Reader,
    class_results,
    columns_of,
    coverage,
    curve,
    mistakes,
    number_results,
    reliability,
    slices,
)
from retrain.evaluation.svg import Axis
from retrain.evaluation.verdict import HIGHER_IS_BETTER, verdict
from retrain.models.description import FILE, WEIGHTS
from retrain.models.result import Metrics, Result

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["CARD", "REPORT", "read_report"]


REPORT, CARD = "report.html", "MODEL_CARD.md"
LARGEST_HEADER = 1 << 24
"""Bytes of the header of a safetensors file, which names each tensor."""
HUB_METRICS = {"macro_f1": "f1", "brier": "brier_score", "r2": "r_squared"}
"""The Hub's names of metrics, where they are different."""
REPEATS = {
    "keep": "All repeated rows were kept.",
    "once": "Of repeated rows, one was kept.",
    "majority": "Of rows with the same inputs, one was kept, with the target that most of them have.",
}
"""What `prepare.repeats` did."""
FEW_INPUTS = 3
"""Up to this many input columns are named at the top."""


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
        RetrainError: a file is missing or damaged.
    """
    path, hint = result.reports / "metrics.json", f"run: dvc repro evaluate@{result.dataset}"
    figures = schema.check(files.read_json(path, hint), Metrics, str(path), hint).model_dump()
    described, classes = data.description, bool(data.description.task.classes)
    if "test" not in described.splits:
        where, hint = str(result.model / FILE), f"run: dvc repro train@{result.dataset}"
        raise RetrainError(where, "does not say how many rows the test split has", hint)
    reader = Reader(result, hint)
    metric = next(iter(figures["test"]), "")
    intervals = figures["intervals"]
    whole = all(ends.keys() == {"low", "high"} for ends in intervals.values())
    if not whole or metric not in intervals or metric not in figures["baseline"]:
        raise RetrainError(str(path), "lacks a metric with its interval and its baseline", reader.hint)
    digests = {name: files.sha256(result.model / name) for name in (WEIGHTS, FILE)}
    content: dict[str, Any] = {
        "dataset": result.dataset,
        "classes": classes,
        "target": described.task.column,
        "test_rows": described.splits["test"].rows,
        "metric": metric,
        "verdict": verdict(figures, described, data.history["validation_loss"], shown, in_words),
        "headline": headline(metric, figures),
        "figures": figures_table(figures, classes=classes),
        "curves": [curve(data, "loss"), curve(data, data.metric)],
        "results": class_results(data, reader) if classes else number_results(data, reader),
        "calibration": reliability(figures, data, reader) if classes else coverage(figures, data),
        "slices": slices(data, reader),
        "mistakes": mistakes(data, reader, figures),
        "data": data_tables(data, reader),
        "linear_share": svg.percent(described.linear_share, 0) if described.linear_share else "",
        "training": training(data, weights_in(result.model / WEIGHTS)),
        "parameters": parameters_table(data),
        "digests": digests_table(data, digests),
        "validation": validation_rows(data, "validation rows"),
        "split_rows": {name: facts.rows for name, facts in described.splits.items()},
    }
    return Report({**content, "card": card_metadata(content, figures, data)})


def shown_interval(name: str, figures: Mapping[str, Any]) -> str:
    """The 95 % interval of a metric in words; empty if it was not measured."""
    found = figures["intervals"].get(name)
    return f"{shown(name, found['low'])} to {shown(name, found['high'])}" if found else ""


def headline(metric: str, figures: Mapping[str, Any]) -> Figure:
    """The first metric of the model with its interval, of the reference and of the baseline."""
    found, name = figures["intervals"][metric], in_words(metric)
    rows: list[tuple[str, str, float, tuple[float, float] | None]] = [
        ("model", "s1", figures["test"][metric], (found["low"], found["high"]))
    ]
    others = {"reference": "s2", "baseline": "s3"}
    rows += [(name, kind, figures[name][metric], None) for name, kind in others.items() if metric in figures[name]]
    values = [value for _, _, value, interval in rows for value in (value, *(interval or ()))]
    axis = Axis.over(name, values, percent=metric in PERCENT)
    said = ", ".join(f"{text} {shown(metric, value)}" for text, _, value, _ in rows)
    said += f"; 95 % interval of the model: {shown_interval(metric, figures)}"
    image = svg.ranges("headline", f"{name} on the test split", said, axis, rows)
    more = "higher is better" if metric in HIGHER_IS_BETTER else "lower is better"
    return Figure(image, f"{name[:1].upper()}{name[1:]} on the test split ({more}), with the model's 95 % interval.")


def figures_table(figures: Mapping[str, Any], *, classes: bool) -> Table:
    """All metrics of the test split, without a loss that is the log loss."""
    test, others = figures["test"], [name for name in ("reference", "baseline") if figures[name]]
    columns = ["metric", "model", "95 % interval", *others, "meaning"]
    of = "without label smoothing" if classes else "of the standardised target"
    meanings, rows = {**MEANINGS, "loss": f"what the training minimises, {of}"}, []
    for name, value in test.items():
        if name == "loss" and math.isclose(value, test.get("log_loss", math.nan), rel_tol=1e-5):
            continue
        cells = [in_words(name), shown(name, value), shown_interval(name, figures) or NOTHING]
        cells += [shown(name, figures[other][name]) if name in figures[other] else NOTHING for other in others]
        rows.append([*cells, meanings.get(name, "")])
    return Table("Metrics on the test split", columns, rows, frozenset(range(1, len(columns) - 1)))


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
    target = [shortened(described.task.column), "class" if described.task.classes else "number", "target"]
    left_out = max(len(columns) - MOST_ROWS, 0)
    tables.append(Table("Columns", ["column", "kind", "use"], [*rows, target], left_out=left_out))
    learned, found = described.task.learned, {"tables": tables, "classes": 0, "balance": "", "columns": len(columns)}
    if described.task.classes:
        names, counts = learned["classes"], learned["counts"]
        support = data.results.sum(axis=1).tolist()
        known = sorted(zip(names, counts, support, strict=True), key=lambda one: -one[1])
        rows = [
            [shortened(name), f"{count:,}", svg.percent(count / sum(counts)), f"{tested:,}"]
            for name, count, tested in known[:MOST_ROWS]
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
    found["repeats"] = REPEATS.get(str(prepare.get("repeats")), "")
    found["inputs"] = [shortened(name) for name, _ in columns[:FEW_INPUTS]] if len(columns) <= FEW_INPUTS else []
    return found


def weights_in(path: Path) -> int:
    """The number of weights in a safetensors file, whose first bytes are the size of a header that names each tensor."""
    hint = f"restore it: dvc checkout models/{path.parent.name}"
    with files.reading(path, "safetensors file", hint, KeyError, TypeError, AttributeError), path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > LARGEST_HEADER:
            raise ValueError("its header is too large")
        tensors = json.loads(file.read(size))
        return sum(math.prod(tensor["shape"]) for name, tensor in tensors.items() if name != "__metadata__")


def validation_rows(data: PlotData, split: str) -> str:
    """What chose the best epoch, in words: `split`, or what folds have instead."""
    return split if "validation" in data.description.splits else "train rows that the members did not learn from"


def training(data: PlotData, weights: int) -> Table:
    """How the model was trained."""
    train = data.description.train.model_dump()
    loop = train.get("loop", {})
    validation = validation_rows(data, "the validation split")
    share = data.description.linear_share
    facts = {
        "network": named(train["network"]),
        "number of weights": f"{weights:,}",
        "encoder": data.description.encoder.name,
        "optimizer": named(train.get("optimizer", {})),
        "learning rate": f"{loop.get('learning_rate', NOTHING)}, schedule {named(train.get('schedule', {}))}",
        "loss": named(train["loss"]),
        "batch size": str(loop.get("batch_size", NOTHING)),
        "epochs": f"{len(data.history['epoch'])} of at most {loop.get('epochs', NOTHING)}",
        "best epoch": f"{data.description.best_epoch}, by {in_words(str(loop.get('best_by', 'loss')))} on {validation}",
        **({} if share is None else {"blend": f"linear models have {svg.percent(share, 0)} of the outputs"}),
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
