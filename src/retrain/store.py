"""This repository's own MLflow store: `mlflow.db`, with the artifacts in `mlruns/` beside it."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from retrain import files
from retrain.errors import RetrainError

import click

if TYPE_CHECKING:
    import sqlite3


def uri(root: Path) -> str:
    """The tracking URI of a root's own store.

    Raises:
        RetrainError: the path holds what a URI would read as something else.
    """
    path = str(root / "mlflow.db")
    if "?" in path or unquote(path) != path:
        fact = "MLflow can't keep a store below a name with '?' or an escape such as '%20'"
        raise RetrainError(str(root), fact, "rename the folder, or set MLFLOW_TRACKING_URI")
    return f"sqlite:///{path}"


@contextmanager
def lock(root: Path, what: str) -> Iterator[None]:
    """One process of a root at a time, for what must not happen twice; `what` names the lock."""
    from filelock import FileLock

    path = root / ".retrain" / f"{what}.lock"
    path.parent.mkdir(exist_ok=True)
    with FileLock(path):
        yield


def identity(root: Path) -> str:
    """What tells this root from all others, also where its host gets another name, as containers do."""
    path = root / ".retrain" / "id"
    with lock(root, "id"):
        if not path.exists():
            with files.writing(path):
                path.write_text(secrets.token_hex(16), encoding="utf-8")
        return f"{path.read_text(encoding='utf-8')} {root}"


def relocate(root: Path) -> None:
    """Mend the paths of a store that was made under another root, so that its artifacts are found, and say so.

    MLflow stores where artifacts lie as absolute paths: in a repository that was moved, and in a store that came from
    another machine, they point nowhere.
    """
    import sqlite3

    # Also where it is not there yet: what can't be opened fails here at once, and in MLflow after a hundred seconds.
    with sqlite3.connect(root / "mlflow.db") as connection:
        for before, now in moved_folders(connection, root):
            for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",  # noqa: S608 (our names)
                    (now, len(before) + 1, len(before), before),
                )
            click.echo(f"mlflow.db was made under another root; artifacts are now looked for in {now}", err=True)
    connection.close()


def moved_folders(connection: "sqlite3.Connection", root: Path) -> list[tuple[str, str]]:
    """Artifact roots of experiments that are not this root's, each with the one that it should be."""
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'experiments'").fetchone()
    rows = connection.execute("SELECT name, artifact_location FROM experiments").fetchall() if known else []
    now = (root / "mlruns").as_uri()
    ends = [(location, f"/{quote(name)}") for name, location in rows]
    roots = {location.removesuffix(end) for location, end in ends if location.endswith(f"/mlruns{end}")}
    return [(before, now) for before in sorted(roots) if before != now]
