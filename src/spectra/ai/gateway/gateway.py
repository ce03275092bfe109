"""The one door to language models: what goes through it is labelled, redacted, budgeted, and on record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from spectra.model.ai import Answer, Delta, Fragment, Label, Prompt, ProviderState, Vectors
from spectra.settings import AiSettings, Settings

if TYPE_CHECKING:
    import httpx

    from spectra.ai.gateway.books import Books
    from spectra.store.database import Database


class Gateway:
    """Asks the configured providers in their order. Thread-safe; every call of it may be made from any thread.

    `secret` keys the pseudonyms of this node; `books` keeps budgets, the ledger, answers and the audit.
    """

    def __init__(self, settings: AiSettings, secret: bytes, books: Books, clock: Callable[[], datetime]) -> None:
        self.settings = settings

    @classmethod
    def from_settings(cls, settings: Settings, database: Database, clock: Callable[[], datetime]) -> Gateway:
        """The gateway of a coordinator: its books in `database`, its secret in the data folder. Quick: nothing heavy
        is imported and nothing is connected to before the first request.
        """
        raise NotImplementedError

    def answer(self, prompt: Prompt, *, account: str, deadline_s: float) -> Answer:
        """What the first provider that may see `prompt` and works says. `deadline_s` is a total: providers, retries
        and waiting for a place together.

        With `prompt.facts` an answer to the same, kept for `ai.cache_hours`, is given again (`cached`). Raises
        `NoModel`, and `RefusedByModel` where a provider says that the request itself is wrong.
        """
        raise NotImplementedError

    def stream(self, prompt: Prompt, *, account: str, deadline_s: float) -> Iterator[Delta]:
        """The same, piece by piece; nothing is kept. Closing the iterator cancels the request.

        Raises as `answer` does, before the first piece. A stream that breaks off later ends with a `Delta` whose
        `finish` is `error` (`stop`, `length`, `tool_calls` or `content_filter` otherwise); no other provider takes it up.
        """
        raise NotImplementedError

    def embed(self, fragments: Sequence[Fragment], *, account: str, deadline_s: float, model: str = "") -> Vectors:
        """A vector for each fragment, of the first provider that makes any and may see all of them. Raises `NoModel`."""
        raise NotImplementedError

    def ready(self, label: Label) -> bool:
        """Whether a provider that may see `label` is ready now: nothing is asked."""
        raise NotImplementedError

    def providers(self) -> tuple[ProviderState, ...]:
        """How it stands with each provider, in their order."""
        raise NotImplementedError

    def client(self, purpose: Literal["fetch"], timeout_s: float) -> httpx.Client:
        """A client by the configured way out, for what is not a model; to be closed. Follows no redirect and uses no
        proxy of the environment. Raises `NoModel` (`ai_no_provider`) where the way out is down.
        """
        raise NotImplementedError

    def counts(self) -> dict[tuple[str, str], int]:
        """Requests so far by provider and outcome (`ok`, `error`, `deadline`, `leak_stopped`, `cached`, ...)."""
        raise NotImplementedError

    def close(self) -> None:
        """Cancel what is on its way, and end the event loop."""
