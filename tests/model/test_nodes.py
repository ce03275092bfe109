"""Nodes as data: what may be a node's name, and that a heartbeat is bounded."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from spectra.model.nodes import Capabilities, Heartbeat, Tool, is_node_name

AT = datetime(2026, 11, 27, tzinfo=UTC)


@pytest.mark.parametrize("name", ["a", "board-1", "0", "n" * 63])
def test_a_dns_label_is_a_name(name: str) -> None:
    """Lower-case letters, digits and hyphens between them."""
    assert is_node_name(name)


@pytest.mark.parametrize("name", ["", "A", "-a", "a-", "a.b", "a/b", "a*", ">", "a b", "a\n", "ä", "n" * 64])
def test_what_would_need_quoting_is_no_name(name: str) -> None:
    """A name is a token of a subject, a level of a topic and a segment of a URI."""
    assert not is_node_name(name)


def test_a_heartbeat_is_read_as_it_was_written() -> None:
    """With what the machine can do."""
    beat = Heartbeat(
        version=1,
        node="board-1",
        incarnation=1,
        seq=0,
        sent=AT,
        capabilities=Capabilities(4, 2048, "aarch64", "Linux", "0.1.0", tools=(Tool("nmap", "7.93"),)),
    )
    assert msgspec.json.decode(msgspec.json.encode(beat), type=Heartbeat) == beat


@pytest.mark.parametrize(
    "change",
    [
        {"node": "Board"},
        {"seq": -1},
        {"version": 2},
        {"every_s": 0},
        {"load": {"cpu": -1.0}},
        {"capabilities": {"cores": 1, "memory_mb": 1, "arch": "a\n", "os": "", "software": ""}},
        {"capabilities": {"cores": 1, "memory_mb": 1, "arch": "", "os": "", "software": "", "region": "x" * 201}},
    ],
)
def test_what_no_node_says_is_no_heartbeat(change: dict[str, object]) -> None:
    """Names, counts and texts have bounds."""
    beat = {"version": 1, "node": "board-1", "incarnation": 1, "seq": 0, "sent": "2026-11-27T00:00:00Z"}
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(beat | change), type=Heartbeat)
