"""What a service is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.intel.correlate import Known, NoNames, identify, products_of, word
from spectra.model.observation import Service
from spectra.model.vulns import Product
from tests.support.cpes import app, system


class Few:
    """A `Names` of these products, each with how many CVEs are about it."""

    def __init__(self, families: Mapping[str, int] | None = None, **counts: int) -> None:
        self._known: dict[str, list[Known]] = {}
        for name, vulns in counts.items():
            product = Product("a", *name.split("__"))
            family = (families or {}).get(name, 0)
            self._known.setdefault(word(product.product), []).append(Known(product, vulns, family))

    def named(self, words: Sequence[str]) -> Mapping[str, Sequence[Known]]:
        """Those of `words`."""
        return {w: self._known[w] for w in words if w in self._known}


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        (Service("ssh", "OpenSSH", "9.2p1 Debian 2+deb12u3"), app("openbsd:openssh:9.2:p1")),
        (Service("ssh", "OpenSSH", "7.9p1", cpe=("cpe:/a:openbsd:openssh:7.9p1",)), app("openbsd:openssh:7.9:p1")),
        (Service("http", "Apache httpd", "2.4.6", "(CentOS)"), app("apache:http_server:2.4.6")),
        (Service("domain", "ISC BIND", "9.18.1-1ubuntu1.2"), app("isc:bind:9.18.1")),
        (Service("domain", "ISC BIND", "9.10.3-P4"), app("isc:bind:9.10.3:p4")),
        (Service("mysql", "MySQL", "5.5.5-10.11.6-MariaDB-0+deb12u1"), app("mariadb:mariadb:10.11.6")),
        (Service(product="Proftpd 1.3.3c"), app("proftpd:proftpd:1.3.3:c")),
        (Service(cpe=("cpe:2.3:a:nginx:nginx:1.24.0-3:*:*:*:*:*:*:debian_trixie",)), app("f5:nginx:1.24.0")),
        (Service(cpe=("cpe:2.3:a:hitachi:replication_manager:8.6.5-00:*:*:*:*:*:*:*",)),
         app("hitachi:replication_manager:8.6.5-00")),
        (Service("netbios-ssn", "Samba smbd", "4.3.11-Ubuntu", cpe=("cpe:/a:samba:samba",)), app("samba:samba:4.3.11")),
    ],
    ids=str,
)  # fmt: skip
def test_services_have_the_name_the_feeds_use(service: Service, expected: str) -> None:
    """From CPE names or words, without what a distribution appended."""
    assert identify(service, NoNames()).identities[0].cpe == expected


def test_builds_of_distributions_are_told() -> None:
    """From whichever field says so."""
    found = identify(Service("http", "Apache httpd", "2.4.6", "(CentOS) OpenSSL/1.0.2k-fips"), NoNames())
    assert found.distribution
    assert found.distribution.name == "centos"
    assert identify(Service("http", "Apache httpd", "2.4.6"), NoNames()).distribution is None


def test_what_a_header_lists_is_there_too() -> None:
    """Each component with its own version; less sure than the server itself."""
    service = Service("http", "Apache httpd", "2.4.6", "(CentOS) OpenSSL/1.0.2k-fips PHP/5.4.16 mod_perl/2.0.11")
    names = Few(openssl__openssl=244, php__php=689)
    cpes = {i.cpe: i.confidence for i in identify(service, names).identities}
    assert cpes.keys() == {app("apache:http_server:2.4.6"), app("openssl:openssl:1.0.2k"), app("php:php:5.4.16")}
    assert cpes[app("php:php:5.4.16")] < cpes[app("apache:http_server:2.4.6")]


def test_unknown_products_are_looked_up_in_the_feeds() -> None:
    """By the whole name, by the name behind its maker's, and without the role at the end."""
    names = Few(thingsboard__thingsboard=20, simpledns__simple_dns_plus=1)
    for text, expected in (
        ("Thingsboard 3.4.1", app("thingsboard:thingsboard:3.4.1")),
        ("thingsboard httpd 3.4.1", app("thingsboard:thingsboard:3.4.1")),
        ("simpledns simple dns plus 5.1", app("simpledns:simple_dns_plus:5.1")),
    ):
        assert [i.cpe for i in identify(Service(product=text), names).identities] == [expected]


def test_a_name_of_several_makers_is_less_sure() -> None:
    """The maker most CVEs know is taken; where none leads, the confidence says so."""
    led = identify(Service(product="Parrot", version="1.0"), Few(acme__parrot=90, zenith__parrot=2))
    even = identify(Service(product="Parrot", version="1.0"), Few(acme__parrot=11, zenith__parrot=10))
    assert led.identities[0].cpe == even.identities[0].cpe == app("acme:parrot:1.0")
    assert even.identities[0].confidence < 0.5 < led.identities[0].confidence


def test_names_of_one_family_are_no_contradiction() -> None:
    """Two makers of one software are one candidate."""
    one = Few({"acme__parrot": 7, "zenith__parrot": 7}, acme__parrot=11, zenith__parrot=10)
    assert identify(Service(product="Parrot", version="1.0"), one).identities[0].confidence > 0.5


def test_a_name_behind_other_words_needs_its_maker() -> None:
    """`Camera web server` is no product called server."""
    names = Few(acme__server=90)
    assert identify(Service(product="Camera viewer server", version="1.0"), names).identities == ()
    assert identify(Service(product="Acme server", version="1.0"), names).identities[0].cpe == app("acme:server:1.0")


def test_a_version_is_that_of_the_product_beside_it() -> None:
    """What a page is made with does not have the version of the server that sends it."""
    service = Service("http", "nginx", "1.18.0", cpe=("cpe:2.3:a:wordpress:wordpress:*:*:*:*:*:*:*:*",))
    cpes = {i.cpe for i in identify(service, NoNames()).identities}
    assert cpes == {app("wordpress:wordpress"), app("f5:nginx:1.18.0")}


def test_common_words_are_nobodys_product() -> None:
    """Every maker of cameras has a product of that name; with the maker it is that one."""
    names = Few(samsung__camera=9)
    assert identify(Service(product="camera", version="1.0"), names).identities == ()
    assert identify(Service(product="Samsung camera"), names).identities[0].cpe == app("samsung:camera")


def test_unsure_versions_are_no_versions() -> None:
    """A range or an `or later` is not taken for the version."""
    found = identify(Service("netbios-ssn", "Samba smbd", "3.X - 4.X", cpe=("cpe:/a:samba:samba",)), NoNames())
    assert [i.cpe for i in found.identities] == [app("samba:samba")]


def test_a_system_of_a_known_version_is_software_too() -> None:
    """A router's system has weaknesses of its own; a kernel without version is only where things run."""
    router = identify(Service("telnet", cpe=("cpe:/o:cisco:ios:12.4",)), NoNames())
    assert [i.cpe for i in router.identities] == [system("cisco:ios:12.4")]
    linux = identify(Service("ssh", cpe=("cpe:/o:linux:linux_kernel",)), NoNames())
    assert linux.identities == ()
    assert linux.context == (system("linux:linux_kernel"),)


def test_nothing_is_said_of_what_says_nothing() -> None:
    """An empty service, and one that nobody knows."""
    assert identify(Service(), NoNames()).identities == ()
    assert identify(Service("http", "qwertz"), Few(nginx__nginx=3)).identities == ()


def test_products_stand_in_the_order_of_identities() -> None:
    """One for each."""
    found = identify(Service("http", "Apache httpd", "2.4.6", "PHP/5.4.16"), Few(php__php=9))
    assert [str(p) for p in products_of(found)] == ["a:apache:http_server", "a:php:php"]


TEXT = st.text(max_size=60)


@given(st.builds(Service, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, st.just(""), st.lists(TEXT, max_size=3).map(tuple)))
def test_any_service_can_be_looked_at(service: Service) -> None:
    """Whatever a scanner wrote: names that are whole, confidences between 0 and 1, as many products as names."""
    found = identify(service, Few(nginx__nginx=3, a__b=1))
    assert len(products_of(found)) == len(found.identities)
    assert all(0 < i.confidence <= 1 and i.how for i in found.identities)
