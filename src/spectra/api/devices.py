"""Letting in a device that cannot ask for a password itself: the device authorisation grant (RFC 8628).

The device shows a code of eight letters; whoever is signed in at a browser types it there and lets the device in to
their account, with no more than they hold themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from fastapi import Request

from spectra.api import cookies
from spectra.api.auth import Caller
from spectra.api.services import Services
from spectra.api.signin import Refused, Source, charge
from spectra.errors import NotFound
from spectra.identity import codes, roles
from spectra.model.accounts import TokenAnswer
from spectra.model.people import DeviceAnswer, DeviceRecord
from spectra.store import accounts, devicegrants
from spectra.store.accounts import Act
from spectra.store.devicegrants import NewDevice, Polled
from spectra.store.sessions import NewSession
from spectra.store.throttle import Bucket

GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
LASTS: Final = timedelta(minutes=10)
EVERY_S: Final = 5
"""No sooner may a device ask again, in seconds."""
_WHY: Final = {
    Polled.WAITING: "nobody has let this device in yet",
    Polled.TOO_SOON: "this device asks too often: five seconds more between two times",
    Polled.REFUSED: "this device was refused",
    Polled.OVER: "the code is over; ask for another",
    Polled.UNKNOWN: "the device code is unknown, or was used",
}


def ask(
    request: Request, services: Services, client_id: str, scopes: tuple[str, ...] | None, source: Source
) -> DeviceAnswer:
    """A code for a device to show; raises `Refused`, `Unavailable`."""
    charge(services, [Bucket(f"device {source.network}", each_s=10.0, burst=30)])
    now, secret = services.clock(), cookies.new_secret()
    while True:
        user_code = codes.new_user_code()
        new = NewDevice(
            cookies.digest(secret),
            user_code,
            client_id,
            scopes,
            source.address,
            source.network,
            now + LASTS,
            EVERY_S,
        )
        if devicegrants.ask(services.database, new, now):
            break
    base = services.web.origin or cookies.by_name(services.issuer.base_url(cookies.origin_of(request)))
    return DeviceAnswer(
        device_code=secret,
        user_code=user_code,
        verification_uri=f"{base}/device",
        verification_uri_complete=f"{base}/device?code={user_code}",
        expires_in=int(LASTS.total_seconds()),
        interval=EVERY_S,
    )


def tokens_of(services: Services, form: Mapping[str, str], client_id: str, source: Source) -> TokenAnswer:
    """The tokens of a device that was let in; raises `Refused`, with what else it is told."""
    found = devicegrants.poll(services.database, cookies.digest(form["device_code"]), client_id, services.clock())
    if isinstance(found, Polled):
        raise Refused(found.value, _WHY[found])
    known = accounts.sign_in(services.database, found.account)
    if known is None or known.disabled:
        raise Refused("access_denied", _WHY[Polled.REFUSED])
    new = NewSession(found.account, client_id, "device", found.scopes, "", source.address, services.clock())
    return services.issuer.begin(new, refreshable=True)


def find(services: Services, caller: Caller, typed: str) -> DeviceRecord:
    """The device that shows this code; raises `NotFound`. Wrong codes are counted by account."""
    return devicegrants.find(services.database, _code(services, caller, typed), services.clock())


def decide(services: Services, caller: Caller, typed: str, *, allow: bool) -> DeviceRecord:
    """Let a device in to the caller's own account, or not: once. Raises `NotFound`."""
    act = Act(caller.contributor, services.clock())
    known = accounts.sign_in(services.database, caller.contributor)
    whole = roles.scopes(known.role, known.scopes) if known else frozenset[str]()
    most = None if caller.scopes == whole else tuple(sorted(caller.scopes))
    code = _code(services, caller, typed)
    return devicegrants.decide(services.database, code, act, allow=allow, scopes=most)


def _code(services: Services, caller: Caller, typed: str) -> str:
    charge(services, [Bucket(f"user code {caller.contributor}", each_s=6.0, burst=30)])
    code = codes.user_code(typed)
    if not code:
        raise NotFound("This is no code of a device.", reason="unknown_device", hint="It is eight letters: BCDF-GHJK.")
    return code
