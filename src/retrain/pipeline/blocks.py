"""The text that `retrain add` writes: the block of a dataset in params.yaml, its lines in dvc.yaml, and its card."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from retrain.data.inspection.column import Column
from retrain.data.inspection.dialect import Guess
from retrain.data.reading.file_format import Format, is_clock

__all__ = ["KINDS", "Dataset", "artifact_lines", "artifact_name", "block_lines", "card", "plot_lines", "plot_titles"]


LINE = 120
"""Characters in a line of params.yaml."""
MANY = 24
"""Columns of one kind above which the block says `others` instead of naming them."""
PLAIN = re.compile(r"[A-Za-z_](?:[\w./%()-]|[ ](?=[\w(]))*")
"""Names that YAML reads as text without quotes."""
RESERVED = {"true", "false", "yes", "no", "on", "off", "null", "none", "y", "n", "others"}
LARGE = 20_000
"""Rows above which there are two folds instead of four, and n-grams have more buckets."""
TEST = 0.2
"""The share of the rows that become the test split."""
SMALL = 2_000
"""Rows to learn from up to which a table needs more dropout and a linear model, and values that occur twice count."""
LEARNING_SHARE = 0.75
"""With four folds, the share of a batch that one member of the network learns from; the rest is its own fold."""
BATCHES = 12
"""The batches in an epoch of a table of middle size, roughly; small tables have fewer, large ones more."""
SMALLEST_BATCH, LARGEST_BATCH = 16, 256
"""The bounds of the rows that a member learns from in a batch."""
STEPS = 1_200
"""The batches in a training, roughly, within the bounds of the epochs; fewer end the training of larger tables too early."""
FEWEST_EPOCHS, MOST_EPOCHS = 24, 60
WIDE, BINNED = 100, 1_000
"""Columns of numbers above which a code has fewer bins, so that all together have about so many: wide tables would train for hours."""
TEXT_BATCHES = 64
"""The batches in an epoch of texts, roughly."""
REFERENCE_CELLS, REFERENCE_TEXT_CELLS = 500_000, 50_000
"""Rows times classes up to which fitting the reference takes about two seconds: without texts, and with them."""
KINDS = ("numbers", "categories", "dates", "texts")


@dataclass(frozen=True)
class Dataset:
    """A dataset that is about to be added."""

    name: str
    title: str
    """The file as the user named it."""
    location: str
    sha256: str
    rows: int
    guess: Guess
    columns: Sequence[Column]
    """The target first."""
    test: tuple[str, str] | None = None
    """The location and the digest of an official test file."""
    group: str | None = None
    time: str | None = None
    classes: Mapping[str, int] = field(default_factory=dict)
    """The rows of each class, if the target is a label."""

    @property
    def target(self) -> Column:
        """The column to predict."""
        return self.columns[0]

    @property
    def is_label(self) -> bool:
        """Whether the target is a class."""
        return self.target.predict == "label"

    def of_kind(self, kind: str) -> list[str]:
        """The inputs of one kind."""
        return [column.name for column in self.columns if column.kind == kind and column.name != self.group]

    @property
    def learns_by_ngrams(self) -> bool:
        """Whether there is nothing but text to learn from, and the target is a class, or there are many rows."""
        return not any(self.of_kind(kind) for kind in KINDS[:3]) and (self.is_label or self.rows > LARGE)

    @property
    def groups(self) -> int | None:
        """The number of groups, if rows stay together in groups; a row without a group is one of its own."""
        return next((own.distinct + own.missing for own in self.columns if own.name == self.group), None)

    @property
    def folds(self) -> int:
        """The folds of a table that is not learned by n-grams: at most one for each group outside the test split."""
        folds = 4 if self.rows <= LARGE else 2
        if self.groups is None:
            return folds
        tested = 0 if self.test is not None else max(1, round(TEST * self.groups))
        return max(2, min(folds, self.groups - tested))

    @property
    def learned(self) -> float:
        """The number of rows outside the test split, roughly."""
        return self.rows * (1.0 if self.test is not None else 1.0 - TEST)

    @property
    def shares(self) -> dict[str, float]:
        """The shares of the splits that are cut off; the others are folds, and the official test file."""
        validation = {"validation": 0.1 if self.learned > SMALL else 0.15} if self.learns_by_ngrams else {}
        return {**validation, **({"test": TEST} if self.test is None else {})}

    @property
    def format(self) -> Format:
        """How the file is written, with the values that stand for missing ones."""
        used = [column for column in self.columns if column.kind in (*KINDS, "target")]
        seen = [marker for column in used for marker in {*column.markers, *column.sentinels}]
        classes = {*self.classes} if self.is_label else set()
        shared = {marker for marker in seen if seen.count(marker) > 1 and marker not in classes}
        own = {column.name: sorted({*column.markers, *column.sentinels} - shared) for column in used}
        known = {*map(id, used)}
        timed = [column for column in self.columns if id(column) in known or column.name == self.time]
        dates = {column.name: column.date_format for column in timed if column.date_format}
        numbers = [column.name for column in used if column.kind == "numbers" or column.predict == "number"]
        # A column of ISO dates is not in the format of a time of day.
        same = len({*dates.values()}) == 1 and not any(map(is_clock, dates.values()))
        given = self.guess.format
        found = {
            "missing": tuple(dict.fromkeys((*given.missing, *sorted(shared)))),
            "missing_in": {name: values for name, values in own.items() if values},
            "dates": tuple({*dates.values()}) if same else (),
            "dates_in": {} if same else dates,
            "units_in": {name: unit for name, unit in given.units_in.items() if name in numbers},
        }
        return given.model_copy(update=found)


def block_lines(dataset: Dataset) -> list[str]:
    """The block of params.yaml, with the indentation of a dataset."""
    format_ = {
        name: value
        for name, value in dataset.format.model_dump(mode="json", exclude_defaults=True).items()
        if (name, value) != ("separator", ",")
    }
    lines = [
        "",
        f"  # {one_line(dataset.title)} -> {one_line(dataset.target.name)}. Written by `retrain add`: change what you like.",
        f"  {dataset.name}:",
        "    prepare:",
        "      source: files",
        f"      train: {{location: {scalar(dataset.location)}, sha256: {dataset.sha256}}}",
    ]
    if dataset.test is not None:
        lines.append(f"      test: {{location: {scalar(dataset.test[0])}, sha256: {dataset.test[1]}}}")
    if format_:
        lines += wrapped("      format: ", format_)
    if not dataset.guess.has_header:
        lines += ["      header: false", *wrapped("      columns: ", list(dataset.guess.names))]
    lines.append(f"      target: {scalar(dataset.target.name)}")
    if dataset.target.rename:
        lines += wrapped("      rename: ", dict(dataset.target.rename))
    others = next((kind for kind in KINDS if len(dataset.of_kind(kind)) > MANY), "")
    for kind in KINDS:
        if names := dataset.of_kind(kind):
            lines += [f"      {kind}: others"] if kind == others else wrapped(f"      {kind}: ", names)
    if others and (left := [column.name for column in dataset.columns if column.kind == "leave_out" and column.name]):
        lines += wrapped("      leave_out: ", list(dict.fromkeys(left)))
    lines += [
        f"      {kind}: {scalar(name)}" for kind, name in (("group", dataset.group), ("time", dataset.time)) if name
    ]
    cells = dataset.learned * max(1, len(dataset.classes))
    is_large = cells > (REFERENCE_TEXT_CELLS if dataset.of_kind("texts") else REFERENCE_CELLS)
    evaluate = "{reference: none}" if is_large else "{}"
    learning = text_lines(dataset) if dataset.learns_by_ngrams else mixed_lines(dataset)
    return [*lines, *learning, f"    evaluate: {evaluate}", "    plot: {}"]


def split_line(dataset: Dataset, encoder: Mapping[str, Any]) -> str:
    """The section split, with `folds` or a share for validation."""
    folds = {} if dataset.learns_by_ngrams else {"folds": dataset.folds}
    task = "classification" if dataset.is_label else "regression"
    return f"    split: {''.join(flow({**folds, **dataset.shares, 'task': task, 'encoder': encoder}))}"


def text_lines(dataset: Dataset) -> list[str]:
    """The sections for texts alone: a linear model of words and character n-grams."""
    is_large = dataset.learned > LARGE
    encoder = {
        "name": "ngrams",
        "minimum_count": 2 if is_large else 1,
        "min_log_ratio": 0.5,
        "hash_bits": 24 if is_large else 22,
        "char_ngrams": 5,
    }
    lines = [split_line(dataset, encoder), "    train:"]
    if not dataset.is_label:
        # The step of plain gradient descent would depend on how many features the rows share.
        return [
            *lines,
            "      network: {name: ngram_bag, scale: 4.0}",
            "      optimizer: {name: rowwise_adagrad}",
            "      schedule: {name: linear}",
            "      loss: {name: mean_squared_error}",
            "      loop: {epochs: 6, batch_size: 256, learning_rate: 0.2, best_by: loss, patience: 6}",
        ]
    batch = int(min(1024, max(32, 2 ** round(math.log2(max(1.0, dataset.learned / TEXT_BATCHES))))))
    batch = max(1, min(batch, int(dataset.learned / 4)))
    # Few rows give few steps, so each is larger; with many classes, a row says less about each of them.
    epochs, rate_of_row = (4, 1 / 320) if is_large else (8, 1 / 160) if dataset.learned > SMALL else (12, 1 / 64)
    rate = batch * rate_of_row * math.sqrt(len(dataset.classes) / 2)
    return [
        *lines,
        "      network: {name: ngram_bag}",
        "      optimizer: {name: sgd}",
        "      schedule: {name: linear}",
        "      loss: {name: cross_entropy}",
        f"      loop: {{epochs: {epochs}, batch_size: {batch}, learning_rate: {rate:.2g}, best_by: loss, patience: {epochs}}}",
    ]


def mixed_lines(dataset: Dataset) -> list[str]:
    """The sections for numbers, categories, dates and texts in one table."""
    learned = dataset.learned
    loss = "{name: cross_entropy}" if dataset.is_label else "{name: mean_squared_error}"
    wanted = 2 ** round(math.log2(max(1.0, learned * LEARNING_SHARE / BATCHES)))
    batch = int(min(LARGEST_BATCH, max(SMALLEST_BATCH, wanted)) / LEARNING_SHARE)
    batch = max(1, min(batch, int(learned / 4)))  # at least four batches, however small the table is
    epochs = int(min(MOST_EPOCHS, max(FEWEST_EPOCHS, STEPS / max(1, math.ceil(learned / batch)))))
    small = learned <= SMALL
    chosen: dict[str, Any] = {
        "name": "mixed",
        **({"minimum_count": 3} if dataset.of_kind("texts") and not small else {}),
    }
    if (numbers := len(dataset.of_kind("numbers"))) > WIDE:
        chosen["bins"] = max(1, BINNED // numbers)
    if dataset.of_kind("texts"):
        epochs = FEWEST_EPOCHS  # n-grams are learned in few epochs
        beside = dataset.of_kind("numbers") or dataset.of_kind("dates")
        if beside and not any(column.unspaced for column in dataset.columns):
            chosen["char_ngrams"] = 0  # next to numbers, a text such as a name says little
    return [
        split_line(dataset, chosen),
        "    train:",
        f"      network: {{name: mixed{', dropout: 0.3, blend: linear' if small else ''}}}",
        "      optimizer: {name: adamw_rowwise}",
        "      schedule: {name: warm_cosine}",
        f"      loss: {loss}",
        f"      loop: {{epochs: {epochs}, batch_size: {batch}, learning_rate: 0.002, ema_decay: 0.97, best_by: loss, patience: {max(8, int(epochs * 0.3))}}}",
    ]


def plot_titles(name: str) -> list[str]:
    """The titles of the plots that `plot_lines` writes for a dataset, for either task."""
    return [f"{name} {what}" for what in ("loss", "accuracy", "confusion", "rmse", "predicted")]


def plot_lines(dataset: Dataset) -> list[str]:
    """The plots of dvc.yaml."""
    name = dataset.name
    loss, metric = ("cross entropy", "accuracy") if dataset.is_label else ("mean squared error", "rmse")
    lines = []
    for column, label in (("loss", loss), (metric, metric)):
        curves = f"        reports/{name}/history.csv: [train_{column}, validation_{column}]"
        lines += [f"  - {name} {column}:", "      x: epoch", "      y:", curves, f"      y_label: {label}"]
    title, template = ("confusion", "confusion_normalized") if dataset.is_label else ("predicted", "scatter")
    x, y = ("predicted", "target") if dataset.is_label else ("target", "predicted")
    lines += [f"  - {name} {title}:", f"      template: {template}", f"      x: {x}", "      y:"]
    return [*lines, f"        reports/{name}/predictions.csv: {y}", f"      x_label: {x}", f"      y_label: {y}"]


def artifact_lines(dataset: Dataset) -> list[str]:
    """The artifact of dvc.yaml. Its name has no underscore, which DVC does not take there."""
    lines = [f"  {artifact_name(dataset.name)}:", f"    path: models/{dataset.name}", "    type: model"]
    about = f"{one_line(dataset.title)} -> {one_line(dataset.target.name)}".replace("${", "\\${")  # DVC fills in ${...}
    return [*lines, f"    desc: {json.dumps(about, ensure_ascii=False)}"]


def artifact_name(name: str) -> str:
    """The name of a dataset's artifact: DVC takes neither capitals nor underscores there."""
    return name.lower().replace("_", "-")


def card(dataset: Dataset, day: str, odd: Sequence[str]) -> str:
    """The data card, in Markdown."""
    rows = [
        f"# {dataset.name}",
        "",
        "| | |",
        "|---|---|",
        f"| Origin | `{one_line(dataset.title)}`, added on {day}. Write here where the rows are from. |",
        "| Licence | Write here who may use them. |",
        f"| Rows | {dataset.rows:,} |",
        f"| Target | `{cell(dataset.target.name)}`: {cell(dataset.target.why)}. |",
        "",
        "## Columns",
        "",
        "| Column | Kind | What it holds | Missing |",
        "|---|---|---|---|",
        *(
            f"| `{cell(column.name)}` | {column.kind.replace('leave_out', 'left out')} | {cell(column.why)} | {column.missing:,} |"
            for column in dataset.columns
        ),
    ]
    if odd:
        rows += ["", "## What to know", "", *(f"* {line}" for line in odd)]
    return "\n".join([*rows, ""])


def cell(text: str) -> str:
    """A text in a table of Markdown."""
    return one_line(text).replace("|", "\\|")


def one_line(text: str) -> str:
    """A text without line breaks."""
    return " ".join(text.split())


def scalar(value: Any) -> str:
    """A value in YAML's flow style."""
    if isinstance(value, str) and PLAIN.fullmatch(value) and value.lower() not in RESERVED:
        return value
    return json.dumps(value, ensure_ascii=False)


def flow(value: Any) -> list[str]:
    """A value in YAML's flow style, in parts at which a line may be broken."""
    if isinstance(value, Mapping):
        parts = [f"{scalar(name)}: {''.join(flow(child))}" for name, child in value.items()]
        return joined("{", parts, "}")
    if isinstance(value, list | tuple):
        return joined("[", [scalar(child) for child in value], "]")
    return [scalar(value)]


def joined(start: str, parts: list[str], end: str) -> list[str]:
    """Parts with commas and brackets."""
    commas = [f"{part}, " for part in parts[:-1]] + [f"{part}{end}" for part in parts[-1:]]
    return [start + commas[0], *commas[1:]] if commas else [start + end]


def wrapped(start: str, value: Any) -> list[str]:
    """A parameter in flow style, on as many lines as it needs."""
    lines, indent = [start], " " * (len(start) - len(start.lstrip()) + 2)
    for part in flow(value):
        if len(lines[-1]) + len(part) > LINE and lines[-1].strip():
            lines.append(indent)
        lines[-1] += part
    return [line.rstrip() for line in lines]
