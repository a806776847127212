"""Rows from CSV files: in the dataset's raw folder, elsewhere on disk, or behind a URL, pinned by SHA-256."""

import hashlib
import re
import time
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import pandas as pd
from pydantic import Field, StringConstraints, model_validator

from retrain import csv_rows, files
from retrain.errors import RetrainError, UnavailableError
from retrain.params import Section
from retrain.sources import Place, Source, SourceKnobs, SourceRows

ATTEMPTS = 3
TIMEOUT = 20.0
CHUNK = 1 << 16


class File(Section):
    """One CSV file: a path or a URL, and its digest."""

    location: Annotated[str, StringConstraints(min_length=1)] = Field(exclude=True)
    """Where the bytes are is no part of what they are: it stays out of every tracked output."""
    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")] | Literal["unpinned"]
    """`unpinned` only for a file in data/raw/<dataset>/, which is a dependency of its stage itself."""


class Knobs(SourceKnobs):
    """Knobs of `source: files`; `test` is there where the data has an official test file."""

    train: File
    test: File | None = None
    header: bool
    columns: dict[str, Literal["text", "number"]]
    inputs: tuple[str, ...]
    target: str
    rename: dict[str, str]

    @model_validator(mode="after")
    def columns_exist(self) -> "Knobs":
        """Inputs and target must be among the columns, each once."""
        used = [*self.inputs, self.target]
        for name in used:
            if name not in self.columns:
                raise ValueError(f"'{name}' is not in 'columns'")
            if used.count(name) > 1:
                raise ValueError(f"'{name}' is used twice among 'inputs' and 'target'")
        if not self.inputs:
            raise ValueError("'inputs' needs at least one column")
        return self


def read(knobs: Knobs, place: Place) -> SourceRows:
    """Read the training file and, if there is one, the official test file."""
    return SourceRows(
        rows=read_file(knobs, knobs.train, place),
        official_test=None if knobs.test is None else read_file(knobs, knobs.test, place),
        classes=tuple(knobs.rename.values()),
        notes=(),
    )


def read_file(knobs: Knobs, file: File, place: Place) -> pd.DataFrame:
    """One file's rows: inputs, then target, the target's values renamed."""
    path = local_copy(file, place)
    rows = csv_rows.read_rows(path, file.location, None if knobs.header else list(knobs.columns))
    table = csv_rows.select(rows, {name: knobs.columns[name] for name in (*knobs.inputs, knobs.target)}, file.location)
    if knobs.rename:
        unknown = rows.index[~rows[knobs.target].isin(knobs.rename)]
        if len(unknown):
            where = f"{file.location}, line {unknown[0]}, column '{knobs.target}'"
            value = rows[knobs.target][unknown[0]]
            raise RetrainError(where, f"'{value}' is not in 'rename'", f"known are: {', '.join(knobs.rename)}")
        table[knobs.target] = rows[knobs.target].map(knobs.rename).astype("str")
    return table.reset_index(drop=True)


def fetch(knobs: Knobs, place: Place) -> None:
    """Make sure that every file is on this machine, with the right digest."""
    for file in (knobs.train, knobs.test):
        if file is not None:
            local_copy(file, place)


def local_copy(file: File, place: Place) -> Path:
    """Where a file lies on this machine: as it is for a path, in the download cache for a URL.

    Raises:
        UnavailableError: the server can't be reached.
        RetrainError: wrong digest, no such file, or a file outside the raw folder without a digest.
    """
    scheme = urlsplit(file.location).scheme
    if scheme in ("http", "https"):
        return downloaded(file, place)
    if re.fullmatch("[a-z][a-z0-9+.-]+", scheme):
        raise RetrainError(file.location, f"'{scheme}' is not supported", "give a path, or an http(s) URL")
    path = place.workspace / Path(file.location).expanduser()
    if not path.is_file():
        raise RetrainError(file.location, "is not a file", f"put it there, or correct the location of {place.dataset}")
    if file.sha256 == "unpinned":
        if not path.resolve().is_relative_to((place.workspace / place.raw).resolve()):
            raise RetrainError(
                file.location, "has no SHA-256", f"set it to {files.sha256(path)}, or move it to {place.raw}/"
            )
    elif files.sha256(path) != file.sha256:
        raise wrong_digest(file, files.sha256(path))
    return path


def downloaded(file: File, place: Place) -> Path:
    """The cached download of a URL, fetched once; nothing enters the cache with a wrong digest."""
    if file.sha256 == "unpinned":
        raise RetrainError(file.location, "has no SHA-256", "give the digest of what the URL serves")
    cached = place.root / ".retrain" / "downloads" / file.sha256
    if cached.is_file() and files.sha256(cached) == file.sha256:
        return cached
    with files.replacing(cached) as (draft,):
        actual = download(file.location, draft)
        if actual != file.sha256:
            raise wrong_digest(file, actual)
    return cached


def download(url: str, path: Path) -> str:
    """Download with a progress bar, in several attempts, and return the SHA-256 of what came."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return download_once(url, path)
        except UnavailableError:
            if attempt == ATTEMPTS:
                raise
            time.sleep(attempt)
    raise AssertionError("unreachable: the last attempt returns or raises")


def download_once(url: str, path: Path) -> str:
    """One attempt. A refusal by the server (4xx) is final, all else may pass."""
    import requests
    from tqdm import tqdm

    digest, received = hashlib.sha256(), 0
    try:
        with requests.get(url, stream=True, timeout=TIMEOUT) as response, path.open("wb") as output:
            if 400 <= response.status_code < 500:
                raise RetrainError(url, f"the server answers {response.status_code}", "correct the location")
            response.raise_for_status()
            total = int(response.headers.get("Content-Length", 0))
            with tqdm(total=total or None, desc=Path(url).name, unit="B", unit_scale=True, disable=None) as bar:
                for chunk in response.iter_content(CHUNK):
                    output.write(chunk)
                    digest.update(chunk)
                    received += len(chunk)
                    bar.update(len(chunk))
    except requests.RequestException as error:
        fact = f"can't be downloaded ({type(error).__name__})"
        raise UnavailableError(url, fact, "check the network and try again, or set location to a local copy") from None
    return digest.hexdigest()


def wrong_digest(file: File, actual: str) -> RetrainError:
    """The error of a file that is not the one that was pinned."""
    fact = f"SHA-256 is {actual}, not {file.sha256}"
    return RetrainError(file.location, fact, "fetch the right file, or pin the new digest in params.yaml")


SOURCE = Source(knobs=Knobs, read=read, fetch=fetch)
