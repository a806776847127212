"""Planted mistakes, wrong labels and near-duplicates are found."""

from retrain.evaluation.mistakes import (
    Split,
    label_errors,
    largest_errors,
    near_duplicates,
    repeated_rows,
    repeated_texts,
)
from retrain.evaluation.words import unknown_shares, words_of

import numpy as np
import pytest

CLASSES = ["a", "b", "c"]


def split(seed: int, rows: int, wrong: list[int]) -> Split:
    """Rows whose probabilities are those of the true class; the labels of some rows are wrong."""
    draw = np.random.default_rng(seed)
    true = draw.integers(0, 3, rows)
    probabilities = draw.dirichlet([1, 1, 1], rows) * 0.5
    probabilities[np.arange(rows), true] += 0.5
    probabilities[wrong] = 0.05 + 0.85 * np.eye(3)[true[wrong]]
    labels = true.copy()
    labels[wrong] = (labels[wrong] + 1) % 3
    return Split({"row": [f"text {number}" for number in range(rows)]}, labels, probabilities)


def test_wrong_labels():
    planted = {"validation": [3, 50], "test": [7, 8, 120]}
    splits = {name: split(seed, 200, rows) for seed, (name, rows) in enumerate(planted.items())}
    table, total = label_errors(splits, CLASSES)
    assert total == 5
    assert sorted(zip(table["split"], table["row"], strict=True)) == sorted(
        (name, row) for name, rows in planted.items() for row in rows
    )
    assert list(table) == ["split", "row", "input_row", "label", "suggested", "probability"]
    for name, row, text, label, suggested in zip(*list(table.values())[:5], strict=True):
        assert text == f"text {row}"
        assert label == CLASSES[splits[name].labels[row]]
        assert suggested == CLASSES[splits[name].probabilities[row].argmax()]


def test_class_without_rows_is_never_suggested():
    probabilities = np.array([[0.1, 0.8, 0.1], [0.3, 0.1, 0.6], [0.6, 0.2, 0.2]])
    table, total = label_errors({"test": Split({}, np.array([0, 0, 0]), probabilities)}, CLASSES)
    assert (table["row"], total) == ([], 0)


def test_confident_mistakes():
    inputs = {"text": list("pqrst"), "target": [1.0, 2.0, 3.0, 4.0, 5.0]}
    predictions = {"predicted": list("xyyxx"), "probability": np.array([0.6, 0.9, 0.7, 0.9, 0.8])}
    table = largest_errors(inputs, list("xxxyx"), predictions)
    assert table == {
        "row": [1, 3, 2], "text": ["q", "s", "r"], "input_target": [2.0, 4.0, 3.0],
        "target": ["x", "y", "x"], "predicted": ["y", "x", "y"], "probability": [0.9, 0.9, 0.7],
    }  # fmt: skip


def test_largest_errors():
    targets = np.arange(50.0)
    predicted = targets.copy()
    predicted[[4, 9, 30]] += [1.0, -5.0, 2.0]
    table = largest_errors({"x": targets}, targets, {"predicted": predicted})
    assert (table["row"], table["error"]) == ([9, 30, 4], [-5.0, 2.0, 1.0])
    assert len(largest_errors({}, targets, {"predicted": targets + 1})["row"]) == 20


def sentences(seed: int, rows: int) -> list[str]:
    words = np.random.default_rng(seed).integers(0, 5_000, (rows, 20))
    return [" ".join(f"w{word}" for word in row) for row in words]


def test_repeated_texts():
    train, test = sentences(1, 5_000), sentences(2, 300)
    copies = {row: 16 * row for row in range(0, 300, 3)}
    for row, other in copies.items():
        words = train[other].split()
        words[row % 20] = "changed"
        test[row] = ", ".join(words).upper()
    test[1] = train[1].split()[0]
    pairs = repeated_texts(words_of(test), words_of(train))
    found = {row: other for row, other, _ in pairs}
    assert len(found) >= 0.97 * len(copies)
    assert all(copies[row] == other for row, other in found.items())
    assert all(0.8 <= similarity < 1 for _, _, similarity in pairs)


def test_template_texts_take_bounded_time():
    """Equal texts are compared with 20 partners only, however many there are."""
    assert len(repeated_texts(words_of(sentences(1, 1) * 3_000), words_of(sentences(1, 1) * 30_000))) == 3_000


@pytest.mark.parametrize("texts", [[], ["", "!"], ["one two three"]])
def test_texts_without_enough_words(texts):
    assert repeated_texts(words_of(texts), words_of(texts)) == []


def numbers(seed: int, rows: int) -> dict:
    draw = np.random.default_rng(seed)
    return {
        **{name: draw.normal(5.0, 3.0, rows) for name in "xyz"},
        "w": np.where(draw.random(rows) < 0.5, np.nan, draw.normal(size=rows)),
        "colour": draw.choice(["red", "Blue", "green"], rows).tolist(),
        "day": np.datetime64("2020-01-01T00:00:00", "s") + draw.integers(0, 10**8, rows).astype("timedelta64[s]"),
    }


KINDS = {**dict.fromkeys("xyzw", "number"), "colour": "category", "day": "date"}


def test_repeated_rows():
    train, test = numbers(1, 3_000), numbers(2, 500)
    copies = {row: 5 * row for row in range(0, 500, 10)}
    for row, other in copies.items():
        for name in test:
            test[name][row] = train[name][other]
        test["x"][row] += 0.003 * (row % 3)
        test["colour"][row] = f" {test['colour'][row].upper()}"
    test["colour"][0] = "other"
    test["w"][10] = 0.5 if np.isnan(test["w"][10]) else np.nan
    found = repeated_rows(test, train, KINDS)
    assert {row: other for row, other, _ in found} == {
        row: other for row, other in copies.items() if row not in (0, 10)
    }
    assert min(similarity for _, _, similarity in found) > 0.99


def test_rows_that_are_equal_by_chance_are_no_duplicates():
    draw = np.random.default_rng(1)
    test, train = ({"x": draw.integers(0, 9, rows).astype(float)} for rows in (100, 1_000))
    assert repeated_rows(test, train, {"x": "number"}) == []


def test_table_of_pairs():
    test = {"text": ["p", "q"], "target": [1.0, 2.0], "label": ["x", "y"]}
    train = {"text": ["r", "s"], "target": [3.0, 4.0], "label": ["y", "x"]}
    assert near_duplicates([(0, 1, 0.85), (1, 0, 0.9)], test, train, ["text", "target"], "label") == {
        "test_row": [1, 0], "train_row": [0, 1], "similarity": [0.9, 0.85],
        "test_text": ["q", "p"], "train_text": ["r", "s"],
        "test_input_target": [2.0, 1.0], "train_input_target": [3.0, 4.0],
        "test_target": ["y", "x"], "train_target": ["y", "x"],
    }  # fmt: skip


def test_words():
    known = words_of(["The cat sat.", "", "a DOG, née Übel"])
    assert known.counts.tolist() == [3, 0, 4]
    shares = unknown_shares(words_of(["the dog ran", "", "übel", "sat"]), known)
    assert shares.tolist() == pytest.approx([1 / 3, np.nan, 0.0, 0.0], nan_ok=True)
    assert unknown_shares(words_of(["any"]), words_of([])).tolist() == [1.0]
    many = [f"word{number % 7} and" for number in range(10_000)]
    assert words_of(many).counts.tolist() == [2] * 10_000
    assert len(np.unique(words_of(many).hashes)) == 8
