"""Every class has a row to learn from, whatever the seed. One message names the classes that can't be tested."""

from contextlib import chdir

import evaluate
import prepare
import split
import train
from retrain.data import splitting
from retrain.data.encoders import text
from retrain.data.report_csv import read_columns, read_numbers
from retrain.errors import RetrainError

import pandas as pd
import pytest
from click.testing import CliRunner
from sklearn import metrics
from support.project import Project, news_rows, write_csv

COUNTS = [60, 20, 9, 5, 3, 2, 2, 1, 1]
PLAIN = {"validation": 0.2, "test": 0.2, "seed": 1, "task": "classification", "encoder": {}}
NAMES = [f"class {number}" for number in range(len(COUNTS))]
ROWS = [
    (f"text {number} of {name}", name) for name, count in zip(NAMES, COUNTS, strict=True) for number in range(count)
]


def test_equal_rows_of_a_class_leave_none_to_test():
    parts = splits_of([(f"text of {name}", name) for name in NAMES for _ in range(2)])
    with pytest.raises(
        RetrainError, match=r"has an empty validation .*; each of the 9 classes needs different rows, for"
    ):
        splitting.not_empty(parts, splitting.Split.model_validate(PLAIN), "split")


def splits_of(rows: list[tuple[str, str]], **changed: object) -> dict[str, pd.DataFrame]:
    """The splits of texts and their classes."""
    table = pd.DataFrame(rows, columns=["text", "label"], dtype="str").astype({"label": "category"})
    contents = text.Encoder.contents(table[["text"]])
    return splitting.split(table, contents, None, splitting.Split.model_validate({**PLAIN, **changed}))


def run(project: Project, *stages: object, dataset: str = "tiny_news") -> tuple[str, str]:
    """Run stages in this process, and return what the last one prints and all warnings."""
    warnings = ""
    with chdir(project.folder):
        for stage in stages:
            ended = CliRunner().invoke(stage.main, ["--dataset", dataset], catch_exceptions=False)
            assert ended.exit_code == 0, ended.stderr
            warnings += ended.stderr
    return ended.stdout, warnings


@pytest.mark.parametrize("changed", [{}, {"validation": None, "folds": 4}])
@pytest.mark.parametrize("seed", range(12))
def test_every_class_is_learned(seed, changed):
    splits = splits_of(ROWS, seed=seed, **changed)
    assert set(splits["train"]["label"]) == set(NAMES)
    assert sum(map(len, splits.values())) == len(ROWS)


@pytest.mark.parametrize("seed", range(12))
def test_copies_of_a_rare_row_stay_together(seed):
    copies = [("The same text", "twice"), ("the same text.", "twice"), ("the SAME text", "class 0")]
    splits = splits_of([*ROWS, *copies], seed=seed)
    assert all("twice" not in set(splits[name]["label"]) for name in ("validation", "test"))
    assert {text.lower().strip(".") for text in splits["train"]["text"]} >= {"the same text"}
    assert not any("same" in text.lower() for name in ("validation", "test") for text in splits[name]["text"])


@pytest.mark.parametrize("seed", range(12))
def test_new_rows_move_one_row_per_class(seed):
    more = [(f"new {number} of {name}", name) for name in NAMES for number in range(3)]
    before, after = splits_of(ROWS, seed=seed), splits_of([*more, *ROWS], seed=seed)
    where = {row: name for name, part in after.items() for row in part["text"]}
    moved = [
        label for name, part in before.items() for row, label in part.itertuples(index=False) if where[row] != name
    ]
    assert len(moved) == len(set(moved))
    assert set(moved) <= set(NAMES[4:])


@pytest.mark.parametrize("seed", range(12))
def test_groups_of_rare_rows_stay_together(seed):
    table = pd.DataFrame(ROWS, columns=["text", "label"], dtype="str").astype({"label": "category"})
    groups = pd.Series([f"group {number // 2}" for number in range(len(ROWS))])
    section = splitting.Split.model_validate(
        {"validation": 0.2, "test": 0.2, "seed": seed, "task": "classification", "encoder": {}}
    )
    parts = splitting.split(table, text.Encoder.contents(table[["text"]]), None, section, groups)
    assert set(parts["train"]["label"]) == set(NAMES)
    assert sum(len(set(groups[part.index])) for part in parts.values()) == len(set(groups))


def test_new_classes_stay_in_the_future():
    table = pd.DataFrame(ROWS, columns=["text", "label"], dtype="str").astype({"label": "category"})
    times = pd.Series(pd.date_range("2024-01-01", periods=len(ROWS)))
    section = splitting.Split.model_validate(
        {"validation": 0.1, "test": 0.1, "seed": 1, "task": "classification", "encoder": {}}
    )
    parts = splitting.split(table, text.Encoder.contents(table[["text"]]), None, section, times)
    assert times[parts["train"].index].max() < times[parts["test"].index].min()
    (told,) = splitting.rare_classes(table, parts)
    assert told.startswith("6 classes have no row to learn from, so 11 test rows count as wrong: 'class 3'")


def test_single_rows_are_named_once(project):
    singles = [[f"rare {number}", f"single{number:02}"] for number in range(12)]
    write_csv(project.folder / "data/raw/tiny_news/rows.csv", ["text", "topic"], [*news_rows(150, seed=1), *singles])
    said, warnings = run(project, prepare, split)
    named = ", ".join(f"'single{number:02}'" for number in range(10))
    assert warnings == (
        f"Warning: tiny_news: 12 classes have a single row, which is for training: {named} and 2 more\n"
    )
    assert said.endswith(", 15 classes\n")


def test_unlearned_classes_count_as_wrong(project):
    raw = project.folder / "data/raw/tiny_news"
    write_csv(
        raw / "test.csv", ["text", "topic"], [*news_rows(30, seed=9), ["rain", "weather"], ["more rain", "weather"]]
    )
    project.set("tiny_news.prepare.test", {"location": "data/raw/tiny_news/test.csv", "sha256": "unpinned"})
    project.remove("tiny_news.split.test")
    project.set("tiny_news.train.loss", {"name": "cross_entropy", "label_smoothing": 0.0, "class_weights": "balanced"})
    _, warnings = run(project, prepare, split, train, evaluate)
    expected = "Warning: tiny_news: 1 class has no row to learn from, so 2 test rows count as wrong: 'weather'\n"
    assert expected in warnings
    reports = project.folder / "reports/tiny_news"
    rows = read_columns(reports / "predictions.csv", "hint", ["target", "predicted"])
    assert rows["target"].count("weather") == 2
    found = pd.read_json(reports / "metrics.json")["test"]
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(rows["target"], rows["predicted"]))
    macro = metrics.f1_score(rows["target"], rows["predicted"], average="macro", zero_division=0.0)
    assert found["macro_f1"] == pytest.approx(macro)
    assert read_numbers(reports / "tables/classes.csv", "hint", ["support"])["support"][-1] == 2


def test_spellings_of_a_class_are_one(project):
    labels = ["caf\u00e9", "cafe\u0301", " caf\u00e9\u00a0", "Spam", "spam", "SPAM", "ham"]
    rows = [[f"text {number}", labels[number % len(labels)]] for number in range(140)]
    write_csv(project.folder / "data/raw/tiny_news/rows.csv", ["text", "topic"], rows)
    _, warnings = run(project, prepare)
    assert warnings == (
        "Warning: tiny_news: classes 'SPAM', 'Spam' and 'spam' differ only in case; to make them one, use prepare.rename\n"
    )
    table = pd.read_parquet(project.folder / "data/tiny_news/prepared/rows.parquet")
    assert table["topic"].value_counts().to_dict() == {"caf\u00e9": 60, "ham": 20, "SPAM": 20, "Spam": 20, "spam": 20}
