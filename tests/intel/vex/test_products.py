"""What a product's names say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.intel.vex.names import whole
from spectra.intel.vex.products import Meant, Package, Site, Spot, is_build, read, runs
from spectra.model.findings import Distribution, Identity, Software


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("192.0.2.7", Spot("192.0.2.7")),
        (" 192.0.2.7:22 ", Spot("192.0.2.7", 22, "tcp")),
        ("192.0.2.7:53/udp", Spot("192.0.2.7", 53, "udp")),
        ("2001:DB8::7", Spot("2001:db8::7")),
        ("[2001:db8::7]:22", Spot("2001:db8::7", 22, "tcp")),
        ("[2001:db8::7]", Spot("2001:db8::7")),
        ("192.0.2.7~22~tcp", Spot("192.0.2.7", 22, "tcp")),
        ("192.0.2.7~22~tcp~CVE-2024-6387", Spot("192.0.2.7", 22, "tcp")),
        ("https://192.0.2.7", Spot("192.0.2.7", 443, "tcp")),
        ("https://[2001:db8::7]:8443/", Spot("2001:db8::7", 8443, "tcp")),
        ("udp://192.0.2.7:53", Spot("192.0.2.7", 53, "udp")),
        ("ssh://Host.Example", Site("host.example", 22, "tcp")),
        ("tcp://host.example", Site("host.example")),
        ("www.Example.org", Site("www.example.org")),
        ("www.example.org:443", Site("www.example.org", 443, "tcp")),
        ("cpe:2.3:a:openbsd:openssh", whole("cpe:2.3:a:openbsd:openssh")),
        ("cpe:/a:openbsd:openssh:9.2", whole("cpe:2.3:a:openbsd:openssh:9.2")),
        ("cpe:2.3:a:openbsd:openssh:9.*", whole("cpe:2.3:a:openbsd:openssh:9.*")),
        ("cpe:2.3:a:*:openssh:9.2", whole("cpe:2.3:a:*:openssh:9.2")),
        ("pkg:generic/OpenSSH@9.2p1", Package("generic", "", "openssh", "9.2p1")),
        ("pkg:deb/debian/openssh-server@1:9.2p1-2%2Bdeb12u3?arch=amd64&distro=bookworm",
         Package("deb", "debian", "openssh-server", "1:9.2p1-2+deb12u3")),
        ("pkg:rpm/redhat/httpd", Package("rpm", "redhat", "httpd", "")),
        ("pkg:github/nginx/nginx@1.25#sub", Package("github", "nginx", "nginx", "1.25")),
        ("192.0.2.7:99999", None),
        ("192.0.2.7:22/icmp", None),
        ("192.0.2.7/udp", None),
        ("192.0.2.0/24", None),
        ("https://example.org/docs/1", None),
        ("https://example.org:x", None),
        ("localhost", None),
        ("openssh", None),
        ("cpe:2.3:a:openbsd", None),
        ("cpe:2.3:a:openbsd:open*", None),
        ("cpe:2.3:a:open*:openssh", None),
        ("cpe:x", None),
        ("pkg:generic", None),
        ("urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79", None),
        ("192.0.2.7~22", None),
        ("x" * 2000, None),
        ("", None),
    ],
)  # fmt: skip
def test_what_a_name_says(text: str, meant: Meant | None) -> None:
    """A place, a CPE name or a package; other names say nothing."""
    assert read(text) == meant


@given(
    st.text(max_size=50),
    st.sampled_from(["", "cpe:2.3:a:", "pkg:", "pkg:deb/", "https://", "192.0.2.7:", "a.b:", "urn:"]),
)
def test_any_text(text: str, start: str) -> None:
    """Never raises."""
    read(start + text)


def package(text: str) -> Package:
    """A package by its URL."""
    found = read(text)
    assert isinstance(found, Package)
    return found


@pytest.mark.parametrize(
    ("url", "cpe", "held"),
    [
        ("pkg:generic/openssh@9.2p1", "cpe:2.3:a:openbsd:openssh:9.2:p1", True),
        ("pkg:generic/openssh", "cpe:2.3:a:openbsd:openssh:9.2:p1", True),
        ("pkg:generic/http-server@v2.4.57", "cpe:2.3:a:apache:http_server:2.4.57", True),
        ("pkg:generic/openssh@9.2", "cpe:2.3:a:openbsd:openssh:9.2:p1", True),
        ("pkg:generic/openssh@9.3p1", "cpe:2.3:a:openbsd:openssh:9.2:p1", False),
        ("pkg:generic/openssl@9.2p1", "cpe:2.3:a:openbsd:openssh:9.2:p1", False),
        ("pkg:generic/openssh@9.2p1", "cpe:2.3:a:openbsd:openssh", False),
    ],
)
def test_plain_packages(url: str, cpe: str, held: bool) -> None:
    """By the product's word and the version, whose patch level may stand apart."""
    name = whole(cpe)
    assert name
    assert runs(package(url), name) == held


DEBIAN = Distribution("debian", "12")


@pytest.mark.parametrize(
    ("url", "cpe", "build", "said", "held"),
    [
        (
            "pkg:deb/debian/openssh-server@1:9.2p1-2+deb12u3",
            "openbsd:openssh:9.2:p1",
            DEBIAN,
            "9.2p1 Debian 2+deb12u3",
            True,
        ),
        ("pkg:deb/debian/openssh@1:9.2p1-2+deb12u3", "openbsd:openssh:9.2:p1", DEBIAN, "9.2p1 Debian 2+deb12u2", False),
        ("pkg:deb/debian/openssh@1:9.2p1-2", "openbsd:openssh:9.2:p1", DEBIAN, "9.2p1", False),
        ("pkg:deb/debian/openssh@1:9.2p1-2", "openbsd:openssh:9.2:p1", None, "9.2p1 Debian 2", False),
        ("pkg:deb/ubuntu/openssh@1:9.2p1-2", "openbsd:openssh:9.2:p1", DEBIAN, "9.2p1 Debian 2", False),
        ("pkg:deb/debian/openssh", "openbsd:openssh:9.2:p1", DEBIAN, "9.2p1", True),
        (
            "pkg:deb/debian/apache2@2.4.57-2",
            "apache:http_server:2.4.57",
            Distribution("debian", version="2.4.57-2"),
            "",
            True,
        ),
        ("pkg:deb/debian/apache2@2.4.57-2", "apache:http_server:2.4.57", DEBIAN, "2.4.57", False),
        (
            "pkg:deb/ubuntu/bind9@1:9.18.1-1ubuntu1.2",
            "isc:bind:9.18.1",
            Distribution("ubuntu", "", "9.18.1-1ubuntu1.2", "1ubuntu1.2"),
            "9.18.1-1ubuntu1.2",
            True,
        ),
        (
            "pkg:rpm/redhat/httpd@2.4.6",
            "apache:http_server:2.4.6",
            Distribution("centos", version="2.4.6"),
            "2.4.6",
            True,
        ),
        (
            "pkg:deb/debian/postgresql-15@15.3-0",
            "postgresql:postgresql:15.3",
            Distribution("debian", version="15.3-0"),
            "",
            True,
        ),
        ("pkg:deb/debian/php8.2@8.2-1", "php:php:8.2", Distribution("debian", version="8.2-1"), "", True),
        ("pkg:deb/debian/nginx-core@1.2-1", "f5:nginx:1.2", Distribution("debian", version="1.2-1"), "", True),
        ("pkg:deb/debian/nginx@1.2-1", "isc:bind:1.2", Distribution("debian", version="1.2-1"), "", False),
    ],
)
def test_builds(url: str, cpe: str, build: Distribution | None, said: str, held: bool) -> None:
    """Only where the whole version is told, with what the distribution appended."""
    name = whole(f"cpe:2.3:a:{cpe}")
    assert name
    software = Software((Identity(str(name), 0.9, "x"),), distribution=build)
    assert is_build(package(url), software, name, said) == held
