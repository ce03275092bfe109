"""A small folder of feeds in the formats and places of the real ones."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import zstandard

from tests.bench.accuracy.feeds import cve, write

PRODUCTS = ("openbsd:openssh", "f5:nginx", "exim:exim", "nobody:unheard_of")
COUNT = 240
WORDS = ("overflow", "injection", "traversal", "race", "leak", "bypass", "forgery")


def fill(folder: Path) -> None:
    """CVEs of three products that are known by name and of one that is not; a correction, a catalogue and scores."""
    rows = []
    for n in range(1, COUNT + 1):
        told = f"A {WORDS[n % 7]} in component {n % 13} of release {n} lets attackers cause a {WORDS[n % 5]}."
        row = cve(n, f"{n // 20}.{n % 20}", product=PRODUCTS[n % 4])
        rows.append({**row, "descriptions": [{"lang": "en", "value": told}]})
    write(folder, "big/nvd_cves.jsonl.zst", rows)
    configurations = cve(5, "9.9")["configurations"]
    override = {"_annotation": {"cve_id": "CVE-2023-0005"}, "cve": {"configurations": configurations}}
    write(folder, "big/anchore_nvd_overrides.jsonl.zst", [override])
    entry = {
        "cveID": "CVE-2023-0007",
        "vendorProject": "F5",
        "product": "nginx",
        "vulnerabilityName": "nginx",
        "dateAdded": "2023-02-01",
        "dueDate": "2023-02-21",
    }
    catalogue = {"catalogVersion": "2026.08.01", "dateReleased": "2026-08-01T00:00:00Z", "count": 1}
    kev = folder / "kev" / "known_exploited_vulnerabilities_2026-08.json.gz"
    kev.parent.mkdir()
    kev.write_bytes(gzip.compress(json.dumps({**catalogue, "vulnerabilities": [entry]}).encode()))
    scores = "".join(f"CVE-2023-{n:04},0.{n:03},0.5\n" for n in range(1, COUNT + 1))
    epss = folder / "epss" / "epss_scores-2026-08-16.csv.zst"
    epss.parent.mkdir()
    head = "#model_version:v2025.03.14,score_date:2026-08-16T12:55:00Z\ncve,epss,percentile\n"
    epss.write_bytes(zstandard.compress(f"{head}{scores}".encode()))
