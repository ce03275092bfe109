"""What an observation makes fresh: held against the definition of staleness, for every way an endpoint is written."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from spectra.model.lifetimes import Lifetimes, stale_at
from spectra.model.observation import EndpointSeen, HostSeen, Swept
from spectra.store.content import Known
from spectra.store.database import Database
from spectra.store.freshness import Freshness
from spectra.store.graph import GraphWriter
from tests.store.scribe import T0, Scribe, host, seen

HOUR = timedelta(hours=1)
IP = "192.0.2.1"


def look(
    database: Database,
    write: Scribe,
    at: datetime,
    *endpoints: EndpointSeen,
    ip: str = IP,
    received: datetime | None = None,
    by: str = "alice",
    trust: float = 1.0,
    records: Sequence[HostSeen | Swept] = (),
    lifetimes: Lifetimes | None = None,
) -> int:
    """How many endpoints one observation of a host made fresh."""
    seq = write([], at=received or at, contributor=by, trust=trust).seq
    with database.transaction() as connection:
        writer = GraphWriter(database, connection, Known(), seq, lifetimes=lifetimes)
        for record in records or [host(ip, at, *endpoints)]:
            writer.add(record)
        writer.finish()
    return writer.fresh


@pytest.mark.engine
def test_what_was_unknown(database: Database, write: Scribe) -> None:
    """On a new host, and on a known one; closed ports are nothing to be fresh."""
    assert look(database, write, T0, seen(22, "ssh"), seen(80, "http"), seen(81, state="closed")) == 2
    assert look(database, write, T0 + HOUR, seen(80, "http"), seen(443, "http"), seen(82, state="closed")) == 1


@pytest.mark.engine
@pytest.mark.parametrize(("name", "hours"), [("http", 6), ("ssh", 24), ("ntp", 168), ("", 24), ("https", 6)])
def test_what_was_stale(database: Database, write: Scribe, name: str, hours: int) -> None:
    """By the lifetime of the service that the look names, to the second; looking again before changes nothing."""
    endpoint = seen(80, name)
    assert look(database, write, T0, endpoint) == 1
    due = stale_at(name, T0, Lifetimes())
    assert due == T0 + hours * HOUR
    assert look(database, write, due - timedelta(seconds=1), endpoint) == 0  # and that is its newest look now
    again = stale_at(name, due - timedelta(seconds=1), Lifetimes())
    assert look(database, write, again, endpoint) == 1
    assert look(database, write, again + timedelta(seconds=1), endpoint) == 0


@pytest.mark.engine
def test_the_settings_lifetimes_hold(database: Database, write: Scribe) -> None:
    """As for plans."""
    short = Lifetimes({"ssh": 60})
    assert look(database, write, T0, seen(22, "ssh"), lifetimes=short) == 1
    assert look(database, write, T0 + timedelta(seconds=60), seen(22, "ssh"), lifetimes=short) == 1


@pytest.mark.engine
def test_what_was_closed_meanwhile(database: Database, write: Scribe) -> None:
    """An endpoint that opens again counts if it was last seen open long enough ago."""
    look(database, write, T0, seen(80, "http"))
    assert look(database, write, T0 + 5 * HOUR, seen(80, state="closed")) == 0
    assert look(database, write, T0 + 6 * HOUR, seen(80, "http")) == 1


@pytest.mark.engine
def test_looks_that_were_old_when_they_came(database: Database, write: Scribe) -> None:
    """An hour old is fresh; older than its service lives is not, however new the host is to us."""
    assert look(database, write, T0, seen(80, "http"), seen(22, "ssh"), received=T0 + 6 * HOUR) == 1
    assert look(database, write, T0, seen(80, "http"), ip="192.0.2.2", received=T0 + HOUR) == 1
    assert look(database, write, T0, seen(80, "http"), ip="192.0.2.3", received=T0 + timedelta(days=400)) == 0


@pytest.mark.engine
def test_what_comes_late(database: Database, write: Scribe) -> None:
    """Someone looked as late or later: nothing became fresh by an older look, or one of the same moment."""
    look(database, write, T0 + HOUR, seen(80, "http"))
    assert look(database, write, T0, seen(80, "http"), seen(443, "http"), received=T0 + HOUR) == 0
    assert look(database, write, T0 + HOUR, seen(80, "http"), by="bob") == 0


@pytest.mark.engine
def test_what_untrusted_contributors_claim(database: Database, write: Scribe) -> None:
    """Hosts that only they know do not count, nor what they say against others; confirming what others saw does."""
    untrusted: dict[str, Any] = {"by": "mallory", "trust": 0.3}
    assert look(database, write, T0, seen(22), seen(80), ip="203.0.113.9", **untrusted) == 0
    assert look(database, write, T0 + 48 * HOUR, seen(22), seen(80), ip="203.0.113.9", **untrusted) == 0
    assert look(database, write, T0, seen(80, "http", "nginx")) == 1
    assert look(database, write, T0 + 6 * HOUR, seen(80, "http", "other"), seen(81), **untrusted) == 0
    assert look(database, write, T0 + 7 * HOUR, seen(80, "http", "nginx"), **untrusted) == 1


@pytest.mark.engine
def test_a_sweep_alone_makes_nothing_fresh(database: Database, write: Scribe) -> None:
    """What it says of ports that it does not list is that they are closed."""
    look(database, write, T0, seen(80, "http"), seen(22, "ssh"))
    at = T0 + 48 * HOUR
    records = [Swept("tcp", ((1, 1000),)), host(IP, at, seen(22, "ssh"), rest="closed")]
    assert look(database, write, at, records=records) == 1


def test_lifetimes_are_looked_up_once() -> None:
    """A look that is as old as its service lives is stale; without a time of receipt all are."""
    fresh = Freshness(None, T0)
    assert fresh.age_s(T0 - HOUR) == 3600
    assert fresh.life("http", 6 * 3600 - 1) == 6 * 3600
    assert fresh.life("http", 6 * 3600) == 0
    assert fresh.life("", 0) == 24 * 3600
    unknown = Freshness(None, None)
    assert unknown.life("http", unknown.age_s(T0)) == 0
