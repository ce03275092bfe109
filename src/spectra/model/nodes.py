"""The machines of a mesh: what they can do, what they say of themselves, and what the coordinator knows of each.

A node's *standing* is what the mesh has decided about it; its *presence* is what the coordinator last heard from it.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

NODE_NAME: Final = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z"
MESH_NAME: Final = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z"
NodeName = Annotated[str, Meta(pattern=NODE_NAME)]
"""A DNS label: it is a token of a subject, a level of a topic and a path of a URI, so nothing in it needs quoting."""

Role = Literal["worker", "full", "coordinator"]
"""`worker`: headless, speaks MQTT and scans; `full`: speaks NATS; `coordinator`: holds the graph and the CA."""

Transport = Literal["mqtt", "nats"]
Standing = Literal["invited", "active", "quarantined", "revoked"]
"""`invited`: a token names it, nobody came yet. Only `active` nodes get work; `quarantined` ones may be heard."""

Presence = Literal["never", "alive", "suspect", "dead", "left"]
Kind = Literal["tpm", "statement"]
AttestationPolicy = Literal["required", "preferred", "off"]

_Text = Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*\Z")]
_Count = Annotated[int, Meta(ge=0, le=2**53)]


class Tool(msgspec.Struct, frozen=True):
    """A scanner on the machine; `version` as it tells it, empty where it does not."""

    name: _Text
    version: _Text = ""


class Capabilities(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a machine can do. `memory_mb` is MiB of RAM; `relay`: it sends through a relay; `raw`: its scanners may open
    raw sockets.
    """

    cores: _Count
    memory_mb: _Count
    arch: _Text
    os: _Text
    software: _Text
    """The version of Spectra it runs."""
    tools: Annotated[tuple[Tool, ...], Meta(max_length=64)] = ()
    gpus: Annotated[tuple[_Text, ...], Meta(max_length=16)] = ()
    region: _Text = ""
    relay: bool = False
    raw: bool = False


class Load(msgspec.Struct, frozen=True, omit_defaults=True):
    """How busy it is: `cpu` the load average of a minute divided by its cores, `memory_free_mb` in MiB."""

    cpu: Annotated[float, Meta(ge=0, le=1e6)] = 0.0
    memory_free_mb: _Count = 0
    tasks: _Count = 0


class Heartbeat(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a node says every few seconds, on a subject that only it may publish on.

    `incarnation` is when its agent started (milliseconds since 1970), `seq` counts from 0 within it, `sent` is its own
    clock. `capabilities` come with the first one and whenever they change; `leaving` says good-bye.
    """

    version: Literal[1]
    node: NodeName
    incarnation: _Count
    seq: _Count
    sent: datetime
    load: Load = Load()
    every_s: Annotated[float, Meta(gt=0, le=3600)] = 5.0
    capabilities: Capabilities | None = None
    leaving: bool = False


class CertificateRecord(msgspec.Struct, frozen=True):
    """A node's newest certificate. `serial` in decimal, `spki` the SHA-256 of its public key (DER) in hex."""

    serial: str
    spki: str
    not_before: datetime
    not_after: datetime


class AttestationRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """The newest proof of a node's state. A `statement` is its own word, and weaker than a `tpm`'s.

    `state` maps what was measured (`pcr:7`, `binary`, `configuration`) to its SHA-256 in hex.
    """

    kind: Kind
    at: datetime
    ok: bool
    state: dict[str, str]
    reason: str = ""


class NodeRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A node as the coordinator knows it.

    `reason` says why it is quarantined or revoked; `skew_s` is its clock less ours, in seconds.
    """

    name: str
    uri: str
    role: Role
    standing: Standing
    presence: Presence
    created: datetime
    reason: str = ""
    joined: datetime | None = None
    last_seen: datetime | None = None
    transport: Transport | None = None
    capabilities: Capabilities | None = None
    load: Load | None = None
    skew_s: float | None = None
    keyid: str = ""
    """Of the Ed25519 key that signs its submissions."""
    certificate: CertificateRecord | None = None
    attestation: AttestationRecord | None = None


class JoinTokenRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A join token, without the token. `name` is empty for a reusable one, whose nodes choose theirs."""

    id: str
    role: Role
    created: datetime
    expires: datetime
    created_by: str
    name: str = ""
    reusable: bool = False
    used: int = 0
    revoked: datetime | None = None


class RefusalRecord(msgspec.Struct, frozen=True):
    """Something a machine tried and was refused, counted by what and who. `who`: a node's name, or an address."""

    kind: str
    who: str
    count: int
    first: datetime
    last: datetime
    detail: str = ""


class FabricPlace(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a node reaches the mesh: `tls://host:port` of NATS, `mqtts://host:port`, `https://host:port` of the API."""

    nats: str = ""
    mqtt: str = ""
    api: str = ""


def is_node_name(text: str) -> bool:
    """Whether this may be a node's name."""
    return re.match(NODE_NAME, text) is not None
