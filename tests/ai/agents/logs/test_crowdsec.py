"""Alerts of CrowdSec: those of its own tests, and what is none."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from spectra.ai.agents.logs import crowdsec
from spectra.errors import BadRequest

NOW = datetime(2027, 1, 1, tzinfo=UTC)


def sample(shared: Path, name: str) -> bytes:
    """One of CrowdSec's own."""
    return (shared / "ioc" / "crowdsec" / f"pkg__apiserver__tests__{name}.json").read_bytes()


def test_real_alerts_are_read(shared_data: Path) -> None:
    """Source, network, users and pace; older ones spell `Events`."""
    log = crowdsec.read(sample(shared_data, "alert_bulk"), NOW)
    assert (len(log.entries), log.skipped) == (20, 0)
    first = log.entries[0]
    assert (first.scenario, first.ip, first.network) == ("crowdsecurity/ssh-bf", "91.121.79.195", "91.121.72.0/21")
    assert (first.users, first.services, first.events, first.banned) == (("root",), ("ssh",), 6, None)
    assert first.start is not None
    (one,) = crowdsec.read(sample(shared_data, "alert_sample"), NOW).entries
    assert (one.machine, one.banned) == ("test", True)


@pytest.mark.parametrize("name", ["invalidAlert_sample"])
def test_what_is_no_alert_is_refused(shared_data: Path, name: str) -> None:
    """An alert without scenario and source; a list of decisions; no JSON; one that is too deep."""
    decisions = (shared_data / "ioc" / "crowdsec" / "test__bats__testdata__90_decisions__decisions.json").read_bytes()
    for raw in (sample(shared_data, name), decisions, b"x", b"{", b"[" * 100_000, b"3"):
        with pytest.raises(BadRequest, match="no alerts"):
            crowdsec.read(raw, NOW)


def test_a_line_each_and_bad_ones_among_good() -> None:
    """What is no alert is counted, not fatal."""
    good = b'{"scenario": "a/b", "source": {"ip": "192.0.2.1"}}'
    log = crowdsec.read(good + b"\n" + b'{"scenario": 3}\n' + good, NOW)
    assert (len(log.entries), log.skipped) == (2, 1)
    assert len(crowdsec.read(good, NOW).entries) == 1
    assert crowdsec.read(b"[]", NOW).entries == ()
