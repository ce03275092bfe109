"""What the products of a VEX document are here."""

from __future__ import annotations

import pytest

from spectra.flow.vexmatch import Matcher, Unmatched
from spectra.model.triage import Target, Verdict
from spectra.model.vex import Claim, Named
from spectra.store.database import Database
from tests.flow.vexworld import CVE, IPS, NGINX, OLD_SSH, SSH, populate

pytestmark = pytest.mark.engine

ANY_SSH = "cpe:2.3:a:openbsd:openssh:*:*:*:*:*:*:*:*"


def at(ip: str, port: int | None = None, cpe: str = "") -> Target:
    """A place of a decision."""
    return Target(CVE, ip, port, "tcp" if port else "", cpe)


def wide(cpe: str) -> Target:
    """Software everywhere."""
    return Target(CVE, cpe=cpe)


@pytest.fixture
def world(database: Database) -> Database:
    """Three hosts."""
    populate(database)
    return database


def match(database: Database, named: Named) -> list[Target]:
    """The targets of one product."""
    claim = Claim(0, (CVE,), Verdict("fixed"), None, (named,))
    with database.connection() as connection:
        return Matcher(connection, [claim]).targets(named, CVE)


def both(*names: str) -> Named:
    """A product with several names."""
    return Named(names)


@pytest.mark.parametrize(
    ("named", "found"),
    [
        (both(IPS[0]), [at(IPS[0])]),
        (both(f"{IPS[0]}:22"), [at(IPS[0], 22)]),
        (both(f"{IPS[0]}~22~tcp~{CVE}"), [at(IPS[0], 22)]),
        (both(f"urn:spectra:host:{IPS[0]}"), [at(IPS[0])]),
        (both(f"urn:spectra:endpoint:{IPS[0]}~22~tcp#{SSH}", "cpe:2.3:a:x:y"), [at(IPS[0], 22, SSH)]),
        (both("urn:spectra:everywhere"), [wide("")]),
        (both(f"urn:spectra:everywhere#{NGINX}"), [wide(NGINX)]),
        (both("www.example.org"), [at(IPS[0]), at(IPS[1])]),
        (both("Shop.Example.org"), [at(IPS[0])]),
        (both("www.example.org:8080"), [at(IPS[1], 8080)]),
        (both("https://other", "http://www.example.org"), [at(IPS[0], 80)]),
        (both(SSH), [wide(SSH)]),
        (both("cpe:/a:openbsd:openssh:9.2:p1"), [wide(SSH)]),
        (both("cpe:2.3:a:openbsd:openssh:9.2p1"), [wide(SSH)]),
        (both(ANY_SSH), [wide(ANY_SSH)]),
        (both("cpe:2.3:a:openbsd:openssh:9.*"), [wide(SSH)]),
        (both("cpe:2.3:a:openbsd:openssh:?.2"), [wide(SSH), wide(OLD_SSH)]),
        (both("cpe:2.3:a:*:openssh:8.2"), [wide("cpe:2.3:a:*:openssh:8.2:*:*:*:*:*:*:*")]),
        (both("cpe:2.3:a:nginx:nginx:1.2"), [wide(NGINX)]),
        (both("pkg:generic/openssh@9.2p1"), [wide(SSH)]),
        (both("pkg:generic/openssh"), [wide(ANY_SSH)]),
        (both("pkg:npm/x@1", NGINX), [wide(NGINX)]),
        (both("pkg:generic/nginx@1.2", "cpe:2.3:a:nobody:nothing:1"), [wide(NGINX)]),
        (both("pkg:deb/debian/openssh-server@1:9.2p1-2+deb12u3?arch=amd64"), [at(IPS[0], 22, SSH)]),
        (both("pkg:deb/debian/openssh-server"), [at(IPS[0], 22, SSH)]),
        (Named((IPS[0],), ((ANY_SSH,),)), [at(IPS[0], cpe=ANY_SSH)]),
        (Named((f"{IPS[0]}:22",), (("pkg:generic/openssh@9.2p1",), (NGINX, SSH))),
         [at(IPS[0], 22, SSH), at(IPS[0], 22, NGINX)]),
    ],
)  # fmt: skip
def test_what_is_known(world: Database, named: Named, found: list[Target]) -> None:
    """Places, software by its names, builds where they are told, and parts of a place."""
    assert sorted(match(world, named)) == sorted(found)


@pytest.mark.parametrize(
    ("named", "why"),
    [
        (Named(()), "no address"),
        (both("openssh"), "no address"),
        (both("192.0.2.9"), "No such host"),
        (both("urn:spectra:host:192.0.2.9"), "No such host"),
        (both(f"{IPS[0]}:23"), "No such endpoint"),
        (both(f"{IPS[0]}:22/udp"), "No such endpoint"),
        (both("mail.example.org"), "No host"),
        (both("example.org"), "No host"),
        (both("www.example.org:443"), "with that port"),
        (both("cpe:2.3:a:openbsd:openssh:9.3"), "name and version"),
        (both("cpe:2.3:a:openbsd:openssh:9.2:p1:*:*:*:windows"), "name and version"),
        (both("cpe:2.3:a:nobody:nothing"), "name and version"),
        (both("pkg:generic/openssh@7"), "name and version"),
        (both("pkg:npm/openssh@9.2p1"), "npm"),
        (both("pkg:deb/debian/openssh-server@1:9.2p1-2+deb12u4"), "build"),
        (both("pkg:deb/ubuntu/openssh-server@1:9.2p1-2+deb12u3"), "build"),
        (Named((SSH,), (("pkg:generic/openssl@3",),)), "within another software"),
        (Named((IPS[0],), (("pkg:generic/openssl@3",),)), "component within it"),
    ],
)
def test_what_is_not(world: Database, named: Named, why: str) -> None:
    """Is told with the reason."""
    with pytest.raises(Unmatched, match=why):
        match(world, named)


def test_too_many_addresses(world: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one name, or endpoints of one build, are told instead of decided."""
    monkeypatch.setattr("spectra.flow.vexmatch.MAX_HOSTS", 0)
    with pytest.raises(Unmatched, match="addresses"):
        match(world, both("www.example.org"))
    with pytest.raises(Unmatched, match="endpoints"):
        match(world, both("pkg:deb/debian/openssh-server"))


def test_nothing_is_asked_for_nothing(world: Database) -> None:
    """A document without products; and a product that is asked for twice is matched once."""
    with world.connection() as connection:
        Matcher(connection, [])
        claim = Claim(0, (CVE,), Verdict("fixed"), None, (both(SSH), both("192.0.2.9")))
        matcher = Matcher(connection, [claim])
        assert matcher.targets(both(SSH), CVE) == matcher.targets(both(SSH), CVE)
        assert matcher.targets(both(SSH), "CVE-2024-0002")[0].cve == "CVE-2024-0002"
        for _ in range(2):
            with pytest.raises(Unmatched):
                matcher.targets(both("192.0.2.9"), CVE)
