"""The ledger of requests to language models: what is told, by whom, and what is forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from spectra.model.ai import Label, Usage
from spectra.model.aiusage import By, UsageRow
from spectra.store.aibudgets import spent
from spectra.store.aicalls import KEPT, Call, purge, record, usage
from spectra.store.database import Database

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def call(at: datetime = NOW, account: str = "alice", **more: Any) -> Call:
    """A request that was answered, or as `more` says."""
    told: dict[str, Any] = {"purpose": "chat", "provider": "local", "model": "tiny", "label": Label.LOCAL_ONLY}
    told |= {"outcome": "answered", "usage": Usage(10, 2), "cost": 0.5, "ms": 20}
    return Call(at, account, **(told | more))


@pytest.fixture
def told(database: Database) -> Database:
    """A database that was told of five requests of two days."""
    away: dict[str, Any] = {"provider": "mistral", "model": "m", "label": Label.SANITIZED, "away": True}
    record(database, call())
    record(database, call(account="bob", ms=80, usage=Usage(100, 50), **away))
    record(database, call(outcome="cached", usage=Usage(), cost=0.0, ms=1))
    record(database, call(outcome="ai_deadline", provider="", model="", usage=Usage(), cost=0.0, ms=3500))
    record(database, call(NOW - DAY, ms=40, purpose="summary"))
    return database


def groups(database: Database, by: By, account: str = "") -> list[str]:
    """The groups of all requests, in their order."""
    return [row.group for row in usage(database, NOW - 2 * DAY, NOW + DAY, by=by, account=account)]


def test_usage_tells_how_requests_ended_and_what_they_took(told: Database) -> None:
    """By day, in their order; times are those of answers of models."""
    assert usage(told, NOW - 2 * DAY, NOW + DAY) == [
        UsageRow(
            group="2026-02-28",
            requests=1,
            answered=1,
            cached=0,
            failed=0,
            away=0,
            input=10,
            output=2,
            cost=0.5,
            median_ms=40,
            slowest_ms=40,
        ),
        UsageRow(
            group="2026-03-01",
            requests=4,
            answered=2,
            cached=1,
            failed=1,
            away=1,
            input=110,
            output=52,
            cost=1.0,
            median_ms=20,
            slowest_ms=80,
        ),
    ]


def test_usage_can_be_told_by_what_one_wants_to_know(told: Database) -> None:
    """The most tokens first; nothing where nothing was asked."""
    assert groups(told, "account") == ["bob", "alice"]
    assert groups(told, "provider") == ["mistral", "local", ""]
    assert groups(told, "model") == ["m", "tiny", ""]
    assert groups(told, "purpose") == ["chat", "summary"]
    assert groups(told, "label") == ["SANITIZED", "LOCAL_ONLY"]
    assert groups(told, "outcome") == ["answered", "ai_deadline", "cached"]
    assert groups(told, "purpose", account="bob") == ["chat"]
    assert usage(told, NOW + DAY, NOW + 2 * DAY) == []
    assert usage(told, NOW - 2 * DAY, NOW) == usage(told, NOW - 2 * DAY, NOW - timedelta(seconds=1))


def test_what_is_too_old_is_forgotten(told: Database) -> None:
    """Requests and what was used up of the budgets of their days."""
    assert purge(told, NOW + KEPT) == 1
    assert groups(told, "day") == ["2026-03-01"]
    assert not spent(told, "account", ["alice"], NOW - DAY)
    assert spent(told, "account", ["alice"], NOW)["alice"].tokens == 12
    assert purge(told, NOW) == 0


def test_long_words_are_cut(database: Database) -> None:
    """Models may be called whatever their providers like."""
    record(database, call(model="m" * 5000, ms=2**40))
    assert [len(row.group) for row in usage(database, NOW, NOW + DAY, by="model")] == [200]
