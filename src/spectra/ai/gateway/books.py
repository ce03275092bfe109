"""What the gateway writes down before, while and after a model is asked."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal, Protocol

from spectra.store import aibudgets, aicache, aicalls, aiegress
from spectra.store.aibudgets import Hold, Limit, Spent
from spectra.store.aicalls import Call
from spectra.store.aiegress import Leaving
from spectra.store.database import Database


class Books(Protocol):
    """Budgets, the ledger, kept answers and the audit."""

    def reserve(
        self, account: str, provider: str, *, tokens: int, cost: float, limits: tuple[Limit, Limit], now: datetime
    ) -> Hold | Literal["account", "provider"]:
        """Hold back what a request may take; or whose budget does not have it. `limits`: account's, provider's."""
        ...

    def release(self, hold: Hold) -> None:
        """Give back what was held for a request that took nothing."""
        ...

    def record(self, call: Call, hold: Hold | None) -> None:
        """Put a request that is over in the ledger."""
        ...

    def spent(self, providers: list[str], now: datetime) -> dict[str, Spent]:
        """What each provider used up today."""
        ...

    def leaving(self, leaving: Leaving, now: datetime) -> None:
        """Put a request in the provenance chain; returns once that is on the disk."""
        ...

    def get(self, key: bytes, now: datetime) -> bytes | None:
        """The answer that is kept under a key."""
        ...

    def put(self, key: bytes, value: bytes, keep: timedelta, now: datetime) -> None:
        """Keep an answer."""
        ...


class StoreBooks:
    """Kept in PostgreSQL: one truth for every coordinator."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def reserve(
        self, account: str, provider: str, *, tokens: int, cost: float, limits: tuple[Limit, Limit], now: datetime
    ) -> Hold | Literal["account", "provider"]:
        """Hold back what a request may take."""
        of_account, of_provider = limits
        return aibudgets.reserve(
            self._database,
            account,
            provider,
            tokens=tokens,
            cost=cost,
            of_account=of_account,
            of_provider=of_provider,
            now=now,
        )

    def release(self, hold: Hold) -> None:
        """Give back what was held."""
        aibudgets.release(self._database, hold)

    def record(self, call: Call, hold: Hold | None) -> None:
        """Put a request in the ledger."""
        aicalls.record(self._database, call, hold)

    def spent(self, providers: list[str], now: datetime) -> dict[str, Spent]:
        """What each provider used up today."""
        return aibudgets.spent(self._database, "provider", providers, now)

    def leaving(self, leaving: Leaving, now: datetime) -> None:
        """Put a request in the provenance chain."""
        aiegress.leaving(self._database, leaving, now)

    def get(self, key: bytes, now: datetime) -> bytes | None:
        """The answer that is kept under a key."""
        return aicache.get(self._database, key, now)

    def put(self, key: bytes, value: bytes, keep: timedelta, now: datetime) -> None:
        """Keep an answer."""
        aicache.put(self._database, key, value, now=now, keep=keep)


class NoBooks:
    """Nothing is written down, and no budget holds: for measuring alone. Nothing leaves the machine with these."""

    def reserve(
        self, account: str, provider: str, *, tokens: int, cost: float, limits: tuple[Limit, Limit], now: datetime
    ) -> Hold | Literal["account", "provider"]:
        """Hold nothing back."""
        del tokens, cost, limits
        return Hold(now.date(), account, provider)

    def release(self, hold: Hold) -> None:
        """Nothing was held."""

    def record(self, call: Call, hold: Hold | None) -> None:
        """Forget it."""

    def spent(self, providers: list[str], now: datetime) -> dict[str, Spent]:
        """Nothing is known."""
        del providers, now
        return {}

    def leaving(self, leaving: Leaving, now: datetime) -> None:
        """Refuse: what leaves has to be on record."""
        del now
        raise ValueError(f"without books nothing goes to {leaving.provider}")

    def get(self, key: bytes, now: datetime) -> bytes | None:
        """Nothing is kept."""
        del key, now

    def put(self, key: bytes, value: bytes, keep: timedelta, now: datetime) -> None:
        """Keep nothing."""
