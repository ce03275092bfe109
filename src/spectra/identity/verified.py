"""The type that says "the gate let this through". Only `seal` builds it, and only `ingest.gate` may import `seal`."""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from datetime import datetime

from spectra.identity.errors import IdentityError
from spectra.model.envelope import Payload
from spectra.model.records import KeyRecord

_SEAL = object()


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class Verified:
    """A submission that passed the gate.

    `raw`: the payload bytes as signed; `observation_id`: their SHA-256 (hex); `key`: the key whose `signature`
    (base64) was checked; `received`: the gate's `now`; `seen`: the same submission was accepted before, so answer
    with the first's receipt.
    """

    payload: Payload
    raw: bytes
    observation_id: str
    key: KeyRecord
    signature: str
    received: datetime
    seen: bool
    sealed_by: InitVar[object]

    def __post_init__(self, sealed_by: object) -> None:
        if sealed_by is not _SEAL:
            raise IdentityError("only the ingest gate may say that a submission is verified.")

    def __repr__(self) -> str:  # without the payload, which may be tens of megabytes
        return f"<Verified {self.observation_id} contributor={self.key.contributor!r} seen={self.seen}>"


def seal(
    *,
    payload: Payload,
    raw: bytes,
    observation_id: str,
    key: KeyRecord,
    signature: str,
    received: datetime,
    seen: bool,
) -> Verified:
    """Say that a submission is verified. For the ingest gate alone."""
    return Verified(
        payload=payload,
        raw=raw,
        observation_id=observation_id,
        key=key,
        signature=signature,
        received=received,
        seen=seen,
        sealed_by=_SEAL,
    )
