"""Walking the provenance chain: every hash, every signature, every blob, and on request the whole graph.

The plain walk shows that no entry, no submission's row, no key and no blob was changed, added or removed. The deep
walk also folds the graph again from the log and recomputes every content address: an edited endpoint, name, service
or banner is named.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from spectra.errors import Corrupt, NotFound, SpectraError
from spectra.identity import dsse, payload
from spectra.identity.keys import PublicKey
from spectra.model.records import ChainReport
from spectra.store import audit
from spectra.store.audit import Stored
from spectra.store.blobs import BlobStore
from spectra.store.database import Database
from spectra.store.provenance import GENESIS, Link, links

Progress = Callable[[int, int], None]
_BATCH = 200


class _Broken(Exception):
    """The walk ends here."""

    def __init__(self, reason: str, seq: int | None = None, observation: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.seq = seq
        self.observation = observation


class _Walk:
    """The state of one walk."""

    def __init__(self, database: Database, blobs: BlobStore, *, deep: bool) -> None:
        self._database = database
        self._blobs = blobs
        self._deep = deep
        self._previous = GENESIS
        self._keys: dict[str, dict[str, str]] = {}
        self._settled: dict[str, str] = {}
        self.entries: int = 0
        self.accepted: set[str] = set()
        self.blobs = 0

    @property
    def head(self) -> str:
        return self._previous.hex()

    def take(self, batch: list[Link]) -> None:
        """Check a run of entries, and what they tell of."""
        wanted = sorted({link.subject for link in batch if link.kind.startswith("observation.")})
        stored = audit.observations(self._database, wanted) if wanted else {}
        for link in batch:
            self._linked(link)
            detail = json.loads(link.entry)
            if link.kind == "observation.accepted":
                self._submission(link, detail, stored.get(link.subject))
            elif link.kind == "observation.settled":
                self._outcome(link, detail, stored.get(link.subject))
            elif link.kind.startswith("key."):
                self._keys[link.subject] = _key_detail(detail)

    def finish(self) -> None:
        """What only shows when the whole chain is known: rows that it does not tell of."""
        known = set(audit.observation_ids(self._database))
        keys = audit.key_details(self._database)
        later = audit.subjects_after(self._database, self.entries)  # read last: what came meanwhile is no finding
        for observation_id in sorted(known - self.accepted - later):
            raise _Broken("an observation is stored that the chain does not know", None, observation_id)
        for keyid, now in keys.items():
            if self._keys.get(keyid) != now and keyid not in later:
                raise _Broken(f"key {keyid[:16]} is not what the chain says it is")
        if not self._deep:
            return
        for altered in (audit.altered_content, audit.altered_name, audit.altered_host):
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

    def _submission(self, link: Link, detail: dict[str, Any], stored: Stored | None) -> None:
        if stored is None:
            raise _Broken("the observation it tells of is gone", link.seq, link.subject)
        if stored.accepted != detail:
            changed = sorted(k for k in detail if detail[k] != stored.accepted.get(k))
            raise _Broken(f"the observation was changed: {', '.join(changed)}", link.seq, link.subject)
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
        self.blobs += 1

    def _outcome(self, link: Link, detail: dict[str, Any], stored: Stored | None) -> None:
        if stored is None:
            raise _Broken("the observation it tells of is gone", link.seq, link.subject)
        digest = detail.pop("log")
        if stored.settled != detail:
            changed = sorted(k for k in detail if detail[k] != stored.settled.get(k))
            raise _Broken(f"the observation's outcome was changed: {', '.join(changed)}", link.seq, link.subject)
        if self._deep and digest and audit.log_digest(self._database, stored.seq) != digest:
            raise _Broken("the log of what it saw was changed", link.seq, link.subject)


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
    except SpectraError:
        raise
    except ValueError as error:
        broken = _Broken(f"a row cannot be read: {error}", walk.entries + 1)
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


def _key_detail(detail: dict[str, Any]) -> dict[str, str]:
    return {
        "contributor": detail["contributor"],
        "role": detail["role"],
        "public_key": detail["public_key"],
        "revoked": str(detail["status"] == "revoked"),
    }
