"""Insights come in as everything does: signed, verified by the gate, and kept in one transaction with their entry.

The key that signs is this coordinator's own. An agent never writes to the store: it hands over what it concluded, and
only a statement that the gate let through is kept.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from spectra.errors import BadRequest
from spectra.identity import insights as statements
from spectra.identity.keys import SigningKey
from spectra.ingest import insights as gate
from spectra.ingest.gate import revoked
from spectra.ingest.insights import VerifiedInsights
from spectra.model.insights import CONTRIBUTOR, MAX_INSIGHTS, Agent, Insight, Kept
from spectra.model.records import KeyRecord
from spectra.store import insights, keys
from spectra.store.database import Connection, Database
from spectra.store.insights import NewStatement
from spectra.store.provenance import commit

_log = logging.getLogger("spectra.insights")

_KEY: Final = "keys/agents.pem"  # below the data folder
_ROLE: Final = "module"


class Insights:
    """Signs, verifies and keeps what agents conclude. Thread-safe; blocks on the database."""

    def __init__(self, database: Database, data_dir: Path, *, clock: Callable[[], datetime]) -> None:
        """Quick: the key of this data folder is looked for, made and registered with the first statement."""
        self._database = database
        self._path = data_dir / _KEY
        self._clock = clock
        self._lock = threading.Lock()
        self._key: SigningKey | None = None

    @property
    def signing_key(self) -> SigningKey:
        """The key of this data folder, made (mode 0600) and registered where it is not there yet.

        One that was revoked before this node started is put aside, and another made.
        """
        with self._lock:
            if self._key is None:
                self._key = self._usable()
            return self._key

    def _usable(self) -> SigningKey:
        key = _load(self._path)
        known = keys.find(self._database, key.public.keyid)
        if known is not None and known.status != "active":
            self._path.replace(self._path.with_name(f"agents-{key.public.keyid[:16]}.pem"))
            _log.warning("the key of the agents is not usable any more; there is a new one")
            key, known = _load(self._path), None
        if known is None:
            keys.register(
                self._database,
                contributor=CONTRIBUTOR,
                role=_ROLE,
                public_key=key.public.raw,
                keyid=key.public.keyid,
                now=self._clock(),
                comment="signs what agents conclude",
            )
        return key

    def key(self, keyid: str) -> KeyRecord | None:
        """A registered key, for the gate."""
        return keys.find(self._database, keyid)

    def keep(self, agent: Agent, insights: Sequence[Insight], *, read: str = "") -> Kept:
        """Sign a statement of these insights, let the gate verify it, and keep it with its entry in the chain.

        `read` is the SHA-256 (hex) of what the agent was given. The same insight (by id) is kept once, its newest
        words count. At most `MAX_INSIGHTS` at once. Nothing is written where there are none.
        """
        if not insights:
            return Kept(statement="", insights=())
        if len(insights) > MAX_INSIGHTS:
            raise BadRequest(f"A statement has at most {MAX_INSIGHTS} insights.", reason="too_many", field="insights")
        statement = statements.build(agent=agent, insights=insights, now=self._clock(), read=read)
        return self.take(statements.sign(self.signing_key, statement))

    def take(self, raw: bytes) -> Kept:
        """Keep a statement (a DSSE envelope) that a coordinator signed; raises `Rejected` for what the gate refuses.

        The very same one again is answered with what there is, and changes nothing.
        """
        verified = gate.verify(raw, now=self._clock(), keys=self)
        return insights.existing(self._database, verified.sha256) or self._insert(verified)

    def _insert(self, verified: VerifiedInsights) -> Kept:
        new = NewStatement(
            verified.sha256,
            verified.statement.agent,
            verified.key.keyid,
            verified.signature,
            verified.payload,
            verified.statement.issued,
            verified.received,
            verified.statement.insights,
        )

        def check(connection: Connection) -> None:
            if keys.is_revoked(connection, verified.key.keyid):
                raise revoked()

        return commit(self._database, lambda connection: insights.insert(connection, new, CONTRIBUTOR), check=check)


def _load(path: Path) -> SigningKey:
    """The key of a file, made where there is none."""
    if path.exists():
        return SigningKey.load(path)
    key = SigningKey.generate()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key.save(path)
    return key
