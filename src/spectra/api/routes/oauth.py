"""Signing in and out: the token endpoint (RFC 6749), revocation (RFC 7009), keys (RFC 7517) and metadata (RFC 8414)."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from spectra.api import bodies, devices, grants
from spectra.api.answers import answer, describe, described, ref
from spectra.api.auth import SIGN_IN, ServicesDep, caller_of, open_to, require_scope, scope
from spectra.api.issuing import TOKEN_PATH
from spectra.api.routes.accounts import require_over
from spectra.api.signin import Refused, Source
from spectra.errors import BadRequest, NotFound
from spectra.identity.errors import IdentityError
from spectra.identity.roles import PUBLIC, SCOPES
from spectra.model.accounts import OAuthError, SessionPage, TokenAnswer
from spectra.model.people import DeviceAnswer
from spectra.store import sessions, token_keys
from spectra.store.accounts import Act

router = APIRouter(tags=["auth"])

_FORM_FIELDS: Final = {
    "grant_type": f"`password`, `client_credentials`, `refresh_token` or `{devices.GRANT}`",
    "username": "the account, for a password",
    "password": "its password",
    "otp": "where the account has a second factor: a code of its authenticator app, or a recovery code",
    "device_code": "what `/v0/auth/device` answered",
    "client_assertion_type": f"`{grants.ASSERTION_TYPE}`",
    "client_assertion": "a JWT signed by the account's Ed25519 key, with iss = sub = account, aud, exp and jti",
    "refresh_token": "the newest of the session",
    "scope": "fewer scopes than the role holds, with spaces between",
    "client_id": "which program signs in; for show",
}
_ID: Final = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_KID: Final = re.compile("[0-9a-f]{64}")
_NO_STORE: Final = {"Pragma": "no-cache"}  # Cache-Control: no-store is on every answer


class Revoked(msgspec.Struct):
    """RFC 7009: an empty object, whatever the token was."""


class Introspection(msgspec.Struct, omit_defaults=True):
    """RFC 7662: whether a token holds and whose it is."""

    active: bool
    sub: str = ""
    role: str = ""
    scope: str = ""
    client_id: str = ""
    exp: int = 0
    iss: str = ""
    token_type: str = ""


class Ended(msgspec.Struct):
    """The session, or the token key, that has ended."""

    id: str


class JwkSet(msgspec.Struct):
    """The public keys of the tokens (RFC 7517 section 5)."""

    keys: list[dict[str, str]]


class Metadata(msgspec.Struct):
    """Where what is, and what is supported (RFC 8414)."""

    issuer: str
    token_endpoint: str
    jwks_uri: str
    revocation_endpoint: str
    introspection_endpoint: str
    device_authorization_endpoint: str
    grant_types_supported: list[str]
    response_types_supported: list[str]
    token_endpoint_auth_methods_supported: list[str]
    token_endpoint_auth_signing_alg_values_supported: list[str]
    scopes_supported: list[str]


def _form_of(*names: str, required: str) -> dict[str, Any]:
    properties = {name: {"type": "string", "description": _FORM_FIELDS.get(name, name)} for name in names}
    schema = {"type": "object", "properties": properties, "required": [required]}
    return {"requestBody": {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": schema}}}}


def _described(kind: type, *others: int) -> dict[int | str, dict[str, Any]]:
    """As `described`, with the errors of RFC 6749 section 5.2 besides the problems of every route."""
    describe(OAuthError)
    documents = described(kind, 408, 413, *others)
    for other in others:
        documents[other]["content"]["application/json"] = {"schema": {"$ref": ref(OAuthError)}}
    return documents


async def _form(request: Request) -> dict[str, str]:
    raw = await bodies.read(request, grants.MAX_FORM_BYTES)
    return grants.form_of(raw, request.headers.get("content-type", ""))


def _refusal(error: Refused) -> Response:
    response = answer(OAuthError(error.reason, error.message), error.status)
    response.headers.update(_NO_STORE)
    if error.retry_after_s:
        response.headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    return response


@router.post(
    TOKEN_PATH,
    summary="Sign in, or go on being signed in",
    dependencies=[open_to(SIGN_IN)],
    responses=_described(TokenAnswer, 400, 401, 429),
    openapi_extra=_form_of(*_FORM_FIELDS, required="grant_type"),
    response_class=Response,
)
async def token(request: Request, services: ServicesDep) -> Response:
    """OAuth 2.0 token endpoint: a person's password, a device that was let in (RFC 8628), a machine's signed assertion
    (RFC 7523), or a refresh token.

    Where an account has a second factor, a password alone is answered with `mfa_required`: send `otp` with it. A
    refresh token is good once; one that is used again ends its session.
    """
    try:
        form = await _form(request)
        issued = await run_in_threadpool(grants.grant, services, form, Source.of(request))
    except Refused as error:
        return _refusal(error)
    response = answer(issued)
    response.headers.update(_NO_STORE)
    return response


@router.post(
    "/v0/auth/device",
    summary="Ask for a code to let a device in",
    dependencies=[open_to(SIGN_IN)],
    responses=_described(DeviceAnswer, 400, 401, 429, 503),
    openapi_extra=_form_of("client_id", "scope", required="client_id"),
    response_class=Response,
)
async def device(request: Request, services: ServicesDep) -> Response:
    """Device authorization (RFC 8628): the device shows the code and asks the token endpoint until it was let in."""
    try:
        form = await _form(request)
        asked = await run_in_threadpool(grants.device, request, services, form, Source.of(request))
    except Refused as error:
        return _refusal(error)
    return answer(asked)


@router.post(
    "/v0/auth/revoke",
    summary="Sign out",
    dependencies=[open_to(SIGN_IN)],
    responses=_described(Revoked, 400),
    openapi_extra=_form_of("token", "token_type_hint", required="token"),
    response_class=Response,
)
async def revoke(request: Request, services: ServicesDep) -> Response:
    """End the session of an access or refresh token, at once (RFC 7009). A token that is none is revoked already."""
    try:
        token = grants.required(await _form(request), "token")
        await run_in_threadpool(grants.revoke, services, token)
    except Refused as error:
        return _refusal(error)
    return answer(Revoked())


@router.post(
    "/v0/auth/introspect",
    summary="Whether an access token holds",
    dependencies=[scope("accounts:read")],
    responses=described(Introspection, 400, 401, 403, 408, 413),
    openapi_extra=_form_of("token", "token_type_hint", required="token"),
    response_class=Response,
)
async def introspect(request: Request, services: ServicesDep) -> Response:
    """For other servers that take this mesh's access tokens (RFC 7662)."""
    try:
        token = grants.required(await _form(request), "token")
    except Refused as error:
        raise BadRequest(f"The form cannot be read: {error.message}.", field="token") from error
    try:
        found = await run_in_threadpool(services.issuer.standing, token)
    except IdentityError:
        found = None
    if found is None:
        return answer(Introspection(active=False))
    session, (claims, _) = found
    return answer(
        Introspection(True, claims.sub, session.role, claims.scope, claims.client_id, claims.exp, claims.iss, "Bearer")
    )


@router.get(
    "/v0/auth/jwks.json",
    summary="The keys that access tokens are signed with",
    dependencies=[open_to(PUBLIC)],
    responses=described(JwkSet),
    response_class=Response,
)
def jwks(services: ServicesDep) -> Response:
    """The token keys of every coordinator, the new ones from before their first token on."""
    return answer(JwkSet(services.issuer.keys()))


@router.delete(
    "/v0/auth/keys/{key_id}",
    summary="Believe a token key no longer",
    dependencies=[scope("admin:all")],
    responses=described(Ended, 401, 403, 404),
    response_class=Response,
)
def revoke_key(services: ServicesDep, key_id: str) -> Response:
    """What it signed is refused from the next request on; its coordinator makes another by itself."""
    if not _KID.fullmatch(key_id):
        raise NotFound("There is no such token key.", reason="unknown_key")
    token_keys.revoke(services.database, key_id, services.clock())
    return answer(Ended(key_id))


@router.get(
    "/.well-known/oauth-authorization-server",
    summary="Where to sign in, and how",
    dependencies=[open_to(PUBLIC)],
    responses=described(Metadata),
    response_class=Response,
)
def metadata(request: Request, services: ServicesDep) -> Response:
    """Authorization server metadata. Its issuer is a URL where the settings say so (`auth.issuer`)."""
    base = services.issuer.base_url(str(request.base_url))
    return answer(
        Metadata(
            issuer=services.issuer.name,
            token_endpoint=base + TOKEN_PATH,
            jwks_uri=f"{base}/v0/auth/jwks.json",
            revocation_endpoint=f"{base}/v0/auth/revoke",
            introspection_endpoint=f"{base}/v0/auth/introspect",
            device_authorization_endpoint=f"{base}/v0/auth/device",
            grant_types_supported=["password", "client_credentials", "refresh_token", devices.GRANT],
            response_types_supported=[],
            token_endpoint_auth_methods_supported=["none", "private_key_jwt"],
            token_endpoint_auth_signing_alg_values_supported=["EdDSA"],
            scopes_supported=sorted(SCOPES),
        )
    )


@router.get(
    "/v0/auth/sessions",
    summary="Who is signed in",
    dependencies=[scope("self:read")],
    responses=described(SessionPage, 400, 401, 403),
    response_class=Response,
)
def every_session(
    request: Request,
    services: ServicesDep,
    account: Annotated[str, Query(max_length=200, description="another account's, or `*` for all")] = "",
    cursor: Annotated[str, Query(max_length=100, description="`next_cursor` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """One's own sessions, newest first; those of others need `accounts:read`."""
    caller = caller_of(request)
    if cursor and not _ID.fullmatch(cursor):
        raise BadRequest("This cursor was not made here.", field="cursor", hint="Start again without one.")
    whose = account or caller.contributor
    if whose != caller.contributor:
        require_scope(caller, "accounts:read")
    found = sessions.page(
        services.database,
        services.clock(),
        account="" if whose == "*" else whose,
        before=cursor,
        limit=limit + 1,
    )
    page = tuple(msgspec.structs.replace(one, current=one.id == caller.session) for one in found[:limit])
    return answer(SessionPage(page, page[-1].id if len(found) > limit else ""))


@router.delete(
    "/v0/auth/sessions/{session_id}",
    summary="End a session",
    dependencies=[scope("self:write")],
    responses=described(Ended, 401, 403, 404),
    response_class=Response,
)
def end_session(request: Request, services: ServicesDep, session_id: str) -> Response:
    """From its next request on, by any coordinator. Those of others need `accounts:write`."""
    caller = caller_of(request)
    if not _ID.fullmatch(session_id):
        raise NotFound("There is no such session.", reason="unknown_session")
    own = "" if "accounts:write" in caller.scopes else caller.contributor
    if not own and (whose := sessions.account_of(services.database, session_id)):
        require_over(services, caller, whose)
    sessions.revoke(services.database, session_id, Act(caller.contributor, services.clock()), of=own)
    return answer(Ended(session_id))
