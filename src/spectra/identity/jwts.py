"""JSON Web Tokens, narrowed to two uses: the access tokens we sign (RFC 9068) and the assertions by which machines
sign in (RFC 7523). EdDSA with Ed25519 alone (RFC 8037); a token of any other spelling is none (RFC 8725).

What says that a token is good is its signature, its claims and the session it names in the store; this file looks at
the first two. `now` is a parameter, as everywhere in this room.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Annotated, Final, Literal, NamedTuple

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jwt.api_jws import PyJWS
from msgspec import Meta

from spectra.identity.errors import IdentityError
from spectra.identity.keys import PublicKey, SigningKey
from spectra.identity.strict import parse, require_plain, token_parts
from spectra.model.envelope import Sha256Hex

ACCESS_TYPE: Final = "at+jwt"
AUDIENCE: Final = "spectra-api"
MAX_TOKEN_CHARS: Final = 4096
MAX_ASSERTION_S: Final = 300.0
LEEWAY_S: Final = 30.0
"""How far the clocks of two coordinators, or of a machine and its coordinator, may be apart."""

_REASON: Final = "bad_token"
_ALGORITHM: Final = "EdDSA"
# Three parts of URL-safe base64; the last is 64 bytes.
_FORM: Final = re.compile(r"([A-Za-z0-9_-]{1,1024})\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]{86}")

_Seconds = Annotated[int, Meta(ge=0, le=253_402_300_799)]  # to the end of the year 9999
_Text = Annotated[str, Meta(min_length=1, max_length=200)]
Known = Callable[[str], PublicKey | None]


class AccessClaims(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What an access token of ours says. `sid` names the session; `narrowed`: `scope` is less than that holds."""

    iss: _Text
    aud: _Text
    sub: _Text
    client_id: _Text
    iat: _Seconds
    nbf: _Seconds
    exp: _Seconds
    jti: _Text
    sid: Annotated[str, Meta(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")]
    role: _Text
    scope: Annotated[str, Meta(max_length=2000)]
    narrowed: bool = False


class Assertion(msgspec.Struct, frozen=True):
    """What a machine says of itself; other claims are passed over, as RFC 7523 section 3 asks."""

    iss: _Text
    sub: _Text
    aud: _Text | Annotated[list[_Text], Meta(max_length=10)]
    exp: int | float
    jti: Annotated[str, Meta(min_length=8, max_length=128)]
    iat: int | float = 0
    nbf: int | float = 0

    @property
    def audiences(self) -> Collection[str]:
        """`aud` as a list."""
        return [self.aud] if isinstance(self.aud, str) else self.aud


class _AccessHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No `crit`, `jwk`, `jku`, `x5u` or `b64`: what is not read is refused."""

    alg: Literal["EdDSA"]
    typ: Literal["at+jwt"]
    kid: Sha256Hex


class _AssertionHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    alg: Literal["EdDSA"]
    typ: Literal["JWT", "jwt", "client-authentication+jwt"] = "JWT"
    kid: Sha256Hex | None = None


_access_header = msgspec.json.Decoder(_AccessHeader)
_assertion_header = msgspec.json.Decoder(_AssertionHeader)
_access = msgspec.json.Decoder(AccessClaims)
_assertion = msgspec.json.Decoder(Assertion)
_jws = PyJWS(algorithms=[_ALGORITHM])


class WrongAudience(IdentityError):
    """An assertion made for somebody else, who may be trying it here."""


def sign_access(key: SigningKey, claims: AccessClaims) -> str:
    """The access token of `claims`, signed by a coordinator's token key."""
    headers = {"typ": ACCESS_TYPE, "kid": key.public.keyid}
    return _jws.encode(msgspec.json.encode(claims), key.to_pem(), algorithm=_ALGORITHM, headers=headers)


class Access(NamedTuple):
    """An access token that was verified: its claims, and the id of the token key that signed it."""

    claims: AccessClaims
    kid: str


def verify_access(token: str, *, known: Known, issuer: str, now: datetime) -> Access:
    """The access token that `issuer` signed with a `known` key and that holds now.

    Raises `IdentityError("bad_token")` for everything else, whatever was sent.
    """
    header, body = token_parts(token, _FORM, MAX_TOKEN_CHARS, reason=_REASON)
    kid = parse(_access_header, header, what="token's header", reason=_REASON).kid
    _verify(token, _required(known(kid)))
    claims = parse(_access, body, what="token", reason=_REASON)
    if claims.iss != issuer or claims.aud != AUDIENCE:
        raise IdentityError("the token is of another issuer or for another audience.", reason=_REASON)
    _require_current(claims.nbf, claims.exp, now)
    return Access(claims, kid)


def build_assertion(key: SigningKey, *, subject: str, audience: str, now: datetime, jti: str, ttl_s: int = 60) -> str:
    """The assertion by which the holder of `key` signs in as the account `subject` at the token endpoint `audience`."""
    at = int(now.timestamp())
    claims = {"iss": subject, "sub": subject, "aud": audience, "iat": at, "exp": at + ttl_s, "jti": jti}
    headers = {"typ": "client-authentication+jwt", "kid": key.public.keyid}
    return _jws.encode(msgspec.json.encode(claims), key.to_pem(), algorithm=_ALGORITHM, headers=headers)


def assertion_keyid(assertion: str) -> str:
    """The id of the key that an assertion claims to be signed by: `kid`, or `iss` where that is a keyid.

    Nothing is verified yet. Raises `IdentityError("bad_token")`.
    """
    header, body = token_parts(assertion, _FORM, MAX_TOKEN_CHARS, reason=_REASON)
    kid = parse(_assertion_header, header, what="assertion's header", reason=_REASON).kid
    claimed = kid or parse(_assertion, body, what="assertion", reason=_REASON).iss
    if not re.fullmatch("[0-9a-f]{64}", claimed):
        raise IdentityError("the assertion names no key: put the keyid into `kid` or `iss`.", reason=_REASON)
    return claimed


def verify_assertion(
    assertion: str, *, key: PublicKey, account: str, audiences: Collection[str], now: datetime
) -> Assertion:
    """The claims of an assertion that `key` signed, for its holder `account` and for one of `audiences`, now.

    Single use of `jti` (until `exp`) is for the caller to see to. Raises `IdentityError("bad_token")`, and
    `WrongAudience` for an assertion that is good but not for us.
    """
    header, body = token_parts(assertion, _FORM, MAX_TOKEN_CHARS, reason=_REASON)
    parse(_assertion_header, header, what="assertion's header", reason=_REASON)
    _verify(assertion, key)
    claims = parse(_assertion, body, what="assertion", reason=_REASON)
    if claims.iss != claims.sub or claims.sub not in (account, key.keyid):
        raise IdentityError("`iss` and `sub` must both name the key's holder.", reason=_REASON)
    require_plain(claims.jti, field="jti", reason=_REASON)
    _require_current(claims.nbf, claims.exp, now)
    _require_brief(claims, now)
    if not set(claims.audiences) & set(audiences):
        raise WrongAudience(
            "the assertion is made for another server.",
            reason=_REASON,
            hint="Name the URL it is reached by in the server's auth.urls.",
        )
    return claims


def expires(claims: AccessClaims | Assertion) -> datetime:
    """`exp` as a time; of an assertion that was verified, which bounds it."""
    return datetime.fromtimestamp(claims.exp, UTC)


def jwk(public: PublicKey) -> dict[str, str]:
    """The JSON Web Key of a token key (RFC 8037 section 2)."""
    x = base64.urlsafe_b64encode(public.raw).decode().rstrip("=")
    return {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": public.keyid, "alg": _ALGORITHM, "use": "sig"}


def _verify(token: str, key: PublicKey) -> None:
    """The algorithm is ours to name, never the token's (RFC 8725 section 3.1)."""
    try:
        _jws.decode_complete(token, key=Ed25519PublicKey.from_public_bytes(key.raw), algorithms=[_ALGORITHM])
    except jwt.PyJWTError as error:
        raise IdentityError("the token's signature does not hold.", reason=_REASON) from error


def _required(key: PublicKey | None) -> PublicKey:
    if key is None:
        raise IdentityError("the token is by no key of this mesh.", reason=_REASON)
    return key


def _require_current(nbf: float, exp: float, now: datetime) -> None:
    at = now.timestamp()
    if not nbf - LEEWAY_S <= at < exp + LEEWAY_S:  # also where one is not a number
        raise IdentityError("the token is expired, or not valid yet.", reason=_REASON)


def _require_brief(claims: Assertion, now: datetime) -> None:
    """The longer an assertion holds, the longer its `jti` has to be remembered."""
    ahead = claims.exp - now.timestamp()
    if ahead > MAX_ASSERTION_S + LEEWAY_S:
        raise IdentityError(f"an assertion may hold for {MAX_ASSERTION_S:.0f} s at most.", reason=_REASON)
