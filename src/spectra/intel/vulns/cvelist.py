"""CVE records 5.x: what the CVE's assigner (CNA) says, and what CISA and others added (ADP containers).

Schema: https://github.com/CVEProject/cve-schema/blob/main/schema/CVE_Record_Format.json
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from spectra.intel.vulns import affected, cvss
from spectra.intel.vulns.nvd import decided
from spectra.intel.vulns.texts import MAX_TITLE, clean, cve_id, cwes, english, moment, references
from spectra.model.vulns import Metric, Node, Ssvc, Status, VulnRecord


class _Text(msgspec.Struct, gc=False):
    lang: str = ""
    value: str = ""


class _Cvss(msgspec.Struct, gc=False, rename="camel"):
    base_score: float | None = None
    base_severity: str | None = None
    vector_string: str = ""


class _Decision(msgspec.Struct, gc=False):
    options: list[dict[str, Any]] = []


class _Other(msgspec.Struct, gc=False):
    type: str = ""
    content: Any = None


class _Metric(msgspec.Struct, gc=False):
    v40: _Cvss | None = msgspec.field(default=None, name="cvssV4_0")
    v31: _Cvss | None = msgspec.field(default=None, name="cvssV3_1")
    v30: _Cvss | None = msgspec.field(default=None, name="cvssV3_0")
    v2: _Cvss | None = msgspec.field(default=None, name="cvssV2_0")
    other: _Other | None = None


class _Problem(msgspec.Struct, gc=False, rename="camel"):
    cwe_id: str | None = None
    description: str = ""


class _Problems(msgspec.Struct, gc=False):
    descriptions: list[_Problem] = []


class _Reference(msgspec.Struct, gc=False):
    url: str = ""
    tags: list[str] = []


class _Provider(msgspec.Struct, gc=False, rename="camel"):
    short_name: str = ""


class _Container(msgspec.Struct, rename="camel"):
    provider_metadata: _Provider = msgspec.field(default_factory=_Provider)
    title: str | None = None
    descriptions: list[_Text] = []
    rejected_reasons: list[_Text] = []
    affected: list[affected.Affected] = []
    metrics: list[_Metric] = []
    problem_types: list[_Problems] = []
    references: list[_Reference] = []
    tags: list[str] = []


class _Containers(msgspec.Struct):
    cna: _Container
    adp: list[_Container] = []


class _Metadata(msgspec.Struct, gc=False, rename="camel"):
    cve_id: str
    state: str = ""
    date_published: str | None = None
    date_updated: str | None = None


class _Cve(msgspec.Struct, rename="camel"):
    cve_metadata: _Metadata
    containers: _Containers


_DECODER: Final = msgspec.json.Decoder(_Cve)


def record(data: bytes) -> VulnRecord:
    """The record of a CVE record 5.x. Raises `ValueError` (and `RecursionError`) for what is none."""
    cve = _DECODER.decode(data)
    cna, others = cve.containers.cna, cve.containers.adp
    everyone = [cna, *others]
    status = _status(cve)
    return VulnRecord(
        cve=cve_id(cve.cve_metadata.cve_id),
        source="cve",
        status=status,
        title=clean(cna.title or "", MAX_TITLE),
        description=english((text.lang, text.value) for text in (*cna.descriptions, *cna.rejected_reasons)),
        published=moment(cve.cve_metadata.date_published),
        modified=moment(cve.cve_metadata.date_updated),
        metrics=tuple(dict.fromkeys(metric for one in everyone for metric in _metrics(one, primary=one is cna))),
        weaknesses=cwes(_weaknesses(everyone)),
        references=references((page.url, page.tags) for one in everyone for page in one.references),
        configurations=() if status == "rejected" else _configurations(cna, others),
        ssvc=_ssvc(others),
    )


def _status(cve: _Cve) -> Status:
    if cve.cve_metadata.state.upper() == "REJECTED":
        return "rejected"
    return "disputed" if "disputed" in cve.containers.cna.tags else ""


def _metrics(container: _Container, *, primary: bool) -> Iterator[Metric]:
    """The assigner's scores are the primary ones of this source."""
    by = container.provider_metadata.short_name
    for metric in container.metrics:
        for version, given in zip(cvss.VERSIONS, (metric.v40, metric.v31, metric.v30, metric.v2), strict=True):
            if given is None:
                continue
            said = given.base_severity or ""
            made = cvss.metric(version, given.base_score, said, given.vector_string, by, primary=primary)
            if made:
                yield made


def _weaknesses(containers: list[_Container]) -> Iterator[str]:
    for container in containers:
        for problems in container.problem_types:
            for problem in problems.descriptions:
                yield problem.cwe_id or problem.description.partition(" ")[0].rstrip(":")


def _configurations(cna: _Container, others: list[_Container]) -> tuple[Node, ...]:
    named = (entry for other in others for entry in other.affected if entry.cpes)
    return affected.configurations(cna.affected, named)


def _ssvc(others: list[_Container]) -> Ssvc | None:
    """CISA's decision; what is in its catalogue of exploited weaknesses is exploited, whatever the decision says."""
    made: Ssvc | None = None
    exploited = False
    for metric in (metric for other in others for metric in other.metrics):
        if metric.other is None:
            continue
        exploited = exploited or metric.other.type == "kev"
        if metric.other.type == "ssvc":
            made = made or decided(msgspec.convert(metric.other.content or {}, _Decision).options)
    if exploited and (made is None or made.exploitation != "active"):
        return Ssvc("active", made.automatable if made else "", made.impact if made else "")
    return made
