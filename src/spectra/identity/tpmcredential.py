"""TPM2_MakeCredential without a TPM: a secret that only the TPM with one endorsement key gives out, and only where it
also holds the key of a given name.

"TPM 2.0 Library Specification, Part 1: Architecture", section 24 (credential protection), with the key derivation of
section 11.4.10.2 (KDFa) and the OAEP of annex B.10.4. The endorsement key is one of `tpm.require_endorsement`: RSA
2048, AES-128-CFB, SHA-256. The result is a file as `tpm2_activatecredential -i` reads it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final

from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES128
from cryptography.hazmat.primitives.hashes import SHA256

from spectra.identity.errors import IdentityError
from spectra.identity.tpm import TpmPublic, require_endorsement

SECRET_BYTES: Final = 32
_HEADER: Final = bytes.fromhex("badcc0de00000001")  # tpm2-tools' own: a magic number and a version
_BLOCK: Final = 16
_SEED_BYTES: Final = 32  # as the hash that the key is named by


def make_credential(ek: TpmPublic, name: bytes, secret: bytes) -> bytes:
    """`secret` (at most 32 bytes) for the TPM of `ek`, where it holds the key called `name`.

    Raises `IdentityError("bad_tpm_key")` for a key that is no endorsement key.
    """
    if not 0 < len(secret) <= SECRET_BYTES:
        raise IdentityError(f"a credential's secret has 1 to {SECRET_BYTES} bytes.")
    public = require_endorsement(ek)
    seed = secrets.token_bytes(_SEED_BYTES)
    sealed = public.encrypt(seed, OAEP(mgf=MGF1(SHA256()), algorithm=SHA256(), label=b"IDENTITY\0"))
    return _HEADER + _sized(protected(seed, name, secret)) + _sized(sealed)


def protected(seed: bytes, name: bytes, secret: bytes) -> bytes:
    """The content of TPM2B_ID_OBJECT: an HMAC, and the secret encrypted. `name` is bound into both."""
    key = kdfa(seed, b"STORAGE", name, 128)
    encryptor = Cipher(AES128(key), CFB(bytes(_BLOCK))).encryptor()  # the initial value is zero: the key is used once
    hidden = encryptor.update(_sized(secret)) + encryptor.finalize()
    mac = hmac.digest(kdfa(seed, b"INTEGRITY", b"", 256), hidden + name, hashlib.sha256)
    return _sized(mac) + hidden


def kdfa(key: bytes, label: bytes, context: bytes, bits: int) -> bytes:
    """NIST SP 800-108 in counter mode with HMAC-SHA-256, for up to 256 bits: one round."""
    message = (1).to_bytes(4, "big") + label + b"\0" + context + bits.to_bytes(4, "big")
    return hmac.digest(key, message, hashlib.sha256)[: bits // 8]


def _sized(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data
