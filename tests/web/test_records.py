"""Where the page of a record is."""

from __future__ import annotations

import pytest

from spectra.web.records import linked


@pytest.mark.parametrize(
    ("record", "path"),
    [
        ("host:192.0.2.1", "/hosts/192.0.2.1"),
        ("endpoint:192.0.2.1/tcp/443", "/hosts/192.0.2.1/443/tcp"),
        ("endpoint:2001:db8::1/tcp/443", "/hosts/2001%3Adb8%3A%3A1/443/tcp"),
        ("finding:192.0.2.1~443~tcp~CVE-2024-6387", "/findings/192.0.2.1~443~tcp~CVE-2024-6387"),
        ("cve:CVE-2024-6387", "/vulns/CVE-2024-6387"),
        ("name:www.example.org", "/search?q=hostname%3Awww.example.org"),
        ("query:port:22 country:FR", "/search?q=port%3A22+country%3AFR"),
        ("node:../../x", "/nodes/..%2F..%2Fx"),
        ("input:ab", ""),
        ("host:", ""),
        ("javascript:alert(1)", ""),
        ("", ""),
    ],
)
def test_every_kind(record: str, path: str) -> None:
    """A path of ours with everything quoted, or none."""
    assert linked(record) == path
