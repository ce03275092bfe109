"""Which provider is asked, and how long."""

from __future__ import annotations

import dataclasses
import time

import pytest

from spectra.ai.gateway.chain import Chain, Job, Try
from spectra.ai.gateway.egress import Egress
from spectra.ai.gateway.errors import NoModel, RefusedByModel
from spectra.ai.gateway.failures import Failed
from spectra.ai.gateway.outgoing import Outgoing, render
from spectra.ai.gateway.providers import providers_of
from spectra.ai.privacy.redaction import Redactor
from spectra.model.ai import Label, Usage, generic
from spectra.settings.ai import AiSettings, Residency
from tests.ai.gateway.desk import NOW, Memory, asking, at

URL = "http://127.0.0.1:9"


def chain(books: Memory, **settings: object) -> Chain:
    """Providers that nobody listens for: what is asked of them is the test's own."""
    made = AiSettings.model_validate(settings)
    return Chain(made, providers_of(made), Egress(made.egress), books, lambda: NOW)


def job(seconds: float = 100.0) -> Job:
    """A generic question."""

    def none() -> Redactor:
        raise AssertionError

    prompt = asking(generic("x"))
    now = time.monotonic()

    def rendered(residency: Residency) -> Outgoing | None:
        return render(prompt, "machine", none, lambda _: Label.LOCAL_ONLY)

    return Job(
        account="a",
        purpose="chat",
        label=prompt.label,
        render=rendered,
        may_go=lambda residency: True,
        named=lambda provider: True,
        lacks=lambda provider: "",
        model="",
        max_tokens=None,
        started=now,
        until=now + seconds,
    )


def test_time_is_shared_between_those_that_can_be_asked() -> None:
    """The first gets a part of it, the last what is left; none more than its own bound."""
    books, given = Memory(), dict[str, float]()
    all_three = chain(
        books, local=at(URL, timeout_s=500), openai=at(URL, "machine", timeout_s=500), xai=at(URL, "machine")
    )

    def ask(one: Try, seconds: float) -> str:
        given[one.provider.name] = seconds
        raise Failed("said nothing")

    with pytest.raises(NoModel):
        all_three.first(job(), ask)
    assert 50 < given["local"] <= 60
    assert 50 < given["openai"] <= 60, "time that was not used is there for the next"
    assert given["xai"] == 30
    assert len(books.given_back) == 3
    assert [call.outcome for call in books.calls] == ["ai_unavailable"]


def test_nothing_is_rendered_for_who_is_not_asked() -> None:
    """That another provider could be asked is known without replacing private values for it."""
    asked, seen = job(), list[Residency]()

    def rendered(residency: Residency) -> Outgoing | None:
        seen.append(residency)
        return asked.render(residency)

    both = chain(Memory(), local=at(URL), mistral=at(URL, "eu", api_key="k"))
    one, seconds = both.first(dataclasses.replace(asked, render=rendered), lambda one, seconds: seconds)
    assert (one.provider.name, seen) == ("local", ["machine"])
    assert seconds < 100, "there is another one"


def test_three_failures_and_it_is_spared() -> None:
    """The breaker opens; refusals, leaks and a deadline that left no time do not count."""
    books = Memory()
    one = chain(books, local=at(URL))

    def fails(what: Failed, seconds: float = 100.0) -> None:
        def ask(asked: Try, given: float) -> None:
            raise what

        with pytest.raises((NoModel, RefusedByModel)):
            one.first(job(seconds), ask)

    for _ in range(5):
        fails(Failed("refuses the request (400)", "refused"))
        fails(Failed("was not asked", "leak"))
    assert one.providers[0].spared() == (0.0, "")
    for _ in range(3):
        fails(Failed("gave no answer in time", "slow"), 0.5)
    assert one.providers[0].spared() == (0.0, "")
    for _ in range(3):
        fails(Failed("gave no answer in time", "slow"))
    assert one.providers[0].spared()[1] == "gave no answer in time"
    with pytest.raises(NoModel, match="local is spared for a while: gave no answer in time"):
        one.first(job(), lambda asked, seconds: "never asked")
    assert one.counts()["local", "slow"] == 6


def test_the_ledger_has_one_line_for_each_request() -> None:
    """Who answered, and what it cost; a ledger that cannot be written loses no answer."""
    books = Memory()
    one = chain(books, local=at(URL), openai=at(URL, "machine", price_in=2.0, price_out=4.0))

    def ask(asked: Try, seconds: float) -> str:
        if asked.provider.name == "local":
            raise Failed("answered 503")
        return "yes"

    asked, said = one.first(job(), ask)
    assert (said, asked.provider.name, books.calls) == ("yes", "openai", [])
    one.finish(asked, Usage(1_000_000, 500_000), "answered")
    (call,) = books.calls
    assert (call.provider, call.outcome, call.cost, call.away) == ("openai", "answered", 4.0, False)
    books.broken = True
    one.finish(asked, Usage(1, 1), "answered")
    assert one.counts() == {("local", "passing"): 1, ("openai", "answered"): 2}
