"""The page at `/`, in a real browser."""

import json
from pathlib import Path

import retrain

import axe_core_python
import pytest
import requests
from support.browser import PROGRAM, browser
from support.model_folders import change
from support.service import model_that_answers, serve

SUBMIT = """
(async () => {
  %s
  document.querySelector("button").click();
  const done = () => document.getElementById("answer").textContent || document.getElementById("fault").textContent;
  for (let n = 0; n < 600 && !done(); n++) await new Promise(go => setTimeout(go, 50));
  return document.body.innerText;
})()
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A tab of a browser."""
    if PROGRAM is None:
        pytest.skip("no Chromium is installed, and pip has no package of it")
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    folder = model_that_answers(tmp_path_factory.mktemp("texts") / "boats")
    change(folder, "task", "learned", "classes", to=["</script><b>sea", "farm", "city"])
    with serve(folder.parent / "log", str(folder)) as service:
        yield service, retrain.load(folder)


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    folder = model_that_answers(tmp_path_factory.mktemp("numbers") / "sizes", "numbers", "regression")
    change(folder, "calibration", to={"interval": {"level": 0.9, "margin": 1.5, "rows": 30}})
    change(folder, "encoder", "learned", "columns", to=["a", "</script><script>alert(1)</script>"])
    with serve(folder.parent / "log", str(folder)) as service:
        yield service, retrain.load(folder)


def fill(*values: str) -> str:
    """A script that fills in the fields and submits the form."""
    return SUBMIT % " ".join(
        f"document.getElementById('field{number}').value = {json.dumps(value)};" for number, value in enumerate(values)
    )


def test_a_text_is_answered_and_explained(page, texts):
    service, model = texts
    page.open(f"{service.url}/", 360)
    shown = page.run(fill("the ship", "a cow near the barn"))
    (answer,) = model.predict([{"title": "the ship", "text": "a cow near the barn"}])
    assert answer["label"] in shown
    assert f"{100 * answer['probabilities'][answer['label']]:.1f} % certain" in shown
    assert "Exact: each contribution is a summand" in shown
    assert page.run("document.getElementById('words').textContent").split() == [
        "the",
        "ship",
        "a",
        "cow",
        "near",
        "the",
        "barn",
    ]
    assert page.run("document.querySelectorAll('#chances tr').length") == 3
    assert page.run("document.querySelectorAll('b').length") == 0
    assert {url.removeprefix(service.url) for url in page.requests()} <= {"/", "/explain", "/favicon.ico"}


def test_a_number_has_its_interval(page, numbers):
    service, model = numbers
    page.open(f"{service.url}/", 360)
    shown = page.run(fill("3", "0.5"))
    (answer,) = model.predict([{"a": 3, model.encoder.columns[1]: 0.5}])
    assert f"{answer['number']:.4g}" in shown.replace("\u2212", "-")
    assert "in 90 % of all cases" in shown
    assert (
        "Leave-one-out: how much the predicted number changes when this column alone is missing, or has its mean"
        in shown
    )
    assert "</script><script>alert(1)</script>" in shown


def test_a_wrong_value_is_named(page, numbers):
    page.open(f"{numbers[0].url}/", 360)
    assert "row 1, column 'a' is not a number" in page.run(fill("many", "1"))
    assert "row 1, column 'a' is not a number" in page.run(fill("1,234", "1"))
    assert "column 'a' is missing" in page.run(fill("", "1"))
    assert "a (a number, around 2.75)" in page.run("document.body.innerText")  # the median, or the mean


def test_a_strange_value_has_a_warning(page, tmp_path):
    folder = model_that_answers(tmp_path / "sizes", "mixed", "regression")
    with serve(tmp_path / "log", str(folder)) as service:
        page.open(f"{service.url}/", 360)
        assert "does not know the values of 1 of 1 rows, such as 'new'" in page.run(fill("2.5", "new"))
        assert "does not know" not in page.run(fill("2.5", "3.0"))


def test_dates_need_no_time(page, tmp_path):
    folder = model_that_answers(tmp_path / "visits", "mixed")
    change(folder, "encoder", "learned", "kinds", to=["date", "category"])
    days = json.loads((folder / "model.json").read_text())["encoder"]["learned"]["numbers"]
    change(folder, "encoder", "learned", "numbers", to=[{**days[0], "part": "days"}])
    with serve(tmp_path / "log", str(folder)) as service:
        for day in ("2024-05-31", "2024-05-31 14:30"):
            page.open(f"{service.url}/", 360)
            assert "certain" in page.run(fill(day, "3.0"))
        assert "is not a date" in page.run(fill("31/05/24", "3.0"))
        assert "a (a date, such as 2024-12-31 or 2024-12-31T23:59)" in page.run("document.body.innerText")


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing_on_the_page(page, texts, numbers, dark):
    script = Path(axe_core_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
    for (service, _), values in ((texts, ("a ship", "the cow")), (numbers, ("1", "2"))):
        page.open(f"{service.url}/", 360, dark=dark)
        page.run(fill(*values))
        assert page.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        page.run(f"{script};0")
        assert page.run("axe.run().then(found => found.violations.map(one => [one.id, one.nodes[0].html]))") == []


def test_the_policy_forbids_all_else(texts):
    response = requests.get(f"{texts[0].url}/", timeout=9)
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "http" not in response.text.split("<script>")[1]


def test_explanations_have_the_limits_of_predictions(texts):
    service, model = texts
    one = {"title": "", "text": "a ship"}
    found = service.post(json.dumps({"inputs": [one]}).encode(), path="/explain").json()
    assert found["answer"] == model.predict([one])[0]
    assert [part["word"] for part in found["parts"]] == ["a", "ship"]
    for body, status in (
        (b'{"inputs": ["a", "b"]}', 400),
        (b'{"inputs": []}', 400),
        (b"{", 400),
        (b" " * (11 << 20), 413),
    ):
        assert service.post(body, path="/explain").status_code == status
