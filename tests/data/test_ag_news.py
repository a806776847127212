"""The news classifier on the real AG News, if AG_NEWS_DIR names a copy: as committed, and with the course's recipe."""

import functools
import hashlib
import json
import os
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import pandas as pd
import pytest
from support.project import Project, copy_of_repository
from support.servers import listening

ROWS = os.environ.get("AG_NEWS_DIR")
pytestmark = [
    pytest.mark.campaign,  # a minute, of what docstrings and the downloads of small tables test as well
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not ROWS, reason="set AG_NEWS_DIR to a folder with AG News' train.csv and test.csv"),
]


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """A server of the rows, and the paths of its requests."""
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with listening(functools.partial(Handler, directory=ROWS)) as address:
        yield address, asked


@pytest.fixture
def news(server, tmp_path) -> Project:
    """A project that downloads the rows from the server."""
    project = copy_of_repository(tmp_path / "project")
    project.records = True
    for name in ("train", "test"):
        digest = hashlib.sha256(Path(ROWS, f"{name}.csv").read_bytes()).hexdigest()
        project.set(f"ag_news.prepare.{name}.location", f"{server[0]}/{name}.csv")
        project.set(f"ag_news.prepare.{name}.sha256", digest)
    return project


def metrics_of(project: Project) -> dict:
    """The metrics of the pipeline."""
    ended = project.run("retrain", "repro", "ag_news", timeout=540)
    assert ended.returncode == 0, ended.said
    return json.loads((project.folder / "reports/ag_news/metrics.json").read_text())


def test_ag_news_as_committed(news, server, tmp_path):
    project, metrics = news, metrics_of(news)
    assert sorted(server[1]) == ["/test.csv", "/train.csv"]
    assert metrics["test"]["accuracy"] >= 0.92
    assert metrics["baseline"]["accuracy"] == 0.25
    assert len(pd.read_csv(project.folder / "reports/ag_news/predictions.csv")) == 7600
    (run,) = project.runs("ag_news")
    assert run["metrics"]["test/accuracy"] == metrics["test"]["accuracy"]
    assert run["status"] == "FINISHED"
    table = tmp_path / "raw.csv"
    table.write_text("topic,title,description\n" + Path(ROWS, "test.csv").read_text(encoding="utf-8"), encoding="utf-8")
    answers = project.run("retrain", "predict", "ag_news", "--file", str(table)).stdout.splitlines()
    predictions = pd.read_csv(project.folder / "reports/ag_news/predictions.csv")
    assert [json.loads(answer)["label"] for answer in answers] == predictions["predicted"].tolist()
    said = project.run("retrain", "predict", "ag_news", "The striker scored twice in the cup final last night.")
    assert json.loads(said.stdout)["label"] == "Sports"


def test_ag_news_with_the_course_recipe(news, server):
    metrics = metrics_of(news)
    assert news.run("retrain", "recipe", "ag_news", "docs/recipes/ag_news_course.yaml").returncode == 0
    course = metrics_of(news)
    print(
        f"test accuracy as committed {metrics['test']['accuracy']}, by the course's recipe {course['test']['accuracy']}"
    )
    assert 0.895 <= course["test"]["accuracy"] < metrics["test"]["accuracy"]
    assert len(news.runs("ag_news")) == 2
    assert len(server[1]) == 2  # downloaded once
