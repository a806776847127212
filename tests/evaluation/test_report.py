"""The report on one page, and the model card."""

import json
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

from retrain.data.report_csv import write_columns
from retrain.errors import RetrainError
from retrain.evaluation.page import NOTHING, csv_table, number_cells
from retrain.evaluation.plots import read_plot_data
from retrain.evaluation.report import Report, read_report
from retrain.models.result import Result

import axe_core_python
import numpy as np
import pytest
from ruamel.yaml import YAML
from support.browser import PROGRAM, Page, browser
from support.model_folders import change, write_model

LARGEST = 2 * 1024 * 1024
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "a|b `c` [d](e)",
    "one\u202etwo\x00",
    "{{ 7 * 7 }}",
]
TAGS = ("text-classification", "tabular-classification", "tabular-regression")


def trained(folder: Path, task: str) -> Result:
    """A model that nobody trained, with its history."""
    model = write_model(folder / "models" / "mine", "text" if task == "classification" else "numbers", task)
    facts = {"sha256": "1" * 64, "md5": "1" * 32}
    rows = {"train": 400, "validation": 50, "test": 100}
    change(model, "splits", to={name: {"rows": count, **facts} for name, count in rows.items()})
    metric, epochs = "accuracy" if task == "classification" else "rmse", range(1, 4)
    figures = [f"{split}_{name}" for name in ("loss", metric) for split in ("train", "validation")]
    (folder / "reports" / "mine" / "tables").mkdir(parents=True)
    columns = {name: [1 / (epoch + 1) for epoch in epochs] for name in figures}
    write_columns(folder / "reports/mine/history.csv", {"epoch": list(epochs), **columns})
    return Result("mine", folder, ("train", "evaluate", "plot"))


def write_metrics(result: Result, test: dict[str, float], **others: dict) -> None:
    """Metrics, as evaluate writes them."""
    baseline = {name: value / 2 for name, value in test.items()}
    intervals = {name: {"low": 0.95 * value, "high": 1.05 * value} for name, value in test.items() if name != "loss"}
    content = {"test": test, "baseline": baseline, "intervals": intervals, **others}
    (result.reports / "metrics.json").write_text(json.dumps(content))


def write_tables(result: Result, **tables: dict) -> None:
    """Tables, as evaluate writes them."""
    for name, columns in tables.items():
        write_columns(result.reports / "tables" / f"{name}.csv", columns)


def of_classes(folder: Path, names: list[str]) -> Result:
    """A result of a classification, where every class is confused with the next one."""
    result, count = trained(folder, "classification"), len(names)
    change(result.model, "task", "learned", to={"classes": names, "counts": [100] * count})
    accuracy = {"accuracy": 0.9, "macro_f1": 0.9}
    probabilities = {"log_loss": 0.3, "brier": 0.1, "calibration_error": 0.02}
    write_metrics(result, accuracy | probabilities, reference=accuracy, uncalibrated=probabilities)
    matrix = 9 * np.eye(count, dtype=int) + np.roll(np.eye(count, dtype=int), 1, axis=1)
    bins = {"rows": [0, 50, 90], "confidence": [np.nan, 0.5, 0.9], "accuracy": [np.nan, 0.4, 0.95]}
    before = {f"{name}_before": values for name, values in bins.items()}
    scores = {name: [0.9] * count for name in ("precision", "recall", "f1")}
    rates = {"error_rate": [0.4, 0.2], "others": [0.1, 0.1], "p_value": [1e-4, 0.6]}
    answers = {"text": names, "target": names, "predicted": names[::-1], "probability": [0.99] * count}
    write_tables(
        result,
        confusion={"target": np.repeat(names, count), "predicted": names * count, "rows": matrix.ravel()},
        classes={"class": names, **scores, "support": [10] * count},
        calibration={"from": [0.0, 0.5, 1.0], "to": [0.0, 0.5, 1.0], **bins, **before},
        slices={"slice": names[:2], "rows": [20, 30], **rates},
        mistakes={"row": range(count), **answers},
        label_errors={"split": [], "row": [], "text": [], "label": [], "suggested": [], "probability": []},
        near_duplicates={"test_row": [], "train_row": [], "similarity": []},
    )
    return result


def of_numbers(folder: Path, rows: int) -> Result:
    """A result of a regression."""
    result = trained(folder, "regression")
    targets = np.random.default_rng(1).normal(100, 20, rows)
    predicted = targets + np.random.default_rng(2).normal(0, 10, rows)
    table = {"row": range(rows), "a": targets, "target": targets, "predicted": predicted}
    write_columns(result.reports / "predictions.csv", table)
    write_metrics(result, {"rmse": 10.0, "mae": 8.0, "r2": 0.8})
    write_tables(
        result,
        errors={"from": [50.0], "to": [150.0], "rows": [rows], "mean_error": [0.0], "mean_absolute_error": [8.0]},
        slices={"slice": [], "rows": [], "mean_absolute_error": [], "others": [], "p_value": []},
        mistakes={"row": [0], "a": [1.0], "target": [1.0], "predicted": [9.0], "error": [8.0]},
        near_duplicates={"test_row": [], "train_row": [], "similarity": []},
    )
    return result


def report_of(result: Result) -> Report:
    """Its report."""
    return read_report(result, read_plot_data(result))


class Elements(HTMLParser):
    """The tags of a page with their attributes, and its texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_equal_results_give_equal_bytes(tmp_path):
    of_classes(tmp_path / "one", ["a", "b", "c"])
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    reports = [report_of(Result("mine", tmp_path / name, ("plot",))) for name in ("one", "two")]
    assert reports[0].page() == reports[1].page()
    assert reports[0].card() == reports[1].card()
    assert str(tmp_path) not in reports[0].page() + reports[0].card()


def test_sections_come_in_order(tmp_path):
    tags = Elements(report_of(of_classes(tmp_path, ["a", "b"])).page()).tags
    assert [attributes["id"] for tag, attributes in tags if tag == "h2"] == [
        "verdict", "curves", "predictions", "calibration", "slices", "mistakes", "data", "training", "reproduce",
    ]  # fmt: skip
    levels = [int(tag[1]) for tag, _ in tags if tag in ("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert levels.count(1) == 1


def test_page_needs_nothing_else(tmp_path):
    for tag, attributes in Elements(report_of(of_classes(tmp_path, ["a", "b"])).page()).tags:
        assert tag not in ("script", "link", "img", "iframe", "object")
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")


def test_hostile_texts_stay_texts(tmp_path):
    report = report_of(of_classes(tmp_path, HOSTILE))
    found = Elements(report.page())
    assert not {"script", "img"} & {tag for tag, _ in found.tags}
    assert not [name for _, attributes in found.tags for name in attributes if name.startswith("on")]
    text = "".join(found.texts)
    assert HOSTILE[0] in text
    assert HOSTILE[1] in text
    assert HOSTILE[4] in text
    assert "\u202e" not in report.page()
    for content in (report.page(), report.card()):
        content.encode("utf-8")
    assert "<script" not in report.card()
    assert r"a\|b \`c\` \[d\](e)" in report.card()


def text_of(result: Result) -> str:
    """The texts of its page on one line, with usual spaces."""
    return " ".join("".join(Elements(report_of(result).page()).texts).split())


def test_slices_that_chance_explains_are_left_out(tmp_path):
    result = of_classes(tmp_path, ["hats", "shoes"])
    text = text_of(result)
    assert "hats: error rate 40.0 % on 20 rows, 10.0 % on the other rows (adjusted p-value less than 0.001)." in text
    assert "on 30 rows" not in text
    path = result.reports / "tables/slices.csv"
    path.write_text(path.read_text().replace("0.0001", "0.0501"))
    assert (
        "On no group of test rows is the error higher than on the other rows by more than luck can explain."
        in text_of(result)
    )


def test_repeats_come_with_the_metric_without_them(tmp_path):
    result = of_classes(tmp_path, ["a", "b"])
    path = result.reports / "metrics.json"
    pairs = {"test_row": [0, 1], "train_row": [5, 6], "similarity": [1.0, 0.9]}
    write_columns(result.reports / "tables/near_duplicates.csv", pairs)
    content, rows = json.loads(path.read_text()), read_plot_data(result).description.splits["test"].rows
    for found, sentence in [
        ({"rows": 2, "accuracy_without": 0.85}, "Without these rows, the accuracy is 85.0 % instead of 90.0 %."),
        ({"rows": 2, "accuracy_without": 0.9}, "Without these rows, the accuracy is still 90.0 %."),
    ]:
        path.write_text(json.dumps({**content, "near_duplicates": found}))
        assert f"2 of {rows:,} test rows" in text_of(result)
        assert sentence in text_of(result)
    path.write_text(json.dumps({**content, "near_duplicates": {"rows": rows}}))
    assert f"{rows:,} of {rows:,} test rows (100.0 %) nearly repeat a train row." in text_of(result)
    assert "Without" not in text_of(result)


def test_points_of_few_rows_are_not_drawn(tmp_path):
    result = of_classes(tmp_path, ["a", "b"])
    path = result.reports / "tables/calibration.csv"
    assert "Reliability diagram" in text_of(result)
    path.write_text(path.read_text().replace(",50,", ",9,").replace(",90,", ",9,"))
    assert "Reliability diagram" not in text_of(result)


def test_loss_that_is_the_log_loss_is_left_out(tmp_path):
    result, row = of_classes(tmp_path, ["a", "b"]), "what the training minimises"
    for loss, shown in ((0.3000001, False), (0.4, True)):
        write_metrics(result, {"accuracy": 0.9, "log_loss": 0.3, "loss": loss})
        assert (row in text_of(result)) == shown


@pytest.mark.parametrize(
    ("cells", "texts"),
    [
        (["0.00937728042"], ["0.009377"]), (["0.44001"], ["0.44001"]), (["0.440016098"], ["0.4400"]), (["45.0"], ["45"]),
        (["57.3720659", "", "4.9488"], ["57.37", NOTHING, "4.95"]), (["250000.0", "0"], ["250,000", "0"]),
        (["123456.78", "-3.5"], ["123,457", "-4"]), (["1.23456789e-7", "0.5"], ["1.23e-07", "0.5000"]),
        (["3149.2", "2573.0", "-576.08123"], ["3,149", "2,573", "-576"]), (["3149.2", "2573"], ["3,149.2", "2,573.0"]),
        (["1.5e12", "0"], ["1.5e+12", "0"]),
    ],
)  # fmt: skip
def test_numbers_of_a_column_have_the_same_decimals(cells, texts):
    assert number_cells("error", cells) == texts


def test_cells_follow_the_kind_of_their_column():
    inputs = {
        "zip": "category",
        "built": "date",
        "seen": "date",
        "area": "number",
        "own": "not recorded",
        "year": "number",
    }
    columns = {
        "row": ["1234", "7"],
        "zip": ["01294", "1295"],
        "built": ["2016-09-20 00:00:00", ""],
        "seen": ["2016-09-20 00:00:00", "2016-09-21 08:30:00"],
        "area": ["41.0", ""],
        "own": ["3.0", "4.5"],
        "year": ["2017.0", "1995"],
        "target": ["2024", "2025"],
    }
    table = csv_table("Rows", columns, 10, inputs, {"target"})
    assert table.rows[0] == ["1234", "01294", "2016-09-20", "2016-09-20 00:00:00", "41", "3.0", "2017", "2024"]
    assert table.rows[1] == ["7", "1295", "", "2016-09-21 08:30:00", NOTHING, "4.5", "1995", "2025"]
    assert table.numeric == {0, 4, 5, 6}


def test_inputs_of_tables_are_found_by_their_place(tmp_path):
    result = of_classes(tmp_path, ["2024", "2025"])
    rows = {"row": [0, 1], "title": ["1294", "1295"], "share": ["1500", "2500"], "target": ["2024", "2025"]}
    write_columns(result.reports / "tables/mistakes.csv", {**rows, "predicted": ["2025"] * 2, "probability": [0.9] * 2})
    page = report_of(result).page()
    assert [f">{cell}<" in page for cell in ("1294", "1,294", "1500", "2024", "2,024")] == [
        True,
        False,
        True,
        True,
        False,
    ]


def test_verdict_has_the_numbers_of_the_table(tmp_path):
    assert "(accuracy 90.0 % [85.5 % to 94.5 %] on 100 test rows, baseline 45.0 %, reference 90.0 %)" in text_of(
        of_classes(tmp_path, ["a", "b"])
    )


def test_folds_are_not_called_a_validation_split(tmp_path):
    result = of_classes(tmp_path, ["a", "b"])
    assert "by loss on the validation split" in text_of(result)
    facts = {"sha256": "1" * 64, "md5": "1" * 32}
    change(result.model, "splits", to={name: {"rows": 100, **facts} for name in ("train", "test")})
    assert "by loss on train rows" in text_of(result)
    assert "validation split" not in text_of(result)


def test_blend_says_its_share(tmp_path):
    result = of_classes(tmp_path, ["a", "b"])
    assert "of the outputs" not in text_of(result)
    change(result.model, "linear_share", to=0.2)
    assert "blended with linear models, which have 20 % of the outputs" in text_of(result)
    assert "* blend: linear models have 20" in report_of(result).card()
    change(result.model, "linear_share", to=0.0)
    assert "linear models have 0 % of the outputs" in text_of(result)
    assert "blended with" not in text_of(result)


@pytest.mark.parametrize(("classes", "cells"), [(4, 16), (12, 144), (60, 0), (150, 0)])
def test_many_classes_stay_readable(classes, cells, tmp_path):
    page = report_of(of_classes(tmp_path, [f"topic {number}" for number in range(classes)])).page()
    tags = Elements(page).tags
    assert len([tag for tag, attributes in tags if tag == "td" and " h" in (attributes.get("class") or "")]) == cells
    assert ("confusion-title" in page) == (cells == 0)
    assert ("Frequent confusions" in page) == (classes > 4)
    assert len(page.encode()) < LARGEST


def test_many_rows_stay_small(tmp_path):
    page = report_of(of_numbers(tmp_path, 20_000)).page()
    assert "of 20,000 test rows" in page
    assert len(page.encode()) < LARGEST / 4


@pytest.mark.parametrize("make", [lambda folder: of_classes(folder, ["a", "b"]), lambda folder: of_numbers(folder, 20)])
def test_card_has_the_block_of_the_hub(make, tmp_path):
    result = make(tmp_path)
    _, block, text = report_of(result).card().split("---\n", 2)
    card = YAML(typ="safe").load(block)
    assert card["library_name"] == "pytorch"
    assert card["pipeline_tag"] in TAGS
    assert all(isinstance(tag, str) for tag in card["tags"])
    (model,) = card["model-index"]
    (measured,) = model["results"]
    assert measured["task"]["type"] == card["pipeline_tag"]
    assert measured["dataset"] == {"name": "mine", "type": "mine", "split": "test"}
    values = [metric["value"] for metric in measured["metrics"]]
    assert values == list(json.loads((result.reports / "metrics.json").read_text())["test"].values())
    assert card["metrics"] == [metric["type"] for metric in measured["metrics"]]
    assert text.startswith("\n# mine\n")
    assert "| metric | model |" in text


@pytest.mark.parametrize(
    ("path", "content", "says"),
    [
        ("models/mine/model.safetensors", b"\xff" * 40, "is not a readable safetensors file"),
        ("models/mine/model.safetensors", b"\2\0\0\0\0\0\0\0[]", "is not a readable safetensors file"),
        ("reports/mine/metrics.json", b"{}", "missing"),
        (
            "reports/mine/metrics.json",
            b'{"test": {"accuracy": 1.0}, "baseline": {"accuracy": 0.5}}',
            "lacks a metric with its interval",
        ),
        (
            "reports/mine/tables/slices.csv",
            b"slice,rows,error_rate,others,p_value\na,b,c,d,e\n",
            "does not hold finite numbers",
        ),
        ("reports/mine/tables/classes.csv", b"class\na\n", "has no column 'f1'"),
        ("reports/mine/tables/mistakes.csv", b"row,text\n1\n", "is not a readable CSV table"),
    ],
)
def test_damaged_files_are_named(path, content, says, tmp_path):
    result = of_classes(tmp_path, ["a", "b"])
    (tmp_path / path).write_bytes(content)
    with pytest.raises(RetrainError, match=says) as error:
        report_of(result)
    assert Path(path).name in str(error.value)


@pytest.mark.parametrize(
    "learned", [{"classes": ["a", "b"]}, {"classes": [1, 2], "counts": [1, 1]}, {"classes": 3, "counts": 1}]
)
def test_damaged_classes_are_an_error(learned, tmp_path):
    result = of_classes(tmp_path, ["a", "b"])
    change(result.model, "task", "learned", to=learned)
    with pytest.raises(RetrainError, match="does not say what the task learned"):
        report_of(result)


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Iterator[Page]:
    """A tab of a browser."""
    if PROGRAM is None:
        pytest.skip("no Chromium is installed, and pip has no package of it")
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> list[Path]:
    """Reports of few classes, of many, of hostile ones, and of numbers."""
    folder = tmp_path_factory.mktemp("pages")
    results = {
        "few": of_classes(folder / "few", ["a", "b", "c", "d"]),
        "many": of_classes(folder / "many", [f"a topic with a long name, number {number}" for number in range(60)]),
        "hostile": of_classes(folder / "hostile", [*HOSTILE, "x" * 500]),
        "numbers": of_numbers(folder / "numbers", 200),
    }
    for name, result in results.items():
        (folder / f"{name}.html").write_text(report_of(result).page(), encoding="utf-8")
    return sorted(folder.glob("*.html"))


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_page_does_not_scroll_sideways(width, page, pages):
    for path in pages:
        page.open(path, width)
        assert page.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), path.name
        assert page.requests() == [path.resolve().as_uri()]


A4 = 794
"""The width of a sheet in pixels of CSS."""


def test_print_cuts_nothing_off(page, pages):
    wide = f"[...document.querySelectorAll('table, svg')].filter(one => one.getBoundingClientRect().right > {A4})"
    hidden = "[...document.querySelectorAll('details table')].filter(one => !one.checkVisibility())"
    for path in pages:
        page.open(path, A4, dark=True)
        page.call("Emulation.setEmulatedMedia", media="print")
        assert page.run(f"{wide}.map(one => one.outerHTML.slice(0, 200))") == [], path.name
        assert page.run("document.querySelectorAll('details table').length") > 0
        assert page.run(f"{hidden}.length") == 0, path.name
        assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.call("Emulation.setEmulatedMedia", media="")


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing(dark, page, pages):
    script = Path(axe_core_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
    for path in pages:
        if path.stem == "many":  # takes axe ten seconds, and differs from the others only in size
            continue
        page.open(path, 360, dark=dark)
        assert page.run("getComputedStyle(document.body).backgroundColor") == (
            "rgb(20, 23, 26)" if dark else "rgb(255, 255, 255)"
        )
        page.run(f"{script};0")
        assert page.run("axe.run().then(found => found.violations.map(one => [one.id, one.nodes[0].html]))") == []
