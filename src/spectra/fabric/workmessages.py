"""What machines and their coordinator say about work over the fabric, read as strictly as all else (`messages.py`).

A machine speaks on `spectra.work.<node>`: `Ready` when it has room, when that changes and every few seconds while it
holds leases, which keeps them alive; `Doing` while it scans; `Returned` where it cannot. It hears `Assign` and `Cancel`
on `spectra.assign.<node>`. Any of these may be lost: the next `Ready` tells what is held, and both sides act on that.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from spectra.fabric.messages import by_sender, read
from spectra.model.nodes import NodeName
from spectra.model.work import LeaseId, Order

READY_S: Final = 5.0
"""How often a machine says `Ready` at least, while it has room or holds anything."""

_Count = Annotated[int, Meta(ge=0, le=2**53)]
_Text = Annotated[str, Meta(max_length=1000)]


class Ready(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="ready", kw_only=True):
    """How much a machine would take now, and all it holds: leases it scans, and those whose results wait to be sent.

    `law` is the version of the do-not-scan list it has read.
    """

    version: Literal[1] = 1
    node: NodeName
    incarnation: _Count
    slots: Annotated[int, Meta(ge=0, le=64)]
    free: Annotated[int, Meta(ge=0, le=64)]
    scanning: Annotated[tuple[LeaseId, ...], Meta(max_length=64)] = ()
    spooled: Annotated[tuple[LeaseId, ...], Meta(max_length=400)] = ()
    spooled_count: _Count = 0
    spooled_bytes: _Count = 0
    spool_full: bool = False
    law: _Count = 0


class Doing(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="doing", kw_only=True):
    """How far a scan is: `fraction` 0..1, endpoints `found` so far, `note` in the tool's own words."""

    version: Literal[1] = 1
    node: NodeName
    lease: LeaseId
    fraction: Annotated[float, Meta(ge=0, le=1)] = 0.0
    found: _Count = 0
    note: Annotated[str, Meta(max_length=200)] = ""


class Returned(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="returned", kw_only=True):
    """A lease given back before anything was scanned: the machine may not or cannot do it."""

    version: Literal[1] = 1
    node: NodeName
    lease: LeaseId
    reason: Annotated[str, Meta(min_length=1, max_length=60)]
    message: _Text = ""


class Assign(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="assign"):
    """Scan this. `apis` are the `https://host:port` of every coordinator that lives, the one that speaks first: a
    machine whose own has died brings its results to the next.
    """

    order: Order
    apis: Annotated[tuple[Annotated[str, Meta(max_length=300)], ...], Meta(max_length=16)] = ()


class Cancel(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="cancel"):
    """Stop scanning it and forget it; what was found until then is sent nevertheless."""

    lease: LeaseId
    why: _Text = ""


FromNode = Ready | Doing | Returned
ToNode = Assign | Cancel

_from_node: Final = msgspec.json.Decoder(FromNode)
_to_node: Final = msgspec.json.Decoder(ToNode)


def encode(message: FromNode | ToNode) -> bytes:
    """The message as JSON."""
    return msgspec.json.encode(message)


def from_node(raw: bytes, subject: str) -> FromNode:
    """A message from a work subject. Raises `MeshError`: `malformed_message` or `impostor`."""
    said = read(_from_node, raw)
    return by_sender(said, said.node, subject)


def to_node(raw: bytes) -> ToNode:
    """A message from an assign subject. Raises `MeshError("malformed_message")`."""
    return read(_to_node, raw)
