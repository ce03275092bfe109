"""Messages of the mesh: what is written is read back, and nothing else is."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.fabric import messages
from spectra.fabric.errors import MeshError
from spectra.fabric.messages import MAX_BYTES, Lost, Ping, Pong, encode
from spectra.model.nodes import Capabilities, Heartbeat, Load, Tool

HERE = "spectra.presence.edge-1"
AT = datetime(2026, 11, 27, 12, 0, 0, 5000, tzinfo=UTC)


def beat(node: str = "edge-1", **fields: object) -> Heartbeat:
    """A heartbeat with everything in it."""
    capabilities = Capabilities(
        cores=4, memory_mb=1800, arch="aarch64", os="Debian 12", software="0.5", tools=(Tool("nmap", "7.93"),)
    )
    given: dict[str, object] = {"seq": 7, "capabilities": capabilities, "load": Load(cpu=0.5, tasks=2)} | fields
    return Heartbeat(version=1, node=node, incarnation=1_795_000_000_000, sent=AT, **given)  # type: ignore[arg-type]


def reason(raw: bytes, subject: str = HERE) -> str:
    """Why a presence message is refused."""
    with pytest.raises(MeshError) as told:
        messages.heartbeat(raw, subject)
    return told.value.reason


def test_what_is_encoded_is_read_back() -> None:
    """Heartbeats full and bare, wills with and without an incarnation, questions and answers."""
    for said in (beat(), beat(capabilities=None, leaving=True), Lost(1, "edge-1"), Lost(1, "edge-1", 5)):
        assert messages.heartbeat(encode(said), HERE) == said
    assert messages.ping(encode(Ping("q-1"))) == Ping("q-1")
    for answer in (Pong("q-1", "edge-1"), Pong("q-1", "edge-1", 5)):
        assert messages.pong(encode(answer), "spectra.reply.edge-1") == answer


def test_a_will_is_what_other_brokers_are_told_too() -> None:
    """The plain words of the contract, with no incarnation, and with a word more."""
    assert messages.heartbeat(b'{"version":1,"node":"edge-1","lost":true}', HERE) == Lost(1, "edge-1")
    assert messages.heartbeat(b'{"lost":true,"x":[1],"node":"edge-1","version":1}', HERE) == Lost(1, "edge-1")
    assert msgspec.json.decode(encode(Lost(1, "edge-1", 9))) == {
        "version": 1,
        "node": "edge-1",
        "lost": True,
        "incarnation": 9,
    }


def test_who_speaks_for_another_is_an_impostor() -> None:
    """The subject says who it was; the body must agree, in each kind of message."""
    assert reason(encode(beat("edge-2"))) == "impostor"
    assert reason(encode(Lost(1, "edge-2"))) == "impostor"
    with pytest.raises(MeshError) as told:
        messages.pong(encode(Pong("q", "edge-2")), "spectra.reply.edge-1")
    assert told.value.reason == "impostor"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"\xff",
        b"{}",
        b'{"version":2,"node":"edge-1","lost":true}',
        b'{"version":1,"node":"EDGE","lost":true}',
        b'{"version":1,"node":"edge-1","lost":1}',
        b'{"version":1,"node":"edge-1","incarnation":0,"seq":-1,"sent":"2026-11-27T12:00:00Z"}',
        b'{"version":1,"node":"edge-1","incarnation":0,"seq":0,"sent":"2026-11-27T12:00:00"}',
        b'{"version":1,"node":"edge-1","incarnation":0,"seq":0,"sent":"2026-11-27T12:00:00+01:00"}',
        b'{"version":1,"node":"edge-1","incarnation":0,"seq":0,"sent":"2026-11-27T12:00:00Z","every_s":0}',
        b'{"version":1,"node":"edge-1","incarnation":0,"seq":0,"sent":"2026-11-27T12:00:00Z","load":{"cpu":-1}}',
        b'{"x":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    ],
)
def test_anything_else_is_malformed(raw: bytes) -> None:
    """Wrong types, versions, names, numbers, times without UTC, and nesting that would exhaust the stack."""
    assert reason(raw) == "malformed_message"


def test_long_messages_are_not_parsed() -> None:
    """One byte over the bound is refused; the bound itself is read."""
    raw = encode(beat())
    padded = raw + b" " * (MAX_BYTES - len(raw))
    assert messages.heartbeat(padded, HERE) == beat()
    assert reason(padded + b" ") == "malformed_message"


def test_a_subject_without_a_node_is_malformed() -> None:
    """Not even a good body makes up for it."""
    assert reason(encode(beat()), "spectra.all") == "malformed_message"


@given(st.binary(max_size=300))
def test_bytes_of_anybody_raise_one_error(raw: bytes) -> None:
    """Nothing but `MeshError`, whatever arrives."""
    for read in (lambda: messages.heartbeat(raw, HERE), lambda: messages.ping(raw), lambda: messages.pong(raw, HERE)):
        with pytest.raises(MeshError):
            read()


@pytest.mark.parametrize("word", ["", "x" * 65, "a b", "a\n"])
def test_ids_are_short_words(word: str) -> None:
    """They come back from the node as they were: nothing in them may mean something elsewhere."""
    with pytest.raises(MeshError):
        messages.ping(msgspec.json.encode({"id": word}))
