"""Made-up services of real products: all different, read by the real parser as they were meant, and repeatable."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.bench import wares
from spectra.bench.wares import Ware
from spectra.errors import SpectraError
from spectra.ingest.parsers import Context, parse
from spectra.intel.correlate import NoNames, identify
from spectra.model.envelope import Privacy
from spectra.model.observation import HostSeen
from spectra.model.vulns import Criterion, Node, Product, Rule
from spectra.store.affected import StoredRule

SSH = Ware("openssh", Product("a", "openbsd", "openssh"), ("7.4", "8.5p1", "9.2"))
NGINX = Ware("nginx", Product("a", "f5", "nginx"), ("1.18.0", "1.3.9"))


@given(st.integers(1, 400))
def test_they_are_different_and_at_least_half_are_different_software(count: int) -> None:
    """As many as asked for, the same ones each time."""
    made = wares.services([SSH, NGINX], count)
    assert len(set(made)) == len(made) == count
    assert made == wares.services([SSH, NGINX], count)
    software = {identify(service, NoNames()).fingerprint for service in made}
    assert len(software) >= count / 2


def test_each_is_what_it_is_said_to_be() -> None:
    """Known by name in the version that was meant, builds of distributions too."""
    for service in wares.services([NGINX], 60):
        software = identify(service, NoNames())
        assert any(
            i.cpe.startswith(f"cpe:2.3:a:f5:nginx:{service.version.partition('-')[0]}:") for i in software.identities
        )
        assert bool(software.distribution) == ("-" in service.version)


def test_versions_are_those_that_rules_mention() -> None:
    """Of the product itself: bounds and names, and nothing that is no version."""
    other = Criterion("cpe:2.3:a:other:other:5.5:*:*:*:*:*:*:*")
    named = Criterion("cpe:2.3:a:openbsd:openssh:9.2:p1:*:*:*:*:*:*")
    bounded = Criterion("cpe:2.3:a:openbsd:openssh:*:*:*:*:*:*:*:*", at_least="7.0", below="next week")
    nodes = (Node(criteria=(other, named), children=(Node(criteria=(bounded,)),)),)
    rule = StoredRule(1, 1, Rule("CVE-2024-0001", "nvd", SSH.product, nodes))
    assert wares._versions([rule]) == ("7.0", "9.2p1")


def test_the_parser_reads_them_as_they_were_meant() -> None:
    """Every service of every host."""
    made = wares.services([SSH, NGINX], 50)
    groups = [made[i : i + 4] for i in range(0, 50, 4)]
    context = Context(default_time=datetime.now(UTC), privacy=Privacy.FULL)
    _, records = parse(io.BytesIO(wares.nmap_xml(0, groups)), context)
    hosts = [r for r in records if isinstance(r, HostSeen)]
    assert [[e.service for e in host.endpoints] for host in hosts] == groups


def test_without_any_version_there_is_nothing_to_make() -> None:
    """And that is said, instead of looking for ever."""
    with pytest.raises(SpectraError, match="no version"):
        wares.services([], 10)
