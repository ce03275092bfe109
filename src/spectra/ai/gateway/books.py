"""What the gateway has to write down before, while and after a model is asked."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple, Protocol

from spectra.model.ai import Answer, Label, Usage


class Bounds(NamedTuple):
    """Most of a day (UTC); 0: no bound."""

    account_tokens: int = 0
    provider_tokens: int = 0
    provider_cost: float = 0.0


class Spent(NamedTuple):
    """What a provider used up today (UTC), reservations of running requests counted."""

    tokens: int = 0
    cost: float = 0.0


class Asked(NamedTuple):
    """Who asks whom, and for what."""

    account: str
    provider: str
    model: str
    purpose: str
    label: Label


class Leaving(NamedTuple):
    """A request that is about to leave this machine: no content of it."""

    asked: Asked
    sha256: str
    """Of the body as it goes onto the wire, hexadecimal."""
    size: int
    to: str
    """Host and port."""
    at: datetime


class Books(Protocol):
    """Kept in PostgreSQL (`StoreBooks`), or nowhere (`NoBooks`)."""

    def reserve(self, asked: Asked, tokens: int, cost: float, bounds: Bounds, now: datetime) -> str:
        """Set aside what a request may use; returns the reservation's id, or "account" or "provider" with a leading
        "!" where the day's bound of that would be passed.
        """
        ...

    def settle(
        self, reservation: str, asked: Asked, usage: Usage, cost: float, outcome: str, ms: int, now: datetime
    ) -> None:
        """Replace the reservation by what was used, and put the call into the ledger."""
        ...

    def spent(self, provider: str, now: datetime) -> Spent:
        """What a provider used up today."""
        ...

    def leaving(self, leaving: Leaving) -> None:
        """Put an entry into the provenance chain; returns once it is on the disk."""
        ...

    def cached(self, key: bytes, now: datetime) -> Answer | None:
        """The answer that is kept under `key`, if it is not too old."""
        ...

    def keep(self, key: bytes, answer: Answer, hours: float, now: datetime) -> None:
        """Keep an answer."""
        ...
