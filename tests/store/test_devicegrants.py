"""Devices that wait: what each is told, once, and no sooner than it may ask."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from spectra.errors import NotFound, Unavailable
from spectra.store import accounts, devicegrants
from spectra.store.accounts import Act
from spectra.store.database import Database
from spectra.store.devicegrants import LetIn, NewDevice, Polled
from spectra.store.provenance import links

pytestmark = pytest.mark.engine

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
S = timedelta(seconds=1)
ALICE = Act("alice", T0)


@pytest.fixture
def people(database: Database) -> Database:
    """A database with an account."""
    accounts.create(database, "alice", role="user", trust=1.0, password="", act=Act("root", T0))
    return database


def ask(database: Database, code: str = "AAAA-AAAA", **changes: object) -> bool:
    """A device that waits for ten minutes; its digest is its code."""
    source = "192.0.2.7"
    new = NewDevice(code.encode(), code, "cli", None, source, source, T0 + 600 * S, 5)
    return devicegrants.ask(database, new._replace(**changes), T0)  # pyright: ignore[reportArgumentType]


def poll(database: Database, at: datetime, code: str = "AAAA-AAAA", client: str = "cli") -> LetIn | Polled:
    """The device asks again."""
    return devicegrants.poll(database, code.encode(), client, at)


def test_let_in_once(people: Database) -> None:
    """It waits, is let in, gets that told once, and who did it is on record."""
    assert ask(people)
    found = devicegrants.find(people, "AAAA-AAAA", T0)
    assert (found.client_id, found.source, found.state) == ("cli", "192.0.2.7", "waiting")
    assert poll(people, T0) is Polled.WAITING
    assert devicegrants.decide(people, "AAAA-AAAA", ALICE, allow=True).state == "allowed"
    assert poll(people, T0 + 5 * S) == LetIn("alice", "cli", None)
    assert poll(people, T0 + 10 * S) is Polled.UNKNOWN
    (told,) = [link.detail() for link in links(people) if link.kind == "device.allowed"]
    assert (told["account"], told["client"], told["source"]) == ("alice", "cli", "192.0.2.7")


def test_refused(people: Database) -> None:
    """A decision stands; the code of one is no other's, and the device is told once."""
    ask(people)
    devicegrants.decide(people, "AAAA-AAAA", ALICE, allow=False)
    with pytest.raises(NotFound):
        devicegrants.decide(people, "AAAA-AAAA", ALICE, allow=True)
    assert poll(people, T0) is Polled.REFUSED
    assert poll(people, T0 + 5 * S) is Polled.UNKNOWN


def test_asking_too_soon_slows_it_down(people: Database) -> None:
    """By five seconds each time (RFC 8628 section 3.5), up to a minute."""
    ask(people)
    assert poll(people, T0) is Polled.WAITING
    assert poll(people, T0 + 4 * S) is Polled.TOO_SOON
    assert poll(people, T0 + 13 * S) is Polled.TOO_SOON  # 10 s now, and 15 s from here on
    assert poll(people, T0 + 28 * S) is Polled.WAITING
    for _ in range(20):
        poll(people, T0 + 28 * S)
    assert poll(people, T0 + 88 * S) is Polled.WAITING


def test_codes_are_over_after_a_while(people: Database) -> None:
    """Nobody lets it in any more, and it is told; later it is forgotten."""
    ask(people)
    with pytest.raises(NotFound):
        devicegrants.find(people, "AAAA-AAAA", T0 + 600 * S)
    with pytest.raises(NotFound):
        devicegrants.decide(people, "AAAA-AAAA", Act("alice", T0 + 600 * S), allow=True)
    assert poll(people, T0 + 600 * S) is Polled.OVER
    assert poll(people, T0, "BBBB-BBBB") is Polled.UNKNOWN
    assert poll(people, T0, client="another") is Polled.UNKNOWN


def test_no_more_than_whoever_lets_it_in_holds(people: Database) -> None:
    """Nor than it asked for."""
    ask(people, "AAAA-AAAA")
    ask(people, "BBBB-BBBB", scopes=("hosts:read", "jobs:write"))
    for code in ("AAAA-AAAA", "BBBB-BBBB"):
        devicegrants.decide(people, code, ALICE, allow=True, scopes=("hosts:read", "search:read"))
    assert poll(people, T0) == LetIn("alice", "cli", ("hosts:read", "search:read"))
    assert poll(people, T0, "BBBB-BBBB") == LetIn("alice", "cli", ("hosts:read",))


def test_few_wait_at_once(people: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """From one network, and in all; a code that another shows is not given twice."""
    monkeypatch.setattr(devicegrants, "MOST_OF_ONE", 2)
    monkeypatch.setattr(devicegrants, "MOST", 3)
    assert ask(people, "AAAA-AAAA")
    assert not ask(people, "AAAA-AAAA", digest=b"other")
    assert ask(people, "BBBB-BBBB")
    with pytest.raises(Unavailable):
        ask(people, "CCCC-CCCC")
    assert ask(people, "CCCC-CCCC", source="2001:db8::1", network="2001:db8::/64")
    with pytest.raises(Unavailable):
        ask(people, "DDDD-DDDD", source="192.0.2.9", network="192.0.2.9")
