"""CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/), as a VEX: components, and what is said of them. Read as
1.4 and later have it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta, field

from spectra.intel.vex import marks
from spectra.intel.vex.texts import Unusable, decoded, line, moment, problem
from spectra.model.triage import CYCLONEDX_JUSTIFICATIONS, TriageStatus, Verdict
from spectra.model.vex import Claim, Incoming, Named, Outgoing, Product, Statement, VexProblem

PROPERTY: Final = "spectra:decision"
STATE: Final[dict[TriageStatus, str]] = {
    "accepted": "exploitable",
    "false_positive": "false_positive",
    "not_affected": "not_affected",
    "fixed": "resolved",
    "investigating": "in_triage",
    "affected": "exploitable",
}
"""How decisions are told."""
_JUSTIFICATION: Final = {
    "component_not_present": "code_not_present",
    "vulnerable_code_not_present": "code_not_present",
    "vulnerable_code_not_in_execute_path": "code_not_reachable",
    "vulnerable_code_cannot_be_controlled_by_adversary": "requires_environment",
    "inline_mitigations_already_exist": "protected_by_mitigating_control",
}
"""The words of OpenVEX in those of CycloneDX."""


class CycloneDxProperty(msgspec.Struct, frozen=True):
    """A name and a value."""

    name: str
    value: str


class CycloneDxComponent(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The software of an endpoint, a host, or software everywhere."""

    type: str
    ref: str = field(name="bom-ref")
    name: str
    version: str = ""
    cpe: str = ""
    properties: tuple[CycloneDxProperty, ...] = ()


class CycloneDxAnalysis(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What was decided; `response` is what will be done."""

    state: str
    justification: str = ""
    response: tuple[str, ...] = ()
    detail: str = ""
    last_updated: datetime = field(name="lastUpdated")


class CycloneDxAffects(msgspec.Struct, frozen=True):
    """The `bom-ref` of a component."""

    ref: str


class CycloneDxSource(msgspec.Struct, frozen=True):
    """Who gave a CVE its number."""

    name: str
    url: str


class CycloneDxVulnerability(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is said of a CVE in some components; the property `spectra:decision` says it in Spectra's own words."""

    id: str
    source: CycloneDxSource
    recommendation: str = ""
    analysis: CycloneDxAnalysis
    affects: tuple[CycloneDxAffects, ...]
    properties: tuple[CycloneDxProperty, ...]


class CycloneDxTool(msgspec.Struct, frozen=True):
    """What made the document."""

    type: str
    name: str
    version: str


class CycloneDxTools(msgspec.Struct, frozen=True):
    """What made the document."""

    components: tuple[CycloneDxTool, ...]


class CycloneDxAuthor(msgspec.Struct, frozen=True):
    """Who asked for the document."""

    name: str


class CycloneDxMetadata(msgspec.Struct, frozen=True):
    """When, by whom and with what the document was made."""

    timestamp: datetime
    tools: CycloneDxTools
    authors: tuple[CycloneDxAuthor, ...]


class CycloneDxBom(msgspec.Struct, frozen=True, kw_only=True):
    """A CycloneDX document, version 1.6."""

    schema: str = field(name="$schema", default="http://cyclonedx.org/schema/bom-1.6.schema.json")
    format: str = field(name="bomFormat", default="CycloneDX")
    spec: str = field(name="specVersion", default="1.6")
    serial: str = field(name="serialNumber")
    version: int
    metadata: CycloneDxMetadata
    components: tuple[CycloneDxComponent, ...]
    vulnerabilities: tuple[CycloneDxVulnerability, ...]


def write(document: Outgoing) -> CycloneDxBom:
    """The document in this format."""
    name, _, version = document.tool.partition(" ")
    tools = CycloneDxTools((CycloneDxTool("application", name, version),))
    components = {marks.place_id(p.target): p for one in document.statements for p in one.products}
    return CycloneDxBom(
        serial=f"urn:uuid:{document.id}",
        version=document.version,
        metadata=CycloneDxMetadata(document.issued, tools, (CycloneDxAuthor(document.author),)),
        components=tuple(_component(ref, product) for ref, product in components.items()),
        vulnerabilities=tuple(map(_vulnerability, document.statements)),
    )


def _component(ref: str, told: Product) -> CycloneDxComponent:
    target = told.target
    match target.scope:
        case "endpoint":
            kind, name = "application", told.name or f"{target.ip} {target.port}/{target.protocol}"
        case "host":
            kind, name = "device", target.ip
        case _:
            kind, name = "application", target.cpe.split(":")[4] if target.cpe else "every host"
    return CycloneDxComponent(
        type=kind,
        ref=ref,
        name=name,
        version=told.version,
        cpe=target.cpe or told.cpe,
        properties=tuple(_properties(told)),
    )


def _properties(told: Product) -> Iterator[CycloneDxProperty]:
    target = told.target
    if target.ip:
        yield CycloneDxProperty("spectra:ip", target.ip)
    if target.port is not None:
        yield CycloneDxProperty("spectra:port", f"{target.port}/{target.protocol}")


def _vulnerability(told: Statement) -> CycloneDxVulnerability:
    return CycloneDxVulnerability(
        id=told.cve,
        source=CycloneDxSource("NVD", f"https://nvd.nist.gov/vuln/detail/{told.cve}"),
        recommendation=told.action,
        analysis=_analysis(told),
        affects=tuple(CycloneDxAffects(marks.place_id(product.target)) for product in told.products),
        properties=(CycloneDxProperty(PROPERTY, marks.mark(told.verdict)),),
    )


def _analysis(told: Statement) -> CycloneDxAnalysis:
    verdict = told.verdict
    if verdict is None:
        return CycloneDxAnalysis(
            state="exploitable" if told.sure else "in_triage",
            response=("update",) if told.sure else (),
            detail="Nobody decided yet.",
            last_updated=told.said,
        )
    word = verdict.justification
    return CycloneDxAnalysis(
        state=STATE[verdict.status],
        justification=word if word in CYCLONEDX_JUSTIFICATIONS else _JUSTIFICATION.get(word, ""),
        response=("will_not_fix",) if verdict.status == "accepted" else (),
        detail=verdict.note,
        last_updated=told.said,
    )


# Reading --------------------------------------------------------------------------------------------------------------

_READ: Final[dict[str, TriageStatus]] = {
    "resolved": "fixed",
    "resolved_with_pedigree": "fixed",
    "exploitable": "affected",
    "in_triage": "investigating",
    "false_positive": "false_positive",
    "not_affected": "not_affected",
}
_LINK: Final = "urn:cdx:"  # a BOM-Link: urn:cdx:SERIAL/VERSION#REF


class _Component(msgspec.Struct):
    ref: str = field(name="bom-ref", default="")
    cpe: str = ""
    purl: str = ""
    endpoints: list[str] = []
    components: list[msgspec.Raw] = []
    services: list[msgspec.Raw] = []


class _Reference(msgspec.Struct):
    id: str = ""


class _Analysis(msgspec.Struct):
    state: str = ""
    justification: str = ""
    detail: str = ""
    issued: str | None = field(name="firstIssued", default=None)
    updated: str | None = field(name="lastUpdated", default=None)


class _Affects(msgspec.Struct):
    ref: str


class _Property(msgspec.Struct):
    name: str = ""
    value: str = ""


class _Vulnerability(msgspec.Struct):
    id: str = ""
    references: list[_Reference] = []
    analysis: _Analysis | None = None
    affects: list[_Affects] = []
    properties: list[_Property] = []


class _Author(msgspec.Struct):
    name: str = ""


class _Metadata(msgspec.Struct):
    timestamp: str | None = None
    authors: list[_Author] = []
    supplier: _Author | None = None
    component: msgspec.Raw = msgspec.Raw()


class _Bom(msgspec.Struct):
    serial: str = field(name="serialNumber", default="")
    version: Annotated[int, Meta(ge=0, le=10**18)] = 1
    metadata: _Metadata | None = None
    components: list[msgspec.Raw] = []
    services: list[msgspec.Raw] = []
    vulnerabilities: list[msgspec.Raw] = []


def read(data: bytes, id: str) -> Incoming:
    """A document; `id` is what it is called if it does not say. Raises `ValueError` as `openvex.read` does."""
    bom = msgspec.json.decode(data, type=_Bom)
    metadata = bom.metadata or _Metadata()
    named = _named(bom, metadata)
    issued = moment(metadata.timestamp, "metadata.timestamp")
    claims: list[Claim] = []
    problems: list[VexProblem] = []
    undecided = 0
    for place, raw in enumerate(bom.vulnerabilities):
        try:
            claim = _claim(place, decoded(raw, _Vulnerability), named, issued)
        except (Unusable, ValueError, RecursionError) as error:
            problems.append(problem(place, "vulnerabilities", error))
            continue
        if claim is None:
            undecided += 1
        else:
            claims.append(claim)
    authors = [author.name for author in (*metadata.authors, metadata.supplier or _Author()) if author.name]
    return Incoming(
        format="cyclonedx",
        id=line(bom.serial) or id,
        author=line(", ".join(authors), 200),
        version=bom.version,
        issued=issued,
        claims=tuple(claims),
        problems=tuple(problems),
        undecided=undecided,
    )


def _named(bom: _Bom, metadata: _Metadata) -> dict[str, Named]:
    """The components and services by their `bom-ref`; those that cannot be read are left out."""
    found: dict[str, Named] = {}
    left = [*bom.components, *bom.services, metadata.component]
    while left:
        try:
            one = decoded(left.pop(), _Component)
        except (ValueError, RecursionError):
            continue
        left += [*one.components, *one.services]
        if one.ref:
            names = (one.ref, one.cpe, one.purl, *one.endpoints)
            found.setdefault(one.ref, Named(tuple(name for name in names if name)))
    return found


def _claim(place: int, told: _Vulnerability, named: dict[str, Named], issued: datetime | None) -> Claim | None:
    """What it says; None for one of ours that says that nobody decided."""
    analysis = told.analysis or _Analysis()
    if not analysis.state:
        raise Unusable("analysis.state", "It does not say whether anything is affected.")
    status = _READ.get(analysis.state)
    if status is None:
        raise Unusable("analysis.state", f"{analysis.state[:40]!r} is no state; there are {', '.join(_READ)}.")
    ids = tuple(line(one, 200) for one in (told.id, *(r.id for r in told.references)) if one.strip())
    if not ids:
        raise Unusable("id", "It has no id.")
    if not told.affects:
        raise Unusable("affects", "It names no component.")
    said = _said(analysis) or issued
    products = tuple(named.get(ref) or Named((ref,)) for ref in (_ref(one.ref) for one in told.affects))
    mark = next((marks.read_mark(one.value) for one in told.properties if one.name == PROPERTY), None)
    if mark is not None and (mark.verdict is None or STATE[mark.verdict.status] == analysis.state):
        return None if mark.verdict is None else Claim(place, ids, mark.verdict, said, products)
    return Claim(place, ids, _verdict(analysis, status), said, products)


def _ref(text: str) -> str:
    return text.partition("#")[2] if text.startswith(_LINK) else text


def _said(analysis: _Analysis) -> datetime | None:
    for name, text in (("lastUpdated", analysis.updated), ("firstIssued", analysis.issued)):
        try:
            if at := moment(text, name):
                return at
        except ValueError as error:
            raise Unusable(f"analysis.{name}", f"{error}.") from error
    return None


def _verdict(analysis: _Analysis, status: TriageStatus) -> Verdict:
    word = analysis.justification
    if word and word not in CYCLONEDX_JUSTIFICATIONS:
        raise Unusable("analysis.justification", f"{word[:60]!r} is no justification.")
    return Verdict(status, line(analysis.detail), word if status in ("not_affected", "false_positive") else "")
