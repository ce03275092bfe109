"""Sessions: refresh tokens are good once, across coordinators, and a session ends with all that it rests on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from spectra.errors import NotFound
from spectra.identity.keys import SigningKey
from spectra.store import accounts, keys, sessions, token_keys
from spectra.store.accounts import Act
from spectra.store.database import Database
from spectra.store.provenance import links
from spectra.store.sessions import Cookie, NewSession, Standing

pytestmark = pytest.mark.engine

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
BY = Act("root", T0)


@pytest.fixture
def people(database: Database) -> Database:
    """A database with two accounts and a token key."""
    for name, role in (("alice", "user"), ("bob", "admin")):
        accounts.create(database, name, role=role, trust=1.0, password="", act=BY)
    token_keys.add(database, "k", bytes(32), expires=T0 + 90 * DAY, now=T0)
    return database


@pytest.fixture
def other(people: Database) -> Iterator[Database]:
    """Another coordinator on the same database."""
    with Database(people.url, pool_size=2) as second:
        yield second


def begin(database: Database, name: str = "alice", at: datetime = T0, **changes: object) -> str:
    """A new session of 30 days; its refresh token's digest is `r-NAME`."""
    new = NewSession(name, "cli", "password", None, "", "192.0.2.7", T0 + 30 * DAY)._replace(**changes)  # pyright: ignore[reportArgumentType]
    digest = f"r-{name}".encode()
    return sessions.begin(database, new, refresh=digest, refresh_until=T0 + 14 * DAY, now=at)


def refresh(database: Database, used: bytes, new: bytes, now: datetime = T0, client_id: str = "") -> Standing | None:
    """Exchange a refresh token."""
    return sessions.refresh(database, used, new=new, lifetime=14 * DAY, now=now, client_id=client_id)


def stands(database: Database, session: str, now: datetime = T0, kid: str = "k") -> bool:
    """Whether an access token of the session would be let in."""
    return sessions.standing(database, session, kid, now) is not None


def test_a_session_speaks_for_its_account_as_it_is_now(people: Database) -> None:
    """Role and custom scopes come from the database, not from the time of signing in."""
    session = begin(people, scopes=("search:read",))
    found = sessions.standing(people, session, "k", T0)
    assert found == Standing(session, "alice", "user", (), ("search:read",), "cli", T0 + 30 * DAY)
    accounts.put_role(people, "looker", ["hosts:read"], BY)
    accounts.change(people, "alice", role="looker", act=BY)
    now = sessions.standing(people, session, "k", T0)
    assert now
    assert (now.role, now.custom) == ("looker", ("hosts:read",))


def test_a_session_ends(people: Database) -> None:
    """When it expires, is revoked, or its token key is; and none is found that never was."""
    session = begin(people)
    assert stands(people, session, T0 + 30 * DAY - MINUTE)
    assert not stands(people, session, T0 + 30 * DAY)
    assert not stands(people, session, kid="another")
    assert not stands(people, "7c9e6679-7425-40de-944b-e07fc1f90ae7")
    token_keys.revoke(people, "k", T0)
    assert not stands(people, session)


def test_a_session_ends_with_its_key(people: Database) -> None:
    """Signed in with a key: revoked or past its grace, all that came of it is over."""
    old, new = SigningKey.generate().public, SigningKey.generate().public
    keys.register(people, contributor="alice", role="user", public_key=old.raw, keyid=old.keyid, now=T0)
    session = begin(people, keyid=old.keyid)
    keys.rotate(people, keyid=old.keyid, public_key=new.raw, new_keyid=new.keyid, now=T0, grace_s=60)
    assert stands(people, session, T0 + timedelta(seconds=59))
    assert not stands(people, session, T0 + timedelta(seconds=60))
    keys.revoke(people, old.keyid, T0)
    assert not stands(people, session)


def test_refresh_tokens_rotate(people: Database, other: Database) -> None:
    """Each is good once, on any coordinator; the session lives on with the newest."""
    session = begin(people)
    found = refresh(other, b"r-alice", b"2", T0 + MINUTE)
    assert found
    assert found.id == session
    assert refresh(people, b"2", b"3", T0 + 2 * MINUTE)
    assert stands(people, session)
    (listed,) = sessions.page(people, T0 + 2 * MINUTE)
    assert listed.used == T0 + 2 * MINUTE


def test_a_used_refresh_token_ends_the_family(people: Database, other: Database) -> None:
    """Whoever shows it has stolen it or was stolen from: both are out, and it is on record, without any token."""
    session = begin(people)
    refresh(people, b"r-alice", b"2")
    assert refresh(other, b"r-alice", b"stolen") is None
    assert not stands(people, session)
    assert refresh(people, b"2", b"3") is None
    last = list(links(people))[-1]
    assert (last.kind, last.subject) == ("session.revoked", f"session:{session}")
    assert last.detail() == {
        "session": session,
        "account": "alice",
        "by": "alice",
        "why": "refresh token used twice",
    }


def test_refresh_tokens_that_are_none(people: Database) -> None:
    """Unknown, expired, of another client, of an ended session or a disabled account: nothing happens."""
    session = begin(people)
    assert refresh(people, b"unknown", b"2") is None
    assert refresh(people, b"r-alice", b"2", T0 + 14 * DAY) is None
    assert refresh(people, b"r-alice", b"2", client_id="another") is None
    assert stands(people, session)
    accounts.disable(people, "alice", BY)
    assert refresh(people, b"r-alice", b"2") is None
    begin(people, "bob", expires=T0 + MINUTE)
    assert refresh(people, b"r-bob", b"2", T0 + MINUTE) is None


def test_a_refresh_token_does_not_outlive_its_session(people: Database) -> None:
    """However often it is exchanged, the session ends when it was said to."""
    begin(people)
    used, at = b"r-alice", T0
    for n in range(5):
        at += 6 * DAY - MINUTE
        new = f"n{n}".encode()
        found = refresh(people, used, new, at)
        used = new
        assert (found is not None) is (at < T0 + 30 * DAY)
    assert refresh(people, used, b"last", T0 + 30 * DAY) is None


def test_a_session_is_refreshed_a_bounded_number_of_times(people: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one sign-in can make the store keep is bounded."""
    monkeypatch.setattr(sessions, "MAX_REFRESHES", 3)
    begin(people)
    assert [refresh(people, a, b) is not None for a, b in ((b"r-alice", b"2"), (b"2", b"3"), (b"3", b"4"))] == [
        True,
        True,
        False,
    ]


def test_of_many_at_once_one_wins(people: Database, other: Database) -> None:
    """The same refresh token at the same moment on two coordinators: one is served, then the family is over."""
    session = begin(people)
    start = threading.Barrier(4)

    def attempt(n: int) -> bool:
        start.wait()
        return refresh(people if n % 2 else other, b"r-alice", f"n{n}".encode()) is not None

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(attempt, range(4))) == 1
    assert not stands(people, session)


def test_a_nonce_is_good_once_everywhere(people: Database, other: Database) -> None:
    """Of many coordinators that see one assertion at the same moment, one takes it; each issuer has its own."""
    start = threading.Barrier(6)

    def attempt(n: int) -> bool:
        start.wait()
        return sessions.use_once(people if n % 2 else other, "assertion:k", "jti", T0 + MINUTE)

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(attempt, range(6))) == 1
    assert sessions.use_once(people, "assertion:other", "jti", T0 + MINUTE)


def test_sessions_are_revoked(people: Database) -> None:
    """By its owner or an admin, on record once; another's is not there."""
    mine, others = begin(people), begin(people, "bob")
    with pytest.raises(NotFound):
        sessions.revoke(people, others, BY, of="alice")
    with pytest.raises(NotFound):
        sessions.revoke(people, "nothing", BY)
    sessions.revoke(people, mine, BY, of="alice")
    before = len(list(links(people)))
    sessions.revoke(people, mine, BY)
    assert len(list(links(people))) == before
    assert [stands(people, s) for s in (mine, others)] == [False, True]


def test_a_session_is_found_by_its_refresh_token(people: Database) -> None:
    """For signing out, also with one that was used."""
    session = begin(people)
    refresh(people, b"r-alice", b"2")
    assert sessions.by_refresh(people, b"r-alice") == sessions.by_refresh(people, b"2") == (session, "alice")
    assert sessions.by_refresh(people, b"x") is None


def test_sessions_come_in_pages(people: Database) -> None:
    """Newest first, of one account or all, without those that ended."""
    ids = [sessions.begin(people, _new(name), refresh=None, refresh_until=T0, now=T0 + n * MINUTE) for n, name in NAMES]
    sessions.revoke(people, ids[1], BY)
    now = T0 + DAY
    first = sessions.page(people, now, limit=2)
    rest = sessions.page(people, now, before=first[-1].id)
    assert [s.id for s in (*first, *rest)] == [ids[3], ids[2], ids[0]]
    assert [s.account for s in sessions.page(people, now, account="bob")] == ["bob"]
    assert first[0].source == "192.0.2.7"
    assert sessions.page(people, T0 + 60 * DAY) == ()


NAMES = list(enumerate(("alice", "alice", "bob", "alice")))


def _new(name: str) -> NewSession:
    return NewSession(name, "cli", "password", None, "", "192.0.2.7", T0 + 30 * DAY)


def test_a_source_is_known_by_its_sessions(people: Database) -> None:
    """For 90 days, by network, to that account alone."""
    begin(people, source="2001:db8:0:7::1")
    assert sessions.known_source(people, "alice", "2001:db8:0:7::/64", T0 + DAY)
    assert not sessions.known_source(people, "alice", "2001:db8:0:8::/64", T0 + DAY)
    assert not sessions.known_source(people, "bob", "2001:db8:0:7::/64", T0 + DAY)
    assert not sessions.known_source(people, "alice", "2001:db8:0:7::/64", T0 + 91 * DAY)


def test_what_is_over_is_forgotten(people: Database) -> None:
    """Expired refresh tokens and nonces soon, sessions once their source is no longer asked for."""
    begin(people)
    sessions.use_once(people, "a", "n", T0 + MINUTE)
    assert sessions.prune(people, T0) == 0
    assert sessions.prune(people, T0 + DAY) == 1
    assert sessions.use_once(people, "a", "n", T0 + 2 * DAY)
    assert sessions.prune(people, T0 + 20 * DAY) == 2
    assert sessions.prune(people, T0 + 121 * DAY) == 1


# Browsers ------------------------------------------------------------------------------------------------------------

IDLE, TOTAL = timedelta(hours=12), 30 * DAY


def begin_browser(
    database: Database, secret: bytes, browser: bytes = b"b", at: datetime = T0, **changes: object
) -> str:
    """A browser's new session of alice's."""
    new = NewSession("alice", "browser", "password", None, "", "192.0.2.7", at + IDLE)._replace(**changes)  # pyright: ignore[reportArgumentType]
    return sessions.begin_browser(database, new, Cookie(secret, browser), at)


def of_cookie(database: Database, secret: bytes, at: datetime) -> Standing | None:
    """Whose session the cookie is of."""
    return sessions.of_cookie(database, secret, at, idle=IDLE, total=TOTAL)


def test_a_cookie_is_a_session(people: Database) -> None:
    """Found by it alone, ended as any other, also by its account's end; none has two."""
    session = begin_browser(people, b"s")
    found = of_cookie(people, b"s", T0)
    assert found is not None
    assert (found.id, found.contributor, found.role) == (session, "alice", "user")
    assert of_cookie(people, b"other", T0) is None
    assert not sessions.refresh(people, b"s", new=b"n", lifetime=DAY, now=T0)
    sessions.revoke(people, session, BY)
    assert of_cookie(people, b"s", T0) is None
    begin_browser(people, b"t")
    accounts.disable(people, "alice", BY)
    assert of_cookie(people, b"t", T0) is None


def test_use_moves_its_end_on_once_a_minute(people: Database) -> None:
    """By what idling allows, and never past the whole; within a minute nothing is written."""
    begin_browser(people, b"s")

    def row() -> tuple[datetime, datetime]:
        (record,) = sessions.page(people, T0, account="alice")
        return record.used, record.expires

    of_cookie(people, b"s", T0 + timedelta(seconds=59))
    assert row() == (T0, T0 + IDLE)
    of_cookie(people, b"s", T0 + MINUTE)
    assert row() == (T0 + MINUTE, T0 + MINUTE + IDLE)
    for halves in range(1, 121):
        of_cookie(people, b"s", T0 + halves * IDLE / 2 - MINUTE)
    assert row()[1] == T0 + TOTAL
    assert of_cookie(people, b"s", T0 + TOTAL) is None


def test_a_person_is_told_of_each_sign_in(people: Database) -> None:
    """Known by network or by browser for 90 days; a machine's are none of a person's."""
    key = SigningKey.generate()
    keys.register(people, contributor="alice", role="user", public_key=key.public.raw, keyid=key.public.keyid, now=T0)
    begin(people, keyid=key.public.keyid, source="198.51.100.1")
    begin_browser(people, b"1")
    begin_browser(people, b"2", b"c", source="2001:db8::1")
    begin_browser(people, b"3", b"d", source="2001:db8::ffff")
    begin_browser(people, b"4", b"b", source="203.0.113.1")
    begin_browser(people, b"5", b"e", source="198.51.100.1")
    begin_browser(people, b"6", b"b", at=T0 + 91 * DAY)
    told = [link.detail() for link in links(people) if link.kind == "session.begun"]
    assert [(t["first"], t["known"]) for t in told] == [
        (True, False),
        (False, False),
        (False, True),
        (False, True),
        (False, False),
        (True, False),
    ]
    assert sessions.known_browser(people, "alice", b"b", T0)
    assert not sessions.known_browser(people, "bob", b"b", T0)
    assert not sessions.known_browser(people, "alice", b"b", T0 + 182 * DAY)


def test_all_of_an_account_are_ended(people: Database) -> None:
    """But the one that is kept; and once, on record with how many."""
    one, two = begin(people), begin_browser(people, b"s")
    begin(people, "bob")
    assert sessions.account_of(people, two) == "alice"
    assert sessions.account_of(people, "unknown") == ""
    assert sessions.revoke_all(people, "alice", BY, keep=one) == 1
    assert of_cookie(people, b"s", T0) is None
    assert stands(people, one)
    assert sessions.revoke_all(people, "alice", BY, keep=one) == 0
    (told,) = [link.detail() for link in links(people) if link.subject == "signin:alice"]
    assert (told["ended"], told["by"]) == (1, "root")
