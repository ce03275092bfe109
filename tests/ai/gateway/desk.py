"""What tests of the gateway share: books that are kept in memory, prompts, and gateways to the models of tests."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from spectra.ai.gateway.gateway import Gateway
from spectra.errors import Unavailable
from spectra.model.ai import Fragment, Kind, Label, Message, Part, Private, Prompt, Tool, generic
from spectra.settings.ai import AiSettings, ProviderSettings, Residency
from spectra.store.aibudgets import Hold, Limit, Spent
from spectra.store.aicalls import Call
from spectra.store.aiegress import Leaving

NOW: Final = datetime(2026, 11, 28, 12, tzinfo=UTC)
ADDRESS: Final = "10.20.30.40"
HOST: Final = "attic.corp.example"
USER: Final = "jsmith"
_PARTS: Final[tuple[Part, ...]] = (
    *("The host ", Private(Kind.ADDRESS, ADDRESS), " is ", Private(Kind.HOSTNAME, HOST)),
    *(", of user ", Private(Kind.USER, USER), "."),
)
TOLD: Final = Fragment(_PARTS, Label.CLOUD_DIRECT, record="host:10.20.30.40")
"""Generic words about private values: sanitised, once those are out."""
LOOK: Final = Tool("look", "Look something up", {"type": "object", "properties": {"text": {"type": "string"}}})
SCHEMA: Final[dict[str, object]] = {
    "type": "object",
    "properties": {"a": {"type": "string"}, "b": {"type": "integer"}},
    "required": ["a", "b"],
    "additionalProperties": False,
}


class Memory:
    """Books in memory: budgets as they are told, the rest as it was written."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.left: list[Leaving] = []
        self.held: list[Hold] = []
        self.given_back: list[Hold] = []
        self.kept: dict[bytes, bytes] = {}
        self.full: dict[str, Literal["account", "provider"]] = {}
        """Providers whose request finds a budget used up, and whose."""
        self.broken = False
        """Whether nothing can be put on record."""
        self.recorded = threading.Semaphore(0)

    def reserve(
        self, account: str, provider: str, *, tokens: int, cost: float, limits: tuple[Limit, Limit], now: datetime
    ) -> Hold | Literal["account", "provider"]:
        """A hold, or whose budget is used up."""
        if provider in self.full:
            return self.full[provider]
        self.held.append(Hold(now.date(), account, provider, tokens, cost))
        return self.held[-1]

    def release(self, hold: Hold) -> None:
        """Note it."""
        self.given_back.append(hold)

    def record(self, call: Call, hold: Hold | None) -> None:
        """Note it."""
        if self.broken:
            raise Unavailable("The database is away.")
        self.calls.append(call)
        self.recorded.release()

    def spent(self, providers: list[str], now: datetime) -> dict[str, Spent]:
        """By the calls that were noted."""
        return {
            name: Spent(sum(c.usage.input + c.usage.output for c in self.calls if c.provider == name))
            for name in providers
        }

    def leaving(self, leaving: Leaving, now: datetime) -> None:
        """Note it."""
        if self.broken:
            raise Unavailable("The database is away.")
        self.left.append(leaving)

    def get(self, key: bytes, now: datetime) -> bytes | None:
        """What was put."""
        return self.kept.get(key)

    def put(self, key: bytes, value: bytes, keep: timedelta, now: datetime) -> None:
        """Keep it."""
        self.kept[key] = value

    @property
    def outcomes(self) -> list[tuple[str, str]]:
        """Provider and outcome of each call."""
        return [(call.provider, call.outcome) for call in self.calls]


def at(url: str, residency: Residency = "machine", **more: Any) -> ProviderSettings:
    """A provider that is opted in."""
    return ProviderSettings.model_validate(
        {"opt_in": True, "url": url, "residency": residency, "api_key": "key-of-tests"} | more
    )


@contextmanager
def desk(books: Memory | None = None, /, **settings: Any) -> Generator[tuple[Gateway, Memory]]:
    """A gateway and its books; `settings` are those of `ai`."""
    memory = books or Memory()
    gateway = Gateway(AiSettings.model_validate(settings), b"secret of the tests, 32 bytes ok", memory, lambda: NOW)
    try:
        yield gateway, memory
    finally:
        gateway.close()


def asking(*fragments: Fragment, **more: Any) -> Prompt:
    """A prompt of Spectra's own instructions and of what a user's turn is made of."""
    return Prompt((Message("system", (generic("Be short."),)), Message("user", fragments)), **more)
