"""Accounts and roles: what changes, when it holds, and what the chain says of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from spectra.errors import BadRequest, NotFound
from spectra.identity.keys import SigningKey
from spectra.store import accounts, audit, keys, sessions, token_keys
from spectra.store.accounts import Act
from spectra.store.database import Database
from spectra.store.provenance import links
from spectra.store.sessions import NewSession

pytestmark = pytest.mark.engine

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BY = Act("root", T0)
HASH = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2g"


def make(database: Database, name: str, role: str = "user", password: str = HASH) -> None:
    """An account."""
    accounts.create(database, name, role=role, trust=1.0, password=password, act=BY)


def key_of(database: Database, name: str, role: str) -> str:
    """The id of a new key of `name`."""
    public = SigningKey.generate().public
    keys.register(database, contributor=name, role=role, public_key=public.raw, keyid=public.keyid, now=T0)
    return public.keyid


def told(database: Database) -> dict[str, dict[str, Any]]:
    """What the newest entry of each subject says."""
    return {link.subject: link.detail() for link in links(database)}


def on_record(database: Database) -> bool:
    """Whether the rows are what the chain says, as the audit compares them."""
    rows = accounts.details(database) | keys.details(database)
    newest = told(database)
    return all(newest.get(subject) == audit.plain(detail) for subject, detail in rows.items())


def test_an_account_is_made_once(database: Database) -> None:
    """With its role, trust and whether it has a password; a second one of the name is refused."""
    record = accounts.create(database, "alice", role="user", trust=0.3, password=HASH, act=BY)
    assert (record.name, record.role, record.trust, record.status) == ("alice", "user", 0.3, "active")
    assert (record.password, record.keys, record.created) == (True, 0, T0)
    assert accounts.find(database, "alice") == accounts.get(database, "alice") == record
    with pytest.raises(BadRequest) as caught:
        make(database, "alice")
    assert caught.value.reason == "account_exists"
    assert accounts.find(database, "bob") is None
    with pytest.raises(NotFound):
        accounts.get(database, "bob")
    assert keys.strangers(database) == []


def test_no_secret_is_on_record(database: Database) -> None:
    """The chain tells that a password was set and changed, by a digest of its salted hash; never the hash."""
    make(database, "alice")
    accounts.set_password(database, "alice", HASH + "x", BY)
    kinds = [link.kind for link in links(database)]
    assert kinds == ["account.created", "account.password"]
    text = "".join(link.entry for link in links(database))
    assert "argon2" not in text
    assert HASH.rpartition("$")[2] not in text
    assert on_record(database)


def test_accounts_come_in_pages(database: Database) -> None:
    """By name, including who only ever signed."""
    for name in ("carol", "alice", "Bob"):
        make(database, name)
    key_of(database, "dave", "contributor")
    first = accounts.page(database, limit=2)
    rest = accounts.page(database, after=first[-1].name, limit=5)
    assert [a.name for a in (*first, *rest)] == ["Bob", "alice", "carol", "dave"]
    assert [a.keys for a in rest] == [0, 1]


def test_role_and_trust_change_at_once_and_for_the_keys_too(database: Database) -> None:
    """Keys repeat role and trust in their entries, so each is put on record again."""
    make(database, "alice", "user")
    keyid = key_of(database, "alice", "user")
    record = accounts.change(database, "alice", role="contributor", trust=0.25, act=Act("root", T0))
    assert (record.role, record.trust) == ("contributor", 0.25)
    assert told(database)[keyid]["role"] == "contributor"
    found = keys.find(database, keyid)
    assert found
    assert found.role == "contributor"
    assert on_record(database)
    before = len(list(links(database)))
    accounts.change(database, "alice", role="contributor", trust=0.25, act=BY)  # as it is already
    assert len(list(links(database))) == before
    with pytest.raises(NotFound):
        accounts.change(database, "nobody", role="user", act=BY)


def test_who_only_signed_becomes_an_account(database: Database) -> None:
    """A contributor without a row of its own gets one with the first change."""
    keyid = key_of(database, "probe", "contributor")
    assert "account:probe" not in accounts.details(database)
    accounts.change(database, "probe", trust=0.5, act=BY)
    assert told(database)["account:probe"]["trust"] == "0.5"
    assert told(database)[keyid]["trust"] == "0.5"
    assert on_record(database)


def test_a_disabled_account_is_out_by_every_way(database: Database) -> None:
    """Its key, its token, its session; enabled again, the session stays ended."""
    make(database, "alice", "contributor")
    keyid = key_of(database, "alice", "contributor")
    keys.add_credential(database, digest=b"d", contributor="alice", now=T0)
    token_keys.add(database, "k", bytes(32), expires=T0 + timedelta(days=1), now=T0)
    new = NewSession("alice", "c", "password", None, "", "", T0 + timedelta(days=1))
    session = sessions.begin(database, new, refresh=b"r", refresh_until=T0 + timedelta(days=1), now=T0)

    def ways() -> list[bool]:
        found = keys.find(database, keyid)
        with database.connection() as connection:
            signs = not keys.is_revoked(connection, keyid)
        return [
            found is not None and found.status == "active",
            signs,
            keys.account(database, b"d", T0) is not None,
            sessions.standing(database, session, "k", T0) is not None,
        ]

    assert ways() == [True] * 4
    record = accounts.disable(database, "alice", BY)
    assert (record.status, record.disabled) == ("disabled", T0)
    assert ways() == [False] * 4
    signing_in = accounts.sign_in(database, "alice")
    assert signing_in
    assert signing_in.disabled
    assert accounts.disable(database, "alice", BY) == record
    assert accounts.enable(database, "alice", BY).status == "active"
    assert ways() == [True, True, True, False]
    assert on_record(database)


def test_a_new_password_ends_the_other_sessions(database: Database) -> None:
    """Whoever stole one is out; the session that changed it goes on."""
    make(database, "alice")
    new = NewSession("alice", "c", "password", None, "", "", T0 + timedelta(days=1))
    ids = [sessions.begin(database, new, refresh=None, refresh_until=T0, now=T0) for _ in range(3)]
    accounts.set_password(database, "alice", HASH + "2", BY, keep=ids[1])
    assert [s.id for s in sessions.page(database, T0, account="alice")] == [ids[1]]
    assert not accounts.set_password(database, "alice", "", BY).password
    assert sessions.page(database, T0) == ()


def test_a_hash_is_renewed_unless_it_was_changed_meanwhile(database: Database) -> None:
    """A password that was changed in between is not put back."""
    make(database, "alice")
    accounts.rehash(database, "alice", old=HASH, new="newer", now=T0)
    accounts.rehash(database, "alice", old=HASH, new="lost", now=T0)
    found = accounts.sign_in(database, "alice")
    assert found
    assert found.password == "newer"
    assert [link.kind for link in links(database)] == ["account.created", "account.rehashed"]
    assert on_record(database)


def test_signing_in_as_nobody(database: Database) -> None:
    """Whatever name is asked for."""
    for name in ("nobody", "", "' OR true --", "x" * 10_000):
        assert accounts.sign_in(database, name) is None


def test_roles_of_ones_own(database: Database) -> None:
    """Defined, given, changed for all who have it, and removed once nobody does."""
    accounts.put_role(database, "looker", ["search:read", "hosts:read", "search:read"], BY)
    assert accounts.roles(database) == {"looker": ("hosts:read", "search:read")}
    make(database, "alice", "looker")
    found = accounts.sign_in(database, "alice")
    assert found
    assert (found.role, found.scopes) == ("looker", ("hosts:read", "search:read"))
    accounts.put_role(database, "looker", ["status:read"], BY)
    keys.add_credential(database, digest=b"d", contributor="alice", now=T0)
    assert keys.account(database, b"d", T0) == ("alice", "looker", ("status:read",))
    assert on_record(database)
    with pytest.raises(BadRequest) as caught:
        accounts.remove_role(database, "looker", BY)
    assert caught.value.reason == "role_in_use"
    accounts.change(database, "alice", role="user", act=BY)
    accounts.remove_role(database, "looker", BY)
    assert accounts.roles(database) == {}
    with pytest.raises(NotFound):
        accounts.remove_role(database, "looker", BY)
    assert [link.kind for link in links(database)][-1] == "role.removed"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE account SET password = 'mine'",
        "UPDATE account SET disabled = now()",
        "UPDATE contributor SET role = 'admin'",
        "INSERT INTO account (name, password, changed, by) VALUES ('probe', 'mine', now(), 'x')",
        "UPDATE role SET scopes = '{admin:all}'",
    ],
)
def test_what_was_changed_past_the_api_shows(database: Database, change: str) -> None:
    """The audit compares rows with the chain: a password slipped in, a role raised."""
    make(database, "alice")
    key_of(database, "probe", "contributor")
    accounts.put_role(database, "looker", ["search:read"], BY)
    assert on_record(database)
    with database.connection() as connection:
        connection.execute(change.encode())
    assert not on_record(database)
