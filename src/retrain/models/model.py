"""A saved model for other programs: raw rows in, answers out."""

import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from retrain import files, schema
from retrain.data.encoders import Encoder
from retrain.data.raw_rows import RawRows, are_texts, columns_of, without_units, zones
from retrain.data.reading.file_format import Format
from retrain.models import description, predictor
from retrain.models.description import Description
from retrain.models.predictor import Predictor
from retrain.models.unfamiliar import CLEARLY, Unfamiliar

__all__ = ["Answer", "Columns", "Model", "load", "sha256_of"]


Columns = dict[str, Any]
"""The values of each column: a list, or an array of dates."""
Answer = dict[str, Any]
"""`label` and `probabilities` by class; or `number`, and the ends `low` and `high` of its interval if it has one."""

BLOCK = 32
"""Rows that the network computes at once, always as many: so an answer does not depend on the other rows."""
ROWS_AT_ONCE = 1024
"""The same for networks whose outputs do not depend on the number of rows anyway; it limits memory."""


@dataclass(frozen=True)
class Model:
    """A model, ready to answer."""

    predictor: Predictor
    sha256: str
    """The digest of its files."""

    def __repr__(self) -> str:
        """What a notebook shows: without the encoder, which may know thousands of words."""
        return f"Model({self.name}, {self.short_sha256})"

    @property
    def short_sha256(self) -> str:
        """The start of the digest, which people see."""
        return self.sha256[:12]

    @property
    def description(self) -> Description:
        """What `model.json` says."""
        return self.predictor.description

    @property
    def name(self) -> str:
        """The name of its dataset."""
        return self.description.dataset

    @property
    def encoder(self) -> Encoder:
        """The encoder of its inputs, which knows the names and kinds of its columns."""
        return self.predictor.encoder

    @cached_property
    def repairs(self) -> list[str]:
        """What was repaired in texts before training."""
        return list(self.description.prepare.repairs)

    @cached_property
    def written(self) -> Format:
        """How the training file spelt its values: `prepare.format`; raises RetrainError if the model does not describe one."""
        return schema.check(self.description.prepare.written, Format, f"the model of {self.name}")

    @property
    def offsets(self) -> dict[str, bool]:
        """Whether the times of each column of dates had an offset in the training file; empty if that is not known."""
        return self.description.offsets

    @cached_property
    def gaps(self) -> dict[str, float]:
        """The share of the training rows that lacked a value in each column, without columns that lacked so many that no file can have clearly more; empty if that is not known."""
        return {name: share for name, share in self.description.gaps.items() if CLEARLY * share < 1}

    def predict(self, rows: RawRows) -> list[Answer]:
        """The answers to rows, in their order.

        An answer does not depend on the other rows. Python warns of values that the model does not know, as `retrain predict` does.

        Args:
            rows: a list of texts (for a model of texts), a list of rows as mappings from column names to values, or a
                table of pandas or pyarrow. Other columns than the model's are ignored.

        Raises:
            RetrainError: a column is missing, or a value is not what its column holds.
        """
        columns = self.columns_of(rows)
        for warning in self.warnings_of(rows, columns):
            warnings.warn(warning, stacklevel=2)
        return self.answers(columns)

    def warnings_of(self, rows: RawRows, columns: Columns) -> list[str]:
        """What to say about values that the model does not know, of rows and what `columns_of` made of them."""
        zones = self.zones_of(rows)
        unfamiliar = Unfamiliar(
            self.encoder, units=self.written.units_in, offsets=self.offsets, zones=zones, gaps=self.gaps_of(rows)
        )
        unfamiliar.add(columns)
        unfamiliar.bare |= {
            name: (len(bare), bare[0]) for name, bare in without_units(rows, self.encoder, self.written) if bare
        }
        return [*unfamiliar.warnings()]

    def columns_of(self, rows: RawRows) -> Columns:
        """The columns that the model reads, checked and repaired; see `predict`."""
        return columns_of(rows, self.encoder, self.repairs, self.written)

    def zones_of(self, rows: RawRows) -> dict[str, tuple[int, int]]:
        """How many values of each column of dates have an offset, and how many have none."""
        return zones(rows, self.encoder, self.written, self.offsets)

    def gaps_of(self, rows: RawRows) -> dict[str, float]:
        """The `gaps` to compare these rows with: none for bare texts, which leave the other columns empty on purpose."""
        return {} if are_texts(rows) else self.gaps

    def answers(self, columns: Columns) -> list[Answer]:
        """The answers to what `columns_of` returns, or to several of them put together."""
        count = len(columns[self.encoder.columns[0]])
        if not count:
            return []
        if self.predictor.network.rowwise:
            return self.predictor.answers(self.predictor.outputs(columns, ROWS_AT_ONCE))
        return self.predictor.answers(self.predictor.outputs(columns, BLOCK, full=True))


def load(folder: Path) -> Model:
    """The model in a folder, on the CPU.

    Raises:
        RetrainError: a file is missing or damaged, or it does not describe a model of this program.
    """
    loaded = predictor.load(folder)
    network = loaded.network
    # The weights are in the file itself, mapped into memory: without a copy, a program that overwrites it changes them.
    network.load_state_dict({name: tensor.clone() for name, tensor in network.state_dict().items()}, assign=True)
    return Model(loaded, sha256_of(folder))


def sha256_of(folder: Path) -> str:
    """The digest of a model's files."""
    return files.combined_sha256(
        {name: files.sha256(folder / name) for name in (description.FILE, description.WEIGHTS)}
    )
