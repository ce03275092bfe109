"""Results: one each lease, accepted or late, with all they bring or not at all."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from spectra.errors import BadRequest, NotFound
from spectra.model.presets import BbotOptions, Preset
from spectra.model.results import ArtefactClaim, ResultReceipt
from spectra.model.work import Stats
from spectra.store import artefacts, jobs, leases, results
from spectra.store import workers as rooms
from spectra.store.database import Database
from spectra.store.provenance import links
from spectra.store.results import ResultTaken, Submitted
from tests.store.scribe import Scribe, host, seen
from tests.store.toil import ROOT, SECOND, T0, TERMS, ask, job, settle, signed, submit, workers

pytestmark = pytest.mark.engine


def given(database: Database, *names: str) -> leases.Leased:
    """One target, and its lease of the first of these machines."""
    workers(database, *names)
    job(database, 1)
    return ask(database, names[0])[0]


def test_a_lease_to_check_a_result_against(database: Database) -> None:
    """Whose it is and for what, also when it has ended; no other."""
    workers(database, "attic")
    bbot = Preset(name="web", description="", tools=("bbot", "connect"), bbot=BbotOptions(strict=False))
    made = job(database, 1, preset=bbot)
    (lease,) = ask(database, "attic")
    found = results.lease(database, lease.lease)
    assert found == results.Lease(
        lease=lease.lease,
        node="attic",
        job=made.job,
        target=lease.target,
        attempt=1,
        targets=("10.0.0.1",),
        scan_id="scan-1",
        preset="web",
        tools=("bbot", "connect"),
        strict=False,
        leased=T0,
        open=True,
    )
    submit(database, lease)
    assert results.lease(database, lease.lease) == found._replace(open=False)
    for wrong in ("0" * 32, "nonsense"):
        with pytest.raises(NotFound) as caught:
            results.lease(database, wrong)
        assert caught.value.reason == "unknown_lease"


def test_a_result_is_accepted_and_read(database: Database, write: Scribe) -> None:
    """Its lease ends, its target waits for its workflow and is done after that, its observations are linked to it."""
    lease = given(database, "attic")
    rooms.asked(database, [rooms.Asked("attic", 2, 1)], T0)
    brought = write([host("10.0.0.1", T0, seen(22))]).observation_id
    inserted = submit(database, lease, observations=(brought,), at=T0 + SECOND)
    assert (inserted.verdict, inserted.ingests) == ("accepted", True)
    target = jobs.target(database, lease.target)
    assert (target.state, target.workflow_id) == ("submitted", f"target-{lease.target}-{lease.lease}")
    (attempt,) = target.history
    assert (attempt.end, attempt.ended, attempt.tool, attempt.stats) == ("done", T0 + SECOND, "nmap", Stats(found=3))
    assert (attempt.observations, attempt.fraction) == ((brought,), 1.0)
    assert results.receipt(database, lease.lease) == ResultReceipt(
        lease.lease, "accepted", T0, (brought,), duplicate=True
    )
    assert results.submitted(database, T0 + 2 * SECOND) == [Submitted(lease.target, lease.lease)]
    assert results.submitted(database, T0 + SECOND) == []
    assert settle(database, lease, found=5) == settle(database, lease, found=9) == "done"
    target = jobs.target(database, lease.target)
    assert (target.found, target.findings, target.attempts, target.ended) == (5, 1, 1, T0)
    (worker,) = rooms.every(database)
    assert (worker.done, worker.failed, worker.running) == (1, 0, 0)
    link = list(links(database))[-1]
    assert (link.kind, link.subject) == ("result.accepted", lease.lease)
    assert results.details(database, [lease.lease, "nonsense"])[lease.lease]["payload"] == link.detail()["payload"]
    assert results.every_lease(database) == [lease.lease]


def test_a_second_result_of_a_lease(database: Database) -> None:
    """Whoever is later looks at the first's receipt, also of two at once; nothing else happens."""
    lease = given(database, "attic")
    start = threading.Barrier(4)

    def send(n: int) -> str:
        start.wait(30)
        try:
            return submit(database, lease, nonce=f"nonce-{n}-{lease.lease}").verdict
        except ResultTaken as error:
            return error.reason

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(send, range(4))) == ["accepted"] + ["result_taken"] * 3
    with database.connection() as connection, pytest.raises(ResultTaken):
        results.verdict(connection, lease.lease)
    assert results.receipt(database, "0" * 32) is None


def test_a_nonce_is_good_once(database: Database) -> None:
    """Also for another lease of the same machine; what was refused leaves no trace."""
    workers(database, "attic")
    job(database, 2)
    one, two = ask(database, "attic", count=2)
    submit(database, one, nonce="nonce-nonce-nonce")
    with pytest.raises(BadRequest) as caught:
        submit(database, two, nonce="nonce-nonce-nonce")
    assert caught.value.reason == "nonce_replayed"
    assert jobs.target(database, two.target).state == "leased"


def test_a_result_whose_observations_are_not_there(database: Database) -> None:
    """It is not stored either."""
    lease = given(database, "attic")
    with pytest.raises(NotFound) as caught:
        submit(database, lease, observations=("ab" * 32,))
    assert caught.value.reason == "unknown_observation"
    with pytest.raises(NotFound):
        submit(database, lease._replace(lease="0" * 32))
    assert results.receipt(database, lease.lease) is None


def test_a_late_result_does_not_disturb_the_second(database: Database) -> None:
    """The target is another's by then; the attempt says that it came late."""
    first = given(database, "attic", "barn")
    leases.expire(database, TERMS, T0 + 61 * SECOND)
    (second,) = ask(database, "barn", at=T0 + 61 * SECOND)
    inserted = submit(database, first)
    assert (inserted.verdict, inserted.ingests, inserted.entries[0].kind) == ("late", False, "result.late")
    target = jobs.target(database, first.target)
    assert (target.state, [attempt.end for attempt in target.history]) == ("leased", ["late", ""])
    assert settle(database, first) == "leased"
    submit(database, second)
    assert settle(database, second) == "done"
    receipt = results.receipt(database, first.lease)
    assert receipt
    assert receipt.status == "late"


def test_a_late_result_that_nobody_went_before(database: Database) -> None:
    """While the target waits for the next machine, the result saves a second scan; a failure saves nothing."""
    workers(database, "attic")
    job(database, 2)
    good, bad = ask(database, "attic", count=2)
    leases.expire(database, TERMS, T0 + 61 * SECOND)
    with database.connection() as connection:
        assert results.verdict(connection, good.lease) == "accepted"
    assert submit(database, good).verdict == "accepted"
    assert submit(database, bad, "failed").verdict == "late"
    assert [jobs.target(database, lease.target).state for lease in (good, bad)] == ["submitted", "waiting"]
    assert settle(database, good) == "done"


def test_a_result_of_a_cancelled_lease_is_late(database: Database) -> None:
    """What was seen is kept, the target stays cancelled."""
    lease = given(database, "attic")
    jobs.cancel(database, lease.job, ROOT, "no")
    assert submit(database, lease).verdict == "late"
    target = jobs.target(database, lease.target)
    assert (target.state, target.history[0].end) == ("cancelled", "cancelled")


def test_a_partial_result_is_read_and_tried_again(database: Database) -> None:
    """It counts as an attempt, and the last one goes to review."""
    lease = given(database, "attic")
    assert submit(database, lease, "partial", message="ended early").ingests
    assert settle(database, lease) == "waiting"
    target = jobs.target(database, lease.target)
    assert (target.attempts, target.not_before, target.found) == (1, T0 + 5 * SECOND, 3)
    assert target.reason == "ended early"
    for attempt in (2, 3):
        at = T0 + timedelta(hours=attempt)
        (lease,) = ask(database, "attic", at=at)
        submit(database, lease, "partial", at=at)
        state = settle(database, lease, at=at)
    assert state == "review"


def test_failures_end_in_review_with_all_reasons(database: Database) -> None:
    """After as many attempts as the terms say; the waits between them grow."""
    lease = given(database, "attic", "barn")
    waits: list[Any] = []
    at, target = T0, jobs.target(database, lease.target)
    for attempt, node in enumerate(("attic", "barn", "attic")):
        if attempt:
            at += timedelta(hours=1)
            (lease,) = ask(database, node, at=at)
        inserted = submit(database, lease, "failed", message=f"broken pipe {attempt}", at=at)
        assert (inserted.verdict, inserted.ingests) == ("accepted", False)
        target = jobs.target(database, lease.target)
        waits.append(target.not_before and (target.not_before - at).total_seconds())
    assert waits == [5, 10, None]
    assert (target.state, target.attempts) == ("review", 3)
    assert target.reason == (
        "3 attempts failed. 1 (attic): failed, broken pipe 0. 2 (barn): failed, broken pipe 1."
        " 3 (attic): failed, broken pipe 2."
    )
    assert jobs.get(database, lease.job).counts.review == 1


def test_rejecting(database: Database) -> None:
    """An attempt of its own machine ends; nobody ends another's."""
    lease = given(database, "attic", "barn")
    how: dict[str, Any] = {"reason": "out_of_scope", "message": "tells of 192.0.2.1", "terms": TERMS, "now": T0}
    assert results.reject(database, "barn", lease.lease, **how) is None
    assert results.reject(database, "attic", lease.lease, **how) == "waiting"
    assert results.reject(database, "attic", lease.lease, **how) is None
    target = jobs.target(database, lease.target)
    assert (target.attempts, target.history[0].end, target.history[0].reason) == (1, "rejected", "out_of_scope")


def test_what_cannot_be_read_goes_to_review(database: Database) -> None:
    """With why, whatever the machine said of it."""
    lease = given(database, "attic")
    submit(database, lease)
    assert settle(database, lease, failed="The XML ends too early.") == "review"
    assert jobs.target(database, lease.target).reason == "The XML ends too early."
    assert settle(database, lease) == "review"


def test_settling_what_there_is_not(database: Database) -> None:
    """Another target's lease, or none, is an error."""
    lease = given(database, "attic")
    for target, name in ((lease.target + 1, lease.lease), (lease.target, "0" * 32), (lease.target, "x")):
        with pytest.raises(NotFound):
            results.settle(database, target, name, found=0, findings=0, terms=TERMS, now=T0)
    assert settle(database, lease) == "leased"


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ("DELETE FROM result_observation", "other observations"),
        ("UPDATE artefact SET name = 'x'", "other artefacts"),
        ("UPDATE result SET payload = 'x'", "no result"),
    ],
)
def test_what_was_not_signed_shows(database: Database, write: Scribe, change: str, wrong: str) -> None:
    """Rows beside the signed payload are held against it."""
    lease = given(database, "attic")
    brought = write([host("10.0.0.1", T0, seen(22))]).observation_id
    log = ArtefactClaim("log", "nmap.log", "text/plain", "ab" * 32, 5)
    submit(database, lease, observations=(brought,), artefacts=(log,))
    with database.transaction() as connection:
        artefacts.insert(connection, lease.lease, [artefacts.NewArtefact(log)], T0)
    assert "brought" not in results.details(database, [lease.lease])[lease.lease]
    with database.connection() as connection:
        connection.execute(change.encode())
    assert results.details(database, [lease.lease])[lease.lease]["brought"] == wrong


def test_the_row_holds_what_was_signed(database: Database) -> None:
    """Byte by byte, so that the signature can be checked again."""
    lease = given(database, "attic")
    row = signed(lease)
    submit(database, lease)
    with database.connection() as connection:
        found = connection.execute("SELECT payload, signature, keyid, outcome FROM result").fetchall()
    assert found == [(row.payload, row.signature, row.keyid, "done")]
