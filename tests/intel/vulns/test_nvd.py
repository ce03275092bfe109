"""The NVD's JSON 2.0 in all its shapes to records."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.intel.vulns import open_feed
from spectra.model.envelope import Problem
from spectra.model.vulns import Criterion, Metric, Node, Reference, Ssvc, VulnRecord
from tests.intel.vulns.samples import (
    NGINX,
    affected,
    criteria,
    every,
    feed,
    match,
    nvd_cve,
    nvd_document,
    packed,
    problems,
    record,
)


def test_a_record_has_all_that_the_nvd_says() -> None:
    """English text, UTC times, CWE ids, pages and configurations."""
    assert record(packed(nvd_document(nvd_cve()))) == VulnRecord(
        cve="CVE-2024-0001",
        source="nvd",
        description="A flaw of HTTP/3 in nginx.",
        published=datetime(2024, 2, 14, 17, 15, 15, 543000, UTC),
        modified=datetime(2024, 11, 21, 8, 59, 31, 163000, UTC),
        weaknesses=("CWE-476",),
        references=(Reference("https://my.f5.com/manage/s/article/K1", ("Vendor Advisory",)),),
        configurations=(Node("OR", criteria=(Criterion(NGINX, below="1.25.4"),)),),
    )


def test_every_shape_gives_the_same_record() -> None:
    """A page of the API, a feed file, JSON lines, a bare object."""
    cve = nvd_cve()
    page, bare = nvd_document(cve), packed(cve)
    shapes = [packed(page), packed({"vulnerabilities": [{"cve": cve}]}), bare, bare + b"\n", packed([cve])]
    assert len({record(shape) for shape in shapes}) == 1


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"vulnStatus": "Rejected"}, "rejected"),
        ({"descriptions": [{"lang": "en", "value": "** REJECT ** DO NOT USE THIS CANDIDATE."}]}, "rejected"),
        ({"descriptions": [{"lang": "en", "value": "Rejected reason: a duplicate"}]}, "rejected"),
        ({"descriptions": [{"lang": "en", "value": "** DISPUTED ** It is said"}]}, "disputed"),
        ({"descriptions": [{"lang": "en", "value": "**DISPUTED**It is said"}]}, "disputed"),
        ({"cveTags": [{"sourceIdentifier": "x", "tags": ["disputed"]}]}, "disputed"),
        ({"vulnStatus": "Awaiting Analysis", "configurations": []}, "awaiting"),
        ({"vulnStatus": "Received", "configurations": []}, "awaiting"),
        ({"vulnStatus": "Undergoing Analysis", "configurations": []}, "awaiting"),
        ({"vulnStatus": "Deferred", "configurations": []}, "deferred"),
        ({"vulnStatus": "Deferred"}, ""),
        ({"vulnStatus": "Undergoing Analysis"}, ""),
        ({"vulnStatus": "Modified"}, ""),
    ],
)
def test_the_status_is_told_by_word_text_and_tag(fields: dict[str, Any], expected: str) -> None:
    """One that has configurations was looked at, whatever happens to it now."""
    assert record(packed(nvd_cve(**fields))).status == expected


def test_a_rejected_one_affects_nothing() -> None:
    """Even if it says so."""
    assert record(packed(nvd_cve(vulnStatus="Rejected"))).configurations == ()


def test_all_versions_of_cvss_are_read() -> None:
    """Primary and secondary; the severity of CVSS 2 stands beside its data, or nowhere."""

    def metric(score: float, kind: str, **fields: Any) -> dict[str, Any]:
        return {"source": "x", "type": kind, "cvssData": {"baseScore": score, "vectorString": "V", **fields}}

    metrics = {
        "cvssMetricV40": [metric(8.7, "Secondary", baseSeverity="HIGH")],
        "cvssMetricV31": [metric(7.5, "Primary", baseSeverity="HIGH"), metric(5.3, "Secondary", baseSeverity="MEDIUM")],
        "cvssMetricV30": [metric(9.8, "Primary", baseSeverity="CRITICAL")],
        "cvssMetricV2": [{**metric(7.5, "Primary"), "baseSeverity": "HIGH"}, metric(5.0, "Primary")],
        "ssvcV203": [{"source": "x", "ssvcData": {"options": [{"exploitation": "poc"}, {"automatable": "yes"}]}}],
    }
    read = record(packed(nvd_cve(metrics=metrics)))
    assert read.metrics == (
        Metric("4.0", 8.7, "high", "V", "x", False),
        Metric("3.1", 7.5, "high", "V", "x"),
        Metric("3.1", 5.3, "medium", "V", "x", False),
        Metric("3.0", 9.8, "critical", "V", "x"),
        Metric("2.0", 7.5, "high", "V", "x"),
        Metric("2.0", 5.0, "medium", "V", "x"),
    )
    assert read.ssvc == Ssvc("poc", "yes", "")


def test_configurations_are_taken_as_they_are_written() -> None:
    """AND, OR, negate, running-on, every bound; children in children as NVD 1.1 had them."""
    apache = "cpe:2.3:a:apache:http_server:*:*:*:*:*:*:*:*"
    bounds = {"versionStartIncluding": "2.4.0", "versionEndIncluding": "2.4.49"}
    others = {"versionStartExcluding": "1", "versionEndExcluding": "2"}
    windows = match("cpe:2.3:o:microsoft:windows:-:*:*:*:*:*:*:*", vulnerable=False)
    given_nodes = [
        {"operator": "OR", "negate": False, "cpeMatch": [match(apache, **bounds), match(apache, **others)]},
        {"operator": "OR", "negate": True, "cpeMatch": [windows]},
    ]
    nested = {"operator": "AND", "children": [{"operator": "OR", "cpeMatch": [match()]}, {"cpeMatch": [match(apache)]}]}
    read = record(packed(nvd_cve(configurations=[{"operator": "AND", "nodes": given_nodes}, {"nodes": [nested]}])))
    assert read.configurations == (
        Node(
            "AND",
            children=(
                Node(
                    criteria=(Criterion(apache, True, "2.4.0", "", "2.4.49"), Criterion(apache, True, "", "1", "", "2"))
                ),
                Node(negate=True, criteria=(Criterion(windows["criteria"], False),)),
            ),
        ),
        Node("AND", children=(Node(criteria=(Criterion(NGINX),)), Node(criteria=(Criterion(apache),)))),
    )


def test_what_holds_nothing_never_holds_everything() -> None:
    """A conjunction of nothing would be true: it is left out, and so is one of which a part is missing."""
    empty: dict[str, Any] = {"operator": "OR", "cpeMatch": []}
    full = {"operator": "OR", "cpeMatch": [match()]}
    configurations = [{"nodes": []}, {"nodes": [empty]}, {"operator": "AND", "nodes": [full, empty]}]
    assert record(packed(nvd_cve(configurations=configurations))).configurations == ()
    either = record(packed(nvd_cve(configurations=[{"operator": "OR", "nodes": [full, empty]}])))
    assert criteria(*either.configurations) == [Criterion(NGINX)]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"id": "CVE-1"}, "is no CVE id"),
        ({"configurations": [{"nodes": [{"operator": "XOR", "cpeMatch": [match()]}]}]}, "is no operator"),
        ({"configurations": [{"nodes": [{"cpeMatch": [match("x" * 2000)]}]}]}, "too long"),
        ({"configurations": [{"nodes": [{"cpeMatch": [{"criteria": 7}]}]}]}, "Expected `str`"),
        ({"descriptions": 7}, "Expected `array`"),
    ],
)
def test_a_record_that_cannot_be_read_is_a_problem_with_its_line(fields: dict[str, Any], why: str) -> None:
    """And the next one is read."""
    lines = [packed(nvd_cve()), packed(nvd_cve(**fields)), packed(nvd_cve("CVE-2024-0002"))]
    first, problem, last = feed(b"\n".join(lines) + b"\n")
    assert isinstance(problem, Problem)
    assert problem.line == 2
    assert why in problem.message
    assert isinstance(first, VulnRecord)
    assert isinstance(last, VulnRecord)
    assert last.cve == "CVE-2024-0002"


def test_configurations_without_end_are_problems() -> None:
    """Too deep for whoever evaluates them, or too many."""
    node: dict[str, Any] = {"cpeMatch": [match()]}
    for _ in range(20):
        node = {"operator": "AND", "children": [node, {"cpeMatch": [match()]}]}
    deep, many = nvd_cve(configurations=[node]), nvd_cve(configurations=[{"nodes": [{"cpeMatch": [match()] * 20_001}]}])
    good = packed(nvd_cve())
    messages = [problem.message for problem in problems(b"\n".join([good, packed(deep), packed(many)]) + b"\n")]
    assert [word in message for word, message in zip(("deep", "more than"), messages, strict=True)] == [True, True]


def test_nul_and_control_characters_never_reach_a_record() -> None:
    """PostgreSQL takes no NUL, and a terminal should get no escape."""
    read = record(packed(nvd_cve(descriptions=[{"lang": "en", "value": "a\0b\x1b[31mc"}])))
    assert read.description == "a\N{REPLACEMENT CHARACTER}b [31mc"


def test_what_the_assigner_claims_counts_where_the_nvd_has_not_looked() -> None:
    """It passes it on as `affected`; `merge` takes it last."""
    claimed = [{"source": "f5", "affectedData": [affected({"version": "0", "lessThan": "31", "status": "affected"})]}]
    waiting = record(packed(nvd_cve(vulnStatus="Received", configurations=[], affected=claimed)))
    assert waiting.status == "awaiting"
    assert [c.below for c in criteria(*waiting.configurations)] == ["31"]
    analysed = record(packed(nvd_cve(affected=claimed)))
    assert [c.below for c in criteria(*analysed.configurations)] == ["1.25.4"]


def test_overrides_are_records_of_their_own_source() -> None:
    """What their annotation says, and NVD-style configurations."""
    line = {
        "_annotation": {
            "cve_id": "CVE-2024-0001",
            "description": "A flaw.",
            "published": "2024-02-14T04:00:00+00:00",
            "references": ["https://example.com/a"],
            "reason": "Added CPE configurations because not yet analyzed by NVD.",
        },
        "cve": {"configurations": nvd_cve()["configurations"], "references": [{"url": "https://example.com/b"}]},
    }
    with feed(packed(line)) as read:
        assert read.kind == "overrides"
        (item,) = read
    assert item == VulnRecord(
        cve="CVE-2024-0001",
        source="overrides",
        description="A flaw.",
        published=datetime(2024, 2, 14, 4, tzinfo=UTC),
        references=(Reference("https://example.com/a"), Reference("https://example.com/b")),
        configurations=(Node(criteria=(Criterion(NGINX, below="1.25.4"),)),),
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("CVE-2024-0001"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*nvd_cve(), "nodes"]), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(list(nvd_cve())), JSON))
def test_any_value_anywhere_is_a_record_or_a_problem(fields: dict[str, Any]) -> None:
    """Nothing else gets out."""
    for item in feed(packed(nvd_cve()) + b"\n" + packed(nvd_cve(**fields)) + b"\n"):
        assert isinstance(item, VulnRecord | Problem)


def test_real_feeds_are_read_without_a_problem(shared_data: Path) -> None:
    """The NVD's own files, three days apart, and the year 2003; Anchore's overrides of the same products."""
    expected = {
        "nvd/raw_feeds/nvdcve-2.0-2003.json.gz": 1555,
        "nvd/raw_feeds/nvdcve-2.0-modified.json.gz": 2662,
        "nvd/raw_feeds/nvdcve-2.0-modified_2026-03-15.json.gz": 2286,
        "nvd/raw_feeds/nvdcve-2.0-recent.json.gz": 1954,
        "nvd/nvd_netproducts_core.jsonl.zst": 5362,
        "nvd/anchore_overrides_netproducts.jsonl.zst": 2487,
    }
    for name, count in expected.items():
        with open_feed(shared_data / name) as read:
            items = list(read)
            assert len(items) == count
            assert not [item for item in items if isinstance(item, Problem)]
            assert read.total in (count, None)


@pytest.mark.slow
def test_the_nvd_is_read(shared_data: Path) -> None:
    """Every eighth record of all years, rejected where its text says so and with as many criteria as that has."""
    lines = every(8, shared_data / "big" / "nvd_cves.jsonl.zst")
    items = list(feed(b"".join(lines)))
    assert len(items) == len(lines) == 27_818
    matches = 0
    for line, item in zip(lines, items, strict=True):
        assert isinstance(item, VulnRecord)
        assert line.startswith(f'{{"id":"{item.cve}"'.encode())
        assert (item.status == "rejected") == (b'"vulnStatus":"Rejected"' in line), item.cve
        if item.status not in ("awaiting", "deferred"):
            assert bool(item.configurations) == (b'"configurations":[{' in line), item.cve
            matches += (found := len(criteria(*item.configurations)))
            assert found == line.count(b'"criteria":'), item.cve
    assert matches > 200_000
