"""Walking the provenance chain: every hash, every signature, every blob, and on request the whole graph.

The plain walk shows that no entry, no submission's row and what it counts for, no contributor, key, token or tier, no
block, no do-not-scan entry, no feed, no decision about a finding, no VEX document, no node, revoked key of one, join
token or root of the CA, no job, schedule or result of a machine, and no blob was changed, added or removed. The deep
walk also reads the log and holds it against its digests, folds the graph again from it and recomputes every content
address: an edited sighting, endpoint, name, service, banner or certificate is named.

What it cannot show is that the newest entries were removed together with all they tell of: compare the head with one
kept elsewhere for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from spectra.errors import Corrupt, NotFound
from spectra.identity import dsse, payload
from spectra.identity.errors import IdentityError
from spectra.identity.keys import PublicKey
from spectra.model.records import ChainReport
from spectra.store import (
    accounts,
    alertrules,
    attestations,
    audit,
    authorities,
    blocks,
    do_not_scan,
    factors,
    feeds,
    insights,
    jobs,
    jointokens,
    keys,
    ledger,
    noderows,
    outlets,
    reports,
    results,
    schedules,
    tiers,
    token_keys,
    triagewrite,
    vexwrite,
    workers,
    workstate,
)
from spectra.store.audit import Stored
from spectra.store.blobs import BlobStore
from spectra.store.database import Database
from spectra.store.provenance import GENESIS, Link, links

Progress = Callable[[int, int], None]
_BATCH: Final = 200
_RECORDED: Final = (
    "key.",
    "credential.",
    "account.",
    "role.",
    "token-key.",
    "block.",
    "do_not_scan.",
    "feed.",
    "tier.",
    "finding.",
    "vex.",
    "node.",
    "join-token.",
    "ca.",
    "attestation.",
    "job.",
    "schedule.",
    "worker.",
    "work.",
    "insights.",
    "insight.",
    "report.",
    "factor.",
    "recovery.",
    "alert-rule.",
    "alert-mute.",
    "outlet.",
)
"""Kinds of entry whose newest says what the row of its subject is."""
_UNRECORDED: Final = ("alert.", "session.", "signin.", "device.", "ai-egress")
"""Kinds of entry that tell of an act which leaves no row of its own."""
_ALTERED: Final = (
    audit.altered_log,
    audit.altered_content,
    audit.altered_certificate,
    audit.altered_name,
    audit.altered_host,
)


_ROOMS: Final = (
    keys,
    accounts,
    token_keys,
    blocks,
    do_not_scan,
    feeds,
    tiers,
    triagewrite,
    vexwrite,
    noderows,
    jointokens,
    authorities,
    attestations,
    jobs,
    schedules,
    workers,
    workstate,
    insights,
    reports,
    factors,
    alertrules,
    outlets,
)
"""What holds those rows: each has `details`."""


class _Broken(Exception):
    """The walk ends here. `subject` is what the entry is about, the observation's or key's id."""

    def __init__(self, reason: str, seq: int | None = None, subject: str = "", *, observation: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.seq = seq
        self.subject = subject
        self.observation = subject if observation else ""


class _Walk:
    """The state of one walk."""

    def __init__(self, database: Database, blobs: BlobStore, *, deep: bool) -> None:
        self._database = database
        self._blobs = blobs
        self._deep = deep
        self._previous = GENESIS
        self._identities: dict[str, tuple[Link, dict[str, Any]]] = {}  # each key, token ...: its newest entry
        self._unsettled: dict[str, tuple[int, Stored]] = {}  # accepted, and not settled so far
        self.entries: int = 0
        self.accepted: set[str] = set()
        self._results: set[str] = set()  # leases
        self.blobs = 0

    @property
    def head(self) -> str:
        return self._previous.hex()

    def take(self, batch: list[Link]) -> None:
        """Check a run of entries, and what they tell of."""
        wanted = sorted({link.subject for link in batch if link.kind.startswith("observation.")})
        stored = audit.observations(self._database, wanted) if wanted else {}
        leases = [link.subject for link in batch if link.kind.startswith("result.")]
        kept = results.details(self._database, leases) if leases else {}
        for link in batch:
            self._linked(link)
            try:
                if link.kind.startswith("result."):
                    self._result(link, link.detail(), kept.get(link.subject))
                else:
                    self._told(link, link.detail(), stored.get(link.subject))
            except (ValueError, LookupError, TypeError, IdentityError) as error:
                raise _Broken(f"what it tells of cannot be read: {error}", link.seq, link.subject) from error

    def finish(self) -> None:
        """What only shows when the whole chain is known: rows that it does not tell of."""
        found = sorted(
            [*self._strange(), *self._touched(), *self._altered_identities()],
            key=lambda broken: (broken.seq is None, broken.seq),
        )
        strangers = keys.strangers(self._database)
        later = audit.subjects_after(self._database, self.entries)  # read last: what came meanwhile is no finding
        for broken in found:
            if broken.subject not in later:
                raise broken
        for name in strangers:
            raise _Broken(f"contributor {name} is stored, but the chain does not know it")
        if wrong := ledger.altered(self._database):
            raise _Broken(f"{wrong} was changed after it was written")
        if not self._deep:
            return
        for altered in _ALTERED:
            if wrong := altered(self._database):
                raise _Broken(f"{wrong} was changed after it was written")

    def _linked(self, link: Link) -> None:
        if link.seq != self.entries + 1:
            raise _Broken(f"entry {self.entries + 1} is missing", self.entries + 1)
        if link.previous != self._previous:
            raise _Broken("the entry does not follow the one before it", link.seq, link.subject)
        if link.hash != link.expected_hash():
            raise _Broken("the entry does not hash to its hash", link.seq, link.subject)
        self._previous = link.hash
        self.entries = link.seq

    def _told(self, link: Link, detail: dict[str, Any], stored: Stored | None) -> None:
        if link.kind in (
            "role.removed",
            "feed.removed",
            "node.removed",
            "schedule.removed",
            "factor.removed",
            "recovery.removed",
            "alert-rule.removed",
            "outlet.removed",
        ):
            self._identities.pop(link.subject, None)
        elif link.kind.startswith(_RECORDED):
            self._identities[link.subject] = link, detail
        elif link.kind.startswith(_UNRECORDED):
            return
        elif not link.kind.startswith("observation."):
            raise _Broken(f"nobody writes entries of the kind {link.kind}", link.seq, link.subject, observation=False)
        elif stored is None:
            raise _Broken("the observation it tells of is gone", link.seq, link.subject)
        elif link.kind == "observation.accepted":
            self._submission(link, detail, stored)
        else:
            self._outcome(link, detail, stored)

    def _result(self, link: Link, detail: dict[str, Any], kept: dict[str, object] | None) -> None:
        if kept is None:
            raise _Broken("the result it tells of is gone", link.seq, link.subject, observation=False)
        if audit.plain(kept) != detail:
            raise _Broken("the result of a machine was changed", link.seq, link.subject, observation=False)
        self._results.add(link.subject)

    def _submission(self, link: Link, detail: dict[str, Any], stored: Stored) -> None:
        _compare("the observation", link, detail, stored.accepted)
        try:
            data = self._blobs.get(stored.blob_sha256)
        except (NotFound, Corrupt) as error:
            raise _Broken(error.message, link.seq, link.subject) from error
        raw = payload.rebuild(stored.header.encode(), data)
        if payload.observation_id(raw) != link.subject:
            raise _Broken("header and blob do not make up what was signed", link.seq, link.subject)
        if not dsse.verify(PublicKey(stored.public_key), stored.signature, raw):
            raise _Broken("the signature does not hold any more: the key was changed", link.seq, link.subject)
        self.accepted.add(link.subject)
        self._unsettled[link.subject] = link.seq, stored
        self.blobs += 1

    def _outcome(self, link: Link, detail: dict[str, Any], stored: Stored) -> None:
        digest = detail.pop("log")
        _compare("the observation's outcome", link, detail, stored.settled)
        if self._deep and audit.log_digest(self._database, stored.seq) != digest:
            raise _Broken("the log of what it saw was changed", link.seq, link.subject)
        self._unsettled.pop(link.subject)

    def _strange(self) -> Iterator[_Broken]:
        for lease in sorted(set(results.every_lease(self._database)) - self._results):
            yield _Broken("a result is stored that the chain does not know", None, lease, observation=False)
        for observation_id in sorted(set(audit.observation_ids(self._database)) - self.accepted):
            yield _Broken("an observation is stored that the chain does not know", None, observation_id)

    def _touched(self) -> Iterator[_Broken]:
        """Accepted submissions that look settled, though no entry says so."""
        for observation_id, (seq, stored) in self._unsettled.items():
            if stored.settled != {"observation_id": observation_id, **audit.UNTOUCHED}:
                yield _Broken("the observation has an outcome that the chain does not know", seq, observation_id)
            elif self._deep and audit.log_digest(self._database, stored.seq):
                yield _Broken("the log has rows of an observation that is not settled", seq, observation_id)

    def _altered_identities(self) -> Iterator[_Broken]:
        rows = {subject: detail for room in _ROOMS for subject, detail in room.details(self._database).items()}
        now = {subject: audit.plain(detail) for subject, detail in rows.items()}
        for subject in sorted(now.keys() | self._identities.keys()):
            link, told = self._identities.get(subject, (None, None))
            if told == now.get(subject):
                continue
            if link is None:
                reason = f"{subject[:80]} is stored, but the chain does not know it"
                yield _Broken(reason, None, subject, observation=False)
                continue
            noun = link.kind.partition(".")[0]
            which = subject.removeprefix(f"{noun}:")[:60]
            reason = f"the {noun.replace('-', ' ')} {which} is not what the chain says it is"
            yield _Broken(reason, link.seq, subject, observation=False)


def _compare(what: str, link: Link, told: dict[str, Any], stored: dict[str, Any]) -> None:
    if told != stored:
        changed = sorted(k for k in told.keys() | stored.keys() if told.get(k) != stored.get(k))
        raise _Broken(f"{what} was changed: {', '.join(changed)}", link.seq, link.subject)


def verify(
    database: Database, blobs: BlobStore, *, deep: bool = False, progress: Progress | None = None
) -> ChainReport:
    """Walk the chain from its beginning to its head as of now; the first thing that does not hold ends the walk.

    `progress(done, total)` is called every few hundred entries. Costs one read of every blob; deep, one read of every
    row besides.
    """
    walk = _Walk(database, blobs, deep=deep)
    total = audit.chain_length(database)
    broken: _Broken | None = None
    try:
        batch: list[Link] = []
        for link in links(database):
            batch.append(link)
            if len(batch) == _BATCH or link.seq == total:
                walk.take(batch)
                batch = []
                if progress:
                    progress(walk.entries, total)
        walk.take(batch)
        walk.finish()
    except _Broken as error:
        broken = error
    return ChainReport(
        ok=broken is None,
        entries=walk.entries,
        observations=len(walk.accepted),
        blobs=walk.blobs,
        head=walk.head,
        deep=deep,
        broken_seq=broken.seq if broken else None,
        broken_observation=broken.observation if broken else "",
        reason=broken.reason if broken else "",
    )
