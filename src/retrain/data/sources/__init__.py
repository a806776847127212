"""Where a dataset's rows come from: one file per kind of source, chosen by `prepare.source`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from retrain import params
from retrain.schema import Section

if TYPE_CHECKING:
    import pandas as pd


class SourceParameters(Section):
    """What `prepare` knows of every dataset; each source adds its own parameters."""

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
class SourceContext:
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
    """A kind of source: the model of its parameters and how it reads its rows."""

    parameters: type[SourceParameters]
    read: Callable[[Any, SourceContext], SourceRows]
    fetch: Callable[[Any, SourceContext], None]
    """Makes sure that the rows can be had; raises UnavailableError where they can't be just now."""


def load(block: Any, dataset: str) -> Source:
    """The source that a `prepare` section names.

    Raises:
        RetrainError: it names none, or one that there is not.
    """
    where = f"{params.section_path(dataset, 'prepare')}.source"
    name = block.get("source") if isinstance(block, dict) else None
    return cast("Source", params.choose("retrain.data.sources", name, where).SOURCE)


def nothing_to_fetch(_knobs: SourceParameters, _place: SourceContext) -> None:
    """For sources whose rows are installed with the project."""
