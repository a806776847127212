"""Prepare reads rows from their source and writes one clean, tidy table."""

import hashlib
import json
import math
import re
import subprocess
import sys
from contextlib import chdir
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import prepare
from retrain.data import cleaning
from retrain.data.repairs import tidy_texts
from retrain.data.sources import SourceParameters, SourceRows, docstrings

import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from support.project import REPOSITORY, Project, tiny_datasets
from support.servers import answer, sending, serving

unhurried = settings(deadline=None, max_examples=50)
ALL = ("entities", "backslashes", "spaces")


def prepared(project: Project, dataset: str) -> str:
    """Run the stage in this process, and return what it prints."""
    with chdir(project.folder):
        ended = CliRunner().invoke(prepare.main, ["--dataset", dataset], catch_exceptions=False)
    assert ended.exit_code == 0, ended.stderr
    return ended.stdout


def table(*rows: tuple[str, str]) -> pd.DataFrame:
    """Texts and topics."""
    return pd.DataFrame(rows, columns=["text", "topic"], dtype="str")


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("Bush #39;s lead", "Bush’s lead"),
        ("they don #39;t and they #39;ll", "they don’t and they’ll"),
        ("the  #39;big #39; one", "the ‘big’ one"),
        ("a  #36;10 billion deal", "a $10 billion deal"),
        (r"a \$10 billion deal", "a $10 billion deal"),
        ("AT amp;T and S amp;P", "AT&T and S&P"),
        ("Research  amp; Development", "Research & Development"),
        ("quot;We won, quot; he said", "“We won,” he said"),
        ("by the quot;chucking quot; row", "by the “chucking” row"),
        ("he said. quot;I can #39;t quot; again", "he said. “I can’t” again"),
        ("since the  #39;90s", "since the ’90s"),
        ("he (&quot;We won&quot;) won", "he (“We won”) won"),
        ("typed 'so' and \"so\"", "typed 'so' and \"so\""),
        ("&lt;b&gt;bold&lt;/b&gt;", "<b>bold</b>"),
        ("caf&eacute; &amp; bar", "café & bar"),
        ("a&nbsp;wide nbsp; space", "a wide space"),
        (r"a line\that broke", "a line that broke"),
        (r"two\\breaks", "two breaks"),
        ("  much \t white\n space  ", "much white space"),
        ("item #3 costs; that is #12345;", "item #3 costs; that is #12345;"),
        ("example;salt;", "example;salt;"),
    ],
)
def test_entities_and_backslashes_are_repaired(raw, clean):
    assert tidy_texts([raw], ALL) == [clean]


def test_without_repairs_texts_are_stripped():
    assert tidy_texts([" Bush #39;s   \\ lead \n"], ()) == ["Bush #39;s   \\ lead"]


def test_backslashes_become_line_breaks():
    assert tidy_texts([r"two\\breaks\of a line, \$5"], ("backslashes",)) == ["two\nbreaks\nof a line, $5"]


@unhurried
@given(st.text(st.characters(categories=("L", "N", "Z"), max_codepoint=0x2FFF), max_size=30))
def test_other_words_are_not_changed(text):
    assert tidy_texts([text], ALL) == [" ".join(text.split())]


def test_empty_and_repeated_rows_are_dropped():
    rows = table(("a", "x"), ("", "x"), (" \t", "x"), ("b", ""), ("a", "x"), (" a ", "x"), ("a", "y"), ("A", "x"))
    cleaned = cleaning.clean(rows, (), incomplete="keep", repeats="once")
    assert cleaned.rows.to_numpy().tolist() == [["a", "x"], ["a", "y"], ["A", "x"]]
    dropped = {"without a target": 1, "without any input": 2, "with a missing input": 0, "repeated": 2}
    assert (cleaned.dropped, cleaned.repeated, cleaned.contradicting) == (dropped, 2, 4)


def test_repeated_rows_are_evidence():
    titles = table(*[("cook", "12")] * 19, ("cook", "13"), ("pilot", "7"))
    kept = cleaning.clean(titles, (), incomplete="keep", repeats="keep")
    assert (len(kept.rows), kept.repeated, kept.contradicting) == (21, 18, 20)
    major = cleaning.clean(titles, (), incomplete="keep", repeats="majority")
    assert major.rows.to_numpy().tolist() == [["cook", "12"], ["pilot", "7"]]
    assert major.dropped["repeated"] == 19


def test_majority_of_numbers_is_the_median():
    rows = pd.DataFrame({"a": [1.0, 1.0, 1.0, 2.0], "y": [5.0, 90.0, 7.0, 1.0]})
    major = cleaning.clean(rows, (), incomplete="keep", repeats="majority")
    assert major.rows.to_numpy().tolist() == [[1.0, 7.0], [2.0, 1.0]]


def test_duplicates_are_found_after_repairs():
    cleaned = cleaning.clean(table(("dog #39;s", "x"), ("dog&#39;s", "x")), ALL, incomplete="keep", repeats="once")
    assert (len(cleaned.rows), cleaned.repeated) == (1, 1)


def test_missing_numbers_drop_a_row():
    texts = pd.DataFrame([["", "b", "x"], ["", "", "x"]], columns=["title", "lead", "topic"], dtype="str")
    cleaned = cleaning.clean(texts, (), incomplete="drop", repeats="keep")
    assert (cleaned.dropped["without any input"], cleaned.gaps) == (1, {"title": 1.0, "lead": 0.0})
    numbers = pd.DataFrame([[1.0, None, 3.0], [1.0, 2.0, 3.0]], columns=["a", "b", "y"], dtype="float64")
    cleaned = cleaning.clean(numbers, (), incomplete="drop", repeats="keep")
    assert cleaned.dropped["with a missing input"] == 1
    assert cleaned.rows.to_numpy().tolist() == [[1.0, 2.0, 3.0]]


def test_missing_inputs_may_stay():
    numbers = pd.DataFrame(
        {"a": [1.0, math.nan, math.nan, 4.0], "b": [2.0, 2.0, math.nan, 2.0], "y": [3.0, 3.0, 3.0, math.nan]}
    )
    cleaned = cleaning.clean(numbers, (), incomplete="keep", repeats="keep")
    assert (cleaned.dropped["without any input"], cleaned.dropped["without a target"]) == (1, 1)
    assert cleaned.rows["a"].isna().tolist() == [False, True]
    assert cleaned.gaps == {"a": 0.5, "b": 0.0}
    assert cleaning.clean(numbers[["a", "y"]], (), incomplete="keep", repeats="keep").gaps == {}


def test_ordered_classes_come_first():
    rows = table(*[(f"{topic} {i}", topic) for topic in ("z", "sea", "b", "farm") for i in range(2)])
    source = SourceRows(rows, official_test=None, classes=("sea", "absent", "farm"), notes=())
    cleaned, _ = prepare.prepare(source, SourceParameters(source="files", repairs=()), "place")
    assert cleaned.rows["topic"].cat.categories.tolist() == ["sea", "farm", "b", "z"]


def test_official_test_rows_are_kept():
    test = table(("", "x"), ("a", "y"), ("a", "y"))
    source = SourceRows(table(("a", "x"), ("b", "x"), ("a", "y"), ("b", "y")), test, classes=(), notes=())
    _, kept = prepare.prepare(source, SourceParameters(source="files", repairs=()), "place")
    assert kept is not None
    assert kept.astype("str").to_numpy().tolist() == [["", "x"], ["a", "y"], ["a", "y"]]


@pytest.mark.parametrize(
    ("dataset", "header", "answer"), [("tiny_news", "text,topic", "farm"), ("tiny_numbers", "a,b,c,y", "0.5")]
)
def test_no_answer_means_no_test_row(project, dataset, header, answer):
    inputs = "1," * header.count(",")
    rows = [header, f"{inputs}{answer}", inputs, f"{inputs} ", f"{inputs}{answer}"]
    (project.folder / f"data/raw/{dataset}/test.csv").write_text("\n".join(rows))
    project.set(f"{dataset}.prepare.test", {"location": f"data/raw/{dataset}/test.csv", "sha256": "unpinned"})
    ended = project.stage_here("prepare", dataset)
    assert " and 2 of the official test file" in ended.stdout
    told = f"{dataset}: 2 of 4 rows of the official test file (50.0%) have no target and are left out"
    assert f"Warning: {told}" in ended.stderr.splitlines()
    folder = project.folder / "data" / dataset / "prepared"
    assert len(pd.read_parquet(folder / "test.parquet")) == 2
    assert json.loads((folder / "prepared.json").read_text())["counts"]["official_test_without_a_target"] == 2
    (project.folder / f"data/raw/{dataset}/test.csv").write_text(f"{header}\n{inputs}")
    with chdir(project.folder):
        ended = CliRunner().invoke(prepare.main, ["--dataset", dataset])
    target = header.rpartition(",")[2]
    assert (
        ended.stderr
        == f"Error: params.yaml: datasets.{dataset}.prepare.test has no value in '{target}'; enter the answers in the file\n"
    )


def test_prepare_prints_its_counts(project):
    path = project.folder / "data/raw/tiny_news/rows.csv"
    rows = path.read_text()
    path.write_text(rows + ",farm\na cow,farm\na cow,farm\na cow,sea\nx,\nz,\n")
    ended = project.stage_here("prepare", "tiny_news")
    assert ended.stdout == (
        "prepare tiny_news: read 156 rows; left out 2 without a target, 1 without any input; kept 153; 1 is repeated\n"
    )
    assert ended.stderr.splitlines() == [
        "Warning: tiny_news: 3 of 156 rows (1.9%) are left out",
        "Warning: tiny_news: 3 rows have the same inputs as a row with another target",
    ]
    counts = json.loads((project.folder / "data/tiny_news/prepared/prepared.json").read_text())["counts"]
    dropped = {"without_a_target": 2, "without_any_input": 1, "with_a_missing_input": 0, "repeated": 0}
    assert counts == {"read": 156, **dropped, "contradicting": 3, "kept": 153, "official_test": 0}


def test_columns_and_classes_are_renamed(project):
    (project.folder / "data/raw/tiny_news/rows.csv").write_text(
        '"2","Cow","in a ""field"""\n"1","Ship","two\nlines"\n"3","Tram","old"\n"2","Pig","new"\n"1","Gull","big"\n'
    )
    section = project.params()["datasets"]["tiny_news"]["prepare"] | {
        "header": False,
        "columns": ["a_topic", "b_title", "c_lead"],
        "numbers": [],
        "inputs": ["b_title", "c_lead"],
        "target": "a_topic",
        "rename": {"1": "Out", "2": "Farm", "3": "Out"},
    }
    project.set("tiny_news.prepare", section)
    prepared(project, "tiny_news")
    rows = pd.read_parquet(project.folder / "data/tiny_news/prepared/rows.parquet")
    assert rows.columns.tolist() == ["b_title", "c_lead", "a_topic"]
    assert rows["a_topic"].cat.categories.tolist() == ["Out", "Farm"]
    assert rows.astype("str").to_numpy().tolist()[:2] == [
        ["Cow", 'in a "field"', "Farm"],
        ["Ship", "two\nlines", "Out"],
    ]


def test_rename_ignores_spaces_and_keeps_unlisted_values(project):
    path = project.folder / "data/raw/tiny_news/rows.csv"
    path.write_text("text, topic\na, 1\nb, 1\nc, 2\nd, 2\ne,\n")
    project.set("tiny_news.prepare.rename", {"1": "One"})
    said = prepared(project, "tiny_news").splitlines()[0]
    assert said == "prepare tiny_news: read 5 rows; left out 1 without a target; kept 4"
    rows = pd.read_parquet(project.folder / "data/tiny_news/prepared/rows.parquet")
    assert rows["topic"].tolist() == ["One", "One", "2", "2"]


def test_a_repeated_header_is_no_row(project):
    path = project.folder / "data/raw/tiny_news/rows.csv"
    path.write_text("text,topic\na,x\nb,y\ntext,topic\nc,x\n")
    with chdir(project.folder):
        ended = CliRunner().invoke(prepare.main, ["--dataset", "tiny_news"])
    error = "Error: data/raw/tiny_news/rows.csv, line 4 repeats the header; remove each such line from the file"
    assert (ended.exit_code, ended.stderr.splitlines()[-1]) == (1, error)
    path.write_text("text,topic\na,topic\ntext,x\ntext,topic\nc,x\n")
    prepared(project, "tiny_news")


def test_the_location_changes_no_bytes(project, tmp_path):
    prepared(project, "tiny_news")
    folder = project.folder / "data/tiny_news/prepared"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    content = (project.folder / "data/raw/tiny_news/rows.csv").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    (tmp_path / "elsewhere.csv").write_bytes(content)
    written = []
    with serving(sending(content)) as (server, _):
        for location in (str(tmp_path / "elsewhere.csv"), f"{server}/rows.csv"):
            project.set("tiny_news.prepare.train", {"location": location, "sha256": digest})
            prepared(project, "tiny_news")
            assert (folder / "rows.parquet").read_bytes() == before["rows.parquet"]
            written.append((folder / "prepared.json").read_bytes())
    assert written[0] == written[1]  # the digest is in it, the location is not


def downloads(project: Project) -> dict[str, bytes]:
    """The content of the download cache."""
    folder = project.folder / ".retrain" / "downloads"
    return {path.name: path.read_bytes() for path in folder.glob("*")}


def from_url(project: Project, server: str) -> tuple[bytes, str]:
    """Move `tiny_news` to a server, and return its bytes and their digest."""
    content = (project.folder / "data/raw/tiny_news/rows.csv").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    project.set("tiny_news.prepare.train", {"location": f"{server}/rows.csv", "sha256": digest})
    return content, digest


def test_a_url_is_downloaded_once(project):
    content = (project.folder / "data/raw/tiny_news/rows.csv").read_bytes()
    with serving(sending(content)) as (server, asked):
        _, digest = from_url(project, server)
        first = prepared(project, "tiny_news")
        assert downloads(project) == {digest: content}
        assert prepared(project, "tiny_news") == first
        assert asked == ["/rows.csv"]
    assert prepared(project, "tiny_news") == first


def test_rows_that_change_while_they_are_read_are_an_error(project):
    path = project.folder / "data/raw/tiny_news/rows.csv"
    content = path.read_bytes()

    def meanwhile(handler: BaseHTTPRequestHandler) -> None:
        path.write_bytes(content + b"more,farm\n")
        sending(content)(handler)

    with serving(meanwhile) as (server, _), chdir(project.folder):
        from_url(project, server)
        ended = CliRunner().invoke(prepare.main, ["--dataset", "tiny_news"])
    fact = "the stage prepare has used an earlier version of data/raw/tiny_news"
    error = f"Error: {fact}; run it again: dvc repro plot@tiny_news"
    assert (ended.exit_code, ended.stderr.splitlines()[-1]) == (1, error)


def test_failed_downloads_are_repeated(project):
    content = (project.folder / "data/raw/tiny_news/rows.csv").read_bytes()
    answers = iter([partial(answer, body=b"", status=500, Content_Length="0"), sending(content)])

    def second_time(handler: BaseHTTPRequestHandler) -> None:
        next(answers)(handler)

    with serving(second_time) as (server, asked):
        _, digest = from_url(project, server)
        prepared(project, "tiny_news")
        assert len(asked) == 2
    assert downloads(project) == {digest: content}


def test_the_cache_holds_verified_files_only(project):
    content = (project.folder / "data/raw/tiny_news/rows.csv").read_bytes()
    with serving(sending(content + b"more,farm\n")) as (server, _):
        _, digest = from_url(project, server)
        with chdir(project.folder):
            ended = CliRunner().invoke(prepare.main, ["--dataset", "tiny_news"])
        assert ended.exit_code == 1
        assert f"not {digest}" in ended.stderr
    assert downloads(project) == {}
    cached = project.folder / ".retrain" / "downloads" / digest
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"damaged")
    with serving(sending(content)) as (server, _):
        from_url(project, server)
        prepared(project, "tiny_news")
    assert downloads(project) == {digest: content}


@pytest.fixture(scope="module")
def own_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the two prepared datasets that need no network, and the modules that each process loaded."""
    folder = tmp_path_factory.mktemp("own_tables")
    (folder / ".git").mkdir()
    (folder / "params.yaml").write_bytes((REPOSITORY / "params.yaml").read_bytes())
    script = """
import json, sys
sys.argv = ["prepare.py", "--dataset", sys.argv[1]]
import prepare
prepare.main(standalone_mode=False)
print(json.dumps(sorted(sys.modules)))
"""
    for dataset in ("docstrings", "diabetes"):
        ended = subprocess.run(
            [sys.executable, "-c", script, dataset], cwd=folder, capture_output=True, text=True, check=True
        )
        (folder / f"{dataset}.txt").write_text(ended.stdout)
    return folder


def test_docstrings_of_four_libraries(own_tables):
    rows = pd.read_parquet(own_tables / "data/docstrings/prepared/rows.parquet")
    assert rows.columns.tolist() == ["docstring", "library"]
    assert len(rows) > 10_000
    assert rows["library"].cat.categories.tolist() == ["matplotlib", "pandas", "scikit-learn", "scipy"]
    assert rows["library"].value_counts().min() > 1_000
    assert rows["docstring"].map(lambda text: len(text.split())).min() >= 5


def test_shared_docstrings_are_left_out(own_tables):
    rows = pd.read_parquet(own_tables / "data/docstrings/prepared/rows.parquet")
    assert not rows["docstring"].duplicated().any()
    said = (own_tables / "docstrings.txt").read_text().splitlines()[0]
    assert "that several libraries share; kept " in said
    assert " of fewer than 5 words, " in said


@pytest.mark.parametrize(
    ("packages", "expected"),
    [
        (["click", "not-there"], "Error: docstrings: package 'not-there' is not installed; run: make setup\n"),
        ([""], "Error: docstrings: package '' is not installed; run: make setup\n"),
        (
            [],
            "Error: params.yaml: datasets.mine.prepare.packages is the list \\[\\], but must have at least 1 item .+; .+\n",
        ),
        (
            ["click", "click"],
            "Error: params.yaml: datasets.mine.prepare.packages names 'click' twice; remove one of them\n",
        ),
    ],
)
def test_unreadable_packages_are_named(tmp_path, packages, expected):
    (tmp_path / ".git").mkdir()
    block = tiny_datasets()["tiny_news"]
    block["prepare"] = {"source": "docstrings", "repairs": [], "packages": packages, "minimum_words": 3}
    Project(tmp_path).write_params({"datasets": {"mine": block}})
    with chdir(tmp_path):
        ended = CliRunner().invoke(prepare.main, ["--dataset", "mine"])
    assert ended.exit_code == 1
    assert re.fullmatch(expected, ended.stderr)


def test_docstrings_of_odd_files(tmp_path, monkeypatch):
    contents = {
        "plain.py": b'"""A plain one."""\n',
        "latin.py": '# coding: latin-1\n"""Ein schöner."""\n'.encode("latin-1"),
        "foreign.py": '"""schön"""\n'.encode("latin-1"),
        "template.py": b'"""A template."""\n{% if name %}\n',
        "second.py": b'"""Python 2."""\nprint "hello"\n',
        "zero.py": b'"""Zero."""\n\0\n',
    }
    (tmp_path / "odd-1.dist-info").mkdir()
    (tmp_path / "odd-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: odd\nVersion: 1\n")
    (tmp_path / "odd-1.dist-info" / "RECORD").write_text("".join(f"{name},,\n" for name in contents))
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path)
    assert list(docstrings.first_paragraphs("odd")) == ["Ein schöner.", "A plain one."]


def test_docstrings_import_no_library(own_tables):
    loaded = set(json.loads((own_tables / "docstrings.txt").read_text().splitlines()[-1]))
    assert "pandas" in loaded  # prepare's own tool
    assert loaded.isdisjoint({"matplotlib", "sklearn", "scipy", "torch", "mlflow"})


def test_diabetes_has_442_unscaled_rows(own_tables):
    rows = pd.read_parquet(own_tables / "data/diabetes/prepared/rows.parquet")
    assert rows.shape == (442, 11)
    assert rows.columns[-1] == "progression"
    assert set(rows.dtypes) == {pd.Series([0.0]).dtype}
    assert rows["age"].between(19, 79).all()  # in years, not scaled
