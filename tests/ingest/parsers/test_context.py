"""What leaves a parser when only metadata may."""

from __future__ import annotations

from pathlib import Path

import msgspec

from spectra.ingest.parsers import ParseError
from spectra.model.envelope import Privacy
from spectra.model.observation import Evidence, HostSeen, NameSeen, Record
from tests.ingest.parsers.reading import lines, nmap, nmap_host, nmap_port, of, read, unpacked


def words(records: list[Record]) -> str:
    """Everything in the records, as text."""
    return msgspec.json.encode(records).decode()


def test_no_words_of_a_service_leave() -> None:
    """Banner, title and script output are gone; port, service and version stay."""
    scripts = (
        '<script id="banner" output="SECRET-1"/><script id="http-title" output="SECRET-2"/>'
        '<script id="x" output="SECRET-3"/><service name="http" product="nginx" method="probed"/>'
    )
    hostscript = '<hostscript><script id="y" output="SECRET-4"/></hostscript>'
    text = nmap(nmap_host(nmap_port(scripts), hostscript))
    assert all(f"SECRET-{n}" in words(read(text)) for n in (1, 2, 3, 4))
    private = read(text, Privacy.META_ONLY)
    assert "SECRET" not in words(private)
    assert of(HostSeen, private)[0].endpoints[0].service == of(HostSeen, read(text))[0].endpoints[0].service


def test_a_finding_stays_by_kind_severity_and_place() -> None:
    """Without data, query, matcher or description."""
    finding = {
        "template-id": "t",
        "info": {"name": "SECRET", "severity": "high"},
        "host": "a.example",
        "matched-at": "https://a.example/x?SECRET",
        "matcher-name": "SECRET",
        "extracted-results": ["SECRET"],
    }
    (name,) = of(NameSeen, read(lines(finding), Privacy.META_ONLY))
    assert name.evidence == (Evidence("nuclei:t", "", "https://a.example/x", "high"),)
    event = {"type": "FINDING", "id": "1", "scan": "1", "host": "a.example", "data": {"description": "SECRET words"}}
    (name,) = of(NameSeen, read(lines(event), Privacy.META_ONLY))
    assert name.evidence == (Evidence("bbot:FINDING", ""),)


def test_no_real_file_leaks(shared_data: Path) -> None:
    """Every real scan: no banner, no title, no evidence with data."""
    for folder in ("nmap", "naabu", "masscan", "bbot", "httpx", "nuclei"):
        for path in (shared_data / "scans" / folder).iterdir():
            data = unpacked(path.read_bytes()) if path.suffix == ".zst" else path.read_bytes()
            try:
                records = read(data, Privacy.META_ONLY)
            except ParseError:
                continue
            for seen in of(HostSeen, records):
                assert all(e.banner is None for e in seen.endpoints)
                assert not any(item.data for e in seen.endpoints for item in e.evidence)
                assert not any(item.data for item in seen.evidence)
            assert not any(item.data for name in of(NameSeen, records) for item in name.evidence)
