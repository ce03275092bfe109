"""Accounts and roles: who may sign in, and what each may do. Every change is an entry of the provenance chain.

Nobody grants what they do not hold: who may write accounts touches only accounts whose scopes are among their own,
and gives only such. Nobody disables or demotes themselves, so the last admin cannot be lost by a slip.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Query, Request
from msgspec import Meta
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import Caller, ServicesDep, caller_of, scope
from spectra.api.bodies import described_body, json_body
from spectra.api.problems import Forbidden
from spectra.api.rates import TooOften
from spectra.api.services import Services
from spectra.api.signin import Refused, Source, check_password
from spectra.errors import BadRequest, NotFound
from spectra.identity import passwords, roles
from spectra.model.accounts import AccountPage, AccountRecord, Me, RoleList, RoleRecord
from spectra.store import accounts
from spectra.store.accounts import Act

router = APIRouter(tags=["accounts"])

# The first character is no space or punctuation that a form, a path or a table would swallow.
NAME_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}(?![\s\S])"
_Name = Annotated[str, Meta(pattern=NAME_PATTERN)]
_Role = Annotated[str, Meta(max_length=40)]
_Trust = Annotated[float, Meta(ge=0, le=1)]
_Password = Annotated[str, Meta(max_length=512)]


class NewAccount(msgspec.Struct, forbid_unknown_fields=True):
    """An account to make. Without a password it signs in with a key alone, once it has one."""

    name: _Name
    role: _Role
    trust: _Trust = 1.0
    password: _Password | None = None


class AccountChange(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be different; what is left out stays."""

    role: _Role | None = None
    trust: _Trust | None = None
    disabled: bool | None = None


class OwnPassword(msgspec.Struct, forbid_unknown_fields=True):
    """One's new password. `current` may be left out only where there was none."""

    password: _Password
    current: Annotated[str, Meta(max_length=1024)] = ""


class NewPassword(msgspec.Struct, forbid_unknown_fields=True):
    """Another's new password; null takes it away."""

    password: _Password | None


class NewRole(msgspec.Struct, forbid_unknown_fields=True):
    """The scopes of a role."""

    scopes: Annotated[list[Annotated[str, Meta(max_length=60)]], Meta(min_length=1, max_length=100)]


def _of(request: Request, services: Services) -> tuple[Caller, Act]:
    caller = caller_of(request)
    return caller, Act(caller.contributor, services.clock())


@router.get(
    "/v0/accounts",
    summary="All accounts",
    dependencies=[scope("accounts:read")],
    responses=described(AccountPage, 400, 401, 403),
    response_class=Response,
)
def every(
    services: ServicesDep,
    cursor: Annotated[str, Query(max_length=200, description="`next_cursor` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """By name: people, and machines that only ever signed."""
    if "\x00" in cursor:
        raise BadRequest("This cursor was not made here.", field="cursor", hint="Start again without one.")
    found = accounts.page(services.database, after=cursor, limit=limit + 1)
    return answer(AccountPage(found[:limit], found[limit - 1].name if len(found) > limit else ""))


@router.post(
    "/v0/accounts",
    summary="Make an account",
    status_code=201,
    dependencies=[scope("accounts:write")],
    responses=described(AccountRecord, 400, 401, 403, 408, 409, 413, status=201),
    openapi_extra=described_body(NewAccount),
    response_class=Response,
)
def create(request: Request, services: ServicesDep, new: Annotated[NewAccount, json_body(NewAccount)]) -> Response:
    """For a person give a password, which they change; a machine registers its key."""
    caller, act = _of(request, services)
    if new.name in ("me", "*"):
        raise BadRequest(f"{new.name} is no name for an account.", field="name")
    _require_grantable(services, caller, new.role)
    stored = _hashed(services, new.name, new.password) if new.password is not None else ""
    record = accounts.create(services.database, new.name, role=new.role, trust=new.trust, password=stored, act=act)
    return answer(record, 201)


@router.get(
    "/v0/accounts/me",
    summary="Whom a token speaks for",
    dependencies=[scope("self:read")],
    responses=described(Me, 401, 403, 404),
    response_class=Response,
)
def me(request: Request, services: ServicesDep) -> Response:
    """One's own account, and the scopes of this very token."""
    caller = caller_of(request)
    record = accounts.get(services.database, caller.contributor)
    return answer(Me(record, tuple(sorted(caller.scopes)), caller.session))


@router.post(
    "/v0/accounts/me/password",
    summary="Change one's own password",
    dependencies=[scope("self:write")],
    responses=described(AccountRecord, 400, 401, 403, 408, 413, 429),
    openapi_extra=described_body(OwnPassword),
    response_class=Response,
)
def own_password(
    request: Request, services: ServicesDep, wish: Annotated[OwnPassword, json_body(OwnPassword)]
) -> Response:
    """Every other session of the account ends."""
    caller, act = _of(request, services)
    name = caller.contributor
    known = accounts.sign_in(services.database, name)
    if known is not None and known.password:
        _require_current(services, name, wish.current, Source.of(request))
    stored = _hashed(services, name, wish.password)
    return answer(accounts.set_password(services.database, name, stored, act, keep=caller.session))


@router.get(
    "/v0/accounts/{account}",
    summary="One account",
    dependencies=[scope("accounts:read")],
    responses=described(AccountRecord, 401, 403, 404),
    response_class=Response,
)
def one(services: ServicesDep, account: str) -> Response:
    """Its role, trust and status."""
    return answer(accounts.get(services.database, plain(account)))


@router.patch(
    "/v0/accounts/{account}",
    summary="Change an account",
    dependencies=[scope("accounts:write")],
    responses=described(AccountRecord, 400, 401, 403, 404, 408, 413),
    openapi_extra=described_body(AccountChange),
    response_class=Response,
)
def change(
    request: Request,
    services: ServicesDep,
    account: str,
    wish: Annotated[AccountChange, json_body(AccountChange)],
) -> Response:
    """Role and trust hold from the next request and submission on. Disabling ends its sessions and its signatures."""
    caller, act = _of(request, services)
    name = plain(account)
    require_over(services, caller, name)
    if wish.role is not None:
        _require_grantable(services, caller, wish.role)
    if name == caller.contributor and (wish.disabled or wish.role not in (None, caller.role)):
        raise BadRequest("This is your own account.", reason="own_account", hint="Have another admin do it.")
    record = accounts.change(services.database, name, role=wish.role, trust=wish.trust, act=act)
    if wish.disabled is not None:
        record = (accounts.disable if wish.disabled else accounts.enable)(services.database, name, act)
    return answer(record)


@router.post(
    "/v0/accounts/{account}/password",
    summary="Set an account's password",
    dependencies=[scope("accounts:write")],
    responses=described(AccountRecord, 400, 401, 403, 404, 408, 413),
    openapi_extra=described_body(NewPassword),
    response_class=Response,
)
def password(
    request: Request,
    services: ServicesDep,
    account: str,
    wish: Annotated[NewPassword, json_body(NewPassword)],
) -> Response:
    """Every session of the account ends."""
    caller, act = _of(request, services)
    name = plain(account)
    require_over(services, caller, name)
    stored = _hashed(services, name, wish.password) if wish.password is not None else ""
    return answer(accounts.set_password(services.database, name, stored, act))


@router.get(
    "/v0/roles",
    summary="All roles",
    dependencies=[scope("accounts:read")],
    responses=described(RoleList, 401, 403),
    response_class=Response,
)
def every_role(services: ServicesDep) -> Response:
    """The built-in ones and one's own, with their scopes."""
    builtin = [RoleRecord(name, tuple(sorted(held)), True) for name, held in roles.ROLES.items()]
    own = [RoleRecord(name, held, False) for name, held in accounts.roles(services.database).items()]
    return answer(RoleList((*builtin, *own), tuple(sorted(roles.SCOPES))))


@router.put(
    "/v0/roles/{role}",
    summary="Define a role",
    dependencies=[scope("accounts:write")],
    responses=described(RoleRecord, 400, 401, 403, 408, 413),
    openapi_extra=described_body(NewRole),
    response_class=Response,
)
def put_role(
    request: Request, services: ServicesDep, role: str, wish: Annotated[NewRole, json_body(NewRole)]
) -> Response:
    """A new one, or other scopes for everybody who has it. Built-in roles stay what they are."""
    caller, act = _of(request, services)
    _require_own_role(role)
    if unknown := sorted(set(wish.scopes) - (roles.SCOPES - {"admin:all"})):
        raise BadRequest(f"There is no scope {unknown[0]} to give.", field="scopes", hint="`spectra accounts roles`")
    before = roles.scopes(role, accounts.roles(services.database).get(role, ()))
    require_held(caller, before | set(wish.scopes))
    held = set(wish.scopes) | roles.SELF
    accounts.put_role(services.database, role, held, act)
    return answer(RoleRecord(role, tuple(sorted(held)), False))


@router.delete(
    "/v0/roles/{role}",
    summary="Remove a role",
    dependencies=[scope("accounts:write")],
    responses=described(RoleRecord, 400, 401, 403, 404, 409),
    response_class=Response,
)
def remove_role(request: Request, services: ServicesDep, role: str) -> Response:
    """One that no account has."""
    caller, act = _of(request, services)
    _require_own_role(role)
    held = accounts.roles(services.database).get(role, ())
    require_held(caller, roles.scopes(role, held))
    accounts.remove_role(services.database, role, act)
    return answer(RoleRecord(role, held, False))


def plain(name: str) -> str:
    """A name from a path; raises `NotFound` for what can be none."""
    if len(name) > 200 or not name.isprintable():
        raise NotFound("There is no such account.", reason="unknown_account")
    return name


def _hashed(services: Services, name: str, wished: str) -> str:
    passwords.require_good(wished, account=name)
    with services.issuer.password_turn():
        return services.issuer.passwords.hash(wished)


def _require_current(services: Services, name: str, current: str, source: Source) -> None:
    try:
        check_password(services, name, current, source)
    except Refused as error:
        if error.retry_after_s:
            raise TooOften("Somebody", error.retry_after_s) from error
        raise BadRequest("This is not the current password.", reason="wrong_password", field="current") from error


def require_role(services: Services, role: str) -> frozenset[str]:
    """The scopes of a role; raises `BadRequest` where there is none of this name."""
    own = accounts.roles(services.database)
    if role not in roles.ROLES and role not in own:
        known = ", ".join((*roles.ROLES, *own))
        raise BadRequest(f"There is no role {ascii(role)[1:-1][:40]}.", field="role", hint=f"One of {known}.")
    return roles.scopes(role, own.get(role, ()))


def _require_grantable(services: Services, caller: Caller, role: str) -> None:
    require_held(caller, require_role(services, role))


def require_over(services: Services, caller: Caller, name: str) -> None:
    """Raises unless the caller holds all that the account `name` does."""
    known = accounts.sign_in(services.database, name)
    if known is None:
        raise NotFound(f"There is no account {name}.", reason="unknown_account", hint="`spectra accounts list`")
    require_held(caller, roles.scopes(known.role, known.scopes))


def require_held(caller: Caller, wanted: frozenset[str] | set[str]) -> None:
    """Raises `Forbidden` unless the caller holds all of these scopes: nobody grants what they do not hold."""
    if beyond := sorted(wanted - caller.scopes):
        raise Forbidden(f"You do not hold {beyond[0]} yourself.", reason="forbidden", hint="Have an admin do it.")


def _require_own_role(role: str) -> None:
    if role in roles.ROLES or not roles.CUSTOM_NAME.fullmatch(role):
        raise BadRequest(
            f"{ascii(role)[1:-1][:40]} is built in, or no name for a role.",
            field="role",
            hint="Up to 40 of a-z, 0-9, - and _, a letter first.",
        )
