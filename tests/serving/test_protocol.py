"""What the server answers: MLflow's scoring protocol, errors, and what it tells about itself."""

import json
import math
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import retrain
from retrain.serving.app import PROTOCOL

import pandas as pd
import pytest
import requests
from support.model_folders import change
from support.service import model_that_answers, serve

JSON, CSV = "application/json", "text/csv"
TEXTS = ["the ship and the harbour", "a cow", "", "the tram", "a ship near the barn"]


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """A server of texts in two columns, and the model."""
    folder = model_that_answers(tmp_path_factory.mktemp("texts") / "boats")
    change(folder, "gaps", to={"title": 0.0, "text": 0.0})
    with serve(folder.parent / "log", str(folder)) as service:
        yield service, retrain.load(folder)


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    """A server of numbers, and the model."""
    folder = model_that_answers(tmp_path_factory.mktemp("numbers") / "sizes", "numbers", "regression")
    with serve(folder.parent / "log", str(folder)) as service:
        yield service, retrain.load(folder)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A server of a number and a category, and the model."""
    folder = model_that_answers(tmp_path_factory.mktemp("mixed") / "sizes", "mixed", "regression")
    change(folder, "gaps", to={"a": 0.0, "level": 0.1})
    with serve(folder.parent / "log", str(folder)) as service:
        yield service, retrain.load(folder)


ROWS = [{"a": 1, "b": 0.5}, {"a": 2.5, "b": -1}]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"dataframe_split": {"columns": ["b", "a"], "data": [[0.5, 1], [-1, 2.5]]}}, JSON),
        ({"dataframe_split": {"columns": ["a", "x", "b"], "index": [7, 7], "data": [[1, "", 0.5], [2.5, None, -1]]}}, JSON),
        ({"dataframe_records": ROWS, "params": {"k": 1}}, "Application/JSON; charset=UTF-8"),
        ({"instances": ROWS, "other": 1}, JSON),
        ({"inputs": {"a": [1, 2.5], "b": [0.5, -1]}}, JSON),
        ("b,a,x\r\n0.5,1,\r\n-1,2.5,y\r\n", CSV),
        ('\ufeff"a","b"\n1,0.5\n\n"2.5",-1', "text/csv; charset=utf-8"),
    ],
)  # fmt: skip
def test_forms_of_numbers_agree(numbers, body, kind):
    service, model = numbers
    content = body if isinstance(body, str) else json.dumps(body)
    answer = service.post(content.encode(), kind)
    assert (answer.status_code, answer.headers["content-type"]) == (200, JSON)
    assert answer.json() == {"predictions": model.predict(ROWS)}
    assert model.sha256.startswith(answer.headers["model-sha256"])


@pytest.mark.filterwarnings("ignore:all inputs of")
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"inputs": TEXTS}, JSON),
        ({"instances": [{"title": "", "text": text} for text in TEXTS]}, JSON),
        ({"inputs": {"title": [None] * 5, "text": TEXTS}}, JSON),
        ("title,text\n" + "".join(f',"{text}"\n' for text in TEXTS), CSV),
    ],
)
def test_forms_of_texts_agree(texts, body, kind):
    service, model = texts
    content = body if isinstance(body, str) else json.dumps(body)
    assert service.post(content.encode(), kind).json() == {"predictions": model.predict(TEXTS)}


@pytest.mark.parametrize("kind", [JSON, CSV])
@pytest.mark.parametrize(("level", "known"), [(3, "3.0"), ("4", "4.0"), (True, "True"), (["new"], '["new"]')])
def test_values_of_other_spellings(mixed, kind, level, known):
    service, model = mixed
    expected = model.predict([{"a": 2.5, "level": known}])
    as_text = level if isinstance(level, str) else json.dumps(level)
    body = json.dumps({"inputs": [{"a": "2.5", "level": level}]})
    if kind == CSV:
        quoted = as_text.replace('"', '""')
        body = f'a,level\n2.5,"{quoted}"\n'
    assert service.post(body.encode(), kind).json() == {"predictions": expected}
    with pytest.warns(UserWarning, match="the model does not know the values of 1 of 1 rows, such as 'unknown'"):
        assert model.predict([{"a": 2.5, "level": "unknown"}]) != expected


def test_one_row_of_values(texts, numbers):
    for (service, model), row in ((texts, {"title": "a", "text": "ship"}), (numbers, ROWS[0])):
        assert service.post(json.dumps({"inputs": row}).encode()).json()["predictions"] == model.predict([row])


def test_no_rows_no_answers(texts):
    for body in ({"inputs": []}, {"dataframe_split": {"columns": ["title", "text"], "data": []}}):
        assert texts[0].post(json.dumps(body).encode()).json() == {"predictions": []}


@pytest.mark.parametrize(
    ("body", "kind", "status", "message"),
    [
        (b"", JSON, 400, "the body is not JSON"),
        (b"[1]", JSON, 400, "exactly one of the keys dataframe_split, dataframe_records, instances, inputs"),
        (b'{"inputs": [], "instances": []}', JSON, 400, "exactly one of the keys"),
        (b'{"inputs": "secret"}', JSON, 400, "inputs must be a list of rows"),
        (b'{"inputs": {}}', JSON, 400, "inputs must be a list of rows"),
        (b'{"inputs": {"a": [1], "b": 2}}', JSON, 400, "a list for each column, or a single value for each"),
        (b'{"inputs": {"a": [1], "b": [2, 3]}}', JSON, 400, "columns of different lengths"),
        (b'{"inputs": [[1, 2]]}', JSON, 400, "row 1 is not what the model takes"),
        (b'{"inputs": ["secret"]}', JSON, 400, "this model takes numbers (a, b), not texts; give rows by column names"),
        (b'{"inputs": [{"a": 1}]}', JSON, 400, "row 1 has no column 'b'"),
        (b'{"inputs": [{"a": 1, "b": null}]}', JSON, 400, "row 1, column 'b' is missing; give a value"),
        (b'{"inputs": [{"a": 1, "b": NaN}]}', JSON, 400, "row 1, column 'b' is missing; give a value"),
        (b'{"inputs": [{"a": 1, "b": -NaN}]}', JSON, 400, "the body is not JSON"),
        (b'{"inputs": [NaN, "' + b'\\"' * 1_000_000, JSON, 400, "the body is not JSON"),
        (b'{"inputs": [{"a": "Infinity", "b": }]}', JSON, 400, "the body is not JSON"),
        (
            b'{"inputs": [{"a": 1, "b": -Infinity}]}',
            JSON,
            400,
            "Infinity, which is not a number that a model can use; send null",
        ),
        (b'{"inputs": [{"a": 1, "b": 1e999}]}', JSON, 400, ""),
        (b'{"inputs": [{"a": 1, "b": "secret"}]}', JSON, 400, "row 1, column 'b' is not a number"),
        (b'{"inputs": [{"a": 1, "b": true}]}', JSON, 400, "row 1, column 'b' is not a number"),
        (b'{"inputs": ' + b"[" * 100_000, JSON, 400, "the body is not JSON"),
        (b'{"inputs": ["\xff"]}', JSON, 400, "the body is not JSON"),
        (b'{"dataframe_records": ["secret"]}', JSON, 400, "dataframe_records must be a list of objects"),
        (b'{"dataframe_split": {"data": [[1, 2]]}}', JSON, 400, "with columns and data, both lists"),
        (
            b'{"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2], [3]]}}',
            JSON,
            400,
            "row 2 must be a list of 2",
        ),
        (b'{"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}}', JSON, 400, "a different name"),
        (b'{"inputs": [{"a": 1, "a": 2, "b": 3}]}', JSON, 400, "the same key twice"),
        (b'{"inputs": [{"a": 1, "b": 3}], "inputs": []}', JSON, 400, "the same key twice"),
        (b'{"inputs": ' + b"[" * 300 + b"]" * 300 + b"}", JSON, 400, "the body is nested too deeply"),
        (b"", CSV, 400, "the header must have a different name for each column"),
        (
            b"a;b\n1,5;2,5\n",
            CSV,
            400,
            "the header has ';' between its names; separate values with commas, or send JSON",
        ),
        (b"a,b\n1,2\n3\n", CSV, 400, "row 2 has 1 values, but the header has 2"),
        (b'a,b\n1,"2', CSV, 400, "the body is not CSV: line 2"),
        (b"a,b\n1,\xff\n", CSV, 400, "the body is not UTF-8"),
        (b"a,b\n1,secret\n", CSV, 400, "row 1, column 'b' is not a number"),
        (b"a,b\n1,\n", CSV, 400, "row 1, column 'b' is missing"),
        (
            b' {"inputs": []}',
            None,
            415,
            "text/csv, as in: curl URL --data-binary @rows.json --header 'Content-Type: application/json'",
        ),
        (b"{}", "application/x-parquet", 415, "must be application/json or text/csv"),
        (b"--x", "multipart/form-data; boundary=x", 415, "text/csv, as in: curl URL --data-binary @rows.csv"),
        (b"{}", "application/json; charset=latin-1", 415, "use charset=utf-8 or none"),
        (b"{}", "application/json; version=2", 415, "use charset=utf-8 or none"),
    ],
)
def test_wrong_bodies_are_named(numbers, body, kind, status, message):
    answer = numbers[0].post(body, kind)
    assert (answer.status_code, answer.headers["content-type"]) == (status, JSON)
    assert list(answer.json()) == ["error_code", "message"]
    assert message in answer.json()["message"]
    assert "secret" not in answer.text
    assert "secret" not in numbers[0].log()


def test_other_paths_and_methods(texts):
    url = texts[0].url
    assert requests.get(f"{url}/nothing", timeout=9).json()["error_code"] == "ENDPOINT_NOT_FOUND"
    wrong = requests.get(f"{url}/invocations", timeout=9)
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert requests.post(f"{url}/ping", timeout=9).status_code == 405
    assert requests.head(f"{url}/ping", timeout=9).status_code == 200
    gzip = requests.post(f"{url}/invocations", headers={"content-encoding": "gzip", "content-type": JSON}, timeout=9)
    assert gzip.status_code == 415


def test_what_it_tells_of_itself(texts):
    service, model = texts
    assert requests.get(f"{service.url}/ping", timeout=9).content == b"\n"
    assert requests.get(f"{service.url}/version", timeout=9).text == PROTOCOL
    health = requests.get(f"{service.url}/health", timeout=9).json()
    assert (health["status"], health["model"]) == ("ok", model.name)
    assert model.sha256.startswith(health["sha256"])


def test_metrics_count(texts):
    service, _ = texts

    def value(name: str) -> float:
        text = requests.get(f"{service.url}/metrics", timeout=9).text
        assert all(re.fullmatch(r"# (HELP|TYPE) .+|[a-z_]+(\{[^}]+\})? \S+", line) for line in text.splitlines())
        return float(next(line for line in text.splitlines() if line.startswith(name)).rpartition(" ")[2])

    service.post(b'{"inputs": ["a"]}')
    before = value("retrain_serve_rows_total"), value("retrain_serve_request_seconds_count")
    service.post(b'{"inputs": ["a", "b"]}')
    assert (value("retrain_serve_rows_total"), value("retrain_serve_request_seconds_count")) == (
        before[0] + 2,
        before[1] + 1,
    )
    assert value("retrain_serve_model_info") == 1
    gaps = 'retrain_serve_unexpected_gaps_total{column="title"}'
    rows = b'{"inputs": {"title": ["", null, "a", ""], "text": ["a", "b", "", ""]}}'
    counts = [service.post(body) and value(gaps) for body in (rows, b'{"inputs": ["a", "b"]}', rows)]
    assert [count - counts[0] for count in counts] == [0, 0, 2]


def test_unknown_categories_are_counted(mixed):
    service, _ = mixed
    for levels in (["3", "4.0", None], ["7", "3"], ["7"] * 200):
        service.post(json.dumps({"inputs": {"a": [1] * len(levels), "level": levels}}).encode())
    text = requests.get(f"{service.url}/metrics", timeout=9).text
    assert '\nretrain_serve_unknown_categories_total{column="level"} 201\n' in text
    assert '\nretrain_serve_unexpected_gaps_total{column="level"} 1\n' in text


def test_concurrent_answers_are_their_own(texts):
    service, model = texts
    words = ["ship", "cow", "tram", "barn", "anchor", "harbour", "the", "bridge", "zzz"]
    sizes = [1, 1, 1, 2, 7, 1, 300, 1]  # the large one goes to the thread
    requested = [
        [f"{words[(n + k) % 9]} {words[(n * k) % 9]} {words[n % 9]}" for k in range(sizes[n % 8])] for n in range(160)
    ]
    expected = [model.predict(rows) for rows in requested]
    session = requests.Session()
    adapter = requests.adapters.HTTPAdapter(pool_maxsize=16)
    session.mount("http://", adapter)

    def ask(rows: list[str]) -> list:
        return session.post(f"{service.url}/invocations", json={"inputs": rows}, timeout=60).json()["predictions"]

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(ask, requested)) == expected


@pytest.mark.filterwarnings("ignore::UserWarning")  # MLflow's own, while it is imported
def test_mlflow_client(texts, numbers, mixed):
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

    gaps = [{"a": math.nan, "level": "3.0", "other": '"NaN\\'}]  # the client sends NaN, which is no JSON
    served = ((texts, [{"title": "a", "text": "ship"}]), (numbers, ROWS), (mixed, gaps))
    for (service, model), rows in served:
        client = ScoringServerClient("127.0.0.1", service.port)
        client.wait_server_ready(timeout=30)
        answer = client.invoke(pd.DataFrame(rows))
        assert json.loads(answer.to_json())["predictions"] == model.predict(rows)
        with pytest.raises(Exception, match="has no column"):
            client.invoke(pd.DataFrame({"other": [1]}))


def test_protocol_is_mlflow_s():
    import mlflow

    assert mlflow.__version__ == PROTOCOL


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed, and pip has no package of it")
def test_curl(texts):
    service, model = texts
    command = [
        "curl",
        "-sS",
        "-H",
        f"content-type: {JSON}",
        "-d",
        '{"inputs": ["a ship"]}',
        f"{service.url}/invocations",
    ]
    answer = subprocess.run(command, capture_output=True, check=True).stdout
    assert json.loads(answer) == {"predictions": model.predict(["a ship"])}
