"""Passkeys (WebAuthn level 2): as a second factor after a password, or alone where the device asked who holds it.

The challenge of a sign-in is not kept but known by an HMAC that every coordinator of the database can check: strangers
who ask for many take nothing from anybody. It holds for five minutes, and once.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast
from urllib.parse import urlsplit

from fastapi import Request

from spectra.api.cookies import origin_of
from spectra.api.services import Services
from spectra.api.signin import Refused, Source
from spectra.errors import BadRequest
from spectra.store import accounts, factors, refusedsignins, sessions, token_keys
from spectra.store.factors import Factor, NewPasskey

if TYPE_CHECKING:
    from webauthn.helpers.structs import AuthenticationCredential, PublicKeyCredentialDescriptor

NAME: Final = "Spectra"
LASTS: Final = timedelta(minutes=5)
MAX_ANSWER: Final = 64 * 1024
_TIMEOUT_MS: Final = int(LASTS.total_seconds()) * 1000
_TIME_BYTES: Final = 8
_RANDOM_BYTES: Final = 24
_MAC_BYTES: Final = 32
_ADDRESS: Final = re.compile(r"[0-9.]+|.*:.*")
_TRANSPORTS: Final = frozenset({"usb", "nfc", "ble", "internal", "cable", "hybrid", "smart-card"})


class Party(NamedTuple):
    """Us, as passkeys know us: the name that they are bound to, and the origin that may ask for them."""

    id: str
    origin: str


def party(request: Request, services: Services) -> Party:
    """The relying party of a request; raises `BadRequest("passkey_origin")` where passkeys cannot be had.

    The name is what the browser asked for, if that is localhost, an onion's, or one that the settings name: under any
    other, whoever can have browsers ask us under a name of theirs would be let in on passkeys of ours.
    """
    origin = origin_of(request)
    host = urlsplit(origin).hostname or ""
    named = origin in {services.web.origin, *services.issuer.urls}
    if not named and not host.endswith(".onion") and host != "localhost":
        port = urlsplit(origin).port
        raise BadRequest(
            f"Passkeys are not for {host or 'this name'}.",
            reason="passkey_origin",
            field="host",
            hint=f"Open http://localhost{f':{port}' if port else ''} on this machine, or set web.origin."
            if _ADDRESS.fullmatch(host)
            else "Set web.origin to where browsers reach this node.",
        )
    return Party(host, origin)


# Signing in ----------------------------------------------------------------------------------------------------------


def options(request: Request, services: Services, account: str = "") -> dict[str, Any]:
    """For `navigator.credentials.get`: one of the passkeys of `account`, or where that is empty any at all.

    Bytes are base64url. Raises `BadRequest("passkey_origin")`.
    """
    from webauthn import generate_authentication_options
    from webauthn.helpers import options_to_json_dict
    from webauthn.helpers.structs import UserVerificationRequirement as Verified

    asked = generate_authentication_options(
        rp_id=party(request, services).id,
        challenge=_challenge(services, account),
        timeout=_TIMEOUT_MS,
        allow_credentials=_described(services, account) if account else None,
        user_verification=Verified.PREFERRED if account else Verified.REQUIRED,
    )
    return options_to_json_dict(asked)


def check(request: Request, services: Services, answer: str, account: str = "") -> str:
    """The account whose passkey gave `answer`, the JSON of what `navigator.credentials.get` returned.

    Where `account` is given, it has to be that one's. Without, the passkey stands alone, and its device has to have
    asked for its own PIN or print. Raises `Refused`, `BadRequest("passkey_origin")`.
    """
    us = party(request, services)
    try:
        factor = _checked(services, us, answer, account)
    except Refused:
        refusedsignins.note(services.database, account, Source.of(request).address, services.clock())
        raise
    return factor.account


def _checked(services: Services, us: Party, answer: str, account: str) -> Factor:
    from webauthn import verify_authentication_response
    from webauthn.helpers.exceptions import WebAuthnException

    credential, challenge = _parsed(answer)
    factor = factors.by_credential(services.database, credential.raw_id)
    if factor is None or factor.public_key is None or (account and factor.account != account):
        raise _refused()
    _require_fresh(services, challenge, account)
    handle = credential.response.user_handle
    known = accounts.sign_in(services.database, factor.account)
    if known is None or known.disabled or (handle and not hmac.compare_digest(handle, user_handle(factor.account))):
        raise _refused()
    try:
        verified = verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=us.id,
            expected_origin=us.origin,
            credential_public_key=factor.public_key,
            credential_current_sign_count=factor.counter,
            require_user_verification=not account,
        )
    except (WebAuthnException, ValueError) as error:
        raise _refused() from error
    now = services.clock()
    once = sessions.use_once(services.database, "passkey", challenge.hex(), now + LASTS)
    if not once or not factors.used(services.database, factor, verified.new_sign_count, now):
        raise _refused()
    return factor


def _parsed(answer: str) -> tuple[AuthenticationCredential, bytes]:
    from webauthn.helpers import parse_authentication_credential_json, parse_client_data_json
    from webauthn.helpers.exceptions import WebAuthnException

    if len(answer) > MAX_ANSWER:
        raise _refused()
    try:
        credential = parse_authentication_credential_json(answer)
        return credential, parse_client_data_json(credential.response.client_data_json).challenge
    except (WebAuthnException, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise _refused() from error


def _refused() -> Refused:
    return Refused("invalid_grant", "this passkey is not known here, or did not answer rightly")


def _described(services: Services, account: str) -> list[PublicKeyCredentialDescriptor]:
    from webauthn.helpers.structs import AuthenticatorTransport, PublicKeyCredentialDescriptor

    held, _ = factors.of(services.database, account)
    return [
        PublicKeyCredentialDescriptor(
            id=factor.credential, transports=[AuthenticatorTransport(name) for name in factor.transports or ()] or None
        )
        for factor in held
        if factor.credential is not None
    ]


def _challenge(services: Services, account: str) -> bytes:
    """Time, 24 random bytes, and the HMAC of both and whom they are for."""
    at = int(services.clock().timestamp())
    body = at.to_bytes(_TIME_BYTES, "big") + secrets.token_bytes(_RANDOM_BYTES)
    return body + _mac(services, body, account)


def _require_fresh(services: Services, challenge: bytes, account: str) -> None:
    body, mac = challenge[:-_MAC_BYTES], challenge[-_MAC_BYTES:]
    if len(body) != _TIME_BYTES + _RANDOM_BYTES or not hmac.compare_digest(_mac(services, body, account), mac):
        raise _refused()
    age = services.clock().timestamp() - int.from_bytes(body[:_TIME_BYTES], "big")
    if not 0 <= age + 1 <= LASTS.total_seconds() + 1:
        raise _refused()


def _mac(services: Services, body: bytes, account: str) -> bytes:
    key = token_keys.challenge_key(services.database)
    return hmac.digest(key, b"passkey\0" + account.encode() + b"\0" + body, "sha256")


# Making one ----------------------------------------------------------------------------------------------------------


def user_handle(account: str) -> bytes:
    """What a passkey calls its account by: no name, which its device would show to whoever finds it."""
    return hashlib.sha256(b"spectra account\0" + account.encode()).digest()


def creation(request: Request, services: Services, account: str) -> tuple[dict[str, Any], bytes]:
    """For `navigator.credentials.create`, and the challenge in it. Raises `BadRequest("passkey_origin")`."""
    from webauthn import generate_registration_options
    from webauthn.helpers import options_to_json_dict
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    challenge = secrets.token_bytes(32)
    asked = generate_registration_options(
        rp_id=party(request, services).id,
        rp_name=NAME,
        user_name=account,
        user_id=user_handle(account),
        challenge=challenge,
        timeout=_TIMEOUT_MS,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED, user_verification=UserVerificationRequirement.PREFERRED
        ),
        exclude_credentials=_described(services, account),
    )
    return options_to_json_dict(asked), challenge


def created(request: Request, services: Services, answer: dict[str, Any], challenge: bytes) -> NewPasskey:
    """The passkey that `navigator.credentials.create` returned; raises `BadRequest`."""
    from webauthn import verify_registration_response
    from webauthn.helpers.exceptions import WebAuthnException

    us = party(request, services)
    try:
        made = verify_registration_response(
            credential=answer, expected_challenge=challenge, expected_rp_id=us.id, expected_origin=us.origin
        )
    except (WebAuthnException, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise BadRequest("This is no passkey made for this page.", reason="bad_passkey", field="answer") from error
    return NewPasskey(made.credential_id, made.credential_public_key, made.sign_count, _transports(answer))


def _transports(answer: dict[str, Any]) -> tuple[str, ...]:
    response: Any = answer.get("response")
    told: Any = cast("dict[str, Any]", response).get("transports") if isinstance(response, dict) else None
    named = cast("list[object]", told) if isinstance(told, list) else []
    return tuple(sorted({name for name in named if isinstance(name, str) and name in _TRANSPORTS}))
