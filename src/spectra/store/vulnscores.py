"""CISA's catalogue and FIRST's scores: replaced as a whole by what differs, and copied to the CVEs they are about."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, Final, LiteralString, NamedTuple

import msgspec

from spectra.model.vulns import Epss, Kev
from spectra.store.database import Connection, Database, one
from spectra.store.rows import encode
from spectra.store.vulnwrite import Risk, json, lock

_TOLD: Final = 'CREATE TEMP TABLE told_epss (cve text COLLATE "C", score real, percentile real) ON COMMIT DROP'

_EPSS_GONE: Final = "DELETE FROM epss e WHERE NOT EXISTS (SELECT FROM told_epss t WHERE t.cve = e.cve)"

_EPSS: Final = """
INSERT INTO epss AS e (cve, score, percentile)
SELECT DISTINCT ON (cve) cve, score, percentile FROM told_epss ORDER BY cve
ON CONFLICT (cve) DO UPDATE SET score = excluded.score, percentile = excluded.percentile
WHERE (e.score, e.percentile) IS DISTINCT FROM (excluded.score, excluded.percentile)"""

_KEV_GONE: Final = "DELETE FROM kev WHERE NOT cve = ANY(%s)"

_KEV: Final = """
INSERT INTO kev AS k (cve, added, entry)
SELECT cve, added, entry FROM json_to_recordset(%s::json) AS r (cve text, added date, entry text) ORDER BY cve
ON CONFLICT (cve) DO UPDATE SET added = excluded.added, entry = excluded.entry
WHERE (k.added, k.entry) IS DISTINCT FROM (excluded.added, excluded.entry)"""

_NEXT: Final = """
SELECT v.num, v.cvss, v.severity, v.exploitation, e.score, e.percentile, k.added, k.entry,
  v.epss, v.epss_percentile, v.kev, v.ransomware, v.risk
FROM vuln v LEFT JOIN epss e USING (cve) LEFT JOIN kev k USING (cve)
WHERE v.num > %s ORDER BY v.num LIMIT %s"""

# A CVE that comes into the catalogue is news to whoever watches it; another score is a daily thing.
_RESCORE: Final = """
UPDATE vuln v SET epss = r.epss, epss_percentile = r.percentile, kev = r.kev, ransomware = r.ransomware,
  risk = r.risk, changed = CASE WHEN v.kev IS DISTINCT FROM r.kev THEN %(now)s ELSE v.changed END
FROM json_to_recordset(%(rows)s::json) AS r (num int4, epss real, percentile real, kev date, ransomware boolean,
  risk real)
WHERE v.num = r.num"""


class Rescored(NamedTuple):
    """Up to which CVE (number) scores are copied, of how many that was, and how many changed by it."""

    after: int
    done: int
    changed: int


def replace_kev(connection: Connection, told: Iterable[Kev]) -> int:
    """Make these all the entries of the catalogue; returns how many there are."""
    lock(connection)
    entries = {kev.cve: kev for kev in told}
    connection.execute(_KEV_GONE, [list(entries)])
    rows = [{"cve": cve, "added": kev.added, "entry": encode(kev).decode()} for cve, kev in entries.items()]
    connection.execute(_KEV, [json(rows)])
    return len(entries)


def replace_epss(connection: Connection, told: Iterable[Epss]) -> int:
    """Make these all the scores, as they come and without holding them; returns how many there are."""
    connection.execute(_TOLD)
    with connection.cursor().copy("COPY told_epss FROM STDIN") as copy:
        for epss in told:
            copy.write_row((epss.cve, epss.score, epss.percentile))
    connection.execute("ANALYZE told_epss")
    lock(connection)  # only now: reading a file takes longer than writing what differs
    connection.execute(_EPSS_GONE)
    connection.execute(_EPSS)
    return one(connection.execute("SELECT count(*) FROM epss"))[0]


def replace(connection: Connection, kind: str, told: Iterable[Any]) -> int:
    """`replace_kev` or `replace_epss`, as `kind` says."""
    return replace_kev(connection, told) if kind == "kev" else replace_epss(connection, told)


def count(connection: Connection, kind: str) -> int:
    """How many entries the catalogue has, or how many scores there are."""
    query: LiteralString = "SELECT count(*) FROM kev" if kind == "kev" else "SELECT count(*) FROM epss"
    return one(connection.execute(query))[0]


def newest(connection: Connection) -> date | None:
    """The day of the newest entry of the catalogue."""
    return one(connection.execute("SELECT max(added) FROM kev"))[0]


def rescore(database: Database, after: int, limit: int, risk: Risk, now: datetime) -> Rescored:
    """Copy the scores and the catalogue beside the next CVEs after the number `after`, and weigh those anew."""
    with database.transaction() as connection:
        lock(connection)
        rows = connection.execute(_NEXT, [after, limit], binary=True).fetchall()
        if not rows:
            return Rescored(after, 0, 0)
        changed = [new for row in rows if (new := _rescored(row, risk)) is not None]
        if changed:
            connection.execute(_RESCORE, {"rows": encode(changed).decode(), "now": now})
    return Rescored(rows[-1][0], len(rows), len(changed))


def _rescored(row: Sequence[Any], risk: Risk) -> dict[str, Any] | None:
    """The columns as they should be; None where they are."""
    num, cvss, severity, exploitation, score, percentile, kev, entry, *held = row
    ransomware = bool(entry) and msgspec.json.decode(entry, type=Kev).ransomware
    weight = _real(risk(cvss, severity, score, kev is not None, ransomware, exploitation))
    now = [score, percentile, kev, ransomware, weight]
    if now == held:
        return None
    return dict(zip(("num", "epss", "percentile", "kev", "ransomware", "risk"), (num, *now), strict=True))


def _real(value: float) -> float:
    """As a column of type `real` holds it."""
    return struct.unpack("f", struct.pack("f", value))[0]
