"""One host of nmap's XML."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from spectra.model.observation import EndpointSeen, Hostname, HostSeen, NameSeen, Problem, Service, Silent
from tests.ingest.parsers.reading import DEFAULT_TIME, endpoint, host, nmap, nmap_host, nmap_port, of, read

END = datetime(2023, 11, 14, 22, 15, tzinfo=UTC)


def test_a_whole_host() -> None:
    """Address, MAC and vendor, names, operating system, endpoint, service and what is true of the ports not listed."""
    service = (
        '<service name="http" product="nginx" version="1.18.0" extrainfo="Ubuntu" ostype="Linux" devicetype="switch"'
        ' tunnel="ssl" method="probed" conf="10" servicefp="SF-x"><cpe>cpe:/o:linux:linux_kernel</cpe>'
        "<cpe>cpe:/a:igor_sysoev:nginx:1.18.0</cpe></service>"
    )
    found = host(
        nmap(
            nmap_host(
                '<address addr="00:11:22:AA:BB:CC" addrtype="mac" vendor="ACME"/>',
                '<hostnames><hostname name="Web.Example.org" type="user"/><hostname name="ptr.example." type="PTR"/>',
                '<hostname name="192.0.2.1" type="user"/></hostnames>',
                nmap_port(service).replace(
                    "<ports>", '<ports><extraports state="closed" count="9"/><extraports state="unknown" count="0"/>'
                ),
                '<os><osmatch name="B" accuracy="90"/><osmatch name="A" accuracy="98"/><portused/></os>',
            )
        )
    )
    assert found == HostSeen(
        ip="192.0.2.1",
        seen_at=END,
        endpoints=(
            EndpointSeen(
                80,
                "tcp",
                "open",
                Service(
                    "http",
                    "nginx",
                    "1.18.0",
                    "Ubuntu",
                    "Linux",
                    "switch",
                    "tls",
                    ("cpe:/a:igor_sysoev:nginx:1.18.0", "cpe:/o:linux:linux_kernel"),
                ),
            ),
        ),
        hostnames=(Hostname("web.example.org", "user"), Hostname("ptr.example", "ptr")),
        rest="closed",
        mac="00:11:22:aa:bb:cc",
        vendor="ACME",
        os="A",
    )


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ('name="ssh" method="table" conf="3"', None),
        ('name="ssh"', None),
        ('name="ssh" method="probed" conf="10"', Service("ssh")),
        ('name="ssh" method="table" conf="5"', Service("ssh")),
        ('name="ssh" product="OpenSSH"', Service("ssh", "OpenSSH")),
        ('name="https" method="table" conf="3" tunnel="ssl"', Service(tunnel="tls")),
    ],
)
def test_a_guess_from_the_port_number_is_no_service(attributes: str, expected: Service | None) -> None:
    """nmap looks an unprobed port up in /etc/services; that it spoke TLS it did see."""
    assert endpoint(nmap(nmap_host(nmap_port(f"<service {attributes}/>")))).service == expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("open", "open"),
        ("closed", "closed"),
        ("filtered", "filtered"),
        ("closed|filtered", "filtered"),
        ("open|filtered", None),
        ("unfiltered", None),
        ("nonsense", None),
    ],
)
def test_states(state: str, expected: str | None) -> None:
    """States that say nothing yield no endpoint."""
    found = host(nmap(nmap_host(nmap_port(state=state, protocol="udp"))))
    assert [(seen.protocol, seen.state) for seen in found.endpoints] == ([("udp", expected)] if expected else [])


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ([], None),
        ([("closed", 10)], "closed"),
        ([("closed", 10), ("closed", 5)], "closed"),
        ([("filtered", 10)], "filtered"),
        ([("closed", 10), ("filtered", 5)], "filtered"),
        ([("closed", 10), ("filtered", 0)], "closed"),
        ([("closed", 10), ("open|filtered", 5)], None),
        ([("unfiltered", 5)], None),
        ([("unknown", 0)], None),
    ],
)
def test_the_ports_not_listed(groups: list[tuple[str, int]], expected: str | None) -> None:
    """Known only where every group of ports not shown says closed or filtered."""
    extra = "".join(f'<extraports state="{state}" count="{count}"/>' for state, count in groups)
    assert host(nmap(nmap_host(f"<ports>{extra}</ports>"))).rest == expected


@pytest.mark.parametrize(
    ("attributes", "start", "expected"),
    [
        ('starttime="1600000000" endtime="1700000100"', "1500000000", END),
        ('starttime="1700000100"', "1500000000", END),
        ("", "1700000100", END),
        ('endtime="x"', "NORMALISED", DEFAULT_TIME),
    ],
)
def test_the_time_of_a_host(attributes: str, start: str, expected: datetime) -> None:
    """When it was done, else begun, else when the scan began, else the submission's time."""
    assert host(nmap(nmap_host(attributes=attributes), start=start)).seen_at == expected


def test_a_host_that_is_down_was_silent() -> None:
    """`down` is silence; `unknown` without a port is nothing; without a status a host is up."""
    down = nmap_host().replace('"up"', '"down"')
    assert read(nmap(down))[1:] == [Silent("192.0.2.1", END)]
    assert read(nmap(nmap_host().replace('"up"', '"unknown"')))[1:] == []
    assert host(nmap(nmap_host(nmap_port()).replace('"up"', '"unknown"'))).endpoints
    assert host(nmap(nmap_host().replace('<status state="up"/>', ""))).ip == "192.0.2.1"


def test_a_host_without_an_address() -> None:
    """Its names are kept; without names it is a problem that says where."""
    named = nmap_host('<hostnames><hostname name="a.example"/></hostnames>', ip="nonsense")
    assert read(nmap(named))[1:] == [NameSeen("a.example", END)]
    (problem,) = of(Problem, read(nmap("\n", nmap_host(ip="nonsense"))))
    assert (problem.line, problem.field) == (4, "host/address")


def test_ipv6_and_the_first_of_two_addresses() -> None:
    """IPv6 in its canonical form; a second address of another family does not replace the first."""
    both = nmap_host('<address addr="192.0.2.9" addrtype="ipv4"/>', ip="2001:DB8::1")
    assert host(nmap(both)).ip == "2001:db8::1"


def test_ports_that_are_none() -> None:
    """A port number that is none is a problem, an IP protocol is no port, and the last word on a port holds."""
    text = nmap(
        nmap_host(
            nmap_port(port="TARGET_PORT"),
            nmap_port(port=70000),
            nmap_port(port=6, protocol="ip"),
            nmap_port(port=22, state="closed"),
            nmap_port(port=22),
            "<ports><port protocol='tcp' portid='9'/></ports>",
        )
    )
    records = read(text)
    (seen,) = of(HostSeen, records)
    assert seen.endpoints == (EndpointSeen(22, "tcp", "open"),)
    assert [problem.field for problem in of(Problem, records)] == ["port@portid"] * 2


def test_equal_services_share_one_object() -> None:
    """The cache gives what reading again would give, whatever stands between; odd ones are not cached."""
    services = [f'<service name="s{n % 3}" method="probed"><cpe>cpe:/a:{n % 3}</cpe></service>' for n in range(9)]
    services.append(f'<service name="s1" method="probed" servicefp="{"x" * 600}"><cpe>cpe:/a:1</cpe></service>')
    ports = [nmap_port(text, port=n + 1) for n, text in enumerate(services)]
    found = [seen.service for seen in host(nmap(nmap_host(*ports))).endpoints]
    assert found == [Service(f"s{n % 3}", cpe=(f"cpe:/a:{n % 3}",)) for n in range(9)] + [found[1]]
    assert found[0] is found[3]
    assert found[9] is not found[1]


def test_hostnames_are_bounded() -> None:
    """256 names of one host."""
    names = "".join(f'<hostname name="h{n}.example"/>' for n in range(1000))
    assert len(host(nmap(nmap_host(f"<hostnames>{names}</hostnames>"))).hostnames) == 256
