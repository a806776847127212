"""The imports of the code, read from its syntax trees, for the tests of layers and of DVC's dependencies."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

SRC = Path(__file__).resolve().parents[2] / "src"


@cache
def modules() -> dict[str, Path]:
    """Every module of the project by its dotted name, packages by their `__init__.py`."""
    paths = {
        ".".join(path.relative_to(SRC).with_suffix("").parts).removesuffix(".__init__"): path
        for path in sorted(SRC.rglob("*.py"))
    }
    assert len(paths) > 20
    return paths


@cache
def imported(path: Path) -> set[str]:
    """The names that a file imports when it runs, also inside functions; what only type checkers see is left out."""
    return set(names(ast.parse(path.read_text(encoding="utf-8"))))


def names(node: ast.AST) -> Iterator[str]:
    """The names that a tree imports: `from retrain import loop` gives both `retrain` and `retrain.training.loop`."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    for child in ast.iter_child_nodes(node):
        yield from names(child)


def own(path: Path) -> set[str]:
    """The project's own modules among them."""
    return imported(path) & set(modules())
