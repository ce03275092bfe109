"""Grouping lines into hosts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from spectra.ingest.parsers.window import Window, merged_service
from spectra.model.observation import Evidence, HostSeen, NameSeen, Service
from tests.ingest.parsers.reading import lines, of, read

NOW = datetime(2024, 1, 1, tzinfo=UTC)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 5), st.integers(0, 50)), max_size=80), st.integers(1, 40))
def test_nothing_is_lost_whatever_the_window(told: list[tuple[int, int, int]], size: int) -> None:
    """A naive dictionary of (ip, port) and the newest time agrees with what leaves windows of any size."""
    window, out = Window(size), list[HostSeen | NameSeen]()
    for number, port, second in told:
        at = NOW + timedelta(seconds=second)
        window.host(f"192.0.2.{number}", at).endpoint(port, "tcp", "open", at)
        out += window.spill()
    out += window.flush()
    hosts = [record for record in out if isinstance(record, HostSeen)]
    assert {(h.ip, e.port) for h in hosts for e in h.endpoints} == {(f"192.0.2.{n}", p) for n, p, _ in told}
    for number in {n for n, _, _ in told}:
        newest = max(NOW + timedelta(seconds=s) for n, _, s in told if n == number)
        assert max(h.seen_at for h in hosts if h.ip == f"192.0.2.{number}") == newest
    if len({n for n, _, _ in told}) < size:
        assert len({h.ip for h in hosts}) == len(hosts)


def test_memory_is_bounded() -> None:
    """A host with ever more to tell leaves before 64 MiB are held, and so do names; nothing is lost by it."""
    window, left = Window(), 0
    for number in range(40):
        window.holds(4 * 1024 * 1024)
        window.name(f"n{number}.example", NOW)
        left += len(list(window.spill()))
    assert left > 0
    assert left + len(list(window.flush())) == 40


def test_more_hosts_than_the_window_holds() -> None:
    """10,000 hosts leave in the order they came."""
    data = lines(*({"ip": f"10.0.{n >> 8}.{n & 255}", "port": 80} for n in range(10_000)))
    hosts = of(HostSeen, read(data))
    assert [h.ip for h in hosts] == [f"10.0.{n >> 8}.{n & 255}" for n in range(10_000)]


def test_the_newest_state_holds() -> None:
    """Whatever the order of the lines."""
    window = Window()
    host = window.host("192.0.2.1", NOW)
    later = NOW + timedelta(seconds=5)
    host.endpoint(80, "tcp", "closed", later)
    host.endpoint(80, "tcp", "open", NOW)
    host.endpoint(81, "tcp", "open", NOW)
    host.endpoint(81, "tcp", "closed", later)
    (seen,) = window.flush()
    assert isinstance(seen, HostSeen)
    assert [e.state for e in seen.endpoints] == ["closed", "closed"]


def test_evidence_is_kept_once_and_bounded() -> None:
    """Equal kind and key once; 64 pieces for one thing."""
    remarks = Window().host("192.0.2.1", NOW).remarks
    assert remarks.add(Evidence("a", "x")) > 0
    assert remarks.add(Evidence("a", "y")) == 0
    for number in range(100):
        remarks.add(Evidence("a", "z", str(number)))
    assert len(remarks.all()) == 64


def test_hostnames_are_bounded() -> None:
    """256 names; the first word on a name's kind holds."""
    host = Window().host("192.0.2.1", NOW)
    host.called("a.example", "user")
    host.called("a.example", "dns")
    host.called(None, "dns")
    for number in range(1000):
        host.called(f"n{number}.example", "dns")
    assert len(host.names) == 256
    assert host.names["a.example"].kind == "user"


def test_services_complete_each_other() -> None:
    """Unless they name different products."""
    name, product = Service("http"), Service(product="nginx", version="1.2", cpe=("cpe:/a:x",))
    assert merged_service(name, product) == Service("http", "nginx", "1.2", cpe=("cpe:/a:x",))
    assert merged_service(product, Service("http", "Apache", "2")) == product
    assert merged_service(None, name) == merged_service(name, None) == merged_service(name, name) == name
    assert merged_service(None, None) is None
