"""The firewall's log: real lines are no alarm; scans, sweeps, beats and bursts are."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from spectra.ai.agents import traffic
from spectra.model.insights import Insight

NOW = datetime(2027, 1, 2, tzinfo=UTC)
T0 = datetime(2027, 1, 1, 10, tzinfo=UTC)


def found(packets: Iterable[tuple[float, str, str, int]], *, source_port: int = 40000) -> list[Insight]:
    """What is concluded of packets: seconds, source, target, port."""
    lines = [
        f"{T0 + timedelta(seconds=s):%b %e %H:%M:%S} fw kernel: [1.0] IN=eth0 OUT= SRC={a} DST={b} LEN=60 PROTO=TCP"
        f" SPT={source_port} DPT={port} WINDOW=1 RES=0x00 SYN URGP=0"
        for s, a, b, port in packets
    ]
    return traffic.run("\n".join(lines).encode(), NOW)[0]


def test_a_real_log_is_no_alarm(shared_data: Path) -> None:
    """Of a home network: Spotify's and NetBIOS' broadcasts come by the clock, and mean nothing."""
    insights, log = traffic.run((shared_data / "traffic" / "ivre__iptables.log").read_bytes(), NOW)
    assert (len(log.entries), insights) == (40, [])


@pytest.mark.parametrize(("source", "severity"), [("10.0.0.5", "high"), ("93.184.216.34", "low")])
def test_scans_and_sweeps(source: str, severity: str) -> None:
    """Of a machine within they are grave; the Internet does so all day. Slower, or fewer: nothing is told."""
    (one,) = found((n, source, "10.0.0.1", 1000 + n) for n in range(20))
    assert (one.kind, one.severity, one.subjects) == ("port_scan", severity, (f"host:{source}", "host:10.0.0.1"))
    (one,) = found((n, source, f"10.0.1.{n + 1}", 445) for n in range(20))
    assert (one.kind, one.severity, one.key) == ("sweep", severity, "445/tcp")
    assert not found((n * 60, source, "10.0.0.1", 1000 + n) for n in range(20))
    assert not found((n, source, "10.0.0.1", 1000 + n) for n in range(14))


def test_beats() -> None:
    """By the clock to the Internet: medium; within: low; to a port where that is usual, or unevenly: not told."""
    beat = [60.0 * n + n % 2 for n in range(40)]
    (one,) = found((s, "10.0.0.5", "93.184.216.34", 443) for s in beat)
    assert (one.kind, one.severity) == ("steady_connection", "medium")
    assert found((s, "10.0.0.5", "10.0.0.6", 443) for s in beat)[0].severity == "low"
    assert not found((s, "10.0.0.5", "93.184.216.34", 123) for s in beat)
    assert not found((s + n * n * 37 % 50, "10.0.0.5", "93.184.216.34", 443) for n, s in enumerate(beat))


def test_bursts() -> None:
    """Against the source's own rate: a source that always sends much has none."""
    usual = [(300.0 * window + n, "10.0.0.5", "10.0.0.1", 443) for window in range(12) for n in range(5)]
    burst = [(3000.0 + n / 5, "10.0.0.5", "10.0.0.1", 443) for n in range(400)]
    assert [one.kind for one in found(sorted(usual + burst))] == ["burst"]
    much = [(300.0 * window + n / 2, "10.0.0.5", "10.0.0.1", 443) for window in range(12) for n in range(400)]
    assert not found(much)
