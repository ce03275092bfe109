"""What pages load besides themselves: styles and scripts of our own, in memory, under a path that names their content.

A browser keeps them for good: another version has another path. Nothing is loaded from anywhere else.
"""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from importlib.resources import files
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from spectra.api.auth import open_to
from spectra.errors import NotFound
from spectra.identity.roles import PUBLIC

router = APIRouter(include_in_schema=False)

_KINDS: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "webmanifest": "application/manifest+json",
}
_FOR_GOOD: Final = "public, max-age=31536000, immutable"


@cache
def _all() -> dict[str, tuple[bytes, bytes]]:
    """Every file by its name: its bytes, and the same gzipped."""
    folder = files("spectra.web").joinpath("static")
    found = {item.name: item.read_bytes() for item in folder.iterdir() if item.name.rpartition(".")[2] in _KINDS}
    return {name: (raw, gzip.compress(raw, 9, mtime=0)) for name, raw in found.items()}


@cache
def version() -> str:
    """Names the content of all of them."""
    digest = hashlib.sha256()
    for name, (raw, _) in sorted(_all().items()):
        digest.update(f"{name}\0{len(raw)}\0".encode())
        digest.update(raw)
    return digest.hexdigest()[:12]


def path(name: str) -> str:
    """Where a page finds the file `name`; raises `KeyError` where there is none."""
    if name not in _all():
        raise KeyError(name)
    return f"/static/{version()}/{name}"


@router.get("/static/{digest}/{name}", dependencies=[open_to(PUBLIC)])
async def static(request: Request, digest: str, name: str) -> Response:
    """One of the files. Under another version's path the one of now, which is not to be kept."""
    if name not in _all():
        raise NotFound("There is no such file.", reason="no_such_path")
    raw, packed = _all()[name]
    headers = {"cache-control": _FOR_GOOD if digest == version() else "no-cache", "vary": "accept-encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        raw = packed
        headers["content-encoding"] = "gzip"
    return Response(raw, media_type=_KINDS[name.rpartition(".")[2]], headers=headers)
