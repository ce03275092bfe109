"""Statements about keys."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.identity import dsse, rotation
from spectra.identity.errors import IdentityError
from spectra.identity.keys import PublicKey, SigningKey
from spectra.model.envelope import canonical

SIGNER = SigningKey.generate()


def rotate(raw: bytes, old: PublicKey, now: datetime) -> rotation.Rotation:
    """Verify against a store that knows one key."""
    return rotation.verify_rotation(
        raw, known=lambda keyid: old if keyid == old.keyid else None, now=now, max_age_s=60, max_ahead_s=10
    )


def register(raw: bytes, now: datetime) -> rotation.Registration:
    """Verify with the window of a minute."""
    return rotation.verify_registration(raw, now=now, max_age_s=60, max_ahead_s=10)


def resigned(raw: bytes, payload_type: str, keys: list[SigningKey], **changes: object) -> bytes:
    """The statement with fields changed and all signatures made anew: what a cheating client could send."""
    body = msgspec.json.decode(dsse.decode(raw, payload_type).payload) | changes
    payload = canonical(body)
    return dsse.wrap(payload, payload_type, *(dsse.signature(key, payload, payload_type) for key in keys))


def reason_of(call: Any, *arguments: Any) -> str:
    """The reason with which a call is refused."""
    with pytest.raises(IdentityError) as caught:
        call(*arguments)
    return caught.value.reason


def test_a_rotation_names_both_keys(key: SigningKey, other_key: SigningKey, now: datetime) -> None:
    """A rotation signed by both keys is accepted and tells which key follows which."""
    statement = rotate(rotation.build_rotation(key, other_key, now=now, nonce="n" * 20), key.public, now)
    assert statement.old_keyid == key.public.keyid
    assert PublicKey.from_b64(statement.public_key) == other_key.public
    assert (statement.issued, statement.nonce) == (now, "n" * 20)


def test_a_rotation_by_an_unknown_key_is_refused(key: SigningKey, other_key: SigningKey, now: datetime) -> None:
    """Nobody can bring in a key by rotating one that this mesh does not know."""
    raw = rotation.build_rotation(SigningKey.generate(), other_key, now=now)
    assert reason_of(rotate, raw, key.public, now) == "unknown_key"


def test_a_rotation_needs_both_signatures(key: SigningKey, other_key: SigningKey, now: datetime) -> None:
    """One signature, three, swapped ones, or one made by a third key do not do."""
    raw, kind = rotation.build_rotation(key, other_key, now=now), rotation.ROTATION_TYPE
    third = SigningKey.generate()
    for keys, reason in [
        ([key], "malformed_envelope"),
        ([key, other_key, other_key], "malformed_envelope"),
        ([other_key, key], "unknown_key"),
        ([key, third], "bad_signature"),
        ([key, key], "bad_signature"),
    ]:
        assert reason_of(rotate, resigned(raw, kind, keys), key.public, now) == reason


@pytest.mark.parametrize("index", [0, 1])
def test_each_signature_of_a_rotation_is_checked(
    index: int, key: SigningKey, other_key: SigningKey, now: datetime
) -> None:
    """A false signature under either keyid is refused: the new key's holder must have agreed as well."""
    body = msgspec.json.decode(rotation.build_rotation(key, other_key, now=now))
    body["signatures"][index]["sig"] = base64.b64encode(bytes(64)).decode()
    assert reason_of(rotate, msgspec.json.encode(body), key.public, now) == "bad_signature"


def test_a_rotation_labels_its_signatures_truly(key: SigningKey, other_key: SigningKey, now: datetime) -> None:
    """The second signature carries the new key's id: the envelope says by itself who signed."""
    body = msgspec.json.decode(rotation.build_rotation(key, other_key, now=now))
    body["signatures"][1]["keyid"] = key.public.keyid
    assert reason_of(rotate, msgspec.json.encode(body), key.public, now) == "bad_signature"


def test_a_rotation_to_the_same_or_a_bad_key_is_refused(key: SigningKey, other_key: SigningKey, now: datetime) -> None:
    """The new key is another one, and usable."""
    assert reason_of(rotate, rotation.build_rotation(key, key, now=now), key.public, now) == "identity"
    raw = rotation.build_rotation(key, other_key, now=now)
    small = base64.b64encode(bytes(32)).decode()
    forged = resigned(raw, rotation.ROTATION_TYPE, [key, other_key], public_key=small)
    assert reason_of(rotate, forged, key.public, now) == "identity"


def test_a_rotation_of_somebody_elses_key_is_refused(key: SigningKey, other_key: SigningKey, now: datetime) -> None:
    """A known contributor cannot sign a statement that names another's key as the old one."""
    raw = rotation.build_rotation(key, other_key, now=now)
    forged = resigned(raw, rotation.ROTATION_TYPE, [key, other_key], old_keyid="0" * 64)
    assert reason_of(rotate, forged, key.public, now) == "bad_signature"


@pytest.mark.parametrize(("age_s", "reason"), [(61, "expired"), (-11, "from_the_future")])
def test_statements_have_a_clock_window(
    age_s: int, reason: str, key: SigningKey, other_key: SigningKey, now: datetime
) -> None:
    """Old and future statements are refused: one that leaked long ago is of no use."""
    then = now - timedelta(seconds=age_s)
    assert reason_of(rotate, rotation.build_rotation(key, other_key, now=then), key.public, now) == reason
    raw = rotation.build_registration(key, contributor="alice", role="user", now=then)
    assert reason_of(register, raw, now) == reason


def test_a_registration_proves_possession(key: SigningKey, now: datetime) -> None:
    """A registration tells who wants which role with which key, signed by that key."""
    statement = register(rotation.build_registration(key, contributor="alice", role="contributor", now=now), now)
    assert (statement.contributor, statement.role) == ("alice", "contributor")
    assert statement.public_key == key.public.b64
    assert len(statement.nonce) == 32


def test_a_registration_of_somebody_elses_key_is_refused(key: SigningKey, other_key: SigningKey, now: datetime) -> None:
    """A public key that was only seen cannot be registered: its holder must sign."""
    raw = rotation.build_registration(key, contributor="mallory", role="user", now=now)
    kind = rotation.REGISTRATION_TYPE
    assert reason_of(register, resigned(raw, kind, [key], public_key=other_key.public.b64), now) == "bad_signature"
    body = msgspec.json.decode(resigned(raw, kind, [key], public_key=other_key.public.b64))
    body["signatures"][0]["keyid"] = other_key.public.keyid
    assert reason_of(register, msgspec.json.encode(body), now) == "bad_signature"


@pytest.mark.parametrize(
    "changes",
    [
        {"role": "root"},
        {"contributor": ""},
        {"contributor": "a\x00b"},
        {"contributor": "x" * 201},
        {"issued": "2026-11-21T12:00:00"},
        {"nonce": "n" * 20 + "\n"},
        {"version": 2},
        {"extra": 1},
    ],
)
def test_a_malformed_registration_is_refused(changes: dict[str, object], key: SigningKey, now: datetime) -> None:
    """Unknown roles, empty and control-character names, naive times and unknown fields are refused though signed."""
    raw = rotation.build_registration(key, contributor="alice", role="user", now=now)
    assert reason_of(register, resigned(raw, rotation.REGISTRATION_TYPE, [key], **changes), now) == "malformed_payload"


def test_a_statement_is_canonical(key: SigningKey, now: datetime) -> None:
    """Another spelling of a statement is refused, as for observations."""
    raw = rotation.build_registration(key, contributor="alice", role="user", now=now)
    spaced = dsse.decode(raw, rotation.REGISTRATION_TYPE).payload + b" "
    assert reason_of(register, dsse.sign(key, spaced, rotation.REGISTRATION_TYPE), now) == "not_canonical"


def test_one_statement_is_not_another(key: SigningKey, other_key: SigningKey, now: datetime) -> None:
    """A signature on one kind of statement is never taken for another kind."""
    registered = rotation.build_registration(key, contributor="alice", role="user", now=now)
    assert reason_of(rotate, registered, key.public, now) == "malformed_envelope"
    assert reason_of(register, rotation.build_rotation(key, other_key, now=now), now) == "malformed_envelope"


def test_statements_are_small(now: datetime) -> None:
    """A statement is refused by its size before it is read."""
    assert reason_of(register, b" " * (rotation.MAX_STATEMENT_BYTES + 1), now) == "malformed_envelope"


@given(st.data())
def test_no_flipped_bit_of_a_statement_passes(data: st.DataObject) -> None:
    """Any one changed bit of a signed statement is refused with our error."""
    now = datetime.fromisoformat("2026-11-21T12:00:00+00:00")
    raw = bytearray(rotation.build_registration(SIGNER, contributor="alice", role="user", now=now, nonce="n" * 32))
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    assert reason_of(register, bytes(raw), now)
