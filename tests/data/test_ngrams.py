"""Words, pairs and character n-grams match an independent tokenizer, and their weights an independent formula."""

import base64
import math
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import chdir
from itertools import pairwise
from pathlib import Path
from typing import Any

import prepare
import split
from retrain.data.encoders import _ngrams as ngrams
from retrain.data.encoders._ngrams import FIRST, LAST, ROWS_AT_ONCE, Texts
from retrain.data.encoders.ngrams import Encoder, Parameters

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.project import Project, news_rows, tiny_datasets, write_tiny_tables

unhurried = settings(deadline=None, max_examples=100)
BITS = 20
BASE, PAIR, TITLE, SPREAD, CHAR_NGRAM = map(
    int, (ngrams.BASE, ngrams.PAIR, ngrams.TITLE, ngrams.SPREAD, ngrams.CHAR_NGRAM)
)

CHARACTERS = st.sampled_from([*"aBz09_ .!#;'\t\n\v\f\r\0\\", "  ", "   ", *"éÉßİ中 \u2028’—“‿⁀", "\N{PILE OF POO}"])
TEXTS = (
    st.lists(CHARACTERS, max_size=12).map("".join)
    | st.text(st.characters(codec="utf-8", exclude_characters=FIRST + LAST), max_size=12)
    | st.builds(lambda text, times: text * times, st.text("ab! é", max_size=5), st.integers(100, 1000))
)
ROWS = st.lists(TEXTS, max_size=8)
NEWS = st.lists(st.sampled_from(["cow", "Ship", "é", "the", ".", " "]), max_size=5).map(" ".join)

Row = tuple[str, ...]
Feature = tuple[str, ...]


def words(row: Row) -> list[list[str]]:
    """The words of each column with text, and the marks around it, as an independent tokenizer finds them."""
    runs = re.compile(r"[0-9a-z_\x80-\u1fff\u2040-\U0010ffff]+|  +|[^ \t\v\f\r]")
    return [
        [FIRST, *(" " if word.isspace() and word[0] == " " else word for word in runs.findall(part.lower())), LAST]
        for part in row
        if part
    ]


def polynomial(word: str | bytes) -> int:
    """The hash of a word, in plain Python."""
    content = word if isinstance(word, bytes) else word.encode()
    return sum(byte * pow(BASE, where, 2**64) for where, byte in enumerate(content)) % 2**64


def char_ngrams_of(row: Row, length: int) -> list[bytes]:
    """All sequences of `length` bytes in a row, with the marks around its columns."""
    content = "".join(f"{FIRST}{part}{LAST}" for part in row if part).lower().encode()
    return [content[begin : begin + length] for begin in range(len(content) - length + 1)]


def features(row: Row) -> list[Feature]:
    """The features of a row: its words, its pairs, and the words of all columns but the last one with text."""
    columns = words(row)
    every = [word for column in columns for word in column]
    titles = [word for column in columns[:-1] for word in column][:-1]  # without the mark before the last column
    return [
        *(("word", w) for w in every),
        *(("pair", *two) for two in pairwise(every)),
        *(("title", w) for w in titles),
    ]


def bucket(feature: Feature) -> int:
    """The bucket of a feature."""
    kind, *parts = feature
    first, *second = map(polynomial, parts)
    mixed = {"word": first, "pair": first * PAIR + sum(second), "title": first ^ TITLE}[kind]
    return mixed * SPREAD % 2**64 >> (64 - BITS)


def table(rows: Sequence[Row]) -> pd.DataFrame:
    """Rows with as many columns as the first one has."""
    return pd.DataFrame(rows, columns=["title", "lead", "body"][: len(rows[0])], dtype="str")


def hashes(rows: Sequence[str]) -> list[list[int]]:
    """The hashes of each row's words and marks, computed for all rows at once."""
    encoded = [f"{FIRST}{row}{LAST}".lower().encode() if row else b"" for row in rows]
    ends = np.cumsum([0, *map(len, encoded)])
    found, places, _ = ngrams.words_of(Texts.of(b"".join(encoded), ends))
    return [found[begin:end].tolist() for begin, end in pairwise(places)]


def buckets(rows: Sequence[Row], char_ngrams: int) -> list[list[int]]:
    """The buckets of each row, in ascending order."""
    frame, found = table(rows), []
    for chunk in ngrams.chunks_of(frame, tuple(frame.columns), BITS, char_ngrams):
        groups = [np.split(every, np.cumsum(lengths)[:-1]) for every, lengths in chunk]
        found += [sorted(np.concatenate(row).tolist()) for row in zip(*groups, strict=True)]
    return found


def fitted(rows: Sequence[Row], targets: Sequence[float], **changed: float) -> Encoder:
    """An encoder that learned from these rows. By default it keeps nearly all features."""
    parameters = Parameters.model_validate(
        {"name": "ngrams", "minimum_count": 1, "min_log_ratio": 0.001, "hash_bits": BITS, "char_ngrams": 0, **changed}
    )
    return Encoder.fit_encode(table(rows), np.array(targets), parameters)[0]


def weighted(arrays: dict[str, np.ndarray], rows: Sequence[int]) -> list[tuple[np.ndarray, np.ndarray]]:
    """The features of each row of a batch, and their scaled weights."""
    features, offsets, *_, scales = Encoder.gather(arrays, np.array(rows))
    bags = np.split(features, offsets[1:])
    weights = [arrays["feature_weights"][bag] * scale for bag, scale in zip(bags, scales.ravel(), strict=True)]
    width = scales.shape[1]
    return [
        (np.concatenate(bags[begin : begin + width]), np.concatenate(weights[begin : begin + width]))
        for begin in range(0, len(bags), width)
    ]


def learned(encoder: Encoder) -> dict[int, float]:
    """The weight of each bucket that is a feature."""
    found = np.frombuffer(encoder.buckets, "<i4").tolist()
    return dict(zip(found, np.frombuffer(encoder.feature_weights, "<f2").tolist(), strict=True))


def counted(rows: Sequence[Row], labels: Sequence[int], minimum_count: int) -> dict[Feature, Counter[int]]:
    """How often each class has each feature that is frequent enough."""
    counts: dict[Feature, Counter[int]] = {}
    for row, label in zip(rows, labels, strict=True):
        for feature in features(row):
            counts.setdefault(feature, Counter())[label] += 1
    return {feature: count for feature, count in counts.items() if count.total() >= minimum_count}


def ratio(feature: Feature, counts: dict[Feature, Counter[int]], classes: int) -> float:
    """The largest of a feature's log-count ratios, one class against the others."""

    def inside(one: Feature, label: int) -> float:
        return counts[one][label] + 0.5

    def outside(one: Feature, label: int) -> float:
        return counts[one].total() - counts[one][label] + 0.5

    return max(
        abs(
            math.log(inside(feature, label) / sum(inside(one, label) for one in counts))
            - math.log(outside(feature, label) / sum(outside(one, label) for one in counts))
        )
        for label in range(classes)
    )


def rarity(count: int, rows: int) -> float:
    """The factor of a feature's weight that is larger for rare features."""
    return 1 + math.log((1 + rows) / (1 + min(count, rows)))


@unhurried
@given(ROWS)
def test_words_match_a_regular_expression(rows):
    expected = [[word for column in words((row,)) for word in column] for row in rows]
    found = hashes(rows)
    assert list(map(len, found)) == list(map(len, expected))
    pairs = {(word, number) for row, numbers in zip(expected, found, strict=True) for word, number in zip(row, numbers)}  # noqa: B905 (lengths are equal)
    assert len(pairs) == len({word for word, _ in pairs}) == len({number for _, number in pairs})


@unhurried
@given(ROWS)
def test_word_hashes_match_a_polynomial(rows):
    assert hashes(rows) == [[polynomial(word) for column in words((row,)) for word in column] for row in rows]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("Cow's 3rd_barn", ["cow", "'", "s", "3rd_barn"]),
        ("Élan-vital", ["élan", "-", "vital"]),
        ("a  b", ["a", " ", "b"]),
        ("a     b", ["a", " ", "b"]),
        (" a\t\tb\n", ["a", "b", "\n"]),
        ("“It’s so”—or not", ["“", "it", "’", "s", "so", "”", "—", "or", "not"]),
        ("   ", [" "]),
        ("a \n b", ["a", "\n", "b"]),
    ],
)
def test_words_are_as_expected(text, expected):
    marked = [FIRST, *expected, LAST] if text else []
    assert hashes([text]) == [list(map(polynomial, marked))]


@unhurried
@given(st.integers(1, 3).flatmap(lambda width: st.lists(st.tuples(*[TEXTS] * width), min_size=1, max_size=6)))
def test_words_pairs_and_titles_have_buckets(rows):
    assert buckets(rows, char_ngrams=0) == [sorted(map(bucket, features(row))) for row in rows]


@unhurried
@given(
    st.integers(1, 3).flatmap(lambda width: st.lists(st.tuples(*[TEXTS] * width), min_size=1, max_size=6)),
    st.integers(1, 8),
)
def test_character_ngrams_have_buckets(rows, length):
    expected = []
    for row in rows:
        of_ngrams = (
            (polynomial(ngram) ^ CHAR_NGRAM) * SPREAD % 2**64 >> (64 - BITS) for ngram in char_ngrams_of(row, length)
        )
        expected.append(sorted([*map(bucket, features(row)), *of_ngrams]))
    assert buckets(rows, length) == expected


def test_character_ngrams_know_parts_of_unseen_words():
    rows, labels = [("the footballer",), ("the economy",)] * 3, [0, 1] * 3
    found = {}
    for length in (0, 5):
        encoder = fitted(rows, labels, min_log_ratio=1.0, char_ngrams=length)
        found[length] = len(encoder.encode(table([("footballs",)]))["features"])
    assert found == {0: 0, 5: len(["footb", "ootba", "otbal", "tball"])}


def test_pairs_end_with_the_row():
    assert bucket(("pair", LAST, FIRST)) in buckets([("cow", "ship")], char_ngrams=0)[0]
    apart = buckets([("cow",), ("",), ("ship",)], char_ngrams=0)
    assert apart == [buckets([("cow",)], char_ngrams=0)[0], [], buckets([("ship",)], char_ngrams=0)[0]]
    assert bucket(("pair", LAST, FIRST)) not in apart[0] + apart[2]


@pytest.mark.parametrize(
    ("row", "titles"),
    [
        (("cow",), []),
        (("cow", "ship"), ["cow"]),
        (("cow", ""), []),
        (("", "ship"), []),
        (("cow", "ship", "tram"), ["cow", "ship"]),
        (("cow", "ship", ""), ["cow"]),
        (("cow", "", "tram"), ["cow"]),
        (("", "", ""), []),
    ],
)
def test_titles_need_a_later_column(row, titles):
    (found,) = buckets([row], char_ngrams=0)
    assert [word for word in ("cow", "ship", "tram") if bucket(("title", word)) in found] == titles


@pytest.mark.parametrize("width", [1, 2])
def test_single_rows_are_encoded_the_same(width):
    texts = [text for text, _ in news_rows(ROWS_AT_ONCE + 60, seed=5)]
    texts[7] = texts[ROWS_AT_ONCE - 1] = texts[ROWS_AT_ONCE] = ""
    rows = [(text, texts[-number])[:width] for number, text in enumerate(texts)]
    encoder = fitted(rows[:90], [number % 3 for number in range(90)])
    frame = table(rows)
    arrays = encoder.encode(frame)
    assert len(arrays["features"]) > 10 * len(rows)
    for number in (*range(100), *range(ROWS_AT_ONCE - 40, len(rows))):
        alone = encoder.encode(frame[number : number + 1])
        begin, end = arrays["offsets"][number : number + 2]
        assert np.array_equal(alone["offsets"], [0, end - begin]), number
        assert np.array_equal(alone["features"], arrays["features"][begin:end]), number
        assert np.array_equal(alone["scales"], arrays["scales"][number : number + 1]), number


@unhurried
@given(
    st.lists(st.lists(TEXTS | NEWS | st.none(), min_size=3, max_size=3), min_size=1, max_size=8),
    st.sampled_from([0, 3, 5]),
)
def test_the_short_path_gives_the_same_bits(rows, length):
    some = np.delete(np.arange(256, dtype="<i4"), [3, 77])
    weights = (1 + some % 7 / 3).astype("<f2")
    for width in (1, 3):
        encoder = Encoder(("a", "b", "c")[:width], 8, length, some.tobytes(), weights.tobytes())
        for some_rows in [[row] for row in rows] + [rows]:
            texts = [list(column) for column in zip(*some_rows, strict=True)][:width]
            columns = dict(zip(encoder.columns, texts, strict=True))
            chunks = ngrams.chunks_of(columns, encoder.columns, encoder.hash_bits, length)
            expected, arrays = encoder.arrays_of(chunks), encoder.arrays_of_few(texts)
            for name, array in expected.items():
                assert (array.dtype, array.shape, array.tobytes()) == (
                    arrays[name].dtype, arrays[name].shape, arrays[name].tobytes()
                )  # fmt: skip


def test_threads_change_nothing(monkeypatch):
    rows = [(text, text[:9]) for text, _ in news_rows(5 * ROWS_AT_ONCE, seed=6)]
    labels = [number % 3 for number in range(len(rows))]
    found = []
    for threads in (1, 3):
        monkeypatch.setattr(ngrams, "THREADS", threads)
        encoder = fitted(rows, labels, char_ngrams=3)
        found.append((encoder, encoder.encode(table(rows))))
    (one, arrays), (other, others) = found
    assert one == other
    assert all(np.array_equal(arrays[name], others[name]) for name in arrays)


def test_the_order_of_rows_changes_nothing():
    rows = [(text, text[:9]) for text, _ in news_rows(ROWS_AT_ONCE + 60, seed=6)]
    labels = [number % 3 for number in range(len(rows))]
    assert fitted(rows[::-1], labels[::-1], minimum_count=2) == fitted(rows, labels, minimum_count=2)


@unhurried
@given(
    st.lists(st.tuples(NEWS, NEWS, st.integers(0, 2)), min_size=1, max_size=10),
    st.integers(1, 4),
    st.sampled_from([0.01, 0.3, 0.8, 1.5]),
)
def test_feature_weights_match_plain_python(examples, minimum_count, min_log_ratio):
    rows, labels = [example[:2] for example in examples], [example[2] for example in examples]
    counts = counted(rows, labels, minimum_count)
    every = {feature for row in rows for feature in features(row)}
    assume(counts)
    assume(len(set(map(bucket, every))) == len(every))
    ratios = {feature: ratio(feature, counts, max(labels) + 1) for feature in counts}
    assume(all(abs(value - min_log_ratio) > 1e-9 for value in ratios.values()))
    expected = {
        bucket(feature): value * rarity(counts[feature].total(), len(rows))
        for feature, value in ratios.items()
        if value >= min_log_ratio
    }
    assume(expected)
    found = learned(fitted(rows, labels, minimum_count=minimum_count, min_log_ratio=min_log_ratio))
    assert list(found) == sorted(expected)
    assert found == pytest.approx(expected, rel=2**-11)


FARM_AND_SEA = [("cow barn",), ("cow the",), ("ship the",), ("ship reef",)]


@pytest.mark.parametrize(("minimum", "kept"), [(1, "cow barn ship reef"), (2, "cow ship"), (3, "")])
def test_rare_words_are_left_out(minimum, kept):
    found = learned(fitted([*FARM_AND_SEA, ("tram tram tram",)], [0, 0, 1, 1, 2], minimum_count=minimum))
    present = [word for word in ("cow", "barn", "ship", "reef") if bucket(("word", word)) in found]
    assert present == kept.split()
    assert bucket(("word", "tram")) in found


def test_words_of_low_log_ratio_are_left_out():
    found = learned(fitted(FARM_AND_SEA, [0, 0, 1, 1], min_log_ratio=1.2))
    assert {word for word in ("cow", "ship", "the", "barn", "reef") if bucket(("word", word)) in found} == {
        "cow",
        "ship",
    }


def test_a_min_log_ratio_of_zero_is_valid():
    encoder = fitted(FARM_AND_SEA, [0, 0, 1, 1], min_log_ratio=0.0)
    assert Encoder.from_json(encoder.to_json()) == encoder


@unhurried
@given(st.lists(st.tuples(NEWS, NEWS), min_size=1, max_size=8))
def test_rows_have_unit_length(rows):
    encoder = fitted([("cow", "é"), ("cow .", "the"), ("ship", "é the")], [0, 0, 1], min_log_ratio=0.4)
    known = learned(encoder)
    arrays = encoder.encode(table(rows))
    for number, row in enumerate(rows):
        ((found, weights),) = weighted(arrays, [number])
        expected = sorted(known[bucket(feature)] for feature in features(row) if bucket(feature) in known)
        assert len(found) == len(weights) == len(expected)
        if expected:
            assert np.square(weights.astype(np.float64)).sum() == pytest.approx(1.0, rel=1e-6)
            assert sorted(weights.tolist()) == pytest.approx([value / math.hypot(*expected) for value in expected])


def test_groups_of_features_weigh_the_same():
    known = [("cow barn",), ("cow the",), ("ship reef",)]
    encoder, of_words = (fitted(known, [0, 0, 1], min_log_ratio=0.5, char_ngrams=length) for length in (3, 0))
    rows = table([("the cow and the reef",), ("barns",), ("",), ("x",)])
    arrays, words = encoder.encode(rows), np.diff(of_words.encode(rows)["offsets"])
    shares = []
    for number, count in enumerate(words):
        ((_, weights),) = weighted(arrays, [number])
        squares = np.square(weights.astype(np.float64))
        shares.append([round(part.sum(), 6) for part in (squares[:count], squares[count:])])
    assert shares == [[0.5, 0.5], [0.0, 1.0], [0.0, 0.0], [0.0, 0.0]]


def test_unknown_words_have_no_feature():
    encoder = fitted([("cow",), ("cow",), ("ship",), ("ship",)], [0, 0, 1, 1], min_log_ratio=1.0)
    rows = weighted(encoder.encode(table([("",), ("cow",), ("tram",)])), range(3))
    assert [len(found) for found, _ in rows] == [0, 3, 0]  # the word, and its pairs with the marks


def test_batches_keep_the_order_of_rows():
    rows = [("cow barn",), ("",), ("ship",), ("the cow",)]
    encoder = fitted(rows, [0, 0, 1, 1])
    arrays = encoder.encode(table(rows))
    picked = [3, 1, 0, 3]
    for row, (found, weights) in zip(picked, weighted(arrays, picked), strict=True):
        ((alone, weights_alone),) = weighted(arrays, [row])
        assert np.array_equal(found, alone)
        assert np.array_equal(weights, weights_alone)


@pytest.mark.parametrize("char_ngrams", [0, 3])
def test_a_batch_lists_the_bags_of_each_feature(char_ngrams):
    rows = [("cow cow barn",), ("",), ("ship",), ("the cow",)]
    encoder = fitted(rows, [0, 0, 1, 1], char_ngrams=char_ngrams)
    arrays = encoder.encode(table(rows))
    features_, offsets, distinct, squares, bags, starts, _ = encoder.gather(arrays, np.array([3, 1, 0]))
    expected: dict[int, list[int]] = {}
    for bag, some in enumerate(np.split(features_, offsets[1:])):
        for feature in some.tolist():
            expected.setdefault(feature, []).append(bag)
    assert distinct.tolist() == sorted(expected)
    assert [part.tolist() for part in np.split(bags, starts[1:])] == [expected[feature] for feature in distinct]
    assert np.array_equal(squares, arrays["feature_weights"][distinct] ** 2)


def test_only_given_rows_are_learned():
    rows = [(text,) for text, _ in news_rows(40, seed=7)]
    labels = np.array([number % 3 for number in range(40)])
    own = np.arange(40) % 2 == 0
    parameters = Parameters(name="ngrams", minimum_count=1, min_log_ratio=0.1, hash_bits=BITS, char_ngrams=0)
    part, _ = Encoder.fit_encode(table(rows)[own], labels[own], parameters)
    assert part == fitted(rows[::2], labels[::2].tolist(), min_log_ratio=0.1)
    assert part.size < Encoder.fit_encode(table(rows), labels, parameters)[0].size


def test_numbers_count_as_two_classes():
    rows = [(text, "") for text, _ in news_rows(12, seed=8)]
    numbers = np.array([-3.0, 1.0, 0.5, 4.0, 0.0, 9.5] * 2, dtype=np.float32)  # the mean is 2
    above = (numbers > 2).astype(np.int64)
    assert above.sum() == 4
    of_numbers = fitted(rows, numbers[:, None])  # as the task gives them
    assert of_numbers == fitted(rows, above)
    assert of_numbers != fitted(rows, 1 - above[::-1])


@pytest.mark.parametrize(("bits", "classes"), [(12, 3), (26, 130)])  # 26 bits and 130 classes need keys of 64 bits
def test_many_keys_are_counted_in_parts(bits, classes):
    draw = np.random.default_rng(1)
    labels = draw.permutation(np.arange(9000) % classes)
    lengths = [draw.integers(0, 30, len(part)) for part in (labels[:5000], labels[5000:]) for _ in range(2)]
    buckets = [(draw.pareto(0.5, own.sum()) * 9 % (1 << bits)).astype(np.int32) for own in lengths]
    groups = list(zip(buckets, lengths, strict=True))
    of_buckets = np.concatenate([np.repeat(labels[rows], own) for rows, own in zip([slice(5000), slice(5000), slice(5000, None), slice(5000, None)], lengths, strict=True)])  # fmt: skip
    expected = Counter(zip(np.concatenate(buckets).tolist(), of_buckets.tolist(), strict=True))
    assert expected.total() > 2 * ngrams.KEYS_OF_PART
    found, counts = ngrams.counted([tuple(groups[:2]), tuple(groups[2:])], labels, bits, minimum_count=1)
    rows, of_classes = counts.nonzero()
    cells = zip(found[rows].tolist(), of_classes.tolist(), strict=True)
    assert dict(zip(cells, counts[rows, of_classes].tolist(), strict=True)) == expected
    assert found.tolist() == sorted({bucket for bucket, _ in expected})


def encoded(*numbers: float, dtype: str) -> str:
    """Numbers as a model holds them."""
    return base64.b64encode(np.array(numbers, dtype=dtype).tobytes()).decode()


WRITTEN = {
    "columns": ["text"], "hash_bits": 8, "char_ngrams": 0,
    "buckets": encoded(0, 9, 255, dtype="<i4"), "feature_weights": encoded(0.5, 1, 2, dtype="<f2"),
}  # fmt: skip


@pytest.mark.parametrize(
    "damage",
    [
        {"buckets": "no base64"},
        {"feature_weights": "no base64"},
        {"buckets": "é" * 16},
        {"buckets": WRITTEN["buckets"][:-4]},
        {"feature_weights": base64.b64encode(b"12345").decode()},
        {"buckets": "", "feature_weights": ""},
        {"feature_weights": encoded(0.5, 1, dtype="<f2")},
        {"feature_weights": encoded(0.5, 1, 2, 3, dtype="<f2")},
        {"buckets": encoded(9, 0, 255, dtype="<i4")},
        {"buckets": encoded(0, 9, 9, dtype="<i4")},
        {"buckets": encoded(0, 9, 256, dtype="<i4")},
        {"buckets": encoded(0, 300, 255, dtype="<i4")},
        {"buckets": encoded(-1, 9, 255, dtype="<i4")},
        {"buckets": encoded(0, -9, 255, dtype="<i4")},
        {"buckets": encoded(100, 60 - 2**31, 9, dtype="<i4")},  # 32 bits are too few for the differences
        {"feature_weights": encoded(0.5, math.nan, 2, dtype="<f2")},
        {"feature_weights": encoded(0.5, math.inf, 2, dtype="<f2")},
        {"feature_weights": encoded(0.5, -1, 2, dtype="<f2")},
        {"feature_weights": encoded(0.5, 0, 2, dtype="<f2")},
        {"hash_bits": 7},
        {"hash_bits": 27},
        {"hash_bits": "8"},
        {"char_ngrams": 9},
        {"char_ngrams": -1},
        {"char_ngrams": "5"},
        {"columns": []},
    ],
    ids=str,
)
def test_damaged_encoders_are_rejected(damage: dict[str, Any]):
    assert Encoder.from_json(WRITTEN).size == 3
    with pytest.raises(ValueError, match="validation error"):
        Encoder.from_json({**WRITTEN, **damage})


@pytest.mark.parametrize("parameter", [{"minimum_count": 10**6}, {"min_log_ratio": 99.0}], ids=str)
def test_no_feature_is_an_error(tmp_path: Path, parameter):
    (tmp_path / ".git").mkdir()
    write_tiny_tables(tmp_path)
    project = Project(tmp_path)
    project.write_params({"datasets": tiny_datasets()})
    project.set(
        "tiny_news.split.encoder",
        {"name": "ngrams", "minimum_count": 1, "min_log_ratio": 0.1, "hash_bits": 12, "char_ngrams": 0, **parameter},
    )
    with chdir(tmp_path):
        assert CliRunner().invoke(prepare.main, ["--dataset", "tiny_news"]).exit_code == 0
        ended = CliRunner().invoke(split.main, ["--dataset", "tiny_news"])
    assert ended.exit_code == 1
    assert re.fullmatch(r"Error: split.encoder: no feature (occurs|reaches) .+; lower .+\n", ended.stderr)
    assert not (tmp_path / "data/tiny_news/examples").exists()
