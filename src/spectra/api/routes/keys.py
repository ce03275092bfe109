"""Contributors' keys."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request
from msgspec import Meta
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from spectra.api import bodies
from spectra.api.answers import answer, described
from spectra.api.auth import ENVELOPE, Caller, ServicesDep, caller_of, open_to, require_scope, scope
from spectra.api.bodies import described_body, json_body
from spectra.api.routes.accounts import require_held, require_role
from spectra.api.services import Services
from spectra.errors import BadRequest
from spectra.identity import rotation
from spectra.identity.keys import PublicKey
from spectra.identity.roles import allows
from spectra.ingest.gate import Reason, Rejected
from spectra.model.envelope import Envelope, Sha256Hex, Word
from spectra.model.records import KeyRecord
from spectra.store import keys

router = APIRouter(tags=["keys"])

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

    contributor: Word
    role: Word
    public_key: Annotated[str, Meta(max_length=64)]
    proof: Annotated[str, Meta(max_length=rotation.MAX_STATEMENT_BYTES)]
    comment: Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*\Z")] = ""


class KeyToRevoke(msgspec.Struct, forbid_unknown_fields=True):
    """The key to revoke."""

    keyid: Sha256Hex


@router.get(
    "/v0/keys",
    summary="All keys",
    dependencies=[scope("keys:read")],
    responses=described(Keys, 400, 401, 403),
    response_class=Response,
)
def every(
    services: ServicesDep,
    contributor: Annotated[str, Query(max_length=200, description="only the keys of this account")] = "",
) -> Response:
    """Public keys with their contributor, role and status."""
    return answer(Keys(list(keys.every(services.database, contributor))))


@router.post(
    "/v0/keys",
    summary="Register a key",
    status_code=201,
    dependencies=[scope("keys:rotate")],
    responses=described(KeyRecord, 400, 401, 403, 408, 409, 413, status=201),
    openapi_extra=described_body(NewKey),
    response_class=Response,
)
def register(request: Request, services: ServicesDep, new: Annotated[NewKey, json_body(NewKey)]) -> Response:
    """The holder proves possession: the proof is signed by the new key and names contributor and role.

    A further key of one's own needs `keys:rotate`, anybody's `keys:write` and every scope of its role.
    """
    caller = caller_of(request)
    held = require_role(services, new.role)
    if (new.contributor, new.role) != (caller.contributor, caller.role):
        require_scope(caller, "keys:write")
    require_held(caller, held)
    public = PublicKey.from_b64(new.public_key)
    statement = rotation.verify_registration(
        new.proof.encode(), now=services.clock(), max_age_s=MAX_AGE_S, role=new.role
    )
    if (statement.contributor, statement.role, statement.public_key) != (new.contributor, new.role, new.public_key):
        raise BadRequest("The proof names another contributor, role or key.", reason="proof_mismatch", field="proof")
    record = keys.register(
        services.database,
        contributor=new.contributor,
        role=new.role,
        public_key=public.raw,
        keyid=public.keyid,
        now=services.clock(),
        comment=new.comment,
        nonce=statement.nonce,
    )
    return answer(record, 201)


@router.post(
    "/v0/keys/rotate",
    summary="Replace one's own key",
    dependencies=[open_to(ENVELOPE)],
    responses=described(Rotated, 400, 401, 403, 404, 408, 409, 413),
    openapi_extra=described_body(Envelope),
    response_class=Response,
)
async def rotate(request: Request, services: ServicesDep) -> Response:
    """A DSSE rotation statement signed by the old and the new key; the old one stays valid for the grace period."""
    raw = await bodies.read(request, rotation.MAX_STATEMENT_BYTES)
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
        nonce=statement.nonce,
    )
    return answer(Rotated(old_record, new_record))


@router.post(
    "/v0/keys/revoke",
    summary="Revoke a key at once",
    dependencies=[scope("keys:rotate")],
    responses=described(KeyRecord, 400, 401, 403, 404, 408, 413),
    openapi_extra=described_body(KeyToRevoke),
    response_class=Response,
)
def revoke(request: Request, services: ServicesDep, key: Annotated[KeyToRevoke, json_body(KeyToRevoke)]) -> Response:
    """From the next submission on, by any coordinator. Another's key needs `keys:write`."""
    _require_own(services, caller_of(request), key.keyid)
    return answer(keys.revoke(services.database, key.keyid, services.clock()))


def _require_own(services: Services, caller: Caller, keyid: str) -> None:
    record = keys.find(services.database, keyid)
    if record is None or record.contributor != caller.contributor:
        require_scope(caller, "keys:write")


def _rotatable(services: Services, keyid: str) -> PublicKey | None:
    """Only an active key: one that was rotated already has a successor, which is the one to rotate."""
    record = keys.find(services.database, keyid)
    if record is None or record.status != "active":
        return None
    if not allows(record.role, "keys:rotate", record.scopes):
        raise Rejected(Reason.ROLE_FORBIDDEN, "the role of this key does not hold keys:rotate.", hint="Ask an admin.")
    return PublicKey.from_b64(record.public_key)
