"""Only what anybody could write counts as public."""

from __future__ import annotations

import pytest

from spectra.ai.retrieval import publicwords
from spectra.model.observation import Service

OPENSSH = "cpe:2.3:a:openbsd:openssh:9.2:p1:*:*:*:*:*:*"


@pytest.mark.parametrize(
    ("said", "cpes", "published", "public"),
    [
        ("OpenSSH", (), (), "OpenSSH"),
        ("payroll of ACME", (), (), ""),
        ("payroll of ACME", ("cpe:/a:acme:payroll:1",), (), ""),
        ("payroll of ACME", ("cpe:/a:acme:payroll:1",), (("acme", "payroll"),), "acme payroll"),
        ("payroll of ACME", (OPENSSH,), (), "openbsd openssh"),
        ("", ("cpe:2.3:o:*:*:1", "cpe:2.3:a", "cpe:/"), (("*", "*"), ("", "")), ""),
        ("", (r"cpe:2.3:a:foo\:inc:bar\+\+:1.0:*:*:*:*:*:*:*",), (("foo:inc", "bar++"),), "foo:inc bar++"),
    ],
)
def test_products(said: str, cpes: tuple[str, ...], published: tuple[tuple[str, str], ...], public: str) -> None:
    """By our tables or by what sources of CVEs name; what a machine calls itself is not enough."""
    assert publicwords.product(Service(product=said), cpes, published) == public


@pytest.mark.parametrize(
    ("said", "public"),
    [
        ("9.2p1 Debian 2+deb12u3", "9.2p1"),
        ("2.4.57", "2.4.57"),
        ("v1.2-rc1", "1.2-rc1"),
        ("15.2.1118.7", "15.2.1118.7"),
        ("10.0.0.5", ""),
        ("1.2; host=fw01", "1.2"),
        ("1.2-acme", "1.2"),
        ("1.0.2k-fips", "1.0.2k"),
        ("fw01.corp", ""),
        ("", ""),
    ],
)
def test_versions(said: str, public: str) -> None:
    """Numbers; nothing that reads as an address or a name."""
    assert publicwords.version(said) == public


@pytest.mark.parametrize(
    ("said", "public"),
    [
        ("Linux 4.15 - 5.8", "Linux 4.15 - 5.8"),
        ("Linux fw01 5.4", "Linux"),
        ("Microsoft Windows Server 2019 Standard 17763", "Microsoft Windows Server 2019"),
        ("Windowsill 3", ""),
        ("ACME OS", ""),
        ("", ""),
    ],
)
def test_systems(said: str, public: str) -> None:
    """The family and its numbers."""
    assert publicwords.system(said) == public


def test_services() -> None:
    """The usual ones."""
    assert [publicwords.service(name) for name in ("ssh", "HTTPS", "acme-billing", "")] == ["ssh", "https", "", ""]
