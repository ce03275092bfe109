"""OpenVEX written and read."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given

from spectra.intel.vex import marks, openvex
from spectra.model.triage import OPENVEX_JUSTIFICATIONS, Target, Verdict
from spectra.model.vex import Outgoing, Product, Statement
from tests.intel.vex.documents import DOCUMENTS

T0 = datetime(2026, 3, 1, tzinfo=UTC)
CPE = "cpe:2.3:a:openbsd:openssh:9.2:p1:*:*:*:*:*:*"
HERE = Product(Target("", "192.0.2.7", 22, "tcp"), "OpenSSH", "9.2p1", CPE)
CPE23 = re.compile(  # as the JSON Schema of OpenVEX has it
    r"""cpe:2\.3:[aho*\-](:(((\?*|\*?)([a-zA-Z0-9\-._]|(\\[\\*?!"#$%&'()+,/:;<=>@\[\]^`{|}~]))+(\?*|\*?))|[*\-])){5}"""
    r"""(:(([a-zA-Z]{2,3}(-([a-zA-Z]{2}|[0-9]{3}))?)|[*\-]))"""
    r"""(:(((\?*|\*?)([a-zA-Z0-9\-._]|(\\[\\*?!"#$%&'()+,/:;<=>@\[\]^`{|}~]))+(\?*|\*?))|[*\-])){4}"""
)


def written(document: Outgoing) -> dict[str, Any]:
    """As JSON has it."""
    return json.loads(msgspec.json.encode(openvex.write(document)))


def one(verdict: Verdict | None, **changes: Any) -> dict[str, Any]:
    """The statement of a document with one."""
    statement = Statement("CVE-2024-6387", verdict, T0, (HERE,))._replace(**changes)
    (found,) = written(Outgoing("x", "alice", T0, 7, "Spectra 1", (statement,)))["statements"]
    return found


@given(DOCUMENTS)
def test_what_the_specification_asks_for(document: Outgoing) -> None:
    """Every field that has to be there is, with a word that is allowed."""
    found = written(document)
    assert found["@context"] == "https://openvex.dev/ns/v0.2.0"
    assert found["@id"] == f"urn:uuid:{document.id}"
    assert (found["author"], found["version"]) == (document.author, document.version)
    assert datetime.fromisoformat(found["timestamp"]) == document.issued
    known = {"vulnerability", "timestamp", "products", "status", "status_notes", "justification", "impact_statement",
             "action_statement"}  # fmt: skip
    for statement in found["statements"]:
        assert statement.keys() <= known
        assert statement["vulnerability"].keys() == {"name"}
        assert statement["status"] in ("not_affected", "affected", "fixed", "under_investigation")
        assert statement.get("justification", OPENVEX_JUSTIFICATIONS[0]) in OPENVEX_JUSTIFICATIONS
        if statement["status"] == "not_affected":
            assert statement.get("justification") or statement.get("impact_statement")
        assert (statement["status"] == "affected") == bool(statement.get("action_statement"))
        assert statement["products"]
        for product in statement["products"]:
            assert product["@id"]
            for part in (product, *product.get("subcomponents", ())):
                for name in part.get("identifiers", {}).values():
                    assert CPE23.fullmatch(name), name


@given(DOCUMENTS)
def test_it_reads_as_it_was_written(document: Outgoing) -> None:
    """The same decisions about the same places; what nobody decided is counted."""
    found = openvex.read(msgspec.json.encode(openvex.write(document)))
    assert (found.format, found.id, found.version) == ("openvex", f"urn:uuid:{document.id}", document.version)
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
        (Verdict("fixed"), {"status": "fixed"}),
        (Verdict("investigating"), {"status": "under_investigation"}),
        (Verdict("affected", "Update in May."), {"status": "affected", "action_statement": "Update in May."}),
        (
            Verdict("accepted", "behind the VPN", until=datetime(2027, 3, 1, tzinfo=UTC)),
            {"status": "affected", "action_statement": "The risk is accepted until 2027-03-01. behind the VPN"},
        ),
        (
            Verdict("false_positive", "another product"),
            {"status": "not_affected", "impact_statement": "A false positive. another product"},
        ),
        (Verdict("not_affected"), {"status": "not_affected", "impact_statement": "Not affected."}),
        (
            Verdict("not_affected", justification="protected_at_perimeter"),
            {"status": "not_affected", "justification": "inline_mitigations_already_exist"},
        ),
    ],
)
def test_how_decisions_are_told(verdict: Verdict, told: dict[str, str]) -> None:
    """In the words of OpenVEX, and in ours in the notes."""
    found = one(verdict)
    assert marks.read_mark(found.pop("status_notes")) == marks.Mark(verdict)
    assert {name: found[name] for name in found if name not in ("vulnerability", "timestamp", "products")} == told


def test_what_nobody_decided() -> None:
    """Is affected with what there is to do, or under investigation."""
    assert one(None, action="Update it.")["action_statement"] == "Update it."
    assert one(None, sure=False)["status"] == "under_investigation"
    assert one(None)["status_notes"] == "spectra undecided"


def test_how_products_are_told() -> None:
    """The endpoint is the product and its software a component; software everywhere is the product itself."""
    part = {"@id": CPE, "identifiers": {"cpe23": CPE}}
    assert one(None)["products"] == [{"@id": "urn:spectra:endpoint:192.0.2.7~22~tcp", "subcomponents": [part]}]
    wide = one(Verdict("fixed"), products=(Product(Target("", cpe=CPE)),))
    assert wide["products"] == [{"@id": f"urn:spectra:everywhere#{CPE}", "identifiers": {"cpe23": CPE}}]
    assert one(Verdict("fixed"), products=(Product(Target("")),))["products"] == [{"@id": "urn:spectra:everywhere"}]


# Documents of others --------------------------------------------------------------------------------------------------

STATEMENT: dict[str, Any] = {
    "vulnerability": {"name": "CVE-2024-6387"},
    "products": [{"@id": "192.0.2.7"}],
    "status": "fixed",
}


def read(*statements: Any, **fields: Any) -> Any:
    """A document of somebody else."""
    head: dict[str, Any] = {"@context": openvex.CONTEXT, "@id": "https://example.org/vex/1", "author": "Acme"}
    return openvex.read(json.dumps(head | {"version": 1, "statements": statements} | fields).encode())


def test_the_example_of_the_specification() -> None:
    """With names in several places, and the time of the document where the statement has none."""
    statement = {
        "vulnerability": {"@id": "https://nvd.nist.gov/vuln/detail/CVE-2023-12345", "name": "CVE-2023-12345",
                          "aliases": ["GHSA-1", " "]},
        "products": [
            {"@id": "pkg:apk/wolfi/git@2.39.0-r1?arch=armv7", "identifiers": {"purl": "pkg:apk/wolfi/git@2.39.0-r1"},
             "subcomponents": [{"@id": "pkg:apk/wolfi/libssl@1"}, "pkg:generic/x"]},
            "cpe:2.3:a:b:c:1:*:*:*:*:*:*:*",
        ],
        "status": "not_affected",
        "justification": "component_not_present",
        "impact_statement": "Not\nin the\tbuild.",
    }  # fmt: skip
    found = read(
        statement, timestamp="2023-01-08T18:02:03-06:00", last_updated="2023-01-09T18:02:03-06:00", version="2"
    )
    assert (found.version, found.issued) == (2, datetime(2023, 1, 10, 0, 2, 3, tzinfo=UTC))
    (claim,) = found.claims
    assert claim.ids == ("CVE-2023-12345", "GHSA-1")
    assert claim.verdict == Verdict("not_affected", "Not in the build.", "component_not_present")
    assert claim.said == found.issued
    first, second = claim.products
    assert first.names == ("pkg:apk/wolfi/git@2.39.0-r1?arch=armv7", "pkg:apk/wolfi/git@2.39.0-r1")
    assert first.parts == (("pkg:apk/wolfi/libssl@1",), ("pkg:generic/x",))
    assert second.names == ("cpe:2.3:a:b:c:1:*:*:*:*:*:*:*",)


def test_earlier_versions() -> None:
    """Named the weakness by a word; some by an address alone."""
    old = STATEMENT | {"vulnerability": "CVE-2024-6387", "timestamp": "2024-01-01T00:00:00Z"}
    found = read(old, STATEMENT | {"vulnerability": {"@id": "https://nvd.nist.gov/vuln/detail/CVE-2024-6387/"}})
    assert [claim.ids for claim in found.claims] == [("CVE-2024-6387",)] * 2
    assert [claim.said for claim in found.claims] == [datetime(2024, 1, 1, tzinfo=UTC), None]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"status": "unknown"}, "status"),
        ({"status": 7}, "status"),
        ({"status": None}, "status"),
        ({"products": []}, "products"),
        ({"products": [7]}, "products[0]"),
        ({"products": {}}, "products"),
        ({"vulnerability": {}}, "vulnerability"),
        ({"vulnerability": ""}, "vulnerability"),
        ({"timestamp": "soon"}, "timestamp"),
        ({"last_updated": "0001-01-01T00:00:00+12:00"}, "last_updated"),
        ({"status": "not_affected"}, "justification"),
        ({"status": "not_affected", "justification": "because"}, "justification"),
    ],
)
def test_a_bad_statement_is_told(changes: dict[str, Any], field: str) -> None:
    """With its place and field; the others are kept."""
    found = read(STATEMENT, STATEMENT | changes, STATEMENT)
    assert [claim.place for claim in found.claims] == [0, 2]
    (problem,) = found.problems
    assert (problem.index, problem.field) == (1, f"statements[1].{field}")
    assert problem.message


def test_what_is_no_statement() -> None:
    """Neither is what is nested without end."""
    deep = "[" * 100_000 + "]" * 100_000
    data = f'{{"@id": "x", "statements": [7, null, {{"status": "fixed", "vulnerability": "x", "products": {deep}}}]}}'
    with pytest.raises(RecursionError):
        openvex.read(data.encode())
    assert [problem.field for problem in read(7, None, []).problems] == [f"statements[{n}]" for n in range(3)]


def test_notes_that_are_not_ours() -> None:
    """A line that says otherwise than the status is a note; an affected product's action is one."""
    forged = STATEMENT | {"status_notes": "spectra accepted: x", "status": "fixed"}
    told = STATEMENT | {"status": "affected", "action_statement": "Update.", "status_notes": "by hand"}
    verdicts = [claim.verdict for claim in read(forged, told, STATEMENT | {"status_notes": "by hand"}).claims]
    assert verdicts == [
        Verdict("fixed", "spectra accepted: x"),
        Verdict("affected", "Update."),
        Verdict("fixed", "by hand"),
    ]


@pytest.mark.parametrize("version", [-1, "x", "", 10**30])
def test_versions_are_numbers(version: Any) -> None:
    """Anything else is told."""
    with pytest.raises(ValueError, match="version"):
        read(STATEMENT, version=version)
