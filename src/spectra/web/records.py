"""Where a page about a record is: records are cited by ids such as `host:192.0.2.1` (model/summaries.py)."""

from __future__ import annotations

from spectra.web.page import query
from spectra.web.words import segment


def linked(record: str) -> str:
    """The path of the page about the record `record`; empty where there is none."""
    kind, _, rest = record.partition(":")
    if not rest:
        return ""
    parts = rest.split("/")
    if kind == "endpoint" and len(parts) == 3:
        return f"/hosts/{segment(parts[0])}/{segment(parts[2])}/{segment(parts[1])}"
    asked = {"name": f"hostname:{rest}", "network": f"net:{rest}", "certificate": f"cert.sha256:{rest}", "query": rest}
    if kind in asked:
        return f"/search{query(q=asked[kind])}"
    folder = {"host": "hosts", "finding": "findings", "cve": "vulns", "account": "accounts", "node": "nodes"}.get(kind)
    return f"/{folder}/{segment(rest)}" if folder else ""
