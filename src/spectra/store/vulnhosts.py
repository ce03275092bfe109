"""The endpoints that a CVE concerns: those whose service of now is software with an open row of `affected`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, LiteralString

import msgspec

from spectra.errors import BadRequest
from spectra.model.findings import Software
from spectra.model.records import Match
from spectra.model.vulnrecords import VulnHost, VulnHosts
from spectra.store import lookups, search
from spectra.store.conditions import Condition, Filter
from spectra.store.database import Connection, one
from spectra.store.lookups import SERVICE, Question
from spectra.store.search import Paging
from spectra.store.tallies import ENTRIES
from spectra.store.timeline import OPEN, PROTOCOL_NAME, PROTOCOL_NUMBER

MAX_LIMIT: Final = 1000

_HELD: LiteralString = "(t.software IN (SELECT a.software FROM affected a WHERE a.vuln = %s AND a.until IS NULL))"
_OPEN: Final = Condition('e.state = %s::"char"', (OPEN,))

Key = tuple[str, int, str]


def hosts(connection: Connection, num: int, *, cursor: str = "", limit: int = 100) -> VulnHosts:
    """A page of the open endpoints that the CVE of this number concerns, by address, and how many there are.

    The connection has to see one snapshot, for the number to be that of the list. Raises `BadRequest` naming `limit` or
    `cursor`.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise BadRequest(f"A limit of {limit} is not between 1 and {MAX_LIMIT}.", field="limit")
    paging = Paging("ip", cursor, limit)
    search.check(paging)
    wanted = lookups.answered(connection, Question(SERVICE, Condition(_HELD, (num,))), ())
    if wanted.empty:
        return VulnHosts((), 0)
    page = search.page(connection, Filter((*wanted.conditions, _OPEN)), paging)
    why = _why(connection, num, page.matches)
    return VulnHosts(tuple(_host(match, why) for match in page.matches), _count(connection, wanted), page.next_cursor)


def _count(connection: Connection, wanted: Filter) -> int:
    """How many open endpoints run one of the services, by the tallies: exact, however many they are."""
    (held,) = wanted.conditions
    counted = connection.execute(
        f"""SELECT coalesce(sum(e.endpoints), 0) FROM (
              SELECT service, endpoints FROM tally_service UNION ALL SELECT service, endpoints FROM {ENTRIES}) e
            WHERE {held.sql}""",
        held.params,
    )
    return int(one(counted)[0])


_TOLD: Final = ("criterion", "range", "source", "confidence", "patched", "since")
_WHY: LiteralString = """
SELECT host(e.ip), e.port, e.protocol, w.id, w.body, a.identity, a.requires,
       a.criterion, a.range, a.source, a.confidence, a.patched, a.since
FROM unnest(%s::inet[], %s::int4[], %s::int2[]) AS k (ip, port, protocol)
  JOIN endpoint e ON (e.ip, e.port, e.protocol) = (k.ip, k.port, k.protocol) JOIN service s ON s.id = e.service
  JOIN affected_by a ON a.software = s.software AND a.vuln = %s AND a.until IS NULL
  JOIN software w ON w.id = s.software"""


def _why(connection: Connection, num: int, matches: Sequence[Match]) -> dict[Key, dict[str, Any]]:
    """What of the CVE each endpoint met, by the names of `VulnHost`."""
    keys = [[m.ip for m in matches], [m.port for m in matches], [PROTOCOL_NUMBER[m.protocol] for m in matches]]
    found: dict[Key, dict[str, Any]] = {}
    names: dict[int, Software] = {}
    for ip, port, protocol, software, body, identity, requires, *rest in connection.execute(_WHY, [*keys, num]):
        if software not in names:
            names[software] = msgspec.json.decode(body, type=Software)
        identities = names[software].identities
        name = identities[int(identity)].cpe if identity < len(identities) else ""
        found[ip, port, PROTOCOL_NAME[protocol]] = {
            "cpe": name,
            "requires": tuple(requires),
            **dict(zip(_TOLD, rest, strict=True)),
        }
    return found


def _host(match: Match, why: Mapping[Key, dict[str, Any]]) -> VulnHost:
    return VulnHost(
        ip=match.ip,
        port=match.port,
        protocol=match.protocol,
        service=match.service,
        product=match.product,
        version=match.version,
        hostnames=match.hostnames,
        last_seen=match.last_seen,
        **why.get((match.ip, match.port, match.protocol), {}),
    )
