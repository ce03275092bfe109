"""Coverage over HTTP: how fresh a selection is, and where nobody looked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.node import Node, is_problem
from tests.support import samples

pytestmark = pytest.mark.engine


def read(node: Node, **params: Any) -> dict[str, Any]:
    """The coverage of a selection."""
    response = node.get("/v0/coverage", "read-only", **params)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.fixture(scope="module")
def ip(node: Node) -> str:
    """A host with a fresh web server and an SSH server seen two days ago."""
    address, now = samples.address(), datetime.now(UTC)
    for port, name, at in ((22, "ssh", now - timedelta(days=2)), (80, "http", now)):
        node.submitted(samples.nmap(samples.nmap_host(address, port, at=at, name=name), at=at))
    return address


def test_ages_and_services(node: Node, ip: str) -> None:
    """Every endpoint is in one bucket, and fresh or stale by its service."""
    found = read(node, q=f"ip:{ip}")
    assert (found["endpoints"], found["fresh"], found["stale"], found["exact"]) == (2, 1, 1, True)
    ages = {age["within"]: age["endpoints"] for age in found["ages"]}
    assert ages == {"1h": 1, "6h": 0, "24h": 0, "3d": 1, "7d": 0, "30d": 0, "90d": 0, "older": 0}
    assert {s["service"]: (s["fresh"], s["stale"]) for s in found["services"]} == {"http": (1, 0), "ssh": (0, 1)}
    assert found["gaps"] is None


def test_fields_are_parameters_too(node: Node, ip: str) -> None:
    """As in a search."""
    assert read(node, ip=ip, service="ssh")["endpoints"] == 1


def test_gaps_of_a_network(node: Node, ip: str) -> None:
    """What was never seen of a network that is asked for."""
    gaps = read(node, net=f"{ip}/32")["gaps"]
    assert (gaps["networks"], gaps["never_seen_blocks"]) == (1, 0)
    gaps = read(node, q="net:100.71.9.0/24,100.71.2.0/24")["gaps"]
    assert gaps["never_seen"] == ["100.71.2.0/24", "100.71.9.0/24"]
    assert gaps["exact"]


class Feeds:
    """What feeds might know."""

    def asn(self, ip: str) -> int:
        """Nothing."""
        return 0

    def prefixes(self, asn: int) -> Sequence[str]:
        """AS 64500 has one network."""
        return ("100.71.9.0/24",) if asn == 64500 else ()


def test_gaps_of_an_as(node: Node) -> None:
    """Its networks come from the feeds; without any there is nothing to look through, and too many are said to be."""
    assert read(node, asn="64500")["gaps"] is None
    with node.variant(networks=Feeds()) as informed:
        assert read(informed, asn="AS64500")["gaps"]["never_seen"] == ["100.71.9.0/24"]
        assert read(informed, q="-asn:64500")["gaps"] is None
        assert read(informed, asn="64501")["gaps"] is None
        wide = read(informed, asn="64490-65000")["gaps"]
        assert (wide["networks"], wide["exact"]) == (1, False)


@pytest.mark.parametrize(
    ("params", "field"), [({"q": "prot:1"}, "q"), ({"prot": "1"}, "prot"), ({"port": "x"}, "port")]
)
def test_what_is_wrong_is_named(node: Node, params: dict[str, str], field: str) -> None:
    """A filter that there is not is refused rather than ignored."""
    response = node.get("/v0/coverage", "user", **params)
    assert response.status_code == 400
    assert response.json()["field"] == field


def test_a_field_twice_and_a_stranger(node: Node) -> None:
    """Commas mean or, not a second parameter; and coverage is a scope of its own."""
    assert node.ask("GET", "/v0/coverage?port=1&port=2", "user").json()["field"] == "port"
    is_problem(node.get("/v0/coverage", "module"), 403, "forbidden")
