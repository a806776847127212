"""Rows from CSV files: in the dataset's raw folder, elsewhere on disk, or behind a URL, pinned by SHA-256."""

import csv
import hashlib
import math
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Annotated, BinaryIO, Literal
from urllib.parse import SplitResult, urlsplit

from retrain import files
from retrain.errors import RetrainError, UnavailableError
from retrain.params import Section, in_order
from retrain.sources import Place, Source, SourceKnobs, SourceRows
from retrain.tables import LARGEST

import pandas as pd
from pydantic import AfterValidator, Field, StringConstraints, model_validator

if TYPE_CHECKING:
    from requests import Response, Session

ATTEMPTS = 3
TIMEOUT = (5.0, 20.0)
"""Seconds to connect, and to wait for the next bytes."""
SLOWEST = 1 << 10
"""Bytes a second, over a period of `PATIENCE` seconds: a server that sends fewer is left."""
PATIENCE = 60.0
TRY_AGAIN = "check the network and try again, or set location to a local copy"
GONE = (404, 410)
REDIRECTS = 5
CHUNK = 1 << 13
"""Bytes of a piece: few, since what is on its way in a piece is not seen yet by who watches the server's pace."""
LARGEST_DOWNLOAD = 1 << 32
"""Bytes, unpacked: a server that sends more is not listened to any longer, whatever it said before."""
LONGEST = 1 << 30
"""Characters in a field of a CSV file; the standard library's limit is too low for texts."""


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
    columns: tuple[str, ...]
    """The columns in order where the file has no header; else those that are used."""
    numbers: tuple[str, ...]
    """The columns that hold numbers; the others hold text."""
    inputs: tuple[str, ...]
    target: str
    rename: Annotated[dict[str, str], AfterValidator(in_order)]

    @model_validator(mode="after")
    def columns_exist(self) -> "Knobs":
        """Whatever is named must be among the columns; inputs and target are different ones."""
        used = [*self.inputs, self.target]
        for name in (*used, *self.numbers):
            if name not in self.columns:
                raise ValueError(f"'{name}' is not in 'columns'")
        for name in used:
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
        classes=tuple(dict.fromkeys(name for _, name in sorted(knobs.rename.items()))),  # in the order of their values
        notes=(),
    )


def read_file(knobs: Knobs, file: File, place: Place) -> pd.DataFrame:
    """One file's rows: inputs, then target, the target's values renamed."""
    path = local_copy(file, place)
    rows = read_csv(path, file.location, None if knobs.header else knobs.columns)
    table = select(rows, knobs.columns, knobs.numbers, file.location)[[*knobs.inputs, knobs.target]]
    if knobs.rename:
        unknown = rows.index[~rows[knobs.target].isin(knobs.rename)]
        if len(unknown):
            where = f"{file.location}, line {unknown[0]}, column '{knobs.target}'"
            value = rows[knobs.target][unknown[0]]
            raise RetrainError(where, f"'{value}' is not in 'rename'", f"known are: {', '.join(knobs.rename)}")
        table[knobs.target] = rows[knobs.target].map(knobs.rename).astype("str")
    return table.reset_index(drop=True)


def read_csv(path: Path, shown: str, columns: Sequence[str] | None) -> pd.DataFrame:
    """All rows of a CSV file as text.

    Args:
        path: the file; UTF-8, comma separated, quotes doubled.
        shown: how errors name the file.
        columns: the columns in order where the file has no header; None where its first line names them.

    Returns:
        A table of strings, with the line on which each row ends as its index.

    Raises:
        RetrainError: empty, truncated, ragged or not UTF-8; the error names the line.
    """
    lines: list[int] = []
    rows: list[list[str]] = []
    for line, row in numbered_rows(path, shown):
        if columns is None:
            columns = unique_columns(row, shown)
            continue
        if len(row) != len(columns):
            fact = f"has {len(row)} values where {len(columns)} columns are expected"
            raise RetrainError(f"{shown}, line {line}", fact, "mend the line, or the list of columns")
        lines.append(line)
        rows.append(row)
    if not rows:
        raise RetrainError(shown, "has no rows", "give it at least one")
    return pd.DataFrame(rows, columns=list(columns or ()), index=pd.Index(lines, name="line"), dtype="str")


def numbered_rows(path: Path, shown: str) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not a blank line, with the number of the line on which it ends."""
    csv.field_size_limit(LONGEST)
    files.must_not_be_endless(path, "give a CSV file")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for row in reader:
                if row:
                    yield reader.line_num, row
    except csv.Error as error:
        fact = f"is not valid CSV ({error})"
        raise RetrainError(f"{shown}, line {reader.line_num}", fact, "mend the line, or fetch the file again") from None
    except UnicodeDecodeError as error:
        fact = f"is not UTF-8 (byte {error.object[error.start]:#04x})"
        raise RetrainError(f"{shown}, line {foreign_line(path)}", fact, "save it as UTF-8") from None
    except FileNotFoundError:
        raise RetrainError(shown, "is missing", "put the file there, or correct its location") from None
    except OSError as error:
        raise RetrainError(shown, f"can't be read ({error.strerror})", "check the file and its permissions") from None


def foreign_line(path: Path) -> int:
    """The first line of a file that is not UTF-8."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 0


def unique_columns(header: list[str], shown: str) -> list[str]:
    """A header line, checked: every name is there once."""
    columns = [name.strip() for name in header]
    repeated = next((name for name, count in Counter(columns).items() if count > 1), None)
    if repeated is not None:
        raise RetrainError(f"{shown}, line 1", f"names column '{repeated}' twice", "rename one of them")
    return columns


def select(rows: pd.DataFrame, names: Sequence[str], numeric: Sequence[str], shown: str) -> pd.DataFrame:
    """The named columns, in that order.

    Args:
        rows: strings, indexed by line, from `read_csv`.
        names: the columns that are wanted.
        numeric: those that hold numbers; the others hold text.
        shown: how errors name the file.

    Raises:
        RetrainError: a column is missing, or a value is no number, or too large, where it should be one.
    """
    for name in names:
        if name not in rows.columns:
            raise RetrainError(shown, f"column '{name}' is missing", f"it has: {', '.join(rows.columns)}")
    return pd.DataFrame({name: numbers(rows[name], shown) if name in numeric else rows[name] for name in names})


def numbers(values: "pd.Series[str]", shown: str) -> "pd.Series[float]":
    """A column of text as finite float64 that can be squared; an empty field becomes NaN, which `prepare` drops and counts."""
    parsed = [math.nan if not value.strip() else as_float(value) for value in values]
    for line, value, number in zip(values.index, values, parsed, strict=True):
        if value.strip() and (number is None or not abs(number) <= LARGEST):
            place = f"{shown}, line {line}, column '{values.name}'"
            fact = f"'{value}' is not a finite number of at most {LARGEST:g}"
            raise RetrainError(place, fact, "correct the value, or take the column out of 'numbers'")
    return pd.Series(parsed, index=values.index, name=values.name, dtype="float64")


def as_float(value: str) -> float | None:
    """The number that a text spells as other programs spell it too, or None: Python also takes 1_000."""
    try:
        return None if "_" in value else float(value)
    except ValueError:
        return None


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
    scheme, is_url, _ = file.location.partition("://")
    if scheme.lower() in ("http", "https"):
        return downloaded(file, place)
    if is_url:
        raise RetrainError(file.location, f"'{scheme}' is not supported", "give a path, or an http(s) URL")
    path = place.workspace / os.path.expanduser(file.location)  # noqa: PTH111 (pathlib's fails where there is no such user)
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
    if "@" in parts_of(file.location).netloc:
        fact = "holds a user or a password, and git and DVC keep what stands in params.yaml"
        raise RetrainError(file.location, fact, "put them into ~/.netrc")
    cached = place.root / ".retrain" / "downloads" / file.sha256
    if cached.is_file() and files.sha256(cached) == file.sha256:
        return cached
    with files.replacing(cached) as (draft,):
        actual = download(file.location, draft)
        if actual != file.sha256:
            raise wrong_digest(file, actual)
    return cached


def parts_of(url: str) -> SplitResult:
    """The parts of a URL; raises RetrainError where it is malformed."""
    try:
        return urlsplit(url)
    except ValueError as error:
        raise no_url(url, error) from None


def download(url: str, path: Path) -> str:
    """Download with a progress bar, in several attempts, and return the SHA-256 of what came."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with files.writing(path):
                return download_once(url, path, LARGEST_DOWNLOAD, PATIENCE)
        except UnavailableError:
            if attempt == ATTEMPTS:
                raise
            time.sleep(attempt)
    raise AssertionError("unreachable: the last attempt returns or raises")


def download_once(url: str, path: Path, largest: int, patience: float) -> str:
    """One attempt, of so many bytes at most. That there is no such file (404, 410) is final, as is a file too large.

    Args:
        url: where the file is.
        path: where it goes.
        largest: bytes that are too many.
        patience: seconds over which the server may not be slower than `SLOWEST`.

    Raises:
        UnavailableError: the server does not send it, now; another attempt may help.
        RetrainError: it is not there, or too large.
    """
    import requests

    try:
        with session_for(url) as session, session.get(url, stream=True, timeout=TIMEOUT) as response:
            if response.status_code in GONE:
                raise RetrainError(url, f"the server answers {response.status_code}", "correct the location")
            response.raise_for_status()
            with path.open("wb") as output, watched(response, largest, patience, url):
                return received(response, output, largest, url)
    except requests.exceptions.InvalidSchema as error:
        fact = f"redirects to another scheme ({error})"
        raise RetrainError(url, fact, "set location to where the file is, if you trust it") from None
    except ValueError as error:  # what requests says of a malformed URL, also of one that it is redirected to
        raise no_url(url, error) from None
    except requests.RequestException as error:
        fact = f"can't be downloaded ({type(error).__name__})"
        raise UnavailableError(url, fact, TRY_AGAIN) from None


def session_for(url: str) -> "Session":
    """A session that speaks the scheme of a URL and no other: what is redirected to another one is not followed."""
    from requests import Session
    from requests.adapters import HTTPAdapter

    session = Session()
    session.adapters.clear()
    session.mount(f"{parts_of(url).scheme}://", HTTPAdapter())
    session.max_redirects = REDIRECTS
    session.headers["Accept-Encoding"] = "identity"  # a server that packs all the same is unpacked as far as it may be
    return session


@contextmanager
def watched(response: "Response", largest: int, patience: float, url: str) -> Iterator[None]:
    """Hang up on a server that sends too little, or more than it may of what gives nothing when it is unpacked.

    Reading waits for a whole piece, however slowly that comes; so another thread looks at what has come.
    """
    from requests import RequestException

    over, faults = Event(), list[RetrainError]()

    def watch() -> None:
        before = 0
        while not faults and not over.wait(patience):
            now = response.raw.tell()
            if now > largest:
                faults.append(too_large(url, largest))
            elif now - before < SLOWEST * patience:
                faults.append(UnavailableError(url, f"sends fewer than {SLOWEST:,} bytes a second", TRY_AGAIN))
            before = now
        if faults:
            with suppress(ValueError, RuntimeError):  # it has just come to its end
                response.raw.shutdown()

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    except RequestException:
        if not faults:
            raise
    finally:
        over.set()
        watcher.join()
    if faults:
        raise faults[0]


def received(response: "Response", output: BinaryIO, largest: int, url: str) -> str:
    """Write what a server sends and return its SHA-256; raises RetrainError as soon as it is too much."""
    from tqdm import tqdm

    claimed = response.headers.get("Content-Length", "")
    total = int(claimed) if claimed.isdecimal() and len(claimed) < 20 else None
    digest, count = hashlib.sha256(), 0
    if total is not None and total > largest:
        raise too_large(url, largest)
    with tqdm(total=total, desc=Path(parts_of(url).path).name, unit="B", unit_scale=True, disable=None) as bar:
        for chunk in response.iter_content(CHUNK):
            count += len(chunk)
            if count > largest:
                raise too_large(url, largest)
            output.write(chunk)
            digest.update(chunk)
            bar.update(len(chunk))
    return digest.hexdigest()


def no_url(url: str, error: ValueError) -> RetrainError:
    """The error of a location that can't be a URL, or that leads to none."""
    return RetrainError(url, f"leads to no URL that can be downloaded ({error})", "correct the location")


def too_large(url: str, largest: int) -> RetrainError:
    """The error of a server that sends more than any file should have."""
    return RetrainError(url, f"sends more than {largest:,} bytes", "download it yourself, and set location to the copy")


def wrong_digest(file: File, actual: str) -> RetrainError:
    """The error of a file that is not the one that was pinned."""
    fact = f"SHA-256 is {actual}, not {file.sha256}"
    return RetrainError(file.location, fact, "fetch the right file, or pin the new digest in params.yaml")


SOURCE = Source(knobs=Knobs, read=read, fetch=fetch)
