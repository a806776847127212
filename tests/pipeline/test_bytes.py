"""The same inputs give the same bytes: whoever runs them, where, and on whichever x86-64 processor that has AVX2."""

import hashlib
import platform
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from retrain.environment import SETTINGS, pin_cpu, runs_avx2

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from support.environments import (
    C_LIBRARY,
    FOUR_THREADS,
    NEWER,
    ONE_THREAD,
    TOLD,
    Variables,
    disguised,
    many_at_once,
    own_style,
    umask,
)
from support.project import (
    MLP,
    Project,
    copy_of_repository,
    made_once,
    number_rows,
    tiny_datasets,
    write_csv,
)

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="other processors give other last bits")

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
"""The C locale, and Python kept from taking UTF-8 in it: DVC then fails where a folder's name is not ASCII."""


@dataclass(frozen=True)
class Surroundings:
    """What may be different where someone else runs the same commit."""

    environment: Variables
    made: Callable[[Path], Variables] = lambda _: {}
    """Makes files in a folder, and says which variables lead there."""
    prefix: tuple[str, ...] = ()
    """What the command is started by."""
    folder: str = "project"


def home_of_another(folder: Path) -> Variables:
    """Another user, at home where there are no settings and no caches."""
    (folder / "home").mkdir()
    return {"HOME": str(folder / "home"), "USER": "zoë", "LOGNAME": "zoë"}


def turkish(folder: Path) -> Variables:
    """A Turkish locale: the capital of i is İ there, and a half is 0,5."""
    try:
        locale = folder / "tr_TR.UTF-8"
        subprocess.run(["localedef", "-i", "tr_TR", "-f", "UTF-8", locale], capture_output=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("localedef is not there, or has no sources for Turkish")
    return {"LOCPATH": str(folder), "LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8"}


def other_processor(without: str, folder: Path) -> Variables:
    """See `disguised`; skips the test where it can't be done."""
    variables = disguised(without, folder)
    if not variables:
        pytest.skip("no C compiler, or a kernel or processor that can't hide what CPUID tells")
    return variables


SURROUNDINGS = {
    "as they were": Surroundings({}),
    "a folder with spaces and non-ASCII letters": Surroundings({}, folder="données à moi, 数据"),
    "an ASCII locale": Surroundings({**ASCII, "TZ": "Pacific/Apia"}),
    "a Turkish locale": Surroundings({"TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "1"}, turkish),
    "another user, umask 077": Surroundings({"PYTHONHASHSEED": "2"}, home_of_another, umask("077")),
    "optimized Python, umask 002": Surroundings({"PYTHONOPTIMIZE": "2", "PYTHONHASHSEED": "4294967295"}, prefix=umask("002")),
    "a style and a font of one's own": Surroundings({}, own_style),
    "one thread asked for, on one core": Surroundings(ONE_THREAD, prefix=("taskset", "--cpu-list", "0")),
    "four threads asked for": Surroundings(FOUR_THREADS),
    "new memory full of noise": Surroundings({"MALLOC_PERTURB_": "165", "PYTHONMALLOC": "debug"}),
    "the C library without fused multiplications": Surroundings(C_LIBRARY),
    **{f"libraries told to use {name}": Surroundings(variables) for name, variables in TOLD.items()},
    "an Intel processor without AVX-512": Surroundings({}, partial(other_processor, "avx512")),
    "an AMD processor without AVX-512": Surroundings({}, partial(other_processor, "avx512 intel")),
}  # fmt: skip


def outputs(project: Project) -> dict[str, str]:
    """The digest of dvc.lock, and of every file that a stage wrote."""
    written = [path for name in ("data", "models", "reports") for path in (project.folder / name).rglob("*")]
    files = [path for path in written if path.is_file() and "raw" not in path.relative_to(project.folder).parts]
    return {
        str(path.relative_to(project.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in [project.folder / "dvc.lock", *files]
    }


def make_reference(folder: Path) -> None:
    """`docstrings` and `diabetes` as committed, and `wide_numbers`, whose batches are large enough for two threads."""
    project = copy_of_repository(folder)
    params = project.params()
    params["datasets"] = {name: params["datasets"][name] for name in ("docstrings", "diabetes")}
    wide = tiny_datasets()["tiny_numbers"]
    wide["prepare"]["train"]["location"] = "data/raw/wide_numbers/rows.csv"
    wide["train"] |= {
        "threads": 2, "network": {**MLP, "hidden": 512}, "schedule": {"name": "cosine"},
        "optimizer": {"name": "adamw", "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.01},
    }  # fmt: skip
    wide["train"]["loop"] |= {"epochs": 4, "batch_size": 1024, "learning_rate": 0.003}
    params["datasets"]["wide_numbers"] = wide
    project.write_params(params)
    write_csv(folder / "data/raw/wide_numbers/rows.csv", ["a", "b", "c", "y"], number_rows(20_000, seed=3))
    project.commit()
    project.dvc("repro")
    project.commit()


@pytest.fixture(scope="session")
def reference(tmp_path_factory) -> Project:
    """A project with all of its results. Shared: look, don't touch."""
    return made_once(tmp_path_factory, "reference", make_reference)


@pytest.mark.campaign
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", SURROUNDINGS)
def test_second_run_gives_same_bytes(reference, tmp_path, name):
    around = SURROUNDINGS[name]
    variables = around.environment | around.made(tmp_path)
    project, expected = reference.copy(tmp_path / around.folder), outputs(reference)
    ended = project.run(*around.prefix, "dvc", "repro", "--force", timeout=3500, **variables)
    assert ended.returncode == 0, ended.said
    assert ended.stdout.count("Running stage '") == 15
    found = outputs(project)
    different = sorted(path for path in expected.keys() | found.keys() if expected.get(path) != found.get(path))
    print(f"{name}: {len(expected)} outputs compared, {len(different)} differ")
    assert different == []


@pytest.mark.campaign
def test_committed_results_in_every_environment(tmp_path):
    """As of `diabetes` in tests/release/test_walk.py."""
    project = copy_of_repository(tmp_path / "données à moi, 数据")
    ended = project.run(*umask("077"), "dvc", "repro", "plot@docstrings", **many_at_once(tmp_path))
    assert ended.returncode == 0, ended.said
    assert ended.stdout.count("Running stage '") == 5
    assert project.run("git", "status", "--porcelain").stdout == "", NEWER


EXPERIMENT = """
import sys
from pathlib import Path
sys.path.insert(0, "src")
from retrain import environment, params
from retrain.training import setup
from retrain.training.history import copied_weights
if sys.argv[1] == "pinned":
    environment.pin_cpu(1)
from retrain.models.weights import save_weights
from retrain.training.loop import train_epochs
for dataset in ("diabetes", "docstrings"):
    parameters = params.read(Path.cwd(), dataset, "train", setup.Train)
    data = setup.read_data(Path("data", dataset, "examples"))
    training = setup.build(parameters, data, "train")
    list(train_epochs(training.state, data.train, data.validation, training.config))
    save_weights(Path(sys.argv[2], dataset), copied_weights(training.state.network), "float32", "train")
"""
"""Trains with or without the pin, and saves the last weights of each dataset in a folder."""


def trained(project: Project, folder: Path, pin: str, variables: Variables) -> dict[str, np.ndarray]:
    """All weights of each dataset, end to end, after the experiment."""
    folder.mkdir()
    ended = project.run("python3", "-c", EXPERIMENT, pin, str(folder), **variables)
    assert ended.returncode == 0, ended.said
    weights = {dataset: load_file(folder / dataset) for dataset in ("diabetes", "docstrings")}
    return {
        dataset: np.concatenate([found[name].ravel() for name in sorted(found)]) for dataset, found in weights.items()
    }


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_pin_makes_processors_agree(reference, tmp_path):
    for name in ("intel", "amd", "old"):
        (tmp_path / name).mkdir()
    processors = {
        "this one": {},
        **{f"told to use {name}": variables for name, variables in TOLD.items()},
        "Intel without AVX-512": other_processor("avx512", tmp_path / "intel"),
        "AMD without AVX-512": other_processor("avx512 intel", tmp_path / "amd"),
    }
    expected = trained(reference, tmp_path / "expected", "pinned", {})
    different = {"pinned": 0, "unpinned": 0}
    for number, (processor, variables) in enumerate(processors.items()):
        for pin in different:
            found = trained(reference, tmp_path / f"{pin} {number}", pin, variables)
            for dataset, weights in found.items():
                away = np.abs(weights - expected[dataset])
                different[pin] += bool(away.any())
                said = f"{(away > 0).mean():.1%} of the weights differ, by up to {away.max():.1e}"
                print(f"{dataset}, {pin}, {processor}: {said}")
    assert different["pinned"] == 0
    assert different["unpinned"] > 0


SCHEDULES = """
from retrain.training.optimizers import Cosine, Steps
cosine = Cosine(name="cosine")
print(*(cosine.factor(step / 9973) for step in range(9974)))
for hundredths in range(1, 100):
    steps = Steps(name="steps", count=100, gamma=hundredths / 100)
    print(*(steps.factor(step / 100) for step in range(101)))
"""


@pytest.mark.campaign
def test_schedules_without_c_library(tmp_path):
    project = Project(tmp_path)
    plain, other = (project.run("python3", "-c", SCHEDULES, **variables) for variables in ({}, C_LIBRARY))
    factors = plain.stdout.split()
    print(f"{len(factors)} learning rates compared, {sum(map(str.__ne__, factors, other.stdout.split()))} differ")
    assert len(factors) == 9974 + 99 * 101
    assert other.stdout == plain.stdout


PRODUCTS = """
import hashlib
from retrain import environment
environment.pin_cpu(2)
import torch
torch.set_num_threads(2)
generator, digest = torch.Generator().manual_seed(1), hashlib.sha256()
for size in range(0, 200, 10):  # one thread gives other bytes than two
    left, right = (torch.randn(shape, generator=generator) for shape in ((16 + size, 10 + size), (10 + size, 50)))
    digest.update((left.T @ (left @ right)).numpy().tobytes())
print(digest.hexdigest())
"""


def test_threads_ignore_the_environment(tmp_path):
    project, told = Project(tmp_path), ONE_THREAD | TOLD["AVX-512"]
    plain, other = (project.run("python3", "-c", PRODUCTS, **variables) for variables in ({}, told))
    assert plain.returncode == other.returncode == 0, plain.said + other.said
    assert other.stdout == plain.stdout
    assert plain.stderr == ""
    said, _, why = other.stderr.removeprefix("ignored ").partition(": ")
    assert {name for name in told if name.startswith(SETTINGS)} - set(said.split(", ")) <= {"MKL_NUM_THREADS"}
    assert why == "params.yaml sets the threads, and the other settings would change results\n"


def test_pinning_after_torch_is_rejected(monkeypatch):
    assert torch.get_num_threads() == 1
    pin_cpu(1)
    with pytest.raises(RuntimeError, match="before the first import of torch"):
        pin_cpu(2)
    monkeypatch.setenv("OMP_DYNAMIC", "true")
    with pytest.raises(RuntimeError, match="before the first import of torch"):
        pin_cpu(1)


@pytest.mark.parametrize(
    ("described", "expected"),
    [
        ("flags\t\t: fpu sse4_2 avx f16c avx2 bmi2\n", True),
        ("flags\t\t: fpu sse4_2 avx f16c\n", False),
        ("Features\t: fp asimd sha2 sve\n", False),
        (None, False),
    ],
)
def test_avx2_only_if_available(tmp_path, described, expected):
    path = tmp_path / "cpuinfo"
    if described is not None:
        path.write_text(described)
    assert runs_avx2(path) is expected
