"""One's own second factors: an authenticator app, passkeys, recovery codes. Each change asks for the password again."""

from __future__ import annotations

import json
from itertools import groupby
from typing import Final, NamedTuple

import msgspec
from fastapi import APIRouter
from starlette.responses import Response

from spectra.errors import BadRequest
from spectra.model.people import FactorAdded, FactorList, PasskeyStart, RecoveryCodes, TotpStart
from spectra.web.attempts import attempted
from spectra.web.inside import Problem
from spectra.web.page import Visit, VisitDep, page
from spectra.web.words import segment

router = APIRouter(include_in_schema=False)

_ME: Final = "/me#factors"
_API: Final = "/v0/accounts/me/factors"
_ANSWERED: Final = (400, 409, 422)
_URI: Final = "otpauth://totp/"
_MAX_URI: Final = 600
_QUIET: Final = 4  # modules around a code, so that cameras find it (ISO/IEC 18004)


class Code(NamedTuple):
    """A QR code: how wide it is in modules, and the dark ones as the path of an SVG whose lines are one module wide."""

    width: int
    path: str


def qr(text: str) -> Code:
    """The QR code of a text, its quiet zone included."""
    import segno

    rows = [list(row) for row in segno.make(text, error="m", micro=False).matrix]
    path: list[str] = []
    for y, row in enumerate(rows):
        x = 0
        for dark, run in groupby(row):
            length = len(list(run))
            if dark:
                path.append(f"M{x + _QUIET} {y + _QUIET}.5h{length}")
            x += length
    return Code(len(rows) + 2 * _QUIET, "".join(path))


async def _begun(visit: Visit, path: str, body: object, kind: type[msgspec.Struct]) -> msgspec.Struct | Response:
    """What an API route answers; or back to the account, which says why not."""
    try:
        return await visit.api.send("POST", path, kind, body)
    except Problem as problem:
        if problem.status not in _ANSWERED:
            raise
        return visit.go(_ME, f"{problem.detail} {problem.hint}".strip(), bad=True)


async def _added(visit: Visit, added: FactorAdded) -> Response:
    """The recovery codes that come with the first factor, once; else back to the account."""
    told = f"{added.factor.name} is asked for from the next sign-in on."
    if not added.recovery_codes:
        return visit.go(_ME, told)
    return await visit.render("codes.html", title="Keep these codes", codes=added.recovery_codes, said=told)


# An authenticator app ------------------------------------------------------------------------------------------------


@router.post("/me/factors/totp", dependencies=[page("self:write")])
async def begin_totp(visit: VisitDep) -> Response:
    """Show the secret as a QR code, and ask for a code of it."""
    form = await visit.form()
    body = {"password": form.exact("password"), "name": form.one("name", "Authenticator app")}
    begun = await _begun(visit, f"{_API}/totp", body, TotpStart)
    return await _totp(visit, begun) if isinstance(begun, TotpStart) else begun  # type: ignore[return-value]


async def _totp(visit: Visit, begun: TotpStart, why: str = "", status: int = 200) -> Response:
    return await visit.render(
        "totp.html",
        title="Set up your authenticator app",
        status=status,
        begun=begun,
        code=qr(begun.uri),
        why=why,
    )


@router.post("/me/factors/totp/{factor}", dependencies=[page("self:write")])
async def finish_totp(visit: VisitDep, factor: str) -> Response:
    """It counts once it showed a right code; what the page showed comes with the form, to be shown again."""
    form = await visit.form()
    begun = TotpStart(factor, form.one("secret"), form.one("uri"))
    if not begun.uri.startswith(_URI) or len(begun.uri) > _MAX_URI:
        raise BadRequest("This is not the form of that page.", field="uri", hint="Begin again on your account's page.")
    try:
        added = await visit.api.send("POST", f"{_API}/totp/{factor}", FactorAdded, {"code": form.one("code")})
    except Problem as problem:
        if problem.status not in _ANSWERED:
            raise
        return await _totp(visit, begun, f"{problem.detail} {problem.hint}".strip(), problem.status)
    return await _added(visit, added)


# Passkeys ------------------------------------------------------------------------------------------------------------


@router.post("/me/factors/passkey", dependencies=[page("self:write")])
async def begin_passkey(visit: VisitDep) -> Response:
    """Ask the browser to make one."""
    form = await visit.form()
    body = {"password": form.exact("password"), "name": form.one("name", "Passkey")}
    begun = await _begun(visit, f"{_API}/passkey", body, PasskeyStart)
    if not isinstance(begun, PasskeyStart):
        return begun  # type: ignore[return-value]
    return await visit.render(
        "passkey.html",
        title="Make a passkey",
        action=f"/me/factors/passkey/{segment(begun.id)}",
        options=json.dumps(begun.options),
    )


@router.post("/me/factors/passkey/{factor}", dependencies=[page("self:write")])
async def finish_passkey(visit: VisitDep, factor: str) -> Response:
    """Keep what the browser made."""
    text = (await visit.form()).exact("credential")
    try:
        answer = msgspec.json.decode(text.encode())
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError) as error:
        raise BadRequest("The browser made no passkey.", field="credential", hint="Begin again.") from error
    added = await _begun(visit, f"{_API}/passkey/{factor}", {"answer": answer}, FactorAdded)
    return await _added(visit, added) if isinstance(added, FactorAdded) else added  # type: ignore[return-value]


# Recovery codes, and taking a factor away -----------------------------------------------------------------------------


@router.post("/me/factors/recovery", dependencies=[page("self:write")])
async def recovery(visit: VisitDep) -> Response:
    """New recovery codes in the place of those there were."""
    body = {"password": (await visit.form()).exact("password")}
    made = await _begun(visit, f"{_API}/recovery", body, RecoveryCodes)
    if not isinstance(made, RecoveryCodes):
        return made  # type: ignore[return-value]
    said = "The recovery codes there were are good no more."
    return await visit.render("codes.html", title="Keep these codes", codes=made.codes, said=said)


@router.post("/me/factors/{factor}/remove", dependencies=[page("self:write")])
async def remove(visit: VisitDep, factor: str) -> Response:
    """Ask for it no more."""
    body = {"password": (await visit.form()).exact("password")}
    asked = visit.api.send("POST", f"{_API}/{factor}/remove", FactorList, body)
    return await attempted(visit, asked, _ME, "It is not asked for any more.")
