"""What `/metrics` says, in the text format of Prometheus."""

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import psutil

__all__ = ["CONTENT_TYPE", "EMPTY", "UNKNOWN", "ZONES", "Counters"]


CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
NAME = "retrain_serve"
UNKNOWN, EMPTY, ZONES = "unknown_categories_total", "unexpected_gaps_total", "unexpected_offsets_total"
STRANGE = {
    UNKNOWN: "Predicted rows with a category that the model does not know.",
    EMPTY: "Predicted rows without a value in a column, but with another one, if the column was filled in two thirds of the training rows or more.",
    ZONES: "Predicted rows with an offset from UTC in a column of times that had none in the training, or without one where it had.",
}


class Histogram:
    """How often values were at most each bound."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds, self.counts, self.sum = bounds, [0] * (len(bounds) + 1), 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def lines(self, name: str, text: str) -> Iterator[str]:
        """The lines of a histogram."""
        yield from (f"# HELP {name} {text}", f"# TYPE {name} histogram")
        total = 0
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            total += count
            yield f'{name}_bucket{{le="{bound}"}} {total}'
        yield from (f"{name}_sum {self.sum:.9g}", f"{name}_count {total}")


@dataclass
class Counters:
    """Counts since the start of the server."""

    started: float = field(default_factory=time.time)
    requests: Counter[tuple[str, int]] = field(default_factory=Counter)
    """By path and status; 499 where the client went away."""
    rows: int = 0
    strange: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By a key of `STRANGE` and the column, the values that the model does not know."""
    swaps: int = 0
    failed_swaps: int = 0
    seconds: Histogram = field(default_factory=lambda: Histogram(SECONDS))
    """From the headers of a request for predictions to its answer."""
    batches: Histogram = field(default_factory=lambda: Histogram(ROWS))
    """Rows that were predicted together."""

    def text(self, model: str, sha256: str, connections: int, waiting: int) -> str:
        """All metrics.

        Args:
            model: the name of the model that answers.
            sha256: its digest.
            connections: open connections.
            waiting: large requests that wait for the worker thread.
        """
        lines: list[str] = []

        def add(name: str, kind: str, text: str, *values: tuple[str, float]) -> None:
            lines.extend((f"# HELP {NAME}_{name} {text}", f"# TYPE {NAME}_{name} {kind}"))
            lines.extend(f"{NAME}_{name}{labels} {value:.15g}" for labels, value in values)

        by_status = [
            (f'{{path="{path}",status="{status}"}}', count) for (path, status), count in sorted(self.requests.items())
        ]
        add("requests_total", "counter", "Answered requests.", *by_status)
        add("rows_total", "counter", "Predicted rows.", ("", self.rows))
        for kind, text in STRANGE.items():
            columns = [(name, count) for (own, name), count in sorted(self.strange.items()) if own == kind]
            add(kind, "counter", text, *((f"{{column={quoted(name)}}}", count) for name, count in columns))
        lines.extend(self.seconds.lines(f"{NAME}_request_seconds", "Seconds of a request for predictions."))
        lines.extend(self.batches.lines(f"{NAME}_batch_rows", "Rows that were predicted together."))
        add("connections", "gauge", "Open connections.", ("", connections))
        add("waiting_requests", "gauge", "Large requests that wait for the worker thread.", ("", waiting))
        add("model_info", "gauge", "The model that answers.", (f'{{model="{model}",sha256="{sha256}"}}', 1))
        results = (('{result="ok"}', self.swaps), ('{result="failed"}', self.failed_swaps))
        add("model_changes_total", "counter", "Changes to a new model, and new models that failed.", *results)
        add("start_time_seconds", "gauge", "When the server started, in seconds since 1970.", ("", self.started))
        add("resident_memory_bytes", "gauge", "Memory of the process.", ("", psutil.Process().memory_info().rss))
        return "\n".join(lines) + "\n"


def quoted(name: str) -> str:
    """A name as the value of a label."""
    return '"' + name.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") + '"'
