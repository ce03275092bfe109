"""What machines without a TPM say, and how states are compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.identity import dsse, measure
from spectra.identity.errors import IdentityError
from spectra.identity.keys import SigningKey
from spectra.identity.measure import Measurement, State, changes, merged
from spectra.model.envelope import canonical

NONCE = "0a" * 32
MEASURED = Measurement(
    binary="1" * 64, interpreter="2" * 64, configuration="3" * 64, software="1.2.0", python="3.11.2 (main)"
)
KEY = SigningKey.generate()
RAW = measure.build(KEY, node="node-a", nonce=NONCE, measured=MEASURED)


def read(raw: bytes, node: str = "node-a", nonce: str = NONCE) -> Measurement:
    """Verified as the coordinator does."""
    return measure.verify(raw, key=KEY.public, node=node, nonce=nonce)


def reason_of(call: Callable[[], object]) -> str:
    """The reason with which a call is refused."""
    with pytest.raises(IdentityError) as caught:
        call()
    return caught.value.reason


def signed(**changed: Any) -> bytes:
    """The statement with something changed, signed by the node's own key."""
    body = msgspec.json.decode(dsse.decode(RAW, measure.STATEMENT_TYPE).payload) | changed
    return dsse.sign(KEY, canonical(body), measure.STATEMENT_TYPE)


def test_a_statement_says_what_was_measured() -> None:
    """It comes out as it went in, and names its key before it is verified."""
    assert read(RAW) == MEASURED
    assert measure.signer(RAW) == KEY.public.keyid


def test_a_statement_answers_one_question_of_one_node() -> None:
    """For another nonce or by another node it is refused."""
    assert reason_of(lambda: read(RAW, nonce="0b" * 32)) == "wrong_statement"
    assert reason_of(lambda: read(RAW, node="node-b")) == "wrong_statement"
    assert reason_of(lambda: read(signed(node="node-b"))) == "wrong_statement"


def test_a_statement_is_by_the_nodes_key_and_of_its_type() -> None:
    """Another key's signature, or one made for another kind of statement, does not count."""
    other = SigningKey.generate()
    raw = measure.build(other, node="node-a", nonce=NONCE, measured=MEASURED)
    assert reason_of(lambda: read(raw)) == "bad_signature"
    payload = dsse.decode(RAW, measure.STATEMENT_TYPE).payload
    moved = dsse.wrap(payload, measure.STATEMENT_TYPE, dsse.signature(KEY, payload, "application/other+json"))
    assert reason_of(lambda: read(moved)) == "bad_signature"
    assert reason_of(lambda: read(dsse.sign(KEY, payload, "application/other+json"))) == "malformed_envelope"
    twice = dsse.wrap(payload, measure.STATEMENT_TYPE, *[dsse.signature(KEY, payload, measure.STATEMENT_TYPE)] * 2)
    assert reason_of(lambda: read(twice)) == "malformed_envelope"


def test_a_statement_has_one_form() -> None:
    """Unknown fields, other versions, hashes that are none, white space and too much of it are refused."""
    assert reason_of(lambda: read(signed(more=1))) == "malformed_payload"
    assert reason_of(lambda: read(signed(version=2))) == "malformed_payload"
    wrong = msgspec.to_builtins(MEASURED) | {"binary": "x"}
    assert reason_of(lambda: read(signed(measured=wrong))) == "malformed_payload"
    payload = dsse.decode(RAW, measure.STATEMENT_TYPE).payload + b" "
    assert reason_of(lambda: read(dsse.sign(KEY, payload, measure.STATEMENT_TYPE))) == "not_canonical"
    assert reason_of(lambda: read(RAW + b" " * 20_000)) == "malformed_envelope"


@given(st.binary(max_size=300), st.integers(0, 10**6))
def test_no_bytes_break_the_reader(raw: bytes, at: int) -> None:
    """Whatever is sent is refused as it should be, also what is good but cut off or of other content."""
    cut = RAW[: at % len(RAW)]
    for sent in (raw, cut, dsse.sign(KEY, raw, measure.STATEMENT_TYPE)):
        with pytest.raises(IdentityError):
            read(sent)
        with pytest.raises(IdentityError):
            measure.signer(raw)


def test_a_changed_pcr_is_told_in_words() -> None:
    """Each that changed, in the order of their numbers, with the beginnings of both values."""
    before = State("tpm", {"pcr:0": "00" * 32, "pcr:7": "77" * 32, "pcr:10": "aa" * 32}, {})
    now = State("tpm", {"pcr:0": "00" * 32, "pcr:7": "78" * 32, "pcr:10": "ab" * 32}, {})
    assert changes(before, now) == (
        "PCR 7 was 777777777777 when it was accepted and is 787878787878 now",
        "PCR 10 was aaaaaaaaaaaa when it was accepted and is abababababab now",
    )
    assert changes(before, before) == ()


def test_a_change_comes_with_a_version_or_counts() -> None:
    """An upgrade of Spectra may change its files and settings, one of Python the interpreter; neither the other's."""
    before = MEASURED.state
    upgraded = msgspec.structs.replace(MEASURED, software="1.3.0", binary="4" * 64, configuration="5" * 64)
    assert changes(before, upgraded.state) == ()
    edited = msgspec.structs.replace(MEASURED, binary="4" * 64)
    assert changes(before, edited.state) == (
        "the binary was 111111111111 when it was accepted and is 444444444444 now",
    )
    newer = msgspec.structs.replace(MEASURED, python="3.11.9 (main)", interpreter="6" * 64)
    assert changes(before, newer.state) == ()
    assert len(changes(before, msgspec.structs.replace(newer, configuration="7" * 64).state)) == 1


def test_a_word_is_less_than_a_tpm() -> None:
    """A machine that had a TPM does not get by with its word; one that gets a TPM is welcome."""
    quoted = State("tpm", {"pcr:0": "00" * 32}, {})
    assert "only gives its word" in changes(quoted, MEASURED.state)[0]
    assert changes(MEASURED.state, quoted) == ()
    assert merged(MEASURED.state, quoted) == quoted


def test_pcrs_that_are_asked_for_later_are_added() -> None:
    """Another choice of PCRs is no change of the machine; what is not asked for any more is kept in mind."""
    before = State("tpm", {"pcr:0": "00" * 32, "pcr:1": "11" * 32}, {})
    now = State("tpm", {"pcr:1": "11" * 32, "pcr:9": "99" * 32}, {})
    assert changes(before, now) == ()
    assert merged(before, now).values == {**before.values, **now.values}
    assert merged(None, now) == now
