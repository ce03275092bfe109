"""What is never scanned, who asked for it, and who decided."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from spectra.errors import BadRequest, NotFound
from spectra.model.limits import DoNotScanRequest
from spectra.store import blocks, do_not_scan
from spectra.store.database import Database
from spectra.store.provenance import links

pytestmark = pytest.mark.engine

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def request(database: Database, network: str = "192.0.2.0/24", **fields: object) -> DoNotScanRequest:
    """A stranger's request."""
    words: dict[str, object] = {"contact": "noc@example.org", "reason": "ours", "source": "198.51.100.0/24", "now": NOW}
    found = do_not_scan.ask(database, network=network, **(words | fields))  # type: ignore[arg-type]
    assert found
    return found


def never(database: Database, at: datetime = NOW) -> do_not_scan.Excluded:
    """What is not to be scanned at `at`."""
    with database.connection() as connection:
        return do_not_scan.excluded(connection, at)


def test_asking_changes_nothing_but_is_kept(database: Database) -> None:
    """The same from the same source once; another source is another request."""
    first = request(database)
    assert first.status == "pending"
    assert request(database, contact="other@example.org") == first
    assert request(database, source="203.0.113.0/24") != first
    assert never(database) == ((), ())
    assert list(links(database)) == []


def test_approving_puts_the_network_on_the_list(database: Database) -> None:
    """At once, and with a trace in the chain that does not name who asked."""
    asked = request(database)
    decided = do_not_scan.approve(database, UUID(asked.request_id), by="root", now=NOW, note="ticket 7")
    assert (decided.status, decided.decided_by, decided.note, decided.contact) == (
        "approved",
        "root",
        "ticket 7",
        "noc@example.org",
    )
    (entry,) = do_not_scan.entries(database)
    assert (entry.network, entry.request_id, entry.reason) == ("192.0.2.0/24", asked.request_id, "ticket 7")
    assert never(database).networks == ("192.0.2.0/24",)
    assert [link.kind for link in links(database)] == ["do_not_scan.approved", "do_not_scan.added"]
    assert not any("noc@example.org" in link.entry or "ours" in link.entry for link in links(database))


def test_rejecting_leaves_the_list_as_it_is(database: Database) -> None:
    """And is on record."""
    asked = request(database)
    assert do_not_scan.reject(database, UUID(asked.request_id), by="root", now=NOW).status == "rejected"
    assert do_not_scan.entries(database) == ()
    assert [link.kind for link in links(database)] == ["do_not_scan.rejected"]


def test_a_decision_is_final(database: Database) -> None:
    """Deciding again is refused, whatever was decided, and what was never asked is not found."""
    asked = request(database)
    do_not_scan.reject(database, UUID(asked.request_id), by="root", now=NOW)
    for decide in (do_not_scan.approve, do_not_scan.reject):
        with pytest.raises(BadRequest, match="rejected already") as caught:
            decide(database, UUID(asked.request_id), by="root", now=NOW)
        assert caught.value.reason == "request_decided"
        with pytest.raises(NotFound):
            decide(database, uuid4(), by="root", now=NOW)


def test_entries_come_and_go(database: Database) -> None:
    """Added once however often, taken off once; the row stays and is held against the chain."""
    entry = do_not_scan.add(database, network="2001:db8::/32", reason="ours", by="root", now=NOW)
    assert do_not_scan.add(database, network="2001:db8::/32", reason="again", by="carol", now=NOW) == entry
    assert do_not_scan.remove(database, UUID(entry.entry_id), by="root", now=NOW) == entry
    assert do_not_scan.entries(database) == ()
    with pytest.raises(NotFound):
        do_not_scan.remove(database, UUID(entry.entry_id), by="root", now=NOW)
    assert [link.kind for link in links(database)] == ["do_not_scan.added", "do_not_scan.removed"]
    assert do_not_scan.details(database)[UUID(entry.entry_id).hex]["removed_by"] == "root"


def test_pages_of_entries_and_requests(database: Database) -> None:
    """Every row once, entries by network and requests newest first."""
    wanted = [f"192.0.{n}.0/24" for n in range(7, 14)]  # as networks: their texts are in another order
    for n, network in enumerate(wanted):
        do_not_scan.add(database, network=network, reason="", by="root", now=NOW)
        request(database, network, now=NOW + timedelta(seconds=n // 2))
    listed: list[str] = []
    while page := do_not_scan.entries(database, limit=3, after=listed[-1] if listed else ""):
        listed += [entry.network for entry in page]
    assert listed == wanted
    seen: list[DoNotScanRequest] = []
    while found := do_not_scan.requests(
        database, limit=2, after=(seen[-1].received, UUID(seen[-1].request_id)) if seen else None
    ):
        seen += found
    assert sorted(one.network for one in seen) == sorted(wanted)
    assert [one.received for one in seen] == sorted((one.received for one in seen), reverse=True)
    do_not_scan.reject(database, UUID(seen[0].request_id), by="root", now=NOW)
    assert len(do_not_scan.requests(database, status="pending")) == 6
    assert [one.request_id for one in do_not_scan.requests(database, status="rejected")] == [seen[0].request_id]


def test_blocks_that_are_about_targets_count(database: Database) -> None:
    """Networks and ASNs, as long as the block stands."""
    end = NOW + timedelta(days=1)
    for words in ({"network": "198.51.100.0/24"}, {"asn": 64500}):
        blocks.add(database, reason="x", by="root", now=NOW, until=end, targets=True, **words)  # type: ignore[arg-type]
    blocks.add(database, network="203.0.113.0/24", reason="x", by="root", now=NOW)
    do_not_scan.add(database, network="192.0.2.0/24", reason="", by="root", now=NOW)
    assert never(database) == (("192.0.2.0/24", "198.51.100.0/24"), (64500,))
    assert never(database, end) == (("192.0.2.0/24",), ())


def test_requests_are_bounded_in_number(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where many come at one moment; after a decision there is room again."""
    monkeypatch.setattr(do_not_scan, "MAX_PENDING", 5)

    def send(n: int) -> DoNotScanRequest | None:
        words = {"contact": "x", "reason": "y", "source": f"198.51.{n}.0/24"}
        return do_not_scan.ask(database, network="192.0.2.0/24", now=NOW, **words)

    with ThreadPoolExecutor(5) as pool:
        kept = [one for one in pool.map(send, range(20)) if one]
    assert len(kept) == 5
    do_not_scan.reject(database, UUID(kept[0].request_id), by="root", now=NOW)
    assert send(77)
