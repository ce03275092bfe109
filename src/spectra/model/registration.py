"""What a machine that has its certificate says to its coordinator, and what it is told."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from spectra.model.nodes import Capabilities, FabricPlace, NodeRecord, Transport

MAX_STATEMENT_CHARS: Final = 16 * 1024


class Registration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The key that signs what the machine submits: a DSSE registration (JSON text) of role `module` and contributor
    `node-NAME`.
    """

    statement: Annotated[str, Meta(max_length=MAX_STATEMENT_CHARS)]
    capabilities: Capabilities
    transport: Transport


class Welcome(msgspec.Struct, frozen=True):
    """What the mesh knows of the machine that asks, and where it reaches the rest of it. `roots` are PEM."""

    node: NodeRecord
    fabric: FabricPlace
    roots: str


class MeshStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """The mesh of a coordinator: its name, the coordinator's own as a node, and where machines reach it."""

    name: str
    node: str
    url: str
    nats: str = ""
    mqtt: str = ""
