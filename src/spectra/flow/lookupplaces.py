"""The services that the enrichment agent asks about a CVE, read by the readers of their feeds."""

from __future__ import annotations

from typing import Final

import msgspec

from spectra.ai.enrich.lookups import Place
from spectra.intel.vulns import cvelist, kev, nvd, osv
from spectra.model.vulns import Kev, VulnRecord

NVD: Final = "https://services.nvd.nist.gov/rest/json/cves/2.0?cveId={cve}"
CVE: Final = "https://cveawg.mitre.org/api/cve/{cve}"
OSV: Final = "https://api.osv.dev/v1/vulns/{cve}"
KEV: Final = "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json"


class _Vulnerabilities(msgspec.Struct):
    """The list that the NVD's answers and CISA's catalogue are."""

    vulnerabilities: list[msgspec.Raw]


class _Named(msgspec.Struct, rename={"cve": "cveID"}):
    cve: str = ""


def of_nvd(body: bytes, cve: str) -> VulnRecord | None:
    """The record of a CVE in an answer of the NVD's API. Raises `ValueError`."""
    records = (nvd.item(bytes(raw)) for raw in msgspec.json.decode(body, type=_Vulnerabilities).vulnerabilities[:20])
    return next((record for record in records if record.cve == cve), None)


def of_cve(body: bytes, cve: str) -> VulnRecord | None:
    """The record of the CVE programme. Raises `ValueError`."""
    record = cvelist.record(body)
    return record if record.cve == cve else None


def of_osv(body: bytes, cve: str) -> VulnRecord | None:
    """What OSV has of it, where that is a product's. Raises `ValueError`."""
    return next((record for record in osv.records(body) if record.cve == cve), None)


def of_kev(body: bytes, cve: str) -> Kev | None:
    """The entry of CISA's catalogue of exploited ones. Raises `ValueError`."""
    for raw in msgspec.json.decode(body, type=_Vulnerabilities).vulnerabilities:
        if msgspec.json.decode(raw, type=_Named).cve == cve:
            return kev.entry(bytes(raw))
    return None


PLACES: Final = (
    Place("NVD", "details", NVD, of_nvd),
    Place("CVE", "details", CVE, of_cve),
    Place("OSV", "advisory", OSV, of_osv),
    Place("CISA", "exploits", KEV, of_kev),
)
