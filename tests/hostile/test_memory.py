"""A limit on memory ends in one line that says so, and changes no output."""

import re
import shutil
from pathlib import Path

from retrain import cli

import click
import pytest
from click.testing import CliRunner
from support.damage import STAGES, parameter_changed
from support.damage.outputs import good
from support.project import REPOSITORY, Finished, Project
from support.tried import Tried

TOO_LITTLE = (64, 128, 256, 512, 1024, 1536, 2047)
"""Megabytes in which the libraries can't be loaded, or hardly."""
ENOUGH = (2048, 2560, 3072, 4096)
OWN_LINE = re.compile(r"Error: (?:memory is limited to|out of memory:) .+; .+\n")


def ended_by(error: BaseException) -> str:
    """What is said by a command that ends so."""

    @click.command()
    @cli.one_line_errors
    def command() -> None:
        raise error

    ended = CliRunner().invoke(command, [])
    assert ended.exit_code == 1
    return ended.stderr


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        MemoryError("std::bad_alloc"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("can't start new thread"),
        OSError(12, "Cannot allocate memory"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    ],
    ids=str,
)  # fmt: skip
def test_lack_of_memory_is_one_line(error):
    said = ended_by(error)
    assert re.fullmatch(r"Error: out of memory: .+; raise the limit, or lower train.loop.batch_size\n", said), said


def test_failed_import_names_memory():
    error = ImportError("Unable to import required dependency numpy.")
    error.__cause__ = ImportError("libscipy_openblas.so: failed to map segment from shared object")
    assert ended_by(error).startswith("Error: out of memory: ")


@pytest.mark.parametrize("error", [RuntimeError("another"), ImportError("No module named 'other'")], ids=str)
def test_other_errors_keep_their_traceback(error):
    assert ended_by(error) == ""


def test_error_is_short_and_printable():
    said = ended_by(FileNotFoundError(2, "No such file", f"a\nb\x1b[2J\udcff{'x' * 1_000_000}"))
    assert re.fullmatch(r"Error: a b\\x1b\[2J\\udcffx+\.\.\. does not exist; .+\n", said)
    assert len(said) < 1_100


def run_limited(tried: Tried, folder: Path, stage: str, megabytes: int) -> Finished:
    """Run a command in a process of its own, under a limit, and count it in."""
    script = ("python3", str(REPOSITORY / "src" / f"{stage}.py"), "--dataset", "tiny_news")
    command = ("retrain", "predict", "tiny_news", "a ship") if stage == "predict" else script
    limited = ("sh", "-c", 'ulimit -v "$0" && exec "$@"', str(megabytes * 1024), *command)
    before = good(folder)
    ended = Project(folder).run(*limited, timeout=600)
    finished = ended.returncode == 0
    one_line = ended.returncode == 1 and OWN_LINE.fullmatch(ended.stderr)
    wrong = before != good(folder) or list(folder.rglob("*.draft")) or not (finished or one_line)
    failure = f"{stage} with {megabytes} MB: {ended.returncode} {ended.stderr[-2000:]}" if wrong else ""
    tried.add({"finished": finished, "one line": one_line}, failure)
    return ended


def test_small_limit_is_reported_first(small):
    tried = Tried()
    ended = run_limited(tried, small, "train", 512)
    assert ended.stderr == "Error: memory is limited to 512 MB; allow 2,048 or more: ulimit -v 2097152\n"
    tried.check()


@pytest.mark.campaign
@pytest.mark.timeout(7200)
def test_memory_limits_change_nothing(whole):
    folder, tried = whole.with_name("project"), Tried()
    for stage in (*STAGES, "predict"):
        for megabytes in (*TOO_LITTLE, *ENOUGH):
            shutil.copytree(whole, folder, symlinks=True)
            run_limited(tried, folder, stage, megabytes)
            shutil.rmtree(folder)
    print(f"runs under a limit on memory: {tried}")
    tried.check()


@pytest.mark.campaign
@pytest.mark.timeout(7200)
def test_too_large_networks_change_nothing(whole):
    folder, tried = whole.with_name("project"), Tried()
    for width in (10**7, 10**8, 10**9, 2**31 - 1):
        shutil.copytree(whole, folder, symlinks=True)
        parameter_changed(("tiny_news", "train", "network", "embedding_dim"), width)(folder)
        run_limited(tried, folder, "train", 4096)
        shutil.rmtree(folder)
    print(f"networks that do not fit into memory: {tried}")
    tried.check()
    assert tried.counts["one line"] >= 3
