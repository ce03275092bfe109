"""What a TPM says is believed only where everything about it holds."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st

from spectra.identity import tpm
from spectra.identity.errors import IdentityError
from tests.support import papertpm
from tests.support.papertpm import AK_ATTRIBUTES, EK_ATTRIBUTES, PCRS, PaperTpm, ecc_public, number, rsa_public, sized

NONCE = b"n" * 32
PAPER = PaperTpm()
AK = tpm.read_public(PAPER.keys.ak)
QUOTE = PAPER.quote(NONCE)
RSA = rsa.generate_private_key(65537, 2048)


def reason_of(call: Callable[[], object]) -> str:
    """The reason with which a call is refused."""
    with pytest.raises(IdentityError) as caught:
        call()
    return caught.value.reason


def judged(message: bytes, *, paper: PaperTpm = PAPER, nonce: bytes = NONCE, pcrs: dict[int, bytes] = PCRS) -> str:
    """Why a message that the TPM's own key signed is refused."""
    key = tpm.read_public(paper.keys.ak)
    return reason_of(lambda: tpm.verify_quote(key, message, paper.sign(message), nonce=nonce, pcrs=pcrs))


def test_a_quote_tells_the_values_and_who_signed() -> None:
    """A good quote gives every PCR by name, the signing key with all above it, and how often power came on."""
    told = tpm.verify_quote(AK, QUOTE.quote, QUOTE.signature, nonce=NONCE, pcrs=PCRS)
    assert told.state == {f"pcr:{pcr}": value.hex() for pcr, value in PCRS.items()}
    assert told.signer == tpm.qualified_name(tpm.read_public(PAPER.keys.ek), AK)
    assert told.resets == 7


def test_an_old_quote_is_no_answer_to_a_new_question() -> None:
    """A quote over another nonce is refused: it may be of before something changed."""
    assert judged(PAPER.attest(b"m" * 32)) == "bad_quote"
    assert judged(PAPER.attest(b"")) == "bad_quote"


def test_another_key_signs_for_nobody() -> None:
    """A quote by another TPM's key, or with one bit changed, is refused."""
    other = PaperTpm()

    def refused(signature: bytes) -> str:
        return reason_of(lambda: tpm.verify_quote(AK, QUOTE.quote, signature, nonce=NONCE, pcrs=PCRS))

    assert refused(other.sign(QUOTE.quote)) == "bad_quote"
    assert refused(QUOTE.signature[:-1] + bytes([QUOTE.signature[-1] ^ 1])) == "bad_quote"
    assert refused(number(0x18) + number(4) + QUOTE.signature[4:]) == "bad_quote"  # SHA-1
    assert refused(number(0x18) + number(0xB) + sized(bytes(32)) + sized(bytes(32))) == "bad_quote"
    assert refused(QUOTE.signature + b"\0") == "bad_tpm_data"
    changed = QUOTE.quote[:-1] + bytes([QUOTE.quote[-1] ^ 1])
    good = QUOTE.signature
    assert reason_of(lambda: tpm.verify_quote(AK, changed, good, nonce=NONCE, pcrs=PCRS)) == "bad_quote"


def test_only_a_quote_of_the_tpms_own_making_counts() -> None:
    """What the key signed but is no quote, or does not begin as only a TPM begins, is refused."""
    assert judged(PAPER.attest(NONCE, magic=0xFF544348)) == "bad_quote"
    assert judged(PAPER.attest(NONCE, kind=0x8017)) == "bad_quote"  # a certification


def test_the_values_have_to_be_those_quoted() -> None:
    """A machine that quotes its real PCRs and tells others is refused, as is one that leaves some out."""
    lie = PCRS | {7: bytes(32)}
    assert judged(QUOTE.quote, pcrs=lie) == "bad_quote"
    assert judged(QUOTE.quote, pcrs={k: v for k, v in PCRS.items() if k != 7}) == "bad_quote"
    fewer = {k: v for k, v in PCRS.items() if k != 7}
    assert judged(PaperTpm(ak=PAPER.ak, pcrs=fewer).attest(NONCE)) == "bad_quote"
    assert judged(PAPER.attest(NONCE, hashed=bytes(32))) == "bad_quote"
    shifted = PCRS | {0: PCRS[0] + PCRS[1], 1: b""}  # the same bytes one after the other
    assert judged(QUOTE.quote, pcrs=shifted) == "bad_quote"


def test_only_the_bank_of_sha256_counts() -> None:
    """Values of the SHA-1 bank, or of two banks, are refused."""
    assert judged(PAPER.attest(NONCE, selected=papertpm.selection(PCRS, bank=4))) == "bad_quote"
    two = number(2, 4) + papertpm.selection(PCRS)[4:] * 2
    assert judged(PAPER.attest(NONCE, selected=two)) == "bad_quote"
    wide = number(1, 4) + number(0xB) + number(200, 1) + bytes(200)
    assert judged(PAPER.attest(NONCE, selected=wide)) == "bad_tpm_data"


@pytest.mark.parametrize("bit", [1, 4, 5, 16, 18])
def test_an_attestation_key_lives_in_the_tpm(bit: int) -> None:
    """A key that may leave, came from outside, signs anything or does not sign is none."""
    weak = PaperTpm(ak_attributes=AK_ATTRIBUTES & ~(1 << bit))
    assert judged(weak.attest(NONCE), paper=weak) == "bad_tpm_key"


def test_an_attestation_key_does_not_decrypt() -> None:
    """A key for both is none."""
    both = PaperTpm(ak_attributes=AK_ATTRIBUTES | 1 << 17)
    assert judged(both.attest(NONCE), paper=both) == "bad_tpm_key"


@pytest.mark.parametrize("scheme", [0x14, 0x16])
def test_rsa_attestation_keys_are_read_too(scheme: int) -> None:
    """RSASSA and RSAPSS over SHA-256 hold; the one is not taken for the other."""
    key = tpm.read_public(rsa_public(RSA, AK_ATTRIBUTES, b"", number(scheme) + number(0xB)))
    pss = padding.PSS(padding.MGF1(SHA256()), padding.PSS.DIGEST_LENGTH)
    made = RSA.sign(QUOTE.quote, padding.PKCS1v15() if scheme == 0x14 else pss, SHA256())
    signature = number(scheme) + number(0xB) + sized(made)
    assert tpm.verify_quote(key, QUOTE.quote, signature, nonce=NONCE, pcrs=PCRS).resets == 7
    other = number(0x2A - scheme) + signature[2:]
    assert reason_of(lambda: tpm.verify_quote(key, QUOTE.quote, other, nonce=NONCE, pcrs=PCRS)) == "bad_quote"
    ecdsa = QUOTE.signature
    assert reason_of(lambda: tpm.verify_quote(key, QUOTE.quote, ecdsa, nonce=NONCE, pcrs=PCRS)) == "bad_quote"


def test_an_endorsement_key_is_of_the_default_template() -> None:
    """One with another policy, that signs, or that is an attestation key is refused."""
    ek = tpm.read_public(PAPER.keys.ek)
    assert tpm.require_endorsement(ek).key_size == 2048
    for wrong in (
        rsa_public(RSA, EK_ATTRIBUTES, bytes(32)),
        rsa_public(RSA, EK_ATTRIBUTES & ~(1 << 16)),
        rsa_public(RSA, EK_ATTRIBUTES & ~(1 << 1)),
        rsa_public(RSA, EK_ATTRIBUTES | 1 << 18),
        PAPER.keys.ak,
    ):
        assert reason_of(lambda raw=wrong: tpm.require_endorsement(tpm.read_public(raw))) == "bad_tpm_key"


def test_keys_of_other_kinds_are_not_read() -> None:
    """A short RSA modulus, an even one, a point beside the curve, another curve: none is a key here."""
    good = PAPER.keys.ak
    assert reason_of(lambda: tpm.read_public(good[:-1] + bytes([good[-1] ^ 1]))) == "bad_tpm_data"
    assert reason_of(lambda: tpm.read_public(sized(b"\0\x08" + good[4:]))) == "bad_tpm_data"
    assert reason_of(lambda: tpm.read_public(good + b"\0")) == "bad_tpm_data"
    short = rsa.generate_private_key(65537, 1024)
    assert reason_of(lambda: tpm.read_public(rsa_public(short, EK_ATTRIBUTES))) == "bad_tpm_data"
    ek = PAPER.keys.ek
    assert reason_of(lambda: tpm.read_public(ek[:-1] + bytes([ek[-1] & 0xFE]))) == "bad_tpm_data"
    p384 = ec.generate_private_key(ec.SECP256R1())
    assert (
        reason_of(lambda: tpm.read_public(ecc_public(p384).replace(b"\0\x03\0\x10", b"\0\x04\0\x10"))) == "bad_tpm_data"
    )


@given(st.binary(max_size=400))
def test_no_bytes_break_the_readers(raw: bytes) -> None:
    """Whatever is sent as a key, a quote or a signature: it is read, or refused as it should be."""
    for call in (
        lambda: tpm.read_public(raw),
        lambda: tpm.read_public(sized(raw)),
        lambda: tpm.verify_quote(AK, raw, PAPER.sign(raw), nonce=NONCE, pcrs=PCRS),
        lambda: tpm.verify_quote(AK, QUOTE.quote, raw, nonce=NONCE, pcrs=PCRS),
    ):
        with pytest.raises(IdentityError):
            call()


@given(st.integers(0, 10**6), st.integers(0, 255), st.sampled_from(["ek", "ak", "quote", "signature"]))
def test_no_changed_byte_breaks_the_readers(at: int, byte: int, what: str) -> None:
    """One byte changed in what was good is an `IdentityError` or still the same; in a signed quote never a pass."""
    good = {"ek": PAPER.keys.ek, "ak": PAPER.keys.ak, "quote": QUOTE.quote, "signature": QUOTE.signature}[what]
    at %= len(good)
    raw = good[:at] + bytes([byte]) + good[at + 1 :]
    try:
        if what in ("ek", "ak"):
            read = tpm.read_public(raw)
            assert raw == good or read.name != tpm.read_public(good).name
            return
        message, signature = (raw, PAPER.sign(raw)) if what == "quote" else (QUOTE.quote, raw)
        told = tpm.verify_quote(AK, message, signature, nonce=NONCE, pcrs=PCRS)
    except IdentityError:
        return
    assert told.state == {f"pcr:{pcr}": value.hex() for pcr, value in PCRS.items()}


@given(st.integers(0, 10**6))
def test_nothing_cut_off_is_read(at: int) -> None:
    """A key, a quote or a signature that ends early is refused, though its own key signed what is left."""
    quote, signature = QUOTE.quote[: at % len(QUOTE.quote)], QUOTE.signature[: at % len(QUOTE.signature)]
    assert judged(quote) in ("bad_tpm_data", "bad_quote")
    assert reason_of(lambda: tpm.verify_quote(AK, QUOTE.quote, signature, nonce=NONCE, pcrs=PCRS)) == "bad_tpm_data"
    for key in (PAPER.keys.ek, PAPER.keys.ak):
        assert reason_of(lambda raw=key: tpm.read_public(raw[: at % len(raw)])) == "bad_tpm_data"
