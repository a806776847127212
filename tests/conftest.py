"""Fixtures: projects in temporary folders, at several stages of the pipeline."""

import gc
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from retrain.environment import keep_memory, pin_cpu
from retrain.tracking import recording, store

import pytest
from hypothesis import settings
from support.project import (
    NOT_RUN,
    Project,
    copy_of_repository,
    made_once,
    make_finished_project,
    run_stages,
    tiny_datasets,
    write_tiny_tables,
)
from support.warm import Warm

pin_cpu(threads=1)  # before any test imports torch
keep_memory()
gc.set_threshold(50_000)  # the imported libraries are a million objects, and a search for unused ones takes a second
sys.dont_write_bytecode = False  # pytest compiles the tests once, and not in each process of each run
os.environ[recording.SWITCH] = "off"  # a stage in a test's own process starts no recorder, except in a `Project`
settings.register_profile("same", derandomize=True, deadline=None, database=None)
settings.load_profile("same")  # the same examples every time, here and in CI


TOGETHER = {"address", "hostile", "networks"}
"""Fixtures of a module that take seconds: long tests that share one run in the same process."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each process its part of the long tests before the short ones, so that none ends with a long one alone.

    The first of all needs the finished project; the others that do come last of the long ones: none waits for it.
    Short ones stay together where they share a warm process or a module's fixture, so that few processes make one.
    """
    fixtures = {item: set(getattr(item, "fixturenames", ())) for item in items}
    maker = next((item for item in items if "finished_project" in fixtures[item]), None)

    def turn(item: pytest.Item) -> tuple[bool, ...]:
        return item is not maker, "finished_project" in fixtures[item], "warm" not in fixtures[item]

    units: dict[object, list[pytest.Item]] = {}
    short = []
    for item in sorted(items, key=turn):
        if item is maker or item.get_closest_marker("slow"):
            shared = fixtures[item] & TOGETHER
            units.setdefault((item.path, *shared) if shared else item, []).append(item)
        else:
            short.append(item)
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    parts: list[list[pytest.Item]] = [[] for _ in range(processes)]
    for unit in units.values():
        min(parts, key=len).extend(unit)
    waiting = len(items)
    for number, part in enumerate(parts):
        room = max(waiting // (processes - number) - len(part), 0)  # as pytest-xdist shares them out
        part.extend(short[:room])
        del short[:room]
        waiting -= len(part)
    items[:] = [item for part in parts for item in part]


@pytest.fixture
def new_project(tmp_path: Path) -> Callable[[], Project]:
    """Makes copies of the repository whose params.yaml holds the tiny datasets alone; nothing has run yet."""
    made = []

    def make() -> Project:
        project = copy_of_repository(tmp_path / f"project{len(made)}", NOT_RUN)
        made.append(project)
        write_tiny_tables(project.folder)
        project.write_params({"datasets": tiny_datasets()})
        (project.folder / "dvc.lock").unlink(missing_ok=True)
        project.commit()
        return project

    return make


@pytest.fixture
def project(new_project: Callable[[], Project]) -> Project:
    """One such copy."""
    return new_project()


@pytest.fixture(scope="session")
def finished_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy in which the pipeline has run for all tiny datasets. Shared: look, don't touch (`finished` may be changed)."""
    return made_once(tmp_path_factory, "finished-project", make_finished_project)


@pytest.fixture
def finished(finished_project: Project, tmp_path: Path) -> Project:
    """A copy of the finished project that a test may change."""
    return finished_project.copy(tmp_path / "finished")


@pytest.fixture(scope="session")
def without_runs(finished_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The finished project with an empty MLflow store, which takes MLflow a second. Shared: look, don't touch."""

    def make(folder: Path) -> None:
        project = finished_project.copy(folder)
        (folder / "mlflow.db").unlink()
        shutil.rmtree(folder / "mlruns")
        store.own_store(project.folder)

    return made_once(tmp_path_factory, "without-runs", make)


@pytest.fixture
def forgotten(without_runs: Project, tmp_path: Path) -> Project:
    """A finished project without a run, which a test may change: its results came from elsewhere."""
    return without_runs.copy(tmp_path / "project")


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    """A process that has imported everything, and runs commands in its forks."""
    with Warm(Project(tmp_path_factory.mktemp("unused")).environment) as warm:
        yield warm


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory, warm: Warm) -> Path:
    """A project in which every stage of one dataset has run; see `run_stages`."""
    datasets = {name: parameters for name, parameters in tiny_datasets().items() if name == "tiny_news"}
    return run_stages(tmp_path_factory.mktemp("small") / "project", datasets, warm)


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, warm: Warm) -> Path:
    """A project in which every stage of all of the corpus' datasets has run; see `run_stages`."""
    from support.project import corpus_datasets

    return run_stages(tmp_path_factory.mktemp("whole") / "project", corpus_datasets(), warm)
