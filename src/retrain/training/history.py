"""The history of a training: metrics of every epoch, and the weights of the best one."""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from retrain.data.tasks import Task
    from retrain.training.loop import EpochResult

    from torch import Tensor, nn

__all__ = ["History", "copied_weights", "history_columns", "history_row"]


@dataclass
class Best:
    """The best epoch so far, by its score on the validation split."""

    score: tuple[float, float] = (-math.inf, -math.inf)
    """The value that `best_by` names, as a number of which more is better; then that of the loss, which decides ties."""
    epoch: int = 0
    weights: "dict[str, Tensor]" = field(default_factory=dict)


@dataclass
class History:
    """One row of metrics for each epoch, and the best epoch so far."""

    columns: tuple[str, ...]
    rows: list[dict[str, float]] = field(default_factory=list)
    best: Best = field(default_factory=Best)

    def add(self, row: dict[str, float], score: tuple[float, float], network: "nn.Module") -> None:
        """Append an epoch. It becomes the best one if its score is higher than that of all epochs before it."""
        self.rows.append(row)
        if score > self.best.score:
            self.best = Best(score, int(row["epoch"]), copied_weights(network))

    def state_dict(self) -> dict[str, Any]:
        """Everything, as nested dicts of tensors and numbers. The rows are one tensor: torch saves lists slowly."""
        import torch

        values = torch.tensor([list(row.values()) for row in self.rows], dtype=torch.float64)
        return {"rows": values, "best": vars(self.best)}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in saved["rows"].tolist()]
        self.rows = [{**row, "epoch": int(row["epoch"])} for row in rows]
        self.best = Best(**saved["best"])


def history_columns(task: "Task") -> tuple[str, ...]:
    """The columns of `history.csv`."""
    metrics = (f"{split}_{metric}" for metric in ("loss", *task.metrics) for split in ("train", "validation"))
    return ("epoch", "learning_rate", *metrics)


def history_row(result: "EpochResult", task: "Task") -> dict[str, float]:
    """One epoch's metrics, as `history.csv` and MLflow have them."""
    row: dict[str, float] = {"epoch": result.epoch, "learning_rate": result.learning_rate}
    for split, sums in (("train", result.train), ("validation", result.validation)):
        metrics = task.metrics_of(sums.totals, sums.examples)  # type: ignore[arg-type]
        row |= {f"{split}_{name}": value for name, value in {"loss": sums.loss / sums.examples, **metrics}.items()}
    return {name: row[name] for name in history_columns(task)}


def copied_weights(network: "nn.Module") -> "dict[str, Tensor]":
    """A copy of the network's current weights, on the CPU."""
    return {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}
