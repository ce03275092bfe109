"""OpenVEX 0.2.0 (https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md): written, and read as that version and
those before it have it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, Literal

import msgspec
from msgspec import field

from spectra.intel.vex import marks
from spectra.intel.vex.texts import Unusable, decoded, line, moment, problem
from spectra.model.triage import OPENVEX_JUSTIFICATIONS, TriageStatus, Verdict
from spectra.model.vex import Claim, Incoming, Named, Outgoing, Product, Statement, VexProblem

CONTEXT: Final = "https://openvex.dev/ns/v0.2.0"
Status = Literal["not_affected", "affected", "fixed", "under_investigation"]
STATUS: Final[dict[TriageStatus, Status]] = {
    "accepted": "affected",
    "false_positive": "not_affected",
    "not_affected": "not_affected",
    "fixed": "fixed",
    "investigating": "under_investigation",
    "affected": "affected",
}
"""How decisions are told."""
_JUSTIFICATION: Final = {
    "code_not_present": "vulnerable_code_not_present",
    "code_not_reachable": "vulnerable_code_not_in_execute_path",
    "requires_configuration": "vulnerable_code_not_in_execute_path",
    "requires_dependency": "vulnerable_code_not_in_execute_path",
    "requires_environment": "vulnerable_code_cannot_be_controlled_by_adversary",
    "protected_by_compiler": "inline_mitigations_already_exist",
    "protected_at_runtime": "inline_mitigations_already_exist",
    "protected_at_perimeter": "inline_mitigations_already_exist",
    "protected_by_mitigating_control": "inline_mitigations_already_exist",
}
"""The words of CycloneDX in those of OpenVEX."""


class OpenVexIdentifiers(msgspec.Struct, frozen=True, omit_defaults=True):
    """Names of a product that other tools know."""

    purl: str = ""
    cpe23: str = ""


class OpenVexComponent(msgspec.Struct, frozen=True, omit_defaults=True):
    """Software within a product."""

    id: str = field(name="@id")
    identifiers: OpenVexIdentifiers = OpenVexIdentifiers()


class OpenVexProduct(msgspec.Struct, frozen=True, omit_defaults=True):
    """An endpoint, a host, everywhere, or software everywhere."""

    id: str = field(name="@id")
    identifiers: OpenVexIdentifiers = OpenVexIdentifiers()
    subcomponents: tuple[OpenVexComponent, ...] = ()


class OpenVexVulnerability(msgspec.Struct, frozen=True):
    """A CVE."""

    name: str


class OpenVexStatement(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is said of a CVE in some products; `status_notes` has the decision in Spectra's own words."""

    vulnerability: OpenVexVulnerability
    timestamp: datetime
    products: tuple[OpenVexProduct, ...]
    status: Status
    status_notes: str = ""
    justification: str = ""
    impact_statement: str = ""
    action_statement: str = ""


class OpenVexDocument(msgspec.Struct, frozen=True, kw_only=True):
    """An OpenVEX document, version 0.2.0."""

    context: str = field(name="@context", default=CONTEXT)
    id: str = field(name="@id")
    author: str
    timestamp: datetime
    version: int
    tooling: str
    statements: tuple[OpenVexStatement, ...]


def write(document: Outgoing) -> OpenVexDocument:
    """The document in this format."""
    return OpenVexDocument(
        id=f"urn:uuid:{document.id}",
        author=document.author,
        timestamp=document.issued,
        version=document.version,
        tooling=document.tool,
        statements=tuple(map(_statement, document.statements)),
    )


def _statement(told: Statement) -> OpenVexStatement:
    verdict = told.verdict
    status: Status = ("affected" if told.sure else "under_investigation") if verdict is None else STATUS[verdict.status]
    return OpenVexStatement(
        vulnerability=OpenVexVulnerability(told.cve),
        timestamp=told.said,
        products=tuple(map(_product, told.products)),
        status=status,
        status_notes=marks.mark(verdict),
        justification=_justification(verdict),
        impact_statement=_impact(verdict),
        action_statement=(told.action if verdict is None else _action(verdict)) if status == "affected" else "",
    )


def _justification(verdict: Verdict | None) -> str:
    word = verdict.justification if verdict else ""
    return word if word in OPENVEX_JUSTIFICATIONS else _JUSTIFICATION.get(word, "")


def _impact(verdict: Verdict | None) -> str:
    """Needed where it is not affected and there is no justification."""
    if verdict is None or STATUS[verdict.status] != "not_affected":
        return ""
    words = "A false positive." if verdict.status == "false_positive" else ""
    return f"{words} {verdict.note}".strip() or ("" if verdict.justification else "Not affected.")


def _action(verdict: Verdict) -> str:
    """Needed where it is affected."""
    if verdict.status == "accepted":
        until = f" until {verdict.until:%Y-%m-%d}" if verdict.until else ""
        return f"The risk is accepted{until}. {verdict.note}".rstrip()
    return verdict.note or "It is known; no action was stated."


def _product(told: Product) -> OpenVexProduct:
    ident = marks.place_id(told.target)
    cpe = told.target.cpe or told.cpe
    if told.target.scope == "everywhere":  # then software of this name is the product
        return OpenVexProduct(ident, OpenVexIdentifiers(cpe23=cpe)) if cpe else OpenVexProduct(ident)
    parts = (OpenVexComponent(cpe, OpenVexIdentifiers(cpe23=cpe)),) if cpe else ()
    return OpenVexProduct(ident, subcomponents=parts)


# Reading --------------------------------------------------------------------------------------------------------------

_READ: Final[dict[str, TriageStatus]] = {
    "not_affected": "not_affected",
    "affected": "affected",
    "fixed": "fixed",
    "under_investigation": "investigating",
}


class _Component(msgspec.Struct):
    id: str = field(name="@id", default="")
    identifiers: dict[str, str] = {}


class _Product(msgspec.Struct):
    id: str = field(name="@id", default="")
    identifiers: dict[str, str] = {}
    subcomponents: list[_Component | str] = []


class _Vulnerability(msgspec.Struct):
    id: str = field(name="@id", default="")
    name: str = ""
    aliases: list[str] = []


class _Statement(msgspec.Struct):
    vulnerability: _Vulnerability | str
    status: str
    products: list[_Product | str] = []
    timestamp: str | None = None
    last_updated: str | None = None
    status_notes: str = ""
    justification: str = ""
    impact_statement: str = ""
    action_statement: str = ""


class _Document(msgspec.Struct):
    id: str = field(name="@id")
    statements: list[msgspec.Raw]
    author: str = ""
    version: int | str = 1
    timestamp: str | None = None
    last_updated: str | None = None


def read(data: bytes) -> Incoming:
    """A document. Raises `ValueError` where it is none at all, telling the field; bad statements are told in it."""
    document = msgspec.json.decode(data, type=_Document)
    claims: list[Claim] = []
    problems: list[VexProblem] = []
    undecided = 0
    issued = moment(document.last_updated, "last_updated") or moment(document.timestamp, "timestamp")
    for place, raw in enumerate(document.statements):
        try:
            claim = _claim(place, decoded(raw, _Statement), issued)
        except (Unusable, ValueError, RecursionError) as error:
            problems.append(problem(place, "statements", error))
            continue
        if claim is None:
            undecided += 1
        else:
            claims.append(claim)
    return Incoming(
        format="openvex",
        id=line(document.id),
        author=line(document.author, 200),
        version=_version(document.version),
        issued=issued,
        claims=tuple(claims),
        problems=tuple(problems),
        undecided=undecided,
    )


def _version(told: int | str) -> int:
    text = str(told)
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise ValueError(f"`version` {text[:40]!r} is no number")
    return int(text)


def _claim(place: int, told: _Statement, issued: datetime | None) -> Claim | None:
    """What it says; None for one of ours that says that nobody decided."""
    status = _READ.get(told.status)
    if status is None:
        raise Unusable("status", f"{told.status[:40]!r} is no status; there are {', '.join(_READ)}.")
    ids = tuple(line(one, 200) for one in _ids(told.vulnerability) if one.strip())
    if not ids:
        raise Unusable("vulnerability", "It has no name.")
    if not told.products:
        raise Unusable("products", "It names no product.")
    said = _said(told) or issued
    found = marks.read_mark(told.status_notes)
    if found is not None and (found.verdict is None or STATUS[found.verdict.status] == told.status):
        verdict = found.verdict
    else:
        verdict = _verdict(told, status)
    return verdict and Claim(place, ids, verdict, said, tuple(map(_named, told.products)))


def _said(told: _Statement) -> datetime | None:
    for name, text in (("last_updated", told.last_updated), ("timestamp", told.timestamp)):
        try:
            if at := moment(text, name):
                return at
        except ValueError as error:
            raise Unusable(name, f"{error}.") from error
    return None


def _verdict(told: _Statement, status: TriageStatus) -> Verdict:
    note = line(told.impact_statement) or line(told.action_statement) or line(told.status_notes)
    word = told.justification
    if status != "not_affected":
        return Verdict(status, note)
    if word and word not in OPENVEX_JUSTIFICATIONS:
        raise Unusable("justification", f"{word[:60]!r} is no justification.")
    if not word and not told.impact_statement.strip():
        raise Unusable("justification", "What is not affected needs a justification or an impact_statement.")
    return Verdict(status, note, word)


def _ids(told: _Vulnerability | str) -> Iterator[str]:
    if isinstance(told, str):
        yield told
        return
    yield told.name or told.id.rstrip("/").rpartition("/")[2]
    yield from told.aliases


def _named(told: _Product | str) -> Named:
    if isinstance(told, str):
        return Named((told,))
    return Named(tuple(_names(told)), tuple(tuple(_names(part)) for part in told.subcomponents))


def _names(told: Any) -> Iterator[str]:
    if isinstance(told, str):
        yield told
        return
    if told.id:
        yield told.id
    yield from told.identifiers.values()
