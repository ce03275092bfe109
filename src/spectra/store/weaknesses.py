"""Terms about weaknesses: from CVEs to the services they concern, less what was decided to be settled.

An endpoint has a finding where what runs there (`service.software`) is affected by a CVE that is not rejected, unless
the decision that holds for it there (`store.triage`) settles it. What is asked of a finding is a condition on its CVE,
`v` of the table `vuln`; `a` is the row of `affected`.

Decisions for everywhere are a part of the question which services have such a finding. Those for hosts and endpoints
are few: the endpoints of them at which the answer is another one are found first, and added or taken away by name.
Nothing is added to a statement where nothing was decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, LiteralString, NamedTuple

from spectra.model.findingrecords import SETTLED
from spectra.store import lookups, triage
from spectra.store.conditions import NOTHING, Condition, Filter, all_of, any_of, array, negation
from spectra.store.database import Connection, one
from spectra.store.lookups import SERVICE, Question

COMMON: Final = 0.2
"""The share of all CVEs from which on a service is likely to have one of them among its first few."""

OPEN: LiteralString = "a.until IS NULL AND v.status <> 'rejected'"
"""That `a` is a finding by now, whatever was decided about it."""


def answered(connection: Connection, asked: Condition, others: Sequence[Condition], *, lacking: bool) -> Filter:
    """That the endpoint has a finding as `asked` (of `v`), or if `lacking` none; `others` as for `lookups.answered`."""
    decided = Decided.load(connection, asked)
    found = _Finding(asked, decided, common=_is_common(connection, asked))
    services = Question(SERVICE, found.of("t.software"), lacking, listed=True)
    general = lookups.answered(connection, services, others)
    places = _Places.load(connection, found) if decided.local else None
    if places is None:
        return general
    return _without(general, places) if not lacking else _besides(general, places)


def _without(general: Filter, places: _Places) -> Filter:
    """Endpoints that have one, by the answer for all and where it is another."""
    came, gone = places.among(True), places.among(False)
    if general.empty:
        return Filter((came,)) if came else NOTHING
    kept = (*general.conditions, *([negation(gone)] if gone else ()))
    return Filter((any_of([all_of(kept), came]),)) if came else Filter(kept)


def _besides(general: Filter, places: _Places) -> Filter:
    """Endpoints that have none."""
    came, gone = places.among(True), places.among(False)
    free = all_of(general.conditions)
    kept = any_of([free, gone]) if gone and general.conditions else free
    return Filter((*([kept] if general.conditions else ()), *([negation(came)] if came else ())))


def _is_common(connection: Connection, asked: Condition) -> bool:
    """Whether to try the findings of each service in turn, as one of the first will do, or to begin with the CVEs."""
    every, some = (lookups.expected(connection, c, "vuln v") for c in (Condition("true"), asked))
    return some > COMMON * every


# What was decided ----------------------------------------------------------------------------------------------------


class Decided(NamedTuple):
    """CVEs (`vuln.num`) about which something stands at `now`: decided for everywhere, or for hosts and endpoints."""

    now: datetime
    everywhere: tuple[int, ...] = ()
    local: tuple[int, ...] = ()

    @classmethod
    def load(cls, connection: Connection, asked: Condition, ips: Sequence[str] | None = None) -> Decided:
        """What was decided about CVEs that are as `asked`; of hosts, only for `ips` where they are given."""
        now = one(connection.execute("SELECT now()"))[0]
        stands = triage.standing(now)
        here = Condition("true") if ips is None else Condition("(t.ip IS NULL OR t.ip = ANY(%s::inet[]))", (list(ips),))
        held = all_of([stands, here, asked])
        rows = connection.execute(
            f"""SELECT v.num, bool_or(t.ip IS NULL), bool_or(t.ip IS NOT NULL)
                FROM triage t JOIN vuln v ON v.cve = t.cve WHERE {held.sql} GROUP BY v.num""",
            held.params,
        ).fetchall()
        return cls(now, tuple(n for n, all_, _ in rows if all_), tuple(n for n, _, here in rows if here))

    def open(self, place: LiteralString = "") -> Condition:
        """That a finding `a` is not settled, everywhere or at `place`, a relation with ip, port and protocol."""
        about = self.everywhere if not place else tuple({*self.everywhere, *self.local})
        if not about:
            return Condition("true")
        at: LiteralString = f"{place}.ip, {place}.port, {place}.protocol" if place else _NOWHERE
        finding: LiteralString = f"""(SELECT d.cve, {at}, w.body::json #>> ARRAY['identities', a.identity::text, 'cpe']
          FROM vuln d JOIN software w ON w.id = a.software WHERE d.num = a.vuln) f (cve, ip, port, protocol, cpe)"""
        holds = triage.holding("f", self.now)
        return Condition(
            f"""(a.vuln <> ALL(%s::int4[]) OR NOT EXISTS (
              SELECT FROM {finding} CROSS JOIN LATERAL ({holds.sql}) h WHERE h.status = ANY(%s::text[])))""",
            (list(about), *holds.params, list(SETTLED)),
        )


_NOWHERE: LiteralString = "NULL::inet, NULL::int4, NULL::int2"


class _Finding(NamedTuple):
    """A finding whose CVE is as `asked`."""

    asked: Condition
    decided: Decided
    common: bool = False

    def of(self, software: LiteralString, place: LiteralString = "") -> Condition:
        """That the software with this id has one that is not settled, everywhere or at `place`."""
        held = all_of([self.asked, self.decided.open(place)])
        fence: LiteralString = " OFFSET 0" if self.common else ""  # the planner may not begin with the CVEs
        return Condition(
            f"""EXISTS (SELECT FROM affected a JOIN vuln v ON v.num = a.vuln
              WHERE a.software = {software} AND {OPEN} AND {held.sql}{fence})""",
            held.params,
        )


# Where the answer is another one -------------------------------------------------------------------------------------

_KEY: LiteralString = "e.ip, e.port, e.protocol, e.service"


class _Places(NamedTuple):
    """Endpoints, in all their versions, at which what was decided for them changes the answer; `has`: to yes.

    `rows` of ip, port, protocol, service and `has`; None where they are too many, and `source` has to say.
    """

    source: Condition
    rows: list[tuple[Any, ...]] | None

    @classmethod
    def load(cls, connection: Connection, found: _Finding) -> _Places:
        """Find them."""
        source = _differing(found)
        rows = connection.execute(f"{source.sql} LIMIT %s", [*source.params, lookups.MANY + 1]).fetchall()
        return cls(source, rows if len(rows) <= lookups.MANY else None)

    def among(self, has: bool) -> Condition | None:
        """That `e` is one at which the answer is `has` after all; None: there is none."""
        if self.rows is None:
            those: LiteralString = f"SELECT d.ip, d.port, d.protocol, d.service FROM ({self.source.sql}) d WHERE d.has"
            asked = Condition(f"{those} = %s", (*self.source.params, has))
        else:
            listed = [row[:4] for row in self.rows if row[4] == has]
            if not listed:
                return None
            arrays: LiteralString = "%s::inet[], %s::int4[], %s::int2[], %s::uuid[]"
            asked = Condition(
                f"SELECT * FROM unnest({arrays})", tuple(array(column) for column in zip(*listed, strict=True))
            )
        return Condition(f"(e.service IS NOT NULL AND ({_KEY}) IN ({asked.sql}))", asked.params)


def _differing(found: _Finding) -> Condition:
    general, here = found.of("q.software"), found.of("q.software", "q")
    stands = triage.standing(found.decided.now)
    versions: LiteralString = """
      SELECT c.ip, c.port, c.protocol, c.service FROM endpoint c WHERE c.ip = t.ip
      UNION SELECT c.ip, c.port, c.protocol, c.service FROM endpoint_version c WHERE c.ip = t.ip"""
    return Condition(
        f"""SELECT q.ip, q.port, q.protocol, q.service, x.has FROM (
              SELECT DISTINCT {_KEY}, s.software
              FROM triage t JOIN vuln v ON v.cve = t.cve CROSS JOIN LATERAL ({versions}) e
                JOIN service s ON s.id = e.service
              WHERE v.num = ANY(%s::int4[]) AND t.ip IS NOT NULL AND {stands.sql}
                AND (t.port IS NULL OR (t.port, t.protocol) = (e.port, e.protocol))) q
            CROSS JOIN LATERAL (SELECT {general.sql} AS had, {here.sql} AS has OFFSET 0) x WHERE x.had <> x.has""",
        (list(found.decided.local), *stands.params, *general.params, *here.params),
    )
