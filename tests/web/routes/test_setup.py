"""The first start by its page: the link makes the first account and signs it in, once."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from spectra.api import browser, setup
from spectra.api.issuing import Issuer
from spectra.api.services import Services
from spectra.engines.postgres import PostgresServer
from spectra.settings import AuthSettings
from spectra.store.database import Database, migrate
from spectra.web import install
from tests.api.node import Node, serving
from tests.api.people import PASSWORD
from tests.support.postgres import drop, in_database
from tests.web.site import Site
from tests.web.surfing import Surfer, surfing

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def fresh(node: Node, embedded: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """A coordinator on a database where nobody has a password."""
    name, folder = f"spectra_first_{secrets.token_hex(6)}", Path(tmp_path_factory.mktemp("first"))
    with psycopg.connect(embedded.url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} ENCODING 'UTF8'").format(sql.Identifier(name)))
    with Database(in_database(embedded.url, name), pool_size=4) as database:
        migrate(database)
        issuer = Issuer(database, AuthSettings(password_memory_mib=19), folder, clock=node.services.clock)
        yield replace(node.services, database=database, issuer=issuer)
    drop(embedded.url, name)


@pytest.fixture
def surfer(fresh: Services) -> Iterator[Surfer]:
    """A browser, and a dashboard that nobody has set up."""
    with serving(fresh, extend=install.install) as url, surfing(url) as found:
        yield found


def test_the_link_makes_the_first_account(fresh: Services, surfer: Surfer) -> None:
    """Without it there is no form; what is wrong is said, what was typed is kept; after it the link is used up."""
    surfer.go("/setup")
    assert "spectra auth setup-link" in surfer.page.words()
    assert not surfer.page.root.forms
    link = setup.new_link(fresh).path
    surfer.go(link)
    for again, password, status in (("x", PASSWORD, 400), ("short", "short", 400)):
        page = surfer.send("/setup", name="chief", password=password, again=again)
        assert page.status == status
        assert page.form("/setup")["name"] == "chief"
    surfer.send("/setup", name="chief", password=PASSWORD, again=PASSWORD)
    assert browser.NAME in surfer.client.cookies
    assert "chief" in surfer.go("/me").words()
    assert "Roleadmin" in surfer.page.words("//dl")
    surfer.client.cookies.clear()
    surfer.go(link)
    assert "set up already" in surfer.page.words()
    token = link.partition("=")[2]
    late = {"token": token, "name": "other", "password": PASSWORD, "again": PASSWORD}
    assert surfer.client.post("/setup", data=late).status_code in (400, 409)


def test_a_guessed_link_makes_nothing(site: Site) -> None:
    """On a node that is set up, or with a token that was never given."""
    person = {"name": f"person-{secrets.token_hex(4)}", "role": "user", "password": PASSWORD}
    assert site.node.ask("POST", "/v0/accounts", json=person).status_code == 201
    with surfing(site.node.url) as surfer:
        assert "set up already" in surfer.go("/setup", token="A" * 43).words()
        fields = {"token": "A" * 43, "name": "x", "password": PASSWORD, "again": PASSWORD}
        assert surfer.client.post("/setup", data=fields).status_code in (400, 409)
        assert browser.NAME not in surfer.client.cookies
