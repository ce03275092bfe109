"""Findings that began since a moment: because something else runs there, or because a weakness was learned of.

A list of all findings in their order is no way to find these: a new one may stand after millions that are old. So it is
begun where new things are, at the newest versions of endpoints and at the newest rows of `affected`, of which so many
are looked at. What that gives is a few thousand candidates at most, the most urgent of which are put together.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, LiteralString

from spectra.model.findingrecords import FindingRecord
from spectra.model.overview import Bounded
from spectra.store.database import Database
from spectra.store.findings import Candidate, Clock, Judge, load

LOOKED_AT: Final = 500
"""Versions of endpoints, and rows of `affected`, that are looked at."""
_PLACES: Final = 20  # of one service that a weakness was learned of
_TOGETHER: Final = 60

_NEW: LiteralString = """
WITH here AS MATERIALIZED (
  SELECT ip, port, protocol, service FROM endpoint WHERE since > %(since)s AND state = 'o'
  ORDER BY since DESC LIMIT %(most)s),
learned AS MATERIALIZED (
  SELECT software, vuln FROM affected WHERE since > %(since)s AND until IS NULL ORDER BY since DESC LIMIT %(most)s),
there AS MATERIALIZED (
  SELECT e.ip, e.port, e.protocol, l.vuln, e.nth
  FROM learned l JOIN service s ON s.software = l.software
  CROSS JOIN LATERAL (
    SELECT q.*, row_number() OVER () AS nth
    FROM (SELECT ip, port, protocol FROM endpoint e WHERE e.service = s.id AND e.state = 'o'
          ORDER BY e.ip LIMIT %(places)s) q) e),
fresh AS (
  SELECT h.ip, h.port, h.protocol, a.vuln FROM here h JOIN service s ON s.id = h.service
  JOIN affected a ON a.software = s.software AND a.until IS NULL
  UNION SELECT ip, port, protocol, vuln FROM there)
SELECT host(f.ip), f.port, f.protocol, f.vuln, count(*) OVER (),
  (SELECT count(*) FROM here) < %(most)s AND (SELECT count(*) FROM learned) < %(most)s
    AND coalesce((SELECT max(nth) FROM there), 0) < %(places)s
FROM fresh f JOIN vuln v ON v.num = f.vuln AND v.status <> 'rejected'
ORDER BY v.risk DESC, v.num, f.ip, f.port, f.protocol LIMIT %(together)s"""


def began(
    database: Database, since: datetime, judge: Judge, now: datetime, *, limit: int = 10
) -> tuple[Bounded, tuple[FindingRecord, ...]]:
    """How many findings began since then (at least, where not all was looked at), and the most urgent `limit` of them.

    What was settled is left out of those that are put together, and of the number where that is all of them.
    """
    params = {"since": since, "most": LOOKED_AT, "places": _PLACES + 1, "together": _TOGETHER}
    with database.connection() as connection:
        rows = connection.execute(_NEW, params).fetchall()
        if not rows:
            return Bounded(0, True), ()
        found = load(connection, [Candidate(*row[:4]) for row in rows], judge, Clock(now))
    kept = [one.record for one in found if one and one.record.state != "closed" and not one.record.settled]
    kept.sort(key=lambda record: -record.priority.score)
    total, exact = rows[0][4:]
    if total == len(rows):
        total = len(kept)
    return Bounded(total, exact), tuple(kept[:limit])
