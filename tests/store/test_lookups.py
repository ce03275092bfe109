"""How keys are looked up, and that nobody waits long for a regular expression."""

from __future__ import annotations

import pytest

from spectra.errors import BadRequest
from spectra.store import lookups
from spectra.store.conditions import NOTHING, Condition, Filter
from spectra.store.database import Database, one
from spectra.store.lookups import HOST, SERVICE, Question, answered, either, expected, hurried, spelled
from tests.store.scribe import T0, Scribe, host, seen

NGINX = Condition("(t.product = %s)", ("nginx",))
NONE = Condition("(t.product = %s)", ("nobody's",))


@pytest.fixture
def town(write: Scribe) -> None:
    """Four hosts: two of one system, and one with a web server."""
    write(
        [
            host("10.0.0.1", T0, seen(80, "http", "nginx"), os="Linux 5"),
            host("10.0.0.2", T0, seen(22, "ssh", "OpenSSH"), os="Linux 5"),
            host("10.0.0.3", T0, seen(22, "ssh", "OpenSSH"), os="Windows"),
            host("10.0.0.4", T0, seen(22)),
        ]
    )


def addresses(database: Database, found: Filter) -> list[str]:
    """The hosts whose endpoints satisfy the filter."""
    held = lookups.all_of(found.conditions)
    statement = f"SELECT host(e.ip) FROM endpoint e WHERE {held.sql} ORDER BY 1"
    with database.connection() as connection:
        return [row[0] for row in connection.execute(statement.encode(), held.params)]


@pytest.mark.usefixtures("town")
@pytest.mark.parametrize("costly", [False, True])
@pytest.mark.parametrize("few", [1000, 0])
def test_a_question_and_its_opposite(
    database: Database, monkeypatch: pytest.MonkeyPatch, few: int, costly: bool
) -> None:
    """Few keys or many, quick or costly: what has it, and what lacks it, unknown ones included."""
    monkeypatch.setattr(lookups, "FEW", few)
    monkeypatch.setattr(lookups, "MANY", few)
    asked = NGINX._replace(costly=costly)
    with database.connection() as connection:
        having = answered(connection, Question(SERVICE, asked), [])
        lacking = answered(connection, Question(SERVICE, asked, lacking=True), [])
    assert addresses(database, having) == ["10.0.0.1"]
    assert addresses(database, lacking) == ["10.0.0.2", "10.0.0.3", "10.0.0.4"]


@pytest.mark.usefixtures("town")
def test_what_is_dear_to_ask_is_listed_where_others_are_not(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to more keys."""
    monkeypatch.setattr(lookups, "FEW", 0)
    with database.connection() as connection:
        asked = answered(connection, Question(SERVICE, NGINX), [])
        listed = answered(connection, Question(SERVICE, NGINX, listed=True), [])
    assert addresses(database, asked) == addresses(database, listed) == ["10.0.0.1"]
    assert ["EXISTS" in f.conditions[0].sql for f in (asked, listed)] == [True, False]


@pytest.mark.usefixtures("town")
def test_nothing_found_needs_no_search(database: Database) -> None:
    """Where no row holds, nothing can match, or everything does."""
    with database.connection() as connection:
        assert answered(connection, Question(SERVICE, NONE), []) == NOTHING
        assert answered(connection, Question(SERVICE, NONE, lacking=True), []) == Filter()
        assert either(connection, [Question(SERVICE, NONE)], []) == NOTHING


@pytest.mark.usefixtures("town")
def test_either_of_two_questions(database: Database) -> None:
    """A host by its system, or an endpoint by its service."""
    windows = Condition("(t.os = %s)", ("Windows",))
    with database.connection() as connection:
        found = either(connection, [Question(SERVICE, NGINX), Question(HOST, windows), Question(SERVICE, NONE)], [])
    assert addresses(database, found) == ["10.0.0.1", "10.0.0.3"]


@pytest.mark.usefixtures("town")
def test_distinct_values_are_stepped_through(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A condition on a host's column becomes the list of the values it holds of, unless they are too many."""
    linux = Condition("(t.os ~* %s)", ("linux|windows",), costly=True)
    with database.connection() as connection:
        assert spelled(connection, "os", linux).params == (["Linux 5", "Windows"],)
        assert spelled(connection, "os", Condition("(t.os = 'BeOS')")).params == ([],)
        monkeypatch.setattr(lookups, "MANY", 1)
        assert spelled(connection, "os", linux) == linux


def test_a_costly_statement_is_cut_off(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The asker is told what to do, the connection goes on, and its own limit is back; inside a transaction too."""
    monkeypatch.setattr(lookups, "PATIENCE_S", 0.05)
    with database.connection() as connection:
        before = one(connection.execute("SHOW statement_timeout"))
        with pytest.raises(BadRequest, match="Add a term") as caught, hurried(connection):
            connection.execute("SELECT pg_sleep(60)")
        assert (caught.value.reason, caught.value.field) == ("slow_regex", "q")
        assert one(connection.execute("SHOW statement_timeout")) == before
        with connection.transaction():
            with hurried(connection):
                assert one(connection.execute("SHOW statement_timeout")) == ("50ms",)
            assert one(connection.execute("SHOW statement_timeout")) == before
            with pytest.raises(BadRequest), hurried(connection):
                connection.execute("SELECT pg_sleep(60)")
            assert one(connection.execute("SHOW statement_timeout")) == before


@pytest.mark.usefixtures("town")
def test_a_regex_is_tried_on_what_is_left(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that the other terms leave out are not looked at: one of them would divide by zero."""
    trap = Condition("(1 / (length(t.product) - 5) = 0 AND t.product ~* %s)", ("n",), costly=True)
    ssh = Condition("e.ip = '10.0.0.2'")
    with database.connection() as connection:
        connection.execute("ANALYZE endpoint")
        assert expected(connection, ssh) <= 1
        found = answered(connection, Question(SERVICE, trap), [ssh])
    assert addresses(database, found) == ["10.0.0.2", "10.0.0.3"]
    monkeypatch.setattr(lookups, "NARROW", -1)
    with database.connection() as connection, pytest.raises(Exception, match="division by zero"):
        answered(connection, Question(SERVICE, trap), [ssh])
