"""A TPM without a chip: keys and quotes as a TPM writes them, made of parts that a test may change one by one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from spectra.identity.tpm import qualified_name, read_public
from spectra.model.attestations import Quote, TpmKeys

POLICY_A = bytes.fromhex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa")
EK_ATTRIBUTES = 0x000300B2
AK_ATTRIBUTES = 0x00050072
PCRS = {number: hashlib.sha256(b"pcr %d" % number).digest() for number in range(8)}

_EK = rsa.generate_private_key(65537, 2048)  # one for all: making one takes a tenth of a second


def sized(data: bytes) -> bytes:
    """A TPM2B."""
    return len(data).to_bytes(2, "big") + data


def number(value: int, size: int = 2) -> bytes:
    """As TPMs write it."""
    return value.to_bytes(size, "big")


def rsa_public(key: rsa.RSAPrivateKey, attributes: int, policy: bytes = POLICY_A, scheme: bytes = b"\0\x10") -> bytes:
    """A TPM2B_PUBLIC; with the default scheme (none), of an endorsement key."""
    cipher = number(6) + number(128) + number(0x43) if scheme == b"\0\x10" else number(0x10)
    modulus = key.public_key().public_numbers().n.to_bytes(256, "big")
    area = number(1) + number(0xB) + number(attributes, 4) + sized(policy) + cipher + scheme
    return sized(area + number(2048) + number(0, 4) + sized(modulus))


def ecc_public(key: ec.EllipticCurvePrivateKey, attributes: int = AK_ATTRIBUTES) -> bytes:
    """A TPM2B_PUBLIC of an attestation key on P-256."""
    numbers = key.public_key().public_numbers()
    area = number(0x23) + number(0xB) + number(attributes, 4) + sized(b"") + number(0x10) + number(0x18) + number(0xB)
    point = sized(numbers.x.to_bytes(32, "big")) + sized(numbers.y.to_bytes(32, "big"))
    return sized(area + number(3) + number(0x10) + point)


def selection(pcrs: Mapping[int, bytes], bank: int = 0xB) -> bytes:
    """TPML_PCR_SELECTION of one bank."""
    bits = sum(1 << pcr for pcr in pcrs)
    return number(1, 4) + number(bank) + number(3, 1) + bits.to_bytes(3, "little")


def digest(pcrs: Mapping[int, bytes]) -> bytes:
    """Of the PCRs' values, one after the other."""
    return hashlib.sha256(b"".join(pcrs[pcr] for pcr in sorted(pcrs))).digest()


@dataclass
class PaperTpm:
    """Signs whatever a test wants signed, as no TPM would."""

    ek: rsa.RSAPrivateKey = _EK
    ak: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    ak_attributes: int = AK_ATTRIBUTES
    pcrs: dict[int, bytes] = field(default_factory=lambda: dict(PCRS))

    @property
    def keys(self) -> TpmKeys:
        """Its public keys."""
        return TpmKeys(ek=rsa_public(self.ek, EK_ATTRIBUTES), ak=ecc_public(self.ak, self.ak_attributes))

    @property
    def signer(self) -> bytes:
        """The qualified name of its attestation key."""
        return qualified_name(read_public(self.keys.ek), read_public(self.keys.ak))

    def attest(
        self,
        nonce: bytes,
        *,
        magic: int = 0xFF544347,
        kind: int = 0x8018,
        signer: bytes | None = None,
        selected: bytes | None = None,
        hashed: bytes | None = None,
    ) -> bytes:
        """A TPMS_ATTEST of a quote."""
        head = number(magic, 4) + number(kind) + sized(self.signer if signer is None else signer) + sized(nonce)
        clock = number(12345, 8) + number(7, 4) + number(0, 4) + b"\1" + number(0x2019, 8)
        what = selection(self.pcrs) if selected is None else selected
        return head + clock + what + sized(digest(self.pcrs) if hashed is None else hashed)

    def sign(self, message: bytes) -> bytes:
        """A TPMT_SIGNATURE."""
        r, s = decode_dss_signature(self.ak.sign(message, ec.ECDSA(SHA256())))
        return number(0x18) + number(0xB) + sized(r.to_bytes(32, "big")) + sized(s.to_bytes(32, "big"))

    def quote(self, nonce: bytes, secret: bytes = b"") -> Quote:
        """As `collect.tpm` has it from a real one."""
        message = self.attest(nonce)
        values = tuple(self.pcrs[pcr] for pcr in sorted(self.pcrs))
        return Quote(quote=message, signature=self.sign(message), pcrs=values, secret=secret)

    def decrypt(self, sealed: bytes) -> bytes:
        """What is encrypted for its endorsement key."""
        oaep = padding.OAEP(mgf=padding.MGF1(SHA256()), algorithm=SHA256(), label=b"IDENTITY\0")
        return self.ek.decrypt(sealed, oaep)


def self_signed() -> x509.Certificate:
    """A certificate of the endorsement key's, as a maker leaves it in a TPM, but signed by the key itself."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a paper TPM")])
    begin = datetime(2027, 1, 1, tzinfo=UTC)
    made = x509.CertificateBuilder(name, name, _EK.public_key(), 1, begin, begin + timedelta(days=3650))
    return made.sign(_EK, SHA256())
