"""Budgets: what is held back, what is used up, and that many at once take no more than there is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Literal

from spectra.model.ai import Label, Usage
from spectra.store.aibudgets import HELD, Hold, Limit, Spent, expire, release, reserve, spent
from spectra.store.aicalls import Call, record
from spectra.store.database import Database

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FREE = Limit()


def hold(
    database: Database,
    tokens: int,
    *,
    cost: float = 0.0,
    account: Limit = FREE,
    provider: Limit = FREE,
    now: datetime = NOW,
    who: str = "alice",
) -> Hold | Literal["account", "provider"]:
    """A reservation of `who` at mistral."""
    return reserve(
        database, who, "mistral", tokens=tokens, cost=cost, of_account=account, of_provider=provider, now=now
    )


def took(database: Database, usage: Usage, kept: Hold | None = None, *, cost: float = 0.0) -> None:
    """A request of alice to mistral that is over."""
    record(database, Call(NOW, "alice", "chat", "mistral", "m", Label.SANITIZED, "answered", usage, cost), kept)


def used(database: Database) -> tuple[Spent | None, Spent | None]:
    """What alice and mistral used up today."""
    return (
        spent(database, "account", ["alice"], NOW).get("alice"),
        spent(database, "provider", ["mistral"], NOW).get("mistral"),
    )


def test_without_a_bound_nothing_is_held_back(database: Database) -> None:
    """And what a request took is counted all the same."""
    assert hold(database, 500) == Hold(NOW.date(), "alice", "mistral")
    assert used(database) == (None, None)
    took(database, Usage(10, 5), cost=0.25)
    assert used(database) == (Spent(15, 0.25), Spent(15, 0.25))


def test_what_was_taken_stands_in_the_place_of_what_was_held_back(database: Database) -> None:
    """For the account and the provider, tokens and cost."""
    kept = hold(database, 500, cost=2.0, account=Limit(1000), provider=Limit(cost=10.0))
    assert isinstance(kept, Hold)
    assert used(database) == (Spent(500, 2.0), Spent(500, 2.0))
    took(database, Usage(40, 2), kept, cost=0.5)
    assert used(database) == (Spent(42, 0.5), Spent(42, 0.5))


def test_a_failed_request_gives_back_what_was_held_for_it(database: Database) -> None:
    """So that failing providers use up nobody's day."""
    kept = hold(database, 500, account=Limit(1000))
    assert isinstance(kept, Hold)
    release(database, kept)
    assert used(database) == (Spent(), Spent())
    release(database, kept)  # a second time there is nothing to give back
    release(database, Hold(NOW.date(), "nobody", "nothing"))
    assert isinstance(hold(database, 1000, account=Limit(1000)), Hold)


def test_what_is_held_for_requests_that_are_never_heard_of_again_is_given_back(database: Database) -> None:
    """A coordinator that dies takes nothing with it for longer than a while; a request that is late counts as it is."""
    late = hold(database, 500, cost=1.0, account=Limit(1000))
    assert isinstance(late, Hold)
    assert isinstance(hold(database, 300, account=Limit(1000), now=NOW + HELD), Hold)
    assert expire(database, NOW + HELD) == 0
    assert expire(database, NOW + HELD + timedelta(seconds=1)) == 1
    assert used(database) == (Spent(300), Spent(300))
    took(database, Usage(20, 10), late)
    assert used(database) == (Spent(330), Spent(330))


def test_whose_budget_is_used_up_is_told_and_nothing_is_held(database: Database) -> None:
    """A request beyond the provider's bound does not count on the account's either, and the next day begins anew."""
    assert hold(database, 11, account=Limit(10)) == "account"
    assert hold(database, 11, account=Limit(100), provider=Limit(10)) == "provider"
    assert hold(database, 1, cost=0.2, provider=Limit(cost=0.1)) == "provider"
    assert used(database) == (Spent(), None)
    assert expire(database, NOW + timedelta(days=1)) == 0
    assert isinstance(hold(database, 10, account=Limit(10)), Hold)
    assert hold(database, 1, account=Limit(10)) == "account"
    assert hold(database, 1, cost=0.0, provider=Limit(10)) == "provider"
    assert isinstance(hold(database, 1, account=Limit(10), who="bob"), Hold)
    assert isinstance(hold(database, 10, account=Limit(10), now=NOW + timedelta(days=1)), Hold)


def test_many_at_once_take_no_more_than_there_is(database: Database) -> None:
    """Of 24 requests at once for a tenth of the budget each, ten get theirs."""
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(hold, database, 100, account=Limit(1000), provider=Limit(5000)) for _ in range(24)]
        results = [one.result() for one in asked]
    assert sum(isinstance(one, Hold) for one in results) == 10
    assert results.count("account") == 14
    assert used(database) == (Spent(1000), Spent(1000))
    with ThreadPoolExecutor(8) as pool:
        kept = [one for one in results if isinstance(one, Hold)]
        list(pool.map(took, [database] * 10, [Usage(20, 10)] * 10, kept))
    assert used(database) == (Spent(300), Spent(300))
