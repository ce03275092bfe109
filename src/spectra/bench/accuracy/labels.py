"""Labelled truth in the formats in which others publish it.

- `search_vulns_*.jsonl`: CPE names or texts, and the CVEs that search_vulns has to find for each, at several dates.
- `avain/`: a scan by nmap and the CVEs that AVAIN found for each port of it.
- `grype_cpe_matches.jsonl`: matches that Grype made by CPE name.
- `recog_banner_to_cpe.jsonl.zst`, `cpe_search_text_to_cpe.jsonl`: banners and texts, and the product and version that
  each means.
"""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import zstandard

from spectra.ingest.parsers import Context, parse
from spectra.ingest.parsers.software import http_service, read_banner
from spectra.intel.correlate.rules import name_of
from spectra.intel.enrich.cpename import ANY
from spectra.model.envelope import Privacy
from spectra.model.observation import HostSeen, Service

_CONTEXT: Final = Context(datetime(2020, 4, 13, tzinfo=UTC), Privacy.FULL)
Which = Literal["oldest", "newest"]


class Case(NamedTuple):
    """One service and the CVEs it has to have. `as_of` is the day the label was made (`2024-03-16`, "" if unknown).

    `accepted` are what other versions of the same label have: no false finding, whatever this version says; `disowned`
    what it has and the newest has not: not missed.
    """

    name: str
    service: Service
    expected: frozenset[str]
    as_of: str = ""
    accepted: frozenset[str] = frozenset()
    disowned: frozenset[str] = frozenset()


class Named(NamedTuple):
    """One banner or text and the product it has to be, with its version where that is told ("" where not)."""

    group: str
    said: str
    service: Service
    vendor: str
    product: str
    version: str


def cases(folder: Path, which: Which) -> list[Case]:
    """The completeness tests of search_vulns, each in its oldest or newest version."""
    versions: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in _rows(folder, "search_vulns_*"):
        if row.get("expected_cves") is not None:
            versions[str(row["test"])].append(row)
    found: list[Case] = []
    for test, rows in sorted(versions.items()):
        rows.sort(key=lambda row: str(row["as_of"]))
        chosen, newest = rows[0 if which == "oldest" else -1], frozenset(rows[-1]["expected_cves"])
        expected = frozenset(chosen["expected_cves"])
        accepted = frozenset(cve for row in rows for cve in row["expected_cves"])
        found.append(
            Case(test, service_of(chosen["query"]), expected, str(chosen["as_of"]), accepted, expected - newest)
        )
    return found


def builds(folder: Path) -> list[Case]:
    """The tests of distributions' builds, newest version: open or repaired, both have the upstream weakness."""
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for row in _rows(folder, "search_vulns_*"):
        if row.get("expected_open") is not None:
            key = (str(row["test"]), str(row["query"]))
            if key not in newest or str(row["as_of"]) >= str(newest[key]["as_of"]):
                newest[key] = row
    return [
        Case(
            f"{test} {query}",
            service_of(query),
            frozenset(row["expected_open"]) | frozenset(row.get("expected_backpatched") or ()),
            str(row["as_of"]),
        )
        for (test, query), row in sorted(newest.items())
    ]


def service_of(query: str) -> Service:
    """The service that a query of a label stands for: a CPE name, or a product and version in words."""
    return Service(cpe=(query,)) if query.startswith("cpe:") else Service(product=query)


def avain(folder: Path) -> list[Case]:
    """One case a port of the scan."""
    scan, labels = folder / "avain" / "raw_nmap_scan_results.xml", folder / "avain" / "found_cves.json"
    if not (scan.exists() and labels.exists()):
        return []
    found = json.loads(labels.read_text("utf-8"))
    cases: list[Case] = []
    with scan.open("rb") as file:
        for host in (r for r in parse(file, _CONTEXT)[1] if isinstance(r, HostSeen)):
            for endpoint in host.endpoints:
                told = found.get(host.ip, {}).get(endpoint.protocol, {}).get(str(endpoint.port), ())
                cves = frozenset(cve for entry in told for its in entry["cpes"].values() for cve in its)
                if endpoint.service and cves:
                    name = f"{host.ip}:{endpoint.port} {endpoint.service.product} {endpoint.service.version}"
                    cases.append(Case(name, endpoint.service, cves, "2020-04-13"))
    return cases


def grype(folder: Path) -> list[Case]:
    """One case a package, with the CVEs that Grype matched by its CPE name."""
    found: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for row in _rows(folder, "grype_cpe_matches*"):
        found[tuple(row["cpes"])].add(str(row["vuln"]))
    return [Case(cpes[0], Service(cpe=cpes), frozenset(cves)) for cpes, cves in sorted(found.items())]


def named(folder: Path) -> Iterator[Named]:
    """Banners of services by recog, texts by cpe_search."""
    for row in _rows(folder, "recog_banner_to_cpe*"):
        cpe = name_of(str(row["cpe"].get("service.cpe23", "")))
        service = _of_banner(str(row["db"]), str(row["banner"]))
        if cpe is not None and service is not None:
            version = "" if cpe.version in (ANY, "-") else cpe.version.replace("\\", "")
            group = f"recog {str(row['db']).partition('.')[0]}"
            yield Named(group, str(row["banner"]), service, cpe.vendor, cpe.product, version)
    for row in _rows(folder, "cpe_search_text*"):
        cpe = name_of(str(row["cpe"]))
        if cpe is not None:
            yield Named("cpe_search", row["query"], Service(product=row["query"]), cpe.vendor, cpe.product, cpe.version)


_PROTOCOLS: Final = {
    "ssh_banners.xml": "ssh", "smtp_banners.xml": "smtp", "ftp_banners.xml": "ftp", "imap_banners.xml": "imap",
    "pop_banners.xml": "pop3", "mysql_banners.xml": "mysql", "dns_versionbind.xml": "domain",
    "nntp_banners.xml": "nntp", "telnet_banners.xml": "telnet", "ntp_banners.xml": "ntp", "sip_banners.xml": "sip",
}  # fmt: skip


def _of_banner(database: str, banner: str) -> Service | None:
    """The service that a scanner's record with this banner is read as; None where no scanner hands such over."""
    if database == "http_servers.xml":
        return http_service(banner)
    name = _PROTOCOLS.get(database)
    return read_banner(name, banner)[0] or Service(name) if name else None


def _rows(folder: Path, pattern: str) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob(pattern)):
        for line in _text(path).splitlines():
            if line.strip():
                yield json.loads(line)


def _text(path: Path) -> str:
    data = path.read_bytes()
    if path.suffix == ".zst":
        data = zstandard.ZstdDecompressor().stream_reader(data).read()
    elif path.suffix == ".gz":
        data = gzip.decompress(data)
    return data.decode("utf-8")
