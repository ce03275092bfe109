"""Token keys: every coordinator knows all of them, and the chain knows of each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from spectra.errors import NotFound
from spectra.store import audit, token_keys
from spectra.store.database import Database
from spectra.store.provenance import links

pytestmark = pytest.mark.engine

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def add(database: Database, kid: str, at: datetime = T0) -> None:
    """A key that stands for 31 days."""
    token_keys.add(database, kid, kid.encode().ljust(32), expires=at + 31 * DAY, now=at)


def test_the_issuer_is_made_up_once(database: Database) -> None:
    """The same for every coordinator on the database."""
    name = token_keys.issuer(database)
    assert name.startswith("urn:uuid:")
    with Database(database.url, pool_size=2) as other:
        assert token_keys.issuer(other) == name


def test_keys_overlap(database: Database) -> None:
    """A new one stands beside the old one until that expires; newest first."""
    add(database, "a")
    add(database, "b", T0 + 30 * DAY)
    assert [k.kid for k in token_keys.current(database, T0 + 30 * DAY)] == ["b", "a"]
    assert [k.kid for k in token_keys.current(database, T0 + 31 * DAY)] == ["b"]
    found = token_keys.find(database, "a")
    assert found
    assert found.public_key == b"a".ljust(32)
    assert token_keys.find(database, "c") is None


def test_a_known_key_stays_what_it_is(database: Database) -> None:
    """Adding it again neither prolongs it nor puts anything on record."""
    add(database, "a")
    before = token_keys.find(database, "a")
    assert token_keys.add(database, "a", bytes(32), expires=T0 + 99 * DAY, now=T0 + DAY) == before
    assert [link.kind for link in links(database)] == ["token-key.added"]


def test_a_revoked_key_is_out(database: Database) -> None:
    """At once, and on record; twice is once."""
    add(database, "a")
    assert token_keys.revoke(database, "a", T0).revoked == T0
    assert token_keys.revoke(database, "a", T0 + DAY).revoked == T0
    assert token_keys.current(database, T0) == ()
    assert [link.kind for link in links(database)] == ["token-key.added", "token-key.revoked"]
    with pytest.raises(NotFound):
        token_keys.revoke(database, "b", T0)


def test_a_key_slipped_in_shows(database: Database) -> None:
    """Who may write to the database could sign as anybody with a key of their own: the audit names it."""
    add(database, "a")
    stored = {subject: audit.plain(detail) for subject, detail in token_keys.details(database).items()}
    assert stored == {link.subject: link.detail() for link in links(database)}
    with database.connection() as connection:
        connection.execute("UPDATE token_key SET public_key = '\\x00'")
    assert token_keys.details(database)["token-key:a"]["public_key"] == "00"
