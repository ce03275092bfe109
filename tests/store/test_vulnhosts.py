"""The endpoints that a CVE concerns: open ones, of now, with what was matched, and how many there are."""

from __future__ import annotations

from datetime import timedelta

import pytest

from spectra.errors import BadRequest
from spectra.model.vulnrecords import VulnHosts
from spectra.store import lookups, vulnhosts
from spectra.store.database import Database
from spectra.store.tallies import fold, snapshot
from tests.store.scribe import T0, Scribe, host, seen
from tests.store.weak import Weak, cpe

HOUR = timedelta(hours=1)
CVE = "CVE-2024-6387"


def asked(database: Database, num: int, cursor: str = "", limit: int = 100) -> VulnHosts:
    """A page."""
    with snapshot(database) as connection:
        return vulnhosts.hosts(connection, num, cursor=cursor, limit=limit)


@pytest.fixture(params=["listed", "asked"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Services as a list of keys, and as a question where they are too many."""
    if request.param == "asked":
        monkeypatch.setattr(lookups, "FEW", 0)
        monkeypatch.setattr(lookups, "MANY", 0)
    return request.param


def test_why_an_endpoint_is_affected(database: Database, write: Scribe) -> None:
    """The name of its software that matched, the range it met, who says so, how sure that is and what is not seen."""
    write([host("10.0.0.1", T0, seen(22, "ssh", "OpenSSH", "9.2"), names=["a.example.org"])])
    weak = Weak(database)
    num, software = weak.vuln(CVE), weak.software("OpenSSH", "9.2")
    weak.affected(software, num, T0 + HOUR, confidence=0.7, patched="possibly", requires=["cpe:2.3:o:linux:linux"])
    (found,) = asked(database, num).hosts
    assert (found.ip, found.port, found.protocol) == ("10.0.0.1", 22, "tcp")
    assert (found.service, found.product, found.version) == ("ssh", "OpenSSH", "9.2")
    assert (found.hostnames, found.last_seen, found.since) == (("a.example.org",), T0, T0 + HOUR)
    assert (found.cpe, found.range, found.source) == (cpe("OpenSSH", "9.2"), "< 9.8", "nvd")
    assert (found.confidence, found.patched) == (pytest.approx(0.7), "possibly")
    assert found.requires == ("cpe:2.3:o:linux:linux",)


def test_only_what_is_open_and_stands_counts(database: Database, write: Scribe, way: str) -> None:
    """A closed port, a service of before and what a source took back are not among them; the tallies count the same."""
    bad, good = seen(22, "ssh", "OpenSSH", "9.2"), seen(22, "ssh", "OpenSSH", "9.9")
    write([host(f"10.0.0.{n}", T0, bad, seen(80, "http", "nginx", "1")) for n in range(1, 5)])
    write([host("10.0.0.1", T0 + HOUR, seen(22, state="closed")), host("10.0.0.2", T0 + HOUR, good)])
    weak = Weak(database)
    num, other = weak.vuln(CVE), weak.vuln("CVE-2024-0002")
    weak.affected(weak.software("OpenSSH", "9.2"), num)
    weak.affected(weak.software("nginx", "1"), num, until=T0 + HOUR)
    weak.affected(weak.software("OpenSSH", "9.9"), other)
    for _ in range(2):
        page = asked(database, num)
        assert [one.ip for one in page.hosts] == ["10.0.0.3", "10.0.0.4"]
        assert page.endpoints == 2
        assert [one.ip for one in asked(database, other).hosts] == ["10.0.0.2"]
        fold(database)
    assert asked(database, weak.vuln("CVE-2024-0003")) == VulnHosts((), 0)


def test_pages_hold_each_endpoint_once(database: Database, write: Scribe, way: str) -> None:
    """In order of address, whatever the size of a page; the number is of all."""
    addresses = ["9.0.0.1", "10.0.0.2", "10.0.0.10", "2001:db8::2"]
    write([host(ip, T0, *(seen(port, "ssh", "OpenSSH", "9.2") for port in (2222, 22))) for ip in reversed(addresses)])
    weak = Weak(database)
    num = weak.vuln(CVE)
    weak.affected(weak.software("OpenSSH", "9.2"), num)
    wanted = [(ip, port) for ip in addresses for port in (22, 2222)]
    for limit in (1, 3, 8, 9):
        found: list[tuple[str, int]] = []
        cursor = ""
        while True:
            page = asked(database, num, cursor, limit)
            assert page.endpoints == 8
            found += [(one.ip, one.port) for one in page.hosts]
            cursor = page.next_cursor
            if not cursor:
                break
        assert found == wanted


@pytest.mark.parametrize(("cursor", "limit", "field"), [("", 0, "limit"), ("", 1001, "limit"), ("x", 1, "cursor")])
def test_what_is_no_page_is_refused(database: Database, cursor: str, limit: int, field: str) -> None:
    """The parameter is named."""
    with pytest.raises(BadRequest) as error:
        asked(database, 1, cursor, limit)
    assert error.value.field == field
