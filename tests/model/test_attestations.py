"""The shapes of challenges and answers."""

from __future__ import annotations

import msgspec
import pytest

from spectra.model.attestations import Challenge, Evidence, Quote, TpmKeys, Verdict, Word

QUOTE = Quote(quote=b"q", signature=b"s", pcrs=(bytes(32),) * 8)


@pytest.mark.parametrize(
    "value",
    [
        Challenge(policy="off", every_s=3600),
        Challenge(policy="required", every_s=60, nonce="0a" * 32, pcrs=(0, 7), ak="00", credential=b"c"),
        TpmKeys(ek=b"e", ak=b"a", ek_certificate=b"c"),
        Evidence(nonce="0a" * 32, proof=QUOTE),
        Evidence(nonce="0a" * 32, proof=Word(statement="{}")),
        Verdict(ok=True, standing="active", every_s=3600, kind="tpm"),
    ],
)
def test_what_is_sent_is_what_is_read(value: msgspec.Struct) -> None:
    """Each survives the way over JSON, and the two kinds of proof are told apart."""
    assert msgspec.json.decode(msgspec.json.encode(value), type=type(value)) == value


@pytest.mark.parametrize(
    "wrong",
    [
        {"nonce": "0A" * 32, "proof": QUOTE},
        {"nonce": "0a" * 31, "proof": QUOTE},
        {"nonce": "0a" * 32, "proof": {"type": "other"}},
        {"nonce": "0a" * 32, "proof": {"type": "statement", "statement": "x" * 20_000}},
        {"nonce": "0a" * 32, "proof": msgspec.structs.replace(QUOTE, pcrs=(bytes(32),) * 25)},
        {"nonce": "0a" * 32, "proof": msgspec.structs.replace(QUOTE, pcrs=(bytes(33),))},
        {"nonce": "0a" * 32, "proof": msgspec.structs.replace(QUOTE, quote=bytes(1025))},
        {"nonce": "0a" * 32, "proof": msgspec.structs.replace(QUOTE, secret=bytes(65))},
        {"nonce": "0a" * 32, "proof": QUOTE, "more": 1},
    ],
)
def test_evidence_is_bounded(wrong: dict[str, object]) -> None:
    """Other spellings of a nonce, other kinds of proof, and more of anything than a TPM says are refused."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(wrong), type=Evidence)
