"""Made-up texts about weaknesses: every product has every kind of weakness, each told in one of several ways."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import zstandard

from spectra.intel.embed.texts import composed

PRODUCTS = (
    *("acme gateway", "initech mailer", "umbra router", "globex portal", "hooli shellbox", "vandel proxyd"),
    *("wonka wiki", "stark vault", "tyrell camera", "cyber printer", "oscor sshd", "massive crm"),
)
KINDS = {
    "CWE-79": (
        "Cross-site scripting in the {} module of {} lets remote people inject arbitrary HTML through the title field",
        "Stored XSS: script code in a comment runs in the browser of whoever opens the {} page of {}",
    ),
    "CWE-89": (
        "SQL injection in the {} form of {} lets remote people read the database through the id parameter",
        "Unescaped input reaches a database query in the {} report of {}, giving away tables and credentials",
    ),
    "CWE-787": (
        "A heap overflow while {} packets are parsed by {} gives code execution by a long header",
        "Out-of-bounds write in the {} decoder of {}: memory corruption by an oversized length field",
    ),
    "CWE-22": (
        "Directory traversal in the {} download of {} gives arbitrary files by dot dot sequences in the path",
        "Path traversal: the {} archive of {} is unpacked outside of its folder, overwriting files",
    ),
    "CWE-362": (
        "A race condition in the {} signal handler of {} runs code as root before authentication",
        "Time of check and time of use differ for {} locks in {}, a race that raises privileges",
    ),
}
PARTS = ("login", "admin", "search", "backup", "billing", "export", "profile", "upload")


def texts() -> list[str]:
    """A few hundred, in a fixed order, as `intel.embed.texts` composes them."""
    told = itertools.product(PRODUCTS, KINDS.items(), PARTS)
    return [f"{ways[i % 2].format(part, name)}.\n{cwe}\n{name}" for i, (name, (cwe, ways), part) in enumerate(told)]


def real(shared_data: Path) -> list[tuple[str, str]]:
    """CVEs of network products as the NVD tells them: id, and text as `intel.embed.texts` composes it."""
    with zstandard.open(shared_data / "nvd" / "nvd_netproducts_core.jsonl.zst", "rt", encoding="utf-8") as file:
        return [_told(json.loads(line)) for line in file]


def _told(record: dict[str, Any]) -> tuple[str, str]:
    description = next(d["value"] for d in record["descriptions"] if d["lang"] == "en")
    weaknesses = sorted({d["value"] for w in record.get("weaknesses", ()) for d in w["description"]})
    products = dict.fromkeys(
        " ".join(match["criteria"].split(":")[3:5])
        for configuration in record.get("configurations", ())
        for node in configuration["nodes"]
        for match in node["cpeMatch"]
        if match["vulnerable"]
    )
    return record["id"], composed("", description, weaknesses, list(products)[:8])
