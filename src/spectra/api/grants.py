"""The grants of the token endpoint: a person's password, a machine's signed assertion, a session's refresh token.

Errors are RFC 6749 section 5.2's, and say no more than that: an unknown account, a wrong password and a disabled
account look the same and take the same time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from fastapi import Request

from spectra.api.guard import address_of
from spectra.api.services import Services
from spectra.errors import SpectraError
from spectra.identity import jwts, roles, tokens
from spectra.identity.errors import IdentityError
from spectra.identity.keys import PublicKey
from spectra.model.accounts import TokenAnswer
from spectra.model.records import KeyRecord
from spectra.store import accounts, keys, sessions, throttle
from spectra.store.accounts import SignIn
from spectra.store.sessions import NewSession
from spectra.store.throttle import Bucket

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
DEFAULT_CLIENT: Final = "spectra"
MAX_FORM_BYTES: Final = 16 * 1024
_MAX_FIELDS: Final = 20
_MAX_NAME: Final = 200
_MAX_PASSWORD: Final = 1024


class Refused(SpectraError):
    """An answer of RFC 6749 section 5.2: `reason` is its `error`."""

    def __init__(self, error: str, message: str, *, status: int = 400, retry_after_s: float = 0.0) -> None:
        super().__init__(message, reason=error)
        self.status = status
        self.retry_after_s = retry_after_s


class Source(NamedTuple):
    """Where a request came from (an address, or nothing), and the URLs of the socket it came in by."""

    address: str
    local: tuple[str, ...] = ()

    @classmethod
    def of(cls, request: Request) -> Source:
        """The source of a request."""
        host, port = request.scope.get("server") or ("", None)
        local = _urls(request.url.scheme, host, port) if port else ()
        return cls(str(address_of(request) or "").partition("%")[0], local)

    @property
    def network(self) -> str:
        """What one subscriber has: an IPv4 address, or an IPv6 /64."""
        return str(ip_network((self.address, 64), strict=False)) if ":" in self.address else self.address


def _urls(scheme: str, host: str, port: int) -> tuple[str, ...]:
    """The URLs of a socket; of one on loopback also by the name that everybody calls it."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:  # a local socket
        return ()
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    text = str(mapped or address)
    names = [f"[{text}]" if ":" in text else text, *(["localhost"] if address.is_loopback else [])]
    return tuple(f"{scheme}://{name}:{port}" for name in names)


def form_of(raw: bytes, content_type: str) -> dict[str, str]:
    """The fields of a form; empty ones are left out and none may come twice (RFC 6749 section 3.2)."""
    if content_type.partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise Refused("invalid_request", "the body has to be application/x-www-form-urlencoded")
    try:
        pairs = parse_qsl(raw.decode("ascii"), max_num_fields=_MAX_FIELDS, errors="strict", keep_blank_values=True)
    except ValueError as error:  # not text, or too many fields
        raise Refused("invalid_request", "the body is no form") from error
    form = dict(pairs)
    if len(form) != len(pairs):
        raise Refused("invalid_request", "a parameter comes twice")
    return {name: value for name, value in form.items() if value}


def required(form: Mapping[str, str], name: str) -> str:
    """A parameter that has to be there."""
    if name not in form:
        raise Refused("invalid_request", f"the parameter {name} is missing")
    return form[name]


def grant(services: Services, form: Mapping[str, str], source: Source) -> TokenAnswer:
    """The tokens that a form asks for; raises `Refused`."""
    match required(form, "grant_type"):
        case "password":
            return _password(services, form, source)
        case "client_credentials":
            return _assertion(services, form, source)
        case "refresh_token":
            return _refresh(services, form)
        case _:
            raise Refused("unsupported_grant_type", "use password, client_credentials or refresh_token")


# People --------------------------------------------------------------------------------------------------------------


def _password(services: Services, form: Mapping[str, str], source: Source) -> TokenAnswer:
    name, password = required(form, "username"), required(form, "password")
    client = _client_id(form) or DEFAULT_CLIENT
    found = check_password(services, name, password, source)
    scopes = _asked(form, found.role, found.scopes)
    return services.issuer.begin(
        NewSession(name, client, "password", scopes, "", source.address, services.clock()), refreshable=True
    )


def check_password(services: Services, name: str, password: str, source: Source) -> SignIn:
    """The account `name`, if `password` is its own; raises `Refused`. Attempts are counted, and wrong ones stay so."""
    if len(name) > _MAX_NAME or len(password) > _MAX_PASSWORD or "\x00" in name:
        raise Refused("invalid_grant", "the account or the password is wrong")
    pair, others = _buckets(services, name, source)
    _charge(services, [pair, *others])
    found = accounts.sign_in(services.database, name)
    stored = found.password if found and not found.disabled else ""
    with services.issuer.password_turn():
        good = services.issuer.passwords.verify(stored, password)
    if not good or found is None:
        raise Refused("invalid_grant", "the account or the password is wrong")
    throttle.forget(services.database, pair)
    throttle.forgive(services.database, others, services.clock())
    _renew_hash(services, name, stored, password)
    return found


def _buckets(services: Services, name: str, source: Source) -> tuple[Bucket, list[Bucket]]:
    """What an attempt counts against.

    An account cannot be locked by those who guess at it: they exhaust their own source, and the account for sources
    that nobody ever signed in to it from. Who did before is held to a count of their own alone; keys to none of these.
    """
    network = source.network
    pair = Bucket(f"pair {network} {name}", each_s=30.0, burst=6)
    if network and sessions.known_source(services.database, name, network, services.clock()):
        return pair, []
    return pair, [_source_bucket(source), Bucket(f"account {name}", each_s=10.0, burst=30)]


def _source_bucket(source: Source) -> Bucket:
    return Bucket(f"source {source.network}", each_s=5.0, burst=30)


def _charge(services: Services, buckets: list[Bucket]) -> None:
    wait = throttle.charge(services.database, buckets, services.clock())
    if wait:
        raise Refused(
            "temporarily_unavailable", "too many failed attempts; wait a moment", status=429, retry_after_s=wait
        )


def _renew_hash(services: Services, name: str, stored: str, password: str) -> None:
    passwords = services.issuer.passwords
    if passwords.stale(stored):
        with services.issuer.password_turn():
            new = passwords.hash(password)
        accounts.rehash(services.database, name, old=stored, new=new, now=services.clock())


# Machines ------------------------------------------------------------------------------------------------------------


def _assertion(services: Services, form: Mapping[str, str], source: Source) -> TokenAnswer:
    """RFC 7523 section 2.2. What is wrong with an assertion is told: its maker holds the key, or learns nothing."""
    if required(form, "client_assertion_type") != ASSERTION_TYPE:
        raise Refused("invalid_request", f"client_assertion_type has to be {ASSERTION_TYPE}")
    assertion, client = required(form, "client_assertion"), _client_id(form)
    bucket = _source_bucket(source)
    _charge(services, [bucket])
    try:
        record = _verified(services, assertion, source)
    except IdentityError as error:
        raise Refused("invalid_client", f"{error.message} {error.hint}".strip(), status=401) from error
    if client and client not in (record.contributor, record.keyid):
        raise Refused("invalid_client", "client_id names another than the assertion", status=401)
    throttle.forgive(services.database, [bucket], services.clock())
    scopes = _asked(form, record.role, record.scopes)
    new = NewSession(
        record.contributor,
        record.contributor,
        "client_credentials",
        scopes,
        record.keyid,
        source.address,
        services.clock(),
    )
    return services.issuer.begin(new, refreshable=False)


def _verified(services: Services, assertion: str, source: Source) -> KeyRecord:
    now = services.clock()
    record = keys.find(services.database, jwts.assertion_keyid(assertion))
    if record is None or not _usable(record, now):
        raise IdentityError("the assertion is by no key that is registered here and stands.", reason="unknown_key")
    claims = jwts.verify_assertion(
        assertion,
        key=PublicKey.from_b64(record.public_key),
        account=record.contributor,
        audiences=services.issuer.audiences(source.local),
        now=now,
    )
    until = jwts.expires(claims) + timedelta(seconds=2 * jwts.LEEWAY_S)
    if not sessions.use_once(services.database, f"assertion:{record.keyid}", claims.jti, until):
        raise IdentityError("this assertion was used already; make a new one.", reason="nonce_replayed")
    return record


def _usable(record: KeyRecord, now: datetime) -> bool:
    return record.status in ("active", "retiring") and (record.expires is None or now < record.expires)


# Sessions ------------------------------------------------------------------------------------------------------------


def _refresh(services: Services, form: Mapping[str, str]) -> TokenAnswer:
    token = required(form, "refresh_token")
    scope = form["scope"].split() if "scope" in form else None
    _require_scopes(scope or ())
    issued = services.issuer.refresh(token, client_id=_client_id(form), scope=scope) if _plain(token) else None
    if issued is None:
        raise Refused("invalid_grant", "the refresh token is unknown, used, expired or revoked")
    return issued


def _plain(token: str) -> bool:
    return tokens.is_refresh(token) and token.isascii()


def revoke(services: Services, token: str) -> None:
    """RFC 7009: end the session of a refresh or access token. What is no token of ours is revoked already."""
    now = services.clock()
    found = (
        sessions.by_refresh(services.database, tokens.digest(token)) if _plain(token) else _of_access(services, token)
    )
    if found:
        session, account = found
        sessions.revoke(services.database, session, accounts.Act(account, now))


def _of_access(services: Services, token: str) -> tuple[str, str] | None:
    try:
        found = services.issuer.standing(token)
    except IdentityError:
        return None
    return (found[0].id, found[0].contributor) if found else None


# Parameters ----------------------------------------------------------------------------------------------------------


def _client_id(form: Mapping[str, str]) -> str:
    client = form.get("client_id", "")
    if len(client) > _MAX_NAME or not client.isprintable():
        raise Refused("invalid_client", "client_id is too long or not text", status=401)
    return client


def _asked(form: Mapping[str, str], role: str, custom: tuple[str, ...]) -> tuple[str, ...] | None:
    """The scopes a new session is narrowed to; None where none were asked for."""
    if "scope" not in form:
        return None
    asked = form["scope"].split()
    _require_scopes(asked)
    beyond = set(asked) - roles.scopes(role, custom)
    if beyond:
        raise Refused("invalid_scope", f"the role {role} does not hold {min(beyond)}")
    return tuple(sorted(set(asked)))


def _require_scopes(asked: list[str] | tuple[str, ...]) -> None:
    unknown = [scope for scope in asked if scope not in roles.SCOPES]
    if unknown:
        raise Refused("invalid_scope", f"there is no scope {ascii(unknown[0])[1:-1][:60]}")
