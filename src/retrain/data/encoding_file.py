"""`encoding.json`: what the split stage learned, from which rows, and the digests of the arrays that it wrote."""

from pathlib import Path
from typing import Annotated, Any

from retrain import files, schema
from retrain.schema import Count, Section

from pydantic import ConfigDict, Field

__all__ = [
    "ENCODING",
    "GROUP",
    "GROUPS",
    "DataFacts",
    "Encoding",
    "Gaps",
    "LearnedEncoder",
    "LearnedTask",
    "Offsets",
    "PrepareParameters",
    "SplitFacts",
    "read_encoding",
]


ENCODING = "encoding.json"
GROUPS = "test_groups.parquet"
"""Next to the tables of the splits: the number of each test row's group in the column `GROUP`, if rows come in groups."""
GROUP = "group"
"""The column with the number of a row's group, here and in `predictions.csv`."""


class LearnedEncoder(Section):
    """An encoder's name, and what it learned."""

    name: str
    learned: dict[str, Any]


class LearnedTask(Section):
    """A task's name, the column of the target, and what the task learned."""

    name: str
    column: str
    learned: dict[str, Any]

    @property
    def classes(self) -> list[str]:
        """The classes in order; none for a regression."""
        return list(self.learned.get("classes", ()))


class SplitFacts(Section):
    """The size of a split, and the digests of its table."""

    rows: Count
    sha256: str
    md5: str
    """The digest by which DVC's cache and MLflow's dataset inputs know the table."""


class PrepareParameters(Section):
    """The prepare section. Only what other stages need is checked."""

    model_config = ConfigDict(extra="allow")

    repairs: tuple[str, ...]

    @property
    def written(self) -> dict[str, Any]:
        """How the training file wrote dates and missing values: its `format`; empty if the source has none."""
        return self.model_dump().get("format") or {}


Offsets = Annotated[dict[str, bool], Field(exclude_if=lambda found: not found)]
"""Of each column of dates, whether its times had an offset from UTC; columns that mix both are left out, unless at most 5 % differ."""

Gaps = Annotated[dict[str, Annotated[float, Field(ge=0, le=1)]], Field(exclude_if=lambda found: not found)]
"""Of each input column, the share of the kept rows in which it is empty. Nothing for a single input: rows without it are left out."""


class DataFacts(Section):
    """The facts about the data in both `encoding.json` and `model.json`."""

    encoder: LearnedEncoder
    task: LearnedTask
    splits: dict[str, SplitFacts]
    prepare: PrepareParameters
    split: dict[str, Any]
    offsets: Offsets = Field(default_factory=dict)
    gaps: Gaps = Field(default_factory=dict)
    """Models of earlier versions have none."""


class Encoding(DataFacts):
    """The content of `encoding.json`."""

    arrays: dict[str, str]
    """The SHA-256 of each array, by its path in the folder of `encoding.json`."""


def read_encoding(folder: Path) -> Encoding:
    """Read the `encoding.json` of a folder.

    Raises:
        RetrainError: the file is missing or damaged.
    """
    path, hint = folder / ENCODING, f"run: dvc repro split@{folder.parent.name}"
    return schema.check(files.read_json(path, hint), Encoding, str(path), hint)
