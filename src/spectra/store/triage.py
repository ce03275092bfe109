"""Which decision holds for a finding: the one place that says so in SQL.

A decision is about a CVE, for one endpoint, for a host or for all of them, and perhaps only for software of a name.
Of several that stand, that for the endpoint outweighs that for the host, which outweighs that for everywhere; then one
that names the software outweighs one that does not; then the newest.

The name of a decision is compared with the one that matched (`affected.cpe`) part by part: `*`, and parts that it does
not have, are any. `cpe:2.3:a:openbsd:openssh` is every version of OpenSSH.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString, NamedTuple

from spectra.model.findingrecords import TriageRecord
from spectra.store.conditions import Condition
from spectra.store.database import Connection
from spectra.store.timeline import PROTOCOL_NAME, PROTOCOL_NUMBER

COLUMNS: LiteralString = (
    "id, cve, ip, port, protocol, cpe, status, justification, note, origin, until, at, by, removed, removed_by"
)

_STANDS: LiteralString = "t.removed IS NULL AND (t.until IS NULL OR t.until > %s)"
# At a past moment: what had been decided by then and was not taken back yet.
_STOOD: LiteralString = "t.at <= %s AND (t.removed IS NULL OR t.removed > %s) AND (t.until IS NULL OR t.until > %s)"


class Finding(NamedTuple):
    """What a decision may be about; `cpe` is the name that matched. Without `ip`: the CVE and software anywhere."""

    cve: str
    ip: str | None
    port: int
    protocol: str
    cpe: str


def standing(now: datetime, *, past: bool = False) -> Condition:
    """That a row `t` of triage stands at `now`; `past`: `now` is a moment that has gone by."""
    return Condition(f"({_STOOD})", (now, now, now)) if past else Condition(f"({_STANDS})", (now,))


def holding(finding: LiteralString, now: datetime, *, past: bool = False) -> Condition:
    """A SELECT of the row of triage that holds at `now` for a finding, or of none.

    `finding` names a relation in reach with the columns cve, ip, port, protocol and cpe; where its ip is null, what
    was decided for everywhere is looked for. For `LEFT JOIN LATERAL (...) t ON true`.
    """
    f, stands = finding, standing(now, past=past)
    statement: LiteralString = f"""
      SELECT {COLUMNS} FROM triage t
      WHERE t.cve = {f}.cve AND {stands.sql} AND (t.ip IS NULL OR t.ip = {f}.ip)
        AND (t.port IS NULL OR (t.port, t.protocol) = ({f}.port, {f}.protocol))
        AND (t.cpe = '' OR t.cpe = {f}.cpe OR NOT EXISTS (
          SELECT FROM unnest(string_to_array(t.cpe, ':'), string_to_array({f}.cpe, ':')) AS part (asked, has)
          WHERE part.asked <> '*' AND part.asked IS DISTINCT FROM part.has))
      ORDER BY t.port IS NULL, t.ip IS NULL, t.cpe = '', t.at DESC, t.id LIMIT 1"""
    return Condition(statement, stands.params)


def held(
    connection: Connection, findings: Sequence[Finding], now: datetime, *, past: bool = False
) -> list[TriageRecord | None]:
    """The decision that holds at `now` for each of `findings`; None: none does."""
    decided = _decided(connection, sorted({f.cve for f in findings}), now, past=past)
    asked = [(number, f) for number, f in enumerate(findings) if f.cve in decided]
    answers: list[TriageRecord | None] = [None] * len(findings)
    if not asked:
        return answers
    one = holding("f", now, past=past)
    rows = connection.execute(
        f"""SELECT f.number, t.id::text, t.cve, host(t.ip), t.port, t.protocol, t.cpe, t.status, t.justification,
                   t.note, t.origin, t.until, t.at, t.by
            FROM unnest(%s::int4[], %s::text[], %s::inet[], %s::int4[], %s::int2[], %s::text[])
              AS f (number, cve, ip, port, protocol, cpe)
            CROSS JOIN LATERAL ({one.sql}) t""",
        [*_arrays(asked), *one.params],
    )
    for number, *row in rows:
        answers[number] = record(row)
    return answers


def touched(connection: Connection, cves: Sequence[str], now: datetime, *, past: bool = False) -> dict[str, bool]:
    """Those of `cves` about which any decision stands, and whether one of those is for an endpoint or a host."""
    return _decided(connection, cves, now, past=past)


def record(row: Sequence[Any]) -> TriageRecord:
    """A row of id, cve, ip, port, protocol, cpe, status, justification, note, origin, until, at and by."""
    ident, cve, ip, port, protocol, cpe, status, justification, note, origin, until, at, by = row
    return TriageRecord(
        id=ident,
        cve=cve,
        status=status,
        at=at,
        by=by,
        ip=ip or "",
        port=port,
        protocol="" if protocol is None else PROTOCOL_NAME[protocol],
        cpe=cpe,
        justification=justification,
        note=note,
        origin=origin,
        until=until,
    )


def _decided(connection: Connection, cves: Sequence[str], now: datetime, *, past: bool) -> dict[str, bool]:
    stands = standing(now, past=past)
    found = connection.execute(
        f"SELECT t.cve, bool_or(t.ip IS NOT NULL) FROM triage t WHERE t.cve = ANY(%s::text[]) AND {stands.sql}"
        " GROUP BY t.cve",
        [list(cves), *stands.params],
    )
    return dict(found.fetchall())


def _arrays(asked: Sequence[tuple[int, Finding]]) -> list[list[Any]]:
    """Columns for `unnest`."""
    return [
        [number for number, _ in asked],
        [f.cve for _, f in asked],
        [f.ip for _, f in asked],
        [f.port for _, f in asked],
        [PROTOCOL_NUMBER[f.protocol] for _, f in asked],
        [f.cpe for _, f in asked],
    ]
