"""Accepted submissions: once each, found again, and told as they were."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import cast

import pytest

from spectra.errors import NotFound
from spectra.identity import payload as payloads
from spectra.model.envelope import Counts, Payload, Problem, Receipt, sha256_hex
from spectra.model.observation import ScanFacts
from spectra.store import keys, observations
from spectra.store.database import Database
from spectra.store.observations import MAX_PROBLEMS, Accepted, NonceTaken, Outcome, Status
from tests.store.scribe import T0

pytestmark = pytest.mark.engine

KEY = {name: sha256_hex(name.encode()) for name in ("alice", "bob")}


@pytest.fixture(autouse=True)
def contributors(database: Database) -> None:
    """Two contributors with a key each."""
    for name, keyid in KEY.items():
        keys.register(
            database, contributor=name, role="contributor", public_key=bytes.fromhex(keyid), keyid=keyid, now=T0
        )


def submission(output: bytes = b"output", contributor: str = "alice", nonce: str | None = None) -> Payload:
    """A payload as its contributor signs it."""
    return payloads.build(
        output=output,
        tool="nmap",
        tool_version="7.93",
        contributor=contributor,
        now=T0,
        started=T0 - timedelta(hours=1),
        scan_id="scan 1",
        scan_type="service",
        source="a file",
        nonce=nonce,
    )


def accept(
    database: Database, payload: Payload, status: Status = "merged", outcome: Outcome | None = None, workflow: str = ""
) -> str:
    """Write it as accepted, and what became of it; returns its id."""
    accepted = Accepted(
        observation_id=payloads.observation_id(payloads.encode(payload)),
        payload=payload,
        header=payloads.header(payload).decode(),
        signature="signature",
        keyid=KEY[payload.contributor],
        received=T0,
        blob_sha256=b"b" * 32,
        workflow_id=workflow,
    )
    with database.transaction() as connection:
        seq, trust = observations.insert(connection, accepted, status)
        assert trust == 1.0
        if outcome:
            observations.settle(connection, seq, outcome)
    return accepted.observation_id


OUTCOME = Outcome(
    "merged",
    "nmap-xml",
    ScanFacts("nmap", "7.94", "nmap -sV", T0, T0 + timedelta(minutes=1)),
    Counts(1, 2, 3, 4, 5),
    (Problem("one"), Problem("two", 7, "host/address")),
    "",
)


def test_an_observation_reads_back_as_it_was_accepted(database: Database) -> None:
    """What the output says of the scan comes before what the payload claims."""
    payload = submission()
    record = observations.get(database, accept(database, payload, outcome=OUTCOME, workflow="w"))
    assert (record.tool, record.tool_version, record.started) == ("nmap", "7.94", T0)
    assert record.finished == T0 + timedelta(minutes=1)
    assert (record.scan_id, record.scan_type, record.source, record.privacy) == ("scan 1", "service", "a file", "full")
    assert (record.contributor, record.keyid, record.trust) == ("alice", KEY["alice"], 1.0)
    assert (record.output_sha256, record.output_size) == (sha256_hex(b"output"), 6)
    assert (record.format, record.counts, record.problems) == ("nmap-xml", OUTCOME.counts, OUTCOME.problems)
    assert (record.blob_sha256, record.workflow_id, record.status) == (b"b".hex() * 32, "w", "merged")


def test_the_payload_fills_what_the_output_does_not_say(database: Database) -> None:
    """A format without times or versions."""
    record = observations.get(database, accept(database, submission(), outcome=Outcome("merged", "naabu-jsonl")))
    assert (record.tool_version, record.started, record.finished) == ("7.93", T0 - timedelta(hours=1), None)


def test_the_receipt_is_the_record_in_short(database: Database) -> None:
    """A duplicate is told so and gets all else alike."""
    found = accept(database, submission(), outcome=OUTCOME, workflow="w")
    receipt = Receipt(found, "merged", T0, "nmap-xml", OUTCOME.counts, OUTCOME.problems, workflow_id="w")
    assert observations.receipt(database, found) == receipt
    duplicate = observations.receipt(database, found, duplicate=True)
    assert duplicate.duplicate
    assert (duplicate.counts, duplicate.received) == (receipt.counts, receipt.received)


def test_what_was_signed_reads_back(database: Database) -> None:
    """Without the output's bytes, which are a blob."""
    payload = submission()
    found = observations.payload(database, accept(database, payload))
    assert found.output.data == b""
    assert (found.nonce, found.issued, found.output.sha256) == (payload.nonce, payload.issued, payload.output.sha256)


@pytest.mark.parametrize("name", ["ab" * 32, "not hex", "", "ab", "'; DROP TABLE observation; --", "é" * 500])
def test_what_is_not_there_is_not_found(database: Database, name: str) -> None:
    """Whatever is asked for; the answer repeats no more than 80 characters of it."""
    with pytest.raises(NotFound) as caught:
        observations.get(database, name)
    assert len(caught.value.message) < 120


def test_a_payload_that_is_not_there_is_not_found(database: Database) -> None:
    """As a workflow would ask for it."""
    with pytest.raises(NotFound):
        observations.payload(database, "ab" * 32)


def test_a_nonce_is_used_once_by_a_contributor(database: Database) -> None:
    """For another submission it is taken; another contributor may have the same by chance."""
    first = accept(database, submission(nonce="n" * 16))
    with pytest.raises(NonceTaken):
        accept(database, submission(b"other", nonce="n" * 16))
    other = accept(database, submission(contributor="bob", nonce="n" * 16))
    assert observations.nonce_owner(database, "alice", "n" * 16) == first
    assert observations.nonce_owner(database, "bob", "n" * 16) == other
    assert observations.nonce_owner(database, "bob", "m" * 16) is None


def test_the_same_submission_is_stored_once(database: Database) -> None:
    """A second insertion of the very payload is refused, and the first stays."""
    payload = submission()
    first = accept(database, payload)
    with pytest.raises(NonceTaken):
        accept(database, payload)
    assert [r.observation_id for r in observations.newest(database)[0]] == [first]


def test_of_many_insertions_at_once_one_is_stored(database: Database) -> None:
    """Two of the same nonce and two of the same payload, all inside their transactions when they meet."""
    same = submission(nonce="n" * 16)
    competitors = [same, same, submission(b"x", nonce="n" * 16), submission(b"y", nonce="n" * 16)]
    start = threading.Barrier(len(competitors))

    def attempt(payload: Payload) -> str:
        start.wait(30)
        try:
            accept(database, payload)
        except NonceTaken as error:
            return error.reason
        return "stored"

    with ThreadPoolExecutor(len(competitors)) as pool:
        results = sorted(pool.map(attempt, competitors))
    assert results == ["nonce_taken"] * 3 + ["stored"]
    assert len(observations.newest(database)[0]) == 1


def test_only_the_first_problems_are_kept(database: Database) -> None:
    """The count tells of all."""
    problems = tuple(Problem(str(i)) for i in range(MAX_PROBLEMS + 20))
    found = accept(database, submission(), outcome=Outcome("merged", counts=Counts(problems=120), problems=problems))
    record = observations.get(database, found)
    assert record.problems == problems[:MAX_PROBLEMS]
    assert record.counts.problems == 120


def test_known_outputs_are_the_callers_own(database: Database) -> None:
    """What a contributor had accepted need not be sent again; what failed does, and others' is none of its business."""
    kept = accept(database, submission(b"kept"))
    accept(database, submission(b"failed"), "failed")
    accept(database, submission(b"other's", contributor="bob"))
    digests = [sha256_hex(output) for output in (b"kept", b"failed", b"other's", b"new")]
    assert observations.known_outputs(database, "alice", digests) == {sha256_hex(b"kept"): kept}
    assert observations.known_outputs(database, "alice", []) == {}


def test_an_output_sent_twice_is_known_once(database: Database) -> None:
    """By the least of its observation ids, so that the answer does not change."""
    twice = [accept(database, submission(b"same")) for _ in range(2)]
    assert observations.known_outputs(database, "alice", [sha256_hex(b"same")]) == {sha256_hex(b"same"): min(twice)}


def test_the_newest_come_in_pages(database: Database) -> None:
    """Each once, also when more are accepted while one leafs, and the last page says that it is the last."""
    made = [accept(database, submission(str(i).encode())) for i in range(5)]
    page, before = observations.newest(database, limit=2)
    assert [r.observation_id for r in page] == [made[4], made[3]]
    accept(database, submission(b"meanwhile"))
    page, before = observations.newest(database, limit=2, before=before)
    assert [r.observation_id for r in page] == [made[2], made[1]]
    page, before = observations.newest(database, limit=2, before=before)
    assert ([r.observation_id for r in page], before) == ([made[0]], 0)
    assert observations.newest(database, limit=2, before=1)[0] == []


def test_a_pending_submission_is_claimed_once(database: Database) -> None:
    """While one merges it another finds nothing to do; whoever comes later neither."""
    found = accept(database, submission(), "accepted")
    accept(database, submission(b"done"))
    (pending,) = observations.pending(database)
    assert (pending.observation_id, pending.attempts, pending.received) == (found, 0, T0)
    inside, go_on = threading.Event(), threading.Event()

    def merge() -> bool:
        with database.transaction() as connection:
            claimed = observations.claim(connection, found)
            inside.set()
            go_on.wait(30)
            if claimed:
                observations.settle(connection, claimed.seq, OUTCOME)
        return claimed is not None

    def second() -> bool:
        inside.wait(30)
        with database.transaction() as connection:
            go_on.set()
            return observations.claim(connection, found) is not None

    with ThreadPoolExecutor(2) as pool:
        first, other = pool.submit(merge), pool.submit(second)
        assert (first.result(60), other.result(60)) == (True, False)
    assert observations.pending(database) == []
    assert observations.get(database, found).status == "merged"


def test_attempts_are_counted_by_one_at_a_time(database: Database) -> None:
    """Of several that saw the same state one may try; nobody may once it is settled."""
    found = accept(database, submission(), "accepted")
    (seen,) = observations.pending(database)
    assert [observations.count_attempt(database, seen) for _ in range(2)] == [True, False]
    (later,) = observations.pending(database)
    assert later.attempts == 1
    with database.transaction() as connection:
        observations.settle(connection, later.seq, OUTCOME)
    assert observations.count_attempt(database, later) is False
    assert observations.get(database, found).status == "merged"


def test_failed_workflows_are_told_newest_first(database: Database) -> None:
    """Of submissions that had one."""
    for number, (status, workflow) in enumerate([("failed", "a"), ("merged", "b"), ("failed", ""), ("failed", "c")]):
        accept(database, submission(str(number).encode()), cast(Status, status), workflow=workflow)
    assert observations.failed_workflows(database, 5) == ["c", "a"]
    assert observations.failed_workflows(database, 1) == ["c"]
