"""Sources of a dataset's rows: one file per kind, chosen by `prepare.source`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from retrain import params
from retrain.schema import Section

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Source", "SourceContext", "SourceParameters", "SourceRows", "load", "nothing_to_fetch"]


class SourceParameters(Section):
    """The parameters that all sources have. Each source adds its own."""

    source: str
    repairs: tuple[Literal["entities", "backslashes", "spaces"], ...]
    repeats: Literal["keep", "once", "majority"] = "keep"
    """What happens to repeated rows: all are kept; or one of those with the same inputs and target; or one of those with the
    same inputs, with the target that most of them have (the median of numbers)."""
    incomplete: Literal["keep", "drop"] = "keep"
    """What happens to rows in which a number, a category or a date is missing. The encoder `mixed` learns from them."""


@dataclass(frozen=True)
class SourceRows:
    """Rows before cleaning.

    Text columns hold strings, number columns float64, categories and dates what pandas has for them. The target is the last column, and the others are the inputs.
    """

    rows: "pd.DataFrame"
    official_test: "pd.DataFrame | None"
    classes: tuple[str, ...]
    """Classes in the order of the source. All other classes follow alphabetically."""
    notes: tuple[str, ...]
    """The rows that the source itself left out: counts with reasons."""
    keys: "pd.Series[Any] | None" = None
    """What splits go by instead of a row's content: the group of each row, as text, or its time."""
    offsets: Mapping[str, bool] = field(default_factory=dict)
    """See `encoding_file.Offsets`."""


@dataclass(frozen=True)
class SourceContext:
    """The dataset and the folders that a source works for."""

    dataset: str
    workspace: Path
    root: Path
    task: str = ""
    """The value of `split.task`, which decides whether a target such as 1 is a number or the name of a class."""

    @property
    def raw(self) -> Path:
        """The folder of the dataset's card and of local files, relative to the workspace."""
        return Path("data", "raw", self.dataset)


@dataclass(frozen=True)
class Source:
    """A kind of source: its parameters, and how it reads its rows."""

    parameters: type[SourceParameters]
    read: Callable[[Any, SourceContext], SourceRows]
    fetch: Callable[[Any, SourceContext], None]
    """Makes the rows available on this machine; raises UnavailableError if that is not possible now."""


def load(block: Any, dataset: str) -> Source:
    """The source that a `prepare` section names.

    Raises:
        RetrainError: the name is missing or unknown.
    """
    where = f"{params.section_path(dataset, 'prepare')}.source"
    name = block.get("source") if isinstance(block, dict) else None
    return cast("Source", params.choose("retrain.data.sources", name, where).SOURCE)


def nothing_to_fetch(_parameters: SourceParameters, _context: SourceContext) -> None:
    """The `fetch` of sources whose rows are installed with the project."""
