"""Text that every machine has: the first paragraphs of docstrings in installed libraries."""

import ast
import gc
import inspect
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, files

from retrain.data.sources import Source, SourceContext, SourceParameters, SourceRows, nothing_to_fetch
from retrain.errors import RetrainError
from retrain.schema import AtLeastOne, Names

__all__ = ["SOURCE", "Parameters"]


class Parameters(SourceParameters):
    """Parameters of `source: docstrings`."""

    packages: Names
    minimum_words: AtLeastOne


def read(parameters: Parameters, _context: SourceContext) -> SourceRows:
    """First paragraphs and their libraries. The sources are parsed and not imported, so that none of their code runs.

    A text that several libraries share is left out.

    Raises:
        RetrainError: a package is not installed.
    """
    import pandas as pd

    with without_garbage_collection():
        texts = [(text, package) for package in parameters.packages for text in first_paragraphs(package)]
    found = pd.DataFrame(texts, columns=["docstring", "library"])
    long_enough = found["docstring"].map(lambda text: len(text.split()) >= parameters.minimum_words)
    rows = found[long_enough]
    shared = rows.groupby("docstring")["library"].transform("nunique") > 1
    return SourceRows(
        rows=rows[~shared].reset_index(drop=True),
        official_test=None,
        classes=(),
        notes=(
            f"{(~long_enough).sum():,} of fewer than {parameters.minimum_words} words",
            f"{shared.sum():,} that several libraries share",
        ),
    )


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Pause the garbage collector. It takes a third of the time and finds nothing in syntax trees."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def first_paragraphs(package: str) -> Iterator[str]:
    """The first paragraph of every docstring in a distribution's Python files except its tests, by path and line.

    Raises:
        RetrainError: the package is not installed.
    """
    try:
        recorded = files(package) or []
    except (PackageNotFoundError, ValueError):  # the latter where the name is empty
        raise RetrainError("docstrings", f"package '{package}' is not installed", "run: make setup") from None
    for path in sorted(recorded, key=str):
        if path.suffix == ".py" and "tests" not in path.parts:
            for docstring in docstrings(path.read_binary()):
                yield " ".join(docstring.split("\n\n")[0].split())


def docstrings(source: bytes) -> Iterator[str]:
    """The docstrings of a module, its classes and functions. A file that is not valid Python has none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # outdated escapes in other libraries
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError):
            return
    for node in statements(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node, clean=False)
            if docstring and docstring.strip():
                yield inspect.cleandoc(docstring)


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """A node and the statements below it, in order. Expressions, most of a tree, have no docstrings."""
    yield node
    for name in ("body", "handlers", "orelse", "finalbody"):
        for child in getattr(node, name, ()):
            yield from statements(child)


SOURCE = Source(parameters=Parameters, read=read, fetch=nothing_to_fetch)
