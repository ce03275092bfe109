"""What is different between two records of a host."""

from __future__ import annotations

from datetime import UTC, datetime

from spectra.model.observation import Service, State
from spectra.model.records import EndpointRecord, HostnameRecord, HostRecord
from spectra.web.comparing import compared

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def endpoint(port: int, product: str = "nginx", state: State = "open") -> EndpointRecord:
    """An endpoint of a record."""
    return EndpointRecord(
        state=state, since=T0, confirmed=T0, service=Service("http", product), port=port, protocol="tcp",
        first_seen=T0, last_seen=T0,
    )  # fmt: skip


def record(*endpoints: EndpointRecord, names: tuple[str, ...] = (), os: str = "") -> HostRecord:
    """A host."""
    told = tuple(HostnameRecord(name, "dns", T0, T0) for name in names)
    return HostRecord("192.0.2.1", T0, T0, "up", os=os, hostnames=told, endpoints=endpoints)


def test_endpoints_names_and_facts() -> None:
    """New, gone and changed ones, by port; what is as it was is only counted."""
    before = record(endpoint(22), endpoint(80), endpoint(443), endpoint(8080), names=("a", "b"), os="Linux 5")
    after = record(endpoint(22), endpoint(80, "apache"), endpoint(443, state="closed"), endpoint(25), names=("b", "c"))
    told = compared(before, after)
    kinds = [(one.port, one.kind) for one in told.endpoints]
    assert kinds == [(25, "new"), (80, "changed"), (443, "gone"), (8080, "gone")]
    assert [(one.field, one.before, one.after) for one in told.endpoints[1].changes] == [("product", "nginx", "apache")]
    assert (told.same, told.names_new, told.names_gone) == (1, ("c",), ("a",))
    assert [(one.field, one.before, one.after) for one in told.facts] == [("operating system", "Linux 5", "")]


def test_before_it_was_seen() -> None:
    """All is new, and no fact is another one."""
    told = compared(None, record(endpoint(80), endpoint(81, state="closed"), names=("a",)))
    assert [(one.port, one.kind) for one in told.endpoints] == [(80, "new")]
    assert (told.same, told.facts, told.names_new) == (0, (), ("a",))
    assert compared(None, None).endpoints == ()
