"""Contributions of words and columns: exact where the network is linear, by leaving out elsewhere."""

from math import nan

import retrain
from retrain.data.encoders import mixed
from retrain.models import explaining
from retrain.models.explaining import explain
from retrain.models.model import Model
from retrain.models.networks import mixed as mixed_network
from retrain.models.predictor import Predictor

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.service import model_that_answers

WORDS = st.sampled_from(["ship", "Cow", "tram", "barn", "anchor,", "the", "zzz", "é—", "...", "  ", "harbour"])
TEXTS = st.lists(WORDS, max_size=9).map(" ".join)


@pytest.fixture(scope="module")
def linear(tmp_path_factory):
    return retrain.load(model_that_answers(tmp_path_factory.mktemp("linear") / "model"))


@pytest.fixture(scope="module")
def linear_numbers(tmp_path_factory):
    return retrain.load(model_that_answers(tmp_path_factory.mktemp("numbers") / "model", "ngrams", "regression"))


@settings(max_examples=60)
@given(TEXTS, TEXTS)
def test_contributions_add_up(linear, linear_numbers, title, text):
    for model in (linear, linear_numbers):
        columns = model.columns_of([{"title": title, "text": text}])
        found = explain(model, columns)
        assert (found.method, found.answer) == ("exact", model.answers(columns)[0])
        total = found.base + found.rest + sum(part.contribution for part in found.parts)
        (outputs,) = model.predictor.outputs(columns, 1).double().tolist()
        if "label" in found.answer:
            label = list(found.answer["probabilities"]).index(found.answer["label"])
            assert total == pytest.approx(outputs[label] - np.mean(outputs), abs=1e-3)
        else:
            assert total == pytest.approx(found.answer["number"], rel=1e-4, abs=1e-3)
        words = [(part.column, part.word) for part in found.parts]
        assert [word for column, word in words if column == "title" and word.isalpha()] == (
            title.lower().replace(",", " ").replace("—", " ").replace(".", " ").split()
        )


def test_a_lone_word_has_its_features(linear):
    """With the weights of one feature alone, its word gets all of it."""
    encoder, network = linear.encoder, linear.predictor.network
    feature = encoder.encode({"title": [""], "text": ["ship"]})["features"][-1]  # its end, as an n-gram
    weight = network.weight.detach().clone()
    try:
        with torch.no_grad():
            network.weight.zero_()
            network.weight[feature, 2] = 5.0
        found = explain(linear, linear.columns_of([{"title": "zzz", "text": "qqq ship"}]))
    finally:
        network.weight.data = weight
    given = {part.word: part.contribution for part in found.parts}
    assert given["zzz"] == given["qqq"] == 0
    assert given["ship"] != 0


def test_words_are_left_out(tmp_path):
    model = retrain.load(model_that_answers(tmp_path / "model", "text", "classification"))
    found = explain(model, model.columns_of([{"title": "the ship", "text": "cow"}]))
    assert (found.method, [(part.column, part.word) for part in found.parts]) == (
        "leave-one-out",
        [("title", "the"), ("title", "ship"), ("text", "cow")],
    )
    label = found.answer["label"]
    (without,) = model.predict([{"title": "the", "text": "cow"}])
    assert found.parts[1].contribution == found.answer["probabilities"][label] - without["probabilities"][label]


def test_numbers_become_their_mean(tmp_path):
    model = retrain.load(model_that_answers(tmp_path / "model", "numbers", "regression"))
    found = explain(model, model.columns_of([{"a": 4.0, "b": 1.0}]))
    (without,) = model.predict([{"a": model.encoder.means[0], "b": 1.0}])
    assert [part.column for part in found.parts] == ["a", "b"]
    assert found.parts[0].contribution == pytest.approx(found.answer["number"] - without["number"])


def test_long_texts_have_an_end(tmp_path):
    model = retrain.load(model_that_answers(tmp_path / "model", "text", "classification"))
    found = explain(model, model.columns_of([{"title": "", "text": "ship " * 3000}]))
    assert len(found.parts) == explaining.MOST_WORDS
    assert explain(model, model.columns_of([{"title": "", "text": ""}])).parts == []


@pytest.mark.filterwarnings("ignore:.* lack a value")
def test_missing_columns_of_a_table(tmp_path):
    rows = pd.DataFrame({
        "age": [1.0, 2.0, None, 5.0],
        "size": pd.Categorical(["s", "s", "m", "m"]),
        "sold": pd.to_datetime(["2024-01-02", "2024-03-04", "2024-05-06", "2024-07-08"]).astype("datetime64[s]"),
        "note": pd.Series(["a ship", "a cow", "a ship", "a cow"], dtype="str"),
    })  # fmt: skip
    parameters = mixed.Parameters(name="mixed", bins=2, minimum_count=1, hash_bits=10, char_ngrams=0)
    encoder, _ = mixed.Encoder.fit_encode(rows, np.zeros(4, np.int64), parameters)
    described = retrain.load(model_that_answers(tmp_path / "model", "numbers", "regression")).predictor
    network = mixed_network.Network(
        encoder.size, 1, mixed_network.Parameters(name="mixed", hidden=4, heads=2, category_dim=2, text_dim=2, dropout=0.0), 2
    ).eval()  # fmt: skip
    model = Model(Predictor(network, encoder, described.task, described.loss, described.description), "0")
    row = {"age": 2, "size": "s", "sold": "2024-03-04", "note": "a cow"}
    found = explain(model, model.columns_of([row]))
    assert [part.column for part in found.parts] == ["age", "size", "sold", "note"]
    for part in found.parts:
        (without,) = model.predict([row | {part.column: None}])
        assert part.contribution == found.answer["number"] - without["number"]
    assert explain(model, model.columns_of([dict.fromkeys(row)])).parts == []
    assert explain(model, model.columns_of([row | {"age": nan}])).parts[0].column == "size"
