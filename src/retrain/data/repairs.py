"""Repairs of texts, and spellings of values, for tables and for single rows; without pandas, whose import takes half a second."""

import html
import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from retrain import schema
from retrain.errors import RetrainError

__all__ = ["json_text", "one_spelling", "plain", "spellings", "tidy_texts"]


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
WHOLE = re.compile(r"(-?[1-9]\d*|0)(\.00?|,0)?", re.ASCII)
"""A whole number: 01067 would be a code, and 1.000 could be a thousand."""
LOOKS = {
    **dict.fromkeys((*range(0x2010, 0x2016), 0x2212), "-"),
    **dict.fromkeys((0x2018, 0x2019, 0x201B, 0x02BC, 0x00B4), "'"),
    **dict.fromkeys(range(0x201C, 0x2020), '"'),
}
"""Dashes, apostrophes and quotation marks, and the one that a keyboard has."""


def tidy_texts(texts: Iterable[str], repairs: Sequence[str]) -> list[str]:
    """Texts cleaned by the named repairs, as `schema.composed` spells them, and without white space around them.

    Raises:
        RetrainError: a name in `repairs` is unknown.
    """
    texts = map(schema.composed, texts) if repairs else texts
    for name in repairs:
        if name not in REPAIRS:
            raise RetrainError("repairs", f"unknown '{name}'", schema.nearest(name, REPAIRS))
        texts = map(REPAIRS[name], texts)
    return [schema.composed(text).strip() for text in texts]


def plain(text: str) -> str:
    """What is left of a text without its spelling: case, spaces, invisible signs, kinds of dashes and quotes, and what NFKC joins."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", schema.INVISIBLE.sub("", text).translate(LOOKS))
    return " ".join(text.casefold().split())


def spellings(values: Iterable[str]) -> list[str]:
    """Values, and how other programs write the same: `true` as `True`, and 3 as 3.0. A code such as 03 has one spelling."""
    found = []
    for value in values:
        found.append(value)
        if value.lower() in ("true", "false"):
            found += [value.lower(), value.title(), value.upper()]
        elif whole := WHOLE.fullmatch(value):
            found += [whole[1] + zeros for zeros in ("", ".0", ".00", ",0")]
    return found


def one_spelling(values: Iterable[str]) -> dict[str, str]:
    """How to write each of some values: in the shortest of those spellings that are there; see `spellings`."""
    there = {*values}
    return {value: min(there.intersection(spellings([value])), key=lambda own: (len(own), own)) for value in there}


def json_text(value: Any) -> str:
    """A list or an object of JSON as its text, with sorted keys; see `json.dumps` for errors."""
    text = as_json(value)
    return text if text.isascii() else as_json(json.loads(schema.composed(text)))


def listed(value: Any) -> Any:
    """An array as a list; raises TypeError for anything else that JSON does not have."""
    if not hasattr(value, "tolist"):
        raise TypeError(type(value))
    return value.tolist()


as_json = partial(json.dumps, ensure_ascii=False, separators=(",", ":"), sort_keys=True, default=listed)


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
