"""The gate of results: the one way from the bundle of a machine to `VerifiedResult`.

As in `ingest.gate` the checks are numbered in one function, and the observations in a bundle go through that gate one
by one. What a result may speak of (whose lease, which hosts) is not known here: `flow.results` asks that next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import InitVar, dataclass
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from spectra.identity import results
from spectra.identity.errors import IdentityError
from spectra.identity.strict import require_timely
from spectra.identity.verified import Verified
from spectra.ingest import gate
from spectra.ingest.gate import Ledger, Policy, Reason, Rejected
from spectra.ingest.output import open_output
from spectra.ingest.parsers import ParseError
from spectra.model.envelope import Output
from spectra.model.records import KeyRecord
from spectra.model.results import ArtefactClaim, Bundle, File, Result

MAX_AGE_S: Final = 30 * 86400.0
"""How long ago a result and its observations may have been signed: a board may be away for so long, and a lease makes
what was signed long ago no more harmful."""

_SEAL: Final = object()
_CHUNK: Final = 1 << 20


class Sender(NamedTuple):
    """The machine of the connection, and whose keys it signs by."""

    node: str
    contributor: str


class Door(NamedTuple):
    """What decides. `policy` holds for each observation, except for the age, which is `MAX_AGE_S`, and the rate, which
    is the leases'. Most bytes: of a `bundle` as sent, of all its `files` together once they are decompressed.
    """

    policy: Policy
    ledger: Ledger
    bundle: int
    files: int


class Artefact(NamedTuple):
    """A file that is what the signed result says of it, still compressed."""

    claim: ArtefactClaim
    packed: bytes

    def plain(self) -> bytes:
        """Its bytes."""
        with open_output(_output(self.claim, self.packed), max_bytes=self.claim.size) as stream:
            return stream.read()


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class VerifiedResult:
    """A result that passed the gate, of the machine `result.node`.

    `payload`: its canonical JSON as signed; `key` and `signature` as `Verified` has them; `received`: the gate's
    `now`; `observations` in the order in which the result names them.
    """

    result: Result
    payload: str
    key: KeyRecord
    signature: str
    received: datetime
    observations: tuple[Verified, ...]
    artefacts: tuple[Artefact, ...]
    sealed_by: InitVar[object]

    def __post_init__(self, sealed_by: object) -> None:
        if sealed_by is not _SEAL:
            raise IdentityError("only the gate of results may say that a result is verified.")

    def __repr__(self) -> str:
        return f"<VerifiedResult of {self.result.node!r}, lease {self.result.lease}>"


def verify(raw: bytes, *, sender: Sender, now: datetime, door: Door) -> VerifiedResult:
    """Let the bundle of a machine in, or raise `Rejected`. What was accepted before is told as `seen`."""
    try:
        # 1. Size, before anything is read.
        if len(raw) > door.bundle:
            raise Rejected(
                Reason.ENVELOPE_TOO_LARGE,
                f"the bundle has {len(raw)} bytes, more than {door.bundle}.",
                hint="Scan less at a time, or keep less of the tool's output.",
            )
        # 2. The bundle and the result's envelope: bounded JSON, canonical base64, one payload type.
        bundle = results.open_bundle(raw)
        opened = results.open_result(bytes(bundle.result))
        # 3. The signature over the raw result, by a known key that is usable and this machine's.
        key, signature = gate.signed_by_known_key(opened, door.ledger)
        gate.require_usable(key, now)
        _require_own(key, sender)
        # 4. The result parses, is canonical, and speaks of the machine that sent it.
        result = results.decode(opened.payload)
        if result.node != sender.node:
            raise impostor(f"the result is of {result.node}, and {sender.node} sent it.")
        # 5. The clock window, on the time of signing.
        require_timely(result.issued, now=now, max_age_s=MAX_AGE_S, max_ahead_s=door.policy.max_ahead_s)
        # 6. The observations: each through the gate, by this machine, and those that the result names.
        observations = _observations(bundle, result, sender, now, door)
        # 7. The files: those that the result names, with the content that it says.
        artefacts = _artefacts(result.artefacts, bundle.artefacts, door.files)
    except IdentityError as error:
        raise Rejected(Reason(error.reason), error.message, hint=error.hint) from error
    return VerifiedResult(
        result=result,
        payload=opened.payload.decode(),
        key=key,
        signature=signature.sig,
        received=now,
        observations=observations,
        artefacts=artefacts,
        sealed_by=_SEAL,
    )


def lease_claimed(raw: bytes) -> str:
    """The lease that a bundle claims to be the result of, true or not; empty where that cannot be told."""
    try:
        return results.decode(results.open_result(bytes(results.open_bundle(raw).result)).payload).lease
    except IdentityError:
        return ""


def impostor(message: str) -> Rejected:
    """The refusal of a result by one machine that speaks of another's."""
    return Rejected(Reason.IMPOSTOR, message, hint="A machine sends its own results, by its own certificate.")


def _observations(bundle: Bundle, result: Result, sender: Sender, now: datetime, door: Door) -> tuple[Verified, ...]:
    if bundle.observations and result.outcome in ("failed", "refused"):
        raise Rejected(
            Reason.OTHER_OBSERVATIONS, f"a scan that {result.outcome} has nothing to tell, and this has observations."
        )
    policy = msgspec.structs.replace(door.policy, max_age_s=MAX_AGE_S, rate_per_minute=0)
    found = {
        verified.observation_id: verified
        for verified in (
            gate.verify(bytes(one), now=now, policy=policy, ledger=door.ledger) for one in bundle.observations
        )
    }
    if set(found) != set(result.observations) or len(bundle.observations) != len(result.observations):
        raise Rejected(
            Reason.OTHER_OBSERVATIONS,
            "the bundle's observations are not those that the result names.",
            hint="Send the same observations that were there when the result was signed.",
        )
    for verified in found.values():
        _require_own(verified.key, sender)
    return tuple(found[name] for name in result.observations)


def _artefacts(claims: Sequence[ArtefactClaim], files: Sequence[File], most: int) -> tuple[Artefact, ...]:
    packed = {file.sha256: file.data for file in files}
    if set(packed) != {claim.sha256 for claim in claims} or len(packed) != len(files):
        raise Rejected(Reason.OTHER_FILES, "the bundle's files are not those that the result names.")
    if sum(claim.size for claim in claims) > most:
        raise Rejected(
            Reason.ENVELOPE_TOO_LARGE,
            f"the files have more than {most} bytes together.",
            hint="Scan less at a time, or keep less of the tool's output.",
        )
    found = tuple(Artefact(claim, packed[claim.sha256]) for claim in claims)
    for artefact in found:
        _read_through(artefact)
    return found


def _read_through(artefact: Artefact) -> None:
    """Whether the bytes are the claimed ones, without ever holding more than a piece of them."""
    claim = artefact.claim
    try:
        with open_output(_output(claim, artefact.packed), max_bytes=claim.size) as stream:
            while stream.read(_CHUNK):
                pass
    except ParseError as error:
        raise Rejected(Reason.OTHER_FILES, f"{claim.name}: {error.message}") from error


def _output(claim: ArtefactClaim, packed: bytes) -> Output:
    return Output(encoding="zstd", sha256=claim.sha256, size=claim.size, data=packed)


def _require_own(key: KeyRecord, sender: Sender) -> None:
    if key.contributor != sender.contributor:
        raise impostor(f"it is signed by a key of {key.contributor}, and not of {sender.contributor}.")
