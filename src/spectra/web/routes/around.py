"""The hosts around a host, as a graph that can be walked."""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_args

from fastapi import APIRouter, Query
from starlette.responses import Response

from spectra.model import around as model
from spectra.model.around import Around, AroundHost, Relation
from spectra.web.charts import graph
from spectra.web.page import VisitDep, page
from spectra.web.routes.hosts import host_path
from spectra.web.words import number, segment

router = APIRouter(include_in_schema=False)

WORDS: Final[dict[Relation, str]] = {
    "certificate": "certificate",
    "key": "SSH host key",
    "mac": "network card",
    "name": "name",
    "banner": "banner",
    "network": "network",
    "asn": "AS",
}
_EACH: Final = 6  # hosts of each tie in the whole picture
_ONE: Final = 60  # where one kind of tie is looked at


@router.get("/hosts/{ip}/around", dependencies=[page("hosts:read")])
async def around(visit: VisitDep, ip: str, relation: Annotated[Relation | Literal[""], Query()] = "") -> Response:
    """What it shares with others; each of them has a page like this one."""
    most = _ONE if relation else _EACH
    found = await visit.api.get(f"/v0/hosts/{segment(ip)}/around", Around, relation=relation, limit=most)
    ties = [graph.Tie(*_told(tie), nodes=_nodes(tie), path=_path(found.ip, tie)) for tie in found.ties]
    return await visit.render(
        "host_around.html",
        title=f"Around {found.ip}",
        at="search",
        ip=found.ip,
        chart=graph.graph(f"What {found.ip} shares, and with whom", found.ip, ties),
        ties=found.ties,
        relation=relation,
        relations=[(one, WORDS[one]) for one in get_args(Relation)],
        words=WORDS,
    )


def _told(tie: model.Tie) -> tuple[str, str, str]:
    return WORDS[tie.relation], tie.label, _count(tie)


def _count(tie: model.Tie) -> str:
    return number(tie.total) if tie.exact else f"{number(tie.total)}+"


def _nodes(tie: model.Tie) -> tuple[graph.Node, ...]:
    return tuple(graph.Node(one.ip, _hint(one), host_path(one.ip, "/around")) for one in tie.hosts)


def _hint(one: AroundHost) -> str:
    return one.hostname or " ".join(str(port) for port in one.ports[:4])


def _path(ip: str, tie: model.Tie) -> str:
    return host_path(ip, "/around", relation=tie.relation)
