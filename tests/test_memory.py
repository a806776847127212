"""A limit on memory ends in one line that says so, and changes no output."""

import re
import shutil
from pathlib import Path

from retrain import cli

import click
import pytest
from click.testing import CliRunner
from conftest import REPOSITORY, Project
from damage import STAGES
from test_damage import good

MEGABYTES = (128, 192, 256, 320, 384, 448, 512, 640, 768, 896, 1024, 1536, 2048, 4096)
OWN_LINES = (
    r"Error: memory: there is not enough \(.+\); .+\n",
    r"OpenBLAS error: Memory allocation still failed after 10 retries, giving up\.\n",
    r"terminate called after throwing an instance of 'std::bad_alloc'\n  what\(\):  std::bad_alloc\n",
)
"""Ours, and what is said by libraries that end the process themselves while they are being imported."""


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
def test_memory_that_runs_out_is_said_in_one_line(error):
    said = ended_by(error)
    assert re.fullmatch(r"Error: memory: there is not enough \(.+\); give it more, or lower .+\n", said), said


def test_an_import_that_fails_because_of_memory_further_down_is_said_in_one_line():
    error = ImportError("Unable to import required dependency numpy.")
    error.__cause__ = ImportError("libscipy_openblas.so: failed to map segment from shared object")
    assert ended_by(error).startswith("Error: memory: there is not enough (")


@pytest.mark.parametrize("error", [RuntimeError("another"), ImportError("No module named 'other'")], ids=str)
def test_another_error_keeps_its_traceback(error):
    assert ended_by(error) == ""


def test_an_error_is_one_line_of_bounded_length_that_no_terminal_obeys():
    said = ended_by(FileNotFoundError(2, "No such file", f"a\nb\x1b[2J\udcff{'x' * 1_000_000}"))
    assert re.fullmatch(r"Error: a b\\x1b\[2J\\udcffx+\.\.\.: No such file; .+\n", said)
    assert len(said) < 1_100


@pytest.mark.campaign
@pytest.mark.timeout(7200)
def test_a_limit_on_memory_ends_in_one_line_and_changes_nothing(whole):
    folder, seen, failures = whole.with_name("project"), {"finished": 0, "our line": 0, "a library's line": 0}, []
    for stage in (*STAGES, "predict"):
        for megabytes in MEGABYTES:
            shutil.copytree(whole, folder, symlinks=True)
            end, failure = run_limited(folder, stage, megabytes)
            seen[end] += 1
            failures += [f"{stage} with {megabytes} MB: {failure}"] * bool(failure)
            shutil.rmtree(folder)
    print(f"runs under a limit on memory {sum(seen.values())} ({seen}), failures {len(failures)}")
    assert not failures, "\n".join(failures)


def run_limited(folder: Path, stage: str, megabytes: int) -> tuple[str, str]:
    """Run a command in a process of its own; how it ended, and what was wrong with that."""
    script = ("python3", str(REPOSITORY / "src" / f"{stage}.py"), "--dataset", "tiny_news")
    command = ("retrain", "predict", "tiny_news", "a ship") if stage == "predict" else script
    before = good(folder)
    ended = Project(folder).run("sh", "-c", 'ulimit -v "$0" && exec "$@"', str(megabytes * 1024), *command, timeout=600)
    drafts = list(folder.rglob("*.draft"))
    harmed = before != good(folder) or drafts
    if ended.returncode == 0:
        return "finished", f"changed outputs {drafts}" if harmed else ""
    ours, *others = (re.fullmatch(line, ended.stderr) for line in OWN_LINES)
    wrong = harmed or not (ours or any(others))
    return (
        "our line" if ours else "a library's line",
        f"{ended.returncode} {drafts} {ended.stderr[-2000:]}" if wrong else "",
    )
