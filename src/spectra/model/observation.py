"""What a parser yields: what was seen, when, in the field's own terms. Nothing here knows a tool or a database."""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import cached_property
from typing import Literal

import msgspec

from spectra.model.envelope import Problem, canonical

Protocol = Literal["tcp", "udp", "sctp"]
State = Literal["open", "closed", "filtered"]

MAX_BANNER_BYTES = 2048


class Service(msgspec.Struct, frozen=True, omit_defaults=True, dict=True):
    """What runs on an endpoint. Content-addressed: two endpoints with an equal service share one row.

    `name` is IANA's or nmap's service name (`http`, `ssh`); `tunnel` is `tls` or empty; `cpe` holds CPE names as the
    tool gave them (2.2 URI or 2.3), sorted.
    """

    name: str = ""
    product: str = ""
    version: str = ""
    extra: str = ""
    os: str = ""
    device: str = ""
    tunnel: str = ""
    cpe: tuple[str, ...] = ()

    @cached_property
    def fingerprint(self) -> bytes:
        """SHA-256 (32 bytes) over the canonical JSON of all fields."""
        return hashlib.sha256(canonical(self)).digest()


class Banner(msgspec.Struct, frozen=True, omit_defaults=True, dict=True):
    """What the service said: at most 2 KB of text, and the title of its HTML page if it speaks HTTP."""

    text: str = ""
    title: str = ""

    @cached_property
    def fingerprint(self) -> bytes:
        """SHA-256 (32 bytes) over text and title."""
        return hashlib.sha256(canonical(self)).digest()


class Certificate(msgspec.Struct, frozen=True, omit_defaults=True):
    """A TLS certificate by the SHA-256 (hex) of its DER form. Fields a tool did not tell are empty."""

    sha256: str
    subject_cn: str = ""
    subject: str = ""
    issuer: str = ""
    sans: tuple[str, ...] = ()
    not_before: datetime | None = None
    not_after: datetime | None = None
    serial: str = ""
    key: str = ""  # such as `rsa 2048`

    @property
    def fingerprint(self) -> bytes:
        """The SHA-256 as 32 bytes."""
        return bytes.fromhex(self.sha256)


class Evidence(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something else a tool said about an endpoint, host or name, kept word for word.

    `kind` is the tool and check (`nse:ssh-hostkey`, `nuclei:CVE-2021-44228`, `bbot:FINDING`); `key` tells two of one
    kind apart (a URL, a path); `severity` is the tool's own word.
    """

    kind: str
    data: str
    key: str = ""
    severity: str = ""


class EndpointSeen(msgspec.Struct, frozen=True, omit_defaults=True):
    """One (port, protocol) of a host as one scan saw it. None means "the scan did not say", not "there is none"."""

    port: int
    protocol: Protocol
    state: State
    service: Service | None = None
    banner: Banner | None = None
    certificate: Certificate | None = None
    evidence: tuple[Evidence, ...] = ()


class Hostname(msgspec.Struct, frozen=True, omit_defaults=True):
    """A name of a host, lower case without trailing dot. `kind`: `user` (typed by the scanner), `ptr`, `dns`, `tls`."""

    name: str
    kind: Literal["user", "ptr", "dns", "tls"] = "dns"


class HostSeen(msgspec.Struct, frozen=True, omit_defaults=True):
    """A host that answered. `ip` is in the canonical text form of `ipaddress`.

    `rest` is the state of every port that the scan swept (`Swept`) and this host does not list, where the tool says
    so (nmap's "Not shown: 997 closed ports"): it ends the life of an endpoint that has gone. None: nothing is known.
    """

    ip: str
    seen_at: datetime
    endpoints: tuple[EndpointSeen, ...] = ()
    hostnames: tuple[Hostname, ...] = ()
    rest: State | None = None
    mac: str = ""
    vendor: str = ""
    os: str = ""
    evidence: tuple[Evidence, ...] = ()


class NameSeen(msgspec.Struct, frozen=True, omit_defaults=True):
    """A hostname without an address: still worth finding, with whatever was said about it."""

    name: str
    seen_at: datetime
    evidence: tuple[Evidence, ...] = ()


class Silent(msgspec.Struct, frozen=True):
    """An address that was probed and did not answer."""

    ip: str
    seen_at: datetime


class Swept(msgspec.Struct, frozen=True):
    """The ports a scan looked at, as inclusive ranges; told before the hosts it holds for."""

    protocol: Protocol
    ranges: tuple[tuple[int, int], ...]


class ScanFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the output says of the scan itself; later facts fill what earlier ones left empty."""

    tool: str = ""
    tool_version: str = ""
    arguments: str = ""
    started: datetime | None = None
    finished: datetime | None = None


Record = HostSeen | NameSeen | Silent | Swept | ScanFacts | Problem
"""All that a parser may yield. A `Problem` stands for one record that could not be kept; parsing goes on."""
