"""Messages about work: what is written is read again, and whoever speaks in another's name is not believed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.fabric import subjects, workmessages
from spectra.fabric.errors import MeshError
from spectra.fabric.workmessages import Assign, Cancel, Doing, FromNode, Ready, Returned
from spectra.model.presets import Preset
from spectra.model.work import Order, Permission

LEASE = "0123456789abcdef" * 2
PRESET = Preset(name="web", description="Web servers.", tools=("connect",), ports="80,443")
ORDER = Order(
    lease=LEASE,
    job="job-" + "0" * 20,
    target=1,
    attempt=1,
    scan_id="scan-1",
    targets=("192.0.2.0/28",),
    ports="80,443",
    preset=PRESET,
    permission=Permission("ann", "ticket 7", datetime(2026, 11, 1, tzinfo=UTC)),
    rate=100,
    deadline_s=600,
    lease_s=60,
)
SAID: list[FromNode] = [
    Ready(node="w1", incarnation=7, slots=2, free=1, scanning=(LEASE,)),
    Doing(node="w1", lease=LEASE, fraction=0.5, found=3, note="half way"),
    Returned(node="w1", lease=LEASE, reason="no_tool", message="nmap is not installed"),
]


@pytest.mark.parametrize("message", SAID, ids=lambda m: type(m).__name__)
def test_what_a_node_says_is_read_again(message: FromNode) -> None:
    """By its kind, from the subject that only this node may publish on."""
    assert workmessages.from_node(workmessages.encode(message), subjects.work("w1")) == message


@pytest.mark.parametrize("message", [Assign(ORDER), Cancel(LEASE, "job cancelled")], ids=lambda m: type(m).__name__)
def test_what_a_node_hears_is_read_again(message: Assign | Cancel) -> None:
    """An order comes through whole, its preset and permission too."""
    assert workmessages.to_node(workmessages.encode(message)) == message


@pytest.mark.parametrize("message", SAID, ids=lambda m: type(m).__name__)
def test_nobody_speaks_for_another(message: FromNode) -> None:
    """The body names w1, and the subject is w2's."""
    with pytest.raises(MeshError) as caught:
        workmessages.from_node(workmessages.encode(message), subjects.work("w2"))
    assert caught.value.reason == "impostor"


@given(st.binary(max_size=300))
def test_noise_is_refused_with_one_reason(noise: bytes) -> None:
    """Whatever comes, it is a message or `malformed_message`."""
    with pytest.raises(MeshError) as caught:
        workmessages.from_node(noise, subjects.work("w1"))
    assert caught.value.reason == "malformed_message"
