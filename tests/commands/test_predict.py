"""`retrain predict` needs only the model's folder and prints a line of JSON per row."""

import csv
import json
import os
import pickle
import pty
import shutil
import subprocess
import sys
import warnings
from contextlib import chdir
from functools import partial
from pathlib import Path

import retrain
from retrain.commands import predict
from retrain.data.encoders import mixed
from retrain.models.unfamiliar import Unfamiliar

import numpy as np
import pandas as pd
import pytest
import requests
from click.testing import CliRunner, Result
from support.errors import error_line
from support.homes import mixed_block
from support.model_folders import change, write_model
from support.project import (
    Project,
    copy_of_repository,
    made_once,
    news_rows,
    number_rows,
    tiny_datasets,
    write_csv,
    write_tiny_tables,
    write_yaml,
)
from support.service import serve
from support.shops import ROW, write_shop, write_shops

GAPS = "rows lack a value, but {} of the training rows did; fill it, or expect larger errors than in the report"
EMPTY = {"fare": None, "vip": None, "level": None, "zip": None, "tags": None}
TEXTS = ["the old ship and the reef", "a cow near the barn", "Tram, bridge & market!"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models of `tiny_news`, `tiny_numbers`, and the shops."""

    def make(folder: Path) -> None:
        project = copy_of_repository(folder)
        write_tiny_tables(folder)
        shops = write_shops(folder) | {"times": write_times(folder)}
        project.write_params({"datasets": {**tiny_datasets(), **shops}})
        for dataset in ("tiny_news", "tiny_numbers", *shops):
            project.set(f"{dataset}.train.loop.epochs", 15)
            project.stages("prepare split train", dataset)

    return made_once(tmp_path_factory, "predict", make).folder / "models"


def write_times(folder: Path) -> dict:
    """Write rows with times that have an offset, but for one of them, times without one and with a gap, and both; the block of the dataset."""
    days = pd.date_range("2024-01-01T12:00", periods=90).strftime("%Y-%m-%dT%H:%M:%S").tolist()
    rows = [[f"{day}+02:00", day, f"{day}{'Z' if n % 2 else ''}", n % 7] for n, day in enumerate(days)]
    rows[7][0], rows[8][1] = days[7], ""
    file = Path("data/raw/times/rows.csv")
    (folder / file).parent.mkdir()
    write_csv(folder / file, ["sent", "day", "both", "y"], rows)
    block = mixed_block("regression")
    block["prepare"] |= {
        "train": {"location": str(file), "sha256": "unpinned"}, "columns": ["sent", "day", "both", "y"],
        "numbers": ["y"], "categories": [], "dates": ["sent", "day", "both"], "inputs": ["sent", "day", "both"],
    }  # fmt: skip
    return block


@pytest.fixture
def elsewhere(models: Path, tmp_path: Path) -> Project:
    """A folder that holds the models, and neither data nor code nor git."""
    shutil.copytree(models, tmp_path / "elsewhere" / "models")
    return Project(tmp_path / "elsewhere")


def command(project: Project, *arguments: str, stdin: str | bytes = "") -> list[dict]:
    """The answers of the command, in a process of its own."""
    retrain = Path(sys.executable).with_name("retrain")
    ended = project.run(str(retrain), "predict", *arguments, stdin=stdin)
    assert ended.returncode == 0, ended.said
    assert ended.stderr == ""
    return [json.loads(line) for line in ended.stdout.splitlines()]


def answers(project: Project, *arguments: str, stdin: str | bytes = "") -> list[dict]:
    """The answers of the command, in this process."""
    with chdir(project.folder):
        ended = CliRunner().invoke(predict.command, arguments, input=stdin, catch_exceptions=False)
    assert ended.exit_code == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.mark.parametrize(
    ("parameter", "value", "warned"),
    [
        ("prepare.repeats", "once", "prepare.repeats"),
        ("prepare.train.sha256", "0" * 64, "prepare.train"),
        ("train.loop.epochs", 99, ""),
    ],
)
def test_model_of_other_data_is_told(elsewhere, parameter, value, warned):
    project = Project(elsewhere.folder)
    project.write_params({"datasets": tiny_datasets()})
    project.set(f"tiny_news.{parameter}", value)
    with chdir(project.folder):
        ended = CliRunner().invoke(predict.command, ["tiny_news", TEXTS[0]])
    assert json.loads(ended.stdout)["label"] == "sea"
    told = f"models/tiny_news was trained before {warned} changed in params.yaml; to train it again, run: make repro DATASET=tiny_news"
    assert ended.stderr == (f"Warning: {told}\n" if warned else "")


def test_texts_get_labels_in_order(elsewhere):
    found = answers(elsewhere, "tiny_news", *TEXTS)
    assert [answer["label"] for answer in found] == ["sea", "farm", "city"]
    for answer in found:
        assert list(answer) == ["label", "probabilities"]
        assert list(answer["probabilities"]) == ["city", "farm", "sea"]
        assert sum(answer["probabilities"].values()) == pytest.approx(1.0, abs=1e-5)
        assert max(answer["probabilities"], key=answer["probabilities"].get) == answer["label"]


ENCODED = "a quay and caf\u00e9s in Malm\u00f6"


@pytest.mark.parametrize("name", ["rows.txt", "rows.csv"])
@pytest.mark.parametrize(
    ("encoding", "warned"),
    [
        ("utf-8", ""),
        ("utf-8-sig", ""),
        ("utf-16", ""),
        ("utf-16-be", ""),
        ("cp1252", "Warning: {name}: encoding cp1252, as in 'caf\u00e9s' and 'Malm\u00f6'\n"),
    ],
)
def test_rows_may_have_another_encoding(elsewhere, name, encoding, warned):
    header = "text\n" * name.endswith(".csv")
    (elsewhere.folder / name).write_bytes(f"{header}{ENCODED}\nthe barn\n".encode(encoding))
    with chdir(elsewhere.folder):
        ended = CliRunner().invoke(predict.command, ["tiny_news", "--file", name], catch_exceptions=False)
    assert ended.stderr == warned.format(name=name)
    assert [json.loads(line) for line in ended.stdout.splitlines()] == answers(
        elsewhere, "tiny_news", ENCODED, "the barn"
    )


def test_encoding_can_be_named(elsewhere):
    content = f"{ENCODED}\n".encode("mac_roman")
    (elsewhere.folder / "rows.txt").write_bytes(content)
    given = ["tiny_news", "--encoding", "mac_roman"]
    expected = answers(elsewhere, "tiny_news", ENCODED)
    assert answers(elsewhere, *given, "--file", "rows.txt") == expected
    assert answers(elsewhere, *given, stdin=content) == expected
    assert answers(elsewhere, "tiny_news", "--encoding", "utf-16", stdin=ENCODED.encode("utf-16")) == expected


def test_columns_are_found_by_name(elsewhere):
    rows = number_rows(30, seed=9)
    write_csv(elsewhere.folder / "rows.csv", ["more", "c", "a", "b"], [["x", c, a, b] for a, b, c, _ in rows])
    found = answers(elsewhere, "tiny_numbers", "--file", "rows.csv")
    assert [list(answer) for answer in found] == [["number", "low", "high"]] * 30
    assert len({round(answer["high"] - answer["low"], 6) for answer in found}) == 1
    assert all(answer["low"] < answer["number"] < answer["high"] for answer in found)
    errors = [abs(answer["number"] - row[3]) for answer, row in zip(found, rows, strict=True)]
    assert sum(errors) / 30 < 4.0  # the target's deviation is about 8


def test_all_inputs_give_same_answers(elsewhere):
    expected = answers(elsewhere, "tiny_news", *TEXTS)
    (elsewhere.folder / "rows.txt").write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    (elsewhere.folder / "rows.csv").write_text(
        "number,text\n" + "".join(f'{number},"{text}"\n' for number, text in enumerate(TEXTS)), encoding="utf-8"
    )
    assert answers(elsewhere, "tiny_news", "--file", "rows.txt") == expected
    assert answers(elsewhere, "tiny_news", "--file", "rows.csv") == expected
    assert answers(elsewhere, "tiny_news", stdin="\n".join(TEXTS)) == expected
    assert answers(elsewhere, "tiny_news", stdin="\r\n".join(TEXTS) + "\r\n") == expected


def test_headers_are_no_texts(elsewhere):
    expected = answers(elsewhere, "tiny_news", *TEXTS)
    (elsewhere.folder / "rows.txt").write_text(
        "label\ttext\n" + "".join(f"?\t{text}\n" for text in TEXTS), encoding="utf-8"
    )
    assert answers(elsewhere, "tiny_news", "--file", "rows.txt") == expected
    for header, where in (("text", "standard input"), ("label,text", "standard input")):
        ended = predicted(elsewhere, "tiny_news", stdin="\n".join([header, *TEXTS]))
        assert ended.stderr.startswith(f"Warning: {where}, line 1: looks like a header, but is answered like a text; ")
        assert [json.loads(line) for line in ended.stdout.splitlines()][1:] == expected


def test_rows_in_json_are_no_texts(elsewhere):
    row, other = '{"text": "some words", "id": 3}', '{"words": "some words"}'
    rest = "looks like a row in JSON, but is answered like a text; rows need --file rows.jsonl, or --file -"
    for texts, stdin, where in (([row], "", "the first text"), ([], row, "standard input, line 1")):
        ended = predicted(elsewhere, "tiny_news", *texts, stdin=stdin)
        assert (ended.exit_code, ended.stderr.splitlines()[0]) == (0, f"Warning: {where}: {rest}")
    assert predicted(elsewhere, "tiny_news", other).stderr == ""
    assert "JSON" not in predicted(elsewhere, "tiny_news", "--file", "-", stdin=row + "\n").stderr


def test_the_name_of_a_file_is_no_text(elsewhere):
    (elsewhere.folder / "my rows.txt").write_text("a\n")
    fact = "my rows.txt is a file, but its name is taken as a text; to answer its rows: --file 'my rows.txt'"
    assert predicted(elsewhere, "tiny_news", "my rows.txt").stderr.splitlines()[0] == f"Warning: {fact}"
    assert predicted(elsewhere, "tiny_news", "x" * 5000).stderr == ""


def test_standard_input_of_process(elsewhere):
    assert command(elsewhere, "tiny_news", stdin="\n".join(TEXTS)) == answers(elsewhere, "tiny_news", *TEXTS)


def test_terminal_says_what_it_waits_for(elsewhere):
    terminal, its_end = pty.openpty()
    retrain = [Path(sys.executable).with_name("retrain"), "predict", "tiny_news"]
    process = subprocess.Popen(
        retrain, cwd=elsewhere.folder, env=elsewhere.environment, text=True,
        stdin=its_end, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    os.close(its_end)
    assert process.stderr.readline() == "reading texts, one per line; Ctrl-D ends\n"
    os.write(terminal, b"the old ship and the reef\n\x04")
    stdout, _ = process.communicate(timeout=60)
    os.close(terminal)
    assert json.loads(stdout)["label"] == "sea"


def test_no_row_is_no_line(elsewhere):
    assert answers(elsewhere, "tiny_news", stdin="") == []


def test_empty_line_is_a_row(elsewhere):
    empty, ship = answers(elsewhere, "tiny_news", stdin=f"\n{TEXTS[0]}\n")
    assert ship == answers(elsewhere, "tiny_news", TEXTS[0])[0]
    assert empty != ship


def test_unknown_words_are_answered(elsewhere):
    assert len(answers(elsewhere, "tiny_news", "zzz", "море 海 🚢", "...")) == 3


@pytest.mark.parametrize("suffix", ["txt", "csv"])
def test_batches_do_not_change_answers(elsewhere, suffix):
    rows = [text for text, _ in news_rows(2500, seed=5)]
    write_csv(elsewhere.folder / f"rows.{suffix}", ["text"], [[text] for text in rows])
    found = answers(elsewhere, "tiny_news", "--file", f"rows.{suffix}")[-2500:]
    assert len(found) == 2500
    for where in (0, 1023, 1024, 2047, 2048, 2499):
        (alone,) = answers(elsewhere, "tiny_news", rows[where])
        assert alone["label"] == found[where]["label"]
        assert alone["probabilities"] == pytest.approx(found[where]["probabilities"], abs=2e-6)


def predicted(project: Project, *arguments: str, stdin: str = "") -> Result:
    """The command in this process, whether it succeeds or not."""
    with chdir(project.folder):
        return CliRunner().invoke(predict.command, arguments, input=stdin, catch_exceptions=False)


def test_an_empty_text_has_its_own_answer(elsewhere):
    (elsewhere.folder / "rows.csv").write_text("text\nthe old ship\n\na cow near the barn\n")
    first, _, last = answers(elsewhere, "tiny_news", "--file", "rows.csv")
    assert (first["label"], last["label"]) == ("sea", "farm")


@pytest.mark.parametrize(
    "table",
    ["b;x;a;c\n2;?;1;3\n5;?;4;6\n", '{"a": 1, "b": 2.0, "c": "3"}\n\n{"c": 6, "b": 5, "a": 4}\n', "a, b, c\n1, 2, 3\n4, 5, 6", " a   b c\n 1  2\t3\n 4  5   6\n"],
)  # fmt: skip
def test_tables_on_standard_input(elsewhere, table):
    (elsewhere.folder / "rows.csv").write_text("a,b,c\n1,2,3\n4,5,6\n")
    expected = answers(elsewhere, "tiny_numbers", "--file", "rows.csv")
    assert answers(elsewhere, "tiny_numbers", "--file", "-", stdin=table) == expected
    assert answers(elsewhere, "tiny_numbers", stdin=table) == expected


def test_nothing_is_answered_before_a_bad_row(elsewhere):
    rows = "".join(f"{n % 7},{n % 5},{n % 3}\n" for n in range(3000))
    (elsewhere.folder / "rows.csv").write_text(f"a,b,c\n{rows}1,2,x\n")
    ended = predicted(elsewhere, "tiny_numbers", "--file", "rows.csv")
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr.startswith("Error: rows.csv, line 3002, column 'c' holds 'x', which is not a finite number")


def test_bad_rows_can_be_skipped(elsewhere):
    (elsewhere.folder / "rows.csv").write_text('a,b,c,note\n1,2,3,"two\nlines"\n1,x,3,\n1,2,,\n4,5,6,\n')
    ended = predicted(elsewhere, "tiny_numbers", "--file", "rows.csv", "--skip")
    assert (ended.exit_code, len(ended.stdout.splitlines())) == (0, 2)
    assert [line.partition(";")[0] for line in ended.stderr.splitlines()] == [
        "skipped: rows.csv, line 4, column 'b' holds 'x', which is not a finite number",
        "skipped: rows.csv, line 5, column 'c' is empty",
    ]


READ = {"csv": pd.read_csv, "parquet": pd.read_parquet, "jsonl": partial(pd.read_json, lines=True, dtype=False)}


@pytest.mark.parametrize("name", ["answers.jsonl", "answers.csv", "answers.parquet"])
def test_skipped_rows_can_be_joined(elsewhere, name):
    rows = "".join(f"{n % 7},{n % 5},{n % 3}\n" for n in range(1500))
    (elsewhere.folder / "rows.csv").write_text(f"a,b,c\n1,2,3\n1,x,3\n{rows}?,1,1\n4,5,6\n")
    expected = [1, *range(3, 1503), 1504]
    predicted(elsewhere, "tiny_numbers", "--file", "rows.csv", "--skip", "--output", name)
    found = READ[name.partition(".")[2]](elsewhere.folder / name)
    assert (found.columns[0], found["row"].tolist()) == ("row", expected)


@pytest.mark.parametrize("answers", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("rows", ["jsonl", "csv", "parquet"])
def test_columns_can_be_kept(elsewhere, rows, answers):
    ids = ["=1+1", "a\nb" if rows == "csv" else "a\rb", *(f"{n:04}" for n in range(1500))]
    table = pd.DataFrame({"id": ids, "a": "3", "b": 1.5, "c": 2, "number_": [2**53 + n for n in range(1502)]})
    table.loc[1000, "a"] = "x"
    if rows == "csv":
        table.to_csv(elsewhere.folder / "rows.csv", index=False, quoting=csv.QUOTE_ALL)
    elif rows == "jsonl":
        table.to_json(elsewhere.folder / "rows.jsonl", orient="records", lines=True)
    else:
        table.to_parquet(elsewhere.folder / "rows.parquet")
    given = ["--file", f"rows.{rows}", "--skip", "--keep", " id", "--keep", "number_", "--keep", "a", "--keep", "b"]
    ended = predicted(elsewhere, "tiny_numbers", *given, "--output", f"answers.{answers}")
    assert ended.exit_code == 0, ended.stderr
    options = {"dtype": {"id": "str", "a": "str"}} if answers == "csv" else {}
    found = READ[answers](elsewhere.folder / f"answers.{answers}", **options)
    assert [*found] == ["id", "number_", "a", "b", "row", "number", "low", "high"]
    is_text = rows == "csv" != answers  # a CSV file does not tell numbers from texts
    expected = table.drop(index=1000)[["id", "number_", "a", "b"]].astype("str" if is_text else {})
    pd.testing.assert_frame_equal(found[[*expected]], expected.reset_index(drop=True), check_dtype=False)


def test_numbers_in_another_unit_are_told(elsewhere):
    (elsewhere.folder / "rows.csv").write_text("a,b,c\n1,2,3\n1,2000,3\n")
    ended = predicted(elsewhere, "tiny_numbers", "--file", "rows.csv")
    assert ended.exit_code == 0
    assert ended.stderr.startswith("Warning: rows.csv, column 'b': 1 of 2 rows, such as 2000, are far outside what")


def test_scaled_numbers_are_told(elsewhere):
    rows = [[a, b, c] for a, b, c, _ in number_rows(30, seed=9)]
    middle = json.loads((elsewhere.folder / "models/tiny_numbers/model.json").read_text())["encoder"]["learned"]
    shift = [6 * deviation for deviation in middle["deviations"]]
    write_csv(
        elsewhere.folder / "rows.csv",
        ["a", "b", "c"],
        [[m + s, *row[1:]] for row, m, s in zip(rows, [middle["means"][0]] * 30, [shift[0]] * 30, strict=True)],
    )
    ended = predicted(elsewhere, "tiny_numbers", "--file", "rows.csv")
    assert ended.exit_code == 0
    assert ended.stderr.startswith("Warning: rows.csv, column 'a': 30 of 30 rows, such as ")


def test_error_is_the_only_line(elsewhere):
    (elsewhere.folder / "rows.csv").write_text("a,b,c\n1,2,3\n1,1e9,3\n")
    ended = predicted(elsewhere, "tiny_numbers", "--file", "rows.csv")
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert error_line(ended.stderr).startswith("row 2, column 'b' is more than ")


def test_late_error_comes_before_the_first_answer(elsewhere):
    (elsewhere.folder / "rows.csv").write_text("a,b,c\n" + "1,2,3\n" * 1500 + "1,1e9,3\n")
    ended = predicted(elsewhere, "tiny_numbers", "--file", "rows.csv")
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert error_line(ended.stderr).startswith("row 1501, column 'b' is more than ")


class Trap:
    """Unpickling one makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def test_pickle_is_not_executed(elsewhere):
    sprung = elsewhere.folder / "sprung"
    trap = pickle.dumps(Trap(sprung))
    pickle.loads(trap)  # noqa: S301 (our own)
    assert sprung.exists()
    sprung.unlink()
    for name in ("model.safetensors", "model.json"):
        (elsewhere.folder / "models/tiny_news" / name).write_bytes(trap)
        with chdir(elsewhere.folder):
            ended = CliRunner().invoke(predict.command, ["tiny_news", TEXTS[0]])
        assert ended.exit_code == 1
        assert ended.stderr.startswith("Error: ")
    assert not sprung.exists()


@pytest.mark.parametrize(
    ("arguments", "stdin", "expected"),
    [
        (
            ["tiny_numbers", "a ship"],
            "",
            "predict: this model takes numbers (a, b, c), not texts; give a table: --file",
        ),
        (
            ["tiny_numbers"],
            "a,b\n1,2\n",
            "standard input has no column 'c'; the file has: a, b\n",
        ),
        (
            ["tiny_numbers"],
            "a,x,B\n1,2,3\n",
            "standard input has no columns 'b', 'c'; rename 'B' to 'b' (the file has: a, x, B)\n",
        ),
        (
            ["tiny_numbers", "--keep", "id", "--keep", "nr"],
            "a,b,c,Nr\n1,2,3,4\n",
            "standard input has no columns 'id', 'nr'; did you mean 'Nr'? (the file has: a, b, c, Nr)\n",
        ),
        (
            ["tiny_numbers", "--keep", "number"],
            "a,b,c,number\n1,2,3,4\n",
            "--keep names 'number', which each answer has, too; rename it in the file\n",
        ),
        (
            ["tiny_news", "a ship", "--keep", "id"],
            "",
            "--keep names the column 'id', but the rows are texts without columns; give a table: --file rows.csv, or --file -",
        ),
        (["tiny_news", "--keep", "id"], "a ship\n", "--keep names the column 'id', but the rows are texts without"),
        (["tiny_numbers", "--file", "gap.csv"], "", "gap.csv, line 3, column 'b' is empty; enter a number"),
        (
            ["tiny_numbers", "--file", "text.csv"],
            "",
            "text.csv, line 2, column 'c' holds 'three', which is not a finite number; correct the value",
        ),
        (
            ["tiny_numbers"],
            "a,b,c\n1,2,NA\n",
            "standard input, line 2, column 'c' holds 'NA', which is not a finite number; enter a number, or remove",
        ),
        (
            ["shop_csv"],
            "fare;vip;level;zip;tags\nNaN;True;3;01067;\n",
            "standard input, line 2, column 'fare' holds 'NaN', which is not a finite number; leave it empty if it is",
        ),
        (
            ["tiny_news"],
            b"caf\xe9\n",
            "standard input, line 1 is not UTF-8; save it as UTF-8, or name its encoding, as in --encoding cp1252",
        ),
        (
            ["tiny_news", "--file", "/dev/zero"],
            "",
            "/dev/zero is not a regular file; give the path of a table, or pipe the rows: ",
        ),
        (["tiny_news"], b"a\n" + bytes(1 << 21), "standard input, line 2 is longer than 1,048,576 bytes; shorten it"),
    ],
)
def test_wrong_rows_are_one_line(elsewhere, arguments, stdin, expected):
    (elsewhere.folder / "gap.csv").write_text("a,b,c\n1,2,3\n1,,3\n")
    (elsewhere.folder / "text.csv").write_text("a,b,c\n1,2,three\n")
    with chdir(elsewhere.folder):
        ended = CliRunner().invoke(predict.command, arguments, input=stdin)
    assert ended.exit_code == 1
    assert ended.stdout == ""
    assert ended.stderr.startswith(f"Error: {expected}")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("dataset", ["tiny_news", "tiny_numbers"])
def test_answers_in_files(elsewhere, dataset):
    rows = (
        [[text] for text, _ in news_rows(1500, seed=5)]
        if dataset == "tiny_news"
        else [[n % 7, n % 5, n % 3] for n in range(1500)]
    )
    write_csv(elsewhere.folder / "rows.csv", ["text"] if dataset == "tiny_news" else ["a", "b", "c"], rows)
    expected = answers(elsewhere, dataset, "--file", "rows.csv")
    flat = [
        {name: value for name, value in answer.items() if name != "probabilities"}
        | {f"probability_{name}": value for name, value in answer.get("probabilities", {}).items()}
        for answer in expected
    ]  # fmt: skip
    shared = elsewhere.folder / "answers.csv"
    (elsewhere.folder / "linked.csv").symlink_to(shared)
    for name in ("answers.jsonl", "linked.csv", "answers.parquet"):
        assert answers(elsewhere, dataset, "--file", "rows.csv", "--output", name) == []
    lines = (elsewhere.folder / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    assert list(map(json.loads, lines)) == expected
    for table in (pd.read_csv(shared), pd.read_parquet(elsewhere.folder / "answers.parquet")):
        assert table.to_dict("records") == flat


def test_failed_command_leaves_no_file(elsewhere):
    (elsewhere.folder / "rows.csv").write_text("a,b,c\n" + "1,2,3\n" * 1500 + "1,1e9,3\n")
    (elsewhere.folder / "answers.csv").write_text("earlier\n")
    ended = predicted(elsewhere, "tiny_numbers", "--file", "rows.csv", "--output", "answers.csv")
    assert (ended.exit_code, error_line(ended.stderr).partition(",")[0]) == (1, "row 1501")
    assert (elsewhere.folder / "answers.csv").read_text() == "earlier\n"
    ended = predicted(elsewhere, "tiny_numbers", "--file", "rows.csv", "--output", "./rows.csv")
    assert error_line(ended.stderr) == "rows.csv holds the rows; give --output another name"
    ended = predicted(elsewhere, "tiny_numbers", "--file", "rows.csv", "--output", "answers.xlsx")
    assert error_line(ended.stderr) == "answers.xlsx has an unknown ending; use one of .jsonl, .csv, .parquet"
    assert sorted(path.name for path in elsewhere.folder.iterdir()) == ["answers.csv", "models", "rows.csv"]


def test_folder_of_a_model(elsewhere):
    expected = answers(elsewhere, "tiny_news", *TEXTS)
    (elsewhere.folder / "models" / "tiny_news").rename(elsewhere.folder / "copy")
    assert answers(elsewhere, "./copy", *TEXTS) == answers(elsewhere, "copy", *TEXTS) == expected


def test_parquet_in_parts(elsewhere):
    rows = pd.DataFrame([[n % 7, n % 5, n % 3] for n in range(3000)], columns=["a", "b", "c"])
    rows.to_parquet(elsewhere.folder / "rows.parquet", row_group_size=700)
    rows.to_csv(elsewhere.folder / "rows.csv", index=False)
    expected = answers(elsewhere, "tiny_numbers", "--file", "rows.csv")
    assert answers(elsewhere, "tiny_numbers", "--file", "rows.parquet") == expected


def test_texts_and_file_are_rejected(elsewhere):
    with chdir(elsewhere.folder):
        ended = CliRunner().invoke(predict.command, ["tiny_news", "a ship", "--file", "rows.txt"])
    assert ended.exit_code == 2
    assert "give texts or --file, not both" in ended.stderr


def test_missing_model_says_what_to_do(elsewhere):
    def error(*arguments: str) -> str:
        ended = elsewhere.retrain_here("predict", *arguments, "a ship")
        assert ended.exit_code == 1
        return ended.stderr.removeprefix("Error: ").removesuffix("\n")

    assert error("tiny_new") == f"{elsewhere.folder}/models has no model 'tiny_new'; did you mean 'tiny_news'?"
    elsewhere.write_params({"datasets": tiny_datasets()})
    assert error("tiny_new") == "params.yaml has no dataset 'tiny_new'; did you mean 'tiny_news'?"
    assert error("tiny_sign") == "dataset 'tiny_sign' has no trained model yet; run: make repro DATASET=tiny_sign"
    for name in ("tiny_sign", "renamed"):  # dvc.lock still has the stages of a former name
        stage = {"cmd": "true", "outs": [{"path": f"models/{name}", "hash": "md5", "md5": "a" * 32 + ".dir"}]}
        write_yaml(elsewhere.folder / "dvc.lock", {"schema": "2.0", "stages": {f"train@{name}": stage}})
        fact = error(name)
        (elsewhere.folder / "dvc.lock").unlink()
        expected = (
            "dataset 'tiny_sign' has a model in dvc.lock" if name == "tiny_sign" else "params.yaml has no dataset"
        )
        assert fact.startswith(expected)
    shutil.rmtree(elsewhere.folder / "models")
    (elsewhere.folder / "params.yaml").unlink()
    assert (
        error("tiny_news") == f"{elsewhere.folder} has no params.yaml and no models; run this in the project's folder"
    )


@pytest.mark.slow
def test_closed_standard_input_is_empty(elsewhere):
    retrain = Path(sys.executable).with_name("retrain")
    ended = elsewhere.run("sh", "-c", f"'{retrain}' predict tiny_numbers --file - <&-")
    assert (ended.returncode, error_line(ended.stderr)) == (1, "standard input is empty; add rows")


def warned(project: Project, dataset: str, rows: list[dict], file: str = "rows.jsonl") -> tuple[list[dict], str]:
    """The answers to rows in a file, and the warnings."""
    write_shop(project.folder / file, rows, decimal="," if dataset == "shop_csv" else ".")
    ended = predicted(project, dataset, "--file", file)
    assert ended.exit_code == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()], ended.stderr


@pytest.mark.parametrize("dataset", ["shop_csv", "shop_jsonl"])
@pytest.mark.parametrize(
    "changed", [{}, {"vip": "True", "level": "3.0"}, {"vip": "TRUE", "level": "3"}, {"level": 3.0}]
)
def test_spellings_of_a_category_agree(elsewhere, dataset, changed):
    model = retrain.load(elsewhere.folder / "models" / dataset)
    row, expected = ROW | changed, model.predict([ROW])
    assert model.predict([row]) == model.predict(pd.DataFrame([row])) == expected
    assert model.predict([row | {"vip": False}]) != expected != model.predict([row | {"level": 4}])
    assert expected != model.predict([row | {"tags": []}])
    for file in ("rows.jsonl", "rows.parquet", "rows.csv"):
        assert warned(elsewhere, dataset, [row], file) == (expected, "")


def test_unknown_categories_are_told(elsewhere):
    rows = [ROW | {"zip": code} for code in ("01067", "1067", "1067", "Ely", "Hay", "Rye", None)]
    _, told = warned(elsewhere, "shop_csv", rows)
    assert told == (
        "Warning: rows.jsonl, column 'zip': the model does not know the values of 5 of 7 rows, such as "
        f"'1067', 'Ely', 'Hay'; they may be new, rare or misspelt: did you mean '01067'?\nWarning: rows.jsonl, column 'zip': 1 of 7 {GAPS.format('none')}\n"
    )
    for strange, name, value in (
        (50, "zip", "Ely"),
        (51, "zip", "Ely"),
        (1, "zip", "1067"),
        (1, "zip", "\uff101067"),
        (1, "vip", "t rue"),
    ):
        _, told = warned(elsewhere, "shop_csv", [ROW] * (100 - strange) + [ROW | {name: value}] * strange)
        expected = f"the model does not know the values of {strange} of 100 rows, such as '{value}'; "
        assert (expected in told) == bool(told) == ((strange, value) != (50, "Ely"))  # a rare value, as in the training


@pytest.mark.parametrize("fare", [6.0, 7.25, 400.0])
def test_trained_range_is_no_alarm(elsewhere, fare):
    assert warned(elsewhere, "shop_csv", [ROW | {"fare": fare}])[1] == ""
    _, told = warned(elsewhere, "shop_csv", [ROW | {"fare": 100 * fare + 5000}])
    assert " 1 of 1 rows, such as " in told
    assert "are far outside what the model was trained on (6 to 400); check the unit" in told


def test_rows_inside_a_value_are_told(elsewhere):
    rows = ["7,25;True;3;01067;", '8,5;False;3;"01067;', '7,25;True;4;04109";', "7,25;True;3;04109;"]
    (elsewhere.folder / "rows.csv").write_text("\n".join(["fare;vip;level;zip;tags", *rows]))
    ended = predicted(elsewhere, "shop_csv", "--file", "rows.csv")
    assert len(ended.stdout.splitlines()) == 3
    assert "Warning: rows.csv, line 3 has a value of 2 lines, which look like rows; close its quote" in ended.stderr


def test_missing_number_may_be_a_float(elsewhere):
    rows = [ROW] * 9
    expected = retrain.load(elsewhere.folder / "models/shop_csv").predict([*rows, ROW | {"fare": None}])
    for file in ("rows.jsonl", "rows.parquet", "rows.csv"):
        assert warned(elsewhere, "shop_csv", [*rows, ROW | {"fare": -999.0}], file) == (expected, "")


@pytest.mark.parametrize("dataset", ["shop_csv", "shop_jsonl"])
def test_numbers_in_quotes_are_numbers(elsewhere, dataset):
    model, mark = retrain.load(elsewhere.folder / "models" / dataset), "," if dataset == "shop_csv" else "."
    rows = [ROW | {"fare": fare} for fare in (7.25, f"7{mark}25", " 725e-2 ", f"+7{mark}250")]
    assert model.predict(rows) == 4 * model.predict([ROW])
    assert warned(elsewhere, dataset, rows) == (model.predict(rows), "")


def test_other_rows_change_no_reading(elsewhere):
    for rows in ([ROW | {"fare": "7.250"}], [ROW, ROW | {"fare": "7.250"}]):
        write_shop(elsewhere.folder / "rows.jsonl", rows)
        ended = predicted(elsewhere, "shop_csv", "--file", "rows.jsonl")
        assert "holds '7.250', but this model expects a decimal comma" in error_line(ended.stderr)


@pytest.mark.parametrize(
    ("dataset", "fare", "expected"),
    [
        ("shop_csv", "92.1", "holds '92.1', but this model expects a decimal comma, as in its training file; write 92,1, or"),
        ("shop_csv", "1.234", "holds '1.234', but this model expects a decimal comma, as in its training file; write 1234 if '.' separates thousands, or 1,234 if it is the decimal mark, or"),
        ("shop_jsonl", "92,1", "holds '92,1', but this model expects a decimal point; write 92.1"),
        ("shop_jsonl", "1,234", "holds '1,234', but this model expects a decimal point; write 1234 if ',' separates thousands, or 1.234"),
    ],
)  # fmt: skip
def test_other_decimal_mark_is_told(elsewhere, dataset, fare, expected):
    (elsewhere.folder / "rows.csv").write_text(f"fare;vip;level;zip;tags\n{fare};True;3;01067;\n")
    ended = predicted(elsewhere, dataset, "--file", "rows.csv")
    assert error_line(ended.stderr).startswith(f"rows.csv, line 2, column 'fare' {expected}")
    (elsewhere.folder / "rows.csv").write_text(
        f"fare;vip;level;zip;tags\n{fare.translate({44: 46, 46: 44})};True;3;01067;\n"
    )
    assert predicted(elsewhere, dataset, "--file", "rows.csv").exit_code == 0


def test_dates_of_other_years_are_told():
    learned = pd.DataFrame({"sold": pd.date_range("2022-01-01", periods=400).astype("datetime64[s]")})
    encoder, _ = mixed.Encoder.fit_encode(
        learned, np.zeros((400, 1)), mixed.Parameters(name="mixed", bins=8, minimum_count=1, hash_bits=8, char_ngrams=0)
    )
    for day, expected in (("2021-11-23", False), ("2023-03-15", False), ("2023-03-17", True), ("1900-01-01", True)):
        unfamiliar = Unfamiliar(encoder)
        unfamiliar.add(pd.DataFrame({"sold": pd.to_datetime([day, "2022-02-01"]).astype("datetime64[s]")}))
        fact = f"1 of 2 rows, such as {day}, are outside the dates of the training (2022-01-01 to 2023-02-04)"
        told = f"column 'sold': {fact}; check the year, and expect larger errors than in the report"
        assert list(unfamiliar.warnings()) == ([told] if expected else [])


@pytest.mark.parametrize(
    ("days", "last"), [(["2024-01-01", "2024-01-02"], "2024-01-02"), (["2024-01-01", None], "2024-01-01")]
)
def test_few_days_are_told_truly(days, last):
    learned = pd.DataFrame({"sold": pd.to_datetime(days * 9).astype("datetime64[s]")})
    parameters = mixed.Parameters(name="mixed", bins=8, minimum_count=1, hash_bits=8, char_ngrams=0)
    fitted, arrays = mixed.Encoder.fit_encode(learned, np.zeros((18, 1)), parameters)
    encoder = mixed.Encoder.from_json(fitted.to_json())
    assert arrays["values"].shape == (18, encoder.size[0])
    unfamiliar = Unfamiliar(encoder)
    unfamiliar.add(pd.DataFrame({"sold": pd.to_datetime(["2024-01-01", last, "2024-01-05"]).astype("datetime64[s]")}))
    (told,) = unfamiliar.warnings()
    assert f"1 of 3 rows, such as 2024-01-05, are outside the dates of the training (2024-01-01 to {last})" in told


def test_numbers_without_their_unit_are_told(tmp_path):
    folder = write_model(tmp_path / "model", "mixed", "regression")
    change(folder, "prepare", "format", to={"units_in": {"a": "%"}})
    (tmp_path / "rows.csv").write_text("a,level\n2%,3.0\n0.10,3.0\n0,3.0\n")
    ended = CliRunner().invoke(predict.command, [str(folder), "--file", str(tmp_path / "rows.csv")])
    fact = "column 'a': 1 of 3 rows, such as 0.10, lack the '%' of the training file; 0.10 counts as 0.10 %"
    assert ended.stderr == f"Warning: {tmp_path / 'rows.csv'}, {fact}\n"
    (tmp_path / "rows.csv").write_text("a,level\n9a,3.0\n2%,3.0\n0.10,3.0\n0,3.0\n")
    ended = CliRunner().invoke(predict.command, [str(folder), "--file", str(tmp_path / "rows.csv"), "--skip"])
    assert f"Warning: {tmp_path / 'rows.csv'}, {fact}\n" in ended.stderr


@pytest.mark.parametrize(
    ("unit", "values", "told"), [("%", (0.1, 1), True), ("%", (0.1, 80.5), False), ("kg", (0.1, 1), False)]
)
def test_numbers_in_json_need_no_unit(tmp_path, unit, values, told):
    folder = write_model(tmp_path / "model", "mixed", "regression")
    change(folder, "prepare", "format", to={"units_in": {"a": unit}})
    write_shop(tmp_path / "rows.jsonl", [{"a": value, "level": "3.0"} for value in values])
    ended = CliRunner().invoke(predict.command, [str(folder), "--file", str(tmp_path / "rows.jsonl")])
    assert ended.exit_code == 0
    assert (f"2 of 2 rows, such as 0.1, lack the '{unit}'" in ended.stderr) == ("lack" in ended.stderr) == told


@pytest.mark.parametrize("name", EMPTY)
@pytest.mark.parametrize(("gaps", "told"), [(10, False), (11, True), (100, True)])
def test_unexpected_gaps_are_told(elsewhere, name, gaps, told):
    rows = [ROW | {name: None}] * gaps + [ROW] * (100 - gaps)
    model = retrain.load(elsewhere.folder / "models/shop_jsonl")
    expected = [f"column '{name}': {gaps} of 100 {GAPS.format('none')}"] if told else []
    with warnings.catch_warnings(record=True, action="always") as caught:
        answers = model.predict(rows)
    assert [str(warning.message) for warning in caught] == expected
    lines = "".join(f"Warning: rows.jsonl, {line}\n" for line in expected)
    assert warned(elsewhere, "shop_jsonl", rows) == (answers, lines)


@pytest.mark.parametrize(
    ("share", "rows", "gaps", "told"),
    [
        (0.0, 1, 1, "none"),
        (0.0001, 1, 1, "only 0.01 %"),
        (1e-7, 100, 100, "only 0.00001 %"),
        (0.0001, 100, 10, ""),
        (0.05, 100, 16, "only 5 %"),
        (0.05, 100, 15, ""),
        (0.05, 3, 3, ""),  # by chance in one of seven files
        (0.05, 4, 4, "only 5 %"),
        (0.3, 100, 91, "only 30 %"),
        (0.3, 100, 90, ""),
        (0.4, 100, 100, ""),
    ],
)
def test_gaps_are_compared_with_the_training(tmp_path, share, rows, gaps, told):
    folder = write_model(tmp_path / "model", "mixed", "regression")
    change(folder, "gaps", to={"a": 0.0, "level": share})
    with warnings.catch_warnings(record=True, action="always") as caught:
        retrain.load(folder).predict([{"a": 1.0, "level": None if n < gaps else "3.0"} for n in range(rows)])
    expected = [f"column 'level': {gaps} of {rows} {GAPS.format(told)}"] if told else []
    assert [str(warning.message) for warning in caught] == expected


def test_gaps_in_texts_cause_a_warning(tmp_path):
    folder = write_model(tmp_path / "model", "ngrams", "classification")
    change(folder, "gaps", to={"title": 0.001, "text": 0.0})
    model = retrain.load(folder)
    with pytest.warns(UserWarning, match=f"^column 'title': 2 of 2 {GAPS.format('only 0.1 %')}"):
        found = model.predict([{"title": " ", "text": text} for text in TEXTS[:2]])
    assert model.predict(TEXTS[:2]) == found


def test_rows_without_inputs_are_counted(elsewhere):
    (elsewhere.folder / "rows.csv").write_text("fare;vip;level;zip;tags\n7,25;True;3;01067;[]\n;;;;\n;;;;\n")
    ended = predicted(elsewhere, "shop_csv", "--file", "rows.csv")
    fact = "all inputs of 2 of 3 rows are empty, so their answers mean nothing; leave out these rows"
    assert (len(ended.stdout.splitlines()), ended.stderr) == (3, f"Warning: rows.csv, {fact}\n")
    model = retrain.load(elsewhere.folder / "models/shop_csv")
    with pytest.warns(UserWarning, match="^all inputs of 1 of 1 rows are empty"):
        model.predict([EMPTY])
    (elsewhere.folder / "texts.txt").write_text("the old ship\n\n \n")
    for arguments in (["the old ship", "", " "], ["--file", "texts.txt"]):
        ended = predicted(elsewhere, "tiny_news", *arguments)
        assert (len(ended.stdout.splitlines()), ended.stderr) == (3, f"Warning: {fact}\n")


def test_other_offsets_are_told(elsewhere):
    model, day = retrain.load(elsewhere.folder / "models/times"), "2024-02-03T12:00:00"
    usual = {"sent": f"{day}+02:00", "day": day, "both": day}
    strange = {"sent": day, "day": f"{day} -0500", "both": f"{day}Z"}
    assert model.description.offsets == {"sent": True, "day": False}
    assert model.description.gaps == {"sent": 0.0, "day": 1 / 90, "both": 0.0}
    assert warned(elsewhere, "times", [usual, usual | {"both": f"{day}Z"}]) == (model.predict([usual, usual]), "")
    lacks = "have no offset from UTC, but those of the training file usually have one; they count as UTC: add it, such as +02:00"
    has = "have an offset, but those of the training file usually have none; they are converted to UTC: write local times as there"
    expected = [f"column '{name}': the times of 1 of 2 rows {fact}" for name, fact in (("sent", lacks), ("day", has))]
    table = pd.DataFrame([usual, strange])
    zoned = table.assign(sent=[pd.Timestamp(time) for time in table["sent"]], day=list(map(pd.Timestamp, table["day"])))
    for rows in (table, zoned, [usual, strange]):
        with warnings.catch_warnings(record=True, action="always") as caught:
            answers = model.predict(rows)
        assert {str(warning.message) for warning in caught} == {*expected}
    answered, told = warned(elsewhere, "times", [usual, strange])
    assert answered == answers
    assert {*told.splitlines()} == {f"Warning: rows.jsonl, {line}" for line in expected}


def test_old_models_know_no_offsets_and_gaps(elsewhere):
    day, folder = "2024-02-03T12:00:00", elsewhere.folder / "models/times"
    rows = [{"sent": time, "day": None, "both": time} for time in (day, f"{day}Z") * 2]
    assert len(warned(elsewhere, "times", rows)[1].splitlines()) == 2
    described = json.loads((folder / "model.json").read_text())
    del described["offsets"], described["gaps"]
    (folder / "model.json").write_text(json.dumps(described))
    assert warned(elsewhere, "times", rows) == (retrain.load(folder).predict(rows), "")


def test_other_offsets_are_counted(elsewhere):
    row = {"sent": "2024-02-03 12:00", "day": "2024-02-03T12:00:00Z", "both": "2024-02-03"}
    with serve(elsewhere.folder / "log", str(elsewhere.folder / "models/times")) as service:
        for rows in ([row] * 2, [row | {"sent": "2024-02-03T12:00:00Z"}] * 300):
            assert service.post(json.dumps({"instances": rows}).encode()).status_code == 200
        text = requests.get(f"{service.url}/metrics", timeout=9).text
    for name, count in (("sent", 2), ("day", 302)):
        assert f'retrain_serve_unexpected_offsets_total{{column="{name}"}} {count}\n' in text
