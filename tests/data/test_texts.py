"""Texts in all scripts, and texts of signs: two different ones are never equal, and words stay whole."""

import sys

from retrain.data import splitting
from retrain.data.encoders import _text, mixed, ngrams, text
from retrain.data.encoders.text import tokenize
from retrain.data.repairs import repair_spaces

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

THUMB, DARK, HEART, WOMAN, ROCKET = (
    "\N{THUMBS UP SIGN}",
    "\U0001f3ff",
    "\N{HEAVY BLACK HEART}",
    "\U0001f469",
    "\U0001f680",
)
COLOURED, JOINER, RIGHT_TO_LEFT, SOFT_HYPHEN = "\ufe0f", "\u200d", "\u200f", "\xad"
DIFFERENT = [
    "C", "C++", "C#", "F#", "A+", "A-", "5 %", "5 $", "-1", "1", "> 3", "< 3", ":)", ":(", ":-)", ";)", ":D", "...", "?", "",
    THUMB, THUMB + DARK, HEART, WOMAN, WOMAN + JOINER + ROCKET, "good " + THUMB, "good :)", "good :(", "good",
    "\u0915\u093f", "\u0915\u0940", "\u0915", "\u0645\u064f", "\u0645", "\u05e9\u05c1", "\u05e9\u05c2", "\u0e17\u0e35", "\u0e17\u0e37", "q\u0307", "q\u0323",
]  # fmt: skip
"""Vowel signs of Hindi, Arabic and Thai, points of Hebrew, and accents without a letter of their own, are among them."""
SAME = [
    ("caf\u00e9", "cafe\u0301"), (HEART, HEART + COLOURED), ("\u05d0\u05d1", "\u05d0\u05d1" + RIGHT_TO_LEFT),
    ("hy" + SOFT_HYPHEN + "phen", "hyphen"), ("The ship", "the  ship!"), ("e-mail", "E mail."), ("\u201cYes\u201d", '"yes"'),
]  # fmt: skip
PLAIN = "aZ09_ .,-:)\n\x00\x1f\xe9\xa3\u20ac\u2018\u2019\u201c\u201d\u2013\u2014\u2026\u0301"


def table(texts: list[str]) -> pd.DataFrame:
    """Texts with a target."""
    return pd.DataFrame({"text": pd.Series(texts, dtype="str"), "label": "x"})


def contents(texts: list[str]) -> list[bytes]:
    """What decides the split of a text."""
    return text.Encoder.contents(table(texts)[["text"]])


def left_out(text_of_train: str, text_of_test: str) -> bool:
    """Whether a row of the train file is left out because the official test file has it."""
    one, other = [text_of_train], [text_of_test]
    return splitting.copies(table(one), contents(one), table(other), contents(other)) == [True]


def test_different_texts_have_different_contents():
    assert len(set(contents(DIFFERENT))) == len(DIFFERENT)


@pytest.mark.parametrize(("one", "other"), SAME)
def test_equal_texts_have_equal_contents(one, other):
    assert contents([one]) == contents([other])
    assert left_out(one, other)


@pytest.mark.parametrize("more", ["", " and I would buy it again"])
@pytest.mark.parametrize(
    ("one", "other"), [(":)", ":("), (THUMB, DARK), ("C++", "C#"), ("-1", "1"), ("\u0915\u093f", "\u0915\u0940")]
)
def test_signs_count_in_the_test_file(one, other, more):
    assert not left_out(one + more, other + more)
    assert left_out(one + more, one + more)


def test_reprinted_news_is_left_out():
    one, other = (
        "Oil prices soar - again, says \u2018OPEC\u2019 (Reuters)",
        'Oil Prices soar, again: says "OPEC"; Reuters...',
    )
    assert left_out(one, other)


def test_signs_do_not_move_long_texts():
    assert contents(["compute *x* from `a | b`"]) == contents(["Compute x from a & b."]) == [b"compute x from a b"]


def test_only_signs_fill_all_splits():
    texts = [chr(code) for code in range(0x1F600, 0x1F640)]
    section = splitting.Split.model_validate(
        {"validation": 0.2, "test": 0.2, "seed": 1, "task": "classification", "encoder": {}}
    )
    parts = splitting.split(table(texts), contents(texts), None, section)
    assert min(map(len, parts.values())) >= 5


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("Don't stop: 3.14 e-mails", ["don't", "stop", ":", "3.14", "e", "-", "mails"]),
        ("\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e", ["\u0928\u092e\u0938\u094d\u0924\u0947", "\u0926\u0941\u0928\u093f\u092f\u093e"]),
        ("\u0645\u064f\u062d\u064e\u0645\u0651\u064e\u062f", ["\u0645\u064f\u062d\u064e\u0645\u0651\u064e\u062f".replace("\u0651\u064e", "\u064e\u0651")]),
        ("\u05d1\u05bc\u05b0\u05e8", ["\u05d1\u05b0\u05bc\u05e8"]),
        ("\u0e17\u0e35\u0e48\u0e19\u0e35\u0e48", ["\u0e17\u0e35\u0e48", "\u0e19\u0e35\u0e48"]),
        ("cafe\u0301 " + RIGHT_TO_LEFT, ["caf\u00e9"]),
        (f"{THUMB}{DARK} {WOMAN}{JOINER}{ROCKET} {HEART}{COLOURED}", [THUMB + DARK, WOMAN + JOINER + ROCKET, HEART]),
        ("\u6211\u559c\u6b22\u732b", ["\u6211", "\u559c", "\u6b22", "\u732b"]),
        ("C++ :)", ["c", "+", "+", ":", ")"]),
    ],
)  # fmt: skip
def test_words_of_all_scripts(written, words):
    assert tokenize(written) == words


@pytest.mark.parametrize("name", ["text", "ngrams", "mixed"])
def test_features_tell_emoticons_apart(name):
    file = {"text": text, "ngrams": ngrams, "mixed": mixed}[name]
    own = {"minimum_count": 1, "min_log_ratio": 0.0, "hash_bits": 12, "char_ngrams": 0, "bins": 2}
    given = file.Parameters(
        name=name, **{key: value for key, value in own.items() if key in file.Parameters.model_fields}
    )
    rows = table([":)", ":(", THUMB, HEART] * 5)[["text"]]
    encoder, arrays = file.Encoder.fit_encode(rows, np.arange(20, dtype=np.int64) % 2, given)
    inputs = [tuple(map(bytes, encoder.gather(arrays, np.array([row])))) for row in range(4)]
    assert len(set(inputs)) == 4


@settings(deadline=None)
@given(st.lists(st.text(PLAIN, max_size=40), min_size=1, max_size=4))
def test_plain_texts_have_the_content_that_others_would_have(texts):
    slow = [_text.content_of(_text.normalised(some)).encode() for some in texts]
    assert contents(texts) == slow == list(map(_text.encoded_content, texts))


def test_white_space_is_the_same_in_every_place():
    spaces = [char for char in map(chr, range(sys.maxunicode + 1)) if char.isspace()]
    assert len(spaces) > 20
    for char in spaces:
        assert repair_spaces(f"a{char}b{char}{char}c") == "a b c"
        assert repair_spaces(f"{char}a{char}") == " a "
