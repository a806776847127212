"""The model that answers, and its change to a new one between two requests."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from retrain.errors import RetrainError
from retrain.models import description
from retrain.models.model import Model, load, sha256_of
from retrain.release import finding
from retrain.serving.counters import Counters

__all__ = ["Served"]


class Served:
    """What a user named, and the model that it stands for now."""

    def __init__(self, workspace: Path, name: str, model: Model) -> None:
        self.workspace, self.name = workspace, name
        self.model, self.since = model, time.time()
        self.problem = ""
        """Why the name stands for no model now, such as a champion that was demoted; empty if it does."""
        check(model)

    @property
    def sha256(self) -> str:
        """The start of the model's digest."""
        return self.model.short_sha256

    async def watch(self, seconds: float, counters: Counters, log: Callable[[str], None]) -> None:
        """Change to a new model as soon as its files are complete; a broken one changes nothing.

        Args:
            seconds: the time between two looks.
            counters: count the changes.
            log: prints a line.
        """
        used = seen = None
        while True:
            await asyncio.sleep(seconds)
            before, seen = seen, await asyncio.to_thread(self.state)
            if isinstance(seen, str):
                if seen != self.problem:
                    log(f"{seen}; model {self.sha256} keeps answering")
                self.problem = seen
                continue
            self.problem = ""
            if seen == used or seen != before:  # files that still change are not complete
                continue
            used = seen
            try:
                model = await asyncio.to_thread(self.load_if_new)
            except Exception as error:  # noqa: BLE001 (the model that answers must not suffer from another one)
                counters.failed_swaps += 1
                fact = str(error) if isinstance(error, RetrainError) else type(error).__name__
                log(f"the new model of {self.name} is not used, model {self.sha256} keeps answering: {fact}")
                if await asyncio.to_thread(self.state) != used:  # the fault may have been one of the store
                    used = None
                continue
            if model is not None and await asyncio.to_thread(self.state) == used:
                earlier, self.model, self.since = self.sha256, model, time.time()
                counters.swaps += 1
                log(f"changed from model {earlier} to model {self.sha256}")

    def load_if_new(self) -> Model | None:
        """The model that the name stands for, checked; None if it is the one that answers."""
        folder = finding.folder_of(self.workspace, self.name)
        if sha256_of(folder) == self.model.sha256:
            return None
        model = load(folder)
        check(model)
        return model

    def state(self) -> tuple[Any, ...] | str:
        """Changes when the name stands for other files; a text where it stands for none, or where a look fails."""
        try:
            folder = finding.folder_of(self.workspace, self.name)
            stats = [(folder / name).stat() for name in (description.FILE, description.WEIGHTS)]
        except Exception as error:  # noqa: BLE001 (the next look may succeed, and the model that answers stays)
            if isinstance(error, RetrainError):
                return str(error)
            return f"{self.name} is not there ({type(error).__name__})"
        return (str(folder), *((one.st_mtime_ns, one.st_size, one.st_ino) for one in stats))


def check(model: Model) -> None:
    """Let a model answer once: a broken one raises, and the first client does not wait for tables."""
    model.answers(model.columns_of([example_of(model)]))


def example_of(model: Model) -> dict[str, Any]:
    """A row that the model can answer."""
    encoder = model.encoder
    values = {"text": "a text", "date": None, "category": "", "number": 0.0}
    row: dict[str, Any] = {}
    for name, kind in zip(encoder.columns, encoder.kinds, strict=True):
        first = min(encoder.known.get(name, ()), default=values[kind])
        row[name] = encoder.centers.get(name, first)
    return row
