"""`connect_output`: the lines the built-in scanner writes."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address

import msgspec

from spectra.collect.scanners.connect_output import HostResult, Output, PortResult
from spectra.collect.scanners.grab import Found
from spectra.model.envelope import Privacy
from spectra.model.observation import Service
from tests.collect.scanners.conftest import request

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_a_silent_host_is_one_short_line() -> None:
    """`silent` stands alone; it is not counted as a host that answered."""
    output = Output(request("80"), NOW)
    output.add(HostResult(ip_address("127.0.0.9"), (), [], None, silent=True))
    silent = msgspec.json.decode(output.end(NOW, stopped=False).splitlines()[1])
    assert (silent["ip"], silent["silent"], set(silent)) == ("127.0.0.9", True, {"ip", "time", "silent"})
    assert output.hosts == 0


def test_meta_only_writes_no_words() -> None:
    """Whatever was learnt, the meta-only output holds no byte of banner, title or certificate."""
    found = Found(Service("http", "nginx"), "BANNER", "TITLE", b"CERTIFICATE", "TLSv1.3")
    for privacy, kept in ((Privacy.FULL, True), (Privacy.META_ONLY, False)):
        output = Output(request("443", privacy=privacy), NOW)
        output.add(HostResult(ip_address("127.0.0.1"), (), [PortResult(443, found)], "closed"))
        data = output.end(NOW, stopped=False)
        assert (b"BANNER" in data, b"TITLE" in data, b"TLSv1.3" in data) == (kept, kept, kept)
        assert b"nginx" in data
