"""The common base of the encoders of text."""

import re
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from retrain.data.encoders import Rows

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["OfText", "joined"]


class OfText:
    """The methods that all encoders of text share."""

    holds: ClassVar[str] = "text"
    columns: tuple[str, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kind of each column: text."""
        return ("text",) * len(self.columns)

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """No column holds numbers."""
        return {}

    @staticmethod
    def contents(rows: "pd.DataFrame") -> list[bytes]:
        """The words of each row, without case, punctuation and spacing, in Unicode's NFKC form."""
        word = re.compile(r"\w+")
        normalised = (unicodedata.normalize("NFKC", text).casefold() for text in joined(rows, list(rows.columns)))
        return [" ".join(word.findall(text)).encode() for text in normalised]

    def rows_of_texts(self, texts: Sequence[str]) -> dict[str, list[str]]:
        """Rows with the texts in the last input column. The other columns, such as a title, are empty."""
        return {**{name: [""] * len(texts) for name in self.columns}, self.columns[-1]: list(texts)}


def joined(rows: Rows, columns: Sequence[str]) -> list[str]:
    """Some columns of each row as one text, separated by spaces."""
    return [" ".join(part for part in row if part) for row in zip(*(rows[name] for name in columns), strict=True)]
