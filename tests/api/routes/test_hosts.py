"""Hosts and names, now and then."""

from __future__ import annotations

import secrets
from datetime import timedelta

import pytest

from tests.api.node import Node, is_problem
from tests.api.routes.errands import brought, kept, toiled
from tests.support import samples

pytestmark = pytest.mark.engine

T0 = samples.T0


@pytest.fixture
def changing(node: Node) -> str:
    """A host that ran nginx at T0 and Apache a day later."""
    ip = samples.address()
    for day, product in enumerate(("nginx", "Apache httpd")):
        node.submitted(samples.scan_of(ip, 80, at=T0 + timedelta(days=day), product=product))
    return ip


def product(node: Node, ip: str, at: str = "") -> str:
    """What runs on the host's first port."""
    response = node.get(f"/v0/host/{ip}", **({"at": at} if at else {}))
    assert response.status_code == 200, response.text
    return response.json()["endpoints"][0]["service"]["product"]


def test_the_whole_host(node: Node, changing: str) -> None:
    """As it is now; with `history` every earlier version and who saw it."""
    now = node.get(f"/v0/host/{changing}").json()
    assert (now["ip"], now["status"]) == (changing, "up")
    assert now["endpoints"][0]["service"]["product"] == "Apache httpd"
    assert "history" not in now["endpoints"][0]
    past = node.get(f"/v0/host/{changing}", history="true").json()
    assert [v["service"]["product"] for v in past["endpoints"][0]["history"]] == ["nginx"]
    assert len(past["sightings"]) == 2


@pytest.mark.parametrize(
    "at",
    [
        "2026-03-01T12:30:00Z",
        "2026-03-01T14:30:00+02:00",
        "2026-03-01T14:30:00 02:00",  # a `+` that nobody percent-encoded
        "2026-03-01T07:30:00-05:00",
        "2026-03-01T12:30:00",
        "2026-03-01 12:30:00",
        "2026-03-01T12:30:00.123456Z",
        "2026-03-02",
    ],
)
def test_a_past_moment(node: Node, changing: str, at: str) -> None:
    """In every spelling of it; without a zone it is UTC."""
    assert product(node, changing, at) == "nginx"


def test_a_plus_in_the_address_line(node: Node, changing: str) -> None:
    """As typed: the `+` of an offset arrives as a blank and is read as what it was."""
    response = node.ask("GET", f"/v0/host/{changing}?at=2026-03-01T14:30:00+02:00")
    assert response.json()["at"] == "2026-03-01T12:30:00Z"


def test_before_it_was_ever_seen(node: Node, changing: str) -> None:
    """404: it was not known then."""
    is_problem(node.get(f"/v0/host/{changing}", at="2026-02-01"), 404, "not_found")


@pytest.mark.parametrize(
    "at",
    [
        "yesterday",
        "2026-13-01",
        "2026-03-01T25:00:00Z",
        "0001-01-01T00:00:00+10:00",
        "9999-12-31T23:59:59-10:00",
        "%00",
    ],
)
def test_what_is_no_time(node: Node, at: str) -> None:
    """400 naming the parameter, also for moments outside of the years 1 to 9999."""
    assert is_problem(node.get("/v0/host/192.0.2.1", at=at), 400, "bad_request")["field"] == "at"


@pytest.mark.parametrize(
    "ip", ["x", "1.2.3", "1.2.3.4.5", "1.2.3.256", "example.org", "fe80::1%eth0", "%00", "01.2.3.4"]
)
def test_what_is_no_address(node: Node, ip: str) -> None:
    """400 naming it."""
    assert is_problem(node.get(f"/v0/host/{ip.replace('%', '%25')}"), 400, "bad_request")["field"] == "ip"


def test_an_unknown_host(node: Node) -> None:
    """404 as a problem."""
    is_problem(node.get("/v0/host/192.0.2.77"), 404, "not_found")


def test_an_address_has_many_spellings(node: Node) -> None:
    """IPv6 in any of its texts, and IPv4 inside IPv6, are the host they mean."""
    ip = samples.address()
    node.submitted(samples.scan_of(ip, 80))
    assert node.get(f"/v0/host/::ffff:{ip}").json()["ip"] == ip
    six = samples.nmap(samples.nmap_host("2001:db8::17", 80).replace('addrtype="ipv4"', 'addrtype="ipv6"'))
    node.submitted(six)
    assert node.get("/v0/host/2001:0DB8:0:0::0017").json()["ip"] == "2001:db8::17"


def test_a_name_and_its_addresses(node: Node) -> None:
    """Any case, with or without the final dot."""
    ip = samples.address()
    named = samples.nmap_host(ip, 80).replace(
        "<ports>", '<hostnames><hostname name="www.api-test.example" type="user"/></hostnames><ports>', 1
    )
    node.submitted(samples.nmap(named))
    for name in ("www.api-test.example", "WWW.API-Test.Example."):
        assert node.get(f"/v0/hostname/{name}").json()["addresses"] == [ip]


@pytest.mark.parametrize("name", ["nobody.example", "x" * 300, "' OR 1=1 --", "%ff"])
def test_an_unknown_name(node: Node, name: str) -> None:
    """404 or 400, never a defect."""
    response = node.get(f"/v0/hostname/{name}")
    assert response.status_code in (400, 404)
    is_problem(response, response.status_code, response.json()["reason"])


def test_files_of_scans_that_saw_it(node: Node, changing: str) -> None:
    """The newest, for those who may read jobs; at a past moment those of scans until then."""
    observations = [
        one["observation_id"] for one in node.get(f"/v0/host/{changing}", history="true").json()["sightings"]
    ]
    _, leases = toiled(node, 2)
    files: list[int] = []
    for lease, observation in zip(leases, reversed(observations), strict=True):
        files.append(kept(node, lease, observation.encode()))
        brought(node, lease, observation)
    told = node.get(f"/v0/host/{changing}", "user").json()["artefacts"]
    assert [one["id"] for one in told] == files[::-1]
    assert told[0]["scan_id"] == "scan-1"
    then = node.get(f"/v0/host/{changing}", at="2026-03-01T12:30:00Z").json()["artefacts"]
    assert [one["id"] for one in then] == files[:1]
    role = f"looks-{secrets.token_hex(4)}"
    node.ask("PUT", f"/v0/roles/{role}", json={"scopes": ["hosts:read"]})
    node.accounts[role] = node.account(role)
    assert "artefacts" not in node.get(f"/v0/host/{changing}", role).json()
