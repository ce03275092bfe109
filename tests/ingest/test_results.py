"""The gate of results, check by check; what a coordinator makes of it: `tests/flow/test_results.py`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from spectra.identity import dsse, payload, results
from spectra.identity.errors import IdentityError
from spectra.identity.keys import SigningKey
from spectra.identity.verified import Verified
from spectra.ingest import results as gate
from spectra.ingest.gate import Policy, Reason, Rejected
from spectra.ingest.results import Door, Sender, VerifiedResult
from spectra.model.envelope import sha256_hex
from spectra.model.records import KeyRecord
from spectra.model.results import File

NOON = datetime(2027, 1, 1, 12, tzinfo=UTC)
KEY, OTHER = SigningKey.generate(), SigningKey.generate()
W1 = Sender("w1", "node-w1")
POLICY = Policy(max_envelope_bytes=1 << 20, max_age_s=3600, max_ahead_s=300, rate_per_minute=1)


def record(key: SigningKey, contributor: str, **said: Any) -> KeyRecord:
    """A registered key."""
    made = KeyRecord(
        keyid=key.public.keyid,
        contributor=contributor,
        role="module",
        status="active",
        public_key=key.public.b64,
        created=NOON,
    )
    return msgspec.structs.replace(made, **said)


class Past:
    """What the gate knows of the past: two machines' keys, and nonces; it admits nobody by rate."""

    def __init__(self) -> None:
        self.keys = {k.keyid: k for k in (record(KEY, "node-w1"), record(OTHER, "node-w2"))}
        self.nonces: dict[tuple[str, str], str] = {}

    def key(self, keyid: str) -> KeyRecord | None:
        """The key of this id."""
        return self.keys.get(keyid)

    def nonce(self, contributor: str, nonce: str) -> str | None:
        """The observation that used this nonce."""
        return self.nonces.get((contributor, nonce))

    def admit(self, contributor: str, role: str, now: datetime) -> float:
        """Nobody is asked: leases bound how much a machine sends."""
        raise AssertionError("the rate was asked")


@pytest.fixture
def past() -> Past:
    """Fresh."""
    return Past()


def verify(
    raw: bytes, past: Past, *, now: datetime = NOON, bundle: int = 1 << 20, files: int = 1 << 20
) -> VerifiedResult:
    """The gate, for what w1 sends."""
    return gate.verify(raw, sender=W1, now=now, door=Door(POLICY, past, bundle, files))


def refused(reason: Reason, words: str = "") -> pytest.RaisesExc[Rejected]:
    """Asserts that something is refused for this reason, in these words among others."""
    return pytest.raises(Rejected, check=lambda error: error.reason == reason and words in error.message)


def observation(key: SigningKey = KEY, contributor: str = "node-w1", **said: Any) -> bytes:
    """A signed observation."""
    fields: dict[str, Any] = {"output": b"{}", "tool": "naabu", "contributor": contributor, "now": NOON}
    return dsse.sign(key, payload.encode(payload.build(**(fields | said))))


def bundle(sent: Sequence[bytes] = (), files: Sequence[File] = (), key: SigningKey = KEY, **said: Any) -> bytes:
    """What a machine sends."""
    fields: dict[str, Any] = {
        "lease": "0" * 32,
        "target": 1,
        "attempt": 1,
        "node": "w1",
        "outcome": "done",
        "now": NOON,
    }
    fields["observations"] = [sha256_hex(dsse.decode(one).payload) for one in sent]
    result = results.build(**(fields | said))
    return results.bundle(results.sign(key, result), sent, files)


def signed_for(named: list[str], sent: Sequence[bytes]) -> bytes:
    """A bundle whose result names these observations, and which brings those."""
    whole = results.open_bundle(bundle(observations=named))
    return results.bundle(bytes(whole.result), sent)


def test_a_whole_bundle_is_let_in(past: Past) -> None:
    """With its observations in the order of the result, and its files as they were."""
    first, second = observation(), observation(output=b"[]")
    claim, file = results.artefact("log", "a.log", "text/plain", b"line")
    found = verify(bundle([first, second], [file], artefacts=[claim]), past)
    assert (found.result.node, found.key.keyid, found.received) == ("w1", KEY.public.keyid, NOON)
    assert [one.payload.output.size for one in found.observations] == [2, 2]
    assert all(isinstance(one, Verified) and not one.seen for one in found.observations)
    assert [(one.claim.name, one.plain()) for one in found.artefacts] == [("a.log", b"line")]
    assert results.decode(found.payload.encode()) == found.result
    assert "w1" in repr(found)


def test_only_the_gate_builds_it(past: Past) -> None:
    """Nothing unverified can be taken for a result."""
    found = verify(bundle(), past)
    names = ("result", "payload", "key", "signature", "received", "observations", "artefacts")
    with pytest.raises(IdentityError):
        VerifiedResult(**{name: getattr(found, name) for name in names}, sealed_by=object())


def test_size_comes_before_everything(past: Past) -> None:
    """Of what is sent, and of what its files say that they are."""
    raw = bundle()
    with refused(Reason.ENVELOPE_TOO_LARGE):
        verify(raw, past, bundle=len(raw) - 1)
    claim, file = results.artefact("log", "a.log", "text/plain", bytes(1000))
    with refused(Reason.ENVELOPE_TOO_LARGE, "999"):
        verify(bundle([], [file], artefacts=[claim]), past, files=999)


def test_who_signed_it_is_who_sent_it(past: Past) -> None:
    """A known and usable key of this machine, and a result that speaks of it."""
    with refused(Reason.UNKNOWN_KEY):
        verify(bundle(key=SigningKey.generate()), past)
    with refused(Reason.IMPOSTOR, "node-w2"):
        verify(bundle(key=OTHER), past)
    with refused(Reason.IMPOSTOR, "w2"):
        verify(bundle(node="w2"), past)
    past.keys[KEY.public.keyid] = record(KEY, "node-w1", status="revoked")
    with refused(Reason.KEY_REVOKED):
        verify(bundle(), past)


@pytest.mark.parametrize(("days", "reason"), [(31, Reason.EXPIRED), (-1, Reason.FROM_THE_FUTURE)])
def test_it_was_signed_within_a_month(past: Past, days: int, reason: Reason) -> None:
    """A spool may be old, longer than other submissions, but not for ever."""
    assert verify(bundle([observation()]), past, now=NOON + timedelta(days=29))
    with refused(reason):
        verify(bundle(), past, now=NOON + timedelta(days=days))


def test_the_observations_are_those_that_the_result_names(past: Past) -> None:
    """Not more, not fewer, no other; this machine's; and none where nothing was scanned."""
    first, second = observation(), observation()
    named = [sha256_hex(dsse.decode(first).payload)]
    for sent in ([], [second], [first, second], [first, first]):
        with refused(Reason.OTHER_OBSERVATIONS):
            verify(signed_for(named, sent), past)
    with refused(Reason.IMPOSTOR, "node-w2"):
        verify(bundle([observation(OTHER, "node-w2")]), past)
    with refused(Reason.CONTRIBUTOR_MISMATCH):
        verify(bundle([observation(KEY, "node-w2")]), past)
    with refused(Reason.OTHER_OBSERVATIONS, "nothing"):
        verify(bundle([first], outcome="failed"), past)


def test_an_observation_that_came_before_is_told_so(past: Past) -> None:
    """Whether that is a replay, the lease says; one whose nonce was another's is refused here."""
    one = observation()
    content = payload.decode(dsse.decode(one).payload)
    past.nonces["node-w1", content.nonce] = sha256_hex(dsse.decode(one).payload)
    assert [found.seen for found in verify(bundle([one]), past).observations] == [True]
    past.nonces["node-w1", content.nonce] = "f" * 64
    with refused(Reason.NONCE_REPLAYED):
        verify(bundle([one]), past)


def test_the_lease_of_a_refused_bundle_can_be_told() -> None:
    """As far as it says one: so that the attempt ends, instead of running out."""
    assert gate.lease_claimed(bundle(key=SigningKey.generate(), lease="7" * 32)) == "7" * 32
    for raw in (b"", b"{}", results.bundle(b"{}")):
        assert gate.lease_claimed(raw) == ""
