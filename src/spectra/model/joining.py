"""Inviting machines to the mesh, and the authority that vouches for them: what is asked and what is answered."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from spectra.model.nodes import JoinTokenRecord, NodeRecord, RefusalRecord

MIN_TTL_S: Final = 60
MAX_TTL_S: Final = 7 * 86400
DEFAULT_TTL_S: Final = 3600

RESERVED: Final = frozenset({"ca", "refusals", "tokens"})
"""No node has these names: they are other things' paths in the API."""

Invitable = Literal["worker", "full"]
Reason = Annotated[
    str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*\S[^\x00-\x1f\x7f-\x9f]*\Z")
]
"""For those who read the list of nodes, and for the node itself."""


class Invite(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A machine to let in. Without a `name` one is made up; a `reusable` token names none, its machines choose."""

    role: Invitable = "worker"
    name: Annotated[str, Meta(pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?\Z")] = ""
    ttl_s: Annotated[int, Meta(ge=MIN_TTL_S, le=MAX_TTL_S)] = DEFAULT_TTL_S
    reusable: bool = False


class Invitation(msgspec.Struct, frozen=True):
    """A join token. It is shown once; `ca_fingerprint` is the SHA-256 of the root that it pins, in hex."""

    id: str
    token: str
    name: str
    role: Invitable
    expires: datetime
    reusable: bool
    ca_fingerprint: str
    ca_url: str
    api_url: str


class RootRecord(msgspec.Struct, frozen=True):
    """A root certificate that nodes trust; the `current` one signs."""

    fingerprint: str
    subject: str
    not_before: datetime
    not_after: datetime
    current: bool


class AuthorityRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who issues the nodes' certificates. `fingerprint` is that of the current root: what `step ca bootstrap` asks
    for. More than one root is trusted while the authority is being rotated.
    """

    mesh: str
    kind: Literal["built-in", "external"]
    fingerprint: str
    ca_url: str
    roots: tuple[RootRecord, ...] = ()
    intermediate_until: datetime | None = None


class NodePage(msgspec.Struct, frozen=True):
    """Nodes by name; `next_cursor` is empty on the last page."""

    nodes: tuple[NodeRecord, ...]
    next_cursor: str = ""


class JoinTokenList(msgspec.Struct, frozen=True):
    """Join tokens, the newest first."""

    tokens: tuple[JoinTokenRecord, ...]


class RefusalList(msgspec.Struct, frozen=True):
    """What machines tried and were refused, the newest first."""

    refusals: tuple[RefusalRecord, ...]
