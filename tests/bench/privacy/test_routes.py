"""Ways to a model; test_main.py goes them all."""

from __future__ import annotations

import io
from datetime import UTC, datetime

from spectra.bench.privacy.routes import network
from spectra.ingest.parsers import Context, parse
from spectra.model.ai import Kind
from spectra.model.envelope import Privacy
from spectra.model.observation import HostSeen


def test_the_scan_has_every_value_in_it() -> None:
    """And is one that the parser reads."""
    scan, addresses, values = network(3)
    assert len(addresses) == 3
    assert {v.kind for v in values} == {Kind.ADDRESS, Kind.MAC, Kind.HOSTNAME, Kind.USER, Kind.SECRET, Kind.EMAIL}
    _, records = parse(io.BytesIO(scan), Context(default_time=datetime.now(UTC), privacy=Privacy.FULL))
    assert [record.ip for record in records if isinstance(record, HostSeen)] == addresses
