"""Files on disk or behind a URL, pinned by SHA-256."""

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Annotated, BinaryIO, Literal
from urllib.parse import SplitResult, urlsplit

from retrain import files
from retrain.data.sources import SourceContext
from retrain.errors import RetrainError, UnavailableError
from retrain.schema import Section

from pydantic import Field, StringConstraints

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


class File(Section):
    """One CSV file: a path or a URL, and its digest."""

    location: Annotated[str, StringConstraints(min_length=1)] = Field(exclude=True)
    """Where the bytes are is no part of what they are: it stays out of every tracked output."""
    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")] | Literal["unpinned"]
    """`unpinned` only for a file in data/raw/<dataset>/, which is a dependency of its stage itself."""


def local_copy(file: File, context: SourceContext) -> Path:
    """Where a file lies on this machine: as it is for a path, in the download cache for a URL.

    Raises:
        UnavailableError: the server can't be reached.
        RetrainError: wrong digest, no such file, or a file outside the raw folder without a digest.
    """
    scheme, is_url, _ = file.location.partition("://")
    if scheme.lower() in ("http", "https"):
        return downloaded(file, context)
    if is_url:
        raise RetrainError(file.location, f"'{scheme}' is not supported", "give a path, or an http(s) URL")
    path = context.workspace / os.path.expanduser(file.location)  # noqa: PTH111 (pathlib's fails where there is no such user)
    if not path.is_file():
        raise RetrainError(
            file.location, "is not a file", f"put it there, or correct the location of {context.dataset}"
        )
    if file.sha256 == "unpinned":
        if not path.resolve().is_relative_to((context.workspace / context.raw).resolve()):
            raise RetrainError(
                file.location, "has no SHA-256", f"set it to {files.sha256(path)}, or move it to {context.raw}/"
            )
    elif files.sha256(path) != file.sha256:
        raise wrong_digest(file, files.sha256(path))
    return path


def downloaded(file: File, context: SourceContext) -> Path:
    """The cached download of a URL, fetched once; nothing enters the cache with a wrong digest."""
    if file.sha256 == "unpinned":
        raise RetrainError(file.location, "has no SHA-256", "give the digest of what the URL serves")
    if "@" in parts_of(file.location).netloc:
        fact = "holds a user or a password, and git and DVC keep what stands in params.yaml"
        raise RetrainError(file.location, fact, "put them into ~/.netrc")
    cached = context.root / ".retrain" / "downloads" / file.sha256
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
