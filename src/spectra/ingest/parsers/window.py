"""Groups lines that each tell one port into hosts, in bounded memory.

A host that is still held takes in what later lines say of it; when the window is full all of it leaves. A host may
therefore leave more than once, which is no error, only less compact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import BinaryIO, Literal, TypeVar

import msgspec

from spectra.ingest.parsers.jsonlines import records
from spectra.ingest.parsers.text import MAX_CPE, MAX_EVIDENCE, TITLE_CHARS, block, clean
from spectra.model.observation import (
    MAX_BANNER_BYTES,
    Banner,
    Certificate,
    EndpointSeen,
    Evidence,
    Hostname,
    HostSeen,
    NameSeen,
    Problem,
    Protocol,
    Record,
    Service,
    State,
)

MAX_HOSTS = 4096
MAX_HOSTNAMES = 256  # per host
_MAX_BYTES = 64 * 1024 * 1024  # of what the window holds, roughly
_ENDPOINT_BYTES = 600

T = TypeVar("T")

NameKind = Literal["user", "ptr", "dns", "tls"]


def merged_service(old: Service | None, new: Service | None) -> Service | None:
    """One service from two sayings: they complete each other unless they name different products; then the first."""
    if old is None or new is None or old == new:
        return old or new
    if old.product and new.product and old.product.lower() != new.product.lower():
        return old
    return Service(
        name=old.name or new.name,
        product=old.product or new.product,
        version=old.version or new.version,
        extra=old.extra or new.extra,
        os=old.os or new.os,
        device=old.device or new.device,
        tunnel=old.tunnel or new.tunnel,
        cpe=tuple(sorted({*old.cpe, *new.cpe})[:MAX_CPE]),
    )


class Remarks:
    """Evidence about one thing, each (kind, key) once, at most `MAX_EVIDENCE`."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Evidence] = {}

    def add(self, item: Evidence) -> int:
        """Take `item` in; return the bytes held for it."""
        if (item.kind, item.key) in self._found or len(self._found) >= MAX_EVIDENCE:
            return 0
        self._found[item.kind, item.key] = item
        return 400 + len(item.data) + len(item.key)

    def all(self) -> tuple[Evidence, ...]:
        """The evidence in the order it came."""
        return tuple(self._found.values())


class EndpointDraft:
    """An endpoint of a host that the window holds."""

    def __init__(self, state: State, seen_at: datetime) -> None:
        self.state: State = state
        self.service: Service | None = None
        self.certificate: Certificate | None = None
        self.remarks = Remarks()
        self._seen_at = seen_at
        self._text = ""
        self._title = ""
        self._is_main_title = False

    def saw(self, state: State, at: datetime) -> None:
        """The newest word on the state holds."""
        if at >= self._seen_at:
            self.state, self._seen_at = state, at

    def serves(self, service: Service | None) -> None:
        """Take in a service."""
        self.service = merged_service(self.service, service)

    def said(self, text: str = "", title: str = "", *, main: bool = True) -> int:
        """Take in a banner and a title; the title of the `main` page replaces that of another. Returns bytes held."""
        self._text = self._text or block(text, MAX_BANNER_BYTES)
        if title and (not self._title or (main and not self._is_main_title)):
            self._title, self._is_main_title = clean(title, TITLE_CHARS), main
        return len(self._text) + len(self._title)

    def freeze(self, port: int, protocol: Protocol) -> EndpointSeen:
        """The endpoint as a record."""
        banner = Banner(text=self._text, title=self._title) if self._text or self._title else None
        return EndpointSeen(port, protocol, self.state, self.service, banner, self.certificate, self.remarks.all())


class HostDraft:
    """A host that the window holds."""

    def __init__(self, seen_at: datetime) -> None:
        self.seen_at = seen_at
        self.endpoints: dict[tuple[int, Protocol], EndpointDraft] = {}
        self.names: dict[str, Hostname] = {}
        self.remarks = Remarks()
        self.mac = ""
        self.vendor = ""
        self.os = ""

    def endpoint(self, port: int, protocol: Protocol, state: State, at: datetime) -> EndpointDraft:
        """The draft of an endpoint, seen in `state`."""
        draft = self.endpoints.get((port, protocol))
        if draft is None:
            draft = self.endpoints[port, protocol] = EndpointDraft(state, at)
        else:
            draft.saw(state, at)
        return draft

    def called(self, name: str | None, kind: NameKind) -> None:
        """Take in a hostname (as `text.hostname` gives it)."""
        if name and len(self.names) < MAX_HOSTNAMES:
            self.names.setdefault(name, Hostname(name, kind))

    def freeze(self, ip: str) -> HostSeen:
        """The host as a record."""
        return HostSeen(
            ip=ip,
            seen_at=self.seen_at,
            endpoints=tuple(draft.freeze(*key) for key, draft in self.endpoints.items()),
            hostnames=tuple(self.names.values()),
            mac=self.mac,
            vendor=self.vendor,
            os=self.os,
            evidence=self.remarks.all(),
        )


class NameDraft(msgspec.Struct):
    """A hostname without address that the window holds."""

    seen_at: datetime
    remarks: Remarks


class Window:
    """The hosts and names told so far and not yet passed on, in the order they came."""

    def __init__(self, max_hosts: int = MAX_HOSTS) -> None:
        self._hosts: dict[str, HostDraft] = {}
        self._names: dict[str, NameDraft] = {}
        self._max_hosts = max_hosts
        self._bytes = 0

    def host(self, ip: str, seen_at: datetime) -> HostDraft:
        """The draft of the host at `ip`; its `seen_at` becomes the newest told."""
        draft = self._hosts.get(ip)
        if draft is None:
            draft = self._hosts[ip] = HostDraft(seen_at)
        elif seen_at > draft.seen_at:
            draft.seen_at = seen_at
        self._bytes += _ENDPOINT_BYTES
        return draft

    def name(self, name: str, seen_at: datetime) -> NameDraft:
        """The draft of a name without address."""
        draft = self._names.get(name)
        if draft is None:
            draft = self._names[name] = NameDraft(seen_at, Remarks())
        draft.seen_at = max(draft.seen_at, seen_at)
        self._bytes += _ENDPOINT_BYTES
        return draft

    def holds(self, size: int) -> None:
        """Count `size` more bytes as held."""
        self._bytes += size

    def spill(self) -> Iterator[HostSeen | NameSeen]:
        """Pass everything on if the window is full."""
        if len(self._hosts) + len(self._names) >= self._max_hosts or self._bytes >= _MAX_BYTES:
            yield from self.flush()

    def flush(self) -> Iterator[HostSeen | NameSeen]:
        """Pass everything on."""
        hosts, names = self._hosts, self._names
        self._hosts, self._names, self._bytes = {}, {}, 0
        for ip, host in hosts.items():
            yield host.freeze(ip)
        for name, draft in names.items():
            yield NameSeen(name, draft.seen_at, draft.remarks.all())


def grouped(
    stream: BinaryIO,
    decode: Callable[[bytes], T],
    take: Callable[[Window, int, T], Iterable[Record]],
    *,
    skip: bytes = b"",
) -> Iterator[Record]:
    """The records of a JSON stream of ports: `take` puts a line's host into the window, and returns what is no host."""
    window = Window()
    for item in records(stream, decode, skip=skip):
        if isinstance(item, Problem):
            yield item
            continue
        yield from take(window, *item)
        yield from window.spill()
    yield from window.flush()
