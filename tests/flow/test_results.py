"""Results of machines: what is believed is kept once, with all it brought; what is not was an attempt."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import zstandard

from spectra.errors import SpectraError
from spectra.flow import audit
from spectra.flow.submission import Ingest
from spectra.identity import results
from spectra.identity.keys import SigningKey
from spectra.model.presets import BbotOptions
from spectra.model.results import ResultReceipt
from spectra.store import artefacts, do_not_scan, keys, leases, observations
from tests.flow.desk import Clock, naabu, rows
from tests.flow.harvest import SERVICES, TERMS, Harvest, Worker, id_of, tell, with_files

pytestmark = pytest.mark.engine

MINUTE = timedelta(minutes=1)


@pytest.fixture
def harvest(tmp_path: Path, ingest: Ingest, clock: Clock) -> Harvest:
    """A coordinator that hands out work."""
    return Harvest(tmp_path, ingest, clock)


@pytest.fixture
def w1(harvest: Harvest) -> Worker:
    """A machine."""
    return harvest.worker("w1")


def refused(reason: str) -> pytest.RaisesExc[SpectraError]:
    """Asserts that something is refused for this reason."""
    return pytest.raises(SpectraError, check=lambda error: error.reason == reason)


def nothing_kept(harvest: Harvest) -> bool:
    """Whether no result, observation or file is in the store."""
    tables = ("result", "observation", "artefact")
    return all(rows(harvest.database, f"SELECT count(*) FROM {table}") == [(0,)] for table in tables)


def was_an_attempt(harvest: Harvest, leased: leases.Leased, reason: str) -> bool:
    """Whether the target waits again, and why is told with its attempt."""
    target = harvest.target(leased)
    last = target.history[-1]
    return (target.state, last.end, last.reason) == ("waiting", "rejected", reason) and bool(last.message)


# Believed ------------------------------------------------------------------------------------------------------------


def test_a_result_is_kept_with_all_it_brought(harvest: Harvest, w1: Worker) -> None:
    """Observation, files and the end of the attempt, in one transaction with an entry each; its workflow is begun."""
    leased = harvest.given(w1)
    observation = harvest.observation(w1)
    sent = harvest.bundle(w1, leased, [observation], [("scan.log", b"line\n" * 1000)])
    receipt = harvest.results.take(w1.peer, sent)
    assert receipt == ResultReceipt(leased.lease, "accepted", harvest.clock(), (id_of(observation),))
    assert harvest.target(leased).state == "submitted"
    assert harvest.begun.targets == [(leased.target, leased.lease)]
    assert harvest.begun.scans == []
    stored = observations.get(harvest.database, id_of(observation))
    assert (stored.status, stored.workflow_id) == ("accepted", f"target-{leased.target}-{leased.lease}")
    assert observations.pending(harvest.database) == []  # not for the sweep of submissions
    (file, raw), _ = artefacts.page(harvest.database, target=leased.target)
    assert (raw.kind, raw.name, raw.media_type) == ("raw", "naabu.jsonl", "application/x-ndjson")
    assert (raw.observation_id, raw.sha256) == (id_of(observation), stored.output_sha256)
    assert (file.name, file.size, file.node, file.lease) == ("scan.log", 5000, "w1", leased.lease)
    assert harvest.ingest.blobs.get(bytes.fromhex(file.sha256)) == b"line\n" * 1000
    kinds = [kind for (kind,) in rows(harvest.database, "SELECT kind FROM provenance ORDER BY seq DESC LIMIT 2")]
    assert sorted(kinds) == ["observation.accepted", "result.accepted"]
    report = audit.verify(harvest.database, harvest.ingest.blobs, deep=False)
    assert report.ok, report


def test_the_same_bundle_again_has_the_same_receipt(harvest: Harvest, w1: Worker) -> None:
    """Whenever it comes, also after the target is done; nothing is stored or begun again."""
    sent = harvest.bundle(w1, harvest.given(w1))
    first = harvest.results.take(w1.peer, sent)
    harvest.clock.advance(MINUTE)
    again = harvest.results.take(w1.peer, sent)
    assert (again.duplicate, again.received, again.observations) == (True, first.received, first.observations)
    assert len(harvest.begun.targets) == 1
    assert rows(harvest.database, "SELECT count(*) FROM observation") == [(1,)]


def test_many_at_once_keep_it_once(harvest: Harvest, w1: Worker) -> None:
    """As where a machine sends to two coordinators: one stores it, the others answer with its receipt."""
    sent = harvest.bundle(w1, harvest.given(w1))
    with ThreadPoolExecutor(6) as pool:
        receipts = list(pool.map(harvest.results.take, [w1.peer] * 6, [sent] * 6))
    assert [receipt.status for receipt in receipts] == ["accepted"] * 6
    assert sum(not receipt.duplicate for receipt in receipts) == 1
    assert len(harvest.begun.targets) == 1
    assert rows(harvest.database, "SELECT count(*) FROM result") == [(1,)]


@pytest.mark.parametrize("outcome", ["failed", "refused"])
def test_a_scan_that_came_to_nothing_waits_for_another(harvest: Harvest, w1: Worker, outcome: str) -> None:
    """No workflow is begun, whoever hands out targets is told, and the words of the machine are kept."""
    leased = harvest.given(w1)
    sent = harvest.bundle(w1, leased, [], outcome=outcome, reason="tool_failed", message="nmap: exit 1")
    assert harvest.results.take(w1.peer, sent).status == "accepted"
    target = harvest.target(leased)
    assert (target.state, target.history[0].end, target.history[0].message) == ("waiting", outcome, "nmap: exit 1")
    assert (harvest.begun.targets, harvest.begun.woken) == ([], 1)


def test_a_long_absence_makes_a_result_no_worse(harvest: Harvest, w1: Worker) -> None:
    """A board that was away for weeks: its spool is as good as its lease, if nobody took the target over."""
    leased = harvest.given(w1)
    sent = harvest.bundle(w1, leased)
    harvest.clock.advance(timedelta(days=29))
    leases.expire(harvest.database, TERMS, harvest.clock())
    assert harvest.results.take(w1.peer, sent).status == "accepted"
    assert harvest.target(leased).state == "submitted"


def test_a_late_result_disturbs_nobody(harvest: Harvest, w1: Worker) -> None:
    """The target is another machine's by now: what was seen is taken as an ordinary submission."""
    leased = harvest.given(w1)
    sent = harvest.bundle(w1, leased, files=[("a.log", b"a")])
    harvest.clock.advance(10 * MINUTE)
    leases.expire(harvest.database, TERMS, harvest.clock())
    w2 = harvest.worker("w2")
    other = harvest.lease(w2)[0]
    assert other.target == leased.target
    receipt = harvest.results.take(w1.peer, sent)
    assert (receipt.status, harvest.begun.scans) == ("late", list(receipt.observations))
    assert observations.get(harvest.database, receipt.observations[0]).workflow_id == receipt.observations[0]
    target = harvest.target(leased)
    assert (target.state, target.node, [a.end for a in target.history]) == ("leased", "w2", ["late", ""])
    assert harvest.results.take(w1.peer, sent).duplicate
    seen = [harvest.observation(w2, naabu(("192.0.2.1", 443), at=harvest.clock()))]
    assert harvest.results.take(w2.peer, harvest.bundle(w2, other, seen)).status == "accepted"
    assert harvest.begun.targets == [(leased.target, other.lease)]


def test_a_lease_that_was_scanned_twice_has_one_result(harvest: Harvest, w1: Worker) -> None:
    """A machine that forgot its receipt scans again: what it saw then is kept, and its target is left alone."""
    leased = harvest.given(w1)
    harvest.results.take(w1.peer, harvest.bundle(w1, leased))
    more = harvest.observation(w1, naabu(("192.0.2.1", 81), at=harvest.clock()))
    receipt = harvest.results.take(w1.peer, harvest.bundle(w1, leased, [more]))
    assert (receipt.status, harvest.begun.scans) == ("late", [id_of(more)])
    assert len(harvest.begun.targets) == 1
    assert len(harvest.target(leased).history) == 1


# Not believed --------------------------------------------------------------------------------------------------------


def test_a_forged_result_is_refused(harvest: Harvest, w1: Worker) -> None:
    """By a key that is nobody's, by bytes that were changed, by the key of somebody else: nothing is kept."""
    leased = harvest.given(w1, "192.0.2.1", "192.0.2.2", "192.0.2.3")
    stranger = Worker(w1.peer, SigningKey.generate())
    with refused("unknown_key"):
        harvest.results.take(w1.peer, harvest.bundle(stranger, leased, []))
    assert was_an_attempt(harvest, leased, "unknown_key")
    second = harvest.lease(w1)[0]
    signed = results.open_bundle(harvest.bundle(w1, second, [])).result
    envelope = bytes(signed).replace(b'"sig":"', b'"sig":"' + b"A" * 4)
    cut = envelope[: envelope.index(b'"sig":"') + 7 + 88] + b'"}]}'
    with refused("bad_signature"):
        harvest.results.take(w1.peer, results.bundle(cut))
    assert was_an_attempt(harvest, second, "bad_signature")
    third = harvest.lease(w1)[0]
    w2 = harvest.worker("w2")
    with refused("impostor"):
        harvest.results.take(w1.peer, harvest.bundle(Worker(w1.peer, w2.key), third, []))
    assert was_an_attempt(harvest, third, "impostor")
    assert nothing_kept(harvest)
    assert harvest.begun.woken == 3


def test_an_impostor_gets_nothing_and_disturbs_nobody(harvest: Harvest, w1: Worker) -> None:
    """A member that sends what another signed, or signs itself for another's lease: the lease goes on."""
    leased = harvest.given(w1)
    w2 = harvest.worker("w2")
    stolen = harvest.bundle(w1, leased)
    with refused("impostor"):
        harvest.results.take(w2.peer, stolen)
    with refused("impostor"):
        harvest.results.take(w2.peer, harvest.bundle(w2, leased))
    with refused("impostor"):
        harvest.results.take(w2.peer, harvest.bundle(w2, leased, node="w1"))
    assert nothing_kept(harvest)
    assert (harvest.target(leased).state, harvest.target(leased).node) == ("leased", "w1")
    assert harvest.results.take(w1.peer, stolen).status == "accepted"


def test_others_observations_are_not_ones_own(harvest: Harvest, w1: Worker) -> None:
    """What another machine saw is not put into a result of one's own."""
    leased = harvest.given(w1)
    other = harvest.observation(harvest.worker("w2"))
    with refused("impostor"):
        harvest.results.take(w1.peer, harvest.bundle(w1, leased, [other]))
    assert nothing_kept(harvest)
    assert was_an_attempt(harvest, leased, "impostor")


def test_what_was_seen_for_one_lease_is_not_replayed_for_the_next(harvest: Harvest, w1: Worker) -> None:
    """An observation is of one lease, and a nonce of one result."""
    first, second, third = (harvest.given(w1) for _ in range(3))
    observation = harvest.observation(w1)
    harvest.results.take(w1.peer, harvest.bundle(w1, first, [observation], nonce="n" * 32))
    with refused("nonce_replayed"):
        harvest.results.take(w1.peer, harvest.bundle(w1, second, [observation]))
    with refused("nonce_replayed"):
        harvest.results.take(w1.peer, harvest.bundle(w1, third, [], nonce="n" * 32))
    assert was_an_attempt(harvest, second, "nonce_replayed")
    assert was_an_attempt(harvest, third, "nonce_replayed")
    assert rows(harvest.database, "SELECT count(*) FROM observation") == [(1,)]


def test_a_result_speaks_of_its_own_lease(harvest: Harvest, w1: Worker) -> None:
    """Its target and attempt; a lease that nobody gave is unknown."""
    leased = harvest.given(w1)
    with refused("other_lease"):
        harvest.results.take(w1.peer, harvest.bundle(w1, leased, attempt=2))
    with refused("unknown_lease"):
        harvest.results.take(w1.peer, harvest.bundle(w1, leased, lease="0" * 32))
    assert nothing_kept(harvest)


def test_a_result_tells_of_what_the_order_names(harvest: Harvest, w1: Worker) -> None:
    """Hosts beyond the lease's targets are out of scope, all of the bundle with them."""
    leased = harvest.given(w1, "192.0.2.0/28")
    seen = harvest.observation(w1, tell(harvest.clock(), "192.0.2.1", "192.0.2.16"))
    with refused("out_of_scope"):
        harvest.results.take(w1.peer, harvest.bundle(w1, leased, [seen]))
    assert nothing_kept(harvest)
    assert was_an_attempt(harvest, leased, "out_of_scope")
    assert "192.0.2.16" in harvest.target(leased).history[0].message


def test_what_may_not_be_scanned_is_not_told_either(harvest: Harvest, w1: Worker) -> None:
    """A host that is on the do-not-scan list, also where it came there after the lease was given."""
    leased = harvest.given(w1, "192.0.2.0/28")
    do_not_scan.add(harvest.database, network="192.0.2.1/32", reason="asked", by="alice", now=harvest.clock())
    with refused("out_of_scope"):
        harvest.results.take(w1.peer, harvest.bundle(w1, leased))
    assert nothing_kept(harvest)


@pytest.mark.parametrize("strict", [True, False])
def test_bbot_may_be_told_to_follow_what_it_finds(harvest: Harvest, w1: Worker, strict: bool) -> None:
    """Then it may tell of anything that the law allows; special-use networks are no such thing."""
    preset = SERVICES.__class__(
        name="bbot", description="", tools=("bbot",), bbot=BbotOptions(presets=("web",), strict=strict)
    )
    leased = harvest.given(w1, "1.1.1.1", preset=preset)
    public = harvest.observation(w1, tell(harvest.clock(), "8.8.8.8"))
    private = harvest.observation(w1, tell(harvest.clock(), "10.0.0.1"))
    if strict:
        with refused("out_of_scope"):
            harvest.results.take(w1.peer, harvest.bundle(w1, leased, [public], tool="bbot"))
        return
    assert harvest.results.take(w1.peer, harvest.bundle(w1, leased, [public], tool="bbot")).status == "accepted"
    other = harvest.given(w1, "1.1.1.2", preset=preset)
    with refused("out_of_scope"):
        harvest.results.take(w1.peer, harvest.bundle(w1, other, [private], tool="bbot"))


def test_the_addresses_of_a_name_are_the_machines_to_look_up(harvest: Harvest, w1: Worker) -> None:
    """But not special-use ones: a name that points into somebody's own network opens nothing."""
    first, second = harvest.given(w1, "example.org"), harvest.given(w1, "example.com")
    seen = harvest.observation(w1, tell(harvest.clock(), "8.8.8.8"))
    assert harvest.results.take(w1.peer, harvest.bundle(w1, first, [seen])).status == "accepted"
    inside = harvest.observation(w1, tell(harvest.clock(), "192.168.1.1"))
    with refused("out_of_scope"):
        harvest.results.take(w1.peer, harvest.bundle(w1, second, [inside]))


def test_an_observation_that_cannot_be_read_is_refused(harvest: Harvest, w1: Worker) -> None:
    """With the parser's reason; so is one that grows beyond all bounds when it is unpacked."""
    first, second = harvest.given(w1), harvest.given(w1)
    with refused("unrecognised_format"):
        harvest.results.take(w1.peer, harvest.bundle(w1, first, [harvest.observation(w1, b"what is this?")]))
    assert was_an_attempt(harvest, first, "unrecognised_format")
    bomb = harvest.observation(w1, bytes(harvest.ingest.max_output_bytes + 1))
    with refused("too_large"):
        harvest.results.take(w1.peer, harvest.bundle(w1, second, [bomb]))
    assert nothing_kept(harvest)


def test_files_are_what_the_result_says_of_them(harvest: Harvest, w1: Worker) -> None:
    """Other bytes, other hashes, more of them than is said, or a bomb: refused before anything is stored."""
    leased = harvest.given(w1, *(f"192.0.2.{n}" for n in range(1, 6)))
    claim, packed = results.artefact("log", "a.log", "text/plain", b"a" * 1000)
    other = results.artefact("log", "a.log", "text/plain", b"b" * 1000)[1]
    bomb = packed.__class__(packed.sha256, zstandard.ZstdCompressor(level=19).compress(bytes(1 << 28)))
    changed = packed.__class__(packed.sha256, other.data)
    torn = packed.__class__(packed.sha256, packed.data[:-3])
    for files in [(other,), (bomb,), (changed,), (torn,), (packed, other)]:
        sent = with_files(harvest.bundle(w1, leased, [], artefacts=[claim]), *files)
        with refused("other_files"):
            harvest.results.take(w1.peer, sent)
        assert was_an_attempt(harvest, leased, "other_files")
        leased = harvest.lease(w1)[0] if files[0] is not packed else leased
    assert nothing_kept(harvest)


def test_a_machine_whose_key_was_revoked_sends_nothing_more(harvest: Harvest, w1: Worker) -> None:
    """Also what it signed before."""
    leased = harvest.given(w1)
    sent = harvest.bundle(w1, leased)
    keys.revoke(harvest.database, w1.key.public.keyid, harvest.clock())
    with refused("key_revoked"):
        harvest.results.take(w1.peer, sent)
    assert nothing_kept(harvest)
    assert was_an_attempt(harvest, leased, "key_revoked")


def test_a_bundle_that_is_none_ends_no_lease(harvest: Harvest, w1: Worker) -> None:
    """Its lease cannot be told: the machine has to give it back, or loses it."""
    leased = harvest.given(w1)
    for raw in (b"", b"{}", b"[" * 100_000, harvest.bundle(w1, leased)[:-10]):
        with refused("malformed_bundle"):
            harvest.results.take(w1.peer, raw)
    assert harvest.target(leased).state == "leased"
