"""Join tokens and renew tokens: as step spells them, and nothing else passes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography import x509 as cx
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from spectra.identity import jointokens, x509
from spectra.identity.errors import IdentityError
from spectra.identity.jointokens import Join, Provisioner, audiences
from spectra.identity.names import node_uri

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
AT = int(NOW.timestamp())
HOUR = timedelta(hours=1)
CA, API, MESH = "https://ca.example:8766", "https://ca.example:8766", "mesh-a"
SHA = "ab" * 32
OURS, OTHER = Provisioner.create(), Provisioner.create()
SIGN = audiences(CA)
RENEW = audiences(CA, path="renew")
SigningKey = ec.EllipticCurvePrivateKey | Ed25519PrivateKey | rsa.RSAPrivateKey


def mint(provisioner: Provisioner = OURS, **changed: Any) -> str:
    """A token for the node n1."""
    given: dict[str, Any] = {
        "ca_url": CA,
        "api_url": API,
        "name": "n1",
        "mesh": MESH,
        "role": "worker",
        "fingerprint": SHA,
        "now": NOW,
        "ttl": HOUR,
        "jti": "j" * 16,
    }
    return jointokens.mint(provisioner, **(given | changed))


def verify(token: str, now: datetime = NOW) -> Join:
    """As the CA does."""
    return jointokens.verify(token, provisioner=OURS, audiences=SIGN, now=now)


def refused(token: str, now: datetime = NOW, reason: str = "bad_token") -> None:
    """Refused, for that reason."""
    with pytest.raises(IdentityError) as caught:
        verify(token, now)
    assert caught.value.reason == reason


def claims_of(token: str) -> dict[str, Any]:
    """The claims, read by another library."""
    return jwt.decode(token, options={"verify_signature": False})


GOOD = claims_of(mint())


def test_the_claims_are_those_that_step_reads() -> None:
    """`iss`, `aud`, `sub`, `sans`, `sha`, `jti` and the times, by the names and in the forms of its source."""
    token = mint()
    assert claims_of(token) == {
        "iss": "spectra",
        "aud": "https://ca.example:8766/1.0/sign",
        "sub": "n1",
        "sans": [node_uri(MESH, "n1")],
        "iat": AT,
        "nbf": AT,
        "exp": AT + 3600,
        "jti": "j" * 16,
        "sha": SHA,
        "spectra": {"mesh": MESH, "role": "worker", "reusable": False, "api": API},
    }
    assert jwt.get_unverified_header(token) == {"alg": "ES256", "typ": "JWT", "kid": OURS.kid}
    assert jwt.decode(token, jwt.PyJWK(OURS.jwk_public()).key, algorithms=["ES256"], options=WITHOUT_TIME) == GOOD


WITHOUT_TIME: Any = {"verify_exp": False, "verify_aud": False, "verify_nbf": False, "verify_iat": False}


def test_what_was_minted_is_what_both_sides_read() -> None:
    """The machine that joins, without verifying, and the CA."""
    token = mint()
    expected = Join(
        id="j" * 16,
        name="n1",
        uri=node_uri(MESH, "n1"),
        mesh=MESH,
        role="worker",
        reusable=False,
        ca_url=CA,
        api_url=API,
        fingerprint=SHA,
        issued=NOW,
        expires=NOW + HOUR,
    )
    assert jointokens.peek(token) == expected
    assert verify(token) == expected


def test_a_reusable_token_names_nobody() -> None:
    """Whoever joins by it is named by the CA."""
    token = mint(name="", reusable=True, role="full")
    assert claims_of(token)["sub"] == "*"
    assert "sans" not in claims_of(token)
    join = verify(token)
    assert (join.name, join.uri, join.reusable, join.role) == ("", "", True, "full")


def test_ids_are_random_unless_given() -> None:
    """Two tokens for one name are two tokens."""
    assert verify(mint(jti="")).id != verify(mint(jti="")).id


@pytest.mark.parametrize(
    "changed",
    [
        {"ttl": timedelta(0)},
        {"ttl": timedelta(days=31)},
        {"ttl": timedelta(milliseconds=1)},
        {"name": ""},
        {"name": "N1"},
        {"name": "*"},
        {"name": "n1", "reusable": True},
        {"mesh": "a/b"},
        {"role": "king"},
        {"fingerprint": "ab"},
        {"jti": "short"},
        {"jti": "' OR true -- 1234567"},
        {"ca_url": "http://ca.example"},
        {"ca_url": "https://user@ca.example"},
        {"ca_url": "https://ca.example/?a"},
        {"ca_url": "https://ca.example:x"},
        {"ca_url": "https://[::1"},
        {"ca_url": "https://" + "a" * 200},
        {"ca_url": "https://ca example"},
        {"api_url": "ftp://ca.example"},
    ],
    ids=repr,
)
def test_no_token_is_minted_that_would_be_refused(changed: dict[str, Any]) -> None:
    """The mistake is told to whoever makes the token, not to the machine that joins."""
    with pytest.raises(IdentityError):
        mint(**changed)


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "other"},
        {"aud": "https://other.example:8766/1.0/sign"},
        {"aud": "https://ca.example:8766/1.0/renew"},
        {"aud": "https://ca.example:8766/1.0/revoke"},
        {"aud": "http://ca.example:8766/1.0/sign"},
        {"aud": "https://ca.example:8766/1.0/sign#other"},
        {"aud": "https://ca.example:8766/1.0/sign?x"},
        {"aud": "https://ca.example.evil.example/1.0/sign"},
        {"aud": "https://[::1/1.0/sign"},
        {"aud": ["https://ca.example:8766/1.0/sign"]},
        {"sub": "n2"},
        {"sub": "*"},
        {"sub": ""},
        {"sans": []},
        {"sans": [node_uri(MESH, "n2")]},
        {"sans": [node_uri("mesh-b", "n1")]},
        {"sans": [node_uri(MESH, "n1"), node_uri(MESH, "n2")]},
        {"sans": "n1"},
        {"nbf": AT + 61},
        {"exp": AT},
        {"exp": None},
        {"exp": 10**400},
        {"exp": -1},
        {"jti": "x"},
        {"sha": "AB" * 32},
        {"cnf": {"x5rt#S256": "x"}},
        {"step": {}},
        {"spectra": None},
        {"spectra": GOOD["spectra"] | {"role": "king"}},
        {"spectra": GOOD["spectra"] | {"reusable": True}},
        {"spectra": GOOD["spectra"] | {"more": 1}},
        {"spectra": GOOD["spectra"] | {"api": "http://x"}},
    ],
    ids=repr,
)
def test_claims_that_do_not_hold(changed: dict[str, Any]) -> None:
    """Well signed, but for another server, purpose or name, or narrowed by what we do not read."""
    refused(OURS.sign(GOOD | changed))


@pytest.mark.parametrize("missing", sorted(GOOD))
def test_every_claim_is_required(missing: str) -> None:
    """A token without one of them is of another kind."""
    refused(OURS.sign({name: value for name, value in GOOD.items() if name != missing}))


@pytest.mark.parametrize(
    "audience",
    [
        "https://ca.example:8766/1.0/sign",
        "https://ca.example/1.0/sign",
        "https://ca.example:443/sign",
        "https://CA.example/sign",
        "https://ca.example:8766/1.0/sign#KID",
    ],
)
def test_audiences_as_step_spells_them(audience: str) -> None:
    """With and without the version, behind any port, with the key's id as fragment."""
    assert verify(OURS.sign(GOOD | {"aud": audience.replace("KID", OURS.kid)})).name == "n1"


def test_a_token_expires() -> None:
    """To the second, give or take a minute between two clocks; the reason tells it from a bad one."""
    token = mint()
    assert verify(token, NOW + HOUR + timedelta(seconds=59)).name == "n1"
    assert verify(token, NOW - timedelta(seconds=59)).name == "n1"
    refused(token, NOW + HOUR + timedelta(seconds=60), "token_expired")
    refused(token, NOW - timedelta(seconds=61))


def test_another_ca_is_another_ca() -> None:
    """Same name, same claims, another key; also where it claims our key's id."""
    refused(mint(OTHER))
    forged = Provisioner.from_json(OTHER.to_json())
    forged.kid = OURS.kid  # type: ignore[misc]
    refused(mint(forged))


def part(value: object) -> str:
    """One part of a token by hand."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


HEADER = {"alg": "ES256", "typ": "JWT", "kid": OURS.kid}


def by_hand(header: dict[str, Any], claims: object) -> str:
    """A token that no library would make, signed by our key (ES256)."""
    signed = f"{part(header)}.{part(claims)}"
    private = serialization.load_der_private_key(_private(OURS), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    key = jwt.get_algorithm_by_name("ES256")
    return f"{signed}.{part(key.sign(signed.encode(), private))}"


def _private(provisioner: Provisioner) -> bytes:
    key = jwt.PyJWK(json.loads(provisioner.to_json())["key"]).key
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "ES384"},
        {"alg": "EdDSA"},
        {"kid": OTHER.kid},
        {"kid": ""},
        {"typ": "at+jwt"},
        {"jwk": OURS.jwk_public()},
        {"crit": ["exp"]},
        {"x5cInsecure": []},
        {"b64": False},
    ],
    ids=["none", "HS256", "ES384", "EdDSA", "kid", "no kid", "typ", "jwk", "crit", "x5c", "b64"],
)
def test_headers_that_are_not_ours(changed: dict[str, Any]) -> None:
    """Signed by the right key, but of a form by which other libraries have been fooled (RFC 8725)."""
    assert verify(by_hand(HEADER, GOOD)).name == "n1"
    refused(by_hand(HEADER | changed, GOOD))


def test_algorithms_that_need_no_private_key() -> None:
    """`none` without a signature or with an empty one, and HMAC with our public key as the secret."""
    for header in (HEADER | {"alg": "none"}, HEADER):
        signed = f"{part(header)}.{part(GOOD)}"
        for signature in ("", "A" * 86):
            refused(f"{signed}.{signature}")
    public = OURS.public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    signed = f"{part(HEADER | {'alg': 'HS256'})}.{part(GOOD)}"
    refused(f"{signed}.{part(hmac.digest(public, signed.encode(), hashlib.sha256))}")
    refused(f"{signed}.{part(hmac.digest(public, signed.encode(), hashlib.sha512))}")


TOKEN = mint()


@given(st.integers(0, len(TOKEN) - 1), st.sampled_from("ABCDEFGHabcdefgh0123-_. \n"))
def test_one_character_changed(at: int, char: str) -> None:
    """It is the same token or none: the signature covers all of it; its own last character has spare bits."""
    changed = TOKEN[:at] + char + TOKEN[at + 1 :]
    if changed.rpartition(".")[0] == TOKEN.rpartition(".")[0] and changed[:-1] == TOKEN[:-1]:
        return
    with pytest.raises(IdentityError):
        verify(changed)


@given(st.text(max_size=300) | st.from_regex(r"[A-Za-z0-9_-]{1,90}\.[A-Za-z0-9_-]{1,90}\.[A-Za-z0-9_-]{86}"))
def test_any_text_is_answered(text: str) -> None:
    """By all four readers, with the one error and one reason."""
    for read in (verify, jointokens.peek, _revocation, _renewal):
        with pytest.raises(IdentityError) as caught:
            read(text)
        assert caught.value.reason == "bad_token"


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(GOOD)), JSON)
def test_any_claim_is_answered(name: str, value: object) -> None:
    """A holder of the key who writes nonsense gets an answer, not a failure; nor does the joining machine fail."""
    token = by_hand(HEADER, GOOD | {name: value})
    for read in (verify, jointokens.peek):
        try:
            read(token)
        except IdentityError as error:
            assert error.reason in ("bad_token", "token_expired")  # noqa: PT017


def test_what_is_too_long_is_not_parsed() -> None:
    """4 KiB is many times a real one."""
    refused(TOKEN + "A" * 4096)
    with pytest.raises(IdentityError):
        _renewal(TOKEN + "A" * 32 * 1024)


def test_a_machine_may_be_given_a_token_that_says_more() -> None:
    """What a later version adds does not keep today's machine from joining; the CA decides."""
    token = OURS.sign(GOOD | {"later": True})
    assert jointokens.peek(token) == jointokens.peek(TOKEN)
    refused(token)


def _revocation(token: str) -> jointokens.Revocation:
    return jointokens.verify_revocation(token, provisioner=OURS, audiences=audiences(CA, path="revoke"), now=NOW)


def test_a_revocation_as_step_makes_it() -> None:
    """The serial number is the subject; a join token is none, and the other way round."""
    claims = {
        "aud": f"{CA}/1.0/revoke",
        "iss": "spectra",
        "sub": "123456789",
        "iat": AT,
        "nbf": AT,
        "exp": AT + 300,
        "jti": "ab" * 32,
        "sha": SHA,
    }
    assert _revocation(OURS.sign(claims)) == ("ab" * 32, "123456789")
    refused(OURS.sign(claims))
    for bad in (TOKEN, OTHER.sign(claims), OURS.sign(claims | {"sub": "n1"}), OURS.sign(claims | {"sub": "1" * 60})):
        with pytest.raises(IdentityError):
            _revocation(bad)


# Renewing.


def certificate(key: SigningKey, name: str = "n1", *sans: cx.GeneralName) -> cx.Certificate:
    """A certificate of `key`, expired for days: whether it is ours is asked elsewhere."""
    subject = cx.Name([cx.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = cx.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(NOW - 3 * HOUR).not_valid_after(NOW - 2 * HOUR)
    if sans:
        builder = builder.add_extension(cx.SubjectAlternativeName(sans), critical=False)
    return builder.sign(key, None if isinstance(key, Ed25519PrivateKey) else hashes.SHA256())


KEY = x509.new_key()
LEAF, ISSUER = certificate(KEY), certificate(x509.new_key(), "issuer")


def _renewal(token: str, now: datetime = NOW) -> tuple[cx.Certificate, tuple[cx.Certificate, ...]]:
    return jointokens.verify_renew(token, audiences=RENEW, now=now)


@pytest.mark.parametrize("kind", ["p256", "ed25519"])
def test_a_renewal_shows_possession_of_the_key(kind: x509.Kind) -> None:
    """The certificate and its chain come back; the claims are those of `step ca renew`."""
    key = x509.new_key(kind)
    leaf = certificate(key)
    token = jointokens.renew_token(key, [leaf, ISSUER], ca_url=CA, now=NOW)
    assert _renewal(token) == (leaf, (ISSUER,))
    claims = claims_of(token)
    assert (claims["iss"], claims["sub"], claims["aud"]) == ("step-ca-client/1.0", "n1", f"{CA}/renew")
    header = jwt.get_unverified_header(token)
    assert header["alg"] == ("ES256" if kind == "p256" else "EdDSA")
    assert header["x5cInsecure"] == [_der64(leaf), _der64(ISSUER)]


def _der64(made: cx.Certificate) -> str:
    return base64.b64encode(made.public_bytes(serialization.Encoding.DER)).decode()


def by_step(key: SigningKey, alg: str, leaf: cx.Certificate, **changed: Any) -> str:
    """A renew token as step makes it: no `jti`, by whatever key and algorithm."""
    claims = {"iss": "step-ca-client/1.0", "aud": f"{CA}/renew", "sub": "n1", "iat": AT, "nbf": AT, "exp": AT + 300}
    headers = {"kid": "x", "x5cInsecure": [_der64(leaf)]}
    return jwt.encode(claims | changed, key, algorithm=alg, headers=headers)


@pytest.mark.parametrize(
    ("key", "alg"),
    [
        (ec.generate_private_key(ec.SECP256R1()), "ES256"),
        (ec.generate_private_key(ec.SECP384R1()), "ES384"),
        (rsa.generate_private_key(65537, 2048), "RS256"),
        (Ed25519PrivateKey.generate(), "EdDSA"),
    ],
    ids=["P-256", "P-384", "RSA", "Ed25519"],
)
def test_renewals_by_the_keys_that_step_makes(key: SigningKey, alg: str) -> None:
    """Each with the one algorithm that go-jose picks for it."""
    leaf = certificate(key)
    assert _renewal(by_step(key, alg, leaf)) == (leaf, ())


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "spectra"},
        {"sub": "n2"},
        {"aud": f"{CA}/1.0/sign"},
        {"aud": "https://other.example/renew"},
        {"aud": []},
        {"aud": [f"{CA}/renew"] * 5},
        {"nbf": AT + 1000},
        {"exp": 1e300},
        {"exp": "x"},
    ],
    ids=repr,
)
def test_renewals_that_do_not_hold(changed: dict[str, Any]) -> None:
    """Well signed, but of another issuer, name, server, purpose or time."""
    with pytest.raises(IdentityError) as caught:
        _renewal(by_step(KEY, "ES256", LEAF, **changed))  # type: ignore[arg-type]
    assert caught.value.reason == "bad_token"


def test_a_clock_that_is_ten_minutes_off_still_renews() -> None:
    """Both ways: a board without a clock of its own has to get in to be told the time."""
    token = jointokens.renew_token(KEY, [LEAF], ca_url=CA, now=NOW)
    for minutes in (-14, -10, 0, 10, 19):
        assert _renewal(token, NOW + timedelta(minutes=minutes)) == (LEAF, ())
    with pytest.raises(IdentityError) as caught:
        _renewal(token, NOW + timedelta(minutes=20))
    assert caught.value.reason == "token_expired"
    with pytest.raises(IdentityError):
        _renewal(token, NOW - timedelta(minutes=16))


def test_a_renewal_by_a_key_that_is_not_the_certificates() -> None:
    """Certificates are public: only the key counts. Nor may the algorithm be another than the key's."""
    with pytest.raises(IdentityError):
        jointokens.renew_token(x509.new_key(), [LEAF], ca_url=CA, now=NOW)
    with pytest.raises(IdentityError):
        jointokens.renew_token(KEY, [], ca_url=CA, now=NOW)
    weak = rsa.generate_private_key(65537, 1024)
    good = rsa.generate_private_key(65537, 2048)
    other = ec.generate_private_key(ec.SECP256R1())
    bad = [
        by_step(other, "ES256", LEAF),
        by_step(Ed25519PrivateKey.generate(), "EdDSA", LEAF),
        by_step(good, "PS256", certificate(good)),
        by_step(good, "RS512", certificate(good)),
        jwt.encode({}, "s" * 40, algorithm="HS256", headers={"x5cInsecure": [_der64(LEAF)]}),
    ]
    for token in bad:
        with pytest.raises(IdentityError):
            _renewal(token)
    with pytest.raises(IdentityError), pytest.warns(jwt.InsecureKeyLengthWarning):
        _renewal(by_step(weak, "RS256", certificate(weak)))


def test_renewals_without_a_certificate_of_use() -> None:
    """No chain, one too long, garbage in it, or a certificate that has names of odd kinds."""
    claims = claims_of(by_step(KEY, "ES256", LEAF))  # type: ignore[arg-type]
    odd = certificate(KEY, "n1", cx.RFC822Name("a@b.example"))  # type: ignore[arg-type]
    for chain in (None, [], "x", ["x"], ["AAAA"], [7], [_der64(LEAF)] * 7, [_der64(odd)]):
        token = jwt.encode(claims, KEY, algorithm="ES256", headers={"x5cInsecure": chain})  # type: ignore[arg-type]
        with pytest.raises(IdentityError) as caught:
            _renewal(token)
        assert caught.value.reason == "bad_token"
