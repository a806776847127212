"""Where a dataset's rows come from: one file per kind of source, chosen by `prepare.source`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from retrain import params
from retrain.params import Section

if TYPE_CHECKING:
    import pandas as pd


class SourceKnobs(Section):
    """What `prepare` knows of every dataset; each source adds its own knobs."""

    source: str
    repairs: tuple[Literal["entities", "backslashes", "spaces"], ...]


@dataclass(frozen=True)
class SourceRows:
    """Rows as a source gives them, before cleaning.

    Text columns hold strings, number columns float64. Input columns come first, the target is the last column.
    """

    rows: "pd.DataFrame"
    official_test: "pd.DataFrame | None"
    classes: tuple[str, ...]
    """Class names that have an order of their own; others follow alphabetically."""
    notes: tuple[str, ...]
    """What the source itself left out and why, counted."""


@dataclass(frozen=True)
class Place:
    """For whom a source works."""

    dataset: str
    workspace: Path
    root: Path

    @property
    def raw(self) -> Path:
        """The dataset's folder of raw data: its card and, for a local table, the file itself."""
        return Path("data", "raw", self.dataset)


@dataclass(frozen=True)
class Source:
    """A kind of source: the model of its knobs and how it reads its rows."""

    knobs: type[SourceKnobs]
    read: Callable[[Any, Place], SourceRows]
    fetch: Callable[[Any, Place], None]
    """Makes sure that the rows can be had; raises UnavailableError where they can't be just now."""


def load(block: Any, dataset: str) -> Source:
    """The source that a `prepare` section names.

    Raises:
        RetrainError: it names none, or one that there is not.
    """
    place = f"{params.place(dataset, 'prepare')}.source"
    name = block.get("source") if isinstance(block, dict) else None
    return cast("Source", params.choose("retrain.sources", name, place).SOURCE)


def nothing_to_fetch(_knobs: SourceKnobs, _place: Place) -> None:
    """For sources whose rows are installed with the project."""
