"""What goes over the fabric, read strictly: bounded, typed, and from whom its subject says.

The broker lets a node publish only on subjects of its own name, so the subject is who speaks; a body that names
somebody else is a lie.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from spectra.fabric import subjects
from spectra.fabric.errors import MeshError
from spectra.identity.strict import told
from spectra.model.nodes import Heartbeat, NodeName

MAX_BYTES: Final = 64 * 1024
_MALFORMED: Final = "malformed_message"

T = TypeVar("T")
_Id = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+\Z")]
_Incarnation = Annotated[int, Meta(ge=0, le=2**53)]


class Lost(msgspec.Struct, frozen=True, omit_defaults=True):
    """The last will of a node, said by its broker when the connection broke: `{"version":1,"node":"...","lost":true}`.

    It was written when the node connected. `incarnation` is the heartbeats' (0 where unknown): a will of an earlier
    one, or one that comes after newer heartbeats, says nothing about now.
    """

    version: Literal[1]
    node: NodeName
    incarnation: _Incarnation = 0


class Ping(msgspec.Struct, frozen=True):
    """The coordinator asks whether a node still hears; `id` comes back."""

    id: _Id


class Pong(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to a `Ping`; `incarnation` is the heartbeats' (0 where unknown)."""

    id: _Id
    node: NodeName
    incarnation: _Incarnation = 0


class _Will(msgspec.Struct):
    """Tells a will from a heartbeat."""

    lost: bool = False


_will = msgspec.json.Decoder(_Will)
_heartbeat = msgspec.json.Decoder(Heartbeat)
_lost = msgspec.json.Decoder(Lost)
_ping = msgspec.json.Decoder(Ping)
_pong = msgspec.json.Decoder(Pong)


def encode(message: Heartbeat | Lost | Ping | Pong) -> bytes:
    """The message as JSON."""
    if isinstance(message, Lost):
        return msgspec.json.encode({"lost": True, **msgspec.structs.asdict(message)})
    return msgspec.json.encode(message)


def heartbeat(raw: bytes, subject: str) -> Heartbeat | Lost:
    """A message from a presence subject.

    Raises `MeshError`: `malformed_message`, or `impostor` where the body names another node than the subject.
    """
    subjects.node_of(subject)  # one that is nobody's is not read at all
    said = read(_lost, raw) if read(_will, raw).lost else read(_heartbeat, raw)
    if isinstance(said, Heartbeat) and said.sent.utcoffset() != timedelta(0):
        raise MeshError("`sent` must be in UTC and say so (end in Z).", reason=_MALFORMED)
    return by_sender(said, said.node, subject)


def ping(raw: bytes) -> Ping:
    """A message from a control subject. Raises `MeshError("malformed_message")`."""
    return read(_ping, raw)


def pong(raw: bytes, subject: str) -> Pong:
    """A message from a reply subject. Raises `MeshError`: `malformed_message` or `impostor`."""
    said = read(_pong, raw)
    return by_sender(said, said.node, subject)


def read(decoder: msgspec.json.Decoder[T], raw: bytes) -> T:
    """A bounded message by its decoder. Raises `MeshError("malformed_message")`."""
    if len(raw) > MAX_BYTES:
        raise MeshError(f"a message may have {MAX_BYTES} bytes at most.", reason=_MALFORMED)
    try:
        return decoder.decode(raw)
    except (ValueError, RecursionError, OverflowError) as error:
        raise MeshError(f"the message is malformed: {told(error)}.", reason=_MALFORMED) from error


def by_sender(said: T, named: str, subject: str) -> T:
    """`said`, where the node it names is its subject's. Raises `MeshError`: `malformed_message`, `impostor`."""
    node = subjects.node_of(subject)
    if named != node:
        raise MeshError(f"{node} speaks in the name of {named}.", reason="impostor")
    return said
