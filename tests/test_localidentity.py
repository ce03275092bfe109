"""The identity of a coordinator's own machine: kept, learnt anew, and one for each data folder."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from spectra.errors import SetupError
from spectra.identity import tokens
from spectra.identity.keys import SigningKey
from spectra.identity.tokens import LocalCredential
from spectra.localidentity import LOCAL_CONTRIBUTOR, ensure_local_identity
from spectra.store import keys
from spectra.store.database import Database, migrate
from tests.support.postgres import database_url, embedded

__all__ = ["database_url", "embedded"]

pytestmark = pytest.mark.engine

NOW = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A migrated database."""
    with Database(database_url, pool_size=2) as opened:
        migrate(opened)
        yield opened


def let_in(database: Database, credential: LocalCredential) -> tuple[str, str] | None:
    """Whom the token of `credential` speaks for."""
    found = keys.account(database, tokens.digest(credential.token), NOW)
    return (found.contributor, found.role) if found else None


def test_a_new_database_learns_the_old_identity(database: Database, tmp_path: Path) -> None:
    """The folder was kept and the database was not: same key, same token, both known again."""
    first = ensure_local_identity(database, tmp_path, "http://a:1", NOW)
    with database.connection() as connection:
        connection.execute("TRUNCATE credential, key, contributor CASCADE")
    assert let_in(database, first) is None
    second = ensure_local_identity(database, tmp_path, "http://a:2", NOW)
    assert (second.token, second.url) == (first.token, "http://a:2")
    assert let_in(database, second) == (LOCAL_CONTRIBUTOR, "admin")
    assert keys.find(database, SigningKey.load(tmp_path / second.key_file).public.keyid)


def test_a_lost_credential_is_made_anew(database: Database, tmp_path: Path) -> None:
    """For the same key, and the token before it is revoked; a lost key is replaced for the same token."""
    first = ensure_local_identity(database, tmp_path, "http://a:1", NOW)
    (tmp_path / "credential.json").unlink()
    second = ensure_local_identity(database, tmp_path, "http://a:1", NOW)
    assert second.token != first.token
    assert let_in(database, first) is None
    assert let_in(database, second)
    assert len(keys.every(database)) == 1
    (tmp_path / "keys" / "local.pem").unlink()
    third = ensure_local_identity(database, tmp_path, "http://a:1", NOW)
    assert third.token == second.token
    assert len(keys.every(database)) == 2


def test_another_coordinator_on_the_same_database_takes_nothing_from_the_first(
    database: Database, tmp_path: Path
) -> None:
    """It has a data folder of its own, with a key and a token of its own, and both are let in."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = ensure_local_identity(database, tmp_path / "a", "http://a:1", NOW)
    second = ensure_local_identity(database, tmp_path / "b", "http://b:1", NOW)
    assert second.token != first.token
    assert let_in(database, first) == let_in(database, second) == (LOCAL_CONTRIBUTOR, "admin")


def test_a_credential_that_others_could_read_is_refused(database: Database, tmp_path: Path) -> None:
    """The start says so instead of going on with it."""
    ensure_local_identity(database, tmp_path, "http://a:1", NOW)
    (tmp_path / "credential.json").chmod(0o644)
    with pytest.raises(SetupError, match=r"credential\.json"):
        ensure_local_identity(database, tmp_path, "http://a:1", NOW)
