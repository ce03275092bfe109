"""Facts beside observations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from spectra.flow.enrichment import BATCH, NoFacts, enriched
from spectra.model.facts import HostFacts
from spectra.model.observation import HostSeen, Silent

NOON = datetime(2027, 1, 1, 12, tzinfo=UTC)


class Numbers:
    """Knows of each host in which call it was asked for."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def facts(self, ips: Sequence[str]) -> Sequence[HostFacts]:
        """One for each."""
        self.calls.append(len(ips))
        return [HostFacts(ip, len(self.calls)) for ip in ips]


def test_facts_come_before_the_hosts_they_are_about() -> None:
    """Hosts alone are looked up, a batch at a time, and nothing else changes."""
    assets = [HostSeen(f"10.{n >> 8}.{n & 255}.1", NOON) for n in range(BATCH + 5)]
    assets_and_silence = [Silent("10.9.9.9", NOON), *assets]
    source = Numbers()
    told: set[str] = set()
    kept: list[object] = []
    for asset in enriched(assets_and_silence, source):
        if isinstance(asset, HostFacts):
            told.add(asset.ip)
        else:
            kept.append(asset)
            assert not isinstance(asset, HostSeen) or asset.ip in told
    assert kept == assets_and_silence
    assert source.calls == [BATCH - 1, 6]


def test_without_feeds_nothing_is_added() -> None:
    """The same assets, one by one."""
    assets = [HostSeen("10.0.0.1", NOON)]
    assert list(enriched(assets, NoFacts())) == assets
