"""Second factors: what is kept, that a code or answer counts once, and that every change is on record."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from spectra.errors import BadRequest, NotFound
from spectra.store import accounts, audit, factors
from spectra.store.accounts import Act
from spectra.store.database import Database
from spectra.store.factors import Factor, NewPasskey
from spectra.store.provenance import commit, links

pytestmark = pytest.mark.engine

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ALICE = Act("alice", T0)


@pytest.fixture
def people(database: Database) -> Database:
    """A database with two accounts."""
    for name in ("alice", "bob"):
        accounts.create(database, name, role="user", trust=1.0, password="", act=Act("root", T0))
    return database


def app(database: Database, account: str = "alice", step: int = 7) -> Factor:
    """A new authenticator app."""
    ident = str(uuid.uuid4())
    sealed = (ident, b"sealed", "key-1")
    return commit(
        database, lambda c: factors.add_totp(c, account, "phone", sealed=sealed, step=step, act=Act(account, T0))
    )


def passkey(database: Database, credential: bytes, account: str = "alice", counter: int = 0) -> Factor:
    """A new passkey."""
    new = NewPasskey(credential, b"public", counter, ("usb",))
    return commit(database, lambda c: factors.add_passkey(c, account, "stick", new, Act(account, T0)))


def give_codes(database: Database, *digests: bytes, account: str = "alice") -> None:
    """Recovery codes by their digests."""
    commit(database, lambda c: (None, factors.put_codes(c, account, digests, Act(account, T0))))


def on_record(database: Database) -> bool:
    """Whether the rows are what the newest entries say, as `flow/audit.py` compares them."""
    told = {link.subject: link for link in links(database) if link.kind.startswith(("factor.", "recovery."))}
    standing = {s: link.detail() for s, link in told.items() if not link.kind.endswith(".removed")}
    return standing == {s: audit.plain(d) for s, d in factors.details(database).items()}


def test_what_is_kept(people: Database) -> None:
    """The oldest first, each account's own; found by credential; on record without the secret."""
    one, two = app(people), passkey(people, b"c-1")
    held, left = factors.of(people, "alice")
    assert ({f.id for f in held}, left) == ({one.id, two.id}, 0)
    assert factors.of(people, "bob") == ([], 0)
    assert factors.by_credential(people, b"c-1") == two
    assert factors.by_credential(people, b"c-2") is None
    assert (one.sealed, one.sealed_by, two.public_key, two.transports) == (b"sealed", "key-1", b"public", ["usb"])
    assert on_record(people)
    assert "sealed" not in "".join(link.entry for link in links(people))


def test_a_credential_belongs_to_one(people: Database) -> None:
    """The same passkey twice is refused, whosever it is."""
    passkey(people, b"c-1")
    with pytest.raises(BadRequest) as caught:
        passkey(people, b"c-1", "bob")
    assert caught.value.reason == "factor_exists"
    assert on_record(people)


def test_a_code_counts_once(people: Database) -> None:
    """A time step that was taken, or one before it, is not taken again, whichever coordinator asks."""
    one = app(people, step=7)
    assert not factors.used(people, one, 7, T0)
    assert factors.used(people, one, 9, T0)
    assert not factors.used(people, one, 8, T0)
    assert factors.of(people, "alice")[0][0].used == T0


def test_a_passkey_may_count_or_not(people: Database) -> None:
    """One that counts has to go on counting; one that does not stays at 0 and is taken each time."""
    still, counting = passkey(people, b"still"), passkey(people, b"counting", counter=5)
    assert factors.used(people, still, 0, T0)
    assert factors.used(people, still, 0, T0)
    assert not factors.used(people, counting, 5, T0)
    assert not factors.used(people, counting, 0, T0)
    assert factors.used(people, counting, 6, T0)
    assert on_record(people)  # its use changes nothing that is on record


def test_only_so_many(people: Database) -> None:
    """An account's factors are bounded."""
    for i in range(factors.MOST):
        passkey(people, f"c-{i}".encode())
    with pytest.raises(BadRequest) as caught:
        app(people)
    assert caught.value.reason == "too_many_factors"


def test_recovery_codes_count_once(people: Database) -> None:
    """By their own account; new ones replace the old; the last one used leaves nothing that is not on record."""
    app(people)
    give_codes(people, b"old")
    give_codes(people, b"a", b"b")
    assert factors.of(people, "alice")[1] == 2
    assert not factors.use_code(people, "alice", b"old", ALICE)
    assert not factors.use_code(people, "bob", b"a", Act("bob", T0))
    assert factors.use_code(people, "alice", b"a", ALICE)
    assert not factors.use_code(people, "alice", b"a", ALICE)
    assert on_record(people)
    assert factors.use_code(people, "alice", b"b", ALICE)
    assert on_record(people)
    kinds = [link.kind for link in links(people) if link.subject == "recovery:alice"]
    assert kinds == ["recovery.made", "recovery.made", "recovery.used", "recovery.used", "recovery.removed"]


def test_removing(people: Database) -> None:
    """One's own alone; with the last one the recovery codes go."""
    one, two = app(people), passkey(people, b"c-1")
    give_codes(people, b"a")
    with pytest.raises(NotFound):
        factors.remove(people, "bob", one.id, Act("bob", T0))
    factors.remove(people, "alice", one.id, ALICE)
    assert ([f.id for f in factors.of(people, "alice")[0]], factors.of(people, "alice")[1]) == ([two.id], 1)
    factors.remove(people, "alice", two.id, ALICE)
    assert factors.of(people, "alice") == ([], 0)
    assert on_record(people)


def test_removing_all_of_somebody(people: Database) -> None:
    """By an admin, who is named on record; of nobody else's."""
    for account in ("alice", "bob"):
        app(people, account)
    passkey(people, b"c-1")
    give_codes(people, b"a")
    assert factors.remove_all(people, "alice", Act("root", T0 + timedelta(hours=1))) == 2
    assert factors.of(people, "alice") == ([], 0)
    assert len(factors.of(people, "bob")[0]) == 1
    gone = [link.detail() for link in links(people) if link.kind == "factor.removed"]
    assert {detail["by"] for detail in gone} == {"root"}
    assert on_record(people)
    assert factors.remove_all(people, "alice", Act("root", T0)) == 0


def test_the_audit_sees_an_exchanged_key(people: Database) -> None:
    """Whoever puts their own passkey in a row is found out."""
    passkey(people, b"c-1")
    with people.connection() as connection:
        connection.execute("UPDATE factor SET public_key = 'mine'")
    assert not on_record(people)
