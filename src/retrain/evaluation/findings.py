"""What is behind the metrics: slices, mistakes, labels to check, near-duplicates, and the reference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from retrain.data.encoders._text import joined
from retrain.data.report_csv import Columns
from retrain.evaluation import mistakes, slices
from retrain.evaluation.intervals import Judged
from retrain.evaluation.mistakes import Split
from retrain.evaluation.words import Words, unknown_shares, words_of

import numpy as np

if TYPE_CHECKING:
    from retrain.models.predictor import Predictor

    from torch import Tensor

__all__ = ["findings_of", "reference_outputs", "train_step"]


TRAIN_ROWS = 200_000
"""Of more train rows, evenly spaced ones are compared with the test rows."""
TEXTUAL = 0.5
"""The share of test rows with enough words from which near-duplicates are those of the texts."""


@dataclass(frozen=True)
class Findings:
    """Tables by their file names, and what the stage prints of them."""

    tables: dict[str, Columns]
    labels_to_check: int
    repeated: Sequence[int]
    """Test rows that almost repeat a train row."""

    @property
    def summary(self) -> str:
        """The numbers in words; empty if there is nothing to look at."""
        counts = {"labels to check": self.labels_to_check, "near-duplicates of train rows": len(self.repeated)}
        return ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)


def train_step(model: "Predictor") -> int:
    """1 if all train rows are compared with the test rows, 10 if every tenth is, and so on."""
    return -(-model.description.splits["train"].rows // TRAIN_ROWS)


def findings_of(
    model: "Predictor", judged: Judged, splits: Mapping[str, Columns], batch_size: int, every: int
) -> Findings:
    """Look at the rows of a test split.

    Args:
        model: the model.
        judged: the test rows as numbers.
        splits: the tables of `test`, `train` and, unless there are folds, `validation`.
        batch_size: rows per step of the evaluation.
        every: 1, or 10 if the table of `train` has the first of every ten rows, and so on.
    """
    description, columns = model.description, model.encoder.columns
    target, classes = description.task.column, description.task.classes
    kinds = dict(zip(columns, model.encoder.kinds, strict=True))
    looked = slices.rows_looked_at(len(judged))
    learned = slices.rows_looked_at(len(splits["train"][target]), TRAIN_ROWS)
    test, train = (
        {name: slices.rows_of(splits[split][name], rows) for name in (*columns, target)}
        for split, rows in (("test", looked), ("train", learned))
    )
    texts = [name for name, kind in kinds.items() if kind == "text"]
    words = (words_of(joined(test, texts)), words_of(joined(train, texts))) if texts else None

    groups = slices.groupings(test, kinds, (target, test[target]), unknown_shares(*words) if words else None)
    losses, measure = losses_of(judged)
    pairs = [
        (int(looked[row]), int(learned[other]), alike) for row, other, alike in repeated(test, train, kinds, words)
    ]
    inputs = {name: splits["test"][name] for name in columns}
    predictions: Columns = {"predicted": judged.predicted}
    if classes and judged.probabilities is not None:
        confidence = judged.probabilities[np.arange(len(judged)), judged.predicted]
        predictions = {"predicted": [classes[number] for number in judged.predicted], "probability": confidence}
    tables = {
        "slices.csv": slices.worst_slices(groups, losses[looked], measure),
        "mistakes.csv": mistakes.largest_errors(inputs, splits["test"][target], predictions),
        "near_duplicates.csv": mistakes.near_duplicates(pairs, splits["test"], splits["train"], columns, target),
    }
    repeats = tables["near_duplicates.csv"]
    repeats["train_row"] = [every * row for row in repeats["train_row"]]
    labels = 0
    if classes:
        judged_splits = {"test": Split(inputs, judged.targets, np.asarray(judged.probabilities))}
        if "validation" in splits:
            judged_splits = {"validation": validation_of(model, splits["validation"], batch_size), **judged_splits}
        tables["label_errors.csv"], labels = mistakes.label_errors(judged_splits, classes)
    return Findings(tables, labels, [pair[0] for pair in pairs])


def losses_of(judged: Judged) -> tuple[np.ndarray, str]:
    """The loss of each row, float64, and the name of its mean."""
    if judged.probabilities is None:
        return np.abs(judged.predicted - judged.targets), "mean_absolute_error"
    return (judged.predicted != judged.targets).astype(np.float64), "error_rate"


def repeated(
    test: Columns, train: Columns, kinds: Mapping[str, str], words: tuple[Words, Words] | None
) -> Sequence[tuple[int, int, float]]:
    """The near-duplicates by their texts, or by all inputs where most rows have few words."""
    if words and np.mean(words[0].counts >= mistakes.FEWEST_WORDS) >= TEXTUAL:
        return mistakes.repeated_texts(*words)
    return mistakes.repeated_rows(test, train, kinds)


def validation_of(model: "Predictor", rows: Columns, batch_size: int) -> Split:
    """The validation rows with the model's answers."""
    description = model.description
    inputs = {name: rows[name] for name in model.encoder.columns}
    predictions = model.predictions(model.outputs(inputs, batch_size))
    judged = Judged.of_predictions(rows[description.task.column], predictions, description.task.classes)
    return Split(inputs, judged.targets, np.asarray(judged.probabilities))


def reference_outputs(model: "Predictor", splits: Mapping[str, Columns]) -> "Tensor":
    """The outputs of the reference for the test rows: (rows, outputs)."""
    from retrain.evaluation import reference

    kinds = dict(zip(model.encoder.columns, model.encoder.kinds, strict=True))
    train, test = ({name: splits[split][name] for name in kinds} for split in ("train", "test"))
    targets = model.task.encode(splits["train"][model.description.task.column])
    return reference.linear(train, test, kinds, targets, model.task.outputs)
