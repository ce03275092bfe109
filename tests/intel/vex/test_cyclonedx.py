"""CycloneDX written and read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given

from spectra.intel.vex import cyclonedx, marks
from spectra.model.triage import CYCLONEDX_JUSTIFICATIONS, Target, Verdict
from spectra.model.vex import Outgoing, Product, Statement
from tests.intel.vex.documents import DOCUMENTS

T0 = datetime(2026, 3, 1, tzinfo=UTC)
CPE = "cpe:2.3:a:openbsd:openssh:9.2:p1:*:*:*:*:*:*"
HERE = Product(Target("", "192.0.2.7", 22, "tcp"), "OpenSSH", "9.2p1", CPE)
STATES = {"resolved", "resolved_with_pedigree", "exploitable", "in_triage", "false_positive", "not_affected"}


def written(document: Outgoing) -> dict[str, Any]:
    """As JSON has it."""
    return json.loads(msgspec.json.encode(cyclonedx.write(document)))


def one(verdict: Verdict | None, **changes: Any) -> dict[str, Any]:
    """A document with one statement."""
    statement = Statement("CVE-2024-6387", verdict, T0, (HERE,))._replace(**changes)
    return written(Outgoing("3e671687-395b-41f5-a30f-a58921a69b79", "alice", T0, 7, "Spectra 1.2", (statement,)))


@given(DOCUMENTS)
def test_what_the_schema_asks_for(document: Outgoing) -> None:
    """Every field that has to be there is, with a word that is allowed, and every reference leads somewhere."""
    found = written(document)
    assert (found["bomFormat"], found["specVersion"], found["version"]) == ("CycloneDX", "1.6", document.version)
    assert found["serialNumber"] == f"urn:uuid:{document.id}"
    assert datetime.fromisoformat(found["metadata"]["timestamp"]) == document.issued
    refs = [component["bom-ref"] for component in found["components"]]
    assert len(set(refs)) == len(refs)
    for component in found["components"]:
        assert component["type"] in ("application", "device")
        assert component["name"]
    for vulnerability in found["vulnerabilities"]:
        analysis = vulnerability["analysis"]
        assert analysis["state"] in STATES
        assert analysis.get("justification", "code_not_present") in CYCLONEDX_JUSTIFICATIONS
        assert set(analysis.get("response", ())) <= {"will_not_fix", "update"}
        affected = [one["ref"] for one in vulnerability["affects"]]
        assert affected
        assert set(affected) <= set(refs)


@given(DOCUMENTS)
def test_it_reads_as_it_was_written(document: Outgoing) -> None:
    """The same decisions about the same places; what nobody decided is counted."""
    found = cyclonedx.read(msgspec.json.encode(cyclonedx.write(document)), "")
    assert (found.format, found.id, found.version) == ("cyclonedx", f"urn:uuid:{document.id}", document.version)
    assert (found.author, found.issued, found.problems) == (document.author, document.issued, ())
    decided = [s for s in document.statements if s.verdict]
    assert found.undecided == len(document.statements) - len(decided)
    for claim, statement in zip(found.claims, decided, strict=True):
        assert (claim.ids, claim.verdict, claim.said) == ((statement.cve,), statement.verdict, statement.said)
        places = [marks.read_place(named.names[0], "") for named in claim.products]
        assert places == [product.target for product in statement.products]


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        (Verdict("fixed"), {"state": "resolved"}),
        (Verdict("investigating"), {"state": "in_triage"}),
        (Verdict("affected", "Update in May."), {"state": "exploitable", "detail": "Update in May."}),
        (Verdict("accepted"), {"state": "exploitable", "response": ["will_not_fix"]}),
        (Verdict("false_positive", "other"), {"state": "false_positive", "detail": "other"}),
        (
            Verdict("not_affected", justification="vulnerable_code_not_in_execute_path"),
            {"state": "not_affected", "justification": "code_not_reachable"},
        ),
        (
            Verdict("not_affected", justification="requires_dependency"),
            {"state": "not_affected", "justification": "requires_dependency"},
        ),
    ],
)
def test_how_decisions_are_told(verdict: Verdict, told: dict[str, str]) -> None:
    """In the words of CycloneDX, and in ours in a property."""
    (vulnerability,) = one(verdict)["vulnerabilities"]
    assert vulnerability["analysis"] == told | {"lastUpdated": "2026-03-01T00:00:00Z"}
    (prop,) = vulnerability["properties"]
    assert prop["name"] == "spectra:decision"
    assert marks.read_mark(prop["value"]) == marks.Mark(verdict)


def test_what_nobody_decided() -> None:
    """Is exploitable with what there is to do, or in triage."""
    (sure,) = one(None, action="Update it.")["vulnerabilities"]
    assert (sure["recommendation"], sure["analysis"]["response"]) == ("Update it.", ["update"])
    (possible,) = one(None, sure=False)["vulnerabilities"]
    assert (possible["analysis"]["state"], "response" in possible["analysis"]) == ("in_triage", False)


def test_components() -> None:
    """An endpoint's software, a host, software everywhere, and every host."""
    products = (
        HERE, Product(Target("", "192.0.2.8", 1, "udp")), Product(Target("", "192.0.2.7")),
        Product(Target("", cpe=CPE)), Product(Target("")),
    )  # fmt: skip
    found = one(Verdict("fixed"), products=products)
    assert [(c["type"], c["name"], c.get("version"), c.get("cpe")) for c in found["components"]] == [
        ("application", "OpenSSH", "9.2p1", CPE), ("application", "192.0.2.8 1/udp", None, None),
        ("device", "192.0.2.7", None, None), ("application", "openssh", None, CPE),
        ("application", "every host", None, None),
    ]  # fmt: skip
    assert found["components"][0]["properties"][1] == {"name": "spectra:port", "value": "22/tcp"}
    assert found["metadata"]["tools"]["components"] == [{"type": "application", "name": "Spectra", "version": "1.2"}]


# Documents of others --------------------------------------------------------------------------------------------------

WEAK: dict[str, Any] = {"id": "CVE-2024-6387", "analysis": {"state": "resolved"}, "affects": [{"ref": "a"}]}


def read(*vulnerabilities: Any, **fields: Any) -> Any:
    """A document of somebody else."""
    head: dict[str, Any] = {"bomFormat": "CycloneDX", "specVersion": "1.4", "vulnerabilities": vulnerabilities}
    return cyclonedx.read(json.dumps(head | fields).encode(), "urn:sha256:x")


def test_components_are_found_wherever_they_are() -> None:
    """Nested, as services, as what the document is about, by a link to another document, or not at all."""
    components = [
        {
            "bom-ref": "a",
            "cpe": "cpe:2.3:a:x:y",
            "purl": "pkg:generic/y@1",
            "components": [{"bom-ref": "b", "purl": "pkg:b"}],
        },
        {"name": "no ref"},
        {"bom-ref": 7},
    ]
    services = [{"bom-ref": "c", "endpoints": ["https://192.0.2.7/"], "services": [{"bom-ref": "d"}]}]
    refs = ["a", "b", "urn:cdx:3e671687/1#c", "d", "e", "f"]
    weak = WEAK | {"affects": [{"ref": ref} for ref in refs]}
    metadata = {
        "component": {"bom-ref": "e", "cpe": "cpe:2.3:a:e"},
        "authors": [{"name": "A"}],
        "supplier": {"name": "B"},
    }
    found = read(weak, components=components, services=services, metadata=metadata)
    (claim,) = found.claims
    assert [named.names for named in claim.products] == [
        ("a", "cpe:2.3:a:x:y", "pkg:generic/y@1"), ("b", "pkg:b"), ("c", "https://192.0.2.7/"), ("d",),
        ("e", "cpe:2.3:a:e"), ("f",),
    ]  # fmt: skip
    assert (found.author, found.id, found.version, found.issued) == ("A, B", "urn:sha256:x", 1, None)


def test_an_analysis() -> None:
    """With its justification, detail and time; a weakness by another name with the CVE as a reference."""
    analysis = {
        "state": "not_affected", "justification": "code_not_reachable", "response": ["will_not_fix", "update"],
        "detail": "Why\nnot.", "firstIssued": "2024-01-01T00:00:00Z", "lastUpdated": "2024-02-01T00:00:00Z",
    }  # fmt: skip
    (claim,) = read(WEAK | {"id": "SNYK-1", "references": [{"id": "CVE-2018-7489"}], "analysis": analysis}).claims
    assert (claim.ids, claim.verdict) == (
        ("SNYK-1", "CVE-2018-7489"), Verdict("not_affected", "Why not.", "code_not_reachable"),
    )  # fmt: skip
    assert claim.said == datetime(2024, 2, 1, tzinfo=UTC)
    (other,) = read(WEAK | {"analysis": {"state": "exploitable", "response": ["will_not_fix"]}}).claims
    assert other.verdict == Verdict("affected")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"analysis": None}, "analysis.state"),
        ({"analysis": {}}, "analysis.state"),
        ({"analysis": {"state": "unknown"}}, "analysis.state"),
        ({"analysis": {"state": 7}}, "analysis.state"),
        ({"analysis": {"state": "not_affected", "justification": "because"}}, "analysis.justification"),
        ({"analysis": {"state": "resolved", "lastUpdated": "soon"}}, "analysis.lastUpdated"),
        ({"affects": []}, "affects"),
        ({"affects": [{"ref": 7}]}, "affects[0].ref"),
        ({"id": ""}, "id"),
    ],
)
def test_a_bad_one_is_told(changes: dict[str, Any], field: str) -> None:
    """With its place and field; the others are kept."""
    found = read(WEAK, WEAK | changes, WEAK)
    assert [claim.place for claim in found.claims] == [0, 2]
    (problem,) = found.problems
    assert (problem.index, problem.field) == (1, f"vulnerabilities[1].{field}")
