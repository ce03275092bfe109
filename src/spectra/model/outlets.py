"""Outlets: where messages of alerts go besides the dashboard."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Final, Literal, get_args
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from spectra.errors import BadRequest

OutletKind = Literal["xmpp", "xmpp-room", "webhook", "email"]
OUTLET_KINDS: Final[tuple[OutletKind, ...]] = get_args(OutletKind)

MAX_OUTLETS: Final = 100
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,59}\Z")]

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST: Final = re.compile(rf"{_LABEL}(\.{_LABEL})*", re.IGNORECASE)
_LOCAL: Final = re.compile(r"[^\s\x00-\x20\x7f\"&'/:<>@\\]{1,200}")
_MAIL_LOCAL: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}")
_WRITTEN: Final[dict[OutletKind, str]] = {
    "xmpp": "Write it as somebody@server.",
    "xmpp-room": "Write it as room@conference.server.",
    "webhook": "Write it as https://host/path, without user and password.",
    "email": "Write it as somebody@example.org.",
}


class OutletRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where messages are to go. `target` is a JID, that of a room, a URL or a mail address.

    `secret`: what a webhook is signed with (`whsec_` and base64 of 24 to 64 bytes) or a room's password; left out it
    stays as it is, and a new webhook is given one.
    """

    kind: OutletKind
    target: Annotated[str, Meta(min_length=1, max_length=1000)]
    enabled: bool = True
    note: Annotated[str, Meta(max_length=200)] = ""
    secret: Annotated[str, Meta(max_length=200)] | None = None


class OutletRecord(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An outlet as it stands; `target` is shortened for who may not change outlets, and `shortened` says so.

    `ready`: empty, or what this node's settings lack to use it. `waiting` messages are on their way, the oldest since
    `since`; `error` is why the last try failed, empty where it went well. `delivered` is when one last arrived.
    """

    name: str
    kind: OutletKind
    target: str
    enabled: bool
    created: datetime
    changed: datetime
    by: str
    note: str = ""
    has_secret: bool = False
    shortened: bool = False
    ready: str = ""
    waiting: int = 0
    since: datetime | None = None
    tried: datetime | None = None
    delivered: datetime | None = None
    error: str = ""


class OutletMade(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An outlet that was put there. `secret`: what its webhook is signed with, where it was made; it is told once."""

    outlet: OutletRecord
    secret: str = ""


class OutletList(msgspec.Struct, frozen=True):
    """All outlets, by name."""

    outlets: tuple[OutletRecord, ...]


class OutletTried(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What came of a message that was sent to try an outlet; `message` is its id, `error` why it did not arrive."""

    outlet: str
    delivered: bool
    message: str
    took_ms: float
    error: str = ""


def checked_target(kind: OutletKind, target: str) -> str:
    """`target` in the form it is kept in; raises `BadRequest` where it is none of `kind`."""
    target = target.strip()
    good = _is_url(target) if kind == "webhook" else _is_address(target, _MAIL_LOCAL if kind == "email" else _LOCAL)
    if not good:
        raise BadRequest(f"This is no target of {kind}.", field="target", hint=_WRITTEN[kind])
    if kind == "webhook":
        return target
    local, _, host = target.rpartition("@")
    return f"{local if kind == 'email' else local.lower()}@{host.lower()}"


def shortened(kind: OutletKind, target: str) -> str:
    """What everybody may see of a target: the path of a URL is often a secret, an address is somebody's."""
    if kind == "webhook":
        parts = urlsplit(target)
        return f"{parts.scheme}://{parts.hostname}/…"
    return f"…@{target.rpartition('@')[2]}"


def _is_address(text: str, local: re.Pattern[str]) -> bool:
    name, at, host = text.rpartition("@")
    return bool(at) and bool(local.fullmatch(name)) and len(host) <= 253 and bool(_HOST.fullmatch(host))


def _is_url(text: str) -> bool:
    if not text.isascii() or not text.isprintable() or " " in text:
        return False
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    return (
        parts.scheme in ("http", "https")
        and bool(parts.hostname)
        and parts.username is None
        and parts.password is None
        and port != 0
        and not parts.fragment
    )
