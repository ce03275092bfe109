"""Signing in by a code that is typed at the dashboard (RFC 8628)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from spectra.cli.output import note
from spectra.errors import SpectraError

if TYPE_CHECKING:
    from spectra.cli.sessions import Keeper
    from spectra.identity.tokens import Session
    from spectra.model.people import DeviceAnswer

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
SLOWER_S = 5
"""What a device adds to its interval when it is told to slow down (RFC 8628 section 3.5)."""
_MOST_S = 60


class NotLetIn(SpectraError):
    """Nobody let this command line in, or somebody refused it."""

    reason = "not_signed_in"


def with_device(keeper: Keeper, *, scope: str = "", wait: Callable[[float], object] | None = None) -> Session:
    """Show a code, and wait until somebody who is signed in types it at the dashboard. Raises `NotLetIn`."""
    from spectra.cli.client import Client
    from spectra.cli.sessions import CLIENT_ID
    from spectra.model.people import DeviceAnswer

    asked = {"client_id": CLIENT_ID} | ({"scope": scope} if scope else {})
    with Client(keeper.url) as client:
        device = client.form("/v0/auth/device", DeviceAnswer, asked)
    note(f"Open {device.verification_uri} in a browser, sign in there, and type this code: {device.user_code}")
    fields = {"grant_type": GRANT, "device_code": device.device_code, "client_id": CLIENT_ID}
    return _until_let_in(keeper, device, fields, scope, wait or threading.Event().wait)


def _until_let_in(
    keeper: Keeper, device: DeviceAnswer, fields: dict[str, str], scope: str, wait: Callable[[float], object]
) -> Session:
    every_s, waited_s = min(max(device.interval, 1), _MOST_S), 0
    while waited_s < device.expires_in:
        wait(every_s)
        waited_s += every_s
        try:
            return keeper.sign_in(fields, scope=scope)
        except SpectraError as error:
            if error.reason == "slow_down":
                every_s = min(every_s + SLOWER_S, _MOST_S)
            elif error.reason in ("access_denied", "expired_token"):
                raise NotLetIn(f"{keeper.url}: {error.message}") from error
            elif error.reason != "authorization_pending":
                raise
    raise NotLetIn(f"{keeper.url}: nobody typed the code in time", hint="Run it again for another code.")
