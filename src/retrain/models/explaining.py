"""Which words or columns of a row a prediction comes from.

For the linear network of texts the contributions are exact; for all others, one word or column after the other is left out.
"""

import math
from dataclasses import dataclass
from typing import Any

from retrain.data.encoders._ngrams import NONE, Bags, Parts
from retrain.data.raw_rows import is_missing
from retrain.models.model import Answer, Columns, Model
from retrain.models.networks import ngram_bag

import numpy as np
import torch

__all__ = ["explain"]


EXACT, WITHOUT = "exact", "leave-one-out"
LOG_ODDS = "the label's output compared with the mean of all classes' outputs (log-odds), before calibration"
PROBABILITY, NUMBER = "the probability of the label", "the predicted number"
MOST_WORDS = 200
"""Words that are left out one by one; later ones have no contribution."""
MARKS = (b"\x02", b"\x03")


@dataclass(frozen=True)
class Part:
    """A word, or a whole column."""

    column: str
    word: str | None
    contribution: float


@dataclass(frozen=True)
class Explanation:
    """An answer and where it comes from."""

    answer: Answer
    method: str
    """`exact`: the contributions, `rest` and `base` add up to the output. `leave-one-out`: each is the change of the answer
    when this part alone is missing."""
    of: str
    """What the contributions are measured in."""
    parts: list[Part]
    """In the order of the row."""
    rest: float = 0.0
    """What belongs to no word: the starts and ends of texts."""
    base: float = 0.0
    """The output of a row without any known word."""


def explain(model: Model, columns: Columns) -> Explanation:
    """Explain the answer to a single row.

    Args:
        model: the model.
        columns: what `Model.columns_of` returns for one row.

    Raises:
        RetrainError: the model can't answer the row.
    """
    (answer,) = model.answers(columns)
    if isinstance(model.encoder, Bags) and isinstance(model.predictor.network, ngram_bag.Network):
        return exact(model, model.encoder, model.predictor.network, columns, answer)
    return by_leaving_out(model, columns, answer)


def exact(model: Model, encoder: Bags, network: ngram_bag.Network, columns: Columns, answer: Answer) -> Explanation:
    """Spread the contribution of each feature evenly over the bytes of its words, and add them up by word."""
    texts = [columns[name] for name in encoder.columns]
    weights, base = of_answer(model, answer, network.weight.detach().numpy(), network.bias.detach().numpy())
    scales = network.scale * encoder.encode(columns)["scales"][0].astype(np.float64)
    parts = Parts.of(texts, encoder.hash_bits, encoder.char_ngrams)
    first, last = parts.spans
    words = [parts.content[begin:end] for begin, end in zip(first, last, strict=True)]
    owner = np.full(len(parts.content), -1)
    for number, (begin, end) in enumerate(zip(first, last, strict=True)):
        if words[number] not in MARKS:
            owner[begin:end] = number
    # The places of the features: of a word and of a word of a title the same, of a pair those of both words.
    begins = np.repeat(first, parts.words.shape[1])
    ends = np.stack([last, np.append(last[1:], last[-1:]), last][: parts.words.shape[1]], axis=1).ravel()
    places = np.arange(len(parts.char_ngrams))
    found = [
        (encoder.table[buckets[buckets != NONE]], begin[buckets != NONE], end[buckets != NONE])
        for buckets, begin, end in (
            (parts.words.ravel(), begins, ends),
            (parts.char_ngrams, places, places + encoder.char_ngrams),
        )
    ]
    given = np.zeros(len(words))
    rest = 0.0
    for (features, begin, end), scale in zip(found, scales, strict=False):
        known = features != NONE
        by_word, other = spread(scale * weights[features[known]], begin[known], end[known], owner, len(words))
        given, rest = given + by_word, rest + other
    names = [name for name, text in zip(encoder.columns, texts, strict=True) if text[0]]
    closed = np.cumsum([word == MARKS[1] for word in words])
    shown = [
        Part(names[closed[number]], word.decode(), float(given[number]))
        for number, word in enumerate(words)
        if word not in MARKS and word.strip()
    ]
    of = LOG_ODDS if "label" in answer else NUMBER
    return Explanation(
        answer, EXACT, of, shown, rest + float(given.sum()) - sum(one.contribution for one in shown), base
    )


def of_answer(model: Model, answer: Answer, weight: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, float]:
    """The weight of each feature for the answer, float64, (features,), and what a row without features gives."""
    if "label" in answer:
        number = list(answer["probabilities"]).index(answer["label"])
        return weight[:, number].astype(np.float64) - weight.mean(axis=1, dtype=np.float64), float(
            bias[number] - bias.mean()
        )
    zero, one = (each["number"] for each in model.predictor.task.answers(torch.tensor([[0.0], [1.0]])))
    return weight[:, 0].astype(np.float64) * (one - zero), zero + (one - zero) * float(bias[0])


def spread(
    values: np.ndarray, begins: np.ndarray, ends: np.ndarray, owner: np.ndarray, words: int
) -> tuple[np.ndarray, float]:
    """The sum of values by word, each spread evenly over the bytes between its places that belong to words; and the rest.

    Args:
        values: of each feature.
        begins: where it begins.
        ends: where it ends.
        owner: the word of each byte, or -1.
        words: how many words there are.
    """
    owned = np.concatenate([[0], np.cumsum(owner >= 0)])
    count = owned[ends] - owned[begins]
    some = count > 0
    steps = np.zeros(len(owner) + 1)
    np.add.at(steps, begins[some], values[some] / count[some])
    np.add.at(steps, ends[some], -values[some] / count[some])
    of_bytes = np.cumsum(steps)[:-1]
    by_word = np.bincount(owner[owner >= 0], of_bytes[owner >= 0], words)
    return by_word, float(values[~some].sum())


def by_leaving_out(model: Model, columns: Columns, answer: Answer) -> Explanation:
    """Answer the row without each word, if the model has texts only, or without each column."""
    encoder = model.encoder
    variants: list[tuple[str, str | None, Any]] = []
    for name, kind in zip(encoder.columns, encoder.kinds, strict=True):
        if set(encoder.kinds) == {"text"}:
            words = (columns[name][0] or "").split()
            variants += [(name, word, " ".join(words[:place] + words[place + 1 :])) for place, word in enumerate(words)]
        elif columns[name][0] != "" and not is_missing(columns[name][0]):
            variants.append((name, None, missing(model, name, kind)))
    variants = variants[:MOST_WORDS]
    rows: Columns = {}
    for other, values in columns.items():
        changed = [value if name == other else values[0] for name, _, value in variants]
        rows[other] = np.array(changed, dtype=values.dtype) if isinstance(values, np.ndarray) else changed
    answers = model.answers(rows) if variants else []
    parts = [
        Part(name, word, score(answer, answer) - score(answer, other))
        for (name, word, _), other in zip(variants, answers, strict=True)
    ]
    return Explanation(answer, WITHOUT, PROBABILITY if "label" in answer else NUMBER, parts)


def score(answer: Answer, other: Answer) -> float:
    """What another answer says about the answer: the probability of its label, or the number."""
    return float(other["probabilities"][answer["label"]] if "label" in answer else other["number"])


def missing(model: Model, name: str, kind: str) -> Any:
    """What stands for a missing value; where there is none, the middle of the numbers of the training."""
    if kind == "number":
        low, high = model.encoder.ranges.get(name, (math.nan, math.nan))
        return math.nan if model.encoder.holds == "anything" else (low + high) / 2
    return {"text": "", "date": np.datetime64("NaT")}.get(kind, math.nan)
