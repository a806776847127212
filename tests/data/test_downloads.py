"""Downloads from malicious servers: no redirect to another scheme, no unlimited size, no unverified content."""

import base64
import gzip
import hashlib
import json
import time
import tracemalloc
from contextlib import chdir, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import prepare
from retrain.data import downloads
from retrain.errors import RetrainError, UnavailableError

import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML
from support import servers
from support.project import tiny_datasets
from support.servers import Answer, answer, redirect

pytestmark = pytest.mark.timeout(120)  # for servers that never end
ROWS = b"a,b,c,y\n" + b"".join(b"%d,%d,%d,%d\n" % (n, n * n, n % 7, n % 5) for n in range(60))
DIGEST = hashlib.sha256(ROWS).hexdigest()
SECRET = "s3cret"  # noqa: S105 (of these tests)
serving = partial(servers.serving, servers.sending(ROWS))
"""A server with the rows at all paths but those that it is given answers for."""


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(bytes(1 << 16))


def dripping(fast: int, handler: BaseHTTPRequestHandler) -> None:
    """Send `fast` bytes, then one byte every twentieth of a second, for a minute."""
    handler.send_response(200)
    handler.end_headers()
    with suppress(OSError):
        handler.wfile.write(bytes(fast))
        for _ in range(1200):
            handler.wfile.write(b"1")
            time.sleep(0.05)


CHUNK = 20 << 10


def steady(handler: BaseHTTPRequestHandler) -> None:
    """Send twenty kilobytes every tenth of a second, for two seconds."""
    handler.send_response(200)
    handler.end_headers()
    for _ in range(20):
        handler.wfile.write(bytes(CHUNK))
        time.sleep(0.1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for a dataset whose file was not downloaded yet."""
    (tmp_path / ".git").mkdir()
    return tmp_path


def run(folder: Path, location: str, sha256: str = DIGEST) -> str:
    """Prepare rows from a location, and return the printed text of both streams."""
    block = tiny_datasets()["tiny_numbers"]
    block["prepare"]["train"] = {"location": location, "sha256": sha256}
    with (folder / "params.yaml").open("w") as file:
        YAML(typ="safe").dump({"datasets": {"mine": block}}, file)
    with chdir(folder):
        ended = CliRunner().invoke(prepare.main, ["--dataset", "mine"])
    assert isinstance(ended.exception, SystemExit | None), repr(ended.exception)
    assert ended.stderr.count("\n") == ended.exit_code
    return ended.output


def kept(folder: Path) -> list[str]:
    """The names of downloads, outputs and temporary files."""
    return [path.name for path in folder.rglob("*") if path.is_file() and path.name != "params.yaml"]


@pytest.mark.parametrize(
    "target", ["https://127.0.0.1:{port}/a", "ftp://127.0.0.1/a", "file:///etc/passwd", "data:,a", "gopher://h"]
)
def test_redirects_keep_the_scheme(folder, target):
    places: dict[str, Answer] = {}
    with serving(places) as (server, asked):
        places["/away"] = redirect(target.format(port=server.rpartition(":")[2]))
        said = run(folder, f"{server}/away")
    assert said.startswith(f"Error: {server}/away redirects to another scheme (")
    assert asked == ["/away"]
    assert kept(folder) == []


def test_sessions_know_one_scheme():
    assert list(downloads.session_for("https://example.org/rows.csv").adapters) == ["https://"]
    assert list(downloads.session_for("HTTP://example.org/rows.csv").adapters) == ["http://"]


def test_redirects_are_limited(folder):
    few, many = downloads.REDIRECTS, downloads.REDIRECTS + 1
    with serving({f"/{step}": redirect(f"/{step - 1}") for step in range(1, many + 1)}) as (server, asked):
        assert run(folder, f"{server}/{few}").startswith("prepare mine: read 60 rows")
        assert asked[-1] == "/0"
        with pytest.raises(UnavailableError, match="TooManyRedirects"):
            downloads.download_once(f"{server}/{many}", folder / "rows.csv", len(ROWS), downloads.PATIENCE)
    assert not (folder / "rows.csv").exists()


def test_a_large_announced_size_is_rejected(folder):
    claims = str(downloads.LARGEST_DOWNLOAD + 1)
    with serving({"/large": lambda handler: answer(handler, ROWS, Content_Length=claims)}) as (server, asked):
        said = run(folder, f"{server}/large")
    assert said.startswith(f"Error: {server}/large sends more than 4,294,967,296 bytes; ")
    assert asked == ["/large"]
    assert kept(folder) == []


def test_an_endless_download_stops_at_the_limit(tmp_path):
    largest = 10_000_000
    with serving({"/large": endless}) as (server, _):
        tracemalloc.start()
        with pytest.raises(RetrainError, match=r"/large sends more than 10,000,000 bytes; download it yourself"):
            downloads.download_once(f"{server}/large", tmp_path / "large", largest, downloads.PATIENCE)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert (tmp_path / "large").stat().st_size <= largest
    assert peak < 100_000_000


@pytest.mark.parametrize("length", ["12", "-5", "many", "1" * 5000, "0x10", "", "\u0663"])
def test_a_wrong_length_is_harmless(folder, length):
    """Content beyond the length is cut off, which the digest shows. A length that is not a number is ignored."""
    send: Answer = lambda handler: answer(handler, ROWS, Content_Length=length.encode().decode("latin-1"))  # noqa: E731
    with serving({"/rows.csv": send}) as (server, _):
        said = run(folder, f"{server}/rows.csv")
    if length == "12":
        assert f"has the SHA-256 {hashlib.sha256(ROWS[:12]).hexdigest()}, not {DIGEST}" in said
    assert said.startswith(("prepare mine: read 60 rows", f"Error: {server}/rows.csv "))
    assert (DIGEST in kept(folder)) == said.startswith("prepare")


def packed(handler: BaseHTTPRequestHandler) -> None:
    """Send compressed content, which could become any size."""
    answer(handler, gzip.compress(ROWS), Content_Encoding="gzip")


def test_compressed_content_is_rejected(folder):
    with serving({"/a": packed}) as (server, asked):
        said = run(folder, f"{server}/a")
    assert said == (
        f"Error: {server}/a is sent compressed (gzip), although that was not asked for; "
        "download it yourself, and set location to the copy\n"
    )
    assert asked == ["/a"]
    assert kept(folder) == []


@pytest.mark.parametrize("fast", [0, 1 << 20])
def test_slow_servers_are_abandoned(folder, fast):
    said = r"/a sends fewer than 1,024 bytes a second; check the network"
    with serving({"/a": partial(dripping, fast)}) as (server, _), pytest.raises(UnavailableError, match=said):
        downloads.download_once(f"{server}/a", folder / "rows.csv", 1 << 30, patience=0.5)


def test_steady_servers_are_not_abandoned(folder):
    with serving({"/a": steady}) as (server, _):
        digest = downloads.download_once(f"{server}/a", folder / "rows.csv", 1 << 30, patience=0.5)
    assert digest == hashlib.sha256(bytes(20 * CHUNK)).hexdigest()


def test_partial_downloads_are_removed(folder):
    missing = str(len(ROWS) + 1)
    with serving({"/a": lambda handler: answer(handler, ROWS, Content_Length=missing)}) as (server, asked):
        assert "can't be downloaded (ProtocolError)" in run(folder, f"{server}/a")
        assert len(asked) == downloads.ATTEMPTS
    assert kept(folder) == []


def test_drafts_of_killed_processes_are_ignored(folder):
    cache = folder / ".retrain" / "downloads"
    cache.mkdir(parents=True)
    (cache / f".{DIGEST}.1.draft").write_bytes(ROWS[:100])
    with serving({}) as (server, asked):
        assert run(folder, f"{server}/rows.csv").startswith("prepare mine: read 60 rows")
        assert asked == ["/rows.csv"]


def test_changed_downloads_are_fetched_again(folder):
    cached = folder / ".retrain" / "downloads" / DIGEST
    with serving({}) as (server, asked):
        run(folder, f"{server}/rows.csv")
        before = (folder / "data/mine/prepared/rows.parquet").read_bytes()
        for harmed in (ROWS + b"1,1,1,1\n", b"", ROWS[:-1]):
            cached.write_bytes(harmed)
            assert run(folder, f"{server}/rows.csv").startswith("prepare mine: read 60 rows")
        assert len(asked) == 4
    assert (folder / "data/mine/prepared/rows.parquet").read_bytes() == before
    cached.write_bytes(ROWS + b"1,1,1,1\n")
    assert "can't be downloaded (ConnectionError)" in run(folder, f"{server}/rows.csv")
    assert (folder / "data/mine/prepared/rows.parquet").read_bytes() == before


def test_tokens_in_locations_stay_secret(folder):
    with serving({"/gone": lambda handler: handler.send_error(404)}) as (server, asked):
        said = run(folder, f"{server}/rows.csv?token={SECRET}")
        assert asked == [f"/rows.csv?token={SECRET}"]
        said += run(folder, f"{server}/gone?X-Amz-Signature={SECRET}", "0" * 64)
        said += run(folder, f"{server}/rows.csv?token={SECRET}", "1" * 64)
    assert f"{server}/rows.csv?... has the SHA-256 {DIGEST}, not " in said
    assert f"{server}/gone?... is not on the server (status 404); " in said
    assert SECRET not in said
    written = [path for path in folder.rglob("*") if path.is_file() and path.name != "params.yaml"]
    assert {"prepared.json", "rows.parquet"} <= {path.name for path in written}
    assert not [path for path in written if SECRET.encode() in path.read_bytes()]
    assert "location" not in json.loads((folder / "data/mine/prepared/prepared.json").read_text())["prepare"]["train"]


@pytest.mark.parametrize(
    ("status", "fact"),
    [(403, "is refused by the server (status 403); download it yourself"), (503, "can't be downloaded (status 503)")],
)
def test_refusals_name_their_status(folder, monkeypatch, status, fact):
    monkeypatch.setattr(downloads.time, "sleep", lambda seconds: None)
    with serving({"/rows.csv": lambda handler: handler.send_error(status)}) as (server, asked):
        assert run(folder, f"{server}/rows.csv").startswith(f"Error: {server}/rows.csv {fact}")
        assert len(asked) == downloads.ATTEMPTS


def test_passwords_in_locations_are_rejected(folder):
    said = run(folder, f"https://user:{SECRET}@example.org/rows.csv")
    assert said.startswith(
        "Error: https://example.org/rows.csv contains a user or a password, which git and DVC would store; "
    )
    assert said.endswith("; move them to ~/.netrc\n")
    assert SECRET not in said


def test_netrc_is_used(folder, monkeypatch):
    expected = f"Basic {base64.b64encode(f'user:{SECRET}'.encode()).decode()}"

    def locked(handler: BaseHTTPRequestHandler) -> None:
        known = handler.headers.get("Authorization") == expected
        answer(handler, ROWS if known else b"", 200 if known else 401, Content_Length=str(len(ROWS) if known else 0))

    (folder / "netrc").write_text(f"machine 127.0.0.1 login user password {SECRET}\n")
    with serving({"/rows.csv": locked}) as (server, _):
        with pytest.raises(UnavailableError):
            downloads.download_once(f"{server}/rows.csv", folder / "rows.csv", 1000, downloads.PATIENCE)
        monkeypatch.setenv("NETRC", str(folder / "netrc"))
        assert run(folder, f"{server}/rows.csv").startswith("prepare mine: read 60 rows")
