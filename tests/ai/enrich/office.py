"""An enrichment agent at work: a database, places on a web of the test's own, and a model that says what it is told."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

from spectra.ai.enrich.fetching import Fetcher
from spectra.ai.enrich.lookups import Place
from spectra.ai.enrich.service import Enricher, Has
from spectra.ai.gateway.gateway import Gateway
from spectra.flow.insights import Insights
from spectra.flow.lookupplaces import of_cve, of_kev, of_nvd, of_osv
from spectra.model.ai import Label
from spectra.store.aiegress import Leaving, leaving
from spectra.store.blobs import BlobStore
from spectra.store.database import Database
from tests.ai.gateway.desk import Memory, desk
from tests.store.weak import JUDGE
from tests.support.webs import Site, Web

CVE: Final = "CVE-2024-6387"
LOOPBACK: Final = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


def now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


def places(web: Web) -> tuple[Place, ...]:
    """The four that are asked, on the test's own web."""
    return (
        Place("NVD", "details", web.url("/nvd?cveId={cve}"), of_nvd),
        Place("CVE", "details", web.url("/cve/{cve}"), of_cve),
        Place("OSV", "advisory", web.url("/osv/{cve}"), of_osv),
        Place("CISA", "exploits", web.url("/kev.json"), of_kev),
    )


def nvd(cve: str, text: str, *pages: tuple[str, Sequence[str]], score: float = 8.1) -> Site:
    """The NVD's answer about a CVE."""
    data = {"version": "3.1", "baseScore": score, "baseSeverity": "HIGH", "vectorString": "CVSS:3.1/AV:N/AC:H"}
    one = {
        "id": cve,
        "vulnStatus": "Analyzed",
        "published": "2024-07-01T13:15:06.467",
        "descriptions": [{"lang": "en", "value": text}],
        "metrics": {"cvssMetricV31": [{"source": "nvd@nist.gov", "type": "Primary", "cvssData": data}]},
        "references": [{"url": url, "tags": list(tags)} for url, tags in pages],
    }
    return Site(json.dumps({"resultsPerPage": 1, "startIndex": 0, "vulnerabilities": [{"cve": one}]}).encode())


def kev(*cves: str) -> Site:
    """CISA's catalogue, with these."""
    entries = [
        {
            "cveID": cve,
            "vendorProject": "OpenBSD",
            "product": "OpenSSH",
            "vulnerabilityName": "OpenSSH race",
            "dateAdded": "2024-07-08",
            "requiredAction": "Apply the vendor's update.",
            "knownRansomwareCampaignUse": "Known",
        }
        for cve in cves
    ]
    return Site(json.dumps({"title": "KEV", "vulnerabilities": entries}).encode())


def note(words: str = "It runs code as root; update.", *cites: str, **more: Any) -> str:
    """A note as a model is asked for it."""
    return json.dumps({"note": words, "exploited": "unknown", "cites": list(cites or ("D1",)), **more})


@dataclass
class Office:
    """The agent, its web, and the books of its gateway."""

    enricher: Enricher
    fetcher: Fetcher
    web: Web
    books: Memory
    blobs: BlobStore
    database: Database
    insights: Insights


@contextmanager
def office(database: Database, web: Web, folder: Path, **settings: Any) -> Generator[Office]:
    """At work. `settings` are those of `ai`: without a provider no model is asked."""
    blobs, insights = BlobStore.local(folder / "blobs"), Insights(database, folder / "data", clock=now)
    with desk(**settings) as (gateway, books):
        fetcher = fetcher_of(gateway, web, database)
        has = Has(database, blobs, fetcher, places(web), insights, JUDGE, now)
        yield Office(Enricher(gateway, has, deadline_s=30.0), fetcher, web, books, blobs, database, insights)


def fetcher_of(gateway: Gateway, web: Web, database: Database) -> Fetcher:
    """By the gateway's way out, each request in the chain."""

    def opened(timeout_s: float, *, allowed: Any, verify: Any) -> Any:
        return gateway.client("fetch", timeout_s, allowed, verify)

    def on_record(account: str, host: str, sent: bytes) -> None:
        leaving(database, Leaving(account, "0" * 64, len(sent), Label.CLOUD_DIRECT, "fetch", "", "enrich", host), now())

    return Fetcher(
        opened, on_record, hosts=[web.host], on=True, allow=LOOPBACK, clock=now, within_s=5.0, verify=web.trusted
    )
