"""From bytes to graph: the one order of stages, behind both the fast path and the workflows.

gate -> blob -> parse -> graph and provenance in one transaction -> receipt. The caller is answered only after that
transaction is on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import Final, NamedTuple, Protocol, TypeVar

import msgspec

from spectra.errors import SpectraError, Unavailable
from spectra.flow.assets import Asset
from spectra.flow.enrichment import NoFacts, Source, enriched
from spectra.identity import payload as payloads
from spectra.identity.verified import Verified
from spectra.ingest import gate
from spectra.ingest.gate import Policy, Rejected
from spectra.ingest.output import open_output
from spectra.ingest.parsers import Context, ParseError, parse
from spectra.model.envelope import Counts, Payload, Problem, Receipt, canonical, sha256_hex
from spectra.model.lifetimes import Lifetimes
from spectra.model.observation import HostSeen, NameSeen, ScanFacts, Silent
from spectra.model.records import KeyRecord, ObservationRecord
from spectra.store import keys, ledger, observations
from spectra.store.blobs import BlobStore
from spectra.store.content import Known, NameCpe, no_cpe
from spectra.store.database import Connection, Database
from spectra.store.graph import GraphWriter
from spectra.store.observations import MAX_PROBLEMS, Accepted, NonceTaken, Outcome, Pending
from spectra.store.provenance import Entry, commit

T = TypeVar("T")

# A scanner's clock may be wrong by this much before its times are taken for the time of receipt: a record from the
# future would make every true one after it late.
CLOCK_SLACK: Final = timedelta(minutes=5)
_CONFLICT_TRIES: Final = 4


class Limiter(Protocol):
    """Who knows how often each contributor may submit: `store.limits.AccountLimit`, which counts for every coordinator
    on the database, or `ingest.rate.RateLimiter`, which counts for this process.
    """

    def admit(self, contributor: str, role: str, now: datetime) -> float:
        """0.0 when admitted (which takes a token), else the seconds until there is one (which takes none)."""
        ...


class DatabaseLedger:
    """The gate's view of the past: keys and nonces from the database, the rate from who keeps it."""

    def __init__(self, database: Database, limiter: Limiter) -> None:
        self._database = database
        self._limiter = limiter

    def key(self, keyid: str) -> KeyRecord | None:
        """The key with this id."""
        return keys.find(self._database, keyid)

    def nonce(self, contributor: str, nonce: str) -> str | None:
        """The observation that used this nonce."""
        return observations.nonce_owner(self._database, contributor, nonce)

    def admit(self, contributor: str, role: str, now: datetime) -> float:
        """Seconds to wait; 0 when admitted."""
        return self._limiter.admit(contributor, role, now)


class Normaliser:
    """A submission's content as assets; gathers on the way what the output says of the scan, and its problems."""

    def __init__(self, payload: Payload, received: datetime, *, max_output_bytes: int) -> None:
        self._received = received
        self._latest = received + CLOCK_SLACK
        self._skewed = 0
        self._problems: list[Problem] = []
        self.n_problems = 0
        self.facts = ScanFacts()
        default = payload.finished or payload.started or payload.issued
        context = Context(default_time=min(default, received), privacy=payload.privacy)
        stream = open_output(payload.output, max_bytes=max_output_bytes)
        self.format, self._records = parse(stream, context)

    def __iter__(self) -> Iterator[Asset]:
        for record in self._records:
            match record:
                case Problem():
                    self._note(record)
                case ScanFacts():
                    self.facts = _filled(self.facts, record)
                case HostSeen() | NameSeen() | Silent():
                    yield record if record.seen_at <= self._latest else self._unskewed(record)
                case _:
                    yield record

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The first problems, and one for all records that came from the future."""
        if not self._skewed:
            return tuple(self._problems)
        note = Problem(f"{self._skewed} records are dated in the future; the time of receipt was taken instead")
        return (note, *self._problems[: MAX_PROBLEMS - 1])

    def _note(self, problem: Problem) -> None:
        self.n_problems += 1
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(problem)

    def _unskewed(self, record: Asset) -> Asset:
        if not self._skewed:
            self.n_problems += 1
        self._skewed += 1
        return msgspec.structs.replace(record, seen_at=self._received)


class Written(NamedTuple):
    """What `Ingest.write` wrote: counts, the digest of the log's rows, and how many endpoints it made fresh."""

    counts: Counts
    digest: str
    fresh: int
    remember: Callable[[], None]


class Ingest:
    """The ingest of one coordinator. Thread-safe; every method may block on database and disk."""

    def __init__(
        self,
        database: Database,
        blobs: BlobStore,
        *,
        policy: Policy,
        limiter: Limiter,
        max_output_bytes: int,
        clock: Callable[[], datetime],
        facts: Source | None = None,
        cpe: NameCpe = no_cpe,
        lifetimes: Lifetimes | None = None,
        after_write: Callable[[], object] = lambda: None,
    ) -> None:
        self._after_write = after_write
        self._lifetimes = lifetimes
        self._facts = facts or NoFacts()
        self._cpe = cpe
        self.database = database
        self.blobs = blobs
        self.clock = clock
        self.policy: Final = policy
        self.ledger: Final = DatabaseLedger(database, limiter)
        self.max_output_bytes: Final = max_output_bytes
        self._known = Known()
        self._writers = ThreadPoolExecutor(max_workers=4, thread_name_prefix="blob")

    def submit(self, raw: bytes) -> Receipt:
        """The fast path: verified, parsed and visible in search when this returns. Raises `Rejected`, `ParseError`."""
        verified = self.verify(raw)
        if verified.seen:
            return observations.receipt(self.database, verified.observation_id, duplicate=True)
        blob = self._writers.submit(self.blobs.put, verified.payload.output.data)
        try:
            return once_more_on_conflict(lambda alone: self._merge_now(verified, blob, alone=alone))
        except NonceTaken:
            return self._answer_taken(verified)
        except ParseError as error:
            self._fail_now(verified, blob, error)
            error.observation_id = verified.observation_id
            raise

    def accept(self, raw: bytes, *, workflow: bool = True) -> Receipt:
        """The durable path: stored and put on record when this returns, in the graph once its workflow is done."""
        verified = self.verify(raw)
        if verified.seen:
            return observations.receipt(self.database, verified.observation_id, duplicate=True)
        workflow_id = verified.observation_id if workflow else ""
        accepted = _accepted(verified, self.blobs.put(verified.payload.output.data), workflow_id)

        def work(connection: Connection) -> tuple[None, list[Entry]]:
            _, trust = observations.insert(connection, accepted, "accepted")
            return None, [_accepted_entry(accepted, trust)]

        try:
            commit(self.database, work, check=_not_revoked(verified))
        except NonceTaken:
            return self._answer_taken(verified)
        return observations.receipt(self.database, verified.observation_id)

    def verify(self, raw: bytes) -> Verified:
        """The gate, now."""
        return gate.verify(raw, now=self.clock(), policy=self.policy, ledger=self.ledger)

    def insert(self, connection: Connection, verified: Verified, *, workflow_id: str) -> Entry:
        """Accept a submission in the transaction of `connection`; returns what has to be put on record with it.

        Its output's bytes are in the blob store before (`blobs.put`). Raises `NonceTaken`, `Rejected` where its key
        was revoked meanwhile.
        """
        _not_revoked(verified)(connection)
        accepted = _accepted(verified, bytes.fromhex(sha256_hex(verified.payload.output.data)), workflow_id)
        _, trust = observations.insert(connection, accepted, "accepted")
        return _accepted_entry(accepted, trust)

    def normalise(self, payload: Payload, received: datetime) -> Normaliser:
        """The content of `payload` as assets; raises `ParseError`, at once or while it is read."""
        return Normaliser(payload, received, max_output_bytes=self.max_output_bytes)

    def enrich(self, assets: Iterable[Asset]) -> Iterator[Asset]:
        """`assets` with what the feeds know of their hosts."""
        return enriched(assets, self._facts)

    def write(self, connection: Connection, seq: int, assets: Iterator[Asset], *, alone: bool) -> Written:
        """Write `assets` into the graph inside the transaction of `connection`; `remember` once that is on disk.

        `alone` as `once_more_on_conflict` says.
        """
        writer = GraphWriter(
            self.database, connection, self._known, seq, alone=alone, cpe=self._cpe, lifetimes=self._lifetimes
        )
        for asset in assets:
            writer.add(asset)
        counts, digest = writer.finish()
        return Written(counts, digest, writer.fresh, partial(self._written, writer))

    def _written(self, writer: GraphWriter) -> None:
        writer.remember()
        self._after_write()

    def payload(self, pending: Pending) -> Payload:
        """What was signed of an accepted submission, with the output's bytes."""
        payload = msgspec.json.decode(pending.header, type=Payload)
        output = msgspec.structs.replace(payload.output, data=self.blobs.get(pending.blob_sha256))
        return msgspec.structs.replace(payload, output=output)

    def merge(self, observation_id: str) -> ObservationRecord:
        """Write an accepted submission into the graph, in one transaction; one that cannot be read is settled as
        failed. Harmless to repeat: what is settled is left alone.
        """
        try:
            once_more_on_conflict(lambda alone: self._merge_accepted(observation_id, alone=alone))
        except ParseError as error:
            self.settle_failed(observation_id, error)
        return observations.get(self.database, observation_id)

    def settle_failed(self, observation_id: str, error: SpectraError) -> None:
        """Put on record that the content of a submission cannot be read, and why; no news where it is settled."""

        def work(connection: Connection) -> tuple[None, list[Entry]]:
            pending = observations.claim(connection, observation_id)
            if pending is None:
                return None, []
            outcome = failed(error)
            observations.settle(connection, pending.seq, outcome)
            return None, [settled_entry(observation_id, outcome, "", self.clock())]

        commit(self.database, work)

    def _merge_accepted(self, observation_id: str, *, alone: bool) -> None:
        def work(connection: Connection) -> tuple[Written | None, list[Entry]]:
            pending = observations.claim(connection, observation_id)
            if pending is None:
                return None, []
            content = self.normalise(self.payload(pending), pending.received)
            written = self.write(connection, pending.seq, self.enrich(content), alone=alone)
            outcome = _merged(content, written)
            observations.settle(connection, pending.seq, outcome)
            ledger.count(connection, pending.seq, written.fresh)
            return written, [settled_entry(observation_id, outcome, written.digest, self.clock(), written.fresh)]

        if written := commit(self.database, work):
            written.remember()

    def close(self) -> None:
        """Wait for blobs on their way to disk."""
        self._writers.shutdown(wait=True)

    def _merge_now(self, verified: Verified, blob: Future[bytes], *, alone: bool) -> Receipt:
        def work(connection: Connection) -> tuple[tuple[Receipt, Written], list[Entry]]:
            # The address is known before the bytes are stored; that they are is waited for before the commit.
            accepted = _accepted(verified, bytes.fromhex(sha256_hex(verified.payload.output.data)))
            seq, trust = observations.insert(connection, accepted, "merged")
            content = self.normalise(verified.payload, verified.received)
            written = self.write(connection, seq, self.enrich(content), alone=alone)
            outcome = _merged(content, written)
            observations.settle(connection, seq, outcome)
            blob.result()
            ledger.count(connection, seq, written.fresh)
            entries = [
                _accepted_entry(accepted, trust),
                settled_entry(accepted.observation_id, outcome, written.digest, verified.received, written.fresh),
            ]
            return (_receipt(accepted, outcome), written), entries

        receipt, written = commit(self.database, work, check=_not_revoked(verified))
        written.remember()
        return receipt

    def _fail_now(self, verified: Verified, blob: Future[bytes], error: ParseError) -> None:
        """Keep the raw bytes of what cannot be read, and why, so that nothing a contributor sent is lost."""
        accepted = _accepted(verified, blob.result())

        def work(connection: Connection) -> tuple[None, list[Entry]]:
            seq, trust = observations.insert(connection, accepted, "failed")
            outcome = failed(error)
            observations.settle(connection, seq, outcome)
            return None, [
                _accepted_entry(accepted, trust),
                settled_entry(accepted.observation_id, outcome, "", verified.received),
            ]

        try:
            commit(self.database, work, check=_not_revoked(verified))
        except NonceTaken:
            return

    def _answer_taken(self, verified: Verified) -> Receipt:
        owner = observations.nonce_owner(self.database, verified.payload.contributor, verified.payload.nonce)
        if owner != verified.observation_id:
            raise Rejected(
                gate.Reason.NONCE_REPLAYED,
                "this nonce was already used for another submission.",
                hint="Sign again with a new random nonce.",
            )
        return observations.receipt(self.database, verified.observation_id, duplicate=True)


def _not_revoked(verified: Verified) -> Callable[[Connection], None]:
    """A key that was revoked after the gate let its submission through, while that was parsed, signs nothing more."""

    def check(connection: Connection) -> None:
        if keys.is_revoked(connection, verified.key.keyid):
            raise gate.revoked()

    return check


def _merged(content: Normaliser, written: Written) -> Outcome:
    counts = msgspec.structs.replace(written.counts, problems=content.n_problems)
    return Outcome("merged", content.format, content.facts, counts, content.problems)


def failed(error: SpectraError) -> Outcome:
    """The outcome of a submission whose content cannot be read."""
    problem = Problem(error.message, getattr(error, "line", 0), getattr(error, "field", ""))
    return Outcome("failed", counts=Counts(problems=1), problems=(problem,), error=f"{error.reason}: {error}")


def settled_entry(observation_id: str, outcome: Outcome, digest: str, at: datetime, fresh: int = 0) -> Entry:
    """What provenance keeps of the content: everything that `observations.settle` writes, the log's digest, and what
    the ledger counts, if anything.
    """
    counted = {"fresh": fresh} if fresh else {}
    detail = counted | {
        "observation_id": observation_id,
        "status": outcome.status,
        "format": outcome.format,
        "facts": outcome.facts,
        "counts": outcome.counts,
        "problems": sha256_hex(canonical(outcome.problems[:MAX_PROBLEMS])),
        "error": outcome.error,
        "log": digest,
    }
    return Entry("observation.settled", observation_id, detail, at)


def _accepted_entry(accepted: Accepted, trust: float) -> Entry:
    detail = {
        "observation_id": accepted.observation_id,
        "header": sha256_hex(accepted.header.encode()),
        "contributor": accepted.payload.contributor,
        "keyid": accepted.keyid,
        "signature": accepted.signature,
        "received": accepted.received,
        "trust": f"{trust:.6g}",
        "output": accepted.payload.output.sha256,
        "blob": accepted.blob_sha256.hex(),
        "workflow": accepted.workflow_id,
    }
    return Entry("observation.accepted", accepted.observation_id, detail, accepted.received)


def _accepted(verified: Verified, blob_sha256: bytes, workflow_id: str = "") -> Accepted:
    return Accepted(
        observation_id=verified.observation_id,
        payload=verified.payload,
        header=payloads.header(verified.payload).decode(),
        signature=verified.signature,
        keyid=verified.key.keyid,
        received=verified.received,
        blob_sha256=blob_sha256,
        workflow_id=workflow_id,
    )


def _receipt(accepted: Accepted, outcome: Outcome) -> Receipt:
    return Receipt(
        observation_id=accepted.observation_id,
        status=outcome.status,
        received=accepted.received,
        format=outcome.format,
        counts=outcome.counts,
        problems=outcome.problems,
    )


def _filled(facts: ScanFacts, more: ScanFacts) -> ScanFacts:
    """`facts` with what it lacks taken from `more`."""
    empty = {
        field.name: getattr(more, field.name)
        for field in msgspec.structs.fields(ScanFacts)
        if not getattr(facts, field.name)
    }
    return msgspec.structs.replace(facts, **empty)


def once_more_on_conflict(work: Callable[[bool], T]) -> T:
    """Two submissions about the same hosts can lock them in opposite orders; PostgreSQL ends one, which runs again,
    now alone (`work(True)`).
    """
    for attempt in range(_CONFLICT_TRIES - 1):
        try:
            return work(attempt > 0)
        except Unavailable as error:
            if error.reason != "conflict":
                raise
    return work(True)
