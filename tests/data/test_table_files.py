"""Tables in the formats that people have, read right or with an error that names the line."""

import gzip
import json
import math
import re
import resource
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from retrain.data.inspection.dialect import Wishes, guessed_table
from retrain.data.raw_rows import moment
from retrain.data.raw_rows import time as raw_time
from retrain.data.reading.encodings import likely_encoding
from retrain.data.reading.file_format import Expected, Format
from retrain.data.reading.table_files import open_table
from retrain.data.reading.text_files import lines_before_header
from retrain.errors import RetrainError

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

SECTION = "datasets.mine.prepare"


def read(folder: Path, content: bytes | str, name: str = "rows.csv", expected: Expected | None = None, **known) -> list:
    """All rows of a file with this content, as text."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with open_table(path, name, Format(**known), expected) as table:
        return table.frame(texts=list(filter(None, table.names))).to_numpy().tolist()


def columns(folder: Path, content: str, *, numbers=(), dates=(), **known) -> dict[str, list]:
    """Some columns of a CSV file with this content."""
    (folder / "rows.csv").write_text(content)
    with open_table(folder / "rows.csv", "rows.csv", Format(**known), Expected(section=SECTION)) as table:
        return table.frame(numbers=list(numbers), dates=list(dates)).to_dict("list")


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"a,b\n1,2\n", [["1", "2"]]),
        (b"\xef\xbb\xbfa,b\r\n\r\n1,\r\n\n", [["1", ""]]),
        (b'a,b\n"x, ""y""","two\nlines"\n', [['x, "y"', "two\nlines"]]),
        (b" a ,b\n1 ,2", [["1", "2"]]),
        (b"a;b\n1,5;2\n", [["1,5", "2"]]),
        (b"a\tb\nx, y\t2\n", [["x, y", "2"]]),
        (b"a|b\nx, y|2\n", [["x, y", "2"]]),
        (b'a, b\n1, "x, y"\n2, "z"\n', [["1", "x, y"], ["2", "z"]]),
        (b'"sep=;"\r\na;b\r\n1;2\r\n', [["1", "2"]]),
        (b"a,b\r1,2\r3,4", [["1", "2"], ["3", "4"]]),
        (b"a,b\r\n1,2\n3,x\ry\r\n", [["1", "2"], ["3", "x y"]]),
        ("a,b\n1,caf\u00e9\n".encode("utf-16"), [["1", "café"]]),
        (b"a,b,,\n1,2,x,\n", [["1", "2"]]),
        (b"\n  \na,b\n1,2\n", [["1", "2"]]),
    ],
)
def test_csv_of_many_programs(tmp_path, content, rows):
    assert read(tmp_path, content, expected=Expected(wanted=["a", "b"])) == rows


@pytest.mark.parametrize(
    "before",
    [
        "# exported 2024-01-01\n",
        "# exported, by us\n# on Monday\n",
        "Sales\n\n",
        "Sales,\n",
        ",\n",
        "\ufeff// from, the shop\r\n",
        "",
        "\n \n",
        "#group,false\n#datatype,string\n#default,x\n",
    ],
)
@pytest.mark.parametrize("target", ["b", "a"])
def test_lines_before_the_header_are_left_out(tmp_path, before, target):
    path = tmp_path / "rows.csv"
    path.write_text(f"{before}a,b\n1,x y\n2,z\n", newline="")
    with guessed_table(path, "rows.csv", Wishes(), target) as (table, guess):
        rows = table.frame(texts=["a", "b"]).to_numpy().tolist()
        line = table.line(0)
    assert rows == [["1", "x y"], ["2", "z"]]
    assert line == before.count("\n") + 2
    with open_table(path, "rows.csv", guess.format) as again:
        assert again.frame(texts=["a", "b"]).to_numpy().tolist() == rows


@pytest.mark.parametrize("before", ["EXTF;700;x;21;;", "Report;2024;EUR;x", "# ts, temp, state", "# ts;temp;state"])
@pytest.mark.parametrize("target", ["ts", "state"])
def test_titles_may_be_wider_than_the_table(tmp_path, before, target):
    path = tmp_path / "rows.csv"
    path.write_text(f"{before}\nts;temp;state\n1;20,5;on\n2;20,7;off\n")
    with guessed_table(path, "rows.csv", Wishes(), target) as (table, guess):
        assert table.names == ("ts", "temp", "state")
        assert (guess.format.skip, len(table)) == (1, 2)


@pytest.mark.parametrize(("first", "skip"), [("LabVIEW\t\n", 3), ("", 0)])
def test_lines_of_programs_may_be_as_wide_as_the_table(tmp_path, first, skip):
    path = tmp_path / "rows.lvm"
    path.write_text(f"{first}Samples\t3\t3\nDate\t2024/01/05\t2024/01/05\nX\tVolt\tAmp\n0,5\t1,5E+2\t2\n1,0\t3,5\t4\n")
    assert (lines_before_header(path, "rows.lvm", Format(), "Amp") or 0) == skip


@pytest.mark.parametrize(
    "content",
    [
        "Report\n1,2,x\n3,4,y\n5,6,z\n",
        "# a,b,y\n1,2,y\n3,4,n\n",
        "a,b,c,d\n1,2,y\n3,4,n,5\n",
        "a,b,c\n1,2,y,3\n4,5,n\n",
        "a,b,c\n1,2,y,3\n4,5,y,3\n",
        "# x,y\n1,y\n2,n\n",
        "#x,z\n1,y\n2,n\n",
        "#00f,b,1\n#0f0,c,2\n#f00,y,3\n#0ff,b,4\n",
    ],
)
def test_rows_are_no_titles(tmp_path, content):
    path = tmp_path / "rows.csv"
    path.write_text(content)
    assert not lines_before_header(path, "rows.csv", Format(), "y")


@pytest.mark.parametrize(
    ("before", "skip", "said"),
    [
        ("Export\nof Monday\n\n", 0, "has 3 lines before its header, but {0} is 0; set {0}: 3, or remove them"),
        ("Export;;\n", 0, "has 1 line before its header, but {0} is 0; set {0}: 1, or remove them"),
        ("Export;1;2;3\n", 2, "has 1 line before its header, but {0} is 2; set {0}: 1"),
        ("", 2, "has no line before its header, but {0} is 2; set {0}: 0"),
        ("Export;1;2\n", 0, "has no column 'a'; the file has: Export, 1, 2"),
    ],
)
@pytest.mark.parametrize("separator", [";", None])
def test_a_new_file_with_other_lines_before_its_header(tmp_path, before, skip, said, separator):
    expected = Expected(wanted=["a", "b", "c"], section=SECTION)
    path = tmp_path / "rows.csv"
    path.write_text(f"{before}a;b;c\n1;2;3\n4;5;6\n")
    given = Format(skip=skip, separator=separator)
    with pytest.raises(RetrainError) as error, open_table(path, "rows.csv", given, expected) as table:
        table.column("a")
    assert str(error.value) == f"rows.csv {said.format(f'{SECTION}.format.skip')}"


def test_a_file_of_one_column_has_the_usual_separator(tmp_path):
    for separator, usual in ((";", ","), (",", ";")):
        expected = Expected(wanted=["price"], separator=usual)
        assert read(tmp_path, f"price\n45{separator}00\n7{separator}5\n", expected=expected) == [
            [f"45{separator}00"],
            [f"7{separator}5"],
        ]
        assert read(tmp_path, f"price{separator}x\n45{separator}7\n", expected=expected) == [["45", "7"]]


@pytest.mark.parametrize("target", ["x", "1"])
def test_a_row_with_the_name_of_the_target_is_no_header(tmp_path, target):
    path = tmp_path / "rows.csv"
    path.write_text("#,b\n1,x\n2,y\n")
    with guessed_table(path, "rows.csv", Wishes(), target) as (table, guess):
        assert table.names == ("#", "b")
        assert guess.format.skip == 0


@pytest.mark.parametrize("before", ["", "Survey\n", '"Survey\nof May"\n', "sep=,\n"])
@pytest.mark.parametrize("target", ["How (1 = low, 5 = high)", "b"])
def test_line_breaks_in_names_are_spaces(tmp_path, before, target):
    path = tmp_path / "rows.csv"
    path.write_text(f'{before}a,"How \r\n(1 = low, 5 = high)",b\r\n1,"x\ny",2\r\n3,z,4\r\n', newline="")
    with guessed_table(path, "rows.csv", Wishes(), target) as (table, _):
        assert table.names == ("a", "How (1 = low, 5 = high)", "b")
        rows = table.frame(texts=[table.names[1], "How\n(1 = low, 5 = high)"]).to_numpy().tolist()
        assert rows == [["x\ny", "x\ny"], ["z", "z"]]
        assert table.line(0) == before.count("\n") + 3


def test_quotes_escaped_by_backslashes_are_refused(tmp_path):
    content = 'a,b\n1,"fine"\n2,"say \\"x\\", he said"\n'
    with pytest.raises(RetrainError, match=r"rows.csv, line 3 has a quote after a backslash"):
        read(tmp_path, content)
    (tmp_path / "rows.csv").write_text(content)
    with pytest.raises(RetrainError, match="line 3"), guessed_table(tmp_path / "rows.csv", "rows.csv", Wishes(), "b"):
        pass


def test_a_blank_line_of_one_column_is_a_row(tmp_path):
    assert read(tmp_path, "text\nx\n\ny\n") == [["x"], [""], ["y"]]


def test_encodings_and_quotes_can_be_given(tmp_path):
    assert read(tmp_path, "a,b\n1,caf\u00e9\n".encode("cp1252"), encoding="cp1252") == [["1", "café"]]
    assert read(tmp_path, "a;b\n1;'x;y''s'\n", separator=";", quote="'") == [["1", "x;y's"]]
    assert read(tmp_path, 'a\tb\n1\t5" pipe\n', separator="\t", quote="") == [["1", '5" pipe']]


@pytest.mark.parametrize("times", [1, 100])
@pytest.mark.parametrize(
    ("words", "encoding"),
    [
        ("Tromsø Ålesund Bærum", "cp1252"),
        ("Göteborg Malmö Växjö Luleå Åre", "cp1252"),
        ("Évry Nîmes Sète Besançon", "cp1252"),
        ("Málaga Logroño ¿Qué? 1º", "cp1252"),
        ("São Goiânia Brasília ações", "cp1252"),
        ("Köln Zürich Straße", "cp1252"),
        ("5m³ 20°C £5 3½", "cp1252"),
        ("5µg/m³±1µg/m³ 20°C±5°C", "cp1252"),
        ("Kraków Gdańsk Łódź żółty", "cp1250"),
        ("Příbram Plzeň Děčín", "cp1250"),
        ("Győr Pécs fűtés", "cp1250"),
        ("Piešťany Košice ľahký", "cp1250"),
        ("Şükrü Güneş Beyoğlu", "cp1254"),
        ("Šiauliai Kėdainiai Ąžuolas", "cp1257"),
        ("Nîmes Málaga São sí", "mac_roman"),
        ("Köln Zürich Málaga", "cp850"),
        ("don’t “go” £5 3µg", "cp1252"),
    ],
)
def test_encodings_are_found_by_their_words(tmp_path, words, encoding, times):
    rows = [f"{word},{n}" for n, word in enumerate(words.split() * times)]
    path = tmp_path / "rows.csv"
    path.write_bytes("\n".join(["name,y", *rows]).encode(encoding))
    with guessed_table(path, "rows.csv", Wishes(), "y") as (table, guess):
        assert [name for (name,) in table.select("c0", "order by rowid")] == words.split() * times
    other = words.encode(encoding).decode("cp1250" if encoding == "cp1252" else "cp1252", errors="replace")
    fact = f"the file is not UTF-8, and is read as {encoding}, with words such as '"
    assert [doubt.startswith(fact) for doubt in guess.doubts] == [True] * (other != words)
    with guessed_table(path, "rows.csv", Wishes(format=Format(encoding=encoding)), "y") as (_, guess):
        assert guess.doubts == ()


@pytest.mark.parametrize(
    ("words", "encoding"),
    [
        ("Πάτρα Σάμος Αθήνα Θεσσαλονίκη", "cp1253"),
        ("חיפה ירושלים לא", "cp1255"),
        ("القاهرة الرياض نعم", "cp1256"),
        ("กรุงเทพ ใช่ ไม่ใช่", "cp874"),
        ("大阪 はい 東京", "euc_jp"),
        ("㈱大阪商事 とても良い 東京都港区", "cp932"),
        ("2024年1月5日 2024年11月25日", "cp932"),
        ("2024年1月5日 2024年11月25日", "big5"),
        ("2024년 1월 싫어요 뷁집", "cp949"),
        ("40\xba25\xb4N-3\xba41\xb4W 41\xba23\xb4N-2\xba11\xb4E 3\xd73\xd73\xd764\xd75", "cp1252"),
        ("北京 否 上海", "gb18030"),
        ("Москва Тула нет", "koi8_r"),
        ("Москва Тула нет", "cp866"),
    ],
)
def test_encodings_of_other_scripts_are_found(tmp_path, words, encoding):
    path = tmp_path / "rows.csv"
    path.write_bytes("".join(f"{word},{n}\n" for n, word in enumerate(words.split() * 30)).encode(encoding))
    assert likely_encoding(path) == encoding


def test_words_of_a_guessed_encoding_are_shown(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes("name,y\nKöln,1\nZürich,2\n".encode("cp1252"))
    with guessed_table(path, "rows.csv", Wishes(), "y") as (_, guess):
        assert guess.notes == ("encoding cp1252, as in 'Köln' and 'Zürich'",)


FAR = "x,1\n" * 300_000
"""Rows of more bytes than those that are read at once."""


@pytest.mark.parametrize(
    ("content", "given", "last"),
    [
        (f"a,b\n{FAR}Zürich,2\n".encode(), "cp1252", "Zürich"),
        (f"a,b\n{FAR}Zürich,2\n".encode("cp1252"), "cp1252", "Zürich"),
        (f"a,b\n{FAR}Zürich,2\n".encode("cp1252"), None, "Zürich"),
        (f"a,b\n{FAR}日本語,2\n".encode(), "shift_jis", "日本語"),
        (b"a,b\nx,2\n", "utf-16", "x"),
        (b"a,b\nx,2\n", "shift_jis", "x"),
        ("a,b\ncafé,2\n".encode("utf-16-le"), "utf-16-le", "café"),
        ("a,b\ncafé,2\n".encode("utf-16-le"), None, "café"),
        ("a,b\ncafé,2\n".encode("utf-16-be"), "cp1252", "café"),
        ("a,b\ncafé,2\n".encode("utf-32"), None, "café"),
        ("a,b\n日本語,2\n".encode("utf-16-le"), "utf-16-le", "日本語"),
        ("a,b\ncafé,2\n".encode("utf-16"), "cp1252", "café"),
    ],
)  # fmt: skip
def test_the_content_tells_the_encoding(tmp_path, content, given, last):
    encoding = given
    if given is None:
        (tmp_path / "rows.csv").write_bytes(content)
        with guessed_table(tmp_path / "rows.csv", "rows.csv", Wishes(), "b") as (_, guess):
            encoding = guess.format.encoding
            assert guess.notes == (f"encoding {encoding}, as in {last!r}",)
    assert read(tmp_path, content, encoding=encoding)[-1] == [last, "2"]


def test_late_rows_tell_the_format_too(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,y\n" + "7,1\n" * 20_000 + '"1,234",2\n' * 10_000)
    with guessed_table(path, "rows.csv", Wishes(), "y") as (_, guess):
        assert guess.format.thousands == ","


def test_a_mixed_encoding_is_an_error(tmp_path):
    with pytest.raises(RetrainError, match=r"^rows\.csv, line 2 is not UTF-8 \(byte 0xf6\)"):
        read(tmp_path, "a,b\nKöln,1\n".encode("cp1252"), encoding="utf-16")
    with pytest.raises(RetrainError, match=r"^rows\.csv, line 300003 is not UTF-8"):
        read(tmp_path, f"a,b\nKöln,1\n{FAR}".encode() + "Köln,1\n".encode("cp1252"), encoding="cp1252")


def parquet(folder: Path, **columns) -> list:
    """The columns of a Parquet file, as text; a column that can't be read is the reason."""
    pq.write_table(pa.table(columns), folder / "rows.csv")
    with guessed_table(folder / "rows.csv", "rows.csv", Wishes()) as (table, guess):
        assert guess.format.encoding is None
        return [
            table.unread.get(name) or [value for (value,) in table.select(f"c{place}")]
            for place, name in enumerate(table.names)
        ]


def test_types_of_parquet(tmp_path, monkeypatch):
    words = [b"tr\xc3\xa8s", None]
    assert parquet(tmp_path, a=pa.array(words), b=pa.array(words, pa.large_binary()), c=pa.array(words).dictionary_encode()) == 3 * [["très", ""]]  # fmt: skip
    assert parquet(tmp_path, a=pa.array(np.array([0.5, np.nan], np.float16))) == [["0.5", ""]]
    seconds = [pa.array([timedelta(hours=30, seconds=0.5), None], pa.duration(unit)) for unit in ("ms", "ns")]
    assert parquet(tmp_path, a=seconds[0], b=seconds[1]) == 2 * [["108000.5", ""]]
    inside = {"a": pa.array([["b", "é"], None]), "b": pa.array([{"z": 1, "k": [True]}, {"z": None, "k": []}])}
    assert parquet(tmp_path, **inside) == [['["b","é"]', ""], ['{"k":[true],"z":1}', '{"k":[],"z":null}']]
    monkeypatch.setattr("retrain.data.reading.parquet_files.PARQUET_ROWS", 1)
    no_text, halves = pa.array([b"a", b"\xff"]), pa.array([[1.5], [2.0]], pa.list_(pa.float16()))
    found = parquet(tmp_path, a=no_text, b=halves, c=["x", "y"])
    assert found == ["not in UTF-8", "of the type list<element: halffloat>", ["x", "y"]]
    with open_table(tmp_path / "rows.csv", "rows.csv", Format()) as table:
        assert set(table.select("c0")) == {("",)}
        with pytest.raises(RetrainError, match=r"^rows\.csv, column 'a' can't be read, because it is not in UTF-8"):
            table.column("a")


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
@pytest.mark.parametrize(
    ("texts", "given", "numbers"),
    [
        (["$1,234.50", "$2.25", "$1,000.00"], {}, [1234.5, 2.25, 1000.0]),
        (["1.234,50", "2,25", "12,5"], {}, [1234.5, 2.25, 12.5]),
        (["1 234,5", "2,25", "1,5"], {"decimal": ",", "thousands": " "}, [1234.5, 2.25, 1.5]),
    ],
)
def test_numbers_in_texts_are_read_as_in_csv(tmp_path, ending, texts, given, numbers):
    rows, path = pd.DataFrame({"a": texts, "b": [1.234, 1.5, 2.0]}), tmp_path / f"rows.{ending}"
    rows.to_json(path, orient="records", lines=True) if ending == "jsonl" else rows.to_parquet(path)
    with guessed_table(path, path.name, Wishes(Format(**given))) as (table, _):
        assert table.frame(numbers=["a", "b"]).to_dict("list") == {"a": numbers, "b": [1.234, 1.5, 2.0]}


@pytest.mark.parametrize("before", [[], [100.5], [None, "100,5"], [[1], True]])
def test_json_numbers_and_texts_differ(tmp_path, before):
    values = [*before, "1.000", 1.125, "-2,5", None, -999.0, "-999"]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps({'a': value, 'b': 1})}\n" for value in values))
    with open_table(
        tmp_path / "rows.jsonl", "rows.jsonl", Format(decimal=",", thousands=".", missing=("-999",))
    ) as table:
        found = [number for (number,) in table.select(table.number("a"), "order by rowid")]
        assert found[len(before) :] == [1000.0, 1.125, -2.5, None, None, None]
        assert [kind for _, kind in table.wrong("a", table.number("a"))] == (["[1]", "true"] if True in before else [])


def rows_of(header: str, row: str, changed: dict[int, str], count: int = 60) -> str:
    """A file with a row for each number, some of which are written in another way."""
    return "".join(
        f"{line}\n" for line in [header, *(changed.get(n, row.format(n=n, c="pq"[n % 2])) for n in range(count))]
    )


@pytest.mark.parametrize(
    ("content", "count", "note", "line"),
    [
        (rows_of("c\tt", "{c}\tword {n}", {9: 'p\t"so', 24: 'q\tso"'}), 60, "quotes have no meaning in it", 0),
        (rows_of("n,t,c", '{n},"word, {n}",{c}', {9: '9,"so, on,p', 10: '10,so, on",q'}), 59, "", 11),
        (rows_of("t,c", "word {n},{c}", {9: '"so on,p', 10: 'so, on",q'}), 59, "", 11),
        (rows_of("n,t,c", '{n},"word, {n}\nword, word",{c}', {}), 60, "", 0),
        (rows_of("t,c", "word {n},{c}", {9: '"so, on\nand on",p'}), 60, "", 0),
    ],
)
def test_rows_inside_a_value_are_found(tmp_path, content, count, note, line):
    path = tmp_path / "rows.csv"
    path.write_text(content)
    with guessed_table(path, "rows.csv", Wishes(), "c") as (table, guess):
        fact = f"rows.csv, line {line} has a value of 2 lines, which look like rows; close its quote"
        assert (len(table), "".join(guess.notes), len(guess.doubts)) == (count, note, int(line > 0))
        assert all(doubt.startswith(fact) for doubt in guess.doubts)


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ('"a" "b"\n"Fiat 128" 1.5 "x y"\n"Fiat X1" 2 "z"\n', [["1.5", "x y"], ["2", "z"]]),
        ('"a"\t"b"\n"1"\t1.5\t"x y"\n"2"\t2\t"z"\n', [["1.5", "x y"], ["2", "z"]]),
        ("a~b\n1~x, y\n2~z\n", [["1", "x, y"], ["2", "z"]]),
        ("a\x01b\n1\x01x\n", [["1", "x"]]),
    ],
)
def test_tables_of_other_programs(tmp_path, content, rows):
    assert read(tmp_path, content, expected=Expected(wanted=["a"])) == rows
    with guessed_table(tmp_path / "rows.csv", "rows.csv", Wishes(), "a") as (_, guess):
        assert ("its first column has the names of rows" in guess.notes) == ("1.5" in content)


def test_row_names_without_quotes_are_an_error(tmp_path):
    (tmp_path / "rows.csv").write_text("a b\n1 1.5 x\n2 2.5 y\n")
    with (
        pytest.raises(RetrainError, match=r"^rows\.csv, line 1 has 2 names for 3 columns .*; name each column"),
        guessed_table(tmp_path / "rows.csv", "rows.csv", Wishes(), "a"),
    ):
        pass


def test_control_characters_separate_values_without_names(tmp_path):
    assert read(tmp_path, "1\x01x, y\n2\x01z\n", expected=Expected(("a", "b"))) == [["1", "x, y"], ["2", "z"]]


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        ('__label__b two "w"\n__label__c\tw\n', "is a file of fastText"),
        ("label::text\nb::two w, v\nc::w\n", "has '::' between its values"),
        ("label^^text\nb^^two w\nc^^w\n", "has '^^' between its values"),
        ('"label,text"\n"b,""two, w"""\n"c,w"\n', "has quotes around whole lines"),
    ],
)
def test_advised_commands_make_tables_of_lines(tmp_path, content, fact):
    path = tmp_path / "rows.csv"
    path.write_text(content)
    with (
        pytest.raises(RetrainError, match=re.escape(fact)) as caught,
        guessed_table(path, path.name, Wishes(), "label"),
    ):
        pass
    made = pasted(caught.value, tmp_path)
    assert path.read_text() == content
    with guessed_table(made, made.name, Wishes(), "label") as (table, _):
        found = table.frame(texts=["label", "text"]).to_numpy().tolist()
    assert [label for label, _ in found] == ["b", "c"]
    assert [text for _, text in found] in (['two "w"', "w"], ["two w, v", "w"], ["two w", "w"], ["two, w", "w"])


@pytest.mark.parametrize("name", ["rows.csv.gz", "rows.csv.zst", "rows.jsonl", "rows.json", "rows.parquet"])
def test_other_kinds_of_files(tmp_path, name):
    rows = [{"id": "007", "n": 1.5, "t": "x"}, {"id": "08", "n": 2, "t": "line\nbreak"}]
    text = 'id,n,t\n007,1.5,x\n08,2,"line\nbreak"\n'
    contents = {
        "rows.csv.gz": gzip.compress(text.encode()),
        "rows.csv.zst": pa.compress(text.encode(), codec="zstd", asbytes=True),
        "rows.jsonl": "\n".join(map(json.dumps, rows)),
        "rows.json": json.dumps(rows),
    }
    if name == "rows.parquet":
        pd.DataFrame(rows).to_parquet(tmp_path / "made.parquet")
        contents[name] = (tmp_path / "made.parquet").read_bytes()
    second = "2.0" if name == "rows.parquet" else "2"
    assert read(tmp_path, contents[name], name) == [["007", "1.5", "x"], ["08", second, "line\nbreak"]]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "rows.csv is empty; add rows"),
        (b"\n\n", "rows.csv is empty; add rows"),
        (b"a,b\n", "rows.csv has a header, but no rows; add rows"),
        (b'a,b\n"p\nq",2\n3,"4\n5,6\n', 'rows.csv, line 4 has a quote that does not end, or text after a closing quote; write a quote inside a field as "", or set datasets.mine.prepare.format.quote: "" if quotes have no meaning in this file'),
        (b'a,b\n"1"x,2\n', 'rows.csv, line 2 has a quote that does not end, or text after a closing quote; write a quote inside a field as "", or set datasets.mine.prepare.format.quote: "" if quotes have no meaning in this file'),
        (b"a,b\ncaf\xe9,1\n", "rows.csv, line 2 is not UTF-8 (byte 0xe9); set datasets.mine.prepare.format.encoding: cp1252"),
        (b'a,b\n"x\ny",2\n1,2,3\n', "rows.csv, line 4 has 3 values for 2 columns; put quotes around values that contain ','"),
        (b"a,b\n1,2\n\n3\n", "rows.csv, line 4 has 1 value for 2 columns; add the missing values, or remove the line"),
        (b"sep=,\na,b\n1,2\n3\n", "rows.csv, line 4 has 1 value for 2 columns; add the missing values, or remove the line"),
        (b"a,b\n1,2,3\n", "rows.csv, line 2 has 3 values for 2 columns; put quotes around values that contain ',', or name each column in line 1"),
        (b"PK\x03\x04abc", "rows.csv is a spreadsheet or an archive; save the sheet as CSV, or unpack the file"),
        (b"\x80\x05\x95\xa8\x05\x00\x00\x00\x8c", "rows.csv is a binary file; save the table as CSV, JSON lines or Parquet"),
        (b"<table><tr><th>x</table>", "rows.csv is a web page or XML; download the file itself, or save the table as CSV"),
        (b"\n<!DOCTYPE html>\n<html>", "rows.csv is a web page or XML; download the file itself, or save the table as CSV"),
        (b"version https://git-lfs.github.com/spec/v1\nsize 5\n", "rows.csv is a pointer of Git LFS instead of the file; get the file: git lfs pull"),
        (b'[{"id": 1, "annotations": [{"result": [{"value": {"choices": ["x"]}}], "id": 9}], "data": {"a": "y"}}]', "rows.csv has its labels in lists of annotations, as Label Studio keeps them; export them from Label Studio as JSON-MIN or CSV"),
        (b"BZh91AY&SY", "rows.csv is a spreadsheet or an archive; save the sheet as CSV, or unpack the file"),
        (b"rows.csv".ljust(257, b"\0") + b"ustar", "rows.csv is a spreadsheet or an archive; save the sheet as CSV, or unpack the file"),
        (b"SQLite format 3\0", "rows.csv is a document or a database; save the table as CSV"),
        (b"outs:\n- md5: a304afb96060aad9\n  path: rows.csv\n", "rows.csv is a pointer of DVC instead of the file; get the file: dvc pull"),
    ],
)  # fmt: skip
def test_errors_name_the_line(tmp_path, content, expected):
    with pytest.raises(RetrainError) as caught:
        read(tmp_path, content, expected=Expected(wanted=["a", "b"], section=SECTION))
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (" x   y  z\n 1.5   2  'a'\n  3  40  b\n", [["1.5", "2", "'a'"], ["3", "40", "b"]]),
        ('"x" y z\n1 2 "a  b"\n3\t 4\t"c"\n', [["1", "2", "a  b"], ["3", "4", "c"]]),
        ('x  y  z\n1  2\t"a, b"\n3  4\t"c; d, e"\n', [["1", "2", "a, b"], ["3", "4", "c; d, e"]]),
        ("x y z\r\n1,5 2 a \r\n\r\n13,5  1.000  b\r\n", [["1,5", "2", "a"], ["13,5", "1.000", "b"]]),
        ("x\ty\tz\n1\t\t2\ta\n3\t4\t\tb\n", [["1", "2", "a"], ["3", "4", "b"]]),
        ("x\ty\tz\na b\t1\t2\nc d\t3\t4\n", [["a b", "1", "2"], ["c d", "3", "4"]]),
        ("x,y,z\na b,1,2\nc d,3,4\n", [["a b", "1", "2"], ["c d", "3", "4"]]),
    ],
)
def test_blanks_may_separate_values(tmp_path, content, rows):
    assert read(tmp_path, content, expected=Expected(wanted=["z", "x"])) == rows


@pytest.mark.parametrize(
    ("before", "names", "skip"),
    [
        ("# Station: 1\n# x in km\n# y\nx  y\n", ("x", "y"), 3),
        ("Station of the north\nx y\n", ("x", "y"), 1),
        ("# by us\n#   x y\n", ("#x", "y"), 1),
        ("# x y\n", ("#x", "y"), 0),
    ],
)
def test_comments_before_values_with_blanks_between_them(tmp_path, before, names, skip):
    path = tmp_path / "rows.txt"
    path.write_text(f"{before}1.5  2\n 3   4\n")
    with guessed_table(path, "rows.txt", Wishes(), "y") as (table, guess):
        assert (table.names, guess.format.skip, guess.format.separator) == (names, skip, " ")
    with open_table(path, "rows.txt", guess.format) as again:
        assert again.select("*") == [("1.5", "2"), ("3", "4")]


@pytest.mark.parametrize("header", ["", "x\ty\n", "# x\ty\n"])
def test_tabs_separate_values_with_as_many_blanks(tmp_path, header):
    path = tmp_path / "rows.tsv"
    path.write_text(header + "".join(f"a b {n}\t{n % 2}\n" for n in range(60)))
    with guessed_table(path, "rows.tsv", Wishes(), "y" if header else "-1") as (table, guess):
        assert (guess.format.separator, len(table.names)) == ("\t", 2)


def test_years_are_names_of_columns(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("town,2021,2022\nx,3.5,4\ny,5.5,6\n")
    with guessed_table(path, "rows.csv", Wishes(), "2022") as (table, guess):
        assert (table.names, guess.doubts) == (("town", "2021", "2022"), ())


def test_blanks_separate_values_without_names(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("".join(f' {n}.5   {n % 7}  {n * 30}\t"bmw {n}"\n' for n in range(60)))
    with guessed_table(path, "rows.csv", Wishes(), "-1") as (table, guess):
        assert (guess.has_header, guess.format.separator, len(table)) == (False, " ", 60)
        assert table.select("*", "limit 2") == [("0.5", "0", "0", "bmw 0"), ("1.5", "1", "30", "bmw 1")]
    with guessed_table(path, "rows.csv", Wishes(), "0") as (_, guess):
        assert guess.doubts == ("the first line is the header, because it has '0': if it is a row, use --no-header",)


def pasted(error: RetrainError, folder: Path) -> Path:
    """The file that the command of an error makes."""
    before, path = {*folder.iterdir()}, f"{Path(sys.executable).parent}:/usr/bin:/bin"
    command = error.hint.partition(": ")[2]
    subprocess.run(["bash", "-c", command], cwd=folder, check=True, env={"PATH": path})
    (made,) = {*folder.iterdir()} - before
    return made


def test_a_column_of_names_is_no_table(tmp_path):
    content = "full name\nAnn Lee\nBo Chan\n"
    assert read(tmp_path, content, expected=Expected(wanted=["full name"])) == [["Ann Lee"], ["Bo Chan"]]


@pytest.mark.parametrize(
    ("name", "content", "fact"),
    [
        ("rows.arff", "% Iris\n@RELATION i\n\n@ATTRIBUTE x NUMERIC\n@attribute y {a,b}\n@DATA\n1,a\n% no\n2,b\n", "an ARFF file"),
        ("no-suffix", f"% {'Iris ' * 99}\n\n@relation i\n@attribute x numeric\n@attribute y {{a,b}}\n@data\n1,a\n2,b\n", "an ARFF file"),
        ("rows.tsv", "x,y\\TIME_PERIOD\t2020 \t2021-Q1 \n1,a\t: c\t3 \n2,b\t4.5 e\t: \n", "is a file of Eurostat"),
        ("rows.jsonl", '{"x": 1, "y": "a"},\n{"x": 2, "y": "b"},\n', "line 1 is not a JSON object .*; take away the commas"),
        ("split.json", '{"columns": ["x", "y"], "index": [0, 1], "data": [[1, "a"], [2, "b"]]}', "one object for all rows"),
        ("all.json", '{"count": 2, "rows": [{"x": 1, "y": "a"}, {"x": 2, "y": "b"}]}', "one object, whose rows are in 'rows'"),
        ("rows.txt", " x | y \n---+---\n 1 | a\n 2 | b\n(2 rows)\n", "has lines of - between its rows"),
        ("my page.md", "| x | y\n|---|---\n| 1 | a\n| 2 | b\n", "has lines of - between its rows"),
        ("wide.txt", "x       y\n1       a\n2       b\n        c\n", "has columns of a fixed width"),
    ],
)  # fmt: skip
def test_advised_commands_make_tables(tmp_path, name, content, fact):
    expected = Expected(wanted=["x", "y"])
    with pytest.raises(RetrainError, match=fact) as caught:
        read(tmp_path, content, name, expected)
    made = pasted(caught.value, tmp_path)
    assert (tmp_path / name).read_text() == content
    row = read(tmp_path, made.read_bytes(), made.name, Expected() if fact.endswith("Eurostat") else expected)[1]
    assert row in (["2", "b"], ["2.0", "b"], ["", "2", "b"], ["2", "b", "4.5", ""])


@pytest.mark.parametrize(
    ("content", "orient"),
    [
        ('{"columns": ["x", "y"], "data": [[1, 2], [3, 4]]}', "split"),
        ('{"x": {"0": 1, "1": 2}, "y": {"0": 3, "1": 4}}', "columns"),
        ('{"0": {"x": 1, "y": 3}, "1": {"x": 2, "y": 4}}', "index"),
    ],
)
def test_an_object_for_all_rows_is_read_by_pandas(tmp_path, content, orient):
    with pytest.raises(RetrainError, match=f'is one object for all rows; write one .* orient="{orient}"'):
        read(tmp_path, content, "rows.json", Expected(wanted=["x", "y"]))


def test_libsvm_files_are_recognised(tmp_path):
    for content in ("-1 qid:3 7:1\n", "1,2 1:7 3:1 # no\n", "0 " + " ".join(f"{n}:0.25" for n in range(99)) + "\n"):
        with pytest.raises(RetrainError, match=r"^rows\.txt is a file of LIBSVM"):
            read(tmp_path, content, "rows.txt")
    with pytest.raises(RetrainError, match="is a file of LIBSVM") as caught:
        read(tmp_path, "+1 1:7 2:1\n-1 2:0.5\n", "rows.txt")
    made = pasted(caught.value, tmp_path).read_text().split()
    assert made == ["x0,x1,x2,y", "0.0,7.0,1.0,1.0", "0.0,0.0,0.5,-1.0"]
    assert read(tmp_path, "12 10:30 11:45\n5 9:15 10:00\n", "rows.txt")[0] == ["5", "9:15", "10:00"]


def test_damaged_files_are_one_line(tmp_path):
    with pytest.raises(RetrainError, match=r"^rows\.jsonl, line 3 is not a JSON object \("):
        read(tmp_path, '{"a": 1}\n\n{"a" 2}\n', "rows.jsonl")
    with pytest.raises(RetrainError, match=r"^rows\.json, line 4 is not a JSON object \(.*; correct the line$"):
        read(tmp_path, '[\n{"a": 1},\n{"a": 2},\n]\n', "rows.json")
    with pytest.raises(RetrainError, match=r"^rows\.jsonl has values or lists instead of JSON objects; write each row"):
        read(tmp_path, "[1, 2]\n[3, 4]\n", "rows.jsonl")
    with pytest.raises(RetrainError, match=r"^rows\.parquet is not a readable table"):
        read(tmp_path, b"PAR1 and then nothing", "rows.parquet")
    with pytest.raises(
        RetrainError, match=r"^rows\.json does not hold JSON .*; if it is CSV, rename it: mv rows\.json rows"
    ):
        read(tmp_path, "a,b\n1,2\n", "rows.json")
    with pytest.raises(RetrainError, match=r"^rows\.csv\.gz is cut off, .*; download or write it again"):
        read(tmp_path, gzip.compress(b"a,b\n1,2\n" * 1000)[:-40], "rows.csv.gz")


def test_missing_files_and_folders_are_errors(tmp_path):
    for path, fact in ((tmp_path / "no.csv", "does not exist"), (tmp_path, "is a folder, not a file")):
        with pytest.raises(RetrainError, match=f"{fact}; give the path"), open_table(path, "rows", Format()):
            pass


@pytest.mark.parametrize(
    ("content", "known", "numbers"),
    [
        ("a,b\n 1e-13 ,.5\n-7.,+3\n", {}, ([1e-13, -7.0], [0.5, 3.0])),
        ("a,b\n123456789012,0.1\n1e12,1e-300\n", {}, ([123456789012.0, 1e12], [0.1, 1e-300])),
        ("a;b\n1,5;2\n-3;4,25\n", {"decimal": ","}, ([1.5, -3.0], [2.0, 4.25])),
        ("a;b\n1.234,5;2\n12;1.000.000\n", {"decimal": ",", "thousands": "."}, ([1234.5, 12.0], [2.0, 1e6])),
        ("a;b\n1.021,65-;(2,5)\n12,0-;(1.000.000 )\n", {"decimal": ",", "thousands": "."}, ([-1021.65, -12.0], [-2.5, -1e6])),
        ("a;b\n($62.40);$1\n$(7.5);2.0-\n", {"units": ["$"]}, ([-62.4, -7.5], [1.0, -2.0])),
        ('a;b\n1,234.5;"2"\n999;1,000,000\n', {"thousands": ","}, ([1234.5, 999.0], [2.0, 1e6])),
        ("a,b\n$5,12%\n$ 7.5,-3 %\n", {"units": ("$", "%")}, ([5.0, 7.5], [12.0, -3.0])),
        ("a,b\n5 kg,7 m\n6,8m\n", {"units_in": {"a": "kg", "b": "m"}}, ([5.0, 6.0], [7.0, 8.0])),
        ("a;b\nkr.500;5 kg\n7 kr.;6 g\n", {"units": ["kr", "g", "kg"]}, ([500.0, 7.0], [5.0, 6.0])),
        ("a;b\n12,34,567;1,23,456.5\n567;-1,234\n", {"thousands": ","}, ([1234567.0, 567.0], [123456.5, -1234.0])),
    ],
)  # fmt: skip
def test_numbers_are_exact(tmp_path, content, known, numbers):
    assert columns(tmp_path, content, numbers=["a", "b"], **known) == dict(zip("ab", map(list, numbers), strict=True))


def test_a_unit_of_another_column_is_no_number(tmp_path):
    with pytest.raises(
        RetrainError, match="line 3, column 'a' holds '900 m', which is not a finite number; write it in km"
    ):
        columns(tmp_path, "a,b\n5 km,7 m\n900 m,8 m\n", numbers=["a", "b"], units_in={"a": "km", "b": "m"})


def test_missing_values_are_nan(tmp_path):
    content = "a,b\n?,1\n,NA\n3,999\n999, \n"
    found = columns(tmp_path, content, numbers=["a", "b"], missing=("?", "NA"), missing_in={"b": ["999"]})
    assert [math.isnan(value) for value in found["a"]] == [True, True, False, False]
    assert [math.isnan(value) for value in found["b"]] == [False, True, True, True]
    assert found["a"][2:] == [3.0, 999.0]


@pytest.mark.parametrize("word", ["two", "1_000", "nan", "-inf", "0x10", "1e308", "1.2.3", "12-3"])
def test_a_word_is_no_number(tmp_path, word):
    with pytest.raises(RetrainError) as caught:
        columns(tmp_path, f'a,b\n"x\ny",2\n1,{word}\n', numbers=["b"])
    fact = "larger than 1e+150" if word == "1e308" else "not a finite number"
    assert str(caught.value).startswith(
        f"rows.csv, line 4, column 'b' holds '{word}', which is {fact}; correct the value,"
    )
    assert str(caught.value).endswith(f"or take 'b' out of {SECTION}.numbers")


def test_decimal_commas_are_explained(tmp_path):
    with pytest.raises(RetrainError, match=rf'; set {SECTION}\.format\.decimal: "," if the comma is the decimal mark'):
        columns(tmp_path, "a;b\n1,5;2\n", numbers=["a"])


def test_dates_are_utc(tmp_path):
    content = "a\n2024-12-31\n2024-12-31 23:59\n2024-12-31T23:59:00Z\n2024-12-31T23:59:00+02:00\n"
    expected = ["2024-12-31 00:00", "2024-12-31 23:59", "2024-12-31 23:59", "2024-12-31 21:59"]
    assert columns(tmp_path, content, dates=["a"])["a"] == list(map(pd.Timestamp, expected))


@pytest.mark.parametrize(
    ("written", "time"),
    [
        ("2024-12-31 23:59:00 -0500", "2025-01-01 04:59"),
        ("2024-12-31 23:59:00 +0000 UTC", "2024-12-31 23:59"),
        ("2024-12-31 23:59:00 UTC", "2024-12-31 23:59"),
        ("2024-12-31 23:59:00,5", "2024-12-31 23:59"),
        ("20241231T235900Z", "2024-12-31 23:59"),
        ("20241231T235900+01:00", "2024-12-31 22:59"),
        ("Tue, 31 Dec 2024 23:59:00 +0200", "2024-12-31 21:59"),
        ("2024-12-31 24:00", "2025-01-01"),
        ("2024-12-31 24:01", None),
        ("2024-12-31 11:59 PM", None),
    ],
)
def test_offsets_of_programs(tmp_path, written, time):
    """Files and rows of programs are read alike."""
    form = Format(dates=("%a, %d %b %Y %H:%M:%S %z",))
    (tmp_path / "rows.csv").write_text(f'a\n"{written}"\n')
    with open_table(tmp_path / "rows.csv", "rows.csv", form) as table:
        if time is None:
            assert [*table.unreadable([], ["a"])] == [0]
        else:
            assert table.frame(dates=["a"])["a"].tolist() == [pd.Timestamp(time)] == [raw_time(written, "a", form)]


def test_dates_in_other_orders(tmp_path):
    (tmp_path / "rows.csv").write_text("a\n31/12/2024\n1/2/2023\n")
    with open_table(tmp_path / "rows.csv", "rows.csv", Format(dates=("%d/%m/%Y",))) as table:
        assert table.frame(dates=["a"])["a"].tolist() == [pd.Timestamp("2024-12-31"), pd.Timestamp("2023-02-01")]


def test_years_have_the_digits_of_the_format(tmp_path):
    short = [f"{1 + year % 28}/{1 + year % 12}/{year:02}" for year in range(100)]
    days = [pd.Timestamp(year + 100 * (19 + (year < 69)), 1 + year % 12, 1 + year % 28) for year in range(100)]
    (tmp_path / "rows.csv").write_text("\n".join(["a", *short, "1/2/2024", ""]))
    with open_table(tmp_path / "rows.csv", "rows.csv", Format(dates=("%d/%m/%Y", "%d/%m/%y"))) as table:
        assert table.frame(dates=["a"])["a"].tolist() == [*days, pd.Timestamp("2024-02-01")]
    assert [moment(one, ["%d/%m/%Y", "%d/%m/%y"]) for one in short] == days
    with pytest.raises(RetrainError, match=r"line 2, column 'a' holds '1/2/24', which .*, as in \[\"%d/%m/%y\"\]"):
        columns(tmp_path, "a\n1/2/24\n", dates=["a"])
    with open_table(tmp_path / "rows.csv", "rows.csv", Format(dates=("%d/%m/%Y",))) as table:
        assert [*table.unreadable([], ["a"])] == [0]


@pytest.mark.parametrize("word", ["now", "today", "epoch", "infinity", "2024-13-01", "20241231"])
def test_words_are_no_dates(tmp_path, word):
    with pytest.raises(
        RetrainError, match=rf"^rows\.csv, line 3, column 'a' holds '{word}', which is not a date; write"
    ):
        columns(tmp_path, f"a\n2024-01-01\n{word}\n", dates=["a"])


@pytest.mark.parametrize(
    ("header", "fact"),
    [
        ("a,c", "rows.csv has no column 'b'; the file has: a, c"),
        ("a,bb", "rows.csv has no column 'b'; did you mean 'bb'? (the file has: a, bb)"),
        ("b,b", "rows.csv, line 1 names column 'b' twice; rename one of them"),
    ],
)
def test_columns_are_missing_or_repeated(tmp_path, header, fact):
    with pytest.raises(RetrainError) as caught:
        columns(tmp_path, f"{header}\n1,2\n", numbers=["b"])
    assert str(caught.value) == fact


def test_nothing_is_fetched_or_matched(tmp_path):
    name = "rows[*]?.csv"
    (tmp_path / name).write_text("a\n1\n")
    (tmp_path / "rowsX.csv").write_text("a\n2\n")
    with open_table(tmp_path / name, name, Format()) as table:
        assert table.frame(texts=["a"])["a"].tolist() == ["1"]


@pytest.mark.parametrize(("rows", "limit"), [(100, 1 << 11), (100, 1 << 13), (3000, 1 << 14)])
def test_lack_of_room_is_not_blamed_on_the_file(tmp_path, monkeypatch, rows, limit):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n" + "1,2\n" * rows)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(RetrainError) as caught, open_table(path, "rows.csv", Format(), on_disk=True) as table:
            len(table)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    said = str(caught.value)
    assert said.startswith(f"{tmp_path} can't hold the rows (")
    assert said.endswith("File too large); raise the limit on files: ulimit -f unlimited")


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("Zu\u0308rich", "Z\u00fcrich"),
        ("low\u200b", "low"),
        (" \u200e low\ufeff ", "low"),
        ("co\u00adop", "coop"),
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),
        ("क्\u200dष", "क्\u200dष"),
        ("👩\u200d💻", "👩\u200d💻"),
        ("ជំរាប\u200bសួរ\u200b", "ជំរាប\u200bសួរ"),
        ("a\x00e\u0301b", "a\x00\u00e9b"),
    ],
)
def test_forms_of_unicode_are_one(tmp_path, value, stored):
    assert read(tmp_path, json.dumps({"a": value}) + '\n{"a": "x"}\n', "rows.jsonl") == [[stored], ["x"]]
    if "\0" not in value:
        assert read(tmp_path, f'a,b\n"{value}",1\n') == [[stored, "1"]]
    pd.DataFrame({"a": [value]}).to_parquet(tmp_path / "rows.parquet")
    with open_table(tmp_path / "rows.parquet", "rows.parquet", Format()) as table:
        assert table.frame(texts=["a"])["a"].tolist() == [stored]


@pytest.mark.parametrize("name", ["unit price é", "unit\u00a0price é", "unit price e\u0301", "\u200eunit\u202fprice é"])
@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_columns_are_found_in_any_form(tmp_path, name, form):
    path, rows = tmp_path / f"rows.{form}", pd.DataFrame({name: ["3", "4"], "b": ["x", "y"]})
    if form == "parquet":
        rows.to_parquet(path)
    else:
        path.write_text(rows.to_csv(index=False) if form == "csv" else rows.to_json(orient="records", lines=True))
    for wanted in ("unit price é", "unit price e\u0301"):
        with open_table(path, path.name, Format(), Expected(wanted=[wanted])) as table:
            assert table.names == ("unit price é", "b")
            assert table.frame(numbers=[wanted])[wanted].tolist() == [3, 4]


def test_hundreds_of_keys_are_columns(tmp_path):
    """Each row has a few of 600 keys; DuckDB alone would take such rows for maps."""
    rows = [{f"k{place}": place + row for place in range(600) if (place + row) % 30 == 0} for row in range(30)]
    found = read(tmp_path, "\n".join(map(json.dumps, rows)), "rows.jsonl")
    assert [[value for value in row if value] for row in found] == [
        [str(value) for value in row.values()] for row in rows
    ]
    assert {len(row) for row in found} == {600}


def test_the_order_of_keys_means_nothing(tmp_path):
    same = {"y": 1.0, "é": [{"q": 1, "p": "é"}]}, {"e\u0301": [{"p": "e\u0301", "q": 1}], "y": 1.0}
    rows = [{"a": same[0], "b": '{"y": 1, "x": 2}'}, {"a": same[1], "b": ""}]
    for ascii_only in (True, False):
        content = "\n".join(json.dumps(row, ensure_ascii=ascii_only) for row in rows)
        expected = '{"y":1.0,"é":[{"p":"é","q":1}]}'
        assert read(tmp_path, content, "rows.jsonl") == [[expected, rows[0]["b"]], [expected, ""]]  # a text stays


@pytest.mark.parametrize(
    "content",
    [
        "CREATE TABLE t (x int, y text);\nINSERT INTO t VALUES (1, 'a');\n",
        "-- MySQL dump 10.13  Distrib 8.0.36\n--\n",
        "--\n-- PostgreSQL database dump\n--\n",
        "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n",
    ],
)
def test_dumps_of_databases_are_named(tmp_path, content):
    with pytest.raises(RetrainError, match="is an SQL dump; load it into its database, and save the table as CSV"):
        read(tmp_path, content)


def test_rows_of_missing_values_are_no_listing(tmp_path):
    assert read(tmp_path, "x|y\n-|-\n1|a\n") == [["-", "-"], ["1", "a"]]


def test_two_encodings_in_a_file_are_named(tmp_path):
    rows = [f"Jörg {n},{n}\n".encode("cp1252" if n % 5 == 2 else "utf-8") for n in range(20)]
    path, content = tmp_path / "rows.csv", b"x,y\n" + b"".join(rows)
    path.write_bytes(content)
    with pytest.raises(RetrainError) as caught, guessed_table(path, path.name, Wishes(), "y"):
        pass
    assert str(caught.value).startswith("rows.csv, line 4 is not UTF-8, but other lines are; make all UTF-8, if ")
    made = pasted(caught.value, tmp_path).read_text(encoding="utf-8").splitlines()
    assert made == ["x,y", *(f"Jörg {n},{n}" for n in range(20))]
    assert path.read_bytes() == content


def test_only_plain_files_get_commands(tmp_path):
    rows = b"x,y\n" + "Jörg,1\n".encode() * 9 + "Jörg,2\n".encode("cp1252") + "Jörg,1\n".encode() * 9
    sources = [("rows.csv.gz", gzip.compress(rows)), ("standard input", rows), ("https://example.org/rows.csv", rows)]
    for shown, content in sources:
        path = tmp_path / ("rows.csv.gz" if shown.endswith(".gz") else "rows.csv")
        path.write_bytes(content)
        with pytest.raises(RetrainError) as caught, guessed_table(path, shown, Wishes(), "y"):
            pass
        fact = f"{shown}, line 11 is not UTF-8, but other lines are; make all UTF-8, if the others are cp1252"
        assert str(caught.value) == fact


@pytest.mark.parametrize(
    ("header", "classes", "encoding", "found"),
    [
        ("编号,性别,年龄,结果", "男女", "gbk", "gb18030"),  # 女 is also UTF-8, for Ů
        ("номер,місто,вік,курить", ("Так", "\u041d\u0456"), "cp1251", "cp1251"),  # so is their No
    ],
)
def test_words_may_be_utf8_by_chance(tmp_path, header, classes, encoding, found):
    path = tmp_path / "rows.csv"
    path.write_text("\n".join([header, *(f"{n},{classes[n % 5 > 1]},{n},1" for n in range(200))]), encoding=encoding)
    with guessed_table(path, path.name, Wishes(), header.split(",")[0]) as (table, guess):
        assert (guess.format.encoding, table.names) == (found, tuple(header.split(",")))


@pytest.mark.parametrize(
    "content", ['text|y\n"hello\n-----\nbye"|1\n"a\n---\nb"|0\n', 'text,y\n"s | x\n-----\nbye",1\n"a | b\n---\nb",0\n']
)
def test_lines_inside_values_are_no_listing(tmp_path, content):
    assert [row[1] for row in read(tmp_path, content)] == ["1", "0"]
    sign = content[4]
    with pytest.raises(RetrainError, match="has 3 values for 2 columns"):
        read(tmp_path, f"{content}1{sign}2{sign}3\n")
