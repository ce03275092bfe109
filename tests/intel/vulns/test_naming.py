"""Vendors and products in prose to the NVD's names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.intel.enrich import cpename
from spectra.intel.vulns.naming import names, parsed, updated


@pytest.mark.parametrize(
    ("vendor", "product", "expected"),
    [
        ("Apache Software Foundation", "Apache HTTP Server", "a:apache:http_server"),
        ("Oracle Corporation", "MySQL Server", "a:oracle:mysql"),
        ("ISC", "BIND 9", "a:isc:bind"),
        ("Cisco", "Cisco IOS XE Software", "o:cisco:ios_xe"),
        (
            "Cisco Systems, Inc.",
            "Cisco Adaptive Security Appliance (ASA) Software",
            "a:cisco:adaptive_security_appliance_software",
        ),
        ("Juniper Networks", "Junos OS", "o:juniper:junos"),
        ("n/a", "PostgreSQL", "a:postgresql:postgresql"),
        ("PHP Group", "PHP", "a:php:php"),
        ("Microsoft", "Windows Server 2019", "o:microsoft:windows_server_2019"),
        ("Fortinet", "FortiOS", "o:fortinet:fortios"),
        ("Palo Alto Networks", "PAN-OS", "o:paloaltonetworks:pan-os"),
        ("Eclipse Foundation", "Jetty", "a:eclipse:jetty"),
        ("Progress Software Corporation", "MOVEit Transfer", "a:progress:moveit_transfer"),
        ("cockpit-hq", "cockpit-hq/cockpit", "a:cockpit-hq:cockpit"),
        ("GitLab", "GitLab", "a:gitlab:gitlab"),
        ("Linux", "Linux", "o:linux:linux_kernel"),
        ("X", "C++ Server", r"a:x:c\+\+_server"),
    ],
)
def test_the_name_is_the_nvd_s(vendor: str, product: str, expected: str) -> None:
    """Legal forms, the vendor before the product, `software` behind it, and the few that no rule gets right."""
    (name,) = names(vendor, product, None, None, [])
    assert ":".join(name[:3]) == expected
    assert cpename.parse(str(name)) == name


@pytest.mark.parametrize(
    ("vendor", "product"),
    [("n/a", "n/a"), ("Acme", "n/a"), ("n/a", "Thing"), (None, None), ("***", "***"), ("a" * 500, "b")],
)
def test_nobody_is_no_name(vendor: str | None, product: str | None) -> None:
    """A wild card in its place would be every product."""
    assert names(vendor, product, None, None, []) == ()


def test_given_names_are_better_than_prose() -> None:
    """Without their versions, each once, in either form; those that name no product are left out."""
    cpes = [
        "cpe:2.3:a:haxx:curl:8.1:*:*:*:*:*:*:*",
        "cpe:/a:haxx:curl:8.2",
        "cpe:2.3:a:haxx:*:*:*:*:*:*:*:*:*",
        "no name",
    ]
    assert [str(name) for name in names("curl", "cURL", None, None, cpes)] == ["cpe:2.3:a:haxx:curl:*:*:*:*:*:*:*:*"]


def test_a_plugin_says_what_it_is_for() -> None:
    """So that a plugin called Redis is not Redis."""
    (name,) = names("Acme", "Redis Cache", "redis-cache", "https://wordpress.org/plugins", [])
    assert name.target_sw == "wordpress"


def test_a_package_of_a_distribution_names_nothing() -> None:
    """Its version is the distribution's own count."""
    url = "https://access.redhat.com/downloads/content/package-browser/"
    assert names("Red Hat", "Red Hat Enterprise Linux 9", "httpd", url, ["cpe:/o:redhat:enterprise_linux:9"]) == ()


def test_an_update_is_told_apart_from_its_version() -> None:
    """As the NVD's names hold them."""
    assert updated("8.8.15 p46") == ("8.8.15", "p46")
    assert updated("1.3.0-rc.1") == ("1.3.0", "rc1")
    assert updated("2.0 beta") == ("2.0", "beta")
    assert updated("9.8p1") == ("9.8p1", "")


@given(st.text(max_size=60), st.text(max_size=60))
def test_every_name_is_a_cpe_name(vendor: str, product: str) -> None:
    """One product, no wild card, whatever is written."""
    for name in names(vendor, product, None, None, []):
        assert cpename.parse(str(name)) == name
        assert cpename.ANY not in name[:3]


def test_a_text_without_end_is_no_name() -> None:
    """Nor is it kept to be looked up again."""
    assert parsed("cpe:2.3:a:" + "x" * 100_000) is None
