"""Second factors, devices that wait to be let in, and the first start, as the API answers. Times are UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

FactorKind = Literal["totp", "passkey"]


class FactorRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A second factor: an authenticator app (`totp`) or a passkey. `usable`: this coordinator can check it."""

    id: str
    kind: FactorKind
    name: str
    created: datetime
    used: datetime | None = None
    usable: bool = True


class FactorList(msgspec.Struct, frozen=True):
    """The second factors of an account, the oldest first, and how many recovery codes are left."""

    factors: tuple[FactorRecord, ...]
    recovery_codes: int


class TotpStart(msgspec.Struct, frozen=True):
    """An authenticator app that is being set up: it counts once a code of it was shown, within ten minutes.

    `secret` is base32, `uri` the same as an `otpauth:` URI for a QR code. Neither is shown again.
    """

    id: str
    secret: str
    uri: str


class PasskeyStart(msgspec.Struct, frozen=True):
    """A passkey that is being made: `options` for `navigator.credentials.create`, base64url where that takes bytes."""

    id: str
    options: dict[str, Any]


class FactorAdded(msgspec.Struct, frozen=True):
    """A second factor that counts from now on. The first one comes with recovery codes, which are not shown again."""

    factor: FactorRecord
    recovery_codes: tuple[str, ...] = ()


class RecoveryCodes(msgspec.Struct, frozen=True):
    """New recovery codes, each good once; those there were are good no more. They are not shown again."""

    codes: tuple[str, ...]


class DeviceAnswer(msgspec.Struct, frozen=True):
    """What a device shows while it waits (RFC 8628 section 3.2). Times are in seconds."""

    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_in: int
    interval: int


class DeviceRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A device that waits to be let in; no `scopes`: all that the account holds. `source` is where it asked from."""

    user_code: str
    client_id: str
    created: datetime
    expires: datetime
    source: str = ""
    scopes: tuple[str, ...] = ()
    state: Literal["waiting", "allowed", "refused"] = "waiting"


class SetupState(msgspec.Struct, frozen=True):
    """Whether the first account is still to be made: nobody has a password yet."""

    open: bool


class SetupLink(msgspec.Struct, frozen=True, omit_defaults=True):
    """The one link by which the first account is made; it holds until `expires`, or until the next is asked for.

    `origin` is where browsers reach the dashboard, if the settings say that.
    """

    path: str
    expires: datetime
    origin: str = ""


class SetupDone(msgspec.Struct, frozen=True):
    """The account that was made: an admin's."""

    account: str


class EndedSessions(msgspec.Struct, frozen=True):
    """How many sessions of an account were ended."""

    account: str
    ended: int
