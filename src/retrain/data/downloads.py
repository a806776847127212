"""Files on disk or behind a URL, verified by SHA-256."""

import hashlib
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Literal
from urllib.parse import SplitResult, urlsplit

from retrain import files
from retrain.data.sources import SourceContext
from retrain.errors import RetrainError, UnavailableError
from retrain.schema import Section

from pydantic import Field, StringConstraints

if TYPE_CHECKING:
    from requests import Response, Session

__all__ = ["File", "local_copy", "local_path", "pinned_download", "tracked_by"]


ATTEMPTS = 3
TIMEOUT = (5.0, 20.0)
"""Seconds to connect, and seconds to wait for the next bytes."""
SLOWEST = 1 << 10
"""Bytes a second, on average over `PATIENCE` seconds. A download from a slower server is given up."""
PATIENCE = 60.0
TRY_AGAIN = "check the network and try again, or set location to a local copy"
GONE = (404, 410)
REFUSED = (401, 403)
REDIRECTS = 5
CHUNK = 1 << 16
IDENTITY = "identity"
"""The HTTP name of content that is not compressed."""
LARGEST_DOWNLOAD = 1 << 32
"""Bytes. The download of a larger file is given up, even if the server announced a smaller size."""
DOWNLOAD_YOURSELF = "download it yourself, and set location to the copy"


class File(Section):
    """A file of rows (CSV, JSON lines or Parquet): its path or URL, and its digest."""

    location: Annotated[str, StringConstraints(min_length=1)] = Field(exclude=True)
    """Left out of all outputs, because the same content may be in several places."""
    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")] | Literal["unpinned"]
    """The digest of the content. `unpinned` is for a file in data/raw/<dataset>/, which DVC verifies."""


def local_copy(file: File, context: SourceContext) -> Path:
    """The path of a file on this machine. For a URL it is in the download cache.

    Raises:
        UnavailableError: the file does not exist, or the server can't be reached.
        RetrainError: the file has another digest, or is outside the raw folder and has none.
    """
    scheme, is_url, _ = file.location.partition("://")
    if scheme.lower() in ("http", "https"):
        return downloaded(file, context)
    if is_url:
        raise RetrainError(file.location, f"has the unknown scheme '{scheme}'", "give a path, or an http(s) URL")
    path = local_path(file.location, context.workspace)
    if not path.is_file():
        hint = f"put the file there, or change its location in datasets.{context.dataset}.prepare"
        if os.path.lexists(path):
            raise RetrainError(file.location, "is a directory" if path.is_dir() else "is not a regular file", hint)
        tracked = tracked_by(path, context.workspace)
        raise UnavailableError(file.location, "does not exist", f"run: dvc pull {tracked}" if tracked else hint)
    if file.sha256 == "unpinned":
        # DVC may be configured to put a link into its cache there.
        inside = path.parent.resolve() / path.name if files.is_cached(path) else path.resolve()
        if not inside.is_relative_to((context.workspace / context.raw).resolve()):
            hint = f"set sha256: {files.sha256(path)}, or move the file to {context.raw}/"
            raise RetrainError(file.location, "has no SHA-256", hint)
    elif files.sha256(path) != file.sha256:
        raise wrong_digest(file, files.sha256(path))
    return path


def local_path(location: str, workspace: Path) -> Path:
    """The path of a location that is not a URL."""
    return workspace / os.path.expanduser(location)  # noqa: PTH111 (pathlib's fails where there is no such user)


def tracked_by(path: Path, workspace: Path) -> str:
    """The `.dvc` file by which DVC tracks a file or its folder, after `dvc add` or `dvc import-url`; empty if there is none.

    Args:
        path: the file or folder, which may be missing.
        workspace: the project's folder, to which the answer is relative.
    """
    parts = [part for part in (workspace / path, *(workspace / path).parents) if part.is_relative_to(workspace)]
    found = (part.with_name(f"{part.name}.dvc") for part in parts if part != workspace)
    return next((str(file.relative_to(workspace)) for file in found if file.is_file()), "")


def downloaded(file: File, context: SourceContext) -> Path:
    """The cached download of a URL. Only content with the right digest enters the cache."""
    if file.sha256 == "unpinned":
        raise RetrainError(file.location, "has no SHA-256", "set sha256 to the digest of the file")
    refuse_password(file.location)
    cached = context.root / ".retrain" / "downloads" / file.sha256
    if cached.is_file() and files.sha256(cached) == file.sha256:
        return cached
    with files.replacing(cached) as (draft,):
        actual = download(file.location, draft)
        if actual != file.sha256:
            raise wrong_digest(file, actual)
    return cached


def pinned_download(url: str, root: Path) -> tuple[Path, str]:
    """Download a URL whose digest is not known yet.

    Returns:
        The file in the download cache of the root folder, and its SHA-256.

    Raises:
        UnavailableError: the server can't be reached.
        RetrainError: the URL is wrong, has a password, or the file is not there.
    """
    scheme, _, _ = url.partition("://")
    if scheme.lower() not in ("http", "https"):
        raise RetrainError(url, f"has the unknown scheme '{scheme}'", "give a path, or an http(s) URL")
    refuse_password(url)
    folder = root / ".retrain" / "downloads"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as draft:
        sha256 = download(url, Path(draft, "file"))
        Path(draft, "file").replace(folder / sha256)
    return folder / sha256, sha256


def refuse_password(url: str) -> None:
    """Raise RetrainError for a URL with a user or a password."""
    if "@" in parts_of(url).netloc:
        fact = "contains a user or a password, which git and DVC would store"
        raise RetrainError(url, fact, "move them to ~/.netrc")


def parts_of(url: str) -> SplitResult:
    """The parts of a URL; raises RetrainError if it is malformed."""
    try:
        return urlsplit(url)
    except ValueError as error:
        raise invalid_url(url, error) from None


def download(url: str, path: Path) -> str:
    """Download in at most `ATTEMPTS` attempts, with a progress bar, and return the SHA-256 of the file."""
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
    """Download in one attempt.

    Args:
        url: where the file is.
        path: where it goes.
        largest: the most bytes that a file may have.
        patience: seconds over which the server must send `SLOWEST` bytes a second on average.

    Returns:
        The SHA-256 of the file.

    Raises:
        UnavailableError: the server does not send the file; another attempt may help.
        RetrainError: the file is not there, compressed or too large, or the URL is wrong.
    """
    import requests
    import urllib3

    try:
        with session_for(url) as session, session.get(url, stream=True, timeout=TIMEOUT) as response:
            status = response.status_code
            if status in GONE:
                raise RetrainError(url, f"is not on the server (status {status})", "correct the location")
            if status in REFUSED:
                raise UnavailableError(url, f"is refused by the server (status {status})", DOWNLOAD_YOURSELF)
            if not response.ok:
                raise UnavailableError(url, f"can't be downloaded (status {status})", TRY_AGAIN)
            with path.open("wb") as output:
                return received(response, output, url, largest, patience)
    except requests.exceptions.InvalidSchema as error:
        hint = "set location to the final URL, if you trust it"
        raise RetrainError(url, f"redirects to another scheme ({error})", hint) from None
    except ValueError as error:  # of requests, for a malformed URL, which may also come from a redirect
        raise invalid_url(url, error) from None
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        fact = f"can't be downloaded ({type(error).__name__})"
        raise UnavailableError(url, fact, TRY_AGAIN) from None


def session_for(url: str) -> "Session":
    """A session that knows the scheme of a URL and no other, so that no redirect to another scheme is followed."""
    from requests import Session
    from requests.adapters import HTTPAdapter

    session = Session()
    session.adapters.clear()
    session.mount(f"{parts_of(url).scheme}://", HTTPAdapter())
    session.max_redirects = REDIRECTS
    session.headers["Accept-Encoding"] = IDENTITY
    return session


def received(response: "Response", output: BinaryIO, url: str, largest: int, patience: float) -> str:
    """Write what a server sends and return its SHA-256; see `download_once` for arguments and errors.

    `read1` returns what has arrived, so that the pace of a slow server is seen while it sends.
    """
    from tqdm import tqdm

    if (encoding := response.headers.get("Content-Encoding", IDENTITY)) != IDENTITY:
        raise RetrainError(url, f"is sent compressed ({encoding}), although that was not asked for", DOWNLOAD_YOURSELF)
    claimed = response.headers.get("Content-Length", "")
    total = int(claimed) if claimed.isdecimal() and len(claimed) < 20 else None
    if total is not None and total > largest:
        raise too_large(url, largest)
    digest, count = hashlib.sha256(), 0
    checked, checked_count = time.monotonic(), 0
    with tqdm(total=total, desc=Path(parts_of(url).path).name, unit="B", unit_scale=True, disable=None) as bar:
        while chunk := response.raw.read1(CHUNK):
            count += len(chunk)
            if count > largest:
                raise too_large(url, largest)
            elapsed = time.monotonic() - checked
            if elapsed > patience:
                if count - checked_count < SLOWEST * elapsed:
                    raise UnavailableError(url, f"sends fewer than {SLOWEST:,} bytes a second", TRY_AGAIN)
                checked, checked_count = checked + elapsed, count
            output.write(chunk)
            digest.update(chunk)
            bar.update(len(chunk))
    return digest.hexdigest()


def invalid_url(url: str, error: ValueError) -> RetrainError:
    """The error of a malformed URL, or of one that redirects to such a URL."""
    return RetrainError(url, f"is or redirects to an invalid URL ({error})", "correct the location")


def too_large(url: str, largest: int) -> RetrainError:
    """The error of a file that is larger than `largest` bytes."""
    return RetrainError(url, f"sends more than {largest:,} bytes", DOWNLOAD_YOURSELF)


def wrong_digest(file: File, actual: str) -> RetrainError:
    """The error of a file whose content differs from the one in params.yaml."""
    fact = f"has the SHA-256 {actual}, not {file.sha256}"
    return RetrainError(file.location, fact, f"get the right file, or set sha256: {actual}")
