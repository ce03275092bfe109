"""Results of machines: what a machine sends for a lease is believed, kept with all it brought, and set going; or not.

The gate says that a bundle is whole and of the machine that sent it (`ingest.results`). Here it is held against the
lease: whose it is, which target, which hosts. All of it is then kept in one transaction, or nothing: a target's result
exists once, whatever dies, and whichever of several coordinators hears of it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from spectra.collect.netset import NetSet, short
from spectra.collect.targets import TargetSet, parse_target
from spectra.errors import SpectraError
from spectra.flow.law import Law
from spectra.flow.members import Peer
from spectra.flow.submission import Ingest
from spectra.flow.targetflow import workflow_id
from spectra.identity.verified import Verified
from spectra.ingest import results as gate
from spectra.ingest.gate import Reason, Rejected
from spectra.ingest.output import open_output
from spectra.ingest.results import Artefact, Door, Sender, VerifiedResult
from spectra.model.observation import HostSeen, NameSeen, Silent
from spectra.model.results import ArtefactClaim, ResultReceipt
from spectra.model.work import Permission
from spectra.store import artefacts, jobs, nodes, results
from spectra.store.artefacts import NewArtefact
from spectra.store.database import Connection
from spectra.store.leases import Terms
from spectra.store.observations import NonceTaken
from spectra.store.provenance import Entry, commit
from spectra.store.results import Inserted, Lease, ResultRow, ResultTaken

_log = logging.getLogger("spectra.work")

_TOLD: Final = 5  # hosts that a refusal names
_JOBS: Final = 256  # whose permission is remembered
_NAME: Final = re.compile(r"[^A-Za-z0-9._-]+")
_NAME_LENGTH: Final = 60


class Next(NamedTuple):
    """What is set going: the `wf.target` of a target and lease, the `wf.scan` of an observation, and whoever hands out
    targets that wait. None of them waits.
    """

    target: Callable[[int, str], None]
    scan: Callable[[str], None]
    woken: Callable[[], None]


class Results:
    """Takes bundles of machines in. Thread-safe; blocks on database and disk."""

    def __init__(self, ingest: Ingest, law: Law, *, terms: Terms, after: Next) -> None:
        self._ingest = ingest
        self._database = ingest.database
        self._law = law
        self._terms = terms
        self._next = after
        self._permissions: dict[str, Permission] = {}
        self.most_bytes: Final = ingest.policy.max_envelope_bytes
        self._door = Door(ingest.policy, ingest.ledger, self.most_bytes, ingest.max_output_bytes)

    def take(self, peer: Peer, raw: bytes) -> ResultReceipt:
        """Keep the result that `peer` sent; the same one again is answered with the first's receipt.

        Raises `Rejected`, `ParseError` or `NotFound("unknown_lease")` for what is not believed: its attempt has then
        ended, and another follows. Raises `Unavailable` where it may be sent again.
        """
        now = self._ingest.clock()
        try:
            verified = gate.verify(
                raw, sender=Sender(peer.name, nodes.contributor(peer.name)), now=now, door=self._door
            )
            return self._keep(verified)
        except SpectraError as error:
            if not error.retryable:
                self._end(peer, gate.lease_claimed(raw), error, now)
            raise

    def _keep(self, verified: VerifiedResult) -> ResultReceipt:
        result = verified.result
        lease = results.lease(self._database, result.lease)
        if lease.node != result.node:
            raise gate.impostor(f"the lease is not of {result.node}.")
        if (lease.target, lease.attempt) != (result.target, result.attempt):
            raise Rejected(Reason.OTHER_LEASE, "the result names another target or attempt than its lease is of.")
        fresh = [one for one in verified.observations if not one.seen]
        first = results.receipt(self._database, result.lease)
        if first is not None and not fresh:
            return first
        if first is None and len(fresh) < len(verified.observations):
            raise _replayed()
        self._require_scope(verified, lease)
        for data in _blobs(fresh, verified.artefacts):
            self._ingest.blobs.put(data)
        if first is not None:
            return self._besides(verified, fresh)
        try:
            kept = commit(self._database, lambda connection: self._insert(connection, verified))
        except (NonceTaken, ResultTaken):
            return self._answer_taken(result.lease)
        return self._set_going(verified, kept)

    def _insert(self, connection: Connection, verified: VerifiedResult) -> tuple[Inserted, list[Entry]]:
        """Everything that a bundle brought, in one transaction."""
        result = verified.result
        late = results.verdict(connection, result.lease) == "late"
        entries: list[Entry] = []
        for one in verified.observations:
            workflow = one.observation_id if late else workflow_id(result.target, result.lease)
            entries.append(self._ingest.insert(connection, one, workflow_id=workflow))
        row = ResultRow(result, verified.payload, verified.signature, verified.key.keyid, verified.received)
        inserted = results.insert(connection, row, self._terms, verified.received)
        artefacts.insert(connection, result.lease, [*_outputs(verified), *_beside(verified)], verified.received)
        return inserted, [*entries, *inserted.entries]

    def _set_going(self, verified: VerifiedResult, kept: Inserted) -> ResultReceipt:
        result = verified.result
        if kept.verdict == "late":
            for one in result.observations:
                self._next.scan(one)
        elif kept.ingests:
            self._next.target(result.target, result.lease)
        else:
            self._next.woken()
        return ResultReceipt(result.lease, kept.verdict, verified.received, result.observations)

    def _besides(self, verified: VerifiedResult, fresh: Sequence[Verified]) -> ResultReceipt:
        """A machine scanned again what it had a receipt for, perhaps without having heard of it: what it saw is kept,
        and the target, which has its result, is left alone.
        """

        def work(connection: Connection) -> tuple[None, list[Entry]]:
            return None, [self._ingest.insert(connection, one, workflow_id=one.observation_id) for one in fresh]

        try:
            commit(self._database, work)
        except NonceTaken:
            return self._answer_taken(verified.result.lease)
        for one in fresh:
            self._next.scan(one.observation_id)
        result = verified.result
        return ResultReceipt(result.lease, "late", verified.received, result.observations)

    def _answer_taken(self, lease: str) -> ResultReceipt:
        receipt = results.receipt(self._database, lease)
        if receipt is None:
            raise _replayed()
        return receipt

    def _end(self, peer: Peer, lease: str, error: SpectraError, now: datetime) -> None:
        """What a machine sends for its own lease and is not believed was an attempt."""
        if not lease:
            return
        state = results.reject(
            self._database,
            peer.name,
            lease,
            reason=str(error.reason),
            message=error.message,
            terms=self._terms,
            now=now,
        )
        if state is not None:
            _log.warning("a result of %s is not believed: %s", peer.name, error.message, extra={"spectra.lease": lease})
            self._next.woken()

    # Which hosts a result may tell of ---------------------------------------------------------------------------------

    def _require_scope(self, verified: VerifiedResult, lease: Lease) -> None:
        """Raises `Rejected("out_of_scope")` where a result tells of hosts that its lease is not about, or that may not
        be scanned; `ParseError` where an observation cannot be read.

        BBOT may be told to follow what it finds: it may then tell of anything that the law allows. Where a target is a
        name, its addresses are the machine's to look up: what may be scanned at all is all that can be said of them.
        """
        told = [host for one in verified.observations for host in self._told(one)]
        if not told:
            return
        parsed = [parse_target(text) for text in lease.targets]
        named = {target.hostname for target in parsed if target.hostname}
        addresses = NetSet.union(target.addresses for target in parsed)
        follows = verified.result.tool == "bbot" and "bbot" in lease.tools and not lease.strict
        hosts = NetSet.union(parse_target(host.ip).addresses for host in told if host.ip)
        beyond = hosts - addresses
        if beyond and not (follows or named):
            raise _out_of_scope(f"it tells of {short(beyond, _TOLD)}, which the lease does not name.")
        wrong = [host.name for host in told if not host.ip and host.name not in named]
        if wrong and verified.result.tool != "bbot":
            raise _out_of_scope(f"it tells of {_few(wrong)}, which the lease does not name.")
        permission = self._permission(lease.job)
        self._law.version()
        names = sorted({host.name for host in told if not host.ip})
        refused = self._law.cut(TargetSet(hosts), names, permission, lease.leased).refused
        if refused:
            raise _out_of_scope(f"it tells of what may not be scanned: {refused[0].message}")

    def _permission(self, job: str) -> Permission:
        """Who agreed to a job, which never changes."""
        found = self._permissions.get(job)
        if found is None:
            if len(self._permissions) >= _JOBS:
                self._permissions.clear()
            found = self._permissions[job] = jobs.get(self._database, job).permission
        return found

    def _told(self, one: Verified) -> Iterator[_Told]:
        """The hosts and names that an observation tells of."""
        for asset in self._ingest.normalise(one.payload, one.received):
            match asset:
                case HostSeen() | Silent():
                    yield _Told(asset.ip)
                case NameSeen():
                    yield _Told("", asset.name)
                case _:
                    pass


class _Told(NamedTuple):
    ip: str
    name: str = ""


def _blobs(observations: Iterable[Verified], files: Iterable[Artefact]) -> Iterator[bytes]:
    """The bytes that are stored before the rows that name them, one after the other."""
    for one in observations:
        yield one.payload.output.data
    for file in files:
        yield file.plain()


def _outputs(verified: VerifiedResult) -> Iterator[NewArtefact]:
    """The tool's own output in each observation, as a file of the attempt. Its bytes are the observation's."""
    tool = _NAME.sub("-", verified.result.tool).strip("-.")[:_NAME_LENGTH] or "output"
    for number, one in enumerate(verified.observations):
        output = one.payload.output
        with open_output(output, max_bytes=max(output.size, 1)) as stream:
            kind, ending = ("application/xml", "xml") if stream.read(1) == b"<" else ("application/x-ndjson", "jsonl")
        name = f"{tool}{f'-{number}' if number else ''}.{ending}"
        yield NewArtefact(ArtefactClaim("raw", name, kind, output.sha256, output.size), one.observation_id)


def _beside(verified: VerifiedResult) -> list[NewArtefact]:
    """The files that came beside the observations, as the result claims them."""
    return [NewArtefact(file.claim) for file in verified.artefacts]


def _few(found: Sequence[str]) -> str:
    return ", ".join(found[:_TOLD]) + (f" and {len(found) - _TOLD} more" if len(found) > _TOLD else "")


def _out_of_scope(why: str) -> Rejected:
    return Rejected(
        Reason.OUT_OF_SCOPE, f"the result is out of scope: {why}", hint="Scan what the order names, and nothing else."
    )


def _replayed() -> Rejected:
    return Rejected(
        Reason.NONCE_REPLAYED,
        "observations of this result were accepted before, under another lease.",
        hint="Scan again for each lease.",
    )
