"""The gate of insights: the one way from a signed statement to `VerifiedInsights`.

As in `ingest.gate` the checks are numbered in one function. Only coordinators sign statements, by keys of the
contributor `CONTRIBUTOR`: a contributor's key, a machine's or an admin's does not get insights in.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from datetime import datetime
from typing import Final, Protocol

from spectra.identity import insights
from spectra.identity.errors import IdentityError
from spectra.identity.insights import MAX_STATEMENT_BYTES
from spectra.identity.strict import require_timely
from spectra.ingest import gate
from spectra.ingest.gate import Reason, Rejected
from spectra.model.envelope import sha256_hex
from spectra.model.insights import CONTRIBUTOR, Statement
from spectra.model.records import KeyRecord

MAX_AGE_S: Final = 600.0
"""How long ago a statement may have been signed: it is kept at once."""
MAX_AHEAD_S: Final = 300.0

_SEAL: Final = object()


class Keys(Protocol):
    """What the gate has to know of the past."""

    def key(self, keyid: str) -> KeyRecord | None:
        """The key of this id (64 hex digits), whatever its status; None when it was never registered."""
        ...


class _Ledger:
    """The keys alone: a statement has no nonce, as the same one again is kept once, and no rate."""

    def __init__(self, keys: Keys) -> None:
        self.key: Final = keys.key

    def nonce(self, contributor: str, nonce: str) -> str | None:
        """None is asked for."""
        del contributor, nonce
        return None

    def admit(self, contributor: str, role: str, now: datetime) -> float:
        """Always."""
        del contributor, role, now
        return 0.0


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class VerifiedInsights:
    """A statement that passed the gate.

    `payload`: its canonical JSON as signed; `sha256`: of that, hex; `signature`: base64; `received`: the gate's `now`.
    """

    statement: Statement
    payload: str
    sha256: str
    key: KeyRecord
    signature: str
    received: datetime
    sealed_by: InitVar[object]

    def __post_init__(self, sealed_by: object) -> None:
        if sealed_by is not _SEAL:
            raise IdentityError("only the gate of insights may say that a statement is verified.")

    def __repr__(self) -> str:
        return f"<VerifiedInsights {self.sha256} of {self.statement.agent}>"


def verify(raw: bytes, *, now: datetime, keys: Keys) -> VerifiedInsights:
    """Let a statement in, or raise `Rejected`."""
    try:
        # 1. Size, before anything is read.
        if len(raw) > MAX_STATEMENT_BYTES:
            raise Rejected(
                Reason.ENVELOPE_TOO_LARGE, f"the statement has {len(raw)} bytes, more than {MAX_STATEMENT_BYTES}."
            )
        # 2. The envelope: bounded JSON, canonical base64, one payload type, one signature.
        opened = insights.open_statement(raw)
        # 3. The signature over the raw payload bytes, by a known key that is usable.
        key, signature = gate.signed_by_known_key(opened, _Ledger(keys))
        gate.require_usable(key, now)
        # 4. The key is a coordinator's own for its agents.
        if key.contributor != CONTRIBUTOR:
            raise Rejected(
                Reason.IMPOSTOR,
                f"insights are signed by coordinators, and this is signed by {key.contributor}.",
                hint="Submit scans; agents draw conclusions from them here.",
            )
        # 5. The statement parses, is canonical, and every id is of what it says.
        statement = insights.decode(opened.payload)
        # 6. The clock window, on the time of signing.
        require_timely(statement.issued, now=now, max_age_s=MAX_AGE_S, max_ahead_s=MAX_AHEAD_S)
    except IdentityError as error:
        raise Rejected(Reason(error.reason), error.message, hint=error.hint) from error
    return VerifiedInsights(
        statement=statement,
        payload=opened.payload.decode(),
        sha256=sha256_hex(opened.payload),
        key=key,
        signature=signature.sig,
        received=now,
        sealed_by=_SEAL,
    )
