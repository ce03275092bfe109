"""What admins decide of tiers: when it holds, and what the chain says of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from spectra.errors import NotFound
from spectra.model.tiers import Policy
from spectra.store import accounts, audit, ledger, tiers
from spectra.store.accounts import Act
from spectra.store.database import Database
from spectra.store.provenance import links
from tests.store.scribe import Scribe

pytestmark = pytest.mark.engine

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
BY = Act("root", NOON)
POLICY = Policy("own", threshold=3, window_days=2, daily_cap=0)


@pytest.fixture(autouse=True)
def people(database: Database) -> None:
    """A contributor from outside, a user and an admin."""
    for name, role in (("alice", "contributor"), ("bob", "user"), ("root", "admin")):
        accounts.create(database, name, role=role, trust=1.0, password="", act=BY)


def why(database: Database, name: str, now: datetime = NOON, policy: Policy = POLICY) -> str:
    """Why an account stands as it does; the short question agrees with the long one."""
    found = tiers.of(database, name, policy, now)
    assert tiers.is_pro(database, name, found.role, policy, now) is (found.tier == "pro")
    return found.why


def on_record(database: Database) -> bool:
    """Whether the rows are what the chain says, as the audit compares them."""
    newest = {link.subject: link.detail() for link in links(database) if link.kind.startswith("tier.")}
    return newest == {subject: audit.plain(detail) for subject, detail in tiers.details(database).items()}


def test_what_is_given_holds_until_then(database: Database) -> None:
    """Or for ever, or until it is taken back; each change is an entry, what changes nothing is none."""
    assert [why(database, name) for name in ("alice", "bob", "root")] == ["not_earned", "own", "admin"]
    until = NOON + timedelta(hours=1)
    tiers.give(database, "alice", "pro", until, BY)
    assert why(database, "alice") == "granted"
    assert why(database, "alice", until) == "not_earned"
    tiers.give(database, "alice", "pro", None, BY)
    assert why(database, "alice", until + timedelta(days=9999)) == "granted"
    tiers.give(database, "alice", "auto", until, BY)
    assert why(database, "alice") == "not_earned"
    tiers.give(database, "bob", "free", None, BY)
    assert why(database, "bob") == "withheld"
    before = len(list(links(database)))
    tiers.give(database, "bob", "free", None, Act("other", until))
    tiers.give(database, "root", "auto", None, BY)
    assert len(list(links(database))) == before
    kinds = [link.kind for link in links(database) if link.kind.startswith("tier.")]
    assert kinds == ["tier.granted", "tier.granted", "tier.reset", "tier.withheld"]
    assert on_record(database)


def test_being_listed_and_being_pro_do_not_touch_each_other(database: Database) -> None:
    """One row holds both."""
    tiers.show(database, "alice", True, BY)  # as it is
    tiers.give(database, "alice", "pro", None, BY)
    tiers.show(database, "alice", False, Act("alice", NOON))
    found = tiers.of(database, "alice", POLICY, NOON)
    assert (found.why, found.listed) == ("granted", False)
    tiers.give(database, "alice", "auto", None, BY)
    assert not tiers.of(database, "alice", POLICY, NOON).listed
    assert on_record(database)


def test_what_was_contributed_decides_the_rest(database: Database, write: Scribe) -> None:
    """In the window; the same for the short question, which reads no more days than that."""
    for hours, fresh in ((0, 2), (24, 1)):
        seq = write([], at=NOON + timedelta(hours=hours), contributor="alice").seq
        with database.transaction() as connection:
            ledger.count(connection, seq, fresh)
    tomorrow = NOON + timedelta(days=1)
    assert why(database, "alice", tomorrow) == "earned"
    assert tiers.of(database, "alice", POLICY, tomorrow).until == datetime(2026, 3, 12, tzinfo=UTC)
    assert why(database, "alice", datetime(2026, 3, 12, tzinfo=UTC)) == "not_earned"
    late = datetime(2026, 3, 11, 23, tzinfo=UTC).astimezone(datetime.fromisoformat("2026-01-01T00:00+05:00").tzinfo)
    assert why(database, "alice", late) == "earned"
    assert why(database, "alice", tomorrow, POLICY._replace(mode="everyone")) == "everyone"


def test_nobody(database: Database) -> None:
    """An account that does not exist stands nowhere, and is given nothing."""
    with pytest.raises(NotFound):
        tiers.of(database, "nobody", POLICY, NOON)
    with pytest.raises(NotFound):
        tiers.give(database, "nobody", "pro", None, BY)
    assert not tiers.is_pro(database, "nobody", "contributor", POLICY, NOON)
    assert tiers.details(database) == {}


def test_two_decisions_at_once(database: Database) -> None:
    """Come one after the other, and the chain's newest entry is what holds."""

    def work(number: int) -> None:
        act = Act(f"admin-{number}", NOON)
        if number % 2:
            tiers.show(database, "alice", number % 4 == 1, act)
        else:
            tiers.give(database, "alice", "pro" if number % 4 else "free", None, act)

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(work, range(20)))
    assert on_record(database)
