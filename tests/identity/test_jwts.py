"""Tokens: what is signed holds, and nothing else does, however it is spelled."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.identity import jwts
from spectra.identity.errors import IdentityError
from spectra.identity.jwts import AUDIENCE, LEEWAY_S, MAX_TOKEN_CHARS, AccessClaims, WrongAudience
from spectra.identity.keys import PublicKey, SigningKey
from tests.support.fixed_keys import fixed_key

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
AT = int(NOW.timestamp())
KEY, OTHER = fixed_key(1), fixed_key(2)
ISSUER = "urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e"
GOOD: dict[str, Any] = {
    "iss": ISSUER,
    "aud": AUDIENCE,
    "sub": "alice",
    "client_id": "spectra-cli",
    "iat": AT,
    "nbf": AT,
    "exp": AT + 600,
    "jti": "j" * 16,
    "sid": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
    "role": "user",
    "scope": "search:read self:read",
}
HEADERS = {"typ": "at+jwt", "kid": KEY.public.keyid}


def known(kid: str) -> PublicKey | None:
    """The one key of this mesh."""
    return KEY.public if kid == KEY.public.keyid else None


def token(claims: dict[str, Any] | None = None, *, key: SigningKey = KEY) -> str:
    """A token of whatever claims, made by another library's rules."""
    return jwt.encode(GOOD if claims is None else claims, key.to_pem(), algorithm="EdDSA", headers=HEADERS)


def verify(text: str, now: datetime = NOW) -> AccessClaims:
    """The claims of an access token."""
    return jwts.verify_access(text, known=known, issuer=ISSUER, now=now).claims


def refused(text: str, now: datetime = NOW) -> None:
    """Refused, with the one reason."""
    with pytest.raises(IdentityError) as caught:
        verify(text, now)
    assert caught.value.reason == "bad_token"


def part(value: object) -> str:
    """One part of a token by hand."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def by_hand(header: object, claims: object) -> str:
    """A token that no library would make, signed by our key."""
    signed = f"{part(header)}.{part(claims)}"
    return f"{signed}.{part(KEY.sign(signed.encode()))}"


def test_what_was_signed_comes_back() -> None:
    """Our own tokens, and those another library makes of the same claims."""
    claims = AccessClaims(**GOOD)
    assert verify(jwts.sign_access(KEY, claims)) == claims
    assert verify(token()) == claims
    assert jwt.get_unverified_header(jwts.sign_access(KEY, claims)) == {**HEADERS, "alg": "EdDSA"}


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "urn:uuid:other"},
        {"aud": "another-api"},
        {"aud": [AUDIENCE]},
        {"exp": AT - int(LEEWAY_S) - 1},
        {"nbf": AT + int(LEEWAY_S) + 1},
        {"exp": None},
        {"exp": "9999999999"},
        {"exp": float("inf")},
        {"exp": -1},
        {"exp": 10**400},
        {"sub": ""},
        {"sub": "x" * 201},
        {"sub": 7},
        {"sid": "' OR true --"},
        {"sid": "7C9E6679-7425-40DE-944B-E07FC1F90AE7"},
        {"scope": "x" * 2001},
        {"more": 1},
        {"narrowed": "yes"},
    ],
    ids=repr,
)
def test_claims_that_are_not_ours(changed: dict[str, Any]) -> None:
    """Well signed, but another issuer, audience, time or form."""
    refused(token(GOOD | changed))


@pytest.mark.parametrize("missing", sorted(GOOD))
def test_every_claim_is_required(missing: str) -> None:
    """A token without one of them is of another kind."""
    refused(token({name: value for name, value in GOOD.items() if name != missing}))


@pytest.mark.parametrize(
    "headers",
    [
        {"typ": "JWT"},
        {"typ": None},
        {"typ": "at+JWT"},
        {"kid": OTHER.public.keyid},
        {"kid": "x"},
        {"kid": "../../etc/passwd"},
        {"kid": None},
        {"jwk": jwts.jwk(OTHER.public)},
        {"jku": "http://evil.example/jwks.json"},
        {"x5u": "http://evil.example/"},
        {"cty": "JWT"},
    ],
    ids=repr,
)
def test_headers_that_are_not_ours(headers: dict[str, Any]) -> None:
    """What is not read is refused: no header can bring a key or an address along."""
    refused(by_hand(HEADERS | {"alg": "EdDSA"} | headers, GOOD))


def test_a_critical_header_is_refused() -> None:
    """RFC 7515 section 4.1.11: an extension that is not understood makes the token invalid."""
    refused(by_hand(HEADERS | {"alg": "EdDSA", "crit": ["exp"]}, GOOD))


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "HS256", "HS512", "RS256", "ES256", "Ed25519", ""])
def test_the_algorithm_is_ours_to_name(algorithm: str) -> None:
    """RFC 8725 section 2.1: without signature, and with the public key as the secret of an HMAC."""
    import hmac

    signed = f"{part(HEADERS | {'alg': algorithm})}.{part(GOOD)}"
    mac = hmac.digest(KEY.public.raw, signed.encode(), "sha512")
    for signature in (b"", mac, mac[:32], KEY.sign(signed.encode()) if algorithm != "EdDSA" else b""):
        refused(f"{signed}.{part(signature)}")


def test_a_tampered_token() -> None:
    """One character of any part, or another's signature."""
    header, body, signature = token().split(".")
    admin = part(GOOD | {"role": "admin", "sub": "root"})
    for text in (
        f"{header}.{admin}.{signature}",
        f"{header}.{body}.{signature[:-4]}AAAA",
        f"{header}.{body}.{token(key=OTHER).split('.')[2]}",
        token(key=OTHER),
    ):
        refused(text)


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "...", "a.b.c", "é.é.é", "\x00", "\ud800", " ", "spk_" + "x" * 43, "a" * 100_000, "." * 100_000],
    ids=lambda t: repr(t[:10]),
)
def test_what_is_no_token(text: str) -> None:
    """Never anything but the one error."""
    refused(text)


def test_a_huge_token_is_not_read() -> None:
    """Well signed, but larger than any of ours."""
    text = token(GOOD | {"scope": "x" * MAX_TOKEN_CHARS})
    refused(text)


def test_clocks_may_differ_a_little() -> None:
    """Leeway either way, and no more."""
    text = token()
    for seconds in (-LEEWAY_S, 0, 600 + LEEWAY_S - 1):
        verify(text, NOW + timedelta(seconds=seconds))
    for seconds in (-LEEWAY_S - 1, 600 + LEEWAY_S):
        refused(text, NOW + timedelta(seconds=seconds))


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda b: b.decode("latin-1")))
def test_any_text_is_refused_cleanly(text: str) -> None:
    """Whatever stands in the field."""
    refused(text)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "b64", "x"]), _JSON, max_size=5),
    st.dictionaries(st.sampled_from([*GOOD, "x"]), _JSON, max_size=6),
    st.booleans(),
)
def test_any_signed_object_is_refused_cleanly(header: dict[str, Any], body: dict[str, Any], whole: bool) -> None:
    """Shaped like a token and signed by the right key, with any header and any claims over the good ones."""
    text = by_hand(HEADERS | {"alg": "EdDSA"} | header, (GOOD if whole else {}) | body)
    try:
        claims = verify(text)
    except IdentityError:
        refused(text)
    else:
        assert claims.iss == ISSUER
        assert claims.exp > AT - LEEWAY_S


# Assertions ----------------------------------------------------------------------------------------------------------

HERE = "http://127.0.0.1:8765/v0/auth/token"


def asserted(key: SigningKey = KEY, headers: dict[str, Any] | None = None, **changes: Any) -> str:
    """An assertion as another library makes one."""
    claims = {"iss": "probe", "sub": "probe", "aud": HERE, "exp": AT + 60, "jti": "j" * 8} | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, key.to_pem(), algorithm="EdDSA", headers=headers or {"kid": key.public.keyid})


def check(text: str, now: datetime = NOW) -> jwts.Assertion:
    """Verify an assertion of the key's holder `probe`."""
    return jwts.verify_assertion(text, key=KEY.public, account="probe", audiences={HERE, ISSUER}, now=now)


def test_an_assertion_holds_for_its_server() -> None:
    """Made here or by another library, by the account's name or the keyid, for one of our names among others."""
    keyid = KEY.public.keyid
    own = jwts.build_assertion(KEY, subject="probe", audience=HERE, now=NOW, jti="n" * 22)
    for text in (
        own,
        asserted(),
        asserted(iss=keyid, sub=keyid, headers={"typ": "JWT"}),
        asserted(aud=["http://elsewhere", ISSUER]),
        asserted(extra={"more": 1}, nbf=AT, iat=AT, exp=AT + 59.5),
    ):
        assert jwts.assertion_keyid(text) == keyid
        assert jwts.expires(check(text)) > NOW


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "other"},
        {"sub": "other"},
        {"iss": "other", "sub": "other"},
        {"iss": OTHER.public.keyid, "sub": OTHER.public.keyid},
        {"exp": AT - 31},
        {"exp": AT + 331},
        {"exp": None},
        {"exp": True},
        {"nbf": AT + 31},
        {"jti": None},
        {"jti": "short"},
        {"jti": "x" * 129},
        {"jti": "a\x00bcdefgh"},
        {"aud": None},
        {"aud": []},
        {"aud": ["x"] * 11},
        {"key": OTHER},
        {"headers": {"kid": KEY.public.keyid, "typ": "at+jwt"}},
        {"headers": {"kid": KEY.public.keyid, "crv": "x"}},
    ],
    ids=repr,
)
def test_assertions_that_are_refused(changes: dict[str, Any]) -> None:
    """Of somebody else, over, held for too long, without an id, by another key, or of another type."""
    with pytest.raises(IdentityError) as caught:
        check(asserted(**changes))
    assert caught.value.reason == "bad_token"


def test_an_assertion_for_another_server() -> None:
    """Told apart, because its maker can mend it; never taken, because that server could be the one who sent it."""
    with pytest.raises(WrongAudience):
        check(asserted(aud="http://evil.example/v0/auth/token"))


def test_an_access_token_is_no_assertion() -> None:
    """And the other way round: each has a type of its own (RFC 8725 section 3.11)."""
    with pytest.raises(IdentityError):
        check(token())
    refused(asserted())


def test_an_assertion_has_to_name_a_key() -> None:
    """By `kid`, or by an issuer that is one; nothing else is looked up."""
    for text in (asserted(headers={"typ": "JWT"}), "x", asserted(headers={"kid": "x"})):
        with pytest.raises(IdentityError):
            jwts.assertion_keyid(text)


def test_a_key_set_can_be_read_by_others() -> None:
    """Another library verifies our token with our JSON Web Key."""
    key = jwt.PyJWK(jwts.jwk(KEY.public))
    options: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
    said = jwt.decode(token(), key, algorithms=["EdDSA"], audience=AUDIENCE, options=options)
    assert said["sub"] == "alice"
