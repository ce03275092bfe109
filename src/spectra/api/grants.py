"""The grants of the token endpoint: a person's password, a device that was let in, a machine's signed assertion, a
session's refresh token.

Errors are RFC 6749 section 5.2's, and say no more than that: an unknown account, a wrong password and a disabled
account look the same and take the same time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import parse_qsl

from fastapi import Request

from spectra.api import devices, signin
from spectra.api.services import Services
from spectra.api.signin import Passed, Refused, Source, charge, source_bucket
from spectra.identity import jwts, roles, tokens
from spectra.identity.errors import IdentityError
from spectra.identity.keys import PublicKey
from spectra.model.accounts import TokenAnswer
from spectra.model.people import DeviceAnswer
from spectra.model.records import KeyRecord
from spectra.store import accounts, keys, sessions, throttle
from spectra.store.sessions import NewSession

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
DEFAULT_CLIENT: Final = "spectra"
MAX_FORM_BYTES: Final = 16 * 1024
_MAX_FIELDS: Final = 20
_MAX_NAME: Final = 200


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
        case devices.GRANT:
            return _device_code(services, form, source)
        case _:
            raise Refused(
                "unsupported_grant_type", "use password, client_credentials, refresh_token or the device grant"
            )


# People --------------------------------------------------------------------------------------------------------------


def _password(services: Services, form: Mapping[str, str], source: Source) -> TokenAnswer:
    """`otp` is a code of the account's authenticator app, or one for recovery. `mfa_required` says that it is needed:
    by then the password was right, and who has it may know.
    """
    name, password = required(form, "username"), required(form, "password")
    client = _client_id(form) or DEFAULT_CLIENT
    passed = signin.password(services, name, password, source)
    scopes = _asked(form, passed.found.role, passed.found.scopes)
    by = "password"
    if passed.needs:
        by = f"password+{_second(services, passed, form, source)}"
    return services.issuer.begin(
        NewSession(name, client, by, scopes, "", source.address, services.clock()), refreshable=True
    )


def _second(services: Services, passed: Passed, form: Mapping[str, str], source: Source) -> str:
    if "otp" in form:
        return signin.second(services, passed.account, form["otp"], source)
    if set(passed.needs) == {"passkey"}:
        raise Refused("mfa_required", "this account signs in with a passkey, at a browser: spectra auth login --device")
    raise Refused("mfa_required", "this account has a second factor: send its code, or a recovery code, as otp")


def device(request: Request, services: Services, form: Mapping[str, str], source: Source) -> DeviceAnswer:
    """A code for a device to show (RFC 8628 section 3.1); raises `Refused`."""
    required(form, "client_id")
    return devices.ask(request, services, _client_id(form), _scopes(form), source)


def _device_code(services: Services, form: Mapping[str, str], source: Source) -> TokenAnswer:
    required(form, "device_code")
    return devices.tokens_of(services, form, _client_id(form) or DEFAULT_CLIENT, source)


# Machines ------------------------------------------------------------------------------------------------------------


def _assertion(services: Services, form: Mapping[str, str], source: Source) -> TokenAnswer:
    """RFC 7523 section 2.2. What is wrong with an assertion is told: its maker holds the key, or learns nothing."""
    if required(form, "client_assertion_type") != ASSERTION_TYPE:
        raise Refused("invalid_request", f"client_assertion_type has to be {ASSERTION_TYPE}")
    assertion, client = required(form, "client_assertion"), _client_id(form)
    bucket = source_bucket(source)
    charge(services, [bucket])
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
    asked = _scopes(form)
    beyond = set(asked or ()) - roles.scopes(role, custom)
    if beyond:
        raise Refused("invalid_scope", f"the role {role} does not hold {min(beyond)}")
    return asked


def _scopes(form: Mapping[str, str]) -> tuple[str, ...] | None:
    """The scopes that are asked for; None where none are named."""
    if "scope" not in form:
        return None
    asked = form["scope"].split()
    _require_scopes(asked)
    return tuple(sorted(set(asked)))


def _require_scopes(asked: list[str] | tuple[str, ...]) -> None:
    unknown = [scope for scope in asked if scope not in roles.SCOPES]
    if unknown:
        raise Refused("invalid_scope", f"there is no scope {ascii(unknown[0])[1:-1][:60]}")
