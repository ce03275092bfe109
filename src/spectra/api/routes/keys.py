"""Contributors' keys."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import APIRouter, Body, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from spectra.api.answers import answer, described
from spectra.api.auth import ENVELOPE, ServicesDep, open_to, scope
from spectra.api.services import Services
from spectra.errors import BadRequest
from spectra.identity import rotation
from spectra.identity.keys import PublicKey
from spectra.identity.roles import ROLES
from spectra.ingest.gate import Reason, Rejected
from spectra.model.records import KeyRecord
from spectra.store import keys

router = APIRouter(tags=["keys"])
T = TypeVar("T")

MAX_AGE_S = 600


class Keys(msgspec.Struct):
    """All keys, oldest first."""

    keys: list[KeyRecord]


class Rotated(msgspec.Struct):
    """The retiring key and the one in its place."""

    old: KeyRecord
    new: KeyRecord


class NewKey(msgspec.Struct, forbid_unknown_fields=True):
    """A key to register; `proof` is a DSSE registration statement (JSON text) signed by that key."""

    contributor: str
    role: str
    public_key: str
    proof: str
    comment: str = ""


class KeyToRevoke(msgspec.Struct, forbid_unknown_fields=True):
    """The key to revoke."""

    keyid: str


@router.get(
    "/v0/keys",
    summary="All keys",
    dependencies=[scope("keys:read")],
    responses=described(Keys, 401, 403),
    response_class=Response,
)
def every(services: ServicesDep) -> Response:
    """Public keys with their contributor, role and status."""
    return answer(Keys(list(keys.every(services.database))))


@router.post(
    "/v0/keys",
    summary="Register a key",
    status_code=201,
    dependencies=[scope("keys:write")],
    responses=described(KeyRecord, 400, 401, 403, 409, status=201),
    response_class=Response,
)
def register(services: ServicesDep, body: Annotated[dict[str, Any], Body(description=NewKey.__doc__)]) -> Response:
    """The holder proves possession: the proof is signed by the new key and names contributor and role."""
    new = _read(body, NewKey)
    if new.role not in ROLES:
        raise BadRequest(f"There is no role {new.role[:40]}.", field="role", hint=f"One of {', '.join(ROLES)}.")
    public = PublicKey.from_b64(new.public_key)
    statement = rotation.verify_registration(new.proof.encode(), now=services.clock(), max_age_s=MAX_AGE_S)
    if (statement.contributor, statement.role, statement.public_key) != (new.contributor, new.role, new.public_key):
        raise BadRequest("The proof names another contributor, role or key.", reason="proof_mismatch", field="proof")
    record = keys.register(
        services.database,
        contributor=new.contributor,
        role=new.role,
        public_key=public.raw,
        keyid=public.keyid,
        now=services.clock(),
        comment=new.comment[:200],
    )
    return answer(record, 201)


@router.post(
    "/v0/keys/rotate",
    summary="Replace one's own key",
    dependencies=[open_to(ENVELOPE)],
    responses=described(Rotated, 400, 401, 403, 404, 409, 413),
    response_class=Response,
)
async def rotate(request: Request, services: ServicesDep) -> Response:
    """A DSSE rotation statement signed by the old and the new key; the old one stays valid for the grace period."""
    raw = await _statement(request)
    return await run_in_threadpool(_rotate, services, raw)


def _rotate(services: Services, raw: bytes) -> Response:
    now = services.clock()
    statement = rotation.verify_rotation(
        raw, known=lambda keyid: _rotatable(services, keyid), now=now, max_age_s=MAX_AGE_S
    )
    new = PublicKey.from_b64(statement.public_key)
    old_record, new_record = keys.rotate(
        services.database,
        keyid=statement.old_keyid,
        public_key=new.raw,
        new_keyid=new.keyid,
        now=now,
        grace_s=services.key_grace_s,
    )
    return answer(Rotated(old_record, new_record))


@router.post(
    "/v0/keys/revoke",
    summary="Revoke a key at once",
    dependencies=[scope("keys:write")],
    responses=described(KeyRecord, 400, 401, 403, 404),
    response_class=Response,
)
def revoke(services: ServicesDep, body: Annotated[dict[str, Any], Body(description=KeyToRevoke.__doc__)]) -> Response:
    """From the next submission on, by any coordinator."""
    return answer(keys.revoke(services.database, _read(body, KeyToRevoke).keyid, services.clock()))


def _rotatable(services: Services, keyid: str) -> PublicKey | None:
    """Only an active key: one that was rotated already has a successor, which is the one to rotate."""
    record = keys.find(services.database, keyid)
    return PublicKey.from_b64(record.public_key) if record and record.status == "active" else None


async def _statement(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > rotation.MAX_STATEMENT_BYTES:
            raise Rejected(Reason.ENVELOPE_TOO_LARGE, "A rotation statement is smaller than this.")
    return bytes(body)


def _read(body: dict[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(body, kind)
    except msgspec.ValidationError as error:
        raise BadRequest(f"{error}.", field="body") from error
