"""A host: what runs there, what is wrong with it, how it came to be, and what a model makes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Final, Literal, NamedTuple

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from spectra.errors import NotFound
from spectra.model.explanations import Explanation
from spectra.model.findingrecords import FindingRecord
from spectra.model.records import EndpointRecord, HostRecord, VersionRecord
from spectra.model.summaries import AiSummary
from spectra.model.vulns import Severity
from spectra.web.charts.svg import Chart
from spectra.web.charts.timeline import Lane, Mark, Span, timeline
from spectra.web.inside import Problem
from spectra.web.page import Visit, VisitDep, page, query
from spectra.web.records import linked
from spectra.web.words import segment

router = APIRouter(include_in_schema=False)

_AT: Final = "search"
_ENDPOINTS: Final = 40  # on a page
_FINDINGS: Final = 15
_NAMES: Final = 24
_EVIDENCE: Final = 20
_LANES: Final = 40
_SPANS: Final = 240
_SCANS: Final = 40
_WORST: Final[tuple[Severity, ...]] = ("critical", "high", "medium", "low", "none", "")

MomentQuery = Annotated[str, Query(alias="at", max_length=64)]
PortPath = Annotated[int, Path(ge=0, le=65535)]


class Weakness(NamedTuple):
    """How many open findings an endpoint has, and the worst severity among them."""

    open: int = 0
    worst: str = ""


def host_path(ip: str, rest: str = "", **parts: object) -> str:
    """The path of a host's page, or of one below it."""
    return f"/hosts/{segment(ip)}{rest}{query(**parts)}"


@router.get("/hosts", dependencies=[page("hosts:read")])
async def hosts(visit: VisitDep, q: Annotated[str, Query(max_length=10_000)] = "") -> Response:
    """All hosts are found by search."""
    return visit.go(f"/search{query(q=q)}")


@router.get("/hosts/{ip}", dependencies=[page("hosts:read")])
async def host(
    visit: VisitDep, ip: str, at: MomentQuery = "", start: Annotated[int, Query(alias="from", ge=0)] = 0
) -> Response:
    """What is known of it now, or was at a moment."""
    record = await visit.api.get(f"/v0/host/{segment(ip)}", HostRecord, at=at)
    endpoints = sorted(record.endpoints, key=lambda one: (one.state != "open", one.port, one.protocol))
    following = start + _ENDPOINTS
    return await visit.render(
        "host.html",
        title=record.ip,
        at=_AT,
        host=record,
        moment=at,
        names=record.hostnames[:_NAMES],
        endpoints=endpoints[start:following],
        opened=sum(one.state == "open" for one in endpoints),
        weak=weaknesses(record.findings),
        findings=_open(record.findings)[:_FINDINGS],
        evidence=record.evidence[:_EVIDENCE],
        more=host_path(record.ip, "", at=at, **{"from": following}) if len(endpoints) > following else "",
        first=host_path(record.ip, at=at) if start else "",
    )


@router.get("/hosts/{ip}/history", dependencies=[page("hosts:read")])
async def history(visit: VisitDep, ip: str) -> Response:
    """What was so from when to when, and who saw it."""
    record = await visit.api.get(f"/v0/host/{segment(ip)}", HostRecord, history=True)
    chart, left_out = _life(record)
    return await visit.render(
        "host_history.html",
        title=f"History of {record.ip}",
        at=_AT,
        host=record,
        chart=chart,
        left_out=left_out,
        scans=record.sightings[:_SCANS],
        closed=[one for one in record.findings if one.state == "closed"][:_FINDINGS],
    )


@router.get("/hosts/{ip}/summary", dependencies=[page("hosts:read")])
async def summary(visit: VisitDep, ip: str) -> Response:
    """What fixed rules make of the host at once; a model is only asked where somebody says so."""
    return await _summary(visit, ip)


@router.post("/hosts/{ip}/summary", dependencies=[page("ai:ask")])
async def ask(visit: VisitDep, ip: str) -> Response:
    """What a model makes of it, each sentence with the records it rests on."""
    form = await visit.form()
    question = form.one("question")[:1000]
    body = {"kind": "ip", "target": ip, "question": question, "rules": form.has("rules")}
    try:
        made = await visit.api.send("POST", "/v0/ai/summary", AiSummary, body)
    except Problem as problem:
        if problem.status in (403, 404):
            raise
        return await _summary(visit, ip, question=question, problem=problem)
    return await _summary(visit, ip, question=question, made=made)


async def _summary(
    visit: Visit, ip: str, *, question: str = "", made: AiSummary | None = None, problem: Problem | None = None
) -> Response:
    told = None if made else await visit.api.get(f"/v0/explain/ip/{segment(ip)}", Explanation)
    return await visit.render(
        "host_summary.html",
        title=f"Summary of {ip}",
        at=_AT,
        status=problem.status if problem else 200,
        ip=ip,
        ruled=told,
        made=made,
        titles={record.id: record.title for record in made.records} if made else {},
        linked=linked,
        question=question,
        problem=problem,
    )


@router.get("/hosts/{ip}/{port}/{protocol}", dependencies=[page("hosts:read")])
async def endpoint(
    visit: VisitDep, ip: str, port: PortPath, protocol: Literal["tcp", "udp", "sctp"], at: MomentQuery = ""
) -> Response:
    """One endpoint, whole: banner, certificate, evidence, findings, and each version it was in."""
    record = await visit.api.get(f"/v0/host/{segment(ip)}", HostRecord, at=at, history=True)
    found = next((one for one in record.endpoints if (one.port, one.protocol) == (port, protocol)), None)
    if found is None:
        raise NotFound(
            f"Nothing is known of port {port}/{protocol} at {record.ip}.",
            hint="Its other ports are on the host's page.",
        )
    findings = [one for one in record.findings if (one.port, one.protocol) == (port, protocol)]
    return await visit.render(
        "endpoint.html",
        title=f"{record.ip} {port}/{protocol}",
        at=_AT,
        host=record,
        moment=at,
        endpoint=found,
        findings=_open(findings)[:_FINDINGS],
        total=len(_open(findings)),
        chart=_endpoint_life(record.ip, found),
        versions=tuple(reversed(found.history or ()))[:_SCANS],
        evidence=found.evidence[:_EVIDENCE],
    )


def weaknesses(findings: Sequence[FindingRecord]) -> dict[tuple[int, str], Weakness]:
    """The open findings of each (port, protocol)."""
    counts = Counter((one.port, one.protocol) for one in _open(findings))
    worst: dict[tuple[int, str], str] = {}
    for one in sorted(_open(findings), key=lambda one: _WORST.index(one.severity)):
        worst.setdefault((one.port, one.protocol), one.severity)
    return {key: Weakness(count, worst[key]) for key, count in counts.items()}


def _open(findings: Sequence[FindingRecord]) -> list[FindingRecord]:
    return [one for one in findings if one.state != "closed"]


def _life(record: HostRecord) -> tuple[Chart, int]:
    """The lives of a host's endpoints as lanes, and how many versions there was no room for."""
    lanes: list[Lane] = []
    drawn = told = 0
    for one in sorted(record.endpoints, key=lambda one: (one.state != "open", one.port, one.protocol)):
        spans = _spans(record.ip, one)
        told += len(spans)
        if len(lanes) < _LANES and drawn < _SPANS:
            kept = spans[drawn - _SPANS :] if len(spans) > _SPANS - drawn else spans
            drawn += len(kept)
            lanes.append(Lane(f"{one.port}/{one.protocol}", tuple(kept), _endpoint_path(record.ip, one)))
    marks = [
        Mark(seen.seen_at, f"seen by {seen.tool or 'a scan'}", path=f"/observations/{segment(seen.observation_id)}")
        for seen in record.sightings[:_SCANS]
    ]
    chart = timeline(f"What was open at {record.ip}", lanes, marks=marks, heading="endpoint")
    return chart, told - drawn


def _endpoint_life(ip: str, one: EndpointRecord) -> Chart:
    lane = Lane(f"{one.port}/{one.protocol}", tuple(_spans(ip, one)[-_SPANS:]))
    return timeline(f"Versions of {one.port}/{one.protocol}", [lane], heading="endpoint")


def _spans(ip: str, one: EndpointRecord) -> list[Span]:
    now = datetime.now(UTC)
    return [
        Span(
            version.since,
            max(version.until or now, version.since),
            saying(version),
            version.state,
            host_path(ip, at=version.since.isoformat().replace("+00:00", "Z")),
        )
        for version in (*(one.history or ()), one)
    ]


def saying(version: VersionRecord) -> str:
    """A version in a few words: what runs there, or that nothing does."""
    service = version.service
    words = (service.product or service.name, service.version) if service else ()
    said = " ".join(word for word in words if word)
    return said if said and version.state == "open" else version.state


def _endpoint_path(ip: str, one: EndpointRecord) -> str:
    return host_path(ip, f"/{one.port}/{one.protocol}")
