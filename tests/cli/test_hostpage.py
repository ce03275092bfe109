"""The host page's own choices: what it leaves out, and how it says so. `test_hosts` drives the whole command."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from spectra.cli.hostpage import host_page
from spectra.model.records import EvidenceRecord, HostRecord

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def nonce(n: int) -> EvidenceRecord:
    """What a script said `n` hours ago, something else each time."""
    at = NOW - timedelta(hours=n)
    return EvidenceRecord(kind="nse:http-auth", data=f"nonce {n}", first_seen=at, last_seen=at)


def test_evidence_that_changes_every_time_is_shown_once() -> None:
    """Of one kind and key the newest piece is shown, with the number of the earlier ones."""
    host = HostRecord("192.0.2.1", NOW, NOW, "up", evidence=(nonce(3), nonce(1), nonce(2)))
    page = "\n".join(line.plain for line in host_page(host, NOW, 100))
    assert page.count("nse:http-auth") == 1
    assert "nonce 1" in page
    assert "(+2 earlier)" in page
