"""The database fixtures themselves."""

from __future__ import annotations

import psycopg
import pytest

from spectra.engines.postgres import PostgresServer
from tests.support.postgres import SERVER_URL, in_database

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("_again", [1, 2])
def test_each_test_has_an_empty_database(database_url: str, _again: int) -> None:
    """A table made by one test is not there in the next, and vectors are."""
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        connection.execute("CREATE TABLE t (v vector(2))")


@pytest.fixture
def server_elsewhere(embedded: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """Names the embedded server as if it were one of the machine's."""
    monkeypatch.setenv(SERVER_URL, embedded.url)
    return embedded.url


@pytest.mark.usefixtures("server_elsewhere")
def test_the_servers_url_is_used(request: pytest.FixtureRequest) -> None:
    """With the variable set, the second variant runs too."""
    url = request.getfixturevalue("server_elsewhere")
    assert in_database(url, "other").startswith("postgresql://spectra@/other?host=")
