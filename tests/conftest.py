"""Fixtures: projects in temporary folders, at several stages of the pipeline."""

import compileall
import gc
import itertools
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from retrain.environment import keep_memory, pin_cpu
from retrain.threads import cores
from retrain.tracking import recording, store

import pytest
from hypothesis import settings
from support.project import (
    REPOSITORY,
    Project,
    made_once,
    make_finished_project,
    make_untouched_project,
    run_stages,
    tiny_datasets,
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


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two processes for each of two cores, because many tests wait for a command; on larger machines one for each core, up to eight: each takes a gigabyte."""
    return min(max(4, cores()), 8)


def pytest_configure() -> None:
    """Compile the code once, and not in each process that a test starts, as where Python is told not to write what it compiles."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        compileall.compile_dir(REPOSITORY / "src", quiet=2)


def pytest_sessionfinish() -> None:
    """Search for unused objects once: pytest does it five times at its end, which takes seconds of each process."""
    gc.collect()
    gc.freeze()


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


@pytest.fixture(scope="session")
def untouched_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the repository whose params.yaml holds the tiny datasets alone; nothing has run yet. Shared: look, don't touch."""
    return made_once(tmp_path_factory, "untouched-project", make_untouched_project)


@pytest.fixture
def new_project(untouched_project: Project, tmp_path: Path) -> Callable[[], Project]:
    """Makes such copies, which a test may change."""
    numbers = itertools.count()
    return lambda: untouched_project.copy(tmp_path / f"project{next(numbers)}")


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
def pair_project(finished_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The finished project with `tiny_numbers` and `tiny_sign` alone: DVC takes half as long. Shared: look, don't touch."""
    return made_once(
        tmp_path_factory, "pair-project", lambda folder: finished_project.copy(folder).keep("tiny_numbers", "tiny_sign")
    )


@pytest.fixture
def pair(pair_project: Project, tmp_path: Path) -> Project:
    """A copy of it that a test may change."""
    return pair_project.copy(tmp_path / "pair")


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
