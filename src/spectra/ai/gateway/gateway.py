"""The one door to language models: what goes through it is labelled, redacted, budgeted, and on record."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import msgspec

from spectra.ai.gateway.books import Books, StoreBooks
from spectra.ai.gateway.callmemory import CallMemory
from spectra.ai.gateway.chain import Chain, Job, Try
from spectra.ai.gateway.egress import Allowed, Egress
from spectra.ai.gateway.errors import NoModel, Tried
from spectra.ai.gateway.loop import Loop
from spectra.ai.gateway.outgoing import Outgoing, may_go, render, render_texts
from spectra.ai.gateway.policy import decide_texts
from spectra.ai.gateway.providers import Provider, providers_of
from spectra.ai.gateway.streams import Stream
from spectra.ai.privacy import secret as privacy_secret
from spectra.ai.privacy.pseudonyms import Pseudonyms
from spectra.ai.privacy.redaction import Redactor
from spectra.errors import SpectraError
from spectra.model.ai import Answer, Delta, Fragment, Label, Prompt, ProviderState, Usage, Vectors
from spectra.settings import AiSettings, Settings
from spectra.store.aicalls import ANSWERED, CACHED

if TYPE_CHECKING:
    import ssl

    import httpx

    from spectra.ai.gateway.models import Line
    from spectra.store.database import Database

_log = logging.getLogger("spectra.ai")

T = TypeVar("T")

_LONGEST_WAIT_S: Final = 5.0
"""For a place among the requests that may run at once."""


class Gateway:
    """Asks the configured providers in their order. Thread-safe.

    `secret` keys the pseudonyms of this node; `books` keeps budgets, the ledger, answers and the audit.
    """

    def __init__(self, settings: AiSettings, secret: bytes, books: Books, clock: Callable[[], datetime]) -> None:
        self.settings = settings
        self.egress = Egress(settings.egress)
        self._secret = secret
        self._books = books
        self._clock = clock
        self._providers = providers_of(settings)
        self._chain = Chain(settings, self._providers, self.egress, books, clock)
        self._calls = CallMemory(Label.SANITIZED if settings.free_text == "detected" else Label.LOCAL_ONLY)
        self._loop = Loop()
        self._lines: dict[str, Line] = {}
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(settings.concurrent)
        self._waiting = threading.BoundedSemaphore(settings.concurrent)

    @classmethod
    def from_settings(cls, settings: Settings, database: Database, clock: Callable[[], datetime]) -> Gateway:
        """The gateway of a coordinator: its books in `database`, its secret in the data folder. Quick: nothing heavy
        is imported and nothing is connected to before the first request, or `warm`.
        """
        return cls(settings.ai, privacy_secret.ensure(settings.data_dir), StoreBooks(database), clock)

    def warm(self) -> None:
        """Import in the background what the first request would have to wait for, where any provider is configured."""
        if any(not provider.off() for provider in self._providers):
            threading.Thread(target=self._opened, name="ai-warm", daemon=True).start()

    def answer(self, prompt: Prompt, *, account: str, deadline_s: float) -> Answer:
        """What the first provider that may see `prompt` and works says. `deadline_s` is a total: providers, retries
        and waiting for a place together.

        With `prompt.facts` an answer to the same, kept for `ai.cache_hours`, is given again (`cached`). Fragments
        that have a `record` count by that and by the facts, all others by their words. Raises `NoModel`;
        `RefusedByModel` where providers say that the request itself is wrong; `NotFound` for an unknown model.
        """
        job = self._job(prompt, account, deadline_s)
        key = self._key(prompt)
        if key is not None and (kept := self._kept(key)) is not None:
            self._chain.count(kept.provider, CACHED)
            self._chain.record(job, kept.label, CACHED)
            return kept
        with self._place(job):
            one, answer = self._chain.first(job, self._ask)
            return self._finished(one, answer, key)

    def stream(self, prompt: Prompt, *, account: str, deadline_s: float) -> Stream:
        """The same, piece by piece: an iterator of `Delta`; nothing is kept. Closing it, from any thread, cancels the
        request.

        Raises as `answer` does, before the first piece. A stream that breaks off later ends with a `Delta` whose
        `finish` is `error`; no other provider takes it up.
        """
        job = self._job(prompt, account, deadline_s)
        place = self._place(job)
        place.__enter__()
        left = _Once(lambda: place.__exit__(None, None, None))
        try:
            return self._chain.first(job, lambda one, seconds: self._open(one, seconds, left))[1]
        except BaseException:
            left()
            raise

    def embed(self, fragments: Sequence[Fragment], *, account: str, deadline_s: float, model: str = "") -> Vectors:
        """A vector for each fragment, of the first provider that makes any and may see all of them."""
        started = time.monotonic()
        label = max((fragment.effective for fragment in fragments), default=Label.CLOUD_DIRECT)
        job = Job(
            account=account,
            purpose="embed",
            label=label,
            render=lambda residency: render_texts(fragments, residency, lambda: self._redactor(account)),
            may_go=lambda residency: decide_texts(fragments, residency).allowed,
            named=lambda provider: provider.named(model) or model == provider.settings.embedding_model,
            lacks=lambda provider: "" if provider.embeds else "it makes no vectors",
            model=model,
            max_tokens=1,
            started=started,
            until=started + deadline_s,
        )
        if not fragments:
            return Vectors((), "", "")
        with self._place(job):
            one, made = self._chain.first(job, self._vectors)
            one.provider.good()
            one.model = made.model
            used = made.usage if made.usage != Usage() else Usage(one.provider.guess(one.outgoing.size, 1).input)
            self._chain.finish(one, used, ANSWERED)
            return made

    def ready(self, label: Label) -> bool:
        """Whether a provider that may see `label` is ready now: nothing is asked."""
        return any(state.state == "ready" and Label[state.takes] >= label for state in self._states({}))

    def providers(self) -> tuple[ProviderState, ...]:
        """How it stands with each provider, in their order."""
        spent = self._books.spent([provider.name for provider in self._providers], self._clock())
        return tuple(self._states({name: (used.tokens, used.cost) for name, used in spent.items()}))

    def client(
        self,
        purpose: Literal["fetch"],
        timeout_s: float,
        allowed: Allowed | None = None,
        verify: ssl.SSLContext | None = None,
    ) -> httpx.Client:
        """A client by the configured way out, for what is not a model; to be closed. It follows no redirect, uses no
        proxy of the environment, and connects to addresses that are `allowed` alone (what a name resolves to is held
        against that, and that very address is connected to; a SOCKS proxy resolves names itself).

        Raises `NoModel` (`ai_no_provider`) where the way out is down.
        """
        if why := self.egress.down():
            raise NoModel(
                f"The way out is down: {why}.",
                reason="ai_no_provider",
                tried=(Tried(purpose, why),),
                hint="Nothing left.",
            )
        return self.egress.client(timeout_s, allowed, verify)

    def counts(self) -> dict[tuple[str, str], int]:
        """Requests so far by provider ("" for none) and outcome (`answered`, `cached`, `passing`, `leak`, ...)."""
        return self._chain.counts()

    def close(self) -> None:
        """Cancel what is on its way, and end the event loop."""
        with self._lock:
            lines, self._lines = list(self._lines.values()), {}

        async def closed() -> None:
            for line in lines:
                await line.aclose()

        self._loop.close(closed)

    def _job(self, prompt: Prompt, account: str, deadline_s: float) -> Job:
        started = time.monotonic()
        return Job(
            account=account,
            purpose=prompt.purpose,
            label=prompt.label,
            render=lambda residency: render(prompt, residency, lambda: self._redactor(account), self._calls.label_of),
            may_go=lambda residency: may_go(prompt, residency, self._calls.label_of),
            named=lambda provider: provider.named(prompt.model),
            lacks=lambda _: "",
            model=prompt.model,
            max_tokens=prompt.sampling.max_tokens,
            started=started,
            until=started + deadline_s,
        )

    def _opened(self) -> None:
        """Open what is open to each provider."""
        for provider in self._providers:
            if not provider.off():
                with suppress(SpectraError):
                    self._line(provider)

    def _redactor(self, account: str) -> Redactor:
        return Redactor(Pseudonyms(self._secret, account))

    def _line(self, provider: Provider) -> Line:
        """What is open to a provider; opened by the first who needs it."""
        with self._lock:
            line = self._lines.get(provider.name)
            if line is None:
                from spectra.ai.gateway.models import Line

                line = self._lines[provider.name] = Line(provider, self.egress, self.settings.machine_networks)
            return line

    def _ask(self, one: Try, seconds: float) -> Answer:
        from spectra.ai.gateway import talking
        from spectra.ai.gateway.wire import SENDING

        line = self._line(one.provider)

        async def asked() -> Answer:
            SENDING.set(one.sending)
            try:
                return await talking.ask(line.model, one.outgoing, words=one.provider.plain_json)
            except Exception as error:
                if one.provider.plain_json or not talking.wants_words(error, one.outgoing):
                    raise
            said = await talking.ask(line.model, one.outgoing, words=True)
            one.provider.plain_json = True
            return said

        answer = self._loop.run(asked, seconds)
        _judge(answer, one.outgoing)
        one.provider.good()
        return answer

    def _open(self, one: Try, seconds: float, ended: Callable[[], None]) -> Stream:
        from spectra.ai.gateway import talking
        from spectra.ai.gateway.wire import SENDING

        line = self._line(one.provider)

        async def pieces() -> AsyncIterator[Delta]:
            SENDING.set(one.sending)
            begun = False
            try:
                async for piece in talking.pieces(line.model, one.outgoing, words=one.provider.plain_json):
                    begun = True
                    yield piece
            except Exception as error:
                if begun or one.provider.plain_json or not talking.wants_words(error, one.outgoing):
                    raise
            else:
                return
            async for piece in talking.pieces(line.model, one.outgoing, words=True):
                one.provider.plain_json = True
                yield piece

        stream = Stream(self._chain, self._loop, one, self._calls)
        stream.begin(pieces, seconds, ended)
        return stream

    def _vectors(self, one: Try, seconds: float) -> Vectors:
        from spectra.ai.gateway.embeddings import vectors
        from spectra.ai.gateway.wire import SENDING

        line = self._line(one.provider)
        one.sending.model = one.provider.settings.embedding_model

        async def asked() -> Vectors:
            SENDING.set(one.sending)
            return await vectors(line.client, one.provider, line.key, one.outgoing)

        return self._loop.run(asked, seconds)

    def _finished(self, one: Try, answer: Answer, key: bytes | None) -> Answer:
        """The answer with private values in it, on record, and kept."""
        guess = one.provider.guess(one.outgoing.size, None)
        used = answer.usage if answer.usage != Usage() else Usage(guess.input, len(answer.text) // 3 + 1)
        restored = answer._replace(
            text=one.outgoing.restored(answer.text),
            calls=tuple(one.outgoing.restored_call(call) for call in answer.calls),
            provider=one.provider.name,
            model=one.model,
            label=one.outgoing.label,
            usage=used,
        )
        for call in restored.calls:
            self._calls.keep(call, restored.label)
        self._chain.finish(one, used, ANSWERED)
        if key is not None and restored.finish == "stop" and not restored.calls:
            self._keep(key, restored)
        return restored

    def _states(self, spent: dict[str, tuple[int, float]]) -> Generator[ProviderState]:
        now = self._clock()
        way = self.egress.down() if any(p.away and not p.off() for p in self._providers) else ""
        for provider in self._providers:
            tokens, cost = spent.get(provider.name, (0, 0.0))
            wait, broken = provider.spared()
            limit = provider.limit
            state: Literal["ready", "off", "broken", "spent", "blocked"] = "ready"
            why = provider.off()
            if why:
                state = "off"
            elif provider.away and way:
                state, why = "blocked", way
            elif wait:
                state, why = "broken", broken
            elif (limit.tokens and tokens >= limit.tokens) or (limit.cost and cost >= limit.cost):
                state, why = "spent", "its budget of today is used up"
            yield ProviderState(
                name=provider.name,
                model=provider.model,
                residency=provider.settings.residency,
                state=state,
                why=why,
                until=now + timedelta(seconds=wait) if state == "broken" else None,
                takes=provider.takes.name,
                tokens_today=tokens,
                cost_today=round(cost, 6),
            )

    @contextmanager
    def _place(self, job: Job) -> Generator[None]:
        """A place among the requests that may run at once; raises `NoModel` where none gets free in time."""
        if not self._places.acquire(blocking=False):
            seconds = min(_LONGEST_WAIT_S, max(job.until - time.monotonic(), 0.0))
            if not self._waiting.acquire(blocking=False):
                raise _busy()
            try:
                if not self._places.acquire(timeout=seconds):
                    raise _busy()
            finally:
                self._waiting.release()
        try:
            yield
        finally:
            self._places.release()

    def _key(self, prompt: Prompt) -> bytes | None:
        """What an answer is kept under: all that could change it."""
        if prompt.facts is None or self.settings.cache_hours <= 0:
            return None
        told = [
            (message.role, message.answers, message.calls, [_told(fragment) for fragment in message.fragments])
            for message in prompt.messages
        ]
        whom = [(p.name, p.model, p.url, p.settings.residency) for p in self._providers if p.settings.opt_in]
        what = (told, prompt.tools, prompt.choice, prompt.schema, prompt.sampling, prompt.facts, prompt.model, whom)
        return hashlib.sha256(msgspec.json.encode(("answer-1", prompt.purpose, *what))).digest()

    def _kept(self, key: bytes) -> Answer | None:
        try:
            value = self._books.get(key, self._clock())
            return None if value is None else msgspec.json.decode(value, type=Answer)._replace(cached=True)
        except (SpectraError, msgspec.DecodeError) as error:
            _log.warning("a kept answer cannot be read: %s", error)
            return None

    def _keep(self, key: bytes, answer: Answer) -> None:
        try:
            keep = timedelta(hours=self.settings.cache_hours)
            self._books.put(key, msgspec.json.encode(answer), keep, self._clock())
        except SpectraError as error:
            _log.warning("an answer cannot be kept: %s", error)


class _Once:
    """Calls a function the first time alone."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._left = threading.Lock()

    def __call__(self) -> None:
        if self._left.acquire(blocking=False):
            self._function()


def _told(fragment: Fragment) -> object:
    """A fragment within a key: by its record, whose state `facts` tell, else by its words."""
    return ("record", fragment.record) if fragment.record else (int(fragment.label), fragment.droppable, fragment.parts)


def _judge(answer: Answer, outgoing: Outgoing) -> None:
    """Raise where an answer that was to be JSON of a schema is none, or lacks what the schema requires of it."""
    from spectra.ai.gateway.failures import Failed

    if outgoing.schema is None or answer.calls or answer.finish != "stop":
        return
    try:
        said = msgspec.json.decode(answer.text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Failed("answered no JSON") from error
    required: object = outgoing.schema.get("required", [])
    if isinstance(said, dict) and isinstance(required, list) and not set(map(str, required)) <= said.keys():  # pyright: ignore[reportUnknownArgumentType]
        raise Failed("answered JSON of another schema")


def _busy() -> NoModel:
    return NoModel(
        "As many requests to models as are allowed at once are on their way.",
        reason="ai_busy",
        hint="Ask again in a moment, or raise ai.concurrent.",
    )
