"""Refusals: counted by what and who, and bounded, whoever tries however much."""

from __future__ import annotations

import pytest

from spectra.model.nodes import RefusalRecord
from spectra.store import refusals
from spectra.store.database import Database
from spectra.store.refusals import Refused
from tests.store.machines import HOUR, T0, told

pytestmark = pytest.mark.engine


def test_what_was_refused_is_counted(database: Database) -> None:
    """Once for each kind and who, with the last detail, the first and the last time."""
    refusals.count(database, "token_used", "192.0.2.7", "token-attic", T0)
    refusals.count(database, "token_used", "192.0.2.7", "token-barn", T0 + HOUR, times=3)
    refusals.count(database, "impostor", "attic", "spoke as barn", T0)
    assert refusals.every(database) == (
        RefusalRecord("token_used", "192.0.2.7", 4, T0, T0 + HOUR, "token-barn"),
        RefusalRecord("impostor", "attic", 1, T0, T0, "spoke as barn"),
    )
    assert [r.who for r in refusals.every(database, kind="impostor")] == ["attic"]
    assert len(refusals.every(database, limit=1)) == 1
    assert told(database) == []


def test_many_at_once(database: Database) -> None:
    """In one statement, in any order; what comes late does not make an older detail the last."""
    refusals.count_many(
        database,
        [
            Refused("x", "b", "two", T0 + HOUR, 2),
            Refused("x", "a", "", T0),
            Refused("x", "b", "one", T0),
        ],
    )
    refusals.count_many(database, [Refused("x", "b", "late", T0 - HOUR)])
    refusals.count_many(database, [])
    assert refusals.every(database) == (
        RefusalRecord("x", "b", 4, T0 - HOUR, T0 + HOUR, "two"),
        RefusalRecord("x", "a", 1, T0, T0, ""),
    )


def test_the_oldest_are_forgotten(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """What strangers can make the store keep is bounded."""
    monkeypatch.setattr(refusals, "MAX_ROWS", 5)
    refusals.count_many(database, [Refused("x", f"192.0.2.{n}", "", T0 + n * HOUR) for n in range(8)])
    refusals.count(database, "x", "192.0.2.0", "", T0 + 9 * HOUR)
    assert [r.who.rpartition(".")[2] for r in refusals.every(database)] == ["0", "7", "6", "5", "4"]


def test_texts_are_cut_and_made_harmless(database: Database) -> None:
    """Who is refused chooses them."""
    refusals.count(database, "k" * 100, "w\x00\x1b" + "w" * 200, "d\n" + "\ud800" + "d" * 1000, T0)
    (found,) = refusals.every(database)
    assert (len(found.kind), len(found.who), len(found.detail)) == (60, 100, 300)
    assert found.who.startswith("w??w")
    assert found.detail.startswith("d??d")
