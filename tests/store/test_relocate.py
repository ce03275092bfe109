"""Bringing hosts and services up to date, batch by batch, beside an ingest."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from spectra.store import relocate
from spectra.store.database import Database
from tests.store.scribe import T0, Scribe, host, seen
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine

HERE, THERE = UUID(int=1), UUID(int=2)
IPS = ["9.0.0.9", "10.0.0.1", "10.0.0.2", "2001:db8::1"]


@pytest.fixture
def town(database: Database, write: Scribe) -> Database:
    """Four hosts with two endpoints each; the second rests on set 5 already."""
    write([host(ip, T0, seen(22, "ssh"), seen(80, "http", "nginx", "1.2")) for ip in IPS])
    with database.connection() as connection:
        connection.execute("UPDATE host SET feeds = 5, place = %s WHERE ip = %s", [THERE, IPS[1]])
        connection.execute("UPDATE endpoint SET place = %s WHERE ip = %s", [THERE, IPS[1]])
    return database


def move(database: Database, places: dict[str, UUID | None], feed_set: int) -> int:
    """In a transaction of its own."""
    with database.transaction() as connection:
        return relocate.move(connection, {ip: str(p) if p else None for ip, p in places.items()}, feed_set)


def stored(database: Database) -> dict[str, tuple[int | None, set[UUID | None]]]:
    """Each host's set, and the places of it and its endpoints."""
    with database.connection() as connection:
        rows = connection.execute(
            """SELECT host(h.ip), h.feeds, h.place, array_agg(DISTINCT e.place) FROM host h
               JOIN endpoint e ON e.ip = h.ip GROUP BY h.ip"""
        ).fetchall()
    return {ip: (feeds, {place, *places}) for ip, feeds, place, places in rows}


def test_hosts_are_walked_in_order(town: Database) -> None:
    """Those that rest on older sets or on none, a page at a time."""
    assert relocate.behind(town, 5) == 3
    assert relocate.behind(town, 6) == 4
    first = relocate.next_hosts(town, "", 5, 2)
    assert first == [(IPS[0], None), (IPS[2], None)]
    assert relocate.next_hosts(town, IPS[2], 5, 2) == [(IPS[3], None)]
    assert relocate.next_hosts(town, IPS[3], 6, 2) == []
    assert relocate.next_hosts(town, IPS[0], 6, 1) == [(IPS[1], THERE)]


def test_a_host_moves_with_its_endpoints(town: Database) -> None:
    """Also to where nothing is known; who lies where they lay is not counted."""
    assert move(town, {IPS[0]: HERE, IPS[1]: None, IPS[2]: None, IPS[3]: THERE}, 6) == 3
    assert stored(town) == {
        IPS[0]: (6, {HERE}),
        IPS[1]: (6, {None}),
        IPS[2]: (6, {None}),
        IPS[3]: (6, {THERE}),
    }
    assert move(town, {IPS[0]: THERE}, 6) == 0, "the same set again changes nothing"
    assert stored(town)[IPS[0]] == (6, {HERE})


def test_nobody_is_set_back(town: Database) -> None:
    """A host that was looked up in newer feeds stays as it is."""
    assert move(town, {IPS[1]: HERE}, 4) == 0
    assert stored(town)[IPS[1]] == (5, {THERE})


def test_an_endpoint_that_comes_meanwhile_moves_too(town: Database) -> None:
    """A writer holds the host with a new endpoint of it; the move waits, and then sees it."""
    with ThreadPoolExecutor(1) as pool:
        with town.transaction() as writer:
            writer.execute("UPDATE host SET last_seen = now() WHERE ip = %s", [IPS[0]])
            writer.execute(
                "INSERT INTO endpoint (ip, port, protocol, state, since, confirmed, first_seen, last_seen)"
                " SELECT ip, 443, protocol, state, since, confirmed, first_seen, last_seen FROM endpoint"
                " WHERE ip = %s AND port = 80",
                [IPS[0]],
            )
            moving = pool.submit(move, town, {IPS[0]: HERE}, 6)
            eventually(lambda: waiting(town))
        assert moving.result(30) == 1
    assert stored(town)[IPS[0]] == (6, {HERE})


def waiting(database: Database) -> bool:
    """Whether somebody waits for a row."""
    with database.connection() as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        ).fetchone()
    return bool(found and found[0])


def test_services_are_named(town: Database) -> None:
    """Walked by id, with what they are called so far; what is given is what they are called then."""
    first = relocate.next_services(town, "", 1)
    rest = relocate.next_services(town, first[0][0], 10)
    services = {service.name: (key, names) for key, service, names in [*first, *rest]}
    assert {name: names for name, (_, names) in services.items()} == {"ssh": (), "http": ()}
    key = services["http"][0]
    relocate.rename(town, [(key, ("cpe:2.3:a:f5:nginx:1.2:*:*:*:*:*:*:*",))])
    named = {k: names for k, _, names in relocate.next_services(town, "", 10)}
    assert named[key] == ("cpe:2.3:a:f5:nginx:1.2:*:*:*:*:*:*:*",)
    assert relocate.next_services(town, max(named), 10) == []
