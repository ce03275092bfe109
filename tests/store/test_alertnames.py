"""What alerts name: as much as there is room for, the newest first, however it comes to be known."""

from __future__ import annotations

from datetime import timedelta

import pytest

from spectra.model.alerts import MAX_LINES, MAX_SUBJECTS, Occurrence
from spectra.store import alertnames
from spectra.store.alertnames import Choice, Standing
from spectra.store.database import Connection, Database, one
from tests.store.scribe import T0

pytestmark = pytest.mark.engine


def opened(port: int, after_s: int = 0) -> Occurrence:
    """A port, by an odd name."""
    at = T0 + timedelta(seconds=after_s)
    title = f'port {port} "\\{{x}}, é\u2028'
    return Occurrence(kind="port.opened", at=at, title=title, ip="192.0.2.1", port=port, protocol="tcp", times=2)


def weakness(cve: str) -> Occurrence:
    """Something that lasts, at no host."""
    return Occurrence(kind="finding.new", at=T0, title=cve, cve=cve, name="a name")


def alert(connection: Connection, key: str) -> int:
    """An alert that names nothing yet."""
    return one(
        connection.execute(
            "INSERT INTO alert (id, rule, key, kind, severity, title, state, first, last, changed, count)"
            " VALUES (%s, 'r', %s, 'port.opened', 0, '', 'pending', %s, %s, %s, 0) RETURNING num",
            [key, key, T0, T0, T0],
        )
    )[0]


def test_what_is_written_is_what_was_found(database: Database) -> None:
    """Of several alerts at once, with odd letters; what is known and lasts is not written again."""
    with database.transaction() as connection:
        first, second = alert(connection, "a"), alert(connection, "b")
        choices = [Choice(first, [opened(2), opened(1)]), Choice(second, [weakness("CVE-1"), opened(1)])]
        assert alertnames.write(connection, choices[:1], {}) == {first: {opened(1).key: False, opened(2).key: False}}
        assert alertnames.write(connection, choices[1:], {second: True}) == {}
        again = alertnames.write(connection, choices[1:], {})
        assert again == {second: {opened(1).key: True}}
        rows = connection.execute(
            f"SELECT {alertnames.SUBJECT} FROM alert_subject s ORDER BY s.alert, s.key"
        ).fetchall()
    subjects = [alertnames.as_subject(row) for row in rows]
    assert [(s.key, s.title, s.at, s.times) for s in subjects] == [
        (its.key, its.title, its.at, times)
        for its, times in ((opened(1), 2), (opened(2), 2), (weakness("CVE-1"), 1), (opened(1), 4))
    ]


def test_there_is_room_for_so_many(database: Database) -> None:
    """What is named already is named again, whatever comes besides."""
    ports = [opened(port) for port in range(MAX_SUBJECTS + 3)]
    with database.transaction() as connection:
        num = alert(connection, "a")
        (choice,) = alertnames.choose(connection, [(num, 0, ports)])
        assert (len(choice.fits), choice.beyond) == (MAX_SUBJECTS, ports[MAX_SUBJECTS:])
        alertnames.write(connection, [Choice(num, ports[1:2])], {})
        assert alertnames.choose(connection, [(num, 1, ports[:5])]) == [Choice(num, ports[:5], [])]
        (choice,) = alertnames.choose(connection, [(num, MAX_SUBJECTS - 1, ports)])
        assert (choice.fits, len(choice.beyond)) == ([ports[1], ports[0]], MAX_SUBJECTS + 1)


def test_what_stands_is_the_same_by_what_is_written(database: Database) -> None:
    """How many, of which kinds, and which is the newest; so is what there is to tell, once."""
    some = [*(opened(port, after_s=port % 3) for port in range(MAX_LINES + 5)), weakness("CVE-1")]
    with database.transaction() as connection:
        num, empty = alert(connection, "a"), alert(connection, "b")
        alertnames.write(connection, [Choice(num, some)], {})
        news = alertnames.news_of(some)
        stands = alertnames.standing_of(some, news)
        assert stands == Standing(len(some), 1, ["finding.new", "port.opened"], opened(11).title)
        assert alertnames.standing(connection, [num, empty]) == {num: stands}
        told = alertnames.tell(connection, [num, empty])
        assert {n: (news.many, [s.key for s in news.newest]) for n, news in told.items()} == {
            num: (len(some), [s.key for s in news.newest])
        }
        assert alertnames.tell(connection, [num]) == {}
