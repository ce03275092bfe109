"""Agents run: what they read, what becomes of it, and that none needs a model."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from spectra.errors import BadRequest, NotFound, Unavailable
from spectra.flow import audit
from spectra.flow.agents import AT_ONCE, Agents
from spectra.flow.insights import Insights
from spectra.model.observation import Silent, Swept
from spectra.store import insights
from spectra.store.blobs import BlobStore
from spectra.store.database import Database
from spectra.store.insights import Wanted
from tests.ai.agents.test_notes import NOTE, Says, notes
from tests.ai.agents.test_threat_analyst import alert
from tests.flow.desk import Clock
from tests.store.scribe import Scribe, host, seen

pytestmark = pytest.mark.engine

HOUR = timedelta(hours=1)


def made(database: Database, folder: Path, clock: Clock, gateway: Says | None = None) -> Agents:
    """The agents of a coordinator."""
    kept = Insights(database, folder, clock=clock)
    return Agents(database, kept, gateway=gateway, clock=clock, providers={"local": "machine"})


@pytest.fixture
def agents(database: Database, tmp_path: Path, clock: Clock) -> Agents:
    """Without a model."""
    return made(database, tmp_path, clock)


ALERTS = json.dumps([alert("10.0.0.42"), alert("203.0.113.9", users=["a", "b", "c", "d", "e"])]).encode()


def test_alerts_become_insights_once(agents: Agents, database: Database, blobs: BlobStore, clock: Clock) -> None:
    """Kept by the gate, and the same again; the walk of the chain holds."""
    first = agents.run("threat-analyst", ALERTS, account="alice")
    assert [one.insight.kind for one in first.insights] == ["own_host_attacks", "password_spray"]
    assert (first.new, first.again, first.format, first.lines) == (2, 0, "crowdsec", 2)
    assert (first.notes, first.no_notes) == (0, "no_model")
    clock.advance(HOUR)
    second = agents.run("threat-analyst", ALERTS, account="alice")
    assert (second.new, second.again) == (0, 2)
    assert len(insights.page(database, Wanted()).insights) == 2
    assert audit.verify(database, blobs).ok


def test_a_model_adds_words(database: Database, tmp_path: Path, clock: Clock) -> None:
    """Where it is asked; what is signed has them."""
    says = Says(notes(("I1", NOTE)))
    agents = made(database, tmp_path, clock, says)
    assert agents.notes
    found = agents.run("threat-analyst", ALERTS, account="alice")
    assert (found.notes, found.insights[0].insight.note, found.insights[0].insight.note_by) == (1, NOTE, "local tiny")
    assert agents.run("threat-analyst", ALERTS, account="alice", note=False).notes == 0
    assert len(says.asked) == 1


def test_the_history_of_scans_is_read(agents: Agents, database: Database, clock: Clock) -> None:
    """Of the store: a port that thirty scans found closed and two find open, and a host that was silent before."""
    write = Scribe(database)
    swept = Swept("tcp", ((1, 1000),))
    for number in range(32):
        at = clock() - (32 - number) * 2 * HOUR
        ports = [seen(22), seen(445)] if number >= 30 else [seen(22)]
        other = host("10.0.0.8", at, seen(22)) if number in (0, 30, 31) else Silent("10.0.0.8", at)
        write([swept, host("10.0.0.7", at, *ports, rest="closed"), other], at=at)
    found = agents.run("network-anomaly", b"", account="alice")
    assert found.format == "scan history"
    assert [(one.insight.kind, one.insight.severity, one.insight.subjects[0]) for one in found.insights] == [
        ("new_port", "high", "endpoint:10.0.0.7/tcp/445")
    ]


def test_the_store_alone_is_read(agents: Agents) -> None:
    """Check-lists of an empty store: what scans cannot see is unknown; no finding, nothing to triage."""
    found = agents.run("config-advisor", b"", account="alice", checklists=["nis2"])
    assert len(found.insights) == 11
    assert {one.insight.kind for one in found.insights} == {"control", "checklist"}
    assert agents.run("cve-triage", b"", account="alice").statement == ""


@pytest.mark.parametrize(
    ("agent", "raw", "field"),
    [("dns-guard", b" \n", "body"), ("cve-triage", b"x", "body"), ("dns-guard", b"hello", "body")],
)
def test_what_an_agent_does_not_read(agents: Agents, agent: str, raw: bytes, field: str) -> None:
    """Nothing where it needs something, something where it needs nothing, and what is no log."""
    with pytest.raises(BadRequest) as told:
        agents.run(agent, raw, account="alice")
    assert told.value.field == field
    assert told.value.hint


def test_another_agent_and_too_many_at_once(agents: Agents) -> None:
    """There is none of that name; and only some run at a time."""
    with pytest.raises(NotFound, match="no agent"):
        agents.run("enrichment", b"", account="alice")
    for _ in range(AT_ONCE):
        agents._places.acquire()
    with pytest.raises(Unavailable, match="Other agents"):
        agents.run("cve-triage", b"", account="alice")
