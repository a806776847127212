"""The Dockerfile, without Docker: what it says, and that its packages are enough."""

import json
import re
import subprocess
import sys
from fnmatch import fnmatch
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support.model_folders import PARAMETERS
from support.project import REPOSITORY
from support.service import hiding, model_that_answers, variables

PROGRAM = """
import json, sys
from pathlib import Path
import retrain, retrain.commands.serve, retrain.serving.server
from retrain.serving.watching import example_of
for folder in sys.argv[1:]:
    model = retrain.load(folder)
    assert model.predict([example_of(model)])
assert "torch._dynamo" not in sys.modules, "torch's compiler, which takes seconds to import"
print(sorted({name.partition(".")[0] for name in sys.modules}))
"""


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, each with its arguments in one line."""
    text = (REPOSITORY / "docker" / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def requirements() -> list[str]:
    lines = (REPOSITORY / "docker" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


def needed(names: list[str]) -> set[str]:
    """These distributions and all that they need, as far as they are installed."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = canonicalize_name(waiting.pop())
        try:
            parts = distribution(name).requires or []
        except PackageNotFoundError:
            continue
        if name not in found:
            found.add(name)
            wanted = [Requirement(part) for part in parts]
            waiting += [one.name for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    return found


def test_it_is_careful():
    words = instructions()
    bases = [rest.split()[0] for word, rest in words if word == "FROM"]
    assert all(re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", base) for base in bases)
    last = words[max(n for n, (word, _) in enumerate(words) if word == "FROM") :]
    assert dict(last)["USER"] == "10001"
    assert "/ping" in dict(last)["HEALTHCHECK"]
    assert not [rest for word, rest in words if word in {"ARG", "ENV", "ADD"}]
    assert json.loads(dict(last)["CMD"]) == ["/model", "--host", "0.0.0.0", "--port", "8080"]  # noqa: S104


def test_it_copies_what_exists():
    ignored = (REPOSITORY / "docker" / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    for word, rest in instructions():
        if word == "COPY" and not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                assert (REPOSITORY / source).exists()
                assert any(fnmatch(f"!{source}", pattern) for pattern in ignored), source


def test_versions_are_pinned():
    locks = "\n".join((REPOSITORY / f"requirements{part}.lock").read_text(encoding="utf-8") for part in ("", "-dev"))
    for name in requirements():
        assert re.search(rf"^{re.escape(name)}==", locks, re.MULTILINE), name


def test_its_packages_are_enough(tmp_path):
    tasks = {name: "regression" if name == "numbers" else "classification" for name in PARAMETERS}
    folders = [str(model_that_answers(tmp_path / name, name, task)) for name, task in tasks.items()]
    there = needed(requirements()) | {"retrain"}
    hidden = tuple(
        module
        for module, owners in packages_distributions().items()
        if module.isidentifier() and not {*map(canonicalize_name, owners)} & there
    )
    assert {"pandas", "mlflow", "dvc", "duckdb"} <= {*hidden}
    program = hiding(hidden) + PROGRAM.strip()
    ended = subprocess.run(
        [sys.executable, "-c", program, *folders], capture_output=True, text=True, env=variables(), check=False
    )
    assert ended.returncode == 0, ended.stderr
