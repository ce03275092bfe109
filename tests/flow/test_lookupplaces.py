"""What the four places answer, read."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from spectra.flow.lookupplaces import PLACES, of_cve, of_kev, of_nvd, of_osv
from spectra.model.vulns import Kev, VulnRecord
from spectra.settings.ai import AiSettings
from tests.ai.enrich.office import CVE, kev, nvd

RECORD: dict[str, Any] = {
    "dataType": "CVE_RECORD",
    "dataVersion": "5.1",
    "cveMetadata": {"cveId": CVE, "state": "PUBLISHED", "datePublished": "2024-07-01T12:37:25.431Z"},
    "containers": {
        "cna": {
            "descriptions": [{"lang": "en", "value": "A regression."}],
            "references": [{"url": "https://access.redhat.com/security/cve/CVE-2024-6387", "tags": ["vdb-entry"]}],
        }
    },
}
FIXED = {"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "9.8.0"}]}
OSV: dict[str, Any] = {
    "id": CVE,
    "modified": "2025-01-01T00:00:00Z",
    "details": "A regression.",
    "affected": [{"package": {"ecosystem": "Bitnami", "name": "openssh"}, "ranges": [FIXED]}],
    "references": [{"type": "ADVISORY", "url": "https://example.org/a"}],
}


def test_records_are_found_by_their_id() -> None:
    """And nothing is said of another."""
    nvds = of_nvd(nvd(CVE, "A race.", ("https://example.org", ["Patch"])).body, CVE)
    assert isinstance(nvds, VulnRecord)
    assert (nvds.description, nvds.metrics[0].score, nvds.references[0].tags) == ("A race.", 8.1, ("Patch",))
    assert of_nvd(nvd(CVE, "A race.").body, "CVE-2024-0001") is None
    body = json.dumps(RECORD).encode()
    cves = of_cve(body, CVE)
    assert isinstance(cves, VulnRecord)
    assert cves.description == "A regression."
    assert of_cve(body, "CVE-2024-0001") is None
    osvs = of_osv(json.dumps(OSV | {"aliases": [CVE]}).encode(), CVE)
    assert isinstance(osvs, VulnRecord)
    assert osvs.references[0].url == "https://example.org/a"
    entry = of_kev(kev("CVE-2021-44228", CVE).body, CVE)
    assert isinstance(entry, Kev)
    assert entry.ransomware
    assert of_kev(kev("CVE-2021-44228").body, CVE) is None


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"vulnerabilities": 7}', b"[" * 100_000, b"\xff"])
def test_other_answers_are_refused(place: Any, body: bytes) -> None:
    """Whatever a place says instead."""
    with pytest.raises((ValueError, RecursionError)):
        place.read(body, CVE)


def test_places_are_among_the_hosts_of_the_settings() -> None:
    """By default each may be asked, by https, with nothing but the id."""
    hosts = AiSettings().fetch_hosts
    for place in PLACES:
        url = urlsplit(place.url.format(cve=CVE))
        assert (url.scheme, url.hostname in hosts) == ("https", True)
