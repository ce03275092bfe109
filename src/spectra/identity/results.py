"""The result a machine signs for one lease, and the bundle in which it travels: building both and reading them back."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec
import zstandard

from spectra.identity import dsse
from spectra.identity.errors import IdentityError
from spectra.identity.keys import PublicKey, SigningKey
from spectra.identity.strict import parse, require_canonical, require_plain, require_utc, to_utc
from spectra.model.envelope import canonical, sha256_hex
from spectra.model.results import RESULT_TYPE, ArtefactClaim, ArtefactKind, Bundle, File, Result
from spectra.model.work import Outcome, Stats

MAX_RESULT_BYTES: Final = 64 * 1024
"""Most bytes of a result's envelope: base64 and signature take a third more than what is said."""

_LEVEL: Final = 3
_bundle: Final = msgspec.json.Decoder(Bundle)
_result: Final = msgspec.json.Decoder(Result)


def build(
    *,
    lease: str,
    target: int,
    attempt: int,
    node: str,
    outcome: Outcome,
    now: datetime,
    reason: str = "",
    message: str = "",
    tool: str = "",
    tool_version: str = "",
    started: datetime | None = None,
    finished: datetime | None = None,
    observations: Iterable[str] = (),
    artefacts: Iterable[ArtefactClaim] = (),
    stats: Stats | None = None,
    nonce: str = "",
) -> Result:
    """How a lease ended, ready to be signed. `observations` are ids (`payload.observation_id`).

    `now` is the time of signing; `started` and `finished` are `now` where they are not given, `nonce` 24 random bytes.
    Raises `IdentityError` naming a field that the coordinator would refuse.
    """
    result = Result(
        version=1,
        lease=lease,
        target=target,
        attempt=attempt,
        node=node,
        outcome=outcome,
        reason=reason,
        message=message,
        tool=tool,
        tool_version=tool_version,
        started=to_utc(started or now, field="started"),
        finished=to_utc(finished or now, field="finished"),
        issued=to_utc(now, field="now"),
        nonce=nonce or secrets.token_urlsafe(24),
        observations=tuple(observations),
        artefacts=tuple(artefacts),
        stats=stats or Stats(),
    )
    decode(canonical(result))  # the coordinator's own rules on every field
    return result


def sign(key: SigningKey, result: Result) -> bytes:
    """The envelope of a result (JSON), signed by the machine's key."""
    return dsse.sign(key, canonical(result), RESULT_TYPE)


def artefact(kind: ArtefactKind, name: str, media_type: str, data: bytes) -> tuple[ArtefactClaim, File]:
    """What a result says of a file, and the file as it travels in the bundle."""
    digest = sha256_hex(data)
    packed = zstandard.ZstdCompressor(level=_LEVEL).compress(data)
    return ArtefactClaim(kind, name, media_type, digest, len(data)), File(digest, packed)


def bundle(result: bytes, observations: Iterable[bytes] = (), files: Iterable[File] = ()) -> bytes:
    """The body of `POST /v0/mesh/results`: the signed result, the signed observations it names, and its files.

    Of files with the same content one is enough.
    """
    packed = Bundle(
        version=1,
        result=msgspec.Raw(result),
        observations=tuple(msgspec.Raw(one) for one in observations),
        artefacts=tuple({file.sha256: file for file in files}.values()),
    )
    return msgspec.json.encode(packed)


def open_bundle(raw: bytes) -> Bundle:
    """A bundle out of its JSON, nothing in it verified; the caller has bounded the size of `raw`.

    Raises `IdentityError("malformed_bundle")` naming the field.
    """
    return parse(_bundle, raw, what="bundle", reason="malformed_bundle")


def open_result(raw: bytes) -> dsse.Opened:
    """A result's envelope, not verified. Raises `IdentityError("malformed_envelope")`: also where it is too large, or
    has more than one signature.
    """
    if len(raw) > MAX_RESULT_BYTES:
        raise IdentityError(f"a result has at most {MAX_RESULT_BYTES} bytes.", reason="malformed_envelope")
    opened = dsse.decode(raw, RESULT_TYPE)
    if len(opened.signatures) != 1:
        raise IdentityError("a result carries exactly one signature.", reason="malformed_envelope")
    return opened


def verify(opened: dsse.Opened, key: PublicKey) -> Result:
    """What a result says, where `key` signed it. Raises `IdentityError`: `bad_signature`, or as `decode` does."""
    if not dsse.verify(key, opened.signatures[0].sig, opened.payload, RESULT_TYPE):
        raise IdentityError("the result is not signed by the key of this machine.", reason="bad_signature")
    return decode(opened.payload)


def decode(raw: bytes) -> Result:
    """Read canonical result bytes. Raises `IdentityError`: `malformed_payload` with the path of the field,
    `not_canonical` where re-encoding gives other bytes.
    """
    result = parse(_result, raw, what="result", reason="malformed_payload")
    for field in ("started", "finished", "issued"):
        require_utc(getattr(result, field), field=field)
    for field in ("reason", "tool", "tool_version", "nonce"):
        require_plain(getattr(result, field), field=field)
    require_plain(result.message.replace("\n", ""), field="message")
    for index, name in enumerate((*result.observations, *(one.sha256 for one in result.artefacts))):
        require_plain(name, field=f"observations[{index}]")  # a pattern's `$` lets a last line feed through
    _require_once([one.name for one in result.artefacts], what="artefacts")
    _require_once(result.observations, what="observations")
    require_canonical(result, raw, what="result")
    return result


def _require_once(names: Iterable[str], *, what: str) -> None:
    names = list(names)
    if len(set(names)) != len(names):
        raise IdentityError(f"`{what}` names one twice.", reason="malformed_payload")
