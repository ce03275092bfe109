"""Keys of a step-ca's provisioner: plain, and encrypted as smallstep's own tools did it."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest

from spectra.identity import provisionerkey
from spectra.identity.errors import IdentityError
from spectra.identity.provisioner import Provisioner
from spectra.identity.provisionerkey import read_provisioner

# `encryptedKey` and `key.kid` of the ca.json that `step ca init` (0.30.2) wrote for a test, password "secret".
KID = "97UMGFkNvZRiGN2UBgoGLj88bJhnhpg7zmowxD2LGzs"
COMPACT = (
    b"eyJhbGciOiJQQkVTMi1IUzI1NitBMTI4S1ciLCJjdHkiOiJqd2sranNvbiIsImVuYyI6IkEyNTZHQ00iLCJwMmMiOjYwMDAwMCwicDJzIjoiWWxZejZB"
    b"MlkzUldvTUxJb0JsWV9pdyJ9.eAZPaz4BsWNzoGzpypPMAt3ph6-2bWD5tXQzUE874sCfPJ2JrfoSZg.Mzf2YeVNG-1h_eLn.mbuGSAWa5yxWIX4nbOC"
    b"lHR6o6qRyMCmgYZe5PtStQFq4EuMNc3b3_khsp19qQqWTnyLaxaJDy9w-i1JZY6TM3QoO6CCiLn5NnRfTevDZziThqbQFKPxGEQiBvU9jBtlkwRrH62"
    b"LNykggJ_YphvfFX8AUIfh4pR-eA9Dbafct2_mQs7qCbMaVwezFeMYAxsdM_XkUfURvYy1trOtzDN6TunGwZEIM8e-JvNOGuaConqLlHmjiEw9aIDE5d"
    b"_wiPPEQEiIpwCwdvQJbVGVg48p6f1o1f3pAo3WuZxG6Z7bTXeYCF0j_TEVTOhYwOzOVTAOuU-M-BG9cWBDF17HM90s.QDNGRL2rvREyASHY0Pg5LA"
)
PARTS = ("protected", "encrypted_key", "iv", "ciphertext", "tag")


def flattened(**changed: object) -> bytes:
    """The same key in the other spelling."""
    return json.dumps(dict(zip(PARTS, COMPACT.decode().split("."), strict=True)) | changed).encode()


@pytest.mark.parametrize("raw", [COMPACT, b"  " + COMPACT + b"\n", flattened()])
def test_a_key_that_step_encrypted_opens_with_its_password(raw: bytes) -> None:
    """In both spellings; the key is the one whose public half step-ca shows."""
    found = read_provisioner(raw, "spectra", b"secret")
    assert (found.name, found.kid) == ("spectra", KID)
    assert found.sign({"sub": "x"}).count(".") == 2


def test_without_the_password_it_stays_closed() -> None:
    """No password and a wrong one are told apart."""
    with pytest.raises(IdentityError) as missing:
        read_provisioner(COMPACT, "spectra")
    assert missing.value.reason == "password_needed"
    with pytest.raises(IdentityError) as wrong:
        read_provisioner(COMPACT, "spectra", b"secret\n")
    assert wrong.value.reason == "wrong_password"


def test_plain_keys_are_taken_as_they_are() -> None:
    """A bare JWK is named by the setting; ours bears a name of its own."""
    made = Provisioner.create("kept")
    whole = json.loads(made.to_json())
    assert read_provisioner(made.to_json(), "").name == "kept"
    assert read_provisioner(made.to_json(), "other").name == "other"
    bare = read_provisioner(json.dumps(whole["key"]).encode(), "spectra")
    assert (bare.name, bare.kid) == ("spectra", made.kid)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"{}",
        b"{" * 5000,
        b"a.b.c",
        b"a.b.c.d.e",
        b"!.b.c.d.e",
        b"x" * (provisionerkey.MAX_CHARS + 1),
        COMPACT[:-4] + b"AAAA",
        flattened(iv=""),
        flattened(iv="AAAA"),
        flattened(encrypted_key="AAAA"),
        flattened(tag="A"),
        b'{"kty":"EC","crv":"P-384"}',
        b'{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}',
    ],
)
def test_what_is_no_key_is_refused(raw: bytes) -> None:
    """Always with the one kind of error."""
    with pytest.raises(IdentityError):
        read_provisioner(raw, "spectra", b"secret")


@pytest.mark.parametrize(
    "changed",
    [
        {"alg": "dir"},
        {"alg": "PBES2-HS512+A256KW"},
        {"enc": "A256CBC-HS512"},
        {"p2c": provisionerkey.MAX_ROUNDS + 1},
        {"p2c": 999},
        {"p2s": "AAAA"},
        {"zip": "DEF"},
        {"crit": ["x"]},
    ],
)
def test_other_ways_of_encrypting_are_not_read(changed: dict[str, object]) -> None:
    """Nor work without a bound."""
    header = json.loads(urlsafe_b64decode(COMPACT.split(b".", maxsplit=1)[0] + b"=="))
    protected = urlsafe_b64encode(json.dumps(header | changed).encode()).decode().rstrip("=")
    with pytest.raises(IdentityError):
        read_provisioner(flattened(protected=protected), "spectra", b"secret")
