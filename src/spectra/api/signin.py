"""Proving who one is: by password, and by a second factor where the account has one.

An account cannot be locked by those who guess at it. Attempts count against where they come from, and against the
account only for sources that nobody ever signed in to it from; a browser that somebody did sign in with has a count of
its own, whatever it shares its network with. Every refusal says the same, takes the same time, and is counted for the
record (store/refusedsignins.py).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from ipaddress import IPv6Address, ip_address
from typing import Final, NamedTuple

from fastapi import Request
from starlette.responses import Response

from spectra.api import cookies
from spectra.api.guard import address_of
from spectra.api.rates import TooOften
from spectra.api.services import Services
from spectra.errors import BadRequest, SpectraError
from spectra.identity import codes
from spectra.identity.errors import IdentityError
from spectra.store import accounts, factors, refusedsignins, sessions, throttle, tickets
from spectra.store.accounts import Act, SignIn
from spectra.store.factors import Factor
from spectra.store.throttle import Bucket
from spectra.store.tickets import Ticket

WAITING: Final = "spectra-waiting"
"""The cookie of a browser whose password was right, and whose second factor is awaited."""
_WAITS: Final = timedelta(minutes=10)
_MAX_NAME: Final = 200
_MAX_PASSWORD: Final = 1024
_MAX_CODE: Final = 64


class Refused(SpectraError):
    """An answer of RFC 6749 section 5.2: `reason` is its `error`."""

    def __init__(self, error: str, message: str, *, status: int = 400, retry_after_s: float = 0.0) -> None:
        super().__init__(message, reason=error)
        self.status = status
        self.retry_after_s = retry_after_s


class Source(NamedTuple):
    """Where a request came from: an address, or nothing; the URLs of the socket it came in by; and what the browser is
    known by that sent it, if it is one.
    """

    address: str
    local: tuple[str, ...] = ()
    browser: bytes = b""

    @classmethod
    def of(cls, request: Request) -> Source:
        """The source of a request."""
        host, port = request.scope.get("server") or ("", None)
        local = _urls(request.url.scheme, host, port) if port else ()
        return cls(str(address_of(request) or "").partition("%")[0], local, cookies.known_browser(request))

    @property
    def network(self) -> str:
        """What one subscriber has: an IPv4 address, or an IPv6 /64."""
        return sessions.network_of(self.address)


class Passed(NamedTuple):
    """An account whose password was right. It is signed in unless it `needs` one of these as well: `totp`, `passkey`,
    `recovery`.
    """

    account: str
    needs: tuple[str, ...]
    found: SignIn


def password(services: Services, name: str, given: str, source: Source) -> Passed:
    """The account `name`, if the password is its own, and what it takes besides; raises `Refused`."""
    found = check_password(services, name, given, source)
    return Passed(name, needs(services, name), found)


def needs(services: Services, account: str) -> tuple[str, ...]:
    """By which second factors `account` can sign in; none where it has no second factor."""
    held, recovery_codes = factors.of(services.database, account)
    kinds = tuple(dict.fromkeys(factor.kind for factor in held))
    return (*kinds, "recovery") if kinds and recovery_codes else kinds


def check_password(services: Services, name: str, password: str, source: Source) -> SignIn:
    """The account `name`, if `password` is its own; raises `Refused`. Attempts are counted, and wrong ones stay so."""
    if len(name) > _MAX_NAME or len(password) > _MAX_PASSWORD or "\x00" in name:
        raise Refused("invalid_grant", "the account or the password is wrong")
    pair, others = _buckets(services, name, source)
    charge(services, [pair, *others])
    found = accounts.sign_in(services.database, name)
    stored = found.password if found and not found.disabled else ""
    with services.issuer.password_turn():
        good = services.issuer.passwords.verify(stored, password)
    if not good or found is None:
        refusedsignins.note(services.database, name, source.address, services.clock())
        raise Refused("invalid_grant", "the account or the password is wrong")
    throttle.forget(services.database, pair)
    throttle.forgive(services.database, others, services.clock())
    _renew_hash(services, name, stored, password)
    return found


def require_password(services: Services, name: str, given: str, source: Source) -> None:
    """For what somebody signed in is asked again; raises `BadRequest`, `TooOften`."""
    known = accounts.sign_in(services.database, name)
    if known is None or not known.password:
        raise BadRequest(
            "This account has no password to ask for.",
            reason="no_password",
            field="password",
            hint="Give it one first: spectra accounts password",
        )
    try:
        check_password(services, name, given, source)
    except Refused as error:
        if error.retry_after_s:
            raise TooOften("Somebody", error.retry_after_s) from error
        raise BadRequest("This is not the password.", reason="wrong_password", field="password") from error


# The second factor ---------------------------------------------------------------------------------------------------


def second(services: Services, account: str, code: str, source: Source) -> str:
    """By what a code is right that somebody typed whose password was: `totp` or `recovery`; raises `Refused`.

    Each code is good once. Attempts are counted as passwords are; only who has the password can make any.
    """
    buckets = _second_buckets(services, account, source)
    charge(services, buckets)
    held, _ = factors.of(services.database, account)
    kind = ""
    if len(code) <= _MAX_CODE and code.isascii():
        kind = _by_app(services, held, code) or _by_recovery(services, account, code)
    if not kind:
        refusedsignins.note(services.database, account, source.address, services.clock())
        raise Refused("invalid_grant", _why_not(services, held))
    throttle.forgive(services.database, buckets, services.clock())
    return kind


def usable(services: Services, factor: Factor) -> bool:
    """Whether this coordinator can check a factor: it needs the key that an app's secret was sealed with."""
    return factor.kind != "totp" or factor.sealed_by == services.issuer.seal.id


def _by_app(services: Services, held: list[Factor], code: str) -> str:
    now = services.clock()
    for factor in held:
        if factor.sealed is None or not usable(services, factor):
            continue
        try:
            secret = services.issuer.seal.open(factor.sealed, factor.id).decode()
        except IdentityError:  # altered in the database: the audit tells
            continue
        step = codes.totp_step(secret, code, now)
        if step is not None and factors.used(services.database, factor, step, now):
            return "totp"
    return ""


def _by_recovery(services: Services, account: str, code: str) -> str:
    digest = codes.recovery_digest(account, code)
    if digest is None or not factors.use_code(services.database, account, digest, Act(account, services.clock())):
        return ""
    return "recovery"


def _why_not(services: Services, held: list[Factor]) -> str:
    apps = [factor for factor in held if factor.kind == "totp"]
    if apps and not any(usable(services, factor) for factor in apps):
        return "this coordinator cannot check the codes of an app; use a passkey or a recovery code"
    return "the code is wrong, or was used before"


# A browser between the two -------------------------------------------------------------------------------------------


def wait(request: Request, services: Services, account: str) -> Callable[[Response], None]:
    """Remember that the password of `account` was right, for ten minutes; what sets the cookie that says so."""
    secret, now = cookies.new_secret(), services.clock()
    tickets.put(services.database, cookies.digest(secret), "sign-in", Ticket(account, ""), until=now + _WAITS, now=now)

    def put(response: Response) -> None:
        cookies.put_cookie(request, response, WAITING, secret, int(_WAITS.total_seconds()))

    return put


def waiting(request: Request, services: Services) -> str:
    """The account whose second factor this browser is asked for; empty where there is none."""
    secret = cookies.secret_cookie(request, WAITING)
    if not secret:
        return ""
    found = tickets.look(services.database, cookies.digest(secret), "sign-in", services.clock())
    return found.account if found else ""


def complete(request: Request, services: Services) -> Callable[[Response], None]:
    """Use up what `wait` remembered, once the second factor was right; what takes its cookie away. Raises `Refused`
    where that was used up meanwhile.
    """
    digest = cookies.digest(cookies.secret_cookie(request, WAITING))
    with services.database.transaction() as connection:
        if tickets.take(connection, digest, "sign-in", services.clock()) is None:
            raise Refused("invalid_grant", "this sign-in is over; begin again")

    def put(response: Response) -> None:
        cookies.drop_cookie(request, response, WAITING)

    return put


# Counting ------------------------------------------------------------------------------------------------------------


def charge(services: Services, buckets: list[Bucket]) -> None:
    """Count an attempt; raises `Refused` with the seconds to wait."""
    wait_s = throttle.charge(services.database, buckets, services.clock())
    if wait_s:
        raise Refused(
            "temporarily_unavailable", "too many failed attempts; wait a moment", status=429, retry_after_s=wait_s
        )


def source_bucket(source: Source) -> Bucket:
    """What everything from one network counts against."""
    return Bucket(f"source {source.network}", each_s=5.0, burst=30)


def _buckets(services: Services, name: str, source: Source) -> tuple[Bucket, list[Bucket]]:
    """What an attempt counts against, and what of that is shared.

    Those who guess exhaust their own source, and the account for sources that nobody ever signed in to it from. Who did
    before is held to a count of their own alone; keys to none of these.
    """
    if known := _known(services, name, source):
        return Bucket(f"pair {known} {name}", each_s=30.0, burst=6), []
    pair = Bucket(f"pair {source.network} {name}", each_s=30.0, burst=6)
    return pair, [source_bucket(source), Bucket(f"account {name}", each_s=10.0, burst=30)]


def _second_buckets(services: Services, account: str, source: Source) -> list[Bucket]:
    """Six digits are guessed in a third of a million attempts: at one a minute, in half a year and more."""
    if known := _known(services, account, source):
        return [Bucket(f"second {known} {account}", each_s=60.0, burst=10)]
    return [Bucket(f"second {account}", each_s=60.0, burst=10)]


def _known(services: Services, name: str, source: Source) -> str:
    """By what this source is known to the account: its browser, else its network; empty where it is not."""
    now = services.clock()
    if source.browser and sessions.known_browser(services.database, name, source.browser, now):
        return f"browser {source.browser.hex()}"
    if source.network and sessions.known_source(services.database, name, source.network, now):
        return source.network
    return ""


def _renew_hash(services: Services, name: str, stored: str, password: str) -> None:
    passwords = services.issuer.passwords
    if passwords.stale(stored):
        with services.issuer.password_turn():
            new = passwords.hash(password)
        accounts.rehash(services.database, name, old=stored, new=new, now=services.clock())


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
