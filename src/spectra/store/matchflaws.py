"""The CVEs of the findings that are open at endpoints, for lists that tell them by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, LiteralString

from spectra.model.records import Match
from spectra.store.conditions import Condition
from spectra.store.database import Database
from spectra.store.timeline import PROTOCOL_NUMBER
from spectra.store.weaknesses import OPEN, Decided

_ANY: Final = Condition("true")


def cves(database: Database, matches: Sequence[Match], most: int) -> list[tuple[str, ...]]:
    """For each match the ids of its open findings that triage has not settled, the riskiest first, at most `most`."""
    spots = [(m.ip, m.port, PROTOCOL_NUMBER[m.protocol]) for m in matches]
    found: list[tuple[str, ...]] = [()] * len(matches)
    if not spots:
        return found
    with database.connection() as connection:
        held = Decided.load(connection, _ANY, sorted({m.ip for m in matches})).open("q")
        statement: LiteralString = f"""
            SELECT q.n, x.cves FROM (
              SELECT u.n, e.ip, e.port, e.protocol, s.software
              FROM unnest(%s::inet[], %s::int4[], %s::int2[]) WITH ORDINALITY AS u (ip, port, protocol, n)
                JOIN endpoint e USING (ip, port, protocol) JOIN service s ON s.id = e.service
              WHERE s.software IS NOT NULL AND e.state = 'o') q
            CROSS JOIN LATERAL (SELECT array_agg(w.cve) AS cves FROM (
              SELECT v.cve FROM affected a JOIN vuln v ON v.num = a.vuln
              WHERE a.software = q.software AND {OPEN} AND {held.sql} ORDER BY v.risk DESC, v.cve LIMIT %s) w) x
            WHERE x.cves IS NOT NULL"""
        columns = [list(column) for column in zip(*spots, strict=True)]
        for number, ids in connection.execute(statement, [*columns, *held.params, most]):
            found[number - 1] = tuple(ids)
    return found
