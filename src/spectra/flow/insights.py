"""Insights come in as everything does: signed, verified by the gate, and kept in one transaction with their entry.

The key that signs is this coordinator's own. An agent never writes to the store: it hands over what it concluded, and
only a statement that the gate let through is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from spectra.identity.keys import SigningKey
from spectra.model.insights import Agent, Insight, Kept
from spectra.store.database import Database


class Insights:
    """Signs, verifies and keeps what agents conclude. Thread-safe; blocks on the database."""

    def __init__(self, database: Database, key: SigningKey, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._key = key
        self._clock = clock

    @classmethod
    def open(cls, database: Database, data_dir: Path, *, clock: Callable[[], datetime]) -> Insights:
        """With the key of this data folder, which is made (mode 0600) and registered where it is not there yet."""
        raise NotImplementedError

    def keep(self, agent: Agent, insights: Sequence[Insight], *, read: str = "") -> Kept:
        """Sign a statement of these insights, let the gate verify it, and keep it with its entry in the chain.

        `read` is the SHA-256 (hex) of what the agent was given. The same insight (by id) is kept once, its newest
        words count. At most `MAX_INSIGHTS` at once. Nothing is written where there are none.
        """
        raise NotImplementedError

    def take(self, raw: bytes) -> Kept:
        """Keep a statement (a DSSE envelope) that a coordinator signed; raises `Rejected` for what the gate refuses."""
        raise NotImplementedError
