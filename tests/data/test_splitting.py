"""Split assigns rows by their content, and everything is learned from the train split alone."""

import json
from contextlib import chdir
from itertools import pairwise
from pathlib import Path

import prepare
import split
from retrain.data import loader, splitting
from retrain.data.encoders import numbers, text
from retrain.errors import RetrainError

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from support.project import Project

SPLITS = ("train", "validation", "test")
unhurried = settings(deadline=None, max_examples=50)
NO_TARGETS = np.empty(0, dtype=np.int64)
TEXTS = st.lists(st.text("ab éÉ.!", min_size=1, max_size=6), min_size=1, max_size=30, unique=True)


def parameters(**changed: object) -> splitting.Split:
    """The stage's section."""
    plain = {"validation": 0.2, "test": 0.2, "seed": 1, "task": "classification", "encoder": {}}
    return splitting.Split.model_validate({**plain, **changed})


def rows_of(texts: list[str]) -> pd.DataFrame:
    """One column of text."""
    return pd.DataFrame({"text": texts}, dtype="str")


def splits_of(texts: list[str], official: list[str] | None = None, **changed: object) -> dict[str, list[str]]:
    """The texts of each split."""
    contents = text.Encoder.contents
    rows, test = rows_of(texts), None if official is None else rows_of(official)
    parts = splitting.split(
        rows, contents(rows), None if test is None else (test, contents(test)), parameters(**changed)
    )
    return {name: part["text"].tolist() for name, part in parts.items()}


def normalised(texts: list[str]) -> set[bytes]:
    """The contents of texts."""
    return set(text.Encoder.contents(rows_of(texts)))


@unhurried
@given(TEXTS, st.integers(0, 2**32 - 1))
def test_every_row_is_in_one_split(texts, seed):
    splits = splits_of(texts, seed=seed)
    assert sorted(row for part in splits.values() for row in part) == sorted(texts)
    for part in splits.values():
        assert part == [row for row in texts if row in part]


@unhurried
@given(TEXTS, st.integers(0, 2**32 - 1))
def test_equal_texts_share_a_split(texts, seed):
    splits = splits_of([*texts, *(row.upper() + " !" for row in texts)], seed=seed)
    train, validation, test = (normalised(splits[name]) for name in SPLITS)
    assert not train & validation | train & test | validation & test


@unhurried
@given(TEXTS, TEXTS, st.integers(0, 2**32 - 1))
def test_new_rows_move_no_old_row(texts, more, seed):
    before, after = splits_of(texts, seed=seed), splits_of([*more, *texts], seed=seed)
    for name in SPLITS:
        assert set(before[name]) <= set(after[name])


@unhurried
@given(TEXTS, st.sampled_from([None, 3]), st.integers(0, 2**32 - 1))
def test_train_share_leaves_out_train_rows_alone(texts, folds, seed):
    others = {"seed": seed, "folds": folds, "validation": None if folds else 0.2}
    less, more, everything = (splits_of(texts, train_share=share, **others) for share in (0.3, 0.6, None))
    assert set(less["train"]) <= set(more["train"]) <= set(everything["train"])
    for name in everything.keys() - {"train"}:
        assert less[name] == more[name] == everything[name]


def test_train_share_is_about_that_share():
    texts = [f"text {number}" for number in range(2000)]
    whole = len(splits_of(texts)["train"])
    for share in (0.1, 0.5):
        assert len(splits_of(texts, train_share=share)["train"]) / whole == pytest.approx(share, abs=0.04)


@unhurried
@given(TEXTS, TEXTS)
def test_texts_of_the_test_file_leave_the_others(texts, official):
    splits = splits_of(texts, [*official, *official], test=None)
    assert splits["test"] == [*official, *official]
    tested = normalised(official)
    assert not tested & normalised(splits["train"] + splits["validation"])
    free = [row for row in texts if not normalised([row]) & tested]
    assert sorted(splits["train"] + splits["validation"]) == sorted(free)


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
@pytest.mark.parametrize(("validation", "test"), [(0.2, 0.2), (0.05, 0.3), (0.5, 0.49)])
def test_the_fractions_are_about_right(seed, validation, test):
    count = 5_000
    splits = splits_of([f"text {number}" for number in range(count)], seed=seed, validation=validation, test=test)
    shares = {name: len(part) / count for name, part in splits.items()}
    assert shares == pytest.approx({"train": 1 - validation - test, "validation": validation, "test": test}, abs=0.03)


def test_another_seed_gives_another_split():
    texts = [f"text {number}" for number in range(100)]
    assert splits_of(texts, seed=1) == splits_of(texts, seed=1) != splits_of(texts, seed=2)


@unhurried
@given(
    st.lists(st.integers(0, 9), min_size=9, max_size=60), st.sampled_from([0.0, 0.1, 0.4]), st.sampled_from([0.2, 0.5])
)
def test_times_fill_all_splits_in_order(days, validation, test):
    times = pd.Series(pd.to_datetime(days, unit="D"))
    found = splitting.by_time(times, test, validation)
    wanted = ["train", *(["validation"] if validation else []), "test"]
    parts = [times[found == name] for name in wanted]
    assert sum(map(len, parts)) == len(days)
    if times.nunique() >= len(wanted):
        assert all(one.max() < other.min() for one, other in pairwise(parts))


def test_the_time_nearest_to_the_share_is_chosen():
    times = pd.Series(pd.to_datetime(["2001"] * 85 + ["2002"] * 5 + ["2003"] * 10))
    assert splitting.by_time(times, 0.1, 0.0).tolist() == ["train"] * 90 + ["test"] * 10
    assert splitting.by_time(times, 0.1, 0.1).tolist() == ["train"] * 85 + ["validation"] * 5 + ["test"] * 10
    assert splitting.by_time(times, 0.3, 0.0).tolist() == ["train"] * 85 + ["test"] * 15


@pytest.mark.parametrize(
    ("keys", "official", "changed", "expected"),
    [
        (None, ["A!", "b"], {"test": None}, "has no row to learn from: all rows are also in the official test file; give"),
        (pd.to_datetime(["2024"] * 2), None, {}, "needs 3 different times to fill 3 splits, but the rows have 1; add"),
        (["x", "y"], None, {}, "needs 3 different groups to fill 3 splits, but the rows have 2; add rows of other groups"),
    ],
)  # fmt: skip
def test_empty_splits_name_their_cause(keys, official, changed, expected):
    contents, own = text.Encoder.contents, parameters(**changed)
    rows, test = rows_of(["a", "b"]), None if official is None else rows_of(official)
    keys = None if keys is None else pd.Series(keys)
    parts = splitting.split(rows, contents(rows), None if test is None else (test, contents(test)), own, keys)
    with pytest.raises(RetrainError, match=f"^split {expected}"):
        splitting.not_empty(parts, own, "split", keys)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The Ship", "the ship!"),
        ("caf\u00e9", "cafe\u0301"),
        ("\ufb01sh", "fish"),
        ("Stra\u00dfe", "STRASSE"),
        ("a-b", "a  b"),
    ],
)
def test_case_and_punctuation_are_ignored(one, other):
    assert normalised([one]) == normalised([other])


@unhurried
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=2))
def test_equal_numbers_have_equal_content(row):
    table = pd.DataFrame([row, [value + 0.0 for value in row], [-0.0, 1.0], [0.0, 1.0]], columns=["a", "b"])
    contents = numbers.Encoder.contents(table)
    assert contents[0] == contents[1]
    assert contents[2] == contents[3]
    assert (contents[0] == contents[2]) == (row == [0.0, 1.0])


def split_stages(project: Project, dataset: str) -> str:
    """Run prepare and split in this process, and return what split prints."""
    with chdir(project.folder):
        for stage in (prepare, split):
            ended = CliRunner().invoke(stage.main, ["--dataset", dataset], catch_exceptions=False)
            assert ended.exit_code == 0, ended.stderr
    return ended.stdout


def files_of(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_split_prints_sizes_and_encoder(project):
    said = split_stages(project, "tiny_news")
    assert said == "split tiny_news: train 86, validation 35, test 29 rows; 122 words, 3 classes\n"


def test_split_prints_left_out_rows(project):
    raw = project.folder / "data/raw/tiny_news"
    lines = (raw / "rows.csv").read_text().splitlines()
    (raw / "test.csv").write_text(
        "\n".join([lines[0], *(line.upper().replace("FARM", "farm") for line in lines[1:20:3])])
    )
    project.set("tiny_news.prepare.test", {"location": "data/raw/tiny_news/test.csv", "sha256": "unpinned"})
    project.remove("tiny_news.split.test")
    assert ", test 7 rows; left out 7 rows that are also in the test file; " in split_stages(project, "tiny_news")


@pytest.mark.parametrize("dataset", ["tiny_news", "tiny_length", "tiny_numbers", "tiny_sign"])
def test_splitting_twice_gives_same_bytes(project, dataset):
    split_stages(project, dataset)
    first = files_of(project.folder / "data" / dataset)
    split_stages(project, dataset)
    assert files_of(project.folder / "data" / dataset) == first


def test_the_vocabulary_is_of_the_train_split(project):
    split_stages(project, "tiny_news")
    folder = project.folder / "data/tiny_news"
    learned = json.loads((folder / "examples/encoding.json").read_text())["encoder"]["learned"]["tokens"]
    words = {
        name: {word for row in pd.read_parquet(folder / f"splits/{name}.parquet")["text"] for word in row.split()}
        for name in SPLITS
    }
    assert set(learned) == words["train"] | {"<unknown>"}
    assert words["validation"] - words["train"]  # there is something that could have leaked


def test_means_are_of_the_train_split(project):
    split_stages(project, "tiny_numbers")
    folder = project.folder / "data/tiny_numbers"
    encoding = json.loads((folder / "examples/encoding.json").read_text())
    train = pd.read_parquet(folder / "splits/train.parquet")
    assert encoding["encoder"]["learned"]["means"] == pytest.approx(train[["a", "b", "c"]].mean().tolist())
    assert encoding["task"]["learned"]["deviation"] == pytest.approx(train["y"].std(ddof=0))


def test_rare_words_are_unknown():
    rows = rows_of(["ship ship wave", "wave gull ship"])
    encoder, _ = text.Encoder.fit_encode(rows, NO_TARGETS, text.Parameters(name="text", minimum_count=2))
    assert encoder.tokens == ("<unknown>", "ship", "wave")
    assert encoder.encode(rows_of(["gull wave reef"]))["tokens"].tolist() == [0, 2, 0]


def test_too_rare_words_are_reported():
    parameters = text.Parameters(name="text", minimum_count=2)
    expected = "^split.encoder: no word occurs 2 times in the train split; lower minimum_count$"
    with pytest.raises(RetrainError, match=expected):
        text.Encoder.fit_encode(rows_of(["ship wave"]), NO_TARGETS, parameters)


def test_equally_frequent_words_are_sorted():
    parameters = text.Parameters(name="text", minimum_count=1)
    encoder, _ = text.Encoder.fit_encode(rows_of(["b a d c c"]), NO_TARGETS, parameters)
    assert encoder.tokens[1:] == ("c", "a", "b", "d")


def test_encoded_texts_can_be_decoded(project):
    split_stages(project, "tiny_news")
    folder = project.folder / "data/tiny_news"
    encoding = json.loads((folder / "examples/encoding.json").read_text())
    tokens, classes = encoding["encoder"]["learned"]["tokens"], encoding["task"]["learned"]["classes"]
    arrays = loader.read(folder / "examples/train")
    assert all(isinstance(array, np.memmap) for array in arrays.values())
    table = pd.read_parquet(folder / "splits/train.parquet")
    ends = arrays["offsets"][1:]
    for row, begin, end, label in zip(table.itertuples(), arrays["offsets"], ends, arrays["targets"], strict=False):
        assert " ".join(tokens[number] for number in arrays["tokens"][begin:end]) == row.text
        assert classes[label] == row.topic


def test_encoded_numbers_are_standardised(project):
    split_stages(project, "tiny_numbers")
    folder = project.folder / "data/tiny_numbers"
    learned = json.loads((folder / "examples/encoding.json").read_text())["encoder"]["learned"]
    values = loader.read(folder / "examples/train")["values"]
    assert isinstance(values, np.memmap)
    assert values.mean(axis=0) == pytest.approx([0, 0, 0], abs=1e-6)
    assert values.std(axis=0) == pytest.approx([1, 1, 1], abs=1e-6)
    table = pd.read_parquet(folder / "splits/train.parquet")[["a", "b", "c"]]
    assert values * learned["deviations"] + learned["means"] == pytest.approx(table.to_numpy(), abs=1e-5)


def test_the_encoding_describes_each_split(project):
    split_stages(project, "tiny_sign")
    folder = project.folder / "data/tiny_sign"
    facts = json.loads((folder / "examples/encoding.json").read_text())["splits"]
    for name in SPLITS:
        assert facts[name]["rows"] == len(pd.read_parquet(folder / f"splits/{name}.parquet"))
    assert len({fact["sha256"] for fact in facts.values()}) == 3
    assert sum(fact["rows"] for fact in facts.values()) == 120
