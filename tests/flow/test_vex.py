"""VEX documents out of decisions, and decisions out of VEX documents."""

from __future__ import annotations

import json
import threading
from datetime import datetime
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spectra.errors import BadRequest, NotFound
from spectra.flow import triage, vex
from spectra.intel.vex import cyclonedx, openvex
from spectra.model.query import Query, parse
from spectra.model.triage import DecisionRecord, Target, Verdict
from spectra.model.vex import FORMATS, Format, VexReport
from spectra.store import provenance, triagelist, triagewrite, vexwrite
from spectra.store.audit import plain
from spectra.store.database import Database
from spectra.store.findingask import Filters
from tests.flow.vexworld import CVE, DAY, IPS, NGINX, NOW, OTHER, SSH, populate
from tests.intel.vex.documents import VERDICTS

pytestmark = pytest.mark.engine

ID = "https://example.org/vex/1"
HERE = Target(CVE, IPS[0], 22, "tcp")


@pytest.fixture
def world(database: Database) -> Database:
    """Three hosts."""
    populate(database)
    return database


def export(database: Database, kind: Format, q: str = "", *, decided: bool = False, now: datetime = NOW) -> bytes:
    """A document as it is answered."""
    document = vex.exported(database, parse(q, now), kind, "alice", now, decided=decided)
    return msgspec.json.encode(openvex.write(document) if kind == "openvex" else cyclonedx.write(document))


def said(database: Database, now: datetime = NOW) -> dict[Target, tuple[Any, ...]]:
    """What stands, but for who said so and when."""
    return {one.target: (one.status, one.note, one.justification, one.until) for one in stand(database, now)}


def stand(database: Database, now: datetime = NOW) -> tuple[DecisionRecord, ...]:
    """What stands."""
    return triagelist.decisions(database, triagelist.Filters(), now, limit=1000).decisions


def take_all_back(database: Database) -> None:
    """Leave nothing decided and no document read."""
    with database.connection() as connection:
        connection.execute("TRUNCATE triage, vex_document, provenance")


def vendor(*statements: dict[str, Any], **fields: Any) -> bytes:
    """A document of somebody else; a statement is about `CVE` and fixed unless it says otherwise."""
    told = [{"vulnerability": {"name": CVE}, "status": "fixed", "products": [{"@id": SSH}]} | one for one in statements]
    head = {"@context": openvex.CONTEXT, "@id": ID, "author": "Acme", "version": 1, "timestamp": NOW.isoformat()}
    return json.dumps(head | {"statements": told} | fields).encode()


def take(database: Database, data: bytes, now: datetime = NOW) -> VexReport:
    """Read a document."""
    return vex.imported(database, data, by="bob", now=now)


# Out ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMATS)
def test_what_nobody_decided(world: Database, kind: Format) -> None:
    """Is told for every endpoint, and read again it decides nothing."""
    document = vex.exported(world, Query(), kind, "alice", NOW)
    told = [(one.cve, one.sure, len(one.products)) for one in document.statements]
    assert sorted(told) == [(OTHER, False, 5), (CVE, True, 2), (CVE, True, 3)]  # nginx and OpenSSH
    report = take(world, export(world, kind))
    assert (report.undecided, report.statements, report.decided) == (len(document.statements), 0, 0)
    assert stand(world) == ()


def test_which_findings(world: Database) -> None:
    """Those of a question; nothing is told by nothing."""
    document = vex.exported(world, parse(f"port:80 vuln:{CVE}", NOW), "openvex", "alice", NOW)
    (one,) = document.statements
    assert [product.target for product in one.products] == [Target("", IPS[0], 80, "tcp")]
    with pytest.raises(NotFound):
        vex.exported(world, parse("port:99", NOW), "openvex", "alice", NOW)
    with pytest.raises(NotFound):
        vex.exported(world, Query(), "openvex", "alice", NOW, decided=True)


def test_too_many(world: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is said."""
    monkeypatch.setattr("spectra.flow.vex.MAX_EXPORTED", 9)
    with pytest.raises(BadRequest, match="More than 9 findings"):
        vex.exported(world, Query(), "openvex", "alice", NOW)


def test_ids_and_versions(world: Database) -> None:
    """The same question has the same id, whose version grows with the chain."""
    triagewrite.decide(world, [(HERE, Verdict("fixed"))], by="alice", now=NOW)
    first = vex.exported(world, Query(), "openvex", "alice", NOW)
    triagewrite.decide(world, [(HERE, Verdict("accepted"))], by="alice", now=NOW)
    second = vex.exported(world, Query(), "openvex", "alice", NOW)
    assert first.id == second.id
    assert first.version < second.version
    others = [
        vex.exported(world, parse("port:22", NOW), "openvex", "a", NOW),
        vex.exported(world, Query(), "cyclonedx", "a", NOW),
    ]
    assert len({first.id, *(one.id for one in others)}) == 3


PLACES = (
    Target(CVE), Target(CVE, cpe=SSH), Target(CVE, cpe=NGINX), Target(CVE, IPS[0]), Target(CVE, IPS[1], cpe=NGINX),
    HERE, Target(CVE, IPS[2], 22, "tcp"), Target(OTHER), Target(OTHER, IPS[0], 80, "tcp"),
    Target(OTHER, IPS[0], 80, "tcp", NGINX),
)  # fmt: skip


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(PLACES), VERDICTS, min_size=1), st.sampled_from(FORMATS))
def test_what_goes_out_comes_in(world: Database, decided: dict[Target, Verdict], kind: Format) -> None:
    """A document gives the decisions that hold for a finding; read where they stand it changes nothing."""
    take_all_back(world)
    decided = {t: v._replace(until=v.until and max(v.until, NOW + DAY)) for t, v in decided.items()}
    triagewrite.decide(world, list(decided.items()), by="alice", now=NOW)
    data = export(world, kind)
    before, held = said(world), holding(world)
    length, _ = provenance.head(world)
    again = take(world, data)
    assert (again.decided, again.kept, again.removed, again.problems, again.unmatched) == (0, 0, 0, (), ())
    assert (said(world), provenance.head(world)[0]) == (before, length + 1)
    take_all_back(world)
    take(world, data)
    assert said(world).items() <= before.items()  # without what held for no open finding
    assert holding(world) == held


def holding(database: Database) -> dict[str, Verdict | None]:
    """What was decided about each open finding."""
    found = triage.walk(database, Filters(triaged="all"), NOW, most=100)
    return {
        one.id: one.triage and Verdict(one.triage.status, one.triage.note, one.triage.justification, one.triage.until)
        for one in found
    }


# In -------------------------------------------------------------------------------------------------------------------


def test_a_vendor_speaks(world: Database) -> None:
    """Its statements are decisions with the document as their origin, and findings are settled by them."""
    report = take(world, vendor({}, {"vulnerability": {"name": OTHER}, "products": [{"@id": f"{IPS[0]}:80"}]}))
    assert (report.id, report.format, report.author, report.version) == (ID, "openvex", "Acme", 1)
    assert (report.statements, report.decided, report.unchanged, report.replaced) == (2, 2, 0, 0)
    assert {one.target: (one.status, one.origin, one.by) for one in stand(world)} == {
        Target(CVE, cpe=SSH): ("fixed", ID, "bob"),
        Target(OTHER, IPS[0], 80, "tcp"): ("fixed", ID, "bob"),
    }
    left = vex.exported(world, parse(f"vuln:{CVE}", NOW), "openvex", "a", NOW)
    assert any(one.verdict == Verdict("fixed") for one in left.statements)


def test_the_same_again(world: Database) -> None:
    """Is no change, and nothing is written."""
    take(world, vendor({}))
    length, _ = provenance.head(world)
    report = take(world, vendor({}), NOW + DAY)
    assert (report.decided, report.unchanged, provenance.head(world)[0]) == (0, 1, length)


def test_a_later_version(world: Database) -> None:
    """Takes the place: what it says otherwise, and what it says no more. Other documents' decisions stay."""
    take(world, vendor({}, {"products": [IPS[2]]}, {"products": [IPS[1]]}))
    take(world, vendor({"products": [IPS[0]]}, **{"@id": "urn:other"}))
    later = vendor({"status": "affected", "action_statement": "Update."}, {"products": [IPS[2]]}, version=2)
    report = take(world, later, NOW + DAY)
    assert (report.decided, report.unchanged, report.replaced, report.removed) == (1, 1, 1, 1)
    assert {one.target: (one.status, one.origin) for one in stand(world)} == {
        Target(CVE, cpe=SSH): ("affected", ID),
        Target(CVE, IPS[2]): ("fixed", ID),
        Target(CVE, IPS[0]): ("fixed", "urn:other"),
    }
    with pytest.raises(BadRequest) as caught:
        take(world, vendor({}), NOW + 2 * DAY)
    assert caught.value.reason == "vex_older"
    assert len(stand(world)) == 3


def test_a_person_decided_since(world: Database) -> None:
    """That stays; what somebody decided before the document was made does not."""
    for days, kept in ((-1, 0), (1, 1)):
        take_all_back(world)
        now = NOW + days * DAY
        triagewrite.decide(world, [(Target(CVE, cpe=SSH), Verdict("accepted", "ours"))], by="alice", now=now)
        report = take(world, vendor({}), NOW + 2 * DAY)
        assert (report.kept, report.decided, report.replaced) == (kept, 1 - kept, 1 - kept)
        assert [one.status for one in stand(world, NOW + 2 * DAY)] == ["accepted" if kept else "fixed"]


def test_bad_and_unknown(world: Database) -> None:
    """Is told with its place; the rest counts."""
    until = "spectra fixed until 2020-01-01T00:00:00Z"
    report = take(
        world,
        vendor(
            {"products": ["192.0.2.99", SSH]}, {"status": "x"}, {"vulnerability": {"name": "SNYK-1"}},
            {"status_notes": until}, {"products": ["pkg:npm/left-pad@1"]},
        ),
    )  # fmt: skip
    assert report.statements == 1
    assert [(one.index, one.field) for one in report.problems] == [
        (1, "statements[1].status"), (2, "vulnerability"), (3, "until"),
    ]  # fmt: skip
    assert [(one.index, one.product) for one in report.unmatched] == [(0, "192.0.2.99"), (4, "pkg:npm/left-pad@1")]
    assert (report.problems_total, report.unmatched_total) == (3, 2)
    assert [one.target for one in stand(world)] == [Target(CVE, cpe=SSH)]


def test_other_names_of_weaknesses(world: Database) -> None:
    """A CVE among the aliases, or an id that is known as another name of one."""
    take(world, vendor({"vulnerability": {"name": "GHSA-1", "aliases": [OTHER, CVE.lower()]}}))
    assert {one.cve for one in stand(world)} == {CVE, OTHER}
    take_all_back(world)
    take(world, vendor({"vulnerability": {"name": "GHSA-2x8c-95vh-gfv4"}}))
    assert [one.cve for one in stand(world)] == [CVE]
    take_all_back(world)
    take(world, vendor({"vulnerability": {"name": CVE, "aliases": [OTHER]}}))
    assert [one.cve for one in stand(world)] == [CVE]


def test_two_statements_about_one(world: Database) -> None:
    """The one that was said later holds, of two at once the one further down."""
    early, late = (
        {"timestamp": "2024-01-01T00:00:00Z"},
        {"timestamp": "2025-01-01T00:00:00Z", "status": "under_investigation"},
    )
    take(world, vendor(late, early))
    assert [one.status for one in stand(world)] == ["investigating"]
    take(world, vendor({"status": "under_investigation"}, {}, version=2))
    assert [one.status for one in stand(world)] == ["fixed"]


def test_too_many_decisions(world: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is decided then, and the document does not count as read."""
    monkeypatch.setattr("spectra.flow.vex.MAX_DECISIONS", 2)
    with pytest.raises(BadRequest, match="more than 2 decisions"):
        take(world, vendor({"products": [*IPS]}))
    assert (stand(world), vexwrite.details(world)) == ((), {})


def test_many_decisions(world: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than one transaction of them."""
    monkeypatch.setattr("spectra.flow.vex.MAX_BULK", 2)
    assert take(world, vendor({"products": [*IPS, SSH, NGINX]})).decided == 5
    assert take(world, vendor({}, version=2)).removed == 4


def test_two_versions_at_once(world: Database) -> None:
    """Whichever comes first, the later one is what stands; the chain says what the rows are."""
    ready = threading.Barrier(2)
    refused: list[str] = []

    def work(version: int) -> None:
        ready.wait(30)
        try:
            products = [*IPS, SSH] if version == 1 else [NGINX]
            take(world, vendor({"products": products}, version=version))
        except BadRequest as error:
            refused.append(error.reason)

    threads = [threading.Thread(target=work, args=[version]) for version in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert set(refused) <= {"vex_older", "vex_superseded"}
    assert [one.target for one in stand(world)] == [Target(CVE, cpe=NGINX)]
    told = {link.subject: link.detail() for link in provenance.links(world)}
    rows = triagewrite.details(world) | vexwrite.details(world)
    assert told == {subject: plain(detail) for subject, detail in rows.items()}


def test_what_is_no_document(world: Database) -> None:
    """Is refused, and nothing is written."""
    with pytest.raises(BadRequest):
        take(world, b"{}")
    assert provenance.head(world)[0] == 0
