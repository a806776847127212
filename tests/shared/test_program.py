"""A command as the whole program: all that it printed and left for the end arrives, with the right exit code."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import atexit, sys
from pathlib import Path
from retrain import cli

def work():
    atexit.register(Path(sys.argv[1]).touch)
    print("x" * 1_000_000)
    {last}

cli.run(work)
"""


@pytest.mark.parametrize(
    ("last", "code", "said"),
    [("pass", 0, ""), ("sys.exit()", 0, ""), ("sys.exit(3)", 3, ""), ("sys.exit('no')", 1, "no\n"), ("1 / 0", 1, None)],
)
def test_program_ends_whole(tmp_path, last, code, said):
    at_end = tmp_path / "at_end"
    command = [sys.executable, "-c", PROGRAM.format(last=last), str(at_end)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, len(ended.stdout)) == (code, 1_000_001)
    assert ended.stderr == said or (said is None and "ZeroDivisionError" in ended.stderr)
    assert at_end.exists()


def test_full_disk_fails():
    program = "from retrain import cli; cli.run(lambda: print(1))"
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run([sys.executable, "-c", program], stdout=full, stderr=subprocess.PIPE, check=False)
    assert ended.returncode
    assert b"No space left on device" in ended.stderr
