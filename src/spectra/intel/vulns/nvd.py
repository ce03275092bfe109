"""The NVD's JSON 2.0: a `cve` object to a record, from the API, the feed files, or others who write the same shape.

Schema: https://csrc.nist.gov/schema/nvd/api/2.0/cve_api_json_2.0.schema
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal

import msgspec

from spectra.intel.vulns import affected, cvss
from spectra.intel.vulns.texts import MAX_CRITERIA, clean, cve_id, cwes, english, moment, references, word
from spectra.model.vulns import Criterion, Metric, Node, Ssvc, Status, VulnRecord

_MAX_CPE: Final = 1000
_MAX_DEPTH: Final = 10  # of configurations in configurations; the NVD's 1.1 had two
_WAITING: Final = frozenset({"awaiting analysis", "received", "undergoing analysis"})


class _Text(msgspec.Struct, gc=False):
    lang: str = ""
    value: str = ""


class _Data(msgspec.Struct, gc=False, rename="camel"):
    base_score: float | None = None
    base_severity: str | None = None
    vector_string: str = ""


class _Metric(msgspec.Struct, gc=False, rename="camel"):
    cvss_data: _Data | None = None
    source: str = ""
    type: str = ""
    base_severity: str | None = None


class _Decision(msgspec.Struct, gc=False):
    options: list[dict[str, Any]] = []


class _Ssvc(msgspec.Struct, gc=False, rename="camel"):
    ssvc_data: _Decision | None = None


class _Metrics(msgspec.Struct, gc=False):
    v40: list[_Metric] = msgspec.field(default_factory=list[_Metric], name="cvssMetricV40")
    v31: list[_Metric] = msgspec.field(default_factory=list[_Metric], name="cvssMetricV31")
    v30: list[_Metric] = msgspec.field(default_factory=list[_Metric], name="cvssMetricV30")
    v2: list[_Metric] = msgspec.field(default_factory=list[_Metric], name="cvssMetricV2")
    ssvc: list[_Ssvc] = msgspec.field(default_factory=list[_Ssvc], name="ssvcV203")


class _Match(msgspec.Struct, gc=False, rename="camel"):
    criteria: str
    vulnerable: bool = True
    version_start_including: str | None = None
    version_start_excluding: str | None = None
    version_end_including: str | None = None
    version_end_excluding: str | None = None


class _Node(msgspec.Struct, rename="camel"):
    operator: str | None = None
    negate: bool | None = None
    cpe_match: list[_Match] = []
    nodes: list[_Node] = []
    children: list[_Node] = []


class _Weakness(msgspec.Struct, gc=False):
    description: list[_Text] = []


class _Reference(msgspec.Struct, gc=False):
    url: str = ""
    tags: list[str] | None = None


class _Tag(msgspec.Struct, gc=False):
    tags: list[str] = []


class _Affected(msgspec.Struct, gc=False, rename="camel"):
    affected_data: list[affected.Affected] = []


class Cve(msgspec.Struct, rename="camel"):
    """A `cve` object, as far as it is kept."""

    id: str = ""
    published: str | None = None
    last_modified: str | None = None
    vuln_status: str = ""
    cve_tags: list[_Tag] = []
    descriptions: list[_Text] = []
    metrics: _Metrics | None = None
    weaknesses: list[_Weakness] = []
    references: list[_Reference] = []
    configurations: list[_Node] = []
    affected: list[_Affected] = []


class _Item(msgspec.Struct):
    cve: Cve


class _Annotation(msgspec.Struct):
    cve_id: str
    description: str | None = None
    published: str | None = None
    modified: str | None = None
    references: list[str] = []


class _Override(msgspec.Struct):
    annotation: _Annotation = msgspec.field(name="_annotation")
    cve: Cve = msgspec.field(default_factory=Cve)


_BARE: Final = msgspec.json.Decoder(Cve)
_ITEM: Final = msgspec.json.Decoder(_Item)
_OVERRIDE: Final = msgspec.json.Decoder(_Override)


def bare(data: bytes) -> VulnRecord:
    """The record of a `cve` object. Raises `ValueError` (and `RecursionError`) for what is none."""
    return _record(_BARE.decode(data))


def item(data: bytes) -> VulnRecord:
    """The record of an element of `vulnerabilities`: `{"cve": {...}}`."""
    return _record(_ITEM.decode(data).cve)


def override(data: bytes) -> VulnRecord:
    """The record of a line of https://github.com/anchore/nvd-data-overrides: configurations by others than the NVD."""
    read = _OVERRIDE.decode(data)
    about = read.annotation
    pages = [(url, ()) for url in about.references]
    return VulnRecord(
        cve=cve_id(about.cve_id),
        source="overrides",
        description=clean(about.description or "", 20_000),
        published=moment(about.published),
        modified=moment(about.modified),
        references=references([*pages, *((page.url, page.tags or ()) for page in read.cve.references)]),
        configurations=configurations(read.cve.configurations),
    )


def _record(cve: Cve) -> VulnRecord:
    description = english((text.lang, text.value) for text in cve.descriptions)
    own = configurations(cve.configurations)
    status = _status(cve, description, analysed=bool(own))
    return VulnRecord(
        cve=cve_id(cve.id),
        source="nvd",
        status=status,
        description=description,
        published=moment(cve.published),
        modified=moment(cve.last_modified),
        metrics=tuple(_metrics(cve.metrics)) if cve.metrics else (),
        weaknesses=cwes(text.value for weakness in cve.weaknesses for text in weakness.description),
        references=references((page.url, page.tags or ()) for page in cve.references),
        configurations=() if status == "rejected" else own or _claimed(cve, status),
        ssvc=_ssvc(cve.metrics),
    )


def _status(cve: Cve, description: str, *, analysed: bool) -> Status:
    said = cve.vuln_status.lower()
    start = description[:40].lower().replace(" ", "")
    if said == "rejected" or start.startswith(("**reject**", "rejectedreason:")):
        return "rejected"
    if "**disputed**" in description[:200].lower().replace(" ", "") or any(
        "disputed" in tag.tags for tag in cve.cve_tags
    ):
        return "disputed"
    if analysed:
        return ""
    return "awaiting" if said in _WAITING else "deferred" if said == "deferred" else ""


def _claimed(cve: Cve, status: Status) -> tuple[Node, ...]:
    """What the CVE's assigner says is affected, which the NVD passes on where it has not looked itself.

    Only in records that wait or were deferred: `merge` tells by that whose configurations they are.
    """
    if status not in ("awaiting", "deferred"):
        return ()
    return affected.configurations(entry for source in cve.affected for entry in source.affected_data)


def _metrics(metrics: _Metrics) -> Iterator[Metric]:
    for version, given in zip(cvss.VERSIONS, (metrics.v40, metrics.v31, metrics.v30, metrics.v2), strict=True):
        for one in given:
            data = one.cvss_data
            if data is None:
                continue
            said = data.base_severity or one.base_severity or ""
            primary = one.type.lower() != "secondary"
            made = cvss.metric(version, data.base_score, said, data.vector_string, one.source, primary=primary)
            if made:
                yield made


def _ssvc(metrics: _Metrics | None) -> Ssvc | None:
    decision = metrics.ssvc[0].ssvc_data if metrics and metrics.ssvc else None
    return decided(decision.options) if decision else None


def decided(options: Sequence[dict[str, Any]]) -> Ssvc | None:
    """CISA's decision points, whichever way their names are written; None where none is told."""
    pairs = [(name, value) for option in options for name, value in option.items() if isinstance(value, str)]
    told = {name.lower().replace(" ", ""): word(value).lower() for name, value in pairs}
    made = Ssvc(told.get("exploitation", ""), told.get("automatable", ""), told.get("technicalimpact", ""))
    return made if made != Ssvc() else None


def configurations(given: Sequence[_Node]) -> tuple[Node, ...]:
    """Configurations as they are written. One that cannot hold anything is left out, and never taken for all.

    Raises `ValueError` where they are nested too deep, name an operator that there is not, or are too many.
    """
    budget = [MAX_CRITERIA]
    made = (_node(node, 0, budget) for node in given)
    return tuple(node for node in made if node is not None)


def _node(node: _Node, depth: int, budget: list[int]) -> Node | None:
    if depth > _MAX_DEPTH:
        raise ValueError("the configurations are nested too deep")
    budget[0] -= len(node.cpe_match)
    if budget[0] < 0:
        raise ValueError(f"there are more than {MAX_CRITERIA} criteria")
    operator = _operator(node.operator)
    below = [*node.nodes, *node.children]
    children = [made for child in below if (made := _node(child, depth + 1, budget)) is not None]
    if len(children) < len(below) and operator == "AND":
        return None  # of a conjunction nobody knows what is missing
    criteria = tuple([_criterion(match) for match in node.cpe_match])
    if not criteria and len(children) == 1 and not node.negate:
        return children[0]
    return Node(operator, bool(node.negate), criteria, tuple(children)) if criteria or children else None


def _operator(said: str | None) -> Literal["OR", "AND"]:
    if said is None or said == "OR":
        return "OR"
    if said.upper() not in ("AND", "OR"):
        raise ValueError(f"{said[:20]!r} is no operator")
    return "AND" if said.upper() == "AND" else "OR"


def _criterion(match: _Match) -> Criterion:
    if len(match.criteria) > _MAX_CPE:
        raise ValueError("a CPE name is too long")
    return Criterion(
        match.criteria,
        match.vulnerable,
        match.version_start_including or "",
        match.version_start_excluding or "",
        match.version_end_including or "",
        match.version_end_excluding or "",
    )
