"""What the gateway writes down: in the database, or nowhere."""

from __future__ import annotations

from datetime import timedelta

import pytest

from spectra.ai.gateway.books import Books, NoBooks, StoreBooks
from spectra.model.ai import Label, Usage
from spectra.store import aicalls
from spectra.store.aibudgets import Hold, Limit, Spent
from spectra.store.aicalls import ANSWERED, Call
from spectra.store.aiegress import Leaving
from spectra.store.database import Database
from spectra.store.provenance import links
from tests.ai.gateway.desk import NOW

LEAVING = Leaving("a", "0" * 64, 10, Label.SANITIZED, "openai", "m", "chat", "api.example.com")
NONE = (Limit(), Limit())


@pytest.mark.engine
def test_in_the_database(database: Database) -> None:
    """A reservation becomes what was used, or is given back; what left is in the chain; answers are kept."""
    books: Books = StoreBooks(database)
    limits = Limit(100), Limit(0, 5.0)
    hold = books.reserve("a", "openai", tokens=60, cost=1.0, limits=limits, now=NOW)
    assert isinstance(hold, Hold)
    assert books.reserve("a", "openai", tokens=60, cost=1.0, limits=limits, now=NOW) == "account"
    assert books.reserve("b", "openai", tokens=60, cost=4.5, limits=limits, now=NOW) == "provider"
    books.record(Call(NOW, "a", "chat", "openai", "m", Label.SANITIZED, ANSWERED, Usage(5, 5), 0.5), hold)
    assert books.spent(["openai", "local"], NOW) == {"openai": Spent(10, 0.5)}
    other = books.reserve("a", "openai", tokens=90, cost=1.0, limits=limits, now=NOW)
    assert isinstance(other, Hold)
    books.release(other)
    assert books.spent(["openai"], NOW) == {"openai": Spent(10, 0.5)}
    books.leaving(LEAVING, NOW)
    assert [link.kind for link in links(database)][-1] == "ai-egress"
    books.put(b"k" * 32, b"answer", timedelta(hours=1), NOW)
    assert books.get(b"k" * 32, NOW + timedelta(minutes=59)) == b"answer"
    assert books.get(b"k" * 32, NOW + timedelta(minutes=61)) is None
    assert aicalls.usage(database, NOW - timedelta(days=1), NOW + timedelta(days=1))[0].requests == 1


def test_nowhere() -> None:
    """Nothing is kept, and nothing may leave: for measuring alone."""
    books: Books = NoBooks()
    hold = books.reserve("a", "local", tokens=1, cost=1.0, limits=NONE, now=NOW)
    assert isinstance(hold, Hold)
    assert hold.id is None
    books.release(hold)
    books.record(Call(NOW, "a", "chat", "local", "m", Label.LOCAL_ONLY, ANSWERED), hold)
    books.put(b"k" * 32, b"x", timedelta(hours=1), NOW)
    assert (books.get(b"k" * 32, NOW), books.spent(["local"], NOW)) == (None, {})
    with pytest.raises(ValueError, match="nothing goes to openai"):
        books.leaving(LEAVING, NOW)
