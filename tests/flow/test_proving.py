"""What an answer proves, and what is thought of it; without a database, and without a chip."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from spectra.flow import proving
from spectra.flow.proving import Shown, judge
from spectra.identity import measure
from spectra.identity.errors import IdentityError
from spectra.identity.keys import SigningKey
from spectra.identity.measure import Measurement, State
from spectra.model.attestations import Quote, Word
from spectra.store.attestations import Open, Proof
from tests.support.papertpm import PaperTpm

NOON = datetime(2027, 1, 1, 12, tzinfo=UTC)
NONCE = b"n" * 32
SECRET = b"s" * 32
PAPER = PaperTpm()
PCRS = tuple(range(8))
PLAIN = Open(NONCE, NOON, PCRS)
FIRST = Open(NONCE, NOON, PCRS, hashlib.sha256(SECRET).digest(), PAPER.keys.ek, PAPER.keys.ak)
ZEROS = {f"pcr:{pcr}": "00" * 32 for pcr in PCRS}
MEASURED = Measurement(
    binary="1" * 64, interpreter="2" * 64, configuration="3" * 64, software="1.2.0", python="3.11.2 (main)"
)


def proof(state: dict[str, str] | None = None, **said: Any) -> Proof:
    """A good proof by a TPM."""
    fields: dict[str, Any] = {"kind": "tpm", "at": NOON, "ok": True, "versions": {}, "ek": "e1", "ak": PAPER.keys.ak}
    fields |= {"state": ZEROS if state is None else state} | said
    return Proof(**fields)


def shown(state: dict[str, str] | None = None, ek: str = "e1") -> Shown:
    """A state that a TPM proved."""
    return Shown(State("tpm", ZEROS if state is None else state, {}), ek, PAPER.keys.ak)


def word(measured: Measurement = MEASURED) -> Shown:
    """A state that a machine gave its word for."""
    return Shown(measured.state)


def reason_of(quote: Quote, asked: Open, known: Proof | None = None) -> str:
    """Why a quote is refused."""
    with pytest.raises(IdentityError) as caught:
        proving.by_tpm(quote, asked, known)
    return caught.value.reason


def judged(one: Shown, newest: Proof | None = None, accepted: Proof | None = None, policy: Any = "preferred") -> Proof:
    """What is thought of a state."""
    return judge(one, newest, accepted, policy=policy, role="worker", now=NOON + timedelta(hours=1)).proof


def test_the_first_quote_binds_the_keys() -> None:
    """With the credential opened, the attestation key below the endorsement key is known from then on."""
    found = proving.by_tpm(PAPER.quote(NONCE, SECRET), FIRST, None)
    assert (found.ek, found.ak) == (proving.ek_hash(PAPER.keys.ek), PAPER.keys.ak)
    assert set(found.state.values) == set(ZEROS)
    later = proving.by_tpm(PAPER.quote(NONCE), PLAIN, proof(ek=found.ek))
    assert later == found


def test_who_cannot_open_the_credential_has_another_tpm() -> None:
    """Without the secret the keys could be another machine's, copied off the wire."""
    assert reason_of(PAPER.quote(NONCE), FIRST) == "bad_quote"
    assert reason_of(PAPER.quote(NONCE, b"t" * 32), FIRST) == "bad_quote"


def test_the_attestation_key_is_the_endorsement_keys_child() -> None:
    """A key of another hierarchy, whose quote says so, is refused though it signs."""
    stranger = PAPER.attest(NONCE, signer=b"\0\x0b" + bytes(32))
    values = tuple(PAPER.pcrs[pcr] for pcr in PCRS)
    assert reason_of(Quote(stranger, PAPER.sign(stranger), values, SECRET), FIRST) == "bad_quote"


def test_a_key_that_is_not_known_proves_nothing() -> None:
    """A node that never showed its TPM, or another's key, is refused."""
    assert reason_of(PAPER.quote(NONCE), PLAIN) == "bad_tpm_key"
    assert reason_of(PAPER.quote(NONCE), PLAIN, proof(kind="statement", ek="", ak=b"")) == "bad_tpm_key"
    assert reason_of(PAPER.quote(NONCE), PLAIN, proof(ak=PaperTpm().keys.ak)) == "bad_quote"


def test_values_come_for_what_was_asked() -> None:
    """One value more or less than PCRs were asked for is refused, and never read past."""
    good = PAPER.quote(NONCE)
    for pcrs in (good.pcrs[:-1], (*good.pcrs, bytes(32)), ()):
        assert reason_of(msgspec.structs.replace(good, pcrs=pcrs), PLAIN, proof()) == "bad_quote"


def test_a_word_is_by_the_nodes_own_key() -> None:
    """A statement signed by a key of this node holds; by no other, whatever it says."""
    key, other = SigningKey.generate(), SigningKey.generate()
    known = {key.public.keyid: key.public}
    asked = PLAIN
    for signer, good in ((key, True), (other, False)):
        raw = measure.build(signer, node="node-a", nonce=NONCE.hex(), measured=MEASURED).decode()
        if good:
            assert proving.by_word(Word(raw), asked, "node-a", known.get) == word()
            continue
        with pytest.raises(IdentityError, match="no key of this node"):
            proving.by_word(Word(raw), asked, "node-a", known.get)


def test_the_first_state_is_the_accepted_one() -> None:
    """Nothing is known before, so it is good, and what later ones are compared with."""
    ruling = judge(shown(), None, None, policy="required", role="worker", now=NOON)
    assert ruling.proof.ok
    assert ruling.accepted == ruling.proof
    assert judged(word()).ok


def test_a_changed_pcr_is_held() -> None:
    """It is told in words, and nothing new is accepted."""
    ruling = judge(shown(ZEROS | {"pcr:7": "77" * 32}), proof(), proof(), policy="preferred", role="worker", now=NOON)
    assert not ruling.proof.ok
    assert ruling.proof.held
    assert ruling.proof.reason == "PCR 7 was 000000000000 when it was accepted and is 777777777777 now"
    assert ruling.accepted is None


def test_what_was_held_stays_held() -> None:
    """As it was before again, the state is still refused, for what was there in between; a new change is told."""
    held = judged(shown(ZEROS | {"pcr:7": "77" * 32}), proof(), proof())
    back = judged(shown(), held, proof())
    assert (back.ok, back.held, back.reason) == (False, True, held.reason)
    worse = judged(shown(ZEROS | {"pcr:4": "44" * 32}), back, proof())
    assert "PCR 4" in worse.reason
    assert "PCR 7" not in worse.reason


def test_many_changes_are_told_in_brief() -> None:
    """Four by name, and how many more."""
    reason = judged(shown(dict.fromkeys(ZEROS, "99" * 32)), None, proof()).reason
    assert reason.count("PCR") == 4
    assert reason.endswith("; and 4 more")


def test_another_tpm_is_another_machine() -> None:
    """Though it is in the very same state."""
    assert "another TPM" in judged(shown(ek="e2"), proof(), proof()).reason


def test_the_same_tpm_with_a_new_key_is_welcome() -> None:
    """A node that joined again has a new attestation key; the TPM is the one of before."""
    again = Shown(State("tpm", ZEROS, {}), "e1", PaperTpm().keys.ak)
    ruling = judge(again, proof(), proof(), policy="preferred", role="worker", now=NOON)
    assert ruling.accepted is not None
    assert ruling.accepted.ak == again.ak


def test_a_word_is_not_enough_where_a_tpm_is_required() -> None:
    """It is kept and says why it will not do; nothing is held, as soon as there is a TPM all is well."""
    refused = judged(word(), policy="required")
    assert refused.reason == "it has no TPM to prove its state by, which mesh.attestation.worker requires"
    assert not refused.held
    assert judged(shown(), refused, None, "required").ok


def test_a_word_after_a_tpm_is_held() -> None:
    """A machine that had one does not get by without."""
    assert "only gives its word now" in judged(word(), proof(), proof()).reason


def test_an_upgrade_is_accepted_and_compared_with_from_then_on() -> None:
    """Another version with other hashes is good and becomes what is accepted; other hashes alone are held."""
    first = judge(word(), None, None, policy="preferred", role="full", now=NOON).accepted
    upgraded = msgspec.structs.replace(MEASURED, software="1.3.0", binary="4" * 64)
    ruling = judge(word(upgraded), first, first, policy="preferred", role="full", now=NOON)
    assert ruling.accepted is not None
    assert ruling.accepted.state["binary"] == "4" * 64
    edited = msgspec.structs.replace(upgraded, binary="5" * 64)
    assert judged(word(edited), ruling.proof, ruling.accepted).held


def test_other_pcrs_are_added_to_what_is_accepted() -> None:
    """An admin who asks for more of them later gets the first values, and loses none."""
    more = {"pcr:7": "00" * 32, "pcr:14": "14" * 32}
    ruling = judge(shown(more), proof(), proof(), policy="preferred", role="worker", now=NOON)
    assert ruling.accepted is not None
    assert ruling.accepted.state == ZEROS | more
    assert ruling.proof.state == more
