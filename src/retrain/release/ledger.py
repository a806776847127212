"""`releases/<dataset>.jsonl`: what was asked of the test rows, and which model was in use when. It is kept in git."""

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from retrain import files, params, processes, schema
from retrain.errors import RetrainError
from retrain.schema import Section

from pydantic import ConfigDict, StringConstraints
from pydantic_core import from_json

__all__ = ["append", "champion", "former", "last_change", "locked", "path_of", "read"]


class Entry(Section):
    """What every line has, in addition to its own content."""

    model_config = ConfigDict(extra="allow")

    event: Literal["gate", "promoted", "refused", "demoted"]
    at: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    """When, in UTC."""


def path_of(dataset: str) -> str:
    """The file of a dataset, from the project's folder; raises RetrainError if the name can't be one of a dataset."""
    params.check_name(dataset)
    return f"releases/{dataset}.jsonl"


def locked(folder: Path, dataset: str) -> AbstractContextManager[None]:
    """Keep other processes from appending, so that what was read still holds when something is appended to it."""
    return processes.lock(folder, path_of(dataset).replace("/", "-"))


def read(folder: Path, dataset: str) -> list[dict[str, Any]]:
    """The entries in the order of their times; none if there is no file.

    git joins the lines of two branches (`merge=union`), which may leave them in another order.

    Args:
        folder: the project's folder.
        dataset: its name.

    Raises:
        RetrainError: a line is damaged.
    """
    path = folder / path_of(dataset)
    if not path.exists():
        return []
    hint = f"correct the line, or restore the file: git checkout {path_of(dataset)}"
    with files.reading(path, "list of JSON lines", hint):
        lines = path.read_bytes().splitlines()
    entries = [parsed(line, f"{path_of(dataset)}, line {number}", hint) for number, line in enumerate(lines, 1) if line]
    return sorted(entries, key=lambda entry: str(entry["at"]))


def parsed(line: bytes, where: str, hint: str) -> dict[str, Any]:
    """The entry in a line; raises RetrainError if it is damaged."""
    try:
        entry = from_json(line, allow_inf_nan=False)
    except ValueError as error:
        raise RetrainError(where, f"is not JSON ({error})", hint) from None
    return schema.check(entry, Entry, where, hint).model_dump()


def append(folder: Path, dataset: str, event: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """Add an entry, and return it. The file is replaced as a whole, so a kill leaves it as it was.

    Args:
        folder: the project's folder.
        dataset: its name.
        event: one of those of `Entry`.
        content: what else the entry says, as JSON.

    Raises:
        RetrainError: a line of the file is damaged, or it can't be written.
    """
    entry = {"event": event, "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), **content}
    path = folder / path_of(dataset)
    with locked(folder, dataset):
        entry["at"] = max([entry["at"], *(one["at"] for one in read(folder, dataset)[-1:])])  # clocks may differ
        line = json.dumps(entry, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        before = path.read_bytes() if path.exists() else b""
        end = b"\n" if before and not before.endswith(b"\n") else b""
        with files.replacing(path) as (draft,), files.writing(draft):
            draft.write_bytes(before + end + line)
            files.flush(draft)
    return parsed(line, path_of(dataset), "")


def champion(entries: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The entry of the model that is in use; None if there is none."""
    change = last_change(entries)
    return change if change.get("model_sha256") else None


def last_change(entries: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The last entry that changed which model is in use; an empty one if there is none."""
    return next((entry for entry in reversed(entries) if entry["event"] in ("promoted", "demoted")), {})


def former(folder: Path) -> list[str]:
    """The datasets that have a champion, but are not in params.yaml: removed or renamed ones."""
    names = sorted({path.stem for path in folder.glob("releases/*.jsonl")} - {*params.datasets(folder)})
    return [name for name in names if re.fullmatch(schema.NAME, name) and champion(read(folder, name))]
