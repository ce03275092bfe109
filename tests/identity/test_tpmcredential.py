"""Credentials open for one TPM and one key in it. `tests/collect/test_tpm.py` has a real TPM open them."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES128

from spectra.identity import tpm
from spectra.identity.errors import IdentityError
from spectra.identity.tpmcredential import kdfa, make_credential
from tests.support.papertpm import PaperTpm

PAPER = PaperTpm()
EK = tpm.read_public(PAPER.keys.ek)
AK = tpm.read_public(PAPER.keys.ak)


def parts(blob: bytes) -> tuple[bytes, bytes]:
    """The protected secret and the encrypted seed of a credential's file."""
    assert blob[:8].hex() == "badcc0de00000001"
    size = int.from_bytes(blob[8:10], "big")
    protected, rest = blob[10 : 10 + size], blob[10 + size :]
    assert int.from_bytes(rest[:2], "big") == len(rest) - 2 == 256
    return protected, rest[2:]


def opened(blob: bytes, name: bytes) -> bytes | None:
    """TPM2_ActivateCredential (Part 3 section 12.5) for the key called `name`, written anew; None where it refuses."""
    protected, sealed = parts(blob)
    seed = PAPER.decrypt(sealed)
    mac, hidden = protected[2:34], protected[34:]
    key = kdfa(seed, b"INTEGRITY", b"", 256)
    if not hmac.compare_digest(hmac.digest(key, hidden + name, hashlib.sha256), mac):
        return None
    decryptor = Cipher(AES128(kdfa(seed, b"STORAGE", name, 128)), CFB(bytes(16))).decryptor()
    plain = decryptor.update(hidden) + decryptor.finalize()
    assert int.from_bytes(plain[:2], "big") == len(plain) - 2
    return plain[2:]


def test_a_credential_opens_for_the_key_it_is_made_for() -> None:
    """The secret comes out where the endorsement key and the name fit, and is not in the file itself."""
    secret = b"s" * 32
    blob = make_credential(EK, AK.name, secret)
    assert opened(blob, AK.name) == secret
    assert secret not in blob


def test_a_credential_opens_for_no_other_key() -> None:
    """A TPM that does not hold the named key gives nothing out."""
    blob = make_credential(EK, AK.name, b"s" * 32)
    assert opened(blob, tpm.read_public(PaperTpm().keys.ak).name) is None


def test_two_credentials_have_nothing_in_common() -> None:
    """Each has a seed of its own."""
    one, two = (parts(make_credential(EK, AK.name, b"s" * 32)) for _ in "12")
    assert one[0] != two[0]
    assert one[1] != two[1]


def test_only_an_endorsement_key_gets_one() -> None:
    """A key that would sign, or decrypt for anybody, is refused, as is a secret that no TPM takes."""
    for key, secret in ((AK, b"s" * 32), (EK, b""), (EK, b"s" * 33)):
        with pytest.raises(IdentityError):
            make_credential(key, AK.name, secret)
