"""`retrain.load(folder).predict(rows)`: raw rows from a program, checked, answered one by one."""

import json
import subprocess
import sys
import warnings
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import retrain
from retrain.data.encoders import mixed
from retrain.data.raw_rows import columns_of, spelt
from retrain.data.reading.file_format import Format
from retrain.data.reading.table_files import open_table
from retrain.errors import RetrainError

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from support.model_folders import change, write_model
from support.service import model_that_answers

TEXTS = [{"title": "the ship", "text": "an anchor"}, {"title": "the cow", "text": ""}, {"title": "", "text": "a tram"}]
PATIENTS = [{"a": 1.0, "b": 0.5, "note": "x"}, {"a": 2, "b": -1}]


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    return retrain.load(write_model(tmp_path_factory.mktemp("texts") / "model", "ngrams", "classification"))


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    return retrain.load(str(write_model(tmp_path_factory.mktemp("numbers") / "model", "numbers", "regression")))


@pytest.fixture(scope="module")
def anything():
    """An encoder of each kind of column."""
    rows = pd.DataFrame({
        "age": [1.0, 2.0, None, 5.0],
        "size": pd.Categorical(["3", "3", "4", "4"]),
        "sold": pd.to_datetime(["2024-01-02", "2024-03-04", "2024-05-06", "2024-07-08"]).astype("datetime64[s]"),
        "note": pd.Series(["a ship", "a cow", "a ship", "a cow"], dtype="str"),
    })  # fmt: skip
    parameters = mixed.Parameters(name="mixed", bins=2, minimum_count=1, hash_bits=10, char_ngrams=0)
    return mixed.Encoder.fit_encode(rows, np.zeros(4, np.int64), parameters)[0]


def test_a_dataset_names_its_model(tmp_path, monkeypatch):
    write_model(tmp_path / "models" / "news", "ngrams", "classification")
    monkeypatch.chdir(tmp_path)
    assert retrain.load("news").predict(["a tram"]) == retrain.load("models/news").predict(["a tram"])
    with pytest.raises(RetrainError, match="did you mean 'news'"):
        retrain.load("new")
    with pytest.raises(RetrainError, match="name a dataset, a model's folder, or models:/NAME@champion"):
        retrain.load("")


def test_forms_of_rows_agree(texts, numbers):
    for model, rows in ((texts, TEXTS), (numbers, PATIENTS)):
        table = pd.DataFrame(rows)
        columns = {name: table[name].tolist() for name in model.encoder.columns}
        assert model.predict(rows) == model.predict(table) == model.predict(columns)
        assert len(model.predict(rows)) == len(rows)
    assert texts.predict(["a tram"]) == texts.predict([TEXTS[2]])


def test_tables_of_pyarrow_are_answered(anything):
    rows = pd.DataFrame(
        {
            "age": [41, None, 2**53 + 1],
            "size": pd.Categorical(["3", "4.5", "3"]),
            "sold": pd.to_datetime(["2024-05-01 10:00", None, "2024-05-02 00:00"]),
            "note": ["a", None, "b"],
        }
    ).astype({"age": "Int64"})
    expected = columns_of(rows, anything, [], Format())
    table = pa.Table.from_pandas(rows.set_index("size"))
    for given in (table, table.combine_chunks().to_batches()[0]):
        found = columns_of(given, anything, [], Format())
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values)
    twice = pa.table([[1], [2]], names=["age", "age"])
    with pytest.raises(RetrainError, match="has no columns 'size', 'sold', 'note'"):
        columns_of(twice, anything, [], Format())


def test_names_may_have_spaces_around_them(numbers, tmp_path):
    rows = [{"a": 1, "b": 2, "c": 3}]
    expected = numbers.predict(rows)
    spaced = pd.DataFrame(rows).set_axis(["a ", " b", "c\u00a0"], axis=1)
    assert numbers.predict(spaced) == numbers.predict(spaced.to_dict("records")) == expected
    spaced.to_parquet(tmp_path / "rows.parquet")
    spaced.to_json(tmp_path / "rows.jsonl", orient="records", lines=True)
    spaced.to_csv(tmp_path / "rows.csv", index=False)
    for name in ("rows.parquet", "rows.jsonl", "rows.csv"):
        with open_table(tmp_path / name, name, Format()) as table:
            assert table.frame(numbers=["a", "b", "c"]).to_dict("records") == rows


def test_unfamiliar_values_are_told(numbers):
    fact = r"are far outside what the model was trained on \(about -\d\.?\d? to \d\d?\); check the unit$"
    with pytest.warns(UserWarning, match=rf"^column 'a': 1 of 1 rows, such as 900, {fact}") as told:
        numbers.predict([{"a": 900, "b": 0.5}])
    assert [Path(warning.filename).name for warning in told] == ["test_model.py"]


def test_answers_have_the_task_s_fields(texts, numbers):
    (answer, *_) = texts.predict(TEXTS)
    assert list(answer) == ["label", "probabilities"]
    assert sum(answer["probabilities"].values()) == pytest.approx(1.0, abs=1e-6)
    assert list(numbers.predict(PATIENTS)[0]) == ["number"]


def test_no_rows_no_answers(texts, numbers):
    assert texts.predict([]) == numbers.predict([]) == numbers.predict(pd.DataFrame({"a": [], "b": []})) == []


@pytest.mark.filterwarnings("ignore:all inputs of")
@pytest.mark.parametrize("encoder", ["text", "ngrams", "numbers"])
def test_answers_do_not_depend_on_other_rows(tmp_path, encoder):
    model = retrain.load(write_model(tmp_path / "model", encoder, "classification"))
    generator = np.random.default_rng(1)
    if encoder == "numbers":
        rows = [dict(zip("ab", row, strict=True)) for row in generator.normal(size=(100, 2)).tolist()]
    else:
        words = ["ship", "cow", "tram", "barn", "anchor", "harbour", "the", "zzz"]
        rows = [" ".join(generator.choice(words, length)) for length in generator.integers(0, 12, 100)]
    together = model.predict(rows)
    for count in (1, 2, 19, 31, 32, 33, 63):
        assert model.predict(rows[:count]) == together[:count]
    assert [model.predict([row])[0] for row in rows] == together


@pytest.mark.filterwarnings("ignore:all inputs of")
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_single_rows_give_the_same_bits(tmp_path, task):
    model = retrain.load(model_that_answers(tmp_path / "model", "ngrams", task))
    generator = np.random.default_rng(2)
    words = ["ship", "cow", "tram", "barn", "anchor", "harbour", "the", "zzz", "over", "near", "a", "—", "é"]
    rows = [" ".join(generator.choice(words, length)) for length in generator.integers(0, 40, 1500)]
    assert [model.predict([row])[0] for row in rows] == model.predict(rows)


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        (["a ship"], "rows: this model takes numbers (a, b), not texts; give rows by column names"),
        ("a ship", "rows must be a list; for one text, give a list with this text"),
        ([{"a": 1, "b": 2}, {"a": 1}], "row 2 has no column 'b'; give it; a missing value is null"),
        ({"a": [1]}, "rows has no column 'b'; give it; a missing value is null"),
        ([{"a": 1, "B": 2}], "row 1 has no column 'b'; rename 'B' to 'b'"),
        ([{"x": 1}], "row 1 has no columns 'a', 'b'; give them; a missing value is null"),
        ([{"x": 1, "B": 2}], "row 1 has no columns 'a', 'b'; rename 'B' to 'b', and give the others; a missing value is null"),
        ({"a": [1], "b": [1, 2]}, "rows has columns of different lengths; give each column a value for each row"),
        ([{"a": 1, "b": "two"}], "row 1, column 'b' is not a number; write it as 3 or 2.5"),
        ([{"a": 1, "b": True}], "row 1, column 'b' is not a number; write it as 3 or 2.5"),
        ([{"a": 1, "b": 2}, {"a": None, "b": 2}], "row 2, column 'a' is missing; give a value"),
        ([{"a": 1, "b": float("inf")}], "row 1, column 'b' is larger than 1e+150; correct the value"),
        ([{"a": 1, "b": [1]}], "row 1, column 'b' is not a number; write it as 3 or 2.5"),
        ([{"a": 1, "b": "1_0"}], "row 1, column 'b' is not a number; write it as 3 or 2.5"),
        ([1.0, 2.0], "row 1 is not what the model takes; give texts or rows by column names, all of the same kind"),
        (pd.DataFrame([[1, 2, 3]], columns=["a", "b", "b"]), "rows has the column 'b' twice; rename or drop one of them"),
        (pa.table([[1], [2], [2]], names=["a", "b", "b"]), "rows has the column 'b' twice; rename or drop one of them"),
        ({"a": 1, "b": 2}, "rows must have one list of values for each column; check the names of the columns; for one row, give a list with this row"),
        ([{"a": 10**400, "b": 2}], "row 1, column 'a' is larger than 1e+150; correct the value"),
    ],
)  # fmt: skip
def test_wrong_rows_are_named(numbers, rows, error):
    with pytest.raises(RetrainError) as raised:
        numbers.predict(rows)
    assert str(raised.value) == error


@pytest.mark.parametrize("value", [None, 3, float("nan"), {"a"}, "\ud83d"])
def test_texts_must_be_texts(tmp_path, value):
    model = retrain.load(write_model(tmp_path / "model", "text", "classification"))
    if value is None or value != value:  # noqa: PLR0124 (NaN); one of several texts may be missing
        rows = [{"title": value, "text": "a ship"}]
        assert model.predict(rows) == model.predict([{"title": "", "text": "a ship"}])
    else:
        with pytest.raises(RetrainError, match="row 1, column 'title'"):
            model.predict([{"title": value, "text": "a ship"}])


def test_lists_are_texts_as_in_files(anything):
    rows = [{"age": 1, "size": "3", "sold": None, "note": ["a", "ship"]}]
    assert list(columns_of(rows, anything, [], Format())["note"]) == ['["a","ship"]']


def test_values_are_read_as_in_training(anything):
    rows = [
        {"age": 1, "size": "3", "sold": "2024-03-04", "note": "a ship"},
        {"age": None, "size": 3, "sold": "2024-03-04T00:00:00Z", "note": None},
        {"age": np.float32(2), "size": 3.0, "sold": date(2024, 3, 4), "note": ""},
        {"age": float("nan"), "size": None, "sold": datetime(2024, 3, 4, 1, tzinfo=UTC), "note": "x"},
        {"age": 5, "size": True, "sold": None, "note": "x"},
        {"age": 5, "size": " 4 ", "sold": pd.Timestamp("2024-03-04"), "note": "x"},
        {"age": 5, "size": ["é", {"a": 1.0}], "sold": None, "note": "x"},
        {"age": 5, "size": "9", "sold": "04.03.2024", "note": "x"},
        {"age": 5, "size": "9", "sold": pd.Period("2024-03-04", "D"), "note": "x"},
    ]
    columns = columns_of(rows, anything, [], Format(dates=("%d.%m.%Y",)))
    assert np.array_equal(columns["age"][:4], [1.0, np.nan, 2.0, np.nan], equal_nan=True)
    assert columns["size"][:3] == ["3", "3", "3"]
    assert columns["size"][4:] == ["true", "4", '["é",{"a":1.0}]', "9", "9"]
    assert [str(when) for when in columns["sold"]] == [
        "2024-03-04T00:00:00", "2024-03-04T00:00:00", "2024-03-04T00:00:00", "2024-03-04T01:00:00", "NaT",
        "2024-03-04T00:00:00", "NaT", "2024-03-04T00:00:00", "2024-03-04T00:00:00",
    ]  # fmt: skip
    assert columns["note"][1] == columns["note"][2] == ""
    assert len(anything.encode(columns)["values"]) == 9


@pytest.mark.parametrize(
    ("column", "value", "error"),
    [
        ("sold", "yesterday", "row 1, column 'sold' is not a date; write it as 2024-12-31 or 2024-12-31T23:59"),
        (
            "sold",
            "0001-01-01T00:00:00+05:00",
            "row 1, column 'sold' is not a date; write it as 2024-12-31 or 2024-12-31T23:59",
        ),
        ("sold", 20240304, "row 1, column 'sold' is not a date; write it as 2024-12-31 or 2024-12-31T23:59"),
        ("size", {"3"}, "row 1, column 'size' is not a category; give a text or a number"),
        ("note", 3, "row 1, column 'note' is not a text; put quotation marks around it"),
    ],
)
def test_errors_do_not_repeat_values(anything, column, value, error):
    row = {"age": 1, "size": "3", "sold": None, "note": "a ship", column: value}
    with pytest.raises(RetrainError) as raised:
        columns_of([row], anything, [], Format())
    assert str(raised.value) == error


@pytest.mark.parametrize(
    ("value", "there"),
    [
        ("13:05", True), ("13:05:00", True), (time(13, 5), True), ("1900-01-01 13:05", True), (pd.Timestamp("1900-01-01 13:05"), True),
        (np.datetime64("1900-01-01T13:05"), True), ("1:05 PM", False), ("2024-01-05 13:05", False), (date(2024, 1, 5), False),
        (pd.Timestamp("2024-01-05 13:05"), False), (np.datetime64("2024-01-05T13:05"), False), (time(13, 5, tzinfo=UTC), False), (1305, False),
    ],
)  # fmt: skip
def test_times_of_day_have_no_day(tmp_path, anything, value, there):
    written, row = Format(dates_in={"sold": "%H:%M"}), {"age": 1, "size": "3", "sold": value, "note": ""}
    (tmp_path / "rows.csv").write_text(f"sold\n{value}\n", encoding="utf-8")
    with open_table(tmp_path / "rows.csv", "rows.csv", written) as table:
        wrong = table.unreadable([], ["sold"])
    if there:
        assert str(columns_of([row], anything, [], written)["sold"][0]) == "1900-01-01T13:05:00"
        assert not wrong
        return
    with pytest.raises(RetrainError) as raised:
        columns_of([row], anything, [], written)
    assert str(raised.value) == "row 1, column 'sold' is not a time of day; write it as 13:05"
    assert str(wrong[0]).endswith("which is not a time of day; write it as 13:05")


def test_three_lines_in_another_program(tmp_path):
    folder = write_model(tmp_path / "reviews", "ngrams", "classification")
    program = f"import retrain\nmodel = retrain.load({str(folder)!r})\nimport json; print(json.dumps(model.predict(['a tram'])))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path("/"))
    assert json.loads(ended.stdout) == retrain.load(folder).predict(["a tram"])


def test_dates_and_missing_values_are_written_as_in_training(anything):
    written = Format(
        dates=("%d.%m.%Y",),
        dates_in={"sold": "%m/%d/%Y"},
        missing=("?",),
        missing_in={"age": ["-999", "n.a."]},
    )
    rows = [
        {"age": -999, "size": "?", "sold": "03/04/2024", "note": "?"},
        {"age": -999.0, "size": "", "sold": "?", "note": "-999"},
        {"age": "n.a.", "size": " ? ", "sold": " ", "note": ""},
        {"age": -998, "size": "-999", "sold": "2024-03-04", "note": "n.a."},
    ]  # fmt: skip
    columns = columns_of(rows, anything, [], written)
    assert np.array_equal(columns["age"], [np.nan, np.nan, np.nan, -998], equal_nan=True)
    assert [str(size) for size in columns["size"]] == ["nan", "nan", "nan", "-999"]
    assert [str(when) for when in columns["sold"]] == ["2024-03-04T00:00:00", "NaT", "NaT", "2024-03-04T00:00:00"]
    assert columns["note"] == ["?", "-999", "", "n.a."]
    with pytest.raises(RetrainError, match=r"is not a date; write it as 12/31/2024$"):
        columns_of([{**rows[0], "sold": "13.04.2024"}], anything, [], written)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,234.50", 1234.5), ("(1,234.50)", -1234.5), ("1,234.50-", -1234.5), ("\N{MINUS SIGN}1,234", -1234.0), ("( 12.50 )", -12.5),
        ("12.50-", -12.5), ("(.5)", -0.5), (".5-", -0.5), ("(5)", -5.0), ("5-", None), ("(1,23.50)", None), ("(12.50", None), ("1_000", None),
    ],
)  # fmt: skip
def test_programs_write_numbers_as_the_training_file(tmp_path, anything, text, number):
    written = Format(thousands=",")
    (tmp_path / "rows.csv").write_text(f'age\n"{text}"\n', encoding="utf-8")
    with open_table(tmp_path / "rows.csv", "rows.csv", written) as table:
        assert table.select(table.number("age")) == [(number,)]
    row = {"age": text, "size": "3", "sold": None, "note": ""}
    if number is None:
        with pytest.raises(RetrainError, match="is not a number"):
            columns_of([row], anything, [], written)
    else:
        assert columns_of([row], anything, [], written)["age"] == [number]
    if "," in text:
        with pytest.raises(RetrainError, match="is not a number"):
            columns_of([row], anything, [], Format())


def test_programs_write_decimal_commas_and_points(anything):
    row = {"age": None, "size": "3", "sold": None, "note": ""}
    rows = [
        row | {"age": value}
        for value in (
            *("1.234,5", "2,5", "1.234", 1.234, Decimal("1.234")),
            *(timedelta(minutes=2), np.timedelta64(2, "m"), np.timedelta64(120 * 10**9, "ns")),
        )
    ]
    written = Format(decimal=",", thousands=".")
    assert columns_of(rows, anything, [], written)["age"] == [1234.5, 2.5, 1234.0, 1.234, 1.234, *[120.0] * 3]
    found = columns_of([row | {"size": size} for size in (["é", 1], np.array(["é", 1], object))], anything, [], written)
    assert found["size"] == ['["é",1]'] * 2
    inside = [{"a": np.array(["b"], object)}, np.array([np.array(["b"], object), None], object)]
    found = columns_of([row | {"size": size} for size in inside], anything, [], written)
    assert found["size"] == ['{"a":["b"]}', '[["b"],null]']
    point = "has a decimal point, but texts of this model have a decimal comma, as in its training file; write it as 2,5, or"
    for text, form, fact in (
        ("2.5", written, point),
        ("1.234", Format(decimal=","), point),
        ("x", written, "is not a number; write it as 3 or 2,5$"),
    ):
        with pytest.raises(RetrainError, match=fact):
            columns_of([row | {"age": text}], anything, [], form)


def test_programs_write_units_or_none(tmp_path):
    folder = write_model(tmp_path / "model", "mixed", "regression")
    change(folder, "prepare", "format", to={"units_in": {"a": "%"}})
    model = retrain.load(folder)
    rows = [{"a": value, "level": "3.0"} for value in ("2 %", "2%", "2", 0, None, *[2] * 11)]
    with pytest.warns(UserWarning, match=r"column 'a': 1 of 16 rows, such as 2, lack the '%' of the training file"):
        answers = model.predict(rows)
    assert answers[0] == answers[1] == answers[2]
    with warnings.catch_warnings(action="error"):
        assert model.predict([rows[0], *rows[3:]]) == [answers[0], *answers[3:]]
        change(folder, "prepare", "format", to={"units_in": {"a": "kg"}})
        assert retrain.load(folder).predict([{"a": 0.5, "level": "3.0"}])
        change(folder, "prepare", "format", to={"units_in": {"a": "$"}})
        assert retrain.load(folder).predict(rows[2:4]) == answers[2:4]


def test_shares_instead_of_percents_are_told(tmp_path):
    folder = write_model(tmp_path / "model", "mixed", "regression")
    change(folder, "prepare", "format", to={"units_in": {"a": "%"}})
    with pytest.warns(UserWarning, match=r"column 'a': 2 of 3 rows, such as 0.1, lack the '%'.*0.1 counts as 0.1 %"):
        retrain.load(folder).predict([{"a": value, "level": "3.0"} for value in (0.1, 1.0, 0)])


def test_missing_numbers_are_compared_as_numbers(anything):
    rows = [{"age": value, "size": 4.5, "sold": None, "note": ""} for value in (9999.5, "9999,5", 9999.25)]
    columns = columns_of(rows, anything, [], Format(decimal=",", missing=("9999,5",)))
    assert np.array_equal(columns["age"], [np.nan, np.nan, 9999.25], equal_nan=True)


def test_categories_may_have_decimal_commas():
    assert spelt("42.5", frozenset(["42,5"])) == "42,5"
    assert spelt("1.000", frozenset(["1,000"])) == "1.000"  # it could be a thousand
