"""The benchmarks, which take too long for tests, use only what the project still has."""

import ast
import importlib
from pathlib import Path
from types import ModuleType

from retrain import params

import pytest
from support.project import REPOSITORY

PROGRAMS = sorted((REPOSITORY / "benchmarks").glob("*.py"))


def imported(tree: ast.Module) -> dict[str, object]:
    """What a program imports from the project, anywhere in it, by the names that it uses."""
    found: dict[str, object] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {one.name: importlib.import_module(one.name) for one in node.names if one.name in params.STAGES}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "retrain":
            module = importlib.import_module(node.module)
            for one in node.names:
                if not hasattr(module, one.name):
                    importlib.import_module(f"{node.module}.{one.name}")
                found[one.asname or one.name] = getattr(module, one.name)
    return found


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_names_exist(path: Path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules = {name: found for name, found in imported(tree).items() if isinstance(found, ModuleType)}
    used = {
        (node.value.id, node.attr)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules
    }
    assert [f"{name}.{attribute}" for name, attribute in sorted(used) if not hasattr(modules[name], attribute)] == []
