"""The provisioner's key: as step-ca would read it, and none other."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from spectra.identity.errors import IdentityError
from spectra.identity.provisioner import Provisioner, thumbprint

ONE = Provisioner.create()


def test_it_comes_back_from_its_json() -> None:
    """Name, key and key id; the private part is in that text alone."""
    again = Provisioner.from_json(ONE.to_json())
    assert (again.name, again.kid, again.jwk_public()) == ("spectra", ONE.kid, ONE.jwk_public())
    secret = json.loads(ONE.to_json())["key"]["d"]
    assert secret not in repr(ONE)
    assert "d" not in ONE.jwk_public()


def test_its_public_key_is_a_jwk_that_another_library_reads() -> None:
    """And a token it signed is verified by that."""
    key = jwt.PyJWK(ONE.jwk_public())
    token = ONE.sign({"sub": "n1"})
    assert jwt.decode(token, key.key, algorithms=["ES256"]) == {"sub": "n1"}
    assert jwt.get_unverified_header(token) == {"alg": "ES256", "typ": "JWT", "kid": ONE.kid}


def test_key_ids_are_rfc_thumbprints() -> None:
    """The example of RFC 8037 appendix A.3, and for ECDSA the rule of RFC 7638 spelled out by hand."""
    x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    key = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(x + "="))
    assert thumbprint(key) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    public = ONE.jwk_public()
    by_hand = f'{{"crv":"P-256","kty":"EC","x":"{public["x"]}","y":"{public["y"]}"}}'
    assert thumbprint(ONE.public) == _sha256(by_hand) == ONE.kid


def _sha256(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def test_the_key_of_a_real_step_ca_keeps_its_id() -> None:
    """A decrypted JWK with further members and a `kid` of its own."""
    kept: dict[str, Any] = json.loads(ONE.to_json())
    kept["key"] |= {"kid": "chosen", "use": "sig", "extra": 1}
    kept["name"] = "ops@example.org"
    read = Provisioner.from_json(json.dumps(kept).encode())
    assert (read.name, read.kid) == ("ops@example.org", "chosen")


@pytest.mark.parametrize(
    "changed",
    [{"kty": "oct"}, {"crv": "P-384"}, {"x": "A" * 43}, {"d": ""}, {"d": "A" * 43}, {"y": "=" * 43}, {"x": 7}],
    ids=repr,
)
def test_what_is_no_key_is_refused(changed: dict[str, Any]) -> None:
    """A point off the curve, a private key that is zero, another curve."""
    kept: dict[str, Any] = json.loads(ONE.to_json())
    kept["key"] |= changed
    with pytest.raises(IdentityError):
        Provisioner.from_json(json.dumps(kept).encode())


@given(st.binary(max_size=100))
def test_any_bytes_are_answered(raw: bytes) -> None:
    """Refused with the room's one error."""
    with pytest.raises(IdentityError):
        Provisioner.from_json(raw)


def test_other_curves_do_not_sign() -> None:
    """Tokens are ES256 and nothing else."""
    with pytest.raises(IdentityError):
        Provisioner(ec.generate_private_key(ec.SECP384R1()))
