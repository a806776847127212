"""The page at `/`: one file without requests to others, whose script and style alone may run."""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Any

from retrain.models.model import Model

import orjson

__all__ = ["page", "security_headers"]


MOST_KNOWN = 200
"""Categories that a field suggests."""


def page(model: Model, sha256: str) -> bytes:
    """The page for a model, with a field for each column."""
    encoder, interval = model.encoder, model.description.calibration.interval
    columns = []
    for name, kind in zip(encoder.columns, encoder.kinds, strict=True):
        column: dict[str, Any] = {"name": name, "kind": kind}
        if known := encoder.known.get(name):
            column["known"] = sorted(known)[:MOST_KNOWN]
        if name in encoder.centers:
            column["center"] = encoder.centers[name]
        if kind == "date":
            column["typical"] = model.written.date_example(name)
        columns.append(column)
    facts = {
        "model": model.name, "sha256": sha256, "columns": columns, "level": interval.level if interval else None,
        "decimal": model.written.decimal,
    }  # fmt: skip
    return source().replace(b"FACTS", orjson.dumps(facts).replace(b"<", b"\\u003c"))


@cache
def source() -> bytes:
    """The file."""
    return Path(__file__).with_name("page.html").read_bytes()


@cache
def security_headers() -> dict[str, str]:
    """What the page may do: run its own script and style, and ask this server."""
    digests = {
        tag: base64.b64encode(hashlib.sha256(content).digest()).decode()
        for tag, content in re.findall(rb"<(style|script)>(.*?)</", source(), re.DOTALL)
    }
    allowed = {
        "default-src": "'none'",
        "style-src": f"'sha256-{digests[b'style']}'",
        "script-src": f"'sha256-{digests[b'script']}'",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    policy = "; ".join(f"{name} {value}" for name, value in allowed.items())
    return {"content-security-policy": policy, "referrer-policy": "no-referrer", "cache-control": "no-store"}
