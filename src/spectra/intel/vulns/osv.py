"""OSV records, as far as they tell of CVEs in products of networks.

Schema: https://ossf.github.io/osv-schema/. Most of OSV is about packages of languages and distributions, whose names
and versions are not those of a service. Kept are records with a CVE whose packages are the product itself: those of
ecosystems that name products (Bitnami, OSS-Fuzz, `pkg:generic/...`), and those that bring CPE names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, cast
from urllib.parse import unquote

import msgspec

from spectra.intel.enrich import cpename
from spectra.intel.vulns import affected, naming
from spectra.intel.vulns.spans import Span, version
from spectra.intel.vulns.texts import MAX_CRITERIA, MAX_TEXT, MAX_TITLE, clean, cwes, moment, references, word
from spectra.model.vulns import CVE_ID, Criterion, Node, VulnRecord

_MAX_ALIASES: Final = 50
_PRODUCTS: Final = frozenset({"bitnami", "oss-fuzz", "generic", ""})
"""Ecosystems whose packages are the products, by the name their makers gave them. "" comes with CPE names or none."""
_DISTRIBUTIONS: Final = re.compile(
    "almalinux|alpaquita|alpine|android|bellsoft.*|chainguard|debian|echo|linux|mageia|minimos|openeuler|opensuse|"
    "photon os|red hat|rocky linux|suse|ubuntu|wolfi"
)
_PURL: Final = re.compile(r"pkg:(?:generic|bitnami)/(?:([^/@?#]+)/)?([^/@?#]+)(?:[@?#].*)?")


class _Event(msgspec.Struct, gc=False):
    introduced: str | None = None
    fixed: str | None = None
    last_affected: str | None = None


class _Range(msgspec.Struct, gc=False):
    type: str = ""
    events: list[_Event] = []
    database_specific: dict[str, Any] | None = None


class _Package(msgspec.Struct, gc=False):
    ecosystem: str = ""
    name: str = ""
    purl: str | None = None


class _Affected(msgspec.Struct):
    package: _Package | None = None
    ranges: list[_Range] | None = None
    versions: list[str] | None = None
    database_specific: dict[str, Any] | None = None


class _Reference(msgspec.Struct, gc=False):
    url: str = ""
    type: str = ""


class _Osv(msgspec.Struct):
    id: str
    modified: str | None = None
    published: str | None = None
    withdrawn: str | None = None
    aliases: list[str] | None = None
    summary: str | None = None
    details: str | None = None
    affected: list[_Affected] | None = None
    references: list[_Reference] | None = None
    database_specific: dict[str, Any] | None = None


_DECODER: Final = msgspec.json.Decoder(_Osv)


def records(data: bytes) -> list[VulnRecord]:
    """One record for each CVE that an OSV record is about; none where it names no product of a network.

    A withdrawn one says nothing of what is affected any more. Raises `ValueError` (and `RecursionError`) for what is
    no OSV record.
    """
    osv = _DECODER.decode(data)
    ids = [osv.id, *(osv.aliases or ())][:_MAX_ALIASES]
    cves = list(dict.fromkeys(name.upper() for name in ids if CVE_ID.fullmatch(name.upper())))
    if not cves:
        return []
    configured = tuple(_configurations(osv))
    if not configured:
        return []
    about = osv.database_specific or {}
    record = VulnRecord(
        cve="",
        source="osv",
        title=clean(osv.summary or "", MAX_TITLE),
        description=clean(osv.details or "", MAX_TEXT),
        published=moment(osv.published),
        modified=moment(osv.modified),
        weaknesses=cwes(_texts(about.get("cwe_ids"))),
        references=references((page.url, (page.type,) if page.type else ()) for page in osv.references or ()),
        configurations=() if osv.withdrawn else configured,
    )
    others = tuple(word(name) for name in ids if name.upper() not in cves)
    return [msgspec.structs.replace(record, cve=cve, aliases=others) for cve in cves]


def _configurations(osv: _Osv) -> Iterator[Node]:
    criteria: list[Criterion] = []
    for entry in osv.affected or ():
        for base, ranges in _products(osv, entry):
            spans = [pair for one in ranges for pair in _spans(one)]
            if not spans:
                spans = [(Span(exact=one), "") for text in entry.versions or () if (one := _tag(text, base))]
            criteria += [affected.criterion(base, span, scheme) for span, scheme in spans]
            if len(criteria) > MAX_CRITERIA:
                raise ValueError(f"there are more than {MAX_CRITERIA} criteria")
    if criteria:
        yield Node(criteria=tuple(dict.fromkeys(criteria)))


def _products(osv: _Osv, entry: _Affected) -> Iterator[tuple[cpename.Cpe, Sequence[_Range]]]:
    """The names of what an entry is about, with the ranges that count its versions."""
    for one in entry.ranges or ():  # ranges of commits that were found by a CPE name tell its versions beside
        if one.type == "GIT" and one.database_specific:
            for name in naming.names(None, None, None, None, _cpes(one.database_specific)):
                yield name, [_extracted(one.database_specific)]
    package = entry.package or _Package()
    ecosystem = package.ecosystem.partition(":")[0].lower()
    if _DISTRIBUTIONS.fullmatch(ecosystem):
        return
    ranges = [one for one in entry.ranges or () if one.type in ("SEMVER", "ECOSYSTEM")]
    given = _cpes(entry.database_specific) or _cpes(osv.database_specific)
    if not given and ecosystem not in _PRODUCTS:
        return
    vendor, product = _named(package)
    for name in naming.names(vendor, product, None, None, given):
        yield name, ranges


def _named(package: _Package) -> tuple[str, str]:
    """Vendor and product of a package: those who name none have made what bears their name."""
    found = _PURL.fullmatch(package.purl or "")
    product = unquote(found[2]) if found else package.name
    return (unquote(found[1]) if found and found[1] else product), product


def _cpes(about: dict[str, Any] | None) -> list[str]:
    about = about or {}
    return [*_texts(about.get("cpes")), *_texts(about.get("cpe"))]


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    given = cast("list[object]", value) if isinstance(value, list) else []
    return [text for text in given if isinstance(text, str)]


def _extracted(about: dict[str, Any]) -> _Range:
    return _Range("ECOSYSTEM", msgspec.convert(about.get("extracted_events") or [], list[_Event]))


def _spans(given: _Range) -> Iterator[tuple[Span, str]]:
    """The versions of a range. Its events need not be in order: then each beginning goes with the end at its place."""
    begins = [event.introduced for event in given.events if event.introduced is not None]
    ends = [event for event in given.events if event.fixed is not None or event.last_affected is not None]
    if len(begins) - len(ends) not in (0, 1):
        return
    scheme = "semver" if given.type == "SEMVER" else ""
    for place, begin in enumerate(begins):
        end = ends[place] if place < len(ends) else _Event()
        start = "" if begin == "0" else version(begin)
        below, at_most = version(end.fixed or ""), version(end.last_affected or "") if not end.fixed else ""
        told = end.fixed or end.last_affected
        if (start or begin == "0") and (below or at_most or not told):
            yield Span(at_least=start, at_most=at_most, below=below), scheme


def _tag(text: str, base: cpename.Cpe) -> str:
    """The version that a name of a release tells: `openssl-3.0.1`, `v1.2`."""
    plain = text.lower().removeprefix(f"{base.product}-").removeprefix(f"{base.product}_")
    one = version(plain)
    return one if one[:1].isdigit() else ""
