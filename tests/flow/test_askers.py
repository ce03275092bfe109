"""Tests of spectra.flow.askers, on a real database."""

from __future__ import annotations

import pytest

from spectra.flow.askers import READ_S, Askers, tools_of
from spectra.model.nodes import Capabilities, Load, Tool
from spectra.store import nodes
from spectra.store.database import Database
from spectra.store.leases import Asker
from spectra.store.presence import Beat, heartbeats
from tests.flow.ears import Refused
from tests.store.machines import ROOT, T0, invite, member

pytestmark = pytest.mark.engine

ABLE = Capabilities(1, 512, "x86_64", "linux", "1.0", tools=(Tool("nuclei"), Tool("nmap")), region="eu", raw=True)


def test_what_a_machine_can_do_is_what_it_said(database: Database) -> None:
    """Only scanners count, and the built-in one is always there."""
    member(database, "w1")
    heartbeats(database, [Beat("w1", T0, Load(), capabilities=ABLE)])
    refused = Refused()
    assert Askers(database, refused).of("w1") == Asker("w1", ("connect", "nmap"), "eu", False, True)
    assert tools_of(None) == ("connect",)
    assert not refused.counts


def test_who_may_not_work_is_counted_each_time(database: Database) -> None:
    """Strangers, those who were only invited, those held back and those thrown out."""
    invite(database, "new")
    for name in ("held", "gone"):
        member(database, name)
    nodes.quarantine(database, "held", "odd", ROOT)
    nodes.revoke(database, "gone", "stolen", ROOT)
    refused = Refused()
    askers = Askers(database, refused)
    for name in ("new", "held", "gone", "ghost", "ghost"):
        assert askers.of(name) is None
    assert refused.counts == {
        ("unknown_node", "new"): 1,
        ("quarantined", "held"): 1,
        ("revoked", "gone"): 1,
        ("unknown_node", "ghost"): 2,
    }


def test_what_is_known_is_read_again_after_a_while_or_when_told(database: Database) -> None:
    """Another coordinator may have decided something, which nobody tells this one."""
    member(database, "w1")
    at = 0.0
    askers = Askers(database, Refused(), steady=lambda: at)
    assert askers.of("w1") is not None
    nodes.quarantine(database, "w1", "odd", ROOT)
    assert askers.of("w1") is not None
    at += READ_S + 1
    assert askers.of("w1") is None
    nodes.release(database, "w1", ROOT)
    assert askers.of("w1") is None
    askers.forget()
    assert askers.of("w1") is not None
