"""Alerts: the time that counts ends when the message that names the host has arrived."""

from __future__ import annotations

import pytest

from spectra.bench import hosts, load
from spectra.bench.alerts import alert_latency
from spectra.bench.server import BenchServer

pytestmark = pytest.mark.engine


def test_each_new_host_is_told_of(server: BenchServer) -> None:
    """By a webhook; neither rule nor outlet is left behind."""
    first = 3_500_000
    measured = alert_latency(server, first=first, samples=2)
    assert 0 < measured.p50 <= measured.p95
    with load.client_of(server) as client:
        assert client.get(f"/v0/host/{hosts.address(first + 2)}").status_code == 200
        assert client.get("/v0/alerts/rules/bench-alerts").status_code == 404
        assert client.get("/v0/outlets/bench-alerts").status_code == 404
