"""The network of n-grams gives what the same sums of dense matrices give, and its steps are those of gradient descent."""

from retrain.data.encoders.ngrams import Encoder
from retrain.data.encoders.ngrams import Parameters as EncoderParameters
from retrain.models.networks.ngram_bag import Network, Parameters

import numpy as np
import pandas as pd
import pytest
import torch
from support.project import news_rows

ROWS = pd.DataFrame(
    {"title": [text[:15] for text, _ in news_rows(30, seed=3)], "lead": [text for text, _ in news_rows(30, seed=4)]},
    dtype="str",
)
TARGETS = np.array([number % 3 for number in range(30)])
SCALE = 4.0


def encoded(char_ngrams: int = 3) -> tuple[Encoder, dict[str, np.ndarray]]:
    parameters = EncoderParameters(
        name="ngrams", minimum_count=1, min_log_ratio=0.1, hash_bits=16, char_ngrams=char_ngrams
    )
    return Encoder.fit_encode(ROWS, TARGETS, parameters)


def network(size: int, *, sparse: bool = True) -> Network:
    built = Network(size, 3, Parameters(name="ngram_bag", scale=SCALE, sparse=sparse))
    torch.manual_seed(1)
    torch.nn.init.normal_(built.weight)
    torch.nn.init.normal_(built.bias)
    return built


def batch(arrays: dict[str, np.ndarray], rows: list[int]) -> list[torch.Tensor]:
    return list(map(torch.from_numpy, Encoder.gather(arrays, np.array(rows))))


def values(arrays: dict[str, np.ndarray], rows: list[int]) -> torch.Tensor:
    """The scale of each feature's bag, where a row has the feature: (rows, features)."""
    features, offsets, *_, scales = batch(arrays, rows)
    found = torch.zeros(len(rows), len(arrays["feature_weights"]))
    bags = torch.tensor_split(features.long(), offsets[1:].long())
    for number, (bag, scale) in enumerate(zip(bags, scales.flatten(), strict=True)):
        found[number // scales.shape[1]].index_add_(0, bag, scale.expand(len(bag)))
    return found


@pytest.mark.parametrize("char_ngrams", [0, 3])
def test_outputs_are_sums_of_weights(char_ngrams):
    encoder, arrays = encoded(char_ngrams)
    built, rows = network(encoder.size), [7, 2, 2, 29]
    expected = SCALE * (values(arrays, rows) @ built.weight) + built.bias
    torch.testing.assert_close(built(*batch(arrays, rows)), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sparse", [True, False])
def test_a_step_is_one_of_gradient_descent_on_what_is_learned(sparse):
    encoder, arrays = encoded()
    built, rows = network(encoder.size, sparse=sparse), [7, 2, 2, 29]
    weights = torch.from_numpy(arrays["feature_weights"])[:, None]
    learned = (built.weight.detach() / weights).requires_grad_()
    scores = torch.randn(4, 3, generator=torch.Generator().manual_seed(2))
    (SCALE * (values(arrays, rows) @ (weights * learned)) * scores).sum().backward()
    expected = weights * (learned - 0.1 * learned.grad)
    (built(*batch(arrays, rows)) * scores).sum().backward()
    assert built.weight.grad.is_sparse == sparse
    stepped = built.weight.detach() - 0.1 * built.weight.grad.to_dense()
    torch.testing.assert_close(stepped, expected.detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("outputs", [1, 2, 3, 40])
@pytest.mark.parametrize("char_ngrams", [0, 3])
def test_rows_alone_give_the_same_bits(char_ngrams, outputs):
    encoder, arrays = encoded(char_ngrams)
    built = Network(encoder.size, outputs, Parameters(name="ngram_bag", scale=1 / 3, sparse=True))
    torch.nn.init.normal_(built.weight)
    torch.nn.init.normal_(built.bias)
    rows = np.arange(len(arrays["scales"]))
    together = built.predict(*encoder.gather_to_predict(arrays, rows))
    alone = [built.predict(*encoder.gather_to_predict(arrays, rows[row : row + 1])) for row in rows]
    assert torch.equal(torch.cat(alone), together)
    with torch.inference_mode():
        assert torch.equal(built(*map(torch.from_numpy, encoder.gather_to_predict(arrays, rows))), together)


def test_a_row_without_known_features_gives_the_bias():
    encoder, _ = encoded()
    built = network(encoder.size)
    arrays = encoder.encode(pd.DataFrame({"title": ["", ""], "lead": ["", "0 0"]}, dtype="str"))
    assert torch.equal(built(*batch(arrays, [0]))[0], built.bias)


def test_starts_from_naive_bayes():
    encoder, arrays = encoded()
    built = Network(encoder.size, 3, Parameters(name="ngram_bag", scale=SCALE, sparse=True, naive_bayes=0.5))
    built.start_from(arrays)
    outputs = built(*batch(arrays, [0, 5, 29])).detach()
    evidence = torch.from_numpy(arrays["log_ratios"].astype(np.float32) * arrays["feature_weights"][:, None])
    torch.testing.assert_close(outputs, 0.5 * values(arrays, [0, 5, 29]) @ evidence, rtol=1e-5, atol=1e-5)
    assert outputs.argmax(dim=1).tolist() == [TARGETS[row] for row in (0, 5, 29)]


def test_without_naive_bayes_starts_at_zero():
    encoder, arrays = encoded()
    built = Network(encoder.size, 3, Parameters(name="ngram_bag", scale=SCALE, sparse=True))
    built.start_from(arrays)
    assert not built.weight.any()


def test_numeric_targets_start_at_zero():
    parameters = EncoderParameters(name="ngrams", minimum_count=1, min_log_ratio=0.1, hash_bits=16, char_ngrams=3)
    encoder, arrays = Encoder.fit_encode(ROWS, TARGETS.astype(np.float32)[:, None], parameters)
    built = Network(encoder.size, 1, Parameters(name="ngram_bag", scale=SCALE, sparse=True, naive_bayes=0.5))
    built.start_from(arrays)
    assert not built.weight.any()
