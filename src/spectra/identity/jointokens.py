"""One-time tokens by which a machine gets its first certificate, and those by which it renews an expired one.

Both are the JSON Web Tokens that smallstep's `step` client and `step-ca` read (their `token/token.go`,
`authority/provisioner/jwk.go` and `authority/authorize.go`): one token serves our CA and theirs, our client and theirs.
A join token is signed by the provisioner's key (ES256), says which names may be certified (`sub`, `sans`), and pins the
CA's root (`sha`); what only we read stands in `spectra`. A renew token is signed by the key of the certificate that it
carries in its header (`x5cInsecure`): a proof of possession for those whom TLS would not let in any more.

Single use of `jti` is for the caller to see to, in the transaction that issues the certificate.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal, NamedTuple, TypeVar
from urllib.parse import SplitResult, urlsplit

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate
from jwt.api_jws import PyJWS
from msgspec import Meta

from spectra.identity import x509
from spectra.identity.errors import IdentityError
from spectra.identity.names import is_mesh_name, node_uri
from spectra.identity.provisioner import Provisioner, thumbprint
from spectra.identity.strict import parse, token_parts
from spectra.identity.x509 import PrivateKey, PublicKey
from spectra.model.envelope import Sha256Hex
from spectra.model.nodes import MESH_NAME, Role, is_node_name

ANY_NAME: Final = "*"
"""The subject of a reusable token: the CA names the machine."""
MAX_TOKEN_CHARS: Final = 4096
MAX_RENEW_CHARS: Final = 32 * 1024
MAX_TTL: Final = timedelta(days=30)
LEEWAY_S: Final = 60.0  # what step-ca allows, too
RENEW_LEEWAY_S: Final = 15 * 60.0
"""How far the clock of a machine that renews may be off. Wide, for boards without a clock of their own: whoever replays
a renew token gets but another certificate for a key that he does not hold."""
RENEW_TTL: Final = timedelta(minutes=5)

_BAD: Final = "bad_token"
_RENEW_ISSUER: Final = "step-ca-client/1.0"
_MAX_CHAIN: Final = 6
_FORM: Final = re.compile(r"([A-Za-z0-9_-]{1,30000})\.([A-Za-z0-9_-]{1,4096})\.[A-Za-z0-9_-]{86,700}")

_Seconds = Annotated[int, Meta(ge=0, le=253_402_300_799)]  # to the end of the year 9999
_Moment = Annotated[float, Meta(ge=0, le=253_402_300_799)]
_Text = Annotated[str, Meta(min_length=1, max_length=200)]
_Url = Annotated[str, Meta(max_length=200)]
Path = Literal["sign", "renew", "revoke"]


class Join(msgspec.Struct, frozen=True):
    """What a join token says. `name` and `uri` are empty for a reusable one; `fingerprint` is the root's (SHA-256)."""

    id: str
    name: str
    uri: str
    mesh: str
    role: Role
    reusable: bool
    ca_url: str
    api_url: str
    fingerprint: str
    issued: datetime
    expires: datetime


class _Ours(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    mesh: Annotated[str, Meta(pattern=MESH_NAME)]
    role: Role
    reusable: bool
    api: _Url


class _Claims(msgspec.Struct, frozen=True):
    iss: _Text
    aud: _Url
    sub: _Text
    iat: _Seconds
    nbf: _Seconds
    exp: _Seconds
    jti: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{16,128}\Z")]
    sha: Sha256Hex
    spectra: _Ours
    sans: Annotated[tuple[_Text, ...], Meta(max_length=1)] = ()


class _OwnClaims(_Claims, frozen=True, forbid_unknown_fields=True):
    """Where nothing that narrows a token (`cnf`, say) may be passed over unread."""


class _Revocation(msgspec.Struct, frozen=True):
    iss: _Text
    aud: _Url
    sub: Annotated[str, Meta(pattern=r"^[0-9]{1,49}\Z")]
    nbf: _Seconds
    exp: _Seconds
    jti: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{16,128}\Z")]


class _Renewal(msgspec.Struct, frozen=True):
    iss: _Text
    aud: _Url | Annotated[list[_Url], Meta(max_length=4)]
    sub: _Text
    nbf: _Moment
    exp: _Moment


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No `crit`, `jwk`, `jku` or `x5u`: what is not read is refused."""

    alg: Literal["ES256"]
    kid: Annotated[str, Meta(max_length=200)]
    typ: Literal["JWT"] = "JWT"


class _RenewHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"chain": "x5cInsecure"}):
    alg: Literal["ES256", "ES384", "EdDSA", "RS256"]
    chain: Annotated[list[str], Meta(min_length=1, max_length=_MAX_CHAIN)]
    kid: Annotated[str, Meta(max_length=200)] = ""
    typ: Literal["JWT"] = "JWT"


_C = TypeVar("_C", _OwnClaims, _Revocation)
_header = msgspec.json.Decoder(_Header)
_renew_header = msgspec.json.Decoder(_RenewHeader)
_claims = msgspec.json.Decoder(_Claims)
_own_claims = msgspec.json.Decoder(_OwnClaims)
_revocation = msgspec.json.Decoder(_Revocation)
_renewal = msgspec.json.Decoder(_Renewal)
_jws = PyJWS(algorithms=["ES256", "ES384", "EdDSA", "RS256"])


def mint(
    provisioner: Provisioner,
    *,
    ca_url: str,
    api_url: str,
    mesh: str,
    role: Role,
    fingerprint: str,
    now: datetime,
    ttl: timedelta,
    name: str = "",
    reusable: bool = False,
    jti: str = "",
) -> str:
    """The token by which the node `name` of `mesh` may get a certificate at `ca_url` until `ttl` is over.

    A reusable one names nobody. `fingerprint` is the root's, `jti` 16 to 128 URL-safe characters (else random).
    Raises `IdentityError` where one of them could not be verified again.
    """
    if not timedelta(0) < ttl <= MAX_TTL:
        raise IdentityError(f"a join token holds for more than no time and at most {MAX_TTL.days} days.")
    at = int(now.timestamp())
    if reusable and name:
        raise IdentityError("a reusable token names no machine; each gets its name when it joins.")
    claims = {
        "iss": provisioner.name,
        "aud": f"{_https(ca_url)}/1.0/sign",
        "sub": ANY_NAME if reusable else name,
        **({} if reusable else {"sans": [node_uri(mesh, name)]}),
        "iat": at,
        "nbf": at,
        "exp": at + int(ttl.total_seconds()),
        "jti": jti or secrets.token_hex(16),
        "sha": fingerprint,
        "spectra": {"mesh": mesh, "role": role, "reusable": reusable, "api": _https(api_url) if api_url else ""},
    }
    _join(parse(_own_claims, msgspec.json.encode(claims), what="join token", reason="identity"))
    return provisioner.sign(claims)


def verify(token: str, *, provisioner: Provisioner, audiences: Collection[str], now: datetime) -> Join:
    """What a join token says that `provisioner` signed for one of `audiences` and that holds now.

    Raises `IdentityError`: `token_expired` for one that was good, `bad_token` for everything else.
    """
    claims = _signed(token, provisioner, _own_claims, audiences, now)
    return _join(claims)


class Revocation(NamedTuple):
    """A token by which `step ca revoke` revokes the certificate of this serial number (in decimal)."""

    id: str
    serial: str


def verify_revocation(token: str, *, provisioner: Provisioner, audiences: Collection[str], now: datetime) -> Revocation:
    """As `verify`, for a token that holders of the provisioner's key make with `step ca token --revoke`."""
    claims = _signed(token, provisioner, _revocation, audiences, now)
    return Revocation(claims.jti, claims.sub)


def peek(token: str) -> Join:
    """What a join token says, to the machine that was given it: nothing is verified. Raises `IdentityError`."""
    _, body = token_parts(token, _FORM, MAX_TOKEN_CHARS, reason=_BAD)
    return _join(parse(_claims, body, what="join token", reason=_BAD))


def renew_token(key: PrivateKey, chain: Sequence[Certificate], *, ca_url: str, now: datetime) -> str:
    """The bearer token by which the holder of `key` renews `chain[0]`, even after it has expired.

    `chain` goes from the leaf to below the root. Raises `IdentityError` for a chain that is not the key's.
    """
    if not 1 <= len(chain) <= _MAX_CHAIN or x509.spki(chain[0]) != x509.spki(key):
        raise IdentityError(f"renewing takes a key and the 1 to {_MAX_CHAIN} certificates of its chain.")
    at = int(now.timestamp())
    claims = {
        "iss": _RENEW_ISSUER,
        "aud": f"{_https(ca_url)}/renew",
        "sub": x509.requested(chain[0])[0],
        "iat": at,
        "nbf": at,
        "exp": at + int(RENEW_TTL.total_seconds()),
        "jti": secrets.token_hex(16),
    }
    headers = {
        "typ": "JWT",
        "kid": thumbprint(key.public_key()),
        "x5cInsecure": [base64.b64encode(c.public_bytes(Encoding.DER)).decode("ascii") for c in chain],
    }
    return _jws.encode(msgspec.json.encode(claims), key, algorithm=_algorithm(key.public_key()), headers=headers)


def verify_renew(
    token: str, *, audiences: Collection[str], now: datetime
) -> tuple[Certificate, tuple[Certificate, ...]]:
    """The certificate whose key signed this token to renew it, and the rest of its chain.

    Whether the certificate is one of ours, and how long ago it may have expired, is for `Authority.verify` to say.
    Raises `IdentityError`: `token_expired`, or `bad_token`.
    """
    raw_header, body = token_parts(token, _FORM, MAX_RENEW_CHARS, reason=_BAD)
    header = parse(_renew_header, raw_header, what="renew token's header", reason=_BAD)
    leaf, *rest = [_certificate(text) for text in header.chain]
    key = leaf.public_key()
    if x509.key_flaw(key) or not isinstance(key, PublicKey) or header.alg != _algorithm(key):
        raise IdentityError("the token's algorithm is not that of the certificate's key.", reason=_BAD)
    _require_signature(token, key, header.alg)
    claims = parse(_renewal, body, what="renew token", reason=_BAD)
    if claims.iss != _RENEW_ISSUER or claims.sub != _common_name(leaf):
        raise IdentityError("the renew token is not about the certificate that it carries.", reason=_BAD)
    _require_audience([claims.aud] if isinstance(claims.aud, str) else claims.aud, audiences)
    _require_current(claims.nbf, claims.exp, now, RENEW_LEEWAY_S)
    return leaf, tuple(rest)


def audiences(*ca_urls: str, path: Path = "sign") -> frozenset[str]:
    """The audiences of tokens for a CA that is reached at these URLs: step spells each in two ways."""
    bases = [_https(url) for url in ca_urls]
    return frozenset(f"{base}{version}/{path}" for base in bases for version in ("", "/1.0"))


def _signed(
    token: str,
    provisioner: Provisioner,
    decoder: msgspec.json.Decoder[_C],
    audiences: Collection[str],
    now: datetime,
) -> _C:
    """The claims of a token of the provisioner's: header, signature, claims, issuer, audience, time, in this order."""
    raw_header, body = token_parts(token, _FORM, MAX_TOKEN_CHARS, reason=_BAD)
    header = parse(_header, raw_header, what="token's header", reason=_BAD)
    if header.kid != provisioner.kid:
        raise IdentityError("the token is by no key of this CA.", reason=_BAD)
    _require_signature(token, provisioner.public, "ES256")
    claims = parse(decoder, body, what="token", reason=_BAD)
    if claims.iss != provisioner.name:
        raise IdentityError("the token is of another issuer.", reason=_BAD)
    _require_audience([claims.aud], audiences, fragment=provisioner.kid)
    _require_current(claims.nbf, claims.exp, now, LEEWAY_S)
    return claims


def _join(claims: _Claims) -> Join:
    """The claims as we use them, once they agree with each other."""
    ours = claims.spectra
    if not is_mesh_name(ours.mesh) or claims.exp <= claims.nbf:
        raise IdentityError("the join token contradicts itself.", reason=_BAD)
    if ours.reusable:
        name, uri = "", ""
        fits = claims.sub == ANY_NAME and not claims.sans
    else:
        name, uri = claims.sub, "".join(claims.sans)
        fits = is_node_name(name) and uri == node_uri(ours.mesh, name)
    if not fits:
        raise IdentityError("the join token contradicts itself: its names do not fit.", reason=_BAD)
    return Join(
        id=claims.jti,
        name=name,
        uri=uri,
        mesh=ours.mesh,
        role=ours.role,
        reusable=ours.reusable,
        ca_url=_ca_url(claims.aud),
        api_url=ours.api and _https(ours.api, reason=_BAD),
        fingerprint=claims.sha,
        issued=datetime.fromtimestamp(claims.iat, UTC),
        expires=datetime.fromtimestamp(claims.exp, UTC),
    )


def _ca_url(audience: str) -> str:
    """`https://host:port` of `https://host:port/1.0/sign`, which step also takes from the audience."""
    base = audience.partition("#")[0]
    for path in ("/1.0/sign", "/sign"):
        if base.endswith(path):
            return _https(base.removesuffix(path), reason=_BAD)
    raise IdentityError("the token is not one to join with.", reason=_BAD)


def _https(url: str, *, reason: str = "identity") -> str:
    """`https://host[:port][/path]` without a slash at its end."""
    split = _split(url)
    if (
        split is None
        or split.scheme != "https"
        or not split.hostname
        or "@" in split.netloc
        or split.query
        or split.fragment
        or len(url) > 160
        or not re.fullmatch(r"[!-~]+", url)
    ):
        raise IdentityError("this is not the address of a CA or an API (https://HOST:PORT).", reason=reason)
    return url.rstrip("/")


def _split(url: str) -> SplitResult | None:
    """None where the address makes no sense."""
    try:
        split = urlsplit(url)
        _ = split.port  # raises where it is none
    except ValueError:
        return None
    return split


def _algorithm(key: PublicKey) -> str:
    """The one algorithm (RFC 7518, RFC 8037) for a key: it is never the token that chooses (RFC 8725 section 3.1)."""
    if isinstance(key, Ed25519PublicKey):
        return "EdDSA"
    if isinstance(key, EllipticCurvePublicKey):
        return "ES256" if key.key_size == 256 else "ES384"
    return "RS256"


def _require_signature(token: str, key: PublicKey, algorithm: str) -> None:
    try:
        _jws.decode_complete(token, key=key, algorithms=[algorithm])
    except jwt.PyJWTError as error:
        raise IdentityError("the token's signature does not hold.", reason=_BAD) from error


def _require_audience(claimed: Iterable[str], accepted: Collection[str], *, fragment: str = "") -> None:
    """Scheme, host and path are compared; the port is not, as in step-ca: a forwarded one is not known to the CA.

    `fragment`: the key's id, which may stand behind the audience.
    """
    places = {_place(audience) for audience in accepted}
    if fragment:
        claimed = [audience.removesuffix(f"#{fragment}") for audience in claimed]
    if not any(_place(audience) in places for audience in claimed):
        raise IdentityError("the token is made for another server or another purpose.", reason=_BAD)


def _place(audience: str) -> tuple[str, ...]:
    """What is compared of an audience; one that is no address is compared as it is."""
    split = _split(audience)
    if split is None or not split.hostname:
        return (audience,)
    return (split.scheme, split.hostname, split.path, split.query, split.fragment)


def _require_current(nbf: float, exp: float, now: datetime, leeway_s: float) -> None:
    at = now.timestamp()
    if not nbf - leeway_s <= at:  # also where it is not a number
        raise IdentityError("the token is not valid yet; compare the clocks of the two machines.", reason=_BAD)
    if not at < exp + leeway_s:
        raise IdentityError("the token has expired; ask for a new one.", reason="token_expired")


def _certificate(text: str) -> Certificate:
    try:
        return x509.read_der(base64.b64decode(text, validate=True))
    except (ValueError, IdentityError) as error:
        raise IdentityError("the renew token carries no certificate of use.", reason=_BAD) from error


def _common_name(leaf: Certificate) -> str:
    try:
        return x509.requested(leaf)[0]
    except IdentityError as error:
        raise IdentityError("the renew token carries no certificate of use.", reason=_BAD) from error
