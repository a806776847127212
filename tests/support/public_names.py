"""Which names of a module the other modules use, read from their syntax trees. Run as a program, it writes `__all__`."""

import ast
import functools
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from support.imports import modules

CHOICES = re.compile(r"retrain\.(data\.(sources|encoders|tasks)|models\.(networks|losses)|commands)\.[a-z]\w*$")
"""Modules that a parameter or the command line names; they offer what their package's protocol asks for."""
OFFERED = {"Parameters", "Encoder", "Task", "Network", "Loss", "SOURCE", "command"}


@functools.cache
def trees() -> dict[str, ast.Module]:
    """The syntax tree of every module."""
    return {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in modules().items()}


def defined(tree: ast.Module) -> set[str]:
    """The names that a module defines at its top level."""
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}
    return found - {"__all__"}


def declared(module: str) -> list[str] | None:
    """The `__all__` of a module, or None if it has none."""
    for node in trees()[module].body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return None


@functools.cache
def used_by_others() -> dict[str, set[str]]:
    """For every module the names that other modules import from it or reach through it."""
    used: dict[str, set[str]] = defaultdict(set)
    for name, tree in trees().items():
        aliases = {}
        for module, names in imports(tree):
            for original, alias in names.items():
                if f"{module}.{original}" in trees():
                    aliases[alias] = f"{module}.{original}"
                elif module != name:
                    used[module].add(original)
        for alias, attribute in re.findall(r"(?<![\w.])(\w+)\.(\w+)", ast.unparse(tree)):  # also in quoted annotations
            if alias in aliases:
                used[aliases[alias]].add(attribute)
    for name, tree in trees().items():
        offered = OFFERED if CHOICES.match(name) else {"main", "run"} if name == "retrain.commands" else set()
        used[name] = (used[name] | offered) & defined(tree)
    return used


def imports(tree: ast.Module) -> Iterator[tuple[str, dict[str, str]]]:
    """The modules that a tree imports from, each with the imported names and what they are called there."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, {alias.name: alias.asname or alias.name for alias in node.names}


def write(path: Path, names: list[str]) -> None:
    """Put `__all__` behind a module's imports, or replace it."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    tree = ast.parse("".join(lines))
    line = f"__all__ = {names!r}\n"
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            lines[node.lineno - 1 : node.end_lineno] = [line]
            break
    else:
        head = [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom) or is_typing_block(n)]
        docstring = [n for n in tree.body[:1] if isinstance(n, ast.Expr)]
        end = max([n.end_lineno for n in (*docstring, *head)], default=0)
        lines.insert(end, f"\n{line}\n")
    path.write_text("".join(lines), encoding="utf-8")


def is_typing_block(node: ast.stmt) -> bool:
    """Whether a statement holds imports for type checkers alone."""
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


if __name__ == "__main__":
    for module, module_path in modules().items():
        if module.startswith("retrain") and module_path.stat().st_size:
            write(module_path, sorted(used_by_others()[module]))
