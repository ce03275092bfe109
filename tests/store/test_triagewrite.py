"""Decisions are made, replaced and taken back, and each of that is in the chain."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spectra.errors import BadRequest, NotFound
from spectra.model.triage import DecisionRecord, Target, Verdict
from spectra.store import provenance, triage, triagelist, triagewrite
from spectra.store.database import Connection, Database
from spectra.store.triage import Finding
from tests.store.scribe import T0

DAY = timedelta(days=1)
CVE, OTHER = "CVE-2024-0001", "CVE-2024-0002"
CPE = "cpe:2.3:a:openbsd:openssh:*:*:*:*:*:*:*:*"
WIDE, HOST, HERE = Target(CVE), Target(CVE, "192.0.2.7"), Target(CVE, "192.0.2.7", 22, "tcp")
NAMED = HERE._replace(cpe=CPE)
ACCEPTED = Verdict("accepted", "behind the VPN")
FIXED = Verdict("fixed")


def stand(database: Database, now: datetime = T0) -> dict[Target, DecisionRecord]:
    """The decisions that stand, by what they are about."""
    page = triagelist.decisions(database, triagelist.Filters(), now, limit=1000)
    found = {one.target: one for one in page.decisions}
    assert len(found) == len(page.decisions)
    return found


def decide(database: Database, *decisions: tuple[Target, Verdict], now: datetime = T0, by: str = "alice") -> None:
    """Make them."""
    triagewrite.decide(database, decisions, by=by, now=now)


def agrees(database: Database) -> bool:
    """Whether the newest entry about each decision says what its row is."""
    told = {link.subject: link.detail() for link in provenance.links(database) if link.kind.startswith("finding.")}
    rows = triagewrite.details(database)
    return told == {subject: _plain(detail) for subject, detail in rows.items()}


def _plain(detail: dict[str, object]) -> dict[str, object]:
    from spectra.store.audit import plain

    return plain(detail)


def test_every_scope(database: Database) -> None:
    """A decision is told whole, by its own id, and each scope has its own."""
    until = T0 + DAY
    full = Verdict("not_affected", "no such module", "vulnerable_code_not_present", until, "urn:x")
    made = triagewrite.decide(
        database, [(WIDE, FIXED), (HOST, ACCEPTED), (HERE, full), (NAMED, FIXED)], by="alice", now=T0
    )
    assert [one.record.scope for one in made] == ["everywhere", "host", "endpoint", "endpoint"]
    assert not any(one.replaced or one.unchanged for one in made)
    record = stand(database)[HERE]
    assert record == made[2].record
    assert (record.status, record.note, record.justification) == full[:3]
    assert (record.until, record.origin, record.at, record.by) == (until, "urn:x", T0, "alice")
    assert (record.ip, record.port, record.protocol, record.cpe) == ("192.0.2.7", 22, "tcp", "")
    assert stand(database)[NAMED].cpe == CPE
    assert agrees(database)


def test_a_later_one_takes_the_place(database: Database) -> None:
    """Of the very same target alone; the one before stays as removed, and both are on record."""
    decide(database, (HERE, ACCEPTED), (HOST, ACCEPTED), (NAMED, ACCEPTED))
    (made,) = triagewrite.decide(database, [(HERE, FIXED)], by="bob", now=T0 + DAY)
    (before,) = made.replaced
    assert (before.status, before.removed, before.removed_by) == ("accepted", T0 + DAY, "bob")
    assert {t: one.status for t, one in stand(database).items()} == {HERE: "fixed", HOST: "accepted", NAMED: "accepted"}
    kinds = [link.kind for link in provenance.links(database)]
    assert kinds == ["finding.triaged"] * 3 + ["finding.untriaged", "finding.triaged"]
    assert agrees(database)


def test_the_same_again_is_no_change(database: Database) -> None:
    """Whoever says it, and whatever it was read from; nothing is written."""
    decide(database, (HERE, ACCEPTED))
    (made,) = triagewrite.decide(database, [(HERE, ACCEPTED._replace(origin="urn:x"))], by="bob", now=T0 + DAY)
    assert (made.unchanged, made.record.by, made.record.origin) == (True, "alice", "")
    assert provenance.head(database)[0] == 1


def test_what_ended_is_not_replaced(database: Database) -> None:
    """A decision whose time is over stays as it is; a new one stands beside it."""
    decide(database, (HERE, ACCEPTED._replace(until=T0 + DAY)))
    (made,) = triagewrite.decide(database, [(HERE, FIXED)], by="bob", now=T0 + 2 * DAY)
    assert made.replaced == ()
    page = triagelist.decisions(database, triagelist.Filters(fate="ended"), T0 + 2 * DAY)
    assert [one.status for one in page.decisions] == ["accepted"]


def test_some_may_be_kept(database: Database) -> None:
    """Whoever decides says which of those that stand stay."""
    decide(database, (HERE, ACCEPTED), (HOST, ACCEPTED))
    made = triagewrite.decide(
        database, [(HERE, FIXED), (HOST, FIXED)], by="bob", now=T0 + DAY, keep=lambda one, _: one.scope == "host"
    )
    assert [(one.record.status, one.unchanged) for one in made] == [("fixed", False), ("accepted", True)]


def test_all_or_none(database: Database) -> None:
    """What is raised within undoes all; no decision is no transaction."""

    def refuse(_: Connection) -> None:
        raise BadRequest("No.")

    with pytest.raises(BadRequest):
        triagewrite.decide(database, [(HERE, ACCEPTED)], by="alice", now=T0, within=refuse)
    assert triagewrite.decide(database, [], by="alice", now=T0) == []
    assert (stand(database), provenance.head(database)[0]) == ({}, 0)


def test_taking_back(database: Database) -> None:
    """By the target or by the id; what does not stand cannot be."""
    decide(database, (HERE, ACCEPTED), (WIDE, ACCEPTED))
    gone = triagewrite.take_back(database, HERE, by="bob", now=T0 + DAY)
    assert (gone.removed, gone.removed_by) == (T0 + DAY, "bob")
    with pytest.raises(NotFound, match=CVE):
        triagewrite.take_back(database, HERE, by="bob", now=T0 + DAY)
    ident = UUID(stand(database)[WIDE].id)
    assert len(triagewrite.remove(database, [ident, uuid4()], by="bob", now=T0 + DAY)) == 1
    assert triagewrite.remove(database, [ident], by="bob", now=T0 + DAY) == []
    assert stand(database) == {}
    assert agrees(database)


def test_a_thousand_at_once(database: Database) -> None:
    """In one transaction, each on record."""
    targets = [Target(CVE, f"10.0.{n // 250}.{n % 250}", 22, "tcp") for n in range(1000)]
    decide(database, *[(target, ACCEPTED) for target in targets])
    assert stand(database).keys() == set(targets)
    assert provenance.head(database)[0] == 1000


def test_two_at_once(database: Database) -> None:
    """Of decisions about one target that are made at the same time one stands."""
    ready = threading.Barrier(4)

    def work(number: int) -> None:
        ready.wait(30)
        decide(database, (HERE, Verdict("accepted", f"number {number}")), by=f"user{number}")

    threads = [threading.Thread(target=work, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(stand(database)) == 1
    assert agrees(database)


TARGETS: Sequence[Target] = (WIDE, HOST, HERE, NAMED, Target(CVE, "192.0.2.7", 2222, "tcp"), Target(OTHER))
NAMES = ("cpe:2.3:a:openbsd:openssh:9.2:*:*:*:*:*:*:*", "cpe:2.3:a:f5:nginx:1.2:*:*:*:*:*:*:*")
STEP = st.tuples(
    st.sampled_from(TARGETS),
    st.sampled_from(["accepted", "fixed", "investigating", "back"]),
    st.sampled_from([None, 1, 3]),
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEP, max_size=12))
def test_any_order(database: Database, steps: list[tuple[Target, str, int | None]]) -> None:
    """What stands, and which decision holds for a finding, is what a dictionary of targets says."""
    with database.connection() as connection:
        connection.execute("TRUNCATE triage, provenance")
    known: dict[Target, tuple[str, datetime | None]] = {}
    now = T0
    for target, what, days in steps:
        now += DAY
        known = {t: said for t, said in known.items() if said[1] is None or said[1] > now}
        if what == "back":
            if target in known:
                triagewrite.take_back(database, target, by="alice", now=now)
                del known[target]
            continue
        until = now + days * DAY if days else None
        triagewrite.decide(database, [(target, Verdict(what, until=until))], by="alice", now=now)  # type: ignore[arg-type]
        known[target] = what, until
    assert {t: (one.status, one.until) for t, one in stand(database, now).items()} == known
    findings = [
        Finding(cve, "192.0.2.7", port, "tcp", name) for cve in (CVE, OTHER) for port in (22, 80) for name in NAMES
    ]
    with database.connection() as connection:
        held = triage.held(connection, findings, now)
    assert [one.status if one else None for one in held] == [_naive(known, f) for f in findings]
    assert agrees(database)


def _naive(known: dict[Target, tuple[str, datetime | None]], f: Finding) -> str | None:
    """The narrowest of those that are about it."""
    here = Target(f.cve, f.ip or "", f.port, f.protocol)
    named = here._replace(cpe=CPE) if "openssh" in f.cpe else here
    return next((known[t][0] for t in (named, here, Target(f.cve, f.ip or ""), Target(f.cve)) if t in known), None)
