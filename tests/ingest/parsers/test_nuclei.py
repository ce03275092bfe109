"""nuclei's results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spectra.model.observation import HostSeen, NameSeen, Problem
from tests.ingest.parsers.reading import host, lines, of, read

LINE = {
    "template-id": "CVE-2021-44228",
    "info": {"name": "Log4j", "severity": "Critical", "classification": {"cve-id": ["CVE-2021-44228"]}},
    "type": "http",
    "host": "https://a.example",
    "matched-at": "https://a.example:8443/x?y",
    "ip": "192.0.2.1",
    "timestamp": "2024-01-01T00:00:00Z",
    "matcher-status": True,
}


@pytest.mark.parametrize(
    ("name", "evidence"),
    [
        ("defectdojo__invalid_cwe.json", 1),
        ("defectdojo__issue_9201.json", 1),
        ("defectdojo__many_findings.json", 18),
        ("defectdojo__many_findings_new.json", 2),
        ("defectdojo__many_findings_third.json", 2),
        ("defectdojo__multi_cwe_fabricated.json", 1),
        ("defectdojo__multiple_matches.json", 2),
        ("securecodebox__example-com-only-misc-tags-with-incluce-rr.jsonl", 1),
        ("securecodebox__example.com_raw-results.jsonl", 27),
        ("securecodebox__log4shell.jsonl", 1),
        ("securecodebox__secureCodeBox.io_raw-results.jsonl", 22),
    ],
)
def test_real_files(shared_data: Path, name: str, evidence: int) -> None:
    """Lines, a single object, a pretty-printed array: every finding is kept once, none is a problem."""
    data = (shared_data / "scans" / "nuclei" / name).read_bytes()
    records = read(data)
    kept = [item for h in of(HostSeen, records) for e in h.endpoints for item in e.evidence]
    kept += [item for h in of(HostSeen, records) for item in h.evidence]
    kept += [item for n in of(NameSeen, records) for item in n.evidence]
    assert not of(Problem, records)
    told = json.loads(data) if data.startswith(b"[") else [json.loads(line) for line in data.splitlines()]
    assert len(told) == evidence
    distinct = {
        (
            one.get("template-id") or one.get("templateID"),
            one.get("matched-at") or one.get("matched"),
            one.get("matcher-name") or one.get("matcher_name"),
            one.get("ip"),
        )
        for one in told
    }
    assert len(kept) == len(distinct)
    assert all(json.loads(item.data)["name"] and len(item.data) <= 4096 for item in kept)


def test_a_finding_on_an_endpoint() -> None:
    """Kind, severity, key and data; the port is that of `matched-at`."""
    found = host(lines(LINE | {"matcher-name": "m", "extracted-results": ["x\x00"]}))
    (seen,) = found.endpoints
    (item,) = seen.evidence
    assert (seen.port, item.kind, item.severity) == (8443, "nuclei:CVE-2021-44228", "critical")
    assert item.key == "https://a.example:8443/x?y m"
    assert json.loads(item.data) == {"name": "Log4j", "cve": ["CVE-2021-44228"], "extracted": ["x\\x00"]}
    assert found.hostnames[0].name == "a.example"


@pytest.mark.parametrize(
    ("fields", "port"),
    [
        ({"port": "9443"}, 9443),
        ({"matched-at": "a.example:22"}, 22),
        ({"matched-at": "https://b.example:7/"}, 443),
        ({"matched-at": None}, 443),
        ({"type": "dns"}, None),
        ({"host": "a.example", "matched-at": "a.example"}, None),
    ],
)
def test_the_port(fields: dict[str, object], port: int | None) -> None:
    """Told, or of the place that matched, unless that is another host's; without one the host has the finding."""
    found = host(lines(LINE | fields))
    assert [seen.port for seen in found.endpoints] == ([port] if port else [])
    assert len(found.evidence) == (0 if port else 1)


def test_without_an_address_the_name_has_the_finding() -> None:
    """And an address in `host` is one."""
    (name,) = of(NameSeen, read(lines(LINE | {"ip": None})))
    assert (name.name, len(name.evidence)) == ("a.example", 1)
    assert host(lines(LINE | {"ip": "", "host": "http://192.0.2.9:81", "matched-at": None})).endpoints[0].port == 81
    assert host(lines(LINE | {"ip": "192.0.2.3."})).ip == "192.0.2.3"


def test_a_template_that_did_not_match_is_nothing() -> None:
    """`-matcher-status` writes those too."""
    assert not of(HostSeen, read(lines(LINE | {"matcher-status": False})))


def test_bad_lines_are_named() -> None:
    """No template, no place, a wrong type."""
    records = read(
        lines(LINE, LINE | {"template-id": ""}, LINE | {"ip": None, "host": "", "matched-at": None}, LINE | {"info": 5})
    )
    assert [(p.line, p.field) for p in of(Problem, records)] == [(2, "template-id"), (3, "host"), (4, "info")]


def test_data_stays_json_within_4_kb() -> None:
    """However long the parts are."""
    info = {"name": "n" * 9999, "description": "d" * 99999, "classification": {"cve-id": "C" * 99, "cvss-score": 9.8}}
    line = LINE | {"info": info, "extracted-results": ["é" * 5000] * 50}
    data = host(lines(line)).endpoints[0].evidence[0].data
    assert len(data.encode()) <= 4096
    assert json.loads(data)["cvss-score"] == "9.8"
