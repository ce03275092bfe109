"""Documents are recognised by what they hold; whatever else comes is answered with what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.errors import BadRequest
from spectra.intel.vex import openvex
from spectra.intel.vex.read import read
from spectra.model.vex import MAX_BYTES

OPENVEX: dict[str, Any] = {
    "@context": "https://openvex.dev/ns/v0.2.0",
    "@id": "https://example.org/1",
    "author": "Acme",
    "version": 1,
    "statements": [{"vulnerability": {"name": "CVE-2024-6387"}, "products": [{"@id": "x"}], "status": "fixed"}],
}
CYCLONEDX: dict[str, Any] = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.5",
    "vulnerabilities": [{"id": "CVE-2024-6387", "analysis": {"state": "resolved"}, "affects": [{"ref": "x"}]}],
}


def refusal(document: Any) -> BadRequest:
    """What is said of a document that is none."""
    with pytest.raises(BadRequest) as caught:
        read(document if isinstance(document, bytes) else json.dumps(document).encode())
    return caught.value


def test_formats() -> None:
    """By what they hold, not by a name; without an id a CycloneDX document is called by its content."""
    assert read(json.dumps(OPENVEX).encode()).format == "openvex"
    assert read(json.dumps(OPENVEX | {"@context": "https://openvex.dev/ns"}).encode()).format == "openvex"
    found = read(json.dumps(CYCLONEDX).encode())
    assert (found.format, found.id[:11]) == ("cyclonedx", "urn:sha256:")
    serial = "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79"
    assert read(json.dumps(CYCLONEDX | {"serialNumber": serial}).encode()).id == serial


@pytest.mark.parametrize(
    ("document", "field", "words"),
    [
        (b"", "body", "cannot be read"),
        (b"{", "body", "cannot be read"),
        (b"\xff\xfe{}", "body", "cannot be read"),
        (b'<?xml version="1.0"?><bom/>', "body", "XML"),
        (b"[" * 200_000, "body", ""),
        (b'{"x":' * 200_000, "body", ""),
        ([], "body", "Expected `object`"),
        ({}, "body", "no VEX document"),
        ({"spdxVersion": "SPDX-2.3"}, "body", "SPDX"),
        ({"document": {"category": "csaf_vex"}, "vulnerabilities": []}, "body", "CSAF"),
        ({"bomFormat": "CycloneDX", "components": []}, "vulnerabilities", "says nothing of weaknesses"),
        (CYCLONEDX | {"vulnerabilities": {}}, "vulnerabilities", "Expected `array`"),
        (CYCLONEDX | {"version": 10**30}, "version", ""),
        (CYCLONEDX | {"metadata": {"timestamp": "soon"}}, "body", "`metadata.timestamp` 'soon' is no time"),
        (OPENVEX | {"statements": 7}, "statements", "Expected `array`"),
        (OPENVEX | {"@id": ""}, "@id", "empty"),
        (OPENVEX | {"@id": "x" * 501}, "@id", "too long"),
        (OPENVEX | {"version": "one"}, "body", "`version`"),
        (OPENVEX | {"timestamp": 7}, "timestamp", "Expected `str"),
        ({"@context": openvex.CONTEXT}, "body", "@id"),
    ],
)
def test_what_is_none(document: Any, field: str, words: str) -> None:
    """With the field, and what is read instead."""
    error = refusal(document)
    assert error.reason == "vex"
    assert error.field == field
    assert words in error.message


def test_size() -> None:
    """More than 16 MiB are not looked at."""
    assert refusal(b" " * (MAX_BYTES + 1)).reason == "too_large"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def _damaged(draw: st.DrawFn) -> dict[str, Any]:
    """A good document in which something is anything."""
    document = json.loads(json.dumps(draw(st.sampled_from([OPENVEX, CYCLONEDX]))))
    value: Any = document
    while True:
        key = draw(st.sampled_from(sorted(value) if isinstance(value, dict) else range(len(value))))
        if not isinstance(value[key], dict | list) or not value[key] or draw(st.booleans()):
            value[key] = draw(JSON)
            return document
        value = value[key]


@given(JSON | _damaged() | st.dictionaries(st.sampled_from([*OPENVEX, *CYCLONEDX, "components", "metadata"]), JSON))
def test_any_json(document: Any) -> None:
    """Is read, with what is wrong told, or refused with a reason; nothing else is ever raised."""
    try:
        found = read(json.dumps(document).encode())
    except BadRequest as refused:
        found = refused
    if isinstance(found, BadRequest):
        assert (bool(found.message), found.reason) == (True, "vex")
    else:
        assert found.id
        assert all(problem.field and problem.message for problem in found.problems)


@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    """Are refused."""
    for start in (b"", b'{"@context": "https://openvex.dev/ns/v0.2.0", "@id": "x", "statements": ['):
        with pytest.raises(BadRequest):
            read(start + data)


def test_real_documents(shared_data: Path) -> None:
    """Bills of materials of real tools: XML is refused, a scan has no analysis, others are read."""
    folder = shared_data / "scans" / "cyclonedx"
    for path in folder.glob("*.xml"):
        assert "XML" in refusal(path.read_bytes()).message
    scan = read((folder / "defectdojo__no-severity.json").read_bytes())
    assert (scan.claims, {p.field for p in scan.problems}) == ((), {"vulnerabilities[0].analysis.state"})
    for name in ("log4j", "nested-component-log4j"):
        found = read((folder / f"defectdojo__{name}.json").read_bytes())
        assert {claim.verdict.status for claim in found.claims} == {"investigating"}
        assert all("pkg:maven" in claim.products[0].names[-1] for claim in found.claims)
    (claim,) = read((folder / "defectdojo__valid-vulnerability-1.4.json").read_bytes()).claims
    assert claim.ids == ("SNYK-JAVA-COMFASTERXMLJACKSONCORE-32111", "CVE-2018-7489")
    assert (claim.verdict.status, claim.verdict.justification) == ("not_affected", "code_not_reachable")
    assert claim.products[0].names[-1] == "pkg:maven/com.fasterxml.jackson.core/jackson-databind@2.9.4"
