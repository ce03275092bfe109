"""What submissions changed, by what was known before them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from spectra.model.observation import Certificate
from spectra.model.query import parse
from spectra.store import alertseen
from spectra.store.database import Connection, Database
from spectra.store.provenance import Entry, commit, head
from tests.store.scribe import T0, Scribe, Written, host, seen

pytestmark = pytest.mark.engine

A, B = "192.0.2.1", "2001:db8::1"
HOUR = timedelta(hours=1)


def settled(database: Database, written: Written) -> int:
    """Have the chain tell of a submission; its place there."""
    commit(database, lambda _: (None, [Entry("observation.settled", written.observation_id, {}, T0)]))
    return head(database)[0]


class Changes(NamedTuple):
    """All that is noticed, described."""

    hosts: tuple[tuple[str, datetime], ...] = ()
    endpoints: tuple[alertseen.Change, ...] = ()
    more: bool = False


def changes(connection: Connection, observations: list[int], after: int) -> Changes:
    """What these submissions changed."""
    noticed = alertseen.Noticed(connection, observations, after)
    return Changes(noticed.hosts, tuple(alertseen.described(connection, noticed.endpoints)), noticed.more)


def changed(database: Database, after: int, *written: Written) -> Changes:
    """The same on a connection of its own."""
    with database.connection() as connection:
        return changes(connection, [one.seq for one in written], after)


def test_kinds_of_changes(database: Database, write: Scribe) -> None:
    """A port, a service, a version, a title, a certificate: each by both sides; a scan that says the same is none."""
    old, new = (Certificate(sha256=f"{n}" * 64, subject_cn=f"c{n}") for n in (1, 2))
    first = write([host(A, T0, seen(22), seen(80, "http", "nginx", "1.0"), seen(443, "https", "x", certificate=old))])
    at = settled(database, first)
    second = write([
        host(A, T0 + HOUR, seen(22, "ssh"), seen(80, "http", "nginx", "1.1"), seen(443, "https", "x", certificate=new)),
        host(B, T0 + HOUR, seen(53, protocol="udp")),
    ])  # fmt: skip
    found = changed(database, at, second)
    assert [(one.ip, one.port, one.protocol, one.kinds) for one in sorted(found.endpoints)] == [
        (A, 22, "tcp", ("service.new",)),
        (A, 80, "tcp", ("service.changed",)),
        (A, 443, "tcp", ("certificate.changed",)),
        (B, 53, "udp", ("port.opened",)),
    ]
    assert found.hosts == ((B, T0 + HOUR),)
    after = settled(database, second)
    again = write([host(A, T0 + 2 * HOUR, seen(80, "http", "nginx", "1.1"))])
    assert changed(database, after, again) == Changes()
    assert changed(database, 0) == Changes()


def test_what_was_known_before_is_no_change(database: Database, write: Scribe) -> None:
    """Also where an older scan comes later, or another of the same instant."""
    at = settled(database, write([host(A, T0, seen(80))]))
    older, same = write([host(A, T0 - HOUR, seen(80))]), write([host(A, T0, seen(80))])
    assert changed(database, at, older, same) == Changes()


def test_queries_hold_for_what_it_was_then(database: Database, write: Scribe) -> None:
    """Also where it is another by now."""
    first = write([host(A, T0, seen(80, "http", "nginx", "1.0"))])
    second = write([host(A, T0 + HOUR, seen(80, "http", "Apache", "2.4"))])
    with database.connection() as connection:
        found = changes(connection, [first.seq, second.seq], 0).endpoints
        now = datetime(2026, 6, 1, tzinfo=UTC)
        kept = {q: alertseen.matching(connection, parse(q, now), found) for q in ("product:nginx", "port:1", "")}
    assert [one.after.product for one in kept["product:nginx"]] == ["nginx"]
    assert (kept["port:1"], len(kept[""])) == ([], 2)


def test_what_is_noticed_is_described_when_it_is_asked_for(database: Database, write: Scribe) -> None:
    """As it was then; ports by themselves or out of all, for those hosts alone."""
    first = write([host(A, T0, seen(80, "http", "nginx", "1.0"), seen(22)), host(B, T0, seen(53))])
    second = write([host(A, T0 + HOUR, seen(80, "http", "Apache", "2.4"))])
    with database.connection() as connection:
        noticed = alertseen.Noticed(connection, [first.seq, second.seq])
        ports = {ip: sorted(set(its)) for ip, its in noticed.ports([A]).items()}
        found = noticed.endpoints
        assert {one.after.product for one in found} == {"", "nginx", "Apache"}
        assert {one.before for one in found} == {alertseen.Brief()}
        assert ports == {ip: sorted(set(its)) for ip, its in noticed.ports([A]).items()} == {A: [22, 80]}
        told = alertseen.described(connection, found)
        assert [one[:5] for one in told] == [one[:5] for one in found]
        assert [(one.before.product, one.after.product) for one in told if one.port == 80] == [
            ("", "nginx"),
            ("nginx", "Apache"),
        ]
        gone = found[0]._replace(at=T0 - HOUR)
        assert alertseen.described(connection, [gone]) == [gone]
        assert alertseen.described(connection, ()) == []
        assert changes(connection, [first.seq, second.seq], 0).endpoints == tuple(told)


def test_no_more_changes_than_may_be_are_looked_at(
    database: Database, write: Scribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of them; that there are more is said."""
    written = write([host(A, T0, seen(80)), host(B, T0 + HOUR, seen(80))])
    monkeypatch.setattr(alertseen, "MAX_CHANGES", 1)
    found = changed(database, 0, written)
    assert ([ip for ip, _ in found.hosts], [one.ip for one in found.endpoints], found.more) == ([A], [A], True)
