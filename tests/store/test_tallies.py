"""Tallies equal what counting would find: after any observations, folds, crashes and clearings, at every moment."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, LiteralString, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from spectra.errors import Unavailable
from spectra.model.facts import HostFacts, Place
from spectra.model.observation import HostSeen, State, Swept
from spectra.store import tallies
from spectra.store.database import Connection, Database, migrate, migrations
from spectra.store.tallies import ENTRIES, Folder, fold, snapshot, sweep, tidy
from tests.store.scribe import T0, Scribe, host, seen
from tests.support.databases import another_database
from tests.support.own_server import own_server
from tests.support.waiting import eventually

pytestmark = pytest.mark.engine

PLACES = (
    Place(asn=64500, org="Red", country="FR", country_name="France", region="Bretagne", city="Brest"),
    Place(asn=64500, org="Red", country="FR", country_name="France", region="Ile", city="Paris"),
    Place(asn=64501, org="Blue", country="US", country_name="United States", region="Texas", city="Paris", cloud="aws",
          cloud_service="EC2", cloud_region="us-east-1"),
    Place(asn=64502, org="Green"),
)  # fmt: skip

# What the tallies and the log say together, and what counting says. Each pair of statements gives the same columns.
BOTH: dict[str, tuple[LiteralString, LiteralString]] = {
    "services": (
        f"""SELECT service, port, protocol, sum(endpoints)::int8 FROM (
              SELECT service, port, protocol, endpoints FROM tally_service
              UNION ALL SELECT service, port, protocol, endpoints FROM {ENTRIES} WHERE endpoints <> 0) t
            GROUP BY 1, 2, 3 HAVING sum(endpoints) <> 0""",
        "SELECT service, port, protocol, count(*) FROM endpoint WHERE state = 'o' GROUP BY 1, 2, 3",
    ),
    "places": (
        f"""SELECT place, coalesce(sum(endpoints), 0)::int8, coalesce(sum(hosts), 0)::int8 FROM (
              SELECT place, endpoints, hosts FROM tally_place UNION ALL SELECT place, endpoints, hosts FROM {ENTRIES}) t
            GROUP BY 1 HAVING coalesce(sum(endpoints), 0) <> 0 OR coalesce(sum(hosts), 0) <> 0""",
        """SELECT place, sum(e)::int8, sum(h)::int8 FROM (
             SELECT place, 1 AS e, 0 AS h FROM endpoint WHERE state = 'o' UNION ALL SELECT place, 0, 1 FROM host) t
           GROUP BY 1""",
    ),
    "countries": (
        f"""SELECT country, name, tunnel, product, port, protocol, sum(n)::int8 FROM (
              SELECT country, k.name, k.tunnel, k.product, port, protocol, endpoints AS n
              FROM tally_country t LEFT JOIN tally_kind k ON k.id = t.kind
              UNION ALL SELECT coalesce(p.country, ''), s.name, s.tunnel, s.product, port, protocol, endpoints
              FROM {ENTRIES} LEFT JOIN place p ON p.id = u.place LEFT JOIN service s ON s.id = u.service
              WHERE endpoints <> 0) t
            GROUP BY 1, 2, 3, 4, 5, 6 HAVING sum(n) <> 0""",
        """SELECT coalesce(p.country, ''), s.name, s.tunnel, s.product, port, protocol, count(*)
           FROM endpoint e LEFT JOIN place p ON p.id = e.place LEFT JOIN service s ON s.id = e.service
           WHERE state = 'o' GROUP BY 1, 2, 3, 4, 5, 6""",
    ),
    "areas": (
        f"""SELECT area, parent, name, coalesce(sum(endpoints), 0)::int8, coalesce(sum(hosts), 0)::int8 FROM (
              SELECT area, parent, name, endpoints, hosts FROM tally_area
              UNION ALL SELECT a.area, a.parent, a.name, u.endpoints, u.hosts
              FROM {ENTRIES} LEFT JOIN place p ON p.id = u.place CROSS JOIN LATERAL {tallies.AREAS}) t
            GROUP BY 1, 2, 3 HAVING coalesce(sum(endpoints), 0) <> 0 OR coalesce(sum(hosts), 0) <> 0""",
        f"""SELECT a.area, a.parent, a.name, sum(e)::int8, sum(h)::int8 FROM (
             SELECT place, 1 AS e, 0 AS h FROM endpoint WHERE state = 'o' UNION ALL SELECT place, 0, 1 FROM host) t
           LEFT JOIN place p ON p.id = t.place CROSS JOIN LATERAL {tallies.AREAS} GROUP BY 1, 2, 3""",
    ),
}


def rows(connection: Connection, statement: LiteralString) -> list[str]:
    """The rows of `statement` in an order that does not depend on it."""
    return sorted(repr(row) for row in connection.execute(statement))


def hold(database: Database) -> None:
    """Assert that tallies and log are what counting finds, under one snapshot."""
    with snapshot(database) as connection:
        for name, (tallied, counted) in BOTH.items():
            assert rows(connection, tallied) == rows(connection, counted), name


def logged(database: Database) -> int:
    """How many rows the log has."""
    with database.connection() as connection:
        row = connection.execute("SELECT count(*) FROM tally_log").fetchone()
    return row[0] if row else 0


def placed(record: HostSeen, place: Place, feeds: int = 1) -> list[Any]:
    """A host with facts about where it is."""
    return [HostFacts(record.ip, feeds, place), record]


def test_hosts_and_endpoints_are_counted(database: Database, write: Scribe) -> None:
    """By service, by place, by country and by area, before a fold and after it."""
    write([
        *placed(host("192.0.2.1", T0, seen(80, "http", "nginx", "1.0"), seen(22, "ssh")), PLACES[0]),
        *placed(host("192.0.2.2", T0, seen(80, "http", "nginx", "1.1")), PLACES[2]),
        host("192.0.2.3", T0, seen(53, protocol="udp")),
        host("192.0.2.4", T0),
    ])  # fmt: skip
    assert logged(database) > 0
    hold(database)
    assert fold(database) > 0
    assert logged(database) == 0
    hold(database)
    with database.connection() as connection:
        kinds = connection.execute(
            "SELECT name, product, endpoints FROM tally_country JOIN tally_kind k ON k.id = kind"
        )
        assert sorted(kinds.fetchall()) == [("http", "nginx", 1), ("http", "nginx", 1), ("ssh", "", 1)]
        row = connection.execute("SELECT endpoints, hosts FROM tally_area WHERE area = 'all'").fetchone()
        assert row == (4, 4)


def test_what_changes_nothing_logs_nothing(database: Database, write: Scribe) -> None:
    """Seeing the same again, and closed ports, cost no row."""
    records = placed(host("192.0.2.1", T0, seen(80, "http"), seen(81, state="closed")), PLACES[0])
    write(records)
    fold(database)
    again = host("192.0.2.1", T0 + timedelta(days=1), seen(80, "http"), seen(81, state="closed"))
    write(placed(again, PLACES[0]))
    assert logged(database) == 0
    hold(database)


def test_a_service_that_closes_is_taken_away(database: Database, write: Scribe) -> None:
    """An open endpoint that is closed, opened, renamed and moved is always counted where it is."""
    for day, endpoint in enumerate([seen(80, "http"), seen(80, state="closed"), seen(80, "http", "nginx")]):
        write(placed(host("192.0.2.1", T0 + timedelta(days=day), endpoint), PLACES[day], feeds=day + 1))
        hold(database)
        fold(database, pieces=1)
        hold(database)
    while fold(database):
        hold(database)
    tidy(database)
    hold(database)
    with database.connection() as connection:
        assert connection.execute("SELECT count(*), sum(endpoints) FROM tally_service").fetchone() == (1, 1)


def test_a_fold_is_bounded(database: Database, write: Scribe) -> None:
    """It takes as many rows of the log as it is told, and says how many."""
    for number in range(6):
        write([host(f"192.0.2.{number}", T0, seen(80))])
    assert logged(database) == 12
    assert fold(database, pieces=5) == 5
    assert logged(database) == 7
    hold(database)


def test_large_statements_are_cut_into_pieces(database: Database) -> None:
    """A statement of millions makes many rows of bounded size, not one that no array can hold."""
    with database.connection() as connection:
        connection.execute(
            """INSERT INTO endpoint (ip, port, protocol, state, since, confirmed, first_seen, last_seen)
               SELECT '10.0.0.0'::inet + n / 100, n % 100, n % 7, 'o', now(), now(), now(), now()
               FROM generate_series(1, 1000) n"""
        )
        connection.execute("UPDATE endpoint SET port = port + (host(ip)::inet - '10.0.0.0'::inet)::int4 * 1000")
        found = connection.execute("SELECT max(cardinality(ports)) FROM tally_log").fetchone()
        assert found
        assert found[0] <= 8192
    hold(database)


def test_only_one_folds_at_a_time(database: Database, write: Scribe) -> None:
    """While another coordinator folds, this one leaves it to that, and tidies nothing either."""
    write([host("192.0.2.1", T0, seen(80))])
    with database.transaction() as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [0x5EC7_0030])
        assert fold(database) == 0
        tidy(database)
    assert fold(database) == 2


@pytest.mark.parametrize("table", ["endpoint", "host"])
def test_clearing_a_table_clears_its_tallies(database: Database, write: Scribe, table: str) -> None:
    """TRUNCATE is no row's deletion; what was folded and what was not are both taken away."""
    write(placed(host("192.0.2.1", T0, seen(80)), PLACES[0]))
    fold(database)
    write(placed(host("192.0.2.2", T0, seen(80)), PLACES[1]))
    with database.connection() as connection:
        connection.execute(sql.SQL("TRUNCATE {}").format(sql.Identifier(table)))
    hold(database)
    fold(database)
    hold(database)


def test_what_was_there_before_is_counted(database: Database) -> None:
    """A database that had hosts before there were tallies has them counted by the migration."""
    text = next(t for number, _, t in migrations() if number == 3)
    with database.connection() as connection:
        connection.execute("INSERT INTO host SELECT '10.0.0.0'::inet + n, now(), now() FROM generate_series(1, 50) n")
        connection.execute(
            """INSERT INTO endpoint (ip, port, protocol, state, since, confirmed, first_seen, last_seen)
               SELECT ip, 80, 6, 'o', now(), now(), now(), now() FROM host"""
        )
        connection.execute("DROP TABLE tally_log, tally_service, tally_kind, tally_country, tally_place, tally_area")
        connection.execute("DROP FUNCTION tally_endpoint, tally_host, tally_truncate CASCADE")
        connection.execute(sql.SQL(cast(LiteralString, text)))
    hold(database)
    fold(database)
    hold(database)


STATES: Sequence[State] = ("open", "closed", "filtered")
LOOKS = st.lists(
    st.tuples(
        st.integers(1, 4),  # host
        st.integers(0, 5),  # day: late and equal ones too
        st.dictionaries(st.sampled_from([22, 80, 443]), st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=3),
        st.sampled_from(["", "closed"]),
        st.integers(-1, 3),  # place
    ),
    min_size=1,
    max_size=12,
)
NAMES = (("http", "nginx", "1.0"), ("http", "nginx", "1.1"), ("http", "", ""), ("", "", ""))


@given(looks=LOOKS, folds=st.sets(st.integers(0, 12)))
@settings(max_examples=25)
def test_tallies_are_what_counting_finds(
    store_server: str, migrated_template: str, looks: list[Any], folds: set[int]
) -> None:
    """After any observations in any order, with sweeps, moves and folds in between."""
    with another_database(store_server, migrated_template) as database:
        write = Scribe(database)
        for step, (number, day, ports, rest, place) in enumerate(looks):
            endpoints = [seen(p, *NAMES[n], state=STATES[s]) for p, (s, n) in ports.items()]
            record = host(f"192.0.2.{number}", T0 + timedelta(days=day), *endpoints, rest=rest or None)
            swept = [Swept("tcp", ((1, 1000),))] if rest else []
            facts = [HostFacts(record.ip, step, PLACES[place])] if place >= 0 else []
            write([*swept, *facts, record], at=T0 + timedelta(days=day), scan_id=f"scan-{step}")
            if step in folds:
                fold(database, pieces=2)
        hold(database)
        while fold(database):
            pass
        tidy(database)
        hold(database)


def test_a_reader_sees_each_change_once(database: Database, write: Scribe) -> None:
    """While others write and fold, log and tables add up in every snapshot."""
    stop = threading.Event()

    def folding() -> None:
        while not stop.is_set():
            fold(database, pieces=1)

    thread = threading.Thread(target=folding)
    thread.start()
    try:
        for number in range(40):
            write(placed(host(f"192.0.2.{number}", T0, seen(80), seen(443)), PLACES[number % 4]))
            with snapshot(database) as connection:
                total = connection.execute(
                    f"""SELECT sum(endpoints) FROM (
                          SELECT endpoints FROM tally_area WHERE area = 'all'
                          UNION ALL SELECT endpoints FROM {ENTRIES}) t"""
                ).fetchone()
                assert total == ((number + 1) * 2,)
    finally:
        stop.set()
        thread.join()


def test_tallies_survive_a_crash() -> None:
    """The server killed in the middle of writing and folding: what is there afterwards is counted, and only that."""
    with own_server() as own, Database(own.url, pool_size=4) as database:
        migrate(database)
        write = Scribe(database)
        stop = threading.Event()

        def folding() -> None:
            while not stop.is_set():
                try:
                    fold(database, pieces=1)
                except Unavailable:  # that is the test
                    stop.wait(0.05)

        thread = threading.Thread(target=folding)
        thread.start()
        try:
            for number in range(60):
                write(placed(host(f"192.0.2.{number}", T0, seen(80), seen(443)), PLACES[number % 4]))
            own.kill()
        finally:
            stop.set()
            thread.join()

        def back() -> bool:
            try:
                hold(database)
            except Unavailable:
                return False
            return True

        eventually(back)
        while fold(database):
            pass
        hold(database)
        with database.connection() as connection:
            assert connection.execute("SELECT sum(hosts) FROM tally_area WHERE area = 'all'").fetchone() == (60,)


def test_the_folder_folds(database: Database, write: Scribe, monkeypatch: pytest.MonkeyPatch) -> None:
    """It works by itself until it is stopped, tidies now and then, and gives the log's space back."""
    monkeypatch.setattr(tallies, "TIDY_ROUNDS", 1)
    write([host(f"192.0.2.{n}", T0, seen(80)) for n in range(50)])
    folder = Folder(database, every_s=0.01)
    folder.start()
    try:
        eventually(lambda: logged(database) == 0)
        write([host("192.0.2.60", T0, seen(80))])
        eventually(lambda: logged(database) == 0)
    finally:
        folder.stop()
    hold(database)
    sweep(database)


def test_the_folder_outlives_trouble(
    database: Database, write: Scribe, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A database that is away for a round is told of in the log, and the next round works."""
    tried: list[int] = []

    def failing(database: Database) -> int:
        tried.append(1)
        with database.connection() as connection:
            code = "57P01" if len(tried) == 1 else "42P01"
            connection.execute(
                sql.SQL("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = {}; END $$").format(sql.Literal(code))
            )
        return 0

    write([host("192.0.2.1", T0, seen(80))])
    whole = tallies.fold

    def soon(database: Database) -> int:
        return failing(database) if len(tried) < 2 else whole(database)

    monkeypatch.setattr(tallies, "fold", soon)
    folder = Folder(database, every_s=0.01)
    folder.start()
    try:
        eventually(lambda: logged(database) == 0)
    finally:
        folder.stop()
    assert len([r for r in caplog.records if "not folded" in r.getMessage()]) == 2
