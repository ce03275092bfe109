"""Made-up hosts: the XML says what the records say, and always the same."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.bench import hosts
from spectra.ingest.parsers import Context, parse
from spectra.model.envelope import Privacy
from spectra.model.observation import HostSeen


def parsed(xml: bytes) -> list[HostSeen]:
    """What the nmap parser makes of it."""
    form, records = parse(io.BytesIO(xml), Context(default_time=datetime.now(UTC), privacy=Privacy.FULL))
    assert form == "nmap-xml"
    return [record for record in records if isinstance(record, HostSeen)]


@given(first=st.integers(0, 1_000_000), count=st.integers(1, 30))
def test_the_parser_reads_what_the_baseline_is_given(first: int, count: int) -> None:
    """Both sides of the comparison get the same hosts: otherwise the ratio would compare two different things."""
    assert parsed(hosts.nmap_xml(first, count)) == list(hosts.records(first, count))


def test_a_number_is_always_the_same_host() -> None:
    """In any batch, so that runs with other batches measure the same data."""
    whole = list(hosts.records(0, 40))
    assert [host for first in range(0, 40, 10) for host in hosts.records(first, 10)] == whole
    assert hosts.nmap_xml(5, 7) == hosts.nmap_xml(5, 7)


def test_no_two_hosts_share_an_address() -> None:
    """Up to many more than a /16."""
    assert len({hosts.address(n) for n in range(70_000)}) == 70_000


@pytest.mark.parametrize("number", [0, 1, 999, 999_999])
def test_each_has_three_services(number: int) -> None:
    """On ports of their own, each with a product and version."""
    (host,) = hosts.records(number, 1)
    assert len({e.port for e in host.endpoints}) == 3
    assert all(e.service and e.service.product and e.service.version for e in host.endpoints)


def test_services_are_shared_as_on_a_real_network() -> None:
    """A few thousand distinct ones among any number of hosts."""
    distinct = {e.service for host in hosts.records(0, 5000) for e in host.endpoints}
    assert 500 < len(distinct) < 10 * 300
