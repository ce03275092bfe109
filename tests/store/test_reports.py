"""Reports: versions, what is kept of each, who finished it, and that all of it is on record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from psycopg import sql

from spectra.errors import BadRequest, NotFound, Unavailable
from spectra.flow.audit import verify
from spectra.model.reports import Attempt
from spectra.model.summaries import Target
from spectra.store import reports
from spectra.store.accounts import Act
from spectra.store.blobs import BlobStore
from spectra.store.database import Database
from spectra.store.reports import Made
from tests.store.scribe import Scribe, host, seen

pytestmark = pytest.mark.engine

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
ACT = Act("alice", NOW)
TARGET = Target("ip", "192.0.2.7")


def made(state: str = "done", **fields: object) -> Made:
    """What came of one."""
    made = Made("done", "rules", "Full: 192.0.2.7", "no model", "", "", 0, b"d" * 32, 99, ("192.0.2.7",), ())
    return made._replace(state=state, **fields)  # type: ignore[arg-type]


def test_versions_are_counted_by_target_and_pattern(database: Database) -> None:
    """A question makes no other series; pages are newest first."""
    first = reports.ask(database, TARGET, "full", "", ACT)
    assert (first.state, first.version, first.created, first.sha256) == ("waiting", 1, NOW, "")
    assert reports.ask(database, TARGET, "full", "why?", ACT).version == 2
    assert reports.ask(database, TARGET, "web", "", ACT).version == 1
    assert reports.ask(database, Target("query", "port:22"), "full", "", ACT).version == 1
    assert reports.next_version(database, TARGET, "full") == 3
    page, cursor = reports.page(database, limit=3)
    assert [(r.pattern, r.version) for r in page] == [("full", 1), ("web", 1), ("full", 2)]
    rest, end = reports.page(database, limit=3, cursor=cursor)
    assert ([r.id for r in rest], end) == ([first.id], "")
    assert len(reports.page(database, target="192.0.2.7")[0]) == 3
    assert len(reports.page(database, pattern="web")[0]) == 1
    assert reports.page(database, state="done") == ((), "")


def test_the_same_id_again_is_the_same_report(database: Database) -> None:
    """Unchanged, and on record once, also when so many wait that no other is taken."""
    ident = f"report-{'a' * 20}"
    first = reports.ask(database, TARGET, "full", "", ACT, report=ident)
    for number in range(reports.MAX_OPEN - 1):
        reports.ask(database, TARGET, "full", str(number), ACT)
    with pytest.raises(Unavailable):
        reports.ask(database, TARGET, "full", "", ACT)
    assert reports.ask(database, Target("query", "port:22"), "web", "why?", ACT, report=ident) == first
    assert first.id == ident


def test_what_is_made_is_kept_once(database: Database, write: Scribe) -> None:
    """With its hosts and scans; a process that comes too late changes nothing."""
    written = write([host("192.0.2.7", NOW, seen(22))], at=NOW, scan_id="weekly")
    report = reports.ask(database, TARGET, "full", "", ACT).id
    assert reports.open_ones(database, NOW + timedelta(seconds=1)) == (report,)
    reports.begin(database, report, b"f" * 32, NOW)
    wanted = reports.wanted(database, report)
    assert (wanted.state, wanted.facts, wanted.target, wanted.rules) == ("running", b"f" * 32, TARGET, False)
    attempt = Attempt(number=1, at=NOW, provider="local", model="m", label="LOCAL_ONLY", reasons=("no",))
    reports.attempted(database, report, attempt, b"p" * 32, b"a" * 32)
    reports.attempted(database, report, attempt, b"p" * 32, b"b" * 32)
    scans = reports.scans_of(database, ["192.0.2.7", "192.0.2.9"])
    assert [(scan.scan_id, scan.hosts, scan.seen_at) for scan in scans] == [("weekly", 1, NOW)]
    with pytest.raises(NotFound, match="still being made"):
        reports.document_of(database, report)
    kept = reports.keep(database, report, made(attempts=1, observations=(scans[0].observation_id,)), ACT)
    assert (kept.state, kept.by, kept.hosts, kept.scans, kept.size) == ("done", "rules", 1, 1, 99)
    assert reports.document_of(database, report) == b"d" * 32
    assert reports.keep(database, report, made(document=b"e" * 32), ACT) == kept
    detail, tried = reports.detail(database, report)
    assert (detail.ips, detail.observations) == (("192.0.2.7",), (scans[0].observation_id,))
    assert detail.tries == (attempt,)
    assert tried[0].answer == b"b" * 32
    assert [r.id for r in reports.page(database, ip="192.0.2.7")[0]] == [report]
    assert reports.page(database, ip="192.0.2.8")[0] == ()
    assert reports.open_ones(database, NOW + timedelta(days=1)) == ()
    assert written


def test_a_person_finishes_what_is_incomplete(database: Database) -> None:
    """By a version of its own; what there was stays, and neither can be finished twice."""
    report = reports.ask(database, TARGET, "full", "", ACT).id
    with pytest.raises(BadRequest, match="is waiting"):
        reports.finish(database, report, "report-0", made(), ACT)
    reports.keep(database, report, made("incomplete", why="it does not hold"), ACT)
    bob = Act("bob", NOW + timedelta(hours=1))
    new = reports.finish(database, report, f"report-{'0' * 20}", made(by="person", document=b"n" * 32), bob)
    assert (new.version, new.account, new.by, new.state, new.follows) == (2, "bob", "person", "done", report)
    old = reports.get(database, report)
    assert (old.state, old.followed_by, old.sha256, old.why) == (
        *("finished", new.id),
        *((b"d" * 32).hex(), "it does not hold"),
    )
    with pytest.raises(BadRequest) as caught:
        reports.finish(database, report, "report-1", made(), bob)
    assert caught.value.reason == "report_settled"
    with pytest.raises(NotFound):
        reports.get(database, "report-none")


def test_waiting_reports_are_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for more is told to come again."""
    monkeypatch.setattr(reports, "MAX_OPEN", 1)
    reports.ask(database, TARGET, "full", "", ACT)
    with pytest.raises(Unavailable) as caught:
        reports.ask(database, TARGET, "full", "", ACT)
    assert caught.value.reason == "busy"


def test_reports_are_on_record(database: Database, tmp_path: Path) -> None:
    """What was asked for, stored and finished; a document or version that somebody changed is found."""
    blobs = BlobStore.local(tmp_path)
    report = reports.ask(database, TARGET, "full", "", ACT).id
    reports.begin(database, report, b"f" * 32, NOW)
    reports.keep(database, report, made("incomplete"), ACT)
    reports.finish(database, report, f"report-{'1' * 20}", made(by="person"), ACT)
    assert verify(database, blobs).ok
    for change in ("document = 'x'", "version = 7", "state = 'done'"):
        with database.connection() as connection:
            before = connection.execute(
                "SELECT document, version, state FROM report WHERE id = %s", [report]
            ).fetchone()
            connection.execute(sql.SQL("UPDATE report SET " + change + " WHERE id = %s"), [report])  # type: ignore[arg-type]
            assert not verify(database, blobs).ok
            assert before is not None
            connection.execute(
                "UPDATE report SET document = %s, version = %s, state = %s WHERE id = %s", [*before, report]
            )
    assert verify(database, blobs).ok
