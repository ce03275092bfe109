"""What leaves is on record, without its content."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from spectra.errors import Corrupt
from spectra.model.ai import Label
from spectra.store import audit_trail
from spectra.store.aiegress import Leaving, leaving, page
from spectra.store.database import Database
from spectra.store.provenance import links

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ONE = Leaving("alice", "ab" * 32, 1234, Label.SANITIZED, "mistral", "small", "summary", "api.mistral.ai")


def test_what_leaves_is_an_entry_of_the_chain(database: Database) -> None:
    """The account is its subject; digest, size, class and where it goes are told."""
    leaving(database, ONE, NOW)
    leaving(database, ONE._replace(label=Label.CLOUD_DIRECT), NOW)
    first, second = links(database)
    assert (first.kind, first.subject) == ("ai-egress", "alice")
    assert first.detail() == {
        "sha256": "ab" * 32,
        "bytes": 1234,
        "class": "SANITIZED",
        "provider": "mistral",
        "model": "small",
        "purpose": "summary",
        "host": "api.mistral.ai",
    }
    assert second.detail()["class"] == "CLOUD_DIRECT"
    assert second.hash == second.expected_hash()


@pytest.mark.parametrize(
    "wrong",
    [ONE._replace(label=Label.LOCAL_ONLY), ONE._replace(sha256="192.0.2.1"), ONE._replace(bytes=-1)],
    ids=["raw", "text", "size"],
)
def test_raw_data_has_no_entry_because_it_never_leaves(database: Database, wrong: Leaving) -> None:
    """Who asks for one may not send: nothing is written, and what is no digest could be content."""
    with pytest.raises(ValueError, match=r"never leaves|SHA-256"):
        leaving(database, wrong, NOW)
    assert not list(links(database))


def test_what_left_can_be_looked_up(database: Database) -> None:
    """Of one account or all, newest first, a page at a time; among privileged acts it is not told."""
    for account in ("alice", "bob", "alice"):
        leaving(database, ONE._replace(account=account), NOW)
    first, second, third = page(database)
    assert [one.seq for one in (first, second, third)] == [3, 2, 1]
    assert (first.account, first.provider, first.label, first.bytes) == ("alice", "mistral", "SANITIZED", 1234)
    assert (first.sha256, first.host, first.purpose, first.at) == ("ab" * 32, "api.mistral.ai", "summary", NOW)
    assert [one.seq for one in page(database, account="alice")] == [3, 1]
    assert page(database, before=3, limit=1) == (second,)
    assert not audit_trail.acts(database)


def test_an_entry_that_is_none_any_more_is_told(database: Database) -> None:
    """Rather than shown as something else."""
    leaving(database, ONE, NOW)
    with database.transaction() as connection:
        connection.execute("UPDATE provenance SET entry = replace(entry, 'SANITIZED', 'FINE')")
    with pytest.raises(Corrupt, match="Entry 1"):
        page(database)
