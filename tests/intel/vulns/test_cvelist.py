"""CVE records 5.x to records: the assigner's words and what CISA adds."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.model.envelope import Problem
from spectra.model.vulns import Criterion, Metric, Reference, Ssvc, VulnRecord
from tests.intel.vulns.samples import NGINX, affected, criteria, cve_record, every, feed, packed, record


def vulnrichment(*metrics: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """CISA's container."""
    return {
        "title": "CISA ADP Vulnrichment",
        "providerMetadata": {"orgId": "1", "shortName": "CISA-ADP"},
        "metrics": list(metrics),
        **fields,
    }


def ssvc(*options: dict[str, str]) -> dict[str, Any]:
    """CISA's decision."""
    return {"other": {"type": "ssvc", "content": {"id": "CVE-2024-0001", "options": list(options), "version": "2.0.3"}}}


def test_a_record_has_all_that_its_containers_say() -> None:
    """Title, text, times, pages of all, scores of all: those of the assigner are the primary ones."""
    cvss = {"cvssV3_1": {"version": "3.1", "baseScore": 7.5, "baseSeverity": "HIGH", "vectorString": "V"}}
    cna: dict[str, Any] = {
        "metrics": [{"format": "CVSS", **cvss}],
        "problemTypes": [
            {"descriptions": [{"lang": "en", "type": "CWE", "cweId": "CWE-476", "description": "CWE-476 NULL"}]}
        ],
        "affected": [affected({"version": "31", "lessThan": "32", "status": "affected"})],
    }
    adp = vulnrichment(
        {"cvssV4_0": {"baseScore": 8.7, "baseSeverity": "HIGH", "vectorString": "W"}},
        ssvc({"Exploitation": "poc"}, {"Automatable": "yes"}, {"Technical Impact": "partial"}),
        problemTypes=[{"descriptions": [{"lang": "en", "description": "CWE-787: Out-of-bounds Write"}]}],
        references=[{"url": "https://example.com/poc", "tags": ["exploit"]}],
    )
    assert record(packed(cve_record(adp=(adp,), **cna))) == VulnRecord(
        cve="CVE-2024-0001",
        source="cve",
        title="NGINX HTTP/3 QUIC vulnerability",
        description="A flaw of HTTP/3 in nginx.",
        published=datetime(2024, 2, 14, 16, 30, tzinfo=UTC),
        modified=datetime(2024, 8, 1, 20, 35, 34, 659000, UTC),
        metrics=(Metric("3.1", 7.5, "high", "V", "f5"), Metric("4.0", 8.7, "high", "W", "CISA-ADP", False)),
        weaknesses=("CWE-476", "CWE-787"),
        references=(
            Reference("https://my.f5.com/manage/s/article/K1", ("vendor-advisory",)),
            Reference("https://example.com/poc", ("exploit",)),
        ),
        configurations=record(packed(cve_record(**cna))).configurations,
        ssvc=Ssvc("poc", "yes", "partial"),
    )


def test_rejected_and_disputed() -> None:
    """A rejected one tells why instead of what, and affects nothing."""
    rejected = cve_record(rejectedReasons=[{"lang": "en", "value": "A duplicate."}], descriptions=[])
    rejected["cveMetadata"]["state"] = "REJECTED"
    rejected["containers"]["cna"]["affected"] = [affected({"version": "*", "status": "affected"})]
    read = record(packed(rejected))
    assert (read.status, read.description, read.configurations) == ("rejected", "A duplicate.", ())
    assert record(packed(cve_record(tags=["disputed"]))).status == "disputed"


def test_cisa_s_names_go_first() -> None:
    """Where its container names what is affected."""
    adp = vulnrichment(affected=[affected({"version": "1.25", "status": "affected"}, cpes=[NGINX], product="nginx")])
    read = record(packed(cve_record(adp=(adp,), affected=[affected({"version": "30", "status": "affected"})])))
    assert criteria(*read.configurations) == [Criterion(NGINX.replace("*:", "1.25:", 1))]


def test_what_is_in_the_catalogue_is_exploited() -> None:
    """Whatever the decision said before it came in."""
    kev = {"other": {"type": "kev", "content": {"dateAdded": "2024-03-01", "reference": "https://cisa.gov/kev"}}}
    decision = ssvc({"Exploitation": "none"}, {"Automatable": "no"})
    assert record(packed(cve_record(adp=(vulnrichment(decision, kev),)))).ssvc == Ssvc("active", "no", "")
    assert record(packed(cve_record(adp=(vulnrichment(kev),)))).ssvc == Ssvc("active")
    assert record(packed(cve_record())).ssvc is None


def test_a_pretty_printed_record_is_read() -> None:
    """As the CVE list's files are: one record over many lines."""
    data = json.dumps(cve_record(), indent=4).encode()
    assert record(data) == record(packed(cve_record()))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "options", "content"]), inner),
    max_leaves=10,
)


@given(
    st.dictionaries(st.sampled_from(["affected", "metrics", "references", "tags", "title", "problemTypes"]), JSON), JSON
)
def test_any_value_anywhere_is_a_record_or_a_problem(cna: dict[str, Any], metric: Any) -> None:
    """Nothing else gets out."""
    odd = cve_record(adp=(vulnrichment({"other": metric}),), **cna)
    for item in feed(packed(cve_record()) + b"\n" + packed(odd) + b"\n"):
        assert isinstance(item, VulnRecord | Problem)


@pytest.mark.slow
def test_vulnrichment_is_read(shared_data: Path) -> None:
    """Every fifth record: decided and rejected where a search of its text says so; most say what is affected."""
    lines = every(5, shared_data / "big" / "cisa_vulnrichment.jsonl.zst")
    items = list(feed(b"".join(lines)))
    assert len(items) == len(lines) == 8826
    for line, item in zip(lines, items, strict=True):
        assert isinstance(item, VulnRecord)
        assert f'"cveId":"{item.cve}"'.encode() in line
        assert (item.status == "rejected") == (b'"state":"REJECTED"' in line), item.cve
        assert (item.ssvc is not None) == (b'"type":"ssvc"' in line), item.cve
    counts = Counter(item.status for item in items if isinstance(item, VulnRecord))
    assert counts["rejected"] > 10
    assert sum(isinstance(item, VulnRecord) and bool(item.configurations) for item in items) > 7600
