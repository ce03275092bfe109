"""Contributors, keys and tokens: every change is on record, and none can be had twice."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from spectra.errors import BadRequest, NotFound
from spectra.model.envelope import sha256_hex
from spectra.model.records import KeyRecord
from spectra.store import audit, keys
from spectra.store.database import Database
from spectra.store.provenance import head, links
from tests.store.scribe import T0

pytestmark = pytest.mark.engine

DAY = timedelta(days=1)


def public(number: int) -> bytes:
    """32 bytes, as a public key has."""
    return bytes([number]) * 32


def keyid(number: int) -> str:
    """The id of such a key."""
    return sha256_hex(public(number))


def register(database: Database, number: int = 1, contributor: str = "alice", role: str = "contributor") -> KeyRecord:
    """Register a key."""
    return keys.register(
        database,
        contributor=contributor,
        role=role,
        public_key=public(number),
        keyid=keyid(number),
        now=T0,
        comment=f"key {number}",
    )


def on_record(database: Database) -> list[tuple[str, str]]:
    """Kind and subject of every entry."""
    return [(link.kind, link.subject) for link in links(database)]


def newest_details(database: Database) -> dict[str, dict[str, Any]]:
    """What the newest entry of each subject says."""
    return {link.subject: link.detail() for link in links(database)}


def assert_told(database: Database) -> None:
    """What the chain says of every key and token is what is stored."""
    stored = {subject: audit.plain(detail) for subject, detail in keys.details(database).items()}
    assert newest_details(database) == stored


def test_a_registered_key_is_found(database: Database) -> None:
    """By its id, as active, with everything that was said of it, and on record."""
    record = register(database)
    encoded = base64.b64encode(public(1)).decode()
    assert record == KeyRecord(keyid(1), "alice", "contributor", encoded, "active", T0, comment="key 1")
    assert keys.find(database, keyid(1)) == record
    assert keys.find(database, keyid(2)) is None
    assert on_record(database) == [("key.registered", keyid(1))]
    assert_told(database)


def test_all_keys_are_listed_oldest_first(database: Database) -> None:
    """A contributor may have several."""
    made = [register(database, n, "alice" if n < 3 else "bob") for n in (1, 2, 3)]
    assert keys.every(database) == tuple(sorted(made, key=lambda k: (k.created, k.keyid)))
    assert keys.strangers(database) == []


def test_a_role_is_not_changed_by_a_further_key(database: Database) -> None:
    """Whoever asks for another role is told the one there is, and nothing is registered."""
    register(database)
    with pytest.raises(BadRequest, match="registered with role contributor, not admin") as caught:
        register(database, 2, role="admin")
    assert (caught.value.reason, caught.value.field) == ("role_conflict", "role")
    assert keys.find(database, keyid(2)) is None
    assert head(database)[0] == 1


def test_a_key_is_registered_once(database: Database) -> None:
    """Not again, not by somebody else, and not under another id."""
    register(database)
    for contributor in ("alice", "bob"):
        with pytest.raises(BadRequest, match="registered already") as caught:
            register(database, contributor=contributor)
        assert caught.value.reason == "key_exists"
    assert keys.strangers(database) == []  # bob did not come in without a key
    assert head(database)[0] == 1


def test_of_two_registrations_at_once_one_wins(database: Database) -> None:
    """One is told of the other; the chain knows one."""

    def attempt(_: int) -> str:
        try:
            return register(database).status
        except BadRequest as error:
            return error.reason

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(attempt, range(2))) == ["active", "key_exists"]
    assert on_record(database) == [("key.registered", keyid(1))]


def rotate(database: Database, old: int, new: int, grace_s: int = 3600) -> tuple[KeyRecord, KeyRecord]:
    """Put key `new` in the place of `old`, a day later."""
    return keys.rotate(
        database, keyid=keyid(old), public_key=public(new), new_keyid=keyid(new), now=T0 + DAY, grace_s=grace_s
    )


def test_a_rotated_key_has_its_grace(database: Database) -> None:
    """The old one is retiring until then, the new one active, of the same contributor and role; both are on record."""
    register(database)
    old, new = rotate(database, 1, 2)
    assert (old.status, old.expires) == ("retiring", T0 + DAY + timedelta(hours=1))
    assert (new.status, new.expires, new.contributor, new.role) == ("active", None, "alice", "contributor")
    assert keys.find(database, keyid(1)) == old
    assert on_record(database)[1:] == [("key.retired", keyid(1)), ("key.registered", keyid(2))]
    assert_told(database)


def test_only_an_active_key_is_rotated(database: Database) -> None:
    """Not one that has a successor (whoever holds the old one could make keys forever), none that is revoked, none
    that is unknown; the chain does not grow.
    """
    register(database)
    rotate(database, 1, 2)
    keys.revoke(database, keyid(2), T0)
    length = head(database)[0]
    for number in (1, 2, 9):
        with pytest.raises(NotFound, match="no active key") as caught:
            rotate(database, number, 3)
        assert caught.value.reason == "unknown_key"
    assert keys.find(database, keyid(3)) is None
    assert head(database)[0] == length


def test_a_key_is_not_rotated_to_one_that_exists(database: Database) -> None:
    """And stays active itself."""
    register(database, 1)
    register(database, 2, "bob")
    with pytest.raises(BadRequest, match="registered already"):
        rotate(database, 1, 2)
    found = keys.find(database, keyid(1))
    assert found is not None
    assert found.status == "active"


def test_of_two_rotations_at_once_one_wins(database: Database) -> None:
    """A key has one successor."""
    register(database)

    def attempt(new: int) -> str:
        try:
            return rotate(database, 1, new)[1].status
        except NotFound as error:
            return error.reason

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(attempt, (2, 3))) == ["active", "unknown_key"]
    assert len(keys.every(database)) == 2


def test_a_revoked_key_is_revoked_at_once_and_for_good(database: Database) -> None:
    """Revoking it again neither changes the time nor puts anything on record; one nobody knows is not found."""
    register(database)
    first = keys.revoke(database, keyid(1), T0 + DAY)
    assert (first.status, first.revoked) == ("revoked", T0 + DAY)
    assert keys.revoke(database, keyid(1), T0 + 2 * DAY) == first == keys.find(database, keyid(1))
    assert on_record(database)[1:] == [("key.revoked", keyid(1))]
    assert_told(database)
    with pytest.raises(NotFound, match="no key") as caught:
        keys.revoke(database, keyid(9), T0)
    assert caught.value.reason == "unknown_key"


def test_a_retiring_key_may_be_revoked(database: Database) -> None:
    """Its grace ends there."""
    register(database)
    rotate(database, 1, 2)
    assert keys.revoke(database, keyid(1), T0).status == "revoked"
    assert_told(database)


def test_a_token_speaks_for_its_contributor(database: Database) -> None:
    """Known by its hash alone, put on record once, however often it is added."""
    register(database)
    digest = bytes(range(32))
    for _ in range(2):
        keys.add_credential(database, digest=digest, contributor="alice", now=T0)
    assert keys.account(database, digest, T0) == keys.Holder("alice", "contributor")
    assert keys.account(database, bytes(32), T0) is None
    assert on_record(database)[1:] == [("credential.added", digest.hex())]
    assert_told(database)


def test_all_tokens_of_a_contributor_are_revoked_at_once(database: Database) -> None:
    """And of nobody else, on record, once."""
    register(database)
    register(database, 2, "bob")
    for digest, who in ((b"a", "alice"), (b"b", "alice"), (b"c", "bob")):
        keys.add_credential(database, digest=digest, contributor=who, now=T0)
    assert [keys.revoke_credentials(database, "alice", T0 + DAY) for _ in range(2)] == [2, 0]
    assert [keys.account(database, digest, T0 + DAY) for digest in (b"a", b"b", b"c")] == [
        None,
        None,
        keys.Holder("bob", "contributor"),
    ]
    assert on_record(database)[5:] == [("credential.revoked", b"a".hex()), ("credential.revoked", b"b".hex())]
    assert_told(database)


def test_a_revocation_is_seen_by_who_holds_the_chain(database: Database) -> None:
    """From the moment it is on record."""
    register(database)
    with database.connection() as connection:
        assert not keys.is_revoked(connection, keyid(1))
        keys.revoke(database, keyid(1), T0)
        assert keys.is_revoked(connection, keyid(1))


@pytest.mark.parametrize("column", ["expires", "revoked"])
def test_a_token_that_is_over_speaks_for_nobody(database: Database, column: str) -> None:
    """Expired at the very moment, or revoked."""
    register(database)
    keys.add_credential(database, digest=b"d", contributor="alice", now=T0)
    with database.connection() as connection:
        connection.execute(f"UPDATE credential SET {column} = %s".encode(), [T0])
    assert keys.account(database, b"d", T0) is None


def test_a_token_needs_a_contributor(database: Database) -> None:
    """One for nobody is a defect of the caller, and nothing goes on record."""
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        keys.add_credential(database, digest=b"d", contributor="nobody", now=T0)
    assert head(database)[0] == 0


def test_a_statement_is_good_once(database: Database) -> None:
    """Its nonce is used up with the change it asked for, in one transaction: neither without the other."""
    keys.register(
        database, contributor="alice", role="user", public_key=b"1" * 32, keyid=keyid(1), now=T0, nonce="n" * 16
    )
    with database.connection() as connection:
        assert not keys.claim(connection, f"statement:{keyid(1)}", "n" * 16, T0 + DAY)
    for _ in range(2):
        with pytest.raises(BadRequest) as caught:
            keys.rotate(
                database, keyid=keyid(1), public_key=b"2" * 32, new_keyid=keyid(2), now=T0, grace_s=9, nonce="n" * 16
            )
        assert caught.value.reason == "nonce_replayed"
    assert [k.status for k in keys.every(database)] == ["active"]
    keys.rotate(database, keyid=keyid(1), public_key=b"2" * 32, new_keyid=keyid(2), now=T0, grace_s=9, nonce="m" * 16)
    assert [k.status for k in keys.every(database)] == ["retiring", "active"]
