"""Cursors: where a page ended, as text that a client hands back unchanged.

A struct in JSON with a short check before it. A cursor gives no rights, so the check only has to catch damage, and the
cursor of another list.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
from typing import Final, TypeVar

import msgspec

from spectra.errors import BadRequest

T = TypeVar("T")

MAX_LENGTH: Final = 2000
_CHECK: Final = 6  # bytes


def write(value: object, purpose: str) -> str:
    """The text of `value` (a struct) for the list called `purpose`."""
    body = msgspec.json.encode(value)
    return _text(_check(body, purpose) + body)


def read(text: str, kind: type[T], purpose: str, *, longest: int = MAX_LENGTH) -> T:
    """The struct that `write` made `text` of, of at most `longest` characters; raises `BadRequest` naming `cursor` for
    anything else.
    """
    try:
        padded = text[:longest].encode("ascii") + b"=" * (-len(text) % 4)
        data = base64.b64decode(padded, altchars=b"-_", validate=True)
        if _text(data) != text or data[:_CHECK] != _check(data[_CHECK:], purpose):
            raise damaged()
        return msgspec.json.decode(data[_CHECK:], type=kind)
    except (ValueError, msgspec.DecodeError) as error:  # of base64, ASCII or the struct
        raise damaged() from error


def require_address(ip: str) -> None:
    """Raises `BadRequest` unless `ip`, read from a cursor, is an address that every machine knows."""
    try:
        ipaddress.ip_address(ip)
    except ValueError as error:
        raise damaged() from error
    if "%" in ip:
        raise damaged()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _check(body: bytes, purpose: str) -> bytes:
    return hashlib.sha256(f"{purpose} cursor".encode() + body).digest()[:_CHECK]


def damaged() -> BadRequest:
    """The error for a cursor that no list gave out."""
    return BadRequest("The cursor is damaged.", hint="Pass next_cursor of the page before, unchanged.", field="cursor")
