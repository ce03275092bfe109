"""Things that rules watch for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from spectra.model.alerts import AlertRecord, Occurrence

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def opened(ip: str = "192.0.2.1", port: int = 22, after_s: int = 0, times: int = 1) -> Occurrence:
    """A port that opened so long after noon."""
    return Occurrence(
        kind="port.opened",
        at=NOON + timedelta(seconds=after_s),
        ip=ip,
        port=port,
        protocol="tcp",
        title=f"{ip}:{port} is open",
        times=times,
    )


def lasting(cve: str = "CVE-2024-0001", after_s: int = 0) -> Occurrence:
    """A weakness."""
    return Occurrence(
        kind="finding.new", at=NOON + timedelta(seconds=after_s), ip="192.0.2.1", cve=cve, title=f"{cve} is there"
    )


def alert(title: str = "a port is open", count: int = 1, why: str = "") -> AlertRecord:
    """An alert."""
    return AlertRecord(
        id="alert-1",
        rule="ports",
        key="192.0.2.1",
        kind="port.opened",
        severity="high",
        title=title,
        state="firing",
        first=NOON,
        last=NOON,
        count=count,
        why=why,
    )
