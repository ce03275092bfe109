"""An authenticator for tests: makes passkeys and answers with them as a browser would, without one."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from webauthn.helpers import encode_cbor

PRESENT: Final = 0x01
VERIFIED: Final = 0x04
_WITH_CREDENTIAL: Final = 0x40


def text(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def raw(told: str) -> bytes:
    """What base64url without padding stands for."""
    return base64.urlsafe_b64decode(told + "=" * (-len(told) % 4))


@dataclass
class Authenticator:
    """One passkey: a P-256 key, a credential id, and a count of its uses that stays 0 unless it `counts`."""

    counts: bool = False
    uses: int = 0
    id: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    handle: bytes = b""

    def create(self, options: dict[str, Any], origin: str) -> dict[str, Any]:
        """What `navigator.credentials.create` returns, as JSON has it (attestation `none`)."""
        self.handle = raw(options["user"]["id"])
        data = self._data(options["rp"]["id"], PRESENT | VERIFIED | _WITH_CREDENTIAL)
        numbers = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        data += bytes(16) + len(self.id).to_bytes(2, "big") + self.id + encode_cbor(cose)
        told = self._answer(
            clientDataJSON=self._client("webauthn.create", options["challenge"], origin),
            attestationObject=encode_cbor({"fmt": "none", "attStmt": {}, "authData": data}),
        )
        told["response"]["transports"] = ["usb"]
        return told

    def get(self, options: dict[str, Any], origin: str, *, flags: int = PRESENT | VERIFIED) -> str:
        """What `navigator.credentials.get` returns, as JSON."""
        client = self._client("webauthn.get", options["challenge"], origin)
        self.uses += self.counts
        data = self._data(options["rpId"], flags)
        signed = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        told = self._answer(clientDataJSON=client, authenticatorData=data, signature=signed, userHandle=self.handle)
        return json.dumps(told)

    def _data(self, party: str, flags: int) -> bytes:
        return hashlib.sha256(party.encode()).digest() + bytes([flags]) + self.uses.to_bytes(4, "big")

    def _client(self, kind: str, challenge: str, origin: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": origin, "crossOrigin": False}).encode()

    def _answer(self, **response: bytes) -> dict[str, Any]:
        told = {name: text(value) for name, value in response.items() if value}
        return {"id": text(self.id), "rawId": text(self.id), "type": "public-key", "response": told}
