"""Setting up second factors, and removing them: what one signed in does with one's own."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, TypeVar

import msgspec
from fastapi import Request

from spectra.api import cookies, passkeys
from spectra.api.services import Services
from spectra.api.signin import usable
from spectra.errors import BadRequest, NotFound
from spectra.identity import codes
from spectra.identity.errors import IdentityError
from spectra.model.people import FactorAdded, FactorList, FactorRecord, PasskeyStart, RecoveryCodes, TotpStart
from spectra.store import factors, tickets
from spectra.store.accounts import Act
from spectra.store.database import Connection
from spectra.store.factors import Factor
from spectra.store.provenance import Entry, commit
from spectra.store.tickets import Kind, Ticket

ISSUER: Final = "Spectra"
_LASTS: Final = timedelta(minutes=10)


class _Totp(msgspec.Struct):
    id: str
    name: str
    sealed: bytes
    by: str


class _Passkey(msgspec.Struct):
    name: str
    challenge: bytes


Pending = TypeVar("Pending", _Totp, _Passkey)
_Adding = Callable[[Connection, Act], tuple[Factor, list[Entry]]]


def listed(services: Services, account: str) -> FactorList:
    """The factors of an account."""
    held, left = factors.of(services.database, account)
    return FactorList(tuple(_record(services, factor) for factor in held), left)


def begin_totp(services: Services, account: str, name: str) -> TotpStart:
    """A new secret for an authenticator app, which counts for nothing yet."""
    ident, secret = str(uuid.uuid4()), codes.new_totp_secret()
    seal = services.issuer.seal
    pending = _Totp(ident, name or "authenticator app", seal.seal(secret.encode(), ident), seal.id)
    ticket = _keep(services, account, "totp", pending)
    return TotpStart(ticket, secret, codes.totp_uri(secret, account=account, issuer=ISSUER))


def finish_totp(services: Services, account: str, ident: str, code: str) -> FactorAdded:
    """Let the app count whose code this is; raises `BadRequest("wrong_code")`, `NotFound`."""
    now = services.clock()
    pending = _look(services, account, "totp", ident, _Totp)
    try:
        secret = services.issuer.seal.open(pending.sealed, pending.id).decode()
    except IdentityError as error:  # begun at a coordinator with another key
        raise _over() from error
    step = codes.totp_step(secret, code, now)
    if step is None:
        raise BadRequest(
            "This is not the code that the app shows.",
            reason="wrong_code",
            field="code",
            hint="Codes change every 30 seconds, and both clocks have to be right.",
        )

    def add(connection: Connection, act: Act) -> tuple[Factor, list[Entry]]:
        sealed = (pending.id, pending.sealed, pending.by)
        return factors.add_totp(connection, account, pending.name, sealed=sealed, step=step, act=act)

    return _added(services, account, "totp", ident, add)


def begin_passkey(request: Request, services: Services, account: str, name: str) -> PasskeyStart:
    """What a browser needs to make a passkey; raises `BadRequest("passkey_origin")`."""
    options, challenge = passkeys.creation(request, services, account)
    ticket = _keep(services, account, "passkey", _Passkey(name or "passkey", challenge))
    return PasskeyStart(ticket, options)


def finish_passkey(
    request: Request, services: Services, account: str, ident: str, answer: dict[str, Any]
) -> FactorAdded:
    """Let the passkey count that a browser made; raises `BadRequest("bad_passkey")`, `NotFound`."""
    pending = _look(services, account, "passkey", ident, _Passkey)
    made = passkeys.created(request, services, answer, pending.challenge)
    return _added(
        services,
        account,
        "passkey",
        ident,
        lambda connection, act: factors.add_passkey(connection, account, pending.name, made, act),
    )


def new_codes(services: Services, account: str) -> RecoveryCodes:
    """Ten recovery codes in the place of those there were; raises `BadRequest("no_factor")` without a second factor."""
    if not factors.of(services.database, account)[0]:
        raise BadRequest("Recovery codes stand in for a second factor, and there is none.", reason="no_factor")
    made = codes.new_recovery_codes()
    act = Act(account, services.clock())
    digests = _digests(account, made)
    commit(services.database, lambda connection: (None, factors.put_codes(connection, account, digests, act)))
    return RecoveryCodes(tuple(made))


def _added(services: Services, account: str, kind: Kind, ticket: str, add: _Adding) -> FactorAdded:
    """The factor that `add` puts in, in one transaction with using up the ticket; the first comes with codes."""
    act = Act(account, services.clock())
    made = codes.new_recovery_codes()

    def work(connection: Connection) -> tuple[tuple[Factor, bool], list[Entry]]:
        if tickets.take(connection, cookies.digest(ticket), kind, act.now) is None:
            raise _over()
        factor, entries = add(connection, act)
        first = not factors.has_codes(connection, account)
        if first:
            entries += factors.put_codes(connection, account, _digests(account, made), act)
        return (factor, first), entries

    factor, first = commit(services.database, work)
    return FactorAdded(_record(services, factor), tuple(made) if first else ())


def _keep(services: Services, account: str, kind: Kind, pending: _Totp | _Passkey) -> str:
    secret, now = cookies.new_secret(), services.clock()
    ticket = Ticket(account, msgspec.json.encode(pending).decode())
    tickets.put(services.database, cookies.digest(secret), kind, ticket, until=now + _LASTS, now=now)
    return secret


def _look(services: Services, account: str, kind: Kind, ident: str, of: type[Pending]) -> Pending:
    found = tickets.look(services.database, cookies.digest(ident), kind, services.clock())
    if found is None or found.account != account:
        raise _over()
    return msgspec.json.decode(found.detail, type=of)


def _over() -> NotFound:
    return NotFound("This was begun too long ago, or is done.", reason="unknown_factor", hint="Begin again.")


def _digests(account: str, made: list[str]) -> list[bytes]:
    found = [codes.recovery_digest(account, code) for code in made]
    return [digest for digest in found if digest is not None]


def _record(services: Services, factor: Factor) -> FactorRecord:
    usable_here = usable(services, factor)
    return FactorRecord(factor.id, factor.kind, factor.name, factor.created, factor.used, usable_here)
