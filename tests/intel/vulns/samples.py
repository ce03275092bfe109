"""Small records of our own in the shapes of the feeds."""

from __future__ import annotations

import json
from io import BufferedReader, BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import zstandard

from spectra.intel.vulns import Feed, open_feed
from spectra.model.envelope import Problem
from spectra.model.vulns import Criterion, Node, VulnRecord

NGINX = "cpe:2.3:a:f5:nginx:*:*:*:*:*:*:*:*"


def every(step: int, path: Path) -> list[bytes]:
    """Each `step`th line, with its end, of a packed file of records: the whole takes `step` times as long to read."""
    with path.open("rb") as file, BufferedReader(zstandard.ZstdDecompressor().stream_reader(file), 1 << 20) as lines:
        return list(islice(lines, 0, None, step))


def match(cpe: str = NGINX, **fields: Any) -> dict[str, Any]:
    """A `cpeMatch` of the NVD."""
    return {"vulnerable": True, "criteria": cpe, "matchCriteriaId": "0", **fields}


def nvd_cve(cve: str = "CVE-2024-0001", **fields: Any) -> dict[str, Any]:
    """A `cve` object of the NVD's JSON 2.0."""
    node = {"operator": "OR", "negate": False, "cpeMatch": [match(versionEndExcluding="1.25.4")]}
    return {
        "id": cve,
        "sourceIdentifier": "f5sirt@f5.com",
        "published": "2024-02-14T17:15:15.543",
        "lastModified": "2024-11-21T08:59:31.163",
        "vulnStatus": "Analyzed",
        "cveTags": [],
        "descriptions": [{"lang": "es", "value": "Texto"}, {"lang": "en", "value": "A flaw of HTTP/3 in nginx."}],
        "metrics": {},
        "weaknesses": [
            {"source": "nvd@nist.gov", "type": "Primary", "description": [{"lang": "en", "value": "CWE-476"}]}
        ],
        "configurations": [{"nodes": [node]}],
        "references": [{"url": "https://my.f5.com/manage/s/article/K1", "source": "f5", "tags": ["Vendor Advisory"]}],
        **fields,
    }


def nvd_document(*cves: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """An answer of the NVD's API, or one of its files."""
    return {
        "resultsPerPage": len(cves),
        "startIndex": 0,
        "totalResults": len(cves),
        "format": "NVD_CVE",
        "version": "2.0",
        "timestamp": "2026-03-12T06:00:02.4492019",
        **fields,
        "vulnerabilities": [{"cve": cve} for cve in cves],
    }


def cve_record(cve: str = "CVE-2024-0001", *, adp: tuple[dict[str, Any], ...] = (), **cna: Any) -> dict[str, Any]:
    """A CVE record 5.1; the fields are those of its CNA container."""
    return {
        "dataType": "CVE_RECORD",
        "dataVersion": "5.1",
        "cveMetadata": {
            "cveId": cve,
            "state": "PUBLISHED",
            "datePublished": "2024-02-14T16:30:00.000Z",
            "dateUpdated": "2024-08-01T20:35:34.659Z",
        },
        "containers": {
            "cna": {
                "providerMetadata": {"orgId": "0", "shortName": "f5"},
                "title": "NGINX HTTP/3 QUIC vulnerability",
                "descriptions": [{"lang": "en", "value": "A flaw of HTTP/3 in nginx."}],
                "affected": [],
                "references": [{"url": "https://my.f5.com/manage/s/article/K1", "tags": ["vendor-advisory"]}],
                **cna,
            },
            "adp": list(adp),
        },
    }


def affected(*versions: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """An entry of `affected`."""
    return {"vendor": "F5", "product": "NGINX Plus", "versions": list(versions), **fields}


def osv_record(**fields: Any) -> dict[str, Any]:
    """An OSV record as Bitnami's are, by the documented schema."""
    return {
        "schema_version": "1.6.0",
        "id": "BIT-nginx-2024-0001",
        "aliases": ["CVE-2024-0001", "GHSA-aaaa-bbbb-cccc"],
        "modified": "2024-03-01T00:00:00Z",
        "published": "2024-02-15T00:00:00Z",
        "details": "A flaw of HTTP/3 in nginx.",
        "affected": [
            {
                "package": {"ecosystem": "Bitnami", "name": "nginx", "purl": "pkg:bitnami/nginx"},
                "ranges": [{"type": "SEMVER", "events": [{"introduced": "1.25.0"}, {"fixed": "1.25.4"}]}],
            }
        ],
        "references": [{"type": "WEB", "url": "https://nginx.org/"}],
        "database_specific": {"cpes": [NGINX], "severity": "High"},
        **fields,
    }


def packed(value: object) -> bytes:
    """JSON on one line."""
    return json.dumps(value).encode()


def feed(data: bytes, **options: Any) -> Feed:
    """The feed that these bytes are."""
    return open_feed(BytesIO(data), **options)


def record(data: bytes) -> VulnRecord:
    """The one record of a feed."""
    (item,) = feed(data)
    assert isinstance(item, VulnRecord), item
    return item


def problems(data: bytes) -> list[Problem]:
    """The problems of a feed."""
    return [item for item in feed(data) if isinstance(item, Problem)]


def criteria(*nodes: Node) -> list[Criterion]:
    """All criteria below nodes."""
    return [c for node in nodes for c in (*node.criteria, *criteria(*node.children))]
