"""The first start: one link, good once, as long as nobody has a password."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from spectra.api import setup
from spectra.api.issuing import Issuer
from spectra.api.services import Services
from spectra.api.setup import SetupOver
from spectra.engines.postgres import PostgresServer
from spectra.errors import BadRequest
from spectra.model.people import SetupLink
from spectra.settings import AuthSettings, WebSettings
from spectra.store import accounts
from spectra.store.database import Database, migrate
from spectra.store.provenance import links
from tests.api.node import Node
from tests.api.people import PASSWORD, Clock
from tests.support.postgres import drop, in_database

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def empty(embedded: PostgresServer) -> Iterator[Database]:
    """A database of its own: in the node's, somebody has a password."""
    name = f"spectra_setup_{secrets.token_hex(6)}"
    with psycopg.connect(embedded.url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} ENCODING 'UTF8'").format(sql.Identifier(name)))
    with Database(in_database(embedded.url, name), pool_size=4) as database:
        migrate(database)
        yield database
    drop(embedded.url, name)


@pytest.fixture
def clock() -> Clock:
    """A clock that the test sets."""
    return Clock()


@pytest.fixture
def fresh(node: Node, empty: Database, tmp_path: Path, clock: Clock) -> Services:
    """A coordinator on a database where nobody has a password."""
    with empty.connection() as connection:
        connection.execute("UPDATE account SET password = ''")
    issuer = Issuer(empty, AuthSettings(password_memory_mib=19), tmp_path, clock=clock)
    return replace(node.services, database=empty, issuer=issuer, clock=clock)


def token(link: SetupLink) -> str:
    """The secret of a link."""
    return link.path.removeprefix("/setup?token=")


def name() -> str:
    """A name that nobody has."""
    return f"first-{secrets.token_hex(4)}"


def test_the_first_account(fresh: Services) -> None:
    """An admin's, on record; after that no link is made, and none holds."""
    assert setup.is_open(fresh)
    link, who = setup.new_link(fresh), name()
    assert setup.redeem(fresh, token(link), who, PASSWORD) == who
    assert accounts.get(fresh.database, who).role == "admin"
    assert not setup.is_open(fresh)
    with pytest.raises(SetupOver):
        setup.new_link(fresh)
    with pytest.raises(SetupOver):
        setup.redeem(fresh, token(link), name(), PASSWORD)
    (told,) = [found.detail() for found in links(fresh.database) if found.subject == f"account:{who}"]
    assert (told["role"], told["by"]) == ("admin", who)
    assert token(link) not in "".join(found.entry for found in links(fresh.database))


def test_only_the_newest_link_holds_and_for_a_day(fresh: Services, clock: Clock) -> None:
    """Whoever reads the one before in a scrollback is too late."""
    before = setup.new_link(fresh)
    link = setup.new_link(fresh)
    for wrong in (token(before), "", "x" * 43, token(link)[:-1]):
        with pytest.raises(SetupOver):
            setup.redeem(fresh, wrong, name(), PASSWORD)
    clock.now += timedelta(days=1)
    with pytest.raises(SetupOver):
        setup.redeem(fresh, token(link), name(), PASSWORD)


def test_a_bad_password_or_name_uses_nothing_up(fresh: Services) -> None:
    """One may try again."""
    link, taken = setup.new_link(fresh), name()
    accounts.create(fresh.database, taken, role="user", trust=1.0, password="", act=accounts.Act("root", fresh.clock()))
    with pytest.raises(BadRequest):
        setup.redeem(fresh, token(link), name(), "short")
    with pytest.raises(BadRequest) as caught:
        setup.redeem(fresh, token(link), taken, PASSWORD)
    assert caught.value.reason == "account_exists"
    assert setup.redeem(fresh, token(link), name(), PASSWORD)


def test_two_at_once_make_one_account(fresh: Services) -> None:
    """The link is good once, whoever of them comes first."""
    link = setup.new_link(fresh)

    def redeem(who: str) -> bool:
        try:
            return bool(setup.redeem(fresh, token(link), who, PASSWORD))
        except SetupOver:
            return False

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(redeem, [name() for _ in range(4)])) == [False, False, False, True]


def test_the_whole_link(fresh: Services) -> None:
    """Where browsers reach us, by a name: passkeys are bound to one, and an address is none."""
    link = SetupLink("/setup?token=t", fresh.clock())
    assert setup.url_of(link, "http://127.0.0.1:8765") == "http://localhost:8765/setup?token=t"
    assert setup.url_of(link, "http://10.0.0.5:8765") == "http://10.0.0.5:8765/setup?token=t"
    public = replace(fresh, web=WebSettings(origin="https://s.example.org"))
    made = setup.new_link(public)
    assert setup.url_of(made, "http://127.0.0.1:8765").startswith("https://s.example.org/setup?token=")
