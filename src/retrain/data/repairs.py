"""Repairs of texts, for tables and for single rows; without pandas, whose import takes half a second."""

import html
import re
from collections.abc import Iterable, Sequence

from retrain import schema
from retrain.errors import RetrainError

__all__ = ["tidy_texts"]


NAMES = "quot|amp|lt|gt|nbsp|apos|hellip|mdash|ndash|lsquo|rsquo|ldquo|rdquo|pound|euro|copy|reg|trade|eacute"
"""Entities whose names are not English words. `cup;` and `sum;` are entities too, and stay."""

LOST = re.compile(rf"(?: |(?<![&\w]))(#\d{{2,4}}|{NAMES});")
"""An entity whose ampersand is missing or became a space."""
QUOTES = (
    (re.compile(r"(?<![^\s(\[])&(?:#39|apos);(?=[^\W\d])"), "‘"),
    (re.compile("&(?:#39|apos);"), "’"),
    (re.compile(r"(?<![^\s(\[])&(?:#34|quot);(?=\S)"), "“"),
    (re.compile(r"&(?:#34|quot);(?=\w)"), " “"),  # the space before it was not its ampersand
    (re.compile("&(?:#34|quot);"), "”"),
)
"""Entities of apostrophes and quotation marks, the opening ones first, and their replacements."""
ESCAPED = re.compile(r"\\(?=\$)")
BREAK = re.compile(r"\\+")
SPACES = re.compile(r"\s+")


def tidy_texts(texts: Iterable[str], repairs: Sequence[str]) -> list[str]:
    """Texts cleaned by the named repairs, and without white space around them.

    Raises:
        RetrainError: a name in `repairs` is unknown.
    """
    for name in repairs:
        if name not in REPAIRS:
            raise RetrainError("repairs", f"unknown '{name}'", schema.nearest(name, REPAIRS))
        texts = map(REPAIRS[name], texts)
    return [text.strip() for text in texts]


def repair_entities(text: str) -> str:
    """Replace HTML entities by their characters, even if their ampersand became a space: `Bush #39;s` -> `Bush’s`.

    Apostrophes and quotation marks become typographic ones. They stay different from typed ones, which show the model
    the news feed that a text came from.
    """
    if ";" not in text:
        return text
    text = LOST.sub(r"&\1;", text)
    for quote, character in QUOTES:
        text = quote.sub(character, text)
    return html.unescape(text)


def repair_backslashes(text: str) -> str:
    r"""Replace backslashes, which mark line breaks, by line breaks, and `\$` by a dollar sign."""
    return BREAK.sub("\n", ESCAPED.sub("", text)) if "\\" in text else text


def repair_spaces(text: str) -> str:
    """Replace each sequence of white space by one space."""
    if text[:1].isspace() or text[-1:].isspace():
        return SPACES.sub(" ", text)
    return " ".join(text.split())  # the same, and faster


REPAIRS = {"entities": repair_entities, "backslashes": repair_backslashes, "spaces": repair_spaces}
