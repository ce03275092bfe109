"""What lands in the graph: batches, sweeps, silence, names, evidence, strange strings, and writers at once."""

from __future__ import annotations

import random
import secrets
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from spectra.errors import Unavailable
from spectra.model.envelope import Counts
from spectra.model.observation import (
    Banner,
    Certificate,
    EndpointSeen,
    Evidence,
    Hostname,
    HostSeen,
    NameSeen,
    ScanFacts,
    Service,
    Silent,
    Swept,
)
from spectra.store import audit
from spectra.store.content import Known
from spectra.store.database import Database
from spectra.store.graph import BATCH_HOSTS, BATCH_ROWS, GraphWriter
from tests.store.scribe import T0, Scribe, Written, host, seen
from tests.support.postgres import drop, in_database

pytestmark = pytest.mark.engine

HOUR = timedelta(hours=1)
SWEPT = Swept("tcp", ((1, 1024),))

# Everything the graph says; what only tells when a row was made is left out.
GRAPH = {
    "host": "SELECT ip, first_seen, last_seen, os, os_at, mac, vendor, mac_at FROM host",
    "endpoint": "SELECT * FROM endpoint",
    "endpoint_version": "SELECT * FROM endpoint_version",
    "hostname": "SELECT * FROM hostname",
    "evidence": "SELECT * FROM evidence",
    "name": "SELECT * FROM name",
    "service": "SELECT id, name, product, version, extra, os, device, tunnel, cpe FROM service",
    "banner": "SELECT id, text, title FROM banner",
    "remark": "SELECT * FROM remark",
    "certificate": "SELECT id FROM certificate",
}


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    """All rows of a query."""
    with database.connection() as connection:
        return connection.execute(query.encode()).fetchall()


def graph(database: Database) -> dict[str, list[str]]:
    """The whole graph, each table in order."""
    return {table: sorted(map(repr, rows(database, query))) for table, query in GRAPH.items()}


def assert_sound(database: Database, *written: Written) -> None:
    """The graph is what its log says, and the log is what was written."""
    assert audit.altered_host(database) == audit.altered_name(database) == audit.altered_certificate(database) == ""
    assert audit.altered_content(database) == audit.altered_log(database) == ""
    for one in written:
        assert audit.log_digest(database, one.seq) == one.digest


@pytest.fixture
def other(store_server: str, migrated_template: str) -> Iterator[Database]:
    """A second empty database, to be compared with."""
    name = f"spectra_other_{secrets.token_hex(6)}"
    with psycopg.connect(store_server, autocommit=True) as admin:
        copy = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
        admin.execute(copy.format(sql.Identifier(name), sql.Identifier(migrated_template)))
        try:
            with Database(in_database(store_server, name), pool_size=2) as database:
                yield database
        finally:
            drop(store_server, name)


def test_more_hosts_than_a_batch_holds(database: Database, write: Scribe) -> None:
    """Everything arrives, is counted and is digested as one, and a second scan of all of it is one step each."""
    ips = [f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}" for i in range(BATCH_HOSTS + 500)]
    first = write([host(ip, T0, seen(22, "ssh"), seen(80), names=[f"h{ip}.example"]) for ip in ips])
    second = write([SWEPT, *(host(ip, T0 + HOUR, seen(22), rest="closed") for ip in ips)])
    n = len(ips)
    assert first.counts == Counts(hosts=n, endpoints=2 * n, hostnames=n)
    assert second.counts == Counts(hosts=n, endpoints=n)
    assert rows(database, "SELECT port, state::text, count(*) FROM endpoint GROUP BY 1, 2 ORDER BY 1") == [
        (22, "o", n),
        (80, "c", n),
    ]
    assert rows(database, "SELECT count(*), min(until) FROM endpoint_version") == [(n, T0 + HOUR)]
    assert_sound(database, first, second)


def test_a_batch_is_bounded_by_its_rows_too(database: Database, write: Scribe) -> None:
    """Hosts that answer on every port are written as they come: 2,000 of them would not fit into memory."""
    every = [seen(port) for port in range(1, BATCH_ROWS + 1)]
    with database.transaction() as connection:
        writer = GraphWriter(database, connection, Known(), 1)
        writer.add(host("10.0.0.1", T0, *every))
        assert connection.execute("SELECT count(*) FROM endpoint").fetchall() == [(BATCH_ROWS,)]
        connection.execute("TRUNCATE host, endpoint, sighting")
    written = write([host(f"10.0.0.{i}", T0, *every[i:]) for i in (1, 2)])
    assert written.counts == Counts(hosts=2, endpoints=2 * BATCH_ROWS - 3)
    assert_sound(database, written)


def test_a_sweep_ends_only_what_it_looked_at(database: Database, write: Scribe) -> None:
    """Ports outside the swept ranges, and of another protocol, live on."""
    write([host("192.0.2.1", T0, seen(22), seen(8080), seen(53, protocol="udp"))])
    write([SWEPT, host("192.0.2.1", T0 + HOUR, rest="filtered")])
    found = rows(database, "SELECT port, protocol, state::text FROM endpoint ORDER BY port")
    assert found == [(22, 6, "f"), (53, 17, "o"), (8080, 6, "o")]
    assert_sound(database)


def test_a_sweep_told_after_a_swept_host_is_left_out(database: Database, write: Scribe) -> None:
    """The log keeps one set of ranges for an observation: later ones cannot hold for hosts told before, nor make
    the graph differ from its log.
    """
    write([host("192.0.2.1", T0, seen(22), seen(8080)), host("192.0.2.2", T0, seen(8080))])
    late = Swept("tcp", ((8000, 9000),))
    written = write(
        [SWEPT, host("192.0.2.1", T0 + HOUR, rest="closed"), late, host("192.0.2.2", T0 + HOUR, rest="closed")]
    )
    found = rows(database, "SELECT host(ip), port, state::text FROM endpoint ORDER BY ip, port")
    assert found == [("192.0.2.1", 22, "c"), ("192.0.2.1", 8080, "o"), ("192.0.2.2", 8080, "o")]
    assert_sound(database, written)


def test_sweeps_of_several_protocols_are_merged(database: Database, write: Scribe) -> None:
    """Ranges that touch or overlap are one in the log, whichever way they were told; the digest covers them."""
    sweeps = [Swept("udp", ((53, 53),)), Swept("tcp", ((80, 90), (1, 79))), Swept("tcp", ((85, 100),))]
    written = write([*sweeps, host("192.0.2.1", T0, seen(22), rest="closed")])
    tcp, udp = 6 << 16, 17 << 16
    (swept,) = rows(database, "SELECT swept FROM observation")[0]
    assert [(r.lower, r.upper) for r in swept] == [(tcp + 1, tcp + 101), (udp + 53, udp + 54)]
    assert_sound(database, written)


def test_three_observations_of_one_instant(database: Database, write: Scribe) -> None:
    """Contributors whose clocks tick in seconds may disagree about one: that is one version, not three of no length."""
    write([host("192.0.2.1", T0 - HOUR, seen(80, "http", "nginx"))])
    for product in ("nginx", "apache", "nginx", "caddy", "apache"):
        write([host("192.0.2.1", T0, seen(80, "http", product))])
    write([host("192.0.2.1", T0, seen(80, state="closed"))])
    write([host("192.0.2.1", T0 + HOUR, seen(80, "http", "caddy"))])
    assert rows(database, "SELECT count(*) FROM endpoint_version WHERE since = until") == [(0,)]
    assert rows(database, "SELECT state::text FROM endpoint") == [("o",)]
    assert_sound(database)


def test_one_observation_may_tell_of_a_host_twice(database: Database, write: Scribe) -> None:
    """Also at the same instant: what both say is kept, and open outweighs."""
    twice = [host("192.0.2.1", T0, seen(22), seen(80, state="closed")), host("192.0.2.1", T0, seen(80, "http"))]
    written = write(twice)
    assert rows(database, "SELECT port, state::text FROM endpoint ORDER BY port") == [(22, "o"), (80, "o")]
    assert written.counts == Counts(hosts=2, endpoints=3)
    assert_sound(database, written)


services = st.sampled_from([None, None, Service("http", "nginx"), Service("http", "apache")])
banners = st.sampled_from([None, None, Banner("a"), Banner("b")])
certificates = st.sampled_from([None, None, Certificate("aa" * 32), Certificate("bb" * 32)])
endpoints = st.builds(
    EndpointSeen,
    st.sampled_from([22, 80]),
    st.sampled_from(["tcp", "udp"]),
    st.sampled_from(["open", "open", "open", "closed", "filtered"]),
    services,
    banners,
    certificates,
)
sightings = st.builds(
    HostSeen,
    st.sampled_from(["192.0.2.1", "192.0.2.2"]),
    st.integers(0, 6).map(lambda minute: T0 + timedelta(minutes=minute)),
    st.lists(endpoints, max_size=3).map(tuple),
    rest=st.sampled_from([None, None, "closed", "filtered"]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
@given(st.lists(st.lists(sightings, min_size=1, max_size=3), min_size=1, max_size=8))
def test_every_arrival_leaves_the_graph_that_the_log_tells(
    database: Database, write: Scribe, submissions: list[list[HostSeen]]
) -> None:
    """Early, late, at the same instant, twice in one observation, closed with a service: after each submission the
    endpoints and their versions are the fold of the whole log.
    """
    with database.transaction() as connection:
        connection.execute("TRUNCATE host, endpoint, endpoint_version, sighting, observation CASCADE")
    for records in submissions:
        write([Swept("tcp", ((1, 79),)), *records])
        assert audit.altered_host(database) == ""


def test_silence_collapses_to_networks(database: Database, write: Scribe) -> None:
    """256 silent neighbours are one row; a moment of its own and IPv6 are kept apart, and nothing else is covered."""
    silent = [Silent(f"192.0.2.{i}", T0) for i in range(256)]
    silent += [Silent("198.51.100.7", T0), Silent("198.51.100.6", T0 + HOUR), Silent("2001:db8::", T0)]
    silent += [Silent("2001:db8::1", T0), Silent("198.51.100.7", T0 - HOUR)]
    written = write(silent)
    assert rows(database, "SELECT net::text, seen_at FROM silence ORDER BY net") == [
        ("192.0.2.0/24", T0),
        ("198.51.100.6/32", T0 + HOUR),
        ("198.51.100.7/32", T0),
        ("2001:db8::/127", T0),
    ]
    assert written.counts == Counts(silent=260)
    assert_sound(database, written)


def test_more_silence_than_is_held(database: Database, write: Scribe) -> None:
    """A sweep of a large network is written in pieces and counted as a whole."""
    written = write([Silent(f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}", T0) for i in range(1 << 17)])
    assert written.counts.silent == 1 << 17
    assert rows(database, "SELECT net::text FROM silence ORDER BY net") == [("10.0.0.0/16",), ("10.1.0.0/16",)]
    assert_sound(database, written)


def test_names_and_evidence_keep_their_first_and_last_time(database: Database, write: Scribe) -> None:
    """Whatever the order of arrival, and also of names without address."""
    flaw = Evidence("nuclei:x", "data", "/path", "high")
    for hours in (5, 1, 9, 3):
        at = T0 + hours * HOUR
        told = host("192.0.2.1", at, seen(80, evidence=[flaw]), names=["a.example"], evidence=[flaw])
        write([told, NameSeen("b.example", at, (flaw,))])
    span = (T0 + HOUR, T0 + 9 * HOUR)
    assert rows(database, "SELECT port, protocol, first_seen, last_seen FROM evidence ORDER BY port") == [
        (0, 0, *span),
        (80, 6, *span),
    ]
    assert rows(database, "SELECT name, first_seen, last_seen FROM hostname") == [("a.example", *span)]
    assert rows(database, "SELECT name, first_seen, last_seen FROM name") == [("b.example", *span)]
    assert rows(database, "SELECT kind, key, severity, data FROM remark") == [("nuclei:x", "/path", "high", "data")]
    assert_sound(database)


def test_more_names_than_a_batch_holds(database: Database, write: Scribe) -> None:
    """Names without address come in batches too."""
    written = write([NameSeen(f"n{i}.example", T0) for i in range(BATCH_HOSTS + 1)])
    assert written.counts == Counts(hostnames=BATCH_HOSTS + 1)
    assert rows(database, "SELECT count(*) FROM name") == [(BATCH_HOSTS + 1,)]
    assert_sound(database, written)


def carded(hours: int, *, os: str = "", mac: str = "", vendor: str = "") -> HostSeen:
    """A host as seen some hours after the beginning."""
    return HostSeen("192.0.2.1", T0 + hours * HOUR, os=os, mac=mac, vendor=vendor)


@pytest.mark.parametrize("seed", range(6))
def test_the_newest_word_on_system_and_card_holds(database: Database, write: Scribe, seed: int) -> None:
    """Operating system and MAC are those said last, whatever the order of arrival; a tie is settled the same way
    everywhere, and a vendor without MAC says nothing.
    """
    told = [
        carded(1, os="Linux 5"),
        carded(2, os="Linux 6", mac="00:00:5E:00:53:01"),
        carded(3, mac="00:00:5E:00:53:02", vendor="Zeta"),
        carded(3, mac="00:00:5E:00:53:02", vendor="acme"),
        carded(3, os="a", mac="00:00:5E:00:53:02", vendor="Beta"),
        carded(3, os="B"),
        carded(4, vendor="nobody"),
    ]
    random.Random(seed).shuffle(told)
    for record in told:
        write([record])
    found = rows(database, "SELECT os, os_at, mac, vendor, mac_at FROM host")
    assert found == [("a", T0 + 3 * HOUR, "00:00:5E:00:53:02", "acme", T0 + 3 * HOUR)]
    assert_sound(database)


def test_ipv6_in_every_table(database: Database, write: Scribe) -> None:
    """Addresses of IPv6, also those PostgreSQL writes otherwise (IPv4 in the last 32 bits), early and late."""
    ips = ["2001:db8::1", "::102:304", "::ffff:102:304", "fe80::1", "::"]
    for hours in (2, 3, 1):
        at = T0 + hours * HOUR
        written = write(
            [SWEPT, *(host(ip, at, seen(22, "ssh"), names=["six.example"], rest="closed", os="x") for ip in ips)]
        )
        assert_sound(database, written)
    silent = write([Silent("::102:304", T0), Silent("::1:0:0", T0)])
    assert rows(database, "SELECT DISTINCT since, confirmed FROM endpoint") == [(T0 + HOUR, T0 + 3 * HOUR)]
    assert rows(database, "SELECT count(*) FROM host") == [(5,)]
    assert_sound(database, silent)


HOSTILE = [
    "'; DROP TABLE host; --",
    '"; DROP TABLE host; --',
    "\\'; DROP TABLE host; --",
    "$$; DROP TABLE host; $$ %s %(x)s {} {0}",
    "\\u0000 \\x00 \\",
    '{"a": [1, "]}\n\t\r',
    "\u202e\u2028\ufeff Ünïcödé 漢字 🦊 e\u0301 \x7f \x01",
    "',(SELECT 1),'",
    "x" * 2000,
    "{NULL,a}",
]


@pytest.mark.parametrize("text", HOSTILE, ids=[f"{i}" for i in range(len(HOSTILE))])
def test_hostile_text_is_only_text(database: Database, write: Scribe, text: str) -> None:
    """In every field that a stranger's service or a scanner's report can fill: it comes back as it went in."""
    endpoint = EndpointSeen(
        443,
        "tcp",
        "open",
        Service(text, text, text, text, text, text, text, (text,)),
        Banner(text, text),
        Certificate("ab" * 32, text, text, text, (text,), None, None, text, text),
        (Evidence(text, text, text, text),),
    )
    told = HostSeen("192.0.2.1", T0, (endpoint,), (Hostname(text, "dns"),), None, text, text, text, endpoint.evidence)
    written = write([told, NameSeen(text, T0, endpoint.evidence)], facts=ScanFacts(text, text, text), tool="nmap")
    queries = {
        "SELECT name, product, version, extra, os, device, tunnel, cpe[1] FROM service": 8,
        "SELECT text, title FROM banner": 2,
        "SELECT subject_cn, subject, issuer, sans[1], serial, key FROM certificate": 6,
        "SELECT kind, key, severity, data FROM remark": 4,
        "SELECT os, mac, vendor FROM host": 3,
        "SELECT name FROM hostname": 1,
        "SELECT name FROM name": 1,
    }
    for query, columns in queries.items():
        assert rows(database, query) == [(text,) * columns], query
    write([HostSeen("192.0.2.1", T0 - HOUR, (endpoint,))])  # the late way round
    assert_sound(database, written)


def test_writers_at_once_leave_the_same_graph(database: Database, other: Database) -> None:
    """Six writers submit overlapping hosts in different orders, a batch for each host so that they lock them one by
    one: whoever is ended by a deadlock is told `conflict` and submits again, and the graph is the sequential one.
    """
    ips = [f"192.0.2.{i}" for i in range(12)]

    def records(number: int) -> list[HostSeen | Swept | NameSeen]:
        order = random.Random(number).sample(ips, len(ips))
        told: list[HostSeen | Swept | NameSeen] = []
        for ip in order:
            at = T0 + (number % 3) * HOUR + timedelta(seconds=int(ip.rsplit(".", maxsplit=1)[-1]))
            endpoints = [seen(22, "ssh", f"v{number % 2}"), seen(80 + number, banner=f"hello {number % 4}")]
            certificate = Certificate(f"{number % 2}a" * 32)
            flaw = Evidence("kind", f"{number % 3}")
            told += [
                host(ip, at, *endpoints, seen(443, certificate=certificate, evidence=[flaw]), names=["x.example"]),
                NameSeen(f"{ip}.example", at, (flaw,)),
                Swept("udp", ((number, number),)),  # ends the batch
            ]
        return told

    start = threading.Barrier(6)

    def work(number: int) -> None:
        scribe = Scribe(database)
        start.wait(30)
        submit_until_accepted(scribe, records(number), f"writer {number}")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    in_turn = Scribe(other)
    for number in range(6):
        in_turn(records(number), contributor=f"writer {number}")
    # Ties of one instant are settled by observation id, which a nonce makes random: both must agree with their logs,
    # and with each other wherever there is no tie.
    assert_sound(database)
    assert_sound(other)
    ours, theirs = graph(database), graph(other)
    for table in ("host", "hostname", "name", "evidence", "service", "banner", "remark", "certificate"):
        assert ours[table] == theirs[table], table
    spans = "SELECT ip, port, protocol, state, first_seen, last_seen FROM endpoint ORDER BY 1, 2"
    assert rows(database, spans) == rows(other, spans)


def submit_until_accepted(scribe: Scribe, records: Sequence[HostSeen | Swept | NameSeen], who: str) -> None:
    """As flow does: whoever was ended by a deadlock comes again alone, which cannot meet anybody."""
    try:
        scribe(records, contributor=who)
    except Unavailable as error:
        if error.reason != "conflict":
            raise
        scribe(records, contributor=who, alone=True)
