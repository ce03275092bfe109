"""From signed bytes to the graph: once each, whole or not at all, and never silently less."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from spectra.errors import Unavailable
from spectra.flow import audit
from spectra.flow.submission import Ingest, Normaliser, once_more_on_conflict
from spectra.ingest.gate import Policy, RateLimited, Rejected
from spectra.ingest.parsers import ParseError
from spectra.ingest.rate import RateLimiter
from spectra.model.envelope import Counts, Payload, Privacy, Receipt, sha256_hex
from spectra.store import keys, observations, provenance
from spectra.store.blobs import BlobStore
from spectra.store.database import Database
from tests.flow.desk import NOON, Clock, Contributor, host, make_ingest, naabu, nmap, port, rows, samples, settled

pytestmark = pytest.mark.engine

HOUR = timedelta(hours=1)
NMAP = "nmap/savon-noir__libnmap__test__files__2_hosts_version.xml"
NAABU = "naabu/defectdojo__naabu_many_vuln.json"
Sample = Callable[[str], bytes]


def assert_sound(ingest: Ingest) -> None:
    """The chain and everything it tells of hold."""
    report = audit.verify(ingest.database, ingest.blobs, deep=True)
    assert report.ok, report


@pytest.mark.parametrize(
    ("name", "form", "counts"),
    [
        (NMAP, "nmap-xml", Counts(hosts=2, endpoints=9, hostnames=2)),
        (NAABU, "naabu-jsonl", Counts(hosts=1, endpoints=4)),
    ],
)
def test_a_real_scan_is_in_the_graph_when_the_receipt_is(
    ingest: Ingest, alice: Contributor, sample: Sample, name: str, form: str, counts: Counts
) -> None:
    """Verified, stored, parsed and merged: the receipt, the record, the raw bytes and the endpoints agree."""
    content = alice.payload(sample(name), scan_type="service", source=name)
    receipt = ingest.submit(alice.seal(content))
    assert receipt == Receipt(receipt.observation_id, "merged", NOON, form, counts)
    record = observations.get(ingest.database, receipt.observation_id)
    assert (record.contributor, record.keyid, record.source) == ("alice", alice.key.public.keyid, name)
    assert ingest.blobs.get(bytes.fromhex(record.blob_sha256)) == content.output.data
    assert rows(ingest.database, "SELECT count(*) FROM sighting") == [(counts.hosts,)]
    assert settled(ingest.database) == [(receipt.observation_id, 1)]
    assert_sound(ingest)


def test_every_real_scan_verifies(ingest: Ingest, alice: Contributor, shared_data: Path) -> None:
    """All scans at hand, in any order and some twice: what the graph says is what its log and the chain say."""
    files = samples(shared_data)
    random.Random(1).shuffle(files)
    for file in [*files, *files[::7]]:
        ingest.submit(alice.envelope(file.read_bytes()))
    assert rows(ingest.database, "SELECT count(*) > 300 FROM host") == [(True,)]
    assert_sound(ingest)


def test_a_duplicate_is_answered_with_the_firsts_receipt(ingest: Ingest, alice: Contributor, clock: Clock) -> None:
    """By either path, later, and without a trace."""
    envelope = alice.envelope(naabu(("192.0.2.1", 80)))
    first = ingest.submit(envelope)
    clock.advance(HOUR)
    for again in (ingest.submit(envelope), ingest.accept(envelope)):
        assert again == msgspec.structs.replace(first, duplicate=True)
    assert len(settled(ingest.database)) == len(list(observations.newest(ingest.database)[0])) == 1


def test_duplicates_at_once_are_one(ingest: Ingest, alice: Contributor) -> None:
    """Eight clients send the same envelope: one is the first, and all get its receipt."""
    envelope = alice.envelope(naabu(*((f"192.0.2.{i}", 80) for i in range(50))))
    start = threading.Barrier(8)

    def send(number: int) -> Receipt:
        start.wait(30)
        return ingest.submit(envelope) if number % 4 else ingest.accept(envelope)

    with ThreadPoolExecutor(8) as pool:
        receipts = list(pool.map(send, range(8)))
    assert sorted(r.duplicate for r in receipts) == [False] + [True] * 7
    assert len({(r.observation_id, r.received) for r in receipts}) == 1
    assert rows(ingest.database, "SELECT count(*) FROM observation") == [(1,)]
    assert_sound(ingest)


def test_a_nonce_is_not_accepted_twice(ingest: Ingest, alice: Contributor, database: Database) -> None:
    """For other content, later, at the same time, by another coordinator with a memory of its own."""
    nonce = {"nonce": "n" * 24}
    ingest.submit(alice.envelope(naabu(("192.0.2.1", 80)), **nonce))
    elsewhere = make_ingest(database, ingest.blobs, Clock())
    for door in (ingest.submit, ingest.accept, elsewhere.submit):
        with pytest.raises(Rejected) as caught:
            door(alice.envelope(naabu(("192.0.2.2", 80)), **nonce))
        assert caught.value.reason == "nonce_replayed"
    elsewhere.close()
    assert rows(database, "SELECT host(ip) FROM host") == [("192.0.2.1",)]


def test_of_two_with_one_nonce_at_once_one_is_accepted(ingest: Ingest, alice: Contributor) -> None:
    """Both passed the gate before either was stored."""
    envelopes = [alice.envelope(naabu((f"192.0.2.{i}", 80)), nonce="n" * 24) for i in range(4)]
    start = threading.Barrier(4)

    def send(number: int) -> str:
        start.wait(30)
        door = ingest.submit if number % 2 else ingest.accept
        try:
            return door(envelopes[number]).observation_id
        except Rejected as error:
            return error.reason

    with ThreadPoolExecutor(4) as pool:
        answers = sorted(pool.map(send, range(4)))
    assert answers.count("nonce_replayed") == 3
    assert rows(ingest.database, "SELECT count(*) FROM observation") == [(1,)]
    assert_sound(ingest)


def test_the_rate_of_a_contributor_is_bounded(database: Database, blobs: BlobStore, alice: Contributor) -> None:
    """What comes too fast is refused with the time to wait, and the same envelope is accepted after it."""
    clock = Clock()
    policy = Policy(max_envelope_bytes=1 << 20, max_age_s=3600, max_ahead_s=60, rate_per_minute=1)
    slow = Ingest(database, blobs, policy=policy, limiter=RateLimiter(1), max_output_bytes=1 << 20, clock=clock)
    slow.submit(alice.envelope(naabu(("192.0.2.1", 80))))
    second = alice.envelope(naabu(("192.0.2.2", 80)))
    with pytest.raises(RateLimited) as caught:
        slow.submit(second)
    clock.advance(timedelta(seconds=caught.value.retry_after_s))
    assert slow.submit(second).status == "merged"
    slow.close()


UNREADABLE = {
    "no format that is known": (b"what is this?", "unrecognised_format"),
    "an empty file": (b"", "unrecognised_format"),
    "XML with entities": (
        b'<?xml version="1.0"?><!DOCTYPE nmaprun [<!ENTITY a "b">]><nmaprun scanner="nmap">&a;</nmaprun>',
        "malformed",
    ),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_is_kept_and_told(ingest: Ingest, alice: Contributor, name: str) -> None:
    """The caller is told why; the raw bytes and the reason stay, and a second try is answered the same."""
    output, reason = UNREADABLE[name]
    content = alice.payload(output)
    with pytest.raises(ParseError) as caught:
        ingest.submit(alice.seal(content))
    assert caught.value.reason == reason
    again = ingest.submit(alice.seal(content))
    assert (again.status, again.duplicate, again.counts) == ("failed", True, Counts(problems=1))
    assert again.error.startswith(f"{reason}: ")
    record = observations.get(ingest.database, again.observation_id)
    assert ingest.blobs.get(bytes.fromhex(record.blob_sha256)) == content.output.data
    assert_sound(ingest)
    assert ingest.submit(alice.envelope(naabu(("192.0.2.1", 80)))).status == "merged"


def test_what_fails_at_its_end_leaves_nothing_in_the_graph(ingest: Ingest, alice: Contributor) -> None:
    """The output is not what the payload claims, which shows only after every host was read."""
    content = alice.payload(naabu(*((f"10.0.{i >> 8}.{i & 255}", 80) for i in range(5000))))
    wrong = msgspec.structs.replace(content.output, sha256=sha256_hex(b"something else"))
    with pytest.raises(ParseError, match="SHA-256") as caught:
        ingest.submit(alice.seal(msgspec.structs.replace(content, output=wrong)))
    assert caught.value.reason == "output_mismatch"
    assert rows(ingest.database, "SELECT count(*) FROM host") == [(0,)]
    assert rows(ingest.database, "SELECT status FROM observation") == [("failed",)]
    assert_sound(ingest)


def test_an_output_over_the_bound_is_refused_unread(database: Database, blobs: BlobStore, alice: Contributor) -> None:
    """Before it is decompressed."""
    small = make_ingest(database, blobs, Clock())
    with pytest.raises(ParseError, match="larger than") as caught:
        small.submit(alice.envelope(bytes(65 << 20)))
    assert caught.value.reason == "too_large"
    small.close()


def test_two_that_cannot_be_read_at_once_are_one(ingest: Ingest, alice: Contributor) -> None:
    """Both clients are told why; it is put on record once."""
    envelope = alice.envelope(b"what is this?")
    start = threading.Barrier(4)

    def send(_: int) -> str:
        start.wait(30)
        try:
            return ingest.submit(envelope).status
        except ParseError as error:
            return error.reason

    with ThreadPoolExecutor(4) as pool:
        answers = set(pool.map(send, range(4)))
    assert answers <= {"unrecognised_format", "failed"}
    assert settled(ingest.database) == [(sha256_of_only(ingest), 1)]


def sha256_of_only(ingest: Ingest) -> str:
    """The id of the only observation."""
    (record,), _ = observations.newest(ingest.database)
    return record.observation_id


def test_records_from_the_future_are_dated_now(ingest: Ingest, alice: Contributor) -> None:
    """A scanner's clock may be five minutes off; beyond that the time of receipt is taken, and the receipt says so."""
    ahead = [
        host("192.0.2.1", port(80), at=NOON + timedelta(minutes=4)),
        host("192.0.2.2", port(80), at=NOON + HOUR),
        host("192.0.2.3", port(80), at=NOON + timedelta(days=400)),
    ]
    receipt = ingest.submit(alice.envelope(nmap(*ahead)))
    assert receipt.counts == Counts(hosts=3, endpoints=3, problems=1)
    assert [p.message for p in receipt.problems] == [
        "2 records are dated in the future; the time of receipt was taken instead"
    ]
    found = rows(ingest.database, "SELECT host(ip), last_seen FROM host ORDER BY ip")
    assert found == [("192.0.2.1", NOON + timedelta(minutes=4)), ("192.0.2.2", NOON), ("192.0.2.3", NOON)]
    assert_sound(ingest)


def test_records_without_a_time_get_the_scans(ingest: Ingest, alice: Contributor) -> None:
    """The payload's finish, else its start, else when it was signed, and never later than the receipt."""
    line = b'{"ip":"192.0.2.%d","port":80}\n'
    ingest.submit(alice.envelope(line % 1, started=NOON - 3 * HOUR, finished=NOON - 2 * HOUR))
    ingest.submit(alice.envelope(line % 2, started=NOON - 3 * HOUR))
    ingest.submit(alice.envelope(line % 3))
    ingest.submit(alice.envelope(line % 4, finished=NOON + 9 * HOUR))
    found = rows(ingest.database, "SELECT last_seen FROM host ORDER BY ip")
    assert found == [(NOON - 2 * HOUR,), (NOON - 3 * HOUR,), (NOON,), (NOON,)]


TITLE = '<script id="http-title" output="Welcome"><elem key="title">Welcome</elem></script>'


@pytest.mark.parametrize(("privacy", "titles"), [(Privacy.FULL, ["Welcome"]), (Privacy.META_ONLY, [])])
def test_meta_only_keeps_what_services_said_out(
    ingest: Ingest, alice: Contributor, privacy: Privacy, titles: list[str]
) -> None:
    """Ports and products are kept, titles and banners only when they may be."""
    ingest.submit(alice.envelope(nmap(host("192.0.2.1", port(80, "nginx", script=TITLE))), privacy=privacy))
    assert rows(ingest.database, "SELECT title FROM banner") == [(title,) for title in titles]
    assert rows(ingest.database, "SELECT product FROM service") == [("nginx",)]


def test_the_good_records_of_a_partly_bad_submission_are_kept(ingest: Ingest, alice: Contributor) -> None:
    """The bad ones are listed with their lines, up to a bound, and counted beyond it."""
    good, bad = naabu(("192.0.2.1", 80)), b'{"ip":"not an address","port":80}\n'
    receipt = ingest.submit(alice.envelope(good + bad + good.replace(b".1", b".2") + b"{]\n" + bad * 150))
    assert (receipt.status, receipt.counts.hosts, receipt.counts.problems) == ("merged", 2, 152)
    assert len(receipt.problems) == observations.MAX_PROBLEMS
    assert [p.line for p in receipt.problems[:3]] == [2, 4, 5]
    assert ingest.submit(alice.envelope(good)).problems == ()
    assert_sound(ingest)


def test_future_and_bad_records_share_the_bound(ingest: Ingest, alice: Contributor) -> None:
    """The note on the clock comes first and the list stays within its bound."""
    good, bad = naabu(("192.0.2.1", 80), at=NOON + HOUR), b'{"ip":"x","port":80}\n'
    receipt = ingest.submit(alice.envelope(good + bad * 120))
    assert "future" in receipt.problems[0].message
    assert (len(receipt.problems), receipt.counts.problems) == (observations.MAX_PROBLEMS, 121)


def test_what_the_scan_says_of_itself_is_kept(ingest: Ingest, alice: Contributor) -> None:
    """Tool, version, arguments and times; later facts fill what earlier ones left empty."""
    receipt = ingest.submit(alice.envelope(nmap(host("192.0.2.1", port(80))), tool="claimed"))
    record = observations.get(ingest.database, receipt.observation_id)
    assert (record.tool, record.tool_version) == ("nmap", "7.93")
    assert (record.started, record.finished) == (NOON, NOON + timedelta(seconds=60))


def test_a_closed_port_ends_a_life(ingest: Ingest, alice: Contributor, clock: Clock) -> None:
    """Listed, or among those that a sweep found closed."""
    ingest.submit(alice.envelope(nmap(host("192.0.2.1", port(22, "sshd"), port(80, "nginx"), port(8080)))))
    clock.advance(HOUR)
    later = host("192.0.2.1", port(22, state="closed"), at=clock(), rest="filtered")
    ingest.submit(alice.envelope(nmap(later, start=clock())))
    found = rows(ingest.database, "SELECT port, state::text FROM endpoint ORDER BY port")
    assert found == [(22, "c"), (80, "f"), (8080, "o")]
    assert_sound(ingest)


def test_a_blob_store_that_fails_takes_nothing(ingest: Ingest, alice: Contributor, tmp_path: Path) -> None:
    """By neither path, readable or not: nothing is accepted, and the same envelopes are once it is back."""
    good, bad = alice.envelope(naabu(("192.0.2.1", 80))), alice.envelope(b"what is this?")
    (tmp_path / "blobs" / "sha256").write_text("in the way")
    for door in (ingest.submit, ingest.accept):
        for envelope in (good, bad):
            with pytest.raises(Unavailable) as caught:
                door(envelope)
            assert caught.value.reason == "blob_store_away"
    assert rows(ingest.database, "SELECT count(*) FROM observation") == [(0,)]
    assert provenance.head(ingest.database)[0] == 1  # alice's key
    (tmp_path / "blobs" / "sha256").unlink()
    assert ingest.submit(good).status == "merged"
    assert ingest.accept(bad).status == "accepted"
    assert_sound(ingest)


def test_an_accepted_submission_is_stored_but_not_parsed(ingest: Ingest, alice: Contributor) -> None:
    """The durable path answers before it looks: its workflow is named, and the graph is as it was."""
    receipt = ingest.accept(alice.envelope(naabu(("192.0.2.1", 80))))
    assert receipt == Receipt(receipt.observation_id, "accepted", NOON, workflow_id=receipt.observation_id)
    assert ingest.accept(alice.envelope(b"x"), workflow=False).workflow_id == ""
    assert rows(ingest.database, "SELECT count(*) FROM host") == [(0,)]
    assert settled(ingest.database) == []
    assert_sound(ingest)


def test_submissions_about_the_same_hosts_at_once(ingest: Ingest, alice: Contributor) -> None:
    """Four scans of the same hosts in different orders, which tell of each host twice so that they lock them one by
    one: all are merged, however they meet.
    """

    def document(number: int) -> bytes:
        order = random.Random(number).sample(range(10), 10)
        at = NOON - number * HOUR
        return nmap(*(host(f"192.0.2.{i}", port(80 + half), at=at) for i in order for half in (0, 1)))

    envelopes = [alice.envelope(document(number)) for number in range(4)]
    start = threading.Barrier(4)

    def send(envelope: bytes) -> str:
        start.wait(30)
        return ingest.submit(envelope).status

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(send, envelopes)) == ["merged"] * 4
    assert_sound(ingest)


def conflict(reason: str = "conflict") -> Unavailable:
    """What a deadlock raises."""
    return Unavailable("two writers met", reason=reason)


def test_whoever_meets_another_goes_on_alone() -> None:
    """First as everyone, then alone; what it returns is returned."""
    tries: list[bool] = []

    def work(alone: bool) -> str:
        tries.append(alone)
        if not alone:
            raise conflict()
        return "done"

    assert once_more_on_conflict(work) == "done"
    assert tries == [False, True]


def test_a_conflict_that_does_not_end_is_told() -> None:
    """After a few tries; other trouble at once."""
    tries: list[bool] = []

    def work(alone: bool, reason: str) -> None:
        tries.append(alone)
        raise conflict(reason)

    with pytest.raises(Unavailable):
        once_more_on_conflict(lambda alone: work(alone, "conflict"))
    assert tries == [False, True, True, True]
    with pytest.raises(Unavailable):
        once_more_on_conflict(lambda alone: work(alone, "disk_full"))
    assert len(tries) == 5


class Interrupted(Ingest):
    """Has something happen after the gate, while a submission is parsed."""

    happens: Callable[[], object]

    def normalise(self, payload: Payload, received: datetime) -> Normaliser:
        self.happens()
        return super().normalise(payload, received)


def test_a_key_revoked_meanwhile_signs_nothing_more(
    database: Database, blobs: BlobStore, alice: Contributor, clock: Clock
) -> None:
    """The gate let it through, then an admin revoked the key: the submission has no place behind that in the chain."""
    ingest = make_ingest(database, blobs, clock, Interrupted)
    assert isinstance(ingest, Interrupted)
    ingest.happens = lambda: keys.revoke(database, alice.key.public.keyid, clock())
    with pytest.raises(Rejected) as caught:
        ingest.submit(alice.envelope(naabu(("192.0.2.1", 80))))
    assert caught.value.reason == "key_revoked"
    assert rows(database, "SELECT count(*) FROM observation") == rows(database, "SELECT count(*) FROM host") == [(0,)]
    assert_sound(ingest)
    ingest.close()


INJECTION = "'; DROP TABLE observation; --"


def test_sql_in_every_field_is_only_text(ingest: Ingest, database: Database) -> None:
    """Of the payload and of the output."""
    mallory = Contributor(INJECTION, Clock()).register(database)
    fields = dict.fromkeys(("tool", "tool_version", "scan_id", "scan_type", "source"), INJECTION)
    evil = nmap(host("192.0.2.1", port(80, INJECTION.replace("<", "&lt;"))))
    receipt = ingest.submit(mallory.envelope(evil, **fields))
    record = observations.get(database, receipt.observation_id)
    assert (record.contributor, record.scan_id, record.scan_type, record.source) == (INJECTION,) * 4
    assert rows(database, "SELECT product FROM service") == [(INJECTION,)]
    assert_sound(ingest)
