"""The gate: who gets in, and with which reason everybody else does not."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.errors import Corrupt
from spectra.identity import dsse, payload
from spectra.identity.keys import SigningKey
from spectra.identity.verified import Verified
from spectra.ingest.gate import Policy, RateLimited, Reason, Rejected, verify
from spectra.ingest.rate import RateLimiter
from spectra.model.envelope import PAYLOAD_TYPE, Payload, canonical
from spectra.model.records import KeyRecord
from spectra.settings import GateSettings
from tests.support.fixed_keys import fixed_key

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ALICE, BOB, STRANGER = (fixed_key(number) for number in range(3))
POLICY = Policy(max_envelope_bytes=100_000, max_age_s=3600, max_ahead_s=300, rate_per_minute=60)


def record(key: SigningKey, contributor: str, **changes: Any) -> KeyRecord:
    """A registered key."""
    active = KeyRecord(
        keyid=key.public.keyid,
        contributor=contributor,
        role="contributor",
        public_key=key.public.b64,
        status="active",
        created=NOW,
    )
    return msgspec.structs.replace(active, **changes)


class InMemoryLedger:
    """An in-memory implementation of the gate's `Ledger`: dictionaries in the place of the store."""

    def __init__(self, *keys: KeyRecord, rate_per_minute: int = 60) -> None:
        self.keys = {key.keyid: key for key in keys}
        self.nonces: dict[tuple[str, str], str] = {}
        self.limiter = RateLimiter(rate_per_minute)
        self.asked: list[str] = []

    def key(self, keyid: str) -> KeyRecord | None:
        """Look a key up."""
        self.asked.append(keyid)
        return self.keys.get(keyid)

    def nonce(self, contributor: str, nonce: str) -> str | None:
        """Look a nonce up."""
        return self.nonces.get((contributor, nonce))

    def admit(self, contributor: str, role: str, now: datetime) -> float:
        """Ask the rate limiter."""
        return self.limiter.admit(contributor, role, now)

    def keep(self, verified: Verified) -> None:
        """What the store's transaction does: claim the nonce."""
        self.nonces[verified.payload.contributor, verified.payload.nonce] = verified.observation_id


def build(**changes: Any) -> Payload:
    """A payload of Alice's, signed now."""
    usual: dict[str, Any] = {"output": b"<nmaprun/>", "tool": "nmap", "contributor": "alice", "nonce": "n" * 32}
    usual["now"] = NOW
    usual["scan_id"] = "scan"
    return payload.build(**usual | changes)


def signed(key: SigningKey = ALICE, **changes: Any) -> bytes:
    """The envelope of such a payload."""
    return dsse.sign(key, payload.encode(build(**changes)))


def ledger(**changes: Any) -> InMemoryLedger:
    """A ledger that knows Alice, with her key changed as told, and Bob."""
    return InMemoryLedger(record(ALICE, "alice", **changes), record(BOB, "bob"))


def enter(raw: bytes, book: InMemoryLedger | None = None, **changes: Any) -> Verified:
    """Ask the gate, by default with a fresh ledger, at the usual moment and with the usual bounds."""
    arguments: dict[str, Any] = {"now": NOW, "policy": POLICY, "ledger": book or ledger()}
    return verify(raw, **arguments | changes)


def refusal(raw: bytes, book: InMemoryLedger | None = None, **changes: Any) -> Rejected:
    """The gate's refusal, which is no other exception and tells what to do."""
    with pytest.raises(Rejected) as caught:
        enter(raw, book, **changes)
    return caught.value


def test_a_good_submission_is_verified() -> None:
    """What comes out is what was signed: payload, exact bytes, id, key, signature and the time of receipt."""
    made = build()
    raw = dsse.sign(ALICE, payload.encode(made))
    verified = enter(raw)
    assert verified.payload == made
    assert verified.raw == payload.encode(made)
    assert verified.observation_id == payload.observation_id(verified.raw)
    assert verified.key.keyid == ALICE.public.keyid
    assert (verified.received, verified.seen) == (NOW, False)
    assert dsse.verify(ALICE.public, verified.signature, verified.raw)


def test_the_settings_fit_the_policy() -> None:
    """The default settings carry every field of the policy by name, and admit a good submission."""
    settings = GateSettings()
    policy = Policy(**{name: getattr(settings, name) for name in Policy.__struct_fields__})
    assert enter(signed(), policy=policy).payload.contributor == "alice"


# 1. Size


def test_the_size_bound_is_exact() -> None:
    """An envelope of exactly the allowed size gets in; with one byte less allowed it is refused, unread."""
    raw = signed()
    assert enter(raw, policy=msgspec.structs.replace(POLICY, max_envelope_bytes=len(raw)))
    book = ledger()
    refused = refusal(raw, book, policy=msgspec.structs.replace(POLICY, max_envelope_bytes=len(raw) - 1))
    assert refused.reason == Reason.ENVELOPE_TOO_LARGE
    assert book.asked == []


# 2. The envelope


@pytest.mark.parametrize("raw", [b"", b"{}", b"null", b"\xff", b"[" * 90_000, b'{"payload":' + b"[" * 90_000])
def test_a_malformed_envelope_is_refused(raw: bytes) -> None:
    """Bytes that are no envelope are refused without asking the ledger."""
    book = ledger()
    assert refusal(raw, book).reason == Reason.MALFORMED_ENVELOPE
    assert book.asked == []


def test_another_payload_type_is_refused() -> None:
    """A good signature on a statement of another kind does not make an observation."""
    raw = dsse.sign(ALICE, payload.encode(build()), "application/vnd.spectra.key-rotation+json")
    assert refusal(raw).reason == Reason.MALFORMED_ENVELOPE
    relabelled = raw.replace(b"key-rotation", b"observation")
    assert refusal(relabelled).reason == Reason.BAD_SIGNATURE


# 3. The signature


def test_an_unknown_key_is_refused() -> None:
    """A stranger's valid signature lets nobody in."""
    refused = refusal(signed(STRANGER))
    assert refused.reason == Reason.UNKNOWN_KEY
    assert "Register" in str(refused)


def test_a_forged_signature_is_refused() -> None:
    """A stranger who puts Alice's keyid on their signature is refused."""
    raw = payload.encode(build())
    forged = msgspec.structs.replace(dsse.signature(STRANGER, raw), keyid=ALICE.public.keyid)
    assert refusal(dsse.wrap(raw, PAYLOAD_TYPE, forged)).reason == Reason.BAD_SIGNATURE


def test_an_altered_payload_is_refused_before_it_is_parsed() -> None:
    """A payload that is not even JSON is refused for its signature: nothing unsigned is parsed."""
    made = dsse.signature(ALICE, payload.encode(build()))
    assert refusal(dsse.wrap(b"[" * 1000, PAYLOAD_TYPE, made)).reason == Reason.BAD_SIGNATURE


@pytest.mark.parametrize("keyid", ["", "a\x00b", "' OR 1=1 --", ALICE.public.keyid.upper(), ALICE.public.keyid + "\n"])
def test_a_keyid_that_is_none_never_reaches_the_ledger(keyid: str) -> None:
    """Only 64 lower-case hex digits are looked up; anything else is an unknown key."""
    raw, book = payload.encode(build()), ledger()
    one = msgspec.structs.replace(dsse.signature(ALICE, raw), keyid=keyid)
    assert refusal(dsse.wrap(raw, PAYLOAD_TYPE, one), book).reason == Reason.UNKNOWN_KEY
    assert book.asked == []


def test_the_first_signature_by_a_known_key_counts() -> None:
    """Signatures by strangers are passed over; the first known key decides, and a later one cannot mend it."""
    raw = payload.encode(build())
    stranger, alice, bob = (dsse.signature(key, raw) for key in (STRANGER, ALICE, BOB))
    assert enter(dsse.wrap(raw, PAYLOAD_TYPE, stranger, alice, bob)).key.contributor == "alice"
    assert refusal(dsse.wrap(raw, PAYLOAD_TYPE, bob, alice)).reason == Reason.CONTRIBUTOR_MISMATCH
    bad = msgspec.structs.replace(alice, sig=base64.b64encode(bytes(64)).decode())
    assert refusal(dsse.wrap(raw, PAYLOAD_TYPE, bad, alice)).reason == Reason.BAD_SIGNATURE


@pytest.mark.parametrize("public_key", [STRANGER.public.b64, base64.b64encode(bytes(32)).decode(), "?", ""])
def test_a_stored_key_that_was_edited_is_reported(public_key: str) -> None:
    """A row whose public key was exchanged does not let its new holder in: the key must hash to its id."""
    raw = payload.encode(build())
    one = msgspec.structs.replace(dsse.signature(STRANGER, raw), keyid=ALICE.public.keyid)
    with pytest.raises(Corrupt, match=ALICE.public.keyid):
        enter(dsse.wrap(raw, PAYLOAD_TYPE, one), ledger(public_key=public_key))


# 4. The key's status


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": "revoked"}, Reason.KEY_REVOKED),
        ({"status": "disabled"}, Reason.ACCOUNT_DISABLED),
        ({"status": "revoked", "revoked": NOW + timedelta(days=1)}, Reason.KEY_REVOKED),
        ({"status": "revoked", "expires": NOW + timedelta(days=1)}, Reason.KEY_REVOKED),
        ({"status": "retiring", "expires": NOW}, Reason.KEY_EXPIRED),
        ({"status": "retiring", "expires": NOW - timedelta(seconds=1)}, Reason.KEY_EXPIRED),
        ({"status": "retiring"}, Reason.KEY_EXPIRED),
        ({"status": "active", "expires": NOW}, Reason.KEY_EXPIRED),
        ({"status": "of another release"}, Reason.KEY_EXPIRED),
    ],
)
def test_a_key_that_is_over_is_refused(changes: dict[str, Any], reason: Reason) -> None:
    """Revoked keys are refused at once, retiring ones from the moment they expire, and doubt closes the gate."""
    assert refusal(signed(), ledger(**changes)).reason == reason


def test_a_retiring_key_is_good_until_it_expires() -> None:
    """During the grace period the old key still signs."""
    assert enter(signed(), ledger(status="retiring", expires=NOW + timedelta(seconds=1)))


# 5. The payload


def test_a_malformed_payload_is_refused_naming_the_field() -> None:
    """A well-signed payload with a wrong field is refused with the field's path."""
    body = msgspec.json.decode(payload.encode(build())) | {"privacy": "none"}
    refused = refusal(dsse.sign(ALICE, canonical(body)))
    assert refused.reason == Reason.MALFORMED_PAYLOAD
    assert "$.privacy" in refused.message


def test_a_payload_that_is_not_canonical_is_refused() -> None:
    """A well-signed payload in another spelling is refused, since its hash would be a second id."""
    assert refusal(dsse.sign(ALICE, payload.encode(build()) + b" ")).reason == Reason.NOT_CANONICAL


def test_nobody_signs_for_another() -> None:
    """Bob's key does not sign Alice's observations."""
    assert refusal(signed(BOB)).reason == Reason.CONTRIBUTOR_MISMATCH


# 6. The clock


@pytest.mark.parametrize(
    ("age_s", "reason"),
    [(3600, None), (3601, Reason.EXPIRED), (-300, None), (-301, Reason.FROM_THE_FUTURE)],
)
def test_the_clock_window(age_s: int, reason: Reason | None) -> None:
    """A payload signed within the window gets in, at its edges too; older and future ones do not."""
    raw = signed(now=NOW - timedelta(seconds=age_s))
    if reason is None:
        assert enter(raw)
    else:
        assert refusal(raw).reason == reason


def test_an_old_scan_signed_now_gets_in() -> None:
    """Only the time of signing counts, so that last year's scans can be imported."""
    assert enter(signed(started=NOW - timedelta(days=400), finished=NOW - timedelta(days=399)))


# 7. The nonce


def test_the_same_submission_is_known_again() -> None:
    """The same bytes a second time are let through as seen, to be answered with the first's receipt."""
    book, raw = ledger(), signed()
    first = enter(raw, book)
    book.keep(first)
    again = enter(raw, book)
    assert (first.seen, again.seen) == (False, True)
    assert again.observation_id == first.observation_id


def test_a_nonce_is_not_used_for_another_submission() -> None:
    """Another payload under a used nonce is refused; with a nonce of its own it gets in."""
    book = ledger()
    book.keep(enter(signed(), book))
    assert refusal(signed(output=b"other"), book).reason == Reason.NONCE_REPLAYED
    assert not enter(signed(output=b"other", nonce="m" * 32), book).seen


def test_nonces_are_each_contributors_own() -> None:
    """Bob cannot block Alice's nonces by using them first."""
    book = ledger()
    book.keep(enter(signed(BOB, contributor="bob"), book))
    assert not enter(signed(), book).seen


def test_a_replay_by_a_revoked_key_is_refused() -> None:
    """Revocation comes before the memory of nonces."""
    book, raw = ledger(), signed()
    book.keep(enter(raw, book))
    book.keys[ALICE.public.keyid] = record(ALICE, "alice", status="revoked")
    assert refusal(raw, book).reason == Reason.KEY_REVOKED


# 8. The role


@pytest.mark.parametrize("role", ["read-only", "user", "root", ""])
def test_a_role_without_the_scope_is_refused(role: str) -> None:
    """Readers and unknown roles do not submit."""
    assert refusal(signed(), ledger(role=role)).reason == Reason.ROLE_FORBIDDEN


def test_the_scope_is_the_callers() -> None:
    """A route may ask for more than submitting."""
    assert refusal(signed(), scope="admin:all").reason == Reason.ROLE_FORBIDDEN
    assert enter(signed(), ledger(role="admin"), scope="admin:all")


# 9. The rate


def test_a_flood_is_told_when_to_come_back() -> None:
    """Beyond the rate a submission is refused as retryable, and gets in after the time told."""
    book = InMemoryLedger(record(ALICE, "alice"), rate_per_minute=1)
    assert enter(signed(), book)
    refused = refusal(signed(), book)
    assert isinstance(refused, RateLimited)
    assert (refused.reason, refused.retryable) == (Reason.RATE_LIMITED, True)
    assert refused.retry_after_s == pytest.approx(60)
    assert enter(signed(), book, now=NOW + timedelta(seconds=refused.retry_after_s))


def test_only_a_flood_is_retryable() -> None:
    """The same bytes do not get in by sending them again, except after a flood."""
    assert not refusal(b"").retryable
    assert refusal(b"").retry_after_s == 0


def test_refused_submissions_cost_no_token() -> None:
    """What is refused by an earlier step, such as a forgery in Alice's name, does not use up Alice's rate."""
    book = InMemoryLedger(record(ALICE, "alice"), rate_per_minute=1)
    for raw in (b"", signed(STRANGER), signed(now=NOW - timedelta(days=2))):
        refusal(raw, book)
    assert enter(signed(), book)


def test_admins_and_a_policy_without_rate_are_not_limited() -> None:
    """An admin's import is never slowed, and rate 0 turns the limit off."""
    admins = InMemoryLedger(record(ALICE, "alice", role="admin"), rate_per_minute=1)
    others = InMemoryLedger(record(ALICE, "alice"), rate_per_minute=1)
    unlimited = msgspec.structs.replace(POLICY, rate_per_minute=0)
    for _ in range(5):
        assert enter(signed(), admins)
        assert enter(signed(), others, policy=unlimited)


# All of it


@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_only_rejected(raw: bytes) -> None:
    """No input gets in or raises anything but `Rejected`."""
    assert refusal(raw).reason == Reason.MALFORMED_ENVELOPE


@given(st.data())
def test_no_flipped_bit_gets_in(data: st.DataObject) -> None:
    """Any one changed bit of an envelope is rejected, wherever it is, and never with another exception."""
    raw = bytearray(signed())
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    assert refusal(bytes(raw)).reason in Reason


def test_no_single_flipped_bit_of_the_frame_gets_in() -> None:
    """Exhaustively, for every bit outside the payload's base64: names, punctuation, type, keyid and signature."""
    raw = signed()
    book = ledger()
    body = range(raw.index(b":") + 2, raw.index(b'","payloadType"'))
    for index in (index for index in range(len(raw)) if index not in body):
        for bit in range(8):
            changed = bytearray(raw)
            changed[index] ^= 1 << bit
            refusal(bytes(changed), book)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(["", *Payload.__struct_fields__]), JSON)
def test_any_well_signed_json_is_judged(field: str, value: object) -> None:
    """Alice may sign whatever JSON in any field of a payload: it gets in or is `Rejected`, nothing else happens."""
    body = msgspec.json.decode(payload.encode(build())) | {field: value} if field else value
    try:
        verified = enter(dsse.sign(ALICE, msgspec.json.encode(body, order="sorted")))
    except Rejected:
        return
    assert payload.decode(verified.raw) == verified.payload


def test_no_refusal_repeats_what_was_sent() -> None:
    """Neither the output nor the signature nor the nonce stands in any message."""
    secret = b"password=hunter2 " * 10
    raw = signed(output=secret, encoding="identity", nonce="Nonce" * 6)
    sent = msgspec.json.decode(raw)
    refusals = [
        refusal(raw, ledger(status="revoked")),
        refusal(raw, ledger(role="user")),
        refusal(raw, InMemoryLedger()),
        refusal(raw, now=NOW + timedelta(days=1)),
        refusal(raw[:-1]),
    ]
    for refused in refusals:
        for part in ("hunter2", "Nonce" * 6, sent["signatures"][0]["sig"], sent["payload"][:40]):
            assert part not in str(refused)
