"""A small folder of feeds and labels, in the formats of the real ones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import zstandard

SSH = "cpe:2.3:a:openbsd:openssh:9.2:p1:*:*:*:*:*:*"


def cve(
    number: int, below: str, *, product: str = "openbsd:openssh", published: str = "2023-01-01"
) -> dict[str, object]:
    """An NVD record that says that `product` is affected below a version."""
    match = {"vulnerable": True, "criteria": f"cpe:2.3:a:{product}:*:*:*:*:*:*:*:*", "versionEndExcluding": below}
    return {
        "id": f"CVE-2023-{number:04}",
        "published": f"{published}T00:00:00.000",
        "lastModified": "2023-02-01T00:00:00.000",
        "vulnStatus": "Analyzed",
        "descriptions": [{"lang": "en", "value": f"Number {number}."}],
        "configurations": [{"nodes": [{"operator": "OR", "negate": False, "cpeMatch": [match]}]}],
    }


def write(folder: Path, name: str, rows: Sequence[Mapping[str, object]], *, packed: bool = True) -> None:
    """One JSON object a line, packed as the real files are."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(zstandard.compress(data) if packed else data)


def fill(folder: Path) -> None:
    """Four CVEs, a correction of a fifth, and labels for one service, twice, with all that can go wrong."""
    rows = [cve(1, "9.8"), cve(2, "9.8"), cve(3, "8.0"), cve(4, "9.8", published="2025-06-01")]
    write(folder, "big/nvd_cves.jsonl.zst", [*rows, {**cve(5, "1"), "configurations": []}])
    write(
        folder,
        "big/anchore_nvd_overrides.jsonl.zst",
        [{"_annotation": {"cve_id": "CVE-2023-0005"}, "cve": {"configurations": cve(5, "9.9")["configurations"]}}],
    )
    label = {"query": SSH, "test": "test_cve_completeness::test_search_openssh#0"}
    old = {"as_of": "2024-01-01", "expected_cves": ["CVE-2023-0001", "CVE-2023-0003", "CVE-2023-9999"], **label}
    new = {"as_of": "2024-06-01", "expected_cves": ["CVE-2023-0001", "CVE-2023-0002", "CVE-2023-0005"], **label}
    write(folder, "labels/search_vulns_cpe_to_cves_history.jsonl", [new, old], packed=False)
    build = {"query": "OpenSSH 9.2p1 Debian 12", "test": "builds", "as_of": "2024-06-01"}
    rows = [{**build, "expected_open": ["CVE-2023-0001"], "expected_backpatched": ["CVE-2023-0002", "CVE-2023-0005"]}]
    write(folder, "labels/search_vulns_cpe_to_cves_latest.jsonl", rows, packed=False)
    write(folder, "labels/grype_cpe_matches.jsonl", [{"cpes": [SSH], "vuln": "CVE-2023-0001"}], packed=False)
    banner = {"db": "http_servers.xml", "banner": "nginx/1.18.0", "cpe": {"service.cpe23": "cpe:/a:nginx:nginx:1.18.0"}}
    write(folder, "labels/recog_banner_to_cpe.jsonl.zst", [banner, {**banner, "banner": "qwertz"}])
