"""CSV files are tables of text and numbers, or an error that names the line and what to do."""

import math
from pathlib import Path

from retrain.data import csv_rows
from retrain.errors import RetrainError

import pytest

AS_TEXT = "correct the value, or remove 'b' from datasets.mine.prepare.numbers to read it as text"


def table(folder: Path, content: bytes, columns: tuple[str, ...] | None = None) -> list[list[str]]:
    """The rows of a CSV file with this content."""
    (folder / "rows.csv").write_bytes(content)
    return csv_rows.read_csv(folder / "rows.csv", "rows.csv", columns).to_numpy().tolist()


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"a,b\n1,2\n", [["1", "2"]]),
        (b"\xef\xbb\xbfa,b\r\n\r\n1,\r\n\n", [["1", ""]]),
        (b'a,b\n"x, ""y""","two\nlines"\n', [['x, "y"', "two\nlines"]]),
        (b" a ,b\n 1 ,2", [[" 1 ", "2"]]),
    ],
)
def test_rows_are_read_as_text(tmp_path, content, rows):
    assert table(tmp_path, content) == rows
    assert table(tmp_path, content.partition(b"\n")[2], ("a", "b")) == rows


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "rows.csv is empty; add rows"),
        (b"\n\n", "rows.csv is empty; add rows"),
        (b"a,b\n", "rows.csv has a header, but no rows; add rows"),
        (
            b'a,b\n1,2\n3,"4\n5,6\n',
            'rows.csv, line 3 starts a quoted field that does not end in the file; close the quote, or write a quote inside a field as ""',
        ),
        (
            b'a,b\n"1" 2,3\n',
            'rows.csv, line 2 has text after the closing quote of a field; write a quote inside a field as ""',
        ),
        (
            b'a,b\n1,"2\n3,4\n5,"6"\n',
            'rows.csv, line 4 has text after the closing quote of a field, or a quote was opened in an earlier line (the row starts in line 2); write a quote inside a field as ""',
        ),
        (b'a;b\n"x";"y"\n', "rows.csv has the single column 'a;b'; separate the values by commas, not by ';'"),
        (
            b'"a"\t"b"\n"x"\t"y"\n',
            'rows.csv has the single column \'"a" "b"\'; separate the values by commas, not by a tab',
        ),
        (b"a;b\nx, y;z\n", "rows.csv has the single column 'a;b'; separate the values by commas, not by ';'"),
        (b"a,b\ncaf\xe9,1\n", "rows.csv, line 2 is not UTF-8 (byte 0xe9); save the file as UTF-8"),
        (b"a,b\n1,2,3\n", "rows.csv, line 2 has 3 values for 2 columns; put quotes around values with commas"),
        (b"a,b\n1,2\n3\n", "rows.csv, line 3 has 1 value for 2 columns; add the missing values"),
        (b"a,a\n1,2\n", "rows.csv, line 1 names column 'a' twice; rename one of them"),
    ],
)
def test_errors_name_the_line(tmp_path, content, expected):
    with pytest.raises(RetrainError) as caught:
        table(tmp_path, content)
    assert str(caught.value) == expected


def test_an_empty_file_without_a_header_is_an_error(tmp_path):
    with pytest.raises(RetrainError, match=r"^rows\.csv is empty; add rows$"):
        table(tmp_path, b"", ("a", "b"))


def test_a_missing_file_and_a_folder_are_errors(tmp_path):
    with pytest.raises(RetrainError, match=r"no\.csv does not exist; give the path of a CSV file$"):
        csv_rows.read_csv(tmp_path / "no.csv", "no.csv", None)
    with pytest.raises(RetrainError, match=r"is a folder, not a file; give the path of a CSV file$"):
        csv_rows.read_csv(tmp_path, "folder", None)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a,c\n1,2\n", "rows.csv has no column 'b'; known are: a, c"),
        (b"a,bb\n1,2\n", "rows.csv has no column 'b'; did you mean 'bb'?"),
        (b"a;b\n1;2\n", "rows.csv has no column 'a', but the single column 'a;b'; separate the values by commas, not by ';'"),
        (b"a\tb\n1\t2\n", "rows.csv has no column 'a', but the single column 'a b'; separate the values by commas, not by a tab"),
        (b"a,b\n1,two\n", f"rows.csv, line 2, column 'b' holds 'two', which is not a finite number; {AS_TEXT}"),
        (b"a,b\n1,1_000\n", f"rows.csv, line 2, column 'b' holds '1_000', which is not a finite number; {AS_TEXT}"),
        (b"a,b\n1,2\n1,nan\n", f"rows.csv, line 3, column 'b' holds 'nan', which is not a finite number; {AS_TEXT}"),
        (b"a,b\n1,-inf\n", f"rows.csv, line 2, column 'b' holds '-inf', which is not a finite number; {AS_TEXT}"),
        (b"a,b\n1,1e308\n", f"rows.csv, line 2, column 'b' holds '1e308', which is larger than 1e+150; {AS_TEXT}"),
    ],
)  # fmt: skip
def test_errors_name_the_column(tmp_path, content, expected):
    (tmp_path / "rows.csv").write_bytes(content)
    rows = csv_rows.read_csv(tmp_path / "rows.csv", "rows.csv", None)
    with pytest.raises(RetrainError) as caught:
        csv_rows.select_columns(rows, ["a", "b"], ["b"], "rows.csv", "datasets.mine.prepare")
    assert str(caught.value) == expected


def test_without_a_section_only_the_value_is_wrong(tmp_path):
    (tmp_path / "rows.csv").write_bytes(b"a\nx\n")
    rows = csv_rows.read_csv(tmp_path / "rows.csv", "rows.csv", None)
    with pytest.raises(RetrainError, match=r"holds 'x', which is not a finite number; correct the value$"):
        csv_rows.select_columns(rows, ["a"], ["a"], "rows.csv")


def test_columns_are_selected_in_order(tmp_path):
    (tmp_path / "rows.csv").write_bytes(b"a,b,c\nx, 1.5 ,3\ny,,4\n")
    rows = csv_rows.read_csv(tmp_path / "rows.csv", "rows.csv", None)
    selected = csv_rows.select_columns(rows, ["b", "a"], ["b"], "rows.csv")
    assert selected.columns.tolist() == ["b", "a"]
    assert selected["b"].tolist()[0] == 1.5
    assert math.isnan(selected["b"].tolist()[1])
    assert selected["a"].tolist() == ["x", "y"]
