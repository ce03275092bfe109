"""Reading what a TPM 2.0 says, and believing it only where its signature holds.

The structures are those of the "TPM 2.0 Library Specification, Part 2: Structures" (Trusted Computing Group), in big
endian. They come from machines that may lie: every length is bounded, nothing may be left over, and whatever is wrong
is an `IdentityError`. Read is what the keys of `collect.tpm` need and no more: RSA 2048 and ECC P-256 keys named by
SHA-256, signatures over SHA-256, quotes of the SHA-256 bank.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from spectra.identity.errors import IdentityError
from spectra.model.attestations import MAX_PCR, MAX_PUBLIC_BYTES, PCR_BYTES

MALFORMED: Final = "bad_tpm_data"
REFUSED: Final = "bad_quote"
BAD_KEY: Final = "bad_tpm_key"

# TPM_ALG_ID, Part 2 section 6.3.
_RSA, _ECC = 0x0001, 0x0023
_AES, _CFB, _SHA256, _NULL = 0x0006, 0x0043, 0x000B, 0x0010
_RSASSA, _RSAPSS, _ECDSA = 0x0014, 0x0016, 0x0018
_P256 = 0x0003  # TPM_ECC_NIST_P256

# TPMA_OBJECT, Part 2 section 8.3.
_FIXED_TPM, _FIXED_PARENT, _ORIGIN = 1 << 1, 1 << 4, 1 << 5
_POLICY, _RESTRICTED, _DECRYPT, _SIGN = 1 << 7, 1 << 16, 1 << 17, 1 << 18
_FROM_THE_TPM: Final = _FIXED_TPM | _FIXED_PARENT | _ORIGIN | _RESTRICTED
"""Made inside the TPM, never leaves it, and signs or decrypts only what is of the TPM's own making."""

_POLICY_A: Final = bytes.fromhex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa")
"""PolicySecret(TPM_RH_ENDORSEMENT): the policy of the default template ("EK Credential Profile" section B.3.3)."""

_GENERATED: Final = 0xFF544347  # TPM_GENERATED_VALUE: data of other origin never begins so, by a restricted key
_ATTEST_QUOTE: Final = 0x8018  # TPM_ST_ATTEST_QUOTE
_ENDORSEMENT: Final = bytes.fromhex("4000000b")  # TPM_RH_ENDORSEMENT
_MAX_NAME: Final = 66  # algorithm and a SHA-512
_MAX_EXTRA: Final = 66
_RSA_BITS: Final = 2048
_RSA_EXPONENT: Final = 65537

Key = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
K = TypeVar("K", rsa.RSAPublicKey, ec.EllipticCurvePublicKey)


class TpmPublic(NamedTuple):
    """The public part of a TPM's key. `area` is the TPMT_PUBLIC, of which its name is made."""

    area: bytes
    attributes: int
    policy: bytes
    cipher: tuple[int, int, int]
    """Algorithm, bits and mode by which it protects its children; (0x10, 0, 0) for a key that has none."""
    key: Key

    @property
    def name(self) -> bytes:
        """What a TPM calls the key (Part 1 section 16): the algorithm's id and the hash of `area`."""
        return _named(self.area)


class Quoted(NamedTuple):
    """What a quote told once it was verified. `state` is `pcr:N` to its value in hex; `resets` counts power-ons."""

    state: dict[str, str]
    signer: bytes
    """The qualified name of the key that signed: its own and all above it."""
    resets: int


class _Reader:
    """Takes bytes from the front, never more than there are."""

    def __init__(self, raw: bytes, what: str) -> None:
        self._raw = raw
        self._at = 0
        self.what = what

    def take(self, size: int) -> bytes:
        found = self._raw[self._at : self._at + size]
        if len(found) != size:
            raise self.wrong("it is cut off")
        self._at += size
        return found

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def sized(self, most: int) -> bytes:
        """A TPM2B: a length of two bytes, and as many."""
        size = self.number(2)
        if size > most:
            raise self.wrong("a part of it is too long")
        return self.take(size)

    def end(self) -> None:
        if self._at != len(self._raw):
            raise self.wrong("something follows it")

    def wrong(self, why: str) -> IdentityError:
        return IdentityError(f"the {self.what} cannot be read: {why}.", reason=MALFORMED)


def read_public(raw: bytes) -> TpmPublic:
    """A TPM2B_PUBLIC, as `tpm2_createek -u` and `tpm2_createak -u` write it. Raises `bad_tpm_data`."""
    outer = _Reader(raw, "TPM's public key")
    area = outer.sized(MAX_PUBLIC_BYTES)
    outer.end()
    reader = _Reader(area, "TPM's public key")
    kind, name_hash = reader.number(2), reader.number(2)
    if name_hash != _SHA256:
        raise reader.wrong("it is not named by SHA-256")
    attributes, policy = reader.number(4), reader.sized(64)
    if kind not in (_RSA, _ECC):
        raise reader.wrong("it is neither RSA nor ECC")
    cipher = _cipher(reader)
    key = _rsa(reader) if kind == _RSA else _ecc(reader)
    reader.end()
    return TpmPublic(area, attributes, policy, cipher, key)


def _cipher(reader: _Reader) -> tuple[int, int, int]:
    """TPMT_SYM_DEF_OBJECT."""
    algorithm = reader.number(2)
    return (algorithm, 0, 0) if algorithm == _NULL else (algorithm, reader.number(2), reader.number(2))


def _scheme(reader: _Reader) -> None:
    """TPMT_RSA_SCHEME or TPMT_ECC_SCHEME: none, or a signature's over SHA-256."""
    scheme = reader.number(2)
    if scheme == _NULL:
        return
    if scheme not in (_RSASSA, _RSAPSS, _ECDSA) or reader.number(2) != _SHA256:
        raise reader.wrong("its scheme is none that is read here")


def _rsa(reader: _Reader) -> rsa.RSAPublicKey:
    _scheme(reader)
    bits, exponent, modulus = reader.number(2), reader.number(4), reader.sized(_RSA_BITS // 8)
    number = int.from_bytes(modulus, "big")
    whole = number.bit_length() == bits == _RSA_BITS and number & 1
    if not whole or exponent not in (0, _RSA_EXPONENT):  # 0 stands for the usual one
        raise reader.wrong("it is no RSA key of 2048 bits with the exponent 65537")
    return _made(lambda: rsa.RSAPublicNumbers(_RSA_EXPONENT, number).public_key(), reader)


def _ecc(reader: _Reader) -> ec.EllipticCurvePublicKey:
    _scheme(reader)
    curve, derivation = reader.number(2), reader.number(2)
    x, y = (int.from_bytes(reader.sized(32), "big") for _ in "xy")
    if curve != _P256 or derivation != _NULL:
        raise reader.wrong("it is no ECC key on P-256")
    return _made(lambda: ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key(), reader)


def _made(make: Callable[[], K], reader: _Reader) -> K:
    try:
        return make()
    except ValueError as error:  # such as a point beside the curve
        raise reader.wrong("its numbers are no key") from error


def require_endorsement(ek: TpmPublic) -> rsa.RSAPublicKey:
    """The key of `ek`, where that is an endorsement key of the default RSA template ("EK Credential Profile" L-1).

    Such a key only decrypts what `identity.tpmcredential` made for a key of the same TPM. Raises `bad_tpm_key`.
    """
    wanted = _FROM_THE_TPM | _POLICY | _DECRYPT
    good = ek.attributes & (wanted | _SIGN) == wanted and ek.policy == _POLICY_A and ek.cipher == (_AES, 128, _CFB)
    if not good or not isinstance(ek.key, rsa.RSAPublicKey):
        raise IdentityError("this is no endorsement key of the default RSA 2048 template.", reason=BAD_KEY)
    return ek.key


def require_attestation(ak: TpmPublic) -> None:
    """Raises `bad_tpm_key` unless `ak` lives in the TPM and signs nothing but what the TPM itself made."""
    wanted = _FROM_THE_TPM | _SIGN
    if ak.attributes & (wanted | _DECRYPT) != wanted:
        raise IdentityError(
            "this is no attestation key: it has to be fixedTPM, fixedParent, restricted and for signing.",
            reason=BAD_KEY,
        )


def qualified_name(ek: TpmPublic, ak: TpmPublic) -> bytes:
    """How a quote names `ak` as a child of `ek` in the endorsement hierarchy (Part 1 section 16)."""
    return _named(_named(_ENDORSEMENT + ek.name) + ak.name)


def _named(data: bytes) -> bytes:
    return _SHA256.to_bytes(2, "big") + hashlib.sha256(data).digest()


def verify_quote(ak: TpmPublic, quote: bytes, signature: bytes, *, nonce: bytes, pcrs: Mapping[int, bytes]) -> Quoted:
    """What `quote` (a TPMS_ATTEST) says, once it holds that:

    1. `ak` is an attestation key and `signature` (a TPMT_SIGNATURE) is its, over the bytes of the quote;
    2. a TPM made it, as a quote, over `nonce`;
    3. it is about exactly the PCRs of `pcrs`, in the SHA-256 bank;
    4. its digest is that of their values.

    Raises `IdentityError`: `bad_tpm_key`, `bad_tpm_data`, or `bad_quote`.
    """
    require_attestation(ak)
    _require_signed(ak.key, quote, signature)
    reader = _Reader(quote, "quote")
    if reader.number(4) != _GENERATED or reader.number(2) != _ATTEST_QUOTE:
        raise IdentityError("this is signed by the TPM's key but is no quote.", reason=REFUSED)
    signer, extra = reader.sized(_MAX_NAME), reader.sized(_MAX_EXTRA)
    reader.take(8)  # TPMS_CLOCK_INFO: clock, resetCount, restartCount, safe
    resets = reader.number(4)
    reader.take(4 + 1 + 8)  # and the firmware's version
    selected = _selected(reader)
    digest = reader.sized(PCR_BYTES)
    reader.end()
    if not hmac.compare_digest(extra, nonce):
        raise IdentityError("the quote is not over the nonce that was asked for.", reason=REFUSED)
    _require_values(selected, digest, pcrs)
    return Quoted({f"pcr:{number}": pcrs[number].hex() for number in sorted(pcrs)}, signer, resets)


def _require_values(selected: frozenset[int], digest: bytes, pcrs: Mapping[int, bytes]) -> None:
    if selected != frozenset(pcrs):
        raise IdentityError("the quote is about other PCRs than were asked for.", reason=REFUSED)
    if any(len(value) != PCR_BYTES for value in pcrs.values()):
        raise IdentityError(f"the value of a PCR has {PCR_BYTES} bytes.", reason=REFUSED)
    told = hashlib.sha256(b"".join(pcrs[number] for number in sorted(pcrs))).digest()
    if not hmac.compare_digest(told, digest):
        raise IdentityError("the values of the PCRs are not those that the TPM quoted.", reason=REFUSED)


def _selected(reader: _Reader) -> frozenset[int]:
    """TPML_PCR_SELECTION of one bank, SHA-256; bit N of byte M is PCR 8 * M + N."""
    count, bank = reader.number(4), reader.number(2)
    if count != 1 or bank != _SHA256:
        raise IdentityError("the quote is not about the SHA-256 bank alone.", reason=REFUSED)
    size = reader.number(1)
    if size > (MAX_PCR + 1) // 8:
        raise reader.wrong("it selects PCRs that no TPM has")
    bits = reader.take(size)
    return frozenset(8 * index + bit for index, byte in enumerate(bits) for bit in range(8) if byte >> bit & 1)


def _require_signed(key: Key, message: bytes, signature: bytes) -> None:
    """TPMT_SIGNATURE: RSASSA, RSAPSS or ECDSA over SHA-256."""
    reader = _Reader(signature, "quote's signature")
    scheme, hashed = reader.number(2), reader.number(2)
    ours = hashed == _SHA256
    try:
        if ours and isinstance(key, rsa.RSAPublicKey) and scheme in (_RSASSA, _RSAPSS):
            made = reader.sized(_RSA_BITS // 8)
            reader.end()
            # How long the salt is depends on the TPM (Part 1 annex B.7): the signature itself tells.
            pss = padding.PSS(padding.MGF1(SHA256()), padding.PSS.AUTO)
            key.verify(made, message, padding.PKCS1v15() if scheme == _RSASSA else pss, SHA256())
        elif ours and isinstance(key, ec.EllipticCurvePublicKey) and scheme == _ECDSA:
            r, s = (int.from_bytes(reader.sized(32), "big") for _ in "rs")
            reader.end()
            key.verify(encode_dss_signature(r, s), message, ec.ECDSA(SHA256()))
        else:
            raise IdentityError("the quote is signed in a way that its key is not for.", reason=REFUSED)
    except InvalidSignature as error:
        raise IdentityError("the quote's signature is not by the key of this node's TPM.", reason=REFUSED) from error
